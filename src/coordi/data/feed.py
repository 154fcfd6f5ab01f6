"""Tables of a shop and folders of photos as a source."""

from __future__ import annotations

import html
import json
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

from coordi.artifacts import MANIFEST
from coordi.config import FeedSettings
from coordi.data.categories import classify
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
from coordi.data.prices import in_force, read_price
from coordi.data.shop_formats import COLUMNS, MAPPED, FeedFormat, recognise_format
from coordi.data.source import (
    Funnel,
    RowProblem,
    Source,
    SourceItem,
    SourceOutfit,
    clean_title,
    fetched_name,
    listed,
    title_of_file,
)
from coordi.data.stock import STOCK_COLUMNS, in_stock
from coordi.data.tables import (
    TABLE_SUFFIXES,
    BadRow,
    NumberedRows,
    Row,
    TableReader,
    column_key,
    is_feed,
    open_table,
    read_table,
    texts_of,
)
from coordi.errors import DataError
from coordi.style.languages import (
    LANGUAGE_COLUMNS,
    LANGUAGES,
    in_english,
    language_of,
    main_language,
    own_language,
    stated_language,
)
from coordi.style.lexicon import default_lexicon
from coordi.types import GARMENT_CATEGORIES, SPLITS, GarmentCategory

OUTFITS_FILE = "outfits.jsonl"
DUPLICATE = "duplicate id, the first is kept"
NO_PRICE = "price isn't a number of 0 or more: kept without a price"
NO_SALE_PRICE = "sale price or its dates can't be read: kept with the regular price"
NO_REGULAR_PRICE = "price is empty: the sale price is used if it is more than 0 and its dates include today"
OTHER_CURRENCY = "price in another currency than the feed's: kept without a price"
UNCLOSED = "bad row: a quotation mark is closed lines later, so the lines between were read as part of it"
SWALLOWING = "a quoted field goes over lines that look like rows"
NO_SUCH_CATEGORY = "no known category word: left to the title, else to the photo"
HIDDEN = "hidden: its name begins with a dot"
NO_FILE = "no file: a link that leads nowhere, in a circle or to a folder, or a device"
FOLDER_CLOSED = "folder that can't be opened: its rights, or the disk"
WRITTEN_BY_COORDI = "folder that coordi wrote"

_DEPARTMENT = re.compile(
    r"^(apparel & accessories|clothing|uncategorized|home|root catalog|default category)\s*(>\s*|$)", re.I
)
_TAG = re.compile(r"<(script|style)\b[^<>]*>[^<]*|</?[a-zA-Z!][^<>]*>")
_CREDENTIALS = re.compile(r"://[^/?#\s]*@")
_SAMPLE_ROWS, _MOST_NAMES = 200, 10_000

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


