"""A price is the amount that a shop wrote, or none: never another number."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from coordi.data.prices import CODES, in_force, parse_price, read_price


@pytest.mark.parametrize(
    ("value", "amount", "currency"),
    [
        ("CHF 1'200.20", 1200.2, "CHF"), ("CHF 1’200.20", 1200.2, "CHF"), ("1 875 C$", 1875, "CAD"),
        ("1 299,00 €", 1299, "EUR"), ("1\u00a0299,00\u00a0€", 1299, "EUR"), ("1\u202f299,00\u202f€", 1299, "EUR"),
        ("1\u2009299,00 €", 1299, "EUR"), ("12.500 KWD", 12.5, "KWD"), ("KWD 1,299.000", 1299, "KWD"),
        ("0.999", 0.999, ""), ("0,999", 0.999, ""), (",89 €", 0.89, "EUR"), (".99", 0.99, ""), ("$.99", 0.99, ""),
        ("EUR .99", 0.99, "EUR"), ("CHF.50", 0.5, "CHF"), (Decimal("12.500"), 12.5, ""),
        ("Rs.500", 500, ""), ("Rs. 1,29,999.00", 129_999, ""), ("Fr. 1'200.–", 1200, "CHF"), ("€ 1.299,-", 1299, "EUR"),
        ("$1,299.00", 1299, ""), ("1.299,00 EUR", 1299, "EUR"), ("1,299", 1299, ""), ("1.299.000", 1_299_000, ""),
        ("1 299 000,50 kr", 1_299_000.5, ""), ("12,5", 12.5, ""), ("34.0000", 34, ""), ("1299.500", 1299.5, ""),
        ("£12.99 GBP", 12.99, "GBP"), ("US $ 12", 12, "USD"), ("129.00 EUR", 129, "EUR"), ("￥1,299", 1299, ""),
        ("１２.５０", 12.5, ""), ("١٢٫٥٠٠", 12.5, ""), ("30 000 원", 30_000, "KRW"), (0, 0, ""), (12, 12, ""),
        (12.5, 12.5, ""),
    ],
)  # fmt: skip
def test_what_a_price_says(value: object, amount: float, currency: str) -> None:
    assert read_price(value) == (amount, currency)


@pytest.mark.parametrize(
    "value",
    ["2 for 30", "3.5K", "\u22125", "-5", "–5", "(5)", "5-7", "from 20", "ab 20 €", "free", "50%", "1 2", "10²",
     "1,2,3", "12.05.2024", "1e3", "99p", "USD 5 EUR", "1,299 KWD", "=1+1", "½", "kr .50", "Rs,500", Decimal("NaN"),
     "9" * 16, "9" * 400, "", "n/a",
     None, True, -1,
     float("nan"), float("inf"), pytest.param(10**5000, id="5000 digits"), ["5"]],
)  # fmt: skip
def test_what_is_not_surely_one_price_is_none(value: object) -> None:
    assert read_price(value) is None
    assert parse_price(value) is None


def test_the_currency_of_the_feed_tells_decimals() -> None:
    assert read_price("12.500", "KWD") == (12.5, "")
    assert read_price("12.500", "EUR") == (12_500, "")
    assert len(CODES) > 150


@pytest.mark.parametrize(
    ("value", "feed", "currency"),
    [("$15", "", ""), ("$15", "CAD", "CAD"), ("$15", "EUR", "USD"), ("99 kr", "EUR", "SEK"), ("99 kr", "DKK", "DKK"),
     ("￥15", "USD", "JPY")],
)  # fmt: skip
def test_a_sign_of_several_currencies_is_never_one_of_another(value: str, feed: str, currency: str) -> None:
    price = read_price(value, feed)
    assert price is not None
    assert price.currency == currency


@pytest.mark.parametrize(
    ("begins", "ends", "expected"),
    [("2026-11-01T00:00+0100", "2026-12-01T23:59+0100", True), ("", "", True), ("2026-12-02", "", False),
     ("", "2026-11-30", False), ("", "2026-12-01", True), ("soon", "", None)],
)  # fmt: skip
def test_days_of_a_sale(begins: str, ends: str, expected: bool | None) -> None:
    assert in_force(begins, ends, date(2026, 12, 1)) is expected
