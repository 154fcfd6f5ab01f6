"""Scores of other systems: questions to score, and score files out and in."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import atomic_path, write_text
from coordi.data.tables import read_table
from coordi.errors import ArtifactError, EvaluationError, require
from coordi.evaluation.benchmark import Evaluation
from coordi.evaluation.question_sets import TASKS, ProtocolQuestions, Question, Task
from coordi.evaluation.scoring import RawScores, check_items
from coordi.evaluation.summary import SCORER_WORDS
from coordi.types import CompatibilityQuestion, Dataset, FitbQuestion, Split

if TYPE_CHECKING:
    import pyarrow as pa

QUESTIONS, TEMPLATE, RULES = "questions.jsonl", "scores-template.csv", "how-to-score.md"
COLUMNS = ("question_id", "candidate", "score")
SCORES_PARQUET, SCORES_CSV = "scores.parquet", "scores.csv"
_TEXT_COLUMNS = ("task", "protocol", "question_id", "outfit_id", "scorer")
# Starts of a formula in spreadsheets, wide forms included.
_FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"
LARGEST = 1e100
"""Scores further from 0 than this are refused: thresholds and calibrations take their differences."""
_WHAT_TO_DO = f"fill in {TEMPLATE} as it was written beside {QUESTIONS}"

Key = tuple[str, int | None]
"""Question id as exported, and position of the candidate."""


def exported_id(question: Question) -> str:
    """The ``question_id`` of files: the id, which other seeds reuse, and a digest of items and candidates."""
    digest = hashlib.sha256(json.dumps([question.item_ids, _candidates(question)]).encode()).hexdigest()
    return f"{question.id}.{digest[:8]}"


def _candidates(question: Question) -> tuple[str, ...]:
    return question.candidates if isinstance(question, FitbQuestion) else ()


def _keys(question: Question) -> list[Key]:
    question_id = exported_id(question)
    return [(question_id, position) for position in range(len(_candidates(question)))] or [(question_id, None)]


def _exported(part: ProtocolQuestions) -> Iterator[tuple[Task, Split, Question]]:
    """Every question of a protocol: compatibility of both splits, blanks, retrieval, each in its own order."""
    yield from ((TASKS[0], "valid", question) for question in part.valid)
    for task, questions in part.by_task.items():
        yield from ((task, "test", question) for question in questions)


def write_questions_to_score(folder: Path, protocols: Sequence[ProtocolQuestions], dataset: Dataset) -> None:
    """Write questions without answers, each under its first protocol, the scores to fill in, and the rules."""
    exported: dict[str, tuple[str, Task, Split, Question]] = {}
    for part in protocols:
        for task, split, question in _exported(part):
            exported.setdefault(exported_id(question), (part.protocol, task, split, question))
    questions = [question for *_, question in exported.values()]
    check_items([(*question.item_ids, *_candidates(question)) for question in questions], dataset.items)
    with atomic_path(folder / QUESTIONS) as temporary, temporary.open("w", encoding="utf-8") as file:
        for question_id, (protocol, task, split, question) in exported.items():
            line = {
                "task": task,
                "protocol": protocol,
                "split": split,
                "question_id": question_id,
                "items": [_item(dataset, item_id) for item_id in question.item_ids],
                "candidates": [_item(dataset, item_id) for item_id in _candidates(question)],
            }
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
    with atomic_path(folder / TEMPLATE) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((*key, "") for question in questions for key in _keys(question))
    rules = resources.files("coordi.evaluation").joinpath(f"templates/{RULES}").read_text(encoding="utf-8")
    write_text(folder / RULES, rules)


def _item(dataset: Dataset, item_id: str) -> dict[str, Any]:
    item = dataset.items[item_id]
    image = None if item.image is None else str(item.image)
    return {"id": item_id, "title": item.title, "category": item.category, "text": item.text, "image": image}


def _schema() -> pa.Schema:
    pa = require("pyarrow", "train")
    text = pa.string()
    return pa.schema({
        "task": text, "protocol": text, "question_id": text, "outfit_id": text, "candidate": pa.int32(),
        "scorer": text, "truth": pa.bool_(), "score": pa.float64(),
    })  # fmt: skip


def score_table(evaluation: Evaluation) -> pa.Table:
    """One row per question and scorer, and per candidate where there are candidates.

    ``candidate`` is its position, null for compatibility; ``truth`` says whether the outfit or candidate is the real
    one. Rows are ordered by protocol, scorer, task and question; a task that a scorer didn't answer has none.
    """
    parts = [
        _score_rows(task, protocol.questions, result.scorer, scores)
        for protocol in evaluation.protocols
        for result in protocol.results
        for task, scores in result.by_task.items()
    ]
    return require("pyarrow", "train").concat_tables(parts) if parts else _schema().empty_table()


def _score_rows(task: Task, part: ProtocolQuestions, scorer: str, scores: NDArray[np.float64]) -> pa.Table:
    pa = require("pyarrow", "train")
    questions = part.by_task[task]
    rows = [(question, position) for question in questions for position in range(scores.size // len(questions))]
    columns = [
        pa.repeat(task, len(rows)),
        pa.repeat(part.protocol, len(rows)),
        pa.array([question.id for question, _ in rows], pa.string()),
        pa.array([question.outfit_id for question, _ in rows], pa.string()),
        pa.array([position if scores.ndim > 1 else None for _, position in rows], pa.int32()),
        pa.repeat(scorer, len(rows)),
        [q.compatible if isinstance(q, CompatibilityQuestion) else position == q.answer for q, position in rows],
        pa.array(scores.reshape(-1), pa.float64()),
    ]
    return pa.table(columns, schema=_schema())


def write_scores(folder: Path, evaluation: Evaluation) -> None:
    """Write ``scores.parquet`` and ``scores.csv``, which hold the same rows.

    Text in the CSV that a spreadsheet would run as a formula gets an apostrophe before it. The file starts with a byte
    order mark if it holds anything but ASCII, without which Excel garbles it.
    """
    pq, pc, pa_csv = (require(f"pyarrow.{part}", "train") for part in ("parquet", "compute", "csv"))
    table, schema = score_table(evaluation), _schema()
    with atomic_path(folder / SCORES_PARQUET) as temporary:
        pq.write_table(table, temporary)
    is_ascii = True
    for name in _TEXT_COLUMNS:
        text = table.column(name)
        is_ascii = is_ascii and pc.all(pc.string_is_ascii(text.unique())).as_py() in (True, None)
        safe = pc.replace_substring_regex(text, f"({_FORMULA})", "'\\1")
        table = table.set_column(schema.get_field_index(name), schema.field(name), safe)
    with atomic_path(folder / SCORES_CSV) as temporary, temporary.open("wb") as file:
        file.write(b"" if is_ascii else b"\xef\xbb\xbf")
        pa_csv.write_csv(table, file, pa_csv.WriteOptions(quoting_style="needed"))


def read_scores(path: Path) -> pa.Table:
    """The rows of a ``scores.parquet``; raises ``ArtifactError`` if it is broken or of another version."""
    pa, names = require("pyarrow", "train"), _schema().names
    try:
        table = require("pyarrow.parquet", "train").read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ArtifactError(f"{path} can't be read ({error}); measure the model again") from error
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise ArtifactError(
            f"{path} has no column '{missing[0]}' (it has {', '.join(table.column_names)}), so another version of "
            "coordi made it; measure the model again with this one"
        )
    return table.select(names)


def question_digests(protocols: Sequence[ProtocolQuestions]) -> dict[str, dict[str, str]]:
    """By task and protocol, SHA-256 of ids, outfits, items, candidates and answers of the questions, in their order."""
    digests: dict[str, dict[str, str]] = {}
    for part in protocols:
        for task, questions in part.by_task.items():
            lines = "".join(json.dumps(astuple(question), ensure_ascii=False) + "\n" for question in questions)
            digests.setdefault(task, {})[part.protocol] = hashlib.sha256(lines.encode()).hexdigest()
    return digests


@dataclass(frozen=True, slots=True)
class ExternalScores:
    """Scores made outside coordi, named as their file; ``rows`` are line and score by question id and candidate."""

    name: str
    path: Path
    rows: Mapping[Key, tuple[int, float]]

    @classmethod
    def read(cls, path: Path) -> ExternalScores:
        """Read a filled-in table, its columns in any order and candidates as ``2`` or ``2.0``; ``check`` compares it.

        Raises ``DataError`` if the file can't be read as CSV, ``EvaluationError`` if it has the name of one of
        coordi's scorers, or a column or row is wrong.
        """
        if path.suffix.lower() != ".csv":
            raise EvaluationError(f"scores are read from a .csv file, got {path}; {_WHAT_TO_DO}")
        # Reports identify scorers by name: they would show the file's scores as those of their own baseline.
        if path.stem.strip().casefold() in SCORER_WORDS:
            raise EvaluationError(
                f"{path} is named like '{path.stem.strip().casefold()}', a scorer of coordi's own; accepted is any "
                f"other name than {', '.join(SCORER_WORDS)}: rename the file, such as my-{path.name.strip()}"
            )
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
                key, score = _parse(row)
                if key in rows:
                    raise ValueError(f"{_name(key)} has a score already, on line {rows[key][0]}; keep one")
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
        """Raise ``EvaluationError`` if a row answers no question, or a task is answered in part."""
        questions = {key for part in protocols for *_, question in _exported(part) for key in _keys(question)}
        self._check_rows(
            questions,
            "answer no question that is asked",
            f"accepted are those of {QUESTIONS}, which fit one seed, one data set and its settings: write them again "
            "and score those, or take the rows out",
        )
        used = {key for part in protocols for *_, question in self._answered(part) for key in _keys(question)}
        self._check_rows(
            used,
            "answer validation questions of protocols whose test questions have no score",
            "add the test questions, or take the rows out",
        )
        for part in protocols:
            self.scores(part)

    def _check_rows(self, accepted: set[Key], problem: str, advice: str) -> None:
        unused = [(line, key) for key, (line, _) in self.rows.items() if key not in accepted]
        if unused:
            line, key = unused[0]
            raise EvaluationError(
                f"{self.path}: {len(unused)} of {len(self.rows)} rows {problem}, the first on line {line}: "
                f"{_name(key)}; {advice}"
            )

    def scores(self, part: ProtocolQuestions) -> RawScores | None:
        """Scores in the order of the questions, or None; test scores of compatibility need those of validation too."""
        answered = self._answered(part)
        for task in TASKS:
            keys = [(split, key) for name, split, question in answered if name == task for key in _keys(question)]
            missing = [(split, key) for split, key in keys if key not in self.rows]
            if missing:
                split, key = missing[0]
                raise EvaluationError(
                    f"{self.path} lacks {len(missing)} of the {len(keys)} scores of {task} ({part.protocol}), the "
                    f"first of them {_name(key)} of the {split} split; add them, or take the whole task out"
                )
        tables: dict[tuple[Task, Split], list[list[float]]] = {}
        for task, split, question in answered:
            tables.setdefault((task, split), []).append([self.rows[key][1] for key in _keys(question)])
        if not answered:
            return None
        none, arrays = RawScores(), {key: np.array(rows, dtype=np.float64) for key, rows in tables.items()}
        valid, test = (arrays.get((TASKS[0], split), none.blanks).reshape(-1) for split in ("valid", "test"))
        blanks, retrieval = (arrays.get((task, "test"), none.blanks) for task in TASKS[1:])
        return RawScores(valid, test, blanks, retrieval)

    def _answered(self, part: ProtocolQuestions) -> list[tuple[Task, Split, Question]]:
        """The questions of the tasks of which at least one test question has a score."""
        tasks = {
            task
            for task, questions in part.by_task.items()
            if any(key in self.rows for question in questions for key in _keys(question))
        }
        return [(task, split, question) for task, split, question in _exported(part) if task in tasks]


def _parse(row: Mapping[str, Any]) -> tuple[Key, float]:
    question_id, candidate, written = (str(row.get(name, "")).strip() for name in COLUMNS)
    if not question_id:
        raise ValueError("question_id is empty; give one of the template's")
    if candidate and not re.fullmatch(r"\d{1,9}(\.0*)?", candidate, re.ASCII):
        raise ValueError(f"candidate '{candidate}' isn't a position; accepted are 0, 1, 2, ... or nothing")
    if not written:
        raise ValueError("score is empty; give a number, or take all rows of its task out")
    try:
        score = float(written if "_" not in written else "no number")  # Python accepts 1_000
    except ValueError:
        raise ValueError(f"score '{written}' isn't a number; write it with a decimal point, such as 0.25") from None
    if not math.isfinite(score):
        raise ValueError(f"score '{written}' isn't finite; every score must be a number")
    if abs(score) > LARGEST:
        raise ValueError(f"score '{written}' is too large; accepted are {-LARGEST:g} to {LARGEST:g}: scale all scores")
    return (question_id, int(candidate.split(".")[0]) if candidate else None), score


def _name(key: Key) -> str:
    question_id, position = key
    return f"question '{question_id}'" + ("" if position is None else f", candidate {position}")
