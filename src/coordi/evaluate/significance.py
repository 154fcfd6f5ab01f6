"""What a difference between two scorers is worth: p-values, their correction, and what this many outfits can tell."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from coordi.errors import EvaluationError

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
