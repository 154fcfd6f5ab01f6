"""Tables as shops write them: CSV with any delimiter and encoding, JSON, XML feeds and Parquet, a row at a time."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from glob import escape
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from coordi.artifacts import connect
from coordi.config import FeedSettings
from coordi.errors import DataError, require

TABLE_SUFFIXES = (".csv", ".jsonl", ".parquet")
FEED_SUFFIXES = (".tsv", ".txt", ".xml", ".json")
"""Suffixes of tables that aren't looked for in a folder."""
UNCLOSED_TO_THE_END = "bad row: a quotation mark isn't closed; the lines after it are read"
TOO_LONG = "bad row: longer than 4 million characters"
SHORT = "fewer fields than the header: the last count as empty"
UNREADABLE = "letters that can't be read: shown as \ufffd"
TWO_COLUMNS = "two columns of one name: the first is used"

_MOST_CHARACTERS = 4 * 2**20  # of a row
_AT_ONCE = 4096  # rows of a Parquet file
_ROWS_OF_MOST = 256  # rows of that many characters in one group of rows
_MOST_LINES = 20_000  # of a row
_SAMPLE = 2**16  # bytes or characters
_SAMPLE_ROWS = 200
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
DELIMITER_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "pipe": "|"}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
# What shops' files are in that are neither UTF-8 nor UTF-16.
_LEGACY = ["cp1252", "cp1251", "cp1253", "cp1255", "cp1256", "cp949", "cp932", "gb18030", "big5"]
_ENCODING_NAMES = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}
_LONGEST_INTEGER = 300  # digits; Python refuses to read over 4,300, and a float has no more

Row = Mapping[str, Any]
"""Cells by column, without empty ones: texts, numbers, truth values, or a list of texts."""


class BadRow(NamedTuple):
    """Why a row can't be used, or (``usable``) what is wrong with it; ``value`` is the text in question."""

    reason: str
    value: str = ""
    usable: bool = False


NumberedRows = Iterator[tuple[int, Row | BadRow]]
"""Rows by line, or by their number in Parquet and JSON arrays, from 1. A usable ``BadRow`` is followed by its row."""


@dataclass(frozen=True, slots=True)
class TableReader:
    """A table that is being read: its columns as far as they are known before all rows are read, and its rows."""

    columns: tuple[str, ...]
    rows: NumberedRows
    delimiter: str = ""
    about: str = ""
    """How it is read where that isn't plain: ``"semicolons, Windows-1252"``."""


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
    """Read a whole table; a broken row is listed in ``faults``, the others are read."""
    table = open_table(path)
    rows: list[tuple[int, Row]] = []
    faults: dict[str, list[int]] = defaultdict(list)
    for line, row in table.rows:
        if not isinstance(row, BadRow):
            rows.append((line, row))
        elif not row.usable:
            faults[row.reason].append(line)
    return Table(table.columns, tuple(rows), dict(faults))


def open_table(path: Path, settings: FeedSettings | None = None) -> TableReader:
    """Begin to read a table, whose kind its suffix and its first bytes tell; raises ``DataError`` if it is none."""
    settings = settings or FeedSettings()
    suffix = path.suffix.lower()
    if suffix not in (*TABLE_SUFFIXES, *FEED_SUFFIXES):
        accepted = ", ".join((*TABLE_SUFFIXES, *FEED_SUFFIXES))
        raise DataError(f"{path} has the suffix '{path.suffix}'; accepted are {accepted}")
    if suffix == ".parquet":
        return _open_parquet(path)
    encoding = settings.encoding or find_encoding(path)
    start = _start(path, encoding).lstrip()
    if start.startswith("<"):
        from coordi.data.xml_feed import xml_rows

        return _with_columns(xml_rows(path), "XML")
    if suffix in (".json", ".jsonl") or start.startswith(("{", "[{")):
        wrapped = None if suffix == ".jsonl" else _wrapped(start)
        is_array = wrapped is not None or re.match(r"\[\s*[{\]]", start)
        rows = _array_rows(path, encoding, wrapped or 0) if is_array else _json_lines(path, encoding)
        return _with_columns(rows, _encoding_name(encoding))
    return _open_csv(path, encoding, settings)


