"""Wishes in a person's own words ("a beach wedding, 27 C, no heels, something blue"), as rules and what isn't known."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from importlib import resources
from itertools import product
from typing import Any, Literal, NamedTuple, get_args

from coordi.errors import DataError
from coordi.style.languages import in_english
from coordi.style.lexicon import NOT_WEARABLE, default_lexicon, list_cell, read_rows
from coordi.style.occasions import Condition, Guide, occasions, weathers
from coordi.style.words import by_word, style_tables, words_of
from coordi.types import FactName, Gender

Role = Literal[
    "occasion", "weather", "kind", "colour", "pattern", "material", "filler", "not", "again", "after", "gender",
    "stock", "unknown",
]  # fmt: skip
_OF_GARMENTS: tuple[Role, ...] = ("kind", "colour", "pattern", "material")
_DESCRIBING: tuple[Role, ...] = ("colour", "pattern", "material", "gender")
_LONGEST = 6  # words of a phrase
MAX_WISH_LENGTH = 300  # letters; the others aren't read
_LEAST_LETTERS, _NEARLY = 7, 0.87  # of a word that may be misspelt, and how alike they must be

_MONEY = r"(?:[€$£₩]|eur(?:os?)?|usd|dollars?|bucks|pounds?|gbp|krw|won|원|유로|달러|파운드)"
_AMOUNT = rf"{_MONEY}?\s*(\d(?:[\d,.']*\d)?)\s*(만|천)?\s*{_MONEY}?"
_BELOW = (
    r"under|below|less than|cheaper than|at most|no more than|not more than|not over|up to|within|max(?:imum)?(?: of)?|"
    r"budget(?: of| is)?|costs? less than|<=?"
)
_ABOVE = r"over|above|(?<!no )(?<!not )more than|at least|min(?:imum)?(?: of)?|starting at|>=?"
_BELOW_AFTER = (
    r"or less|or under|max(?:imum)?|at most|tops|budget|"
    r"이하|미만|아래|안쪽|이내|까지|안으로|안에서|밑"
)
_ABOVE_AFTER = r"or more|and up|or above|이상|초과|넘는|부터"
_PRICES = tuple(
    (re.compile(pattern.replace("N", _AMOUNT), re.IGNORECASE), ends)
    for pattern, ends in (
        (r"\b(?:between|from)\s+N\s+(?:and|to)\s+N", ("price_min", "price_max")),
        (r"N\s*(?:에서|부터|to|~|-|–)\s*N", ("price_min", "price_max")),
        (rf"\b(?:{_BELOW})\s*(?:is\s+)?N", ("price_max",)),
        (rf"N\s*(?:{_BELOW_AFTER})", ("price_max",)),
        (rf"\b(?:{_ABOVE})\s*N", ("price_min",)),
        (rf"N\s*(?:{_ABOVE_AFTER})", ("price_min",)),
        (r"(?:예산(?:은|이)?|최대|최고)\s*N", ("price_max",)),
    )
)
_GROUPED = re.compile(r"([0-9]{1,3}(?:([,.'])[0-9]{3})(?:\2[0-9]{3})*|[0-9]+)(?:[.,]([0-9]{1,2}))?")
_COUNTED = ("colours", "colors", "days", "years", "pieces", "items", "things", "pairs")
_TEMPERATURE = re.compile(
    r"(?P<below>영하|minus)?\s*(?P<fahrenheit>화씨)?\s*(?P<number>(?:(?<!\d)[-+−–])?\d+(?:[.,]\d+)?)\s*(?:"
    r"(?:°|º|degrees?|deg\.?)?\s*(?P<unit>celsius|fahrenheit|[cf](?!\w)|[℃℉])|도(?!움)(?:에서|에|의|는)?)",
    re.IGNORECASE,
)
_NUMERALS = "일이삼사오육칠팔구"
_NUMERAL = re.compile(rf"(?<![가-힣])([{_NUMERALS}]?)(십?)([{_NUMERALS}]?)(?=\s*(?:도(?!움)|[만천]\s*원))")
_FREE_OF = re.compile(r"\b([a-z]+)[ -]free\b(?! of\b)", re.IGNORECASE)  # "leather-free shoes"
_KOREAN_REFUSAL = re.compile(  # of what is before it, as "안 입어요", "신고 싶지 않아요"
    r"(?:별로 )?(?:안|못) ?(?:돼|되|됨|됩|된|입|신|매|좋아|원|와|오)[가-힣]*(?: 싶[가-힣]*)?|"
    r"(?:(?:입고|신고|매고|하고) )?(?:싶|원하|좋아하|선호하|착용하|입|신|매|끼|쓰|오|내리|되)지 ?"
    r"(?:않|마|말|못)[가-힣]*|"
    r"(?:알레르기|알러지)[가-힣]*(?: 있[가-힣]*)?|별로(?:예|에|야|고|라|입)[가-힣]*|아니고|[xX]"
)
_KOREAN_DENIAL = re.compile(r"(?:별로 )?(?:(?:안|못) [가-힣]+|[가-힣]+지 ?않[가-힣]*)")  # of itself, as "두껍지 않은"
_SEPARATOR = re.compile(r"[,;.!?()\n+&/]+|\s[-–—]\s")
_PARTICLES = re.compile(
    r"(?:색으로|색상|색|해야|할때|할|하러|하기|에서는|에서|으로는|이랑|하고|에는|에게|이나|이고|인데|에요|예요|용으로|용|룩으로|룩|날|코디|복장|으로|은|는|이|가|을|를|에|의|도|만|로|랑|나|과|와|요)$"
)
_CONJUNCTION = re.compile(r"(?:이랑|랑|하고|이나|나|와|과|에)$")
_HANGUL = re.compile(r"[가-힣]")
_JOINING = {"and", "or", "nor", "to", "the", "a", "an", "any", "이나", "나", "와", "과", "랑", "하고", "또는"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What was understood of a wish.

    Attributes:
        occasion: Names of occasions in the text's order.
        weather: Temperatures with their units, and names of weather and seasons.
        features: Garments that are wanted, in English ("blue dress", "sneakers").
        unwanted_features: Garments, patterns and materials that are refused.
        something: Colours, patterns and materials that are wanted of no certain garment.
        unwanted_colours: Colours that are refused.
        price_min: In the catalogue's currency.
        price_max: Likewise.
        gender: For whom.
        in_stock: Whether only what is in stock is wanted.
        unknown: Parts of the text that weren't understood.
    """

    occasion: tuple[str, ...] = ()
    weather: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    unwanted_features: tuple[str, ...] = ()
    something: tuple[str, ...] = ()
    unwanted_colours: tuple[str, ...] = ()
    price_min: float | None = None
    price_max: float | None = None
    gender: Gender | None = None
    in_stock: bool = False
    unknown: tuple[str, ...] = ()


