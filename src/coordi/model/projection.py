"""Metric learning: a linear projection of embeddings under which the items of an outfit lie near each other.

The loss is that of pairwise ranking, ``softplus(-scale * (s(outfit) - s(negative)))`` with ``s`` the mean cosine over
an outfit's pairs and the scale learned. See McAuley et al., Image-based recommendations on styles and substitutes,
2015; Vasileva et al., Learning type-aware embeddings for fashion compatibility, 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from coordi.errors import require

if TYPE_CHECKING:
    import torch

Positions = Sequence[int]
"""Rows of an outfit's items in a matrix of embeddings."""

# Chosen on validation outfits of three sources (dev/LOG.md).
_DROPOUT = 0.4
_EPOCHS = 2  # over the given comparisons, which hold each outfit with several negatives
_BATCH = 128
_LEARNING_RATE, _SCALE_LEARNING_RATE = 2e-3, 3e-2
_SCALE = 10.0  # at the start


def learn_projection(
    embeddings: NDArray[np.float32], comparisons: Sequence[tuple[Positions, Positions]], seed: int
) -> NDArray[np.float32]:
    """Learn from comparisons of an outfit with a negative, given centred embeddings ``(N, D)`` of items.

    Returns a matrix ``(D, D)``; embeddings times it are projected. It begins as the identity.
    """
    require("torch", "train")
    import torch

    dimension = embeddings.shape[1]
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.nn.Parameter(torch.eye(dimension))
    scale = torch.nn.Parameter(torch.tensor(_SCALE))
    groups = [{"params": [matrix], "lr": _LEARNING_RATE}, {"params": [scale], "lr": _SCALE_LEARNING_RATE}]
    optimizer = torch.optim.Adam(groups)
    rows = torch.from_numpy(embeddings)
    right, wrong = (_padded(side) for side in zip(*comparisons, strict=True))
    for _ in range(_EPOCHS):
        for batch in torch.randperm(len(comparisons), generator=generator).split(_BATCH):  # type: ignore[no-untyped-call]
            retained = torch.rand((dimension, 1), generator=generator) >= _DROPOUT
            dropped = matrix * retained / (1 - _DROPOUT)
            margins = _mean_cosines(rows, dropped, right[batch]) - _mean_cosines(rows, dropped, wrong[batch])
            loss = torch.nn.functional.softplus(-scale * margins).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return np.asarray(matrix.detach().numpy(), dtype=np.float32)


def _padded(outfits: Sequence[Positions]) -> torch.Tensor:
    """Positions ``(N, longest)`` of each outfit's items, -1 after its last."""
    import torch

    longest = max(map(len, outfits))
    return torch.tensor([[*outfit, *[-1] * (longest - len(outfit))] for outfit in outfits])


def _mean_cosines(rows: torch.Tensor, matrix: torch.Tensor, outfits: torch.Tensor) -> torch.Tensor:
    """Mean cosine over the pairs of each outfit's projected items, ``(N,)``."""
    import torch

    present = (outfits >= 0)[..., None]
    vectors = torch.nn.functional.normalize(rows[outfits.clamp(min=0)] @ matrix, dim=-1, eps=1e-6) * present
    counts = present.sum(dim=(1, 2))
    difference = vectors.sum(dim=1).square().sum(dim=-1) - vectors.square().sum(dim=(1, 2))
    return difference / (counts * (counts - 1)).clamp(min=1)
