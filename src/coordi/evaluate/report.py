"""The report: report.json, report.html and the files beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from coordi.artifacts import write_json, write_text
from coordi.data.leaks import Leak
from coordi.data.photos import photo_uri
from coordi.evaluate.benchmark import Evaluation
from coordi.evaluate.external import question_digests, write_scores
from coordi.evaluate.plots import (
    Chart,
    Scored,
    recall_chart,
    reliability_chart,
    roc_chart,
    size_charts,
    training_charts,
)
from coordi.evaluate.report_data import ReportData, flat_settings, split_counts
from coordi.evaluate.results import ProtocolResult, ReportWarning
from coordi.evaluate.summary import (
    METRIC,
    METRIC_WORDS,
    TASK_WORDS,
    TASKS,
    Ahead,
    Interval,
    Task,
    ahead_of,
    as_interval,
    chance,
    conclude,
    format_figure,
    format_p_value,
    format_signed,
    interval_of,
    lower_first,
    place_words,
    protocol_words,
    render_latex,
    scorer_words,
    spread_tables,
    subject_words,
    summarise,
)
from coordi.types import CompatibilityQuestion, Dataset, Description, FitbQuestion, GarmentCategory, Item

# Drawn on a field of 48 x 48.
_PATHS: dict[GarmentCategory, str] = {
    "top": "M18 8 L8 13 L4 23 L11 26 L13 22 V41 H35 V22 L37 26 L44 23 L40 13 L30 8 Q24 14 18 8 Z",
    "bottom": "M14 6 H34 L38 42 H28 L24 20 L20 42 H10 Z M14 11 H34 M24 11 V20",
    "dress": "M18 5 V11 Q20 17 17 21 L9 42 H39 L31 21 Q28 17 30 11 V5 M18 11 Q24 17 30 11 M17 21 H31",
    "outerwear": "M18 6 L9 11 L4 32 L11 34 L13 24 V43 H35 V24 L37 34 L44 32 L39 11 L30 6 L24 16 Z M24 16 V43 "
    "M28 24 h.5 M28 31 h.5",
    "shoes": "M5 16 Q9 24 14 20 L30 30 Q42 31 44 36 V38 H26 L12 28 L10 38 H7 L5 27 Z",
    "bag": "M9 20 H39 L43 42 H5 Z M16 20 Q16 7 24 7 Q32 7 32 20 M5 30 H43",
    "jewellery": "M8 6 Q9 30 24 30 Q39 30 40 6 M24 30 L19 36 L24 43 L29 36 Z",
    "headwear": "M14 30 Q12 11 24 11 Q36 11 34 30 M14 26 H34 M4 31 Q24 24 44 31 Q40 38 24 38 Q8 38 4 31 Z",
    "eyewear": "M4 19 H44 M6 19 Q5 32 14 32 Q21 32 21 21 M27 21 Q27 32 34 32 Q43 32 42 19 M21 22 Q24 20 27 22",
    "scarf": "M12 9 Q24 3 36 9 Q40 16 33 19 Q24 23 15 19 Q8 16 12 9 Z M20 21 L15 43 H24 L27 21 M29 20 L35 38 L28 41",
    "gloves": "M15 43 V26 L9 19 Q10 15 14 18 L17 21 V9 Q19 6 21 9 V19 V6 Q23 3 25 6 V19 V8 Q27 5 29 8 V20 V12 "
    "Q31 10 33 12 V28 L31 43 Z M15 37 H32",
    "belt": "M4 19 H17 M31 19 H44 V29 H31 M17 29 H4 Z M17 15 H31 V33 H17 Z M24 24 H33 M37 24 h.5 M41 24 h.5",
    "watch": "M18 13 L20 4 H28 L30 13 M18 35 L20 44 H28 L30 35 M24 12 A12 12 0 1 0 24 36 A12 12 0 1 0 24 12 "
    "M24 17 V24 L29 27",
    "hosiery": "M17 4 H31 V26 Q31 30 35 33 L39 37 Q40 43 34 43 H28 Q24 43 21 38 L17 30 Z M17 10 H31",
    "swimwear": "M14 5 Q14 15 19 19 V27 L11 33 Q20 36 22 43 H26 Q28 36 37 33 L29 27 V19 Q34 15 34 5 Q30 15 24 15 "
    "Q18 15 14 5 Z",
    "accessory": "M24 22 Q12 9 6 14 V34 Q12 39 24 26 Q36 39 42 34 V14 Q36 9 24 22 Z M21 20 H27 V28 H21 Z",
}


def silhouette(category: GarmentCategory) -> Markup:
    """The drawing as inline SVG, hidden from screen readers: the category's name stands beside it."""
    return Markup(
        f'<svg class="silhouette" viewBox="0 0 48 48" aria-hidden="true"><path d="{_PATHS[category]}"/></svg>'
    )


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Card:
    """One item as shown: its photo, or the drawing of its category if it has none.

    Attributes:
        note: Words that single it out among candidates, such as ``"the real one"``.
        mark: How it is drawn among candidates: the true item, or another that the model chose.
        score: Of the outfit completed with it; None if it wasn't a candidate.
    """

    title: str
    category: str
    photo: str | None
    drawing: Markup
    note: str = ""
    mark: Literal["", "real", "mistaken"] = ""
    score: float | None = None


