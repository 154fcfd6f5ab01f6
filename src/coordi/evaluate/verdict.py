"""Whether the model under test is worth using, in words for somebody who has a shop to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from coordi.evaluate.summary import Ahead, Cell, Column, Row, Summary
from coordi.evaluate.wording import TASK_WORDS, lower_first, scorer_words

Answer = Literal["yes", "partly", "no", "not shown", "alone"]
Standing = Literal["ahead", "behind", "even"]


@dataclass(frozen=True, slots=True)
class Against:
    """The model under test against the strongest plain baseline of one column.

    Attributes:
        model: What the model reached.
        rival: The baseline.
        reached: What the baseline reached.
        ahead: The paired difference.
        standing: As the Holm-adjusted p-value tells; ``even`` is "not told apart".
    """

    column: Column
    model: Cell
    rival: str
    reached: float
    ahead: Ahead
    standing: Standing


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, its headline, what follows from it, and the comparisons that it rests on."""

    answer: Answer
    headline: str
    advice: str
    against: tuple[Against, ...]


def judge(summary: Summary, subject: str, outfits: int) -> Verdict:
    """Compare the model under test with the strongest baseline of each column that needs no language model.

    The strongest is picked on the very questions that are measured, which flatters it a little: a model that is ahead
    of it is ahead of all.

    Args:
        summary: Of the report.
        subject: What the model is called at the start of a sentence.
        outfits: Test outfits, for saying how much they can tell.
    """
    against = tuple(found for place in range(len(summary.columns)) if (found := _strongest(summary, place)))
    standings = {one.standing for one in against}
    if not against:
        return Verdict(
            "alone",
            "Nobody can say yet: it was measured with nothing beside it.",
            "Measure it again with baselines (evaluate.baselines=all); a figure alone says little.",
            against,
        )
    if standings == {"ahead"}:
        headline = f"Yes: {lower_first(subject)} is ahead of the strongest plain baseline in {_all(against)}."
        return Verdict("yes", headline, "It earns the time that a language model takes.", against)
    if "ahead" in standings:
        ahead = [one for one in against if one.standing == "ahead"]
        headline = f"In part: {lower_first(subject)} is ahead of the strongest plain baseline for {_listed(ahead)}"
        behind = [one for one in against if one.standing == "behind"]
        rest = f", and behind it for {_listed(behind)}." if behind else ", and not told apart from it elsewhere."
        return Verdict("partly", headline + rest, "Use it for what it is ahead in; elsewhere the baseline is cheaper.",
                       against)  # fmt: skip
    if "behind" in standings:
        behind = [one for one in against if one.standing == "behind"]
        headline = (
            f"No: {lower_first(subject)} is ahead of the strongest plain baseline in nothing that was measured, and "
            f"behind it for {_listed(behind)}."
        )
        return Verdict("no", headline, "Use the baseline: it needs no language model and no graphics card.", against)
    return Verdict("not shown", _unseen(subject, outfits, against),
                   "Until it is shown, the baseline is the cheaper choice; more test outfits would tell.",
                   against)  # fmt: skip


def _strongest(summary: Summary, place: int) -> Against | None:
    model, *others = summary.rows
    reached = [
        (cell.value, row, cell)
        for row in others
        if scorer_words(row.scorer).kind == "baseline" and (cell := row.cells[place]) is not None and cell.ahead
    ]
    own = model.cells[place]
    if not reached or own is None:
        return None
    value, row, cell = max(reached, key=lambda one: one[0])
    return _against(summary.columns[place], own, row, cell, value)


def _against(column: Column, model: Cell, row: Row, cell: Cell, value: float) -> Against | None:
    if cell.ahead is None:
        return None
    standing: Standing = cell.ahead.mark or "even"
    return Against(column, model, row.scorer, value, cell.ahead, standing)


def _unseen(subject: str, outfits: int, against: Sequence[Against]) -> str:
    smallest = [one.ahead.smallest for one in against if one.ahead.smallest is not None]
    headline = (
        f"Not shown: {lower_first(subject)} is not told apart from the strongest plain baseline in anything measured."
    )
    if not smallest:
        return headline
    return f"{headline} With {outfits:,} test outfits, differences below about {min(smallest):.2f} mostly go unseen."


def _all(against: Sequence[Against]) -> str:
    return "the one thing measured" if len(against) == 1 else f"all {len(against)} things measured"


def _listed(against: Sequence[Against]) -> str:
    """Protocols by task: ``compatibility (random items, same categories) and retrieval (same categories)``."""
    by_task: dict[str, list[str]] = {}
    for one in against:
        by_task.setdefault(TASK_WORDS[one.column.task], []).append(lower_first(one.column.title))
    parts = [f"{lower_first(task)} ({', '.join(titles)})" for task, titles in by_task.items()]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