def is_feed(path: Path) -> bool:
    """Whether a file of another suffix than those of tables begins as a feed does: XML of Google's, or with an id."""
    start = _start(path, find_encoding(path))
    if path.suffix.lower() == ".xml":
        return re.search(r"<(rss|feed)\b", start) is not None
    return "id" in [name.strip().lower() for name in start.partition("\n")[0].split("\t")]


def find_encoding(path: Path) -> str:
    """Encoding of a file: by its byte order mark, UTF-8 if all of it (or nearly all) is, else the likeliest other."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            start = file.read(_SAMPLE)
            for mark, name in _MARKS:
                if start.startswith(mark):
                    return name
            zeros = [start[side::2].count(0) for side in (0, 1)]
            if max(zeros) > len(start) / 8:  # UTF-16 of western letters has a 0 in every second byte
                return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
            position, chunk = 0, start
            while chunk:  # a letter that is cut off where the file ends is one that can't be read, no other encoding
                decoder.decode(chunk)
                position, chunk = file.tell(), file.read(2**20)
    except UnicodeDecodeError:
        return _legacy_encoding(path, position)
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from error
    return "utf-8"


def _legacy_encoding(path: Path, position: int) -> str:
    """Encoding of a file in which UTF-8 ends somewhere in the MiB that begins at a position."""
    from charset_normalizer import from_bytes

    with path.open("rb") as file:
        file.seek(position)
        sample = file.read(2**20)
    text = sample.decode("utf-8", "surrogateescape")
    wrong = len(_WRONG.findall(text))
    if 20 * wrong < sum(not letter.isascii() for letter in text) - wrong:
        return "utf-8"  # with a few broken letters
    lines = b"\n".join(line for line in sample.splitlines() if not line.isascii())[:_SAMPLE]
    western = lines.decode("cp1252", "replace")
    words = "".join(word for word in re.findall(r"[^\W\d_]+", western) if not word.isascii())
    if 2 * sum(not letter.isascii() for letter in words) <= len(words):  # Latin letters with some accents
        return next((name for name, signs in _SIGNS_OF.items() if signs.search(western)), "cp1252")
    best = from_bytes(lines, cp_isolation=_LEGACY).best()
    return "cp1252" if best is None else best.encoding


# Turkish and Polish words as Windows-1252 shows them; charset-normalizer doesn't tell short ones from it.
_SIGNS_OF = {"cp1254": re.compile(r"[þðýÞÐÝ]"), "cp1250": re.compile(r"[^\W\d_][¹³¿¼¾][^\W\d_]")}
_WRONG = re.compile("[\udc80-\udcff\ufffd]")


def _encoding_name(encoding: str) -> str:
    name = _ENCODING_NAMES.get(encoding, encoding.replace("cp125", "Windows-125").replace("utf-", "UTF-"))
    return "" if name == "UTF-8" else name


def open_text(path: Path, encoding: str, newline: str = "") -> TextIO:
    """Open a text whose wrong bytes become surrogates; raises ``DataError`` for an encoding that isn't known."""
    try:
        errors = "surrogateescape" if encoding.startswith(("utf-8", "cp125")) else "replace"
        return path.open(encoding=encoding, errors=errors, newline=newline)
    except LookupError as error:
        raise DataError(
            f"the encoding '{encoding}' isn't known; accepted are names such as utf-8, utf-16, cp1252 and latin-1"
        ) from error
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from error


def _start(path: Path, encoding: str) -> str:
    with open_text(path, encoding) as file:
        try:
            return file.read(_SAMPLE)
        except UnicodeError as error:
            raise DataError(
                f"{path} isn't {encoding} (byte {getattr(error, 'start', 0)}); save it as UTF-8, or give another "
                "--encoding"
            ) from error


