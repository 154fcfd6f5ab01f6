"""Filters on suggestions, which garment categories go together, and rules as SQL conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field, StrictBool, ValidationError, ValidationInfo, field_validator, model_validator

from coordi.config import Settings
from coordi.data.categories import category_of
from coordi.encoders.labels import Vocabulary
from coordi.errors import DataError, RecommendationError, reason_in_words
from coordi.recommend.facts import COLOUR, LabelWords
from coordi.style.lexicon import default_lexicon
from coordi.style.occasions import Brief, brief_of, parse_occasion, parse_weather
from coordi.style.wishes import FEATURES, MAX_WISH_LENGTH, SOMETHING, UNWANTED, feature_guide, parse_wish
from coordi.types import GARMENT_CATEGORIES, GENDERS, OF_CHILDREN, GarmentCategory, Gender, Item

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


_SUIT = "suit"  # a kind of outerwear


def places_of(items: Iterable[Item]) -> set[GarmentCategory | None]:
    """The categories that items take the place of: their own, and a suit that of the bottom too."""
    kinds, places = default_lexicon().kinds, set()
    for item in items:
        places.add(item.category)
        kind = kinds.get(item.kind or "")
        if kind is not None and (kind.name == _SUIT or default_lexicon().is_a(kind, kinds[_SUIT])):
            places.add("bottom")
    return places


def addable_categories(present: Collection[GarmentCategory | None]) -> tuple[GarmentCategory, ...]:
    """Categories that an outfit doesn't have and that can be added, in the order people look for them."""
    missing = (category for category in COMPLETION_ORDER if category not in present)
    return tuple(category for category in missing if not category_conflict(category, present))


def required_categories(present: Collection[GarmentCategory | None]) -> tuple[GarmentCategory, ...]:
    """Categories that an outfit needs and doesn't have: shoes, and a top and a bottom unless others replace them."""
    return tuple(category for category in addable_categories(present) if category in ("top", "bottom", "shoes"))


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
    """The garment category that a user names, in any case; raises ``RecommendationError`` if it isn't one."""
    word = text.strip().casefold()
    if word not in GARMENT_CATEGORIES:
        other = category_of(text)
        hint = f", but '{other}' has such things" if other is not None else ""
        raise RecommendationError(f"no category '{text}'{hint}: accepted are {', '.join(GARMENT_CATEGORIES)}")
    return word


def _with_article(category: GarmentCategory) -> str:
    return category if category in ("shoes", "swimwear") else f"a {category}"


ALSO_FOR: Mapping[Gender, tuple[Gender, ...]] = {
    "women": ("women", "unisex"), "men": ("men", "unisex"), "unisex": ("unisex",), "girls": ("girls", "children"),
    "boys": ("boys", "children"), "children": ("children", "girls", "boys"),
}  # fmt: skip
"""By gender, those for which its items are made too."""
_MAX_VALUES, _MAX_FEATURES = 100, 20
Words = Annotated[str, Field(min_length=1, max_length=100)]
ItemId = Annotated[str, Field(min_length=1, max_length=200)]


