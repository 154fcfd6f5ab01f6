"""``coordi catalogue``: build, info, search, add, remove, refresh, complete."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from coordi.cli.advise import LOADING, ModelOption, QuickOption
from coordi.cli.console import echo, echo_json, note, progress_bar, visible
from coordi.cli.options import DownloadOption, JsonOption, OutOption, typed_command, with_feed, with_rules
from coordi.config import DataSettings, FeedSettings
from coordi.encoders.photo_embeddings import SAVE_EVERY
from coordi.errors import DataError
from coordi.recommend.rules import Rules

if TYPE_CHECKING:
    from coordi.recommend.build import BuildResult, CatalogueJob
    from coordi.recommend.catalogue import Catalogue
    from coordi.types import Item


FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `coordi catalogue build` made.")]
WordsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[WORDS]...", help="Words in the title, brand or description.")
]
SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SRC", help="A table, a shop's export (.csv, .tsv, .xml, .json), a folder of photos, a data set."
    ),
]
ShrinkOption = Annotated[bool, typer.Option("--may-shrink", help="Allow removing more than half of the items.")]
SaveOption = Annotated[int, typer.Option("--save-every", min=1, help="Photos between two saves.")]
_FIELDS = ("id", "title", "category", "text", "brand", "colours", "gender", "season", "price", "in_stock")
_MAX_BRANDS = 10
_MAX_LINES = 5
_WIDTH_IN_A_PIPE = 120
_OPTIONAL = DataSettings(photos="optional")


def info(
    folder: FolderArgument,
    html: Annotated[
        Path | None, typer.Option(help="Page to write: counts, problems, prices, items to look at.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the contents of a catalogue, its source and its encoder.

    Example: coordi catalogue info catalogue --html catalogue.html
    """
    from coordi.artifacts import write_text
    from coordi.recommend.catalogue import Catalogue
    from coordi.recommend.catalogue_file import ITEMS_FILE

    with Catalogue.open(folder) as index:
        facets, origin = index.facets(), index.info
        contents = {
            "name": origin.name,
            "items": len(index),
            "with_photo": index.photographed(),
            "categories": dict(facets.categories),
            **{name: getattr(facets, name) for name in ("price_range", "brands", "seasons", "genders")},
            "source": origin.source,
            "encoder": {"name": origin.encoder[0], "identity": origin.encoder[1]},
            "vocabulary": {"name": origin.describe.vocabulary, "sha256": origin.vocabulary},
            "prompt": origin.prompt.model_dump(mode="json"),
            "made": origin.changed_at,
            "bytes": (folder / ITEMS_FILE).stat().st_size,
        }
        if html is not None:
            from coordi.recommend.health import look_into, render_health

            write_text(html, render_health(index, look_into(index)))
            note(f"the page is at {html}")
    if as_json:
        echo_json(contents)
    else:
        _show_contents(contents)


def _show_contents(contents: Mapping[str, Any]) -> None:
    price, brands = contents["price_range"], contents["brands"]
    more = f" and {len(brands) - _MAX_BRANDS} more" if len(brands) > _MAX_BRANDS else ""
    lines = {
        "made of": contents["source"],
        "changed": contents["made"],
        "encoder": f"{contents['encoder']['name']} ({contents['encoder']['identity'][:12]})",
        "vocabulary": f"{contents['vocabulary']['name']} ({contents['vocabulary']['sha256'][:12]})",
        "size": f"{contents['bytes'] / 2**20:,.1f} MiB",
        "categories": ", ".join(f"{category} {count:,}" for category, count in contents["categories"].items()),
        "prices": "unknown" if price is None else f"{price[0]:,.2f} to {price[1]:,.2f}",
        "brands": f"{', '.join(brands[:_MAX_BRANDS])}{more}" or "unknown",
        "seasons": ", ".join(contents["seasons"]) or "unknown",
        "made for": ", ".join(contents["genders"]) or "unknown",
    }
    echo(f"{contents['name']}: {contents['items']:,} items, {contents['with_photo']:,} with a photo")
    for name, text in lines.items():
        echo(f"{name:<11} {text}")


