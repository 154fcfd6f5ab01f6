"""Finished runs: reading one, and comparing two with paired tests where they answered the same questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import MANIFEST, RUN_FILE, is_finished, read_json
from coordi.errors import ArtifactError, EvaluationError
from coordi.evaluation import metrics
from coordi.evaluation.external import SCORES_PARQUET, read_scores
from coordi.evaluation.question_sets import Task
from coordi.evaluation.report import FORMAT, REPORT_JSON, flat_settings
from coordi.evaluation.summary import interval_of, mark_of, task_figures, task_title
from coordi.evaluation.task_metrics import METRIC
from coordi.types import RandomStream

_NEEDED = ("data", "model", "settings", "tasks", "questions", "command", "versions")
_LEAST_RESAMPLES = 1000

Frame = Any  # a DataFrame of pandas, which is imported where it is used
TaskKey = tuple[Task, str]
"""A task and a protocol."""


class Difference(NamedTuple):
    """Second minus first in each resample of the outfits, ``(B,)``, and the p-value of their difference."""

    draws: NDArray[np.float64]
    p_value: float | None


PairedTest = Callable[[TaskKey, tuple[str, str]], Difference]


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """Results of a run: its ``report.json``, and of a whole folder the ``manifest.json`` and ``scores.parquet``."""

    path: Path
    report: Mapping[str, Any]
    manifest: Mapping[str, Any]
    scores: Path | None

    @property
    def name(self) -> str:
        """The folder's name."""
        return (self.path.parent if self.path.is_file() else self.path).resolve().name

    @property
    def under_test(self) -> str:
        """Name of the model under test."""
        return str(self.report["model"]["name"])

    @property
    def seed(self) -> int | None:
        """Of its questions and intervals."""
        seed = self.report["settings"].get("seed")
        return None if seed is None else int(seed)

    @property
    def tasks(self) -> dict[TaskKey, Mapping[str, Any]]:
        """Figures by task and protocol."""
        return {(task, protocol): figures for task, protocol, figures in task_figures(self.report["tasks"])}

    def figures(self, key: TaskKey) -> dict[str, Mapping[str, Any]]:
        """Figures of each scorer, the model under test first."""
        figures = self.report["tasks"][key[0]][key[1]]
        return {self.under_test: figures, **figures["baselines"]}


def read_run(path: Path) -> FinishedRun:
    """Read a run's folder or ``report.json``; raises ``ArtifactError`` if unfinished or of another version."""
    file = path if path.is_file() else path / REPORT_JSON
    folder = file.parent
    where = "give the folder that coordi run or coordi evaluate wrote"
    if not path.exists():
        raise ArtifactError(f"no run at '{path}': no such folder; {where}")
    started = (folder / RUN_FILE).is_file()
    if not file.is_file() and not started:
        raise ArtifactError(f"'{path}' isn't a run's folder: it has no {REPORT_JSON}; {where}")
    if not file.is_file() or (started and not is_finished(folder)):
        absent = MANIFEST if file.is_file() else f"{REPORT_JSON} yet"
        raise ArtifactError(
            f"the run in {folder} isn't finished: it has no {absent}; finish it with coordi run or coordi evaluate"
        )
    report = read_json(file)
    if not isinstance(report, dict) or "tasks" not in report:
        raise ArtifactError(f"{file} isn't a report of coordi; {where}, or its {REPORT_JSON}")
    number = report.get("format", 1)
    missing = [key for key in _NEEDED if key not in report]
    if number != FORMAT or missing:
        version = report.get("versions", {}).get("coordi", "an unknown version")
        problem = f"is of format {number}" if number != FORMAT else f"has no '{missing[0]}'"
        raise ArtifactError(
            f"{file} {problem}, made by coordi {version}; this one reads format {FORMAT}: measure the model again with "
            "coordi evaluate"
        )
    scores = folder / SCORES_PARQUET
    manifest = read_json(folder / MANIFEST) if is_finished(folder) else {}
    return FinishedRun(path, report, manifest, scores if scores.is_file() else None)


