"""Whether a score can be read as a probability: Platt scaling, Brier score, reliability and calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coordi.errors import EvaluationError

_MOST_STEPS = 100
# Of the gradient of the mean loss, whose scale is that of a probability.
_TOLERANCE = 1e-12
# Lets a score that never varies through: its slope stays 0.
_RIDGE = 1e-12
# A shorter one lowers the loss by less than floats can tell.
_SHORTEST_STEP = 1e-10
# Standard deviations from the centre; further ones are as sure, and infinity times a slope of 0 has no value.
_FURTHEST = 1e300


@dataclass(frozen=True, slots=True)
class PlattScaling:
    """A logistic curve from scores to probabilities: ``1 / (1 + exp(-(slope (score - centre) / spread + intercept)))``.

    Attributes:
        slope: Log odds by standard deviation of the scores. Negative if higher scores went with incompatible outfits
            where it was fitted; 0 if scores didn't vary.
        intercept: Log odds at ``centre``.
        centre: The mean score it was fitted on.
        spread: Their standard deviation; 1 if they didn't vary.
    """

    slope: float
    intercept: float
    centre: float
    spread: float

    def probabilities(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """The probability that an outfit goes together, of each score; same shape, in ``[0, 1]``."""
        with np.errstate(over="ignore"):  # what is too far away for a float is as sure as can be
            steps = np.clip((scores.astype(np.float64) - self.centre) / self.spread, -_FURTHEST, _FURTHEST)
            return _logistic(self.slope * steps + self.intercept)


def fit_platt(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> PlattScaling:
    """Fit the curve by Newton's method, with Platt's smoothed targets.

    With P positives and N negatives the targets are ``(P + 1) / (P + 2)`` and ``1 / (N + 2)`` instead of 1 and 0. They
    keep the curve finite where scores part the classes without fault, so no penalty is needed.

    Scores are standardised, so their scale has no say, from 1e-300 to the largest float. One score that lies very far
    from the others flattens the curve for these: that is the best curve there is, not a fault of the fit.

    Args:
        scores: Of validation questions, shape ``(V,)``; never of the test questions that are measured.
        labels: The truth, shape ``(V,)``.

    Raises:
        EvaluationError: If the shapes disagree, ``V`` is 0 or a score isn't finite.

    References:
        Platt, Probabilistic Outputs for Support Vector Machines, 1999; Lin, Lin and Weng, A Note on Platt's
        Probabilistic Outputs for Support Vector Machines, 2007 (the line search).
    """
    _check(scores, labels, "scores")
    # By a power of two, which rounds nothing: the square of a score may be beyond all floats.
    _, exponent = np.frexp(np.max(np.abs(scores.astype(np.float64))))
    scaled = np.ldexp(scores.astype(np.float64), -exponent)  # (V,) in [-1, 1]
    centre = float(np.mean(scaled))
    # The mean of equal scores may be off by a rounding, which isn't a difference to read anything into.
    spread = float(np.std(scaled)) if scaled.min() < scaled.max() else 0.0
    if np.ldexp(spread, exponent) < np.finfo(np.float64).tiny:
        spread = 0.0
    inputs = (scaled - centre) / (spread or np.inf)  # (V,)
    positives, negatives = int(np.sum(labels)), int(np.sum(~labels))
    targets = np.where(labels, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    slope, intercept = _newton(inputs, targets, float(np.log((positives + 1) / (negatives + 1))))
    widened = float(np.ldexp(spread, exponent)) if spread else 1.0
    return PlattScaling(slope, intercept, float(np.ldexp(centre, exponent)), widened)


def brier(probabilities: NDArray[np.floating], labels: NDArray[np.bool_]) -> float:
    """Mean squared distance of probabilities from what came true: 0 at best, 0.25 for always a half, 1 at worst.

    Args:
        probabilities: That outfits go together, shape ``(N,)``.
        labels: The truth, shape ``(N,)``.

    Raises:
        EvaluationError: If the shapes disagree, ``N`` is 0, or a value isn't in ``[0, 1]``.

    References:
        Brier, Verification of Forecasts Expressed in Terms of Probability, 1950.
    """
    _check_probabilities(probabilities, labels)
    return float(np.mean((probabilities - labels) ** 2))


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Questions of about the same probability.

    Attributes:
        low: Lowest probability among them.
        high: Highest.
        n: How many they are, 1 or more.
        mean_probability: What was said on average.
        share_compatible: What came true.
    """

    low: float
    high: float
    n: int
    mean_probability: float
    share_compatible: float


