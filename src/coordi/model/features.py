"""Features of outfits that need no language model: category pairs, embedding similarity and title similarity."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.config import PromptSettings
from coordi.encoders.base import ImageTextEncoder
from coordi.encoders.labels import Vocabulary
from coordi.errors import EvaluationError, require
from coordi.prompts import item_text
from coordi.types import GARMENT_CATEGORIES, Description, GarmentCategory, Item, Label

CATEGORY_PAIRS, SIMILARITY, TITLE_SIMILARITY = "category-pairs", "sentence-cosine", "title-cosine"

Group = tuple[GarmentCategory | None, bool]
"""A garment category, and whether its items have a title."""
GroupSums = Mapping[Group, tuple[int, NDArray[np.float64]]]
"""Number of items of each group, and the sum of their text embeddings ``(D,)``."""
Embed = Callable[[Sequence[Item]], NDArray[np.float32]]
"""Embeddings of items, unit length or zero, shape ``(N, D)``."""

# Number of training items of a category that weigh as much as the mean of all.
_SHRINKAGE = 10
# Attributes whose labels a photo's text combines with the garment type.
_PHOTO_ATTRIBUTES = ("colour", "pattern", "material")
# Validation AUC on our Maryland split, random and same-category negatives: 0.914 and 0.521 with C = 0.01, 0.903 and
# 0.524 with 0.03, 0.882 and 0.518 with 0.1, 0.821 and 0.499 with 1.
_PAIRS_C = 0.03


@dataclass(frozen=True, slots=True)
class CategoryCentering:
    """Mean embedding per garment category, subtracted before similarity is computed.

    All bags look and read alike; what is left after centring tells one bag from another. The mean of a category is
    shrunk towards the mean of all items, because a few items don't determine it.

    Attributes:
        overall: Mean of all training items, ``(D,)``; None leaves embeddings as they are.
        by_group: Mean of each group, ``(D,)``; a group that is absent has the overall mean.

    References:
        Mu and Viswanath, All-but-the-Top: Simple and Effective Postprocessing for Word Representations, 2018; Liang et
        al., Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive Representation Learning, 2022.
    """

    overall: NDArray[np.float64] | None = None
    by_group: Mapping[Group, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def learn(cls, items: Sequence[Item], embeddings: NDArray[np.float32]) -> CategoryCentering:
        """Average embeddings by category, of items with a title and without one alike.

        Args:
            items: Of training outfits, each once.
            embeddings: Unit length, of one encoder and one kind (photos or texts), shape ``(N, D)``.
        """
        if not items:
            return cls()
        rows: dict[GarmentCategory | None, list[NDArray[np.float32]]] = defaultdict(list)
        for item, row in zip(items, embeddings, strict=True):
            rows[item.category].append(row)
        overall = np.asarray(
            np.mean([row for group in rows.values() for row in group], axis=0, dtype=np.float64)
        )  # (D,)
        means = {
            category: np.asarray((np.sum(group, axis=0) + _SHRINKAGE * overall) / (len(group) + _SHRINKAGE))
            for category, group in rows.items()
        }
        return cls.by_category(overall, means)

    @classmethod
    def by_category(
        cls, overall: NDArray[np.float64] | None, means: Mapping[GarmentCategory | None, NDArray[np.float64]]
    ) -> CategoryCentering:
        """Use one mean per category for items with a title and without one."""
        groups = {(category, titled): mean for category, mean in means.items() for titled in (True, False)}
        return cls(overall, groups)

    def with_photo_only(
        self, vocabulary: Vocabulary, prompt: PromptSettings, encoder: ImageTextEncoder
    ) -> CategoryCentering:
        """Give items without a title means of their own.

        Their texts consist of labels, so they share words and brackets. The mean is over the texts of every garment
        type of a category with every colour, pattern and material.

        Args:
            vocabulary: Its labels describe photos.
            prompt: How an item becomes a text.
            encoder: Of texts.
        """
        if self.overall is None:
            return self
        groups: dict[Group, NDArray[np.float64]] = {(None, True): self.overall, (None, False): self.overall}
        for category in GARMENT_CATEGORIES:
            groups[category, True] = self.mean((category, True))
            texts = _photo_texts(category, vocabulary, prompt)
            groups[category, False] = np.asarray(encoder.encode_texts(texts).mean(axis=0), dtype=np.float64)
        return CategoryCentering(self.overall, groups)

    def for_catalogue(self, sums: GroupSums) -> CategoryCentering:
        """Shift the means by the items of a catalogue, whose titles share words that say nothing of style.

        It raises the AUC of the bundled model on sources that it wasn't trained on: 300 Chictopia looks from 0.694 to
        0.713 (random negatives) and 0.644 to 0.650 (same category), 200 MANGO outfits without titles from 0.657 to
        0.724 and 0.568 to 0.585. On Maryland it changes nothing (dev/LOG.md).

        Args:
            sums: Of all items of the catalogue; see ``group_sums``.
        """
        if self.overall is None:
            return self
        means = dict(self.by_group)
        for titled in (True, False):
            own = {group: sums[group] for group in sums if group[1] is titled}
            total = sum(count for count, _ in own.values())
            if not total:
                continue
            # First what all items differ by, as far as their number shows it, then each category.
            shift = sum(rows - count * self.mean(group) for group, (count, rows) in own.items()) / (total + _SHRINKAGE)
            means |= {group: mean + shift for group, mean in self.by_group.items() if group[1] is titled}
            for group, (count, rows) in own.items():
                prior = means.get(group, self.overall + shift)
                means[group] = (rows + _SHRINKAGE * prior) / (count + _SHRINKAGE)
        return CategoryCentering(self.overall, means)

    def mean(self, group: Group) -> NDArray[np.float64]:
        """Mean of a group, ``(D,)``."""
        if self.overall is None:
            raise ValueError("no means were learned")
        return self.by_group.get(group, self.overall)

    def centre(self, items: Sequence[Item], embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Subtract each item's mean and normalise, shape ``(N, D)``; a row that equals its mean becomes zero."""
        if self.overall is None or not items:
            return embeddings
        means = np.stack([self.mean((item.category, bool(item.title))) for item in items])  # (N, D)
        rows = embeddings - means
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)  # (N, 1)
        return np.asarray(np.where(lengths > 1e-6, rows / np.maximum(lengths, 1e-6), 0), dtype=np.float32)


