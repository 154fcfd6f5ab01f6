"""Probabilities of labels for photos, without having been trained on those labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from coordi.describe.encoder import ImageTextEncoder


def label_vectors(
    encoder: ImageTextEncoder, template: str, phrases: Sequence[Sequence[str]]
) -> npt.NDArray[np.float32]:
    """One unit vector per label, ``(L, D)``: the mean over the label's phrases in the template.

    References:
        Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021, section 3.1.4.
    """
    texts = [template.replace("{}", phrase) for label in phrases for phrase in label]
    vectors = encoder.encode_texts(texts)
    ends = np.cumsum([len(label) for label in phrases])[:-1]
    means = np.stack([part.mean(axis=0) for part in np.split(vectors, ends)])
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), dtype=np.float32)


def label_probabilities(
    image_vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.float32], logit_scale: float
) -> npt.NDArray[np.float32]:
    """Softmax over labels of the scaled cosines, ``(N, L)``; every row adds up to 1."""
    logits = logit_scale * (image_vectors @ labels.T)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float32)
