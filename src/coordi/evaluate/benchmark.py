"""Measures scorers on the same questions: scores, thresholds, calibration, and the tasks of report.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import Progress, no_progress
from coordi.config import EvaluateSettings
from coordi.errors import EvaluationError
from coordi.evaluate import metrics
from coordi.evaluate.metrics import (
    Resamples,
    brier,
    expected_calibration_error,
    fit_platt,
    holm,
    paired_p_value,
    percentile_interval,
    reliability,
    smallest_difference,
)
from coordi.evaluate.question_sets import ProtocolQuestions, draw_questions
from coordi.evaluate.scoring import (
    ItemIds,
    OutfitScorer,
    RawScores,
    Scores,
    ScoreSource,
    completed,
    no_rows,
    no_scores,
    score_all,
)
from coordi.types import GARMENT_CATEGORIES, CompatibilityQuestion, Dataset, FitbQuestion, Item


@dataclass(frozen=True, slots=True)
class ScorerResult:
    """What one scorer said under one protocol; what the protocol doesn't ask, or the scorer didn't answer, is empty.

    Attributes:
        scorer: Its name.
        threshold: Chosen on the validation split; from here upwards an outfit is said to go together. NaN without
            compatibility questions.
        scores: Of the test questions, shape ``(N,)``.
        blank_scores: Of each candidate in each blank, shape ``(Q, C)``.
        retrieval_scores: Of each candidate in each retrieval query, shape ``(R, P)``.
        probabilities: Of the test questions, shape ``(N,)``, in ``[0, 1]``: the scores through a logistic curve
            fitted on the validation split.
        gives_probabilities: Whether the scores themselves are meant as probabilities.
    """

    scorer: str
    threshold: float
    scores: NDArray[np.float64]
    blank_scores: NDArray[np.float64]
    retrieval_scores: NDArray[np.float64] = field(default_factory=no_rows)
    probabilities: NDArray[np.float64] = field(default_factory=no_scores)
    gives_probabilities: bool = False

    @property
    def predicted(self) -> NDArray[np.bool_]:
        """The answers at the threshold, shape ``(N,)``."""
        answers: NDArray[np.bool_] = self.scores >= self.threshold
        return answers


@dataclass(frozen=True, slots=True)
class ProtocolResult:
    """One protocol's questions and what each scorer said.

    Attributes:
        results: The model under test first, which answered everything. Then the others that answered anything; a
            scorer from outside may have answered some tasks only.
    """

    questions: ProtocolQuestions
    results: tuple[ScorerResult, ...]


@dataclass(frozen=True, slots=True)
class ReportWarning:
    """Something that a reader of the figures must know.

    Attributes:
        where: Protocols and tasks, such as ``"random compatibility, pairs compatibility"``.
        text: In whole sentences.
    """

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything measured.

    Attributes:
        protocols: In the order of the settings.
        tasks: The ``tasks`` of ``report.json``; ``figures`` says what is in it.
        warnings: Every warning of every task, each once; the ``warnings`` of ``report.json`` begin with them.
    """

    protocols: tuple[ProtocolResult, ...]
    tasks: Mapping[str, Any]
    warnings: tuple[ReportWarning, ...] = ()


CONFIDENCE = ("least sure quarter", "second quarter", "third quarter", "surest quarter")
"""Names of the quarters of the questions by distance of the score from the threshold."""


