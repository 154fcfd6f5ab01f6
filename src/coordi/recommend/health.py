"""A page that shows whether a catalogue was read rightly: counts, problems, prices, doubles, and items to look at."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from coordi.artifacts import page_environment
from coordi.data.photos import photo_uri
from coordi.data.source import RowProblem
from coordi.recommend.build import by_reason, examples, read_problems
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.rules import Rules
from coordi.recommend.stylist import title_key
from coordi.types import Item

_AT_ONCE = 2048
_LOOKED_AT = 10  # items of a category
_BARS = 12  # of prices
_EXAMPLES = 5  # of a problem
_MOST_DOUBLES = 50
_PHOTO_PIXELS = 180
_UNKNOWN = ("price", "brand", "colours", "gender", "season", "in_stock")
_IN_WORDS = {"colours": "colour", "gender": "whom it is for", "in_stock": "stock"}


@dataclass(frozen=True, slots=True)
class PriceBar:
    """A range of prices, and the number of items in it."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Health:
    """What the page shows; of each category the items are spread evenly over the catalogue."""

    items: int
    photographed: int
    categories: dict[str, list[Item]]
    counts: dict[str, int]
    unknown: dict[str, int]
    prices: tuple[PriceBar, ...]
    doubles: dict[str, list[str]]  # ids of items with the same category, title, brand and price, by title
    problems: dict[str, list[RowProblem]]  # of the last change, by reason


def look_into(index: Catalogue) -> Health:
    """Count, reading all items once; memory holds a part of them."""
    counts = {str(category): count for category, count in index.facets().categories.items()}
    steps = {category: max(1, count // _LOOKED_AT) for category, count in counts.items()}
    numbers: Counter[str] = Counter()
    chosen: dict[str, list[Item]] = {category: [] for category in counts}
    unknown: Counter[str] = Counter()
    prices: list[float] = []
    alike: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for item in _all_items(index):
        category = str(item.category)
        if numbers[category] % steps[category] == 0 and len(chosen[category]) < _LOOKED_AT:
            chosen[category].append(item)
        numbers[category] += 1
        unknown.update(_IN_WORDS.get(name, name) for name in _UNKNOWN if getattr(item, name) in (None, "", ()))
        prices += [] if item.price is None else [item.price]
        if title := title_key(item):
            alike[category, title, item.brand, item.price].append(item.id)
    doubles = {str(key[1]): ids for key, ids in alike.items() if len(ids) > 1}
    problems = by_reason([] if index.folder is None else read_problems(index.folder))
    return Health(len(index), index.photographed(), chosen, counts, dict(unknown), _bars(prices), doubles, problems)


def _all_items(index: Catalogue) -> Iterator[Item]:
    for start in range(0, len(index), _AT_ONCE):
        yield from index.page(Rules(), offset=start, limit=_AT_ONCE)[0]


def _bars(prices: list[float]) -> tuple[PriceBar, ...]:
    """A histogram on a scale of logarithms, since prices are spread over them; free items count with the lowest."""
    if not prices:
        return ()
    values = np.array(prices)
    low, high = max(float(values.min()), 0.01), max(float(values.max()), 0.01)
    edges = np.geomspace(low, high, _BARS + 1) if high > low else np.array([low, high])
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges if high > low else 1)
    return tuple(
        PriceBar(float(first), float(last), int(count))
        for first, last, count in zip(edges[:-1], edges[1:], counts, strict=True)
    )


def render_health(index: Catalogue, health: Health) -> str:
    """The page, with small copies of photos; nothing is loaded from elsewhere."""
    cards = {
        category: [(item, None if item.image is None else photo_uri(item.image, _PHOTO_PIXELS)) for item in items]
        for category, items in health.categories.items()
    }
    return page_environment("coordi.recommend").get_template("health.html").render(
        name=index.info.name, source=index.info.source, changed=index.info.changed_at, health=health, cards=cards,
        problems={reason: (len(rows), examples(rows, _EXAMPLES)) for reason, rows in health.problems.items()},
        examples=_EXAMPLES, most_doubles=_MOST_DOUBLES,
    )  # fmt: skip