class Token(NamedTuple):
    """A phrase of a wish, what it is and what it says."""

    words: str
    role: Role | Literal["separator"]
    value: str


@lru_cache(maxsize=256)
def parse_wish(text: str) -> Wish:
    """Read a wish in English or Korean; what is refused or wanted is never dropped: ``unknown`` has what is left."""
    values: dict[str, Any] = {}
    text = _NUMERAL.sub(_in_digits, text[:MAX_WISH_LENGTH].replace("’", "'"))
    text = _FREE_OF.sub(r"without \1 , ", text)
    text, weather = _without_temperatures(_without_prices(text, values))
    reader = _Reader({"weather": weather})
    for token in _wish_tokens(text):
        reader.read(token)
    return reader.wish(values)


_OPENERS = re.compile(
    r"^(?:an? )?(?:outfits?|looks?|something|what|clothes)(?=[\s,:]|$)(?!.*\.[a-z]+$)|"  # but "look 3.jpg"
    r"(?<![가-힣])(?:코디|룩|입을|입고|옷)(?:[은을이좀]|으로|만한)?(?![가-힣])",  # but "잠옷", and "재입고" of shops
    re.IGNORECASE,
)


def is_wish(text: str) -> bool:
    """Whether a text begins as a wish does, rather than naming an item."""
    return bool(_OPENERS.search(text.strip()))


FEATURES, UNWANTED, SOMETHING = "features", "unwanted_features", "something"
_BEFORE_NAMES = {FEATURES: "with", UNWANTED: "without", SOMETHING: "something"}


