"""``coordi catalogue``: a shop's items described, kept in a folder and brought up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordi.cli import catalogue_complete
from coordi.cli.catalogue_search import FolderArgument, info, search
from coordi.cli.console import echo_json, note, progress_bar
from coordi.cli.work import DownloadOption, JsonOption, OutOption, data_path, typed_command
from coordi.describe.vector_cache import SAVE_EVERY

if TYPE_CHECKING:
    from coordi.pipeline.catalogue_building import Outcome
    from coordi.pipeline.catalogue_folder import CatalogueWork

SourceArgument = Annotated[
    str,
    typer.Argument(metavar="SRC", help="A .csv, .jsonl or .parquet table, a folder of photos, a data set, 'sample'."),
]
ShrinkOption = Annotated[
    bool, typer.Option("--may-shrink", help="Let a source take away more than half of what is there.")
]
SaveOption = Annotated[int, typer.Option("--save-every", min=1, help="Photos between two saves.")]
_LINES_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Add the noun to the command line."""
    nouns = typer.Typer(no_args_is_help=True, help="Make a catalogue of items, keep it up to date, search it.")
    nouns.callback()(_catalogue)
    for command in (build, info, search, add, remove, refresh):
        nouns.command(command.__name__)(command)
    catalogue_complete.register(nouns)
    app.add_typer(nouns, name="catalogue")


def _catalogue() -> None:
    """Make a catalogue of items, keep it up to date, search it."""


def build(
    source: SourceArgument,
    out: OutOption,
    model: Annotated[
        str, typer.Option("--model", help="Items are described and told as it was taught: 'bundled', 'base', a folder.")
    ] = "bundled",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Photos encoded at once.")] = 16,
    save_every: SaveOption = SAVE_EVERY,
    allow_download: DownloadOption = False,
    may_shrink: ShrinkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check every row, describe every photo, and keep the items in a folder that `recommend` and `serve` open.

    Rows that can't go in, and what is wrong with others, are in problems.jsonl with their line numbers. The same
    command goes on after Ctrl-C or a crash, and brings a finished catalogue up to date with its source.

    Example: coordi catalogue build shop/products.csv --out catalogue
    """
    from coordi.pipeline.catalogue_building import build_catalogue
    from coordi.pipeline.catalogue_describing import Eyes
    from coordi.pipeline.models import find_model

    settings = find_model(model).settings
    update = {"batch_size": batch_size, "allow_download": allow_download}
    eyes = Eyes.of(settings.describe.model_copy(update=update), settings.prompt)
    path = data_path(source, _data(allow_download))
    _show(build_catalogue(path, eyes, _work(out, save_every, allow_download, may_shrink)), out, as_json)


def add(
    folder: FolderArgument, source: SourceArgument, save_every: SaveOption = SAVE_EVERY, as_json: JsonOption = False
) -> None:
    """Add items from a source; one whose id is there already takes the old one's place.

    Example: coordi catalogue add catalogue shop/new-arrivals.csv
    """
    from coordi.pipeline.catalogue_building import add_to_catalogue

    work = _work(folder, save_every)
    _show(add_to_catalogue(data_path(source), work), folder, as_json)


def remove(
    folder: FolderArgument,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Of the items.")],
    as_json: JsonOption = False,
) -> None:
    """Take items out; if one id is unknown, nothing is removed.

    Example: coordi catalogue remove catalogue sku-1021 sku-1022
    """
    from coordi.pipeline.catalogue_building import remove_from_catalogue

    _show(remove_from_catalogue(ids, _work(folder, SAVE_EVERY)), folder, as_json)


def refresh(
    folder: FolderArgument,
    source: Annotated[
        str | None, typer.Argument(metavar="[SRC]", help="The feed. Default: what the catalogue was made of.")
    ] = None,
    save_every: SaveOption = SAVE_EVERY,
    may_shrink: ShrinkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a catalogue equal to its feed: what is new is added, what has changed described again, what is gone removed.

    Rows and photos are compared by their content, so only what has changed costs time. A server that has the catalogue
    open takes the new one up within some seconds.

    Example: coordi catalogue refresh catalogue shop/products.csv
    """
    from coordi.pipeline.catalogue_building import refresh_catalogue

    feed = None if source is None else data_path(source)
    _show(refresh_catalogue(feed, _work(folder, save_every, may_shrink=may_shrink)), folder, as_json)


def summary(found: Outcome) -> dict[str, Any]:
    """Counts of what was done, and of each problem."""
    from coordi.pipeline.catalogue_source import by_reason

    problems = by_reason(found.problems)
    return {
        "items": found.items,
        "added": found.added,
        "changed": found.changed,
        "removed": found.removed,
        "unchanged": found.unchanged,
        "encoded": found.encoded,
        "left_out": {reason: len(rows) for reason, rows in problems.items() if not rows[0].kept}
        | {row.reason: row.count for row in found.left_out},
        "noted": {reason: len(rows) for reason, rows in problems.items() if rows[0].kept},
    }


def _show(found: Outcome, folder: Path, as_json: bool) -> None:
    from coordi.pipeline.catalogue_source import NO_CATEGORY, PROBLEMS_FILE, by_reason, examples

    if as_json:
        echo_json(summary(found))
        return
    for reason, rows in by_reason(found.problems).items():
        what = "noted" if rows[0].kept else "left out"
        note(f"{what} {len(rows):,}: {reason} ({examples(rows, _LINES_SHOWN)})")
        if reason == NO_CATEGORY:
            note("  say what it is in the photo's name ('grey wool scarf.jpg'), in a title or in a category column")
    for row in found.left_out:
        note(f"left out {row.count:,}: {row.reason}")
    if found.problems:
        all_of_them = f"all {len(found.problems):,} problems" if len(found.problems) > 1 else "the problem"
        note(f"{all_of_them}, a line each: {folder / PROBLEMS_FILE}")
    counts = {"added": found.added, "changed": found.changed, "removed": found.removed, "unchanged": found.unchanged}
    typer.echo(f"{', '.join(f'{count:,} {name}' for name, count in counts.items())}: {found.items:,} items in {folder}")


def _work(folder: Path, save_every: int, allow_download: bool = False, may_shrink: bool = False) -> CatalogueWork:
    from coordi.pipeline.catalogue_folder import CatalogueWork

    return CatalogueWork(folder, typed_command(), progress_bar, _data(allow_download), save_every, may_shrink)


def _data(allow_download: bool) -> Any:
    from coordi.config import DataSettings

    return DataSettings(photos="optional", allow_download=allow_download)
