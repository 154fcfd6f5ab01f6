"""What the report says of each protocol: its tables, charts and words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordi.evaluate.curves import Chart, Scored, recall_chart, reliability_chart, roc_chart
from coordi.evaluate.results import Evaluation, ProtocolResult
from coordi.evaluate.summary import METRIC
from coordi.evaluate.tables import Breakdown, TaskTable, breakdowns, task_table
from coordi.evaluate.wording import TASKS, Task, protocol_words


@dataclass(frozen=True, slots=True)
class Chapter:
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


def chapters(evaluation: Evaluation, colours: Mapping[str, int], under_test: str) -> tuple[Chapter, ...]:
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
) -> Chapter:
    name = part.questions.protocol
    title, meaning = protocol_words(name)
    figures = measured(tasks, name)
    outfits = {question.outfit_id for question in part.questions.test}
    outfits |= {question.outfit_id for question in (*part.questions.blanks, *part.questions.retrieval)}
    compatibility = figures.get("compatibility")
    told = dict.fromkeys(text for one in figures.values() for text in one.get("warnings", ()))
    return Chapter(
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
