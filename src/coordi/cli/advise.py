"""``coordi score``, ``recommend`` and ``serve``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordi.cli.console import echo, echo_json, note, progress_bar
from coordi.cli.options import JsonOption, with_rules
from coordi.recommend.facts import facts_as_json
from coordi.recommend.rules import Rules

if TYPE_CHECKING:
    from coordi.api import Model
    from coordi.recommend.answers import Completion, Generated, Judge, LeftOut, Looks, OutfitScore, Reason, Suggestion
    from coordi.types import Item


ModelOption = Annotated[
    str, typer.Option("--model", help="'bundled', 'base', or a folder of `coordi run`, `finetune` or an adapter.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Setting of this machine, as model.base=FOLDER; repeatable."),
]
ItemsArgument = Annotated[
    list[str], typer.Argument(metavar="ITEM", help="A photo's path, words ('navy wool blazer') or a catalogue's id.")
]
QuickOption = Annotated[
    bool, typer.Option("--quick", help="Score without the language model: milliseconds instead of seconds, less exact.")
]
LOADING = "loading the language model; its first use takes some seconds longer"


def _find_items(model: Model, given: Sequence[str]) -> list[Item]:
    from coordi.encoders.labels import SEVERAL_GARMENTS, shows

    items = model.find_items(given)
    for words, item in zip(given, items, strict=True):
        if item.category is None:
            note(f"'{words}' is no garment that coordi knows; it is judged by its words alone, without a category")
        if item.description is not None and shows(item.description.attributes, SEVERAL_GARMENTS):
            note(f"the photo '{words}' shows several garments; it is judged as one '{item.category}'")
    return items


def score(
    items: ItemsArgument,
    model: ModelOption = "bundled",
    quick: QuickOption = False,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Score how well items go together, from 0 (not at all) to 1, and find the one that fits least.

    The score is the model's probability that people wear these items together; 0.5 is undecided. It judges style only.
    It does not reject impossible outfits (two pairs of jeans); a warning is printed instead.

    Example: coordi score "navy wool blazer" "white leather sneakers" bag.jpg
    """
    from coordi.api import load
    from coordi.errors import DataError

    if len(items) < 2:
        raise DataError(f"scoring needs 2 items or more, got {len(items)}; add what should go with '{items[0]}'")
    loaded = load(model, overrides=overrides or ())
    outfit = _find_items(loaded, items)
    if not quick:
        note(LOADING)
    answer = loaded.stylist.score(outfit, language_model=not quick)
    name = answer.judge if quick else loaded.trained.name
    weakest = None if answer.weakest is None else items[answer.weakest]
    rows: list[dict[str, Any]] = [
        {"given": given, "text": item.text, "score_without": without, "facts": facts_as_json(item.facts)}
        for given, item, without in zip(items, answer.items, answer.without, strict=True)
    ]
    if as_json:
        fields = {"score": answer.score, "model": name, "judge": answer.judge, "weakest": weakest}
        echo_json({**fields, "items": rows, "cautions": answer.cautions, "remarks": _remarks(answer)})
        return
    echo(f"{answer.score:.2f}  {'without the language model' if quick else f'P(yes) of the {name} model'}")
    for row in rows:
        text = f": {row['text']}" if row["text"] != row["given"].lower() else ""
        without = "" if row["score_without"] is None else f"  (without it: {row['score_without']:.2f})"
        echo(f"  {row['given']}{text}{without}")
    for caution in answer.cautions:
        echo(f"Warning: people don't wear {caution} in one outfit. The score judges style and ignores this.")
    for row in _remarks(answer):
        echo(f"{'For' if row['speaks_for'] else 'Against'} it: {row['text']}")
    if weakest is not None:
        echo(f"Fits least: {weakest}")


def _remarks(answer: OutfitScore) -> list[dict[str, Any]]:
    from coordi.recommend.reasons import remark_in_words

    return [asdict(remark) | {"text": remark_in_words(remark, answer.items)} for remark in answer.remarks]


