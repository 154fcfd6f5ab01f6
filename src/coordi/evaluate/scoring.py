"""Scores every outfit of the questions once per scorer, and keeps scores on disk."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from coordi.artifacts import Progress, atomic_path
from coordi.errors import ArtifactError, EvaluationError
from coordi.evaluate.question_sets import ProtocolQuestions


class OutfitScorer(Protocol):
    """Says how well items go together.

    Attributes:
        name: What reports and files call it; unique among the scorers of one evaluation.
        gives_probabilities: Whether its scores are meant as probabilities, so that their calibration can be measured
            as they are.
    """

    name: str
    gives_probabilities: bool

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Compatibility of each outfit, shape ``(N,)``, finite, higher is better.

        Args:
            outfits: Item ids. An id may only be used to look its item up, never as a feature: in the Maryland
                release it names the outfit.
        """
        ...


def no_scores() -> NDArray[np.float64]:
    """The scores of a task that wasn't answered, shape ``(0,)``."""
    return np.zeros(0)


def no_rows() -> NDArray[np.float64]:
    """The candidates' scores of a task that wasn't answered, shape ``(0, 0)``."""
    return np.zeros((0, 0))


@dataclass(frozen=True, slots=True)
class RawScores:
    """What one scorer said to one protocol's questions, in their order; a task it didn't answer is empty.

    Every score is finite, higher is better, and scores of different tasks need not be on one scale.

    Attributes:
        valid: Of the compatibility questions of the validation split, shape ``(V,)``.
        test: Of the compatibility questions of the test split, shape ``(N,)``.
        blanks: Of each candidate in each blank, shape ``(Q, C)``.
        retrieval: Of each candidate in each retrieval query, shape ``(R, P)``.
    """

    valid: NDArray[np.float64] = field(default_factory=no_scores)
    test: NDArray[np.float64] = field(default_factory=no_scores)
    blanks: NDArray[np.float64] = field(default_factory=no_rows)
    retrieval: NDArray[np.float64] = field(default_factory=no_rows)


@runtime_checkable
class ScoreSource(Protocol):
    """Scores that were made elsewhere, looked up by question instead of worked out from items.

    Nothing says that they are probabilities, so they aren't measured as such before they are calibrated.
    """

    @property
    def name(self) -> str:
        """What reports call it; unique among the scorers of one evaluation."""
        ...

    def scores(self, part: ProtocolQuestions) -> RawScores | None:
        """The scores of one protocol, in the order of its questions; None if it answers none of its tasks."""
        ...


# Few enough that little is lost on Ctrl-C, enough that a language model's batches stay full.
CHUNK = 256
# What a kill without warning loses at most, beside the chunk in work.
_SECONDS_BETWEEN_WRITES = 10.0

ItemIds = tuple[str, ...]
Scores = dict[ItemIds, float]


def completed(item_ids: Sequence[str], candidate: str) -> ItemIds:
    """An outfit with a candidate added, as evaluation and recommendation both ask for it: the candidate last."""
    return (*item_ids, candidate)


def score_all(
    scorers: Sequence[OutfitScorer],
    groups: Sequence[Sequence[ItemIds]],
    progress: Progress,
    folder: Path | None,
) -> list[Scores]:
    """Score every outfit with every scorer.

    Args:
        scorers: Each is asked for every outfit once, even one that several groups share.
        groups: Outfits, such as those of one protocol.
        progress: Counts outfits, over all scorers.
        folder: Where scores are kept; None keeps none.

    Returns:
        By scorer, the score of each outfit.

    Raises:
        EvaluationError: If a scorer gives another shape than asked for, or a score that isn't finite.
    """
    chunks = _chunks(groups)
    total = len(scorers) * sum(map(len, chunks))
    done = 0
    answers = []
    for number, scorer in enumerate(scorers):
        kept = _Kept(folder / f"{number}-{_file_name(scorer.name)}.parquet" if folder else None)
        with kept:
            for chunk in chunks:
                if not all(outfit in kept.scores for outfit in chunk):
                    kept.add(zip(chunk, _scores(scorer, chunk), strict=True))
                done += len(chunk)
                progress(done, total)
        answers.append(kept.scores)
    return answers


class _Kept:
    """One scorer's scores, with a file that is never far behind them.

    The file is written whole, so not after every chunk: that would take time with the square of their number.
    """

    def __init__(self, path: Path | None) -> None:
        self.scores: Scores = _read(path) if path and path.exists() else {}
        self._path = path
        self._written = time.monotonic()
        self._is_behind = False

    def __enter__(self) -> _Kept:
        return self

    def __exit__(self, *ending: object) -> None:
        self._write()

    def add(self, scores: Iterable[tuple[ItemIds, float]]) -> None:
        """Note scores, and write all of them if the last time was long ago."""
        self.scores.update(scores)
        self._is_behind = True
        if time.monotonic() - self._written > _SECONDS_BETWEEN_WRITES:
            self._write()

    def _write(self) -> None:
        if self._path and self._is_behind:
            _write(self._path, self.scores)
            self._written, self._is_behind = time.monotonic(), False


def _chunks(groups: Sequence[Sequence[ItemIds]]) -> list[list[ItemIds]]:
    """The same chunks whatever is known already: a model's rounding may depend on what shares its batch."""
    seen: set[ItemIds] = set()
    chunks = []
    for group in groups:
        fresh = sorted(set(group) - seen, key=lambda outfit: (len(outfit), outfit))
        seen.update(fresh)
        chunks += [fresh[start : start + CHUNK] for start in range(0, len(fresh), CHUNK)]
    return chunks


def _scores(scorer: OutfitScorer, outfits: Sequence[ItemIds]) -> list[float]:
    scores: NDArray[np.float64] = np.asarray(scorer.score(outfits), dtype=np.float64)  # (N,)
    if scores.shape != (len(outfits),):
        raise EvaluationError(f"{scorer.name} gave scores of shape {scores.shape} for {len(outfits)} outfits")
    broken = np.flatnonzero(~np.isfinite(scores))
    if broken.size:
        raise EvaluationError(
            f"{scorer.name} gave {scores[broken[0]]} for an outfit of {len(outfits[broken[0]])} items; "
            "every score must be a finite number"
        )
    return [float(score) for score in scores]


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "scorer"


def _write(path: Path, scores: Scores) -> None:
    table = pa.table(
        {"item_ids": pa.array([list(ids) for ids in scores], pa.list_(pa.string())), "score": list(scores.values())}
    )
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def _read(path: Path) -> Scores:
    try:
        table = pq.read_table(path).to_pydict()
        return {tuple(ids): float(score) for ids, score in zip(table["item_ids"], table["score"], strict=True)}
    except (OSError, pa.ArrowException, KeyError) as error:
        raise ArtifactError(f"{path} can't be read ({error}); delete it and run the command again") from error
