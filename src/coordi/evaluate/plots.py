"""The charts of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from coordi.evaluate.metrics import roc_curve
from coordi.evaluate.report_data import LearningPoint
from coordi.evaluate.summary import format_figure, protocol_words, scorer_words

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


_DIAGONAL = ((0.0, 0.0), (1.0, 1.0))


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its caption and the lines of its legend: label, colour and a figure or nothing."""

    title: str
    drawing: Markup
    legend: tuple[tuple[str, int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Scored:
    """A scorer as a chart shows it; ``colour`` is its row in the summary, the same in every chart."""

    name: str
    colour: int

    @property
    def label(self) -> str:
        """What it is called."""
        return scorer_words(self.name).label


def roc_chart(
    protocol: str, scored: Sequence[tuple[Scored, NDArray[np.float64], float]], labels: NDArray[np.bool_]
) -> Chart:
    """The ROC curves of one protocol.

    Args:
        protocol: Its name.
        scored: Each scorer with its scores, shape ``(N,)``, and its AUC.
        labels: The truth, shape ``(N,)``.
    """
    curves = [
        Series(scorer.label, thinned([(float(x), float(y)) for x, y in roc_curve(scores, labels)]), scorer.colour)
        for scorer, scores, _ in scored
    ]
    title = f"ROC, {_lower(protocol)}"
    told = ", ".join(f"{scorer.label} AUC {format_figure(auc)}" for scorer, _, auc in scored)
    axes = Axes(
        f"ROC curves, {_lower(protocol)}: {told}", "made-up outfits accepted", "real outfits accepted",
        (0, 1), (0, 1), _DIAGONAL,
    )  # fmt: skip
    legend = tuple((scorer.label, scorer.colour, format_figure(auc)) for scorer, _, auc in scored)
    return Chart(title, line_chart(curves, axes), legend)


def reliability_chart(scorer: Scored, calibration: Mapping[str, Any]) -> Chart:
    """How often outfits of a calibrated probability are real: on the diagonal, the probability means what it says."""
    bins = calibration["bins"]
    points = [(one["mean_probability"], one["share_compatible"]) for one in bins]
    raw = calibration.get("raw_ece")
    before = "" if raw is None else f"; {format_figure(raw)} before calibration"
    told = ", ".join(f"{x:.2f} is {y:.2f}" for x, y in points)
    axes = Axes(
        f"Reliability of {scorer.label}: expected calibration error {format_figure(calibration['ece'])}{before}. "
        f"Probability said and share that is real: {told}",
        "said", "real", (0, 1), (0, 1), _DIAGONAL, small=True,
    )  # fmt: skip
    drawing = line_chart([Series(scorer.label, points, scorer.colour)], axes)
    return Chart(f"{scorer.label}: ECE {format_figure(calibration['ece'])}{before}", drawing)


def recall_chart(protocol: str, scored: Sequence[tuple[Scored, Mapping[str, Any]]]) -> Chart | None:
    """Recall among the first k, against chance; None if fewer than two k were measured."""
    ks = sorted({int(k) for _, figures in scored for k in figures["recall"]})
    if len(ks) < 2:
        return None
    lines = [
        Series(scorer.label, [(k, figures["recall"][str(k)]) for k in ks if str(k) in figures["recall"]], scorer.colour)
        for scorer, figures in scored
    ]
    pool = scored[0][1]["pool"]
    told = "; ".join(
        f"{scorer.label} " + ", ".join(f"{figures['recall'][k]:.2f} at {k}" for k in figures["recall"])
        for scorer, figures in scored
    )
    axes = Axes(
        f"Recall at k among {pool} candidates, {_lower(protocol)}: {told}", "first k candidates", "true item found",
        (0, max(ks) * 1.04), (0, 1), [(k, k / pool) for k in ks], ks,
    )  # fmt: skip
    legend = tuple((scorer.label, scorer.colour, format_figure(figures["mrr"])) for scorer, figures in scored)
    return Chart(f"Recall among {pool} candidates, with MRR", line_chart(lines, axes), legend)


def size_charts(rows: Sequence[Mapping[str, Any]], colours: Mapping[str, int]) -> tuple[Chart, ...]:
    """AUC over the number of training outfits, a chart per protocol.

    Args:
        rows: The ``learning_curve`` of ``report.json``.
        colours: By scorer.
    """
    charts = []
    for protocol in dict.fromkeys(row["protocol"] for row in rows):
        here = [row for row in rows if row["protocol"] == protocol]
        names = sorted({row["scorer"] for row in here}, key=lambda name: (colours.get(name, len(colours)), name))
        lines, legend, told = [], [], []
        for name in names:
            scorer = Scored(name, colours.get(name, len(colours)))
            points = sorted((row for row in here if row["scorer"] == name), key=lambda row: row["outfits"])
            intervals = [tuple(row["ci95"]) for row in points if row.get("ci95")]
            lines.append(
                Series(
                    scorer.label, [(row["outfits"], row["auc"]) for row in points], scorer.colour,
                    intervals if len(intervals) == len(points) else (),
                )
            )  # fmt: skip
            legend.append((scorer.label, scorer.colour, format_figure(points[-1]["auc"])))
            told.append(f"{scorer.label} " + ", ".join(f"{row['auc']:.2f} with {row['outfits']}" for row in points))
        sizes = sorted({row["outfits"] for row in here})
        title = protocol_words(protocol)[0]
        axes = Axes(
            f"AUC by training outfits, {_lower(protocol)}: {'; '.join(told)}", "training outfits", "AUC",
            chance=[(sizes[0], 0.5), (sizes[-1], 0.5)], x_ticks=sizes, x_log=True,
        )  # fmt: skip
        charts.append(Chart(title, line_chart(lines, axes), tuple(legend)))
    return tuple(charts)


def training_charts(points: tuple[LearningPoint, ...]) -> tuple[Chart, ...]:
    """A chart of the losses and one of the AUC, each left out if nothing of it was measured."""
    charts = []
    for title, y, lines in (
        ("Loss", "loss", (("training", "train_loss"), ("validation", "valid_loss"))),
        ("Validation AUC", "AUC", (("validation", "valid_auc"),)),
    ):
        series = [
            Series(label, [(p.step, value) for p in points if (value := getattr(p, field)) is not None], colour)
            for colour, (label, field) in enumerate(lines)
        ]
        shown = [line for line in series if line.points]
        if not shown:
            continue
        ends = ", ".join(f"{line.label} from {line.points[0][1]:.3f} to {line.points[-1][1]:.3f}" for line in shown)
        axes = Axes(f"{title} while fine-tuning: {ends}", "optimizer step", y)
        legend = tuple((line.label, line.colour or 0, "") for line in shown) if len(shown) > 1 else ()
        charts.append(Chart(f"{title} while fine-tuning", line_chart(series, axes), legend))
    return tuple(charts)


def _lower(protocol: str) -> str:
    return protocol_words(protocol)[0].lower()
