"""How well a cheat separates positives from negatives, in numpy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def auc(scores: Floats, positive: Flags) -> float:
    """Probability that a positive scores above a negative, ties counted half; 0.5 if one class is empty.

    Mann and Whitney's U over its maximum, from average ranks.
    """
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return 0.5
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]  # (Q,)
    above = float(ranks[positive].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives) if len(values) > 1 else 0.5


def chance_spread(positive: Flags) -> float:
    """Standard deviation of the AUC of a score that knows nothing (Mann and Whitney, 1947, without ties)."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return 0.5
    return float(np.sqrt((positives + negatives + 1) / (12 * positives * negatives)))


def held_out_auc(features: Floats, positive: Flags, learned: Flags) -> float:
    """AUC on the held-out questions of naive Bayes learned on the others.

    Args:
        features: Binary, shape ``(Q, F)``.
        positive: The truth, shape ``(Q,)``.
        learned: Which questions are learned from, shape ``(Q,)``; the others are scored.

    Returns:
        In ``[0, 1]``; 0.5 if either half lacks a class.
    """
    if len(np.unique(positive[learned])) < 2:
        return 0.5
    rates = [
        (features[learned & truth].sum(axis=0) + 1) / (int((learned & truth).sum()) + 2)
        for truth in (positive, ~positive)
    ]
    present = np.log(rates[0] / rates[1])  # (F,)
    absent = np.log((1 - rates[0]) / (1 - rates[1]))  # (F,)
    held_out = features[~learned]
    scores = held_out @ present + (1 - held_out) @ absent
    # Sums in another order differ in their last bits; equal features must tie.
    return auc(np.round(scores, 9), positive[~learned])


def position_features(orders: Sequence[Sequence[str]]) -> Floats:
    """Which label stands at which position, as 0 and 1, shape ``(Q, positions * labels)``.

    Positions are counted from the front and from the back, as outfits differ in length.
    """
    labels = {label: place for place, label in enumerate(sorted({label for order in orders for label in order}))}
    longest = max((len(order) for order in orders), default=0)
    grid = np.zeros((len(orders), 2, longest, len(labels)))
    for question, order in enumerate(orders):
        for position, label in enumerate(order):
            grid[question, 0, position, labels[label]] = 1
            grid[question, 1, len(order) - 1 - position, labels[label]] = 1
    return grid.reshape(len(orders), -1)
