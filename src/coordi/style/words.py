"""What colours, patterns, materials and describing words say of a garment: tables, and a finder of their words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from coordi.errors import DataError
from coordi.style.lexicon import fold, list_cell, plain, range_cell, read_rows, warmth_cell

FORMALITIES = ("sport", "casual", "smart casual", "business", "cocktail", "black tie", "ceremonial")
"""Names of the dress codes 0 to 6; docs/lexicon.md says what each includes."""

_Value = TypeVar("_Value")
# What follows these words, up to a comma, describes something else ("dress with leather belt"), unless it is a pattern.
_BESIDE = re.compile(r"\b(?:with|w|featuring|including|plus|without|over|under)\b[^,;|()]*")
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_PATTERN = re.compile(r"\b(?:prints?|printed|patterns?|motifs?|stripes?|checks?|dots?|embroidery)\b")


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour: its family, whether it is neutral, and the colours that it clashes with, as most guides say."""

    name: str
    words: tuple[str, ...]
    family: str
    is_neutral: bool
    clashes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern: how bold it is, 0 (plain) to 3 (loud), and the patterns that it is commonly worn with."""

    name: str
    words: tuple[str, ...]
    boldness: int
    mixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """A material: the steps by which it moves a kind's formality, -2 to 2, and its warmth, 0 to 4 or None."""

    name: str
    words: tuple[str, ...]
    dressy: int
    warmth: int | None


@dataclass(frozen=True, slots=True)
class Describing:
    """Words that describe a garment ("formal", "beach"), and what they say of it; see ``lexicon.Kind`` for scales."""

    name: str
    words: tuple[str, ...]
    formality: tuple[int, int] | None
    warmth: int | None
    seasons: tuple[str, ...]
    purposes: tuple[str, ...]
    audience: tuple[str, ...]


