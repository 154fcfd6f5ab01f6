"""The routes of the API and the page."""

from __future__ import annotations

import base64
import contextlib
import difflib
import importlib.util
import io
import mimetypes
import sys
from collections.abc import AsyncGenerator, Sequence
from functools import lru_cache, partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import fastapi
import numpy as np
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Body, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from numpy.typing import NDArray
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from coordi.api import Model, PhotoDescription
from coordi.data.photos import FORMATS_IN_WORDS, TOO_LARGE, PhotoError, decode_photo, photo_bytes
from coordi.encoders.labels import KINDS, SEVERAL_GARMENTS, shows
from coordi.errors import DataError, ModelError, RecommendationError
from coordi.model.trained import check_can_write
from coordi.recommend.catalogue import Catalogue, Facets
from coordi.recommend.rules import Rules, check_colours
from coordi.serve import schemas
from coordi.serve.errors import ClientGoneError, RefusedError, quoted, single_line, wrong_type
from coordi.serve.schemas import PREFIX, ItemResponse
from coordi.style.occasions import occasions
from coordi.types import GARMENT_CATEGORIES, Item

if TYPE_CHECKING:
    from coordi.serve.app import Service

_FLOATS = np.dtype("<f4")  # of an embedding in base64
_SEVERAL = "the photo shows several garments, which are described as one; send a photo of each, or say which it is"
_ROUNDING = 1e-3  # by which its length may differ from 1
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.ErrorResponse} for status in (401, 403, 404, 405, 408, 409, 413, 415, 422, 500, 503)
}


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the API under its prefix, and the page at ``/``."""
    for router in (_outfit_routes(service), _photo_routes(service), _catalogue_routes(service), _state_routes(service)):
        app.include_router(router, prefix=PREFIX, responses=_ERRORS)
    _add_page(app)


def _outfit_routes(service: Service) -> APIRouter:
    router = APIRouter(tags=["outfits"])

    @router.post("/score", operation_id="score")
    async def score(
        body: Annotated[schemas.ScoreRequest, Body(openapi_examples=schemas.SCORE_EXAMPLES)], request: Request
    ) -> schemas.ScoreResponse:
        """Score how well two or more items go together, and find the one that fits least."""
        return await service.outfit_pool(body).run(lambda: _score(service.model, body), _disconnect(request))

    @router.post("/complete", operation_id="complete")
    async def complete(
        body: Annotated[schemas.CompleteRequest, Body(openapi_examples=schemas.COMPLETE_EXAMPLES)], request: Request
    ) -> schemas.CompleteResponse:
        """Find items of the catalogue that complete an outfit, with reasons. `nothing` says why there is none."""
        return await service.outfit_pool(body).run(lambda: _complete(service.model, body), _disconnect(request))

    @router.post("/looks", operation_id="looks")
    async def looks(
        body: Annotated[schemas.LooksRequest, Body(openapi_examples=schemas.LOOKS_EXAMPLES)], request: Request
    ) -> schemas.LooksResponse:
        """Build outfits around one item from the catalogue."""
        return await service.outfit_pool(body).run(lambda: _looks(service.model, body), _disconnect(request))

    @router.post("/items", operation_id="items")
    async def items(
        body: Annotated[schemas.ItemsRequest, Body(openapi_examples=schemas.ITEMS_EXAMPLES)], request: Request
    ) -> schemas.ItemsResponse:
        """Everything that is known of items, with its source."""
        return await service.quick_pool.run(lambda: _items(service.model, body), _disconnect(request))

    return router


async def _disconnect(request: Request) -> None:
    """Wait until the client of a request whose body was read closes its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _score(model: Model, body: schemas.ScoreRequest) -> schemas.ScoreResponse:
    items = _items_of(model, body.items)
    answer = model.stylist.score(items, language_model=body.language_model)
    return schemas.ScoreResponse.of(answer, [item.id is not None for item in body.items])


def _complete(model: Model, body: schemas.CompleteRequest) -> schemas.CompleteResponse:
    items = _items_of(model, body.items)
    _check_suggesting(model, body.rules)
    if body.generate:
        try:
            check_can_write(model.trained)
        except ModelError as error:
            raise RefusedError(409, "cannot_write", single_line(error), "generate") from error
    options = body.model_dump(include={"language_model", "reasons", "generate"})
    answer = model.stylist.complete(items, None, body.k, body.rules, **options)
    return schemas.CompleteResponse.of(answer)


