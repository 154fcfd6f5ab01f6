"""The questions that baselines learn from and are chosen by: of the training and validation splits alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coordi.data.questions import compatibility_questions, draw_compatibility
from coordi.domain import CompatibilityQuestion, Dataset, Protocol
from coordi.errors import EvaluationError
from coordi.evaluate.metrics import roc_auc
from coordi.evaluate.scorer import OutfitScorer

TRAINING_PROTOCOLS: tuple[Protocol, ...] = ("random", "same-category")
"""Whose negatives are learned from, half and half."""


def epoch_questions(dataset: Dataset, seed: int, epoch: int) -> dict[Protocol, tuple[CompatibilityQuestion, ...]]:
    """The training questions of one epoch by training protocol; negatives are drawn anew in each.

    Raises:
        DataError: If the training split has no outfits, or too few to make any negative.
    """
    return {name: draw_compatibility(dataset, "train", name, seed, epoch).questions for name in TRAINING_PROTOCOLS}


def training_questions(dataset: Dataset, seed: int, epochs: int) -> tuple[CompatibilityQuestion, ...]:
    """The training questions of the first epochs, of all training protocols; outfits without one are logged.

    Raises:
        DataError: If the training split has no outfits, or too few to make any negative.
    """
    return tuple(
        question
        for epoch in range(epochs)
        for name in TRAINING_PROTOCOLS
        for question in compatibility_questions(dataset, "train", name, seed, epoch)
    )


def validation_questions(dataset: Dataset, seed: int, draws: int = 1) -> tuple[tuple[CompatibilityQuestion, ...], ...]:
    """The validation questions of each training protocol.

    Args:
        dataset: With a validation split.
        seed: Of the negatives.
        draws: How often negatives are drawn; the first are the very ones that an evaluation with this seed asks.

    Raises:
        DataError: If the validation split has no outfits, or too few to make any negative.
    """
    return tuple(
        tuple(
            question
            for epoch in range(draws)
            for question in draw_compatibility(dataset, "valid", name, seed, epoch).questions
        )
        for name in TRAINING_PROTOCOLS
    )


def mean_auc(scorer: OutfitScorer, parts: Sequence[Sequence[CompatibilityQuestion]]) -> float:
    """Mean AUC over sets of questions, by which baselines are chosen; each set needs both classes."""
    return float(
        np.mean(
            [
                roc_auc(
                    scorer.score([question.item_ids for question in part]),
                    np.array([question.compatible for question in part]),
                )
                for part in parts
            ]
        )
    )


def check_both_classes(name: str, questions: Sequence[CompatibilityQuestion]) -> None:
    """Refuse questions that nothing can be learned from.

    Raises:
        EvaluationError: If the questions don't hold both classes.
    """
    compatible = sum(question.compatible for question in questions)
    if compatible in (0, len(questions)):
        raise EvaluationError(
            f"{name} needs compatible and incompatible training questions, got {compatible} compatible of "
            f"{len(questions)}; use a data set with training outfits"
        )
