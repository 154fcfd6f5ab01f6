"""What a shopper asks of suggestions beside that they go with an outfit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from coordi.config import Settings
from coordi.describe.vocabulary import Vocabulary
from coordi.domain import WornCategory
from coordi.errors import RecommendationError
from coordi.recommend.described_item import GENDERS, Gender
from coordi.recommend.fitting import parse_category

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

    want: tuple[WornCategory, ...] = Field(default=(), max_length=_MOST_NAMED)
    unwanted: tuple[WornCategory, ...] = Field(default=(), max_length=_MOST_NAMED)
    price_min: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    price_max: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    brands: tuple[Words, ...] = Field(default=(), max_length=_MOST_NAMED)
    unwanted_brands: tuple[Words, ...] = Field(default=(), max_length=_MOST_NAMED)
    colours: tuple[Words, ...] = Field(default=(), max_length=_MOST_NAMED)
    unwanted_colours: tuple[Words, ...] = Field(default=(), max_length=_MOST_NAMED)
    gender: Gender | None = None
    unwanted_genders: tuple[Gender, ...] = Field(default=(), max_length=len(GENDERS))
    seasons: tuple[Words, ...] = Field(default=(), max_length=_MOST_NAMED)
    in_stock: bool = False
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
    """See to it that the rules name colours of a vocabulary, so that a slip of the pen isn't an empty answer.

    Raises:
        RecommendationError: If one isn't, with those that are.
    """
    attribute = vocabulary.attributes.get("colour")
    known = [entry.text for entry in attribute.labels] if attribute else []
    for colour in (*rules.colours, *rules.unwanted_colours):
        if colour.strip().casefold() not in known:
            raise RecommendationError(f"no colour '{colour}': accepted are {', '.join(known) or 'none'}")
