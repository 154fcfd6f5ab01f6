"""Scores of other systems: questions to score, score files in and out."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from coordi.artifacts import atomic_path, write_text
from coordi.data.feed import read_table
from coordi.errors import ArtifactError, EvaluationError
from coordi.evaluate.benchmark import Evaluation
from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.scoring import RawScores, check_items
from coordi.evaluate.summary import SCORER_WORDS, Task
from coordi.types import CompatibilityQuestion, Dataset, FitbQuestion, Split

QUESTIONS = "questions.jsonl"
TEMPLATE = "scores-template.csv"
RULES = "how-to-score.md"
TASKS = ("compatibility", "fill_in_the_blank", "retrieval")
"""As ``report.json`` calls them."""
COLUMNS = ("question_id", "candidate", "score")
_RULES_TEXT = f"""# How to score these questions

`{QUESTIONS}` has a question per line: `task`, `protocol`, `split`, `question_id`, `items` and, where one of several
items is to be chosen, `candidates`.

- `compatibility`: how well do the `items` go together? One score, `candidate` left empty. Questions of the split
  `valid` choose your threshold and calibrate your scores, those of `test` are measured.
- `fill_in_the_blank` and `retrieval`: how well does each candidate complete the `items`? One score per candidate,
  `candidate` being its position from 0.

Write the scores into `{TEMPLATE}` and save it as UTF-8 under the name that the report shall show, such as
`my-model.csv`. Higher is better, on any scale. A task of a protocol is answered whole, or all its rows are taken out.

