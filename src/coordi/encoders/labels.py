"""Vocabularies of labels, and zero-shot classification of photos over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import AliasChoices, Field, ValidationError, model_validator

from coordi.config import Settings
from coordi.encoders.base import ImageTextEncoder, sigmoid, unit_vectors
from coordi.encoders.edge import calibration_of
from coordi.errors import ConfigError
from coordi.types import Description, GarmentCategory, Label

BUNDLED = "fashion"
SLOT = "{}"
KINDS = "category"
"""The attribute that holds the garment type; photos without one aren't garments."""
SUBJECT, NO_GARMENT, SEVERAL_GARMENTS = "subject", "no garment", "several garments"
"""The attribute of what a photo shows at all, and its labels; of a photo of no garment nothing else is said."""
_MORE_LIKELY_THAN_NOT = 0.5


class LabelEntry(Settings):
    """One label, its synonyms and, of a garment type, its category (``worn`` in older files).

    Attributes:
        described: Whether descriptions hold it; else it only competes with the other labels.
    """

    text: str
    synonyms: tuple[str, ...] = ()
    described: bool = True
    category: GarmentCategory | None = Field(default=None, validation_alias=AliasChoices("category", "worn"))

    @property
    def phrases(self) -> tuple[str, ...]:
        """The text and its synonyms."""
        return (self.text, *self.synonyms)


class Attribute(Settings):
    """One attribute of a photo, such as its colour.

    Attributes:
        template: The sentence a label is put into, at ``{}``.
        threshold: Labels with a lower probability are left out.
        temperatures: By name of an encoder (without ``@`` and commit); its logits for these labels are divided by it,
            so that labels of probability 0.8 are right in 8 of 10 photos. Others: see ``LabelClassifier.of_attribute``.
    """

    template: str = "a photo of a {}"
    threshold: float = Field(ge=0, le=1)
    max_labels: int = Field(default=1, ge=1)
    temperatures: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    labels: tuple[LabelEntry, ...]

    @model_validator(mode="before")
    @classmethod
    def _plain_labels(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("labels"), list):
            labels = [{"text": label} if isinstance(label, str) else label for label in value["labels"]]
            return {**value, "labels": labels}
        return value


class Vocabulary(Settings):
    """Attributes by name, in the order in which descriptions give them."""

    attributes: dict[str, Attribute] = Field(min_length=1)

    def category_of(self, attribute: str, label: str) -> GarmentCategory | None:
        """The garment category of a label, or None if the vocabulary has none for it."""
        entries = self.attributes[attribute].labels
        return next((entry.category for entry in entries if entry.text == label), None)


def load_vocabulary(name: str) -> Vocabulary:
    """The bundled vocabulary, or one from a YAML file. Raises ConfigError with all problems at once."""
    values = _read(name)
    try:
        vocabulary = Vocabulary.model_validate(values)
        problems = list(_problems(vocabulary))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors()]
    if problems:
        raise ConfigError(
            f"vocabulary '{name}': {'; '.join(problems)}; an example that works is "
            "src/coordi/encoders/vocabularies/fashion.yaml"
        )
    return vocabulary


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
        owners: dict[str, int] = {}
        for position, entry in enumerate(attribute.labels):
            for phrase in entry.phrases:
                key = " ".join(phrase.lower().split())
                if not key:
                    yield f"{name}: label {position + 1} has an empty text"
                elif key in owners:
                    yield f"{name}: '{phrase}' stands at label {owners[key] + 1} and again at {position + 1}"
                else:
                    owners[key] = position


def label_vectors(
    encoder: ImageTextEncoder, template: str, phrases: Sequence[Sequence[str]]
) -> npt.NDArray[np.float32]:
    """A unit vector per label, ``(L, D)``: the mean over its phrases (Radford et al., CLIP, 2021, section 3.1.4)."""
    texts = [template.replace(SLOT, phrase) for label in phrases for phrase in label]
    vectors = encoder.encode_texts(texts)
    ends = np.cumsum([len(label) for label in phrases])[:-1]
    return unit_vectors(np.stack([part.mean(axis=0) for part in np.split(vectors, ends)]))