def _open_csv(path: Path, encoding: str, settings: FeedSettings) -> TableReader:
    start = _start(path, encoding)
    if start.count("\0") > max(8, len(start) / 100):
        raise DataError(f"{path} isn't a table: it holds zero bytes; export it again as CSV in UTF-8")
    hint = re.match(r"sep=(.)\r?\n", start)  # Excel's
    delimiter = settings.delimiter or (hint[1] if hint else _delimiter(start))
    quote = settings.quote or ("'" if re.match(rf"'[^']*'{re.escape(delimiter)}'", start) else '"')
    records = _records(path, encoding, 1 if hint else 0, delimiter, quote)
    header_line, header = next(((line, row) for line, row in records if isinstance(row, BadRow) or any(row)), (1, []))
    if isinstance(header, BadRow):
        raise DataError(f"the header of {path} can't be read: {header.reason} in line {header_line}; mend it there")
    columns, twice = _column_names(header)
    notes: list[tuple[int, Row | BadRow]] = [(header_line, BadRow(TWO_COLUMNS, name, usable=True)) for name in twice]
    parts = [] if delimiter == "," else [_DELIMITERS.get(delimiter, f"'{delimiter}'")]
    about = ", ".join(filter(None, [*parts, "no quotation marks" if quote == "none" else "", _encoding_name(encoding)]))
    return TableReader(columns, chain(notes, _csv_rows(columns, records)), delimiter, about)


def _delimiter(start: str) -> str:
    """The delimiter that gives the header most columns; of several the first of ``_DELIMITERS``."""
    header = next((line for line in start.splitlines() if line.strip()), "")
    return max(_DELIMITERS, key=lambda sign: len(next(csv.reader([header], delimiter=sign), [])))


