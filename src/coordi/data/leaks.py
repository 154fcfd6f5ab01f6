"""The leak audit: ways in which the answer could be told without looking at clothes.

Each check measures what a cheat would gain. A share of a cheat is compared with chance and its spread, so that small
sets aren't accused and large ones aren't let off; duplicates are counted, as one is one too many.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from coordi.data.leak_scores import auc, chance_spread, held_out_auc, position_features
from coordi.domain import SPLITS, CompatibilityQuestion, Dataset, Outfit

LeakName = Literal["order", "ids", "size", "duplicates", "titles"]
Questions = Mapping[str, Sequence[CompatibilityQuestion]]
Flags = npt.NDArray[np.bool_]

NEAR = 0.8
"""Share of common titles, of all titles of both, from which two outfits are nearly the same."""

_DEVIATIONS = 4.0
_LEAST_GAIN = 0.05
_SHUFFLES = 20
_STREAM = 121
_FEWEST = 20
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Leak:
    """One way in which answers leak.

    Attributes:
        name: What leaks: ``order`` of the items, ``ids``, ``size`` of outfits, ``duplicates`` of outfits across
            splits, or ``titles`` of single items across splits (common words make some of them unavoidable).
        where: The questions (their key) or the splits.
        detail: In a user's words, with the figures.
        auc: What a cheat reaches, in ``[0.5, 1]``; None for a leak that is counted.
        count: How many; None for a leak that is measured as AUC.
    """

    name: LeakName
    where: str
    detail: str
    auc: float | None = None
    count: int | None = None


def audit(dataset: Dataset, questions: Questions, texts: Mapping[str, str] | None = None) -> tuple[Leak, ...]:
    """Look for every leak that coordi knows.

    Args:
        dataset: Whose outfits are compared across splits.
        questions: By any name, such as ``"test random"``; fewer than 20 of a name are too few to measure.
        texts: What a prompt says of each item, by item id; ids are looked for in it.

    Returns:
        What was found; nothing for a clean set.
    """
    found: list[Leak] = []
    places = {item_id: place for place, item_id in enumerate(dataset.items)}
    for name, asked in questions.items():
        if len(asked) >= _FEWEST and len({question.compatible for question in asked}) == 2:
            found += _order(dataset, places, name, asked)
            found += _question_ids(name, asked)
            found += _size(name, asked)
    found += _ids_in_texts(dataset, texts or {})
    found += _duplicates(dataset)
    found += _titles(dataset)
    return tuple(found)


def _order(
    dataset: Dataset, places: Mapping[str, int], name: str, asked: Sequence[CompatibilityQuestion]
) -> list[Leak]:
    """Naive Bayes over (position, category), against the same after the order was destroyed; and ascending ids."""
    compatible, halves = _truth(asked), _halves(asked)
    orders = [[dataset.items[item_id].category for item_id in question.item_ids] for question in asked]
    seen = held_out_auc(position_features(orders), compatible, halves)
    generator = np.random.default_rng([_STREAM, len(asked)])
    destroyed = []
    for _ in range(_SHUFFLES):
        shuffled = [[order[int(place)] for place in generator.permutation(len(order))] for order in orders]
        destroyed.append(held_out_auc(position_features(shuffled), compatible, halves))
    usual = float(np.mean(destroyed))
    found = []
    if seen > usual + max(_LEAST_GAIN, _DEVIATIONS * float(np.std(destroyed))):
        detail = f"categories by position tell the answer: AUC {seen:.2f}, {usual:.2f} once shuffled; shuffle items"
        found.append(Leak("order", name, detail, auc=seen))
    ascending = np.array([_share_ascending([places[item_id] for item_id in question.item_ids]) for question in asked])
    gain = auc(ascending, compatible)
    if _is_leak(gain, compatible):
        detail = f"the source's order of items tells the answer: AUC {_either_way(gain):.2f}; shuffle items"
        found.append(Leak("order", name, detail, auc=_either_way(gain)))
    return found


def _question_ids(name: str, asked: Sequence[CompatibilityQuestion]) -> list[Leak]:
    """Words and the last number of a question's id, and its place in the sequence."""
    compatible, halves = _truth(asked), _halves(asked)
    words = [
        {f"word {word.lower()}" for word in re.findall(r"[A-Za-z]+", question.id)}
        | {f"id is {'odd' if _last_number(question.id) % 2 else 'even'}", f"place is {place % 2}"}
        for place, question in enumerate(asked)
    ]
    names = sorted(set().union(*words))
    features = np.array([[word in mine for word in names] for mine in words], dtype=np.float64)  # (Q, F)
    numbers = np.array([_last_number(question.id) for question in asked], dtype=np.float64)
    gains = {
        "words and parity of question ids": held_out_auc(features, compatible, halves),
        "numbers of question ids": auc(numbers, compatible),
        "places of questions": auc(np.arange(len(asked), dtype=np.float64), compatible),
    }
    return [
        Leak("ids", name, f"{what} tell the answer: AUC {_either_way(gain):.2f}; number them after shuffling",
             auc=_either_way(gain))
        for what, gain in gains.items()
        if _is_leak(gain, compatible)
    ]  # fmt: skip


