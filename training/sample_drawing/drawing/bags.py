"""Bags: tote, clutch, backpack and shoulder bag."""

from __future__ import annotations

from .canvas import FLAT, INSIDE, LEATHER, METAL, Finish, Sketch, Template
from .outline import curve, ellipse, mirror, ribbon, symmetric
from .tops import both


def tote(straw: bool = False) -> Template:
    """A tote with two handles; a straw one is rounder."""
    sketch = Sketch(standing=True)
    handle = curve("M 36 44 Q 36 14 50 14 Q 64 14 64 44")
    handle_paint = "leather" if straw else "plain"
    sketch.fill(ribbon(tuple((x + 1.4, y - 2.4) for x, y in handle), 2.2), handle_paint, Finish(tone=0.7, gloss=0.1))
    sketch.fill(symmetric("M 50 37.6 L 24 37.6 L 25 43 L 50 43"), "plain", INSIDE)
    body = (
        "M 50 40 L 20 40 Q 17 62 24 84 Q 26 87 32 87 L 50 87"
        if straw
        else "M 50 40 L 22 40 L 17.6 83 Q 17.6 87 21.6 87 L 50 87"
    )
    sketch.fill(symmetric(body), "main", Finish(gloss=0.1 if straw else 0.2, round=4))
    sketch.fold(
        [curve("M 24 60 Q 34 64 44 62"), curve("M 76 66 Q 66 71 58 69"), curve("M 30 82 Q 33 74 31 68")], 2.2, 0.13, 1.5
    )
    sketch.seam([curve("M 21.6 42.6 L 78.4 42.6")], 0.28, 0.4, dashed=True)
    if not straw:
        sketch.seam([curve("M 18.4 80 L 81.6 80")], 0.35, 0.35)
        sketch.seam([curve("M 18.5 78.8 L 81.5 78.8")], 0.25, 0.35, dashed=True)
    sketch.fill(ribbon(handle, 2.4), handle_paint, LEATHER)
    tabs = both(curve("M 34 41 L 38.4 41 L 38.2 53 Q 36.2 55 34.2 53"))
    sketch.fill(tabs, handle_paint, LEATHER)
    sketch.seam(both(curve("M 34.8 42 L 34.9 52.6 Q 36.2 54 37.5 52.6 L 37.6 42")), 0.22, 0.4, dashed=True)
    sketch.fill([ellipse((36.2, 50.4), (0.8, 0.8)), ellipse((63.8, 50.4), (0.8, 0.8))], "gold", METAL)
    return sketch.template()


def clutch() -> Template:
    """An envelope clutch with a metal clasp and a fine chain."""
    sketch = Sketch(standing=True)
    chain = curve("M 20 42 Q 14 16 50 17 Q 86 16 80 42")
    links = [ellipse(point, (1.3, 0.8), 40) for point in chain]
    sketch.fill(links, "gold", METAL)
    sketch.fill(
        symmetric("M 50 39 L 16.6 39 Q 14.6 39 14.6 42 L 13.6 76 Q 13.6 79.6 17 79.6 L 50 79.6"),
        "main",
        Finish(gloss=0.25, round=3.4),
    )
    sketch.fold([curve("M 20 72 Q 34 76 50 75"), curve("M 78 68 Q 70 73 60 73")], 2.0, 0.14, 1.4)
    sketch.fill(
        symmetric("M 50 38.6 L 16.6 38.6 Q 14.4 38.8 14.6 42 Q 30 58 47 65.4 L 50 66"),
        "main",
        Finish(gloss=0.35, round=2.6, lift=0.6),
        4,
    )
    sketch.seam(
        [curve("M 16 43.2 Q 31 57.6 47.4 64.2 L 50 64.8 L 52.6 64.2 Q 69 57.6 84 43.2")], 0.25, 0.4, dashed=True
    )
    sketch.fill(ellipse((50, 62.4), (3.5, 3.5)), "gold", METAL)
    sketch.fill(ellipse((50, 62.4), (2.2, 2.2)), "gold", Finish(tone=0.86, gloss=0.6, round=0.8, lift=0.2))
    return sketch.template()


