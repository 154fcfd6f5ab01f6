"""The summary of a report: one row per scorer, one column per protocol, and what can be concluded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, stdev
from typing import Any, Literal

from coordi.evaluate.task_metrics import FEW_OUTFITS

Task = Literal["compatibility", "fill_in_the_blank", "retrieval"]
TASKS: tuple[Task, ...] = ("compatibility", "fill_in_the_blank", "retrieval")

Kind = Literal["language model", "baseline", "file"]


@dataclass(frozen=True, slots=True)
class ScorerWords:
    """What a scorer is called and what it sees.

    Attributes:
        label: As a table's row.
        note: In a few words; a baseline's says what it sees.
        kind: ``baseline`` needs no language model to answer; ``file`` came as somebody's scores.
    """

    label: str
    note: str
    kind: Kind = "baseline"


PROTOCOL_WORDS: Mapping[str, tuple[str, str]] = {
    "random": ("Random items", "made-up outfits take their items from anywhere, so categories alone can tell"),
    "same-category": (
        "Same categories",
        "made-up outfits swap each item for another of the same category, so only style tells",
    ),
    "one-swapped": ("One item swapped", "made-up outfits differ from a real one in a single item of the same category"),
    "pairs": ("Pairs of items", "two items of an outfit, or one of them beside a stranger of the same category"),
    "release": ("The release’s own questions", "the question files that came with the data"),
    "release-resampled": (
        "The release’s own questions, resampled",
        "the release’s question files whose made-up outfits keep the categories",
    ),
}
SCORER_WORDS: Mapping[str, ScorerWords] = {
    "fine-tuned": ScorerWords(
        "Fine-tuned model", "the language model with its adapter, and what it is joined with", "language model"
    ),
    "language-model": ScorerWords(
        "Language model alone", "the fine-tuned model, joined with nothing", "language model"
    ),
    "without-language-model": ScorerWords(
        "Without the language model", "what the fine-tuned model is joined with, weighed on the same questions"
    ),
    "base": ScorerWords("Base model", "the same language model before fine-tuning", "language model"),
    "frozen-probe": ScorerWords("Frozen probe", "logistic regression on the base model’s states", "language model"),
    "chance": ScorerWords("Chance", "draws a number for each outfit"),
    "size": ScorerWords("Number of items", "sees how many items there are, nothing else"),
    "order": ScorerWords("Order of items", "sees the order of the categories, nothing else"),
    "popularity": ScorerWords("Popularity", "sees how often an item and its kind are worn in training outfits"),
    "category-pairs": ScorerWords("Category pairs", "sees which categories meet, no title and no photo"),
    "title-cosine": ScorerWords("Title likeness", "sees how many words the titles and kinds of items share"),
    "sentence-cosine": ScorerWords(
        "Text likeness",
        "sees how alike a sentence encoder finds what a prompt says of the items (category, title, what was seen in "
        "the photo), less what is usual for their category in training outfits",
    ),
    "encoder-similarity": ScorerWords(
        "Encoder likeness",
        "sees how alike the image encoder finds the photos, or the titles where there is no photo, less what is usual "
        "for their category in training outfits",
    ),
    "set-transformer": ScorerWords("Set transformer", "a small network trained on frozen vectors of the items"),
}
TASK_WORDS: Mapping[Task, str] = {
    "compatibility": "Compatibility",
    "fill_in_the_blank": "Fill in the blank",
    "retrieval": "Retrieval",
}
METRIC_WORDS: Mapping[str, str] = {"auc": "AUC", "accuracy": "accuracy", "f1": "F1", "mrr": "MRR"}


def protocol_words(name: str) -> tuple[str, str]:
    """A protocol's title and meaning; a ``release-`` one that isn't known is told by its own name."""
    if name not in PROTOCOL_WORDS and name.startswith("release-"):
        title, meaning = PROTOCOL_WORDS["release"]
        return f"{title} ({name.removeprefix('release-')})", meaning
    return PROTOCOL_WORDS.get(name, (name, ""))


def scorer_words(name: str) -> ScorerWords:
    """A scorer's words; one that coordi doesn't know came from a file and keeps its name."""
    return SCORER_WORDS.get(name, ScorerWords(name, "scores from a file", "file"))


def format_figure(value: float | None) -> str:
    """A share or score with three decimals; an en dash if there is none."""
    return "–" if value is None else f"{value:.3f}"


def format_signed(value: float) -> str:
    """A difference with three decimals and its sign, the minus as it is printed; nothing has none."""
    text = f"{value:+.3f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def format_p_value(value: float) -> str:
    """A p-value as journals print it: three decimals, and below a thousandth only that."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def lower_first(text: str) -> str:
    """The first letter small, for the middle of a sentence; a word in capitals stays."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def subject_words(name: str) -> str:
    """A scorer at the start of a sentence: ``The fine-tuned model``; one from a file by its name."""
    words = scorer_words(name)
    return words.label if words.kind == "file" else f"The {lower_first(words.label)}"


def place_words(where: str) -> str:
    """Where something was found, with protocols in words: ``same-category blanks`` is ``same categories, blanks``."""
    return "; ".join(_place(part.strip()) for part in where.split(","))


def _place(part: str) -> str:
    protocol, _, rest = part.partition(" ")
    title, meaning = protocol_words(protocol)
    if not meaning or (rest and rest.replace("-", "_") not in (*TASKS, "blanks")):
        return part
    return f"{lower_first(title)}, {rest.replace('-', ' ')}" if rest else lower_first(title)


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
class RivalComparison:
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
class Conclusion:
    """The answer, its headline, what follows from it, and the comparisons that it rests on."""

    answer: Answer
    headline: str
    advice: str
    against: tuple[RivalComparison, ...]


def conclude(summary: Summary, subject: str, outfits: int) -> Conclusion:
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
        return Conclusion(
            "alone",
            "Nobody can say yet: it was measured with nothing beside it that is worth beating.",
            "Measure it again with baselines (evaluate.baselines=all); a lead over guessing alone says little.",
            against,
        )
    absent = _absent(summary)
    if absent:
        headline = f"Not shown: {absent} would have to stand beside it, and a lead over less says little."
        advice = "Measure it again with all baselines (evaluate.baselines=all)."
        return Conclusion("not shown", headline, f"{advice} {_measured(summary, names, against)}", against)
    answer, headline, advice = _answer(subject, outfits, against)
    return Conclusion(answer, headline, f"{advice} {_measured(summary, names, against)}", against)


def _against(summary: Summary, place: int, outfits: int) -> RivalComparison | None:
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
    return RivalComparison(column, model, name, cell.value, ahead, standing, holding[0] if holding else None)


def _absent(summary: Summary) -> str:
    """What some column lacks to rest an answer on, in words; empty if none does."""
    lacking = set()
    for place, _ in enumerate(summary.columns):
        there = {row.scorer for row in summary.rows if row.cells[place] is not None}
        lacking |= set() if CATEGORIES in there else {"category pairs"}
        lacking |= set() if there & set(LOOKING) else {"a baseline that looks at titles or photos"}
    where = "" if len(summary.columns) == 1 else " in every column"
    return " and ".join(sorted(lacking, reverse=True)) + where if lacking else ""


def _answer(subject: str, outfits: int, against: Sequence[RivalComparison]) -> tuple[Answer, str, str]:
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


def _unseen(name: str, outfits: int, against: Sequence[RivalComparison]) -> str:
    headline = f"Not shown: {name} is ahead of every plain baseline in nothing that was measured."
    smallest = [one.ahead.smallest for one in against if one.standing == "even" and one.ahead.smallest is not None]
    if not smallest:
        return headline
    return f"{headline} With {outfits:,} test outfits, differences below about {min(smallest):.2f} mostly go unseen."


def _too_few(outfits: int, few: Sequence[RivalComparison]) -> str:
    if outfits < FEW_OUTFITS:
        return f"{outfits} test {'outfit is' if outfits == 1 else 'outfits are'} too few"
    most = max(one.column.n for one in few)
    return f"{most} {'question is' if most == 1 else 'questions are'} too few"


def _measured(summary: Summary, names: Sequence[str], against: Sequence[RivalComparison]) -> str:
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


def _probes(against: Iterable[RivalComparison]) -> bool:
    return any("frozen-probe" in (one.rival, one.held_by) for one in against)


def _named(scorers: Iterable[str]) -> str:
    """Scorers by their labels: ``category pairs, title likeness and frozen probe``."""
    return _joined([lower_first(scorer_words(name).label) for name in scorers])


def _all(against: Sequence[RivalComparison]) -> str:
    return "the one thing measured" if len(against) == 1 else f"all {len(against)} things measured"


def _listed(against: Sequence[RivalComparison]) -> str:
    """Protocols by task: ``compatibility (random items, same categories) and retrieval (same categories)``."""
    by_task: dict[str, list[str]] = {}
    for one in against:
        by_task.setdefault(TASK_WORDS[one.column.task], []).append(lower_first(one.column.title))
    return _joined([f"{lower_first(task)} ({', '.join(titles)})" for task, titles in by_task.items()])


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


MOST_COLUMNS = 6
"""So many fit the width of a page with their intervals."""
_MARKS = {"ahead": r"$^{\dagger}$", "behind": r"$^{\ddagger}$", "": ""}
_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", '"': "''",
    "`": r"\textquoteleft{}", "–": "--", "’": "'", "−": "$-$",
}  # fmt: skip
_HEAD = r"% Made by coordi. Needs \usepackage{booktabs}."
_WIDE = "% Some names aren't in Latin letters: typeset with XeLaTeX or LuaLaTeX and a font that has them."


def render_latex(report: Mapping[str, Any]) -> str:
    r"""The tables of a report, each in a ``table*`` with caption and label; needs ``booktabs`` alone.

    A single table if all columns fit a page; else compatibility comes first and the other tasks after it. A figure's
    interval stands below it.

    Args:
        report: As ``report.json`` has it.
    """
    summary = summarise(report["tasks"], report["model"]["name"])
    tables = [
        _latex_table(summary, places, number, report) for number, places in enumerate(_pages(summary.columns)) if places
    ]
    text = "\n\n".join(tables) + "\n"
    head = [_HEAD] if text.isascii() else [_HEAD, _WIDE]
    return "\n".join([*head, "", text])


def escape_latex(text: str) -> str:
    """Text as LaTeX prints it: special characters escaped, control characters and line ends made spaces."""
    flat = re.sub(r"[\x00-\x1f\x7f]+", " ", text)
    return "".join(_ESCAPES.get(letter, letter) for letter in flat)


def _pages(columns: Sequence[Column]) -> list[list[int]]:
    everything = list(range(len(columns)))
    if len(everything) <= MOST_COLUMNS:
        return [everything]
    first = [place for place in everything if columns[place].task == "compatibility"]
    rest = [place for place in everything if columns[place].task != "compatibility"]
    return [part[start : start + MOST_COLUMNS] for part in (first, rest) for start in range(0, len(part), MOST_COLUMNS)]


def _latex_table(summary: Summary, places: Sequence[int], number: int, report: Mapping[str, Any]) -> str:
    columns = [summary.columns[place] for place in places]
    rows = [(row.scorer, [row.cells[place] for place in places]) for row in summary.rows]
    label = re.sub(r"[^A-Za-z0-9]+", "-", str(report["data"]["name"])).strip("-") or "data"
    lines = [
        r"\begin{table*}[tp]",
        r"\centering\small",
        rf"\caption{{{_caption(summary, columns, report)}}}",
        rf"\label{{tab:coordi-{label}-{number + 1}}}",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        *_heads(columns),
        r"\midrule",
        *(line for scorer, cells in rows if any(cells) for line in _row(scorer, cells)),
        r"\midrule",
        _line("Guessing", [format_figure(column.chance) for column in columns]),
        _line("Questions", [str(column.n) for column in columns]),
        _line("Smallest that shows", [escape_latex(format_figure(column.smallest)) for column in columns]),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines)


def _heads(columns: Sequence[Column]) -> list[str]:
    groups, rules, start = [], [], 2
    for task, group in groupby(columns, key=lambda column: column.task):
        span = len(list(group))
        metric = METRIC_WORDS[next(column.metric for column in columns if column.task == task)]
        title = f"{TASK_WORDS[task]}, {metric}" if span > 1 else rf"\shortstack{{{TASK_WORDS[task]},\\{metric}}}"
        groups.append(rf"\multicolumn{{{span}}}{{c}}{{{title}}}")
        rules.append(rf"\cmidrule(lr){{{start}-{start + span - 1}}}")
        start += span
    # A name takes two lines at its last hyphen, so that six columns fit a page.
    stacked = (escape_latex(column.protocol).rpartition("-") for column in columns)
    names = [rf"\shortstack[r]{{{first}-\\{last}}}" if first else last for first, _, last in stacked]
    return [_line("", groups), "".join(rules), _line("Scorer", names)]


def _row(scorer: str, cells: Sequence[Cell | None]) -> list[str]:
    values = ["--" if cell is None else _value(cell) for cell in cells]
    return [_line(escape_latex(scorer_words(scorer).label), values), _line("", [_interval(cell) for cell in cells])]


def _value(cell: Cell) -> str:
    value = rf"\textbf{{{format_figure(cell.value)}}}" if cell.is_best else format_figure(cell.value)
    return value + _MARKS[cell.mark]


def _interval(cell: Cell | None) -> str:
    if cell is None or cell.interval is None:
        return ""
    low, high = (f"{end:.3f}".removeprefix("0") for end in cell.interval)
    return rf"{{\scriptsize {low}--{high}}}"


def _line(first: str, others: Sequence[str]) -> str:
    return " & ".join([first, *others]) + r" \\"


def _caption(summary: Summary, columns: Sequence[Column], report: Mapping[str, Any]) -> str:
    data = report["data"]
    tasks = " and ".join(dict.fromkeys(lower_first(TASK_WORDS[column.task]) for column in columns))
    sentences = [
        f"{tasks[:1].upper()}{tasks[1:]} on the test split of {_measured_on(report)}.",
        "Below each figure its 95\\% percentile bootstrap interval; outfits are drawn again.",
        "Bold: highest of its column.",
    ]
    if summary.has_marks:
        model = lower_first(escape_latex(scorer_words(summary.rows[0].scorer).label))
        sentences.append(
            f"The {model} is {_MARKS['ahead']} significantly ahead of, or {_MARKS['behind']} behind, this scorer "
            "(paired bootstrap, Holm's correction, $p < 0.05$)."
        )
    told = {column.protocol: protocol_words(column.protocol)[1] for column in columns}
    sentences.append("; ".join(
        rf"\emph{{{escape_latex(name)}}}: {escape_latex(meaning)}" for name, meaning in told.items() if meaning
    ) + ".")  # fmt: skip
    pools = [column for column in columns if column.task == "retrieval"]
    sentences += [f"Retrieval among {column.among} candidates." for column in pools[:1]]
    read = sum(leak["shown"] for leak in data["leaks"])
    sentences.append(
        f"The audit found {read or 'no'} {'leak' if read == 1 else 'leaks'} that a model can read"
        + (f" ({', '.join(dict.fromkeys(leak['name'] for leak in data['leaks'] if leak['shown']))})." if read else ".")
    )
    if data["layout"] == "sample":
        sentences.append("A drawn sample: no figure is a result.")
    return " ".join(sentence for sentence in sentences if sentence != ".")


def _measured_on(report: Mapping[str, Any]) -> str:
    """The data, its outfits after cleaning, how they were split, and the seed or how many."""
    data, settings = report["data"], report["settings"]
    facts = [f"{data['splits']['test']['outfits']} outfits after cleaning"]
    if "data" in settings:
        facts.append(f"{settings['data']['split']} split")
    name = escape_latex(str(data["name"]))
    seeds = (report.get("seeds") or {}).get("seeds", [])
    seed = f", seed {settings['seed']}" if "seed" in settings else ""
    if len(seeds) > 1:
        seed += f", the first of {len(seeds)}"
    return f"{name} ({', '.join(facts)}){seed}"
