"""Who may send requests, how large and slow these may be, and which headers every response carries.

Every page in the user's browser can reach a server on the user's machine. So a request must name this server (a page
that points its own host name at 127.0.0.1 doesn't), must not come from another page, and must carry a token if other
machines can reach the server.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import re
import secrets
import time
from contextlib import nullcontext
from pathlib import Path

from fastapi import Request
from fastapi.security import HTTPBearer
from pydantic import SecretStr
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coordi.errors import ConfigError
from coordi.serve.batching import MemoryBudget
from coordi.serve.errors import RefusedError, quoted, refusal_of, stopping
from coordi.serve.schemas import PREFIX, ServeSettings
from coordi.serve.sentences import Answering, answer_in

TOKEN_VARIABLE = "COORDI_TOKEN"
NEW_TOKEN_COMMAND = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
PHOTO_PATHS = (f"{PREFIX}/describe", f"{PREFIX}/catalogue/alike")
FORM_OVERHEAD = 16 * 1024  # bytes of a form beside its photo: boundaries and headers
BEARER = HTTPBearer(scheme_name="token", auto_error=False)
_MIN_TOKEN_LENGTH = 20
_DRAIN_SECONDS = 5.0
_LEAST_RATE = 1024  # bytes per second of a body, once the time between two parts of it is over
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(:\d{1,5})?")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_access = logging.getLogger("coordi.access")


def find_token(option: str | None, file: Path | None) -> SecretStr | None:
    """The required token: the option, else the file's content, else ``COORDI_TOKEN``; a ``ConfigError`` if it's bad."""
    token, source = option, "--token"
    if token is None and file is not None:
        source = f"the token in {file}"
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"the token file {file} can't be read ({error}); write one: {NEW_TOKEN_COMMAND} > {file}"
            ) from error
    if token is None and os.environ.get(TOKEN_VARIABLE):
        token, source = os.environ[TOKEN_VARIABLE], TOKEN_VARIABLE
    if token is None:
        return None
    if len(token) < _MIN_TOKEN_LENGTH or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"{source} has {len(token)} characters; accepted are {_MIN_TOKEN_LENGTH} or more letters and digits "
            f"without spaces, such as this prints: {NEW_TOKEN_COMMAND}"
        )
    return SecretStr(token)


def check_host(settings: ServeSettings) -> None:
    """Require a token for a server that other machines can reach; a ``ConfigError`` if there is none."""
    if settings.host not in _LOCAL and settings.token is None:
        raise ConfigError(
            f"--host {settings.host} lets other machines connect, so requests must carry a token: make one with "
            f"{NEW_TOKEN_COMMAND} > token.txt and add --token-file token.txt; or drop --host to serve this machine only"
        )


class Guard:
    """ASGI middleware around the whole application: checks before it, headers after it.

    Starlette's TrustedHostMiddleware can't accept every address for ``--host 0.0.0.0`` and answers in plain text.
    The token is checked here rather than in a dependency, since FastAPI reads a body before it runs dependencies.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings, uploads: MemoryBudget) -> None:
        self._app = app
        self._settings = settings
        self._uploads = uploads
        self._names = _LOCAL | {settings.host.lower(), *(name.lower() for name in settings.names)}
        self._accepts_addresses = _is_address(settings.host) and ipaddress.ip_address(settings.host).is_unspecified

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        is_photo = scope["path"] in PHOTO_PATHS
        limit = self._settings.photo_bytes + FORM_OVERHEAD if is_photo else self._settings.body_bytes
        answering = answer_in(Request(scope).headers.get("accept-language", ""))
        exchange = _Exchange(scope, receive, send, limit, self._settings.read_seconds, answering)
        begin = time.monotonic()
        refusal: RefusedError | None = None
        try:
            await self._check(Request(scope))
            with self._uploads.reserve(exchange.check_length()) if is_photo else nullcontext():
                # GET routes answer HEAD as well; uvicorn leaves the body out.
                method = "GET" if scope["method"] == "HEAD" else scope["method"]
                await self._app({**scope, "method": method}, exchange.receive, exchange.send)
        except RefusedError as error:
            refusal = error
        except asyncio.CancelledError:  # by uvicorn, once the time to stop is over
            exchange.is_complete = True
            refusal = stopping()
        # Starlette raises an error again after it has answered with 500, for a server to log; coordi has logged it.
        except Exception as error:  # noqa: BLE001
            refusal = None if exchange.status else refusal_of(error, Request(scope))
        if refusal is not None and not exchange.status:
            await refusal.response()(scope, exchange.receive, exchange.send)
        if self._settings.access_log:
            path = scope.get("raw_path", b"").decode("ascii", "replace")
            milliseconds = 1000 * (time.monotonic() - begin)
            _access.info("%s %s %s %.0f ms", scope["method"], path, exchange.status or "no response", milliseconds)

    async def _check(self, request: Request) -> None:
        host = request.headers.get("host", "")
        if not self._is_own_name(host):
            raise RefusedError(403, "forbidden", f"host {quoted(host)} is not allowed; add it with --name HOST")
        if not request.scope["path"].startswith("/api/"):
            return
        origin = request.headers.get("origin")
        is_foreign = origin is not None and origin.lower().partition("://")[2] != host.lower()
        is_read = request.method in ("GET", "HEAD", "OPTIONS")
        if request.headers.get("sec-fetch-site") == "cross-site" or (is_foreign and not is_read):
            message = "requests from other pages are not allowed; open coordi's own page"
            raise RefusedError(403, "forbidden", message)
        if self._settings.token is None:
            return
        credentials = await BEARER(request)
        given = "" if credentials is None else credentials.credentials.strip()
        token = self._settings.token.get_secret_value().encode()
        if not secrets.compare_digest(given.encode("latin-1", "replace"), token):
            message = "this server requires its token: send the header 'Authorization: Bearer' with it"
            headers = {"WWW-Authenticate": 'Bearer realm="coordi"'}
            raise RefusedError(401, "unauthorized", message, headers=headers)

    def _is_own_name(self, host: str) -> bool:
        parts = _HOST.fullmatch(host.strip().lower())
        name = "" if parts is None else parts["address"] or parts["name"]
        return name in self._names or (self._accepts_addresses and _is_address(name))