def find_table(folder: Path) -> Path | None:
    """The table of items in a folder, or None if there is none; of XML and TSV files only a shop's feed is one."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    tables = [path for path in paths if path.suffix.lower() in TABLE_SUFFIXES and path.name != OUTFITS_FILE]
    if not tables:
        tables = [path for path in paths if path.suffix.lower() in (".xml", ".tsv") and is_feed(path)]
    if len(tables) > 1:
        names = ", ".join(path.name for path in tables)
        raise DataError(f"{folder} holds {len(tables)} tables ({names}); a catalogue has one: give the file's path")
    return tables[0] if tables else None


def read_catalogue(path: Path, layout: str = "catalogue", settings: FeedSettings | None = None) -> Source:
    """Read a table of items or a shop's export, and ``outfits.jsonl`` beside it if there is one. Unknown columns go to
    ``Item.extra``. Without an image column, the photo is ``<id>.<suffix>`` beside the table or in ``images``. Rows of
    one product and colour are one item.
    """
    settings = settings or FeedSettings()
    table = open_table(path, settings)
    shop = recognise_format(table.columns, settings.format)
    rows = shop.rows(_with_mapped(path, table, settings.columns))
    first = list(islice(rows, _SAMPLE_ROWS))
    names = dict.fromkeys(table.columns if shop.key in ("plain", "google") else ("id",))
    names |= dict.fromkeys(name for _, row in first if not isinstance(row, BadRow) for name in row)
    if not table.columns and first:  # XML or JSON of which no row could be read
        faults = listed((f"{row.reason} (line {line})" for line, row in first if isinstance(row, BadRow)), 1)
        raise DataError(f"{path} has no row that can be read: {faults}; export it again")
    columns = _Columns(path, list(names), table.delimiter, settings, shop)
    columns.recognise_language(row for _, row in first if not isinstance(row, BadRow))
    shelf = _Shelf(columns)
    for line, row in chain(first, rows):
        shelf.add(line, row)
    items, problems = shelf.finish(), shelf.problems
    funnel = Funnel()
    funnel.read("items", shelf.read)
    funnel.drop("items", "a size of an item that an earlier row is of", shelf.merged)
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
        name, layout, tuple(items.values()), outfits, funnel, keeps_single_items=True, splits=splits, lines=shelf.lines,
        problems=tuple(problems), about=shelf.in_words(shop, table),
    )  # fmt: skip


_AFTER_AN_ADDRESS = re.compile(r"\s+(?=https?://)")


def addresses_of(source: Source) -> dict[str, list[str]]:
    """Addresses of photos of each item that has some, by its id."""
    rows = {item.id: _AFTER_AN_ADDRESS.split(item.extra.get("photos", "")) for item in source.items}
    addresses = {item_id: [part for part in parts if "://" in part] for item_id, parts in rows.items()}
    return {item_id: parts for item_id, parts in addresses.items() if parts}


def _with_mapped(path: Path, table: TableReader, columns: Mapping[Any, Sequence[str]]) -> NumberedRows:
    """Rows with the columns that a user named for roles, under names that formats leave alone."""
    missing = [f"'{name}'" for names in columns.values() for name in names if name not in table.columns]
    if missing:
        raise DataError(
            f"{path} has no column {', '.join(missing)}; its columns are {listed(table.columns, 80) or 'none'}: name "
            "one of these with --column or in the file of --columns"
        )
    for line, row in table.rows:
        if columns and not isinstance(row, BadRow):
            given = {role: [row[name] for name in names if name in row] for role, names in columns.items()}
            row = {**row, **{f"{MAPPED}{role}": values[0] for role, values in given.items() if values}}
        yield line, row


@dataclass
class _Variants:
    """Rows that are one item: their ids, sizes with whether each is in stock, and prices."""

    ids: list[str] = field(default_factory=list)
    sizes: dict[str, bool | None] = field(default_factory=dict)
    in_stock: set[bool | None] = field(default_factory=set)
    prices: list[float] = field(default_factory=list)

    def add(self, item: SourceItem, row_id: str, size: str, is_in_stock: bool | None) -> None:
        """Add a row."""
        self.ids.append(row_id)
        if size:
            self.sizes[size] = is_in_stock or self.sizes.get(size, is_in_stock)
        self.in_stock.add(is_in_stock)
        self.prices += [] if item.price is None else [item.price]

    def item(self, item: SourceItem, columns: _Columns) -> SourceItem:
        """The item of all rows: the lowest price, in stock if one of them is."""
        extra = {name: value for name, value in item.extra.items() if name not in columns.of_a_size}
        extra["variant ids"] = ", ".join(self.ids)
        if self.sizes:
            extra["sizes"] = ", ".join(self.sizes)
            if None not in self.sizes.values():
                extra["sizes in stock"] = ", ".join(size for size, is_in_stock in self.sizes.items() if is_in_stock)
        if self.in_stock != {None}:
            extra["in_stock"] = "yes" if True in self.in_stock else "unknown" if None in self.in_stock else "no"
        if len(set(self.prices)) > 1:
            extra["highest price"] = f"{max(self.prices):.2f}"
        return replace(item, extra=extra, price=min(self.prices, default=None))


class _Shelf:
    """Collects items of rows, and what is wrong with these."""

    def __init__(self, columns: _Columns) -> None:
        self.problems: list[RowProblem] = []
        self.lines: dict[str, int] = {}
        self.read = 0
        self.merged = 0
        self._columns = columns
        self._items: dict[str, SourceItem] = {}
        self._variants: dict[str, _Variants] = {}
        self._groups: set[str] = set()
        self._row_ids: set[str] = set()

    def add(self, line: int, row: Row | BadRow) -> None:
        """Add a row, or what is wrong with it."""
        if isinstance(row, BadRow):
            self.read += not row.usable
            self.problems.append(RowProblem(row.reason, "", line, row.value, row.usable))
            return
        self.read += 1
        row = self._columns.learn(row)
        row_id, group = self._columns.text(row, "id"), self._columns.text(row, "group")
        item, problems = self._columns.item(row, line, row_id, group)
        if self._columns.is_unclosed(row):
            self.problems.append(RowProblem(UNCLOSED, row_id, line, _lines_after(line, row)))
        elif not row_id:
            self.problems.append(RowProblem("bad row: no id", line=line))
        elif row_id in self._row_ids:
            self.problems.append(RowProblem(DUPLICATE, row_id, line, self._difference(item)))
        else:
            self._row_ids.add(row_id)
            self.problems += problems
            self._put(item, row, row_id, group, line)

    def _put(self, item: SourceItem, row: Row, row_id: str, group: str, line: int) -> None:
        if not group and item.id in self._items:
            self.problems.append(RowProblem(DUPLICATE, item.id, line, self._difference(item)))
            return
        self._groups.add(group or row_id)
        first = self._items.get(item.id, item)
        if item.id not in self._variants and not item.title.startswith(first.title):  # one's id is another's group
            self.problems.append(RowProblem(DUPLICATE, item.id, line, self._difference(item)))
            return
        self.merged += item.id in self._items
        if self._items.setdefault(item.id, item) is item:
            self.lines[item.id] = line
        elif item.image is not None and self._items[item.id].image is None:
            self._items[item.id] = replace(self._items[item.id], image=item.image, why_no_photo="")
        if group:
            variants = self._variants.setdefault(item.id, _Variants())
            variants.add(item, row_id, self._columns.text(row, "size"), self._columns.in_stock(row))

    def _difference(self, item: SourceItem) -> str:
        """Where an item differs from the one that has its id."""
        first = self._items.get(item.id, item)
        names = {"title": "title", "category": "category", "price": "price", "image": "photo", "extra": "columns"}
        differing = [words for name, words in names.items() if getattr(item, name) != getattr(first, name)]
        return f"other {', '.join(differing)}" if differing else "the same row again"

    def finish(self) -> dict[str, SourceItem]:
        """All items by id, in the order of their first rows."""
        for item_id, variants in self._variants.items():
            self._items[item_id] = variants.item(self._items[item_id], self._columns)
        return self._items

    def in_words(self, shop: FeedFormat, table: TableReader) -> str:
        """What was recognised, such as ``"Shopify product export: 4 products, 9 variants, grouped by colour"``."""
        products, rows = len(self._groups), len(self._row_ids)
        parts = [f"{products:,} {'items' if shop.key == 'plain' and rows == products else 'products'}"]
        parts += [f"{rows:,} variants", "grouped by colour"] if rows > products else []
        parts += [f"prices in {self._columns.currency}"] if self._columns.currency else []
        parts += [f"titles in {LANGUAGES[self._columns.main_language]}"] if self._columns.main_language else []
        return f"{shop.name}: {', '.join(parts)}{f' ({table.about})' if table.about else ''}"


class _Columns:
    """What the columns of a table mean."""

    def __init__(
        self, path: Path, names: Sequence[str], delimiter: str, settings: FeedSettings, shop: FeedFormat
    ) -> None:
        self.currency = settings.currency or ""
        self._language = settings.language or own_language()
        self.main_language = ""
        self._groups_thousands = shop.key in ("plain", "google")  # people write 1.299 so; software means decimals
        self._names: dict[str, None] = {}
        self._ids: dict[tuple[str, str], str] = {}
        self._delimiter = delimiter
        self._roles = [str(role) for role in settings.columns]
        self._today = date.today()
        self._learn(names)
        if not self._of["id"]:
            columns = listed((clean_title(name).text[:60] for name in names), 40) or "none, the file is empty"
            raise DataError(
                f"{path} has no column of ids: its columns are {columns}; name one 'id', or say which it is with "
                "--column id=NAME"
            )
        self._folder = path.parent
        self._commas = max(len(names) - 1, 1)
        self._photos: dict[str, Path] = {}
        for folder in (path.parent, path.parent / "images"):
            for photo in sorted(folder.iterdir()) if folder.is_dir() else ():
                if photo.suffix.lower() in PHOTO_SUFFIXES:
                    name = unicodedata.normalize("NFC", photo.name)
                    self._photos[name] = self._photos[name.rpartition(".")[0]] = photo

    def _learn(self, names: Iterable[str]) -> None:
        self._names |= dict.fromkeys(map(_role_name, names))
        by_key = {column_key(name): name for name in reversed(self._names)}
        self._of = {
            role: next((by_key[synonym] for synonym in synonyms if synonym in by_key), "")
            for role, synonyms in COLUMNS["roles"].items()
        }
        if self._of["price"] == self._of["sale price"]:  # a shop with one price
            self._of["sale price"] = ""
        self._categories = [by_key[key] for key in COLUMNS["categories"] if key in by_key]
        self._kinds = [by_key[key] for key in COLUMNS["kinds"] if key in by_key]
        if "category" in self._roles:
            self._categories = self._kinds = ["category"]
        self._stock = [by_key[key] for key in STOCK_COLUMNS if key in by_key]
        self.of_a_size = {*self._stock, self._of["size"], "sku"}  # columns that say something of one size alone
        # Finer and coarser category columns stay in ``extra``; columns with a field of their own don't.
        self._own = {name for role, name in self._of.items() if name and role in ("id", "title", "image", "price")}
        # What fits on one line: a field over several shows a quotation mark that isn't closed.
        self._short = {*self._own, *self._categories}
        self._short -= {name for name in self._short if column_key(name) == "description"}

    def recognise_language(self, rows: Iterable[Row]) -> None:
        """Take words that English has too for the language of most titles, unless the settings name one."""
        if not self._language:
            self.main_language = self._language = main_language(self.text(self.learn(row), "title") for row in rows)

    def learn(self, row: Row) -> Row:
        """A row under the names that its roles have; columns that it alone has become known."""
        if self._roles:
            ordered = sorted(row.items(), key=lambda cell: cell[0].startswith(MAPPED))  # which replace others
            row = {_role_name(name): value for name, value in ordered}
        if not row.keys() <= self._names.keys() and len(self._names) < _MOST_NAMES:
            self._learn(row)
        return row

    def text(self, row: Row, role: str) -> str:
        """A row's text of a role."""
        return _plain(row.get(self._of[role], ""))

    def in_stock(self, row: Row) -> bool | None:
        """Whether a row can be bought now."""
        return in_stock(_plain(row[name]) for name in self._stock if name in row)

    def item(self, row: Row, line: int, row_id: str, group: str) -> tuple[SourceItem, list[RowProblem]]:
        """The item of a row, and what is wrong with it."""
        parts = [group, self.text(row, "colour"), self.text(row, "pattern")] if group else [row_id]
        item_id = "/".join(" ".join(part.split()) for part in parts if part)
        if group:  # "Navy" and "navy" are one colour, under the name that comes first
            item_id = self._ids.setdefault((group, item_id.casefold()), item_id)
        title, texts = _without_tags(self.text(row, "title")), self._category_texts(row, self._categories)
        price, problems = self._price(row, line, row_id)
        images = [text for role in ("image", "more images") for text in _image_names(row.get(self._of[role], ""))]
        paths = [path for name in images if (path := self._photo(name)) is not None]
        image = next(
            (path for path in paths if len(paths) > 1 and os.access(path, os.F_OK)), paths[0] if paths else None
        )
        if image is None:
            names = (self._photos.get(unicodedata.normalize("NFC", name)) for name in (item_id, row_id, group))
            image = next((path for path in names if path is not None), None)
        extra = {name: _without_tags(_plain(value)) for name, value in row.items() if name not in self._own}
        if len(images) > 1 or any("://" in name for name in images):
            extra["photos"] = " ".join(images)
        language = language_of(" , ".join((title, *texts)), stated_language(extra) or self._language)
        if self._language and not stated_language(extra):
            extra[LANGUAGE_COLUMNS[0]] = self._language
        category = _category(texts, title, language)
        problems += self._problems(row, line, row_id, texts, language)
        kind = next(iter(self._category_texts(row, self._kinds)), "")
        return SourceItem(
            id=item_id,
            title=title,
            category=category,
            subcategory="" if kind in GARMENT_CATEGORIES else _last_part(kind),
            image=image,
            why_no_photo=OUTSIDE if image is None and images else "no photo",
            price=price,
            extra=extra,
        ), problems

    def _photo(self, name: str) -> Path | None:
        """The photo that a path in the table's folder names, or an address whose file lies there or in ``images``."""
        if "://" in name:
            file = unquote(re.split(r"[?#]", name, maxsplit=1)[0]).rpartition("/")[2]
            return self._photos.get(fetched_name(name)) or self._photos.get(unicodedata.normalize("NFC", file))
        path = inside(self._folder, name)  # of a name that is too long, Path.exists raises an error
        near = None if path is None else self._photos.get(unicodedata.normalize("NFC", path.name))
        return path if near is None or near == path or (path is not None and os.access(path, os.F_OK)) else near

    def _price(self, row: Row, line: int, row_id: str) -> tuple[float | None, list[RowProblem]]:
        """What a row costs now: its sale price while there is one; in the feed's currency."""
        given, reduced = self._amount(row, "price"), self._amount(row, "sale price")
        currency = self.text(row, "currency").upper() or self.currency
        has_regular = given is not None or reduced is None
        given = given if has_regular else reduced
        price = read_price(given, currency)
        if price is None:
            return None, [] if given is None else [RowProblem(NO_PRICE, row_id, line, _plain(given), usable=True)]
        currency = price.currency or self.text(row, "currency").upper()
        self.currency = self.currency or currency
        if currency and currency != self.currency:
            return None, [RowProblem(OTHER_CURRENCY, row_id, line, _plain(given), usable=True)]
        if reduced is None:
            return price.amount, []
        sale = read_price(reduced, currency or self.currency)
        begins, _, ends = self.text(row, "sale begins").partition("/")
        is_on = in_force(begins, ends or self.text(row, "sale ends"), self._today)
        if not has_regular:
            problem = RowProblem(NO_REGULAR_PRICE, row_id, line, _plain(reduced), usable=True)
            return (price.amount or None) if is_on else None, [problem]
        if sale is None or is_on is None or (sale.currency or self.currency) != self.currency:
            return price.amount, [RowProblem(NO_SALE_PRICE, row_id, line, _plain(reduced), usable=True)]
        return (sale.amount if is_on and 0 < sale.amount < price.amount else price.amount), []

    def _amount(self, row: Row, role: str) -> Any:
        """A price's cell; with a fourth decimal if it has three that shop software wrote, which group no thousands."""
        value = row.get(self._of[role])
        has_three = not self._groups_thousands and re.fullmatch(r"\d+\.\d{3}", str(value).strip())
        return f"{str(value).strip()}0" if has_three else value

    def _problems(self, row: Row, line: int, row_id: str, texts: Sequence[str], language: str) -> Iterator[RowProblem]:
        """What else is wrong with a row that can be used."""
        if texts and _category(texts, "", language) is None:
            yield RowProblem(NO_SUCH_CATEGORY, row_id, line, texts[0], usable=True)
        if self._delimiter:
            later = [text for value in row.values() for text in _later_lines(value)]
            if any(text.count(self._delimiter) >= self._commas for text in later):
                yield RowProblem(SWALLOWING, row_id, line, _lines_after(line, row), usable=True)

    def is_unclosed(self, row: Row) -> bool:
        """Whether a field that fits on one line, such as an id or a title, goes on over a line with commas in it."""
        texts = (text for name in self._short for text in _later_lines(row.get(name, "")))
        return bool(self._delimiter) and any(self._delimiter in text for text in texts)

    def _category_texts(self, row: Row, columns: Sequence[str]) -> list[str]:
        cells = (text for name in columns if name in row for text in texts_of(row[name]))
        paths = (path for text in cells for path in (str(text).split(",") if ">" in str(text) else [_plain(text)]))
        return [text for path in paths if (text := _DEPARTMENT.sub("", path.strip()))]


