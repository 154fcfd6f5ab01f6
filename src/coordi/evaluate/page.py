"""The report as one HTML file: photos, plots and styles inside, nothing fetched, nothing run."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from coordi.evaluate.chapters import chapters
from coordi.evaluate.curves import size_charts, training_charts
from coordi.evaluate.findings import Report, flat_settings, split_counts
from coordi.evaluate.gallery import Gallery
from coordi.evaluate.results import Caution
from coordi.evaluate.spread import spread_tables
from coordi.evaluate.summary import METRIC, summarise
from coordi.evaluate.verdict import judge
from coordi.evaluate.wording import (
    METRIC_WORDS,
    TASK_WORDS,
    figure,
    lower_first,
    p_value,
    place_words,
    protocol_words,
    scorer_words,
    signed,
    subject_words,
)

_DEFAULT_EXAMPLES = 6


def render_html(report: Report) -> str:
    """The page as text; the same report gives the same text."""
    evaluate_settings = report.settings.get("evaluate", {})
    gallery = Gallery(report, evaluate_settings.get("examples", _DEFAULT_EXAMPLES))
    under_test = report.under_test
    summary = summarise(report.evaluation.tasks, under_test)
    colours = {row.scorer: number for number, row in enumerate(summary.rows)}
    splits = split_counts(report.dataset)
    subject = subject_words(under_test)
    return (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            style=style(),
            subject=subject,
            summary=summary,
            has_base=any(row.scorer == "base" for row in summary.rows[1:]),
            verdict=judge(summary, subject, splits["test"]["outfits"]),
            cautions=_grouped(report.cautions),
            seed=report.settings.get("seed"),
            resamples=evaluate_settings.get("bootstrap"),
            splits=splits,
            questions=sum(
                len(part.questions.test) + len(part.questions.blanks) + len(part.questions.retrieval)
                for part in report.evaluation.protocols
            ),
            chapters=chapters(report.evaluation, colours, under_test),
            spread=spread_tables(report.seeds, colours),
            by_size=size_charts(report.learning_curve, colours),
            learning=training_charts(report.training),
            right=gallery.judged(right=True),
            wrong=gallery.judged(right=False),
            blanks=gallery.blanks(),
            described=gallery.described(),
            recommended=gallery.recommended(),
            settings=flat_settings(report.settings),
        )
    )


def environment() -> Environment:
    """Where the pages' templates are, with the words and number formats that they share."""
    found = Environment(
        loader=PackageLoader("coordi.evaluate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(
        figure=figure,
        signed=signed,
        p=lambda value: "–" if value is None else p_value(value),
        thousands=lambda number: f"{number:,}",
        percent=lambda share: f"{100 * share:.0f}",
        count_or_figure=lambda value: f"{value:,}" if isinstance(value, int) else figure(value),
        lower_first=lower_first,
        place=place_words,
        protocol_title=lambda name: protocol_words(name)[0],
        scorer_label=lambda name: scorer_words(name).label,
        scorer_kind=lambda name: scorer_words(name).kind,
    )
    found.globals.update(task_words=TASK_WORDS, metric_words=METRIC_WORDS, metric=METRIC)
    return found


def style() -> Markup:
    """The pages' style sheet; marked safe, as it is our own file and escaping would break its quotes."""
    return Markup(resources.files("coordi.evaluate").joinpath("templates/report.css").read_text(encoding="utf-8"))


def _grouped(cautions: Iterable[Caution]) -> dict[str, list[str]]:
    """By the places that it is said of, each text once."""
    places: dict[str, list[str]] = {}
    for caution in cautions:
        where = place_words(caution.where)
        if where not in places.setdefault(caution.text, []):
            places[caution.text].append(where)
    texts: dict[str, list[str]] = {}
    for text, found in places.items():
        texts.setdefault("; ".join(found), []).append(text)
    return texts
