"""Tables of a shop and folders of photos as a source."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from coordi.artifacts import MANIFEST
from coordi.data.categories import category_of, classify
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
from coordi.data.prices import parse_price
from coordi.data.source import (
    Funnel,
    RowProblem,
    Source,
    SourceItem,
    SourceOutfit,
    title_of_file,
)
from coordi.errors import DataError
from coordi.types import GARMENT_CATEGORIES, SPLITS, GarmentCategory

TABLE_SUFFIXES = (".csv", ".jsonl", ".parquet")
OUTFITS_FILE = "outfits.jsonl"
DUPLICATE = "duplicate id, the first is kept"
NO_PRICE = "price isn't a number of 0 or more: kept without a price"
UNCLOSED = "bad row: a quotation mark is closed lines later, so the lines between were read as part of it"
SWALLOWING = "a quoted field goes over lines that look like rows"
NO_SUCH_CATEGORY = "no known category word: left to the title, else to the photo"
HIDDEN = "hidden: its name begins with a dot"
NO_FILE = "no file: a link that leads nowhere, in a circle or to a folder, or a device"
FOLDER_CLOSED = "folder that can't be opened: its rights, or the disk"
WRITTEN_BY_COORDI = "folder that coordi wrote"

# The first name that a table has wins. Names are compared without case, spaces, dashes and underscores.
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "itemid", "productid", "articleid", "sku", "uid", "code"),
    "title": ("title", "productdisplayname", "displayname", "productname", "name", "prodname", "description"),
    "image": ("image", "imagepath", "photo", "picture", "img", "file", "filename", "path", "imageurl"),
    "price": ("price", "saleprice", "cost", "amount"),
}
# A table may have several, finest first: the first whose value names a category decides.
_CATEGORIES = (
    "category", "articletype", "producttype", "type", "kind", "subcategory", "categoryname", "mastercategory",
)  # fmt: skip
_KINDS = ("kind", "articletype", "producttype", "type", "subcategory", "category")

Row = Mapping[str, Any]
ReadRows = tuple[Iterable[str], list[tuple[int, Row | str]]]
"""Columns of a file, and by line or row number its rows, or why one can't be read."""
Examples = dict[str, list[str]]
"""By reason, where the cases are."""


def read_text(path: Path) -> str:
    """Text of a UTF-8 file, with or without a byte order mark."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} isn't UTF-8 (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from error


def read_json(path: Path) -> Any:
    """Parse a JSON file."""
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise DataError(f"{path} isn't JSON: {error.msg} at {where}; get the file again or mend it there") from error
    except RecursionError as error:
        raise DataError(f"{path} isn't a data file: its JSON is nested too deeply") from error


def inside(folder: Path, named: str) -> Path | None:
    """The path that a source names in its folder; None for an address or a path that leads out. A strange catalogue
    must not make coordi open, or show, files outside it. Links within the folder are the user's own and are followed.
    """
    if not named or "://" in named or "\0" in named:
        return None
    within = os.path.normpath(os.path.join(folder, named))  # noqa: PTH118 - several times faster for many items
    return Path(within) if within.startswith(f"{os.path.normpath(folder)}{os.sep}") else None


@dataclass(frozen=True, slots=True)
class Table:
    """A file's rows, by line or row number from 1, without empty values; ``faults`` are unreadable lines by reason."""

    columns: tuple[str, ...]
    rows: tuple[tuple[int, Row], ...]
    faults: Mapping[str, list[int]]

    @property
    def size(self) -> int:
        """Rows and faults together."""
        return len(self.rows) + sum(len(lines) for lines in self.faults.values())


def read_table(path: Path) -> Table:
    """Read a table by its suffix; a broken row is listed in ``faults``, the others are read."""
    readers = {".csv": _read_csv, ".jsonl": _read_json_lines, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path} has the suffix '{path.suffix}'; accepted are {', '.join(TABLE_SUFFIXES)}")
    columns, values = reader(path)
    rows: list[tuple[int, Row]] = []
    faults: dict[str, list[int]] = defaultdict(list)
    for line, row in values:
        if isinstance(row, str):
            faults[row].append(line)
        else:
            rows.append((line, {key: value for key, value in row.items() if value is not None and value != ""}))
    return Table(tuple(columns), tuple(rows), dict(faults))