class _Entry(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def words(self) -> tuple[str, ...]: ...


_Row = TypeVar("_Row", bound=_Entry)


class Phrases(Generic[_Value]):
    """Finds phrases in a text: the longest at each place, from left to right, none within another."""

    def __init__(self, values: Mapping[str, _Value]) -> None:
        """Values by phrase; of phrases that differ in case, accents or signs alone the last counts."""
        self._values = {" ".join(words_of(phrase)): value for phrase, value in values.items()}
        self._sizes: dict[str, int] = {}  # by first word, words of the longest phrase
        for phrase in self._values:
            first, size = phrase.partition(" ")[0], phrase.count(" ") + 1
            self._sizes[first] = max(size, self._sizes.get(first, 0))

    def values_in(self, text: str) -> list[_Value]:
        """Values of the phrases in a text, in its order."""
        words, values, position = words_of(text), [], 0
        while position < len(words):
            size = self._sizes.get(words[position], 0)
            while size and " ".join(words[position : position + size]) not in self._values:
                size -= 1
            if size:
                values.append(self._values[" ".join(words[position : position + size])])
            position += size or 1
        return values


@dataclass(frozen=True, slots=True)
class StyleTables:
    """Rows by name; words name one row of a table."""

    colours: Mapping[str, Colour]
    patterns: Mapping[str, Pattern]
    materials: Mapping[str, Material]
    describing: Mapping[str, Describing]

    @classmethod
    def load(cls, folder: Path | Traversable) -> StyleTables:
        """Read the four tables of a folder.

        Raises:
            DataError: If a table can't be read, a value isn't accepted, a word is given twice, or a colour clashes or
                a pattern mixes with what isn't in its table.
        """
        colours = _table(folder / "colours.csv", "colour", ("family", "neutral", "clashes"), _colour)
        patterns = _table(folder / "patterns.csv", "pattern", ("boldness", "mixes"), _pattern)
        _check_names(folder / "colours.csv", colours, {row.name: row.clashes for row in colours.values()})
        _check_names(folder / "patterns.csv", patterns, {row.name: row.mixes for row in patterns.values()})
        materials = _table(folder / "materials.csv", "material", ("dressy", "warmth"), _material)
        says = ("formality", "warmth", "seasons", "purposes", "for")
        return cls(colours, patterns, materials, _table(folder / "words.csv", "words", says, _describing))


@cache
def style_tables() -> StyleTables:
    """The tables that come with coordi."""
    return StyleTables.load(resources.files("coordi.style").joinpath("tables"))


def phrases_of(rows: Iterable[_Row]) -> Phrases[_Row]:
    """Finds rows by their names and words."""
    return Phrases({word: row for row in rows for word in (row.name, *row.words)})


def words_of(text: str) -> list[str]:
    """Words of a text for comparing: lower case, without accents, split at everything but letters and digits."""
    return _BETWEEN_WORDS.sub(" ", fold(text)).split()


def own_words(title: str, kind_words: str = "") -> str:
    """The words of a title that describe the garment itself, without those that name its kind.

    What follows "with" is left out up to a comma, unless it names a pattern ("with floral print").
    """
    text = _BESIDE.sub(lambda beside: beside[0] if _PATTERN.search(beside[0]) else " ", title.casefold())
    words = f" {' '.join(words_of(text))} "
    before, named, after = words.rpartition(f" {kind_words} ") if kind_words else (words, "", "")
    return f"{before} {after}".strip() if named else words.strip()


def _table(
    path: Path | Traversable, key: str, columns: tuple[str, ...], row_of: Callable[[str, Mapping[str, str]], _Row]
) -> Mapping[str, _Row]:
    accepted = (key, *columns) if key == "words" else (key, *columns, "words")
    rows = {name: row_of(name, cells) for name, cells in read_rows(path, accepted, key)}
    owners: dict[str, str] = {}
    for row in rows.values():
        for word in dict.fromkeys((row.name, *row.words)):
            owner = owners.setdefault(word, row.name)
            if owner != row.name:
                raise DataError(f"the table '{path}' gives '{word}' to '{owner}' and '{row.name}'; leave it with one")
    return MappingProxyType(rows)


def _check_names(path: Path | Traversable, rows: Mapping[str, object], named: Mapping[str, tuple[str, ...]]) -> None:
    for name, others in named.items():
        for other in others:
            if other not in rows:
                raise DataError(f"the table '{path}' gives '{name}' the unknown '{other}'; accepted are its own names")


def _colour(name: str, cells: Mapping[str, str]) -> Colour:
    is_neutral = _number(cells, "neutral", {"": 0, "yes": 1}) == 1
    return Colour(name, _words(cells), cells["family"], is_neutral, list_cell(cells["clashes"]))


def _pattern(name: str, cells: Mapping[str, str]) -> Pattern:
    boldness = _number(cells, "boldness", {str(number): number for number in range(4)})
    return Pattern(name, _words(cells), boldness, list_cell(cells["mixes"]))


def _material(name: str, cells: Mapping[str, str]) -> Material:
    dressy = _number(cells, "dressy", {"": 0, **{str(number): number for number in range(-2, 3)}})
    return Material(name, _words(cells), dressy, warmth_cell(cells["warmth"], cells["where"]))


def _describing(name: str, cells: Mapping[str, str]) -> Describing:
    return Describing(
        name,
        _words(cells),
        range_cell(cells["formality"], cells["where"]),
        warmth_cell(cells["warmth"], cells["where"]),
        list_cell(cells["seasons"]),
        list_cell(cells["purposes"]),
        list_cell(cells["for"]),
    )


def _words(cells: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(map(plain, list_cell(cells["words"])))


def _number(cells: Mapping[str, str], column: str, accepted: Mapping[str, int]) -> int:
    if cells[column] not in accepted:
        names = ", ".join(name or "nothing" for name in accepted)
        raise DataError(f"{cells['where']} has the {column} '{cells[column]}'; accepted are {names}")
    return accepted[cells[column]]
