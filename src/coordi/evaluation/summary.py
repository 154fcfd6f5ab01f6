"""The summary of a report: one row per scorer, one column per protocol, in words and as numbers are printed."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal, NamedTuple

from coordi.evaluation.metrics import FEW_OUTFITS
from coordi.evaluation.question_sets import TASKS, Task
from coordi.evaluation.task_metrics import METRIC

TASK_WORDS: Mapping[Task, str] = {
    "compatibility": "Compatibility",
    "fill_in_the_blank": "Fill in the blank",
    "retrieval": "Retrieval",
}
METRIC_WORDS: Mapping[str, str] = {"auc": "AUC", "accuracy": "accuracy", "f1": "F1", "mrr": "MRR"}
LEVEL = 0.05
"""Differences with a Holm-adjusted p-value below this are significant."""


class ScorerWords(NamedTuple):
    """Label of a scorer in tables, what it uses in a few words, and whether its scores are from a file."""

    label: str
    note: str
    from_file: bool = False


_TEXT = resources.files("coordi.evaluation").joinpath("words.csv").read_text(encoding="utf-8")
_WORDS = list(csv.reader(_TEXT.splitlines()))[1:]
PROTOCOL_WORDS = {name: (title, meaning) for kind, name, title, meaning in _WORDS if kind == "protocol"}
SCORER_WORDS = {name: ScorerWords(label, note) for kind, name, label, note in _WORDS if kind == "scorer"}
RIVALS = (
    "category-pairs", "title-cosine", "sentence-cosine", "encoder-similarity", "set-transformer", "frozen-probe",
    "without-language-model",
)  # fmt: skip
"""Baselines that a useful model beats. Chance, size, order and popularity only show leaks."""


def protocol_words(name: str) -> tuple[str, str]:
    """A protocol's title and meaning; an unknown ``release-`` one keeps its own name."""
    if name not in PROTOCOL_WORDS and name.startswith("release-"):
        title, meaning = PROTOCOL_WORDS["release"]
        return f"{title} ({name.removeprefix('release-')})", meaning
    return PROTOCOL_WORDS.get(name, (name, ""))


def scorer_words(name: str) -> ScorerWords:
    """A scorer's words; an unknown scorer came from a file and keeps its name."""
    return SCORER_WORDS.get(name, ScorerWords(name, "scores from a file", from_file=True))


def format_figure(value: float | None) -> str:
    """A share or score with three decimals; an en dash if there is none."""
    return "–" if value is None else f"{value:.3f}"


def format_signed(value: float) -> str:
    """A difference with three decimals and its sign; 0 has none."""
    text = f"{value:+.3f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def format_p_value(value: float | None) -> str:
    """A p-value with three decimals, ``< 0.001``, or an en dash if there is none."""
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def lower_first(text: str) -> str:
    """The text with its first letter in lower case, for the middle of a sentence; a word in capitals stays."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def subject_words(name: str, start: bool = True) -> str:
    """A scorer at the start of a sentence or within one: ``The fine-tuned model``; imported scores by their name."""
    words = scorer_words(name)
    article = "The" if start else "the"
    return words.label if words.from_file else f"{article} {lower_first(words.label)}"


def task_title(task: Task, protocol: str) -> str:
    """A task under a protocol: ``Compatibility, random items``."""
    return f"{TASK_WORDS[task]}, {protocol_words(protocol)[0].lower()}"


Mark = Literal["", "ahead", "behind"]
Interval = tuple[float, float] | None
"""A 95% interval; None where too few resamples have a value."""


@dataclass(frozen=True, slots=True)
class Column:
    """One task under one protocol; ``among`` is 0 for compatibility, ``smallest`` the least difference that shows."""

    task: Task
    protocol: str
    n: int
    among: int
    chance: float
    smallest: float | None

    @property
    def title(self) -> str:
        """The protocol's title with the numbers of questions and candidates."""
        candidates = f", of {self.among} candidates" if self.among else ""
        return f"{protocol_words(self.protocol)[0]} (n = {self.n:,}{candidates})"


def mark_of(ahead: float, p_holm: float | None) -> Mark:
    """``ahead`` or ``behind`` if the difference is significant after Holm's correction, else empty."""
    if p_holm is None or p_holm >= LEVEL:
        return ""
    return "ahead" if ahead > 0 else "behind"


class Cell(NamedTuple):
    """A scorer's value in a column; ``mark`` says whether the model under test is significantly ahead of it."""

    value: float
    interval: Interval
    is_best: bool
    mark: Mark


class Row(NamedTuple):
    """A scorer's cells, one per column; None where it gave no answers."""

    scorer: str
    cells: tuple[Cell | None, ...]


