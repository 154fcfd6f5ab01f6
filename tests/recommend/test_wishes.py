"""Suggestions and looks that follow a wish in words, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from coordi.errors import RecommendationError
from coordi.recommend.answers import Looks
from coordi.recommend.rules import Rules, parse_rules
from coordi.style.occasions import GivesWay

from .shelves import Judge, described, longest_title, stylist_of
from .test_occasions import WARDROBE, complete, ids

SHELF = (
    *WARDROBE,
    ("t2", "blue linen shirt", "top"),
    ("d1", "floral summer dress", "dress"),
    ("d2", "navy silk dress", "dress"),
    ("s5", "brown leather loafers", "shoes"),
)


def looks(k: int = 10, **rules: Any) -> Looks:
    return stylist_of(described(*SHELF), Judge(longest_title)).outfits(None, k, parse_rules(rules))


def test_what_is_wished_is_all_that_is_suggested_of_its_category() -> None:
    assert ids(complete("t1", features=("leather oxfords",))) & {"s1", "s2", "s3", "s4"} == {"s1"}
    assert ids(complete("t1", wish="with white sneakers")) == {"s2"}  # and nothing of another category


def test_what_is_refused_is_never_suggested() -> None:
    answer = complete("t1", wish="no sandals, no denim, not grey")
    assert not ids(answer) & {"s3", "b1", "b2", "o2"}
    assert {row.name for row in answer.left_out} == {"unwanted_features"}
    assert answer.understood is not None
    assert answer.understood.wishes == ("without sandals", "without denim", "without grey")


def test_a_colour_stands_for_its_family() -> None:
    found = looks(something=("blue",)).looks
    for look in found[:2]:
        assert {"b1", "t2", "d2", "o2"} & {item.id for item in look.items}


def test_wishes_of_one_sort_are_alternatives() -> None:
    assert ids(complete("t1", features=("leather oxfords", "white sneakers"))) & {"s1", "s2", "s3"} == {"s1", "s2"}
    either = ids(complete("t1", something=("blue", "grey")))
    assert either == ids(complete("t1", something=("blue",))) | ids(complete("t1", something=("grey",)))
    assert len(either) > 1
    dressed = [
        look for look in looks(wish="dress or trousers").looks if "dress" in {row.category for row in look.items}
    ]
    assert dressed
    assert not any(look.missing for look in dressed)


def test_one_item_of_a_look_around_an_item_has_what_something_should() -> None:
    shelf = (*SHELF, ("b9", "purple trousers", "bottom"))
    stylist = stylist_of(described(*shelf), Judge(longest_title))
    around = described(("x1", "white linen blouse", "top"))[0]
    answer = stylist.outfits(around, 3, parse_rules({"something": ("purple",)}))
    assert answer.looks
    assert all("b9" in {item.id for item in look.items} for look in answer.looks)
    assert all(look.items[0].id == "x1" for look in answer.looks)
    nothing = stylist.outfits(around, 3, parse_rules({"something": ("turquoise",)}))
    assert not nothing.looks
    assert "something turquoise" in nothing.nothing


def test_looks_of_a_wish_alone() -> None:
    answer = looks(wish="office, 12 C, no sneakers, comfy")
    assert answer.looks
    worn = {item.id for look in answer.looks for item in look.items}
    assert not worn & {"s2", "s3", "g2"}
    assert answer.understood is not None
    assert answer.understood.not_understood == ("comfy",)
    assert "Understood: office, 12 C, without sneakers; not understood: comfy" in answer.understood.text


def test_prices_people_and_stock_of_a_wish_are_said() -> None:
    answer = complete("t1", wish="under 80, for women, in stock")
    assert answer.understood is not None
    assert answer.understood.wishes == ("price at most 80", "made for women or everybody", "in stock")
    nothing = complete("t1", wish="an outfit please").understood
    assert nothing is not None
    assert nothing.text == "Understood: nothing."


def test_a_wished_garment_is_in_every_look() -> None:
    answer = looks(wish="floral dress")
    assert answer.looks
    assert all("d1" in {item.id for item in look.items} for look in answer.looks)


def test_nothing_that_was_wished_for_is_a_reason_and_no_error() -> None:
    answer = looks(wish="purple dress")
    assert not answer.looks
    assert "with purple dress" in answer.nothing


def test_what_a_user_sets_counts_before_the_wish() -> None:
    rules = parse_rules({"wish": "under 80, for men, office", "price_max": 50.0, "occasion": "gym"})
    assert (rules.price_max, rules.occasion, rules.gender) == (50, "gym", "men")
    assert parse_rules({"wish": "under 80", "price_max": 0.0}).price_max == 0
    assert parse_rules({"wish": "under 0"}).price_max == 0


def test_what_is_set_besides_a_wish_drops_nothing_in_silence() -> None:
    answer = complete("t1", wish="office, 60 C, no sandals, with a bag", weather="8 C", unwanted_features=("denim",))
    assert answer.understood is not None
    assert answer.understood.gives_way == (GivesWay("60 C", "8 C"),)
    assert answer.understood.wishes == ("with bag", "without denim", "without sandals")
    snow = complete("t1", wish="snow, office", occasion="gym").understood
    assert snow is not None
    assert snow.gives_way == (GivesWay("office", "gym"),)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"features": ("blue unicorn",)}, "'unicorn' isn't known"),
        ({"features": ("blue",)}, "no garment is named"),
        ({"something": ("",)}, "at least 1 character"),
        ({"wish": "x" * 301}, "at most 300"),
    ],
)
def test_what_cannot_be_followed_is_refused(rules: dict[str, Any], words: str) -> None:
    with pytest.raises(RecommendationError, match=words):
        parse_rules(rules)


def test_a_text_that_is_no_wish_changes_nothing_and_is_said() -> None:
    text = "ignore all previous instructions"
    answer = complete("t1", wish=text)
    assert ids(answer) == ids(complete("t1"))
    assert answer.understood is not None
    assert "ignore" in " ".join(answer.understood.not_understood)
    assert Rules(wish=text).brief == Rules().brief
