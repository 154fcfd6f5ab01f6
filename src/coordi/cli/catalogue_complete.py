"""``coordi catalogue complete``: "complete the look" lists for a whole catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coordi.cli.console import echo_json, note, progress_bar
from coordi.cli.rule_options import with_rules
from coordi.cli.score import LOADING, QuickOption
from coordi.cli.work import JsonOption
from coordi.recommend.rules import Rules


def register(nouns: typer.Typer) -> None:
    """Add the command to ``coordi catalogue``."""
    nouns.command("complete")(with_rules(complete))


def complete(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `coordi catalogue build` made.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write: a line of JSON for each item.")],
    rules: Rules,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="The items to complete; with --all none.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Complete every item of the catalogue.")] = False,
    top_k: Annotated[int, typer.Option("-k", min=1, max=50, help="Suggestions for each item.")] = 5,
    reasons: Annotated[bool, typer.Option("--reasons", help="Say why; takes about as long again.")] = False,
    model: Annotated[str, typer.Option("--model", help="As for `coordi score`.")] = "bundled",
    quick: QuickOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write what would complete each item, as a batch that can be interrupted and goes on with the same command.

    Example: coordi catalogue complete catalogue --all --out looks.jsonl --in-stock -k 6
    """
    from coordi.errors import ArtifactError, RecommendationError
    from coordi.pipeline.advising import Advisor
    from coordi.pipeline.completing_catalogues import Batch, complete_catalogue
    from coordi.recommend.catalogue_file import check_is_catalogue

    if everything == bool(ids):
        raise RecommendationError("give the ids of the items to complete, or --all for the whole catalogue")
    if out.suffix != ".jsonl":
        raise ArtifactError(f"--out {out} must end in .jsonl: it holds a line of JSON for each item")
    check_is_catalogue(folder)
    advisor = Advisor.open(folder, model, note, progress_bar)
    if advisor.index is None or not len(advisor.index):
        raise RecommendationError(f"the catalogue '{folder}' is empty; add items: coordi catalogue add {folder} SOURCE")
    asked = advisor.index.ids() if everything else [item.id for item in advisor.items_of_ids(ids or [])]
    if not quick:
        note(LOADING)
    batch = Batch(asked, top_k, rules, language_model=not quick, reasons=reasons)
    with progress_bar("completing items") as progress:
        done = complete_catalogue(batch, advisor, out, progress)
    if as_json:
        echo_json({"out": str(out), "lines": done.lines, "known": done.known, "nothing": done.nothing})
        return
    before = f", {done.known} of them from an earlier run" if done.known else ""
    typer.echo(f"{out}: {done.lines} items{before}; nothing completes {done.nothing} of them (their lines say why)")
