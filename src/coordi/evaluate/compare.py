"""Two runs side by side: what differs in what was asked, and how far one model is ahead of the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from coordi.errors import EvaluationError
from coordi.evaluate.findings import flat_settings
from coordi.evaluate.pairing import Difference, ScoredRun
from coordi.evaluate.recorded import RecordedRun
from coordi.evaluate.significance import holm
from coordi.evaluate.summary import LEVEL, METRIC, Interval, interval_of
from coordi.evaluate.wording import TASKS, Task, protocol_words


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One scorer of each run, on one task under one protocol.

    Attributes:
        one: Its name in the first run.
        other: Its name in the second run.
        values: What each reached.
        intervals: Of each, from its own report.
        ahead: How far the second is ahead of the first; below 0 it is behind.
        paired: The paired difference on the same questions; None where the questions differ.
        p_holm: Holm-adjusted over the rows of its table; None without a p-value.
    """

    task: Task
    protocol: str
    metric: str
    one: str
    other: str
    values: tuple[float, float]
    intervals: tuple[Interval, Interval]
    ahead: float
    paired: Difference | None
    p_holm: float | None = None

    @property
    def standing(self) -> str:
        """What can be said: ``ahead``, ``behind``, ``not told apart``, or ``not comparable``."""
        if self.paired is None:
            return "not comparable"
        if self.p_holm is None or self.p_holm >= LEVEL:
            return "not told apart"
        return "ahead" if self.ahead > 0 else "behind"


@dataclass(frozen=True, slots=True)
class Differing:
    """Something that the runs don't share: its name, and what each has; None where one has none."""

    name: str
    one: str | None
    other: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs.

    Attributes:
        one: The first.
        other: The second, which is ahead or behind.
        models: The models under test.
        scorers: Other scorers that both have by the same name.
        refused: Why questions aren't the same, in whole sentences by task and protocol; empty if all are.
        data: What differs of the data.
        left_out: Tasks and protocols that only one of them has, in words.
        settings: What differs of settings and of the models' facts.
        versions: What differs of versions.
    """

    one: RecordedRun
    other: RecordedRun
    models: tuple[ComparedRow, ...]
    scorers: tuple[ComparedRow, ...]
    refused: tuple[str, ...]
    data: tuple[Differing, ...]
    left_out: tuple[str, ...]
    settings: tuple[Differing, ...]
    versions: tuple[Differing, ...]

    def as_json(self) -> dict[str, Any]:
        """What ``coordi report compare --json`` prints."""
        return {
            "one": str(self.one.place),
            "other": str(self.other.place),
            "models": [_row_json(row) for row in self.models],
            "scorers": [_row_json(row) for row in self.scorers],
            "not_comparable": list(self.refused),
            "left_out": list(self.left_out),
            "differing": {
                name: [asdict(one) for one in found]
                for name, found in (("data", self.data), ("settings", self.settings), ("versions", self.versions))
            },
        }


def compare_runs(one: RecordedRun, other: RecordedRun) -> Comparison:
    """Compare the models under test of two runs, and the other scorers that both have.

    Where both asked the same questions, differences are paired: outfits are drawn again for both at once, with the
    first run's seed and the larger number of resamples. Where they didn't, figures stand side by side without a test.

    Raises:
        EvaluationError: If they share no task under any protocol.
        ArtifactError: If kept scores can't be read, or don't hold what the report says.
    """
    places = [place for place in _places(one.report) if place in _places(other.report)]
    if not places:
        raise EvaluationError(
            f"{one.place} and {other.place} have no protocol in common: {_told(one.report)} against "
            f"{_told(other.report)}; measure both under the same protocols"
        )
    refused = {place: reason for place in places if (reason := _refusal(one, other, *place))}
    scored = None
    if len(refused) < len(places):
        scored = ScoredRun.read(one), ScoredRun.read(other)
    models, scorers = [], []
    for place in places:
        pairable = None if place in refused else scored
        models.append(_row(one, other, place, (one.under_test, other.under_test), pairable))
        tested = {one.under_test, other.under_test}
        shared = [name for name in _names(one, place) if name in _names(other, place) and name not in tested]
        scorers += [_row(one, other, place, (name, name), pairable) for name in shared]
    return Comparison(
        one=one,
        other=other,
        models=_corrected(models),
        scorers=_corrected(scorers),
        refused=tuple(refused.values()),
        data=_differing(_data_facts(one), _data_facts(other)),
        left_out=_left_out(one, other),
        settings=_differing(_settings(one), _settings(other)),
        versions=_differing(one.report["versions"], other.report["versions"]),
    )


Place = tuple[Task, str]


def _places(report: Mapping[str, Any]) -> list[Place]:
    tasks = report["tasks"]
    return [
        (task, protocol)
        for task in TASKS
        for protocol, figures in tasks.get(task, {}).items()
        if figures.get(METRIC[task]) is not None
    ]


def _told(report: Mapping[str, Any]) -> str:
    return ", ".join(dict.fromkeys(protocol for _, protocol in _places(report))) or "none"


def place_title(task: str, protocol: str) -> str:
    """A task under a protocol, in words: ``compatibility, random items``."""
    return f"{task.replace('_', ' ')}, {protocol_words(protocol)[0].lower()}"


def _names(run: RecordedRun, place: Place) -> list[str]:
    task, protocol = place
    return [run.under_test, *run.report["tasks"][task][protocol]["baselines"]]


def _refusal(one: RecordedRun, other: RecordedRun, task: Task, protocol: str) -> str | None:
    """Why the two can't be paired, as a sentence; None if they can."""
    title = place_title(task, protocol)
    digests = [run.report["questions"].get(task, {}).get(protocol) for run in (one, other)]
    if digests[0] is None or digests[0] != digests[1]:
        return f"{title[:1].upper()}{title[1:]}: the questions differ ({_reason(one, other)}), so there is no test."
    absent = next((run for run in (one, other) if run.scores is None), None)
    if absent is not None:
        return f"{title[:1].upper()}{title[1:]}: {absent.name} has no scores.parquet beside it, so there is no test."
    return None


