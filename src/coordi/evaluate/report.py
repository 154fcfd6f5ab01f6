"""What a run found, as files: JSON and scores for programs, LaTeX for a paper, and a page that needs only itself."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from coordi.artifacts import write_json, write_text
from coordi.data.leaks import Leak
from coordi.domain import Dataset
from coordi.evaluate.findings import Report, split_counts
from coordi.evaluate.latex import render_latex
from coordi.evaluate.page import render_html
from coordi.evaluate.score_files import question_digests, write_scores

REPORT_JSON, REPORT_HTML, TABLE_TEX = "report.json", "report.html", "table.tex"
FORMAT = 2
"""Of ``report.json``; raised when a key changes its meaning or goes."""


def write_report(folder: Path, report: Report) -> None:
    """Write ``report.json``, ``report.html``, ``table.tex`` and the scores, each file whole or not at all.

    Raises:
        ArtifactError: If the folder can't be written.
    """
    found = report_json(report)
    write_scores(folder, report.evaluation)
    write_text(folder / REPORT_HTML, render_html(report))
    write_text(folder / TABLE_TEX, render_latex(found))
    write_json(folder / REPORT_JSON, found)


def report_json(report: Report) -> dict[str, Any]:
    """What ``report.json`` holds; the keys are those of the design, in its order."""
    warnings = dict.fromkeys((caution.where, caution.text) for caution in report.cautions)
    return {
        "data": data_summary(report.dataset, report.leaks),
        "model": {**report.model, "name": report.under_test},
        "settings": dict(report.settings),
        "tasks": dict(report.evaluation.tasks),
        "warnings": [{"where": where, "text": text} for where, text in warnings],
        "seeds": None if report.seeds is None else dict(report.seeds),
        "learning_curve": [dict(point) for point in report.learning_curve],
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
        "questions": question_digests([part.questions for part in report.evaluation.protocols]),
        "command": report.command,
        "versions": dict(report.versions),
        "format": FORMAT,
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