@dataclass(frozen=True, slots=True)
class CompatibilityExample:
    """A test question and what the model under test said."""

    cards: tuple[Card, ...]
    compatible: bool
    right: bool
    score: float
    threshold: float
    protocol: str


@dataclass(frozen=True, slots=True)
class FitbExample:
    """A fill-in-the-blank question, its candidates marked with the truth and the model's choice."""

    cards: tuple[Card, ...]
    candidates: tuple[Card, ...]
    right: bool
    protocol: str


@dataclass(frozen=True, slots=True)
class DescribedExample:
    """A photo and what the encoder saw: attribute name, then its labels with their probabilities."""

    card: Card
    attributes: tuple[tuple[str, tuple[tuple[str, float], ...]], ...]


@dataclass(frozen=True, slots=True)
class RecommendationExample:
    """An outfit and what was found to complete it."""

    cards: tuple[Card, ...]
    suggestions: tuple[Card, ...]
    want: str | None
    shortlist: str
    taken: str | None


class Gallery:
    """Picks examples by stated rules, so that nobody chose the pretty ones.

    Args:
        report: Where everything comes from.
        size: Examples of each kind.
    """

    def __init__(self, report: ReportData, size: int) -> None:
        self._report = report
        self._items = report.dataset.items
        self._size = size
        self._photos: dict[str, str | None] = {}

    def judged(self, right: bool) -> tuple[CompatibilityExample, ...]:
        """The most confident right or wrong answers: real and made-up outfits in turn, photos before titles."""
        best: dict[tuple[str, bool], tuple[tuple[bool, float], CompatibilityQuestion, ProtocolResult, float]] = {}
        for protocol in (one for one in self._report.evaluation.protocols if one.questions.test):
            result = protocol.results[0]
            for place in np.flatnonzero((result.predicted == protocol.questions.labels) == right):
                question, score = protocol.questions.test[place], float(result.scores[place])
                rank = (not self._has_photos(question.item_ids), -abs(score - result.threshold))
                key = (question.outfit_id, question.compatible)
                if key not in best or rank < best[key][0]:
                    best[key] = (rank, question, protocol, score)
        ordered = sorted(best.values(), key=lambda found: found[0])
        real, made_up = ([found for found in ordered if found[1].compatible is truth] for truth in (True, False))
        return tuple(
            CompatibilityExample(
                tuple(self._card(item_id) for item_id in question.item_ids),
                question.compatible,
                right,
                score,
                protocol.results[0].threshold,
                protocol.questions.protocol,
            )
            for _, question, protocol, score in _in_turn(real, made_up)[: self._size]
        )

    def blanks(self) -> tuple[FitbExample, ...]:
        """Fill-in-the-blank questions, right and wrong answers in turn, those with photos first."""
        found = []
        for protocol in self._report.evaluation.protocols:
            result = protocol.results[0]
            for question, scores in zip(protocol.questions.blanks, result.blank_scores, strict=True):
                shown = (*question.item_ids, *question.candidates)
                chosen = int(np.argmax(scores))
                right = chosen == question.answer and int(np.sum(scores >= scores[chosen])) == 1
                found.append((not self._has_photos(shown), right, protocol.questions.protocol, question, scores))
        found.sort(key=lambda row: row[0])
        rights, wrongs = ([row for row in found if row[1] is right] for right in (True, False))
        picked = _in_turn(rights, wrongs)[: self._size]
        return tuple(
            FitbExample(
                tuple(self._card(item_id) for item_id in question.item_ids),
                tuple(self._choice(question, place, scores) for place in range(len(question.candidates))),
                right,
                protocol,
            )
            for _, right, protocol, question, scores in picked
        )

    def described(self) -> tuple[DescribedExample, ...]:
        """Described items with a photo, spread evenly over the data set's order."""
        with_photo = [
            description
            for description in self._report.descriptions.values()
            if description.item_id in self._items and self._items[description.item_id].image is not None
        ]
        count = min(2 * self._size, len(with_photo))
        places = np.linspace(0, len(with_photo) - 1, count).astype(int)
        return tuple(self._described(with_photo[place]) for place in places)

    def recommended(self) -> tuple[RecommendationExample, ...]:
        """The run's recommendations, as many as there are examples of other kinds."""
        return tuple(
            RecommendationExample(
                tuple(self._card(item_id) for item_id in shown.outfit),
                tuple(self._suggestion(item_id, score, shown.taken) for item_id, score in shown.suggestions),
                shown.want,
                shown.shortlist,
                shown.taken,
            )
            for shown in self._report.recommendations[: self._size]
        )

    def _described(self, description: Description) -> DescribedExample:
        attributes = tuple(
            (name, tuple((label.text, label.probability) for label in labels))
            for name, labels in description.attributes.items()
        )
        return DescribedExample(self._card(description.item_id), attributes)

    def _choice(self, question: FitbQuestion, place: int, scores: NDArray[np.float64]) -> Card:
        card = replace(self._card(question.candidates[place]), score=float(scores[place]))
        chosen = place == int(np.argmax(scores))
        if place == question.answer:
            return replace(card, mark="real", note="the real one, chosen" if chosen else "the real one")
        return replace(card, mark="mistaken", note="chosen") if chosen else card

    def _suggestion(self, item_id: str, score: float, taken: str | None) -> Card:
        card = replace(self._card(item_id), score=score)
        return replace(card, mark="real", note="was in the outfit") if item_id == taken else card

    def _has_photos(self, item_ids: Sequence[str]) -> bool:
        """Whether at least half of the items have one: a made-up outfit of photos alone may not exist."""
        return 2 * sum(self._items[item_id].image is not None for item_id in item_ids) >= len(item_ids)

    def _card(self, item_id: str) -> Card:
        item = self._items[item_id]
        category = item.category or "accessory"
        return Card(item.title or item.subcategory or "no title", category, self._photo(item), silhouette(category))

    def _photo(self, item: Item) -> str | None:
        if item.image is None:
            return None
        if item.id not in self._photos:
            self._photos[item.id] = photo_uri(item.image)
        return self._photos[item.id]


