from __future__ import annotations

import pytest

from coordi.data.leaks import NEAR_SIZE, matches_by_title, words_of
from coordi.types import Item

ONE = "Loose velvet wide leg pants"


def _item(item_id: str, title: str) -> Item:
    return Item(item_id, title, "bottom")


def _match(earlier: str, later: str) -> str:
    same, near = matches_by_title([_item("a", earlier)], [_item("b", later)])
    assert set(same.values()) | set(near.values()) <= {("a",)}
    return "same" if same else "near" if near else "none"


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (ONE, "same"),
        ("LOOSE VELVET wide leg pants", "same"),
        ("Velvet pants, wide-leg, loose", "near"),
        ("Loose velvet wide leg trousers", "near"),
        ("Loose velvet wide leg", "near"),
        ("Loose velvet wide leg pants black", "near"),
        ("Loose velvet wide jersey trousers", "none"),
        ("", "none"),
        ("!!!", "none"),
    ],
)
def test_nearly_the_same_is_a_word_or_its_place(later: str, expected: str) -> None:
    assert _match(ONE, later) == expected
    assert _match(later, ONE) == expected


def test_a_word_of_a_short_title_is_another_thing() -> None:
    assert _match("grey leather shoulder bag", "Loewe leather shoulder bag") == "none"
    assert _match("leather shoulder bag", "bag shoulder leather") == "near"
    assert NEAR_SIZE == 5


def test_all_matches_are_named_and_none_is_its_own() -> None:
    earlier = [_item("a", ONE), _item("b", ONE.upper()), _item("c", "wide leg pants loose velvet"), _item("d", ONE)]
    same, near = matches_by_title(earlier, [_item("d", ONE), _item("e", "Wide leg pants, loose velvet")])
    assert same == {"d": ("a", "b")}
    assert near == {"e": ("a", "b", "c", "d")}


def test_words_have_no_order_case_or_punctuation() -> None:
    assert words_of("Wide-leg Pants; pants") == ("leg", "pants", "pants", "wide")
