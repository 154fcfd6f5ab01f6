"""The colours of the sample's shop: what they are called, how they look and which go together."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

RGB = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Colour:
    """A named colour.

    Attributes:
        family: Its hue for the rules of harmony; empty for neutrals, which go with everything.
    """

    name: str
    rgb: RGB
    family: str = ""


_COLOURS = (
    Colour("black", (44, 44, 49)),
    Colour("white", (250, 250, 248)),
    Colour("cream", (242, 229, 200)),
    Colour("grey", (146, 149, 155)),
    Colour("navy", (38, 52, 92)),
    Colour("camel", (193, 148, 97)),
    Colour("brown", (108, 70, 48)),
    Colour("indigo", (62, 84, 128)),
    Colour("natural", (219, 190, 139)),
    Colour("gold", (214, 172, 84)),
    Colour("rose gold", (216, 156, 134)),
    Colour("silver", (190, 195, 202)),
    Colour("bronze", (150, 106, 64)),
    Colour("red", (205, 44, 52), "red"),
    Colour("burgundy", (122, 30, 52), "red"),
    Colour("pink", (238, 158, 178), "pink"),
    Colour("rust", (190, 84, 42), "orange"),
    Colour("mustard", (218, 165, 38), "yellow"),
    Colour("olive", (116, 120, 62), "green"),
    Colour("emerald", (22, 126, 90), "green"),
    Colour("teal", (24, 122, 132), "teal"),
    Colour("sky blue", (138, 186, 226), "blue"),
    Colour("cobalt", (36, 82, 190), "blue"),
    Colour("lilac", (184, 160, 214), "purple"),
)
COLOURS = MappingProxyType({colour.name: colour for colour in _COLOURS})

NEUTRALS = ("black", "white", "cream", "grey", "navy", "camel")
HIDES = ("black", "brown", "camel", "navy", "white", "burgundy", "red", "olive", "grey")
METALS = ("gold", "rose gold", "silver", "bronze")
DENIMS = ("indigo", "black", "grey", "white")
ACCENTS = tuple(colour.name for colour in _COLOURS if colour.family)

COMPLEMENTARY = frozenset(
    frozenset(pair)
    for pair in (("blue", "orange"), ("yellow", "purple"), ("red", "green"), ("teal", "orange"), ("pink", "green"))
)
"""Pairs of hue families that face each other, roughly, on the colour wheel."""


def in_harmony(names: list[str]) -> bool:
    """Whether colours go together: neutrals, with one hue family (accent or tonal) or a complementary pair."""
    families = frozenset(COLOURS[name].family for name in names) - {""}
    return len(families) <= 1 or families in COMPLEMENTARY
