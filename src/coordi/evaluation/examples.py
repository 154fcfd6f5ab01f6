"""Examples that the report shows, picked by rule and not by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from coordi.data.photos import photo_uri
from coordi.evaluation.naming import NameExample
from coordi.evaluation.report import ReportData
from coordi.evaluation.scoring import ProtocolResult
from coordi.evaluation.summary import format_figure, protocol_words
from coordi.types import FitbQuestion

T = TypeVar("T")
_SHORTLISTS = {
    "without-language-model": "those that the scorer without the language model likes best",
    "everything": "all that fit",
}


@dataclass(frozen=True, slots=True)
class Card:
    """An item; ``note`` and ``mark`` tell it from other candidates, ``score`` is of the outfit completed with it."""

    title: str
    category: str
    photo: str | None
    note: str = ""
    mark: Literal["", "real", "mistaken"] = ""
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """An answer, a recommendation, or a described photo; cards are by heading, labels by attribute, and ``steps`` are
    texts by heading, in their order.
    """

    title: str
    note: str
    cards: tuple[tuple[str, tuple[Card, ...]], ...]
    right: bool | None = None
    score: float | None = None
    labels: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()
    steps: tuple[tuple[str, str], ...] = ()


class ExamplePicker:
    """Picks examples of a report, ``size`` of each kind."""

    def __init__(self, report: ReportData, size: int) -> None:
        self._report = report
        self._items = report.dataset.items
        self._size = size
        self._photos: dict[str, str | None] = {}

    def compatibility(self, right: bool) -> tuple[Example, ...]:
        """The most confident right or wrong answers: real and made-up outfits in turn, photos first."""
        best: dict[tuple[str, bool], tuple[tuple[bool, float], tuple[str, ...], Example]] = {}
        for protocol in (part for part in self._report.evaluation.protocols if part.questions.test):
            result = protocol.results[0]
            for row in np.flatnonzero((result.predicted == protocol.questions.labels) == right):
                question, score = protocol.questions.test[row], float(result.scores[row])
                rank = (not self._has_photos(question.item_ids), -abs(score - result.threshold))
                key = (question.outfit_id, question.compatible)
                if key not in best or rank < best[key][0]:
                    title = (
                        f"{'Real' if question.compatible else 'Made-up'} outfit, predicted "
                        f"{'compatible' if result.predicted[row] else 'incompatible'}"
                    )
                    note = f"score {format_figure(score)}, threshold {format_figure(result.threshold)}; "
                    example = Example(title, note + _protocol_note(protocol), (), right, score)
                    best[key] = (rank, question.item_ids, example)
        ordered = sorted(best.items(), key=lambda entry: entry[1][0])
        real, invented = ([entry for (_, label), entry in ordered if label is truth] for truth in (True, False))
        return tuple(
            replace(example, cards=(("The outfit", self._cards(item_ids)),))
            for _, item_ids, example in _alternate(real, invented)[: self._size]
        )

    def blanks(self) -> tuple[Example, ...]:
        """Fill-in-the-blank questions, right and wrong answers in turn, those with photos first."""
        rows: list[tuple[bool, bool, str, FitbQuestion, NDArray[np.float64]]] = []
        for protocol in self._report.evaluation.protocols:
            for question, scores in zip(protocol.questions.blanks, protocol.results[0].blank_scores, strict=True):
                right = int(np.sum(scores >= scores[question.answer])) == 1
                no_photos = not self._has_photos((*question.item_ids, *question.candidates))
                rows.append((no_photos, right, _protocol_note(protocol), question, scores))
        rows.sort(key=lambda row: row[0])
        picked = _alternate([row for row in rows if row[1]], [row for row in rows if not row[1]])[: self._size]
        heading = "Candidates, each with the score of the outfit it completes"
        return tuple(
            Example(
                "Which item completes this outfit?",
                note,
                (("The outfit", self._cards(question.item_ids)), (heading, self._candidates(question, scores))),
                right,
            )
            for _, right, note, question, scores in picked
        )

    def described(self) -> tuple[Example, ...]:
        """Described items with a photo, spread evenly over the data set's order."""
        with_photo = [
            description
            for description in self._report.descriptions.values()
            if description.item_id in self._items and self._items[description.item_id].image is not None
        ]
        numbers = np.linspace(0, len(with_photo) - 1, min(2 * self._size, len(with_photo))).astype(int)
        examples = []
        for description in (with_photo[number] for number in numbers):
            labels = tuple(
                (name, tuple((label.text, label.probability) for label in labels))
                for name, labels in description.attributes.items()
            )
            examples.append(Example("", "", (("", self._cards([description.item_id])),), labels=labels))
        return tuple(examples)

    def recommended(self) -> tuple[Example, ...]:
        """The run's recommendations."""
        examples = []
        for example in self._report.recommendations[: self._size]:
            suggestions = []
            for item_id, score in example.suggestions:
                card = replace(self._cards([item_id])[0], score=score)
                is_removed = item_id == example.removed
                suggestions.append(replace(card, mark="real", note="was in the outfit") if is_removed else card)
            shortlist = _SHORTLISTS.get(example.shortlist, example.shortlist)
            title = f"Wanted: {example.want}" if example.want else "To complete it"
            cards = (("The outfit", self._cards(example.outfit)), ("Suggestions", tuple(suggestions)))
            examples.append(Example(title, f"candidates before the model ranked them: {shortlist}", cards))
        return tuple(examples)

    def named(self) -> tuple[Example, ...]:
        """Every step from an outfit's photos to the item that the model names."""
        naming = self._report.naming
        return tuple(map(self._named, naming.examples[: self._size])) if naming is not None else ()

    def _named(self, example: NameExample) -> Example:
        matched = [replace(card, score=score) for (_, score), card in zip(
            example.matched, self._cards([item_id for item_id, _ in example.matched]), strict=True)]  # fmt: skip
        answer = "" if example.score is None else (
            f"P(yes) of these items is {format_figure(example.score)}; below, that of the outfit with each item"
        )  # fmt: skip
        steps = (
            ("The image encoder sees", self._labels_of(example.outfit)),
            ("It recommends zero-shot", ", ".join(
                f"{label.text} {100 * label.probability:.0f}%" for label in example.recommended)),
            ("The language model reads", example.prompt),
            ("Do they go together?", answer),
            ("It names", f"{example.text or '(nothing)'}{f' – {example.note}' if example.note else ''}"),
        )  # fmt: skip
        cards = (
            ("The outfit", self._cards(example.outfit)),
            ("Items that the image encoder recommends", self._cards(example.shortlist)),
            ("Items nearest to the model's words", tuple(matched)),
            ("What the outfit had", tuple(replace(card, mark="real") for card in self._cards([example.removed]))),
        )
        return Example(f"Wanted: {example.want}", "", cards, steps=tuple(row for row in steps if row[1]))

    def _labels_of(self, item_ids: Sequence[str]) -> str:
        """Labels of photos, an item a line; empty if nothing was described."""
        rows = []
        for item_id in item_ids:
            if (description := self._report.descriptions.get(item_id)) is not None:
                labels = [f"{label.text} {100 * label.probability:.0f}%"
                          for labels in description.attributes.values() for label in labels]  # fmt: skip
                rows.append(f"{self._items[item_id].title or item_id}: {', '.join(labels) or 'nothing that is sure'}")
        return "\n".join(rows)

    def _candidates(self, question: FitbQuestion, scores: NDArray[np.float64]) -> tuple[Card, ...]:
        cards = [
            replace(card, score=float(s)) for card, s in zip(self._cards(question.candidates), scores, strict=True)
        ]
        chosen = int(np.argmax(scores))
        cards[chosen] = replace(cards[chosen], mark="mistaken", note="chosen")
        note = "the real one, chosen" if chosen == question.answer else "the real one"
        cards[question.answer] = replace(cards[question.answer], mark="real", note=note)
        return tuple(cards)

    def _has_photos(self, item_ids: Sequence[str]) -> bool:
        """Whether at least half of the items have one: a made-up outfit of photos alone may not exist."""
        return 2 * sum(self._items[item_id].image is not None for item_id in item_ids) >= len(item_ids)

    def _cards(self, item_ids: Sequence[str]) -> tuple[Card, ...]:
        cards = []
        for item in (self._items[item_id] for item_id in item_ids):
            if item.id not in self._photos:
                self._photos[item.id] = None if item.image is None else photo_uri(item.image)
            title = item.title or item.subcategory or "no title"
            cards.append(Card(title, item.category or "item", self._photos[item.id]))
        return tuple(cards)


def _protocol_note(protocol: ProtocolResult) -> str:
    return f"protocol: {protocol_words(protocol.questions.protocol)[0].lower()}"


def _alternate(first: Sequence[T], second: Sequence[T]) -> list[T]:
    return [element for pair in zip_longest(first, second) for element in pair if element is not None]
