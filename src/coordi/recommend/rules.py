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

# What people look for first when something is missing; a shopper needs shoes before gloves.
COMPLETION_ORDER: tuple[GarmentCategory, ...] = (
    "top", "bottom", "dress", "shoes", "bag", "outerwear", "jewellery", "headwear", "eyewear", "belt", "scarf",
    "watch", "hosiery", "gloves", "swimwear", "accessory",
)  # fmt: skip

# Never a second one, even if asked for. A second top is a layer, and bracelets come in numbers.
_WORN_ONCE: frozenset[GarmentCategory] = frozenset({"bottom", "dress", "shoes", "swimwear"})

_TAKES_THE_PLACE_OF: dict[GarmentCategory, frozenset[GarmentCategory]] = {
    "top": frozenset({"dress", "swimwear"}),
    "bottom": frozenset({"dress", "swimwear"}),
    "dress": frozenset({"top", "bottom", "swimwear"}),
    "swimwear": frozenset({"top", "bottom", "dress"}),
}


def missing_categories(worn: Collection[GarmentCategory | None]) -> tuple[GarmentCategory, ...]:
    """Categories that would complete an outfit: none of them is there yet, in the order people look for them."""
    return tuple(
        category for category in COMPLETION_ORDER if category not in worn and not category_conflict(category, worn)
    )


def lacking_categories(worn: Collection[GarmentCategory | None]) -> tuple[GarmentCategory, ...]:
    """What a whole outfit can't do without and hasn't: a top and a bottom or what takes their place, and shoes."""
    needed: tuple[GarmentCategory, ...] = ("top", "bottom", "shoes")
    return tuple(category for category in needed if category not in worn and not category_conflict(category, worn))


def category_conflict(category: GarmentCategory | None, worn: Collection[GarmentCategory | None]) -> str | None:
    """Why an item of this category can't join, in a user's words; None if it can."""
    if category is None:
        return None
    if category in _WORN_ONCE and category in worn:
        return f"the outfit already has {_with_article(category)}"
    displaced = sorted(one for one in _TAKES_THE_PLACE_OF.get(category, frozenset()) if one in worn)
    if displaced:
        return f"the outfit has {_with_article(displaced[0])}, which {_with_article(category)} takes the place of"
    return None


def outfit_warnings(worn: Sequence[GarmentCategory | None]) -> tuple[str, ...]:
    """What nobody wears together among these, in a user's words; models have hardly seen such outfits."""
    counts = Counter(category for category in worn if category is not None)
    twice = [f"{counts[name]} of category '{name}'" for name in counts if name in _WORN_ONCE and counts[name] > 1]
    pairs = [
        f"'{name}' beside '{other}'"
        for name in counts
        for other in sorted(_TAKES_THE_PLACE_OF.get(name, frozenset()) & counts.keys())
        if name < other
    ]
    return (*twice, *pairs)


def parse_category(text: str) -> GarmentCategory:
    """A worn category from a user's word, whatever its case.

    Raises:
        RecommendationError: If it isn't one, with those that are.
    """
    word = text.strip().casefold()
    if word not in GARMENT_CATEGORIES:
        known = category_of(text)
        meant = f", but '{known}' has such things" if known is not None else ""
        raise RecommendationError(f"no category '{text}'{meant}: accepted are {', '.join(GARMENT_CATEGORIES)}")
    return word


def _with_article(category: GarmentCategory) -> str:
    return category if category in ("shoes", "swimwear") else f"a {category}"


_MOST_NAMED = 100
Words = Annotated[str, Field(min_length=1, max_length=100)]
ItemId = Annotated[str, Field(min_length=1, max_length=200)]


