from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from coordi.config import DataSettings
from coordi.data import release_questions
from coordi.data.loading import load, outfits_for, recognise
from coordi.errors import DataError
from coordi.types import Dataset

AddsUp = Callable[[Dataset], None]
TITLES = {
    "10": ("silk blouse", "tops"), "11": ("black jeans", "bottoms"), "12": ("suede pumps", "shoes"),
    "13": ("wool coat", "outerwear"), "14": ("leather tote", "bags"), "15": ("gold ring", "jewellery"),
}  # fmt: skip
LOOKS = {
    "train": {"1": ["10", "11", "12"], "2": ["13", "11"]},
    "test": {"8": ["10", "13", "14"], "9": ["12", "14", "15"]},
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "cache"))


def _jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (12, 16), (200, 30, 60)).save(file, format="JPEG")
    return file.getvalue()


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Mapping) and path.suffix == ".parquet":
        pq.write_table(pa.table(dict(content)), path)
    else:
        path.write_text(json.dumps(content), encoding="utf-8")


def _outfits(looks: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    return [
        {"set_id": set_id, "items": [{"item_id": name, "index": place} for place, name in enumerate(look, start=1)]}
        for set_id, look in looks.items()
    ]


def _owj(folder: Path, version: str = "nondisjoint") -> Path:
    """``owj0421/polyvore`` and ``owj0421/polyvore-outfits`` in one folder."""
    names = list(TITLES)
    for part, ids in enumerate((names[:4], names[4:])):
        _write(
            folder / "data" / f"data-0000{part}-of-00002.parquet",
            {
                "item_id": ids,
                "image": [{"bytes": _jpeg(), "path": f"{name}.jpg"} for name in ids],
                "url_name": [TITLES[name][0] for name in ids],
                "title": ["" for _ in ids],
                "description": ["worn once" for _ in ids],
                "category": [TITLES[name][1] for name in ids],
            },
        )
    for split, looks in LOOKS.items():
        _write(folder / f"{version}_default" / f"{split}.json", _outfits(looks))
    questions = [{"label": "1", "items": ["8_1", "8_2", "8_3"]}, {"label": "0", "items": ["9_1", "8_2", "2_2"]}]
    _write(folder / f"{version}_compatibility" / "test.json", questions)
    blanks = [
        {"items": ["9_1", "9_2"], "candidates": ["8_2", "9_3"], "label": 1},
        {"items": ["8_1", "8_2"], "candidates": ["9_3", "8_3"], "label": "0"},
    ]
    _write(folder / f"{version}_fill_in_the_blank" / "test.json", blanks)
    return folder


def test_polyvore_outfits_in_parquet(tmp_path: Path, adds_up: AddsUp) -> None:
    folder = _owj(tmp_path / "owj")
    assert recognise(folder) == "owj0421-polyvore"
    dataset = load(folder, DataSettings(photos="required"), 1)
    adds_up(dataset)
    assert (dataset.name, dataset.layout, dataset.text_only) == ("owj (nondisjoint)", "owj0421-polyvore", False)
    assert {outfit.id: outfit.item_ids for outfit in dataset.outfits} == {
        set_id: tuple(look) for looks in LOOKS.values() for set_id, look in looks.items()
    }
    assert {item.id: (item.title, item.category, item.subcategory) for item in dataset.items.values()} == {
        "10": ("silk blouse", "top", "tops"), "11": ("black jeans", "bottom", "bottoms"),
        "12": ("suede pumps", "shoes", "shoes"), "13": ("wool coat", "outerwear", "outerwear"),
        "14": ("leather tote", "bag", "bags"), "15": ("gold ring", "jewellery", "jewellery"),
    }  # fmt: skip
    assert dataset.items["10"].extra == {"description": "worn once"}
    (part,) = dataset.released
    assert sorted((tuple(sorted(one.item_ids)), one.compatible, one.outfit_id) for one in part.compatibility) == [
        (("10", "13", "14"), True, "8"), (("11", "12", "13"), False, "8"),
    ]  # fmt: skip
    (blank,) = part.blanks
    assert (blank.outfit_id, blank.candidates[blank.answer]) == ("9", "15")
    assert dict(part.blanks_file.losses) == {release_questions.NO_ANSWER: 1}
    with pytest.raises(DataError, match=r"no valid outfits .*add valid\.json"):
        outfits_for(dataset, "valid")


def test_the_version_that_is_asked_for(tmp_path: Path) -> None:
    folder = _owj(tmp_path / "owj", "disjoint")
    assert load(folder, DataSettings(), 1).name == "owj (disjoint)"
    with pytest.raises(DataError, match=r"no nondisjoint version .*\(nondisjoint_default/train\.json.*only disjoint"):
        load(folder, DataSettings(release="nondisjoint"), 1)


def test_half_a_copy_says_what_is_missing(tmp_path: Path) -> None:
    folder = _owj(tmp_path / "owj")
    (folder / "data").rename(tmp_path / "data")
    with pytest.raises(DataError, match=r"owj has outfits but neither titles nor photos.*lacks data/\*\.parquet"):
        load(folder, DataSettings(), 1)
    (tmp_path / "items").mkdir()
    (tmp_path / "data").rename(tmp_path / "items" / "data")
    assert recognise(tmp_path / "items") == "owj0421-polyvore"
    with pytest.raises(DataError, match=r"no nondisjoint version .*nor any other: get it from .*owj0421/polyvore-outf"):
        load(tmp_path / "items", DataSettings(), 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([{"label": "2", "items": ["8_1"]}], "entry 1 isn't a question: '2 8_1'"),
        ([{"label": "1", "items": ["8_1", "8_2"]}, {"label": "1"}], r"entry 2 isn't a question: '\{'label'"),
        ([7], "entry 1 isn't a question: '7'"), ({}, "must hold a list of questions, got dict"),
    ],
)  # fmt: skip
def test_a_broken_question_is_named(tmp_path: Path, content: Any, said: str) -> None:
    folder = _owj(tmp_path / "owj")
    _write(folder / "nondisjoint_compatibility" / "test.json", content)
    with pytest.raises(DataError, match=rf"nondisjoint_compatibility/test\.json,? {said}"):
        load(folder, DataSettings(), 1)


