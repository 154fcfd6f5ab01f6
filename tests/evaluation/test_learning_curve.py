"""More training outfits: nested shares, the same questions, and what is too small is left out and named."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.config import EvaluateSettings
from coordi.encoders.edge import EdgeEncoder
from coordi.evaluation import set_transformer
from coordi.evaluation.baselines import BaselineInputs, learning_curve, make_baseline, training_share
from coordi.evaluation.metrics import roc_auc
from coordi.evaluation.question_sets import ProtocolQuestions, draw_questions
from coordi.types import Dataset, Item

pytest.importorskip("sklearn")
pytest.importorskip("torch")

SETTINGS = EvaluateSettings(
    protocols=("random", "same-category"), retrieval_pool=0, bootstrap=100, learning_curve=(1.0, 0.2, 0.5)
)


@pytest.fixture
def inputs(wardrobe: Dataset, monkeypatch: pytest.MonkeyPatch) -> BaselineInputs:
    monkeypatch.setattr(set_transformer, "_FEWEST_STEPS", 10)
    monkeypatch.setattr(set_transformer, "_CHECKS", 2)
    return BaselineInputs(wardrobe, EdgeEncoder.bundled(), SETTINGS, 17)


@pytest.fixture
def questions(wardrobe: Dataset) -> tuple[ProtocolQuestions, ...]:
    return draw_questions(wardrobe, SETTINGS, 17)


@pytest.mark.slow
def test_every_trained_baseline_is_measured_at_every_share(
    inputs: BaselineInputs, questions: tuple[ProtocolQuestions, ...]
) -> None:
    done: list[tuple[int, int]] = []
    rows, left_out = learning_curve(inputs, questions, lambda count, total: done.append((count, total)))
    assert not left_out
    assert [(row["scorer"], row["outfits"], row["protocol"]) for row in rows] == [
        (scorer, outfits, protocol)
        for scorer in ("category-pairs", "set-transformer")
        for outfits in (6, 15, 30)
        for protocol in ("random", "same-category")
    ]
    assert done == [(count, 6) for count in range(7)]
    for row in rows:
        assert 0 <= row["auc"] <= 1
        assert row["ci95"] is not None
        assert row["ci95"][0] <= row["auc"] <= row["ci95"][1]
    pairs = {
        row["outfits"]: row["auc"] for row in rows if (row["scorer"], row["protocol"]) == ("category-pairs", "random")
    }
    # Two pairs of shoes don't go together: a few outfits teach it.
    assert pairs[30] > 0.9


@pytest.mark.slow
def test_the_last_point_is_the_baseline_itself(
    inputs: BaselineInputs, questions: tuple[ProtocolQuestions, ...]
) -> None:
    rows, _ = learning_curve(inputs, questions)
    for name in ("category-pairs", "set-transformer"):
        scorer = make_baseline(name, inputs)
        for part in questions:
            whole = next(
                row for row in rows if (row["scorer"], row["protocol"], row["outfits"]) == (name, part.protocol, 30)
            )
            assert whole["auc"] == roc_auc(
                scorer.score([inputs.dataset.items_of(one.item_ids) for one in part.test]), part.labels
            )


@pytest.mark.slow
def test_the_probe_is_there_if_states_are(inputs: BaselineInputs, questions: tuple[ProtocolQuestions, ...]) -> None:
    def states(outfits: Sequence[Sequence[Item]]) -> NDArray[np.float32]:
        return np.array([[len({item.title.split()[0] for item in outfit}), 1] for outfit in outfits])

    whole, _ = learning_curve(replace(inputs, states=states), questions)
    rows = [row for row in whole if row["scorer"] == "frozen-probe"]
    assert [row["outfits"] for row in rows] == [6, 6, 15, 15, 30, 30]
    assert min(row["auc"] for row in rows) > 0.9


def test_shares_are_nested_and_leave_the_rest_alone(wardrobe: Dataset) -> None:
    drawn = [training_share(wardrobe, share, 17) for share in (0.01, 0.1, 0.5, 1.0)]
    assert [len(one.outfits_of("train")) for one in drawn] == [1, 3, 15, 30]
    for smaller, larger in itertools.pairwise(drawn):
        assert set(smaller.outfits_of("train")) < set(larger.outfits_of("train"))
    for one in drawn:
        assert one.outfits_of("valid") == wardrobe.outfits_of("valid")
        assert one.outfits_of("test") == wardrobe.outfits_of("test")
        assert one.items == wardrobe.items
    assert drawn[-1] == wardrobe
    assert training_share(wardrobe, 0.5, 18).outfits != drawn[2].outfits


@pytest.mark.slow
def test_the_probe_reads_the_same_outfits_for_every_share_and_learns_from_the_share(
    inputs: BaselineInputs, questions: tuple[ProtocolQuestions, ...]
) -> None:
    train = {item_id for one in inputs.dataset.outfits_of("train") for item_id in one.item_ids}
    read: set[tuple[tuple[str, ...], ...]] = set()
    rng = np.random.default_rng(4)
    known: dict[tuple[str, ...], NDArray[np.float32]] = {}

    def states(outfits: Sequence[Sequence[Item]]) -> NDArray[np.float32]:
        asked = tuple(tuple(item.id for item in outfit) for outfit in outfits)
        if train.intersection(*[asked[0]]):
            read.add(asked)
        return np.stack([known.setdefault(one, rng.normal(size=4).astype(np.float32)) for one in asked])

    settings = SETTINGS.model_copy(update={"learning_curve": (0.2, 0.5, 1.0)})
    rows, _ = learning_curve(replace(inputs, states=states, settings=settings), questions)
    assert len(read) == 1
    aucs = {
        (row["outfits"], row["auc"]) for row in rows if row["scorer"] == "frozen-probe" and row["protocol"] == "random"
    }
    assert len(aucs) == 3
    assert len({auc for _, auc in aucs}) > 1  # noise, learned from other outfits


@pytest.mark.slow
def test_curves_are_of_the_protocols_that_are_trained_on(
    inputs: BaselineInputs, questions: tuple[ProtocolQuestions, ...]
) -> None:
    settings = SETTINGS.model_copy(update={"learning_curve": (1.0,)})
    swapped = replace(questions[0], protocol="one-swapped")
    rows, _ = learning_curve(replace(inputs, settings=settings), [*questions, swapped])
    assert {row["protocol"] for row in rows} == {"random", "same-category"}
    rows, _ = learning_curve(replace(inputs, settings=settings), [swapped])
    assert {row["protocol"] for row in rows} == {"one-swapped"}


def test_a_share_that_is_too_small_is_left_out_and_that_is_said(
    inputs: BaselineInputs, questions: tuple[ProtocolQuestions, ...]
) -> None:
    settings = SETTINGS.model_copy(update={"learning_curve": (0.01, 0.02, 0.5)})
    rows, left_out = learning_curve(replace(inputs, settings=settings), questions)
    assert {(row["scorer"], row["outfits"]) for row in rows} == {("category-pairs", 15), ("set-transformer", 15)}
    # Both shares are of one outfit, which is tried once.
    assert list(left_out) == ["category-pairs on 1 training outfits", "set-transformer on 1 training outfits"]
    assert all(reason.startswith("the train split of") for reason in left_out.values())


def test_protocols_without_test_questions_are_passed_over(
    inputs: BaselineInputs, questions: tuple[ProtocolQuestions, ...]
) -> None:
    settings = SETTINGS.model_copy(update={"learning_curve": (1.0,)})
    blanks_only = replace(questions[0], protocol="release", test=())
    rows, _ = learning_curve(replace(inputs, settings=settings), [blanks_only, questions[1]])
    assert {row["protocol"] for row in rows} == {"same-category"}


def test_without_training_outfits_there_is_no_curve_and_that_is_said(
    inputs: BaselineInputs, questions: tuple[ProtocolQuestions, ...]
) -> None:
    without = replace(inputs.dataset, outfits=inputs.dataset.outfits_of("test"))
    rows, left_out = learning_curve(replace(inputs, dataset=without), questions)
    assert rows == ()
    assert list(left_out) == ["category-pairs", "set-transformer"]
    assert all("has no train outfits" in reason for reason in left_out.values())
