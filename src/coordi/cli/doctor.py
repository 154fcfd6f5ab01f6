"""``coordi doctor``: what this machine can do, what is missing and the command that adds it."""

from __future__ import annotations

import importlib.util
import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coordi.cli.console import echo_json
from coordi.cli.doctor_model import model_findings
from coordi.cli.work import JsonOption, Overrides, PresetOption
from coordi.config import load_settings
from coordi.errors import CoordiError

_PARTS = {
    "train": ("torch", "transformers", "peft", "trl", "bitsandbytes", "datasets", "sklearn", "gguf", "duckdb"),
    "serve": ("fastapi", "uvicorn", "python_multipart"),
    "cuda": ("unsloth",),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination; ``fix`` is the command that mends it, empty if nothing is amiss."""

    part: str
    state: str
    fix: str = ""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("doctor")(doctor)


def doctor(preset: PresetOption = "edge", overrides: Overrides = None, as_json: JsonOption = False) -> None:
    """Say what this machine can do and what a preset comes to on it: engine, arithmetic, memory, what is missing.

    Nothing is downloaded.

    Example: coordi doctor --preset paper
    """
    settings = load_settings(preset, overrides or ())
    model = [Finding(*told) for told in model_findings(settings)]
    findings = [_machine(), *map(_extra, _PARTS), _encoder(), *model, _cache()]
    if as_json:
        echo_json([asdict(finding) for finding in findings])
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for finding in findings:
        fix = f"\n[bold]{escape(finding.fix)}[/bold]" if finding.fix else ""
        table.add_row(escape(finding.part), escape(finding.state) + fix)
    Console().print(table)


def _machine() -> Finding:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    state = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory"
    return Finding("machine", f"{state}, Python {platform.python_version()}, coordi {metadata.version('coordi')}")


def _extra(extra: str) -> Finding:
    missing = [name for name in _PARTS[extra] if importlib.util.find_spec(name) is None]
    if not missing:
        return Finding(f"coordi[{extra}]", "installed")
    if extra == "cuda":
        return Finding(f"coordi[{extra}]", "not installed; only of use with an NVIDIA GPU")
    return Finding(f"coordi[{extra}]", f"missing: {', '.join(missing)}", f"pip install 'coordi[{extra}]'")


def _encoder() -> Finding:
    from coordi.describe.encoder import load_encoder

    try:
        encoder = load_encoder("edge")
    except CoordiError as error:
        return Finding("edge encoder", str(error), "install coordi again")
    return Finding("edge encoder", f"bundled, {encoder.dimension} dimensions, {encoder.identity[:12]}")


def _cache() -> Finding:
    from coordi.artifacts import cache_folder

    return Finding("cache", f"{cache_folder()} (set COORDI_CACHE for another)")
