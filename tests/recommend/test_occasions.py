"""Suggestions for an occasion and the weather: what is left out, what is said, and that scores stay as they are."""

from __future__ import annotations

from typing import Any

import pytest

from coordi.errors import RecommendationError
from coordi.recommend.answers import Completion, LeftOut
from coordi.recommend.rules import Rules, parse_rules
from coordi.style.occasions import GivesWay, brief_of
from coordi.types import GarmentCategory, Item

from .shelves import Judge, described, index_of, longest_title, stylist_of

WARDROBE: tuple[tuple[str, str, GarmentCategory], ...] = (
    ("t1", "white dress shirt", "top"),
    ("b1", "blue jeans", "bottom"),
    ("b2", "grey dress trousers", "bottom"),
    ("s1", "black leather oxfords", "shoes"),
    ("s2", "white sneakers", "shoes"),
    ("s3", "leather sandals", "shoes"),
    ("s4", "thingamajig", "shoes"),
    ("o1", "wool overcoat", "outerwear"),
    ("o2", "denim jacket", "outerwear"),
    ("g1", "leather briefcase", "bag"),
    ("g2", "straw beach bag", "bag"),
    ("e1", "umbrella", "accessory"),
)


def complete(outfit: str, want: GarmentCategory | None = None, k: int = 50, **rules: Any) -> Completion:
    shelf = described(*WARDROBE)
    items = [item for item in shelf if item.id in outfit.split()]
    return stylist_of(shelf, Judge(longest_title)).complete(items, want, k, Rules(**rules))


def ids(answer: Completion) -> set[str]:
    return {row.item.id for row in answer.suggestions}


@pytest.mark.parametrize(
    ("occasion", "weather", "title", "category", "fits"),
    [
        ("office", "", "black leather oxfords", "shoes", True),
        ("office", "", "running shoes", "shoes", False),
        ("office", "", "blue jeans", "bottom", False),
        ("interview", "", "striped polo shirt", "top", False),
        ("wedding", "", "white lace dress", "dress", False),
        ("wedding", "", "white silk saree", "dress", True),  # a tradition's white isn't the bride's
        ("wedding", "", "navy suit", "outerwear", True),
        ("black tie", "", "dinner jacket", "outerwear", True),
        ("black tie", "", "white dress shirt", "top", True),  # welcome, whatever its dress code
        ("black tie", "", "brown leather belt", "belt", False),
        ("beach", "", "wool sweater", "top", False),
        ("beach", "", "bikini", "swimwear", True),
        ("gym", "", "running shoes", "shoes", True),
        ("gym", "", "flip flops", "shoes", False),
        ("hiking", "", "hiking boots", "shoes", True),
        ("hiking", "", "stilettos", "shoes", False),
        ("funeral", "", "black pumps", "shoes", True),
        ("funeral", "", "red pumps", "shoes", False),
        ("funeral", "", "black t-shirt", "top", False),
        ("home", "", "pyjamas", "bottom", True),
        ("", "27 C", "wool coat", "outerwear", False),
        ("", "80.6 F", "wool coat", "outerwear", False),
        ("", "27 C", "linen shirt", "top", True),
        ("", "27 C", "raincoat", "outerwear", None),
        ("", "2 C", "wool coat", "outerwear", True),
        ("", "2 C", "shorts", "bottom", False),
        ("", "-5 C", "denim jacket", "outerwear", False),
        ("", "snow", "leather sandals", "shoes", False),
        ("", "snow", "snow boots", "shoes", True),
        ("", "rain", "suede loafers", "shoes", False),
        ("", "rain", "rain boots", "shoes", True),
        ("", "rain", "leather loafers", "shoes", None),
        ("", "wind", "umbrella", "accessory", False),
        ("", "summer", "puffer jacket", "outerwear", False),
    ],
)
def test_facts_decide_what_suits(
    occasion: str, weather: str, title: str, category: GarmentCategory, fits: bool | None
) -> None:
    (item,) = described(("x", title, category))
    brief = brief_of(occasion, weather)
    judgement = brief.judgements(item.facts).get(brief.key[0])
    assert (None if judgement is None else judgement.fits) is fits


def test_what_the_strictest_occasion_welcomes_breaks_no_other_and_what_it_only_allows_may() -> None:
    heels, trousers = described(("x", "stilettos", "shoes"), ("y", "black dress trousers", "bottom"))
    brief = brief_of("beach, black tie", "")
    assert {name: row.fits for name, row in brief.judgements(trousers.facts).items()} == {"black tie": True}
    assert not brief.judgements(heels.facts)["beach"].fits
    (dress,) = described(("z", "sundress", "dress"))  # breaks the dress code of one, and suits the other
    assert {name: row.fits for name, row in brief.judgements(dress.facts).items()} == {"black tie": False}


