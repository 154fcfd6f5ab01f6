"""Requests and responses of the API, and responses made from the stylist's answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi.openapi.models import Example
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, SecretStr, StrictBool, model_validator

from coordi.config import Settings
from coordi.recommend.answers import (
    Completion,
    Contribution,
    Generated,
    GuideRemark,
    Judge,
    Looks,
    OutfitScore,
    Reason,
    Understood,
)
from coordi.recommend.rules import ItemId, Rules, Words
from coordi.serve.sentences import LeftOutRule, Sentence
from coordi.style.agreement import Remark
from coordi.types import FactName, FactSource, GarmentCategory, Gender, Item, Label

PREFIX = "/api/v1"
MAX_ITEMS = 12
MAX_SUGGESTIONS = 50
MAX_LOOKS = 10
MAX_TEXT_LENGTH = 300
MAX_EMBEDDING_LENGTH = 12_000
_MAX_FILTER_VALUES = 20
_MAX_OFFSET = 10_000_000

# Rounding of float32 leaves the interval by its last digit.
Probability = Annotated[float, BeforeValidator(lambda value: min(1.0, max(0.0, float(value)))), Field(ge=0, le=1)]
Difference = Annotated[float, BeforeValidator(lambda value: min(1.0, max(-1.0, float(value)))), Field(ge=-1, le=1)]


class BaseSchema(BaseModel):
    """Base of requests and responses: an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ServeSettings(Settings):
    """Options of ``coordi serve``, as its ``--help`` explains them; ``names`` are those of ``--name``."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    names: tuple[str, ...] = ()
    token: SecretStr | None = None
    workers: int = Field(default=8, ge=1, le=64)
    queue: int = Field(default=64, ge=0, le=10_000)
    max_batch: int = Field(default=128, ge=1, le=10_000)
    photo_bytes: int = Field(default=20 * 2**20, ge=1024)
    body_bytes: int = Field(default=64 * 1024, ge=1024)
    read_seconds: float = Field(default=30, gt=0)
    stop_seconds: int = Field(default=30, ge=1)
    access_log: bool = False


Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_LENGTH, pattern=r"\S")]
LabelText = Annotated[str, Field(min_length=1, max_length=60)]


def _integer(value: object) -> object:
    """JSON doesn't distinguish 5.0 from 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int, BeforeValidator(_integer)]


class LabelledItem(BaseSchema):
    """An item of the client's own, by labels of the vocabulary, as ``describe`` found them or a user corrected them.

    Labels of the attributes in ``corrected`` are the user's, and count before the title and the photo. ``embedding`` is
    that of ``describe``, by the same encoder; without it photos aren't compared.
    """

    category: GarmentCategory
    attributes: dict[LabelText, tuple[LabelText, ...]] = Field(default_factory=dict, max_length=20)
    title: str = Field(default="", max_length=MAX_TEXT_LENGTH)
    corrected: tuple[LabelText, ...] = Field(default=(), max_length=20)
    embedding: str | None = Field(default=None, max_length=MAX_EMBEDDING_LENGTH)


_NULL: Any = {"type": "null"}
_SOURCES = ("id", "text", "seen")


class RequestItem(BaseSchema):
    """One item of an outfit: exactly one of a catalogue id, a few words, or the labels of a photo."""

    model_config = ConfigDict(
        json_schema_extra={  # one of them isn't null, whether the others are left out or null
            "oneOf": [
                {"required": [name], "properties": dict.fromkeys(_SOURCES, _NULL) | {name: {"not": _NULL}}}
                for name in _SOURCES
            ]
        }
    )

    id: ItemId | None = None
    text: Text | None = None
    labels: LabelledItem | None = Field(default=None, alias="seen")

    @model_validator(mode="after")
    def _check_source(self) -> RequestItem:
        values = zip(_SOURCES, (self.id, self.text, self.labels), strict=True)
        given = [name for name, value in values if value is not None]
        if len(given) != 1:
            raise ValueError(f"an item is exactly one of 'id', 'text' and 'seen', got {', '.join(given) or 'none'}")
        return self


class ItemsRequest(BaseSchema):
    """Items of which everything that is known is wanted."""

    items: tuple[RequestItem, ...] = Field(min_length=1, max_length=MAX_ITEMS)


