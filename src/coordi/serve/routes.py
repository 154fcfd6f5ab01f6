"""The routes of the API and the page."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import fastapi
from fastapi import APIRouter, FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from coordi.api import Model, PhotoDescription
from coordi.data.photos import TOO_LARGE, PhotoError, decode_photo, photo_pixels
from coordi.encoders.labels import KINDS
from coordi.recommend.rules import Rules, Words
from coordi.serve.bodies import LARGEST, SMALLEST, USUAL, PhotoCache, gone, read_json, read_photo, said_length
from coordi.serve.convert import (
    catalogue_of,
    check_catalogue,
    check_colours_known,
    check_ids,
    completion_shown,
    item_of,
    item_shown,
    items_of,
    labels_shown,
    looks_shown,
    score_shown,
    unknown_item,
)
from coordi.serve.errors import RefusedError, problem_of, refused
from coordi.serve.schemas import (
    COMPLETE,
    LONGEST_TEXT,
    LOOKS,
    MOST_ITEMS,
    MOST_LOOKS,
    MOST_SUGGESTIONS,
    SCORE,
    AlikeAnswer,
    AlikeShown,
    AttributeShown,
    CatalogueAnswer,
    CompleteAnswer,
    CompleteRequest,
    DescribeAnswer,
    HealthAnswer,
    ItemShown,
    LimitsShown,
    LooksAnswer,
    LooksRequest,
    ReadyAnswer,
    ScoreAnswer,
    ScoreRequest,
    VocabularyAnswer,
    error_responses,
    json_body,
    photo_body,
)
from coordi.serve.service import Service
from coordi.types import GARMENT_CATEGORIES, GarmentCategory, Gender


def outfit_routes(service: Service) -> APIRouter:
    """``score``, ``complete`` and ``looks``."""
    router = APIRouter(tags=["outfits"], responses=error_responses(408, 409, 413, 415, 422))

    @router.post("/score", operation_id="score", openapi_extra=json_body("ScoreRequest", SCORE))
    async def score(request: Request) -> ScoreAnswer:
        """How well two items or more go together, and which of them fits least."""
        asked = await read_json(request, ScoreRequest, service.settings)
        return await service.lane(asked.language_model).run(lambda: _score(service.model, asked), gone(request))

    @router.post("/complete", operation_id="complete", openapi_extra=json_body("CompleteRequest", COMPLETE))
    async def complete(request: Request) -> CompleteAnswer:
        """What of the catalogue would complete an outfit, and why. Where nothing fits, `nothing` says so."""
        asked = await read_json(request, CompleteRequest, service.settings)
        return await service.lane(asked.language_model).run(lambda: _complete(service.model, asked), gone(request))

    @router.post("/looks", operation_id="looks", openapi_extra=json_body("LooksRequest", LOOKS))
    async def looks(request: Request) -> LooksAnswer:
        """Whole outfits around one item, from the catalogue."""
        asked = await read_json(request, LooksRequest, service.settings)
        return await service.lane(asked.language_model).run(lambda: _looks(service.model, asked), gone(request))

    return router


def _score(model: Model, asked: ScoreRequest) -> ScoreAnswer:
    items = items_of(model, asked.items)
    found = model.stylist.score(items, language_model=asked.language_model)
    return score_shown(found, [one.id is not None for one in asked.items])


def _complete(model: Model, asked: CompleteRequest) -> CompleteAnswer:
    items = items_of(model, asked.items)
    check_ids(model, asked.rules.pinned, "rules.pinned")
    check_catalogue(model)
    check_colours_known(model, asked.rules)
    found = model.stylist.complete(
        items, None, asked.k, asked.rules, language_model=asked.language_model, reasons=asked.reasons
    )
    return completion_shown(found)


def _looks(model: Model, asked: LooksRequest) -> LooksAnswer:
    around = item_of(model, asked.around, "around")
    check_ids(model, asked.rules.pinned, "rules.pinned")
    check_catalogue(model)
    check_colours_known(model, asked.rules)
    found = model.stylist.outfits(around, asked.k, asked.rules, language_model=asked.language_model)
    return looks_shown(found, asked.around.id is not None)


_NAME = Path("this file")
_ALIKE, _MOST_ALIKE = 12, 50


def photo_routes(service: Service) -> APIRouter:
    """``describe`` and ``catalogue/alike``."""
    router = APIRouter(tags=["photos"])
    form = photo_body(service.settings.photo_bytes)
    errors = (408, 413, 415, 422)

    @router.post("/describe", operation_id="describe", openapi_extra=form, responses=error_responses(*errors))
    async def describe(request: Request) -> DescribeAnswer:
        """What coordi sees in one photo, for a person to confirm or correct."""
        with service.held.hold(said_length(request, service.settings.photo_bytes)):
            photo = await read_photo(request, service.settings)
            return await service.quick.run(lambda: _describe(service, photo), gone(request))

    @router.post("/catalogue/alike", operation_id="alike", openapi_extra=form, responses=error_responses(*errors, 409))
    async def alike(request: Request, k: Annotated[int, Query(ge=1, le=_MOST_ALIKE)] = _ALIKE) -> AlikeAnswer:
        """Items of the catalogue whose photos are most like a given one."""
        with service.held.hold(said_length(request, service.settings.photo_bytes)):
            photo = await read_photo(request, service.settings)
            return await service.quick.run(lambda: _alike(service, photo, k), gone(request))

    return router


def _describe(service: Service, photo: bytes) -> DescribeAnswer:
    model = service.model
    seen = _see(service, model, photo)
    labels = {name: [label.text for label in found] for name, found in seen.description.attributes.items()}
    text = "" if seen.category is None else model.item_of_labels(seen.category, labels, "").text
    return DescribeAnswer(
        category=seen.category, attributes=labels_shown(seen.description), text=text, encoder=model.encoder.name
    )


def _alike(service: Service, photo: bytes, k: int) -> AlikeAnswer:
    model = service.model
    index = catalogue_of(model)
    found = index.nearest(_see(service, model, photo).embedding, "photo", k)
    items = tuple(AlikeShown(item=item_shown(item, is_of_catalogue=True), cosine=cosine) for item, cosine in found)
    return AlikeAnswer(items=items)


def _see(service: Service, model: Model, photo: bytes) -> PhotoDescription:
    """What is seen in a photo, decoded once there is room for its pixels."""
    with _told_of_this_file():
        pixels = photo_pixels(photo, _NAME)
        service.room.take(0, pixels)
        try:
            return model.describe_photos([decode_photo(photo, _NAME)])[0]
        finally:
            service.room.give_back(pixels)


@contextmanager
def _told_of_this_file() -> Iterator[None]:
    try:
        yield
    except PhotoError as error:
        message = " ".join(str(error).split()).replace(f"the photo {_NAME}", str(_NAME))
        if error.reason == TOO_LARGE:
            raise refused(413, "too_large", message, "photo") from error
        raise refused(422, "not_an_image", message, "photo") from error


_PER_PAGE, _MOST_PER_PAGE = 50, 200
_FARTHEST = 10_000_000
_MOST_NAMED = 20
_LONGEST_ID = 200  # as `ItemId`: what is looked for is compared with every id


class _ItemConvertor(Convertor[str]):
    """An id of a catalogue in a path, whatever is in it: slashes and line breaks too."""

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("item", _ItemConvertor())
PathId = Annotated[str, fastapi.Path(max_length=_LONGEST_ID)]


class Filters(BaseModel):
    """What of the catalogue is asked for; each filter narrows it further, and one that is repeated widens itself."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    q: Annotated[str, Field(max_length=LONGEST_TEXT, description="Words that are all in the item.")] = ""
    category: Annotated[list[GarmentCategory], Field(max_length=_MOST_NAMED)] = []
    brand: Annotated[list[Words], Field(max_length=_MOST_NAMED)] = []
    colour: Annotated[list[Words], Field(max_length=_MOST_NAMED)] = []
    gender: Gender | None = None
    season: Annotated[list[Words], Field(max_length=_MOST_NAMED)] = []
    price_min: Annotated[float | None, Field(ge=0)] = None
    price_max: Annotated[float | None, Field(ge=0)] = None
    in_stock: bool = False
    offset: Annotated[int, Field(ge=0, le=_FARTHEST)] = 0
    limit: Annotated[int, Field(ge=1, le=_MOST_PER_PAGE)] = _PER_PAGE


