"""Tables of a report and of a comparison, and reports as Markdown for docs and as LaTeX for papers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from coordi.artifacts import page_environment
from coordi.errors import require
from coordi.evaluation import summary as words
from coordi.evaluation.task_metrics import METRIC

if TYPE_CHECKING:
    from jinja2 import Template

    from coordi.evaluation.compare import Comparison, FinishedRun

Frame = Any  # a DataFrame of pandas, which is imported where it is used
MARKS: Mapping[words.Mark, str] = {"ahead": " ▲", "behind": " ▼", "": ""}
_LATEX_MARKS: Mapping[words.Mark, str] = {"ahead": r"$^{\dagger}$", "behind": r"$^{\ddagger}$", "": ""}
_LATEX_ESCAPES = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", '"': "''",
    "`": r"\textquoteleft{}", "–": "--", "’": "'", "−": "$-$",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class TableCell:
    """A cell with fine print below it; ``bold`` is the best of its column, ``mark`` how the model compares with it."""

    text: str
    below: str = ""
    bold: bool = False
    mark: words.Mark = ""
    colour: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of each row is its heading, columns from ``numbers`` on are aligned to the right."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[TableCell | str]]
    numbers: int = 1


def format_interval(interval: words.Interval) -> str:
    """An interval as ``0.123–0.456``; empty if there is none."""
    return "" if interval is None else f"{words.format_figure(interval[0])}–{words.format_figure(interval[1])}"


def figure_cell(value: float | None, interval: words.Interval = None) -> TableCell:
    """A figure above its interval."""
    return TableCell(words.format_figure(value), format_interval(interval))


def scorer_cell(name: str, colour: int | None = None, below: str = "") -> TableCell:
    """A scorer's label beside its colour."""
    return TableCell(words.scorer_words(name).label, below, colour=colour)


def summary_table(summary: words.Summary, colours: Mapping[str, int] | None = None) -> Table:
    """A row per scorer, then what guessing reaches and the smallest detectable difference."""
    rows: list[list[TableCell | str]] = []
    for row in summary.rows:
        below = words.scorer_words(row.scorer).note if words.scorer_words(row.scorer).from_file else ""
        cells = [
            replace(figure_cell(cell.value, cell.interval), bold=cell.is_best, mark=cell.mark) if cell else "–"
            for cell in row.cells
        ]
        rows.append([scorer_cell(row.scorer, colours[row.scorer] if colours else None, below), *cells])
    rows.append(["guessing", *(words.format_figure(column.chance) for column in summary.columns)])
    smallest = (words.format_figure(column.smallest) for column in summary.columns)
    rows.append(["smallest difference from guessing that shows", *smallest])
    task = summary.columns[0].task
    title = f"{words.TASK_WORDS[task]}, {words.METRIC_WORDS[METRIC[task]]}"
    return Table(title, ["scorer", *(column.title for column in summary.columns)], rows)


def difference_cells(ahead: float, ci95: Sequence[float] | None, tests: Mapping[str, Any]) -> list[TableCell | str]:
    """A difference above its interval, both p-values, and the smallest detectable difference."""
    below = " to ".join(words.format_signed(end) for end in ci95 or ())
    p_values = (words.format_p_value(tests.get(name)) for name in ("p_value", "p_holm"))
    smallest = words.format_figure(tests.get("smallest_difference"))
    return [TableCell(words.format_signed(ahead), below), *p_values, smallest]


def compared_table(caption: str, rows: Sequence[Mapping[str, Any]], names: tuple[str, str]) -> Table:
    """Figures of two runs side by side, with the tests of their differences, from the rows of a ``Comparison``."""
    texts: list[list[TableCell | str]] = []
    for row in rows:
        scorers = " and ".join(dict.fromkeys(words.scorer_words(name).label for name in row["scorers"]))
        result = f"{words.task_title(row['task'], row['protocol'])}, {words.METRIC_WORDS[row['metric']]}"
        values = [figure_cell(*pair) for pair in zip(row["values"], map(words.as_interval, row["ci95"]), strict=True)]
        difference = difference_cells(row["ahead"], row["ahead_ci95"], row)
        texts.append([TableCell(result, scorers), *values, *difference, row["standing"]])
    heads = ("Result", *names, f"{names[1]} minus {names[0]}", "p", "p after Holm", "Smallest detectable")
    return Table(caption, (*heads, f"{names[1]} is"), texts)


def differing_tables(comparison: Comparison, names: tuple[str, str]) -> list[Table]:
    """A table for each kind of property that differs between the runs."""
    return [
        Table(title.capitalize(), ("", *names), [(name, *(value or "–" for value in pair)) for name, pair in rows], 3)
        for title, properties in comparison.differing.items()
        if (rows := list(properties.items()))
    ]


def template(name: str) -> Template:
    """A template of this package; values in HTML are escaped."""
    environment = page_environment("coordi.evaluation")
    environment.filters |= {"md": escape_markdown, "table": _markdown_table}
    return environment.get_template(name)


def render_markdown(runs: Sequence[FinishedRun]) -> str:
    """A section per run: conclusion, a table per task, warnings, what protocols mean, and how it was made."""
    text = template("results.md").render(runs=[_markdown_context(run) for run in runs])
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"