def _looks(model: Model, body: schemas.LooksRequest) -> schemas.LooksResponse:
    around = None if body.around is None else _item_of(model, body.around, "around")
    _check_suggesting(model, body.rules)
    answer = model.stylist.outfits(around, body.k, body.rules, language_model=body.language_model)
    return schemas.LooksResponse.of(answer, in_catalogue=body.around is None or body.around.id is not None)


def _items(model: Model, body: schemas.ItemsRequest) -> schemas.ItemsResponse:
    rows = zip(_items_of(model, body.items), body.items, strict=True)
    return schemas.ItemsResponse(
        items=tuple(ItemResponse.of(item, in_catalogue=row.id is not None) for item, row in rows)
    )


def _items_of(model: Model, items: Sequence[schemas.RequestItem]) -> list[Item]:
    return [_item_of(model, item, f"items[{position}]") for position, item in enumerate(items)]


def _item_of(model: Model, item: schemas.RequestItem, field: str) -> Item:
    if item.id is not None:
        return _catalogue_item(model, item.id, f"{field}.id")
    if item.labels is not None:
        return _item_of_labels(model, item.labels, f"{field}.seen")
    try:
        return model.item_of_words(_printable_words(item.text or ""))
    except DataError as error:
        message = f"{quoted(item.text)} names nothing that is worn; write it like 'navy wool blazer'"
        raise RefusedError(422, "unknown_words", message, f"{field}.text") from error


def _item_of_labels(model: Model, item: schemas.LabelledItem, field: str) -> Item:
    for part, name in (
        *(("attributes", name) for name in item.attributes),
        *(("corrected", name) for name in item.corrected),
    ):
        if name not in model.vocabulary.attributes:
            names = tuple(model.vocabulary.attributes)
            message = f"no attribute {quoted(name)}; accepted are {', '.join(names)}"
            raise RefusedError(422, "unknown_label", message, f"{field}.{part}", names)
    for name, labels in item.attributes.items():
        accepted = tuple(entry.text for entry in model.vocabulary.attributes[name].labels)
        for position, label in enumerate(labels):
            if label not in accepted:
                near = difflib.get_close_matches(label, accepted, n=5) or accepted[:12]
                message = f"{quoted(label)} is no {name}; accepted are {', '.join(near)}"
                message += "" if len(near) == len(accepted) else " and others (GET /api/v1/vocabulary)"
                where = f"{field}.attributes.{name}[{position}]"
                raise RefusedError(422, "unknown_label", message, where, accepted)
    embedding = None if item.embedding is None else _embedding_of(model, item.embedding, f"{field}.embedding")
    try:
        title = _printable_words(item.title)
        return model.item_of_labels(item.category, item.attributes, title, item.corrected, embedding)
    except DataError as error:
        raise RefusedError(422, "contradiction", single_line(error), field) from error


def _embedding_of(model: Model, text: str, field: str) -> NDArray[np.float32]:
    """The photo's embedding that ``describe`` gave, unit length, shape ``(D,)``."""
    dimension = model.encoder.dimension
    with contextlib.suppress(ValueError):  # no base64, or a part of a number
        vector = np.frombuffer(base64.b64decode(text, validate=True), dtype=_FLOATS).astype(np.float32)
        if vector.shape == (dimension,) and abs(float(np.linalg.norm(vector)) - 1) < _ROUNDING:
            return vector
    message = f"this is no embedding by '{model.encoder.name}' ({dimension} float32 numbers of length 1, in base64); "
    raise RefusedError(422, "bad_embedding", f"{message}give what describe answered, or leave it out", field)


