"""Questions go out without their answers; scores that come back fit their questions, or the fault is named."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coordi.config import EvaluateSettings
from coordi.errors import DataError, EvaluationError
from coordi.evaluation.external import ExternalScores, exported_id, write_questions_to_score
from coordi.evaluation.question_sets import ProtocolQuestions, draw_questions
from coordi.types import Dataset

SETTINGS = EvaluateSettings(retrieval_pool=5)

Rows = list[list[str]]
Change = Callable[[Rows], Rows]


@pytest.fixture
def parts(wardrobe: Dataset) -> tuple[ProtocolQuestions, ...]:
    return draw_questions(wardrobe, SETTINGS, 17)


@pytest.fixture
def handed_out(tmp_path: Path, wardrobe: Dataset, parts: tuple[ProtocolQuestions, ...]) -> Path:
    write_questions_to_score(tmp_path / "out", parts, wardrobe)
    return tmp_path / "out"


@pytest.fixture
def filled_in(handed_out: Path, tmp_path: Path) -> Callable[..., Path]:
    """The template with the numbers 0, 1, 2, ... for scores, after a change to its rows."""

    def write(change: Change = lambda rows: rows, name: str = "my-model.csv") -> Path:
        rows = table_of(handed_out)
        rows = change([[question, candidate, str(number)] for number, (question, candidate, _) in enumerate(rows)])
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["question_id", "candidate", "score"], *rows])
        return path

    return write


def table_of(folder: Path) -> Rows:
    with (folder / "scores-template.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["question_id", "candidate", "score"]
    return rows


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()]


def by_name(parts: Sequence[ProtocolQuestions], protocol: str) -> ProtocolQuestions:
    return next(part for part in parts if part.protocol == protocol)


def test_every_question_goes_out_once_with_a_row_per_score(
    handed_out: Path, parts: tuple[ProtocolQuestions, ...], wardrobe: Dataset
) -> None:
    lines, rows = lines_of(handed_out), table_of(handed_out)
    total = sum(len(part.valid) + len(part.test) + len(part.blanks) + len(part.retrieval) for part in parts)
    assert len(lines) == len({line["question_id"] for line in lines}) == total
    assert len(rows) == len({tuple(row) for row in rows})
    wanted = [(line["question_id"], str(n)) for line in lines for n in range(len(line["candidates"]))]
    wanted += [(line["question_id"], "") for line in lines if not line["candidates"]]
    assert sorted(wanted) == sorted((question, candidate) for question, candidate, _ in rows)
    assert {score for _, _, score in rows} == {""}
    blank = by_name(parts, "random").blanks[3]
    line = next(line for line in lines if line["question_id"] == exported_id(blank))
    assert (line["task"], line["protocol"], line["split"]) == ("fill_in_the_blank", "random", "test")
    assert tuple(item["id"] for item in line["items"]) == blank.item_ids
    assert tuple(item["id"] for item in line["candidates"]) == blank.candidates
    item = wardrobe.items[blank.item_ids[0]]
    assert line["items"][0] == {
        "id": item.id, "title": item.title, "category": item.category, "text": item.text, "image": None,
    }  # fmt: skip


def test_no_answer_and_no_outfit_goes_out(tmp_path: Path, wardrobe: Dataset) -> None:
    """Had a file anything of the truth in it, questions with all answers turned round would be written otherwise."""
    parts = draw_questions(wardrobe, SETTINGS, 17)
    turned = [
        replace(
            part,
            valid=tuple(replace(one, compatible=not one.compatible, outfit_id="x") for one in part.valid),
            test=tuple(replace(one, compatible=not one.compatible, outfit_id="x") for one in part.test),
            blanks=tuple(replace(one, answer=(one.answer + 1) % 4, outfit_id="x") for one in part.blanks),
            retrieval=tuple(replace(one, answer=(one.answer + 1) % 5, outfit_id="x") for one in part.retrieval),
        )
        for part in parts
    ]
    write_questions_to_score(tmp_path / "true", parts, wardrobe)
    write_questions_to_score(tmp_path / "turned", turned, wardrobe)
    for name in ("questions.jsonl", "scores-template.csv", "how-to-score.md"):
        assert (tmp_path / "true" / name).read_bytes() == (tmp_path / "turned" / name).read_bytes()


def test_scores_come_back_in_the_order_of_the_questions(
    filled_in: Callable[..., Path], handed_out: Path, parts: tuple[ProtocolQuestions, ...]
) -> None:
    number = {(row[0], row[1]): float(place) for place, row in enumerate(table_of(handed_out))}
    external = ExternalScores.read(filled_in(lambda rows: rows[::-1]))
    external.check(parts)
    assert external.name == "my-model"
    for part in parts:
        raw = external.scores(part)
        assert raw is not None
        for scores, questions in ((raw.valid, part.valid), (raw.test, part.test)):
            assert scores.tolist() == [number[exported_id(one), ""] for one in questions]
        for table, asked in ((raw.blanks, part.blanks), (raw.retrieval, part.retrieval)):
            assert table.tolist() == [
                [number[exported_id(one), str(place)] for place in range(len(one.candidates))] for one in asked
            ]
            assert table.ndim == 2
            assert table.dtype == np.float64


def test_a_task_may_be_left_out_whole(filled_in: Callable[..., Path], parts: tuple[ProtocolQuestions, ...]) -> None:
    external = ExternalScores.read(filled_in(lambda rows: [row for row in rows if "-random-blank-" in row[0]]))
    external.check(parts)
    raw = external.scores(by_name(parts, "random"))
    assert raw is not None
    assert (raw.valid.shape, raw.test.shape, raw.blanks.shape, raw.retrieval.shape) == ((0,), (0,), (12, 4), (0, 0))
    assert external.scores(by_name(parts, "pairs")) is None


def test_validation_questions_that_two_protocols_share_do_not_ask_for_both(
    filled_in: Callable[..., Path], parts: tuple[ProtocolQuestions, ...], tmp_path: Path, wardrobe: Dataset
) -> None:
    """A release without validation questions takes those that are drawn."""
    drawn = by_name(parts, "random")
    release = replace(drawn, protocol="release", test=by_name(parts, "pairs").test, blanks=())
    both = [drawn, release]
    write_questions_to_score(tmp_path / "both", both, wardrobe)
    assert len(lines_of(tmp_path / "both")) == len(drawn.valid) + 2 * len(drawn.test) + len(drawn.blanks)
    external = ExternalScores.read(filled_in(lambda rows: [row for row in rows if "-random-" in row[0]]))
    external.check(both)
    assert external.scores(release) is None
    only_valid = ExternalScores.read(filled_in(lambda rows: [row for row in rows if "valid-random" in row[0]]))
    with pytest.raises(EvaluationError, match=r"24 of 24 rows answer .* on line 2: .*'valid-random-0"):
        only_valid.check(both)


def test_scores_for_another_seed_are_refused(filled_in: Callable[..., Path], wardrobe: Dataset) -> None:
    external = ExternalScores.read(filled_in())
    with pytest.raises(EvaluationError, match=r"answer no question that is asked, the first on line 2: .* one seed"):
        external.check(draw_questions(wardrobe, SETTINGS, 18))


def only_question(rows: Rows, part: str, wanted: int = 5) -> int:
    return [place for place, row in enumerate(rows) if row[0].startswith(part)][wanted]


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("test-pairs-", r"lacks 1 of the 48 scores of compatibility \(pairs\).*'test-pairs-0-000005.* test split"),
        ("valid-pairs-", r"lacks 1 of the 48 scores of compatibility \(pairs\).*'valid-pairs-0-000005.* valid split"),
        ("test-random-blank-", r"lacks 1 of the 48 scores of fill_in_the_blank \(random\).*000001\..*candidate 1"),
        ("test-retrieval-", r"lacks 1 of the 60 scores of retrieval \(same-category\).*000001\..*candidate 0"),
    ],
)
def test_a_task_answered_in_part_is_refused(
    part: str, told: str, filled_in: Callable[..., Path], parts: tuple[ProtocolQuestions, ...]
) -> None:
    def without_one(rows: Rows) -> Rows:
        del rows[only_question(rows, part)]
        return rows

    external = ExternalScores.read(filled_in(without_one))
    with pytest.raises(EvaluationError, match=told):
        external.check(parts)
    protocol = next(part for part in parts if part.protocol in told.replace("\\", "").split("(")[1].split(")")[0])
    with pytest.raises(EvaluationError, match=told):
        external.scores(protocol)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (
            ["test-nothing", "", "1"],
            "1 of .* rows answer no question that is asked, the first on line .*'test-nothing'",
        ),
        (["{compatibility}", "0", "1"], r"answer no question .*candidate 0"),
        (["{blank}", "4", "1"], r"answer no question .*candidate 4"),
        (["{blank}", "", "1"], r"answer no question .*-blank-000000\.[0-9a-f]{8}';"),
    ],
)
def test_rows_that_answer_nothing_are_refused(
    row: list[str], told: str, filled_in: Callable[..., Path], parts: tuple[ProtocolQuestions, ...]
) -> None:
    names = {
        "{compatibility}": exported_id(parts[0].test[0]),
        "{blank}": exported_id(parts[0].blanks[0]),
    }
    external = ExternalScores.read(filled_in(lambda rows: [*rows, [names.get(row[0], row[0]), *row[1:]]]))
    with pytest.raises(EvaluationError, match=told):
        external.check(parts)


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ((2, "good"), "1 of .* line 4: score 'good' isn't a number"),
        ((2, "0,5"), "line 4: score '0,5' isn't a number; write it with a decimal point"),
        ((2, "1_0"), "line 4: score '1_0' isn't a number"),
        ((2, "NaN"), "line 4: score 'NaN' isn't finite"),
        ((2, "-inf"), "line 4: score '-inf' isn't finite"),
        ((2, "1e999"), "line 4: score '1e999' isn't finite"),
        ((2, "-1.1e100"), r"line 4: score '-1.1e100' is too large; accepted are -1e\+100 to 1e\+100"),
        ((2, ""), "line 4: score is empty"),
        ((1, "first"), "line 4: candidate 'first' isn't a position"),
        ((1, "-1"), "line 4: candidate '-1' isn't a position"),
        ((1, "0.5"), "line 4: candidate '0.5' isn't a position"),
        ((0, ""), "line 4: question_id is empty"),
    ],
)
def test_a_broken_row_is_named_with_its_line(cell: tuple[int, str], told: str, filled_in: Callable[..., Path]) -> None:
    def broken(rows: Rows) -> Rows:
        rows[2][cell[0]] = cell[1]
        return rows

    with pytest.raises(EvaluationError, match=told):
        ExternalScores.read(filled_in(broken))


def test_a_row_that_stands_twice_is_named_with_both_lines(filled_in: Callable[..., Path]) -> None:
    with pytest.raises(EvaluationError, match=r"2 of 5 rows .*line 5: question 'valid-.* already, on line 2; keep one"):
        ExternalScores.read(filled_in(lambda rows: [*rows[:3], rows[0], rows[1]]))


def test_a_candidate_may_be_written_as_a_spreadsheet_does(
    filled_in: Callable[..., Path], parts: tuple[ProtocolQuestions, ...]
) -> None:
    plain = ExternalScores.read(filled_in()).rows
    floats = ExternalScores.read(filled_in(lambda rows: [[a, f"{b}.0" if b else "", c] for a, b, c in rows])).rows
    assert floats == plain


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", r"columns none \(it is empty\)"),
        (b"question_id,candidate,score\n", "has no scores, only the header"),
        (b"question_id,score\na,1\n", "columns question_id, score; expected question_id,candidate,score"),
        (b"question_id,candidate,score,note\na,,1,x\n", "columns question_id, candidate, score, note"),
        (b"question_id,candidate,score\na,,1,2\nb,,1\n", "1 of 2 rows .* line 2: bad row: more fields"),
        (b"question_id,candidate,score\na\n", "line 2: score is empty"),
    ],
)
def test_a_file_that_is_no_table_of_scores_is_refused(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_bytes(content)
    with pytest.raises(EvaluationError, match=told):
        ExternalScores.read(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    with pytest.raises(DataError, match=r"scores.csv can't be read"):
        ExternalScores.read(path)
    with pytest.raises(EvaluationError, match=r"read from a .csv file, got .*scores.xlsx"):
        ExternalScores.read(tmp_path / "scores.xlsx")


@pytest.mark.parametrize(("sign", "encoding"), [(";", "utf-8"), ("\t", "utf-8"), (",", "latin-1"), (",", "utf-16")])
def test_scores_are_read_as_spreadsheets_write_them(tmp_path: Path, sign: str, encoding: str) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(f"question_id{sign}candidate{sign}score\nmodèle{sign}{sign}1\n", encoding=encoding)
    plain = tmp_path / "plain.csv"
    plain.write_text("question_id,candidate,score\nmodèle,,1\n", encoding="utf-8")
    assert dict(ExternalScores.read(path).rows) == dict(ExternalScores.read(plain).rows)


def test_a_byte_order_mark_and_other_orders_of_columns_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "mine.CSV"
    path.write_text("score, question_id ,candidate\r\n 0.5,a,\r\n1,b,2\r\n", encoding="utf-8-sig")
    assert ExternalScores.read(path).rows == {("a", None): (2, 0.5), ("b", 2): (3, 1.0)}
    assert ExternalScores.read(path).name == "mine"


def test_an_unknown_item_is_named(tmp_path: Path, wardrobe: Dataset, parts: tuple[ProtocolQuestions, ...]) -> None:
    unknown = parts[0].test[0].item_ids[0]
    dataset = replace(wardrobe, items={key: item for key, item in wardrobe.items.items() if key != unknown})
    with pytest.raises(EvaluationError, match=f"1 item ids of the questions aren't .*'{unknown}'"):
        write_questions_to_score(tmp_path, parts, dataset)
    assert not (tmp_path / "questions.jsonl").exists()
