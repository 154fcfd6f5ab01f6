"""Splits by outfit or by item, without duplicates across them."""

from __future__ import annotations

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from coordi.config import DataSettings
from coordi.data.source import Funnel, SourceItem, SourceOutfit, title_key, title_set
from coordi.errors import DataError
from coordi.types import SPLITS, RandomStream, Split

_EVALUATION_SPLITS: tuple[Split, ...] = ("test", "valid")


def assign_disjoint_splits(
    outfits: Sequence[SourceOutfit],
    items: Mapping[str, SourceItem],
    shares: Mapping[Split, float],
    drawn: Callable[[str], bytes],
    funnel: Funnel,
) -> list[SourceOutfit]:
    """Draw a split for every outfit, whatever it had, with about these shares."""
    near = _neighbours(outfits, items)
    order = sorted(range(len(outfits)), key=lambda each: drawn(outfits[each].id))
    splits = _deal_groups(near, order, {split: shares[split] * len(outfits) for split in _EVALUATION_SPLITS})
    _GreedySplit(splits, near, order).fill(shares)
    left_out = [outfit.id for outfit, split in zip(outfits, splits, strict=True) if split is None]
    funnel.drop("outfits", "shares an item or title with another split (data.split=item-disjoint)", left_out)
    for split in SPLITS:
        if split not in splits:
            raise DataError(
                f"{len(outfits)} outfits can't be drawn into train, valid and test without common items: {split} would "
                "be empty, as they are too few or share too much; use data.split=outfit-disjoint, or add outfits"
            )
    return [replace(outfit, split=split) for outfit, split in zip(outfits, splits, strict=True) if split is not None]


def _neighbours(outfits: Sequence[SourceOutfit], items: Mapping[str, SourceItem]) -> list[set[int]]:
    # A title and an id never meet: the key of an untitled item is its id behind a character no title has.
    keys = [{key for name in outfit.item_ids for key in (f"\0{name}", title_key(items[name]))} for outfit in outfits]
    outfits_with: dict[str, list[int]] = defaultdict(list)
    for position, own in enumerate(keys):
        for key in own:
            outfits_with[key].append(position)
    return [{other for key in own for other in outfits_with[key]} - {each} for each, own in enumerate(keys)]


def _deal_groups(near: Sequence[set[int]], order: Sequence[int], quotas: Mapping[Split, float]) -> list[Split | None]:
    """Outfits that share something, even through others, go together: to test or valid if it has room, else train."""
    splits: list[Split | None] = ["train"] * len(near)
    room = {split: max(round(quota), 1) for split, quota in quotas.items()}
    grouped: set[int] = set()
    for first in order:
        if first in grouped:
            continue
        group = [first]
        grouped.add(first)
        for position in group:  # it grows on the way
            group += near[position] - grouped
            grouped |= near[position]
        for split in _EVALUATION_SPLITS:
            if len(group) <= room[split]:
                room[split] -= len(group)
                for position in group:
                    splits[position] = split
                break
    return splits


class _GreedySplit:
    """Moves outfits out of training, cheapest first; those that share something with them can't stay there."""

    def __init__(self, splits: list[Split | None], near: Sequence[set[int]], order: Sequence[int]) -> None:
        self._splits = splits
        self._near = near
        self._rank = {position: rank for rank, position in enumerate(order)}
        # How many outfits would be claimed by moving this one; it only falls, as more and more are claimed already.
        self._cost = {each: len(near[each]) for each in order if splits[each] == "train"}
        self._heap = [(cost, self._rank[position], position) for position, cost in self._cost.items()]
        heapq.heapify(self._heap)
        self._claimed: dict[int, Split | None] = {}  # None: by both, so it is lost
        self._sizes = {split: splits.count(split) for split in _EVALUATION_SPLITS}
        self._lost = 0

    def fill(self, shares: Mapping[Split, float]) -> None:
        """Move outfits until test and validation have their shares of what is left, or none can be moved."""
        while self._heap and any(self._shortage(split, shares) > 0 for split in _EVALUATION_SPLITS):
            cost, _, position = heapq.heappop(self._heap)
            if cost != self._cost.get(position):
                continue  # it has become cheaper, and stands further up too
            del self._cost[position]
            shortest = max(_EVALUATION_SPLITS, key=lambda split: self._shortage(split, shares))
            split = self._claimed.get(position, shortest)
            if split is not None and self._shortage(split, shares) > 0:
                self._move(position, split)
        for position in self._claimed:
            if self._splits[position] == "train":
                self._splits[position] = None

    def _shortage(self, split: Split, shares: Mapping[Split, float]) -> float:
        """Missing part of a split's share; 0 or less for a full one, though never for an empty one."""
        wanted = max(shares[split] * (len(self._splits) - self._lost), 1)
        return 1 - self._sizes[split] / wanted

    def _move(self, position: int, split: Split) -> None:
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
        for other in self._near[position]:
            if other in self._cost:
                self._cost[other] -= 1
                heapq.heappush(self._heap, (self._cost[other], self._rank[other], other))


