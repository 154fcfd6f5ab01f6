"""The HTML page of a report and of a comparison: sections of tables, charts and examples for one template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from coordi.artifacts import write_json, write_text
from coordi.evaluation import export, plots
from coordi.evaluation import summary as words
from coordi.evaluation.compare import Comparison, comparison_headline, run_names
from coordi.evaluation.examples import Example, ExamplePicker
from coordi.evaluation.external import write_scores
from coordi.evaluation.naming import RECALL_AT
from coordi.evaluation.question_sets import TASKS, Task
from coordi.evaluation.report import REPORT_JSON, ReportData, flat_settings, report_json, split_counts
from coordi.evaluation.scoring import ProtocolResult, ReportWarning
from coordi.evaluation.task_metrics import METRIC

_EXAMPLES = 6
_MOST_RELIABILITIES = 3  # more lines can't be told apart; the table has every scorer's error
_DIFFERENCES = (
    "Paired differences on the same resamples of outfits; two-sided bootstrap p-values, and the same after Holm’s "
    "correction for several comparisons. The smallest detectable difference has power 0.8."
)
_STANDINGS: Mapping[words.Mark, str] = {"ahead": "ahead", "behind": "behind", "": "not significant"}
_BREAKDOWNS = {"category": "by category", "size": "by number of items", "confidence": "by the model’s confidence"}


class Section(NamedTuple):
    """A section of the page, in the order of its attributes; ``parts`` are sections that can be opened."""

    id: str
    title: str
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    command: str = ""
    tables: Sequence[export.Table] = ()
    charts: Sequence[plots.Chart] = ()
    examples: Sequence[Example] = ()
    parts: Sequence[Section] = ()


def write_report(folder: Path, report: ReportData) -> None:
    """Write ``report.json``, ``report.html``, ``table.tex`` and the scores, each file atomically."""
    contents = report_json(report)
    write_scores(folder, report.evaluation)
    write_text(folder / "report.html", render_html(report))
    write_text(folder / "table.tex", export.render_latex(contents))
    write_json(folder / REPORT_JSON, contents)


def render_html(report: ReportData) -> str:
    """The page of a report as text; the same report gives the same text, and it needs no other file."""
    settings, splits = report.settings.get("evaluate", {}), split_counts(report.dataset)
    summary = words.summarise(report.evaluation.tasks, report.under_test)
    colours = {row.scorer: min(number, plots.MOST_COLOURS) for number, row in enumerate(summary.rows)}
    parts = [part.questions.by_task for part in report.evaluation.protocols]
    questions = sum(len(group) for part in parts for group in part.values())
    picker = ExamplePicker(report, settings.get("examples", _EXAMPLES))
    answers = (*picker.compatibility(right=False), *picker.compatibility(right=True), *picker.blanks())
    outfits = {split: counts["outfits"] for split, counts in splits.items()}
    lede = (
        f"{words.subject_words(report.under_test)} answered {questions:,} questions about {outfits['test']:,} test "
        f"outfits. None of them is among the {outfits['train']:,} outfits for training and the {outfits['valid']:,} "
        "for validation."
    )
    sections = [
        _summary_section(report, summary, colours, splits["test"]["outfits"]),
        Section("warnings", "Warnings", warnings=_grouped(report.all_warnings)),
        _leak_section(report),
        _protocol_section(report, colours),
        Section("answers", "Answers", examples=answers),
        Section("recommended", "Recommended", examples=picker.recommended()),
        _naming_section(report, picker),
        Section("photos", "Labels of photos", examples=picker.described()),
        Section("training", "Training", charts=plots.training_charts(report.training)),
        _data_section(report, splits),
        _run_section(report),
    ]
    title = f"coordi report: {report.dataset.name}"
    return _render(title, lede, _banners(report, splits["test"]), sections)


def render_comparison(comparison: Comparison) -> str:
    """The page of a comparison as text; it needs no other file."""
    names = run_names(comparison)
    differing = export.differing_tables(comparison, names)
    runs = zip(names, (comparison.first, comparison.second), strict=True)
    others = [export.compared_table("Scorers of both runs", comparison.scorers, names)] if comparison.scorers else []
    sections = [
        Section(
            "models", "Models under test", [_DIFFERENCES], [*comparison.refused, *comparison.left_out],
            tables=[export.compared_table("Models under test", comparison.models, names)],
        ),
        Section("scorers", "Other scorers", tables=others),
        Section("differing", "What differs", () if differing else ["Nothing."], tables=differing),
        Section("commands", "Commands", command="\n\n".join(f"{name}:\n{run.report['command']}" for name, run in runs)),
    ]  # fmt: skip
    banners = ["Not comparable: see the reasons below."] if comparison.refused else []
    return _render(" and ".join(names), comparison_headline(comparison), banners, sections)


def _render(title: str, lede: str, banners: Sequence[str], sections: Sequence[Section]) -> str:
    style = Markup(resources.files("coordi.evaluation").joinpath("templates/page.css").read_text(encoding="utf-8"))
    contents = [section for section in sections if any(section[2:])]  # more than a heading
    page = export.template("page.html")
    return page.render(title=title, lede=lede, banners=banners, sections=contents, style=style)


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


def _summary_section(report: ReportData, summary: words.Summary, colours: Mapping[str, int], outfits: int) -> Section:
    resamples, seed = report.settings.get("evaluate", {}).get("bootstrap"), report.settings.get("seed")
    subject = words.subject_words(report.under_test, start=False)
    key = (
        f"Bold: best of a column. ▲ {subject} is significantly ahead of this scorer, ▼ behind it (paired bootstrap by "
        "outfit, p below 0.05 after Holm’s correction). Small: 95% bootstrap intervals by outfit"
        f"{f', {resamples:,} resamples' if resamples else ''}{f', seed {seed}' if seed is not None else ''}."
    )
    tables = [export.summary_table(part, colours) for part in summary.by_task().values()]
    return Section("summary", "Summary", [words.conclude(summary, outfits), key], tables=tables)


def _grouped(warnings: Iterable[ReportWarning]) -> list[str]:
    """Each text once, after all its sources."""
    sources: dict[str, dict[str, None]] = {}
    for warning in warnings:
        sources.setdefault(warning.text, {})[warning.where] = None
    return [f"{'; '.join(where)}: {text}" for text, where in sources.items()]


def _leak_section(report: ReportData) -> Section:
    rows = []
    for leak in report.leaks:
        reached = "–" if leak.accuracy is None else f"accuracy {words.format_figure(leak.accuracy)}"
        reached = reached if leak.auc is None else f"AUC {words.format_figure(leak.auc)}"
        below = "" if leak.chance is None else f"chance {words.format_figure(leak.chance)}"
        hidden = "" if leak.visible or leak.name == "unaudited" else "No scorer gets it."
        cells = export.TableCell(reached, below), export.TableCell(leak.detail, hidden)
        rows.append((leak.name, leak.where, *cells))
    table = export.Table("Leaks", ("Leak", "Where", "Reaches", "Detail"), rows, numbers=4)
    return Section("leaks", "Leaks", [] if rows else ["Leaks: none found."], tables=[table] if rows else ())


def _protocol_section(report: ReportData, colours: Mapping[str, int]) -> Section:
    parts: list[Section] = []
    for number, protocol in enumerate(report.evaluation.protocols):
        slug = re.sub(r"[^a-z0-9]+", "-", protocol.questions.protocol.lower()).strip("-") or str(number)
        is_new = f"protocol-{slug}" not in {part.id for part in parts}
        parts.append(_protocol(report, protocol, f"protocol-{slug if is_new else f'{slug}-{number}'}", colours))
    return Section("protocols", "Protocols", parts=parts)


def _protocol(report: ReportData, protocol: ProtocolResult, slug: str, colours: Mapping[str, int]) -> Section:
    name, tasks = protocol.questions.protocol, report.evaluation.tasks
    title, meaning = words.protocol_words(name)
    outfits = {question.outfit_id for group in protocol.questions.by_task.values() for question in group}
    notes = [f"{f'{meaning[:1].upper()}{meaning[1:]}. ' if meaning else ''}Questions from {len(outfits):,} outfits."]
    warnings: list[str] = []
    tables: list[export.Table] = []
    charts: list[plots.Chart] = []
    for task in TASKS:
        figures = tasks.get(task, {}).get(name, {})
        if figures.get(METRIC[task]) is None:
            continue
        scorers = {report.under_test: figures, **figures["baselines"]}
        measured = (scorer for scorer in scorers if scorers[scorer].get(METRIC[task]) is not None)
        scored = [(scorer, colours[scorer], scorers[scorer]) for scorer in sorted(measured, key=list(colours).index)]
        notes.append(_in_words(task, figures))
        warnings += figures.get("warnings", ())
        tables.append(_task_table(task, figures, scored))
        if figures["baselines"]:
            tables.append(_difference_table(task, scored, report.under_test))
        if task == "compatibility":
            charts += _compatibility_charts(protocol, report.under_test, scored)
            tables.append(_confusion(figures))
        tables += breakdown_tables(task, figures)
    notes += [_DIFFERENCES] if len(protocol.results) > 1 else []
    return Section(slug, title, notes, list(dict.fromkeys(warnings)), tables=tables, charts=charts)


def _compatibility_charts(
    protocol: ProtocolResult, under_test: str, scored: Sequence[plots.Scored]
) -> list[plots.Chart]:
    name = protocol.questions.protocol
    scores = {result.scorer: result.scores for result in protocol.results}
    scores[under_test] = protocol.results[0].scores
    calibrated = [(scorer, n, each["calibration"]) for scorer, n, each in scored if each.get("calibration")]
    curves = [(scorer, n, scores[scorer], float(each["auc"])) for scorer, n, each in scored]
    reliabilities = [plots.reliability_chart(name, calibrated[:_MOST_RELIABILITIES])] if calibrated else []
    return [plots.roc_chart(name, curves, protocol.questions.labels), *reliabilities]


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


def _task_table(task: Task, figures: Mapping[str, Any], scored: Sequence[plots.Scored]) -> export.Table:
    ks = sorted(figures.get("recall", ()), key=int)
    rows = []
    for name, colour, each in scored:
        cells = [export.figure_cell(each[METRIC[task]], words.interval_of(task, each))]
        if task == "compatibility":
            cells += [
                export.figure_cell(each[metric], words.as_interval(each["ci95"][metric]))
                for metric in ("accuracy", "f1")
            ]
            cells.append(export.figure_cell((each.get("calibration") or {}).get("ece")))
        cells += [
            export.figure_cell(each["recall"].get(k), words.as_interval(each["ci95"].get(f"recall@{k}"))) for k in ks
        ]
        rows.append([export.scorer_cell(name, colour, words.scorer_words(name).note), *cells])
    among, smallest = figures.get("choices", figures.get("pool", 0)), figures.get("smallest_difference")
    caption = (
        f"{words.TASK_WORDS[task]}: {figures['n']:,} questions{f' of {among} candidates' if among else ''}, guessing "
        f"reaches {words.format_figure(words.chance(task, among))}"
        + ("" if smallest is None else f", a difference from guessing of {words.format_figure(smallest)} or more shows")
    )
    more = ("accuracy", "F1", "ECE") if task == "compatibility" else tuple(f"Recall at {k}" for k in ks)
    return export.Table(caption, ("Scorer", words.METRIC_WORDS[METRIC[task]], *more), rows)


def _difference_table(task: Task, scored: Sequence[plots.Scored], under_test: str) -> export.Table:
    rows = []
    for name, colour, each in scored:
        if ahead := each.get("model_ahead"):
            by = ahead[METRIC[task]]
            standing = _STANDINGS[words.mark_of(by, ahead.get("p_holm"))]
            cells = export.difference_cells(by, ahead["ci95"], ahead)
            rows.append([export.scorer_cell(name, colour), *cells, standing])
    subject = words.subject_words(under_test, start=False)
    caption = f"{words.TASK_WORDS[task]}: {subject} minus each scorer, in {words.METRIC_WORDS[METRIC[task]]}"
    return export.Table(
        caption, ("Scorer", "Difference", "p", "p after Holm", "Smallest detectable", "The model is"), rows
    )


def _confusion(figures: Mapping[str, Any]) -> export.Table:
    counts = figures["confusion"]
    rows = [
        ("real", f"{counts['true_positives']:,}", f"{counts['false_negatives']:,}"),
        ("made-up", f"{counts['false_positives']:,}", f"{counts['true_negatives']:,}"),
    ]
    caption = f"Predictions at the threshold {words.format_figure(figures['threshold'])}"
    return export.Table(caption, ("", "compatible", "incompatible"), rows)


def breakdown_tables(task: Task, figures: Mapping[str, Any]) -> list[export.Table]:
    """Figures of the model under test by a property of the questions, a table per property that has rows."""
    columns = {"n": "Questions", "positives": "of them real", "auc": "AUC", "accuracy": "Accuracy"}
    keys = list(columns) if task == "compatibility" else ["n", "accuracy"]
    tables = []
    for name, rows in figures.get("breakdown", {}).items():
        texts = [[str(row["value"]), *(_count_or_figure(row.get(key)) for key in keys)] for row in rows]
        if rows:
            title = f"{words.TASK_WORDS[task]} {_BREAKDOWNS.get(name, f'by {name}')}"
            tables.append(export.Table(title, ["", *(columns[key] for key in keys)], texts))
    return tables


def _count_or_figure(value: float | None) -> str:
    return f"{value:,}" if isinstance(value, int) else words.format_figure(value)


def _naming_section(report: ReportData, picker: ExamplePicker) -> Section:
    if report.naming is None:
        return Section("naming", "Named in words")
    figures = report.naming.figures
    heads = {
        "kind": "Same kind", "colour": "Shares a colour", "similarity": "Similarity",
        f"recall@{RECALL_AT}": f"Recall at {RECALL_AT}", "mrr": "MRR",
    }  # fmt: skip
    rows: list[list[export.TableCell | str]] = []
    for name, row in figures["scorers"].items():
        cells = [export.figure_cell(row[key], words.as_interval(row["ci95"].get(key))) for key in heads]
        ends = row.get("model_ahead", {"ci95": {}})["ci95"]  # of the model minus this scorer
        marks = ((ends.get(key) or (0, 0)) for key in heads)
        label = words.scorer_words(name).label
        label = label[:1].upper() + label[1:]
        rows.append([label, *(replace(cell, mark=_mark(*pair)) for cell, pair in zip(cells, marks, strict=True))])
    share = (
        f"{100 * figures['named_one_item']:.0f} of 100 texts name one item of a known kind and of the wanted category"
    )
    notes = [
        f"{figures['n']:,} test outfits, an item removed from each before anything was recommended, read or written; "
        f"{figures['n_colour']:,} removed items have a known colour. {share}; where one doesn’t, what the image "
        "encoder recommends stands in.",
        f"Recall and MRR are of the removed item among those of its category in the test split (median "
        f"{figures['candidates']:.0f}), by the similarity of texts to the words; of the zero-shot recommendation by "
        "the similarity of photos to the outfit’s; of popularity by how often training outfits have the kind and the "
        "colour. Similarity is the mean cosine of texts. Small: 95% bootstrap intervals by outfit; ▲ the model "
        "is ahead of this scorer, ▼ behind it, by such an interval of the difference.",
    ]
    table = export.Table("Named in words: agreement with the removed item", ("Scorer", *heads.values()), rows)
    return Section("naming", "Named in words", notes, tables=[table], examples=picker.named())


def _mark(low: float, high: float) -> words.Mark:
    return "ahead" if low > 0 else "behind" if high < 0 else ""


def _data_section(report: ReportData, splits: Mapping[str, Mapping[str, int]]) -> Section:
    counts = [(split, *(f"{row[key]:,}" for key in ("outfits", "items", "photos"))) for split, row in splits.items()]
    funnel = [
        (row.reason, f"{'−' if row.dropped and row.count else ''}{row.count:,}", f"{row.left:,} {row.unit}")
        for row in report.dataset.funnel
    ]
    tables = [export.Table("Splits, by outfit", ("Split", "Outfits", "Items", "with a photo"), counts)]
    tables += [export.Table("Cleaning", ("Step", "Count", "Left"), funnel)] if funnel else []
    return Section("data", "Data", [f"Layout of the source: {report.dataset.layout}."], tables=tables)


def _run_section(report: ReportData) -> Section:
    facts = {
        "The model under test": [(name.replace("_", " "), str(value)) for name, value in report.model.items()],
        "Settings": flat_settings(report.settings),
        "Versions": list(report.versions.items()),
    }
    tables = [export.Table(title, ("Name", "Value"), rows, numbers=2) for title, rows in facts.items() if rows]
    return Section("run", "The run", command=report.command, tables=tables)
