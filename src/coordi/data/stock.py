"""Whether a shop's words say that something can be bought now."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources

import yaml

from coordi.style.words import words_of

STOCK_COLUMNS = (
    "instock", "availability", "available", "isavailable", "stockstatus", "stock", "inventory", "quantity", "qty",
    "stockquantity", "stocklevel", "inventoryquantity", "availablequantity",
)  # fmt: skip
"""Names of columns as they are compared; the first that says something known decides."""

_QUANTITY = re.compile(r"[+-]?\d+(?:[.,]\d*)?")
_NO_VALUE = frozenset({"", "na", "n a", "none", "null", "nan", "unknown"})
_WORDS = yaml.safe_load(resources.files("coordi.data").joinpath("stock.yaml").read_text(encoding="utf-8"))
_IN_STOCK, _OUT_OF_STOCK = (
    frozenset(" ".join(words_of(phrase)) for phrase in _WORDS[name]) for name in ("in stock", "out of stock")
)


def in_stock(values: Iterable[str]) -> bool | None:
    """Whether the first value that is a quantity or known words says in stock; an order in advance isn't. None if none
    does. An address such as ``https://schema.org/InStock`` counts by its last part.
    """
    for value in values:
        text = " ".join(words_of(value.rpartition("/")[2] if "://" in value else value))
        if text in _NO_VALUE:
            continue
        if _QUANTITY.fullmatch(value.strip()):
            return float(value.replace(",", ".")) > 0
        if text in _IN_STOCK or text in _OUT_OF_STOCK:
            return text in _IN_STOCK
    return None