class Rules(Settings):
    """Which items may be suggested. What isn't given isn't asked.

    An item whose price, brand, colour, gender or season is unknown isn't suggested where a rule asks for one, and is
    counted under that rule; one of which the source doesn't say whether it is in stock counts as in stock.

    Attributes:
        want: Only these categories; empty looks for what the outfit lacks.
        unwanted: Never these categories.
        price_min: In the catalogue's currency, inclusive.
        price_max: Likewise.
        brands: Only these, whatever their case.
        unwanted_brands: Never these.
        colours: Items with one of these labels of the vocabulary.
        unwanted_colours: No item with one of these.
        gender: Made for these or for everybody (``unisex``).
        unwanted_genders: Nothing that is known to be made for these.
        seasons: Only these, whatever their case, as the catalogue has them.
        in_stock: Nothing that is known to be out of stock.
        pinned: Ids that must be among the suggestions, as part of what the others are to go with.
        excluded: Ids that must not.
    """

    want: tuple[GarmentCategory, ...] = Field(default=(), max_length=_MOST_NAMED)
    unwanted: tuple[GarmentCategory, ...] = Field(default=(), max_length=_MOST_NAMED)
    price_min: float | None = Field(default=None, ge=0, allow_inf_nan=False, strict=True)
    price_max: float | None = Field(default=None, ge=0, allow_inf_nan=False, strict=True)
    brands: tuple[Words, ...] = Field(default=(), max_length=_MOST_NAMED)
    unwanted_brands: tuple[Words, ...] = Field(default=(), max_length=_MOST_NAMED)
    colours: tuple[Words, ...] = Field(default=(), max_length=_MOST_NAMED)
    unwanted_colours: tuple[Words, ...] = Field(default=(), max_length=_MOST_NAMED)
    gender: Gender | None = None
    unwanted_genders: tuple[Gender, ...] = Field(default=(), max_length=len(GENDERS))
    seasons: tuple[Words, ...] = Field(default=(), max_length=_MOST_NAMED)
    in_stock: StrictBool = False
    pinned: tuple[ItemId, ...] = Field(default=(), max_length=12)
    excluded: tuple[ItemId, ...] = Field(default=(), max_length=1000)

    @model_validator(mode="after")
    def _can_be_met(self) -> Rules:
        if self.price_min is not None and self.price_max is not None and self.price_min > self.price_max:
            raise ValueError(f"price_min {self.price_min:g} is above price_max {self.price_max:g}; swap them")
        for name, asked, refused in (
            ("category", self.want, self.unwanted),
            ("brand", self.brands, self.unwanted_brands),
            ("colour", self.colours, self.unwanted_colours),
            ("item", self.pinned, self.excluded),
        ):
            both = sorted({one.casefold() for one in asked} & {one.casefold() for one in refused})
            if both:
                raise ValueError(f"the {name} '{both[0]}' is both asked for and refused; take one of them back")
        return self


def parse_rules(asked: Mapping[str, Any]) -> Rules:
    """Rules from a user's words, whatever the case of categories and genders.

    Raises:
        RecommendationError: If a category or gender isn't one, with those that are, or rules contradict each other.
    """
    given = dict(asked)
    for name in ("want", "unwanted"):
        if name in given:
            given[name] = tuple(parse_category(one) for one in given[name])
    if given.get("gender") is not None:
        given["gender"] = _gender(given["gender"])
    given["unwanted_genders"] = tuple(_gender(one) for one in given.get("unwanted_genders") or ())
    try:
        return Rules.model_validate(given)
    except ValidationError as error:
        said = [
            f"{'.'.join(map(str, one['loc'])) or 'rules'}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors()
        ]
        raise RecommendationError(f"these rules can't be followed: {'; '.join(said)}") from error


def _gender(word: str) -> str:
    found = word.strip().casefold()
    if found not in GENDERS:
        raise RecommendationError(f"no gender '{word}': accepted are {', '.join(GENDERS)}")
    return found


def check_colours(rules: Rules, vocabulary: Vocabulary) -> None:
    """Refuse rules with colours that a vocabulary doesn't have, so that a typing mistake isn't an empty answer.

    Raises:
        RecommendationError: If one isn't, with those that are.
    """
    attribute = vocabulary.attributes.get("colour")
    known = [entry.text for entry in attribute.labels] if attribute else []
    for colour in (*rules.colours, *rules.unwanted_colours):
        if colour.strip().casefold() not in known:
            raise RecommendationError(f"no colour '{colour}': accepted are {', '.join(known) or 'none'}")


