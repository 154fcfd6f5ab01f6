"""Every error in one shape: what went wrong becomes a status and an ``ErrorAnswer``, here and nowhere else."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from coordi.errors import (
    CoordiError,
    DataError,
    EvaluationError,
    PromptError,
    RecommendationError,
)
from coordi.serve.answers import ErrorAnswer, Problem
from coordi.serve.wording import as_json_text, problem_of

_log = logging.getLogger("coordi.serve")
_AGAIN_SECONDS = 2
_RESTART_SECONDS = 10
_GONE = 499  # what nginx calls a request whose client left; nobody is there to read it
_NONE: Mapping[str, str] = {}
_HTTP = {
    400: ("bad_request", "this isn't a request that coordi can read; see /api/v1/openapi.json"),
    404: ("not_found", "there is nothing at this address; /api/v1/openapi.json lists what there is"),
    413: ("too_large", "the request is too large; send less"),
}


class RefusedError(CoordiError):
    """A request that is answered with an error.

    Attributes:
        status: Of HTTP.
        problem: What the answer says.
        headers: Beside those that every answer has.
    """

    def __init__(self, status: int, problem: Problem, headers: Mapping[str, str] = _NONE) -> None:
        super().__init__(problem.message)
        self.status = status
        self.problem = problem
        self.headers = headers


class ClientGoneError(CoordiError):
    """Nobody waits for the answer any more."""


def refused(
    status: int, code: str, message: str, field: str = "", accepted: tuple[str, ...] = (), **headers: str
) -> RefusedError:
    """An error to raise; ``headers`` are named with underscores, as in ``Retry_After="2"``."""
    problem = Problem(code=code, message=message, field=field, accepted=accepted)
    return RefusedError(status, problem, {name.replace("_", "-"): value for name, value in headers.items()})


def busy(seconds: int, inside: int) -> RefusedError:
    """There is no place left to wait in."""
    message = f"{inside} requests are being worked on or wait already, which is all there is room for; ask again in "
    return refused(503, "busy", f"{message}{seconds} s", Retry_After=str(seconds))


def stopping() -> RefusedError:
    """The server is being stopped, and no longer waits for what is in work."""
    message = f"the server is being stopped before this was answered; ask again in {_RESTART_SECONDS} s"
    return refused(503, "busy", message, Retry_After=str(_RESTART_SECONDS))


def not_ready() -> RefusedError:
    """The models aren't loaded yet."""
    message = "the models are still being loaded; ask again in a few seconds (GET /api/v1/ready tells when)"
    return refused(503, "not_ready", message, Retry_After=str(_AGAIN_SECONDS))


def answer(refusal: RefusedError) -> Response:
    """An error as it goes over the wire."""
    body = ErrorAnswer(error=refusal.problem).model_dump(mode="json")
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, refusal.status, dict(refusal.headers), media_type="application/json")


def refusal_of(error: Exception) -> RefusedError:
    """What an error of any kind is answered with."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, ClientGoneError):
        return refused(_GONE, "gone", "the client went away before it was answered")
    if isinstance(error, RequestValidationError):
        return RefusedError(422, problem_of(error.errors(), None))
    if isinstance(error, ValidationError):
        return RefusedError(422, problem_of(error.errors(include_url=False), None))
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, RecommendationError):
        return refused(422, "contradiction", _line(error))
    if isinstance(error, DataError | PromptError | EvaluationError):
        return refused(422, "invalid", _line(error))
    return _internal(error)


def handle_errors(app: FastAPI) -> None:
    """Answer every error that a route of this application raises in one shape."""

    async def handle(_: Request, error: Exception) -> Response:
        return answer(refusal_of(error))

    for kind in (CoordiError, HTTPException, RequestValidationError, ValidationError, Exception):
        app.add_exception_handler(kind, handle)


def _of_http(error: HTTPException) -> RefusedError:
    headers = dict(error.headers or {})
    if error.status_code == 405:
        allowed = headers.get("Allow") or headers.get("allow") or "another one"
        problem = Problem(code="method_not_allowed", message=f"this address isn't asked that way; accepted: {allowed}")
        return RefusedError(405, problem, headers)
    code, message = _HTTP.get(error.status_code, ("invalid", as_json_text(str(error.detail))))
    return RefusedError(error.status_code, Problem(code=code, message=message), headers)


def _internal(error: Exception) -> RefusedError:
    """Where it happened goes to the log; what was sent doesn't, so the error's own words stay out of it too."""
    places = "".join(traceback.format_tb(error.__traceback__)[-6:])
    _log.error("an error of coordi's own, %s, at:\n%s", type(error).__name__, places)
    message = "something went wrong inside coordi, not with your request; the server's log says where. Try again"
    return refused(500, "internal", message)


def _line(error: Exception) -> str:
    return as_json_text(" ".join(str(error).split()))