ComparedRow = dict[str, Any]
"""A scorer of each run on one task under one protocol, as in ``coordi report compare --json``.

``ahead`` is second minus first; ``p_holm`` is adjusted over the rows of a table; ``standing`` is ``ahead``, ``behind``,
``not significant`` or, without a test, ``not comparable``.
"""
Differing = dict[str, tuple[str | None, str | None]]
"""Values of both runs by the name of a property that differs; None where a run has none."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs; ``scorers`` are others that both have, ``differing`` is by ``data``, ``settings`` and ``versions``.

    ``refused`` are sentences on why questions aren't the same; ``left_out`` are tasks and protocols that only one has.
    """

    first: FinishedRun
    second: FinishedRun
    models: tuple[ComparedRow, ...]
    scorers: tuple[ComparedRow, ...]
    refused: tuple[str, ...]
    left_out: tuple[str, ...]
    differing: dict[str, Differing]

    def as_json(self) -> dict[str, Any]:
        """Output of ``coordi report compare --json``."""
        return {
            "one": str(self.first.path),
            "other": str(self.second.path),
            "models": list(self.models),
            "scorers": list(self.scorers),
            "not_comparable": list(self.refused),
            "left_out": list(self.left_out),
            "differing": {
                title: [{"name": name, "one": first, "other": second} for name, (first, second) in rows.items()]
                for title, rows in self.differing.items()
            },
        }


def compare_runs(first: FinishedRun, second: FinishedRun) -> Comparison:
    """Compare the models under test of two runs, and the other scorers that both have.

    Where both answered the same questions, differences are paired: outfits are resampled for both at once, with the
    first run's seed and the larger number of resamples. Otherwise there is no test. Raises ``EvaluationError`` if they
    share no task under any protocol, ``ArtifactError`` if saved scores are broken or don't agree with the report.
    """
    keys = [key for key in first.tasks if key in second.tasks]
    if not keys:
        protocols = [", ".join(dict.fromkeys(protocol for _, protocol in run.tasks)) for run in (first, second)]
        raise EvaluationError(
            f"{first.path} and {second.path} have no protocol in common: {protocols[0] or 'none'} against "
            f"{protocols[1] or 'none'}; measure both under the same protocols"
        )
    refused = {key: reason for key in keys if (reason := _refusal(first, second, key))}
    pairing = None if len(refused) == len(keys) else _Pairing(first, second)
    models, scorers = [], []
    under_test = (first.under_test, second.under_test)
    for key in keys:
        draws = pairing.difference if pairing is not None and key not in refused else None
        models.append(_row(first, second, key, under_test, draws))
        shared = [name for name in first.figures(key) if name in second.figures(key) and name not in under_test]
        scorers += [_row(first, second, key, (name, name), draws) for name in shared]
    left_out = [
        f"{task_title(*key)}: only in {run.name}"
        for run, other in ((first, second), (second, first))
        for key in run.tasks
        if key not in other.tasks
    ]
    differing = {
        "data": _differing(_data_facts(first), _data_facts(second)),
        "settings": _differing(_settings(first), _settings(second)),
        "versions": _differing(first.report["versions"], second.report["versions"]),
    }
    tables = _corrected(models), _corrected(scorers)
    return Comparison(first, second, *tables, tuple(refused.values()), tuple(left_out), differing)


def run_names(comparison: Comparison) -> tuple[str, str]:
    """Names of the two: their folders', or their whole paths where those are the same."""
    first, second = comparison.first, comparison.second
    return (first.name, second.name) if first.name != second.name else (str(first.path), str(second.path))


def comparison_headline(comparison: Comparison) -> str:
    """The result of the comparison of the models in a sentence."""
    first, second = run_names(comparison)
    standings = [row["standing"] for row in comparison.models]
    tested = len(standings) - standings.count("not comparable")
    if not tested:
        return f"There is no test between {first} and {second}: they didn’t answer the same questions."
    counts = {standing: standings.count(standing) for standing in ("ahead", "behind", "not significant")}
    texts = {
        "ahead": f"significantly ahead of {first} in",
        "behind": "significantly behind in",
        "not significant": "not significantly different in",
    }
    result = ", ".join(f"{texts[standing]} {count}" for standing, count in counts.items() if count)
    untested = len(standings) - tested
    end = f" {untested} more can’t be compared." if untested else ""
    return f"Of {tested} figure{'s' if tested > 1 else ''} on the same questions, {second} is {result}.{end}"


