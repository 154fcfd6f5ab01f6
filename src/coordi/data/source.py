"""The output of readers before cleaning: items, outfits, questions, row problems and the cleaning funnel."""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from coordi.types import FunnelRow, GarmentCategory, ReleaseQuestions, Split

Unit = Literal["items", "outfits"]
READ = "read"
_EXAMPLES = 5


class Funnel:
    """Collects funnel rows in the order in which steps are taken."""

    def __init__(self) -> None:
        self._left: dict[Unit, int] = {"items": 0, "outfits": 0}
        self._rows: list[FunnelRow] = []

    def read(self, unit: Unit, count: int) -> None:
        """Note that the source holds so many; the row's reason is ``"read"``."""
        self._left[unit] += count
        self._rows.append(FunnelRow(unit, READ, count, self._left[unit], dropped=False))

    def drop(self, unit: Unit, reason: str, cases: int | Sequence[str]) -> None:
        """Note that so many were left out; no case leaves no row. Cases by name are given as examples."""
        self._count(unit, reason, cases, dropped=True)

    def note(self, unit: Unit, reason: str, cases: int | Sequence[str]) -> None:
        """Note what was repaired or is missing in things that stay, as ``drop`` does."""
        self._count(unit, reason, cases, dropped=False)

    def _count(self, unit: Unit, reason: str, cases: int | Sequence[str], *, dropped: bool) -> None:
        count, examples = (cases, ()) if isinstance(cases, int) else (len(cases), cases)
        if count:
            self._left[unit] -= count * dropped
            reason = f"{reason} ({listed(examples)})" if examples else reason
            self._rows.append(FunnelRow(unit, reason, count, self._left[unit], dropped))

    @property
    def rows(self) -> tuple[FunnelRow, ...]:
        """Everything noted so far."""
        return tuple(self._rows)


def biggest_reasons(rows: Sequence[FunnelRow], unit: Unit, most: int = 2) -> str:
    """The reasons that left out most, as ``"118 items: no photo; 4 items: no title"``; for error messages."""
    dropped = sorted((row for row in rows if row.dropped and row.unit == unit), key=lambda row: -row.count)
    return "; ".join(f"{row.count} {unit}: {row.reason}" for row in dropped[:most]) or f"there were no {unit}"


def listed(cases: Iterable[str], most: int = _EXAMPLES) -> str:
    """The first few cases in words, so that they can be found and mended: ``"a, b and 4 more"``."""
    names = list(cases)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def fetched_name(address: str) -> str:
    """Name of the file, without a suffix, in which an address's photo is stored."""
    return hashlib.sha256(address.encode("utf-8", "surrogateescape")).hexdigest()[:32]


_WORD = re.compile(r"[^\W\d_]{3,}")
_CAMERA = re.compile(r"^(img|dsc|dscn|dscf|pxl|photo|image|foto|bild|screenshot|whatsapp|scan|pict?|untitled)$")
_LEVELS_OF_MARKUP = 3


class CleanTitle(NamedTuple):
    """A title and whether its encoding had to be repaired (``hermÃ¨s`` -> ``hermès``, ``&amp;`` -> ``&``)."""

    text: str
    repaired: bool


def clean_title(raw: str) -> CleanTitle:
    """Repair wrong encodings and left-over HTML entities, drop control characters, squeeze white space."""
    sound = raw
    for _ in range(_LEVELS_OF_MARKUP):
        sound = html.unescape(sound)
    if not sound.isascii():
        import ftfy  # its tables take a thirtieth of a short command's time

        sound = ftfy.fix_encoding(sound)
    visible = "".join(" " if unicodedata.category(letter).startswith("C") else letter for letter in sound)
    return CleanTitle(" ".join(unicodedata.normalize("NFC", visible).split()), sound != raw)


