"""What a photo shows, and what of the catalogue looks like it. The photo is in memory until it is answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request

from coordi.data.photos import TOO_LARGE, PhotoError, decode_photo, photo_pixels
from coordi.pipeline.advising import Advisor, SeenPhoto
from coordi.serve.answers import AlikeAnswer, AlikeShown, DescribeAnswer
from coordi.serve.asked import catalogue_of
from coordi.serve.bodies import gone, read_photo, said_length
from coordi.serve.errors import refused
from coordi.serve.examples import error_responses, photo_body
from coordi.serve.service import Service
from coordi.serve.shown import item_shown, labels_shown

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
    advisor = service.advisor
    seen = _see(service, advisor, photo)
    labels = {name: [label.text for label in found] for name, found in seen.description.attributes.items()}
    text = "" if seen.category is None else advisor.item_of_labels(seen.category, labels, "").text
    return DescribeAnswer(
        category=seen.category, attributes=labels_shown(seen.description), text=text, encoder=advisor.encoder.name
    )


def _alike(service: Service, photo: bytes, k: int) -> AlikeAnswer:
    advisor = service.advisor
    index = catalogue_of(advisor)
    found = index.nearest(_see(service, advisor, photo).vector, "photo", k)
    items = tuple(AlikeShown(item=item_shown(item, is_of_catalogue=True), cosine=cosine) for item, cosine in found)
    return AlikeAnswer(items=items)


def _see(service: Service, advisor: Advisor, photo: bytes) -> SeenPhoto:
    """What is seen in a photo, decoded once there is room for its pixels."""
    with _told_of_this_file():
        pixels = photo_pixels(photo, _NAME)
        service.room.take(0, pixels)
        try:
            return advisor.see([decode_photo(photo, _NAME)])[0]
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
