"""The page of a catalogue shows what was read, and only shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from coordi.recommend.catalogue import Catalogue
from coordi.recommend.health import look_into, render_health
from coordi.types import GarmentCategory, Item

from .shelves import described, index_of

ROWS: list[tuple[str, str, GarmentCategory]] = [
    *((f"s{number}", f"black boots {number}", "shoes") for number in range(25)),
    ("t1", "<script>alert(1)</script> shirt", "top"), ("t2", "Linen Shirt", "top"), ("t3", "linen  shirt", "top"),
]  # fmt: skip


def priced(prices: Sequence[float | None]) -> Catalogue:
    items: list[Item] = described(*ROWS)
    return index_of([replace(item, price=price) for item, price in zip(items, prices, strict=True)])


def test_counts_prices_doubles_and_items_to_look_at() -> None:
    health = look_into(priced([*([10.0] * 20), *([100.0] * 5), None, 5.0, 5.0]))
    assert health.counts == {"shoes": 25, "top": 3}
    assert health.unknown["price"] == 1
    assert sum(bar.count for bar in health.prices) == 27
    assert (health.prices[0].low, health.prices[0].count) == (5.0, 2)
    assert health.prices[-1].high == pytest.approx(100.0)
    assert health.prices[-1].count == 5
    assert health.doubles == {"linen shirt": ["t2", "t3"]}
    assert [item.id for item in health.categories["shoes"]] == [f"s{number}" for number in range(0, 20, 2)]


@pytest.mark.parametrize("price", [None, 0.0, 7.5])
def test_one_price_or_none(price: float | None) -> None:
    health = look_into(priced([price] * len(ROWS)))
    assert sum(bar.count for bar in health.prices) == (0 if price is None else len(ROWS))


def test_a_hostile_title_is_text_and_nothing_is_loaded() -> None:
    index = priced([None] * len(ROWS))
    page = render_health(index, look_into(index))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; shirt" in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")
