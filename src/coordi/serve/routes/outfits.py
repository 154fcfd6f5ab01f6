"""Scoring an outfit, completing it, and whole looks."""

from __future__ import annotations

from fastapi import APIRouter, Request

from coordi.pipeline.advising import Advisor
from coordi.serve.answers import CompleteAnswer, LooksAnswer, ScoreAnswer
from coordi.serve.asked import check_catalogue, check_colours_known, check_ids, item_of, items_of
from coordi.serve.bodies import gone, read_json
from coordi.serve.examples import COMPLETE, LOOKS, SCORE, error_responses, json_body
from coordi.serve.requests import CompleteRequest, LooksRequest, ScoreRequest
from coordi.serve.service import Service
from coordi.serve.shown import completion_shown, looks_shown, score_shown


def outfit_routes(service: Service) -> APIRouter:
    """``score``, ``complete`` and ``looks``."""
    router = APIRouter(tags=["outfits"], responses=error_responses(408, 409, 413, 415, 422))

    @router.post("/score", operation_id="score", openapi_extra=json_body("ScoreRequest", SCORE))
    async def score(request: Request) -> ScoreAnswer:
        """How well two items or more go together, and which of them fits least."""
        asked = await read_json(request, ScoreRequest, service.settings)
        return await service.lane(asked.language_model).run(lambda: _score(service.advisor, asked), gone(request))

    @router.post("/complete", operation_id="complete", openapi_extra=json_body("CompleteRequest", COMPLETE))
    async def complete(request: Request) -> CompleteAnswer:
        """What of the catalogue would complete an outfit, and why. Where nothing fits, `nothing` says so."""
        asked = await read_json(request, CompleteRequest, service.settings)
        return await service.lane(asked.language_model).run(lambda: _complete(service.advisor, asked), gone(request))

    @router.post("/looks", operation_id="looks", openapi_extra=json_body("LooksRequest", LOOKS))
    async def looks(request: Request) -> LooksAnswer:
        """Whole outfits around one item, from the catalogue."""
        asked = await read_json(request, LooksRequest, service.settings)
        return await service.lane(asked.language_model).run(lambda: _looks(service.advisor, asked), gone(request))

    return router


def _score(advisor: Advisor, asked: ScoreRequest) -> ScoreAnswer:
    items = items_of(advisor, asked.items)
    found = advisor.stylist.score(items, language_model=asked.language_model)
    return score_shown(found, [one.id is not None for one in asked.items])


def _complete(advisor: Advisor, asked: CompleteRequest) -> CompleteAnswer:
    items = items_of(advisor, asked.items)
    check_ids(advisor, asked.rules.pinned, "rules.pinned")
    check_catalogue(advisor)
    check_colours_known(advisor, asked.rules)
    found = advisor.stylist.complete(
        items, None, asked.k, asked.rules, language_model=asked.language_model, reasons=asked.reasons
    )
    return completion_shown(found)


def _looks(advisor: Advisor, asked: LooksRequest) -> LooksAnswer:
    around = item_of(advisor, asked.around, "around")
    check_ids(advisor, asked.rules.pinned, "rules.pinned")
    check_catalogue(advisor)
    check_colours_known(advisor, asked.rules)
    found = advisor.stylist.outfits(around, asked.k, asked.rules, language_model=asked.language_model)
    return looks_shown(found, asked.around.id is not None)
