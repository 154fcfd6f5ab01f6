"""What scorers said to the questions, and what an evaluation found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.scorer import no_rows, no_scores


@dataclass(frozen=True, slots=True)
class ScorerResult:
    """What one scorer said under one protocol; what the protocol doesn't ask, or the scorer didn't answer, is empty.

    Attributes:
        scorer: Its name.
        threshold: Chosen on the validation split; from here upwards an outfit is said to go together. NaN without
            compatibility questions.
        scores: Of the test questions, shape ``(N,)``.
        blank_scores: Of each candidate in each blank, shape ``(Q, C)``.
        retrieval_scores: Of each candidate in each retrieval query, shape ``(R, P)``.
        probabilities: Of the test questions, shape ``(N,)``, in ``[0, 1]``: the scores through a logistic curve
            fitted on the validation split.
        gives_probabilities: Whether the scores themselves are meant as probabilities.
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
        """The answers at the threshold, shape ``(N,)``."""
        answers: NDArray[np.bool_] = self.scores >= self.threshold
        return answers


@dataclass(frozen=True, slots=True)
class ProtocolResult:
    """One protocol's questions and what each scorer said.

    Attributes:
        results: The model under test first, which answered everything. Then the others that answered anything; a
            scorer from outside may have answered some tasks only.
    """

    questions: ProtocolQuestions
    results: tuple[ScorerResult, ...]


@dataclass(frozen=True, slots=True)
class Caution:
    """Something that a reader of the figures must know.

    Attributes:
        where: Protocols and tasks, such as ``"random compatibility, pairs compatibility"``.
        text: In whole sentences.
    """

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything measured.

    Attributes:
        protocols: In the order of the settings.
        tasks: The ``tasks`` of ``report.json``; ``figures`` says what is in it.
        warnings: Every warning of every task, each once; the ``warnings`` of ``report.json`` begin with them.
    """

    protocols: tuple[ProtocolResult, ...]
    tasks: Mapping[str, Any]
    warnings: tuple[Caution, ...] = ()
