"""Shapes laid over one another become a template: how much of each paint reaches each pixel.

The picture is linear in its paints, so one template serves every colour and pattern of a garment. Shapes are drawn
four times larger and averaged down, which gives smooth edges; shading comes from blurred copies of the shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from .outline import Points

Map = npt.NDArray[np.float32]

SIZE = 384
_SCALE = 4
_UNIT = SIZE / 100
_WIDE_BLUR = 4.0


@dataclass(frozen=True, slots=True)
class Slot:
    """A paint and the direction in which its pattern runs, in degrees."""

    paint: str
    grain: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A drawn garment before colour; equal only to itself.

    Attributes:
        weights: By slot, how much of that paint a pixel takes, shading included, shape ``(SIZE, SIZE)``.
        glow: White light on top, in ``[0, 1]``.
        cover: How much of the pixel is garment rather than ground, in ``[0, 1]``.
        standing: Whether it stands on the floor (shoes, bags) rather than lies or hangs.
    """

    weights: dict[Slot, Map]
    glow: Map
    cover: Map
    standing: bool


@dataclass(frozen=True, slots=True)
class Finish:
    """How a shape takes the light.

    Attributes:
        tone: Brightness of the whole shape; below 1 for linings and insides.
        volume: How much its edges turn away from the light.
        round: Width of that turn, in per cent of the picture.
        gloss: Strength of highlights, as on leather or satin.
        lift: Depth of the shadow it throws on what lies beneath.
    """

    tone: float = 1.0
    volume: float = 1.0
    round: float = 3.0
    gloss: float = 0.0
    lift: float = 0.35


CLOTH = Finish()
BODY = Finish(volume=0.8, lift=0.16)
FLAT = Finish(volume=0.55, round=1.4, lift=0.25)
INSIDE = Finish(tone=0.62, volume=0.6, lift=0.0)
LEATHER = Finish(gloss=0.32, round=2.4)
METAL = Finish(gloss=0.75, round=0.7, volume=1.2)


