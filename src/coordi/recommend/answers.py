"""Answers of the stylist as frozen types, and the protocol of its scorers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from coordi.model.features import GroupSums
from coordi.model.generation import NameRequest, Written
from coordi.style.agreement import Remark
from coordi.style.occasions import GivesWay
from coordi.types import EmbeddingSort, Fact, FactName, GarmentCategory, Item, Label, OutfitScorer

Judge = Literal["language-model", "without-language-model"]
"""Whether the language model scored an answer."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """Effect on a score, in ``[-1, 1]``, of an item (its id) or of a label: with it minus without it."""

    what: str
    attribute: str
    by: float


@dataclass(frozen=True, slots=True)
class GuideRemark:
    """An item, by its position, that suits an occasion or the weather or breaks it, and the fact that says so.
    ``guide`` is in words for users, such as ``"office"`` or ``"8 C"``.
    """

    guide: str
    fits: bool
    item: int
    name: FactName
    fact: Fact


@dataclass(frozen=True, slots=True)
class Understood:
    """What was understood of an occasion, the weather and a wish: the strictest occasion first, the lowest and the
    highest dress code that is suggested, what isn't followed as it contradicts another part, items of the user's outfit
    with pinned ones that break it, features that are wanted or refused ("without heels") with prices, people and stock
    of the wish, and parts of the wish that no rule follows; ``text`` is an English sentence of all.
    """

    occasions: tuple[str, ...]
    weather: tuple[str, ...]
    formality: tuple[str, ...]
    gives_way: tuple[GivesWay, ...]
    outfit: tuple[GuideRemark, ...]
    wishes: tuple[str, ...]
    not_understood: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item is suggested: effects of the outfit's items and of the labels in its text, the most helpful first. An
    outfit of one item has no effects of items. ``remarks`` are what the rules of style say of it, for it or against it;
    their positions are those of the outfit with the item at its end. ``fits`` are occasions and weather that it suits.
    ``text`` is an English sentence of all.
    """

    items: tuple[Contribution, ...]
    attributes: tuple[Contribution, ...]
    remarks: tuple[Remark, ...]
    text: str
    fits: tuple[GuideRemark, ...] = ()


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An item of the catalogue that would complete the outfit, and P(yes) of the outfit with it, in ``[0, 1]``."""

    item: Item
    score: float
    is_pinned: bool = False
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Number of items that a rule left out of those that passed the rules before it, and number of those left.

    ``name`` is the field of ``Rules``, ``rule`` its words for users, such as ``"price at most 50"``.
    """

    name: str
    rule: str
    count: int
    left: int


@dataclass(frozen=True, slots=True)
class Generated:
    """What the language model named in words to complete an outfit, and what led to it.

    Attributes:
        want: Category that was asked for.
        recommended: Garment types of it that the image encoder recommends zero-shot, most probable first.
        shortlist: Items of the catalogue that the encoder recommends zero-shot, best first, without the language model.
        prompt: Text that the language model read.
        text: What it wrote; empty if nothing.
        words: What the catalogue was searched by: the text, the part of it that names one item, or else what the
            encoder recommends.
        note: What was done where the text names nothing, several things, another category, or nothing that is in the
            catalogue; empty otherwise.
    """

    want: GarmentCategory
    recommended: tuple[Label, ...]
    shortlist: tuple[Item, ...]
    prompt: str
    text: str
    words: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """Items that complete an outfit.

    Attributes:
        categories: Those that were searched: the wanted ones, or those that can be added.
        suggestions: Pinned items first, then best first; without a wanted category the best of each category come
            before the second best of any.
        candidates: Number of items that the rules allow; ``ranked`` of them were ranked.
        left_out: Rules that left items out, in their order, if there are fewer suggestions than requested; else only
            those of the occasion and the weather.
        nothing: Why there is no suggestion but pinned ones, in one sentence; empty if there is one.
        generated: By category, in order, what the language model named; suggestions are then the items whose texts are
            nearest to its words, nearest first. Empty unless it was asked to.
        understood: Of the occasion and the weather; None without either.
    """

    outfit: tuple[Item, ...]
    categories: tuple[GarmentCategory, ...]
    suggestions: tuple[Suggestion, ...]
    candidates: int
    ranked: int
    judge: Judge
    left_out: tuple[LeftOut, ...] = ()
    nothing: str = ""
    generated: tuple[Generated, ...] = ()
    understood: Understood | None = None


@dataclass(frozen=True, slots=True)
class OutfitScore:
    """How well items go together: P(yes) in ``[0, 1]``.

    Attributes:
        without: P(yes) of the outfit without each item; None for an outfit of two items.
        weakest: Position of the item whose absence helps most; None if none does.
        cautions: Combinations that aren't an outfit, such as two pairs of shoes, which the score doesn't consider.
        remarks: What the rules of style say of the items, for them or against them, what counts most first.
    """

    items: tuple[Item, ...]
    score: float
    without: tuple[float | None, ...]
    weakest: int | None
    cautions: tuple[str, ...]
    judge: Judge
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """An outfit that was built around an item: the given and pinned items, then in the order of ``COMPLETION_ORDER``.
    ``missing`` are the categories that an outfit needs and that no item was found for, without unwanted ones.
    """

    items: tuple[Item, ...]
    score: float
    reason: Reason
    missing: tuple[GarmentCategory, ...] = ()


@dataclass(frozen=True, slots=True)
class Looks:
    """Outfits around an item, those that miss the fewest categories first, then best first. ``left_out`` are rules that
    left items out of the categories that a look misses, or of all if there is no look; ``nothing`` then says why. If
    none misses any, they are those of the occasion and the weather. ``understood`` is as in ``Completion``.
    """

    looks: tuple[Look, ...]
    judge: Judge
    left_out: tuple[LeftOut, ...] = ()
    nothing: str = ""
    understood: Understood | None = None


class Scorers(Protocol):
    """Scorers of one model; ``model.trained.ModelScorers`` are some. Safe to call from several threads."""

    @property
    def model(self) -> OutfitScorer:
        """The scorer that is measured and served, language model included."""

    @property
    def quick(self) -> OutfitScorer:
        """A scorer without the language model: microseconds per outfit, less accurate."""

    @property
    def explaining(self) -> OutfitScorer:
        """The scorer whose differences explain ``model``: ``quick`` if both are of one ensemble, else ``model``."""

    def for_catalogue(self, sums: GroupSums) -> Scorers:
        """The same scorers adapted to the items of a catalogue; whatever is loaded is shared."""

    def directions(self, outfit: Sequence[Item]) -> Mapping[EmbeddingSort, NDArray[np.float32]]:
        """Directions in which embeddings of fitting items lie, of texts, ``(T,)``, and of photos, ``(D,)``, if an item
        has one and photos count: within a category, ``quick`` scores grow with the inner products, but kinds, shared
        words and rules of facts move them too. So a nearest-neighbour search finds good items, not always the best:
        those that it finds have to be scored.
        """

    def write(self, requests: Sequence[NameRequest]) -> Sequence[Written]:
        """Name in words what would complete outfits, in the order of the requests; a ``ModelError`` if the model can't
        write.
        """


def scorer_of(scorers: Scorers, language_model: bool) -> OutfitScorer:
    """The scorer with the language model, or the one without it."""
    return scorers.model if language_model else scorers.quick


def judge(language_model: bool) -> Judge:
    """The value of ``Judge`` in an answer."""
    return "language-model" if language_model else "without-language-model"
