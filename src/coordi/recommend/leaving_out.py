"""Items with one of their labels left unsaid, to see what the label does to a score."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from coordi.describe.vocabulary import KINDS, Vocabulary
from coordi.recommend.described_item import DescribedItem

EncodeTexts = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Said:
    """A label of the vocabulary that a text says.

    Attributes:
        label: As the vocabulary has it.
        phrase: As the text has it: the label or a synonym.
    """

    attribute: str
    label: str
    phrase: str


def said_of(text: str, vocabulary: Vocabulary) -> tuple[Said, ...]:
    """The labels that a text says, in the vocabulary's order; what a thing is (``category``) isn't among them.

    A phrase within a longer one isn't said: ``navy blue`` doesn't say ``blue``, and ``casual shoes`` are a kind.
    """
    phrases = [
        Said(name, entry.text, phrase)
        for name, attribute in vocabulary.attributes.items()
        for entry in attribute.labels
        for phrase in entry.phrases
    ]
    left = text
    found: dict[tuple[str, str], Said] = {}
    for one in sorted(phrases, key=lambda one: -len(one.phrase)):
        taken = _as_words(one.phrase).sub("\0", left)
        if taken != left:
            found.setdefault((one.attribute, one.label), one)
            left = taken
    order = dict.fromkeys((one.attribute, one.label) for one in phrases if one.attribute != KINDS)
    return tuple(found[key] for key in order if key in found)


def unsaid(item: DescribedItem, said: Sequence[Said], encode: EncodeTexts) -> list[DescribedItem]:
    """The item as it would be without each label, as many as there are labels."""
    texts = [without(item.text, one.phrase) for one in said]
    vectors = encode(texts)  # (N, T)
    return [
        replace(
            item,
            item=replace(item.item, title=without(item.item.title, one.phrase)),
            text=text,
            text_vector=vector,
        )
        for one, text, vector in zip(said, texts, vectors, strict=True)
    ]


def without(text: str, phrase: str) -> str:
    """A text without some words, and without the signs that would be left standing alone."""
    left = _as_words(phrase).sub("", text)
    left = re.sub(r"\s*,(\s*,)+", ",", left)
    left = re.sub(r"\(\s*,?\s*", "(", left)
    left = re.sub(r"\s*,?\s*\)", ")", left).replace("()", "")
    return re.sub(r":\s*$", "", " ".join(left.split())).strip(" ,")


def _as_words(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(phrase)}(?!\w)", re.IGNORECASE)
