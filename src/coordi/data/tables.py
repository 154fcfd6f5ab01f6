"""Rows of a CSV, JSON Lines or Parquet file, with the numbers of the rows that can't be read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordi.data.files import read_text
from coordi.errors import DataError

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
