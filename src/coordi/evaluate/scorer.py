"""What every scorer of outfits has in common: models, baselines and other people's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from coordi.evaluate.question_sets import ProtocolQuestions


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


def no_scores() -> NDArray[np.float64]:
    """The scores of a task that wasn't answered, shape ``(0,)``."""
    return np.zeros(0)


def no_rows() -> NDArray[np.float64]:
    """The candidates' scores of a task that wasn't answered, shape ``(0, 0)``."""
    return np.zeros((0, 0))


@dataclass(frozen=True, slots=True)
class RawScores:
    """What one scorer said to one protocol's questions, in their order; a task it didn't answer is empty.

    Every score is finite, higher is better, and scores of different tasks need not be on one scale.

    Attributes:
        valid: Of the compatibility questions of the validation split, shape ``(V,)``.
        test: Of the compatibility questions of the test split, shape ``(N,)``.
        blanks: Of each candidate in each blank, shape ``(Q, C)``.
        retrieval: Of each candidate in each retrieval query, shape ``(R, P)``.
    """

    valid: NDArray[np.float64] = field(default_factory=no_scores)
    test: NDArray[np.float64] = field(default_factory=no_scores)
    blanks: NDArray[np.float64] = field(default_factory=no_rows)
    retrieval: NDArray[np.float64] = field(default_factory=no_rows)


@runtime_checkable
class ScoreSource(Protocol):
    """Scores that were made elsewhere, looked up by question instead of worked out from items.

    Nothing says that they are probabilities, so they aren't measured as such before they are calibrated.
    """

    @property
    def name(self) -> str:
        """What reports call it; unique among the scorers of one evaluation."""
        ...

    def scores(self, part: ProtocolQuestions) -> RawScores | None:
        """The scores of one protocol, in the order of its questions; None if it answers none of its tasks."""
        ...
