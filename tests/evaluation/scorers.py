"""Scorers whose answers are known, for tests of what is worked out from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import ShowProgress, show_no_progress
from coordi.config import EvaluateSettings
from coordi.evaluation import benchmark
from coordi.evaluation.benchmark import Evaluation, EvaluationRun, Scorer
from coordi.evaluation.question_sets import ProtocolQuestions, draw_questions
from coordi.types import CompatibilityQuestion, Dataset, Item


class ConstantScorer:
    """Says the same of everything."""

    gives_probabilities = False

    def __init__(self, value: float = 0.5, name: str = "constant") -> None:
        self.name = name
        self._value = value

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        return np.full(len(outfits), self._value)


class TableScorer:
    """Says what a table says."""

    gives_probabilities = False

    name = "table"

    def __init__(self, table: dict[str, float]) -> None:
        self._table = table

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        return np.array([self._table["".join(item.id for item in outfit)] for outfit in outfits])


def measure(
    questions: Sequence[ProtocolQuestions],
    scorers: Sequence[Scorer],
    settings: EvaluateSettings,
    seed: int = 3,
    items: Mapping[str, Item] | None = None,
) -> Evaluation:
    """Measure scorers; items that aren't given have an id alone."""
    ids = {
        item_id
        for part in questions
        for outfit in (
            *(question.item_ids for question in (*part.valid, *part.test)),
            *((*question.item_ids, *question.candidates) for question in (*part.blanks, *part.retrieval)),
        )
        for item_id in outfit
    }
    items = items or {item_id: Item(item_id, "", None) for item_id in ids}
    return benchmark.measure(questions, scorers, EvaluationRun(settings, seed, items))


def make_question(item_ids: str, outfit_id: str, compatible: bool) -> CompatibilityQuestion:
    return CompatibilityQuestion(item_ids, outfit_id, tuple(item_ids), compatible)


def evaluate(
    dataset: Dataset,
    scorers: Sequence[Scorer],
    settings: EvaluateSettings,
    seed: int,
    show_progress: ShowProgress = show_no_progress,
    folder: Path | None = None,
) -> Evaluation:
    """Draw the questions of a data set and measure scorers on them."""
    run = EvaluationRun(settings, seed, dataset.items, show_progress, folder)
    return benchmark.measure(draw_questions(dataset, settings, seed), scorers, run)
