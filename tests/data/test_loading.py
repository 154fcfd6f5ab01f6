from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from coordi.config import DataSettings
from coordi.data.loading import load, outfits_for, recognise
from coordi.data.sample import MARKER, write_sample
from coordi.errors import DataError
from coordi.types import SPLITS, Dataset

Save = Callable[..., Path]


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_any_subset_of_the_releases_splits_is_the_release(tmp_path: Path, split: str) -> None:
    (tmp_path / f"{split}_no_dup.json").write_text("[]")
    assert recognise(tmp_path) == "polyvore-maryland"


def test_the_other_layouts(tmp_path: Path, photo: Save) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "items.csv").write_text("id\n1\n")
    (tmp_path / "shop" / "outfits.jsonl").write_text("")
    photo(tmp_path / "wardrobe" / "deep" / "a.JPG", format="JPEG")
    assert recognise(tmp_path / "shop") == "catalogue"
    assert recognise(tmp_path / "shop" / "items.csv") == "catalogue"
    assert recognise(tmp_path / "wardrobe") == "photos"


def test_an_unknown_layout_says_what_was_found_and_what_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds nothing; accepted are .*train_no_dup\.json.*\.csv"):
        recognise(tmp_path)
    (tmp_path / "readme.md").write_text("x")
    with pytest.raises(DataError, match=r"holds readme\.md; accepted"):
        recognise(tmp_path)
    with pytest.raises(DataError, match=r"no file or folder at .*missing"):
        recognise(tmp_path / "missing")
    with pytest.raises(DataError, match=r"readme\.md isn't a data set"):
        recognise(tmp_path / "readme.md")
    (tmp_path / "a.csv").write_text("id\n")
    (tmp_path / "b.parquet").write_text("")
    with pytest.raises(DataError, match=r"2 tables \(a\.csv, b\.parquet\)"):
        recognise(tmp_path)


def test_both_folders_of_polyvore_outfits_are_the_release(tmp_path: Path, real_data: Path) -> None:
    assert recognise(real_data / "polyvore-outfits") == "polyvore-outfits"
    assert recognise(real_data / "polyvore-outfits" / "nondisjoint") == "polyvore-outfits"
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "train.json").write_text("[]")
    with pytest.raises(DataError, match=r"holds train\.json; accepted are .*nondisjoint or disjoint"):
        recognise(tmp_path / "annotations")
    (tmp_path / "polyvore_item_metadata.json").write_text("{}")
    assert recognise(tmp_path / "annotations") == "polyvore-outfits"


def test_the_sample_loads_whole(tmp_path: Path, photo: Save, adds_up: Callable[[Dataset], None]) -> None:
    """The sample's form, with the smallest of pictures; its own tests draw the real ones."""
    rows = ["id,title,category,kind,image,price"]
    for number in range(30):
        photo(tmp_path / "images" / f"i{number}.jpg")
        rows.append(f"i{number},garment {number},top,shirt,images/i{number}.jpg,12.95")
    (tmp_path / "items.csv").write_text("\n".join(rows) + "\n")
    splits = ["train"] * 6 + ["valid"] * 2 + ["test"] * 2
    outfits = [
        {"id": f"o{number}", "items": [f"i{3 * number}", f"i{3 * number + 1}"], "split": split, "title": "a look"}
        for number, split in enumerate(splits)
    ]
    (tmp_path / "outfits.jsonl").write_text("\n".join(map(json.dumps, outfits)) + "\n")
    (tmp_path / MARKER).write_text("{}")
    dataset = load(tmp_path, DataSettings(photos="required"), 3)
    adds_up(dataset)
    assert (dataset.layout, MARKER) == ("sample", "sample.json")
    assert len(dataset.items) == 30
    assert [outfit.split for outfit in dataset.outfits] == splits
    assert dataset.items["i3"].subcategory == "shirt"
    (tmp_path / "items.csv").unlink()
    with pytest.raises(DataError, match="delete the folder to unpack it again"):
        load(tmp_path, DataSettings(), 3)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_data_set(tmp_path: Path) -> None:
    write_sample(tmp_path)
    settings = DataSettings(train_outfits=40, valid_outfits=10, test_outfits=10)
    one, same, other = (load(tmp_path, settings, seed) for seed in (1, 1, 2))
    assert one == same
    assert [outfit.id for outfit in one.outfits] != [outfit.id for outfit in other.outfits]
    assert [len(one.outfits_of(split)) for split in ("train", "valid", "test")] == [40, 10, 10]


def test_a_missing_split_is_asked_for_by_its_file(wardrobe: Callable[..., Dataset], tmp_path: Path) -> None:
    (tmp_path / "train_no_dup.json").write_text(
        '[{"set_id": "1", "items": [{"index": 1, "name": "tee", "categoryid": 21},'
        ' {"index": 2, "name": "jeans", "categoryid": 27}]}]'
    )
    dataset = load(tmp_path, DataSettings(), 1)
    with pytest.raises(DataError, match=r"no test outfits \(it has train\); add test_no_dup\.json"):
        outfits_for(dataset, "test")
    with pytest.raises(DataError, match=r"no valid outfits .*outfits\.jsonl"):
        outfits_for(wardrobe({"train": 1}), "valid")


@pytest.mark.slow
def test_the_real_outfits_divide_without_a_common_item(real_data: Path, adds_up: Callable[[Dataset], None]) -> None:
    dataset = load(real_data / "polyvore-maryland", DataSettings(split="item-disjoint"), 17)
    adds_up(dataset)
    titles = {
        split: {
            dataset.items[name].title.casefold() for outfit in dataset.outfits_of(split) for name in outfit.item_ids
        }
        for split in SPLITS
    }
    assert not any(titles[one] & titles[other] - {""} for one in SPLITS for other in SPLITS if one != other)
    shares = [len(dataset.outfits_of(split)) / len(dataset.outfits) for split in SPLITS]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.02)
    assert len(dataset.outfits) > 1000
    anew = load(real_data / "polyvore-maryland", DataSettings(split="outfit-disjoint"), 17)
    adds_up(anew)
    assert {outfit.split for outfit in anew.outfits} == set(SPLITS)
