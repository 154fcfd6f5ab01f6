"""Shoes, drawn from the side with the toe to the right."""

from __future__ import annotations

from .canvas import FLAT, INSIDE, LEATHER, METAL, Finish, Sketch, Template
from .outline import curve, ellipse, ribbon

_SOLE = Finish(round=1.2, lift=0.2)


def sneakers(running: bool = False) -> Template:
    """Canvas sneakers with laces and a toe cap, or running shoes with a thick, shaped sole."""
    return _running_shoes() if running else _canvas_shoes()


def _canvas_shoes() -> Template:
    sketch = Sketch(standing=True)
    sketch.fill(curve("M 12 47 Q 22 44 36 45 L 40 56 L 14 57"), "white", INSIDE)
    sketch.fill(curve("M 35 46 Q 38 38.6 45 40 Q 52 46 60 57 L 42 60"), "main", Finish(tone=0.86))
    upper = curve(
        "M 9.6 70 Q 8.4 56 10.6 46 Q 12.6 43.4 15 46 Q 22 53 33 52 Q 37 49 38.4 44 L 42 43 Q 52 54 64 58 "
        "Q 82 60 90 66 Q 92.4 69 92.4 73 L 9.6 73"
    )
    sketch.fill(upper)
    sketch.fold(
        [curve("M 60 58 Q 58 64 60 71"), curve("M 66 60 Q 65 66 67 71"), curve("M 17 52 Q 20 62 18 70")], 1.4, 0.16
    )
    seams = ["M 9.8 56 Q 15 54.6 18 50.6", "M 18 50.6 Q 22.4 60 21.6 72", "M 35 52 Q 42 64 60 64.6 Q 66 64.6 70 60.6"]
    sketch.seam([curve(seam) for seam in seams], 0.3, 0.45, dashed=True)
    sketch.fill(
        curve("M 73 60 Q 86 61.4 91 67 Q 92.8 70 92.4 74 L 75.4 74 Q 71 66.6 73 60"), "white", Finish(round=2.4)
    )
    sketch.fill([ellipse((39.6 + step * 4.9, 48.8 + step * 2.9), (0.6, 0.6)) for step in range(5)], "silver", METAL)
    for step in range(5):
        x, y = 42.0 + step * 4.9, 46.6 + step * 2.9
        sketch.fill(ribbon(curve(f"M {x - 2.6} {y + 2.4} Q {x + 1} {y - 1.6} {x + 4.6} {y - 0.6}"), 1.4), "white", FLAT)
    sketch.fill(ribbon(curve("M 41 45.6 Q 33 38.6 30.6 44 Q 32 48.4 41 46.4"), 1.0), "white", FLAT)
    sketch.fill(ribbon(curve("M 42 45.4 Q 45 36 50.4 39.6 Q 51.4 44 43 46.2"), 1.0), "white", FLAT)
    sole = curve("M 8.2 71 Q 50 73.4 93 71.2 Q 95.4 75 93.6 79 Q 50 81 9.2 79 Q 7 75 8.2 71")
    sketch.fill(sole, "white", _SOLE)
    sketch.seam([curve("M 8 74 Q 50 76.4 94.2 74.2")], 0.7, 0.3)
    sketch.fill(curve("M 8.6 77.8 Q 50 80 94 77.6 L 93.6 80 Q 50 81.8 9.2 80"), "gum", FLAT)
    return sketch.template()


def _running_shoes() -> Template:
    sketch = Sketch(standing=True)
    sketch.fill(curve("M 12 45 Q 22 46 35 43 L 40 56 L 14 58"), "plain", INSIDE)
    sketch.fill(curve("M 33 45 Q 36 37 44 38 Q 52 45 60 55 L 40 58"), "plain", Finish(tone=0.85))
    upper = curve(
        "M 9 70 Q 10 58 7 46 Q 8 41 11.6 43 Q 20 52 32 50.6 Q 36 48 37.4 43 L 41.4 42 Q 52 52 65 56 Q 84 58.6 91.6 67 "
        "Q 92.6 70 92 72 L 10 72"
    )
    sketch.fill(upper, "main", Finish(gloss=0.08))
    knit = [curve(f"M {50 + s * 3.4} {51 + s * 1.3} Q {53 + s * 3.5} 62 {50 + s * 4.4} 71") for s in range(9)]
    sketch.seam(knit, 0.3, 0.16)
    overlay = Finish(tone=0.86, gloss=0.2, round=1.6, lift=0.25)
    sketch.fill(curve("M 8.6 62 Q 10 54 8 47.4 Q 16 56 25 56.6 Q 26 66 20 72 L 9.6 72"), "plain", overlay)
    sketch.fill(curve("M 77 59.4 Q 88 62 91.6 68 L 91.6 73 L 75 73 Q 74 65.6 77 59.4"), "plain", overlay)
    sketch.fill(curve("M 27 66.6 Q 42 67 57 55 L 61.4 56.6 Q 46 71.6 27 71"), "white", FLAT)
    for step in range(5):
        x, y = 41.0 + step * 4.6, 46.0 + step * 2.5
        sketch.fill(ribbon(curve(f"M {x - 2.4} {y + 2.6} Q {x + 1} {y - 1.4} {x + 4.6} {y - 0.4}"), 1.3), "white", FLAT)
    sole = curve(
        "M 5.6 68 Q 12 69.6 22 68.4 Q 50 73.4 76 70 Q 88 69 94 68 Q 96.4 71 92.6 77 Q 86 80.4 74 80 L 64 78.6 "
        "Q 40 82 14 80.6 Q 4.6 78 5.6 68"
    )
    sketch.fill(sole, "white", Finish(round=1.8, lift=0.3))
    sketch.fold([curve("M 8 73.6 Q 30 77 52 76"), curve("M 60 76 Q 76 76 92 72.4")], 0.8, 0.3, 0.4)
    tread = curve(
        "M 6.8 77 Q 12 80 30 79.8 Q 50 79.6 64 77.6 L 74 78.8 Q 86 78.8 93 75.4 Q 91 81 78 81.4 L 64 80.2 "
        "Q 40 83.6 14 81.8 Q 8 80.6 6.8 77"
    )
    sketch.fill(tread, "plain", FLAT)
    return sketch.template()


