"""Metrics of outfit compatibility and fill-in-the-blank, with bootstrap intervals by outfit."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from coordi.errors import EvaluationError

Rows = NDArray[np.intp]
Statistic = Callable[[Rows], float]


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
    middle = distinct[:-1] + np.diff(distinct) / 2
    # Halfway between adjacent floats rounds to the lower one, which would then be on the wrong side.
    middle = np.where(middle > distinct[:-1], middle, distinct[1:])
    candidates = np.concatenate([distinct[:1], middle, [np.nextafter(distinct[-1], np.inf)]])
    return float(candidates[int(np.argmax(right))])


def fitb_accuracy(scores: NDArray[np.floating], answers: NDArray[np.integer]) -> float:
    """Share of fill-in-the-blank questions whose true item scores highest.

    A tie with the true item is a miss, so a constant scorer gets 0.

    Args:
        scores: Compatibility of each candidate with the outfit, shape ``(Q, C)``; higher is better.
        answers: Column of the true item, shape ``(Q,)``.

    Returns:
        Accuracy in ``[0, 1]``; chance is ``1 / C``.

    Raises:
        EvaluationError: If shapes disagree, a score is not finite, an answer is not a column, or ``Q`` is 0.

    References:
        Han et al., Learning Fashion Compatibility with Bidirectional LSTMs, 2017.
    """
    return float(np.mean(fitb_hits(scores, answers)))


def fitb_hits(scores: NDArray[np.floating], answers: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Per fill-in-the-blank question whether the true item scores above all others, shape ``(Q,)``.

    Args:
        scores: Shape ``(Q, C)``.
        answers: Column of the true item, shape ``(Q,)``.

    Raises:
        EvaluationError: As ``fitb_accuracy``.
    """
    if scores.ndim != 2 or answers.shape != scores.shape[:1]:
        raise EvaluationError(
            f"fill-in-the-blank needs scores of shape (Q, C) and answers of shape (Q,), "
            f"got {scores.shape} and {answers.shape}"
        )
    if not len(scores) or scores.shape[1] < 2:
        raise EvaluationError(
            f"fill-in-the-blank needs a question with at least 2 candidates, got scores of shape {scores.shape}"
        )
    _check_finite(scores)
    if answers.min() < 0 or answers.max() >= scores.shape[1]:
        raise EvaluationError(
            f"answers must be columns 0 to {scores.shape[1] - 1}, got {answers.min()} to {answers.max()}"
        )
    true = scores[np.arange(len(scores)), answers][:, None]
    hits: NDArray[np.bool_] = np.sum(scores >= true, axis=1) == 1
    return hits


def bootstrap_interval(
    statistic: Statistic, groups: Sequence[Hashable], rng: np.random.Generator, resamples: int = 1000
) -> tuple[float, float]:
    """95% percentile interval of a statistic when whole outfits are drawn again with replacement.

    A positive and the negatives made from it aren't independent, so they are drawn together. The same state of ``rng``
    draws the same outfits, which makes intervals of differences between scorers paired.

    Args:
        statistic: Takes row numbers of the questions, with repeats, and gives a number.
        groups: The outfit of each question, length ``N``.
        rng: Where the draws come from.
        resamples: How many draws.

    Returns:
        The 2.5th and 97.5th percentile. A draw on which the statistic has no value (it raises ``EvaluationError``,
        such as for one class) is left out.

    Raises:
        EvaluationError: If there are no questions, ``resamples`` is below 1, or the statistic has a value on fewer
            than half of the draws.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13.
    """
    if not groups or resamples < 1:
        raise EvaluationError(
            f"an interval needs at least 1 question and 1 resample, got {len(groups)} and {resamples}"
        )
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    group_of_row = np.array([numbers[group] for group in groups], dtype=np.intp)
    members = np.split(
        np.argsort(group_of_row, kind="stable"), np.cumsum(np.bincount(group_of_row, minlength=len(numbers)))[:-1]
    )
    values = []
    for _ in range(resamples):
        drawn = rng.integers(len(members), size=len(members))
        rows = np.concatenate([members[number] for number in drawn])
        try:
            values.append(statistic(rows))
        except EvaluationError:
            continue
    if 2 * len(values) < resamples:
        raise EvaluationError(
            f"no interval: the metric has a value on only {len(values)} of {resamples} resamples of "
            f"{len(members)} outfits; more outfits of both classes are needed"
        )
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


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
