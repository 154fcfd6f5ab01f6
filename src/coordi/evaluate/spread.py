"""How much a figure moves when questions are drawn, and trained baselines fitted, with another seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from coordi.evaluate.summary import METRIC
from coordi.evaluate.wording import METRIC_WORDS, TASK_WORDS, TASKS, protocol_words, scorer_words


@dataclass(frozen=True, slots=True)
class SpreadRow:
    """One scorer over all seeds; ``places`` are its figures in percent of the tape from ``low`` to ``high``."""

    label: str
    colour: int
    values: tuple[float, ...]
    places: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds; None for a single one."""
        return stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True, slots=True)
class SpreadTable:
    """One task under one protocol; ``low`` and ``high`` are the tape's ends."""

    title: str
    metric: str
    low: float
    high: float
    rows: tuple[SpreadRow, ...]


def spread_tables(seeds: Mapping[str, Any] | None, colours: Mapping[str, int]) -> tuple[SpreadTable, ...]:
    """The tables of ``seeds`` in ``report.json``; none if there was one seed.

    Args:
        seeds: As in ``report.json``.
        colours: Rows of the summary by scorer; the order of the rows here.
    """
    if seeds is None:
        return ()
    tables = []
    for task in TASKS:
        for protocol, scorers in seeds.get(task, {}).items():
            found = {name: tuple(map(float, one[METRIC[task]])) for name, one in scorers.items() if one[METRIC[task]]}
            if found:
                title = f"{TASK_WORDS[task]}, {protocol_words(protocol)[0].lower()}"
                tables.append(_table(title, METRIC_WORDS[METRIC[task]], found, colours))
    return tuple(tables)


def _table(title: str, metric: str, found: Mapping[str, tuple[float, ...]], colours: Mapping[str, int]) -> SpreadTable:
    everything = [value for values in found.values() for value in values]
    low, high = int(min(everything) * 10) / 10, min(1.0, int(max(everything) * 10 + 1) / 10)
    if high <= low:
        low, high = max(0.0, low - 0.1), max(high, 0.1)
    rows = tuple(
        SpreadRow(
            scorer_words(name).label,
            colours.get(name, len(colours)),
            found[name],
            tuple(round(100 * (value - low) / (high - low), 2) for value in found[name]),
        )
        for name in sorted(found, key=lambda name: (colours.get(name, len(colours)), name))
    )
    return SpreadTable(title, metric, low, high, rows)