def _reason(one: RecordedRun, other: RecordedRun) -> str:
    first, second = one.report["data"], other.report["data"]
    if first["name"] != second["name"]:
        return f"data '{first['name']}' and '{second['name']}'"
    if first["splits"] != second["splits"] or first["funnel"] != second["funnel"]:
        return f"other outfits of '{first['name']}'"
    if one.seed != other.seed:
        return f"seeds {one.seed} and {other.seed}"
    counts = [dict(flat_settings(run.report["settings"])) for run in (one, other)]
    keys = ("evaluate.choices", "evaluate.retrieval_pool", "evaluate.retrieval_queries")
    told = [
        f"{key} {counts[0].get(key)} and {counts[1].get(key)}"
        for key in keys
        if counts[0].get(key) != counts[1].get(key)
    ]
    return "; ".join(told) or "other items or another version of coordi"


def _row(
    one: RecordedRun,
    other: RecordedRun,
    place: Place,
    names: tuple[str, str],
    scored: tuple[ScoredRun, ScoredRun] | None,
) -> ComparedRow:
    task, protocol = place
    first, second = (_figures_of(run, place, name) for run, name in zip((one, other), names, strict=True))
    values = (float(first[METRIC[task]]), float(second[METRIC[task]]))
    paired = None if scored is None else scored[0].difference(scored[1], task, protocol, names)
    return ComparedRow(
        task, protocol, METRIC[task], *names, values,
        (interval_of(task, first), interval_of(task, second)), values[1] - values[0], paired,
    )  # fmt: skip


def _figures_of(run: RecordedRun, place: Place, name: str) -> Mapping[str, Any]:
    figures: Mapping[str, Any] = run.report["tasks"][place[0]][place[1]]
    if name == run.under_test:
        return figures
    found: Mapping[str, Any] = figures["baselines"][name]
    return found


def _corrected(rows: Sequence[ComparedRow]) -> tuple[ComparedRow, ...]:
    tested = [row.paired.p_value for row in rows if row.paired is not None and row.paired.p_value is not None]
    adjusted = iter(holm(tested))
    return tuple(
        replace(row, p_holm=next(adjusted)) if row.paired is not None and row.paired.p_value is not None else row
        for row in rows
    )


def _left_out(one: RecordedRun, other: RecordedRun) -> tuple[str, ...]:
    found = []
    for run, rival in ((one, other), (other, one)):
        theirs = _places(rival.report)
        found += [f"{place_title(*place)}: only in {run.name}" for place in _places(run.report) if place not in theirs]
    return tuple(found)


def _data_facts(run: RecordedRun) -> dict[str, str]:
    data = run.report["data"]
    facts = {name: str(data[name]) for name in ("name", "layout", "text_only", "items", "photos")}
    facts |= dict(flat_settings(data["splits"], "splits."))
    inputs: Mapping[str, str] = run.manifest.get("inputs", {})
    return facts | {f"SHA-256 of {name}": digest for name, digest in inputs.items()}


def _settings(run: RecordedRun) -> dict[str, str]:
    facts = {f"model under test: {name.replace('_', ' ')}": str(value) for name, value in run.report["model"].items()}
    return facts | dict(flat_settings(run.report["settings"]))


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[Differing, ...]:
    return tuple(
        Differing(name, one.get(name), other.get(name))
        for name in dict.fromkeys((*one, *other))
        if one.get(name) != other.get(name)
    )


def _row_json(row: ComparedRow) -> dict[str, Any]:
    paired = row.paired
    return {
        "task": row.task,
        "protocol": row.protocol,
        "metric": row.metric,
        "scorers": [row.one, row.other],
        "values": list(row.values),
        "ci95": [None if interval is None else list(interval) for interval in row.intervals],
        "ahead": row.ahead,
        "same_questions": paired is not None,
        "ahead_ci95": None if paired is None or paired.interval is None else list(paired.interval),
        "p_value": None if paired is None else paired.p_value,
        "p_holm": row.p_holm,
        "smallest_difference": None if paired is None else paired.smallest,
        "standing": row.standing,
    }
