"""Requests and answers of the API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, SecretStr, model_validator

from coordi.config import Settings
from coordi.recommend.answers import Judge
from coordi.recommend.rules import ItemId, Rules
from coordi.types import GarmentCategory, Gender

PREFIX = "/api/v1"
MOST_ITEMS = 12
MOST_SUGGESTIONS = 50
MOST_LOOKS = 10
LONGEST_TEXT = 300

Probability = Annotated[float, Field(ge=0, le=1)]
Difference = Annotated[float, Field(ge=-1, le=1)]


class BaseSchema(BaseModel):
    """Base of requests and answers: an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ServeSettings(Settings):
    """Options of ``coordi serve``.

    Attributes:
        host: Address that is listened on.
        port: 0 takes any that is free.
        names: Further names under which the server is asked for, such as a reverse proxy's; see ``security``.
        token: What every request to the API must carry; None asks for nothing.
        workers: Requests for the language model that are worked on at once. Their calls of it are made together.
        queue: Requests for the language model that wait, and as many for the encoder or for neither; the next one gets
            a 503.
        together: Outfits in one call of the language model at most; 1 batches nothing.
        photo_bytes: Largest photo that is taken in.
        body_bytes: Largest JSON body.
        read_seconds: A client that sends nothing for so long is no longer waited for.
        stop_seconds: What is in work is finished for so long once the server is to stop.
        access_log: Whether a line is written for each request: method, path without the query, status, time.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    names: tuple[str, ...] = ()
    token: SecretStr | None = None
    workers: int = Field(default=8, ge=1, le=64)
    queue: int = Field(default=64, ge=0, le=10_000)
    together: int = Field(default=128, ge=1, le=10_000)
    photo_bytes: int = Field(default=20 * 2**20, ge=1024)
    body_bytes: int = Field(default=64 * 1024, ge=1024)
    read_seconds: float = Field(default=30, gt=0)
    stop_seconds: int = Field(default=30, ge=1)
    access_log: bool = False


Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT, pattern=r"\S")]
LabelText = Annotated[str, Field(min_length=1, max_length=60)]


def _whole(value: object) -> object:
    """What JSON's numbers and its schemas don't tell apart: 5.0 is a whole number too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class SeenItem(BaseSchema):
    """An item of the client's own, as its photo was described and perhaps corrected.

    Attributes:
        category: What it is worn as.
        attributes: By attribute of the vocabulary (``GET /api/v1/vocabulary``), its labels; those that aren't known are
            left out.
        title: A few words of the client's own; may be empty.
    """

    category: GarmentCategory
    attributes: dict[LabelText, tuple[LabelText, ...]] = Field(default_factory=dict, max_length=20)
    title: str = Field(default="", max_length=LONGEST_TEXT)


def _one_of(*names: str) -> dict[str, JsonValue]:
    """A JSON schema of objects in which exactly one of these isn't null, whether the others are left out or not."""
    null: dict[str, JsonValue] = {"type": "null"}
    return {
        "oneOf": [
            {"required": [name], "properties": {other: {"not": null} if other == name else null for other in names}}
            for name in names
        ]
    }


class ItemGiven(BaseSchema):
    """One item of an outfit: exactly one of an id of the catalogue, a few words, or what was seen in a photo."""

    model_config = ConfigDict(json_schema_extra=_one_of("id", "text", "seen"))

    id: ItemId | None = None
    text: Text | None = None
    seen: SeenItem | None = None

    @model_validator(mode="after")
    def _is_one(self) -> ItemGiven:
        given = [name for name in ("id", "text", "seen") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"an item is exactly one of 'id', 'text' and 'seen', got {', '.join(given) or 'none'}")
        return self


class ScoreRequest(BaseSchema):
    """Two items or more that may go together."""

    items: tuple[ItemGiven, ...] = Field(min_length=2, max_length=MOST_ITEMS)
    language_model: bool = True


class CompleteRequest(BaseSchema):
    """An outfit to complete from the catalogue.

    Attributes:
        items: What there is.
        k: How many suggestions.
        rules: What may be suggested.
        language_model: False answers sooner and says so in ``judge``.
        reasons: False leaves out what moved each score, which takes time.
    """

    items: tuple[ItemGiven, ...] = Field(min_length=1, max_length=MOST_ITEMS)
    k: Annotated[int, BeforeValidator(_whole)] = Field(default=5, ge=1, le=MOST_SUGGESTIONS)
    rules: Rules = Rules()
    language_model: bool = True
    reasons: bool = True


class LooksRequest(BaseSchema):
    """Whole outfits around an item, from the catalogue."""

    around: ItemGiven
    k: Annotated[int, BeforeValidator(_whole)] = Field(default=3, ge=1, le=MOST_LOOKS)
    rules: Rules = Rules()
    language_model: bool = True


