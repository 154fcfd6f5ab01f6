"""Features of outfits that need no language model: category pairs, similarity of texts and titles, and rules."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from math import fsum, log, sqrt
from typing import NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from coordi.config import PromptSettings
from coordi.encoders.base import ImageTextEncoder, sigmoid, unit_vectors
from coordi.encoders.labels import Vocabulary
from coordi.errors import EvaluationError, require
from coordi.prompts import item_text
from coordi.style.agreement import NO_AMOUNTS, RULES, THROUGHOUT, Amounts, FactSets, amounts_of, throughout
from coordi.style.languages import item_in_english
from coordi.types import GARMENT_CATEGORIES, Description, GarmentCategory, Item, Label

CATEGORY_PAIRS, SIMILARITY, TITLE_SIMILARITY = "category-pairs", "sentence-cosine", "title-cosine"
PROJECTED_TEXTS, PROJECTED_PHOTOS = "projected-texts", "projected-photos"

RULE_WEIGHTS: Mapping[str, float] = {f"rule: {name}": weight for name, weight in RULES.items()}
"""A stylist's weight of each rule's feature, whose sign a fit keeps; the names are keys of the file of an ensemble."""

_THROUGHOUT = list(RULES).index(THROUGHOUT)

Group = tuple[GarmentCategory | None, bool]
"""A garment category, and whether its items have a title."""
Sums = Mapping[Group, tuple[int, NDArray[np.float64]]]
"""Number of items of each group, and the sum of their embeddings ``(D,)``."""


class GroupSums(NamedTuple):
    """Sums of a catalogue's embeddings, of texts and of photos."""

    texts: Sums
    photos: Sums


Embed = Callable[[Sequence[Item]], NDArray[np.float32]]
"""Embeddings of items, unit length or zero, shape ``(N, D)``."""
_Key = TypeVar("_Key", bound=Hashable)

_OVERALL, _PROJECTION = "all", "projection"  # names of saved arrays, beside those of garment categories
_WORD = re.compile(r"\b\w\w+\b")
_AT_ONCE = 4096  # outfits, which bounds memory
_SHRINKAGE = 10  # number of training items of a category that weigh as much as the mean of all
_PHOTO_ATTRIBUTES = ("colour", "pattern", "material")  # whose labels a photo's text combines with the garment type
# Validation AUC on our Maryland split, random and same-category negatives: 0.914 and 0.521 with C = 0.01, 0.903 and
# 0.524 with 0.03, 0.882 and 0.518 with 0.1, 0.821 and 0.499 with 1.
_PAIRS_C = 0.03