An item's `id` and `image` are there to look the item up. They may name the outfit it is from, so nothing may be
learned from them or from the order of the questions.
"""

Question = CompatibilityQuestion | FitbQuestion
Key = tuple[str, int | None]  # question id as exported, position of the candidate


@dataclass(frozen=True, slots=True)
class ExportedQuestion:
    """A question with its task and split."""

    task: str
    split: Split
    question: Question

    @property
    def candidates(self) -> tuple[str, ...]:
        """Item ids to choose from; empty for compatibility."""
        return self.question.candidates if isinstance(self.question, FitbQuestion) else ()

    @property
    def keys(self) -> list[Key]:
        """The rows that this question needs."""
        positions: Sequence[int | None] = range(len(self.candidates)) if self.candidates else (None,)
        return [(exported_id(self.question), position) for position in positions]


def exported_id(question: Question) -> str:
    """The ``question_id`` of the files: the question's own, and a digest of what it asks.

    Another seed or other data ask other questions under the same numbers; the digest keeps scores from being taken for
    answers to questions that they weren't made for. It doesn't depend on the answer.
    """
    candidates = question.candidates if isinstance(question, FitbQuestion) else ()
    digest = hashlib.sha256(json.dumps([question.item_ids, candidates]).encode()).hexdigest()
    return f"{question.id}.{digest[:8]}"


def write_questions_to_score(
    folder: Path, protocols: Sequence[ProtocolQuestions], dataset: Dataset, texts: Mapping[str, str]
) -> None:
    """Write every question without its answer, the table of scores to fill in, and the rules.

    ``questions.jsonl`` holds ``task``, ``protocol``, ``split``, ``question_id``, ``items`` and ``candidates``, each
    item with ``id``, ``title``, ``category``, ``text`` (what prompts say of it) and ``image`` (path or null).
    ``scores-template.csv`` has a row per score. A question that two protocols ask is written once, under the first.

    Raises:
        ArtifactError: If the folder can't be written.
        EvaluationError: If an item of a question isn't in the data set or has no text.
    """
    seen: dict[str, None] = {}
    rows: list[Key] = []
    with atomic_path(folder / QUESTIONS) as temporary, temporary.open("w", encoding="utf-8") as file:
        for part in protocols:
            for asked in exported_questions(part):
                question_id = exported_id(asked.question)
                if question_id not in seen:
                    seen[question_id] = None
                    rows += asked.keys
                    line = _line(part.protocol, asked, dataset, texts)
                    file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((question_id, "" if position is None else position, "") for question_id, position in rows)
    write_text(folder / TEMPLATE, table.getvalue())
    write_text(folder / RULES, _RULES_TEXT)


def exported_questions(part: ProtocolQuestions) -> Iterator[ExportedQuestion]:
    """Every question of a protocol: compatibility of both splits, blanks, retrieval, each in its own order."""
    groups: tuple[tuple[str, Split, Sequence[Question]], ...] = (
        (TASKS[0], "valid", part.valid),
        (TASKS[0], "test", part.test),
        (TASKS[1], "test", part.blanks),
        (TASKS[2], "test", part.retrieval),
    )
    for task, split, questions in groups:
        for question in questions:
            yield ExportedQuestion(task, split, question)


def _line(protocol: str, asked: ExportedQuestion, dataset: Dataset, texts: Mapping[str, str]) -> dict[str, Any]:
    shown = [asked.question.item_ids, asked.candidates]
    check_items(shown, dataset.items)
    items, candidates = ([_item(dataset, texts, item_id) for item_id in ids] for ids in shown)
    return {
        "task": asked.task,
        "protocol": protocol,
        "split": asked.split,
        "question_id": exported_id(asked.question),
        "items": items,
        "candidates": candidates,
    }


def _item(dataset: Dataset, texts: Mapping[str, str], item_id: str) -> dict[str, Any]:
    item = dataset.items[item_id]
    return {
        "id": item_id,
        "title": item.title,
        "category": item.category,
        "text": texts[item_id],
        "image": None if item.image is None else str(item.image),
    }


SCORES_PARQUET, SCORES_CSV = "scores.parquet", "scores.csv"
SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("protocol", pa.string()),
        ("question_id", pa.string()),
        ("outfit_id", pa.string()),
        ("candidate", pa.int32()),
        ("scorer", pa.string()),
        ("truth", pa.bool_()),
        ("score", pa.float64()),
    ]
)
# What spreadsheets take for the start of a formula, wide forms included.
_FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"


def score_table(evaluation: Evaluation) -> pa.Table:
    """One row per question and scorer, and per candidate where there are candidates.

    ``candidate`` is its position, null for compatibility questions; ``truth`` says whether the outfit, or the
    candidate, is the real one. Rows go by protocol, scorer, task and question; a scorer has none for what it didn't
    answer.
    """
    parts = []
    for protocol in evaluation.protocols:
        asked = protocol.questions
        for result in protocol.results:
            if result.scores.size:
                parts.append(_compatibility(asked.protocol, asked.test, result.scorer, result.scores))
            if result.blank_scores.size:
                named: Task = "fill_in_the_blank"
                parts.append(_candidates(named, asked.protocol, asked.blanks, result.scorer, result.blank_scores))
            if result.retrieval_scores.size:
                named = "retrieval"
                parts.append(
                    _candidates(named, asked.protocol, asked.retrieval, result.scorer, result.retrieval_scores)
                )
    return pa.concat_tables(parts) if parts else SCHEMA.empty_table()


def write_scores(folder: Path, evaluation: Evaluation) -> None:
    """Write ``scores.parquet`` and ``scores.csv``, which hold the same rows.

    Text in the CSV that a spreadsheet would run as a formula has an apostrophe put before it. The file starts with a
    byte order mark if it holds anything but ASCII, without which Excel garbles it.

    Raises:
        ArtifactError: If a file can't be written.
    """
    table = score_table(evaluation)
    with atomic_path(folder / SCORES_PARQUET) as temporary:
        pq.write_table(table, temporary)
    safe = table
    for place, kind in enumerate(SCHEMA):
        if pa.types.is_string(kind.type):
            text = pc.replace_substring_regex(table.column(place), f"({_FORMULA})", "'\\1")
            safe = safe.set_column(place, kind, text)
    with atomic_path(folder / SCORES_CSV) as temporary, temporary.open("wb") as file:
        if _has_wide(table):
            file.write(b"\xef\xbb\xbf")
        pa_csv.write_csv(safe, file, pa_csv.WriteOptions(quoting_style="needed"))


def read_scores(path: Path) -> pa.Table:
    """The rows of a ``scores.parquet``.

    Raises:
        ArtifactError: If it is missing, broken, or has other columns, as another version's may have.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ArtifactError(f"{path} can't be read ({error}); measure the model again") from error
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise ArtifactError(
            f"{path} has no column '{missing[0]}' (it has {', '.join(table.column_names)}), so another version of "
            "coordi made it; measure the model again with this one"
        )
    return table.select(SCHEMA.names)


def question_digests(protocols: Sequence[ProtocolQuestions]) -> dict[str, dict[str, str]]:
    """By task and protocol, SHA-256 of what is asked: ids, outfits, items, candidates and answers, in their order.

    Question ids are numbers that come again for other questions under another seed or on other data; these don't.
    """
    digests: dict[str, dict[str, str]] = {}
    for part in protocols:
        named: tuple[tuple[Task, Sequence[CompatibilityQuestion] | Sequence[FitbQuestion]], ...] = (
            ("compatibility", part.test),
            ("fill_in_the_blank", part.blanks),
            ("retrieval", part.retrieval),
        )
        for task, asked in named:
            if asked:
                digests.setdefault(task, {})[part.protocol] = _digest(asked)
    return digests


