"""How a described item lies in a catalogue's database: one row of one table, its vectors in it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from coordi.domain import Description, Item, Label, WornCategory
from coordi.recommend.described_item import DescribedItem, Gender
from coordi.recommend.facets import words_of
from coordi.recommend.rule_sql import caseless

if TYPE_CHECKING:
    import pyarrow as pa

DATABASE = "shop"  # the name under which a catalogue's database is attached
ITEMS = f"{DATABASE}.items"
ABOUT = f"{DATABASE}.about"
PHOTO, TEXT = "photo_vector", "text_vector"  # columns of vectors
# Photos' paths are bytes: a name on disk needn't be UTF-8. ``place`` is the item's place in the source.
_COLUMNS: Mapping[str, str] = {
    "place": "BIGINT", "id": "VARCHAR", "title": "VARCHAR", "category": "VARCHAR", "kind": "VARCHAR", "image": "BLOB",
    "price": "DOUBLE", "extra": "VARCHAR", "text": "VARCHAR", "description": "VARCHAR", "brand": "VARCHAR",
    "brand_key": "VARCHAR", "colours": "VARCHAR[]", "colour_keys": "VARCHAR[]", "gender": "VARCHAR",
    "season": "VARCHAR", "season_key": "VARCHAR", "in_stock": "BOOLEAN", "words": "VARCHAR", "row_hash": "BLOB",
    "photo_hash": "BLOB",
}  # fmt: skip
TOLD = (
    "id", "title", "category", "kind", "image", "price", "extra", "text", "description", "brand", "colours", "gender",
    "season", "in_stock",
)  # fmt: skip
_TOLD_APART_BY = " "  # before each word of ``words``, so that a search finds beginnings of words


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """An item with what a refresh compares.

    Attributes:
        place: In the source's order.
        row_hash: Of what the source says of the item; empty where nothing is ever refreshed.
        photo_hash: SHA-256 of its photo's bytes; empty without a photo.
    """

    place: int
    item: DescribedItem
    row_hash: bytes = b""
    photo_hash: bytes = b""


def create_tables(photo_dimension: int, text_dimension: int, database: str = DATABASE) -> tuple[str, ...]:
    """Statements that make an empty catalogue's tables in an attached database."""
    columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    vectors = f"photo_vector FLOAT[{photo_dimension}], text_vector FLOAT[{text_dimension}]"
    # Compressed floats are unpacked at every search: 100,000 vectors took 3 times as long.
    return (
        "PRAGMA force_compression='uncompressed'",
        f"CREATE TABLE {database}.items ({columns}, {vectors})",
        f"CREATE TABLE {database}.about (info VARCHAR)",
    )


def table_of(rows: Sequence[CatalogueRow], photo_dimension: int, text_dimension: int) -> pa.Table:
    """Rows as an Arrow table with the columns of the database, in their order."""
    import pyarrow as pa

    kinds = {
        "VARCHAR": pa.string(), "BIGINT": pa.int64(), "BLOB": pa.binary(), "DOUBLE": pa.float64(),
        "BOOLEAN": pa.bool_(), "VARCHAR[]": pa.list_(pa.string()),
    }  # fmt: skip
    values = [_values(row) for row in rows]
    columns = {name: pa.array([each[name] for each in values], type=kinds[kind]) for name, kind in _COLUMNS.items()}
    columns["photo_vector"] = _vectors([row.item.photo_vector for row in rows], photo_dimension)
    columns["text_vector"] = _vectors([row.item.text_vector for row in rows], text_dimension)
    return pa.table(columns)


def items_of(
    table: pa.Table,
    photos: Sequence[NDArray[np.float32] | None],
    texts: Sequence[NDArray[np.float32] | None],
) -> list[DescribedItem]:
    """Described items of rows that were read without their vectors, in their order.

    Args:
        table: With the columns of ``TOLD``, more don't matter.
        photos: Vectors of the photos.
        texts: Vectors of the texts.
    """
    return [_item(row, photo, text) for row, photo, text in zip(table.to_pylist(), photos, texts, strict=True)]


def search_words(text: str) -> list[str]:
    """What ``words`` must hold for each word of a search, compared as beginnings of words."""
    return [f"{_TOLD_APART_BY}{word}" for word in words_of(text)]


def _values(row: CatalogueRow) -> dict[str, Any]:
    one, item = row.item, row.item.item
    said = " ".join((item.title, item.kind, one.brand, one.text))
    return {
        "place": row.place,
        "id": item.id,
        "title": item.title,
        "category": item.category,
        "kind": item.kind,
        "image": None if item.image is None else os.fsencode(item.image),
        "price": item.price,
        "extra": json.dumps(dict(item.extra), ensure_ascii=False),
        "text": one.text,
        "description": None if one.description is None else _written(one.description),
        "brand": one.brand,
        "brand_key": caseless(one.brand),
        "colours": list(one.colours),
        "colour_keys": [caseless(colour) for colour in one.colours],
        "gender": one.gender,
        "season": one.season,
        "season_key": caseless(one.season),
        "in_stock": one.in_stock,
        "words": "".join(f"{_TOLD_APART_BY}{word}" for word in words_of(said)),
        "row_hash": row.row_hash,
        "photo_hash": row.photo_hash,
    }


def _item(row: Mapping[str, Any], photo: NDArray[np.float32] | None, text: NDArray[np.float32] | None) -> DescribedItem:
    if text is None:
        raise ValueError(f"item '{row['id']}' has no text vector")
    image = None if row["image"] is None else Path(os.fsdecode(row["image"]))
    category = cast("WornCategory", row["category"])
    extra = MappingProxyType(json.loads(row["extra"]))
    item = Item(row["id"], row["title"], category, row["kind"], image, row["price"], extra)
    description = None if row["description"] is None else _read(row["id"], row["description"])
    gender = cast("Gender | None", row["gender"])
    colours = tuple(row["colours"])
    return DescribedItem(
        item, row["text"], text, description, photo, row["brand"], colours, gender, row["season"], row["in_stock"]
    )


def _written(description: Description) -> str:
    said = {
        name: [[label.text, label.probability] for label in labels] for name, labels in description.attributes.items()
    }
    return json.dumps(said, ensure_ascii=False)


def _read(item_id: str, text: str) -> Description:
    said = json.loads(text)
    return Description(
        item_id, {name: tuple(Label(label, share) for label, share in labels) for name, labels in said.items()}
    )


def _vectors(vectors: Sequence[NDArray[np.float32] | None], dimension: int) -> pa.Array:
    import pyarrow as pa

    nothing = np.zeros(dimension, dtype=np.float32)
    values = np.concatenate([nothing if one is None else one for one in vectors] or [nothing[:0]])
    mask = pa.array([one is None for one in vectors], type=pa.bool_())
    return pa.FixedSizeListArray.from_arrays(pa.array(values, type=pa.float32()), dimension, mask=mask)
