"""Compatibility, fill-in-the-blank and retrieval questions with drawn negatives."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from coordi.data.loading import outfits_for
from coordi.errors import DataError
from coordi.types import (
    FITB_NEGATIVES,
    NEGATIVES,
    SPLITS,
    CompatibilityQuestion,
    Dataset,
    FitbNegatives,
    FitbQuestion,
    GarmentCategory,
    Item,
    Negatives,
    Outfit,
    Split,
)

MIN_SAME_KIND = 4
_QUICK_TRIES = 12

# The number of an outfit within its split, and an item of it.
Occurrence = tuple[int, Item]
Pool = Sequence[Occurrence]


class Candidates:
    """Every occurrence of an item in the outfits of one split, by worn category and by kind."""

    def __init__(self, dataset: Dataset, outfits: Sequence[Outfit]) -> None:
        self._items = dataset.items
        self.everything: Pool = [
            (number, dataset.items[item_id]) for number, outfit in enumerate(outfits) for item_id in outfit.item_ids
        ]
        self._worn = Counter(item.id for _, item in self.everything)
        self._by_category: dict[GarmentCategory | None, list[Occurrence]] = defaultdict(list)
        self._by_kind: dict[tuple[GarmentCategory | None, str], list[Occurrence]] = defaultdict(list)
        self._of_rare_kind: dict[GarmentCategory | None, list[Occurrence]] = defaultdict(list)
        self._outfits_of: dict[str, set[int]] = defaultdict(set)
        for number, item in self.everything:
            self._by_category[item.category].append((number, item))
            self._by_kind[item.category, item.subcategory].append((number, item))
        for number, item in self.everything:
            if len(self._by_kind[item.category, item.subcategory]) <= MIN_SAME_KIND:
                self._of_rare_kind[item.category].append((number, item))
        for number, outfit in enumerate(dataset.outfits):
            for item_id in outfit.item_ids:
                self._outfits_of[item_id].add(number)

    def pools(self, item_id: str, outfit: Outfit, protocol: Negatives) -> tuple[Pool, ...]:
        """Where an item in place of ``item_id`` may come from, best first.

        In place of one of a rare kind comes another of a rare kind where there is one: drawn from the whole category,
        negatives would hold fewer rare kinds than outfits do, which told them apart with AUC 0.59 on Maryland outfits.
        """
        if protocol == "random":
            return (self.everything,)
        item = self._items[item_id]
        same_kind = self._by_kind[item.category, item.subcategory]
        own = (self._items[name] for name in set(outfit.item_ids))
        mine = sum(
            self._worn[one.id] for one in own if (one.category, one.subcategory) == (item.category, item.subcategory)
        )
        others = len(same_kind) - mine
        if others >= MIN_SAME_KIND:
            return same_kind, self._by_category[item.category]
        return self._of_rare_kind[item.category], self._by_category[item.category]

    def of_category(self, item_id: str) -> Pool:
        """Occurrences of all items of an item's worn category, itself included."""
        return self._by_category[self._items[item_id].category]

    def are_together(self, item_ids: Sequence[str]) -> bool:
        """Whether some outfit of any split holds all of them, so that they do go together."""
        return bool(set.intersection(*(self._outfits_of[item_id] for item_id in item_ids)))

    def without(self, outfit: Outfit) -> Taken:
        """Start drawing in place of an outfit's items."""
        return Taken([self._items[item_id] for item_id in outfit.item_ids])


class Taken:
    """What was drawn in place of one outfit's items, so that nothing comes twice."""

    def __init__(self, own: Sequence[Item]) -> None:
        self._ids = {item.id for item in own}
        self._titles = {item.title.casefold() for item in own if item.title}
        self._outfits: set[int] = set()
        self._drawn: list[str] = []

    @property
    def drawn(self) -> tuple[str, ...]:
        """Ids of the items drawn so far, in order."""
        return tuple(self._drawn)

    def draw(self, pool: Pool, generator: np.random.Generator) -> str | None:
        """Draw an item that is new, from an outfit that is new if there is one; None if the pool has no new item."""
        found = self._quick(pool, generator)
        if found is None:
            fresh = [occurrence for occurrence in pool if self._is_new(occurrence[1])]
            better = [occurrence for occurrence in fresh if occurrence[0] not in self._outfits]
            rest = better or fresh
            if not rest:
                return None
            found = rest[int(generator.integers(len(rest)))]
        number, item = found
        self._outfits.add(number)
        self._ids.add(item.id)
        if item.title:
            self._titles.add(item.title.casefold())
        self._drawn.append(item.id)
        return item.id

    def _quick(self, pool: Pool, generator: np.random.Generator) -> Occurrence | None:
        """Most draws are fine at once; only then is the pool gone through."""
        if not pool:
            return None
        for position in generator.integers(len(pool), size=_QUICK_TRIES):
            number, item = pool[int(position)]
            if number not in self._outfits and self._is_new(item):
                return number, item
        return None

    def _is_new(self, item: Item) -> bool:
        return item.id not in self._ids and item.title.casefold() not in self._titles


