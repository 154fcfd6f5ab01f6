"""Orders in which a model is asked about one outfit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_STREAM = 71  # of the run's seed


def orders_of(outfit: Sequence[str], passes: int, seed: int) -> list[Sequence[str]]:
    """So many orders of an outfit's items: the given one, then shuffled ones, the same whatever else is asked."""
    rng = np.random.default_rng([seed, _STREAM, len(outfit)])
    orders: list[Sequence[str]] = [outfit]
    for _ in range(passes - 1):
        orders.append([outfit[position] for position in rng.permutation(len(outfit))])
    return orders
