"""Whether the model under test is worth using, in words for somebody who has a shop to run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from coordi.evaluate.figures import FEW_OUTFITS
from coordi.evaluate.summary import Ahead, Cell, Column, Summary
from coordi.evaluate.wording import TASK_WORDS, lower_first, scorer_words

Answer = Literal["yes", "partly", "no", "not shown", "alone"]
Standing = Literal["ahead", "behind", "even", "too few"]

CATEGORIES = "category-pairs"
LOOKING = (
    "title-cosine",
    "sentence-cosine",
    "encoder-similarity",
    "set-transformer",
    "frozen-probe",
    "without-language-model",
)
"""Baselines that look at more of an item than its category."""
_REST = LOOKING[-1]
RIVALS = (CATEGORIES, *LOOKING)
"""What a model must beat. Chance, size, order and popularity are alarms for leaks: to beat them shows nothing."""


@dataclass(frozen=True, slots=True)
class Against:
    """The model under test against the rivals of one column.

    Attributes:
        model: What the model reached.
        rival: The rival that reached most.
        reached: What that one reached.
        ahead: The paired difference to it.
        standing: Against all rivals, as the Holm-adjusted p-values tell: ``ahead`` of each; ``behind`` at least one;
            else ``even``, which is "not told apart". ``too few`` if there are fewer than ``FEW_OUTFITS`` outfits or
            questions, whatever the p-values.
        held_by: The rival that keeps it from being ahead, the strongest if several do; None if none does.
    """

    column: Column
    model: Cell
    rival: str
    reached: float
    ahead: Ahead
    standing: Standing
    held_by: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, its headline, what follows from it, and the comparisons that it rests on."""

    answer: Answer
    headline: str
    advice: str
    against: tuple[Against, ...]


def judge(summary: Summary, subject: str, outfits: int) -> Verdict:
    """Compare the model under test with each of ``RIVALS`` in each column.

    "Ahead" in a column means significantly ahead of every rival there, each by its own paired test after Holm's
    correction over the scorers of that column. To be ahead of the rival that reached most is not enough: a weaker one
    may be measured less surely. Columns aren't corrected for each other, so "partly" for one of many columns may be
    luck; "yes" needs all of them, which luck doesn't help.

    There is no answer unless category-pairs and one of ``LOOKING`` were measured in every column, nor on fewer than
    ``FEW_OUTFITS`` test outfits, whose intervals and p-values are too bold.

    Args:
        summary: Of the report.
        subject: What the model is called at the start of a sentence.
        outfits: Test outfits.
    """
    names = [row.scorer for row in summary.rows[1:] if row.scorer in RIVALS]
    found = (_against(summary, place, outfits) for place in range(len(summary.columns)))
    against = tuple(one for one in found if one is not None)
    if not against:
        return Verdict(
            "alone",
            "Nobody can say yet: it was measured with nothing beside it that is worth beating.",
            "Measure it again with baselines (evaluate.baselines=all); a lead over guessing alone says little.",
            against,
        )
    absent = _absent(summary)
    if absent:
        headline = f"Not shown: {absent} would have to stand beside it, and a lead over less says little."
        advice = "Measure it again with all baselines (evaluate.baselines=all)."
        return Verdict("not shown", headline, f"{advice} {_measured(summary, names, against)}", against)
    answer, headline, advice = _answer(subject, outfits, against)
    return Verdict(answer, headline, f"{advice} {_measured(summary, names, against)}", against)


def _against(summary: Summary, place: int, outfits: int) -> Against | None:
    model, *others = (row.cells[place] for row in summary.rows)
    names = [row.scorer for row in summary.rows[1:]]
    rivals = [
        (name, cell, cell.ahead)
        for name, cell in zip(names, others, strict=True)
        if name in RIVALS and cell is not None and cell.ahead is not None
    ]
    if model is None or not rivals:
        return None
    rivals.sort(key=lambda one: -one[1].value)
    behind = [name for name, _, ahead in rivals if ahead.mark == "behind"]
    holding = behind or [name for name, _, ahead in rivals if ahead.mark != "ahead"]
    standing: Standing = "behind" if behind else "even" if holding else "ahead"
    column = summary.columns[place]
    if min(outfits, column.n) < FEW_OUTFITS:
        standing = "too few"
    name, cell, ahead = rivals[0]
    return Against(column, model, name, cell.value, ahead, standing, holding[0] if holding else None)


