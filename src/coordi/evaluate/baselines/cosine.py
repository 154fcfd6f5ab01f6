"""Alike things go together: the mean cosine of the items' words or vectors over all pairs of an outfit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.domain import Item
from coordi.errors import EvaluationError, require
from coordi.evaluate.baselines.lookup import check_known


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
    return f"{item.title} {item.kind}"


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
