from __future__ import annotations

import numpy as np
import pytest

from coordi.encoders.evaluation import (
    among_best,
    expected_calibration_error,
    label_metrics,
    merged,
    share_with_interval,
)


def test_figures_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(3)
    shares = generator.dirichlet(np.ones(6), size=200)
    truth = np.where(generator.random(200) < 0.6, shares.argmax(1), generator.integers(5, size=200))
    found = label_metrics(truth, shares, np.random.default_rng(0))
    guess = shares.argmax(1)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, guess))
    for average in ("weighted", "macro"):
        expected = metrics.f1_score(truth, guess, average=average, zero_division=0)
        assert found[f"{average}_f1"] == pytest.approx(expected)
    top3 = metrics.top_k_accuracy_score(truth, shares, k=3, labels=range(6))
    assert found["top3"] == pytest.approx(top3)
    for name in ("accuracy", "top3", "weighted_f1", "macro_f1"):
        low, high = found["ci95"][name]
        assert low < found[name] < high
    assert (found["n"], found["classes"]) == (200, 6)


def test_calibration_error_by_hand() -> None:
    # Two at 0.9 of which one is right (gap 0.4), two at 0.2 of which none is (gap 0.2).
    right = np.array([True, False, False, False])
    assert expected_calibration_error(right, np.array([0.9, 0.9, 0.2, 0.2])) == pytest.approx(0.3)
    assert expected_calibration_error(np.array([True, True]), np.array([1.0, 1.0])) == 0


def test_among_the_best_by_hand() -> None:
    shares = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.1, 0.1, 0.8]])
    truth = np.array([1, 1, 2])
    assert among_best(truth, shares, 1).tolist() == [False, False, True]
    # The second photo's truth ties with the first label, which comes first in the list.
    assert among_best(truth, shares, 2).tolist() == [True, False, True]
    assert among_best(truth, shares, 3).all()


def test_merging_adds_up_probabilities() -> None:
    shares = np.array([[0.4, 0.35, 0.25], [0.1, 0.2, 0.7]])
    names, together, owner = merged(["Red", "Blue", "Navy Blue"], shares, {"Navy Blue": "Blue"})
    assert names == ["Red", "Blue"]
    np.testing.assert_allclose(together, [[0.4, 0.6], [0.1, 0.9]])
    assert owner.tolist() == [0, 1, 1]


def test_merging_labels_that_were_judged_alone_takes_the_most_probable() -> None:
    shares = np.array([[0.4, 0.9, 0.8], [0.1, 0.2, 0.7]])
    _, together, _ = merged(["Red", "Blue", "Navy Blue"], shares, {"Navy Blue": "Blue"}, is_sigmoid=True)
    np.testing.assert_allclose(together, [[0.4, 0.9], [0.1, 0.7]])


def test_interval_of_a_share_by_hand() -> None:
    # Wilson's for 2 of 10, as in the tables: 0.0567 to 0.5098.
    share, (low, high) = share_with_interval(np.array([True] * 2 + [False] * 8))
    assert (share, low, high) == pytest.approx((0.2, 0.0567, 0.5098), abs=1e-4)
    assert share_with_interval(np.array([True]))[1][0] < 0.5
