from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coordi.data.leaks import Leak, audit
from coordi.types import CompatibilityQuestion, Dataset, Item

from .conftest import with_items

Questions = tuple[CompatibilityQuestion, ...]


def _only(dataset: Dataset, planted: Sequence[CompatibilityQuestion]) -> Leak:
    (leak,) = audit(dataset, {"planted": planted}, photos=False)
    return leak


def _negatives_prefer(
    sampled: Questions, dataset: Dataset, value: Callable[[Item], float]
) -> list[CompatibilityQuestion]:
    """Half of a negative's items are drawn anew, of the quarter of all occurrences with the largest value."""
    best: dict[str | None, list[str]] = {}
    own = [name for outfit in dataset.outfits_of("train") for name in outfit.item_ids]
    for name in sorted(own, key=lambda name: -value(dataset.items[name])):
        best.setdefault(dataset.items[name].category, []).append(name)
    generator = np.random.default_rng(9)

    def drawn(name: str) -> str:
        quarter = best[dataset.items[name].category]
        return quarter[int(generator.integers(len(quarter) // 4))] if generator.random() < 0.5 else name

    return [
        one if one.compatible else replace(one, item_ids=tuple(drawn(name) for name in one.item_ids)) for one in sampled
    ]


def test_negatives_that_are_shorter(shop: Dataset, sampled: Questions) -> None:
    leak = _only(shop, [one if one.compatible else replace(one, item_ids=one.item_ids[:-1]) for one in sampled])
    assert leak.name == "size"
    assert "so do numbers of items" in leak.detail


def test_negatives_of_uncommon_sizes(shop: Dataset, sampled: Questions) -> None:
    """Two or four items where real outfits have three: on the whole no fewer."""
    threes = [one for one in sampled if len(one.item_ids) == 3]
    spare = next(iter(shop.items))
    planted = [
        one if one.compatible else replace(one, item_ids=one.item_ids[:2] if place % 4 < 2 else (*one.item_ids, spare))
        for place, one in enumerate(sorted(threes, key=lambda one: one.outfit_id))
    ]
    # The spare item in many a negative is a leak of its own.
    (leak,) = [leak for leak in audit(shop, {"planted": planted}, photos=False) if leak.name == "size"]
    assert leak.auc == 1.0
    assert leak.detail.startswith("uncommon numbers of items tell the answer")


def test_an_unbalanced_set(shop: Dataset, sampled: Questions) -> None:
    negatives = [one.id for one in sampled if not one.compatible]
    kept = [one for one in sampled if one.id not in negatives[::2]]
    leak = _only(shop, kept)
    share = sum(one.compatible for one in kept) / len(kept)
    assert (leak.name, leak.auc, leak.accuracy, leak.chance) == ("balance", None, share, 0.5)
    assert f"{share:.0%} compatible questions" in leak.detail


def test_repeated_questions(shop: Dataset, sampled: Questions) -> None:
    again = [replace(one, id=f"again-{place}") for place, one in enumerate(sampled[:40])]
    (leak,) = [leak for leak in audit(shop, {"planted": [*sampled, *again]}) if leak.name == "repeats"]
    assert (leak.count, leak.where) == (40, "planted")
    assert "0 of them with the other answer" in leak.detail
    assert leak.auc is not None


def test_repeats_that_only_positives_have_tell_the_answer(shop: Dataset, sampled: Questions) -> None:
    positives = [one for one in sampled if one.compatible][:60]
    (leak,) = [leak for leak in audit(shop, {"planted": [*sampled, *positives]}) if leak.name == "repeats"]
    count = len(sampled) // 2
    assert leak.auc == pytest.approx(0.5 + 120 / (count + 60) / 2)


def test_a_repeat_or_two_is_no_alarm_but_a_contradiction_is(shop: Dataset, sampled: Questions) -> None:
    assert audit(shop, {"planted": [*sampled, sampled[0]]}) == ()
    turned = replace(sampled[0], compatible=not sampled[0].compatible)
    (leak,) = audit(shop, {"planted": [*sampled, turned]})
    assert (leak.name, leak.count) == ("repeats", 1)
    assert "1 of them with the other answer" in leak.detail


def test_negatives_of_popular_items(shop: Dataset, sampled: Questions) -> None:
    often = dict.fromkeys(shop.items, 0)
    for outfit in shop.outfits_of("train"):
        for name in outfit.item_ids:
            often[name] += 1
    leak = _only(shop, _negatives_prefer(sampled, shop, lambda item: often[item.id]))
    assert leak.name == "popularity"
    assert leak.detail.startswith("how often titles are in training outfits tell")


def test_negatives_of_common_kinds(shop: Dataset, sampled: Questions) -> None:
    """Real outfits hold things of rare kinds too; a draw within a kind that falls back on common ones doesn't."""
    rare = {name: place % 5 == 0 for place, name in enumerate(shop.items)}
    kinds = with_items(
        shop,
        lambda item: replace(item, subcategory=f"{item.subcategory} {item.id}" if rare[item.id] else item.subcategory),
    )
    common: dict[str | None, list[str]] = {}
    for name in dict.fromkeys(name for outfit in shop.outfits_of("train") for name in outfit.item_ids):
        if not rare[name]:
            common.setdefault(shop.items[name].category, []).append(name)
    generator = np.random.default_rng(3)
    planted = [
        one if one.compatible else replace(one, item_ids=tuple(
            str(generator.choice(common[shop.items[name].category])) if rare[name] else name for name in one.item_ids
        ))
        for one in sampled
    ]  # fmt: skip
    leak = _only(kinds, planted)
    assert leak.name == "popularity"
    assert leak.detail.startswith("how common the items' kinds are in training tell")


def test_negatives_with_longer_titles(shop: Dataset, sampled: Questions) -> None:
    longer = with_items(shop, lambda item: replace(item, title=f"{item.title} x y z" if int(item.id) % 4 == 0
                                                   else item.title))  # fmt: skip
    leak = _only(longer, _negatives_prefer(sampled, longer, lambda item: len(item.title.split())))
    assert leak.name == "lengths"


def test_negatives_without_titles(shop: Dataset, sampled: Questions) -> None:
    emptied = with_items(shop, lambda item: replace(item, title="" if int(item.id) % 4 == 0 else item.title))
    leaks = audit(emptied, {"planted": _negatives_prefer(sampled, emptied, lambda item: not item.title)})
    assert {leak.name for leak in leaks} == {"missing", "lengths"}
    assert any("missing titles" in leak.detail for leak in leaks)


def test_negatives_without_photos(shop: Dataset, sampled: Questions) -> None:
    some = with_items(shop, lambda item: replace(item, image=None if int(item.id) % 4 == 0 else Path("p.jpg")))
    leak = _only(some, _negatives_prefer(sampled, some, lambda item: item.image is None))
    assert leak.name == "missing"
    assert "missing photos" in leak.detail


def test_outfits_that_have_titles_or_none(apart: Dataset, sampled_apart: Questions) -> None:
    """A negative mixes items with and without, a real outfit doesn't; on the whole both have as many."""
    titled = {name for place, outfit in enumerate(apart.outfits) if place % 2 for name in outfit.item_ids}
    some = with_items(apart, lambda item: replace(item, title=item.title if item.id in titled else ""))
    leak = _only(some, sampled_apart)
    assert leak.name == "missing"
    assert "titles that only some items have" in leak.detail


def test_outfits_that_have_photos_or_none(apart: Dataset, sampled_apart: Questions) -> None:
    """A negative mixes items with and without, a real outfit doesn't; on the whole both have as many."""
    pictured = {name for place, outfit in enumerate(apart.outfits) if place % 2 for name in outfit.item_ids}
    some = with_items(apart, lambda item: replace(item, image=Path("p.jpg") if item.id in pictured else None))
    leak = _only(some, sampled_apart)
    assert leak.name == "missing"
    assert "photos that only some items have" in leak.detail


def test_a_brand_that_an_outfit_shares(apart: Dataset, sampled_apart: Questions) -> None:
    """Each maker shows own goods: a word of every fortieth outfit, in all of its titles."""
    brand = {name: f"brand{place % 60}" for place, outfit in enumerate(apart.outfits) for name in outfit.item_ids}
    branded = with_items(apart, lambda item: replace(item, title=f"{brand.get(item.id, 'none')} {item.title}"))
    leak = _only(branded, sampled_apart)
    assert leak.name == "words"
    assert leak.auc is not None
    assert leak.auc > 0.8
    assert "(brand" in leak.detail


def test_words_that_many_titles_have_are_no_brand(shop: Dataset, sampled: Questions) -> None:
    colour = {name: "red" if place % 8 else "blue" for place, outfit in enumerate(shop.outfits)
              for name in outfit.item_ids}  # fmt: skip
    said = with_items(shop, lambda item: replace(item, title=f"{colour.get(item.id, 'red')} {item.title}"))
    assert audit(said, {"planted": sampled}) == ()
