"""Category pairs, text similarity and title similarity of outfits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.data.questions import compatibility_questions, draw_compatibility
from coordi.errors import EvaluationError, require
from coordi.evaluate.metrics import roc_auc
from coordi.evaluate.scoring import OutfitScorer
from coordi.types import CompatibilityQuestion, Dataset, Item, Negatives


def check_known(outfits: Sequence[Sequence[str]], items: Mapping[str, object]) -> None:
    """Refuse ids that nothing is known of.

    Raises:
        EvaluationError: If an item id is unknown, with how many are and the first of them.
    """
    unknown = sorted({item_id for outfit in outfits for item_id in outfit if item_id not in items})
    if unknown:
        raise EvaluationError(
            f"{len(unknown)} item ids aren't in the data set, such as '{unknown[0]}'; "
            f"accepted are the ids of its {len(items)} items"
        )


def source_words(item: Item) -> tuple[str | None, str, str]:
    """What the source says of an item; two items that are told alike are one to a baseline that sees no photo."""
    return item.category, item.subcategory, item.title.casefold()


TRAINING_PROTOCOLS: tuple[Negatives, ...] = ("random", "same-category")
"""Whose negatives are learned from, half and half."""


def epoch_questions(dataset: Dataset, seed: int, epoch: int) -> dict[Negatives, tuple[CompatibilityQuestion, ...]]:
    """The training questions of one epoch by training protocol; negatives are drawn anew in each.

    Raises:
        DataError: If the training split has no outfits, or too few to make any negative.
    """
    return {name: draw_compatibility(dataset, "train", name, seed, epoch).questions for name in TRAINING_PROTOCOLS}


def training_questions(dataset: Dataset, seed: int, epochs: int) -> tuple[CompatibilityQuestion, ...]:
    """The training questions of the first epochs, of all training protocols; outfits without one are logged.

    Raises:
        DataError: If the training split has no outfits, or too few to make any negative.
    """
    return tuple(
        question
        for epoch in range(epochs)
        for name in TRAINING_PROTOCOLS
        for question in compatibility_questions(dataset, "train", name, seed, epoch)
    )


def validation_questions(dataset: Dataset, seed: int, draws: int = 1) -> tuple[tuple[CompatibilityQuestion, ...], ...]:
    """The validation questions of each training protocol.

    Args:
        dataset: With a validation split.
        seed: Of the negatives.
        draws: How often negatives are drawn; the first are the very ones that an evaluation with this seed asks.

    Raises:
        DataError: If the validation split has no outfits, or too few to make any negative.
    """
    return tuple(
        tuple(
            question
            for epoch in range(draws)
            for question in draw_compatibility(dataset, "valid", name, seed, epoch).questions
        )
        for name in TRAINING_PROTOCOLS
    )


def mean_auc(scorer: OutfitScorer, parts: Sequence[Sequence[CompatibilityQuestion]]) -> float:
    """Mean AUC over sets of questions, by which baselines are chosen; each set needs both classes."""
    return float(
        np.mean(
            [
                roc_auc(
                    scorer.score([question.item_ids for question in part]),
                    np.array([question.compatible for question in part]),
                )
                for part in parts
            ]
        )
    )


def check_both_classes(name: str, questions: Sequence[CompatibilityQuestion]) -> None:
    """Refuse questions that nothing can be learned from.

    Raises:
        EvaluationError: If the questions don't hold both classes.
    """
    compatible = sum(question.compatible for question in questions)
    if compatible in (0, len(questions)):
        raise EvaluationError(
            f"{name} needs compatible and incompatible training questions, got {compatible} compatible of "
            f"{len(questions)}; use a data set with training outfits"
        )


Vectors = Mapping[str, NDArray[np.float32]]

# How many training items of a category weigh as much as the mean of all.
_SHRINKAGE = 10


@dataclass(frozen=True, slots=True)
class CategoryMeans:
    """What all things of a category have in common, as mean vectors of training items.

    The mean of a category is shrunk towards that of all, as a few items don't tell theirs.

    Attributes:
        overall: Of all training items, ``(D,)``; None if none has a vector.
        by_category: Of each worn category that was seen, ``(D,)``.

    References:
        Mu and Viswanath, All-but-the-Top: Simple and Effective Postprocessing for Word Representations, 2018; Liang et
        al., Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive Representation Learning, 2022.
    """

    overall: NDArray[np.float64] | None
    by_category: Mapping[str, NDArray[np.float64]]

    @classmethod
    def learn(cls, vectors: Vectors, items: Mapping[str, Item], learned: Collection[str]) -> CategoryMeans:
        """Average the vectors of training items.

        Args:
            vectors: Of unit length, by item id, from one encoder and of one kind (photos or texts: each lies apart).
            items: By id.
            learned: Ids of the items of training outfits; only those of them that have a vector are averaged.
        """
        groups: dict[str | None, list[NDArray[np.float32]]] = defaultdict(list)
        for item_id in learned:
            if item_id in vectors:
                groups[items[item_id].category].append(vectors[item_id])
        everything = [row for rows in groups.values() for row in rows]
        if not everything:
            return cls(None, {})
        overall: NDArray[np.float64] = np.asarray(np.mean(everything, axis=0, dtype=np.float64))  # (D,)
        return cls(
            overall,
            {
                category: np.asarray((np.sum(rows, axis=0) + _SHRINKAGE * overall) / (len(rows) + _SHRINKAGE))
                for category, rows in groups.items()
                if category is not None
            },
        )

    def centred(self, vectors: Vectors, items: Mapping[str, Item]) -> dict[str, NDArray[np.float32]]:
        """Take off the mean vector of each item's worn category and make what is left unit length.

        All bags look and read alike; what is left tells one from another. A vector that equals its mean becomes zero:
        alike to nothing.
        """
        if self.overall is None:
            return dict(vectors)
        means, overall = self.by_category, self.overall
        return {
            item_id: _unit(row - means.get(items[item_id].category or "", overall)) for item_id, row in vectors.items()
        }


def centred(vectors: Vectors, items: Mapping[str, Item], learned: Collection[str]) -> dict[str, NDArray[np.float32]]:
    """Vectors without what is common to their category in training outfits; see ``CategoryMeans``."""
    return CategoryMeans.learn(vectors, items, learned).centred(vectors, items)


def _unit(row: NDArray[np.float64]) -> NDArray[np.float32]:
    length = np.linalg.norm(row)
    return np.asarray(row / length if length > 1e-6 else np.zeros_like(row), dtype=np.float32)


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
        for name, words in (
            ("worn", [item.category or "" for item in worn]),
            ("kind", [item.subcategory for item in worn]),
        )
        for pair in combinations(words, 2)
        if all(pair)
    )
    return dict(sorted(counts.items()))


class TitleCosine:
    """Mean cosine of the items' titles and kinds over all pairs, as TF-IDF vectors of words: alike words, alike style.

    The source's own kind is read as if it ended the title. An item without either is alike to nothing, and an outfit of
    fewer than two items scores 0.
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
            training_items: Whose titles and kinds are counted.

        Raises:
            EvaluationError: If no training title has a word of two letters or more: kinds alone are no titles.
            MissingDependencyError: If scikit-learn isn't installed.
        """
        vectorizer = _new_vectorizer()
        words_of = vectorizer.build_analyzer()
        if not any(words_of(item.title) for item in training_items):
            raise EvaluationError(
                f"{cls.name} found no word in the titles of {len(training_items)} training items; "
                "use a data set with titles"
            )
        vectorizer.fit([_words(item) for item in training_items])
        return cls(items, vectorizer)

    @classmethod
    def of(cls, items: Mapping[str, Item], rarity: Mapping[str, float]) -> TitleCosine:
        """One that was fitted before.

        Args:
            items: By id; kept for scoring.
            rarity: What ``rarity`` gave then.

        Raises:
            MissingDependencyError: If scikit-learn isn't installed.
        """
        vectorizer = _new_vectorizer(vocabulary=list(rarity))
        vectorizer.idf_ = np.array(list(rarity.values()), dtype=np.float64)
        return cls(items, vectorizer)

    @property
    def rarity(self) -> dict[str, float]:
        """Inverse document frequency of each word that was learned, in the order of the words."""
        words = self._vectorizer.get_feature_names_out().tolist()
        return dict(zip(words, self._vectorizer.idf_.tolist(), strict=True))

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Mean cosine in ``[0, 1]``, shape ``(N,)``.

        Raises:
            EvaluationError: If an item id is unknown.
        """
        check_known(outfits, self._items)
        # In the order of what is written, so that sums round the same whatever the order of the items.
        told = [sorted(_words(self._items[item_id]) for item_id in outfit) for outfit in outfits]
        places = {words: place for place, words in enumerate(sorted({words for outfit in told for words in outfit}))}
        if not places:
            return np.zeros(len(outfits))
        vectors = self._vectorizer.transform(list(places))  # (U, words), unit length or zero
        lengths = np.array([len(outfit) for outfit in told])
        columns = [places[words] for outfit in told for words in outfit]
        held = require("scipy.sparse", "train").csr_matrix(
            (np.ones(len(columns)), columns, np.concatenate([[0], np.cumsum(lengths)])), shape=(len(told), len(places))
        )  # (N, U), how often each outfit holds each wording
        total = held @ vectors  # (N, words)
        whole = np.asarray(total.multiply(total).sum(axis=1)).ravel()
        own = held @ np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()
        return _of_pairs(whole, own, lengths)


