"""Whether settings can be carried out on this machine, checked before other work is done."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordi.artifacts import read_json
from coordi.config import RunSettings
from coordi.errors import ModelError, require
from coordi.model.base import Base, check_base, resolve_base
from coordi.model.engines import UNPACK_UP_TO, Engine, choose_engine, compute_dtype, engine_for_head, load_tokenizer
from coordi.prompts import PromptRenderer, answer_tokens

GIB = 2**30
_FOUR_BITS = 0.5 + 4 / 64  # bytes of a weight in NF4, with a float32 scale for every 64
_LONGEST_HEADER = 100 * 2**20  # of a safetensors file, as its own library has it


@dataclass(frozen=True, slots=True)
class Preflight:
    """What settings come to on this machine.

    Attributes:
        engine: Which engine.
        reason: Why, in words for the user.
        base: The base model.
    """

    engine: Engine
    reason: str
    base: Base


def preflight(settings: RunSettings) -> Preflight:
    """Refuse settings that can't be fine-tuned with here, before anything else is done.

    A base that may be downloaded is, and the bundled one is converted.

    Raises:
        ModelError: If a demanded engine can't run, the base isn't there or doesn't fit its settings, can't be asked
            for yes and no, or can't go on from the adapter that is named.
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
    """Bytes that a base's weights take at most once loaded, from the tables at the head of its files.

    Not counted is what an adapter, its optimizer and the batch at hand take beside them.

    Raises:
        ModelError: If a file isn't a safetensors file.
    """
    blocks = others = 0
    tied = bool(read_json(folder / "config.json").get("tie_word_embeddings"))
    for path in sorted(folder.glob("*.safetensors")):
        for name, tensor in _table(path).items():
            stored_4_bit = tensor["dtype"] == "U8"
            if ".weight." in name or (tied and name == "lm_head.weight"):
                continue  # scales of 4-bit weights are counted with them
            count = math.prod(tensor["shape"]) * (2 if stored_4_bit else 1)
            if stored_4_bit or (".layers." in name and len(tensor["shape"]) == 2):
                blocks += count
            else:
                others += count
    plain = each = 2.0 if gpu else 4.0
    if settings.model.quantization == "nf4":
        each = _FOUR_BITS
        if not gpu and blocks <= UNPACK_UP_TO and (scoring or settings.finetune.head == "pooled"):
            each = plain if scoring else compute_dtype().itemsize  # the engine unpacks small models on a CPU
    return round(blocks * each + others * plain)


def _table(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _LONGEST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            table: dict[str, Any] = json.loads(file.read(length))
        tensors = {name: tensor for name, tensor in table.items() if name != "__metadata__"}
        for tensor in tensors.values():
            str(tensor["dtype"]), math.prod(map(int, tensor["shape"]))
    except (AttributeError, KeyError, OSError, TypeError, ValueError, struct.error) as error:
        raise ModelError(f"'{path}' isn't a safetensors file ({error}); get the base model again") from error
    return tensors


def try_four_bits() -> str:
    """Quantize and multiply a small layer in NF4; gives where that worked.

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
        found = layer(rows)
        found.sum().backward()
    except (RuntimeError, NotImplementedError, AttributeError, OSError) as error:
        raise ModelError(f"bitsandbytes can't multiply in 4 bits here: {error}") from error
    expected = plain.to(device)(rows)
    if not (found - expected).abs().mean() < 0.2 * expected.abs().mean() or rows.grad is None:
        raise ModelError("bitsandbytes multiplies wrongly in 4 bits here; install another version of it")
    return "the GPU" if device == "cuda" else "the CPU"
