"""A catalogue of 100,000 photos, built as a user does it, killed on the way, and built to its end.

    python benchmarks/catalogue_build.py FOLDER [--items 100000] [--kill-at 0.5] [--seed 0] [--keep DIR]

FOLDER is a catalogue with photos (``styles.csv`` and ``images/``). The photos are variations of its own, all of
different content: up to 4 percent cut off each side, brightness changed by up to a tenth, saved again as JPEG. Titles
are the rows' own; ids and prices are new.

The command is ``coordi catalogue build``. It is killed (``kill -9``) once ``--kill-at`` of the photos' vectors are in
its cache, and given once more. Reported are the seconds of both, what the second didn't have to do again, and the peak
memory that the catalogue's manifest gives.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from coordi.encoders.edge import EdgeEncoder

CUT = 0.04
BRIGHTER = 0.1
_FOLDERS = 200


def vary(photo: Path, copies: Sequence[tuple[Path, int]]) -> None:
    """Write variations of a photo, each with the seed beside its path."""
    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    for path, seed in copies:
        rng = np.random.default_rng(seed)
        width, height = image.size
        left, top, right, bottom = rng.uniform(0, CUT, 4) * (width, height, width, height)
        cut = image.crop((int(left), int(top), width - int(right), height - int(bottom)))
        content = io.BytesIO()
        ImageEnhance.Brightness(cut).enhance(1 + rng.uniform(-BRIGHTER, BRIGHTER)).save(content, "JPEG", quality=85)
        path.write_bytes(content.getvalue())


def make_shop(folder: Path, shop: Path, count: int, seed: int) -> Path:
    """A table of so many rows beside photos of its own; gives the table's path."""
    with (folder / "styles.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (folder / "images" / f"{row['id']}.jpg").is_file()]
    for place in range(_FOLDERS):
        (shop / "images" / f"{place:03}").mkdir(parents=True)
    rng = np.random.default_rng(seed)
    copies: dict[str, list[tuple[Path, int]]] = {}
    table = shop / "items.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "title", "category", "gender", "price", "image"))
        for place in range(count):
            row = rows[place % len(rows)]
            image = f"images/{place % _FOLDERS:03}/{place}.jpg"
            copies.setdefault(row["id"], []).append((shop / image, seed + place))
            price = f"{40 * np.exp(rng.normal() * 0.8):.2f}"
            writer.writerow((place, row["productDisplayName"], row["articleType"], row["gender"], price, image))
    with ProcessPoolExecutor() as pool:
        list(pool.map(vary, [folder / "images" / f"{name}.jpg" for name in copies], copies.values(), chunksize=16))
    return table


def known(cache: Path) -> int:
    """Bytes of vectors that are in the cache."""
    return sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())


def build(table: Path, out: Path, cache: Path, log: Path) -> subprocess.Popen[bytes]:
    """Begin the command."""
    command = [sys.executable, "-m", "coordi.cli.main", "catalogue", "build", str(table), "--out", str(out)]
    with log.open("ab") as file:
        return subprocess.Popen(command, env=os.environ | {"COORDI_CACHE": str(cache)}, stdout=file, stderr=file)


def main() -> None:
    """Make the shop, build it twice, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--kill-at", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="leave everything in this new folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = given.keep or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        table = make_shop(given.folder.resolve(), work / "shop", given.items, given.seed)
        print(f"{given.items} photos made in {time.perf_counter() - started:.0f} s", flush=True)
        out, cache, log = work / "catalogue", work / "cache", work / "log.txt"
        vector_bytes = 4 * EdgeEncoder.bundled().dimension
        started = time.perf_counter()
        process = build(table, out, cache, log)
        while process.poll() is None and known(cache) < given.kill_at * given.items * vector_bytes:
            time.sleep(0.2)
        process.kill()
        process.wait()
        first = time.perf_counter() - started
        print(f"killed after {first:.0f} s with {known(cache) / 2**20:.0f} MiB of vectors kept", flush=True)
        started = time.perf_counter()
        done = build(table, out, cache, log).wait()
        second = time.perf_counter() - started
        print(log.read_text(encoding="utf-8")[-2000:])
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        size = (out / "items.duckdb").stat().st_size / 2**20
        print(f"exit code {done}; the second took {second:.0f} s, both {first + second:.0f} s; {size:.0f} MiB")
        print(f"manifest: {json.dumps({key: value for key, value in manifest.items() if key != 'settings'})[:1500]}")


if __name__ == "__main__":
    main()
