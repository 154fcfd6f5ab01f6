"""The questions of each protocol, the same for every scorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from coordi.config import EvaluateSettings
from coordi.data.questions import draw_compatibility, draw_fill_in_the_blank, draw_retrieval
from coordi.data.style_pairs import STYLE_PAIRS
from coordi.errors import DataError, EvaluationError
from coordi.types import (
    FITB_NEGATIVES,
    NEGATIVES,
    CompatibilityQuestion,
    Dataset,
    FitbQuestion,
    Negatives,
    ReleaseQuestions,
    ReleaseTask,
)

Task = Literal["compatibility", "fill_in_the_blank", "retrieval"]
TASKS: tuple[Task, ...] = ("compatibility", "fill_in_the_blank", "retrieval")
Question = CompatibilityQuestion | FitbQuestion
# The protocol of retrieval: its pools hold items of the true one's category.
_RETRIEVAL_PROTOCOL = "same-category"
# Of a release's questions of a task, the share that must be usable for a figure to represent them.
_LEAST_SHARE = 0.5
_NO_VALIDATION = (
    "There is no validation split: the threshold is 0.5 of a model's own probabilities, which aren't calibrated anew."
)


@dataclass(frozen=True, slots=True)
class ProtocolQuestions:
    """The questions of one protocol; a part that the protocol doesn't have is empty.

    ``valid`` chooses the threshold and the calibration, ``test`` is measured; without ``valid``, P(yes) of 0.5 is the
    threshold. Blanks and retrieval queries are of the
    test split, each kind with as many candidates. Warnings are whole sentences for readers of the figures.
    """

    protocol: str
    valid: tuple[CompatibilityQuestion, ...] = ()
    test: tuple[CompatibilityQuestion, ...] = ()
    blanks: tuple[FitbQuestion, ...] = ()
    retrieval: tuple[FitbQuestion, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def labels(self) -> NDArray[np.bool_]:
        """The truth of the test questions, shape ``(N,)``."""
        return labels_of(self.test)

    @property
    def answers(self) -> NDArray[np.intp]:
        """The true candidate of each blank, shape ``(Q,)``."""
        return answers_of(self.blanks)

    @property
    def by_task(self) -> dict[Task, Sequence[Question]]:
        """Test questions of the tasks that the protocol has."""
        parts: tuple[Sequence[Question], ...] = (self.test, self.blanks, self.retrieval)
        return {task: questions for task, questions in zip(TASKS, parts, strict=True) if questions}


def labels_of(questions: Sequence[CompatibilityQuestion]) -> NDArray[np.bool_]:
    """Whether each outfit is real, shape ``(N,)``."""
    return np.array([question.compatible for question in questions], dtype=bool)


def answers_of(questions: Sequence[FitbQuestion]) -> NDArray[np.intp]:
    """Position of the true candidate of each question, shape ``(Q,)``."""
    return np.array([question.answer for question in questions], dtype=np.intp)


def draw_questions(dataset: Dataset, settings: EvaluateSettings, seed: int) -> tuple[ProtocolQuestions, ...]:
    """The questions of each protocol of the settings, or of every protocol that the data allows.

    Where all are taken, the first one's warnings name the protocols that the data doesn't allow. Raises ``DataError``
    if a split has too few outfits, ``EvaluationError`` if a release's own questions are wanted and too few are usable.
    """
    if dataset.layout == STYLE_PAIRS and settings.protocols in (None, (STYLE_PAIRS,)):
        return tuple(_of_release(dataset, part, seed) for part in dataset.released)
    if settings.protocols is not None:
        if STYLE_PAIRS in settings.protocols or dataset.layout == STYLE_PAIRS:
            raise EvaluationError(
                f"the protocol {STYLE_PAIRS} asks about a .tsv of style pairs alone, and such a table has no other; "
                f"'{dataset.name}' is {dataset.layout}: leave the protocol out, or evaluate both one by one"
            )
        parts: list[ProtocolQuestions] = []
        for protocol in settings.protocols:
            if protocol == "release":
                parts += _required_release(dataset, seed)
            elif protocol != "style-pairs":
                parts.append(_drawn(dataset, protocol, settings, seed))
        return tuple(parts)
    parts = []
    problems: list[str] = []
    for negatives in NEGATIVES:
        try:
            parts.append(_drawn(dataset, negatives, settings, seed))
        except DataError as error:
            problems.append(f"There are no {negatives} questions: {error}.")
    for release in _releases(dataset, seed):
        if release.by_task:
            parts.append(release)
        else:
            problems += release.warnings
    if not parts:
        raise DataError(f"no question can be made of '{dataset.name}': {' '.join(problems)}")
    parts[0] = replace(parts[0], warnings=(*parts[0].warnings, *problems))
    return tuple(parts)


def _drawn(dataset: Dataset, protocol: Negatives, settings: EvaluateSettings, seed: int) -> ProtocolQuestions:
    warnings: list[str] = []
    test = draw_compatibility(dataset, "test", protocol, seed)
    valid: tuple[CompatibilityQuestion, ...] = ()
    if dataset.outfits_of("valid"):
        valid = draw_compatibility(dataset, "valid", protocol, seed).questions
    else:
        warnings.append(_NO_VALIDATION)
    if test.left_out:
        warnings.append(
            f"{test.left_out} of {len(dataset.outfits_of('test'))} test outfits have no question: no other outfit has "
            "items to put in their place."
        )
    blanks: tuple[FitbQuestion, ...] = ()
    if protocol in FITB_NEGATIVES:
        drawn = draw_fill_in_the_blank(dataset, "test", protocol, seed, settings.choices)
        blanks = drawn.questions
        if drawn.fallbacks:
            warnings.append(
                f"{drawn.fallbacks} of {len(blanks) * (settings.choices - 1)} wrong candidates are of another category "
                "than the true item: too few of the same one are there."
            )
    retrieval: tuple[FitbQuestion, ...] = ()
    if protocol == _RETRIEVAL_PROTOCOL and settings.retrieval_pool:
        pools = draw_retrieval(dataset, "test", seed, settings.retrieval_pool, settings.retrieval_queries)
        retrieval = pools.questions
        if pools.left_out:
            warnings.append(
                f"{pools.left_out} test outfits have no retrieval query: no item of theirs has "
                f"{settings.retrieval_pool - 1} others of its category in the split."
            )
    return ProtocolQuestions(protocol, valid, test.questions, blanks, retrieval, tuple(warnings))


def _releases(dataset: Dataset, seed: int) -> list[ProtocolQuestions]:
    return [_of_release(dataset, part, seed) for part in dataset.released if part.split == "test"]


def _required_release(dataset: Dataset, seed: int) -> list[ProtocolQuestions]:
    parts = _releases(dataset, seed)
    if not parts:
        raise EvaluationError(
            f"'{dataset.name}' has no question files for its test split, so there is no release protocol; leave it "
            f"out, or use a release with its own: accepted beside it are {', '.join(NEGATIVES)}"
        )
    for part in parts:
        if not part.by_task:
            problems = " ".join(part.warnings).rstrip(".")
            raise EvaluationError(f"{problems}; get the whole release, or leave the protocol out")
    return parts


def _problems(part: ReleaseQuestions) -> dict[ReleaseTask, str]:
    """Why a task's remaining questions can't represent the release; a task without a file has no problem."""
    problems: dict[ReleaseTask, str] = {}
    for task, (usable, file) in part.by_task().items():
        if file.count and (not usable or usable < _LEAST_SHARE * file.count):
            reasons = "; ".join(f"{count} {reason}" for reason, count in file.losses.items())
            problems[task] = f"only {usable} of the {file.count} can be, which is less than half ({reasons})"
    total, positives = len(part.compatibility), sum(question.compatible for question in part.compatibility)
    if total and positives in (0, total):
        problems["compatibility"] = f"{positives} of the {total} are compatible, so there is one answer"
    return problems


def _of_release(dataset: Dataset, part: ReleaseQuestions, seed: int) -> ProtocolQuestions:
    problems = _problems(part)
    warnings = [
        f"The release's own {task} questions ('{part.name}') aren't asked: {problem}."
        for task, problem in problems.items()
    ]
    for task, (_, file) in part.by_task().items():
        if task not in problems:
            of = f"of the {file.count} {task} questions of '{part.name}'"
            warnings += [f"{count} {of}: {reason}." for reason, count in file.losses.items()]
    if not any(file.count for _, file in part.by_task().values()):
        warnings.append(f"The release's own questions ('{part.name}') aren't asked: its files are empty.")
    test = () if "compatibility" in problems else part.compatibility
    blanks = () if "fill-in-the-blank" in problems else part.blanks
    valid = next((own for own in dataset.released if own.split == "valid" and own.name == part.name), None)
    chosen_on: Sequence[CompatibilityQuestion] = valid.compatibility if valid and test else ()
    if test and not chosen_on and not dataset.outfits_of("valid"):
        warnings.append(_NO_VALIDATION)
    elif test and not chosen_on:
        drawn: Negatives = "same-category" if "resampled" in part.name else "random"
        chosen_on = draw_compatibility(dataset, "valid", drawn, seed).questions
        warnings.append(
            f"The release has no such questions for its validation split, so thresholds are chosen on {drawn} ones."
        )
    return ProtocolQuestions(part.name, tuple(chosen_on), test, blanks, (), tuple(warnings))
