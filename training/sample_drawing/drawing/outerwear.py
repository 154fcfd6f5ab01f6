"""Outerwear: blazers, jackets and coats."""

from __future__ import annotations

from collections.abc import Sequence

from .canvas import BODY, FLAT, INSIDE, METAL, Finish, Sketch, Template
from .outline import Points, curve, mirror, moved, ribbon, symmetric
from .tops import both, buttons

_LAPEL = Finish(volume=0.9, round=1.2, lift=0.5)
_SLEEVE = "M 31.5 17.8 Q 24 19.8 20.8 31 Q 15 54 11 77 Q 15 80 20.6 79.6 Q 26 62 31 46 Q 33.4 30 31.5 17.8"
_SLEEVE_FOLDS = (
    "M 27.6 44 Q 22 48 17.5 47.5",
    "M 26 50 Q 21 53.5 16.5 52.5",
    "M 22.5 66 Q 18 69.6 13.6 69",
    "M 30 31 Q 27 36 22 38",
)


def _sleeves(sketch: Sketch) -> None:
    for side, grain in zip(both(curve(_SLEEVE)), (14, -14), strict=True):
        sketch.fill(side, "main", grain=grain)
        lines = [curve(fold) for fold in _SLEEVE_FOLDS]
        sketch.fold(lines if grain > 0 else [mirror(line) for line in lines], 1.5, 0.2)


def _fronts(sketch: Sketch, left: Points, seams: Sequence[Points] = (), stitches: Sequence[Points] = ()) -> None:
    """Two front halves with their seams and contrast stitches, the wearer's left over the right."""
    folds = (curve("M 32 42 Q 37 48 40 56"), curve("M 33 62 Q 38 66 44 66"))
    for turned in (mirror, tuple):
        sketch.fill(turned(left), "main", BODY)
        sketch.fold([turned(fold) for fold in folds], 1.8, 0.15)
        sketch.seam([turned(seam) for seam in seams], 0.3, 0.4)
        sketch.stitch([turned(stitch) for stitch in stitches], "thread", 0.28)


def blazer(satin: bool = False) -> Template:
    """A single-breasted blazer with notched lapels; satin lapels make it one for the evening."""
    sketch = Sketch()
    sketch.fill(symmetric("M 50 12 Q 44 12 40.4 14.4 L 36 40 L 50 58"), "plain", Finish(tone=0.5, volume=0.4, lift=0))
    _sleeves(sketch)
    buttons(sketch, [(18.2, 76), (18.7, 73.4), (81.8, 76), (81.3, 73.4)], "black", 0.6)
    left = curve(
        "M 39.6 14.4 L 28.6 18.6 Q 31 30 30.6 41 Q 34 52 32 62 L 29.4 86 Q 38 89 46 88.4 Q 51.6 86 52.4 80 L 52.4 54 "
        "Q 44 40 39.6 14.4"
    )
    _fronts(sketch, left, [curve("M 36 44 Q 38.6 60 36.6 72")])
    sketch.fill(both(curve("M 33 68 L 43.6 69 L 43.4 72.4 L 32.6 71.4")), "main", FLAT)
    sketch.fill(curve("M 59.6 38.6 L 66 37.4 L 66.2 39.2 L 59.8 40.4"), "main", FLAT)
    gloss = Finish(volume=0.9, round=1.6, lift=0.5, gloss=0.55 if satin else 0.0, tone=0.93)
    for lapel in both(curve("M 40 15.4 Q 36 22 34.4 27.6 L 39.4 29 L 36.8 32.8 Q 42 48 51.4 56.4 Q 45.6 38 42.6 16")):
        sketch.fill(lapel, "plain" if satin else "main", gloss, 35.0)
        if satin:
            sketch.shine(both(curve("M 38.6 34 Q 42 44 48 52")), 1.8, 0.22, 1.0)
    for collar in both(
        curve("M 50 11 Q 44 10.4 40.4 13 Q 37 20 35.4 26.6 L 40 28.2 Q 42.6 22 43.4 16 Q 46 14.6 50 14.6")
    ):
        sketch.fill(collar, "plain" if satin else "main", gloss)
    buttons(sketch, [(49.6, 59.6), (49.8, 69)], "black", 1.2)
    return sketch.template()


def denim_jacket() -> Template:
    """A cropped denim jacket with chest pockets and metal buttons."""
    sketch = Sketch()
    sketch.fill(symmetric("M 50 13 Q 44 12.6 41 15 L 42 24 L 50 28"), "plain", INSIDE)
    _sleeves(sketch)
    cuff = curve("M 10.8 75.4 Q 15 78.6 21 78 L 19.8 84.4 Q 14.4 85 10 82.8")
    sketch.fill(both(cuff), "main", FLAT)
    sketch.stitch(both(curve("M 10.9 77 Q 15 80 20.6 79.5")), "thread", 0.28)
    left = curve("M 42 16 L 28.6 19 Q 31 30 30.4 41 Q 31.6 58 30.6 74 Q 41 76 51.6 75.6 L 51.6 30 Q 45 24 42 16")
    yoke = curve("M 29.8 36 Q 38 38.6 48 38")
    panels = [curve("M 35.6 38 L 38.4 74.6"), curve("M 45.4 38.4 L 44.6 75.4")]
    stitches = [moved(yoke, 0, 0.8), *[moved(panel, 0.8, 0) for panel in panels]]
    _fronts(sketch, left, [yoke, *panels], stitches)
    flap = curve("M 34.6 38.4 L 45 39 L 45 42.4 L 39.8 45 L 34.8 42")
    sketch.fill(both(flap), "main", Finish(volume=0.8, round=0.9, lift=0.5))
    sketch.stitch(both(curve("M 35.3 41.6 L 39.8 44.1 L 44.5 41.8")), "thread", 0.26)
    sketch.fill(symmetric("M 50 74.4 Q 40 74.4 30.2 72.8 L 30.6 79 Q 40 81 50 81"), "main", FLAT)
    sketch.stitch([curve("M 31 74.4 Q 40 76 50 76 Q 60 76 69 74.4")], "thread", 0.28)
    sketch.fill(curve("M 48.2 29 L 51.9 29 L 51.9 80.9 L 48.2 80.9"), "main", FLAT)
    places = [(50.0, y) for y in (32.5, 42, 51.5, 61, 70, 78)] + [(39.8, 43.0), (60.2, 43.0)]
    buttons(sketch, places, "gold", 0.9)
    for collar in both(curve("M 50 28 L 43 13 Q 40 14.6 38.4 18 L 39.6 30.4 Q 46 31.6 50 28")):
        sketch.fill(collar, "main", _LAPEL, 20)
    sketch.stitch(
        [curve("M 60.6 19 L 59.6 29.2 Q 54.6 30 51 27.4"), curve("M 39.4 19 L 40.4 29.2 Q 45.4 30 49 27.4")],
        "thread",
        0.26,
    )
    return sketch.template()


