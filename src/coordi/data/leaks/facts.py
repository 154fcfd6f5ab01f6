"""What is known of each item, and questions as flat arrays over them, so that a check is a line of numpy."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coordi.data.leaks.scores import Flags, Floats, Ints
from coordi.domain import CompatibilityQuestion, Dataset, FillInTheBlankQuestion, Split
from coordi.errors import DataError

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
        return _numbered((item.category, item.kind) for item in self.items)

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
    questions: Sequence[FillInTheBlankQuestion]
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


def flatten_blanks(name: str, questions: Sequence[FillInTheBlankQuestion], facts: Facts) -> AskedBlanks:
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


def _halves(questions: Sequence[CompatibilityQuestion] | Sequence[FillInTheBlankQuestion]) -> Flags:
    outfits = _numbered(question.outfit_id for question in questions)
    drawn = np.random.default_rng([_STREAM, 1]).permutation(int(outfits.max()) + 1)
    return np.asarray(drawn[outfits] % 2 == 0)


def _numbered(labels: Iterable[object]) -> Ints:
    """Numbers from 0 for labels, equal ones for equal labels, in the order of their first appearance."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)


def _longest_number(text: str) -> int:
    return int(max(re.findall(r"\d+", text), key=len, default="0")[:15])
