"""Rules of how the facts of two items agree, worked out by hand."""

from __future__ import annotations

from typing import cast

import pytest

from coordi.style.agreement import NO_AMOUNTS, RULES, FactSets, amounts_of
from coordi.types import Fact, FactName


def known(**values: str) -> FactSets | None:
    """Facts by name, values divided by slashes."""
    return FactSets.of({cast(FactName, name): (Fact(tuple(text.split("/")), "user"),) for name, text in values.items()})


@pytest.mark.parametrize(
    ("item", "other", "expected"),
    [
        (
            {"formality": "black tie/ceremonial"},
            {"formality": "sport/casual"},
            {"dress codes apart": 4, "dress codes differ": 5},
        ),
        (
            {"formality": "casual"},
            {"formality": "smart casual/business"},
            {"dress codes apart": 1, "dress codes differ": 1.5},
        ),
        ({"formality": "casual/business"}, {"formality": "smart casual"}, {}),
        ({"seasons": "summer"}, {"seasons": "autumn/winter"}, {"seasons apart": 1}),
        ({"seasons": "spring/summer"}, {"seasons": "summer/autumn"}, {"seasons shared": 1 / 3}),
        ({"purposes": "running"}, {"purposes": "running/yoga"}, {"purpose shared": 1}),
        ({"purposes": "running"}, {"purposes": "bridal"}, {"purposes differ": 1}),
        ({"purposes": "running"}, {"kind": "shirt"}, {"purposes differ": 1}),
        ({"tradition": "Korean"}, {"tradition": "Korean"}, {"tradition shared": 1}),
        ({"tradition": "Korean"}, {"tradition": "Scottish"}, {"traditions differ": 1}),
        ({"tradition": "Korean"}, {"kind": "shirt"}, {"traditions differ": 1}),
        ({"colour": "red"}, {"colour": "pink"}, {"colours clash": 1}),
        ({"colour": "navy blue"}, {"colour": "blue"}, {"colours of a family": 1}),
        ({"colour": "black"}, {"colour": "grey"}, {}),
        ({"pattern": "floral"}, {"pattern": "floral"}, {"pattern shared": 1}),
        ({"pattern": "floral"}, {"pattern": "animal print"}, {"patterns clash": 1}),
        ({"pattern": "floral"}, {"pattern": "checked"}, {}),
        ({"pattern": "solid"}, {"pattern": "solid"}, {}),
        ({"audience": "women"}, {"audience": "men"}, {"made for others": 1}),
        ({"audience": "girls"}, {"audience": "women"}, {"made for others": 1}),
        ({"audience": "women"}, {"audience": "unisex"}, {}),
    ],
)  # fmt: skip
def test_each_rule_applies_to_the_pairs_that_it_names(
    item: dict[str, str], other: dict[str, str], expected: dict[str, float]
) -> None:
    for pair in ((item, other), (other, item)):
        amounts = amounts_of(*(known(**facts) for facts in pair))
        applied = {rule: amount for rule, amount in zip(RULES, amounts, strict=True) if amount}
        assert applied == pytest.approx(expected)


def test_the_first_fact_of_a_name_counts() -> None:
    facts = FactSets.of({"colour": (Fact(("red",), "user"), Fact(("green",), "photo"))})
    assert facts is not None
    assert facts.colours == {"red"}


def test_nothing_applies_to_an_item_of_which_nothing_is_known() -> None:
    assert known() is None
    assert amounts_of(known(purposes="running", tradition="Korean"), None) is NO_AMOUNTS
