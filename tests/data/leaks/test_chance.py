from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from coordi.data.leak_tests import (
    ADVICE,
    ALPHA,
    LEAST_GAIN,
    ItemFacts,
    LeakResult,
    QuestionSet,
    question_set,
    significant_leaks,
)
from coordi.types import CompatibilityQuestion, Dataset


def _result(p_value: float, reached: float = 0.9, **changes: Any) -> LeakResult:
    return replace(LeakResult("size", "q", "sizes", "AUC", reached, 0.5, p_value), **changes)


@pytest.fixture
def flat(shop: Dataset, sampled: tuple[CompatibilityQuestion, ...]) -> QuestionSet:
    return question_set("q", sampled, ItemFacts(shop))


def test_an_accusation_must_hold_against_the_number_of_checks() -> None:
    others = [_result(0.5, name="order") for _ in range(9)]
    assert significant_leaks([_result(ALPHA / 11), *others]) != []
    assert significant_leaks([_result(ALPHA / 9), *others]) == []


def test_checks_of_other_questions_have_no_say() -> None:
    elsewhere = [_result(0.5, where=f"r{number}") for number in range(99)]
    assert significant_leaks([_result(ALPHA / 2), *elsewhere]) == significant_leaks([_result(ALPHA / 2)]) != []


def test_a_gain_too_small_to_matter_is_no_alarm() -> None:
    assert significant_leaks([_result(0.0, reached=0.5 + LEAST_GAIN / 2)]) == []
    assert significant_leaks([_result(0.0, reached=0.5 + LEAST_GAIN * 1.1)]) != []


def test_the_strongest_cheat_of_a_name_speaks_for_the_others() -> None:
    weaker = _result(0.0, 0.7, what="odd sizes")
    elsewhere = _result(0.0, 0.6, where="r")
    first, second = significant_leaks([weaker, _result(0.0), elsewhere])
    assert (first.where, first.auc, second.where, second.auc) == ("q", 0.9, "r", 0.6)
    figures = "AUC 0.90, where 0.50 is chance; so do odd sizes (AUC 0.70)"
    assert first.detail == f"sizes tell the answer: {figures}; {ADVICE['size']}"


def test_what_is_shown_to_nobody_is_told_once() -> None:
    (leak,) = significant_leaks([_result(0.0, 0.8, name="ids"), _result(0.0, 0.9, name="ids", where="r")])
    assert (leak.where, leak.auc, leak.visible) == ("q, r", 0.9, False)


def test_a_score_is_taken_whichever_way_it_tells(flat: QuestionSet) -> None:
    score = flat.positive.astype(np.float64)
    for scores in (score, -score):
        result = flat.test("size", "sizes", scores)
        assert result.reached == 1.0
        assert result.p_value < 1e-9


def test_random_scores_are_off_by_chance_as_often_as_they_say(flat: QuestionSet) -> None:
    generator = np.random.default_rng(8)
    count = len(flat.outfits)
    for by_mean in (False, True):
        found = [flat.test("size", "", generator.random(count), by_mean).p_value for _ in range(1000)]
        for level in (0.5, 0.1, 0.02):
            assert np.mean(np.array(found) < level) == pytest.approx(level, abs=4 * np.sqrt(level / 1000))


def test_a_wider_spread_alone_is_another_auc_but_not_another_mean(flat: QuestionSet) -> None:
    """Positives at -3 or 1, three times as often at 1, negatives at 0: AUC 0.75, equal means."""
    rank = np.cumsum(flat.positive) % 4
    scores = np.where(flat.positive, np.where(rank == 0, -3.0, 1.0), 0.0)
    assert flat.test("size", "", scores).p_value < 1e-6
    judged = flat.test("size", "", scores, by_mean=True)
    assert judged.p_value > 0.5
    assert judged.reached == pytest.approx(0.75, abs=0.01)


def test_learning_counts_above_the_usual_only(flat: QuestionSet) -> None:
    assert flat.learned("size", "", 0.8, 0.8).p_value == 0.5
    assert flat.learned("size", "", 0.2).p_value > 0.99
    assert flat.learned("size", "", 0.9, 0.6).p_value < 1e-6