def title_of_file(stem: str) -> str:
    """Title that a photo's file name gives, ``"red_leather-boots 2"`` -> ``"red leather boots"``; ``""`` for a name
    that a camera or a program gave (``IMG_2041``, a hash).
    """
    pieces = [piece for piece in re.split(r"[\W_]+", stem) if piece]
    words = [piece for piece in pieces if _WORD.fullmatch(piece) and not _CAMERA.match(piece.lower())]
    if not words or all(not re.search(r"[aeiouy]", word.lower()) for word in words if word.isascii()):
        return ""
    return " ".join(piece for piece in pieces if piece.isalpha() and not _CAMERA.match(piece.lower()))


MIN_ITEMS = 2
"""Fewest worn items of an outfit: two, because "do these two go together?" is the smallest question coordi answers,
and a shop's own outfits are often a shirt and trousers. One item has no question."""


@dataclass(frozen=True, slots=True)
class SourceItem:
    """An item as its source gives it. ``category`` is ``""`` if nobody wears it, None if no text names it; ``image``
    may be missing, and is None if the source names none.
    """

    id: str
    title: str
    category: GarmentCategory | Literal[""] | None
    subcategory: str = ""
    image: Path | None = None
    why_no_photo: str = "no photo"
    price: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


def title_key(item: SourceItem) -> str:
    """The title without case, by which items are equal; an item without a title equals no other."""
    return item.title.casefold() or f"\0{item.id}"


def first_of_each_title(item_ids: Iterable[str], items: Mapping[str, SourceItem]) -> tuple[str, ...]:
    """The items, of several with one title the first."""
    first: dict[str, str] = {}
    for name in item_ids:
        first.setdefault(title_key(items[name]), name)
    return tuple(first.values())


def title_set(item_ids: Iterable[str], items: Mapping[str, SourceItem]) -> tuple[str, ...]:
    """The titles of an outfit, sorted: two outfits with the same titles are the same to a model that reads titles."""
    return tuple(sorted(title_key(items[name]) for name in item_ids))


def shuffled(item_ids: Sequence[str], generator: np.random.Generator) -> tuple[str, ...]:
    """The items in an order that the generator draws."""
    return tuple(item_ids[position] for position in generator.permutation(len(item_ids)))


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Something wrong with one row or photo; a ``usable`` item stays, without what is wrong. ``line`` is the line (CSV,
    JSON Lines) or row number (Parquet) from 1, None for what is no row of a table.
    """

    reason: str
    item_id: str = ""
    line: int | None = None
    value: str = ""
    usable: bool = False

    def as_json(self) -> dict[str, Any]:
        """The attributes for files, which call ``usable`` ``"kept"``."""
        values = asdict(self)
        values["kept"] = values.pop("usable")
        return values


@dataclass(frozen=True, slots=True)
class SourceOutfit:
    """An outfit as its source gives it; without a split it gets one after cleaning."""

    id: str
    item_ids: tuple[str, ...]
    split: Split | None
    title: str = ""


UNKNOWN_ANSWER = -1
"""``FitbQuestion.answer`` where a release's file doesn't say which candidate is right."""


@dataclass(frozen=True, slots=True)
class Source:
    """Everything that a reader reads; ids of items and of outfits are unique.

    Attributes:
        keeps_single_items: Whether an item that is in no outfit is of use (a catalogue) or not (a release).
        titles_needed: Whether the paper's filter asks for a title; a folder of photos has none.
        splits: Splits that the source has of its own; one that has no outfit left is an error.
        questions: As in its files: without ids, with names that the file alone knows, and groups as ``outfit_id``.
        lines: By item id, the line or row of its table; empty for what isn't a table.
        about: What was recognised of a table, in words.
    """

    name: str
    layout: str
    items: tuple[SourceItem, ...]
    outfits: tuple[SourceOutfit, ...]
    funnel: Funnel
    keeps_single_items: bool
    titles_needed: bool = True
    splits: tuple[Split, ...] = ()
    questions: tuple[ReleaseQuestions, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[RowProblem, ...] = ()
    about: str = ""
