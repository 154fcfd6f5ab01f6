"""Whether the server lives, whether it is ready, and what it knows."""

from __future__ import annotations

from importlib import metadata

from fastapi import APIRouter

from coordi.describe.vocabulary import KINDS
from coordi.domain import WORN_CATEGORIES
from coordi.serve.answers import AttributeShown, HealthAnswer, LimitsShown, ReadyAnswer, VocabularyAnswer
from coordi.serve.examples import error_responses
from coordi.serve.service import Service
from coordi.serve.wire import LONGEST_TEXT, MOST_ITEMS, MOST_LOOKS, MOST_SUGGESTIONS


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
    advisor = service.advisor
    index = advisor.index
    return ReadyAnswer(
        model=advisor.model.name,
        encoder=advisor.encoder.name,
        catalogue=None if index is None else index.info.name,
        catalogue_made=None if index is None else index.info.made,
        catalogue_is_old=bool(service.catalogue_problem),
        items=0 if index is None else len(index),
    )


def _vocabulary(service: Service) -> VocabularyAnswer:
    advisor = service.advisor
    attributes = advisor.vocabulary.attributes
    kinds = attributes[KINDS].labels if KINDS in attributes else ()
    facets = None if advisor.index is None else advisor.index.facets()
    return VocabularyAnswer(
        categories=WORN_CATEGORIES,
        attributes=tuple(
            AttributeShown(name=name, labels=tuple(entry.text for entry in one.labels), most=one.max_labels)
            for name, one in attributes.items()
        ),
        worn_as={entry.text: entry.worn for entry in kinds if entry.worn is not None},
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
