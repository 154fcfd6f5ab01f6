"""Composed outfits agree, and a twin differs in one item that breaks a rule."""

from __future__ import annotations

from collections import Counter

import pytest
from training.compose import Composer

from coordi.api import load
from coordi.style.agreement import RULES
from coordi.types import Item

RULES_IN_ORDER = list(RULES)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(load(), (), (), 2000, seed=5)


@pytest.fixture(scope="module")
def outfits(composer: Composer) -> list[list[Item]]:
    drawn = [composer.outfit() for _ in range(150)]
    return [outfit for outfit in drawn if outfit is not None]


def test_no_two_items_of_an_outfit_break_a_rule(composer: Composer, outfits: list[list[Item]]) -> None:
    assert len(outfits) > 75
    for outfit in outfits:
        assert len(outfit) >= 2
        assert len({item.category for item in outfit}) == len(outfit)
        assert not any(composer.broken((one, other)) for one in outfit for other in outfit if one is not other)
    assert len({item.category for outfit in outfits for item in outfit}) > 10
    assert any("tradition" in item.facts for outfit in outfits for item in outfit)


def test_a_twin_differs_in_one_item_of_the_same_category_that_breaks_a_rule(
    composer: Composer, outfits: list[list[Item]]
) -> None:
    reasons: Counter[str] = Counter()
    for outfit in outfits:
        twin = composer.twin(outfit, composer.by_category)
        if twin is None:
            continue
        (wrong,), (right,) = ([item for item in a if item not in b] for a, b in ((twin, outfit), (outfit, twin)))
        assert wrong.category == right.category
        broken = {RULES_IN_ORDER[rule] for item in twin if item is not wrong for rule in composer.broken((wrong, item))}
        assert broken
        reasons.update(broken)
    assert len(reasons) >= 4


def test_the_same_seed_draws_the_same(composer: Composer) -> None:
    def titles(seed: int) -> list[list[str]]:
        drawn = [Composer(load(), (), (), 300, seed).outfit() for _ in range(2)]
        return [[item.title for item in outfit or ()] for outfit in drawn]

    first, second = titles(3)
    assert first == second
    assert titles(4) != titles(3)
