"""``coordi evaluate``: a model measured on a data set's test split."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from coordi.cli.console import echo_json
from coordi.cli.work import DataOption, JsonOption, OutOption, Overrides, workspace


class ProtocolName(StrEnum):
    """The protocols, in the form that the command line's library takes in a list."""

    RANDOM = "random"
    SAME_CATEGORY = "same-category"


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("evaluate")(evaluate)


def evaluate(
    data: DataOption,
    model: Annotated[str, typer.Option("--model", help="A run's or an adapter's folder, or 'base'.")],
    out: OutOption,
    split: Annotated[Literal["test"], typer.Option("--split", help="The split that is measured.")] = "test",
    protocol: Annotated[
        list[ProtocolName] | None,
        typer.Option("--protocol", help="Where negatives come from; may be given twice. Default: both."),
    ] = None,
    baselines: Annotated[
        bool | None, typer.Option("--baselines/--no-baselines", help="Also measure the base model and plain baselines.")
    ] = None,
    as_json: JsonOption = False,
    overrides: Overrides = None,
) -> None:
    """Measure a model: accuracy, F1, AUC and fill-in-the-blank with intervals, beside baselines.

    Writes report.json, report.html and scores.parquet. The model's own prompts and encoder are used.

    Example: coordi evaluate --data path/to/outfits --model tuned --out measured
    """
    from coordi.artifacts import read_json
    from coordi.pipeline.models import find_model
    from coordi.pipeline.run import evaluate as evaluate_model

    settings = list(overrides or ())
    if baselines is not None:
        settings.append(f"evaluate.baselines={'all' if baselines else 'none'}")
    if protocol:
        settings.append(f"evaluate.protocols=[{', '.join(protocol)}]")
    found = find_model(model, settings)
    work = workspace(data, out, found.settings)
    report = evaluate_model(work, found)
    if as_json:
        echo_json(read_json(report.with_suffix(".json")))
    else:
        typer.echo(f"The report is at {Path(report).resolve()}")