class ScoreRequest(BaseSchema):
    """Two or more items that may go together."""

    items: tuple[RequestItem, ...] = Field(min_length=2, max_length=MAX_ITEMS)
    language_model: StrictBool = True


class CompleteRequest(BaseSchema):
    """An outfit to complete from the catalogue; sooner without the language model, and without reasons.

    With ``generate`` the language model names in words what would complete it, and what is nearest to them is
    suggested; a model with a pooled head can't.
    """

    items: tuple[RequestItem, ...] = Field(min_length=1, max_length=MAX_ITEMS)
    k: Count = Field(default=5, ge=1, le=MAX_SUGGESTIONS, strict=True)
    rules: Rules = Rules()
    language_model: StrictBool = True
    reasons: StrictBool = True
    generate: StrictBool = False

    @model_validator(mode="after")
    def _check_writer(self) -> CompleteRequest:
        if self.generate and not self.language_model:
            raise ValueError("'generate' is true and 'language_model' false, but only the language model writes")
        return self


class LooksRequest(BaseSchema):
    """Outfits around an item, from the catalogue, or without one for a wish in the rules."""

    around: RequestItem | None = None
    k: Count = Field(default=3, ge=1, le=MAX_LOOKS, strict=True)
    rules: Rules = Rules()
    language_model: StrictBool = True


class CatalogueQuery(BaseModel):
    """Filters on the catalogue, with the fields of ``Rules``; values of one filter are alternatives."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    q: Annotated[str, Field(max_length=MAX_TEXT_LENGTH, description="Words that are all in the item.")] = ""
    want: Annotated[list[GarmentCategory], Field(max_length=_MAX_FILTER_VALUES, alias="category")] = []
    brands: Annotated[list[Words], Field(max_length=_MAX_FILTER_VALUES, alias="brand")] = []
    colours: Annotated[list[Words], Field(max_length=_MAX_FILTER_VALUES, alias="colour")] = []
    gender: Gender | None = None
    seasons: Annotated[list[Words], Field(max_length=_MAX_FILTER_VALUES, alias="season")] = []
    price_min: Annotated[float | None, Field(ge=0)] = None
    price_max: Annotated[float | None, Field(ge=0)] = None
    in_stock: bool = False
    offset: Annotated[int, Field(ge=0, le=_MAX_OFFSET)] = 0
    limit: Annotated[int, Field(ge=1, le=200)] = 50

    def rules(self) -> Rules:
        """The filters as rules; raises ``ValidationError`` if they contradict each other."""
        return Rules.model_validate(self.model_dump(exclude={"q", "offset", "limit"}))


def _labels_of(description: object) -> object:
    return {} if description is None else getattr(description, "attributes", description)


# By attribute, most probable first; none without a description.
Attributes = Annotated[dict[str, tuple[Label, ...]], BeforeValidator(_labels_of)]


class FactResponse(BaseSchema):
    """What one source says: the user, a shop's column, the title, the photo, or what is usual for the item's kind."""

    model_config = ConfigDict(from_attributes=True)

    values: tuple[str, ...]
    source: FactSource


FactsResponse = dict[FactName, tuple[FactResponse, ...]]
"""By name; the first fact counts."""


class DescribeResponse(BaseSchema):
    """What coordi recognises in a photo: by attribute, the labels that are sure enough, most probable first.

    The category is None, and the text empty, if the encoder isn't sure: the client has to choose one. ``embedding`` is
    the photo's, float32 in base64, for ``seen.embedding``; it holds no picture. ``note`` says so if the photo shows
    several garments.
    """

    category: GarmentCategory | None
    attributes: Attributes
    text: str
    note: str | None
    encoder: str
    embedding: str
    facts: FactsResponse


class ItemResponse(BaseSchema):
    """An item for display, with its photo's path on this server; one that the client sent has neither id nor photo."""

    model_config = ConfigDict(from_attributes=True)

    id: str | None
    title: str
    text: str
    category: GarmentCategory | None
    kind: str = Field(validation_alias="subcategory")
    brand: str
    colours: tuple[str, ...]
    gender: Gender | None
    season: str
    price: float | None
    in_stock: bool | None
    photo: str | None = None
    attributes: Attributes = Field(validation_alias="description")
    facts: FactsResponse

    @classmethod
    def of(cls, item: Item, *, in_catalogue: bool = True) -> ItemResponse:
        """The response for an item; one of the client's own has neither id nor photo."""
        photo = f"{PREFIX}/catalogue/photos/{quote(item.id, safe='')}" if in_catalogue and item.image else None
        return cls.model_validate(item).model_copy(update={"id": item.id if in_catalogue else None, "photo": photo})