def compatibility_breakdown(
    questions: Sequence[CompatibilityQuestion], result: ScorerResult, items: Mapping[str, Item]
) -> dict[str, list[dict[str, Any]]]:
    """Rows ``{value, n, positives, auc, accuracy}`` by size, worn category and confidence.

    A question counts in the row of each category it holds, so those rows overlap. Quarters by confidence are parted at
    the quartiles of the distance from the threshold; questions of equal distance share one, so ties make quarters
    uneven and may leave one out. Rows have no intervals: they say where to look, not what is so.

    Args:
        questions: Of the test split, length ``N``.
        result: What the model said to them.
        items: By item id; empty leaves categories out.

    Returns:
        By ``size``, ``category`` and ``confidence``; ``auc`` is None in a row of one class.

    Raises:
        EvaluationError: If an item isn't among ``items`` and those aren't empty.
    """
    labels = np.array([question.compatible for question in questions], dtype=bool)

    def row(value: str, rows: NDArray[np.bool_]) -> dict[str, Any]:
        one_class = labels[rows].all() or not labels[rows].any()
        return {
            "value": value,
            "n": int(rows.sum()),
            "positives": int(labels[rows].sum()),
            "auc": None if one_class else metrics.roc_auc(result.scores[rows], labels[rows]),
            "accuracy": metrics.accuracy(result.predicted[rows], labels[rows]),
        }

    sizes = np.array([len(question.item_ids) for question in questions])
    held = [_categories(question.item_ids, items) for question in questions]
    distance = np.abs(result.scores - result.threshold)
    quarter = np.searchsorted(np.percentile(distance, [25, 50, 75]), distance, side="left")
    return {
        "size": [row(str(size), sizes == size) for size in np.unique(sizes)],
        "category": _by_category(held, row),
        "confidence": [row(CONFIDENCE[number], quarter == number) for number in np.unique(quarter)],
    }


def blank_breakdown(
    blanks: Sequence[FitbQuestion], hits: NDArray[np.bool_], items: Mapping[str, Item]
) -> dict[str, list[dict[str, Any]]]:
    """Rows ``{value, n, accuracy}`` by the worn category of the true item.

    Args:
        blanks: Length ``Q``.
        hits: Whether the true item was chosen, shape ``(Q,)``.
        items: By item id; empty leaves categories out.

    Raises:
        EvaluationError: If an item isn't among ``items`` and those aren't empty.
    """

    def row(value: str, rows: NDArray[np.bool_]) -> dict[str, Any]:
        return {"value": value, "n": int(rows.sum()), "accuracy": float(np.mean(hits[rows]))}

    true = [_categories([blank.candidates[blank.answer]], items) for blank in blanks]
    return {"category": _by_category(true, row)}


def _by_category(
    held: Sequence[set[str]], row: Callable[[str, NDArray[np.bool_]], dict[str, Any]]
) -> list[dict[str, Any]]:
    places = ((name, np.array([name in names for names in held], dtype=bool)) for name in GARMENT_CATEGORIES)
    return [row(name, rows) for name, rows in places if rows.any()]


def _categories(item_ids: Sequence[str], items: Mapping[str, Item]) -> set[str]:
    if not items:
        return set()
    unknown = [item_id for item_id in item_ids if item_id not in items]
    if unknown:
        raise EvaluationError(
            f"item '{unknown[0]}' of a question isn't among the {len(items)} items that were given; give those of the "
            "data set that the questions are from, or none"
        )
    return {category for item_id in item_ids if (category := items[item_id].category) is not None}


RECALL_AT = (1, 5, 10)
# Simulated, the 95% interval of an AUC of 0.71 holds it 81% of the time with 5 outfits, 91% with 10, 93% with 20 or 50
# and 95% with 100; two equal scorers are told apart 9.7%, 8.2%, 6.3%, 4.9% and 5.6% of the time.
FEW_OUTFITS = 50
"""Fewer test outfits than this get a warning: their intervals are too narrow."""
_BOOTSTRAP_STREAM = 401

Draws = NDArray[np.float64]
Scorer = OutfitScorer | ScoreSource


@dataclass(frozen=True, slots=True)
class _Measured:
    """A scorer's figures, and the draws of the one that scorers are compared on."""

    scorer: str
    figures: dict[str, Any]
    draws: Draws