def _new_vectorizer(**options: Any) -> Any:
    return require("sklearn.feature_extraction.text", "train").TfidfVectorizer(sublinear_tf=True, **options)


def _words(item: Item) -> str:
    return f"{item.title} {item.subcategory}"


class VectorCosine:
    """Mean cosine of the items' vectors over all pairs, whatever the vectors are of.

    Fits nothing. An outfit of fewer than two items scores 0.
    """

    gives_probabilities = False

    def __init__(self, name: str, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Take vectors.

        Args:
            name: For reports.
            vectors: Of unit length, by item id.
        """
        self.name = name
        self._vectors = vectors

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Mean cosine in ``[-1, 1]``, shape ``(N,)``.

        Raises:
            EvaluationError: If an item id is unknown or has no vector.
        """
        check_known(outfits, self._vectors)
        lengths = np.array([len(outfit) for outfit in outfits], dtype=np.intp)
        whole, own = np.zeros(len(outfits)), np.zeros(len(outfits))
        known = {item_id: self._vectors[item_id] for outfit in outfits for item_id in outfit}
        order = {item_id: row.tobytes() for item_id, row in known.items()}
        filled = np.flatnonzero(lengths)
        if filled.size:
            # In an order of their own, so that sums round the same whatever the order of the items.
            ordered = [known[item_id] for outfit in outfits for item_id in sorted(outfit, key=order.__getitem__)]
            rows = np.stack(ordered).astype(np.float64)  # (sum of lengths, D)
            starts = np.concatenate([[0], np.cumsum(lengths[filled])[:-1]])
            whole[filled] = np.square(np.add.reduceat(rows, starts)).sum(axis=1)
            own[filled] = np.add.reduceat(np.square(rows).sum(axis=1), starts)
        return _of_pairs(whole, own, lengths)


def _of_pairs(whole: NDArray[np.float64], own: NDArray[np.float64], lengths: NDArray[np.intp]) -> NDArray[np.float64]:
    """Mean cosine over the pairs of each outfit, ``(N,)``; 0 where there is no pair.

    Args:
        whole: Squared length of the sum of an outfit's vectors, holding each pair twice and each vector with itself.
        own: Sum of the squared lengths of its vectors.
        lengths: How many items it has.
    """
    return np.asarray((whole - own) / np.maximum(lengths * (lengths - 1), 1) * (lengths > 1), dtype=np.float64)
