"""A small path language for outlines, and strokes made from them.

Coordinates run from 0 to 100, x to the right and y down, so that a drawing reads as per cent of the picture. The
commands are SVG's absolute ``M``, ``L``, ``Q`` and ``C``.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

Point = tuple[float, float]
Points = tuple[Point, ...]

_STEPS = 18
_ARITY = {"M": 1, "L": 1, "Q": 2, "C": 3}


@lru_cache(maxsize=2048)
def curve(text: str) -> Points:
    """Points along a path such as ``"M 10 20 Q 50 0 90 20 L 90 80"``; a filled shape closes itself."""
    tokens = text.split()
    points: list[Point] = []
    at = 0
    while at < len(tokens):
        command, arity = tokens[at], _ARITY[tokens[at]]
        values = [float(token) for token in tokens[at + 1 : at + 1 + 2 * arity]]
        corners = [(values[i], values[i + 1]) for i in range(0, 2 * arity, 2)]
        if command in "ML":
            points.append(corners[0])
        else:
            points.extend(_bezier([points[-1], *corners]))
        at += 1 + 2 * arity
    return tuple(points)


def symmetric(text: str) -> Points:
    """A closed outline whose left half is the path, drawn from the top centre to the bottom centre."""
    half = curve(text)
    return half + mirror(half)[::-1]


def mirror(points: Points) -> Points:
    """The same points on the other side of the picture's middle."""
    return tuple((100 - x, y) for x, y in points)


def ellipse(centre: Point, radii: Point, turn: float = 0.0) -> Points:
    """A closed ellipse, turned by ``turn`` degrees."""
    sine, cosine = math.sin(math.radians(turn)), math.cos(math.radians(turn))
    angles = [2 * math.pi * step / 64 for step in range(64)]
    around = [(radii[0] * math.cos(angle), radii[1] * math.sin(angle)) for angle in angles]
    return tuple((centre[0] + x * cosine - y * sine, centre[1] + x * sine + y * cosine) for x, y in around)


def ribbon(points: Points, width: float, end_width: float | None = None) -> Points:
    """The closed outline of a band along the points, ``width`` wide at the start and ``end_width`` at the end."""
    last = width if end_width is None else end_width
    left: list[Point] = []
    right: list[Point] = []
    for index, (x, y) in enumerate(points):
        before, after = points[max(index - 1, 0)], points[min(index + 1, len(points) - 1)]
        dx, dy = after[0] - before[0], after[1] - before[1]
        length = math.hypot(dx, dy) or 1.0
        half = (width + (last - width) * index / max(len(points) - 1, 1)) / 2
        left.append((x - dy / length * half, y + dx / length * half))
        right.append((x + dy / length * half, y - dx / length * half))
    return tuple(left + right[::-1])


def moved(points: Points, dx: float, dy: float) -> Points:
    """The same points elsewhere."""
    return tuple((x + dx, y + dy) for x, y in points)


def _bezier(corners: list[Point]) -> list[Point]:
    """Points after the first corner, by de Casteljau's construction."""
    found = []
    for step in range(1, _STEPS + 1):
        t = step / _STEPS
        level = corners
        while len(level) > 1:
            level = [(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t) for a, b in pairwise(level)]
        found.append(level[0])
    return found
