"""Evaluation of scorers on the same questions: scores, thresholds, calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coordi.artifacts import ShowProgress, show_no_progress
from coordi.config import EvaluateSettings
from coordi.errors import EvaluationError, require
from coordi.evaluation import metrics, scoring
from coordi.evaluation.question_sets import ProtocolQuestions, labels_of
from coordi.evaluation.scoring import ItemIds, ProtocolResult, RawScores, ReportWarning, ScorerResult, ScoreSource
from coordi.evaluation.task_metrics import task_metrics, task_warnings
from coordi.types import FitbQuestion, Item, OutfitScorer

Scorer = OutfitScorer | ScoreSource


@dataclass(frozen=True, slots=True)
class EvaluationRun:
    """Options of an evaluation. Scores are saved in the folder and used again: clear it when a model changes."""

    settings: EvaluateSettings
    seed: int
    items: Mapping[str, Item]
    show_progress: ShowProgress = show_no_progress
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results by protocol, the ``tasks`` of ``report.json``, and the warnings of all tasks, each once."""

    protocols: tuple[ProtocolResult, ...]
    tasks: Mapping[str, Any]
    warnings: tuple[ReportWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class CallableScorer:
    """A scorer from a function that returns one score per outfit."""

    name: str
    call: Callable[[Sequence[Sequence[Item]]], ArrayLike]
    gives_probabilities: bool = False

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """What the function returns, shape ``(N,)``."""
        returned = self.call(outfits)
        try:
            scores = np.asarray(returned)
        except (RuntimeError, TypeError, ValueError):  # a list of lists, a tensor on a GPU or with gradients
            scores = np.asarray(None)
        if scores.dtype.kind not in "biuf":
            what = f"{type(returned).__name__} of {scores.dtype}"
            raise EvaluationError(f"{self.name} must return an array of one number per outfit, got {what}")
        return scores.astype(np.float64)


def check_installed() -> None:
    """Raise now the ``MissingDependencyError`` of what is imported only after everything was scored."""
    for module in ("matplotlib", "pandas", "sklearn"):
        require(module, "train")


def measure(questions: Sequence[ProtocolQuestions], scorers: Sequence[Scorer], run: EvaluationRun) -> Evaluation:
    """Measure scorers, the model under test first, on given questions by protocol; raises as ``gather``."""
    protocols = gather(questions, scorers, run)
    tasks = task_metrics(protocols, run.settings, run.seed, run.items)
    return Evaluation(protocols, tasks, task_warnings(tasks))


def gather(
    questions: Sequence[ProtocolQuestions], scorers: Sequence[Scorer], run: EvaluationRun
) -> tuple[ProtocolResult, ...]:
    """Scores of each scorer, with its threshold and calibration from the validation split.

    The first scorer, the model under test, must answer everything; a score source may leave out whole tasks. Raises
    ``EvaluationError`` if questions or scores don't fit each other or names of scorers repeat, ``ArtifactError`` if
    saved scores can't be read or written.
    """
    names = [scorer.name for scorer in scorers]
    if not names or len(set(names)) < len(names):
        raise EvaluationError(f"an evaluation needs scorers with different names, got {names or 'none'}; rename one")
    for part in questions:
        _check_questions(part)
    # Score sources first: an error in a file must not come after hours of a language model.
    scores: dict[str, list[RawScores | None]] = {
        scorer.name: [scorer.scores(part) for part in questions]
        for scorer in scorers
        if isinstance(scorer, ScoreSource)
    }
    models = [scorer for scorer in scorers if not isinstance(scorer, ScoreSource)]
    groups = [_outfits_of(part) for part in questions]
    for scorer, by_outfit in zip(
        models, scoring.score_all(models, groups, run.items, run.show_progress, run.folder), strict=True
    ):
        scores[scorer.name] = [_look_up(part, by_outfit) for part in questions]
    probabilities = {scorer.name for scorer in models if scorer.gives_probabilities}
    protocols = []
    for n, part in enumerate(questions):
        results = []
        for name in names:
            raw = scores[name][n]
            _check_shapes(part, name, raw or RawScores(), answers_all=name == names[0])
            if raw is not None:
                results.append(_scorer_result(part, name, raw, gives_probabilities=name in probabilities))
        protocols.append(ProtocolResult(part, tuple(results)))
    return tuple(protocols)


def _check_questions(questions: ProtocolQuestions) -> None:
    name = questions.protocol
    if not questions.by_task:
        raise EvaluationError(f"the test split has 0 {name} questions; give a data set with more outfits in it")
    for split, part in (("valid", questions.valid), ("test", questions.test)):
        positives = sum(question.compatible for question in part)
        is_optional = split == "valid" and not part
        if questions.test and positives in (0, len(part)) and not is_optional:
            raise EvaluationError(
                f"the {split} split has {len(part)} {name} questions, {positives} of them compatible, which must "
                "hold both classes; give a data set with more outfits in it"
            )
    for choices in (questions.blanks, questions.retrieval):
        sizes = sorted({len(question.candidates) for question in choices})
        if len(sizes) > 1:
            raise EvaluationError(f"questions with candidates ({name}) must all have as many candidates, got {sizes}")


def _outfits_of(questions: ProtocolQuestions) -> list[ItemIds]:
    outfits = [question.item_ids for question in (*questions.valid, *questions.test)] if questions.test else []
    choices = (*questions.blanks, *questions.retrieval)
    return outfits + [
        scoring.completed(question.item_ids, choice) for question in choices for choice in question.candidates
    ]


def _look_up(questions: ProtocolQuestions, scores: scoring.Scores) -> RawScores:
    valid = questions.valid if questions.test else ()
    outfits = [np.array([scores[question.item_ids] for question in part]) for part in (valid, questions.test)]
    choices = []
    for part in (questions.blanks, questions.retrieval):
        rows = [
            [scores[scoring.completed(question.item_ids, choice)] for choice in question.candidates]
            for question in part
        ]
        choices.append(np.array(rows, dtype=np.float64).reshape(_shape(part)))
    return RawScores(*outfits, *choices)


def _check_shapes(questions: ProtocolQuestions, name: str, raw: RawScores, *, answers_all: bool) -> None:
    valid = questions.valid if questions.test else ()
    for task, scores, shape in (
        ("validation", raw.valid, (len(valid),)),
        ("test", raw.test, (len(questions.test),)),
        ("fill-in-the-blank", raw.blanks, _shape(questions.blanks)),
        ("retrieval", raw.retrieval, _shape(questions.retrieval)),
    ):
        left_out = not scores.size and not (task == "validation" and raw.test.size)
        if scores.shape != shape and not (left_out and not answers_all):
            raise EvaluationError(
                f"{name} has scores of shape {scores.shape} for the {task} questions ({questions.protocol}), which "
                f"need {shape}; give a score to each"
            )
        if not np.isfinite(scores).all():
            broken = scores[~np.isfinite(scores)][0]
            raise EvaluationError(
                f"{name} gave {broken} for one of the {task} questions ({questions.protocol}); every score must be a "
                "finite number"
            )


def _shape(questions: Sequence[FitbQuestion]) -> tuple[int, int]:
    return len(questions), len(questions[0].candidates) if questions else 0


def _scorer_result(
    questions: ProtocolQuestions, name: str, raw: RawScores, *, gives_probabilities: bool
) -> ScorerResult:
    threshold, probabilities = float("nan"), raw.test
    if raw.test.size:
        if gives_probabilities and (raw.test.min() < 0 or raw.test.max() > 1):
            raise EvaluationError(
                f"{name} returns probabilities, but scores go from {raw.test.min()} to {raw.test.max()}; accepted are "
                "0 to 1"
            )
        if questions.valid:
            truth = labels_of(questions.valid)
            threshold = metrics.best_threshold(raw.valid, truth)
            probabilities = metrics.fit_platt(raw.valid, truth).probabilities(raw.test)
        elif gives_probabilities:
            threshold = 0.5
        else:
            raise EvaluationError(
                f"{name} gives no probabilities, and there is no validation split to choose its threshold on; leave it "
                "out, or add a validation split"
            )
    return ScorerResult(
        name, threshold, raw.test, raw.blanks, raw.retrieval, probabilities, gives_probabilities=gives_probabilities
    )
