"""Tables as people have them: any delimiter and encoding, JSON, and files that are broken somewhere."""

from __future__ import annotations

import contextlib
import json
import time
import tracemalloc
import unicodedata
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordi.config import FeedSettings
from coordi.data.feed import DUPLICATE, find_table, read_catalogue
from coordi.data.loading import recognise
from coordi.data.tables import (
    SHORT,
    TOO_LONG,
    TWO_COLUMNS,
    UNCLOSED_TO_THE_END,
    UNREADABLE,
    BadRow,
    cell_of,
    find_encoding,
    open_table,
    read_table,
)
from coordi.data.xml_feed import CUT, REFUSED
from coordi.errors import DataError

LINES = ("id,title,category,price", "1,Robe d'été à fleurs,dresses,49 €", "2,Gürtel für Mädchen,belts,15 €")
ROWS = "".join(f"{line}\n" for line in LINES)


def told(path: Path) -> list[tuple[str, int | None, str]]:
    return [(entry.reason, entry.line, entry.value) for entry in read_catalogue(path).problems]


def items_of(path: Path, **settings: Any) -> list[tuple[str, str, float | None]]:
    items = read_catalogue(path, settings=FeedSettings.model_validate(settings)).items
    return [(item.id, item.title, item.price) for item in items]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_delimiters_and_encodings_are_found(tmp_path: Path, delimiter: str, encoding: str, newline: str) -> None:
    path = tmp_path / "feed.csv"
    path.write_bytes(ROWS.replace(",", delimiter).replace("\n", newline).encode(encoding))
    assert items_of(path) == [("1", "Robe d'été à fleurs", 49.0), ("2", "Gürtel für Mädchen", 15.0)]
    table = open_table(path)
    assert table.delimiter == delimiter
    name = {"cp1252": "Windows-1252", "utf-16": "UTF-16", "utf-16-le": "UTF-16-le", "utf-16-be": "UTF-16-be"}
    words = {";": "semicolons", "\t": "tabs", "|": "bars"}[delimiter]
    assert table.about == ", ".join(filter(None, [words, name.get(encoding, "")]))


