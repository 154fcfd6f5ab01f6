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
    image_vectors: npt.NDArray[np.float32],
    labels: npt.NDArray[np.float32],
    logit_scale: float,
    logit_bias: float | None = None,
) -> npt.NDArray[np.float32]:
    """How probable each label is for each photo, as the encoder was trained, ``(N, L)``.

    Args:
        image_vectors: Unit vectors, ``(N, D)``.
        labels: Unit vectors, ``(L, D)``.
        logit_scale: The encoder's.
        logit_bias: The encoder's. None: softmax over labels of the scaled cosines, so that every row adds up to 1, a
            label's probability says how it stands against the others, and one of them is always the likeliest even
            where none is true. A number: sigmoid of each scaled cosine plus the bias, so that a label is judged alone
            and rows add up to anything from 0 to L. The order of a photo's labels is that of their cosines either way;
            what changes is what a threshold means: "of these labels, this one" or "this photo and this text belong
            together", of which the second is often small even for the right label.

    References:
        Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021.
        Zhai et al., Sigmoid Loss for Language Image Pre-Training, 2023, section 3.2.
    """
    logits = logit_scale * (image_vectors @ labels.T)
    if logit_bias is not None:
        # In double precision no logit that a scale of a hundred can make overflows.
        return np.asarray(1 / (1 + np.exp(-(logits.astype(np.float64) + logit_bias))), dtype=np.float32)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float32)
