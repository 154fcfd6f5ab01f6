"""The category of items that no text tells: the one seen in their photo."""

from __future__ import annotations

from coordi.data.categories import with_category
from coordi.describe.describer import Described
from coordi.describe.vocabulary import KINDS, Vocabulary
from coordi.domain import Item


def seen_category(item: Item, described: Described, vocabulary: Vocabulary) -> Item | None:
    """An item whose category no text tells, with the category seen in its photo; None if none was sure enough."""
    description = described.descriptions.get(item.id)
    labels = description.attributes.get(KINDS, ()) if description is not None else ()
    worn = vocabulary.worn_category(KINDS, labels[0].text) if labels else None
    return None if worn is None else with_category(item, worn)
