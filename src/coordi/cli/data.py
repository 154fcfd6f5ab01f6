"""``coordi data``: what was recognised in a source, what cleaning leaves of it and why, and whether answers leak."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from coordi.cli.console import echo_json, progress_bar
from coordi.config import DataSettings, RunSettings, apply_overrides
from coordi.data.leaks import Leak
from coordi.data.loading import load, located
from coordi.data.survey import Survey, survey
from coordi.errors import ConfigError
from coordi.types import SPLITS, FunnelRow, ReleaseQuestions

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
    seed: Annotated[int, typer.Option(help="Of drawn splits and questions.", min=0)] = RunSettings().seed,
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
        echo_json(result.as_json())
    else:
        _show(result)


def _show(result: Survey) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH_IN_A_PIPE)
    dataset = result.dataset
    pictured = sum(item.image is not None for item in dataset.items.values())
    mode = "items without a photo are kept" if dataset.text_only else "every item has a photo"
    console.print(f"{dataset.name}: recognised as {dataset.layout}", markup=False)
    console.print(f"{len(dataset.items):,} items, {pictured:,} with a photo ({mode}), {len(dataset.outfits):,} outfits")
    console.print(_funnel(dataset.funnel))
    console.print(_categories(result))
    if result.balances:
        console.print(_balances(result))
    if dataset.released:
        console.print(_release_questions(dataset.released))
    for balance in result.balances:
        if balance.problem:
            console.print(f"no questions: {balance.problem}", markup=False)
    _print_leaks(console, result.leaks)


def _print_leaks(console: Console, leaks: tuple[Leak, ...]) -> None:
    unaudited = [leak for leak in leaks if leak.name == "unaudited"]
    visible = [leak for leak in leaks if leak.visible]
    hidden = [leak for leak in leaks if not leak.visible and leak.name != "unaudited"]
    none = "leaks: none found, but not all could be looked for" if unaudited else "leaks: none found"
    console.print("leaks:" if visible else none)
    for leak in visible:
        console.print(f"  {leak.name} ({leak.where}): {leak.detail}", markup=False)
    for leak in unaudited:
        console.print(f"not audited: {leak.detail}", markup=False)
    if hidden:
        console.print("would tell answers, but coordi shows it to no model:")
    for leak in hidden:
        console.print(f"  {leak.name} ({leak.where}): {leak.detail}", markup=False)


def _funnel(rows: tuple[FunnelRow, ...]) -> Table:
    table = Table(title="Cleaning funnel", title_justify="left")
    table.add_column("unit")
    table.add_column("step", overflow="fold")
    table.add_column("left out", justify="right")
    table.add_column("kept, noted", justify="right")
    table.add_column("left", justify="right")
    for row in rows:
        out, noted = (f"{row.count:,}", "") if row.dropped else ("", f"{row.count:,}")
        table.add_row(row.unit, _plain(row.reason), out, noted, f"{row.left:,}")
    return table


def _categories(result: Survey) -> Table:
    table = Table(title="Outfits by split, items by split and worn category", title_justify="left")
    table.add_column("")
    for column in (*SPLITS, "all"):
        table.add_column(column, justify="right")
    outfits = [len(result.dataset.outfits_of(split)) for split in SPLITS]
    table.add_row("outfits", *(f"{count:,}" for count in (*outfits, sum(outfits))), end_section=True)
    for category, counts in result.items_by_category.items():
        table.add_row(category, *(f"{counts[column]:,}" for column in (*SPLITS, "all")))
    return table


def _balances(result: Survey) -> Table:
    table = Table(title="Questions", title_justify="left")
    for column in ("split", "negatives"):
        table.add_column(column)
    for column in ("compatibility", "positive", "left out", "fill in the blank", "other category"):
        table.add_column(column, justify="right")
    for each in result.balances:
        figures = (each.compatibility, each.positives, each.left_out, each.blanks, each.fallbacks)
        table.add_row(each.split, each.protocol, *(f"{figure:,}" for figure in figures))
    return table


def _release_questions(parts: tuple[ReleaseQuestions, ...]) -> Table:
    table = Table(title="The release's own questions", title_justify="left")
    for column in ("split", "protocol", "task"):
        table.add_column(column)
    for column in ("in its file", "can be asked"):
        table.add_column(column, justify="right")
    table.add_column("not as they stand", overflow="fold")
    for part in parts:
        for task, (count, file) in part.by_task().items():
            if file.count:
                losses = "; ".join(f"{lost:,} {reason}" for reason, lost in file.losses.items())
                table.add_row(part.split, part.name, task, f"{file.count:,}", f"{count:,}", _plain(losses))
    return table


def _plain(text: str) -> str:
    """Text from a source may hold brackets, which rich would take for markup."""
    return text.replace("[", r"\[")
