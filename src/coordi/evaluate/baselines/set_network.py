"""The network of the set transformer: made of torch's own parts, as torch is only there where it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from coordi.domain import WORN_CATEGORIES
from coordi.errors import require

if TYPE_CHECKING:
    import torch

_WIDTH = 64
_HEADS = 4
_LAYERS = 2
_DROPOUT = 0.2
# Twice the size of an item's projected vector: categories are seen at once, what is learned of styles comes later.
_CATEGORY_SCALE = 2.0
# Before anything is learned the score is this much of the mean cosine, the best guess that needs no learning.
_COSINE_SCALE = 20.0
_OUTFIT_TOKEN = len(WORN_CATEGORIES)


def new_network(widths: Sequence[int]) -> Any:
    """A ``torch.nn.ModuleDict`` with fresh weights from torch's global generator.

    Args:
        widths: Of each source of vectors that stand side by side in an item's features.
    """
    torch = require("torch", "train")
    nn = torch.nn
    layer = nn.TransformerEncoderLayer(
        _WIDTH, _HEADS, 2 * _WIDTH, _DROPOUT, activation="gelu", batch_first=True, norm_first=True
    )
    network = nn.ModuleDict(
        {
            "features": nn.Linear(sum(widths), _WIDTH, bias=False),
            "categories": nn.Embedding(_OUTFIT_TOKEN + 1, _WIDTH),
            "dropout": nn.Dropout(_DROPOUT),
            "encoder": nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False),
            "norm": nn.LayerNorm(_WIDTH),
            "head": nn.Linear(_WIDTH, 1),
            "likeness": nn.Linear(len(widths), 1, bias=False),
        }
    )
    # A projection that keeps angles as well as a random one can, with components of about 1 for vectors of length 1.
    nn.init.orthogonal_(network["features"].weight, gain=sum(widths) ** 0.5)
    nn.init.normal_(network["categories"].weight, std=_CATEGORY_SCALE)
    nn.init.zeros_(network["head"].weight)
    nn.init.constant_(network["likeness"].weight, _COSINE_SCALE / len(widths))
    return network


def logits(
    network: Any, features: torch.Tensor, categories: torch.Tensor, padding: torch.Tensor, widths: Sequence[int]
) -> torch.Tensor:
    """How surely the items of each outfit go together, as logits ``(B,)``.

    An outfit token attends to the items, which have no positions; its last state is read. The mean cosine of the
    items' own vectors is added, source by source, so that little data doesn't have to teach that alike goes with alike.

    Args:
        network: Of ``new_network``.
        features: ``(B, T, D)``; a source that an item lacks is zeros.
        categories: Numbers of worn categories, ``(B, T)``.
        padding: True where there is no item, ``(B, T)``.
        widths: As the network was made for.
    """
    import torch

    batch = len(features)
    token = network["categories"].weight[_OUTFIT_TOKEN].expand(batch, 1, -1)
    items = network["dropout"](network["features"](features) + network["categories"](categories))
    no_token = torch.zeros((batch, 1), dtype=torch.bool)
    states = network["encoder"](
        torch.cat([token, items], dim=1), src_key_padding_mask=torch.cat([no_token, padding], dim=1)
    )  # (B, 1 + T, W)
    read = network["head"](network["dropout"](network["norm"](states[:, 0])))[:, 0]  # (B,)
    total: torch.Tensor = read + network["likeness"](_cosines(features, padding, widths))[:, 0]
    return total


def _cosines(features: torch.Tensor, padding: torch.Tensor, widths: Sequence[int]) -> torch.Tensor:
    """Mean cosine over pairs, ``(B, S)`` for S sources; 0 for fewer than two items."""
    import torch

    present = (~padding)[..., None].to(features)  # (B, T, 1)
    count = present.sum(dim=1)  # (B, 1)
    masked = features * present
    sums = []
    for end, width in zip(accumulate(widths), widths, strict=True):
        source = masked[..., end - width : end]  # (B, T, width)
        # The squared length of the sum holds each pair twice, and each vector with itself.
        sums.append(source.sum(dim=1).square().sum(dim=-1) - source.square().sum(dim=(1, 2)))
    return torch.stack(sums, dim=-1) / (count * (count - 1)).clamp(min=1)