_STREAM = 113


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Queries with what couldn't be asked.

    Attributes:
        queries: Each with as many candidates; in the outfits' order.
        left_out: Outfits none of whose items has enough others of its category to fill a pool.
        not_drawn: Outfits that could have been asked, over what was asked for.
    """

    queries: tuple[FitbQuestion, ...]
    left_out: int
    not_drawn: int


def draw_retrieval(dataset: Dataset, split: Split, seed: int, pool: int, most: int | None = None) -> Retrieval:
    """Blank one item of each outfit, and hide it in a pool of items of its worn category.

    The blanked item is drawn among those whose category can fill the pool. The others of the pool are of other outfits
    of the split, each occurrence equally likely, never the same item or title twice, and never complete another real
    outfit. The answer's position is uniform. A larger ``most`` asks all that a smaller one asks.

    Args:
        dataset: Where outfits and items are.
        split: Whose outfits are asked; the pool comes from it too.
        seed: Of the run.
        pool: Candidates of each query, the true one included; 2 or more.
        most: At most so many queries, drawn with the seed; all if None.

    Raises:
        DataError: If the split has no outfits.

    References:
        Lin et al., Fashion Outfit Complementary Item Retrieval, 2020, whose pools hold 3,000 items.
    """
    generator = np.random.default_rng([seed, _STREAM, SPLITS.index(split), pool])
    outfits = outfits_for(dataset, split)
    candidates = Candidates(dataset, outfits)
    asked: list[tuple[int, FitbQuestion]] = []
    left_out = 0
    for place in (int(drawn) for drawn in generator.permutation(len(outfits))):
        query = _query(outfits[place], f"{split}-retrieval-{place:06d}", candidates, pool, generator)
        if query is None:
            left_out += 1
        else:
            asked.append((place, query))
    kept = asked if most is None else asked[:most]
    queries = tuple(query for _, query in sorted(kept, key=lambda pair: pair[0]))
    return Retrieval(queries, left_out, len(asked) - len(kept))


def _query(
    outfit: Outfit, name: str, candidates: Candidates, pool: int, generator: np.random.Generator
) -> FitbQuestion | None:
    for position in generator.permutation(len(outfit.item_ids)):
        blank = outfit.item_ids[int(position)]
        rest = [item_id for item_id in outfit.item_ids if item_id != blank]
        wrong = _pool(blank, rest, candidates, candidates.without(outfit), pool - 1, generator)
        if wrong is not None:
            shown = [blank, *wrong]
            order = [int(drawn) for drawn in generator.permutation(len(shown))]
            context = tuple(rest[int(drawn)] for drawn in generator.permutation(len(rest)))
            return FitbQuestion(name, outfit.id, context, tuple(shown[drawn] for drawn in order), order.index(0))
    return None


def _pool(
    blank: str, rest: list[str], candidates: Candidates, taken: Taken, count: int, generator: np.random.Generator
) -> list[str] | None:
    """``count`` items of the blanked one's worn category; None if there are too few."""
    category = candidates.of_category(blank)
    found: list[str] = []
    while len(found) < count:
        drawn = taken.draw(category, generator)
        if drawn is None:
            return None
        if not candidates.are_together([*rest, drawn]):
            found.append(drawn)
    return found


