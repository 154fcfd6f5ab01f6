"""A template in its colours, photographed: paints, pattern, texture, ground, shadow and light."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from ..palette import RGB
from .canvas import SIZE, Map, Template, blurred, shifted
from .patterns import pattern_maps, texture_map

FIXED: dict[str, RGB] = {
    "white": (246, 245, 242),
    "ivory": (236, 228, 210),
    "black": (38, 38, 42),
    "rubber": (226, 222, 214),
    "gum": (178, 130, 84),
    "leather": (132, 84, 52),
    "wood": (120, 82, 54),
    "gold": (212, 172, 88),
    "silver": (196, 200, 206),
    "thread": (214, 160, 84),
    "lens": (58, 54, 58),
    "pearl": (240, 234, 224),
}
"""Paints that don't change with the garment's colour. ``main`` and ``plain`` do: with and without the pattern."""


@dataclass(frozen=True, slots=True)
class Cloth:
    """What a template is made of.

    Attributes:
        colour: The named colour.
        second: Of the pattern.
        third: Of the pattern's small marks.
        pattern: One of ``patterns.PATTERNS``.
        texture: One of ``patterns.TEXTURES``.
    """

    colour: RGB
    second: RGB = (250, 250, 248)
    third: RGB = (90, 110, 80)
    pattern: str = "plain"
    texture: str = "smooth"


def photograph(template: Template, cloth: Cloth, flipped: bool = False) -> Image.Image:
    """The garment on a soft studio ground, an RGB image of ``SIZE`` by ``SIZE``."""
    picture = _ground(template).copy()
    for slot, weights in template.weights.items():
        if slot.paint in FIXED:
            picture += weights[..., None] * np.asarray(FIXED[slot.paint], np.float32)
        else:
            pattern = cloth.pattern if slot.paint == "main" else "plain"
            shaded = weights * texture_map(cloth.texture, slot.grain)
            picture += shaded[..., None] * _dyed(cloth, pattern, slot.grain)
    picture += (template.glow * 255)[..., None] * np.asarray((1.0, 0.985, 0.96), np.float32)
    image = Image.fromarray(np.clip(np.round(picture), 0, 255).astype(np.uint8))
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flipped else image


def _dyed(cloth: Cloth, pattern: str, grain: float) -> Map:
    """Colour of the cloth, shape ``(SIZE, SIZE, 3)`` or ``(3,)`` where it is plain."""
    base = np.asarray(cloth.colour, np.float32)
    if pattern == "plain":
        return base
    second, third = pattern_maps(pattern, grain)
    mixed = base + second[..., None] * (np.asarray(cloth.second, np.float32) - base)
    return mixed + third[..., None] * (np.asarray(cloth.third, np.float32) - mixed)


@lru_cache(maxsize=2)
def _ground(template: Template) -> Map:
    """The studio with the garment's shadow on it and a hole where the garment goes."""
    near = shifted(blurred(template.cover, 1.05), 5, 3)
    far = shifted(blurred(template.cover, 3.7), 12, 7)
    shadow = 1 - 0.2 * near - 0.2 * far
    if template.standing:
        shadow *= 1 - 0.3 * _floor_shadow(template.cover)
    return _studio() * (shadow * (1 - template.cover))[..., None]


def _floor_shadow(cover: Map) -> Map:
    """A dark, flat pool of shadow where the garment touches the floor."""
    rows = np.flatnonzero(cover.max(axis=1) > 0.5)
    columns = np.flatnonzero(cover.max(axis=0) > 0.5)
    middle, half = (columns[0] + columns[-1]) / 2, (columns[-1] - columns[0]) / 2 + 6
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    distance = ((x - middle) / half) ** 2 + ((y - rows[-1] + 2) / 11) ** 2
    return np.asarray(np.exp(-1.6 * distance), np.float32)


@lru_cache(maxsize=1)
def _studio() -> Map:
    """Warm grey paper with light from the upper left, shape ``(SIZE, SIZE, 3)``."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    light = 1.0 - 0.11 * ((x - 0.38) ** 2 + (y - 0.34) ** 2) ** 0.5
    return np.asarray(light[..., None] * np.asarray((232, 229, 224)), np.float32)
