"""What a run found, as ``report.json``, ``scores.parquet`` and a page that needs nothing but itself."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from coordi.artifacts import atomic_path, write_json, write_text
from coordi.data.leaks import Leak
from coordi.domain import Dataset
from coordi.evaluate.benchmark import Evaluation
from coordi.evaluate.findings import Report, split_counts
from coordi.evaluate.page import render_html


def write_report(folder: Path, report: Report) -> None:
    """Write ``report.json``, ``report.html`` and ``scores.parquet``, each whole or not at all.

    Raises:
        ArtifactError: If the folder can't be written.
    """
    write_scores(folder / "scores.parquet", report.evaluation)
    write_text(folder / "report.html", render_html(report))
    write_json(folder / "report.json", report_json(report))


def report_json(report: Report) -> dict[str, Any]:
    """What ``report.json`` holds; the keys are those of the design, in its order."""
    return {
        "data": data_summary(report.dataset, report.leaks),
        "model": dict(report.model),
        "settings": dict(report.settings),
        "tasks": dict(report.evaluation.tasks),
        "training": [asdict(point) for point in report.training],
        "recommendations": [
            {
                "outfit": list(shown.outfit),
                "want": shown.want,
                "taken": shown.taken,
                "shortlist": shown.shortlist,
                "suggestions": [{"item": item_id, "score": score} for item_id, score in shown.suggestions],
            }
            for shown in report.recommendations
        ],
        "command": report.command,
        "versions": dict(report.versions),
    }


def data_summary(dataset: Dataset, leaks: tuple[Leak, ...]) -> dict[str, Any]:
    """The ``data`` of ``report.json``: what was recognised, the funnel, counts per split and the audit."""
    return {
        "name": dataset.name,
        "layout": dataset.layout,
        "text_only": dataset.text_only,
        "items": len(dataset.items),
        "photos": sum(item.image is not None for item in dataset.items.values()),
        "funnel": [asdict(row) for row in dataset.funnel],
        "splits": split_counts(dataset),
        "leaks": [asdict(leak) for leak in leaks],
    }


def write_scores(path: Path, evaluation: Evaluation) -> None:
    """Write every score of every scorer, one row per test question or candidate.

    ``candidate`` is null for compatibility questions; ``truth`` says whether the outfit, or the candidate, is the
    real one.

    Raises:
        ArtifactError: If the file can't be written.
    """
    rows: list[tuple[str, str, str, str, int | None, str, bool, float]] = []
    for protocol in evaluation.protocols:
        asked = protocol.questions
        for result in protocol.results:
            rows += [
                ("compatibility", asked.protocol, one.id, one.outfit_id, None, result.scorer, one.compatible, score)
                for one, score in zip(asked.test, result.scores.tolist(), strict=True)
            ]
            rows += [
                ("fill_in_the_blank", asked.protocol, blank.id, blank.outfit_id, place, result.scorer,
                 place == blank.answer, score)
                for blank, scores in zip(asked.blanks, result.blank_scores.tolist(), strict=True)
                for place, score in enumerate(scores)
            ]  # fmt: skip
    names = ("task", "protocol", "question_id", "outfit_id", "candidate", "scorer", "truth", "score")
    types = [*[pa.string()] * 4, pa.int32(), pa.string(), pa.bool_(), pa.float64()]
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    arrays = [pa.array(column, type_) for column, type_ in zip(columns, types, strict=True)]
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(arrays, names=list(names)), temporary)
