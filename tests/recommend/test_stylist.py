"""What may join an outfit, what is shortlisted, how it is ranked, and what is said when nothing fits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.config import RecommendSettings
from coordi.domain import WORN_CATEGORIES, Item, WornCategory
from coordi.errors import RecommendationError
from coordi.recommend.fitting import COMPLETION_ORDER, clash, missing_categories
from coordi.recommend.stylist import Catalogue, Recommendation, recommend

ALL = RecommendSettings(candidates=1000, top_k=50)


class LastTitleScorer:
    """Scores an outfit by its last item's title: more letters, better; counts what it was asked."""

    gives_probabilities = False

    name = "last-title"

    def __init__(self, items: dict[str, Item]) -> None:
        self._items = items
        self.asked: list[tuple[str, ...]] = []

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        self.asked += [tuple(outfit) for outfit in outfits]
        return np.array([len(self._items[outfit[-1]].title) for outfit in outfits], dtype=np.float64)


class FairScorer:
    """Finds everything equally good."""

    gives_probabilities = False

    name = "fair"

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        return np.full(len(outfits), 0.5)


def shelf(*items: tuple[str, str, WornCategory]) -> dict[str, Item]:
    return {item_id: Item(item_id, title, category) for item_id, title, category in items}


def wardrobe() -> dict[str, Item]:
    return shelf(
        ("t1", "white shirt", "top"),
        ("t2", "silk blouse", "top"),
        ("b1", "blue jeans", "bottom"),
        ("d1", "long summer dress", "dress"),
        ("s1", "pumps", "shoes"),
        ("s2", "white sneakers", "shoes"),
        ("g1", "tote", "bag"),
        ("g2", "leather clutch bag", "bag"),
    )


def ask(
    outfit: Sequence[str], items: dict[str, Item], want: str | None = None, settings: RecommendSettings = ALL
) -> Recommendation:
    return recommend(outfit, Catalogue(items), LastTitleScorer(items), settings, np.random.default_rng(0), want)


def ids(recommendation: Recommendation) -> list[str]:
    return [suggestion.item_id for suggestion in recommendation.suggestions]


def test_the_wanted_category_ranked_by_the_scorer() -> None:
    found = ask(["t1", "b1"], wardrobe(), want="shoes")
    assert ids(found) == ["s2", "s1"]
    assert [suggestion.score for suggestion in found.suggestions] == [14, 5]
    assert found.categories == ("shoes",)
    assert (found.candidates, found.ranked, found.shortlist) == (2, 2, "everything")
    assert ids(ask(["t1", "b1"], wardrobe(), want=" Shoes ")) == ["s2", "s1"]


def test_missing_categories_take_turns() -> None:
    found = ask(["t1", "b1"], wardrobe())
    # A top and a bottom are there, so no dress: shoes and bags, the best of each before the second of any.
    assert found.categories == ("shoes", "bag")
    assert ids(found) == ["g2", "s2", "s1", "g1"]


def test_the_scorer_is_asked_as_in_the_evaluation_with_the_candidate_last() -> None:
    items = wardrobe()
    scorer = LastTitleScorer(items)
    recommend(["b1", "t1"], Catalogue(items), scorer, ALL, np.random.default_rng(0), "bag")
    assert sorted(scorer.asked) == [("b1", "t1", "g1"), ("b1", "t1", "g2")]


@pytest.mark.parametrize(
    ("worn", "never"),
    [
        ({"dress"}, {"top", "bottom", "dress", "swimwear"}),
        ({"top"}, {"top", "dress", "swimwear"}),
        ({"bottom", "shoes"}, {"bottom", "dress", "shoes", "swimwear"}),
        ({"bag"}, {"bag"}),
    ],
)
def test_what_is_missing_from_what_is_worn(worn: set[WornCategory], never: set[WornCategory]) -> None:
    assert set(missing_categories(worn)) == set(WORN_CATEGORIES) - never


def test_every_category_has_its_place_in_the_order_of_completion() -> None:
    assert sorted(COMPLETION_ORDER) == sorted(WORN_CATEGORIES)


def test_a_second_top_is_a_layer_and_a_second_pair_of_shoes_is_not() -> None:
    assert clash("top", {"top"}) is None
    assert clash("shoes", {"shoes"}) == "the outfit already has shoes"
    assert clash("dress", {"top", "shoes"}) == "the outfit has a top, which a dress takes the place of"
    assert ids(ask(["t1"], wardrobe(), want="top")) == ["t2"]


