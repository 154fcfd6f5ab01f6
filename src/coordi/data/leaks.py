"""The leak audit: what tells the answers without knowing anything of clothes."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from coordi.artifacts import Progress, no_progress
from coordi.data.photos import open_photo
from coordi.errors import DataError, ImageError
from coordi.types import SPLITS, CompatibilityQuestion, Dataset, FitbQuestion, Item, Outfit, Split

LeakName = Literal[
    "order", "ids", "size", "balance", "repeats", "popularity", "words", "lengths", "missing", "position", "categories",
    "duplicates", "items", "titles", "photos",
    "unaudited",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Leak:
    """One way in which answers leak, or one thing that two splits share.

    Attributes:
        name: What leaks. Of questions: ``order`` of the items; ``ids`` of questions and items; ``size``, the number
            of items; ``balance`` of the answers; ``repeats`` of questions; ``popularity`` of items and kinds;
            ``words`` that are rare and shared, such as brands; ``lengths`` of titles; ``missing`` titles and photos.
            Of blanks also: ``position`` of the answer; ``categories`` of the candidates. Across splits:
            ``duplicates`` of outfits; ``items``, ``titles`` and ``photos`` that both hold, which is not always a
            fault (common words make some titles unavoidable): what it is worth tells. ``unaudited`` is no leak: it
            names sets of questions that are too small for any to be found in them.
        where: The questions (their key, with ``blanks`` after it for blanks), the splits, or ``"texts"``.
        detail: In a user's words, with the figures.
        auc: What a cheat reaches that uses only this, in ``[0.5, 1]``; chance is 0.5. None where no compatibility
            question could be asked of it.
        count: How many; None for what isn't counted.
        accuracy: Share of blanks (or, for ``balance``, of questions) that a cheat gets right; None elsewhere.
        chance: What knowing nothing gets of ``accuracy``, else of ``auc``; None where neither is known.
        shown: Whether a model reads it: False for ids of questions and items, and for the questions' order, which
            coordi shows to no scorer. They matter to who writes another reader of the same questions.
    """

    name: LeakName
    where: str
    detail: str
    auc: float | None = None
    count: int | None = None
    accuracy: float | None = None
    chance: float | None = None
    shown: bool = True


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


NEAR = 0.8
"""Share of common titles, of all titles of both, from which two outfits are nearly the same."""

_Titles = frozenset[tuple[object, ...]]


class Outfits:
    """Outfits as sets of titles, kept so that those nearly the same as a given one are found without a look at all.

    Titles are compared without case, punctuation and order of words; an item without a title counts by its id.

    References:
        Bayardo et al., Scaling Up All Pairs Similarity Search, 2007: of two sets whose Jaccard index is ``NEAR`` or
        more, the rarest few members of each have one in common.
    """

    def __init__(self, outfits: Iterable[Sequence[str]], items: Mapping[str, Item]) -> None:
        self._items = items
        self._sets = [self._titles(outfit) for outfit in outfits]
        self._frequency = Counter(title for titles in self._sets for title in titles)
        self._with: dict[tuple[object, ...], list[int]] = {}
        for number, titles in enumerate(self._sets):
            for title in self._rarest(titles):
                self._with.setdefault(title, []).append(number)

    def likeness(self, item_ids: Sequence[str]) -> float:
        """Largest share of common titles with any outfit, if it is ``NEAR`` or more; else 0."""
        titles = self._titles(item_ids)
        rivals = {number for title in self._rarest(titles) for number in self._with.get(title, ())}
        most = max((len(titles & self._sets[rival]) / len(titles | self._sets[rival]) for rival in rivals), default=0.0)
        return most if most >= NEAR else 0.0

    def _titles(self, item_ids: Sequence[str]) -> _Titles:
        """Titles, each with how often it came before in the outfit."""
        seen: Counter[tuple[object, ...]] = Counter()
        titles = []
        for item_id in item_ids:
            title: tuple[object, ...] = words_of(self._items[item_id].title) or ("\0", item_id)
            titles.append((*title, seen[title]))
            seen[title] += 1
        return frozenset(titles)

    def _rarest(self, titles: _Titles) -> list[tuple[object, ...]]:
        ordered = sorted(titles, key=lambda title: (self._frequency[title], repr(title)))
        # A hair less, as 0.8 * 5 may come out above 4.
        return ordered[: len(titles) - math.ceil(NEAR * len(titles) - 1e-9) + 1]


RARE = 0.02
"""A word is rare if at most this share of the titles has it: brands and sellers do, colours and garments don't.
In the Maryland data "topshop" is in 1.2% of the titles, "yoins" in 1.7%, "black" in 7% and "leather" in 10%."""

_STREAM = 121
_WORD = re.compile(r"\w+")
_NONE: Ints = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class RareWords:
    """Words by item.

    Attributes:
        names: The words.
        starts: Where each item's begin in ``words``, and after the last where they end, shape ``(I + 1,)``.
        words: Their numbers, an item's after one another.
    """

    names: tuple[str, ...]
    starts: Ints
    words: Ints


class Facts:
    """Each item of a data set by its place in it, as arrays of shape ``(I,)``."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.items = tuple(dataset.items.values())
        self.places = {item_id: place for place, item_id in enumerate(dataset.items)}

    @cached_property
    def category(self) -> Ints:
        """Number of the worn category."""
        return _numbered(item.category for item in self.items)

    @cached_property
    def kind(self) -> Ints:
        """Number of the source's own kind within its worn category."""
        return _numbered((item.category, item.subcategory) for item in self.items)

    @cached_property
    def place_in_outfit(self) -> Ints:
        """Where it stands in the first outfit that has it; 0 for one that is in none."""
        place = np.zeros(len(self.items), dtype=np.int64)
        for outfit in reversed(self.dataset.outfits):
            for position, item_id in enumerate(outfit.item_ids):
                place[self.places[item_id]] = position
        return place

    @cached_property
    def trained(self) -> Floats:
        """Training outfits that hold its title, or itself if it has none: what a model can know of popularity."""
        keys = [item.title.casefold() or ("", item.id) for item in self.items]
        used = Counter(keys[self.places[item_id]] for item_id in self._in_training)
        return np.array([used[key] for key in keys], dtype=np.float64)

    @cached_property
    def kind_trained(self) -> Floats:
        """Items of training outfits that are of its kind."""
        uses = np.bincount(self.kind[self.places_of(self._in_training)], minlength=int(self.kind.max()) + 1)
        return np.asarray(uses[self.kind], dtype=np.float64)

    @cached_property
    def title_words(self) -> Floats:
        """Words of the title."""
        return np.array([len(item.title.split()) for item in self.items], dtype=np.float64)

    @cached_property
    def photographed(self) -> Floats:
        """1 for an item with a photo."""
        return np.array([item.image is not None for item in self.items], dtype=np.float64)

    @cached_property
    def number(self) -> Floats:
        """The longest number in the id, of several the first; 0 if there is none. Many catalogues count up."""
        return np.array([_longest_number(item.id) for item in self.items], dtype=np.float64)

    @cached_property
    def stem(self) -> Ints:
        """Number of what the id is without its last number, such as ``214272106_`` of ``214272106_8``."""
        return _numbered(re.sub(r"\d+\D*$", "", item.id) for item in self.items)

    @cached_property
    def trained_pairs(self) -> Ints:
        """Every two items of a training outfit, each pair as ``smaller place * I + larger place``, ascending."""
        size = len(self.items)
        outfits = [self.places_of(outfit.item_ids) for outfit in self.dataset.outfits_of("train")]
        pairs = [np.stack(np.triu_indices(len(outfit), 1)) for outfit in outfits]
        both = [np.sort(outfit[pair], axis=0) for outfit, pair in zip(outfits, pairs, strict=True)]
        return np.unique(np.concatenate([pair[0] * size + pair[1] for pair in both], dtype=np.int64)) if both else _NONE

    @cached_property
    def rare_words(self) -> RareWords:
        """Rare words of titles that two items or more have."""
        words = [sorted(set(_WORD.findall(item.title.casefold()))) for item in self.items]
        counts = Counter(word for found in words for word in found)
        most = max(2, round(RARE * sum(bool(found) for found in words)))
        names = tuple(sorted(word for word, count in counts.items() if 2 <= count <= most))
        numbers = {word: number for number, word in enumerate(names)}
        kept = [[numbers[word] for word in found if word in numbers] for found in words]
        starts = np.cumsum([0, *(len(found) for found in kept)])
        return RareWords(names, starts, np.array([number for found in kept for number in found], dtype=np.int64))

    def words_of(self, items: Ints) -> tuple[Ints, Ints]:
        """Rare words of some items: for each word, which of ``items`` has it (by position), and the word's number."""
        starts, words = self.rare_words.starts, self.rare_words.words
        counts = starts[items + 1] - starts[items]
        owners = np.repeat(np.arange(len(items)), counts)
        within = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
        return owners, words[np.repeat(starts[items], counts) + within]

    def places_of(self, item_ids: Iterable[str]) -> Ints:
        """Places of items.

        Raises:
            DataError: If an id is unknown.
        """
        try:
            return np.array([self.places[item_id] for item_id in item_ids], dtype=np.int64)
        except KeyError as error:
            raise DataError(
                f"a question names the item '{error.args[0]}', which '{self.dataset.name}' doesn't have; "
                f"accepted are the ids of its {len(self.items)} items"
            ) from error

    def home_of(self, outfit_ids: Iterable[str]) -> Split | None:
        """The split that most of the outfits are of; None if none of them is known."""
        homes = Counter(self._split_of[name] for name in outfit_ids if name in self._split_of)
        return homes.most_common(1)[0][0] if homes else None

    @cached_property
    def _split_of(self) -> dict[str, Split]:
        return {outfit.id: outfit.split for outfit in self.dataset.outfits}

    @property
    def _in_training(self) -> list[str]:
        return [item_id for outfit in self.dataset.outfits_of("train") for item_id in outfit.item_ids]


