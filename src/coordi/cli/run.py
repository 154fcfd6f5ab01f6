"""``coordi run``: the whole way."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import typer

from coordi.cli.console import note
from coordi.cli.work import DataOption, OutOption, Overrides, PresetOption, workspace
from coordi.config import load_settings


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("run")(run)


def run(
    data: DataOption,
    out: OutOption,
    preset: PresetOption = "edge",
    overrides: Overrides = None,
) -> None:
    """Go the whole way: read, describe, fine-tune, evaluate, recommend, and write a report.

    Interrupt it whenever you like: the same command goes on from the last finished stage and ends with the same report.

    Example: coordi run --data sample --out demo --preset demo
    """
    from coordi.pipeline.run import run as run_all

    report = run_all(workspace(data, out, load_settings(preset, overrides or ())))
    note("")
    typer.echo(f"The report is at {Path(report).resolve()}")
    typer.echo(f"To open a page on your machine that suggests from these items: {_called()} serve --catalogue {out}")


def _called() -> str:
    """What starts coordi from here: its name where that is found, or else the path it was started by."""
    name, started = "coordi", sys.argv[0]
    if Path(started).name == "__main__.py":
        return f"{sys.executable} -m {name}"
    found = shutil.which(name)
    return name if found is not None and Path(found).resolve() == Path(started).resolve() else started
