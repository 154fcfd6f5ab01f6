from __future__ import annotations

import errno
import hashlib
import json
import re
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coordi.data.sample.rules import agrees
from coordi.data.sample.wardrobe import SampleSize
from coordi.data.sample.writer import MARKER, make_sample
from coordi.errors import ArtifactError, CoordiError
from coordi.types import GARMENT_CATEGORIES, SPLITS

from .conftest import SMALL, Written


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_same_seed_gives_the_same_bytes(written: Written, tmp_path: Path) -> None:
    make_sample(tmp_path / "again", 5, SMALL)
    assert _digests(tmp_path / "again") == _digests(written.folder)


def test_folder_is_a_plain_catalogue(written: Written) -> None:
    assert len(written.items) == SMALL.items
    for row in written.items.values():
        assert list(row) == ["id", "title", "category", "kind", "image", "price"]
        assert row["category"] in GARMENT_CATEGORIES
        assert row["image"] == f"images/{row['id']}.jpg"
        assert row["kind"] in row["title"]
        assert float(row["price"]) > 0
    names = {path.name for path in (written.folder / "images").iterdir()}
    assert names == {f"{item_id}.jpg" for item_id in written.items}
    assert len({row["title"] for row in written.items.values()}) == SMALL.items


def test_marker_says_that_it_is_a_sample(written: Written) -> None:
    marker = json.loads((written.folder / MARKER).read_text(encoding="utf-8"))
    assert marker["layout"] == "sample"
    assert marker["seed"] == 5
    assert "no result" in marker["note"]


def test_outfits_are_distinct_and_keep_the_rules(written: Written) -> None:
    counts = {split: sum(outfit["split"] == split for outfit in written.outfits) for split in SPLITS}
    assert counts == {"train": SMALL.train, "valid": SMALL.valid, "test": SMALL.test}
    assert len({frozenset(outfit["items"]) for outfit in written.outfits}) == len(written.outfits)
    for outfit in written.outfits:
        assert 3 <= len(outfit["items"]) <= 5
        assert agrees([written.garment(item_id) for item_id in outfit["items"]])


def test_no_item_is_in_two_splits(written: Written) -> None:
    worn = {
        split: {item for outfit in written.outfits if outfit["split"] == split for item in outfit["items"]}
        for split in SPLITS
    }
    assert not worn["train"] & worn["valid"]
    assert not worn["train"] & worn["test"]
    assert not worn["valid"] & worn["test"]


def test_text_holds_no_id_or_split(written: Written) -> None:
    texts = [row["title"] for row in written.items.values()] + [outfit["title"] for outfit in written.outfits]
    for text in texts:
        assert not re.search(r"\d", text), text
        assert not any(re.search(rf"\b{split}\b", text) for split in SPLITS), text


def test_photos_are_of_garments(written: Written) -> None:
    for item_id in written.items:
        with Image.open(written.folder / "images" / f"{item_id}.jpg") as image:
            assert image.size == (384, 384)
            assert image.mode == "RGB"
            pixels = np.asarray(image, np.float32)
        assert pixels.std() > 4, item_id
        corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert corners.min() > 185, f"{item_id} runs into a corner"


def test_progress_ends(written: Written) -> None:
    assert written.progress == [(done, SMALL.items) for done in range(1, SMALL.items + 1)]


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("a file is in the way", encoding="utf-8")
    with pytest.raises(ArtifactError, match="shop"):
        make_sample(tmp_path / "shop", 1, SMALL)


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
        make_sample(tmp_path, 1, SMALL)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EFBIG
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("size", [{"items": 20}, {"valid": 0}, {"train": -3}])
def test_too_small_a_sample_is_refused(size: dict[str, int]) -> None:
    with pytest.raises(CoordiError, match=str(next(iter(size.values())))):
        SampleSize(**size)


def test_more_outfits_than_the_items_make_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CoordiError, match="of 5000 outfits"):
        make_sample(tmp_path / "shop", 1, SampleSize(items=90, train=20, valid=5000, test=20))