def _printable_words(words: str) -> str:
    """Words without control characters, which no model was trained with and no log should show."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())


def _check_suggesting(model: Model, rules: Rules) -> None:
    """Refuse rules that name unknown items or colours, and an empty catalogue."""
    for position, item_id in enumerate(rules.pinned):
        _catalogue_item(model, item_id, f"rules.pinned[{position}]")
    catalogue = _catalogue_of(model)
    if not len(catalogue):
        message = f"the catalogue '{catalogue.info.name}' is empty; add items to it with: coordi catalogue add"
        raise RefusedError(409, "empty_catalogue", message)
    _check_colours(model, rules.colours, "rules.colours")
    _check_colours(model, rules.unwanted_colours, "rules.unwanted_colours")


def _check_colours(model: Model, colours: Sequence[str], field: str) -> None:
    try:
        check_colours(Rules(colours=tuple(colours)), model.vocabulary)
    except RecommendationError as error:
        attribute = model.vocabulary.attributes.get("colour")
        accepted = tuple(entry.text for entry in attribute.labels) if attribute else ()
        raise RefusedError(422, "unknown_label", single_line(error), field, accepted) from error


def _catalogue_of(model: Model) -> Catalogue:
    if model.catalogue is None:
        message = "this server has no catalogue; start it with: coordi serve --catalogue DIR"
        raise RefusedError(409, "no_catalogue", message)
    return model.catalogue


def _catalogue_item(model: Model, item_id: str, field: str, status: int = 422) -> Item:
    catalogue = _catalogue_of(model)
    item = catalogue.get([item_id]).get(item_id)
    if item is None:
        near = tuple(catalogue.near_ids(item_id))
        nearest = f"the nearest are {', '.join(near)}" if near else "the catalogue is empty"
        message = f"no item {quoted(item_id)} in the catalogue; {nearest}"
        raise RefusedError(status, "unknown_item", message, field, near)
    return item


def _photo_routes(service: Service) -> APIRouter:
    router = APIRouter(tags=["photos"])
    form = _form_schema(service.settings.photo_bytes)

    @router.post("/describe", operation_id="describe", openapi_extra=form)
    async def describe(request: Request) -> schemas.DescribeResponse:
        """Describe one photo, for a person to confirm or correct."""
        photo = await _read_photo(request, service.settings.photo_bytes)
        return await service.photo_pool.run(lambda: _describe(service.model, photo), _disconnect(request))

    @router.post("/catalogue/alike", operation_id="alike", openapi_extra=form)
    async def alike(request: Request, k: Annotated[int, Query(ge=1, le=50)] = 12) -> schemas.SimilarResponse:
        """Find items of the catalogue whose photos are most similar to a given one."""
        photo = await _read_photo(request, service.settings.photo_bytes)
        return await service.photo_pool.run(lambda: _similar(service.model, photo, k), _disconnect(request))

    return router


def _form_schema(photo_bytes: int) -> dict[str, Any]:
    accepted = f"{FORMATS_IN_WORDS}, by its content; at most {photo_bytes / 2**20:g} MiB and 50 megapixels."
    photo = {"type": "string", "format": "binary", "description": accepted}
    schema = {"type": "object", "required": ["photo"], "additionalProperties": False, "properties": {"photo": photo}}
    kinds = "image/jpeg, image/png, image/webp, image/avif, image/heic, image/gif, image/bmp"
    form = {"schema": schema, "encoding": {"photo": {"contentType": kinds}}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": form}}}


class _PhotoFormParser(MultiPartParser):
    """Starlette's parser for one file. Theirs writes files above a size to the disk; a photo must stay in memory."""

    spool_max_size = sys.maxsize

    def __init__(self, request: Request) -> None:
        super().__init__(request.headers, self._chunks(request), max_files=1, max_fields=1, max_part_size=1024)
        self._is_complete = False

    def on_end(self) -> None:
        self._is_complete = True

    async def _chunks(self, request: Request) -> AsyncGenerator[bytes]:
        async for chunk in request.stream():
            yield chunk
        if not self._is_complete:
            raise MultiPartException("the form is cut short")


async def _read_photo(request: Request, max_bytes: int) -> bytes:
    kind, _, options = request.headers.get("content-type", "").partition(";")
    if kind.strip().lower() != "multipart/form-data" or "boundary=" not in options:
        raise wrong_type("multipart/form-data with a boundary, and one file in the field 'photo'", request)
    try:
        form = await _PhotoFormParser(request).parse()
    except MultiPartException as error:
        message = "the form is broken or cut short, or has more than one 'photo'; send one file in the field 'photo'"
        raise RefusedError(422, "invalid", message, "photo") from error
    except ClientDisconnect as error:
        raise ClientGoneError from error
    try:
        for name in form:
            if name != "photo":
                message = f"the form's field {quoted(name)} is unknown; accepted is 'photo', once"
                raise RefusedError(422, "invalid", message, name[:60], ("photo",))
        photo = form.get("photo")
        if not isinstance(photo, UploadFile):
            message = "the form has no file in its field 'photo'; send one file in it"
            raise RefusedError(422, "invalid", message, "photo")
        content = await photo.read()
    finally:
        await form.close()
    if len(content) > max_bytes:
        size = f"{max_bytes / 2**20:g} MiB" if max_bytes >= 2**20 else f"{max_bytes} bytes"
        raise RefusedError(413, "too_large", f"the photo has more than {size}, which is the limit; send less", "photo")
    if not content:
        message = "the photo is empty: it has 0 bytes; choose another file"
        raise RefusedError(422, "not_an_image", message, "photo")
    return content