@dataclass(frozen=True, slots=True)
class Asked:
    """Compatibility questions of one name as arrays.

    Attributes:
        rows: The question of each item asked about, ascending, shape ``(N,)``.
        items: The item's place in the data set, shape ``(N,)``.
        compatible: The truth, shape ``(Q,)``.
        groups: Number of the outfit that each question was made of, shape ``(Q,)``.
        halves: A random half of the outfits, so that no outfit is both learned from and tested on, shape ``(Q,)``.
        split: Whose outfits most of the questions are about; None if none is known.
    """

    name: str
    split: Split | None
    questions: Sequence[CompatibilityQuestion]
    rows: Ints
    items: Ints
    compatible: Flags
    groups: Ints
    halves: Flags

    def total(self, values: Floats) -> Floats:
        """Sum of a value over each question's items; ``values`` has shape ``(N,)``, the sums ``(Q,)``."""
        return np.asarray(np.bincount(self.rows, weights=values, minlength=len(self.questions)), dtype=np.float64)

    @property
    def sizes(self) -> Floats:
        """Items of each question, shape ``(Q,)``."""
        return self.total(np.ones(len(self.rows)))

    @property
    def pairs(self) -> Floats:
        """Pairs of items of each question, 1 where there are none, shape ``(Q,)``."""
        return np.maximum(self.sizes * (self.sizes - 1) / 2, 1)

    def mean(self, values: Floats) -> Floats:
        """Mean of a value over each question's items, rounded so that equal ones tie."""
        return np.round(self.total(values) / np.maximum(self.sizes, 1), 9)


