"""Photos opened in parallel within a memory budget, encoded in batches, and cached by content."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import sqlite3
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import islice
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from coordi import data
from coordi.artifacts import Progress, cache_folder, clear_write_errors, no_progress, versions
from coordi.data.photos import PhotoError, decode_photo, photo_bytes, photo_pixels
from coordi.encoders.base import ImageTextEncoder
from coordi.errors import ArtifactError
from coordi.types import Item

if TYPE_CHECKING:
    from PIL import Image

NO_PHOTO = "no photo"
FOLDER = "vectors"
SAVE_EVERY = 128
"""Vectors between two saves, which a sudden end of the process may lose."""
IN_FLIGHT = 40_000_000
"""Pixels of decoded photos in memory at once, 160 MB: 40 photos of a shop's web site, or three of a phone's."""
_AHEAD = 64
_MAX_THREADS = 8
_LOCK_TIMEOUT = 60.0  # seconds that another run may lock the file
_PROGRESS_EVERY = 50


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An item whose photo couldn't be described; ``kind`` is the same text for every photo with this problem."""

    item_id: str
    reason: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class OpenedPhoto:
    """An item's photo; ``digest`` is its file's SHA-256, ``content`` only waits to be decoded."""

    item: Item
    digest: bytes | None = None
    pixels: int = 0
    content: bytes | None = None
    image: Image.Image | None = None
    problem: Unreadable | None = None


def open_photos(
    items: Sequence[Item], is_cached: Callable[[bytes], bool], max_pixels: int
) -> Generator[OpenedPhoto, None, None]:
    """Open the photos of items by threads ahead of the caller, one result per item in their order. ``is_cached`` is
    called in the threads with a file's digest. Decoded photos not yet yielded have at most ``max_pixels``, or are one
    photo. Close the generator (``contextlib.closing``) to end its threads at once.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pool = ThreadPoolExecutor(min(_MAX_THREADS, max(2, cores)), thread_name_prefix="photo")
    # ``Executor.map`` would read all files at once.
    opening: deque[Future[OpenedPhoto]] = deque()
    decoding: deque[tuple[int, Future[OpenedPhoto]]] = deque()
    waiting = iter(items)
    pixels = 0
    try:
        while True:
            opening.extend(pool.submit(_read, item, is_cached) for item in islice(waiting, _AHEAD - len(opening)))
            if not opening:
                break
            photo = opening.popleft().result()
            while decoding and (pixels + photo.pixels > max_pixels or len(decoding) == _AHEAD):
                size, future = decoding.popleft()
                pixels -= size
                yield future.result()
            decoding.append((photo.pixels, pool.submit(_decode, photo)))
            pixels += photo.pixels
        while decoding:
            yield decoding.popleft()[1].result()
    finally:
        pool.shutdown(cancel_futures=True)


def _read(item: Item, is_cached: Callable[[bytes], bool]) -> OpenedPhoto:
    if item.image is None:
        return OpenedPhoto(item, problem=Unreadable(item.id, "it has no photo", NO_PHOTO))
    try:
        content = photo_bytes(item.image)
        digest = hashlib.sha256(content).digest()
        if is_cached(digest):
            return OpenedPhoto(item, digest)
        return OpenedPhoto(item, digest, photo_pixels(content, item.image), content)
    except PhotoError as error:
        return _unreadable(item, error)


def _decode(photo: OpenedPhoto) -> OpenedPhoto:
    if photo.content is None or photo.item.image is None:
        return photo
    try:
        return replace(photo, image=decode_photo(photo.content, photo.item.image), content=None)
    except PhotoError as error:
        return _unreadable(photo.item, error)


def _unreadable(item: Item, error: PhotoError) -> OpenedPhoto:
    return OpenedPhoto(item, problem=Unreadable(item.id, " ".join(str(error).split()), error.reason))


class EmbeddingCache(AbstractContextManager["EmbeddingCache"]):
    """Unit vectors by the SHA-256 of the photo's bytes, in one SQLite file that several runs may share; in memory
    without a path. Saved vectors survive any end of the process. ``knows`` may be called from any thread; everything
    else belongs to the thread that opened the cache. Every method raises ``ArtifactError`` if the file can't be used.
    """

    def __init__(self, path: Path | None, dimension: int, save_every: int = SAVE_EVERY) -> None:
        self.path = path
        self._dimension = dimension
        self._save_every = save_every
        self._pending: dict[bytes, bytes] = {}
        self._lock = Lock()
        if path is not None:
            with clear_write_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._database = sqlite3.connect(path or ":memory:", timeout=_LOCK_TIMEOUT, check_same_thread=False)
            self._database.execute("CREATE TABLE IF NOT EXISTS vectors (photo BLOB PRIMARY KEY, vector BLOB NOT NULL)")
            self._database.commit()

    @classmethod
    def of(cls, encoder: ImageTextEncoder, save_every: int = SAVE_EVERY) -> EmbeddingCache:
        """Cache of an encoder on this machine."""
        return cls(cache_folder() / FOLDER / f"{encoding_key(encoder)[:32]}.sqlite", encoder.dimension, save_every)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.save()
        finally:
            self._database.close()

    def __len__(self) -> int:
        with self._locked():
            return int(self._database.execute("SELECT COUNT(*) FROM vectors").fetchone()[0])

    def knows(self, digest: bytes) -> bool:
        """Whether the cache has the vector of a photo, saved or pending."""
        with self._locked():
            return bool(digest in self._pending or self._stored(digest))

    def add(self, digests: Sequence[bytes], vectors: npt.NDArray[np.float32]) -> None:
        """Add vectors ``(N, D)``; they are saved from time to time."""
        rows = np.ascontiguousarray(vectors, dtype="<f4")
        with self._lock:
            self._pending.update(
                (digest, _sealed(digest, row.tobytes())) for digest, row in zip(digests, rows, strict=True)
            )
        if len(self._pending) >= self._save_every:
            self.save()

    def save(self) -> None:
        """Write the pending vectors, all of them or none."""
        with self._locked():
            self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", self._pending.items())
            self._database.commit()
            self._pending.clear()

    def vectors(self, digests: Sequence[bytes]) -> npt.NDArray[np.float32]:
        """Vectors ``(N, D)`` of photos in the cache, in the order of ``digests``."""
        with self._locked():
            stored = (self._pending.get(digest) or self._stored(digest) for digest in digests)
            rows = b"".join(row[:-_SEAL] for row in stored)
        if len(rows) != len(digests) * self._dimension * 4:
            raise ArtifactError(f"{self._name} lacks vectors that were saved; delete it and run the same command again")
        return np.frombuffer(rows, dtype="<f4").reshape(len(digests), self._dimension).astype(np.float32)

    def _stored(self, digest: bytes) -> bytes:
        """A saved vector with its checksum; empty if there is none, or its bits aren't those that were saved."""
        record = self._database.execute("SELECT vector FROM vectors WHERE photo = ?", (digest,)).fetchone()
        row = bytes(record[0]) if record is not None else b""
        return row if row == _sealed(digest, row[:-_SEAL]) else b""

    @property
    def _name(self) -> str:
        return f"the cache of vectors {self.path}" if self.path else "the cache of vectors"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise ArtifactError(
                    f"{self._name} can't be used: {error}; free the disk, wait for another run, or delete the file "
                    "(all it holds can be computed again) and run the same command"
                ) from error


