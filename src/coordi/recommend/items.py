"""Described items: text, embeddings, brand, colours, gender, season and stock."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from coordi.config import PromptSettings
from coordi.encoders.base import ImageTextEncoder
from coordi.encoders.labels import Vocabulary
from coordi.prompts import item_text
from coordi.types import Description, Gender, Item

COLOUR = "colour"  # the vocabulary's attribute
BRAND_COLUMNS = ("brand", "brandname", "label", "manufacturer", "designer", "maker", "vendor")
COLOUR_COLUMNS = (
    "colour", "color", "basecolour", "basecolor", "colours", "colors", "colourname", "colorname", "maincolour",
    "maincolor", "primarycolour", "primarycolor", "colourgroupname", "perceivedcolourmastername",
)  # fmt: skip
GENDER_COLUMNS = (
    "gender", "sex", "targetgender", "agegender", "madefor", "idealfor", "audience", "target", "department",
    "indexgroupname", "indexname",
)  # fmt: skip
SEASON_COLUMNS = ("season", "seasons", "seasonname")
STOCK_COLUMNS = (
    "instock", "availability", "available", "isavailable", "stockstatus", "stock", "inventory", "quantity", "qty",
    "stockquantity", "stocklevel", "inventoryquantity", "availablequantity",
)  # fmt: skip

_APOSTROPHES = re.compile(r"['’`]")
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_UNKNOWN = frozenset({"", "na", "n a", "none", "null", "nan", "unknown", "unbranded", "no brand", "not available"})
# Plurals alone in a title: "girl" and "man" are parts of names ("Material Girl", "man bag").
_TITLE_GENDERS: Mapping[str, Gender] = {
    "women": "women", "womens": "women", "ladies": "women", "men": "men", "mens": "men", "gents": "men",
    "girls": "girls", "boys": "boys", "unisex": "unisex",
}  # fmt: skip
_COLUMN_GENDERS: Mapping[str, Gender] = {
    **_TITLE_GENDERS, "woman": "women", "female": "women", "females": "women", "lady": "women", "womenswear": "women",
    "ladieswear": "women", "man": "men", "male": "men", "males": "men", "menswear": "men", "girl": "girls",
    "boy": "boys", "everyone": "unisex", "everybody": "unisex",
}  # fmt: skip
_GENDER_LETTERS: Mapping[str, Gender] = {"w": "women", "f": "women", "m": "men", "u": "unisex", "all": "unisex"}
# Known words that name neither girls nor boys alone.
_CHILDREN = frozenset(
    {"kids", "kid", "children", "child", "baby", "babies", "infant", "toddler", "junior", "juniors", "youth"}
)
_IN_STOCK = frozenset({"true", "yes", "y", "in stock", "instock", "available", "low stock", "limited availability"})
_OUT_OF_STOCK = frozenset(
    {"false", "no", "n", "out of stock", "outofstock", "sold out", "soldout", "unavailable", "not available",
     "discontinued", "backorder", "preorder", "pre order", "back order"}
)  # fmt: skip
# Shops' words for colours that aren't synonyms in the bundled vocabulary; each needs its label in the vocabulary.
_SHADES: Mapping[str, str] = {
    "navy": "navy blue", "multicolor": "multicolour", "multicolored": "multicolour", "multicoloured": "multicolour",
    "ivory": "cream", "ecru": "cream", "golden": "gold", "steel": "silver", "wine": "maroon", "bordeaux": "maroon",
    "aqua": "turquoise", "violet": "purple", "mauve": "purple", "lilac": "lavender", "fuchsia": "magenta",
    "camel": "tan", "taupe": "beige", "skin": "beige", "rust": "orange", "coral": "peach", "crimson": "red",
    "scarlet": "red", "chocolate": "brown", "copper": "brown", "bronze": "brown", "emerald": "green",
    "anthracite": "charcoal", "cobalt": "blue",
}  # fmt: skip


def words_of(text: str) -> list[str]:
    """Words of a text for comparing: lower case, without apostrophes, split at everything but letters and digits."""
    return _BETWEEN_WORDS.sub(" ", _APOSTROPHES.sub("", text.casefold())).split()


def brand_of(item: Item) -> str:
    """The brand as the source's column has it; empty if there is none."""
    return next(iter(_meaningful_values(item, BRAND_COLUMNS)), "")


def gender_of(item: Item) -> Gender | None:
    """Whom an item is made for, by the source's column, else its kind, else its title; None if unknown. Women and men
    are ``unisex``; girls and boys are None, since no value of ``Gender`` stands for both.
    """
    for value in _values(item, GENDER_COLUMNS):
        words = words_of(value)
        gender = _GENDER_LETTERS.get(" ".join(words)) or _single_gender(words, _COLUMN_GENDERS)
        if gender is not None:
            return gender
    return _single_gender(words_of(item.subcategory), _TITLE_GENDERS) or _single_gender(
        words_of(item.title), _TITLE_GENDERS
    )


def season_of(item: Item) -> str:
    """The season as the source's column has it, in lower case; empty if there is none."""
    return " ".join(next(iter(_meaningful_values(item, SEASON_COLUMNS)), "").casefold().split())


