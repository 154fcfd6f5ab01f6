"""``coordi evaluate``: a model measured on a data set's test split, beside baselines and other people's scores."""

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
    ONE_SWAPPED = "one-swapped"
    PAIRS = "pairs"
    RELEASE = "release"


ModelOption = Annotated[str, typer.Option("--model", help="'bundled', a run's or an adapter's folder, or 'base'.")]
ProtocolOption = Annotated[
    list[ProtocolName] | None,
    typer.Option("--protocol", help="How questions are made; may be given again. Default: all that the data allows."),
]
BaselinesOption = Annotated[
    bool | None, typer.Option("--baselines/--no-baselines", help="Also measure the base model and the baselines.")
]
ScoresOption = Annotated[
    list[Path] | None,
    typer.Option("--scores", help="Scores of another system, a CSV as --questions-only hands out; may be given again."),
]
QuestionsOption = Annotated[
    bool, typer.Option("--questions-only", help="Only write the questions for other systems to score, and stop.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("evaluate")(evaluate)


def evaluate(
    data: DataOption,
    out: OutOption,
    model: ModelOption = "bundled",
    split: Annotated[Literal["test"], typer.Option("--split", help="The split that is measured.")] = "test",
    protocol: ProtocolOption = None,
    baselines: BaselinesOption = None,
    scores: ScoresOption = None,
    questions_only: QuestionsOption = False,
    as_json: JsonOption = False,
    overrides: Overrides = None,
) -> None:
    """Measure a model under every protocol, with intervals, beside baselines on the same questions.

    Writes report.html, report.json, scores.csv, scores.parquet and table.tex. The model's own prompts and encoder are
    used. docs/method.md defines the protocols, docs/benchmark.md shows how to put another system beside it.

    Example: coordi evaluate --data path/to/outfits --out measured --scores mine.csv evaluate.seeds=3
    """
    from coordi.artifacts import read_json
    from coordi.pipeline.models import find_model
    from coordi.pipeline.run import evaluate as evaluate_model
    from coordi.pipeline.run import hand_out_questions

    settings = list(overrides or ())
    if baselines is not None:
        settings.append(f"evaluate.baselines={'all' if baselines else 'none'}")
    if protocol:
        settings.append(f"evaluate.protocols=[{', '.join(protocol)}]")
    found = find_model(model, settings)
    work = workspace(data, out, found.settings)
    if questions_only:
        folder = hand_out_questions(work, found).resolve()
        echo_json({"questions": str(folder)}) if as_json else typer.echo(f"The questions are in {folder}")
        return
    report = evaluate_model(work, found, scores or ())
    if as_json:
        echo_json(read_json(report.with_suffix(".json")))
    else:
        typer.echo(f"The report is at {Path(report).resolve()}")
