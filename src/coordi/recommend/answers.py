"""What the stylist answers, as frozen types, and the scorer that it asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from coordi.model.features import GroupSums
from coordi.types import GarmentCategory, Item, OutfitScorer

Judge = Literal["language-model", "without-language-model"]


@dataclass(frozen=True, slots=True)
class Contribution:
    """How much something moved a score.

    Attributes:
        what: An item's id, or an attribute's label such as ``"leather"``.
        attribute: Which attribute the label is of (``"material"``); empty for an item.
        by: The score with it less the score without it, in ``[-1, 1]``; above 0 it helped.
    """

    what: str
    attribute: str
    by: float


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item is suggested: nothing but what was said of it, and what leaving something out does to the score.

    Attributes:
        items: Each item of the outfit left out in turn, the most helpful first; empty where the outfit has one item.
        attributes: Each known attribute of the suggested item left unsaid in turn, the most helpful first.
        text: Both in one English sentence.
    """

    items: tuple[Contribution, ...]
    attributes: tuple[Contribution, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One item that would complete the outfit.

    Attributes:
        item: From the catalogue.
        score: P(yes) of the outfit with it, in ``[0, 1]``.
        is_pinned: It is there because the rules ask for it.
        reason: None if reasons weren't asked for.
    """

    item: Item
    score: float
    is_pinned: bool = False
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Items that one rule left out of what was left by the rules before it.

    Attributes:
        name: Of the rule, as ``Rules`` has it.
        rule: In a user's words, such as ``"price at most 50"``.
        count: How many.
        left: How many were left after it.
    """

    name: str
    rule: str
    count: int
    left: int


@dataclass(frozen=True, slots=True)
class Completion:
    """What would complete an outfit.

    Attributes:
        outfit: As given, catalogue items and others.
        categories: What was looked for: the wanted categories, or those that are missing.
        suggestions: Pinned ones first, then best first; without a wanted category the best of each category come
            before the second best of any.
        candidates: Items that the rules allow, before the shortlist.
        ranked: Items that the judge ranked.
        judge: Who ranked them. What isn't ranked by the language model is flagged so.
        left_out: Rules that left something out, in their order; filled in where nothing or too little fits.
        nothing: Why there is no suggestion but pinned ones, in one sentence; empty if there is one.
    """

    outfit: tuple[Item, ...]
    categories: tuple[GarmentCategory, ...]
    suggestions: tuple[Suggestion, ...]
    candidates: int
    ranked: int
    judge: Judge
    left_out: tuple[LeftOut, ...] = ()
    nothing: str = ""


@dataclass(frozen=True, slots=True)
class OutfitScore:
    """How well items go together.

    Attributes:
        items: In the order given.
        score: P(yes) in ``[0, 1]``.
        without: P(yes) of the outfit without each item; None where two items are all there are.
        weakest: Position of the item whose absence helps most; None if none does.
        cautions: What among the items nobody wears together, which a score says nothing of.
        judge: Who judged.
    """

    items: tuple[Item, ...]
    score: float
    without: tuple[float | None, ...]
    weakest: int | None
    cautions: tuple[str, ...]
    judge: Judge


@dataclass(frozen=True, slots=True)
class Look:
    """A whole outfit.

    Attributes:
        items: The item it was made around first, then in the order of ``fitting.COMPLETION_ORDER``.
        score: P(yes) in ``[0, 1]``.
        reason: What moved it: each item left out in turn.
        lacks: Categories that a whole outfit needs and that nothing was found of, unwanted ones left out.
    """

    items: tuple[Item, ...]
    score: float
    reason: Reason
    lacks: tuple[GarmentCategory, ...] = ()


@dataclass(frozen=True, slots=True)
class Looks:
    """Whole outfits around an item.

    Attributes:
        looks: Those that lack nothing first, of these the best first; no two share more than the item they are made
            around and half of the rest.
        judge: Who judged.
        left_out: Rules that left something out of the categories that a look lacks, in their order; of all that were
            looked for if there is no look.
        nothing: Why there is no look, in one sentence; empty if there is one.
    """

    looks: tuple[Look, ...]
    judge: Judge
    left_out: tuple[LeftOut, ...] = ()
    nothing: str = ""


class Scorers(Protocol):
    """Scorers of one model; ``model.trained.ModelScorers`` are some. Safe to call from several threads."""

    @property
    def model(self) -> OutfitScorer:
        """The scorer that is measured and served, language model included."""
        ...

    @property
    def quick(self) -> OutfitScorer:
        """A scorer without the language model: microseconds per outfit, less accurate."""
        ...

    def for_catalogue(self, sums: GroupSums) -> Scorers:
        """The same scorers adapted to the items of a catalogue; whatever is loaded is shared."""
        ...

    def direction(self, outfit: Sequence[Item]) -> NDArray[np.float32]:
        """Direction in which text embeddings of fitting items lie, ``(T,)``.

        Of two candidates of one category, ``quick`` scores the one higher that has the larger inner product with it,
        but for shared words and rounding, so a nearest-neighbour search finds the candidates that are worth scoring.

        Args:
            outfit: One item or more.
        """
        ...


def scorer_of(scorers: Scorers, *, language_model: bool) -> OutfitScorer:
    """The scorer with the language model, or the one without it."""
    return scorers.model if language_model else scorers.quick
