"""A small wardrobe with a rule that titles alone can see, and scorers that are right, wrong or broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.encoders.edge import EdgeEncoder
from coordi.evaluation.page import render_html
from coordi.evaluation.report import ReportData
from coordi.types import Dataset, FunnelRow, GarmentCategory, Item, Outfit, Split

from .reports import small_report, wide_report

STYLES = ("denim", "silk", "tweed", "linen", "velvet", "leather")
WORN: tuple[tuple[GarmentCategory, str], ...] = (
    ("top", "Blouses"),
    ("bottom", "Skirts"),
    ("shoes", "Pumps"),
    ("bag", "Clutches"),
)
SIZES: tuple[tuple[Split, int], ...] = (("train", 30), ("valid", 12), ("test", 12))

MakeWardrobe = Callable[[str], Dataset]
Photos = Mapping[str, NDArray[np.float32]]


def described(dataset: Dataset, photos: Photos | None = None) -> Dataset:
    """The data set with a text, its embedding and, where there is one, a photo's embedding for each item."""
    texts = tuple(f"{item.category}: {item.title}" for item in dataset.items.values())
    items = {
        item.id: replace(item, text=text, text_embedding=row, photo_embedding=(photos or {}).get(item.id))
        for item, text, row in zip(dataset.items.values(), texts, encode(texts), strict=True)
    }
    return replace(dataset, items=items)


@cache
def encode(texts: tuple[str, ...]) -> NDArray[np.float32]:
    return EdgeEncoder.bundled().encode_texts(texts)


def make_wardrobe(prefix: str = "") -> Dataset:
    """Outfits of one style each; ids are ``prefix`` and a number, so that two wardrobes may differ in ids alone."""
    items: dict[str, Item] = {}
    outfits = []
    for split, size in SIZES:
        for number in range(size):
            style = STYLES[number % len(STYLES)]
            ids = []
            for category, kind in WORN:
                item_id = f"{prefix}{len(items)}"
                title = f"{style} {category} number {split}{number}"
                items[item_id] = Item(item_id, title, category, kind)
                ids.append(item_id)
            outfits.append(Outfit(f"{prefix}{split}-{number}", tuple(ids), split))
    funnel = (
        FunnelRow("items", "read", 0, len(items) + 3, dropped=False),
        FunnelRow("items", "nobody wears it", 3, len(items)),
    )
    return described(Dataset("wardrobe", "catalogue", items, tuple(outfits), funnel, text_only=True))


@pytest.fixture
def wardrobe() -> Dataset:
    return make_wardrobe()


@pytest.fixture
def wardrobe_with_ids() -> MakeWardrobe:
    return make_wardrobe


@pytest.fixture
def report(wardrobe: Dataset, tmp_path: Path) -> ReportData:
    """The report of one scorer on a few questions."""
    return small_report(wardrobe, tmp_path)


@pytest.fixture(scope="session")
def wide() -> ReportData:
    """The wide report; nobody changes it."""
    return wide_report(make_wardrobe())


@pytest.fixture(scope="session")
def wide_html(wide: ReportData) -> str:
    return render_html(wide)
