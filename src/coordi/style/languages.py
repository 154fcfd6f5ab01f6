"""Shops' words of other languages as English ones, by the tables in ``languages``; which language a title is in.

The model, the lexicon and the style tables know English. A title is translated word by word, by simple means: endings
are cut, compounds and writing without spaces are split at words of the table, and the words are put in English order.
Words that no table has stay as they are.
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import resources
from types import MappingProxyType

from coordi.errors import DataError
from coordi.style.lexicon import NOT_WEARABLE, default_lexicon
from coordi.style.words import style_tables, words_of
from coordi.types import Item

OWN_LANGUAGE = "COORDI_LANGUAGE"
"""Environment variable with the code of the language that words and titles are in, where English has them too."""
LANGUAGE_COLUMNS = ("language", "lang", "locale", "contentlanguage")
ENGLISH = "en"

# Classes of a table's rows, in the order in which English has their words.
_ORDER = ("", "people", "shade", "colour", "pattern", "material", "word", "kind")
_WITH, _SMALL = "with", "small"
_CLASSES = (*_ORDER[1:], _WITH, _SMALL)
_SEGMENTS = re.compile(r"([,;:|+•()\[\]/&>»›【】（）、，]+|\s[-–—]\s)")
# Small words, and words and names of brands that titles in English have.
_ENGLISH_WORDS = """
a an and at by for from in is of on or out over per plus s set size the to w with
bata bebe comme complete donna eau femme flora garcon garcons homme klein lane linea maison moda nina noir oliver
poloshirt pour raye rossi rouge vernis vero west
"""
_ENGLISH_ONLY = frozenset(_ENGLISH_WORDS.split())
_LEAST_EVIDENCE = 4  # letters of a word that speaks for a language by its stem
_SURE_STEM = 6
_OF_STEM, _OF_SMALL = 0.75, 0.5
_LONGEST_VALUE = 120
_LONGEST_COMPOUND, _LONGEST_TEXT = 60, 500  # letters; of a text whose language is wanted
_LEAST_TEXTS = 5  # in a language, for others to be assumed in it
# Garments that their material or a quality names where nothing else does: "니트", "Imperméable enfant".
_ALONE = {"denim": "jeans", "knit": "sweater", "fleece": "fleece jacket", "waterproof": "raincoat"}


@dataclass(frozen=True, slots=True)
class _Grammar:
    """What is simple in a language's grammar.

    Attributes:
        name: The language in English.
        head_first: The garment comes before the words that describe it ("chemise blanche").
        endings: Cut from the end of a word while ``stem`` letters are left: the first that fits, or each in turn
            where ``repeated``.
        prefixes: Cut from its start once, such as an article that is written together with it.
        compounds: Words are joined ("Lederschuhe"); the last part is the garment.
        no_spaces: Words may be written without spaces.
        with_last: The word for "with" comes after what it names.
    """

    name: str
    head_first: bool = False
    endings: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    stem: int = 3
    repeated: bool = False
    compounds: bool = False
    no_spaces: bool = False
    with_last: bool = False


_GRAMMARS: Mapping[str, _Grammar] = {
    "de": _Grammar("German", endings=("en", "er", "es", "em", "e", "n", "s"), compounds=True, repeated=True),
    "fr": _Grammar("French", head_first=True, endings=("nes", "les", "es", "ne", "le", "s", "x", "e"), repeated=True),
    "es": _Grammar("Spanish", head_first=True, endings=("as", "os", "es", "a", "o", "e", "s")),
    "it": _Grammar("Italian", head_first=True, endings=("hi", "he", "a", "o", "e", "i")),
    "pt": _Grammar("Portuguese", head_first=True, endings=("as", "os", "es", "a", "o", "e", "s")),
    "tr": _Grammar("Turkish", endings=("lari", "leri", "lar", "ler", "si", "su", "i", "u"), repeated=True),
    "hi": _Grammar(
        "Hindi", endings=("ियाँ", "ियां", "ियों", "ों", "ें", "ां", "ाँ", "ा", "े", "ी", "ि", "ं"), stem=2, repeated=True,
        with_last=True,
    ),
    "ar": _Grammar(
        "Arabic", head_first=True, endings=("يات", "يه", "ات", "ين", "ه", "ي"), prefixes=("وال", "بال", "ال"), stem=3
    ),
    "ko": _Grammar("Korean", no_spaces=True, with_last=True),
    "ja": _Grammar("Japanese", no_spaces=True, with_last=True),
    "zh": _Grammar("Chinese", no_spaces=True),
}  # fmt: skip
LANGUAGES: Mapping[str, str] = {code: grammar.name for code, grammar in _GRAMMARS.items()}
"""English names of the languages whose words are known by their codes of ISO 639-1, English left out."""
_LATIN = ("de", "fr", "es", "it", "pt", "tr")
_KANA = re.compile(r"[\u3040-\u30ff\uff66-\uff9f]")
_SCRIPTS = (
    ("ko", re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")),
    ("ja", _KANA),
    ("zh", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
)
_LINKS = ("", "s", "n", "en", "es", "e")  # between the parts of a German compound
_SOFTENED = str.maketrans("bgd", "pkt")  # Turkish consonants before an ending: "etek", "eteği"
_APOSTROPHES = re.compile(r"(?<=\w)['’](?=\w)")
_LETTERS = str.maketrans({"ى": "ي", "ة": "ه", "ـ": "", "ँ": "ं", "़": ""})


@dataclass(frozen=True, slots=True)
class _Entry:
    what: str
    english: str


class WordTable:
    """The words of a language, with their English ones."""

    def __init__(self, code: str) -> None:
        """Read the table of a language; ``DataError`` if a class isn't accepted or a word is given twice."""
        self.grammar = _GRAMMARS[code]
        self._code = code
        self._exact = _rows_of(f"{code}.csv")
        self._shared: Mapping[str, _Entry] = _rows_of("international.csv") if code in _LATIN else {}
        self._exact = {**self._shared, **self._exact}
        self._stems: dict[str, _Entry] = {}
        for phrase, entry in self._exact.items():
            self._stems.setdefault(" ".join(map(self._stem, phrase.split())), entry)
        phrases = (*self._exact, *self._stems)
        self._longest = max(phrase.count(" ") + 1 for phrase in phrases)
        self._letters = max(map(len, phrases))
        self._parts = {word for phrase in self._exact for word in phrase.split()}
        self._firsts = {phrase.partition(" ")[0] for phrase in phrases if " " in phrase}

    def english(self, text: str) -> str:
        """A text with English for the words of the table, each part between commas and the like in English order."""
        parts = _SEGMENTS.split(text)
        return " ".join(
            "".join(self._part(part) if number % 2 == 0 else part for number, part in enumerate(parts)).split()
        )

    def evidence(self, words: Sequence[str], *, is_assumed: bool) -> tuple[float, float]:
        """How much words speak for this language alone, and for English alone: 1 a word, less an article or the like.

        Words of both speak for neither, unless this is the assumed language: then they speak for it.
        """
        own = other = 0.0
        is_named, position = False, 0  # articles alone name no language: "Oscar de la Renta"
        while position < len(words):
            size, what, weight = self._evidence(words, position)
            english = all(map(_is_english, words[position : position + size]))
            if what and (is_assumed or not english):
                own += max(weight, 1) if is_assumed and what != _SMALL else weight
                is_named = is_named or what != _SMALL
            elif not what and english:
                other += 1
            position += size
        return own if is_named else 0.0, other

    def _evidence(self, words: Sequence[str], start: int) -> tuple[int, str, float]:
        """Size, class and weight of the words from here that are in the table; an empty class if the first isn't.

        A word that is known by its stem alone may be a name ("Nine West"), so it needs a second one.
        """
        word = words[start]
        for size in range(min(self._longest if word in self._firsts else 1, len(words) - start), 0, -1):
            entry = self._exact.get(" ".join(words[start : start + size]))
            if entry is not None:
                is_small = entry.what in (_SMALL, _WITH)
                is_shared = size == 1 and word in self._shared
                return size, _SMALL if is_small else entry.what, 0 if is_shared else _OF_SMALL if is_small else size
        stem = self._stem(word)
        if len(word) >= _LEAST_EVIDENCE and len(stem) >= _LEAST_EVIDENCE - 1 and stem in self._stems:
            is_sure = word in _not_english() or len(stem) >= _SURE_STEM
            return 1, self._stems[stem].what, 0 if word in self._shared else 1 if is_sure else _OF_STEM
        if self.grammar.compounds:
            pieces = [piece for piece in self._compound(word) if isinstance(piece, _Entry)]
            if len(pieces) > 1 and pieces[-1].what == "kind":
                return 1, "kind", 1
        return 1, _SMALL if word in self._parts else "", _OF_SMALL

    def is_garment(self, words: Sequence[str]) -> bool:
        """Whether this language has all these words, two or more, and one of them is a garment's name."""
        if len(words) < 2 or not all(word in self._parts or self._stem(word) in self._stems for word in words):
            return False
        return any(entry.what == "kind" for entry in map(self._exact.get, words) if entry is not None)

    def coverage(self, text: str) -> int:
        """Number of letters of a text that are in words of the table."""
        pieces = (piece for word in _letters(text) for piece in self._pieces_in(word))
        return sum(len(letters) for letters, entry in pieces if entry is not None)

    def _part(self, text: str) -> str:
        main: list[_Entry] = []
        beside: list[_Entry] = []
        is_beside = False
        for entry in self._entries(text):
            if entry.what == _WITH and self.grammar.with_last:  # "belt with" for "with belt"
                beside += main[-1:]
                main = main[:-1]
            elif entry.what == _WITH:
                is_beside = True
            elif entry.what != _SMALL:
                (beside if is_beside else main).append(entry)
        if all(entry.what != "kind" for entry in main):
            main += [_Entry("kind", _ALONE[entry.english]) for entry in main if entry.english in _ALONE][:1]
        words = _in_order(main, self.grammar.head_first)
        space = " " if text[:1].isspace() else "", " " if text[-1:].isspace() else ""
        added = f" with {_in_order(beside, self.grammar.head_first)}" if beside else ""
        return f"{space[0]}{words}{added}{space[1]}"

    def _entries(self, text: str) -> Iterator[_Entry]:
        words, position = _letters(text), 0
        while position < len(words):
            size, entry = self._phrase(words, position)
            if entry is not None:
                yield entry
            elif self.grammar.no_spaces:
                yield from (piece or _Entry("", letters) for letters, piece in self._pieces_in(words[position]))
            elif self.grammar.compounds:
                yield from (
                    piece if isinstance(piece, _Entry) else _Entry("", piece)
                    for piece in self._compound(words[position])
                )
            else:
                yield _Entry("", words[position])
            position += size

    def _phrase(self, words: Sequence[str], start: int) -> tuple[int, _Entry | None]:
        """Size and entry of the longest phrase that starts here, of this language, else of English garments."""
        is_longer = words[start] in self._firsts or self._stem(words[start]) in self._firsts
        for size in range(min(self._longest if is_longer else 1, len(words) - start), 0, -1):
            part = words[start : start + size]
            entry = self._exact.get(" ".join(part)) or self._stems.get(" ".join(map(self._stem, part)))
            if entry is not None:
                return size, entry
        for size in range(min(3, len(words) - start), 0, -1):
            phrase = " ".join(words[start : start + size])
            if default_lexicon().named(phrase) not in (None, NOT_WEARABLE):
                return size, _Entry("kind", phrase)
        return 1, None

    def _compound(self, word: str) -> list[_Entry | str]:
        """Parts of a compound whose last part is known, else the word as it is."""
        if len(word) > _LONGEST_COMPOUND:
            return [word]
        for start in range(1, len(word) - 2):
            last = self._single(word[start:])
            if last is None:
                continue
            for link in _LINKS:
                first = word[:start].removesuffix(link) if word[:start].endswith(link) else ""
                parts = (
                    [self._single(first)] if self._single(first) else self._compound(first) if len(first) > 3 else []
                )
                if parts and all(isinstance(part, _Entry) for part in parts):
                    return [*(part for part in parts if part), last]
            if len(word) - start > 3 and start > 2 and last.what == "kind":
                return [word[:start], last]
        return [word]

    def _single(self, word: str) -> _Entry | None:
        return (self._exact.get(word) or self._stems.get(self._stem(word))) if len(word) > 2 else None

    def _pieces_in(self, word: str) -> list[tuple[str, _Entry | None]]:
        """A word's pieces from left to right, the longest first; what isn't known is a piece without an entry.

        A piece of one sign, or two of kana, counts only if its neighbours are known: 白 says nothing in 白领. A sign
        for a garment or a colour may follow anything, as they end a word: 裙 in 鱼尾裙.
        """
        pieces: list[tuple[str, _Entry | None]] = []
        position = 0
        while position < len(word):
            ends = range(min(len(word), position + self._letters), position, -1)
            end = next((end for end in ends if word[position:end] in self._exact), 0)
            if end:
                pieces.append((word[position:end], self._exact[word[position:end]]))
            elif pieces and pieces[-1][1] is None:
                pieces[-1] = (pieces[-1][0] + word[position], None)
            else:
                pieces.append((word[position], None))
            position = end or position + 1
        for number, (letters, entry) in enumerate(pieces):
            is_end = len(letters) == 1 and entry is not None and entry.what in ("kind", "colour")
            around = pieces[number if is_end else max(0, number - 1) : number + 2]
            is_short = len(letters) == 1 or (len(letters) == 2 and _KANA.match(letters))
            if is_short and not all(neighbour for _, neighbour in around):
                pieces[number] = (letters, None)
        return pieces

    @lru_cache(maxsize=4096)  # noqa: B019 (tables live as long as the process)
    def _stem(self, word: str) -> str:
        if len(word) <= self.grammar.stem:
            return word
        for prefix in self.grammar.prefixes:
            if word.startswith(prefix) and len(word) - len(prefix) >= self.grammar.stem - 1:
                word = word.removeprefix(prefix)
                break
        cut = True
        while cut:
            ending = next((end for end in self.grammar.endings if word.endswith(end)), "")
            cut = bool(ending) and len(word) - len(ending) >= self.grammar.stem
            word = word.removesuffix(ending) if cut else word
            cut = cut and self.grammar.repeated
        return word[:-1] + word[-1].translate(_SOFTENED) if self._code == "tr" else word