def coat() -> Template:
    """A long double-breasted coat with wide lapels."""
    sketch = Sketch()
    sketch.fill(symmetric("M 50 9 Q 45 9 42 11 L 40 26 L 50 42"), "plain", Finish(tone=0.5, volume=0.4, lift=0))
    sleeve = curve("M 35 13.8 Q 28.6 15.2 25.4 25.4 Q 20 46 17 65 Q 20.6 67.6 25.4 67 Q 30 52 34 38 Q 36.6 26 35 13.8")
    for side, grain in zip(both(sleeve), (13, -13), strict=True):
        sketch.fill(side, "main", grain=grain)
        lines = [curve("M 31 37 Q 26 41 22 40"), curve("M 29.6 43 Q 25 46 21 45"), curve("M 27 56 Q 23 59 19 58")]
        sketch.fold(lines if grain > 0 else [mirror(line) for line in lines], 1.4, 0.2)
    left = curve(
        "M 41.4 11 L 32.4 14.6 Q 34.6 24 34 34 Q 36 44 33.6 54 L 28.6 93 Q 40 95.6 55.4 95 L 55.4 46 Q 45 30 41.4 11"
    )
    _fronts(sketch, left)
    sketch.fold(
        [curve("M 38 56 Q 36 74 33.6 93"), curve("M 46 60 Q 46.6 78 45 94"), curve("M 64 58 Q 66 76 68 92")], 2.0, 0.18
    )
    sketch.seam([curve("M 55 46 L 55 95")], 0.35, 0.4)
    sketch.fill(both(curve("M 32.4 58 L 40.6 60.6 L 40 64 L 31.8 61.4")), "main", FLAT)
    for lapel in both(curve("M 41.6 12 Q 37 19 35 25 L 40.6 26.6 L 36.6 31 Q 44 40 54 46.4 Q 47 30 44.4 12.6")):
        sketch.fill(lapel, "main", _LAPEL, 35)
    for collar in both(
        curve("M 50 8 Q 45 7.6 41.8 10 Q 38 17 36.4 23.4 L 41.6 25.6 Q 44 19 45 12.6 Q 47 11.4 50 11.4")
    ):
        sketch.fill(collar, "main", _LAPEL)
    buttons(sketch, [(x, y) for x in (47.6, 53) for y in (50, 59.4, 68.8)], "wood", 1.15)
    return sketch.template()


def track_jacket() -> Template:
    """A zipped track jacket with a stand-up collar and striped sleeves."""
    sketch = Sketch()
    _sleeves(sketch)
    stripe = curve("M 30.5 18.4 Q 22.6 21 20 33 Q 14.6 56 11.6 76 L 14 77.4 Q 16.8 56 22 36 Q 24 25.6 30.6 20.6")
    sketch.fill(both(stripe), "white", Finish(volume=0.7, round=0.8, lift=0.1))
    cuff = curve("M 10.4 75.4 Q 15 78.6 21.2 78 L 19.8 84 Q 14.4 84.6 9.8 82.4")
    sketch.fill(both(cuff), "plain", FLAT)
    left = curve("M 41 15.4 L 28.6 19 Q 31 30 30 41 Q 30.4 60 29 80 Q 40 82 50.1 82 L 50.1 24")
    _fronts(sketch, left)
    sketch.fill(both(curve("M 34.6 60 L 40 71 L 39 71.6 L 33.6 60.6")), "plain", FLAT)
    sketch.fill(symmetric("M 50 80.4 Q 40 80.4 28.8 78.4 L 29.6 86 Q 40 88 50 88"), "plain", FLAT)
    sketch.seam([((x, 79.0), (x, 88.0)) for x in (30 + 1.25 * step for step in range(33))], 0.35, 0.2)
    sketch.fill(symmetric("M 50 10 Q 44 9.4 40.6 11 Q 40 14 38.6 17.4 Q 44 23.4 50 24.6"), "plain")
    sketch.seam([curve("M 39.6 16 Q 45 21.4 50 22.4 Q 55 21.4 60.4 16")], 0.8, 0.25)
    sketch.fill(ribbon(((50.0, 10.2), (50.0, 88.0)), 1.4), "silver", Finish(round=0.5, lift=0.4))
    sketch.seam([((49.2, y), (50.8, y)) for y in (10.8 + 0.9 * step for step in range(86))], 0.3, 0.5)
    sketch.fill(curve("M 49.3 24 L 50.7 24 L 51 29.6 L 49 29.6"), "silver", METAL)
    return sketch.template()
