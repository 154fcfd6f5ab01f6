"""The one table over all protocols and tasks: who reached what, and who the model under test is told apart from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from coordi.evaluate.wording import TASKS, Task, protocol_words

Mark = Literal["", "ahead", "behind"]
Interval = tuple[float, float] | None
"""A 95% interval; None where too few resamples have a value."""

METRIC: Mapping[Task, str] = {"compatibility": "auc", "fill_in_the_blank": "accuracy", "retrieval": "mrr"}
"""The one metric of each task that the summary shows and the differences are tested on."""
LEVEL = 0.05
"""Holm-adjusted p-values below this tell scorers apart."""


@dataclass(frozen=True, slots=True)
class Column:
    """One task under one protocol.

    Attributes:
        metric: ``auc``, ``accuracy`` or ``mrr``.
        n: Questions.
        among: Choices or candidates of a question; 0 for compatibility.
        chance: What guessing reaches.
        smallest: Smallest difference from chance that so many questions show; None if it wasn't worked out.
    """

    task: Task
    protocol: str
    metric: str
    n: int
    among: int
    chance: float
    smallest: float | None

    @property
    def title(self) -> str:
        """The protocol's title."""
        return protocol_words(self.protocol)[0]


@dataclass(frozen=True, slots=True)
class Ahead:
    """How much the model under test is ahead of another scorer on the same questions; below 0 it is behind.

    Attributes:
        smallest: Smallest difference that so many questions show with power 0.8; None if it wasn't worked out.
    """

    by: float
    interval: Interval
    p_value: float | None
    p_holm: float | None
    smallest: float | None

    @property
    def mark(self) -> Mark:
        """``ahead`` or ``behind`` if the Holm-adjusted p-value tells them apart, else empty."""
        if self.p_holm is None or self.p_holm >= LEVEL:
            return ""
        return "ahead" if self.by > 0 else "behind"


@dataclass(frozen=True, slots=True)
class Cell:
    """What a scorer reached in a column; ``ahead`` is None for the model under test itself."""

    value: float
    interval: Interval
    is_best: bool
    ahead: Ahead | None

    @property
    def mark(self) -> Mark:
        """Whether the model under test is significantly ahead of this scorer, or behind it."""
        return self.ahead.mark if self.ahead else ""


@dataclass(frozen=True, slots=True)
class Row:
    """A scorer's cells, one per column; None where it gave no answers."""

    scorer: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """Columns by task, then in the protocols' order; the first row is the model under test."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def of_task(self, task: Task) -> Summary:
        """The columns of one task, and the rows that answered any of it."""
        places = [place for place, column in enumerate(self.columns) if column.task == task]
        rows = (Row(row.scorer, tuple(row.cells[place] for place in places)) for row in self.rows)
        return Summary(tuple(self.columns[place] for place in places), tuple(row for row in rows if any(row.cells)))

    @property
    def has_marks(self) -> bool:
        """Whether any scorer is told apart from the model under test."""
        return any(cell is not None and cell.mark for row in self.rows for cell in row.cells)


def summarise(tasks: Mapping[str, Any], under_test: str) -> Summary:
    """The summary of a report's ``tasks``.

    Rows are the model under test, then ``base``, then the others from the strongest down: by their mean over the AUC
    columns they answered, else over the other columns; equally strong ones by name. Best in a column is whoever
    reached its highest value to three decimals, as they are printed.

    Args:
        tasks: As in ``report.json``.
        under_test: What the model under test is called.
    """
    parts = [
        (task, protocol, figures)
        for task in TASKS
        for protocol, figures in tasks.get(task, {}).items()
        if figures.get(METRIC[task]) is not None
    ]
    columns = tuple(_column(task, protocol, figures) for task, protocol, figures in parts)
    found = {under_test: [_cell(task, figures, figures) for task, _, figures in parts]}
    for name in dict.fromkeys(name for _, _, figures in parts for name in figures["baselines"]):
        found[name] = [_cell(task, figures, figures["baselines"].get(name)) for task, _, figures in parts]
    others = sorted((name for name in found if name != under_test), key=lambda name: _rank(name, columns, found[name]))
    return Summary(columns, tuple(Row(name, tuple(found[name])) for name in (under_test, *others)))


def _column(task: Task, protocol: str, figures: Mapping[str, Any]) -> Column:
    among = {"compatibility": 0, "fill_in_the_blank": figures.get("choices", 0), "retrieval": figures.get("pool", 0)}
    return Column(
        task, protocol, METRIC[task], figures["n"], among[task], chance(task, among[task]),
        figures.get("smallest_difference"),
    )  # fmt: skip


def chance(task: Task, among: int) -> float:
    """What guessing reaches: half of the pairs, one in ``among`` choices, or the mean of 1/rank over a pool."""
    if task == "compatibility":
        return 0.5
    if task == "fill_in_the_blank":
        return 1 / among
    return sum(1 / rank for rank in range(1, among + 1)) / among


def interval_of(task: Task, figures: Mapping[str, Any]) -> Interval:
    """The interval of a task's own metric: ``ci95`` is by metric, but for fill-in-the-blank, which has one."""
    return as_interval(figures["ci95"] if task == "fill_in_the_blank" else figures["ci95"][METRIC[task]])


def as_interval(ends: Sequence[float] | None) -> Interval:
    """An interval as JSON has it."""
    return None if ends is None else (ends[0], ends[1])


def ahead_of(task: Task, figures: Mapping[str, Any]) -> Ahead | None:
    """What a baseline's figures say of the model under test against it; None if they say nothing."""
    ahead = figures.get("model_ahead")
    if ahead is None:
        return None
    return Ahead(
        ahead[METRIC[task]],
        as_interval(ahead["ci95"]),
        ahead.get("p_value"),
        ahead.get("p_holm"),
        ahead.get("smallest_difference"),
    )


def _cell(task: Task, column: Mapping[str, Any], figures: Mapping[str, Any] | None) -> Cell | None:
    if figures is None or figures.get(METRIC[task]) is None:
        return None
    reached = [column, *column["baselines"].values()]
    best = max(round(one[METRIC[task]], 3) for one in reached if one.get(METRIC[task]) is not None)
    value = figures[METRIC[task]]
    return Cell(value, interval_of(task, figures), round(value, 3) == best, ahead_of(task, figures))


def _rank(name: str, columns: Sequence[Column], cells: Sequence[Cell | None]) -> tuple[bool, bool, float, str]:
    reached = [(column, cell.value) for column, cell in zip(columns, cells, strict=True) if cell is not None]
    aucs = [value for column, value in reached if column.task == "compatibility"]
    strength = aucs or [value for _, value in reached] or [0.0]
    return name not in ("language-model", "base"), not aucs, -sum(strength) / len(strength), name
