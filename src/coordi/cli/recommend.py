"""``coordi recommend``: what completes an outfit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordi.cli.console import echo_json, note, progress_bar
from coordi.cli.rule_options import with_rules
from coordi.cli.score import LOADING, ItemsArgument, QuickOption
from coordi.cli.work import JsonOption, data_path
from coordi.recommend.rules import Rules

if TYPE_CHECKING:
    from coordi.recommend.advice import Completion, Judge, Looks, Suggestion
    from coordi.recommend.described_item import DescribedItem


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("recommend")(with_rules(recommend))


def recommend(
    items: ItemsArgument,
    catalogue: Annotated[
        str,
        typer.Option(
            "--catalogue", help="What `coordi catalogue build` made, a run's folder, any data set, or 'sample'."
        ),
    ],
    rules: Rules,
    model: Annotated[
        str | None,
        typer.Option("--model", help="As for `coordi score`. Default: the catalogue's own run, else 'bundled'."),
    ] = None,
    top_k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many to show.")] = 5,
    looks: Annotated[
        bool, typer.Option("--looks", help="Whole outfits around the item, of which there is one.")
    ] = False,
    quick: QuickOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find items of a catalogue that complete an outfit, ranked by the model, each with what moved its score.

    An item is an id of the catalogue, a photo's path, or words. The first use of a catalogue that is neither
    built nor a run's folder describes its photos, once.

    Example: coordi recommend "navy wool blazer" "white shirt" --catalogue demo/sample --want shoes --max-price 80
    """
    from coordi.errors import RecommendationError
    from coordi.pipeline.advising import Advisor

    if looks and len(items) > 1:
        raise typer.BadParameter(f"whole looks are made around 1 item, got {len(items)}; add the others with --pin ID")
    advisor = Advisor.open(data_path(catalogue), model, note, progress_bar)
    outfit = [advisor.item_given(one) for one in items]
    if not quick:
        note(LOADING)
    if looks:
        whole = advisor.stylist.outfits(outfit[0], top_k, rules, language_model=not quick)
        if whole.nothing:
            raise RecommendationError(whole.nothing)
        if as_json:
            echo_json(_looks_as_json(items[0], whole, advisor.scorer.name))
        else:
            _show_looks(items[0], whole, advisor.scorer.name)
        return
    found = advisor.stylist.complete(outfit, k=top_k, rules=rules, language_model=not quick)
    if found.nothing and not found.suggestions:
        raise RecommendationError(found.nothing)
    if as_json:
        echo_json(_as_json(items, found, advisor.scorer.name))
    else:
        _show_suggestions(found, advisor.scorer.name)


def _show_suggestions(found: Completion, model: str) -> None:
    for one in found.suggestions:
        _show(one)
    typer.echo(
        f"{found.ranked} of {found.candidates} candidates ranked {_judged(found.judge, model)}; looked for: "
        f"{', '.join(found.categories)}"
    )
    for row in found.left_out:
        typer.echo(f"  {row.rule}: leaves out {row.count}, {row.left} left")


def _show(one: Suggestion) -> None:
    """A suggestion in two lines: what it is, and why."""
    typer.echo(f"{one.score:.2f}  {_line(one.item)}")
    why = "Pinned." if one.is_pinned else one.reason.text if one.reason else ""
    if why:
        typer.echo(f"      {why}")


def _show_looks(given: str, found: Looks, model: str) -> None:
    """Looks with a line for each item."""
    for look in found.looks:
        typer.echo(f"{look.score:.2f}  {given}")
        for item in look.items[1:]:
            typer.echo(f"      {_line(item)}")
        if look.lacks:
            typer.echo(f"      Nothing found of: {', '.join(look.lacks)}.")
        typer.echo(f"      {look.reason.text}")
    looks = "1 look" if len(found.looks) == 1 else f"{len(found.looks)} looks"
    typer.echo(f"{looks}, judged {_judged(found.judge, model)}")


def _judged(judge: Judge, model: str) -> str:
    return f"by the {model} model" if judge == "language-model" else "without the language model"


def _line(one: DescribedItem) -> str:
    price = "" if one.item.price is None else f", {one.item.price:g}"
    return f"{one.text}{price}  [{one.id}]"


def _looks_as_json(given: str, found: Looks, model: str) -> dict[str, Any]:
    around = found.looks[0].items[0]
    return {
        "around": {"given": given, "text": around.text},
        "model": model,
        "judge": found.judge,
        "looks": [
            {
                "score": look.score,
                "added": [item_as_json(item) for item in look.items[1:]],
                "lacks": look.lacks,
                "reason": {
                    "text": look.reason.text,
                    "items": [
                        {"item": given if moved.what == around.id else moved.what, "by": moved.by}
                        for moved in look.reason.items
                    ],
                },
            }
            for look in found.looks
        ],
    }


def _as_json(given: list[str], found: Completion, model: str) -> dict[str, Any]:
    told = {item.id: name for name, item in zip(given, found.outfit, strict=True)}
    return {
        "outfit": [{"given": name, "text": item.text} for name, item in zip(given, found.outfit, strict=True)],
        "model": model,
        "judge": found.judge,
        "categories": found.categories,
        "candidates": found.candidates,
        "ranked": found.ranked,
        "shortlist": "everything" if found.ranked >= found.candidates else "without-language-model",
        "suggestions": [suggestion_as_json(one, told) for one in found.suggestions],
        "left_out": [
            {"name": row.name, "rule": row.rule, "count": row.count, "left": row.left} for row in found.left_out
        ],
    }


def suggestion_as_json(one: Suggestion, told: dict[str, str]) -> dict[str, Any]:
    """A suggestion for ``--json``.

    Args:
        one: What is suggested.
        told: What the user calls each item of the outfit, by its id.
    """
    reason = None
    if one.reason is not None:
        items = [{"item": told.get(moved.what, moved.what), "by": moved.by} for moved in one.reason.items]
        labels = [
            {"attribute": moved.attribute, "label": moved.what, "by": moved.by} for moved in one.reason.attributes
        ]
        reason = {"text": one.reason.text, "items": items, "attributes": labels}
    return {**item_as_json(one.item), "score": one.score, "is_pinned": one.is_pinned, "reason": reason}


def item_as_json(one: DescribedItem) -> dict[str, Any]:
    """An item for ``--json``."""
    item = one.item
    return {
        "id": item.id,
        "text": one.text,
        "title": item.title,
        "category": item.category,
        "price": item.price,
        "image": None if item.image is None else str(item.image),
    }
