"""Rules of how the facts of two items agree, worked out by hand."""

from __future__ import annotations

from typing import cast

import pytest

from coordi.style.agreement import (
    NO_AMOUNTS,
    RULES,
    THROUGHOUT,
    FactSets,
    amounts_of,
    are_far_apart,
    misses_dress_code,
    remarks,
    throughout,
)
from coordi.types import Fact, FactName, Facts


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


def read(**values: str) -> Facts:
    return {cast(FactName, name): (Fact(tuple(text.split("/")), "title"),) for name, text in values.items()}


def test_remarks_name_each_rule_once_with_the_facts_that_it_reads() -> None:
    gown = read(formality="black tie/ceremonial", colour="red", seasons="spring/summer/autumn/winter")
    boots = read(formality="sport/casual", colour="red", seasons="autumn/winter")
    trainers = read(formality="casual/smart casual", colour="pink")
    said = remarks([gown, boots, trainers])
    assert [(remark.rule, remark.items, remark.speaks_for) for remark in said] == [
        ("dress codes apart", (0, 1), False),
        ("colours clash", (0, 2), False),
        ("colours of a family", (0, 1), True),
    ]
    assert said[0].fact == "formality"
    assert said[0].facts == (gown["formality"][0], boots["formality"][0])
    assert remarks([gown, {}]) == remarks([{}, {}]) == remarks([gown]) == ()


def test_dressy_things_share_a_dress_code_and_everyday_ones_say_nothing_of_it() -> None:
    oxfords, suit = read(formality="business/black tie"), read(formality="business/cocktail")
    assert [remark.rule for remark in remarks([oxfords, suit])] == ["dress codes shared"]
    assert [remark.rule for remark in remarks([read(formality="sport"), read(formality="sport/casual")])] == [
        "dress codes shared"
    ]
    jeans = read(formality="casual/smart casual")
    assert remarks([jeans, jeans]) == ()


@pytest.mark.parametrize(
    ("item", "other", "expected"),
    [
        ({"formality": "business"}, {"formality": "sport"}, True),
        ({"formality": "business"}, {"formality": "casual"}, False),
        ({"formality": "business/cocktail"}, {"formality": "sport/casual"}, False),
        ({"formality": "business/cocktail"}, {"formality": "sport/casual", "purposes": "training"}, True),
        ({"seasons": "autumn/winter"}, {"seasons": "spring/summer"}, True),
        ({"seasons": "winter"}, {"seasons": "autumn"}, False),
        ({"seasons": "autumn/winter"}, {"seasons": "spring/summer/autumn"}, False),
        ({"colour": "red"}, {"colour": "pink"}, False),
        ({"kind": "shirt"}, {"audience": "women"}, False),
    ],
)
def test_far_apart_is_what_nobody_wears_together(item: dict[str, str], other: dict[str, str], expected: bool) -> None:
    assert are_far_apart(known(**item), known(**other)) is expected
    assert are_far_apart(known(**other), known(**item)) is expected
    assert not are_far_apart(None, known(**other))


SUIT = [{"formality": "business/black tie"}, {"formality": "business/cocktail"}]
GYM = [{"formality": "sport/casual"}, {"formality": "sport/casual", "purposes": "training"}]


@pytest.mark.parametrize(
    ("outfit", "codes", "expected"),
    [
        (SUIT, "casual/smart casual", True),
        (SUIT, "smart casual/cocktail", False),
        (SUIT[:1], "casual/smart casual", False),  # of a single item, only what is far
        ([*SUIT, {"formality": "casual"}], "casual", False),  # no dress code of the outfit's own
        (GYM, "casual/business", True),
        (GYM, "sport/smart casual", False),
        (GYM[:1] * 2, "casual/business", False),  # a T-shirt isn't made for a sport
        ([{"formality": "sport/casual", "purposes": "beach"}] * 2, "casual/business", False),
        ([{"formality": "sport/casual", "purposes": "sleep"}] * 2, "casual/business", False),
    ],
)
def test_an_outfit_for_the_office_or_for_sport_has_a_dress_code(
    outfit: list[dict[str, str]], codes: str, expected: bool
) -> None:
    item = known(formality=codes, category="bag")
    assert misses_dress_code(item, [known(**row) for row in outfit]) is expected
    assert not misses_dress_code(None, [known(**row) for row in outfit])


@pytest.mark.parametrize(
    ("outfit", "expected"),
    [
        (["top orange", "bottom orange", "shoes orange", "bag orange"], 2),
        (["top orange", "bottom orange", "shoes orange"], 1),
        (["top orange", "bottom peach", "shoes orange"], 1),  # of one family
        (["top orange", "bottom orange", "shoes white"], 0),
        (["dress orange", "jewellery orange", "shoes orange", "bag orange"], 0),
        (["top black", "bottom black", "shoes black", "bag black"], 0),
        (["top orange/white", "bottom orange", "shoes orange"], 0),
        (["top multicolour", "bottom multicolour", "shoes multicolour"], 0),
    ],
)
def test_one_strong_colour_throughout_is_counted_and_said(outfit: list[str], expected: int) -> None:
    rows = [dict(zip(("category", "colour"), text.split(), strict=True)) for text in outfit]
    assert throughout([known(**row) for row in rows]) == expected
    facts: list[Facts] = [
        {cast(FactName, name): (Fact(tuple(text.split("/")), "title"),) for name, text in row.items()} for row in rows
    ]
    assert (THROUGHOUT in [remark.rule for remark in remarks(facts)]) is (expected > 0)
    last = [remark for remark in remarks(facts, of=2) if remark.rule == THROUGHOUT]
    assert all(2 in remark.items and not remark.speaks_for for remark in last)


def test_an_accessory_may_be_casual_in_an_outfit_for_sport() -> None:
    gym = [known(**row) for row in GYM]
    assert not misses_dress_code(known(formality="casual/business", category="watch"), gym)


def test_denim_is_worn_with_other_blue_things() -> None:
    blue = {"colour": "blue"}
    outfit = [
        {"category": "top", **blue},
        {"category": "bottom", "material": "denim", **blue},
        {"category": "bag", **blue},
    ]
    assert throughout([known(**row) for row in outfit]) == 0
