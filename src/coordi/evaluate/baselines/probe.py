"""What a language model knows of outfits before it is fine-tuned: logistic regression on its hidden states."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.domain import CompatibilityQuestion, Dataset
from coordi.errors import EvaluationError, require
from coordi.evaluate.baselines.training import (
    TRAINING_PROTOCOLS,
    check_both_classes,
    epoch_questions,
    mean_auc,
    validation_questions,
)

States = Callable[[Sequence[Sequence[str]]], NDArray[np.float32]]
"""Gives the states ``(N, H)`` of outfits, by item ids in the order they are asked in."""

_STREAM = 423  # of the run's seed, for the outfits that are learned from
# Each costs the language model three prompts; a linear model of some hundred weights learns little from more.
MOST_OUTFITS = 2000
_STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1)


class FrozenProbe:
    """Logistic regression on the standardised mean hidden state of an outfit's prompt.

    Like the model it reads, it is asked in an order and may answer otherwise in another.
    """

    name = "frozen-probe"
    gives_probabilities = True

    def __init__(self, states: States, scale: tuple[NDArray[np.float64], NDArray[np.float64]], model: Any) -> None:
        self._states = states
        self._mean, self._deviation = scale
        self._model = model

    @classmethod
    def fit(cls, dataset: Dataset, states: States, seed: int, among: Collection[str] | None = None) -> FrozenProbe:
        """Learn from the training questions of one epoch, regularised as is best on the validation split.

        At most ``MOST_OUTFITS`` training outfits are asked about, each once for itself and once for a negative of each
        training protocol.

        Args:
            dataset: With a training and a validation split.
            states: Of the language model.
            seed: Of the negatives and of the outfits, where there are more than that.
            among: Ids of the training outfits that are learned from; the model is asked about all of them all the same,
                so that it is asked once for every share. None learns from all.

        Raises:
            DataError: If a split has no outfits, or too few to make any negative.
            EvaluationError: If the questions don't hold both classes, or a state isn't finite.
            MissingDependencyError: If scikit-learn isn't installed.
        """
        questions = _to_learn_from(dataset, seed)
        check_both_classes(cls.name, questions)
        rows = _states_of(states, [question.item_ids for question in questions])  # (N, H)
        labels = np.array([question.compatible for question in questions])
        if among is not None:
            kept = np.array([question.outfit_id in among for question in questions])
            rows, labels = rows[kept], labels[kept]
            check_both_classes(cls.name, [question for question, keep in zip(questions, kept, strict=True) if keep])
        # A state that never changes would be divided by nothing.
        scale = (rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6))
        standard = (rows - scale[0]) / scale[1]
        regression = require("sklearn.linear_model", "train").LogisticRegression
        # Two negatives for each outfit, which weigh as much as it does.
        probes = [
            cls(states, scale, regression(C=strength, class_weight="balanced", max_iter=2000).fit(standard, labels))
            for strength in _STRENGTHS
        ]
        parts = validation_questions(dataset, seed)
        return max(probes, key=lambda probe: mean_auc(probe, parts))

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Probability of "goes together", shape ``(N,)``.

        Raises:
            CoordiError: Whatever the language model raises for an outfit that it can't read.
            EvaluationError: If a state isn't finite.
        """
        if not outfits:
            return np.zeros(0)
        rows = _states_of(self._states, outfits)
        return np.asarray(self._model.predict_proba((rows - self._mean) / self._deviation)[:, 1], dtype=np.float64)


def _to_learn_from(dataset: Dataset, seed: int) -> list[CompatibilityQuestion]:
    """One positive of each outfit, and one negative of each protocol."""
    outfits = dataset.outfits_of("train")
    kept = {outfit.id for outfit in outfits}
    if len(outfits) > MOST_OUTFITS:
        drawn = np.random.default_rng([seed, _STREAM]).permutation(len(outfits))[:MOST_OUTFITS]
        kept = {outfits[int(place)].id for place in drawn}
    by_protocol = epoch_questions(dataset, seed, 0)
    first = TRAINING_PROTOCOLS[0]
    return [
        question
        for protocol, questions in by_protocol.items()
        for question in questions
        if question.outfit_id in kept and (protocol == first or not question.compatible)
    ]


def _states_of(states: States, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    rows = np.asarray(states(outfits), dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(outfits) or not np.isfinite(rows).all():
        raise EvaluationError(
            f"the language model gave states of shape {rows.shape} for {len(outfits)} outfits; expected (N, H), all "
            "finite: check the base model"
        )
    return rows
