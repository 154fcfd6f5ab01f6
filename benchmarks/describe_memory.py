"""Does memory stay flat while a catalogue is described? Peak of ``coordi describe`` on few and on many photos.

    python benchmarks/describe_memory.py [--photos 2000 8000] [--seed 0] [--json]

Draws so many small JPEGs, every one different, describes each set in a process of its own with an empty cache, and then
once more with everything known.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (160, 213)


@dataclass(frozen=True)
class Row:
    """One run: its peak resident size and how fast it was."""

    photos: int
    known_before: bool
    peak_mib: float
    seconds: float


def draw(folder: Path, count: int, rng: np.random.Generator) -> None:
    for number in range(count):
        place = folder / f"{number // 1000:03}"
        place.mkdir(parents=True, exist_ok=True)
        blocks = rng.integers(0, 256, (8, 6, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize(SIZE, Image.Resampling.BICUBIC).save(place / f"{number:06}.jpg", quality=80)


def describe(photos: Path, out: Path, cache: Path) -> tuple[float, float]:
    """Peak in MiB and seconds of one run of the command in a process of its own."""
    command = [sys.executable, "-m", "coordi.cli.main", "describe", "--data", photos, "--out", out, "--json"]
    started = time.monotonic()
    with Path(f"{out}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "COORDI_CACHE": str(cache)})
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"describing failed: {Path(f'{out}.log').read_text()[-2000:]}")
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return usage.ru_maxrss / scale, time.monotonic() - started


def measure(count: int, rng: np.random.Generator) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder / "photos", count, rng)
        runs = [
            (known, *describe(folder / "photos", folder / f"out-{known}", folder / "cache")) for known in (False, True)
        ]
    return [Row(count, known, round(peak, 1), round(seconds, 1)) for known, peak, seconds in runs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, nargs=2, default=[2000, 8000], help="few and many (2000 8000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", dest="as_json")
    given = parser.parse_args()
    if not 1 <= given.photos[0] < given.photos[1]:
        parser.error(f"--photos takes two growing numbers from 1, got {given.photos}")
    rng = np.random.default_rng(given.seed)
    rows = [row for count in given.photos for row in measure(count, rng)]
    few, many = rows[0], rows[2]
    found = {
        "ratio": round(many.peak_mib / few.peak_mib, 3),
        "kib_per_photo": round(1024 * (many.peak_mib - few.peak_mib) / (many.photos - few.photos), 2),
    }
    if given.as_json:
        print(json.dumps({"rows": [asdict(row) for row in rows], **found}, indent=2))
        return
    print("  photos  known before  peak MiB  seconds  photos/s")
    for row in rows:
        rate = row.photos / row.seconds
        print(f"{row.photos:8}  {row.known_before!s:>12}  {row.peak_mib:8.1f}  {row.seconds:7.1f}  {rate:8.1f}")
    print(f"peak of many over peak of few: {found['ratio']}; {found['kib_per_photo']} KiB per photo more")


if __name__ == "__main__":
    main()