class _Pairing:
    """Scores of two runs by task, protocol and scorer, with the same resamples for all scorers."""

    def __init__(self, first: FinishedRun, second: FinishedRun) -> None:
        self._runs = (first, second)
        tables = {path: read_scores(path).to_pandas() for path in {first.scores, second.scores} if path}
        self._answers = {
            path: dict(iter(table.groupby(["task", "protocol", "scorer"], sort=False)))
            for path, table in tables.items()
        }
        counts = [run.report["settings"].get("evaluate", {}).get("bootstrap", 0) for run in self._runs]
        self._count = max(_LEAST_RESAMPLES, *counts)
        self._resamples: dict[tuple[str, ...], metrics.Resamples] = {}

    def difference(self, key: TaskKey, scorers: tuple[str, str]) -> Difference:
        """Second minus first in each resample of the outfits, and the p-value: an exact one for few outfits."""
        first, second = (self._rows(run, key, name) for run, name in zip(self._runs, scorers, strict=True))
        columns = ["question_id", "outfit_id", "candidate", "truth"]
        if not first[columns].equals(second[columns]):
            raise ArtifactError(
                f"{self._runs[0].scores} and {self._runs[1].scores} answer other questions of {key[0]} ({key[1]}) than "
                "their reports list; one of them isn't the run's own: measure the models again"
            )
        outfits = tuple(first.drop_duplicates("question_id")["outfit_id"])
        if outfits not in self._resamples:
            rng = np.random.default_rng([self._runs[0].seed or 0, RandomStream.COMPARISON])
            self._resamples[outfits] = metrics.Resamples(outfits, rng, self._count)
        resamples = self._resamples[outfits]
        draws = _metric_draws(key[0], second, resamples) - _metric_draws(key[0], first, resamples)
        if resamples.outfits >= metrics.FEW_OUTFITS:
            return Difference(draws, metrics.paired_p_value(draws))
        rng = np.random.default_rng([self._runs[0].seed or 0, RandomStream.COMPARISON, 1])
        (metric, answers), (_, others) = _answers(key[0], first), _answers(key[0], second)
        return Difference(draws, metrics.exchange_p_value(answers, others, outfits, metric, rng))

    def _rows(self, run: FinishedRun, key: TaskKey, scorer: str) -> Frame:
        rows = self._answers[run.scores or Path()].get((*key, scorer))
        what = f"'{scorer}' for {key[0]} ({key[1]})"
        if rows is None:
            raise ArtifactError(f"{run.scores} has no scores of {what}, which the report has; measure the model again")
        if rows["question_id"].value_counts().nunique() > 1:
            raise ArtifactError(
                f"{run.scores} has {len(rows)} scores of {what} and {rows['question_id'].nunique()} questions, not as "
                "many for each; measure the model again"
            )
        return rows.sort_values(["question_id", "candidate"], ignore_index=True)


def _answers(task: Task, rows: Frame) -> tuple[Callable[[metrics.Floats], float], metrics.Floats]:
    """The metric of a task as a function of answers ``(N,)`` that two scorers may exchange, and a scorer's answers."""
    scores, truth = rows["score"].to_numpy(), rows["truth"].to_numpy(dtype=bool)
    if task == "compatibility":
        return lambda answers: metrics.roc_auc(answers, truth), metrics.ranks(scores)
    ranks = _ranks(rows)
    return lambda values: float(values.mean()), (ranks == 1) * 1.0 if task == "fill_in_the_blank" else 1 / ranks


def _ranks(rows: Frame) -> NDArray[np.integer]:
    shape = (rows["question_id"].nunique(), -1)
    truth = rows["truth"].to_numpy(dtype=bool).reshape(shape)
    return metrics.true_ranks(rows["score"].to_numpy().reshape(shape), np.argmax(truth, axis=1))


