"""Which items are the same thing twice, and how alike different ones are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coordi.recommend.described_item import DescribedItem

SAME_PHOTO = 0.99
"""Cosine from which two photos are one: saved again as JPEG a photo keeps 0.993 or more, and among 1,500 product
photos no pair lay between 0.985 and 0.998 (dev/LOG.md). A photo that was resized can look further away."""


def title_of(item: DescribedItem) -> str:
    """The title as twins share it, whatever its case and spaces; empty if there is none."""
    return " ".join(item.item.title.casefold().split())


def without_twins(items: Sequence[DescribedItem], of: Sequence[DescribedItem]) -> list[DescribedItem]:
    """The items without twins of others, and of each group of twins the first with a photo, in their order.

    Twins are one thing: the same id, or the same title or photo within a category. A photo of a whole outfit may stand
    for its shirt and its trousers.

    Args:
        items: In any order.
        of: Whose twins are left out too.
    """
    everything = (*of, *items)
    photos = _photos(everything)  # (N, D)
    is_same_photo = photos @ photos.T >= SAME_PHOTO
    first_with: dict[tuple[str, str], int] = {}
    kept: dict[int, None] = {}
    for place, item in enumerate(everything):
        key = (item.item.category, title_of(item)) if title_of(item) else ("", item.id)
        same = (
            int(other)
            for other in np.flatnonzero(is_same_photo[place, :place])
            if everything[other].item.category == item.item.category
        )
        twin = first_with.get(key, next((other for other in same if other in kept), None))
        if twin is None or place < len(of):
            first_with.setdefault(key, place)
            kept[place] = None
        elif twin >= len(of) and everything[twin].item.image is None and item.item.image is not None:
            kept = {place if other == twin else other: None for other in kept}
            first_with[key] = place
    names = {item.id for item in of}
    return [everything[place] for place in kept if place >= len(of) and everything[place].id not in names]


def _photos(items: Sequence[DescribedItem]) -> NDArray[np.float32]:
    known = [item.photo_vector for item in items if item.photo_vector is not None]
    none = np.zeros(len(known[0]) if known else 1, dtype=np.float32)
    return np.stack([none if item.photo_vector is None else item.photo_vector for item in items] or [none])


def photo_cosine(one: DescribedItem, other: DescribedItem) -> float:
    """Cosine of two items' photos in ``[-1, 1]``; 0 where one has none."""
    if one.photo_vector is None or other.photo_vector is None:
        return 0.0
    return float(one.photo_vector @ other.photo_vector)


def photo_likeness(item: DescribedItem, outfit: Sequence[DescribedItem]) -> float:
    """Mean cosine of an item's photo to those of an outfit; it orders items that are told alike."""
    return float(np.mean([photo_cosine(item, other) for other in outfit])) if outfit else 0.0


def alikeness(one: DescribedItem, other: DescribedItem) -> float:
    """How alike two items are to a shopper, in ``[0, 1]``: 0 across categories, else of what is said and seen."""
    if one.item.category != other.item.category:
        return 0.0
    told = max(0.0, float(one.text_vector @ other.text_vector))
    if one.photo_vector is None or other.photo_vector is None:
        return told
    return (told + max(0.0, photo_cosine(one, other))) / 2
