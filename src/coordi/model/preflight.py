"""Checks of the settings on this machine, before other work is done."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from coordi.artifacts import read_json
from coordi.config import RunSettings
from coordi.errors import ModelError, require
from coordi.model.base import Base, check_base, resolve_base
from coordi.model.engines import UNPACK_UP_TO, Engine, choose_engine, compute_dtype, load_tokenizer
from coordi.model.heads import AnswerHead, GroupHead, Head

GIB = 2**30
_NF4_BYTES = 0.5 + 4 / 64  # of a weight, with a float32 scale for every 64


class Preflight(NamedTuple):
    """What fine-tuning needs of the settings on this machine: an engine, why this one, the base model, the head."""

    engine: Engine
    reason: str
    base: Base
    head: Head


def preflight(settings: RunSettings) -> Preflight:
    """Refuse settings that can't be fine-tuned with on this machine, before any work is done.

    A base that may be downloaded is, and the bundled one is converted.

    Raises:
        ModelError: If a demanded engine can't run, the base is missing or doesn't fit the settings, or it has no tokens
            for yes and no.
        MissingDependencyError: If an engine's package is missing.
    """
    # Unsloth must be imported before transformers, so the engine comes first.
    engine, reason = choose_engine(settings.model, settings.finetune.head)
    base = resolve_base(settings.model)
    check_base(base, settings)
    head = GroupHead if settings.finetune.head == "pooled" else AnswerHead
    return Preflight(engine, reason, base, head(load_tokenizer(base), settings.prompt.max_length))


def weights_in_memory(folder: Path, settings: RunSettings, *, gpu: bool, scoring: bool) -> int:
    """Bytes that a base's weights take at most once loaded, from the headers of its files; batches come on top."""
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
    """Quantize and multiply a small layer in NF4; returns where that worked, and raises a ``ModelError`` if not."""
    torch = require("torch", "train")
    linear = require("bitsandbytes", "train").nn.Linear4bit
    device = "cuda" if torch.cuda.is_available() else "cpu"
    plain = torch.nn.Linear(64, 64, bias=False)
    try:
        layer = linear(64, 64, bias=False, compute_dtype=torch.float32, quant_type="nf4")
        layer.load_state_dict(plain.state_dict())
        rows = torch.randn(4, 64, device=device, requires_grad=True)
        product = layer.to(device)(rows)
        product.sum().backward()
    except (RuntimeError, NotImplementedError, AttributeError, OSError) as error:
        raise ModelError(f"bitsandbytes can't multiply in 4 bits here: {error}") from error
    expected = plain.to(device)(rows)
    if not (product - expected).abs().mean() < 0.2 * expected.abs().mean():
        raise ModelError("bitsandbytes multiplies wrongly in 4 bits here; install another version of it")
    return "the GPU" if device == "cuda" else "the CPU"
