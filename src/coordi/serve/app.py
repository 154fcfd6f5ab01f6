"""The application: every route, its document, and the guard around it."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.types import ASGIApp

from coordi.serve.errors import handle_errors
from coordi.serve.requests import CompleteRequest, LooksRequest, ScoreRequest
from coordi.serve.routes.catalogue import catalogue_routes
from coordi.serve.routes.outfits import outfit_routes
from coordi.serve.routes.page import add_page
from coordi.serve.routes.photos import photo_routes
from coordi.serve.routes.state import state_routes
from coordi.serve.security import Guard
from coordi.serve.service import Service

PREFIX = "/api/v1"
_TAGS = [
    {"name": "state", "description": "Whether the server is ready, and what it knows."},
    {"name": "photos", "description": "What a photo shows. Photos stay in memory and are never written anywhere."},
    {"name": "outfits", "description": "Scores, suggestions and whole looks, each with its reason."},
    {"name": "catalogue", "description": "Items that are suggested from."},
]
_TELEMETRY_OFF = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False, "operation_spans": False}


def build_app(service: Service) -> ASGIApp:
    """The application around a service, which may still be loading its models."""
    return Guard(build_api(service), service.settings)


def build_api(service: Service) -> FastAPI:
    """The application without its guard."""
    app = FastAPI(
        title="coordi",
        version=metadata.version("coordi"),
        summary="Whether clothes go together and what would complete an outfit, on your own machine.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # both load scripts from another server
        redoc_url=None,
        openapi_tags=_TAGS,
        redirect_slashes=False,
        telemetry=_TELEMETRY_OFF,  # type: ignore[arg-type]
    )
    handle_errors(app)
    routes = APIRouter(prefix=PREFIX)
    for router in (state_routes(service), photo_routes(service), outfit_routes(service), catalogue_routes(service)):
        routes.include_router(router)
    app.include_router(routes)
    add_page(app)
    app.openapi = lambda: _document(app, has_token=service.settings.token is not None)  # type: ignore[method-assign]
    return app


def _document(app: FastAPI, has_token: bool) -> dict[str, Any]:
    """The OpenAPI document, with the models of bodies that the routes read themselves."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    found = get_openapi(
        title=app.title, version=app.version, summary=app.summary, routes=app.routes, tags=app.openapi_tags
    )
    bodies = [(model, "validation") for model in (ScoreRequest, CompleteRequest, LooksRequest)]
    _, schemas = models_json_schema(bodies, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    components = found.setdefault("components", {})
    components["schemas"] = {**schemas["$defs"], **components.get("schemas", {})}
    if has_token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    app.openapi_schema = found
    return found
