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
from coordi.cli.work import JsonOption
from coordi.errors import CoordiError

_PARTS = {
    "train": ("torch", "transformers", "peft", "trl", "bitsandbytes", "datasets", "sklearn", "gguf"),
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


def doctor(as_json: JsonOption = False) -> None:
    """Say what this machine can do: device, engines, bundled models, and what is missing.

    Example: coordi doctor
    """
    findings = [_machine(), *map(_extra, _PARTS), _engine(), _encoder(), _language_model(), _cache()]
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


def _engine() -> Finding:
    from coordi.config import ModelSettings
    from coordi.model.engines import choose_engine

    try:
        _, reason = choose_engine(ModelSettings())
    except CoordiError as error:
        return Finding("engine", str(error))
    return Finding("engine", reason)


def _encoder() -> Finding:
    from coordi.describe.encoder import load_encoder

    try:
        encoder = load_encoder("edge")
    except CoordiError as error:
        return Finding("edge encoder", str(error), "install coordi again")
    return Finding("edge encoder", f"bundled, {encoder.dimension} dimensions, {encoder.identity[:12]}")


def _language_model() -> Finding:
    from coordi.model.bundled import INSTALL, find_gguf, is_converted

    if find_gguf() is None and not is_converted():
        return Finding("language model", "SmolLM2-135M-Instruct isn't installed", INSTALL)
    state = "converted" if is_converted() else "will be converted on first use, which takes about half a minute"
    return Finding("language model", f"SmolLM2-135M-Instruct, {state}")


def _cache() -> Finding:
    from coordi.artifacts import cache_folder

    return Finding("cache", f"{cache_folder()} (set COORDI_CACHE for another)")
