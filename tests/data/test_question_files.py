from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordi.data.polyvore import read_blanks_file, read_compatibility_file
from coordi.data.source import UNKNOWN_ANSWER
from coordi.errors import DataError
from coordi.types import CompatibilityQuestion, FitbQuestion


def _groups(folder: Path, text: str) -> list[str]:
    (folder / "questions.txt").write_text(text)
    return [one.outfit_id for one in read_compatibility_file(folder / "questions.txt", {})]


def test_names_become_item_ids_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("1 7_1 7_2\n\n0 8_1 9_4 \n")
    found = read_compatibility_file(tmp_path / "q.txt", {"7_1": "a", "7_2": "b", "9_4": "a"})
    assert found == (
        CompatibilityQuestion("", "7", ("a", "b"), True),
        CompatibilityQuestion("", "7", ("8_1", "a"), False),
    )


def test_a_negative_that_follows_a_positive_is_of_its_group(tmp_path: Path) -> None:
    pairs = [(f"1 {n}_1 {n}_2\n", f"0 {n + 50}_1 {n + 60}_2\n") for n in range(1, 11)]
    expected = [str(n) for n in range(1, 11) for _ in "10"]
    assert _groups(tmp_path, "".join(positive + negative for positive, negative in pairs)) == expected
    one_short = "".join(positive + negative * (place != 4) for place, (positive, negative) in enumerate(pairs))
    assert _groups(tmp_path, one_short) == [*expected[:9], *expected[10:]]


def test_few_negatives_among_many_positives_are_nobodys(tmp_path: Path) -> None:
    """They stand apart by chance, which says nothing of the positives before them."""
    assert _groups(tmp_path, "1 1_1 1_2\n0 8_1 9_2\n1 2_1 2_2\n1 3_1 3_2\n0 6_1 7_2 7_3\n") == [
        "1", "line-2", "2", "3", "line-5",
    ]  # fmt: skip


def test_negatives_after_all_positives_go_one_for_one_if_their_sizes_do(tmp_path: Path) -> None:
    positives = "1 1_1 1_2\n1 2_1 2_2 2_3\n"
    assert _groups(tmp_path, positives + "0 8_1 9_2\n0 7_1 8_1 9_1\n") == ["1", "2", "1", "2"]
    assert _groups(tmp_path, positives + "0 7_1 8_1 9_1\n0 8_1 9_2\n") == ["1", "2", "line-3", "line-4"]
    assert _groups(tmp_path, positives + "0 8_1 9_2\n0 7_1 8_1 9_1\n0 5_1 6_1\n")[2:] == ["line-3", "line-4", "line-5"]


def test_a_positive_of_several_sets_is_a_group_of_its_own(tmp_path: Path) -> None:
    assert _groups(tmp_path, "1 1_1 2_2\n0 8_1 9_2\n") == ["line-1", "line-1"]


@pytest.mark.parametrize("line", ["2 1_1 1_2", "1", "0 1_1 pumps", "yes 1_1 1_2", "1 1_1,1_2"])
def test_a_line_that_isnt_a_question_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match=rf"questions\.txt, line 3 isn't a question: '{line}'; expected 1 or 0"):
        _groups(tmp_path, f"1 1_1 1_2\n\n{line}\n")


def _blanks(folder: Path, *entries: Any) -> tuple[FitbQuestion, ...]:
    (folder / "blanks.json").write_text(json.dumps(entries))
    return read_blanks_file(folder / "blanks.json", {"5_1": "a", "5_2": "b", "6_1": "c"})


def test_the_right_answer_is_the_one_of_the_set_wherever_it_stands(tmp_path: Path) -> None:
    first, later = _blanks(
        tmp_path,
        {"question": ["5_1"], "answers": ["5_2", "6_1"], "blank_position": 2},
        {"question": ["5_1", "5_2"], "answers": ["6_1", "7_1", "5_3"]},
    )
    (several,) = _blanks(tmp_path, {"question": ["5_1"], "answers": ["5_4", "5_3", "7_1"], "blank_position": 3})
    assert several.answer == 1
    assert first == FitbQuestion("", "5", ("a",), ("b", "c"), 0)
    assert later == FitbQuestion("", "5", ("a", "b"), ("c", "7_1", "5_3"), 2)


def test_one_answer_is_no_choice(tmp_path: Path) -> None:
    said = r"blanks\.json, entry 2 leaves nothing to choose: its 'answers' is \['5_2'\]; expected two names or more"
    with pytest.raises(DataError, match=said):
        _blanks(tmp_path, {"question": ["5_1"], "answers": ["5_2", "6_1"]}, {"question": ["5_1"], "answers": ["5_2"]})


def test_an_answer_that_cant_be_told_is_none(tmp_path: Path) -> None:
    nobody, two, mixed = _blanks(
        tmp_path,
        {"question": ["5_1"], "answers": ["6_1", "7_1"]},
        {"question": ["5_1"], "answers": ["5_2", "5_3"]},
        {"question": ["5_1", "6_1"], "answers": ["5_2", "7_1"]},
    )
    assert (nobody.answer, two.answer, mixed.answer) == (UNKNOWN_ANSWER, UNKNOWN_ANSWER, UNKNOWN_ANSWER)
    assert (nobody.outfit_id, mixed.outfit_id) == ("5", "entry-3")


@pytest.mark.parametrize(
    ("entry", "said"),
    [("x", "its 'question' is None"), ({"question": ["5_1"]}, "its 'answers' is None"),
     ({"question": [], "answers": ["5_1"]}, r"its 'question' is \[\]"),
     ({"question": ["5_1"], "answers": ["pumps"]}, r"its 'answers' is \['pumps'\]")],
)  # fmt: skip
def test_an_entry_that_isnt_a_question_is_named(tmp_path: Path, entry: Any, said: str) -> None:
    with pytest.raises(DataError, match=rf"blanks\.json, entry 2 isn't a question: {said}"):
        _blanks(tmp_path, {"question": ["5_1"], "answers": ["5_2", "6_1"]}, entry)


def test_broken_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "blanks.json").write_text('{"question": []}')
    with pytest.raises(DataError, match=r"blanks\.json must hold a list of questions, got dict"):
        read_blanks_file(tmp_path / "blanks.json", {})
    (tmp_path / "blanks.json").write_text("[{]")
    with pytest.raises(DataError, match=r"blanks\.json isn't JSON: .* line 1, column 3"):
        read_blanks_file(tmp_path / "blanks.json", {})
    (tmp_path / "q.txt").write_bytes(b"1 1_1 \xff")
    with pytest.raises(DataError, match=r"q\.txt isn't UTF-8"):
        read_compatibility_file(tmp_path / "q.txt", {})


def test_the_real_files_let_every_group_be_known(real_data: Path) -> None:
    """Maryland: each negative follows its positive. Polyvore Outfits: 5,000 positives, then as many negatives."""
    maryland = real_data / "polyvore-maryland"
    for name in ("", "_RESAMPLED"):
        found = read_compatibility_file(maryland / f"fashion_compatibility_prediction{name}.txt", {})
        assert all(one.outfit_id.isdigit() for one in found)
        assert all(one.outfit_id == one.item_ids[0].split("_")[0] for one in found if one.compatible)
    blanks = read_blanks_file(maryland / "fill_in_blank_test.json", {})
    assert {one.answer for one in blanks} == {0}
    others = read_compatibility_file(real_data / "polyvore-outfits" / "nondisjoint" / "compatibility_valid.txt", {})
    assert [one.outfit_id for one in others[:5000]] == [one.outfit_id for one in others[5000:]]
