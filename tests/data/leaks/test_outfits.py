from __future__ import annotations

import pytest

from coordi.data.leaks import SplitPair
from coordi.types import Dataset, Item, Outfit

TITLES = {"a": "red top", "b": "blue jeans", "c": "boots", "d": "bag", "e": "hat", "A": "Top, red", "x": "", "y": ""}


def _pair(*outfits: str) -> SplitPair:
    items = {name: Item(name, title, "top") for name, title in TITLES.items()}
    training = tuple(Outfit(outfit, tuple(outfit), "train") for outfit in outfits)
    return SplitPair(Dataset("tiny", "catalogue", items, training, (), text_only=True), ("train", "test"), [])


@pytest.mark.parametrize(
    ("items", "expected"),
    [("Abcde", 1), ("bcde", 1), ("edcba", 1), ("bcd", 0), ("xA", 1), ("yA", 0), ("abcd", 1), ("a", 0)],
)
def test_outfits_of_the_same_titles_or_all_but_one(items: str, expected: int) -> None:
    assert _pair("abcde", "xa").is_recognised(tuple(items)) == expected


def test_a_title_that_comes_twice_is_two_items() -> None:
    assert _pair("aAc").is_recognised(("A", "c")) == 0
    assert _pair("aAc").is_recognised(("A", "a", "c")) == 1
