"""Requests and errors as the OpenAPI document shows them; tests send every request and see every error."""

from __future__ import annotations

from typing import Any

SCORE = {
    "words": {"items": [{"text": "navy wool blazer"}, {"text": "white shirt"}, {"text": "red running shoes"}]},
    "seen": {
        "items": [
            {"seen": {"category": "dress", "attributes": {"colour": ["black"]}, "title": "silk midi dress"}},
            {"text": "gold necklace"},
        ],
        "language_model": False,
    },
}
COMPLETE = {
    "words": {
        "items": [{"text": "navy wool blazer"}, {"text": "white shirt"}],
        "k": 3,
        "rules": {"want": ["shoes"], "in_stock": True},
        "language_model": False,
    },
}
LOOKS = {"words": {"around": {"text": "black leather jacket"}, "k": 2, "language_model": False}}

_ERRORS: dict[int, tuple[str, str, str, tuple[str, ...], str]] = {
    401: ("unauthorized", "this server asks for its token: send the header 'Authorization: Bearer' with it", "", (),
          "The token is missing or another."),
    403: ("forbidden", "another page asked for this; open coordi's own page and ask there", "", (),
          "Asked by another page, or under a name that isn't this server's."),
    404: ("unknown_item", "no item '1164' in the catalogue; the nearest are 11646, 1163, 1165", "id",
          ("11646", "1163", "1165"), "There is no such item."),
    405: ("method_not_allowed", "this address isn't asked that way; accepted: GET", "", (), "Another method."),
    408: ("too_slow", "the body didn't come in: nothing for 30 s; send it again", "", (),
          "The request stopped coming in."),
    409: ("no_catalogue", "this server has no catalogue; start it with: coordi serve --catalogue DIR", "", (),
          "The server was started without a catalogue."),
    413: ("too_large", "the body has more than 64 KiB, which is the most that is accepted; send less", "", (),
          "More than is accepted; it isn't read to its end."),
    415: ("unsupported_media_type", "the content type must be application/json, got 'text/plain'", "", (),
          "Another content type."),
    422: ("invalid", "'items' has 0 entries; it needs 1 or more", "items", (), "Something in the request is wrong."),
    500: ("internal", "something went wrong inside coordi, not with your request; the server's log says where. "
          "Try again", "", (), "An error of coordi's own."),
    503: ("busy", "72 requests are being worked on or wait already, which is all there is room for; ask again in 4 s",
          "", (), "Too much to do (`busy`), or the models aren't loaded yet (`not_ready`): ask again after "
          "`Retry-After` seconds."),
}  # fmt: skip
_ALWAYS = (401, 403, 405, 500, 503)


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route: the statuses of its own errors beside those that every route has, each with an example."""
    from coordi.serve.answers import ErrorAnswer

    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*_ALWAYS, *statuses}):
        code, message, field, accepted, told = _ERRORS[status]
        problem = {"code": code, "message": message, "field": field, "accepted": list(accepted)}
        found[status] = {
            "model": ErrorAnswer,
            "description": told,
            "content": {"application/json": {"example": {"error": problem}}},
        }
        if status == 503:
            found[status]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return found


def json_body(model: str, examples: dict[str, Any]) -> dict[str, Any]:
    """What a route takes, for the document: a model by its name in it."""
    schema = {"$ref": f"#/components/schemas/{model}"}
    shown = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "examples": shown}}}}


def photo_body(most: int) -> dict[str, Any]:
    """A form with one photo, for the document."""
    told = f"JPEG, PNG, WebP, GIF or BMP, by its content; at most {most / 2**20:g} MiB and 50 megapixels."
    photo = {"type": "string", "format": "binary", "description": told}
    schema = {"type": "object", "required": ["photo"], "additionalProperties": False, "properties": {"photo": photo}}
    kinds = "image/jpeg, image/png, image/webp, image/gif, image/bmp"
    form = {"schema": schema, "encoding": {"photo": {"contentType": kinds}}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": form}}}
