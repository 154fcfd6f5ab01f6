"""The reader for a shop's catalogue: a table with photos beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from coordi.data.categories import category_of, worn_or_not
from coordi.data.files import inside
from coordi.data.funnel import Funnel, with_examples
from coordi.data.photos import OUTSIDE, PHOTO_SUFFIXES
from coordi.data.source import RowProblem, Source, SourceItem, SourceOutfit, known_price
from coordi.data.tables import TABLE_SUFFIXES, Row, Table, read_table
from coordi.domain import SPLITS, WORN_CATEGORIES, Split, WornCategory
from coordi.errors import DataError

OUTFITS_FILE = "outfits.jsonl"
DUPLICATE = "duplicate id, the first is kept"
NO_PRICE = "price isn't a number of 0 or more: kept without a price"
UNCLOSED = "bad row: a quotation mark is closed lines later, so the lines between were read as part of it"
SWALLOWING = "a quoted field goes over lines that look like rows"
NO_SUCH_CATEGORY = "no known category word: left to the title, else to the photo"
# The first name found wins. Names are compared without case, spaces, dashes and underscores.
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "itemid", "productid", "articleid", "sku", "uid", "code"),
    "title": ("title", "productdisplayname", "displayname", "productname", "name", "prodname", "description"),
    "image": ("image", "imagepath", "photo", "picture", "img", "file", "filename", "path", "imageurl"),
    "price": ("price", "saleprice", "cost", "amount"),
}
# Several may be there, finest first: the first that names something known decides.
_CATEGORIES = (
    "category", "articletype", "producttype", "type", "kind", "subcategory", "categoryname", "mastercategory",
)  # fmt: skip
_KINDS = ("kind", "articletype", "producttype", "type", "subcategory", "category")


def find_table(folder: Path) -> Path | None:
    """The one table of items in a folder, or None if there is none.

    Raises:
        DataError: If there are several, with their names.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in TABLE_SUFFIXES and path.is_file())
    tables = [path for path in found if path.name != OUTFITS_FILE]
    if len(tables) > 1:
        names = ", ".join(path.name for path in tables)
        raise DataError(f"{folder} holds {len(tables)} tables ({names}); a catalogue has one: give the file's path")
    return tables[0] if tables else None


def read_catalogue(path: Path, layout: str = "catalogue") -> Source:
    """Read a table of items, with ``outfits.jsonl`` beside it if there is one.

    Columns are found by their usual names whatever their case: id, title, category, image, price; all others go to
    ``Item.extra``. Without an image column, ``images/<id>.<suffix>`` is looked for beside the table.

    Raises:
        DataError: If the table can't be read or has no column of ids.
    """
    table = read_table(path)
    columns = _Columns(path, table.columns)
    funnel = Funnel()
    funnel.read("items", len(table.rows) + sum(len(lines) for lines in table.faults.values()))
    problems = [RowProblem(reason, line=line) for reason, lines in table.faults.items() for line in lines]
    items: dict[str, SourceItem] = {}
    lines: dict[str, int] = {}
    for line, row in table.rows:
        item = columns.item(row, path.parent)
        if path.suffix.lower() == ".csv" and columns.is_unclosed(row):
            problems.append(RowProblem(UNCLOSED, item.id if item else "", line, _lines_after(line, row)))
        elif item is None:
            problems.append(RowProblem("bad row: no id", line=line))
        elif item.id in items:
            problems.append(RowProblem(DUPLICATE, item.id, line))
        else:
            items[item.id], lines[item.id] = item, line
            problems += columns.problems(row, item, line)
            if path.suffix.lower() == ".csv" and columns.may_swallow(row):
                problems.append(RowProblem(SWALLOWING, item.id, line, _lines_after(line, row), kept=True))
    _count(problems, funnel)
    outfits = _read_outfits(path.parent / OUTFITS_FILE, items, funnel)
    name = path.parent.name if path.stem in ("items", "styles", "catalogue") else path.name
    splits = tuple(split for split in SPLITS if any(outfit.split == split for outfit in outfits))
    return Source(
        name,
        layout,
        tuple(items.values()),
        outfits,
        funnel,
        keeps_single_items=True,
        splits=splits,
        lines=lines,
        problems=tuple(problems),
    )


