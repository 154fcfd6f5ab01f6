"""``coordi finetune``: from data to an adapter."""

from __future__ import annotations

from typing import Annotated

import typer

from coordi.cli.work import DataOption, OutOption, Overrides, PresetOption, workspace
from coordi.config import load_settings


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("finetune")(finetune)


def finetune(
    data: DataOption,
    out: OutOption,
    preset: PresetOption = "edge",
    resume: Annotated[bool, typer.Option("--resume", help="Only go on with what is in --out; don't begin.")] = False,
    overrides: Overrides = None,
) -> None:
    """Fine-tune an adapter: read, describe and learn, without measuring.

    What it makes is a run that was stopped before measuring: `coordi run` with the same options goes on from it.
    Interrupted, the same command goes on from the newest whole checkpoint, with or without --resume.

    Example: coordi finetune --data path/to/outfits --out tuned finetune.epochs=2
    """
    from coordi.pipeline.run import finetune as finetune_only

    adapter = finetune_only(workspace(data, out, load_settings(preset, overrides or ())), must_exist=resume)
    typer.echo(f"The adapter is at {adapter.resolve()}")
