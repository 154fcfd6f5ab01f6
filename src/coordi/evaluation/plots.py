"""Charts of the report as inline SVG by matplotlib, coloured by the page's style sheet."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from coordi.errors import require
from coordi.evaluation.metrics import roc_curve
from coordi.evaluation.report import TrainingPoint
from coordi.evaluation.summary import format_figure, protocol_words, scorer_words

Scored = tuple[str, int, Mapping[str, Any]]
"""Name, colour and figures of a scorer."""
MOST_COLOURS = 7
"""Scorers with a colour of their own; the style sheet has as many."""
# Colours that stand for variables of the style sheet, so that a chart follows dark mode.
_TEXT, _GUIDE = "#0000fe", "#0000fd"
_MOST_DOTS = 24
_STYLE = Path(__file__).parent / "templates" / "chart-style.txt"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its caption, and label, colour number and value of each line of its legend."""

    title: str
    svg: Markup
    legend: tuple[tuple[str, int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart: ``(x, y)`` in drawing order, and its colour's number."""

    points: Sequence[tuple[float, float]]
    colour: int


@dataclass(frozen=True, slots=True)
class Axes:
    """Axes of a chart; the description is read out, ``unit`` axes go from 0 to 1, ``chance`` is a dashed line."""

    description: str
    x: str
    y: str
    unit: bool = False
    chance: Sequence[tuple[float, float]] = ()


def draw(lines: Sequence[Line], axes: Axes) -> Markup:
    """A line chart as an SVG element; the first line is drawn last and thicker. The same lines give the same text."""
    with require("matplotlib", "train").rc_context(fname=_STYLE):
        figure = require("matplotlib.figure", "train").Figure(figsize=(4.4, 3.1))
        figure.subplots_adjust(left=0.14, bottom=0.16, right=0.97, top=0.97)
        plot = figure.add_subplot()
        if axes.chance:
            plot.plot(*zip(*axes.chance, strict=True), color=_GUIDE, linestyle=(0, (3, 4)), linewidth=1)
        for number, line in reversed(list(enumerate(lines))):
            _draw_line(plot, line, width=1.4 if number else 2.6)
        if axes.unit:
            plot.set(xlim=(0, 1), ylim=(0, 1))
        plot.set(xlabel=axes.x, ylabel=axes.y)
        for artist in plot.get_children():
            artist.set_clip_on(False)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inline(file.getvalue(), axes.description)


def _draw_line(plot: Any, line: Line, width: float) -> None:
    if not line.points:
        return
    xs, ys = zip(*line.points, strict=True)
    colour = f"#0000{min(line.colour, MOST_COLOURS):02x}"
    plot.plot(xs, ys, color=colour, linewidth=width, marker="o" if len(xs) <= _MOST_DOTS else "", markersize=width + 2)


def _inline(svg: str, description: str) -> Markup:
    """An SVG file as an element of a page: ids made unique, colours replaced, nothing that applies outside of it."""
    body = svg[svg.index("<svg") :]
    view_box = re.search(r'viewBox="[^"]*"', body)
    body = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    key = f"c{hashlib.sha256((description + body).encode()).hexdigest()[:8]}"
    body = re.sub(r'<g id="[^"]*"', "<g", body.partition(">")[2])
    body = re.sub(r'( id="|"#)([^"]+)', rf"\g<1>{key}-\2", body)
    body = re.sub(r"#0000f[ed]", lambda match: {_TEXT: "var(--soft)", _GUIDE: "var(--stitch)"}[match[0]], body)
    body = re.sub(r"#0000(0\d)", lambda match: f"var(--c{int(match[1])})", body)
    head = f'<svg class="chart" role="img" aria-label="{escape(description)}" {view_box[0] if view_box else ""}>'
    return Markup(head + body.strip())


def roc_chart(
    protocol: str, scored: Sequence[tuple[str, int, NDArray[np.float64], float]], labels: NDArray[np.bool_]
) -> Chart:
    """The ROC curves of one protocol, from name, colour, scores ``(N,)`` and AUC of each scorer."""
    lines = [Line([(x, y) for x, y in roc_curve(scores, labels).tolist()], n) for _, n, scores, _ in scored]
    values = ", ".join(f"{scorer_words(name).label} AUC {format_figure(auc)}" for name, _, _, auc in scored)
    axes = Axes(
        f"ROC curves, {_lower(protocol)}: {values}", "made-up outfits accepted", "real outfits accepted", unit=True,
        chance=((0, 0), (1, 1)),
    )  # fmt: skip
    return Chart("ROC, with AUC", draw(lines, axes), _legend((name, n, auc) for name, n, _, auc in scored))


def reliability_chart(protocol: str, scored: Sequence[Scored]) -> Chart:
    """Share of real outfits by calibrated probability, from the ``calibration`` of each scorer."""
    lines = [Line([(row["mean_probability"], row["share_compatible"]) for row in c["bins"]], n) for _, n, c in scored]
    texts = []
    for name, _, calibration in scored:
        before = calibration.get("raw_ece")
        text = f"{scorer_words(name).label} {format_figure(calibration['ece'])}"
        texts.append(text + ("" if before is None else f" ({format_figure(before)} before calibration)"))
    axes = Axes(
        f"Reliability, {_lower(protocol)}, expected calibration errors: {', '.join(texts)}", "calibrated probability",
        "share of real outfits", unit=True, chance=((0, 0), (1, 1)),
    )  # fmt: skip
    return Chart("Reliability, with ECE", draw(lines, axes), _legend((name, n, c["ece"]) for name, n, c in scored))


def training_charts(points: Sequence[TrainingPoint]) -> tuple[Chart, ...]:
    """A chart of the losses and one of the AUC, each left out if it has no values."""
    charts = []
    for title, y, fields in (
        ("Loss while fine-tuning", "loss", {"training": "train_loss", "validation": "valid_loss"}),
        ("Validation AUC while fine-tuning", "AUC", {"validation": "valid_auc"}),
    ):
        curves = {
            label: [(point.step, getattr(point, name)) for point in points if getattr(point, name) is not None]
            for label, name in fields.items()
        }
        lines = {label: Line(curve, n) for n, (label, curve) in enumerate(curves.items()) if curve}
        if lines:
            ends = [f"{name} from {line.points[0][1]:.3f} to {line.points[-1][1]:.3f}" for name, line in lines.items()]
            axes = Axes(f"{title}: {', '.join(ends)}", "optimizer step", y)
            legend = tuple((label, line.colour, "") for label, line in lines.items()) if len(lines) > 1 else ()
            charts.append(Chart(title, draw(list(lines.values()), axes), legend))
    return tuple(charts)


def _legend(scored: Iterable[tuple[str, int, float]]) -> tuple[tuple[str, int, str], ...]:
    return tuple((scorer_words(name).label, colour, format_figure(value)) for name, colour, value in scored)


def _lower(protocol: str) -> str:
    return protocol_words(protocol)[0].lower()
