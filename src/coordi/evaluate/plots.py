"""Charts as inline SVG that takes its colours from the page, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

Point = tuple[float, float]

_MOST_DOTS = 24


@dataclass(frozen=True, slots=True)
class Series:
    """One line.

    Attributes:
        label: Its name.
        points: ``(x, y)`` in drawing order.
        colour: Which of the page's colours it has; None takes its place among the lines.
        intervals: Lowest and highest y at each point, drawn as a bar through it; empty for none.
    """

    label: str
    points: Sequence[Point]
    colour: int | None = None
    intervals: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True, slots=True)
class Axes:
    """What a chart's axes say and span.

    Attributes:
        title: Read out in place of the picture.
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
        x_span: Lowest and highest value shown; None fits the points.
        y_span: Likewise.
        chance: Corners of the broken line that guessing would give; empty for none.
        x_ticks: Where the horizontal axis has its numbers; None takes round ones.
        x_log: Equal factors are equally far apart.
        small: Drawn for a row of several.
    """

    title: str
    x: str
    y: str
    x_span: tuple[float, float] | None = None
    y_span: tuple[float, float] | None = None
    chance: Sequence[Point] = ()
    x_ticks: Sequence[float] | None = None
    x_log: bool = False
    small: bool = False


def line_chart(series: Sequence[Series], axes: Axes) -> Markup:
    """A chart whose lines have the class ``line-`` and their colour's number; colours are the page's.

    Args:
        series: Lines; one of a single point is drawn as a dot, one without points not at all.
        axes: Labels and spans.
    """
    frame = _Frame.around(series, axes)
    parts = [_grid(axes, frame)]
    if axes.chance:
        path = " L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in axes.chance)
        parts.append(f'<path class="chance" d="M{path}"/>')
    # The first line is the model under test: drawn last, on top of the others.
    parts += [_line(line, number, frame) for number, line in reversed(list(enumerate(series)))]
    size = "chart small" if axes.small else "chart"
    return Markup(
        f'<svg class="{size}" viewBox="0 0 {frame.width} {frame.height}" role="img" '
        f'aria-label="{escape(axes.title)}">{"".join(parts)}</svg>'
    )


def thinned(points: Sequence[Point], most: int = 160) -> list[Point]:
    """A curve with at most so many of its points: both ends, and others evenly along the way."""
    if len(points) <= most:
        return list(points)
    steps = np.abs(np.diff(np.asarray(points, dtype=np.float64), axis=0)).sum(axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    places = np.searchsorted(along, np.linspace(0, along[-1], most))
    return [points[place] for place in dict.fromkeys([0, *map(int, places), len(points) - 1])]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where values stand on the drawing."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    x_span: tuple[float, float]
    y_span: tuple[float, float]
    x_log: bool

    @classmethod
    def around(cls, series: Sequence[Series], axes: Axes) -> _Frame:
        xs = [x for line in series for x, _ in line.points]
        ys = [y for line in series for _, y in line.points]
        ys += [end for line in series for pair in line.intervals for end in pair]
        ys += [y for _, y in axes.chance]
        x_span = axes.x_span or (_log_span(xs) if axes.x_log else _span(xs))
        width, height, left = (230, 210, 48) if axes.small else (420, 300, 52)
        below = 40 if axes.small else 46
        return cls(width, height, left, width - 14, 14, height - below, x_span, axes.y_span or _span(ys), axes.x_log)

    def x(self, value: float) -> float:
        low, high = self.x_span
        share = math.log(value / low) / math.log(high / low) if self.x_log else (value - low) / (high - low)
        return self.left + share * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self.y_span
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)


def _line(line: Series, number: int, frame: _Frame) -> str:
    colour = number if line.colour is None else line.colour
    places = [(frame.x(x), frame.y(y)) for x, y in line.points]
    parts = [
        f'<path class="bar line-{colour}" d="M{x:.1f} {frame.y(low):.1f} V{frame.y(high):.1f}"/>'
        for (x, _), (low, high) in zip(places, line.intervals, strict=False)
    ]
    if len(places) > 1:
        path = " L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path class="line line-{colour}" d="M{path}"/>')
    if len(places) <= _MOST_DOTS:
        parts += [f'<circle class="dot line-{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3.2"/>' for x, y in places]
    return "".join(parts)


def _grid(axes: Axes, frame: _Frame) -> str:
    parts = []
    for value in _ticks(*frame.y_span, axes.small):
        y = frame.y(value)
        parts.append(f'<path class="grid" d="M{frame.left} {y:.1f} H{frame.right}"/>')
        parts.append(f'<text x="{frame.left - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in axes.x_ticks if axes.x_ticks is not None else _ticks(*frame.x_span, axes.small):
        x = frame.x(value)
        parts.append(f'<path class="grid" d="M{x:.1f} {frame.bottom} v5"/>')
        parts.append(f'<text x="{x:.1f}" y="{frame.bottom + 19}" text-anchor="middle">{value:g}</text>')
    parts.append(f'<path class="axis" d="M{frame.left} {frame.bottom} H{frame.right}"/>')
    middle = (frame.left + frame.right) / 2
    parts.append(
        f'<text class="name" x="{middle:g}" y="{frame.height - 6}" text-anchor="middle">{escape(axes.x)}</text>'
    )
    turned = f"translate(12 {(frame.top + frame.bottom) / 2:g}) rotate(-90)"
    parts.append(f'<text class="name" transform="{turned}" text-anchor="middle">{escape(axes.y)}</text>')
    return "".join(parts)


def _span(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return low - room if low - room > 0 or low < 0 else 0.0, high + room


def _log_span(values: Sequence[float]) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    room = (high / low) ** 0.06 if high > low else 2.0
    return low / room, high * room


def _ticks(low: float, high: float, few: bool = False) -> list[float]:
    """Three to seven round numbers between two values, or about three."""
    raw = (high - low) / (2.5 if few else 5)
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(float(factor * power) for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first = np.ceil(low / step - 1e-9)
    count = int(np.floor(high / step + 1e-9) - first) + 1
    return [round(float((first + number) * step), 10) for number in range(count)]
