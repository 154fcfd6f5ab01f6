from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordi.config import DataSettings, RunSettings, apply_overrides, load_settings
from coordi.data import release_questions
from coordi.data.loading import load, outfits_for, recognise
from coordi.data.photos import MISSING
from coordi.data.polyvore import is_version, read_outfits
from coordi.errors import DataError
from coordi.types import Dataset, QuestionFile

Outfits = Callable[..., Path]
AddsUp = Callable[[Dataset], None]
Save = Callable[..., Path]

ITEMS = {
    "10": ("Silk Blouse", "17"), "11": ("Black Jeans", 27), "12": ("Suede Pumps", "43"), "13": ("Wool Coat", "24"),
    "14": ("Leather Tote", "36"), "15": ("Gold Ring", "65"),
}  # fmt: skip
TRAIN = [("1", ["10", "11", "12"]), ("2", ["13", "11"])]
TEST = [("8", ["10", "13", "14"]), ("9", ["12", "14", "15"])]


def test_items_are_shared_between_outfits_and_know_their_kind(polyvore_outfits: Outfits, adds_up: AddsUp) -> None:
    folder = polyvore_outfits({"train": TRAIN, "test": TEST}, ITEMS)
    (folder / "polyvore_outfit_titles.json").write_text(
        json.dumps({"1": {"url_name": "monday look", "title": ""}, "2": {"title": "Tuesday", "url_name": "t"}})
    )
    dataset = load(folder, DataSettings(), 1)
    adds_up(dataset)
    assert (dataset.name, dataset.layout) == ("outfits (nondisjoint)", "polyvore-outfits")
    assert [(one.id, one.item_ids, one.split, one.title) for one in dataset.outfits] == [
        ("1", ("10", "11", "12"), "train", "monday look"), ("2", ("13", "11"), "train", "Tuesday"),
        ("8", ("10", "13", "14"), "test", ""), ("9", ("12", "14", "15"), "test", ""),
    ]  # fmt: skip
    assert {item.id: (item.category, item.subcategory) for item in dataset.items.values()} == {
        "10": ("top", "Blouses"), "11": ("bottom", "Jeans"), "12": ("shoes", "Pumps"), "13": ("outerwear", "Coats"),
        "14": ("bag", "Tote Bags"), "15": ("jewellery", "Rings"),
    }  # fmt: skip


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_any_subset_of_splits(polyvore_outfits: Outfits, split: str) -> None:
    folder = polyvore_outfits({split: TRAIN}, ITEMS)
    assert {outfit.split for outfit in load(folder, DataSettings(), 1).outfits} == {split}


def test_a_missing_split_is_asked_for_by_its_file(polyvore_outfits: Outfits) -> None:
    dataset = load(polyvore_outfits({"valid": TRAIN}, ITEMS), DataSettings(), 1)
    with pytest.raises(DataError, match=r"no test outfits \(it has valid\); add test\.json, or draw .*outfit-disjoint"):
        outfits_for(dataset, "test")


def _semantic(name: str, **columns: Any) -> dict[str, Any]:
    return {"title": "", "url_name": name, "semantic_category": "", "category_id": "", **columns}


def test_titles_and_categories_come_from_wherever_they_are(polyvore_outfits: Outfits) -> None:
    metadata = {
        "1": _semantic("plain tee", title="  ", category_id="21"),
        "2": _semantic("leather strap thing", category_id="269"),  # an id that only the release's own table knows
        "3": _semantic("tweed thing", semantic_category="outerwear", category_id="99999"),
        "4": _semantic("gold watch", semantic_category="jewellery "),
        "5": _semantic("summer thing", semantic_category="all-body", description="for warm days"),
        "6": _semantic("phone case", semantic_category="accessories"),
        "7": _semantic("red beret"),
        "8": _semantic("zorp"),
    }
    folder = polyvore_outfits({"train": [("1", list(metadata))]}, metadata)
    (folder / "categories.csv").write_text("269,suspenders,accessories \n21,tee,tops\n")
    items = load(folder, DataSettings(), 1).items
    assert {item.id: (item.title, item.category, item.subcategory) for item in items.values()} == {
        "1": ("plain tee", "top", "T-Shirts"), "2": ("leather strap thing", "accessory", "suspenders"),
        "3": ("tweed thing", "outerwear", "outerwear"), "4": ("gold watch", "watch", "jewellery"),
        "5": ("summer thing", "dress", "all-body"), "7": ("red beret", "headwear", ""),
    }  # fmt: skip
    assert items["5"].extra == {"description": "for warm days"}


