"""``coordi score``: do these items go together?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordi.cli.console import echo_json, note, progress_bar
from coordi.cli.work import JsonOption

if TYPE_CHECKING:
    from coordi.recommend.advice import OutfitScore

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
QuickOption = Annotated[
    bool, typer.Option("--quick", help="Judge without the language model: milliseconds, and worse.")
]
LOADING = "loading the language model; the very first time it is also unpacked, which takes a minute"


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("score")(score)


def score(
    items: ItemsArgument, model: ModelOption = "bundled", quick: QuickOption = False, as_json: JsonOption = False
) -> None:
    """Say how well items go together, from 0 (not at all) to 1, and which one fits least.

    The score is how probable the model finds it that people wear these together: 0.5 is undecided. It judges what is
    usual and alike in style; two pairs of jeans are for you to see, though you are told.

    Example: coordi score "navy wool blazer" "white leather sneakers" bag.jpg
    """
    from coordi.errors import DataError
    from coordi.pipeline.advising import Advisor

    if len(items) < 2:
        raise DataError(f"scoring needs 2 items or more, got {len(items)}; add what should go with '{items[0]}'")
    advisor = Advisor.open(None, model, note, progress_bar)
    outfit = [advisor.item_given(one) for one in items]
    if not quick:
        note(LOADING)
    answer = advisor.stylist.score(outfit, language_model=not quick)
    name = advisor.scorer.name if not quick else answer.judge
    if as_json:
        echo_json(_as_json(items, answer, name))
        return
    typer.echo(f"{answer.score:.2f}  P(yes) of the {name} model" if not quick else f"{answer.score:.2f}  {name}")
    for given, item, without in zip(items, answer.items, answer.without, strict=True):
        told = "" if without is None else f"  (without it: {without:.2f})"
        typer.echo(f"  {given}{f': {item.text}' if item.text != given.lower() else ''}{told}")
    for caution in answer.cautions:
        typer.echo(f"Not an outfit as people wear it: {caution}. The score judges style and can't tell that.")
    if answer.weakest is not None:
        typer.echo(f"Fits least: {items[answer.weakest]}")


def _as_json(items: list[str], answer: OutfitScore, name: str) -> dict[str, Any]:
    told = [
        {"given": given, "text": item.text, "score_without": without}
        for given, item, without in zip(items, answer.items, answer.without, strict=True)
    ]
    weakest = None if answer.weakest is None else items[answer.weakest]
    return {
        "score": answer.score, "model": name, "judge": answer.judge, "weakest": weakest, "items": told,
        "cautions": answer.cautions,
    }  # fmt: skip
