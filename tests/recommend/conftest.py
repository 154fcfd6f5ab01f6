"""A small catalogue with everything a rule asks about, described by the bundled encoder's texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.config import PromptSettings
from coordi.encoders.edge import EdgeEncoder
from coordi.encoders.labels import Vocabulary, load_vocabulary
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.catalogue_file import CatalogueInfo
from coordi.recommend.items import describe_items
from coordi.types import Description, GarmentCategory, Item, Label

# id, category, title, price, columns, what its photo shows
ROWS: tuple[tuple[str, GarmentCategory, str, float | None, dict[str, str], str], ...] = (
    ("s1", "shoes", "Black leather ankle boots", 120.0, {"Brand": "Kim", "gender": "Women",
                                                         "season": "Winter"}, "black"),
    ("s2", "shoes", "White canvas sneakers", 49.9, {"brand": "Ánna", "gender": "Unisex", "season": "Summer",
                                                    "availability": "out of stock"}, "white"),
    ("s3", "shoes", "Men's brown brogues", 89.0, {"brand": "KIM", "stock": "3"}, ""),
    ("b1", "bag", "Navy tote bag", None, {"brand": "Tote & Co", "stock": "0"}, "navy blue"),
    ("t1", "top", "Striped cotton T-shirt", 15.0, {"gender": "Girls", "baseColour": "Off White"}, "white"),
    ("t2", "top", "Silk blouse for women", 75.5, {"season": "summer"}, "pink"),
    ("d1", "dress", "Floral midi dress", 0.0, {"in_stock": "yes"}, ""),
)  # fmt: skip


@pytest.fixture(scope="session")
def texts_by() -> EdgeEncoder:
    return EdgeEncoder.bundled()


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return load_vocabulary("fashion")


@pytest.fixture(scope="session")
def info(texts_by: EdgeEncoder) -> CatalogueInfo:
    return CatalogueInfo(
        name="shop",
        source="/data/shop.csv",
        encoder=("edge", texts_by.identity),
        text_encoder=texts_by.text_identity,
        vocabulary="0" * 64,
        photo_dimension=8,
        text_dimension=texts_by.dimension,
    )


@pytest.fixture(scope="session")
def shop_items(texts_by: EdgeEncoder, vocabulary: Vocabulary) -> list[Item]:
    items, descriptions, vectors = [], {}, {}
    rng = np.random.default_rng(6)
    for item_id, category, title, price, extra, colour in ROWS:
        photo = Path(f"/photos/{item_id}.jpg") if colour else None
        items.append(Item(item_id, title, category, image=photo, price=price, extra=extra))
        if colour:
            descriptions[item_id] = Description(item_id, {"colour": (Label(colour, 0.8125),)})
            vectors[item_id] = unit(rng.normal(size=8))
    return describe_items(items, descriptions, vectors, PromptSettings(), vocabulary, texts_by)


@pytest.fixture(scope="session")
def shop(info: CatalogueInfo, shop_items: list[Item]) -> Catalogue:
    return Catalogue.in_memory(info, shop_items)


def unit(vector: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)