class ItemsResponse(BaseSchema):
    """Items in the order of the request."""

    items: tuple[ItemResponse, ...]


class ScoredItem(BaseSchema):
    """An item of a scored outfit, and P(yes) of the outfit without it; None for an outfit of two items."""

    item: ItemResponse
    score_without: Probability | None


class RemarkItem(BaseSchema):
    """An item of a remark and the fact that the rule reads; one that wasn't in the request has its id, no position."""

    position: int | None
    id: str | None
    fact: FactResponse


class RemarkResponse(BaseSchema):
    """What a rule of style says of two items, for them or against them, by a fact of each."""

    rule: str
    speaks_for: bool
    fact: FactName
    items: tuple[RemarkItem, RemarkItem]

    @classmethod
    def of(cls, remark: Remark, ids: Sequence[str], given: int) -> RemarkResponse:
        """The response for a remark on the items with these ids, of which the request had the first ``given``."""
        first, second = (
            RemarkItem(
                position=position if position < given else None,
                id=None if position < given else ids[position],
                fact=FactResponse.model_validate(fact),
            )
            for position, fact in zip(remark.items, remark.facts, strict=True)
        )
        return cls(rule=remark.rule, speaks_for=remark.speaks_for, fact=remark.fact, items=(first, second))


class ScoreResponse(BaseSchema):
    """How well items go together: P(yes).

    ``weakest`` is the position of the item whose absence helps most; cautions are combinations that aren't an outfit;
    remarks are what the rules of style say, which the score need not agree with.
    """

    score: Probability
    judge: Judge
    weakest: int | None
    items: tuple[ScoredItem, ...]
    cautions: tuple[Sentence, ...]
    remarks: tuple[RemarkResponse, ...]

    @classmethod
    def of(cls, answer: OutfitScore, in_catalogue: Sequence[bool]) -> ScoreResponse:
        """The response for an answer; ``in_catalogue`` says for each item whether it has an id."""
        items = tuple(
            ScoredItem(item=ItemResponse.of(item, in_catalogue=has_id), score_without=without)
            for item, has_id, without in zip(answer.items, in_catalogue, answer.without, strict=True)
        )
        fields = ("score", "judge", "weakest", "cautions")
        ids = [item.id for item in answer.items]
        remarks = tuple(RemarkResponse.of(remark, ids, len(ids)) for remark in answer.remarks)
        return cls(items=items, remarks=remarks, **{name: getattr(answer, name) for name in fields})


class ItemEffect(BaseSchema):
    """Effect of an item on a score: with it minus without it. A pinned item has its id, others their position."""

    position: int | None
    id: str | None
    by: Difference


class LabelEffect(BaseSchema):
    """Effect of a label of a suggested item on a score: the score with it minus the score without it."""

    label: str
    attribute: str
    by: Difference


class ReasonResponse(BaseSchema):
    """Why an item or look is suggested: what the rules of style say, and how the score changes without each part; also
    as an English sentence. ``fits`` are the occasions and the weather that an item suits; its position is that in the
    look, or in the request's outfit with the suggestion at its end.
    """

    items: tuple[ItemEffect, ...]
    attributes: tuple[LabelEffect, ...]
    remarks: tuple[RemarkResponse, ...]
    text: Sentence
    fits: tuple[GuideRemark, ...] = ()

    @classmethod
    def of(cls, reason: Reason, ids: Sequence[str], added: Sequence[str] = ()) -> ReasonResponse:
        """The response for a reason; items that are in ``ids`` are named by their position there, ``added`` ones, which
        follow them in the outfit, by their ids.
        """
        left = list(enumerate(ids))  # an id that occurs twice takes its positions in order

        def effect(moved: Contribution) -> ItemEffect:
            entry = next((entry for entry in left if entry[1] == moved.what), None)
            if entry is None:
                return ItemEffect(position=None, id=moved.what, by=moved.by)
            left.remove(entry)
            return ItemEffect(position=entry[0], id=None, by=moved.by)

        labels = [LabelEffect(label=row.what, attribute=row.attribute, by=row.by) for row in reason.attributes]
        return cls(
            items=tuple(effect(row) for row in reason.items),
            attributes=tuple(labels),
            remarks=tuple(RemarkResponse.of(remark, [*ids, *added], len(ids)) for remark in reason.remarks),
            text=reason.text,
            fits=reason.fits,
        )


