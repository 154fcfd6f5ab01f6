from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coordi.data.leaks import MAX_BITS, Print, fingerprint, fingerprints, near_pairs, twins_by_photo
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


def _twins(one: Path, other: Path) -> str:
    same, near = twins_by_photo({"a": fingerprint(one)}, {"b": fingerprint(other)})
    return "same" if same else "near" if near else "none"


def test_the_same_file_and_the_same_picture_saved_anew(draw: Draw, tmp_path: Path) -> None:
    one = draw("one.jpg", 1)
    copy = tmp_path / "copy.jpg"
    shutil.copy(one, copy)
    assert _twins(one, copy) == "same"
    assert _twins(one, draw("worse.jpg", 1, quality=50)) == "near"
    assert _twins(one, draw("smaller.jpg", 1, size=80)) == "near"
    assert _twins(one, draw("larger.png", 1, size=272)) == "near"
    assert _twins(one, draw("other.jpg", 2)) == "none"


def test_the_same_thing_in_another_colour_is_another_photo(draw: Draw, tmp_path: Path) -> None:
    one = draw("one.png", 1)
    red, green, blue = Image.open(one).split()
    Image.merge("RGB", (blue, green, red)).save(tmp_path / "other.png")
    swapped = fingerprint(tmp_path / "other.png")
    assert near_pairs([fingerprint(one)], [swapped]).tolist() == []


def test_an_item_is_not_its_own_twin(draw: Draw) -> None:
    photo = fingerprint(draw("one.jpg", 1))
    assert twins_by_photo({"a": photo}, {"a": photo}) == ({}, {})
    assert twins_by_photo({"a": photo, "b": photo}, {"a": photo}) == ({"a": ("b",)}, {})


def test_each_file_is_read_once_and_what_cannot_be_read_is_named(draw: Draw, tmp_path: Path) -> None:
    one, broken = draw("one.jpg", 1), tmp_path / "broken.jpg"
    broken.write_bytes(one.read_bytes()[:400])
    seen: list[tuple[int, int]] = []
    prints, unreadable = fingerprints(
        _items(one, broken, one, None, tmp_path / "none.jpg"), lambda done, total: seen.append((done, total))
    )
    assert list(prints) == ["i0", "i2"]
    assert unreadable == ["i1", "i4"]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(ImageError):
        fingerprint(broken)


def test_the_banded_index_finds_what_a_look_at_all_pairs_finds() -> None:
    """Hashes that crowd as those of product photos do: few of them, with a few bits turned."""
    generator = np.random.default_rng(3)
    centres = generator.integers(0, 2**63, 12)
    smalls = [generator.integers(0, 256, 768).astype(np.uint8) for _ in centres]

    def photo() -> Print:
        place = int(generator.integers(len(centres)))
        bits = int(centres[place])
        for turned in generator.choice(64, int(generator.integers(0, 5)), replace=False):
            bits ^= 1 << int(turned)
        noise = generator.integers(-9, 10, 768) * int(generator.integers(2))
        return Print(b"", bits, np.clip(smalls[place] + noise, 0, 255).astype(np.uint8))

    earlier, later = [photo() for _ in range(200)], [photo() for _ in range(150)]

    def slow(one: Print, other: Print) -> bool:
        apart = one.small.astype(np.float64) - other.small
        contrast = min(one.small.std(), other.small.std())
        return (one.bits ^ other.bits).bit_count() <= MAX_BITS and np.sqrt((apart**2).mean()) <= 0.05 * contrast

    expected = [[place, at] for place, one in enumerate(earlier) for at, other in enumerate(later) if slow(one, other)]
    assert 100 < len(expected) < 10_000
    assert near_pairs(earlier, later).tolist() == expected
    assert near_pairs(earlier, []).shape == near_pairs([], later).shape == (0, 2)


def test_real_photos_of_one_kind_are_told_apart(real_data: Path) -> None:
    """Of 300 product photos, which one studio took, none is like another."""
    paths = sorted((real_data / "fashion-products" / "images").glob("*.jpg"))[:2400:8]
    prints = [fingerprint(path) for path in paths]
    assert [pair for pair in near_pairs(prints, prints).tolist() if pair[0] < pair[1]] == []
