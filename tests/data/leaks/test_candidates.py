from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coordi.data.leak_tests import ItemFacts, fitb_set
from coordi.data.leaks import Leak, audit
from coordi.data.questions import fill_in_the_blank_questions
from coordi.types import Dataset, FitbQuestion, Item, Outfit

from .conftest import Shop, with_items

Blanks = tuple[FitbQuestion, ...]


def _only(dataset: Dataset, planted: Sequence[FitbQuestion]) -> Leak:
    (leak,) = audit(dataset, {}, blanks={"planted": planted}, photos=False)
    assert leak.where == "planted blanks"
    assert (leak.auc, leak.chance) == (None, 0.25)
    return leak


def _wrong(blank: FitbQuestion) -> list[str]:
    return [name for place, name in enumerate(blank.candidates) if place != blank.answer]


def _changed_where_true(dataset: Dataset, blanks: Blanks, change: Callable[[Item, bool], Item]) -> Dataset:
    """Each item changed, with whether it is a true candidate more often than a wrong one."""
    score = dict.fromkeys(dataset.items, 0)
    for blank in blanks:
        score[blank.candidates[blank.answer]] += 3
        for name in _wrong(blank):
            score[name] -= 1
    return with_items(dataset, lambda item: change(item, score[item.id] > 0))


def test_a_cheat_guesses_among_ties(shop: Dataset, blanks: Blanks) -> None:
    part = fitb_set("b", blanks[:4], ItemFacts(shop))
    scores = np.zeros(16)
    assert part.accuracy(scores) == 0.25
    scores[np.nonzero(part.positive)[0][0]] = 1  # one is known
    assert part.accuracy(scores) == pytest.approx((1 + 3 / 4) / 4)
    scores[:4] = 1  # and now not among the four
    assert part.accuracy(scores) == 0.25
    assert part.accuracy(-part.positive.astype(np.float64)) == 0


