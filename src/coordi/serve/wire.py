"""What all that goes over the wire has in common, and how much of it there may be."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST_ITEMS = 12
MOST_SUGGESTIONS = 50
MOST_LOOKS = 10
LONGEST_TEXT = 300

Probability = Annotated[float, Field(ge=0, le=1)]
Difference = Annotated[float, Field(ge=-1, le=1)]


class Wire(BaseModel):
    """Base of requests and answers: an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
