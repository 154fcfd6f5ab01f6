"""The kinds of garment that the sample's shop sells, and a garment with the title that tells all about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

from coordi.errors import DataError
from coordi.types import GarmentCategory

from .drawing import accessories, bags, bottoms, dresses, outerwear, shoes, tops
from .drawing.canvas import Template
from .palette import ACCENTS, COLOURS, DENIMS, HIDES, METALS, NEUTRALS

Occasion = Literal["work", "casual", "sport", "evening", "beach", "winter"]
OCCASIONS: tuple[Occasion, ...] = ("work", "casual", "sport", "evening", "beach", "winter")

LOUD = ("striped", "checked", "gingham", "polka-dot", "floral")
QUIET = ("plain", "pinstriped")

_ANY = NEUTRALS + ACCENTS
_STRAW = ("natural", "brown", "white", "black", "navy", "red", "teal", "pink")


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of garment.

    Attributes:
        label: Material and noun, such as ``"cotton shirt"``; unique.
        occasions: Where it is worn.
        formality: From 0 (sport) to 3 (evening).
        draw: Makes its template.
        texture: Of its cloth, one of ``drawing.patterns.TEXTURES``.
        colours: Names it comes in.
        patterns: Patterns it comes in besides plain.
        price: Its usual price.
    """

    label: str
    category: GarmentCategory
    occasions: tuple[Occasion, ...]
    formality: int
    draw: Callable[[], Template]
    price: int
    colours: tuple[str, ...] = _ANY
    patterns: tuple[str, ...] = ()
    texture: str = "smooth"


@dataclass(frozen=True, slots=True)
class Garment:
    """A kind in a colour and a pattern; its title says exactly these, so the rules can be learnt from titles."""

    kind: Kind
    colour: str
    pattern: str = "plain"

    @property
    def title(self) -> str:
        """Words as in a shop, such as ``"navy striped cotton shirt"``."""
        words = (self.colour, "" if self.pattern == "plain" else self.pattern, self.kind.label)
        return " ".join(word for word in words if word)


