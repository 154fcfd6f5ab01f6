"""Does memory stay flat while a catalogue is described? Peak of ``coordi describe`` on few and on many photos.

    python benchmarks/describe_memory.py [--photos 2000 8000] [--encoder edge|stand-in|DIR] [--seed 0] [--json]

Draws so many small JPEGs, every one different, describes each set in a process of its own with an empty cache, and then
once more with everything known. The stand-in answers with a photo's colours at once, in 512 numbers: what is measured
then is everything around the encoder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coordi.artifacts import write_text
from coordi.config import DataSettings, DescribeSettings
from coordi.data.loading import load
from coordi.encoders.base import load_encoder
from coordi.encoders.describe import CatalogueDescriber, render_page
from coordi.encoders.labels import load_vocabulary
from coordi.encoders.photo_embeddings import EmbeddingCache

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


class StandIn:
    """Colours of 13 x 13 fields as a vector; letters of a text."""

    name = "stand-in"
    identity = "0" * 64
    dimension = 512
    logit_scale = 20.0
    logit_bias = None

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Unit vectors ``(N, 512)``."""
        rows = [np.asarray(image.resize((13, 13)), dtype=np.float32).ravel()[:507] + 1 for image in images]
        return _unit(rows)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors ``(N, 512)``."""
        return _unit([np.frombuffer(text.encode().ljust(507)[:507], np.uint8).astype(np.float32) for text in texts])


def _unit(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    padded = np.pad(np.array(rows, dtype=np.float32).reshape(-1, 507), ((0, 0), (0, 5)))
    return np.asarray(padded / np.linalg.norm(padded, axis=1, keepdims=True), dtype=np.float32)


def work(photos: Path, out: Path, name: str) -> None:
    """What ``coordi describe`` does, page and all."""
    encoder = StandIn() if name == StandIn.name else load_encoder(name)
    vocabulary = load_vocabulary("fashion")
    dataset = load(photos, DataSettings(photos="optional"), seed=0, check_photos=False)
    with EmbeddingCache.of(encoder) as cache:
        describer = CatalogueDescriber(encoder, vocabulary, DescribeSettings(), cache)
        found = describer.describe(list(dataset.items.values()), out, examples=200)
    write_text(out / "descriptions.html", render_page(found, "drawn"))


def describe(photos: Path, out: Path, cache: Path, encoder: str) -> tuple[float, float]:
    """Peak in MiB and seconds of one run in a process of its own."""
    command = [sys.executable, __file__, "--inside", photos, out, "--encoder", encoder]
    started = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, "COORDI_CACHE": str(cache)})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return usage.ru_maxrss / scale, time.monotonic() - started


def measure(count: int, encoder: str, rng: np.random.Generator) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder / "photos", count, rng)
        photos, cache = folder / "photos", folder / "cache"
        runs = [(known, *describe(photos, folder / f"out-{known}", cache, encoder)) for known in (False, True)]
    return [Row(count, known, round(peak, 1), round(seconds, 1)) for known, peak, seconds in runs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, nargs=2, default=[2000, 8000], help="few and many (2000 8000)")
    parser.add_argument("--encoder", default="edge", help="edge, a checkpoint's folder, or stand-in")
    parser.add_argument("--inside", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", dest="as_json")
    given = parser.parse_args()
    if given.inside:
        work(*given.inside, given.encoder)
        return
    if not 1 <= given.photos[0] < given.photos[1]:
        parser.error(f"--photos takes two growing numbers from 1, got {given.photos}")
    rng = np.random.default_rng(given.seed)
    rows = [row for count in given.photos for row in measure(count, given.encoder, rng)]
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
