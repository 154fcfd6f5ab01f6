"""Described items: text, embeddings, facts, brand, season and stock."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from coordi.config import PromptSettings
from coordi.data.stock import STOCK_COLUMNS, in_stock
from coordi.encoders.base import ImageTextEncoder
from coordi.encoders.labels import Vocabulary
from coordi.prompts import item_text
from coordi.recommend.facts import FactReader, column_values, people_in_column
from coordi.style.languages import item_in_english
from coordi.style.lexicon import default_lexicon
from coordi.style.words import replaced, style_tables, words_of
from coordi.types import Description, Gender, Item

BRAND_COLUMNS = ("brand", "brandname", "label", "manufacturer", "designer", "maker", "vendor")
SEASON_COLUMNS = ("season", "seasons", "seasonname")
_UNKNOWN = frozenset({"", "na", "n a", "none", "null", "nan", "unknown", "unbranded", "no brand", "not available"})


def brand_of(item: Item) -> str:
    """The brand as the source's column has it; empty if there is none."""
    return next(iter(_meaningful_values(item, BRAND_COLUMNS)), "")


def season_of(item: Item) -> str:
    """The season as the source's column has it, in lower case; empty if there is none."""
    return " ".join(next(iter(_meaningful_values(item, SEASON_COLUMNS)), "").casefold().split())


def in_stock_of(item: Item) -> bool | None:
    """Whether the source's column, a number or words, says in stock, not on backorder or preorder; None if unknown."""
    return in_stock(column_values(item, STOCK_COLUMNS))


def not_understood(item: Item) -> Iterator[tuple[str, str]]:
    """Unknown values in the columns of gender and stock: the column's meaning and the value."""
    item = item_in_english(item)
    genders = _meaningful_values(item, ("gender", "sex", "targetgender", "agegroup"))
    if genders and not any(map(people_in_column, genders)):
        yield "gender", genders[0]
    stock = _meaningful_values(item, STOCK_COLUMNS)
    if stock and in_stock_of(item) is None:
        yield "stock", stock[0]


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
    """Add texts, embeddings, facts and facets to items, in their order. Photo vectors ``(D,)`` are by item id;
    ``text_encoder`` is the bundled encoder, whatever encoder described the photos.
    """
    reader = FactReader(vocabulary)
    facts = [reader.facts(item, descriptions.get(item.id)) for item in items]
    texts = [
        item_text(
            item_in_english(_without_brand(item)),
            reader.description_in_prompts(item, descriptions.get(item.id), of_item),
            prompt,
        )
        for item, of_item in zip(items, facts, strict=True)
    ]
    text_vectors = text_encoder.encode_texts(texts)  # (N, T)
    return [
        replace(
            item,
            description=descriptions.get(item.id),
            text=text,
            text_embedding=text_embedding,
            photo_embedding=photo_vectors.get(item.id),
            brand=brand_of(item),
            colours=of_item["colour"][0].values if "colour" in of_item else (),
            gender=cast("Gender", of_item["audience"][0].values[0]) if "audience" in of_item else None,
            season=season_of(item),
            in_stock=in_stock_of(item),
            facts=of_item,
        )
        for item, text, text_embedding, of_item in zip(items, texts, text_vectors, facts, strict=True)
    ]


def _without_brand(item: Item) -> Item:
    """The item without its brand's name in its title: that two things are of one brand says little of style."""
    brand = brand_of(item)
    name = " ".join(re.findall(r"[^\W_]+", brand))
    if not name or _says_something(brand):
        return item
    title, shorter = "", item.title
    while shorter != title:  # each time that it is named
        title, shorter = shorter, replaced(shorter, name, "").strip(" -,:|")
    return replace(item, title=title or item.title)


@lru_cache(maxsize=4096)
def _says_something(brand: str) -> bool:
    """Whether words of a brand's name are those of a garment, a colour, a material or a pattern ("White", "Shoes")."""
    words = (brand.casefold(), *words_of(brand))
    return default_lexicon().match(brand)[0] is not None or not _style_words().isdisjoint(words)


@cache
def _style_words() -> frozenset[str]:
    table = style_tables()
    groups = (table.colours.values(), table.materials.values(), table.patterns.values())
    return frozenset(word for group in groups for row in group for word in (row.name, *row.words))


def _meaningful_values(item: Item, columns: Sequence[str]) -> list[str]:
    return [value for value in column_values(item, columns) if " ".join(words_of(value)) not in _UNKNOWN]
