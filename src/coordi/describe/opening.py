"""Photos opened ahead by threads, in order, in bounded memory, while an encoder is at work on earlier ones."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import TYPE_CHECKING

from coordi.data.photos import PhotoError, decode_photo, photo_bytes, photo_pixels
from coordi.domain import Item

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


class Room:
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


def opened(items: Sequence[Item], is_known: Callable[[bytes], bool], room: Room) -> Generator[Opened, None, None]:
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


def _open(place: int, item: Item, is_known: Callable[[bytes], bool], room: Room) -> Opened:
    if item.image is None:
        return Opened(None, problem=Unreadable(item.id, "it has no photo", NO_PHOTO))
    try:
        return _decoded(place, item.image, is_known, room)
    except PhotoError as error:
        return Opened(None, problem=Unreadable(item.id, " ".join(str(error).split()), error.reason))


def _decoded(place: int, path: Path, is_known: Callable[[bytes], bool], room: Room) -> Opened:
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
