"""Questions from outfits: which go together, and which item fills the blank. Shuffled, and repeatable by seed.

Negatives and wrong candidates are drawn from the other outfits of the same split, each occurrence of an item in an
outfit equally likely, so that an item is as frequent in negatives as in positives and frequency tells nothing.

- ``random``: any item of another outfit.
- ``same-category``: an item of the same source category (``Item.kind``, "Day Dresses") if at least ``MIN_SAME_KIND``
  others of it are there, so that the same few don't come again and again; else of the same worn category, of a kind
  as rare where there is one.
- ``one-swapped``: the outfit with one item swapped, as ``same-category`` would.
- ``pairs``: two items of an outfit, and the same with one of them swapped, as ``same-category`` would.

References:
    Han et al., Learning Fashion Compatibility with Bidirectional LSTMs, 2017 (random);
    Vasileva et al., Learning Type-Aware Embeddings for Fashion Compatibility, 2018 (same category).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from coordi.data.candidates import Candidates
from coordi.data.loading import outfits_for
from coordi.domain import (
    BLANK_PROTOCOLS,
    PROTOCOLS,
    SPLITS,
    BlankProtocol,
    CompatibilityQuestion,
    Dataset,
    FillInTheBlankQuestion,
    Outfit,
    Protocol,
    Split,
)
from coordi.errors import DataError

_COMPATIBILITY_STREAM, _BLANK_STREAM, _ORDER_STREAM = 111, 112, 113
_TRIES = 8
_SWAPS: tuple[Protocol, ...] = ("one-swapped", "pairs")
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

    questions: tuple[FillInTheBlankQuestion, ...]
    fallbacks: int


def compatibility_questions(
    dataset: Dataset, split: Split, protocol: Protocol, seed: int, epoch: int = 0
) -> tuple[CompatibilityQuestion, ...]:
    """One positive and one negative of each outfit; see ``draw_compatibility``, whose count is logged."""
    drawn = draw_compatibility(dataset, split, protocol, seed, epoch)
    if drawn.left_out and epoch == 0:
        _log.warning(
            "%d of %d %s outfits have no %s question: no other outfit has items to put in their place",
            drawn.left_out, len(dataset.outfits_of(split)), split, protocol,
        )  # fmt: skip
    return drawn.questions


def draw_compatibility(dataset: Dataset, split: Split, protocol: Protocol, seed: int, epoch: int = 0) -> Compatibility:
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
    streams = (SPLITS.index(split), PROTOCOLS.index(protocol), epoch)
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
    dataset: Dataset, split: Split, protocol: BlankProtocol, seed: int, choices: int = 4
) -> tuple[FillInTheBlankQuestion, ...]:
    """One question of each outfit; see ``draw_fill_in_the_blank``, whose count is logged."""
    drawn = draw_fill_in_the_blank(dataset, split, protocol, seed, choices)
    if drawn.fallbacks:
        _log.warning(
            "%d of %d wrong candidates of the %s split are of another category: too few of the same one are there",
            drawn.fallbacks, len(drawn.questions) * (choices - 1), split,
        )  # fmt: skip
    return drawn.questions


def draw_fill_in_the_blank(
    dataset: Dataset, split: Split, protocol: BlankProtocol, seed: int, choices: int = 4
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
    streams = (SPLITS.index(split), BLANK_PROTOCOLS.index(protocol), choices)
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
        questions.append(FillInTheBlankQuestion(question_id, outfit.id, rest, shown, shown.index(blank)))
    return FillInTheBlank(tuple(questions), fallbacks)


def _asked_items(outfit: Outfit, protocol: Protocol, generator: np.random.Generator) -> tuple[str, ...]:
    """The items that the positive asks about: all, or two of them."""
    return _shuffled(outfit.item_ids, generator)[:2] if protocol == "pairs" else outfit.item_ids


def _negative(
    outfit: Outfit,
    positive: tuple[str, ...],
    candidates: Candidates,
    protocol: Protocol,
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
    protocol: Protocol,
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
    protocol: BlankProtocol,
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
