"""The paper's zero-shot recommendation: what an image encoder, which was taught no outfits, would add to one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from coordi.config import DescribeSettings
from coordi.encoders.base import EDGE, ImageTextEncoder, load_settled_encoder, unit_vectors
from coordi.encoders.labels import LabelClassifier, Vocabulary, load_vocabulary
from coordi.types import GarmentCategory, Item, Label

_TEXTS = 4096  # vectors of items without photos in memory


def outfit_query(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Query of an outfit, ``(1, D)``: the unit mean of its items' unit vectors ``(M, D)``; zeros if they cancel out."""
    if vectors.ndim != 2 or not len(vectors):
        raise ValueError(f"need the vectors (M, D) of at least 1 item, got {vectors.shape}")
    return unit_vectors(vectors.mean(axis=0, keepdims=True))


class ComplementRecommender:
    """Recommends garment types of a category that are most similar to an outfit's photos, without any training.

    An item without a photo counts by its text in the same encoder. Safe for several threads.
    """

    def __init__(self, encoder: ImageTextEncoder, vocabulary: Vocabulary) -> None:
        self.encoder = encoder
        self._classifiers: dict[GarmentCategory, tuple[tuple[str, ...], LabelClassifier]] = {}
        for name, attribute in vocabulary.attributes.items():
            for category in dict.fromkeys(entry.category for entry in attribute.labels):
                if category is None or category in self._classifiers:
                    continue  # the first attribute with labels of a category counts
                entries = tuple(entry for entry in attribute.labels if entry.category == category)
                part = attribute.model_copy(update={"labels": entries})
                classifier = LabelClassifier.of_attribute(name, part, encoder)
                self._classifiers[category] = tuple(entry.text for entry in entries), classifier
        self._text_vector = lru_cache(maxsize=_TEXTS)(lambda text: encoder.encode_texts([text])[0])

    def query(self, items: Sequence[Item]) -> npt.NDArray[np.float32]:
        """``outfit_query`` of one described item or more, ``(1, D)``."""
        return outfit_query(np.stack([self.vector(item) for item in items]))

    def vector(self, item: Item) -> npt.NDArray[np.float32]:
        """Unit vector of an item's photo, or else of its text, ``(D,)``."""
        if item.photo_embedding is not None:
            return item.photo_embedding
        if self.encoder.name == EDGE and len(item.text_embedding):
            return item.text_embedding  # by the same encoder
        vector: npt.NDArray[np.float32] = self._text_vector(item.text)
        return vector

    def labels(self, query: npt.NDArray[np.floating], want: GarmentCategory, top_k: int = 3) -> tuple[Label, ...]:
        """The garment types of a category most similar to a query ``(1, D)``, most probable first, from the first
        attribute with labels of that category; none if there is no such label. Probabilities are among these (a sigmoid
        encoder's: of each alone).
        """
        _check_top_k(top_k)
        if want not in self._classifiers:
            return ()
        texts, classifier = self._classifiers[want]
        shares = classifier.probabilities(query)[0]
        return tuple(Label(texts[row], float(shares[row])) for row in np.argsort(-shares, kind="stable")[:top_k])

    def in_words(self, items: Sequence[Item], want: GarmentCategory, top_k: int) -> str:
        """What is recommended to complete some items, such as ``"shoes: boots, heels"``; empty if nothing is."""
        labels = self.labels(self.query(items), want, top_k)
        return f"{want}: {', '.join(label.text for label in labels)}" if labels else ""

    def beside_the_others(self, items: Sequence[Item], top_k: int) -> tuple[str, ...]:
        """For each item of an outfit of two or more what is recommended in its place, from the other items alone; items
        without a category are left out.
        """
        rows = [
            self.in_words([*items[:position], *items[position + 1 :]], item.category, top_k)
            for position, item in enumerate(items)
            if item.category is not None and len(items) > 1
        ]
        return tuple(row for row in rows if row)


@lru_cache(maxsize=2)
def recommender_of(settings: DescribeSettings) -> ComplementRecommender:
    """The recommender of an encoder and a vocabulary, loaded once; errors as ``load_encoder``."""
    return ComplementRecommender(load_settled_encoder(settings), load_vocabulary(settings.vocabulary))


def _check_top_k(top_k: int) -> None:
    if top_k < 1:
        raise ValueError(f"top_k must be 1 or more, got {top_k}")
