from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from coordi.data.leaks import Leak, audit
from coordi.data.questions import compatibility_questions
from coordi.types import NEGATIVES, CompatibilityQuestion, Dataset, Negatives

from .conftest import SLOTS, with_items


def _order(dataset: Dataset, planted: list[CompatibilityQuestion]) -> Leak:
    (leak,) = audit(dataset, {"planted": planted})
    assert (leak.name, leak.where, leak.visible) == ("order", "planted", True)
    return leak


@pytest.mark.parametrize("protocol", ["random", "same-category", "one-swapped"])
def test_positives_in_the_sources_order(shop: Dataset, protocol: Negatives) -> None:
    assert protocol in NEGATIVES
    by_id = {frozenset(outfit.item_ids): outfit.item_ids for outfit in shop.outfits}
    planted = [
        replace(question, item_ids=by_id[frozenset(question.item_ids)]) if question.compatible else question
        for question in compatibility_questions(shop, "train", protocol, 1)
    ]
    leak = _order(shop, planted)
    assert leak.auc is not None
    assert leak.auc > 0.8
    assert "categories by who stands before whom" in leak.detail


def test_pairs_in_the_sources_order(shop: Dataset) -> None:
    places = {item_id: place for place, item_id in enumerate(shop.items)}
    planted = [
        replace(question, item_ids=tuple(sorted(question.item_ids, key=places.__getitem__)))
        if question.compatible else question
        for question in compatibility_questions(shop, "train", "pairs", 1)
    ]  # fmt: skip
    assert _order(shop, planted).auc == pytest.approx(0.75, abs=0.05)


def test_places_in_the_source_when_categories_say_nothing(shop: Dataset) -> None:
    alike = with_items(shop, lambda item: replace(item, category="top", subcategory=""))
    places = {item_id: place for place, item_id in enumerate(alike.items)}
    planted = [
        replace(question, item_ids=tuple(sorted(question.item_ids, key=places.__getitem__)))
        if question.compatible else question
        for question in compatibility_questions(alike, "train", "random", 1)
    ]  # fmt: skip
    assert "places in the source" in _order(alike, planted).detail


def test_places_within_outfits_when_places_in_the_source_say_nothing(shop: Dataset) -> None:
    """As in a release that numbers an outfit's items: negatives keep the numbers that their items had elsewhere."""
    generator = np.random.default_rng(4)
    names = [list(shop.items)[place] for place in generator.permutation(len(shop.items))]
    alike = replace(shop, items={name: replace(shop.items[name], category="top") for name in names})
    by_id = {frozenset(outfit.item_ids): outfit.item_ids for outfit in shop.outfits}
    planted = [
        replace(question, item_ids=by_id[frozenset(question.item_ids)]) if question.compatible else question
        for question in compatibility_questions(alike, "train", "random", 1)
    ]
    assert _order(alike, planted).detail.startswith("places within the items' own outfits tell the answer")


def test_order_by_category_alone(shop: Dataset, sampled: tuple[CompatibilityQuestion, ...]) -> None:
    """Positives top first, negatives shoes or bag first, and no item's place in the source is any help."""
    generator = np.random.default_rng(5)
    names = [list(shop.items)[place] for place in generator.permutation(len(shop.items))]
    outfits = tuple(replace(one, item_ids=tuple(generator.permutation(one.item_ids).tolist())) for one in shop.outfits)
    mixed = replace(shop, items={name: shop.items[name] for name in names}, outfits=outfits)
    planted = [
        replace(question, item_ids=tuple(sorted(
            question.item_ids, key=lambda name: SLOTS.index(shop.items[name].category), reverse=not question.compatible
        )))
        for question in sampled
    ]  # fmt: skip
    leak = _order(mixed, planted)
    assert leak.auc == 1.0
    assert "places" not in leak.detail


def test_categories_by_position_when_no_two_categories_meet(
    shop: Dataset, sampled: tuple[CompatibilityQuestion, ...]
) -> None:
    """Every item of a question is of one category, in the first two places or the last two."""
    alike = with_items(shop, lambda item: item)
    tops = [item for item in alike.items.values() if item.category == "top"]
    bags = [item for item in alike.items.values() if item.category == "bag"]
    planted = [
        replace(question, item_ids=tuple(item.id for item in (
            (tops[place], tops[place + 1], bags[place]) if question.compatible
            else (tops[place], bags[place], tops[place + 1])
        )))
        for place, question in zip(np.random.default_rng(1).integers(0, 140, len(sampled)), sampled, strict=True)
    ]  # fmt: skip
    (leak,) = [leak for leak in audit(alike, {"planted": planted}) if leak.name == "order"]
    assert "categories by position" in leak.detail
