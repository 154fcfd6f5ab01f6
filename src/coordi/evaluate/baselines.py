"""What any model must beat: plain scorers of outfits that need no language model and no photo."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.data.questions import compatibility_questions
from coordi.domain import BLANK_PROTOCOLS, CompatibilityQuestion, Dataset, Item
from coordi.errors import EvaluationError, require
from coordi.evaluate.scorer import OutfitScorer

_log = logging.getLogger(__name__)

# Negatives are drawn anew in each pass over the training outfits; a few passes steady the rare pairs' weights.
TRAINING_EPOCHS = 4
# Validation AUC on our Maryland split, random and same-category negatives: 0.914 and 0.521 with C = 0.01, 0.903 and
# 0.524 with 0.03, 0.882 and 0.518 with 0.1, 0.821 and 0.499 with 1.
_C = 0.03


def plain_baselines(dataset: Dataset, seed: int) -> tuple[OutfitScorer, ...]:
    """The plain baselines, fitted on the training split alone.

    Where no item has a title, the one by titles is left out, which is logged.

    Args:
        dataset: Where items and training outfits come from.
        seed: Of the training negatives.

    Raises:
        EvaluationError: If the training split has no questions.
        MissingDependencyError: If scikit-learn isn't installed.
    """
    questions = [
        question
        for epoch in range(TRAINING_EPOCHS)
        for protocol in BLANK_PROTOCOLS
        for question in compatibility_questions(dataset, "train", protocol, seed, epoch)
    ]
    train_ids = sorted({item_id for outfit in dataset.outfits_of("train") for item_id in outfit.item_ids})
    scorers: list[OutfitScorer] = [CategoryPairs.fit(dataset.items, questions)]
    try:
        scorers.append(TitleCosine.fit(dataset.items, [dataset.items[item_id] for item_id in train_ids]))
    except EvaluationError as error:
        _log.warning("no baseline by titles: %s", error)
    return tuple(scorers)


class CategoryPairs:
    """Logistic regression on how often each unordered pair of categories occurs in the outfit.

    A pair is counted twice, by worn category (``shoes + top``) and by the source's own kind (``Ankle Booties +
    Blouses``). It sees no title and no photo, so what it gets right is what categories alone give away.
    """

    name = "category-pairs"
    gives_probabilities = True

    def __init__(self, items: Mapping[str, Item], vectorizer: Any, model: Any) -> None:
        self._items = items
        self._vectorizer = vectorizer
        self._model = model

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
        labels = np.array([question.compatible for question in questions], dtype=bool)
        if len(set(labels.tolist())) < 2:
            raise EvaluationError(
                f"{cls.name} needs compatible and incompatible training questions, got {int(labels.sum())} "
                f"compatible of {len(labels)}; use a data set with training outfits"
            )
        vectorizer = require("sklearn.feature_extraction", "train").DictVectorizer()
        model = require("sklearn.linear_model", "train").LogisticRegression(C=_C, max_iter=2000, tol=1e-6)
        rows = vectorizer.fit_transform([_pair_counts(question.item_ids, items) for question in questions])
        return cls(items, vectorizer, model.fit(rows, labels))

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Probability of "goes together", shape ``(N,)``; pairs never seen in training count nothing.

        Raises:
            EvaluationError: If an item id is unknown.
        """
        if not outfits:
            return np.zeros(0)
        _check_known(outfits, self._items)
        rows = self._vectorizer.transform([_pair_counts(outfit, self._items) for outfit in outfits])
        return np.asarray(self._model.predict_proba(rows)[:, 1], dtype=np.float64)


class TitleCosine:
    """Mean cosine of the items' titles over all pairs, as TF-IDF vectors of words: alike words, alike style.

    An item without a title is alike to nothing, and an outfit of fewer than two items scores 0.
    """

    name = "title-cosine"
    gives_probabilities = False

    def __init__(self, items: Mapping[str, Item], vectorizer: Any) -> None:
        self._items = items
        self._vectorizer = vectorizer

    @classmethod
    def fit(cls, items: Mapping[str, Item], training_items: Sequence[Item]) -> TitleCosine:
        """Learn how rare each word is.

        Args:
            items: By id; kept for scoring.
            training_items: Whose titles are counted.

        Raises:
            EvaluationError: If no training title has a word of two letters or more.
            MissingDependencyError: If scikit-learn isn't installed.
        """
        vectorizer = require("sklearn.feature_extraction.text", "train").TfidfVectorizer(sublinear_tf=True)
        try:
            vectorizer.fit([_words(item) for item in training_items])
        except ValueError as error:
            raise EvaluationError(
                f"{cls.name} found no word in the titles and kinds of {len(training_items)} training items; "
                "use a data set with titles"
            ) from error
        return cls(items, vectorizer)

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Mean cosine in ``[0, 1]``, shape ``(N,)``.

        Raises:
            EvaluationError: If an item id is unknown.
        """
        _check_known(outfits, self._items)
        scores = np.zeros(len(outfits))
        for row, outfit in enumerate(outfits):
            # In the order of what is written, so that sums round the same whatever the order of the items.
            words = sorted(_words(self._items[item_id]) for item_id in outfit)
            count = len(words)
            if count < 2:
                continue
            vectors = self._vectorizer.transform(words)  # (count, words), unit length or zero
            cosines = (vectors @ vectors.T).toarray()
            scores[row] = (cosines.sum() - np.trace(cosines)) / (count * (count - 1))
        return scores


def _words(item: Item) -> str:
    return f"{item.title} {item.kind}"


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


def _check_known(outfits: Sequence[Sequence[str]], items: Mapping[str, Item]) -> None:
    unknown = sorted({item_id for outfit in outfits for item_id in outfit if item_id not in items})
    if unknown:
        raise EvaluationError(
            f"{len(unknown)} item ids aren't in the data set, such as '{unknown[0]}'; "
            f"accepted are the ids of its {len(items)} items"
        )