class ProtocolMetrics:
    """Works out the figures of one protocol.

    Args:
        protocol: Questions and what each scorer said.
        settings: How many resamples and bins.
        seed: Of the resamples.
        items: By item id, for breakdowns by category; empty leaves those out.
    """

    def __init__(
        self, protocol: ProtocolResult, settings: EvaluateSettings, seed: int, items: Mapping[str, Item]
    ) -> None:
        self._asked = protocol.questions
        self._results = protocol.results
        self._settings = settings
        self._seed = seed
        self._items = items

    def compatibility(self) -> dict[str, Any] | None:
        """The figures of compatibility; None if the protocol doesn't ask it."""
        if not self._asked.test:
            return None
        resamples = self._resamples([question.outfit_id for question in self._asked.test])
        answered = [result for result in self._results if result.scores.size]
        measured = [self._compatibility_of(result, resamples) for result in answered]
        return {
            **measured[0].figures,
            "breakdown": compatibility_breakdown(self._asked.test, answered[0], self._items),
            "smallest_difference": smallest_difference(measured[0].draws),
            "warnings": self._warnings(resamples, measured[0].draws, first=True),
            "baselines": _baselines("auc", measured),
        }

    def fill_in_the_blank(self) -> dict[str, Any] | None:
        """The figures of fill-in-the-blank; None if the protocol doesn't ask it."""
        if not self._asked.blanks:
            return None
        resamples = self._resamples([blank.outfit_id for blank in self._asked.blanks])
        answered = [result for result in self._results if result.blank_scores.size]
        measured = [_blanks_of(result, self._asked.answers, resamples) for result in answered]
        hits = metrics.fitb_hits(answered[0].blank_scores, self._asked.answers)
        return {
            **measured[0].figures,
            "breakdown": blank_breakdown(self._asked.blanks, hits, self._items),
            "smallest_difference": smallest_difference(measured[0].draws),
            "warnings": self._warnings(resamples, measured[0].draws, first=not self._asked.test),
            "baselines": _baselines("accuracy", measured),
        }

    def retrieval(self) -> dict[str, Any] | None:
        """The figures of retrieval; None if the protocol doesn't ask it."""
        if not self._asked.retrieval:
            return None
        resamples = self._resamples([query.outfit_id for query in self._asked.retrieval])
        answers = self._asked.retrieval_answers
        measured = [
            _retrieval_of(result, answers, resamples) for result in self._results if result.retrieval_scores.size
        ]
        alone = not self._asked.test and not self._asked.blanks
        return {
            **measured[0].figures,
            "smallest_difference": smallest_difference(measured[0].draws),
            "warnings": self._warnings(resamples, measured[0].draws, first=alone),
            "baselines": _baselines("mrr", measured),
        }

    def _compatibility_of(self, result: ScorerResult, resamples: Resamples) -> _Measured:
        labels, predicted = self._asked.labels, result.predicted
        draws = {
            "accuracy": resamples.accuracy(predicted, labels),
            "f1": resamples.f1(predicted, labels),
            "auc": resamples.auc(result.scores, labels),
        }
        figures = {
            "n": len(labels),
            "positives": int(labels.sum()),
            "accuracy": metrics.accuracy(predicted, labels),
            "f1": metrics.f1(predicted, labels),
            "auc": metrics.roc_auc(result.scores, labels),
            "ci95": {name: _interval(values) for name, values in draws.items()},
            "threshold": result.threshold,
            "confusion": {
                "true_positives": int(np.sum(predicted & labels)),
                "false_positives": int(np.sum(predicted & ~labels)),
                "true_negatives": int(np.sum(~predicted & ~labels)),
                "false_negatives": int(np.sum(~predicted & labels)),
            },
            "calibration": self._calibration_of(result),
        }
        return _Measured(result.scorer, figures, draws["auc"])

    def _calibration_of(self, result: ScorerResult) -> dict[str, Any]:
        labels, bins = self._asked.labels, self._settings.calibration_bins
        raw = expected_calibration_error(result.scores, labels, bins) if result.gives_probabilities else None
        return {
            "raw_ece": raw,
            "ece": expected_calibration_error(result.probabilities, labels, bins),
            "brier": brier(result.probabilities, labels),
            "bins": [asdict(one) for one in reliability(result.probabilities, labels, bins)],
        }

    def _resamples(self, outfit_ids: Sequence[str]) -> Resamples:
        # A fresh generator each time, so that a task's draws don't depend on which others are asked.
        rng = np.random.default_rng([self._seed, _BOOTSTRAP_STREAM])
        return Resamples(outfit_ids, rng, self._settings.bootstrap)

    def _warnings(self, resamples: Resamples, draws: Draws, *, first: bool) -> list[str]:
        """What a reader must know; what the questions themselves have to say comes with the first task."""
        told = list(self._asked.warnings) if first else []
        if resamples.outfits < FEW_OUTFITS:
            told.append(
                f"Only {resamples.outfits} test {'outfit is' if resamples.outfits == 1 else 'outfits are'} behind "
                f"these figures. They show that everything runs, not how good a model is: intervals of so few are too "
                f"narrow. Measure on {FEW_OUTFITS} or more."
            )
        broken = int(np.sum(~np.isfinite(draws)))
        if broken:
            told.append(
                f"{broken} of {resamples.count} resamples of the outfits hold questions of one class; the intervals "
                "leave them out."
            )
        return told


