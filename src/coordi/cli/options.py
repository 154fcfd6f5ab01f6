"""Options that several commands share."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from coordi.artifacts import show_no_progress
from coordi.cli.console import note, progress_bar
from coordi.config import FeedSettings, RunSettings, validate
from coordi.data.feed import read_text
from coordi.data.loading import located
from coordi.data.tables import DELIMITER_NAMES
from coordi.errors import ConfigError
from coordi.pipeline.workspace import Workspace, process_rank

DataOption = Annotated[
    str,
    typer.Option("--data", help="A release's folder, a catalogue file, a photo folder, 'sample', or hub OWNER/NAME."),
]
OutOption = Annotated[Path, typer.Option("--out", help="Output folder.")]
PresetOption = Annotated[str, typer.Option("--preset", help="A preset's name or the path of a YAML file.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings over the preset's: finetune.epochs=2")
]
EncoderOption = Annotated[
    str, typer.Option("--encoder", help="'edge', 'fashion-clip', a hub id, or a folder of CLIP or SigLIP or an export.")
]
DownloadOption = Annotated[bool, typer.Option("--allow-download", help="Allow downloads from the Hugging Face hub.")]
RevisionOption = Annotated[str | None, typer.Option("--revision", help="Commit on the hub, 40 hexadecimal digits.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]


def workspace(data: str, out: Path, settings: RunSettings) -> Workspace:
    """Workspace of a command; of the processes of ``torchrun`` only the first shows progress."""
    work = Workspace(located(data, settings.data), out, settings, typed_command(), note, progress_bar)
    if process_rank():
        return replace(work, say=lambda line: None, progress=show_no_progress)
    return work


def typed_command() -> str:
    """The command line as the user typed it, for manifests and reports."""
    return " ".join(["coordi", *sys.argv[1:]])


_Texts = list[str] | None
_RULE_OPTIONS: dict[str, tuple[Any, str, str]] = {
    "want": (_Texts, "--want", "Only this category, such as shoes; repeatable."),
    "unwanted": (_Texts, "--unwanted", "Never this category; repeatable."),
    "price_min": (float | None, "--min-price", "In the catalogue's currency."),
    "price_max": (float | None, "--max-price", "In the catalogue's currency."),
    "brands": (_Texts, "--brand", "Only this brand; repeatable."),
    "unwanted_brands": (_Texts, "--not-brand", "Never this brand; repeatable."),
    "colours": (_Texts, "--colour", "Only this colour; repeatable."),
    "unwanted_colours": (_Texts, "--not-colour", "Never this colour; repeatable."),
    "gender": (
        str | None,
        "--gender",
        "women, men, girls, boys, unisex or children; women and men get unisex items too.",
    ),
    "unwanted_genders": (_Texts, "--not-gender", "Never items for this gender; repeatable."),
    "seasons": (_Texts, "--season", "Only this season; repeatable."),
    "in_stock": (bool, "--in-stock", "Only items in stock."),
    "far_apart": (bool, "--far-apart", "Also what is far from the outfit in dress code or season."),
    "occasion": (str | None, "--occasion", "What it is for, such as office, 'beach wedding' or 'black tie'."),
    "weather": (str | None, "--weather", "Such as '8 C, rain', '46 F, windy', 'snow' or winter."),
    "features": (_Texts, "--with", "A garment that is wanted, such as 'blue dress'; repeatable."),
    "unwanted_features": (_Texts, "--without", "Never this garment, colour, pattern or material; repeatable."),
    "something": (_Texts, "--something", "Something of this colour, pattern or material; repeatable."),
    "wish": (str | None, "--wish", "All of these in your own words: 'beach wedding, 27 C, no heels'."),
    "pinned": (_Texts, "--pin", "Always suggest the item with this id; repeatable."),
    "excluded": (_Texts, "--exclude", "Never suggest the item with this id; repeatable."),
}


_FEED_OPTIONS: dict[str, tuple[Any, str, str]] = {
    "format": (
        str | None,
        "--format",
        "plain, google, shopify, woocommerce, magento or prestashop; recognised if left out.",
    ),
    "columns": (_Texts, "--column", "A column's meaning, as ROLE=NAME: --column price='Variant Price'; repeatable."),
    "file": (Path | None, "--columns", "A YAML or JSON file of the same, as {price: Variant Price}."),
    "currency": (str | None, "--currency", "Code of the prices' currency; prices in others are left out."),
    "language": (str | None, "--language", "Code of the titles' language, such as de, where words are English too."),
    "delimiter": (str | None, "--delimiter", "Of a CSV's fields: comma, semicolon, tab, bar or a character."),
    "quote": (str | None, "--quote", "Quotation mark of a CSV's fields, or none."),
    "encoding": (str | None, "--encoding", "Of a table's text, such as utf-8 or cp1252."),
}


def with_rules(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameter ``rules`` by one option per field of ``Rules``."""

    def rules(fields: dict[str, Any]) -> Any:
        from coordi.recommend.rules import parse_rules

        return parse_rules(fields)

    return _with_options(command, "rules", _RULE_OPTIONS, rules)


