"""The paper's zero-shot step, by the encoder alone; only ``benchmarks/zero_shot_shortlist.py`` calls it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from coordi.encoders.base import ImageTextEncoder, unit_vectors
from coordi.encoders.labels import LabelClassifier, Vocabulary
from coordi.types import GarmentCategory, Label


def shortlist(
    query_vectors: npt.NDArray[np.floating], catalogue_vectors: npt.NDArray[np.floating], top_k: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Row numbers of unit vectors ``(N, D)`` with the highest cosine to each query ``(Q, D)``, and these cosines, both
    ``(Q, min(top_k, N))``; best first, of equals the lowest row. Raises ValueError for wrong shapes or ``top_k``.
    """
    if query_vectors.ndim != 2 or catalogue_vectors.ndim != 2 or query_vectors.shape[1] != catalogue_vectors.shape[1]:
        raise ValueError(f"need (Q, D) and (N, D), got {query_vectors.shape} and {catalogue_vectors.shape}")
    _check_top_k(top_k)
    cosines = np.asarray(query_vectors @ catalogue_vectors.T, dtype=np.float32)  # (Q, N)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :top_k]
    return order, np.take_along_axis(cosines, order, axis=1)


def outfit_query(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Query of an outfit, ``(1, D)``: the unit mean of its items' unit vectors ``(M, D)``; zeros if they cancel out."""
    if vectors.ndim != 2 or not len(vectors):
        raise ValueError(f"need the vectors (M, D) of at least 1 item, got {vectors.shape}")
    return unit_vectors(vectors.mean(axis=0, keepdims=True))


def complementary_labels(
    query: npt.NDArray[np.floating],
    wanted: GarmentCategory,
    encoder: ImageTextEncoder,
    vocabulary: Vocabulary,
    top_k: int = 3,
) -> tuple[Label, ...]:
    """The garment types of a category most similar to an outfit (``outfit_query``), most probable first, from the first
    attribute with labels of that category. Probabilities are among these (a sigmoid encoder's: of each alone).
    """
    _check_top_k(top_k)
    for name, attribute in vocabulary.attributes.items():
        entries = tuple(entry for entry in attribute.labels if entry.category == wanted)
        if entries:
            part = attribute.model_copy(update={"labels": entries})
            shares = LabelClassifier.of_attribute(name, part, encoder).probabilities(query)[0]
            return tuple(
                Label(entries[row].text, float(shares[row])) for row in np.argsort(-shares, kind="stable")[:top_k]
            )
    return ()


def _check_top_k(top_k: int) -> None:
    if top_k < 1:
        raise ValueError(f"top_k must be 1 or more, got {top_k}")
