"""Prices in a shop's words: an amount and its currency, or nothing where a text isn't surely one price."""

from __future__ import annotations

import math
import re
from datetime import date, datetime
from decimal import Decimal
from importlib import resources
from typing import NamedTuple

import yaml

_TABLE = yaml.safe_load(resources.files("coordi.data").joinpath("currencies.yaml").read_text(encoding="utf-8"))
CODES = frozenset(_TABLE["codes"].split())
"""Currency codes of ISO 4217."""
_THREE_DECIMALS = frozenset(_TABLE["three decimals"].split())
_SIGNS: dict[str, str] = _TABLE["signs"]
_SHARED: dict[str, list[str]] = {sign: codes.split() for sign, codes in _TABLE["shared signs"].items()}
_NUMBER = re.compile(r"[.,]?\d(?:[\d\s.,'’٫٬]*\d)?")
_NO_CENTS = re.compile(r"^[.,]\s?[-–—]{1,2}(?=\s|$)")  # "1'200.–" and "1299,-"
_GROUPS = re.compile(r"[1-9]\d{0,2}(?:(?P<mark>[ '.,])\d{3})(?:(?P=mark)\d{3})*")
_INDIAN_GROUPS = re.compile(r"[1-9]\d?(?:,\d\d)+,\d{3}")
_MOST_DIGITS = 15  # more are rounded by a float
_DECIMAL_MARKS = ".,٫"


class Price(NamedTuple):
    """An amount of 0 or more, and the code of its currency; ``""`` if none or a sign of several is given."""

    amount: float
    currency: str


def read_price(value: object, currency: str = "") -> Price | None:
    """The price that a number or a text is; None where it isn't surely one price (``2 for 30``, ``3.5K``, ``-5``).

    The last ``.`` or ``,`` marks decimals, unless it is the only mark and three digits follow one to three others:
    it groups thousands then, except after a 0 and in currencies with three decimals. ``currency`` is the feed's.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, Decimal):  # of a Parquet table
        value = float(value)
    if isinstance(value, int | float):
        return Price(float(value), "") if value >= 0 and value < 10**_MOST_DIGITS and math.isfinite(value) else None
    text = str(value).strip()
    numbers = list(_NUMBER.finditer(text))
    if len(numbers) != 1:
        return None
    number, start, end = numbers[0].group(), numbers[0].start(), numbers[0].end()
    before = text[:start].strip()
    if number[0] in ".," and before[-1:].isalpha() and before not in CODES:  # "Rs.500", but "EUR .99"
        if number[0] == "," or text[start - 1].isspace():
            return None
        number = number[1:]
    codes = [_code(text[:start], currency), _code(_NO_CENTS.sub("", text[end:]), currency)]
    if None in codes or len({code for code in codes if code}) > 1:
        return None
    given = next((code for code in codes if code), "")
    amount = _amount(number, given or currency)
    return None if amount is None else Price(amount, given)


def parse_price(value: object) -> float | None:
    """The amount that ``read_price`` reads."""
    price = read_price(value)
    return None if price is None else price.amount


def _code(text: str, currency: str) -> str | None:
    """Currency code of what stands before or after a number; None if that is no currency. A sign of several is the
    feed's if that is one of them, and else their first: a dollar isn't a euro.
    """
    sign = "".join(text.split()).strip(".:\u200e\u200f")
    if not sign or sign in CODES:
        return sign
    codes = _SHARED.get(sign.casefold())
    if codes is not None:
        return "" if not currency else currency if currency in codes else codes[0]
    return _SIGNS.get(sign.casefold())


def _amount(number: str, currency: str) -> float | None:
    text = re.sub(r"\s", " ", number).replace("’", "'").replace("٬", "'")
    if sum(letter.isdigit() for letter in text) > _MOST_DIGITS:
        return None
    marks = [letter for letter in text if not letter.isdigit()]
    if not marks:
        return float(text)
    head, tail = text[: text.rindex(marks[-1])], text[text.rindex(marks[-1]) + 1 :]
    is_decimal = marks[-1] in _DECIMAL_MARKS
    if len(marks) == 1:
        if is_decimal and not _may_group(head, tail, marks[0]):
            return float(f"{head or 0}.{tail}")
        if currency in _THREE_DECIMALS and is_decimal:
            return float(f"{head}.{tail}") if marks[0] == "." else None
        return _grouped(text)
    if len(set(marks)) == 1:
        return _grouped(text)
    units = _grouped(head) if is_decimal and marks[-1] not in marks[:-1] else None
    return None if units is None else float(f"{units:.0f}.{tail}")


def _may_group(head: str, tail: str, mark: str) -> bool:
    return mark != "٫" and len(tail) == 3 and 0 < len(head) <= 3 and not head.startswith("0")


def _grouped(text: str) -> float | None:
    """A number whose marks all group thousands; None if they don't."""
    if _GROUPS.fullmatch(text) or _INDIAN_GROUPS.fullmatch(text):
        return float(re.sub(r"\D", "", text))
    return None


def in_force(begins: str, ends: str, today: date) -> bool | None:
    """Whether a day is within two ISO dates, either of which may be empty; None if one can't be read."""
    try:
        first, last = (datetime.fromisoformat(text.strip()).date() if text.strip() else None for text in (begins, ends))
    except ValueError:
        return None
    return (first is None or first <= today) and (last is None or today <= last)
