"""Every photo through the encoder once: opened ahead, in batches, remembered by content."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coordi.describe.encoder import ImageTextEncoder
from coordi.describe.opening import Opened, Room, Unreadable, opened
from coordi.describe.vector_cache import VectorCache
from coordi.domain import Item
from coordi.progress import Progress, silent

if TYPE_CHECKING:
    from PIL import Image

IN_FLIGHT = 40_000_000
"""Pixels of decoded photos held at once, 160 MB: 40 photos of a shop's web site, or three of a phone's."""
_TELL_EVERY = 50


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of the photos of some items.

    Attributes:
        digests: By item in order, under what the cache knows its photo's vector; None if it couldn't be opened.
        unreadable: Those that couldn't be opened, in order.
        encoded: Photos that the encoder was asked for; the others were known, or the same as another.
    """

    digests: tuple[bytes | None, ...]
    unreadable: tuple[Unreadable, ...]
    encoded: int


def see(
    items: Sequence[Item],
    encoder: ImageTextEncoder,
    cache: VectorCache,
    batch_size: int,
    progress: Progress = silent,
) -> Seen:
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
    room = Room(IN_FLIGHT)
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
    return Seen(tuple(digests), tuple(unreadable), batch.encoded)


class _Batch:
    """Different photos that wait for the encoder."""

    def __init__(self, encoder: ImageTextEncoder, cache: VectorCache, room: Room) -> None:
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
