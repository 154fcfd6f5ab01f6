"""The bootstrap by outfit: whole outfits are drawn again, and every figure is worked out for all draws at once.

A positive and the negatives made from it aren't independent, so they are drawn together. One set of draws serves every
scorer, which makes differences between scorers paired.

Sums over draws are of whole numbers, which floats below 2**53 hold exactly: the order of summing, and so the machine's
number of threads, has no say in a figure.

References:
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from coordi.errors import EvaluationError

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
