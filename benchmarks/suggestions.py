"""Suggestions to be judged one by one as a stylist would: looks and single items, from photos alone and with titles.

    python benchmarks/suggestions.py path/to/data --out judged

The folder of data holds ``fashion-products``. A wardrobe of photos is a woman's or a man's. Writes
``suggestions.html`` with photos and reasons, and prints a line for each suggestion: its number, score, and what was
asked and suggested, in the shop's own words.
"""

from __future__ import annotations

import argparse
import csv
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from coordi.api import Model, load
from coordi.cli.console import note, progress_bar
from coordi.types import Item

PHOTOS, LOOKS, SINGLES, TITLED = 350, 9, 8, 32  # the first three for each of two wardrobes
WARDROBES = ("Women", "Men")
WANTED = ("shoes", "bag", "bottom", "outerwear", "top")
WORN = {"Apparel", "Footwear", "Accessories"}
NOT_WORN = {"Innerwear", "Loungewear and Nightwear", "Socks", "Wallets"}
Row = tuple[str, list[Item], list[Item], float, str]


def main() -> None:
    """Print and write 66 suggestions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    products = options.data / "fashion-products"
    with (products / "styles.csv").open(encoding="utf-8", newline="") as file:
        labels = {row["id"]: row for row in csv.DictReader(file)}
    wearable = [
        item_id
        for item_id, row in labels.items()
        if row["masterCategory"] in WORN and row["subCategory"] not in NOT_WORN
    ]
    rng = np.random.default_rng(options.seed)
    rows: list[Row] = []
    for gender in WARDROBES:
        theirs = [item_id for item_id in wearable if labels[item_id]["gender"] in (gender, "Unisex")]
        folder = options.out / "photos" / gender.lower()
        folder.mkdir(parents=True, exist_ok=True)
        for item_id in rng.choice(theirs, PHOTOS, replace=False):
            link = folder / f"{item_id}.jpg"
            if not link.is_symlink():
                link.symlink_to((products / "images" / f"{item_id}.jpg").resolve())
        rows += from_photos(folder, rng)
    rows += from_titles(products / "styles.csv", wearable, rng)
    for number, (kind, asked, answer, score, _) in enumerate(rows, start=1):
        words = [" + ".join(_words(item, labels) for item in items) for items in (asked, answer)]
        print(f"{number}. {kind}, {score:.2f}: {words[0]} -> {words[1]}")
    write_page(options.out / "suggestions.html", rows, labels)


def from_photos(photos: Path, rng: np.random.Generator) -> list[Row]:
    """Looks around items of a wardrobe of photos alone, and single items for two of them."""
    loaded = load(catalogue=photos, say=note, progress=progress_bar)
    assert loaded.catalogue is not None
    ids = loaded.catalogue.ids()
    items = loaded.catalogue.items_of(ids)
    starts = [item for item in items if item.category in ("top", "bottom", "dress", "outerwear")]
    rows: list[Row] = []
    for index in rng.permutation(len(starts)):
        start = starts[int(index)]
        looks = loaded.looks(start.id, k=1).looks
        if looks:
            look = looks[0]
            answer = [item for item in look.items if item.id != start.id]
            rows.append(("look, photos", [start], answer, look.score, look.reason.text if look.reason else ""))
        if len(rows) == LOOKS:
            break
    return rows + _singles(loaded, items, rng, SINGLES, "single, photos")


def from_titles(table: Path, wearable: Sequence[str], rng: np.random.Generator) -> list[Row]:
    """Single items for two of a titled shop."""
    loaded = load(catalogue=table, say=note, progress=progress_bar)
    assert loaded.catalogue is not None
    known = set(loaded.catalogue.ids())
    items = loaded.catalogue.items_of([item_id for item_id in wearable if item_id in known])
    return _singles(loaded, items, rng, TITLED, "single, titles")


def _singles(loaded: Model, items: Sequence[Item], rng: np.random.Generator, count: int, kind: str) -> list[Row]:
    """The best item of a category for a top and a bottom, or for a dress, of one gender where the shop says it."""
    rows: list[Row] = []
    while len(rows) < count:
        start = items[int(rng.integers(len(items)))]
        if start.category not in ("top", "dress"):
            continue
        asked = [start]
        if start.category == "top":
            others = [item for item in items if item.category == "bottom" and item.gender == start.gender]
            if not others:
                continue
            # Of 20 bottoms the one that suits best, so that the question isn't absurd.
            drawn = [others[int(n)] for n in rng.permutation(len(others))[:20]]
            asked.append(max(drawn, key=lambda item: loaded.score([start, item]).score))
        want = WANTED[len(rows) % 3] if start.category == "top" else ("shoes", "bag")[len(rows) % 2]
        want = "shoes" if want == "bottom" else want
        answer = loaded.complete([item.id for item in asked], want=want, k=1).suggestions
        if answer:
            rows.append((f"{kind}, {want}", asked, [answer[0].item], answer[0].score, answer[0].reason.text))
    return rows


def _words(item: Item, labels: Mapping[str, Mapping[str, str]]) -> str:
    row = labels[item.id.removesuffix(".jpg")]
    return f"{row['productDisplayName']} ({row['gender']}, {row['usage']}, {row['season']})"


def write_page(path: Path, rows: Sequence[Row], labels: Mapping[str, Mapping[str, str]]) -> None:
    """A page with a row for each suggestion."""
    style = "img{height:130px}td{border-bottom:1px solid #ccc;font:12px sans-serif}"
    parts = [f"<meta charset='utf-8'><style>{style}</style><table>"]
    for number, (kind, asked, answer, score, reason) in enumerate(rows, start=1):
        cells = []
        for items in (asked, answer):
            photos = "".join(f"<img src='{item.image.resolve().as_uri()}'>" for item in items if item.image)
            cells.append(f"<td>{photos}<br>{html.escape(' + '.join(_words(item, labels) for item in items))}</td>")
        cells.append(f"<td width=260>{html.escape(reason)}</td>")
        parts.append(f"<tr><td>{number}<br>{kind}<br>{score:.2f}</td>{''.join(cells)}</tr>")
    path.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
