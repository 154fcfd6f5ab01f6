"""Checks of the settings on this machine, before other work is done."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from coordi.artifacts import read_json
from coordi.config import RunSettings
from coordi.errors import ModelError, require
from coordi.model.base import Base, check_base, resolve_base
from coordi.model.engines import UNPACK_UP_TO, Engine, choose_engine, compute_dtype, engine_for_head, load_tokenizer
from coordi.prompts import PromptRenderer, answer_tokens

GIB = 2**30
_NF4_BYTES = 0.5 + 4 / 64  # of a weight, with a float32 scale for every 64


@dataclass(frozen=True, slots=True)
class Preflight:
    """The engine for some settings on this machine, why in words for the user, and the base model."""

    engine: Engine
    reason: str
    base: Base


def preflight(settings: RunSettings) -> Preflight:
    """Refuse settings that can't be fine-tuned with on this machine, before any work is done.

    A base that may be downloaded is, and the bundled one is converted.

    Raises:
        ModelError: If a demanded engine can't run, the base is missing or doesn't fit the settings, or it has no tokens
            for yes and no.
        MissingDependencyError: If an engine's package is missing.
    """
    pooled = settings.finetune.head == "pooled"
    # Unsloth must be imported before transformers, so the engine comes first.
    engine, reason = engine_for_head(settings.model) if pooled else choose_engine(settings.model)
    base = resolve_base(settings.model)
    check_base(base, settings)
    if not pooled:
        answer_tokens(PromptRenderer(load_tokenizer(base), settings.prompt.max_length))
    return Preflight(engine, reason, base)


def weights_in_memory(folder: Path, settings: RunSettings, *, gpu: bool, scoring: bool) -> int:
    """Bytes that a base's weights take at most once loaded, from the headers of its files.

    An adapter, its optimizer and the batches come on top.

    Raises:
        ModelError: If a file isn't a safetensors file.
    """
    blocks = others = 0
    tied = bool(read_json(folder / "config.json").get("tie_word_embeddings"))
    for path in sorted(folder.glob("*.safetensors")):
        for name, (dtype, shape) in _tensors(path).items():
            stored_4_bit = dtype == "U8"
            if ".weight." in name or (tied and name == "lm_head.weight"):
                continue  # scales of 4-bit weights are counted with them
            count = math.prod(shape) * (2 if stored_4_bit else 1)
            if stored_4_bit or (".layers." in name and len(shape) == 2):
                blocks += count
            else:
                others += count
    plain = each = 2.0 if gpu else 4.0
    if settings.model.quantization == "nf4":
        each = _NF4_BYTES
        if not gpu and blocks <= UNPACK_UP_TO and (scoring or settings.finetune.head == "pooled"):
            each = plain if scoring else compute_dtype().itemsize  # the engine unpacks small models on a CPU
    return round(blocks * each + others * plain)


def _tensors(path: Path) -> dict[str, tuple[str, list[int]]]:
    """Type and shape of each tensor in a file, whose data isn't read."""
    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: (tensor.get_dtype(), tensor.get_shape()) for name, tensor in slices.items()}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"'{path}' isn't a safetensors file ({error}); get the base model again") from error


def try_four_bits() -> str:
    """Quantize and multiply a small layer in NF4; returns where that worked.

    Raises:
        MissingDependencyError: If bitsandbytes or torch isn't installed.
        ModelError: If it doesn't work here.
    """
    torch = require("torch", "train")
    bitsandbytes = require("bitsandbytes", "train")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    plain = torch.nn.Linear(64, 64, bias=False)
    try:
        layer = bitsandbytes.nn.Linear4bit(64, 64, bias=False, compute_dtype=torch.float32, quant_type="nf4")
        layer.load_state_dict(plain.state_dict())
        layer = layer.to(device)
        rows = torch.randn(4, 64, device=device, requires_grad=True)
        product = layer(rows)
        product.sum().backward()
    except (RuntimeError, NotImplementedError, AttributeError, OSError) as error:
        raise ModelError(f"bitsandbytes can't multiply in 4 bits here: {error}") from error
    expected = plain.to(device)(rows)
    if not (product - expected).abs().mean() < 0.2 * expected.abs().mean() or rows.grad is None:
        raise ModelError("bitsandbytes multiplies wrongly in 4 bits here; install another version of it")
    return "the GPU" if device == "cuda" else "the CPU"
