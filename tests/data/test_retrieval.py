from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordi.data.questions import draw_retrieval
from coordi.errors import DataError
from coordi.types import Dataset, GarmentCategory, Item, Outfit

CATEGORIES: tuple[GarmentCategory, ...] = ("top", "bottom", "shoes")


@st.composite
def closets(draw: st.DrawFn) -> Dataset:
    items = {
        str(number): Item(str(number), draw(st.sampled_from(["", "tee", f"t{number}"])), category)
        for number, category in enumerate(draw(st.lists(st.sampled_from(CATEGORIES), min_size=4, max_size=24)))
    }
    wearing = st.lists(st.sampled_from(sorted(items)), min_size=2, max_size=5, unique=True)
    outfits = draw(st.lists(wearing, min_size=1, max_size=12, unique_by=frozenset))
    looks = tuple(Outfit(f"o{number}", tuple(ids), "test") for number, ids in enumerate(outfits))
    return Dataset("closet", "catalogue", items, looks, (), text_only=True)


@settings(max_examples=150, deadline=None)
@given(closets(), st.integers(2, 5), st.integers(0, 3))
def test_queries_hold_their_promises_in_any_closet(dataset: Dataset, pool: int, seed: int) -> None:
    found = draw_retrieval(dataset, "test", seed, pool)
    outfits = {outfit.id: set(outfit.item_ids) for outfit in dataset.outfits}
    assert len(found.questions) + found.left_out == len(outfits)
    for query in found.questions:
        true = query.candidates[query.answer]
        assert {*query.item_ids, true} == outfits[query.outfit_id]
        assert len(set(query.candidates)) == pool
        assert set(query.candidates) & outfits[query.outfit_id] == {true}
        assert len({dataset.items[name].category for name in query.candidates}) == 1
        titles = [dataset.items[name].title for name in query.candidates if dataset.items[name].title]
        assert len(titles) == len(set(titles))
        wrong = (name for name in query.candidates if name != true)
        assert not any({*query.item_ids, name} <= own for name in wrong for own in outfits.values())


@pytest.mark.slow
def test_fewer_queries_are_some_of_more(real: Dataset) -> None:
    every = draw_retrieval(real, "test", 17, 30)
    few = draw_retrieval(real, "test", 17, 30, 20)
    assert len(few.questions) == 20
    assert set(few.questions) < set(every.questions)
    assert few.left_out == every.left_out
    answers = Counter(query.answer for query in every.questions)
    assert max(answers.values()) < 1.5 * len(every.questions) / 30  # the true item may be anywhere in its pool
    assert draw_retrieval(real, "test", 18, 30, 20).questions != few.questions


@pytest.mark.slow
def test_a_pool_that_no_category_can_fill_leaves_outfits_out(real: Dataset) -> None:
    found = draw_retrieval(real, "test", 17, 5000)
    assert not found.questions
    assert found.left_out == len(real.outfits_of("test"))


def test_a_split_without_outfits() -> None:
    empty = Dataset("closet", "catalogue", {}, (), (), text_only=True)
    with pytest.raises(DataError, match="no test outfits"):
        draw_retrieval(empty, "test", 0, 5)
