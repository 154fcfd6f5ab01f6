"""The leak audit: tests that answer questions from features that know nothing of clothes.

Every test has one feature (order, ids, sizes, popularity, ...) and a p-value: how often chance alone reaches as much.
What two splits share (outfits, items, titles, photos) is counted, and measured by what a memoriser would gain.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import Progress, no_progress
from coordi.data.photos import open_photo
from coordi.errors import DataError, ImageError
from coordi.types import SPLITS, CompatibilityQuestion, Dataset, FitbQuestion, Item, Outfit, RandomStream, Split

LeakName = Literal[
    "order", "ids", "size", "balance", "repeats", "popularity", "words", "lengths", "missing", "position", "categories",
    "duplicates", "items", "titles", "photos", "unaudited",
]  # fmt: skip
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Key = tuple[object, ...]
Matches = dict[str, tuple[str, ...]]
"""By the id of an item of the later split, the ids of the items of the earlier split that equal it."""

ALPHA = 0.01
LEAST_GAIN = 0.02
"""A smaller gain over chance isn't reported, however sure it is: models differ by more."""
MIN_QUESTIONS = 20
"""Fewest questions of a set in which a leak is measured."""
LEAST_REPEATS = 0.05
"""Share of questions from which repeats are reported: two outfits of a small shop may hold the same pair."""
RARE = 0.02
"""A word is rare if at most this share of the titles has it: brands and sellers do, colours and garments don't.
In the Maryland data "topshop" is in 1.2% of the titles, "yoins" in 1.7%, "black" in 7% and "leather" in 10%."""
NEAR_SIZE = 5
"""From this size on, two titles that differ in one word, and two outfits that differ in one title, are nearly the same.
Of the Maryland test items, 14 of 955 have such a title in training; with four words it would be 36, and "grey leather
shoulder bag" isn't "Loewe leather shoulder bag"."""
MAX_DIFFERENCE = 0.05
"""Photos are nearly the same if their thumbnails differ by this part of the smaller contrast at most."""
MAX_ROWS = 200_000
"""Candidates of blanks that are tested; of more, the first questions are."""

_SHUFFLES = 10
_EXAMPLES = 3
_SIDE = 8
_AT_ONCE = 4_000_000
_WORD = re.compile(r"\w+")
_DIGITS = re.compile(r"\d+")
_NO_TEXTS: Mapping[str, str] = {}
_NO_FITB: Mapping[str, Sequence[FitbQuestion]] = {}


@dataclass(frozen=True, slots=True)
class Leak:
    """One way in which answers leak, or one thing that two splits share.

    Attributes:
        name: What leaks. Of questions: ``order`` of the items; ``ids`` of questions and items; ``size``, the number
            of items; ``balance`` of the answers; ``repeats`` of questions; ``popularity`` of items and kinds;
            ``words`` that are rare and shared, such as brands; ``lengths`` of titles; ``missing`` titles and photos.
            Of blanks also: ``position`` of the answer; ``categories`` of the candidates. Across splits:
            ``duplicates`` of outfits; ``items``, ``titles`` and ``photos`` that both hold, which is not always a
            fault (common words make some titles unavoidable): the figure says what it is worth. ``unaudited`` is no
            leak: it names sets of questions that are too small to find one in them.
        where: The questions (their key, with ``blanks`` after it for blanks), the splits, or ``"texts"``.
        detail: In a user's words, with the figures.
        auc: What a classifier reaches that uses only this, in ``[0.5, 1]``; None where no compatibility question could
            be answered with it.
        count: How many; None for what isn't counted.
        accuracy: Share of blanks (or, for ``balance``, of questions) answered with only this; None elsewhere.
        chance: What guessing reaches of ``accuracy``, else of ``auc``; None where neither is given.
        visible: Whether a model reads it: False for ids, and for the order of the questions, which coordi gives to no
            scorer. They matter to whoever writes another reader of the same questions.
    """

    name: LeakName
    where: str
    detail: str
    auc: float | None = None
    count: int | None = None
    accuracy: float | None = None
    chance: float | None = None
    visible: bool = True

    def as_json(self) -> dict[str, Any]:
        """The attributes for reports, which call ``visible`` ``"shown"``."""
        values = asdict(self)
        values["shown"] = values.pop("visible")
        return values


@dataclass(frozen=True, slots=True)
class LeakResult:
    """One feature that should not answer questions, and how well it does.

    Attributes:
        where: The set of questions.
        what: The feature, as a plural subject.
        advice: How to remove the leak.
        reached: By a classifier that has this feature only.
        chance: What it reaches without a leak.
        p_value: Probability that chance reaches as much.
    """

    name: LeakName
    where: str
    what: str
    advice: str
    measure: Literal["AUC", "accuracy"]
    reached: float
    chance: float
    p_value: float

    @property
    def visible(self) -> bool:
        """As in ``Leak``."""
        return self.name != "ids"

    def is_significant(self, tests: int) -> bool:
        """Whether it holds among so many tests of the same questions (Bonferroni), and is large enough to matter."""
        return self.reached - self.chance >= LEAST_GAIN and self.p_value * tests < ALPHA


def audit(
    dataset: Dataset,
    questions: Mapping[str, Sequence[CompatibilityQuestion]],
    texts: Mapping[str, str] = _NO_TEXTS,
    *,
    blanks: Mapping[str, Sequence[FitbQuestion]] = _NO_FITB,
    photos: bool = True,
    progress: Progress = no_progress,
) -> tuple[Leak, ...]:
    """Look for every leak that coordi knows.

    A leak of questions is reported only if chance doesn't explain it among all tests of the same questions; the result
    for one set doesn't depend on which others are given. What two splits share is reported from the first case on.

    Args:
        dataset: Whose outfits are compared across splits.
        questions: Compatibility questions by any name, such as ``"random"``. Sets of fewer than 20, or with one answer
            only, can't be tested; ``unaudited`` names them.
        texts: The text of each item in a prompt, by item id; ids are searched in it.
        blanks: Fill-in-the-blank questions, or retrieval queries, by any name.
        photos: Whether photos are compared, which opens each once: about 2 ms for one of 224 x 224 pixels.
        progress: Called after each photo.

    Returns:
        Leaks that a model can read first; empty for clean data with enough questions.

    Raises:
        DataError: If a question names an item that the data set doesn't have.
    """
    facts = ItemFacts(dataset)
    sets = [question_set(name, part, facts) for name, part in questions.items() if part]
    choices = [fitb_set(f"{name} blanks", part, facts) for name, part in blanks.items() if part]
    results: list[LeakResult] = []
    small: dict[str, int] = {}
    for part in (*sets, *choices):
        tests = list(leak_tests(part, facts)) if part.count >= MIN_QUESTIONS and part.has_both_answers else []
        if not tests or not part.test("unaudited", "", "", part.positive.astype(np.float64)).is_significant(len(tests)):
            small[part.where] = part.count
        results += tests
    leaks = [leak for part in sets for leak in _repeated_questions(part)]
    leaks += [*_between_splits(dataset, sets, photos, progress), *_ids_in_texts(dataset, texts), *_unaudited(small)]
    return tuple(sorted([*significant_leaks(results), *leaks], key=lambda leak: not leak.visible))


def _unaudited(small: Mapping[str, int]) -> Iterator[Leak]:
    """One note of all sets in which no leak can be found, since silence would look like a clean result."""
    if small:
        sizes = ", ".join(f"{count} of {name}" for name, count in small.items())
        detail = (
            f"too few questions, or of one answer only, to tell even a perfect leak from chance ({sizes}); "
            "that nothing was found in them shows nothing: ask about more outfits"
        )
        yield Leak("unaudited", ", ".join(small), detail, count=len(small), visible=False)


def significant_leaks(results: Sequence[LeakResult]) -> list[Leak]:
    """The significant results as leaks: one per name and questions, with the figure of the strongest.

    A result is corrected for the number of tests of the same questions (``where``). Leaks that no model can read are
    reported once for all questions of a kind.
    """
    tests = Counter(result.where for result in results)
    groups: dict[tuple[str, ...], list[LeakResult]] = defaultdict(list)
    for result in results:
        if result.is_significant(tests[result.where]):
            groups[(result.name, result.where if result.visible else result.measure + result.advice)].append(result)
    return [_leak(group) for group in groups.values()]


def _leak(results: Sequence[LeakResult]) -> Leak:
    best, *others = sorted(results, key=lambda result: result.chance - result.reached)
    weaker: dict[str, LeakResult] = {}
    for other in others:
        if other.what != best.what:
            weaker.setdefault(other.what, other)
    also = "".join(f"; so do {what} ({other.measure} {other.reached:.2f})" for what, other in weaker.items())
    figure = f"{best.measure} {best.reached:.2f}, where {best.chance:.2f} is chance"
    return Leak(
        best.name,
        ", ".join(dict.fromkeys(result.where for result in results)),
        f"{best.what} tell the answer: {figure}{also}; {best.advice}",
        auc=best.reached if best.measure == "AUC" else None,
        accuracy=best.reached if best.measure == "accuracy" else None,
        chance=best.chance,
        visible=best.visible,
    )


def auc(scores: Floats, positive: Flags) -> float:
    """Probability that a positive scores above a negative, ties counted half; 0.5 if one class is empty."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return 0.5
    return float(_ranks(scores)[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives)


def _ranks(scores: Floats) -> Floats:
    """Ranks from 1, ascending; equal scores share the mean of theirs. Shape ``(Q,)``."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse], dtype=np.float64)


def normal_tail(deviations: float) -> float:
    """Probability that a normal value lies this many standard deviations above its mean, or more."""
    return math.erfc(deviations / math.sqrt(2)) / 2


def binomial_tail(wins: int, questions: int, chance: float) -> float:
    """Probability of so many wins or more by chance; 1 where chance wins every time."""
    if wins <= 0 or chance >= 1:
        return 1.0
    logs = [
        math.lgamma(questions + 1) - math.lgamma(won + 1) - math.lgamma(questions - won + 1)
        + won * math.log(chance) + (questions - won) * math.log1p(-chance)
        for won in range(wins, questions + 1)
    ]  # fmt: skip
    return min(1.0, math.fsum(math.exp(value) for value in logs))


def sign_flip_p(values: Floats, positive: Flags, groups: Ints) -> float:
    """Two-sided p-value of a permutation test that swaps the answers within each group, shapes ``(Q,)``.

    An outfit and the negative made of it are a group: what both have in common adds nothing. The sum of randomly
    flipped signs is nearly normal, so that its standard deviation replaces the permutations. ``values`` are ranks to
    test the AUC, or plain values to test the means.
    """
    parts = np.bincount(groups, weights=(values - values.mean()) * (positive - positive.mean()))
    spread = math.sqrt(float((parts**2).sum()))
    return min(1.0, 2 * normal_tail(abs(float(parts.sum())) / spread)) if spread > 1e-12 else 1.0


def cross_fitted_auc(rows: Ints, marks: Ints, positive: Flags, halves: Flags, opposite: Ints | None = None) -> float:
    """AUC of naive Bayes on binary features: each half of the questions is scored by a model of the other half.

    Args:
        rows: The question of each mark, shape ``(N,)``.
        marks: Numbers of the features that a question has, from 0, shape ``(N,)``; repeats count once.
        positive: The answers, shape ``(Q,)``.
        halves: Which half each question belongs to, shape ``(Q,)``.
        opposite: By mark the one that replaces it; then only which of the two a question has counts.

    Returns:
        The mean of the two halves' AUC; 0.5 for a half that has only one answer.
    """
    width = int(marks.max(initial=0)) + 1 if opposite is None else len(opposite)
    unique = np.unique(rows * width + marks)
    rows, marks = unique // width, unique % width
    reached, weights = [], []
    for training in (halves, ~halves):
        log_odds = np.zeros(width)
        for sign, among in ((1, training & positive), (-1, training & ~positive)):
            counts = np.bincount(marks[among[rows]], minlength=width) + 1.0
            rates = counts / (int(among.sum()) + 2 if opposite is None else counts + counts[opposite])
            log_odds += sign * (np.log(rates) - (np.log(1 - rates) if opposite is None else 0))
        scores = np.bincount(rows, weights=log_odds[marks], minlength=len(positive)).astype(np.float64)
        both = all(len(np.unique(positive[part])) == 2 for part in (training, ~training))
        # Sums in another order differ in their last bits; equal features must tie.
        reached.append(auc(np.round(scores, 9)[~training], positive[~training]) if both else 0.5)
        weights.append(int((~training).sum()))
    return float(np.average(reached, weights=weights))


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions of one name as arrays. A blank has one row for each candidate: the candidate and the outfit's others.

    Attributes:
        where: The name of the set.
        split: Of most of the outfits; None if none is in the data set.
        ids: Of each question; of a blank's row as well.
        outfit_ids: The outfit that each row was made of.
        outfits: Item ids of each row; of a blank the candidate comes last.
        rows: The row of each of its items, ascending, shape ``(N,)``.
        items: The item's position in the data set, shape ``(N,)``.
        positive: Whether a row is compatible, or holds the right candidate, shape ``(Q,)``.
        groups: Number of the outfit that each row was made of; of a blank, number of the question, shape ``(Q,)``.
        halves: A random half of the outfits, so that no outfit is both in training and in test, shape ``(Q,)``.
        is_fitb: Whether these are blanks.
    """

    where: str
    split: Split | None
    ids: Sequence[str]
    outfit_ids: Sequence[str]
    outfits: Sequence[tuple[str, ...]]
    rows: Ints
    items: Ints
    positive: Flags
    groups: Ints
    halves: Flags
    is_fitb: bool

    @property
    def count(self) -> int:
        """Number of questions."""
        return int(self.groups.max()) + 1 if self.is_fitb else len(self.outfits)

    @property
    def has_both_answers(self) -> bool:
        """Whether some rows are positive and others aren't."""
        return 0 < int(self.positive.sum()) < len(self.positive)

    @property
    def sizes(self) -> Floats:
        """Items of each row, shape ``(Q,)``."""
        return self.total(np.ones(len(self.rows)))

    @property
    def pairs(self) -> Floats:
        """Pairs of items of each row, at least 1, shape ``(Q,)``."""
        return np.maximum(self.sizes * (self.sizes - 1) / 2, 1)

    def total(self, values: Floats) -> Floats:
        """Sum of a value over each row's items: ``(N,)`` to ``(Q,)``."""
        return np.asarray(np.bincount(self.rows, weights=values, minlength=len(self.outfits)), dtype=np.float64)

    def mean(self, values: Floats) -> Floats:
        """Mean of a value over each row's items, rounded so that equal ones tie: ``(N,)`` to ``(Q,)``."""
        return np.round(self.total(values) / np.maximum(self.sizes, 1), 9)

    def accuracy(self, scores: Floats) -> float:
        """Share of blanks whose right candidate scores highest, scores of shape ``(Q,)``; ties are guessed."""
        best = np.full(self.count, -np.inf)
        np.maximum.at(best, self.groups, scores)
        picked = scores == best[self.groups]
        ties = np.bincount(self.groups[picked], minlength=self.count)
        return float((1 / ties[self.groups[picked & self.positive]]).sum() / self.count)

    def test(self, name: LeakName, what: str, advice: str, scores: Floats, by_mean: bool = False) -> LeakResult:
        """Test a score, shape ``(Q,)``, in whichever direction answers more.

        ``by_mean`` compares means instead of ranks. Items of one outfit are alike, in popularity too, so that means
        over them spread wider than over items of many outfits. That alone moves an AUC and isn't a fault of the draw.
        """
        if self.is_fitb:
            reached = max(self.accuracy(scores), self.accuracy(-scores))
            return self.wins(name, what, advice, reached, ways=2)
        reached = auc(scores, self.positive)
        p_value = sign_flip_p(scores if by_mean else _ranks(scores), self.positive, self.groups)
        return LeakResult(name, self.where, what, advice, "AUC", max(reached, 1 - reached), 0.5, p_value)

    def learned(self, name: LeakName, what: str, advice: str, reached: float, chance: float = 0.5) -> LeakResult:
        """Test a held-out AUC against what the same model reaches without the leak.

        What one half teaches fits the other half as well as the reverse, so both halves count as one: on shuffled
        questions the spread is 1.0 to 1.7 times that of as many independent questions, and this allows 1.4.
        """
        positives = int(self.positive.sum())
        negatives = len(self.positive) - positives
        spread = math.sqrt(2 * (positives + negatives + 1) / (12 * positives * negatives))  # Mann and Whitney, 1947
        p_value = normal_tail((reached - chance) / spread)
        return LeakResult(name, self.where, what, advice, "AUC", reached, chance, p_value)

    def wins(self, name: LeakName, what: str, advice: str, reached: float, ways: int = 1) -> LeakResult:
        """Test a share of questions that were answered right, the best of so many ways to answer.

        Where nothing but the position was learned from one half to answer the other, both halves count as one.
        """
        count = self.count // 2 if name == "position" else self.count
        chance = float(np.mean(1 / np.bincount(self.groups))) if self.is_fitb else 0.5
        # A guess among ties wins a part of a question, and parts don't make a binomial: they are rounded down.
        p_value = min(1.0, ways * binomial_tail(int(reached * count + 1e-9), count, chance))
        return LeakResult(name, self.where, what, advice, "accuracy", reached, chance, p_value)


def question_set(name: str, questions: Sequence[CompatibilityQuestion], facts: ItemFacts) -> QuestionSet:
    """Compatibility questions as arrays.

    Raises:
        DataError: If a question names an unknown item.
    """
    outfit_ids = [question.outfit_id for question in questions]
    outfits = [question.item_ids for question in questions]
    return QuestionSet(
        name, facts.split_of(outfit_ids), [question.id for question in questions], outfit_ids, outfits,
        np.repeat(np.arange(len(outfits)), [len(outfit) for outfit in outfits]),
        facts.indices(item_id for outfit in outfits for item_id in outfit),
        np.array([question.compatible for question in questions], dtype=bool),
        _numbered(outfit_ids), _halves(outfit_ids), is_fitb=False,
    )  # fmt: skip


def fitb_set(name: str, questions: Sequence[FitbQuestion], facts: ItemFacts) -> QuestionSet:
    """Fill-in-the-blank questions as arrays, as many as have ``MAX_ROWS`` candidates together.

    Raises:
        DataError: If a question names an unknown item.
    """
    ends = np.cumsum([len(question.candidates) for question in questions])
    questions = questions[: max(int(np.searchsorted(ends, MAX_ROWS, side="right")), 1)]
    rows = [
        CompatibilityQuestion(
            question.id, question.outfit_id, (*question.item_ids, candidate), position == question.answer
        )
        for question in questions
        for position, candidate in enumerate(question.candidates)
    ]
    groups = np.repeat(np.arange(len(questions)), [len(question.candidates) for question in questions])
    return replace(question_set(name, rows, facts), groups=groups, is_fitb=True)


def _halves(outfit_ids: Sequence[str]) -> Flags:
    outfits = _numbered(outfit_ids)
    drawn = np.random.default_rng([RandomStream.AUDIT_HALVES, 1]).permutation(int(outfits.max()) + 1)
    return np.asarray(drawn[outfits] % 2 == 0)


def _numbered(labels: Iterable[object]) -> Ints:
    """Numbers from 0 for labels, in the order of their first appearance."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)


class ItemFacts:
    """Facts about each item that say nothing of how it looks, as arrays in the data set's order, shape ``(I,)``."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.items = tuple(dataset.items.values())
        self.index = {item_id: number for number, item_id in enumerate(dataset.items)}
        self.category = _numbered(item.category for item in self.items)
        self.kind = _numbered((item.category, item.subcategory) for item in self.items)
        self.title_words = np.array([len(item.title.split()) for item in self.items], dtype=np.float64)
        self.has_photo = np.array([item.image is not None for item in self.items], dtype=np.float64)
        # The longest number of the id, as many catalogues count up; and the id without its last number.
        self.id_number = np.array(
            [int(max(_DIGITS.findall(item.id), key=len, default="0")[:15]) for item in self.items], dtype=np.float64
        )
        self.id_prefix = _numbered(re.sub(r"\d+\D*$", "", item.id) for item in self.items)
        self.outfit_position = np.zeros(len(self.items), dtype=np.int64)
        for outfit in reversed(dataset.outfits):
            self.outfit_position[self.indices(outfit.item_ids)] = np.arange(len(outfit.item_ids))
        self._split_of = {outfit.id: outfit.split for outfit in dataset.outfits}
        in_training = [item_id for outfit in dataset.outfits_of("train") for item_id in outfit.item_ids]
        keys = [item.title.casefold() or ("", item.id) for item in self.items]
        titles = Counter(keys[self.index[item_id]] for item_id in in_training)
        # Training outfits with this title (of an untitled item: with itself), and their items of this kind.
        self.title_count = np.array([titles[key] for key in keys], dtype=np.float64)
        kinds = np.bincount(self.kind[self.indices(in_training)], minlength=len(self.items) + 1)
        self.kind_count = kinds[self.kind].astype(np.float64)

    @cached_property
    def rare_words(self) -> Mapping[str, frozenset[str]]:
        """By item id, the rare words of its title that another title has too."""
        words = {item.id: frozenset(_WORD.findall(item.title.casefold())) for item in self.items}
        counts = Counter(word for own in words.values() for word in own)
        most = max(2, round(RARE * sum(bool(own) for own in words.values())))
        rare = {word for word, count in counts.items() if 2 <= count <= most}
        return {item_id: own & rare for item_id, own in words.items()}

    @cached_property
    def trained_with(self) -> Mapping[str, set[str]]:
        """By item id, the items that share a training outfit with it."""
        companions: dict[str, set[str]] = defaultdict(set)
        for outfit in self.dataset.outfits_of("train"):
            for item_id in outfit.item_ids:
                companions[item_id].update(other for other in outfit.item_ids if other != item_id)
        return companions

    def indices(self, item_ids: Iterable[str]) -> Ints:
        """Positions of items in the arrays.

        Raises:
            DataError: If an id is unknown.
        """
        try:
            return np.array([self.index[item_id] for item_id in item_ids], dtype=np.int64)
        except KeyError as error:
            raise DataError(
                f"a question names the item '{error.args[0]}', which '{self.dataset.name}' doesn't have; "
                f"accepted are the ids of its {len(self.items)} items"
            ) from error

    def split_of(self, outfit_ids: Iterable[str]) -> Split | None:
        """The split of most of the outfits; None if none of them is in the data set."""
        splits = Counter(self._split_of[name] for name in outfit_ids if name in self._split_of)
        return splits.most_common(1)[0][0] if splits else None


def leak_tests(part: QuestionSet, facts: ItemFacts) -> Iterator[LeakResult]:
    """Every test of a set of questions."""
    if part.is_fitb:
        yield from _choice_tests(part, facts)
    else:
        yield from _order_tests(part, facts)
        yield from _balance_tests(part)
        yield from _question_id_tests(part)
    yield from _item_tests(part, facts)
    yield from _item_id_tests(part, facts)


def _order_tests(part: QuestionSet, facts: ItemFacts) -> Iterator[LeakResult]:
    """Models that learn the order by category, and two orders that the source has."""
    labels = facts.category[part.items]
    generator = np.random.default_rng([RandomStream.AUDIT_ORDER, len(part.outfits)])
    shuffles = [np.lexsort((generator.random(len(labels)), part.rows)) for _ in range(_SHUFFLES)]
    advice = "shuffle the items of every question"
    for what, features in (("who stands before whom", _pairs_in_order), ("position", _labels_at_positions)):
        # Which categories there are may answer too; that is no leak of the order.
        reached, *shuffled = (
            cross_fitted_auc(marked, marks, part.positive, part.halves, opposite)
            for ordered in (labels, *(labels[order] for order in shuffles))
            for marked, marks, opposite in [features(part.rows, ordered)]
        )
        yield part.learned("order", f"categories by {what}", advice, reached, float(np.mean(shuffled)))
    for what, numbers in (
        ("places in the source", np.arange(len(facts.items))),
        ("places within the items' own outfits", facts.outfit_position),
    ):
        yield part.test("order", what, advice, _share_ascending(part, numbers))


def _labels_at_positions(rows: Ints, labels: Ints) -> tuple[Ints, Ints, None]:
    """Rows and marks of which label stands where, counted from both ends, as outfits differ in length."""
    sizes = np.bincount(rows)
    from_front = np.arange(len(rows)) - (np.cumsum(sizes) - sizes)[rows]
    from_back = sizes[rows] - 1 - from_front
    longest, width = int(sizes.max()), int(labels.max()) + 1
    marks = np.concatenate([from_front * width + labels, (from_back + longest) * width + labels])
    return np.tile(rows, 2), marks, None


def _pairs_in_order(rows: Ints, labels: Ints) -> tuple[Ints, Ints, Ints]:
    """Rows and marks of every two items with different labels, the earlier one first, and the opposite of each mark."""
    width = int(labels.max()) + 1
    parts = [(rows[:0], labels[:0])]
    for step in range(1, int(np.bincount(rows).max())):
        pair = (rows[:-step] == rows[step:]) & (labels[:-step] != labels[step:])
        parts.append((rows[:-step][pair], labels[:-step][pair] * width + labels[step:][pair]))
    opposite = np.arange(width**2).reshape(width, width).T.reshape(-1)
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]), opposite


def _share_ascending(part: QuestionSet, numbers: Ints) -> Floats:
    """Of each row's neighbours, the share that ascends, equal ones counted half, shape ``(Q,)``; half for none."""
    rows = part.rows[:-1]
    neighbours = rows == part.rows[1:]
    steps = (1 + np.sign(np.diff(numbers[part.items])[neighbours])) / 2
    count = np.bincount(rows[neighbours], minlength=len(part.outfits))
    rising = np.bincount(rows[neighbours], weights=steps, minlength=len(part.outfits))
    return np.asarray(np.round(np.divide(rising, count, out=np.full(len(count), 0.5), where=count > 0), 9), np.float64)


def _balance_tests(part: QuestionSet) -> Iterator[LeakResult]:
    advice, sizes = "make negatives as long as positives", part.sizes
    yield part.test("size", "numbers of items", advice, sizes)
    learned = cross_fitted_auc(np.arange(len(sizes)), sizes.astype(np.int64), part.positive, part.halves)
    yield part.learned("size", "uncommon numbers of items", advice, learned)
    share = float(part.positive.mean())
    what, advice = f"{share:.0%} compatible questions", "ask as many of each answer, or read AUC rather than accuracy"
    yield part.wins("balance", what, advice, max(share, 1 - share), ways=2)


def _item_tests(part: QuestionSet, facts: ItemFacts) -> Iterator[LeakResult]:
    """Popularity, words, lengths and gaps."""
    often, kinds = (part.mean(np.log1p(counts)[part.items]) for counts in (facts.title_count, facts.kind_count))
    advice = "draw negatives from occurrences in outfits, so that an item is as frequent in them"
    yield part.test("popularity", "how often titles are in training outfits", advice, often, by_mean=True)
    advice = "draw items of rare kinds as often as outfits have them"
    whose = "candidates'" if part.is_fitb else "items'"
    yield part.test("popularity", f"how common the {whose} kinds are in training", advice, kinds, by_mean=True)
    advice = "judge whether they are style or sellers who show their own goods"
    words, shared = _shared_words(part, facts)
    yield part.test("words", f"rare words that titles share ({', '.join(words)})", advice, shared)
    advice = "draw negatives among items with as long titles"
    yield part.test("lengths", "lengths of titles", advice, part.mean(facts.title_words[part.items]), by_mean=True)
    advice = "ask of items that have both, or none"
    for what, has in (("titles", facts.title_words > 0), ("photos", facts.has_photo)):
        have = part.mean(has[part.items].astype(np.float64))
        yield part.test("missing", f"missing {what}", advice, have)
        # Whole outfits often lack photos, while a negative mixes items with and without.
        mixed = ((have > 0) & (have < 1)).astype(np.float64)
        yield part.test("missing", f"{what} that only some items have", advice, mixed)


def _shared_words(part: QuestionSet, facts: ItemFacts) -> tuple[list[str], Floats]:
    """Rare words that positives share most, and pairs of items that share one over all pairs, shape ``(Q,)``."""
    shared = np.zeros(len(part.outfits))
    excess: Counter[str] = Counter()
    for row, outfit in enumerate(part.outfits):
        counts = Counter(word for item_id in outfit for word in facts.rare_words[item_id])
        for word, count in counts.items():
            pairs = count * (count - 1) // 2
            shared[row] += pairs
            excess[word] += pairs if part.positive[row] else -pairs
    most = sorted((word for word, pairs in excess.items() if pairs > 0), key=lambda word: (-excess[word], word))
    return most[:_EXAMPLES], np.round(shared / part.pairs, 9)


def _question_id_tests(part: QuestionSet) -> Iterator[LeakResult]:
    """The id of a question, and its position among the questions."""
    advice = "number questions after shuffling them"
    numbers = np.array([int((re.findall(r"\d+", name) or ["0"])[-1]) for name in part.ids], dtype=np.float64)
    places = np.arange(len(numbers), dtype=np.float64)
    words = [
        (*re.findall(r"[a-z]+", name.lower()), f"id {number % 2}", f"position {position % 2}")
        for name, number, position in zip(part.ids, numbers, places, strict=True)
    ]
    rows = np.repeat(np.arange(len(words)), [len(marks) for marks in words])
    marks = _numbered(word for marks in words for word in marks)
    learned = cross_fitted_auc(rows, marks, part.positive, part.halves)
    yield part.learned("ids", "words and parity of question ids", advice, learned)
    yield part.test("ids", "numbers of question ids", advice, numbers)
    yield part.test("ids", "places of questions", advice, places)


def _item_id_tests(part: QuestionSet, facts: ItemFacts) -> Iterator[LeakResult]:
    """The ids of items: prefixes in common or with the outfit, near numbers, low or high numbers."""
    prefixes, numbers = facts.id_prefix[part.items], facts.id_number[part.items]
    keys, counts = np.unique(part.rows * len(facts.items) + prefixes, return_counts=True)
    pairs = np.bincount(keys // len(facts.items), weights=counts * (counts - 1) / 2, minlength=len(part.outfits))
    order = np.lexsort((numbers, part.rows))
    sizes = np.bincount(part.rows, minlength=len(part.outfits))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # A number is the larger one of as many pairs as there are before it, and the smaller one of the others.
    distances = part.total(numbers[order] * (2 * rank - (sizes[part.rows] - 1)))
    pairs_of_outfits = list(zip(part.outfit_ids, part.outfits, strict=True))
    named = np.array([float(outfit_id in item_id) for outfit_id, outfit in pairs_of_outfits for item_id in outfit])
    tests = {
        "prefixes that item ids share": np.round(pairs / part.pairs, 9) + part.mean(named),
        "numbers of item ids that lie near one another": np.round(distances / part.pairs, 6),
        "low or high numbers of item ids": part.mean(numbers),
    }
    if part.is_fitb:
        tests.popitem()
    for what, scores in tests.items():
        advice = "keep item ids out of prompts and features, as coordi does"
        yield part.test("ids", what, advice, scores, by_mean=True)


def _choice_tests(part: QuestionSet, facts: ItemFacts) -> Iterator[LeakResult]:
    """Positions and categories of candidates, and outfits that training has."""
    starts = np.unique(part.groups, return_index=True)[1]
    position = np.arange(len(part.groups)) - starts[part.groups]
    scores = np.zeros(len(position))
    for training in (part.halves, ~part.halves):
        counts = np.bincount(position[part.positive & training], minlength=int(position.max()) + 1)
        scores[~training] = counts[position[~training]]
    yield part.wins("position", "positions of the true candidate", "shuffle candidates", part.accuracy(scores))
    advice = "draw wrong candidates of the true one's category"
    candidates = np.append(part.rows[1:] != part.rows[:-1], True)
    keys = np.unique(part.rows * len(facts.items) + facts.category[part.items])
    categories: Ints = np.bincount(keys // len(facts.items), minlength=len(part.outfits))
    what = "candidates of a worn category that the outfit lacks"
    yield part.test("categories", what, advice, categories.astype(np.float64))
    for what, labels in (("worn category", facts.category), ("kind", facts.kind)):
        keys = part.groups * len(facts.items) + labels[part.items[candidates]]
        _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
        alone = (counts[inverse] == 1).astype(np.float64)
        yield part.test("categories", f"candidates alone in their {what}", advice, alone)
    if part.split != "train":
        what = "candidates that stood with the outfit's items in training"
        pairs = [sum(name in facts.trained_with.get(outfit[-1], ()) for name in outfit[:-1]) for outfit in part.outfits]
        scores = np.array(pairs, dtype=np.float64)
        yield part.test("items", what, "ask of outfits that training doesn't hold", scores)


def _repeated_questions(part: QuestionSet) -> Iterator[Leak]:
    """Questions about the same items as another, from ``LEAST_REPEATS`` on or if one of them has the other answer."""
    contents = [frozenset(outfit) for outfit in part.outfits]
    times = Counter(contents)
    repeats = len(contents) - len(times)
    contradictions = len(set(zip(contents, part.positive.tolist(), strict=True))) - len(times)
    if repeats >= LEAST_REPEATS * len(contents) or contradictions:
        reached = auc(np.array([float(times[content] > 1) for content in contents]), part.positive)
        reached = max(reached, 1 - reached)
        detail = (
            f"{repeats} of {len(contents)} questions ask of the same items as another, {contradictions} of them with "
            f"the other answer; that a question comes twice tells its answer with AUC {reached:.2f}; ask each once"
        )
        yield Leak("repeats", part.where, detail, auc=reached, count=repeats, chance=0.5)


def _ids_in_texts(dataset: Dataset, texts: Mapping[str, str]) -> Iterator[Leak]:
    """Ids with a digit in them that a model reads; the id of a photo may rightly be the words of its title."""
    outfits: dict[str, list[str]] = defaultdict(list)
    for outfit in dataset.outfits:
        for item_id in outfit.item_ids:
            outfits[item_id].append(outfit.id)
    cases = [
        item_id
        for item_id, text in texts.items()
        if any(_names(text, own) for own in (item_id, *outfits.get(item_id, ())))
    ]
    if cases:
        detail = f"{len(cases)} texts hold the item's or its outfit's id ({_listed(cases)}); leave ids out of prompts"
        yield Leak("ids", "texts", detail, count=len(cases))


def _names(text: str, own: str) -> bool:
    if len(own) < 3 or not re.search(r"\d", own) or own not in text:
        return False
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(own)}(?![A-Za-z0-9])", text) is not None


def _listed(cases: Sequence[str]) -> str:
    more = f" and {len(cases) - _EXAMPLES} more" if len(cases) > _EXAMPLES else ""
    return ", ".join(cases[:_EXAMPLES]) + more


class SplitPair:
    """A split that a model may have learned from or was chosen on, a later one, and questions about the later one."""

    def __init__(self, dataset: Dataset, splits: tuple[Split, Split], sets: Sequence[QuestionSet]) -> None:
        self.first, self.second = splits
        self.earlier, self.later = (dataset.outfits_of(split) for split in splits)
        self.sets = [part for part in sets if part.split == self.second]
        self._items = dataset.items
        self._near = {key for outfit in self.earlier for key in near_keys(self.titles(outfit.item_ids))}
        self._outfits_with: dict[str, set[int]] = defaultdict(set)
        for number, outfit in enumerate(self.earlier):
            for item_id in outfit.item_ids:
                self._outfits_with[item_id].add(number)

    def items_of(self, outfits: Iterable[Outfit]) -> list[Item]:
        """Items of outfits, each once."""
        return [
            self._items[item_id] for item_id in dict.fromkeys(name for outfit in outfits for name in outfit.item_ids)
        ]

    def titles(self, item_ids: Sequence[str]) -> Key:
        """Titles of an outfit, in a fixed order; an item without one counts by its id."""
        return tuple(sorted(words_of(self._items[item_id].title) or ("\0", item_id) for item_id in item_ids))

    def is_recognised(self, item_ids: Sequence[str]) -> float:
        """1 if an earlier outfit has these titles, or nearly, else 0."""
        return float(any(key in self._near for key in near_keys(self.titles(item_ids))))

    def duplicates(self) -> Iterator[Leak]:
        """Outfits with the id, the items or the titles of an earlier outfit, or nearly its titles."""

        def keys(outfit: Outfit) -> set[object]:
            return {outfit.id, frozenset(outfit.item_ids), self.titles(outfit.item_ids)}

        earlier = {key for outfit in self.earlier for key in keys(outfit)}
        same = [outfit.id for outfit in self.later if keys(outfit) & earlier]
        near = [
            outfit.id for outfit in self.later if self.is_recognised(outfit.item_ids) and outfit.id not in set(same)
        ]
        for cases, verb in ((same, "are"), (near, "are nearly")):
            if cases:
                detail = (
                    f"{_share(cases, self.later, f'{self.second} outfits')} {verb} in {self.first}: {_listed(cases)}"
                )
                yield self._with_worth("duplicates", detail, len(cases), self.is_recognised)
        ids = {outfit.id for outfit in self.earlier} if self.first == "train" else set()
        for part in self.sets:
            cases = [outfit_id for outfit_id in part.outfit_ids if outfit_id in ids]
            if cases:
                detail = f"{_share(cases, part.outfits, f'{part.where} questions')} ask of outfits of {self.first}"
                yield self._with_worth("duplicates", detail, len(cases), self.is_recognised, part)

    def shared(self, name: LeakName, matches: Matches, what: str) -> Iterator[Leak]:
        """Items of the second split that match items of the first, if there are any."""
        outfits = {
            item_id: set().union(*(self._outfits_with[name] for name in own)) for item_id, own in matches.items()
        }

        def remembered(item_ids: Sequence[str]) -> float:
            """Largest share of the items whose matches are in one earlier outfit."""
            counts = Counter(number for item_id in item_ids for number in outfits.get(item_id, ()))
            most = max(counts.values(), default=0)
            return most / len(item_ids) if most > 1 else 0.0

        if matches:
            titles = sorted({self._items[item_id].title or item_id for item_id in matches})
            share = _share(matches, self.items_of(self.later), f"{self.second} items")
            yield self._with_worth(name, f"{share} {what}: {_listed(titles)}", len(matches), remembered)

    def _with_worth(
        self, name: LeakName, detail: str, count: int, score: Callable[[Sequence[str]], float],
        part: QuestionSet | None = None,
    ) -> Leak:  # fmt: skip
        """A leak with the AUC of a memoriser that scores a question's items, where it is worth most."""
        reached = {
            part_set.where: auc(np.array([score(outfit) for outfit in part_set.outfits]), part_set.positive)
            for part_set in ([part] if part else self.sets)
        }
        leak = Leak(name, part.where if part else f"{self.first} and {self.second}", detail, count=count)
        if not reached:
            return leak
        where, worth = max(reached.items(), key=lambda pair: pair[1])
        detail = f"{detail}; a memoriser of them gets AUC {max(worth, 0.5):.2f} on '{where}'"
        return replace(leak, detail=detail, auc=max(worth, 0.5), chance=0.5)


def _share(cases: Sized, total: Sized, unit: str) -> str:
    return f"{len(cases)} of {len(total)} {unit} ({len(cases) / len(total):.1%})"


def _between_splits(dataset: Dataset, sets: Sequence[QuestionSet], photos: bool, progress: Progress) -> Iterator[Leak]:
    """What two splits share: outfits of every two, items, titles and photos of training and another."""
    present = [split for split in SPLITS if dataset.outfits_of(split)]
    pairs = [SplitPair(dataset, splits, sets) for splits in combinations(present, 2)]
    for pair in pairs:
        yield from pair.duplicates()
    with_training = [pair for pair in pairs if pair.first == "train"]
    for pair in with_training:
        earlier, later = pair.items_of(pair.earlier), pair.items_of(pair.later)
        ids = {item.id for item in earlier}
        yield from pair.shared("items", {item.id: (item.id,) for item in later if item.id in ids}, "are in train too")
        same, near = matches_by_title(earlier, later)
        yield from pair.shared("titles", same, "have a title that train has")
        yield from pair.shared("titles", near, "have nearly a title that train has (a word or its position differs)")
    if not photos or not with_training:
        return
    pictured = {item.id: item for pair in with_training for item in pair.items_of((*pair.earlier, *pair.later))}
    hashes, unreadable = hash_photos(pictured.values(), progress)
    for pair in with_training:
        earlier_hashes, later_hashes = (
            {item.id: hashes[item.id] for item in pair.items_of(part) if item.id in hashes}
            for part in (pair.earlier, pair.later)
        )
        same, near = matches_by_photo(earlier_hashes, later_hashes)
        yield from pair.shared("photos", same, "have a photo that train has")
        yield from pair.shared("photos", near, "have nearly a photo that train has (saved anew)")
    if unreadable:
        detail = f"{len(unreadable)} photos can't be opened, so they weren't compared: {_listed(unreadable)}"
        yield Leak("photos", "photos", detail, count=len(unreadable))


def words_of(title: str) -> tuple[str, ...]:
    """The words of a title without case, punctuation and order, so that equal ones compare as equal."""
    return tuple(sorted(_WORD.findall(title.casefold())))


def near_keys(members: Key) -> list[Key]:
    """The members, and of many also the members without each one: two that share a key are nearly the same."""
    positions = range(len(members) if len(members) >= NEAR_SIZE else 0)
    fewer = [members[:position] + members[position + 1 :] for position in positions]
    return [members, *dict.fromkeys(fewer)] if members else []


def matches_by_title(earlier: Sequence[Item], later: Sequence[Item]) -> tuple[Matches, Matches]:
    """Later items with the same title as an earlier one, whatever its case, and with nearly the same title.

    Nearly the same: the same words in another order or with other punctuation, or all words but one, of titles of
    ``NEAR_SIZE`` words or more. Items without a title match nothing; no item matches itself.

    Returns:
        Each later item is in one of the two at most.
    """
    same = _matches(earlier, later, lambda item: [item.title.casefold()] if item.title else [])
    others = [item for item in later if item.id not in same]
    return same, _matches(earlier, others, lambda item: near_keys(words_of(item.title)))


def _matches(earlier: Iterable[Item], later: Iterable[Item], keys: Callable[[Item], Sequence[object]]) -> Matches:
    by_key: dict[object, list[str]] = defaultdict(list)
    for item in earlier:
        for key in keys(item):
            by_key[key].append(item.id)
    matches = {
        item.id: tuple(dict.fromkeys(name for key in keys(item) for name in by_key.get(key, ()) if name != item.id))
        for item in later
    }
    return {item_id: names for item_id, names in matches.items() if names}


@dataclass(frozen=True, slots=True)
class PhotoHash:
    """What photos are compared by: the SHA-256 of the file, and the mean colours of 8 x 8 fields, shape ``(192,)``."""

    digest: bytes
    colours: NDArray[np.float32]


def hash_photo(path: Path) -> PhotoHash:
    """Read a photo.

    Raises:
        ImageError: If it can't be opened.
    """
    from PIL import Image

    small = np.asarray(open_photo(path).resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float32)
    return PhotoHash(hashlib.sha256(path.read_bytes()).digest(), small.reshape(-1))


def hash_photos(items: Iterable[Item], progress: Progress = no_progress) -> tuple[dict[str, PhotoHash], list[str]]:
    """Read the photos of items, each file once.

    Returns:
        By item id, and the ids of items whose photo can't be opened; items without a photo are in neither.
    """
    photos = {item.id: item.image for item in items if item.image is not None}
    paths = list(dict.fromkeys(photos.values()))
    hashes: dict[Path, PhotoHash | None] = {}
    with ThreadPoolExecutor() as readers:
        for done, (path, photo) in enumerate(zip(paths, readers.map(_hash_or_none, paths), strict=True), start=1):
            hashes[path] = photo
            progress(done, len(paths))
    readable = {item_id: photo for item_id, path in photos.items() if (photo := hashes[path]) is not None}
    return readable, [item_id for item_id in photos if item_id not in readable]


def _hash_or_none(path: Path) -> PhotoHash | None:
    try:
        return hash_photo(path)
    except ImageError:
        return None


def matches_by_photo(earlier: Mapping[str, PhotoHash], later: Mapping[str, PhotoHash]) -> tuple[Matches, Matches]:
    """Later items with the same photo file as an earlier one, and with nearly the same photo; none matches itself."""
    by_digest: dict[bytes, list[str]] = defaultdict(list)
    for item_id, photo in earlier.items():
        by_digest[photo.digest].append(item_id)
    copies = {
        item_id: tuple(name for name in by_digest.get(photo.digest, ()) if name != item_id)
        for item_id, photo in later.items()
    }
    same = {item_id: names for item_id, names in copies.items() if names}
    names, others = list(earlier), [item_id for item_id in later if item_id not in same]
    near: dict[str, list[str]] = defaultdict(list)
    for first, second in near_pairs(list(earlier.values()), [later[item_id] for item_id in others]):
        if names[first] != others[second]:
            near[others[second]].append(names[first])
    return same, {item_id: tuple(matches) for item_id, matches in near.items()}


def near_pairs(earlier: Sequence[PhotoHash], later: Sequence[PhotoHash]) -> Ints:
    """Pairs of nearly the same photo, as positions in both, ascending, shape ``(P, 2)``.

    The root mean square of the differences is compared with the contrast, so that pale photos must be more alike.
    """
    if not earlier or not later:
        return np.zeros((0, 2), dtype=np.int64)
    ours, theirs = (np.stack([photo.colours for photo in part]) - 128 for part in (earlier, later))  # (N, 192)
    limits = [np.maximum(part.std(axis=1), 1) * MAX_DIFFERENCE for part in (ours, theirs)]
    squares = [(part**2).mean(axis=1) for part in (ours, theirs)]
    rows = max(1, _AT_ONCE // len(theirs))
    pairs = []
    for start in range(0, len(ours), rows):
        part = slice(start, start + rows)
        apart = squares[0][part, None] + squares[1] - 2 * (ours[part] @ theirs.T) / ours.shape[1]
        pairs.append(np.argwhere(apart <= np.minimum(limits[0][part, None], limits[1]) ** 2) + np.array([start, 0]))
    return np.concatenate(pairs)
