from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from coordi.data.leak_scores import auc, chance_spread, held_out_auc, position_features


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


def test_naive_bayes_learns_on_one_half_and_is_tested_on_the_other() -> None:
    positive = np.array([True, False] * 20)
    learned = np.arange(40) < 20
    telling = np.stack([positive, ~positive], axis=1).astype(float)
    assert held_out_auc(telling, positive, learned) == 1.0
    turned = np.where(learned[:, None], telling, 1 - telling)
    assert held_out_auc(turned, positive, learned) == 0.0
    assert held_out_auc(np.ones((40, 2)), positive, learned) == 0.5


def test_positions_are_counted_from_both_ends() -> None:
    features = position_features([["top", "shoes", "bag"], ["top", "bag"]])
    assert features.shape == (2, 2 * 3 * 3)
    assert features.sum(axis=1).tolist() == [6, 4]
    both = features.reshape(2, 2, 3, 3)
    assert (both[:, 1, 0] == both[:, 1, 0][0]).all()
