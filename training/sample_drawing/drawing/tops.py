"""Tops: T-shirts, shirts, knitwear, blouse and camisole."""

from __future__ import annotations

from .canvas import BODY, FLAT, INSIDE, Finish, Sketch, Template
from .outline import Points, curve, ellipse, mirror, ribbon, symmetric

_SILK = Finish(gloss=0.3, round=4.0)


def both(points: Points) -> list[Points]:
    """A shape and its mirror image."""
    return [points, mirror(points)]


def t_shirt(raglan: bool = False) -> Template:
    """A crew-neck T-shirt; raglan sleeves and side panels make it one for training."""
    sketch = Sketch()
    sketch.fill(symmetric("M 50 13.5 Q 43 13.5 38.5 16 L 39 20 Q 44 24 50 24"), "plain", INSIDE)
    _short_sleeves(sketch, "plain" if raglan else "main")
    sketch.fill(
        symmetric("M 50 22.5 Q 42.5 22 39 15 L 29 19.5 Q 31.5 30 30.5 41 Q 32.5 62 30.5 87 Q 40 88.6 50 88.6"),
        "main",
        BODY,
    )
    _body_folds(sketch)
    sketch.seam([curve("M 30.7 84.6 Q 40 86.2 50 86.2 Q 60 86.2 69.3 84.6")], 0.3, 0.35, dashed=True)
    if raglan:
        sketch.fill(both(curve("M 30.5 41 Q 35 50 34.5 62 Q 34 76 35.5 88 L 30.5 87 Q 32.5 62 30.5 41")), "white", FLAT)
        sketch.fill(ellipse((59, 32), (2.2, 0.7), -20), "white", FLAT)
    sketch.fill(_neck_rib(), "plain", FLAT)
    sketch.seam([curve("M 38 17 Q 42 24.3 50 24.4 Q 58 24.3 62 17")], 0.25, 0.3)
    return sketch.template()


def shirt(short: bool = False) -> Template:
    """A buttoned shirt with collar, placket, cuffs and a pocket."""
    sketch = Sketch()
    sketch.fill(symmetric("M 50 11.5 Q 44 11 41 14 L 42 21 L 50 25"), "plain", INSIDE)
    if short:
        _short_sleeves(sketch, "main")
    else:
        _long_sleeves(sketch)
        _cuffs(sketch, button=True)
    sketch.fill(
        symmetric("M 50 24 L 40.5 14.5 L 28.5 19 Q 31 30 30.5 41 Q 32 62 30 84 Q 33 88 40 90 Q 46 91.4 50 91.4"),
        "main",
        BODY,
    )
    _body_folds(sketch)
    sketch.seam([curve("M 30 19 Q 36 20.5 40.8 20.5"), curve("M 70 19 Q 64 20.5 59.2 20.5")], 0.25, 0.3)
    sketch.seam(
        [curve("M 30.2 82.6 Q 33.5 86.6 40 88.4 Q 46 89.8 50 89.8 Q 54 89.8 60 88.4 Q 66.5 86.6 69.8 82.6")],
        0.25,
        0.3,
        dashed=True,
    )
    sketch.fill(curve("M 56.5 34 L 66 33.5 L 66 42.5 L 61.3 45 L 56.7 42.8"), "main", FLAT)
    sketch.seam([curve("M 56.5 35.6 L 66 35.1")], 0.25, 0.35)
    sketch.fill(curve("M 47.9 23 L 52.1 23 L 52.1 91.2 L 47.9 91.3"), "main", FLAT)
    buttons(sketch, [(50.0, y) for y in (29.5, 41, 52.5, 64, 75.5, 86)])
    for side in both(curve("M 50 24.4 L 41 12 Q 38.6 15 38.4 17.5 L 43 29.5 Q 46.5 28 50 24.4")):
        sketch.fill(side, "plain", Finish(volume=0.8, round=1.2, lift=0.5))
    sketch.seam([curve("M 39.6 18 L 43.5 28.2 Q 46.5 26.8 49 24.3")], 0.22, 0.3, dashed=True)
    return sketch.template()


