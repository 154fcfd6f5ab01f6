from __future__ import annotations

from collections import Counter

import pytest

from coordi.config import DataSettings
from coordi.data.source import Funnel, SourceItem, SourceOutfit
from coordi.data.splits import assign_splits, cap_splits, draw_splits, drop_duplicates
from coordi.errors import DataError
from coordi.types import Split

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


@pytest.mark.parametrize(("asked", "lacking"), [(10, 0), (11, 1), (2995, 2985)])
def test_a_split_with_fewer_outfits_than_asked_for_is_told(asked: int, lacking: int) -> None:
    outfits = [_outfit(f"{number:03d}", "ab", "train") for number in range(10)]
    funnel = Funnel()
    funnel.read("outfits", 10)
    assert cap_splits(outfits, DataSettings(train_outfits=asked), 3, funnel) == outfits
    said = [(row.reason, row.count, row.dropped) for row in funnel.rows[1:]]
    reason = f"lacking in the train split: train_outfits={asked} was asked for, but it has 10"
    assert said == ([(reason, lacking, False)] if lacking else [])


def test_the_papers_sizes_are_a_seeded_sample() -> None:
    sizes: dict[Split, int] = {"train": 4000, "valid": 1200, "test": 1200}
    outfits = [_outfit(f"{split}-{number}", "ab", split) for split, count in sizes.items() for number in range(count)]
    paper = DataSettings(train_outfits=2995, valid_outfits=1000, test_outfits=1145)
    one, same, other = (cap_splits(outfits, paper, seed, Funnel()) for seed in (1, 1, 2))
    assert Counter(outfit.split for outfit in one) == {"train": 2995, "valid": 1000, "test": 1145}
    assert one == same != other


def _titled(count: int) -> tuple[list[SourceOutfit], dict[str, SourceItem]]:
    items = {str(number): SourceItem(str(number), f"thing {number}", "top") for number in range(2 * count)}
    return [
        SourceOutfit(f"o{number}", (str(2 * number), str(2 * number + 1)), "train") for number in range(count)
    ], items


def test_splits_drawn_anew_forget_the_sources_own_and_keep_duplicates_on_one_side() -> None:
    outfits, items = _titled(100)
    items["x"] = SourceItem("x", "Thing 0", "top")
    outfits.append(SourceOutfit("twin", ("x", "1"), "test"))
    funnel = Funnel()
    funnel.read("outfits", len(outfits))
    drawn = draw_splits(outfits, items, DataSettings(split="outfit-disjoint"), 7, funnel)
    assert Counter(outfit.split for outfit in drawn) == {"train": 70, "valid": 10, "test": 20}
    assert "twin" not in {outfit.id for outfit in drawn}
    assert draw_splits(outfits, items, DataSettings(split="outfit-disjoint"), 8, Funnel()) != drawn
    assert len(draw_splits(outfits, items, DataSettings(), 7, Funnel())) == 100
    assert {outfit.split for outfit in draw_splits(outfits[:50], items, DataSettings(), 7, Funnel())} == {"train"}


def test_item_disjoint_splits_come_from_the_seed() -> None:
    outfits, items = _titled(100)
    settings = DataSettings(split="item-disjoint")
    one, same, other = (draw_splits(outfits, items, settings, seed, Funnel()) for seed in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_outfits_for_three_splits(count: int) -> None:
    outfits, items = _titled(count)
    with pytest.raises(DataError, match=rf"^{count} outfits can't be drawn into 3 splits \(data\.split=outfit-disj"):
        draw_splits(outfits, items, DataSettings(split="outfit-disjoint"), 7, Funnel())
    assert draw_splits([], items, DataSettings(split="item-disjoint"), 7, Funnel()) == []
