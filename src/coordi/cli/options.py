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

from coordi.artifacts import show_no_progress
from coordi.cli.console import note, progress_bar
from coordi.config import RunSettings
from coordi.data.loading import located
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
    "pinned": (_Texts, "--pin", "Always suggest the item with this id; repeatable."),
    "excluded": (_Texts, "--exclude", "Never suggest the item with this id; repeatable."),
}


def with_rules(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameter ``rules`` by one option per field of ``Rules``."""

    @functools.wraps(command)
    def run(**values: Any) -> None:
        from coordi.recommend.rules import parse_rules

        fields = {name: values.pop(name) for name in _RULE_OPTIONS}
        command(**values, rules=parse_rules({name: value for name, value in fields.items() if value not in (None, [])}))

    keyword = inspect.Parameter.KEYWORD_ONLY
    signature = inspect.signature(command, eval_str=True)
    parameters = [
        parameter.replace(kind=keyword) for name, parameter in signature.parameters.items() if name != "rules"
    ]
    for name, (kind, flag, text) in _RULE_OPTIONS.items():
        annotation = Annotated[kind, typer.Option(flag, help=text)]  # type: ignore[valid-type]
        default = False if kind is bool else None
        parameters.append(inspect.Parameter(name, keyword, default=default, annotation=annotation))
    vars(run)["__signature__"] = signature.replace(parameters=parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del vars(run)["__wrapped__"]
    return run