@lru_cache(maxsize=1024)
def feature_guide(rule: str, words: str) -> Guide:
    """The guide for a garment that is wanted or refused ("blue dress", "heels"), or for a colour, pattern or material
    that something should have; ``rule`` is one of the three names above.

    Raises:
        DataError: If a word is neither of these, or ``features`` names no garment.
    """
    tokens = list(_tokens(words_of(in_english(words))))
    unknown = " ".join(token.words for token in tokens if token.role not in _OF_GARMENTS)
    kind = next((default_lexicon().kinds[token.value] for token in tokens if token.role == "kind"), None)
    category = None if kind is None else kind.category
    if unknown or not tokens or (rule == FEATURES and category is None):
        problem = f"'{unknown}' isn't known" if unknown else "no garment is named"
        raise DataError(
            f"'{words}': {problem}; write a garment with its colour, pattern or material, like 'blue dress'"
        )
    choices = [_choices(token) for token in tokens]
    if rule == UNWANTED:
        out = tuple(product(*choices))
    else:
        within = () if category is None else (Condition("category", category, is_denied=False, may_be_unknown=False),)
        out = tuple((*within, *(replace(row, is_denied=True, may_be_unknown=True) for row in rows)) for rows in choices)
    name = f"{_BEFORE_NAMES[rule]} {words}"
    wants = (category,) if rule == FEATURES and category is not None else ()
    choice = "" if rule == UNWANTED else f"{rule} {category or out[0][0].fact}"
    return Guide(rule, name, (), None, None, False, (), out, wants, "the user's own wish", choice)


def _choices(token: Token) -> list[Condition]:
    """Conditions of which an item meets one; a colour that names its family stands for all of it."""
    colours = style_tables().colours
    if token.role == "colour":
        family = colours[token.value].family
        names = [name for name, row in colours.items() if row.family == family] if family == token.value else []
        return [Condition("colour", name, is_denied=False, may_be_unknown=False) for name in names or [token.value]]
    name: FactName = "kind" if token.role == "kind" else "pattern" if token.role == "pattern" else "material"
    return [Condition(name, token.value, is_denied=False, may_be_unknown=False)]


@dataclass
class _Reader:
    """Collects tokens in their order; a run of garment words without another between them is one feature."""

    lists: dict[str, list[str]]
    gender: Gender | None = None
    in_stock: bool = False
    refused: str = ""  # the word that refuses what follows
    run: list[Token] = field(default_factory=list)
    runs: list[list[Token]] = field(default_factory=list)  # of this part, which a word after them may refuse
    is_after_refusal: bool = False
    is_after_garment: bool = False
    denied: list[str] = field(default_factory=list)  # what follows a refusal and isn't a garment
    named: Token | None = None  # an occasion or weather, which a word after it may refuse
    unknown: list[str] = field(default_factory=list)

    def read(self, token: Token) -> None:
        if token.role in _OF_GARMENTS and not self.denied:
            self.run.append(token)
            self.is_after_refusal = False
            return
        self._end_run()
        if self.refused and not self.runs and token.role not in ("filler", "separator", "not", "again", "after"):
            self.denied.append(token.words)
        elif token.role == "unknown":
            self.unknown.append(token.words)
        elif token.role == "separator":
            if self.refused and not (self.runs or self.denied):
                self.unknown.append(self.refused)  # "no dress code"
            self._settle(is_refused=False)
        elif token.role == "after" and self.named and not self.runs:
            self.lists[self.named.role].pop()
            self.unknown.append(f"{self.named.words} {token.words}")  # "비 안 와요"
        elif token.role == "after":
            self._settle(is_refused=True, by=token.words)
        elif token.role == "again" and self.is_after_refusal:
            pass  # "nothing in pink"
        elif token.words == "in" and not self.refused and self.runs and _has_kind(self.runs[-1]):
            self.is_after_garment = True  # "a shirt in orange"
        elif token.role in ("not", "again"):
            self._settle(is_refused=bool(self.refused))
            self.refused = token.words if token.role == "not" else ""
        elif token.role == "gender":
            gender = next(gender for gender in get_args(Gender) if gender == token.value)
            if self.gender not in (None, gender):
                self.unknown.append(token.words)  # a wish is for one
            self.gender = self.gender or gender
        elif token.role == "stock":
            self.in_stock = True
        elif token.role in ("weather", "occasion"):
            self._put(token.role, token.value)
        self.is_after_refusal = token.role == "not"
        if token.role != "filler":
            self.named = token if token.role in ("weather", "occasion") and not self.denied else None

    def wish(self, values: Mapping[str, Any]) -> Wish:
        """What was read, with prices."""
        self._end_run()
        self._settle(is_refused=bool(self.refused))
        unknown = tuple(dict.fromkeys(" ".join(part.split()) for part in self.unknown))
        lists: dict[str, Any] = {name: tuple(dict.fromkeys(rows)) for name, rows in self.lists.items()}
        return Wish(gender=self.gender, in_stock=self.in_stock, unknown=unknown, **lists, **values)

    def _end_run(self) -> None:
        if self.run and self.is_after_garment and not _has_kind(self.run):
            self.runs[-1] = [*self.run, *self.runs[-1]]
        elif self.run:
            self.runs.append(self.run)
        if self.run:
            self.run, self.is_after_garment = [], False

    def _settle(self, *, is_refused: bool, by: str = "") -> None:
        """Add the runs of this part, and begin another."""
        if by and not self.runs:
            self.unknown.append(by)
        for run in self.runs:
            self._add(run, is_refused=is_refused or bool(self.refused))
        if self.denied:
            self.unknown.append(" ".join((self.refused, *self.denied)))
        self.runs, self.refused, self.denied, self.is_after_garment = [], "", [], False

    def _add(self, run: Sequence[Token], *, is_refused: bool) -> None:
        if _has_kind(run):
            words = " ".join(
                token.words if token.role == "kind" and token.words.isascii() else token.value for token in run
            )
            name = UNWANTED if is_refused else FEATURES
            try:
                feature_guide(name, words)
            except DataError:  # such as underwear, which has no category
                self.unknown.append(f"{self.refused} {words}")
            else:
                self._put(name, words)
            return
        for token in run:
            name = "unwanted_colours" if token.role == "colour" else UNWANTED
            self._put(name if is_refused else SOMETHING, token.value)

    def _put(self, name: str, value: str) -> None:
        self.lists.setdefault(name, []).append(value)


