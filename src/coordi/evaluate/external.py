"""Somebody else's scores: what comes back as a CSV file to the questions that ``question_export`` hands out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.data.tables import read_table
from coordi.errors import EvaluationError
from coordi.evaluate.question_export import (
    COLUMNS,
    QUESTIONS,
    TASKS,
    TEMPLATE,
    Asked,
    Key,
    all_asked,
    write_questions_to_score,
)
from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.scorer import RawScores
from coordi.evaluate.wording import SCORER_WORDS

__all__ = ["ExternalScores", "write_questions_to_score"]

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
        needed = {key for part in protocols for asked in all_asked(part) for key in asked.keys}
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

    def _answered(self, part: ProtocolQuestions) -> list[Asked]:
        """The questions of the tasks of which at least one test question has a score."""
        everything = list(all_asked(part))
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