def _digest(asked: Sequence[CompatibilityQuestion] | Sequence[FitbQuestion]) -> str:
    digest = hashlib.sha256()
    for line in _lines(asked):
        digest.update(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def _lines(asked: Sequence[CompatibilityQuestion] | Sequence[FitbQuestion]) -> Iterator[list[object]]:
    for one in asked:
        if isinstance(one, CompatibilityQuestion):
            yield [one.id, one.outfit_id, one.item_ids, one.compatible]
        else:
            yield [one.id, one.outfit_id, one.item_ids, one.candidates, one.answer]


def _compatibility(
    protocol: str, asked: Sequence[CompatibilityQuestion], scorer: str, scores: NDArray[np.float64]
) -> pa.Table:
    count = len(asked)
    columns = [
        pa.repeat("compatibility", count),
        pa.repeat(protocol, count),
        pa.array([one.id for one in asked], pa.string()),
        pa.array([one.outfit_id for one in asked], pa.string()),
        pa.nulls(count, pa.int32()),
        pa.repeat(scorer, count),
        pa.array([one.compatible for one in asked], pa.bool_()),
        pa.array(scores, pa.float64()),
    ]
    return pa.table(columns, schema=SCHEMA)


def _candidates(
    task: Task, protocol: str, asked: Sequence[FitbQuestion], scorer: str, scores: NDArray[np.float64]
) -> pa.Table:
    count, choices = scores.shape
    places = np.tile(np.arange(choices, dtype=np.int32), count)
    answers = np.repeat(np.array([one.answer for one in asked], dtype=np.int32), choices)
    columns = [
        pa.repeat(task, count * choices),
        pa.repeat(protocol, count * choices),
        pa.array([one.id for one in asked for _ in range(choices)], pa.string()),
        pa.array([one.outfit_id for one in asked for _ in range(choices)], pa.string()),
        pa.array(places, pa.int32()),
        pa.repeat(scorer, count * choices),
        pa.array(places == answers, pa.bool_()),
        pa.array(scores.reshape(-1), pa.float64()),
    ]
    return pa.table(columns, schema=SCHEMA)


def _has_wide(table: pa.Table) -> bool:
    texts = (table.column(place) for place, kind in enumerate(SCHEMA) if pa.types.is_string(kind.type))
    return not all(pc.all(pc.string_is_ascii(text.unique())).as_py() in (True, None) for text in texts)


LARGEST = 1e100
"""Scores further from 0 than this are refused: thresholds and calibrations square them or take their differences."""
_WHAT_TO_DO = f"fill in {TEMPLATE} as it was written beside {QUESTIONS}"


@dataclass(frozen=True, slots=True)
class ExternalScores:
    """Scores that were made outside coordi.

    Attributes:
        name: What reports call the scorer: the file's name without ``.csv``.
        path: Of the file.
        rows: By question id and candidate, the line it stands on and the score.
    """

    name: str
    path: Path
    rows: Mapping[Key, tuple[int, float]]

    @classmethod
    def read(cls, path: Path) -> ExternalScores:
        """Read a filled-in table; whether its questions are those that are asked, ``check`` tells.

        ``question_id``, ``candidate`` and ``score`` may stand in any order. A candidate may be written ``2`` or
        ``2.0``, as spreadsheets do.

        Raises:
            DataError: If the file can't be read, isn't UTF-8 or isn't CSV.
            EvaluationError: If the file is named like one of coordi's scorers, a column is wrong or missing, there are
                no rows, or a row is broken or stands twice.
        """
        if path.suffix.lower() != ".csv":
            raise EvaluationError(f"scores are read from a .csv file, got {path}; {_WHAT_TO_DO}")
        _check_name(path)
        table = read_table(path)
        if sorted(table.columns) != sorted(COLUMNS):
            raise EvaluationError(
                f"{path} has the columns {', '.join(table.columns) or 'none (it is empty)'}; expected "
                f"{','.join(COLUMNS)}, separated by commas: {_WHAT_TO_DO}"
            )
        if not table.rows and not table.faults:
            raise EvaluationError(f"{path} has no scores, only the header; {_WHAT_TO_DO}")
        broken = [(line, reason) for reason, lines in table.faults.items() for line in lines]
        rows: dict[Key, tuple[int, float]] = {}
        for line, row in table.rows:
            try:
                key, score = _key(row), _score(row)
                if key in rows:
                    raise ValueError(f"{_called(key)} has a score already, on line {rows[key][0]}; keep one")
                rows[key] = (line, score)
            except ValueError as error:
                broken.append((line, str(error)))
        if broken:
            line, reason = min(broken)
            total = len(table.rows) + sum(map(len, table.faults.values()))
            raise EvaluationError(
                f"{path}: {len(broken)} of {total} rows can't be used, the first on line {line}: {reason}"
            )
        return cls(path.stem, path, rows)

    def check(self, protocols: Sequence[ProtocolQuestions]) -> None:
        """Hold the file against all questions that are asked.

        Raises:
            EvaluationError: If a row answers no question, a task is answered in part, or validation questions are
                answered without the test questions that they are for.
        """
        needed = {key for part in protocols for asked in exported_questions(part) for key in asked.keys}
        extra = [(line, key) for key, (line, _) in self.rows.items() if key not in needed]
        if extra:
            line, key = extra[0]
            raise EvaluationError(
                f"{self.path}: {len(extra)} of {len(self.rows)} rows answer no question that is asked, the first on "
                f"line {line}: {_called(key)}; accepted are those of {QUESTIONS}, which fit one seed, one data set and "
                "its settings: write them again and score those, or take the rows out"
            )
        used = {key for part in protocols for asked in self._answered(part) for key in asked.keys}
        idle = [(line, key) for key, (line, _) in self.rows.items() if key not in used]
        if idle:
            line, key = idle[0]
            raise EvaluationError(
                f"{self.path}: {len(idle)} rows answer validation questions of protocols whose test questions have no "
                f"score, the first on line {line}: {_called(key)}; add the test questions, or take the rows out"
            )
        for part in protocols:
            self.scores(part)

    def scores(self, part: ProtocolQuestions) -> RawScores | None:
        """The scores of one protocol, in the order of its questions; None if it answers none of its tasks.

        Compatibility is one task: a score for a test question needs those of the validation split too. Rows of other
        protocols are left alone; ``check`` sees to it that each belongs to one.

        Raises:
            EvaluationError: If a task is answered in part.
        """
        answered = self._answered(part)
        for task in TASKS:
            keys = [(asked.split, key) for asked in answered if asked.task == task for key in asked.keys]
            missing = [(split, key) for split, key in keys if key not in self.rows]
            if missing:
                split, key = missing[0]
                raise EvaluationError(
                    f"{self.path} lacks {len(missing)} of the {len(keys)} scores of {task} ({part.protocol}), the "
                    f"first of them {_called(key)} of the {split} split; add them, or take the whole task out"
                )
        if not answered:
            return None
        tables = {
            (task, split): np.array([[self.rows[key][1] for key in asked.keys] for asked in group], dtype=np.float64)
            for task, split in ((TASKS[0], "valid"), *((task, "test") for task in TASKS))
            if (group := [asked for asked in answered if (asked.task, asked.split) == (task, split)])
        }
        return _raw(tables)

    def _answered(self, part: ProtocolQuestions) -> list[ExportedQuestion]:
        """The questions of the tasks of which at least one test question has a score."""
        everything = list(exported_questions(part))
        tasks = {
            asked.task for asked in everything if asked.split == "test" and any(key in self.rows for key in asked.keys)
        }
        return [asked for asked in everything if asked.task in tasks]


def _check_name(path: Path) -> None:
    # Reports know scorers by their names: they would take the file's scores for their own baseline's.
    if path.stem.strip().casefold() in SCORER_WORDS:
        raise EvaluationError(
            f"{path} is named like '{path.stem.strip().casefold()}', a scorer of coordi's own; accepted is any other "
            f"name than {', '.join(SCORER_WORDS)}: rename the file, such as my-{path.name.strip()}"
        )


def _raw(tables: Mapping[tuple[str, str], NDArray[np.float64]]) -> RawScores:
    none = RawScores()
    compatibility, blanks, retrieval = TASKS
    valid, test = (
        tables[compatibility, split][:, 0] if (compatibility, split) in tables else none.test
        for split in ("valid", "test")
    )
    return RawScores(
        valid, test, tables.get((blanks, "test"), none.blanks), tables.get((retrieval, "test"), none.retrieval)
    )


def _key(row: Mapping[str, Any]) -> Key:
    question_id = str(row.get("question_id", "")).strip()
    if not question_id:
        raise ValueError("question_id is empty; give one of the template's")
    written = str(row.get("candidate", "")).strip()
    if not written:
        return question_id, None
    if not re.fullmatch(r"\d{1,9}(\.0*)?", written, re.ASCII):
        raise ValueError(f"candidate '{written}' isn't a position; accepted are 0, 1, 2, ... or nothing")
    return question_id, int(written.split(".")[0])


def _score(row: Mapping[str, Any]) -> float:
    written = str(row.get("score", "")).strip()
    if not written:
        raise ValueError("score is empty; give a number, or take all rows of its task out")
    try:
        # Python alone takes 1_000 for a number.
        score = float(written if "_" not in written else "no number")
    except ValueError:
        raise ValueError(f"score '{written}' isn't a number; write it with a decimal point, such as 0.25") from None
    if not math.isfinite(score):
        raise ValueError(f"score '{written}' isn't finite; every score must be a number")
    if abs(score) > LARGEST:
        raise ValueError(f"score '{written}' is too large; accepted are {-LARGEST:g} to {LARGEST:g}: scale all scores")
    return score


def _called(key: Key) -> str:
    question_id, position = key
    return f"question '{question_id}'" + ("" if position is None else f", candidate {position}")