def _in_turn(first: Sequence[T], second: Sequence[T]) -> list[T]:
    """One of each in turn; what is left of the longer one follows."""
    shared = min(len(first), len(second))
    pairs = [one for pair in zip(first[:shared], second[:shared], strict=True) for one in pair]
    return [*pairs, *first[shared:], *second[shared:]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its 95% interval; the interval is None where there is none."""

    value: float | None
    interval: Interval


@dataclass(frozen=True, slots=True)
class IntervalAxis:
    """A line from ``low`` to 1 on which figures stand, in percent of its length.

    Attributes:
        ticks: Text and place of each tick.
        chance: Place of what guessing reaches.
    """

    low: float
    ticks: tuple[tuple[str, float], ...]
    chance: float

    def at(self, value: float) -> float:
        """The place of a value."""
        return round(100 * (value - self.low) / (1 - self.low), 2)


@dataclass(frozen=True, slots=True)
class TableRow:
    """One scorer: the task's own metric first, then the others, and the difference to the model under test."""

    scorer: str
    label: str
    note: str
    colour: int
    lead: Figure
    others: tuple[Figure, ...]
    at: float
    start: float
    span: float
    ahead: Ahead | None


@dataclass(frozen=True, slots=True)
class TaskTable:
    """A task's figures, the model under test first.

    Attributes:
        n: Questions.
        among: Choices or candidates of each; 0 for compatibility.
        chance: What guessing reaches.
        lead: What the task's own metric is called.
        others: What the other columns are called.
        smallest: Smallest difference from chance that so many questions show; None if it wasn't worked out.
    """

    task: Task
    n: int
    among: int
    chance: float
    lead: str
    others: tuple[str, ...]
    tape: IntervalAxis
    rows: tuple[TableRow, ...]
    smallest: float | None

    @property
    def differences(self) -> tuple[TableRow, ...]:
        """The rows that the model under test is compared with."""
        return tuple(row for row in self.rows if row.ahead is not None)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Figures of the model under test by a property of the questions; columns have their numbers as they are shown."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int | float | None, ...]], ...]


def task_table(task: Task, figures: Mapping[str, Any], colours: Mapping[str, int], under_test: str) -> TaskTable:
    """A task's table.

    Args:
        task: Which.
        figures: Of one protocol, as in ``report.json``.
        colours: Rows of the summary by scorer; the order of the rows here.
        under_test: What the model under test is called.
    """
    among = figures.get("choices", figures.get("pool", 0))
    everyone = {under_test: figures, **figures["baselines"]}
    answered = {name: one for name, one in everyone.items() if one.get(METRIC[task]) is not None}
    guess = chance(task, among)
    tape = _tape(task, list(answered.values()), guess)
    recalls = tuple(str(k) for k in sorted(int(k) for k in figures.get("recall", ())))
    rows = tuple(
        _row(task, name, answered[name], tape, colours[name], recalls)
        for name in sorted(answered, key=colours.__getitem__)
    )
    lead = METRIC_WORDS[METRIC[task]]
    others = {
        "compatibility": ("Accuracy", "F1"),
        "fill_in_the_blank": (),
        "retrieval": tuple(f"Recall at {k}" for k in recalls),
    }
    return TaskTable(
        task, figures["n"], among, guess, lead[:1].upper() + lead[1:], others[task], tape, rows,
        figures.get("smallest_difference"),
    )  # fmt: skip


def breakdowns(task: Task, figures: Mapping[str, Any]) -> tuple[Breakdown, ...]:
    """What a task's figures break down into, a table per property."""
    titles = {
        "category": "By category",
        "size": "By number of items",
        "confidence": "By how sure the model was",
    }
    keys = ("n", "positives", "auc", "accuracy") if task == "compatibility" else ("n", "accuracy")
    columns = {"n": "Questions", "positives": "of them real", "auc": "AUC", "accuracy": "Accuracy"}
    return tuple(
        Breakdown(
            titles.get(name, f"By {name}"),
            tuple(columns[key] for key in keys),
            tuple((str(row["value"]), tuple(row.get(key) for key in keys)) for row in rows),
        )
        for name, rows in figures.get("breakdown", {}).items()
        if rows
    )


def _row(
    task: Task, name: str, figures: Mapping[str, Any], tape: IntervalAxis, colour: int, recalls: Sequence[str]
) -> TableRow:
    words = scorer_words(name)
    interval = interval_of(task, figures)
    value = figures[METRIC[task]]
    low, high = interval or (value, value)
    start = tape.at(low)
    span = round(tape.at(high) - start, 2)
    others = _others(task, figures, recalls)
    ahead = ahead_of(task, figures)
    return TableRow(
        name, words.label, words.note, colour, Figure(value, interval), others, tape.at(value), start, span, ahead
    )


def _others(task: Task, figures: Mapping[str, Any], recalls: Sequence[str]) -> tuple[Figure, ...]:
    if task == "compatibility":
        return tuple(Figure(figures[name], as_interval(figures["ci95"][name])) for name in ("accuracy", "f1"))
    if task == "retrieval":
        return tuple(Figure(figures["recall"].get(k), as_interval(figures["ci95"].get(f"recall@{k}"))) for k in recalls)
    return ()


def _tape(task: Task, answered: Sequence[Mapping[str, Any]], guess: float) -> IntervalAxis:
    """From 0.4 for AUC, or lower in tenths if an interval asks for it; from 0 for the others."""
    ends = [(interval_of(task, figures) or (figures[METRIC[task]],))[0] for figures in answered]
    lowest = min(ends, default=0.0)
    low = min(0.4, max(int(lowest * 10), 0) / 10) if task == "compatibility" else 0.0
    tenths = range(round(low * 10), 11, 1 if low >= 0.3 else 2)
    unplaced = IntervalAxis(low, (), 0.0)
    ticks = tuple((f"{tenth / 10:.1f}", unplaced.at(tenth / 10)) for tenth in tenths)
    return IntervalAxis(low, ticks, unplaced.at(guess))


@dataclass(frozen=True, slots=True)
class ProtocolSection:
    """One protocol.

    Attributes:
        slug: Unique on the page, fit for an address.
        outfits: How many outfits its questions are from.
        tables: By task, only those that were measured.
        saying: What the model's figures mean, in words with a figure in each; empty for a task it has none of.
        roc: None without compatibility questions.
        recall: None without retrieval queries.
        reliabilities: Of each scorer whose scores were calibrated.
        breakdowns: By task.
        confusion: With ``threshold``; None without compatibility questions.
        warnings: What a reader of its figures must know.
    """

    name: str
    slug: str
    title: str
    meaning: str
    outfits: int
    tables: tuple[TaskTable, ...]
    figures: Mapping[Task, Mapping[str, Any]]
    roc: Chart | None
    recall: Chart | None
    reliabilities: tuple[Chart, ...]
    breakdowns: Mapping[Task, tuple[Breakdown, ...]]
    confusion: Mapping[str, Any] | None
    warnings: tuple[str, ...]

    @property
    def has_breakdowns(self) -> bool:
        """Whether any task's figures break down."""
        return any(self.breakdowns.values())

    @property
    def differs(self) -> bool:
        """Whether any table compares the model under test with something."""
        return any(table.differences for table in self.tables)


def protocol_sections(
    evaluation: Evaluation, colours: Mapping[str, int], under_test: str
) -> tuple[ProtocolSection, ...]:
    """The chapters of an evaluation, in the protocols' order.

    Args:
        evaluation: Its figures are those of ``tasks``; only ROC curves are drawn from scores.
        colours: Rows of the summary by scorer.
        under_test: What the model under test is called.
    """
    slugs = _slugs([part.questions.protocol for part in evaluation.protocols])
    return tuple(
        _chapter(part, slug, evaluation.tasks, colours, under_test)
        for part, slug in zip(evaluation.protocols, slugs, strict=True)
    )


def measured(tasks: Mapping[str, Any], protocol: str) -> dict[Task, Mapping[str, Any]]:
    """The figures of a protocol by task, without the tasks that it has no figure of."""
    return {
        task: figures
        for task in TASKS
        if (figures := tasks.get(task, {}).get(protocol)) is not None and figures.get(METRIC[task]) is not None
    }


def _chapter(
    part: ProtocolResult, slug: str, tasks: Mapping[str, Any], colours: Mapping[str, int], under_test: str
) -> ProtocolSection:
    name = part.questions.protocol
    title, meaning = protocol_words(name)
    figures = measured(tasks, name)
    outfits = {question.outfit_id for question in part.questions.test}
    outfits |= {question.outfit_id for question in (*part.questions.blanks, *part.questions.retrieval)}
    compatibility = figures.get("compatibility")
    told = dict.fromkeys(text for one in figures.values() for text in one.get("warnings", ()))
    return ProtocolSection(
        name=name,
        slug=slug,
        title=title,
        meaning=meaning,
        outfits=len(outfits),
        tables=tuple(task_table(task, one, colours, under_test) for task, one in figures.items()),
        figures=figures,
        roc=_roc(part, compatibility, colours, under_test) if compatibility else None,
        recall=_recall(name, figures.get("retrieval"), colours, under_test),
        reliabilities=_reliabilities(compatibility, colours, under_test) if compatibility else (),
        breakdowns={task: breakdowns(task, one) for task, one in figures.items()},
        confusion=dict(compatibility["confusion"], threshold=compatibility["threshold"]) if compatibility else None,
        warnings=tuple(told),
    )


def _everyone(
    figures: Mapping[str, Any], task: Task, colours: Mapping[str, int], under_test: str
) -> list[tuple[Scored, Mapping[str, Any]]]:
    everyone = {under_test: figures, **figures["baselines"]}
    found = [(Scored(name, colours[name]), one) for name, one in everyone.items() if one.get(METRIC[task]) is not None]
    return sorted(found, key=lambda pair: pair[0].colour)


def _roc(part: ProtocolResult, figures: Mapping[str, Any], colours: Mapping[str, int], under_test: str) -> Chart:
    scores = {result.scorer: result.scores for result in part.results}
    scores[under_test] = part.results[0].scores
    scored = [
        (scorer, scores[scorer.name], float(one["auc"]))
        for scorer, one in _everyone(figures, "compatibility", colours, under_test)
    ]
    return roc_chart(part.questions.protocol, scored, part.questions.labels)


def _recall(name: str, figures: Mapping[str, Any] | None, colours: Mapping[str, int], under_test: str) -> Chart | None:
    return recall_chart(name, _everyone(figures, "retrieval", colours, under_test)) if figures else None


def _reliabilities(figures: Mapping[str, Any], colours: Mapping[str, int], under_test: str) -> tuple[Chart, ...]:
    return tuple(
        reliability_chart(scorer, one["calibration"])
        for scorer, one in _everyone(figures, "compatibility", colours, under_test)
        if one.get("calibration")
    )


def _slugs(names: Sequence[str]) -> list[str]:
    slugs: list[str] = []
    for number, name in enumerate(names):
        slug = "protocol-" + (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or str(number))
        slugs.append(slug if slug not in slugs else f"{slug}-{number}")
    return slugs


_DEFAULT_EXAMPLES = 6


def render_html(report: ReportData) -> str:
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
            verdict=conclude(summary, subject, splits["test"]["outfits"]),
            cautions=_grouped(report.cautions),
            seed=report.settings.get("seed"),
            resamples=evaluate_settings.get("bootstrap"),
            splits=splits,
            questions=sum(
                len(part.questions.test) + len(part.questions.blanks) + len(part.questions.retrieval)
                for part in report.evaluation.protocols
            ),
            chapters=protocol_sections(report.evaluation, colours, under_test),
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
        figure=format_figure,
        signed=format_signed,
        p=lambda value: "–" if value is None else format_p_value(value),
        thousands=lambda number: f"{number:,}",
        percent=lambda share: f"{100 * share:.0f}",
        count_or_figure=lambda value: f"{value:,}" if isinstance(value, int) else format_figure(value),
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


def _grouped(cautions: Iterable[ReportWarning]) -> dict[str, list[str]]:
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


REPORT_JSON, REPORT_HTML, TABLE_TEX = "report.json", "report.html", "table.tex"
FORMAT = 2
"""Of ``report.json``; raised when a key changes its meaning or goes."""


def write_report(folder: Path, report: ReportData) -> None:
    """Write ``report.json``, ``report.html``, ``table.tex`` and the scores, each file whole or not at all.

    Raises:
        ArtifactError: If the folder can't be written.
    """
    found = report_json(report)
    write_scores(folder, report.evaluation)
    write_text(folder / REPORT_HTML, render_html(report))
    write_text(folder / TABLE_TEX, render_latex(found))
    write_json(folder / REPORT_JSON, found)


def report_json(report: ReportData) -> dict[str, Any]:
    """What ``report.json`` holds; the keys are those of the design, in its order."""
    warnings = dict.fromkeys((caution.where, caution.text) for caution in report.cautions)
    return {
        "data": data_summary(report.dataset, report.leaks),
        "model": {**report.model, "name": report.under_test},
        "settings": dict(report.settings),
        "tasks": dict(report.evaluation.tasks),
        "warnings": [{"where": where, "text": text} for where, text in warnings],
        "seeds": None if report.seeds is None else dict(report.seeds),
        "learning_curve": [dict(point) for point in report.learning_curve],
        "training": [asdict(point) for point in report.training],
        "recommendations": [
            {
                "outfit": list(shown.outfit),
                "want": shown.want,
                "taken": shown.taken,
                "shortlist": shown.shortlist,
                "suggestions": [{"item": item_id, "score": score} for item_id, score in shown.suggestions],
            }
            for shown in report.recommendations
        ],
        "questions": question_digests([part.questions for part in report.evaluation.protocols]),
        "command": report.command,
        "versions": dict(report.versions),
        "format": FORMAT,
    }


def data_summary(dataset: Dataset, leaks: tuple[Leak, ...]) -> dict[str, Any]:
    """The ``data`` of ``report.json``: what was recognised, the funnel, counts per split and the audit."""
    return {
        "name": dataset.name,
        "layout": dataset.layout,
        "text_only": dataset.text_only,
        "items": len(dataset.items),
        "photos": sum(item.image is not None for item in dataset.items.values()),
        "funnel": [asdict(row) for row in dataset.funnel],
        "splits": split_counts(dataset),
        "leaks": [leak.as_json() for leak in leaks],
    }
