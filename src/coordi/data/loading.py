"""The way in: recognise a source by its files and load it, cleaned, with its funnel."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from coordi.config import DataSettings
from coordi.data.catalogue import find_table, read_catalogue
from coordi.data.cleaning import clean
from coordi.data.hub import COPIES, fetch, hub_name
from coordi.data.hub_copies import copy_layout, read_marqo, read_owj
from coordi.data.photo_folder import find_photos, read_photos, walk
from coordi.data.photos import NOT_A_PHOTO
from coordi.data.polyvore_maryland import read_maryland, split_file
from coordi.data.polyvore_outfits import VERSIONS, is_version, read_outfits
from coordi.data.source import Source
from coordi.data.tables import TABLE_SUFFIXES
from coordi.domain import SPLITS, Dataset, Outfit, Split
from coordi.errors import DataError
from coordi.progress import Progress, silent

Layout = Literal[
    "polyvore-maryland", "polyvore-outfits", "owj0421-polyvore", "marqo-polyvore", "catalogue", "photos", "sample"
]
SAMPLE_MARKER = "sample.json"
_ACCEPTED = (
    "accepted are a folder with train_no_dup.json, valid_no_dup.json or test_no_dup.json (Maryland Polyvore), a folder "
    "that holds nondisjoint or disjoint, or is one of them (Polyvore Outfits), a .csv, .jsonl or .parquet catalogue or "
    "a folder holding one, a folder of photos (JPEG, PNG, WebP, GIF or BMP), a data set on the hub "
    f"({', '.join(COPIES)}), or, as --data of a command, 'sample'"
)
_NAMES_SHOWN = 6


def load(
    path: Path, settings: DataSettings, seed: int, progress: Progress = silent, *, check_photos: bool = True
) -> Dataset:
    """Read and clean a source; see ``recognise`` for what may be given.

    The same source, settings and seed give an equal data set.

    Args:
        path: A folder, a catalogue's file, or the name of a data set on the hub.
        settings: Whether photos are required, how it is split, caps on the splits, and what may be fetched.
        seed: Of splits that the source doesn't have, and of the caps.
        progress: Told of each photo that was checked.
        check_photos: False believes that every photo is sound, for who opens and counts them all anyway.

    Raises:
        DataError: If it isn't recognised, is broken, or nothing usable is left after cleaning.
    """
    return clean(read_source(path, settings), settings, seed, progress, check_photos=check_photos)


def read_source(path: Path, settings: DataSettings) -> Source:
    """Read a source without judging it.

    Args:
        path: As for ``load``.
        settings: Which version of a release that has several, and whether it may be fetched.

    Raises:
        DataError: If it isn't recognised, is broken or can't be fetched.
    """
    path = located(path, settings)
    layout = recognise(path)
    if layout == "polyvore-maryland":
        return read_maryland(path.resolve())
    if layout == "polyvore-outfits":
        return read_outfits(path.resolve(), settings)
    if layout == "owj0421-polyvore":
        return read_owj(path.resolve(), settings)
    if layout == "marqo-polyvore":
        return read_marqo(path.resolve())
    if layout == "photos":
        return read_photos(path.resolve())
    table = path if path.is_file() else find_table(path)
    if table is None:
        raise DataError(f"{path} has {SAMPLE_MARKER} but no table of items; make the sample again")
    return read_catalogue(table.resolve(), layout)


def located(path: Path | str, settings: DataSettings) -> Path:
    """Where a source lies on this machine: the path itself, or the folder of a data set on the hub.

    Args:
        path: A path, ``hf://datasets/OWNER/NAME`` or plain ``OWNER/NAME``.
        settings: Whether it may be fetched, pinned to which commit, in which version.

    Raises:
        DataError: If it can't or may not be fetched.
    """
    name = hub_name(path)
    return Path(path) if name is None else fetch(name, settings)


def recognise(path: Path) -> Layout:
    """Tell a source's layout from its files.

    Raises:
        DataError: If it is none of them, with what was found and what is accepted.
    """
    if not path.exists():
        raise DataError(f"there is no file or folder at {path}; {_ACCEPTED}")
    if path.is_file():
        if path.suffix.lower() in TABLE_SUFFIXES:
            return "catalogue"
        raise DataError(f"{path} isn't a data set; {_ACCEPTED}")
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from error
    if SAMPLE_MARKER in names:
        return "sample"
    if any(split_file(split) in names for split in SPLITS):
        return "polyvore-maryland"
    if is_version(path.resolve()) or names.intersection(VERSIONS):
        return "polyvore-outfits"
    copy = copy_layout(path)
    if copy is not None:
        return copy
    if find_table(path) is not None:
        return "catalogue"
    if next(find_photos(path), None) is not None:
        return "photos"
    unopened = {found.left_out for found in walk(path)} - {None, NOT_A_PHOTO}
    known = sorted(reason for reason in unopened if reason is not None and reason.startswith("photo "))
    why = f" ({'; '.join(known)})" if known else ""
    raise DataError(f"{path} isn't a layout that coordi knows: it holds {_shown(names)}{why}; {_ACCEPTED}")


def outfits_for(dataset: Dataset, split: Split) -> tuple[Outfit, ...]:
    """The outfits of a split that something needs.

    Raises:
        DataError: If there are none, with the splits that there are and how to get this one.
    """
    outfits = dataset.outfits_of(split)
    if outfits:
        return outfits
    present = [name for name in SPLITS if dataset.outfits_of(name)]
    found = f"it has {', '.join(present)}" if present else "it has no outfits at all"
    files = {"polyvore-maryland": split_file(split)} | dict.fromkeys(
        ("polyvore-outfits", "owj0421-polyvore"), f"{split}.json"
    )
    how = (
        f"add {files[dataset.layout]}, or draw the splits anew with data.split=outfit-disjoint"
        if dataset.layout in files
        else 'add lines {"id": ..., "items": [...]} to outfits.jsonl beside the items'
    )
    raise DataError(f"'{dataset.name}' has no {split} outfits ({found}); {how}")


def _shown(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _NAMES_SHOWN} more" if len(ordered) > _NAMES_SHOWN else ""
    return ", ".join(ordered[:_NAMES_SHOWN]) + more if ordered else "nothing"
