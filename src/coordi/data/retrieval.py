"""Complementary item retrieval: which of a larger pool completes an outfit?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coordi.data.candidates import Candidates, Taken
from coordi.data.loading import outfits_for
from coordi.domain import SPLITS, Dataset, FillInTheBlankQuestion, Outfit, Split

_STREAM = 113


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Queries with what couldn't be asked.

    Attributes:
        queries: Each with as many candidates; in the outfits' order.
        left_out: Outfits none of whose items has enough others of its category to fill a pool.
        not_drawn: Outfits that could have been asked, over what was asked for.
    """

    queries: tuple[FillInTheBlankQuestion, ...]
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
    asked: list[tuple[int, FillInTheBlankQuestion]] = []
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
) -> FillInTheBlankQuestion | None:
    for position in generator.permutation(len(outfit.item_ids)):
        blank = outfit.item_ids[int(position)]
        rest = [item_id for item_id in outfit.item_ids if item_id != blank]
        wrong = _pool(blank, rest, candidates, candidates.without(outfit), pool - 1, generator)
        if wrong is not None:
            shown = [blank, *wrong]
            order = [int(drawn) for drawn in generator.permutation(len(shown))]
            context = tuple(rest[int(drawn)] for drawn in generator.permutation(len(rest)))
            return FillInTheBlankQuestion(
                name, outfit.id, context, tuple(shown[drawn] for drawn in order), order.index(0)
            )
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
