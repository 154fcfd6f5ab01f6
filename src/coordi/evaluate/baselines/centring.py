"""Vectors without what all things of a category have in common, so that cosines tell style and not kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coordi.domain import Item

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
        groups: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
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
        return {item_id: _unit(row - means.get(items[item_id].category, overall)) for item_id, row in vectors.items()}


def centred(vectors: Vectors, items: Mapping[str, Item], learned: Collection[str]) -> dict[str, NDArray[np.float32]]:
    """Vectors without what is common to their category in training outfits; see ``CategoryMeans``."""
    return CategoryMeans.learn(vectors, items, learned).centred(vectors, items)


def _unit(row: NDArray[np.float64]) -> NDArray[np.float32]:
    length = np.linalg.norm(row)
    return np.asarray(row / length if length > 1e-6 else np.zeros_like(row), dtype=np.float32)
