"""Suggestions that differ from one another: not five black pumps."""

from __future__ import annotations

from collections.abc import Sequence

from coordi.recommend.described_item import DescribedItem
from coordi.recommend.likeness import alikeness

Ranked = tuple[DescribedItem, float]


def diversified(ranked: Sequence[Ranked], count: int, weight: float) -> list[Ranked]:
    """Choose items by maximal marginal relevance: a good score, less how alike an item is to those chosen before it.

    Args:
        ranked: Items with their scores, best first.
        count: How many to choose at most.
        weight: Of alikeness, in units of the score; 0 keeps the order as it is.

    Returns:
        In the order in which they were chosen; of equal ones the earlier of ``ranked`` comes first.

    References:
        Carbonell and Goldstein, The Use of MMR, Diversity-Based Reranking for Reordering Documents, 1998.
    """
    left = list(ranked)
    nearest = [0.0] * len(left)
    found: list[Ranked] = []
    while left and len(found) < count:
        best = max(range(len(left)), key=lambda place: (left[place][1] - weight * nearest[place], -place))
        taken = left.pop(best)
        nearest.pop(best)
        found.append(taken)
        nearest = [max(near, alikeness(item, taken[0])) for near, (item, _) in zip(nearest, left, strict=True)]
    return found