_COMPATIBILITY_STREAM, _BLANK_STREAM, _ORDER_STREAM = 111, 112, 113
_TRIES = 8
_SWAPS: tuple[Negatives, ...] = ("one-swapped", "pairs")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Compatibility:
    """Questions with what couldn't be asked.

    Attributes:
        questions: One positive and one negative of each outfit, in a shuffled order.
        left_out: Outfits without a question, as the split holds no other items to make their negative of.
    """

    questions: tuple[CompatibilityQuestion, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class FillInTheBlank:
    """Questions with what had to give way.

    Attributes:
        questions: One of each outfit, in the outfits' order.
        fallbacks: Wrong candidates of another category, as too few of the same one were there.
    """

    questions: tuple[FitbQuestion, ...]
    fallbacks: int


def compatibility_questions(
    dataset: Dataset, split: Split, protocol: Negatives, seed: int, epoch: int = 0
) -> tuple[CompatibilityQuestion, ...]:
    """One positive and one negative of each outfit; see ``draw_compatibility``, whose count is logged."""
    drawn = draw_compatibility(dataset, split, protocol, seed, epoch)
    if drawn.left_out and epoch == 0:
        _log.warning(
            "%d of %d %s outfits have no %s question: no other outfit has items to put in their place",
            drawn.left_out, len(dataset.outfits_of(split)), split, protocol,
        )  # fmt: skip
    return drawn.questions


def draw_compatibility(dataset: Dataset, split: Split, protocol: Negatives, seed: int, epoch: int = 0) -> Compatibility:
    """Ask of each outfit whether it goes together, and of a negative with as many items.

    A negative holds no item (and no title) of its outfit, no item twice, items of as many different outfits as there
    are, and isn't part of any outfit of the data set. Under ``same-category`` it has the outfit's worn categories.
    Under ``one-swapped`` it holds all but one of the outfit's items, under ``pairs`` one of the positive's two.
    Items, and the questions themselves, are shuffled; ids are numbers after that, so neither tells the answer. A whole
    outfit is asked about in the same shuffled order under every protocol, so that it need be scored only once.

    Args:
        dataset: Where outfits and items are.
        split: Whose outfits are asked; negatives come from it too.
        protocol: Where the negatives' items come from.
        seed: Of the run.
        epoch: Negatives and orders are drawn anew in each.

    Raises:
        DataError: If the split has no outfits, or too few to make any negative.
    """
    streams = (SPLITS.index(split), NEGATIVES.index(protocol), epoch)
    generator = np.random.default_rng([seed, _COMPATIBILITY_STREAM, *streams])
    order = np.random.default_rng([seed, _ORDER_STREAM, SPLITS.index(split), epoch])
    outfits = outfits_for(dataset, split)
    candidates = Candidates(dataset, outfits)
    asked: list[tuple[str, tuple[str, ...], bool]] = []
    for outfit in outfits:
        whole = _shuffled(outfit.item_ids, order)
        positive = _asked_items(outfit, protocol, generator)
        negative = _negative(outfit, positive, candidates, protocol, generator)
        if negative is not None:
            asked.append((outfit.id, _shuffled(positive, generator) if protocol == "pairs" else whole, True))
            asked.append((outfit.id, _shuffled(negative, generator), False))
    if not asked:
        raise DataError(
            f"the {split} split of '{dataset.name}' has {len(outfits)} outfits, too few for {protocol} negatives; "
            "add outfits with other items of the same categories"
        )
    prefix = f"{split}-{protocol}-{epoch}"
    questions = tuple(
        CompatibilityQuestion(f"{prefix}-{number:06d}", *asked[int(drawn)])
        for number, drawn in enumerate(generator.permutation(len(asked)))
    )
    return Compatibility(questions, len(outfits) - len(asked) // 2)


def fill_in_the_blank_questions(
    dataset: Dataset, split: Split, protocol: FitbNegatives, seed: int, choices: int = 4
) -> tuple[FitbQuestion, ...]:
    """One question of each outfit; see ``draw_fill_in_the_blank``, whose count is logged."""
    drawn = draw_fill_in_the_blank(dataset, split, protocol, seed, choices)
    if drawn.fallbacks:
        _log.warning(
            "%d of %d wrong candidates of the %s split are of another category: too few of the same one are there",
            drawn.fallbacks, len(drawn.questions) * (choices - 1), split,
        )  # fmt: skip
    return drawn.questions


def draw_fill_in_the_blank(
    dataset: Dataset, split: Split, protocol: FitbNegatives, seed: int, choices: int = 4
) -> FillInTheBlank:
    """Blank one item of each outfit, every one equally likely, and hide it among wrong candidates.

    Wrong candidates are of other outfits, never the same item or title twice, and never complete another real outfit.
    The answer's position is uniform.

    Args:
        dataset: Where outfits and items are.
        split: Whose outfits are asked; candidates come from it too.
        protocol: Where wrong candidates come from.
        seed: Of the run.
        choices: Candidates, the true one included.

    Raises:
        DataError: If the split has no outfits, or fewer other items than wrong candidates.
    """
    streams = (SPLITS.index(split), FITB_NEGATIVES.index(protocol), choices)
    generator = np.random.default_rng([seed, _BLANK_STREAM, *streams])
    outfits = outfits_for(dataset, split)
    candidates = Candidates(dataset, outfits)
    questions = []
    fallbacks = 0
    for number, outfit in enumerate(outfits):
        blank = outfit.item_ids[int(generator.integers(len(outfit.item_ids)))]
        wrong = _wrong_candidates(outfit, blank, candidates, protocol, generator, choices - 1)
        if len(wrong) < choices - 1:
            raise DataError(
                f"the {split} split of '{dataset.name}' has {len(wrong)} items of other outfits, too few for "
                f"{choices} choices; add outfits or set evaluate.choices={len(wrong) + 1}"
            )
        if protocol == "same-category":
            fallbacks += sum(dataset.items[name].category != dataset.items[blank].category for name in wrong)
        shown = _shuffled((blank, *wrong), generator)
        rest = _shuffled((name for name in outfit.item_ids if name != blank), generator)
        question_id = f"{split}-{protocol}-blank-{number:06d}"
        questions.append(FitbQuestion(question_id, outfit.id, rest, shown, shown.index(blank)))
    return FillInTheBlank(tuple(questions), fallbacks)


def _asked_items(outfit: Outfit, protocol: Negatives, generator: np.random.Generator) -> tuple[str, ...]:
    """The items that the positive asks about: all, or two of them."""
    return _shuffled(outfit.item_ids, generator)[:2] if protocol == "pairs" else outfit.item_ids


def _negative(
    outfit: Outfit,
    positive: tuple[str, ...],
    candidates: Candidates,
    protocol: Negatives,
    generator: np.random.Generator,
) -> tuple[str, ...] | None:
    for _ in range(_TRIES):
        drawn = _redraw(outfit, positive, candidates, protocol, generator)
        if drawn is not None and not candidates.are_together(drawn):
            return drawn
        if drawn is None and protocol not in _SWAPS:
            return None
    return None


def _redraw(
    outfit: Outfit,
    positive: tuple[str, ...],
    candidates: Candidates,
    protocol: Negatives,
    generator: np.random.Generator,
) -> tuple[str, ...] | None:
    """An item of another outfit in place of each item; of the same outfit as an earlier one only if need be."""
    taken = candidates.without(outfit)
    swapped = [positive[int(generator.integers(len(positive)))]] if protocol in _SWAPS else positive
    for item_id in swapped:
        pools = candidates.pools(item_id, outfit, protocol)
        drawn = next((found for pool in pools if (found := taken.draw(pool, generator)) is not None), None)
        if drawn is None:
            return None
    return (*(item_id for item_id in positive if item_id not in swapped), *taken.drawn)


def _wrong_candidates(
    outfit: Outfit,
    blank: str,
    candidates: Candidates,
    protocol: FitbNegatives,
    generator: np.random.Generator,
    count: int,
) -> tuple[str, ...]:
    taken = candidates.without(outfit)
    pools = (*candidates.pools(blank, outfit, protocol), candidates.everything)
    rest = [name for name in outfit.item_ids if name != blank]
    wrong: list[str] = []
    while len(wrong) < count:
        found = next((name for pool in pools if (name := taken.draw(pool, generator)) is not None), None)
        if found is None:
            break
        if not candidates.are_together([*rest, found]):
            wrong.append(found)
    return tuple(wrong)


def _shuffled(item_ids: Iterable[str], generator: np.random.Generator) -> tuple[str, ...]:
    ordered: Sequence[str] = tuple(item_ids)
    return tuple(ordered[int(position)] for position in generator.permutation(len(ordered)))
