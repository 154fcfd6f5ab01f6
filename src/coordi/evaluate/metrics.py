"""Metrics of compatibility, fill-in-the-blank and retrieval, calibration, bootstrap intervals and tests."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from coordi.errors import EvaluationError


def accuracy(predicted: NDArray[np.bool_], labels: NDArray[np.bool_]) -> float:
    """Share of questions answered as they should be, in ``[0, 1]``.

    Args:
        predicted: The answers, shape ``(N,)``.
        labels: The truth, shape ``(N,)``.

    Raises:
        EvaluationError: If the shapes disagree or ``N`` is 0. It is a ``ValueError`` too, here and below.
    """
    _check_pair(predicted, labels, "answers")
    return float(np.mean(predicted == labels))


def f1(predicted: NDArray[np.bool_], labels: NDArray[np.bool_]) -> float:
    """Harmonic mean of precision and recall of "goes together": ``2 TP / (2 TP + FP + FN)``.

    It is 0 where nothing was said to go together; always saying yes gives 2/3 on balanced questions, not 1/2.

    Args:
        predicted: The answers, shape ``(N,)``.
        labels: The truth, shape ``(N,)``.

    Raises:
        EvaluationError: If the shapes disagree, ``N`` is 0, or no question's truth is yes.
    """
    _check_pair(predicted, labels, "answers")
    if not labels.any():
        raise EvaluationError(f"F1 has no value: none of {len(labels)} questions is compatible; it needs at least one")
    hits = int(np.sum(predicted & labels))
    return 2 * hits / (int(np.sum(predicted)) + int(np.sum(labels)))


def roc_auc(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> float:
    """Chance that a compatible outfit scores above an incompatible one; a tie counts half.

    Computed from average ranks, as the Mann-Whitney U statistic over the number of pairs.

    Args:
        scores: Compatibility, shape ``(N,)``; higher is better.
        labels: The truth, shape ``(N,)``.

    Raises:
        EvaluationError: If the shapes disagree, ``N`` is 0, a score isn't finite, or one of the classes is missing.

    References:
        Hanley and McNeil, The Meaning and Use of the Area under a Receiver Operating Characteristic Curve, 1982.
    """
    _check_scored(scores, labels)
    _, tie, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[tie]  # (N,) from 1, ties share their mean rank
    positives = int(np.sum(labels))
    pairs = positives * (len(labels) - positives)
    return float((np.sum(ranks[labels]) - positives * (positives + 1) / 2) / pairs)


def roc_curve(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Corners of the ROC curve from (0, 0) to (1, 1), one per distinct score from the highest down.

    Args:
        scores: Compatibility, shape ``(N,)``.
        labels: The truth, shape ``(N,)``.

    Returns:
        Shape ``(K + 1, 2)`` for ``K`` distinct scores: false positive rate, true positive rate.

    Raises:
        EvaluationError: As ``roc_auc``.
    """
    _check_scored(scores, labels)
    _, tie = np.unique(-scores, return_inverse=True)
    corners = [np.cumsum(np.bincount(tie, weights=kind)) / np.sum(kind) for kind in (~labels, labels)]
    return np.vstack([np.zeros((1, 2)), np.column_stack(corners)])


