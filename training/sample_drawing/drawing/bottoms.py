"""Bottoms: jeans, trousers, joggers, shorts and skirts."""

from __future__ import annotations

from .canvas import FLAT, INSIDE, Finish, Sketch, Template
from .outline import Points, curve, ellipse, mirror, ribbon, symmetric
from .tops import both, buttons

_WAIST = "M 50 13.4 Q 43 13.4 36.4 12 L 35.4 17.4 Q 43 19 50 19"


def _leg(text: str) -> list[Points]:
    return both(curve(text))


def _waistband(sketch: Sketch, loops: bool = True, paint: str = "main") -> None:
    sketch.fill(symmetric(_WAIST), paint, FLAT)
    if loops:
        loop = Finish(round=0.6, lift=0.5)
        sketch.fill(both(curve("M 41 12 L 42.2 12.2 L 42 19.4 L 40.6 19.2")), paint, loop)


def _inside(sketch: Sketch) -> None:
    sketch.fill(ellipse((50, 12.7), (13.4, 1.7)), "plain", INSIDE)


def jeans() -> Template:
    """Five-pocket jeans with contrast stitches, rivets and a turned hem."""
    sketch = Sketch()
    _inside(sketch)
    for leg, grain in zip(
        _leg("M 50.4 17 L 35.6 15.5 Q 31.5 28 31.6 42 Q 32 66 32.6 93 Q 38 94.4 44.6 93.6 Q 46.4 66 50.4 42"),
        (1, -1),
        strict=True,
    ):
        sketch.fill(leg, "main", grain=grain * 2.0)
        lines = [
            curve("M 49 44 Q 44 48 38 48"),
            curve("M 48 41 Q 42 43 37 42"),
            curve("M 45 66 Q 40 69 35 67"),
            curve("M 44.6 71 Q 40 73.5 35 72"),
            curve("M 35 38 Q 37 30 36 24"),
        ]
        sketch.fold(lines if grain > 0 else [mirror(line) for line in lines], 1.5, 0.24)
        faded = [curve("M 39.5 30 Q 39 44 39.6 58"), curve("M 39.4 72 Q 39 80 39.4 86")]
        sketch.shine(faded if grain > 0 else [mirror(line) for line in faded], 5.0, 0.1, 2.6)
        hem = curve("M 32.5 90.6 Q 38 92 44.6 91.2")
        side = curve("M 36 18 Q 32.6 30 32.7 42 Q 33 66 33.5 92")
        inner = curve("M 49.4 45 Q 46 66 44 92")
        stitches = [hem, inner] if grain > 0 else [mirror(hem), mirror(inner)]
        sketch.stitch(stitches, "thread", 0.32)
        sketch.seam([side if grain > 0 else mirror(side)], 0.3, 0.3)
    sketch.fill(both(curve("M 36.4 19 L 44.5 19.4 Q 44.3 26.5 35.2 26")), "main", Finish(tone=0.84, lift=0))
    sketch.fill(both(curve("M 35.6 20.6 L 34.4 27.5 Q 44 28 45.4 19.4 L 44 19.4 Q 42.6 25.6 35.6 24.6")), "main", FLAT)
    sketch.stitch(both(curve("M 34.8 26.6 Q 43.6 27.2 44.8 19.6")), "thread", 0.3)
    sketch.fill(curve("M 48.8 18.6 L 53.6 18.6 Q 54.2 31 50.6 36.5 Q 48.6 37 48.8 36"), "main", FLAT)
    sketch.stitch([curve("M 53 19.6 Q 53.6 30 50.2 35.6")], "thread", 0.3)
    _waistband(sketch)
    sketch.stitch([curve("M 35.8 16.9 Q 43 18.4 50 18.4 Q 57 18.4 64.2 16.9")], "thread", 0.28)
    buttons(sketch, [(51, 16.2)], "gold", 1.15)
    rivets = [(36.6, 21.4), (44.2, 20.4), (63.4, 21.4), (55.8, 20.4)]
    sketch.fill([ellipse(at, (0.5, 0.5)) for at in rivets], "gold", Finish(round=0.4, gloss=0.5))
    return sketch.template()


