"""Scores of two runs on the same questions, and their paired difference by outfit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from coordi.errors import ArtifactError
from coordi.evaluate.metrics import true_ranks
from coordi.evaluate.recorded import RecordedRun
from coordi.evaluate.resampling import Resamples, percentile_interval
from coordi.evaluate.score_files import read_scores
from coordi.evaluate.significance import paired_p_value, smallest_difference
from coordi.evaluate.summary import Interval
from coordi.evaluate.wording import Task

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

    run: RecordedRun
    table: pa.Table
    drawn: dict[tuple[str, ...], Resamples] = field(default_factory=dict)

    @classmethod
    def read(cls, run: RecordedRun) -> ScoredRun:
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
