"""The nearest of a catalogue to a query, exactly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def shortlist(
    query_vectors: npt.NDArray[np.floating], catalogue_vectors: npt.NDArray[np.floating], top_k: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """The ``top_k`` catalogue rows with the highest cosine to each query.

    Args:
        query_vectors: Unit vectors, shape ``(Q, D)``.
        catalogue_vectors: Unit vectors, shape ``(N, D)``.
        top_k: Rows per query; with fewer in the catalogue, all of them are given.

    Returns:
        Row indices and their cosines, both ``(Q, min(top_k, N))``, best first; equal cosines come in the order of
        their indices.

    Raises:
        ValueError: If the shapes disagree or ``top_k`` is below 1.
    """
    if query_vectors.ndim != 2 or catalogue_vectors.ndim != 2 or query_vectors.shape[1] != catalogue_vectors.shape[1]:
        raise ValueError(f"need (Q, D) and (N, D), got {query_vectors.shape} and {catalogue_vectors.shape}")
    if top_k < 1:
        raise ValueError(f"top_k must be 1 or more, got {top_k}")
    cosines = np.asarray(query_vectors @ catalogue_vectors.T, dtype=np.float32)  # (Q, N)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :top_k]
    return order, np.take_along_axis(cosines, order, axis=1)