def _absent(summary: Summary) -> str:
    """What some column lacks to rest an answer on, in words; empty if none does."""
    lacking = set()
    for place, _ in enumerate(summary.columns):
        there = {row.scorer for row in summary.rows if row.cells[place] is not None}
        lacking |= set() if CATEGORIES in there else {"category pairs"}
        lacking |= set() if there & set(LOOKING) else {"a baseline that looks at titles or photos"}
    where = "" if len(summary.columns) == 1 else " in every column"
    return " and ".join(sorted(lacking, reverse=True)) + where if lacking else ""


def _answer(subject: str, outfits: int, against: Sequence[Against]) -> tuple[Answer, str, str]:
    name = lower_first(subject)
    ahead, behind, few = ([one for one in against if one.standing == kind] for kind in ("ahead", "behind", "too few"))
    cheaper = "needs no fine-tuning" if _probes(against) else "needs no language model and no graphics card"
    if len(few) == len(against):
        headline = f"Not shown: {_too_few(outfits, few)} for an answer."
        return "not shown", headline, f"Measure on {FEW_OUTFITS} or more; intervals of fewer are too narrow."
    if len(ahead) == len(against):
        headline = f"Yes: {name} is ahead of every plain baseline that was measured, in {_all(against)}."
        return "yes", headline, "It earns the time that a language model takes."
    if ahead:
        rest = f", and behind one for {_listed(behind)}" if behind else ", and not told apart from the best elsewhere"
        headline = f"In part: {name} is ahead of every plain baseline that was measured for {_listed(ahead)}{rest}."
        return "partly", headline, "Use it for what it is ahead in; elsewhere the baseline is cheaper."
    if behind:
        headline = (
            f"No: {name} is ahead of every plain baseline in nothing that was measured, and behind one for "
            f"{_listed(behind)}."
        )
        return "no", headline, f"Use the baseline: it {cheaper}."
    advice = "Until it is shown, the baseline is the cheaper choice; more test outfits would tell."
    return "not shown", _unseen(name, outfits, against), advice


def _unseen(name: str, outfits: int, against: Sequence[Against]) -> str:
    headline = f"Not shown: {name} is ahead of every plain baseline in nothing that was measured."
    smallest = [one.ahead.smallest for one in against if one.standing == "even" and one.ahead.smallest is not None]
    if not smallest:
        return headline
    return f"{headline} With {outfits:,} test outfits, differences below about {min(smallest):.2f} mostly go unseen."


def _too_few(outfits: int, few: Sequence[Against]) -> str:
    if outfits < FEW_OUTFITS:
        return f"{outfits} test {'outfit is' if outfits == 1 else 'outfits are'} too few"
    most = max(one.column.n for one in few)
    return f"{most} {'question is' if most == 1 else 'questions are'} too few"


def _measured(summary: Summary, names: Sequence[str], against: Sequence[Against]) -> str:
    """Which rival was the strongest, which weren't measured at all, and where too little was asked to say."""
    strongest = dict.fromkeys(one.rival for one in against)
    said = [
        f"The strongest plain baseline measured{', by what was asked' * (len(strongest) > 1)}: {_named(strongest)}."
    ]
    there = {summary.rows[0].scorer, *names, _REST}  # the rest of a joined score is nothing where nothing is joined
    left_out = [name for name in RIVALS if name not in there]
    if left_out:
        said.append(f"Not measured beside it: {_named(left_out)}.")
    few = [one for one in against if one.standing == "too few"]
    if 0 < len(few) < len(against):
        said.append(f"Fewer than {FEW_OUTFITS} questions, so no answer, for {_listed(few)}.")
    return " ".join(said)


def _probes(against: Iterable[Against]) -> bool:
    return any("frozen-probe" in (one.rival, one.held_by) for one in against)


def _named(scorers: Iterable[str]) -> str:
    """Scorers by their labels: ``category pairs, title likeness and frozen probe``."""
    return _joined([lower_first(scorer_words(name).label) for name in scorers])


def _all(against: Sequence[Against]) -> str:
    return "the one thing measured" if len(against) == 1 else f"all {len(against)} things measured"


def _listed(against: Sequence[Against]) -> str:
    """Protocols by task: ``compatibility (random items, same categories) and retrieval (same categories)``."""
    by_task: dict[str, list[str]] = {}
    for one in against:
        by_task.setdefault(TASK_WORDS[one.column.task], []).append(lower_first(one.column.title))
    return _joined([f"{lower_first(task)} ({', '.join(titles)})" for task, titles in by_task.items()])


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
