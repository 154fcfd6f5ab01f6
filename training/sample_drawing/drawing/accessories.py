"""Accessories: scarves, hats, jewellery, belt, watch and sunglasses."""

from __future__ import annotations

import math

from .canvas import FLAT, LEATHER, METAL, Finish, Sketch, Template
from .outline import Points, curve, ellipse, mirror, ribbon, symmetric
from .tops import both


def scarf(silk: bool = False) -> Template:
    """A looped scarf with hanging ends; wool ones have fringes."""
    sketch = Sketch()
    finish = Finish(gloss=0.35 if silk else 0.0, round=4)
    sketch.fill(
        curve("M 28 26 Q 30 10 50 10 Q 70 10 72 26 Q 70 34 62 36 Q 50 20 38 36 Q 30 34 28 26"),
        "main",
        Finish(tone=0.78, round=3, gloss=finish.gloss),
    )
    for tail, grain in (
        (curve("M 50 38 Q 60 54 61 80 L 74 77 Q 72 52 60 34"), -8.0),
        (curve("M 42 36 Q 36 58 33 85 L 48 87 Q 50 60 54 38"), 5.0),
    ):
        if not silk:
            _fringe(sketch, tail)
        sketch.fill(tail, "main", finish, grain)
        middle = [(tail[i][0] + tail[-1 - i][0]) / 2 for i in range(19)]
        rows = [(tail[i][1] + tail[-1 - i][1]) / 2 for i in range(19)]
        sketch.fold([tuple(zip(middle, rows, strict=True))], 1.6, 0.22, 1.0)
    sketch.fill(
        curve(
            "M 26 24 Q 24 36 34 44 Q 48 52 62 45 Q 76 36 74 24 Q 72 18 68 18 Q 66 32 50 34 Q 34 32 32 18 Q 28 18 26 24"
        ),
        "main",
        finish,
        0.0,
    )
    sketch.fold(
        [
            curve("M 28 25 Q 30 40 50 42 Q 70 40 72 25"),
            curve("M 30 21 Q 33 36 50 37.6 Q 67 36 70 21"),
            curve("M 28 32 Q 36 47 52 46.6"),
        ],
        1.3,
        0.24,
        0.8,
    )
    return sketch.template()


def _fringe(sketch: Sketch, tail: Points) -> None:
    """Threads that hang from the end of a scarf."""
    (ax, ay), (bx, by) = tail[18], tail[19]
    threads = []
    for step in range(9):
        t = (step + 0.5) / 9
        x, y = ax + (bx - ax) * t, ay + (by - ay) * t
        threads.append(ribbon(((x, y - 1.0), (x + 0.3 * math.sin(step * 2.1), y + 3.4), (x - 0.4, y + 7.0)), 0.95, 0.5))
    sketch.fill(threads, "plain", Finish(round=0.5, lift=0.3))


def beanie() -> Template:
    """A knitted beanie with a turned-up brim and a bobble."""
    sketch = Sketch()
    tufts = [ellipse((50 + 7.4 * math.cos(a * 0.7), 19 + 7.0 * math.sin(a * 0.7)), (3.4, 3.4)) for a in range(9)]
    sketch.fill([ellipse((50, 19), (9, 8.6)), *tufts], "plain", Finish(round=4, volume=1.3))
    strands = [
        curve(
            f"M {50 + 2 * math.cos(a)} {19 + 2 * math.sin(a)} "
            f"L {50 + 10.4 * math.cos(a + 0.2)} {19 + 10 * math.sin(a + 0.2)}"
        )
        for a in (k * 0.31 for k in range(20))
    ]
    sketch.seam(strands, 0.35, 0.2)
    sketch.fill(symmetric("M 50 25 Q 22 26 19.6 70 L 50 72"), "main", Finish(round=7))
    ribs = [curve(f"M {50 + x * 0.16} 27 Q {50 + x * 0.86} 38 {50 + x} 70") for x in range(-27, 28, 6)]
    sketch.fold(ribs, 1.0, 0.2, 0.6)
    sketch.fill(
        symmetric("M 50 64 Q 30 63 18.6 60.6 Q 16.6 62 17.4 78 Q 18 81 21 81.6 Q 36 84 50 84"), "plain", Finish(round=3)
    )
    sketch.fold(
        [curve(f"M {50 + x} {62 + 1.6 - abs(x) * 0.03} L {50 + x * 0.98} 83.6") for x in range(-30, 31, 3)],
        0.9,
        0.26,
        0.45,
    )
    return sketch.template()