def catalogue_routes(service: Service) -> APIRouter:
    """``catalogue/items``, ``catalogue/items/{id}`` and ``catalogue/photos/{id}``."""
    router = APIRouter(prefix="/catalogue", tags=["catalogue"])

    @router.get("/items", operation_id="catalogue_items", responses=error_responses(409, 422))
    async def items(filters: Annotated[Filters, Query()]) -> CatalogueAnswer:
        """A page of the catalogue, in its own order."""
        return await service.light.run(lambda: _page(service.model, filters))

    @router.get("/items/{id:item}", operation_id="catalogue_item", responses=error_responses(404, 409, 422))
    async def item(id: PathId) -> ItemShown:  # noqa: A002
        """One item of the catalogue."""
        return await service.light.run(lambda: _item(service.model, id))

    photo: dict[int | str, dict[str, Any]] = {
        200: {"description": "A JPEG.", "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "It is still the one whose `ETag` was sent as `If-None-Match`."},
    }

    @router.get(
        "/photos/{id:item}",
        operation_id="catalogue_photo",
        response_class=Response,
        responses={**photo, **error_responses(404, 409, 422)},
    )
    async def photos(
        request: Request,
        id: PathId,  # noqa: A002
        size: Annotated[int, Query(ge=SMALLEST, le=LARGEST, description="Longer side in pixels, at most.")] = USUAL,
    ) -> Response:
        """The photo of an item, made smaller."""
        known = _tags(request)
        return await service.pictures.run(lambda: _photo(service.model, service.photos, id, size, known))

    return router


def _page(model: Model, filters: Filters) -> CatalogueAnswer:
    index, rules = catalogue_of(model), _rules(filters)
    check_colours_known(model, rules, {"colours": "colour"})
    found, total = index.page(rules, filters.q, filters.offset, filters.limit)
    items = tuple(item_shown(item, is_of_catalogue=True) for item in found)
    return CatalogueAnswer(items=items, total=total, offset=filters.offset)


def _rules(filters: Filters) -> Rules:
    try:
        return Rules(
            want=tuple(filters.category),
            price_min=filters.price_min,
            price_max=filters.price_max,
            brands=tuple(filters.brand),
            colours=tuple(filters.colour),
            gender=filters.gender,
            seasons=tuple(filters.season),
            in_stock=filters.in_stock,
        )
    except ValidationError as error:
        raise RefusedError(422, problem_of(error.errors(include_url=False), Rules)) from error


def _item(model: Model, item_id: str) -> ItemShown:
    found = catalogue_of(model).get([item_id]).get(item_id)
    if found is None:
        raise unknown_item(model, item_id, "id", 404)
    return item_shown(found, is_of_catalogue=True)


def _tags(request: Request) -> frozenset[str]:
    """ETags of what the client has."""
    given = ",".join(request.headers.getlist("if-none-match"))
    return frozenset(one.strip().removeprefix("W/") for one in given.split(","))


def _photo(model: Model, photos: PhotoCache, item_id: str, size: int, known: frozenset[str]) -> Response:
    """A photo, or that the client has it; it asks each time, as the next catalogue may have another under this id."""
    found = catalogue_of(model).get([item_id]).get(item_id)
    if found is None:
        raise unknown_item(model, item_id, "id", 404)
    path = found.image
    if path is None:
        raise refused(404, "not_found", f"the item '{item_id}' has no photo", "id")
    try:
        tag = photos.tag(path, size)
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if known & {tag, "*"}:
            return Response(status_code=304, headers=headers)
        return Response(photos.get(path, size), media_type="image/jpeg", headers=headers)
    except (PhotoError, OSError) as error:
        message = f"the photo of '{item_id}' is gone or can't be opened; coordi catalogue refresh brings it up to date"
        raise refused(404, "not_found", message, "id") from error


def state_routes(service: Service) -> APIRouter:
    """``health``, ``ready`` and ``vocabulary``."""
    router = APIRouter(tags=["state"])

    @router.get("/health", operation_id="health", responses=error_responses())
    async def health() -> HealthAnswer:
        """Whether the process answers; it does so from the start, whatever else it is doing."""
        return HealthAnswer(version=metadata.version("coordi"))

    @router.get("/ready", operation_id="ready", responses=error_responses())
    async def ready() -> ReadyAnswer:
        """Whether the models are loaded: 503 with `not_ready` until they are."""
        return await service.light.run(lambda: _ready(service))

    @router.get("/vocabulary", operation_id="vocabulary", responses=error_responses())
    async def vocabulary() -> VocabularyAnswer:
        """What may be said of an item and asked for, and how much of it: for chips, filters and checks."""
        return await service.light.run(lambda: _vocabulary(service))

    return router


def _ready(service: Service) -> ReadyAnswer:
    model = service.model
    index = model.catalogue
    return ReadyAnswer(
        model=model.trained.name,
        encoder=model.encoder.name,
        catalogue=None if index is None else index.info.name,
        catalogue_made=None if index is None else index.info.made,
        catalogue_is_old=bool(service.catalogue_problem),
        items=0 if index is None else len(index),
    )


def _vocabulary(service: Service) -> VocabularyAnswer:
    model = service.model
    attributes = model.vocabulary.attributes
    kinds = attributes[KINDS].labels if KINDS in attributes else ()
    facets = None if model.catalogue is None else model.catalogue.facets()
    return VocabularyAnswer(
        categories=GARMENT_CATEGORIES,
        attributes=tuple(
            AttributeShown(name=name, labels=tuple(entry.text for entry in one.labels), most=one.max_labels)
            for name, one in attributes.items()
        ),
        worn_as={entry.text: entry.category for entry in kinds if entry.category is not None},
        brands=() if facets is None else tuple(facets.brands),
        seasons=() if facets is None else tuple(facets.seasons),
        genders=() if facets is None else tuple(facets.genders),
        in_catalogue={} if facets is None else {str(name): count for name, count in facets.categories.items()},
        price_range=None if facets is None else facets.price_range,
        limits=LimitsShown(
            items=MOST_ITEMS,
            suggestions=MOST_SUGGESTIONS,
            looks=MOST_LOOKS,
            text=LONGEST_TEXT,
            photo_bytes=service.settings.photo_bytes,
        ),
    )


STATIC = Path(__file__).parents[1] / "web"
_KINDS = {
    ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".html": "text/html",
    ".svg": "image/svg+xml", ".webmanifest": "application/manifest+json", ".json": "application/json",
}  # fmt: skip


class _Files(StaticFiles):
    """Files that a browser keeps, and asks each time whether they are still the same."""

    async def check_config(self) -> None:
        """A folder that isn't there holds no files, which is no error of the server."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.setdefault("Cache-Control", "no-cache")
        return response


def add_page(app: FastAPI, folder: Path = STATIC) -> None:
    """Serve ``index.html`` at ``/`` and the folder's files under ``/static/``."""
    for suffix, kind in _KINDS.items():  # a system may have its own idea of these
        mimetypes.add_type(kind, suffix)

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        page = folder / "index.html"
        if not page.is_file():
            raise refused(404, "not_found", "this coordi was installed without its page; the API is at /api/v1")
        return FileResponse(page, headers={"Cache-Control": "no-cache"})

    app.mount("/static", _Files(directory=folder, check_dir=False), name="static")