def test_latin_1_korean_and_a_long_way_to_the_first_letter(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    plain = "".join(f"{number},Wool coat,coats\n" for number in range(9000))
    path.write_bytes(f"id,title,category\n{plain}x,Jupe plissée,skirts\n".encode("latin-1"))
    assert len(path.read_bytes()) > 2**17
    assert items_of(path)[-1][:2] == ("x", "Jupe plissée")


@pytest.mark.parametrize(
    ("encoding", "title"),
    [("cp1252", "Jupe plissée"), ("cp1252", "Jäckchen, Größe 40"), ("cp1252", "Vestido até o chão"),
     ("cp949", "네이비 울 코트"), ("cp932", "赤いワンピース"), ("gb18030", "红色连衣裙"), ("big5", "海軍藍羊毛大衣"),
     ("cp1251", "Платье женское"), ("cp1253", "Φόρεμα κόκκινο γυναικείο"), ("cp1254", "Kadın elbise kırmızı, şık"),
     ("cp1250", "Sukienka żółta, płaszcz męski")],
)  # fmt: skip
def test_encodings_of_shops_in_other_languages(tmp_path: Path, encoding: str, title: str) -> None:
    path = tmp_path / "feed.csv"
    path.write_bytes(f'id,title,category\n1,"{title}",coats\n'.encode(encoding))
    assert items_of(path)[0][1] == title
    assert find_encoding(path) == encoding


def test_delimiter_quote_and_encoding_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_bytes("id:title:category\n1:'Jupe: rouge':skirts\n".encode("cp1252"))
    assert items_of(path, delimiter=":", quote="'") == [("1", "Jupe: rouge", None)]
    path.write_bytes(b'id,title,category\n1,"Jupe,skirts\n2,Top",tops\n')
    assert items_of(path, quote="none") == [("1", '"Jupe', None), ("2", 'Top"', None)]
    path.write_bytes("id,title\n1,Chemise jaun\xe9e top\n".encode("latin-1"))
    assert items_of(path, encoding="latin-1")[0][1] == "Chemise jaunée top"
    with pytest.raises(DataError, match="encoding 'klingon' isn't known"):
        items_of(path, encoding="klingon")
    path.write_text("'id','title','category'\n'1','Red, warm scarf','scarves'\n")
    assert items_of(path) == [("1", "Red, warm scarf", None)]
    path.write_text("sep=;\nid;title;category\n1;Red scarf;scarves\n")
    assert items_of(path) == [("1", "Red scarf", None)]


def test_a_few_broken_letters_cost_their_rows_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    rows = "".join(f"{number},Jupe plissée rouge,skirts\n" for number in range(50)).encode()
    path.write_bytes(b"id,title,category\n" + rows + b"x,Jupe pliss\xe9e,skirts\n")
    assert items_of(path)[0][1] == "Jupe plissée rouge"
    assert items_of(path)[-1][1] == "Jupe pliss\ufffde"
    assert told(path) == [(UNREADABLE, 52, "Jupe pliss\ufffde")]


@pytest.mark.parametrize(("column", "last"), [(0, False), (1, False), (2, False), (3, False), (1, True), (3, True)])
def test_an_unclosed_quote_costs_one_row(tmp_path: Path, column: int, last: bool) -> None:
    path = tmp_path / "feed.csv"
    rows = [[f"{number}", "Wool coat", "coats", "plain"] for number in range(30)]
    broken = 29 if last else 3
    rows[broken][column] = '"' + rows[broken][column]
    path.write_text("id,title,category,body\n" + "".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    source = read_catalogue(path)
    assert [item.id for item in source.items] == [f"{number}" for number in range(30) if number != broken]
    assert told(path) == [(UNCLOSED_TO_THE_END, broken + 2, ",".join(rows[broken]))]


def test_long_fields_and_lines_cost_at_most_their_row(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    long = "x" * 200_000
    with path.open("w", encoding="utf-8") as file:
        file.write(f"id,title,category,body\n1,Wool coat,coats,{long}\n2,Silk scarf,scarves,y\n")
        file.write(f'3,Silk scarf,scarves,"{"z" * 5_000_000}"\n4,Straw hat,hats,y\n')
    assert [item[0] for item in items_of(path)] == ["1", "2", "4"]
    assert told(path) == [(TOO_LONG, 4, "")]
    lines = tmp_path / "feed.jsonl"
    lines.write_text(
        f'{{"id": 1, "title": "hat"}}\n{{"id": 2, "title": "{"z" * 5_000_000}"}}\n{{"id": 3, "title": "cap"}}\n'
    )
    assert [item[0] for item in items_of(lines)] == ["1", "3"]
    assert told(lines) == [(TOO_LONG, 2, "")]


@pytest.mark.slow
def test_one_endless_line_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("id,title,category\n1,Wool coat,coats\n")
        for _ in range(60):
            file.write("2,Wool coat " * 90_000)
    tracemalloc.start()
    source = read_catalogue(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [item.id for item in source.items] == ["1"]
    assert [problem.reason for problem in source.problems] == [TOO_LONG]
    assert peak < 60 * 2**20 < path.stat().st_size


def test_rows_of_other_lengths_and_columns_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text(
        "id,price,title,category,price\n1,5,Red hat,hats,7\n2,6,Cap,hats,8,,\n3,6,Cap,hats,8,9\n4,6,Blue ca\n"
    )
    assert items_of(path) == [("1", "Red hat", 5.0), ("2", "Cap", 6.0), ("4", "Blue ca", 6.0)]
    assert told(path) == [
        (TWO_COLUMNS, 1, "price"), ("bad row: more fields than the header", 4, ""), (SHORT, 5, "3 of 5"),
    ]  # fmt: skip


def test_a_second_row_of_an_id_says_whether_it_differs(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text("id,title,category,price\n1,Red hat,hats,5\n1,Red hat,hats,5\n1,Red cap,hats,6\n")
    assert told(path) == [(DUPLICATE, 3, "the same row again"), (DUPLICATE, 4, "other title, price")]


def test_json_says_the_same_in_every_shape(tmp_path: Path) -> None:
    rows = [
        {
            "id": 1, "title": {"de": "Rotes Kleid", "en": "Red dress"}, "category": ["Women", "Dresses"],
            "image": ["a.jpg", "b.jpg"], "price": {"amount": "49.90", "currency": "EUR"}, "tags": ["a", "b"],
        },
        {"id": 2, "title": "Hat", "image": {"src": "c.jpg"}, "in_stock": False, "size": {"eu": 1, "fit": "slim"}},
    ]  # fmt: skip
    shapes = {
        "lines.jsonl": "\n".join(map(json.dumps, rows)),
        "list.json": json.dumps(rows, indent=2),
        "one_line.json": json.dumps(rows),
        "wrapped.json": json.dumps({"products": rows}),
        "lines.json": "\n".join(map(json.dumps, rows)),
    }
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.jpg").write_bytes(b"a photo")
    for name, text in shapes.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        dress, hat = read_catalogue(tmp_path / name).items
        assert (dress.id, dress.title, dress.price, dress.category) == ("1", "Red dress", 49.9, "dress"), name
        assert dress.image == tmp_path / "a.jpg"
        assert (dress.extra["photos"], dress.extra["tags"]) == ("a.jpg b.jpg", "a, b")
        assert hat.image == tmp_path / "c.jpg"
        assert hat.extra["in_stock"] == "False"
        assert hat.extra["size"] == '{"eu": 1, "fit": "slim"}'  # JSON, not Python


def test_of_several_photos_the_first_that_is_there_is_used(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"a photo")
    path = tmp_path / "feed.csv"
    path.write_text("id,title,image\n1,Hat,a.jpg|b.jpg\n2,Cap,a.jpg\n3,Cap,c.jpg;d.jpg\n4,Cap,../b.jpg\n")
    images = [item.image and item.image.name for item in read_catalogue(path).items]
    assert images == ["b.jpg", "a.jpg", "c.jpg", None]


def test_broken_json_costs_what_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "feed.jsonl"
    path.write_text(
        '{"id": 1, "title": "hat"}\n{"id": 2, "title": "cap", "price": ' + "9" * 5000 + "}\n{\n"
        '{"id": 3, "title": "scarf", "price": Infinity}\n[2]\n' + "[" * 100_000 + "\n"
    )  # fmt: skip
    assert items_of(path) == [("1", "hat", None), ("2", "cap", None), ("3", "scarf", None)]
    reasons = [reason for reason, _, _ in told(path)]
    assert [reason.partition(":")[0] for reason in reasons].count("price isn't a number of 0 or more") == 2
    assert reasons.count("bad row: not JSON") == 2
    cut = tmp_path / "feed.json"
    cut.write_text('[{"id": 1, "title": "hat"}, {"id": 2, "ti')
    assert items_of(cut) == [("1", "hat", None)]
    assert told(cut) == [("bad row: not JSON; what comes after it isn't read", 2, '{"id": 2, "ti')]


@pytest.mark.parametrize(
    ("value", "cell"),
    [({"en-GB": "hat", "de": "Hut"}, "hat"), ({"fr": "chapeau"}, "chapeau"), ({"value": 5, "currency": "EUR"}, "5 EUR"),
     ({"url": "a.jpg", "width": 5}, "a.jpg"), ({}, "{}"), ([], []), ([{"src": "a.jpg"}, None, ""], ["a.jpg"]),
     ({"fr": {"x": 1}}, '{"fr": {"x": 1}}'), (True, True), (1.5, 1.5)],
)  # fmt: skip
def test_what_a_nested_value_becomes(value: object, cell: object) -> None:
    assert cell_of(value) == cell


def test_parquet_may_hold_lists(tmp_path: Path) -> None:
    path = tmp_path / "feed.parquet"
    pq.write_table(pa.Table.from_pylist([{"id": 1.0, "title": "hat", "image": ["a.jpg", "b.jpg"]}]), path)
    (item,) = read_catalogue(path).items
    assert (item.id, item.extra["photos"]) == ("1", "a.jpg b.jpg")


def test_control_characters_stay_out_of_titles_and_ids(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_bytes(b"id,title,category\n1,Red\x00 hat\x07,hats\n")
    assert [item[0] for item in items_of(path)] == ["1"]
    path.write_bytes(b"\x00\x01\x02\x00" * 500)
    with pytest.raises(DataError, match=r"no column of ids.{,300}$"):
        items_of(path)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_photo_is_found_whatever_the_form_of_its_name(tmp_path: Path, form: Any) -> None:
    name = unicodedata.normalize("NFD" if form == "NFC" else "NFC", "café crème.jpg")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / name).write_bytes(b"a photo")
    (tmp_path / "feed.csv").write_text(
        f"id,title,category,image\n1,Hat,hats,{unicodedata.normalize(form, 'images/café crème.jpg')}\n"
        f"{unicodedata.normalize(form, 'café crème')},Cap,hats,\n",
        encoding="utf-8",
    )
    images = [item.image for item in read_catalogue(tmp_path / "feed.csv").items]
    assert images == [tmp_path / "images" / name] * 2
    assert all(image is not None and image.is_file() for image in images)


PARTS = (
    "1", "id", "title", ",", ";", "\t", "|", '"', "'", "\n", "\r\n", "\0", "\ufeff", "{", "}", "[", "]", ":", "<item>",
    "</item>", "<g:id>", "</g:id>", "&b;", "<!DOCTYPE", "=", "é", "\u2028", "9" * 400, "Red hat", "hats", "image_link",
    "Handle", "Option1 Name", "Option1 Value", "price", "1 299,00 €", "sku", "product_type", "attribute_set_code",
)  # fmt: skip
PIECES = st.lists(st.one_of(st.sampled_from(PARTS), st.text(max_size=3)), max_size=40)
STARTS = (
    "", "id,title,price,image,item_group_id,color\n", "id\ttitle\timage_link\n", '[{"id": 1},', '{"id": 1}\n',
    "Handle,Title,Option1 Name,Option1 Value\n", "ID,Type,SKU,Name,Published,Regular price,Categories,Images,Parent\n",
    "sku,product_type,attribute_set_code,name\n", "Product ID;Name;Price (tax excl.);Category\n",
    "<rss><channel><item><g:id>1</g:id>",
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from(STARTS), pieces=PIECES, encoding=st.sampled_from(["utf-8", "utf-16", "cp1252"]),
    suffix=st.sampled_from([".csv", ".txt", ".json", ".jsonl", ".xml", ".tsv"]),
)  # fmt: skip
@pytest.mark.slow
def test_whatever_a_file_holds_it_is_read_or_refused(
    tmp_path: Path, start: str, pieces: list[str], encoding: str, suffix: str
) -> None:
    path = tmp_path / f"feed{suffix}"
    path.write_bytes(f"{start}{''.join(pieces)}".encode(encoding, "ignore"))
    with contextlib.suppress(DataError):
        source = read_catalogue(path)
        assert len({item.id for item in source.items}) == len(source.items)


BOMB = """<?xml version="1.0"?>
<!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>
<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:id>1</g:id><g:title>&b;</g:title></item></channel></rss>
"""
FEED = """<rss xmlns:g="http://base.google.com/ns/1.0"><channel>
<item><g:id>1</g:id><g:title>Red hat</g:title><g:image_link>x.jpg</g:image_link></item>
<item><g:id>2</g:id><g:title>Blue"""


def test_xml_reads_no_entities_and_survives_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_text(BOMB)
    with pytest.raises(DataError, match="no row that can be read: XML entities"):
        read_catalogue(path)
    problems = [row for _, row in open_table(path).rows]
    assert len(problems) == 1
    assert isinstance(problems[0], BadRow)
    assert problems[0].reason == REFUSED
    path.write_text(FEED)
    assert items_of(path) == [("1", "Red hat", None)]
    assert [(reason, line) for reason, line, _ in told(path)] == [(CUT, 3)]


@pytest.mark.parametrize("encoding", ["klingon", "euc-kr", "utf-16"])
def test_xml_in_an_encoding_that_it_is_not_in_is_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "feed.xml"
    path.write_text(
        f'<?xml version="1.0" encoding="{encoding}"?>\n<rss><item><id>1</id><title>모자</title></item></rss>'
    )
    assert [row.reason for _, row in open_table(path).rows if isinstance(row, BadRow)] == [CUT]


def test_a_folder_with_a_feed_is_a_catalogue_and_one_with_other_xml_is_not(tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_text(FEED)
    (tmp_path / "readme.txt").write_text("hello")
    assert find_table(tmp_path) == tmp_path / "feed.xml"
    assert recognise(tmp_path) == recognise(tmp_path / "feed.xml") == "catalogue"
    (tmp_path / "feed.xml").write_text("<exif/>")
    assert find_table(tmp_path) is None
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("kind\toutfit\tgood\tbad\nsport\tred shirt\tblue jeans\tgown\n")
    assert recognise(pairs) == "style-pairs"
    pairs.write_text("id\ttitle\timage_link\n1\tRed hat\tx.jpg\n")
    assert recognise(pairs) == "catalogue"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": pa.nulls(3_000_000, pa.string())}, r"has 3,000,000 rows in [\d,]+ bytes, so nearly all are empty"),
        (
            {"id": ["a"], "title": ["x" * 30_000_000]},
            r"column 'title' of .* unpacks to 29 MiB in 1 rows; a row may have 4",
        ),
    ],
)
def test_a_parquet_file_that_unpacks_to_far_more_than_it_is_is_refused(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "shop.parquet", compression="zstd", use_dictionary=False)
    assert (tmp_path / "shop.parquet").stat().st_size < 100_000
    with pytest.raises(DataError, match=message):
        list(open_table(tmp_path / "shop.parquet").rows)


def test_parquet_values_of_many_types(tmp_path: Path) -> None:
    noon = datetime(2024, 5, 1, 12, 30)
    columns = {
        "id": pa.array([2**64 - 1], pa.uint64()),
        "price": pa.array([Decimal("1234567890.10")], pa.decimal128(38, 2)),
        "on sale": pa.array([noon], pa.timestamp("us", tz="Asia/Seoul")),
        "days": pa.array([[noon]], pa.list_(pa.timestamp("ms", tz="UTC"))),
        "made": pa.array([date(2024, 1, 2)]),
        "far": pa.array([10_000_000], pa.int32()).cast(pa.date32()),  # a day that Python's dates don't reach
        "title": pa.array(["hat"]).dictionary_encode(),
        "names": pa.array([[("en", "hat"), ("de", "Hut")]], pa.map_(pa.string(), pa.string())),
        "offer": pa.array([{"amount": 8.403, "currency": "EUR"}]),
        "none": pa.nulls(1),
    }
    pq.write_table(pa.table(columns), tmp_path / "a [1]*.parquet")
    (row,) = (row for _, row in open_table(tmp_path / "a [1]*.parquet").rows)
    assert row == {
        "id": 2**64 - 1, "price": Decimal("1234567890.10"), "on sale": "2024-05-01 12:30:00+00",
        "days": ["2024-05-01 12:30:00+00"], "made": date(2024, 1, 2), "far": "29349-01-26", "title": "hat",
        "names": "hat", "offer": "8.4030 EUR",
    }  # fmt: skip


def test_a_parquet_file_with_wrong_letters_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["1"], "title": ["Hermes"]}), tmp_path / "shop.parquet", compression="none")
    content = (tmp_path / "shop.parquet").read_bytes()
    (tmp_path / "shop.parquet").write_bytes(content.replace(b"Hermes", b"Herm\xe8s"))
    with pytest.raises(DataError, match=r"shop\.parquet can't be read as a Parquet file: Invalid string encoding"):
        list(open_table(tmp_path / "shop.parquet").rows)


def test_a_file_that_ends_within_a_letter_stays_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "cut.csv"
    path.write_bytes("id,title\n1,Hermès\n2,Chlo".encode() + b"\xc3")
    assert find_encoding(path) == "utf-8"
    assert [row["title"] for _, row in read_table(path).rows] == ["Hermès", "Chlo\ufffd"]


def test_amounts_in_json_keep_their_point(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"id": "1", "title": "red hat", "price": {"amount": 8.403, "currency": "EUR"}}\n')
    assert [item.price for item in read_catalogue(path).items] == [8.403]


def test_a_feed_of_which_no_row_can_be_read_says_why(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_text('<!DOCTYPE a [<!ENTITY x "hat">]><rss><item><id>1</id><title>&x;</title></item></rss>')
    with pytest.raises(DataError, match=f"no row that can be read: {REFUSED} .line 1.; export it again"):
        read_catalogue(path)


def test_a_product_with_very_many_elements_of_a_name_takes_time_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_text(f"<rss><item><id>1</id><title>hat</title>{'<x>a</x>' * 300_000}</item></rss>")
    begun = time.process_time()
    ((_, row),) = open_table(path).rows
    assert isinstance(row, dict)
    assert len(row["x"]) == 300_000
    assert time.process_time() - begun < 20  # a copy of the list for each took minutes


@pytest.mark.parametrize(("price", "amount", "regular"), [
    ({"old": 30, "new": 20}, 20.0, "30"), ({"was": "30,00 €", "now": "19,90 €"}, 19.9, "30,00 €"),
    ({"regular": 8.403, "sale": 7.5, "currency": "EUR"}, 7.5, "8.4030 EUR"), ({"old": 30, "new": 35}, 35.0, "30"),
    ({"Original": 30, "Current": None}, 30.0, None), ({"old": 30, "new": "2 for 30"}, None, "30"),
    ({"old": 30, "new": 20, "usd": 22}, None, None), ({"old": None, "new": None}, None, None),
])  # fmt: skip
def test_a_price_before_and_after_a_change(
    tmp_path: Path, price: dict[str, object], amount: float | None, regular: str | None
) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({"id": "1", "title": "red hat", "Price": price}), encoding="utf-8")
    source = read_catalogue(path)
    (item,) = source.items
    assert (item.price, item.extra.get("regular_price")) == (amount, regular)
    assert bool(source.problems) == (amount is None and None not in price.values())
