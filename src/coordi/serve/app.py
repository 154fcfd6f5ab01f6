"""The application and the running server: models, threads, sockets and signals."""

from __future__ import annotations

import _imp
import _thread
import asyncio
import errno
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import metadata
from typing import Any

import uvicorn
from fastapi import Depends, FastAPI
from PIL import Image
from uvicorn.protocols.http.h11_impl import H11Protocol

from coordi.api import Model
from coordi.errors import ConfigError, CoordiError
from coordi.serve.batching import BatchingScorers, MemoryBudget, ModelBatcher, WorkerPool, scorer_batcher
from coordi.serve.errors import busy, handle_errors
from coordi.serve.routes import add_routes
from coordi.serve.schemas import PREFIX, CompleteRequest, LooksRequest, ScoreRequest, ServeSettings
from coordi.serve.security import BEARER, FORM_OVERHEAD, Guard, check_host

_TAGS = [
    {"name": "state", "description": "Whether the server is ready, and which values it accepts."},
    {"name": "photos", "description": "Descriptions of photos, which stay in memory and are never written anywhere."},
    {"name": "outfits", "description": "Scores, suggestions and looks, each with its reason."},
    {"name": "catalogue", "description": "Items that can be suggested."},
]
_TELEMETRY_OFF = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False, "operation_spans": False}
_RENEW_SECONDS = 5.0
_END_SECONDS = 60.0
# A decoded photo takes up to 150 MB, and as much again while it is rotated.
_PHOTO_WORKERS = 2
_UPLOAD_BYTES = 256 * 2**20
_BACKLOG = 2048
_AT_ONCE = 128  # connections accepted in a row, before the first of them can be closed
_CONNECTIONS = 1024
_OTHER_FILES = 64 + _AT_ONCE  # descriptors of models, the catalogue and what is being accepted
_access = logging.getLogger("coordi.access")


class Service:
    """A model that may still be loading, and pools of threads, so that a photo is described while looks are built.

    ``catalogue_problem`` says why a changed catalogue can't be opened; it is empty if there is no such problem.
    """

    def __init__(self, settings: ServeSettings, load: Callable[[], Model]) -> None:
        self.settings = settings
        self._load = load
        self._model: Model | None = None
        self._batcher: ModelBatcher | None = None
        self._renewing: threading.Thread | None = None
        self._closed = threading.Event()
        self.catalogue_problem = ""
        self.language_model_pool = WorkerPool("language-model", settings.workers, settings.queue)
        self.quick_pool = WorkerPool("quick", min(4, settings.workers), settings.queue)
        self.photo_pool = WorkerPool("photos", min(_PHOTO_WORKERS, settings.workers), settings.queue)
        self.uploads = MemoryBudget(max(_UPLOAD_BYTES, settings.photo_bytes + FORM_OVERHEAD))

    @property
    def model(self) -> Model:
        """The model; a ``not_ready`` ``RefusedError`` while it is being loaded."""
        if self._model is None:
            raise busy("the models are being loaded (GET /api/v1/ready tells when they are)", code="not_ready")
        return self._model

    def outfit_pool(self, request: ScoreRequest | CompleteRequest | LooksRequest) -> WorkerPool:
        """Threads for a request about an outfit."""
        return self.language_model_pool if request.language_model else self.quick_pool

    def load(self, *, warm: bool = True) -> None:
        """Load the model and let it answer once; unless ``warm``, the language model waits for its first request."""
        loaded = self._load()
        loaded.describe_photos([Image.new("RGB", (64, 64), "white")])
        if warm:
            loaded.scorers.model.score([loaded.find_items(["white shirt", "blue jeans"])])
        self._batcher = scorer_batcher(self.settings.max_batch)
        model = replace(loaded, scorers=BatchingScorers(loaded.scorers, self._batcher))
        _ = model.stylist  # which reads the catalogue
        self._model = model

    def renew(self) -> bool:
        """Reopen a changed catalogue and return whether it was; on a ``CoordiError`` the previous one stays in use."""
        model = None if self._model is None else self._model.reopened()
        self._model = model or self._model
        return model is not None

    def renew_in_background(self, say: Callable[[str], None], every: float = _RENEW_SECONDS) -> None:
        """Look for a changed catalogue every few seconds in a thread; ``say`` each change, and each problem once."""
        catalogue = self.model.catalogue
        if catalogue is None or catalogue.folder is None:
            return  # it can't change

        def work() -> None:
            while not self._closed.wait(every):
                with suppress(OSError):  # the terminal that ``say`` writes to may be closed
                    self._try_renew(say)

        self._renewing = threading.Thread(target=work, name="renewing", daemon=True)
        self._renewing.start()

    def close(self) -> None:
        """Refuse what waits; a model call that has begun goes on."""
        self._closed.set()
        for pool in (self.language_model_pool, self.quick_pool, self.photo_pool):
            pool.close()
        if self._batcher is not None:
            self._batcher.close()

    def join(self, seconds: float = _END_SECONDS) -> bool:
        """Wait for the threads of a closed service; False if one of them didn't end in this time."""
        if self._renewing is not None:
            self._renewing.join(seconds)
        is_done = self._batcher is None or self._batcher.join(seconds)
        return is_done and (self._renewing is None or not self._renewing.is_alive())

    def _try_renew(self, say: Callable[[str], None]) -> None:
        try:
            is_new = self.renew()
        # Any error, such as too little memory: the previous catalogue stays in use, and the next try may succeed.
        except Exception as error:  # noqa: BLE001
            problem = str(error) if isinstance(error, CoordiError) else f"{type(error).__name__} {error}".strip()
            if problem != self.catalogue_problem:
                self.catalogue_problem = problem
                say(f"the catalogue has changed but can't be opened, so the previous one stays in use: {problem}")
            return
        self.catalogue_problem = ""
        if is_new and self.model.catalogue is not None:
            say(f"the catalogue has changed: {len(self.model.catalogue):,} items from now on")


