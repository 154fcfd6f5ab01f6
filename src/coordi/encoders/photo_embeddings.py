"""Photos opened in parallel within a memory budget, encoded in batches, and cached by content."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from threading import Condition, Lock
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
_AHEAD = 64
_MOST_THREADS = 8


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An item whose photo couldn't be described.

    Attributes:
        reason: Why, in one line that names the file.
        kind: The same words for every photo with this problem, so that they can be counted.
    """

    item_id: str
    reason: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """What became of one item's photo.

    Attributes:
        digest: SHA-256 of the file's bytes; None if it is unreadable.
        image: None if it is unreadable, or known already.
        pixels: What ``Room.give_back`` is to be told once the image is let go.
        problem: None for a photo that can be read.
    """

    digest: bytes | None
    image: Image.Image | None = None
    pixels: int = 0
    problem: Unreadable | None = None


class PixelBudget:
    """Memory for decoded photos, shared out in the order of the photos.

    However many threads decode, at most ``capacity`` pixels are held, and one more photo: the one that is waited for
    always gets room, so that nobody waits for ever.

    Args:
        capacity: In pixels, of 4 bytes each.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._changed = Condition()
        self._used = 0
        self._turn = -1
        self._closed = False

    def take(self, place: int, pixels: int) -> bool:
        """Wait for room for the photo at a place; False if there is no use for it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or place <= self._turn or self._used + pixels <= self.capacity)
            self._used += 0 if self._closed else pixels
            return not self._closed

    def wait_for(self, place: int) -> None:
        """Say that the photo at this place is the next that is needed."""
        with self._changed:
            self._turn = place
            self._changed.notify_all()

    def give_back(self, pixels: int) -> None:
        """Say that photos of so many pixels were let go."""
        with self._changed:
            self._used -= pixels
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def opened(
    items: Sequence[Item], is_known: Callable[[bytes], bool], room: PixelBudget
) -> Generator[Opened, None, None]:
    """Open the photos of items, one result per item in their order.

    Close it (``contextlib.closing``), or an error in between leaves its threads waiting for room.

    Args:
        items: Whose photos.
        is_known: Asked in a thread, with the digest of a file's bytes; a known photo isn't decoded.
        room: The caller gives back an image's pixels once it has let it go.
    """
    waiting: deque[Future[Opened]] = deque()
    first = 0
    pool = ThreadPoolExecutor(min(_MOST_THREADS, max(2, _cores())), thread_name_prefix="photo")
    try:
        for place, item in enumerate(items):
            waiting.append(pool.submit(_open, place, item, is_known, room))
            if len(waiting) == _AHEAD:
                room.wait_for(first)
                first += 1
                yield waiting.popleft().result()
        while waiting:
            room.wait_for(first)
            first += 1
            yield waiting.popleft().result()
    finally:
        room.close()
        pool.shutdown(cancel_futures=True)


def _open(place: int, item: Item, is_known: Callable[[bytes], bool], room: PixelBudget) -> Opened:
    if item.image is None:
        return Opened(None, problem=Unreadable(item.id, "it has no photo", NO_PHOTO))
    try:
        return _decoded(place, item.image, is_known, room)
    except PhotoError as error:
        return Opened(None, problem=Unreadable(item.id, " ".join(str(error).split()), error.reason))


def _decoded(place: int, path: Path, is_known: Callable[[bytes], bool], room: PixelBudget) -> Opened:
    data = photo_bytes(path)
    digest = hashlib.sha256(data).digest()
    if is_known(digest):
        return Opened(digest)
    pixels = photo_pixels(data, path)
    if not room.take(place, pixels):
        return Opened(digest)
    try:
        return Opened(digest, decode_photo(data, path), pixels)
    except PhotoError:
        room.give_back(pixels)
        raise


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


