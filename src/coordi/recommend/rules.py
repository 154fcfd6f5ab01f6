"""Filters on suggestions, which garment categories go together, and rules as SQL conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, StrictBool, ValidationError, model_validator

from coordi.config import Settings
from coordi.data.categories import category_of
from coordi.encoders.labels import Vocabulary
from coordi.errors import RecommendationError
from coordi.types import GARMENT_CATEGORIES, GENDERS, GarmentCategory, Gender

# Order in which people look for what is missing: shoes before gloves.
COMPLETION_ORDER: tuple[GarmentCategory, ...] = (
    "top", "bottom", "dress", "shoes", "bag", "outerwear", "jewellery", "headwear", "eyewear", "belt", "scarf",
    "watch", "hosiery", "gloves", "swimwear", "accessory",
)  # fmt: skip

# Categories that an outfit has at most once. A second top is a layer, and people wear several bracelets.
_ONLY_ONCE: frozenset[GarmentCategory] = frozenset({"bottom", "dress", "shoes", "swimwear"})

_EXCLUDES: dict[GarmentCategory, frozenset[GarmentCategory]] = {
    "top": frozenset({"dress", "swimwear"}),
    "bottom": frozenset({"dress", "swimwear"}),
    "dress": frozenset({"top", "bottom", "swimwear"}),
    "swimwear": frozenset({"top", "bottom", "dress"}),
}


def addable_categories(present: Collection[GarmentCategory | None]) -> tuple[GarmentCategory, ...]:
    """Categories that an outfit doesn't have and that can be added, in the order people look for them."""
    return tuple(
        category
        for category in COMPLETION_ORDER
        if category not in present and not category_conflict(category, present)
    )


def required_categories(present: Collection[GarmentCategory | None]) -> tuple[GarmentCategory, ...]:
    """Categories that an outfit needs and doesn't have: shoes, and a top and a bottom unless others replace them."""
    needed: tuple[GarmentCategory, ...] = ("top", "bottom", "shoes")
    return tuple(
        category for category in needed if category not in present and not category_conflict(category, present)
    )


def category_conflict(category: GarmentCategory | None, present: Collection[GarmentCategory | None]) -> str | None:
    """Why an item of this category can't join an outfit, for users; None if it can."""
    if category is None:
        return None
    if category in _ONLY_ONCE and category in present:
        return f"the outfit already has {_with_article(category)}"
    displaced = sorted(name for name in _EXCLUDES.get(category, frozenset()) if name in present)
    if displaced:
        return f"the outfit has {_with_article(displaced[0])}, which {_with_article(category)} takes the place of"
    return None


def outfit_warnings(present: Sequence[GarmentCategory | None]) -> tuple[str, ...]:
    """Combinations that aren't an outfit, for users; models were hardly trained with such outfits."""
    counts = Counter(category for category in present if category is not None)
    twice = [f"{counts[name]} of category '{name}'" for name in counts if name in _ONLY_ONCE and counts[name] > 1]
    pairs = [
        f"'{name}' beside '{other}'"
        for name in counts
        for other in sorted(_EXCLUDES.get(name, frozenset()) & counts.keys())
        if name < other
    ]
    return (*twice, *pairs)


def parse_category(text: str) -> GarmentCategory:
    """The garment category that a user names, in any case.

    Raises:
        RecommendationError: If it isn't one, with those that are.
    """
    word = text.strip().casefold()
    if word not in GARMENT_CATEGORIES:
        other = category_of(text)
        hint = f", but '{other}' has such things" if other is not None else ""
        raise RecommendationError(f"no category '{text}'{hint}: accepted are {', '.join(GARMENT_CATEGORIES)}")
    return word


def _with_article(category: GarmentCategory) -> str:
    return category if category in ("shoes", "swimwear") else f"a {category}"


_MAX_VALUES = 100
Words = Annotated[str, Field(min_length=1, max_length=100)]
ItemId = Annotated[str, Field(min_length=1, max_length=200)]


