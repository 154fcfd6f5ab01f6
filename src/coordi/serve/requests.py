"""What clients ask, checked before anything is done. OpenAPI is made of these and of ``answers``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from coordi.domain import WornCategory
from coordi.recommend.rules import ItemId, Rules
from coordi.serve.wire import LONGEST_TEXT, MOST_ITEMS, MOST_LOOKS, MOST_SUGGESTIONS, Wire

Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT, pattern=r"\S")]
LabelText = Annotated[str, Field(min_length=1, max_length=60)]


def _whole(value: object) -> object:
    """What JSON's numbers and its schemas don't tell apart: 5.0 is a whole number too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class SeenItem(Wire):
    """An item of the client's own, as its photo was described and perhaps corrected.

    Attributes:
        category: What it is worn as.
        attributes: By attribute of the vocabulary (``GET /api/v1/vocabulary``), its labels; those that aren't known are
            left out.
        title: A few words of the client's own; may be empty.
    """

    category: WornCategory
    attributes: dict[LabelText, tuple[LabelText, ...]] = Field(default_factory=dict, max_length=20)
    title: str = Field(default="", max_length=LONGEST_TEXT)


def _one_of(*names: str) -> dict[str, JsonValue]:
    """A JSON schema of objects in which exactly one of these isn't null, whether the others are left out or not."""
    null: dict[str, JsonValue] = {"type": "null"}
    return {
        "oneOf": [
            {"required": [name], "properties": {other: {"not": null} if other == name else null for other in names}}
            for name in names
        ]
    }


class ItemGiven(Wire):
    """One item of an outfit: exactly one of an id of the catalogue, a few words, or what was seen in a photo."""

    model_config = ConfigDict(json_schema_extra=_one_of("id", "text", "seen"))

    id: ItemId | None = None
    text: Text | None = None
    seen: SeenItem | None = None

    @model_validator(mode="after")
    def _is_one(self) -> ItemGiven:
        given = [name for name in ("id", "text", "seen") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"an item is exactly one of 'id', 'text' and 'seen', got {', '.join(given) or 'none'}")
        return self


class ScoreRequest(Wire):
    """Two items or more that may go together."""

    items: tuple[ItemGiven, ...] = Field(min_length=2, max_length=MOST_ITEMS)
    language_model: bool = True


class CompleteRequest(Wire):
    """An outfit to complete from the catalogue.

    Attributes:
        items: What there is.
        k: How many suggestions.
        rules: What may be suggested.
        language_model: False answers sooner and says so in ``judge``.
        reasons: False leaves out what moved each score, which takes time.
    """

    items: tuple[ItemGiven, ...] = Field(min_length=1, max_length=MOST_ITEMS)
    k: Annotated[int, BeforeValidator(_whole)] = Field(default=5, ge=1, le=MOST_SUGGESTIONS)
    rules: Rules = Rules()
    language_model: bool = True
    reasons: bool = True


class LooksRequest(Wire):
    """Whole outfits around an item, from the catalogue."""

    around: ItemGiven
    k: Annotated[int, BeforeValidator(_whole)] = Field(default=3, ge=1, le=MOST_LOOKS)
    rules: Rules = Rules()
    language_model: bool = True