def _has_kind(run: Sequence[Token]) -> bool:
    return any(token.role == "kind" for token in run)


def _in_digits(match: re.Match[str]) -> str:
    """A Korean number below 100 in digits: ``"삼십"`` as ``"30"``."""
    before, ten, after = match.groups()
    if not match[0]:
        return ""
    units = _NUMERALS.index(after) + 1 if after else 0
    front = _NUMERALS.index(before) + 1 if before else int(bool(ten))
    return str(front * (10 if ten else 1) + units)


def _amount(number: str) -> float | None:
    """A number with or without groups of thousands and cents; None if it is neither."""
    match = _GROUPED.fullmatch(number)
    return float(f"{re.sub(r'[^0-9]', '', match[1])}.{match[3] or 0}") if match else None


def _without_prices(text: str, values: dict[str, Any]) -> str:
    """The text without prices, which are added to the values."""

    def take(match: re.Match[str], ends: Sequence[str]) -> str:
        if len(ends) > 1 and not re.search(rf"{_MONEY}|between", match[0], re.IGNORECASE):
            return match[0]  # "6 to 8" may be hours
        after = re.match(r"\s*°?([a-z]+)", match.string[match.end() :], re.IGNORECASE)
        if after and not re.search(_MONEY, match[0], re.IGNORECASE) and not _is_of_price(after[1].lower()):
            return match[0]  # "below 10 C", "no more than 2 colours"
        groups = match.groups()
        amounts = [_amount(number) for number in groups[::2]]
        if None in amounts:
            return match[0]  # "1.2.3"
        for end, amount, unit in zip(ends, amounts, groups[1::2], strict=True):
            # "between 20 and 50천" counts both in thousands
            values[end] = (amount or 0) * {"만": 10_000, "천": 1_000}.get(unit or groups[-1] or "", 1)
        return " , "

    for pattern, ends in _PRICES:
        text = pattern.sub(lambda match, ends=ends: take(match, ends), text, count=1)  # type: ignore[misc]
    return text


def _is_of_price(word: str) -> bool:
    """Whether a word can follow a price without a currency: one that is known and isn't counted."""
    return word not in _COUNTED and _longest([word])[0] is not None


def _without_temperatures(text: str) -> tuple[str, list[str]]:
    """The text without temperatures that have a unit, and these, as ``"27 C"``."""
    temperatures: list[str] = []

    def take(match: re.Match[str]) -> str:
        number = float(re.sub("[−–]", "-", match["number"]).replace(",", "."))
        number = -number if match["below"] else number
        is_fahrenheit = match["fahrenheit"] or (match["unit"] or "")[:1].casefold() in ("f", "℉")
        temperatures.append(f"{number:g} {'F' if is_fahrenheit else 'C'}")
        return " , "

    return _TEMPERATURE.sub(take, text), temperatures


def _wish_tokens(text: str) -> Iterator[Token]:
    is_korean = bool(_HANGUL.search(text))
    for part in _SEPARATOR.split(text):
        tokens = list(_korean_tokens(part) if is_korean else _tokens(words_of(part)))
        if tokens and tokens[-1].role == "not":
            tokens[-1] = tokens[-1]._replace(role="after")  # "heels no"
        yield from (*tokens, Token("", "separator", ""))


