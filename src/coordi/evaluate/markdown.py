"""The summary as Markdown, with the command, the machine and what the figures stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from coordi.evaluate.recorded import RecordedRun
from coordi.evaluate.spread import spread_tables
from coordi.evaluate.summary import Cell, Column, Summary, summarise
from coordi.evaluate.verdict import judge
from coordi.evaluate.wording import (
    METRIC_WORDS,
    TASK_WORDS,
    TASKS,
    figure,
    lower_first,
    place_words,
    protocol_words,
    scorer_words,
    subject_words,
)

_HEAD = (
    "# Results\n\nMade by `coordi report markdown` from the runs' own files; each section ends with the command that "
    "made its run."
)
_MARKS = {"ahead": " ▲", "behind": " ▼", "": ""}
_KEY = (
    "Best of a column in bold, 95% bootstrap intervals by outfit beside each figure. ▲ the model under test is "
    "significantly ahead of this scorer, ▼ behind it (paired bootstrap, p below 0.05 after Holm’s correction)."
)


def render_markdown(runs: Sequence[RecordedRun]) -> str:
    """A section per run: verdict, a table per task, warnings, what protocols mean, and how it was made."""
    return "\n\n".join([_HEAD, *(_section(run) for run in runs)]) + "\n"


def escape_markdown(text: str) -> str:
    """Text as Markdown prints it, in a table too."""
    flat = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", flat)


def _section(run: RecordedRun) -> str:
    report = run.report
    data = report["data"]
    summary = summarise(report["tasks"], run.under_test)
    subject = subject_words(run.under_test)
    outfits = data["splits"]["test"]["outfits"]
    verdict = judge(summary, subject, outfits)
    parts = [
        f"## {escape_markdown(str(data['name']))}: {escape_markdown(lower_first(subject))}",
        _stands_for(run, outfits),
        f"**Is it worth using?** {escape_markdown(verdict.headline)} {escape_markdown(verdict.advice)}",
    ]
    for task in TASKS:
        part = summary.of_task(task)
        if part.columns:
            parts.append(f"### {TASK_WORDS[task]}, {METRIC_WORDS[part.columns[0].metric]}\n\n{_table(part)}")
    parts.append(_KEY)
    meanings = {column.protocol: protocol_words(column.protocol) for column in summary.columns}
    parts.append(
        "\n".join(
            f"* **{escape_markdown(title)}** (`{name}`): {escape_markdown(meaning)}."
            for name, (title, meaning) in meanings.items()
        )
    )
    parts += [*_calibration(report, run.under_test), *_seeds(report), *_learning_curve(report)]
    if report.get("warnings"):
        parts.append("\n".join(["To know before using a figure:", "", *_warnings(report["warnings"])]))
    parts.append(_made_by(run))
    return "\n\n".join(parts)


def _stands_for(run: RecordedRun, outfits: int) -> str:
    data, model = run.report["data"], run.report["model"]
    said = [
        f"{outfits:,} test outfits of `{data['name']}` ({data['layout']}), {data['splits']['train']['outfits']:,} for "
        f"training and {data['splits']['valid']['outfits']:,} for validation; seed {run.seed}."
    ]
    facts = ", ".join(f"{name.replace('_', ' ')} `{value}`" for name, value in model.items())
    said.append(f"Model under test: {facts}.")
    if data["layout"] == "sample":
        said.append("The garments are drawn: **no figure is a result.**")
    if data["text_only"]:
        photos, items = (data["splits"]["test"][key] for key in ("photos", "items"))
        said.append(f"Text-only mode: {photos:,} of {items:,} test items have a photo.")
    return " ".join(said)


def _table(summary: Summary) -> str:
    heads = ["scorer", *(f"{column.title} (n = {column.n:,}{_among(column)})" for column in summary.columns)]
    lines = [_line(heads), _line(["---", *["---:"] * len(summary.columns)])]
    for row in summary.rows:
        label = escape_markdown(scorer_words(row.scorer).label)
        lines.append(_line([label, *(_cell(cell) for cell in row.cells)]))
    lines.append(_line(["guessing", *(figure(column.chance) for column in summary.columns)]))
    lines.append(_line(["smallest lead over guessing that shows", *(figure(one.smallest) for one in summary.columns)]))
    return "\n".join(lines)


def _among(column: Column) -> str:
    return f", of {column.among} candidates" if column.among else ""


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    value = f"**{figure(cell.value)}**" if cell.is_best else figure(cell.value)
    between = "" if cell.interval is None else f" ({figure(cell.interval[0])}–{figure(cell.interval[1])})"
    return value + between + _MARKS[cell.mark]


def _calibration(report: Mapping[str, Any], under_test: str) -> list[str]:
    """Expected calibration error before and after calibration, of the model under test."""
    rows = [
        _line([protocol_words(protocol)[0], figure(one.get("raw_ece")), figure(one["ece"]), figure(one["brier"])])
        for protocol, figures in report["tasks"].get("compatibility", {}).items()
        if (one := figures.get("calibration"))
    ]
    if not rows:
        return []
    head = [_line(["protocol", "ECE as it is", "ECE after calibration", "Brier score"]), _line(["---", *["---:"] * 3])]
    title = f"### Calibration of {escape_markdown(lower_first(subject_words(under_test)))}"
    return ["\n".join([title, "", *head, *rows])]


def _seeds(report: Mapping[str, Any]) -> list[str]:
    """Mean and standard deviation over sets of questions."""
    tables = spread_tables(report.get("seeds"), {})
    if not tables:
        return []
    seeds = ", ".join(map(str, report["seeds"]["seeds"]))
    names = dict.fromkeys(row.label for table in tables for row in table.rows)
    found = [{row.label: row for row in table.rows} for table in tables]
    lines = [
        f"### Over the seeds {seeds}: mean ± standard deviation",
        "",
        _line(["scorer", *(f"{table.title}, {table.metric}" for table in tables)]),
        _line(["---", *["---:"] * len(tables)]),
    ]
    for name in names:
        cells = (rows.get(name) for rows in found)
        values = ("–" if one is None else f"{figure(one.mean)} ± {figure(one.deviation)}" for one in cells)
        lines.append(_line([escape_markdown(name), *values]))
    return ["\n".join(lines)]


def _learning_curve(report: Mapping[str, Any]) -> list[str]:
    """AUC by training outfits, a row per scorer and protocol."""
    points = report.get("learning_curve") or []
    sizes = sorted({point["outfits"] for point in points})
    if not sizes:
        return []
    lines = [
        "### AUC by training outfits",
        "",
        _line(["scorer", "protocol", *(f"{size:,}" for size in sizes)]),
        _line(["---", "---", *["---:"] * len(sizes)]),
    ]
    for scorer, protocol in dict.fromkeys((point["scorer"], point["protocol"]) for point in points):
        here = {one["outfits"]: one for one in points if (one["scorer"], one["protocol"]) == (scorer, protocol)}
        cells = (figure(here[size]["auc"]) if size in here else "–" for size in sizes)
        lines.append(_line([escape_markdown(scorer_words(scorer).label), protocol_words(protocol)[0], *cells]))
    return ["\n".join(lines)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _warnings(warnings: Sequence[Mapping[str, str]]) -> list[str]:
    return [f"* {escape_markdown(place_words(one['where']))}: {escape_markdown(one['text'])}" for one in warnings]


def _made_by(run: RecordedRun) -> str:
    """The command, and what of the machine matters; time and memory come from the manifest."""
    facts = []
    machine: Mapping[str, Any] = run.manifest.get("machine") or {}
    facts += [f"{name.replace('_', ' ')} {value}" for name, value in machine.items()]
    if "seconds" in run.manifest:
        facts.append(f"{run.manifest['seconds']:,.0f} seconds for what wasn't done before")
    if "peak_memory_mib" in run.manifest:
        facts.append(f"at most {run.manifest['peak_memory_mib'] / 1024:.1f} GiB of memory")
    resamples = run.report["settings"].get("evaluate", {}).get("bootstrap")
    facts += [f"{resamples:,} resamples"] if resamples else []
    versions = ", ".join(f"{name} {version}" for name, version in run.report["versions"].items())
    lines = ["Made with:", "", *(f"    {line}" for line in run.report["command"].splitlines()), ""]
    lines += [f"{'; '.join(facts)}. Versions: {versions}." if facts else f"Versions: {versions}."]
    return "\n".join(lines)