class Rules(Settings):
    """Filters on suggestions: categories, shops' columns, stock, occasion, weather and single items.

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
        gender: Only items for these people, or for women and men (``unisex``), or for all ``children``; of children
            all that is made for them.
        unwanted_genders: No item that is known to be for these people.
        seasons: Only these of the catalogue's, in any case.
        in_stock: No item that is known to be out of stock.
        far_apart: Also items that hardly anybody would wear with the outfit: three or more dress codes apart from one
            of its items, for winter with one for summer, or without the dress code of an outfit for office or sport.
        occasion: What the outfit is for, at most three occasions or dress codes ("office", "black tie at the beach"),
            in English or Korean. Items whose facts break the rules of ``style/occasions`` are left out, and none of
            which no fact says so.
        weather: Temperature with its unit, rain, snow, wind, season ("8 C, rain", "46 F"); likewise.
        features: Garments that are wanted with their colours, patterns and materials ("blue dress"): of a garment's
            category nothing else is suggested. Those of one category are alternatives.
        unwanted_features: Garments, colours, patterns and materials that are never suggested.
        something: Colours, patterns and materials that each suggestion, or one item of a look, should have. Those of
            one sort are alternatives ("blue or green").
        wish: All of this in a person's own words ("a beach wedding, 27 C, no heels"), in English or Korean; what the
            other fields say counts before it, and both refusals count. ``not_understood`` has the rest.
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
    far_apart: StrictBool = False
    occasion: str = Field(default="", max_length=100)
    weather: str = Field(default="", max_length=100)
    features: tuple[Words, ...] = Field(default=(), max_length=_MAX_FEATURES)
    unwanted_features: tuple[Words, ...] = Field(default=(), max_length=_MAX_FEATURES)
    something: tuple[Words, ...] = Field(default=(), max_length=_MAX_FEATURES)
    wish: str = Field(default="", max_length=MAX_WISH_LENGTH)
    pinned: tuple[ItemId, ...] = Field(default=(), max_length=12)
    excluded: tuple[ItemId, ...] = Field(default=(), max_length=1000)

    @property
    def brief(self) -> Brief:
        """What the occasion, the weather and the wished features ask for."""
        brief = brief_of(self.occasion, self.weather)
        guides = [
            (guide.name, guide)
            for rule in (FEATURES, UNWANTED, SOMETHING)
            for guide in (feature_guide(rule, words) for words in getattr(self, rule))
        ]
        return replace(brief, guides=(*brief.guides, *guides)) if guides else brief

    @property
    def not_understood(self) -> tuple[str, ...]:
        """Parts of the wish that no rule follows."""
        return parse_wish(self.wish).unknown if self.wish else ()

    @model_validator(mode="before")
    @classmethod
    def _with_wish(cls, values: Any) -> Any:
        """The fields that a wish gives, where the user gives no others."""
        if not isinstance(values, dict) or not isinstance(text := values.get("wish"), str) or not text.strip():
            return values
        wish = parse_wish(text)
        given: dict[str, Any] = {
            "occasion": ", ".join(wish.occasion), "weather": ", ".join(wish.weather), FEATURES: wish.features,
            UNWANTED: (*wish.unwanted_features, *wish.unwanted_colours), SOMETHING: wish.something,
            "price_min": wish.price_min, "price_max": wish.price_max, "gender": wish.gender,
        }  # fmt: skip
        if wish.in_stock:
            given["in_stock"] = True
        if wish.features:
            given["want"] = tuple(dict.fromkeys(feature_guide(FEATURES, words).wants[0] for words in wish.features))
        refused = values.get(UNWANTED)
        if isinstance(refused, list | tuple):  # what is refused in either way is refused
            values = values | {UNWANTED: tuple(dict.fromkeys((*refused, *given.pop(UNWANTED))))}
        unset: tuple[Any, ...] = (None, "", (), [])
        return values | {
            name: value for name, value in given.items() if value not in unset and values.get(name) in unset
        }

    @field_validator(FEATURES, UNWANTED, SOMETHING)
    @classmethod
    def _check_features(cls, features: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        try:
            for words in features:
                feature_guide(str(info.field_name), words)
        except DataError as error:
            raise ValueError(str(error)) from error
        return features

    @field_validator("occasion", "weather")
    @classmethod
    def _in_table_words(cls, text: str, info: ValidationInfo) -> str:
        """Names of the tables for the user's own words."""
        try:
            if info.field_name == "weather":
                return str(parse_weather(text)) if text.strip() else ""
            return ", ".join(guide.name for guide in parse_occasion(text)) if text.strip() else ""
        except DataError as error:
            raise ValueError(str(error)) from error

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


def parse_rules(values: Rules | Mapping[str, Any] | None) -> Rules:
    """Rules from a user's options, with categories and genders in any case; problems are ``RecommendationError``."""
    if isinstance(values, Rules):
        return values
    given = dict(values or {})
    for name, parse in (("want", parse_category), ("unwanted", parse_category), ("unwanted_genders", _parse_gender)):
        entries = given.get(name) or ()
        given[name] = tuple(parse(entry) for entry in ([entries] if isinstance(entries, str) else entries))
    if given.get("gender") is not None:
        given["gender"] = _parse_gender(given["gender"])
    try:
        return Rules.model_validate(given)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, entry['loc'])) or 'rules'}: {reason_in_words(entry['msg'])}"
            for entry in error.errors()
        ]
        raise RecommendationError(f"these rules can't be followed: {'; '.join(problems)}") from error


def _parse_gender(word: str) -> str:
    gender = word.strip().casefold()
    if gender not in GENDERS:
        raise RecommendationError(f"no gender '{word}': accepted are {', '.join(GENDERS)}")
    return gender


def check_colours(rules: Rules, vocabulary: Vocabulary) -> None:
    """Refuse colours that a vocabulary doesn't have with a ``RecommendationError``: a typing mistake finds nothing."""
    attribute = vocabulary.attributes.get("colour")
    labels = [entry.text for entry in attribute.labels] if attribute else []
    for colour in (*rules.colours, *rules.unwanted_colours):
        if colour.strip().casefold() not in labels:
            meant = LabelWords.of(vocabulary, COLOUR).labels_in(colour)
            hint = f", but '{meant[0]}' is accepted" if meant else ""
            raise RecommendationError(f"no colour '{colour}'{hint}: accepted are {', '.join(labels) or 'none'}")