def reliability(
    probabilities: NDArray[np.floating], labels: NDArray[np.bool_], bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """The reliability curve in bins of equal mass, from the lowest probability up.

    Edges are the quantiles ``1/bins, 2/bins, ...`` of the probabilities, interpolated between neighbours; one that lies
    on an edge belongs below it. Equal probabilities share a bin, so ties make bins uneven, and a bin that they leave
    empty is left out.

    Args:
        probabilities: That outfits go together, shape ``(N,)``.
        labels: The truth, shape ``(N,)``.
        bins: 1 or more.

    Raises:
        EvaluationError: If the shapes disagree, ``N`` is 0, a value isn't in ``[0, 1]`` or ``bins`` is below 1.

    References:
        scikit-learn's ``calibration_curve`` with the strategy ``quantile`` has the same bins.
    """
    _check_probabilities(probabilities, labels)
    if bins < 1:
        raise EvaluationError(f"a reliability curve needs 1 bin or more, got {bins}")
    edges = np.percentile(probabilities, 100 * np.linspace(0, 1, bins + 1)[1:-1])
    bin_of = np.searchsorted(edges, probabilities, side="left")  # (N,)
    return tuple(_bin(probabilities[bin_of == number], labels[bin_of == number]) for number in np.unique(bin_of))


def expected_calibration_error(probabilities: NDArray[np.floating], labels: NDArray[np.bool_], bins: int = 10) -> float:
    """How far probabilities are from what comes true: the gap of each bin of ``reliability``, weighted by its size.

    Bins are of equal mass, which is less biased than bins of equal width. What bias is left is upwards: with few
    questions in a bin even true probabilities have a gap.

    Args:
        probabilities: That outfits go together, shape ``(N,)``.
        labels: The truth, shape ``(N,)``.
        bins: 1 or more.

    Returns:
        In ``[0, 1]``; 0 where each bin comes true as often as it says.

    Raises:
        EvaluationError: As ``reliability``.

    References:
        Naeini, Cooper and Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning, 2015; Guo et al.,
        On Calibration of Modern Neural Networks, 2017; Roelofs et al., Mitigating Bias in Calibration Error
        Estimation, 2022 (equal mass).
    """
    gaps = [
        one.n * abs(one.mean_probability - one.share_compatible) for one in reliability(probabilities, labels, bins)
    ]
    return float(sum(gaps) / len(labels))


def _bin(probabilities: NDArray[np.floating], labels: NDArray[np.bool_]) -> ReliabilityBin:
    return ReliabilityBin(
        float(probabilities.min()),
        float(probabilities.max()),
        len(labels),
        float(np.mean(probabilities)),
        float(np.mean(labels)),
    )


def _newton(inputs: NDArray[np.float64], targets: NDArray[np.float64], intercept: float) -> tuple[float, float]:
    """Slope and intercept with the lowest mean cross-entropy, which is convex; the targets keep them finite."""
    slope = 0.0
    loss = _loss(intercept + slope * inputs, targets)
    for _ in range(_MOST_STEPS):
        probabilities = _logistic(intercept + slope * inputs)
        errors, weights = probabilities - targets, probabilities * (1 - probabilities)
        gradient = np.array([np.mean(errors * inputs), np.mean(errors)])
        if np.max(np.abs(gradient)) < _TOLERANCE:
            break
        mixed = np.mean(weights * inputs)
        curvature = np.array([[np.mean(weights * inputs**2) + _RIDGE, mixed], [mixed, np.mean(weights) + _RIDGE]])
        step = np.linalg.solve(curvature, gradient)
        size, promised = 1.0, 1e-4 * float(gradient @ step)
        while True:
            tried = slope - size * float(step[0]), intercept - size * float(step[1])
            lower = _loss(tried[1] + tried[0] * inputs, targets)
            if lower <= loss - size * promised:
                break
            size /= 2
            if size < _SHORTEST_STEP:
                return slope, intercept
        (slope, intercept), loss = tried, lower
    return slope, intercept


def _loss(log_odds: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    return float(np.mean(np.logaddexp(0, log_odds) - targets * log_odds))


def _logistic(log_odds: NDArray[np.floating]) -> NDArray[np.float64]:
    probabilities: NDArray[np.float64] = np.exp(-np.logaddexp(0, -log_odds.astype(np.float64)))
    return probabilities


def _check(values: NDArray[np.floating], labels: NDArray[np.bool_], name: str) -> None:
    if values.shape != labels.shape or values.ndim != 1 or not len(labels):
        raise EvaluationError(
            f"{name} and labels must both have shape (N,), N of 1 or more, got {values.shape} and {labels.shape}"
        )
    broken = values[~np.isfinite(values)]
    if broken.size:
        raise EvaluationError(f"{broken.size} of {values.size} {name} aren't finite, such as {broken[0]}")


def _check_probabilities(values: NDArray[np.floating], labels: NDArray[np.bool_]) -> None:
    _check(values, labels, "probabilities")
    outside = values[(values < 0) | (values > 1)]
    if outside.size:
        raise EvaluationError(
            f"{outside.size} of {values.size} probabilities aren't between 0 and 1, such as {outside[0]}; "
            "calibrate the scores first, or say that they aren't probabilities"
        )
