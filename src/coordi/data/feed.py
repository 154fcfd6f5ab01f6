"""Tables of a shop and folders of photos as a source."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from coordi.artifacts import MANIFEST
from coordi.data.categories import category_of, worn_or_not
from coordi.data.photos import (
    MISSING,
    NOT_A_PHOTO,
    NOT_ALLOWED,
    OUTSIDE,
    PHOTO_SUFFIXES,
    SNIFFED,
    format_of,
    not_a_photo,
)
from coordi.data.source import (
    Funnel,
    RowProblem,
    Source,
    SourceItem,
    SourceOutfit,
    known_price,
    title_of_file,
    with_examples,
)
from coordi.errors import DataError
from coordi.types import GARMENT_CATEGORIES, SPLITS, GarmentCategory, Split


def read_text(path: Path) -> str:
    """Text of a UTF-8 file, with or without a byte order mark.

    Raises:
        DataError: If it can't be read or isn't UTF-8, with the byte at which it stops being so.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} isn't UTF-8 (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from error


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        DataError: If it can't be read or is broken, with line and column.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise DataError(f"{path} isn't JSON: {error.msg} at {where}; get the file again or mend it there") from error
    except RecursionError as error:
        raise DataError(f"{path} isn't a data file: its JSON is nested too deeply") from error


def inside(folder: Path, named: str) -> Path | None:
    """The path that a source names relative to its folder; None for an address, or a path that leads out of it.

    A catalogue from elsewhere shall not make coordi open, or show in a report, files it was never given. Links within
    the folder are the user's own and are followed.
    """
    if not named or "://" in named or "\0" in named:
        return None
    within = os.path.normpath(folder / named)
    return Path(within) if within.startswith(f"{os.path.normpath(folder)}{os.sep}") else None


TABLE_SUFFIXES = (".csv", ".jsonl", ".parquet")
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A file's rows.

    Attributes:
        columns: In the file's order.
        rows: Line (CSV, JSON Lines) or row number (Parquet), from 1, with the values by
            column; empty ones are left out.
        faults: By reason, the lines that can't be read.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[int, Row], ...]
    faults: Mapping[str, tuple[int, ...]]


def read_table(path: Path) -> Table:
    """Read a table by its suffix; a row that is broken is listed in ``faults``, the others are kept.

    Raises:
        DataError: If the file as a whole can't be read, or its suffix is another.
    """
    readers: Mapping[str, Callable[[Path], Table]] = {
        ".csv": _read_csv, ".jsonl": _read_json_lines, ".parquet": _read_parquet,
    }  # fmt: skip
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path} has the suffix '{path.suffix}'; accepted are {', '.join(TABLE_SUFFIXES)}")
    return reader(path)


def _read_csv(path: Path) -> Table:
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    rows: list[tuple[int, Row]] = []
    faults: dict[str, list[int]] = {}
    try:
        columns = tuple(name.strip() for name in next(reader, []))
        line = reader.line_num + 1
        for values in reader:
            if len(values) > len(columns):
                faults.setdefault("bad row: more fields than the header", []).append(line)
            elif any(values):
                rows.append((line, _filled(zip(columns, values, strict=False))))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path} isn't CSV: {error} near line {reader.line_num}; mend it there") from error
    return Table(columns, tuple(rows), _frozen(faults))


def _read_json_lines(path: Path) -> Table:
    rows: list[tuple[int, Row]] = []
    faults: dict[str, list[int]] = {}
    columns: dict[str, None] = {}
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            value = json.loads(text)
        except (json.JSONDecodeError, RecursionError):
            faults.setdefault("bad row: not JSON", []).append(line)
            continue
        if not isinstance(value, dict):
            faults.setdefault("bad row: not a JSON object", []).append(line)
            continue
        columns.update(dict.fromkeys(value))
        rows.append((line, _filled(value.items())))
    return Table(tuple(columns), tuple(rows), _frozen(faults))


def _read_parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} isn't a Parquet file: {' '.join(str(error).split())}; write it again") from error
    rows = ((number, _filled(row.items())) for number, row in enumerate(table.to_pylist(), start=1))
    return Table(tuple(table.column_names), tuple(rows), {})


def _filled(pairs: Iterator[tuple[str, Any]] | Any) -> Row:
    return {key: value for key, value in pairs if value is not None and value != ""}


def _frozen(faults: Mapping[str, list[int]]) -> Mapping[str, tuple[int, ...]]:
    return {reason: tuple(lines) for reason, lines in faults.items()}


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
            subcategory="" if kind in GARMENT_CATEGORIES else kind,
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


