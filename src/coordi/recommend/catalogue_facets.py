"""What a catalogue can be filtered by, counted in its database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from coordi.domain import WornCategory
from coordi.recommend.catalogue_rows import ITEMS
from coordi.recommend.described_item import GENDERS, Gender

_MOST_BRANDS = 100


@dataclass(frozen=True, slots=True)
class Facets:
    """What a catalogue can be filtered by.

    Attributes:
        categories: How many items each has, the most frequent first; those without items are absent.
        brands: By frequency, the first hundred.
        seasons: By frequency, in lower case.
        genders: In the order of ``GENDERS``.
        price_range: Lowest and highest price; None if no price is known.
    """

    categories: Mapping[WornCategory, int]
    brands: tuple[str, ...]
    seasons: tuple[str, ...]
    genders: tuple[Gender, ...]
    price_range: tuple[float, float] | None


def read_facets(values: Callable[[str], Sequence[tuple[Any, ...]]]) -> Facets:
    """Count them.

    Args:
        values: Gives a query's rows.
    """
    by_category = values(f"SELECT category, count(*) AS n FROM {ITEMS} GROUP BY category ORDER BY n DESC, 1")
    brands = values(
        f"SELECT min(brand) FROM {ITEMS} WHERE brand_key <> '' GROUP BY brand_key "
        f"ORDER BY count(*) DESC, brand_key LIMIT {_MOST_BRANDS}"
    )
    seasons = values(
        f"SELECT season_key FROM {ITEMS} WHERE season_key <> '' GROUP BY season_key ORDER BY count(*) DESC, 1"
    )
    there = {row[0] for row in values(f"SELECT DISTINCT gender FROM {ITEMS}")}
    low, high = values(f"SELECT min(price), max(price) FROM {ITEMS}")[0]
    return Facets(
        {cast("WornCategory", name): int(count) for name, count in by_category},
        tuple(row[0] for row in brands),
        tuple(row[0] for row in seasons),
        tuple(gender for gender in GENDERS if gender in there),
        None if low is None else (low, high),
    )
