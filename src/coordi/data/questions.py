"""Compatibility, fill-in-the-blank and retrieval questions with drawn negatives."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from coordi.data.loading import outfits_for
from coordi.data.source import shuffled
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
    RandomStream,
    Split,
)

MIN_SAME_KIND = 4
_QUICK_TRIES = 12
_TRIES = 8
_SWAPS: tuple[Negatives, ...] = ("one-swapped", "pairs")
_log = logging.getLogger(__name__)

# The number of an outfit within its split, and an item of it.
Occurrence = tuple[int, Item]
Pool = Sequence[Occurrence]


Question = TypeVar("Question", CompatibilityQuestion, FitbQuestion)


@dataclass(frozen=True, slots=True)
class Drawn(Generic[Question]):
    """Drawn questions: shuffled, a positive and a negative of each outfit; or blanks, one of each, in the outfits'
    order. ``left_out`` outfits have too few other items for a question; ``fallbacks`` are wrong candidates of another
    category.
    """

    questions: tuple[Question, ...]
    left_out: int = 0
    fallbacks: int = 0


class ItemPools:
    """Every occurrence of an item in the outfits of one split, by garment category and by kind."""

    def __init__(self, dataset: Dataset, outfits: Sequence[Outfit]) -> None:
        self.items = dataset.items
        self.everything: Pool = [
            (number, dataset.items[item_id]) for number, outfit in enumerate(outfits) for item_id in outfit.item_ids
        ]
        self._occurrences = Counter(item.id for _, item in self.everything)
        self.by_category: dict[GarmentCategory | None, list[Occurrence]] = defaultdict(list)
        self._by_kind: dict[tuple[GarmentCategory | None, str], list[Occurrence]] = defaultdict(list)
        self._of_rare_kind: dict[GarmentCategory | None, list[Occurrence]] = defaultdict(list)
        self._outfits_with: dict[str, set[int]] = defaultdict(set)
        for number, item in self.everything:
            self.by_category[item.category].append((number, item))
            self._by_kind[item.category, item.subcategory].append((number, item))
        for number, item in self.everything:
            if len(self._by_kind[item.category, item.subcategory]) <= MIN_SAME_KIND:
                self._of_rare_kind[item.category].append((number, item))
        for number, outfit in enumerate(dataset.outfits):
            for item_id in outfit.item_ids:
                self._outfits_with[item_id].add(number)

    def replacements(self, item_id: str, outfit: Outfit, negatives: Negatives) -> tuple[Pool, ...]:
        """Pools from which an item may be replaced, best first. A rare kind is replaced by a rare kind: with fewer of
        them in negatives than in outfits, they answered with AUC 0.59 on Maryland outfits.
        """
        if negatives == "random":
            return (self.everything,)
        item = self.items[item_id]
        same_kind = self._by_kind[item.category, item.subcategory]
        own = sum(
            self._occurrences[name]
            for name in set(outfit.item_ids)
            if (self.items[name].category, self.items[name].subcategory) == (item.category, item.subcategory)
        )
        if len(same_kind) - own >= MIN_SAME_KIND:
            return same_kind, self.by_category[item.category]
        return self._of_rare_kind[item.category], self.by_category[item.category]

    def share_an_outfit(self, item_ids: Sequence[str]) -> bool:
        """Whether an outfit of any split holds all of them, so that they do go together."""
        return bool(set.intersection(*(self._outfits_with[item_id] for item_id in item_ids)))

    def sampler(self, outfit: Outfit) -> NegativeSampler:
        """Start to replace an outfit's items."""
        return NegativeSampler([self.items[item_id] for item_id in outfit.item_ids])


class NegativeSampler:
    """Draws replacements of one outfit's items, so that no item or title comes twice."""

    def __init__(self, own: Sequence[Item]) -> None:
        self._ids = {item.id for item in own}
        self._titles = {item.title.casefold() for item in own if item.title}
        self._outfits: set[int] = set()
        self.drawn: list[str] = []

    def draw(self, pools: Iterable[Pool], generator: np.random.Generator) -> str | None:
        """An item that is new, from an outfit that is new if there is one; None if no pool has a new item."""
        for pool in pools:
            # Most draws succeed at once; only the others look at the whole pool.
            positions = generator.integers(len(pool), size=_QUICK_TRIES) if pool else ()
            quick = (pool[int(position)] for position in positions)
            drawn = next((pair for pair in quick if pair[0] not in self._outfits and self._is_new(pair[1])), None)
            if drawn is None:
                fresh = [occurrence for occurrence in pool if self._is_new(occurrence[1])]
                choices = [occurrence for occurrence in fresh if occurrence[0] not in self._outfits] or fresh
                drawn = choices[int(generator.integers(len(choices)))] if choices else None
            if drawn is not None:
                number, item = drawn
                self._outfits.add(number)
                self._ids.add(item.id)
                self._titles |= {item.title.casefold()} - {""}
                self.drawn.append(item.id)
                return item.id
        return None

    def _is_new(self, item: Item) -> bool:
        return item.id not in self._ids and item.title.casefold() not in self._titles


