"""Line charts as inline SVG that takes its colours from the page, so that they follow light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 420, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 46


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name and ``(x, y)`` points in drawing order."""

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axes:
    """What a chart's axes say and span.

    Attributes:
        title: Read out in place of the picture.
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
        x_span: Lowest and highest value shown; None fits the points.
        y_span: Likewise.
        diagonal: Draw the line of chance from corner to corner.
    """

    title: str
    x: str
    y: str
    x_span: tuple[float, float] | None = None
    y_span: tuple[float, float] | None = None
    diagonal: bool = False


def line_chart(series: Sequence[Series], axes: Axes) -> Markup:
    """A chart whose n-th line has the class ``line-n``; colours are the page's.

    Args:
        series: Lines; one of a single point is drawn as a dot, one without points not at all.
        axes: Labels and spans.
    """
    xs = [x for line in series for x, _ in line.points]
    ys = [y for line in series for _, y in line.points]
    x_span = axes.x_span or _span(xs)
    y_span = axes.y_span or _span(ys)
    parts = [_grid(axes, x_span, y_span)]
    if axes.diagonal:
        parts.append(f'<path class="chance" d="M{_LEFT} {_HEIGHT - _BOTTOM} L{_WIDTH - _RIGHT} {_TOP}"/>')
    # The first line is the model under test: drawn last, on top of the others.
    for number, line in reversed(list(enumerate(series))):
        places = [(_place_x(x, x_span), _place_y(y, y_span)) for x, y in line.points]
        if len(places) > 1:
            path = " L".join(f"{x:.1f} {y:.1f}" for x, y in places)
            parts.append(f'<path class="line line-{number}" d="M{path}"/>')
        if len(places) <= 24:
            parts += [f'<circle class="dot line-{number}" cx="{x:.1f}" cy="{y:.1f}" r="3.2"/>' for x, y in places]
    body = "".join(parts)
    return Markup(
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(axes.title)}">{body}</svg>'
    )


def _grid(axes: Axes, x_span: tuple[float, float], y_span: tuple[float, float]) -> str:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for value in _ticks(*y_span):
        y = _place_y(value, y_span)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f} H{right}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in _ticks(*x_span):
        x = _place_x(value, x_span)
        parts.append(f'<path class="grid" d="M{x:.1f} {bottom} v5"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 19}" text-anchor="middle">{value:g}</text>')
    parts.append(f'<path class="axis" d="M{_LEFT} {bottom} H{right}"/>')
    middle = (_LEFT + right) / 2
    parts.append(f'<text class="name" x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(axes.x)}</text>')
    height = (_TOP + bottom) / 2
    turned = f"translate(12 {height}) rotate(-90)"
    parts.append(f'<text class="name" transform="{turned}" text-anchor="middle">{escape(axes.y)}</text>')
    return "".join(parts)


def _span(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return low - room if low - room > 0 or low < 0 else 0.0, high + room


def _ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers between two values."""
    raw = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(float(factor * power) for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first = np.ceil(low / step - 1e-9)
    count = int(np.floor(high / step + 1e-9) - first) + 1
    return [round(float((first + number) * step), 10) for number in range(count)]


def _place_x(value: float, span: tuple[float, float]) -> float:
    return _LEFT + (value - span[0]) / (span[1] - span[0]) * (_WIDTH - _LEFT - _RIGHT)


def _place_y(value: float, span: tuple[float, float]) -> float:
    return _HEIGHT - _BOTTOM - (value - span[0]) / (span[1] - span[0]) * (_HEIGHT - _TOP - _BOTTOM)
