"""Does what lies on the surface tell the answer: sizes, balance, repeats, popularity, shared words, titles' lengths?"""

from __future__ import annotations

from collections import Counter

import numpy as np

from coordi.data.leaks.chance import Cheat, Suspect, by_learning, by_mean, by_score, by_wins
from coordi.data.leaks.facts import Asked, Facts
from coordi.data.leaks.leak import Leak
from coordi.data.leaks.scores import Floats, auc, held_out_auc

LEAST_REPEATS = 0.05
"""Share of questions from which repeats are told: two outfits of a small shop may well hold the same pair."""

_SHOWN = 3


def surface_cheats(asked: Asked, facts: Facts) -> list[Cheat]:
    """Cheats that count, rather than look."""
    return [
        *_size(asked),
        _balance(asked),
        *_popularity(asked, facts),
        _shared_words(asked, facts),
        *_gaps(asked, facts),
    ]


def repeated_questions(asked: Asked) -> list[Leak]:
    """Questions about the same items as an earlier one; worth what "asked more than once" tells of the answer.

    Told from ``LEAST_REPEATS`` on, or if one of them has the other answer.
    """
    contents = [frozenset(question.item_ids) for question in asked.questions]
    times = Counter(contents)
    repeats = len(contents) - len(times)
    answers = {(content, question.compatible) for content, question in zip(contents, asked.questions, strict=True)}
    contradictions = len(answers) - len(times)
    if repeats < LEAST_REPEATS * len(contents) and not contradictions:
        return []
    found = auc(np.array([times[content] > 1 for content in contents], dtype=np.float64), asked.compatible)
    reached = max(found, 1 - found)
    detail = (
        f"{repeats} of {len(contents)} questions ask of the same items as another, {contradictions} of them with the "
        f"other answer; that a question comes twice tells its answer with AUC {reached:.2f}; ask each once"
    )
    return [Leak("repeats", asked.name, detail, auc=reached, count=repeats, chance=0.5)]


def _size(asked: Asked) -> list[Cheat]:
    sizes = asked.sizes
    advice = "make negatives as long as positives"
    learned = held_out_auc(np.arange(len(sizes)), sizes.astype(np.int64), asked.compatible, asked.halves)
    return [
        by_score(Suspect("size", asked.name, "numbers of items", advice), sizes, asked),
        by_learning(Suspect("size", asked.name, "uncommon numbers of items", advice), learned, asked),
    ]


def _balance(asked: Asked) -> Cheat:
    share = float(asked.compatible.mean())
    suspect = Suspect(
        "balance", asked.name, f"{share:.0%} compatible questions",
        "ask as many of each answer, or read AUC rather than accuracy",
    )  # fmt: skip
    return by_wins(suspect, max(share, 1 - share), len(asked.questions), 0.5, ways=2)


def _popularity(asked: Asked, facts: Facts) -> list[Cheat]:
    often = "draw negatives from occurrences in outfits, so that an item is as frequent in them"
    kinds = "draw items of rare kinds as often as they are worn"
    return [
        by_mean(Suspect("popularity", asked.name, what, advice), asked.mean(values[asked.items]), asked)
        for what, advice, values in (
            ("how often titles are in training outfits", often, np.log1p(facts.trained)),
            ("how common the items' kinds are in training", kinds, np.log1p(facts.kind_trained)),
        )
    ]


def _shared_words(asked: Asked, facts: Facts) -> Cheat:
    owners, words = facts.words_of(asked.items)
    width = len(facts.rare_words.names) + 1
    groups, counts = np.unique(asked.rows[owners] * width + words, return_counts=True)
    pairs = counts * (counts - 1) / 2
    rows, named = groups // width, groups % width
    excess = np.bincount(named, weights=np.where(asked.compatible[rows], pairs, -pairs), minlength=width)
    most = [facts.rare_words.names[word] for word in np.argsort(-excess, kind="stable")[:_SHOWN] if excess[word] > 0]
    suspect = Suspect(
        "words", asked.name, f"rare words that titles share ({', '.join(most)})",
        "judge whether they are style or sellers who show their own goods",
    )  # fmt: skip
    shared = np.bincount(rows, weights=pairs, minlength=len(asked.questions))
    return by_score(suspect, np.round(shared / asked.pairs, 9), asked)


def _gaps(asked: Asked, facts: Facts) -> list[Cheat]:
    words, photos = facts.title_words[asked.items], facts.photographed[asked.items]
    untitled = (words == 0).astype(np.float64)

    def cheat(what: str, scores: Floats, long: bool = False) -> Cheat:
        advice = "draw negatives among items with as long titles" if long else "ask of items that have both, or none"
        suspect = Suspect("lengths" if long else "missing", asked.name, what, advice)
        return (by_mean if long else by_score)(suspect, scores, asked)

    found = [cheat("lengths of titles", asked.mean(words), long=True)]
    for what, has in (("titles", 1 - untitled), ("photos", photos)):
        share = asked.mean(has)
        # Whole outfits often lack photos, while a negative mixes items with and without.
        found.append(cheat(f"missing {what}", share))
        found.append(cheat(f"{what} that only some items have", ((share > 0) & (share < 1)).astype(np.float64)))
    return found