def recommend(
    *,
    items: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ITEM...]", help="A photo's path, words or a catalogue's id; none for a wish."),
    ] = None,
    catalogue: Annotated[
        str, typer.Option(help="Folder of `coordi catalogue build` or `coordi run`, any data set, or 'sample'.")
    ],
    rules: Rules,
    model: Annotated[
        str | None, typer.Option(help="As for `coordi score`. Default: the catalogue's run, else 'bundled'.")
    ] = None,
    top_k: Annotated[int, typer.Option("-k", min=1, max=100, help="Number of suggestions.")] = 5,
    looks: Annotated[bool, typer.Option("--looks", help="Build complete outfits around one item.")] = False,
    generate: Annotated[
        bool, typer.Option("--generate", help="Let the model name an item in words, and find the nearest to them.")
    ] = False,
    quick: QuickOption = False,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Find items of a catalogue that complete an outfit, ranked by the model, each with a reason.

    An item is an id of the catalogue, a photo's path, or words. Without one, looks are built for --wish or --occasion;
    words that begin like a wish ("outfit for a beach wedding, 27 C, no heels") are read as one. The first use of a data
    set that is neither a built catalogue nor a run's folder describes its photos, once.

    Example: coordi recommend "navy wool blazer" "white shirt" --catalogue demo/sample --want shoes --max-price 80
    """
    from coordi.api import load
    from coordi.errors import RecommendationError
    from coordi.model.trained import check_can_write
    from coordi.recommend.rules import parse_rules
    from coordi.style.wishes import is_wish

    items = items or []
    if len(items) == 1 and not rules.wish and is_wish(items[0]):
        rules = parse_rules({"wish": items.pop()} | rules.model_dump(exclude_defaults=True))
    if not items and not (rules.brief.guides or rules.wish):
        raise typer.BadParameter("name an item, or say with --wish or --occasion what a look is for")
    if looks and len(items) > 1:
        raise typer.BadParameter(f"--looks builds around 1 item, got {len(items)}; add the others with --pin ID")
    looks = looks or not items
    if generate and (looks or quick):
        raise typer.BadParameter(
            f"--generate lets the model name 1 item; leave out {'--looks' if looks else '--quick'}"
        )
    loaded = load(model, catalogue, note, progress_bar, overrides=overrides or ())
    if generate:
        check_can_write(loaded.trained)
        if not loaded.trained.names_items:
            note(
                "this model wasn't taught to name items (finetune.tasks has no 'complement'), so it may write anything"
            )
    name = loaded.trained.name
    outfit = _find_items(loaded, items)
    if not quick:
        note(LOADING)
    if looks:
        answer = loaded.stylist.outfits(outfit[0] if outfit else None, top_k, rules, language_model=not quick)
        if answer.nothing:
            raise RecommendationError(_with_understood(answer))
        echo_json(_looks_as_json(items[0] if items else None, answer, name)) if as_json else _print_looks(answer, name)
        return
    completion = loaded.stylist.complete(outfit, k=top_k, rules=rules, language_model=not quick, generate=generate)
    if completion.nothing and not completion.suggestions:
        raise RecommendationError(_with_understood(completion))
    echo_json(_completion_as_json(items, completion, name)) if as_json else _print_completion(completion, name)


def _with_understood(answer: Completion | Looks) -> str:
    """Why there is nothing, after what was understood of an occasion and weather."""
    return answer.nothing if answer.understood is None else f"{answer.nothing} ({answer.understood.text.rstrip('.')})"


def _print_completion(completion: Completion, model: str) -> None:
    if completion.understood is not None:
        echo(completion.understood.text)
    for generated in completion.generated:
        recommended = ", ".join(label.text for label in generated.recommended) or "nothing"
        echo(f"{generated.want}: the image encoder recommends {recommended}; the model names '{generated.text}'")
        if generated.note:
            echo(f"      {generated.note}")
    for suggestion in completion.suggestions:
        echo(f"{suggestion.score:.2f}  {_item_line(suggestion.item)}")
        if suggestion.is_pinned:
            echo("      Pinned.")
        elif suggestion.reason is not None and suggestion.reason.text:
            echo(f"      {suggestion.reason.text}")
    done = "nearest to the words scored" if completion.generated else "ranked"
    echo(
        f"{completion.ranked} of {completion.candidates} candidates {done} {_judged(completion.judge, model)}; "
        f"looked for: {', '.join(completion.categories)}"
    )
    _print_left_out(completion.left_out)


def _print_left_out(rows: Sequence[LeftOut]) -> None:
    for row in rows:
        echo(f"  {row.rule}: leaves out {row.count}, {row.left} left")


def _print_looks(answer: Looks, model: str) -> None:
    if answer.understood is not None:
        echo(answer.understood.text)
    for look in answer.looks:
        echo(f"{look.score:.2f}  {look.items[0].text}")
        for item in look.items[1:]:
            echo(f"      {_item_line(item)}")
        if look.missing:
            echo(f"      Nothing found of: {', '.join(look.missing)}.")
        echo(f"      {look.reason.text}")
    looks = "1 look" if len(answer.looks) == 1 else f"{len(answer.looks)} looks"
    echo(f"{looks}, judged {_judged(answer.judge, model)}")
    _print_left_out(answer.left_out)


def _judged(judge: Judge, model: str) -> str:
    return f"by the {model} model" if judge == "language-model" else "without the language model"


def _item_line(item: Item) -> str:
    price = "" if item.price is None else f", {item.price:.2f}"
    return f"{item.text}{price}  [{item.id}]"


def _looks_as_json(given: str | None, answer: Looks, model: str) -> dict[str, Any]:
    """Of looks without an item ``given``, all items are added."""
    around = None if given is None else answer.looks[0].items[0]
    names = {} if around is None or given is None else {around.id: given}
    looks = [
        {
            "score": look.score,
            "added": [_item_as_json(item) for item in look.items[len(names) :]],
            "lacks": look.missing,
            "reason": {"text": look.reason.text, "items": _effects(look.reason, names)},
        }
        for look in answer.looks
    ]
    of_around = None if around is None else {"given": given, "text": around.text}
    fields = {"around": of_around, "model": model, "judge": answer.judge, "looks": looks}
    return fields | _understood_as_json(answer)


def _completion_as_json(given: list[str], completion: Completion, model: str) -> dict[str, Any]:
    names = {item.id: name for name, item in zip(given, completion.outfit, strict=True)}
    return {
        "outfit": [{"given": name, "text": item.text} for name, item in zip(given, completion.outfit, strict=True)],
        "model": model,
        "judge": completion.judge,
        "categories": completion.categories,
        "candidates": completion.candidates,
        "ranked": completion.ranked,
        "shortlist": _shortlist(completion),
        "suggestions": [_suggestion_as_json(suggestion, names) for suggestion in completion.suggestions],
        "generated": [_generated_as_json(row) for row in completion.generated],
        **_understood_as_json(completion),
    }


def _understood_as_json(answer: Completion | Looks) -> dict[str, Any]:
    understood = None if answer.understood is None else asdict(answer.understood)
    return {"understood": understood, "left_out": [asdict(row) for row in answer.left_out]}


def _shortlist(completion: Completion) -> str:
    if completion.generated:
        return "generated-words"
    return "everything" if completion.ranked >= completion.candidates else "without-language-model"


def _generated_as_json(generated: Generated) -> dict[str, Any]:
    fields = {name: getattr(generated, name) for name in ("want", "prompt", "text", "words", "note")}
    return {
        **fields,
        "recommended": [asdict(label) for label in generated.recommended],
        "shortlist": [item.id for item in generated.shortlist],
    }


def _suggestion_as_json(suggestion: Suggestion, names: Mapping[str, str]) -> dict[str, Any]:
    reason = None
    if suggestion.reason is not None:
        labels = [
            {"attribute": part.attribute, "label": part.what, "by": part.by} for part in suggestion.reason.attributes
        ]
        items = _effects(suggestion.reason, names)
        fits = [remark.guide for remark in suggestion.reason.fits]
        reason = {"text": suggestion.reason.text, "items": items, "attributes": labels, "fits": fits}
    fields = {"score": suggestion.score, "is_pinned": suggestion.is_pinned, "reason": reason}
    return _item_as_json(suggestion.item) | fields


def _effects(reason: Reason, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Effects of items, by what the user typed for them where ``names`` has their ids."""
    return [{"item": names.get(part.what, part.what), "by": part.by} for part in reason.items]


