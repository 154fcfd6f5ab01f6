"""An open catalogue: items by id, nearest items by embedding, search by words and rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import connect, insert, quoted
from coordi.errors import RecommendationError
from coordi.model.features import Group, GroupSums
from coordi.recommend.answers import LeftOut
from coordi.recommend.catalogue_file import (
    ABOUT,
    DATABASE,
    ITEM_COLUMNS,
    ITEMS,
    ITEMS_FILE,
    PHOTO,
    TEXT,
    CatalogueInfo,
    CatalogueRow,
    check_is_catalogue,
    clear_read_errors,
    create_tables,
    facts_of,
    item_of,
    search_words,
    stamp_of,
    values_of,
)
from coordi.recommend.rules import Clause, Rules, category_clause, rule_clauses, where
from coordi.style.occasions import Brief
from coordi.types import GENDERS, EmbeddingSort, GarmentCategory, Gender, Item


@dataclass(frozen=True, slots=True)
class Facets:
    """Values that a catalogue can be filtered by, the most frequent first: the first hundred brands, seasons in lower
    case. ``genders`` are in the order of ``GENDERS``; without prices ``price_range`` is None.
    """

    categories: Mapping[GarmentCategory, int]
    brands: tuple[str, ...]
    seasons: tuple[str, ...]
    genders: tuple[Gender, ...]
    price_range: tuple[float, float] | None


_AT_ONCE = 2048
_MOST_BRIEFS = 64  # wishes of which it is remembered what breaks them
# Candidates beyond k that are compared again in double precision, which orders ties.
_SPARE = 32
# Below this share of a category, gathering the allowed rows is faster than multiplying all of them.
_GATHERED = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class CatalogueContents:
    """All items in the order of the database's rows, category by category; a row has ``ITEM_COLUMNS``. ``matrices`` by
    column are ``(N, D)``, zeros where ``present``, ``(N,)``, is False; ``spans`` are positions of categories' items.
    """

    rows: list[tuple[Any, ...]]
    ids: list[str]
    positions: Mapping[str, int]
    matrices: Mapping[str, NDArray[np.float32]]
    present: Mapping[str, NDArray[np.bool_]]
    spans: Mapping[str, slice]

    @classmethod
    def read(cls, cursor: Any, dimensions: Mapping[str, int]) -> CatalogueContents:
        """Read all of a database; ``dimensions`` are those of its columns of vectors."""
        rows = cursor.execute(f"SELECT {', '.join(ITEM_COLUMNS)} FROM {ITEMS}").fetchall()
        ids = _column(rows, "id")
        ((last,),) = cursor.execute(f"SELECT max(rowid) FROM {ITEMS}").fetchall()
        if ids and last + 1 != len(ids):
            raise ValueError("rows were deleted from it")
        matrices, present = {}, {}
        for name, dimension in dimensions.items():
            matrices[name], present[name] = _read_vectors(cursor, name, len(ids), dimension)
        names, starts, counts = np.unique(_column(rows, "category"), return_index=True, return_counts=True)
        slices = map(slice, starts.tolist(), (starts + counts).tolist())
        spans = dict(zip(names.tolist(), slices, strict=True))
        return cls(rows, ids, {name: position for position, name in enumerate(ids)}, matrices, present, spans)

    def items(self, positions: Sequence[int]) -> list[Item]:
        """Items by their positions, in the order of these."""
        return [
            item_of(
                dict(zip(ITEM_COLUMNS, self.rows[position], strict=True)),
                self._vector(PHOTO, position),
                self._vector(TEXT, position),
            )
            for position in positions
        ]

    def best(
        self,
        column: str,
        query: NDArray[np.float32],
        k: int,
        category: str | None = None,
        allowed: NDArray[np.int64] | None = None,
    ) -> list[tuple[int, float]]:
        """Positions of the k allowed items with the largest inner products, and these; best first, ties by id."""
        span = slice(0, len(self.ids)) if category is None else self.spans.get(category, slice(0, 0))
        positions = np.arange(span.start, span.stop) if allowed is None else np.sort(allowed)
        if not self.present[column][span].all():
            positions = positions[self.present[column][positions]]
        if k < 1 or not len(positions):
            return []
        matrix, vector = self.matrices[column], np.ascontiguousarray(query, dtype=np.float32)
        if len(positions) < _GATHERED * (span.stop - span.start):
            scores = matrix[positions] @ vector
        else:
            scores = (matrix[span] @ vector)[positions - span.start]
        enough = k + _SPARE
        best = positions if len(positions) <= enough else positions[np.argpartition(-scores, enough)[:enough]]
        exact = matrix[best].astype(np.float64) @ query.astype(np.float64)
        # The position of a row may change the last digits of its product; without them duplicates tie.
        results = [(int(position), float(score)) for position, score in zip(best, exact.round(9), strict=True)]
        return sorted(results, key=lambda row: (-row[1], self.ids[row[0]]))[:k]

    def breaking(self, brief: Brief) -> dict[str, NDArray[np.bool_]]:
        """By guide of a wish, whether each item breaks it, ``(N,)``."""
        broken = {name: np.zeros(len(self.ids), dtype=np.bool_) for name in brief.key}
        for position, text in enumerate(_column(self.rows, "facts")):
            for name, judgement in brief.judgements(facts_of(text)).items():
                broken[name][position] = not judgement.fits
        return broken

    def _vector(self, column: str, position: int) -> NDArray[np.float32] | None:
        return self.matrices[column][position].copy() if self.present[column][position] else None


def _column(rows: Sequence[tuple[Any, ...]], name: str) -> list[Any]:
    number = ITEM_COLUMNS.index(name)
    return [row[number] for row in rows]


def _read_vectors(cursor: Any, name: str, count: int, dimension: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Vectors ``(N, D)`` of a column and whether there is one ``(N,)``."""
    # Pages of zeros that are never written take no memory: a catalogue without photos costs none for them.
    matrix, present = np.zeros((count, dimension), dtype=np.float32), np.zeros(count, dtype=np.bool_)
    cursor.execute(f"SELECT {name} FROM {ITEMS}")
    start = 0
    while batch := cursor.fetchmany(_AT_ONCE):
        span = slice(start, start + len(batch))
        present[span] = [vector is not None for (vector,) in batch]
        vectors = [vector for (vector,) in batch if vector is not None]
        if sizes := {len(vector) for vector in vectors} - {4 * dimension}:
            raise ValueError(f"a vector in {name} has {sizes.pop()} bytes, expected {4 * dimension}")
        matrix[span][present[span]] = np.frombuffer(b"".join(vectors), dtype="<f4").reshape(-1, dimension)
        start = span.stop
    return matrix, present