class SuggestionResponse(BaseSchema):
    """An item that would complete the outfit, and P(yes) of the outfit with it."""

    item: ItemResponse
    score: Probability
    is_pinned: bool
    reason: ReasonResponse | None


class GeneratedResponse(BaseSchema):
    """What the language model named of a wanted category, and what led to it: garment types and items that the image
    encoder recommends, and the prompt. The catalogue was searched by ``words``; ``note`` says what was done where the
    text names nothing, several things, another category, or nothing that the catalogue has.
    """

    want: GarmentCategory
    recommended: tuple[Label, ...]
    shortlist: tuple[ItemResponse, ...]
    prompt: str
    text: str
    words: str
    note: str

    @classmethod
    def of(cls, generated: Generated) -> GeneratedResponse:
        """The response for what was named."""
        fields = {name: getattr(generated, name) for name in ("want", "recommended", "prompt", "text", "words", "note")}
        return cls(shortlist=tuple(map(ItemResponse.of, generated.shortlist)), **fields)


class CompleteResponse(BaseSchema):
    """Items that would complete the outfit, and the categories that were searched; ``nothing`` says why there is none.

    The rules allow so many candidates, of which some were ranked; ``left_out`` says what they left out if little fits,
    and always what the occasion and the weather left out. ``generated`` has what the language model named in each
    category, if it was asked to.
    """

    suggestions: tuple[SuggestionResponse, ...]
    categories: tuple[GarmentCategory, ...]
    candidates: int = Field(ge=0)
    ranked: int = Field(ge=0)
    judge: Judge
    left_out: tuple[LeftOutRule, ...]
    nothing: Sentence
    generated: tuple[GeneratedResponse, ...] = ()
    understood: Understood | None = None

    @classmethod
    def of(cls, answer: Completion) -> CompleteResponse:
        """The response for an answer."""
        ids = [item.id for item in answer.outfit]
        pinned = [row.item.id for row in answer.suggestions if row.is_pinned]
        suggestions = tuple(
            SuggestionResponse(
                item=ItemResponse.of(row.item),
                score=row.score,
                is_pinned=row.is_pinned,
                reason=None if row.reason is None else ReasonResponse.of(row.reason, ids, [*pinned, row.item.id]),
            )
            for row in answer.suggestions
        )
        fields = ("categories", "candidates", "ranked", "judge", "left_out", "nothing", "understood")
        generated = tuple(map(GeneratedResponse.of, answer.generated))
        return cls(suggestions=suggestions, generated=generated, **{name: getattr(answer, name) for name in fields})


class LookResponse(BaseSchema):
    """An outfit, whose reason has its own positions; it ``lacks`` categories that no item was found for."""

    items: tuple[ItemResponse, ...]
    score: Probability
    reason: ReasonResponse
    missing: tuple[GarmentCategory, ...] = Field(serialization_alias="lacks")


class LooksResponse(BaseSchema):
    """Outfits: those that miss no category first, then by score; ``nothing`` says why there is none."""

    looks: tuple[LookResponse, ...]
    judge: Judge
    left_out: tuple[LeftOutRule, ...]
    nothing: Sentence
    understood: Understood | None = None

    @classmethod
    def of(cls, answer: Looks, *, in_catalogue: bool) -> LooksResponse:
        """The response for an answer; ``in_catalogue`` says whether the first item of the looks has an id."""
        looks = tuple(
            LookResponse(
                items=tuple(
                    ItemResponse.of(item, in_catalogue=position > 0 or in_catalogue)
                    for position, item in enumerate(look.items)
                ),
                score=look.score,
                reason=ReasonResponse.of(look.reason, [item.id for item in look.items]),
                missing=look.missing,
            )
            for look in answer.looks
        )
        fields = ("judge", "left_out", "nothing", "understood")
        return cls(looks=looks, **{name: getattr(answer, name) for name in fields})