class _Exchange:
    """One request and its response: limits what is received, and adds headers to what is sent.

    What a client still sends after its response is read and dropped for some seconds, since a connection that is
    closed while the client sends loses the response.
    """

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, limit: int, idle_seconds: float, answering: Answering
    ) -> None:
        self._answering = answering
        self._receive = receive
        self._send = send
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._size = 0
        self._is_api = scope["path"].startswith("/api/")
        headers = dict(scope["headers"])
        self._length = headers.get(b"content-length", b"0" if b"transfer-encoding" not in headers else b"")
        self.is_complete = self._length == b"0"
        self.status = 0
        self._began = time.monotonic()

    def check_length(self) -> int:
        """The most bytes that the body may have, by its ``Content-Length``; a ``too_large`` ``RefusedError``."""
        # Longer numbers than that are no lengths.
        length = int(self._length) if self._length.isdigit() and len(self._length) < 19 else None
        if len(self._length) >= 19 or (length or 0) > self._limit:
            raise self._too_large()
        return self._limit if length is None else length

    async def receive(self) -> Message:
        """The next part of the body; a ``too_large`` or ``too_slow`` ``RefusedError``."""
        if self.is_complete:
            return await self._receive()
        self.check_length()
        try:
            async with asyncio.timeout(self._idle_seconds):
                message = await self._receive()
        except TimeoutError as error:
            reason = f"no part of the body arrived for {self._idle_seconds:g} s; send it again"
            raise RefusedError(408, "too_slow", reason, headers={"Connection": "close"}) from error
        self.is_complete = message["type"] == "http.disconnect" or not message.get("more_body", False)
        self._size += len(message.get("body", b""))
        seconds = time.monotonic() - self._began
        if not self.is_complete and seconds > self._idle_seconds and self._size < _LEAST_RATE * seconds:
            reason = f"the body came with less than {_LEAST_RATE // 1024} KiB a second; send it faster"
            raise RefusedError(408, "too_slow", reason, headers={"Connection": "close"})
        if self._size > self._limit:
            raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store" if self._is_api else "no-cache")  # browsers check each time
            if self._answering.answered:
                headers["Content-Language"] = ", ".join(sorted(self._answering.answered))
                headers.add_vary_header("Accept-Language")
            if not self.is_complete:
                headers["Connection"] = "close"
        ends = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not ends or self.is_complete or self.status == 408:
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while (await self._receive()).get("more_body", False):
                    pass
        except TimeoutError:
            pass
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def _too_large(self) -> RefusedError:
        limit = f"{self._limit / 2**20:.3g} MiB" if self._limit >= 2**20 else f"{self._limit / 1024:g} KiB"
        return RefusedError(413, "too_large", f"the body has more than {limit}, which is the limit; send less")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
