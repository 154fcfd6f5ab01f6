from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from coordi.data.leaks import (
    auc,
    binomial_tail,
    chance_spread,
    deviations,
    held_out_auc,
    held_out_order_auc,
    normal_tail,
    ranks,
)


def test_auc_by_hand() -> None:
    positive = np.array([True, True, False, False])
    assert auc(np.array([3.0, 1.0, 2.0, 0.0]), positive) == pytest.approx(0.75)
    assert auc(np.array([1.0, 1.0, 1.0, 0.0]), positive) == pytest.approx(0.75)
    assert auc(np.zeros(4), positive) == 0.5
    assert auc(np.array([1.0, 2.0]), np.array([True, True])) == 0.5


@settings(deadline=None)
@given(arrays(np.int64, 30, elements=st.integers(0, 6)), arrays(np.bool_, 30))
def test_auc_agrees_with_scikit_learn(scores: npt.NDArray[np.int64], positive: npt.NDArray[np.bool_]) -> None:
    if positive.all() or not positive.any():
        assert auc(scores.astype(float), positive) == 0.5
        return
    metrics = pytest.importorskip("sklearn.metrics")
    assert auc(scores.astype(float), positive) == pytest.approx(metrics.roc_auc_score(positive, scores))


def test_the_spread_of_chance_is_that_of_random_scores() -> None:
    generator = np.random.default_rng(3)
    positive = np.arange(60) % 3 == 0
    drawn = [auc(generator.random(60), positive) for _ in range(3000)]
    assert chance_spread(positive) == pytest.approx(float(np.std(drawn)), rel=0.05)


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


def test_deviations_of_questions_that_stand_alone_are_those_of_mann_and_whitney() -> None:
    generator = np.random.default_rng(5)
    positive = generator.random(4000) < 0.5
    scores = generator.random(4000) + 0.05 * positive
    classic = (auc(scores, positive) - 0.5) / chance_spread(positive)
    assert deviations(ranks(scores), positive, np.arange(4000)) == pytest.approx(classic, rel=0.03)


def test_what_an_outfit_and_its_negative_share_adds_no_spread() -> None:
    """By hand: of each pair the positive is 2 above its negative but once, whatever the pair's own level."""
    levels = np.repeat([10.0, 500.0, -70.0, 0.0], 2)
    values = levels + np.array([2, 0, 2, 0, 2, 0, 0, 2])
    positive, groups = np.arange(8) % 2 == 0, np.repeat(np.arange(4), 2)
    assert deviations(values, positive, groups) == pytest.approx((2 + 2 + 2 - 2) / math.sqrt(4 * 4))
    assert deviations(np.ones(8), positive, groups) == 0.0


def test_a_group_that_comes_often_counts_once() -> None:
    generator = np.random.default_rng(6)
    positive = np.arange(400) % 2 == 0
    scores = generator.random(400)
    once = deviations(ranks(scores), positive, np.arange(400) // 2)
    often = deviations(ranks(np.tile(scores, 25)), np.tile(positive, 25), np.tile(np.arange(400) // 2, 25))
    assert often == pytest.approx(once)


def _marks(telling: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return np.arange(len(telling)), telling.astype(np.int64)


def test_naive_bayes_learns_on_one_half_and_is_tested_on_the_other() -> None:
    positive, halves = np.array([True, False] * 20), np.arange(40) < 20
    assert held_out_auc(*_marks(positive), positive, halves) == 1.0
    assert held_out_auc(*_marks(np.where(halves, positive, ~positive)), positive, halves) == 0.0
    assert held_out_auc(*_marks(np.ones(40, dtype=bool)), positive, halves) == 0.5
    assert held_out_auc(*_marks(positive), positive, positive) == 0.5  # no half has both answers


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
    assert held_out_auc(*twice, positive, halves) == pytest.approx(float(weighted), abs=1e-3)


def test_order_counts_who_stands_first_and_not_who_is_there() -> None:
    positive, halves = np.array([True, False] * 20), np.arange(40) < 20
    rows = np.arange(40)
    ordered = np.where(positive[:, None], [0, 1], [1, 0])
    assert held_out_order_auc(rows, ordered, positive, halves) == 1.0
    # Labels 0 and 1 only in positives, 2 and 3 only in negatives, either way round as often: presence tells nothing.
    ways = itertools.cycle([[0, 1], [2, 3], [1, 0], [3, 2]])
    present = np.array([next(ways) for _ in range(40)])
    assert held_out_order_auc(rows, present, positive, halves) == 0.5
    nothing = np.zeros(0, dtype=np.int64), np.zeros((0, 2), dtype=np.int64)
    assert held_out_order_auc(*nothing, positive, halves) == 0.5