def sweater(high_neck: bool = False) -> Template:
    """A knitted sweater with ribbed hem and cuffs, round-necked or with a roll neck."""
    sketch = Sketch()
    if not high_neck:
        sketch.fill(symmetric("M 50 14 Q 43 14 38.5 16 L 40 21 Q 44 24 50 24"), "plain", INSIDE)
    _long_sleeves(sketch, wide=1.6)
    _cuffs(sketch, button=False)
    sketch.fill(
        symmetric("M 50 22.5 Q 42.5 22 39 15.5 Q 33 17 28 20.5 Q 30 31 29 42 Q 29.5 62 28.5 80 Q 40 82 50 82"),
        "main",
        BODY,
    )
    _body_folds(sketch)
    sketch.seam([curve("M 28.4 21 Q 33.5 30 29.4 42"), curve("M 71.6 21 Q 66.5 30 70.6 42")], 0.35, 0.35)
    hem = symmetric("M 50 80.6 Q 40 80.6 28.4 78.6 Q 28.8 83 30 87 Q 40 88.6 50 88.6")
    sketch.fill(hem, "plain", FLAT)
    _ribbing(sketch, 29, 71, 79, 88.6)
    if high_neck:
        sketch.fill(symmetric("M 50 9 Q 44 9 41 10.5 Q 41.5 17 38 20.5 Q 43 24.5 50 24.5"), "plain", FLAT)
        _ribbing(sketch, 39, 61, 10, 24)
        sketch.fill(symmetric("M 50 7.4 Q 44 7.4 41 9 Q 40 13 40.6 16.5 Q 45 18.6 50 18.6"), "plain")
        _ribbing(sketch, 41, 59, 8, 18)
    else:
        sketch.fill(_neck_rib(3.0), "plain", FLAT)
    return sketch.template()


def sweatshirt() -> Template:
    """A hooded sweatshirt with a pouch and drawstrings."""
    sketch = Sketch()
    sketch.fill(symmetric("M 50 7 Q 38 6.5 35 17 Q 36 24 50 27"), "plain")
    sketch.fill(symmetric("M 50 10.5 Q 42 10.5 39.6 18 Q 42 25 50 28"), "plain", INSIDE)
    _long_sleeves(sketch, wide=1.2)
    _cuffs(sketch, button=False)
    sketch.fill(
        symmetric("M 50 28.5 Q 41 24.5 36.5 17 Q 32 18 27.5 21 Q 30 31 29 42 Q 29.5 62 28.5 80 Q 40 82 50 82"),
        "main",
        BODY,
    )
    _body_folds(sketch)
    for side in both(curve("M 50 29.5 Q 39.5 25 35.8 16.5 Q 38.5 12.5 40.2 12.5 Q 41.5 21.5 50 26.5")):
        sketch.fill(side, "plain")
    sketch.fill(symmetric("M 50 56 L 40.5 56 L 35 66 L 36 77.5 L 50 77.5"), "main", FLAT)
    sketch.seam([curve("M 41.6 57 L 36.2 66.4"), curve("M 58.4 57 L 63.8 66.4")], 0.3, 0.4, dashed=True)
    sketch.fill(symmetric("M 50 80.4 Q 40 80.4 28.4 78.6 Q 28.8 83 30 86.5 Q 40 88 50 88"), "plain", FLAT)
    _ribbing(sketch, 29, 71, 79, 88)
    for cord in both(ribbon(curve("M 46 27.5 Q 45 36 45.8 45"), 0.9)):
        sketch.fill(cord, "white", FLAT)
    return sketch.template()


