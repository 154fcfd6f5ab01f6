from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordi.data.questions import (
    compatibility_questions,
    draw_compatibility,
    draw_fill_in_the_blank,
    fill_in_the_blank_questions,
)
from coordi.errors import DataError
from coordi.types import (
    FITB_NEGATIVES,
    NEGATIVES,
    CompatibilityQuestion,
    Dataset,
    FitbNegatives,
    GarmentCategory,
    Item,
    Negatives,
    Outfit,
)

Wardrobe = Callable[..., Dataset]
CATEGORIES: tuple[GarmentCategory, ...] = ("top", "bottom", "shoes")


@st.composite
def closets(draw: st.DrawFn) -> Dataset:
    """A small closet whose items are worn in several outfits, some with the same title or none."""
    items = {
        str(number): Item(str(number), draw(st.sampled_from(["", "tee", "jeans", f"t{number}"])), category, kind)
        for number, (category, kind) in enumerate(
            draw(
                st.lists(
                    st.tuples(st.sampled_from(CATEGORIES), st.sampled_from(["", "a", "b"])), min_size=4, max_size=24
                )
            )
        )
    }
    wearing = st.lists(st.sampled_from(sorted(items)), min_size=2, max_size=5, unique=True)
    outfits = draw(st.lists(wearing, min_size=1, max_size=12, unique_by=frozenset))
    looks = tuple(Outfit(f"o{number}", tuple(ids), "test") for number, ids in enumerate(outfits))
    return Dataset("closet", "catalogue", items, looks, (), text_only=True)


def _check_pairs(dataset: Dataset, questions: Sequence[CompatibilityQuestion], protocol: Negatives) -> None:
    outfits = {outfit.id: outfit for outfit in dataset.outfits}
    by_outfit: dict[str, list[CompatibilityQuestion]] = {}
    holding: dict[str, list[set[str]]] = {}
    for outfit in dataset.outfits:
        for item_id in outfit.item_ids:
            holding.setdefault(item_id, []).append(set(outfit.item_ids))
    for question in questions:
        by_outfit.setdefault(question.outfit_id, []).append(question)
    for outfit_id, pair in by_outfit.items():
        own = set(outfits[outfit_id].item_ids)
        assert sorted(question.compatible for question in pair) == [False, True]
        size = 2 if protocol == "pairs" else len(own)
        assert all(len(question.item_ids) == len(set(question.item_ids)) == size for question in pair)
        positive = next(set(question.item_ids) for question in pair if question.compatible)
        assert positive <= own
        kept = size - 1 if protocol in {"one-swapped", "pairs"} else 0
        for question in pair:
            if question.compatible:
                continue
            assert len(set(question.item_ids) & own) == len(set(question.item_ids) & positive) == kept
            assert not any(set(question.item_ids) <= other for other in holding.get(question.item_ids[0], ()))
            fresh = [name for name in question.item_ids if name not in own]
            titles = [dataset.items[name].title for name in fresh if dataset.items[name].title]
            assert len(titles) == len(set(titles))
            assert not set(titles) & {dataset.items[name].title for name in own}
            if protocol != "random":
                drawn, true = (
                    Counter(dataset.items[name].category for name in ids) for ids in (question.item_ids, positive)
                )
                assert drawn == true


@settings(max_examples=150, deadline=None)
@given(closets(), st.sampled_from(NEGATIVES), st.integers(0, 5))
def test_pairs_hold_their_promises_in_any_closet(dataset: Dataset, protocol: Negatives, seed: int) -> None:
    try:
        drawn = draw_compatibility(dataset, "test", protocol, seed)
    except DataError as error:
        assert "too few" in str(error)  # noqa: PT017 - most closets do have questions
        return
    assert len(drawn.questions) // 2 + drawn.left_out == len(dataset.outfits)
    assert len({question.id for question in drawn.questions}) == len(drawn.questions)
    _check_pairs(dataset, drawn.questions, protocol)


@settings(max_examples=150, deadline=None)
@given(closets(), st.sampled_from(FITB_NEGATIVES), st.integers(0, 5), st.integers(2, 5))
def test_blanks_hold_their_promises_in_any_closet(
    dataset: Dataset, protocol: FitbNegatives, seed: int, choices: int
) -> None:
    try:
        drawn = draw_fill_in_the_blank(dataset, "test", protocol, seed, choices)
    except DataError as error:
        assert f"too few for {choices} choices" in str(error)  # noqa: PT017 - most closets do have questions
        return
    outfits = {outfit.id: set(outfit.item_ids) for outfit in dataset.outfits}
    elsewhere = 0
    assert len(drawn.questions) == len(outfits)
    for question in drawn.questions:
        own = outfits[question.outfit_id]
        true = question.candidates[question.answer]
        assert {*question.item_ids, true} == own
        assert true not in question.item_ids
        assert len(set(question.candidates)) == choices
        assert set(question.candidates) & own == {true}
        elsewhere += sum(dataset.items[name].category != dataset.items[true].category for name in question.candidates)
    assert drawn.fallbacks == (elsewhere if protocol == "same-category" else 0)


