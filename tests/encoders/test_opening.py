"""Photos opened ahead: in order, and within the allowed memory."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from coordi.data.photos import decode_photo
from coordi.encoders import photo_embeddings
from coordi.encoders.photo_embeddings import open_photos
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
    opened = list(open_photos(items, lambda digest: False, 10**9))
    for item, photo in zip(items, opened, strict=True):
        assert item.image is not None
        assert photo.digest == hashlib.sha256(item.image.read_bytes()).digest()
        assert photo.image is not None
        assert photo.image.getpixel((0, 0)) == (int(item.id), 0, 0)


def test_cached_photos_are_not_decoded(items: list[Item]) -> None:
    opened = list(open_photos(items, lambda digest: True, 1))
    assert [photo.image for photo in opened] == [None] * len(items)
    assert all(photo.digest for photo in opened)


def test_no_more_is_decoded_than_allowed(items: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = most = 0
    lock = threading.Lock()

    def decode(content: bytes, path: Path) -> Image.Image:
        nonlocal decoded, most
        with lock:
            decoded += PIXELS
            most = max(most, decoded)
        return decode_photo(content, path)

    monkeypatch.setattr(photo_embeddings, "decode_photo", decode)
    for photo in open_photos(items, lambda digest: False, 3 * PIXELS):
        time.sleep(0.0005)
        with lock:
            decoded -= photo.pixels
    assert PIXELS < most <= 4 * PIXELS  # the caller has one
    assert decoded == 0


def test_a_photo_larger_than_allowed_is_opened_all_the_same(items: list[Item]) -> None:
    opened = list(open_photos(items, lambda digest: False, 1))
    assert len(opened) == len(items)
    assert all(photo.image is not None for photo in opened)


def test_leaving_early_ends_the_threads(items: list[Item]) -> None:
    photos = open_photos(items, lambda digest: False, PIXELS)
    next(photos)
    assert any(thread.name.startswith("photo") for thread in threading.enumerate())
    photos.close()
    assert not any(thread.name.startswith("photo") for thread in threading.enumerate())