def _markdown_context(run: FinishedRun) -> dict[str, Any]:
    report, manifest = run.report, run.manifest
    summary = words.summarise(report["tasks"], run.under_test)
    facts = [f"{name.replace('_', ' ')} {value}" for name, value in (manifest.get("machine") or {}).items()]
    if "seconds" in manifest:
        facts.append(f"{manifest['seconds']:,.0f} seconds for what wasn't done before")
    if "peak_memory_mib" in manifest:
        facts.append(f"at most {manifest['peak_memory_mib'] / 1024:.1f} GiB of memory")
    resamples = report["settings"].get("evaluate", {}).get("bootstrap")
    return {
        "report": report,
        "seed": run.seed,
        "subject": words.subject_words(run.under_test, start=False),
        "conclusion": words.conclude(summary, report["data"]["splits"]["test"]["outfits"]),
        "summaries": [summary_table(part) for part in summary.by_task().values()],
        "protocols": {column.protocol: words.protocol_words(column.protocol) for column in summary.columns},
        "tables": [_calibration(report, run.under_test)],
        "facts": [*facts, f"{resamples:,} resamples"] if resamples else facts,
    }


def escape_markdown(text: str) -> str:
    """Text as Markdown prints it, in a table too."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", re.sub(r"\s+", " ", text).strip())


def _markdown_table(table: Table) -> str:
    left = ("left",) * table.numbers
    frame = require("pandas", "train").DataFrame(
        [[_markdown_cell(cell) for cell in row] for row in table.rows],
        columns=list(map(escape_markdown, table.columns)),
    )
    text: str = frame.to_markdown(
        index=False, disable_numparse=True, colalign=(*left, *("right",) * (frame.shape[1] - len(left)))
    )
    compact = re.sub(r"-{3,}", "---", re.sub(r" {2,}", " ", text))
    return f"### {escape_markdown(table.caption)}\n\n{compact}"


def _markdown_cell(cell: TableCell | str) -> str:
    if isinstance(cell, str):
        return escape_markdown(cell)
    text = f"**{cell.text}**" if cell.bold else escape_markdown(cell.text)
    is_figure = cell.below[:1].isdigit()  # the note of a scorer needs no place here
    return text + (f" ({cell.below})" if is_figure else "") + MARKS[cell.mark]


def _calibration(report: Mapping[str, Any], under_test: str) -> Table:
    rows = [
        [
            words.protocol_words(protocol)[0],
            *(words.format_figure(calibration.get(key)) for key in ("raw_ece", "ece", "ece_if_calibrated", "brier")),
        ]
        for protocol, figures in report["tasks"].get("compatibility", {}).items()
        if (calibration := figures.get("calibration"))
    ]
    title = f"Calibration of {words.subject_words(under_test, start=False)}"
    columns = ["protocol", "ECE as it is", "ECE after calibration", "ECE if calibrated", "Brier score"]
    return Table(title, columns, rows)


def render_latex(report: Mapping[str, Any]) -> str:
    r"""A table for each task of a ``report.json``, in a ``table*`` with caption and label; needs ``booktabs`` alone."""
    parts = words.summarise(report["tasks"], report["model"]["name"]).by_task().values()
    text = "\n".join(_latex_table(part, number, report) for number, part in enumerate(parts, 1))
    fonts = "" if text.isascii() else "% Typeset with XeLaTeX or LuaLaTeX: some names aren't in Latin letters.\n"
    return "% Made by coordi. Needs \\usepackage{booktabs}.\n" + f"{fonts}\n{text}"


def escape_latex(text: str) -> str:
    """Text as LaTeX prints it: special characters escaped, control characters and line ends made spaces."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text).translate(_LATEX_ESCAPES)


def _latex_table(summary: words.Summary, number: int, report: Mapping[str, Any]) -> str:
    pandas = require("pandas", "train")
    table = summary_table(summary)
    heads = ["scorer"]
    for column in summary.columns:
        # A protocol's name in two lines, split at its last hyphen, so that six columns fit a page.
        first, _, last = escape_latex(column.protocol).rpartition("-")
        heads.append(rf"\shortstack[r]{{{first}-\\{last}}}" if first else last)
    frame = pandas.DataFrame([[_latex_cell(cell) for cell in row] for row in table.rows], columns=heads)
    data, seed = report["data"], report["settings"].get("seed")
    label = re.sub(r"[^A-Za-z0-9]+", "-", str(data["name"])).strip("-") or "data"
    caption = (
        f"{table.caption}. {escape_latex(str(data['name']))}: {data['splits']['test']['outfits']} test outfits, seed "
        f"{seed}, 95\\% bootstrap intervals by outfit below the figures. Bold: best of a column. The model is "
        rf"{_LATEX_MARKS['ahead']} significantly ahead of this scorer, or {_LATEX_MARKS['behind']} behind it."
    )
    text: str = frame.style.hide(axis="index").to_latex(
        environment="table*", hrules=True, column_format="l" + "r" * len(summary.columns), position="tp",
        position_float="centering", caption=caption, label=f"tab:coordi-{label}-{number}",
    )  # fmt: skip
    text = text.replace("\\centering\n", "\\centering\\small\n\\setlength{\\tabcolsep}{3pt}\n", 1)
    return text.replace("\nguessing & ", "\n\\midrule\nguessing & ")


def _latex_cell(cell: TableCell | str) -> str:
    if isinstance(cell, str):
        return escape_latex(cell)
    value = (rf"\textbf{{{cell.text}}}" if cell.bold else escape_latex(cell.text)) + _LATEX_MARKS[cell.mark]
    low, dash, high = cell.below.partition("–")
    if not dash:
        return value
    interval = f"{low.removeprefix('0')}--{high.removeprefix('0')}"
    return rf"\shortstack[r]{{{value}\\{{\scriptsize {interval}}}}}"