def compatibility_questions(
    dataset: Dataset, split: Split, negatives: Negatives, seed: int, epoch: int = 0
) -> tuple[CompatibilityQuestion, ...]:
    """One positive and one negative of each outfit; see ``draw_compatibility``, whose count is logged."""
    drawn = draw_compatibility(dataset, split, negatives, seed, epoch)
    if drawn.left_out and epoch == 0:
        _log.warning(
            "%d of %d %s outfits have no %s question: no other outfit has items to put in their place",
            drawn.left_out, len(dataset.outfits_of(split)), split, negatives,
        )  # fmt: skip
    return drawn.questions


def draw_compatibility(
    dataset: Dataset, split: Split, negatives: Negatives, seed: int, epoch: int = 0
) -> Drawn[CompatibilityQuestion]:
    """Draw a positive and a negative of each outfit. A negative has as many items as its outfit but none of them (and
    no title of them), no item twice, items of as many different outfits as possible, and isn't part of any outfit of
    the data set. Under ``same-category`` it has the outfit's garment categories; under ``one-swapped`` all but one of
    its items, under ``pairs`` one of the positive's two. Ids are numbered after shuffling, so that they don't reveal
    the answer. An outfit's shuffled order is the same under every kind of negatives, so that it need be scored only
    once; epochs differ. Raises DataError if the split has no outfits, or too few to make any negative.
    """
    streams = (SPLITS.index(split), NEGATIVES.index(negatives), epoch)
    generator = np.random.default_rng([seed, RandomStream.COMPATIBILITY, *streams])
    order = np.random.default_rng([seed, RandomStream.ITEM_ORDER, SPLITS.index(split), epoch])
    outfits = outfits_for(dataset, split)
    pools = ItemPools(dataset, outfits)
    drawn: list[tuple[str, tuple[str, ...], bool]] = []
    for outfit in outfits:
        ordered = shuffled(outfit.item_ids, order)
        pair = negatives == "pairs"
        positive = shuffled(outfit.item_ids, generator)[:2] if pair else outfit.item_ids
        negative = _negative(outfit, positive, pools, negatives, generator)
        if negative is not None:
            drawn.append((outfit.id, shuffled(positive, generator) if pair else ordered, True))
            drawn.append((outfit.id, shuffled(negative, generator), False))
    if not drawn:
        raise DataError(
            f"the {split} split of '{dataset.name}' has {len(outfits)} outfits, too few for {negatives} negatives; "
            "add outfits with other items of the same categories"
        )
    prefix = f"{split}-{negatives}-{epoch}"
    questions = tuple(
        CompatibilityQuestion(f"{prefix}-{number:06d}", *drawn[int(position)])
        for number, position in enumerate(generator.permutation(len(drawn)))
    )
    return Drawn(questions, len(outfits) - len(drawn) // 2)


def _negative(
    outfit: Outfit, positive: tuple[str, ...], pools: ItemPools, negatives: Negatives, generator: np.random.Generator
) -> tuple[str, ...] | None:
    """Items of other outfits for all items of the positive, or for one of them; None if there are none."""
    for _ in range(_TRIES):
        sampler = pools.sampler(outfit)
        swapped = [positive[int(generator.integers(len(positive)))]] if negatives in _SWAPS else positive
        complete = all(sampler.draw(pools.replacements(name, outfit, negatives), generator) for name in swapped)
        items = (*(name for name in positive if name not in swapped), *sampler.drawn)
        if complete and not pools.share_an_outfit(items):
            return items
        if not complete and negatives not in _SWAPS:
            return None
    return None


def fill_in_the_blank_questions(
    dataset: Dataset, split: Split, negatives: FitbNegatives, seed: int, choices: int = 4
) -> tuple[FitbQuestion, ...]:
    """One question of each outfit; see ``draw_fill_in_the_blank``, whose count is logged."""
    drawn = draw_fill_in_the_blank(dataset, split, negatives, seed, choices)
    if drawn.fallbacks:
        _log.warning(
            "%d of %d wrong candidates of the %s split are of another category: too few of the same one are there",
            drawn.fallbacks, len(drawn.questions) * (choices - 1), split,
        )  # fmt: skip
    return drawn.questions


def draw_fill_in_the_blank(
    dataset: Dataset, split: Split, negatives: FitbNegatives, seed: int, choices: int = 4
) -> Drawn[FitbQuestion]:
    """Blank one item of each outfit, every one equally likely, and hide it among wrong candidates at a uniform
    position. They are of other outfits, never the same item or title twice, and never complete another real outfit.
    Raises DataError if the split has no outfits, or fewer other items than wrong candidates.
    """
    streams = (SPLITS.index(split), FITB_NEGATIVES.index(negatives), choices)
    generator = np.random.default_rng([seed, RandomStream.FITB, *streams])
    outfits = outfits_for(dataset, split)
    pools = ItemPools(dataset, outfits)
    questions = []
    fallbacks = 0
    for number, outfit in enumerate(outfits):
        blank = outfit.item_ids[int(generator.integers(len(outfit.item_ids)))]
        context = [name for name in outfit.item_ids if name != blank]
        replacements = (*pools.replacements(blank, outfit, negatives), pools.everything)
        wrong = _wrong_candidates(context, replacements, pools, pools.sampler(outfit), choices - 1, generator)
        if len(wrong) < choices - 1:
            raise DataError(
                f"the {split} split of '{dataset.name}' has {len(wrong)} items of other outfits, too few for "
                f"{choices} choices; add outfits or set evaluate.choices={len(wrong) + 1}"
            )
        if negatives == "same-category":
            fallbacks += sum(dataset.items[name].category != dataset.items[blank].category for name in wrong)
        candidates = shuffled((blank, *wrong), generator)
        question_id = f"{split}-{negatives}-blank-{number:06d}"
        items = shuffled(context, generator)
        questions.append(FitbQuestion(question_id, outfit.id, items, candidates, candidates.index(blank)))
    return Drawn(tuple(questions), fallbacks=fallbacks)


def _wrong_candidates(
    context: Sequence[str], replacements: Sequence[Pool], pools: ItemPools, sampler: NegativeSampler, count: int,
    generator: np.random.Generator,
) -> list[str]:  # fmt: skip
    """At most ``count`` items that don't complete a real outfit; fewer if there are no more."""
    wrong: list[str] = []
    while len(wrong) < count:
        item_id = sampler.draw(replacements, generator)
        if item_id is None:
            break
        if not pools.share_an_outfit([*context, item_id]):
            wrong.append(item_id)
    return wrong


def draw_retrieval(
    dataset: Dataset, split: Split, seed: int, pool: int, most: int | None = None
) -> Drawn[FitbQuestion]:
    """Blank one item of each outfit, and hide it in a pool of items of its garment category, as Lin et al., 2020
    (Fashion Outfit Complementary Item Retrieval), do with 3,000. The blanked item is drawn among those whose category
    can fill the pool, which counts it too. The others are of other outfits of the split, each occurrence equally
    likely, never the same item or title twice, and never complete another real outfit. The answer's position is
    uniform. A larger ``most`` gives all queries of a smaller one. Raises DataError if the split has no outfits.
    """
    generator = np.random.default_rng([seed, RandomStream.RETRIEVAL, SPLITS.index(split), pool])
    outfits = outfits_for(dataset, split)
    pools = ItemPools(dataset, outfits)
    if all(len(occurrences) < pool for occurrences in pools.by_category.values()):
        return Drawn((), len(outfits))
    drawn: list[tuple[int, FitbQuestion]] = []
    for number in (int(position) for position in generator.permutation(len(outfits))):
        query = _query(outfits[number], f"{split}-retrieval-{number:06d}", pools, pool, generator)
        if query is not None:
            drawn.append((number, query))
    queries = tuple(query for _, query in sorted(drawn[:most], key=lambda pair: pair[0]))
    return Drawn(queries, len(outfits) - len(drawn))


def _query(
    outfit: Outfit, name: str, pools: ItemPools, size: int, generator: np.random.Generator
) -> FitbQuestion | None:
    for position in generator.permutation(len(outfit.item_ids)):
        blank = outfit.item_ids[int(position)]
        context = [item_id for item_id in outfit.item_ids if item_id != blank]
        wrong = _wrong_candidates(
            context, [pools.by_category[pools.items[blank].category]], pools, pools.sampler(outfit), size - 1, generator
        )
        if len(wrong) == size - 1:
            candidates = shuffled((blank, *wrong), generator)
            items = shuffled(context, generator)
            return FitbQuestion(name, outfit.id, items, candidates, candidates.index(blank))
    return None
