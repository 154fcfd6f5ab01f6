"""What can be said of outfits without a language model: how usual their categories are, how alike their texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from coordi.describe.edge import EdgeEncoder
from coordi.domain import Item
from coordi.evaluate.baselines.categories import CategoryPairs
from coordi.evaluate.baselines.centring import CategoryMeans, Vectors
from coordi.evaluate.baselines.cosine import TitleCosine, VectorCosine

PAIRS, LIKENESS, WORDS = "category-pairs", "sentence-cosine", "title-cosine"


@cache
def text_encoder() -> EdgeEncoder:
    """The encoder that likeness of texts is measured by, whatever encoder sees the photos."""
    return EdgeEncoder.bundled()


class TextVectors(Mapping[str, NDArray[np.float32]]):
    """Vectors of what is said of items, each made when it is asked for."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def __getitem__(self, item_id: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = text_encoder().encode_texts([self._texts[item_id]])[0]
        return vector

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


class Centred(Mapping[str, NDArray[np.float32]]):
    """Vectors less what is usual for their category; each is made once, when it is first asked for."""

    def __init__(self, means: CategoryMeans, items: Mapping[str, Item], vectors: Vectors) -> None:
        self._means = means
        self._items = items
        self._vectors = vectors
        self._made: dict[str, NDArray[np.float32]] = {}

    def __getitem__(self, item_id: str) -> NDArray[np.float32]:
        if item_id not in self._made:
            self._made |= self._means.centred({item_id: self._vectors[item_id]}, self._items)
        return self._made[item_id]

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._vectors

    def __iter__(self) -> Iterator[str]:
        return iter(self._vectors)

    def __len__(self) -> int:
        return len(self._vectors)


@dataclass(frozen=True, slots=True)
class PlainParts:
    """The parts of a joined score that need no language model.

    Likeness is a mean over an outfit's pairs. Three pairs that are alike say more than one, so it is multiplied by the
    square root of their number: the sum's size in units of what it varies by, were the pairs independent.
    """

    pairs: CategoryPairs
    likeness: VectorCosine
    words: TitleCosine | None

    def values(self, outfits: Sequence[Sequence[str]]) -> dict[str, NDArray[np.float64]]:
        """What each part says, ``(N,)``."""
        counts = np.array([len(outfit) for outfit in outfits], dtype=np.float64)
        scale = np.sqrt(counts * (counts - 1) / 2)
        found = {PAIRS: self.pairs.logits(outfits), LIKENESS: scale * self.likeness.score(outfits)}
        return found if self.words is None else {**found, WORDS: scale * self.words.score(outfits)}
