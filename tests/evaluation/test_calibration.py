"""Calibration: cases worked by hand, agreement with scikit-learn, and scores that make a fit go wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from coordi.errors import EvaluationError
from coordi.evaluation.metrics import brier, calibrated_error, expected_calibration_error, fit_platt, reliability

EXAMPLES = settings(max_examples=50, deadline=None)
YES_NO = np.array([True, False, True, False])

Calibrated = tuple[NDArray[np.float64], NDArray[np.bool_]]


@st.composite
def calibrated(draw: st.DrawFn) -> Calibrated:
    """Probabilities with many ties or with few, and labels of both classes."""
    size = draw(st.integers(2, 80))
    values = draw(st.sampled_from([st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1)]))
    labels = draw(arrays(np.bool_, size))
    labels[:2] = [True, False]
    return draw(arrays(np.float64, size, elements=values)), labels


def test_brier_by_hand() -> None:
    # (0.1^2 + 0.4^2 + 0.8^2 + 0) / 4
    assert brier(np.array([0.9, 0.4, 0.2, 0.0]), YES_NO) == pytest.approx(0.81 / 4, abs=1e-15)
    assert brier(np.full(4, 0.5), YES_NO) == 0.25


def test_error_of_calibrated_probabilities_is_the_mean_of_draws() -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.beta(2, 1, 600)
    errors = [expected_calibration_error(probabilities, rng.random(600) < probabilities) for _ in range(400)]
    assert calibrated_error(probabilities) == pytest.approx(np.mean(errors), rel=0.05)
    assert calibrated_error(np.array([0.0, 1.0, 1.0])) == 0


def test_reliability_and_calibration_error_by_hand() -> None:
    probabilities = np.array([0.9, 0.4, 0.2, 0.0])
    low, high = reliability(probabilities, YES_NO, 2)
    assert (low.low, low.high, low.n, low.mean_probability, low.share_compatible) == (0, 0.2, 2, 0.1, 0.5)
    assert (high.low, high.high, high.n, high.mean_probability, high.share_compatible) == (0.4, 0.9, 2, 0.65, 0.5)
    assert expected_calibration_error(probabilities, YES_NO, 2) == pytest.approx((2 * 0.4 + 2 * 0.15) / 4, abs=1e-15)
    # One bin sees the means only: 0.375 was calibrated and a half came true.
    assert expected_calibration_error(probabilities, YES_NO, 1) == pytest.approx(0.125, abs=1e-15)
    assert expected_calibration_error(np.array([1, 0, 1, 0.0]), YES_NO, 2) == 0


def test_equal_probabilities_share_a_bin_whatever_their_order() -> None:
    probabilities = np.array([0.3, 0.3, 0.3, 0.3, 0.3, 0.9])
    labels = np.array([True, False, True, False, False, True])
    assert [one.n for one in reliability(probabilities, labels, 3)] == [5, 1]
    turned = reliability(probabilities[::-1], labels[::-1], 3)
    assert turned == reliability(probabilities, labels, 3)
    assert [one.n for one in reliability(np.full(6, 0.5), labels, 10)] == [6]


def test_bins_are_of_equal_mass() -> None:
    probabilities = np.random.default_rng(0).random(1000) ** 4
    labels = np.arange(1000) % 2 == 0
    assert {one.n for one in reliability(probabilities, labels, 10)} == {100}


@EXAMPLES
@given(calibrated(), st.integers(2, 15))
def test_agreement_with_scikit_learn(drawn: Calibrated, bins: int) -> None:
    probabilities, labels = drawn
    assert brier(probabilities, labels) == pytest.approx(brier_score_loss(labels, probabilities), abs=1e-12)
    shares, means = calibration_curve(labels, probabilities, n_bins=bins, strategy="quantile")
    curve = reliability(probabilities, labels, bins)
    np.testing.assert_allclose([one.share_compatible for one in curve], shares, atol=1e-12)
    np.testing.assert_allclose([one.mean_probability for one in curve], means, atol=1e-12)
    assert sum(one.n for one in curve) == len(labels)


@pytest.mark.parametrize("seed", range(4))
def test_platt_agrees_with_scikit_learn_on_smoothed_targets(seed: int) -> None:
    """A target of t is a positive of weight t and a negative of weight 1 - t."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(20, 200))
    labels = rng.random(size) < 0.4
    labels[:2] = [True, False]
    scores = rng.normal(size=size) * 10.0 ** rng.integers(-2, 3) + labels * rng.normal() + 5
    positives, negatives = labels.sum(), (~labels).sum()
    targets = np.where(labels, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    theirs = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12).fit(
        np.tile(scores, 2)[:, None], np.repeat([1, 0], size), np.concatenate([targets, 1 - targets])
    )
    wanted = theirs.predict_proba(scores[:, None])[:, 1]
    np.testing.assert_allclose(fit_platt(scores, labels).probabilities(scores), wanted, atol=1e-6)


def test_platt_gives_back_the_curve_that_made_the_labels() -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(2, 3, size=40_000)
    labels = rng.random(len(scores)) < 1 / (1 + np.exp(-(0.7 * scores - 1)))
    fitted = fit_platt(scores, labels)
    slope = fitted.slope / fitted.spread
    assert slope == pytest.approx(0.7, abs=0.03)
    assert fitted.intercept - slope * fitted.centre == pytest.approx(-1, abs=0.05)