def build_api(service: Service) -> FastAPI:
    """The application, without its guard, for a service that may still be loading its models."""
    app = FastAPI(
        title="coordi",
        version=metadata.version("coordi"),
        summary="Whether clothes go together and what would complete an outfit, on your own machine.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # both pages load scripts from another server
        redoc_url=None,
        openapi_tags=_TAGS,
        redirect_slashes=False,
        # For the OpenAPI document; the guard checks the token.
        dependencies=[] if service.settings.token is None else [Depends(BEARER)],
        telemetry=_TELEMETRY_OFF,  # type: ignore[arg-type]
    )
    handle_errors(app)
    add_routes(app, service)
    return app


def run(settings: ServeSettings, load: Callable[[], Model], say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; return once requests in work are answered or their time is over.

    Call it from the main thread. A ``CoordiError`` says why the server can't start.
    """
    check_host(settings)
    listening = listen(settings)
    address = _address_of(settings, listening)
    service = Service(settings, load)
    server = make_server(settings, service)
    is_loading = True

    def serve() -> None:
        server.run(sockets=[listening])
        while is_loading:  # the library that was being loaded may have swallowed the exception of ``stop``
            _thread.interrupt_main(signal.SIGTERM)
            time.sleep(0.5)

    def stop(_: int, __: object) -> None:
        server.force_exit = server.should_exit
        server.should_exit = True
        if is_loading:
            raise _StoppedError

    if settings.access_log:
        _access.setLevel(logging.INFO)
    thread = threading.Thread(target=serve, name="server")
    # Signals reach the main thread, so it loads: a stop ends that at once, and no thread is left inside a library.
    with _handling_signals(stop):
        try:
            thread.start()
            say(f"loading the models; {address}{PREFIX}/health answers already")
            service.load()
            service.renew_in_background(say)
            say(f"ready: open {address} in a browser; Ctrl-C stops it")
            is_loading = False
            thread.join()
        except _StoppedError:
            _release_import_lock()
        finally:
            is_loading = False
            server.should_exit = True
            thread.join()
            service.close()
            service.join()  # at most for the model call that has begun


@contextmanager
def _handling_signals(handler: Callable[[int, object], None]) -> Iterator[None]:
    previous = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)


def _release_import_lock() -> None:
    """Release the lock that an import leaves to this thread if a signal's exception ends it at a bad moment."""
    with suppress(RuntimeError):  # another thread has it
        while _imp.lock_held():
            _imp.release_lock()


class _StoppedError(BaseException):
    """A signal came while the models were being loaded."""


def _address_of(settings: ServeSettings, listening: socket.socket) -> str:
    port = listening.getsockname()[1]
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(settings: ServeSettings) -> socket.socket:
    """Open the socket that the settings name; a ``ConfigError`` if that isn't possible."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or error
        message = f"can't listen on {settings.host} port {settings.port}: {reason}; change --host or --port"
        if error.errno == errno.EADDRINUSE:
            message = (
                f"port {settings.port} on {settings.host} is in use, perhaps by another coordi serve; stop that one or "
                "choose another port with --port (0 takes any free one)"
            )
        raise ConfigError(message) from error


def most_connections() -> int:
    """Connections that may be open at once: 1,024, or fewer where the process may open few files."""
    try:
        import resource
    except ImportError:  # Windows
        return _CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        with suppress(ValueError, OSError):  # not allowed
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    return _CONNECTIONS if soft == resource.RLIM_INFINITY else max(min(_CONNECTIONS, soft - _OTHER_FILES), 1)


def _protocol(settings: ServeSettings, most: int) -> type[asyncio.Protocol]:
    """HTTP with two limits that uvicorn lacks: on open connections, and on the time until a request's head is there."""

    class Limited(H11Protocol):
        _previous: object = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > most:
                transport.abort()
                return
            self._limit_head()

        def _limit_head(self) -> None:
            self.loop.call_later(settings.read_seconds, self._close_if_idle)

        def _close_if_idle(self) -> None:
            if self not in self.connections:
                return
            is_idle = self.cycle is None or self.cycle.response_complete
            if is_idle and self.cycle is self._previous and self.timeout_keep_alive_task is None:
                self.transport.abort()
                return
            self._previous = self.cycle
            self._limit_head()

    return Limited


def make_server(settings: ServeSettings, service: Service) -> uvicorn.Server:
    """The server of the application; it isn't running yet and has no socket."""
    config = uvicorn.Config(
        Guard(build_api(service), settings, service.uploads),
        http=_protocol(settings, most_connections()),
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_AT_ONCE,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=settings.stop_seconds,
        h11_max_incomplete_event_size=32 * 1024,
    )
    return uvicorn.Server(config)