def sun_hat() -> Template:
    """A wide-brimmed hat with a ribbon."""
    sketch = Sketch()
    sketch.fill(ellipse((50, 60), (43, 15)), "main", Finish(round=4, lift=0.5))
    sketch.seam([ellipse((50, 60), (43 - 3.2 * k, 15 - 1.15 * k)) for k in range(1, 4)], 0.3, 0.2)
    sketch.fill(ellipse((50, 57), (25.4, 8.2)), "main", Finish(tone=0.7, volume=0.2, lift=0))
    sketch.fill(symmetric("M 50 24 Q 33 24 29.6 36 Q 27 46 25.6 58 Q 36 65 50 65"), "main", Finish(round=6))
    sketch.fold([curve("M 38 28 Q 50 33 62 28")], 3.0, 0.22, 1.6)
    sketch.fill(symmetric("M 50 57.4 Q 36 57 26.8 50.6 L 25.6 58.4 Q 36 65.2 50 65.4"), "black", FLAT)
    sketch.fill(curve("M 70 56 Q 80 52 81 58 Q 80 64 71 60"), "black", FLAT)
    sketch.fill(curve("M 70 58 Q 78 66 77 73 L 72 71 Q 71 64 68 59.6"), "black", FLAT)
    return sketch.template()


def cap() -> Template:
    """A baseball cap, seen from the side."""
    sketch = Sketch()
    sketch.fill(
        curve("M 52 61 Q 74 57 90 64 Q 96 67 95 71 Q 80 69 62 72 Q 50 70 44 64"), "plain", Finish(round=2.4, lift=0.5)
    )
    sketch.seam([curve("M 54 63 Q 74 60 93 68.6"), curve("M 54 65.4 Q 72 62.4 91 69")], 0.26, 0.35, dashed=True)
    sketch.fill(curve("M 14 64 Q 10 34 40 29.6 Q 66 29 70 62 Q 62 69 50 70 Q 30 71 14 64"), "main", Finish(round=6))
    sketch.seam([curve("M 40 30 Q 30 46 31 68.6"), curve("M 41 30 Q 56 44 57 68")], 0.35, 0.4)
    sketch.seam([curve("M 13.8 60 Q 30 67.4 50 66.4 Q 62 65 70 59.6")], 0.26, 0.35, dashed=True)
    sketch.fill([ellipse((24, 43), (0.9, 0.9)), ellipse((46, 41), (0.9, 0.9))], "black", FLAT)
    sketch.fill(ellipse((40, 29.4), (2.4, 1.5)), "plain", FLAT)
    sketch.fill(curve("M 14 55 L 22 57.6 L 22 63.6 L 14.4 61.6"), "white", FLAT)
    return sketch.template()


def earrings(pearl: bool = False) -> Template:
    """A pair of drop earrings, with pearls or hoops."""
    sketch = Sketch()
    for x in (33.0, 67.0):
        sketch.fill(ribbon(curve(f"M {x - 1} 30 Q {x - 7} 18 {x + 1} 16 Q {x + 5} 18 {x + 3} 26"), 1.0), "main", METAL)
        sketch.fill(ellipse((x, 31.6), (2.4, 2.4)), "main", METAL)
        if pearl:
            sketch.fill(ribbon(((x, 34.0), (x, 46.0)), 0.8), "main", METAL)
            sketch.fill(ellipse((x, 55), (9, 9.6)), "pearl", Finish(round=6, volume=1.5, gloss=0.7))
            sketch.shine([ellipse((x - 3, 51), (1.3, 1.3))], 2.0, 0.7, 0.8)
            sketch.fill(ellipse((x, 45.6), (2.6, 1.6)), "main", METAL)
        else:
            sketch.fill(ribbon((*ellipse((x, 53), (14, 18)), (x + 14, 53.0)), 2.6), "main", METAL)
    return sketch.template()


