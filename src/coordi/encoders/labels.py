"""Vocabularies of labels, and zero-shot label probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import Field, ValidationError, model_validator

from coordi.config import Settings
from coordi.encoders.base import ImageTextEncoder
from coordi.encoders.edge import calibration_of
from coordi.errors import ConfigError
from coordi.types import GarmentCategory

BUNDLED = "fashion"
SLOT = "{}"
KINDS = "category"
"""The attribute that says what a thing is; a thing without that is none."""


class LabelEntry(Settings):
    """One label.

    Attributes:
        text: What a description says.
        synonyms: Other words for it; the label's vector is the mean over its text and these.
        worn: For an attribute of kinds of garment, the worn category that the label belongs to.
    """

    text: str
    synonyms: tuple[str, ...] = ()
    worn: GarmentCategory | None = None

    @property
    def phrases(self) -> tuple[str, ...]:
        """The text and its synonyms."""
        return (self.text, *self.synonyms)


class Attribute(Settings):
    """One thing to say of a photo.

    Attributes:
        template: The sentence a label is put into, at ``{}``.
        threshold: Labels with a lower probability are left out.
        temperatures: By name of an encoder (of one from the hub without ``@`` and its commit), what its logits for
            these labels are divided by, so that a label said with 0.8 is right in 8 of 10. For an encoder that isn't
            here see ``attribute_judge``.
        max_labels: At most so many labels are kept.
        labels: What may be said; probabilities are over these.
    """

    template: str = "a photo of a {}"
    threshold: float = Field(ge=0, le=1)
    max_labels: int = Field(default=1, ge=1)
    temperatures: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    labels: tuple[LabelEntry, ...]

    @model_validator(mode="before")
    @classmethod
    def _plain_labels(cls, value: Any) -> Any:
        """A label may be written as plain text."""
        if isinstance(value, dict) and isinstance(value.get("labels"), list):
            labels = [{"text": label} if isinstance(label, str) else label for label in value["labels"]]
            return {**value, "labels": labels}
        return value


class Vocabulary(Settings):
    """Attributes by name, in the order in which descriptions give them."""

    attributes: dict[str, Attribute] = Field(min_length=1)

    def worn_category(self, attribute: str, label: str) -> GarmentCategory | None:
        """The worn category of a label, or None if the vocabulary has none for it."""
        for entry in self.attributes[attribute].labels:
            if entry.text == label:
                return entry.worn
        return None


def load_vocabulary(name: str) -> Vocabulary:
    """The bundled vocabulary, or one from a YAML file.

    Args:
        name: ``fashion``, or a file's path.

    Raises:
        ConfigError: All problems at once: not there, not YAML, unknown keys, empty or repeated labels, a template
            without ``{}``, values out of range.
    """
    values = _read(name)
    try:
        vocabulary = Vocabulary.model_validate(values)
    except ValidationError as error:
        found = [f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors()]
    else:
        found = list(_problems(vocabulary))
        if not found:
            return vocabulary
    raise ConfigError(
        f"vocabulary '{name}': {'; '.join(found)}; see src/coordi/encoders/vocabularies/fashion.yaml for one that works"
    )


def _read(name: str) -> Any:
    try:
        if name == BUNDLED:
            text = resources.files("coordi.encoders.vocabularies").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
        else:
            text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"no vocabulary '{name}' ({error}): accepted are '{BUNDLED}' or the path of a UTF-8 YAML file"
        ) from error
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"the vocabulary '{name}' isn't YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"the vocabulary '{name}' must hold 'attributes:', got {type(values).__name__}")
    return values


def _problems(vocabulary: Vocabulary) -> Iterator[str]:
    for name, attribute in vocabulary.attributes.items():
        if attribute.template.count(SLOT) != 1:
            yield f"{name}: the template '{attribute.template}' must have {SLOT} once"
        if len(attribute.labels) < 2:
            yield f"{name}: needs at least two labels, has {len(attribute.labels)}"
        seen: dict[str, int] = {}
        for position, entry in enumerate(attribute.labels):
            for phrase in entry.phrases:
                key = " ".join(phrase.lower().split())
                if not key:
                    yield f"{name}: label {position + 1} has an empty text"
                elif key in seen:
                    yield f"{name}: '{phrase}' stands at label {seen[key] + 1} and again at {position + 1}"
                else:
                    seen[key] = position


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
