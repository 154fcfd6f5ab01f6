"""How often the most probable labels are right, and how far probabilities can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_RESAMPLES = 1000
_BINS = 15
_Z = 1.959964  # of a 95% interval
_BOOTSTRAPPED = ("accuracy", "top3", "weighted_f1", "macro_f1")


def figures(
    truth: npt.NDArray[np.integer], shares: npt.NDArray[np.floating], generator: np.random.Generator
) -> dict[str, Any]:
    """Figures of one attribute.

    Args:
        truth: Index of the right label, ``(N,)``.
        shares: Probabilities, ``(N, L)``; the highest is the answer, the first of equals.
        generator: Draws the bootstrap's photos.

    Returns:
        ``n``, ``classes`` (labels that could be given), ``accuracy``, ``top3`` (the right label is among the three
        most probable), ``weighted_f1``, ``macro_f1``, ``ci95`` of these four by bootstrap over photos, and ``ece``.
    """
    guess, classes = shares.argmax(axis=1), shares.shape[1]
    among = among_best(truth, shares, 3)

    def measured(rows: npt.NDArray[np.integer]) -> tuple[float, ...]:
        right = float((truth[rows] == guess[rows]).mean())
        return (right, float(among[rows].mean()), *f1(truth[rows], guess[rows], classes))

    draws = generator.integers(len(truth), size=(_RESAMPLES, len(truth)))
    low, high = np.percentile(np.array([measured(rows) for rows in draws]), [2.5, 97.5], axis=0)
    whole = measured(np.arange(len(truth)))
    return {
        "n": len(truth),
        "classes": classes,
        **dict(zip(_BOOTSTRAPPED, whole, strict=True)),
        "ci95": {name: [float(low[c]), float(high[c])] for c, name in enumerate(_BOOTSTRAPPED)},
        "ece": expected_calibration_error(guess == truth, shares.max(axis=1)),
    }


def among_best(truth: npt.NDArray[np.integer], shares: npt.NDArray[np.floating], k: int) -> npt.NDArray[np.bool_]:
    """Whether the right label is among the ``k`` most probable, ``(N,)``; of equals the first in the list wins."""
    best = np.argsort(-shares, axis=1, kind="stable")[:, :k]
    return np.asarray((best == truth[:, None]).any(axis=1))


def expected_calibration_error(right: npt.NDArray[np.bool_], confidence: npt.NDArray[np.floating]) -> float:
    """Mean distance between confidence and accuracy over 15 equal bins, weighted by their sizes.

    References:
        Guo et al., On Calibration of Modern Neural Networks, 2017.
    """
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(right))


def f1(truth: npt.NDArray[np.integer], guess: npt.NDArray[np.integer], classes: int) -> tuple[float, float]:
    """Weighted by support, and the plain mean over labels that occur in either; 0 for a label never hit."""
    hits = np.bincount(truth[truth == guess], minlength=classes)
    support = np.bincount(truth, minlength=classes)
    both = support + np.bincount(guess, minlength=classes)
    each = np.where(both > 0, 2 * hits / np.maximum(both, 1), 0.0)
    return float((each * support).sum() / support.sum()), float(each[both > 0].mean())


def of_common_labels(truth: npt.NDArray[np.integer], least: int) -> npt.NDArray[np.bool_]:
    """Photos whose right label has ``least`` photos or more, ``(N,)``."""
    return np.asarray(np.bincount(truth)[truth] >= least)


def merged(
    labels: Sequence[str], shares: npt.NDArray[np.floating], groups: Mapping[str, str], judged_alone: bool = False
) -> tuple[list[str], npt.NDArray[np.floating], npt.NDArray[np.integer]]:
    """Put together the probabilities of labels that count as one.

    Args:
        labels: The columns of ``shares``.
        shares: Probabilities, ``(N, L)``.
        groups: A label's group, for those that go by another name.
        judged_alone: Whether each label was judged by itself (sigmoid). Then labels don't exclude one another, their
            probabilities don't add up, and a group is as probable as its most probable label; else they are added up.

    Returns:
        The groups' names, their probabilities ``(N, G)``, and the group of each label, ``(L,)``.
    """
    names = list(dict.fromkeys(groups.get(label, label) for label in labels))
    owner = np.array([names.index(groups.get(label, label)) for label in labels])
    together = np.zeros((len(shares), len(names)), dtype=shares.dtype)
    put_together = np.maximum if judged_alone else np.add
    for column, group in enumerate(owner):
        together[:, group] = put_together(together[:, group], shares[:, column])
    return names, together, owner


def share_with_interval(hits: npt.NDArray[np.bool_]) -> tuple[float, list[float]]:
    """A share and its 95% interval, which stays honest for a handful of photos.

    References:
        Wilson, Probable Inference, the Law of Succession, and Statistical Inference, 1927.
    """
    n, share = len(hits), float(hits.mean())
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * float(np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)))
    return share, [max(0.0, middle - half), min(1.0, middle + half)]