def tasks_of(
    protocols: Sequence[ProtocolResult], settings: EvaluateSettings, seed: int, items: Mapping[str, Item]
) -> dict[str, dict[str, Any]]:
    """The ``tasks`` of ``report.json``, as this module's first lines say.

    Args:
        protocols: Questions and what each scorer said; the first scorer of each is the model under test.
        settings: How many resamples and bins.
        seed: Of the resamples; the same one gives the same figures to the last bit.
        items: By item id, for breakdowns by category; empty leaves those out.
    """
    tasks: dict[str, dict[str, Any]] = {"compatibility": {}, "fill_in_the_blank": {}, "retrieval": {}}
    for protocol in protocols:
        figures = ProtocolMetrics(protocol, settings, seed, items)
        works: dict[str, Callable[[], dict[str, Any] | None]] = {
            "compatibility": figures.compatibility,
            "fill_in_the_blank": figures.fill_in_the_blank,
            "retrieval": figures.retrieval,
        }
        for task, work in works.items():
            found = work()
            if found is not None:
                tasks[task][protocol.questions.protocol] = found
    return tasks


def warnings_of(tasks: Mapping[str, Mapping[str, Any]]) -> tuple[ReportWarning, ...]:
    """The warnings of all tasks, each once with everywhere that it is from."""
    places: dict[str, list[str]] = {}
    for task, protocols in tasks.items():
        for protocol, figures in protocols.items():
            for text in figures["warnings"]:
                places.setdefault(text, []).append(f"{protocol} {task.replace('_', '-')}")
    return tuple(ReportWarning(", ".join(found), text) for text, found in places.items())


def _blanks_of(result: ScorerResult, answers: NDArray[np.intp], resamples: Resamples) -> _Measured:
    hits = metrics.fitb_hits(result.blank_scores, answers)
    draws = resamples.share(hits)
    count, choices = result.blank_scores.shape
    figures = {"n": count, "choices": choices, "accuracy": float(np.mean(hits)), "ci95": _interval(draws)}
    return _Measured(result.scorer, figures, draws)


def _retrieval_of(result: ScorerResult, answers: NDArray[np.intp], resamples: Resamples) -> _Measured:
    ranks = metrics.true_ranks(result.retrieval_scores, answers)
    count, pool = result.retrieval_scores.shape
    reached = [k for k in RECALL_AT if k <= pool]
    draws = resamples.mean_reciprocal_rank(ranks)
    figures = {
        "n": count,
        "pool": pool,
        "recall": {str(k): metrics.recall_at(ranks, k) for k in reached},
        "mrr": metrics.mean_reciprocal_rank(ranks),
        "ci95": {
            **{f"recall@{k}": _interval(resamples.recall_at(ranks, k)) for k in reached},
            "mrr": _interval(draws),
        },
    }
    return _Measured(result.scorer, figures, draws)


def _baselines(metric: str, measured: Sequence[_Measured]) -> dict[str, Any]:
    """The other scorers' figures, and how much the model under test, which is the first, is ahead of each."""
    model, *others = measured
    differences = [model.draws - other.draws for other in others]
    p_values = [paired_p_value(difference) for difference in differences]
    corrected = iter(holm([p for p in p_values if p is not None]))
    return {
        other.scorer: {
            **other.figures,
            "model_ahead": {
                metric: model.figures[metric] - other.figures[metric],
                "ci95": _interval(difference),
                "p_value": p_value,
                "p_holm": None if p_value is None else next(corrected),
                "smallest_difference": smallest_difference(difference),
            },
        }
        for other, difference, p_value in zip(others, differences, p_values, strict=True)
    }


def _interval(draws: Draws) -> list[float] | None:
    interval = percentile_interval(draws)
    return None if interval is None else list(interval)


MakeSet = Callable[[int], tuple[Sequence[ProtocolQuestions], Sequence[Scorer]]]
"""The questions of a seed, and the scorers to ask them, as fitted with that seed."""

Place = tuple[str, str, str, str]  # task, protocol, scorer, metric


