"""What colours, patterns, materials and describing words say of a garment: tables, and a finder of their words."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from coordi.errors import DataError
from coordi.style.lexicon import (
    default_lexicon,
    fold,
    list_cell,
    own_tables,
    plain,
    range_cell,
    read_rows,
    seasons_cell,
    warmth_cell,
    whom_cell,
)

FORMALITIES = ("sport", "casual", "smart casual", "business", "cocktail", "black tie", "ceremonial")
"""Names of the dress codes 0 to 6; docs/lexicon.md says what each includes."""

_Value = TypeVar("_Value")
# What follows one of these names another thing, or a part ("dress with leather belt"), unless it is a pattern.
_BESIDE = re.compile(r"\b(?:with|featuring|including)\b|\bw/")
_BREAK = re.compile(r"[,;|+&()\[\]]|\s[-/]\s|\band\b")
_PARTS = re.compile(
    r"\b(?:buttons?|collar|cuffs?|details?|edging|hardware|insoles?|laces|lining|piping|pockets?|seams?|soles?|stitch\w*|"
    r"straps?|tassels?|trim\w*|zips?|zippers?)\b"
)
# "Suede effect" is no suede, and "without pattern" says of no pattern.
_DENIED = re.compile(r"\b\w+[ -](?:free|like|effect|look)\b|\b(?:not for|not|non|without)[ -]\w+")
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
        return [value for _, value in self.phrases_in(text)]

    def phrases_in(self, text: str) -> list[tuple[str, _Value]]:
        """The phrases in a text with their values, in its order."""
        return [(phrase, self._values[phrase]) for phrase in self._parts(text) if phrase in self._values]

    def _parts(self, text: str) -> Iterator[str]:
        """The phrases and the other words of a text, in its order."""
        words, position = words_of(text), 0
        while position < len(words):
            size = self._sizes.get(words[position], 0)
            while size and " ".join(words[position : position + size]) not in self._values:
                size -= 1
            yield " ".join(words[position : position + (size or 1)])
            position += size or 1


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


def by_word(rows: Iterable[_Row]) -> dict[str, _Row]:
    """Rows by their names and words."""
    return {word: row for row in rows for word in (row.name, *row.words)}


def dress_codes(names: Sequence[str]) -> tuple[int, int]:
    """Numbers of the lowest and the highest of a range's names in ``FORMALITIES``."""
    return FORMALITIES.index(names[0]), FORMALITIES.index(names[-1])


def style_identity() -> str:
    """SHA-256 of the tables of kinds, words and languages, a user's own included: facts differ where it does."""
    package = resources.files("coordi.style")
    files = [part for name in ("kinds", "tables", "languages") for part in package.joinpath(name).iterdir()]
    contents = [part.read_bytes() for part in sorted(files, key=lambda part: part.name)]
    return hashlib.sha256(b"\0".join([*contents, *(path.read_bytes() for path in own_tables())])).hexdigest()


def words_of(text: str) -> list[str]:
    """Words of a text for comparing: lower case, without accents, split at everything but letters and digits."""
    letters = fold(text)
    if letters.isascii():
        return _BETWEEN_WORDS.sub(" ", letters).split()
    # A mark such as a vowel sign of Devanagari is part of its word; a format character joins letters.
    kinds = ((letter, unicodedata.category(letter)) for letter in letters)
    return "".join(
        letter if letter.isalnum() or kind[0] == "M" else "" if kind == "Cf" else " " for letter, kind in kinds
    ).split()


def stated(text: str) -> str:
    """A text in lower case without what it denies or imitates: "not black", "suede effect"."""
    return _DENIED.sub(" ", text.casefold())


def own_words(title: str, kind_words: str = "") -> str:
    """The words of a title that describe the garment itself, without the words that name its kind, if they are given.

    Parts that name another garment ("white shirt, black tie"), follow "with" or name a part ("red lining") are left
    out, unless they name a pattern ("with floral print").
    """
    parts = [part for part in _BREAK.split(stated(title)) if part.strip()]
    kinds = [default_lexicon().match(part)[1] for part in parts] if len(parts) > 1 else []
    head = next((number for number, words in enumerate(kinds) if words), 0)
    own = []
    for number, part in enumerate(parts):
        before, *beside = _BESIDE.split(part)
        if number == head or not (kinds[number] or _PARTS.search(part)):
            own.append(before)
        own += [words for words in beside if _PATTERN.search(words)]
    text = f" {' '.join(words_of(' '.join(own)))} "
    start, named, after = text.rpartition(f" {kind_words} ") if kind_words else (text, "", "")
    return f"{start} {after}".strip() if named else text.strip()


def replaced(text: str, phrase: str, by: str) -> str:
    """A text with other words for the first place of a phrase, whatever its case and the signs between its words."""
    pattern = r"[\W_]+".join(map(re.escape, phrase.split()))
    return " ".join(re.sub(rf"(?<!\w){pattern}(?!\w)", by, text, count=1, flags=re.IGNORECASE).split())


@cache
def proper_names() -> tuple[str, ...]:
    """Phrases that hold words of colours, materials or people and say none of them, such as names of brands."""
    lines = resources.files("coordi.style").joinpath("tables", "names.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if not line.startswith("#"))


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
        seasons_cell(cells["seasons"], cells["where"]),
        list_cell(cells["purposes"]),
        whom_cell(cells["for"], cells["where"]),
    )


def _words(cells: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(map(plain, list_cell(cells["words"])))


def _number(cells: Mapping[str, str], column: str, accepted: Mapping[str, int]) -> int:
    if cells[column] not in accepted:
        names = ", ".join(name or "nothing" for name in accepted)
        raise DataError(f"{cells['where']} has the {column} '{cells[column]}'; accepted are {names}")
    return accepted[cells[column]]