_SEAL = 4


def _sealed(digest: bytes, vector: bytes) -> bytes:
    """A vector with a checksum of it and of its key: disks lose bits, and a wrong vector looks like any other."""
    return vector + zlib.crc32(digest + vector).to_bytes(_SEAL, "big")


def encoding_key(encoder: ImageTextEncoder) -> str:
    """SHA-256 of all that shapes a vector: the encoder's files, the code that opens and prepares photos, versions."""
    code = sorted(Path(data.__path__[0]).glob("photo*.py"))
    with suppress(OSError, TypeError):  # a class without a file of its own
        code += sorted(Path(inspect.getfile(type(encoder))).parent.glob("*.py"))
    parts = {
        "encoder": encoder.identity,
        "dimension": encoder.dimension,
        "code": [hashlib.sha256(path.read_bytes()).hexdigest() for path in code],
        "versions": {**versions(), "pillow": metadata.version("pillow")},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class EncodedPhotos:
    """Keys in the cache, None where a photo couldn't be opened; ``encoded`` counts photos that weren't in it."""

    digests: tuple[bytes | None, ...]
    unreadable: tuple[Unreadable, ...]
    encoded: int


def encode_photos(
    items: Sequence[Item],
    encoder: ImageTextEncoder,
    cache: EmbeddingCache,
    batch_size: int,
    progress: Progress = no_progress,
) -> EncodedPhotos:
    """Bring the vectors of all photos into the cache, opened by threads; one that can't be opened is in ``unreadable``.
    Memory grows by a digest per item: half of ``IN_FLIGHT`` pixels may be decoded ahead and half may wait in the batch,
    each exceeded by at most one photo; large photos make smaller batches.
    """
    digests: list[bytes | None] = []
    unreadable: list[Unreadable] = []
    batch: dict[bytes, OpenedPhoto] = {}
    encoded = 0
    with closing(open_photos(items, cache.knows, IN_FLIGHT // 2)) as photos:
        for photo in photos:
            digests.append(photo.digest)
            if photo.problem is not None:
                unreadable.append(photo.problem)
            if photo.image is not None and photo.digest is not None and not cache.knows(photo.digest):
                batch.setdefault(photo.digest, photo)
            pixels = sum(row.pixels for row in batch.values())
            is_full = len(batch) >= batch_size or pixels >= IN_FLIGHT // 2
            if is_full:
                encoded += _encode_batch(batch, encoder, cache)
            if is_full or (not batch and len(digests) % _PROGRESS_EVERY == 0):
                progress(len(digests), len(items))
    encoded += _encode_batch(batch, encoder, cache)
    progress(len(items), len(items))
    return EncodedPhotos(tuple(digests), tuple(unreadable), encoded)


def _encode_batch(batch: dict[bytes, OpenedPhoto], encoder: ImageTextEncoder, cache: EmbeddingCache) -> int:
    images = [photo.image for photo in batch.values() if photo.image is not None]
    if images:
        cache.add(tuple(batch), encoder.encode_images(images))
    batch.clear()
    return len(images)
