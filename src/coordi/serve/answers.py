"""What clients are answered."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from coordi.domain import WornCategory
from coordi.recommend.advice import Judge
from coordi.recommend.described_item import Gender
from coordi.serve.wire import Difference, Probability, Wire


class SeenLabel(Wire):
    """A label that was seen in a photo, with its probability among the labels of its attribute."""

    text: str
    probability: Probability


class DescribeAnswer(Wire):
    """What coordi sees in a photo.

    Attributes:
        category: None if the encoder isn't sure what it is: the client has to say it.
        attributes: By attribute, what is sure enough to be said, most probable first.
        text: What a prompt would say of it; empty without a category.
        encoder: Who saw it.
    """

    category: WornCategory | None
    attributes: dict[str, tuple[SeenLabel, ...]]
    text: str
    encoder: str


class ItemShown(Wire):
    """An item as a client shows it.

    Attributes:
        id: Of the catalogue; None for an item that the client gave.
        photo: Path of its photo on this server (``/api/v1/catalogue/photos/...``); None without one.
        price: In the catalogue's currency; None if unknown.
        attributes: By attribute, what was seen, most probable first.
    """

    id: str | None
    title: str
    text: str
    category: WornCategory
    kind: str
    brand: str
    colours: tuple[str, ...]
    gender: Gender | None
    season: str
    price: float | None
    in_stock: bool | None
    photo: str | None
    attributes: dict[str, tuple[SeenLabel, ...]]


class ScoredItem(Wire):
    """An item of a scored outfit.

    Attributes:
        score_without: P(yes) of the others without it; None where two items are all there are.
    """

    item: ItemShown
    score_without: Probability | None


class ScoreAnswer(Wire):
    """How well items go together.

    Attributes:
        score: P(yes).
        weakest: Position of the item whose absence helps most; None if none does.
        cautions: What nobody wears together, in English sentences.
    """

    score: Probability
    judge: Judge
    weakest: int | None
    items: tuple[ScoredItem, ...]
    cautions: tuple[str, ...]


class MovedItemShown(Wire):
    """An item that moved a score.

    Attributes:
        position: In the request's ``items``, or in the look that is explained; None for a pinned item.
        id: Of a pinned item.
        by: Score with it less score without it.
    """

    position: int | None
    id: str | None
    by: Difference


class MovedLabelShown(Wire):
    """A label of what is suggested that moved a score.

    Attributes:
        label: As the vocabulary has it.
        attribute: Of the label.
        by: Score with it less score without it.
    """

    label: str
    attribute: str
    by: Difference


class ReasonShown(Wire):
    """Why: what leaving something out does to the score. ``text`` says it in one English sentence."""

    items: tuple[MovedItemShown, ...]
    attributes: tuple[MovedLabelShown, ...]
    text: str


class SuggestionShown(Wire):
    """An item that would complete the outfit, and P(yes) of the outfit with it."""

    item: ItemShown
    score: Probability
    is_pinned: bool
    reason: ReasonShown | None


class LeftOutShown(Wire):
    """How many items a rule left out, and how many were left after it.

    Attributes:
        name: Of the rule, as a request's ``rules`` have it; ``unwanted_genders`` also where the outfit says for whom.
        rule: In words.
    """

    name: str
    rule: str
    count: int = Field(ge=0)
    left: int = Field(ge=0)


class CompleteAnswer(Wire):
    """What would complete the outfit.

    Attributes:
        categories: What was looked for.
        candidates: Items that the rules allow.
        ranked: Of these, how many the judge ranked.
        left_out: What the rules left out, where nothing or too little fits.
        nothing: Why there is no suggestion; empty if there is one.
    """

    suggestions: tuple[SuggestionShown, ...]
    categories: tuple[WornCategory, ...]
    candidates: int = Field(ge=0)
    ranked: int = Field(ge=0)
    judge: Judge
    left_out: tuple[LeftOutShown, ...]
    nothing: str


class LookShown(Wire):
    """A whole outfit; positions in its reason are those of its own items.

    Attributes:
        lacks: What a whole outfit needs (a top and a bottom or a dress, shoes) and nothing was found of.
    """

    items: tuple[ItemShown, ...]
    score: Probability
    reason: ReasonShown
    lacks: tuple[WornCategory, ...]


class LooksAnswer(Wire):
    """Whole outfits, those that lack nothing and then the best first.

    Attributes:
        left_out: Which rules left out what a look lacks, or everything.
        nothing: Why there is no look; empty if there is one.
    """

    looks: tuple[LookShown, ...]
    judge: Judge
    left_out: tuple[LeftOutShown, ...]
    nothing: str


class CatalogueAnswer(Wire):
    """A part of the catalogue.

    Attributes:
        total: Items that match.
        offset: Of the first item shown among them.
    """

    items: tuple[ItemShown, ...]
    total: int = Field(ge=0)
    offset: int = Field(ge=0)


class AlikeShown(Wire):
    """An item of the catalogue and the cosine of its photo to the given one."""

    item: ItemShown
    cosine: Annotated[float, Field(ge=-1.001, le=1.001)]


class AlikeAnswer(Wire):
    """Items whose photos are most like the given one, best first."""

    items: tuple[AlikeShown, ...]


class AttributeShown(Wire):
    """An attribute of the vocabulary: its labels, and how many of them are said of one photo."""

    name: str
    labels: tuple[str, ...]
    most: int = Field(ge=1)


class LimitsShown(Wire):
    """What a request may hold at most."""

    items: int
    suggestions: int
    looks: int
    text: int
    photo_bytes: int


class VocabularyAnswer(Wire):
    """What may be said and asked: for chips and filters.

    Attributes:
        categories: All worn categories.
        worn_as: By label of the attribute ``category``, what it is worn as.
        brands: Of the catalogue, by frequency, the first hundred.
        seasons: Of the catalogue.
        genders: Of the catalogue.
        in_catalogue: Items of the catalogue by category.
        price_range: Lowest and highest price in the catalogue; None if no price is known.
    """

    categories: tuple[WornCategory, ...]
    attributes: tuple[AttributeShown, ...]
    worn_as: dict[str, WornCategory]
    brands: tuple[str, ...]
    seasons: tuple[str, ...]
    genders: tuple[Gender, ...]
    in_catalogue: dict[str, int]
    price_range: tuple[float, float] | None
    limits: LimitsShown


class HealthAnswer(Wire):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str


class ReadyAnswer(Wire):
    """The models are loaded.

    Attributes:
        model: ``fine-tuned`` or ``base``.
        catalogue: Its name; None if there is none.
        catalogue_made: When it was last changed, in UTC; empty for one in memory. A running server takes up changes.
        catalogue_is_old: It has changed, but can't be taken up, so the one before stays; the server's log says why.
        items: In the catalogue.
    """

    ready: Literal[True] = True
    model: str
    encoder: str
    catalogue: str | None
    catalogue_made: str | None
    catalogue_is_old: bool
    items: int = Field(ge=0)


class Problem(Wire):
    """What is wrong with a request.

    Attributes:
        code: For programs: ``invalid``, ``contradiction`` (what is asked for excludes itself), ``unknown_item``,
            ``unknown_label``, ``unknown_words``, ``not_an_image``, ``too_large``, ``too_slow``, ``bad_request``,
            ``not_found``, ``method_not_allowed``, ``unsupported_media_type``, ``unauthorized``, ``forbidden``,
            ``no_catalogue``, ``empty_catalogue``, ``busy``, ``not_ready``, ``internal``.
        message: One sentence for people: what, which value, what is accepted, what to do.
        field: Where in the request, such as ``items[1].text``; empty if it isn't about one place.
        accepted: What is accepted there, where that can be listed.
    """

    code: str
    message: str
    field: str = ""
    accepted: tuple[str, ...] = ()


class ErrorAnswer(Wire):
    """Every error of every route, whatever its status."""

    error: Problem
