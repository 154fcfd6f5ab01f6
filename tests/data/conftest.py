"""Tiny sources in their true layouts, and the real ones where they are there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pillow_heif
import pytest
from PIL import Image

from coordi.config import DataSettings
from coordi.data.loading import load
from coordi.types import Dataset, GarmentCategory, Item, Outfit, Split

pillow_heif.register_heif_opener()
REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SLOTS: tuple[GarmentCategory, ...] = ("top", "bottom", "shoes", "bag")


@pytest.fixture(scope="session")
def real_data() -> Path:
    if not REAL.is_dir():
        pytest.skip(f"the real data isn't at {REAL}")
    return REAL


@pytest.fixture(scope="session")
def real(real_data: Path) -> Dataset:
    """The real Maryland outfits, cleaned; text only."""
    return load(real_data / "polyvore-maryland", DataSettings(), 17)


@pytest.fixture
def photo() -> Callable[..., Path]:
    """Save a photo of one colour."""

    def save(path: Path, size: tuple[int, int] = (12, 16), **options: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (200, 30, 60)).save(path, **options)
        return path

    return save


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[None]:
    """Without the superuser's rights, to whom every file is open; ask for it once the files are there."""
    if os.geteuid() != 0:
        yield
        return
    for folder in (tmp_path, *tmp_path.parents):
        if Path(tempfile.gettempdir()) in folder.parents:
            folder.chmod(0o755)
    try:
        os.seteuid(65_534)
    except OSError:
        pytest.skip("the superuser here is the only user there is, as in a user namespace that maps no other")
    yield
    os.seteuid(0)


@pytest.fixture
def maryland(tmp_path: Path) -> Callable[[Mapping[str, Any]], Path]:
    """Write split files of the release; an outfit is ``(set_id, [(title, category id), ...])`` or raw JSON."""

    def write(splits: Mapping[str, Sequence[Any]]) -> Path:
        folder = tmp_path / "release"
        folder.mkdir()
        for split, outfits in splits.items():
            entries = [_entry(*outfit) if isinstance(outfit, tuple) else outfit for outfit in outfits]
            (folder / f"{split}_no_dup.json").write_text(json.dumps(entries), encoding="utf-8")
        return folder

    return write


@pytest.fixture
def polyvore_outfits(tmp_path: Path) -> Callable[..., Path]:
    """Write a version of Polyvore Outfits; an outfit is ``(set_id, [item_id, ...])`` or raw JSON.

    An item's metadata is ``(title, category id)``, or a dictionary; ``None`` leaves it out of the metadata.
    """

    def write(
        splits: Mapping[str, Sequence[Any]], metadata: Mapping[str, Any] | None = None, version: str = "nondisjoint"
    ) -> Path:
        folder = tmp_path / "outfits"
        (folder / version).mkdir(parents=True)
        for split, outfits in splits.items():
            entries = [_outfit_entry(*outfit) if isinstance(outfit, tuple) else outfit for outfit in outfits]
            (folder / version / f"{split}.json").write_text(json.dumps(entries), encoding="utf-8")
        if metadata is not None:
            described = {item_id: _described(one) for item_id, one in metadata.items() if one is not None}
            (folder / "polyvore_item_metadata.json").write_text(json.dumps(described), encoding="utf-8")
        return folder

    return write


def _outfit_entry(set_id: str, item_ids: Sequence[str]) -> dict[str, Any]:
    return {"items": [{"item_id": name, "index": place} for place, name in enumerate(item_ids, 1)], "set_id": set_id}


def _described(one: Any) -> Any:
    if not isinstance(one, tuple):
        return one
    title, category_id = one
    return {"url_name": title.lower(), "description": "", "catgeories": "", "title": title, "related": "",
            "category_id": category_id, "semantic_category": "tops"}  # fmt: skip


def _entry(set_id: str, items: Sequence[tuple[str, int]]) -> dict[str, Any]:
    return {
        "name": f"look {set_id}",
        "set_id": set_id,
        "items": [
            {"index": index, "name": title, "price": -1, "likes": 3, "categoryid": category, "image": "http://dead/x"}
            for index, (title, category) in enumerate(items, start=1)
        ],
    }


@pytest.fixture
def adds_up() -> Callable[[Dataset], None]:
    """Check that every row of a funnel continues the one before, from what was read to what is there."""

    def check(dataset: Dataset) -> None:
        left = {"items": 0, "outfits": 0}
        for row in dataset.funnel:
            assert row.count > 0 or row.reason == "read"
            if row.reason == "read":
                left[row.unit] += row.count
            elif row.dropped:
                left[row.unit] -= row.count
            assert row.left == left[row.unit], row
        assert left == {"items": len(dataset.items), "outfits": len(dataset.outfits)}

    return check


@pytest.fixture
def wardrobe() -> Callable[..., Dataset]:
    """A clean set: outfits of a top, a bottom, shoes and sometimes a bag, every title its own."""

    def make(sizes: Mapping[Split, int], prefix: str = "i") -> Dataset:
        items: dict[str, Item] = {}
        outfits: list[Outfit] = []
        for split, count in sizes.items():
            for number in range(count):
                ids = []
                for category in SLOTS[: 3 + number % 2]:
                    item_id = f"{prefix}{len(items):05d}"
                    items[item_id] = Item(item_id, f"{category} {'abcdefgh'[number % 8]} {len(items)}", category)
                    ids.append(item_id)
                outfits.append(Outfit(f"o-{split}-{number:04d}", tuple(ids), split))
        return Dataset("wardrobe", "catalogue", items, tuple(outfits), (), text_only=True)

    return make