def _describe(model: Model, photo: bytes) -> schemas.DescribeResponse:
    result = _describe_photo(model, photo)
    values: dict[str, Any] = {"text": "", "facts": {}}
    if result.category is not None:
        labels = {name: [label.text for label in labels] for name, labels in result.description.attributes.items()}
        item = model.item_of_labels(result.category, labels)
        values = {"text": item.text, "facts": item.facts}
    values |= {"category": result.category, "attributes": result.description, "encoder": model.encoder.name}
    values["note"] = _SEVERAL if shows(result.description.attributes, SEVERAL_GARMENTS) else None
    values["embedding"] = base64.b64encode(result.embedding.astype(_FLOATS).tobytes()).decode()
    return schemas.DescribeResponse.model_validate(values)


def _similar(model: Model, photo: bytes, k: int) -> schemas.SimilarResponse:
    nearest = _catalogue_of(model).nearest(_describe_photo(model, photo).embedding, "photo", k)
    items = (schemas.SimilarItem(item=ItemResponse.of(item), cosine=cosine) for item, cosine in nearest)
    return schemas.SimilarResponse(items=tuple(items))


def _describe_photo(model: Model, photo: bytes) -> PhotoDescription:
    path = Path("this file")
    try:
        image = decode_photo(photo, path)
    except PhotoError as error:
        message = single_line(error).replace(f"the photo {path}", str(path))
        if error.reason == TOO_LARGE:
            raise RefusedError(413, "too_large", message, "photo") from error
        raise RefusedError(422, "not_an_image", message, "photo") from error
    return model.describe_photos([image])[0]


PathId = Annotated[str, fastapi.Path(max_length=200)]


def _catalogue_routes(service: Service) -> APIRouter:
    router = APIRouter(prefix="/catalogue", tags=["catalogue"])
    thumbnail_limiter = CapacityLimiter(2)

    @router.get("/items", operation_id="catalogue_items")
    def items(query: Annotated[schemas.CatalogueQuery, Query()]) -> schemas.CatalogueResponse:
        """A page of the catalogue, in its own order."""
        return _page(service.model, query)

    @router.get("/items/{id:path}", operation_id="catalogue_item")
    def item(id: PathId) -> ItemResponse:  # noqa: A002
        """One item of the catalogue."""
        return ItemResponse.of(_catalogue_item(service.model, id, "id", 404))

    responses: dict[int | str, dict[str, Any]] = {
        200: {"description": "A JPEG.", "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "The photo has the `ETag` that was sent as `If-None-Match`."},
    }

    @router.get("/photos/{id:path}", operation_id="catalogue_photo", response_class=Response, responses=responses)
    async def photo(
        request: Request,
        id: PathId,  # noqa: A002
        size: Annotated[int, Query(ge=64, le=1024, description="Longer side in pixels, at most.")] = 384,
    ) -> Response:
        """The photo of an item as a small JPEG."""
        tags = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        work = partial(_thumbnail_response, service.model, id, size, tags)
        return await to_thread.run_sync(work, limiter=thumbnail_limiter)

    return router


def _page(model: Model, query: schemas.CatalogueQuery) -> schemas.CatalogueResponse:
    catalogue = _catalogue_of(model)
    try:
        rules = query.rules()
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    _check_colours(model, rules.colours, "colour")
    items, total = catalogue.page(rules, query.q, query.offset, query.limit)
    return schemas.CatalogueResponse(items=tuple(map(ItemResponse.of, items)), total=total, offset=query.offset)


def _thumbnail_response(model: Model, item_id: str, size: int, client_tags: set[str]) -> Response:
    """The photo, or a 304. Clients check each time, since a changed catalogue may have another photo for this id."""
    path = _catalogue_item(model, item_id, "id", 404).image
    if path is None:
        raise RefusedError(404, "not_found", f"the item '{item_id}' has no photo", "id")
    try:
        status = path.stat()
        tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}-{size:x}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if client_tags & {tag, "*"}:
            return Response(status_code=304, headers=headers)
        return Response(_thumbnail(path, tag, size), media_type="image/jpeg", headers=headers)
    except (PhotoError, OSError) as error:
        message = f"the photo of '{item_id}' is missing or can't be opened; update it with: coordi catalogue refresh"
        raise RefusedError(404, "not_found", message, "id") from error


