"""Scores of outfits: each outfit once per scorer, saved so that an interrupted evaluation can be resumed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import ShowProgress, atomic_path
from coordi.errors import ArtifactError, EvaluationError, require
from coordi.evaluation.question_sets import TASKS, ProtocolQuestions, Task
from coordi.types import Item, OutfitScorer

# Small enough to lose little on Ctrl-C, large enough to fill a language model's batches.
CHUNK = 256
# A killed process loses the scores of this time, and of the current chunk.
_SECONDS_BETWEEN_WRITES = 10.0

ItemIds = tuple[str, ...]
Scores = dict[ItemIds, float]


def score_all(
    scorers: Sequence[OutfitScorer],
    groups: Sequence[Sequence[ItemIds]],
    items: Mapping[str, Item],
    show_progress: ShowProgress,
    folder: Path | None,
) -> list[Scores]:
    """Every outfit's score by each scorer, saved in the folder as they come; each scorer has its own progress."""
    chunks = _chunks(groups)
    check_items([outfit for chunk in chunks for outfit in chunk], items)
    size = sum(map(len, chunks))
    results = []
    for number, scorer in enumerate(scorers):
        done = 0
        path = folder / f"{number}-{_file_name(scorer.name)}.parquet" if folder else None
        scores = _read(path) if path and path.exists() else {}
        before, written = len(scores), time.monotonic()
        try:
            with show_progress(f"{scorer.name}, {number + 1} of {len(scorers)}") as progress:
                for chunk in chunks:
                    if not all(outfit in scores for outfit in chunk):
                        scores.update(zip(chunk, _scores(scorer, chunk, items), strict=True))
                    # The whole file is written each time, so not after every chunk: that would take quadratic time.
                    if path and time.monotonic() - written > _SECONDS_BETWEEN_WRITES:
                        _write(path, scores)
                        before, written = len(scores), time.monotonic()
                    done += len(chunk)
                    progress(done, size)
        finally:
            if path and len(scores) > before:
                _write(path, scores)
        results.append(scores)
    return results


def completed(item_ids: Sequence[str], candidate: str) -> ItemIds:
    """An outfit with a candidate added at its end, the order in which recommendations are scored too."""
    return (*item_ids, candidate)


def check_items(outfits: Iterable[Sequence[str]], items: Mapping[str, Item]) -> None:
    """Raise ``EvaluationError`` for questions about items that aren't in the data set."""
    unknown = sorted({item_id for outfit in outfits for item_id in outfit if item_id not in items})
    if unknown:
        raise EvaluationError(
            f"{len(unknown)} item ids of the questions aren't in the data set, such as '{unknown[0]}'; accepted are "
            f"the ids of its {len(items)} items"
        )


@dataclass(frozen=True, slots=True)
class RawScores:
    """One scorer's scores of one protocol's questions, in their order; a task without answers is empty.

    Every score is finite, higher is better. Shapes are ``(V,)`` and ``(N,)`` for the compatibility questions of the
    validation and test split, ``(Q, C)`` and ``(R, P)`` for the candidates of blanks and of retrieval queries.
    """

    valid: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    test: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    blanks: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    retrieval: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))


@dataclass(frozen=True, slots=True)
class ScorerResult:
    """One scorer under one protocol; a task that the protocol lacks, or the scorer didn't answer, is empty.

    Scores of at least ``threshold``, chosen on the validation split, are predicted compatible; it is NaN without such
    questions. ``probabilities`` are ``scores``, shape ``(N,)``, after Platt scaling on validation.
    """

    scorer: str
    threshold: float
    scores: NDArray[np.float64]
    blank_scores: NDArray[np.float64]
    retrieval_scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    probabilities: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    gives_probabilities: bool = False

    @property
    def predicted(self) -> NDArray[np.bool_]:
        """Predictions at the threshold, shape ``(N,)``."""
        predictions: NDArray[np.bool_] = self.scores >= self.threshold
        return predictions

    @property
    def by_task(self) -> dict[Task, NDArray[np.float64]]:
        """Test scores of the tasks that the scorer answered."""
        parts = (self.scores, self.blank_scores, self.retrieval_scores)
        return {task: scores for task, scores in zip(TASKS, parts, strict=True) if scores.size}


@dataclass(frozen=True, slots=True)
class ProtocolResult:
    """One protocol's questions and the results of its scorers: the model under test first, which answered all."""

    questions: ProtocolQuestions
    results: tuple[ScorerResult, ...]


@dataclass(frozen=True, slots=True)
class ReportWarning:
    """Something that a reader of the figures must know, and the protocols and tasks that it is about."""

    where: str
    text: str


@runtime_checkable
class ScoreSource(Protocol):
    """Scores that are looked up by question instead of computed from items: of a file, or of a leak baseline."""

    @property
    def name(self) -> str:
        """Unique among the scorers of one evaluation."""

    def scores(self, part: ProtocolQuestions) -> RawScores | None:
        """Scores of one protocol, in the order of its questions; None if none of its tasks is answered."""


def _chunks(groups: Sequence[Sequence[ItemIds]]) -> list[list[ItemIds]]:
    """Chunks that don't depend on saved scores: a model's rounding may depend on the other outfits of a batch."""
    earlier: set[ItemIds] = set()
    chunks = []
    for group in groups:
        fresh = sorted(set(group) - earlier, key=lambda outfit: (len(outfit), outfit))
        earlier.update(fresh)
        chunks += [fresh[start : start + CHUNK] for start in range(0, len(fresh), CHUNK)]
    return chunks


def _scores(scorer: OutfitScorer, outfits: Sequence[ItemIds], items: Mapping[str, Item]) -> list[float]:
    scores: NDArray[np.float64] = np.asarray(
        scorer.score([[items[item_id] for item_id in outfit] for outfit in outfits]), dtype=np.float64
    )  # (N,)
    if scores.shape != (len(outfits),):
        raise EvaluationError(f"{scorer.name} returned scores of shape {scores.shape} for {len(outfits)} outfits")
    broken = np.flatnonzero(~np.isfinite(scores))
    if broken.size:
        raise EvaluationError(
            f"{scorer.name} returned {scores[broken[0]]} for an outfit of {len(outfits[broken[0]])} items; "
            "every score must be a finite number"
        )
    return [float(score) for score in scores]


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "scorer"


def _write(path: Path, scores: Scores) -> None:
    pa = require("pyarrow", "train")
    ids = pa.array([list(item_ids) for item_ids in scores], pa.list_(pa.string()))
    table = pa.table({"item_ids": ids, "score": list(scores.values())})
    with atomic_path(path) as temporary:
        require("pyarrow.parquet", "train").write_table(table, temporary)


def _read(path: Path) -> Scores:
    pa = require("pyarrow", "train")
    try:
        table = require("pyarrow.parquet", "train").read_table(path).to_pydict()
        return {tuple(ids): float(score) for ids, score in zip(table["item_ids"], table["score"], strict=True)}
    except (OSError, pa.ArrowException, KeyError) as error:
        raise ArtifactError(f"{path} can't be read ({error}); delete it and run the command again") from error
