"""Leak alarms: loud on planted leaks in what is asked, silent on clean questions, blind to an outfit's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.config import EvaluateSettings
from coordi.data.questions import compatibility_questions
from coordi.encoders.edge import EdgeEncoder
from coordi.errors import EvaluationError
from coordi.evaluation.baselines import BaselineInputs, build_baselines
from coordi.evaluation.benchmark import EvaluationRun, gather
from coordi.evaluation.leak_baselines import OrderBaseline, SizeBaseline
from coordi.evaluation.metrics import roc_auc
from coordi.evaluation.question_sets import ProtocolQuestions, draw_questions
from coordi.evaluation.scoring import ScoreSource
from coordi.types import CompatibilityQuestion, Dataset, FitbQuestion, Item, Split

from .conftest import MakeWardrobe
from .scorers import measure

pytest.importorskip("sklearn")
pytest.importorskip("torch")

SEED = 17
SETTINGS = EvaluateSettings(bootstrap=100)


def released(dataset: Dataset, change: Callable[[CompatibilityQuestion], tuple[str, ...]]) -> ProtocolQuestions:
    """Questions as of a release, 240 of test and 240 of validation; each has a negative and an id of its own."""

    def of(split: Split) -> tuple[CompatibilityQuestion, ...]:
        drawn = [q for epoch in range(10) for q in compatibility_questions(dataset, split, "same-category", 17, epoch)]
        return tuple(replace(one, outfit_id=str(number), item_ids=change(one)) for number, one in enumerate(drawn))

    return ProtocolQuestions("release", of("valid"), of("test"))


def cut(question: CompatibilityQuestion) -> tuple[str, ...]:
    """Negatives that are one item short, half of the time."""
    short = not question.compatible and int(question.item_ids[0]) % 2
    return question.item_ids[:-1] if short else question.item_ids


def in_order(question: CompatibilityQuestion) -> tuple[str, ...]:
    """Positives in the order of the source, as releases have them; items of the wardrobe are numbered in it."""
    return tuple(sorted(question.item_ids, key=int)) if question.compatible else question.item_ids


def shortened(question: CompatibilityQuestion) -> tuple[str, ...]:
    """Two to four items, whatever the answer."""
    kept = int(np.random.default_rng([int(item_id) for item_id in question.item_ids]).integers(2, 5))
    return question.item_ids[:kept]


def auc_of(dataset: Dataset, part: ProtocolQuestions) -> dict[str, float]:
    """AUC of the two alarms, as a report has them."""
    inputs = BaselineInputs(dataset, EdgeEncoder.bundled(), SETTINGS, SEED)
    scorers, _ = build_baselines(inputs)
    chosen = sorted(
        (one for one in scorers if one.name in ("chance", "size", "order")), key=lambda one: one.name != "chance"
    )
    found = measure([part], chosen, SETTINGS, SEED, dataset.items).tasks["compatibility"]["release"]["baselines"]
    return {name: found[name]["auc"] for name in ("size", "order")}


def test_a_leak_of_sizes_is_loud(wardrobe: Dataset) -> None:
    assert auc_of(wardrobe, released(wardrobe, cut))["size"] > 0.65


def test_a_leak_of_the_order_is_loud(wardrobe: Dataset) -> None:
    found = auc_of(wardrobe, released(wardrobe, in_order))
    assert found["order"] > 0.9
    assert found["size"] == 0.5


def test_clean_questions_are_silent(wardrobe: Dataset) -> None:
    found = auc_of(wardrobe, released(wardrobe, shortened))
    assert 0.4 < found["size"] < 0.6
    assert 0.4 < found["order"] < 0.6


def test_size_is_constant_where_coordi_draws(wardrobe: Dataset) -> None:
    for part in draw_questions(wardrobe, SETTINGS, SEED):
        said = SizeBaseline(SEED).scores(part)
        assert said is not None
        assert set(said.test.tolist()) == set(said.valid.tolist()) == {0.0}
        # All candidates complete an outfit to one size.
        assert not said.blanks.size
        assert not said.retrieval.size


def test_size_is_constant_where_every_outfit_has_three_negatives() -> None:
    """Weights that differ by rounding alone would order sizes."""
    asked = tuple(
        CompatibilityQuestion(f"{number}-{copy}", str(number), tuple("abcdefgh"[: 2 + number % 7]), copy == 0)
        for number in range(40)
        for copy in range(4)
    )
    said = SizeBaseline(SEED).scores(ProtocolQuestions("release", asked, asked))
    assert said is not None
    assert set(said.test.tolist()) == {0.0}


def test_size_by_hand() -> None:
    def question(name: str, size: int, compatible: bool) -> CompatibilityQuestion:
        return CompatibilityQuestion(name, name, tuple("abcdef"[:size]), compatible)

    # Four alike of each class, so both halves have two: compatible ones have three items, others two.
    asked = tuple(question(f"{size}{n}", size, size == 3) for size in (2, 3) for n in range(4))
    said = SizeBaseline(SEED).scores(ProtocolQuestions("release", asked, asked))
    assert said is not None
    # Learned from two of two items and two of three, with ten at the common share of one half: (0 + 5) / (2 + 5).
    assert said.test == pytest.approx([np.log(5 / 7)] * 4 + [np.log(7 / 5)] * 4, abs=1e-8)


def test_sizes_that_tell_nothing_are_as_often_right_as_wrong() -> None:
    """Cross-fitting on ten folds gives 0.47 here: what is left out leans the other way."""
    found = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        asked = tuple(
            CompatibilityQuestion(
                str(n), str(n), tuple("abcdefghijkl"[: 3 + min(int(rng.geometric(0.35)), 9)]), n % 2 > 0
            )
            for n in range(120)
        )
        said = SizeBaseline(seed).scores(ProtocolQuestions("release", asked[:4], asked))
        assert said is not None
        found.append(roc_auc(said.test, np.arange(120) % 2 > 0))
    assert 0.488 < np.mean(found) < 0.512


def test_order_does_not_see_what_is_there() -> None:
    """Categories alone answer these questions; each is asked in both orders."""
    items = {"t": Item("t", "", "top"), "b": Item("b", "", "bottom"), "s": Item("s", "", "shoes")}
    asked = tuple(
        CompatibilityQuestion(f"{n}{ids}", str(n), tuple(ids), compatible)
        for n in range(6)
        for ids, compatible in (("tb", True), ("bt", True), ("ts", False), ("st", False))
    )
    said = OrderBaseline(items, SEED).scores(ProtocolQuestions("release", asked, asked))
    assert said is not None
    np.testing.assert_allclose(said.test, 0, atol=1e-4)


def with_choices(dataset: Dataset, part: ProtocolQuestions) -> ProtocolQuestions:
    """Blanks of the first forty test questions' outfits, and of one that has no question."""
    shoes, bags = ([one.id for one in dataset.items.values() if one.category == name] for name in ("shoes", "bag"))
    blanks = [
        FitbQuestion(f"b{n}", outfit_id, ("0", "1"), (shoes[n], bags[n], "0"), 0)
        for n, outfit_id in enumerate([*(one.outfit_id for one in part.test[:40]), "elsewhere"])
    ]
    return replace(part, blanks=tuple(blanks), retrieval=tuple(blanks[:10]))


