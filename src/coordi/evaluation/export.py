"""Reports as Markdown for docs and as LaTeX for papers, from tables of pandas."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from coordi.errors import require
from coordi.evaluation.summary import (
    METRIC,
    METRIC_WORDS,
    TASK_WORDS,
    TASKS,
    Cell,
    Column,
    Interval,
    Summary,
    conclude,
    format_figure,
    lower_first,
    protocol_words,
    scorer_words,
    source_words,
    subject_words,
    summarise,
    task_title,
)

if TYPE_CHECKING:
    from coordi.evaluation.compare import FinishedRun

Frame = Any  # a DataFrame of pandas, which is imported where it is used
MOST_COLUMNS = 6
"""Columns that fit the width of a printed page with their intervals."""
_HEAD = (
    "# Results\n\nMade by `coordi report markdown` from the runs' own files; each section ends with the command that "
    "made its run."
)
_KEY = (
    "Best of a column in bold, 95% bootstrap intervals by outfit beside each figure. ▲ the model under test is "
    "significantly ahead of this scorer, ▼ behind it (paired bootstrap, p below 0.05 after Holm’s correction)."
)
MARKS = {"ahead": " ▲", "behind": " ▼", "": ""}
_LATEX_MARKS = {"ahead": r"$^{\dagger}$", "behind": r"$^{\ddagger}$", "": ""}
_LATEX_ESCAPES = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", '"': "''",
    "`": r"\textquoteleft{}", "–": "--", "’": "'", "−": "$-$",
})  # fmt: skip


def format_interval(interval: Interval) -> str:
    """An interval as ``0.123–0.456``; empty if there is none."""
    return "" if interval is None else f"{format_figure(interval[0])}–{format_figure(interval[1])}"


def summary_frame(summary: Summary, heads: Sequence[str], cells: Sequence[Sequence[str]]) -> Frame:
    """The summary as text: a row per scorer, then what guessing reaches and the smallest detectable difference.

    Args:
        summary: Of one task, or several.
        heads: Title of each column.
        cells: Text of each cell.
    """
    rows = [[scorer_words(row.scorer).label, *texts] for row, texts in zip(summary.rows, cells, strict=True)]
    rows.append(["guessing", *(format_figure(column.chance) for column in summary.columns)])
    smallest = (format_figure(column.smallest) for column in summary.columns)
    rows.append(["smallest difference from guessing that shows", *smallest])
    frame: Frame = require("pandas", "train").DataFrame(rows, columns=["scorer", *heads])
    return frame


def seed_frame(seeds: Mapping[str, Any] | None) -> Frame:
    """Values by seed: columns ``title``, ``metric``, ``scorer``, ``mean``, ``deviation``, ``lowest`` and ``highest``.

    Args:
        seeds: As in ``report.json``; None gives no rows. The deviation of a single seed is NaN.
    """
    rows: list[tuple[Any, ...]] = []
    for task in TASKS:
        for protocol, scorers in (seeds or {}).get(task, {}).items():
            for name, values in scorers.items():
                if values[METRIC[task]]:
                    drawn = np.array(values[METRIC[task]], dtype=np.float64)
                    deviation = float(np.std(drawn, ddof=1)) if len(drawn) > 1 else np.nan
                    spread = (float(np.mean(drawn)), deviation, float(drawn.min()), float(drawn.max()))
                    rows.append((task_title(task, protocol), METRIC_WORDS[METRIC[task]], name, *spread))
    columns = ["title", "metric", "scorer", "mean", "deviation", "lowest", "highest"]
    frame: Frame = require("pandas", "train").DataFrame(rows, columns=columns)
    return frame


def render_markdown(runs: Sequence[FinishedRun]) -> str:
    """A section per run: conclusion, a table per task, warnings, what protocols mean, and how it was made."""
    return "\n\n".join([_HEAD, *(_section(run) for run in runs)]) + "\n"


def escape_markdown(text: str) -> str:
    """Text as Markdown prints it, in a table too."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", re.sub(r"\s+", " ", text).strip())


def markdown_table(frame: Frame, left: int = 1) -> str:
    """A table of texts in Markdown, the first ``left`` columns aligned to the left, the others to the right."""
    align = ("left",) * left + ("right",) * (frame.shape[1] - left)
    text: str = frame.to_markdown(index=False, disable_numparse=True, colalign=align)
    return re.sub(r"-{3,}", "---", re.sub(r" {2,}", " ", text))