@lru_cache(maxsize=4096)
def language_of(text: str, assumed: str = "") -> str:
    """Code of the language that a text is in; empty for English and for what isn't known.

    The script decides, and of languages in Latin letters the words that only one of them has: a text is in another
    language if more of its words are known there alone than in English alone, or if all are known there and they name
    no garment in English ("Pull bordeaux"). ``assumed`` is the language of texts whose words are English ones too
    ("Chemises", "Slips"), and of Han characters that Chinese and Japanese share.
    """
    for code, letters in _SCRIPTS:
        if not text.isascii() and letters.search(text):
            return code if code != "zh" else assumed if assumed in ("zh", "ja") else _of_han(text)
    words = [word for word in _letters(text) if not word.isdigit()]
    best = _by_words(words, (assumed,), is_assumed=True) if words and assumed in _LATIN else ""
    if not best and not all(map(_is_english, words)):
        best = _by_words(words, _LATIN, is_assumed=False)
    if best or default_lexicon().find(text) is not None:
        return best
    return next((code for code in _LATIN if _table(code).is_garment(words)), "")


def main_language(texts: Iterable[str]) -> str:
    """Code of the language that most different texts are in, and 5 of them; empty if there is none but English."""
    counts = Counter(map(language_of, {text[:_LONGEST_TEXT] for text in texts}))
    code = max(counts, key=lambda code: counts[code], default="")
    return code if 2 * counts[code] > counts.total() and counts[code] >= _LEAST_TEXTS else ""


