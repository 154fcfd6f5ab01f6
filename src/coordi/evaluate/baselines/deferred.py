"""A scorer that takes long to fit, fitted by its first question: scores that are read again cost no fitting."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from coordi.evaluate.scorer import OutfitScorer


class FittedWhenAsked:
    """Stands for a scorer that isn't fitted yet; an empty list of outfits asks nothing."""

    gives_probabilities = True

    def __init__(self, name: str, fit: Callable[[], OutfitScorer]) -> None:
        self.name = name
        self._fit = fit
        self._fitted: OutfitScorer | None = None

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Compatibility of each outfit, shape ``(N,)``.

        Raises:
            CoordiError: Whatever fitting and scoring raise.
        """
        if not outfits:
            return np.zeros(0)
        if self._fitted is None:
            self._fitted = self._fit()
        return self._fitted.score(outfits)