def test_the_real_categories_are_those_of_maryland(real_data: Path) -> None:
    """The ids of ``categories.csv`` are those of Polyvore, which the checked-in table is of; one of them is new."""
    from coordi.data.categories import _SEMANTIC, maryland_categories
    from coordi.data.polyvore import _category_rows

    table = _category_rows(real_data / "polyvore-outfits" / "categories.csv")
    assert [number for number in table if int(number) not in maryland_categories()] == ["269"]
    assert {row["semantic_category"] for row in table.values()} == {"", *_SEMANTIC}
    shoes = [int(number) for number, row in table.items() if row["semantic_category"] == "shoes"]
    assert {maryland_categories()[number].category for number in shoes} == {"shoes"}


def test_the_version_that_is_asked_for(polyvore_outfits: Outfits, tmp_path: Path) -> None:
    folder = polyvore_outfits({"train": TRAIN}, ITEMS)
    (folder / "disjoint").mkdir()
    (folder / "disjoint" / "train.json").write_text((folder / "nondisjoint" / "train.json").read_text())
    assert load(folder, DataSettings(), 1).name == "outfits (nondisjoint)"
    assert load(folder, DataSettings(release="disjoint"), 1).name == "outfits (disjoint)"
    assert load(folder / "disjoint", DataSettings(), 1).name == "outfits (disjoint)"
    with pytest.raises(DataError, match=r"is the disjoint version, but data\.release=nondisjoint was asked for"):
        load(folder / "disjoint", DataSettings(release="nondisjoint"), 1)


def test_the_only_version_is_taken_unless_the_other_is_asked_for(polyvore_outfits: Outfits) -> None:
    folder = polyvore_outfits({"train": TRAIN}, ITEMS, version="disjoint")
    assert load(folder, DataSettings(), 1).name == "outfits (disjoint)"
    with pytest.raises(DataError, match=r"has no nondisjoint version .*only disjoint: set data\.release=disjoint"):
        load(folder, DataSettings(release="nondisjoint"), 1)


def test_settings_that_were_written_down_ask_for_no_version_more_than_before(polyvore_outfits: Outfits) -> None:
    folder = polyvore_outfits({"train": TRAIN}, ITEMS, version="disjoint")
    settings = load_settings("edge", ["data.photos=optional"])
    again = RunSettings.model_validate(settings.model_dump(mode="json"))
    for each in (settings, apply_overrides(settings, ["seed=3"]), again):
        assert load(folder, each.data, 1).name == "outfits (disjoint)"
    asked = RunSettings.model_validate(apply_overrides(settings, ["data.release=nondisjoint"]).model_dump())
    with pytest.raises(DataError, match="has no nondisjoint version"):
        load(folder, asked.data, 1)


def test_the_metadata_may_lie_in_the_inner_folder(polyvore_outfits: Outfits, photo: Save) -> None:
    folder = polyvore_outfits({"train": TRAIN}, ITEMS)
    inner = (folder / "nondisjoint").rename(folder.parent / "anything")
    assert not is_version(inner)
    (folder / "polyvore_item_metadata.json").rename(inner / "polyvore_item_metadata.json")
    for item_id in ITEMS:
        photo(inner / "images" / f"{item_id}.jpg")
    assert recognise(inner) == "polyvore-outfits"
    dataset = load(inner, DataSettings(photos="required"), 1)
    assert (dataset.name, len(dataset.outfits)) == ("anything", 2)
    assert dataset.items["10"].image == inner / "images" / "10.jpg"


def test_half_a_release_says_what_is_missing_and_where_it_belongs(polyvore_outfits: Outfits, real_data: Path) -> None:
    folder = polyvore_outfits({"train": TRAIN})
    said = r"outfits but neither titles nor photos.*lacks polyvore_item_metadata\.json \(titles\) and images/<item_id>"
    with pytest.raises(DataError, match=f"{folder} has {said}"):
        load(folder, DataSettings(), 1)
    (folder / "images").mkdir()
    with pytest.raises(DataError, match=said):
        load(folder, DataSettings(), 1)
    with pytest.raises(DataError, match=f"{(real_data / 'polyvore-outfits').resolve()} has {said}"):
        load(real_data / "polyvore-outfits", DataSettings(), 1)


