"""Asks every scorer the same questions and works out the figures of ``report.json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.config import EvaluateSettings
from coordi.domain import CompatibilityQuestion, Dataset
from coordi.errors import EvaluationError
from coordi.evaluate import metrics
from coordi.evaluate.asking import ask, complete
from coordi.evaluate.question_sets import ProtocolQuestions, draw_questions
from coordi.evaluate.scorer import OutfitScorer
from coordi.progress import Progress, silent

_BOOTSTRAP_STREAM = 401


@dataclass(frozen=True, slots=True)
class ScorerResult:
    """What one scorer said.

    Attributes:
        scorer: Its name.
        threshold: Chosen on the validation split; from here upwards an outfit is said to go together.
        scores: Of the test questions, shape ``(N,)``.
        blank_scores: Of each candidate in each blank, shape ``(Q, C)``.
    """

    scorer: str
    threshold: float
    scores: NDArray[np.float64]
    blank_scores: NDArray[np.float64]

    @property
    def predicted(self) -> NDArray[np.bool_]:
        """The answers at the threshold, shape ``(N,)``."""
        answers: NDArray[np.bool_] = self.scores >= self.threshold
        return answers


@dataclass(frozen=True, slots=True)
class ProtocolResult:
    """One protocol's questions and what each scorer said; the first scorer is the model under test."""

    questions: ProtocolQuestions
    results: tuple[ScorerResult, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything measured.

    Attributes:
        protocols: In the order of the settings.
        tasks: The ``tasks`` of ``report.json``.
    """

    protocols: tuple[ProtocolResult, ...]
    tasks: Mapping[str, Any]


def evaluate(
    dataset: Dataset,
    scorers: Sequence[OutfitScorer],
    settings: EvaluateSettings,
    seed: int,
    progress: Progress = silent,
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
    return measure(draw_questions(dataset, settings, seed), scorers, settings, seed, progress, folder)


def measure(
    questions: Sequence[ProtocolQuestions],
    scorers: Sequence[OutfitScorer],
    settings: EvaluateSettings,
    seed: int,
    progress: Progress = silent,
    folder: Path | None = None,
) -> Evaluation:
    """Measure scorers on given questions.

    Every outfit is scored once per scorer, however many questions it is in. A blank is answered with the candidate
    whose completed outfit scores highest, the candidate standing last.

    Args:
        questions: By protocol.
        scorers: The model under test first, then what it is compared with.
        settings: How many resamples.
        seed: Of the intervals; every scorer is measured on the same resamples.
        progress: Counts outfits scored, over all scorers.
        folder: Where scores are kept as they come; None keeps none. Scores in it are taken for this scorer's own:
            clear it when the model changes.

    Raises:
        EvaluationError: If a split has no questions or only one class, the scorers' names repeat, or a scorer gives
            something other than finite scores.
    """
    names = [scorer.name for scorer in scorers]
    if not names or len(set(names)) < len(names):
        raise EvaluationError(f"an evaluation needs scorers with different names, got {names or 'none'}; rename one")
    for part in questions:
        _check_askable(part)
    groups = [_outfits_of(part) for part in questions]
    scored = ask(scorers, groups, progress, folder)
    protocols = tuple(
        ProtocolResult(part, tuple(_result(part, name, scores) for name, scores in zip(names, scored, strict=True)))
        for part in questions
    )
    tasks: dict[str, Any] = {"compatibility": {}, "fill_in_the_blank": {}}
    for protocol in protocols:
        figures = _Figures(protocol, settings.bootstrap, seed)
        tasks["compatibility"][protocol.questions.protocol] = figures.compatibility()
        tasks["fill_in_the_blank"][protocol.questions.protocol] = figures.fill_in_the_blank()
    return Evaluation(protocols, tasks)


def _check_askable(questions: ProtocolQuestions) -> None:
    for split, asked in (("valid", questions.valid), ("test", questions.test)):
        if len({question.compatible for question in asked}) < 2:
            raise EvaluationError(
                f"the {split} split has {len(asked)} {questions.protocol} questions, which must hold both classes; "
                "give a data set with more outfits in it"
            )
    sizes = sorted({len(question.candidates) for question in questions.blanks})
    if len(sizes) > 1:
        raise EvaluationError(
            f"fill-in-the-blank questions ({questions.protocol}) must all have as many candidates, got {sizes}"
        )


def _outfits_of(questions: ProtocolQuestions) -> list[tuple[str, ...]]:
    asked = [question.item_ids for question in (*questions.valid, *questions.test)]
    completed = [complete(blank.item_ids, choice) for blank in questions.blanks for choice in blank.candidates]
    return asked + completed


def _result(questions: ProtocolQuestions, name: str, scores: Mapping[tuple[str, ...], float]) -> ScorerResult:
    def of(asked: Sequence[CompatibilityQuestion]) -> NDArray[np.float64]:
        return np.array([scores[question.item_ids] for question in asked], dtype=np.float64)

    truth = np.array([question.compatible for question in questions.valid], dtype=bool)
    blanks = [[scores[complete(blank.item_ids, choice)] for choice in blank.candidates] for blank in questions.blanks]
    choices = len(questions.blanks[0].candidates) if questions.blanks else 0
    return ScorerResult(
        name,
        metrics.best_threshold(of(questions.valid), truth),
        of(questions.test),
        np.array(blanks, dtype=np.float64).reshape(len(blanks), choices),
    )


class _Figures:
    """Figures of one protocol with their intervals, each on the same resamples of outfits."""

    def __init__(self, protocol: ProtocolResult, resamples: int, seed: int) -> None:
        self._questions = protocol.questions
        self._results = protocol.results
        self._resamples = resamples
        self._seed = seed

    def compatibility(self) -> dict[str, Any]:
        """Figures of the model under test, with those of each other scorer under ``baselines``."""
        under_test, *others = self._results
        return {
            **self._compatibility_of(under_test),
            "baselines": {other.scorer: self._compared(under_test, other) for other in others},
        }

    def fill_in_the_blank(self) -> dict[str, Any]:
        """Likewise for fill-in-the-blank; ``accuracy`` is null where no question could be made."""
        under_test, *others = self._results
        return {
            **self._blanks_of(under_test),
            "baselines": {other.scorer: self._blanks_of(other) for other in others},
        }

    def _compatibility_of(self, result: ScorerResult) -> dict[str, Any]:
        labels, predicted = self._questions.labels, result.predicted
        statistics: dict[str, metrics.Statistic] = {
            "accuracy": lambda rows: metrics.accuracy(predicted[rows], labels[rows]),
            "f1": lambda rows: metrics.f1(predicted[rows], labels[rows]),
            "auc": lambda rows: metrics.roc_auc(result.scores[rows], labels[rows]),
        }
        everything = np.arange(len(labels))
        return {
            "n": len(labels),
            "positives": int(labels.sum()),
            **{name: statistic(everything) for name, statistic in statistics.items()},
            "ci95": {name: self._interval(statistic) for name, statistic in statistics.items()},
            "threshold": result.threshold,
            "confusion": {
                "true_positives": int(np.sum(predicted & labels)),
                "false_positives": int(np.sum(predicted & ~labels)),
                "true_negatives": int(np.sum(~predicted & ~labels)),
                "false_negatives": int(np.sum(~predicted & labels)),
            },
        }

    def _compared(self, under_test: ScorerResult, other: ScorerResult) -> dict[str, Any]:
        """Another scorer's figures, and how much the model under test is ahead of it on the same resamples."""
        labels = self._questions.labels

        def ahead(rows: metrics.Rows) -> float:
            auc = partial(metrics.roc_auc, labels=labels[rows])
            return auc(under_test.scores[rows]) - auc(other.scores[rows])

        return {
            **self._compatibility_of(other),
            "model_ahead": {"auc": ahead(np.arange(len(labels))), "ci95": self._interval(ahead)},
        }

    def _blanks_of(self, result: ScorerResult) -> dict[str, Any]:
        count, choices = result.blank_scores.shape
        if not count:
            return {"n": 0, "choices": choices, "accuracy": None, "ci95": None}
        hits = metrics.fitb_hits(result.blank_scores, self._questions.answers)
        groups = [blank.outfit_id for blank in self._questions.blanks]
        interval = self._interval(lambda rows: float(np.mean(hits[rows])), groups)
        return {"n": count, "choices": choices, "accuracy": float(np.mean(hits)), "ci95": interval}

    def _interval(self, statistic: Callable[[metrics.Rows], float], groups: Sequence[str] | None = None) -> list[float]:
        if groups is None:
            groups = [question.outfit_id for question in self._questions.test]
        # A fresh generator each time, so that all figures share their resamples.
        rng = np.random.default_rng([self._seed, _BOOTSTRAP_STREAM])
        return list(metrics.bootstrap_interval(statistic, groups, rng, self._resamples))
