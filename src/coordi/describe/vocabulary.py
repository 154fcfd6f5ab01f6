"""What an encoder may say: attributes, their labels, and how sure it must be to say one."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, model_validator

from coordi.config import Settings
from coordi.domain import WornCategory
from coordi.errors import ConfigError

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
    worn: WornCategory | None = None

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

    def worn_category(self, attribute: str, label: str) -> WornCategory | None:
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
        f"vocabulary '{name}': {'; '.join(found)}; see src/coordi/describe/vocabularies/fashion.yaml for one that works"
    )


def _read(name: str) -> Any:
    try:
        if name == BUNDLED:
            text = resources.files("coordi.describe.vocabularies").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
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
