"""Which cheats are beyond chance: an accusation must hold against all that was looked for in the same questions.

With some 20 checks of one set of questions, one in a hundred of them being off by chance would accuse every fifth clean
set. So the probability that chance does as well is held against ``ALPHA`` over the number of that set's checks
(Bonferroni): of a hundred clean sets at most one is accused of anything. What else was asked has no say in it,
so that a leak doesn't vanish when more questions are audited beside it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from coordi.data.leaks.facts import Asked
from coordi.data.leaks.leak import Leak, LeakName
from coordi.data.leaks.scores import Floats, auc, binomial_tail, chance_spread, deviations, normal_tail, ranks

ALPHA = 0.01
LEAST_GAIN = 0.02
"""Less than this above chance isn't worth an alarm, however sure it is: models are told apart by more."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """What a cheat would use.

    Attributes:
        name: Its name.
        where: The questions.
        what: What tells the answer, as a plural subject.
        advice: What to do about it.
        shown: Whether a model reads it.
    """

    name: LeakName
    where: str
    what: str
    advice: str
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Cheat:
    """One measured way to answer without looking at clothes.

    Attributes:
        suspect: What it uses.
        measure: What ``reached`` is.
        reached: What it gets.
        chance: What it gets where its suspect knows nothing.
        p_value: Probability of as much by chance.
    """

    suspect: Suspect
    measure: Literal["AUC", "accuracy"]
    reached: float
    chance: float
    p_value: float


def by_score(suspect: Suspect, scores: Floats, asked: Asked) -> Cheat:
    """Judge by a fixed score, shape ``(Q,)``, taken whichever way round it tells more."""
    return _judged(suspect, scores, ranks(scores), asked)


def by_mean(suspect: Suspect, scores: Floats, asked: Asked) -> Cheat:
    """Judge by a fixed score of which only the mean must be the same for both answers.

    Items of one outfit are alike, in popularity too, so that means over them spread wider than means over items of
    many outfits. That alone moves an AUC a little and isn't a fault of the draw; another mean is.
    """
    return _judged(suspect, scores, scores, asked)


def by_learning(suspect: Suspect, reached: float, asked: Asked, usual: float = 0.5) -> Cheat:
    """Judge by an AUC on held-out questions, against what the same cheat usually gets.

    What one half teaches fits the other as well as the reverse, so the two halves count as one of them: measured on
    shuffled questions, the spread is 1.0 to 1.7 times that of as many questions, and this allows 1.4.
    """
    spread = math.sqrt(2) * chance_spread(asked.compatible)
    return Cheat(suspect, "AUC", reached, usual, normal_tail((reached - usual) / spread))


def by_wins(suspect: Suspect, accuracy: float, questions: int, chance: float, ways: int = 1) -> Cheat:
    """Judge by a share of questions answered, the best of so many ways to play."""
    # A guess among ties wins a part of a question, and parts don't make a binomial: they are rounded down.
    tail = binomial_tail(int(accuracy * questions + 1e-9), questions, chance)
    return Cheat(suspect, "accuracy", accuracy, chance, min(1.0, ways * tail))


def can_be_found(perfect: Cheat, checks: int) -> bool:
    """Whether a cheat that is always right would be told among so many checks of the same questions."""
    return perfect.reached - perfect.chance >= LEAST_GAIN and perfect.p_value * checks < ALPHA


def beyond_chance(cheats: Sequence[Cheat]) -> list[Leak]:
    """The cheats that chance doesn't explain, as leaks: one per name and questions, told by the strongest.

    Each is held against the number of cheats of the same questions (``where``), whatever others there are. What no
    model is shown is told once for all questions of a kind.
    """
    checks = Counter(cheat.suspect.where for cheat in cheats)
    found: dict[tuple[str, ...], list[Cheat]] = {}
    for cheat in cheats:
        suspect = cheat.suspect
        if can_be_found(cheat, checks[suspect.where]):
            key = (suspect.name, suspect.where) if suspect.shown else (suspect.name, cheat.measure, suspect.advice)
            found.setdefault(key, []).append(cheat)
    return [_leak(same) for same in found.values()]


def _judged(suspect: Suspect, scores: Floats, values: Floats, asked: Asked) -> Cheat:
    found = auc(scores, asked.compatible)
    p_value = 2 * normal_tail(deviations(values, asked.compatible, asked.groups))
    return Cheat(suspect, "AUC", max(found, 1 - found), 0.5, min(1.0, p_value))


def _leak(cheats: Sequence[Cheat]) -> Leak:
    best, *others = sorted(cheats, key=lambda cheat: cheat.chance - cheat.reached)
    suspect = best.suspect
    places = dict.fromkeys(cheat.suspect.where for cheat in cheats)
    weaker: dict[str, Cheat] = {}
    for other in others:
        weaker.setdefault(other.suspect.what, other)
    weaker.pop(suspect.what, None)
    also = "".join(f"; so do {what} ({other.measure} {other.reached:.2f})" for what, other in weaker.items())
    figure = f"{best.measure} {best.reached:.2f}, where {best.chance:.2f} is chance"
    return Leak(
        suspect.name,
        ", ".join(places),
        f"{suspect.what} tell the answer: {figure}{also}; {suspect.advice}",
        auc=best.reached if best.measure == "AUC" else None,
        accuracy=best.reached if best.measure == "accuracy" else None,
        chance=best.chance,
        shown=suspect.shown,
    )
