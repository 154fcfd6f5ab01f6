"""Making and changing a catalogue's database: always a new file that takes the old one's place at once.

Rows that are new or changed are staged in a database beside the catalogue's. At the end a new database is written from
the rows that stay and those that were staged, category by category, and renamed over the old one. Whatever ends the
process before that leaves the old one as it was; whoever has it open goes on reading it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordi.artifacts import writing
from coordi.domain import WORN_CATEGORIES
from coordi.errors import ArtifactError, require
from coordi.recommend.catalogue_file import ITEMS_FILE, SHUT_OFF, CatalogueInfo, insert, quoted, unreadable
from coordi.recommend.catalogue_rows import DATABASE, ITEMS, CatalogueRow, create_tables, table_of

_STAGED, _FRESH, _KEPT = "staged", "fresh", "memory.kept"


@dataclass(frozen=True, slots=True)
class StoredRow:
    """What a refresh compares of an item that is in a catalogue."""

    place: int
    row_hash: bytes
    photo_hash: bytes
    has_photo: bool


def stored_rows(folder: Path) -> dict[str, StoredRow]:
    """What is in a catalogue's database, by id in the source's order.

    Raises:
        ArtifactError: If the database is damaged.
    """
    with _connected(folder) as connection:
        _attach_old(connection, folder)
        rows = connection.execute(
            f"SELECT id, place, row_hash, photo_hash, photo_vector IS NOT NULL FROM {ITEMS} ORDER BY place, id"
        ).fetchall()
    return {row[0]: StoredRow(row[1], bytes(row[2] or b""), bytes(row[3] or b""), row[4]) for row in rows}


class CatalogueWriter:
    """Collects what a catalogue is to hold; see ``writing_catalogue``."""

    def __init__(self, connection: Any, folder: Path, info: CatalogueInfo) -> None:
        self._connection = connection
        self._folder = folder
        self._info = info
        self._keeps = False

    def add(self, rows: Sequence[CatalogueRow]) -> None:
        """Stage rows, whose ids nothing else that is added or kept has."""
        if rows:
            table = table_of(rows, self._info.photo_dimension, self._info.text_dimension)
            insert(self._connection, f"{_STAGED}.items", table)

    def keep(self, places: Mapping[str, int]) -> None:
        """Keep rows of the catalogue that is there, by id, with their new places in the source's order."""
        import pyarrow as pa

        if places:
            _attach_old(self._connection, self._folder)
            table = pa.table({"id": list(places), "place": pa.array(places.values(), type=pa.int64())})
            insert(self._connection, _KEPT, table)
            self._keeps = True

    def finish(self, info: CatalogueInfo) -> None:
        """Write the new database and put it in the old one's place."""
        fresh = _beside(self._folder, _FRESH)
        run = self._connection.execute
        run(f"ATTACH {quoted(fresh)} AS {_FRESH}")
        for statement in create_tables(info.photo_dimension, info.text_dimension, _FRESH):
            run(statement)
        # A search within a category reads one stretch of the file: 4 ms rather than 15 with 100,000 items.
        for category in WORN_CATEGORIES:
            if self._keeps:
                run(
                    f"INSERT INTO {_FRESH}.items SELECT item.* REPLACE (kept.place AS place) FROM {ITEMS} AS item "
                    f"JOIN {_KEPT} AS kept ON item.id = kept.id WHERE item.category = ?",
                    [category],
                )
            run(f"INSERT INTO {_FRESH}.items SELECT * FROM {_STAGED}.items WHERE category = ?", [category])
        run(f"INSERT INTO {_FRESH}.about VALUES (?)", [info.model_dump_json()])
        run(f"CHECKPOINT {_FRESH}")
        run(f"DETACH {_FRESH}")
        _take_the_place(fresh, self._folder / ITEMS_FILE)


@contextmanager
def writing_catalogue(folder: Path, info: CatalogueInfo) -> Iterator[CatalogueWriter]:
    """Give a writer for a catalogue's folder, which this process holds alone (``artifacts.working_alone``).

    Nothing changes unless ``finish`` is called. What an earlier try left beside the database is removed.

    Raises:
        ArtifactError: If the folder can't be written, or the database that is there is damaged.
    """
    _remove_leftovers(folder)
    try:
        with writing(folder), _connected(folder) as connection:
            connection.execute(f"ATTACH {quoted(_beside(folder, _STAGED))} AS {_STAGED}")
            connection.execute(f"CREATE TABLE {_KEPT} (id VARCHAR, place BIGINT)")
            for statement in create_tables(info.photo_dimension, info.text_dimension, _STAGED):
                connection.execute(statement)
            yield CatalogueWriter(connection, folder, info)
    finally:
        _remove_leftovers(folder)


def _attach_old(connection: Any, folder: Path) -> None:
    connection.execute(f"ATTACH {quoted(folder / ITEMS_FILE)} AS {DATABASE} (READ_ONLY)")


@contextmanager
def _connected(folder: Path) -> Iterator[Any]:
    """A connection that holds nothing yet; DuckDB's errors become one clear line."""
    duckdb = require("duckdb", "catalogue")
    connection = duckdb.connect(":memory:", config=dict(SHUT_OFF))
    try:
        yield connection
    except duckdb.IOException as error:
        if "No space left" not in str(error):
            raise unreadable(folder, error) from error
        raise ArtifactError(
            f"no space left on the disk while writing {folder}; the catalogue is as it was: free some space and run "
            "the same command again"
        ) from error
    except duckdb.Error as error:
        raise unreadable(folder, error) from error
    finally:
        connection.close()


def _beside(folder: Path, name: str) -> Path:
    return folder / f".{ITEMS_FILE}.{name}"


def _remove_leftovers(folder: Path) -> None:
    with writing(folder):
        for path in folder.glob(f".{ITEMS_FILE}.*"):
            path.unlink()


def _take_the_place(fresh: Path, of: Path) -> None:
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(of)
    handle = os.open(of.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