@lru_cache(maxsize=256)
def _thumbnail(path: Path, tag: str, size: int) -> bytes:
    """A photo as a JPEG whose longer side has at most ``size`` pixels, without metadata; ``tag`` is part of the key."""
    from PIL.Image import Resampling

    image = decode_photo(photo_bytes(path), path, at_least=2 * size)
    image.thumbnail((size, size), Resampling.LANCZOS)
    content = io.BytesIO()
    image.save(content, "JPEG", quality=82)
    return content.getvalue()


def _state_routes(service: Service) -> APIRouter:
    router = APIRouter(tags=["state"])

    @router.get("/health", operation_id="health")
    async def health() -> schemas.HealthResponse:
        """Whether the process answers; it does so from the start, whatever else it is doing."""
        return schemas.HealthResponse(version=metadata.version("coordi"))

    @router.get("/ready", operation_id="ready")
    def ready() -> schemas.ReadyResponse:
        """Whether the models are loaded: 503 with `not_ready` until they are."""
        model = service.model
        catalogue = model.catalogue
        return schemas.ReadyResponse(
            model=model.trained.name,
            can_write=model.trained.can_write and importlib.util.find_spec("torch") is not None,
            encoder=model.encoder.name,
            catalogue=None if catalogue is None else catalogue.info.name,
            catalogue_changed=None if catalogue is None else catalogue.info.changed_at,
            catalogue_is_old=bool(service.catalogue_problem),
            items=0 if catalogue is None else len(catalogue),
        )

    @router.get("/vocabulary", operation_id="vocabulary")
    def vocabulary() -> schemas.VocabularyResponse:
        """Accepted labels and filters, and limits: for chips, filters and checks."""
        return _vocabulary(service.model, service.settings.photo_bytes)

    return router


def _vocabulary(model: Model, photo_bytes: int) -> schemas.VocabularyResponse:
    attributes = model.vocabulary.attributes
    kinds = attributes[KINDS].labels if KINDS in attributes else ()
    facets = Facets({}, (), (), (), None) if model.catalogue is None else model.catalogue.facets()
    return schemas.VocabularyResponse(
        categories=GARMENT_CATEGORIES,
        attributes=tuple(
            schemas.AttributeResponse(
                name=name, labels=tuple(entry.text for entry in attribute.labels), most=attribute.max_labels
            )
            for name, attribute in attributes.items()
        ),
        category_by_label={entry.text: entry.category for entry in kinds if entry.category is not None},
        brands=facets.brands,
        seasons=facets.seasons,
        genders=facets.genders,
        occasions=tuple(occasions()),
        in_catalogue=dict(facets.categories),
        price_range=facets.price_range,
        limits={
            "items": schemas.MAX_ITEMS,
            "suggestions": schemas.MAX_SUGGESTIONS,
            "looks": schemas.MAX_LOOKS,
            "text": schemas.MAX_TEXT_LENGTH,
            "photo_bytes": photo_bytes,
        },
    )


PAGE_FOLDER = Path(__file__).parents[1] / "web"
_MEDIA_TYPES = {
    ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".html": "text/html",
    ".svg": "image/svg+xml", ".webmanifest": "application/manifest+json", ".json": "application/json",
}  # fmt: skip


def _add_page(app: FastAPI) -> None:
    for suffix, media_type in _MEDIA_TYPES.items():  # systems differ in these
        mimetypes.add_type(media_type, suffix)

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        return FileResponse(PAGE_FOLDER / "index.html")

    app.mount("/static", StaticFiles(directory=PAGE_FOLDER), name="static")
