"""Exports of shop software with many rows, read and built into catalogues without photos.

    python benchmarks/feeds.py [--rows 100000] [--formats shopify google-xml ...] [--read-only] [--seed 0]

Every format's file has so many rows: products of four sizes and two colours where the format has variants, drawn titles
of 20 kinds and 12 colours, HTML descriptions of some 600 characters, prices with a currency where the format has one.
For each, a process of its own runs ``coordi catalogue build``; reported are its seconds, rows a second, items and the
peak memory of its manifest, and before that the seconds and memory of reading alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

KINDS = ("linen shirt", "wrap dress", "wool coat", "straw hat", "ankle boots", "pleated skirt", "leather belt",
         "silk scarf", "denim jacket", "chino trousers", "running shoes", "tote bag", "knit cardigan", "polo shirt",
         "maxi dress", "rain jacket", "sandals", "beanie", "blazer", "cargo shorts")  # fmt: skip
COLOURS = ("black", "white", "navy", "red", "green", "beige", "grey", "pink", "brown", "yellow", "blue", "purple")
SIZES = ("S", "M", "L", "XL")
TEXT = "<p>" + "Cut in a good cloth &amp; made to last, with care in every seam. " * 9 + "</p>"
READ = """
import resource, sys, time
from pathlib import Path
from coordi.data.feed import read_catalogue
started = time.perf_counter()
source = read_catalogue(Path(sys.argv[1]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
print(f"{time.perf_counter() - started:.1f} s, {peak:.0f} MiB: {source.about}; {len(source.items)} items,", end=" ")
print(f"{len(source.problems)} problems")
"""

Row = tuple[int, str, str, str, str, float]
"""Product, its kind, colour, size, and price of a row."""


def variants(rows: int, seed: int) -> Iterator[Row]:
    """Rows of products with two colours in four sizes."""
    rng = np.random.default_rng(seed)
    for number in range(rows):
        product, place = divmod(number, 8)
        if not place:
            kind, colours = KINDS[rng.integers(len(KINDS))], rng.choice(COLOURS, 2, replace=False)
            price = float(np.round(40 * np.exp(rng.normal() * 0.8), 2))
        yield product, kind, str(colours[place // 4]), SIZES[place % 4], f"p{product}", price


def table(path: Path, header: str, rows: Iterator[list[object]], delimiter: str = ",") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(header.split(","))
        writer.writerows(rows)


def plain(path: Path, rows: int, seed: int) -> None:
    header = "id,title,category,colour,price,brand,in_stock,description"
    table(path, header, ([n, f"{row[2]} {row[1]}", row[1], row[2], row[5], "Kim", "yes", TEXT]
                         for n, row in enumerate(variants(rows, seed))))  # fmt: skip


def json_lines(path: Path, rows: int, seed: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(variants(rows, seed)):
            names = {"en": f"{row[2]} {row[1]}", "de": "Ware"}
            values = {"id": number, "title": names, "price": {"amount": row[5], "currency": "EUR"}, "description": TEXT}
            file.write(json.dumps({**values, "image": [f"{number}.jpg", f"{number}-b.jpg"]}) + "\n")


def shopify(path: Path, rows: int, seed: int) -> None:
    header = (
        "Handle,Title,Body (HTML),Vendor,Type,Status,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant SKU,"
        "Variant Inventory Tracker,Variant Inventory Qty,Variant Price,Variant Compare At Price,Image Src"
    )

    def lines() -> Iterator[list[object]]:
        last = -1
        for product, kind, colour, size, name, price in variants(rows, seed):
            first = [kind.title(), TEXT, "Kim", kind, "active", "Color", colour, "Size"]
            later = ["", "", "", "", "", "", colour, ""]
            image = f"https://cdn.example.com/{name}-{colour}.jpg"
            own = [size, f"{name}-{colour}-{size}", "shopify", 3, f"{price:.2f}", "", image]
            yield [name, *(first if product != last else later), *own]
            last = product

    table(path, header, lines())


def woocommerce(path: Path, rows: int, seed: int) -> None:
    header = (
        "ID,Type,SKU,Name,Published,Description,In stock?,Stock,Sale price,Regular price,Categories,Images,Parent,"
        "Attribute 1 name,Attribute 1 value(s),Attribute 2 name,Attribute 2 value(s)"
    )

    def lines() -> Iterator[list[object]]:
        last, number = -1, 0
        for product, kind, colour, size, name, price in variants(rows - rows // 9, seed):
            if product != last:
                number += 1
                yield [number, "variable", name, kind.title(), 1, TEXT, 1, "", "", "", f"Clothing > {kind}, Sale",
                       f"https://shop.example.com/{name}.jpg", "", "Color", "all", "Size", "S, M"]  # fmt: skip
            last, number = product, number + 1
            yield [number, "variation", f"{name}-{colour}-{size}", kind, 1, "", 1, 3, "", price, "", "", name, "Color",
                   colour, "Size", size]  # fmt: skip

    table(path, header, lines())


def magento(path: Path, rows: int, seed: int) -> None:
    header = (
        "sku,attribute_set_code,product_type,categories,name,description,product_online,visibility,price,base_image,"
        "additional_attributes,qty,is_in_stock,configurable_variations"
    )

    def lines() -> Iterator[list[object]]:
        options: list[str] = []
        for product, kind, colour, size, name, price in variants(rows - rows // 9, seed):
            sku = f"{name}-{colour}-{size}"
            options.append(f"sku={sku},color={colour},size={size}")
            path = f"Default Category/{kind}"
            yield [sku, "Top", "simple", path, kind, "", 1, "Not Visible Individually", f"{price:.4f}", f"/{name}.jpg",
                   f"color={colour},size={size}", 3, 1, ""]  # fmt: skip
            if len(options) == 8:
                yield [f"{product}", "Top", "configurable", path, kind.title(), TEXT, 1, "Catalog, Search",
                       f"{price:.4f}", f"/{name}.jpg", "material=Cotton", 0, 1, "|".join(options)]  # fmt: skip
                options = []

    table(path, header, lines())


def prestashop(path: Path, rows: int, seed: int) -> None:
    header = (
        "Product ID,Active (0/1),Name *,Categories,Price tax included,Reference #,Manufacturer,Quantity,Description"
    )
    table(path, header, ([n, 1, f"{row[2]} {row[1]}", f"Home,{row[1]}", f"{row[5]:.6f}", f"r{n}", "Kim", 3, TEXT]
                         for n, row in enumerate(variants(rows, seed))), ";")  # fmt: skip


GOOGLE = "id,title,description,image_link,availability,price,brand,color,size,item_group_id,product_type"


def google_rows(rows: int, seed: int) -> Iterator[list[object]]:
    for product, kind, colour, size, name, price in variants(rows, seed):
        yield [f"{name}-{colour}-{size}", f"{colour} {kind}", TEXT, f"https://shop.example.com/{name}.jpg", "in_stock",
               f"{price:.2f} EUR", "Kim", colour, size, f"{product}", f"Women > {kind}"]  # fmt: skip


def google_table(path: Path, rows: int, seed: int) -> None:
    table(path, GOOGLE, google_rows(rows, seed), "\t")


def google_xml(path: Path, rows: int, seed: int) -> None:
    names = GOOGLE.split(",")
    with path.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0"?>\n<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>\n')
        for row in google_rows(rows, seed):
            cells = zip(names, row, strict=True)
            file.write(f"<item>{''.join(f'<g:{name}>{escape(str(cell))}</g:{name}>' for name, cell in cells)}</item>\n")
        file.write("</channel></rss>\n")


FORMATS: dict[str, tuple[str, Callable[[Path, int, int], None]]] = {
    "plain": ("csv", plain), "json-lines": ("jsonl", json_lines), "google-tsv": ("tsv", google_table),
    "google-xml": ("xml", google_xml), "shopify": ("csv", shopify), "woocommerce": ("csv", woocommerce),
    "magento": ("csv", magento), "prestashop": ("csv", prestashop),
}  # fmt: skip


def main() -> None:
    """Write each file, read it, build it, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=[*FORMATS])
    parser.add_argument("--read-only", action="store_true", help="read, and build nothing")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for name in given.formats:
        suffix, write = FORMATS[name]
        with tempfile.TemporaryDirectory() as scratch:
            path, out = Path(scratch) / f"feed.{suffix}", Path(scratch) / "catalogue"
            write(path, given.rows, given.seed)
            print(f"{name}: {given.rows:,} rows, {path.stat().st_size / 2**20:.0f} MiB", flush=True)
            read = subprocess.run([sys.executable, "-c", READ, str(path)], check=True, capture_output=True, text=True)
            print(f"  read in {read.stdout.strip()}", flush=True)
            if given.read_only:
                continue
            started = time.perf_counter()
            command = [sys.executable, "-m", "coordi.cli.main", "catalogue", "build", str(path), "--out", str(out)]
            environment = os.environ | {"COORDI_CACHE": str(Path(scratch) / "cache")}
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            seconds = time.perf_counter() - started
            manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
            print(f"  built in {seconds:.0f} s, {given.rows / seconds:,.0f} rows/s, at most", end=" ")
            print(f"{manifest['peak_memory_mib'] / 1024:.2f} GiB: {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