@dataclass(frozen=True, slots=True)
class CategoryCentering:
    """Mean embedding per garment category, subtracted before similarity is computed: all bags look and read alike. The
    mean of a category is shrunk towards that of all items, which a group that isn't in ``by_group`` has. Without means,
    embeddings stay as they are. See Mu and Viswanath, All-but-the-Top, 2018; Liang et al., Mind the Gap, 2022.
    """

    overall: NDArray[np.float64] | None = None
    by_group: Mapping[Group, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def learn(cls, items: Sequence[Item], embeddings: NDArray[np.float32]) -> CategoryCentering:
        """Average unit embeddings ``(N, D)``, photos' or texts', by category; each item of training outfits once."""
        if not items:
            return cls()
        sums = _sums([item.category for item in items], embeddings)
        overall = np.sum([total for _, total in sums.values()], axis=0) / len(items)  # (D,)
        means = {
            category: (total + _SHRINKAGE * overall) / (count + _SHRINKAGE) for category, (count, total) in sums.items()
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
        """Give items without a title, whose texts are the vocabulary's labels, the mean of their category's texts."""
        if self.overall is None:
            return self
        groups: dict[Group, NDArray[np.float64]] = {(None, True): self.overall, (None, False): self.overall}
        for category in GARMENT_CATEGORIES:
            groups[category, True] = self.mean((category, True))
            texts = _photo_texts(category, vocabulary, prompt)
            groups[category, False] = np.asarray(encoder.encode_texts(texts).mean(axis=0), dtype=np.float64)
        return CategoryCentering(self.overall, groups)

    def for_catalogue(self, sums: Sums) -> CategoryCentering:
        """Shift the means by sums of a catalogue, whose titles share words that say nothing of style. AUC rises
        by 0.006 to 0.067 on sources that the bundled model wasn't trained on; Maryland's stays (dev/LOG.md).
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
        """Mean of a group, ``(D,)``, once means were learned."""
        assert self.overall is not None
        return self.by_group.get(group, self.overall)

    def centre(self, items: Sequence[Item], embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Subtract each item's mean and normalise, shape ``(N, D)``; a row that equals its mean becomes zero."""
        if self.overall is None or not items:
            return embeddings
        means = np.stack([self.mean((item.category, bool(item.title))) for item in items])  # (N, D)
        rows = embeddings - means
        rows[np.abs(rows).max(axis=1) < 1e-6] = 0
        return unit_vectors(rows)


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """How embeddings of one sort are compared: less the mean of their category, and projected."""

    centering: CategoryCentering
    projection: NDArray[np.float32] | None = None  # (D, D); see ``projection.learn_projection``

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[np.float32]]) -> EmbeddingSpace:
        """Restore one from ``arrays``."""
        means = {name: row.astype(np.float64) for name, row in arrays.items() if name != _PROJECTION}
        overall = means.pop(_OVERALL, None)
        by_category = cast("Mapping[GarmentCategory | None, NDArray[np.float64]]", means)
        return cls(CategoryCentering.by_category(overall, by_category), arrays.get(_PROJECTION))

    def arrays(self) -> dict[str, NDArray[np.floating]]:
        """What is saved: the means of titled items by category, and the projection."""
        centering = self.centering
        rows = {str(category): mean for (category, titled), mean in centering.by_group.items() if titled}
        rows |= {} if centering.overall is None else {_OVERALL: centering.overall}
        return rows | ({} if self.projection is None else {_PROJECTION: self.projection})

    def projected(self, items: Sequence[Item], embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Centred and projected embeddings ``(N, D)``, unit length or zero."""
        return self.project(self.centering.centre(items, embeddings))

    def project(self, centred: NDArray[np.float32]) -> NDArray[np.float32]:
        """Projected embeddings ``(N, D)`` of centred ones."""
        if self.projection is None or not len(centred):
            return centred
        # In double precision, so that a row doesn't depend on the number of others.
        return unit_vectors(centred.astype(np.float64) @ self.projection)

    def back(self, projected: NDArray[np.float32]) -> NDArray[np.float32]:
        """The direction ``(D,)`` of embeddings whose projections lie nearest to all projected ones ``(N, D)``."""
        total = projected.sum(axis=0)
        return total if self.projection is None else np.asarray(self.projection @ total, dtype=np.float32)

    def projected_photos(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """As ``projected``, of the items' photos; zeros for an item without one."""
        assert self.projection is not None
        rows = np.zeros((len(items), len(self.projection)), dtype=np.float32)
        photographed = [n for n, item in enumerate(items) if item.photo_embedding is not None]
        if photographed:
            chosen = [items[n] for n in photographed]
            rows[photographed] = self.projected(chosen, photo_embeddings(chosen))
        return rows


def group_sums(items: Sequence[Item]) -> GroupSums:
    """Sums of a catalogue's items, for ``CategoryCentering.for_catalogue``."""
    photographed = [item for item in items if item.photo_embedding is not None]
    return GroupSums(
        _sums([_group(item) for item in items], text_embeddings(items)),
        _sums([_group(item) for item in photographed], photo_embeddings(photographed)),
    )


def _group(item: Item) -> Group:
    return item.category, bool(item.title)


def _sums(keys: Sequence[_Key], rows: NDArray[np.float32]) -> dict[_Key, tuple[int, NDArray[np.float64]]]:
    groups: dict[_Key, list[NDArray[np.float32]]] = defaultdict(list)
    for key, row in zip(keys, rows, strict=True):
        groups[key].append(row)
    return {key: (len(own), np.sum(own, axis=0, dtype=np.float64)) for key, own in groups.items()}


def text_embeddings(items: Sequence[Item]) -> NDArray[np.float32]:
    """Text embeddings of described items, shape ``(N, T)``."""
    return np.stack([item.text_embedding for item in items]) if items else np.zeros((0, 0), dtype=np.float32)


def photo_embeddings(items: Sequence[Item]) -> NDArray[np.float32]:
    """Embeddings of photos, shape ``(N, D)``, of items that all have one."""
    vectors = [item.photo_embedding for item in items if item.photo_embedding is not None]
    return np.stack(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)


class CategoryPairs:
    """Logistic regression on how often each unordered pair of garment categories, and of subcategories, occurs in an
    outfit. It reads no title and no photo, so its accuracy is what categories alone give away.
    """

    name = CATEGORY_PAIRS
    gives_probabilities = True

    def __init__(self, weights: Mapping[str, float], intercept: float) -> None:
        self.weights = weights
        self.intercept = intercept

    @classmethod
    def fit(cls, outfits: Sequence[Sequence[Item]], labels: NDArray[np.bool_]) -> CategoryPairs:
        """Fit the weights of pairs on N outfits; labels ``(N,)`` are True for real ones, and of both classes."""
        check_both_classes(cls.name, labels)
        vectorizer = require("sklearn.feature_extraction", "train").DictVectorizer()
        model = require("sklearn.linear_model", "train").LogisticRegression(C=_PAIRS_C, max_iter=2000, tol=1e-6)
        model.fit(vectorizer.fit_transform([_pair_counts(outfit) for outfit in outfits]), labels)
        weights = dict(zip(vectorizer.get_feature_names_out().tolist(), model.coef_[0].tolist(), strict=True))
        return cls(weights, float(model.intercept_[0]))

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Probability that the items are worn together, shape ``(N,)``."""
        return sigmoid(self.logits(outfits))

    def logits(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Log odds of ``score``, shape ``(N,)``."""
        sums = [
            fsum(self.weights.get(pair, 0.0) * count for pair, count in _pair_counts(outfit).items())
            for outfit in outfits
        ]
        return np.array(sums, dtype=np.float64) + self.intercept


class TitleSimilarity:
    """Mean cosine over all pairs of an outfit's items, as TF-IDF vectors of the words of title and subcategory. An item
    without words is similar to no other, and an outfit of fewer than two items scores 0.

    Numbers are those of scikit-learn's ``TfidfVectorizer(sublinear_tf=True)``, which takes a second to import.
    """

    name = TITLE_SIMILARITY
    gives_probabilities = False

    def __init__(self, idf: Mapping[str, float]) -> None:
        self.idf = idf
        """Inverse document frequency of each word, in the order of the words."""

    @classmethod
    def fit(cls, items: Sequence[Item]) -> TitleSimilarity:
        """Count words of training items, each once; an ``EvaluationError`` if their titles have no words."""
        if not any(_WORD.search(item.title) for item in items):
            raise EvaluationError(
                f"{cls.name} found no word in the titles of {len(items)} training items; use a data set with titles"
            )
        counts = Counter(word for item in items for word in set(_words(item)))
        return cls({word: log((1 + len(items)) / (1 + counts[word])) + 1 for word in sorted(counts)})

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Mean cosine in ``[0, 1]``, shape ``(N,)``."""
        vectors = {id(item): item for outfit in outfits for item in outfit}
        by_item = {key: self._vector(item) for key, item in vectors.items()}
        return np.array([_mean_product([by_item[id(item)] for item in outfit]) for outfit in outfits])

    def _vector(self, item: Item) -> dict[str, float]:
        """Weights of an item's known words, of length 1 together; empty if it has none."""
        counts = Counter(word for word in _words(item) if word in self.idf)
        weights = {word: (1 + log(count)) * self.idf[word] for word, count in counts.items()}
        length = sqrt(fsum(weight * weight for weight in weights.values()))
        return {word: weight / length for word, weight in weights.items()}


class EmbeddingSimilarity:
    """Mean cosine over all pairs of an outfit's items, of any embeddings; 0 for fewer than two items."""

    gives_probabilities = False

    def __init__(self, name: str, embed: Embed) -> None:
        self.name = name
        self._embed = embed

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Mean cosine in ``[-1, 1]``, shape ``(N,)``."""
        unique = list({id(item): item for outfit in outfits for item in outfit}.values())
        if not unique:
            return np.zeros(len(outfits))
        embeddings = self._embed(unique).astype(np.float64)  # (U, D)
        order = sorted(range(len(unique)), key=lambda n: embeddings[n].tobytes())
        row_of = {id(unique[n]): row for row, n in enumerate(order)}
        return _mean_cosine(embeddings[order], [[row_of[id(item)] for item in outfit] for outfit in outfits])


def rule_values(outfits: Sequence[Sequence[Item]]) -> dict[str, NDArray[np.float64]]:
    """How much each rule of ``style.agreement`` applies to outfits, ``(N,)`` by names of ``RULE_WEIGHTS``: the mean
    over an outfit's pairs times the square root of their number, or the amount for the outfit. An outfit of fewer than
    two items has 0.
    """
    facts = {id(item): FactSets.of(item.facts) for outfit in outfits for item in outfit}
    of_pairs: dict[tuple[int, int], Amounts] = {}  # outfits that one item completes share most pairs

    def amounts(item: Item, other: Item) -> Amounts:
        key = (id(item), id(other))
        if key not in of_pairs:
            of_pairs[key] = amounts_of(facts[key[0]], facts[key[1]])
        return of_pairs[key]

    rows = np.zeros((len(outfits), len(RULES)))
    for row, outfit in zip(rows, outfits, strict=True):
        pairs = [amounts(item, other) for item, other in combinations(outfit, 2)]
        applied = [pair for pair in pairs if pair is not NO_AMOUNTS]
        if applied:  # fsum, so that sums round the same whatever the items' order
            row[:] = [fsum(column) / sqrt(len(pairs)) for column in zip(*applied, strict=True)]
        row[_THROUGHOUT] = throughout(facts[id(item)] for item in outfit)
    return dict(zip(RULE_WEIGHTS, rows.T, strict=True))


def check_both_classes(name: str, labels: NDArray[np.bool_]) -> None:
    """Raise an ``EvaluationError`` unless labels hold both classes."""
    compatible = int(labels.sum())
    if compatible in (0, len(labels)):
        raise EvaluationError(
            f"{name} needs compatible and incompatible training questions, got {compatible} compatible of "
            f"{len(labels)}; use a data set with training outfits"
        )


def _mean_product(vectors: Sequence[Mapping[str, float]]) -> float:
    """Mean inner product over all pairs of sparse vectors, 0 for fewer than two; sums round alike in any order."""
    if len(vectors) < 2:
        return 0.0
    weights: dict[str, list[float]] = defaultdict(list)
    for vector in vectors:
        for word, weight in vector.items():
            weights[word].append(weight)
    products = [first * second for row in weights.values() for first, second in combinations(sorted(row), 2)]
    return fsum(products) / (len(vectors) * (len(vectors) - 1) / 2)


def _mean_cosine(vectors: NDArray[np.float64], outfits: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Mean cosine over the pairs of each outfit, ``(N,)``: the square of a sum holds each pair twice. An outfit is rows
    of the vectors, ``(U, D)``, sorted so that sums round the same whatever the items' order.
    """
    means, squares = np.zeros(len(outfits)), np.square(vectors).sum(axis=1)
    pairs = [number for number, rows in enumerate(outfits) if len(rows) > 1]
    for start in range(0, len(pairs), _AT_ONCE):
        part = pairs[start : start + _AT_ONCE]
        sizes = np.array([len(outfits[number]) for number in part])
        rows = [row for number in part for row in sorted(outfits[number])]
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        sums = np.square(np.add.reduceat(vectors[rows], starts)).sum(axis=1)
        means[part] = (sums - np.add.reduceat(squares[rows], starts)) / (sizes * (sizes - 1))
    return means


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
    attributes = vocabulary.attributes
    types = [
        {name: (Label(entry.text, 1.0),)}
        for name, attribute in attributes.items()
        for entry in attribute.labels
        if entry.category == category
    ]
    labels = [
        {name: (Label(entry.text, 1.0),)}
        for name in _PHOTO_ATTRIBUTES
        if name in attributes
        for entry in attributes[name].labels
    ]
    item = Item("", "", category)
    pairs = product(types or [{}], labels or [{}])
    return [item_text(item, Description("", {**kind, **label}), prompt) for kind, label in pairs]


def _words(item: Item) -> list[str]:
    item = item_in_english(item)
    return _WORD.findall(f"{item.title} {item.subcategory}".lower())
