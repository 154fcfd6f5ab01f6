"""What two splits share: outfits, items, titles and photos; and what a model gains that remembers them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from coordi.data.leaks.facts import Asked
from coordi.data.leaks.ids import shown
from coordi.data.leaks.leak import Leak, LeakName
from coordi.data.leaks.outfits import Outfits
from coordi.data.leaks.photos import Print, fingerprints, twins_by_photo
from coordi.data.leaks.scores import Floats, auc
from coordi.data.leaks.titles import Twins, twins_by_title
from coordi.domain import SPLITS, Dataset, Item, Outfit, Split
from coordi.progress import Progress, silent


@dataclass(frozen=True)
class TwoSplits:
    """A split, a later one, and the questions that are asked of the later one's outfits.

    The earlier one is what a model may have learned from, or was chosen on.
    """

    dataset: Dataset
    one: Split
    other: Split
    asked: Sequence[Asked]

    @cached_property
    def earlier(self) -> tuple[Outfit, ...]:
        """Outfits of the earlier split."""
        return self.dataset.outfits_of(self.one)

    @cached_property
    def later(self) -> tuple[Outfit, ...]:
        """Outfits of the later split."""
        return self.dataset.outfits_of(self.other)

    @cached_property
    def known(self) -> Outfits:
        """Outfits of the earlier split by their titles."""
        return Outfits((outfit.item_ids for outfit in self.earlier), self.dataset.items)

    @cached_property
    def outfits_with(self) -> Mapping[str, Sequence[int]]:
        """Earlier outfits, by number, that hold an item."""
        found: dict[str, list[int]] = {}
        for number, outfit in enumerate(self.earlier):
            for item_id in outfit.item_ids:
                found.setdefault(item_id, []).append(number)
        return found

    def items_of(self, split: Split) -> list[Item]:
        """Items of a split's outfits, each once."""
        ids = dict.fromkeys(item_id for outfit in self.dataset.outfits_of(split) for item_id in outfit.item_ids)
        return [self.dataset.items[item_id] for item_id in ids]

    @property
    def where(self) -> str:
        """Both, for ``Leak.where``."""
        return f"{self.one} and {self.other}"


def pairs_of_splits(dataset: Dataset, asked: Sequence[Asked]) -> list[TwoSplits]:
    """Every two splits that have outfits, with the questions of the later one."""
    return [
        TwoSplits(dataset, one, other, [part for part in asked if part.split == other])
        for one, other in combinations(SPLITS, 2)
        if dataset.outfits_of(one) and dataset.outfits_of(other)
    ]


def duplicate_outfits(splits: TwoSplits) -> list[Leak]:
    """The same outfit id, the same items, the same titles, or nearly the same titles, in both."""
    known_ids = {outfit.id for outfit in splits.earlier}
    known_items = {frozenset(outfit.item_ids) for outfit in splits.earlier}
    same: list[str] = []
    near: list[str] = []
    for outfit in splits.later:
        likeness = splits.known.likeness(outfit.item_ids)
        if outfit.id in known_ids or frozenset(outfit.item_ids) in known_items or likeness == 1:
            same.append(outfit.id)
        elif likeness:
            near.append(outfit.id)
    found = []
    for cases, what in ((same, "are"), (near, "are nearly")):
        if cases:
            detail = f"{_part(cases, splits.later, splits.other, 'outfits')} {what} in {splits.one}: {shown(cases)}"
            scores = {part.name: _recognised(part, splits) for part in splits.asked}
            found.append(_worth(Leak("duplicates", splits.where, detail, count=len(cases)), splits, scores))
    return found


def trained_questions(splits: TwoSplits) -> list[Leak]:
    """Questions that ask of an outfit of the earlier split."""
    known_ids = {outfit.id for outfit in splits.earlier}
    found = []
    for part in splits.asked:
        cases = [question.id for question in part.questions if question.outfit_id in known_ids]
        if cases:
            detail = f"{_part(cases, part.questions, part.name, 'questions')} ask of outfits of {splits.one}"
            scores = {part.name: _recognised(part, splits)}
            found.append(_worth(Leak("duplicates", part.name, detail, count=len(cases)), splits, scores))
    return found


