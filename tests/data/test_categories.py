from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from coordi.data.categories import (
    category_of,
    classify,
    maryland_categories,
    maryland_category,
)
from coordi.types import GARMENT_CATEGORIES


def test_every_category_of_the_release_is_in_the_table_with_its_name(real_data: Path) -> None:
    lines = (real_data / "polyvore-maryland" / "category_id.txt").read_text(encoding="utf-8").splitlines()
    released = {int(number): name for number, _, name in (line.strip().partition(" ") for line in lines)}
    assert len(released) == 380
    assert {row.id: row.name for row in maryland_categories().values()} == released


def test_most_of_the_release_is_worn_and_every_category_occurs(real_data: Path) -> None:
    """The training table keeps tops, bottoms, shoes and accessories; validation holds rugs and lipsticks too."""
    found: Counter[str] = Counter()
    worn: dict[str, float] = {}
    for split in ("train", "valid", "test"):
        counts: Counter[str] = Counter()
        outfits = json.loads((real_data / "polyvore-maryland" / f"{split}_no_dup.json").read_text(encoding="utf-8"))
        for item in (item for outfit in outfits for item in outfit["items"]):
            category = maryland_category(item["categoryid"], item["name"])
            assert category is not None
            counts[category] += 1
        worn[split] = 1 - counts[""] / counts.total()
        found += counts
    assert worn == pytest.approx({"train": 1.0, "valid": 0.75, "test": 0.97}, abs=0.01)
    assert set(found) - {""} == set(GARMENT_CATEGORIES)


@pytest.mark.parametrize(
    ("category_id", "expected"),
    [(4, "dress"), (21, "top"), (237, "bottom"), (24, "outerwear"), (43, "shoes"), (318, "bag"), (64, "jewellery"),
     (55, "headwear"), (57, "eyewear"), (105, "scarf"), (53, "gloves"), (52, "belt"), (61, "watch"), (251, "hosiery"),
     (1605, "swimwear"), (56, "accessory"), (115, ""), (200, ""), (136, ""), (245, ""), (1967, ""), (77, "")],
)  # fmt: skip
def test_maryland_category(category_id: int, expected: str) -> None:
    assert maryland_category(category_id, "a title that says nothing") == expected


def test_a_department_goes_by_the_words_of_the_title() -> None:
    assert maryland_category(2, "mango printed shorts") == "bottom"
    assert maryland_category(2, "latest fashion round neck thick coats") == "outerwear"
    assert maryland_category(2, "grunge cloud") == "top"
    assert maryland_category(51, "simply logo sticker navy") == ""


def test_an_unknown_id_is_unknown_rather_than_unworn() -> None:
    assert maryland_category(99999, "shirt") is None


def test_every_article_type_of_the_products_is_known(real_data: Path) -> None:
    with (real_data / "fashion-products" / "styles.csv").open(encoding="utf-8", newline="") as file:
        types = {row["articleType"] for row in csv.DictReader(file)}
    assert {name for name in types if classify(name) is None} == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Tshirts", "top"), ("Kurtas", "top"), ("Sandals", "shoes"), ("Track Pants", "bottom"), ("Flip Flops", "shoes"),
     ("Laptop Bag", "bag"), ("Mufflers", "scarf"), ("Cufflinks", "jewellery"), ("Waistcoat", "outerwear"),
     ("red leather belt", "belt"), ("short sleeve dress", "dress"), ("shirt dress", "dress"),
     ("Women's Watches", "watch"),
     ("silk dress shirt", "top"), ("belt bag", "bag"), ("Bow Ties", "accessory"), ("swim shorts", "swimwear"),
     ("DRESSES", "dress"), ("T-Shirt", "top"), ("sofa", None), ("Lipstick", None), ("Briefs", None),
     ("frobnicator", None),
     ("", None)],
)  # fmt: skip
def test_category_of(text: str, expected: str | None) -> None:
    assert category_of(text) == expected


@pytest.mark.parametrize("category", GARMENT_CATEGORIES)
def test_a_worn_category_names_itself(category: str) -> None:
    assert category_of(category) == category


@pytest.mark.parametrize(
    ("text", "category"),
    [("Dress with belt", "dress"), ("Skinny Jeans Boot Cut", "bottom"), ("Saree with blouse", "dress"),
     ("Sunglasses with case", "eyewear"), ("Men > Shoes > Dress", "shoes"), ("Women > Dresses > Shirt", "dress"),
     ("Apparel & Accessories > Clothing > Dresses", "dress"), ("Clothing > Blazers", "outerwear")],
)  # fmt: skip
def test_what_comes_with_a_garment_and_what_is_above_it_in_a_path(text: str, category: str) -> None:
    assert classify(text) == category
