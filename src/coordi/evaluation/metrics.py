"""Metrics of compatibility, fill-in-the-blank and retrieval, calibration, bootstrap intervals and tests.

Every function raises ``EvaluationError``, which is a ``ValueError`` too, if shapes disagree, there are no questions, a
score isn't finite, or a metric has no value. ``labels`` are the truth, shape ``(N,)``; higher scores are better.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from coordi.encoders.base import sigmoid
from coordi.errors import EvaluationError, require
from coordi.model.scoring import platt_regression

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]


def accuracy(predicted: Bools, labels: Bools) -> float:
    """Share of correct answers, both arrays of shape ``(N,)``."""
    _check_pair(predicted, labels, "answers")
    return float(np.mean(predicted == labels))


def f1(predicted: Bools, labels: Bools) -> float:
    """F1 of the class "compatible": 0 if it is never predicted, 2/3 if always on balanced questions."""
    _check_pair(predicted, labels, "answers")
    if not labels.any():
        raise EvaluationError(f"F1 has no value: none of {len(labels)} questions is compatible; it needs at least one")
    return float(require("sklearn.metrics", "train").f1_score(labels, predicted, zero_division=0))


def roc_auc(scores: Floats, labels: Bools) -> float:
    """Probability that a compatible outfit scores above an incompatible one; a tie counts half.

    The Mann-Whitney U statistic over the number of pairs (Hanley and McNeil, 1982); scikit-learn's rounds 1 down.
    """
    _check_scored(scores, labels)
    positives = int(labels.sum())
    rank_sum = ranks(scores)[labels].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * (len(labels) - positives)))


def ranks(scores: Floats) -> NDArray[np.float64]:
    """Ranks of scores from 1, shape ``(N,)``; equal scores have the mean of theirs."""
    return np.asarray(require("scipy.stats", "train").rankdata(scores), dtype=np.float64)


def roc_curve(scores: Floats, labels: Bools) -> NDArray[np.float64]:
    """False and true positive rate from (0, 0) to (1, 1), shape ``(K + 1, 2)`` for ``K`` distinct scores."""
    _check_scored(scores, labels)
    false_rate, true_rate, _ = require("sklearn.metrics", "train").roc_curve(labels, scores, drop_intermediate=False)
    return np.column_stack([false_rate, true_rate])


def best_threshold(scores: Floats, labels: Bools) -> float:
    """The threshold with the highest accuracy of ``score >= threshold``; choose it on validation, never on test.

    Candidates are the lowest score (always yes), the midpoints between neighbouring distinct scores, and just above
    the highest (always no). Among equally accurate ones the lowest is taken.
    """
    _check_scored(scores, labels)
    distinct, tie = np.unique(scores.astype(np.float64), return_inverse=True)
    gain = np.bincount(tie, weights=np.where(labels, -1.0, 1.0))  # correct answers gained by moving past each score
    correct = np.concatenate([[0.0], np.cumsum(gain)])
    # Halves first: the difference of two large floats may overflow.
    middle = distinct[:-1] + np.diff(distinct / 2)
    # The midpoint of adjacent floats rounds to the lower one, which would be on the wrong side.
    middle = np.where(middle > distinct[:-1], middle, distinct[1:])
    candidates = np.concatenate([distinct[:1], middle, [np.nextafter(distinct[-1], np.inf)]])
    return float(candidates[int(np.argmax(correct))])


def true_ranks(scores: Floats, answers: NDArray[np.integer]) -> NDArray[np.intp]:
    """Rank of the true item among a question's candidates, from 1, shape ``(Q,)``; a tie with it counts against it.

    ``scores`` are of each candidate, shape ``(Q, C)``, ``answers`` the column of the true item, shape ``(Q,)``.
    """
    if scores.ndim != 2 or answers.shape != scores.shape[:1]:
        raise EvaluationError(
            f"choosing among candidates needs scores of shape (Q, C) and answers of shape (Q,), "
            f"got {scores.shape} and {answers.shape}"
        )
    if not len(scores) or scores.shape[1] < 2:
        raise EvaluationError(
            f"choosing needs a question with at least 2 candidates, got scores of shape {scores.shape}"
        )
    _check_finite(scores, "scores")
    if answers.min() < 0 or answers.max() >= scores.shape[1]:
        raise EvaluationError(
            f"answers must be columns 0 to {scores.shape[1] - 1}, got {answers.min()} to {answers.max()}"
        )
    ranks: NDArray[np.intp] = np.sum(scores >= np.take_along_axis(scores, answers[:, None], axis=1), axis=1)
    return ranks


def fitb_hits(scores: Floats, answers: NDArray[np.integer]) -> Bools:
    """Whether the true item scores above all others, per fill-in-the-blank question; chance is ``1 / C``."""
    hits: Bools = true_ranks(scores, answers) == 1
    return hits


def recall_at(ranks: NDArray[np.integer], k: int) -> float:
    """Share of queries whose true item is among the first ``k``; chance is ``k / P`` for ``P`` candidates."""
    _check_ranks(ranks)
    if k < 1:
        raise EvaluationError(f"recall@k needs a k of 1 or more, got {k}")
    return float(np.mean(ranks <= k))


def mean_reciprocal_rank(ranks: NDArray[np.integer]) -> float:
    """Mean of ``1 / rank``; chance is ``(1 + 1/2 + ... + 1/P) / P`` for ``P`` candidates."""
    _check_ranks(ranks)
    return float(np.mean(1 / ranks))


# Standard deviations from the centre; infinity times a slope of 0 has no value.
_FURTHEST = 1e300


@dataclass(frozen=True, slots=True)
class PlattScaling:
    """A logistic curve from scores to probabilities: ``sigmoid(slope (score - centre) / spread + intercept)``.

    ``centre`` and ``spread`` are mean and standard deviation of the scores it was fitted on; where those didn't vary,
    the spread is 1 and the slope 0.
    """

    slope: float
    intercept: float
    centre: float
    spread: float

    def probabilities(self, scores: Floats) -> NDArray[np.float64]:
        """Probability that an outfit is compatible, of each score; same shape, in ``[0, 1]``."""
        with np.errstate(over="ignore"):  # a score that is too far away for a float gets probability 0 or 1
            steps = np.clip((scores.astype(np.float64) - self.centre) / self.spread, -_FURTHEST, _FURTHEST)
            return sigmoid(self.slope * steps + self.intercept)


def fit_platt(scores: Floats, labels: Bools) -> PlattScaling:
    """Platt scaling (Platt, 1999) of standardised scores, so that their scale has no effect; fit it on validation."""
    _check_pair(scores, labels, "scores")
    _check_finite(scores, "scores")
    scale = float(np.max(np.abs(scores))) or 1.0  # first, so that no square overflows
    scaled = scores.astype(np.float64) / scale  # (V,) in [-1, 1]
    centre = float(np.mean(scaled))
    # The standard deviation of equal scores may be a rounding error above 0.
    spread = float(np.std(scaled)) * scale if scaled.min() < scaled.max() else 0.0
    if spread < np.finfo(np.float64).tiny:
        yes, no = int(labels.sum()), int((~labels).sum())
        target = (yes * (yes + 1) / (yes + 2) + no / (no + 2)) / len(labels)
        return PlattScaling(0.0, float(np.log(target / (1 - target))), centre * scale, 1.0)
    slope, intercept = platt_regression((scaled - centre) / (spread / scale), labels)
    return PlattScaling(slope, intercept, centre * scale, spread)


def brier(probabilities: Floats, labels: Bools) -> float:
    """Mean squared error of probabilities, shape ``(N,)``: 0 at best, 0.25 for always one half, 1 at worst."""
    _check_probabilities(probabilities, labels)
    return float(np.mean((probabilities - labels) ** 2))


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Questions of similar probability: lowest, highest and mean probability, their number, share that is true."""

    low: float
    high: float
    n: int
    mean_probability: float
    share_compatible: float


