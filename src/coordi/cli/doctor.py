"""``coordi doctor``: what this machine can do and what is missing."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coordi.artifacts import cache_folder
from coordi.cli.console import echo_json
from coordi.cli.options import JsonOption, Overrides, PresetOption
from coordi.config import RunSettings, load_settings
from coordi.errors import CoordiError

_PARTS = {
    "train": ("torch", "transformers", "peft", "accelerate", "bitsandbytes", "sklearn"),
    "cuda": ("unsloth",),
}
_PROMPT_TOKENS, _CANDIDATE_TOKENS = 160, 18  # an outfit of eight items with its question, and one item
_DOWNLOAD = "set model.allow_download=true and model.revision to a commit"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report; ``fix`` is the command that solves a problem, empty if there is none."""

    part: str
    state: str
    fix: str = ""


def doctor(preset: PresetOption = "edge", overrides: Overrides = None, as_json: JsonOption = False) -> None:
    """Show what this machine can run, and the engine, arithmetic and memory of a preset on it. Downloads nothing.

    Example: coordi doctor --preset paper
    """
    settings = load_settings(preset, overrides or ())
    encoder, cache = _check("edge encoder", _encoder, settings), _check("cache", _cache, settings)
    checks = [_machine(), *map(_extra, _PARTS), encoder, *model_checks(settings), cache]
    if as_json:
        echo_json([asdict(check) for check in checks])
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for check in checks:
        fix = f"\n[bold]{escape(check.fix)}[/bold]" if check.fix else ""
        table.add_row(escape(check.part), escape(check.state) + fix)
    Console().print(table)


def model_checks(settings: RunSettings) -> list[Check]:
    """Engine, arithmetic and memory of fine-tuning and scoring with these settings; nothing is downloaded."""
    states = {"engine": _engine, "4 bits": _four_bits, "scoring": _arithmetic, "base model": _base}
    return [_check(part, state, settings) for part, state in states.items()]


def _check(part: str, state: Callable[[RunSettings], str], settings: RunSettings) -> Check:
    try:
        return Check(part, state(settings))
    except CoordiError as error:
        return Check(part, str(error), str(error).partition("run: ")[2])


def _engine(settings: RunSettings) -> str:
    from coordi.model.engines import choose_engine

    return choose_engine(settings.model, settings.finetune.head)[1]


def _four_bits(settings: RunSettings) -> str:
    from coordi.model.engines import try_four_bits

    if settings.model.quantization != "nf4":
        return "not used: model.quantization is none"
    return f"bitsandbytes NF4 works on {try_four_bits()}"


def _arithmetic(settings: RunSettings) -> str:
    from coordi.model.engines import has_fast_int8
    from coordi.model.scoring import runs_without_torch

    if runs_without_torch(settings):
        from coordi.model.decoder import multiplies_bytes

        weights = "in 8 bits, which this processor's VNNI multiplies fast" if multiplies_bytes() else "in 4 bits"
        return f"the bundled model's published weights {weights}, in ONNX Runtime, without torch"
    if _gpu_memory() is not None:
        return "on the GPU, in 16-bit floats"
    chosen, fast = settings.model.arithmetic, has_fast_int8()
    vnni = "the CPU has AVX-512 VNNI" if fast else "the CPU has no AVX-512 VNNI"
    if chosen == "int8" or (chosen == "auto" and fast):
        slow = "" if fast else ", so this is slower than floats would be; set model.arithmetic=auto"
        return f"small models in 8-bit integers: {vnni}{slow}"
    return f"in 32-bit floats: {vnni if chosen == 'auto' else 'model.arithmetic is float32'}"


def _base(settings: RunSettings) -> str:
    from coordi.model.base import check_base, checked_gguf, is_converted, resolve_base
    from coordi.model.memory import scoring_memory, training_memory

    model, title = settings.model, settings.model.base
    if title == "bundled":
        title = "SmolLM2-135M-Instruct"
        if not is_converted():
            checked_gguf()
            return f"{title}, will be converted on first use, which takes about half a minute"
    elif not Path(title).expanduser().is_dir():
        if not model.allow_download:
            return f"{title} is no folder here; to download it, {_DOWNLOAD}"
        revision = f"at {model.revision[:12]}" if model.revision else "once model.revision names a commit"
        return f"{title} is downloaded {revision}, unless it is in the cache"
    base = resolve_base(model)
    check_base(base, settings)
    gpu, longest = _gpu_memory(), settings.prompt.max_length
    typical, most = (
        training_memory(base.folder, settings, min(tokens, longest), gpu=gpu is not None)
        for tokens in (_PROMPT_TOKENS, longest)
    )
    scoring = scoring_memory(base.folder, settings, _PROMPT_TOKENS, _CANDIDATE_TOKENS, gpu=gpu is not None)
    total, owner = (_memory(), "this machine has") if gpu is None else (gpu, "the GPU has")
    memory = (
        f", more than the {_gib(total)} that {owner}" if max(typical, scoring) > total else f"; {owner} {_gib(total)}"
    )
    return (
        f"{title}; training takes up to {_gib(typical)} with typical prompts, {_gib(most)} if all had "
        f"{longest} tokens; scoring takes up to {_gib(scoring)}{memory}"
    )


def _memory() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def _gpu_memory() -> int | None:
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    return torch.cuda.mem_get_info()[1] if torch.cuda.is_available() else None


def _gib(size: float) -> str:
    return f"{size / 2**30:.2g} GiB" if size < 10 * 2**30 else f"{size / 2**30:.0f} GiB"


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


def _encoder(settings: RunSettings) -> str:
    from coordi.encoders.base import load_encoder

    encoder = load_encoder("edge")
    return f"bundled, {encoder.dimension} dimensions, {encoder.identity[:12]}"


def _cache(settings: RunSettings) -> str:
    return f"{cache_folder()} (set COORDI_CACHE for another)"


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("doctor")(doctor)
