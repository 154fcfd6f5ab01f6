"""``coordi catalogue``: built, looked at, searched and changed from the command line; errors are one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from coordi.cli.main import build_app
from coordi.errors import CoordiError

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A catalogue of two skirts with photos and boots without, of whose five rows two can't go in."""
    shop = tmp_path / "shop"
    shop.mkdir()
    rows = ["id,title,category,image,price,brand,gender,season"]
    for name, colour in (("a", "red"), ("b", "blue")):
        image = Image.new("RGB", (120, 160), "white")
        ImageDraw.Draw(image).polygon([(40, 20), (80, 20), (100, 150), (20, 150)], fill=colour)
        image.save(shop / f"{name}.jpg")
        rows.append(f"{name},{colour} skirt,skirts,{name}.jpg,{20 if name == 'a' else 'cheap'},Kim,Women,Summer")
    rows += ["c,black boots,boots,,90,Lee,Men,Winter", ",no id,boots,,,,,", "c,twin,boots,,,,,"]
    (shop / "items.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    out = tmp_path / "made"
    run("build", shop, "--out", out)
    return out


def run(*arguments: str | Path) -> str:
    result = RUNNER.invoke(build_app(), ["catalogue", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def told(*arguments: str | Path) -> Any:
    return json.loads(run(*arguments, "--json"))


@pytest.mark.slow
def test_building_says_what_was_left_out_and_where(made: Path) -> None:
    done = RUNNER.invoke(build_app(), ["catalogue", "build", str(made.parent / "shop"), "--out", str(made)])
    assert done.stdout == f"0 added, 0 changed, 0 removed, 3 unchanged: 3 items in {made}\n"
    said = " ".join(done.stderr.split())
    assert "catalogue: 3 items" in said
    assert "left out 1: duplicate id, the first is kept (line 6 'other title, price, columns')" in said
    assert "left out 1: bad row: no id (line 5)" in said
    assert "noted 1: price isn't a number of 0 or more: kept without a price (line 3 'cheap')" in said
    assert f"all 4 problems, a line each: {made / 'problems.jsonl'}" in said
    assert len((made / "problems.jsonl").read_text().splitlines()) == 4


@pytest.mark.slow
def test_what_cannot_be_told_is_told_how_to_be(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text("id,title\na,White shirt\nb,Gizmo\n", encoding="utf-8")
    arguments = ["catalogue", "build", str(tmp_path / "shop.csv"), "--out", str(tmp_path / "c")]
    done = RUNNER.invoke(build_app(), arguments)
    said = " ".join(done.stderr.split())
    assert "left out 1: neither its words nor a photo tell its category (line 3 'Gizmo') say what it is in" in said
    assert "the problem, a line each: " in said
    assert "0/0" not in said  # there are no photos


def test_building_as_json_counts(made: Path, tmp_path: Path) -> None:
    found = told("build", made.parent / "shop", "--out", tmp_path / "again")
    assert found == {
        "items": 3, "added": 3, "changed": 0, "removed": 0, "unchanged": 0, "encoded": 0,
        "left_out": {"bad row: no id": 1, "duplicate id, the first is kept": 1},
        "noted": {"price isn't a number of 0 or more: kept without a price": 1,
                  "no photo named: kept for its title": 1},
        "recognised": "catalogue: 3 items",
    }  # fmt: skip


def test_info_tells_what_is_in_it(made: Path) -> None:
    found = told("info", made)
    assert (found["items"], found["with_photo"]) == (3, 2)
    assert found["categories"] == {"bottom": 2, "shoes": 1}
    assert found["price_range"] == [20.0, 90.0]
    assert found["brands"] == ["Kim", "Lee"]
    assert found["encoder"]["name"] == "edge"
    assert found["bytes"] == (made / "items.duckdb").stat().st_size
    text = run("info", made)
    assert "3 items, 2 with a photo" in text
    assert "prices      20.00 to 90.00" in text


def test_info_writes_a_page_to_look_at(made: Path, tmp_path: Path) -> None:
    run("info", made, "--html", tmp_path / "catalogue.html")
    page = (tmp_path / "catalogue.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 2
    assert "<b>1</b> duplicate id, the first is kept" in page
    assert "line 5" in page


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (["skirt"], ["a", "b"]), (["red", "SKI"], ["a"]), ([], ["a", "b", "c"]), (["sofa"], []),
        (["--brand", "kim", "--colour", "blue"], ["b"]), (["--max-price", "50"], ["a"]),
        (["--want", "Shoes", "--want", "bag"], ["c"]), (["--gender", "men"], ["c"]),
        (["skirt", "--season", "summer", "-k", "1"], ["a"]),
    ],
)  # fmt: skip
def test_search_finds_by_words_and_rules(made: Path, arguments: list[str], ids: list[str]) -> None:
    assert [one["id"] for one in told("search", made, *arguments)["items"]] == ids
    assert all(name in run("search", made, *arguments) for name in (ids or ["no item fits"]))


def test_search_by_a_photo_gives_cosines(made: Path) -> None:
    found = told("search", made, "--photo", made.parent / "shop" / "b.jpg")
    assert [one["id"] for one in found["items"]] == ["b", "a"]
    assert found["items"][0]["cosine"] == pytest.approx(1, abs=1e-5)
    assert found["items"][0]["cosine"] > found["items"][1]["cosine"]
    assert "cosine" in run("search", made, "--photo", made.parent / "shop" / "b.jpg")


@pytest.mark.slow
def test_changes_are_counted(made: Path) -> None:
    more = made.parent / "more.jsonl"
    more.write_text('{"id": "d", "title": "Wool hat", "category": "hats"}\n', encoding="utf-8")
    assert told("add", made, more)["added"] == 1
    assert told("remove", made, "d", "a")["removed"] == 2
    assert run("refresh", made).startswith("1 added, 0 changed, 0 removed, 2 unchanged: 3 items")


FEEDS = Path(__file__).parents[1] / "data" / "feeds"


@pytest.mark.slow
def test_an_export_becomes_a_catalogue_and_one_line_says_of_what(tmp_path: Path) -> None:
    out = tmp_path / "catalogue"
    done = RUNNER.invoke(build_app(), ["catalogue", "build", str(FEEDS / "shopify.csv"), "--out", str(out)])
    assert "Shopify product export: 3 products, 7 variants, grouped by colour\n" in done.stderr
    assert done.stdout.startswith("4 added, 0 changed")
    found = {entry["id"]: entry for entry in told("search", out, "--in-stock")["items"]}
    assert set(found) == {"linen-shirt/White", "straw-hat", "kids-sandals"}
    assert (found["linen-shirt/White"]["colours"], found["linen-shirt/White"]["gender"]) == (["white"], "men")
    assert found["kids-sandals"]["gender"] == "children"


@pytest.mark.slow
def test_columns_that_were_named_are_remembered_by_a_refresh(tmp_path: Path) -> None:
    table, out = tmp_path / "export.csv", tmp_path / "catalogue"
    table.write_bytes("Ref:Label:Montant:Prix\n1:Robe rouge dress:5 €:3,20 €\n".encode("cp1252"))
    roles = tmp_path / "columns.yaml"
    roles.write_text("id: Ref\ntitle: Label\nprice: Montant\n")
    run("build", table, "--out", out, "--columns", roles, "--delimiter", ":", "--column", "price=Prix")
    assert told("search", out)["items"][0]["price"] == 3.2
    table.write_bytes("Ref:Label:Montant:Prix\n1:Robe rouge dress:5 €:3,50 €\n".encode("cp1252"))
    assert told("refresh", out)["changed"] == 1
    assert told("search", out)["items"][0]["price"] == 3.5
    assert told("refresh", out, "--delimiter", ":", "--columns", roles)["changed"] == 1
    assert told("search", out)["items"][0]["price"] == 5.0
    assert told("refresh", out)["unchanged"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--column", "price"], "'price' names no column: write ROLE=NAME"),
        (["--column", "cost=Price"], "the options of the table: columns.cost.*'id', 'title'"),
        (["--column", "price=Prix"], "has no column 'Prix'; its columns are id, title, category, image, price"),
        (["--columns", "{tmp}/nowhere.yaml"], "nowhere.yaml can't be read: No such file"),
        (["--columns", "{tmp}/shop/items.csv"], "doesn't map roles to columns; write lines such as"),
        (["--delimiter", "comma or so"], "the options of the table: delimiter"),
        (["--delimiter", '"'], "the options of the table: delimiter"),
        (["--quote", ";"], "the options of the table: quote"),
        (["--currency", "dollars"], "the options of the table: currency"),
        (["--format", "excel"], "the options of the table: format.*'shopify'"),
        (["--encoding", "klingon"], "the encoding 'klingon' isn't known"),
    ],
)
def test_options_of_a_table_are_checked(made: Path, arguments: list[str], message: str) -> None:
    filled = [part.format(tmp=made.parent) for part in arguments]
    with pytest.raises(CoordiError, match=message) as caught:
        RUNNER.invoke(
            build_app(), ["catalogue", "build", str(made.parent / "shop"), "--out", str(made), *filled],
            catch_exceptions=False,
        )  # fmt: skip
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "{tmp}/nowhere"], "there is no catalogue at .*nowhere; make one: coordi catalogue build"),
        (["info", "{tmp}/shop"], "isn't a catalogue: it has no manifest.json and no catalogue.json and no items"),
        (["search", "{made}", "--want", "sofa"], "no category 'sofa': accepted are top, bottom"),
        (["search", "{made}", "--gender", "cats"], "no gender 'cats': accepted are women"),
        (["search", "{made}", "--min-price", "9", "--max-price", "1"], "price_min 9 is above price_max 1; swap"),
        (["search", "{made}", "x", "--photo", "y.jpg"], "give words or --photo, not both"),
        (["search", "{made}", "--photo", "{tmp}/none.jpg"], "none.jpg"),
        (["remove", "{made}", "aa"], "no item 'aa' .* nearest ids are 'a', 'b', 'c'"),
        (["build", "{tmp}/nowhere", "--out", "{tmp}/new"], "there is no file or folder at .*nowhere; accepted are"),
        (["build", "{tmp}/shop", "--out", "{tmp}/new", "--model", "nowhere"], "no model at 'nowhere'"),
        (["refresh", "{made}", "{tmp}/nowhere"], "there is no file or folder at .*nowhere"),
    ],
)  # fmt: skip
def test_errors_say_what_and_what_to_do(made: Path, arguments: list[str], message: str) -> None:
    filled = [part.format(tmp=made.parent, made=made) for part in arguments]
    with pytest.raises(CoordiError, match=message) as caught:
        RUNNER.invoke(build_app(), ["catalogue", *filled], catch_exceptions=False)
    assert "\n" not in str(caught.value)