def blouse() -> Template:
    """A flowing blouse with a bow at the neck and gathered sleeves."""
    sketch = Sketch()
    sketch.fill(symmetric("M 50 12.5 Q 44 12.5 40.5 15 L 41 21 Q 45 24 50 24"), "plain", INSIDE)
    sleeve = curve(
        "M 31.5 17.8 Q 22.6 19.6 18 34 Q 10 55 8 70 Q 8.5 76 13 77.5 L 20.5 77.5 Q 25 75 25.5 68 Q 27 54 31 41"
    )
    for side, grain in zip(both(sleeve), (18, -18), strict=True):
        sketch.fill(side, "main", _SILK, grain)
        gathers = [curve("M 24 26 Q 17 46 13.5 75"), curve("M 29 36 Q 22 56 18 76")]
        sketch.fold(gathers if grain > 0 else [mirror(line) for line in gathers], 2.0, 0.22)
    sketch.fill(both(curve("M 11.8 76.5 Q 16 78.4 21.4 76.6 L 21 82.5 Q 16.5 84 12.4 82.6")), "plain", FLAT)
    sketch.fill(
        symmetric("M 50 22 Q 43 21 40 14.5 L 28.5 19 Q 31 30 30.5 41 Q 30.5 62 27 85 Q 33 88.6 50 88.6"), "main", _SILK
    )
    sketch.fold(
        [
            curve("M 38 24 Q 36 56 32.5 87"),
            curve("M 44 30 Q 43 60 41.5 88"),
            curve("M 57 32 Q 58 60 59 88"),
            curve("M 63 26 Q 64 56 67 87"),
        ],
        2.0,
        0.17,
    )
    sketch.fill(symmetric("M 50 24.5 Q 41 23 38 14.8 L 41 13.6 Q 44 20 50 20.6"), "plain", FLAT)
    for tail in (
        curve("M 49 23 Q 44 34 43 47 L 48 49.5 Q 49.5 36 51 24"),
        curve("M 50 23 Q 54 33 53.4 45 L 58.4 46 Q 58 32 52 23"),
    ):
        sketch.fill(tail, "plain", _SILK)
    for loop in both(curve("M 50 23.5 Q 42 16.5 37.6 21 Q 36 26.6 40 29 Q 45 29 50 24.5")):
        sketch.fill(loop, "plain", _SILK)
    sketch.fill(ellipse((50, 23.8), (2.0, 2.4)), "plain", FLAT)
    return sketch.template()


def camisole() -> Template:
    """A camisole with thin straps and a V neck edged with lace."""
    sketch = Sketch()
    straps(sketch, "M 37.8 30 Q 36.6 17 41 9.4", "M 41 9.4 Q 44.6 16 44 32", 0.9)
    sketch.fill(symmetric("M 50 33 Q 43 30 37 29.6 Q 36 38 31.5 43 L 33 48 L 50 48"), "plain", INSIDE)
    body = "M 50 42 Q 43 37 38 28.6 Q 36 38 30.8 42.6 Q 33.5 58 29.5 84 Q 40 88 50 88"
    sketch.fill(symmetric(body), "main", Finish(gloss=0.4, round=5))
    sketch.fold(
        [
            curve("M 40 42 Q 39 62 36 86"),
            curve("M 47 46 Q 47.5 66 45.5 87"),
            curve("M 56 45 Q 57 64 58.5 87"),
            curve("M 62 42 Q 62.5 64 65 85"),
        ],
        2.2,
        0.2,
        1.4,
    )
    sketch.shine([curve("M 37 45 Q 38 62 34 82")], 2.4, 0.16, 1.8)
    lace = [ellipse((38.6 + 11.4 * t, 31.0 + 11.6 * t), (1.25, 1.25)) for t in (i / 9 for i in range(10))]
    sketch.fill(lace + [mirror(dot) for dot in lace], "plain", Finish(tone=0.9, volume=0.8, round=0.6, lift=0.3))
    return sketch.template()


def buttons(sketch: Sketch, places: list[tuple[float, float]], paint: str = "ivory", radius: float = 0.95) -> None:
    """Sew on buttons with two holes each."""
    sketch.fill([ellipse(place, (radius, radius)) for place in places], paint, Finish(round=0.5, lift=0.6, gloss=0.2))
    holes = [ellipse((x + dx * radius, y), (0.17, 0.17)) for x, y in places for dx in (-0.3, 0.3)]
    sketch.fill(holes, "black", Finish(volume=0, lift=0))


