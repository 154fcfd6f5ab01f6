"""Several seeds: the same scorers on other draws, beside the first, and going on after an interruption."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.config import EvaluateSettings
from coordi.errors import EvaluationError
from coordi.evaluation.benchmark import Evaluation, EvaluationRun, Scorer, evaluate, measure_seeds
from coordi.evaluation.question_sets import ProtocolQuestions, draw_questions
from coordi.evaluation.scoring import RawScores
from coordi.types import Dataset, Item

SETTINGS = EvaluateSettings(
    bootstrap=100, protocols=("random", "same-category", "pairs"), retrieval_pool=4, seeds=3
)  # fmt: skip


class Guesser:
    """Scores by its seed and the outfit; counts what it is asked."""

    gives_probabilities = True

    def __init__(self, seed: int, name: str = "guesser") -> None:
        self.name = name
        self.asked = 0
        self._seed = seed

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        self.asked += len(outfits)
        return np.array(
            [np.random.default_rng([self._seed, *(int(item.id) for item in outfit)]).random() for outfit in outfits]
        )


class Elsewhere:
    """Answers whatever has the ids that it knows, as a file does."""

    name = "elsewhere"

    def scores(self, part: ProtocolQuestions) -> RawScores | None:
        return RawScores(np.zeros(len(part.valid)), np.zeros(len(part.test)))


class Maker:
    """Makes the set of a seed and keeps its scorers, to see what they were asked."""

    def __init__(self, dataset: Dataset) -> None:
        self.made: dict[int, list[Guesser]] = {}
        self._dataset = dataset

    def __call__(self, seed: int) -> tuple[Sequence[ProtocolQuestions], Sequence[Scorer]]:
        self.made[seed] = [Guesser(seed), Guesser(seed + 100, "other")]
        return draw_questions(self._dataset, SETTINGS, seed), [*self.made[seed], Elsewhere()]


def first(dataset: Dataset) -> Evaluation:
    return evaluate(dataset, [Guesser(17), Guesser(117, "other"), Elsewhere()], SETTINGS, 17)


def run(dataset: Dataset, **changes: Any) -> EvaluationRun:
    return replace(EvaluationRun(SETTINGS, 17, dataset.items), **changes)


def test_each_seed_gives_what_it_gives_alone(wardrobe: Dataset) -> None:
    make = Maker(wardrobe)
    found = measure_seeds(first(wardrobe), make, run(wardrobe))
    assert found is not None
    assert found["seeds"] == [17, 18, 19]
    assert list(make.made) == [18, 19]
    assert list(found["compatibility"]) == ["random", "same-category", "pairs"]
    assert (list(found["fill_in_the_blank"]), list(found["retrieval"])) == (
        ["random", "same-category"],
        ["same-category"],
    )
    alone = [evaluate(wardrobe, [Guesser(s), Guesser(s + 100, "other")], SETTINGS, s).tasks for s in (17, 18, 19)]
    for task, metrics in (
        ("compatibility", ["auc", "accuracy"]),
        ("fill_in_the_blank", ["accuracy"]),
        ("retrieval", ["mrr"]),
    ):
        for protocol, scorers in found[task].items():
            assert list(scorers) == ["guesser", "other"]
            for metric in metrics:
                assert scorers["guesser"][metric] == [tasks[task][protocol][metric] for tasks in alone]
                assert scorers["other"][metric] == [
                    tasks[task][protocol]["baselines"]["other"][metric] for tasks in alone
                ]
            assert list(scorers["other"]) == metrics
    assert len(set(found["compatibility"]["random"]["guesser"]["auc"])) > 1


def test_scores_from_elsewhere_answer_the_first_set_alone(wardrobe: Dataset) -> None:
    """Ids of questions are numbers, which come again under another seed for other questions."""
    evaluation = first(wardrobe)
    assert "elsewhere" in evaluation.tasks["compatibility"]["random"]["baselines"]
    found = measure_seeds(evaluation, Maker(wardrobe), run(wardrobe))
    assert found is not None
    assert "elsewhere" not in found["compatibility"]["random"]


def test_one_seed_is_nothing_to_compare(wardrobe: Dataset) -> None:
    make = Maker(wardrobe)
    assert (
        measure_seeds(first(wardrobe), make, replace(run(wardrobe), settings=SETTINGS.model_copy(update={"seeds": 1})))
        is None
    )
    assert make.made == {}


def test_an_interrupted_evaluation_goes_on(wardrobe: Dataset, tmp_path: Path) -> None:
    evaluation = first(wardrobe)
    undisturbed = measure_seeds(evaluation, Maker(wardrobe), run(wardrobe))

    def stopped(seed: int) -> tuple[Sequence[ProtocolQuestions], Sequence[Scorer]]:
        if seed == 19:
            raise KeyboardInterrupt
        return Maker(wardrobe)(seed)

    with pytest.raises(KeyboardInterrupt):
        measure_seeds(evaluation, stopped, run(wardrobe, folder=tmp_path))
    again = Maker(wardrobe)
    assert json.dumps(measure_seeds(evaluation, again, run(wardrobe, folder=tmp_path))) == json.dumps(undisturbed)
    assert [scorer.asked for scorer in again.made[18]] == [0, 0]
    assert all(scorer.asked for scorer in again.made[19])
    assert {path.name for path in tmp_path.iterdir()} == {"seed-18", "seed-19"}


def test_progress_never_falls_and_ends_at_the_whole(wardrobe: Dataset) -> None:
    seen: list[tuple[int, int]] = []
    make = Maker(wardrobe)
    measure_seeds(first(wardrobe), make, run(wardrobe, progress=lambda done, total: seen.append((done, total))))
    asked = sum(scorer.asked for scorers in make.made.values() for scorer in scorers)
    assert seen[-1] == (asked, asked)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert all(done < total for done, total in seen[:-1])


def test_sets_that_share_nothing_are_refused(wardrobe: Dataset) -> None:
    def renamed(seed: int) -> tuple[Sequence[ProtocolQuestions], Sequence[Scorer]]:
        return draw_questions(wardrobe, SETTINGS, seed), [Guesser(seed, "stranger")]

    with pytest.raises(EvaluationError, match="all of the 3 seeds from 17"):
        measure_seeds(first(wardrobe), renamed, run(wardrobe))