def trousers(wide: bool = False) -> Template:
    """Tailored trousers with pressed creases; wide ones have pleats."""
    sketch = Sketch()
    _inside(sketch)
    left, right = (26.5, 46.6) if wide else (34.4, 44.2)
    for leg, grain in zip(
        _leg(
            f"M 50.3 17 L 35.6 15.5 Q 31.4 28 31.4 42 Q {left + 1} 66 {left} 94 Q 38 95.2 {right} 94 Q 47.6 66 50.3 41"
        ),
        (1, -1),
        strict=True,
    ):
        sketch.fill(leg, "main", grain=grain * 2.0)
        middle = (left + right) / 2
        crease = curve(f"M 41.4 20 Q 40.6 50 {middle} 94")
        pull = [curve("M 49 42 Q 44 45 39 44"), curve("M 35 40 Q 36 32 35.6 24")]
        sketch.fold([crease if grain > 0 else mirror(crease)], 0.9, 0.34, 0.4)
        sketch.fold(pull if grain > 0 else [mirror(line) for line in pull], 1.6, 0.16)
        hem = curve(f"M {left + 0.2} 91.6 Q 38 92.8 {right + 0.3} 91.6")
        sketch.seam([hem if grain > 0 else mirror(hem)], 0.25, 0.25)
    sketch.fill(both(curve("M 37.4 18.6 L 34.4 27.4 L 35.4 27.8 L 38.4 18.8")), "plain", FLAT)
    sketch.fill(curve("M 49.4 18.6 L 52.4 18.6 Q 53 30 50.6 36 L 49.5 36"), "main", FLAT)
    if wide:
        sketch.fold(both(curve("M 44.6 19 L 43.6 34")), 0.8, 0.4, 0.5)
    _waistband(sketch, loops=not wide)
    sketch.seam([curve("M 52.6 13.4 L 52.6 19")], 0.3, 0.4)
    buttons(sketch, [(51, 16.3)], "black", 0.8)
    return sketch.template()


def joggers() -> Template:
    """Joggers with a drawstring, side stripe and ribbed ankles."""
    sketch = Sketch()
    _inside(sketch)
    for leg, grain in zip(
        _leg("M 50.4 17 L 35.6 15.5 Q 30.6 28 30.4 44 Q 32 70 34.6 88 Q 39 89.4 43.6 88.4 Q 47.4 66 50.4 43"),
        (1, -1),
        strict=True,
    ):
        sketch.fill(leg, "main", grain=grain * 2.0)
        lines = [
            curve("M 49 45 Q 43 49 37 48"),
            curve("M 45.6 68 Q 40 71 35 69"),
            curve("M 44.6 82 Q 40 84 36 81"),
            curve("M 45 77 Q 40 79.6 35.4 77"),
            curve("M 35 42 Q 38 32 36.4 24"),
        ]
        sketch.fold(lines if grain > 0 else [mirror(line) for line in lines], 1.7, 0.2)
    stripe = curve("M 35.6 16.5 Q 30.6 28 30.4 44 Q 32 70 34.6 88 L 36.4 88.6 Q 33.8 70 32.4 44 Q 32.6 28 37.2 17")
    sketch.fill(both(stripe), "white", Finish(volume=0.7, round=0.8, lift=0.1))
    ankle = curve("M 34.2 87.4 Q 39 88.8 44 87.8 L 43 95.4 Q 39 96.2 35.6 95.2")
    sketch.fill(both(ankle), "plain", FLAT)
    ribs = [curve(f"M {35.2 + step} 87.8 L {35.9 + step * 0.9} 95.6") for step in range(0, 9)]
    sketch.seam(ribs + [mirror(rib) for rib in ribs], 0.35, 0.22)
    sketch.fill(both(curve("M 38.6 19 L 35 29.4 L 36 29.8 L 39.6 19.2")), "plain", FLAT)
    _waistband(sketch, loops=False, paint="plain")
    sketch.seam([((x, 12.4), (x, 19)) for x in (37 + step * 1.1 for step in range(24))], 0.35, 0.25)
    sketch.fill(
        [ribbon(curve("M 48 17 Q 46 24 46.8 30"), 0.8), ribbon(curve("M 52 17 Q 53.6 23 52.8 28"), 0.8)], "white", FLAT
    )
    return sketch.template()


def shorts(sporty: bool = False) -> Template:
    """Short trousers: tailored with turn-ups, or running shorts with a split hem."""
    sketch = Sketch()
    sketch.fill(ellipse((50, 22.8), (17.8, 2.0)), "plain", INSIDE)
    outline = (
        "M 50.5 27 L 30.6 25.5 Q 24.6 42 19 68 Q 24 74 34 76 Q 44 77 49 75.4 Q 49.6 66 50.5 58"
        if sporty
        else "M 50.5 27 L 30.6 25.5 Q 25.6 42 22.6 76 Q 34 79.4 48 78.4 Q 49 68 50.5 57"
    )
    for leg, grain in zip(_leg(outline), (3, -3), strict=True):
        sketch.fill(leg, "main", grain=grain)
        lines = [
            curve("M 49 59 Q 42 62 36 60"),
            curve("M 47 56 Q 40 57 35 54"),
            curve("M 30 74 Q 31 58 30 46"),
            curve("M 41 76 Q 42 70 41 64"),
        ]
        sketch.fold(lines if grain > 0 else [mirror(line) for line in lines], 2.2, 0.2)
    if sporty:
        panel = curve("M 30.6 26 Q 24.6 42 19 68 Q 21 71 24.4 73 Q 25.6 52 34 26.6")
        sketch.fill(both(panel), "white", Finish(volume=0.8, round=1.5, lift=0.2))
    else:
        cuff = both(curve("M 23.2 69.4 Q 34 72.6 48.6 71.6 L 48.2 79.4 Q 34 80.4 22 77"))
        for side, grain in zip(cuff, (3, -3), strict=True):
            sketch.fill(side, "main", FLAT, grain)
        sketch.fill(both(curve("M 34 29 L 29.4 42.6 L 30.8 43.2 L 35.6 29.2")), "plain", FLAT)
        sketch.fill(curve("M 49.2 28.6 L 54 28.6 Q 54 44 50.6 50 L 49.4 50"), "main", FLAT)
    sketch.fill(symmetric("M 50 24 Q 40 24 32 22.2 L 30.4 29 Q 40 31 50 31"), "plain" if sporty else "main", FLAT)
    if sporty:
        sketch.seam([((x, 22), (x, 31)) for x in (32 + step * 1.3 for step in range(29))], 0.4, 0.25)
        cords = [ribbon(curve("M 48 29 Q 45 38 46.6 46"), 0.9), ribbon(curve("M 52 29 Q 55 37 53.4 44"), 0.9)]
        sketch.fill(cords, "white", FLAT)
    else:
        buttons(sketch, [(51.4, 27.6)], "ivory", 1.1)
    return sketch.template()


