"""What suits an occasion or the weather: two tables of guides, the words that name them, and what breaks them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType

from coordi.errors import DataError
from coordi.style.lexicon import SEASONS, default_lexicon, list_cell, range_cell, read_rows
from coordi.style.words import FORMALITIES, Phrases, by_word, dress_codes, style_tables, words_of
from coordi.types import GARMENT_CATEGORIES, Fact, FactName, Facts, FactSource, GarmentCategory

MOST_OCCASIONS = 3
COLDEST, HOTTEST = -50.0, 50.0
"""Temperatures that are accepted, in degrees Celsius."""
_COLUMNS = ("words", "formality", "temperature", "band", "welcome", "out", "wants", "source")
_FACTS: Mapping[str, FactName] = {
    "kind": "kind", "category": "category", "colour": "colour", "pattern": "pattern", "material": "material",
    "formality": "formality", "season": "seasons", "purpose": "purposes", "tradition": "tradition",
}  # fmt: skip
_NEVER_ABSENT = ("seasons", "formality")  # others are absent where there is none, such as a purpose
_DENIALS = ("not", "unless")
_OF_KIND: FactSource = "kind"
_FILLERS = (
    "a", "an", "and", "at", "attire", "code", "day", "dress", "event", "for", "in", "is", "it", "its", "look", "my",
    "of", "on", "or", "outfit", "the", "to", "wear", "weather", "with", "and a", "에", "에서", "날", "날씨", "복장",
)  # fmt: skip
_DEGREES = re.compile(
    r"(?P<number>[-+−–]?\d+(?:[.,]\d+)?)\s*(?:°|º|degrees?|deg\.?|도)?\s*"
    r"(?P<unit>celsius|fahrenheit|[cf℃℉](?!\w))?",
    re.IGNORECASE,
)
_SMART = FORMALITIES.index("smart casual")
_Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Condition:
    """What is required of one fact, such as ``season:summer``; ``value`` is empty for any value. One that is denied
    needs a known season or dress code ("not season:summer") unless it ``may_be_unknown`` ("unless season:summer").
    """

    fact: FactName
    value: str
    is_denied: bool
    may_be_unknown: bool


Term = tuple[Condition, ...]
"""Conditions that an item has to meet together."""


@dataclass(frozen=True, slots=True)
class Guide:
    """What an occasion, a kind of weather or a person's own wish asks for.

    Attributes:
        rule: The field of ``recommend.rules.Rules`` that it belongs to: ``occasion``, ``weather`` or one of wishes.
        words: Other names, in English and Korean.
        formality: The lowest and the highest dress code that is worn; None for weather.
        temperature: Degrees Celsius at which it can be, the upper end excluded; None for any.
        is_band: Whether a temperature within its range implies it.
        welcome: What suits it, whatever its dress code.
        out: What isn't worn.
        wants: Categories that an outfit should have then.
        source: Kind of the guides that say so.
        choice: Guides with the same one are alternatives, of which an item has to suit one; empty for none.
    """

    rule: str
    name: str
    words: tuple[str, ...]
    formality: tuple[int, int] | None
    temperature: _Range | None
    is_band: bool
    welcome: tuple[Term, ...]
    out: tuple[Term, ...]
    wants: tuple[GarmentCategory, ...]
    source: str
    choice: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether an item suits a guide or breaks it, by a fact of the item."""

    fits: bool
    name: FactName
    fact: Fact


@dataclass(frozen=True, slots=True)
class Weather:
    """A temperature in degrees Celsius with the words for it ("46 F"), and guides that were named by words."""

    degrees: float | None
    in_words: str
    guides: tuple[Guide, ...]

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.in_words, *(guide.name for guide in self.guides))))


@dataclass(frozen=True, slots=True)
class GivesWay:
    """What isn't followed, since something else of the same wish contradicts it."""

    what: str
    to: str


