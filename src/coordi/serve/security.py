"""Who may ask, and what every answer carries.

A server on a user's own machine is reached by every page the user's browser has open. So a request must name this
server (a page that points its own name at 127.0.0.1 doesn't), must not come from another page, and where the server
can be reached from other machines it must carry a token.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import re
import secrets
import time
from pathlib import Path

from fastapi.requests import Request
from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coordi.errors import ConfigError
from coordi.serve.errors import RefusedError, answer, refusal_of, refused, shown, stopping
from coordi.serve.schemas import ServeSettings

API = "/api/"
TOKEN_VARIABLE = "COORDI_TOKEN"
NEW_TOKEN = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
_SHORTEST_TOKEN = 20
_LINGER_SECONDS = 5.0
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(:\d{1,5})?")
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
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


def find_token(given: str | None, file: Path | None) -> SecretStr | None:
    """The token that requests must carry: what was given, or a file's content, or that of ``COORDI_TOKEN``.

    Raises:
        ConfigError: If the file can't be read, or the token is short or holds what a header can't.
    """
    token, source = given, "--token"
    if token is None and file is not None:
        source = f"the token in {file}"
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"the token file {file} can't be read ({error}); write one: {NEW_TOKEN} > {file}"
            ) from error
    if token is None and os.environ.get(TOKEN_VARIABLE):
        token, source = os.environ[TOKEN_VARIABLE], TOKEN_VARIABLE
    if token is None:
        return None
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"{source} has {len(token)} characters; accepted are {_SHORTEST_TOKEN} or more letters and digits without "
            f"spaces, such as this prints: {NEW_TOKEN}"
        )
    return SecretStr(token)


def check_host(settings: ServeSettings) -> None:
    """See to it that a server which other machines can reach asks for a token.

    Raises:
        ConfigError: If it doesn't.
    """
    if settings.host not in _LOCAL and settings.token is None:
        raise ConfigError(
            f"--host {settings.host} lets other machines ask, so requests must carry a token: make one with "
            f"{NEW_TOKEN} > token.txt and give --token-file token.txt; or leave --host away to serve this machine only"
        )


class Guard:
    """Wraps the whole application: checks before it, headers after it, and an answer whatever happens in it.

    What a client still sends once it is answered is read and thrown away for some seconds, as a connection that is
    closed on a client that is sending loses the answer.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app = app
        self._token = None if settings.token is None else settings.token.get_secret_value().encode()
        self._names = _LOCAL | {settings.host.lower(), *(name.lower() for name in settings.names)}
        self._takes_addresses = _is_everywhere(settings.host)
        self._logs = settings.access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or pass on the start and end of the server."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        began = time.monotonic()
        try:
            await self._pass_on(scope, exchange)
        # The server stops and waits no longer. The task ends here, so nothing is left to be cancelled.
        except asyncio.CancelledError:
            exchange.wait_for_no_more()
            if not exchange.status:
                await answer(stopping())(scope, exchange.receive, exchange.send)
        # What Starlette answers with 500 it raises once more, for a server to log; that has been done.
        except Exception as error:  # noqa: BLE001
            if not exchange.status:
                await answer(refusal_of(error))(scope, exchange.receive, exchange.send)
        finally:
            if self._logs:
                path = scope.get("raw_path", b"").decode("ascii", "replace")
                taken = 1000 * (time.monotonic() - began)
                _access.info("%s %s %s %.0f ms", scope["method"], path, exchange.status or "no answer", taken)

    async def _pass_on(self, scope: Scope, exchange: _Exchange) -> None:
        try:
            self._check(Request(scope))
        except RefusedError as refusal:
            await answer(refusal)(scope, exchange.receive, exchange.send)
            return
        # What can be got can be asked for its headers alone; uvicorn leaves the body out.
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        await self._app(inner, exchange.receive, exchange.send)

    def _check(self, request: Request) -> None:
        headers, is_api = request.headers, request.scope["path"].startswith(API)
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self._knows(host):
            message = (
                f"this server isn't called {shown(host)}; start it with --name to add a name that it is asked under"
            )
            raise refused(403, "forbidden", message)
        if not is_api:
            return
        self._check_origin(request.method, headers, host)
        if self._token is not None and not self._carries_token(headers):
            message = "this server asks for its token: send the header 'Authorization: Bearer' with it"
            raise refused(401, "unauthorized", message, WWW_Authenticate='Bearer realm="coordi"')

    def _knows(self, host: str) -> bool:
        name = _name_of(host)
        return name in self._names or (self._takes_addresses and _is_address(name))

    def _check_origin(self, method: str, headers: Headers, host: str) -> None:
        origin = headers.get("origin")
        is_foreign = origin is not None and origin.lower().partition("://")[2] != host.lower()
        if headers.get("sec-fetch-site") == "cross-site" or (is_foreign and method not in _READS):
            raise refused(403, "forbidden", "another page asked for this; open coordi's own page and ask there")

    def _carries_token(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        is_right = secrets.compare_digest(given.strip().encode("latin-1", "replace"), self._token or b"")
        return is_right and scheme.lower() == "bearer"


class _Exchange:
    """One request and its answer: how far both have come."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._is_api = scope["path"].startswith(API)
        names = {name for name, _ in scope["headers"]}
        self._has_all = (
            not names & {b"content-length", b"transfer-encoding"} or (b"content-length", b"0") in scope["headers"]
        )
        self.status = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._has_all = True
        return message

    def wait_for_no_more(self) -> None:
        """Leave what the client still sends unread."""
        self._has_all = True

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if self._is_api:
                headers.setdefault("Cache-Control", "no-store")
            if not self._has_all:
                headers["Connection"] = "close"
        ends = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not ends or self._has_all or self.status == 408:  # nothing comes any more
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        await self._throw_away_the_rest()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _throw_away_the_rest(self) -> None:
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while not self._has_all:
                    await self.receive()
        except TimeoutError:
            return


def _name_of(host: str) -> str:
    """The name in a ``Host`` header, without its port and the brackets of an address; empty if it isn't one."""
    parts = _HOST.fullmatch(host.strip().lower())
    return "" if parts is None else parts["address"] or parts["name"]


def _is_everywhere(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_unspecified


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
