"""One contract for every plain baseline, and what each of them is for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from coordi.domain import CompatibilityQuestion, Dataset, Item
from coordi.errors import EvaluationError
from coordi.evaluate.baselines import plain_baselines
from coordi.evaluate.baselines.categories import CategoryPairs
from coordi.evaluate.baselines.cosine import TitleCosine
from coordi.evaluate.scorer import OutfitScorer

pytest.importorskip("sklearn")

NAMES = ("category-pairs", "title-cosine")
MakeWardrobe = Callable[[str], Dataset]


def baseline(name: str, dataset: Dataset) -> OutfitScorer:
    return next(scorer for scorer in plain_baselines(dataset, seed=17) if scorer.name == name)


def some_outfits(dataset: Dataset, seed: int = 0) -> list[tuple[str, ...]]:
    """Sets of 1 to 7 items, most of them no outfit at all, as positions so that they survive a renaming of ids."""
    rng = np.random.default_rng(seed)
    ids = list(dataset.items)
    return [
        tuple(ids[position] for position in rng.choice(len(ids), size=rng.integers(1, 8), replace=False))
        for _ in range(60)
    ]


def test_the_suite_covers_every_plain_baseline(wardrobe: Dataset) -> None:
    assert tuple(scorer.name for scorer in plain_baselines(wardrobe, 17)) == NAMES


@pytest.mark.parametrize("name", NAMES)
class TestEveryBaseline:
    def test_gives_one_finite_float_per_outfit(self, name: str, wardrobe: Dataset) -> None:
        scores = baseline(name, wardrobe).score(some_outfits(wardrobe))
        assert scores.shape == (60,)
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()
        assert len(set(scores.tolist())) > 5

    def test_gives_nothing_for_nothing(self, name: str, wardrobe: Dataset) -> None:
        assert baseline(name, wardrobe).score([]).shape == (0,)

    def test_does_not_see_the_order_of_items(self, name: str, wardrobe: Dataset) -> None:
        scorer = baseline(name, wardrobe)
        outfits = some_outfits(wardrobe)
        rng = np.random.default_rng(1)
        shuffled = [tuple(rng.permutation(outfit).tolist()) for outfit in outfits]
        assert shuffled != outfits
        assert scorer.score(shuffled).tolist() == scorer.score(outfits).tolist()

    def test_scores_an_outfit_alike_alone_and_among_others(self, name: str, wardrobe: Dataset) -> None:
        scorer = baseline(name, wardrobe)
        outfits = some_outfits(wardrobe)
        alone = [float(scorer.score([outfit])[0]) for outfit in outfits]
        assert alone == pytest.approx(scorer.score(outfits).tolist(), abs=1e-12)

    def test_is_the_same_when_made_again(self, name: str, wardrobe: Dataset) -> None:
        outfits = some_outfits(wardrobe)
        first, second = baseline(name, wardrobe), baseline(name, wardrobe)
        assert first.score(outfits).tolist() == second.score(outfits).tolist()

    def test_does_not_look_at_ids(self, name: str, wardrobe_with_ids: MakeWardrobe) -> None:
        here, there = wardrobe_with_ids(""), wardrobe_with_ids("zebra_")
        # Kept apart from drawing questions, which may draw by id: the same training questions under other names.
        scores = []
        for dataset in (here, there):
            scorer = fitted_on_positions(name, dataset)
            scores.append(scorer.score(some_outfits(dataset)).tolist())
        assert scores[0] == pytest.approx(scores[1], abs=1e-12)

    def test_names_an_unknown_item(self, name: str, wardrobe: Dataset) -> None:
        with pytest.raises(EvaluationError, match="'nowhere'"):
            baseline(name, wardrobe).score([("0", "nowhere")])


def fitted_on_positions(name: str, dataset: Dataset) -> OutfitScorer:
    ids = list(dataset.items)
    outfits = dataset.outfits_of("train")
    rng = np.random.default_rng(2)
    made_up = [tuple(ids[position] for position in rng.choice(120, 4, replace=False)) for _ in outfits]
    questions = [
        CompatibilityQuestion(f"{number}", f"{number}", item_ids, compatible)
        for compatible, sets in ((True, [outfit.item_ids for outfit in outfits]), (False, made_up))
        for number, item_ids in enumerate(sets)
    ]
    if name == CategoryPairs.name:
        return CategoryPairs.fit(dataset.items, questions)
    return TitleCosine.fit(dataset.items, [dataset.items[item_id] for item_id in ids[:120]])


def question(item_ids: Sequence[str], compatible: bool) -> CompatibilityQuestion:
    return CompatibilityQuestion("-".join(item_ids), item_ids[0], tuple(item_ids), compatible)


def test_category_pairs_learns_that_two_pairs_of_shoes_do_not_go_together() -> None:
    items = {
        "a": Item("a", "", "top"),
        "b": Item("b", "", "shoes"),
        "c": Item("c", "", "shoes"),
        "d": Item("d", "", "bottom"),
    }
    questions = [question("abd", True), question("acd", True), question("abc", False), question("bcd", False)]
    scorer = CategoryPairs.fit(items, questions)
    good, bad = scorer.score(["ad", "bc"])
    assert good > 0.5 > bad


def test_category_pairs_tells_kinds_of_one_category_apart() -> None:
    items = {
        "gown": Item("gown", "", "dress", "Gowns"),
        "day": Item("day", "", "dress", "Day Dresses"),
        "pumps": Item("pumps", "", "shoes", "Pumps"),
        "sneakers": Item("sneakers", "", "shoes", "Sneakers"),
    }
    questions = [
        question(("gown", "pumps"), True),
        question(("day", "sneakers"), True),
        question(("gown", "sneakers"), False),
        question(("day", "pumps"), False),
    ]
    scores = CategoryPairs.fit(items, questions).score([asked.item_ids for asked in questions])
    assert scores[:2].min() > 0.5 > scores[2:].max()


def test_category_pairs_needs_both_classes() -> None:
    items = {"a": Item("a", "", "top"), "b": Item("b", "", "shoes")}
    with pytest.raises(EvaluationError, match="1 compatible of 1"):
        CategoryPairs.fit(items, [question("ab", True)])


def test_title_cosine_by_hand() -> None:
    items = {
        "a": Item("a", "red silk", "top"),
        "b": Item("b", "silk red", "bottom"),
        "c": Item("c", "grey wool", "shoes"),
        "empty": Item("empty", "", "bag"),
    }
    scorer = TitleCosine.fit(items, list(items.values()))
    # Same words 1, no word shared 0; three pairs of which one is alike: 1/3; alone: nothing to be alike to.
    assert scorer.score([("a", "b"), ("a", "c"), ("a", "b", "c"), ("a",), ("a", "empty")]) == pytest.approx(
        [1, 0, 1 / 3, 0, 0], abs=1e-12
    )


def test_title_cosine_needs_words() -> None:
    items = {"a": Item("a", "", "top")}
    with pytest.raises(EvaluationError, match="no word in the titles and kinds of 1 training items"):
        TitleCosine.fit(items, list(items.values()))