def everything(alarm: ScoreSource, part: ProtocolQuestions) -> list[NDArray[np.float64]]:
    said = alarm.scores(part)
    assert said is not None
    return [said.valid, said.test, said.blanks, said.retrieval]


@pytest.mark.parametrize("name", ["size", "order"])
@pytest.mark.slow
def test_no_outfit_is_both_learned_from_and_scored(name: str, wardrobe: Dataset) -> None:
    part = with_choices(wardrobe, released(wardrobe, cut if name == "size" else in_order))
    # Each outfit has one of each class, so that the halves stay as they are when the two change places.
    each = [[one for one in part.test if one.compatible is truth] for truth in (True, False)]
    paired = tuple(
        replace(one, outfit_id=str(number)) for number, both in enumerate(zip(*each, strict=True)) for one in both
    )
    part = with_choices(wardrobe, replace(part, test=paired))
    alarm: ScoreSource = SizeBaseline(SEED) if name == "size" else OrderBaseline(wardrobe.items, SEED)
    before = everything(alarm, part)
    sizes: dict[str, set[int]] = {}
    for one in paired:
        sizes.setdefault(one.outfit_id, set()).add(len(one.item_ids))
    # Sizes tell something of an outfit that has two; the first outfits have blanks too.
    told = [own for own in sizes if len(sizes[own]) == 2 or name == "order"][:3]
    assert len(told) == 3
    for own in told:
        other = tuple(replace(one, compatible=one.compatible ^ (one.outfit_id == own)) for one in part.test)
        after = everything(alarm, replace(part, test=other))
        np.testing.assert_array_equal(before[0], after[0])  # validation is apart
        mine = np.array([one.outfit_id == own for one in part.test])
        np.testing.assert_array_equal(before[1][mine], after[1][mine])
        assert (before[1] != after[1]).any()
        if name == "order":
            blanks = np.array([one.outfit_id == own for one in part.blanks])
            assert blanks.any()
            np.testing.assert_array_equal(before[2][blanks], after[2][blanks])
            assert (before[2] != after[2]).any()
            assert (before[2][-1] != after[2][-1]).any()  # whose outfit has no question learns from all