@dataclass(frozen=True, slots=True)
class LabelClassifier:
    """Zero-shot classifier of photos over the labels of one attribute (Radford et al., CLIP, 2021).

    Attributes:
        vectors: Unit vectors of the labels, ``(L, D)``.
        logit_bias: None: softmax over the scaled cosines, so one label is the most probable even where none is true. A
            number: sigmoid of each plus the bias (Zhai et al., Sigmoid Loss, 2023, section 3.2), so rows add up to
            anything from 0 to L; the right label's probability is often small.
        temperature: Divides logits, a sigmoid's bias included (Guo et al., On Calibration, 2017, section 4.2).
    """

    vectors: npt.NDArray[np.float32]
    logit_scale: float
    logit_bias: float | None = None
    temperature: float = 1.0

    @classmethod
    def of(
        cls, encoder: ImageTextEncoder, template: str, phrases: Sequence[Sequence[str]], temperature: float = 1.0
    ) -> LabelClassifier:
        """A classifier over labels with these phrases in a template."""
        vectors = label_vectors(encoder, template, phrases)
        return cls(vectors, encoder.logit_scale, encoder.logit_bias, temperature)

    @classmethod
    def of_attribute(cls, name: str, attribute: Attribute, encoder: ImageTextEncoder) -> LabelClassifier:
        """A classifier over an attribute, at its own temperature for this encoder; else the one that the encoder was
        calibrated with for a column of this name, such as ``gender``; else 1.
        """
        fallback = calibration_of(encoder).temperatures.get(name, 1.0)
        temperature = attribute.temperatures.get(encoder.name.split("@")[0], fallback)
        return cls.of(encoder, attribute.template, [entry.phrases for entry in attribute.labels], temperature)

    @property
    def is_sigmoid(self) -> bool:
        """Whether each label is classified by itself (sigmoid), not against the others (softmax)."""
        return self.logit_bias is not None

    def probabilities(self, rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Probabilities ``(N, L)`` of the labels for photos' unit vectors ``(N, D)``."""
        logits = self.logit_scale / self.temperature * (rows @ self.vectors.T)  # (N, L)
        if self.logit_bias is not None:
            # In double precision no logit of a usual scale overflows.
            shifted = logits.astype(np.float64) + self.logit_bias / self.temperature
            return sigmoid(shifted).astype(np.float32)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float32)


class Labeller:
    """From photos' embeddings to descriptions and garment categories, by the labels of a vocabulary."""

    def __init__(self, encoder: ImageTextEncoder, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._classifiers = {
            name: LabelClassifier.of_attribute(name, attribute, encoder)
            for name, attribute in vocabulary.attributes.items()
        }

    def descriptions(self, ids: Sequence[str], vectors: npt.NDArray[np.float32]) -> list[Description]:
        """Labels of each photo that pass their attribute's threshold; of a photo of no garment that alone."""
        if not len(vectors):
            return []
        by_attribute = {name: self._labels(name, vectors) for name in self._classifiers}
        rows = [{name: labels[row] for name, labels in by_attribute.items() if labels[row]} for row in range(len(ids))]
        return [
            Description(item_id, {SUBJECT: row[SUBJECT]} if shows(row, NO_GARMENT) else row)
            for item_id, row in zip(ids, rows, strict=True)
        ]

    def categories(
        self, descriptions: Sequence[Description], vectors: npt.NDArray[np.float32]
    ) -> list[GarmentCategory | None]:
        """Garment category of each photo: of its garment type, else the one whose types have more than half of the
        probability (a shirt or a blouse is a top), else None. A sigmoid encoder has only the first. None for a photo of
        no garment.
        """
        if KINDS not in self._classifiers or not len(vectors):
            return [None] * len(descriptions)
        likely = self._likely_categories(vectors)
        rows = [description.attributes for description in descriptions]
        types = [row.get(KINDS, ()) for row in rows]
        return [
            None
            if shows(row, NO_GARMENT)
            else self._vocabulary.category_of(KINDS, labels[0].text)
            if labels
            else category
            for row, labels, category in zip(rows, types, likely, strict=True)
        ]

    def _labels(self, name: str, vectors: npt.NDArray[np.float32]) -> list[tuple[Label, ...]]:
        """For each photo the labels that pass, most probable first, ties in the vocabulary's order."""
        attribute = self._vocabulary.attributes[name]
        shares = self._classifiers[name].probabilities(vectors)  # (B, L)
        best = np.argsort(-shares, axis=1, kind="stable")[:, : attribute.max_labels]
        return [
            tuple(
                Label(attribute.labels[column].text, float(row[column]))
                for column in columns
                if row[column] >= attribute.threshold and attribute.labels[column].described
            )
            for row, columns in zip(shares, best, strict=True)
        ]

    def _likely_categories(self, vectors: npt.NDArray[np.float32]) -> list[GarmentCategory | None]:
        """For each photo the category whose garment types have more than half of the probability."""
        entries = self._vocabulary.attributes[KINDS].labels
        categories = list(dict.fromkeys(entry.category for entry in entries if entry.category is not None))
        if self._classifiers[KINDS].is_sigmoid or not categories:
            return [None] * len(vectors)
        is_member = np.array([[entry.category == category for category in categories] for entry in entries])  # (L, C)
        sums = self._classifiers[KINDS].probabilities(vectors) @ is_member.astype(np.float32)  # (B, C)
        return [
            categories[column] if row[column] > _MORE_LIKELY_THAN_NOT else None
            for row, column in zip(sums, sums.argmax(1), strict=True)
        ]


def shows(attributes: Mapping[str, tuple[Label, ...]], subject: str) -> bool:
    """Whether a photo's labels by attribute say that it shows ``NO_GARMENT`` or ``SEVERAL_GARMENTS``."""
    return any(label.text == subject for label in attributes.get(SUBJECT, ()))