def necklace(beaded: bool = False) -> Template:
    """A necklace: a chain with a pendant, or a string of beads."""
    sketch = Sketch()
    line = curve("M 24 14 Q 18 56 50 68 Q 82 56 76 14")
    dense = [((line[i][0] + line[i + 1][0]) / 2, (line[i][1] + line[i + 1][1]) / 2) for i in range(len(line) - 1)]
    points = sorted([*line, *dense])
    if beaded:
        for index, point in enumerate(points[::2]):
            radius = 2.1 + 1.3 * (point[1] - 14) / 54
            sketch.fill(
                ellipse(point, (radius, radius)), "main" if index % 3 else "ivory", Finish(round=1.6, gloss=0.6)
            )
        return sketch.template()
    sketch.fill([ellipse(point, (1.25, 0.8), 30 if point[0] < 50 else -30) for point in points], "main", METAL)
    sketch.fill(ellipse((50, 69.6), (1.8, 2.2)), "main", METAL)
    sketch.fill(
        curve("M 50 71 Q 58 79 58 84 Q 57 91 50 91.4 Q 43 91 42 84 Q 42 79 50 71"), "main", Finish(gloss=0.8, round=2.2)
    )
    sketch.fill(ellipse((50, 84), (3.8, 4.2)), "pearl", Finish(gloss=0.7, round=2.4, volume=1.4))
    return sketch.template()


def belt() -> Template:
    """A coiled belt with a metal buckle."""
    sketch = Sketch()
    sketch.fill(
        curve("M 20 40 Q 22 27 50 26 Q 78 27 80 40 L 80 52 Q 76 40 50 39 Q 24 40 20 52"),
        "main",
        Finish(tone=0.6, gloss=0.1),
    )
    band = curve("M 12 44 Q 16 62 50 64 Q 84 62 88 44 L 88 58 Q 84 77 50 79 Q 16 77 12 58")
    sketch.fill(curve("M 12 58 L 12 44 Q 13 36 22 33 L 24 45 Q 16 48 12 58"), "main", Finish(tone=0.8, gloss=0.2))
    sketch.fill(curve("M 88 58 L 88 44 Q 87 36 78 33 L 76 45 Q 84 48 88 58"), "main", Finish(tone=0.8, gloss=0.2))
    sketch.fill(band, "main", Finish(gloss=0.3, round=3.4))
    sketch.seam(
        [curve("M 13 47 Q 18 64.4 50 66 Q 82 64.4 87 47"), curve("M 13 57.6 Q 18 75 50 77 Q 82 75 87 57.6")],
        0.26,
        0.4,
        dashed=True,
    )
    sketch.fill(
        [ellipse((x, 71.6 - abs(x - 50) * 0.07), (0.7, 0.7)) for x in (66, 71, 76)], "black", Finish(volume=0, lift=0)
    )
    sketch.fill([curve("M 36 59.6 L 58 60.6 L 58 82.4 L 36 81.4")], "gold", METAL)
    sketch.fill(curve("M 39.4 63 L 54.6 63.8 L 54.6 79 L 39.4 78.2"), "main", Finish(tone=0.84, gloss=0.2, lift=0.3))
    sketch.fill(ribbon(((37.0, 70.6), (57.0, 71.4)), 1.7), "gold", METAL)
    sketch.fill(curve("M 29 61.6 L 33 62.4 L 33 80 L 29 79"), "main", Finish(gloss=0.3, round=1.2, lift=0.6))
    return sketch.template()


def watch(sporty: bool = False) -> Template:
    """A wrist watch: round with hands on a leather strap, or square with a screen."""
    sketch = Sketch()
    strap = curve("M 42 36 Q 43 16 44 8 Q 50 6.4 56 8 Q 57 16 58 36")
    low = curve("M 42 64 Q 43 82 44.6 92 Q 50 94.4 55.4 92 Q 57 82 58 64")
    sketch.fill([strap, low], "main", Finish(gloss=0.0 if sporty else 0.3, round=2.4))
    sketch.seam(
        [
            curve("M 43.6 34 L 45.2 10"),
            curve("M 56.4 34 L 54.8 10"),
            curve("M 43.6 66 L 45.6 90"),
            curve("M 56.4 66 L 54.4 90"),
        ],
        0.26,
        0.0 if sporty else 0.45,
        dashed=True,
    )
    sketch.fill([ellipse((50, y), (0.8, 0.6)) for y in (77, 81, 85)], "black", Finish(volume=0, lift=0))
    if sporty:
        _screen(sketch)
    else:
        _dial(sketch)
    return sketch.template()