def _item_as_json(item: Item) -> dict[str, Any]:
    fields = {name: getattr(item, name) for name in ("id", "text", "title", "category", "price")}
    return {**fields, "image": None if item.image is None else str(item.image), "facts": facts_as_json(item.facts)}


def serve(
    catalogue: Annotated[Path | None, typer.Option(help="Folder of `coordi catalogue build`, for suggestions.")] = None,
    model: Annotated[str | None, typer.Option(help="As for `coordi score`.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; others than localhost need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free one.")] = 8000,
    name: Annotated[list[str] | None, typer.Option(help="Allowed host name, as of a proxy; repeatable.")] = None,
    token: Annotated[str | None, typer.Option(help="Required token; other users of this machine can see it.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the token; or set COORDI_TOKEN.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Maximum concurrent requests.")] = 8,
    queue: Annotated[int, typer.Option(min=0, max=10_000, help="Maximum waiting requests; more get status 503.")] = 64,
    max_batch: Annotated[int, typer.Option(min=1, help="Maximum outfits per model call; 1 disables batching.")] = 128,
    photo_megabytes: Annotated[int, typer.Option(min=1, max=100, help="Maximum size of a photo.")] = 20,
    stop_seconds: Annotated[int, typer.Option(min=1, help="Maximum time to finish requests after Ctrl-C.")] = 30,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log method, path and status of requests.")] = False,
    overrides: SetOption = None,
) -> None:
    """Serve the page at / and the API under /api/v1 over HTTP on this machine. Ctrl-C stops it.

    Nothing leaves the machine, and photos that are sent are never written to its disk.

    Example: coordi serve --catalogue shop-catalogue
    """
    from coordi.errors import require

    for module in ("fastapi", "uvicorn", "python_multipart", "duckdb"):
        require(module)
    from coordi.api import load
    from coordi.serve.app import run
    from coordi.serve.schemas import ServeSettings
    from coordi.serve.security import find_token

    settings = ServeSettings(
        host=host,
        port=port,
        names=tuple(name or ()),
        token=find_token(token, token_file),
        workers=workers,
        queue=queue,
        max_batch=max_batch,
        photo_bytes=photo_megabytes * 2**20,
        stop_seconds=stop_seconds,
        access_log=access_log,
    )
    if catalogue is not None:
        _check_catalogue(catalogue)
    run(settings, lambda: load(model, catalogue, note, progress_bar, overrides=overrides or ()), note)