def _read_csv(path: Path) -> ReadRows:
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    rows: list[tuple[int, Row | str]] = []
    try:
        columns = [name.strip() for name in next(reader, [])]
        line = reader.line_num + 1
        for values in reader:
            if len(values) > len(columns):
                rows.append((line, "bad row: more fields than the header"))
            elif any(values):
                rows.append((line, dict(zip(columns, values, strict=False))))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path} isn't CSV: {error} near line {reader.line_num}; mend it there") from error
    return columns, rows


def _read_json_lines(path: Path) -> ReadRows:
    rows: list[tuple[int, Row | str]] = []
    columns: dict[str, None] = {}
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if text.strip():
            try:
                value = json.loads(text)
            except (json.JSONDecodeError, RecursionError):
                rows.append((line, "bad row: not JSON"))
                continue
            is_row = isinstance(value, dict)
            columns |= dict.fromkeys(value) if is_row else {}
            rows.append((line, value if is_row else "bad row: not a JSON object"))
    return columns, rows


def _read_parquet(path: Path) -> ReadRows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} isn't a Parquet file: {' '.join(str(error).split())}; write it again") from error
    return table.column_names, list(enumerate(table.to_pylist(), start=1))


def find_table(folder: Path) -> Path | None:
    """The table of items in a folder, or None if there is none."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in TABLE_SUFFIXES and path.is_file())
    tables = [path for path in paths if path.name != OUTFITS_FILE]
    if len(tables) > 1:
        names = ", ".join(path.name for path in tables)
        raise DataError(f"{folder} holds {len(tables)} tables ({names}); a catalogue has one: give the file's path")
    return tables[0] if tables else None


def read_catalogue(path: Path, layout: str = "catalogue") -> Source:
    """Read a table of items, and ``outfits.jsonl`` beside it if there is one. Unknown columns go to ``Item.extra``.
    Without an image column, the photo is ``<id>.<suffix>`` beside the table or in ``images``.
    """
    table = read_table(path)
    columns = _Columns(path, table.columns)
    problems = [RowProblem(reason, line=line) for reason, lines in table.faults.items() for line in lines]
    items: dict[str, SourceItem] = {}
    lines: dict[str, int] = {}
    for line, row in table.rows:
        item = columns.item(row)
        if columns.is_unclosed(row):
            problems.append(RowProblem(UNCLOSED, item.id if item else "", line, _lines_after(line, row)))
        elif item is None:
            problems.append(RowProblem("bad row: no id", line=line))
        elif item.id in items:
            problems.append(RowProblem(DUPLICATE, item.id, line))
        else:
            items[item.id], lines[item.id] = item, line
            problems += columns.problems(row, item, line)
    funnel = Funnel()
    funnel.read("items", table.size)
    examples: Examples = defaultdict(list)
    for problem in problems:
        if not problem.usable:
            where = f"line {problem.line}"
            examples[problem.reason].append(f"'{problem.item_id}' in {where}" if problem.item_id else where)
    for reason, cases in examples.items():
        funnel.drop("items", reason, cases)
    outfits = _read_outfits(path.parent / OUTFITS_FILE, items, funnel)
    name = path.parent.name if path.stem in ("items", "styles", "catalogue") else path.name
    splits = tuple(split for split in SPLITS if any(outfit.split == split for outfit in outfits))
    return Source(
        name, layout, tuple(items.values()), outfits, funnel, keeps_single_items=True, splits=splits, lines=lines,
        problems=tuple(problems),
    )  # fmt: skip


class _Columns:
    def __init__(self, path: Path, names: Sequence[str]) -> None:
        by_key = {re.sub(r"[\s_\-]+", "", name).lower(): name for name in reversed(names)}
        self._of = {
            role: next((by_key[synonym] for synonym in synonyms if synonym in by_key), "")
            for role, synonyms in _SYNONYMS.items()
        }
        if not self._of["id"]:
            columns = ", ".join(names) or "none, the file is empty"
            hint = "name one 'id'"
            if len(names) == 1 and any(sign in names[0] for sign in ";\t|"):
                hint = "separate them by commas: save the table as comma-separated CSV in UTF-8"
            raise DataError(f"{path} has no column of ids: its columns are {columns}; {hint}")
        self._folder = path.parent
        self._is_csv = path.suffix.lower() == ".csv"
        self._categories = [by_key[key] for key in _CATEGORIES if key in by_key]
        self._kind = next((by_key[key] for key in _KINDS if key in by_key), "")
        # Finer and coarser category columns stay in ``extra``; columns with a field of their own don't.
        self._own = {name for name in self._of.values() if name}
        # What fits on one line: a field over several shows a quotation mark that isn't closed.
        self._short = {*self._own, *self._categories}
        if self._of["title"].lower() == "description":
            self._short.remove(self._of["title"])
        self._commas = max(len(names) - 1, 1)
        self._photos = {
            photo.stem: photo
            for folder in (path.parent, path.parent / "images")
            if folder.is_dir()
            for photo in sorted(folder.iterdir())
            if photo.suffix.lower() in PHOTO_SUFFIXES
        }

    def item(self, row: Row) -> SourceItem | None:
        """The item of a row; None without an id."""
        item_id, title, named = (_plain(row.get(self._of[role], "")) for role in ("id", "title", "image"))
        if not item_id:
            return None
        kind = _plain(row.get(self._kind, ""))
        image = inside(self._folder, named) if named else self._photos.get(item_id)
        return SourceItem(
            id=item_id,
            title=title,
            category=_category(self._category_texts(row), title),
            subcategory="" if kind in GARMENT_CATEGORIES else kind,
            image=image,
            why_no_photo=OUTSIDE if image is None and named else "no photo",
            price=parse_price(row.get(self._of["price"])),
            extra={name: _plain(value) for name, value in row.items() if name not in self._own},
        )

    def problems(self, row: Row, item: SourceItem, line: int) -> Iterator[RowProblem]:
        """What is wrong with a row that can be used."""
        price, texts = row.get(self._of["price"]), self._category_texts(row)
        if price is not None and item.price is None:
            yield RowProblem(NO_PRICE, item.id, line, str(price), usable=True)
        if texts and _category(texts, "") is None:
            yield RowProblem(NO_SUCH_CATEGORY, item.id, line, texts[0], usable=True)
        later = [text for value in row.values() for text in _later_lines(value)]
        if self._is_csv and any(text.count(",") >= self._commas for text in later):
            yield RowProblem(SWALLOWING, item.id, line, _lines_after(line, row), usable=True)

    def is_unclosed(self, row: Row) -> bool:
        """Whether a field that fits on one line, such as an id or a title, goes on over a line with commas in it."""
        texts = (text for name in self._short for text in _later_lines(row.get(name, "")))
        return self._is_csv and any("," in text for text in texts)

    def _category_texts(self, row: Row) -> list[str]:
        return [_plain(row[name]) for name in self._categories if name in row]


def _later_lines(value: Any) -> list[str]:
    return str(value).strip().split("\n")[1:]


def _lines_after(line: int, row: Row) -> str:
    last = line + sum(str(value).count("\n") for value in row.values())
    return f"line {last}" if last == line + 1 else f"lines {line + 1} to {last}"


def _category(texts: Iterable[str], title: str) -> GarmentCategory | Literal[""] | None:
    for text in texts:
        category = next((name for name in GARMENT_CATEGORIES if name == text.lower()), classify(text))
        if category is not None:
            return category
    return category_of(title)


def _read_outfits(path: Path, items: Mapping[str, SourceItem], funnel: Funnel) -> tuple[SourceOutfit, ...]:
    if not path.is_file():
        return ()
    table = read_table(path)
    faults: Examples = defaultdict(list)
    faults |= {reason: [f"line {line}" for line in lines] for reason, lines in table.faults.items()}
    outfits: dict[str, SourceOutfit] = {}
    for line, row in table.rows:
        outfit = _outfit(row, line)
        if isinstance(outfit, str):
            faults[outfit].append(f"line {line}")
        elif outfit.id in outfits:
            faults["duplicate outfit id, the first is kept"].append(f"'{outfit.id}' in line {line}")
        else:
            outfits[outfit.id] = outfit
    funnel.read("outfits", table.size)
    for reason, cases in faults.items():
        funnel.drop("outfits", reason, cases)
    short = [outfit.id for outfit in outfits.values() if any(name not in items for name in outfit.item_ids)]
    funnel.note("outfits", "names an item that isn't there, which is passed over", short)
    return tuple(outfits.values())


def _outfit(row: Row, line: int) -> SourceOutfit | str:
    names, split = row.get("items"), row.get("split")
    if not isinstance(names, list) or not all(isinstance(name, (str, int)) for name in names):
        return "bad outfit: 'items' isn't a list of ids"
    if split is not None and split not in SPLITS:
        return f"bad outfit: 'split' isn't one of {', '.join(SPLITS)}"
    item_ids = tuple(dict.fromkeys(_plain(name) for name in names))
    return SourceOutfit(_plain(row.get("id", f"line-{line}")), item_ids, split, _plain(row.get("title", "")))


def _plain(value: Any) -> str:
    """Text of a cell; a whole number that came as a float (an id column with gaps) loses its ``.0``."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


