"""Rules as conditions of a query on a catalogue's rows; values are always parameters, never part of the text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from coordi.domain import WornCategory
from coordi.recommend.rules import Rules

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition.

    Attributes:
        name: Of the rule, as ``Rules`` has it.
        words: In a user's words, such as ``"price at most 50"``.
        sql: With a ``?`` for each parameter. An unknown value makes it NULL, which counts as not met.
        parameters: In their order.
    """

    name: str
    words: str
    sql: str
    parameters: tuple[Any, ...] = ()


def caseless(text: str) -> str:
    """What brands, colours and seasons are compared by."""
    return " ".join(text.casefold().split())


def category_clause(category: WornCategory) -> Clause:
    """Items of one category."""
    return Clause("category", f"category {category}", "category = ?", (category,))


def rule_clauses(rules: Rules) -> tuple[Clause, ...]:
    """One condition for each rule that is given, in the order of ``Rules``; ``pinned`` is none."""
    return tuple(_clauses(rules))


def where(clauses: Sequence[Clause]) -> tuple[str, list[Any]]:
    """All conditions together, for after ``WHERE``, and their parameters."""
    if not clauses:
        return "TRUE", []
    text = " AND ".join(f"({clause.sql})" for clause in clauses)
    return text, [value for clause in clauses for value in clause.parameters]


def _clauses(rules: Rules) -> Iterator[Clause]:
    if rules.want:
        yield Clause("want", f"category {_one_of(rules.want)}", f"category IN ({_places(rules.want)})", rules.want)
    if rules.unwanted:
        places = _places(rules.unwanted)
        yield Clause(
            "unwanted", f"category not {_one_of(rules.unwanted)}", f"category NOT IN ({places})", rules.unwanted
        )
    if rules.price_min is not None:
        yield Clause("price_min", f"price at least {_number(rules.price_min)}", "price >= ?", (rules.price_min,))
    if rules.price_max is not None:
        yield Clause("price_max", f"price at most {_number(rules.price_max)}", "price <= ?", (rules.price_max,))
    yield from _named(rules)
    if rules.gender is not None:
        everybody = "" if rules.gender == "unisex" else " or everybody"
        yield Clause("gender", f"made for {rules.gender}{everybody}", "gender IN (?, 'unisex')", (rules.gender,))
    if rules.unwanted_genders:
        names = rules.unwanted_genders
        yield Clause(
            "unwanted_genders",
            f"not made for {_one_of(names)}",
            f"coalesce(gender, '') NOT IN ({_places(names)})",
            names,
        )
    if rules.seasons:
        yield Clause(
            "seasons",
            f"season {_one_of(rules.seasons)}",
            "list_contains(?::VARCHAR[], season_key)",
            _keys(rules.seasons),
        )
    if rules.in_stock:
        yield Clause("in_stock", "in stock", "in_stock IS DISTINCT FROM FALSE")
    if rules.excluded:
        yield Clause(
            "excluded", "items that were excluded", "id NOT IN (SELECT unnest(?::VARCHAR[]))", (list(rules.excluded),)
        )


def _named(rules: Rules) -> Iterator[Clause]:
    has_brand, has_colour = "list_contains(?::VARCHAR[], brand_key)", "list_has_any(colour_keys, ?::VARCHAR[])"
    if rules.brands:
        yield Clause("brands", f"brand {_one_of(rules.brands)}", has_brand, _keys(rules.brands))
    if rules.unwanted_brands:
        yield Clause(
            "unwanted_brands",
            f"brand not {_one_of(rules.unwanted_brands)}",
            f"NOT {has_brand}",
            _keys(rules.unwanted_brands),
        )
    if rules.colours:
        yield Clause("colours", f"colour {_one_of(rules.colours)}", has_colour, _keys(rules.colours))
    if rules.unwanted_colours:
        words = f"colour not {_one_of(rules.unwanted_colours)}"
        yield Clause("unwanted_colours", words, f"NOT {has_colour}", _keys(rules.unwanted_colours))


def _keys(values: Sequence[str]) -> tuple[list[str]]:
    return ([caseless(value) for value in values],)


def _places(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _one_of(values: Sequence[str]) -> str:
    if len(values) > _MOST_NAMED:
        return f"{', '.join(values[:_MOST_NAMED])} or {len(values) - _MOST_NAMED} more"
    return " or ".join(values) if len(values) < 3 else f"{', '.join(values[:-1])} or {values[-1]}"


def _number(value: float) -> str:
    return f"{value:.2f}".removesuffix(".00") if value < 1e15 else f"{value:g}"