class SeenLabel(BaseSchema):
    """A label that was seen in a photo, with its probability among the labels of its attribute."""

    text: str
    probability: Probability


class DescribeAnswer(BaseSchema):
    """What coordi sees in a photo.

    Attributes:
        category: None if the encoder isn't sure what it is: the client has to say it.
        attributes: By attribute, what is sure enough to be said, most probable first.
        text: What a prompt would say of it; empty without a category.
        encoder: Who saw it.
    """

    category: GarmentCategory | None
    attributes: dict[str, tuple[SeenLabel, ...]]
    text: str
    encoder: str


class ItemShown(BaseSchema):
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
    category: GarmentCategory | None
    kind: str
    brand: str
    colours: tuple[str, ...]
    gender: Gender | None
    season: str
    price: float | None
    in_stock: bool | None
    photo: str | None
    attributes: dict[str, tuple[SeenLabel, ...]]


class ScoredItem(BaseSchema):
    """An item of a scored outfit.

    Attributes:
        score_without: P(yes) of the others without it; None where two items are all there are.
    """

    item: ItemShown
    score_without: Probability | None


class ScoreAnswer(BaseSchema):
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


class MovedItemShown(BaseSchema):
    """An item that moved a score.

    Attributes:
        position: In the request's ``items``, or in the look that is explained; None for a pinned item.
        id: Of a pinned item.
        by: Score with it less score without it.
    """

    position: int | None
    id: str | None
    by: Difference


class MovedLabelShown(BaseSchema):
    """A label of what is suggested that moved a score.

    Attributes:
        label: As the vocabulary has it.
        attribute: Of the label.
        by: Score with it less score without it.
    """

    label: str
    attribute: str
    by: Difference


class ReasonShown(BaseSchema):
    """Why: what leaving something out does to the score. ``text`` says it in one English sentence."""

    items: tuple[MovedItemShown, ...]
    attributes: tuple[MovedLabelShown, ...]
    text: str


class SuggestionShown(BaseSchema):
    """An item that would complete the outfit, and P(yes) of the outfit with it."""

    item: ItemShown
    score: Probability
    is_pinned: bool
    reason: ReasonShown | None


class LeftOutShown(BaseSchema):
    """How many items a rule left out, and how many were left after it.

    Attributes:
        name: Of the rule, as a request's ``rules`` have it; ``unwanted_genders`` also where the outfit says for whom.
        rule: In words.
    """

    name: str
    rule: str
    count: int = Field(ge=0)
    left: int = Field(ge=0)


class CompleteAnswer(BaseSchema):
    """What would complete the outfit.

    Attributes:
        categories: What was looked for.
        candidates: Items that the rules allow.
        ranked: Of these, how many the judge ranked.
        left_out: What the rules left out, where nothing or too little fits.
        nothing: Why there is no suggestion; empty if there is one.
    """

    suggestions: tuple[SuggestionShown, ...]
    categories: tuple[GarmentCategory, ...]
    candidates: int = Field(ge=0)
    ranked: int = Field(ge=0)
    judge: Judge
    left_out: tuple[LeftOutShown, ...]
    nothing: str


class LookShown(BaseSchema):
    """A whole outfit; positions in its reason are those of its own items.

    Attributes:
        lacks: What a whole outfit needs (a top and a bottom or a dress, shoes) and nothing was found of.
    """

    items: tuple[ItemShown, ...]
    score: Probability
    reason: ReasonShown
    lacks: tuple[GarmentCategory, ...]


class LooksAnswer(BaseSchema):
    """Whole outfits, those that lack nothing and then the best first.

    Attributes:
        left_out: Which rules left out what a look lacks, or everything.
        nothing: Why there is no look; empty if there is one.
    """

    looks: tuple[LookShown, ...]
    judge: Judge
    left_out: tuple[LeftOutShown, ...]
    nothing: str


class CatalogueAnswer(BaseSchema):
    """A part of the catalogue.

    Attributes:
        total: Items that match.
        offset: Of the first item shown among them.
    """

    items: tuple[ItemShown, ...]
    total: int = Field(ge=0)
    offset: int = Field(ge=0)


class AlikeShown(BaseSchema):
    """An item of the catalogue and the cosine of its photo to the given one."""

    item: ItemShown
    cosine: Annotated[float, Field(ge=-1.001, le=1.001)]


class AlikeAnswer(BaseSchema):
    """Items whose photos are most like the given one, best first."""

    items: tuple[AlikeShown, ...]


class AttributeShown(BaseSchema):
    """An attribute of the vocabulary: its labels, and how many of them are said of one photo."""

    name: str
    labels: tuple[str, ...]
    most: int = Field(ge=1)


