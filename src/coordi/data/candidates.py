"""Items of other outfits, to be drawn in place of an outfit's own."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from coordi.domain import Dataset, Item, Outfit, Protocol

MIN_SAME_KIND = 4
_QUICK_TRIES = 12

# The number of an outfit within its split, and an item of it.
Occurrence = tuple[int, Item]
Pool = Sequence[Occurrence]


class Candidates:
    """Every occurrence of an item in the outfits of one split, by worn category and by kind."""

    def __init__(self, dataset: Dataset, outfits: Sequence[Outfit]) -> None:
        self._items = dataset.items
        self.everything: Pool = [
            (number, dataset.items[item_id]) for number, outfit in enumerate(outfits) for item_id in outfit.item_ids
        ]
        self._worn = Counter(item.id for _, item in self.everything)
        self._by_category: dict[str, list[Occurrence]] = defaultdict(list)
        self._by_kind: dict[tuple[str, str], list[Occurrence]] = defaultdict(list)
        self._of_rare_kind: dict[str, list[Occurrence]] = defaultdict(list)
        self._outfits_of: dict[str, set[int]] = defaultdict(set)
        for number, item in self.everything:
            self._by_category[item.category].append((number, item))
            self._by_kind[item.category, item.kind].append((number, item))
        for number, item in self.everything:
            if len(self._by_kind[item.category, item.kind]) <= MIN_SAME_KIND:
                self._of_rare_kind[item.category].append((number, item))
        for number, outfit in enumerate(dataset.outfits):
            for item_id in outfit.item_ids:
                self._outfits_of[item_id].add(number)

    def pools(self, item_id: str, outfit: Outfit, protocol: Protocol) -> tuple[Pool, ...]:
        """Where an item in place of ``item_id`` may come from, best first.

        In place of one of a rare kind comes another of a rare kind where there is one: drawn from the whole category,
        negatives would hold fewer rare kinds than outfits do, which told them apart with AUC 0.59 on Maryland outfits.
        """
        if protocol == "random":
            return (self.everything,)
        item = self._items[item_id]
        same_kind = self._by_kind[item.category, item.kind]
        own = (self._items[name] for name in set(outfit.item_ids))
        mine = sum(self._worn[one.id] for one in own if (one.category, one.kind) == (item.category, item.kind))
        others = len(same_kind) - mine
        if others >= MIN_SAME_KIND:
            return same_kind, self._by_category[item.category]
        return self._of_rare_kind[item.category], self._by_category[item.category]

    def of_category(self, item_id: str) -> Pool:
        """Occurrences of all items of an item's worn category, itself included."""
        return self._by_category[self._items[item_id].category]

    def are_together(self, item_ids: Sequence[str]) -> bool:
        """Whether some outfit of any split holds all of them, so that they do go together."""
        return bool(set.intersection(*(self._outfits_of[item_id] for item_id in item_ids)))

    def without(self, outfit: Outfit) -> Taken:
        """Start drawing in place of an outfit's items."""
        return Taken([self._items[item_id] for item_id in outfit.item_ids])


class Taken:
    """What was drawn in place of one outfit's items, so that nothing comes twice."""

    def __init__(self, own: Sequence[Item]) -> None:
        self._ids = {item.id for item in own}
        self._titles = {item.title.casefold() for item in own if item.title}
        self._outfits: set[int] = set()
        self._drawn: list[str] = []

    @property
    def drawn(self) -> tuple[str, ...]:
        """Ids of the items drawn so far, in order."""
        return tuple(self._drawn)

    def draw(self, pool: Pool, generator: np.random.Generator) -> str | None:
        """Draw an item that is new, from an outfit that is new if there is one; None if the pool has no new item."""
        found = self._quick(pool, generator)
        if found is None:
            fresh = [occurrence for occurrence in pool if self._is_new(occurrence[1])]
            better = [occurrence for occurrence in fresh if occurrence[0] not in self._outfits]
            rest = better or fresh
            if not rest:
                return None
            found = rest[int(generator.integers(len(rest)))]
        number, item = found
        self._outfits.add(number)
        self._ids.add(item.id)
        if item.title:
            self._titles.add(item.title.casefold())
        self._drawn.append(item.id)
        return item.id

    def _quick(self, pool: Pool, generator: np.random.Generator) -> Occurrence | None:
        """Most draws are fine at once; only then is the pool gone through."""
        if not pool:
            return None
        for position in generator.integers(len(pool), size=_QUICK_TRIES):
            number, item = pool[int(position)]
            if number not in self._outfits and self._is_new(item):
                return number, item
        return None

    def _is_new(self, item: Item) -> bool:
        return item.id not in self._ids and item.title.casefold() not in self._titles