class Sketch:
    """Collects shapes from back to front; seams and folds belong to the shape before them."""

    def __init__(self, standing: bool = False) -> None:
        self._weights: dict[Slot, Map] = {}
        self._glow: Map = np.zeros((SIZE, SIZE), np.float32)
        self._cover: Map = np.zeros((SIZE, SIZE), np.float32)
        self._mask: Map = np.zeros((SIZE, SIZE), np.float32)
        self._slot = Slot("main")
        self._standing = standing

    def fill(
        self, shape: Points | list[Points], paint: str = "main", finish: Finish = CLOTH, grain: float = 0.0
    ) -> None:
        """Lay a filled shape (or several at once) over what is there."""
        shapes = [shape] if isinstance(shape, tuple) else shape
        mask = _coverage(shapes)
        shade, light = _lit(mask, finish)
        if finish.lift:
            cast = shifted(blurred(mask, 1.1), 3, 2) * finish.lift * (1 - mask)
            self._scale(1 - cast)
        self._scale(1 - mask)
        self._glow *= 1 - mask
        self._slot, self._mask = Slot(paint, grain), mask
        weights = self._weights.setdefault(self._slot, np.zeros((SIZE, SIZE), np.float32))
        weights += mask * shade * finish.tone
        self._glow += mask * light
        self._cover = np.maximum(self._cover, mask)

    def seam(self, lines: list[Points], width: float = 0.35, strength: float = 0.42, dashed: bool = False) -> None:
        """Draw thin dark lines on the last shape; dashed ones are stitches and also catch light."""
        ink = _strokes(_dashes(lines) if dashed else lines, width) * self._mask
        self._weights[self._slot] *= 1 - ink * strength
        if dashed:
            self._glow += shifted(ink, 1, 0) * 0.05 * self._mask

    def stitch(self, lines: list[Points], paint: str, width: float = 0.4) -> None:
        """Draw a dashed line of another paint on the last shape, such as the yellow thread of jeans."""
        ink = _strokes(_dashes(lines), width) * self._mask * 0.85
        self._scale(1 - ink)
        weights = self._weights.setdefault(Slot(paint), np.zeros((SIZE, SIZE), np.float32))
        weights += ink

    def fold(self, lines: list[Points], width: float = 2.0, strength: float = 0.2, soft: float = 1.1) -> None:
        """Draw soft folds on the last shape: a dark valley with a light ridge beside it."""
        valley = blurred(_strokes(lines, width), soft) * self._mask
        shift = max(1, round(width * _UNIT * 0.55))
        ridge = shifted(valley, -shift // 2, -shift) * self._mask
        self._weights[self._slot] *= 1 - valley * strength
        self._glow += np.clip(ridge - valley * 0.6, 0, 1) * strength * 0.32

    def shine(self, lines: list[Points], width: float = 1.5, strength: float = 0.3, soft: float = 0.9) -> None:
        """Draw soft highlights on the last shape."""
        self._glow += blurred(_strokes(lines, width), soft) * self._mask * strength

    def template(self) -> Template:
        """The finished template."""
        return Template(self._weights, np.clip(self._glow, 0, 1), self._cover, self._standing)

    def _scale(self, factor: Map) -> None:
        for weights in self._weights.values():
            weights *= factor


def _lit(mask: Map, finish: Finish) -> tuple[Map, Map]:
    """Shading (a factor) and highlights (added white) of a shape, with light from the upper left."""
    wide = blurred(mask, finish.round)
    rim = np.clip(blurred(mask, 0.45) * 2 - 1, 0, 1)
    turn = np.clip(wide * 2 - 1, 0, 1)
    step = max(1, round(finish.round * _UNIT * 0.5))
    lower = shifted(wide, step, step)
    slope = shifted(wide, -step, -step) - lower
    shade = 1 - finish.volume * (0.17 * (1 - turn) ** 1.5 + 0.2 * (1 - rim)) + finish.volume * 0.13 * slope
    light = np.clip(slope, 0, 1) * (0.05 + 0.3 * finish.gloss) + (1 - turn) * rim * 0.025
    if finish.gloss:
        light += finish.gloss * 0.5 * np.clip(lower - 0.82, 0, 1) * np.clip(slope, 0, 1)
    return np.clip(shade, 0, 1.08).astype(np.float32), light.astype(np.float32)


def shifted(values: Map, down: int, right: int) -> Map:
    """The same map moved by whole pixels, with nothing coming in from outside."""
    moved = np.zeros_like(values)
    rows, columns = values.shape
    moved[max(down, 0) : rows + min(down, 0), max(right, 0) : columns + min(right, 0)] = values[
        max(-down, 0) : rows + min(-down, 0), max(-right, 0) : columns + min(-right, 0)
    ]
    return moved


def _coverage(shapes: list[Points]) -> Map:
    large = Image.new("L", (SIZE * _SCALE, SIZE * _SCALE))
    draw = ImageDraw.Draw(large)
    for shape in shapes:
        draw.polygon(_pixels(shape), fill=255)
    return _small(large)


def _strokes(lines: list[Points], width: float) -> Map:
    large = Image.new("L", (SIZE * _SCALE, SIZE * _SCALE))
    draw = ImageDraw.Draw(large)
    thick = max(1, round(width * _UNIT * _SCALE))
    for line in lines:
        draw.line(_pixels(line), fill=255, width=thick, joint="curve")
    return _small(large)


def _small(large: Image.Image) -> Map:
    return np.asarray(large.reduce(_SCALE), np.float32) / np.float32(255)


def _pixels(points: Points) -> list[tuple[float, float]]:
    factor = _UNIT * _SCALE
    return [(x * factor, y * factor) for x, y in points]


def blurred(mask: Map, radius: float) -> Map:
    """Blur by a radius in per cent of the picture; a wide one at half size, which nobody can tell and is faster."""
    image = Image.fromarray(np.round(mask * 255).clip(0, 255).astype(np.uint8))
    pixels = radius * _UNIT
    if pixels < _WIDE_BLUR:
        soft = image.filter(ImageFilter.GaussianBlur(pixels))
    else:
        small = image.reduce(2).filter(ImageFilter.GaussianBlur(pixels / 2))
        soft = small.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return np.asarray(soft, np.float32) / np.float32(255)


def _dashes(lines: list[Points], length: float = 1.1, gap: float = 0.8) -> list[Points]:
    """Cut lines into dashes of even length."""
    found: list[Points] = []
    for line in lines:
        along = np.asarray(line)
        reach = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(along, axis=0).T))])
        for start in np.arange(0, reach[-1], length + gap):
            at = np.linspace(start, min(start + length, reach[-1]), 4)
            xs, ys = np.interp(at, reach, along[:, 0]), np.interp(at, reach, along[:, 1])
            found.append(tuple(zip(xs.tolist(), ys.tolist(), strict=True)))
    return found