def straps(sketch: Sketch, front: str, back: str, width: float) -> None:
    """Shoulder straps that go over from the front to the back; draw them before the bodice."""
    sketch.fill(both(ribbon(curve(back), width)), "plain", Finish(tone=0.72, round=0.6, lift=0.1))
    sketch.fill(both(ribbon(curve(front), width)), "plain", FLAT)


def _short_sleeves(sketch: Sketch, paint: str) -> None:
    sleeve = curve("M 31.5 18.6 Q 24.4 21.4 20.4 29 L 11.5 43 Q 16.5 48 23.5 49.5 L 31 40 Q 33.4 29 31.5 18.6")
    hem = curve("M 12.4 41.4 Q 17.4 46.4 24.6 48.1")
    for side, edge, grain in zip(both(sleeve), both(hem), (32, -32), strict=True):
        sketch.fill(side, paint, grain=grain)
        sketch.seam([edge], 0.28, 0.35, dashed=True)
        fold = curve("M 30 33 Q 26 38 20.5 39.5")
        sketch.fold([fold if grain > 0 else mirror(fold)], 1.6, 0.18)


def _long_sleeves(sketch: Sketch, wide: float = 0.0) -> None:
    sleeve = curve(
        f"M 31.5 18.1 Q 24.8 20.6 21.4 31 Q 15 53 {10.5 - wide} 76 Q 14 79.5 {19.5 + wide * 0.4} 79 Q 25 62 31 46 "
        "Q 33.4 30 31.5 18.1"
    )
    folds = [
        "M 27.6 44 Q 22 48 17.5 47.5",
        "M 26 50 Q 21 53.5 16.5 52.5",
        "M 22.5 64 Q 17.5 68 13 67.5",
        "M 30 33 Q 27 38 22 40",
    ]
    for side, grain in zip(both(sleeve), (15, -15), strict=True):
        sketch.fill(side, "main", grain=grain)
        lines = [curve(fold) for fold in folds]
        sketch.fold(lines if grain > 0 else [mirror(line) for line in lines], 1.4, 0.2)


def _cuffs(sketch: Sketch, button: bool) -> None:
    cuff = curve("M 10 75 Q 14.5 78 20.2 77.6 L 19 84.2 Q 13.5 84.8 9.2 82.4")
    sketch.fill(both(cuff), "plain", FLAT)
    if button:
        buttons(sketch, [(17.6, 81), (82.4, 81)], radius=0.75)
        return
    ribs = [
        curve(f"M {10.6 + step} {76 + step * 0.2} L {10 + step * 0.95} {83.4 + step * 0.1}") for step in range(0, 9)
    ]
    sketch.seam(ribs + [mirror(rib) for rib in ribs], 0.35, 0.2)


def _neck_rib(width: float = 2.0) -> Points:
    return symmetric(f"M 50 {22.2 + width} Q 41 {21.4 + width} {39.6 - width} 15.8 L 39.6 14.4 Q 43 21.4 50 21.4")


def _ribbing(sketch: Sketch, left: float, right: float, top: float, bottom: float) -> None:
    count = int((right - left) / 1.25)
    xs = [left + (right - left) * step / count for step in range(count + 1)]
    sketch.seam([((x, top), (50 + (x - 50) * 0.985, bottom)) for x in xs], 0.4, 0.2)


def _body_folds(sketch: Sketch) -> None:
    sketch.fold(
        [curve("M 32 43 Q 37 47 41 55"), curve("M 68 43 Q 63 47 59 55"), curve("M 33 62 Q 40 68 46 69"),
         curve("M 67 64 Q 60 71 55 72"), curve("M 36 82 Q 39 72 38 64")],
        1.7, 0.15, 1.3,
    )  # fmt: skip
