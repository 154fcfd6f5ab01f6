"""Rules of how the facts of two items agree: dress codes, seasons, purposes, traditions, colours, patterns, people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from coordi.style.words import dress_codes, style_tables
from coordi.types import OF_CHILDREN, FactName, Facts

RULES: Mapping[str, int] = {
    "dress codes apart": -1,
    "dress codes differ": -1,
    "seasons apart": -1,
    "seasons shared": 1,
    "purpose shared": 1,
    "purposes differ": -1,
    "tradition shared": 1,
    "traditions differ": -1,
    "colours clash": -1,
    "colours of a family": 1,
    "pattern shared": 1,
    "patterns clash": -1,
    "made for others": -1,
}
"""Signs that the weights of rules may have: 1 for what speaks for two items, -1 for what speaks against them."""
Amounts = tuple[float, ...]
"""How much each rule applies to two items, in the order of ``RULES``; 0 for a rule that doesn't."""

NO_AMOUNTS: Amounts = (0.0,) * len(RULES)
_NAMES: tuple[FactName, ...] = ("seasons", "purposes", "tradition", "colour", "pattern", "audience")
_OTHERS = (frozenset({"women", "men"}), frozenset({"girls", "boys"}))


@dataclass(frozen=True, slots=True)
class FactSets:
    """What the rules need of an item's facts: the first fact of each name."""

    dress_codes: tuple[int, int] | None  # the lowest and the highest
    seasons: frozenset[str]
    purposes: frozenset[str]
    tradition: frozenset[str]
    colours: frozenset[str]
    patterns: frozenset[str]
    audience: frozenset[str]

    @classmethod
    def of(cls, facts: Facts) -> FactSets | None:
        """None if there are none."""
        if not facts:
            return None
        return cls(
            dress_codes(facts["formality"][0].values) if "formality" in facts else None,
            *(frozenset(facts[name][0].values) if name in facts else frozenset() for name in _NAMES),
        )


def amounts_of(facts: FactSets | None, other: FactSets | None) -> Amounts:
    """How much each rule applies to two items, whatever their order; nothing does if nothing is known of one."""
    if facts is None or other is None:
        return NO_AMOUNTS
    amounts = {
        **_of_dress_codes(facts.dress_codes, other.dress_codes),
        **_of_colours(facts.colours, other.colours),
        **_of_patterns(facts.patterns, other.patterns),
    }
    if facts.seasons and other.seasons:
        shared = len(facts.seasons & other.seasons) / len(facts.seasons | other.seasons)
        amounts["seasons shared" if shared else "seasons apart"] = shared or 1.0
    if facts.purposes or other.purposes:  # an item without a purpose is for every day
        amounts["purpose shared" if facts.purposes & other.purposes else "purposes differ"] = 1.0
    if facts.tradition or other.tradition:
        amounts["tradition shared" if facts.tradition == other.tradition else "traditions differ"] = 1.0
    people = facts.audience | other.audience
    if any(group <= people for group in _OTHERS) or 0 < len(people & OF_CHILDREN) < len(people):
        amounts["made for others"] = 1.0
    return tuple(amounts.get(rule, 0.0) for rule in RULES)


def _of_dress_codes(codes: tuple[int, int] | None, others: tuple[int, int] | None) -> Mapping[str, float]:
    """Steps between two ranges of dress codes, and steps between their middles."""
    if codes is None or others is None:
        return {}
    (low, high), (other_low, other_high) = codes, others
    apart = max(low - other_high, other_low - high, 0)
    return {"dress codes apart": apart, "dress codes differ": abs(low + high - other_low - other_high) / 2}


@lru_cache(maxsize=4096)
def _of_colours(names: frozenset[str], others: frozenset[str]) -> Mapping[str, float]:
    """Whether a colour of one item clashes with one of the other, and whether two are of a family but neutral ones."""
    table = style_tables().colours
    pairs = [(table[name], table[other]) for name, other in product(names, others) if name in table and other in table]
    clash = any(other.name in colour.clashes or colour.name in other.clashes for colour, other in pairs)
    related = any(
        colour.family == other.family and not (colour.is_neutral and other.is_neutral) for colour, other in pairs
    )
    return {"colours clash": float(clash), "colours of a family": float(related)}


@lru_cache(maxsize=4096)
def _of_patterns(names: frozenset[str], others: frozenset[str]) -> Mapping[str, float]:
    """Whether two items share a pattern, and whether two patterns aren't worn together; plain ones count as none."""
    table = style_tables().patterns
    bold, other_bold = (
        [table[name] for name in row if name in table and table[name].boldness] for row in (names, others)
    )
    clash = any(row is not other and other.name not in row.mixes for row, other in product(bold, other_bold))
    return {"pattern shared": float(any(row in other_bold for row in bold)), "patterns clash": float(clash)}