class Summary(NamedTuple):
    """Columns by task, then in the protocols' order; the first row is the model under test."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def select(self, numbers: Sequence[int]) -> Summary:
        """Some of the columns, and the rows that have a value in any of them."""
        rows = (Row(row.scorer, tuple(row.cells[n] for n in numbers)) for row in self.rows)
        return Summary(tuple(self.columns[n] for n in numbers), tuple(row for row in rows if any(row.cells)))

    def by_task(self) -> dict[Task, Summary]:
        """The columns of each task that has any, and the rows that answered any of it."""
        numbers = {task: [n for n, column in enumerate(self.columns) if column.task == task] for task in TASKS}
        return {task: self.select(chosen) for task, chosen in numbers.items() if chosen}

    @property
    def has_marks(self) -> bool:
        """Whether any scorer differs significantly from the model under test."""
        return any(cell is not None and cell.mark for row in self.rows for cell in row.cells)


def summarise(tasks: Mapping[str, Any], under_test: str) -> Summary:
    """The summary of a report's ``tasks``.

    Rows are the model under test, its language model, ``base``, then the others from the strongest down: by their mean
    over the AUC columns they answered, else over the other columns; ties by name. Best in a column is whoever reached
    its highest value to three decimals, as they are printed.
    """
    parts = task_figures(tasks)
    columns = tuple(_column(task, protocol, figures) for task, protocol, figures in parts)
    cells = {under_test: [_cell(task, figures, figures) for task, _, figures in parts]}
    for name in dict.fromkeys(name for _, _, figures in parts for name in figures["baselines"]):
        cells[name] = [_cell(task, figures, figures["baselines"].get(name)) for task, _, figures in parts]
    others = sorted((name for name in cells if name != under_test), key=lambda name: _rank(name, columns, cells[name]))
    return Summary(columns, tuple(Row(name, tuple(cells[name])) for name in (under_test, *others)))


def task_figures(tasks: Mapping[str, Any]) -> list[tuple[Task, str, Mapping[str, Any]]]:
    """Task, protocol and figures of everything that has a value in a report's ``tasks``."""
    return [
        (task, protocol, figures)
        for task in TASKS
        for protocol, figures in tasks.get(task, {}).items()
        if figures.get(METRIC[task]) is not None
    ]


def _column(task: Task, protocol: str, figures: Mapping[str, Any]) -> Column:
    among = figures.get("choices", figures.get("pool", 0))
    smallest = figures.get("smallest_difference")
    return Column(task, protocol, figures["n"], among, chance(task, among), smallest)


def chance(task: Task, among: int) -> float:
    """What guessing reaches: half of the pairs, one in ``among`` choices, or the mean of 1/rank over a pool."""
    if task == "compatibility":
        return 0.5
    if task == "fill_in_the_blank":
        return 1 / among
    return sum(1 / rank for rank in range(1, among + 1)) / among


def interval_of(task: Task, figures: Mapping[str, Any]) -> Interval:
    """The interval of a task's own metric: ``ci95`` is by metric, except for fill-in-the-blank, which has one."""
    return as_interval(figures["ci95"] if task == "fill_in_the_blank" else figures["ci95"][METRIC[task]])


def as_interval(ends: Sequence[float] | None) -> Interval:
    """An interval from its JSON list."""
    return None if ends is None else (ends[0], ends[1])


def _cell(task: Task, column: Mapping[str, Any], figures: Mapping[str, Any] | None) -> Cell | None:
    if figures is None or figures.get(METRIC[task]) is None:
        return None
    values = [scorer.get(METRIC[task]) for scorer in (column, *column["baselines"].values())]
    best = max(round(value, 3) for value in values if value is not None)
    value = figures[METRIC[task]]
    ahead = figures.get("model_ahead")
    mark = mark_of(ahead[METRIC[task]], ahead.get("p_holm")) if ahead else ""
    return Cell(value, interval_of(task, figures), round(value, 3) == best, mark)


def _rank(name: str, columns: Sequence[Column], cells: Sequence[Cell | None]) -> tuple[bool, bool, float, str]:
    reached = [(column, cell.value) for column, cell in zip(columns, cells, strict=True) if cell is not None]
    aucs = [value for column, value in reached if column.task == "compatibility"]
    strength = aucs or [value for _, value in reached] or [0.0]
    return name not in ("language-model", "base"), not aucs, -sum(strength) / len(strength), name


def conclude(summary: Summary, outfits: int) -> str:
    """A sentence on how the model under test compares with ``RIVALS``, column by column.

    It is ahead in a column if it is significantly ahead of every rival there, behind if it is significantly behind at
    least one. Columns aren't corrected for each other. There is no conclusion on fewer than ``FEW_OUTFITS`` test
    outfits, nor for columns with fewer questions: their intervals are too narrow.
    """
    subject = subject_words(summary.rows[0].scorer)
    rivals = {row.scorer: row.cells for row in summary.rows[1:] if row.scorer in RIVALS}
    marks: dict[int, set[str]] = {}
    for n, column in enumerate(summary.columns):
        cells = [cells[n] for cells in rivals.values()]
        if column.n >= FEW_OUTFITS and any(cells):
            marks[n] = {cell.mark for cell in cells if cell is not None}
    if not rivals:
        return f"{subject} was measured without baselines to compare it with; set evaluate.baselines=all."
    if outfits < FEW_OUTFITS or not marks:
        return f"The test split is too small for a conclusion: measure on {FEW_OUTFITS} outfits and questions or more."
    ahead = [n for n, column_marks in marks.items() if column_marks == {"ahead"}]
    behind = [n for n, column_marks in marks.items() if "behind" in column_marks]
    listed = "; ".join(lower_first(task_title(summary.columns[n].task, summary.columns[n].protocol)) for n in ahead)
    sentence = (
        f"{subject} is significantly ahead of every plain baseline in {len(ahead)} of {len(marks)} columns"
        f"{f' ({listed})' if ahead else ''}, behind at least one in {len(behind)}, and not distinguishable from the "
        f"best in {len(marks) - len(ahead) - len(behind)}."
    )
    absent = [lower_first(scorer_words(name).label) for name in RIVALS[:-1] if name not in rivals]
    return sentence + (f" Not measured: {', '.join(absent)}." if absent else "")