NO_RULES = Rules()
_LONGEST_ID = 200  # compared with those of the catalogue, for an error's sake
_MOST_WORDS = 20


class Catalogue:
    """An open catalogue; safe to use from several threads."""

    def __init__(self, connection: Any, info: CatalogueInfo, where_it_is: str) -> None:
        self.info = info
        self._connection = connection
        self._name = where_it_is
        self._lock = Lock()
        self._contents_lock = Lock()
        self._contents_read: CatalogueContents | None = None
        self._broken: dict[tuple[str, ...], Mapping[str, NDArray[np.bool_]]] = {}
        self._file: Path | None = None
        self._stamp: tuple[int, int, int] | None = None

    @classmethod
    def open(cls, folder: str | Path) -> Catalogue:
        """Open what ``coordi catalogue build`` made; an ``ArtifactError`` if there is none, or it is damaged."""
        file = Path(folder) / ITEMS_FILE
        check_is_catalogue(file.parent)
        connection = connect()
        stamp = stamp_of(file)  # before it is opened, so that a file that replaces it meanwhile counts as another
        with clear_read_errors(folder):
            connection.execute(f"ATTACH {quoted(file)} AS {DATABASE} (READ_ONLY)")
            _shut_off(connection)
            ((info,),) = connection.execute(f"SELECT info FROM {ABOUT}").fetchall()
            index = cls(connection, CatalogueInfo.model_validate_json(info), str(folder))
            index._file, index._stamp = file, stamp
            len(index)
        return index

    @classmethod
    def in_memory(cls, info: CatalogueInfo, items: Iterable[Item]) -> Catalogue:
        """A catalogue of items with unique ids, in their order."""
        connection = connect()
        connection.execute(f"ATTACH ':memory:' AS {DATABASE}")
        for statement in create_tables():
            connection.execute(statement)
        rows = [CatalogueRow(position, item) for position, item in enumerate(items)]
        rows.sort(key=lambda row: row.item.category or "")  # as in a file
        insert(connection, ITEMS, values_of(rows))
        _shut_off(connection)
        return cls(connection, info, "in memory")

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._count([])

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
        """As ``get``, but an unknown id is a ``RecommendationError`` with similar ids."""
        items = self.get(ids)
        unknown = next((item_id for item_id in ids if item_id not in items), None)
        if unknown is not None:
            near = ", ".join(self.near_ids(unknown[:_LONGEST_ID])) or "none: the catalogue is empty"
            raise RecommendationError(
                f"no item '{unknown}': accepted are the ids of the catalogue's {len(self)} items, such as {near}"
            )
        return [items[item_id] for item_id in ids]

    def near_ids(self, unknown: str, count: int = 3) -> list[str]:
        """Ids with the smallest edit distance to an unknown one, nearest first, ties in order; for error messages."""
        query = f"SELECT id FROM {ITEMS} ORDER BY levenshtein(lower(id), lower(?)), id LIMIT ?"
        return [row[0] for row in self._values(query, [unknown, count])]

    def nearest(
        self,
        query: NDArray[np.float32],
        space: EmbeddingSort,
        k: int,
        rules: Rules = NO_RULES,
        category: GarmentCategory | None = None,
    ) -> list[tuple[Item, float]]:
        """The items whose embeddings have the largest inner product with a query ``(D,)`` or ``(T,)``, by exact search;
        ties by id. Fewer than ``k`` if fewer have such an embedding and pass the rules (all but ``pinned``).
        """
        column = PHOTO if space == "photo" else TEXT
        dimension = self.info.photo_dimension if space == "photo" else self.info.text_dimension
        if query.shape != (dimension,) or not np.isfinite(query).all():
            raise RecommendationError(
                f"the catalogue's {space} vectors have {dimension} numbers and the query has shape {query.shape}, or "
                f"isn't finite; ask with a vector of the encoder '{self.info.encoder[0]}'"
            )
        allowed = self._allowed(_clauses(rules, category)) if rule_clauses(rules) else None
        best = self._contents.best(column, query, k, category, allowed)
        items = self._contents.items([position for position, _ in best])
        return [(item, score) for item, (_, score) in zip(items, best, strict=True)]

    def count(self, rules: Rules = NO_RULES, category: GarmentCategory | None = None) -> int:
        """Number of items that pass the rules (all but ``pinned``), with or without embeddings."""
        return self._count(_clauses(rules, category))

    def left_out(self, rules: Rules, category: GarmentCategory | None = None) -> tuple[LeftOut, ...]:
        """Number of items that each rule leaves out after the rules before it; rules that leave out none are absent."""
        clauses, rules_begin = _clauses(rules, category), int(category is not None)
        counts = [self._count(clauses[:end]) for end in range(rules_begin, len(clauses) + 1)]
        steps = zip(clauses[rules_begin:], pairwise(counts), strict=True)
        return tuple(
            LeftOut(clause.name, clause.words, before - after, after)
            for clause, (before, after) in steps
            if before > after
        )

    def page(
        self, rules: Rules = NO_RULES, words: str = "", offset: int = 0, limit: int = 50
    ) -> tuple[list[Item], int]:
        """A page of the items that pass the rules (all but ``pinned``), in the source's order, and their total number.
        Each of the first twenty words must begin a word of the item's title, kind, brand or text, whatever its case.
        """
        terms = list(dict.fromkeys(search_words(words)))[:_MOST_WORDS]
        clauses = [*rule_clauses(rules), *(Clause("words", word, "contains(words, ?)", word) for word in terms)]
        first, last = max(offset, 0), max(offset, 0) + max(limit, 0)
        if any(clause.guide for clause in clauses):
            positions = self._allowed(clauses, "ORDER BY place, id")
            return self._contents.items(positions[first:last].tolist()), len(positions)
        positions = self._allowed(clauses, f"ORDER BY place, id LIMIT {last - first} OFFSET {first}")
        return self._contents.items(positions.tolist()), self._count(clauses)

    def facets(self) -> Facets:
        """Values that the catalogue can be filtered by."""
        by_category = self._values(f"SELECT category, count(*) AS n FROM {ITEMS} GROUP BY category ORDER BY n DESC, 1")
        brands = self._values(
            f"SELECT min(brand) FROM {ITEMS} WHERE brand_key <> '' GROUP BY brand_key "
            "ORDER BY count(*) DESC, brand_key LIMIT 100"
        )
        seasons = self._values(
            f"SELECT season_key FROM {ITEMS} WHERE season_key <> '' GROUP BY season_key ORDER BY count(*) DESC, 1"
        )
        genders = {row[0] for row in self._values(f"SELECT DISTINCT gender FROM {ITEMS}")}
        ((low, high),) = self._values(f"SELECT min(price), max(price) FROM {ITEMS}")
        return Facets(
            dict(by_category),
            tuple(row[0] for row in brands),
            tuple(row[0] for row in seasons),
            tuple(gender for gender in GENDERS if gender in genders),
            None if low is None else (low, high),
        )

    def photographed(self) -> int:
        """Number of items with a readable photo."""
        return int(self._values(f"SELECT count(photo_embedding) FROM {ITEMS}")[0][0])

    @cached_property
    def group_sums(self) -> GroupSums:
        """``model.features.group_sums`` of all items: number and sum of embeddings by group."""
        contents = self._contents
        titled = np.array([bool(title) for title in _column(contents.rows, "title")], dtype=np.bool_)

        def sums(column: str) -> dict[Group, tuple[int, NDArray[np.float64]]]:
            groups: dict[Group, tuple[int, NDArray[np.float64]]] = {}
            for category, span in contents.spans.items():
                for has_title in (True, False):
                    chosen = (titled[span] == has_title) & contents.present[column][span]
                    if chosen.any():
                        total = contents.matrices[column][span][chosen].sum(axis=0, dtype=np.float64)  # (D,)
                        groups[cast("GarmentCategory", category), has_title] = int(chosen.sum()), total
            return groups

        return GroupSums(sums(TEXT), sums(PHOTO))

    def ids(self) -> list[str]:
        """Every id, in the source's order."""
        return [row[0] for row in self._values(f"SELECT id FROM {ITEMS} ORDER BY place, id")]

    @property
    def _contents(self) -> CatalogueContents:
        with self._contents_lock:
            if self._contents_read is None:
                dimensions = {PHOTO: self.info.photo_dimension, TEXT: self.info.text_dimension}
                with self._cursor() as cursor:
                    self._contents_read = CatalogueContents.read(cursor, dimensions)
            return self._contents_read

    def _allowed(self, clauses: Sequence[Clause], order: str = "") -> NDArray[np.int64]:
        """Positions of the items that meet all clauses."""
        condition, parameters = where(clauses)
        query = f"SELECT rowid AS row_number FROM {ITEMS} WHERE {condition} {order}"
        positions = self._positions(query, parameters)
        for clause in clauses:
            if clause.guide:
                positions = positions[~self._breaking(clause.parameter)[clause.guide][positions]]
        return positions

    def _breaking(self, brief: Brief) -> Mapping[str, NDArray[np.bool_]]:
        """By guide of a wish, whether each item breaks it, ``(N,)``."""
        with self._contents_lock:
            broken = self._broken.get(brief.key)
        if broken is None:
            broken = self._contents.breaking(brief)
            with self._contents_lock:
                if len(self._broken) >= _MOST_BRIEFS:
                    self._broken.pop(next(iter(self._broken)))
                self._broken[brief.key] = broken
        return broken

    def _count(self, clauses: Sequence[Clause]) -> int:
        if any(clause.guide for clause in clauses):
            return len(self._allowed(clauses))
        condition, parameters = where(clauses)
        return int(self._values(f"SELECT count(*) FROM {ITEMS} WHERE {condition}", parameters)[0][0])

    def _positions(self, query: str, parameters: Sequence[Any]) -> NDArray[np.int64]:
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


def _shut_off(connection: Any) -> None:
    """Forbid the connection to open further files, for good."""
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _clauses(rules: Rules, category: GarmentCategory | None) -> list[Clause]:
    return [*([] if category is None else [category_clause(category)]), *rule_clauses(rules)]
