"""Metrics: cases worked by hand, agreement with scikit-learn and trec_eval, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn import metrics as reference

from coordi.errors import EvaluationError
from coordi.evaluation import metrics

YES_NO = np.array([True, True, False, False])
EXAMPLES = settings(max_examples=60, deadline=None)

Scored = tuple[NDArray[np.float64], NDArray[np.bool_]]


@st.composite
def scored(draw: st.DrawFn) -> Scored:
    """Scores with many ties or with few, and labels of both classes."""
    size = draw(st.integers(2, 80))
    values = draw(st.sampled_from([st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(-1e6, 1e6), st.floats(0, 1)]))
    labels = draw(arrays(np.bool_, size))
    labels[:2] = [True, False]
    return draw(arrays(np.float64, size, elements=values)), labels


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
    for largest in (1e100, 1e308):
        assert metrics.best_threshold(np.array([1.0, 1.0, -1.0, -1.0]) * largest, YES_NO) == 0


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
    assert not metrics.fitb_hits(np.ones((3, 4)), np.array([0, 1, 2])).any()


def test_ranks_recall_and_reciprocal_rank_by_hand() -> None:
    scores = np.array([[0.9, 0.1, 0.2, 0.3], [0.9, 0.1, 0.2, 0.3], [0.5, 0.5, 0.1, 0.1], [0, 0, 0, 0.0]])
    ranks = metrics.true_ranks(scores, np.array([0, 3, 1, 2]))
    # First; second, behind 0.9; second, for a tie counts against it; last of four that are all alike.
    assert ranks.tolist() == [1, 2, 2, 4]
    assert [metrics.recall_at(ranks, k) for k in (1, 2, 3, 4)] == [0.25, 0.75, 0.75, 1]
    assert metrics.mean_reciprocal_rank(ranks) == (1 + 1 / 2 + 1 / 2 + 1 / 4) / 4


@EXAMPLES
@given(scored())
@pytest.mark.slow
def test_agreement_with_scikit_learn(drawn: Scored) -> None:
    scores, labels = drawn
    predicted = scores >= 0.5
    curve = metrics.roc_curve(scores, labels)
    false_rate, true_rate, _ = reference.roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve, np.column_stack([false_rate, true_rate]), atol=1e-12, rtol=0)
    for ours, theirs in (
        (metrics.roc_auc(scores, labels), reference.roc_auc_score(labels, scores)),
        (metrics.f1(predicted, labels), reference.f1_score(labels, predicted)),
        (metrics.accuracy(predicted, labels), reference.accuracy_score(labels, predicted)),
        (float(np.trapezoid(curve[:, 1], curve[:, 0])), reference.roc_auc_score(labels, scores)),
    ):
        assert ours == pytest.approx(theirs, abs=1e-12)


@EXAMPLES
@given(
    arrays(np.float64, st.tuples(st.integers(1, 20), st.integers(2, 40)), elements=st.integers(0, 12).map(float)),
    st.integers(0, 2**32),
)
@pytest.mark.slow
def test_agreement_with_trec_eval(scores: NDArray[np.float64], seed: int) -> None:
    """Its ties go to the name that is last in the alphabet, so the true item, which is named first, loses them."""
    pools = scores.shape[1]
    answers = np.random.default_rng(seed).integers(pools, size=len(scores))
    names = [[f"b{place}" if place != answer else "a" for place in range(pools)] for answer in answers]
    run = {str(q): dict(zip(names[q], row.tolist(), strict=True)) for q, row in enumerate(scores)}
    truth = {query: {"a": 1} for query in run}
    found = pytrec_eval.RelevanceEvaluator(truth, {"recip_rank", "recall.1,5,10"}).evaluate(run)
    ranks = metrics.true_ranks(scores, answers)
    theirs = {name: float(np.mean([one[name] for one in found.values()])) for name in next(iter(found.values()))}
    assert metrics.mean_reciprocal_rank(ranks) == pytest.approx(theirs["recip_rank"], abs=1e-12)
    for k in (1, 5, 10):
        assert metrics.recall_at(ranks, k) == pytest.approx(theirs[f"recall_{k}"], abs=1e-12)


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
    (lambda: metrics.fitb_hits(np.zeros((0, 4)), np.zeros(0, int)), r"\(0, 4\)"),
    (lambda: metrics.fitb_hits(np.zeros((2, 1)), np.zeros(2, int)), r"at least 2 candidates.*\(2, 1\)"),
    (lambda: metrics.fitb_hits(np.zeros((2, 4)), np.zeros(3, int)), r"\(2, 4\) and \(3,\)"),
    (lambda: metrics.fitb_hits(np.full((2, 4), np.nan), np.zeros(2, int)), "8 of 8 scores"),
    (lambda: metrics.fitb_hits(np.zeros((2, 4)), np.array([0, 4])), "columns 0 to 3, got 0 to 4"),
    (lambda: metrics.recall_at(np.array([1, 2]), 0), "got 0"),
    (lambda: metrics.recall_at(np.zeros(0, int), 1), r"got \(0,\) of nothing"),
    (lambda: metrics.mean_reciprocal_rank(np.array([1, 0])), "lowest of 0"),
]


@pytest.mark.parametrize(("call", "message"), REFUSALS)
def test_refusals_name_the_value(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message) as caught:
        call()
    assert isinstance(caught.value, ValueError)