def _role_name(name: str) -> str:
    """The column that has a role, for the name under which a user's choice for it comes; others stay as they are."""
    role = name.removeprefix(MAPPED)
    return name if role == name else "item_group_id" if role == "group" else role


def _image_names(value: Any) -> list[str]:
    """Paths and addresses in a cell: a list, or a text with several ends of photos' names and signs between them. A
    comma in an address is a part of it, unless another address follows.
    """
    names: list[str] = []
    for text in texts_of(value):
        is_address = re.match(r"\w+://", str(text).strip())
        parts = re.split(r"[\s,;|]+(?=\w+://)" if is_address else r"\s*[,;|]\s*", str(text).strip())
        are_several = len(parts) > 1 and all(
            "://" in part or part.lower().endswith(tuple(PHOTO_SUFFIXES)) for part in parts
        )
        names += parts if are_several else [_plain(text)]
    return list(dict.fromkeys(_CREDENTIALS.sub("://", name) for name in names if name))


def _without_tags(text: str) -> str:
    """A text without markup of HTML, and addresses without the credentials of an account; others stay as they are."""
    text = _CREDENTIALS.sub("://", text) if "://" in text else text
    if "<" not in text or not _TAG.search(text):
        return text
    return " ".join(html.unescape(_TAG.sub(" ", text)).split())


def _last_part(path: str) -> str:
    """The kind that a path of categories names: its last part, read with the part above it ("dress shoes")."""
    if ">" not in path:
        return path
    last = path.rpartition(">")[2].strip()
    return last if classify(last) in (None, classify(path)) else default_lexicon().match(in_english(path))[1]


def _later_lines(value: Any) -> list[str]:
    return str(value).strip().split("\n")[1:]


def _lines_after(line: int, row: Row) -> str:
    last = line + sum(str(value).count("\n") for value in row.values())
    return f"line {last}" if last == line + 1 else f"lines {line + 1} to {last}"


def _category(texts: Iterable[str], title: str, language: str) -> GarmentCategory | Literal[""] | None:
    for text in texts:
        category = next((name for name in GARMENT_CATEGORIES if name == text.lower()), classify(text, language))
        if category is not None:
            return category
    return classify(title, language) or None


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
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
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
