"""A catalogue's items and vectors in memory, where a product with all vectors takes milliseconds.

The database keeps them and finds what rules and words allow; over the product, and over reading items that lie far from
each other, it takes several times as long (docs/catalogue.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coordi.recommend.catalogue_rows import ITEMS, PHOTO, TEXT, TOLD, items_of
from coordi.recommend.described_item import DescribedItem

if TYPE_CHECKING:
    import pyarrow as pa

_AT_ONCE = 8192
# Candidates beyond those asked for that are looked at again: single precision may have put twins in any order.
_SPARE = 32
# Below this share of a category it is quicker to gather the rows that are allowed than to multiply them all.
_GATHERED = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class CatalogueContents:
    """All items in the order of the database's rows, which is category by category.

    Attributes:
        told: The columns of ``TOLD``.
        ids: Of the items.
        places: By id, the item's place, which is its row number in the database.
        matrices: By column, shape ``(N, D)``; zeros where there is no vector.
        present: By column, whether there is one, shape ``(N,)``.
        spans: By category, the places of its items.
    """

    told: pa.Table
    ids: list[str]
    places: Mapping[str, int]
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
            ValueError: If rows were deleted from it, or don't lie category by category: nothing of ours does that.
        """
        import pyarrow as pa

        count = int(cursor.execute(f"SELECT count(*) FROM {ITEMS}").fetchall()[0][0])
        # Pages of zeros that are never written take no memory: a catalogue without photos costs none for them.
        matrices = {name: np.zeros((count, dimension), dtype=np.float32) for name, dimension in dimensions.items()}
        present = {name: np.zeros(count, dtype=np.bool_) for name in dimensions}
        parts: list[pa.RecordBatch] = []
        columns = ", ".join((*TOLD, *dimensions))
        reader = cursor.sql(f"SELECT rowid AS row_number, {columns} FROM {ITEMS}").to_arrow_reader(_AT_ONCE)
        numbers = [np.zeros(0, dtype=np.int64)]
        for batch in reader:
            rows = np.asarray(batch.column("row_number").to_numpy(zero_copy_only=False), dtype=np.int64)
            if len(rows) and not 0 <= rows.min() <= rows.max() < count:
                raise ValueError("rows were deleted from it")
            for name in dimensions:
                _fill(matrices[name], present[name], rows, batch.column(name))
            parts.append(batch.select(TOLD))
            numbers.append(rows)
        told = pa.Table.from_batches(parts, schema=parts[0].schema if parts else reader.schema).combine_chunks()
        order = np.concatenate(numbers)
        if (np.diff(order) < 0).any():
            told = told.take(np.argsort(order))
        ids = told.column("id").to_pylist()
        spans = _spans(told.column("category").to_pylist())
        return cls(told, ids, {name: place for place, name in enumerate(ids)}, matrices, present, spans)

    def items(self, places: Sequence[int]) -> list[DescribedItem]:
        """Items by their places, in the order asked."""
        photos, texts = ([self._vector(column, place) for place in places] for column in (PHOTO, TEXT))
        return items_of(self.told.take(np.asarray(places, dtype=np.int64)), photos, texts)

    def best(
        self,
        column: str,
        query: NDArray[np.float32],
        k: int,
        category: str | None = None,
        allowed: NDArray[np.int64] | None = None,
    ) -> list[tuple[int, float]]:
        """Places of the items with the largest inner products, with them; best first, ties by id.

        Args:
            column: Of the vectors.
            query: Shape ``(D,)``.
            k: At most so many.
            category: Only this one.
            allowed: Places of the items that may be found, all of that category if one is given; None for all.
        """
        span = slice(0, len(self.ids)) if category is None else self.spans.get(category, slice(0, 0))
        places = np.arange(span.start, span.stop) if allowed is None else np.sort(allowed)
        if not self.present[column][span].all():
            places = places[self.present[column][places]]
        if k < 1 or not len(places):
            return []
        scores = self._products(column, query, span, places)  # (len(places),)
        enough = k + _SPARE
        best = places if len(places) <= enough else places[np.argpartition(-scores, enough)[:enough]]
        exact = self.matrices[column][best].astype(np.float64) @ query.astype(np.float64)
        # Where a row lies may change the last digits of its product; without them twins tie.
        found = [(int(place), float(score)) for place, score in zip(best, exact.round(9), strict=True)]
        return sorted(found, key=lambda one: (-one[1], self.ids[one[0]]))[:k]

    def _vector(self, column: str, place: int) -> NDArray[np.float32] | None:
        return self.matrices[column][place].copy() if self.present[column][place] else None

    def _products(
        self, column: str, query: NDArray[np.float32], span: slice, places: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        matrix = self.matrices[column]
        asked = np.ascontiguousarray(query, dtype=np.float32)
        if len(places) < _GATHERED * (span.stop - span.start):
            return np.asarray(matrix[places] @ asked)
        products = np.asarray(matrix[span] @ asked)
        return products if len(places) == len(products) else products[places - span.start]


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
