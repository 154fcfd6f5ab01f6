"""Photos opened ahead: in order, within the memory allowed, and without waiting for ever."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from coordi.encoders.photo_embeddings import PixelBudget, open_photos
from coordi.types import Item

PIXELS = 40 * 50


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    found = []
    for number in range(150):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (40, 50), (number, 0, 0)).save(path)
        found.append(Item(str(number), "", "top", image=path))
    return found


def test_results_come_in_order_with_the_digests_of_the_files(items: list[Item]) -> None:
    room = PixelBudget(10**9)
    found = list(open_photos(items, lambda digest: False, room))
    for item, one in zip(items, found, strict=True):
        assert item.image is not None
        assert one.digest == hashlib.sha256(item.image.read_bytes()).digest()
        assert one.image is not None
        assert one.image.getpixel((0, 0)) == (int(item.id), 0, 0)


def test_known_photos_are_not_decoded(items: list[Item]) -> None:
    found = list(open_photos(items, lambda digest: True, PixelBudget(1)))
    assert [one.image for one in found] == [None] * len(items)
    assert all(one.digest for one in found)


def test_no_more_is_decoded_than_there_is_room_for(items: list[Item]) -> None:
    """Whoever holds images without giving them back gets the next one, and nothing is decoded beyond."""
    held = most = 0
    lock = threading.Lock()

    class Counting(PixelBudget):
        def take(self, position: int, pixels: int) -> bool:
            nonlocal held, most
            taken = super().take(position, pixels)
            with lock:
                held += pixels
                most = max(most, held)
            return taken

    room = Counting(3 * PIXELS)
    for one in open_photos(items, lambda digest: False, room):
        time.sleep(0.0005)
        with lock:
            held -= one.pixels
        room.give_back(one.pixels)
    assert PIXELS < most <= 4 * PIXELS


def test_a_photo_larger_than_the_room_is_opened_all_the_same(items: list[Item]) -> None:
    room = PixelBudget(1)
    count = 0
    for one in open_photos(items, lambda digest: False, room):
        assert one.image is not None
        room.give_back(one.pixels)
        count += 1
    assert count == len(items)


def test_leaving_early_ends_the_threads(items: list[Item]) -> None:
    photos = open_photos(items, lambda digest: False, PixelBudget(PIXELS))
    next(photos)
    assert any(thread.name.startswith("photo") for thread in threading.enumerate())
    photos.close()
    assert not any(thread.name.startswith("photo") for thread in threading.enumerate())
