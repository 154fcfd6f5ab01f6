"""The one table over all protocols, and how it and what goes with it are printed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from coordi.artifacts import write_json
from coordi.evaluation.compare import FinishedRun, read_run
from coordi.evaluation.export import escape_markdown, render_markdown
from coordi.evaluation.page import breakdown_tables, write_report
from coordi.evaluation.report import ReportData, report_json
from coordi.evaluation.summary import (
    chance,
    format_figure,
    format_p_value,
    format_signed,
    lower_first,
    scorer_words,
    subject_words,
    summarise,
)
from coordi.types import Dataset

from .reports import figures, small_report


@pytest.fixture(scope="module")
def wide_run(wide: ReportData, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    folder = tmp_path_factory.mktemp("wide")
    write_json(folder / "report.json", report_json(wide))
    return read_run(folder)


def test_rows_go_from_the_model_and_its_base_down_by_mean_auc() -> None:
    tasks = {
        "compatibility": {
            "random": figures(0.6, size=(0.5, 0.9), base=(0.4, 0.01), title_cosine=(0.9, 0.01), chance=(0.5, 0.9)),
            "pairs": figures(0.6, size=(0.7, 0.9), base=(0.4, 0.01), title_cosine=(0.2, 0.01)),
        },
        "fill_in_the_blank": {},
    }
    summary = summarise(tasks, "fine-tuned")
    # Means: size 0.6, title-cosine 0.55, chance 0.5 of the one column it answered.
    assert [row.scorer for row in summary.rows] == ["fine-tuned", "base", "size", "title-cosine", "chance"]
    assert [row.cells[1] is None for row in summary.rows] == [False, False, False, False, True]
    assert [(column.task, column.protocol, column.n) for column in summary.columns] == [
        ("compatibility", "random", 400), ("compatibility", "pairs", 400),
    ]  # fmt: skip


def test_the_best_of_a_column_is_what_prints_as_its_highest() -> None:
    tasks = {"compatibility": {"random": figures(0.70004, size=(0.7001, None), chance=(0.6, None))}}
    cells = [row.cells[0] for row in summarise(tasks, "fine-tuned").rows]
    assert [cell is not None and cell.is_best for cell in cells] == [True, True, False]


@pytest.mark.parametrize(
    ("value", "p_holm", "mark"),
    [(0.4, 0.049, "ahead"), (0.9, 0.049, "behind"), (0.4, 0.05, ""), (0.9, None, "")],
)
def test_only_the_corrected_p_value_tells_scorers_apart(value: float, p_holm: float | None, mark: str) -> None:
    summary = summarise({"compatibility": {"random": figures(0.6, size=(value, p_holm))}}, "fine-tuned")
    model, other = (row.cells[0] for row in summary.rows)
    assert model is not None
    assert other is not None
    assert (model.mark, other.mark) == ("", mark)
    assert summary.has_marks is bool(mark)


def test_chance_is_what_guessing_reaches() -> None:
    assert chance("compatibility", 0) == 0.5
    assert chance("fill_in_the_blank", 4) == 0.25
    # A pool of three: the true item is first, second or third, each as often.
    assert chance("retrieval", 3) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_a_figure_without_an_interval_stands_alone() -> None:
    broken = figures(0.6, size=(0.5, None))
    broken["ci95"]["auc"] = None
    broken["baselines"]["size"]["model_ahead"] |= {"ci95": None, "p_value": None, "smallest_difference": None}
    summary = summarise({"compatibility": {"random": broken}}, "fine-tuned")
    assert [cell is not None and cell.interval is None for cell in summary.rows[0].cells] == [True]


def test_breakdowns_leave_out_what_has_no_rows() -> None:
    rows = [{"value": "2", "n": 5, "positives": 5, "auc": None, "accuracy": 0.8}]
    found = breakdown_tables("compatibility", {"breakdown": {"size": rows, "category": [], "brand": rows}})
    assert [table.caption for table in found] == ["Compatibility by number of items", "Compatibility by brand"]
    assert [list(row) for row in found[0].rows] == [["2", "5", "5", "–", "0.800"]]


def test_words_and_numbers_as_they_are_printed() -> None:
    assert (format_figure(None), format_figure(0.12345), format_signed(-0.1), format_signed(-0.0001)) == (
        "–",
        "0.123",
        "−0.100",
        "0.000",
    )
    assert (format_p_value(0.0004), format_p_value(0.02), format_p_value(None)) == ("< 0.001", "0.020", "–")
    assert (lower_first("Title"), lower_first("AUC"), lower_first("")) == ("title", "AUC", "")
    assert scorer_words("their-system") == scorer_words("x")._replace(label="their-system")
    assert (subject_words("base"), subject_words("their-system")) == ("The base model", "their-system")


def test_markdown_says_what_the_figures_stand_for(wide_run: FinishedRun) -> None:
    run = wide_run
    text = render_markdown([run])
    tasks = run.report["tasks"]
    figures_of = tasks["compatibility"]["pairs"]["baselines"]["size"]
    low, high = figures_of["ci95"]["auc"]
    row = next(line for line in text.splitlines() if line.startswith("| Number of items"))
    assert f"{figures_of['auc']:.3f} ({low:.3f}–{high:.3f})" in row.replace("*", "")
    assert "| scorer | Random items (n = 24) | Same categories (n = 24) |" in text
    assert "Same categories (n = 12, of 6 candidates) |" in text
    assert "12 test outfits of `wardrobe` (catalogue), 30 for training and 12 for validation; seed 17." in text
    assert "    coordi run --data wardrobe --out wide" in text
    assert "1,000 resamples. Versions: coordi 0.1.0." in text
    assert "* baselines: encoder-vectors were left out: no photo \\<b\\>." in text
    assert "* **One item swapped** (`one-swapped`): made-up outfits differ from a real one in" in text
    assert "**Conclusion.**" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") in {1 + count for count in (6, 5, 4, 2)}


def test_markdown_has_calibration(wide_run: FinishedRun) -> None:
    run = wide_run
    lines = render_markdown([run]).splitlines()
    known = run.report["tasks"]["compatibility"]["pairs"]
    figures = [f"{known['calibration'][key]:.3f}" for key in ("raw_ece", "ece", "ece_if_calibrated", "brier")]
    assert f"| Pairs of items | {' | '.join(figures)} |" in lines


def test_markdown_of_several_runs_has_a_section_each(wardrobe: Dataset, tmp_path: Path) -> None:
    small = small_report(wardrobe, tmp_path)
    for name in ("one", "other"):
        write_report(tmp_path / name, replace(small, dataset=replace(small.dataset, name=f"{name}|x", layout="sample")))
    text = render_markdown([read_run(tmp_path / "one"), read_run(tmp_path / "other")])
    assert text.startswith("# Results\n")
    assert text.count("\n## ") == 2
    assert "## one\\|x: the fine-tuned model" in text
    assert text.count("The garments are drawn: **no figure is a result.**") == 2
    assert escape_markdown("a|b\n*c* [d](e) <f> `g`") == "a\\|b \\*c\\* \\[d\\](e) \\<f\\> \\`g\\`"
