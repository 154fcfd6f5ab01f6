"""From the rows of a feed to the rows of a catalogue: photos seen, categories settled, texts and vectors made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coordi.config import DescribeSettings, PromptSettings
from coordi.data.categories import category_is_known, with_category
from coordi.data.photos import PhotoError, photo_bytes
from coordi.data.source import RowProblem
from coordi.describe.describer import Labeller
from coordi.describe.encoder import ImageTextEncoder, load_settled_encoder
from coordi.describe.seeing import see
from coordi.describe.vector_cache import VectorCache
from coordi.describe.vocabulary import Vocabulary, load_vocabulary
from coordi.domain import Item, WornCategory
from coordi.pipeline.catalogue_source import NO_CATEGORY, FeedRow
from coordi.pipeline.plain_parts import text_encoder
from coordi.progress import Progress, silent
from coordi.recommend.catalogue_index import CatalogueInfo
from coordi.recommend.catalogue_rows import CatalogueRow
from coordi.recommend.facets import describe_items

_AT_ONCE = 512
_READERS = 4


@dataclass(frozen=True)
class Eyes:
    """What a catalogue is described with.

    Attributes:
        describe: Which encoder and vocabulary.
        prompt: What is said of an item.
        encoder: Loaded.
        vocabulary: Loaded.
    """

    describe: DescribeSettings
    prompt: PromptSettings
    encoder: ImageTextEncoder
    vocabulary: Vocabulary

    @classmethod
    def of(cls, describe: DescribeSettings, prompt: PromptSettings) -> Eyes:
        """Load what the settings name.

        Raises:
            EncoderError: If there is no such encoder.
            ConfigError: If there is no such vocabulary.
        """
        return cls(describe, prompt, load_settled_encoder(describe), load_vocabulary(describe.vocabulary))

    @cached_property
    def labeller(self) -> Labeller:
        """Says what vectors show."""
        return Labeller(self.encoder, self.vocabulary)

    def info(self, name: str, source: str, made: str = "") -> CatalogueInfo:
        """What a catalogue says of itself that is made with these."""
        return CatalogueInfo(
            name=name,
            source=source,
            encoder=(self.encoder.name, self.encoder.identity),
            text_encoder=text_encoder().text_identity,
            describe=self.describe,
            prompt=self.prompt,
            vocabulary=hashlib.sha256(self.vocabulary.model_dump_json().encode()).hexdigest(),
            photo_dimension=self.encoder.dimension,
            text_dimension=text_encoder().dimension,
            made=made,
        )


class RowDescriber:
    """Describes the rows of a feed; vectors are remembered by the photos' content.

    Attributes:
        problems: What was wrong with rows that were described so far.
        encoded: Photos that the encoder was asked for; it knew the others.
    """

    def __init__(self, eyes: Eyes, cache: VectorCache) -> None:
        self._eyes = eyes
        self._cache = cache
        self._digests: dict[str, bytes] = {}
        self.problems: list[RowProblem] = []
        self.encoded = 0

    def see(self, rows: Sequence[FeedRow], progress: Progress = silent) -> None:
        """Bring the vectors of all photos into the cache; those that can't be opened are noted.

        Args:
            rows: What is to be described.
            progress: Told of photos that were seen.
        """
        items = [row.item for row in rows if row.item.image is not None]
        seen = see(items, self._eyes.encoder, self._cache, self._eyes.describe.batch_size, progress)
        self.encoded += seen.encoded
        found = zip(items, seen.digests, strict=True)
        self._digests |= {item.id: digest for item, digest in found if digest is not None}
        by_id = {row.item.id: row for row in rows}
        for one in seen.unreadable:
            row = by_id[one.item_id]
            kept = bool(row.item.title) and category_is_known(row.item)
            reason = f"{one.kind}: kept for its title" if kept else f"{one.kind}, and no words that tell what it is"
            self.problems.append(RowProblem(reason, one.item_id, row.line, str(row.item.image), kept))

    def described(
        self, rows: Sequence[tuple[int, FeedRow]], progress: Progress = silent
    ) -> Iterator[list[CatalogueRow]]:
        """Catalogue rows of feed rows that were seen, some hundred at a time; what can't go in is in ``problems``.

        Args:
            rows: With their places in the catalogue.
            progress: Told of rows that the caller has taken.
        """
        for start in range(0, len(rows), _AT_ONCE):
            yield self._part(rows[start : start + _AT_ONCE])
            progress(min(start + _AT_ONCE, len(rows)), len(rows))

    def _part(self, rows: Sequence[tuple[int, FeedRow]]) -> list[CatalogueRow]:
        digests = self._digests
        ids = [row.item.id for _, row in rows if row.item.id in digests]
        vectors = self._cache.vectors([digests[name] for name in ids])  # (B, D)
        seen = self._eyes.labeller.descriptions(ids, vectors)
        said = {one.item_id: one for one in seen}
        worn = dict(zip(ids, self._eyes.labeller.worn(seen, vectors), strict=True))
        items: list[Item] = []
        known: dict[str, tuple[int, FeedRow]] = {}
        for place, row in rows:
            item = self._settled(row, worn.get(row.item.id), has_photo=row.item.id in digests)
            if item is not None:
                items.append(item)
                known[item.id] = place, row
        by_id: dict[str, NDArray[np.float32]] = dict(zip(ids, vectors, strict=True))
        found = describe_items(items, said, by_id, self._eyes.prompt, self._eyes.vocabulary, text_encoder())
        return [
            CatalogueRow(known[one.id][0], one, known[one.id][1].hash, _digest(known[one.id][1].item, digests))
            for one in found
        ]

    def _settled(self, row: FeedRow, worn: WornCategory | None, *, has_photo: bool) -> Item | None:
        """The item with a category that is known and without a photo that can't be opened; None if it can't go in."""
        item = row.item if has_photo else replace(row.item, image=None)
        if not category_is_known(item):
            if not has_photo:
                return None  # told with its photo
            if worn is None:
                self.problems.append(RowProblem(NO_CATEGORY, item.id, row.line, item.title))
                return None
            return with_category(item, worn)
        return item if has_photo or item.title else None


def photo_hash(path: Path | None) -> bytes:
    """SHA-256 of a photo's bytes; empty if there are none that can be read."""
    if path is None:
        return b""
    try:
        return hashlib.sha256(photo_bytes(path)).digest()
    except PhotoError:
        return b""


def photo_hashes(rows: Sequence[FeedRow], progress: Progress = silent) -> list[bytes]:
    """``photo_hash`` of each row's photo, read by several threads."""
    found: list[bytes] = []
    with ThreadPoolExecutor(_READERS, thread_name_prefix="hash") as pool:
        for digest in pool.map(lambda row: photo_hash(row.item.image), rows):
            found.append(digest)
            progress(len(found), len(rows))
    return found


def _digest(item: Item, digests: dict[str, bytes]) -> bytes:
    return digests[item.id] if item.id in digests else photo_hash(item.image)
