"""The report's tables of one task under one protocol: figures on a tape, differences, and what they break down into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordi.evaluate.summary import METRIC, Ahead, Interval, ahead_of, as_interval, chance, interval_of
from coordi.evaluate.wording import METRIC_WORDS, Task, scorer_words


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its 95% interval; the interval is None where there is none."""

    value: float | None
    interval: Interval


@dataclass(frozen=True, slots=True)
class Tape:
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
    tape: Tape
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
    task: Task, name: str, figures: Mapping[str, Any], tape: Tape, colour: int, recalls: Sequence[str]
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


def _tape(task: Task, answered: Sequence[Mapping[str, Any]], guess: float) -> Tape:
    """From 0.4 for AUC, or lower in tenths if an interval asks for it; from 0 for the others."""
    ends = [(interval_of(task, figures) or (figures[METRIC[task]],))[0] for figures in answered]
    lowest = min(ends, default=0.0)
    low = min(0.4, max(int(lowest * 10), 0) / 10) if task == "compatibility" else 0.0
    tenths = range(round(low * 10), 11, 1 if low >= 0.3 else 2)
    unplaced = Tape(low, (), 0.0)
    ticks = tuple((f"{tenth / 10:.1f}", unplaced.at(tenth / 10)) for tenth in tenths)
    return Tape(low, ticks, unplaced.at(guess))