def best_threshold(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> float:
    """The threshold with the highest accuracy of ``score >= threshold``; choose it on validation, never on test.

    Candidates are the lowest score (always yes), the midpoints between neighbouring distinct scores, and just above
    the highest (always no). Among equally accurate ones the lowest is taken.

    Args:
        scores: Compatibility, shape ``(N,)``.
        labels: The truth, shape ``(N,)``.

    Raises:
        EvaluationError: If the shapes disagree, ``N`` is 0, a score isn't finite, or one of the classes is missing.
    """
    _check_scored(scores, labels)
    distinct, tie = np.unique(scores.astype(np.float64), return_inverse=True)
    gain = np.bincount(tie, weights=np.where(labels, -1.0, 1.0))  # right answers won by raising past each score
    right = np.concatenate([[0.0], np.cumsum(gain)])
    # Halves first: the difference of two large floats may be beyond all floats.
    middle = distinct[:-1] + np.diff(distinct / 2)
    # Halfway between adjacent floats rounds to the lower one, which would then be on the wrong side.
    middle = np.where(middle > distinct[:-1], middle, distinct[1:])
    candidates = np.concatenate([distinct[:1], middle, [np.nextafter(distinct[-1], np.inf)]])
    return float(candidates[int(np.argmax(right))])


def true_ranks(scores: NDArray[np.floating], answers: NDArray[np.integer]) -> NDArray[np.intp]:
    """Rank of the true item among a question's candidates, from 1; a tie with it counts against it.

    The rank is the number of candidates that score at least as high as the true item, itself included, so a constant
    scorer ranks it last. No order of the candidates has a say.

    Args:
        scores: Compatibility of each candidate with the outfit, shape ``(Q, C)``; higher is better.
        answers: Column of the true item, shape ``(Q,)``.

    Returns:
        Shape ``(Q,)``, in ``1 .. C``.

    Raises:
        EvaluationError: If shapes disagree, a score is not finite, an answer is not a column, ``Q`` is 0 or ``C``
            below 2.
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
    _check_finite(scores)
    if answers.min() < 0 or answers.max() >= scores.shape[1]:
        raise EvaluationError(
            f"answers must be columns 0 to {scores.shape[1] - 1}, got {answers.min()} to {answers.max()}"
        )
    true = scores[np.arange(len(scores)), answers][:, None]
    ranks: NDArray[np.intp] = np.sum(scores >= true, axis=1)
    return ranks


def fitb_hits(scores: NDArray[np.floating], answers: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Per fill-in-the-blank question whether the true item scores above all others, shape ``(Q,)``.

    Args:
        scores: Shape ``(Q, C)``.
        answers: Column of the true item, shape ``(Q,)``.

    Raises:
        EvaluationError: As ``true_ranks``.
    """
    hits: NDArray[np.bool_] = true_ranks(scores, answers) == 1
    return hits


def fitb_accuracy(scores: NDArray[np.floating], answers: NDArray[np.integer]) -> float:
    """Share of fill-in-the-blank questions whose true item scores highest.

    A tie with the true item is a miss, so a constant scorer gets 0.

    Args:
        scores: Compatibility of each candidate with the outfit, shape ``(Q, C)``; higher is better.
        answers: Column of the true item, shape ``(Q,)``.

    Returns:
        Accuracy in ``[0, 1]``; chance is ``1 / C``.

    Raises:
        EvaluationError: As ``true_ranks``.

    References:
        Han et al., Learning Fashion Compatibility with Bidirectional LSTMs, 2017.
    """
    return float(np.mean(fitb_hits(scores, answers)))


def recall_at(ranks: NDArray[np.integer], k: int) -> float:
    """Share of queries whose true item is among the first ``k``; each query has one true item.

    Args:
        ranks: Of the true items, from 1, shape ``(R,)``; as ``true_ranks`` gives them, ties count against.
        k: 1 or more.

    Returns:
        In ``[0, 1]``; chance is ``k / P`` for a pool of ``P`` candidates.

    Raises:
        EvaluationError: If ``R`` is 0, a rank is below 1, or ``k`` is.

    References:
        Sarkar et al., OutfitTransformer: Learning Outfit Representations for Fashion Recommendation, 2022.
    """
    _check_ranks(ranks)
    if k < 1:
        raise EvaluationError(f"recall@k needs a k of 1 or more, got {k}")
    return float(np.mean(ranks <= k))


def mean_reciprocal_rank(ranks: NDArray[np.integer]) -> float:
    """Mean of one over the rank of the true item.

    Args:
        ranks: Of the true items, from 1, shape ``(R,)``; as ``true_ranks`` gives them, ties count against.

    Returns:
        In ``(0, 1]``; chance is ``(1 + 1/2 + ... + 1/P) / P`` for a pool of ``P`` candidates.

    Raises:
        EvaluationError: If ``R`` is 0 or a rank is below 1.

    References:
        Voorhees, The TREC-8 Question Answering Track Report, 1999.
    """
    _check_ranks(ranks)
    return float(np.mean(1 / ranks))


def _check_ranks(ranks: NDArray[np.integer]) -> None:
    if ranks.ndim != 1 or not len(ranks) or ranks.min() < 1:
        lowest = f"with a lowest of {ranks.min()}" if ranks.size else "of nothing"
        raise EvaluationError(
            f"ranks must have shape (R,), R of 1 or more, and count from 1; got {ranks.shape} {lowest}"
        )


def _check_pair(values: NDArray[np.generic], labels: NDArray[np.bool_], name: str) -> None:
    if values.shape != labels.shape or values.ndim != 1:
        raise EvaluationError(f"{name} and labels must both have shape (N,), got {values.shape} and {labels.shape}")
    if not len(labels):
        raise EvaluationError("there are no questions to measure on, got 0; at least 1 is needed")


def _check_finite(scores: NDArray[np.floating]) -> None:
    broken = scores[~np.isfinite(scores)]
    if broken.size:
        raise EvaluationError(
            f"{broken.size} of {scores.size} scores aren't finite, such as {broken[0]}; every score must be a number"
        )


def _check_scored(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> None:
    _check_pair(scores, labels, "scores")
    _check_finite(scores)
    positives = int(np.sum(labels))
    if positives in (0, len(labels)):
        raise EvaluationError(
            f"all {len(labels)} questions are {'compatible' if positives else 'incompatible'}; "
            "this metric needs questions of both classes"
        )


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


# Numbers held at once while AUCs are worked out: few enough for a processor's cache, 2 MiB of floats.
_BLOCK = 2**18
_LEAST_WIDTH = 32


class Resamples:
    """Draws of outfits with replacement, as how often each outfit came in each draw.

    Args:
        groups: The outfit of each question, length ``N``.
        rng: Where the draws come from; the same state gives the same draws.
        count: How many draws, ``B``.

    Attributes:
        outfits: How many there are to draw from; each draw takes as many.
        count: How many draws.

    Raises:
        EvaluationError: If there are no questions or ``count`` is below 1.
    """

    def __init__(self, groups: Sequence[Hashable], rng: np.random.Generator, count: int = 1000) -> None:
        if not groups or count < 1:
            raise EvaluationError(f"resampling needs at least 1 question and 1 draw, got {len(groups)} and {count}")
        numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
        self.outfits = len(numbers)
        self.count = count
        self._group = np.array([numbers[group] for group in groups], dtype=np.intp)  # (N,)
        times = np.empty((count, self.outfits))
        for draw in times:
            draw[:] = np.bincount(rng.integers(self.outfits, size=self.outfits), minlength=self.outfits)
        self._times = np.ascontiguousarray(times.T)  # (outfits, B)

    def accuracy(self, predicted: NDArray[np.bool_], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
        """``metrics.accuracy`` of each draw, shape ``(B,)``."""
        return self.share(predicted == labels)

    def share(self, hits: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Share of hits in each draw, shape ``(B,)``."""
        return self._totals(hits) / self._totals(np.ones(len(hits), dtype=bool))

    def f1(self, predicted: NDArray[np.bool_], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
        """``metrics.f1`` of each draw, shape ``(B,)``; NaN for a draw without a compatible outfit."""
        positives = self._totals(labels)
        marked = self._totals(predicted) + positives
        return _ratio(2 * self._totals(predicted & labels), np.where(positives > 0, marked, 0))

    def auc(self, scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
        """``metrics.roc_auc`` of each draw, shape ``(B,)``; NaN for a draw of one class.

        A question that was drawn w times is a question of weight w: each positive wins the weight of the negatives
        below it and half the weight of those that tie with it.
        """
        positives, negatives = (
            rows[np.argsort(scores[rows], kind="stable")] for rows in (np.flatnonzero(labels), np.flatnonzero(~labels))
        )
        sides: tuple[NDArray[np.intp], NDArray[np.intp]] = (
            np.searchsorted(scores[negatives], scores[positives], side="left"),
            np.searchsorted(scores[negatives], scores[positives], side="right"),
        )
        aucs = np.empty(self.count)
        for block in self._blocks():
            times = self._times[:, block]
            below = np.zeros((len(negatives) + 1, times.shape[1]))
            np.cumsum(times[self._group[negatives]], axis=0, out=below[1:])  # (negatives + 1, block)
            weight = times[self._group[positives]]  # (positives, block)
            twice_won = np.sum(weight * (below[sides[0]] + below[sides[1]]), axis=0)
            aucs[block] = _ratio(twice_won, 2 * weight.sum(axis=0) * below[-1])
        return aucs

    def recall_at(self, ranks: NDArray[np.integer], k: int) -> NDArray[np.float64]:
        """``metrics.recall_at`` of each draw, shape ``(B,)``."""
        return self.share(ranks <= k)

    def mean_reciprocal_rank(self, ranks: NDArray[np.integer]) -> NDArray[np.float64]:
        """``metrics.mean_reciprocal_rank`` of each draw, shape ``(B,)``."""
        total, queries = np.zeros(self.count), self._totals(np.ones(len(ranks), dtype=bool))
        for rank in np.unique(ranks):
            total += self._totals(ranks == rank) / rank
        return total / queries

    def _totals(self, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """How many of the marked questions are in each draw, shape ``(B,)``."""
        held = np.bincount(self._group, weights=counted, minlength=self.outfits)  # (outfits,)
        totals: NDArray[np.float64] = held @ self._times
        return totals

    def _blocks(self) -> Iterator[slice]:
        width = max(_LEAST_WIDTH, _BLOCK // len(self._group))
        return (slice(start, start + width) for start in range(0, self.count, width))


def percentile_interval(draws: NDArray[np.float64]) -> tuple[float, float] | None:
    """95% percentile interval: the 2.5th and 97.5th percentile of a figure's draws.

    Args:
        draws: The figure in each resample, shape ``(B,)``; NaN where it has no value, which is left out.

    Returns:
        None if it has a value in fewer than half of the draws: what is left says nothing of the rest.
    """
    values = draws[np.isfinite(draws)]
    if 2 * len(values) < len(draws):
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    ratios: NDArray[np.float64] = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return ratios


# Standard errors between no difference and one that is found in 80% of repetitions at a two-sided 5%: 1.96 + 0.84.
_REACH = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)


def paired_p_value(differences: NDArray[np.float64]) -> float | None:
    """Two-sided bootstrap p-value of a difference between two scorers on the same questions.

    ``2 (1 + min(#d <= 0, #d >= 0)) / (1 + B)``, at most 1: the level at which the percentile interval just touches 0.
    Draws of no difference count on both sides, so two scorers that always agree get 1. It is never 0; with ``B``
    draws the smallest is ``2 / (1 + B)``. Like the interval it is a little too bold for few outfits.

    Args:
        differences: Of one scorer over another in each resample, shape ``(B,)``; NaN where there is none.

    Returns:
        In ``(0, 1]``; None if fewer than half of the resamples have a difference, as for the interval.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 15; Davison and Hinkley,
        Bootstrap Methods and their Application, 1997, section 4.2 (the 1 that is added).
    """
    values = differences[np.isfinite(differences)]
    if 2 * len(values) < len(differences) or not len(values):
        return None
    rarer = min(int(np.sum(values <= 0)), int(np.sum(values >= 0)))
    return min(1.0, 2 * (1 + rarer) / (1 + len(values)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p-values that may each be held against 5% though several were looked at.

    The k-th smallest of m is multiplied by ``m - k + 1``, is at most 1 and never below the one before it.

    Args:
        p_values: Of the comparisons of one table, in any order; may be empty.

    Returns:
        The corrected ones, in the same order.

    Raises:
        EvaluationError: If one isn't in ``[0, 1]``.

    References:
        Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979.
    """
    broken = [p for p in p_values if not 0 <= p <= 1]
    if broken:
        raise EvaluationError(f"p-values lie between 0 and 1, got {broken[0]}")
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for done, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (len(p_values) - done) * p_values[place]))
        corrected[place] = highest
    return corrected


def smallest_difference(draws: NDArray[np.float64]) -> float | None:
    """The smallest true difference that would be found four times in five: power 0.8 at a two-sided 5%.

    ``(1.960 + 0.842)`` standard errors, the standard error being the spread of the figure's resamples. Give it the
    draws of a paired difference, or those of one figure to be told apart from a fixed value such as chance.

    Args:
        draws: In each resample, shape ``(B,)``; NaN where there is no value.

    Returns:
        None if fewer than half of the resamples have a value, or if they all have the same: a perfect scorer's
        resamples don't spread, which isn't to say that any difference would be found.

    References:
        Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988.
    """
    values = draws[np.isfinite(draws)]
    if 2 * len(values) < len(draws) or len(values) < 2 or values.min() == values.max():
        return None
    return float(_REACH * np.std(values, ddof=1))