def _section(run: FinishedRun) -> str:
    report = run.report
    data = report["data"]
    summary = summarise(report["tasks"], run.under_test)
    outfits = data["splits"]["test"]["outfits"]
    parts = [
        f"## {escape_markdown(str(data['name']))}: {escape_markdown(lower_first(subject_words(run.under_test)))}",
        _facts(run, outfits),
        f"**Conclusion.** {escape_markdown(conclude(summary, outfits))}",
    ]
    for task in TASKS:
        part = summary.of_task(task)
        if part.columns:
            heads = [f"{column.title} (n = {column.n:,}{_among(column)})" for column in part.columns]
            cells = [[_markdown_cell(cell) for cell in row.cells] for row in part.rows]
            frame = summary_frame(part, [escape_markdown(head) for head in heads], cells)
            frame["scorer"] = frame["scorer"].map(escape_markdown)
            parts.append(f"### {TASK_WORDS[task]}, {METRIC_WORDS[METRIC[task]]}\n\n{markdown_table(frame)}")
    parts.append(_KEY)
    protocols = {column.protocol: protocol_words(column.protocol) for column in summary.columns}
    lines = [f"* **{escape_markdown(title)}** (`{name}`): {escape_markdown(meaning)}." for name, (title, meaning) in
             protocols.items()]  # fmt: skip
    parts.append("\n".join(lines))
    parts += [*_calibration(report, run.under_test), *_seeds(report), *_learning_curve(report)]
    if report.get("warnings"):
        warnings = [(source_words(row["where"]), row["text"]) for row in report["warnings"]]
        lines = [f"* {escape_markdown(where)}: {escape_markdown(text)}" for where, text in warnings]
        parts.append("\n".join(["To know before using a figure:", "", *lines]))
    return "\n\n".join([*parts, _origin(run)])


def _facts(run: FinishedRun, outfits: int) -> str:
    data, model = run.report["data"], run.report["model"]
    facts = ", ".join(f"{name.replace('_', ' ')} `{value}`" for name, value in model.items())
    sentences = [
        f"{outfits:,} test outfits of `{data['name']}` ({data['layout']}), {data['splits']['train']['outfits']:,} for "
        f"training and {data['splits']['valid']['outfits']:,} for validation; seed {run.seed}.",
        f"Model under test: {facts}.",
    ]
    if data["layout"] == "sample":
        sentences.append("The garments are drawn: **no figure is a result.**")
    if data["text_only"]:
        photos, items = (data["splits"]["test"][key] for key in ("photos", "items"))
        sentences.append(f"Text-only mode: {photos:,} of {items:,} test items have a photo.")
    return " ".join(sentences)


def _among(column: Column) -> str:
    return f", of {column.among} candidates" if column.among else ""