def _tokens(words: Sequence[str]) -> Iterator[Token]:
    position, unknown = 0, list[str]()
    while position < len(words):
        token, size = _longest(words[position : position + _LONGEST])
        if token is None:
            unknown.append(words[position])
            position += 1
            continue
        if unknown and not (token.role == "filler" and words[position] not in _JOINING):
            yield Token(" ".join(unknown), "unknown", "")
            unknown = []
        yield token
        position += size
    if unknown:
        yield Token(" ".join(unknown), "unknown", "")


def _longest(words: Sequence[str]) -> tuple[Token | None, int]:
    for size in range(len(words), 0, -1):
        token = _token(" ".join(words[:size]))
        if token is None:
            continue
        # "Floral dress" is a kind, and a dress that is floral.
        for end in range(1, size if token.role == "kind" else 0):
            first = _token(" ".join(words[:end]))
            if first is not None and first.role in _DESCRIBING and default_lexicon().named(" ".join(words[end:size])):
                return first, end
        return token, size
    return None, 0


def _token(phrase: str) -> Token | None:
    meaning = _words().get(phrase) or _misspelt(phrase)
    if meaning is not None:
        return Token(phrase, *meaning)
    kind = default_lexicon().named(phrase)
    return None if kind is None or kind is NOT_WEARABLE else Token(phrase, "kind", kind.name)


def _korean_tokens(part: str) -> Iterator[Token]:
    """Tokens of words that are known with or without a particle after them, alone or with those beside them."""
    words = part.split()
    position = 0
    while position < len(words):
        for size in range(min(_LONGEST, len(words) - position), 0, -1):
            tokens = _korean_token(" ".join(words[position : position + size]))
            if tokens:
                break
        first = _korean_token(words[position]) if size > 1 and tokens[0].role in _OF_GARMENTS else []
        if first and first[0].role not in _OF_GARMENTS:
            tokens, size = first, 1  # "겨울 코트" is a season and a coat
        yield from tokens or (Token(words[position], "unknown", ""),)
        if _CONJUNCTION.search(words[position + size - 1]):
            yield Token("", "filler", "")
        position += size


def _korean_token(phrase: str) -> list[Token]:
    """Tokens of a phrase, without what a particle adds; none if it isn't known."""
    if _KOREAN_REFUSAL.fullmatch(phrase):
        return [Token(phrase, "after", "")]
    if _KOREAN_DENIAL.fullmatch(phrase):
        return [Token(phrase, "unknown", "")]
    bare = _PARTICLES.sub("", phrase)
    for form in dict.fromkeys((phrase, bare, _PARTICLES.sub("", bare))):
        if not form:
            continue
        token = _token(" ".join(words_of(form)))
        if token is not None:
            return [token]
        english = in_english(form, "ko") if _HANGUL.search(form) else form
        tokens = list(_tokens(words_of(english)))
        if not _HANGUL.search(english) and tokens and all(row.role in _OF_GARMENTS for row in tokens):
            return tokens
    return []


def _misspelt(word: str) -> tuple[Role, str] | None:
    """The meaning of the word that an unknown one is nearly: "interveiw"."""
    if len(word) < _LEAST_LETTERS or " " in word or not word.isascii() or default_lexicon().named(word):
        return None
    near = difflib.get_close_matches(word, _long_words(), 1, _NEARLY)
    return _words()[near[0]] if near else None


@cache
def _long_words() -> list[str]:
    return [word for word in _words() if len(word) >= _LEAST_LETTERS and " " not in word and word.isascii()]


@cache
def _words() -> Mapping[str, tuple[Role, str]]:
    """What phrases are, but for kinds of garment; of a phrase with two meanings that of the later table counts."""
    tables = style_tables()
    by_role: tuple[tuple[Role, dict[str, Any]], ...] = (
        ("material", by_word(tables.materials.values())), ("pattern", by_word(tables.patterns.values())),
        ("colour", by_word(tables.colours.values())), ("weather", by_word(weathers().values())),
        ("occasion", by_word(occasions().values())),
    )  # fmt: skip
    words = {" ".join(words_of(word)): (role, row.name) for role, rows in by_role for word, row in rows.items()}
    path = resources.files("coordi.style").joinpath("occasions", "wish_words.csv")
    for name, cells in read_rows(path, ("name", "role", "words"), "name"):
        words |= {" ".join(words_of(word)): (cells["role"], name) for word in list_cell(cells["words"])}  # type: ignore[misc]
    return words
