"""What readers hand to cleaning: a source's own items and outfits, before anything is judged."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from coordi.data.funnel import Funnel
from coordi.domain import NO_EXTRA, Split, WornCategory


@dataclass(frozen=True, slots=True)
class SourceItem:
    """An item as its source gives it.

    Attributes:
        category: A worn category, ``""`` if nobody wears it, None if its category can't be told from text.
        image: Where its photo should be; None if the source names none. The file may be missing.
        why_no_photo: What the funnel says where ``image`` is None.
    """

    id: str
    title: str
    category: WornCategory | str | None
    kind: str = ""
    image: Path | None = None
    why_no_photo: str = "no photo"
    price: float | None = None
    extra: Mapping[str, str] = field(default_factory=lambda: NO_EXTRA)


@dataclass(frozen=True, slots=True)
class SourceOutfit:
    """An outfit as its source gives it; without a split it gets one after cleaning."""

    id: str
    item_ids: tuple[str, ...]
    split: Split | None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Everything a reader found.

    Attributes:
        items: Ids are unique.
        outfits: Ids are unique.
        funnel: What the reader already left out, such as broken rows and duplicate ids.
        keeps_single_items: Whether an item that is in no outfit is of use (a catalogue) or not (a release).
        titles_needed: Whether the paper's filter asks for a title; a folder of photos has none.
        splits: Splits that the source has of its own; one that has no outfit left is an error.
    """

    name: str
    layout: str
    items: tuple[SourceItem, ...]
    outfits: tuple[SourceOutfit, ...]
    funnel: Funnel
    keeps_single_items: bool
    titles_needed: bool = True
    splits: tuple[Split, ...] = ()


_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def known_price(value: object) -> float | None:
    """A price from a number or a text such as ``"$1,299.00"``; None where it is unknown (empty, -1, no number).

    In a text the last ``.`` or ``,`` marks decimals if one or two digits follow it; others group thousands.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return float(value) if math.isfinite(value) and value >= 0 else None
    text = str(value).strip()
    found = _NUMBER.search(text)
    if found is None or text.startswith("-"):
        return None
    whole, decimals = found.group(), ""
    if split := re.fullmatch(r"(.*)[.,](\d{1,2})", whole):
        whole, decimals = split.groups()
    return float(f"{re.sub('[.,]', '', whole)}.{decimals or 0}")