def _metric_draws(task: Task, rows: Frame, resamples: metrics.Resamples) -> NDArray[np.float64]:
    scores, truth = rows["score"].to_numpy(), rows["truth"].to_numpy(dtype=bool)
    if task == "compatibility":
        return resamples.auc(scores, truth)
    ranks = _ranks(rows)
    return resamples.share(ranks == 1) if task == "fill_in_the_blank" else resamples.mean_reciprocal_rank(ranks)


def _row(
    first: FinishedRun, second: FinishedRun, key: TaskKey, scorers: tuple[str, str], paired: PairedTest | None
) -> ComparedRow:
    task, protocol = key
    figures = first.figures(key)[scorers[0]], second.figures(key)[scorers[1]]
    values = [float(each[METRIC[task]]) for each in figures]
    draws, p_value = (None, None) if paired is None else paired(key, scorers)
    return {
        "task": task,
        "protocol": protocol,
        "metric": METRIC[task],
        "scorers": list(scorers),
        "values": values,
        "ci95": [interval_of(task, each) for each in figures],
        "ahead": values[1] - values[0],
        "same_questions": draws is not None,
        "ahead_ci95": None if draws is None else metrics.percentile_interval(draws),
        "p_value": p_value,
        "p_holm": None,
        "smallest_difference": None if draws is None else metrics.smallest_difference(draws),
        "standing": "not comparable" if draws is None else "not significant",
    }


def _corrected(rows: Sequence[ComparedRow]) -> tuple[ComparedRow, ...]:
    tested = [row for row in rows if row["p_value"] is not None]
    for row, p_holm in zip(tested, metrics.holm([row["p_value"] for row in tested]), strict=True):
        row |= {"p_holm": p_holm, "standing": mark_of(row["ahead"], p_holm) or "not significant"}
    return tuple(rows)


def _refusal(first: FinishedRun, second: FinishedRun, key: TaskKey) -> str | None:
    digests = [run.report["questions"].get(key[0], {}).get(key[1]) for run in (first, second)]
    if digests[0] is None or digests[0] != digests[1]:
        return f"{task_title(*key)}: the questions differ ({_reason(first, second)}), so there is no test."
    absent = next((run for run in (first, second) if run.scores is None), None)
    if absent is not None:
        return f"{task_title(*key)}: {absent.name} has no scores.parquet beside it, so there is no test."
    return None


def _reason(first: FinishedRun, second: FinishedRun) -> str:
    first_data, second_data = first.report["data"], second.report["data"]
    if first_data["name"] != second_data["name"]:
        return f"data '{first_data['name']}' and '{second_data['name']}'"
    if first_data["splits"] != second_data["splits"] or first_data["funnel"] != second_data["funnel"]:
        return f"other outfits of '{first_data['name']}'"
    if first.seed != second.seed:
        return f"seeds {first.seed} and {second.seed}"
    differing = _differing(_settings(first), _settings(second))
    names = ("evaluate.choices", "evaluate.retrieval_pool", "evaluate.retrieval_queries")
    texts = [f"{name} {differing[name][0]} and {differing[name][1]}" for name in names if name in differing]
    return "; ".join(texts) or "other items or another version of coordi"


def _data_facts(run: FinishedRun) -> dict[str, str]:
    data = run.report["data"]
    facts = {name: str(data[name]) for name in ("name", "layout", "text_only", "items", "photos")}
    facts |= dict(flat_settings(data["splits"], "splits."))
    inputs: Mapping[str, str] = run.manifest.get("inputs", {})
    return facts | {f"SHA-256 of {name}": digest for name, digest in inputs.items()}


def _settings(run: FinishedRun) -> dict[str, str]:
    facts = {f"model under test: {name.replace('_', ' ')}": str(value) for name, value in run.report["model"].items()}
    return facts | dict(flat_settings(run.report["settings"]))


def _differing(first: Mapping[str, str], second: Mapping[str, str]) -> Differing:
    pairs = {name: (first.get(name), second.get(name)) for name in dict.fromkeys((*first, *second))}
    return {name: values for name, values in pairs.items() if values[0] != values[1]}