def test_photos_without_metadata_are_kept_for_what_they_show(
    polyvore_outfits: Outfits, photo: Save, adds_up: AddsUp
) -> None:
    folder = polyvore_outfits({"train": TRAIN})
    for item_id in ("10", "11", "12"):
        photo(folder / "images" / f"{item_id}.jpg")
    dataset = load(folder, DataSettings(photos="optional"), 1)
    adds_up(dataset)
    assert [outfit.item_ids for outfit in dataset.outfits] == [("10", "11", "12")]
    assert all(item.category is None for item in dataset.items.values())


def test_photos_that_arent_there_are_counted(polyvore_outfits: Outfits, photo: Save, adds_up: AddsUp) -> None:
    folder = polyvore_outfits({"train": TRAIN, "test": TEST}, ITEMS)
    without = load(folder, DataSettings(), 1)
    assert without.text_only
    assert ("no photo: kept for its title", 6) in {(row.reason, row.count) for row in without.funnel}
    (folder / "images").mkdir()
    empty = load(folder, DataSettings(), 1)
    adds_up(empty)
    assert any(row.reason.startswith(f"{MISSING}: kept for its title (10, 11") for row in empty.funnel)
    with pytest.raises(DataError, match=r"train split .* is empty .*6 items: photo missing"):
        load(folder, DataSettings(photos="required"), 1)


def test_items_that_the_metadata_lacks_are_counted(polyvore_outfits: Outfits, adds_up: AddsUp) -> None:
    folder = polyvore_outfits({"train": TRAIN, "test": TEST}, ITEMS | {"12": None, "15": "a word"})
    dataset = load(folder, DataSettings(), 1)
    adds_up(dataset)
    rows = {row.reason: row.count for row in dataset.funnel if row.unit == "items"}
    assert rows["not in polyvore_item_metadata.json (12, 15)"] == 2
    assert rows["no title and no photo"] == 2
    assert [outfit.id for outfit in dataset.outfits] == ["1", "2", "8"]


def test_quirks_are_counted(polyvore_outfits: Outfits, adds_up: AddsUp) -> None:
    folder = polyvore_outfits(
        {
            "train": [*TRAIN, ("8", ["10", "11"]), ("1", ["12"]), {"set_id": "", "items": [{}]}, 7,
                      {"set_id": "3", "items": [{"item_id": "10", "index": 1}, {"index": 2}, {"item_id": "11"}, 5,
                                                {"item_id": 14, "index": 3}, {"item_id": "10", "index": 4}]}],
            "test": TEST,
        },
        ITEMS,
    )  # fmt: skip
    dataset = load(folder, DataSettings(), 1)
    adds_up(dataset)
    assert {one.id: one.item_ids for one in dataset.outfits}["3"] == ("10", "14")
    rows = {row.reason: row.count for row in dataset.funnel if row.unit == "outfits"}
    assert rows["broken: no set_id or no items (train.json entry 5, train.json entry 6)"] == 2
    assert rows["the same set id twice in a split (1)"] == 1
    assert rows["the same set id in another split (test wins over valid, valid over train) (8)"] == 1
    assert rows["lists an item without item_id or index, which is passed over (3)"] == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("nondisjoint/train.json", "[{]", r"train\.json isn't JSON: .* line 1, column 3"),
        ("nondisjoint/train.json", "{}", r"train\.json must hold a list of outfits, got dict"),
        ("polyvore_item_metadata.json", '{"1": ', r"metadata\.json isn't JSON"),
        ("polyvore_item_metadata.json", "[]", r"metadata\.json must hold items by id, got a list"),
        ("polyvore_outfit_titles.json", "[]", r"titles\.json must hold outfits by id, got a list"),
        ("categories.csv", "1,top\n", r"categories\.csv, row 1 isn't a category"),
        ("nondisjoint/compatibility_test.txt", "1 8_1 8_2\n5 8_1\n", r"compatibility_test\.txt, line 2 isn't"),
        ("nondisjoint/fill_in_blank_valid.json", '[{"question": 3}]', r"fill_in_blank_valid\.json, entry 1 isn't"),
    ],
)
def test_a_broken_file_is_named_with_the_place(polyvore_outfits: Outfits, name: str, text: str, said: str) -> None:
    folder = polyvore_outfits({"train": TRAIN, "test": TEST}, ITEMS)
    (folder / name).write_text(text)
    with pytest.raises(DataError, match=said):
        load(folder, DataSettings(), 1)