def test_items_of_the_outfit_and_their_twins_are_never_suggested_and_twins_only_once() -> None:
    items = wardrobe() | shelf(
        ("t3", "White  Shirt", "top"), ("t4", "silk BLOUSE", "top"), ("t5", "", "top"), ("t6", "", "top")
    )
    # t3 has t1's title; t2 and t4 are twins of each other; items without a title are no twins.
    found = ids(ask(["t1"], items, want="top"))
    assert len(found) == 3
    assert found[0] in ("t2", "t4")
    assert set(found[1:]) == {"t5", "t6"}


def test_of_twins_the_one_with_a_photo_is_kept() -> None:
    items = wardrobe()
    items["t9"] = Item("t9", "silk blouse", "top", image=Path("t9.jpg"))
    assert ids(ask(["t1"], items, want="top")) == ["t9"]


def test_ties_are_ordered_by_title_whatever_the_ids() -> None:
    titles = ["amber", "brown", "coral", "denim"]
    for naming in (list("abcd"), list("dcba"), list("bdac")):
        items = shelf(("x", "shirt", "top"), *((name, t, "bag") for name, t in zip(naming, titles, strict=True)))
        found = recommend(["x"], Catalogue(items), FairScorer(), ALL, np.random.default_rng(0), "bag")
        assert [items[item_id].title for item_id in ids(found)] == titles


def test_titles_shortlist_what_shares_words_with_the_outfit() -> None:
    items = shelf(
        ("x", "red velvet jacket", "outerwear"),
        ("a", "a very long but unrelated title", "bag"),
        ("b", "red velvet clutch", "bag"),
        ("c", "plain tote", "bag"),
        ("d", "velvet bag", "bag"),
    )
    found = ask(["x"], items, "bag", RecommendSettings(candidates=2, top_k=5))
    assert found.shortlist == "titles"
    assert (found.candidates, found.ranked) == (4, 2)
    assert ids(found) == ["b", "d"]


def test_photos_shortlist_what_looks_alike() -> None:
    items = shelf(("x", "red", "top"), ("a", "red", "bag"), ("b", "red bag", "bag"), ("c", "green", "bag"))
    vectors = {
        "x": np.array([1, 0], dtype=np.float32),
        "b": np.array([0, 1], dtype=np.float32),
        "c": np.array([0.8, 0.6], dtype=np.float32),
    }
    settings = RecommendSettings(candidates=1)
    catalogue = Catalogue(items, vectors)
    found = recommend(["x"], catalogue, LastTitleScorer(items), settings, np.random.default_rng(0), "bag")
    assert (ids(found), found.shortlist) == (["c"], "photos")
    # One candidate without a photo: likeness can't be compared, so titles decide for all.
    items["d"] = Item("d", "red too", "bag")
    found = recommend(["x"], catalogue, LastTitleScorer(items), settings, np.random.default_rng(0), "bag")
    assert found.shortlist == "titles"


def test_without_photos_and_titles_a_seeded_draw() -> None:
    items = shelf(("x", "", "top"), *((str(number), "", "bag") for number in range(30)))
    settings = RecommendSettings(candidates=4, top_k=4)
    draws = [
        recommend(["x"], Catalogue(items), FairScorer(), settings, np.random.default_rng(seed), "bag")
        for seed in (1, 1, 2)
    ]
    assert draws[0].shortlist == "draw"
    assert ids(draws[0]) == ids(draws[1]) != ids(draws[2])


def test_the_shortlist_is_shared_out_among_missing_categories() -> None:
    items = shelf(
        ("x", "shirt", "top"),
        *((f"{worn}{number}", f"{worn} {number}", worn) for worn in WORN_CATEGORIES for number in range(9)),
    )
    found = ask(["x"], items, settings=RecommendSettings(candidates=20, top_k=6))
    assert found.categories == ("bottom", "shoes", "bag", "outerwear")
    assert (found.candidates, found.ranked) == (36, 20)
    assert len(found.suggestions) == 6
    assert len({suggestion.category for suggestion in found.suggestions[:4]}) == 4


def test_refusals_say_why() -> None:
    items = wardrobe()
    with pytest.raises(RecommendationError, match=r"no item 'zz'.*8 items, such as t1, t2, b1"):
        ask(["t1", "zz"], items)
    with pytest.raises(RecommendationError, match=r"no category 'hats'.*headwear"):
        ask(["t1"], items, want="hats")
    with pytest.raises(RecommendationError, match="catalogue is empty"):
        ask(["t1"], {})
    with pytest.raises(RecommendationError, match="outfit is empty"):
        ask([], items)
    with pytest.raises(RecommendationError, match="'shoes': the outfit already has shoes"):
        ask(["s1"], items, want="shoes")
    with pytest.raises(RecommendationError, match=r"nothing of watch.*it has bag, bottom, dress, shoes, top"):
        ask(["s1"], items, want="watch")
    with pytest.raises(RecommendationError, match="nothing fits"):
        ask(["a"], shelf(("a", "x", "dress")))
