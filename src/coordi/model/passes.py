"""One pass over tokens that go on from what a model has read before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


# Of the layers, from below: middle layers know more of an outfit than the last one. Logistic regression on the mean
# state of SmolLM2's layer 20 of 30 tells same-category negatives with AUC 0.70 on Maryland outfits, on the last
# token's last state with 0.59.
_DEPTH = 2 / 3


def middle_layer(layers: int) -> int:
    """The layer, from 1, whose leaving states are read where settings name none."""
    return max(1, round(_DEPTH * layers))


@dataclass(frozen=True, slots=True)
class Heard:
    """Hidden states that are averaged.

    Attributes:
        layer: From 1 for what leaves the first layer.
        skip: Tokens at the beginning of each prompt that don't count, such as the question's.
    """

    layer: int
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What a model has read: beginnings of prompts, right-padded to one width.

    Attributes:
        layers: Keys and values by layer, each ``(F, heads, T, D)`` for ``F`` beginnings.
        lengths: Tokens of each beginning, shape ``(F,)``.
        mask: Which of the ``T`` places hold a token, shape ``(F, T)``.
        sums: Sum of the hidden states that are averaged, shape ``(F, H)``; None if there are none.
        counts: How many were summed, shape ``(F,)``.
    """

    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    lengths: torch.Tensor
    mask: torch.Tensor
    sums: torch.Tensor | None
    counts: torch.Tensor

    @classmethod
    def nothing(cls) -> Known:
        """The beginning of everything: one of no tokens."""
        import torch

        zero = torch.zeros(1, dtype=torch.long)
        return cls((), zero, torch.zeros((1, 0), dtype=torch.long), None, zero)


@dataclass(frozen=True, slots=True)
class Pass:
    """What came of a pass.

    Attributes:
        last: Last hidden state of each row's last token, after the final norm, shape ``(B, H)``.
        layers: Keys and values of everything read so far, by layer; empty unless they were to be kept.
        lengths: Tokens of each row, all that was read before included, shape ``(B,)``.
        mask: Which places hold a token, shape ``(B, T)``.
        sums: Sum of the hidden states at the layer that was asked for, shape ``(B, H)``; None without a layer.
        counts: How many were summed, shape ``(B,)``.
    """

    last: torch.Tensor
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    lengths: torch.Tensor
    mask: torch.Tensor
    sums: torch.Tensor | None
    counts: torch.Tensor

    def known(self) -> Known:
        """What later passes go on from."""
        return Known(self.layers, self.lengths, self.mask, self.sums, self.counts)

    def mean_states(self) -> NDArray[np.float32]:
        """Mean hidden state of each row, shape ``(B, H)``."""
        if self.sums is None:
            raise ValueError("no layer was asked for in this pass")
        return np.asarray((self.sums / self.counts[:, None]).cpu().numpy(), dtype=np.float32)


def extend(
    backbone: Any,
    known: Known,
    owners: Sequence[int],
    rests: Sequence[Sequence[int]],
    *,
    heard: Heard | None = None,
    keep: bool = False,
) -> Pass:
    """Read on.

    Args:
        backbone: A decoder's layers, in evaluation mode.
        known: What was read before.
        owners: The beginning that each row goes on from, as its number in ``known``.
        rests: Tokens of each row, one or more.
        heard: Which hidden states are summed; None for none.
        keep: Keep keys and values.
    """
    import torch

    device = next(backbone.parameters()).device
    whose = torch.tensor(list(owners))
    lengths = torch.tensor([len(rest) for rest in rests])
    ids, own = _padded(rests)
    before = known.lengths[whose]
    mask = torch.cat([known.mask[whose], own], dim=1)
    positions = before[:, None] + torch.arange(ids.shape[1])[None, :]
    sums: list[torch.Tensor] = []
    listened = None if heard is None else (own * (positions >= heard.skip)).to(device)
    with listening(backbone, heard, listened, sums):
        out = backbone(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            past_key_values=_cache(known, whose.to(device), keep=keep),
            use_cache=keep or bool(known.layers),
        )
    last = out.last_hidden_state[torch.arange(len(rests)), (lengths - 1).to(device)]
    layers = tuple((one.keys, one.values) for one in out.past_key_values.layers) if keep else ()
    if listened is None:
        return Pass(last, layers, before + lengths, mask, None, torch.zeros_like(lengths))
    total, counts = sums[0].cpu(), listened.sum(dim=1).cpu()
    if known.sums is not None:
        total, counts = total + known.sums[whose], counts + known.counts[whose]
    return Pass(last, layers, before + lengths, mask, total, counts)


def _padded(rests: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and a mask, both ``(B, T)``, padded on the right."""
    import torch

    width = max(map(len, rests))
    ids = torch.zeros((len(rests), width), dtype=torch.long)
    mask = torch.zeros((len(rests), width), dtype=torch.long)
    for row, rest in enumerate(rests):
        ids[row, : len(rest)] = torch.tensor(list(rest))
        mask[row, : len(rest)] = 1
    return ids, mask


def _cache(known: Known, whose: torch.Tensor, *, keep: bool) -> Any:
    from transformers import DynamicCache

    if not known.layers and not keep:
        return None
    cache = DynamicCache()
    for number, (keys, values) in enumerate(known.layers):
        if len(known.lengths) == 1:
            rows = len(whose)
            cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
        else:
            cache.update(keys.index_select(0, whose), values.index_select(0, whose), number)
    return cache


@contextmanager
def listening(
    backbone: Any, heard: Heard | None, mask: torch.Tensor | None, sums: list[torch.Tensor]
) -> Iterator[None]:
    """Sum the hidden states that leave a layer, over the tokens of the mask.

    Args:
        backbone: A decoder's layers.
        heard: Which layer; None listens to none.
        mask: Which tokens count, ``(B, T)``.
        sums: Each pass adds its sum ``(B, H)``.
    """
    if heard is None or mask is None:
        yield
        return

    def note(module: Any, inputs: Any, output: Any) -> None:
        states = output[0] if isinstance(output, tuple) else output  # (B, T, H)
        sums.append((states.float() * mask[:, :, None]).sum(dim=1))

    hook = backbone.layers[heard.layer - 1].register_forward_hook(note)
    try:
        yield
    finally:
        hook.remove()
