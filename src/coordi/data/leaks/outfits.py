"""The outfit of a split that is most like another outfit, by the titles of their items."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from coordi.data.leaks.titles import words_of
from coordi.domain import Item

NEAR = 0.8
"""Share of common titles, of all titles of both, from which two outfits are nearly the same."""

_Titles = frozenset[tuple[object, ...]]


class Outfits:
    """Outfits as sets of titles, kept so that those nearly the same as a given one are found without a look at all.

    Titles are compared without case, punctuation and order of words; an item without a title counts by its id.

    References:
        Bayardo et al., Scaling Up All Pairs Similarity Search, 2007: of two sets whose Jaccard index is ``NEAR`` or
        more, the rarest few members of each have one in common.
    """

    def __init__(self, outfits: Iterable[Sequence[str]], items: Mapping[str, Item]) -> None:
        self._items = items
        self._sets = [self._titles(outfit) for outfit in outfits]
        self._frequency = Counter(title for titles in self._sets for title in titles)
        self._with: dict[tuple[object, ...], list[int]] = {}
        for number, titles in enumerate(self._sets):
            for title in self._rarest(titles):
                self._with.setdefault(title, []).append(number)

    def likeness(self, item_ids: Sequence[str]) -> float:
        """Largest share of common titles with any outfit, if it is ``NEAR`` or more; else 0."""
        titles = self._titles(item_ids)
        rivals = {number for title in self._rarest(titles) for number in self._with.get(title, ())}
        most = max((len(titles & self._sets[rival]) / len(titles | self._sets[rival]) for rival in rivals), default=0.0)
        return most if most >= NEAR else 0.0

    def _titles(self, item_ids: Sequence[str]) -> _Titles:
        """Titles, each with how often it came before in the outfit."""
        seen: Counter[tuple[object, ...]] = Counter()
        titles = []
        for item_id in item_ids:
            title: tuple[object, ...] = words_of(self._items[item_id].title) or ("\0", item_id)
            titles.append((*title, seen[title]))
            seen[title] += 1
        return frozenset(titles)

    def _rarest(self, titles: _Titles) -> list[tuple[object, ...]]:
        ordered = sorted(titles, key=lambda title: (self._frequency[title], repr(title)))
        # A hair less, as 0.8 * 5 may come out above 4.
        return ordered[: len(titles) - math.ceil(NEAR * len(titles) - 1e-9) + 1]