def own_language() -> str:
    """The code that ``COORDI_LANGUAGE`` names; empty if there is none, a ``DataError`` if it is no language's."""
    code = os.environ.get(OWN_LANGUAGE, "")
    if code not in ("", ENGLISH, *LANGUAGES):
        accepted = ", ".join((ENGLISH, *LANGUAGES))
        raise DataError(f"{OWN_LANGUAGE} is '{code}'; accepted are {accepted}, or nothing")
    return code


def stated_language(columns: Mapping[str, str]) -> str:
    """The code in an item's column for its language, such as ``de`` of ``de-AT``; empty if none is known."""
    keys = {"".join(words_of(name)): value for name, value in columns.items()}
    given = next((keys[name] for name in LANGUAGE_COLUMNS if keys.get(name)), "")
    code = re.split(r"[-_]", given.strip().casefold())[0]
    return code if code in (ENGLISH, *LANGUAGES) else ""


def in_english(text: str, language: str | None = None) -> str:
    """A title in English, as far as the tables know its words; the same text if it is English or not known.

    ``language`` is the code of its language, empty for English; None to recognise it.
    """
    code = language_of(text, own_language()) if language is None else language
    return _table(code).english(text) if code else text


def item_in_english(item: Item) -> Item:
    """An item with its title, its subcategory and its columns in English; the same item if they are.

    The title and the subcategory together decide the language, and a column for it, such as ``locale``, decides where
    their words are English ones too. The columns are translated if the title is.
    """
    code = language_of(f"{item.title} , {item.subcategory}", stated_language(item.extra) or own_language())
    extra = {
        name: in_english(value, code or ("" if value.isascii() else language_of(value)))
        for name, value in item.extra.items()
        if len(value) <= _LONGEST_VALUE
    }
    if not code and extra == item.extra:
        return item
    title, kind = in_english(item.title, code), in_english(item.subcategory, code)
    return replace(item, title=title, subcategory=kind, extra=MappingProxyType({**item.extra, **extra}))


