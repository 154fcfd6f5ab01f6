"""Recognises a source, reads and cleans it; writes and reads cleaned data sets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypeVar

from coordi.artifacts import Progress, atomic_path, no_progress, read_json, write_json
from coordi.config import DataSettings
from coordi.data.cleaning import clean
from coordi.data.feed import find_photos, find_table, read_catalogue, read_photos, walk
from coordi.data.hub import COPIES, copy_layout, fetch, hub_name, read_marqo, read_owj
from coordi.data.photos import FORMATS_IN_WORDS, NOT_A_PHOTO
from coordi.data.polyvore import VERSIONS, is_version, read_maryland, read_outfits, split_file
from coordi.data.sample import MARKER, SAMPLE, sample_folder
from coordi.data.source import Source, listed
from coordi.data.style_pairs import STYLE_PAIRS, SUFFIX, is_style_pairs, read_style_pairs
from coordi.data.tables import FEED_SUFFIXES, TABLE_SUFFIXES
from coordi.errors import ArtifactError, DataError, require
from coordi.types import (
    SPLITS,
    CompatibilityQuestion,
    Dataset,
    FitbQuestion,
    FunnelRow,
    Item,
    Outfit,
    QuestionFile,
    ReleaseQuestions,
    Split,
)

ITEMS, OUTFITS, FIELDS = "items.parquet", "outfits.parquet", "dataset.json"

Stored = TypeVar("Stored", Outfit, CompatibilityQuestion, FitbQuestion)


def write_dataset(folder: Path, dataset: Dataset) -> None:
    """Write a data set: items, outfits, a release's questions (``released-<split>-<name>.parquet`` and
    ``...-blanks.parquet``) and, last, ``dataset.json``. Photos stay where they are. Raises ArtifactError.
    """
    items = [
        {
            "id": item.id, "title": item.title, "category": item.category, "kind": item.subcategory,
            "image": None if item.image is None else os.fsencode(item.image), "price": item.price,
            "extra": list(item.extra.items()),
        }
        for item in dataset.items.values()
    ]  # fmt: skip
    _write(folder / ITEMS, items, Item)
    _write_stored(folder / OUTFITS, dataset.outfits, Outfit)
    for part in dataset.released:
        path = folder / f"released-{part.split}-{part.name}.parquet"
        _write_stored(path, part.compatibility, CompatibilityQuestion)
        _write_stored(path.with_stem(f"{path.stem}-blanks"), part.blanks, FitbQuestion)
    fields = {
        "name": dataset.name,
        "layout": dataset.layout,
        "text_only": dataset.text_only,
        "funnel": [asdict(row) for row in dataset.funnel],
        "released": [
            {
                "name": part.name,
                "split": part.split,
                "compatibility": {
                    "asked": part.compatibility_file.count, "losses": dict(part.compatibility_file.losses),
                },
                "blanks": {"asked": part.blanks_file.count, "losses": dict(part.blanks_file.losses)},
            }
            for part in dataset.released
        ],
    }  # fmt: skip
    write_json(folder / FIELDS, fields)


def read_dataset(folder: Path) -> Dataset:
    """Read what ``write_dataset`` wrote, in order; raises ArtifactError if a file is missing or broken."""
    fields = read_json(folder / FIELDS)
    try:
        items = {row["id"]: _item(row) for row in _read(folder / ITEMS, Item)}
        outfits = read_stored(folder / OUTFITS, Outfit)
        funnel = tuple(FunnelRow(**row) for row in fields["funnel"])
        released = tuple(_released(folder, part) for part in fields["released"])
        return Dataset(fields["name"], fields["layout"], items, outfits, funnel, fields["text_only"], released)
    except (KeyError, TypeError) as error:
        raise ArtifactError(
            f"{folder / FIELDS} isn't what coordi writes ({error!r}); delete the folder and run the command again"
        ) from error


def write_questions(path: Path, questions: Sequence[CompatibilityQuestion] | Sequence[FitbQuestion]) -> None:
    """Write questions of one kind; without any the file has the columns of compatibility questions."""
    _write_stored(path, questions, type(questions[0]) if questions else CompatibilityQuestion)


def read_stored(path: Path, kind: type[Stored]) -> tuple[Stored, ...]:
    """Outfits or questions of one kind, as they were written."""
    rows: list[list[Any]] = [
        [tuple(value) if isinstance(value, list) else value for value in row.values()] for row in _read(path, kind)
    ]
    return tuple(kind(*values) for values in rows)


def _released(folder: Path, fields: Mapping[str, Any]) -> ReleaseQuestions:
    name, split = fields["name"], fields["split"]
    path = folder / f"released-{split}-{name}.parquet"
    compatibility = read_stored(path, CompatibilityQuestion)
    blanks = read_stored(path.with_stem(f"{path.stem}-blanks"), FitbQuestion)
    files = (QuestionFile(fields[task]["asked"], dict(fields[task]["losses"])) for task in ("compatibility", "blanks"))
    return ReleaseQuestions(name, split, compatibility, blanks, *files)


def _item(row: Mapping[str, Any]) -> Item:
    image = None if row["image"] is None else Path(os.fsdecode(row["image"]))
    return Item(row["id"], row["title"], row["category"], row["kind"], image, row["price"], dict(row["extra"] or {}))


def _write_stored(path: Path, rows: Sequence[Outfit | CompatibilityQuestion | FitbQuestion], kind: type) -> None:
    _write(path, [asdict(row) for row in rows], kind)


def _schema(kind: type) -> Any:
    pa = require("pyarrow", "train")
    text, texts = pa.string(), pa.list_(pa.string())
    columns: dict[type, dict[str, Any]] = {
        Item: {
            "id": text, "title": text, "category": text, "kind": text, "image": pa.binary(), "price": pa.float64(),
            "extra": pa.map_(text, text),
        },
        Outfit: {"id": text, "item_ids": texts, "split": text, "title": text},
        CompatibilityQuestion: {"id": text, "outfit_id": text, "item_ids": texts, "compatible": pa.bool_()},
        FitbQuestion: {"id": text, "outfit_id": text, "item_ids": texts, "candidates": texts, "answer": pa.int64()},
    }  # fmt: skip
    return pa.schema(columns[kind])


def _write(path: Path, rows: list[dict[str, Any]], kind: type) -> None:
    table = require("pyarrow", "train").Table.from_pylist(rows, schema=_schema(kind))
    with atomic_path(path) as temporary:
        require("pyarrow.parquet", "train").write_table(table, temporary)


def _read(path: Path, kind: type) -> list[dict[str, Any]]:
    pa, schema = require("pyarrow", "train"), _schema(kind)
    try:
        table = require("pyarrow.parquet", "train").read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{path} can't be read ({reason}); delete its folder and run the command again") from error
    if table.column_names != schema.names:
        raise ArtifactError(
            f"{path} has the columns {', '.join(table.column_names)}; expected {', '.join(schema.names)}: "
            "delete its folder and run the command again"
        )
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


Layout = Literal[
    "polyvore-maryland",
    "polyvore-outfits",
    "owj0421-polyvore",
    "marqo-polyvore",
    "catalogue",
    "photos",
    "sample",
    "style-pairs",
]
_ACCEPTED = (
    "accepted are a folder with train_no_dup.json, valid_no_dup.json or test_no_dup.json (Maryland Polyvore), a folder "
    "that holds nondisjoint or disjoint, or is one of them (Polyvore Outfits), a .csv, .jsonl or .parquet catalogue or "
    "a folder holding one, a shop's export as .csv, .tsv, .txt, .json or .xml, a folder of photos ("
    f"{FORMATS_IN_WORDS}), a data set on the hub "
    f"({', '.join(COPIES)}), or, as --data of a command, 'sample'; of coordi evaluate also a .tsv of style pairs"
)


def load(
    path: Path, settings: DataSettings, seed: int, progress: Progress = no_progress, *, check_photos: bool = True
) -> Dataset:
    """Read and clean a source (see ``located``); the same source, settings and seed give an equal data set.
    ``check_photos=False`` is for callers that open every photo themselves. Raises DataError if it isn't recognised, is
    broken, or nothing usable is left.
    """
    if path.suffix.lower() == SUFFIX and path.is_file() and is_style_pairs(path):
        return read_style_pairs(path.resolve(), seed)
    return clean(read_source(path, settings), settings, seed, progress, check_photos=check_photos)


def read_source(path: Path, settings: DataSettings) -> Source:
    """Read a source without cleaning it."""
    path = located(path, settings)
    layout = recognise(path)
    if layout == STYLE_PAIRS:
        raise DataError(f"{path} is a table of style pairs, which only coordi evaluate takes")
    if layout in ("polyvore-outfits", "owj0421-polyvore"):
        return (read_outfits if layout == "polyvore-outfits" else read_owj)(path.resolve(), settings)
    readers = {"polyvore-maryland": read_maryland, "marqo-polyvore": read_marqo, "photos": read_photos}
    if layout in readers:
        return readers[layout](path.resolve())
    table = path if path.is_file() else find_table(path)
    if table is None:
        raise DataError(f"{path} has {MARKER} but no table of items; delete the folder to unpack it again")
    return read_catalogue(table.resolve(), layout, settings.feed)


def located(path: Path | str, settings: DataSettings | None = None) -> Path:
    """Path on this machine of a source: a path, ``sample``, ``hf://datasets/OWNER/NAME`` or plain ``OWNER/NAME``.
    Raises DataError if a hub data set can't or may not be downloaded.
    """
    if not str(path):
        raise DataError(f"the path of the data is empty; {_ACCEPTED}")
    if str(path) == SAMPLE and not Path(path).exists():
        return sample_folder()
    name = hub_name(path)
    return Path(path) if name is None else fetch(name, settings or DataSettings())


def recognise(path: Path) -> Layout:
    """The layout of a source, from its files; raises DataError if it is none that coordi knows."""
    if not path.exists():
        raise DataError(f"there is no file or folder at {path}; {_ACCEPTED}")
    if path.is_file():
        if path.suffix.lower() == SUFFIX and is_style_pairs(path):
            return "style-pairs"
        if path.suffix.lower() in (*TABLE_SUFFIXES, *FEED_SUFFIXES):
            return "catalogue"
        raise DataError(f"{path} isn't a data set; {_ACCEPTED}")
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from error
    if MARKER in names:
        return "sample"
    if any(split_file(split) in names for split in SPLITS):
        return "polyvore-maryland"
    if is_version(path.resolve()) or names.intersection(VERSIONS):
        return "polyvore-outfits"
    if copy := copy_layout(path):
        return copy
    if find_table(path) is not None:
        return "catalogue"
    if next(find_photos(path), None) is not None:
        return "photos"
    unopened = {entry.left_out or "" for entry in walk(path)} - {NOT_A_PHOTO}
    reasons = sorted(reason for reason in unopened if reason.startswith("photo "))
    why = f" ({'; '.join(reasons)})" if reasons else ""
    raise DataError(
        f"{path} isn't a layout that coordi knows: it holds {listed(sorted(names)) or 'nothing'}{why}; {_ACCEPTED}"
    )


def outfits_for(dataset: Dataset, split: Split) -> tuple[Outfit, ...]:
    """The outfits of a split that must have some."""
    outfits = dataset.outfits_of(split)
    if outfits:
        return outfits
    present = [name for name in SPLITS if dataset.outfits_of(name)]
    others = f"it has {', '.join(present)}" if present else "it has no outfits at all"
    file = split_file(split) if dataset.layout == "polyvore-maryland" else f"{split}.json"
    how = 'add lines {"id": ..., "items": [...]} to outfits.jsonl beside the items'
    if dataset.layout in ("polyvore-maryland", "polyvore-outfits", "owj0421-polyvore"):
        how = f"add {file}, or draw the splits anew with data.split=outfit-disjoint"
    raise DataError(f"'{dataset.name}' has no {split} outfits ({others}); {how}")