def pumps() -> Template:
    """A pump with a slim high heel and a pointed toe."""
    sketch = Sketch(standing=True)
    sketch.fill(curve("M 14.6 34 Q 30 50 48 60 Q 60 63 66 62 Q 50 52 36 44 Q 24 34 20 30"), "ivory", INSIDE)
    sketch.fill(curve("M 15 45 Q 22 50 25.6 54 Q 22 64 21.4 83 L 17.6 83 Q 17.4 62 12.6 46"), "plain", LEATHER)
    upper = curve(
        "M 13 46 Q 11 36 14.4 29.6 Q 17 28.4 19 31 Q 28 50 48 59 Q 58 63 67 62.4 Q 84 66 93.6 78 Q 94.6 81 92 81.8 "
        "Q 76 83.6 62 81 Q 46 74 36 62 Q 26 51 13 46"
    )
    sketch.fill(upper, "main", Finish(gloss=0.4, round=3.2))
    sketch.shine([curve("M 66 66 Q 78 68 86 75")], 1.6, 0.4, 1.0)
    sketch.shine([curve("M 16.4 36 Q 20 46 32 54")], 1.2, 0.25, 0.9)
    sketch.seam([curve("M 18 33.6 Q 27 51.6 47 60.6 Q 57 64.6 66 64.2")], 0.25, 0.4)
    sketch.fill(
        curve("M 35 61 Q 46 73.4 62 80.4 Q 76 83 92.6 81 L 92.4 83 Q 75 85.2 60.6 82.6 Q 45 75.6 35 61"), "black", FLAT
    )
    sketch.fill(curve("M 17.2 82.4 L 21.8 82.4 L 21.8 84.4 L 17.2 84.4"), "black", FLAT)
    return sketch.template()


def ankle_boots() -> Template:
    """An ankle boot with elastic sides, a pull tab and a block heel."""
    sketch = Sketch(standing=True)
    sketch.fill(ellipse((33, 22.4), (16, 2.6), -2), "ivory", INSIDE)
    sketch.fill(curve("M 14.4 70 L 31 72 L 29.4 85 L 15.4 85"), "wood", LEATHER)
    upper = curve(
        "M 16.6 22.4 Q 33 26.4 49 21.6 Q 49.6 38 54 48 Q 62 57 76 60 Q 90 64 91 74 Q 91 77 90 78 L 38 79 Q 30 76 14 75 "
        "Q 11.6 64 14.6 52 Q 17.4 38 16.6 22.4"
    )
    sketch.fill(upper, "main", Finish(gloss=0.22, round=4.0))
    sketch.fold(
        [curve("M 47 46 Q 41 51 36 51"), curve("M 52 51 Q 46 57 41 58"), curve("M 16 52 Q 20 56 25 55")], 1.5, 0.24
    )
    sketch.shine([curve("M 70 62 Q 80 64 86 70")], 2.2, 0.25, 1.4)
    sketch.fill(curve("M 27 24.8 Q 34 25.6 40 24.2 Q 39.6 42 36 54 Q 33.4 55.6 31 54 Q 28 42 27 24.8"), "black", FLAT)
    sketch.seam([((27.6 + s, 25.0), (31.2 + s * 0.42, 54.0)) for s in range(0, 13)], 0.3, 0.5)
    sketch.fill(ribbon(curve("M 17.4 26 Q 13 18 18 14 Q 23 16 20 26"), 1.7), "plain", FLAT)
    sketch.fill(
        curve("M 13.4 74 Q 30 75 38 78 L 91 77 Q 92 79.6 90.6 81.4 L 38 82.6 Q 30 78.6 13.8 77.6"), "black", FLAT
    )
    sketch.fill(curve("M 15.2 83.6 L 29.6 83.6 L 29.4 85.6 L 15.4 85.6"), "black", FLAT)
    return sketch.template()


