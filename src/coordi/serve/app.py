"""The application and the running server: sockets, signals and logs."""

from __future__ import annotations

import errno
import logging
import signal
import socket
from collections.abc import Callable
from importlib import metadata
from typing import Any

import h11
import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from coordi.api import Model
from coordi.errors import ConfigError
from coordi.serve.errors import answer, handle_errors, refused
from coordi.serve.routes import add_page, catalogue_routes, outfit_routes, photo_routes, state_routes
from coordi.serve.schemas import PREFIX, CompleteRequest, LooksRequest, ScoreRequest, ServeSettings
from coordi.serve.security import Guard, check_host
from coordi.serve.service import Service

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


_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 30
_LARGEST_HEAD = 32 * 1024
_LINGER_SECONDS = 1.0
_access = logging.getLogger("coordi.access")


def run(settings: ServeSettings, load: Callable[[], Model], say: Callable[[str], None]) -> bool:
    """Serve until SIGTERM or SIGINT; returns once what was in work is answered, or refused for want of time.

    ``health`` answers at once, everything else once the models are loaded.

    Args:
        settings: Of the server.
        load: Loads the model, in a thread.
        say: Shows one line to the user.

    Returns:
        Whether a thread is still loading models or asking one: in the midst of that Python can't end in an orderly way.

    Raises:
        ConfigError: If the host asks for a token, or can't be listened on.
        CoordiError: If a model or the catalogue can't be loaded.
    """
    check_host(settings)
    listening = listen(settings)
    address = address_of(settings, listening)
    service = Service(settings, load)
    server = make_server(settings, service)
    failures: list[BaseException] = []

    def fail(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    def ready() -> None:
        service.renew_in_background(say)
        say(f"ready: open {address} in a browser; Ctrl-C stops it")

    if settings.access_log:
        _access.setLevel(logging.INFO)

    def stop(_: int, __: object) -> None:
        server.should_exit = True

    # For before uvicorn listens to signals, and for after: it raises the one that stopped it once more when it is done,
    # and a stop that was asked for is no failure.
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        say(f"loading the models; {address}{PREFIX}/health answers already")
        service.load_in_background(ready, fail)
        server.run(sockets=[listening])
    finally:
        service.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    if failures:
        raise failures[0]
    return service.is_loading or service.is_at_work


def address_of(settings: ServeSettings, listening: socket.socket) -> str:
    """Where a browser on this machine finds the server."""
    port = listening.getsockname()[1]
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(settings: ServeSettings) -> socket.socket:
    """A socket that listens where the settings say.

    Raises:
        ConfigError: If that is no address of this machine, or taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"--host {settings.host} is no address of this machine: {error.strerror or error}") from error
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(_why_not(settings, error)) from error
    listening.setblocking(False)
    return listening


def _why_not(settings: ServeSettings, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {settings.port} on {settings.host} is in use, perhaps by another coordi serve; stop that one or "
            "choose another with --port (0 takes any that is free)"
        )
    if error.errno == errno.EACCES:
        return f"port {settings.port} is only for the administrator; choose one of 1024 or more with --port"
    return f"can't listen on {settings.host} port {settings.port}: {error.strerror or error}; change --host or --port"


def make_server(settings: ServeSettings, service: Service) -> uvicorn.Server:
    """What serves the application; it has neither begun nor a socket yet."""
    config = uvicorn.Config(
        build_app(service),
        http=_Protocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.stop_seconds,
        h11_max_incomplete_event_size=_LARGEST_HEAD,
    )
    return uvicorn.Server(config)


class _Protocol(H11Protocol):
    """HTTP/1.1 that answers what isn't HTTP in the same shape as everything else."""

    _is_over = False

    def data_received(self, data: bytes) -> None:
        """Read on, unless the answer is that this is no HTTP."""
        if not self._is_over:
            super().data_received(data)

    def send_400_response(self, _: str) -> None:
        """Answer, if no answer has begun, and close the connection once the client has had time to read it."""
        if self._is_over:
            return
        self._is_over = True
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            response = answer(refused(400, "bad_request", "this isn't a request in HTTP/1.1 that coordi can read"))
            headers = [*response.raw_headers, (b"connection", b"close"), (b"x-content-type-options", b"nosniff")]
            begin = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (begin, h11.Data(data=bytes(response.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
            self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)
