"""Parquet files as hub copies have them: their columns, and the photos in their rows, written out as files once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from coordi.artifacts import cache_folder, writing
from coordi.errors import DataError

_ROWS = 256  # held at once: a few MB of photos


def columns_of(table: Path) -> tuple[str, ...]:
    """Names of a Parquet file's columns.

    Raises:
        DataError: If it isn't a Parquet file.
    """
    with _reading(table):
        return tuple(pq.read_schema(table).names)


def read_columns(
    tables: Sequence[Path], required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Rows of several files with only these columns.

    Args:
        tables: Parquet files.
        required: Columns that each file must have.
        optional: Columns that are absent from the rows of a file that lacks them.

    Raises:
        DataError: If a file isn't a Parquet file, is damaged or lacks a required column.
    """
    for table in tables:
        names = columns_of(table)
        lacking = [name for name in required if name not in names]
        if lacking:
            raise DataError(
                f"{table} has the columns {', '.join(names)}; it lacks {' and '.join(lacking)}, which coordi reads: "
                "get the copy that docs/data.md names"
            )
        wanted = [*required, *(name for name in optional if name in names)]
        with _reading(table), pq.ParquetFile(table) as file:
            for batch in file.iter_batches(_ROWS, columns=wanted):
                yield from batch.to_pylist()


@contextmanager
def _reading(table: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{table} isn't a whole Parquet file: {' '.join(str(error).split())}; get it again") from error


def extract_photos(tables: Sequence[Path], id_column: str, wanted: Collection[str]) -> Mapping[str, Path]:
    """Write the photos of items into coordi's cache; those that are there already aren't written again.

    Args:
        tables: Parquet files with a column of ids and a column ``image``, of bytes or of ``{bytes, path}``.
        id_column: Name of the column of ids.
        wanted: Ids of items whose photos are used; others aren't written.

    Returns:
        Path of each photo by item id; an item without one is absent. Photos aren't looked at.

    Raises:
        DataError: If a file isn't a Parquet file, is damaged or lacks a column.
        ArtifactError: If the cache can't be written.
    """
    photos: dict[str, Path] = {}
    for table in tables:
        folder = cache_folder() / "photos" / _key(table)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for row in read_columns([table], (id_column, "image")):
                item_id, data = id_of(row, id_column), _bytes(row["image"])
                if item_id and item_id in wanted and data and item_id not in photos:
                    photos[item_id] = _written(folder, item_id, data)
    return photos


def id_of(row: Mapping[str, Any], column: str) -> str:
    """The id of a row's item; ``""`` if the row has none."""
    return "" if row[column] is None else str(row[column])


def _key(table: Path) -> str:
    """A changed file gets another folder; the hub's cache resolves to a path that names the content."""
    real = table.resolve()
    found = real.stat()
    return hashlib.sha256(f"{real}\0{found.st_size}\0{found.st_mtime_ns}".encode()).hexdigest()[:16]


def _bytes(cell: Any) -> bytes | None:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    return data if isinstance(data, bytes) else None


def _written(folder: Path, item_id: str, data: bytes) -> Path:
    path = folder / f"{quote(item_id, safe='')}.jpg"
    if not path.is_file():
        # Renamed once whole, so that a broken run leaves no half photo; not synced, as there are many thousands.
        part = path.with_suffix(".part")
        part.write_bytes(data)
        part.replace(path)
    return path
