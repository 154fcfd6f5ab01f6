"""A shop without any leak, in which leaks are planted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from coordi.data.questions import compatibility_questions, fill_in_the_blank_questions
from coordi.types import (
    FITB_NEGATIVES,
    NEGATIVES,
    CompatibilityQuestion,
    Dataset,
    FitbNegatives,
    FitbQuestion,
    GarmentCategory,
    Item,
    Negatives,
    Outfit,
    Split,
)

Shop = Callable[..., Dataset]
Questions = dict[str, tuple[CompatibilityQuestion, ...]]
Blanks = dict[str, tuple[FitbQuestion, ...]]
Sizes = dict[Split, int]

SLOTS: tuple[GarmentCategory, ...] = ("top", "bottom", "shoes", "bag")
SIZES: Sizes = {"train": 150, "valid": 20, "test": 100}
_WORDS = [f"{first}{second}{last}" for first in "bdfgklmn" for second in "aeiou" for last in "rstvz"]


@pytest.fixture(scope="session")
def make_shop() -> Shop:
    """Outfits of a top, a bottom, shoes and sometimes a bag, from a pool of items of the split, some worn often.

    Ids are drawn, titles are five or six words of 200 and their own, and every kind has many items. In a shop of
    outfits ``apart`` each item is in one.
    """

    def make(seed: int = 0, sizes: Sizes = SIZES, apart: bool = False) -> Dataset:
        generator = np.random.default_rng(seed)
        numbers = iter(generator.permutation(900_000) + 100_000)
        items: dict[str, Item] = {}
        outfits: list[Outfit] = []
        for split, count in sizes.items():
            pools = {category: _pool(category, count, numbers, generator) for category in SLOTS}
            items |= {item.id: item for pool in pools.values() for item in pool}
            for place in range(count):
                own = SLOTS[: 3 + int(generator.integers(2))]
                chosen = [pools[category][place] if apart else _often_the_first(pools[category], generator)
                          for category in own]  # fmt: skip
                ids = tuple(item.id for item in chosen)
                outfits.append(Outfit(f"o{next(numbers)}", ids, split))
        unique = {frozenset(outfit.item_ids): outfit for outfit in outfits}
        return Dataset("shop", "catalogue", items, tuple(unique.values()), (), text_only=True)

    return make


@pytest.fixture(scope="session")
def shop(make_shop: Shop) -> Dataset:
    return make_shop()


@pytest.fixture(scope="session")
def apart(make_shop: Shop) -> Dataset:
    """A shop of which each item is in one outfit."""
    return make_shop(apart=True)


@pytest.fixture(scope="session")
def sampled_apart(apart: Dataset) -> tuple[CompatibilityQuestion, ...]:
    return compatibility_questions(apart, "train", "same-category", 1)


@pytest.fixture(scope="session")
def blanks_apart(apart: Dataset) -> tuple[FitbQuestion, ...]:
    return fill_in_the_blank_questions(apart, "test", "same-category", 1)


@pytest.fixture(scope="session")
def sampled(shop: Dataset) -> tuple[CompatibilityQuestion, ...]:
    """Questions of the training split, same-category, of which each check knows nothing."""
    return compatibility_questions(shop, "train", "same-category", 1)


@pytest.fixture(scope="session")
def blanks(shop: Dataset) -> tuple[FitbQuestion, ...]:
    """Blanks of the test split, same-category, of which each check knows nothing."""
    return fill_in_the_blank_questions(shop, "test", "same-category", 1)


def all_questions(dataset: Dataset, seed: int, splits: Iterable[Split] = ("train", "test")) -> Questions:
    protocols: Sequence[Negatives] = NEGATIVES
    return {
        f"{split} {protocol}": compatibility_questions(dataset, split, protocol, seed)
        for split in splits
        for protocol in protocols
    }


def all_blanks(dataset: Dataset, seed: int, splits: Iterable[Split] = ("train", "test")) -> Blanks:
    protocols: Sequence[FitbNegatives] = FITB_NEGATIVES
    return {
        f"{split} {protocol}": fill_in_the_blank_questions(dataset, split, protocol, seed)
        for split in splits
        for protocol in protocols
    }


def with_items(dataset: Dataset, change: Callable[[Item], Item]) -> Dataset:
    """The data set with each item changed; ids must stay."""
    return replace(dataset, items={item_id: change(item) for item_id, item in dataset.items.items()})


def _pool(
    category: GarmentCategory, outfits: int, numbers: Iterable[int], generator: np.random.Generator
) -> list[Item]:
    drawn = [
        (str(number), generator.choice(_WORDS, int(generator.integers(5, 7)), replace=False))
        for number, _ in zip(numbers, range(outfits), strict=False)
    ]
    return [
        Item(item_id, " ".join([*words, category]), category, f"{category} {'abc'[int(generator.integers(3))]}")
        for item_id, words in drawn
    ]


def _often_the_first(pool: Sequence[Item], generator: np.random.Generator) -> Item:
    return pool[int(len(pool) * generator.random() ** 2)]
