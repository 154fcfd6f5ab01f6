"""Two runs side by side: a planted difference is found, and what wasn't asked the same isn't tested."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from coordi.artifacts import Record, stage_folder, write_json
from coordi.errors import ArtifactError, EvaluationError
from coordi.evaluation import metrics
from coordi.evaluation.compare import Comparison, compare_runs, comparison_headline, read_run
from coordi.evaluation.external import write_scores
from coordi.evaluation.metrics import holm
from coordi.evaluation.page import render_comparison
from coordi.evaluation.report import ReportData, report_json
from coordi.types import Dataset

from .conftest import make_wardrobe
from .reports import Page, small_report, wide_report


def save_run(folder: Path, report: ReportData) -> Path:
    """A finished run's folder, as the command line leaves it."""
    with stage_folder(folder, Record(report.command, report.settings, 17, {"outfits.jsonl": "ab" * 32})):
        write_scores(folder, report.evaluation)
        write_json(folder / "report.json", report_json(report))
        write_json(folder / "run.json", {})
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    wardrobe, folder = make_wardrobe(), tmp_path_factory.mktemp("runs")
    return {
        "weak": save_run(folder / "weak", wide_report(wardrobe, strength=0.0)),
        "strong": save_run(folder / "strong", wide_report(wardrobe, strength=9.0)),
        "seed": save_run(folder / "seed", wide_report(wardrobe, seed=18)),
    }


@cache
def compared(one: Path, other: Path) -> Comparison:
    return compare_runs(read_run(one), read_run(other))


@pytest.mark.slow
def test_a_planted_difference_is_found_on_the_same_questions(runs: dict[str, Path]) -> None:
    found = compared(runs["weak"], runs["strong"])
    assert found.refused == found.left_out == ()
    assert len(found.models) == 10
    rows = {(row["task"], row["protocol"]): row for row in found.models}
    for place in (("compatibility", "random"), ("compatibility", "release"), ("fill_in_the_blank", "random")):
        assert rows[place]["standing"] == "ahead"
    row = rows["compatibility", "random"]
    reports = [json.loads((runs[name] / "report.json").read_text()) for name in ("weak", "strong")]
    aucs = [report["tasks"]["compatibility"]["random"]["auc"] for report in reports]
    assert row["values"] == aucs
    assert row["ahead"] == aucs[1] - aucs[0]
    assert row["ahead_ci95"] is not None
    assert row["ahead_ci95"][0] < row["ahead"] < row["ahead_ci95"][1]
    assert "strong is significantly ahead of weak in" in comparison_headline(found)
    back = compared(runs["strong"], runs["weak"])
    assert {row["standing"] for row in back.models} <= {"behind", "not significant"}
    assert back.models[0]["ahead"] == -row["ahead"]


def test_every_scorer_that_both_have_is_the_same_in_both(runs: dict[str, Path]) -> None:
    found = compared(runs["weak"], runs["strong"])
    # Eleven others answered everything in ten places, and the one from a file the blanks of one.
    assert len(found.scorers) == 11 * 10 + 1
    assert {(row["ahead"], row["standing"]) for row in found.scorers} == {(0.0, "not significant")}
    assert all(row["scorers"][0] == row["scorers"][1] for row in found.scorers)


def test_a_run_beside_itself_differs_in_nothing(runs: dict[str, Path]) -> None:
    found = compared(runs["weak"], runs["weak"])
    assert {row["standing"] for row in found.models} == {"not significant"}
    assert found.differing == {"data": {}, "settings": {}, "versions": {}}


def test_p_values_are_corrected_over_their_own_table(runs: dict[str, Path]) -> None:
    found = compared(runs["weak"], runs["strong"])
    for rows in (found.models, found.scorers):
        p_values = [row["p_value"] for row in rows if row["p_value"] is not None]
        assert [row["p_holm"] for row in rows] == holm(p_values)
    assert found.models[0]["same_questions"]
    assert found.models[0]["p_holm"] != found.models[0]["p_value"]