def _by_words(words: Sequence[str], codes: Sequence[str], *, is_assumed: bool) -> str:
    """The language that most words speak for; empty if they speak for English."""
    scores = {code: _table(code).evidence(words, is_assumed=is_assumed) for code in codes}
    best = max(codes, key=lambda code: scores[code][0] - scores[code][1])
    own, other = scores[best]
    return best if own >= 1 and own > other else ""


def _rows_of(name: str) -> dict[str, _Entry]:
    """Entries of a table by phrase; ``DataError`` if a class isn't accepted or a phrase is in two rows."""
    path = resources.files("coordi.style").joinpath("languages", name)
    entries: dict[str, _Entry] = {}
    for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        entry = _Entry(row["what"], row["english"])
        if entry.what not in _CLASSES:
            raise DataError(f"the table '{path}' has the class '{entry.what}'; accepted are {', '.join(_CLASSES)}")
        for word in row["words"].split("|"):
            if entries.setdefault(" ".join(_letters(word)), entry) != entry:
                raise DataError(f"the table '{path}' gives '{word}' twice; leave it in one row")
    return entries


def _of_han(text: str) -> str:
    return max(("zh", "ja"), key=lambda code: _table(code).coverage(text))


@cache
def _table(code: str) -> WordTable:
    return WordTable(code)


