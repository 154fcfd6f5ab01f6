"""A catalogue ready to be asked: items by id, the nearest by vector, by words and by rules; every search is exact.

It is a DuckDB database of one file (``docs/catalogue.md`` says why) that is only read here; what is asked most is held
in memory (``catalogue_contents``). ``catalogue_writer`` makes one, and never changes it in place: an index that is open
goes on with what it opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from coordi.domain import WornCategory
from coordi.errors import RecommendationError, require
from coordi.recommend.advice import LeftOut
from coordi.recommend.catalogue_contents import CatalogueContents
from coordi.recommend.catalogue_facets import Facets, read_facets
from coordi.recommend.catalogue_file import (
    ITEMS_FILE,
    SHUT_OFF,
    CatalogueInfo,
    Stamp,
    check_is_catalogue,
    insert,
    quoted,
    read_info,
    reading,
    shut_off,
    stamp_of,
)
from coordi.recommend.catalogue_rows import (
    DATABASE,
    ITEMS,
    PHOTO,
    TEXT,
    CatalogueRow,
    create_tables,
    search_words,
    table_of,
)
from coordi.recommend.described_item import DescribedItem
from coordi.recommend.rule_sql import Clause, category_clause, rule_clauses, where
from coordi.recommend.rules import Rules

__all__ = ["NO_RULES", "CatalogueIndex", "CatalogueInfo", "Facets", "Space"]

Space = Literal["photo", "text"]
NO_RULES = Rules()
_NEAR_IDS = 3
_MOST_WORDS = 20


class CatalogueIndex:
    """A catalogue that answers questions; safe to be asked from several threads."""

    def __init__(self, connection: Any, info: CatalogueInfo, where_it_is: str) -> None:
        """Use ``open`` or ``in_memory``."""
        self.info = info
        self._connection = connection
        self._name = where_it_is
        self._lock = Lock()
        self._reading_contents = Lock()
        self._contents_read: CatalogueContents | None = None
        self._file: Path | None = None
        self._stamp: Stamp | None = None

    @classmethod
    def open(cls, folder: Path) -> CatalogueIndex:
        """Open a catalogue that ``coordi catalogue build`` made.

        Raises:
            ArtifactError: If the folder isn't a finished catalogue, or its database is damaged.
            MissingDependencyError: If DuckDB isn't installed.
        """
        duckdb = require("duckdb", "catalogue")
        check_is_catalogue(folder)
        connection = duckdb.connect(":memory:", config=dict(SHUT_OFF))
        stamp = stamp_of(folder / ITEMS_FILE)  # before it is opened: a file that comes between is seen as another one
        with reading(folder):
            connection.execute(f"ATTACH {quoted(folder / ITEMS_FILE)} AS {DATABASE} (READ_ONLY)")
            shut_off(connection)
            index = cls(connection, read_info(connection), str(folder))
            index._file, index._stamp = folder / ITEMS_FILE, stamp
            len(index)
        return index

    @classmethod
    def in_memory(cls, info: CatalogueInfo, items: Iterable[DescribedItem]) -> CatalogueIndex:
        """A catalogue of items that are at hand, with unique ids, in their order.

        Raises:
            MissingDependencyError: If DuckDB isn't installed.
        """
        connection = require("duckdb", "catalogue").connect(":memory:", config=dict(SHUT_OFF))
        connection.execute(f"ATTACH ':memory:' AS {DATABASE}")
        for statement in create_tables(info.photo_dimension, info.text_dimension):
            connection.execute(statement)
        rows = [CatalogueRow(place, item) for place, item in enumerate(items)]
        rows.sort(key=lambda row: row.item.item.category)  # as they lie in a file
        insert(connection, ITEMS, table_of(rows, info.photo_dimension, info.text_dimension))
        shut_off(connection)
        return cls(connection, info, "in memory")

    def __enter__(self) -> CatalogueIndex:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __len__(self) -> int:
        """How many items it holds."""
        return int(self._values(f"SELECT count(*) FROM {ITEMS}")[0][0])

    @property
    def folder(self) -> Path | None:
        """Where it was opened; None for one in memory."""
        return None if self._file is None else self._file.parent

    @property
    def is_replaced(self) -> bool:
        """Whether another database lies where this one was opened, which a change of the catalogue puts there."""
        return self._file is not None and stamp_of(self._file) not in (None, self._stamp)

    def close(self) -> None:
        """Let go of the database; nothing can be asked any more."""
        with self._lock:
            self._connection.close()

    def get(self, ids: Sequence[str]) -> dict[str, DescribedItem]:
        """Items by id, in the order asked; unknown ids are absent."""
        contents = self._contents
        places = {item_id: contents.places[item_id] for item_id in ids if item_id in contents.places}
        return dict(zip(places, contents.items(list(places.values())), strict=True))

    def near_ids(self, unknown: str, count: int = _NEAR_IDS) -> list[str]:
        """Ids that are spelt most like an unknown one, the nearest first, ties in order; for error messages."""
        query = f"SELECT id FROM {ITEMS} ORDER BY levenshtein(lower(id), lower(?)), id LIMIT ?"
        return [row[0] for row in self._values(query, [unknown, count])]

    def nearest(
        self,
        query: NDArray[np.float32],
        space: Space,
        k: int,
        rules: Rules = NO_RULES,
        category: WornCategory | None = None,
    ) -> list[tuple[DescribedItem, float]]:
        """The items whose vectors have the largest inner product with a query; every vector is compared.

        Args:
            query: Shape ``(D,)`` or ``(T,)``, of the encoder that made the catalogue's vectors of this space.
            space: Which vectors are compared.
            k: At most so many; fewer if fewer have such a vector and pass the rules.
            rules: All hold but ``pinned``.
            category: Only this one.

        Returns:
            Items with their inner product, best first, ties by id.

        Raises:
            RecommendationError: If the query has another dimension or isn't finite.
        """
        column, dimension = self._space(space)
        if query.shape != (dimension,) or not np.isfinite(query).all():
            raise RecommendationError(
                f"the catalogue's {space} vectors have {dimension} numbers and the query has shape {query.shape}, or "
                f"isn't finite; ask with a vector of the encoder '{self.info.encoder[0]}'"
            )
        allowed = None
        if rule_clauses(rules):
            condition, parameters = where(self._clauses(rules, category))
            allowed = self._places(f"SELECT rowid AS row_number FROM {ITEMS} WHERE {condition}", parameters)
        best = self._contents.best(column, query, k, category, allowed)
        items = self._contents.items([place for place, _ in best])
        return [(item, score) for item, (_, score) in zip(items, best, strict=True)]

    def count(self, rules: Rules = NO_RULES, category: WornCategory | None = None) -> int:
        """How many items pass the rules (all but ``pinned``), with or without vectors."""
        condition, parameters = where(self._clauses(rules, category))
        return int(self._values(f"SELECT count(*) FROM {ITEMS} WHERE {condition}", parameters)[0][0])

    def left_out(self, rules: Rules, category: WornCategory | None = None) -> tuple[LeftOut, ...]:
        """What the rules leave out, one after the other; those that left nothing out are absent.

        Args:
            rules: All but ``pinned``.
            category: Only items of it are counted.
        """
        clauses = rule_clauses(rules)
        if not clauses:
            return ()
        base, of_base = where([] if category is None else [category_clause(category)])
        conditions = ", ".join(f"({clause.sql}) AS rule_{place}" for place, clause in enumerate(clauses))
        passed = [" AND ".join(f"rule_{place}" for place in range(last + 1)) for last in range(len(clauses))]
        counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in passed)
        row = self._values(
            f"SELECT count(*), {counts} FROM (SELECT {conditions} FROM {ITEMS} WHERE {base})",
            [*(value for clause in clauses for value in clause.parameters), *of_base],
        )[0]
        steps = zip(clauses, row[:-1], row[1:], strict=True)
        return tuple(
            LeftOut(clause.name, clause.words, before - after, after)
            for clause, before, after in steps
            if before > after
        )

    def page(
        self, rules: Rules = NO_RULES, words: str = "", offset: int = 0, limit: int = 50
    ) -> tuple[list[DescribedItem], int]:
        """A part of the items that pass the rules (all but ``pinned``) and hold all words, and how many do in all.

        Args:
            rules: As for ``nearest``.
            words: Each of the first twenty must begin a word of the item's title, kind, brand or text, whatever its
                case.
            offset: So many are passed over, in the source's order.
            limit: At most so many.
        """
        asked = list(dict.fromkeys(search_words(words)))[:_MOST_WORDS]
        looked_for = [Clause("words", word, "contains(words, ?)", (word,)) for word in asked]
        condition, parameters = where([*rule_clauses(rules), *looked_for])
        total = int(self._values(f"SELECT count(*) FROM {ITEMS} WHERE {condition}", parameters)[0][0])
        query = f"SELECT rowid AS row_number FROM {ITEMS} WHERE {condition} ORDER BY place, id LIMIT ? OFFSET ?"
        places = self._places(query, [*parameters, max(limit, 0), max(offset, 0)])
        return self._contents.items(places.tolist()), total

    def facets(self) -> Facets:
        """What the catalogue can be filtered by; counted once."""
        return self._facets

    def photographed(self) -> int:
        """How many items have a photo that could be opened."""
        return int(self._values(f"SELECT count(photo_vector) FROM {ITEMS}")[0][0])

    def text_sums(self) -> dict[tuple[WornCategory, bool], tuple[int, NDArray[np.float64]]]:
        """By category and whether items have a title: how many, and the sum of their text vectors, ``(T,)``."""
        contents = self._contents
        titled = np.array([bool(title) for title in contents.told.column("title").to_pylist()], dtype=np.bool_)
        found: dict[tuple[WornCategory, bool], tuple[int, NDArray[np.float64]]] = {}
        for category, span in contents.spans.items():
            for has_title in (True, False):
                rows = contents.matrices[TEXT][span][titled[span] == has_title]  # (N, T)
                if len(rows):
                    found[cast("WornCategory", category), has_title] = len(rows), rows.sum(axis=0, dtype=np.float64)
        return found

    def ids(self) -> list[str]:
        """Every id, in the source's order."""
        return [row[0] for row in self._values(f"SELECT id FROM {ITEMS} ORDER BY place, id")]

    @cached_property
    def _facets(self) -> Facets:
        return read_facets(self._values)

    def _clauses(self, rules: Rules, category: WornCategory | None) -> list[Clause]:
        return [*([] if category is None else [category_clause(category)]), *rule_clauses(rules)]

    def _space(self, space: Space) -> tuple[str, int]:
        if space == "photo":
            return PHOTO, self.info.photo_dimension
        return TEXT, self.info.text_dimension

    @property
    def _contents(self) -> CatalogueContents:
        """All items and vectors, read when they are first needed."""
        with self._reading_contents:
            if self._contents_read is None:
                dimensions = {PHOTO: self.info.photo_dimension, TEXT: self.info.text_dimension}
                with self._cursor() as cursor:
                    self._contents_read = CatalogueContents.read(cursor, dimensions)
            return self._contents_read

    def _places(self, query: str, parameters: Sequence[Any]) -> NDArray[np.int64]:
        """Places of the items that a query finds, in its order."""
        with self._cursor() as cursor:
            return np.asarray(cursor.execute(query, list(parameters)).fetchnumpy()["row_number"], dtype=np.int64)

    def _values(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._cursor() as cursor:
            return list(cursor.execute(query, list(parameters)).fetchall())

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with reading(self._name):
            with self._lock:
                cursor = self._connection.cursor()
            try:
                yield cursor
            finally:
                cursor.close()
