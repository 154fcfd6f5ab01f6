"""Splits without a common item: no item, and no title, is in outfits of two of them.

Outfits that share an item or a title, straight or through others, make a group. Groups are dealt out whole, so nothing
is left out while enough of them are small. Where one group holds most outfits, outfits are taken out of it, always the
one whose taking cuts off fewest others; those that then share something with two splits are left out. That is greedy:
it leaves out few, not always the fewest. Either way outfits of test and validation wear rarer things than training's.

References:
    Vasileva et al., Learning Type-Aware Embeddings for Fashion Compatibility, 2018 (the disjoint version).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from coordi.data.funnel import Funnel, with_examples
from coordi.data.source import SourceItem, SourceOutfit, title_key
from coordi.domain import SPLITS, Split
from coordi.errors import DataError

_HELD_OUT: tuple[Split, ...] = ("test", "valid")


def assign_disjoint_splits(
    outfits: Sequence[SourceOutfit],
    items: Mapping[str, SourceItem],
    shares: Mapping[Split, float],
    drawn: Callable[[str], bytes],
    funnel: Funnel,
) -> list[SourceOutfit]:
    """Draw a split for every outfit, whatever it had; about in the shares asked for.

    Args:
        outfits: Those that are left after cleaning.
        items: By id; their titles count too, empty ones don't.
        shares: Of each split; they add up to 1.
        drawn: Order of equals, by outfit id.
        funnel: Counts outfits that are left out, as they share an item or title with two splits.

    Raises:
        DataError: If a split stays empty.
    """
    sharing = _Sharing(outfits, items)
    order = sorted(range(len(outfits)), key=lambda each: drawn(outfits[each].id))
    quotas = {split: max(round(shares[split] * len(outfits)), 1) for split in _HELD_OUT}
    splits = _deal_groups(sharing.groups(order), quotas)
    _Taking(splits, sharing, order).fill(shares)
    left_out = [outfits[each].id for each in range(len(outfits)) if splits[each] is None]
    reason = "shares an item or title with another split (data.split=item-disjoint)"
    funnel.drop("outfits", with_examples(reason, left_out), len(left_out))
    for split in SPLITS:
        if split not in splits:
            raise DataError(
                f"{len(outfits)} outfits can't be drawn into train, valid and test without common items: {split} would "
                "be empty, as they are too few or share too much; use data.split=outfit-disjoint, or add outfits"
            )
    return [replace(outfit, split=split) for outfit, split in zip(outfits, splits, strict=True) if split is not None]


class _Sharing:
    """Which outfits, by position, wear which item or title."""

    def __init__(self, outfits: Sequence[SourceOutfit], items: Mapping[str, SourceItem]) -> None:
        # A title and an id never meet: the key of an untitled item is its id behind a character no title has.
        self.keys = [
            {key for name in outfit.item_ids for key in (f"\0{name}", title_key(items[name]))} for outfit in outfits
        ]
        self.wearing: dict[str, list[int]] = {}
        for position, keys in enumerate(self.keys):
            for key in keys:
                self.wearing.setdefault(key, []).append(position)

    def groups(self, order: Sequence[int]) -> list[list[int]]:
        """Outfits that share something, straight or through others, in the order of their first."""
        found: list[list[int]] = []
        seen: set[int] = set()
        for first in order:
            if first in seen:
                continue
            group = [first]
            seen.add(first)
            for position in group:
                for other in self.beside(position):
                    if other not in seen:
                        seen.add(other)
                        group.append(other)
            found.append(group)
        return found

    def beside(self, position: int) -> list[int]:
        """Outfits that share something with this one, itself included; one may come twice."""
        return [other for key in self.keys[position] for other in self.wearing[key]]


def _deal_groups(groups: Sequence[Sequence[int]], quotas: Mapping[Split, int]) -> list[Split | None]:
    """Whole groups go to the first of test and validation that has room for them, else to training."""
    splits: list[Split | None] = ["train"] * sum(len(group) for group in groups)
    room = dict(quotas)
    for group in groups:
        for split in _HELD_OUT:
            if len(group) <= room[split]:
                room[split] -= len(group)
                for position in group:
                    splits[position] = split
                break
    return splits


class _Taking:
    """Outfits taken out of training, cheapest first; who shares something with them can't stay there."""

    def __init__(self, splits: list[Split | None], sharing: _Sharing, order: Sequence[int]) -> None:
        self._splits = splits
        self._near = {each: set(sharing.beside(each)) - {each} for each in order if splits[each] == "train"}
        self._rank = {position: rank for rank, position in enumerate(order)}
        # How many outfits would be claimed by taking this one; it only falls, as ever more are claimed already.
        self._cost = {position: len(near) for position, near in self._near.items()}
        self._heap = [(cost, self._rank[position], position) for position, cost in self._cost.items()]
        heapq.heapify(self._heap)
        self._claimed: dict[int, Split | None] = {}  # None: by both, so it is lost
        self._sizes = {split: splits.count(split) for split in _HELD_OUT}
        self._lost = 0

    def fill(self, shares: Mapping[Split, float]) -> None:
        """Take outfits until test and validation have their shares of what is kept, or none can be taken."""
        while self._heap and any(self._shortage(split, shares) > 0 for split in _HELD_OUT):
            cost, _, position = heapq.heappop(self._heap)
            if cost != self._cost.get(position):
                continue  # it has become cheaper, and stands further up too
            del self._cost[position]
            shortest = max(_HELD_OUT, key=lambda split: self._shortage(split, shares))
            split = self._claimed.get(position, shortest)
            if split is not None and self._shortage(split, shares) > 0:
                self._take(position, split)
        for position in self._claimed:
            if self._splits[position] == "train":
                self._splits[position] = None

    def _shortage(self, split: Split, shares: Mapping[Split, float]) -> float:
        """Which part of its share a split lacks; 0 or less for one that is full, though never for an empty one."""
        wanted = max(shares[split] * (len(self._splits) - self._lost), 1)
        return 1 - self._sizes[split] / wanted

    def _take(self, position: int, split: Split) -> None:
        self._splits[position] = split
        self._sizes[split] += 1
        if position in self._claimed:
            self._lost -= 1
        else:
            self._make_nearer_cheaper(position)
        for other in self._near[position]:
            if self._splits[other] == "train":
                self._claim(other, split)

    def _claim(self, position: int, split: Split) -> None:
        if position not in self._claimed:
            self._claimed[position] = split
            self._lost += 1
            self._make_nearer_cheaper(position)
        elif self._claimed[position] != split:
            self._claimed[position] = None

    def _make_nearer_cheaper(self, position: int) -> None:
        """Note that an outfit isn't free any more, so that those near it have one fewer to claim."""
        for other in self._near[position]:
            if other in self._cost:
                self._cost[other] -= 1
                heapq.heappush(self._heap, (self._cost[other], self._rank[other], other))
