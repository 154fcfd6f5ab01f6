"""What a photo shows, and what of the catalogue looks like it. The photo is in memory until it is answered."""

from __future__ import annotations

from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request

from coordi.data.photos import TOO_LARGE, PhotoError, decode_photo
from coordi.pipeline.advising import SeenPhoto
from coordi.serve.bodies import gone, read_photo
from coordi.serve.errors import refused
from coordi.serve.examples import error_responses, photo_body
from coordi.serve.schemas import AlikeAnswer, AlikeShown, DescribeAnswer
from coordi.serve.service import Service
from coordi.serve.shown import item_shown, labels_shown

if TYPE_CHECKING:
    from PIL import Image

# A photo of 50 megapixels takes 150 MB, and as much again while it is turned upright.
_DECODED_AT_ONCE = 2
_decoding = BoundedSemaphore(_DECODED_AT_ONCE)
_ALIKE, _MOST_ALIKE = 12, 50


def photo_routes(service: Service) -> APIRouter:
    """``describe`` and ``catalogue/alike``."""
    router = APIRouter(tags=["photos"])
    form = photo_body(service.settings.photo_bytes)
    errors = (408, 413, 415, 422)

    @router.post("/describe", operation_id="describe", openapi_extra=form, responses=error_responses(*errors))
    async def describe(request: Request) -> DescribeAnswer:
        """What coordi sees in one photo, for a person to confirm or correct."""
        photo = await read_photo(request, service.settings)
        return await service.heavy.run(lambda: _describe(service, photo), gone(request))

    @router.post("/catalogue/alike", operation_id="alike", openapi_extra=form, responses=error_responses(*errors, 409))
    async def alike(request: Request, k: Annotated[int, Query(ge=1, le=_MOST_ALIKE)] = _ALIKE) -> AlikeAnswer:
        """Items of the catalogue whose photos are most like a given one."""
        photo = await read_photo(request, service.settings)
        return await service.heavy.run(lambda: _alike(service, photo, k), gone(request))

    return router


def _describe(service: Service, photo: bytes) -> DescribeAnswer:
    advisor = service.advisor
    seen = _see(service, photo)
    labels = {name: [label.text for label in found] for name, found in seen.description.attributes.items()}
    text = "" if seen.category is None else advisor.item_of_labels(seen.category, labels, "").text
    return DescribeAnswer(
        category=seen.category, attributes=labels_shown(seen.description), text=text, encoder=advisor.encoder.name
    )


def _alike(service: Service, photo: bytes, k: int) -> AlikeAnswer:
    index = service.index
    found = index.nearest(_see(service, photo).vector, "photo", k)
    items = tuple(AlikeShown(item=item_shown(item, is_of_catalogue=True), cosine=cosine) for item, cosine in found)
    return AlikeAnswer(items=items)


def _see(service: Service, photo: bytes) -> SeenPhoto:
    advisor = service.advisor
    with _decoding:
        return advisor.see([_decoded(photo)])[0]


def _decoded(photo: bytes) -> Image.Image:
    try:
        return decode_photo(photo, Path("this file"))
    except PhotoError as error:
        message = " ".join(str(error).split()).replace("the photo this file", "this file")
        if error.reason == TOO_LARGE:
            raise refused(413, "too_large", message, "photo") from error
        raise refused(422, "not_an_image", message, "photo") from error