def measure_seeds(
    first: Evaluation,
    make: MakeSet,
    settings: EvaluateSettings,
    seed: int,
    progress: Progress = no_progress,
    folder: Path | None = None,
) -> dict[str, Any] | None:
    """Measure sets of questions drawn with ``seed + 1``, ``seed + 2``, ... beside the first; no intervals of those.

    Args:
        first: What was measured with ``seed`` itself; it isn't asked again.
        make: Called once for each further seed. Scores from elsewhere that it gives aren't used: they were made for
            the first set, whose question ids come again for other questions.
        settings: How many seeds.
        seed: Of the first set.
        progress: Counts outfits scored, over all scorers and further sets; the whole is an estimate until the last.
        folder: Scores of each further set are kept in ``seed-<seed>`` below it, so that an interrupted evaluation goes
            on; None keeps none.

    Returns:
        The ``seeds`` of ``report.json``; None if the settings ask for one seed. It has ``seeds``, and
        ``compatibility[protocol][scorer]`` with lists of ``auc`` and ``accuracy``, ``fill_in_the_blank`` with
        ``accuracy`` and ``retrieval`` with ``mrr``, a value of each seed in their order. What wasn't measured with
        every seed, such as scores from elsewhere, is left out.

    Raises:
        EvaluationError: As ``gather``, or if nothing was measured with every seed.
        ArtifactError: If kept scores can't be read or written.
    """
    if settings.seeds == 1:
        return None
    sets = [_values(first.protocols)]
    whole = _Whole(progress, settings.seeds - 1)
    for further in range(seed + 1, seed + settings.seeds):
        questions, scorers = make(further)
        kept = None if folder is None else folder / f"seed-{further}"
        asked = [scorer for scorer in scorers if not isinstance(scorer, ScoreSource)]
        sets.append(_values(gather(questions, asked, whole, kept)))
        whole.next_set()
    shared = [place for place in sets[0] if all(place in values for values in sets[1:])]
    if not shared:
        raise EvaluationError(
            f"nothing was measured with all of the {settings.seeds} seeds from {seed}; give each the same protocols "
            "and scorers"
        )
    found: dict[str, Any] = {"seeds": list(range(seed, seed + settings.seeds))}
    found |= {task: {} for task in ("compatibility", "fill_in_the_blank", "retrieval")}
    for task, protocol, scorer, metric in shared:
        measured = found[task].setdefault(protocol, {}).setdefault(scorer, {})
        measured[metric] = [values[task, protocol, scorer, metric] for values in sets]
    return found


class _Whole:
    """Progress over several sets, told as if those to come were as large as the present one."""

    def __init__(self, progress: Progress, sets: int) -> None:
        self._progress = progress
        self._left = sets
        self._before = 0
        self._size = 0

    def __call__(self, done: int, total: int) -> None:
        self._size = total
        self._progress(self._before + done, self._before + total * self._left)

    def next_set(self) -> None:
        """The present set is done."""
        self._before += self._size
        self._left -= 1


def _values(protocols: Sequence[ProtocolResult]) -> dict[Place, float]:
    values: dict[Place, float] = {}
    for protocol in protocols:
        for result in protocol.results:
            for task, metric, value in _values_of(protocol.questions, result):
                values[task, protocol.questions.protocol, result.scorer, metric] = value
    return values


def _values_of(questions: ProtocolQuestions, result: ScorerResult) -> list[tuple[str, str, float]]:
    values = []
    if result.scores.size:
        values.append(("compatibility", "auc", metrics.roc_auc(result.scores, questions.labels)))
        values.append(("compatibility", "accuracy", metrics.accuracy(result.predicted, questions.labels)))
    if result.blank_scores.size:
        accuracy = metrics.fitb_accuracy(result.blank_scores, questions.answers)
        values.append(("fill_in_the_blank", "accuracy", accuracy))
    if result.retrieval_scores.size:
        ranks = metrics.true_ranks(result.retrieval_scores, questions.retrieval_answers)
        values.append(("retrieval", "mrr", metrics.mean_reciprocal_rank(ranks)))
    return values


_NO_ITEMS: Mapping[str, Item] = {}


