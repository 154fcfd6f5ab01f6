"""``coordi presets``: which there are, what they say, and whether one of your own is sound."""

from __future__ import annotations

from typing import Annotated

import typer
import yaml

from coordi import config
from coordi.cli.console import echo_json


def register(app: typer.Typer) -> None:
    """Add the noun to the command line."""
    nouns = typer.Typer(no_args_is_help=True, help="Settings that come with coordi, and checking your own.")
    nouns.command("list")(list_presets)
    nouns.command("show")(show)
    nouns.command("check")(check)
    app.add_typer(nouns, name="presets")


def list_presets() -> None:
    """List the presets that come with coordi, each with its first comment.

    Example: coordi presets list
    """
    for name in config.preset_names():
        first = config.preset_text(name).splitlines()[0].lstrip("# ")
        typer.echo(f"{name:<14} {first}")


def show(
    name: Annotated[str, typer.Argument(help="A preset's name, or the path of a YAML file.")],
    resolved: Annotated[bool, typer.Option("--resolved", help="With every default filled in.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The resolved settings as JSON.")] = False,
) -> None:
    """Print a preset as it is written, with its reasons, or with every default filled in.

    Example: coordi presets show edge --resolved
    """
    settings = config.load_settings(name).model_dump(mode="json")
    if as_json:
        echo_json(settings)
    elif resolved:
        typer.echo(yaml.safe_dump(settings, sort_keys=False).rstrip())
    else:
        typer.echo(config.preset_text(name).rstrip())


def check(file: Annotated[str, typer.Argument(help="The path of a YAML file.")]) -> None:
    """Check a preset of your own: unknown keys, wrong types and values out of range, all at once.

    Example: coordi presets check mine.yaml
    """
    config.load_settings(file)
    typer.echo(f"{file}: sound")