class _Columns:
    """Which column means what."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        by_key = {_key(name): name for name in reversed(names)}
        self._of = {
            role: next((by_key[synonym] for synonym in synonyms if synonym in by_key), None)
            for role, synonyms in _SYNONYMS.items()
        }
        if self._of["id"] is None:
            found = ", ".join(names) or "none, the file is empty"
            hint = "name one 'id'"
            if len(names) == 1 and any(sign in names[0] for sign in ";\t|"):
                hint = "separate them by commas: save the table as comma-separated CSV in UTF-8"
            raise DataError(f"{path} has no column of ids: its columns are {found}; {hint}")
        self._categories = [by_key[key] for key in _CATEGORIES if key in by_key]
        self._kind = next((by_key[key] for key in _KINDS if key in by_key), "")
        # Finer and coarser category columns stay in ``extra``; what has a field of its own doesn't.
        self._by_id = {
            photo.stem: photo for place in (path.parent, path.parent / "images") for photo in _photos_in(place)
        }
        self._own = {name for name in self._of.values() if name is not None}
        self._title_may_be_long = _key(self._of["title"] or "") == "description"
        self._commas = max(len(names) - 1, 1)

    def item(self, row: Row, folder: Path) -> SourceItem | None:
        item_id = self._text(row, "id")
        if not item_id:
            return None
        title = self._text(row, "title")
        kind = _plain(row.get(self._kind, ""))
        words = [_plain(row[name]) for name in self._categories if name in row]
        extra = {name: _plain(value) for name, value in row.items() if name not in self._own}
        price = row.get(self._of["price"] or "")
        image = self._image(row, item_id, folder)
        return SourceItem(
            id=item_id,
            title=title,
            category=_category(words, title),
            kind="" if kind in WORN_CATEGORIES else kind,
            image=image,
            why_no_photo=OUTSIDE if image is None and self._text(row, "image") else "no photo",
            price=known_price(price),
            extra=MappingProxyType(extra),
        )

    def problems(self, row: Row, item: SourceItem, line: int) -> Iterator[RowProblem]:
        """What is wrong with a row that is kept."""
        price = row.get(self._of["price"] or "")
        if price is not None and item.price is None:
            yield RowProblem(NO_PRICE, item.id, line, str(price), kept=True)
        words = [_plain(row[name]) for name in self._categories if name in row]
        if words and _category(words, "") is None:
            yield RowProblem(NO_SUCH_CATEGORY, item.id, line, words[0], kept=True)

    def is_unclosed(self, row: Row) -> bool:
        """Whether what fits on one line, such as an id or a title, goes on over another with commas in it."""
        short = {*self._own, *self._categories} - ({self._of["title"]} if self._title_may_be_long else set())
        return any("," in line for name in short for line in _later_lines(row.get(name, "")))

    def may_swallow(self, row: Row) -> bool:
        """Whether a field over several lines holds a line with as many commas as a row has."""
        return any(line.count(",") >= self._commas for value in row.values() for line in _later_lines(value))

    def _text(self, row: Row, role: str) -> str:
        return _plain(row.get(self._of[role] or "", ""))

    def _image(self, row: Row, item_id: str, folder: Path) -> Path | None:
        named = self._text(row, "image")
        if named:
            return inside(folder, named)
        return self._by_id.get(item_id)


def _later_lines(value: Any) -> list[str]:
    return str(value).strip().split("\n")[1:]


def _lines_after(line: int, row: Row) -> str:
    """The lines that a row goes on over, in words."""
    last = line + sum(str(value).count("\n") for value in row.values())
    return f"line {last}" if last == line + 1 else f"lines {line + 1} to {last}"


def _count(problems: Sequence[RowProblem], funnel: Funnel) -> None:
    """Tell the funnel of the rows that were left out, with a few examples of each reason."""
    left_out: dict[str, list[str]] = {}
    for one in problems:
        if not one.kept:
            where = f"'{one.item_id}' in line {one.line}" if one.item_id else f"line {one.line}"
            left_out.setdefault(one.reason, []).append(where)
    for reason, examples in left_out.items():
        funnel.drop("items", with_examples(reason, examples), len(examples))


def _category(words: Iterable[str], title: str) -> WornCategory | str | None:
    for text in words:
        if text.lower() in WORN_CATEGORIES:
            return text.lower()
        found = worn_or_not(text)
        if found is not None:
            return found
    return category_of(title)


def _read_outfits(path: Path, items: Mapping[str, SourceItem], funnel: Funnel) -> tuple[SourceOutfit, ...]:
    if not path.is_file():
        return ()
    table = read_table(path)
    funnel.read("outfits", len(table.rows) + sum(len(lines) for lines in table.faults.values()))
    faults = _at_lines(table)
    outfits: dict[str, SourceOutfit] = {}
    for line, row in table.rows:
        fault, outfit = _outfit(row, line)
        if outfit is None:
            faults.setdefault(fault, []).append(f"line {line}")
        elif outfit.id in outfits:
            faults.setdefault("duplicate outfit id, the first is kept", []).append(f"'{outfit.id}' in line {line}")
        else:
            outfits[outfit.id] = outfit
    for reason, examples in faults.items():
        funnel.drop("outfits", with_examples(reason, examples), len(examples))
    lacking = [each.id for each in outfits.values() if any(name not in items for name in each.item_ids)]
    funnel.tell("outfits", with_examples("names an item that isn't there, which is passed over", lacking), len(lacking))
    return tuple(outfits.values())


def _outfit(row: Row, line: int) -> tuple[str, SourceOutfit | None]:
    names = row.get("items")
    if not isinstance(names, list) or not all(isinstance(name, (str, int)) for name in names):
        return "bad outfit: 'items' isn't a list of ids", None
    split = row.get("split")
    if split is not None and split not in SPLITS:
        return f"bad outfit: 'split' isn't one of {', '.join(SPLITS)}", None
    chosen: Split | None = next((known for known in SPLITS if known == split), None)
    outfit_id = _plain(row.get("id", f"line-{line}"))
    item_ids = tuple(dict.fromkeys(_plain(name) for name in names))
    return "", SourceOutfit(outfit_id, item_ids, chosen, _plain(row.get("title", "")))


def _at_lines(table: Table) -> dict[str, list[str]]:
    return {reason: [f"line {line}" for line in lines] for reason, lines in table.faults.items()}


def _photos_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)


def _key(name: str) -> str:
    return re.sub(r"[\s_\-]+", "", name).lower()


def _plain(value: Any) -> str:
    """Text of a cell; a whole number that came as a float (an id column with gaps) loses its ``.0``."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