def evaluate(
    dataset: Dataset,
    scorers: Sequence[Scorer],
    settings: EvaluateSettings,
    seed: int,
    progress: Progress = no_progress,
    folder: Path | None = None,
) -> Evaluation:
    """Draw the questions of a data set and measure scorers on them; see ``measure``.

    Args:
        dataset: Needs a validation and a test split.
        scorers: The model under test first, then what it is compared with.
        settings: Which protocols, how many choices and resamples.
        seed: Of the questions and the intervals.
        progress: Counts outfits scored, over all scorers.
        folder: Where scores are kept as they come, so that an interrupted evaluation goes on; None keeps none.

    Raises:
        EvaluationError: If a split has no questions or a scorer gives something other than finite scores.
    """
    questions = draw_questions(dataset, settings, seed)
    return measure(questions, scorers, settings, seed, progress, folder, items=dataset.items)


def measure(  # noqa: PLR0913  the last is given by its name
    questions: Sequence[ProtocolQuestions],
    scorers: Sequence[Scorer],
    settings: EvaluateSettings,
    seed: int,
    progress: Progress = no_progress,
    folder: Path | None = None,
    *,
    items: Mapping[str, Item] = _NO_ITEMS,
) -> Evaluation:
    """Measure scorers on given questions.

    Args:
        questions: By protocol; one may lack compatibility, blanks or retrieval, and is then not measured on it.
        scorers: The model under test first, then what it is compared with; see ``gather``.
        settings: How many resamples and bins.
        seed: Of the intervals; every scorer is measured on the same resamples.
        progress: Counts outfits scored, over all scorers.
        folder: Where scores are kept as they come; see ``gather``.
        items: By item id, for the breakdowns by category; empty leaves those out.

    Raises:
        EvaluationError: As ``gather``, or if an item of a question isn't among ``items`` and those aren't empty.
    """
    protocols = gather(questions, scorers, progress, folder)
    tasks = tasks_of(protocols, settings, seed, items)
    return Evaluation(protocols, tasks, warnings_of(tasks))


def gather(
    questions: Sequence[ProtocolQuestions],
    scorers: Sequence[Scorer],
    progress: Progress = no_progress,
    folder: Path | None = None,
) -> tuple[ProtocolResult, ...]:
    """What each scorer says to the questions, with its threshold and calibration from the validation split.

    Every outfit is scored once per scorer, however many questions it is in. A blank is answered with the candidate
    whose completed outfit scores highest, the candidate standing last; a retrieval query likewise.

    Args:
        questions: By protocol.
        scorers: The model under test first, which must answer everything. A source of scores from elsewhere may leave
            out whole tasks; it is absent from a protocol of which it answers none.
        progress: Counts outfits scored, over all scorers.
        folder: Where scores are kept as they come; None keeps none. Scores in it are taken for this scorer's own:
            clear it when the model changes.

    Raises:
        EvaluationError: If a protocol has no questions, or compatibility questions of one class in a split; the
            scorers' names repeat; or scores have another shape than the questions, aren't finite, or aren't between 0
            and 1 though they are meant as probabilities.
        ArtifactError: If kept scores can't be read or written.
    """
    names = [scorer.name for scorer in scorers]
    if not names or len(set(names)) < len(names):
        raise EvaluationError(f"an evaluation needs scorers with different names, got {names or 'none'}; rename one")
    for part in questions:
        _check_askable(part)
    # Before anything is asked: a fault in a file should not wait for a language model.
    given = {one.name: [one.scores(part) for part in questions] for one in scorers if isinstance(one, ScoreSource)}
    asked = [scorer for scorer in scorers if not isinstance(scorer, ScoreSource)]
    answers = score_all(asked, [_outfits_of(part) for part in questions], progress, folder)
    said = given | {
        scorer.name: [_looked_up(part, known) for part in questions]
        for scorer, known in zip(asked, answers, strict=True)
    }
    probabilities = {scorer.name for scorer in asked if scorer.gives_probabilities}
    return tuple(
        _protocol_result(part, {name: said[name][place] for name in names}, probabilities)
        for place, part in enumerate(questions)
    )


