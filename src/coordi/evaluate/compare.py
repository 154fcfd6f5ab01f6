"""Two finished runs side by side, with paired tests where they answered the same questions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from coordi.artifacts import MANIFEST, is_finished, read_json
from coordi.errors import ArtifactError, EvaluationError
from coordi.evaluate.external import SCORES_PARQUET, read_scores
from coordi.evaluate.metrics import (
    Resamples,
    holm,
    paired_p_value,
    percentile_interval,
    smallest_difference,
    true_ranks,
)
from coordi.evaluate.report import FORMAT, REPORT_JSON, environment, style
from coordi.evaluate.report_data import flat_settings
from coordi.evaluate.summary import (
    LEVEL,
    METRIC,
    METRIC_WORDS,
    TASK_WORDS,
    TASKS,
    Cell,
    Column,
    Interval,
    Summary,
    Task,
    conclude,
    format_figure,
    interval_of,
    lower_first,
    place_words,
    protocol_words,
    scorer_words,
    spread_tables,
    subject_words,
    summarise,
)

_CLAIM = "run.json"
_NEEDED = ("data", "model", "settings", "tasks", "questions", "command", "versions")


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """What a run left behind.

    Attributes:
        place: The folder, as it was given.
        report: Its ``report.json``.
        manifest: Its ``manifest.json``; empty where only a report was kept.
        scores: Its ``scores.parquet``; None where only a report was kept.
    """

    place: Path
    report: Mapping[str, Any]
    manifest: Mapping[str, Any]
    scores: Path | None

    @property
    def name(self) -> str:
        """The folder's name."""
        return (self.place.parent if self.place.is_file() else self.place).resolve().name

    @property
    def under_test(self) -> str:
        """The scorer that the model under test is."""
        return str(self.report["model"]["name"])

    @property
    def seed(self) -> int | None:
        """Of its questions and intervals."""
        seed = self.report["settings"].get("seed")
        return None if seed is None else int(seed)


def read_run(place: Path) -> FinishedRun:
    """Read a run from its folder, or from a ``report.json`` that was kept.

    Raises:
        ArtifactError: If there is no such place, it isn't a run's, the run isn't finished, or another version of
            coordi made the report.
    """
    path = place if place.is_file() else place / REPORT_JSON
    folder = path.parent
    if not path.is_file():
        raise ArtifactError(_no_report(place))
    if (folder / _CLAIM).is_file() and not is_finished(folder):
        raise ArtifactError(
            f"the run in {folder} isn't finished: it has no {MANIFEST}; run its command again to end it"
        )
    report = read_json(path)
    if not isinstance(report, dict) or "tasks" not in report:
        raise ArtifactError(f"{path} isn't a report of coordi; give the folder of a run, or its {REPORT_JSON}")
    found = report.get("format", 1)
    missing = [key for key in _NEEDED if key not in report]
    if found != FORMAT or missing:
        made_by = report.get("versions", {}).get("coordi", "an unknown version")
        what = f"is of format {found}" if found != FORMAT else f"has no '{missing[0]}'"
        raise ArtifactError(
            f"{path} {what}, made by coordi {made_by}; this one reads format {FORMAT}: measure the model again with "
            "coordi evaluate"
        )
    scores = folder / SCORES_PARQUET
    manifest = read_json(folder / MANIFEST) if is_finished(folder) else {}
    return FinishedRun(place, report, manifest, scores if scores.is_file() else None)


def _no_report(place: Path) -> str:
    if not place.exists():
        return f"no run at '{place}': no such folder; give the folder that coordi run or coordi evaluate wrote"
    if (place / _CLAIM).is_file():
        return f"the run in {place} isn't finished: it has no {REPORT_JSON} yet; run its command again to end it"
    return f"'{place}' isn't a run's folder: it has no {REPORT_JSON}; give the folder of coordi run or coordi evaluate"


