from __future__ import annotations

from collections import Counter

import pytest

from coordi.config import DataSettings
from coordi.data.funnel import Funnel
from coordi.data.source import SourceItem, SourceOutfit
from coordi.data.splits import assign_splits, cap_splits, drop_duplicates
from coordi.domain import Split

TITLES = {"a": "Red Dress", "b": "black pumps", "c": "red dress", "d": "black pumps", "e": "", "f": "", "g": "hat"}
ITEMS = {item_id: SourceItem(item_id, title, "top") for item_id, title in TITLES.items()}


def _outfit(outfit_id: str, item_ids: str, split: Split | None) -> SourceOutfit:
    return SourceOutfit(outfit_id, tuple(item_ids), split)


def _left(*outfits: SourceOutfit) -> tuple[list[str], dict[str, int]]:
    funnel = Funnel()
    funnel.read("outfits", len(outfits))
    left = [outfit.id for outfit in drop_duplicates(outfits, ITEMS, funnel)]
    return left, {row.reason[:50]: row.count for row in funnel.rows if row.dropped}


def test_the_same_titles_in_any_order_are_the_same_outfit_and_test_wins() -> None:
    left, reasons = _left(_outfit("1", "ab", "train"), _outfit("2", "dc", "test"), _outfit("3", "ag", "train"))
    assert left == ["2", "3"]
    assert list(reasons.values()) == [1]
    assert "another split" in next(iter(_left_reasons("train", "test")))


def _left_reasons(one: Split, other: Split) -> list[str]:
    funnel = Funnel()
    drop_duplicates([_outfit("1", "ab", one), _outfit("2", "cd", other)], ITEMS, funnel)
    return [row.reason for row in funnel.rows]


@pytest.mark.parametrize(
    ("one", "other", "kept"), [("train", "valid", "2"), ("valid", "test", "2"), ("test", "train", "1")]
)
def test_the_stronger_split_keeps_the_duplicate(one: Split, other: Split, kept: str) -> None:
    assert _left(_outfit("1", "ab", one), _outfit("2", "cd", other))[0] == [kept]


def test_twice_in_a_split_keeps_the_first() -> None:
    assert _left(_outfit("1", "ab", "train"), _outfit("2", "cd", "train"))[0] == ["1"]
    assert "of its split" in _left_reasons("valid", "valid")[0]


def test_items_without_a_title_count_by_their_ids() -> None:
    assert _left(_outfit("1", "ae", "train"), _outfit("2", "af", "test"))[0] == ["1", "2"]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, {}), (1, {"test": 1}), (2, {"test": 1, "train": 1}), (3, {"train": 1, "valid": 1, "test": 1}),
     (10, {"train": 7, "valid": 1, "test": 2}), (1000, {"train": 700, "valid": 100, "test": 200})],
)  # fmt: skip
def test_outfits_without_a_split_get_one(count: int, expected: dict[str, int]) -> None:
    outfits = [_outfit(str(number), "ab", None) for number in range(count)]
    drawn = assign_splits(outfits, 7)
    assert Counter(outfit.split for outfit in drawn) == expected
    assert [outfit.id for outfit in drawn] == [outfit.id for outfit in outfits]
    assert assign_splits(outfits, 7) == drawn
    if count == 1000:
        assert assign_splits(outfits, 8) != drawn


def test_given_splits_stay() -> None:
    drawn = assign_splits([_outfit("1", "ab", "valid"), _outfit("2", "ab", None)], 7)
    assert drawn[0].split == "valid"


def test_a_smaller_cap_keeps_a_subset_in_order() -> None:
    outfits = [_outfit(f"{number:03d}", "ab", "train" if number % 2 else "test") for number in range(60)]
    funnel = Funnel()
    funnel.read("outfits", 60)
    large = [outfit.id for outfit in cap_splits(outfits, DataSettings(train_outfits=20), 3, funnel)]
    small = [outfit.id for outfit in cap_splits(outfits, DataSettings(train_outfits=5), 3, Funnel())]
    assert len(large) == 50
    assert len(small) == 35
    assert set(small) < set(large)
    assert large == sorted(large)
    assert funnel.rows[-1].count == 10
    assert "train_outfits=20" in funnel.rows[-1].reason
