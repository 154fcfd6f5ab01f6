"""An open catalogue: items by id, nearest items by embedding, search by words and rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from coordi.errors import RecommendationError, require
from coordi.model.features import Group, GroupSums
from coordi.recommend.answers import LeftOut
from coordi.recommend.catalogue_file import (
    DATABASE,
    ITEM_COLUMNS,
    ITEMS,
    ITEMS_FILE,
    PHOTO,
    SHUT_OFF,
    TEXT,
    CatalogueInfo,
    CatalogueRow,
    Stamp,
    check_is_catalogue,
    clear_read_errors,
    create_tables,
    insert,
    items_of,
    quoted,
    read_info,
    search_words,
    shut_off,
    stamp_of,
    table_of,
)
from coordi.recommend.rules import Clause, Rules, category_clause, rule_clauses, where
from coordi.types import GENDERS, GarmentCategory, Gender, Item

if TYPE_CHECKING:
    import pyarrow as pa


_MOST_BRANDS = 100


@dataclass(frozen=True, slots=True)
class Facets:
    """Values that a catalogue can be filtered by.

    Attributes:
        categories: How many items each has, the most frequent first; those without items are absent.
        brands: By frequency, the first hundred.
        seasons: By frequency, in lower case.
        genders: In the order of ``GENDERS``.
        price_range: Lowest and highest price; None if no price is known.
    """

    categories: Mapping[GarmentCategory, int]
    brands: tuple[str, ...]
    seasons: tuple[str, ...]
    genders: tuple[Gender, ...]
    price_range: tuple[float, float] | None


def read_facets(values: Callable[[str], Sequence[tuple[Any, ...]]]) -> Facets:
    """Read the facets; ``values`` runs a query and returns its rows."""
    by_category = values(f"SELECT category, count(*) AS n FROM {ITEMS} GROUP BY category ORDER BY n DESC, 1")
    brands = values(
        f"SELECT min(brand) FROM {ITEMS} WHERE brand_key <> '' GROUP BY brand_key "
        f"ORDER BY count(*) DESC, brand_key LIMIT {_MOST_BRANDS}"
    )
    seasons = values(
        f"SELECT season_key FROM {ITEMS} WHERE season_key <> '' GROUP BY season_key ORDER BY count(*) DESC, 1"
    )
    there = {row[0] for row in values(f"SELECT DISTINCT gender FROM {ITEMS}")}
    low, high = values(f"SELECT min(price), max(price) FROM {ITEMS}")[0]
    return Facets(
        {cast("GarmentCategory", name): int(count) for name, count in by_category},
        tuple(row[0] for row in brands),
        tuple(row[0] for row in seasons),
        tuple(gender for gender in GENDERS if gender in there),
        None if low is None else (low, high),
    )


_AT_ONCE = 8192
# Candidates beyond k that are compared again in double precision, which orders ties.
_SPARE = 32
# Below this share of a category, gathering the allowed rows is faster than multiplying all of them.
_GATHERED = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class CatalogueContents:
    """All items in the order of the database's rows, which is category by category.

    Attributes:
        columns: Those of ``ITEM_COLUMNS``.
        ids: Of the items.
        places: By id, the item's place, which is its row number in the database.
        matrices: By column, shape ``(N, D)``; zeros where there is no vector.
        present: By column, whether there is one, shape ``(N,)``.
        spans: By category, the places of its items.
    """

    columns: pa.Table
    ids: list[str]
    positions: Mapping[str, int]
    matrices: Mapping[str, NDArray[np.float32]]
    present: Mapping[str, NDArray[np.bool_]]
    spans: Mapping[str, slice]

    @classmethod
    def read(cls, cursor: Any, dimensions: Mapping[str, int]) -> CatalogueContents:
        """Read all of a database.

        Args:
            cursor: Of DuckDB.
            dimensions: By column of vectors, their dimension.

        Raises:
            ValueError: If rows were deleted from it, or aren't ordered by category; coordi writes no such file.
        """
        import pyarrow as pa

        count = int(cursor.execute(f"SELECT count(*) FROM {ITEMS}").fetchall()[0][0])
        # Pages of zeros that are never written take no memory: a catalogue without photos costs none for them.
        matrices = {name: np.zeros((count, dimension), dtype=np.float32) for name, dimension in dimensions.items()}
        present = {name: np.zeros(count, dtype=np.bool_) for name in dimensions}
        parts: list[pa.RecordBatch] = []
        names = ", ".join((*ITEM_COLUMNS, *dimensions))
        reader = cursor.sql(f"SELECT rowid AS row_number, {names} FROM {ITEMS}").to_arrow_reader(_AT_ONCE)
        numbers = [np.zeros(0, dtype=np.int64)]
        for batch in reader:
            rows = np.asarray(batch.column("row_number").to_numpy(zero_copy_only=False), dtype=np.int64)
            if len(rows) and not 0 <= rows.min() <= rows.max() < count:
                raise ValueError("rows were deleted from it")
            for name in dimensions:
                _fill(matrices[name], present[name], rows, batch.column(name))
            parts.append(batch.select(ITEM_COLUMNS))
            numbers.append(rows)
        columns = pa.Table.from_batches(parts, schema=parts[0].schema if parts else reader.schema).combine_chunks()
        order = np.concatenate(numbers)
        if (np.diff(order) < 0).any():
            columns = columns.take(np.argsort(order))
        ids = columns.column("id").to_pylist()
        spans = _spans(columns.column("category").to_pylist())
        return cls(columns, ids, {name: position for position, name in enumerate(ids)}, matrices, present, spans)

    def items(self, positions: Sequence[int]) -> list[Item]:
        """Items by their positions, in the order of these."""
        photos, texts = ([self._vector(column, position) for position in positions] for column in (PHOTO, TEXT))
        return items_of(self.columns.take(np.asarray(positions, dtype=np.int64)), photos, texts)

    def best(
        self,
        column: str,
        query: NDArray[np.float32],
        k: int,
        category: str | None = None,
        allowed: NDArray[np.int64] | None = None,
    ) -> list[tuple[int, float]]:
        """Positions of the items with the largest inner products, and these; best first, ties by id.

        Args:
            column: Of the vectors.
            query: Shape ``(D,)``.
            k: Number of items at most.
            category: None for all.
            allowed: Positions of allowed items, all of that category if one is given; None for all.
        """
        span = slice(0, len(self.ids)) if category is None else self.spans.get(category, slice(0, 0))
        positions = np.arange(span.start, span.stop) if allowed is None else np.sort(allowed)
        if not self.present[column][span].all():
            positions = positions[self.present[column][positions]]
        if k < 1 or not len(positions):
            return []
        scores = self._products(column, query, span, positions)  # (len(places),)
        enough = k + _SPARE
        best = positions if len(positions) <= enough else positions[np.argpartition(-scores, enough)[:enough]]
        exact = self.matrices[column][best].astype(np.float64) @ query.astype(np.float64)
        # The position of a row may change the last digits of its product; without them duplicates tie.
        results = [(int(position), float(score)) for position, score in zip(best, exact.round(9), strict=True)]
        return sorted(results, key=lambda row: (-row[1], self.ids[row[0]]))[:k]

    def _vector(self, column: str, position: int) -> NDArray[np.float32] | None:
        return self.matrices[column][position].copy() if self.present[column][position] else None

    def _products(
        self, column: str, query: NDArray[np.float32], span: slice, positions: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        matrix = self.matrices[column]
        vector = np.ascontiguousarray(query, dtype=np.float32)
        if len(positions) < _GATHERED * (span.stop - span.start):
            return np.asarray(matrix[positions] @ vector)
        products = np.asarray(matrix[span] @ vector)
        return products if len(positions) == len(products) else products[positions - span.start]


def _fill(matrix: NDArray[np.float32], present: NDArray[np.bool_], rows: NDArray[np.int64], column: pa.Array) -> None:
    valid = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    values = column.flatten().to_numpy(zero_copy_only=False)  # without those that are null
    present[rows] = valid
    matrix[rows[valid]] = values.reshape(-1, matrix.shape[1])


def _spans(categories: Sequence[str]) -> dict[str, slice]:
    names = np.array(categories, dtype=object)
    edges = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)] if len(names) else []
    spans = {str(names[start]): slice(start, end) for start, end in pairwise(edges)}
    if len(edges) and len(spans) != len(edges) - 1:
        raise ValueError("items of one category don't lie together")
    return spans


Space = Literal["photo", "text"]
NO_RULES = Rules()
_NEAR_IDS = 3
_LONGEST_ID = 200  # compared with those of the catalogue, for an error's sake
_MOST_WORDS = 20


class Catalogue:
    """An open catalogue; safe to use from several threads."""

    def __init__(self, connection: Any, info: CatalogueInfo, where_it_is: str) -> None:
        """Use ``open`` or ``in_memory``."""
        self.info = info
        self._connection = connection
        self._name = where_it_is
        self._lock = Lock()
        self._contents_lock = Lock()
        self._contents_read: CatalogueContents | None = None
        self._file: Path | None = None
        self._stamp: Stamp | None = None

    @classmethod
    def open(cls, folder: str | Path) -> Catalogue:
        """Open a catalogue that ``coordi catalogue build`` made.

        Raises:
            ArtifactError: If the folder isn't a finished catalogue, or its database is damaged.
            MissingDependencyError: If DuckDB isn't installed.
        """
        duckdb = require("duckdb", "catalogue")
        folder = Path(folder)
        check_is_catalogue(folder)
        connection = duckdb.connect(":memory:", config=dict(SHUT_OFF))
        stamp = stamp_of(
            folder / ITEMS_FILE
        )  # before it is opened, so that a file that replaces it meanwhile counts as another
        with clear_read_errors(folder):
            connection.execute(f"ATTACH {quoted(folder / ITEMS_FILE)} AS {DATABASE} (READ_ONLY)")
            shut_off(connection)
            index = cls(connection, read_info(connection), str(folder))
            index._file, index._stamp = folder / ITEMS_FILE, stamp
            len(index)
        return index

    @classmethod
    def in_memory(cls, info: CatalogueInfo, items: Iterable[Item]) -> Catalogue:
        """A catalogue of items with unique ids, in their order.

        Raises:
            MissingDependencyError: If DuckDB isn't installed.
        """
        connection = require("duckdb", "catalogue").connect(":memory:", config=dict(SHUT_OFF))
        connection.execute(f"ATTACH ':memory:' AS {DATABASE}")
        for statement in create_tables(info.photo_dimension, info.text_dimension):
            connection.execute(statement)
        rows = [CatalogueRow(position, item) for position, item in enumerate(items)]
        rows.sort(key=lambda row: row.item.category or "")  # as in a file
        insert(connection, ITEMS, table_of(rows, info.photo_dimension, info.text_dimension))
        shut_off(connection)
        return cls(connection, info, "in memory")

    def __enter__(self) -> Catalogue:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __len__(self) -> int:
        """Number of items."""
        return int(self._values(f"SELECT count(*) FROM {ITEMS}")[0][0])

    @property
    def folder(self) -> Path | None:
        """Its folder; None for a catalogue in memory."""
        return None if self._file is None else self._file.parent

    @property
    def is_replaced(self) -> bool:
        """Whether the catalogue has changed on disk since it was opened, which replaces its database file."""
        return self._file is not None and stamp_of(self._file) not in (None, self._stamp)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    def get(self, ids: Sequence[str]) -> dict[str, Item]:
        """Items by id, in the order of the ids; unknown ids are absent."""
        contents = self._contents
        positions = {item_id: contents.positions[item_id] for item_id in ids if item_id in contents.positions}
        return dict(zip(positions, contents.items(list(positions.values())), strict=True))

    def items_of(self, ids: Sequence[str]) -> list[Item]:
        """Items by id, in the order of the ids.

        Raises:
            RecommendationError: If an id is unknown, with similar ids.
        """
        items = self.get(ids)
        for item_id in ids:
            if item_id not in items:
                raise RecommendationError(f"no item '{item_id}': {self._accepted(item_id)}")
        return [items[item_id] for item_id in ids]

    def near_ids(self, unknown: str, count: int = _NEAR_IDS) -> list[str]:
        """Ids with the smallest edit distance to an unknown one, nearest first, ties in order; for error messages."""
        query = f"SELECT id FROM {ITEMS} ORDER BY levenshtein(lower(id), lower(?)), id LIMIT ?"
        return [row[0] for row in self._values(query, [unknown, count])]

    def nearest(
        self,
        query: NDArray[np.float32],
        space: Space,
        k: int,
        rules: Rules = NO_RULES,
        category: GarmentCategory | None = None,
    ) -> list[tuple[Item, float]]:
        """The items whose embeddings have the largest inner product with a query, by exact search.

        Args:
            query: Shape ``(D,)`` or ``(T,)``, from the catalogue's encoder of this space.
            space: Of the embeddings.
            k: Number of items at most; fewer if fewer have such an embedding and pass the rules.
            rules: All but ``pinned`` are applied.
            category: None for all.

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
            allowed = self._positions(f"SELECT rowid AS row_number FROM {ITEMS} WHERE {condition}", parameters)
        best = self._contents.best(column, query, k, category, allowed)
        items = self._contents.items([position for position, _ in best])
        return [(item, score) for item, (_, score) in zip(items, best, strict=True)]

    def count(self, rules: Rules = NO_RULES, category: GarmentCategory | None = None) -> int:
        """Number of items that pass the rules (all but ``pinned``), with or without embeddings."""
        condition, parameters = where(self._clauses(rules, category))
        return int(self._values(f"SELECT count(*) FROM {ITEMS} WHERE {condition}", parameters)[0][0])

    def left_out(self, rules: Rules, category: GarmentCategory | None = None) -> tuple[LeftOut, ...]:
        """Number of items that each rule leaves out after the rules before it; rules that leave out none are absent.

        Args:
            rules: All but ``pinned``.
            category: Of the items that are counted.
        """
        clauses = rule_clauses(rules)
        if not clauses:
            return ()
        base, of_base = where([] if category is None else [category_clause(category)])
        conditions = ", ".join(f"({clause.sql}) AS rule_{position}" for position, clause in enumerate(clauses))
        passed = [" AND ".join(f"rule_{position}" for position in range(last + 1)) for last in range(len(clauses))]
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
    ) -> tuple[list[Item], int]:
        """A page of the items that pass the rules (all but ``pinned``) and contain all words, and their total number.

        Args:
            rules: As for ``nearest``.
            words: Each of the first twenty must begin a word of the item's title, kind, brand or text, whatever its
                case.
            offset: Number of items to skip, in the source's order.
            limit: Number of items at most.
        """
        terms = list(dict.fromkeys(search_words(words)))[:_MOST_WORDS]
        clauses = [Clause("words", word, "contains(words, ?)", (word,)) for word in terms]
        condition, parameters = where([*rule_clauses(rules), *clauses])
        total = int(self._values(f"SELECT count(*) FROM {ITEMS} WHERE {condition}", parameters)[0][0])
        query = f"SELECT rowid AS row_number FROM {ITEMS} WHERE {condition} ORDER BY place, id LIMIT ? OFFSET ?"
        positions = self._positions(query, [*parameters, max(limit, 0), max(offset, 0)])
        return self._contents.items(positions.tolist()), total

    def facets(self) -> Facets:
        """Values that the catalogue can be filtered by; computed once."""
        return self._facets

    def photographed(self) -> int:
        """Number of items with a readable photo."""
        return int(self._values(f"SELECT count(photo_embedding) FROM {ITEMS}")[0][0])

    @cached_property
    def group_sums(self) -> GroupSums:
        """``model.features.group_sums`` of all items: number and sum of text embeddings by group."""
        contents = self._contents
        titled = np.array([bool(title) for title in contents.columns.column("title").to_pylist()], dtype=np.bool_)
        sums: dict[Group, tuple[int, NDArray[np.float64]]] = {}
        for category, span in contents.spans.items():
            for has_title in (True, False):
                rows = contents.matrices[TEXT][span][titled[span] == has_title]  # (N, T)
                if len(rows):
                    sums[cast("GarmentCategory", category), has_title] = len(rows), rows.sum(axis=0, dtype=np.float64)
        return sums

    def ids(self) -> list[str]:
        """Every id, in the source's order."""
        return [row[0] for row in self._values(f"SELECT id FROM {ITEMS} ORDER BY place, id")]

    def _accepted(self, unknown: str) -> str:
        if not len(self):
            return f"the catalogue '{self.info.name}' is empty"
        near = ", ".join(self.near_ids(unknown[:_LONGEST_ID]))
        return f"accepted are the ids of the catalogue's {len(self)} items, such as {near}"

    @cached_property
    def _facets(self) -> Facets:
        return read_facets(self._values)

    def _clauses(self, rules: Rules, category: GarmentCategory | None) -> list[Clause]:
        return [*([] if category is None else [category_clause(category)]), *rule_clauses(rules)]

    def _space(self, space: Space) -> tuple[str, int]:
        if space == "photo":
            return PHOTO, self.info.photo_dimension
        return TEXT, self.info.text_dimension

    @property
    def _contents(self) -> CatalogueContents:
        """All items and embeddings, read when they are first needed."""
        with self._contents_lock:
            if self._contents_read is None:
                dimensions = {PHOTO: self.info.photo_dimension, TEXT: self.info.text_dimension}
                with self._cursor() as cursor:
                    self._contents_read = CatalogueContents.read(cursor, dimensions)
            return self._contents_read

    def _positions(self, query: str, parameters: Sequence[Any]) -> NDArray[np.int64]:
        """Positions of the items that a query returns, in its order."""
        with self._cursor() as cursor:
            return np.asarray(cursor.execute(query, list(parameters)).fetchnumpy()["row_number"], dtype=np.int64)

    def _values(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._cursor() as cursor:
            return list(cursor.execute(query, list(parameters)).fetchall())

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with clear_read_errors(self._name):
            with self._lock:
                cursor = self._connection.cursor()
            try:
                yield cursor
            finally:
                cursor.close()
