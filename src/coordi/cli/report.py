"""``coordi report``: finished runs as a table, as Markdown, or two of them side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from coordi.cli.console import echo, echo_json, note
from coordi.cli.options import JsonOption

if TYPE_CHECKING:
    from coordi.evaluation.export import Table, TableCell

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
    from coordi.evaluation.export import summary_table
    from coordi.evaluation.summary import conclude, summarise

    run = read_run(path)
    if as_json:
        echo_json(run.report)
        return
    data = run.report["data"]
    outfits = data["splits"]["test"]["outfits"]
    summary = summarise(run.report["tasks"], run.under_test)
    console = _console()
    console.print(f"{data['name']}: {outfits:,} test outfits, seed {run.seed}", markup=False)
    for part in summary.by_task().values():
        console.print(_rich_table(summary_table(part)))
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
    from coordi.evaluation.compare import compare_runs, comparison_headline, read_run, run_names
    from coordi.evaluation.export import compared_table, differing_tables

    comparison = compare_runs(read_run(first), read_run(second))
    if out is not None:
        from coordi.artifacts import write_text
        from coordi.evaluation.page import render_comparison

        write_text(out, render_comparison(comparison))
    if as_json:
        echo_json(comparison.as_json())
        return
    console, names = _console(), run_names(comparison)
    for text in comparison.refused:
        note(f"NOT COMPARABLE. {text}")
    console.print(_rich_table(compared_table("The models under test", comparison.models, names)))
    changed = [row for row in comparison.scorers if abs(row["ahead"]) >= _SMALLEST_PRINTED]
    if changed:
        title = "Other scorers of both runs whose figures differ"
        console.print(_rich_table(compared_table(title, changed, names)))
    if len(changed) < len(comparison.scorers):
        console.print(f"{len(comparison.scorers) - len(changed)} figures of other scorers are the same in both")
    for text in comparison.left_out:
        note(f"not compared: {text}")
    for table in differing_tables(comparison, names):
        console.print(_rich_table(table))
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
        echo(text, nl=False)
    else:
        write_text(out, text)
        note(f"The tables are at {out.resolve()}")


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_IN_A_PIPE)


def _rich_table(table: Table) -> RichTable:
    rich_table = RichTable(title=escape(table.caption), title_justify="left")
    for number, name in enumerate(table.columns):
        rich_table.add_column(escape(name), justify="right" if number >= table.numbers else "left", overflow="fold")
    for row in table.rows:
        rich_table.add_row(*map(_rich_cell, row))
    return rich_table


def _rich_cell(cell: TableCell | str) -> str:
    from coordi.evaluation.export import MARKS

    if isinstance(cell, str):
        return escape(cell)
    text = f"[bold]{escape(cell.text)}[/bold]" if cell.bold else escape(cell.text)
    return text + MARKS[cell.mark] + (f"\n{escape(cell.below)}" if cell.below else "")