_SHARES: Mapping[Split, float] = {"train": 0.7, "valid": 0.1, "test": 0.2}
_STRENGTH: Mapping[Split | None, int] = {"test": 0, "valid": 1, "train": 2, None: 3}


def draw_splits(
    outfits: Sequence[SourceOutfit], items: Mapping[str, SourceItem], settings: DataSettings, seed: int, funnel: Funnel
) -> list[SourceOutfit]:
    """Give every outfit a split, as ``settings.split`` says; duplicates are left out first."""
    if settings.split == "released":
        return assign_splits(drop_duplicates(outfits, items, funnel), seed)
    anew = drop_duplicates([replace(outfit, split=None) for outfit in outfits], items, funnel)
    if not anew:
        return []
    if settings.split == "item-disjoint":
        return assign_disjoint_splits(anew, items, _SHARES, lambda outfit_id: _drawn(outfit_id, seed), funnel)
    if len(anew) < len(SPLITS):
        raise DataError(
            f"{len(anew)} outfits can't be drawn into {len(SPLITS)} splits (data.split={settings.split}); add outfits"
        )
    return assign_splits(anew, seed)


def drop_duplicates(
    outfits: Sequence[SourceOutfit], items: Mapping[str, SourceItem], funnel: Funnel
) -> list[SourceOutfit]:
    """Leave out outfits whose sorted titles are those of another, whatever the ids: a model that reads titles can't
    tell them apart. Test wins over valid, valid over train. An item without a title counts by its id.
    """
    first: dict[tuple[str, ...], SourceOutfit] = {}
    across = "the same titles as an outfit of another split (test wins over valid, valid over train)"
    repeated: dict[str, list[str]] = {"the same titles as another outfit of its split": [], across: []}
    twice, others = repeated.values()
    for outfit in sorted(outfits, key=lambda each: _STRENGTH[each.split]):
        earlier = first.setdefault(title_set(outfit.item_ids, items), outfit)
        if earlier is not outfit:
            (twice if earlier.split == outfit.split else others).append(outfit.id)
    for reason, names in repeated.items():
        funnel.drop("outfits", reason, names)
    left_out = {*twice, *others}
    return [outfit for outfit in outfits if outfit.id not in left_out]


def assign_splits(outfits: Sequence[SourceOutfit], seed: int) -> list[SourceOutfit]:
    """Draw a split, 70/10/20, for each outfit that has none; from three outfits on, no split stays empty. A hash of
    seed and id decides, so that an outfit mostly keeps its split when a catalogue grows.
    """
    order = sorted((outfit.id for outfit in outfits if outfit.split is None), key=lambda name: _drawn(name, seed))
    tests = max(round(len(order) * _SHARES["test"]), min(len(order), 1))
    valids = max(round(len(order) * _SHARES["valid"]), 1 if len(order) > 2 else 0)
    drawn: dict[str, Split] = dict.fromkeys(order, "train")
    drawn |= dict.fromkeys(order[:tests], "test")
    drawn |= dict.fromkeys(order[tests : tests + valids], "valid")
    return [replace(outfit, split=outfit.split or drawn[outfit.id]) for outfit in outfits]


def _drawn(outfit_id: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{RandomStream.SPLIT:d}\0{outfit_id}".encode()).digest()


def outfit_caps(settings: DataSettings) -> Mapping[Split, int | None]:
    """Maximum outfits of each split."""
    return {"train": settings.train_outfits, "valid": settings.valid_outfits, "test": settings.test_outfits}


def cap_splits(
    outfits: Sequence[SourceOutfit], settings: DataSettings, seed: int, funnel: Funnel
) -> list[SourceOutfit]:
    """Keep at most so many outfits of each split as the settings ask for, drawn with the seed, in their order. A
    smaller cap keeps a subset of what a larger one keeps.
    """
    caps = outfit_caps(settings)
    left_aside: set[str] = set()
    for stream, split in enumerate(SPLITS):
        ids = [outfit.id for outfit in outfits if outfit.split == split]
        cap = caps[split]
        if cap is not None and outfits and cap > len(ids):
            reason = f"lacking in the {split} split: {split}_outfits={cap} was asked for, but it has {len(ids)}"
            funnel.note("outfits", reason, cap - len(ids))
        if cap is None or cap >= len(ids):
            continue
        order = np.random.default_rng([seed, RandomStream.SPLIT_CAP, stream]).permutation(len(ids))
        aside = {ids[int(position)] for position in order[cap:]}
        funnel.drop("outfits", f"left aside: {split}_outfits={cap} was asked for", len(aside))
        left_aside |= aside
    return [outfit for outfit in outfits if outfit.id not in left_aside]
