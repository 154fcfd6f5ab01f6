from __future__ import annotations

import pytest
from training.sample_drawing.garments import KINDS, LOUD, Garment, garment_of
from training.sample_drawing.palette import COLOURS
from training.sample_drawing.rules import RULES, agrees, broken_rules

from coordi.errors import DataError
from coordi.types import GARMENT_CATEGORIES


def _outfit(*titles: str) -> list[Garment]:
    return [garment_of(title) for title in titles]


@pytest.mark.parametrize(
    "titles",
    [
        ("white cotton shirt", "navy pinstriped tailored trousers", "burgundy leather loafers"),
        ("mustard fleece hoodie", "indigo denim jeans", "lilac canvas sneakers", "black cotton cap"),
        ("emerald satin slip dress", "black satin stilettos", "gold hoop earrings"),
        ("red wool sweater", "cream corduroy trousers", "burgundy suede ankle boots", "grey checked wool scarf"),
    ],
)
def test_outfits_that_agree(titles: tuple[str, ...]) -> None:
    assert broken_rules(_outfit(*titles)) == ()
    assert agrees(_outfit(*titles))


@pytest.mark.parametrize(
    ("rule", "titles"),
    [
        ("can_be_worn", ("white cotton shirt", "navy tailored trousers")),
        ("can_be_worn", ("white cotton shirt", "black leather loafers", "black leather tote bag")),
        ("can_be_worn", ("white cotton shirt", "navy crepe sheath dress", "black leather loafers")),
        ("can_be_worn", ("navy crepe sheath dress", "black leather loafers", "black leather pumps")),
        ("suits_an_occasion", ("white linen beach shirt", "grey corduroy trousers", "black suede ankle boots")),
        ("has_harmony", ("red cotton shirt", "navy tailored trousers", "olive leather loafers", "teal silk scarf")),
        ("has_harmony", ("pink cotton t-shirt", "indigo denim jeans", "mustard canvas sneakers")),
        (
            "has_one_loud_pattern",
            ("navy striped cotton shirt", "grey checked tailored trousers", "black leather pumps"),
        ),
    ],
)
def test_one_broken_rule_is_named(rule: str, titles: tuple[str, ...]) -> None:
    assert broken_rules(_outfit(*titles)) == (rule,)
    assert not agrees(_outfit(*titles))


def test_formality_is_two_steps_at_most() -> None:
    garments = _outfit("black satin camisole", "black jersey joggers", "black satin stilettos")
    assert "is_equally_formal" in broken_rules(garments)


def test_no_garments_are_no_outfit() -> None:
    assert not agrees([])


def test_every_rule_says_what_it_is() -> None:
    assert all(rule.__doc__ for rule in RULES)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.label)
def test_kinds_are_sensible_and_titles_read_back(kind: object) -> None:
    known = next(found for found in KINDS.values() if found is kind)
    assert known.category in GARMENT_CATEGORIES
    for colour in known.colours:
        assert colour in COLOURS
        for pattern in ("plain", *known.patterns):
            garment = Garment(known, colour, pattern)
            assert garment_of(garment.title) == garment


@pytest.mark.parametrize("title", ["", "cotton shirt", "navy", "plaid cotton shirt", "navy zigzag cotton shirt"])
def test_foreign_titles_are_refused(title: str) -> None:
    with pytest.raises(DataError, match=f"'{title}'"):
        garment_of(title)


def test_loud_patterns_are_sold() -> None:
    assert {pattern for kind in KINDS.values() for pattern in kind.patterns} == {*LOUD, "pinstriped"}
