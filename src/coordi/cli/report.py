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
    from coordi.evaluation.compare import ComparedRow, Comparison
    from coordi.evaluation.summary import Cell, Summary

_WIDTH_IN_A_PIPE = 140
_SMALLEST_PRINTED = 0.0005

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


def show(path: RunArgument, as_json: JsonOption = False) -> None:
    """Print a run's summary: every scorer under every protocol, and a conclusion.

    Example: coordi report show demo/sample
    """
    from coordi.evaluation.compare import read_run
    from coordi.evaluation.summary import TASKS, conclude, summarise

    run = read_run(path)
    if as_json:
        echo_json(run.report)
        return
    data = run.report["data"]
    outfits = data["splits"]["test"]["outfits"]
    summary = summarise(run.report["tasks"], run.under_test)
    console = _console()
    console.print(f"{data['name']}: {outfits:,} test outfits, seed {run.seed}", markup=False)
    for task in TASKS:
        part = summary.of_task(task)
        if part.columns:
            console.print(_summary_table(part))
    if summary.has_marks:
        console.print("▲ the model is significantly ahead of this scorer, ▼ behind it (p below 0.05 after Holm)")
    console.print(conclude(summary, outfits), markup=False)
    for warning in run.report["warnings"]:
        note(f"warning: {warning['where']}: {warning['text']}")


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A finished run's folder, or its report.json.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another, which is ahead of the first or behind it.")],
    out: Annotated[Path | None, typer.Option("--out", help="Also write the comparison as one HTML file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the models of two runs, with a paired test where both answered the same questions.

    Example: coordi report compare demo/first demo/second --out compared.html
    """
    from coordi.evaluation.compare import compare_runs, comparison_headline, read_run

    comparison = compare_runs(read_run(first), read_run(second))
    if out is not None:
        from coordi.artifacts import write_text
        from coordi.evaluation.page import render_comparison

        write_text(out, render_comparison(comparison))
    if as_json:
        echo_json(comparison.as_json())
        return
    console = _console()
    for text in comparison.refused:
        note(f"NOT COMPARABLE. {text}")
    console.print(_compared_table(comparison, comparison.models, "The models under test"))
    changed = [row for row in comparison.scorers if abs(row.difference.by) >= _SMALLEST_PRINTED]
    if changed:
        console.print(_compared_table(comparison, changed, "Other scorers of both runs whose figures differ"))
    if len(changed) < len(comparison.scorers):
        console.print(f"{len(comparison.scorers) - len(changed)} figures of other scorers are the same in both")
    for text in comparison.left_out:
        note(f"not compared: {text}")
    differing = {"Data": comparison.data, "Settings": comparison.settings, "Versions": comparison.versions}
    for title, rows in differing.items():
        if rows:
            texts = [(row.name, row.first or "–", row.second or "–") for row in rows]
            console.print(_table(f"{title} that differ", ("name", "first", "second"), texts, right=3))
    console.print(comparison_headline(comparison), markup=False)
    if out is not None:
        note(f"The page is at {out.resolve()}")


def markdown(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR", help="Finished runs' folders, or their report.json.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write a file instead of printing.")] = None,
) -> None:
    """Print runs as Markdown: figures with intervals, the data they are from, and the command that made them.

    Example: coordi report markdown demo/first demo/second --out docs/results.md
    """
    from coordi.artifacts import write_text
    from coordi.evaluation.compare import read_run
    from coordi.evaluation.export import render_markdown

    text = render_markdown([read_run(path) for path in paths])
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
        note(f"The tables are at {out.resolve()}")


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_IN_A_PIPE)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], right: int = 1) -> Table:
    """A table for the terminal, columns from ``right`` on aligned to the right; texts may hold rich's markup."""
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(columns):
        table.add_column(escape(name), justify="right" if number >= right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _summary_table(part: Summary) -> Table:
    from coordi.evaluation.export import summary_frame
    from coordi.evaluation.summary import METRIC_WORDS, TASK_WORDS

    heads = [f"{column.protocol}\nn = {column.n:,}" for column in part.columns]
    frame = summary_frame(part, heads, [[_cell(cell) for cell in row.cells] for row in part.rows])
    frame["scorer"] = frame["scorer"].map(escape)
    title = f"{TASK_WORDS[part.columns[0].task]}, {METRIC_WORDS[part.columns[0].metric]}"
    return _table(title, list(frame.columns), frame.to_numpy().tolist())


def _cell(cell: Cell | None) -> str:
    from coordi.evaluation.export import MARKS, format_interval
    from coordi.evaluation.summary import format_figure

    if cell is None:
        return "–"
    value = f"[bold]{format_figure(cell.value)}[/bold]" if cell.is_best else format_figure(cell.value)
    return value + MARKS[cell.mark] + (f"\n{format_interval(cell.interval)}" if cell.interval else "")


def _compared_table(comparison: Comparison, rows: Sequence[ComparedRow], title: str) -> Table:
    from coordi.evaluation.compare import run_names
    from coordi.evaluation.summary import (
        METRIC_WORDS,
        format_figure,
        format_p_value,
        format_signed,
        scorer_words,
        task_title,
    )

    first, second = run_names(comparison)
    texts = []
    for row in rows:
        interval = row.difference.interval
        below = "" if interval is None else f"\n{format_signed(interval[0])} to {format_signed(interval[1])}"
        scorers = dict.fromkeys(scorer_words(name).label for name in row.scorers)
        texts.append((
            f"{task_title(row.task, row.protocol)}, {METRIC_WORDS[row.metric]}",
            escape(" and ".join(scorers)),
            *(format_figure(value) for value in row.values),
            format_signed(row.difference.by) + below,
            format_p_value(row.difference.p_holm),
            row.standing,
        ))  # fmt: skip
    heads = ("result", "scorer", first, second, f"{second} minus {first}", "p after Holm", f"{second} is")
    return _table(title, heads, texts, right=2)
