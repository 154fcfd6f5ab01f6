"""``coordi report``: a finished run in the terminal, two side by side, and Markdown for the docs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from coordi.artifacts import read_json, write_json
from coordi.cli.main import build_app
from coordi.errors import ArtifactError
from coordi.evaluation.external import write_scores
from coordi.evaluation.report import ReportData, report_json

from ..evaluation.conftest import make_wardrobe
from ..evaluation.reports import wide_report


def write_run(folder: Path, report: ReportData) -> None:
    write_scores(folder, report.evaluation)
    write_json(folder / "report.json", report_json(report))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    folder, wardrobe = tmp_path_factory.mktemp("runs"), make_wardrobe()
    write_run(folder / "weak", wide_report(wardrobe, strength=0.0))
    write_run(folder / "strong", wide_report(wardrobe, strength=9.0))
    write_run(folder / "seed", wide_report(wardrobe, seed=18))
    return folder / "weak", folder / "strong", folder / "seed"


def coordi(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build_app(), ["report", *map(str, arguments)])


@pytest.mark.slow
def test_show_prints_the_summary_and_the_conclusion(runs: tuple[Path, Path, Path]) -> None:
    result = coordi("show", runs[0])
    assert result.exit_code == 0, result.output
    figures = read_json(runs[0] / "report.json")["tasks"]["compatibility"]["random"]
    for words in ("wardrobe: 12 test outfits, seed 17", "Retrieval, MRR", "=cmd()|x, <b>", f"{figures['auc']:.3f}"):
        assert words in result.stdout
    assert "The test split is too small for a conclusion" in result.stdout
    assert "warning: baselines: encoder-vectors were left out: no photo <b>." in result.stderr


def test_show_as_json_is_the_report(runs: tuple[Path, Path, Path]) -> None:
    assert json.loads(coordi("show", runs[0], "--json").stdout) == read_json(runs[0] / "report.json")


@pytest.mark.slow
def test_compare_finds_the_planted_difference_and_writes_the_page(
    runs: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    result = coordi("compare", runs[0], runs[1], "--out", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    assert "strong is significantly ahead of weak in" in result.stdout
    assert "111 figures of other scorers are the same in both" in result.stdout
    assert "<h1>weak and strong</h1>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    found = json.loads(coordi("compare", runs[0], runs[1], "--json").stdout)
    assert found["models"][0]["standing"] == "ahead"
    assert found["not_comparable"] == []


def test_compare_says_loudly_what_it_refuses(runs: tuple[Path, Path, Path]) -> None:
    result = coordi("compare", runs[0], runs[2])
    assert result.exit_code == 0, result.output
    assert "NOT COMPARABLE. Compatibility, random items: the questions differ (seeds 17 and 18)" in result.stderr
    assert "There is no test between weak and seed" in result.stdout


def test_markdown_is_printed_or_written(runs: tuple[Path, Path, Path], tmp_path: Path) -> None:
    printed = coordi("markdown", runs[0], runs[1]).stdout
    assert printed.count("**Conclusion.**") == 2
    result = coordi("markdown", runs[0], runs[1], "--out", tmp_path / "results.md")
    assert result.stdout == ""
    assert (tmp_path / "results.md").read_text(encoding="utf-8") == printed


def test_no_run_is_one_clear_error(tmp_path: Path) -> None:
    for arguments in (("show", tmp_path), ("compare", tmp_path, tmp_path), ("markdown", tmp_path)):
        result = coordi(*arguments)
        assert isinstance(result.exception, ArtifactError)
        assert "isn't a run's folder" in str(result.exception)