class CatalogueResponse(BaseSchema):
    """A page of the catalogue, the offset of its first item, and the number of items that match in all."""

    items: tuple[ItemResponse, ...]
    total: int = Field(ge=0)
    offset: int = Field(ge=0)


class SimilarItem(BaseSchema):
    """An item of the catalogue and the cosine of its photo to the given one."""

    item: ItemResponse
    cosine: Annotated[float, Field(ge=-1.001, le=1.001)]


class SimilarResponse(BaseSchema):
    """Items whose photos are most similar to the given one, best first."""

    items: tuple[SimilarItem, ...]


class AttributeResponse(BaseSchema):
    """An attribute of the vocabulary: its labels, and how many of them a photo can have."""

    name: str
    labels: tuple[str, ...]
    most: int = Field(ge=1)


class VocabularyResponse(BaseSchema):
    """Accepted values, for chips and filters, and upper limits of a request.

    ``worn_as`` has the garment category of each label of ``category``. Brands (the first hundred) and the fields
    after them are those of the catalogue; ``in_catalogue`` is its number of items by category. ``occasions`` are names
    for ``rules``.
    """

    categories: tuple[GarmentCategory, ...]
    attributes: tuple[AttributeResponse, ...]
    category_by_label: dict[str, GarmentCategory] = Field(serialization_alias="worn_as")
    brands: tuple[str, ...]
    seasons: tuple[str, ...]
    genders: tuple[Gender, ...]
    occasions: tuple[str, ...]
    in_catalogue: dict[GarmentCategory, int]
    price_range: tuple[float, float] | None
    limits: dict[str, int]


class HealthResponse(BaseSchema):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str


class ReadyResponse(BaseSchema):
    """The models are loaded: ``fine-tuned`` or ``base``. ``catalogue_made`` is when the catalogue was last changed;
    ``can_write`` says whether ``generate`` of ``complete`` is possible.

    The catalogue is old if it has changed on disk and can't be opened, so that the previous one is still used; the
    log says why.
    """

    ready: Literal[True] = True
    model: str
    can_write: bool
    encoder: str
    catalogue: str | None
    catalogue_changed: str | None = Field(serialization_alias="catalogue_made")
    catalogue_is_old: bool
    items: int = Field(ge=0)


class Problem(BaseSchema):
    """What is wrong with a request.

    Attributes:
        code: For programs: ``invalid``, ``contradiction`` (values exclude each other), ``unknown_item``,
            ``unknown_label``, ``unknown_words``, ``not_an_image``, ``too_large``, ``too_slow``, ``bad_request``,
            ``not_found``, ``method_not_allowed``, ``unsupported_media_type``, ``unauthorized``, ``forbidden``,
            ``no_catalogue``, ``empty_catalogue``, ``cannot_write``, ``busy``, ``not_ready``, ``internal``.
        message: One sentence for people: what is wrong, the value, what is accepted, what to do.
        field: Where in the request, such as ``items[1].text``; empty if no single field is wrong.
        accepted: Values that are accepted there, if they can be listed.
    """

    code: str
    message: Sentence
    field: str = ""
    accepted: tuple[str, ...] = ()


class ErrorResponse(BaseSchema):
    """Every error of every route."""

    error: Problem


_LOOK: list[JsonValue] = [{"text": "navy wool blazer"}, {"text": "white shirt"}]
_DRESS: JsonValue = {"category": "dress", "attributes": {"colour": ["black"]}, "title": "silk midi dress"}
_RULES: JsonValue = {"want": ["shoes"], "in_stock": True}
SCORE_EXAMPLES = {
    "words": Example(value={"items": [*_LOOK, {"text": "red running shoes"}]}),
    "seen": Example(value={"items": [{"seen": _DRESS}, {"text": "gold necklace"}], "language_model": False}),
}
ITEMS_EXAMPLES = {"words": Example(value={"items": _LOOK})}
_OFFICE: JsonValue = {"occasion": "office", "weather": "8 C, rain"}
COMPLETE_EXAMPLES = {
    "words": Example(value={"items": _LOOK, "k": 3, "rules": _RULES, "language_model": False}),
    "occasion": Example(value={"items": _LOOK, "rules": _OFFICE, "language_model": False}),
}
LOOKS_EXAMPLES = {
    "words": Example(value={"around": {"text": "black leather jacket"}, "k": 2, "language_model": False}),
}