def _category(words: Iterable[str], title: str) -> GarmentCategory | str | None:
    for text in words:
        if text.lower() in GARMENT_CATEGORIES:
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
    funnel.note("outfits", with_examples("names an item that isn't there, which is passed over", lacking), len(lacking))
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


HIDDEN = "hidden: its name begins with a dot"
NO_FILE = "no file: a link that leads nowhere, in a circle or to a folder, or a device"
FOLDER_CLOSED = "folder that can't be opened: its rights, or the disk"
MADE_BY_COORDI = "folder that coordi wrote"


@dataclass(frozen=True, slots=True)
class Found:
    """Something in a folder.

    Attributes:
        path: Where it is; for a folder that wasn't entered, the folder.
        left_out: Why it is no item; None for a photo.
    """

    path: Path
    left_out: str | None


def walk(folder: Path) -> Iterator[Found]:
    """Everything in a folder and the folders in it, folder by folder and sorted in each.

    Links to files are followed and links to folders aren't, so a circle of links ends. A name that ends like a photo is
    believed here; any other file is a photo if its first bytes say so. Hidden folders and those that coordi wrote are
    named but not entered.
    """
    closed: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=closed.append):
        here = Path(place)
        entered = []
        for name in sorted(folders):
            left_out = _not_entered(here / name)
            if left_out is None:
                entered.append(name)
            else:
                yield Found(here / name, left_out)
        folders[:] = entered
        for name in sorted(names):
            yield Found(here / name, _no_photo(here / name))
    for error in closed:
        yield Found(Path(error.filename), FOLDER_CLOSED)


def find_photos(folder: Path) -> Iterator[Path]:
    """Photos in a folder and the folders in it, in the order of ``walk``."""
    return (found.path for found in walk(folder) if found.left_out is None)


def read_photos(folder: Path) -> Source:
    """Read a folder of photos: an item's id is its path without suffix, its title the words of its name.

    A folder's name (``shoes/IMG_1.jpg``) tells the category where the file's own name doesn't. Where neither does,
    the category stays open until an encoder has seen the photo. Every other file is a row of the funnel.
    """
    funnel = Funnel()
    paths: list[Path] = []
    left_out: dict[str, list[str]] = {}
    for found in walk(folder):
        if found.left_out is None:
            paths.append(found.path)
        else:
            left_out.setdefault(found.left_out, []).append(_within(found.path, folder))
    funnel.read("items", len(paths) + sum(map(len, left_out.values())))
    items: dict[str, SourceItem] = {}
    for path in sorted(paths):
        within = path.relative_to(folder)
        item_id = _photo_folder_plain(within.with_suffix("").as_posix())
        if item_id in items:
            left_out.setdefault("duplicate id: the same name with another suffix", []).append(_within(path, folder))
            continue
        title = title_of_file(_photo_folder_plain(path.stem))
        items[item_id] = SourceItem(item_id, title, _first_known([title, *reversed(within.parent.parts)]), image=path)
    for reason, names in left_out.items():
        funnel.drop("items", with_examples(reason, names), len(names))
    found_items = tuple(items.values())
    problems = tuple(RowProblem(reason, value=name) for reason, names in left_out.items() for name in names)
    return Source(
        folder.name,
        "photos",
        found_items,
        (),
        funnel,
        keeps_single_items=True,
        titles_needed=False,
        problems=problems,
    )


def _not_entered(folder: Path) -> str | None:
    if folder.name.startswith("."):
        return HIDDEN
    if folder.is_symlink():
        return NO_FILE
    return MADE_BY_COORDI if (folder / MANIFEST).is_file() else None


def _no_photo(path: Path) -> str | None:
    if path.name.startswith("."):
        return HIDDEN
    try:
        if not path.is_file():
            return MISSING if path.suffix.lower() in PHOTO_SUFFIXES else NO_FILE
        if path.suffix.lower() in PHOTO_SUFFIXES:
            return None
        with path.open("rb") as file:
            start = file.read(SNIFFED)
    except OSError:
        return NOT_ALLOWED if path.suffix.lower() in PHOTO_SUFFIXES else NOT_A_PHOTO
    return not_a_photo(start) if format_of(start) is None else None


def _within(path: Path, folder: Path) -> str:
    return _photo_folder_plain(path.relative_to(folder).as_posix())


def _photo_folder_plain(name: str) -> str:
    """A name that can be written as UTF-8: bytes of another encoding are shown as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _first_known(texts: Iterable[str]) -> GarmentCategory | str | None:
    return next((found for text in texts if (found := worn_or_not(text)) is not None), None)