_RULE_SQL_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition.

    Attributes:
        name: Of the rule, as ``Rules`` has it.
        words: In a user's words, such as ``"price at most 50"``.
        sql: With a ``?`` for each parameter. An unknown value makes it NULL, which counts as not met.
        parameters: In their order.
    """

    name: str
    words: str
    sql: str
    parameters: tuple[Any, ...] = ()


def caseless(text: str) -> str:
    """What brands, colours and seasons are compared by."""
    return " ".join(text.casefold().split())


def category_clause(category: GarmentCategory) -> Clause:
    """Items of one category."""
    return Clause("category", f"category {category}", "category = ?", (category,))


def rule_clauses(rules: Rules) -> tuple[Clause, ...]:
    """One condition for each rule that is given, in the order of ``Rules``; ``pinned`` is none."""
    return tuple(_clauses(rules))


def where(clauses: Sequence[Clause]) -> tuple[str, list[Any]]:
    """All conditions together, for after ``WHERE``, and their parameters."""
    if not clauses:
        return "TRUE", []
    text = " AND ".join(f"({clause.sql})" for clause in clauses)
    return text, [value for clause in clauses for value in clause.parameters]


def _clauses(rules: Rules) -> Iterator[Clause]:
    if rules.want:
        yield Clause("want", f"category {_one_of(rules.want)}", f"category IN ({_places(rules.want)})", rules.want)
    if rules.unwanted:
        places = _places(rules.unwanted)
        yield Clause(
            "unwanted", f"category not {_one_of(rules.unwanted)}", f"category NOT IN ({places})", rules.unwanted
        )
    if rules.price_min is not None:
        yield Clause("price_min", f"price at least {_number(rules.price_min)}", "price >= ?", (rules.price_min,))
    if rules.price_max is not None:
        yield Clause("price_max", f"price at most {_number(rules.price_max)}", "price <= ?", (rules.price_max,))
    yield from _named(rules)
    if rules.gender is not None:
        everybody = "" if rules.gender == "unisex" else " or everybody"
        yield Clause("gender", f"made for {rules.gender}{everybody}", "gender IN (?, 'unisex')", (rules.gender,))
    if rules.unwanted_genders:
        names = rules.unwanted_genders
        yield Clause(
            "unwanted_genders",
            f"not made for {_one_of(names)}",
            f"coalesce(gender, '') NOT IN ({_places(names)})",
            names,
        )
    if rules.seasons:
        yield Clause(
            "seasons",
            f"season {_one_of(rules.seasons)}",
            "list_contains(?::VARCHAR[], season_key)",
            _keys(rules.seasons),
        )
    if rules.in_stock:
        yield Clause("in_stock", "in stock", "in_stock IS DISTINCT FROM FALSE")
    if rules.excluded:
        yield Clause(
            "excluded", "items that were excluded", "id NOT IN (SELECT unnest(?::VARCHAR[]))", (list(rules.excluded),)
        )


def _named(rules: Rules) -> Iterator[Clause]:
    has_brand, has_colour = "list_contains(?::VARCHAR[], brand_key)", "list_has_any(colour_keys, ?::VARCHAR[])"
    if rules.brands:
        yield Clause("brands", f"brand {_one_of(rules.brands)}", has_brand, _keys(rules.brands))
    if rules.unwanted_brands:
        yield Clause(
            "unwanted_brands",
            f"brand not {_one_of(rules.unwanted_brands)}",
            f"NOT {has_brand}",
            _keys(rules.unwanted_brands),
        )
    if rules.colours:
        yield Clause("colours", f"colour {_one_of(rules.colours)}", has_colour, _keys(rules.colours))
    if rules.unwanted_colours:
        words = f"colour not {_one_of(rules.unwanted_colours)}"
        yield Clause("unwanted_colours", words, f"NOT {has_colour}", _keys(rules.unwanted_colours))


def _keys(values: Sequence[str]) -> tuple[list[str]]:
    return ([caseless(value) for value in values],)


def _places(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _one_of(values: Sequence[str]) -> str:
    if len(values) > _RULE_SQL_MOST_NAMED:
        return f"{', '.join(values[:_RULE_SQL_MOST_NAMED])} or {len(values) - _RULE_SQL_MOST_NAMED} more"
    return " or ".join(values) if len(values) < 3 else f"{', '.join(values[:-1])} or {values[-1]}"


def _number(value: float) -> str:
    return f"{value:.2f}".removesuffix(".00") if value < 1e15 else f"{value:g}"