def pencil_skirt() -> Template:
    """A knee-length pencil skirt with darts and a slit."""
    sketch = Sketch()
    sketch.fill(ellipse((50, 15.8), (13.6, 1.8)), "plain", INSIDE)
    sketch.fill(symmetric("M 50 20 L 36.4 18 Q 29.6 34 29.8 48 Q 30.6 70 33.8 89 Q 42 90.6 50 90.6"))
    sketch.fold(
        [
            curve("M 32 40 Q 38 44 44 43"),
            curve("M 68 42 Q 62 46 56 45"),
            curve("M 33 56 Q 40 60 47 59"),
            curve("M 66 74 Q 60 78 54 77"),
        ],
        2.0,
        0.14,
        1.4,
    )
    sketch.seam([curve("M 43 21 L 42 32"), curve("M 57 21 L 58 32")], 0.3, 0.4)
    sketch.seam([curve("M 33.6 86.6 Q 42 88.2 50 88.2 Q 58 88.2 66.4 86.6")], 0.25, 0.28)
    sketch.fill(curve("M 59 72 L 61.8 90 L 57.4 90.6"), "plain", Finish(tone=0.5, volume=0.2, lift=0))
    sketch.fill(symmetric("M 50 17 Q 43 17 36.6 15.4 L 35.8 21 Q 43 22.6 50 22.6"), "main", FLAT)
    return sketch.template()


def pleated_skirt() -> Template:
    """A midi skirt of knife pleats."""
    sketch = Sketch()
    sketch.fill(ellipse((50, 13.8), (13.2, 1.7)), "plain", INSIDE)
    count = 13
    for index in range(count):
        start, end = index / count, (index + 1) / count
        top = [37 + 26 * t for t in (start, end)]
        low = [20 + 60 * t for t in (start, end)]
        sag = [88.5 + 3.6 * (1 - (2 * t - 1) ** 2) for t in (start, end)]
        middle = [(a + b) / 2 + (a - 50) * 0.12 for a, b in zip(top, low, strict=True)]
        pleat = curve(
            f"M {top[0]} 17 Q {middle[0]} 40 {low[0]} {sag[0]} L {low[1] + 1.1} {sag[1] - 0.9} "
            f"Q {middle[1]} 40 {top[1]} 17"
        )
        sketch.fill(pleat, "main", Finish(round=1.3, volume=0.6, lift=0.4, gloss=0.15), (0.5 - start) * 24)
    sketch.fill(symmetric("M 50 15 Q 43 15 37 13.4 L 36 19.4 Q 43 21 50 21"), "plain", FLAT)
    return sketch.template()


def full_skirt() -> Template:
    """A gathered A-line skirt."""
    sketch = Sketch()
    sketch.fill(ellipse((50, 16.8), (13.2, 1.7)), "plain", INSIDE)
    sketch.fill(symmetric("M 50 20 L 36.6 20 Q 27 48 17.6 82 Q 22 86 29 85.6 Q 36 89.6 43 87.6 Q 47 89.4 50 88.6"))
    sketch.fold(
        [
            curve("M 40 23 Q 33 52 27.6 86"),
            curve("M 44 23 Q 40 56 39 88"),
            curve("M 49 24 Q 49 58 48.6 88"),
            curve("M 54 23 Q 58 54 60 88"),
            curve("M 58 23 Q 65 52 71 86"),
        ],
        2.4,
        0.24,
        1.2,
    )
    sketch.fold(
        [((x, 22.0), (50 + (x - 50) * 1.18, 28.0)) for x in (38 + 2.2 * step for step in range(12))], 0.7, 0.3, 0.5
    )
    sketch.fill(symmetric("M 50 18 Q 43 18 37 16.4 L 36 22.4 Q 43 24 50 24"), "plain", FLAT)
    return sketch.template()
