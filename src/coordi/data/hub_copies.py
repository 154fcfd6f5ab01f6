"""Readers for hub copies whose layout isn't that of a release: items and photos in the rows of Parquet files.

``owj0421/polyvore`` is Polyvore Outfits: ``data/*.parquet`` with the items, and ``<version>_default``,
``<version>_compatibility`` and ``<version>_fill_in_the_blank`` of ``owj0421/polyvore-outfits`` beside it.
``Marqo/polyvore`` is the items of the Maryland release without its splits: ids are ``<set_id>_<index>``, so they tell
which items are an outfit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from coordi.config import DataSettings
from coordi.data.categories import (
    NOT_WORN,
    MarylandCategory,
    category_of,
    maryland_categories,
    maryland_category,
    worn_or_not,
)
from coordi.data.funnel import Funnel, with_examples
from coordi.data.parquet_photos import columns_of, extract_photos, id_of, read_columns
from coordi.data.polyvore_outfits import ASKED_SPLITS, VERSIONS, OutfitsRelease, chosen_version, present, release_source
from coordi.data.source import Source, SourceItem, SourceOutfit
from coordi.domain import SPLITS, WornCategory

CopyLayout = Literal["owj0421-polyvore", "marqo-polyvore"]
OWJ_LAYOUT: CopyLayout = "owj0421-polyvore"
MARQO_LAYOUT: CopyLayout = "marqo-polyvore"
_OUTFITS_HUB = "https://huggingface.co/datasets/owj0421/polyvore-outfits"
_OWJ_COLUMNS, _OWJ_MORE = ("item_id", "url_name", "category"), ("title", "description")
_MARQO_COLUMNS = ("item_ID", "category", "text")
_SET_AND_INDEX = re.compile(r"(.+)_(\d+)")


def copy_layout(folder: Path) -> CopyLayout | None:
    """Which copy a folder holds; None if it holds neither.

    Raises:
        DataError: If a Parquet file in ``data`` can't be read.
    """
    if any((folder / f"{version}_default").is_dir() for version in VERSIONS):
        return OWJ_LAYOUT
    for table in _tables(folder):
        names = columns_of(table)
        if "item_ID" in names:
            return MARQO_LAYOUT
        if {"item_id", "url_name"} <= set(names):
            return OWJ_LAYOUT
    return None


def read_owj(folder: Path, settings: DataSettings) -> Source:
    """Read ``owj0421/polyvore`` with the outfits of ``owj0421/polyvore-outfits``.

    Args:
        folder: Holds the files of both.
        settings: ``release`` says which version.

    Raises:
        DataError: If the version or the items aren't there, or a file is broken.
    """
    there = [
        name for name in VERSIONS if any((folder / f"{name}_default" / f"{split}.json").is_file() for split in SPLITS)
    ]
    version = chosen_version(
        folder, settings, there, "_default", "https://huggingface.co/datasets/owj0421/polyvore-outfits"
    )
    tables = _tables(folder)
    rows = [(id_of(row, "item_id"), row) for row in read_columns(tables, _OWJ_COLUMNS, _OWJ_MORE)]
    release = OutfitsRelease(
        name=f"{folder.name} ({version})",
        layout=OWJ_LAYOUT,
        outfits=present({split: folder / f"{version}_default" / f"{split}.json" for split in SPLITS}),
        compatibility=present({split: folder / f"{version}_compatibility" / f"{split}.json" for split in ASKED_SPLITS}),
        blanks=present({split: folder / f"{version}_fill_in_the_blank" / f"{split}.json" for split in ASKED_SPLITS}),
        items_file="data/*.parquet",
        nameless=sum(not item_id for item_id, _ in rows),
    )
    facts = {item_id: _facts(row) for item_id, row in rows if item_id}
    return release_source(release, facts, lambda names: extract_photos(tables, "item_id", set(names)).get, where=folder)


def read_marqo(folder: Path) -> Source:
    """Read ``Marqo/polyvore``: items with photo, title and category, in outfits without a split.

    Raises:
        DataError: If a file is broken or lacks a column.
    """
    tables = _tables(folder)
    rows = [(id_of(row, "item_ID"), row) for row in read_columns(tables, _MARQO_COLUMNS)]
    funnel = Funnel()
    funnel.read("items", len(rows))
    items: dict[str, SourceItem] = {}
    twice: list[str] = []
    nameless = 0
    for item_id, row in rows:
        if not item_id:
            nameless += 1
        elif item_id in items:
            twice.append(item_id)
        else:
            items[item_id] = _marqo_item(item_id, row)
    photos = extract_photos(tables, "item_ID", {item.id for item in items.values() if item.category != NOT_WORN})
    funnel.drop("items", "no item_ID", nameless)
    funnel.drop("items", with_examples("duplicate id, the first is kept", twice), len(twice))
    outfits = _outfits_by_id(tuple(items))
    funnel.read("outfits", len(outfits))
    return Source(
        folder.name, MARQO_LAYOUT, tuple(replace(item, image=photos.get(item.id)) for item in items.values()), outfits,
        funnel, keeps_single_items=not outfits,
    )  # fmt: skip


def _tables(folder: Path) -> list[Path]:
    return sorted((folder / "data").glob("*.parquet"))


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns under the names of the release's metadata."""
    return {**row, "semantic_category": row.get("category")}


def _outfits_by_id(item_ids: Sequence[str]) -> tuple[SourceOutfit, ...]:
    sets: dict[str, list[tuple[int, str]]] = {}
    for item_id in item_ids:
        if found := _SET_AND_INDEX.fullmatch(item_id):
            sets.setdefault(found[1], []).append((int(found[2]), item_id))
    return tuple(SourceOutfit(set_id, tuple(name for _, name in sorted(made)), None) for set_id, made in sets.items())


def _marqo_item(item_id: str, row: Mapping[str, Any]) -> SourceItem:
    title, kind = str(row.get("text") or ""), str(row.get("category") or "")
    known = _rows_by_name().get(kind.casefold())
    category: WornCategory | str | None
    if known is not None:
        category = maryland_category(known.id, title)
    else:
        named = worn_or_not(kind)
        category = category_of(title) if named is None else named
    return SourceItem(item_id, title, category, kind)


@cache
def _rows_by_name() -> Mapping[str, MarylandCategory]:
    """The table's rows by name; of rows of one name the first."""
    return {row.name.casefold(): row for row in reversed(tuple(maryland_categories().values()))}
