"""``coordi report``: finished runs as a table, as Markdown, or two of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coordi.cli.console import echo_json, note
from coordi.cli.options import JsonOption

if TYPE_CHECKING:
    from coordi.evaluate.compare import ComparedRow, Comparison, Differing
    from coordi.evaluate.summary import Cell, Summary

_WIDTH_IN_A_PIPE = 140
_SHOWS = 0.0005
"""A smaller difference prints as none."""
_MARKS = {"ahead": " ▲", "behind": " ▼", "": ""}

RunArgument = Annotated[Path, typer.Argument(metavar="DIR", help="A finished run's folder, or its report.json.")]


def register(app: typer.Typer) -> None:
    """Add the noun to the command line."""
    nouns = typer.Typer(no_args_is_help=True, help="Look at finished runs: one as a table, or two side by side.")
    nouns.callback()(_report)
    nouns.command("show")(show)
    nouns.command("compare")(compare)
    nouns.command("markdown")(markdown)
    app.add_typer(nouns, name="report")


def _report() -> None:
    """Look at finished runs: one as a table, or two side by side."""


def show(place: RunArgument, as_json: JsonOption = False) -> None:
    """Print a run's summary: every scorer under every protocol, and whether the model is worth using.

    Example: coordi report show demo/sample
    """
    from coordi.evaluate.compare import read_run
    from coordi.evaluate.summary import TASKS, conclude, subject_words, summarise

    run = read_run(place)
    if as_json:
        echo_json(run.report)
        return
    data = run.report["data"]
    outfits = data["splits"]["test"]["outfits"]
    summary = summarise(run.report["tasks"], run.under_test)
    verdict = conclude(summary, subject_words(run.under_test), outfits)
    console = _console()
    console.print(f"{data['name']}: {outfits:,} test outfits, seed {run.seed}", markup=False)
    for task in TASKS:
        part = summary.of_task(task)
        if part.columns:
            console.print(_summary_table(part))
    if summary.has_marks:
        console.print("▲ the model is significantly ahead of this scorer, ▼ behind it (p below 0.05 after Holm)")
    console.print(f"{verdict.headline} {verdict.advice}", markup=False)
    for warning in run.report["warnings"]:
        note(f"warning: {warning['where']}: {warning['text']}")


def compare(
    one: Annotated[Path, typer.Argument(metavar="A", help="A finished run's folder, or its report.json.")],
    other: Annotated[Path, typer.Argument(metavar="B", help="Another, which is ahead of the first or behind it.")],
    out: Annotated[Path | None, typer.Option("--out", help="Also write the comparison as one HTML file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the models of two runs, with a paired test where both were asked the same questions.

    Example: coordi report compare demo/first demo/second --out compared.html
    """
    from coordi.artifacts import write_text
    from coordi.evaluate.compare import compare_runs, comparison_headline, read_run, render_comparison

    found = compare_runs(read_run(one), read_run(other))
    if out is not None:
        write_text(out, render_comparison(found))
    if as_json:
        echo_json(found.as_json())
        return
    console = _console()
    for text in found.refused:
        note(f"NOT COMPARABLE. {text}")
    console.print(_compared_table(found, found.models, "The models under test"))
    moved = [row for row in found.scorers if abs(row.ahead) >= _SHOWS]
    if moved:
        console.print(_compared_table(found, moved, "Other scorers that both have and whose figures differ"))
    if len(moved) < len(found.scorers):
        console.print(f"{len(found.scorers) - len(moved)} figures of other scorers are the same in both")
    for text in found.left_out:
        note(f"not compared: {text}")
    for title, differing in (("Data", found.data), ("Settings", found.settings), ("Versions", found.versions)):
        if differing:
            console.print(_differing_table(title, differing))
    console.print(comparison_headline(found), markup=False)
    if out is not None:
        note(f"The page is at {out.resolve()}")


def markdown(
    places: Annotated[list[Path], typer.Argument(metavar="DIR", help="Finished runs' folders, or their report.json.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write a file instead of printing.")] = None,
) -> None:
    """Print runs as Markdown: figures with intervals, what they stand for, and the command that made them.

    Example: coordi report markdown demo/first demo/second --out docs/results.md
    """
    from coordi.artifacts import write_text
    from coordi.evaluate.compare import read_run, render_markdown

    text = render_markdown([read_run(place) for place in places])
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
        note(f"The tables are at {out.resolve()}")


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_IN_A_PIPE)


def _summary_table(part: Summary) -> Table:
    from coordi.evaluate.summary import METRIC_WORDS, TASK_WORDS, format_figure, scorer_words

    first = part.columns[0]
    table = Table(title=f"{TASK_WORDS[first.task]}, {METRIC_WORDS[first.metric]}", title_justify="left")
    table.add_column("scorer")
    for column in part.columns:
        table.add_column(f"{column.protocol}\nn = {column.n:,}", justify="right")
    for row in part.rows:
        table.add_row(escape(scorer_words(row.scorer).label), *(_cell(cell) for cell in row.cells))
    table.add_section()
    table.add_row("guessing", *(format_figure(column.chance) for column in part.columns))
    table.add_row("smallest lead that shows", *(format_figure(column.smallest) for column in part.columns))
    return table


def _cell(cell: Cell | None) -> str:
    from coordi.evaluate.summary import format_figure

    if cell is None:
        return "–"
    value = f"[bold]{format_figure(cell.value)}[/bold]" if cell.is_best else format_figure(cell.value)
    between = "" if cell.interval is None else f"\n{format_figure(cell.interval[0])}–{format_figure(cell.interval[1])}"
    return value + _MARKS[cell.mark] + between


def _compared_table(found: Comparison, rows: Sequence[ComparedRow], title: str) -> Table:
    from coordi.evaluate.compare import place_title, run_names
    from coordi.evaluate.summary import METRIC_WORDS, format_figure, format_p_value, format_signed, scorer_words

    one, other = map(escape, run_names(found))
    table = Table(title=title, title_justify="left")
    for column in ("asked", "scorer"):
        table.add_column(column)
    for column in (one, other, f"{other} ahead by", "p after Holm"):
        table.add_column(column, justify="right")
    table.add_column(f"so {other} is")
    for row in rows:
        interval = row.paired.interval if row.paired is not None else None
        between = "" if interval is None else f"\n{format_signed(interval[0])} to {format_signed(interval[1])}"
        scorers = dict.fromkeys(scorer_words(name).label for name in (row.one, row.other))
        table.add_row(
            f"{place_title(row.task, row.protocol)}, {METRIC_WORDS[row.metric]}",
            escape(" and ".join(scorers)),
            *(format_figure(value) for value in row.values),
            format_signed(row.ahead) + between,
            "–" if row.p_holm is None else format_p_value(row.p_holm),
            row.standing,
        )
    return table


def _differing_table(title: str, differing: Sequence[Differing]) -> Table:
    table = Table(title=f"{title} that differ", title_justify="left")
    for column in ("what", "first", "second"):
        table.add_column(column, overflow="fold")
    for each in differing:
        table.add_row(*(escape("–" if text is None else text) for text in (each.name, each.one, each.other)))
    return table
