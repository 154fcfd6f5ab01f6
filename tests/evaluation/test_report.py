"""The report's files: what they hold, that they can be read back, and that the same report gives the same bytes."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from coordi.data.leaks import Leak
from coordi.errors import ArtifactError
from coordi.evaluation.benchmark import Evaluation
from coordi.evaluation.export import escape_latex, render_latex
from coordi.evaluation.external import question_digests, read_scores, score_table, write_scores
from coordi.evaluation.page import write_report
from coordi.evaluation.question_sets import ProtocolQuestions
from coordi.evaluation.report import ReportData, report_json
from coordi.evaluation.scoring import ProtocolResult, ReportWarning, ScorerResult
from coordi.evaluation.summary import summarise

from .reports import TEST, make_question

FILES = ("report.json", "report.html", "table.tex", "scores.parquet", "scores.csv")


def test_report_json_has_the_keys_of_the_design(report: ReportData) -> None:
    found = report_json(report)
    assert list(found)[:4] == ["data", "model", "settings", "tasks"]
    figures = found["tasks"]["compatibility"]["random"]
    assert {"n", "positives", "accuracy", "f1", "auc", "ci95", "threshold", "baselines"} <= set(figures)
    assert set(figures["ci95"]) == {"accuracy", "f1", "auc"}
    assert {"n", "choices", "accuracy", "ci95", "baselines"} <= set(found["tasks"]["fill_in_the_blank"]["random"])
    assert found["data"]["splits"]["test"] == {"outfits": 12, "items": 48, "photos": 1}
    assert found["data"]["funnel"][1]["count"] == 3
    assert found["settings"]["seed"] == 17
    assert found["training"][1] == {"step": 10, "train_loss": 0.6, "valid_loss": 0.6, "valid_auc": 0.6}
    assert found["recommendations"][0]["suggestions"][0] == {"item": "175", "score": 0.75}
    assert found["format"] == 2


def test_report_json_has_every_warning_once(wide: ReportData) -> None:
    found = report_json(replace(wide, warnings=(*wide.warnings, *wide.warnings)))
    told = [(one["where"], one["text"]) for one in found["warnings"]]
    assert told[0] == ("baselines", "encoder-vectors were left out: no photo <b>.")
    assert len(set(told)) == len(told)
    assert any("3 of the release's 27 questions" in text for _, text in told)
    assert any("12 test outfits" in text for _, text in told)


def test_a_leak_is_warned_of_if_a_model_can_gain_by_it(report: ReportData) -> None:
    leaks = (
        Leak("order", "random", "categories by position tell the answer", auc=0.91),
        Leak("ids", "random", "numbers of question ids tell the answer", auc=0.9, visible=False),
        Leak("titles", "train and test", "51 of 955 test items have a title that train has", auc=0.519, count=51),
        Leak("position", "random blanks", "the answer stands first", accuracy=0.27, chance=0.25),
        Leak("photos", "train and test", "3 photos are in both", count=3),
    )
    told = report_json(replace(report, leaks=leaks))["warnings"]
    assert {"where": "random", "text": "Leak (order): categories by position tell the answer."} in told
    assert {"where": "random blanks", "text": "Leak (position): the answer stands first."} in told
    assert sum(one["text"].startswith("Leak") for one in told) == 2


def test_too_few_resamples_for_the_correction_are_warned_of(wide: ReportData) -> None:
    def warned(bootstrap: int) -> list[ReportWarning]:
        settings = dict(wide.settings) | {"evaluate": {"bootstrap": bootstrap}}
        return [one for one in replace(wide, settings=settings).all_warnings if one.where == "differences"]

    # Twelve scorers stand beside the model (the one from a file in fill-in-the-blank): 2 * 12 / 480 is 0.05.
    assert "evaluate.bootstrap=480 or more" in warned(100)[0].text
    assert len(warned(479)) == 1
    assert warned(480) == []


@pytest.mark.slow
def test_the_same_report_gives_the_same_bytes(wide: ReportData, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_report(tmp_path / folder, wide)
    assert {path.name for path in (tmp_path / "a").iterdir()} == set(FILES)
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert json.loads((tmp_path / "a" / "report.json").read_text()) == json.loads(json.dumps(report_json(wide)))


def test_scores_hold_every_score_of_every_scorer(report: ReportData, tmp_path: Path) -> None:
    write_report(tmp_path, report)
    rows = pq.read_table(tmp_path / "scores.parquet").to_pylist()
    assert len(rows) == 2 * (len(TEST) + 4)
    assert rows[0] == {
        "task": "compatibility", "protocol": "random", "question_id": "test-0-True", "outfit_id": "test-0",
        "candidate": None, "scorer": "fine-tuned", "truth": True, "score": 0.9,
    }  # fmt: skip
    blanks = [row for row in rows if row["task"] == "fill_in_the_blank" and row["scorer"] == "fine-tuned"]
    assert [(row["candidate"], row["truth"], row["score"]) for row in blanks] == [
        (0, True, 0.9), (1, False, 0.6), (0, False, 0.3), (1, True, 0.2),
    ]  # fmt: skip


def test_scores_hold_retrieval_and_only_what_was_answered(wide: ReportData) -> None:
    table = score_table(wide.evaluation).to_pylist()
    retrieval = [row for row in table if row["task"] == "retrieval" and row["scorer"] == "fine-tuned"]
    asked_of = next(part.questions for part in wide.evaluation.protocols if part.questions.retrieval)
    assert len(retrieval) == 6 * len(asked_of.retrieval) > 0
    assert sum(row["truth"] for row in retrieval) == len(asked_of.retrieval)
    partial = {(row["task"], row["protocol"]) for row in table if row["scorer"].startswith("=cmd")}
    assert partial == {("fill_in_the_blank", "random")}
    assert not [row for row in table if row["protocol"].startswith("release-odd") and row["task"] == "compatibility"]


def test_the_csv_holds_the_same_rows_and_runs_nothing(wide: ReportData, tmp_path: Path) -> None:
    write_report(tmp_path, wide)
    table = read_scores(tmp_path / "scores.parquet").to_pylist()
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(table)
    assert list(rows[0]) == ["task", "protocol", "question_id", "outfit_id", "candidate", "scorer", "truth", "score"]
    for row, known in zip(rows, table, strict=True):
        assert float(row["score"]) == known["score"]
        assert row["truth"] == str(known["truth"]).lower()
        assert row["candidate"] == ("" if known["candidate"] is None else str(known["candidate"]))
        assert row["scorer"].removeprefix("'") == known["scorer"]
        assert all(row[name][:1] not in "=+-@\t\r" for name in ("protocol", "question_id", "outfit_id", "scorer"))
    assert {row["scorer"] for row in rows if row["scorer"].startswith("'")} == {"'=cmd()|x, <b>"}
    assert pa_csv.read_csv(tmp_path / "scores.csv").column("score").to_pylist() == [row["score"] for row in table]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(report: ReportData, tmp_path: Path, start: str) -> None:
    name = f'{start}HYPERLINK("x";"y")'
    part = report.evaluation.protocols[0]
    named = Evaluation((replace(part, results=(replace(part.results[0], scorer=name),)),), report.evaluation.tasks)
    write_scores(tmp_path, named)
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8-sig") as file:
        assert {row["scorer"] for row in csv.DictReader(file)} == {"'" + name}


def test_a_byte_order_mark_stands_only_before_what_needs_it(report: ReportData, tmp_path: Path) -> None:
    write_scores(tmp_path / "plain", report.evaluation)
    assert (tmp_path / "plain" / "scores.csv").read_bytes()[:7] == b'"task",'
    part = report.evaluation.protocols[0]
    questions = replace(part.questions, test=tuple(replace(one, outfit_id="코디") for one in part.questions.test))
    wide = Evaluation((replace(part, questions=questions),), report.evaluation.tasks)
    write_scores(tmp_path / "wide", wide)
    assert (tmp_path / "wide" / "scores.csv").read_bytes()[:10] == b'\xef\xbb\xbf"task",'
    assert pa_csv.read_csv(tmp_path / "wide" / "scores.csv").column_names[0] == "task"


def test_scores_of_nothing_are_an_empty_table() -> None:
    assert score_table(Evaluation((), {})).num_rows == 0


def test_scores_of_another_version_are_one_clear_error(tmp_path: Path, report: ReportData) -> None:
    write_report(tmp_path, report)
    pq.write_table(pq.read_table(tmp_path / "scores.parquet").drop(["truth"]), tmp_path / "old.parquet")
    with pytest.raises(ArtifactError, match=r"old\.parquet has no column 'truth' \(it has task, protocol"):
        read_scores(tmp_path / "old.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(ArtifactError, match="can't be read"):
        read_scores(tmp_path / "broken.parquet")


def test_digests_tell_other_questions_under_the_same_ids(report: ReportData) -> None:
    part = report.evaluation.protocols[0].questions
    known = question_digests([part])
    assert set(known) == {"compatibility", "fill_in_the_blank"}
    other = replace(part, test=(make_question("168,175", "test-0", True), *part.test[1:]))
    assert question_digests([other])["compatibility"] != known["compatibility"]
    assert question_digests([other])["fill_in_the_blank"] == known["fill_in_the_blank"]
    swapped = replace(part, blanks=(replace(part.blanks[0], candidates=("173", "169")), *part.blanks[1:]))
    assert question_digests([swapped])["fill_in_the_blank"] != known["fill_in_the_blank"]


def figures_of(tex: str) -> list[list[tuple[str, bool]]]:
    """The figures of each scorer's row of LaTeX tables, with whether they are bold."""
    rows = []
    for line in tex.splitlines():
        cells = [cell.strip() for cell in line.removesuffix(r"\\").split(" & ")[1:]]
        cells = [cell.removeprefix(r"\shortstack[r]{").partition(r"\\")[0] for cell in cells]
        found = [re.fullmatch(r"(\\textbf\{)?(\d\.\d{3})\}?(\$\^\{\\d?dagger\}\$)?", cell) for cell in cells]
        if cells and any(found) and not line.startswith(("guessing", "smallest")):
            rows.append([("--", False) if one is None else (one[2], bool(one[1])) for one in found])
    return rows