@dataclass(frozen=True, slots=True)
class AskedBlanks:
    """Fill-in-the-blank questions of one name as arrays.

    Attributes:
        rows: The question of each candidate, ascending, shape ``(N,)``.
        items: The candidate's place in the data set, shape ``(N,)``.
        true: Whether it is the true one, shape ``(N,)``.
        position: Where it stands among its question's candidates, shape ``(N,)``.
        context_rows: The question of each item of the outfits, ascending, shape ``(M,)``.
        context: That item's place in the data set, shape ``(M,)``.
        halves: A random half of the outfits, shape ``(Q,)``.
        chance: What a guess gets: the mean of one over the number of candidates.
        split: Whose outfits most of the questions are about; None if none is known.
    """

    name: str
    split: Split | None
    questions: Sequence[FitbQuestion]
    rows: Ints
    items: Ints
    true: Flags
    position: Ints
    context_rows: Ints
    context: Ints
    halves: Flags
    chance: float


def flatten(name: str, questions: Sequence[CompatibilityQuestion], facts: Facts) -> Asked:
    """Compatibility questions as arrays.

    Raises:
        DataError: If a question names an unknown item.
    """
    rows = np.repeat(np.arange(len(questions)), [len(question.item_ids) for question in questions])
    return Asked(
        name=name,
        split=facts.home_of(question.outfit_id for question in questions),
        questions=questions,
        rows=rows,
        items=facts.places_of(item_id for question in questions for item_id in question.item_ids),
        compatible=np.array([question.compatible for question in questions], dtype=bool),
        groups=_numbered(question.outfit_id for question in questions),
        halves=_halves(questions),
    )


def flatten_blanks(name: str, questions: Sequence[FitbQuestion], facts: Facts) -> AskedBlanks:
    """Fill-in-the-blank questions as arrays.

    Raises:
        DataError: If a question names an unknown item.
    """
    sizes = np.array([len(question.candidates) for question in questions])
    rows = np.repeat(np.arange(len(questions)), sizes)
    position = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return AskedBlanks(
        name=name,
        split=facts.home_of(question.outfit_id for question in questions),
        questions=questions,
        rows=rows,
        items=facts.places_of(item_id for question in questions for item_id in question.candidates),
        true=position == np.array([question.answer for question in questions])[rows],
        position=position,
        context_rows=np.repeat(np.arange(len(questions)), [len(question.item_ids) for question in questions]),
        context=facts.places_of(item_id for question in questions for item_id in question.item_ids),
        halves=_halves(questions),
        chance=float(np.mean(1 / sizes)),
    )


def _halves(questions: Sequence[CompatibilityQuestion] | Sequence[FitbQuestion]) -> Flags:
    outfits = _numbered(question.outfit_id for question in questions)
    drawn = np.random.default_rng([_STREAM, 1]).permutation(int(outfits.max()) + 1)
    return np.asarray(drawn[outfits] % 2 == 0)


def _numbered(labels: Iterable[object]) -> Ints:
    """Numbers from 0 for labels, equal ones for equal labels, in the order of their first appearance."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)


def _longest_number(text: str) -> int:
    return int(max(re.findall(r"\d+", text), key=len, default="0")[:15])


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


_SHOWN = 3


def question_id_cheats(asked: Asked) -> list[Cheat]:
    """Cheats that read a question's id, or its place among the questions."""

    def suspect(what: str) -> Suspect:
        return Suspect("ids", asked.name, what, "number questions after shuffling them", shown=False)

    ids = [question.id for question in asked.questions]
    numbers = np.array([_last_number(question_id) for question_id in ids], dtype=np.float64)
    words = [_words(question_id, place) for place, question_id in enumerate(ids)]
    names = {word: number for number, word in enumerate(sorted(set().union(*words)))}
    rows = np.repeat(np.arange(len(words)), [len(mine) for mine in words])
    marks = np.array([names[word] for mine in words for word in sorted(mine)], dtype=np.int64)
    learned = held_out_auc(rows, marks, asked.compatible, asked.halves)
    return [
        by_learning(suspect("words and parity of question ids"), learned, asked),
        by_score(suspect("numbers of question ids"), numbers, asked),
        by_score(suspect("places of questions"), np.arange(len(ids), dtype=np.float64), asked),
    ]


def item_id_cheats(asked: Asked, facts: Facts) -> list[Cheat]:
    """Cheats that compare the ids of a question's items: shared prefixes, near numbers, low or high numbers."""

    def suspect(what: str) -> Suspect:
        advice = "keep item ids out of prompts and features, as coordi does"
        return Suspect("ids", asked.name, what, advice, shown=False)

    near, alike = _mean_distance(asked, facts.number[asked.items]), _share_alike(asked, facts.stem[asked.items])
    return [
        by_mean(suspect("prefixes that item ids share"), alike, asked),
        by_mean(suspect("numbers of item ids that lie near one another"), near, asked),
        by_mean(suspect("low or high numbers of item ids"), asked.mean(facts.number[asked.items]), asked),
    ]


