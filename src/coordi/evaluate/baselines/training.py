"""The questions that baselines learn from: those of the training split, their negatives drawn anew in each epoch."""

from __future__ import annotations

from collections.abc import Sequence

from coordi.data.questions import compatibility_questions
from coordi.domain import CompatibilityQuestion, Dataset, Protocol
from coordi.errors import EvaluationError

TRAINING_PROTOCOLS: tuple[Protocol, ...] = ("random", "same-category")
"""Whose negatives are learned from, half and half."""


def epoch_questions(dataset: Dataset, seed: int, epoch: int) -> tuple[CompatibilityQuestion, ...]:
    """The training questions of one epoch, of all training protocols.

    Raises:
        DataError: If the training split has no outfits, or too few to make any negative.
    """
    return tuple(
        question
        for protocol in TRAINING_PROTOCOLS
        for question in compatibility_questions(dataset, "train", protocol, seed, epoch)
    )


def training_questions(dataset: Dataset, seed: int, epochs: int) -> tuple[CompatibilityQuestion, ...]:
    """The training questions of the first epochs.

    Raises:
        DataError: If the training split has no outfits, or too few to make any negative.
    """
    return tuple(question for epoch in range(epochs) for question in epoch_questions(dataset, seed, epoch))


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
