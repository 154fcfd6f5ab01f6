"""Several sets of questions, each drawn with its own seed: how much figures move by the draw alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from coordi.config import EvaluateSettings
from coordi.errors import EvaluationError
from coordi.evaluate import metrics
from coordi.evaluate.benchmark import Scorer, gather
from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.results import Evaluation, ProtocolResult, ScorerResult
from coordi.evaluate.scorer import ScoreSource
from coordi.progress import Progress, silent

MakeSet = Callable[[int], tuple[Sequence[ProtocolQuestions], Sequence[Scorer]]]
"""The questions of a seed, and the scorers to ask them, as fitted with that seed."""

Place = tuple[str, str, str, str]  # task, protocol, scorer, metric


def measure_seeds(
    first: Evaluation,
    make: MakeSet,
    settings: EvaluateSettings,
    seed: int,
    progress: Progress = silent,
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
