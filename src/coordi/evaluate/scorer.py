"""What every scorer of outfits has in common: models, baselines and other people's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class OutfitScorer(Protocol):
    """Says how well items go together.

    Attributes:
        name: What reports and files call it; unique among the scorers of one evaluation.
        gives_probabilities: Whether its scores are meant as probabilities, so that their calibration can be measured
            as they are.
    """

    name: str
    gives_probabilities: bool

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Compatibility of each outfit, shape ``(N,)``, finite, higher is better.

        Args:
            outfits: Item ids. An id may only be used to look its item up, never as a feature: in the Maryland
                release it names the outfit.
        """
        ...
