"""Shoes, drawn from the side with the toe to the right."""

from __future__ import annotations

from coordi.data.sample.drawing.canvas import FLAT, INSIDE, LEATHER, METAL, Finish, Sketch, Template
from coordi.data.sample.drawing.outline import curve, ellipse, ribbon

_SOLE = Finish(round=1.2, lift=0.2)


def sneakers(running: bool = False) -> Template:
    """Canvas sneakers with laces and a toe cap, or running shoes with a thick, shaped sole."""
    return _running_shoes() if running else _canvas_shoes()


def _canvas_shoes() -> Template:
    sketch = Sketch(standing=True)
    sketch.fill(curve("M 14 40 Q 24 36 38 38 L 40 50 L 16 50"), "white", INSIDE)
    sketch.fill(curve("M 38 38 Q 44 32 50 34 L 60 50 L 44 54"), "main", Finish(tone=0.86))
    upper = curve(
        "M 12 68 Q 11 52 14 39 Q 17 37 19 40 Q 25 46 36 45 Q 40 42 41 37 L 45 36 Q 54 50 66 56 Q 82 58 88 64 "
        "Q 90 68 90 72 L 12 72"
    )
    sketch.fill(upper)
    sketch.fold(
        [curve("M 60 54 Q 58 62 60 70"), curve("M 66 57 Q 65 64 67 70"), curve("M 20 44 Q 22 56 20 68")], 1.4, 0.16
    )
    sketch.seam(
        [
            curve("M 12.4 50 Q 18 48 21 45"),
            curve("M 21 45 Q 25 56 24 71"),
            curve("M 38 45 Q 44 60 62 62 Q 66 62 69 57"),
        ],
        0.3,
        0.45,
        dashed=True,
    )
    sketch.fill(curve("M 72 57 Q 84 58.6 89 65 Q 90.6 69 90 73 L 74 73 Q 70 64 72 57"), "white", Finish(round=2.4))
    for step in range(5):
        x, y = 43.4 + step * 4.4, 40.6 + step * 4.0
        sketch.fill(ribbon(curve(f"M {x - 2.6} {y + 3.4} Q {x + 1} {y - 1.6} {x + 4.6} {y - 1.0}"), 1.5), "white", FLAT)
    sketch.fill(ribbon(curve("M 43 39 Q 36 32 33 38 Q 34 42 43 40"), 1.0), "white", FLAT)
    sketch.fill(ribbon(curve("M 44 39 Q 48 29 53 33 Q 54 38 45 40"), 1.0), "white", FLAT)
    sole = curve("M 10.6 69 Q 50 71.6 90.6 69.4 Q 93 74 91 78.6 Q 50 80.6 11.6 78.4 Q 9.4 74 10.6 69")
    sketch.fill(sole, "white", _SOLE)
    sketch.seam([curve("M 10.4 72.4 Q 50 74.8 91.8 72.6")], 0.7, 0.3)
    sketch.fill(curve("M 11 77 Q 50 79.6 91.6 77 L 91 79.6 Q 50 81.4 11.6 79.4"), "gum", FLAT)
    return sketch.template()


