"""Resampling by outfit: equal to the slow definition, cases worked by hand, and intervals as theory has them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from coordi.errors import EvaluationError
from coordi.evaluation import metrics
from coordi.evaluation.metrics import Resamples, percentile_interval

EXAMPLES = settings(max_examples=20, deadline=None)


def slowly(
    statistic: Callable[[NDArray[np.intp]], float], groups: list[int], seed: int, count: int
) -> NDArray[np.float64]:
    """The definition: draw outfits, take all their questions, as often as drawn, and ask the metric."""
    rng = np.random.default_rng(seed)
    names = list(dict.fromkeys(groups))
    rows_of = {name: [row for row, group in enumerate(groups) if group == name] for name in names}
    values = []
    for _ in range(count):
        drawn = [names[number] for number in rng.integers(len(names), size=len(names))]
        rows = np.array([row for name in drawn for row in rows_of[name]])
        try:
            values.append(statistic(rows))
        except EvaluationError:
            values.append(np.nan)
    return np.array(values)


@EXAMPLES
@given(st.data())
@pytest.mark.slow
def test_all_draws_at_once_equal_the_slow_definition(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 30))
    groups = data.draw(st.lists(st.integers(0, 8), min_size=size, max_size=size))
    labels = data.draw(arrays(np.bool_, size))
    scores = data.draw(arrays(np.float64, size, elements=st.sampled_from([0.1, 0.2, 0.3, 0.7]) | st.floats(0, 1)))
    ranks = data.draw(arrays(np.int64, size, elements=st.integers(1, 30)))
    predicted = scores >= 0.3
    draws = Resamples(groups, np.random.default_rng(9), 15)
    pairs: list[tuple[NDArray[np.float64], Callable[[NDArray[np.intp]], float]]] = [
        (draws.auc(scores, labels), lambda rows: metrics.roc_auc(scores[rows], labels[rows])),
        (draws.share(predicted == labels), lambda rows: metrics.accuracy(predicted[rows], labels[rows])),
        (draws.f1(predicted, labels), lambda rows: metrics.f1(predicted[rows], labels[rows])),
        (draws.share(predicted), lambda rows: float(np.mean(predicted[rows]))),
        (draws.share(ranks <= 5), lambda rows: metrics.recall_at(ranks[rows], 5)),
        (draws.mean_reciprocal_rank(ranks), lambda rows: metrics.mean_reciprocal_rank(ranks[rows])),
    ]
    for fast, slow in pairs:
        np.testing.assert_allclose(fast, slowly(slow, groups, 9, 15), atol=1e-12, rtol=0)


def test_blocks_of_draws_are_the_same_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    groups, labels, scores = list(range(50)), rng.random(50) < 0.5, rng.random(50)
    whole = Resamples(groups, np.random.default_rng(0), 100).auc(scores, labels)
    monkeypatch.setattr(metrics, "_BLOCK", 1)
    monkeypatch.setattr(metrics, "_LEAST_WIDTH", 7)
    assert Resamples(groups, np.random.default_rng(0), 100).auc(scores, labels).tolist() == whole.tolist()


def test_interval_by_hand() -> None:
    # Two outfits, one right and one wrong: a draw's share is 0, 0.5 or 1 with chances 1/4, 1/2, 1/4.
    draws = Resamples(["a", "b"], np.random.default_rng(0)).share(np.array([False, True]))
    assert set(draws) == {0, 0.5, 1}
    assert percentile_interval(draws) == (0, 1)
    # Of 0, 1, ..., 200 the 2.5th percentile is 5 and the 97.5th is 195.
    assert percentile_interval(np.arange(201.0)) == (5, 195)


def test_interval_matches_the_normal_theory_of_a_share() -> None:
    hits = np.random.default_rng(1).random(400) < 0.7
    interval = percentile_interval(Resamples(range(400), np.random.default_rng(2), 4000).share(hits))
    half = 1.96 * np.sqrt(np.mean(hits) * (1 - np.mean(hits)) / 400)
    assert interval == pytest.approx((np.mean(hits) - half, np.mean(hits) + half), abs=0.005)


def test_repeating_questions_within_outfits_narrows_nothing() -> None:
    """An interval by question would shrink when every question is asked twice; by outfit it stays as it is."""
    hits = np.random.default_rng(1).random(60) < 0.5
    once = Resamples(range(60), np.random.default_rng(4)).share(hits)
    twice = Resamples([i // 2 for i in range(120)], np.random.default_rng(4)).share(np.repeat(hits, 2))
    assert once.tolist() == twice.tolist()


def test_the_same_state_gives_the_same_draws() -> None:
    hits = np.arange(10) < 4
    draws = [Resamples(range(10), np.random.default_rng(seed)).share(hits).tolist() for seed in (7, 7, 8)]
    assert draws[0] == draws[1] != draws[2]


def test_draws_of_one_class_have_no_auc_and_are_left_out_unless_they_are_most() -> None:
    labels, scores = np.array([True, False]), np.array([0.9, 0.1])
    # Whole outfits hold both classes; two outfits of one class each are drawn together half of the time.
    assert percentile_interval(Resamples(["a", "a"], np.random.default_rng(0)).auc(scores, labels)) == (1, 1)
    apart = Resamples(["a", "b"], np.random.default_rng(0)).auc(scores, labels)
    assert 350 < np.isnan(apart).sum() < 650
    assert percentile_interval(np.array([np.nan, 1, 2])) == pytest.approx((1.025, 1.975))
    assert percentile_interval(np.array([np.nan, np.nan, 2])) is None


@pytest.mark.parametrize(("groups", "count"), [([], 1000), (["a"], 0)])
def test_nothing_to_draw_is_refused(groups: list[str], count: int) -> None:
    with pytest.raises(EvaluationError, match=f"got {len(groups)} and {count}"):
        Resamples(groups, np.random.default_rng(0), count)
