"""Examples that the report shows, picked by rule and not by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from coordi.data.photos import photo_uri
from coordi.evaluation.report import ReportData
from coordi.evaluation.summary import format_figure, protocol_words
from coordi.types import CompatibilityQuestion, FitbQuestion

T = TypeVar("T")
_SHORTLISTS = {
    "without-language-model": "those that the scorer without the language model likes best",
    "everything": "all that fit",
}


@dataclass(frozen=True, slots=True)
class Card:
    """One item with its photo, if it has one.

    ``note`` and ``mark`` distinguish it among candidates; ``score`` is of the outfit completed with it.
    """

    title: str
    category: str
    photo: str | None
    note: str = ""
    mark: Literal["", "real", "mistaken"] = ""
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A question and the model's answer, a recommendation, or a described photo.

    Cards are by heading, labels and their probabilities by attribute.
    """

    title: str
    note: str
    cards: tuple[tuple[str, tuple[Card, ...]], ...]
    right: bool | None = None
    score: float | None = None
    labels: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()


class ExamplePicker:
    """Picks examples of a report, ``size`` of each kind."""

    def __init__(self, report: ReportData, size: int) -> None:
        self._report = report
        self._items = report.dataset.items
        self._size = size
        self._photos: dict[str, str | None] = {}

    def compatibility(self, right: bool) -> tuple[Example, ...]:
        """The most confident right or wrong answers: real and made-up outfits in turn, photos first."""
        best: dict[tuple[str, bool], tuple[tuple[bool, float], CompatibilityQuestion, Example]] = {}
        for protocol in (part for part in self._report.evaluation.protocols if part.questions.test):
            result = protocol.results[0]
            for row in np.flatnonzero((result.predicted == protocol.questions.labels) == right):
                question, score = protocol.questions.test[row], float(result.scores[row])
                rank = (not self._has_photos(question.item_ids), -abs(score - result.threshold))
                key = (question.outfit_id, question.compatible)
                if key not in best or rank < best[key][0]:
                    answer = "compatible" if score >= result.threshold else "incompatible"
                    example = Example(
                        f"{'Real' if question.compatible else 'Made-up'} outfit, predicted {answer}",
                        f"score {format_figure(score)}, threshold {format_figure(result.threshold)}; protocol: "
                        f"{protocol_words(protocol.questions.protocol)[0].lower()}",
                        (), right, score,
                    )  # fmt: skip
                    best[key] = (rank, question, example)
        ordered = sorted(best.values(), key=lambda entry: entry[0])
        real, invented = ([entry for entry in ordered if entry[1].compatible is truth] for truth in (True, False))
        return tuple(
            replace(example, cards=(("The outfit", self._cards(question.item_ids)),))
            for _, question, example in _alternate(real, invented)[: self._size]
        )

    def blanks(self) -> tuple[Example, ...]:
        """Fill-in-the-blank questions, right and wrong answers in turn, those with photos first."""
        rows: list[tuple[bool, bool, str, FitbQuestion, NDArray[np.float64]]] = []
        for protocol in self._report.evaluation.protocols:
            result = protocol.results[0]
            for question, scores in zip(protocol.questions.blanks, result.blank_scores, strict=True):
                chosen = int(np.argmax(scores))
                right = chosen == question.answer and int(np.sum(scores >= scores[chosen])) == 1
                no_photos = not self._has_photos((*question.item_ids, *question.candidates))
                rows.append((no_photos, right, protocol.questions.protocol, question, scores))
        rows.sort(key=lambda row: row[0])
        picked = _alternate([row for row in rows if row[1]], [row for row in rows if not row[1]])[: self._size]
        return tuple(
            Example(
                "Which item completes this outfit?",
                f"protocol: {protocol_words(protocol)[0].lower()}",
                (
                    ("The outfit", self._cards(question.item_ids)),
                    ("Candidates, each with the score of the outfit it completes", self._candidates(question, scores)),
                ),
                right,
            )
            for _, right, protocol, question, scores in picked
        )

    def described(self) -> tuple[Example, ...]:
        """Described items with a photo, spread evenly over the data set's order."""
        with_photo = [
            description
            for description in self._report.descriptions.values()
            if description.item_id in self._items and self._items[description.item_id].image is not None
        ]
        numbers = np.linspace(0, len(with_photo) - 1, min(2 * self._size, len(with_photo))).astype(int)
        return tuple(
            Example(
                "", "", (("", self._cards([description.item_id])),),
                labels=tuple(
                    (name, tuple((label.text, label.probability) for label in labels))
                    for name, labels in description.attributes.items()
                ),
            )
            for description in (with_photo[number] for number in numbers)
        )  # fmt: skip

    def recommended(self) -> tuple[Example, ...]:
        """The run's recommendations."""
        return tuple(
            Example(
                f"Wanted: {example.want}" if example.want else "To complete it",
                f"candidates before the model ranked them: {_SHORTLISTS.get(example.shortlist, example.shortlist)}",
                (
                    ("The outfit", self._cards(example.outfit)),
                    ("Suggestions", tuple(self._suggestion(*each, example.removed) for each in example.suggestions)),
                ),
            )
            for example in self._report.recommendations[: self._size]
        )

    def _candidates(self, question: FitbQuestion, scores: NDArray[np.float64]) -> tuple[Card, ...]:
        chosen = int(np.argmax(scores))
        cards = []
        for number, card in enumerate(self._cards(question.candidates)):
            is_real, is_chosen = number == question.answer, number == chosen
            notes = [text for text, applies in (("the real one", is_real), ("chosen", is_chosen)) if applies]
            mark: Literal["", "real", "mistaken"] = "real" if is_real else "mistaken" if is_chosen else ""
            cards.append(replace(card, score=float(scores[number]), note=", ".join(notes), mark=mark))
        return tuple(cards)

    def _suggestion(self, item_id: str, score: float, removed: str | None) -> Card:
        card = replace(self._cards([item_id])[0], score=score)
        return replace(card, mark="real", note="was in the outfit") if item_id == removed else card

    def _has_photos(self, item_ids: Sequence[str]) -> bool:
        """Whether at least half of the items have one: a made-up outfit of photos alone may not exist."""
        return 2 * sum(self._items[item_id].image is not None for item_id in item_ids) >= len(item_ids)

    def _cards(self, item_ids: Sequence[str]) -> tuple[Card, ...]:
        items = [self._items[item_id] for item_id in item_ids]
        for item in items:
            if item.id not in self._photos:
                self._photos[item.id] = None if item.image is None else photo_uri(item.image)
        return tuple(
            Card(item.title or item.subcategory or "no title", item.category or "item", self._photos[item.id])
            for item in items
        )


def _alternate(first: Sequence[T], second: Sequence[T]) -> list[T]:
    """Elements of both in turn; the remainder of the longer one follows."""
    pairs = zip_longest(first, second, fillvalue=None)
    return [element for pair in pairs for element in pair if element is not None]
