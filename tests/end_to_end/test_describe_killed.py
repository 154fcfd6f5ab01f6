"""``coordi describe`` killed without warning goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PHOTOS = 120
PART = 4
TRIES = 5
MADE = ("descriptions.parquet", "embeddings.safetensors", "facts.jsonl", "unreadable.json", "descriptions.html")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos that are all different, one of which can't be opened."""
    folder = tmp_path_factory.mktemp("data") / "photos"
    folder.mkdir()
    generator = np.random.default_rng(4)
    for number in range(PHOTOS):
        blocks = generator.integers(0, 256, (9, 7, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((210, 270), Image.Resampling.NEAREST).save(folder / f"{number:03}.jpg")
    (folder / "060.jpg").write_bytes(b"\xff\xd8\xff cut")
    return folder


def command(photos: Path, out: Path) -> list[str]:
    return [
        sys.executable, "-m", "coordi.cli.main", "describe", "--data", str(photos), "--out", str(out), "--json",
        "--batch-size", str(PART), "--save-every", str(PART),
    ]  # fmt: skip


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "COORDI_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


def finish(photos: Path, out: Path, cache: Path) -> dict[str, int]:
    done = subprocess.run(command(photos, out), capture_output=True, text=True, check=False, env=environment(cache))
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


def kept(cache: Path) -> int:
    """Photos whose vectors were saved."""
    files = list(cache.rglob("*.sqlite"))
    if not files:
        return 0
    database = sqlite3.connect(f"file:{files[0]}?mode=ro", uri=True, timeout=10)
    try:
        return int(database.execute("SELECT COUNT(*) FROM vectors").fetchone()[0])
    except sqlite3.OperationalError:  # the table isn't there yet
        return 0
    finally:
        database.close()


def kill_after_a_part(photos: Path, out: Path, cache: Path) -> int:
    """Kill the command once a part was saved; how many photos were by then."""
    process = subprocess.Popen(command(photos, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=environment(cache))  # fmt: skip
    while process.poll() is None and kept(cache) < PART:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() in (0, -signal.SIGKILL)
    return kept(cache)


def test_killed_after_the_first_part_it_ends_with_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    whole = finish(photos, tmp_path / "undisturbed" / "out", tmp_path / "undisturbed" / "cache")
    assert (whole["photos"], whole["encoded"]) == (PHOTOS - 1, PHOTOS - 1)

    out, cache = tmp_path / "disturbed" / "out", tmp_path / "disturbed" / "cache"
    for _ in range(TRIES):
        saved = kill_after_a_part(photos, out, cache)
        if PART <= saved < PHOTOS - 1 and not (out / "manifest.json").exists():
            break
        # On a busy machine the command may be over before the kill comes: begin it again.
        shutil.rmtree(out.parent)
    assert PART <= saved < PHOTOS - 1
    assert not (out / "manifest.json").exists()
    assert not (out / "descriptions.parquet").exists()

    again = finish(photos, out, cache)
    assert (again["photos"], again["encoded"]) == (PHOTOS - 1, PHOTOS - 1 - saved)
    for name in MADE:
        assert (out / name).read_bytes() == (tmp_path / "undisturbed" / "out" / name).read_bytes(), name
    assert sorted(path.name for path in out.iterdir()) == sorted((*MADE, "manifest.json", "describe.json", ".lock"))
    assert finish(photos, out, cache)["encoded"] == 0
