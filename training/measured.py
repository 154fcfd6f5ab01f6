"""Photos of both shops and made ones as an encoder sees them, and which label it gives first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coordi.encoders.base import ImageTextEncoder
from coordi.encoders.labels import LabelClassifier
from coordi.encoders.photo_embeddings import EmbeddingCache, encode_photos
from coordi.types import Item
from shops import MadePhoto, ShopPhoto


@dataclass(frozen=True)
class Answers:
    """What is said first of the photos whose truth is known.

    Attributes:
        photos: Places of these photos among those asked, ``(N,)``.
        labels: The most probable label of each, ``(N,)``.
        right: Whether it is one of the right ones, ``(N,)``.
        sure: Its probability, ``(N,)``.
    """

    photos: NDArray[np.integer]
    labels: NDArray[np.str_]
    right: NDArray[np.bool_]
    sure: NDArray[np.floating]


def vectors_of(photos: Sequence[ShopPhoto | MadePhoto], encoder: ImageTextEncoder) -> NDArray[np.float32]:
    """Unit vectors ``(N, D)``, from coordi's cache where they are there."""
    items = [Item(str(photo.path), "", None, image=Path(photo.path)) for photo in photos]
    with EmbeddingCache.of(encoder) as cache:
        digests = encode_photos(items, encoder, cache, 16).digests
        if None in digests:
            raise SystemExit("a photo can't be opened")
        return cache.vectors([digest for digest in digests if digest is not None])


def answers(
    labels: Sequence[str], judge: LabelClassifier, rows: NDArray[np.float32], truths: Sequence[Sequence[str]]
) -> Answers:
    """Answers for an attribute; photos without a right label, or with every label right, aren't asked."""
    known = np.array([0 < len(truth) < len(labels) for truth in truths])
    shares = judge.probabilities(rows[known])
    said = np.array(labels)[shares.argmax(axis=1)]
    right = np.array([label in truths[place] for label, place in zip(said, np.flatnonzero(known), strict=True)])
    return Answers(np.flatnonzero(known), said, right.astype(bool), shares.max(axis=1))