def _running_shoes() -> Template:
    sketch = Sketch(standing=True)
    sketch.fill(curve("M 13 37 Q 24 40 38 36 L 42 50 L 16 52"), "plain", INSIDE)
    sketch.fill(curve("M 36 37 Q 42 30 48 32 L 58 48 L 42 52"), "plain", Finish(tone=0.85))
    upper = curve(
        "M 11 66 Q 13 54 9.6 40 Q 11 34 15 36 Q 22 46 34 44 Q 39 41 41 36 L 46 35 Q 54 48 66 53 Q 84 56 91 65 "
        "Q 92 68 91 70 L 12 70"
    )
    sketch.fill(upper, "main", Finish(gloss=0.08))
    sketch.seam(
        [curve(f"M {52 + s * 4} {48 + s * 1.8} Q {55 + s * 4} 60 {52 + s * 5} 69") for s in range(7)], 0.35, 0.18
    )
    sketch.fill(
        curve("M 10 60 Q 13 50 11.4 42 Q 20 50 26 52 Q 26 64 20 70 L 11.6 70"), "plain", Finish(tone=0.84, gloss=0.2)
    )
    sketch.fill(curve("M 76 57 Q 87 60 91 66 L 91 71 L 74 71 Q 73 63 76 57"), "plain", Finish(tone=0.84, gloss=0.2))
    swoosh = curve("M 26 64 Q 40 66 58 50 L 62 52 Q 46 70 26 69.6")
    sketch.fill(swoosh, "white", FLAT)
    for step in range(5):
        x, y = 43.0 + step * 4.2, 39.4 + step * 3.5
        sketch.fill(ribbon(curve(f"M {x - 2.4} {y + 3.4} Q {x + 1} {y - 1.4} {x + 4.4} {y - 0.8}"), 1.4), "white", FLAT)
    sole = curve(
        "M 7.6 66 Q 12 67 20 66 Q 50 72 76 68 Q 88 67 93.6 66 Q 96 70 92 76 Q 86 80 74 79.6 L 64 78 Q 40 82 14 80 "
        "Q 6 77 7.6 66"
    )
    sketch.fill(sole, "white", Finish(round=1.8, lift=0.3))
    sketch.fold([curve("M 9 72 Q 30 76 52 75"), curve("M 60 75 Q 76 75 92 71")], 0.8, 0.3, 0.4)
    sketch.fill(
        curve(
            "M 8.4 76 Q 12 79.6 30 79.4 Q 50 79.4 64 76.8 L 74 78 Q 86 78 92.6 74 Q 91 80 78 81 L 64 79.6 "
            "Q 40 83.4 14 81.4 Q 9 80 8.4 76"
        ),
        "plain",
        FLAT,
    )
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
    sketch.fill(curve("M 36 62 Q 46 74 62 81 Q 76 83.6 92 81.8 L 92 83.4 Q 74 85.4 60 83 Q 44 76 34 63"), "black", FLAT)
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
    sketch.fill(curve("M 11 46 Q 28 44 46 46 L 48 58 L 14 60"), "leather", INSIDE)
    sketch.fill(curve("M 47 48 Q 50 43 56 44 Q 58 50 56 56 L 48 56"), "main", Finish(tone=0.85, gloss=0.2))
    upper = curve(
        "M 9.6 71 Q 8 58 10.6 46 Q 12 44 14 47 Q 24 58 38 57 Q 46 54 50 47 "
        "Q 62 50 70 55 Q 86 58 91 68 Q 92 71 91 73 L 10 73"
    )
    sketch.fill(upper, "main", LEATHER)
    sketch.seam([curve("M 50 49 Q 60 54 66 57 Q 80 58 88 67 Q 84 64 76 64 Q 62 62 54 56")], 0.45, 0.5)
    sketch.shine([curve("M 70 60 Q 80 61 86 66")], 1.8, 0.4, 1.1)
    sketch.seam([curve("M 11.6 50 Q 22 61 38 60")], 0.25, 0.4, dashed=True)
    sketch.fill(
        curve("M 49 46 Q 55 45.6 60 49.6 Q 58 60 50 69 Q 46 69.6 42 68 Q 48 58 49 46"),
        "main",
        Finish(gloss=0.3, round=1.6),
    )
    sketch.fill(
        curve("M 49.6 55.6 Q 52.4 54.6 55 57 L 52.6 60.6 Q 50 59.4 48 59.6"), "black", Finish(volume=0.3, lift=0)
    )
    sketch.fill(
        curve("M 9 71.6 Q 50 73.8 91.6 71.8 Q 93 74 91.6 76 L 32 77 L 31 82.6 L 10.6 82.6 Q 8.6 76 9 71.6"),
        "wood",
        _SOLE,
    )
    sketch.seam([curve("M 9.4 73.4 Q 50 75.4 92 73.4")], 0.25, 0.5, dashed=True)
    sketch.fill(curve("M 10.4 81 L 31.2 81 L 31 83.4 L 10.6 83.4"), "black", FLAT)
    return sketch.template()


def sandals() -> Template:
    """A flat sandal with two straps and a buckle at the ankle."""
    sketch = Sketch(standing=True)
    sketch.fill(ribbon(curve("M 16 68 Q 20 50 24 40 Q 33 34 42 38"), 3.0), "main", Finish(tone=0.6))
    sketch.fill(
        curve("M 8 68 Q 20 63 36 66 Q 60 71 84 68 Q 93 69 93 72 L 92 75 L 8 75"), "gum", Finish(tone=1.05, round=1.6)
    )
    straps = ["M 12 72 Q 10 54 19 42", "M 30 71 Q 38 54 43 39"]
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
