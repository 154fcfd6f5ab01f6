"""Errors of the API: every one has the same JSON shape, a code for programs and a sentence for people."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from coordi.errors import (
    CoordiError,
    DataError,
    EvaluationError,
    PromptError,
    RecommendationError,
    reason_in_words,
)
from coordi.serve.schemas import ErrorResponse, Problem

RETRY_SECONDS = 2
_MAX_VALUE_LENGTH = 60
_SOURCES = ("query", "path", "body", "header")
_HTTP = {
    400: ("bad_request", "this isn't a request that coordi can read; see /api/v1/openapi.json"),
    404: ("not_found", "there is nothing at this address; /api/v1/openapi.json lists what there is"),
}
_log = logging.getLogger("coordi.serve")


class RefusedError(HTTPException):
    """A request that is answered with an error; ``Problem`` explains code, message, field and accepted values."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        field: str = "",
        accepted: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.problem = Problem(code=code, message=printable(message), field=printable(field), accepted=accepted)

    def response(self) -> JSONResponse:
        """The response that carries this error."""
        content = ErrorResponse(error=self.problem).model_dump(mode="json")
        return JSONResponse(content, self.status_code, self.headers)


class ClientGoneError(CoordiError):
    """The client closed its connection, so nobody waits for the answer."""

    def __init__(self) -> None:
        super().__init__("the client closed its connection before it was answered")


def busy(message: str, seconds: int = RETRY_SECONDS, code: str = "busy") -> RefusedError:
    """A 503 that tells the client to try again."""
    return RefusedError(503, code, f"{message}; try again in {seconds} s", headers={"Retry-After": str(seconds)})


def stopping() -> RefusedError:
    """The server stops before the request is answered."""
    return busy("the server is being stopped before this was answered", seconds=10)


def quoted(value: Any) -> str:
    """A value for a message: on one line and shortened."""
    text = repr(value) if not isinstance(value, str) else f"'{value}'"
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[: _MAX_VALUE_LENGTH - 3]}..."


def printable(text: str) -> str:
    """Text without characters that UTF-8 can't hold or a terminal shouldn't show."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def single_line(error: Exception) -> str:
    """The message of an error on one line."""
    return printable(" ".join(str(error).split()))


def handle_errors(app: FastAPI) -> None:
    """Answer every error that a route raises in one shape."""

    async def handle(request: Request, error: Exception) -> JSONResponse:
        return refusal_of(error, request).response()

    for kind in (CoordiError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, handle)


def refusal_of(error: Exception, request: Request) -> RefusedError:
    """The API's error for an error of any kind."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error, request)
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, ClientGoneError):
        return RefusedError(408, "too_slow", single_line(error))
    if isinstance(error, RecommendationError):
        return RefusedError(422, "contradiction", single_line(error))
    if isinstance(error, DataError | PromptError | EvaluationError):
        return RefusedError(422, "invalid", single_line(error))
    # The log names the place. It must not hold what was sent, so the error's message stays out of it.
    frames = "".join(traceback.format_tb(error.__traceback__)[-6:])
    _log.error("internal error: %s at:\n%s", type(error).__name__, frames)
    message = "something went wrong inside coordi, not with your request; the server's log says where. Try again"
    return RefusedError(500, "internal", message)


def _invalid(error: RequestValidationError, request: Request) -> RefusedError:
    """The first problem that pydantic reports, and the number of others."""
    if isinstance(error.body, bytes):  # FastAPI leaves a body unparsed if its content type isn't JSON
        return wrong_type("application/json", request)
    # A list is also reported as too short when its entries are wrong.
    details = [row for row in error.errors() if row["type"] != "too_short"] or error.errors()
    first = details[0]
    kind, field = first["type"], "" if first["type"] == "json_invalid" else field_name(first["loc"])
    message = f"'{field}': {_reason(first)}" if field else f"the body: {_reason(first)}"
    if len(details) > 1:
        message += f" (and {len(details) - 1} more)"
    # Values that are right on their own and contradict each other.
    contradicts = kind == "value_error" and field in ("", "rules")
    # Of a rule's own field it is words that no table has.
    unknown = kind == "string_pattern_mismatch" or (kind == "value_error" and field.startswith("rules."))
    code = "contradiction" if contradicts else "unknown_words" if unknown else "invalid"
    expected = str(first["ctx"]["expected"]) if kind in ("literal_error", "enum") else ""
    return RefusedError(422, code, message, field, tuple(re.findall(r"'([^']*)'", expected)))


def _reason(detail: Mapping[str, Any]) -> str:
    kind, message = detail["type"], reason_in_words(str(detail["msg"]))
    if kind == "extra_forbidden":
        return "unknown name; leave it out, or see /api/v1/openapi.json for the accepted ones"
    if kind == "json_invalid":
        return f"not JSON: {detail['ctx']['error']}"
    if kind in ("value_error", "missing"):
        return message
    return f"{message[:1].lower()}{message[1:]}, got {quoted(detail['input'])}"


def field_name(location: tuple[int | str, ...]) -> str:
    """A location in a request as text, such as ``items[1].text``; empty for the body itself."""
    text = ""
    for part in location[1:] if location and location[0] in _SOURCES else location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text[:200]


def wrong_type(accepted: str, request: Request) -> RefusedError:
    """A 415 for another content type than the accepted one."""
    media_type = printable(request.headers.get("content-type", "").split(";")[0].strip().lower())[:100]
    got = f"'{media_type}'" if media_type else "none"
    return RefusedError(415, "unsupported_media_type", f"the content type must be {accepted}, got {got}")


def _of_http(error: HTTPException) -> RefusedError:
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another one")
        message = f"method not allowed; allowed: {allowed}"
        return RefusedError(405, "method_not_allowed", message, headers=error.headers)
    if error.status_code == 400 and error.__cause__ is not None:  # such as JSON that is nested too deeply
        return RefusedError(422, "invalid", f"the body: not JSON: {error.__cause__}")
    code, message = _HTTP.get(error.status_code, ("invalid", str(error.detail)))
    return RefusedError(error.status_code, code, message, headers=error.headers)