class Rules(Settings):
    """Filters on suggestions: category, price, brand, colour, gender, season, stock and single items.

    An item whose price, brand, colour, gender or season is unknown fails a rule on it and is counted under that rule;
    an item whose stock is unknown counts as in stock.

    Attributes:
        want: Only these categories; empty looks for what the outfit lacks.
        unwanted: Never these categories.
        price_min: In the catalogue's currency, inclusive.
        price_max: Likewise.
        brands: Only these, in any case.
        unwanted_brands: Never these.
        colours: Only items with one of these labels of the vocabulary.
        unwanted_colours: No item with one of these.
        gender: Only items for these people or for everybody (``unisex``).
        unwanted_genders: No item that is known to be for these people.
        seasons: Only these of the catalogue's, in any case.
        in_stock: No item that is known to be out of stock.
        pinned: Ids that must be suggested; the other suggestions go with them.
        excluded: Ids that must not be suggested.
    """

    want: tuple[GarmentCategory, ...] = Field(default=(), max_length=_MAX_VALUES)
    unwanted: tuple[GarmentCategory, ...] = Field(default=(), max_length=_MAX_VALUES)
    price_min: float | None = Field(default=None, ge=0, allow_inf_nan=False, strict=True)
    price_max: float | None = Field(default=None, ge=0, allow_inf_nan=False, strict=True)
    brands: tuple[Words, ...] = Field(default=(), max_length=_MAX_VALUES)
    unwanted_brands: tuple[Words, ...] = Field(default=(), max_length=_MAX_VALUES)
    colours: tuple[Words, ...] = Field(default=(), max_length=_MAX_VALUES)
    unwanted_colours: tuple[Words, ...] = Field(default=(), max_length=_MAX_VALUES)
    gender: Gender | None = None
    unwanted_genders: tuple[Gender, ...] = Field(default=(), max_length=len(GENDERS))
    seasons: tuple[Words, ...] = Field(default=(), max_length=_MAX_VALUES)
    in_stock: StrictBool = False
    pinned: tuple[ItemId, ...] = Field(default=(), max_length=12)
    excluded: tuple[ItemId, ...] = Field(default=(), max_length=1000)

    @model_validator(mode="after")
    def _check(self) -> Rules:
        if self.price_min is not None and self.price_max is not None and self.price_min > self.price_max:
            raise ValueError(f"price_min {self.price_min:g} is above price_max {self.price_max:g}; swap them")
        for name, wanted, refused in (
            ("category", self.want, self.unwanted),
            ("brand", self.brands, self.unwanted_brands),
            ("colour", self.colours, self.unwanted_colours),
            ("item", self.pinned, self.excluded),
        ):
            both = sorted({value.casefold() for value in wanted} & {value.casefold() for value in refused})
            if both:
                raise ValueError(f"the {name} '{both[0]}' is both asked for and refused; take one of them back")
        return self


def parse_rules(values: Mapping[str, Any]) -> Rules:
    """Rules from a user's options, with categories and genders in any case.

    Raises:
        RecommendationError: If a category or gender isn't one, with those that are, or rules contradict each other.
    """
    given = dict(values)
    for name in ("want", "unwanted"):
        if name in given:
            given[name] = tuple(parse_category(entry) for entry in given[name])
    if given.get("gender") is not None:
        given["gender"] = _gender(given["gender"])
    given["unwanted_genders"] = tuple(_gender(entry) for entry in given.get("unwanted_genders") or ())
    try:
        return Rules.model_validate(given)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, entry['loc'])) or 'rules'}: {entry['msg'].removeprefix('Value error, ')}"
            for entry in error.errors()
        ]
        raise RecommendationError(f"these rules can't be followed: {'; '.join(problems)}") from error


def _gender(word: str) -> str:
    gender = word.strip().casefold()
    if gender not in GENDERS:
        raise RecommendationError(f"no gender '{word}': accepted are {', '.join(GENDERS)}")
    return gender


def check_colours(rules: Rules, vocabulary: Vocabulary) -> None:
    """Refuse rules with colours that a vocabulary doesn't have, so that a typing mistake isn't an empty answer.

    Raises:
        RecommendationError: If one isn't, with those that are.
    """
    attribute = vocabulary.attributes.get("colour")
    labels = [entry.text for entry in attribute.labels] if attribute else []
    for colour in (*rules.colours, *rules.unwanted_colours):
        if colour.strip().casefold() not in labels:
            raise RecommendationError(f"no colour '{colour}': accepted are {', '.join(labels) or 'none'}")


_MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition.

    Attributes:
        name: Of the rule, as ``Rules`` has it.
        words: For users, such as ``"price at most 50"``.
        sql: With a ``?`` for each parameter. It is NULL for an unknown value, which counts as not met.
        parameters: In their order.
    """

    name: str
    words: str
    sql: str
    parameters: tuple[Any, ...] = ()


def caseless(text: str) -> str:
    """A brand, colour or season for comparing."""
    return " ".join(text.casefold().split())


def category_clause(category: GarmentCategory) -> Clause:
    """Items of one category."""
    return Clause("category", f"category {category}", "category = ?", (category,))


def rule_clauses(rules: Rules) -> tuple[Clause, ...]:
    """One condition for each rule that is set, in the order of ``Rules``, without ``pinned``."""
    return tuple(_clauses(rules))


def where(clauses: Sequence[Clause]) -> tuple[str, list[Any]]:
    """The conjunction of conditions, for ``WHERE``, and its parameters."""
    if not clauses:
        return "TRUE", []
    text = " AND ".join(f"({clause.sql})" for clause in clauses)
    return text, [value for clause in clauses for value in clause.parameters]


def _clauses(rules: Rules) -> Iterator[Clause]:
    if rules.want:
        yield Clause(
            "want", f"category {_either(rules.want)}", f"category IN ({_placeholders(rules.want)})", rules.want
        )
    if rules.unwanted:
        placeholders = _placeholders(rules.unwanted)
        yield Clause(
            "unwanted", f"category not {_either(rules.unwanted)}", f"category NOT IN ({placeholders})", rules.unwanted
        )
    if rules.price_min is not None:
        yield Clause("price_min", f"price at least {_number(rules.price_min)}", "price >= ?", (rules.price_min,))
    if rules.price_max is not None:
        yield Clause("price_max", f"price at most {_number(rules.price_max)}", "price <= ?", (rules.price_max,))
    yield from _name_clauses(rules)
    if rules.gender is not None:
        everybody = "" if rules.gender == "unisex" else " or everybody"
        yield Clause("gender", f"made for {rules.gender}{everybody}", "gender IN (?, 'unisex')", (rules.gender,))
    if rules.unwanted_genders:
        names = rules.unwanted_genders
        yield Clause(
            "unwanted_genders",
            f"not made for {_either(names)}",
            f"coalesce(gender, '') NOT IN ({_placeholders(names)})",
            names,
        )
    if rules.seasons:
        yield Clause(
            "seasons",
            f"season {_either(rules.seasons)}",
            "list_contains(?::VARCHAR[], season_key)",
            _keys(rules.seasons),
        )
    if rules.in_stock:
        yield Clause("in_stock", "in stock", "in_stock IS DISTINCT FROM FALSE")
    if rules.excluded:
        yield Clause(
            "excluded", "items that were excluded", "id NOT IN (SELECT unnest(?::VARCHAR[]))", (list(rules.excluded),)
        )


def _name_clauses(rules: Rules) -> Iterator[Clause]:
    has_brand, has_colour = "list_contains(?::VARCHAR[], brand_key)", "list_has_any(colour_keys, ?::VARCHAR[])"
    if rules.brands:
        yield Clause("brands", f"brand {_either(rules.brands)}", has_brand, _keys(rules.brands))
    if rules.unwanted_brands:
        yield Clause(
            "unwanted_brands",
            f"brand not {_either(rules.unwanted_brands)}",
            f"NOT {has_brand}",
            _keys(rules.unwanted_brands),
        )
    if rules.colours:
        yield Clause("colours", f"colour {_either(rules.colours)}", has_colour, _keys(rules.colours))
    if rules.unwanted_colours:
        words = f"colour not {_either(rules.unwanted_colours)}"
        yield Clause("unwanted_colours", words, f"NOT {has_colour}", _keys(rules.unwanted_colours))


def _keys(values: Sequence[str]) -> tuple[list[str]]:
    return ([caseless(value) for value in values],)


def _placeholders(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _either(values: Sequence[str]) -> str:
    if len(values) > _MAX_NAMED:
        return f"{', '.join(values[:_MAX_NAMED])} or {len(values) - _MAX_NAMED} more"
    return " or ".join(values) if len(values) < 3 else f"{', '.join(values[:-1])} or {values[-1]}"


def _number(value: float) -> str:
    return f"{value:.2f}".removesuffix(".00") if value < 1e15 else f"{value:g}"
