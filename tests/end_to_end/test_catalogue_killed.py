"""``coordi catalogue`` killed without warning leaves the old catalogue or the new one, and goes on where it was."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coordi.recommend.catalogue import Catalogue

from .test_describe_killed import kept

PHOTOS = 60
PART = 4
TRIES = 5


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    generator = np.random.default_rng(4)
    for number in range(PHOTOS):
        blocks = generator.integers(0, 256, (9, 7, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((210, 270), Image.Resampling.NEAREST).save(folder / f"{number:03}.jpg")
    write(folder, range(PHOTOS), "skirt")
    return folder


def write(folder: Path, numbers: range, title: str) -> None:
    rows = [f"i{number:03},red {title} {number},skirts,{number:03}.jpg" for number in numbers]
    (folder / "items.csv").write_text("\n".join(["id,title,category,image", *rows, ""]), encoding="utf-8")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "COORDI_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "coordi.cli.main", "catalogue", *map(str, arguments), "--json"]


def finish(environment: dict[str, str], *arguments: str | Path) -> dict[str, Any]:
    done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def kill(environment: dict[str, str], when: Callable[[], bool], *arguments: str | Path) -> bool:
    """Kill a command once something is so; whether it was still at work."""
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    while process.poll() is None and not when():
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def kill_in_the_midst(
    environment: dict[str, str], when: Callable[[], bool], folder: Path, *arguments: str | Path
) -> None:
    """Kill a command once something is so, which may be for a moment only.

    On a busy machine the command may be over before that is seen: then the folder is put back as it was for another
    try.
    """
    before = folder.with_name(f"{folder.name}-before")
    shutil.copytree(folder, before)
    for _ in range(TRIES):
        if kill(environment, when, *arguments):
            break
        shutil.rmtree(folder)
        shutil.copytree(before, folder)
    else:
        raise AssertionError(f"{TRIES} times {arguments[0]} was over before it could be killed")
    shutil.rmtree(before)


def titles(folder: Path) -> dict[str, str]:
    with Catalogue.open(folder) as index:
        return {name: one.title for name, one in index.get(index.ids()).items()}


def test_a_killed_build_goes_on_where_it_was(shop: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    out, cache = tmp_path / "made", tmp_path / "cache"
    build = ("build", shop, "--out", out, "--batch-size", str(PART), "--save-every", str(PART))
    for _ in range(TRIES):
        if kill(environment, lambda: kept(cache) >= PART, *build) and kept(cache) < PHOTOS:
            break
        for folder in (out, cache):
            shutil.rmtree(folder)
    assert PART <= kept(cache) < PHOTOS
    saved = kept(cache)
    told = subprocess.run(command("info", out), capture_output=True, text=True, check=False, env=environment)
    assert told.returncode == 1
    assert "isn't finished; go on with the command that began it" in told.stderr
    kill_in_the_midst(environment, lambda: (out / ".items.duckdb.fresh").exists(), out, *build)
    found = finish(environment, *build)
    assert (found["items"], found["encoded"]) == (PHOTOS, 0)
    assert saved <= kept(cache) == PHOTOS
    assert not list(out.glob(".items*"))
    assert len(titles(out)) == PHOTOS


def test_a_killed_refresh_leaves_the_old_or_the_new(shop: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    out = tmp_path / "made"
    finish(environment, "build", shop, "--out", out)
    old = titles(out)
    write(shop, range(10, PHOTOS), "dress")
    new = {f"i{number:03}": f"red dress {number}" for number in range(10, PHOTOS)}
    before = (out / "items.duckdb").stat().st_mtime_ns
    moments: list[Callable[[], bool]] = [
        lambda: (out / ".items.duckdb.fresh").exists(),
        lambda: (out / "items.duckdb").stat().st_mtime_ns != before,
    ]
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(out, undisturbed)
    for _ in range(TRIES):
        if kill(environment, (out / ".items.duckdb.staged").exists, "refresh", out) and titles(out) == old:
            break
        shutil.rmtree(out)
        shutil.copytree(undisturbed, out)
    else:
        raise AssertionError(f"{TRIES} times a refresh was over before it could be killed while it staged rows")
    is_new = []
    for moment in moments:
        kill_in_the_midst(environment, moment, out, "refresh", out)
        found = titles(out)
        assert found in (old, new)
        is_new.append(found == new)
    assert is_new[-1]
    done = finish(environment, "refresh", out)
    assert titles(out) == new
    assert (done["items"], done["unchanged"]) == (len(new), len(new))
    assert not list(out.glob(".items*"))