def ids_in_texts(dataset: Dataset, texts: Mapping[str, str]) -> list[Leak]:
    """Ids with a digit in them that a model reads; a photo's id may rightly be made of the words of its title."""
    outfits_of: dict[str, list[str]] = {}
    for outfit in dataset.outfits:
        for item_id in outfit.item_ids:
            outfits_of.setdefault(item_id, []).append(outfit.id)
    cases = [
        item_id
        for item_id, text in texts.items()
        if any(_names(text, own) for own in (item_id, *outfits_of.get(item_id, ())))
    ]
    if not cases:
        return []
    detail = f"{len(cases)} texts hold the item's or its outfit's id ({shown(cases)}); leave ids out of prompts"
    return [Leak("ids", "texts", detail, count=len(cases))]


def shown(cases: Sequence[str]) -> str:
    """The first few of some cases, and how many more there are."""
    more = f" and {len(cases) - _SHOWN} more" if len(cases) > _SHOWN else ""
    return ", ".join(cases[:_SHOWN]) + more


def _share_alike(asked: Asked, stems: Ints) -> Floats:
    """Share of a question's pairs of items whose ids begin alike, shape ``(Q,)``."""
    width = int(stems.max()) + 1
    groups, counts = np.unique(asked.rows * width + stems, return_counts=True)
    alike = np.bincount(groups // width, weights=counts * (counts - 1) / 2, minlength=len(asked.questions))
    return np.round(alike / asked.pairs, 9)


def _mean_distance(asked: Asked, numbers: Floats) -> Floats:
    """Mean distance of two items' numbers over a question's pairs, shape ``(Q,)``; not larger for more items."""
    order = np.lexsort((numbers, asked.rows))
    sizes = np.bincount(asked.rows, minlength=len(asked.questions))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # A number is the larger one of as many pairs as there are before it, and the smaller one of the others.
    weights = 2 * rank - (sizes[asked.rows] - 1)
    return np.round(asked.total(numbers[order] * weights) / asked.pairs, 6)


def _names(text: str, own: str) -> bool:
    if len(own) < 3 or not re.search(r"\d", own) or own not in text:
        return False
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(own)}(?![A-Za-z0-9])", text) is not None


def _words(question_id: str, place: int) -> set[str]:
    words = {f"word {word.lower()}" for word in re.findall(r"[A-Za-z]+", question_id)}
    return words | {f"id is {'odd' if _last_number(question_id) % 2 else 'even'}", f"place is {place % 2}"}


def _last_number(text: str) -> int:
    numbers = re.findall(r"\d+", text)
    return int(numbers[-1]) if numbers else 0


_ORDER_STREAM = 122
_SHUFFLES = 10


def order_cheats(asked: Asked, facts: Facts) -> list[Cheat]:
    """Cheats that read the order of items: two that learn it by category, two that know the source's."""
    labels = facts.category[asked.items]

    def suspect(what: str) -> Suspect:
        return Suspect("order", asked.name, what, "shuffle the items of every question")

    relative = held_out_order_auc(*_pairs(asked.rows, labels), asked.compatible, asked.halves)
    placed = held_out_auc(*_placed(asked.rows, labels), asked.compatible, asked.halves)
    in_source = _share_ascending(asked, np.arange(len(facts.items)))
    in_outfits = _share_ascending(asked, facts.place_in_outfit)
    return [
        by_learning(suspect("categories by who stands before whom"), relative, asked),
        by_learning(suspect("categories by position"), placed, asked, _once_shuffled(asked, labels)),
        by_score(suspect("places in the source"), in_source, asked),
        by_score(suspect("places within the items' own outfits"), in_outfits, asked),
    ]


def _once_shuffled(asked: Asked, labels: Ints) -> float:
    """What categories by position get when there is no order: what categories alone tell."""
    generator = np.random.default_rng([_ORDER_STREAM, len(asked.questions)])
    reached = []
    for _ in range(_SHUFFLES):
        order = np.lexsort((generator.random(len(labels)), asked.rows))
        reached.append(held_out_auc(*_placed(asked.rows, labels[order]), asked.compatible, asked.halves))
    return float(np.mean(reached))


def _placed(rows: Ints, labels: Ints) -> tuple[Ints, Ints]:
    """Which label stands where, as marks; positions are counted from both ends, as outfits differ in length."""
    if not len(rows):
        return rows, labels
    sizes = np.bincount(rows)
    from_front = np.arange(len(rows)) - (np.cumsum(sizes) - sizes)[rows]
    from_back = sizes[rows] - 1 - from_front
    longest, width = int(sizes.max()), int(labels.max()) + 1
    return np.tile(rows, 2), np.concatenate([from_front * width + labels, (from_back + longest) * width + labels])


def _pairs(rows: Ints, labels: Ints) -> tuple[Ints, Ints]:
    """Every two items of a question whose labels differ: the question, shape ``(P,)``, and labels, ``(P, 2)``."""
    found_rows, found = [np.zeros(0, dtype=np.int64)], [np.zeros((0, 2), dtype=np.int64)]
    longest = int(np.bincount(rows).max()) if len(rows) else 0
    for step in range(1, longest):
        kept = (rows[:-step] == rows[step:]) & (labels[:-step] != labels[step:])
        found_rows.append(rows[:-step][kept])
        found.append(np.stack([labels[:-step][kept], labels[step:][kept]], axis=1))
    return np.concatenate(found_rows), np.concatenate(found)


def _share_ascending(asked: Asked, places: Ints) -> Floats:
    """Of each question's neighbours, how many ascend, equal ones counted half, shape ``(Q,)``; half for none."""
    rows, mine = asked.rows, places[asked.items]
    together = rows[:-1] == rows[1:]
    steps = (1 + np.sign(np.diff(mine)[together])) / 2
    count = np.bincount(rows[:-1][together], minlength=len(asked.questions))
    rising = np.bincount(rows[:-1][together], weights=steps, minlength=len(asked.questions))
    share = np.where(count > 0, rising / np.maximum(count, 1), 0.5)
    return np.asarray(np.round(share, 9), dtype=np.float64)


