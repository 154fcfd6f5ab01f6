"""A shop's feed read for a catalogue: the rows that can go in, and every problem with where it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import cast

from coordi.artifacts import write_text
from coordi.config import DataSettings
from coordi.data.categories import NOT_WORN, of_unknown_category
from coordi.data.loading import located, read_source
from coordi.data.photos import OUTSIDE
from coordi.data.source import RowProblem, Source, SourceItem
from coordi.data.titles import clean_title
from coordi.domain import FunnelRow, Item, WornCategory
from coordi.errors import DataError
from coordi.recommend.facets import not_understood

PROBLEMS_FILE = "problems.jsonl"
LONGEST_ID = 200  # what a rule may name
NOT_WORN_BY_ANYBODY = "nobody wears it to be seen (rugs, lipstick, underwear, ...)"
NOTHING_TO_GO_BY = "no title and no photo"
NO_CATEGORY = "neither its words nor a photo tell its category"
NO_PHOTO_NAMED = "no photo named: kept for its title"
BAD_ID = f"id longer than {LONGEST_ID} characters, or no text that can be written as UTF-8"
NOT_UNDERSTOOD = "{} isn't a known word: kept as unknown"
REPAIRED = "title in a wrong encoding: repaired"
_LONGEST_SHOWN = 40
_LISTED = frozenset({"catalogue", "photos", "sample"})  # layouts whose readers list every problem


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A row that can go into a catalogue.

    Attributes:
        item: Cleaned; its category may wait for its photo (``category_is_known``), and its photo may be unsound.
        line: Of its table; None for what isn't a table.
        hash: Of all that the source says of the item.
    """

    item: Item
    line: int | None
    hash: bytes


@dataclass(frozen=True, slots=True)
class Feed:
    """A source as a catalogue takes it.

    Attributes:
        name: The folder's or file's name.
        source: Its path, resolved, or its name on a hub.
        rows: In the source's order, ids unique.
        problems: Of rows left out and of rows kept, as far as that is known before photos are opened.
        left_out: What a release's reader left out, which is counted and not listed.
    """

    name: str
    source: str
    rows: tuple[FeedRow, ...]
    problems: tuple[RowProblem, ...]
    left_out: tuple[FunnelRow, ...] = field(default=())


def source_of(path: Path | str, settings: DataSettings) -> str:
    """What a catalogue calls a source: its resolved path; it must be there.

    Raises:
        DataError: If there is nothing at the path, or a hub's data set can't be fetched.
    """
    found = located(path, settings)
    if not found.exists():
        raise DataError(
            f"there is no file or folder at {found}; accepted are a .csv, .jsonl or .parquet table, a folder holding "
            "one, a folder of photos, a Polyvore release, or 'sample'"
        )
    return str(found.resolve())


def read_feed(path: Path | str, settings: DataSettings) -> Feed:
    """Read a source for a catalogue; photos aren't opened yet.

    Raises:
        DataError: If it isn't recognised, is broken as a whole or can't be fetched.
    """
    source = read_source(located(path, settings), settings)
    rows: list[FeedRow] = []
    problems = list(source.problems)
    some_photos = any(item.image is not None for item in source.items)
    for item in source.items:
        row, found = _judged(item, source, some_photos=some_photos)
        problems += found
        if row is not None:
            rows.append(row)
    left_out = tuple(row for row in source.funnel.rows if row.dropped and row.unit == "items")
    counted = () if source.layout in _LISTED else left_out
    return Feed(source.name, source_of(path, settings), tuple(rows), tuple(problems), counted)


def write_problems(folder: Path, problems: Iterable[RowProblem]) -> None:
    """Write one JSON object per problem into the folder, those of a table in the order of its lines."""
    ordered = sorted(problems, key=lambda one: (one.line or 0, one.item_id, one.reason))
    lines = [json.dumps(_sound(asdict(one)), ensure_ascii=False) for one in ordered]
    write_text(folder / PROBLEMS_FILE, "".join(f"{line}\n" for line in lines))


