"""Metrics of compatibility, fill-in-the-blank and retrieval; those of probabilities are in ``calibration``."""

from __future__ import annotations

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