def in_stock_of(item: Item) -> bool | None:
    """Whether the source's column, a number or words, says in stock, not on backorder or preorder; None if unknown."""
    for value in _values(item, STOCK_COLUMNS):
        text = " ".join(words_of(value))
        if text in _UNKNOWN - {"not available"}:
            continue
        try:
            return float(value) > 0
        except ValueError:
            pass
        if text in _IN_STOCK or text in _OUT_OF_STOCK:
            return text in _IN_STOCK
    return None


def not_understood(item: Item) -> Iterator[tuple[str, str]]:
    """Unknown values in the columns of gender and stock: the column's meaning and the value."""
    genders = _meaningful_values(item, ("gender", "sex", "targetgender"))
    if genders and gender_of(item) is None and not any(_CHILDREN & set(words_of(value)) for value in genders):
        yield "gender", genders[0]
    stock = _meaningful_values(item, STOCK_COLUMNS)
    if stock and in_stock_of(item) is None:
        yield "stock", stock[0]


class ColourWords:
    """Finds labels of a vocabulary's attribute ``colour`` by their words, synonyms and shades."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        attribute = vocabulary.attributes.get(COLOUR)
        entries = attribute.labels if attribute is not None else ()
        self._labels = {" ".join(words_of(phrase)): entry.text for entry in entries for phrase in entry.phrases}
        names = set(self._labels.values())
        self._labels = {shade: label for shade, label in _SHADES.items() if label in names} | self._labels
        phrases = sorted(map(re.escape, self._labels), key=len, reverse=True)
        self._pattern = re.compile(rf"\b(?:{'|'.join(phrases)})\b") if phrases else None

    def labels_in(self, text: str) -> list[str]:
        """Labels in a text, in its order; a phrase within a longer one doesn't count (navy blue isn't blue)."""
        if self._pattern is None:
            return []
        return [self._labels[phrase] for phrase in self._pattern.findall(" ".join(words_of(text)))]


def colours_of(item: Item, description: Description | None, vocabulary: Vocabulary | ColourWords) -> tuple[str, ...]:
    """Labels of the vocabulary's ``colour``, of the first that names one: the source's column, the title, the photo."""
    words = vocabulary if isinstance(vocabulary, ColourWords) else ColourWords(vocabulary)
    named = [label for value in _values(item, COLOUR_COLUMNS) for label in words.labels_in(value)]
    of_photo = [label.text for label in description.attributes.get(COLOUR, ())] if description is not None else []
    return tuple(dict.fromkeys(named or words.labels_in(item.title) or of_photo))


def describe_item(
    item: Item,
    description: Description | None,
    photo_embedding: NDArray[np.float32] | None,
    prompt: PromptSettings,
    vocabulary: Vocabulary,
    text_encoder: ImageTextEncoder,
) -> Item:
    """Describe one item; see ``describe_items``."""
    descriptions = {} if description is None else {item.id: description}
    vectors = {} if photo_embedding is None else {item.id: photo_embedding}
    return describe_items([item], descriptions, vectors, prompt, vocabulary, text_encoder)[0]


def describe_items(
    items: Sequence[Item],
    descriptions: Mapping[str, Description],
    photo_vectors: Mapping[str, NDArray[np.float32]],
    prompt: PromptSettings,
    vocabulary: Vocabulary,
    text_encoder: ImageTextEncoder,
) -> list[Item]:
    """Add texts, embeddings and facets to items with categories, in their order. Photo vectors ``(D,)`` are by item id;
    ``text_encoder`` is the bundled encoder, whatever encoder described the photos.
    """
    words = ColourWords(vocabulary)
    texts = [item_text(item, descriptions.get(item.id), prompt) for item in items]
    text_vectors = text_encoder.encode_texts(texts)  # (N, T)
    return [
        replace(
            item,
            description=descriptions.get(item.id),
            text=text,
            text_embedding=text_embedding,
            photo_embedding=photo_vectors.get(item.id),
            brand=brand_of(item),
            colours=colours_of(item, descriptions.get(item.id), words),
            gender=gender_of(item),
            season=season_of(item),
            in_stock=in_stock_of(item),
        )
        for item, text, text_embedding in zip(items, texts, text_vectors, strict=True)
    ]


def _values(item: Item, columns: Sequence[str]) -> list[str]:
    """The source's values of these columns, in the columns' order; empty ones are left out."""
    by_key = {_BETWEEN_WORDS.sub("", name.casefold()): value.strip() for name, value in item.extra.items()}
    return [by_key[column] for column in columns if by_key.get(column)]


def _meaningful_values(item: Item, columns: Sequence[str]) -> list[str]:
    return [value for value in _values(item, columns) if " ".join(words_of(value)) not in _UNKNOWN]


def _single_gender(words: Sequence[str], genders_by_word: Mapping[str, Gender]) -> Gender | None:
    genders = {genders_by_word[word] for word in words if word in genders_by_word}
    if {"women", "men"} <= genders or "unisex" in genders:
        return "unisex"
    return genders.pop() if len(genders) == 1 else None