def test_the_latex_table_has_the_figures(wide: ReportData) -> None:
    found = report_json(wide)
    tex = render_latex(found)
    summary = summarise(found["tasks"], "fine-tuned")
    assert tex.count(r"\begin{table*}") == tex.count(r"\end{table*}") == 3
    expected = []
    for task in ("compatibility", "fill_in_the_blank", "retrieval"):
        places = [place for place, column in enumerate(summary.columns) if column.task == task]
        for row in summary.rows:
            cells = [row.cells[place] for place in places]
            if any(cells):
                expected.append([("--", False) if one is None else (f"{one.value:.3f}", one.is_best) for one in cells])
    assert figures_of(tex) == expected
    low, high = found["tasks"]["compatibility"]["pairs"]["ci95"]["auc"]
    assert rf"{{\scriptsize {f'{low:.3f}'.removeprefix('0')}--{f'{high:.3f}'.removeprefix('0')}}}" in tex
    assert "wardrobe: 12 test outfits, seed 17, 95\\% bootstrap intervals" in tex
    assert "\\midrule\nguessing & 0.500" in tex


def test_latex_is_balanced_and_escaped(wide: ReportData) -> None:
    tex = render_latex(report_json(replace(wide, dataset=replace(wide.dataset, name=r"50%_of \input{x} & #1 $~^"))))
    assert r"50\%\_of \textbackslash{}input\{x\} \& \#1 \$\textasciitilde{}\textasciicircum{}" in tex
    assert "=cmd()$|$x, $<$b$>$ & " in tex
    assert r"\label{tab:coordi-50-of-input-x-1-1}" in tex
    unescaped = re.sub(r"\\[\\{}%&#_$]", "", tex.replace(r"\\", ""))
    assert unescaped.count("{") == unescaped.count("}")
    for body in re.findall(r"\\begin\{tabular\}\{(l r*|lr*)\}(.*?)\\end\{tabular\}", tex, re.DOTALL):
        columns = len(body[0])
        for line in body[1].splitlines():
            if line.endswith(r"\\"):
                spans = sum(int(span) - 1 for span in re.findall(r"multicolumn\{(\d)\}", line))
                assert len(re.findall(r"(?<!\\)&", line)) + 1 + spans == columns, line