_STREAM = 421  # of the first run's seed
_LEAST_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference; see ``significance`` for each."""

    interval: Interval
    p_value: float | None
    smallest: float | None


@dataclass(frozen=True, slots=True)
class Answers:
    """What one scorer said to the questions of one task under one protocol, in the order of their ids.

    Attributes:
        keys: Question id, outfit, candidate and truth of each row, which two runs must share.
        outfits: The outfit of each question.
        scores: Shape ``(N,)``, or ``(N, C)`` with candidates.
        truth: Likewise.
    """

    keys: pa.Table
    outfits: tuple[str, ...]
    scores: NDArray[np.float64]
    truth: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """A run with its scores, and the draws of outfits that were made for it: one set serves all scorers."""

    run: FinishedRun
    table: pa.Table
    drawn: dict[tuple[str, ...], Resamples] = field(default_factory=dict)

    @classmethod
    def read(cls, run: FinishedRun) -> ScoredRun:
        """Read the scores of a run.

        Raises:
            ArtifactError: If it has none, or they can't be read.
        """
        if run.scores is None:
            raise ArtifactError(f"{run.place} has no scores.parquet; give the folder of the whole run")
        return cls(run, read_scores(run.scores))

    def difference(self, other: ScoredRun, task: Task, protocol: str, scorers: tuple[str, str]) -> Difference:
        """How far another run's scorer is ahead of this run's, resampled on the same outfits.

        Args:
            other: The run that is ahead or behind.
            task: Which task.
            protocol: Which protocol.
            scorers: The scorer's name here and there.

        Raises:
            ArtifactError: If the scores lack what the report has, or aren't of the same questions.
        """
        mine = self.answers(task, protocol, scorers[0])
        theirs = other.answers(task, protocol, scorers[1])
        if not mine.keys.equals(theirs.keys):
            raise ArtifactError(
                f"{self.run.scores} and {other.run.scores} answer other questions of {task} ({protocol}) than their "
                "reports say; one of them isn't the run's own: measure the models again"
            )
        resamples = self._resamples(mine.outfits, other)
        draws = _draws(task, theirs, resamples) - _draws(task, mine, resamples)
        return Difference(percentile_interval(draws), paired_p_value(draws), smallest_difference(draws))

    def answers(self, task: Task, protocol: str, scorer: str) -> Answers:
        """What a scorer said.

        Raises:
            ArtifactError: If it isn't there.
        """
        kept = pc.and_(
            pc.and_(pc.equal(self.table["task"], task), pc.equal(self.table["protocol"], protocol)),
            pc.equal(self.table["scorer"], scorer),
        )
        rows = self.table.filter(kept).sort_by([("question_id", "ascending"), ("candidate", "ascending")])
        if not rows.num_rows:
            raise ArtifactError(
                f"{self.run.scores} has no scores of '{scorer}' for {task} ({protocol}), which the report has; measure "
                "the model again"
            )
        questions = rows["question_id"].to_pylist()
        first = [place for place, name in enumerate(questions) if place == 0 or name != questions[place - 1]]
        outfits = rows["outfit_id"].to_pylist()
        shape = (len(first),) if task == "compatibility" else (len(first), rows.num_rows // len(first))
        try:
            scores = rows["score"].to_numpy().reshape(shape)
            truth = rows["truth"].to_numpy().reshape(shape)
        except ValueError as error:
            raise ArtifactError(
                f"{self.run.scores} has {rows.num_rows} scores of '{scorer}' for {len(first)} questions of {task} "
                f"({protocol}), not as many for each; measure the model again"
            ) from error
        keys = rows.select(["question_id", "outfit_id", "candidate", "truth"]).combine_chunks()
        return Answers(keys, tuple(outfits[place] for place in first), scores, truth)

    def _resamples(self, outfits: tuple[str, ...], other: ScoredRun) -> Resamples:
        if outfits not in self.drawn:
            asked = [run.report["settings"].get("evaluate", {}).get("bootstrap", 0) for run in (self.run, other.run)]
            rng = np.random.default_rng([self.run.seed or 0, _STREAM])
            self.drawn[outfits] = Resamples(outfits, rng, max(_LEAST_RESAMPLES, *map(int, asked)))
        return self.drawn[outfits]


def _draws(task: Task, answers: Answers, resamples: Resamples) -> NDArray[np.float64]:
    if task == "compatibility":
        return resamples.auc(answers.scores, answers.truth)
    ranks = true_ranks(answers.scores, np.argmax(answers.truth, axis=1))
    if task == "fill_in_the_blank":
        return resamples.share(ranks == 1)
    return resamples.mean_reciprocal_rank(ranks)


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

    one: FinishedRun
    other: FinishedRun
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


def compare_runs(one: FinishedRun, other: FinishedRun) -> Comparison:
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


def _names(run: FinishedRun, place: Place) -> list[str]:
    task, protocol = place
    return [run.under_test, *run.report["tasks"][task][protocol]["baselines"]]


def _refusal(one: FinishedRun, other: FinishedRun, task: Task, protocol: str) -> str | None:
    """Why the two can't be paired, as a sentence; None if they can."""
    title = place_title(task, protocol)
    digests = [run.report["questions"].get(task, {}).get(protocol) for run in (one, other)]
    if digests[0] is None or digests[0] != digests[1]:
        return f"{title[:1].upper()}{title[1:]}: the questions differ ({_reason(one, other)}), so there is no test."
    absent = next((run for run in (one, other) if run.scores is None), None)
    if absent is not None:
        return f"{title[:1].upper()}{title[1:]}: {absent.name} has no scores.parquet beside it, so there is no test."
    return None


