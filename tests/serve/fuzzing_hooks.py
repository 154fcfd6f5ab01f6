"""What schemathesis is told of coordi: what a photo is, and what may be refused although it follows the schema.

Loaded by ``SCHEMATHESIS_HOOKS``; ``test_fuzz.py`` and ``docs/serving.md`` have the commands.
"""

from __future__ import annotations

import io
import os
from typing import Any

import schemathesis
from hypothesis import strategies
from PIL import Image

# What no schema can say: what is in the catalogue, what a word means, what contradicts what, how long all is together,
# whether numbers are a photo's embedding.
_MEANT = {"unknown_item", "unknown_label", "unknown_words", "contradiction", "too_large", "bad_embedding"}

_ASK_IT = ("/score", "/complete", "/looks")


def _photo(colour: str, kind: str) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 50), colour).save(content, kind)
    return content.getvalue()


schemathesis.openapi.format(
    "binary", strategies.sampled_from([_photo("red", "JPEG"), _photo("navy", "PNG"), _photo("white", "WEBP")])
)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Spare the language model, unless it is asked for: an outfit takes it a hundred times as long."""
    body = case.body
    spares = os.environ.get("FUZZ_LANGUAGE_MODEL") != "1" and case.operation.path.endswith(_ASK_IT)
    if spares and isinstance(body, dict) and body.get("language_model", True) is True:
        body["language_model"] = False


@schemathesis.check
def refused_for_what_a_schema_can_not_say(ctx: Any, response: Any, case: Any) -> None:
    """A request that follows the schema is never ``invalid``."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code < 400:
        return
    code = response.json()["error"]["code"]
    assert code in _MEANT, f"a request that follows the schema was refused with '{code}': {response.text[:300]}"


@schemathesis.check
def errors_are_sentences(ctx: Any, response: Any, case: Any) -> None:
    """Every error has one shape, and says something that a person can read on one line."""
    if response.status_code < 400:
        return
    error = response.json()["error"]
    assert set(error) == {"code", "message", "field", "accepted"}, response.text[:300]
    assert 10 < len(error["message"]) < 1000, response.text[:300]
    assert error["message"].isprintable(), response.text[:300]
    assert "Traceback" not in error["message"], response.text[:300]
