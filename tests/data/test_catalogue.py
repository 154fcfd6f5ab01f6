from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from coordi.config import DataSettings, FeedSettings
from coordi.data.feed import read_catalogue, read_photos
from coordi.data.loading import load
from coordi.data.photos import OUTSIDE
from coordi.errors import DataError
from coordi.types import Dataset

Save = Callable[..., Path]
AddsUp = Callable[[Dataset], None]
ROWS: list[dict[str, Any]] = [
    {"SKU": "a1", "Product Name": "Red silk dress", "articleType": "Dresses", "Price": 49.5, "season": "Summer"},
    {"SKU": "a2", "Product Name": "Oak chair", "articleType": "Chairs", "Price": 300.0, "season": "Winter"},
    {"SKU": "a3", "Product Name": "Black belt", "articleType": None, "Price": None, "season": None},
]


def _write_csv(path: Path) -> None:
    lines = ["SKU,Product Name,articleType,Price,season"]
    lines += [",".join("" if value is None else str(value) for value in row.values()) for row in ROWS]
    path.write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")


def _write_jsonl(path: Path) -> None:
    path.write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")


def _write_parquet(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), path)


@pytest.mark.parametrize(
    ("name", "write"), [("shop.csv", _write_csv), ("shop.jsonl", _write_jsonl), ("shop.parquet", _write_parquet)]
)
def test_the_three_formats_say_the_same(
    tmp_path: Path, name: str, write: Callable[[Path], None], adds_up: AddsUp
) -> None:
    write(tmp_path / name)
    for path in (tmp_path, tmp_path / name):
        dataset = load(path, DataSettings(), 1)
        adds_up(dataset)
        assert dataset.layout == "catalogue"
        assert [
            (item.id, item.title, item.category, item.subcategory, item.price) for item in dataset.items.values()
        ] == [
            ("a1", "Red silk dress", "dress", "Dresses", 49.5),
            ("a3", "Black belt", "belt", "", None),
        ]
        assert dataset.items["a1"].extra["season"] == "Summer"
        assert not dataset.outfits


def test_bad_rows_are_counted_with_their_lines_and_good_ones_kept(tmp_path: Path, adds_up: AddsUp) -> None:
    (tmp_path / "shop.csv").write_text(
        'id,title,category\n1,"a\nshirt",top\n2,too,many,fields\n,no id,top\n1,again,top\n3,jeans\n\n4,boots,shoes\n',
        encoding="utf-8",
    )
    dataset = load(tmp_path, DataSettings(), 1)
    adds_up(dataset)
    assert list(dataset.items) == ["1", "3", "4"]
    assert dataset.items["1"].title == "a shirt"
    reasons = [row.reason for row in dataset.funnel if row.dropped]
    assert reasons == [
        "bad row: more fields than the header (line 4)",
        "bad row: no id (line 5)",
        "duplicate id, the first is kept ('1' in line 6)",
    ]


def test_bad_json_lines_are_counted_with_their_lines(tmp_path: Path, adds_up: AddsUp) -> None:
    (tmp_path / "shop.jsonl").write_text('{"id": 1, "name": "tee"}\n{"id": \n[2]\n{"id": 3.0, "name": "cap"}\n')
    dataset = load(tmp_path, DataSettings(), 1)
    adds_up(dataset)
    assert list(dataset.items) == ["1", "3"]
    assert [row.reason for row in dataset.funnel if row.dropped] == [
        "bad row: not JSON (line 2)", "bad row: not a JSON object (line 3)",
    ]  # fmt: skip