FOLDER = "vectors"
SAVE_EVERY = 128
"""Vectors between two saves: what a sudden end costs at most."""
_PATIENCE = 60.0  # seconds that another run may hold the file
_AT_ONCE = 500  # SQLite's smallest limit of values in one question is 999


class EmbeddingCache:
    """Unit vectors by the SHA-256 of the photo's bytes, in one SQLite file.

    What is saved survives any end of the process. Several runs may share a file. ``knows`` may be asked from any
    thread; everything else belongs to the thread that opened it.
    """

    def __init__(self, path: Path | None, dimension: int, save_every: int = SAVE_EVERY) -> None:
        """Open a file, or keep all in memory if ``path`` is None.

        Raises:
            ArtifactError: If the file can't be made or isn't a cache.
        """
        self.path = path
        self._dimension = dimension
        self._save_every = save_every
        self._pending: dict[bytes, bytes] = {}
        self._lock = Lock()
        if path is not None:
            with clear_write_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
        with self._asking():
            where = ":memory:" if path is None else path
            self._database = sqlite3.connect(where, timeout=_PATIENCE, check_same_thread=False)
            self._database.execute("CREATE TABLE IF NOT EXISTS vectors (photo BLOB PRIMARY KEY, vector BLOB NOT NULL)")
            self._database.commit()

    @classmethod
    def of(cls, encoder: ImageTextEncoder, save_every: int = SAVE_EVERY) -> EmbeddingCache:
        """The cache of this encoder on this machine.

        Raises:
            ArtifactError: If its file can't be made or isn't a cache.
        """
        return cls(cache_folder() / FOLDER / f"{encoding_key(encoder)[:32]}.sqlite", encoder.dimension, save_every)

    def __enter__(self) -> EmbeddingCache:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Save what there is, also after an error or Ctrl-C, and close the file."""
        try:
            self.save()
        finally:
            self._database.close()

    def __len__(self) -> int:
        """Photos whose vectors are saved."""
        with self._asking():
            return int(self._database.execute("SELECT COUNT(*) FROM vectors").fetchone()[0])

    def knows(self, digest: bytes) -> bool:
        """Whether the vector of a photo is here."""
        with self._asking():
            found = self._database.execute("SELECT 1 FROM vectors WHERE photo = ?", (digest,)).fetchone()
            return found is not None or digest in self._pending

    def add(self, digests: Sequence[bytes], vectors: npt.NDArray[np.float32]) -> None:
        """Remember vectors ``(N, D)``; they are saved from time to time.

        Raises:
            ArtifactError: If they can't be saved, as on a full disk.
        """
        rows = np.ascontiguousarray(vectors, dtype="<f4")
        with self._lock:
            self._pending.update((digest, row.tobytes()) for digest, row in zip(digests, rows, strict=True))
        if len(self._pending) >= self._save_every:
            self.save()

    def save(self) -> None:
        """Write what was remembered since the last save, all of it or nothing.

        Raises:
            ArtifactError: If it can't be written.
        """
        with self._asking():
            self._database.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", self._pending.items())
            self._database.commit()
            self._pending.clear()

    def vectors(self, digests: Sequence[bytes]) -> npt.NDArray[np.float32]:
        """Vectors ``(N, D)`` of known photos, in the order asked.

        Raises:
            ArtifactError: If one isn't there or isn't a vector of this encoder.
        """
        found: dict[bytes, bytes] = {}
        with self._asking():
            for start in range(0, len(digests), _AT_ONCE):
                asked = digests[start : start + _AT_ONCE]
                places = ",".join("?" * len(asked))
                found.update(self._database.execute(f"SELECT * FROM vectors WHERE photo IN ({places})", asked))
            found |= self._pending
        rows = b"".join(found.get(digest, b"") for digest in digests)
        if len(rows) != len(digests) * self._dimension * 4:
            raise ArtifactError(f"{self._name} lacks vectors that were saved; delete it and run the same command again")
        return np.frombuffer(rows, dtype="<f4").reshape(len(digests), self._dimension).astype(np.float32)

    @property
    def _name(self) -> str:
        return f"the cache of vectors {self.path}" if self.path else "the cache of vectors"

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Hold the file alone, and turn SQLite's errors into one clear line."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise ArtifactError(
                    f"{self._name} can't be used: {error}; free the disk, wait for another run, or delete the file "
                    "(it holds nothing that can't be made again) and run the same command"
                ) from error


def encoding_key(encoder: ImageTextEncoder) -> str:
    """SHA-256 of all that shapes a vector: the encoder's files, the code that opens and prepares photos, versions."""
    code = sorted(Path(data.__path__[0]).glob("photo*.py"))
    with suppress(OSError, TypeError):  # a class without a file of its own
        code += sorted(Path(inspect.getfile(type(encoder))).parent.glob("*.py"))
    known = {
        "encoder": encoder.identity,
        "dimension": encoder.dimension,
        "code": [hashlib.sha256(path.read_bytes()).hexdigest() for path in code],
        "versions": {**versions(), "pillow": metadata.version("pillow")},
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


IN_FLIGHT = 40_000_000
"""Pixels of decoded photos held at once, 160 MB: 40 photos of a shop's web site, or three of a phone's."""
_TELL_EVERY = 50


@dataclass(frozen=True, slots=True)
class EncodedPhotos:
    """What became of the photos of some items.

    Attributes:
        digests: By item in order, under what the cache knows its photo's vector; None if it couldn't be opened.
        unreadable: Those that couldn't be opened, in order.
        encoded: Photos that the encoder was asked for; the others were known, or the same as another.
    """

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
    """Bring the vectors of all photos into the cache; those it has cost no more than reading their files.

    Threads open photos while the encoder works. Memory grows by a digest per item and no more: at most ``IN_FLIGHT``
    pixels, and one photo beyond, are decoded at any time.

    Args:
        items: A photo that can't be opened is a row of ``unreadable``, not an error.
        encoder: Asked in this thread only.
        cache: Of this encoder.
        batch_size: Photos encoded at once; fewer where they are large.
        progress: Called after each batch, and now and then where photos are known.
    """
    room = PixelBudget(IN_FLIGHT)
    batch = _Batch(encoder, cache, room)
    digests: list[bytes | None] = []
    unreadable: list[Unreadable] = []
    with closing(opened(items, cache.knows, room)) as photos:
        for found in photos:
            digests.append(found.digest)
            if found.problem is not None:
                unreadable.append(found.problem)
            batch.add(found)
            if len(batch) >= batch_size or 2 * batch.pixels >= room.capacity:
                batch.encode()
                progress(len(digests), len(items))
            elif not len(batch) and len(digests) % _TELL_EVERY == 0:
                progress(len(digests), len(items))
    batch.encode()
    progress(len(items), len(items))
    return EncodedPhotos(tuple(digests), tuple(unreadable), batch.encoded)


class _Batch:
    """Different photos that wait for the encoder."""

    def __init__(self, encoder: ImageTextEncoder, cache: EmbeddingCache, room: PixelBudget) -> None:
        self._encoder = encoder
        self._cache = cache
        self._room = room
        self._images: dict[bytes, Image.Image] = {}
        self.pixels = 0
        self.encoded = 0

    def __len__(self) -> int:
        return len(self._images)

    def add(self, found: Opened) -> None:
        if found.image is None or found.digest is None:
            return
        if found.digest in self._images or self._cache.knows(found.digest):  # a twin came just before it
            self._room.give_back(found.pixels)
            return
        self._images[found.digest] = found.image
        self.pixels += found.pixels

    def encode(self) -> None:
        if self._images:
            self._cache.add(tuple(self._images), self._encoder.encode_images(tuple(self._images.values())))
            self.encoded += len(self._images)
        self._images.clear()
        self._room.give_back(self.pixels)
        self.pixels = 0
