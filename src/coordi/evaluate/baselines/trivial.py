"""Scorers that know nothing of how clothes go together: a draw, the number of items, their order, their popularity.

Whatever the first three get right beyond chance is a leak in the questions.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.domain import CompatibilityQuestion, Item, Outfit
from coordi.errors import EvaluationError, require
from coordi.evaluate.baselines.lookup import check_known, said
from coordi.evaluate.baselines.training import check_both_classes

# Weak: a shuffled order has nothing in it that many weights could fit, and a leak shows all the same.
_ORDER_C = 0.1


class Chance:
    """A draw per outfit, from what its items are called and the seed: 0.5 AUC, whatever the questions.

    The same clothes get the same draw in any order and under any ids.
    """

    name = "chance"
    gives_probabilities = False

    def __init__(self, items: Mapping[str, Item], seed: int) -> None:
        self._items = items
        self._seed = seed

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Draws in ``[0, 1)``, shape ``(N,)``.

        Raises:
            EvaluationError: If an item id is unknown.
        """
        check_known(outfits, self._items)
        return np.array([self._draw(outfit) for outfit in outfits], dtype=np.float64)

    def _draw(self, outfit: Sequence[str]) -> float:
        words = repr((self._seed, sorted(said(self._items[item_id]) for item_id in outfit)))
        return int.from_bytes(hashlib.sha256(words.encode()).digest()[:6], "big") / 2**48


class Size:
    """Log odds of "goes together" by number of items alone.

    Constant where sizes tell nothing, as in all protocols that coordi draws: a negative has as many items as its
    outfit. A release's own questions may be drawn otherwise.
    """

    name = "size"
    gives_probabilities = False

    def __init__(self, items: Mapping[str, Item], log_odds: Mapping[int, float]) -> None:
        self._items = items
        self._log_odds = log_odds

    @classmethod
    def fit(cls, items: Mapping[str, Item], questions: Sequence[CompatibilityQuestion]) -> Size:
        """Count compatible and incompatible questions by number of items, one of each added.

        Raises:
            EvaluationError: If the questions don't hold both classes.
        """
        check_both_classes(cls.name, questions)
        counts = Counter((len(question.item_ids), question.compatible) for question in questions)
        sizes = {size for size, _ in counts}
        return cls(items, {size: float(np.log((counts[size, True] + 1) / (counts[size, False] + 1))) for size in sizes})

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Log odds, shape ``(N,)``; 0 for a size that training never saw.

        Raises:
            EvaluationError: If an item id is unknown.
        """
        check_known(outfits, self._items)
        return np.array([self._log_odds.get(len(outfit), 0.0) for outfit in outfits], dtype=np.float64)


class Order:
    """Logistic regression on the order alone in which items are asked: a leak alarm.

    For each pair of items of different categories, by worn category and by the source's own kind, the feature says
    which of the two stands first, as +1 or -1; that both are there says nothing by itself. On shuffled questions it is
    at chance. The release lists top, bottom, shoes, ..., so questions that keep that order are answered by it.
    """

    name = "order"
    gives_probabilities = True

    def __init__(self, items: Mapping[str, Item], vectorizer: Any, model: Any) -> None:
        self._items = items
        self._vectorizer = vectorizer
        self._model = model

    @classmethod
    def fit(cls, items: Mapping[str, Item], questions: Sequence[CompatibilityQuestion]) -> Order:
        """Learn which orders compatible questions are asked in.

        Args:
            items: By id; kept for scoring.
            questions: Of the training split, in the order they are asked in.

        Raises:
            EvaluationError: If the questions don't hold both classes, or no question two categories.
            MissingDependencyError: If scikit-learn isn't installed.
        """
        check_both_classes(cls.name, questions)
        labels = np.array([question.compatible for question in questions], dtype=bool)
        features = [_order_features(question.item_ids, items) for question in questions]
        if not any(features):
            raise EvaluationError(
                f"{cls.name} needs outfits with items of two categories, got none in {len(questions)} training "
                "questions; use a data set with outfits of several categories"
            )
        vectorizer = require("sklearn.feature_extraction", "train").DictVectorizer()
        model = require("sklearn.linear_model", "train").LogisticRegression(
            C=_ORDER_C, fit_intercept=False, max_iter=2000, tol=1e-6
        )
        return cls(items, vectorizer, model.fit(vectorizer.fit_transform(features), labels))

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Probability of "goes together", shape ``(N,)``; 0.5 where no two categories differ.

        Raises:
            EvaluationError: If an item id is unknown.
        """
        if not outfits:
            return np.zeros(0)
        check_known(outfits, self._items)
        rows = self._vectorizer.transform([_order_features(outfit, self._items) for outfit in outfits])
        return np.asarray(self._model.predict_proba(rows)[:, 1], dtype=np.float64)


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


def _order_features(outfit: Sequence[str], items: Mapping[str, Item]) -> dict[str, int]:
    worn = [items[item_id] for item_id in outfit]
    sums: Counter[str] = Counter()
    for name, words in (("worn", [item.category for item in worn]), ("kind", [item.kind for item in worn])):
        for first, second in combinations(words, 2):
            if first and second and first != second:
                low, high = sorted((first, second))
                sums[f"{name}: {low} before {high}"] += 1 if first == low else -1
    return {pair: total for pair, total in sorted(sums.items()) if total}


def _keys(item: Item) -> tuple[tuple[str, str], ...]:
    """What an item is counted under, its kind last."""
    title = (("title", item.title.casefold()),) if item.title else ()
    return (("id", item.id), *title, ("kind", item.kind or item.category))
