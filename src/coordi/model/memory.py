"""Peak memory of fine-tuning and of scoring, by a formula that a test checks against measured tensors."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from coordi.artifacts import read_json
from coordi.config import RunSettings
from coordi.errors import ModelError, require
from coordi.model.base import Base
from coordi.model.engines import weights_in_memory
from coordi.model.prefix_cache import BATCH_TOKENS, GPU_BATCH_TOKENS

# Bytes per token, in 16 bits, of what a block of Llama's kind keeps for its gradients: per number of its hidden states
# and of its inner ones. Measured at two widths (dev/LOG.md); a test measures at others.
_PER_HIDDEN, _PER_INNER, _OUTSIDE, _PER_DROPPED, _CHECKPOINT = 27, 8, 32, 4, 4
_OUTSIDE_WITH_DROPOUT = 14
_FLOAT, _HALF = 4, 2
_SIZES = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size")
_LINEAR = {"q_proj": "hh", "k_proj": "hk", "v_proj": "hk", "o_proj": "hh", "gate_proj": "hi", "up_proj": "hi",
           "down_proj": "ih"}  # fmt: skip


class Shape(NamedTuple):
    """Sizes of a decoder: layers, numbers of a hidden state, of an inner one and of a key, and tokens it knows."""

    layers: int
    hidden: int
    inner: int
    keys: int
    vocabulary: int

    @classmethod
    def of(cls, folder: Path) -> Shape:
        """Sizes from a base model's configuration."""
        config = read_json(folder / "config.json")
        text = config.get("text_config") or config
        lacking = [name for name in _SIZES if not isinstance(text.get(name), int)]
        if lacking:
            raise ModelError(f"'{folder / 'config.json'}' doesn't say {', '.join(lacking)}; choose another base")
        heads = int(text["num_attention_heads"])
        head = int(text.get("head_dim") or text["hidden_size"] // heads)
        keys = head * int(text.get("num_key_value_heads") or heads)
        return cls(text["num_hidden_layers"], text["hidden_size"], text["intermediate_size"], keys, text["vocab_size"])


def activations_per_token(shape: Shape, settings: RunSettings) -> int:
    """Bytes per token of a micro-batch that training keeps at its peak beside weights, in 16 bits."""
    dropout = settings.finetune.lora_dropout > 0
    layer = _PER_HIDDEN * shape.hidden + _PER_INNER * shape.inner
    outside = _OUTSIDE * shape.hidden
    if dropout:
        layer += _PER_DROPPED * sum(_sizes(shape)[_LINEAR[name][0]] for name in _adapted(settings))
        outside += _OUTSIDE_WITH_DROPOUT * shape.hidden if settings.finetune.gradient_checkpointing else 0
    if settings.finetune.gradient_checkpointing:
        return outside + layer + shape.layers * _CHECKPOINT * shape.hidden
    return outside + shape.layers * layer


def adapter_bytes(shape: Shape, settings: RunSettings) -> int:
    """Bytes of an adapter in training: weights and gradients in 32 bits, and the optimizer's two moments."""
    sizes = _sizes(shape)
    rows = sum(sizes[part] for name in _adapted(settings) for part in _LINEAR[name])
    layers = shape.layers - settings.finetune.first_layer
    moments = 2 if settings.finetune.optimizer == "adamw_8bit" else 2 * _FLOAT
    return layers * settings.finetune.lora_rank * rows * (2 * _FLOAT + moments)


def training_memory(folder: Path, settings: RunSettings, tokens: int, *, gpu: bool) -> int:
    """Peak bytes of fine-tuning with prompts of so many tokens: weights, adapter, a micro-batch, and the largest layer
    unpacked. A GPU's own context comes on top, about half a GiB.
    """
    shape, size = Shape.of(folder), settings.finetune.micro_batch_size
    wide = 1 if gpu else _FLOAT // _HALF
    answers = size * shape.vocabulary * 3 * _FLOAT  # logits, their softmax and gradient
    unpacked = _HALF * shape.hidden * shape.inner
    batch = size * tokens * activations_per_token(shape, settings) * wide
    weights = weights_in_memory(folder, settings, gpu=gpu, scoring=False)
    return weights + adapter_bytes(shape, settings) + batch + answers + unpacked


def scoring_memory(folder: Path, settings: RunSettings, tokens: int, own: int, *, gpu: bool) -> int:
    """Peak bytes of scoring prompts of so many tokens that share all but their last ``own`` ones: weights, a batch of
    ``model.batch_tokens`` in the widest layer, and each prompt's copy of the keys and values of what it shares.
    """
    shape = Shape.of(folder)
    batch = settings.model.batch_tokens or (GPU_BATCH_TOKENS if gpu else BATCH_TOKENS)
    number = _HALF if gpu else _FLOAT
    computed = batch * (4 * shape.inner + 8 * shape.hidden)
    cached = batch // own * tokens * (2 * shape.layers * shape.keys + 2 * shape.hidden)
    return weights_in_memory(folder, settings, gpu=gpu, scoring=True) + number * (computed + cached)


def check_memory(base: Base, settings: RunSettings) -> None:
    """Raise a ``ModelError`` if fine-tuning needs more than the GPU has, whatever the prompts; nothing without one."""
    torch = require("torch", "train")
    if not torch.cuda.is_available():
        return
    total = int(torch.cuda.mem_get_info()[1])
    needed = training_memory(base.folder, settings, 1, gpu=True)
    if needed > total:
        raise ModelError(
            f"fine-tuning '{base.name}' takes more than {needed / 2**30:.1f} GiB, and the GPU has {total / 2**30:.1f} "
            "GiB; choose a smaller base, such as the preset llama-3.2-1b, or model.quantization=nf4"
        )


def _sizes(shape: Shape) -> dict[str, int]:
    return {"h": shape.hidden, "i": shape.inner, "k": shape.keys}


def _adapted(settings: RunSettings) -> list[str]:
    return [name for name in settings.finetune.target_modules if name in _LINEAR]