_MAX_NAMED = 3
# By rule: words for users, and the condition that an item must meet. It is NULL, which isn't met, for an unknown value.
_CONDITIONS = {
    "want": ("category {}", "list_contains(?::VARCHAR[], category)"),
    "unwanted": ("category not {}", "NOT list_contains(?::VARCHAR[], category)"),
    "price_min": ("price at least {}", "price >= ?"),
    "price_max": ("price at most {}", "price <= ?"),
    "brands": ("brand {}", "list_contains(?::VARCHAR[], brand_key)"),
    "unwanted_brands": ("brand not {}", "NOT list_contains(?::VARCHAR[], brand_key)"),
    "colours": ("colour {}", "list_has_any(colour_keys, ?::VARCHAR[])"),
    "unwanted_colours": ("colour not {}", "NOT list_has_any(colour_keys, ?::VARCHAR[])"),
    "gender": ("made for {}", "list_contains(?::VARCHAR[], gender)"),
    "unwanted_genders": ("not made for {}", "NOT list_contains(?::VARCHAR[], coalesce(gender, ''))"),
    "seasons": ("season {}", "list_contains(?::VARCHAR[], season_key)"),
    "in_stock": ("in stock", "? AND in_stock IS DISTINCT FROM FALSE"),
    "excluded": ("items that were excluded", "id NOT IN (SELECT unnest(?::VARCHAR[]))"),
}
_FOR: Mapping[Gender, str] = {
    "women": "women or everybody", "men": "men or everybody", "unisex": "everybody", "girls": "girls or all children",
    "boys": "boys or all children", "children": "children",
}  # fmt: skip
_COMPARED_CASELESS = ("brands", "unwanted_brands", "colours", "unwanted_colours", "seasons")


@dataclass(frozen=True, slots=True)
class Clause:
    """One SQL condition with one ``?``: the rule's name, its words for users, the condition and its parameter. A
    ``guide`` of an occasion or of weather is no condition in SQL: it is read from an item's facts.
    """

    name: str
    words: str
    sql: str
    parameter: Any
    guide: str = ""


def caseless(text: str) -> str:
    """A brand, colour or season for comparing."""
    return " ".join(text.casefold().split())


def category_clause(category: GarmentCategory) -> Clause:
    """Items of one category."""
    return Clause("category", f"category {category}", "category = ?", category)


def rule_clauses(rules: Rules) -> tuple[Clause, ...]:
    """One condition for each rule that is set, in the order of ``Rules``, without ``pinned``."""
    clauses = []
    for name, (words, sql) in _CONDITIONS.items():
        value = getattr(rules, name)
        if value is None or value is False or value == ():
            continue
        parameter = list(value) if isinstance(value, tuple) else value
        if name in _COMPARED_CASELESS:
            parameter = [caseless(entry) for entry in value]
        in_words = words.format(_in_words(value))
        if rules.gender is not None and name == "gender":
            parameter = list(ALSO_FOR[rules.gender])
            in_words = words.format(_FOR[rules.gender])
        elif name == "unwanted_genders":
            in_words = words.format(_people_in_words(rules.unwanted_genders))
        clauses.append(Clause(name, in_words, sql, parameter))
    return (*clauses, *brief_clauses(rules.brief))


def brief_clauses(brief: Brief) -> tuple[Clause, ...]:
    """One condition for each guide of a wish."""
    return tuple(Clause(guide.rule, words, "", brief, guide.name) for words, guide in brief.guides)


def _people_in_words(genders: Sequence[Gender]) -> str:
    """Such as ``"men or children"``."""
    if set(genders) >= OF_CHILDREN:
        genders = (*(gender for gender in genders if gender not in OF_CHILDREN), "children")
    return _in_words(tuple(genders))


def where(clauses: Sequence[Clause]) -> tuple[str, list[Any]]:
    """The conjunction of conditions but guides, for ``WHERE``, and its parameters."""
    in_sql = [clause for clause in clauses if not clause.guide]
    text = " AND ".join(f"({clause.sql})" for clause in in_sql) or "TRUE"
    return text, [clause.parameter for clause in in_sql]


def _in_words(value: float | str | tuple[str, ...]) -> str:
    if not isinstance(value, tuple):
        return f"{value:.12g}" if isinstance(value, float) else str(value)
    if len(value) > _MAX_NAMED:
        return f"{', '.join(value[:_MAX_NAMED])} or {len(value) - _MAX_NAMED} more"
    return " or ".join([", ".join(value[:-1]), value[-1]] if len(value) > 1 else value)
