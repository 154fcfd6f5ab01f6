"""Garment categories from a source's categories, or from words."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Literal

from coordi.errors import DataError
from coordi.style.languages import in_english
from coordi.style.lexicon import default_lexicon
from coordi.types import GARMENT_CATEGORIES, GarmentCategory

NO_GARMENT: Literal[""] = ""
"""The category of things that nobody wears to be seen: a sofa, a lipstick, underwear."""
# The coarse categories of Polyvore Outfits (Vasileva et al., 2018).
_SEMANTIC: Mapping[str, GarmentCategory] = {
    "tops": "top", "bottoms": "bottom", "all-body": "dress", "outerwear": "outerwear", "shoes": "shoes", "bags": "bag",
    "jewellery": "jewellery", "hats": "headwear", "sunglasses": "eyewear", "scarves": "scarf",
    "accessories": "accessory",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MarylandCategory:
    """A row of ``categories.csv``; ``category`` is ``""`` if nobody wears the thing as part of an outfit.
    ``decided_by_title`` marks departments of all kinds of things ("Clothing"): the title decides, else ``category``.
    """

    id: int
    name: str
    category: GarmentCategory | Literal[""]
    decided_by_title: bool


@cache
def maryland_categories() -> Mapping[int, MarylandCategory]:
    """The 380 categories of the Maryland release by id, from ``categories.csv`` beside this module."""
    rows = [
        MarylandCategory(int(row["id"]), row["name"], _checked(row["category"]), row["decided_by"] == "title")
        for row in csv.DictReader(_table("categories.csv"))
    ]
    return MappingProxyType({row.id: row for row in rows})


def maryland_category(category_id: int, title: str) -> GarmentCategory | Literal[""] | None:
    """Garment category of a Maryland item; ``""`` if nobody wears it, None if the release doesn't know the id."""
    row = maryland_categories().get(category_id)
    if row is None:
        return None
    by_title = classify(title) if row.decided_by_title else None
    return row.category if by_title is None else by_title


def outfits_category(row: MarylandCategory | None, semantic: str, title: str) -> GarmentCategory | Literal[""] | None:
    """Garment category of an item of Polyvore Outfits; ``""`` if nobody wears it, None if it is unknown. Without a row
    the release's coarse category decides; its accessories and jewellery are told apart by the title's words.
    """
    if row is not None:
        return maryland_category(row.id, title)
    by_title = classify(title)
    coarse = _SEMANTIC.get(semantic.lower())
    if coarse is None or (by_title is not None and coarse in ("accessory", "jewellery")):
        return by_title
    return coarse


def category_of(text: str) -> GarmentCategory | None:
    """Garment category that free text names, such as ``"Tshirts"`` or ``"red leather belt"``, else None; by the head of
    the phrase, see ``Lexicon.find``.
    """
    return classify(text) or None


def classify(text: str, language: str | None = None) -> GarmentCategory | Literal[""] | None:
    """Like ``category_of``, but ``""`` for underwear and what nobody wears, and None only if no word is known.

    ``language`` is the code of the text's language, empty for English; None to recognise it.
    """
    kind = default_lexicon().find(in_english(text, language))
    return None if kind is None else kind.category or NO_GARMENT


def _table(name: str) -> list[str]:
    return resources.files("coordi.data").joinpath(name).read_text(encoding="utf-8").splitlines()


def _checked(text: str) -> GarmentCategory | Literal[""]:
    if text and text not in GARMENT_CATEGORIES:
        raise DataError(f"'{text}' isn't a garment category; accepted are {', '.join(GARMENT_CATEGORIES)} or nothing")
    return text
