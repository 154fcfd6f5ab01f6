from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from coordi.data.leak_tests import (
    auc,
    binomial_tail,
    cross_fitted_auc,
    normal_tail,
    sign_flip_p,
)


def test_auc_by_hand() -> None:
    positive = np.array([True, True, False, False])
    assert auc(np.array([3.0, 1.0, 2.0, 0.0]), positive) == pytest.approx(0.75)
    assert auc(np.array([1.0, 1.0, 1.0, 0.0]), positive) == pytest.approx(0.75)
    assert auc(np.zeros(4), positive) == 0.5
    assert auc(np.array([1.0, 2.0]), np.array([True, True])) == 0.5


@settings(deadline=None, max_examples=40)
@given(arrays(np.int64, 30, elements=st.integers(0, 6)), arrays(np.bool_, 30))
def test_auc_agrees_with_scikit_learn(scores: npt.NDArray[np.int64], positive: npt.NDArray[np.bool_]) -> None:
    if positive.all() or not positive.any():
        assert auc(scores.astype(float), positive) == 0.5
        return
    metrics = pytest.importorskip("sklearn.metrics")
    assert auc(scores.astype(float), positive) == pytest.approx(metrics.roc_auc_score(positive, scores))


def test_tails_by_hand_and_against_scipy() -> None:
    assert normal_tail(0) == 0.5
    assert normal_tail(1.959964) == pytest.approx(0.025, rel=1e-5)
    assert binomial_tail(2, 2, 0.25) == pytest.approx(1 / 16)
    assert binomial_tail(1, 2, 0.25) == pytest.approx(7 / 16)
    assert binomial_tail(0, 2, 0.25) == 1.0
    stats = pytest.importorskip("scipy.stats")
    for wins, questions, chance in ((70, 200, 0.25), (9, 64, 1 / 30), (5100, 10_000, 0.5)):
        assert binomial_tail(wins, questions, chance) == pytest.approx(
            float(stats.binom.sf(wins - 1, questions, chance)), rel=1e-6
        )


def test_what_an_outfit_and_its_negative_share_adds_no_spread() -> None:
    """By hand: of each pair the positive is 2 above its negative but once, whatever the pair's own level."""
    levels = np.repeat([10.0, 500.0, -70.0, 0.0], 2)
    values = levels + np.array([2, 0, 2, 0, 2, 0, 0, 2])
    positive, groups = np.arange(8) % 2 == 0, np.repeat(np.arange(4), 2)
    assert sign_flip_p(values, positive, groups) == pytest.approx(2 * normal_tail((2 + 2 + 2 - 2) / math.sqrt(4 * 4)))
    assert sign_flip_p(np.ones(8), positive, groups) == 1.0


def test_the_p_value_is_that_of_swapping_the_answers_within_groups() -> None:
    generator = np.random.default_rng(5)
    positive, groups = np.tile([True, False], 60), np.repeat(np.arange(60), 2)
    values = generator.random(120) + 0.12 * positive
    apart = values[::2] - values[1::2]
    sums = (generator.choice([-1, 1], (40_000, 60)) * apart).sum(axis=1)
    expected = np.mean(np.abs(sums) >= abs(apart.sum()))
    assert 0.005 < expected < 0.5
    assert sign_flip_p(values, positive, groups) == pytest.approx(float(expected), rel=0.1)


def test_a_group_that_comes_often_counts_once() -> None:
    generator = np.random.default_rng(6)
    positive = np.arange(400) % 2 == 0
    scores = generator.random(400)
    once = sign_flip_p(scores, positive, np.arange(400) // 2)
    often = sign_flip_p(np.tile(scores, 25), np.tile(positive, 25), np.tile(np.arange(400) // 2, 25))
    assert often == pytest.approx(once)


def _marks(telling: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return np.arange(len(telling)), telling.astype(np.int64)


def test_naive_bayes_learns_on_one_half_and_is_tested_on_the_other() -> None:
    positive, halves = np.array([True, False] * 20), np.arange(40) < 20
    assert cross_fitted_auc(*_marks(positive), positive, halves) == 1.0
    assert cross_fitted_auc(*_marks(np.where(halves, positive, ~positive)), positive, halves) == 0.0
    assert cross_fitted_auc(*_marks(np.ones(40, dtype=bool)), positive, halves) == 0.5
    assert cross_fitted_auc(*_marks(positive), positive, positive) == 0.5  # no half has both answers


def test_naive_bayes_counts_a_mark_once_and_agrees_with_scikit_learn() -> None:
    bayes = pytest.importorskip("sklearn.naive_bayes")
    generator = np.random.default_rng(7)
    positive, halves = generator.random(300) < 0.4, np.arange(300) % 3 == 0
    features = generator.random((300, 12)) < 0.2 + 0.3 * positive[:, None] * generator.random(12)
    rows, marks = np.nonzero(features)
    twice = np.concatenate([rows, rows]), np.concatenate([marks, marks])
    expected = []
    for learned in (halves, ~halves):
        model = bayes.BernoulliNB(fit_prior=False).fit(features[learned], positive[learned])
        expected.append(auc(model.predict_proba(features[~learned])[:, 1], positive[~learned]))
    weighted = np.average(expected, weights=[(~halves).sum(), halves.sum()])
    assert cross_fitted_auc(*twice, positive, halves) == pytest.approx(float(weighted), abs=1e-3)


def test_order_counts_who_stands_first_and_not_who_is_there() -> None:
    positive, halves = np.array([True, False] * 20), np.arange(40) < 20
    rows = np.arange(40)
    opposite = np.array([1, 0, 3, 2])  # "0 before 1" and the reverse, "2 before 3" and the reverse
    assert cross_fitted_auc(rows, np.where(positive, 0, 1), positive, halves, opposite) == 1.0
    # The first pair only in positives, the second only in negatives, either way round as often: presence tells nothing.
    ways = itertools.cycle([0, 2, 1, 3])
    assert cross_fitted_auc(rows, np.array([next(ways) for _ in range(40)]), positive, halves, opposite) == 0.5
    nothing = np.zeros(0, dtype=np.int64)
    assert cross_fitted_auc(nothing, nothing, positive, halves, opposite) == 0.5
