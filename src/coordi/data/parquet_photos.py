"""Photos that lie in the rows of Parquet files, as hub copies have them, written out as files once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
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
    try:
        return tuple(pq.read_schema(table).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{table} isn't a Parquet file: {' '.join(str(error).split())}; get it again") from error


def read_columns(tables: Sequence[Path], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of several files with only these columns; one that a file lacks is left out of its rows.

    Raises:
        DataError: If a file isn't a Parquet file.
    """
    rows: list[dict[str, Any]] = []
    for table in tables:
        there = set(columns_of(table))
        rows += pq.read_table(table, columns=[name for name in columns if name in there], partitioning=None).to_pylist()
    return rows


def extract_photos(tables: Sequence[Path], id_column: str, wanted: Collection[str]) -> Mapping[str, Path]:
    """Write the photos of items into coordi's cache; those that are there already aren't written again.

    Args:
        tables: Parquet files with a column of ids and a column ``image``, of bytes or of ``{bytes, path}``.
        id_column: Name of the column of ids.
        wanted: Ids of items whose photos are used; others aren't written.

    Returns:
        Path of each photo by item id; an item without one is absent. Photos aren't looked at.

    Raises:
        DataError: If a file isn't a Parquet file or lacks a column.
        ArtifactError: If the cache can't be written.
    """
    photos: dict[str, Path] = {}
    for table in tables:
        names = columns_of(table)
        if id_column not in names or "image" not in names:
            raise DataError(f"{table} has the columns {', '.join(names)}; expected {id_column} and image")
        folder = cache_folder() / "photos" / _key(table)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for batch in pq.ParquetFile(table).iter_batches(_ROWS, columns=[id_column, "image"]):
                for row in batch.to_pylist():
                    item_id, data = str(row[id_column]), _bytes(row["image"])
                    if item_id in wanted and data and item_id not in photos:
                        photos[item_id] = _written(folder, item_id, data)
    return photos


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
