"""Do the candidates of a blank give the answer away?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from coordi.data.leaks.chance import Cheat, Suspect, by_wins
from coordi.data.leaks.facts import AskedBlanks, Facts
from coordi.data.leaks.leak import LeakName
from coordi.data.leaks.scores import Flags, Floats, Ints


def candidate_cheats(asked: AskedBlanks, facts: Facts) -> list[Cheat]:
    """Cheats that pick a candidate without a look at it."""
    return [
        _position(asked),
        *_categories(asked, facts),
        *_plain_figures(asked, facts),
        *_likeness(asked, facts),
        *_ids(asked, facts),
    ]


def accuracy_of(scores: Floats, asked: AskedBlanks) -> float:
    """Share of blanks whose true candidate scores highest; among ties the cheat guesses."""
    best = np.full(len(asked.questions), -np.inf)
    np.maximum.at(best, asked.rows, scores)
    picked = scores == best[asked.rows]
    ties = np.bincount(asked.rows[picked], minlength=len(asked.questions))
    won = picked & asked.true
    return float((1 / ties[asked.rows[won]]).sum() / len(asked.questions))


def _judge(suspect: Suspect, scores: Floats, asked: AskedBlanks, both_ways: bool = False) -> Cheat:
    reached = accuracy_of(scores, asked)
    if both_ways:
        reached = max(reached, accuracy_of(-scores, asked))
    return by_wins(suspect, reached, len(asked.questions), asked.chance, ways=1 + both_ways)


def _position(asked: AskedBlanks) -> Cheat:
    """Each half picks the position that was right most often in the other."""
    scores = np.zeros(len(asked.rows))
    for learned in (asked.halves, ~asked.halves):
        taught = np.bincount(asked.position[asked.true & learned[asked.rows]], minlength=int(asked.position.max()) + 1)
        scores = np.where(learned[asked.rows], scores, taught[asked.position])
    suspect = _suspect(asked, "position", "positions of the true candidate", "shuffle candidates")
    # What one half teaches fits the other as well as the reverse, so both count as one.
    return by_wins(suspect, accuracy_of(scores, asked), len(asked.questions) // 2, asked.chance)


def _categories(asked: AskedBlanks, facts: Facts) -> list[Cheat]:
    advice = "draw wrong candidates of the true one's category"
    category, kind = facts.category[asked.items], facts.kind[asked.items]
    lacked = ~_in_context(asked, category, facts.category[asked.context])
    return [
        _judge(_suspect(asked, "categories", what, advice), scores.astype(np.float64), asked, both_ways=True)
        for what, scores in (
            ("candidates of a worn category that the outfit lacks", lacked),
            ("candidates alone in their worn category", _alone(asked, category)),
            ("candidates alone in their kind", _alone(asked, kind)),
        )
    ]


def _plain_figures(asked: AskedBlanks, facts: Facts) -> list[Cheat]:
    """Cheats that know one figure of each candidate and pick the largest, or the smallest."""
    often, both = "draw wrong candidates from occurrences in outfits", "ask of items that have both, or none"
    kinds = "draw wrong candidates of rare kinds as often as they are worn"
    figures: tuple[tuple[LeakName, str, str, Floats], ...] = (
        ("popularity", "titles that are often in training outfits, or never,", often, facts.trained),
        ("popularity", "how common the candidates' kinds are in training", kinds, facts.kind_trained),
        ("lengths", "lengths of titles", "draw wrong candidates among items with as long titles", facts.title_words),
        ("missing", "missing titles", both, (facts.title_words > 0).astype(np.float64)),
        ("missing", "missing photos", both, facts.photographed),
    )
    return [
        _judge(_suspect(asked, name, what, advice), values[asked.items], asked, both_ways=True)
        for name, what, advice, values in figures
    ]


def _likeness(asked: AskedBlanks, facts: Facts) -> list[Cheat]:
    """Cheats that compare each candidate with the outfit: rare words, photos that both have, training outfits."""
    rows = len(asked.questions)
    sizes = np.maximum(np.bincount(asked.context_rows, minlength=rows), 1)
    photos = np.bincount(asked.context_rows, weights=facts.photographed[asked.context], minlength=rows) / sizes
    alike = -np.abs(facts.photographed[asked.items] - np.round(photos)[asked.rows])
    owners, words = facts.words_of(asked.items)
    context_owners, context_words = facts.words_of(asked.context)
    width = int(max(words.max(initial=0), context_words.max(initial=0))) + 1
    held = np.isin(asked.rows[owners] * width + words, asked.context_rows[context_owners] * width + context_words)
    shared = np.bincount(owners[held], minlength=len(asked.items)).astype(np.float64)
    taste = "judge whether they are style or sellers who show their own goods"
    both, again = "ask of items that have photos, or of none", "ask of outfits that training doesn't hold"
    found = [
        _judge(_suspect(asked, "words", "rare words shared with the outfit", taste), shared, asked),
        _judge(_suspect(asked, "missing", "photos where the outfit has them", both), alike, asked),
    ]
    if asked.split != "train":
        suspect = _suspect(asked, "items", "candidates that stood with the outfit's items in training", again)
        found.append(_judge(suspect, _stood_together(asked, facts), asked))
    return found


def _ids(asked: AskedBlanks, facts: Facts) -> list[Cheat]:
    advice = "keep item ids out of prompts and features, as coordi does"
    suspect = replace(_suspect(asked, "ids", "ids like those of the outfit's items", advice), shown=False)
    near = replace(suspect, what="numbers of item ids near those of the outfit's items")
    rows = len(asked.questions)
    names = [question.outfit_id for question in asked.questions]
    named = np.array([names[row] in facts.items[place].id for row, place in zip(asked.rows, asked.items, strict=True)])
    alike = _in_context(asked, facts.stem[asked.items], facts.stem[asked.context])
    sizes = np.maximum(np.bincount(asked.context_rows, minlength=rows), 1)
    middle = np.bincount(asked.context_rows, weights=facts.number[asked.context], minlength=rows) / sizes
    return [
        _judge(suspect, alike.astype(np.float64) + named, asked),
        _judge(near, -np.abs(facts.number[asked.items] - middle[asked.rows]), asked),
    ]


def _stood_together(asked: AskedBlanks, facts: Facts) -> Floats:
    """Items of the outfit that stood with a candidate in a training outfit, shape ``(N,)``."""
    size, rows = len(facts.items), len(asked.questions)
    counts = np.bincount(asked.context_rows, minlength=rows)
    starts = np.cumsum(counts) - counts
    repeats = counts[asked.rows]
    owners = np.repeat(np.arange(len(asked.rows)), repeats)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    ones = asked.items[owners]
    others = asked.context[starts[asked.rows[owners]] + within]
    known = np.isin(np.minimum(ones, others) * size + np.maximum(ones, others), facts.trained_pairs)
    return np.bincount(owners[known], minlength=len(asked.rows)).astype(np.float64)


def _in_context(asked: AskedBlanks, labels: Ints, context_labels: Ints) -> Flags:
    """Whether an item of its question's outfit has a candidate's label, shape ``(N,)``."""
    width = int(max(labels.max(initial=0), context_labels.max(initial=0))) + 1
    return np.isin(asked.rows * width + labels, asked.context_rows * width + context_labels)


def _alone(asked: AskedBlanks, labels: Ints) -> Flags:
    """Whether no other candidate of its question has a candidate's label, shape ``(N,)``."""
    width = int(labels.max(initial=0)) + 1
    _, inverse, counts = np.unique(asked.rows * width + labels, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse] == 1)


def _suspect(asked: AskedBlanks, name: LeakName, what: str, advice: str) -> Suspect:
    return Suspect(name, f"{asked.name} blanks", what, advice)
