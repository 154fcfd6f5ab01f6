"""Garment categories from a source's categories, or from words."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Literal

from coordi.errors import DataError
from coordi.types import GARMENT_CATEGORIES, GarmentCategory

NO_GARMENT: Literal[""] = ""
"""The category of things that nobody wears to be seen: a sofa, a lipstick, underwear."""
# The coarse categories of Polyvore Outfits (Vasileva et al., 2018).
_SEMANTIC: Mapping[str, GarmentCategory] = {
    "tops": "top", "bottoms": "bottom", "all-body": "dress", "outerwear": "outerwear", "shoes": "shoes", "bags": "bag",
    "jewellery": "jewellery", "hats": "headwear", "sunglasses": "eyewear", "scarves": "scarf",
    "accessories": "accessory",
}  # fmt: skip
_NOT_LETTERS = re.compile(r"[^a-z]+")
_POSSESSIVE = re.compile(r"['’]s\b")
# A modifier that is also the name of a garment: "short sleeve", "high heel charm", "dress code", "tie front".
_MODIFIERS = re.compile(
    r"\b(short|cap|bell|puff|cold|off|one|drop|flat|high|round|polo|shirt|tie|dress|cape|boat|crew|halter|wrap|tank"
    r"|cropped|open) (sleeves?|sleeved|shoulders?|heel|heeled|neck|neckline|necked|front|back|collar|toe"
    r"|hem|waist|up)\b"
)


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
    """Garment category that free text names, such as ``"Tshirts"`` or ``"red leather belt"``, else None. The head noun
    of an English phrase comes last, so the last garment word decides, and of phrases that end there the longest.
    """
    return classify(text) or None


def classify(text: str) -> GarmentCategory | Literal[""] | None:
    """Like ``category_of``, but ``""`` for a thing that nobody wears and None only if no word is known."""
    phrases = _phrases()
    words = _plain(text).split()
    for end in range(len(words), 0, -1):
        for start in range(max(0, end - _longest_phrase()), end):
            category = phrases.get(" ".join(words[start:end]))
            if category is not None:
                return category
    return None


@cache
def _phrases() -> Mapping[str, GarmentCategory | Literal[""]]:
    phrases: dict[str, GarmentCategory | Literal[""]] = {}
    for row in csv.DictReader(_table("category_words.csv")):
        category = _checked(row["category"])
        for form in (form for phrase in row["words"].split("|") for form in _forms(phrase)):
            if phrases.setdefault(form, category) != category:
                raise DataError(f"category_words.csv gives '{form}' to '{phrases[form]}' and to '{category}'")
    return MappingProxyType(phrases)


@cache
def _longest_phrase() -> int:
    return max(len(phrase.split()) for phrase in _phrases())


def _forms(phrase: str) -> set[str]:
    if phrase.endswith(("ss", "sh", "ch", "x")):
        return {phrase, f"{phrase}es"}
    if phrase.endswith("s"):
        return {phrase}
    return {phrase, re.sub(r"(?<![aeiou])y$", "ie", phrase) + "s"}


def _plain(text: str) -> str:
    letters = _NOT_LETTERS.sub(" ", _POSSESSIVE.sub("", text.lower())).strip()
    return _MODIFIERS.sub(" ", letters)


def _table(name: str) -> list[str]:
    return resources.files("coordi.data").joinpath(name).read_text(encoding="utf-8").splitlines()


def _checked(text: str) -> GarmentCategory | Literal[""]:
    if text and text not in GARMENT_CATEGORIES:
        raise DataError(f"'{text}' isn't a garment category; accepted are {', '.join(GARMENT_CATEGORIES)} or nothing")
    return text