MAX_BITS = 3
MAX_DIFFERENCE = 0.05

# A pixel of even white turns 254 or 255 when it is saved anew; a bit is set by more than that.
_LEAST_STEP = 2
_SIDE = 16
# Hashes that differ in 3 bits agree in one of 4 bands.
_BANDS = MAX_BITS + 1
_AT_ONCE = 4_000_000
_PAIRS_AT_ONCE = 10_000
_NO_PAIRS: Ints = np.zeros((0, 2), dtype=np.int64)

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Print:
    """What is kept of a photo.

    Attributes:
        digest: Of the file's bytes.
        bits: The 64-bit difference hash: which pixels of a 9 x 8 grey picture are darker than their left neighbour.
        small: The photo at 16 x 16 pixels, shape ``(768,)``.
    """

    digest: bytes
    bits: int
    small: npt.NDArray[np.uint8]


def fingerprint(path: Path) -> Print:
    """Read a photo.

    Raises:
        ImageError: If it can't be opened.
    """
    from PIL import Image

    photo = open_photo(path)
    grey = np.asarray(photo.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    falls = (grey[:, :-1] - grey[:, 1:]) > _LEAST_STEP
    small = np.asarray(photo.resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.uint8)
    digest = hashlib.sha256(path.read_bytes()).digest()
    return Print(digest, int.from_bytes(np.packbits(falls).tobytes(), "big"), small.reshape(-1))


def fingerprints(items: Iterable[Item], progress: Progress = no_progress) -> tuple[dict[str, Print], list[str]]:
    """Read the photos of items, each file once.

    Returns:
        By item id, and the ids of items whose photo can't be opened; items without a photo are in neither.
    """
    pictured = [item for item in items if item.image is not None]
    paths = list(dict.fromkeys(item.image for item in pictured if item.image is not None))
    prints: dict[Path, Print | None] = {}
    with ThreadPoolExecutor() as readers:
        for done, (path, found) in enumerate(zip(paths, readers.map(_readable, paths), strict=True), start=1):
            prints[path] = found
            progress(done, len(paths))
    read, unreadable = {}, []
    for item in pictured:
        found = prints[item.image] if item.image is not None else None
        if found is None:
            unreadable.append(item.id)
        else:
            read[item.id] = found
    return read, unreadable


def twins_by_photo(earlier: dict[str, Print], later: dict[str, Print]) -> tuple[Twins, Twins]:
    """Items of the later split with an earlier item of the same photo file, and of nearly the same photo.

    Returns:
        By the later item's id the ids of its earlier twins; each item is in one of the two at most, none its own.
    """
    by_digest: dict[bytes, list[str]] = {}
    for item_id, photo in earlier.items():
        by_digest.setdefault(photo.digest, []).append(item_id)
    same: Twins = {}
    for item_id, photo in later.items():
        twins = tuple(name for name in by_digest.get(photo.digest, ()) if name != item_id)
        if twins:
            same[item_id] = twins
    asked = [item_id for item_id in later if item_id not in same]
    known = list(earlier)
    found: dict[str, list[str]] = {}
    pairs = near_pairs([earlier[name] for name in known], [later[name] for name in asked])
    for one, other in pairs:
        if known[one] != asked[other]:
            found.setdefault(asked[other], []).append(known[one])
    return same, {item_id: tuple(twins) for item_id, twins in found.items()}


def near_pairs(earlier: Sequence[Print], later: Sequence[Print]) -> Ints:
    """Pairs of nearly the same photo, as positions in both, ascending, shape ``(P, 2)``.

    A banded index: only photos whose hashes agree in one of four bands are compared. Bands are of bits that lie far
    apart, as the margins of most product photos are white and agree everywhere.
    """
    if not earlier or not later:
        return _NO_PAIRS
    known, asked = _Album.of(earlier), _Album.of(later)
    found = [_NO_PAIRS]
    for band in range(_BANDS):
        for ones, others in _buckets(_band(known.hashes, band), _band(asked.hashes, band)):
            found += [_confirmed(pairs, known, asked) for pairs in _near_hashes(known, asked, ones, others)]
    return np.unique(np.concatenate(found), axis=0)


@dataclass(frozen=True, slots=True)
class _Album:
    """Photos as arrays: hashes ``(N,)``, small pictures ``(N, 768)``, and their means and contrasts ``(N,)``."""

    hashes: Hashes
    small: npt.NDArray[np.uint8]
    mean: npt.NDArray[np.float32]
    contrast: npt.NDArray[np.float32]

    @classmethod
    def of(cls, photos: Sequence[Print]) -> _Album:
        small = np.stack([photo.small for photo in photos])
        hashes = np.array([photo.bits for photo in photos], dtype=np.uint64)
        mean, contrast = small.mean(axis=1, dtype=np.float32), small.std(axis=1, dtype=np.float32)
        return cls(hashes, small, mean, np.maximum(contrast, np.float32(1)))


def _readable(path: Path) -> Print | None:
    try:
        return fingerprint(path)
    except ImageError:
        return None


def _band(hashes: Hashes, band: int) -> Hashes:
    """Every fourth bit, from the band's number on, shape ``(N,)``."""
    kept = np.uint64(sum(1 << bit for bit in range(band, 64, _BANDS)))
    return hashes & kept


def _buckets(known: Hashes, asked: Hashes) -> Iterable[tuple[Ints, Ints]]:
    """Positions in both of photos whose band is the same, a bucket at a time."""
    known_order, asked_order = np.argsort(known, kind="stable"), np.argsort(asked, kind="stable")
    values, starts, counts = np.unique(asked[asked_order], return_index=True, return_counts=True)
    sorted_known = known[known_order]
    first, last = (
        np.searchsorted(sorted_known, values, side="left"),
        np.searchsorted(sorted_known, values, side="right"),
    )
    for place in np.nonzero(last > first)[0]:
        yield known_order[first[place] : last[place]], asked_order[starts[place] : starts[place] + counts[place]]


def _near_hashes(known: _Album, asked: _Album, ones: Ints, others: Ints) -> Iterable[Ints]:
    """Pairs of a bucket whose hashes are near, shape ``(P, 2)``, so many at once as memory holds."""
    rows = max(1, _AT_ONCE // len(ones))
    for start in range(0, len(others), rows):
        part = others[start : start + rows]
        bits = np.bitwise_count(asked.hashes[part][:, None] ^ known.hashes[ones][None, :])
        here, there = np.nonzero(bits <= MAX_BITS)
        yield np.stack([ones[there], part[here]], axis=1)


def _confirmed(pairs: Ints, known: _Album, asked: _Album) -> Ints:
    """Pairs whose small pictures are nearly the same too."""
    ones, others = pairs[:, 0], pairs[:, 1]
    most = MAX_DIFFERENCE * np.minimum(known.contrast[ones], asked.contrast[others])
    # Pictures differ by no less than their means do, and most pairs are told apart by those.
    pairs, most = (values[np.abs(known.mean[ones] - asked.mean[others]) <= most] for values in (pairs, most))
    kept = [_NO_PAIRS]
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = pairs[start : start + _PAIRS_AT_ONCE]
        apart = known.small[part[:, 0]].astype(np.float32) - asked.small[part[:, 1]]
        kept.append(part[np.sqrt((apart**2).mean(axis=1)) <= most[start : start + _PAIRS_AT_ONCE]])
    return np.concatenate(kept)


LEAST_REPEATS = 0.05
"""Share of questions from which repeats are told: two outfits of a small shop may well hold the same pair."""

_SURFACE_SHOWN = 3


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
    most = [
        facts.rare_words.names[word] for word in np.argsort(-excess, kind="stable")[:_SURFACE_SHOWN] if excess[word] > 0
    ]
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


NEAR_WORDS = 5
"""From this many words on, two titles of which one word differs are nearly the same. Of the Maryland test items, 14 of
955 are; with four words it would be 36, and "grey leather shoulder bag" isn't "Loewe leather shoulder bag"."""

_TITLES_WORD = re.compile(r"\w+")
_Words = tuple[str, ...]
Key = TypeVar("Key")
Twins = dict[str, tuple[str, ...]]


def words_of(title: str) -> _Words:
    """The words of a title without case, punctuation and order, so that equal ones compare as equal."""
    return tuple(sorted(_TITLES_WORD.findall(title.casefold())))


def twins_by_title(earlier: Iterable[Item], later: Iterable[Item]) -> tuple[Twins, Twins]:
    """Items of the later split with an earlier item of the same title, and of nearly the same.

    Case doesn't count. Nearly the same: the same words in another order or with other punctuation, or all words but
    one, of titles of ``NEAR_WORDS`` words or more. Items without a title have no twin; an item isn't its own twin.

    Returns:
        By the later item's id the ids of its earlier twins; each item is in one of the two at most.
    """
    asked = [item for item in later if item.title]
    same_keys = {item.title.casefold() for item in asked}
    near_keys = {key for item in asked for key in _keys(words_of(item.title))}
    by_title: dict[str, list[str]] = {}
    by_key: dict[_Words, list[str]] = {}
    for item in earlier:
        if item.title.casefold() in same_keys:
            by_title.setdefault(item.title.casefold(), []).append(item.id)
        for key in _keys(words_of(item.title)):
            if key in near_keys:
                by_key.setdefault(key, []).append(item.id)
    same = _found(((item, [item.title.casefold()]) for item in asked), by_title)
    near = _found(((item, _keys(words_of(item.title))) for item in asked if item.id not in same), by_key)
    return same, near


def _found(asked: Iterable[tuple[Item, Sequence[Key]]], earlier: Mapping[Key, Sequence[str]]) -> Twins:
    found: Twins = {}
    for item, keys in asked:
        twins = dict.fromkeys(name for key in keys for name in earlier.get(key, ()) if name != item.id)
        if twins:
            found[item.id] = tuple(twins)
    return found


def _keys(words: _Words) -> list[_Words]:
    """The words, and of a long title the words without each one: titles that share a key are nearly the same."""
    if not words:
        return []
    fewer = [words[:place] + words[place + 1 :] for place in range(len(words))] if len(words) >= NEAR_WORDS else []
    return [words, *dict.fromkeys(fewer)]


@dataclass(frozen=True)
class TwoSplits:
    """A split, a later one, and the questions that are asked of the later one's outfits.

    The earlier one is what a model may have learned from, or was chosen on.
    """

    dataset: Dataset
    one: Split
    other: Split
    asked: Sequence[Asked]

    @cached_property
    def earlier(self) -> tuple[Outfit, ...]:
        """Outfits of the earlier split."""
        return self.dataset.outfits_of(self.one)

    @cached_property
    def later(self) -> tuple[Outfit, ...]:
        """Outfits of the later split."""
        return self.dataset.outfits_of(self.other)

    @cached_property
    def known(self) -> Outfits:
        """Outfits of the earlier split by their titles."""
        return Outfits((outfit.item_ids for outfit in self.earlier), self.dataset.items)

    @cached_property
    def outfits_with(self) -> Mapping[str, Sequence[int]]:
        """Earlier outfits, by number, that hold an item."""
        found: dict[str, list[int]] = {}
        for number, outfit in enumerate(self.earlier):
            for item_id in outfit.item_ids:
                found.setdefault(item_id, []).append(number)
        return found

    def items_of(self, split: Split) -> list[Item]:
        """Items of a split's outfits, each once."""
        ids = dict.fromkeys(item_id for outfit in self.dataset.outfits_of(split) for item_id in outfit.item_ids)
        return [self.dataset.items[item_id] for item_id in ids]

    @property
    def where(self) -> str:
        """Both, for ``Leak.where``."""
        return f"{self.one} and {self.other}"


def pairs_of_splits(dataset: Dataset, asked: Sequence[Asked]) -> list[TwoSplits]:
    """Every two splits that have outfits, with the questions of the later one."""
    return [
        TwoSplits(dataset, one, other, [part for part in asked if part.split == other])
        for one, other in combinations(SPLITS, 2)
        if dataset.outfits_of(one) and dataset.outfits_of(other)
    ]


def duplicate_outfits(splits: TwoSplits) -> list[Leak]:
    """The same outfit id, the same items, the same titles, or nearly the same titles, in both."""
    known_ids = {outfit.id for outfit in splits.earlier}
    known_items = {frozenset(outfit.item_ids) for outfit in splits.earlier}
    same: list[str] = []
    near: list[str] = []
    for outfit in splits.later:
        likeness = splits.known.likeness(outfit.item_ids)
        if outfit.id in known_ids or frozenset(outfit.item_ids) in known_items or likeness == 1:
            same.append(outfit.id)
        elif likeness:
            near.append(outfit.id)
    found = []
    for cases, what in ((same, "are"), (near, "are nearly")):
        if cases:
            detail = f"{_part(cases, splits.later, splits.other, 'outfits')} {what} in {splits.one}: {shown(cases)}"
            scores = {part.name: _recognised(part, splits) for part in splits.asked}
            found.append(_worth(Leak("duplicates", splits.where, detail, count=len(cases)), splits, scores))
    return found


def trained_questions(splits: TwoSplits) -> list[Leak]:
    """Questions that ask of an outfit of the earlier split."""
    known_ids = {outfit.id for outfit in splits.earlier}
    found = []
    for part in splits.asked:
        cases = [question.id for question in part.questions if question.outfit_id in known_ids]
        if cases:
            detail = f"{_part(cases, part.questions, part.name, 'questions')} ask of outfits of {splits.one}"
            scores = {part.name: _recognised(part, splits)}
            found.append(_worth(Leak("duplicates", part.name, detail, count=len(cases)), splits, scores))
    return found


def shared_items(splits: TwoSplits) -> list[Leak]:
    """Items that both hold, as they are."""
    known = {item.id for item in splits.items_of(splits.one)}
    twins: Twins = {item.id: (item.id,) for item in splits.items_of(splits.other) if item.id in known}
    return _shared(splits, "items", twins, f"are in {splits.one} too")


def shared_titles(splits: TwoSplits) -> list[Leak]:
    """Titles that both hold, or nearly; reported, never dropped, as common words make some unavoidable."""
    same, near = twins_by_title(splits.items_of(splits.one), splits.items_of(splits.other))
    return [
        *_shared(splits, "titles", same, f"have a title that {splits.one} has"),
        *_shared(splits, "titles", near, f"have nearly a title that {splits.one} has (a word or its place differs)"),
    ]


def shared_photos(pairs: Sequence[TwoSplits], progress: Progress = no_progress) -> list[Leak]:
    """Photos that two splits hold, or nearly; each is opened once, and those that can't be opened are counted."""
    if not pairs:
        return []
    items = {item.id: item for splits in pairs for part in (splits.one, splits.other) for item in splits.items_of(part)}
    prints, unreadable = fingerprints(items.values(), progress)
    found = []
    for splits in pairs:
        earlier, later = (_prints_of(splits.items_of(part), prints) for part in (splits.one, splits.other))
        same, near = twins_by_photo(earlier, later)
        found += _shared(splits, "photos", same, f"have a photo that {splits.one} has")
        found += _shared(splits, "photos", near, f"have nearly a photo that {splits.one} has (saved anew)")
    if unreadable:
        detail = f"{len(unreadable)} photos can't be opened, so they weren't compared: {shown(unreadable)}"
        found.append(Leak("photos", "photos", detail, count=len(unreadable)))
    return found


def _prints_of(items: Sequence[Item], prints: Mapping[str, Print]) -> dict[str, Print]:
    return {item.id: prints[item.id] for item in items if item.id in prints}


def _shared(splits: TwoSplits, name: LeakName, twins: Twins, what: str) -> list[Leak]:
    if not twins:
        return []
    items = splits.dataset.items
    known = sorted({items[item_id].title or item_id for item_id in twins})
    detail = f"{_part(twins, splits.items_of(splits.other), splits.other, 'items')} {what}: {shown(known)}"
    scores = {part.name: _together(part, twins, splits.outfits_with) for part in splits.asked}
    return [_worth(Leak(name, splits.where, detail, count=len(twins)), splits, scores)]


def _worth(leak: Leak, splits: TwoSplits, scores: Mapping[str, Floats]) -> Leak:
    """The leak with the AUC of a memoriser, on the questions where it is worth most."""
    gains = {part.name: auc(scores[part.name], part.compatible) for part in splits.asked if part.name in scores}
    if not gains:
        return leak
    where, reached = max(gains.items(), key=lambda gain: gain[1])
    detail = f"{leak.detail}; a memoriser of them gets AUC {max(reached, 0.5):.2f} on '{where}'"
    return replace(leak, detail=detail, auc=max(reached, 0.5), chance=0.5)


def _recognised(asked: Asked, splits: TwoSplits) -> Floats:
    """1 for a question whose items are, or nearly are, an outfit of the earlier split."""
    return np.array([splits.known.likeness(question.item_ids) > 0 for question in asked.questions], dtype=np.float64)


def _together(asked: Asked, twins: Twins, outfits_with: Mapping[str, Sequence[int]]) -> Floats:
    """Largest share of a question's items whose twins stand together in one earlier outfit, shape ``(Q,)``."""
    homes = {item_id: {number for twin in known for number in outfits_with[twin]} for item_id, known in twins.items()}
    scores = np.zeros(len(asked.questions))
    for row, question in enumerate(asked.questions):
        held = Counter(number for item_id in question.item_ids for number in homes.get(item_id, ()))
        most = max(held.values(), default=0)
        scores[row] = most / len(question.item_ids) if most > 1 else 0.0
    return scores


def _part(cases: Sized, all_of_them: Sized, split: str, unit: str) -> str:
    return f"{len(cases)} of {len(all_of_them)} {split} {unit} ({len(cases) / len(all_of_them):.1%})"


FEWEST = 20
"""Questions of a name that are enough to measure a cheat on."""

_NOBODY = Suspect("unaudited", "", "", "")
_NO_TEXTS: Mapping[str, str] = {}
_NO_BLANKS: Mapping[str, Sequence[FitbQuestion]] = {}


def audit(
    dataset: Dataset,
    questions: Mapping[str, Sequence[CompatibilityQuestion]],
    texts: Mapping[str, str] = _NO_TEXTS,
    *,
    blanks: Mapping[str, Sequence[FitbQuestion]] = _NO_BLANKS,
    photos: bool = True,
    progress: Progress = no_progress,
) -> tuple[Leak, ...]:
    """Look for every leak that coordi knows, and say what each is worth.

    A cheat on questions is told only if chance doesn't explain it, given all that was looked for in the same questions;
    ``chance`` has the rule. What is told of one set doesn't depend on which others are given. What two splits share
    is told from the first one on, with what a model would gain that remembers it.

    Args:
        dataset: Whose outfits are compared across splits.
        questions: Compatibility questions by any name, such as ``"random"``; of fewer than 20, or of one answer, no
            cheat is measured, and of fewer than some 30 none is beyond chance: ``unaudited`` names such sets.
        texts: What a prompt says of each item, by item id; ids are looked for in it.
        blanks: Fill-in-the-blank questions, or retrieval queries, by any name.
        photos: Whether photos are compared, which opens each once: about 2 ms for one of 224 x 224 pixels.
        progress: Told of each photo that was opened.

    Returns:
        What was found, leaks that a model can read first; nothing for clean data with enough questions.

    Raises:
        DataError: If a question names an item that the data set doesn't have.
    """
    facts = Facts(dataset)
    asked = [flatten(name, part, facts) for name, part in questions.items() if part]
    cheats: list[Cheat] = []
    found: list[Leak] = []
    small: dict[str, int] = {}
    for part in asked:
        made = _cheats(part, facts)
        cheats += made
        if not made or not can_be_found(by_score(_NOBODY, part.compatible.astype(np.float64), part), len(made)):
            small[part.name] = len(part.questions)
        found += repeated_questions(part)
    for blank in (flatten_blanks(name, some, facts) for name, some in blanks.items() if some):
        made = candidate_cheats(blank, facts) if len(blank.questions) >= FEWEST else []
        cheats += made
        count = len(blank.questions)
        if not made or not can_be_found(by_wins(_NOBODY, 1.0, count, blank.chance), len(made)):
            small[f"{blank.name} blanks"] = count
    found += _between_splits(pairs_of_splits(dataset, asked), photos, progress)
    found += ids_in_texts(dataset, texts)
    return tuple(sorted([*beyond_chance(cheats), *found, *_unaudited(small)], key=lambda leak: not leak.shown))


def _cheats(asked: Asked, facts: Facts) -> list[Cheat]:
    if len(asked.questions) < FEWEST or not 0 < asked.compatible.sum() < len(asked.questions):
        return []
    return [
        *order_cheats(asked, facts),
        *surface_cheats(asked, facts),
        *question_id_cheats(asked),
        *item_id_cheats(asked, facts),
    ]


def _between_splits(pairs: Sequence[TwoSplits], photos: bool, progress: Progress) -> list[Leak]:
    found: list[Leak] = []
    for splits in pairs:
        found += duplicate_outfits(splits)
    learned = [splits for splits in pairs if splits.one == "train"]
    for splits in learned:
        found += [*trained_questions(splits), *shared_items(splits), *shared_titles(splits)]
    return found + shared_photos(learned, progress) if photos else found


def _unaudited(small: Mapping[str, int]) -> list[Leak]:
    """One note of all sets in which no leak can be found: silence about them would pass for a clean bill."""
    if not small:
        return []
    sizes = ", ".join(f"{count} of {name}" for name, count in small.items())
    detail = (
        f"too few questions, or of one answer only, to tell even a cheat that is always right from chance ({sizes}); "
        "that nothing was found in them shows nothing: ask about more outfits"
    )
    return [Leak("unaudited", ", ".join(small), detail, count=len(small), shown=False)]
