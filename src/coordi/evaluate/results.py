"""Scores of scorers under a protocol, with thresholds and calibrated probabilities."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.scoring import no_rows, no_scores


@dataclass(frozen=True, slots=True)
class ScorerResult:
    """One scorer under one protocol; a task that the protocol lacks, or the scorer didn't answer, is empty.

    Attributes:
        scorer: Its name.
        threshold: Chosen on the validation split; outfits with this score or more are predicted compatible. NaN without
            compatibility questions.
        scores: Of the test questions, shape ``(N,)``.
        blank_scores: Of each candidate of each fill-in-the-blank question, shape ``(Q, C)``.
        retrieval_scores: Of each candidate of each retrieval query, shape ``(R, P)``.
        probabilities: Of the test questions, shape ``(N,)``, in ``[0, 1]``: scores after Platt scaling on the
            validation split.
        gives_probabilities: True if the scores themselves are probabilities.
    """

    scorer: str
    threshold: float
    scores: NDArray[np.float64]
    blank_scores: NDArray[np.float64]
    retrieval_scores: NDArray[np.float64] = field(default_factory=no_rows)
    probabilities: NDArray[np.float64] = field(default_factory=no_scores)
    gives_probabilities: bool = False

    @property
    def predicted(self) -> NDArray[np.bool_]:
        """Predictions at the threshold, shape ``(N,)``."""
        predictions: NDArray[np.bool_] = self.scores >= self.threshold
        return predictions


@dataclass(frozen=True, slots=True)
class ProtocolResult:
    """One protocol's questions and the results of all scorers.

    Attributes:
        questions: Of the protocol.
        results: The model under test first, which answered everything, then the others that answered anything.
    """

    questions: ProtocolQuestions
    results: tuple[ScorerResult, ...]


@dataclass(frozen=True, slots=True)
class ReportWarning:
    """Something that a reader of the figures must know.

    Attributes:
        where: Protocols and tasks, such as ``"random compatibility, pairs compatibility"``.
        text: In whole sentences.
    """

    where: str
    text: str