def _marqo(folder: Path, rows: Sequence[tuple[str | None, str, str]]) -> Path:
    half = len(rows) // 2
    for part, mine in enumerate((rows[:half], rows[half:])):
        ids, categories, texts = ([row[place] for row in mine] for place in range(3))
        images = [{"bytes": _jpeg(), "path": None} for _ in mine]
        columns = {"image": images, "category": categories, "text": texts, "item_ID": ids}
        _write(folder / "data" / f"data-0000{part}-of-00002.parquet", columns)
    return folder


def test_items_whose_ids_name_the_outfit(tmp_path: Path, adds_up: AddsUp) -> None:
    rows = [
        ("100_2", "Jeans", "black jeans"), ("100_10", "Ankle Booties", "suede booties"),
        ("100_1", "day dresses", "knit"),
        ("200_1", "Sofas", "oak"), ("200_2", "Clothing", "wool coat"), ("200_3", "Something New", "gold ring"),
        ("200_3", "Jeans", "again"), ("300_1", "Jeans", "alone"),
    ]  # fmt: skip
    folder = _marqo(tmp_path / "marqo", rows)
    assert recognise(folder) == "marqo-polyvore"
    dataset = load(folder, DataSettings(photos="required"), 1)
    adds_up(dataset)
    assert dataset.layout == "marqo-polyvore"
    assert {outfit.id: outfit.item_ids for outfit in dataset.outfits} == {
        "100": ("100_1", "100_2", "100_10"), "200": ("200_2", "200_3"),
    }  # fmt: skip
    assert {item.id: item.category for item in dataset.items.values()} == {
        "100_1": "dress", "100_2": "bottom", "100_10": "shoes", "200_2": "outerwear", "200_3": "jewellery",
    }  # fmt: skip
    assert any(row.reason == "duplicate id, the first is kept (200_3)" and row.count == 1 for row in dataset.funnel)
    assert len(list((tmp_path / "cache").rglob("*.jpg"))) == 6  # none of the sofa


def test_rows_without_an_id_are_counted(tmp_path: Path, adds_up: AddsUp) -> None:
    rows = [("1_1", "Jeans", "blue"), ("1_2", "Pumps", "red"), (None, "Coats", "wool"), ("", "Coats", "fur")]
    dataset = load(_marqo(tmp_path / "marqo", rows), DataSettings(), 1)
    adds_up(dataset)
    assert ("no item_ID", 2) in {(row.reason, row.count) for row in dataset.funnel}
    folder = _owj(tmp_path / "owj")
    columns: dict[str, Any] = {"item_id": [None], "url_name": ["nobody's"], "category": ["tops"], "image": [None]}
    _write(folder / "data" / "more.parquet", columns)
    dataset = load(folder, DataSettings(), 1)
    adds_up(dataset)
    told = {(row.reason, row.count) for row in dataset.funnel}
    assert ("without an id in data/*.parquet, which nothing can wear", 1) in told


@pytest.mark.parametrize("column", ["item_id", "url_name", "category"])
def test_a_column_of_items_that_is_missing_is_named(tmp_path: Path, column: str) -> None:
    folder = _owj(tmp_path / "owj")
    columns = {name: ["1"] for name in ("item_id", "url_name", "category") if name != column}
    _write(folder / "data" / "more.parquet", columns)
    with pytest.raises(DataError, match=rf"more\.parquet has the columns .*; it lacks {column}, which"):
        load(folder, DataSettings(), 1)


@pytest.mark.parametrize("column", ["category", "text", "image"])
def test_a_column_that_marqos_copy_must_have_is_named(tmp_path: Path, column: str) -> None:
    columns = {name: ["1_1"] for name in ("item_ID", "category", "text", "image") if name != column}
    _write(tmp_path / "m" / "data" / "1.parquet", columns)
    with pytest.raises(DataError, match=rf"1\.parquet has the columns .*; it lacks {column}, which"):
        load(tmp_path / "m", DataSettings(), 1)


def test_items_without_outfits_are_a_catalogue(tmp_path: Path) -> None:
    dataset = load(_marqo(tmp_path / "marqo", [("a", "Jeans", "blue"), ("b", "Pumps", "red")]), DataSettings(), 1)
    assert (list(dataset.items), dataset.outfits) == (["a", "b"], ())


def test_photos_of_the_release_may_lie_in_parquet(polyvore_outfits: Callable[..., Path]) -> None:
    """``mvasil/polyvore-outfits``: the release's own annotation files, and photos by version and split."""
    items = {name: {"title": title, "semantic_category": kind} for name, (title, kind) in TITLES.items()}
    folder = polyvore_outfits({split: list(looks.items()) for split, looks in LOOKS.items()}, items)
    names = list(TITLES)
    for split, mine in (("train", names[:3]), ("test", names[2:])):
        columns = {"item_id": mine, "image": [{"bytes": _jpeg(), "path": None} for _ in mine]}
        _write(folder / "data" / "nondisjoint" / f"{split}.parquet", columns)
    assert recognise(folder) == "polyvore-outfits"
    dataset = load(folder, DataSettings(photos="required"), 1)
    assert len(dataset.outfits) == 4
    assert load(folder / "nondisjoint", DataSettings(photos="required"), 1).items == dataset.items