def test_each_task_has_a_table(report: ReportData) -> None:
    tex = render_latex(report_json(report))
    assert tex.count(r"\begin{tabular}{lr}") == 2
    assert tex.count("\nscorer & random \\\\\n") == 2
    assert "\\caption{Fill in the blank, accuracy. wardrobe: 12 test outfits" in tex
    assert escape_latex("a\nb\x00c <d> “e”") == "a b c $<$d$>$ “e”"


def test_the_latex_compiles(wide: ReportData, tmp_path: Path) -> None:
    if (
        shutil.which("pdflatex") is None
        or b"booktabs" not in subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True, check=False).stdout
    ):
        pytest.skip("no LaTeX with booktabs here")
    (tmp_path / "table.tex").write_text(render_latex(report_json(wide)), encoding="utf-8")
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n\\input{table}\n\\end{document}\n",
        encoding="utf-8",
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_a_folder_that_cannot_be_written_is_one_clear_error(report: ReportData, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match="can't be written"):
        write_report(tmp_path / "file" / "out", report)


def test_a_scorer_that_answered_nothing_leaves_no_rows() -> None:
    empty = ScorerResult("none", np.nan, np.zeros(0), np.zeros((0, 0)))
    part = ProtocolResult(ProtocolQuestions("random", test=TEST), (empty,))
    assert score_table(Evaluation((part,), {})).num_rows == 0