def _column_names(header: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """Names of columns, each once, and those that came twice."""
    names: dict[str, None] = {}
    twice: list[str] = []
    for number, text in enumerate(header, start=1):
        name = text.strip() or f"column {number}"
        if name in names:
            twice.append(name)
            name = f"{name} (column {number})"
        names[name] = None
    return tuple(names), twice


def _csv_rows(columns: tuple[str, ...], records: Iterator[tuple[int, list[str] | BadRow]]) -> NumberedRows:
    for line, values in records:
        if isinstance(values, BadRow):
            yield line, values
            continue
        if any(values[len(columns) :]):
            yield line, BadRow("bad row: more fields than the header")
            continue
        if not any(values):
            continue
        if len(values) < len(columns):
            yield line, BadRow(SHORT, f"{len(values)} of {len(columns)}", usable=True)
        yield from _sound(line, {name: value for name, value in zip(columns, values, strict=False) if value})


def _sound(line: int, row: dict[str, Any]) -> NumberedRows:
    """A row whose letters can be written as UTF-8."""
    for name, value in row.items():
        if isinstance(value, str) and _WRONG.search(value):
            row[name] = _WRONG.sub("\ufffd", value)
            yield line, BadRow(UNREADABLE, row[name], usable=True)
    yield line, row


class _NotClosedError(Exception):
    """A record doesn't end within the file, or its most lines."""


class _Lines:
    """Lines of a file, which remembers those of a record, so that they can be read again."""

    def __init__(self, file: TextIO, skipped: int = 0) -> None:
        self._file = file
        self._again: deque[str] = deque()
        self._record: list[str] = []
        self._size = 0
        self.number = 0
        for _ in range(skipped):
            next(self)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._file.readline(_MOST_CHARACTERS)
        if not line:
            if self._record:
                raise _NotClosedError
            raise StopIteration
        self.number += 1
        self._record.append(line)
        self._size += len(line)
        if self._size > _MOST_CHARACTERS or len(self._record) > _MOST_LINES:
            raise _NotClosedError
        return line

    def begin_record(self) -> None:
        """Forget the lines of the record before."""
        self._record, self._size = [], 0

    def read_again(self) -> str:
        """Put the record's lines but the first back; return the first."""
        first, *others = self._record
        self._again.extendleft(reversed(others))
        self.number -= len(others)
        return first

    def skip_long_line(self) -> bool:
        """Whether a line is longer than a record may be; what is left of it is passed over."""
        line = self._record[-1]
        if all(len(part) < _MOST_CHARACTERS or part.endswith(("\n", "\r")) for part in self._record):
            return False
        while line and not line.endswith(("\n", "\r")):
            line = self._file.readline(_MOST_CHARACTERS)
        return True


def _records(
    path: Path, encoding: str, skipped: int, delimiter: str, quote: str
) -> Iterator[tuple[int, list[str] | BadRow]]:
    """Records with their first lines. A quotation mark that is never closed loses one line, not those after it."""
    csv.field_size_limit(max(csv.field_size_limit(), _MOST_CHARACTERS))  # of the process, and only ever raised
    with open_text(path, encoding) as file:
        lines = _Lines(file, skipped)
        if quote == "none":
            reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        else:
            reader = csv.reader(lines, delimiter=delimiter, quotechar=quote)
        while True:
            lines.begin_record()
            line = lines.number + 1
            try:
                values = next(reader)
            except StopIteration:
                return
            except _NotClosedError:
                if lines.skip_long_line():
                    yield line, BadRow(TOO_LONG)
                else:
                    yield line, BadRow(UNCLOSED_TO_THE_END, lines.read_again().strip()[:200])
            except csv.Error as error:
                yield line, BadRow(f"bad row: {error}")
            else:
                yield (line, BadRow(TOO_LONG)) if lines.skip_long_line() else (line, values)


def _with_columns(rows: NumberedRows, about: str) -> TableReader:
    """A reader of rows that name their own columns, of which the first rows are read for these."""
    first = list(islice(rows, _SAMPLE_ROWS))
    names = dict.fromkeys(name for _, row in first if not isinstance(row, BadRow) for name in row)
    return TableReader(tuple(names), chain(first, rows), "", about)


_DECODER = json.JSONDecoder(parse_int=lambda digits: int(digits) if len(digits) <= _LONGEST_INTEGER else digits)


def _json_lines(path: Path, encoding: str) -> NumberedRows:
    with open_text(path, encoding, newline="\n") as file:
        lines = _Lines(file)
        while True:
            lines.begin_record()
            text = next(lines, "")
            if not text:
                return
            if lines.skip_long_line():
                yield lines.number, BadRow(TOO_LONG)
            elif text.strip():
                try:
                    value = _DECODER.decode(text.strip())
                except (ValueError, RecursionError):
                    yield lines.number, BadRow("bad row: not JSON")
                else:
                    yield from _json_row(lines.number, value)


_NOW = ("new", "now", "current", "sale", "final", "reduced", "discounted")
_BEFORE = ("old", "was", "before", "regular", "original", "list", "full")


def _json_row(line: int, value: Any) -> NumberedRows:
    if not isinstance(value, dict):
        yield line, BadRow("bad row: not a JSON object")
        return
    cells = ((key, cell_of(part)) for name, inner in value.items() for key, part in _prices(name, inner).items())
    yield from _sound(line, {name: cell for name, cell in cells if cell not in (None, "", [])})


def _prices(name: str, value: Any) -> dict[str, Any]:
    """A JSON value by its column; of a price before and after a change the later one, and the other beside it."""
    keys = {column_key(key): key for key in value} if isinstance(value, dict) and "price" in column_key(name) else {}
    now, before = (next((key for key in keys if key in names), None) for names in (_NOW, _BEFORE))
    if now is None or before is None or not keys.keys() <= {now, before, "currency", "currencycode"}:
        return {name: value}
    currency = next((value[key] for short, key in keys.items() if short.startswith("currency")), None)
    prices = [value[keys[key]] for key in (now, before) if value[keys[key]] not in (None, "")]
    columns = zip((name, "regular_price"), prices, strict=False)
    return {column: {"amount": price, "currency": currency} for column, price in columns}


def _wrapped(start: str) -> int | None:
    """Where the list begins of an object that has a list of objects first, as ``{"products": [{`` does."""
    match = re.match(r'\s*\{\s*"(products|items|offers|entries|results|data|rows)"\s*:\s*\[(?=\s*\{)', start)
    return match.end() - 1 if match else None


def _array_rows(path: Path, encoding: str, begins: int) -> NumberedRows:
    """Objects of a JSON list, by their number; what follows a fault isn't read."""
    with open_text(path, encoding) as file:
        text = file.read(_SAMPLE).lstrip("\ufeff \t\r\n")
        text, number = text[begins + 1 :], 0
        while True:
            text = text.lstrip(" \t\r\n,")
            if text.startswith("]"):
                return
            try:
                value, end = _DECODER.raw_decode(text)
            except (ValueError, RecursionError):
                more = file.read(max(_SAMPLE, len(text)))
                if not more or len(text) > _MOST_CHARACTERS:
                    yield number + 1, BadRow("bad row: not JSON; what comes after it isn't read", text[:200])
                    return
                text += more
                continue
            text, number = text[end:], number + 1
            yield from _json_row(number, value)


def cell_of(value: Any) -> Any:
    """A cell of a JSON or Parquet value: texts in several languages become the English or the first of them, an amount
    with a currency a price's text, a picture's object its address; other objects stay JSON.
    """
    if isinstance(value, Mapping):
        for amount in ("amount", "value"):
            if amount in value and set(value) <= {amount, "currency", "currencyCode", "currency_code"}:
                parts = (part for part in value.values() if part is not None)  # 8.403 groups no thousands as 8.4030
                return " ".join(f"{part:.4f}" if isinstance(part, float) else str(part) for part in parts)
        for address in ("src", "url", "href"):
            if isinstance(value.get(address), str):
                return value[address]
        texts = {str(key): text for key, text in value.items() if isinstance(text, str)}
        if texts and all(re.fullmatch(r"[a-z]{2,3}([_-]\w+)?", key) for key in texts) and len(texts) == len(value):
            return next((text for key, text in texts.items() if key.startswith("en")), next(iter(texts.values())))
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, list | tuple):
        cells = [cell_of(part) for part in value]
        return [str(cell) for cell in cells if cell not in (None, "", [])]
    return value


