from __future__ import annotations

import numpy as np

from coordi.data.leaks import NEAR, Outfits
from coordi.types import Item


def test_likeness_by_hand() -> None:
    items = {name: Item(name, title, "top") for name, title in {
        "a": "red top", "b": "blue jeans", "c": "boots", "d": "bag", "e": "hat", "A": "Top, red", "x": "", "y": "",
    }.items()}  # fmt: skip
    known = Outfits([tuple("abcde"), ("x", "a")], items)
    assert known.likeness(tuple("Abcde")) == 1.0
    assert known.likeness(tuple("bcde")) == 0.8
    assert known.likeness(tuple("bcd")) == 0.0
    assert known.likeness(("x", "A")) == 1.0
    assert known.likeness(("y", "A")) == 0.0  # no title, another thing


def test_a_title_that_comes_twice_is_two_items() -> None:
    items = {name: Item(name, title, "top") for name, title in {"a": "ring", "b": "ring", "c": "hat"}.items()}
    assert Outfits([("a", "b", "c")], items).likeness(("b", "c")) == 0.0
    assert Outfits([("a", "b", "c")], items).likeness(("b", "a", "c")) == 1.0


def test_the_rarest_titles_find_what_a_look_at_all_finds() -> None:
    generator = np.random.default_rng(2)
    items = {str(name): Item(str(name), f"thing {name % 40}", "top") for name in range(80)}
    drawn = [
        tuple(generator.choice(80, int(size), replace=False).astype(str)) for size in generator.integers(2, 9, 400)
    ]
    changed = [outfit[1:] for outfit in drawn[100:200]]
    known = Outfits(drawn[100:], items)

    def slow(outfit: tuple[str, ...]) -> float:
        def bag(names: tuple[str, ...]) -> list[tuple[str, int]]:
            titles = [items[name].title for name in names]
            return [(title, titles[:place].count(title)) for place, title in enumerate(titles)]

        mine = set(bag(outfit))
        most = max(len(mine & set(bag(other))) / len(mine | set(bag(other))) for other in drawn[100:])
        return most if most >= NEAR else 0.0

    expected = [slow(outfit) for outfit in (*drawn[:100], *changed)]
    assert [known.likeness(outfit) for outfit in (*drawn[:100], *changed)] == expected
    assert sum(0 < likeness < 1 for likeness in expected) > 10
