from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordi.config import DataSettings
from coordi.data.loading import load
from coordi.data.photos import MISSING
from coordi.data.polyvore import read_maryland
from coordi.errors import DataError
from coordi.types import Dataset

Maryland = Callable[[dict[str, Any]], Path]
AddsUp = Callable[[Dataset], None]
LOOK = [("silk blouse", 17), ("black jeans", 27), ("suede pumps", 43)]


def test_items_are_named_by_set_and_index_and_know_their_kind(maryland: Maryland) -> None:
    source = read_maryland(maryland({"test": [("77", LOOK)]}))
    assert [item.id for item in source.items] == ["77_1", "77_2", "77_3"]
    assert (source.items[0].category, source.items[0].subcategory) == ("top", "Blouses")
    assert source.items[0].price is None
    assert source.items[0].image is None
    assert source.outfits[0].title == "look 77"


def test_the_photo_lies_at_the_releases_own_place_whatever_the_item_says(
    maryland: Maryland, photo: Callable[..., Path]
) -> None:
    folder = maryland({"train": [("5", LOOK)]})
    entries = json.loads((folder / "train_no_dup.json").read_text())
    entries[0]["items"][0]["image"] = "data/images/5/1.jpg"
    entries[0]["items"][2]["image"] = "data/images/5/3.jpg"
    (folder / "train_no_dup.json").write_text(json.dumps(entries))
    for index in (1, 2):
        photo(folder / "images" / "5" / f"{index}.jpg")
    dataset = load(folder, DataSettings(photos="optional"), 1)
    images = [item.image for item in dataset.items.values()]
    assert images == [folder / "images" / "5" / "1.jpg", folder / "images" / "5" / "2.jpg", None]
    assert any(row.reason.startswith(MISSING) and "5_3" in row.reason for row in dataset.funnel)


def test_a_path_that_leads_out_of_the_release_isnt_followed(maryland: Maryland, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"x")
    folder = maryland({"train": [{"set_id": "../..", "items": [
        {"index": 1, "name": "a", "categoryid": 17, "image": "../secret.jpg"}]}]})  # fmt: skip
    assert read_maryland(folder).items[0].image is None


def test_quirks_are_counted(maryland: Maryland, adds_up: AddsUp) -> None:
    folder = maryland(
        {
            "train": [
                ("1", LOOK),
                ("1", LOOK),
                ("2", [("oak sofa", 115), ("hermÃ¨s boot", 42), ("", 27), ("red lipstick", 200)]),
                ("3", [("linen shirt", 11), ("chinos", 28), ("thing", 987654)]),
                ("9", [("in test too", 11), ("whatever", 28)]),
                {"set_id": "", "items": [{"index": 1}]},
                {"set_id": "4", "items": []},
                "no outfit",
                {"set_id": "6", "items": [{"name": "no index"}, {"index": 1, "name": "tee", "categoryid": 21},
                                          {"index": 1, "name": "tee", "categoryid": 21},
                                          {"index": 2, "name": "skirt", "categoryid": 7, "price": 12}]},
            ],
            "test": [("9", [("scarf", 105), ("coat", 24)]), ("10", [("HERMÈS bag", 35), ("gold ring", 65)])],
        }
    )  # fmt: skip
    dataset = load(folder, DataSettings(), 1)
    adds_up(dataset)
    assert {outfit.id: outfit.split for outfit in dataset.outfits} == {
        "1": "train", "3": "train", "6": "train", "9": "test", "10": "test",
    }  # fmt: skip
    assert dataset.items["9_1"].title == "scarf"
    counts = {row.reason.split(" (")[0]: row.count for row in dataset.funnel if row.unit == "items"}
    assert counts["nobody wears it to be seen"] == 2
    assert counts["title in a wrong encoding, repaired"] == 1
    assert counts["no title and no photo"] == 1
    assert counts["no word tells its category, and it has no photo"] == 1
    assert counts["broken item: no index"] == 1
    assert counts["the same index twice in an outfit"] == 1
    outfits = {row.reason.split(" (")[0]: row.count for row in dataset.funnel if row.unit == "outfits"}
    assert outfits["the same set id twice in a split"] == 1
    assert outfits["the same set id in another split"] == 1
    assert outfits["broken: no set_id or no items"] == 3
    assert outfits["fewer than 2 items left"] == 1
    assert dataset.text_only


@pytest.mark.parametrize(
    ("text", "expected"),
    [('[{"set_id": "1",]', "line 1, column 17"), ('{"a": 1}', "list of outfits, got dict"), ("\ufeff[", "isn't JSON")],
)
def test_a_broken_file_is_named_with_the_place(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "valid_no_dup.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=expected) as raised:
        read_maryland(tmp_path)
    assert "valid_no_dup.json" in str(raised.value)


def test_bytes_that_arent_utf8_are_named(tmp_path: Path) -> None:
    (tmp_path / "train_no_dup.json").write_bytes(b'["\xff"]')
    with pytest.raises(DataError, match="byte 2"):
        read_maryland(tmp_path)


def test_the_real_release(real: Dataset, adds_up: AddsUp) -> None:
    dataset = real
    adds_up(dataset)
    assert dataset.layout == "polyvore-maryland"
    assert dataset.text_only
    dropped = {row.reason: row for row in dataset.funnel if row.dropped and row.unit == "outfits"}
    assert {reason: row.count for reason, row in dropped.items()} == {"fewer than 2 items left": 194}
    titles = [item.title for item in dataset.items.values()]
    assert not any("Ã" in title for title in titles)
    assert any("hermès" in title for title in titles)
    assert all(item.price is None or item.price >= 0 for item in dataset.items.values())
    assert sum(item.image is not None for item in dataset.items.values()) > 40


def test_the_papers_filter_leaves_few_real_outfits_and_counts_why(real_data: Path, adds_up: AddsUp) -> None:
    dataset = load(real_data / "polyvore-maryland", DataSettings(photos="required"), 17)
    adds_up(dataset)
    assert [len(dataset.outfits_of(split)) for split in ("train", "valid", "test")] == [7, 3, 3]
    assert {row.reason: row.count for row in dataset.funnel if row.dropped}["no photo"] == 41_195
