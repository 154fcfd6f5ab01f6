"""The HTML page of a report and of a comparison: sections of tables, charts and examples for one template."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from coordi.artifacts import write_json, write_text
from coordi.evaluate.compare import ComparedRow, Comparison, comparison_headline, run_names
from coordi.evaluate.examples import Example, ExamplePicker
from coordi.evaluate.export import format_interval, render_latex, seed_frame
from coordi.evaluate.external import write_scores
from coordi.evaluate.plots import (
    MOST_COLOURS,
    Chart,
    recall_chart,
    reliability_chart,
    roc_chart,
    size_charts,
    training_charts,
)
from coordi.evaluate.report import (
    REPORT_HTML,
    REPORT_JSON,
    TABLE_TEX,
    ReportData,
    flat_settings,
    report_json,
    split_counts,
)
from coordi.evaluate.scoring import ProtocolResult, ReportWarning
from coordi.evaluate.summary import (
    METRIC,
    METRIC_WORDS,
    TASK_WORDS,
    TASKS,
    Ahead,
    Interval,
    Mark,
    Summary,
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
    protocol_words,
    scorer_words,
    source_words,
    subject_words,
    summarise,
    task_title,
)

_EXAMPLES = 6
_MOST_RELIABILITIES = 3  # more lines can't be told apart; the table has every scorer's error
_DIFFERENCES = (
    "Paired differences on the same resamples of outfits; two-sided bootstrap p-values, and the same after Holm’s "
    "correction for several comparisons. The smallest detectable difference has power 0.8."
)
_STANDINGS: Mapping[Mark, str] = {"ahead": "ahead", "behind": "behind", "": "not significant"}
_BREAKDOWNS = {"category": "by category", "size": "by number of items", "confidence": "by the model’s confidence"}


@dataclass(frozen=True, slots=True)
class TableCell:
    """Text of a cell with what stands below it.

    Attributes:
        below: Fine print, such as an interval.
        bold: Whether it is the best of its column.
        mark: Whether the model under test is significantly ahead of this scorer, or behind it.
        colour: Number of a scorer's colour; None for no swatch.
    """

    text: str
    below: str = ""
    bold: bool = False
    mark: Mark = ""
    colour: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of each row is its heading, columns from ``numbers`` on are aligned to the right."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[TableCell | str]]
    numbers: int = 1


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page, in the order of its attributes.

    Attributes:
        id: Unique on the page.
        title: Its heading.
        notes: Paragraphs.
        warnings: A list that stands out.
        command: Commands, in a fixed-width font.
        tables: Tables.
        charts: Charts.
        examples: Examples.
        parts: Sections that can be opened.
    """

    id: str
    title: str
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    command: str = ""
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    examples: Sequence[Example] = ()
    parts: Sequence[Section] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing below the heading."""
        contents = (self.notes, self.warnings, self.command, self.tables, self.charts, self.examples, self.parts)
        return not any(contents)


def write_report(folder: Path, report: ReportData) -> None:
    """Write ``report.json``, ``report.html``, ``table.tex`` and the scores, each file atomically.

    Raises:
        ArtifactError: If the folder can't be written.
        MissingDependencyError: If pandas or matplotlib isn't installed.
    """
    contents = report_json(report)
    write_scores(folder, report.evaluation)
    write_text(folder / REPORT_HTML, render_html(report))
    write_text(folder / TABLE_TEX, render_latex(contents))
    write_json(folder / REPORT_JSON, contents)


def render_html(report: ReportData) -> str:
    """The page of a report as text; the same report gives the same text, and it needs no other file."""
    settings, splits = report.settings.get("evaluate", {}), split_counts(report.dataset)
    summary = summarise(report.evaluation.tasks, report.under_test)
    colours = {row.scorer: number for number, row in enumerate(summary.rows)}
    parts = [part.questions for part in report.evaluation.protocols]
    questions = sum(len(part.test) + len(part.blanks) + len(part.retrieval) for part in parts)
    picker = ExamplePicker(report, settings.get("examples", _EXAMPLES))
    lede = (
        f"{subject_words(report.under_test)} answered {questions:,} questions about {splits['test']['outfits']:,} test "
        f"outfits. None of them is among the {splits['train']['outfits']:,} outfits for training and the "
        f"{splits['valid']['outfits']:,} for validation."
    )
    sections = [
        _summary_section(report, summary, colours, splits["test"]["outfits"]),
        Section("warnings", "Warnings", warnings=_grouped(report.all_warnings)),
        _leak_section(report),
        _protocol_section(report, colours),
        _stability_section(report, colours),
        *_example_sections(picker),
        Section("training", "Training", charts=training_charts(report.training)),
        _data_section(report, splits),
        _run_section(report),
    ]
    title = f"coordi report: {report.dataset.name}"
    return _render(title, lede, _banners(report, splits["test"]), sections)


def render_comparison(comparison: Comparison) -> str:
    """The page of a comparison as text; it needs no other file."""
    names = run_names(comparison)
    differing = [
        Table(title, ("", *names), [(row.name, row.first or "–", row.second or "–") for row in rows], numbers=3)
        for title, rows in (
            ("Data", comparison.data), ("Settings and models", comparison.settings), ("Versions", comparison.versions),
        ) if rows
    ]  # fmt: skip
    runs = zip(names, (comparison.first, comparison.second), strict=True)
    sections = [
        Section(
            "models", "Models under test", [_DIFFERENCES], [*comparison.refused, *comparison.left_out],
            tables=[_compared_table("Models under test", comparison.models, names)],
        ),
        Section(
            "scorers", "Other scorers", tables=[_compared_table("Scorers of both runs", comparison.scorers, names)]
            if comparison.scorers else (),
        ),
        Section("differing", "What differs", () if differing else ["Nothing."], tables=differing),
        Section("commands", "Commands", command="\n\n".join(f"{name}:\n{run.report['command']}" for name, run in runs)),
    ]  # fmt: skip
    banners = ["Not comparable: see the reasons below."] if comparison.refused else []
    return _render(" and ".join(names), comparison_headline(comparison), banners, sections)


def _render(title: str, lede: str, banners: Sequence[str], sections: Sequence[Section]) -> str:
    environment = Environment(
        loader=PackageLoader("coordi.evaluate"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    style = resources.files("coordi.evaluate").joinpath("templates/page.css").read_text(encoding="utf-8")
    contents = [section for section in sections if not section.is_empty]
    page = environment.get_template("page.html")
    return page.render(title=title, lede=lede, banners=banners, sections=contents, style=Markup(style))


def _banners(report: ReportData, test: Mapping[str, int]) -> list[str]:
    banners = []
    if report.dataset.layout == "sample":
        banners.append("Drawn sample: coordi drew these garments for trying it out, so no figure here is a result.")
    if report.dataset.text_only:
        few = ", so most of the model’s input is titles" if 2 * test["photos"] < test["items"] else ""
        banners.append(
            f"Text-only mode: items without a photo are included ({test['photos']:,} of {test['items']:,} test items "
            f"have one){few}. The paper keeps only items with both."
        )
    return banners


def _summary_section(report: ReportData, summary: Summary, colours: Mapping[str, int], outfits: int) -> Section:
    resamples, seed = report.settings.get("evaluate", {}).get("bootstrap"), report.settings.get("seed")
    subject = lower_first(subject_words(report.under_test))
    key = (
        f"Bold: best of a column. ▲ {subject} is significantly ahead of this scorer, ▼ behind it (paired bootstrap by "
        "outfit, p below 0.05 after Holm’s correction). Small: 95% bootstrap intervals by outfit"
        f"{f', {resamples:,} resamples' if resamples else ''}{f', seed {seed}' if seed is not None else ''}. In "
        "fill-in-the-blank and retrieval a tie counts against the scorer. After the model and its base, rows go from "
        "the highest mean AUC down."
    )
    parts = [summary.of_task(task) for task in TASKS]
    tables = [_summary_table(part, colours) for part in parts if part.columns]
    return Section("summary", "Summary", [conclude(summary, outfits), key], tables=tables)


def _summary_table(summary: Summary, colours: Mapping[str, int]) -> Table:
    rows: list[list[TableCell | str]] = []
    for row in summary.rows:
        words = scorer_words(row.scorer)
        cells = [
            "–"
            if cell is None
            else TableCell(format_figure(cell.value), format_interval(cell.interval), cell.is_best, cell.mark)
            for cell in row.cells
        ]
        note = words.note if words.kind == "file" else ""
        rows.append([TableCell(words.label, note, colour=min(colours[row.scorer], MOST_COLOURS)), *cells])
    rows.append(["Guessing", *(format_figure(column.chance) for column in summary.columns)])
    rows.append(["Questions", *(f"{column.n:,}" for column in summary.columns)])
    smallest = (format_figure(column.smallest) for column in summary.columns)
    rows.append(["Smallest difference from guessing that shows", *smallest])
    first = summary.columns[0]
    title = f"{TASK_WORDS[first.task]}, {METRIC_WORDS[first.metric]}, with 95% intervals"
    return Table(title, ["Scorer", *(column.title for column in summary.columns)], rows)


def _grouped(warnings: Iterable[ReportWarning]) -> list[str]:
    """Each text once, after all its sources."""
    sources: dict[str, dict[str, None]] = {}
    for warning in warnings:
        sources.setdefault(warning.text, {})[source_words(warning.where)] = None
    return [f"{'; '.join(where)}: {text}" for text, where in sources.items()]


def _leak_section(report: ReportData) -> Section:
    rows = []
    for leak in report.leaks:
        reached = "–" if leak.accuracy is None else f"accuracy {format_figure(leak.accuracy)}"
        reached = reached if leak.auc is None else f"AUC {format_figure(leak.auc)}"
        below = "" if leak.chance is None else f"chance {format_figure(leak.chance)}"
        hidden = "" if leak.visible or leak.name == "unaudited" else "No scorer gets it."
        rows.append((leak.name, source_words(leak.where), TableCell(reached, below), TableCell(leak.detail, hidden)))
    note = (
        "Ways to answer without looking at clothes, and what a scorer that uses nothing else reaches. Checked: order "
        "and number of items, ids, balance of answers, popularity, words, gaps and lengths of titles, and what two "
        "splits share."
    )
    table = Table("Leaks", ("Leak", "Where", "Reaches", "Detail"), rows, numbers=4)
    return Section("leaks", "Leaks", [note, *([] if rows else ["Leaks: none found."])], tables=[table] if rows else ())


def _protocol_section(report: ReportData, colours: Mapping[str, int]) -> Section:
    slugs: list[str] = []
    for number, protocol in enumerate(report.evaluation.protocols):
        slug = "protocol-" + (re.sub(r"[^a-z0-9]+", "-", protocol.questions.protocol.lower()).strip("-") or str(number))
        slugs.append(slug if slug not in slugs else f"{slug}-{number}")
    parts = [
        _protocol(report, protocol, slug, colours)
        for protocol, slug in zip(report.evaluation.protocols, slugs, strict=True)
    ]
    note = (
        "Thresholds of accuracy and F1 were chosen on validation questions. Always predicting compatible gives an F1 "
        "of 0.667 where half of the questions are real."
    )
    return Section("protocols", "Protocols", [note], parts=parts)


def _protocol(report: ReportData, protocol: ProtocolResult, slug: str, colours: Mapping[str, int]) -> Section:
    name = protocol.questions.protocol
    title, meaning = protocol_words(name)
    tasks = report.evaluation.tasks
    figures = {
        task: tasks[task][name]
        for task in TASKS
        if tasks.get(task, {}).get(name, {}).get(METRIC[task]) is not None
    }  # fmt: skip
    outfits = {question.outfit_id for question in protocol.questions.test}
    outfits |= {question.outfit_id for question in (*protocol.questions.blanks, *protocol.questions.retrieval)}
    notes = [f"{f'{meaning[:1].upper()}{meaning[1:]}. ' if meaning else ''}Questions from {len(outfits):,} outfits."]
    tables, charts = [], []
    for task, values in figures.items():
        scorers = _scorers(values, task, colours, report.under_test)
        notes.append(_in_words(task, values))
        tables.append(_task_table(task, values, scorers))
        if values["baselines"]:
            tables.append(_difference_table(task, scorers, report.under_test))
        if task == "compatibility":
            scores = {result.scorer: result.scores for result in protocol.results}
            scores[report.under_test] = protocol.results[0].scores
            curves = [(scorer, n, scores[scorer], float(each["auc"])) for scorer, n, each in scorers]
            charts.append(roc_chart(name, curves, protocol.questions.labels))
            calibrated = [(scorer, n, each["calibration"]) for scorer, n, each in scorers if each.get("calibration")]
            charts += [reliability_chart(name, calibrated[:_MOST_RELIABILITIES])] if calibrated else []
            tables += [_confusion(values)]
        if task == "retrieval" and (recall := recall_chart(name, scorers)):
            charts.append(recall)
        tables += breakdown_tables(task, values)
    warnings = dict.fromkeys(text for values in figures.values() for text in values.get("warnings", ()))
    notes += [_DIFFERENCES] if any(values["baselines"] for values in figures.values()) else []
    return Section(slug, title, notes, list(warnings), tables=tables, charts=charts)


def _scorers(
    figures: Mapping[str, Any], task: Task, colours: Mapping[str, int], under_test: str
) -> list[tuple[str, int, Mapping[str, Any]]]:
    """Name, colour and figures of each scorer that has a value, in the order of the summary."""
    scorers = {under_test: figures, **figures["baselines"]}
    measured = [name for name in scorers if scorers[name].get(METRIC[task]) is not None]
    return [
        (name, min(colours[name], MOST_COLOURS), scorers[name]) for name in sorted(measured, key=colours.__getitem__)
    ]


def _in_words(task: Task, figures: Mapping[str, Any]) -> str:
    if task == "compatibility":
        return (
            f"Of a real outfit and a made-up one, the model rates the real one higher {100 * figures['auc']:.0f} times "
            "in 100; guessing would be 50."
        )
    if task == "fill_in_the_blank":
        among, share, what = figures["choices"], figures["accuracy"], "finds the item that completes the outfit"
    else:
        among, share, what = figures["pool"], figures["recall"]["1"], "ranks the true item first"
    return f"Among {among} candidates, it {what} {100 * share:.0f} times in 100; guessing would be {100 / among:.0f}."


def _task_table(task: Task, figures: Mapping[str, Any], scorers: Sequence[tuple[str, int, Mapping[str, Any]]]) -> Table:
    ks = sorted(figures.get("recall", ()), key=int)
    rows = []
    for name, colour, each in scorers:
        cells: list[tuple[float | None, Interval]] = [(each[METRIC[task]], interval_of(task, each))]
        if task == "compatibility":
            cells += [(each[metric], as_interval(each["ci95"][metric])) for metric in ("accuracy", "f1")]
        cells += [(each["recall"].get(k), as_interval(each["ci95"].get(f"recall@{k}"))) for k in ks]
        texts = [TableCell(format_figure(value), format_interval(interval)) for value, interval in cells]
        if task == "compatibility":
            texts.append(TableCell(format_figure((each.get("calibration") or {}).get("ece"))))
        rows.append([TableCell(scorer_words(name).label, scorer_words(name).note, colour=colour), *texts])
    among = figures.get("choices", figures.get("pool", 0))
    smallest = figures.get("smallest_difference")
    caption = (
        f"{TASK_WORDS[task]}: {figures['n']:,} questions{f' of {among} candidates' if among else ''}, guessing reaches "
        f"{format_figure(chance(task, among))}"
        + ("" if smallest is None else f", a difference from guessing of {format_figure(smallest)} or more shows")
    )
    heads = {
        "compatibility": ("AUC", "Accuracy", "F1", "ECE"),
        "fill_in_the_blank": ("Accuracy",),
        "retrieval": ("MRR",),
    }
    return Table(caption, ("Scorer", *heads[task], *(f"Recall at {k}" for k in ks)), rows)


def _difference_table(task: Task, scorers: Sequence[tuple[str, int, Mapping[str, Any]]], under_test: str) -> Table:
    compared = [(name, colour, ahead) for name, colour, each in scorers if (ahead := ahead_of(task, each))]
    rows = [
        [TableCell(scorer_words(name).label, colour=colour), *_difference(ahead), _STANDINGS[ahead.mark]]
        for name, colour, ahead in compared
    ]
    subject = lower_first(subject_words(under_test))
    caption = f"{TASK_WORDS[task]}: {subject} minus each scorer, in {METRIC_WORDS[METRIC[task]]}"
    return Table(caption, ("Scorer", "Difference", "p", "p after Holm", "Smallest detectable", "The model is"), rows)


def _difference(ahead: Ahead) -> list[TableCell | str]:
    signed = (
        "" if ahead.interval is None else f"{format_signed(ahead.interval[0])} to {format_signed(ahead.interval[1])}"
    )
    p_values = (format_p_value(ahead.p_value), format_p_value(ahead.p_holm))
    return [TableCell(format_signed(ahead.by), signed), *p_values, format_figure(ahead.smallest)]


def _confusion(figures: Mapping[str, Any]) -> Table:
    counts = figures["confusion"]
    rows = [
        ("real", f"{counts['true_positives']:,}", f"{counts['false_negatives']:,}"),
        ("made-up", f"{counts['false_positives']:,}", f"{counts['true_negatives']:,}"),
    ]
    caption = f"Predictions at the threshold {format_figure(figures['threshold'])}"
    return Table(caption, ("", "compatible", "incompatible"), rows)


def breakdown_tables(task: Task, figures: Mapping[str, Any]) -> list[Table]:
    """Figures of the model under test by a property of the questions, a table per property that has rows."""
    columns = {"n": "Questions", "positives": "of them real", "auc": "AUC", "accuracy": "Accuracy"}
    keys = list(columns) if task == "compatibility" else ["n", "accuracy"]
    tables = []
    for name, rows in figures.get("breakdown", {}).items():
        texts = [[str(row["value"]), *(_count_or_figure(row.get(key)) for key in keys)] for row in rows]
        if rows:
            title = f"{TASK_WORDS[task]} {_BREAKDOWNS.get(name, f'by {name}')}"
            tables.append(Table(title, ["", *(columns[key] for key in keys)], texts))
    return tables


def _count_or_figure(value: float | None) -> str:
    return f"{value:,}" if isinstance(value, int) else format_figure(value)


def _stability_section(report: ReportData, colours: Mapping[str, int]) -> Section:
    charts = size_charts(report.learning_curve, colours)
    notes = []
    if charts:
        notes.append(
            "AUC of scorers that are trained, each on a part of the training outfits, with 95% intervals; logarithmic "
            "scale."
        )
    tables = []
    frame = seed_frame(report.seeds)
    order = [colours.get(name, len(colours)) for name in frame["scorer"]]
    for (title, metric), rows in (
        frame.assign(order=order).sort_values("order").groupby(["title", "metric"], sort=False)
    ):
        texts = [
            (
                scorer_words(row.scorer).label,
                format_figure(row.mean),
                format_figure(None if math.isnan(row.deviation) else row.deviation),
                f"{format_figure(row.lowest)} to {format_figure(row.highest)}",
            )
            for row in rows.itertuples()
        ]
        tables.append(Table(f"{title}, {metric}", ("Scorer", "Mean", "Deviation", "Lowest to highest"), texts))
    if report.seeds is not None and tables:
        seeds = ", ".join(map(str, report.seeds["seeds"]))
        notes.append(
            "Variation of the figures when questions are drawn, and trained baselines fitted, with another seed: "
            f"{seeds}. The model under test is the same each time."
        )
    return Section("stability", "Seeds and training sizes", notes, tables=tables, charts=charts)


def _example_sections(picker: ExamplePicker) -> list[Section]:
    rule = (
        "Picked by rule: outfits with photos of at least half of their items first, then the answers furthest from the "
        "threshold, real and made-up outfits in turn."
    )
    answers = (*picker.compatibility(right=False), *picker.compatibility(right=True), *picker.blanks())
    recommended, described = picker.recommended(), picker.described()
    notes = {
        "recommended": "Suggestions of the model for outfits it wasn’t trained on, with the score of the completed "
        "outfit. One item of each real outfit was removed first; it is marked where the model suggests it.",
        "photos": "Labels of the image encoder with their probabilities; labels below its thresholds are left out.",
    }
    return [
        Section("answers", "Answers", [rule] if answers else (), examples=answers),
        Section("recommended", "Recommended", [notes["recommended"]] if recommended else (), examples=recommended),
        Section("photos", "Labels of photos", [notes["photos"]] if described else (), examples=described),
    ]


def _data_section(report: ReportData, splits: Mapping[str, Mapping[str, int]]) -> Section:
    counts = [(split, *(f"{row[key]:,}" for key in ("outfits", "items", "photos"))) for split, row in splits.items()]
    funnel = [
        (row.reason, f"{'−' if row.dropped and row.count else ''}{row.count:,}", f"{row.left:,} {row.unit}")
        for row in report.dataset.funnel
    ]
    tables = [Table("Splits, by outfit", ("Split", "Outfits", "Items", "with a photo"), counts)]
    tables += [Table("Cleaning", ("Step", "Count", "Left"), funnel)] if funnel else []
    return Section("data", "Data", [f"Layout of the source: {report.dataset.layout}."], tables=tables)


def _run_section(report: ReportData) -> Section:
    facts = {
        "The model under test": [(name.replace("_", " "), str(value)) for name, value in report.model.items()],
        "Settings": flat_settings(report.settings),
        "Versions": list(report.versions.items()),
    }
    tables = [Table(title, ("Name", "Value"), rows, numbers=2) for title, rows in facts.items() if rows]
    return Section("run", "The run", command=report.command, tables=tables)


def _compared_table(caption: str, rows: Sequence[ComparedRow], names: tuple[str, str]) -> Table:
    texts: list[list[TableCell | str]] = []
    for row in rows:
        scorers = " and ".join(dict.fromkeys(scorer_words(name).label for name in (row.scorers)))
        title = f"{task_title(row.task, row.protocol)}, {METRIC_WORDS[row.metric]}"
        values = [
            TableCell(format_figure(value), format_interval(interval))
            for value, interval in zip(row.values, row.intervals, strict=True)
        ]
        texts.append([TableCell(title, scorers), *values, *_difference(row.difference), row.standing])
    heads = ("Result", *names, f"{names[1]} minus {names[0]}", "p", "p after Holm", "Smallest detectable")
    return Table(caption, (*heads, f"{names[1]} is"), texts)
