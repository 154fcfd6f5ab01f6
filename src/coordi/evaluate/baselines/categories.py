"""What categories alone give away: logistic regression on pairs of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from math import fsum

import numpy as np
from numpy.typing import NDArray

from coordi.domain import CompatibilityQuestion, Item
from coordi.errors import require
from coordi.evaluate.baselines.lookup import check_known
from coordi.evaluate.baselines.training import check_both_classes

# Validation AUC on our Maryland split, random and same-category negatives: 0.914 and 0.521 with C = 0.01, 0.903 and
# 0.524 with 0.03, 0.882 and 0.518 with 0.1, 0.821 and 0.499 with 1.
_C = 0.03


class CategoryPairs:
    """Logistic regression on how often each unordered pair of categories occurs in the outfit.

    A pair is counted twice, by worn category (``shoes + top``) and by the source's own kind (``Ankle Booties +
    Blouses``). It sees no title and no photo, so what it gets right is what categories alone give away.
    """

    name = "category-pairs"
    gives_probabilities = True

    def __init__(self, items: Mapping[str, Item], weights: Mapping[str, float], intercept: float) -> None:
        """Take what was learned.

        Args:
            items: By id.
            weights: Of each occurrence of a pair; a pair that isn't in it weighs nothing.
            intercept: Of the regression.
        """
        self._items = items
        self.weights = weights
        self.intercept = intercept

    @classmethod
    def fit(cls, items: Mapping[str, Item], questions: Sequence[CompatibilityQuestion]) -> CategoryPairs:
        """Learn the weights of pairs.

        Args:
            items: By id; kept for scoring.
            questions: Of the training split.

        Raises:
            EvaluationError: If the questions don't hold both classes.
            MissingDependencyError: If scikit-learn isn't installed.
        """
        check_both_classes(cls.name, questions)
        labels = np.array([question.compatible for question in questions], dtype=bool)
        vectorizer = require("sklearn.feature_extraction", "train").DictVectorizer()
        model = require("sklearn.linear_model", "train").LogisticRegression(C=_C, max_iter=2000, tol=1e-6)
        rows = vectorizer.fit_transform([_pair_counts(question.item_ids, items) for question in questions])
        model.fit(rows, labels)
        weights = dict(zip(vectorizer.get_feature_names_out().tolist(), model.coef_[0].tolist(), strict=True))
        return cls(items, weights, float(model.intercept_[0]))

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Probability of "goes together", shape ``(N,)``; pairs never seen in training count nothing.

        Raises:
            EvaluationError: If an item id is unknown.
        """
        logits = self.logits(outfits)
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -500, 500))), dtype=np.float64)

    def logits(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Log odds of "goes together", shape ``(N,)``.

        Raises:
            EvaluationError: If an item id is unknown.
        """
        check_known(outfits, self._items)
        counted = (_pair_counts(outfit, self._items) for outfit in outfits)
        sums = [fsum(self.weights.get(pair, 0.0) * count for pair, count in counts.items()) for counts in counted]
        return np.array(sums, dtype=np.float64) + self.intercept


def _pair_counts(outfit: Sequence[str], items: Mapping[str, Item]) -> dict[str, int]:
    """Pairs in sorted order, so that sums over them round the same whatever the order of the items."""
    worn = [items[item_id] for item_id in outfit]
    counts = Counter(
        f"{name}: {' + '.join(sorted(pair))}"
        for name, words in (("worn", [item.category for item in worn]), ("kind", [item.kind for item in worn]))
        for pair in combinations(words, 2)
        if all(pair)
    )
    return dict(sorted(counts.items()))