def by_reason(problems: Iterable[RowProblem]) -> dict[str, list[RowProblem]]:
    """Problems by reason: of what is left out first, then the most frequent first."""
    found: dict[str, list[RowProblem]] = {}
    for one in problems:
        found.setdefault(one.reason, []).append(one)
    return dict(sorted(found.items(), key=lambda entry: (entry[1][0].kept, -len(entry[1]))))


def _judged(item: SourceItem, source: Source, *, some_photos: bool) -> tuple[FeedRow | None, list[RowProblem]]:
    """The row of an item if it can go in, and what is wrong with it either way."""
    line = source.lines.get(item.id)

    def problem(reason: str, value: str = "", *, kept: bool = False) -> RowProblem:
        return RowProblem(reason, item.id, line, value, kept)

    title = clean_title(item.title)
    if not _is_id(item.id):
        return None, [problem(BAD_ID)]
    if item.category == NOT_WORN:
        return None, [problem(NOT_WORN_BY_ANYBODY, item.kind or title.text)]
    if item.image is None and not title.text:
        return None, [problem(NOTHING_TO_GO_BY)]
    if item.image is None and item.category is None:
        return None, [problem(NO_CATEGORY, item.kind or title.text)]
    found = []
    if title.repaired:
        found.append(problem(REPAIRED, title.text, kept=True))
    if item.image is None and item.why_no_photo == OUTSIDE:
        found.append(problem(f"{OUTSIDE}: kept for its title", kept=True))
    elif item.image is None and some_photos:
        found.append(problem(NO_PHOTO_NAMED, kept=True))
    cleaned = _item(replace(item, title=title.text))
    found += [problem(NOT_UNDERSTOOD.format(what), value, kept=True) for what, value in not_understood(cleaned)]
    return FeedRow(cleaned, line, _hash(item)), found


def _item(item: SourceItem) -> Item:
    extra = MappingProxyType({_text(name): _text(value) for name, value in item.extra.items()})
    category: WornCategory
    if item.category is None:
        category, extra = cast("tuple[WornCategory, MappingProxyType[str, str]]", of_unknown_category(extra))
    else:
        category = cast("WornCategory", item.category)
    image = None if item.image is None else item.image.absolute()
    return Item(item.id, _text(item.title), category, _text(item.kind), image, item.price, extra)


def _hash(item: SourceItem) -> bytes:
    image = None if item.image is None else str(item.image.absolute())
    told = [item.id, item.title, item.category, item.kind, image, item.price, sorted(item.extra.items())]
    return hashlib.sha256(json.dumps(told).encode()).digest()


def _is_id(text: str) -> bool:
    return len(text) <= LONGEST_ID and _text(text) == text


def _text(text: str) -> str:
    """Text that can be written as UTF-8: JSON may hold halves of characters."""
    return text.encode("utf-8", "replace").decode()


def _sound(values: Mapping[str, object]) -> dict[str, object]:
    return {name: _text(value) if isinstance(value, str) else value for name, value in values.items()}


def examples(problems: Sequence[RowProblem], most: int) -> str:
    """The first few of some problems, such as ``"line 3 'abc', line 9 and 4 more"``."""
    shown = []
    for one in problems[:most]:
        where = f"line {one.line}" if one.line is not None else one.item_id or one.value
        value = _shortened(one.value)
        shown.append(f"{where} '{value}'" if value and one.value != where else where)
    more = f" and {len(problems) - most} more" if len(problems) > most else ""
    return f"{', '.join(shown)}{more}"


def _shortened(value: str) -> str:
    """A long value's beginning, or of a long path its end."""
    if len(value) <= _LONGEST_SHOWN:
        return value
    return f"...{value[-_LONGEST_SHOWN:]}" if "/" in value else f"{value[:_LONGEST_SHOWN]}..."
