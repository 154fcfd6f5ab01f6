"""What readers hand to cleaning: a source's own items and outfits, before anything is judged."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from coordi.data.funnel import Funnel
from coordi.domain import NO_EXTRA, Split, WornCategory

MIN_ITEMS = 2
"""Fewest worn items of an outfit: two, because "do these two go together?" is the smallest question coordi answers,
and a shop's own outfits are often a shirt and trousers. One item has no question."""


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


def title_key(item: SourceItem) -> str:
    """What makes two items twins: their title, whatever its case; an item without one is like no other."""
    return item.title.casefold() or f"\0{item.id}"


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Something wrong with one row or photo, so that it can be found and mended.

    Attributes:
        reason: In a user's words, the same for every such row, so that they can be counted.
        item_id: Empty where the row has none.
        line: Line (CSV, JSON Lines) or row number (Parquet), from 1; None for what is no row of a table.
        value: What was found there; empty where the reason says it all.
        kept: Whether the item is kept, without what is wrong.
    """

    reason: str
    item_id: str = ""
    line: int | None = None
    value: str = ""
    kept: bool = False


@dataclass(frozen=True, slots=True)
class SourceOutfit:
    """An outfit as its source gives it; without a split it gets one after cleaning."""

    id: str
    item_ids: tuple[str, ...]
    split: Split | None
    title: str = ""


@dataclass(frozen=True, slots=True)
class SourceCompatibility:
    """A compatibility question as a release's file asks it.

    Attributes:
        item_ids: In the file's order; an id that no item has is a name that the file alone knows.
        outfit_id: The set that a positive is of; a negative has that of the positive it was made for where the file
            lets one know, else a name of its own (``line-12``).
    """

    item_ids: tuple[str, ...]
    compatible: bool
    outfit_id: str


@dataclass(frozen=True, slots=True)
class SourceBlank:
    """A fill-in-the-blank question as a release's file asks it.

    Attributes:
        answer: Position of the true candidate; None if the file doesn't tell.
        outfit_id: The set that the items are of; a name of its own (``entry-12``) if they are of several.
    """

    item_ids: tuple[str, ...]
    candidates: tuple[str, ...]
    answer: int | None
    outfit_id: str


@dataclass(frozen=True, slots=True)
class SourceQuestions:
    """The question files of one split that belong together, before anything is judged.

    Attributes:
        name: The protocol's name: ``release``, or ``release-`` and what sets a second file apart.
    """

    name: str
    split: Split
    compatibility: tuple[SourceCompatibility, ...] = ()
    blanks: tuple[SourceBlank, ...] = ()


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
        questions: The question files that came with it.
        lines: By item id, the line or row of its table; empty for what isn't a table.
        problems: Of a table and of a folder of photos, one for each row or file with something wrong in it.
    """

    name: str
    layout: str
    items: tuple[SourceItem, ...]
    outfits: tuple[SourceOutfit, ...]
    funnel: Funnel
    keeps_single_items: bool
    titles_needed: bool = True
    splits: tuple[Split, ...] = ()
    questions: tuple[SourceQuestions, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[RowProblem, ...] = ()


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