@with_rules
def search(
    folder: FolderArgument,
    rules: Rules,
    words: WordsArgument = None,
    photo: Annotated[Path | None, typer.Option(help="Find items with photos most similar to this one.")] = None,
    top_k: Annotated[int, typer.Option("-k", min=1, max=1000, help="Maximum number of items.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Find items by words, by a photo, and by category, price, brand or colour.

    Example: coordi catalogue search catalogue black boots --max-price 100
    """
    from coordi.encoders.labels import load_vocabulary
    from coordi.errors import RecommendationError
    from coordi.recommend.catalogue import Catalogue
    from coordi.recommend.rules import check_colours

    if words and photo:
        raise RecommendationError("give words or --photo, not both; other options can be combined with either")
    with Catalogue.open(folder) as index:
        check_colours(rules, load_vocabulary(index.info.describe.vocabulary))
        if photo is not None:
            matches: list[tuple[Item, float | None]] = [*_similar(index, folder, photo, top_k, rules)]
            total = index.count(rules)
        else:
            items, total = index.page(rules, " ".join(words or ()), limit=top_k)
            matches = [(item, None) for item in items]
    if as_json:
        echo_json({"total": total, "items": [_item_as_json(item, cosine) for item, cosine in matches]})
    else:
        _show_items(matches, total)


def _similar(index: Catalogue, folder: Path, photo: Path, top_k: int, rules: Rules) -> list[tuple[Item, float]]:
    from coordi.data.photos import open_photo
    from coordi.recommend.build import DescriptionPipeline
    from coordi.recommend.catalogue_file import check_fits

    pipeline = DescriptionPipeline.of(index.info.describe, index.info.prompt)
    check_fits(folder, index.info, pipeline.info("", ""))
    embedding = pipeline.encoder.encode_images([open_photo(photo)])[0]
    return index.nearest(embedding, "photo", top_k, rules)


def _item_as_json(item: Item, cosine: float | None) -> dict[str, Any]:
    fields = {name: getattr(item, name) for name in _FIELDS}
    fields["photo"] = None if item.image is None else str(item.image)
    return fields if cosine is None else {**fields, "cosine": cosine}


def _show_items(matches: list[tuple[Item, float | None]], total: int) -> None:
    if not matches:
        echo("no item fits these words and options; remove some")
        return
    columns = [Column(name, overflow="fold") for name in ("id", "category", "item", "brand", "colours")]
    table = Table(*columns, Column("price", justify="right"))
    if matches[0][1] is not None:
        table.add_column("cosine", justify="right")
    for item, cosine in matches:
        price = "" if item.price is None else f"{item.price:,.2f}"
        cells = [item.id, item.category or "", item.title or item.text, item.brand, ", ".join(item.colours), price]
        table.add_row(*(escape(visible(cell)) for cell in cells), *([] if cosine is None else [f"{cosine:.3f}"]))
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=_WIDTH_IN_A_PIPE)
    console.print(table)
    echo(f"{len(matches):,} of {total:,} items shown")


def complete(
    folder: FolderArgument,
    out: Annotated[Path, typer.Option("--out", help="File to write, with a line of JSON for each item.")],
    rules: Rules,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Items to complete; none with --all.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Complete every item of the catalogue.")] = False,
    top_k: Annotated[int, typer.Option("-k", min=1, max=50, help="Suggestions for each item.")] = 5,
    reasons: Annotated[bool, typer.Option("--reasons", help="Also write reasons; takes about twice as long.")] = False,
    model: ModelOption = "bundled",
    quick: QuickOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write suggestions for each item; interrupted, the same command resumes.

    Example: coordi catalogue complete catalogue --all --out looks.jsonl --in-stock -k 6
    """
    from coordi.api import load
    from coordi.errors import ArtifactError, RecommendationError
    from coordi.recommend.batch import Batch, complete_catalogue
    from coordi.recommend.catalogue_file import check_is_catalogue
    from coordi.recommend.stylist import check_catalogue

    if everything == bool(ids):
        raise RecommendationError("give the ids of the items to complete, or --all for the whole catalogue")
    if out.suffix != ".jsonl":
        raise ArtifactError(f"--out {out} must end in .jsonl: it holds a line of JSON for each item")
    check_is_catalogue(folder)
    loaded = load(model, folder, note, progress_bar)
    opened = check_catalogue(loaded.catalogue)
    chosen = opened.ids() if everything else [item.id for item in opened.items_of(ids or [])]
    if not quick:
        note(LOADING)
    batch = Batch(chosen, top_k, rules, language_model=not quick, reasons=reasons)
    with progress_bar("completing items") as progress:
        done = complete_catalogue(batch, loaded.stylist, loaded.trained.identity(), out, progress)
    if as_json:
        echo_json({"out": str(out), "lines": done.lines, "known": done.resumed, "nothing": done.nothing})
        return
    before = f", {done.resumed} of them from an earlier run" if done.resumed else ""
    echo(f"{out}: {done.lines} items{before}; nothing completes {done.nothing} of them (their lines say why)")


@with_feed
def build(
    source: SourceArgument,
    out: OutOption,
    feed: FeedSettings,
    model: Annotated[str, typer.Option(help="Model to describe items for: 'bundled', 'base' or a folder.")] = "bundled",
    batch_size: Annotated[int, typer.Option(min=1, help="Photos encoded at once.")] = 16,
    save_every: SaveOption = SAVE_EVERY,
    allow_download: DownloadOption = False,
    may_shrink: ShrinkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check every row, describe every photo, and save the items in a folder that `recommend` and `serve` open.

    problems.jsonl lists the rows that were left out, and problems of others, with line numbers. Interrupted by Ctrl-C
    or a crash, the same command resumes; on a finished catalogue it updates the catalogue from its source. Exports of
    shop software are recognised by their columns, and one line says as what.

    Example: coordi catalogue build shop/products.csv --out catalogue
    """
    from coordi.model.trained import find_model
    from coordi.recommend.build import DescriptionPipeline, build_catalogue

    settings = find_model(model).settings
    update = {"batch_size": batch_size, "allow_download": allow_download}
    pipeline = DescriptionPipeline.of(settings.describe.model_copy(update=update), settings.prompt)
    data = DataSettings(photos="optional", allow_download=allow_download, feed=feed)
    _show(build_catalogue(source, pipeline, _job(out, save_every, data, may_shrink)), out, as_json)


@with_feed
def add(
    folder: FolderArgument,
    source: SourceArgument,
    feed: FeedSettings,
    save_every: SaveOption = SAVE_EVERY,
    allow_download: DownloadOption = False,
    as_json: JsonOption = False,
) -> None:
    """Add items from a source; an item replaces the one with the same id.

    Example: coordi catalogue add catalogue shop/new-arrivals.csv
    """
    from coordi.recommend.build import add_to_catalogue

    data = DataSettings(photos="optional", allow_download=allow_download, feed=feed)
    _show(add_to_catalogue(source, _job(folder, save_every, data)), folder, as_json)


def remove(
    folder: FolderArgument, ids: Annotated[list[str], typer.Argument(metavar="ID...")], as_json: JsonOption = False
) -> None:
    """Remove items; if an id is unknown, nothing is removed.

    Example: coordi catalogue remove catalogue sku-1021 sku-1022
    """
    from coordi.recommend.build import remove_from_catalogue

    _show(remove_from_catalogue(ids, _job(folder, SAVE_EVERY)), folder, as_json)


@with_feed
def refresh(
    folder: FolderArgument,
    feed: FeedSettings,
    source: Annotated[str | None, typer.Argument(metavar="[SRC]", help="Default: the catalogue's source.")] = None,
    save_every: SaveOption = SAVE_EVERY,
    allow_download: DownloadOption = False,
    may_shrink: ShrinkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Update a catalogue from its feed: add new items, describe changed ones again, remove those that are gone.

    Rows and photos are compared by content, so only changes cost time. The feed is read as when the catalogue was built
    (--column, --delimiter, ...), unless options say how. A server that has the catalogue open
    switches to the new version within seconds.

    Example: coordi catalogue refresh catalogue shop/products.csv
    """
    from coordi.recommend.build import refresh_catalogue

    data = DataSettings(photos="optional", allow_download=allow_download, feed=feed)
    _show(refresh_catalogue(source, _job(folder, save_every, data, may_shrink)), folder, as_json)


@with_feed
def fetch_photos(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="A table or a shop's export with addresses of photos, or its folder.")
    ],
    feed: FeedSettings,
    allow: Annotated[list[str], typer.Option(metavar="HOST", help="Host that may be asked; repeatable.")],
    max_mb: Annotated[float, typer.Option(min=0.001, help="Largest photo in MiB.")] = 20.0,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Photos fetched at once.")] = 4,
    as_json: JsonOption = False,
) -> None:
    """Fetch the photos that a table names by address, from the hosts that you allow, into `images` beside the table.

    Nothing else in coordi asks other machines for photos. `coordi catalogue build` finds them there. Photos that are
    there already aren't fetched again; addresses that lead into a private network are refused.

    Example: coordi catalogue fetch-photos shop/products.csv --allow cdn.example.com
    """
    from coordi.data.feed import addresses_of, find_table, read_catalogue
    from coordi.data.fetching import PhotoFetcher

    fetcher = PhotoFetcher.of_hosts(allow, round(max_mb * 2**20))
    table = find_table(source) if source.is_dir() else source
    if table is None:
        raise DataError(f"the folder {source} holds no table of items; give the path of a table with photos' addresses")
    addresses = addresses_of(read_catalogue(table, settings=feed))
    folder = table.parent / "images"
    with progress_bar("fetching photos") as progress:
        result = fetcher.fetch_all(addresses, folder, workers, progress)
    if as_json:
        echo_json({"folder": str(folder), "new": result.new, "before": result.before, "failed": dict(result.failed)})
        return
    for item_id, problem in list(result.failed.items())[:_MAX_LINES]:
        note(f"no photo of '{item_id}': {problem}")
    if len(result.failed) > _MAX_LINES:
        note(f"and {len(result.failed) - _MAX_LINES:,} more; all of them with --json")
    typer.echo(
        f"{result.new:,} photos fetched, {result.before:,} there before, {len(result.failed):,} failed: {folder}; "
        f"{len(addresses):,} items have addresses"
    )


def _show(result: BuildResult, folder: Path, as_json: bool) -> None:
    from coordi.recommend.build import NO_CATEGORY, PROBLEMS_FILE, by_reason, examples

    counts = {name: getattr(result, name) for name in ("added", "changed", "removed", "unchanged")}
    problems = by_reason(result.problems)
    if as_json:
        left_out = {reason: len(rows) for reason, rows in problems.items() if not rows[0].usable}
        left_out |= {row.reason: row.count for row in result.left_out}
        noted = {reason: len(rows) for reason, rows in problems.items() if rows[0].usable}
        fields = {"items": result.items, **counts, "encoded": result.encoded}
        recognised = {"recognised": result.about} if result.about else {}
        echo_json({**fields, "left_out": left_out, "noted": noted, **recognised})
        return
    if result.about:
        note(result.about)
    for reason, rows in problems.items():
        what = "noted" if rows[0].usable else "left out"
        note(f"{what} {len(rows):,}: {reason} ({examples(rows, _MAX_LINES)})")
        if reason == NO_CATEGORY:
            note("  say what it is in the photo's name ('grey wool scarf.jpg'), in a title or in a category column")
    for row in result.left_out:
        note(f"left out {row.count:,}: {row.reason}")
    if result.problems:
        all_problems = f"all {len(result.problems):,} problems" if len(result.problems) > 1 else "the problem"
        note(f"{all_problems}, a line each: {folder / PROBLEMS_FILE}")
    changes = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    echo(f"{changes}: {result.items:,} items in {folder}")


def _job(folder: Path, save_every: int, data: DataSettings = _OPTIONAL, may_shrink: bool = False) -> CatalogueJob:
    from coordi.recommend.build import CatalogueJob

    return CatalogueJob(folder, typed_command(), progress_bar, data, save_every, may_shrink)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    commands = typer.Typer(no_args_is_help=True, help="Build a catalogue of items, keep it up to date, search it.")
    for command in (build, fetch_photos, info, search, add, remove, refresh, with_rules(complete)):
        commands.command()(command)
    app.add_typer(commands, name="catalogue")
