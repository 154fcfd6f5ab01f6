"""Ids as baselines may use them: to look an item up, never as a feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coordi.domain import Item
from coordi.errors import EvaluationError


def check_known(outfits: Sequence[Sequence[str]], items: Mapping[str, object]) -> None:
    """Refuse ids that nothing is known of.

    Raises:
        EvaluationError: If an item id is unknown, with how many are and the first of them.
    """
    unknown = sorted({item_id for outfit in outfits for item_id in outfit if item_id not in items})
    if unknown:
        raise EvaluationError(
            f"{len(unknown)} item ids aren't in the data set, such as '{unknown[0]}'; "
            f"accepted are the ids of its {len(items)} items"
        )


def said(item: Item) -> tuple[str, str, str]:
    """What the source says of an item; two items that are told alike are one to a baseline that sees no photo."""
    return item.category, item.kind, item.title.casefold()