def test_of_what_facts_do_not_know_nothing_is_left_out() -> None:
    item = Item("x", "thingamajig", "shoes")
    for wish in (("black tie", ""), ("gym", ""), ("", "-20 C, snow, wind"), ("", "40 C, rain")):
        assert brief_of(*wish).judgements(item.facts) == {}


def test_what_breaks_a_rule_is_not_suggested_and_is_counted_by_rule() -> None:
    answer = complete("t1 b2", "shoes", k=1, occasion="office", weather="12 C, snow")
    assert ids(answer) <= {"s1", "s4"}
    assert answer.left_out == (LeftOut("occasion", "office", 2, 2),)  # also where there is enough
    assert answer.understood is not None
    assert answer.understood.gives_way == (GivesWay("snow", "12 C"),)
    assert answer.understood.text == (
        "Understood: office, 12 C; dress code smart casual to cocktail; snow gives way to 12 C."
    )


def test_scores_stay_as_they_are() -> None:
    scores = {row.item.id: row.score for row in complete("t1 b2").suggestions}
    answer = complete("t1 b2", occasion="office")
    assert answer.suggestions
    for row in answer.suggestions:
        assert row.score == scores[row.item.id]


def test_the_reason_says_what_suits() -> None:
    reasons = {row.item.id: row.reason for row in complete("t1 b2", occasion="office", weather="8 C").suggestions}
    oxfords, coat, unknown = reasons["s1"], reasons["o1"], reasons["s4"]
    assert oxfords is not None
    assert oxfords.text.startswith("Suits office: black leather oxfords (business to ceremonial, usual); ")
    assert coat is not None
    assert [remark.guide for remark in coat.fits] == ["office", "8 C"]
    assert unknown is not None
    assert unknown.fits == ()


def test_an_outfit_that_breaks_the_occasion_itself_is_said_to() -> None:
    answer = complete("t1 b1", "shoes", occasion="office")
    assert answer.understood is not None
    (remark,) = answer.understood.outfit
    assert (remark.guide, remark.item, remark.fits, remark.name) == ("office", 1, False, "kind")
    assert "the outfit breaks office: blue jeans (jeans, title)" in answer.understood.text


def test_in_the_cold_outerwear_comes_before_a_bag() -> None:
    assert complete("t1 b2").categories[:2] == ("shoes", "bag")
    assert complete("t1 b2", weather="4 C").categories[:2] == ("shoes", "outerwear")


def test_looks_have_what_the_weather_asks_for_and_nothing_that_breaks_it() -> None:
    shelf = described(*WARDROBE)
    stylist = stylist_of(shelf, Judge(longest_title))
    answer = stylist.outfits(shelf[0], 2, Rules(occasion="office", weather="2 C"))
    assert answer.looks
    for look in answer.looks:
        assert "outerwear" in {item.category for item in look.items}
        assert not {item.id for item in look.items} & {"b1", "s2", "s3", "o2", "g2"}
    assert [row.rule for row in answer.left_out] == ["office"]  # which leaves out what 2 C would, too
    assert answer.understood is not None
    without = stylist_of([item for item in shelf if item.category != "outerwear"], Judge(longest_title))
    assert without.outfits(shelf[0], 1, Rules(weather="2 C")).looks[0].missing == ("outerwear",)
    assert without.outfits(shelf[0], 1).looks[0].missing == ()


def test_nothing_that_suits_says_which_rule() -> None:
    answer = complete("b2", "shoes", weather="snow", occasion="black tie", excluded=("s1", "s4"))
    assert answer.suggestions == ()
    assert "'black tie' leaves out 2, 0 left" in answer.nothing


def test_a_catalogue_is_searched_by_occasion_too() -> None:
    catalogue = index_of(described(*WARDROBE))
    rules = Rules(occasion="office", want=("shoes",))
    items, total = catalogue.page(rules, limit=1)
    assert ([item.id for item in items], total, catalogue.count(rules)) == (["s1"], 2, 2)
    assert [item.id for item in catalogue.page(rules, offset=1)[0]] == ["s4"]


def test_rules_have_the_tables_words_and_refuse_others() -> None:
    rules = parse_rules({"occasion": "Beach Wedding", "weather": "fall, 60 F"})
    assert (rules.occasion, rules.weather) == ("beach, wedding guest", "60 F, autumn")
    assert parse_rules(rules.model_dump()) == rules
    with pytest.raises(RecommendationError, match="weather: the temperature is 60 C; accepted are -50 C"):
        parse_rules({"weather": "60 C"})
    with pytest.raises(RecommendationError, match="occasion: no occasion 'ofice'; nearest: office"):
        parse_rules({"occasion": "ofice"})