@cache
def _english_words() -> frozenset[str]:
    tables = style_tables()
    groups = (tables.describing, tables.colours, tables.patterns, tables.materials, default_lexicon().kinds)
    phrases = [phrase for rows in groups for row in rows.values() for phrase in (row.name, *row.words)]
    return frozenset(word for phrase in phrases for word in phrase.split()) - _not_english() | _ENGLISH_ONLY


@cache
def _not_english() -> frozenset[str]:
    path = resources.files("coordi.style").joinpath("languages", "not_english.txt")
    lines = path.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def _is_english(word: str) -> bool:
    words = _english_words()
    return word in words or (word not in _not_english() and word.endswith("s") and word[:-1] in words)


def _in_order(entries: Sequence[_Entry], head_first: bool) -> str:
    """Words of entries as English has them: what describes a garment before it, the garment that decides last."""
    kinds = [entry for entry in entries if entry.what == "kind"]
    if head_first:
        kinds.reverse()
    others = sorted((entry for entry in entries if entry.what != "kind"), key=lambda entry: _ORDER.index(entry.what))
    return " ".join(entry.english for entry in (*others, *kinds))


def _letters(text: str) -> list[str]:
    """Words of a text for comparing with a table."""
    return [word.translate(_LETTERS) for word in words_of(_APOSTROPHES.sub(" ", text))]
