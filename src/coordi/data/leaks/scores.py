"""How well a cheat does, in numpy alone, and how likely chance does as well."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Taught = Callable[[Flags], Floats]


def ranks(scores: Floats) -> Floats:
    """Ranks from 1, ascending, equal scores sharing the mean of theirs; shape ``(Q,)``."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)


def auc(scores: Floats, positive: Flags) -> float:
    """Probability that a positive scores above a negative, ties counted half; 0.5 if one class is empty.

    Mann and Whitney's U over its maximum, from average ranks.
    """
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return 0.5
    above = float(ranks(scores)[positive].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def chance_spread(positive: Flags) -> float:
    """Standard deviation of the AUC of a score that knows nothing (Mann and Whitney, 1947, without ties)."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return 0.5
    return math.sqrt((positives + negatives + 1) / (12 * positives * negatives))


def deviations(values: Floats, positive: Flags, groups: Ints) -> float:
    """How many standard deviations positives' values lie apart from negatives', never negative.

    The spread is taken over groups of questions, since an outfit and the negative made of it are alike in much: what
    both have alike adds nothing to it, and a group that comes often adds once.

    Args:
        values: Ranks for a test of the AUC, plain values for one of the means, shape ``(Q,)``.
        positive: The truth, shape ``(Q,)``.
        groups: Number of the group of each question, from 0, shape ``(Q,)``.
    """
    parts = np.bincount(groups, weights=(values - values.mean()) * (positive - positive.mean()))
    spread = math.sqrt(float((parts**2).sum()))
    return abs(float(parts.sum())) / spread if spread > 1e-12 else 0.0


def normal_tail(deviations: float) -> float:
    """Probability that a normal value lies this many standard deviations above its mean, or more."""
    return math.erfc(deviations / math.sqrt(2)) / 2


def binomial_tail(wins: int, questions: int, chance: float) -> float:
    """Probability of so many wins or more by chance, exact; 1 where chance wins every time."""
    if wins <= 0 or chance >= 1:
        return 1.0
    log_chance, log_other = math.log(chance), math.log1p(-chance)
    logs = [
        math.lgamma(questions + 1) - math.lgamma(won + 1) - math.lgamma(questions - won + 1)
        + won * log_chance + (questions - won) * log_other
        for won in range(wins, questions + 1)
    ]  # fmt: skip
    return min(1.0, math.fsum(math.exp(value) for value in logs))


def held_out_auc(rows: Ints, marks: Ints, positive: Flags, halves: Flags) -> float:
    """AUC of naive Bayes on marks, each half of the questions scored by what the other taught.

    Args:
        rows: The question of each mark, shape ``(N,)``.
        marks: What was seen, as numbers from 0, shape ``(N,)``; a mark seen twice in a question counts once.
        positive: The truth, shape ``(Q,)``.
        halves: Which half each question is of, shape ``(Q,)``.

    Returns:
        In ``[0, 1]``: the mean of the two halves' AUC, as their scores are of two models. 0.5 for a half that can't
        be taught or asked.
    """
    width = int(marks.max()) + 1 if len(marks) else 1
    seen = np.unique(rows * width + marks)
    rows, marks = seen // width, seen % width

    def taught(learned: Flags) -> Floats:
        rates = []
        for truth in (positive, ~positive):
            among = learned & truth
            counts = np.bincount(marks[among[rows]], minlength=width)
            rates.append((counts + 1) / (int(among.sum()) + 2))
        present = np.log(rates[0] / rates[1]) - np.log((1 - rates[0]) / (1 - rates[1]))  # (marks,)
        return np.asarray(np.bincount(rows, weights=present[marks], minlength=len(positive)), dtype=np.float64)

    return _of_both_halves(taught, positive, halves)


def held_out_order_auc(rows: Ints, before: Ints, positive: Flags, halves: Flags) -> float:
    """AUC of the order alone, each half of the questions scored by what the other taught.

    A pair of labels says which of the two stands first, compared with the other way round; that both are there says
    nothing, so that shuffled questions are at chance.

    Args:
        rows: The question of each pair, shape ``(N,)``.
        before: Labels of the pair, the one that stands first first, as numbers from 0, shape ``(N, 2)``.
        positive: The truth, shape ``(Q,)``.
        halves: Which half each question is of, shape ``(Q,)``.

    Returns:
        In ``[0, 1]``; 0.5 where there are no pairs.
    """
    labels = int(before.max()) + 1 if len(before) else 1
    ways, other_ways = before @ np.array([labels, 1]), before @ np.array([1, labels])

    def taught(learned: Flags) -> Floats:
        shares = []
        for truth in (positive, ~positive):
            counts = np.bincount(ways[(learned & truth)[rows]], minlength=labels**2) + 1.0
            shares.append(np.log(counts[ways] / (counts[ways] + counts[other_ways])))
        return np.asarray(np.bincount(rows, weights=shares[0] - shares[1], minlength=len(positive)), dtype=np.float64)

    return _of_both_halves(taught, positive, halves)


def _of_both_halves(taught: Taught, positive: Flags, halves: Flags) -> float:
    gains, asked = [], []
    for learned in (halves, ~halves):
        sound = all(len(np.unique(positive[half])) == 2 for half in (learned, ~learned))
        # Sums in another order differ in their last bits; equal features must tie.
        gains.append(auc(np.round(taught(learned), 9)[~learned], positive[~learned]) if sound else 0.5)
        asked.append(int((~learned).sum()))
    return float(np.average(gains, weights=asked)) if sum(asked) else 0.5
