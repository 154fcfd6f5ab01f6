from __future__ import annotations

import csv
import errno
import json
import re
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coordi.data.sample import MARKER, write_sample
from coordi.errors import ArtifactError, CoordiError
from coordi.types import GARMENT_CATEGORIES, SPLITS

OUTFITS = {"train": 160, "valid": 40, "test": 60}
ITEMS = 240


@dataclass(frozen=True)
class Written:
    """The sample as anyone would read it back from its files."""

    folder: Path
    items: dict[str, dict[str, str]]
    outfits: list[dict[str, Any]]
    progress: list[tuple[int, int]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("sample") / "shop"
    calls: list[tuple[int, int]] = []
    write_sample(folder, lambda done, total: calls.append((done, total)))
    with (folder / "items.csv").open(encoding="utf-8", newline="") as file:
        items = {row["id"]: row for row in csv.DictReader(file)}
    outfits = [json.loads(line) for line in (folder / "outfits.jsonl").read_text(encoding="utf-8").splitlines()]
    return Written(folder, items, outfits, calls)


def test_folder_is_a_plain_catalogue(written: Written) -> None:
    assert len(written.items) == ITEMS
    for row in written.items.values():
        assert list(row) == ["id", "title", "category", "kind", "image", "price"]
        assert row["category"] in GARMENT_CATEGORIES
        assert row["image"] == f"images/{row['id']}.jpg"
        assert row["kind"] in row["title"]
        assert float(row["price"]) > 0
    names = {path.name for path in (written.folder / "images").iterdir()}
    assert names == {f"{item_id}.jpg" for item_id in written.items}
    assert len({row["title"] for row in written.items.values()}) == ITEMS


def test_marker_says_that_it_is_a_sample(written: Written) -> None:
    marker = json.loads((written.folder / MARKER).read_text(encoding="utf-8"))
    assert marker["layout"] == "sample"
    assert marker["seed"] == 17
    assert "no result" in marker["note"]


def test_outfits_are_distinct(written: Written) -> None:
    assert {split: sum(outfit["split"] == split for outfit in written.outfits) for split in SPLITS} == OUTFITS
    assert len({frozenset(outfit["items"]) for outfit in written.outfits}) == len(written.outfits)
    assert all(3 <= len(outfit["items"]) <= 5 for outfit in written.outfits)


def test_no_item_is_in_two_splits(written: Written) -> None:
    items = {
        split: {item for outfit in written.outfits if outfit["split"] == split for item in outfit["items"]}
        for split in SPLITS
    }
    assert not items["train"] & items["valid"]
    assert not items["train"] & items["test"]
    assert not items["valid"] & items["test"]


def test_text_holds_no_id_or_split(written: Written) -> None:
    texts = [row["title"] for row in written.items.values()] + [outfit["title"] for outfit in written.outfits]
    for text in texts:
        assert not re.search(r"\d", text), text
        assert not any(re.search(rf"\b{split}\b", text) for split in SPLITS), text


def test_photos_are_of_garments(written: Written) -> None:
    for item_id in list(written.items)[::4]:
        with Image.open(written.folder / "images" / f"{item_id}.jpg") as image:
            assert image.size == (384, 384)
            assert image.mode == "RGB"
            pixels = np.asarray(image, np.float32)
        assert pixels.std() > 4, item_id
        corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert corners.min() > 185, f"{item_id} runs into a corner"


def test_progress_ends(written: Written) -> None:
    count = ITEMS + 3
    assert written.progress == [(done, count) for done in range(1, count + 1)]


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("a file is in the way", encoding="utf-8")
    with pytest.raises(ArtifactError, match="shop"):
        write_sample(tmp_path / "shop")


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    """A limit on file size stands in for a full disk: both make a write fail part of the way."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_full_disk_leaves_no_marker_and_no_torn_file(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text("{}", encoding="utf-8")
    with pytest.raises(CoordiError) as caught, _files_of_at_most(2000):
        write_sample(tmp_path)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EFBIG
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []
