"""Tests that answer questions from features that know nothing of clothes; a p-value is how often chance does so."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from coordi.errors import DataError
from coordi.types import CompatibilityQuestion, Dataset, FitbQuestion, RandomStream, Split

LeakName = Literal[
    "order", "ids", "size", "balance", "repeats", "popularity", "words", "lengths", "missing", "position", "categories",
    "duplicates", "items", "titles", "photos", "unaudited",
]  # fmt: skip
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

ADVICE: Mapping[LeakName, str] = {
    "order": "shuffle the items of every question",
    "ids": "number questions after shuffling them, and keep ids out of prompts and features, as coordi does",
    "size": "make negatives as long as positives",
    "balance": "ask as many of each answer, or read AUC rather than accuracy",
    "popularity": "draw negatives from occurrences in outfits, so that items and kinds are as frequent in them",
    "words": "judge whether they are style or sellers who show their own goods",
    "lengths": "draw negatives among items with as long titles",
    "missing": "ask of items that have both, or none",
    "position": "shuffle candidates",
    "categories": "draw wrong candidates of the true one's category",
    "items": "ask of outfits that training doesn't hold",
}
ALPHA = 0.01
LEAST_GAIN = 0.02
"""A smaller gain over chance isn't reported, however sure it is: models differ by more."""
RARE = 0.02
"""A word is rare if at most this share of the titles has it: brands and sellers do, colours and garments don't.
In the Maryland data "topshop" is in 1.2% of the titles, "yoins" in 1.7%, "black" in 7% and "leather" in 10%."""
MAX_ROWS = 200_000
"""Candidates of blanks that are tested; of more, the first questions are."""
_EXAMPLES = 3
_SHUFFLES = 10
_WORD = re.compile(r"\w+")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Leak:
    """One way in which answers leak, or one thing that two splits share.

    Attributes:
        name: What leaks, or is shared (docs/method.md); ``unaudited`` is no leak: it names sets too small to test.
        where: The questions (their key, with ``blanks`` after it for blanks), the splits, or ``"texts"``.
        auc: What a classifier reaches that uses only this, in ``[0.5, 1]``; None where it answers no such question.
        accuracy: Share of blanks (or, for ``balance``, of questions) answered with only this; None elsewhere.
        chance: What guessing reaches of ``accuracy``, else of ``auc``; None where neither is given.
        visible: Whether a model reads it: False for ids and the order of questions, which coordi gives to no scorer.
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
    """How well one feature (``what``, a plural) answers questions that it should not answer, and what chance does."""

    name: LeakName
    where: str
    what: str
    measure: Literal["AUC", "accuracy"]
    reached: float
    chance: float
    p_value: float

    def is_significant(self, tests: int) -> bool:
        """Whether it holds among so many tests of the same questions (Bonferroni), and is large enough to matter."""
        return self.reached - self.chance >= LEAST_GAIN and self.p_value * tests < ALPHA


def significant_leaks(results: Sequence[LeakResult]) -> list[Leak]:
    """The significant results as leaks: one per name and questions, with the figure of the strongest. Leaks that no
    model can read are reported once for all questions of a kind.
    """
    tests = Counter(result.where for result in results)
    groups: dict[tuple[str, str], list[LeakResult]] = defaultdict(list)
    for result in results:
        if result.is_significant(tests[result.where]):
            groups[result.name, result.measure if result.name == "ids" else result.where].append(result)
    return [_leak(group) for group in groups.values()]


def _leak(results: Sequence[LeakResult]) -> Leak:
    best, *others = sorted(results, key=lambda result: result.chance - result.reached)
    weaker = {other.what: other for other in reversed(others) if other.what != best.what}
    also = "".join(f"; so do {other.what} ({other.measure} {other.reached:.2f})" for other in reversed(weaker.values()))
    figure = f"{best.measure} {best.reached:.2f}, where {best.chance:.2f} is chance"
    return Leak(
        best.name,
        ", ".join(dict.fromkeys(result.where for result in results)),
        f"{best.what} tell the answer: {figure}{also}; {ADVICE[best.name]}",
        auc=best.reached if best.measure == "AUC" else None,
        accuracy=best.reached if best.measure == "accuracy" else None,
        chance=best.chance,
        visible=best.name != "ids",
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
    log = math.lgamma
    terms = (
        log(questions + 1) - log(won + 1) - log(questions - won + 1)
        + won * math.log(chance) + (questions - won) * math.log1p(-chance)
        for won in range(wins, questions + 1)
    )  # fmt: skip
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def sign_flip_p(values: Floats, positive: Flags, groups: Ints) -> float:
    """Two-sided p-value of a permutation test that swaps the answers within each group, shapes ``(Q,)``; an outfit and
    its negative are a group. The sum of random signs is nearly normal: its standard deviation replaces permutations.
    """
    parts = np.bincount(groups, weights=(values - values.mean()) * (positive - positive.mean()))
    spread = math.sqrt(float((parts**2).sum()))
    return min(1.0, 2 * normal_tail(abs(float(parts.sum())) / spread)) if spread > 1e-12 else 1.0


def cross_fitted_auc(rows: Ints, marks: Ints, positive: Flags, halves: Flags, opposite: Ints | None = None) -> float:
    """Mean AUC of naive Bayes on binary features: each half of the questions is scored by a model of the other half.
    ``rows`` and ``marks`` are the question and feature of each mark, ``(N,)``; repeats count once. A half with only one
    answer counts 0.5. ``opposite`` gives the mark that replaces each; then only which of the two there is counts.
    """
    width = int(marks.max(initial=0)) + 1 if opposite is None else len(opposite)
    rows, marks = np.divmod(np.unique(rows * width + marks), width)
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
    """Questions of one name as arrays. A blank has one row for each candidate: the outfit's others, the candidate last.

    Attributes:
        split: Of most of the outfits; None if none is in the data set.
        rows: The row of each item, ascending, ``(N,)``.
        items: The item's position in the data set, ``(N,)``.
        positive: Whether a row is compatible, or holds the right candidate, ``(Q,)``.
        groups: Number of the outfit that each row was made of; of a blank, number of the question, ``(Q,)``.
        halves: A random half of the outfits, so that no outfit is both in training and in test, ``(Q,)``.
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

    def test(self, name: LeakName, what: str, scores: Floats, by_mean: bool = False) -> LeakResult:
        """Test a score, shape ``(Q,)``, in whichever direction answers more. ``by_mean`` compares means, not ranks:
        items of one outfit are alike, so means over them spread wider, which moves an AUC without a fault.
        """
        if self.is_fitb:
            return self.wins(name, what, max(self.accuracy(scores), self.accuracy(-scores)), ways=2)
        reached = auc(scores, self.positive)
        p_value = sign_flip_p(scores if by_mean else _ranks(scores), self.positive, self.groups)
        return LeakResult(name, self.where, what, "AUC", max(reached, 1 - reached), 0.5, p_value)

    def learned(self, name: LeakName, what: str, reached: float, chance: float = 0.5) -> LeakResult:
        """Test a held-out AUC against what the same model reaches without the leak. Both halves count as one: on
        shuffled questions the spread is 1.0 to 1.7 times that of independent ones; this allows 1.4.
        """
        positives = int(self.positive.sum())
        negatives = len(self.positive) - positives
        spread = math.sqrt(2 * (positives + negatives + 1) / (12 * positives * negatives))  # Mann and Whitney, 1947
        return LeakResult(name, self.where, what, "AUC", reached, chance, normal_tail((reached - chance) / spread))

    def wins(self, name: LeakName, what: str, reached: float, ways: int = 1) -> LeakResult:
        """Test a share of questions that were answered right, the best of so many ways to answer. Where only the
        position was learned from one half to answer the other, both halves count as one.
        """
        count = self.count // 2 if name == "position" else self.count
        chance = float(np.mean(1 / np.bincount(self.groups))) if self.is_fitb else 0.5
        # A guess among ties wins a part of a question, and parts don't make a binomial: they are rounded down.
        p_value = min(1.0, ways * binomial_tail(int(reached * count + 1e-9), count, chance))
        return LeakResult(name, self.where, what, "accuracy", reached, chance, p_value)


def question_set(name: str, questions: Sequence[CompatibilityQuestion], facts: ItemFacts) -> QuestionSet:
    """Compatibility questions as arrays."""
    outfit_ids = [question.outfit_id for question in questions]
    outfits = [question.item_ids for question in questions]
    groups = _numbered(outfit_ids)
    drawn = np.random.default_rng([RandomStream.AUDIT_HALVES, 1]).permutation(int(groups.max()) + 1)
    return QuestionSet(
        name, facts.split_of(outfit_ids), [question.id for question in questions], outfit_ids, outfits,
        np.repeat(np.arange(len(outfits)), [len(outfit) for outfit in outfits]),
        facts.indices(item_id for outfit in outfits for item_id in outfit),
        np.array([question.compatible for question in questions], dtype=bool),
        groups, np.asarray(drawn[groups] % 2 == 0), is_fitb=False,
    )  # fmt: skip


def fitb_set(name: str, questions: Sequence[FitbQuestion], facts: ItemFacts) -> QuestionSet:
    """Fill-in-the-blank questions as arrays, as many as have ``MAX_ROWS`` candidates together."""
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


def _numbered(labels: Iterable[object]) -> Ints:
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
        """Positions of items in the arrays."""
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
        yield from _size_tests(part)
        yield from _question_id_tests(part)
    yield from _item_tests(part, facts)
    yield from _item_id_tests(part, facts)


def _order_tests(part: QuestionSet, facts: ItemFacts) -> Iterator[LeakResult]:
    labels = facts.category[part.items]
    generator = np.random.default_rng([RandomStream.AUDIT_ORDER, len(part.outfits)])
    shuffles = [np.lexsort((generator.random(len(labels)), part.rows)) for _ in range(_SHUFFLES)]
    for what, features in (("who stands before whom", _pairs_in_order), ("position", _labels_at_positions)):
        # Which categories there are may answer too; that is no leak of the order.
        reached, *shuffled = (
            cross_fitted_auc(marked, marks, part.positive, part.halves, opposite)
            for ordered in (labels, *(labels[order] for order in shuffles))
            for marked, marks, opposite in [features(part.rows, ordered)]
        )
        yield part.learned("order", f"categories by {what}", reached, float(np.mean(shuffled)))
    yield part.test("order", "places in the source", _share_ascending(part, part.items))
    within = facts.outfit_position[part.items]
    yield part.test("order", "places within the items' own outfits", _share_ascending(part, within))


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
    neighbours = part.rows[:-1] == part.rows[1:]
    rows = part.rows[:-1][neighbours]
    count = np.bincount(rows, minlength=len(part.outfits))
    rising = np.bincount(rows, weights=np.sign(np.diff(numbers)[neighbours]), minlength=len(part.outfits))
    return np.round((1 + rising / np.maximum(count, 1)) / 2, 9)


def _size_tests(part: QuestionSet) -> Iterator[LeakResult]:
    sizes = part.sizes
    yield part.test("size", "numbers of items", sizes)
    learned = cross_fitted_auc(np.arange(len(sizes)), sizes.astype(np.int64), part.positive, part.halves)
    yield part.learned("size", "uncommon numbers of items", learned)
    share = float(part.positive.mean())
    yield part.wins("balance", f"{share:.0%} compatible questions", max(share, 1 - share), ways=2)


def _item_tests(part: QuestionSet, facts: ItemFacts) -> Iterator[LeakResult]:
    often, kinds = (part.mean(np.log1p(counts)[part.items]) for counts in (facts.title_count, facts.kind_count))
    yield part.test("popularity", "how often titles are in training outfits", often, by_mean=True)
    whose = "candidates'" if part.is_fitb else "items'"
    yield part.test("popularity", f"how common the {whose} kinds are in training", kinds, by_mean=True)
    words, shared = _shared_words(part, facts)
    yield part.test("words", f"rare words that titles share ({', '.join(words)})", shared)
    yield part.test("lengths", "lengths of titles", part.mean(facts.title_words[part.items]), by_mean=True)
    for what, has in (("titles", facts.title_words > 0), ("photos", facts.has_photo)):
        have = part.mean(has[part.items].astype(np.float64))
        yield part.test("missing", f"missing {what}", have)
        # Whole outfits often lack photos, while a negative mixes items with and without.
        mixed = ((have > 0) & (have < 1)).astype(np.float64)
        yield part.test("missing", f"{what} that only some items have", mixed)


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
    numbers = np.array([int((_DIGITS.findall(name) or ["0"])[-1]) for name in part.ids], dtype=np.float64)
    places = np.arange(len(numbers), dtype=np.float64)
    words = [
        (*re.findall(r"[a-z]+", name.lower()), f"id {number % 2}", f"position {position % 2}")
        for name, number, position in zip(part.ids, numbers, places, strict=True)
    ]
    rows = np.repeat(np.arange(len(words)), [len(marks) for marks in words])
    marks = _numbered(word for marks in words for word in marks)
    learned = cross_fitted_auc(rows, marks, part.positive, part.halves)
    yield part.learned("ids", "words and parity of question ids", learned)
    yield part.test("ids", "numbers of question ids", numbers)
    yield part.test("ids", "places of questions", places)


def _item_id_tests(part: QuestionSet, facts: ItemFacts) -> Iterator[LeakResult]:
    prefixes, numbers = facts.id_prefix[part.items], facts.id_number[part.items]
    keys, counts = np.unique(part.rows * len(facts.items) + prefixes, return_counts=True)
    pairs = np.bincount(keys // len(facts.items), weights=counts * (counts - 1) / 2, minlength=len(part.outfits))
    pairs_of_outfits = list(zip(part.outfit_ids, part.outfits, strict=True))
    named = np.array([float(outfit_id in item_id) for outfit_id, outfit in pairs_of_outfits for item_id in outfit])
    same = np.round(pairs / part.pairs, 9) + part.mean(named)
    yield part.test("ids", "prefixes that item ids share", same, by_mean=True)
    order = np.lexsort((numbers, part.rows))
    sizes = np.bincount(part.rows, minlength=len(part.outfits))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # A number is the larger one of as many pairs as there are before it, and the smaller one of the others.
    distances = np.round(part.total(numbers[order] * (2 * rank - (sizes[part.rows] - 1))) / part.pairs, 6)
    yield part.test("ids", "numbers of item ids that lie near one another", distances, by_mean=True)
    if not part.is_fitb:
        yield part.test("ids", "low or high numbers of item ids", part.mean(numbers), by_mean=True)


def _choice_tests(part: QuestionSet, facts: ItemFacts) -> Iterator[LeakResult]:
    starts = np.unique(part.groups, return_index=True)[1]
    position = np.arange(len(part.groups)) - starts[part.groups]
    scores = np.zeros(len(position))
    for training in (part.halves, ~part.halves):
        counts = np.bincount(position[part.positive & training], minlength=int(position.max()) + 1)
        scores[~training] = counts[position[~training]]
    yield part.wins("position", "positions of the true candidate", part.accuracy(scores))
    keys = np.unique(part.rows * len(facts.items) + facts.category[part.items])
    categories = np.bincount(keys // len(facts.items), minlength=len(part.outfits)).astype(np.float64)
    yield part.test("categories", "candidates of a garment category that the outfit lacks", categories)
    candidates = np.append(part.rows[1:] != part.rows[:-1], True)
    for what, labels in (("garment category", facts.category), ("kind", facts.kind)):
        keys = part.groups * len(facts.items) + labels[part.items[candidates]]
        _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
        yield part.test("categories", f"candidates alone in their {what}", (counts[inverse] == 1).astype(np.float64))
    if part.split != "train":
        pairs = [sum(name in facts.trained_with.get(outfit[-1], ()) for name in outfit[:-1]) for outfit in part.outfits]
        what = "candidates that stood with the outfit's items in training"
        yield part.test("items", what, np.array(pairs, dtype=np.float64))