def mcp(
    catalogue: Annotated[Path | None, typer.Option(help="Folder of `coordi catalogue build`, for suggestions.")] = None,
    model: Annotated[str | None, typer.Option(help="As for `coordi score`.")] = None,
    overrides: SetOption = None,
) -> None:
    """Answer an assistant on this machine over the Model Context Protocol, on standard input and output.

    Its tools describe, score, complete, build looks and search; they write nothing. What they answer goes to the
    assistant that asks, and to wherever that sends it.

    Example: coordi mcp --catalogue wardrobe
    """
    from coordi.errors import require

    require("mcp", "mcp")
    from coordi.api import load
    from coordi.serve.mcp import build_server

    if catalogue is not None:
        _check_catalogue(catalogue)
    build_server(load(model, catalogue, note, progress_bar, overrides=overrides or ()), note).run("stdio")


def _check_catalogue(folder: Path) -> None:
    """Refuse a folder that is no catalogue and no run before models are loaded."""
    from coordi.artifacts import RUN_FILE
    from coordi.errors import ArtifactError
    from coordi.recommend.catalogue_file import INFO_FILE

    if (folder / INFO_FILE).is_file() or (folder / RUN_FILE).is_file():
        return
    what = "isn't a built catalogue" if folder.exists() else "isn't there"
    source = folder if folder.exists() else "YOUR_PHOTOS_OR_CSV"
    raise ArtifactError(
        f"'{folder}' {what}; build one with: coordi catalogue build '{source}' --out my-catalogue, then: coordi serve "
        "--catalogue my-catalogue"
    )


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(score)
    app.command()(with_rules(recommend))
    app.command()(serve)
    app.command()(mcp)
