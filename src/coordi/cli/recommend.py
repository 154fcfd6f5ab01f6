"""``coordi recommend``: what completes an outfit."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coordi.cli.console import echo_json, note, progress_bar
from coordi.cli.score import ItemsArgument
from coordi.cli.work import JsonOption, data_path


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("recommend")(recommend)


def recommend(
    items: ItemsArgument,
    catalogue: Annotated[
        str, typer.Option("--catalogue", help="A run's folder, a data set or catalogue, or 'sample'.")
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", help="As for `coordi score`. Default: the catalogue's own run, else 'bundled'."),
    ] = None,
    want: Annotated[str | None, typer.Option("--want", help="Only this category, such as shoes or bag.")] = None,
    top_k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many to show.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Find items of a catalogue that complete an outfit, ranked by the model.

    An item is an id of the catalogue, a photo's path, or words. The first use of a catalogue that isn't a run's folder
    describes its photos, once.

    Example: coordi recommend "navy wool blazer" "white shirt" --catalogue demo/sample --want shoes
    """
    from coordi.pipeline.advice import Wish, recommend_given

    wish = Wish(items, want, top_k)
    answer = recommend_given(data_path(catalogue), model, wish, note, progress_bar)
    if as_json:
        echo_json(answer)
        return
    table = Table(title=escape(f"To complete {', '.join(items)}"))
    for column in ("score", "category", "item", "id", "photo"):
        table.add_column(column, overflow="fold")
    for row in answer["suggestions"]:
        table.add_row(f"{row['score']:.2f}", *(escape(row[name] or "") for name in ("category", "text", "id", "image")))
    Console().print(table)
    typer.echo(
        f"{answer['ranked']} of {answer['candidates']} candidates ranked (shortlist: {answer['shortlist']}); "
        f"candidates are what the outfit lacks: {', '.join(answer['categories'])}"
    )