def reliability(probabilities: Floats, labels: Bools, bins: int = 10) -> tuple[ReliabilityBin, ...]:
    """The reliability curve in bins of equal mass, from the lowest probability up.

    The bins of scikit-learn's ``calibration_curve`` by ``quantile``, which doesn't return their sizes. A value on an
    edge belongs below it. Equal probabilities share a bin, so ties make bins uneven; empty bins are left out.
    """
    _check_probabilities(probabilities, labels)
    if bins < 1:
        raise EvaluationError(f"a reliability curve needs 1 bin or more, got {bins}")
    bin_of = _bin_of(probabilities, bins)
    parts = [(probabilities[bin_of == number], labels[bin_of == number]) for number in np.unique(bin_of)]
    return tuple(
        ReliabilityBin(float(p.min()), float(p.max()), len(p), float(np.mean(p)), float(np.mean(truth)))
        for p, truth in parts
    )


def _bin_of(probabilities: Floats, bins: int) -> NDArray[np.intp]:
    """Number of each probability's bin, ``(N,)``."""
    edges = np.percentile(probabilities, 100 * np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(edges, probabilities, side="left")


def expected_calibration_error(probabilities: Floats, labels: Bools, bins: int = 10) -> float:
    """Mean gap between probability and share of true answers over the bins of ``reliability``, weighted by size.

    Bins of equal mass are less biased than those of equal width (Roelofs et al., 2022); the remaining bias is upwards.
    """
    curve = reliability(probabilities, labels, bins)
    gaps = [row.n * abs(row.mean_probability - row.share_compatible) for row in curve]
    return float(sum(gaps) / len(labels))


def calibrated_error(probabilities: Floats, bins: int = 10) -> float:
    """The expected calibration error that probabilities ``(N,)`` have on average where each is exactly right: the
    absolute value of the normal distribution of each bin's gap. A measured error at this figure can't be told from 0.
    """
    bin_of = _bin_of(probabilities, bins)
    variances = np.bincount(bin_of, weights=probabilities * (1 - probabilities))
    return float(np.sqrt(2 / np.pi) * np.sqrt(variances).sum() / len(probabilities))


_ROUNDING = 1e-12  # equal differences may differ by it
# Floats in memory while AUCs of draws are computed: 2 MiB, which fit a processor's cache.
_BLOCK = 2**18
_LEAST_WIDTH = 32


class Resamples:
    """Draws of outfits with replacement, kept as the number of times that each outfit is in each of ``count`` draws.

    ``groups`` are the outfits of the questions: intervals by question would be too narrow. All draws are computed at
    once; calling a metric for each of 1000, as scipy's ``bootstrap`` does, takes minutes for a report.
    """

    def __init__(self, groups: Sequence[Hashable], rng: np.random.Generator, count: int = 1000) -> None:
        if not groups or count < 1:
            raise EvaluationError(f"resampling needs at least 1 question and 1 draw, got {len(groups)} and {count}")
        numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
        self.outfits = len(numbers)
        self.count = count
        self._group = np.array([numbers[group] for group in groups], dtype=np.intp)  # (N,)
        draws = (rng.integers(self.outfits, size=self.outfits) for _ in range(count))
        times = [np.bincount(draw, minlength=self.outfits) for draw in draws]
        self._times = np.ascontiguousarray(np.array(times, dtype=np.float64).T)  # (outfits, B)

    def share(self, hits: Bools) -> NDArray[np.float64]:
        """Share of hits in each draw, shape ``(B,)``: an accuracy, or a recall."""
        return self.mean(hits)

    def mean(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """Mean of a value per question in each draw, shape ``(B,)``."""
        return self._totals(values) / self._totals(np.ones(len(values)))

    def f1(self, predicted: Bools, labels: Bools) -> NDArray[np.float64]:
        """``metrics.f1`` of each draw, shape ``(B,)``; NaN for a draw without a compatible outfit."""
        positives = self._totals(labels)
        marked = self._totals(predicted) + positives
        return _ratio(2 * self._totals(predicted & labels), np.where(positives > 0, marked, 0))

    def auc(self, scores: Floats, labels: Bools) -> NDArray[np.float64]:
        """``metrics.roc_auc`` of each draw, ``(B,)``; NaN for one class. A question drawn w times has weight w."""
        positives, negatives = (
            rows[np.argsort(scores[rows], kind="stable")] for rows in (np.flatnonzero(labels), np.flatnonzero(~labels))
        )
        below_left = np.searchsorted(scores[negatives], scores[positives], side="left")
        below_right = np.searchsorted(scores[negatives], scores[positives], side="right")
        aucs = np.empty(self.count)
        width = max(_LEAST_WIDTH, _BLOCK // len(self._group))
        for start in range(0, self.count, width):
            times = self._times[:, start : start + width]
            below = np.zeros((len(negatives) + 1, times.shape[1]))
            np.cumsum(times[self._group[negatives]], axis=0, out=below[1:])  # (negatives + 1, block)
            weight = times[self._group[positives]]  # (positives, block)
            twice_won = np.sum(weight * (below[below_left] + below[below_right]), axis=0)
            aucs[start : start + width] = _ratio(twice_won, 2 * weight.sum(axis=0) * below[-1])
        return aucs

    def mean_reciprocal_rank(self, ranks: NDArray[np.integer]) -> NDArray[np.float64]:
        """``metrics.mean_reciprocal_rank`` of each draw, shape ``(B,)``."""
        # Counts before reciprocals: equal sums of other ranks must be equal to the last bit, or p-values count them.
        totals = sum(self._totals(ranks == rank) / rank for rank in np.unique(ranks))
        return np.asarray(totals / self._totals(np.ones(len(ranks))))

    def _totals(self, weights: NDArray[np.generic]) -> NDArray[np.float64]:
        """Sum of the questions' weights in each draw, shape ``(B,)``."""
        per_outfit = np.bincount(self._group, weights=weights, minlength=self.outfits)  # (outfits,)
        totals: NDArray[np.float64] = per_outfit @ self._times
        return totals


def percentile_interval(draws: NDArray[np.float64]) -> tuple[float, float] | None:
    """95% percentile interval of a metric's draws ``(B,)``; None if fewer than half of them have a value."""
    values = _finite_draws(draws)
    if values is None:
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def paired_p_value(differences: NDArray[np.float64]) -> float | None:
    """Two-sided bootstrap p-value of the differences between two scorers in each resample, shape ``(B,)``.

    ``2 (1 + min(#d <= 0, #d >= 0)) / (1 + B)``, at most 1: the level at which the percentile interval just touches 0
    (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 4.2). Like the interval it is slightly
    too low for few outfits, and None if fewer than half of the resamples have a difference.
    """
    values = _finite_draws(differences)
    if values is None:
        return None
    rarer = min(int(np.sum(values <= 0)), int(np.sum(values >= 0)))
    return min(1.0, 2 * (1 + rarer) / (1 + len(values)))


# Simulated, the 95% bootstrap interval of an AUC of 0.71 covers it 81% of the time with 5 outfits, 91% with 10, 93%
# with 20 or 50 and 95% with 100; two equal scorers are told apart 9.7%, 8.2%, 6.3%, 4.9% and 5.6% of the time.
FEW_OUTFITS = 50
"""With fewer test outfits than this, differences have an exact p-value."""
_EXCHANGES = 1999


def exchange_p_value(
    answers: Floats,
    others: Floats,
    groups: Sequence[Hashable],
    metric: Callable[[Floats], float],
    rng: np.random.Generator,
) -> float:
    """Two-sided p-value of the difference of a metric between two scorers' answers, both ``(N,)`` and on one scale.

    The answers to an outfit's questions are exchanged between the scorers, in every way that there is, or in 1,999
    drawn ones (Bandos et al., A permutation test sensitive to differences in areas for comparing ROC curves from a
    paired design, 2005). It keeps its level with few outfits, where the bootstrap's p-value is too low.
    """
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    group = np.array([numbers[name] for name in groups], dtype=np.intp)  # (N,)
    is_exact = 2 ** len(numbers) <= _EXCHANGES
    if is_exact:
        ways = np.arange(2 ** len(numbers))[:, None] >> np.arange(len(numbers)) & 1
    else:
        ways = rng.integers(2, size=(_EXCHANGES, len(numbers)))
    observed = abs(metric(answers) - metric(others))
    extreme = 0
    for way in ways.astype(bool):
        exchanged = way[group]
        difference = metric(np.where(exchanged, others, answers)) - metric(np.where(exchanged, answers, others))
        extreme += abs(difference) >= observed - _ROUNDING
    return extreme / len(ways) if is_exact else (1 + extreme) / (1 + len(ways))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979), in the order given: the k-th smallest of m times ``m - k + 1``, at most 1."""
    # Too short to be worth depending on statsmodels.
    broken = [p for p in p_values if not 0 <= p <= 1]
    if broken:
        raise EvaluationError(f"p-values lie between 0 and 1, got {broken[0]}")
    order = np.argsort(p_values, kind="stable")
    steps = np.arange(len(order), 0, -1) * np.asarray(p_values, dtype=np.float64)[order]
    corrected = np.empty(len(order))
    corrected[order] = np.maximum.accumulate(np.minimum(steps, 1.0))
    return [float(p) for p in corrected]


# Standard errors between no difference and one that is detected in 80% of repetitions at a two-sided 5%: 1.96 + 0.84.
_REACH = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)


def smallest_difference(draws: NDArray[np.float64]) -> float | None:
    """The smallest true difference that would be detected with power 0.8 at a two-sided 5%: 2.8 standard errors.

    Draws are of a paired difference, or of one metric to be compared with a fixed value such as chance. None if fewer
    than half of the resamples have a value, or if all are equal, as those of a perfect scorer.
    """
    values = _finite_draws(draws)
    if values is None or len(values) < 2 or values.min() == values.max():
        return None
    return float(_REACH * np.std(values, ddof=1))


def _finite_draws(draws: NDArray[np.float64]) -> NDArray[np.float64] | None:
    values = draws[np.isfinite(draws)]
    return values if len(values) and 2 * len(values) >= len(draws) else None


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    ratios: NDArray[np.float64] = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return ratios


def _check_ranks(ranks: NDArray[np.integer]) -> None:
    if ranks.ndim != 1 or not len(ranks) or ranks.min() < 1:
        lowest = f"with a lowest of {ranks.min()}" if ranks.size else "of nothing"
        raise EvaluationError(
            f"ranks must have shape (R,), R of 1 or more, and count from 1; got {ranks.shape} {lowest}"
        )


def _check_pair(values: NDArray[np.generic], labels: Bools, name: str) -> None:
    if values.shape != labels.shape or values.ndim != 1:
        raise EvaluationError(f"{name} and labels must both have shape (N,), got {values.shape} and {labels.shape}")
    if not len(labels):
        raise EvaluationError("there are no questions to measure on, got 0; at least 1 is needed")


def _check_all(values: Floats, is_good: Bools, name: str, problem: str) -> None:
    broken = values[~is_good]
    if broken.size:
        raise EvaluationError(f"{broken.size} of {values.size} {name} aren't {problem.format(broken[0])}")


def _check_finite(values: Floats, name: str) -> None:
    _check_all(values, np.isfinite(values), name, "finite, such as {}; every value must be a number")


def _check_scored(scores: Floats, labels: Bools) -> None:
    _check_pair(scores, labels, "scores")
    _check_finite(scores, "scores")
    if labels.all() or not labels.any():
        raise EvaluationError(
            f"all {len(labels)} questions are {'compatible' if labels.all() else 'incompatible'}; "
            "this metric needs questions of both classes"
        )


def _check_probabilities(values: Floats, labels: Bools) -> None:
    _check_pair(values, labels, "probabilities")
    _check_finite(values, "probabilities")
    advice = "between 0 and 1, such as {}; calibrate the scores first, or declare that they aren't probabilities"
    _check_all(values, (values >= 0) & (values <= 1), "probabilities", advice)