def _check_askable(questions: ProtocolQuestions) -> None:
    name = questions.protocol
    if not (questions.test or questions.blanks or questions.retrieval):
        raise EvaluationError(f"the test split has 0 {name} questions; give a data set with more outfits in it")
    for split, asked in (("valid", questions.valid), ("test", questions.test)):
        positives = sum(question.compatible for question in asked)
        if questions.test and positives in (0, len(asked)):
            raise EvaluationError(
                f"the {split} split has {len(asked)} {name} questions, {positives} of them compatible, which must "
                "hold both classes; give a data set with more outfits in it"
            )
    for task, choices in (("fill-in-the-blank", questions.blanks), ("retrieval", questions.retrieval)):
        sizes = sorted({len(question.candidates) for question in choices})
        if len(sizes) > 1:
            raise EvaluationError(f"{task} questions ({name}) must all have as many candidates, got {sizes}")


def _outfits_of(questions: ProtocolQuestions) -> list[ItemIds]:
    asked = [question.item_ids for question in (*questions.valid, *questions.test)] if questions.test else []
    choices = (*questions.blanks, *questions.retrieval)
    return asked + [completed(question.item_ids, choice) for question in choices for choice in question.candidates]


def _looked_up(questions: ProtocolQuestions, scores: Scores) -> RawScores:
    """The scores of one protocol's questions, from those of all outfits."""

    def of(asked: Sequence[CompatibilityQuestion]) -> NDArray[np.float64]:
        return np.array([scores[question.item_ids] for question in asked], dtype=np.float64)

    def of_candidates(asked: Sequence[FitbQuestion]) -> NDArray[np.float64]:
        rows = [[scores[completed(question.item_ids, choice)] for choice in question.candidates] for question in asked]
        return np.array(rows, dtype=np.float64).reshape(_table(asked))

    valid = questions.valid if questions.test else ()
    return RawScores(of(valid), of(questions.test), of_candidates(questions.blanks), of_candidates(questions.retrieval))


def _protocol_result(
    questions: ProtocolQuestions, said: Mapping[str, RawScores | None], probabilities: set[str]
) -> ProtocolResult:
    under_test = next(iter(said))
    results = []
    for name, raw in said.items():
        _check_shapes(questions, name, raw or RawScores(), answers_all=name == under_test)
        if raw is not None:
            results.append(_result(questions, name, raw, gives_probabilities=name in probabilities))
    return ProtocolResult(questions, tuple(results))


def _check_shapes(questions: ProtocolQuestions, name: str, raw: RawScores, *, answers_all: bool) -> None:
    """Hold scores against the questions; a whole task may be left out unless ``answers_all``."""
    valid = questions.valid if questions.test else ()
    for asked, scores, wanted in (
        ("validation", raw.valid, (len(valid),)),
        ("test", raw.test, (len(questions.test),)),
        ("fill-in-the-blank", raw.blanks, _table(questions.blanks)),
        ("retrieval", raw.retrieval, _table(questions.retrieval)),
    ):
        left_out = not scores.size and not (asked == "validation" and raw.test.size)
        if scores.shape != wanted and not (left_out and not answers_all):
            raise EvaluationError(
                f"{name} has scores of shape {scores.shape} for the {asked} questions ({questions.protocol}), which "
                f"need {wanted}; give a score to each"
            )
        if not np.isfinite(scores).all():
            broken = scores[~np.isfinite(scores)][0]
            raise EvaluationError(
                f"{name} gave {broken} for one of the {asked} questions ({questions.protocol}); every score must be a "
                "finite number"
            )


def _table(asked: Sequence[FitbQuestion]) -> tuple[int, int]:
    return len(asked), len(asked[0].candidates) if asked else 0


def _result(questions: ProtocolQuestions, name: str, raw: RawScores, *, gives_probabilities: bool) -> ScorerResult:
    threshold, probabilities = float("nan"), raw.test
    if raw.test.size:
        if gives_probabilities and (raw.test.min() < 0 or raw.test.max() > 1):
            raise EvaluationError(
                f"{name} says that it gives probabilities, but scores go from {raw.test.min()} to {raw.test.max()}; "
                "accepted are 0 to 1"
            )
        truth = np.array([question.compatible for question in questions.valid], dtype=bool)
        threshold = metrics.best_threshold(raw.valid, truth)
        probabilities = fit_platt(raw.valid, truth).probabilities(raw.test)
    return ScorerResult(
        name, threshold, raw.test, raw.blanks, raw.retrieval, probabilities, gives_probabilities=gives_probabilities
    )
