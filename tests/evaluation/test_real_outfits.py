"""The plain baselines on the real outfits: figures in the range that the task's nature allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordi.config import DataSettings, EvaluateSettings
from coordi.data.loading import load
from coordi.encoders.edge import EdgeEncoder
from coordi.evaluation.baselines import BaselineInputs, build_baselines
from coordi.evaluation.benchmark import Evaluation
from coordi.types import Dataset

from .scorers import evaluate

pytest.importorskip("sklearn")

RELEASE = Path(__file__).parents[2] / ".." / "shared" / "data" / "polyvore-maryland"
SEED = 17

pytestmark = pytest.mark.skipif(not RELEASE.is_dir(), reason=f"the real outfits aren't at {RELEASE}")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load(RELEASE, DataSettings(photos="optional"), SEED, check_photos=False)


@pytest.fixture(scope="module")
def evaluation(dataset: Dataset) -> Evaluation:
    settings = EvaluateSettings(bootstrap=100, retrieval_pool=0)
    inputs = BaselineInputs(dataset, EdgeEncoder.bundled(), settings, SEED)
    baselines, _ = build_baselines(inputs, "quick")
    scorers = [scorer for scorer in baselines if scorer.name in ("category-pairs", "title-cosine")]
    return evaluate(dataset, scorers, settings, SEED)


@pytest.mark.slow
def test_categories_tell_random_negatives_and_hardly_those_of_the_same_category(evaluation: Evaluation) -> None:
    auc = {protocol: figures["auc"] for protocol, figures in evaluation.tasks["compatibility"].items()}
    assert 0.8 < auc["random"] < 0.97
    # Items drawn one by one bring two pairs of shoes and no top, so that random negatives are easy without any style.
    # What is left is the source's finer kinds; worn categories alone are the same on both sides.
    assert 0.45 < auc["same-category"] < 0.7


def test_questions_are_balanced_and_intervals_hold_their_figures(evaluation: Evaluation) -> None:
    for figures in evaluation.tasks["compatibility"].values():
        assert figures["n"] > 300
        assert 0.4 < figures["positives"] / figures["n"] < 0.6
        for one in (figures, *figures["baselines"].values()):
            for name in ("accuracy", "f1", "auc"):
                low, high = one["ci95"][name]
                assert low <= one[name] <= high
                assert high - low < 0.2


def test_no_baseline_chooses_among_the_same_category_as_if_it_knew_the_answer(evaluation: Evaluation) -> None:
    """Far above chance here would be a leak: neither baseline sees more than kinds and shared words."""
    blanks = evaluation.tasks["fill_in_the_blank"]
    for one in (blanks["same-category"], *blanks["same-category"]["baselines"].values()):
        assert one["accuracy"] < 0.5