def _open_parquet(path: Path) -> TableReader:
    connection = connect()
    with _parquet_errors(path):
        connection.execute("SET threads = 1; SET TimeZone = 'UTC'")
        ((rows,),) = connection.execute("SELECT num_rows FROM parquet_file_metadata(?)", [escape(str(path))]).fetchall()
        columns = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [escape(str(path))]).fetchall()
    size = path.stat().st_size
    if rows > max(size, _AT_ONCE):  # an id alone takes a byte
        raise DataError(f"{path} has {rows:,} rows in {size:,} bytes, so nearly all are empty; write it without these")
    types = {name: kind for name, kind, *_ in columns}
    return TableReader(tuple(types), _parquet_rows(path, connection, types, rows))


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except require("duckdb").Error as error:
        reason = str(error).strip().splitlines()[0].split("Error: ", 1)[-1]
        raise DataError(f"{path} can't be read as a Parquet file: {reason}; write it again") from error


def _check_unpacked(path: Path, connection: Any) -> None:
    """Refuse a file whose columns say that they unpack to more than a row may have, before one is unpacked."""
    columns = connection.execute(
        "SELECT path_in_schema, total_uncompressed_size, row_group_num_rows FROM parquet_metadata(?) "
        "WHERE total_uncompressed_size > ? * greatest(1, least(row_group_num_rows, ?)) LIMIT 1",
        [escape(str(path)), _MOST_CHARACTERS, _ROWS_OF_MOST],
    ).fetchall()
    for column, size, rows in columns:
        raise DataError(
            f"the column '{column}' of {path} unpacks to {size / 2**20:,.0f} MiB in {rows:,} rows; a row may have "
            f"{_MOST_CHARACTERS / 2**20:g} MiB: shorten its texts"
        )


def _parquet_rows(path: Path, connection: Any, types: Mapping[str, str], size: int) -> NumberedRows:
    columns = ", ".join(_as_python(name, kind) for name, kind in types.items())
    number = 0
    with closing(connection), _parquet_errors(path):
        _check_unpacked(path, connection)
        connection.execute(f"SELECT {columns} FROM read_parquet(?)", [escape(str(path))])
        while rows := connection.fetchmany(_AT_ONCE):
            if number + len(rows) > size:
                raise DataError(f"{path} has more rows than the {size:,} that it says; write it again")
            for row in rows:
                number += 1
                yield from _json_row(number, dict(zip(types, row, strict=True)))


def _as_python(name: str, kind: str) -> str:
    """A column in SQL; Python's times with a zone would need another package, so they become texts."""
    quoted_name, text = '"' + name.replace('"', '""') + '"', re.sub(r"TIME(STAMP)? WITH TIME ZONE", "VARCHAR", kind)
    return quoted_name if text == kind else f"CAST({quoted_name} AS {text})"


@lru_cache(maxsize=4096)
def column_key(name: str) -> str:
    """A column's name as names are compared: lower case, without spaces, signs and a namespace such as ``g:``."""
    return re.sub(r"[\W_]+", "", name.lower().removeprefix("g:"))


def texts_of(value: Any) -> Iterable[str]:
    """Texts of a cell, which may be a list."""
    return value if isinstance(value, list) else (value,)
