"""Linear layers in 8-bit integers for scoring on a CPU: a scale for each output, two bytes for each input."""

from __future__ import annotations

from functools import cache
from typing import Any

from coordi.errors import require

_MOST = 127  # of a signed byte, kept symmetric
_STEP = 128  # what the upper byte of an input counts for
_LEAST_SCALE = 1e-12  # a token of zeros is divided by this


def has_fast_int8() -> bool:
    """Whether this machine's CPU multiplies bytes much faster than floats: x86 with AVX-512 VNNI."""
    torch = require("torch", "train")
    return bool(torch.backends.mkldnn.is_available() and torch.cpu._is_vnni_supported())


def to_int8(network: Any) -> Any:
    """Put the linear layers of a decoder's blocks into 8-bit integers, in place; its head and norms stay as they are.

    Weights are rounded to 8 bits with a scale for each output. An input is two bytes with a scale for each token: a few
    large states stand beside many small ones in these models, and a single byte loses what matters (measured:
    dev/LOG.md). Sums of either byte are exact in 32 bits. A token's numbers don't depend on what else is in its batch,
    but for what floats round elsewhere.

    References:
        Dettmers et al., LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale, 2022 (vector-wise scales,
        and why inputs need more than 8 bits).
    """
    torch = require("torch", "train")
    for block in getattr(network.base_model, "layers", ()):  # other architectures keep their floats
        for name, layer in list(block.named_modules()):
            if type(layer) is torch.nn.Linear:
                parent, _, last = name.rpartition(".")
                setattr(block.get_submodule(parent), last, _int8_linear()(layer))
    return network


@cache
def _int8_linear() -> Any:
    """The layer's class; made late, because torch is imported late."""
    torch = require("torch", "train")

    class Int8Linear(torch.nn.Module):  # type: ignore[misc,name-defined]
        """A linear layer for inference; holds ``weight`` ``(in, out)`` in bytes and ``scale`` ``(out,)``."""

        def __init__(self, layer: Any) -> None:
            super().__init__()
            weight = layer.weight.data.float()
            scale = (weight.abs().amax(dim=1) / _MOST).clamp(min=_LEAST_SCALE)
            self.register_buffer("weight", (weight / scale[:, None]).round().to(torch.int8).t())
            self.register_buffer("scale", scale)
            self.bias = layer.bias

        def forward(self, inputs: Any) -> Any:
            """``(..., in)`` to ``(..., out)``, float32."""
            tokens = inputs.reshape(-1, inputs.shape[-1])  # (T, in)
            count = len(tokens)
            scale = tokens.abs().amax(dim=1, keepdim=True).clamp_(min=_LEAST_SCALE) / (_MOST * _STEP)  # (T, 1)
            whole = tokens / scale
            upper = (whole / _STEP).round_()
            both = torch.empty((2 * count, tokens.shape[1]), dtype=torch.int8)
            both[:count] = upper
            both[count:] = whole.sub_(upper, alpha=_STEP).round_()
            sums = torch._int_mm(both, self.weight).float()  # (2 T, out), exact up to here
            out = sums[:count].mul_(_STEP).add_(sums[count:]).mul_(scale).mul_(self.scale)
            if self.bias is not None:
                out += self.bias
            return out.reshape(*inputs.shape[:-1], -1)

    return Int8Linear
