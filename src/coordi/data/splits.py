"""Outfits into splits: duplicates dropped, splits drawn where the source has none or anew, and caps, with the seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from coordi.config import DataSettings
from coordi.data.funnel import Funnel, with_examples
from coordi.data.item_splits import assign_disjoint_splits
from coordi.data.source import SourceItem, SourceOutfit, title_key
from coordi.domain import SPLITS, Split
from coordi.errors import DataError

_SHARES: Mapping[Split, float] = {"train": 0.7, "valid": 0.1, "test": 0.2}
_SPLIT_STREAM, _CAP_STREAM = 101, 102
_STRENGTH: Mapping[Split | None, int] = {"test": 0, "valid": 1, "train": 2, None: 3}


def draw_splits(
    outfits: Sequence[SourceOutfit], items: Mapping[str, SourceItem], settings: DataSettings, seed: int, funnel: Funnel
) -> list[SourceOutfit]:
    """Give every outfit a split, as ``settings.split`` says; duplicates are left out first.

    Args:
        outfits: With the source's splits, or None.
        items: By id.
        settings: ``released`` keeps splits that there are; the others forget them.
        seed: Of what is drawn.
        funnel: Counts outfits that are left out.

    Raises:
        DataError: If splits that are drawn anew can't all have an outfit.
    """
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
    """Leave out outfits whose titles are those of another; the test split wins over valid, valid over train.

    Two outfits are the same if the sorted titles of their items are, whatever the ids: a model that reads titles
    can't tell them apart. An item without a title counts by its id.
    """
    first: dict[tuple[str, ...], SourceOutfit] = {}
    twice: list[str] = []
    across: list[str] = []
    kept: set[str] = set()
    for outfit in sorted(outfits, key=lambda each: _STRENGTH[each.split]):
        key = tuple(sorted(title_key(items[name]) for name in outfit.item_ids))
        earlier = first.setdefault(key, outfit)
        if earlier is outfit:
            kept.add(outfit.id)
        elif earlier.split == outfit.split:
            twice.append(outfit.id)
        else:
            across.append(outfit.id)
    funnel.drop("outfits", with_examples("the same titles as another outfit of its split", twice), len(twice))
    reason = "the same titles as an outfit of another split (test wins over valid, valid over train)"
    funnel.drop("outfits", with_examples(reason, across), len(across))
    return [outfit for outfit in outfits if outfit.id in kept]


def assign_splits(outfits: Sequence[SourceOutfit], seed: int) -> list[SourceOutfit]:
    """Draw a split, 70/10/20, for each outfit that has none; from three outfits on, no split stays empty.

    The draw goes by a hash of the seed and each outfit's id, so that an outfit mostly keeps its split when a catalogue
    grows.
    """
    open_positions = [position for position, outfit in enumerate(outfits) if outfit.split is None]
    order = sorted(range(len(open_positions)), key=lambda each: _drawn(outfits[open_positions[each]].id, seed))
    count = len(open_positions)
    tests = max(round(count * _SHARES["test"]), min(count, 1))
    valids = max(round(count * _SHARES["valid"]), 1 if count > 2 else 0)
    assigned = list(outfits)
    for rank, drawn in enumerate(order):
        split: Split = "test" if rank < tests else "valid" if rank < tests + valids else "train"
        position = open_positions[drawn]
        assigned[position] = replace(assigned[position], split=split)
    return assigned


def _drawn(outfit_id: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{_SPLIT_STREAM}\0{outfit_id}".encode()).digest()


def cap_splits(
    outfits: Sequence[SourceOutfit], settings: DataSettings, seed: int, funnel: Funnel
) -> list[SourceOutfit]:
    """Keep at most so many outfits of each split as the settings ask for, drawn with the seed, in their order.

    A smaller cap keeps a subset of what a larger one keeps. A split with fewer is told of in the funnel.
    """
    caps: Mapping[Split, int | None] = {
        "train": settings.train_outfits, "valid": settings.valid_outfits, "test": settings.test_outfits,
    }  # fmt: skip
    left_aside: set[str] = set()
    for stream, split in enumerate(SPLITS):
        mine = [outfit.id for outfit in outfits if outfit.split == split]
        cap = caps[split]
        if cap is not None and outfits and cap > len(mine):
            reason = f"lacking in the {split} split: {split}_outfits={cap} was asked for, but it has {len(mine)}"
            funnel.tell("outfits", reason, cap - len(mine))
        if cap is None or cap >= len(mine):
            continue
        order = np.random.default_rng([seed, _CAP_STREAM, stream]).permutation(len(mine))
        aside = {mine[int(position)] for position in order[cap:]}
        funnel.drop("outfits", f"left aside: {split}_outfits={cap} was asked for", len(aside))
        left_aside |= aside
    return [outfit for outfit in outfits if outfit.id not in left_aside]
