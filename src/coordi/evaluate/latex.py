"""The summary as LaTeX tables for a paper's appendix."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from coordi.evaluate.summary import Cell, Column, Summary, summarise
from coordi.evaluate.wording import METRIC_WORDS, TASK_WORDS, figure, lower_first, protocol_words, scorer_words

MOST_COLUMNS = 6
"""So many fit the width of a page with their intervals."""
_MARKS = {"ahead": r"$^{\dagger}$", "behind": r"$^{\ddagger}$", "": ""}
_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", '"': "''",
    "`": r"\textquoteleft{}", "–": "--", "’": "'", "−": "$-$",
}  # fmt: skip
_HEAD = r"% Made by coordi. Needs \usepackage{booktabs}."
_WIDE = "% Some names aren't in Latin letters: typeset with XeLaTeX or LuaLaTeX and a font that has them."


def render_latex(report: Mapping[str, Any]) -> str:
    r"""The tables of a report, each in a ``table*`` with caption and label; needs ``booktabs`` alone.

    A single table if all columns fit a page; else compatibility comes first and the other tasks after it. A figure's
    interval stands below it.

    Args:
        report: As ``report.json`` has it.
    """
    summary = summarise(report["tasks"], report["model"]["name"])
    tables = [
        _table(summary, places, number, report) for number, places in enumerate(_pages(summary.columns)) if places
    ]
    text = "\n\n".join(tables) + "\n"
    head = [_HEAD] if text.isascii() else [_HEAD, _WIDE]
    return "\n".join([*head, "", text])


def escape_latex(text: str) -> str:
    """Text as LaTeX prints it: special characters escaped, control characters and line ends made spaces."""
    flat = re.sub(r"[\x00-\x1f\x7f]+", " ", text)
    return "".join(_ESCAPES.get(letter, letter) for letter in flat)


def _pages(columns: Sequence[Column]) -> list[list[int]]:
    everything = list(range(len(columns)))
    if len(everything) <= MOST_COLUMNS:
        return [everything]
    first = [place for place in everything if columns[place].task == "compatibility"]
    rest = [place for place in everything if columns[place].task != "compatibility"]
    return [part[start : start + MOST_COLUMNS] for part in (first, rest) for start in range(0, len(part), MOST_COLUMNS)]


def _table(summary: Summary, places: Sequence[int], number: int, report: Mapping[str, Any]) -> str:
    columns = [summary.columns[place] for place in places]
    rows = [(row.scorer, [row.cells[place] for place in places]) for row in summary.rows]
    label = re.sub(r"[^A-Za-z0-9]+", "-", str(report["data"]["name"])).strip("-") or "data"
    lines = [
        r"\begin{table*}[tp]",
        r"\centering\small",
        rf"\caption{{{_caption(summary, columns, report)}}}",
        rf"\label{{tab:coordi-{label}-{number + 1}}}",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        *_heads(columns),
        r"\midrule",
        *(line for scorer, cells in rows if any(cells) for line in _row(scorer, cells)),
        r"\midrule",
        _line("Guessing", [figure(column.chance) for column in columns]),
        _line("Questions", [str(column.n) for column in columns]),
        _line("Smallest that shows", [escape_latex(figure(column.smallest)) for column in columns]),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines)


def _heads(columns: Sequence[Column]) -> list[str]:
    groups, rules, start = [], [], 2
    for task, group in groupby(columns, key=lambda column: column.task):
        span = len(list(group))
        metric = METRIC_WORDS[next(column.metric for column in columns if column.task == task)]
        title = f"{TASK_WORDS[task]}, {metric}" if span > 1 else rf"\shortstack{{{TASK_WORDS[task]},\\{metric}}}"
        groups.append(rf"\multicolumn{{{span}}}{{c}}{{{title}}}")
        rules.append(rf"\cmidrule(lr){{{start}-{start + span - 1}}}")
        start += span
    # A name takes two lines at its last hyphen, so that six columns fit a page.
    stacked = (escape_latex(column.protocol).rpartition("-") for column in columns)
    names = [rf"\shortstack[r]{{{first}-\\{last}}}" if first else last for first, _, last in stacked]
    return [_line("", groups), "".join(rules), _line("Scorer", names)]


def _row(scorer: str, cells: Sequence[Cell | None]) -> list[str]:
    values = ["--" if cell is None else _value(cell) for cell in cells]
    return [_line(escape_latex(scorer_words(scorer).label), values), _line("", [_interval(cell) for cell in cells])]


def _value(cell: Cell) -> str:
    value = rf"\textbf{{{figure(cell.value)}}}" if cell.is_best else figure(cell.value)
    return value + _MARKS[cell.mark]


def _interval(cell: Cell | None) -> str:
    if cell is None or cell.interval is None:
        return ""
    low, high = (f"{end:.3f}".removeprefix("0") for end in cell.interval)
    return rf"{{\scriptsize {low}--{high}}}"


def _line(first: str, others: Sequence[str]) -> str:
    return " & ".join([first, *others]) + r" \\"


def _caption(summary: Summary, columns: Sequence[Column], report: Mapping[str, Any]) -> str:
    data = report["data"]
    tasks = " and ".join(dict.fromkeys(lower_first(TASK_WORDS[column.task]) for column in columns))
    sentences = [
        f"{tasks[:1].upper()}{tasks[1:]} on the test split of {_measured_on(report)}.",
        "Below each figure its 95\\% percentile bootstrap interval; outfits are drawn again.",
        "Bold: highest of its column.",
    ]
    if summary.has_marks:
        model = lower_first(escape_latex(scorer_words(summary.rows[0].scorer).label))
        sentences.append(
            f"The {model} is {_MARKS['ahead']} significantly ahead of, or {_MARKS['behind']} behind, this scorer "
            "(paired bootstrap, Holm's correction, $p < 0.05$)."
        )
    told = {column.protocol: protocol_words(column.protocol)[1] for column in columns}
    sentences.append("; ".join(
        rf"\emph{{{escape_latex(name)}}}: {escape_latex(meaning)}" for name, meaning in told.items() if meaning
    ) + ".")  # fmt: skip
    pools = [column for column in columns if column.task == "retrieval"]
    sentences += [f"Retrieval among {column.among} candidates." for column in pools[:1]]
    read = sum(leak["shown"] for leak in data["leaks"])
    sentences.append(
        f"The audit found {read or 'no'} {'leak' if read == 1 else 'leaks'} that a model can read"
        + (f" ({', '.join(dict.fromkeys(leak['name'] for leak in data['leaks'] if leak['shown']))})." if read else ".")
    )
    if data["layout"] == "sample":
        sentences.append("A drawn sample: no figure is a result.")
    return " ".join(sentence for sentence in sentences if sentence != ".")


def _measured_on(report: Mapping[str, Any]) -> str:
    """The data, its outfits after cleaning, how they were split, and the seed or how many."""
    data, settings = report["data"], report["settings"]
    facts = [f"{data['splits']['test']['outfits']} outfits after cleaning"]
    if "data" in settings:
        facts.append(f"{settings['data']['split']} split")
    name = escape_latex(str(data["name"]))
    seeds = (report.get("seeds") or {}).get("seeds", [])
    seed = f", seed {settings['seed']}" if "seed" in settings else ""
    if len(seeds) > 1:
        seed += f", the first of {len(seeds)}"
    return f"{name} ({', '.join(facts)}){seed}"
