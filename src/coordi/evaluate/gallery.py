"""Real examples for the report: outfits judged rightly and wrongly, blanks, descriptions and recommendations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from coordi.data.thumbnails import photo_uri
from coordi.domain import CompatibilityQuestion, Description, FillInTheBlankQuestion, Item
from coordi.evaluate.findings import Report
from coordi.evaluate.results import ProtocolResult
from coordi.evaluate.silhouettes import silhouette

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Card:
    """One item as shown: its photo, or the drawing of its category if it has none.

    Attributes:
        note: Words that single it out among candidates, such as ``"the real one"``.
        mark: How it is drawn among candidates: the true item, or another that the model chose.
        score: Of the outfit completed with it; None if it wasn't a candidate.
    """

    title: str
    category: str
    photo: str | None
    drawing: Markup
    note: str = ""
    mark: Literal["", "real", "mistaken"] = ""
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A test question and what the model under test said."""

    cards: tuple[Card, ...]
    compatible: bool
    right: bool
    score: float
    threshold: float
    protocol: str


@dataclass(frozen=True, slots=True)
class Blank:
    """A fill-in-the-blank question, its candidates marked with the truth and the model's choice."""

    cards: tuple[Card, ...]
    candidates: tuple[Card, ...]
    right: bool
    protocol: str


@dataclass(frozen=True, slots=True)
class Described:
    """A photo and what the encoder saw: attribute name, then its labels with their probabilities."""

    card: Card
    attributes: tuple[tuple[str, tuple[tuple[str, float], ...]], ...]


@dataclass(frozen=True, slots=True)
class Recommended:
    """An outfit and what was found to complete it."""

    cards: tuple[Card, ...]
    suggestions: tuple[Card, ...]
    want: str | None
    shortlist: str
    taken: str | None


class Gallery:
    """Picks examples by stated rules, so that nobody chose the pretty ones.

    Args:
        report: Where everything comes from.
        size: Examples of each kind.
    """

    def __init__(self, report: Report, size: int) -> None:
        self._report = report
        self._items = report.dataset.items
        self._size = size
        self._photos: dict[str, str | None] = {}

    def judged(self, right: bool) -> tuple[Judged, ...]:
        """The most confident right or wrong answers: real and made-up outfits in turn, photos before titles."""
        best: dict[tuple[str, bool], tuple[tuple[bool, float], CompatibilityQuestion, ProtocolResult, float]] = {}
        for protocol in (one for one in self._report.evaluation.protocols if one.questions.test):
            result = protocol.results[0]
            for place in np.flatnonzero((result.predicted == protocol.questions.labels) == right):
                question, score = protocol.questions.test[place], float(result.scores[place])
                rank = (not self._has_photos(question.item_ids), -abs(score - result.threshold))
                key = (question.outfit_id, question.compatible)
                if key not in best or rank < best[key][0]:
                    best[key] = (rank, question, protocol, score)
        ordered = sorted(best.values(), key=lambda found: found[0])
        real, made_up = ([found for found in ordered if found[1].compatible is truth] for truth in (True, False))
        return tuple(
            Judged(
                tuple(self._card(item_id) for item_id in question.item_ids),
                question.compatible,
                right,
                score,
                protocol.results[0].threshold,
                protocol.questions.protocol,
            )
            for _, question, protocol, score in _in_turn(real, made_up)[: self._size]
        )

    def blanks(self) -> tuple[Blank, ...]:
        """Fill-in-the-blank questions, right and wrong answers in turn, those with photos first."""
        found = []
        for protocol in self._report.evaluation.protocols:
            result = protocol.results[0]
            for question, scores in zip(protocol.questions.blanks, result.blank_scores, strict=True):
                shown = (*question.item_ids, *question.candidates)
                chosen = int(np.argmax(scores))
                right = chosen == question.answer and int(np.sum(scores >= scores[chosen])) == 1
                found.append((not self._has_photos(shown), right, protocol.questions.protocol, question, scores))
        found.sort(key=lambda row: row[0])
        rights, wrongs = ([row for row in found if row[1] is right] for right in (True, False))
        picked = _in_turn(rights, wrongs)[: self._size]
        return tuple(
            Blank(
                tuple(self._card(item_id) for item_id in question.item_ids),
                tuple(self._choice(question, place, scores) for place in range(len(question.candidates))),
                right,
                protocol,
            )
            for _, right, protocol, question, scores in picked
        )

    def described(self) -> tuple[Described, ...]:
        """Described items with a photo, spread evenly over the data set's order."""
        with_photo = [
            description
            for description in self._report.descriptions.values()
            if description.item_id in self._items and self._items[description.item_id].image is not None
        ]
        count = min(2 * self._size, len(with_photo))
        places = np.linspace(0, len(with_photo) - 1, count).astype(int)
        return tuple(self._described(with_photo[place]) for place in places)

    def recommended(self) -> tuple[Recommended, ...]:
        """The run's recommendations, as many as there are examples of other kinds."""
        return tuple(
            Recommended(
                tuple(self._card(item_id) for item_id in shown.outfit),
                tuple(self._suggestion(item_id, score, shown.taken) for item_id, score in shown.suggestions),
                shown.want,
                shown.shortlist,
                shown.taken,
            )
            for shown in self._report.recommendations[: self._size]
        )

    def _described(self, description: Description) -> Described:
        attributes = tuple(
            (name, tuple((label.text, label.probability) for label in labels))
            for name, labels in description.attributes.items()
        )
        return Described(self._card(description.item_id), attributes)

    def _choice(self, question: FillInTheBlankQuestion, place: int, scores: NDArray[np.float64]) -> Card:
        card = replace(self._card(question.candidates[place]), score=float(scores[place]))
        chosen = place == int(np.argmax(scores))
        if place == question.answer:
            return replace(card, mark="real", note="the real one, chosen" if chosen else "the real one")
        return replace(card, mark="mistaken", note="chosen") if chosen else card

    def _suggestion(self, item_id: str, score: float, taken: str | None) -> Card:
        card = replace(self._card(item_id), score=score)
        return replace(card, mark="real", note="was in the outfit") if item_id == taken else card

    def _has_photos(self, item_ids: Sequence[str]) -> bool:
        """Whether at least half of the items have one: a made-up outfit of photos alone may not exist."""
        return 2 * sum(self._items[item_id].image is not None for item_id in item_ids) >= len(item_ids)

    def _card(self, item_id: str) -> Card:
        item = self._items[item_id]
        return Card(item.title or item.kind or "no title", item.category, self._photo(item), silhouette(item.category))

    def _photo(self, item: Item) -> str | None:
        if item.image is None:
            return None
        if item.id not in self._photos:
            self._photos[item.id] = photo_uri(item.image)
        return self._photos[item.id]


def _in_turn(first: Sequence[T], second: Sequence[T]) -> list[T]:
    """One of each in turn; what is left of the longer one follows."""
    shared = min(len(first), len(second))
    pairs = [one for pair in zip(first[:shared], second[:shared], strict=True) for one in pair]
    return [*pairs, *first[shared:], *second[shared:]]
