"""Breakdowns, worked by hand on a few questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from coordi.config import EvaluateSettings
from coordi.evaluation.question_sets import ProtocolQuestions
from coordi.evaluation.scoring import ProtocolResult, ScorerResult
from coordi.evaluation.task_metrics import CONFIDENCE, task_metrics
from coordi.types import CompatibilityQuestion, FitbQuestion, GarmentCategory, Item

WORN: dict[str, GarmentCategory] = {"t": "top", "b": "bottom", "s": "shoes", "h": "headwear"}
ITEMS = {name: Item(name, f"a {category}", category) for name, category in WORN.items()}


def make_question(items: str, compatible: bool) -> CompatibilityQuestion:
    return CompatibilityQuestion(items, "o", tuple(items), compatible)


def breakdown(questions: Sequence[CompatibilityQuestion], scores: Sequence[float]) -> Any:
    """Of the compatibility questions; the threshold is 0.5."""
    part = ProtocolQuestions("random", (), tuple(questions))
    return tasks(part, ScorerResult("model", 0.5, np.array(scores), np.zeros((0, 0)), probabilities=np.array(scores)))[
        "compatibility"
    ]


def tasks(part: ProtocolQuestions, result: ScorerResult) -> dict[str, Any]:
    computed = task_metrics([ProtocolResult(part, (result,))], EvaluateSettings(bootstrap=100), 0, ITEMS)
    return {task: protocols["random"]["breakdown"] for task, protocols in computed.items() if "random" in protocols}


QUESTIONS = (
    make_question("tb", True),
    make_question("bt", False),
    make_question("tbs", True),
    make_question("tbs", False),
    make_question("tbs", True),
)


def test_by_size_and_category() -> None:
    found = breakdown(QUESTIONS, [0.9, 0.6, 0.4, 0.2, 0.1])
    assert found["size"] == [
        {"value": "2", "n": 2, "positives": 1, "auc": 1.0, "accuracy": 0.5},
        {"value": "3", "n": 3, "positives": 2, "auc": 0.5, "accuracy": pytest.approx(1 / 3)},
    ]
    # Every question holds a top and a bottom, three hold shoes, none headwear; in the order of the domain.
    assert [(row["value"], row["n"]) for row in found["category"]] == [("top", 5), ("bottom", 5), ("shoes", 3)]
    assert found["category"][2] == {**found["size"][1], "value": "shoes"}


def test_a_row_of_one_class_has_no_auc() -> None:
    (row,) = breakdown([*QUESTIONS[:3], QUESTIONS[4]], [0.9, 0.6, 0.4, 0.1])["size"][1:]
    assert (row["n"], row["positives"], row["auc"]) == (2, 2, None)


def test_by_confidence() -> None:
    # Distances from 0.5: .4 .1 .3 .2 .35 .05 .25 .15. Right where the score is 0.5 or more for the compatible.
    scores = [0.9, 0.6, 0.2, 0.7, 0.15, 0.45, 0.25, 0.35]
    truth = [True, False, True, True, False, True, False, True]
    questions = [make_question("tb", compatible) for compatible in truth]
    found = breakdown(questions, scores)["confidence"]
    # Wrong by .05, .1; wrong by .15, right by .2; right by .25, wrong by .3; right by .35, .4.
    assert [(row["value"], row["n"], row["positives"], row["accuracy"]) for row in found] == [
        (CONFIDENCE[0], 2, 1, 0), (CONFIDENCE[1], 2, 2, 0.5), (CONFIDENCE[2], 2, 1, 0.5), (CONFIDENCE[3], 2, 1, 1),
    ]  # fmt: skip
    tied = breakdown(questions, [0.9] * 8)["confidence"]
    assert [(row["value"], row["n"]) for row in tied] == [(CONFIDENCE[0], 8)]


def test_blanks_by_the_category_of_the_true_item() -> None:
    blanks = [
        FitbQuestion(str(number), "o", ("h",), candidates, answer)
        for number, (candidates, answer) in enumerate([(("t", "b"), 0), (("t", "b"), 1), (("b", "t"), 1)])
    ]
    part = ProtocolQuestions("random", blanks=tuple(blanks))
    right = ScorerResult("model", 0.5, np.zeros(0), np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]]))
    assert tasks(part, right) == {
        "fill_in_the_blank": {
            "category": [{"value": "top", "n": 2, "accuracy": 0.5}, {"value": "bottom", "n": 1, "accuracy": 1.0}]
        }
    }
