"""Errors of the API: one shape, one message, one status each."""

from __future__ import annotations

import difflib
import json
import logging
import re
import traceback
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from coordi.errors import CoordiError, DataError, EvaluationError, PromptError, RecommendationError
from coordi.serve.schemas import ErrorAnswer, Problem

_LONGEST_VALUE = 60
_NOT_READABLE = ("string_pattern_mismatch",)
_SOURCES = ("query", "path", "body", "header")
_KINDS = {
    "string_type": "text", "int_type": "a whole number", "int_parsing": "a whole number", "float_type": "a number",
    "int_from_float": "a whole number", "float_parsing": "a number", "finite_number": "a finite number",
    "bool_type": "true or false", "bool_parsing": "true or false", "tuple_type": "a list", "list_type": "a list",
    "model_type": "an object", "model_attributes_type": "an object", "dict_type": "an object",
    "int_parsing_size": "a whole number of fewer digits", "string_unicode": "text in UTF-8",
}  # fmt: skip

Detail = Mapping[str, Any]


def problem_of(details: Sequence[Any], model: type[BaseModel] | None) -> Problem:
    """The first of the problems that pydantic found, and how many there are beside it.

    Args:
        details: As ``ValidationError.errors()`` has them; one at least.
        model: What was validated, so that keys which are accepted can be named; None if it isn't known.
    """
    first, *others = _own(details)
    where = field_of(first["loc"])
    message, accepted = _sentence(first, where, model)
    if others:
        message += (
            f" (and {len(others)} more: {', '.join(sorted({field_of(one['loc']) or 'body' for one in others})[:3])})"
        )
    # What is right by itself and can't be met together is no fault of the request's form.
    contradicts = first["type"] == "value_error" and first["loc"][-1:] in ((), ("rules",))
    code = "contradiction" if contradicts else "unknown_words" if first["type"] in _NOT_READABLE else "invalid"
    return Problem(code=code, message=as_json_text(message), field=as_json_text(where), accepted=accepted)


def field_of(location: Sequence[int | str]) -> str:
    """A place in a request, such as ``items[1].text``; empty for the whole of it."""
    parts = location[1:] if location and location[0] in _SOURCES else location
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return as_json_text(text)[:200]


def shown(value: Any) -> str:
    """A value as a message may hold it: on one line, and not longer than it must be."""
    text = repr(value) if not isinstance(value, str) else f"'{value}'"
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def as_json_text(text: str) -> str:
    """Text without what JSON in UTF-8 can't hold, or a terminal shouldn't be shown."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def near(word: str, known: Sequence[str], most: int = 5) -> tuple[str, ...]:
    """Those of the known words that are most like one that isn't known, best first."""
    return tuple(difflib.get_close_matches(word, known, n=most, cutoff=0.6))


def _own(details: Sequence[Any]) -> list[Any]:
    """Without those that only follow from another: a list is too short because what is in it was refused."""
    places = [tuple(one["loc"]) for one in details]

    def follows(one: Any, place: tuple[Any, ...]) -> bool:
        inside = any(len(other) > len(place) and other[: len(place)] == place for other in places)
        return one["type"] == "too_short" and inside

    return [one for one, place in zip(details, places, strict=True) if not follows(one, place)] or list(details)


def _sentence(detail: Detail, where: str, model: type[BaseModel] | None) -> tuple[str, tuple[str, ...]]:
    kind, context, value = detail["type"], detail.get("ctx", {}), detail.get("input")
    name = f"'{where}'" if where else "the body"
    if kind == "missing":
        return f"{name} is missing; add it", ()
    if kind == "extra_forbidden":
        return _unknown_key(detail, where, model)
    if kind in ("literal_error", "enum"):
        accepted = tuple(re.findall(r"'([^']*)'", str(context.get("expected", ""))))
        return f"{name} can't be {shown(value)}; accepted are {', '.join(accepted)}", accepted
    if kind == "json_invalid":
        what = "is empty" if value in ("", b"") else f"isn't JSON: {context.get('error', detail['msg'])}"
        return f"the body {what}; send it as JSON in UTF-8", ()
    if kind == "value_error":
        told = str(context.get("error", detail["msg"]))
        return f"{name}: {told}" if where else told, ()
    if kind in _KINDS:
        return f"{name} must be {_KINDS[kind]}, got {shown(value)}", ()
    if kind in _LIMITS:
        return f"{name} {_LIMITS[kind](context, value)}", ()
    return f"{name}: {detail['msg']}, got {shown(value)}", ()


def _length(value: Any) -> str:
    return str(len(value)) if isinstance(value, str | list | tuple | dict) else "another number"


_LIMITS: dict[str, Callable[[Mapping[str, Any], Any], str]] = {
    "string_too_long": lambda limit, value: (
        f"has {_length(value)} characters; accepted are at most {limit['max_length']}"
    ),
    "string_too_short": lambda limit, value: f"has {_length(value)} characters; it needs {limit['min_length']} or more",
    "string_pattern_mismatch": lambda _, value: f"holds nothing to read ({shown(value)}); write a few words",
    "too_long": lambda limit, value: f"has {_length(value)} entries; accepted are at most {limit['max_length']}",
    "too_short": lambda limit, value: f"has {_length(value)} entries; it needs {limit['min_length']} or more",
    "less_than_equal": lambda limit, value: f"can be {limit['le']:g} at most, got {shown(value)}",
    "greater_than_equal": lambda limit, value: f"must be {limit['ge']:g} or more, got {shown(value)}",
    "less_than": lambda limit, value: f"must be below {limit['lt']:g}, got {shown(value)}",
    "greater_than": lambda limit, value: f"must be above {limit['gt']:g}, got {shown(value)}",
}


def _unknown_key(detail: Detail, where: str, model: type[BaseModel] | None) -> tuple[str, tuple[str, ...]]:
    accepted = () if model is None else _keys_at(model, detail["loc"][:-1])
    told = f"; accepted are {', '.join(accepted)}" if accepted else "; leave it out"
    return f"'{where}' isn't known here{told}", accepted


def _keys_at(model: type[BaseModel], location: Sequence[int | str]) -> tuple[str, ...]:
    """Names of the fields of the model at a place in another; empty if there is none."""
    here: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int):
            continue
        found = None if here is None else here.model_fields.get(part)
        here = None if found is None else _model_in(found.annotation)
    return () if here is None else tuple(here.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in ``X | None``, ``tuple[X, ...]`` or ``Annotated[X, ...]``."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    inner = (_model_in(argument) for argument in typing.get_args(annotation))
    return next((one for one in inner if one is not None), None)


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