@dataclass(frozen=True, slots=True)
class Brief:
    """The guides that count for a wish, occasions before weather.

    Attributes:
        guides: With the words for users, such as ``"8 C"`` for ``cold``; the strictest occasion is the first.
        formality: Dress codes that all occasions allow, or the strictest where they exclude each other.
    """

    guides: tuple[tuple[str, Guide], ...] = ()
    formality: tuple[int, int] | None = None
    gives_way: tuple[GivesWay, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """Names of its guides, which determine what suits it."""
        return tuple(guide.name for _, guide in self.guides)

    @property
    def wants(self) -> tuple[GarmentCategory, ...]:
        """Categories that an outfit should have."""
        return tuple(dict.fromkeys(category for _, guide in self.guides for category in guide.wants))

    def judgements(self, facts: Facts) -> dict[str, Judgement]:
        """By the name of a guide, whether an item suits it or breaks it; absent where its facts don't say.

        The dress code is that of the strictest occasion, and what that welcomes breaks no other occasion.
        """
        judgements: dict[str, Judgement] = {}
        is_welcome = False
        for position, (_, guide) in enumerate(self.guides):
            judgement = _judge(facts, guide, None if position else self.formality)
            if judgement is None or (is_welcome and guide.formality is not None and not judgement.fits):
                continue
            is_welcome = is_welcome or (not position and judgement.fits and judgement.name != "formality")
            judgements[guide.name] = judgement
        broken = {name for name, judgement in judgements.items() if not judgement.fits}
        met = {guide.choice for _, guide in self.guides if guide.choice and guide.name not in broken}
        for _, guide in self.guides:
            if guide.choice in met and guide.name in broken:
                del judgements[guide.name]
        return judgements


def _judge(facts: Facts, guide: Guide, formality: tuple[int, int] | None) -> Judgement | None:
    for terms, fits in ((guide.out, False), (guide.welcome, True)):
        for term in terms:
            if facts and all(_holds(condition, facts) for condition in term):
                given = [row for row in term if row.fact in facts]
                name = next(
                    (row.fact for row in given if not row.is_denied), given[0].fact if given else next(iter(facts))
                )
                return Judgement(fits, name, facts[name][0])
    if formality is None or "formality" not in facts:
        return None
    low, high = dress_codes(facts["formality"][0].values)
    if high < formality[0] or low > formality[1]:
        return Judgement(False, "formality", facts["formality"][0])
    # Dressy things go higher, too ("business to ceremonial"); of casual occasions both ends count.
    within = formality[0] <= low and (high <= formality[1] or formality[0] >= _SMART)
    return Judgement(True, "formality", facts["formality"][0]) if within else None


def _holds(condition: Condition, facts: Facts) -> bool:
    fact = next(iter(facts.get(condition.fact, ())), None)
    if fact is None:
        return condition.may_be_unknown
    return _has(condition.fact, condition.value, fact) is not condition.is_denied


def _has(name: FactName, value: str, fact: Fact) -> bool:
    if not value:
        return True
    if name == "formality":
        low, high = dress_codes(fact.values)
        return low <= FORMALITIES.index(value) <= high
    if name == "kind":
        return value in _with_parents(fact.values[0])
    if name == "colour":  # the main one
        return fact.values[0] == value
    # "Leather or suede" is usual for a kind: either is possible.
    return value in fact.values and not (name == "material" and fact.source == _OF_KIND and len(fact.values) > 1)


NO_BRIEF = Brief()


@cache
def _with_parents(name: str) -> frozenset[str]:
    """A kind's name with those of all its more general kinds."""
    kind = default_lexicon().kinds.get(name)
    parents = () if kind is None else kind.parents
    return frozenset({name}).union(*map(_with_parents, parents))


@cache
def occasions() -> Mapping[str, Guide]:
    """Occasions and dress codes by name."""
    return _load(resources.files("coordi.style").joinpath("occasions", "occasions.csv"), "occasion")


@cache
def weathers() -> Mapping[str, Guide]:
    """Bands of temperature, kinds of weather and seasons by name."""
    return _load(resources.files("coordi.style").joinpath("occasions", "weather.csv"), "weather")


def _load(path: Path | Traversable, key: str) -> Mapping[str, Guide]:
    guides = {name: _guide(key, name, cells) for name, cells in read_rows(path, (key, *_COLUMNS), key)}
    owners: dict[str, str] = {}
    for guide in guides.values():
        for word in (guide.name, *guide.words):
            owner = owners.setdefault(" ".join(words_of(word)), guide.name)
            if owner != guide.name:
                raise DataError(f"the table '{path}' gives '{word}' to '{owner}' and '{guide.name}'; leave it with one")
    return MappingProxyType(guides)


def _guide(rule: str, name: str, cells: Mapping[str, str]) -> Guide:
    where, (low, _, high) = cells["where"], cells["temperature"].partition("..")
    if not cells["source"]:
        raise DataError(f"{where} gives '{name}' no source; name the kind of guide that says so")
    wants = tuple(category for category in GARMENT_CATEGORIES if category in list_cell(cells["wants"]))
    if len(wants) < len(list_cell(cells["wants"])):
        raise DataError(f"{where} wants '{cells['wants']}'; accepted are {', '.join(GARMENT_CATEGORIES)}")
    return Guide(
        rule,
        name,
        list_cell(cells["words"]),
        range_cell(cells["formality"], where),
        (float(low), float(high)) if low else None,
        cells["band"] == "yes",
        tuple(_term(text, where) for text in list_cell(cells["welcome"])),
        tuple(_term(text, where) for text in list_cell(cells["out"])),
        wants,
        cells["source"],
    )


def _term(text: str, where: str) -> Term:
    """Conditions such as ``colour:white & category:dress & not tradition``."""
    conditions = []
    for part in text.split("&"):
        denial, _, after = part.strip().partition(" ")
        denial, words = (denial, after) if denial in _DENIALS else ("", part.strip())
        name, _, value = words.partition(":")
        if name not in _FACTS or (value and not _accepts(name, value)):
            raise DataError(
                f"{where} has '{part.strip()}'; accepted is FACT:VALUE, after 'not', 'unless' or neither, with a fact "
                f"of {', '.join(_FACTS)} and a value of the lexicon and its tables"
            )
        may_be_unknown = denial == "unless" or (denial == "not" and _FACTS[name] not in _NEVER_ABSENT)
        conditions.append(Condition(_FACTS[name], value, bool(denial), may_be_unknown))
    return tuple(conditions)


def _accepts(name: str, value: str) -> bool:
    kinds, tables = default_lexicon().kinds, style_tables()
    if name == "purpose":
        described = (row.purposes for row in tables.describing.values())
        return any(value in purposes for purposes in (*(kind.purposes for kind in kinds.values()), *described))
    accepted: Mapping[str, Container[str]] = {
        "kind": kinds, "category": GARMENT_CATEGORIES, "colour": tables.colours, "pattern": tables.patterns,
        "material": tables.materials, "formality": FORMALITIES, "season": SEASONS,
    }  # fmt: skip
    return value in accepted.get(name, ())


@cache
def _names(of: Callable[[], Mapping[str, Guide]]) -> Phrases[Guide | None]:
    words: dict[str, Guide | None] = dict.fromkeys(_FILLERS)
    return Phrases(words | by_word(of().values()))


def _guides_in(text: str, of: Callable[[], Mapping[str, Guide]], what: str) -> tuple[Guide, ...]:
    """The guides that a text names, each once; a ``DataError`` if it has other words too, or names none."""
    phrases = _names(of).phrases_in(text)
    understood = {word for phrase, _ in phrases for word in phrase.split()}
    unknown = " ".join(word for word in words_of(text) if word not in understood)
    guides = tuple(dict.fromkeys(guide for _, guide in phrases if guide is not None))
    if unknown or not guides:
        every = {" ".join(words_of(word)): row.name for word, row in by_word(of().values()).items()}
        near = [every[word] for word in difflib.get_close_matches(unknown, every, 3, 0.6)]
        hint = f"; nearest: {', '.join(dict.fromkeys(near))}" if near else ""
        raise DataError(f"no {what} '{unknown or text.strip()}'{hint}; accepted are {', '.join(of())}")
    return guides


@lru_cache(maxsize=1024)
def parse_occasion(text: str) -> tuple[Guide, ...]:
    """Occasions and dress codes that a user names ("black tie at the beach"), in the order of the text.

    Raises:
        DataError: If a word isn't known, with the nearest occasions; if there are more than ``MOST_OCCASIONS``.
    """
    guides = _guides_in(text, occasions, "occasion")
    if len(guides) > MOST_OCCASIONS:
        names = ", ".join(guide.name for guide in guides)
        raise DataError(f"{len(guides)} occasions at once ({names}); name {MOST_OCCASIONS} at most")
    return guides


@lru_cache(maxsize=1024)
def parse_weather(text: str) -> Weather:
    """Temperature, rain, wind, snow and season as a user types them: ``"8 C, rain"``, ``"46 F"``, ``"winter, windy"``.

    Raises:
        DataError: If the temperature has no unit, is out of range or there are two; if a word isn't known.
    """
    matches = list(_DEGREES.finditer(text))
    if len(matches) > 1:
        raise DataError(f"the weather '{text}' has {len(matches)} numbers; give one temperature, such as 8 C")
    degrees, in_words = _degrees(matches[0]) if matches else (None, "")
    words = _DEGREES.sub(" ", text)
    guides = _guides_in(words, weathers, "weather") if words_of(words) or not matches else ()
    return Weather(degrees, in_words, guides)


def _degrees(match: re.Match[str]) -> tuple[float, str]:
    number = float(re.sub("[−–]", "-", match["number"]).replace(",", "."))
    unit = {"℃": "C", "℉": "F"}.get(match["unit"] or "", (match["unit"] or "")[:1].upper())
    written = match[0].strip()
    if not unit:
        raise DataError(f"the temperature '{written}' has no unit; write {number:g} C or {number:g} F")
    degrees = number if unit == "C" else (number - 32) / 1.8
    if not COLDEST <= degrees <= HOTTEST:
        low, high = (f"{end:g} C ({end * 1.8 + 32:g} F)" for end in (COLDEST, HOTTEST))
        raise DataError(f"the temperature is {number:g} {unit}; accepted are {low} to {high}")
    return degrees, f"{number:g} {unit}"


@lru_cache(maxsize=1024)
def brief_of(occasion: str, weather: str) -> Brief:
    """What counts of an occasion and weather, either of which may be empty, and what gives way.

    Of occasions whose dress codes exclude each other the strictest counts. A season or snow gives way to a temperature
    at which it can't be.
    """
    named = sorted(parse_occasion(occasion) if occasion else (), key=lambda guide: guide.formality or (0, 0))[::-1]
    formality, gives_way = _common_formality(named)
    sky = parse_weather(weather) if weather else Weather(None, "", ())
    guides = [(guide.name, guide) for guide in named]
    if sky.degrees is not None:
        # The hottest temperature that is accepted is in the hottest band.
        band = next(row for row in weathers().values() if row.is_band and _within(min(sky.degrees, HOTTEST - 1), row))
        guides.append((sky.in_words, band))
    for guide in sky.guides:
        if sky.degrees is not None and not _within(sky.degrees, guide):
            gives_way.append(GivesWay(guide.name, sky.in_words))
        elif guide not in [row for _, row in guides]:
            guides.append((guide.name, guide))
    return Brief(tuple(guides), formality, tuple(gives_way))


def _common_formality(named: Sequence[Guide]) -> tuple[tuple[int, int] | None, list[GivesWay]]:
    common, gives_way = named[0].formality if named else None, []
    for guide in named[1:]:
        low, high = guide.formality or (0, len(FORMALITIES) - 1)
        if common is not None and max(common[0], low) <= min(common[1], high):
            common = max(common[0], low), min(common[1], high)
        else:
            gives_way.append(GivesWay(guide.name, named[0].name))
    return common, gives_way


def _within(degrees: float, guide: Guide) -> bool:
    return guide.temperature is None or guide.temperature[0] <= degrees < guide.temperature[1]