def _reason(one: FinishedRun, other: FinishedRun) -> str:
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
    one: FinishedRun,
    other: FinishedRun,
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


def _figures_of(run: FinishedRun, place: Place, name: str) -> Mapping[str, Any]:
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


def _left_out(one: FinishedRun, other: FinishedRun) -> tuple[str, ...]:
    found = []
    for run, rival in ((one, other), (other, one)):
        theirs = _places(rival.report)
        found += [f"{place_title(*place)}: only in {run.name}" for place in _places(run.report) if place not in theirs]
    return tuple(found)


def _data_facts(run: FinishedRun) -> dict[str, str]:
    data = run.report["data"]
    facts = {name: str(data[name]) for name in ("name", "layout", "text_only", "items", "photos")}
    facts |= dict(flat_settings(data["splits"], "splits."))
    inputs: Mapping[str, str] = run.manifest.get("inputs", {})
    return facts | {f"SHA-256 of {name}": digest for name, digest in inputs.items()}


def _settings(run: FinishedRun) -> dict[str, str]:
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


def render_comparison(comparison: Comparison) -> str:
    """The page as text; nothing is fetched and nothing runs."""
    return (
        environment()
        .get_template("compare.html")
        .render(
            comparison=comparison,
            names=run_names(comparison),
            headline=comparison_headline(comparison),
            style=style(),
        )
    )


def run_names(comparison: Comparison) -> tuple[str, str]:
    """What the two are called: their folders' names, or their whole paths where those are the same."""
    one, other = comparison.one, comparison.other
    return (one.name, other.name) if one.name != other.name else (str(one.place), str(other.place))


def comparison_headline(comparison: Comparison) -> str:
    """How the second run's model stands to the first's, in a sentence."""
    one, other = run_names(comparison)
    standings = [row.standing for row in comparison.models]
    counts = {
        f"ahead of {one} in": standings.count("ahead"),
        "behind in": standings.count("behind"),
        "not told apart in": standings.count("not told apart"),
    }
    tested = sum(counts.values())
    untested = len(standings) - tested
    if not tested:
        return f"There is no test between {one} and {other}: they weren’t asked the same questions."
    told = ", ".join(f"{words} {count}" for words, count in counts.items() if count)
    rest = f" {untested} more can’t be compared." if untested else ""
    return f"Of {tested} figure{'s' if tested > 1 else ''} on the same questions, {other} is {told}.{rest}"


