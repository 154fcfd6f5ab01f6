"""``coordi score``: do these items go together?"""

from __future__ import annotations

from typing import Annotated

import typer

from coordi.cli.console import echo_json, note
from coordi.cli.work import JsonOption

ModelOption = Annotated[
    str,
    typer.Option(
        "--model", help="'bundled', a folder that `coordi run` or `coordi finetune` made, an adapter's, or 'base'."
    ),
]
ItemsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="ITEM", help="A photo's path, or words: 'navy wool blazer'; with a catalogue also an id of it."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("score")(score)


def score(items: ItemsArgument, model: ModelOption = "bundled", as_json: JsonOption = False) -> None:
    """Say how well items go together, from 0 (not at all) to 1, and which one fits least.

    The score is how probable the model finds it that people wear these together: 0.5 is undecided. It judges what is
    usual and alike in style; two pairs of jeans are for you to see, though you are told.

    Example: coordi score "navy wool blazer" "white leather sneakers" bag.jpg
    """
    from coordi.pipeline.advice import score_given
    from coordi.pipeline.models import find_model

    answer = score_given(items, find_model(model), note)
    if as_json:
        echo_json(answer.as_json())
        return
    typer.echo(f"{answer.score:.2f}  P(yes) of the {answer.model} model")
    for given, text, without in zip(answer.given, answer.texts, answer.without, strict=True):
        told = "" if without is None else f"  (without it: {without:.2f})"
        typer.echo(f"  {given}{f': {text}' if text != given.lower() else ''}{told}")
    for caution in answer.cautions:
        typer.echo(f"Not an outfit as people wear it: {caution}. The score judges style and can't tell that.")
    if answer.weakest is not None:
        typer.echo(f"Fits least: {answer.given[answer.weakest]}")