def test_platt_stays_finite_where_scores_part_the_classes() -> None:
    scores = np.array([0.1, 0.2, 0.8, 0.9])
    labels = np.array([False, False, True, True])
    fitted_values = fit_platt(scores, labels).probabilities(scores)
    # Two of each class: targets of 1/4 and 3/4. Where the loss is lowest its two derivatives are 0.
    over = fitted_values - np.array([0.25, 0.25, 0.75, 0.75])
    assert over.sum() == pytest.approx(0, abs=1e-10)
    assert over @ scores == pytest.approx(0, abs=1e-10)
    assert (np.diff(fitted_values) > 0).all()
    wide = fit_platt(np.repeat(scores, 500), np.repeat(labels, 500)).probabilities(scores)
    assert wide[0] < 0.01
    assert wide[3] > 0.99


def test_platt_of_scores_that_never_vary_is_the_share_of_the_smoothed_targets() -> None:
    labels = np.array([True, True, True, False, True, True])
    scores = np.full(6, 0.1)
    assert np.std(scores) > 0  # by a rounding of the mean
    fitted = fit_platt(scores, labels)
    # Targets of 6/7 five times and 1/3 once.
    assert fitted.slope == 0
    assert fitted.probabilities(np.array([-1e9, 0.1, 1e9])) == pytest.approx((5 * 6 / 7 + 1 / 3) / 6)


def test_platt_turns_scores_that_point_the_wrong_way() -> None:
    fitted = fit_platt(np.array([0.9, 0.1, 0.8, 0.3]), ~YES_NO)
    assert fitted.slope < 0


@EXAMPLES
@given(
    arrays(np.float64, st.integers(2, 40), elements=st.floats(-1e12, 1e12)),
    arrays(np.float64, 10, elements=st.floats(-1e15, 1e15)),
    st.integers(0, 2**32),
)
def test_platt_always_gives_probabilities_in_the_scores_order(
    scores: NDArray[np.float64], others: NDArray[np.float64], seed: int
) -> None:
    labels = np.random.default_rng(seed).random(len(scores)) < 0.5
    labels[:2] = [True, False]
    fitted = fit_platt(scores, labels)
    fitted_values = fitted.probabilities(np.sort(others))
    assert ((fitted_values >= 0) & (fitted_values <= 1)).all()
    assert (np.diff(fitted_values) * np.sign(fitted.slope) >= -1e-15).all()  # the last bit is the logarithm's rounding


@pytest.mark.parametrize("scale", [1e-290, 1e-100, 1e100, 1e150, 1e307])
def test_the_scale_of_scores_has_no_say(scale: float) -> None:
    rng = np.random.default_rng(7)
    labels = np.arange(60) % 2 == 0
    scores = np.clip(rng.normal(size=60) + labels, -10, 10)
    plain = fit_platt(scores, labels).probabilities(scores)
    np.testing.assert_allclose(fit_platt(scores * scale, labels).probabilities(scores * scale), plain, atol=1e-9)
    assert np.ptp(plain) > 0.5


def test_one_score_far_from_the_others_flattens_the_curve_and_breaks_nothing() -> None:
    scores = np.array([0.1, 0.2, 0.8, 1e100])
    fitted = fit_platt(scores, np.array([False, False, True, True]))
    fitted_values = fitted.probabilities(np.array([-1e100, 0.1, 0.8, 1e100]))
    assert ((fitted_values > 0) & (fitted_values < 1)).all()
    assert fitted_values[1] == fitted_values[2]
    assert fitted_values[3] > 0.6


def test_scores_too_far_for_a_float_are_as_sure_as_can_be() -> None:
    scores = np.array([0.1, 0.2, 0.8, 0.9]) * 1e-290
    far = np.array([-1e308, 1e308])
    assert fit_platt(scores, np.array([False, False, True, True])).probabilities(far) == pytest.approx([0, 1])
    # As many of each class at both scores: a slope of 0, which infinity has no product with.
    level = fit_platt(scores[[0, 0, 3, 3]], YES_NO)
    assert level.probabilities(far) == pytest.approx(0.5)
    # Differences that floats hold in a few bits alone aren't read.
    assert fit_platt(np.array([0, 5e-324, 0, 5e-324]), YES_NO).slope == 0


def test_calibrating_lowers_the_error_of_a_score_that_is_sure_too_often() -> None:
    rng = np.random.default_rng(5)
    truth = rng.random(4000)
    labels = rng.random(4000) < truth
    bold = truth**3 / (truth**3 + (1 - truth) ** 3)
    log_odds = np.log(bold / (1 - bold))
    fitted_values = fit_platt(log_odds[:2000], labels[:2000]).probabilities(log_odds[2000:])
    assert expected_calibration_error(bold[2000:], labels[2000:]) > 0.1
    assert expected_calibration_error(fitted_values, labels[2000:]) < 0.05


REFUSALS: list[tuple[Callable[[], Any], str]] = [
    (lambda: brier(np.array([0.1, 1.5, 0, -1]), YES_NO), r"2 of 4 probabilities aren't between 0 and 1, such as 1\.5"),
    (lambda: brier(np.zeros(3), YES_NO), r"got \(3,\) and \(4,\)"),
    (lambda: expected_calibration_error(np.array([0.1, np.nan, 0, 1]), YES_NO), "1 of 4 probabilities .* nan"),
    (lambda: reliability(np.zeros(0), np.zeros(0, bool)), "no questions to measure on, got 0"),
    (lambda: reliability(np.zeros(4), YES_NO, 0), "got 0"),
    (lambda: fit_platt(np.array([1, 2, np.inf, 3]), YES_NO), "1 of 4 scores aren't finite, such as inf"),
]


@pytest.mark.parametrize(("call", "message"), REFUSALS)
def test_refusals_name_the_value(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        call()
