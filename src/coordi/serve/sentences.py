"""Sentences of the API in the language that a request names: English, or that of a table ``sentences.CODE.json``.

A table has English sentences and theirs in the language. ``{name}`` in one stands for anything, and is copied. Where
the name is in capitals it is translated, by the table's sentences and values and by the page's words for labels and the
like. The first row that fits counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import PlainSerializer

from coordi.recommend.answers import LeftOut

ENGLISH = "en"
LANGUAGES = (ENGLISH, "ko")
_PAGE_WORDS = Path(__file__).parents[1] / "web" / "i18n"
_OF_VALUES = (
    "occasion",
    "weather",
    "label",
    "attribute",
    "gender",
    "season",
    "formality",
    "category",
)  # the last one's word counts
_Rows = tuple[tuple[re.Pattern[str], str], ...]


@dataclass(slots=True)
class Answering:
    """The language that a request names, and the languages that sentences of its answer are in."""

    language: str
    answered: set[str] = field(default_factory=set)


_ANSWERING: ContextVar[Answering | None] = ContextVar("answering", default=None)


def answer_in(accept_language: str) -> Answering:
    """Answer the request in work in the best of ``LANGUAGES`` by its ``Accept-Language`` (RFC 9110)."""
    answering = Answering(_preferred(accept_language))
    _ANSWERING.set(answering)
    return answering


def in_language(sentence: str) -> str:
    """A sentence in the language of the request in work; in English where its table has none."""
    answering = _ANSWERING.get()
    if answering is None or not sentence:
        return sentence
    given = None if answering.language == ENGLISH else translated(sentence, answering.language)
    answering.answered.add(ENGLISH if given is None else answering.language)
    return sentence if given is None else given


Sentence = Annotated[str, PlainSerializer(in_language, return_type=str)]
LeftOutRule = Annotated[
    LeftOut, PlainSerializer(lambda row: replace(row, rule=in_language(row.rule)), return_type=LeftOut)
]


def translated(sentence: str, language: str) -> str | None:
    """A sentence, or several that semicolons join, in a language; None if its table has none of them."""
    table = _table(language)
    parts = [sentence] if table.sentence(sentence) is not None else sentence.removesuffix(".").split("; ")
    given = [table.sentence(part) or table.sentence(part[:1].lower() + part[1:]) for part in parts]
    if not any(given):
        return None
    return "; ".join(new or old for new, old in zip(given, parts, strict=True)) + ("." if sentence[-1] == "." else "")


@dataclass(frozen=True)
class _Table:
    sentences: _Rows
    values: _Rows
    words: Mapping[str, str]

    def sentence(self, text: str) -> str | None:
        return self._by_rows(self.sentences, text)

    def _by_rows(self, rows: _Rows, text: str) -> str | None:
        for pattern, given in rows:
            match = pattern.fullmatch(text)
            if match:
                return given.format_map({
                    name: self._value(value) if name.isupper() else value for name, value in match.groupdict().items()
                })  # fmt: skip
        return None

    def _value(self, text: str) -> str:
        given = self.words.get(text) or self.sentence(text)
        if given is None and "; " not in text:
            given = self._by_rows(self.values, text)
        for separator in ("; ", ", ", " or "):
            if given is None and separator in text:
                given = ", ".join(map(self._value, text.split(separator)))
        return text if given is None else given


@cache
def _table(language: str) -> _Table:
    table = json.loads((Path(__file__).parent / f"sentences.{language}.json").read_text(encoding="utf-8"))
    page = json.loads((_PAGE_WORDS / f"{language}.json").read_text(encoding="utf-8"))
    words = {
        key.removeprefix(f"{group}."): word
        for group in _OF_VALUES
        for key, word in page.items()
        if key.startswith(f"{group}.")
    }
    sentences, values = (
        tuple((_pattern(english), given) for english, given in table[name].items()) for name in ("sentences", "values")
    )
    return _Table(sentences, values, words)


def _pattern(english: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", english)
    return re.compile(
        "".join(f"(?P<{part}>.+?)" if number % 2 else re.escape(part) for number, part in enumerate(parts))
    )


def _preferred(accept_language: str) -> str:
    """The accepted language of the highest weight, the first of equal ones."""
    weights: dict[str, float] = {}
    for part in accept_language.split(","):
        tag, _, weight = part.partition(";")
        match = re.fullmatch(r"\s*q=([01](\.\d{0,3})?)\s*", weight)
        code = tag.strip().lower().partition("-")[0]
        if code in LANGUAGES and (match or not weight.strip()):
            weights.setdefault(code, float(match[1]) if match else 1.0)
    best = max(weights, key=lambda code: weights[code], default=ENGLISH)
    return best if weights.get(best) else ENGLISH
