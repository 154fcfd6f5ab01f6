"""The report as one HTML file: photos, plots and styles inside, nothing fetched, nothing run."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from coordi.evaluate.benchmark import ProtocolResult
from coordi.evaluate.findings import LearningPoint, Report, split_counts
from coordi.evaluate.gallery import Gallery
from coordi.evaluate.metrics import roc_curve
from coordi.evaluate.plots import Axes, Series, line_chart

PROTOCOL_WORDS: Mapping[str, tuple[str, str]] = {
    "random": ("Random items", "made-up outfits take their items from anywhere"),
    "same-category": (
        "Same categories",
        "made-up outfits swap each item for another of the same category, so only style tells",
    ),
    "release": ("The release's own questions", "the question files that came with the data"),
}
SCORER_WORDS: Mapping[str, tuple[str, str]] = {
    "fine-tuned": ("Fine-tuned model", "the language model with its adapter"),
    "base": ("Base model", "the same language model before fine-tuning"),
    "category-pairs": ("Category pairs", "a plain baseline that sees which categories meet, and no title or photo"),
    "title-cosine": ("Title likeness", "a plain baseline: how many words the titles share"),
}
_DEFAULT_EXAMPLES = 6


def render_html(report: Report) -> str:
    """The page as text; the same report gives the same text."""
    environment = Environment(
        loader=PackageLoader("coordi.evaluate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure
    environment.filters["thousands"] = lambda number: f"{number:,}"
    environment.filters["percent"] = lambda share: f"{100 * share:.0f}"
    evaluate_settings = report.settings.get("evaluate", {})
    gallery = Gallery(report, evaluate_settings.get("examples", _DEFAULT_EXAMPLES))
    tasks = report.evaluation.tasks
    under_test = _name(report)
    # Read whole and marked safe: it is our own file, and escaping would break its quotes.
    style = resources.files("coordi.evaluate").joinpath("templates/report.css").read_text(encoding="utf-8")
    return environment.get_template("report.html").render(
        report=report,
        style=Markup(style),
        model=SCORER_WORDS.get(under_test, (under_test, ""))[0],
        subject=f"The {SCORER_WORDS[under_test][0].lower()}" if under_test in SCORER_WORDS else under_test,
        splits=split_counts(report.dataset),
        questions=sum(len(p.questions.test) + len(p.questions.blanks) for p in report.evaluation.protocols),
        protocols=[_protocol(protocol, tasks, report) for protocol in report.evaluation.protocols],
        learning=_learning(report.training),
        right=gallery.judged(right=True),
        wrong=gallery.judged(right=False),
        blanks=gallery.blanks(),
        described=gallery.described(),
        recommended=gallery.recommended(),
        settings=_flat(report.settings),
        protocol_words=PROTOCOL_WORDS,
    )


def _name(report: Report) -> str:
    """What the model under test is called: a scorer's name unless the report's facts have a better one."""
    return str(report.model.get("name", report.evaluation.protocols[0].results[0].scorer))


def _protocol(protocol: ProtocolResult, tasks: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """One protocol's rows, plain-words summary, ROC curves and confusion table."""
    name = protocol.questions.protocol
    title, meaning = PROTOCOL_WORDS.get(name, (name, ""))
    compatibility = tasks["compatibility"][name]
    blanks = tasks["fill_in_the_blank"][name]
    low = _scale_low(compatibility)
    rows = [_row(_name(report), compatibility, blanks, low)]
    rows += [
        _row(other, figures, blanks["baselines"].get(other), low)
        for other, figures in compatibility["baselines"].items()
    ]
    labels = protocol.questions.labels
    curves = [
        Series(row["label"], [(float(x), float(y)) for x, y in roc_curve(result.scores, labels)])
        for row, result in zip(rows, protocol.results, strict=True)
    ]
    axes = Axes(
        f"ROC curves, {title.lower()}: " + ", ".join(f"{row['label']} AUC {_figure(row['auc'])}" for row in rows),
        "made-up outfits accepted",
        "real outfits accepted",
        (0, 1),
        (0, 1),
        diagonal=True,
    )
    return {
        "name": name,
        "title": title,
        "meaning": meaning,
        "figures": compatibility,
        "blanks": blanks,
        "rows": rows,
        "verdicts": [_verdict(other, figures) for other, figures in compatibility["baselines"].items()],
        "ticks": _tape_ticks(low),
        "roc": line_chart(curves, axes),
        "outfits": len({question.outfit_id for question in protocol.questions.test}),
    }


def _row(scorer: str, figures: Mapping[str, Any], blanks: Mapping[str, Any] | None, low: float) -> dict[str, Any]:
    label, note = SCORER_WORDS.get(scorer, (scorer, ""))
    lower, upper = (_on_tape(value, low) for value in figures["ci95"]["auc"])
    return {
        "label": label,
        "note": note,
        **{name: figures[name] for name in ("auc", "accuracy", "f1", "ci95", "threshold")},
        "blanks": blanks,
        "tape": {"at": _on_tape(figures["auc"], low), "from": lower, "span": upper - lower},
    }


def _verdict(other: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    """How the model compares with another scorer, as the paired interval allows to say."""
    ahead, (low, high) = figures["model_ahead"]["auc"], figures["model_ahead"]["ci95"]
    word = "ahead of" if low > 0 else "behind" if high < 0 else "not told apart from"
    return {"word": word, "label": SCORER_WORDS.get(other, (other, ""))[0], "by": ahead, "low": low, "high": high}


def _scale_low(compatibility: Mapping[str, Any]) -> float:
    """Where the tape begins: 0.4, or lower if an interval asks for it, in tenths."""
    lowest = min(figures["ci95"]["auc"][0] for figures in (compatibility, *compatibility["baselines"].values()))
    return min(0.4, int(lowest * 10) / 10)


def _on_tape(value: float, low: float) -> float:
    return round(100 * (value - low) / (1 - low), 2)


def _tape_ticks(low: float) -> list[dict[str, Any]]:
    tenths = range(round(low * 10), 11)
    return [{"text": f"{tenth / 10:.1f}", "at": _on_tape(tenth / 10, low)} for tenth in tenths]


def _learning(points: tuple[LearningPoint, ...]) -> list[dict[str, Any]]:
    """A chart of the losses and one of the AUC, each left out if nothing of it was measured."""
    charts = []
    for title, y, lines in (
        ("Loss", "loss", (("training", "train_loss"), ("validation", "valid_loss"))),
        ("Validation AUC", "AUC", (("validation", "valid_auc"),)),
    ):
        series = [
            Series(label, [(p.step, value) for p in points if (value := getattr(p, field)) is not None])
            for label, field in lines
        ]
        shown = [line for line in series if line.points]
        if not shown:
            continue
        ends = ", ".join(f"{line.label} from {line.points[0][1]:.3f} to {line.points[-1][1]:.3f}" for line in shown)
        axes = Axes(f"{title} while fine-tuning: {ends}", "optimizer step", y)
        charts.append({"title": title, "chart": line_chart(series, axes), "labels": [line.label for line in shown]})
    return charts


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Settings as ``a.b`` and value, the way overrides are written."""
    rows: list[tuple[str, str]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            rows.append((f"{prefix}{key}", "null" if value is None else text))
    return rows


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
