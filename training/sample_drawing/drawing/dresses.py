"""Dresses in five cuts."""

from __future__ import annotations

from .canvas import FLAT, INSIDE, METAL, Finish, Sketch, Template
from .outline import curve, symmetric
from .tops import both, buttons, straps


def sun_dress() -> Template:
    """A sundress with straps, a fitted bodice and a gathered skirt."""
    sketch = Sketch()
    straps(sketch, "M 40.4 19 Q 39.6 11 42.6 4.6", "M 42.6 4.6 Q 45.4 10 45 19", 1.7)
    sketch.fill(symmetric("M 50 20 Q 44 18 40 17.6 L 38 28 L 50 30"), "plain", INSIDE)
    sketch.fill(symmetric("M 50 47 L 38.6 46 Q 28 68 20 90 Q 25 94 32 93 Q 38 96 44 94.6 Q 47 96 50 95.4"))
    sketch.fold(
        [
            curve("M 41 49 Q 35 70 30 93"),
            curve("M 45 49 Q 42 72 41 94"),
            curve("M 50 50 Q 50 72 50 95"),
            curve("M 55 49 Q 58 72 60 94"),
            curve("M 59 49 Q 65 70 71 93"),
        ],
        2.2,
        0.22,
        1.2,
    )
    sketch.fold(
        [((x, 48.0), (50 + (x - 50) * 1.25, 54.0)) for x in (40 + 1.9 * step for step in range(11))], 0.7, 0.28, 0.5
    )
    sketch.fill(
        symmetric(
            "M 50 24.4 Q 46 18.6 41.4 18 Q 39.6 18 38.6 18.4 Q 38.4 25 35.6 29 Q 39 38 38.4 47.4 Q 44 48.6 50 48.6"
        )
    )
    sketch.seam([curve("M 43.6 19 Q 43 32 44 48"), curve("M 56.4 19 Q 57 32 56 48")], 0.25, 0.32)
    buttons(sketch, [(50.0, y) for y in (28, 33, 38, 43)], "ivory", 0.8)
    sketch.fill(symmetric("M 50 46.4 Q 44 46.4 38.4 45.2 L 38.2 48.6 Q 44 49.8 50 49.8"), "plain", FLAT)
    return sketch.template()


def sheath_dress(knitted: bool = False) -> Template:
    """A knee-length sheath with short sleeves, or a long-sleeved knitted dress with a high collar."""
    sketch = Sketch()
    sketch.fill(symmetric("M 50 9.6 Q 45 9.6 42 11 L 43 16 L 50 17.4"), "plain", INSIDE)
    sleeve = (
        "M 36 12.4 Q 29.6 14.4 27.4 25 Q 23.6 44 21.4 60 Q 24.4 62 28.4 61.4 Q 32 46 35.6 32 Q 37 22 36 12.4"
        if knitted
        else "M 36 12.4 Q 30 14.6 28.2 21 L 25 31 Q 29 34 33.4 34.4 L 36 29 Q 37.4 20 36 12.4"
    )
    for side, grain in zip(both(curve(sleeve)), (16, -16), strict=True):
        sketch.fill(side, "main", grain=grain)
    sketch.fill(
        symmetric(
            "M 50 16.6 Q 45 15.4 42.6 10.4 L 34 13 Q 36 22 35.6 30 Q 39 40 38.4 46 "
            "Q 33.6 56 34 64 L 36 92 Q 43 93.4 50 93.4"
        )
    )
    sketch.fold(
        [
            curve("M 39 46 Q 44 49 49 48"),
            curve("M 61 47 Q 56 50 51 49"),
            curve("M 36 60 Q 42 64 47 63"),
            curve("M 64 74 Q 58 78 53 77"),
            curve("M 37 32 Q 41 36 42 42"),
        ],
        1.7,
        0.16,
        1.2,
    )
    if knitted:
        sketch.fill(symmetric("M 50 6.4 Q 45 6.4 42.8 7.6 Q 42.6 12 41 14.6 Q 45 17.6 50 17.6"), "plain")
        sketch.seam([((x, 7.0), (50 + (x - 50) * 1.15, 17.4)) for x in (43.4 + 1.2 * s for s in range(12))], 0.35, 0.25)
        sketch.fill(symmetric("M 50 89 Q 43 89 35.6 87.6 L 36 92.6 Q 43 94 50 94"), "plain", FLAT)
        return sketch.template()
    sketch.seam([curve("M 42 30 Q 43.6 44 42 58"), curve("M 58 30 Q 56.4 44 58 58")], 0.28, 0.35)
    sketch.fill(symmetric("M 50 47.6 L 38.6 46.4 L 38.2 49.8 L 50 51"), "plain", Finish(tone=0.85, round=0.8, lift=0.4))
    buckle = curve("M 47.4 47 L 52.6 47 L 52.6 51.6 L 47.4 51.6")
    sketch.fill(buckle, "gold", METAL)
    sketch.fill(curve("M 48.4 48 L 51.6 48 L 51.6 50.6 L 48.4 50.6"), "plain", Finish(tone=0.8, lift=0))
    return sketch.template()


