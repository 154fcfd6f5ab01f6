"""Scorers whose answers are known, for tests of what is worked out from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coordi.types import CompatibilityQuestion


class ConstantScorer:
    """Says the same of everything."""

    gives_probabilities = False

    def __init__(self, value: float = 0.5, name: str = "constant") -> None:
        self.name = name
        self._value = value

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        return np.full(len(outfits), self._value)


class TableScorer:
    """Says what a table says."""

    gives_probabilities = False

    name = "table"

    def __init__(self, table: dict[str, float]) -> None:
        self._table = table

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        return np.array([self._table["".join(outfit)] for outfit in outfits])


def asked(item_ids: str, outfit_id: str, compatible: bool) -> CompatibilityQuestion:
    return CompatibilityQuestion(item_ids, outfit_id, tuple(item_ids), compatible)