class FolderEntry(NamedTuple):
    """A file in a folder, or a folder that wasn't entered, and why it is no item; None for a photo."""

    path: Path
    left_out: str | None


def walk(folder: Path) -> Iterator[FolderEntry]:
    """Everything in a folder and its folders, sorted in each. Links to files are followed, those to folders aren't;
    hidden folders and those that coordi wrote aren't entered. A photo is known by its suffix or its first bytes.
    """
    closed: list[OSError] = []
    for name, folders, names in os.walk(folder, onerror=closed.append):
        here = Path(name)
        reasons = {child: _why_not_entered(here / child) for child in sorted(folders)}
        folders[:] = [child for child, reason in reasons.items() if reason is None]
        yield from (FolderEntry(here / child, reason) for child, reason in reasons.items() if reason is not None)
        yield from (FolderEntry(here / child, _why_no_photo(here / child)) for child in sorted(names))
    for error in closed:
        yield FolderEntry(Path(error.filename), FOLDER_CLOSED)


def find_photos(folder: Path) -> Iterator[Path]:
    """Photos in a folder and the folders in it, in the order of ``walk``."""
    return (entry.path for entry in walk(folder) if entry.left_out is None)


def read_photos(folder: Path) -> Source:
    """Read a folder of photos: an item's id is its path without suffix, its title the words of its name. Its folder's
    name gives the category where its own doesn't; else an encoder must. Every other file is a row of the funnel.
    """
    entries = [(_printable(entry.path.relative_to(folder).as_posix()), entry) for entry in walk(folder)]
    left_out: Examples = defaultdict(list)
    for name, entry in entries:
        if entry.left_out is not None:
            left_out[entry.left_out].append(name)
    items: dict[str, SourceItem] = {}
    for path in sorted(entry.path for _, entry in entries if entry.left_out is None):
        within = path.relative_to(folder)
        item_id = _printable(within.with_suffix("").as_posix())
        if item_id in items:
            left_out["duplicate id: the same name with another suffix"].append(_printable(within.as_posix()))
            continue
        title = title_of_file(_printable(path.stem))
        texts = (title, *reversed(within.parent.parts))
        category = next((category for text in texts if (category := classify(text)) is not None), None)
        items[item_id] = SourceItem(item_id, title, category, image=path)
    funnel = Funnel()
    funnel.read("items", len(entries))
    for reason, names in left_out.items():
        funnel.drop("items", reason, names)
    problems = tuple(RowProblem(reason, value=name) for reason, names in left_out.items() for name in names)
    return Source(
        folder.name, "photos", tuple(items.values()), (), funnel, keeps_single_items=True, titles_needed=False,
        problems=problems,
    )  # fmt: skip


def _why_not_entered(folder: Path) -> str | None:
    if folder.name.startswith("."):
        return HIDDEN
    if folder.is_symlink():
        return NO_FILE
    return WRITTEN_BY_COORDI if (folder / MANIFEST).is_file() else None


def _why_no_photo(path: Path) -> str | None:
    is_named = path.suffix.lower() in PHOTO_SUFFIXES
    if path.name.startswith("."):
        return HIDDEN
    try:
        if not path.is_file():
            return MISSING if is_named else NO_FILE
        if is_named:
            return None
        with path.open("rb") as file:
            start = file.read(SNIFFED)
    except OSError:
        return NOT_ALLOWED if is_named else NOT_A_PHOTO
    return not_a_photo(start) if format_of(start) is None else None


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