def with_feed(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameter ``feed`` by one option per field of ``FeedSettings``."""
    return _with_options(command, "feed", _FEED_OPTIONS, feed_settings)


def feed_settings(fields: dict[str, Any]) -> FeedSettings:
    """Settings from a user's options; all problems are one ``ConfigError``."""
    file, given = fields.pop("file", None), dict[str, tuple[str, ...]]()
    for text in fields.pop("columns", ()):
        role, _, name = (part.strip() for part in text.partition("="))
        if not role or not name:
            raise ConfigError(f"'{text}' names no column: write ROLE=NAME, such as --column price='Variant Price'")
        given[role] = (*given.get(role, ()), name)
    columns = {**(read_columns(file) if file else {}), **given}
    if delimiter := fields.get("delimiter"):
        fields["delimiter"] = DELIMITER_NAMES.get(delimiter.lower(), delimiter)
    if currency := fields.get("currency"):
        fields["currency"] = currency.upper()
    return validate(FeedSettings, {**fields, "columns": columns}, "the options of the table")


def read_columns(file: Path) -> dict[str, tuple[str, ...]]:
    """Names of columns by role, from a YAML or JSON file."""
    try:
        mapping = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} isn't YAML or JSON: {' '.join(str(error).split())}") from error
    if not isinstance(mapping, dict) or not all(isinstance(name, str | list) for name in mapping.values()):
        raise ConfigError(f"{file} doesn't map roles to columns; write lines such as 'price: Variant Price'")
    return {str(role): (names,) if isinstance(names, str) else tuple(names) for role, names in mapping.items()}


def _with_options(
    command: Callable[..., None],
    name: str,
    options: dict[str, tuple[Any, str, str]],
    parse: Callable[[dict[str, Any]], Any],
) -> Callable[..., None]:
    """Replace a command's parameter by options whose values are parsed into it."""

    @functools.wraps(command)
    def run(**values: Any) -> None:
        fields = {field: values.pop(field) for field in options}
        given = {field: value for field, value in fields.items() if value not in (None, [])}
        command(**values, **{name: parse(given)})

    keyword = inspect.Parameter.KEYWORD_ONLY
    signature = inspect.signature(command, eval_str=True)
    parameters = [
        parameter.replace(kind=keyword) for parameter in signature.parameters.values() if parameter.name != name
    ]
    for field, (kind, flag, text) in options.items():
        annotation = Annotated[kind, typer.Option(flag, help=text)]  # type: ignore[valid-type]
        default = False if kind is bool else None
        parameters.append(inspect.Parameter(field, keyword, default=default, annotation=annotation))
    vars(run)["__signature__"] = signature.replace(parameters=parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del vars(run)["__wrapped__"]
    return run
