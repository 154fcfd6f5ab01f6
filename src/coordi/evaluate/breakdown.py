"""Where a model is right and where it isn't: figures by size of the outfit, by category and by confidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.domain import WORN_CATEGORIES, CompatibilityQuestion, FillInTheBlankQuestion, Item
from coordi.errors import EvaluationError
from coordi.evaluate import metrics
from coordi.evaluate.results import ScorerResult

CONFIDENCE = ("least sure quarter", "second quarter", "third quarter", "surest quarter")
"""Names of the quarters of the questions by distance of the score from the threshold."""


def compatibility_breakdown(
    questions: Sequence[CompatibilityQuestion], result: ScorerResult, items: Mapping[str, Item]
) -> dict[str, list[dict[str, Any]]]:
    """Rows ``{value, n, positives, auc, accuracy}`` by size, worn category and confidence.

    A question counts in the row of each category it holds, so those rows overlap. Quarters by confidence are parted at
    the quartiles of the distance from the threshold; questions of equal distance share one, so ties make quarters
    uneven and may leave one out. Rows have no intervals: they say where to look, not what is so.

    Args:
        questions: Of the test split, length ``N``.
        result: What the model said to them.
        items: By item id; empty leaves categories out.

    Returns:
        By ``size``, ``category`` and ``confidence``; ``auc`` is None in a row of one class.

    Raises:
        EvaluationError: If an item isn't among ``items`` and those aren't empty.
    """
    labels = np.array([question.compatible for question in questions], dtype=bool)

    def row(value: str, rows: NDArray[np.bool_]) -> dict[str, Any]:
        one_class = labels[rows].all() or not labels[rows].any()
        return {
            "value": value,
            "n": int(rows.sum()),
            "positives": int(labels[rows].sum()),
            "auc": None if one_class else metrics.roc_auc(result.scores[rows], labels[rows]),
            "accuracy": metrics.accuracy(result.predicted[rows], labels[rows]),
        }

    sizes = np.array([len(question.item_ids) for question in questions])
    held = [_categories(question.item_ids, items) for question in questions]
    distance = np.abs(result.scores - result.threshold)
    quarter = np.searchsorted(np.percentile(distance, [25, 50, 75]), distance, side="left")
    return {
        "size": [row(str(size), sizes == size) for size in np.unique(sizes)],
        "category": _by_category(held, row),
        "confidence": [row(CONFIDENCE[number], quarter == number) for number in np.unique(quarter)],
    }


def blank_breakdown(
    blanks: Sequence[FillInTheBlankQuestion], hits: NDArray[np.bool_], items: Mapping[str, Item]
) -> dict[str, list[dict[str, Any]]]:
    """Rows ``{value, n, accuracy}`` by the worn category of the true item.

    Args:
        blanks: Length ``Q``.
        hits: Whether the true item was chosen, shape ``(Q,)``.
        items: By item id; empty leaves categories out.

    Raises:
        EvaluationError: If an item isn't among ``items`` and those aren't empty.
    """

    def row(value: str, rows: NDArray[np.bool_]) -> dict[str, Any]:
        return {"value": value, "n": int(rows.sum()), "accuracy": float(np.mean(hits[rows]))}

    true = [_categories([blank.candidates[blank.answer]], items) for blank in blanks]
    return {"category": _by_category(true, row)}


def _by_category(
    held: Sequence[set[str]], row: Callable[[str, NDArray[np.bool_]], dict[str, Any]]
) -> list[dict[str, Any]]:
    places = ((name, np.array([name in names for names in held], dtype=bool)) for name in WORN_CATEGORIES)
    return [row(name, rows) for name, rows in places if rows.any()]


def _categories(item_ids: Sequence[str], items: Mapping[str, Item]) -> set[str]:
    if not items:
        return set()
    unknown = [item_id for item_id in item_ids if item_id not in items]
    if unknown:
        raise EvaluationError(
            f"item '{unknown[0]}' of a question isn't among the {len(items)} items that were given; give those of the "
            "data set that the questions are from, or none"
        )
    return {items[item_id].category for item_id in item_ids}
