"""Scorers that know nothing of how clothes go together: a draw, and how popular the items are."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from coordi.domain import Item, Outfit
from coordi.errors import EvaluationError
from coordi.evaluate.baselines.lookup import check_known, said


class Chance:
    """A draw per outfit, from what its items are called and the seed: 0.5 AUC and 1 / C accuracy, whatever is asked.

    The same items get the same draw in any order and under any ids. Items of which the same is said, such as those
    without a title, are told apart by their places among all items: equal draws would be ties, which are misses.
    """

    name = "chance"
    gives_probabilities = False

    def __init__(self, items: Mapping[str, Item], seed: int) -> None:
        said_of = {item_id: said(item) for item_id, item in items.items()}
        often = Counter(said_of.values())
        self._told = {
            item_id: (*words, place if often[words] > 1 else -1)
            for place, (item_id, words) in enumerate(said_of.items())
        }
        self._seed = seed

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Draws in ``[0, 1)``, shape ``(N,)``.

        Raises:
            EvaluationError: If an item id is unknown.
        """
        check_known(outfits, self._told)
        return np.array([self._draw(outfit) for outfit in outfits], dtype=np.float64)

    def _draw(self, outfit: Sequence[str]) -> float:
        words = repr((self._seed, sorted(self._told[item_id] for item_id in outfit)))
        return int.from_bytes(hashlib.sha256(words.encode()).digest()[:6], "big") / 2**48


class Popularity:
    """How often the items, and their kinds, are worn in training outfits.

    The mean over items of ``log(1 + outfits with the item) + log(1 + outfits with its kind)``. An item is one that
    has the same id or the same title; its kind is its worn category where the source has no finer one.
    """

    name = "popularity"
    gives_probabilities = False

    def __init__(self, items: Mapping[str, Item], worn: Mapping[tuple[str, str], int]) -> None:
        self._items = items
        self._worn = worn

    @classmethod
    def fit(cls, items: Mapping[str, Item], outfits: Sequence[Outfit]) -> Popularity:
        """Count in how many training outfits each item, title and kind is.

        Raises:
            EvaluationError: If there are no outfits.
        """
        if not outfits:
            raise EvaluationError(f"{cls.name} needs training outfits, got 0; use a data set with training outfits")
        worn = Counter(
            key for outfit in outfits for key in {key for name in outfit.item_ids for key in _keys(items[name])}
        )
        return cls(items, worn)

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Mean popularity, 0 or more, shape ``(N,)``; 0 for an outfit without items.

        Raises:
            EvaluationError: If an item id is unknown.
        """
        check_known(outfits, self._items)
        values = [sorted(self._popularity(self._items[item_id]) for item_id in outfit) for outfit in outfits]
        return np.array([sum(one) / max(len(one), 1) for one in values], dtype=np.float64)

    def _popularity(self, item: Item) -> float:
        *same, kind = (self._worn.get(key, 0) for key in _keys(item))
        return float(np.log1p(max(same)) + np.log1p(kind))


def _keys(item: Item) -> tuple[tuple[str, str], ...]:
    """What an item is counted under, its kind last."""
    title = (("title", item.title.casefold()),) if item.title else ()
    return (("id", item.id), *title, ("kind", item.kind or item.category))