def test_folders_without_lists_of_outfits(tmp_path: Path) -> None:
    (tmp_path / "disjoint").mkdir()
    with pytest.raises(
        DataError,
        match=r"no nondisjoint version .*\(nondisjoint/train\.json, valid\.json or test\.json\), nor any other",
    ):
        load(tmp_path, DataSettings(), 1)


def test_the_releases_questions_name_items_by_outfit_and_place(polyvore_outfits: Outfits) -> None:
    folder = polyvore_outfits({"train": TRAIN, "test": TEST}, ITEMS)
    (folder / "nondisjoint" / "compatibility_test.txt").write_text(
        "1 8_1 8_2 8_3\n1 9_1 9_2 9_3\n0 8_1 9_1 2_1\n0 9_1 8_7 9_2\n0 8_1 1_2\n"
    )
    (folder / "nondisjoint" / "fill_in_blank_test.json").write_text(json.dumps([
        {"question": ["8_1", "8_2"], "answers": ["9_3", "8_3"], "blank_position": 3},
        {"question": ["9_1", "9_2"], "answers": ["8_1", "77_1"], "blank_position": 3},
    ]))  # fmt: skip
    (part,) = load(folder, DataSettings(), 1).released
    assert (part.name, part.split) == ("release", "test")
    asked = {"-".join(sorted(one.item_ids)): (one.compatible, one.outfit_id) for one in part.compatibility}
    assert asked == {
        "10-13-14": (True, "8"), "12-14-15": (True, "9"), "10-12-13": (False, "line-3"),
    }  # fmt: skip
    (blank,) = part.blanks
    assert sorted(blank.item_ids) == ["10", "13"]
    assert blank.candidates[blank.answer] == "14"
    assert part.compatibility_file == QuestionFile(5, {release_questions.REAL: 2})
    assert part.blanks_file == QuestionFile(2, {release_questions.NO_ANSWER: 1})


@pytest.mark.slow
def test_the_real_valid_split_reads_whole_once_items_have_titles(
    real_data: Path, tmp_path: Path, adds_up: AddsUp
) -> None:
    """The real lists of outfits and questions, with made-up titles: the real ones aren't here."""
    real = real_data / "polyvore-outfits"
    entries = json.loads((real / "nondisjoint" / "valid.json").read_text())
    item_ids = {item["item_id"] for entry in entries for item in entry["items"]}
    numbers = ["11", "27", "43", "36", "65"]
    metadata = {
        item_id: {"title": f"thing {item_id}", "category_id": numbers[int(item_id) % 5]} for item_id in item_ids
    }
    (tmp_path / "nondisjoint").symlink_to(real / "nondisjoint")
    (tmp_path / "polyvore_item_metadata.json").write_text(json.dumps(metadata))
    dataset = load(tmp_path, DataSettings(), 1)
    adds_up(dataset)
    assert (len(dataset.outfits), len(dataset.items)) == (5000, 25132)
    (part,) = dataset.released
    assert (part.split, part.compatibility_file) == ("valid", QuestionFile(10000, {release_questions.SAME_TITLE: 3}))
    positives = {one.outfit_id: len(one.item_ids) for one in part.compatibility if one.compatible}
    negatives = {one.outfit_id: len(one.item_ids) for one in part.compatibility if not one.compatible}
    assert set(positives) == set(negatives) == {outfit.id for outfit in dataset.outfits}
    assert sum(positives[name] != size for name, size in negatives.items()) == 3


def test_reading_judges_nothing(polyvore_outfits: Outfits) -> None:
    source = read_outfits(polyvore_outfits({"train": TRAIN}, ITEMS | {"10": ("oak sofa", "115")}), DataSettings())
    assert [item.category for item in source.items][:2] == ["", "bottom"]
    assert source.splits == ("train",)