def _size(name: str, asked: Sequence[CompatibilityQuestion]) -> list[Leak]:
    compatible = _truth(asked)
    gain = auc(np.array([len(question.item_ids) for question in asked], dtype=np.float64), compatible)
    if not _is_leak(gain, compatible):
        return []
    detail = f"the number of items tells the answer: AUC {_either_way(gain):.2f}; make negatives as long as positives"
    return [Leak("size", name, detail, auc=_either_way(gain))]


def _ids_in_texts(dataset: Dataset, texts: Mapping[str, str]) -> list[Leak]:
    """Ids with a digit in them; a photo's id may rightly be made of the words that are its title."""
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
    detail = f"{len(cases)} texts hold the item's or its outfit's id ({_shown(cases)}); leave ids out of prompts"
    return [Leak("ids", "texts", detail, count=len(cases))]


def _names(text: str, own: str) -> bool:
    if len(own) < 3 or not re.search(r"\d", own) or own not in text:
        return False
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(own)}(?![A-Za-z0-9])", text) is not None


def _duplicates(dataset: Dataset) -> list[Leak]:
    """The same outfit id, the same items, the same titles, or nearly the same titles, in two splits."""
    found = []
    for one, other in combinations(SPLITS, 2):
        earlier, later = dataset.outfits_of(one), dataset.outfits_of(other)
        known_ids = {outfit.id for outfit in earlier}
        known_items = {frozenset(outfit.item_ids) for outfit in earlier}
        bags = [_titles_of(dataset, outfit) for outfit in earlier]
        where_title_is = _index(bags)
        same: list[str] = []
        near: list[str] = []
        for outfit in later:
            closest = _closest(_titles_of(dataset, outfit), bags, where_title_is)
            if outfit.id in known_ids or frozenset(outfit.item_ids) in known_items or closest == 1:
                same.append(outfit.id)
            elif closest >= NEAR:
                near.append(outfit.id)
        for cases, what in ((same, "are"), (near, "are nearly")):
            if cases:
                share = len(cases) / len(later)
                detail = f"{len(cases)} of {len(later)} {other} outfits ({share:.1%}) {what} in {one}: {_shown(cases)}"
                found.append(Leak("duplicates", f"{one} and {other}", detail, count=len(cases)))
    return found


def _closest(bag: Counter[str], bags: Sequence[Counter[str]], where_title_is: Mapping[str, Sequence[int]]) -> float:
    """Largest Jaccard index of multisets with any of ``bags``."""
    rivals = {place for title in bag for place in where_title_is.get(title, ())}
    return max(((bag & bags[place]).total() / (bag | bags[place]).total() for place in rivals), default=0.0)


def _index(bags: Sequence[Counter[str]]) -> dict[str, list[int]]:
    index: dict[str, list[int]] = {}
    for place, bag in enumerate(bags):
        for title in bag:
            index.setdefault(title, []).append(place)
    return index


def _titles(dataset: Dataset) -> list[Leak]:
    """Items of valid and test whose title the training split holds too; reported, never dropped."""
    by_split = {
        split: {
            item_id: dataset.items[item_id].title.casefold()
            for outfit in dataset.outfits_of(split)
            for item_id in outfit.item_ids
            if dataset.items[item_id].title
        }
        for split in SPLITS
    }
    trained = set(by_split["train"].values())
    found = []
    for split in SPLITS[1:]:
        known = sorted({title for title in by_split[split].values() if title in trained})
        count = sum(title in trained for title in by_split[split].values())
        if count:
            total = len(by_split[split])
            detail = (
                f"{count} of {total} {split} items ({count / total:.1%}) have a title that train has: {_shown(known)}"
            )
            found.append(Leak("titles", f"train and {split}", detail, count=count))
    return found


def _titles_of(dataset: Dataset, outfit: Outfit) -> Counter[str]:
    return Counter(dataset.items[item_id].title.casefold() or f"\0{item_id}" for item_id in outfit.item_ids)


def _truth(asked: Sequence[CompatibilityQuestion]) -> Flags:
    return np.array([question.compatible for question in asked])  # (Q,)


def _halves(asked: Sequence[CompatibilityQuestion]) -> Flags:
    """Half of the outfits, so that no outfit is both learned from and tested on."""
    outfits = sorted({question.outfit_id for question in asked})
    order = np.random.default_rng([_STREAM, 1]).permutation(len(outfits))
    learned = {outfits[int(place)] for place in order[: len(outfits) // 2]}
    return np.array([question.outfit_id in learned for question in asked])  # (Q,)


def _is_leak(gain: float, compatible: Flags) -> bool:
    return abs(gain - 0.5) > max(_LEAST_GAIN, _DEVIATIONS * chance_spread(compatible))


def _either_way(gain: float) -> float:
    return max(gain, 1 - gain)


def _share_ascending(places: Sequence[int]) -> float:
    pairs = list(pairwise(places))
    return sum(one < other for one, other in pairs) / max(len(pairs), 1)


def _last_number(text: str) -> int:
    numbers = re.findall(r"\d+", text)
    return int(numbers[-1]) if numbers else 0


def _shown(cases: Sequence[str]) -> str:
    more = f" and {len(cases) - _SHOWN} more" if len(cases) > _SHOWN else ""
    return ", ".join(cases[:_SHOWN]) + more
