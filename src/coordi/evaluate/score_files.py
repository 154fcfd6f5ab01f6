"""Every score of every scorer as Parquet, for programs, and as CSV, for spreadsheets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from coordi.artifacts import atomic_path
from coordi.domain import CompatibilityQuestion, FillInTheBlankQuestion
from coordi.errors import ArtifactError
from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.results import Evaluation
from coordi.evaluate.wording import Task

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
        named: tuple[tuple[Task, Sequence[CompatibilityQuestion] | Sequence[FillInTheBlankQuestion]], ...] = (
            ("compatibility", part.test),
            ("fill_in_the_blank", part.blanks),
            ("retrieval", part.retrieval),
        )
        for task, asked in named:
            if asked:
                digests.setdefault(task, {})[part.protocol] = _digest(asked)
    return digests


def _digest(asked: Sequence[CompatibilityQuestion] | Sequence[FillInTheBlankQuestion]) -> str:
    digest = hashlib.sha256()
    for line in _lines(asked):
        digest.update(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def _lines(asked: Sequence[CompatibilityQuestion] | Sequence[FillInTheBlankQuestion]) -> Iterator[list[object]]:
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
    task: Task, protocol: str, asked: Sequence[FillInTheBlankQuestion], scorer: str, scores: NDArray[np.float64]
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