class LimitsShown(BaseSchema):
    """What a request may hold at most."""

    items: int
    suggestions: int
    looks: int
    text: int
    photo_bytes: int


class VocabularyAnswer(BaseSchema):
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

    categories: tuple[GarmentCategory, ...]
    attributes: tuple[AttributeShown, ...]
    worn_as: dict[str, GarmentCategory]
    brands: tuple[str, ...]
    seasons: tuple[str, ...]
    genders: tuple[Gender, ...]
    in_catalogue: dict[str, int]
    price_range: tuple[float, float] | None
    limits: LimitsShown


class HealthAnswer(BaseSchema):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str


class ReadyAnswer(BaseSchema):
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


class Problem(BaseSchema):
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


class ErrorAnswer(BaseSchema):
    """Every error of every route, whatever its status."""

    error: Problem


SCORE = {
    "words": {"items": [{"text": "navy wool blazer"}, {"text": "white shirt"}, {"text": "red running shoes"}]},
    "seen": {
        "items": [
            {"seen": {"category": "dress", "attributes": {"colour": ["black"]}, "title": "silk midi dress"}},
            {"text": "gold necklace"},
        ],
        "language_model": False,
    },
}
COMPLETE = {
    "words": {
        "items": [{"text": "navy wool blazer"}, {"text": "white shirt"}],
        "k": 3,
        "rules": {"want": ["shoes"], "in_stock": True},
        "language_model": False,
    },
}
LOOKS = {"words": {"around": {"text": "black leather jacket"}, "k": 2, "language_model": False}}

_ERRORS: dict[int, tuple[str, str, str, tuple[str, ...], str]] = {
    401: ("unauthorized", "this server asks for its token: send the header 'Authorization: Bearer' with it", "", (),
          "The token is missing or another."),
    403: ("forbidden", "another page asked for this; open coordi's own page and ask there", "", (),
          "Asked by another page, or under a name that isn't this server's."),
    404: ("unknown_item", "no item '1164' in the catalogue; the nearest are 11646, 1163, 1165", "id",
          ("11646", "1163", "1165"), "There is no such item."),
    405: ("method_not_allowed", "this address isn't asked that way; accepted: GET", "", (), "Another method."),
    408: ("too_slow", "the body didn't come in: nothing for 30 s; send it again", "", (),
          "The request stopped coming in."),
    409: ("no_catalogue", "this server has no catalogue; start it with: coordi serve --catalogue DIR", "", (),
          "The server was started without a catalogue."),
    413: ("too_large", "the body has more than 64 KiB, which is the most that is accepted; send less", "", (),
          "More than is accepted; it isn't read to its end."),
    415: ("unsupported_media_type", "the content type must be application/json, got 'text/plain'", "", (),
          "Another content type."),
    422: ("invalid", "'items' has 0 entries; it needs 1 or more", "items", (), "Something in the request is wrong."),
    500: ("internal", "something went wrong inside coordi, not with your request; the server's log says where. "
          "Try again", "", (), "An error of coordi's own."),
    503: ("busy", "72 requests are being worked on or wait already, which is all there is room for; ask again in 4 s",
          "", (), "Too much to do (`busy`), or the models aren't loaded yet (`not_ready`): ask again after "
          "`Retry-After` seconds."),
}  # fmt: skip
_ALWAYS = (401, 403, 405, 500, 503)


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route: the statuses of its own errors beside those that every route has, each with an example."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*_ALWAYS, *statuses}):
        code, message, field, accepted, told = _ERRORS[status]
        problem = {"code": code, "message": message, "field": field, "accepted": list(accepted)}
        found[status] = {
            "model": ErrorAnswer,
            "description": told,
            "content": {"application/json": {"example": {"error": problem}}},
        }
        if status == 503:
            found[status]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return found


def json_body(model: str, examples: dict[str, Any]) -> dict[str, Any]:
    """What a route takes, for the document: a model by its name in it."""
    schema = {"$ref": f"#/components/schemas/{model}"}
    shown = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "examples": shown}}}}


def photo_body(most: int) -> dict[str, Any]:
    """A form with one photo, for the document."""
    told = f"JPEG, PNG, WebP, GIF or BMP, by its content; at most {most / 2**20:g} MiB and 50 megapixels."
    photo = {"type": "string", "format": "binary", "description": told}
    schema = {"type": "object", "required": ["photo"], "additionalProperties": False, "properties": {"photo": photo}}
    kinds = "image/jpeg, image/png, image/webp, image/gif, image/bmp"
    form = {"schema": schema, "encoding": {"photo": {"contentType": kinds}}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": form}}}
