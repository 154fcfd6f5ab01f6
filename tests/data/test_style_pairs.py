"""Tables of style pairs: what becomes of a row, and what is said of rows that are no pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordi.config import DataSettings
from coordi.data.loading import load, read_dataset, write_dataset
from coordi.data.style_pairs import STYLE_PAIRS, kind_of_pair
from coordi.errors import DataError
from coordi.types import Dataset

HEADER = "kind\toutfit\tgood\tbad\n"


def written(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "pairs.tsv"
    path.write_text(header + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path, seed: int = 1) -> Dataset:
    return load(path, DataSettings(), seed)


def test_a_row_is_a_question_with_two_candidates(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "season\tnavy wool coat; Blue jeans\tblack ankle boots\twhite flip-flops",
        "colour\tblue jeans ; navy wool coat\tgrey beanie\tneon wibble",
    )
    dataset = read(path)
    (pairs,) = dataset.released
    first, second = pairs.blanks
    words = {name: item.title for name, item in dataset.items.items()}
    assert (dataset.layout, dataset.outfits, pairs.name, pairs.split) == (STYLE_PAIRS, (), "style-pairs", "test")
    assert [kind_of_pair(question) for question in pairs.blanks] == ["season", "colour"]
    assert {words[name] for name in first.item_ids} == {"navy wool coat", "Blue jeans"}
    assert words[first.candidates[first.answer]] == "black ankle boots"
    assert words[first.candidates[1 - first.answer]] == "white flip-flops"
    assert first.outfit_id == second.outfit_id  # the same items are one outfit
    assert [item.category for item in dataset.items.values()][:4] == ["outerwear", "bottom", "shoes", "shoes"]
    assert next(item for item in dataset.items.values() if item.title == "neon wibble").category is None
    write_dataset(tmp_path / "data", dataset)
    assert read_dataset(tmp_path / "data") == dataset


def test_the_good_one_is_at_either_place(tmp_path: Path) -> None:
    path = written(tmp_path, *(f"colour\tblack dress\tred shoes {n}\tpink shoes {n}" for n in range(40)))
    answers = [question.answer for question in read(path).released[0].blanks]
    assert 8 < sum(answers) < 32
    assert answers != [question.answer for question in read(path, seed=2).released[0].blanks]


def test_a_pair_of_what_nobody_wears_is_counted_and_not_asked(tmp_path: Path) -> None:
    dataset = read(written(tmp_path, "style\tshirt\tjeans\tsofa", "style\tshirt\tjeans\tbikini"))
    (pairs,) = dataset.released
    assert len(pairs.blanks) == 1
    assert (pairs.blanks_file.count, dict(pairs.blanks_file.losses)) == (
        2, {"an item in it names nothing that is worn": 1},
    )  # fmt: skip
    with pytest.raises(DataError, match="has 1 pairs, none of which can be asked"):
        read(written(tmp_path, "style\tshirt\tjeans\tsofa"))


def test_every_row_that_is_no_pair_is_listed_by_its_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "season\tcoat\tboots\tsandals",
        "weather\tcoat\tboots\tsandals",
        "season\tcoat\tBoots\tboots",
        "season\t ; \tboots\t",
        "season\tcoat\tboots\tsandals\tmore",
    )
    with pytest.raises(DataError) as raised:
        read(path)
    message = str(raised.value)
    assert "line 3 is of the kind 'weather' (accepted are formality, sport," in message
    assert "line 4 has 'Boots' as good and as bad" in message
    assert "line 5 has no outfit, bad" in message
    assert "line 2 " not in message


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "kind\toutfit\tgood\n",
            "has no column bad; a table of style pairs has the tab-separated columns kind, outfit",
        ),
        ("kind,outfit,good,bad\n", "has no column kind, outfit, good, bad"),
        ("", "has no column"),
        (HEADER, "has no pair below its header"),
    ],
)
def test_a_file_that_is_no_table_of_pairs(tmp_path: Path, header: str, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        read(written(tmp_path, header=header))


def test_it_is_no_catalogue(tmp_path: Path) -> None:
    from coordi.data.loading import read_source

    with pytest.raises(DataError, match="a table of style pairs, which only coordi evaluate takes"):
        read_source(written(tmp_path), DataSettings())