def loafers() -> Template:
    """A penny loafer with a low heel."""
    sketch = Sketch(standing=True)
    sketch.fill(curve("M 9.4 53 Q 24 51.4 44 54 L 48 62 L 12 63"), "leather", INSIDE)
    sketch.fill(curve("M 43 56 Q 44.4 49 50 49 Q 56 51 60 57 L 50 62"), "main", Finish(tone=0.85, gloss=0.2))
    upper = curve(
        "M 8 73 Q 6.4 62 8.4 53 Q 10 50.6 12.4 53.4 Q 22 62 36 62 Q 44 59 48.6 53.4 "
        "Q 58 55 68 60 Q 86 62.6 92.6 70 Q 93.6 72.6 93 75 L 8 75"
    )
    sketch.fill(upper, "main", LEATHER)
    sketch.fill(
        curve("M 52 55.4 Q 62 58 69 61.4 Q 82 63.4 88.4 68.6 Q 84 68.4 78 68.4 Q 62 67 50.6 61"),
        "main",
        Finish(tone=1.03, gloss=0.3, round=1.4, lift=0.3),
    )
    sketch.shine([curve("M 68 63.4 Q 78 64.6 84 67.4")], 1.4, 0.35, 0.9)
    sketch.fill(
        curve("M 47 53.6 Q 52 52.4 57.4 55.8 Q 56.4 64 50 72.6 Q 46 73.4 41.4 72 Q 46.4 63 47 53.6"),
        "main",
        Finish(gloss=0.3, round=1.6),
    )
    sketch.fill(curve("M 47.4 61 Q 50 59.6 53 61.4 L 50.6 64.8 Q 48 63.8 46 64.4"), "black", Finish(volume=0.3, lift=0))
    sketch.fill(ribbon(curve("M 9 56 Q 20 65.4 36 65"), 0.9), "main", Finish(tone=0.82, round=0.5, lift=0.2))
    sole = "M 7.4 73.4 Q 50 75.4 93.4 73.6 Q 94.6 75.4 93.4 77.4 Q 60 79.4 32 78 L 31 83 L 9 83 Q 7 78 7.4 73.4"
    sketch.fill(curve(sole), "wood", _SOLE)
    sketch.seam([curve("M 7.8 75 Q 50 77 93.8 75.2")], 0.25, 0.5, dashed=True)
    sketch.fill(curve("M 8.6 81.6 L 31.2 81.6 L 31 83.8 L 9 83.8"), "black", FLAT)
    return sketch.template()


def sandals() -> Template:
    """A flat sandal with two straps and a buckle at the ankle."""
    sketch = Sketch(standing=True)
    sketch.fill(ribbon(curve("M 17.6 45 Q 24 37.6 33 37.6 Q 41 38 44.6 42"), 3.6), "main", Finish(tone=0.62))
    sketch.fill(
        curve("M 8 68 Q 20 63 36 66 Q 60 71 84 68 Q 93 69 93 72 L 92 75 L 8 75"), "gum", Finish(tone=1.05, round=1.6)
    )
    straps = ["M 11 72 Q 11 56 17.4 46", "M 31 71 Q 39 56 43.6 43"]
    sketch.fill([ribbon(curve(strap), 3.6) for strap in straps], "main", LEATHER)
    sketch.fill(curve("M 17.4 43 Q 29 52 44.6 40 L 46 44.4 Q 30 57 15.8 47.6"), "main", LEATHER)
    sketch.seam([curve("M 18.4 45 Q 29.4 53.4 44.6 42.6")], 0.2, 0.35, dashed=True)
    sketch.fill(
        curve("M 55 72.6 Q 60 56 68 55.4 Q 76 57 82 72.6 L 74 72.6 Q 70 63 67.4 62.6 Q 65 64 63.4 72.6"),
        "main",
        LEATHER,
    )
    sketch.fill(
        curve("M 62 72.6 Q 71 55 80 57.4 Q 87 62 88 72.6 L 81.6 72.6 Q 80.4 65 78 63.6 Q 73 64 70 72.6"),
        "main",
        LEATHER,
    )
    buckle = ellipse((30, 50), (2.9, 2.5))
    sketch.fill(buckle, "gold", METAL)
    sketch.fill(ellipse((30, 50), (1.7, 1.4)), "main", Finish(tone=0.9, lift=0.2))
    sketch.fill(
        curve(
            "M 7.6 71.6 Q 20 73 36 72.6 Q 60 74 93.4 71.8 Q 95 75 92.6 78 Q 60 80 34 78.6 L 8.6 79 Q 6.6 75 7.6 71.6"
        ),
        "leather",
        _SOLE,
    )
    sketch.fill(
        curve("M 8 76.6 Q 34 76.8 60 77.4 Q 80 77.4 93.4 76 L 92.4 79.4 Q 60 81.4 34 80 L 8.8 80.4"), "black", FLAT
    )
    return sketch.template()
