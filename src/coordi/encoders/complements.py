"""The paper's zero-shot recommendation: labels and items that complement an outfit, by the encoder alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from coordi.encoders.base import ImageTextEncoder
from coordi.encoders.labels import Vocabulary, attribute_judge
from coordi.types import GarmentCategory, Label


def shortlist(
    query_vectors: npt.NDArray[np.floating], catalogue_vectors: npt.NDArray[np.floating], top_k: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """The ``top_k`` catalogue rows with the highest cosine to each query.

    Args:
        query_vectors: Unit vectors, shape ``(Q, D)``: see ``outfit_query``.
        catalogue_vectors: Unit vectors, shape ``(N, D)``: of the photos of the wanted category.
        top_k: Rows per query; with fewer in the catalogue, all of them are given.

    Returns:
        Row indices and their cosines, both ``(Q, min(top_k, N))``, best first; equal cosines come in the order of
        their indices.

    Raises:
        ValueError: If the shapes disagree or ``top_k`` is below 1.
    """
    if query_vectors.ndim != 2 or catalogue_vectors.ndim != 2 or query_vectors.shape[1] != catalogue_vectors.shape[1]:
        raise ValueError(f"need (Q, D) and (N, D), got {query_vectors.shape} and {catalogue_vectors.shape}")
    _check_top_k(top_k)
    cosines = np.asarray(query_vectors @ catalogue_vectors.T, dtype=np.float32)  # (Q, N)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :top_k]
    return order, np.take_along_axis(cosines, order, axis=1)


def outfit_query(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """What stands for an outfit: the unit mean of its items' vectors, of photos or of texts.

    Args:
        vectors: Unit vectors of the items, shape ``(M, D)``.

    Returns:
        Shape ``(1, D)``. Items that cancel each other out give zeros, which are alike to nothing.

    Raises:
        ValueError: If there is no item.
    """
    if vectors.ndim != 2 or not len(vectors):
        raise ValueError(f"need the vectors (M, D) of at least 1 item, got {vectors.shape}")
    mean = vectors.mean(axis=0, keepdims=True)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)


def complementary_labels(
    query: npt.NDArray[np.floating],
    wanted: GarmentCategory,
    encoder: ImageTextEncoder,
    vocabulary: Vocabulary,
    top_k: int = 3,
) -> tuple[Label, ...]:
    """The kinds of garment of a wanted category whose words are most like an outfit's photos.

    Args:
        query: Shape ``(1, D)``, of ``outfit_query``.
        wanted: A worn category.
        encoder: Reads the labels; the one that saw the photos.
        vocabulary: The first attribute with labels of that category speaks; in the bundled one it is ``category``.
        top_k: Labels at most.

    Returns:
        Labels with their probability among the labels of the wanted category (a sigmoid encoder judges each alone),
        most probable first; none if the vocabulary has none of that category.

    Raises:
        ValueError: If ``top_k`` is below 1.
    """
    _check_top_k(top_k)
    for name, attribute in vocabulary.attributes.items():
        entries = [entry for entry in attribute.labels if entry.worn == wanted]
        if entries:
            part = attribute.model_copy(update={"labels": tuple(entries)})
            shares = attribute_judge(name, part, encoder).probabilities(np.asarray(query, dtype=np.float32))[0]
            best = np.argsort(-shares, kind="stable")[:top_k]
            return tuple(Label(entries[place].text, float(shares[place])) for place in best)
    return ()


def _check_top_k(top_k: int) -> None:
    if top_k < 1:
        raise ValueError(f"top_k must be 1 or more, got {top_k}")