def slip_dress() -> Template:
    """A long bias-cut slip dress with a cowl neck."""
    sketch = Sketch()
    straps(sketch, "M 42.2 18 Q 41 10 43.4 4.6", "M 43.4 4.6 Q 45.8 9 45.4 19", 0.8)
    sketch.fill(symmetric("M 50 20 Q 45 18 41.8 17.4 L 38.6 27 L 50 30"), "plain", INSIDE)
    body = "M 50 26 Q 45 23 42 16.6 Q 40.6 23 37 28.4 Q 40 40 38.6 47 Q 34 60 31.6 74 L 29 93 Q 39 96.6 50 96"
    satin = Finish(gloss=0.3, round=4.5)
    sketch.fill(symmetric(body), "main", satin)
    sketch.fold(
        [
            curve("M 40 22 Q 50 34 60 22"),
            curve("M 39 26 Q 50 41 61 26"),
            curve("M 42 48 Q 39 70 36 94"),
            curve("M 50 56 Q 50 76 45 95"),
            curve("M 57 50 Q 60 72 62 95"),
            curve("M 41 44 Q 47 48 54 46"),
        ],
        1.8,
        0.24,
        1.1,
    )
    sketch.shine(
        [curve("M 40 52 Q 36 68 33 90"), curve("M 54 56 Q 56 76 55.4 92"), curve("M 45 32 Q 50 36 55 32")],
        2.4,
        0.2,
        1.6,
    )
    return sketch.template()


def shift_dress() -> Template:
    """A loose T-shirt dress with a chest pocket."""
    sketch = Sketch()
    sketch.fill(symmetric("M 50 8.6 Q 45 8.6 42 10 L 42.6 15 L 50 16"), "plain", INSIDE)
    for side, grain in zip(
        both(curve("M 35 11.8 Q 28.6 14 25.6 21 L 20 33 Q 23.4 37 29.4 38 L 35 31 Q 37 20 35 11.8")),
        (28, -28),
        strict=True,
    ):
        sketch.fill(side, "main", grain=grain)
    sketch.fill(symmetric("M 50 15.6 Q 44.6 15 42 9.4 L 33 12.4 Q 35 22 34.4 32 Q 33.4 60 29.6 88 Q 39 91.6 50 91.6"))
    sketch.fold(
        [
            curve("M 36 34 Q 40 38 42 46"),
            curve("M 64 34 Q 60 38 58 46"),
            curve("M 38 60 Q 37 76 35 90"),
            curve("M 48 64 Q 48.4 78 47 91"),
            curve("M 60 58 Q 62 76 64 89"),
        ],
        1.9,
        0.17,
        1.2,
    )
    sketch.seam([curve("M 29.9 85.8 Q 39 89.4 50 89.4 Q 61 89.4 70.1 85.8")], 0.25, 0.3, dashed=True)
    sketch.fill(curve("M 54 27 L 61.4 26.4 L 61.4 34 L 57.8 36 L 54.2 34.4"), "main", FLAT)
    sketch.fill(symmetric("M 50 17.6 Q 43.4 17 40.2 10 L 42 8.8 Q 45 14.6 50 15.2"), "plain", FLAT)
    return sketch.template()