def _markdown_cell(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    value = f"**{format_figure(cell.value)}**" if cell.is_best else format_figure(cell.value)
    return value + (f" ({format_interval(cell.interval)})" if cell.interval else "") + MARKS[cell.mark]


def _calibration(report: Mapping[str, Any], under_test: str) -> list[str]:
    """Expected calibration error of the model under test, before and after calibration."""
    rows = []
    for protocol, figures in report["tasks"].get("compatibility", {}).items():
        if calibration := figures.get("calibration"):
            values = (format_figure(calibration.get(key)) for key in ("raw_ece", "ece", "brier"))
            rows.append([protocol_words(protocol)[0], *values])
    title = f"### Calibration of {escape_markdown(lower_first(subject_words(under_test)))}"
    return _titled(title, ["protocol", "ECE as it is", "ECE after calibration", "Brier score"], rows)


def _seeds(report: Mapping[str, Any]) -> list[str]:
    """Mean and standard deviation over the sets of questions."""
    frame = seed_frame(report.get("seeds"))
    if frame.empty:
        return []
    spreads = zip(frame["mean"], frame["deviation"], strict=True)
    frame["text"] = [f"{format_figure(mean)} ± {format_figure(deviation)}" for mean, deviation in spreads]
    frame["column"] = frame["title"] + ", " + frame["metric"]
    wide = frame.pivot(index="scorer", columns="column", values="text").fillna("–")
    wide = wide.loc[frame["scorer"].unique(), frame["column"].unique()]
    labels = [escape_markdown(scorer_words(str(name)).label) for name in wide.index]
    rows = [[label, *row] for label, row in zip(labels, wide.to_numpy().tolist(), strict=True)]
    seeds = ", ".join(map(str, report["seeds"]["seeds"]))
    return _titled(f"### Over the seeds {seeds}: mean ± standard deviation", ["scorer", *wide.columns], rows)


def _learning_curve(report: Mapping[str, Any]) -> list[str]:
    """AUC by training outfits, a row per scorer and protocol."""
    points = report.get("learning_curve") or []
    sizes = sorted({point["outfits"] for point in points})
    rows = []
    for scorer, protocol in dict.fromkeys((point["scorer"], point["protocol"]) for point in points):
        aucs = {p["outfits"]: p["auc"] for p in points if (p["scorer"], p["protocol"]) == (scorer, protocol)}
        label = escape_markdown(scorer_words(scorer).label)
        rows.append([label, protocol_words(protocol)[0], *(format_figure(aucs.get(size)) for size in sizes)])
    heads = ["scorer", "protocol", *(f"{size:,}" for size in sizes)]
    return _titled("### AUC by training outfits", heads, rows, left=2)


def _titled(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    if not rows:
        return []
    return [f"{title}\n\n{markdown_table(require('pandas', 'train').DataFrame(rows, columns=list(heads)), left)}"]


def _origin(run: FinishedRun) -> str:
    """The command, and what is known of the machine; time and memory come from the manifest."""
    manifest = run.manifest
    facts = [f"{name.replace('_', ' ')} {value}" for name, value in (manifest.get("machine") or {}).items()]
    if "seconds" in manifest:
        facts.append(f"{manifest['seconds']:,.0f} seconds for what wasn't done before")
    if "peak_memory_mib" in manifest:
        facts.append(f"at most {manifest['peak_memory_mib'] / 1024:.1f} GiB of memory")
    resamples = run.report["settings"].get("evaluate", {}).get("bootstrap")
    facts += [f"{resamples:,} resamples"] if resamples else []
    versions = ", ".join(f"{name} {version}" for name, version in run.report["versions"].items())
    command = [f"    {line}" for line in run.report["command"].splitlines()]
    end = f"{'; '.join(facts)}. Versions: {versions}." if facts else f"Versions: {versions}."
    return "\n".join(["Made with:", "", *command, "", end])


def render_latex(report: Mapping[str, Any]) -> str:
    r"""The tables of a report, each in a ``table*`` with caption and label; needs ``booktabs`` alone.

    A single table if all columns fit a page; else compatibility comes first and the other tasks after it.

    Args:
        report: As ``report.json`` has it.
    """
    summary = summarise(report["tasks"], report["model"]["name"])
    numbers = list(range(len(summary.columns)))
    groups = [numbers]
    if len(numbers) > MOST_COLUMNS:
        is_first = [column.task == "compatibility" for column in summary.columns]
        halves = ([n for n in numbers if is_first[n]], [n for n in numbers if not is_first[n]])
        groups = [half[start : start + MOST_COLUMNS] for half in halves for start in range(0, len(half), MOST_COLUMNS)]
    tables = [_latex_table(summary.select(group), n, report) for n, group in enumerate(groups, 1) if group]
    text = "\n".join(tables)
    fonts = "" if text.isascii() else "% Typeset with XeLaTeX or LuaLaTeX: some names aren't in Latin letters.\n"
    return "% Made by coordi. Needs \\usepackage{booktabs}.\n" + f"{fonts}\n{text}"


def escape_latex(text: str) -> str:
    """Text as LaTeX prints it: special characters escaped, control characters and line ends made spaces."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text).translate(_LATEX_ESCAPES)


def _latex_table(summary: Summary, number: int, report: Mapping[str, Any]) -> str:
    pandas = require("pandas", "train")
    cells = [[_latex_cell(cell) for cell in row.cells] for row in summary.rows]
    frame = summary_frame(summary, [str(n) for n in range(len(summary.columns))], cells)
    frame["scorer"] = frame["scorer"].map(escape_latex)
    frame = frame.map(lambda text: text.replace("–", "--"))
    titles = [f"{TASK_WORDS[column.task]}, {METRIC_WORDS[column.metric]}" for column in summary.columns]
    heads = list(zip(titles, map(_stacked, summary.columns), strict=True))
    frame.columns = pandas.MultiIndex.from_tuples([("", "scorer"), *heads])
    data, seed = report["data"], report["settings"].get("seed")
    label = re.sub(r"[^A-Za-z0-9]+", "-", str(data["name"])).strip("-") or "data"
    caption = (
        f"{escape_latex(str(data['name']))}: {data['splits']['test']['outfits']} test outfits, seed {seed}, 95% "
        "bootstrap intervals by outfit below the figures. Bold: best of a column. The model under test is "
        rf"{_LATEX_MARKS['ahead']} significantly ahead of this scorer, or {_LATEX_MARKS['behind']} behind it."
    ).replace("95%", r"95\%")
    text: str = frame.style.hide(axis="index").to_latex(
        environment="table*", hrules=True, column_format="l" + "r" * len(heads), multicol_align="c", position="tp",
        position_float="centering", caption=caption, label=f"tab:coordi-{label}-{number}",
    )  # fmt: skip
    text = text.replace("\\centering\n", "\\centering\\small\n\\setlength{\\tabcolsep}{3pt}\n", 1)
    return text.replace("\nguessing & ", "\n\\midrule\nguessing & ")


def _stacked(column: Column) -> str:
    """A protocol's name in two lines, split at its last hyphen, so that six columns fit a page."""
    first, _, last = escape_latex(column.protocol).rpartition("-")
    return rf"\shortstack[r]{{{first}-\\{last}}}" if first else last


def _latex_cell(cell: Cell | None) -> str:
    if cell is None:
        return "--"
    value = rf"\textbf{{{format_figure(cell.value)}}}" if cell.is_best else format_figure(cell.value)
    if cell.interval is None:
        return value + _LATEX_MARKS[cell.mark]
    low, high = (f"{end:.3f}".removeprefix("0") for end in cell.interval)
    return rf"\shortstack[r]{{{value}{_LATEX_MARKS[cell.mark]}\\{{\scriptsize {low}--{high}}}}}"