def backpack(sporty: bool = False) -> Template:
    """A backpack with a front pocket; the sporty one has mesh sides and a bright zip."""
    sketch = Sketch(standing=True)
    sketch.fill(ribbon(curve("M 43 16 Q 43 7 50 7 Q 57 7 57 16"), 2.2), "plain", FLAT)
    straps = both(ribbon(curve("M 30 28 Q 17 40 19 64 Q 20 76 27 82"), 4.0, 2.4))
    sketch.fill(straps, "plain", Finish(tone=0.78))
    sketch.fill(symmetric("M 50 13 Q 31 13 28 30 Q 24.6 60 27 84 Q 27.6 89 33 89 L 50 89"), "main", Finish(round=5))
    sketch.fold([curve("M 30 46 Q 38 50 44 49"), curve("M 70 48 Q 62 52 57 51")], 2.0, 0.16, 1.4)
    zip_line = curve("M 30.4 46 Q 31 17.6 50 17.4 Q 69 17.6 69.6 46")
    sketch.seam([zip_line], 1.0, 0.45)
    sketch.fill(ribbon(zip_line, 0.5), "white" if sporty else "gold", Finish(round=0.3, lift=0.2))
    if sporty:
        sketch.fill(both(curve("M 26.4 56 L 34 60 L 34 86 L 28 87 Q 26 72 26.4 56")), "black", Finish(gloss=0.1))
        sketch.seam([((26.0 + s * 1.3, 56.0), (26.0 + s * 1.3, 88.0)) for s in range(7)], 0.3, 0.5)
        sketch.fill(ribbon(curve("M 37 38 L 63 38"), 1.4), "white", FLAT)
    sketch.fill(
        symmetric("M 50 52 L 37 52 Q 33.6 52 33.6 56 L 34.6 81 Q 35 84.6 39 84.6 L 50 84.6"),
        "main",
        Finish(round=2.4, lift=0.5),
    )
    sketch.seam(
        [curve("M 35.6 57 L 36.4 80 Q 36.8 82.8 39.4 82.8 L 60.6 82.8 Q 63.2 82.8 63.6 80 L 64.4 57")],
        0.25,
        0.35,
        dashed=True,
    )
    sketch.fill(
        symmetric("M 50 51 L 36.4 51 Q 32.6 51 32.8 55 L 33.6 61 Q 41 64 50 64"), "plain", Finish(round=1.6, lift=0.5)
    )
    if not sporty:
        sketch.fill(both(curve("M 40 50 L 43 50 L 43 70 L 41.5 71.6 L 40 70")), "leather", LEATHER)
        for x in (41.5, 58.5):
            sketch.fill(ellipse((x, 62.6), (2.1, 1.8)), "gold", METAL)
            sketch.fill(ellipse((x, 62.6), (1.1, 0.9)), "leather", FLAT)
    pull = curve("M 68.6 45 L 70.4 45 L 70.6 50 L 68.4 50")
    sketch.fill([pull, mirror(pull)], "white" if sporty else "leather", FLAT)
    return sketch.template()


def shoulder_bag() -> Template:
    """A saddle-shaped shoulder bag with a flap and a ring."""
    sketch = Sketch(standing=True)
    strap = curve("M 24 50 Q 20 13 50 12 Q 80 13 76 50")
    sketch.fill(ribbon(strap, 2.3), "plain", LEATHER)
    sketch.seam([strap], 0.2, 0.3, dashed=True)
    sketch.fill(
        symmetric("M 50 44 L 25 44 Q 18 60 19.4 76 Q 21 87 34 87.6 L 50 88"), "main", Finish(gloss=0.18, round=5)
    )
    sketch.fold([curve("M 22 74 Q 32 80 42 82"), curve("M 78 72 Q 70 79 60 82")], 2.2, 0.16, 1.5)
    sketch.fill(
        symmetric("M 50 42 L 26 42 Q 22 42 21.6 46 Q 20 58 25 68 Q 36 75 50 75.4"),
        "main",
        Finish(gloss=0.24, round=3.4, lift=0.6),
    )
    sketch.seam(
        [curve("M 23 48 Q 22 58 26.4 66.8 Q 36 73.2 50 73.6 Q 64 73.2 73.6 66.8 Q 78 58 77 48")], 0.26, 0.4, dashed=True
    )
    sketch.fill(curve("M 48 62 L 52 62 L 51.6 80 L 50 82 L 48.4 80"), "plain", LEATHER)
    sketch.fill(ellipse((50, 72), (3.4, 3.4)), "gold", METAL)
    sketch.fill(ellipse((50, 72), (2.3, 2.3)), "main", Finish(tone=0.85, lift=0.3))
    rings = [ellipse((24.4, 45), (2.1, 2.1)), ellipse((75.6, 45), (2.1, 2.1))]
    sketch.fill(rings, "gold", METAL)
    return sketch.template()
