"""Asks every scorer the same questions and gathers what each said; ``figures`` makes ``report.json`` of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coordi.config import EvaluateSettings
from coordi.domain import CompatibilityQuestion, Dataset, FillInTheBlankQuestion, Item
from coordi.errors import EvaluationError
from coordi.evaluate import metrics
from coordi.evaluate.asking import ItemIds, Scores, ask, complete
from coordi.evaluate.calibration import fit_platt
from coordi.evaluate.figures import tasks_of, warnings_of
from coordi.evaluate.question_sets import ProtocolQuestions, draw_questions
from coordi.evaluate.results import Caution, Evaluation, ProtocolResult, ScorerResult
from coordi.evaluate.scorer import OutfitScorer, RawScores, ScoreSource
from coordi.progress import Progress, silent

__all__ = ["Caution", "Evaluation", "ProtocolResult", "Scorer", "ScorerResult", "evaluate", "gather", "measure"]

Scorer = OutfitScorer | ScoreSource
_NO_ITEMS: Mapping[str, Item] = {}


def evaluate(
    dataset: Dataset,
    scorers: Sequence[Scorer],
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
    questions = draw_questions(dataset, settings, seed)
    return measure(questions, scorers, settings, seed, progress, folder, items=dataset.items)


def measure(  # noqa: PLR0913  the last is given by its name
    questions: Sequence[ProtocolQuestions],
    scorers: Sequence[Scorer],
    settings: EvaluateSettings,
    seed: int,
    progress: Progress = silent,
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
    progress: Progress = silent,
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
    answers = ask(asked, [_outfits_of(part) for part in questions], progress, folder)
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
    return asked + [complete(question.item_ids, choice) for question in choices for choice in question.candidates]


def _looked_up(questions: ProtocolQuestions, scores: Scores) -> RawScores:
    """The scores of one protocol's questions, from those of all outfits."""

    def of(asked: Sequence[CompatibilityQuestion]) -> NDArray[np.float64]:
        return np.array([scores[question.item_ids] for question in asked], dtype=np.float64)

    def of_candidates(asked: Sequence[FillInTheBlankQuestion]) -> NDArray[np.float64]:
        rows = [[scores[complete(question.item_ids, choice)] for choice in question.candidates] for question in asked]
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


def _table(asked: Sequence[FillInTheBlankQuestion]) -> tuple[int, int]:
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
