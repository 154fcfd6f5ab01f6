"""Descriptions as one HTML file to look at: photos inside, nothing fetched, nothing run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from coordi.data.thumbnails import photo_uri
from coordi.describe.catalogue import Catalogued
from coordi.domain import Description, Item, Label

PIXELS = 240
_ROWS = 8
_UNOPENED = 200


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page says beside the descriptions.

    Attributes:
        name: Of the data set.
        attributes: Names of all that may be said, in the vocabulary's order.
        left_out: Reasons and counts of what was left out before any photo was opened.
        judged_alone: Whether the encoder judges each label by itself (sigmoid), not against the others.
    """

    name: str
    attributes: tuple[str, ...]
    left_out: Sequence[tuple[str, int]]
    judged_alone: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """One photo and what is said of it.

    Attributes:
        photo: A data URI; None if the photo is gone since.
        unsure: Attributes of which no label was sure enough.
    """

    name: str
    photo: str | None
    attributes: Mapping[str, tuple[Label, ...]]
    unsure: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """How many photos have a label.

    Attributes:
        width: Of its bar, in percent of the most frequent label's.
    """

    label: str
    count: int
    width: float


@dataclass(frozen=True, slots=True)
class Bars:
    """The most frequent labels of an attribute, and how many photos have one of the others."""

    shown: tuple[Bar, ...]
    others: int


def render_page(found: Catalogued, shown: Shown) -> str:
    """The page as text: counts by label, a card per example, and every photo that couldn't be opened.

    The same photos and descriptions give the same text. Of the photos only small copies without metadata are in it;
    of those that couldn't be opened the first 200 are named.
    """
    with ThreadPoolExecutor(2) as pool:
        cards = list(pool.map(lambda pair: _card(pair[0], pair[1], shown.attributes), found.examples))
    return _environment().get_template("descriptions.html").render(
        shown=shown,
        found=found,
        cards=cards,
        overview={name: _bars(counts) for name, counts in found.labels.items()},
        unopened=found.unreadable[:_UNOPENED],
        kinds={kind: len(ids) for kind, ids in found.kinds().items()},
    )  # fmt: skip


def _card(item: Item, description: Description, attributes: Sequence[str]) -> Card:
    photo = None if item.image is None else photo_uri(item.image, PIXELS)
    unsure = tuple(name for name in attributes if name not in description.attributes)
    return Card(item.title or item.id, photo, description.attributes, unsure)


def _bars(counts: Mapping[str, int]) -> Bars:
    rows = list(counts.items())
    most = max(counts.values())
    shown = tuple(Bar(label, count, round(100 * count / most, 1)) for label, count in rows[:_ROWS])
    return Bars(shown, sum(count for _, count in rows[_ROWS:]))


def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("coordi.describe"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(thousands=lambda number: f"{number:,}", percent=lambda share: f"{100 * share:.0f}")
    return found
