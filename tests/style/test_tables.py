"""The tables of colours, patterns, materials and words agree with the vocabulary, the lexicon and themselves."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from coordi.encoders.labels import load_vocabulary
from coordi.errors import DataError
from coordi.style.lexicon import default_lexicon
from coordi.style.words import StyleTables, style_tables

FOLDER = Path(__file__).parents[2] / "src" / "coordi" / "style" / "tables"
KEYS = {"colours": "colour", "patterns": "pattern", "materials": "material", "words": ""}
FAMILIES = {"black", "white", "grey", "brown", "blue", "green", "yellow", "orange", "red", "pink", "purple", "metallic",
            "multicolour"}  # fmt: skip


def rows_of(table: str) -> list[dict[str, str]]:
    with (FOLDER / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def parts(cell: str) -> list[str]:
    return [part for part in cell.split("|") if part]


def keys(table: str) -> list[str]:
    return [parts(row["words"])[0] if table == "words" else row[KEYS[table]] for row in rows_of(table)]


@pytest.mark.parametrize("table", KEYS)
def test_a_word_has_one_meaning_in_a_table(table: str) -> None:
    named = keys(table) if table != "words" else []
    words = named + [word for row in rows_of(table) for word in parts(row["words"])]
    assert [word for word, count in Counter(words).items() if count > 1] == []
    assert [word for word in words if not re.fullmatch("[a-z]+( [a-z]+)*", word)] == []


@pytest.mark.parametrize("attribute", ["colour", "pattern", "material"])
def test_every_label_of_the_vocabulary_has_its_row(attribute: str) -> None:
    labels = {entry.text for entry in load_vocabulary("fashion").attributes[attribute].labels}
    table = f"{attribute}s"
    assert labels - set(keys(table)) == set()
    if attribute == "colour":
        assert set(keys(table)) == labels


@pytest.mark.parametrize(("table", "column"), [("colours", "clashes"), ("patterns", "mixes")])
def test_what_clashes_and_what_mixes_is_mutual_and_in_the_table(table: str, column: str) -> None:
    others = {row[KEYS[table]]: set(parts(row[column])) for row in rows_of(table)}
    assert {name for names in others.values() for name in names} - set(others) == set()
    assert [(a, b) for a, names in others.items() for b in names if a not in others[b]] == []


def test_a_colour_does_not_clash_with_what_goes_with_all() -> None:
    rows = {row["colour"]: row for row in rows_of("colours")}
    assert {row["family"] for row in rows.values()} == FAMILIES
    assert {row["neutral"] for row in rows.values()} == {"yes", ""}
    both = {tuple(sorted((name, other))) for name, row in rows.items() for other in parts(row["clashes"])
            if row["neutral"] and rows[other]["neutral"]}  # fmt: skip
    assert both == {("gold", "silver")}


def test_every_material_of_a_kind_is_known() -> None:
    words = {word for row in rows_of("materials") for word in (row["material"], *parts(row["words"]))}
    assert {name for kind in default_lexicon().kinds.values() for name in kind.materials} - words == set()


def test_values_are_of_their_scales() -> None:
    assert {row["boldness"] for row in rows_of("patterns")} == {"0", "1", "2", "3"}
    assert {row["dressy"] for row in rows_of("materials")} == {"-2", "-1", "", "1", "2"}
    rows = rows_of("words")
    assert [row for row in rows if not re.fullmatch("([0-6]-[0-6])?", row["formality"])] == []
    assert [row for row in rows if row["formality"] and row["formality"][0] > row["formality"][2]] == []
    assert {row["warmth"] for row in (*rows, *rows_of("materials"))} == {"", "0", "1", "2", "3", "4"}
    assert {name for row in rows for name in parts(row["seasons"])} == {"spring", "summer", "autumn", "winter"}
    assert {name for row in rows for name in parts(row["for"])} == {
        "women", "men", "girls", "boys", "children", "baby", "female", "male"
    }  # fmt: skip
    assert [row for row in rows if not any(row[column] for column in row if column != "words")] == []


def test_purposes_of_words_are_purposes_of_kinds() -> None:
    purposes = {name for kind in default_lexicon().kinds.values() for name in kind.purposes}
    assert {name for row in rows_of("words") for name in parts(row["purposes"])} - purposes == {"party"}


def own_tables(folder: Path, table: str, old: str, new: str) -> Path:
    """A copy of the tables with one change."""
    for path in FOLDER.glob("*.csv"):
        text = path.read_text(encoding="utf-8")
        if path.stem == table:
            assert text.count(old) == 1
            text = text.replace(old, new)
        (folder / path.name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("table", "old", "new", "problem"),
    [
        ("colours", "beige,brown,yes,,", "beige,brown,yes,puce,", "'beige' the unknown 'puce'"),
        ("colours", "jet black|", "snow white|", "'snow white' to 'black' and 'white'"),
        ("colours", "beige,brown,yes,", "beige,brown,maybe,", "line 2 .*neutral 'maybe'; accepted are nothing, yes"),
        ("patterns", "argyle,2,cable knit|", "argyle,2,toile de jouy|", "'argyle' the unknown 'toile de jouy'"),
        ("patterns", "abstract,2,", "abstract,4,", "line 2 .*boldness '4'; accepted are 0, 1, 2, 3"),
        ("materials", "acetate,1,,", "acetate,3,,", "line 2 .*dressy '3'"),
        ("materials", "acetate,1,,", "acetate,1,5,", "line 2 .*warmth '5'"),
        ("words", "laid back|weekend|", "laid back|boho|", "'boho' to 'casual' and 'bohemian'"),
        (
            "words",
            "formal wear|formalwear|semi formal|office formal,3-5",
            "formal wear,5-3",
            "line 2 .*formality '5-3'",
        ),
    ],
)
def test_a_table_with_an_error_is_refused(table: str, old: str, new: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=problem):
        StyleTables.load(own_tables(tmp_path, table, old, new))


def test_the_tables_that_come_with_coordi_are_read_whole() -> None:
    tables = style_tables()
    assert [*tables.colours] == keys("colours")
    assert [*tables.patterns] == keys("patterns")
    assert [*tables.materials] == keys("materials")
    assert [*tables.describing] == keys("words")
    assert tables.colours["gold"].clashes == ("silver",)
    assert tables.describing["beach"].seasons == ("summer",)
