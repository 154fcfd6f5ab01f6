"""The lexicon: every kind of garment that people wear, its names and what is known of it; finds kinds in free text."""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from coordi.errors import DataError
from coordi.types import GARMENT_CATEGORIES, GarmentCategory

COLUMNS = (
    "kind", "category", "parents", "words", "formality", "warmth", "seasons", "purposes", "tradition", "for",
    "materials",
)  # fmt: skip
OWN_TABLE = "COORDI_LEXICON"
"""Environment variable with the path of a user's own table."""
UNDERWEAR: Literal["none"] = "none"
"""Category, in the tables, of what is worn and belongs to no outfit category."""

SEASONS = ("spring", "summer", "autumn", "winter")
PEOPLE = ("women", "men", "girls", "boys", "children", "baby", "female", "male")
"""Whom a garment is made for; ``female`` and ``male`` say nothing of age."""
SEASONS_OF_WARMTH = (("summer",), ("spring", "summer"), ("spring", "autumn"), ("autumn", "winter"), ("winter",))
"""By warmth, when a garment is worn that names no seasons."""
_WARMTHS = tuple(map(str, range(len(SEASONS_OF_WARMTH))))
_NOT_LETTERS = re.compile(r"[^a-z]+")
# Combining marks of Latin, Greek, Cyrillic, Hebrew and Arabic, and those of no script.
_ACCENTS = re.compile(
    r"[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]"
)
_APOSTROPHE = re.compile(r"['’`]")
_ASIDE = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_PATH = re.compile(r"\s*[>»›]\s*")
# What follows one of these says what comes with a garment, or what it is made of, not what it is.
_BREAK = re.compile(r"[,;:|+&•–—]|\s[-/]\s")
_BREAK_WORDS = frozenset(
    {",", "with", "w", "in", "for", "by", "from", "and", "featuring", "including", "plus", "without"}
)
# A garment's name that describes another one: "short sleeve", "boot cut", "tie front", "dress code", "cap sleeve".
_PARTS = frozenset({
    "sleeve", "sleeves", "sleeved", "shoulder", "shoulders", "heel", "heels", "heeled", "neck", "neckline", "necked",
    "front", "back", "collar", "collared", "toe", "hem", "waist", "waisted", "cut", "fit", "leg", "legged", "style",
    "print", "printed", "detail", "length", "straps", "code", "up", "knit", "dye", "dyed", "dial",
})  # fmt: skip
# Kinds by themselves, materials behind a garment: "dress corduroy", "earrings pearl".
_MATERIALS = frozenset({"pearl", "pearls", "corduroy"})
# What is kept, cleaned or made of a garment, and is none.
_OBJECTS = frozenset({
    "binder", "box", "boxes", "brush", "cleaner", "hanger", "hangers", "hook", "hooks", "horn", "organiser",
    "organizer", "polish", "rack", "racks", "storage", "stretcher", "tree", "trees",
})  # fmt: skip
# The regular singular of these plurals is another word: a material, an adjective, a drink.
_NO_SINGULAR = frozenset({
    "basics", "blacks", "blues", "bottoms", "boxers", "braces", "colours", "combats", "cords", "denims",
    "fatigues", "flannels", "glasses", "greens", "hipsters", "khakis", "leathers", "loungers", "overalls",
    "racers", "readers", "runners", "scrubs", "scuffs", "separates", "shades", "slides", "specs", "sweats",
    "tails", "thongs", "tights", "tops", "waders", "whites",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of garment; what it doesn't say itself it has from its parents, the first of which is the closest.

    Attributes:
        name: Its usual name in British English, lower case.
        category: None if it is worn and belongs to no outfit category (underwear).
        parents: Names of more general kinds.
        words: Other names of it.
        formality: Lowest and highest dress code that it meets, 0 (sport, beach, sleep) to 6 (white tie); see
            docs/lexicon.md. None if it says nothing of formality.
        warmth: 0 (for heat) to 4 (deep winter), or None.
        seasons: When it is worn: its own, else those of its warmth.
        purposes: What it is made for, such as "running" or "bridal".
        tradition: People whose national or religious dress it belongs to; "" for what is worn all over the world.
        audience: Whom it is made for, if its name alone says so.
        materials: What it is usually made of.
    """

    name: str
    category: GarmentCategory | None
    parents: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    formality: tuple[int, int] | None = None
    warmth: int | None = None
    seasons: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    tradition: str = ""
    audience: tuple[str, ...] = ()
    materials: tuple[str, ...] = ()


NOT_WEARABLE = Kind("", None)
"""What is found for a thing that nobody wears, such as a sofa or a ring binder."""


class Lexicon:
    """Kinds by name, and the words that name them."""

    def __init__(self, kinds: Mapping[str, Kind], not_wearable: Sequence[str] = ()) -> None:
        """Raises ``DataError`` if a word names two kinds."""
        self.kinds = MappingProxyType(dict(kinds))
        self._phrases: dict[str, Kind] = {}
        named = [(plain(phrase), kind) for kind in kinds.values() for phrase in (kind.name, *kind.words)]
        named += [(plain(phrase), NOT_WEARABLE) for phrase in not_wearable]
        for phrase, kind in named:
            self._add(phrase, kind)
        for phrase, kind in named:  # a regular plural or singular names a kind only if no kind has that very name
            for form in _other_forms(phrase):
                self._phrases.setdefault(form, kind)
        self._longest = max(phrase.count(" ") + 1 for phrase in self._phrases)

    @classmethod
    def load(cls, *own: Path) -> Lexicon:
        """The bundled lexicon with a user's own tables, whose kinds are added or replace those of the same name.

        Raises:
            DataError: If a table can't be read, lacks a column or has a value that isn't accepted; if a parent is
                unknown or parents are in a circle; if a word names two kinds.
        """
        folder = resources.files("coordi.style").joinpath("kinds")
        rows: dict[str, dict[str, str]] = {}
        bundled = (part for part in folder.iterdir() if part.name.endswith(".csv"))
        for path in (*sorted(bundled, key=lambda part: part.name), *own):
            rows |= read_rows(path, COLUMNS)
        builder = _Builder(rows)
        not_wearable = folder.joinpath("not_wearable.txt").read_text(encoding="utf-8").splitlines()
        return cls({name: builder.build(name) for name in rows}, [phrase for phrase in not_wearable if plain(phrase)])

    def find(self, text: str) -> Kind | None:
        """The kind that a title, a shop's path of categories or a few words name; None if no word is known.

        The head of the phrase decides: the last garment before a comma or before what follows "with", "in" or the like.
        Of a path ("Men > Shoes > Dress") the last part decides, read with the part above it ("dress shoes").
        """
        return self.match(text)[0]

    def match(self, text: str) -> tuple[Kind | None, str]:
        """The kind that ``find`` finds, and the words that name it, as ``plain`` writes them."""
        phrase = self._head(text)
        return self._phrases.get(phrase), phrase

    def named(self, phrase: str) -> Kind | None:
        """The kind whose very name, or plural, a phrase is, as ``plain`` writes it."""
        return self._phrases.get(phrase)

    def is_a(self, kind: Kind, general: Kind) -> bool:
        """Whether a kind has another among its parents and theirs."""
        return any(parent == general.name or self.is_a(self.kinds[parent], general) for parent in kind.parents)

    def _head(self, text: str) -> str:
        parts = [part for part in map(plain, _PATH.split(text)) if part]
        if len(parts) < 2:
            return self._head_of_title(text)
        for above, part in reversed(list(pairwise(("", *parts)))):
            both = f"{part} {above}"
            phrase = both if both in self._phrases else self._head_of_title(part)
            if phrase:
                return phrase
        return ""

    def _head_of_title(self, text: str) -> str:
        outside = _ASIDE.sub(" , ", text)
        return self._head_of_phrase(outside) or self._head_of_phrase(text.replace("(", " ").replace(")", " "))

    def _head_of_phrase(self, text: str) -> str:
        """The last kind of the first segment with one; a known phrase may hold a word that ends a segment."""
        words = [
            word for segment in _BREAK.split(fold(text)) for word in (*_NOT_LETTERS.sub(" ", segment).split(), ",")
        ]
        position, head = 0, ""
        while position < len(words):
            size = self._match(words, position)
            if not size and head and words[position] in _BREAK_WORDS:
                break
            if self._describes(words, position + size):
                size = 1  # what is described may begin a longer phrase later on: "merino polo" and "polo neck"
            elif size:
                phrase = " ".join(words[position : position + size])
                if self._phrases.get(head, NOT_WEARABLE) is NOT_WEARABLE or self._overrides(phrase):
                    head = phrase
            position += size or 1
        return head

    def _match(self, words: list[str], start: int) -> int:
        """Number of words of the longest phrase that starts here; 0 if none does."""
        for end in range(min(len(words), start + self._longest), start, -1):
            if " ".join(words[start:end]) in self._phrases:
                return end - start
        return 0

    def _overrides(self, phrase: str) -> bool:
        """Whether a phrase decides after a garment: "box" of "shoe box" does, "zip" of "jacket zip" doesn't."""
        if self._phrases[phrase] is NOT_WEARABLE:
            return any(
                word in _OBJECTS or self._phrases.get(word, NOT_WEARABLE) is not NOT_WEARABLE for word in phrase.split()
            )
        return self._phrases[phrase].name != "accessory" and phrase not in _MATERIALS

    def _describes(self, words: list[str], after: int) -> bool:
        return after < len(words) and words[after] in _PARTS

    def _add(self, phrase: str, kind: Kind) -> None:
        owner = self._phrases.setdefault(phrase, kind)
        if owner is not kind:
            names = " and ".join(
                f"'{part.name}'" if part.name else "a thing that nobody wears" for part in (owner, kind)
            )
            raise DataError(f"the lexicon gives '{phrase}' to {names}; leave it with one of them")


@cache
def default_lexicon() -> Lexicon:
    """The lexicon that comes with coordi, with the user's own table where ``COORDI_LEXICON`` names one."""
    return Lexicon.load(*own_tables())


def own_tables() -> tuple[Path, ...]:
    """The user's own tables."""
    own = os.environ.get(OWN_TABLE)
    return (Path(own),) if own else ()


def plain(text: str) -> str:
    """Text as words of the lexicon are compared: lower case, without accents, letters and spaces alone."""
    return _NOT_LETTERS.sub(" ", fold(text)).strip()


def fold(text: str) -> str:
    """Text in lower case, without accents and apostrophes; of Turkish i and ı both are i.

    Marks that are letters of their script, such as the vowel signs of Devanagari and the dots of kana, stay.
    """
    letters = text.casefold()
    if not letters.isascii():
        parts = unicodedata.normalize("NFKD", letters.replace("ı", "i"))
        letters = unicodedata.normalize("NFC", _ACCENTS.sub("", parts))
    return _APOSTROPHE.sub("", letters)


def _other_forms(phrase: str) -> Iterator[str]:
    """Regular plurals of a singular and the singular of a plural."""
    start, _, word = phrase.rpartition(" ")
    start += " " if start else ""
    if word.endswith(("ss", "sh", "ch", "x", "z")):
        yield f"{start}{word}es"
    elif word.endswith("ies"):
        yield f"{start}{word[:-3]}y"
    elif word.endswith("s"):
        if word not in _NO_SINGULAR:
            yield start + (word[:-2] if word.endswith(("sses", "shes", "ches", "xes")) else word[:-1])
    elif word.endswith("f") and not word.endswith("ff"):
        yield f"{start}{word[:-1]}ves"
    elif word.endswith("y") and word[-2:-1] not in "aeiou":
        yield f"{start}{word[:-1]}ies"
    else:
        yield f"{start}{word}s"


def read_rows(
    path: Path | Traversable, columns: Sequence[str], key: str = "kind"
) -> Iterator[tuple[str, dict[str, str]]]:
    """Names of a table's rows, which are in the column ``key``, each with its cells; ``where`` is its place for errors.

    Raises:
        DataError: If the table can't be read, has other columns, or a row lacks its name or repeats one.
    """
    try:
        reader = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
        given = reader.fieldnames or ()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the lexicon '{path}' can't be read ({error}); give a CSV file in UTF-8") from error
    unknown = [name for name in given if name not in columns]
    if key not in given or unknown:
        what = f"the columns {', '.join(unknown)}" if unknown else f"no column '{key}'"
        raise DataError(f"the lexicon '{path}' has {what}; accepted are {', '.join(columns)}, of which {key} is needed")
    own: set[str] = set()
    for row in reader:
        where = f"line {reader.line_num} of the lexicon '{path}'"
        if None in row:
            raise DataError(f"{where} has more cells than columns; quote a cell with a comma in it")
        cells = {name: (row.get(name) or "").strip() for name in columns}
        name = plain(cells[key].split("|")[0])
        if not name:
            raise DataError(f"{where} has no {key}; write its name in letters from a to z")
        if name in own:
            raise DataError(f"{where} has '{name}' for the second time; leave it in one line")
        own.add(name)
        yield name, {**cells, "where": where}


class _Builder:
    """Makes kinds of tables' rows: an empty cell has the value of the first parent with one."""

    def __init__(self, rows: Mapping[str, Mapping[str, str]]) -> None:
        self._rows = rows
        self.kinds: dict[str, Kind] = {}

    def build(self, name: str, children: tuple[str, ...] = ()) -> Kind:
        """The kind of a name, after its parents."""
        if name in self.kinds:
            return self.kinds[name]
        cells = self._rows[name]
        if name in children:
            circle = " > ".join((*children[children.index(name) :], name))
            raise DataError(f"{cells['where']} makes a circle of parents, {circle}; remove one of them")
        parents = []
        for parent in map(plain, list_cell(cells["parents"])):
            if parent not in self._rows:
                raise DataError(f"{cells['where']} gives '{name}' the parent '{parent}', which is no kind; add it")
            parents.append(self.build(parent, (*children, name)))
        self.kinds[name] = kind = self._kind(name, cells, parents)
        return kind

    def _kind(self, name: str, cells: Mapping[str, str], parents: list[Kind]) -> Kind:
        where = cells["where"]
        if not cells["category"] and not parents:
            raise DataError(f"{where} gives '{name}' neither a category nor a parent; give it one")
        warmth = warmth_cell(cells["warmth"], where)
        own: dict[str, Any] = {
            "formality": range_cell(cells["formality"], where),
            "warmth": warmth,
            "seasons": seasons_cell(cells["seasons"], where) or (() if warmth is None else SEASONS_OF_WARMTH[warmth]),
            "purposes": list_cell(cells["purposes"]),
            "tradition": cells["tradition"],
            "audience": whom_cell(cells["for"], where),
            "materials": list_cell(cells["materials"]),
        }
        for column, value in own.items():
            if value in (None, (), ""):
                given = (getattr(parent, column) for parent in parents)
                own[column] = next((inherited for inherited in given if inherited not in (None, (), "")), value)
        return Kind(
            name,
            _category(cells["category"], where) if cells["category"] else parents[0].category,
            tuple(parent.name for parent in parents),
            tuple(filter(None, map(plain, list_cell(cells["words"])))),
            **own,
        )


def list_cell(cell: str) -> tuple[str, ...]:
    """Parts of a cell that are separated by ``|``."""
    return tuple(part.strip() for part in cell.split("|") if part.strip())


def _category(cell: str, where: str) -> GarmentCategory | None:
    if cell == UNDERWEAR:
        return None
    if cell not in GARMENT_CATEGORIES:
        raise DataError(
            f"{where} has the category '{cell}'; accepted are {', '.join((*GARMENT_CATEGORIES, UNDERWEAR))}"
        )
    return cell


def seasons_cell(cell: str, where: str) -> tuple[str, ...]:
    """Seasons of a cell."""
    return _accepted(list_cell(cell), SEASONS, "season", where)


def whom_cell(cell: str, where: str) -> tuple[str, ...]:
    """Words for people of a cell."""
    return _accepted(list_cell(cell), PEOPLE, "for", where)


def _accepted(values: tuple[str, ...], accepted: Sequence[str], column: str, where: str) -> tuple[str, ...]:
    for value in values:
        if value not in accepted:
            raise DataError(f"{where} has the {column} '{value}'; accepted are {', '.join(accepted)}")
    return values


def range_cell(cell: str, where: str) -> tuple[int, int] | None:
    """Range of formality such as ``1-3``; None for an empty cell."""
    if not cell:
        return None
    match = re.fullmatch(r"([0-6])-([0-6])", cell)
    if match is None or match[1] > match[2]:
        raise DataError(f"{where} has the formality '{cell}'; accepted is a range from 0-0 to 6-6, such as 1-3")
    return int(match[1]), int(match[2])


def warmth_cell(cell: str, where: str) -> int | None:
    """Warmth from 0 to 4; None for an empty cell."""
    if cell and cell not in _WARMTHS:
        raise DataError(f"{where} has the warmth '{cell}'; accepted are {', '.join(_WARMTHS)}")
    return int(cell) if cell else None
