"""What the sample's shop has and which outfits are put together from it, by the style rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coordi.errors import DataError
from coordi.types import SPLITS, GarmentCategory, Outfit, Split

from .garments import KINDS, OCCASIONS, Garment, Kind, Occasion
from .palette import COLOURS, COMPLEMENTARY
from .rules import agrees

_EXTRAS: tuple[GarmentCategory, ...] = (
    "outerwear",
    "bag",
    "jewellery",
    "headwear",
    "eyewear",
    "scarf",
    "belt",
    "watch",
)
_SMALL: tuple[GarmentCategory, ...] = ("jewellery", "headwear", "eyewear", "scarf", "belt", "watch")
_SHELVES: tuple[tuple[GarmentCategory, ...], ...] = (
    ("top",), ("bottom",), ("shoes",), ("bag",), ("dress",), _SMALL,
    ("top",), ("bottom",), ("shoes",), ("outerwear",), _SMALL,
)  # fmt: skip
"""Which sort a shop orders next for an occasion; once through, it starts again."""

_SHARES: dict[Split, float] = {"train": 0.5, "valid": 0.2, "test": 0.3}
_TITLES: dict[Occasion, str] = {
    "work": "For the office", "casual": "For a day in town", "sport": "For training", "evening": "For an evening out",
    "beach": "For the beach", "winter": "For a winter's day",
}  # fmt: skip
_TRIES = 400
_SMALLEST = 90


@dataclass(frozen=True, slots=True)
class SampleSize:
    """How many items and outfits a sample has.

    Attributes:
        items: Of all splits together; half of them dress the training outfits, a fifth validation, the rest the test.

    Raises:
        DataError: If there are too few of something.
    """

    items: int = 240
    train: int = 160
    valid: int = 40
    test: int = 60

    def __post_init__(self) -> None:
        if self.items < _SMALLEST or min(self.train, self.valid, self.test) < 1:
            raise DataError(
                f"a sample of {self} is too small: items must be {_SMALLEST} or more, outfits of each split 1 or more"
            )

    def outfits(self, split: Split) -> int:
        """Outfits of a split."""
        return {"train": self.train, "valid": self.valid, "test": self.test}[split]


@dataclass(frozen=True, slots=True)
class Wardrobe:
    """Garments by item id and the outfits made of them, both sorted by ids that say nothing."""

    garments: dict[str, Garment]
    outfits: tuple[Outfit, ...]


def fill_wardrobe(seed: int, size: SampleSize) -> Wardrobe:
    """Order the garments of each split, put outfits together, and number all of them at random.

    No garment is in two splits, and no two garments have the same title. An item's id says nothing of its sort, its
    outfits or its split, nor does an outfit's.

    Raises:
        DataError: If there aren't so many distinct outfits in so few items.
    """
    sold: set[Garment] = set()
    garments: list[Garment] = []
    worn: list[tuple[Split, tuple[int, ...], Occasion]] = []
    left = size.items
    for stream, split in enumerate(SPLITS):
        generator = np.random.default_rng([seed, 1, stream])
        count = left if split == SPLITS[-1] else round(size.items * _SHARES[split])
        left -= count
        shelf = _order(generator, count, sold)
        start = len(garments)
        garments.extend(shelf)
        for members, occasion in _put_together(generator, shelf, size.outfits(split)):
            worn.append((split, tuple(start + index for index in members), occasion))
    return _numbered(np.random.default_rng([seed, 2]), garments, worn)


def _order(generator: np.random.Generator, count: int, sold: set[Garment]) -> list[Garment]:
    """Garments of one split: a capsule per occasion, in neutrals and the hues of one complementary pair."""
    pairs = sorted(tuple(sorted(pair)) for pair in COMPLEMENTARY)
    hues = [pairs[index] for index in generator.choice(len(pairs), len(OCCASIONS))]
    shelf: list[Garment] = []
    turn = 0
    while len(shelf) < count:
        occasion, sort = turn % len(OCCASIONS), _SHELVES[turn // len(OCCASIONS) % len(_SHELVES)]
        turn += 1
        kinds = [k for k in KINDS.values() if k.category in sort and OCCASIONS[occasion] in k.occasions]
        for _ in range(_TRIES if kinds else 0):
            garment = _garment(generator, kinds[generator.integers(len(kinds))], hues[occasion])
            if garment not in sold:
                sold.add(garment)
                shelf.append(garment)
                break
        if turn > _TRIES * count:
            raise DataError(f"the sample's shop hasn't {count} more distinct garments; ask for fewer items")
    return shelf


def _garment(generator: np.random.Generator, kind: Kind, hues: tuple[str, ...]) -> Garment:
    accents = [name for name in kind.colours if COLOURS[name].family in hues]
    neutrals = [name for name in kind.colours if not COLOURS[name].family]
    colours = accents if accents and generator.random() < 0.45 else neutrals
    pattern = "plain"
    if kind.patterns and generator.random() < 0.4:
        pattern = kind.patterns[generator.integers(len(kind.patterns))]
    return Garment(kind, colours[generator.integers(len(colours))], pattern)


def _put_together(
    generator: np.random.Generator, shelf: list[Garment], count: int
) -> list[tuple[tuple[int, ...], Occasion]]:
    """Distinct outfits of a split, as positions on the shelf; garments seldom worn so far are taken first."""
    uses = np.zeros(len(shelf))
    found: dict[frozenset[int], tuple[tuple[int, ...], Occasion]] = {}
    attempt, fruitless = 0, 0
    while len(found) < count and fruitless < _TRIES:
        occasion = OCCASIONS[attempt % len(OCCASIONS)]
        attempt, fruitless = attempt + 1, fruitless + 1
        order = np.argsort(uses + generator.uniform(0, 4, len(shelf)))
        fitting = [int(index) for index in order if occasion in shelf[index].kind.occasions]
        members = _dress(generator, shelf, fitting)
        if frozenset(members) not in found and agrees([shelf[index] for index in members]):
            found[frozenset(members)] = (tuple(generator.permutation(members).tolist()), occasion)
            uses[list(members)] += 1
            fruitless = 0
    if len(found) < count:
        raise DataError(
            f"{len(shelf)} garments make only {len(found)} of {count} outfits; ask for more items or fewer outfits"
        )
    return list(found.values())


def _dress(generator: np.random.Generator, shelf: list[Garment], fitting: list[int]) -> list[int]:
    """One outfit of 3 to 5 garments: the first of each sort that is wanted, in the order given."""
    wanted: list[GarmentCategory] = ["dress", "shoes"] if generator.random() < 0.25 else ["top", "bottom", "shoes"]
    size = int(generator.integers(3, 6))
    sorts = {shelf[index].kind.category for index in fitting}
    extras = [sort for sort in _EXTRAS if sort in sorts]
    generator.shuffle(extras)
    wanted += extras[: size - len(wanted)]
    chosen = []
    for sort in wanted:
        chosen += [index for index in fitting if shelf[index].kind.category == sort][:1]
    return chosen if len(chosen) >= 3 else []


def _numbered(
    generator: np.random.Generator, garments: list[Garment], worn: list[tuple[Split, tuple[int, ...], Occasion]]
) -> Wardrobe:
    numbers = generator.permutation(len(garments)) + 1
    ids = [f"i{number:04d}" for number in numbers]
    outfits = []
    for number, (split, members, occasion) in zip(generator.permutation(len(worn)) + 1, worn, strict=True):
        colours = dict.fromkeys(garments[index].colour for index in members)
        title = f"{_TITLES[occasion]}: {' and '.join(list(colours)[:2])}"
        outfits.append(Outfit(f"o{number:04d}", tuple(ids[index] for index in members), split, title))
    return Wardrobe(dict(sorted(zip(ids, garments, strict=True))), tuple(sorted(outfits, key=lambda outfit: outfit.id)))
