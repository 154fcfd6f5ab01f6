"""Photos with hand-made labels, in the layout of the fashion products."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coordi.data.photos import PHOTO_SUFFIXES
from coordi.errors import DataError

# Column of styles.csv and the sentence its labels are put into; the edge encoder was trained with the same sentences.
TEMPLATES: Mapping[str, str] = {
    "articleType": "a photo of {}",
    "masterCategory": "a photo of {}",
    "subCategory": "a photo of {}",
    "gender": "a photo of a product for {}",
    "baseColour": "a photo of a {} product",
    "season": "a photo of a product for {}",
    "usage": "a photo of a product for {} use",
}
HELD_OUT_PERCENT = 15
_TITLE = "productDisplayName"


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """A photo, its labels by column (a label that is missing is absent), and its title, empty where there is none."""

    id: str
    path: Path
    labels: Mapping[str, str]
    title: str = ""


def is_held_out(photo_id: int) -> bool:
    """Whether a photo of the fashion products is among the 15% that the edge encoder's training never saw."""
    digest = hashlib.sha256(str(photo_id).encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < HELD_OUT_PERCENT


def held_out_photos(photos: Sequence[LabelledPhoto]) -> tuple[LabelledPhoto, ...]:
    """The photos that the edge encoder's training never saw, by their numeric ids.

    Raises:
        DataError: If none is left, or an id isn't a number.
    """
    strange = [photo.id for photo in photos if not photo.id.isdecimal()]
    if strange:
        raise DataError(f"'{strange[0]}' isn't an id of the fashion products, whose ids are numbers; drop --held-out")
    kept = tuple(photo for photo in photos if is_held_out(int(photo.id)))
    if not kept:
        raise DataError(f"none of the {len(photos)} photos was held out; drop --held-out")
    return kept


def may_be_trained_on(photo: LabelledPhoto) -> bool:
    """Whether a photo's id is one that the edge encoder may have been trained on, if it is of the fashion products."""
    return photo.id.isdecimal() and not is_held_out(int(photo.id))


def with_new_titles(photos: Sequence[LabelledPhoto], every: Sequence[LabelledPhoto]) -> frozenset[str]:
    """Ids of held-out photos whose title no trained photo has: shops sell one product under several ids.

    Args:
        photos: Held-out photos.
        every: All photos of the release, by numeric ids.
    """
    trained = {" ".join(one.title.lower().split()) for one in every if not is_held_out(int(one.id))} - {""}
    return frozenset(one.id for one in photos if " ".join(one.title.lower().split()) not in trained)


def label_words(label: str) -> str:
    """A label of styles.csv as people write it: lower case, and ``Tshirts`` as ``t-shirts``."""
    return label.lower().replace("tshirts", "t-shirts")


def read_labelled(folder: Path) -> tuple[LabelledPhoto, ...]:
    """Rows of ``styles.csv`` whose ``images/<id>.jpg`` (or .png, ...) exists; of a repeated id the first.

    Raises:
        DataError: If ``styles.csv`` is missing, isn't UTF-8, lacks ``id`` or every label column, or no row has a photo.
    """
    columns, rows = _read_rows(folder)
    photos: dict[str, LabelledPhoto] = {}
    for cells in rows:
        name = cells["id"]
        photo = _photo(folder / "images", name)
        if photo is not None and name not in photos:
            labels = {column: cells[column] for column in columns if cells.get(column, "") not in ("", "NA")}
            photos[name] = LabelledPhoto(name, photo, labels, cells.get(_TITLE, ""))
    if not photos:
        raise DataError(f"no row of {folder / 'styles.csv'} has its photo images/<id>.jpg; {len(rows)} rows were read")
    return tuple(photos.values())


def _photo(images: Path, name: str) -> Path | None:
    """The photo of an id, whatever its ending's case; None if there is none, or the id leads elsewhere."""
    endings = [ending for small in PHOTO_SUFFIXES for ending in (small, small.upper())]
    paths = [images / f"{name}{ending}" for ending in endings] if name else []
    return next((path for path in paths if path.parent == images and path.is_file()), None)


def _read_rows(folder: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The label columns that are there, and the rows as cells by column, without space around them."""
    path = folder / "styles.csv"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} can't be read ({error}); give a folder with styles.csv and images/<id>.jpg") from error
    header = [name.strip() for name in rows[0]] if rows else []
    columns = [name for name in TEMPLATES if name in header]
    if "id" not in header or not columns:
        raise DataError(f"{path} needs a column 'id' and at least one of {', '.join(TEMPLATES)}; it has {header}")
    # Titles of the release hold bare commas, but only the last column does.
    last = max(0, len(header) - 1)
    found = [
        {name: cell.strip() for name, cell in zip(header, [*row[:last], ",".join(row[last:])], strict=False)}
        for row in rows[1:]
        if row
    ]
    return columns, [{**cells, "id": cells.get("id", "")} for cells in found]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What of a folder of labelled photos can't be measured: rows without a photo, and photos without a row."""

    rows: int
    photos: int


def left_out(folder: Path, photos: Sequence[LabelledPhoto]) -> LeftOut:
    """Count the rows of ``styles.csv`` without a photo and the photos of ``images`` without a row."""
    ids = {row["id"] for row in _read_rows(folder)[1]} - {""}
    there = {path.stem for path in (folder / "images").glob("*.*")}
    return LeftOut(len(ids - {photo.id for photo in photos}), len(there - ids))


def label_lists(photos: Sequence[LabelledPhoto]) -> dict[str, list[str]]:
    """By column, the sorted labels that occur."""
    return {name: sorted({p.labels[name] for p in photos if name in p.labels}) for name in TEMPLATES}