def test_the_answers_position(shop: Dataset, blanks: Blanks) -> None:
    """Half of the answers stand third, the others anywhere."""
    planted = []
    for place, blank in enumerate(blanks):
        shown = _wrong(blank)
        shown.insert(2 if place % 2 else place // 2 % 4, blank.candidates[blank.answer])
        planted.append(replace(blank, candidates=tuple(shown), answer=shown.index(blank.candidates[blank.answer])))
    leak = _only(shop, planted)
    assert leak.name == "position"
    assert leak.accuracy == pytest.approx(0.625, abs=0.01)


def test_random_wrong_candidates_are_of_categories_that_the_outfit_has(shop: Dataset) -> None:
    leak = _only(shop, fill_in_the_blank_questions(shop, "test", "random", 1))
    assert leak.name == "categories"
    assert "a garment category that the outfit lacks" in leak.detail


def test_the_only_one_of_its_category(shop: Dataset, blanks: Blanks) -> None:
    """Wrong candidates are all tops, whatever is missing."""
    tops = [item.id for item in shop.items.values() if item.category == "top"]
    planted = []
    for place, blank in enumerate(blanks):
        drawn = tops[3 * place % 90 : 3 * place % 90 + 3]
        shown = tuple(blank.candidates[blank.answer] if at == blank.answer else drawn.pop() for at in range(4))
        planted.append(replace(blank, candidates=shown))
    others = [one for one in planted if shop.items[one.candidates[one.answer]].category != "top"]
    (leak,) = [leak for leak in audit(shop, {}, blanks={"planted": others}) if leak.name == "categories"]
    assert leak.accuracy == 1.0
    assert "alone in their garment category" in leak.detail


def test_the_only_one_of_its_kind(shop: Dataset, blanks: Blanks) -> None:
    other = iter(range(10**6))
    true = {blank.candidates[blank.answer] for blank in blanks}
    kinds = with_items(
        shop, lambda item: replace(item, subcategory=f"k{next(other)}" if item.id in true else str(item.category))
    )
    leaks = audit(kinds, {}, blanks={"planted": blanks})
    (leak,) = [leak for leak in leaks if leak.name == "categories"]
    assert "alone in their kind" in leak.detail


def test_words_shared_with_the_outfit(apart: Dataset, blanks_apart: Blanks) -> None:
    brand = {name: f"brand{place % 60}" for place, outfit in enumerate(apart.outfits) for name in outfit.item_ids}
    branded = with_items(apart, lambda item: replace(item, title=f"{brand.get(item.id, 'none')} {item.title}"))
    leak = _only(branded, blanks_apart)
    assert leak.name == "words"
    assert leak.accuracy is not None
    assert leak.accuracy > 0.8


def test_true_candidates_that_training_knows(shop: Dataset, blanks: Blanks) -> None:
    """As where items are in several splits, and wrong candidates are drawn among new ones."""
    known = {blank.candidates[blank.answer] for blank in blanks} - {name for blank in blanks for name in _wrong(blank)}
    names = sorted(known)
    pairs = [Outfit(f"more{place}", (name, other), "train")
             for place, (name, other) in enumerate(itertools.pairwise(names))]  # fmt: skip
    grown = replace(shop, outfits=(*shop.outfits, *pairs))
    planted = [blank for blank in blanks if blank.candidates[blank.answer] in known]
    found = audit(grown, {}, blanks={"planted": planted})
    (leak,) = [leak for leak in found if leak.name == "popularity"]
    assert leak.accuracy == 1.0
    assert "how often titles are in training outfits" in leak.detail


def test_candidates_that_stood_with_the_outfit_in_training(shop: Dataset, blanks: Blanks) -> None:
    """Every candidate is known from training, but only the true one from an outfit with these items."""
    seen = [Outfit(f"seen{place}", (blank.candidates[blank.answer], blank.item_ids[0]), "train")
            for place, blank in enumerate(blanks)]  # fmt: skip
    leaks = audit(replace(shop, outfits=(*shop.outfits, *seen)), {}, blanks={"planted": blanks})
    (leak,) = [leak for leak in leaks if (leak.name, leak.where) == ("items", "planted blanks")]
    assert leak.accuracy == pytest.approx(1.0, abs=0.05)
    trained = fill_in_the_blank_questions(shop, "train", "same-category", 1)
    assert audit(shop, {}, blanks={"training's own": trained}) == ()


def test_true_candidates_of_rare_kinds(make_shop: Shop) -> None:
    """Of each category a fifth of the items are of kinds of their own, and no wrong candidate is."""
    shop = make_shop(2, {"train": 300, "valid": 3, "test": 300})
    rare = {item_id for place, item_id in enumerate(shop.items) if place % 5 == 0}
    kinds = with_items(
        shop, lambda item: replace(item, subcategory=f"{item.subcategory} {'own' if item.id in rare else ''}")
    )
    planted = [
        blank
        for blank in fill_in_the_blank_questions(shop, "test", "same-category", 1)
        if not rare & set(_wrong(blank))
    ]
    (leak,) = [leak for leak in audit(kinds, {}, blanks={"planted": planted}) if leak.name == "popularity"]
    assert "how common the candidates' kinds are in training" in leak.detail


def test_longer_titles(shop: Dataset, blanks: Blanks) -> None:
    longer = _changed_where_true(shop, blanks, lambda item, true: replace(item, title=item.title + " x y" * true))
    assert _only(longer, blanks).name == "lengths"


def test_missing_titles_and_photos(shop: Dataset, blanks: Blanks) -> None:
    emptied = _changed_where_true(shop, blanks, lambda item, true: item if true else replace(item, title=""))
    assert {leak.name for leak in audit(emptied, {}, blanks={"planted": blanks})} >= {"missing"}
    pictured = _changed_where_true(
        shop, blanks, lambda item, true: replace(item, image=Path("p.jpg") if true else None)
    )
    assert _only(pictured, blanks).name == "missing"


def test_photos_where_the_outfit_has_them(apart: Dataset, blanks_apart: Blanks) -> None:
    pictured = {name for place, outfit in enumerate(apart.outfits) if place % 2 for name in outfit.item_ids}
    some = with_items(apart, lambda item: replace(item, image=Path("p.jpg") if item.id in pictured else None))
    leak = _only(some, blanks_apart)
    assert leak.name == "missing"
    assert "photos that only some items have" in leak.detail
