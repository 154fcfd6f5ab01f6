from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from training.sample_drawing.garments import OCCASIONS
from training.sample_drawing.rules import agrees, shared_occasions
from training.sample_drawing.wardrobe import SampleSize, Wardrobe, fill_wardrobe

from coordi.types import SPLITS


@pytest.fixture(scope="module", params=[1, 17])
def wardrobe(request: pytest.FixtureRequest) -> Wardrobe:
    return fill_wardrobe(int(request.param), SampleSize())


def _by_category(wardrobe: Wardrobe, split: str) -> dict[str, list[str]]:
    worn = sorted({item for outfit in wardrobe.outfits if outfit.split == split for item in outfit.item_ids})
    found: dict[str, list[str]] = defaultdict(list)
    for item in worn:
        found[wardrobe.garments[item].kind.category].append(item)
    return found


def test_default_size(wardrobe: Wardrobe) -> None:
    assert len(wardrobe.garments) == 240
    assert [sum(outfit.split == split for outfit in wardrobe.outfits) for split in SPLITS] == [160, 40, 60]


def test_seed_decides(wardrobe: Wardrobe) -> None:
    assert fill_wardrobe(1, SampleSize()) == fill_wardrobe(1, SampleSize())
    assert fill_wardrobe(2, SampleSize()) != wardrobe


def test_nearly_everything_is_worn(wardrobe: Wardrobe) -> None:
    worn = {item for outfit in wardrobe.outfits for item in outfit.item_ids}
    assert len(worn) >= 0.9 * len(wardrobe.garments)


def test_every_occasion_is_dressed_in_every_split(wardrobe: Wardrobe) -> None:
    for split in SPLITS:
        outfits = [outfit for outfit in wardrobe.outfits if outfit.split == split]
        found = {name for o in outfits for name in shared_occasions([wardrobe.garments[i] for i in o.item_ids])}
        assert found == set(OCCASIONS)


def test_redrawing_within_categories_breaks_the_rules(wardrobe: Wardrobe) -> None:
    generator = np.random.default_rng(3)
    for split in SPLITS:
        by_category = _by_category(wardrobe, split)
        broken = []
        for outfit in wardrobe.outfits:
            if outfit.split != split:
                continue
            sorts = [wardrobe.garments[item].kind.category for item in outfit.item_ids]
            drawn = [str(generator.choice(by_category[sort])) for sort in sorts]
            broken.append(not agrees([wardrobe.garments[item] for item in drawn]))
        assert np.mean(broken) >= 0.7, split


def test_replacing_one_item_within_its_category_breaks_the_rules(wardrobe: Wardrobe) -> None:
    generator = np.random.default_rng(4)
    broken = []
    for outfit in wardrobe.outfits:
        by_category = _by_category(wardrobe, outfit.split)
        blank = int(generator.integers(len(outfit.item_ids)))
        garments = [wardrobe.garments[item] for item in outfit.item_ids]
        others = [i for i in by_category[garments[blank].kind.category] if i != outfit.item_ids[blank]]
        if others:
            garments[blank] = wardrobe.garments[str(generator.choice(others))]
            broken.append(not agrees(garments))
    assert np.mean(broken) >= 0.7


def test_ids_tell_nothing(wardrobe: Wardrobe) -> None:
    """Ranks of ids hardly correlate with category, split or outfit-mates, and no order is kept in an outfit."""
    number = {item: int(item[1:]) for item in wardrobe.garments}
    assert sorted(number.values()) == list(range(1, 241))
    categories = sorted({garment.kind.category for garment in wardrobe.garments.values()})
    coded = [categories.index(garment.kind.category) for garment in wardrobe.garments.values()]
    assert abs(np.corrcoef(list(number.values()), coded)[0, 1]) < 0.2
    splits = {item: SPLITS.index(outfit.split) for outfit in wardrobe.outfits for item in outfit.item_ids}
    assert abs(np.corrcoef([number[item] for item in splits], list(splits.values()))[0, 1]) < 0.2
    order = [(int(outfit.id[1:]), SPLITS.index(outfit.split)) for outfit in wardrobe.outfits]
    assert abs(np.corrcoef(np.transpose(order))[0, 1]) < 0.2
    within = np.mean([np.std([number[item] for item in outfit.item_ids]) for outfit in wardrobe.outfits])
    at_random = np.mean(
        [np.std(np.random.default_rng(i).integers(1, 241, len(o.item_ids))) for i, o in enumerate(wardrobe.outfits)]
    )
    assert within == pytest.approx(at_random, rel=0.15)


def test_items_of_an_outfit_are_shuffled(wardrobe: Wardrobe) -> None:
    first = [wardrobe.garments[outfit.item_ids[0]].kind.category for outfit in wardrobe.outfits]
    assert len(set(first)) > 5
    assert first.count("top") < 0.5 * len(first)