def test_the_paired_interval_is_that_of_the_resampled_difference(runs: dict[str, Path]) -> None:
    found = compared(runs["weak"], runs["strong"])
    row = next(row for row in found.models if (row["task"], row["protocol"]) == ("retrieval", "same-category"))
    tables = [pq.read_table(runs[name] / "scores.parquet").to_pylist() for name in ("weak", "strong")]
    ranks = []
    for table in tables:
        kept = [one for one in table if one["task"] == "retrieval" and one["scorer"] == "fine-tuned"]
        scores = np.array([one["score"] for one in kept]).reshape(-1, 6)
        answers = np.array([one["truth"] for one in kept]).reshape(-1, 6).argmax(axis=1)
        ranks.append(metrics.true_ranks(scores, answers))
    # One query per outfit: a plain bootstrap of the mean difference of 1 / rank.
    gains = 1 / ranks[1] - 1 / ranks[0]
    rng = np.random.default_rng(5)
    draws = [np.mean(gains[rng.integers(len(gains), size=len(gains))]) for _ in range(4000)]
    assert row["ahead"] == pytest.approx(np.mean(gains))
    assert row["ahead_ci95"] == pytest.approx(np.percentile(draws, [2.5, 97.5]), abs=0.03)


def test_other_questions_are_refused_a_test(runs: dict[str, Path]) -> None:
    found = compared(runs["weak"], runs["seed"])
    assert {row["standing"] for row in found.models} == {"not comparable"}
    assert {row["same_questions"] for row in found.models} == {False}
    assert len(found.refused) == 10
    assert all("the questions differ (seeds 17 and 18), so there is no test" in text for text in found.refused)
    assert (
        comparison_headline(found) == "There is no test between weak and seed: they didn’t answer the same questions."
    )
    assert found.differing["settings"] == {"seed": ("17", "18")}


