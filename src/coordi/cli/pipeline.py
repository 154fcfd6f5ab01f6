"""``coordi run``, ``finetune``, ``evaluate`` and ``presets``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
import yaml

from coordi import config
from coordi.cli.console import echo, echo_json, note
from coordi.cli.options import DataOption, JsonOption, OutOption, Overrides, PresetOption, workspace
from coordi.config import load_settings
from coordi.pipeline.workspace import process_rank

if TYPE_CHECKING:
    from coordi.model.export import ExportFormat


def run(data: DataOption, out: OutOption, preset: PresetOption = "edge", overrides: Overrides = None) -> None:
    """Run all stages: read, describe, fine-tune, evaluate, recommend, and write a report.

    Interrupted at any time, the same command resumes from the last finished stage and ends with the same report.

    Example: coordi run --data sample --out demo --preset demo
    """
    from coordi.pipeline.run import run as run_all

    report = run_all(workspace(data, out, load_settings(preset, overrides or ())))
    if not process_rank():
        note("")
        echo(f"The report is at {report.resolve()}")
        echo(f"To open a page that suggests from these items: {_command()} serve --catalogue {out}")


def _command() -> str:
    """The command that starts coordi as this process was started."""
    return f"{sys.executable} -m coordi" if Path(sys.argv[0]).name == "__main__.py" else sys.argv[0]


def finetune(
    data: DataOption,
    out: OutOption,
    preset: PresetOption = "edge",
    resume: Annotated[bool, typer.Option("--resume", help="Resume what is in --out; don't start a new run.")] = False,
    overrides: Overrides = None,
) -> None:
    """Fine-tune an adapter: read, describe and train, without evaluation.

    The folder is that of a run stopped before evaluation: `coordi run` with the same options resumes from it.
    Interrupted, the same command resumes from the newest complete checkpoint, with or without --resume.

    Example: coordi finetune --data path/to/outfits --out tuned finetune.epochs=2
    """
    from coordi.pipeline.run import finetune as finetune_only

    adapter = finetune_only(workspace(data, out, load_settings(preset, overrides or ())), must_exist=resume)
    if not process_rank():
        echo(f"The adapter is at {adapter.resolve()}")


# Typer takes lists of enums but not of literals.
ProtocolName = StrEnum("ProtocolName", ["random", "same-category", "one-swapped", "pairs", "release", "style-pairs"])


def evaluate(
    data: DataOption,
    out: OutOption,
    model: Annotated[str, typer.Option(help="'bundled', a run's or an adapter's folder, or 'base'.")] = "bundled",
    protocol: Annotated[
        list[ProtocolName] | None, typer.Option(help="Protocol; repeatable. Default: all that the data allows.")
    ] = None,
    baselines: Annotated[bool | None, typer.Option(help="Also evaluate the base model and the baselines.")] = None,
    scores: Annotated[
        list[Path] | None, typer.Option(help="Scores of another system, as --questions-only explains; repeatable.")
    ] = None,
    questions_only: Annotated[
        bool, typer.Option("--questions-only", help="Write the questions for other systems to score, then stop.")
    ] = False,
    as_json: JsonOption = False,
    overrides: Overrides = None,
) -> None:
    """Evaluate a model under every protocol, with confidence intervals and baselines on the same questions.

    Writes report.html, report.json, scores.csv, scores.parquet and table.tex, with the model's own prompts and encoder.
    docs/method.md defines the protocols; docs/benchmark.md shows how to compare another system.

    Example: coordi evaluate --data path/to/outfits --out measured --scores mine.csv
    """
    from coordi.artifacts import read_json
    from coordi.model.trained import find_model
    from coordi.pipeline.run import evaluate as evaluate_model
    from coordi.pipeline.run import export_questions

    settings = list(overrides or ())
    if baselines is not None:
        settings.append(f"evaluate.baselines={'all' if baselines else 'none'}")
    if protocol:
        settings.append(f"evaluate.protocols=[{', '.join(protocol)}]")
    trained = find_model(model, settings)
    work = workspace(data, out, trained.settings)
    if questions_only:
        folder = export_questions(work, trained).resolve()
        echo_json({"questions": str(folder)}) if as_json else echo(f"The questions are in {folder}")
        return
    report = evaluate_model(work, trained, scores or ())
    if as_json:
        echo_json(read_json(report.with_suffix(".json")))
    else:
        echo(f"The report is at {report.resolve()}")


FormatName = StrEnum("FormatName", ["adapter", "onnx", "merged", "gguf"])


def export(
    model: Annotated[str, typer.Option(help="A run's or an adapter's folder, or 'bundled'.")],
    to: Annotated[FormatName, typer.Option("--format", help="What to write: see above.")],
    out: OutOption,
    push: Annotated[
        str | None, typer.Option("--push", metavar="OWNER/NAME", help="Also upload an adapter, with a model card.")
    ] = None,
    allow_upload: Annotated[bool, typer.Option("--allow-upload", help="Allow that upload to the hub.")] = False,
) -> None:
    """Export a fine-tuned model for other machines and programs.

    adapter: the adapter's folder, without checkpoints. onnx: the same with its network for ONNX Runtime, which needs
    neither torch nor the bundled model's package. merged: 16-bit weights in the Hugging Face layout (vLLM, llama.cpp's
    converter), a pooled head beside them. gguf: for llama.cpp, with a Modelfile for Ollama; needs an adapter that
    answers in words.

    --push with --allow-upload sends an adapter with a model card to a private repository of the Hugging Face hub.

    Example: coordi export --model tuned --format gguf --out tuned-gguf
    """
    from coordi.model.export import export as export_model
    from coordi.model.publish import check_allowed, write_card
    from coordi.model.publish import push as upload
    from coordi.model.trained import find_model

    trained = find_model(model)
    if push is not None:
        if to is not FormatName.adapter:
            raise typer.BadParameter(f"--push uploads an adapter, got --format {to.value}; give --format adapter")
        check_allowed(push, allowed=allow_upload)
    export_model(trained, cast("ExportFormat", to.value), out)
    echo(f"The {to.value} is at {out.resolve()}")
    if push is not None:
        write_card(trained, out)
        echo(f"The adapter was uploaded to {upload(out, push, allowed=allow_upload)}")


def list_presets() -> None:
    """List the presets that come with coordi, each with its first comment.

    Example: coordi presets list
    """
    for name in config.preset_names():
        first = config.preset_text(name).splitlines()[0].lstrip("# ")
        echo(f"{name:<14} {first}")


def show(
    name: Annotated[str, typer.Argument(help="A preset's name, or the path of a YAML file.")],
    resolved: Annotated[bool, typer.Option("--resolved", help="Fill in every default.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a preset's text with its comments, or with every default filled in (always so with --json).

    Example: coordi presets show edge --resolved
    """
    settings = config.load_settings(name).model_dump(mode="json")
    if as_json:
        echo_json(settings)
    elif resolved:
        echo(yaml.safe_dump(settings, sort_keys=False).rstrip())
    else:
        echo(config.preset_text(name).rstrip())


def check(file: Annotated[str, typer.Argument(help="The path of a YAML file.")]) -> None:
    """Check your own preset and report unknown keys, wrong types and values out of range at once.

    Example: coordi presets check mine.yaml
    """
    config.load_settings(file)
    echo(f"{file}: valid")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (run, finetune, evaluate, export):
        app.command()(command)
    presets = typer.Typer(no_args_is_help=True, help="List, show and check presets.")
    presets.command("list")(list_presets)
    presets.command()(show)
    presets.command()(check)
    app.add_typer(presets, name="presets")
