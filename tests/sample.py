"""A small part of the bundled sample, for tests that need few photos and outfits."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from PIL import Image

from coordi.data.sample import MARKER, sample_folder, write_sample
from coordi.types import Split


def write_small_sample(folder: Path, sizes: dict[Split, int]) -> Path:
    """The first outfits of each split, with their items alone."""
    write_sample(folder)
    (folder / MARKER).unlink()
    left = dict(sizes)
    outfits = []
    for line in (folder / "outfits.jsonl").read_text(encoding="utf-8").splitlines():
        outfit = json.loads(line)
        left[outfit["split"]] -= 1
        if left[outfit["split"]] >= 0:
            outfits.append(outfit)
    items = {item_id for outfit in outfits for item_id in outfit["items"]}
    with (folder / "items.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["id"] in items]
    with (folder / "items.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (folder / "outfits.jsonl").write_text("".join(f"{json.dumps(outfit)}\n" for outfit in outfits), encoding="utf-8")
    for photo in (folder / "images").iterdir():
        if photo.stem not in items:
            photo.unlink()
    (folder / MARKER).write_text("{}", encoding="utf-8")
    return folder


def write_several_garments(path: Path, count: int) -> Path:
    """A photo of a top and trousers, or of these, shoes and a bag, side by side on white."""
    with (sample_folder() / "items.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["image"]]
    canvas = Image.new("RGB", (320, 80 * count), "white")
    for number, category in enumerate(("top", "bottom", "shoes", "bag")[:count]):
        row = next(row for row in rows if row["category"] == category)
        with Image.open(sample_folder() / row["image"]) as photo:
            photo.thumbnail((160, 160))
            canvas.paste(photo, (number % 2 * 160, number // 2 * 160))
    canvas.save(path)
    return path
