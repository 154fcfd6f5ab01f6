"""Which categories may join an outfit: what is worn at most once, and what takes the place of what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from coordi.data.categories import category_of
from coordi.domain import WORN_CATEGORIES, WornCategory
from coordi.errors import RecommendationError

# What people look for first when something is missing; a shopper needs shoes before gloves.
COMPLETION_ORDER: tuple[WornCategory, ...] = (
    "top", "bottom", "dress", "shoes", "bag", "outerwear", "jewellery", "headwear", "eyewear", "belt", "scarf",
    "watch", "hosiery", "gloves", "swimwear", "accessory",
)  # fmt: skip

# Never a second one, even if asked for. A second top is a layer, and bracelets come in numbers.
_WORN_ONCE: frozenset[WornCategory] = frozenset({"bottom", "dress", "shoes", "swimwear"})

_TAKES_THE_PLACE_OF: dict[WornCategory, frozenset[WornCategory]] = {
    "top": frozenset({"dress", "swimwear"}),
    "bottom": frozenset({"dress", "swimwear"}),
    "dress": frozenset({"top", "bottom", "swimwear"}),
    "swimwear": frozenset({"top", "bottom", "dress"}),
}


def missing_categories(worn: Collection[WornCategory]) -> tuple[WornCategory, ...]:
    """Categories that would complete an outfit: none of them is there yet, in the order people look for them."""
    return tuple(category for category in COMPLETION_ORDER if category not in worn and not clash(category, worn))


def lacking_categories(worn: Collection[WornCategory]) -> tuple[WornCategory, ...]:
    """What a whole outfit can't do without and hasn't: a top and a bottom or what takes their place, and shoes."""
    needed: tuple[WornCategory, ...] = ("top", "bottom", "shoes")
    return tuple(category for category in needed if category not in worn and not clash(category, worn))


def clash(category: WornCategory, worn: Collection[WornCategory]) -> str | None:
    """Why an item of this category can't join, in a user's words; None if it can."""
    if category in _WORN_ONCE and category in worn:
        return f"the outfit already has {_with_article(category)}"
    displaced = sorted(_TAKES_THE_PLACE_OF.get(category, frozenset()) & set(worn))
    if displaced:
        return f"the outfit has {_with_article(displaced[0])}, which {_with_article(category)} takes the place of"
    return None


def cautions(worn: Sequence[WornCategory]) -> tuple[str, ...]:
    """What nobody wears together among these, in a user's words; models have hardly seen such outfits."""
    counts = Counter(worn)
    twice = [f"{counts[name]} of category '{name}'" for name in counts if name in _WORN_ONCE and counts[name] > 1]
    pairs = [
        f"'{name}' beside '{other}'"
        for name in counts
        for other in sorted(_TAKES_THE_PLACE_OF.get(name, frozenset()) & counts.keys())
        if name < other
    ]
    return (*twice, *pairs)


def parse_category(text: str) -> WornCategory:
    """A worn category from a user's word, whatever its case.

    Raises:
        RecommendationError: If it isn't one, with those that are.
    """
    word = text.strip().casefold()
    if word not in WORN_CATEGORIES:
        known = category_of(text)
        meant = f", but '{known}' has such things" if known is not None else ""
        raise RecommendationError(f"no category '{text}'{meant}: accepted are {', '.join(WORN_CATEGORIES)}")
    return word


def _with_article(category: WornCategory) -> str:
    return category if category in ("shoes", "swimwear") else f"a {category}"