@pytest.mark.parametrize("protocol", NEGATIVES)
@pytest.mark.slow
def test_real_outfits_all_get_their_questions(real: Dataset, protocol: Negatives) -> None:
    questions = compatibility_questions(real, "test", protocol, 17)
    assert len(questions) == 2 * len(real.outfits_of("test"))
    _check_pairs(real, questions, protocol)


@pytest.mark.parametrize("protocol", FITB_NEGATIVES)
def test_real_outfits_all_get_their_blanks(real: Dataset, protocol: FitbNegatives) -> None:
    blanks = draw_fill_in_the_blank(real, "test", protocol, 17)
    answers = Counter(question.answer for question in blanks.questions)
    assert all(abs(answers[place] - len(blanks.questions) / 4) < 24 for place in range(4))


def test_negatives_keep_the_kind_where_there_are_enough(real: Dataset) -> None:
    outfits = {outfit.id: outfit for outfit in real.outfits}

    def kind(name: str) -> tuple[str | None, str]:  # a kind such as "Clothing" is worn in several ways
        return real.items[name].category, real.items[name].subcategory

    kinds = Counter(kind(name) for outfit in real.outfits_of("test") for name in outfit.item_ids)
    common = {one for one, count in kinds.items() if count >= 20}
    for question in compatibility_questions(real, "test", "same-category", 3):
        if not question.compatible:
            drawn, true = (
                Counter(kind(name) for name in ids if kind(name) in common)
                for ids in (question.item_ids, outfits[question.outfit_id].item_ids)
            )
            assert not true - drawn


def test_the_same_seed_and_epoch_ask_the_same(wardrobe: Wardrobe) -> None:
    dataset = wardrobe({"train": 30})
    first = compatibility_questions(dataset, "train", "random", 5)
    assert compatibility_questions(dataset, "train", "random", 5) == first
    for other in (
        compatibility_questions(dataset, "train", "random", 6),
        compatibility_questions(dataset, "train", "random", 5, epoch=1),
        compatibility_questions(dataset, "train", "same-category", 5),
    ):
        negatives = ({q.outfit_id: set(q.item_ids) for q in asked if not q.compatible} for asked in (first, other))
        assert next(negatives) != next(negatives)
    assert fill_in_the_blank_questions(dataset, "train", "random", 5) == fill_in_the_blank_questions(
        dataset, "train", "random", 5
    )


def test_positives_are_shuffled_and_anew_in_each_epoch(wardrobe: Wardrobe) -> None:
    dataset = wardrobe({"train": 60})
    truth = {outfit.id: outfit.item_ids for outfit in dataset.outfits}
    orders = []
    for epoch in (0, 1):
        asked = compatibility_questions(dataset, "train", "random", 5, epoch)
        orders.append({question.outfit_id: question.item_ids for question in asked if question.compatible})
    kept = sum(orders[0][outfit_id] == truth[outfit_id] for outfit_id in truth)
    assert kept < 20
    assert orders[0] != orders[1]


def test_an_item_is_about_as_frequent_in_negatives_as_in_positives(wardrobe: Wardrobe) -> None:
    dataset = wardrobe({"train": 40})
    counts: Counter[str] = Counter()
    for epoch in range(200):
        for question in compatibility_questions(dataset, "train", "random", 1, epoch):
            if not question.compatible:
                counts.update(question.item_ids)
    # Expected 200 each: 140 items are drawn 140 times in each of 200 epochs.
    assert len(counts) == len(dataset.items)
    assert all(130 < count < 280 for count in counts.values())


def test_an_outfit_without_a_negative_is_left_out_and_said(
    wardrobe: Wardrobe, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = wardrobe({"test": 12})
    watch = Item("w", "gold watch", "watch")
    odd = Outfit("odd", (*dataset.outfits[0].item_ids, "w"), "test")
    dataset = Dataset("x", "catalogue", {**dataset.items, "w": watch}, (*dataset.outfits[1:], odd), (), text_only=True)
    with caplog.at_level(logging.WARNING):
        asked = compatibility_questions(dataset, "test", "same-category", 1)
    assert "1 of 12 test outfits have no same-category question" in caplog.text
    assert "odd" not in {question.outfit_id for question in asked}
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert len(compatibility_questions(dataset, "test", "random", 1)) == 24
    assert not caplog.text


def test_wrong_candidates_of_another_category_are_counted_and_said(
    wardrobe: Wardrobe, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = wardrobe({"test": 3})
    with caplog.at_level(logging.WARNING):
        fill_in_the_blank_questions(dataset, "test", "same-category", 1)
    assert "of 9 wrong candidates of the test split are of another category" in caplog.text


def test_too_few_outfits_say_so(wardrobe: Wardrobe) -> None:
    with pytest.raises(DataError, match="has 1 outfits, too few for random negatives"):
        compatibility_questions(wardrobe({"test": 1}), "test", "random", 1)
    with pytest.raises(DataError, match=r"has 0 items .*too few for 4 choices"):
        fill_in_the_blank_questions(wardrobe({"test": 1}), "test", "random", 1)
    with pytest.raises(DataError, match="no valid outfits"):
        compatibility_questions(wardrobe({"test": 1}), "valid", "random", 1)
