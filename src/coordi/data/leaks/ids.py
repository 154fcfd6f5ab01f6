"""Do ids tell the answer: those of questions, those of items, or ids within the texts that a model reads?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from coordi.data.leaks.chance import Cheat, Suspect, by_learning, by_mean, by_score
from coordi.data.leaks.facts import Asked, Facts
from coordi.data.leaks.leak import Leak
from coordi.data.leaks.scores import Floats, Ints, held_out_auc
from coordi.domain import Dataset

_SHOWN = 3


def question_id_cheats(asked: Asked) -> list[Cheat]:
    """Cheats that read a question's id, or its place among the questions."""

    def suspect(what: str) -> Suspect:
        return Suspect("ids", asked.name, what, "number questions after shuffling them", shown=False)

    ids = [question.id for question in asked.questions]
    numbers = np.array([_last_number(question_id) for question_id in ids], dtype=np.float64)
    words = [_words(question_id, place) for place, question_id in enumerate(ids)]
    names = {word: number for number, word in enumerate(sorted(set().union(*words)))}
    rows = np.repeat(np.arange(len(words)), [len(mine) for mine in words])
    marks = np.array([names[word] for mine in words for word in sorted(mine)], dtype=np.int64)
    learned = held_out_auc(rows, marks, asked.compatible, asked.halves)
    return [
        by_learning(suspect("words and parity of question ids"), learned, asked),
        by_score(suspect("numbers of question ids"), numbers, asked),
        by_score(suspect("places of questions"), np.arange(len(ids), dtype=np.float64), asked),
    ]


def item_id_cheats(asked: Asked, facts: Facts) -> list[Cheat]:
    """Cheats that compare the ids of a question's items: shared prefixes, near numbers, low or high numbers."""

    def suspect(what: str) -> Suspect:
        advice = "keep item ids out of prompts and features, as coordi does"
        return Suspect("ids", asked.name, what, advice, shown=False)

    near, alike = _mean_distance(asked, facts.number[asked.items]), _share_alike(asked, facts.stem[asked.items])
    return [
        by_mean(suspect("prefixes that item ids share"), alike, asked),
        by_mean(suspect("numbers of item ids that lie near one another"), near, asked),
        by_mean(suspect("low or high numbers of item ids"), asked.mean(facts.number[asked.items]), asked),
    ]


def ids_in_texts(dataset: Dataset, texts: Mapping[str, str]) -> list[Leak]:
    """Ids with a digit in them that a model reads; a photo's id may rightly be made of the words of its title."""
    outfits_of: dict[str, list[str]] = {}
    for outfit in dataset.outfits:
        for item_id in outfit.item_ids:
            outfits_of.setdefault(item_id, []).append(outfit.id)
    cases = [
        item_id
        for item_id, text in texts.items()
        if any(_names(text, own) for own in (item_id, *outfits_of.get(item_id, ())))
    ]
    if not cases:
        return []
    detail = f"{len(cases)} texts hold the item's or its outfit's id ({shown(cases)}); leave ids out of prompts"
    return [Leak("ids", "texts", detail, count=len(cases))]


def shown(cases: Sequence[str]) -> str:
    """The first few of some cases, and how many more there are."""
    more = f" and {len(cases) - _SHOWN} more" if len(cases) > _SHOWN else ""
    return ", ".join(cases[:_SHOWN]) + more


def _share_alike(asked: Asked, stems: Ints) -> Floats:
    """Share of a question's pairs of items whose ids begin alike, shape ``(Q,)``."""
    width = int(stems.max()) + 1
    groups, counts = np.unique(asked.rows * width + stems, return_counts=True)
    alike = np.bincount(groups // width, weights=counts * (counts - 1) / 2, minlength=len(asked.questions))
    return np.round(alike / asked.pairs, 9)


def _mean_distance(asked: Asked, numbers: Floats) -> Floats:
    """Mean distance of two items' numbers over a question's pairs, shape ``(Q,)``; not larger for more items."""
    order = np.lexsort((numbers, asked.rows))
    sizes = np.bincount(asked.rows, minlength=len(asked.questions))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # A number is the larger one of as many pairs as there are before it, and the smaller one of the others.
    weights = 2 * rank - (sizes[asked.rows] - 1)
    return np.round(asked.total(numbers[order] * weights) / asked.pairs, 6)


def _names(text: str, own: str) -> bool:
    if len(own) < 3 or not re.search(r"\d", own) or own not in text:
        return False
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(own)}(?![A-Za-z0-9])", text) is not None


def _words(question_id: str, place: int) -> set[str]:
    words = {f"word {word.lower()}" for word in re.findall(r"[A-Za-z]+", question_id)}
    return words | {f"id is {'odd' if _last_number(question_id) % 2 else 'even'}", f"place is {place % 2}"}


def _last_number(text: str) -> int:
    numbers = re.findall(r"\d+", text)
    return int(numbers[-1]) if numbers else 0
