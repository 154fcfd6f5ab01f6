"""Probabilities of labels for photos, without having been trained on those labels.

Describing, evaluating, the shortlist and the choice of thresholds all go through ``LabelJudge``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from coordi.describe.calibration import calibration_of
from coordi.describe.encoder import ImageTextEncoder
from coordi.describe.vocabulary import Attribute


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
    return _shares(logit_scale * (image_vectors @ labels.T), logit_bias)


@dataclass(frozen=True, slots=True)
class LabelJudge:
    """The labels of one attribute as an encoder reads them, and how its cosines become probabilities.

    Attributes:
        vectors: Of the labels, ``(L, D)``.
        logit_scale: The encoder's.
        logit_bias: The encoder's; see ``label_probabilities``.
        temperature: What logits, a sigmoid's bias included, are divided by. It moves no label past another, and none
            past a sigmoid's half.
        bonuses: Added to the labels' cosines, ``(L,)``; None for nothing.

    References:
        Guo et al., On Calibration of Modern Neural Networks, 2017, section 4.2.
    """

    vectors: npt.NDArray[np.float32]
    logit_scale: float
    logit_bias: float | None = None
    temperature: float = 1.0
    bonuses: npt.NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls, encoder: ImageTextEncoder, template: str, phrases: Sequence[Sequence[str]], temperature: float = 1.0
    ) -> LabelJudge:
        """The labels with these phrases in a template."""
        vectors = label_vectors(encoder, template, phrases)
        return cls(vectors, encoder.logit_scale, encoder.logit_bias, temperature)

    @property
    def judges_alone(self) -> bool:
        """Whether each label is judged by itself (sigmoid), not against the others (softmax)."""
        return self.logit_bias is not None

    def probabilities(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probabilities ``(N, L)`` of the labels for photos' unit vectors ``(N, D)``."""
        cosines = rows @ self.vectors.T
        if self.bonuses is not None:
            cosines = cosines + self.bonuses
        bias = None if self.logit_bias is None else self.logit_bias / self.temperature
        return _shares(self.logit_scale / self.temperature * cosines, bias)


def attribute_judge(name: str, attribute: Attribute, encoder: ImageTextEncoder) -> LabelJudge:
    """An attribute of a vocabulary, with the temperature that fits best.

    That is the attribute's own for this encoder (``temperatures``); else the one that the encoder was calibrated with
    for a column of this name, such as ``gender``; else 1, the encoder as it was trained.
    """
    fallback = calibration_of(encoder).temperatures.get(name, 1.0)
    temperature = attribute.temperatures.get(encoder.name.split("@")[0], fallback)
    return LabelJudge.of(encoder, attribute.template, [entry.phrases for entry in attribute.labels], temperature)


def _shares(logits: npt.NDArray[np.float32], bias: float | None) -> npt.NDArray[np.float32]:
    if bias is not None:
        # In double precision no logit that a scale of a hundred can make overflows.
        return np.asarray(1 / (1 + np.exp(-(logits.astype(np.float64) + bias))), dtype=np.float32)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float32)
