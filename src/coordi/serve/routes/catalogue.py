"""What is in the catalogue: pages of items, one item, and its photo."""

from __future__ import annotations

from typing import Annotated, Any

import fastapi
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.convertors import Convertor, register_url_convertor

from coordi.data.photos import PhotoError
from coordi.domain import WornCategory
from coordi.pipeline.advising import Advisor
from coordi.recommend.described_item import Gender
from coordi.recommend.rules import Rules, Words
from coordi.serve.answers import CatalogueAnswer, ItemShown
from coordi.serve.asked import catalogue_of, check_colours_known, unknown_item
from coordi.serve.errors import RefusedError, refused
from coordi.serve.examples import error_responses
from coordi.serve.photos import LARGEST, SMALLEST, USUAL, PhotoCache
from coordi.serve.service import Service
from coordi.serve.shown import item_shown
from coordi.serve.wire import LONGEST_TEXT
from coordi.serve.wording import problem_of

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
    category: Annotated[list[WornCategory], Field(max_length=_MOST_NAMED)] = []
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
        return await service.light.run(lambda: _page(service.advisor, filters))

    @router.get("/items/{id:item}", operation_id="catalogue_item", responses=error_responses(404, 409, 422))
    async def item(id: PathId) -> ItemShown:  # noqa: A002
        """One item of the catalogue."""
        return await service.light.run(lambda: _item(service.advisor, id))

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
        return await service.pictures.run(lambda: _photo(service.advisor, service.photos, id, size, known))

    return router


def _page(advisor: Advisor, filters: Filters) -> CatalogueAnswer:
    index, rules = catalogue_of(advisor), _rules(filters)
    check_colours_known(advisor, rules, {"colours": "colour"})
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


def _item(advisor: Advisor, item_id: str) -> ItemShown:
    found = catalogue_of(advisor).get([item_id]).get(item_id)
    if found is None:
        raise unknown_item(advisor, item_id, "id", 404)
    return item_shown(found, is_of_catalogue=True)


def _tags(request: Request) -> frozenset[str]:
    """ETags of what the client has."""
    given = ",".join(request.headers.getlist("if-none-match"))
    return frozenset(one.strip().removeprefix("W/") for one in given.split(","))


def _photo(advisor: Advisor, photos: PhotoCache, item_id: str, size: int, known: frozenset[str]) -> Response:
    """A photo, or that the client has it; it asks each time, as the next catalogue may have another under this id."""
    found = catalogue_of(advisor).get([item_id]).get(item_id)
    if found is None:
        raise unknown_item(advisor, item_id, "id", 404)
    path = found.item.image
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
