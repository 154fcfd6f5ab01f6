from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordi.config import DataSettings
from coordi.data.cleaning import clean
from coordi.data.loading import load
from coordi.data.photos import CUT_SHORT, MISSING, NOT_A_PHOTO
from coordi.data.source import Funnel, Source, SourceItem, SourceOutfit
from coordi.errors import DataError
from coordi.types import Dataset

Save = Callable[..., Path]
AddsUp = Callable[[Dataset], None]
Maryland = Callable[[dict[str, Any]], Path]


def _shop(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    with (folder / "items.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "title", "category"))
        writer.writerows(rows)
    return folder


def test_the_papers_filter_counts_each_reason(tmp_path: Path, photo: Save, adds_up: AddsUp) -> None:
    shop = _shop(
        tmp_path,
        [("1", "tee", "top"), ("2", "", "top"), ("3", "cap", "headwear"), ("4", "hat", "hat"), ("5", "bag", "bag")],
    )
    photo(shop / "images" / "1.jpg")
    photo(shop / "images" / "2.jpg")
    (shop / "images" / "3.jpg").write_text("not a photo")
    cut = photo(shop / "images" / "4.jpg", size=(300, 300))
    cut.write_bytes(cut.read_bytes()[:-400])
    dataset = load(shop, DataSettings(photos="required"), 1)
    adds_up(dataset)
    assert list(dataset.items) == ["1"]
    assert not dataset.text_only
    assert {row.reason: row.count for row in dataset.funnel if row.dropped} == {
        "no title": 1, f"{NOT_A_PHOTO} (3)": 1, f"{CUT_SHORT} (4)": 1, "no photo": 1,
    }  # fmt: skip

    kept = load(shop, DataSettings(photos="optional"), 1)
    adds_up(kept)
    assert {item.id: item.image is not None for item in kept.items.values()} == {
        "1": True, "2": True, "3": False, "4": False, "5": False,
    }  # fmt: skip
    assert kept.text_only


def test_a_photo_named_but_missing(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("id,title,category,image\n1,tee,top,gone.jpg\n")
    with pytest.raises(DataError, match=MISSING):
        load(tmp_path, DataSettings(photos="required"), 1)
    assert load(tmp_path, DataSettings(), 1).items["1"].image is None


@pytest.mark.parametrize(("with_photo", "text_only"), [(2, True), (3, False), (4, False)])
def test_auto_asks_for_photos_if_half_of_the_outfits_survive(
    maryland: Maryland, photo: Save, with_photo: int, text_only: bool
) -> None:
    looks = [(str(number), [(f"top {number}", 11), (f"jeans {number}", 27)]) for number in range(6)]
    folder = maryland({"test": looks})
    for number in range(with_photo):
        for index in (1, 2):
            photo(folder / "images" / str(number) / f"{index}.jpg")
    dataset = load(folder, DataSettings(photos="auto"), 1)
    assert dataset.text_only is text_only
    assert len(dataset.outfits) == (6 if text_only else with_photo)


def test_empty_titles_everywhere(maryland: Maryland) -> None:
    folder = maryland({"train": [("1", [("", 11), ("", 27)]), ("2", [("", 11), ("", 27)])]})
    with pytest.raises(
        DataError, match=r"train split .* is empty.*2 outfits: fewer than 2 items left.*4 items: no title"
    ):
        load(folder, DataSettings(), 1)


def test_an_empty_split_among_others_is_named(maryland: Maryland) -> None:
    folder = maryland({
        "train": [("1", [("tee", 11), ("jeans", 27)])],
        "test": [("2", [("sofa", 115), ("rug", 136)]), ("3", [("tee", 11)])],
    })  # fmt: skip
    with pytest.raises(DataError, match=r"test split of 'release' is empty after cleaning: 2 outfits"):
        load(folder, DataSettings(), 1)


def test_a_split_whose_outfits_are_all_in_test_is_named(maryland: Maryland) -> None:
    look = [("tee", 11), ("jeans", 27)]
    with pytest.raises(DataError, match=r"train split .* another split"):
        load(maryland({"train": [("1", look)], "test": [("1", look)]}), DataSettings(), 1)


def test_nothing_worn(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 items: nobody wears it"):
        load(_shop(tmp_path, [("1", "oak", "sofa"), ("2", "red", "lipstick")]), DataSettings(), 1)


def test_an_unknown_category_waits_for_the_photo_or_goes(tmp_path: Path, photo: Save, adds_up: AddsUp) -> None:
    shop = _shop(tmp_path, [("1", "zorp", "frobnicator"), ("2", "zorp", "frobnicator"), ("3", "a red dress", "frob")])
    photo(shop / "images" / "1.jpg")
    dataset = load(shop, DataSettings(photos="optional"), 1)
    adds_up(dataset)
    assert {item.id: item.category for item in dataset.items.values()} == {"1": None, "3": "dress"}
    assert any("'frobnicator'" in row.reason for row in dataset.funnel)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["train", "valid", "test"]),
            st.lists(st.tuples(st.sampled_from(["tee", "jeans", "", "Ã¨", "sofa"]), st.sampled_from(["top", "", None])),
                     min_size=1, max_size=4),
        ),
        max_size=8,
    )
)  # fmt: skip
def test_counts_add_up_whatever_comes(looks_by_split: list[tuple[Any, list[tuple[str, Any]]]]) -> None:
    items, outfits = [], []
    for number, (split, looks) in enumerate(looks_by_split):
        mine = [SourceItem(f"{number}-{place}", title, category) for place, (title, category) in enumerate(looks)]
        items += mine
        outfits.append(SourceOutfit(str(number), tuple(item.id for item in mine), split))
    funnel = Funnel()
    funnel.read("items", len(items))
    funnel.read("outfits", len(outfits))
    source = Source("made up", "test", tuple(items), tuple(outfits), funnel, keeps_single_items=False)
    try:
        dataset = clean(source, DataSettings(train_outfits=2), 5)
    except DataError:
        usable = {item.id: item.title for item in items if item.title and item.category}
        assert all(len({usable[name] for name in outfit.item_ids if name in usable}) < 2 for outfit in outfits)
        return
    for unit, left in (("items", len(dataset.items)), ("outfits", len(dataset.outfits))):
        rows = [row for row in dataset.funnel if row.unit == unit]
        assert rows[0].count == left + sum(row.count for row in rows if row.dropped)
        assert all(row.count > 0 for row in rows[1:])
    assert len(dataset.outfits_of("train")) <= 2
    assert {name for outfit in dataset.outfits for name in outfit.item_ids} == set(dataset.items)


def test_a_title_twice_in_an_outfit_stays_once(maryland: Maryland) -> None:
    """Made-up outfits never hold a title twice, so a real one that did would give itself away."""
    twins = ("1", [("red pumps", 41), ("Red Pumps", 41), ("silk blouse", 17), ("denim skirt", 7)])
    plain = ("2", [("black pumps", 41), ("wool coat", 25)])
    dataset = load(maryland({"train": [twins, plain]}), DataSettings(photos="optional"), 17)
    assert [outfit.item_ids for outfit in dataset.outfits] == [("1_1", "1_3", "1_4"), ("2_1", "2_2")]
    assert ("holds one title twice: the first kept", 1) in {(row.reason, row.count) for row in dataset.funnel}
    assert "1_2" not in dataset.items