def test_order_scores_candidates_and_both_leave_out_what_they_cannot_learn(wardrobe: Dataset) -> None:
    part = with_choices(wardrobe, released(wardrobe, in_order))
    order, size = OrderBaseline(wardrobe.items, SEED), SizeBaseline(SEED)
    valid, test, blanks, retrieval = everything(order, part)
    assert (valid.shape, test.shape, blanks.shape, retrieval.shape) == ((240,), (240,), (41, 3), (10, 3))
    # In the source shoes and bags stand behind tops and bottoms; a second top behind a bottom doesn't.
    assert (blanks[:, :2].min(axis=1) > blanks[:, 2]).all()
    assert [order.scores(replace(part, test=())), size.scores(replace(part, test=()))] == [None, None]
    gather(
        [part], [_Zero(), order, size], EvaluationRun(SETTINGS, SEED, wardrobe.items)
    )  # shapes are as the benchmark wants them


@pytest.mark.parametrize("name", ["size", "order"])
@pytest.mark.slow
def test_the_same_under_other_ids_and_with_the_same_seed(name: str, wardrobe_with_ids: MakeWardrobe) -> None:
    said = []
    for prefix in ("", "zebra_", "zebra_"):
        dataset = wardrobe_with_ids(prefix)
        plain = released(wardrobe_with_ids(""), in_order)
        valid, test = (tuple(renamed(one, prefix) for one in asked) for asked in (plain.valid, plain.test))
        part = replace(plain, valid=valid, test=test)
        said.append(everything(SizeBaseline(SEED) if name == "size" else OrderBaseline(dataset.items, SEED), part))
    for other in said[1:]:
        for one, two in zip(said[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
    if name == "order":
        other_seed = everything(
            OrderBaseline(wardrobe_with_ids("").items, 18), released(wardrobe_with_ids(""), in_order)
        )
        assert (other_seed[1] != said[0][1]).any()


def test_one_outfit_has_nothing_to_learn_from() -> None:
    items = {"t": Item("t", "", "top"), "b": Item("b", "", "bottom")}
    asked = tuple(CompatibilityQuestion(ids, "o", tuple(ids), ids == "tb") for ids in ("tb", "bt"))
    for alarm in (SizeBaseline(SEED), OrderBaseline(items, SEED)):
        assert everything(alarm, ProtocolQuestions("release", asked, asked))[1].tolist() == [0, 0]


def test_order_names_an_unknown_item(wardrobe: Dataset) -> None:
    part = with_choices(wardrobe, released(wardrobe, in_order))
    blank = replace(part.blanks[0], candidates=("nowhere", "0", "1"))
    with pytest.raises(EvaluationError, match="'nowhere'"):
        OrderBaseline(wardrobe.items, SEED).scores(replace(part, blanks=(blank,)))


def renamed(question: CompatibilityQuestion, prefix: str) -> CompatibilityQuestion:
    ids = tuple(prefix + item_id for item_id in question.item_ids)
    return replace(question, outfit_id=prefix + question.outfit_id, item_ids=ids)


class _Zero:
    name = "zero"
    gives_probabilities = False

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        return np.zeros(len(outfits))
