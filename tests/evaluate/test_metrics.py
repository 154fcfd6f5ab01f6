"""Metrics: cases worked by hand, agreement with scikit-learn, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.errors import EvaluationError
from coordi.evaluate import metrics

YES_NO = np.array([True, True, False, False])


def test_accuracy_and_f1_by_hand() -> None:
    predicted = np.array([True, False, True, True])
    # One hit of two positives, two false alarms: accuracy 1/4, precision 1/3, recall 1/2, F1 2/5.
    assert metrics.accuracy(predicted, YES_NO) == 0.25
    assert metrics.f1(predicted, YES_NO) == pytest.approx(0.4, abs=1e-15)


def test_f1_is_zero_when_nothing_is_accepted_and_two_thirds_for_always_yes() -> None:
    assert metrics.f1(np.zeros(4, bool), YES_NO) == 0
    assert metrics.f1(np.ones(4, bool), YES_NO) == pytest.approx(2 / 3)


def test_auc_by_hand_with_ties_counted_half() -> None:
    # Pairs (positive, negative): .8>.5 1, .8>.2 1, .5=.5 half, .5>.2 1 -> 3.5 of 4.
    scores = np.array([0.8, 0.5, 0.5, 0.2])
    assert metrics.roc_auc(scores, YES_NO) == 0.875
    assert metrics.roc_auc(-scores, YES_NO) == 0.125
    assert metrics.roc_auc(np.full(4, 0.3), YES_NO) == 0.5


def test_roc_curve_by_hand() -> None:
    curve = metrics.roc_curve(np.array([0.8, 0.5, 0.5, 0.2]), YES_NO)
    assert curve.tolist() == [[0, 0], [0, 0.5], [0.5, 1], [1, 1]]


def test_threshold_by_hand() -> None:
    # Yes at 0.9 and 0.6, no at 0.4 and 0.1: everything is right between 0.4 and 0.6.
    assert metrics.best_threshold(np.array([0.9, 0.6, 0.4, 0.1]), YES_NO) == pytest.approx(0.5)


def test_threshold_takes_the_lowest_of_equals() -> None:
    # 0.25 gives 3 of 4 (a false alarm at 0.5), 0.65 gives 3 of 4 (a miss at 0.3): the lower wins.
    scores = np.array([0.8, 0.3, 0.5, 0.2])
    assert metrics.best_threshold(scores, YES_NO) == pytest.approx(0.25)
    # Nothing to tell apart: always yes and always no are equal, and always yes is lower.
    assert metrics.best_threshold(np.full(4, 0.3), YES_NO) == 0.3


def test_threshold_can_refuse_everything_and_parts_adjacent_floats() -> None:
    labels = np.array([True, False, False])
    scores = np.array([0.5, 0.5, 0.5])
    assert not np.any(scores >= metrics.best_threshold(scores, labels))
    low = 0.5
    high = float(np.nextafter(low, 1))
    pair, truth = np.array([high, low]), np.array([True, False])
    assert metrics.accuracy(pair >= metrics.best_threshold(pair, truth), truth) == 1


def test_threshold_is_never_beaten_by_another() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        scores = rng.integers(0, 6, size=12) / 6
        labels = rng.permutation(np.arange(12) < 5)
        best = metrics.accuracy(scores >= metrics.best_threshold(scores, labels), labels)
        assert best == max(metrics.accuracy(scores >= other, labels) for other in np.linspace(-0.1, 1.1, 61))


def test_fill_in_the_blank_by_hand() -> None:
    scores = np.array([[0.9, 0.1, 0.2, 0.3], [0.9, 0.1, 0.2, 0.3], [0.5, 0.5, 0.1, 0.1], [0, 0, 0, 1.0]])
    answers = np.array([0, 1, 0, 3])
    # Right, wrong, a tie with the true item (a miss), right.
    assert metrics.fitb_hits(scores, answers).tolist() == [True, False, False, True]
    assert metrics.fitb_accuracy(scores, answers) == 0.5
    assert metrics.fitb_accuracy(np.ones((3, 4)), np.array([0, 1, 2])) == 0


def test_agreement_with_scikit_learn() -> None:
    reference = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    for size in (5, 40, 301):
        labels = rng.permutation(np.arange(size) < max(2, size // 3))
        scores = np.round(rng.random(size), 1)
        predicted = scores >= 0.5
        assert metrics.roc_auc(scores, labels) == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
        assert metrics.f1(predicted, labels) == pytest.approx(reference.f1_score(labels, predicted), abs=1e-12)
        assert metrics.accuracy(predicted, labels) == pytest.approx(
            reference.accuracy_score(labels, predicted), abs=1e-12
        )
        false_rate, true_rate, _ = reference.roc_curve(labels, scores, drop_intermediate=False)
        np.testing.assert_allclose(
            metrics.roc_curve(scores, labels), np.column_stack([false_rate, true_rate]), atol=1e-12
        )


def test_interval_by_hand() -> None:
    # Two outfits, values 0 and 1: a resample's mean is 0, 0.5 or 1 with chances 1/4, 1/2, 1/4.
    values = np.array([0.0, 1.0])
    rng = np.random.default_rng(0)
    assert metrics.bootstrap_interval(lambda rows: float(values[rows].mean()), ["a", "b"], rng) == (0, 1)


def test_interval_matches_the_normal_theory_of_a_mean() -> None:
    values = np.random.default_rng(1).normal(size=400)
    low, high = metrics.bootstrap_interval(
        lambda rows: float(values[rows].mean()), list(range(400)), np.random.default_rng(2), 4000
    )
    half = 1.96 * values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - half, abs=0.008)
    assert high == pytest.approx(values.mean() + half, abs=0.008)


def test_outfits_are_drawn_whole() -> None:
    groups = ["a", "b", "a", "b", "c"]
    seen = []

    def statistic(rows: NDArray[np.intp]) -> float:
        seen.append(np.bincount(rows, minlength=5).tolist())
        return 0.0

    metrics.bootstrap_interval(statistic, groups, np.random.default_rng(0), 100)
    assert all(counts[0] == counts[2] and counts[1] == counts[3] for counts in seen)
    assert all(counts[0] + counts[1] + counts[4] == 3 for counts in seen)
    assert len({tuple(counts) for counts in seen}) > 5


def test_repeating_rows_within_outfits_widens_nothing() -> None:
    """An interval by question would shrink when every question is asked twice; by outfit it stays as it is."""
    values = np.random.default_rng(1).normal(size=60)
    twice = np.repeat(values, 2)
    once_interval = metrics.bootstrap_interval(
        lambda rows: float(values[rows].mean()), list(range(60)), np.random.default_rng(4)
    )
    twice_interval = metrics.bootstrap_interval(
        lambda rows: float(twice[rows].mean()), [i // 2 for i in range(120)], np.random.default_rng(4)
    )
    assert twice_interval == pytest.approx(once_interval, abs=1e-12)


def test_same_seed_same_interval() -> None:
    values = np.arange(10.0)
    intervals = [
        metrics.bootstrap_interval(lambda rows: float(values[rows].mean()), list(range(10)), np.random.default_rng(s))
        for s in (7, 7, 8)
    ]
    assert intervals[0] == intervals[1] != intervals[2]


def test_interval_leaves_out_draws_without_a_value_but_not_most_of_them() -> None:
    labels, scores = np.array([True, False]), np.array([0.9, 0.1])

    def auc(rows: NDArray[np.intp]) -> float:
        return metrics.roc_auc(scores[rows], labels[rows])

    # Half of all draws of these two outfits hold one class; whole outfits always hold both.
    assert metrics.bootstrap_interval(auc, ["a", "a"], np.random.default_rng(0)) == (1, 1)
    single = np.array([True, True])
    with pytest.raises(EvaluationError, match="only 0 of 100 resamples of 2 outfits"):
        metrics.bootstrap_interval(
            lambda rows: metrics.roc_auc(scores[rows], single[rows]), ["a", "b"], np.random.default_rng(0), 100
        )


REFUSALS: list[tuple[Callable[[], Any], str]] = [
    (lambda: metrics.accuracy(np.zeros(0, bool), np.zeros(0, bool)), "got 0"),
    (lambda: metrics.accuracy(np.zeros(3, bool), YES_NO), r"\(3,\) and \(4,\)"),
    (lambda: metrics.f1(np.ones(4, bool), np.zeros(4, bool)), "none of 4"),
    (lambda: metrics.roc_auc(np.zeros(0), np.zeros(0, bool)), "got 0"),
    (lambda: metrics.roc_auc(np.zeros(4), np.ones(4, bool)), "all 4 questions are compatible"),
    (lambda: metrics.roc_auc(np.zeros(4), np.zeros(4, bool)), "all 4 questions are incompatible"),
    (lambda: metrics.roc_auc(np.array([1, np.nan, 0, 0]), YES_NO), "1 of 4 scores aren't finite, such as nan"),
    (lambda: metrics.roc_curve(np.array([1, np.inf, 0, 0]), YES_NO), "such as inf"),
    (lambda: metrics.best_threshold(np.zeros(4), np.ones(4, bool)), "both classes"),
    (lambda: metrics.best_threshold(np.array([1, -np.inf, 0, 0]), YES_NO), "such as -inf"),
    (lambda: metrics.fitb_accuracy(np.zeros((0, 4)), np.zeros(0, int)), r"\(0, 4\)"),
    (lambda: metrics.fitb_accuracy(np.zeros((2, 1)), np.zeros(2, int)), r"at least 2 candidates.*\(2, 1\)"),
    (lambda: metrics.fitb_accuracy(np.zeros((2, 4)), np.zeros(3, int)), r"\(2, 4\) and \(3,\)"),
    (lambda: metrics.fitb_accuracy(np.full((2, 4), np.nan), np.zeros(2, int)), "8 of 8 scores"),
    (lambda: metrics.fitb_accuracy(np.zeros((2, 4)), np.array([0, 4])), "columns 0 to 3, got 0 to 4"),
    (lambda: metrics.bootstrap_interval(lambda rows: 0.0, [], np.random.default_rng(0)), "got 0 and 1000"),
]


@pytest.mark.parametrize(("call", "message"), REFUSALS)
def test_refusals_name_the_value(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message) as caught:
        call()
    assert isinstance(caught.value, ValueError)
