"""What nobody wears together is said, and what people do isn't."""

from __future__ import annotations

import pytest

from coordi.recommend.rules import outfit_warnings
from coordi.types import GarmentCategory


@pytest.mark.parametrize(
    ("categories", "warnings"),
    [
        (("bottom", "bottom", "bottom", "top"), ("3 of category 'bottom'",)),
        (("shoes", "dress", "shoes"), ("2 of category 'shoes'",)),
        (("top", "dress"), ("'dress' beside 'top'",)),
        (("swimwear", "dress", "bag"), ("'dress' beside 'swimwear'",)),
    ],
)
def test_what_nobody_wears_is_said(categories: tuple[GarmentCategory, ...], warnings: tuple[str, ...]) -> None:
    assert outfit_warnings(categories) == warnings


@pytest.mark.parametrize(
    "categories", [("top", "bottom", "shoes"), ("top", "top", "bottom"), ("jewellery", "jewellery", "dress"), ()]
)
def test_layers_and_bracelets_are_worn(categories: tuple[GarmentCategory, ...]) -> None:
    assert outfit_warnings(categories) == ()