def test_a_table_without_ids_says_which_columns_it_has(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text("colour,size\nred,L\n")
    with pytest.raises(DataError, match="colour, size"):
        load(tmp_path, DataSettings(), 1)


@pytest.mark.parametrize("name", ["shop.parquet", "shop.csv"])
def test_a_file_that_isnt_what_it_claims(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00nonsense")
    with pytest.raises(DataError, match=name):
        load(tmp_path / name, DataSettings(), 1)


def test_images_are_found_by_column_or_by_id_but_not_outside(tmp_path: Path, photo: Save) -> None:
    shop = tmp_path / "shop"
    photo(shop / "images" / "1.PNG")
    photo(shop / "pictures" / "x.jpg")
    photo(tmp_path / "outside.jpg")
    (shop / "items.csv").write_text(
        "id,title,category,image\n1,tee,top,\n2,jeans,bottom,pictures/x.jpg\n3,cap,headwear,../outside.jpg\n"
        "4,coat,outerwear,https://example.org/4.jpg\n"
    )
    images = [item.image for item in read_catalogue(shop / "items.csv").items]
    assert images == [shop / "images" / "1.PNG", shop / "pictures" / "x.jpg", None, None]
    dataset = load(shop, DataSettings(photos="required"), 1)
    assert [row.reason for row in dataset.funnel if row.dropped] == [f"{OUTSIDE} (3, 4)"]


def test_outfits_beside_the_table(tmp_path: Path, adds_up: AddsUp) -> None:
    rows = "".join(f"{number},title {number},{'top' if number % 2 else 'bottom'}\n" for number in range(8))
    (tmp_path / "items.csv").write_text("id,title,category\n" + rows)
    outfits = [
        '{"id": "x", "items": ["0", "1"], "split": "train", "title": "monday"}',
        '{"id": "y", "items": [2, 3], "split": "test"}',
        '{"id": "y", "items": ["4", "5"], "split": "test"}',
        '{"id": "z", "items": "4,5"}',
        '{"id": "w", "items": ["4", "5"], "split": "holdout"}',
        '{"id": "v", "items": ["6", "7", "nowhere", "7"], "split": "valid"}',
        '{"id": "u", "items": ["6", "nowhere"], "split": "valid"}',
    ]
    (tmp_path / "outfits.jsonl").write_text("\n".join(outfits))
    dataset = load(tmp_path, DataSettings(), 1)
    adds_up(dataset)
    assert [(outfit.id, outfit.item_ids, outfit.split, outfit.title) for outfit in dataset.outfits] == [
        ("x", ("0", "1"), "train", "monday"), ("y", ("2", "3"), "test", ""), ("v", ("6", "7"), "valid", ""),
    ]  # fmt: skip
    assert len(dataset.items) == 8


def test_the_folder_of_labelled_photos_loads(real_data: Path, adds_up: AddsUp) -> None:
    dataset = load(real_data / "fashion-products" / "styles.csv", DataSettings(photos="required"), 1)
    adds_up(dataset)
    assert len(dataset.items) > 7_500
    item = dataset.items["10000"]
    assert (item.category, item.subcategory, item.title) == (
        "bottom",
        "Skirts",
        "Palm Tree Girls Sp Jace Sko White Skirts",
    )
    assert item.extra["baseColour"] == "White"
    assert item.image is not None
    assert item.image.name == "10000.jpg"
    assert not dataset.text_only
    assert all(item.category is not None for item in dataset.items.values())


def test_photos_alone(tmp_path: Path, photo: Save, adds_up: AddsUp) -> None:
    for name in ("red silk dress.jpg", "shoes/IMG_1.jpeg", "IMG_7.png", "IMG_7.jpg", ".hidden/a.jpg"):
        photo(tmp_path / name)
    (tmp_path / "broken.jpg").write_text("no")
    (tmp_path / "notes.txt").write_text("no")
    for mode in ("auto", "required", "optional"):
        dataset = load(tmp_path, DataSettings.model_validate({"photos": mode}), 1)
        adds_up(dataset)
        assert dataset.layout == "photos"
        found = {item.id: (item.title, item.category) for item in dataset.items.values()}
        extra = {"broken": ("broken", None)} if mode == "optional" else {}
        assert "broken" not in found, extra
        assert found == {
            "IMG_7": ("", None),
            "red silk dress": ("red silk dress", "dress"),
            "shoes/IMG_1": ("", "shoes"),
        }
    assert len(read_photos(tmp_path).items) == 4


@pytest.mark.parametrize(
    ("content", "hint"),
    [("", "none, the file is empty"),
     ("sku number,title\n1,red shirt\n", "name one 'id'")],
)  # fmt: skip
def test_a_table_without_ids_says_what_to_do(tmp_path: Path, content: str, hint: str) -> None:
    (tmp_path / "catalogue.csv").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=hint):
        read_catalogue(tmp_path / "catalogue.csv")


def test_a_quotation_mark_that_is_not_closed_is_told_with_the_lines_that_it_took(tmp_path: Path) -> None:
    table = tmp_path / "feed.csv"
    table.write_text(
        "id,title,category,price\n"
        "a,Wool coat,Coats,90\n"
        'b,"Unclosed dress,Dresses,20\n'
        "c,Green scarf,Scarves,12\n"
        'd,"Blue shirt",Shirts,30\n'
        "e,Brown belt,Belts,15\n",
        encoding="utf-8",
    )
    source = read_catalogue(table)
    assert [item.id for item in source.items] == ["a", "e"]
    assert [(one.item_id, one.line, one.value, one.usable) for one in source.problems] == [
        ("b", 3, "lines 4 to 5", False)
    ]
    assert "closed lines later" in source.problems[0].reason


def test_a_long_description_may_go_over_lines_unless_they_look_like_rows(tmp_path: Path) -> None:
    table = tmp_path / "feed.csv"
    table.write_text(
        "id,title,category,body\n"
        'a,Wool coat,Coats,"Warm\nand soft, too"\n'
        'b,Silk scarf,Scarves,"Light\nc,Red hat,Hats,Felt"\n',
        encoding="utf-8",
    )
    source = read_catalogue(table)
    assert [item.id for item in source.items] == ["a", "b"]
    assert [(one.item_id, one.line, one.value, one.usable) for one in source.problems] == [("b", 4, "line 5", True)]


LANGUAGES = """id,title,category,colour,locale
1,Chemise en lin homme,Chemises,blanc,
2,Chemises,,,fr_FR
3,Damen Slips 3er Pack,Slips,schwarz,
4,네이비 울 블레이저,,네이비,
5,Silk chemise,Nightwear > Chemises,white,
6,Herren Modell 12,Damen > Schuhe > Stiefel,,
"""


def test_categories_of_titles_in_several_languages(tmp_path: Path) -> None:
    (tmp_path / "catalogue.csv").write_text(LANGUAGES, encoding="utf-8")
    source = read_catalogue(tmp_path / "catalogue.csv")
    assert [(item.id, item.category) for item in source.items] == [
        ("1", "top"), ("2", "top"), ("3", ""), ("4", "outerwear"), ("5", "dress"), ("6", "shoes"),
    ]  # fmt: skip
    assert source.items[0].title == "Chemise en lin homme"


@pytest.mark.parametrize("few", [False, True])
def test_most_titles_decide_words_of_two_languages(tmp_path: Path, few: bool) -> None:
    french = ["Chemise en lin homme", "Robe noire", "Jupe plissée", "Pantalon large", "Manteau en laine"][few:]
    titles = [*french, "Chemises", "Silk robe with lace"]
    path = tmp_path / "catalogue.csv"
    path.write_text("id,title\n" + "".join(f"{row},{title}\n" for row, title in enumerate(titles)), encoding="utf-8")
    source, set_to_english = read_catalogue(path), read_catalogue(path, settings=FeedSettings(language="en"))
    assert [item.category for item in source.items[-2:]] == ["dress" if few else "top", "outerwear"]
    assert ("titles in French" in source.about) is not few
    assert set_to_english.items[-2].category == "dress"
    assert "titles in" not in set_to_english.about


def test_the_language_of_a_table_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.csv"
    path.write_text("id,title,locale\n1,Chemises,\n2,Silk chemise with lace,\n3,Slip,en\n", encoding="utf-8")
    plain, french = read_catalogue(path), read_catalogue(path, settings=FeedSettings(language="fr"))
    assert [item.category for item in plain.items] == ["dress", "dress", None]
    assert [item.category for item in french.items] == ["top", "dress", None]
    assert french.items[0].extra["language"] == "fr"
    assert "language" not in french.items[2].extra
