"""The report's charts: what each shows, and what is read out in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from coordi.evaluate.findings import LearningPoint
from coordi.evaluate.metrics import roc_curve
from coordi.evaluate.plots import Axes, Series, line_chart, thinned
from coordi.evaluate.wording import figure, protocol_words, scorer_words

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
    told = ", ".join(f"{scorer.label} AUC {figure(auc)}" for scorer, _, auc in scored)
    axes = Axes(
        f"ROC curves, {_lower(protocol)}: {told}", "made-up outfits accepted", "real outfits accepted",
        (0, 1), (0, 1), _DIAGONAL,
    )  # fmt: skip
    legend = tuple((scorer.label, scorer.colour, figure(auc)) for scorer, _, auc in scored)
    return Chart(title, line_chart(curves, axes), legend)


def reliability_chart(scorer: Scored, calibration: Mapping[str, Any]) -> Chart:
    """How often outfits of a calibrated probability are real: on the diagonal, the probability means what it says."""
    bins = calibration["bins"]
    points = [(one["mean_probability"], one["share_compatible"]) for one in bins]
    raw = calibration.get("raw_ece")
    before = "" if raw is None else f"; {figure(raw)} before calibration"
    told = ", ".join(f"{x:.2f} is {y:.2f}" for x, y in points)
    axes = Axes(
        f"Reliability of {scorer.label}: expected calibration error {figure(calibration['ece'])}{before}. "
        f"Probability said and share that is real: {told}",
        "said", "real", (0, 1), (0, 1), _DIAGONAL, small=True,
    )  # fmt: skip
    drawing = line_chart([Series(scorer.label, points, scorer.colour)], axes)
    return Chart(f"{scorer.label}: ECE {figure(calibration['ece'])}{before}", drawing)


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
    legend = tuple((scorer.label, scorer.colour, figure(figures["mrr"])) for scorer, figures in scored)
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
            legend.append((scorer.label, scorer.colour, figure(points[-1]["auc"])))
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