def group_sums(items: Sequence[Item]) -> dict[Group, tuple[int, NDArray[np.float64]]]:
    """Number of items and sum of text embeddings of each group, for ``CategoryCentering.for_catalogue``."""
    rows: dict[Group, list[NDArray[np.float32]]] = defaultdict(list)
    for item in items:
        rows[item.category, bool(item.title)].append(item.text_embedding)
    return {group: (len(own), np.stack(own).sum(axis=0, dtype=np.float64)) for group, own in rows.items()}


def text_embeddings(items: Sequence[Item]) -> NDArray[np.float32]:
    """Text embeddings of described items, shape ``(N, T)``."""
    return np.stack([item.text_embedding for item in items]) if items else np.zeros((0, 0), dtype=np.float32)


class CategoryPairs:
    """Logistic regression on how often each unordered pair of categories occurs in an outfit.

    A pair counts twice, by garment category (``shoes + top``) and by subcategory (``Ankle Booties + Blouses``). It
    reads no title and no photo, so its accuracy is what categories alone give away.
    """

    name = CATEGORY_PAIRS
    gives_probabilities = True

    def __init__(self, weights: Mapping[str, float], intercept: float) -> None:
        """Use fitted weights; a pair without a weight counts nothing."""
        self.weights = weights
        self.intercept = intercept

    @classmethod
    def fit(cls, outfits: Sequence[Sequence[Item]], labels: NDArray[np.bool_]) -> CategoryPairs:
        """Fit the weights of pairs.

        Args:
            outfits: Training outfits and their negatives, N of them.
            labels: True for real outfits, ``(N,)``.

        Raises:
            EvaluationError: If the labels don't hold both classes.
            MissingDependencyError: If scikit-learn isn't installed.
        """
        check_both_classes(cls.name, labels)
        vectorizer = require("sklearn.feature_extraction", "train").DictVectorizer()
        model = require("sklearn.linear_model", "train").LogisticRegression(C=_PAIRS_C, max_iter=2000, tol=1e-6)
        model.fit(vectorizer.fit_transform([_pair_counts(outfit) for outfit in outfits]), labels)
        weights = dict(zip(vectorizer.get_feature_names_out().tolist(), model.coef_[0].tolist(), strict=True))
        return cls(weights, float(model.intercept_[0]))

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Probability that the items are worn together, shape ``(N,)``."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.logits(outfits), -500, 500))), dtype=np.float64)

    def logits(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Log odds that the items are worn together, shape ``(N,)``."""
        sums = [
            fsum(self.weights.get(pair, 0.0) * count for pair, count in _pair_counts(outfit).items())
            for outfit in outfits
        ]
        return np.array(sums, dtype=np.float64) + self.intercept


class TitleSimilarity:
    """Mean cosine over all pairs of an outfit's items, as TF-IDF vectors of the words of title and subcategory.

    An item without words has similarity 0 to all others, and an outfit of fewer than two items scores 0.
    """

    name = TITLE_SIMILARITY
    gives_probabilities = False

    def __init__(self, vectorizer: Any) -> None:
        """Use a fitted TF-IDF vectorizer of scikit-learn."""
        self._vectorizer = vectorizer

    @classmethod
    def fit(cls, items: Sequence[Item]) -> TitleSimilarity:
        """Count words.

        Args:
            items: Of training outfits, each once.

        Raises:
            EvaluationError: If no title has a word of two letters or more: subcategories alone are no titles.
            MissingDependencyError: If scikit-learn isn't installed.
        """
        vectorizer = _new_vectorizer()
        words_of = vectorizer.build_analyzer()
        if not any(words_of(item.title) for item in items):
            raise EvaluationError(
                f"{cls.name} found no word in the titles of {len(items)} training items; use a data set with titles"
            )
        return cls(vectorizer.fit([_words(item) for item in items]))

    @classmethod
    def from_idf(cls, idf: Mapping[str, float]) -> TitleSimilarity:
        """Restore a fitted one from the inverse document frequency of its words.

        Raises:
            MissingDependencyError: If scikit-learn isn't installed.
        """
        vectorizer = _new_vectorizer(vocabulary=list(idf))
        vectorizer.idf_ = np.array(list(idf.values()), dtype=np.float64)
        return cls(vectorizer)

    @property
    def idf(self) -> dict[str, float]:
        """Inverse document frequency of each word, in the order of the words."""
        words = self._vectorizer.get_feature_names_out().tolist()
        return dict(zip(words, self._vectorizer.idf_.tolist(), strict=True))

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Mean cosine in ``[0, 1]``, shape ``(N,)``."""
        # Sorted, so that sums round the same whatever the order of the items.
        phrases = [sorted(_words(item) for item in outfit) for outfit in outfits]
        columns_of = {words: n for n, words in enumerate(sorted({words for outfit in phrases for words in outfit}))}
        if not columns_of:
            return np.zeros(len(outfits))
        vectors = self._vectorizer.transform(list(columns_of))  # (U, words), unit length or zero
        sizes = np.array([len(outfit) for outfit in phrases])
        columns = [columns_of[words] for outfit in phrases for words in outfit]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        counts = require("scipy.sparse", "train").csr_matrix(
            (np.ones(len(columns)), columns, starts), shape=(len(phrases), len(columns_of))
        )  # (N, U)
        total = counts @ vectors  # (N, words)
        square_of_sum = np.asarray(total.multiply(total).sum(axis=1)).ravel()
        sum_of_squares = counts @ np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()
        return _mean_over_pairs(square_of_sum, sum_of_squares, sizes)


class EmbeddingSimilarity:
    """Mean cosine over all pairs of an outfit's items, of any embeddings; needs no fitting.

    An outfit of fewer than two items scores 0.

    Args:
        name: For reports.
        embed: Centred embeddings of items.
    """

    gives_probabilities = False

    def __init__(self, name: str, embed: Embed) -> None:
        self.name = name
        self._embed = embed

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Mean cosine in ``[-1, 1]``, shape ``(N,)``."""
        unique = {id(item): item for outfit in outfits for item in outfit}
        embeddings = self._embed(list(unique.values()))  # (U, D)
        row_of = {key: (row.tobytes(), n) for n, (key, row) in enumerate(zip(unique, embeddings, strict=True))}
        sizes = np.array([len(outfit) for outfit in outfits], dtype=np.intp)
        square_of_sum, sum_of_squares = np.zeros(len(outfits)), np.zeros(len(outfits))
        filled = np.flatnonzero(sizes)
        if filled.size:
            # Sorted by content, so that sums round the same whatever the order of the items.
            order = [n for outfit in outfits for _, n in sorted(row_of[id(item)] for item in outfit)]
            rows = embeddings[order].astype(np.float64)  # (sum of sizes, D)
            starts = np.concatenate([[0], np.cumsum(sizes[filled])[:-1]])
            square_of_sum[filled] = np.square(np.add.reduceat(rows, starts)).sum(axis=1)
            sum_of_squares[filled] = np.add.reduceat(np.square(rows).sum(axis=1), starts)
        return _mean_over_pairs(square_of_sum, sum_of_squares, sizes)


def check_both_classes(name: str, labels: NDArray[np.bool_]) -> None:
    """Refuse labels that nothing can be learned from.

    Raises:
        EvaluationError: If they don't hold both classes.
    """
    compatible = int(labels.sum())
    if compatible in (0, len(labels)):
        raise EvaluationError(
            f"{name} needs compatible and incompatible training questions, got {compatible} compatible of "
            f"{len(labels)}; use a data set with training outfits"
        )


def _mean_over_pairs(
    square_of_sum: NDArray[np.float64], sum_of_squares: NDArray[np.float64], sizes: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Mean cosine over the pairs of each outfit, ``(N,)``: the square of a sum holds each pair twice."""
    pairs = np.maximum(sizes * (sizes - 1), 1)
    return np.asarray((square_of_sum - sum_of_squares) / pairs * (sizes > 1), dtype=np.float64)


def _pair_counts(outfit: Sequence[Item]) -> dict[str, int]:
    # The prefixes are keys of the file in which an ensemble is saved.
    counts = Counter(
        f"{prefix}: {' + '.join(sorted(pair))}"
        for prefix, names in (
            ("worn", [item.category or "" for item in outfit]),
            ("kind", [item.subcategory for item in outfit]),
        )
        for pair in combinations(names, 2)
        if all(pair)
    )
    return dict(sorted(counts.items()))


def _photo_texts(category: GarmentCategory, vocabulary: Vocabulary, prompt: PromptSettings) -> list[str]:
    """Texts of a category's garment types, each with every label of the other attributes."""
    types = [
        (name, entry.text)
        for name, attribute in vocabulary.attributes.items()
        for entry in attribute.labels
        if entry.category == category
    ]
    labels = [
        (name, entry.text)
        for name in _PHOTO_ATTRIBUTES
        if name in vocabulary.attributes
        for entry in vocabulary.attributes[name].labels
    ]
    item = Item("", "", category)
    pairs = [(type_, label) for type_ in types or [("", "")] for label in labels or [("", "")]]
    attributes = [{name: (Label(label, 1.0),) for name, label in pair if name} for pair in pairs]
    return [item_text(item, Description("", row), prompt) for row in attributes]


def _new_vectorizer(**options: Any) -> Any:
    return require("sklearn.feature_extraction.text", "train").TfidfVectorizer(sublinear_tf=True, **options)


def _words(item: Item) -> str:
    return f"{item.title} {item.subcategory}"
