"""``coordi catalogue info`` and ``search``: what a catalogue holds, and items of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coordi.cli.console import echo_json
from coordi.cli.rule_options import with_rules
from coordi.cli.work import JsonOption
from coordi.recommend.rules import Rules

if TYPE_CHECKING:
    from coordi.recommend.catalogue_index import CatalogueIndex
    from coordi.recommend.described_item import DescribedItem

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `coordi catalogue build` made.")]
WordsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="WORDS", help="All of them must be in title, brand or description.")
]
_BRANDS_SHOWN = 10
_WIDTH_IN_A_PIPE = 120


def info(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Show what a catalogue holds and what it was made of and with.

    Example: coordi catalogue info catalogue
    """
    found = _told(folder)
    if as_json:
        echo_json(found)
        return
    console = _console()
    console.print(f"{found['name']}: {found['items']:,} items, {found['with_photo']:,} with a photo", markup=False)
    for name, text in _lines(found):
        console.print(f"{name:<11} {text}", markup=False)
    table = Table(title="Items by category", title_justify="left")
    table.add_column("category")
    table.add_column("items", justify="right")
    for category, count in found["categories"].items():
        table.add_row(category, f"{count:,}")
    console.print(table)


@with_rules
def search(
    folder: FolderArgument,
    rules: Rules,
    words: WordsArgument = None,
    photo: Annotated[Path | None, typer.Option("--photo", help="Items whose photos are most like this one.")] = None,
    top_k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many to show.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Find items by words, by a photo, and by what they are.

    Example: coordi catalogue search catalogue black boots --max-price 100
    """
    from coordi.describe.vocabulary import load_vocabulary
    from coordi.errors import RecommendationError
    from coordi.recommend.catalogue_index import CatalogueIndex
    from coordi.recommend.rules import check_colours

    if words and photo:
        raise RecommendationError("give words or --photo, not both; --want, --colour and the like go with either")
    with CatalogueIndex.open(folder) as index:
        check_colours(rules, load_vocabulary(index.info.describe.vocabulary))
        if photo is not None:
            found: list[tuple[DescribedItem, float | None]] = [*_alike(index, folder, photo, top_k, rules)]
            total = index.count(rules)
        else:
            items, total = index.page(rules, " ".join(words or ()), limit=top_k)
            found = [(item, None) for item in items]
    if as_json:
        echo_json({"total": total, "items": [_item_told(item, cosine) for item, cosine in found]})
    else:
        _show_items(found, total)


def _told(folder: Path) -> dict[str, Any]:
    from coordi.recommend.catalogue_file import ITEMS_FILE
    from coordi.recommend.catalogue_index import CatalogueIndex

    with CatalogueIndex.open(folder) as index:
        facets, made = index.facets(), index.info
        return {
            "name": made.name,
            "items": len(index),
            "with_photo": index.photographed(),
            "categories": dict(facets.categories),
            "price_range": facets.price_range,
            "brands": facets.brands,
            "seasons": facets.seasons,
            "genders": facets.genders,
            "source": made.source,
            "encoder": {"name": made.encoder[0], "identity": made.encoder[1]},
            "vocabulary": {"name": made.describe.vocabulary, "sha256": made.vocabulary},
            "prompt": made.prompt.model_dump(mode="json"),
            "made": made.made,
            "bytes": (folder / ITEMS_FILE).stat().st_size,
        }


def _lines(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    price, brands = found["price_range"], found["brands"]
    more = f" and {len(brands) - _BRANDS_SHOWN} more" if len(brands) > _BRANDS_SHOWN else ""
    return [
        ("made of", found["source"]),
        ("changed", found["made"]),
        ("encoder", f"{found['encoder']['name']} ({found['encoder']['identity'][:12]})"),
        ("vocabulary", f"{found['vocabulary']['name']} ({found['vocabulary']['sha256'][:12]})"),
        ("size", f"{found['bytes'] / 2**20:,.1f} MiB"),
        ("prices", "none is known" if price is None else f"{price[0]:,.2f} to {price[1]:,.2f}"),
        ("brands", f"{', '.join(brands[:_BRANDS_SHOWN])}{more}" or "none is known"),
        ("seasons", ", ".join(found["seasons"]) or "none is known"),
        ("made for", ", ".join(found["genders"]) or "nothing is known"),
    ]


def _alike(
    index: CatalogueIndex, folder: Path, photo: Path, top_k: int, rules: Rules
) -> list[tuple[DescribedItem, float]]:
    from coordi.data.photos import open_photo
    from coordi.pipeline.catalogue_describing import Eyes
    from coordi.recommend.catalogue_file import check_fits

    eyes = Eyes.of(index.info.describe, index.info.prompt)
    check_fits(folder, index.info, eyes.info("", ""))
    found: list[tuple[DescribedItem, float]] = index.nearest(
        eyes.encoder.encode_images([open_photo(photo)])[0], "photo", top_k, rules
    )
    return found


def _item_told(item: DescribedItem, cosine: float | None) -> dict[str, Any]:
    one = item.item
    told = {
        "id": one.id,
        "title": one.title,
        "category": one.category,
        "text": item.text,
        "brand": item.brand,
        "colours": item.colours,
        "gender": item.gender,
        "season": item.season,
        "price": one.price,
        "in_stock": item.in_stock,
        "photo": None if one.image is None else str(one.image),
    }
    return told if cosine is None else {**told, "cosine": cosine}


def _show_items(found: list[tuple[DescribedItem, float | None]], total: int) -> None:
    table = Table()
    for column in ("id", "category", "item", "brand", "colours"):
        table.add_column(column, overflow="fold")
    table.add_column("price", justify="right")
    if found and found[0][1] is not None:
        table.add_column("cosine", justify="right")
    for item, cosine in found:
        price = "" if item.item.price is None else f"{item.item.price:,.2f}"
        cells = [item.id, item.item.category, item.item.title or item.text, item.brand, ", ".join(item.colours), price]
        table.add_row(*map(escape, cells), *([] if cosine is None else [f"{cosine:.3f}"]))
    if found:
        _console().print(table)
    typer.echo(f"{len(found):,} of {total:,} items shown" if found else "no item fits; ask for less")


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_IN_A_PIPE)
