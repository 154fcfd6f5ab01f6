"""From a command's options to a workspace: the data's path, the settings and how progress is shown."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from coordi.artifacts import cache_folder
from coordi.cli.console import note, progress_bar
from coordi.config import DataSettings, RunSettings
from coordi.data.loading import located
from coordi.pipeline.workspace import Workspace

SAMPLE = "sample"
_SAMPLE_SEED = 17

DataOption = Annotated[
    str,
    typer.Option(
        "--data",
        help="A release's folder, a catalogue file, a folder of photos, 'sample', or a hub's copy: OWNER/NAME.",
    ),
]
OutOption = Annotated[Path, typer.Option("--out", help="Folder for everything that is made.")]
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
    bool, typer.Option("--allow-download", help="Fetch the encoder from the Hugging Face hub if it isn't here.")
]
RevisionOption = Annotated[
    str | None, typer.Option("--revision", help="The commit of the hub to pin, 40 hexadecimal digits.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON alone on standard output.")]


def data_path(data: str, settings: DataSettings | None = None) -> Path:
    """The path of the data; ``sample`` is drawn into coordi's cache on first use, a hub's copy fetched if allowed."""
    if data != SAMPLE or Path(data).exists():
        return located(data, settings or DataSettings())
    from coordi.data.sample import MARKER, make_sample

    folder = cache_folder() / f"{SAMPLE}-{metadata.version('coordi')}" / SAMPLE
    if not (folder / MARKER).is_file():
        with progress_bar("drawing the sample") as progress:
            make_sample(folder, _SAMPLE_SEED, progress=progress)
    return folder


def workspace(data: str, out: Path, settings: RunSettings) -> Workspace:
    """Where and how a command works."""
    return Workspace(data_path(data, settings.data), out, settings, typed_command(), note, progress_bar)


def typed_command() -> str:
    """What the user typed, for manifests and reports."""
    return " ".join(["coordi", *sys.argv[1:]])
