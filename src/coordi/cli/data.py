"""``coordi data``: what was recognised in a source, what cleaning leaves of it and why, and whether answers leak."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from coordi.cli.console import echo_json, progress_bar, visible
from coordi.config import DataSettings, RunSettings, apply_overrides
from coordi.data.loading import load, located
from coordi.data.survey import survey
from coordi.errors import ConfigError

DataOverrides = Annotated[
    list[str] | None, typer.Argument(metavar="data.KEY=VALUE", help="Settings of the data: data.split=item-disjoint")
]
_WIDTH_IN_A_PIPE = 120


class Photos(StrEnum):
    """Accepted values of ``--photos``; see ``DataSettings.photos``."""

    auto = "auto"
    required = "required"
    optional = "optional"


def register(app: typer.Typer) -> None:
    """Add the noun to the command line."""
    nouns = typer.Typer(no_args_is_help=True, help="Look at a data set before anything is done with it.")
    nouns.callback()(_data)
    nouns.command("info")(info)
    app.add_typer(nouns, name="data")


def _data() -> None:
    """Look at a data set before anything is done with it."""


def info(
    path: Annotated[
        str, typer.Argument(help="A release's folder, a catalogue file, a folder of photos, 'sample', or a hub's copy.")
    ],
    photos: Annotated[
        Photos,
        typer.Option(help="required: as the paper; optional: text-only too; auto: required if half survives."),
    ] = Photos.auto,
    seed: Annotated[int, typer.Option(help="Seed of splits and questions.", min=0)] = RunSettings().seed,
    as_json: Annotated[bool, typer.Option("--json", help="JSON alone on standard output.")] = False,
    overrides: DataOverrides = None,
) -> None:
    """Show what was recognised, what cleaning left out and why, counts, question balance and leaks.

    Example: coordi data info path/to/polyvore-maryland --photos optional data.split=item-disjoint
    """
    for override in overrides or ():
        if not override.startswith("data."):
            raise ConfigError(
                f"'{override}' is not a data setting; use one of "
                f"{', '.join(f'data.{name}' for name in DataSettings.model_fields)}; the seed is --seed"
            )
    settings = apply_overrides(RunSettings(seed=seed, data=DataSettings(photos=photos.value)), overrides or ())
    with progress_bar("checking photos") as progress:
        dataset = load(located(path, settings.data), settings.data, seed, progress)
    with progress_bar("comparing photos") as progress:
        result = survey(dataset, seed, progress)
    if as_json:
        echo_json(result)
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH_IN_A_PIPE)
    outfits = result["outfits"] | {"all": sum(result["outfits"].values())}
    mode = "items without a photo are kept" if result["text_only"] else "every item has a photo"
    pictured = f"{result['items_with_photo']:,} with a photo ({mode})"
    console.print(visible(f"{result['name']}: recognised as {result['layout']}"), markup=False)
    console.print(f"{result['items']:,} items, {pictured}, {outfits['all']:,} outfits")
    columns: tuple[str, ...] = ("unit", "step", "left out", "kept, noted", "left")
    steps = [
        (row["unit"], row["reason"], *((row["count"], "") if row["dropped"] else ("", row["count"])), row["left"])
        for row in result["funnel"]
    ]
    console.print(_table("Cleaning funnel", columns, 2, steps))
    counts = [("outfits", *outfits.values())]
    counts += [(category, *row.values()) for category, row in result["categories"].items()]
    console.print(_table("Outfits by split, items by split and garment category", ("", *outfits), 1, counts))
    columns = ("split", "negatives", "compatibility", "positive", "left out", "fill in the blank", "other category")
    if result["questions"]:
        console.print(_table("Questions", columns, 2, [tuple(row.values())[:-1] for row in result["questions"]]))
    columns = ("split", "protocol", "task", "not as they stand", "in its file", "can be asked")
    released = [
        (part["split"], part["protocol"], task, _losses(row["losses"]), row["in_its_file"], row["can_be_asked"])
        for part in result["released"]
        for task, row in part["tasks"].items()
        if row["in_its_file"]
    ]
    if result["released"]:
        console.print(_table("The release's own questions", columns, 4, released))
    for row in result["questions"]:
        if row["problem"]:
            console.print(visible(f"no questions: {row['problem']}"), markup=False)
    _print_leaks(console, result["leaks"])


def _print_leaks(console: Console, leaks: list[dict[str, Any]]) -> None:
    unaudited = [leak for leak in leaks if leak["name"] == "unaudited"]
    visible_leaks = [leak for leak in leaks if leak["shown"]]
    hidden = [leak for leak in leaks if not leak["shown"] and leak not in unaudited]
    none = "leaks: none found, but not all could be looked for" if unaudited else "leaks: none found"
    console.print("leaks:" if visible_leaks else none)
    for leak in visible_leaks:
        console.print(visible(f"  {leak['name']} ({leak['where']}): {leak['detail']}"), markup=False)
    for leak in unaudited:
        console.print(visible(f"not audited: {leak['detail']}"), markup=False)
    if hidden:
        console.print("would tell answers, but coordi shows it to no model:")
    for leak in hidden:
        console.print(visible(f"  {leak['name']} ({leak['where']}): {leak['detail']}"), markup=False)


def _losses(losses: dict[str, int]) -> str:
    return "; ".join(f"{count:,} {reason}" for reason, count in losses.items())


def _table(title: str, columns: Sequence[str], texts: int, rows: Iterable[Sequence[str | int]]) -> Table:
    """A table whose first columns are texts and whose others are figures."""
    table = Table(title=title, title_justify="left")
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position < texts else "right", overflow="fold")
    for row in rows:
        # Text from a source may hold brackets, which rich would take for markup.
        table.add_row(*(visible(cell).replace("[", r"\[") if isinstance(cell, str) else f"{cell:,}" for cell in row))
    return table