def shared_items(splits: TwoSplits) -> list[Leak]:
    """Items that both hold, as they are."""
    known = {item.id for item in splits.items_of(splits.one)}
    twins: Twins = {item.id: (item.id,) for item in splits.items_of(splits.other) if item.id in known}
    return _shared(splits, "items", twins, f"are in {splits.one} too")


def shared_titles(splits: TwoSplits) -> list[Leak]:
    """Titles that both hold, or nearly; reported, never dropped, as common words make some unavoidable."""
    same, near = twins_by_title(splits.items_of(splits.one), splits.items_of(splits.other))
    return [
        *_shared(splits, "titles", same, f"have a title that {splits.one} has"),
        *_shared(splits, "titles", near, f"have nearly a title that {splits.one} has (a word or its place differs)"),
    ]


def shared_photos(pairs: Sequence[TwoSplits], progress: Progress = silent) -> list[Leak]:
    """Photos that two splits hold, or nearly; each is opened once, and those that can't be opened are counted."""
    if not pairs:
        return []
    items = {item.id: item for splits in pairs for part in (splits.one, splits.other) for item in splits.items_of(part)}
    prints, unreadable = fingerprints(items.values(), progress)
    found = []
    for splits in pairs:
        earlier, later = (_prints_of(splits.items_of(part), prints) for part in (splits.one, splits.other))
        same, near = twins_by_photo(earlier, later)
        found += _shared(splits, "photos", same, f"have a photo that {splits.one} has")
        found += _shared(splits, "photos", near, f"have nearly a photo that {splits.one} has (saved anew)")
    if unreadable:
        detail = f"{len(unreadable)} photos can't be opened, so they weren't compared: {shown(unreadable)}"
        found.append(Leak("photos", "photos", detail, count=len(unreadable)))
    return found


def _prints_of(items: Sequence[Item], prints: Mapping[str, Print]) -> dict[str, Print]:
    return {item.id: prints[item.id] for item in items if item.id in prints}


def _shared(splits: TwoSplits, name: LeakName, twins: Twins, what: str) -> list[Leak]:
    if not twins:
        return []
    items = splits.dataset.items
    known = sorted({items[item_id].title or item_id for item_id in twins})
    detail = f"{_part(twins, splits.items_of(splits.other), splits.other, 'items')} {what}: {shown(known)}"
    scores = {part.name: _together(part, twins, splits.outfits_with) for part in splits.asked}
    return [_worth(Leak(name, splits.where, detail, count=len(twins)), splits, scores)]


def _worth(leak: Leak, splits: TwoSplits, scores: Mapping[str, Floats]) -> Leak:
    """The leak with the AUC of a memoriser, on the questions where it is worth most."""
    gains = {part.name: auc(scores[part.name], part.compatible) for part in splits.asked if part.name in scores}
    if not gains:
        return leak
    where, reached = max(gains.items(), key=lambda gain: gain[1])
    detail = f"{leak.detail}; a memoriser of them gets AUC {max(reached, 0.5):.2f} on '{where}'"
    return replace(leak, detail=detail, auc=max(reached, 0.5), chance=0.5)


def _recognised(asked: Asked, splits: TwoSplits) -> Floats:
    """1 for a question whose items are, or nearly are, an outfit of the earlier split."""
    return np.array([splits.known.likeness(question.item_ids) > 0 for question in asked.questions], dtype=np.float64)


def _together(asked: Asked, twins: Twins, outfits_with: Mapping[str, Sequence[int]]) -> Floats:
    """Largest share of a question's items whose twins stand together in one earlier outfit, shape ``(Q,)``."""
    homes = {item_id: {number for twin in known for number in outfits_with[twin]} for item_id, known in twins.items()}
    scores = np.zeros(len(asked.questions))
    for row, question in enumerate(asked.questions):
        held = Counter(number for item_id in question.item_ids for number in homes.get(item_id, ()))
        most = max(held.values(), default=0)
        scores[row] = most / len(question.item_ids) if most > 1 else 0.0
    return scores


def _part(cases: Sized, all_of_them: Sized, split: str, unit: str) -> str:
    return f"{len(cases)} of {len(all_of_them)} {split} {unit} ({len(cases) / len(all_of_them):.1%})"
