"""P-values, Holm's correction and power: cases worked by hand, and how often they err on simulated data."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from coordi.errors import EvaluationError
from coordi.evaluation.metrics import (
    FEW_OUTFITS,
    Resamples,
    exchange_p_value,
    holm,
    paired_p_value,
    percentile_interval,
    ranks,
    roc_auc,
    smallest_difference,
)


def test_p_value_by_hand() -> None:
    # 2 of 99 draws are at or below 0: 2 * (1 + 2) / (1 + 99).
    draws = np.array([-0.1, 0.0] + [0.2] * 97)
    assert paired_p_value(draws) == pytest.approx(0.06)
    assert paired_p_value(-draws) == pytest.approx(0.06)
    # Never 0, 1 where two scorers always agree, and without the draws that have no value.
    assert paired_p_value(np.ones(99)) == pytest.approx(0.02)
    assert paired_p_value(np.zeros(99)) == 1
    assert paired_p_value(np.array([1.0, 2.0, np.nan])) == pytest.approx(2 / 3)
    assert paired_p_value(np.array([1.0, np.nan, np.nan])) is None
    assert paired_p_value(np.zeros(0)) is None


def test_holm_by_hand() -> None:
    # Sorted .01 .02 .03 .04 times 4 3 2 1: .04 .06 .06 .04, and none below the one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []
    with pytest.raises(EvaluationError, match=r"got 1\.5"):
        holm([0.1, 1.5])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.2))
def test_holm_rejects_what_its_step_down_rule_rejects(p_values: list[float], level: float) -> None:
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    rejected: set[int] = set()
    for done, place in enumerate(order):
        if p_values[place] * (len(p_values) - done) > level:
            break
        rejected.add(place)
    corrected = holm(p_values)
    assert {place for place, p in enumerate(corrected) if p <= level} == rejected
    assert all(after >= before for before, after in zip(p_values, corrected, strict=True))


def test_smallest_difference_by_hand() -> None:
    # A standard deviation of 1 over two draws; 1.95996 + 0.84162 standard errors.
    draws = np.array([0.0, np.sqrt(2)])
    assert smallest_difference(draws) == pytest.approx(2.801585, abs=1e-6)
    assert smallest_difference(np.ones(100)) is None
    assert smallest_difference(np.array([1.0, 2.0, np.nan, np.nan, np.nan])) is None


def judged(quality: float, outfits: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Scores of a positive and a negative of each outfit; ``quality`` apart in standard deviations."""
    scores = rng.normal(size=2 * outfits)
    scores[::2] += quality
    return scores


def compared(first: float, second: float, outfits: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Resampled differences in AUC between scorers of two qualities."""
    labels = np.tile([True, False], outfits)
    resamples = Resamples([row // 2 for row in range(2 * outfits)], rng, 399)
    one, other = (judged(quality, outfits, rng) for quality in (first, second))
    return resamples.auc(one, labels) - resamples.auc(other, labels)


@pytest.mark.slow
def test_scorers_of_one_quality_are_told_apart_about_once_in_twenty() -> None:
    rng = np.random.default_rng(11)
    p_values = [paired_p_value(compared(0.8, 0.8, 80, rng)) for _ in range(400)]
    found = np.mean([p is not None and p <= 0.05 for p in p_values])
    # The standard error of a share of 5% in 400 is 1.1%.
    assert 0.02 <= found <= 0.085


def test_the_p_value_and_the_interval_agree() -> None:
    rng = np.random.default_rng(12)
    for quality in np.linspace(0.2, 1.4, 25):
        draws = compared(0.8, quality, 60, rng)
        interval, p_value = percentile_interval(draws), paired_p_value(draws)
        assert interval is not None
        assert p_value is not None
        if p_value < 0.04 or p_value > 0.06:
            assert (p_value <= 0.05) == (not interval[0] <= 0 <= interval[1])


@pytest.mark.slow
def test_the_smallest_difference_is_found_four_times_in_five() -> None:
    """Two scorers' accuracies on blanks, apart by what the spread of such differences calls the smallest."""
    rng = np.random.default_rng(13)
    outfits, base = 200, 0.4

    def differences(gap: float) -> NDArray[np.float64]:
        hits, others = rng.random(outfits) < base + gap, rng.random(outfits) < base
        resamples = Resamples(range(outfits), rng, 399)
        return resamples.share(hits) - resamples.share(others)

    gap = np.mean([smallest_difference(differences(0.0)) or 0 for _ in range(20)])
    # By theory 2.8016 standard errors of a difference of two independent shares.
    assert gap == pytest.approx(2.8016 * np.sqrt(2 * base * (1 - base) / outfits), rel=0.03)
    found = np.mean([(paired_p_value(differences(float(gap))) or 1) <= 0.05 for _ in range(300)])
    assert 0.73 <= found <= 0.88


@pytest.mark.slow
def test_intervals_of_five_outfits_are_too_narrow_and_those_of_fifty_are_not() -> None:
    """Why there is a warning below ``FEW_OUTFITS``."""
    rng = np.random.default_rng(14)
    truth = NormalDist().cdf(0.8 / np.sqrt(2))
    held = {}
    for outfits in (5, FEW_OUTFITS):
        labels = np.tile([True, False], outfits)
        groups = [row // 2 for row in range(2 * outfits)]
        intervals = [
            percentile_interval(Resamples(groups, rng, 299).auc(judged(0.8, outfits, rng), labels)) for _ in range(300)
        ]
        held[outfits] = np.mean([low <= truth <= high for low, high in filter(None, intervals)])
    assert held[5] < 0.88
    assert held[FEW_OUTFITS] > 0.9


def test_exchanges_by_hand() -> None:
    # Three outfits, one of them a tie: of 8 ways to exchange, the 4 in which both differences have one sign.
    one, other = np.array([1.0, 1.0, 0.0]), np.array([0.0, 0.0, 0.0])
    p_value = exchange_p_value(one, other, ["a", "b", "c"], np.mean, np.random.default_rng(1))
    assert p_value == 0.5
    assert exchange_p_value(one, one, ["a", "b", "c"], np.mean, np.random.default_rng(1)) == 1
    # Answers to one outfit are exchanged together.
    assert exchange_p_value(one, other, ["a", "a", "b"], np.mean, np.random.default_rng(1)) == 1


def test_a_small_difference_of_few_queries_is_not_significant() -> None:
    """Eight queries, of which two have a slightly better rank; the bootstrap called a like difference p = 0.03."""
    ranks = np.array([1, 3, 2, 1, 5, 1, 2, 8])
    better = ranks - np.array([0, 1, 0, 0, 1, 0, 0, 0])
    p_value = exchange_p_value(1 / better, 1 / ranks, range(8), np.mean, np.random.default_rng(1))
    assert p_value == 0.5


@pytest.mark.slow
def test_equal_scorers_of_few_outfits_are_told_apart_no_more_often_than_the_level() -> None:
    rng = np.random.default_rng(12)
    labels = np.tile([True, False], 8)
    groups = np.repeat(np.arange(8), 2).tolist()
    p_values = []
    for _ in range(200):
        truth = rng.normal(size=16) + labels
        one, other = (ranks(truth + rng.normal(size=16)) for _ in range(2))
        p_values.append(exchange_p_value(one, other, groups, lambda rows: roc_auc(rows, labels), rng))
    assert np.mean(np.array(p_values) < 0.05) < 0.1