def _screen(sketch: Sketch) -> None:
    sketch.fill(
        symmetric("M 50 32 L 38 32 Q 34 32 34 36 L 34 64 Q 34 68 38 68 L 50 68"),
        "black",
        Finish(gloss=0.4, round=1.6),
    )
    sketch.fill(
        symmetric("M 50 36 L 40 36 Q 38 36 38 38 L 38 62 Q 38 64 40 64 L 50 64"),
        "lens",
        Finish(tone=0.6, gloss=0.3),
    )
    bars = [curve(f"M 41.5 {y} L {x} {y}") for y, x in ((57, 58.5), (60, 53))]
    digits = [
        curve("M 42 41 L 42 52"),
        curve("M 45 41 L 49 41 L 49 46.5 L 45 46.5 L 45 52 L 49 52"),
        curve("M 53 41 L 53 46.5 L 58 46.5"),
        curve("M 58 41 L 58 52"),
    ]
    sketch.fill([ribbon(line, 1.1) for line in (*bars, *digits)], "white", Finish(volume=0, lift=0))


def _dial(sketch: Sketch) -> None:
    sketch.fill(ellipse((50, 50), (17.6, 17.6)), "gold", METAL)
    sketch.fill(ellipse((50, 50), (14.8, 14.8)), "white", Finish(round=2, lift=0.1, gloss=0.1))
    marks = [
        ((50 + 11.4 * math.cos(a), 50 + 11.4 * math.sin(a)), (50 + 13.4 * math.cos(a), 50 + 13.4 * math.sin(a)))
        for a in (k * math.pi / 6 for k in range(12))
    ]
    sketch.seam([*marks], 0.9, 0.8)
    sketch.fill([ribbon(((50.0, 50.0), (43.6, 44.6)), 1.1), ribbon(((50.0, 50.0), (58.4, 42.0)), 0.8)], "black", FLAT)
    sketch.fill(ellipse((50, 50), (1.1, 1.1)), "gold", METAL)
    sketch.fill(ellipse((69, 50), (1.6, 1.8)), "gold", METAL)


def sunglasses() -> Template:
    """Sunglasses with dark lenses, seen from the front."""
    sketch = Sketch()
    sketch.fill(both(ribbon(curve("M 11 42 Q 18 34 30 32 Q 36 31.6 40 33"), 1.8)), "main", Finish(tone=0.75, gloss=0.2))
    frame = curve("M 8 40 Q 26 35 45 41 Q 48 44 46.6 52 Q 43 68 29 69 Q 13 68.6 10.4 52 Q 9.6 46 7.4 44.4")
    sketch.fill([frame, mirror(frame)], "main", LEATHER)
    sketch.fill(curve("M 44 42 Q 50 38.6 56 42 L 55 48 Q 50 44.6 45 48"), "main", LEATHER)
    lens = curve("M 13.6 43 Q 27 39.4 43 44 Q 44.6 47 43.4 52 Q 40.6 65 29 65.6 Q 16.6 65.4 14.4 52 Q 13.6 47 13.6 43")
    for side, x in ((lens, 0.0), (mirror(lens), 42.0)):
        sketch.fill(side, "lens", Finish(tone=0.8, round=3, gloss=0.3, lift=0))
        sketch.shine([((18 + x, 60.0), (30 + x, 44.0)), ((24 + x, 63.0), (33 + x, 51.0))], 1.8, 0.25, 0.7)
    sketch.fill([ellipse((10.8, 42.4), (1.0, 0.7)), ellipse((89.2, 42.4), (1.0, 0.7))], "gold", METAL)
    return sketch.template()
