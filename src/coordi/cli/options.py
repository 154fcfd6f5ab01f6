"""Options that several commands share."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from coordi.artifacts import no_progress
from coordi.cli.console import note, progress_bar
from coordi.config import RunSettings
from coordi.data.loading import located
from coordi.pipeline.workspace import Workspace, process_rank

DataOption = Annotated[
    str,
    typer.Option(
        "--data",
        help="Folder of a release, a catalogue file, a folder of photos, 'sample', or a hub data set: OWNER/NAME.",
    ),
]
OutOption = Annotated[Path, typer.Option("--out", help="Output folder.")]
PresetOption = Annotated[str, typer.Option("--preset", help="A preset's name or the path of a YAML file.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings over the preset: finetune.epochs=2")
]
EncoderOption = Annotated[
    str,
    typer.Option(
        "--encoder", help="'edge' (bundled), 'fashion-clip', a hub id, a folder of CLIP or SigLIP, or its export."
    ),
]
DownloadOption = Annotated[
    bool, typer.Option("--allow-download", help="Download the encoder from the Hugging Face hub if it isn't cached.")
]
RevisionOption = Annotated[
    str | None, typer.Option("--revision", help="Commit of the hub repository, 40 hexadecimal digits.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON alone on standard output.")]


def workspace(data: str, out: Path, settings: RunSettings) -> Workspace:
    """Data, output folder, settings and progress of a command; silent in all but the first process of ``torchrun``."""
    source = located(data, settings.data)
    if process_rank():
        return Workspace(
            source, out, settings, typed_command(), lambda line: None, lambda label: nullcontext(no_progress)
        )
    return Workspace(source, out, settings, typed_command(), note, progress_bar)


def typed_command() -> str:
    """What the user typed, for manifests and reports."""
    return " ".join(["coordi", *sys.argv[1:]])


_WANT = Annotated[list[str] | None, typer.Option("--want", help="Only this category, such as shoes; repeatable.")]
_OPTIONS: dict[str, tuple[Any, Any]] = {
    "unwanted": (
        Annotated[list[str] | None, typer.Option("--unwanted", help="Never this category; repeatable.")], None),
    "price_min": (Annotated[float | None, typer.Option("--min-price", help="In the catalogue's currency.")], None),
    "price_max": (Annotated[float | None, typer.Option("--max-price", help="In the catalogue's currency.")], None),
    "brands": (Annotated[list[str] | None, typer.Option("--brand", help="Only this brand; repeatable.")], None),
    "unwanted_brands": (
        Annotated[list[str] | None, typer.Option("--not-brand", help="Never this brand; repeatable.")], None),
    "colours": (Annotated[list[str] | None, typer.Option("--colour", help="Only this colour; repeatable.")], None),
    "unwanted_colours": (
        Annotated[list[str] | None, typer.Option("--not-colour", help="Never this colour; repeatable.")], None),
    "gender": (
        Annotated[str | None, typer.Option("--gender", help="women, men, girls, boys or unisex; unisex always fits.")],
        None),
    "unwanted_genders": (
        Annotated[list[str] | None, typer.Option("--not-gender", help="Nothing made for these; repeatable.")],
        None),
    "seasons": (Annotated[list[str] | None, typer.Option("--season", help="Only this season; repeatable.")], None),
    "in_stock": (Annotated[bool, typer.Option("--in-stock", help="Nothing that is out of stock.")], False),
    "pinned": (
        Annotated[list[str] | None, typer.Option("--pin", help="An id that must be part of it; repeatable.")],
        None),
    "excluded": (
        Annotated[list[str] | None, typer.Option("--exclude", help="An id never to suggest; repeatable.")], None),
}  # fmt: skip


def with_rules(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameter ``rules`` by one option per field of ``Rules``."""

    @functools.wraps(command)
    def run(**values: Any) -> None:
        from coordi.recommend.rules import parse_rules

        fields = {name: values.pop(name) for name in ("want", *_OPTIONS)}
        command(**values, rules=parse_rules({name: value for name, value in fields.items() if value not in (None, [])}))

    keyword = inspect.Parameter.KEYWORD_ONLY
    signature = inspect.signature(command, eval_str=True)
    own = {name: parameter.replace(kind=keyword) for name, parameter in signature.parameters.items() if name != "rules"}
    last = [own.pop(name) for name in ("as_json",) if name in own]
    options = [inspect.Parameter("want", keyword, default=None, annotation=_WANT)]
    options += [
        inspect.Parameter(name, keyword, default=default, annotation=kind) for name, (kind, default) in _OPTIONS.items()
    ]
    parameters = [*own.values(), *options, *last]
    vars(run)["__signature__"] = signature.replace(parameters=parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del vars(run)["__wrapped__"]
    return run
