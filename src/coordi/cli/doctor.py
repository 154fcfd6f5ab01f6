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


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report; ``fix`` is the command that solves a problem, empty if there is none."""

    part: str
    state: str
    fix: str = ""


def model_checks(settings: RunSettings) -> list[Check]:
    """Engine, arithmetic and memory of fine-tuning and scoring with these settings; nothing is downloaded."""
    return [_engine(settings), _four_bits(settings), _arithmetic(settings), _base(settings)]


def _engine(settings: RunSettings) -> Check:
    from coordi.model.engines import choose_engine

    try:
        return Check("engine", choose_engine(settings.model, settings.finetune.head)[1])
    except CoordiError as error:
        return Check("engine", str(error), _command(error))


def _four_bits(settings: RunSettings) -> Check:
    if settings.model.quantization != "nf4":
        return Check("4 bits", "not used: model.quantization is none")
    from coordi.model.engines import try_four_bits

    try:
        return Check("4 bits", f"bitsandbytes NF4 works on {try_four_bits()}")
    except CoordiError as error:
        return Check("4 bits", str(error), _command(error))


def _arithmetic(settings: RunSettings) -> Check:
    from coordi.model.engines import has_fast_int8

    part, chosen = "scoring", settings.model.arithmetic
    try:
        if _gpu():
            return Check(part, "on the GPU, in 16-bit floats")
        fast = has_fast_int8()
    except CoordiError as error:
        return Check(part, str(error), _command(error))
    vnni = "the CPU has AVX-512 VNNI" if fast else "the CPU has no AVX-512 VNNI"
    if chosen == "int8" or (chosen == "auto" and fast):
        slow = "" if fast else ", so this is slower than floats would be; set model.arithmetic=auto"
        return Check(part, f"small models in 8-bit integers: {vnni}{slow}")
    return Check(part, f"in 32-bit floats: {vnni if chosen == 'auto' else 'model.arithmetic is float32'}")


def _base(settings: RunSettings) -> Check:
    from coordi.model.base import INSTALL, check_base, find_gguf, is_converted, resolve_base
    from coordi.model.engines import weights_in_memory

    name, part = settings.model.base, "base model"
    if name == "bundled" and not is_converted():
        if find_gguf() is None:
            return Check(part, "SmolLM2-135M-Instruct isn't installed", INSTALL)
        return Check(part, "SmolLM2-135M-Instruct, will be converted on first use, which takes about half a minute")
    if name != "bundled" and not Path(name).is_dir():
        return Check(part, f"{name} {_to_fetch(settings)}{_by_its_name(name, settings)}")
    try:
        base = resolve_base(settings.model)
        check_base(base, settings)
        gpu = _gpu()
        training, scoring = (
            weights_in_memory(base.folder, settings, gpu=gpu, scoring=scoring) for scoring in (False, True)
        )
    except CoordiError as error:
        return Check(part, str(error), _command(error))
    title = "SmolLM2-135M-Instruct, converted" if name == "bundled" else name
    state = f"{title}; its weights take up to {_gib(training)} in training, {_gib(scoring)} in scoring"
    return Check(part, state + _too_large(max(training, scoring)))


def _to_fetch(settings: RunSettings) -> str:
    if not settings.model.allow_download:
        return "is no folder here; to fetch it, set model.allow_download=true and model.revision to a commit"
    if settings.model.revision is None:
        return "may be fetched once model.revision names a commit"
    return "is fetched on first use unless it was before"


def _by_its_name(name: str, settings: RunSettings) -> str:
    """Estimate of the weights from the parameters in a hub name: 0.7 bytes each in NF4, embeddings included."""
    match = re.search(r"(\d+(?:\.\d+)?)b(?![a-z])", name.lower().rsplit("/", 1)[-1])
    if match is None:
        return ""
    each = 0.7 if settings.model.quantization == "nf4" else 2.0 if _gpu() else 4.0
    weights = float(match.group(1)) * 1e9 * each
    return f"; of {match.group(1)} billion parameters by its name, some {_gib(weights)}{_too_large(weights)}"


def _too_large(weights: float) -> str:
    if _gpu():
        import torch

        has, where = float(torch.cuda.mem_get_info()[1]), "the GPU has"
    else:
        has, where = float(_memory()), "this machine has"
    return f", more than the {_gib(has)} that {where}" if weights > has else f"; {where} {_gib(has)}"


def _memory() -> int:
    """Memory of this machine in bytes."""
    import psutil

    return int(psutil.virtual_memory().total)


def _gpu() -> bool:
    from coordi.errors import require

    try:
        return bool(require("torch", "train").cuda.is_available())
    except CoordiError:
        return False


def _gib(size: float) -> str:
    return f"{size / 2**30:.2g} GiB" if size < 10 * 2**30 else f"{size / 2**30:.0f} GiB"


def _command(error: CoordiError) -> str:
    """The command in an error's message; empty if there is none."""
    return str(error).partition("run: ")[2]


_PARTS = {
    "train": ("torch", "transformers", "peft", "accelerate", "bitsandbytes", "sklearn", "gguf", "duckdb"),
    "serve": ("fastapi", "uvicorn", "python_multipart"),
    "cuda": ("unsloth",),
}


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("doctor")(doctor)


def doctor(preset: PresetOption = "edge", overrides: Overrides = None, as_json: JsonOption = False) -> None:
    """Show what this machine can run, and the engine, arithmetic and memory of a preset on it. Downloads nothing.

    Example: coordi doctor --preset paper
    """
    settings = load_settings(preset, overrides or ())
    checks = [_machine(), *map(_extra, _PARTS), _encoder(), *model_checks(settings), _cache()]
    if as_json:
        echo_json([asdict(check) for check in checks])
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for check in checks:
        fix = f"\n[bold]{escape(check.fix)}[/bold]" if check.fix else ""
        table.add_row(escape(check.part), escape(check.state) + fix)
    Console().print(table)


def _machine() -> Check:
    memory = f"{_memory() / 2**30:.0f} GiB of memory"
    state = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory}"
    return Check("machine", f"{state}, Python {platform.python_version()}, coordi {metadata.version('coordi')}")


def _extra(extra: str) -> Check:
    missing = [name for name in _PARTS[extra] if importlib.util.find_spec(name) is None]
    if not missing:
        return Check(f"coordi[{extra}]", "installed")
    if extra == "cuda":
        return Check(f"coordi[{extra}]", "not installed; only of use with an NVIDIA GPU")
    return Check(f"coordi[{extra}]", f"missing: {', '.join(missing)}", f"pip install 'coordi[{extra}]'")


def _encoder() -> Check:
    from coordi.encoders.base import load_encoder

    try:
        encoder = load_encoder("edge")
    except CoordiError as error:
        return Check("edge encoder", str(error), "install coordi again")
    return Check("edge encoder", f"bundled, {encoder.dimension} dimensions, {encoder.identity[:12]}")


def _cache() -> Check:
    from coordi.artifacts import cache_folder

    return Check("cache", f"{cache_folder()} (set COORDI_CACHE for another)")
