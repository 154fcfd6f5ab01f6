"""What may join an outfit, how it is ranked and why, what is said when nothing fits, and whole looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from coordi.config import RecommendSettings
from coordi.encoders.edge import EdgeEncoder
from coordi.errors import RecommendationError
from coordi.model.trained import ModelScorers, find_model
from coordi.recommend.answers import Completion, LeftOut
from coordi.recommend.reasons import labels_in_text, without_phrase
from coordi.recommend.rules import COMPLETION_ORDER, Rules, addable_categories, category_conflict
from coordi.recommend.stylist import Stylist
from coordi.types import GARMENT_CATEGORIES, GarmentCategory, Item

from .shelves import ALL, VOCABULARY, Judge, described, index_of, longest_title, stylist_of

WARDROBE: tuple[tuple[str, str, GarmentCategory], ...] = (
    ("t1", "white shirt", "top"),
    ("t2", "silk blouse", "top"),
    ("b1", "blue jeans", "bottom"),
    ("d1", "long summer dress", "dress"),
    ("s1", "pumps", "shoes"),
    ("s2", "white sneakers", "shoes"),
    ("g1", "tote", "bag"),
    ("g2", "leather clutch bag", "bag"),
)


def by_id(items: Sequence[Item], *names: str) -> list[Item]:
    accepted = {item.id: item for item in items}
    return [accepted[name] for name in names]


def ask(
    outfit: Sequence[str],
    *items: tuple[str, str, GarmentCategory],
    want: GarmentCategory | None = None,
    settings: RecommendSettings = ALL,
    rules: Rules | None = None,
) -> Completion:
    shelf = described(*(items or WARDROBE))
    stylist = stylist_of(shelf, Judge(longest_title), settings)
    return stylist.complete(by_id(shelf, *outfit), want, 50, rules, reasons=False)


def ids(result: Completion) -> list[str]:
    return [entry.item.id for entry in result.suggestions]


def test_the_wanted_category_ranked_by_the_judge() -> None:
    result = ask(["t1", "b1"], want="shoes")
    assert ids(result) == ["s2", "s1"]
    assert [entry.score for entry in result.suggestions] == [0.14, 0.05]
    assert (result.categories, result.candidates, result.ranked) == (("shoes",), 2, 2)
    assert (result.judge, result.nothing) == ("language-model", "")


def test_addable_categories_take_turns() -> None:
    result = ask(["t1", "b1"])
    # A top and a bottom are there, so no dress: shoes and bags, the best of each before the second of any.
    assert result.categories == ("shoes", "bag")
    assert ids(result) == ["g2", "s2", "s1", "g1"]


def test_the_judge_is_asked_as_in_the_evaluation_with_the_candidate_last() -> None:
    shelf = described(*WARDROBE)
    judge = Judge(longest_title)
    stylist_of(shelf, judge).complete(by_id(shelf, "b1", "t1"), "bag", reasons=False)
    assert sorted(judge.calls) == [("b1", "t1", "g1"), ("b1", "t1", "g2")]


def test_without_the_language_model_it_is_never_asked_and_that_is_said() -> None:
    shelf = described(*WARDROBE)
    judge = Judge(longest_title, quick=lambda outfit: 1 - longest_title(outfit))
    result = stylist_of(shelf, judge).complete(by_id(shelf, "t1"), "bag", language_model=False)
    assert (ids(result), judge.calls, result.judge) == (["g1", "g2"], [], "without-language-model")


@pytest.mark.parametrize(
    ("present", "never"),
    [
        ({"dress"}, {"top", "bottom", "dress", "swimwear"}),
        ({"top"}, {"top", "dress", "swimwear"}),
        ({"bottom", "shoes"}, {"bottom", "dress", "shoes", "swimwear"}),
        ({"bag"}, {"bag"}),
    ],
)
def test_what_is_missing_from_what_is_worn(present: set[GarmentCategory], never: set[GarmentCategory]) -> None:
    assert set(addable_categories(present)) == set(GARMENT_CATEGORIES) - never


def test_every_category_has_its_place_in_the_order_of_completion() -> None:
    assert sorted(COMPLETION_ORDER) == sorted(GARMENT_CATEGORIES)


def test_a_second_top_is_a_layer_and_a_second_pair_of_shoes_is_not() -> None:
    assert category_conflict("top", {"top"}) is None
    assert category_conflict("shoes", {"shoes"}) == "the outfit already has shoes"
    assert category_conflict("dress", {"top", "shoes"}) == "the outfit has a top, which a dress takes the place of"
    assert ids(ask(["t1"], want="top")) == ["t2"]
    assert "shoes" not in {entry.item.category for entry in ask(["s1"]).suggestions}


def test_items_of_the_outfit_and_their_twins_are_never_suggested_and_twins_only_once() -> None:
    duplicates: tuple[tuple[str, str, GarmentCategory], ...] = (
        ("t3", "White  Shirt", "top"), ("t4", "silk BLOUSE", "top"), ("t5", "", "top"), ("t6", "", "top"),
    )  # fmt: skip
    # t3 has t1's title; t2 and t4 are twins of each other; items without a title are no twins.
    result = ids(ask(["t1"], *WARDROBE, *duplicates, want="top"))
    assert len(result) == 3
    assert result[0] in ("t2", "t4")
    assert set(result[1:]) == {"t5", "t6"}


def test_the_same_photo_makes_twins_and_of_twins_the_one_with_a_photo_is_kept() -> None:
    photos = {
        "x": np.array([1, 0], dtype=np.float32),
        "copy": np.array([0.9999, 0.01], dtype=np.float32),
        "other": np.array([0.8, 0.6], dtype=np.float32),
    }
    shelf = described(
        ("x", "red shirt", "top"), ("copy", "crimson shirt", "top"), ("bare", "green shirt", "top"),
        ("other", "green shirt", "top"), photos=photos,
    )  # fmt: skip
    result = stylist_of(shelf, Judge(longest_title)).complete(by_id(shelf, "x"), "top", reasons=False)
    assert ids(result) == ["other"]


@pytest.mark.slow
def test_equal_scores_go_by_likeness_of_photos_and_then_by_title_whatever_the_ids() -> None:
    titles = ["amber", "brown", "coral", "denim"]
    for naming in (list("abcd"), list("dcba"), list("bdac")):
        items: list[tuple[str, str, GarmentCategory]] = [
            (name, title, "bag") for name, title in zip(naming, titles, strict=True)
        ]
        shelf = described(("x", "shirt", "top"), *items)
        result = stylist_of(shelf, Judge(lambda _: 0.5)).complete(by_id(shelf, "x"), "bag", reasons=False)
        assert [entry.item.title for entry in result.suggestions] == titles
        photos = {
            "x": np.array([1, 0], dtype=np.float32),
            naming[2]: np.array([0.8, 0.6], dtype=np.float32),
            naming[3]: np.array([0, 1], dtype=np.float32),
        }
        shelf = described(("x", "shirt", "top"), *items, photos=photos)
        result = stylist_of(shelf, Judge(lambda _: 0.5)).complete(by_id(shelf, "x"), "bag", reasons=False)
        assert [entry.item.title for entry in result.suggestions] == ["coral", "amber", "brown", "denim"]


def test_the_language_model_ranks_what_is_best_without_it_as_many_as_settings_say() -> None:
    names: list[tuple[str, str, GarmentCategory]] = [(f"g{n}", f"bag {'x' * n}", "bag") for n in range(1, 60)]
    shelf = described(("x", "shirt", "top"), *names)
    judge = Judge(lambda outfit: 1 - longest_title(outfit), quick=longest_title)
    settings = RecommendSettings(candidates=10, diversity=0.0)
    result = stylist_of(shelf, judge, settings).complete(by_id(shelf, "x"), "bag", 2, reasons=False)
    # The ten longest titles are the best without it; of those it likes the shortest.
    assert (result.candidates, result.ranked, ids(result)) == (59, 10, ["g50", "g51"])
    assert {request[-1] for request in judge.calls} == {f"g{n}" for n in range(50, 60)}


def test_the_shortlist_is_shared_out_among_addable_categories() -> None:
    items: list[tuple[str, str, GarmentCategory]] = [
        (f"{present}{number}", f"{present} {number}", present) for present in GARMENT_CATEGORIES for number in range(9)
    ]
    shelf = described(("x", "shirt", "top"), *items)
    settings = RecommendSettings(candidates=20, diversity=0.0)
    result = stylist_of(shelf, Judge(longest_title), settings).complete(by_id(shelf, "x"), k=5, reasons=False)
    assert result.categories == ("bottom", "shoes", "bag", "outerwear")
    assert (result.candidates, result.ranked) == (36, 20)
    assert len({entry.item.category for entry in result.suggestions[:4]}) == 4


def test_not_five_black_pumps() -> None:
    pumps: list[tuple[str, str, GarmentCategory]] = [(f"p{n}", f"black leather pumps {n}", "shoes") for n in range(5)]
    shelf = described(("x", "shirt", "top"), *pumps, ("w", "white canvas sneakers", "shoes"))

    def pumps_first(outfit: Sequence[Item]) -> float:
        return 0.8 if "pumps" in outfit[-1].text else 0.7

    for diversity, expected in ((0.0, 0), (0.3, 1)):
        settings = RecommendSettings(diversity=diversity)
        result = stylist_of(shelf, Judge(pumps_first), settings).complete(by_id(shelf, "x"), "shoes", 3, reasons=False)
        assert ids(result)[0] != "w"
        assert ids(result).count("w") == expected


def test_rules_are_followed() -> None:
    shelf = described(*WARDROBE, prices={"s1": 30.0, "s2": 80.0})
    stylist = stylist_of(shelf, Judge(longest_title))
    outfit = by_id(shelf, "t1", "b1")

    def result(**rules: object) -> list[str]:
        return ids(stylist.complete(outfit, k=10, rules=Rules.model_validate(rules), reasons=False))

    assert result(want=["shoes"], price_max=50) == ["s1"]
    assert result(want=["shoes"], price_min=50) == ["s2"]
    assert result(want=["shoes", "bag"]) == ["g2", "s2", "s1", "g1"]
    assert result(unwanted=["shoes"]) == ["g2", "g1"]
    assert result(colours=["white"]) == ["s2"]
    assert result(want=["shoes"], unwanted_colours=["White"]) == ["s1"]
    assert result(excluded=["s2", "g2"]) == ["s1", "g1"]


def test_nothing_is_suggested_that_is_made_for_others_unless_asked_for() -> None:
    shelf = described(
        ("t", "women's shirt", "top"), ("m", "men's brogues", "shoes"), ("w", "women's pumps", "shoes"),
        ("u", "unisex sneakers", "shoes"), ("n", "sandals", "shoes"),
    )  # fmt: skip
    stylist = stylist_of(shelf, Judge(longest_title))
    outfit = by_id(shelf, "t")
    assert ids(stylist.complete(outfit, "shoes", reasons=False)) == ["u", "w", "n"]
    assert ids(stylist.complete(outfit, "shoes", rules=Rules(gender="men"), reasons=False)) == ["u", "m"]
    assert ids(stylist.complete(outfit, "shoes", rules=Rules(unwanted_genders=("women",)), reasons=False)) == [
        "u", "m", "n",
    ]  # fmt: skip
    left_out = stylist.complete(outfit, "shoes", reasons=False).left_out
    assert left_out == (LeftOut("unwanted_genders", "not made for men or children", 1, 3),)


def test_nothing_for_children_goes_with_adults_or_the_other_way_unless_asked_for() -> None:
    shelf = described(
        ("b", "navy blazer", "outerwear"), ("g", "girls' denim skirt", "bottom"),
        ("c", "kids' jacket", "outerwear"),
        ("t", "toddler shoes", "shoes"), ("k", "unisex kids sandals", "shoes"), ("w", "women's pumps", "shoes"),
        ("y", "boys' school shoes", "shoes"), ("u", "unisex sneakers", "shoes"), ("n", "brogues", "shoes"),
    )  # fmt: skip
    stylist = stylist_of(shelf, Judge(longest_title))

    def shoes_for(item_id: str, **rules: Any) -> set[str]:
        return set(ids(stylist.complete(by_id(shelf, item_id), "shoes", 9, Rules(**rules), reasons=False)))

    assert shoes_for("b") == {"w", "u", "n"}
    assert shoes_for("g") == {"t", "k", "n"}
    assert shoes_for("c") == {"t", "k", "y", "n"}
    assert shoes_for("b", gender="children") == {"t", "k", "y"}
    assert shoes_for("b", gender="boys") == {"t", "k", "y"}
    assert shoes_for("g", gender="women") == {"w", "u"}
    assert shoes_for("b", unwanted_genders=("men",)) == {"w", "u", "n"}


def test_pinned_items_come_first_and_what_they_are_is_no_longer_missing() -> None:
    shelf = described(*WARDROBE)
    judge = Judge(longest_title)
    result = stylist_of(shelf, judge).complete(by_id(shelf, "t1", "b1"), rules=Rules(pinned=("s1",)), reasons=False)
    assert ids(result) == ["s1", "g2", "g1"]
    assert [entry.is_pinned for entry in result.suggestions] == [True, False, False]
    assert ("t1", "b1", "s1", "g2") in judge.calls  # the others go with what is pinned
    assert result.categories == ("bag",)


def test_every_reason_is_what_leaving_something_out_does() -> None:
    shelf = described(
        ("t", "white shirt", "top"), ("b", "blue jeans", "bottom"), ("s", "white leather sneakers", "shoes")
    )

    def taste(outfit: Sequence[Item]) -> float:
        words = " ".join(item.text for item in outfit)
        worth = {"shirt": 0.3, "jeans": 0.1, "leather": 0.05, "sneakers": 0.2}
        return sum(value for word, value in worth.items() if word in words) - 0.02 * words.count("white")

    result = stylist_of(shelf, Judge(taste)).complete(by_id(shelf, "t", "b"), "shoes")
    (suggestion,) = result.suggestions
    assert suggestion.score == pytest.approx(0.61)
    assert suggestion.reason is not None
    # Without the shirt 0.3 less, and one "white" less to be punished for.
    assert {entry.what: round(entry.by, 4) for entry in suggestion.reason.items} == {"t": 0.28, "b": 0.1}
    moved = {(entry.attribute, entry.what): round(entry.by, 4) for entry in suggestion.reason.attributes}
    assert moved == {("colour", "white"): -0.02, ("material", "leather"): 0.05}
    assert suggestion.reason.text == (
        "Helped by white shirt (+0.28), blue jeans (+0.10), 'leather' (+0.05); held back by 'white' (-0.02)."
    )


def test_reasons_come_from_the_scorer_that_explains() -> None:
    shelf = described(*WARDROBE)
    judge = Judge(lambda outfit: len(outfit) / 10)
    judge.explaining = Judge(lambda outfit: 0.9 - 0.05 * (4 - len(outfit))).model
    (first, *_) = stylist_of(shelf, judge).complete(by_id(shelf, "t1", "b1"), "bag").suggestions
    assert first.score == pytest.approx(0.3)
    assert first.reason is not None
    assert [round(entry.by, 6) for entry in first.reason.items] == [0.05, 0.05]
    assert not [outfit for outfit in judge.calls if len(outfit) < 3]


def test_a_kind_is_no_label_to_leave_unsaid() -> None:
    warnings = labels_in_text("shoes (casual shoes, navy blue, polka dot)", VOCABULARY)
    assert [(entry.attribute, entry.label) for entry in warnings] == [("colour", "navy blue"), ("pattern", "polka dot")]
    assert (
        without_phrase("shoes (casual shoes, navy blue, polka dot)", "navy blue") == "shoes (casual shoes, polka dot)"
    )
    assert without_phrase("bag (handbag, red)", "red") == "bag (handbag)"
    assert without_phrase("bag (red)", "red") == "bag"
    assert without_phrase("top: Striped red shirt", "red") == "top: Striped shirt"


def test_a_reason_says_when_nothing_moves_the_score() -> None:
    shelf = described(*WARDROBE)
    (first, *_) = stylist_of(shelf, Judge(lambda _: 0.5)).complete(by_id(shelf, "t1", "b1"), "bag").suggestions
    assert first.reason is not None
    assert first.reason.text == "No single item or label moves the score by 0.01 or more."


@pytest.mark.slow
def test_when_nothing_fits_it_says_why() -> None:
    assert ask(["s1"], want="shoes").nothing == (
        "nothing fits: no shoes: the outfit already has shoes; want something else or take it off"
    )
    assert ask(["s1"], want="watch").nothing == (
        "nothing of watch is in the catalogue beside the outfit and its duplicates; it has bag, bottom, dress, shoes, "
        "top"
    )
    priced = described(*WARDROBE, prices={"s1": 30.0, "s2": 80.0})
    stylist = stylist_of(priced, Judge(longest_title))
    result = stylist.complete(by_id(priced, "t1"), "shoes", rules=Rules(price_max=20, colours=("red",)))
    assert result.left_out == (LeftOut("price_max", "price at most 20", 2, 0),)
    assert result.nothing == "nothing of shoes fits: 'price at most 20' leaves out 2, 0 left; loosen a rule"
    everything = Rules(unwanted=tuple(entry for entry in GARMENT_CATEGORIES if entry != "top"))
    assert "want a category by its name" in stylist.complete(by_id(priced, "t1"), rules=everything).nothing


def test_refusals() -> None:
    shelf = described(*WARDROBE)
    stylist = stylist_of(shelf, Judge(longest_title))
    outfit = by_id(shelf, "t1")
    with pytest.raises(RecommendationError, match="catalogue 'shelf' is empty"):
        stylist_of([], Judge(longest_title)).complete(outfit)
    with pytest.raises(RecommendationError, match="outfit is empty"):
        stylist.complete([])
    with pytest.raises(RecommendationError, match=r"no item 'zz' to pin.*8 items"):
        stylist.complete(outfit, rules=Rules(pinned=("zz",)))
    with pytest.raises(RecommendationError, match="'s2' can't be pinned: the outfit already has shoes"):
        stylist.complete(by_id(shelf, "s1"), rules=Rules(pinned=("s2",)))
    with pytest.raises(RecommendationError, match=r"no colour 'mauvish': accepted are black, white"):
        stylist.complete(outfit, rules=Rules(colours=("mauvish",)))
    with pytest.raises(RecommendationError, match="no catalogue is open"):
        Stylist(None, Judge(longest_title), ALL, VOCABULARY, lambda _: np.zeros((0, 1), np.float32)).complete(outfit)
    with pytest.raises(RecommendationError, match="'shoes' is both asked for and refused"):
        stylist.complete(outfit, "shoes", rules=Rules(unwanted=("shoes",)))
    with pytest.raises(RecommendationError, match="2 items or more, got 1"):
        stylist.score(outfit)


def test_a_score_names_the_item_whose_absence_helps_most() -> None:
    shelf = described(*WARDROBE)

    def no_dress(outfit: Sequence[Item]) -> float:
        return 0.2 if any(item.category == "dress" for item in outfit) else 0.9

    stylist = stylist_of(shelf, Judge(no_dress))
    result = stylist.score(by_id(shelf, "t1", "d1", "b1"))
    assert (result.score, result.without, result.weakest) == (0.2, (0.2, 0.9, 0.2), 1)
    assert result.cautions == ("'dress' beside 'top'", "'bottom' beside 'dress'")
    two = stylist.score(by_id(shelf, "t1", "b1"))
    assert (two.without, two.weakest) == ((None, None), None)


def test_looks_are_whole_outfits_that_differ() -> None:
    items: list[tuple[str, str, GarmentCategory]] = [
        (f"{category}{number}", f"{category} {'x' * number}", category)
        for category in ("top", "bottom", "dress", "shoes", "bag", "outerwear")
        for number in range(1, 7)
    ]
    shelf = described(*items)
    stylist = stylist_of(shelf, Judge(lambda outfit: sum(len(item.title) for item in outfit) / 200))
    (around,) = by_id(shelf, "top1")
    result = stylist.outfits(around, 3)
    assert (len(result.looks), result.nothing) == (3, "")
    for look in result.looks:
        assert look.items[0].id == "top1"
        assert [item.category for item in look.items] == ["top", "bottom", "shoes", "bag"]
    assert [look.score for look in result.looks] == sorted((look.score for look in result.looks), reverse=True)
    sets = [{item.id for item in look.items} - {"top1"} for look in result.looks]
    assert all(len(entry & other) <= 1 for position, entry in enumerate(sets) for other in sets[:position])
    (dress,) = by_id(shelf, "dress2")
    present = {tuple(item.category for item in look.items) for look in stylist.outfits(dress, 2).looks}
    assert present == {("dress", "shoes", "bag")}
    (shoes,) = by_id(shelf, "shoes3")
    bodies = {look.items[1].category for look in stylist.outfits(shoes, 10).looks}
    assert bodies == {"top", "dress"}
    wanted = stylist.outfits(around, 1, Rules(want=("outerwear",), pinned=("bag2",), excluded=("shoes6",)))
    (look,) = wanted.looks
    assert {item.category for item in look.items} == {"top", "bottom", "shoes", "bag", "outerwear"}
    assert "bag2" in {item.id for item in look.items}
    assert "shoes6" not in {item.id for item in look.items}


def test_a_look_says_what_it_lacks_and_comes_after_whole_ones() -> None:
    shelf = described(
        ("shoes", "boots", "shoes"), ("top", "a shirt with a title that this judge likes best", "top"),
        ("dress", "dress", "dress"), ("bag", "bag", "bag"),
    )  # fmt: skip
    stylist = stylist_of(shelf, Judge(lambda outfit: sum(len(item.title) for item in outfit) / 200))
    (shoes,) = by_id(shelf, "shoes")
    result = [({item.id for item in look.items}, look.missing) for look in stylist.outfits(shoes).looks]
    assert result == [({"shoes", "dress", "bag"}, ()), ({"shoes", "top", "bag"}, ("bottom",))]
    (look,) = stylist.outfits(shoes, 1, Rules(unwanted=("bottom", "dress"))).looks
    assert look.missing == ()  # nobody wanted one
    (look,) = stylist.outfits(by_id(shelf, "dress")[0], 1, Rules(excluded=("shoes",))).looks
    assert look.missing == ("shoes",)


def test_no_look_says_why() -> None:
    shelf = described(("t1", "white shirt", "top"), ("t2", "silk blouse", "top"))
    result = stylist_of(shelf, Judge(longest_title)).outfits(shelf[0])
    assert (result.looks, result.nothing) == (
        (),
        "no look: nothing of bottom, shoes, bag, outerwear, jewellery, headwear, eyewear, belt, scarf, watch, hosiery, "
        "gloves, accessory is in the catalogue beside the outfit and its duplicates; it has top",
    )
    shelf = described(("t1", "white shirt", "top"), ("s1", "boots", "shoes"), ("b1", "jeans", "bottom"))
    stylist = stylist_of(shelf, Judge(longest_title))
    none = stylist.outfits(shelf[0], rules=Rules(brands=("Acme",)))
    assert none.left_out == (LeftOut("brands", "brand Acme", 2, 0),)
    assert none.nothing.endswith("'brand Acme' leaves out 2, 0 left; loosen a rule")
    entry = stylist.outfits(shelf[0], rules=Rules(excluded=("b1",)))
    assert [look.missing for look in entry.looks] == [("bottom",)]
    assert entry.left_out == (LeftOut("excluded", "items that were excluded", 1, 0),)
    assert stylist.outfits(shelf[0]).left_out == ()


def test_less_than_one_is_no_count() -> None:
    shelf = described(("t1", "white shirt", "top"), ("s1", "boots", "shoes"))
    stylist = stylist_of(shelf, Judge(longest_title))
    for ask in (lambda: stylist.complete(shelf[:1], k=0), lambda: stylist.outfits(shelf[0], k=0)):
        with pytest.raises(RecommendationError, match="k is 0"):
            ask()


def test_a_pinned_item_is_explained_by_what_it_stands_in() -> None:
    shelf = described(("t1", "white shirt", "top"), ("b1", "jeans", "bottom"), ("s1", "boots", "shoes"))
    stylist = stylist_of(shelf, Judge(lambda outfit: len(outfit) / 10))
    (pinned,) = stylist.complete(by_id(shelf, "t1", "b1"), rules=Rules(pinned=("s1",), want=("shoes",))).suggestions
    assert pinned.is_pinned
    assert pinned.reason is not None
    assert {entry.what: round(entry.by, 6) for entry in pinned.reason.items} == {"t1": 0.1, "b1": 0.1, "s1": 0.1}


def test_formal_shoes_among_many_trainers_are_suggested_for_a_tuxedo() -> None:
    colours = ("white", "black", "grey", "red", "navy", "green", "pink", "tan", "blue", "yellow")
    kinds = ("canvas trainers", "running trainers", "chunky sneakers", "skate shoes", "flip-flops", "beach sandals")
    makes = ("", "leather ", "knitted ")
    casual: list[tuple[str, str, GarmentCategory]] = [
        (title, f"men's {title}", "shoes")
        for title in (f"{colour} {make}{kind}" for colour in colours for make in makes for kind in kinds)
    ]
    shelf = described(
        ("t", "men's black tuxedo trousers with satin side stripe", "bottom"),
        ("s", "white pleated-front dress shirt", "top"),
        ("o", "black patent lace-up oxfords", "shoes"),
        ("p", "patent leather opera pumps for men", "shoes"),
        *casual,
    )
    quick = ModelScorers(find_model("bundled"))
    settings = RecommendSettings(candidates=8, diversity=0.0)  # 64 of 182 shoes are scored
    stylist = Stylist(index_of(shelf), quick, settings, VOCABULARY, EdgeEncoder.bundled().encode_texts)
    result = stylist.complete(by_id(shelf, "t", "s"), "shoes", 2, language_model=False, reasons=False)
    assert set(ids(result)) == {"o", "p"}


SHOES: tuple[tuple[str, str, GarmentCategory], ...] = (
    ("t1", "white dress shirt", "top"),
    ("b1", "grey suit trousers", "bottom"),
    ("s1", "black oxfords", "shoes"),
    ("s2", "blue plastic flip flops with a long name", "shoes"),
    ("s3", "neon football boots for the longest of games", "shoes"),
    ("s4", "brown penny loafers", "shoes"),
)


def test_what_nobody_would_wear_with_it_is_suggested_only_on_request() -> None:
    result = ask(["t1", "b1"], *SHOES, want="shoes")
    assert ids(result) == ["s4", "s1"]
    assert result.left_out == (LeftOut("far_apart", "for the outfit's season and dress code", 2, 2),)
    assert ids(ask(["t1", "b1"], *SHOES, want="shoes", rules=Rules(far_apart=True))) == ["s3", "s2", "s4", "s1"]


def test_an_outfit_that_breaks_a_rule_itself_still_gets_suggestions() -> None:
    outfit = (*SHOES[:2], ("o1", "red ski jacket", "outerwear"))
    rows: tuple[tuple[str, str, GarmentCategory], ...] = (*outfit, *SHOES[2:])
    assert set(ids(ask(["t1", "b1", "o1"], *rows, want="shoes"))) == {"s1", "s2", "s3", "s4"}


def test_nothing_left_says_that_all_is_far() -> None:
    result = ask(["t1", "b1"], *SHOES[:2], *SHOES[3:5], want="shoes")
    assert not result.suggestions
    assert "'for the outfit's season and dress code' leaves out 2, 0 left" in result.nothing


def test_more_is_searched_where_the_nearest_are_far() -> None:
    many: list[tuple[str, str, GarmentCategory]] = [
        (f"r{n}", f"white dress shirt football boots number {n}", "shoes") for n in range(300)
    ]
    rows: tuple[tuple[str, str, GarmentCategory], ...] = (*SHOES[:3], *many)
    assert ids(ask(["t1", "b1"], *rows, want="shoes", settings=RecommendSettings(candidates=8, top_k=5))) == ["s1"]


def test_a_reason_begins_with_what_a_stylist_would_say() -> None:
    shelf = described(*SHOES)
    stylist = stylist_of(shelf, Judge(longest_title), ALL)
    (best, *_) = stylist.complete(by_id(shelf, "t1", "b1"), "shoes", 1, Rules(excluded=("s4",))).suggestions
    assert best.reason is not None
    assert best.reason.text.startswith(
        "They share a dress code: white dress shirt (business to cocktail, usual), black oxfords (business to "
    )
    assert [remark.items for remark in best.reason.remarks] == [(0, 2)]
    score = stylist.score(by_id(shelf, "t1", "s2"))
    assert [(remark.rule, remark.speaks_for) for remark in score.remarks] == [("dress codes apart", False)]


def test_a_suit_has_its_trousers() -> None:
    rows: tuple[tuple[str, str, GarmentCategory], ...] = (
        ("o1", "navy two piece suit", "outerwear"), ("o2", "navy suit jacket", "outerwear"), *SHOES,
    )  # fmt: skip
    shelf = described(*rows)
    stylist = stylist_of(shelf, Judge(longest_title), ALL)
    for name, expected in (("o1", {"top", "shoes"}), ("o2", {"top", "bottom", "shoes"})):
        (look, *_) = stylist.outfits(by_id(shelf, name)[0], 1).looks
        assert {item.category for item in look.items[1:]} == expected
        assert look.missing == ()
    assert ids(ask(["o1"], *rows, want="bottom")) == []
