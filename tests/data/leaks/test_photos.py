from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coordi.data.leaks import MAX_DIFFERENCE, PhotoHash, hash_photo, hash_photos, matches_by_photo, near_pairs
from coordi.errors import ImageError
from coordi.types import Item

Draw = Callable[..., Path]


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """A photo like a product's: something of many colours in the middle of white."""

    def save(name: str, seed: int, size: int = 160, quality: int = 90) -> Path:
        pixels = np.full((8, 8, 3), 255, dtype=np.uint8)
        pixels[1:7, 2:6] = np.random.default_rng(seed).integers(0, 200, (6, 4, 3))
        path = tmp_path / name
        drawn = Image.fromarray(pixels).resize((160, 160), Image.Resampling.BICUBIC)
        drawn.resize((size, size), Image.Resampling.LANCZOS).save(path, quality=quality)
        return path

    return save


def _items(*paths: Path | None) -> list[Item]:
    return [Item(f"i{place}", "", "top", image=path) for place, path in enumerate(paths)]


def _match(one: Path, other: Path) -> str:
    same, near = matches_by_photo({"a": hash_photo(one)}, {"b": hash_photo(other)})
    return "same" if same else "near" if near else "none"


def test_the_same_file_and_the_same_picture_saved_anew(draw: Draw, tmp_path: Path) -> None:
    one = draw("one.jpg", 1)
    copy = tmp_path / "copy.jpg"
    shutil.copy(one, copy)
    assert _match(one, copy) == "same"
    assert _match(one, draw("worse.jpg", 1, quality=50)) == "near"
    assert _match(one, draw("smaller.jpg", 1, size=80)) == "near"
    assert _match(one, draw("larger.png", 1, size=272)) == "near"
    assert _match(one, draw("other.jpg", 2)) == "none"


def test_the_same_thing_in_another_colour_is_another_photo(draw: Draw, tmp_path: Path) -> None:
    one = draw("one.png", 1)
    red, green, blue = Image.open(one).split()
    Image.merge("RGB", (blue, green, red)).save(tmp_path / "other.png")
    swapped = hash_photo(tmp_path / "other.png")
    assert near_pairs([hash_photo(one)], [swapped]).tolist() == []


def test_an_item_is_not_its_own_match(draw: Draw) -> None:
    photo = hash_photo(draw("one.jpg", 1))
    assert matches_by_photo({"a": photo}, {"a": photo}) == ({}, {})
    assert matches_by_photo({"a": photo, "b": photo}, {"a": photo}) == ({"a": ("b",)}, {})


def test_each_file_is_read_once_and_what_cannot_be_read_is_named(draw: Draw, tmp_path: Path) -> None:
    one, broken = draw("one.jpg", 1), tmp_path / "broken.jpg"
    broken.write_bytes(one.read_bytes()[:400])
    seen: list[tuple[int, int]] = []
    prints, unreadable = hash_photos(
        _items(one, broken, one, None, tmp_path / "none.jpg"), lambda done, total: seen.append((done, total))
    )
    assert list(prints) == ["i0", "i2"]
    assert unreadable == ["i1", "i4"]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(ImageError, match=re.escape(str(broken))):
        hash_photo(broken)


def test_pairs_are_those_that_a_look_at_each_pair_finds() -> None:
    generator = np.random.default_rng(3)
    centres = generator.integers(0, 256, (12, 192)).astype(np.float32)

    def photo() -> PhotoHash:
        noise = generator.normal(0, 4, 192) * int(generator.integers(2))
        return PhotoHash(b"", (centres[int(generator.integers(12))] + noise).astype(np.float32))

    earlier, later = [photo() for _ in range(100)], [photo() for _ in range(80)]

    def slow(first: PhotoHash, second: PhotoHash) -> bool:
        contrast = min(first.colours.std(), second.colours.std())
        return bool(np.sqrt(((first.colours - second.colours) ** 2).mean()) <= MAX_DIFFERENCE * contrast)

    expected = [[place, at] for place, one in enumerate(earlier) for at, other in enumerate(later) if slow(one, other)]
    assert 100 < len(expected) < 10_000
    assert near_pairs(earlier, later).tolist() == expected
    assert near_pairs(earlier, []).shape == near_pairs([], later).shape == (0, 2)


def test_real_photos_of_one_kind_are_told_apart(real_data: Path) -> None:
    """Of 300 product photos, which one studio took, none is like another."""
    paths = sorted((real_data / "fashion-products" / "images").glob("*.jpg"))[:2400:8]
    prints = [hash_photo(path) for path in paths]
    assert [pair for pair in near_pairs(prints, prints).tolist() if pair[0] < pair[1]] == []
