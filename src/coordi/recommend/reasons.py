"""Reasons for a score: the difference that leaving out an item or a label makes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from coordi.encoders.labels import KINDS, Vocabulary
from coordi.recommend.answers import Contribution, Reason, Scorers, scorer_of
from coordi.recommend.items import COLOUR
from coordi.types import Item

EncodeTexts = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class TextLabel:
    """A label of the vocabulary that a text says.

    Attributes:
        label: As the vocabulary has it.
        phrase: As the text has it: the label or a synonym.
    """

    attribute: str
    label: str
    phrase: str


def labels_in_text(text: str, vocabulary: Vocabulary) -> tuple[TextLabel, ...]:
    """The labels that a text says, in the vocabulary's order; what a thing is (``category``) isn't among them.

    A phrase within a longer one isn't said: ``navy blue`` doesn't say ``blue``, and ``casual shoes`` are a kind.
    """
    phrases = [
        TextLabel(name, entry.text, phrase)
        for name, attribute in vocabulary.attributes.items()
        for entry in attribute.labels
        for phrase in entry.phrases
    ]
    left = text
    found: dict[tuple[str, str], TextLabel] = {}
    for one in sorted(phrases, key=lambda one: -len(one.phrase)):
        taken = _as_words(one.phrase).sub("\0", left)
        if taken != left:
            found.setdefault((one.attribute, one.label), one)
            left = taken
    order = dict.fromkeys((one.attribute, one.label) for one in phrases if one.attribute != KINDS)
    return tuple(found[key] for key in order if key in found)


def ablate_labels(item: Item, said: Sequence[TextLabel], encode: EncodeTexts) -> list[Item]:
    """The item as it would be without each label, as many as there are labels."""
    texts = [without_phrase(item.text, one.phrase) for one in said]
    vectors = encode(texts)  # (N, T)
    return [
        replace(
            item,
            title=without_phrase(item.title, one.phrase),
            text=text,
            text_embedding=vector,
        )
        for one, text, vector in zip(said, texts, vectors, strict=True)
    ]


def without_phrase(text: str, phrase: str) -> str:
    """A text without some words, and without the signs that would be left standing alone."""
    left = _as_words(phrase).sub("", text)
    left = re.sub(r"\s*,(\s*,)+", ",", left)
    left = re.sub(r"\(\s*,?\s*", "(", left)
    left = re.sub(r"\s*,?\s*\)", ")", left).replace("()", "")
    return re.sub(r":\s*$", "", " ".join(left.split())).strip(" ,")


def _as_words(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(phrase)}(?!\w)", re.IGNORECASE)


_WORTH_SAYING = 0.005  # below it, a difference shows as 0.00
_MOST_SAID = 3

Items = tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Reasoner:
    """Asks a scorer what it would say if something weren't there.

    Attributes:
        scorers: Those whose scores are explained.
        vocabulary: Whose labels are left unsaid.
        encode: Vectors of changed texts.
    """

    scorers: Scorers
    vocabulary: Vocabulary
    encode: EncodeTexts

    def of_suggestions(
        self, outfit: Items, suggested: Sequence[tuple[Item, float]], *, language_model: bool
    ) -> list[Reason]:
        """Why each item goes with the outfit; all is asked in one call.

        Args:
            outfit: What there is.
            suggested: Items with the score of the outfit and them.
            language_model: As they were scored.
        """
        asked: list[Items] = []
        said: list[tuple[TextLabel, ...]] = []
        left_out = [outfit[:place] + outfit[place + 1 :] for place in range(len(outfit))] if len(outfit) > 1 else []
        for item, _ in suggested:
            labels = labels_in_text(item.text, self.vocabulary)
            said.append(labels)
            asked += [(*rest, item) for rest in left_out]
            asked += [(*outfit, changed) for changed in ablate_labels(item, labels, self.encode)]
        answers = iter(scorer_of(self.scorers, language_model=language_model).score(asked).tolist())
        reasons = []
        for (item, score), labels in zip(suggested, said, strict=True):
            items = [Contribution(one.id, "", score - next(answers)) for one in outfit[: len(left_out)]]
            moved = [Contribution(one.label, one.attribute, score - next(answers)) for one in labels]
            reasons.append(_reason(items, moved, {one.id: _name(one) for one in (*outfit, item)}))
        return reasons

    def of_looks(self, looks: Sequence[tuple[Items, float]], *, language_model: bool) -> list[Reason]:
        """What each item does for its look, asked in one call; a look of two items moves by nothing.

        Args:
            looks: Items with their score.
            language_model: As they were scored.
        """
        asked = [look[:place] + look[place + 1 :] for look, _ in looks if len(look) > 2 for place in range(len(look))]
        answers = iter(scorer_of(self.scorers, language_model=language_model).score(asked).tolist())
        return [
            _reason(
                [Contribution(one.id, "", score - next(answers)) for one in look] if len(look) > 2 else [],
                [],
                {one.id: _name(one) for one in look},
            )
            for look, score in looks
        ]


def _reason(items: list[Contribution], labels: list[Contribution], names: dict[str, str]) -> Reason:
    items.sort(key=lambda moved: -moved.by)
    labels.sort(key=lambda moved: -moved.by)
    told = [(names[one.what], one.by) for one in items] + [(f"'{one.what}'", one.by) for one in labels]
    helped = [one for one in told if one[1] >= _WORTH_SAYING]
    harmed = [one for one in told if one[1] <= -_WORTH_SAYING]
    parts = []
    for verb, moved in (("helped by", helped), ("held back by", harmed)):
        strongest = sorted(moved, key=lambda one: -abs(one[1]))[:_MOST_SAID]
        if strongest:
            parts.append(f"{verb} " + ", ".join(f"{name} ({by:+.2f})" for name, by in strongest))
    text = "; ".join(parts) or "no single item or label moves the score by 0.01 or more"
    return Reason(tuple(items), tuple(labels), text[0].upper() + text[1:] + ".")


def _name(item: Item) -> str:
    """What a sentence calls an item: its title, or the colour and kind that were seen."""
    if item.title or item.description is None:
        return item.title or item.text.split(": ", 1)[-1]
    seen = [item.description.attributes.get(name, ()) for name in (COLOUR, KINDS)]
    return " ".join(labels[0].text for labels in seen if labels) or item.category or item.text
