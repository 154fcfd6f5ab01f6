from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from coordi.data.photos import CUT_SHORT, MISSING, NOT_A_PHOTO, TOO_LARGE, open_photo, photo_problem
from coordi.errors import ImageError

Save = Callable[..., Path]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_sound_photos_open_as_rgb(tmp_path: Path, photo: Save, name: str) -> None:
    path = photo(tmp_path / name)
    assert photo_problem(path) is None
    image = open_photo(path)
    assert (image.mode, image.size) == ("RGB", (12, 16))


def test_the_suffix_doesnt_matter_but_the_content_does(tmp_path: Path, photo: Save) -> None:
    path = photo(tmp_path / "a.jpg", format="PNG")
    assert photo_problem(path) is None
    gif = photo(tmp_path / "b.jpg", format="GIF")
    assert photo_problem(gif) == NOT_A_PHOTO
    with pytest.raises(ImageError, match="JPEG, PNG or WebP"):
        open_photo(gif)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
def test_a_photo_cut_short_is_found(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    Image.effect_noise((90, 90), 80).convert("RGB").save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert photo_problem(path) == CUT_SHORT
    with pytest.raises(ImageError, match=r"cut short|damaged"):
        open_photo(path)


def test_a_jpeg_with_bytes_after_its_end_is_sound(tmp_path: Path, photo: Save) -> None:
    path = photo(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes() + b"\0" * 10_000)
    assert photo_problem(path) is None


def test_a_phones_photo_with_a_second_picture_is_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    first, second = Image.new("RGB", (20, 30), "red"), Image.new("RGB", (20, 30), "blue")
    first.save(path, format="MPO", save_all=True, append_images=[second])
    assert photo_problem(path) is None
    assert open_photo(path).size == (20, 30)


def test_text_and_nothing_are_no_photos(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("not a photo")
    (tmp_path / "b.jpg").write_bytes(b"")
    assert photo_problem(tmp_path / "a.jpg") == NOT_A_PHOTO
    assert photo_problem(tmp_path / "b.jpg") == NOT_A_PHOTO
    assert photo_problem(tmp_path / "c.jpg") == MISSING
    assert photo_problem(tmp_path) == MISSING
    with pytest.raises(ImageError, match=r"c\.jpg"):
        open_photo(tmp_path / "c.jpg")


def test_too_many_pixels_are_refused_by_the_header_alone(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 10_000, 5_001, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    assert photo_problem(path) == TOO_LARGE
    with pytest.raises(ImageError, match="10000 x 5001"):
        open_photo(path)
    path.write_bytes(path.read_bytes().replace(struct.pack(">I", 5_001), struct.pack(">I", 2**30)))
    assert photo_problem(path) in (TOO_LARGE, CUT_SHORT)


def test_exif_turns_the_photo_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.jpg"
    Image.new("RGB", (40, 20)).save(path, exif=exif)
    assert open_photo(path).size == (20, 40)


def test_transparency_becomes_white(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(path)
    assert open_photo(path).getpixel((0, 0)) == (255, 255, 255)