_KINDS = (
    Kind("cotton shirt", "top", ("work",), 2, tops.shirt, 45, patterns=("striped", "checked", "pinstriped")),
    Kind("silk blouse", "top", ("work", "evening"), 2, tops.blouse, 70, patterns=("polka-dot",), texture="satin"),
    Kind("cotton t-shirt", "top", ("casual",), 1, tops.t_shirt, 18, patterns=("striped",)),
    Kind("fleece hoodie", "top", ("casual", "sport"), 0, tops.sweatshirt, 42),
    Kind("mesh training top", "top", ("sport",), 0, partial(tops.t_shirt, raglan=True), 28),
    Kind("satin camisole", "top", ("evening",), 3, tops.camisole, 39, texture="satin"),
    Kind("linen beach shirt", "top", ("beach",), 1, partial(tops.shirt, short=True), 36,
         patterns=("striped", "floral"), texture="linen"),
    Kind("wool sweater", "top", ("winter",), 1, tops.sweater, 65, patterns=("striped",), texture="knit"),
    Kind("cashmere roll-neck", "top", ("winter",), 2, partial(tops.sweater, high_neck=True), 110, texture="knit"),
    Kind("denim jeans", "bottom", ("casual", "winter"), 1, bottoms.jeans, 60, DENIMS, texture="denim"),
    Kind("tailored trousers", "bottom", ("work",), 2, bottoms.trousers, 68, patterns=("pinstriped", "checked")),
    Kind("tweed pencil skirt", "bottom", ("work",), 2, bottoms.pencil_skirt, 55, patterns=("checked",),
         texture="tweed"),
    Kind("velvet wide-leg trousers", "bottom", ("evening",), 3, partial(bottoms.trousers, wide=True), 80),
    Kind("satin pleated skirt", "bottom", ("evening",), 3, bottoms.pleated_skirt, 72, texture="satin"),
    Kind("jersey joggers", "bottom", ("sport",), 0, bottoms.joggers, 38),
    Kind("running shorts", "bottom", ("sport",), 0, partial(bottoms.shorts, sporty=True), 25),
    Kind("linen shorts", "bottom", ("beach",), 1, bottoms.shorts, 32, patterns=("gingham", "striped"),
         texture="linen"),
    Kind("full cotton skirt", "bottom", ("beach", "casual"), 1, bottoms.full_skirt, 40,
         patterns=("floral", "polka-dot", "gingham")),
    Kind("corduroy trousers", "bottom", ("winter",), 1, bottoms.trousers, 58, texture="corduroy"),
    Kind("crepe sheath dress", "dress", ("work",), 2, dresses.sheath_dress, 95, patterns=("checked",)),
    Kind("jersey t-shirt dress", "dress", ("casual",), 1, dresses.shift_dress, 35, patterns=("striped",)),
    Kind("satin slip dress", "dress", ("evening",), 3, dresses.slip_dress, 98, texture="satin"),
    Kind("cotton sundress", "dress", ("beach",), 1, dresses.sun_dress, 49, patterns=("floral", "gingham", "polka-dot"),
         texture="linen"),
    Kind("knitted wool dress", "dress", ("winter",), 1, partial(dresses.sheath_dress, knitted=True), 85,
         texture="knit"),
    Kind("wool blazer", "outerwear", ("work",), 2, outerwear.blazer, 130, patterns=("checked", "pinstriped")),
    Kind("tuxedo blazer", "outerwear", ("evening",), 3, partial(outerwear.blazer, satin=True), 150),
    Kind("denim jacket", "outerwear", ("casual",), 1, outerwear.denim_jacket, 75, DENIMS, texture="denim"),
    Kind("track jacket", "outerwear", ("sport",), 0, outerwear.track_jacket, 55),
    Kind("wool winter coat", "outerwear", ("winter",), 2, outerwear.coat, 190, patterns=("checked",), texture="tweed"),
    Kind("leather loafers", "shoes", ("work",), 2, shoes.loafers, 90, HIDES),
    Kind("leather pumps", "shoes", ("work",), 2, shoes.pumps, 85, HIDES),
    Kind("satin stilettos", "shoes", ("evening",), 3, shoes.pumps, 99, texture="satin"),
    Kind("canvas sneakers", "shoes", ("casual",), 1, shoes.sneakers, 45),
    Kind("running shoes", "shoes", ("sport",), 0, partial(shoes.sneakers, running=True), 80),
    Kind("flat leather sandals", "shoes", ("beach",), 1, shoes.sandals, 48, (*HIDES, "pink", "teal", "mustard")),
    Kind("suede ankle boots", "shoes", ("winter",), 1, shoes.ankle_boots, 110, (*HIDES, "rust", "mustard", "teal")),
    Kind("leather tote bag", "bag", ("work",), 2, bags.tote, 120, HIDES),
    Kind("canvas backpack", "bag", ("casual",), 1, bags.backpack, 52, texture="linen"),
    Kind("nylon gym backpack", "bag", ("sport",), 0, partial(bags.backpack, sporty=True), 48),
    Kind("satin clutch", "bag", ("evening",), 3, bags.clutch, 58, texture="satin"),
    Kind("straw tote", "bag", ("beach",), 1, partial(bags.tote, straw=True), 38, _STRAW, texture="straw"),
    Kind("suede shoulder bag", "bag", ("winter",), 1, bags.shoulder_bag, 88, (*HIDES, "rust", "mustard", "teal")),
    Kind("silk scarf", "scarf", ("work",), 2, partial(accessories.scarf, silk=True), 40,
         patterns=("floral", "polka-dot"), texture="satin"),
    Kind("wool scarf", "scarf", ("winter",), 1, accessories.scarf, 32, patterns=("checked", "striped"),
         texture="knit"),
    Kind("knitted beanie", "headwear", ("winter",), 1, accessories.beanie, 20, texture="knit"),
    Kind("straw sun hat", "headwear", ("beach",), 1, accessories.sun_hat, 30, _STRAW, texture="straw"),
    Kind("cotton cap", "headwear", ("sport", "casual"), 0, accessories.cap, 19),
    Kind("pearl earrings", "jewellery", ("work", "evening"), 2, partial(accessories.earrings, pearl=True), 60, METALS),
    Kind("hoop earrings", "jewellery", ("evening",), 3, accessories.earrings, 35, METALS),
    Kind("pendant necklace", "jewellery", ("evening",), 3, accessories.necklace, 55, METALS),
    Kind("beaded necklace", "jewellery", ("beach", "casual"), 1, partial(accessories.necklace, beaded=True), 22),
    Kind("leather belt", "belt", ("work", "casual"), 1, accessories.belt, 34, HIDES),
    Kind("leather-strap watch", "watch", ("work",), 2, accessories.watch, 140, HIDES),
    Kind("sports watch", "watch", ("sport",), 0, partial(accessories.watch, sporty=True), 120),
    Kind("sunglasses", "eyewear", ("beach", "casual"), 1, accessories.sunglasses, 65),
)  # fmt: skip
KINDS = MappingProxyType({kind.label: kind for kind in _KINDS})


def garment_of(title: str) -> Garment:
    """Read a garment back from its title.

    Raises:
        DataError: If it isn't a title of the sample's shop.
    """
    for kind in _KINDS:
        words = title.removesuffix(kind.label).strip()
        if title == words or not title.endswith(f" {kind.label}"):
            continue
        for pattern in (*LOUD, *QUIET):
            colour = words.removesuffix(f" {pattern}")
            if colour in COLOURS and (colour != words or pattern == "plain"):
                return Garment(kind, colour, pattern)
    raise DataError(
        f"'{title}' isn't a title of the sample; accepted is '<colour> [<pattern>] <kind>', as in items.csv"
    )
