"""``coordi doctor``: what this machine can do and what is missing."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coordi.cli.console import echo_json
from coordi.cli.options import JsonOption, Overrides, PresetOption
from coordi.config import RunSettings, load_settings
from coordi.errors import CoordiError

Told = tuple[str, str, str]
"""Part, state, and the command that mends it."""


def model_findings(settings: RunSettings) -> list[Told]:
    """What fine-tuning and scoring by these settings come to here; nothing is downloaded or converted."""
    return [_engine(settings), _four_bits(settings), _arithmetic(settings), _base(settings)]


def _engine(settings: RunSettings) -> Told:
    from coordi.model.engines import choose_engine, engine_for_head

    choose = engine_for_head if settings.finetune.head == "pooled" else choose_engine
    try:
        return "engine", choose(settings.model)[1], ""
    except CoordiError as error:
        return "engine", str(error), _command(error)


def _four_bits(settings: RunSettings) -> Told:
    if settings.model.quantization != "nf4":
        return "4 bits", "not used: model.quantization is none", ""
    from coordi.model.preflight import try_four_bits

    try:
        return "4 bits", f"bitsandbytes NF4 works on {try_four_bits()}", ""
    except CoordiError as error:
        return "4 bits", str(error), _command(error)


def _arithmetic(settings: RunSettings) -> Told:
    from coordi.model.engines import has_fast_int8

    part, chosen = "scoring", settings.model.arithmetic
    try:
        if _gpu():
            return part, "on the GPU, in 16-bit floats", ""
        fast = has_fast_int8()
    except CoordiError as error:
        return part, str(error), _command(error)
    vnni = "the CPU has AVX-512 VNNI" if fast else "the CPU has no AVX-512 VNNI"
    if chosen == "int8" or (chosen == "auto" and fast):
        slow = "" if fast else ", so this is slower than floats would be; set model.arithmetic=auto"
        return part, f"small models in 8-bit integers: {vnni}{slow}", ""
    return part, f"in 32-bit floats: {vnni if chosen == 'auto' else 'model.arithmetic is float32'}", ""


def _base(settings: RunSettings) -> Told:
    from coordi.model.base import INSTALL, check_base, find_gguf, is_converted, resolve_base
    from coordi.model.preflight import weights_in_memory

    name, part = settings.model.base, "base model"
    if name == "bundled" and not is_converted():
        if find_gguf() is None:
            return part, "SmolLM2-135M-Instruct isn't installed", INSTALL
        return part, "SmolLM2-135M-Instruct, will be converted on first use, which takes about half a minute", ""
    if name != "bundled" and not Path(name).is_dir():
        return part, f"{name} {_to_fetch(settings)}{_by_its_name(name, settings)}", ""
    try:
        base = resolve_base(settings.model)
        check_base(base, settings)
        gpu = _gpu()
        training, scoring = (
            weights_in_memory(base.folder, settings, gpu=gpu, scoring=scoring) for scoring in (False, True)
        )
    except CoordiError as error:
        return part, str(error), _command(error)
    shown = "SmolLM2-135M-Instruct, converted" if name == "bundled" else name
    state = f"{shown}; its weights take up to {_gib(training)} in training, {_gib(scoring)} in scoring"
    return part, state + _too_large(max(training, scoring)), ""


def _to_fetch(settings: RunSettings) -> str:
    if not settings.model.allow_download:
        return "is no folder here; to fetch it, set model.allow_download=true and model.revision to a commit"
    if settings.model.revision is None:
        return "may be fetched once model.revision names a commit"
    return "is fetched on first use unless it was before"


def _by_its_name(name: str, settings: RunSettings) -> str:
    """Weights by the parameters that a hub name tells, if it does: 0.7 bytes each in NF4, with larger embeddings."""
    told = re.search(r"(\d+(?:\.\d+)?)b(?![a-z])", name.lower().rsplit("/", 1)[-1])
    if told is None:
        return ""
    each = 0.7 if settings.model.quantization == "nf4" else 2.0 if _gpu() else 4.0
    weights = float(told.group(1)) * 1e9 * each
    return f"; of {told.group(1)} billion parameters by its name, some {_gib(weights)}{_too_large(weights)}"


def _too_large(weights: float) -> str:
    if _gpu():
        import torch

        has, where = float(torch.cuda.mem_get_info()[1]), "the GPU has"
    else:
        has, where = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")), "this machine has"
    return f", more than the {_gib(has)} that {where}" if weights > has else f"; {where} {_gib(has)}"


def _gpu() -> bool:
    from coordi.errors import require

    try:
        return bool(require("torch", "train").cuda.is_available())
    except CoordiError:
        return False


def _gib(size: float) -> str:
    return f"{size / 2**30:.2g} GiB" if size < 10 * 2**30 else f"{size / 2**30:.0f} GiB"


def _command(error: CoordiError) -> str:
    """The command that an error names."""
    _, found, command = str(error).partition("run: ")
    return command if found else ""


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
    from coordi.encoders.base import load_encoder

    try:
        encoder = load_encoder("edge")
    except CoordiError as error:
        return Finding("edge encoder", str(error), "install coordi again")
    return Finding("edge encoder", f"bundled, {encoder.dimension} dimensions, {encoder.identity[:12]}")


def _cache() -> Finding:
    from coordi.artifacts import cache_folder

    return Finding("cache", f"{cache_folder()} (set COORDI_CACHE for another)")
