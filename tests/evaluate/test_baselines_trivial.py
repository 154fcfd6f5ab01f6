"""Scorers that know nothing of style: at chance on honest questions, far above it on planted leaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from coordi.data.questions import compatibility_questions
from coordi.domain import CompatibilityQuestion, Dataset, Item, Outfit
from coordi.errors import EvaluationError
from coordi.evaluate.baselines.training import training_questions
from coordi.evaluate.baselines.trivial import Chance, Order, Popularity, Size
from coordi.evaluate.metrics import roc_auc
from coordi.evaluate.scorer import OutfitScorer

pytest.importorskip("sklearn")

ITEMS = {
    "t": Item("t", "Red Shirt", "top"),
    "T": Item("T", "red shirt", "top"),
    "b": Item("b", "jeans", "bottom", "Skinny Jeans"),
    "s": Item("s", "pumps", "shoes"),
    "n": Item("n", "", "shoes"),
}


def question(item_ids: Sequence[str], compatible: bool) -> CompatibilityQuestion:
    return CompatibilityQuestion("-".join(item_ids), "o", tuple(item_ids), compatible)


def auc(scorer: OutfitScorer, questions: Sequence[CompatibilityQuestion]) -> float:
    scores = scorer.score([asked.item_ids for asked in questions])
    return roc_auc(scores, np.array([asked.compatible for asked in questions]))


def in_the_source_order(dataset: Dataset, questions: Sequence[CompatibilityQuestion]) -> list[CompatibilityQuestion]:
    """The same questions, the compatible ones in the order of the source, as the release has them."""
    outfits = {outfit.id: outfit for outfit in dataset.outfits}
    return [
        question(outfits[asked.outfit_id].item_ids if asked.compatible else asked.item_ids, asked.compatible)
        for asked in questions
    ]


def test_chance_depends_on_the_clothes_and_the_seed_alone() -> None:
    scorer = Chance(ITEMS, 3)
    first, other, same_clothes, reversed_order = scorer.score(["tb", "ts", "Tb", "bt"])
    assert first == same_clothes == reversed_order != other
    assert scorer.score(["tb"])[0] != Chance(ITEMS, 4).score(["tb"])[0]


def test_chance_is_uniform_and_at_chance(wardrobe: Dataset) -> None:
    ids = list(wardrobe.items)
    rng = np.random.default_rng(0)
    outfits = [tuple(ids[int(place)] for place in rng.choice(len(ids), 3, replace=False)) for _ in range(2000)]
    scores = Chance(wardrobe.items, 1).score(outfits)
    assert scores.min() >= 0
    assert scores.max() < 1
    assert np.histogram(scores, bins=4, range=(0, 1))[0].min() > 400
    assert 0.46 < roc_auc(scores, np.arange(2000) % 2 == 0) < 0.54


def test_size_by_hand() -> None:
    questions = [question("tb", True), question("tb", True), question("ts", False), question("tbs", False)]
    scores = Size.fit(ITEMS, questions).score(["bs", "tbs", "t"])
    # Two items: 2 compatible and 1 not, one of each added; three: 0 and 1; one was never seen.
    assert scores == pytest.approx([np.log(3 / 2), np.log(1 / 2), 0])


def test_size_tells_nothing_of_drawn_questions_and_all_of_a_planted_leak(wardrobe: Dataset) -> None:
    questions = training_questions(wardrobe, 17, 1)
    assert set(Size.fit(wardrobe.items, questions).score([one.item_ids for one in questions]).tolist()) == {0.0}
    cut = [question(one.item_ids if one.compatible else one.item_ids[1:], one.compatible) for one in questions]
    assert auc(Size.fit(wardrobe.items, cut), cut) == 1


def test_order_is_an_alarm(wardrobe: Dataset) -> None:
    """Shuffled questions leave it at chance; the release's order of items gives every answer away."""
    train = training_questions(wardrobe, 17, 4)
    test = [one for epoch in range(20) for one in compatibility_questions(wardrobe, "test", "same-category", 17, epoch)]
    assert 0.4 < auc(Order.fit(wardrobe.items, train), test) < 0.6
    leaking = Order.fit(wardrobe.items, in_the_source_order(wardrobe, train))
    assert auc(leaking, in_the_source_order(wardrobe, test)) > 0.9
    assert 0.4 < auc(leaking, test) < 0.6


def test_order_does_not_see_what_is_there() -> None:
    """Fed with questions that categories alone answer, each asked in both orders, it says the same of all."""
    questions = [question("tb", True), question("bt", True), question("ts", False), question("st", False)]
    scores = Order.fit(ITEMS, questions).score(["tb", "bt", "ts", "st", "sb"])
    np.testing.assert_allclose(scores, 0.5, atol=1e-4)


def test_order_counts_each_pair_of_categories() -> None:
    questions = [question("tbs", True), question("tb", True), question("bt", False), question("sbt", False)]
    scores = Order.fit(ITEMS, questions).score(["tb", "bt", "tT", "Ttb", "bTt"])
    assert scores[0] > 0.5 > scores[1]
    assert scores[2] == 0.5  # one category
    assert scores[3] > scores[0]  # two tops before the jeans
    assert scores[0] + scores[1] == pytest.approx(1)


def test_order_needs_two_categories() -> None:
    with pytest.raises(EvaluationError, match="order needs outfits with items of two categories, got none in 2"):
        Order.fit(ITEMS, [question("tT", True), question("sn", False)])


def test_popularity_by_hand() -> None:
    outfits = [Outfit("1", ("t", "b"), "train"), Outfit("2", ("T", "s"), "train"), Outfit("3", ("t", "n"), "train")]
    scorer = Popularity.fit(ITEMS, outfits)
    # The shirt is in all three under one title, and so are tops; the jeans and their kind once; shoes twice, of which
    # the pumps once.
    shirt, jeans, pumps = 2 * np.log(4), 2 * np.log(2), np.log(2) + np.log(3)
    assert scorer.score(["t", "T", "b", "s", "tb", ""]) == pytest.approx(
        [shirt, shirt, jeans, pumps, (shirt + jeans) / 2, 0]
    )


def test_popularity_needs_training_outfits() -> None:
    with pytest.raises(EvaluationError, match="popularity needs training outfits, got 0"):
        Popularity.fit(ITEMS, [])


@pytest.mark.parametrize("kind", [Size, Order])
def test_what_learns_needs_both_classes(kind: type[Size] | type[Order]) -> None:
    with pytest.raises(EvaluationError, match=f"{kind.name} needs .* got 0 compatible of 1"):
        kind.fit(ITEMS, [question("tb", False)])