_HEAD = (
    "# Results\n\nMade by `coordi report markdown` from the runs' own files; each section ends with the command that "
    "made its run."
)
_MARKS = {"ahead": " ▲", "behind": " ▼", "": ""}
_KEY = (
    "Best of a column in bold, 95% bootstrap intervals by outfit beside each figure. ▲ the model under test is "
    "significantly ahead of this scorer, ▼ behind it (paired bootstrap, p below 0.05 after Holm’s correction)."
)


def render_markdown(runs: Sequence[FinishedRun]) -> str:
    """A section per run: verdict, a table per task, warnings, what protocols mean, and how it was made."""
    return "\n\n".join([_HEAD, *(_section(run) for run in runs)]) + "\n"


def escape_markdown(text: str) -> str:
    """Text as Markdown prints it, in a table too."""
    flat = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", flat)


def _section(run: FinishedRun) -> str:
    report = run.report
    data = report["data"]
    summary = summarise(report["tasks"], run.under_test)
    subject = subject_words(run.under_test)
    outfits = data["splits"]["test"]["outfits"]
    verdict = conclude(summary, subject, outfits)
    parts = [
        f"## {escape_markdown(str(data['name']))}: {escape_markdown(lower_first(subject))}",
        _stands_for(run, outfits),
        f"**Is it worth using?** {escape_markdown(verdict.headline)} {escape_markdown(verdict.advice)}",
    ]
    for task in TASKS:
        part = summary.of_task(task)
        if part.columns:
            parts.append(f"### {TASK_WORDS[task]}, {METRIC_WORDS[part.columns[0].metric]}\n\n{_table(part)}")
    parts.append(_KEY)
    meanings = {column.protocol: protocol_words(column.protocol) for column in summary.columns}
    parts.append(
        "\n".join(
            f"* **{escape_markdown(title)}** (`{name}`): {escape_markdown(meaning)}."
            for name, (title, meaning) in meanings.items()
        )
    )
    parts += [*_calibration(report, run.under_test), *_seeds(report), *_learning_curve(report)]
    if report.get("warnings"):
        parts.append("\n".join(["To know before using a figure:", "", *_warnings(report["warnings"])]))
    parts.append(_made_by(run))
    return "\n\n".join(parts)


def _stands_for(run: FinishedRun, outfits: int) -> str:
    data, model = run.report["data"], run.report["model"]
    said = [
        f"{outfits:,} test outfits of `{data['name']}` ({data['layout']}), {data['splits']['train']['outfits']:,} for "
        f"training and {data['splits']['valid']['outfits']:,} for validation; seed {run.seed}."
    ]
    facts = ", ".join(f"{name.replace('_', ' ')} `{value}`" for name, value in model.items())
    said.append(f"Model under test: {facts}.")
    if data["layout"] == "sample":
        said.append("The garments are drawn: **no figure is a result.**")
    if data["text_only"]:
        photos, items = (data["splits"]["test"][key] for key in ("photos", "items"))
        said.append(f"Text-only mode: {photos:,} of {items:,} test items have a photo.")
    return " ".join(said)


def _table(summary: Summary) -> str:
    heads = ["scorer", *(f"{column.title} (n = {column.n:,}{_among(column)})" for column in summary.columns)]
    lines = [_line(heads), _line(["---", *["---:"] * len(summary.columns)])]
    for row in summary.rows:
        label = escape_markdown(scorer_words(row.scorer).label)
        lines.append(_line([label, *(_cell(cell) for cell in row.cells)]))
    lines.append(_line(["guessing", *(format_figure(column.chance) for column in summary.columns)]))
    lines.append(
        _line(["smallest lead over guessing that shows", *(format_figure(one.smallest) for one in summary.columns)])
    )
    return "\n".join(lines)


def _among(column: Column) -> str:
    return f", of {column.among} candidates" if column.among else ""


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    value = f"**{format_figure(cell.value)}**" if cell.is_best else format_figure(cell.value)
    between = "" if cell.interval is None else f" ({format_figure(cell.interval[0])}–{format_figure(cell.interval[1])})"
    return value + between + _MARKS[cell.mark]