def changed(run: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a run with another report."""
    folder.mkdir()
    for path in run.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    report = json.loads((folder / "report.json").read_text())
    change(report)
    write_json(folder / "report.json", report)
    return folder


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda report: report["data"].update(name="other"), "data 'wardrobe' and 'other'"),
        (lambda report: report["data"]["splits"]["test"].update(outfits=13), "other outfits of 'wardrobe'"),
        (lambda report: report["settings"]["evaluate"].update(choices=9), "evaluate.choices 4 and 9"),
        (lambda report: None, "other items or another version of coordi"),
    ],
)
def test_the_reason_for_a_refusal_is_named(
    runs: dict[str, Path], tmp_path: Path, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    def all_changed(report: dict[str, Any]) -> None:
        change(report)
        report["questions"]["compatibility"]["random"] = "0" * 64

    found = compared(runs["weak"], changed(runs["weak"], tmp_path / "other", all_changed))
    assert found.refused == (f"Compatibility, random items: the questions differ ({reason}), so there is no test.",)
    # The other places asked the same and are tested.
    assert [row["same_questions"] for row in found.models].count(False) == 1
    assert "1 more can’t be compared" in comparison_headline(found)


def test_scores_of_other_questions_than_the_report_says_are_an_error(runs: dict[str, Path], tmp_path: Path) -> None:
    mixed = changed(runs["weak"], tmp_path / "mixed", lambda report: None)
    table = pq.read_table(mixed / "scores.parquet")
    flipped = table.set_column(6, "truth", pa.array([not one for one in table["truth"].to_pylist()]))
    pq.write_table(flipped, mixed / "scores.parquet")
    with pytest.raises(ArtifactError, match=r"answer other questions of compatibility \(random\) than"):
        compared(runs["weak"], mixed)
    pq.write_table(table.filter(pa.compute.not_equal(table["scorer"], "fine-tuned")), mixed / "scores.parquet")
    with pytest.raises(ArtifactError, match="has no scores of 'fine-tuned' for compatibility"):
        compared(runs["weak"], mixed)
    cut = table.slice(0, table.num_rows).to_pylist()
    blank = next(place for place, row in enumerate(cut) if row["task"] == "fill_in_the_blank")
    pq.write_table(pa.Table.from_pylist(cut[:blank] + cut[blank + 1 :], table.schema), mixed / "scores.parquet")
    with pytest.raises(ArtifactError, match="not as many for each"):
        compared(runs["weak"], mixed)


def test_a_report_without_its_scores_is_compared_without_a_test(runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_bytes((runs["strong"] / "report.json").read_bytes())
    found = compared(runs["weak"], tmp_path / "kept.json")
    assert {row["standing"] for row in found.models} == {"not comparable"}
    assert "has no scores.parquet beside it" in found.refused[0]


def test_a_base_model_is_compared_with_a_fine_tuned_one(
    wardrobe: Dataset, tmp_path: Path, runs: dict[str, Path]
) -> None:
    report = wide_report(wardrobe)
    results = tuple(
        replace(part, results=(replace(part.results[0], scorer="base"),)) for part in report.evaluation.protocols
    )
    tasks = {
        task: {name: one | {"baselines": {}} for name, one in protocols.items()}
        for task, protocols in report.evaluation.tasks.items()
    }
    base = replace(
        report, model={"name": "base"}, evaluation=replace(report.evaluation, protocols=results, tasks=tasks)
    )
    found = compared(save_run(tmp_path / "base", base), runs["strong"])
    assert {tuple(row["scorers"]) for row in found.models} == {("base", "fine-tuned")}
    assert found.models[0]["same_questions"]
    assert found.scorers == ()


def test_no_protocol_in_common_is_an_error(runs: dict[str, Path], tmp_path: Path) -> None:
    def only(*kept: str) -> Callable[[dict[str, Any]], None]:
        def change(report: dict[str, Any]) -> None:
            for task, protocols in report["tasks"].items():
                report["tasks"][task] = {name: one for name, one in protocols.items() if name in kept}

        return change

    one = changed(runs["weak"], tmp_path / "one", only("random"))
    other = changed(runs["weak"], tmp_path / "other", only("pairs", "release"))
    with pytest.raises(EvaluationError, match="no protocol in common: random against pairs, release"):
        compared(one, other)
    both = changed(runs["weak"], tmp_path / "both", only("random", "pairs"))
    assert "Compatibility, pairs of items: only in both" in compared(one, both).left_out


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, r"isn't a run's folder: it has no report.json"),
        ({"run.json": "{}"}, r"isn't finished: it has no report.json yet"),
        ({"report.json": "[]"}, r"isn't a report of coordi"),
        ({"report.json": "{"}, r"can't be read"),
        ({"report.json": '{"tasks": {}, "format": 2}'}, r"has no 'data'"),
        (
            {"report.json": '{"tasks": {}, "versions": {"coordi": "0.0.9"}}'},
            r"is of format 1, made by coordi 0.0.9; this one reads format 2",
        ),
    ],
)
def test_what_is_no_finished_run_is_one_clear_error(tmp_path: Path, files: dict[str, str], told: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match=told):
        read_run(tmp_path)
    with pytest.raises(ArtifactError, match=r"no run at '.*nowhere': no such folder"):
        read_run(tmp_path / "nowhere")


def test_a_report_of_a_later_format_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    later = changed(runs["weak"], tmp_path / "later", lambda report: report.update(format=3))
    with pytest.raises(ArtifactError, match=r"is of format 3, made by coordi 0.1.0; this one reads format 2"):
        read_run(later)


def test_a_run_that_was_interrupted_after_its_report_is_not_finished(wardrobe: Dataset, tmp_path: Path) -> None:
    folder = save_run(tmp_path / "run", small_report(wardrobe, tmp_path))
    assert read_run(folder).manifest["seed"] == 17
    (folder / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"isn't finished: it has no manifest.json"):
        read_run(folder)
    (folder / "run.json").unlink()
    assert read_run(folder).manifest == {}


@pytest.mark.slow
def test_the_page_shows_the_comparison_and_needs_nothing_else(runs: dict[str, Path], tmp_path: Path) -> None:
    def hostile(report: dict[str, Any]) -> None:
        report["command"] = "coordi <script>alert(1)</script>"
        report["settings"]["name"] = "<b>x</b>"

    other = changed(runs["strong"], tmp_path / "other", hostile)
    html = render_comparison(compared(runs["weak"], other))
    page = Page(html)
    assert "<script>" not in html
    assert "<b>x</b>" not in html
    assert not re.search(r"url\(|@import|https?://", html)
    found = compared(runs["weak"], other)
    for row in found.models:
        assert f"{row['values'][0]:.3f}" in page.text
        assert f"{row['values'][1]:.3f}" in page.text
        assert f"{row['ahead']:+.3f}".replace("-", "−").replace("+0.000", "0.000") in page.text
    assert "Not comparable" not in page.text
    refused = Page(render_comparison(compared(runs["weak"], runs["seed"]))).text
    assert "Not comparable" in refused
    assert "(seeds 17 and 18)" in refused
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert {attributes["href"] for tag, attributes in page.tags if tag == "a"} == {f"#{name}" for name in ids}


def test_the_json_of_a_comparison_is_json(runs: dict[str, Path]) -> None:
    found = json.loads(json.dumps(compared(runs["weak"], runs["seed"]).as_json(), allow_nan=False))
    assert found["models"][0]["same_questions"] is False
    assert found["models"][0]["p_value"] is None
    tested = compared(runs["weak"], runs["strong"]).as_json()["models"][0]
    assert tested["same_questions"] is True
    assert tested["p_holm"] <= 0.05
    assert tested["ahead_ci95"][0] > 0
