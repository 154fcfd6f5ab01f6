"""The sample as a folder in the plain catalogue's form."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from coordi.artifacts import Progress, atomic_path, clear_write_errors, no_progress, write_json, write_text

from .drawing.canvas import Template
from .drawing.photo import Cloth, photograph
from .garments import KINDS, Garment
from .palette import COLOURS, RGB
from .wardrobe import SampleSize, Wardrobe, fill_wardrobe

MARKER = "sample.json"
NOTE = "drawn garments for trying coordi out; figures from it are no result"

_COLUMNS = ("id", "title", "category", "kind", "image", "price")
_QUALITY = 92
_PALE = 150


def make_sample(folder: Path, seed: int, size: SampleSize | None = None, progress: Progress = no_progress) -> None:
    """Draw a small wardrobe and write it as a catalogue with outfits; the same seed gives the same bytes.

    It is there for trying coordi out without data. No figure measured on it is a result.

    Writes ``items.csv``, ``outfits.jsonl`` (``id``, ``items``, ``split``, ``title``), ``images/<id>.jpg`` and, last,
    the marker ``sample.json``. Existing files of these names are replaced; the marker goes first, so that
    a folder with one is whole.

    Args:
        folder: Made if it isn't there.
        seed: Of everything that is left to chance.
        size: How many items and outfits; the default ones if None.
        progress: Told of each finished drawing.

    Raises:
        ArtifactError: If the folder can't be written or the disk is full.
        DataError: If so few items don't make so many outfits.
    """
    size = size or SampleSize()
    wardrobe = fill_wardrobe(seed, size)
    with clear_write_errors(folder / MARKER):
        (folder / MARKER).unlink(missing_ok=True)
    prices = np.random.default_rng([seed, 3])
    rows = [_row(item_id, garment, prices) for item_id, garment in wardrobe.garments.items()]
    # Pictures of a kind share its template, so they are drawn one after another.
    by_kind = sorted(wardrobe.garments.items(), key=lambda entry: (entry[1].kind.label, entry[0]))
    for done, (item_id, garment) in enumerate(by_kind, start=1):
        draw_photo(folder / "images" / f"{item_id}.jpg", garment, flipped=is_flipped(garment, item_id, seed))
        progress(done, len(by_kind))
    write_text(folder / "items.csv", _csv(rows))
    write_text(folder / "outfits.jsonl", _json_lines(wardrobe))
    counts = {"items": size.items, "train": size.train, "valid": size.valid, "test": size.test}
    write_json(folder / MARKER, {"layout": "sample", "seed": seed, "size": counts, "note": NOTE})


def _row(item_id: str, garment: Garment, prices: np.random.Generator) -> tuple[str, ...]:
    kind = garment.kind
    price = round(kind.price * prices.uniform(0.75, 1.3)) - 0.05
    noun = kind.label.split(" ", 1)[-1]
    return item_id, garment.title, kind.category, noun, f"images/{item_id}.jpg", f"{price:.2f}"


def draw_photo(path: Path, garment: Garment, flipped: bool) -> None:
    image = photograph(_template(garment.kind.label), cloth_of(garment), flipped)
    # Pillow cuts a file short without a word when the disk fills up in the middle of its write; Python's own doesn't.
    encoded = io.BytesIO()
    image.save(encoded, format="JPEG", quality=_QUALITY, subsampling=0)
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.getvalue())


def cloth_of(garment: Garment) -> Cloth:
    """How a garment is dyed: patterns are white on dark colours and navy (or burgundy petals) on light ones."""
    colour = COLOURS[garment.colour].rgb
    pale = min(colour) > _PALE
    second = COLOURS["navy" if pale else "white"].rgb
    third = COLOURS["olive"].rgb
    if garment.pattern == "floral" and pale:
        second = COLOURS["burgundy" if garment.colour != "pink" else "white"].rgb
    elif garment.pattern == "floral":
        third = COLOURS["mustard" if garment.colour != "mustard" else "brown"].rgb
    elif garment.pattern == "checked":
        second = _mixed(colour, second)
        third = COLOURS["burgundy" if pale else "black"].rgb
    pattern = "dotted" if garment.pattern == "polka-dot" else garment.pattern
    return Cloth(colour, second, third, pattern, garment.kind.texture)


def _mixed(one: RGB, other: RGB) -> RGB:
    return (one[0] + other[0]) // 2, (one[1] + other[1]) // 2, (one[2] + other[2]) // 2


def is_flipped(garment: Garment, item_id: str, seed: int) -> bool:
    """Shoes and caps look to either side, as in any shop."""
    one_sided = garment.kind.category == "shoes" or garment.kind.label == "cotton cap"
    return one_sided and bool(np.random.default_rng([seed, 4, int(item_id[1:])]).integers(2))


@lru_cache(maxsize=2)
def _template(label: str) -> Template:
    return KINDS[label].draw()


def _csv(rows: Sequence[tuple[str, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def _json_lines(wardrobe: Wardrobe) -> str:
    lines = [
        json.dumps({"id": outfit.id, "items": outfit.item_ids, "split": outfit.split, "title": outfit.title})
        for outfit in wardrobe.outfits
    ]
    return "\n".join(lines) + "\n"