def _calibration(report: Mapping[str, Any], under_test: str) -> list[str]:
    """Expected calibration error before and after calibration, of the model under test."""
    rows = [
        _line(
            [
                protocol_words(protocol)[0],
                format_figure(one.get("raw_ece")),
                format_figure(one["ece"]),
                format_figure(one["brier"]),
            ]
        )
        for protocol, figures in report["tasks"].get("compatibility", {}).items()
        if (one := figures.get("calibration"))
    ]
    if not rows:
        return []
    head = [_line(["protocol", "ECE as it is", "ECE after calibration", "Brier score"]), _line(["---", *["---:"] * 3])]
    title = f"### Calibration of {escape_markdown(lower_first(subject_words(under_test)))}"
    return ["\n".join([title, "", *head, *rows])]


def _seeds(report: Mapping[str, Any]) -> list[str]:
    """Mean and standard deviation over sets of questions."""
    tables = spread_tables(report.get("seeds"), {})
    if not tables:
        return []
    seeds = ", ".join(map(str, report["seeds"]["seeds"]))
    names = dict.fromkeys(row.label for table in tables for row in table.rows)
    found = [{row.label: row for row in table.rows} for table in tables]
    lines = [
        f"### Over the seeds {seeds}: mean ± standard deviation",
        "",
        _line(["scorer", *(f"{table.title}, {table.metric}" for table in tables)]),
        _line(["---", *["---:"] * len(tables)]),
    ]
    for name in names:
        cells = (rows.get(name) for rows in found)
        values = (
            "–" if one is None else f"{format_figure(one.mean)} ± {format_figure(one.deviation)}" for one in cells
        )
        lines.append(_line([escape_markdown(name), *values]))
    return ["\n".join(lines)]


def _learning_curve(report: Mapping[str, Any]) -> list[str]:
    """AUC by training outfits, a row per scorer and protocol."""
    points = report.get("learning_curve") or []
    sizes = sorted({point["outfits"] for point in points})
    if not sizes:
        return []
    lines = [
        "### AUC by training outfits",
        "",
        _line(["scorer", "protocol", *(f"{size:,}" for size in sizes)]),
        _line(["---", "---", *["---:"] * len(sizes)]),
    ]
    for scorer, protocol in dict.fromkeys((point["scorer"], point["protocol"]) for point in points):
        here = {one["outfits"]: one for one in points if (one["scorer"], one["protocol"]) == (scorer, protocol)}
        cells = (format_figure(here[size]["auc"]) if size in here else "–" for size in sizes)
        lines.append(_line([escape_markdown(scorer_words(scorer).label), protocol_words(protocol)[0], *cells]))
    return ["\n".join(lines)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _warnings(warnings: Sequence[Mapping[str, str]]) -> list[str]:
    return [f"* {escape_markdown(place_words(one['where']))}: {escape_markdown(one['text'])}" for one in warnings]


def _made_by(run: FinishedRun) -> str:
    """The command, and what of the machine matters; time and memory come from the manifest."""
    facts = []
    machine: Mapping[str, Any] = run.manifest.get("machine") or {}
    facts += [f"{name.replace('_', ' ')} {value}" for name, value in machine.items()]
    if "seconds" in run.manifest:
        facts.append(f"{run.manifest['seconds']:,.0f} seconds for what wasn't done before")
    if "peak_memory_mib" in run.manifest:
        facts.append(f"at most {run.manifest['peak_memory_mib'] / 1024:.1f} GiB of memory")
    resamples = run.report["settings"].get("evaluate", {}).get("bootstrap")
    facts += [f"{resamples:,} resamples"] if resamples else []
    versions = ", ".join(f"{name} {version}" for name, version in run.report["versions"].items())
    lines = ["Made with:", "", *(f"    {line}" for line in run.report["command"].splitlines()), ""]
    lines += [f"{'; '.join(facts)}. Versions: {versions}." if facts else f"Versions: {versions}."]
    return "\n".join(lines)
