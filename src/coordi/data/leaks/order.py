"""Does the order of a question's items tell the answer?"""

from __future__ import annotations

import numpy as np

from coordi.data.leaks.chance import Cheat, Suspect, by_learning, by_score
from coordi.data.leaks.facts import Asked, Facts
from coordi.data.leaks.scores import Floats, Ints, held_out_auc, held_out_order_auc

_STREAM = 122
_SHUFFLES = 10


def order_cheats(asked: Asked, facts: Facts) -> list[Cheat]:
    """Cheats that read the order of items: two that learn it by category, two that know the source's."""
    labels = facts.category[asked.items]

    def suspect(what: str) -> Suspect:
        return Suspect("order", asked.name, what, "shuffle the items of every question")

    relative = held_out_order_auc(*_pairs(asked.rows, labels), asked.compatible, asked.halves)
    placed = held_out_auc(*_placed(asked.rows, labels), asked.compatible, asked.halves)
    in_source = _share_ascending(asked, np.arange(len(facts.items)))
    in_outfits = _share_ascending(asked, facts.place_in_outfit)
    return [
        by_learning(suspect("categories by who stands before whom"), relative, asked),
        by_learning(suspect("categories by position"), placed, asked, _once_shuffled(asked, labels)),
        by_score(suspect("places in the source"), in_source, asked),
        by_score(suspect("places within the items' own outfits"), in_outfits, asked),
    ]


def _once_shuffled(asked: Asked, labels: Ints) -> float:
    """What categories by position get when there is no order: what categories alone tell."""
    generator = np.random.default_rng([_STREAM, len(asked.questions)])
    reached = []
    for _ in range(_SHUFFLES):
        order = np.lexsort((generator.random(len(labels)), asked.rows))
        reached.append(held_out_auc(*_placed(asked.rows, labels[order]), asked.compatible, asked.halves))
    return float(np.mean(reached))


def _placed(rows: Ints, labels: Ints) -> tuple[Ints, Ints]:
    """Which label stands where, as marks; positions are counted from both ends, as outfits differ in length."""
    if not len(rows):
        return rows, labels
    sizes = np.bincount(rows)
    from_front = np.arange(len(rows)) - (np.cumsum(sizes) - sizes)[rows]
    from_back = sizes[rows] - 1 - from_front
    longest, width = int(sizes.max()), int(labels.max()) + 1
    return np.tile(rows, 2), np.concatenate([from_front * width + labels, (from_back + longest) * width + labels])


def _pairs(rows: Ints, labels: Ints) -> tuple[Ints, Ints]:
    """Every two items of a question whose labels differ: the question, shape ``(P,)``, and labels, ``(P, 2)``."""
    found_rows, found = [np.zeros(0, dtype=np.int64)], [np.zeros((0, 2), dtype=np.int64)]
    longest = int(np.bincount(rows).max()) if len(rows) else 0
    for step in range(1, longest):
        kept = (rows[:-step] == rows[step:]) & (labels[:-step] != labels[step:])
        found_rows.append(rows[:-step][kept])
        found.append(np.stack([labels[:-step][kept], labels[step:][kept]], axis=1))
    return np.concatenate(found_rows), np.concatenate(found)


def _share_ascending(asked: Asked, places: Ints) -> Floats:
    """Of each question's neighbours, how many ascend, equal ones counted half, shape ``(Q,)``; half for none."""
    rows, mine = asked.rows, places[asked.items]
    together = rows[:-1] == rows[1:]
    steps = (1 + np.sign(np.diff(mine)[together])) / 2
    count = np.bincount(rows[:-1][together], minlength=len(asked.questions))
    rising = np.bincount(rows[:-1][together], weights=steps, minlength=len(asked.questions))
    share = np.where(count > 0, rising / np.maximum(count, 1), 0.5)
    return np.asarray(np.round(share, 9), dtype=np.float64)
