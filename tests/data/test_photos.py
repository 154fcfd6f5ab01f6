"""Photos of every kind that people have, and files that are none: opened alike, or refused with the reason."""

from __future__ import annotations

import os
import random
import re
import struct
import subprocess
import sys
import textwrap
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coordi.data.photos import (
    CUT_SHORT,
    EMPTY,
    MAX_BYTES,
    MISSING,
    NOT_A_PHOTO,
    NOT_ALLOWED,
    TOO_LARGE,
    TOO_NARROW,
    decode_photo,
    open_photo,
    photo_problem,
)
from coordi.errors import ImageError

Save = Callable[..., Path]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.gif", "a.bmp", "a.avif", "a.heic"])
def test_sound_photos_open_as_rgb(tmp_path: Path, photo: Save, name: str) -> None:
    path = photo(tmp_path / name)
    assert photo_problem(path) is None
    image = open_photo(path)
    assert (image.mode, image.size) == ("RGB", (12, 16))


def test_the_suffix_doesnt_matter_but_the_content_does(tmp_path: Path, photo: Save) -> None:
    path = photo(tmp_path / "a.jpg", format="PNG")
    assert photo_problem(path) is None
    assert open_photo(path).size == (12, 16)
    tiff = photo(tmp_path / "b.jpg", format="TIFF")
    assert photo_problem(tiff) == "photo is TIFF or a camera's raw file, which isn't opened: save it as JPEG or PNG"
    with pytest.raises(ImageError, match=r"b\.jpg is TIFF .*accepted: JPEG, PNG, WebP, AVIF, HEIC, GIF or BMP"):
        open_photo(tiff)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.gif", "a.bmp", "a.avif", "a.heic"])
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
    assert photo_problem(tmp_path / "b.jpg") == EMPTY
    assert photo_problem(tmp_path / "c.jpg") == MISSING
    assert photo_problem(tmp_path) == MISSING
    with pytest.raises(ImageError, match="0 bytes"):
        open_photo(tmp_path / "b.jpg")
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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    upright = Image.new("RGB", (30, 20), "white")
    upright.paste("red", (0, 0, 15, 10))  # the upper left quarter
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(turns[orientation]) if orientation in turns else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(open_photo(tmp_path / "a.png")), np.asarray(upright))


def test_an_orientation_that_isnt_one_leaves_the_photo_as_it_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 99
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert open_photo(tmp_path / "a.jpg").size == (40, 20)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_no_metadata_comes_along(tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret words"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)  # GPS latitude
    Image.new("RGB", (20, 20)).save(tmp_path / name, exif=exif)
    assert b"secret words" in (tmp_path / name).read_bytes()
    image = open_photo(tmp_path / name)
    assert image.info == {}
    assert not image.getexif()
    assert not vars(image).get("app")
    image.save(tmp_path / "again.jpg")
    assert b"secret" not in (tmp_path / "again.jpg").read_bytes()


def test_transparency_becomes_white(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(path)
    assert open_photo(path).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("colour", [(255, 255, 255, 0), (10, 200, 30, 255), (200, 0, 0, 128)])
@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_half_transparent_is_mixed_with_white(tmp_path: Path, colour: tuple[int, int, int, int], name: str) -> None:
    Image.new("RGBA", (4, 4), colour).save(tmp_path / name, lossless=True)
    share = colour[3] / 255
    expected = [value * share + 255 * (1 - share) for value in colour[:3]]
    np.testing.assert_allclose(seen(tmp_path / name, (1, 1)), expected, atol=1.5)


def test_a_palette_with_and_without_a_transparent_colour(tmp_path: Path) -> None:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 30, 60])
    palette.save(tmp_path / "a.png")
    palette.save(tmp_path / "b.png", transparency=1)
    palette.save(tmp_path / "c.gif", transparency=1)
    assert seen(tmp_path / "a.png") == (200, 30, 60)
    assert seen(tmp_path / "b.png") == (255, 255, 255)
    assert seen(tmp_path / "c.gif") == (255, 255, 255)


def test_a_white_garment_without_a_ground_can_be_seen(tmp_path: Path) -> None:
    cut_out = Image.new("RGBA", (40, 40), (255, 255, 255, 0))
    cut_out.paste((250, 250, 248, 255), (10, 10, 30, 30))
    cut_out.save(tmp_path / "white.png")
    assert seen(tmp_path / "white.png", (20, 20)) == (250, 250, 248)
    assert seen(tmp_path / "white.png", (1, 1)) == (190, 190, 190)


P3 = np.array([[0.51512, 0.29198, 0.1571], [0.2412, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.7141]])
"""Linear RGB to XYZ under D50, of the profiles that color.org publishes."""


def display_p3() -> bytes:
    """A colour profile with the primaries of Display P3 and a gamma of 2.2, as the ICC's specification lays it out."""

    def number(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    curve = b"curv" + struct.pack(">IIH", 0, 1, round(2.2 * 256)) + b"\0\0"
    white = b"XYZ " + bytes(4) + b"".join(map(number, (0.9642, 1.0, 0.8249)))
    columns = [b"XYZ " + bytes(4) + b"".join(map(number, column)) for column in P3.T]
    text = b"desc" + struct.pack(">II", 0, 11) + b"Display P3\0" + bytes(79)
    tags = {b"desc": text, b"wtpt": white, **dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)),
            b"rTRC": curve, b"gTRC": curve, b"bTRC": curve, b"cprt": b"text" + bytes(8)}  # fmt: skip
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    size = start + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"", 0x02100000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp"
    header += bytes(28) + b"".join(map(number, (0.9642, 1.0, 0.8249)))
    return header + bytes(128 - len(header)) + struct.pack(">I", len(tags)) + table + body


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.heic", "a.avif"])
def test_colours_of_a_phone_become_srgb(tmp_path: Path, photo: Save, name: str) -> None:
    photo(tmp_path / name, icc_profile=display_p3(), quality=100)
    linear = np.linalg.inv(SRGB) @ P3 @ (np.array([200, 30, 60]) / 255) ** 2.2
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055)
    expected = np.clip(encoded, 0, 1) * 255
    assert expected[0] > 215  # a stronger red than its number says
    np.testing.assert_allclose(seen(tmp_path / name, (6, 8)), expected, atol=6)


def test_transparency_outlives_a_colour_profile(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (200, 30, 60, 0)).save(tmp_path / "a.png", icc_profile=display_p3())
    assert seen(tmp_path / "a.png") == (255, 255, 255)


@pytest.mark.parametrize("profile", [b"no profile", display_p3()[:200], bytes(5 * 2**20)], ids=["text", "cut", "large"])
def test_a_colour_profile_that_cannot_be_used_changes_nothing(tmp_path: Path, photo: Save, profile: bytes) -> None:
    photo(tmp_path / "a.jpg", icc_profile=profile, quality=100)
    np.testing.assert_allclose(seen(tmp_path / "a.jpg"), (200, 30, 60), atol=2)


def test_heic_without_its_extra_says_what_opens_it(
    tmp_path: Path, photo: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = photo(tmp_path / "a.heic")
    monkeypatch.setattr("coordi.data.photos._heif", lambda: None)
    assert photo_problem(path) == (
        "photo is HEIC, which is opened after: pip install 'coordi[heic]'; or save it as JPEG"
    )
    with pytest.raises(ImageError, match=r"a\.heic is HEIC, which is opened after: pip install 'coordi\[heic\]'"):
        open_photo(path)


def test_16_bits_keep_their_brightness(tmp_path: Path) -> None:
    ramp = np.arange(0, 65_536, 256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "grey.png")
    found = np.asarray(open_photo(tmp_path / "grey.png"))
    np.testing.assert_array_equal(found[..., 0], ramp >> 8)
    # Pillow can't write 16-bit colour: three rows of one pixel, each with a filter byte.
    row = b"\0" + struct.pack(">3H", 9 * 257, 99 * 257, 199 * 257)
    (tmp_path / "colour.png").write_bytes(png(1, 3, depth=16, kind=2, body=zlib.compress(3 * row)))
    assert seen(tmp_path / "colour.png", (0, 2)) == (9, 99, 199)


@pytest.mark.parametrize(("mode", "colour", "expected"), [
    ("CMYK", (0, 255, 255, 0), (255, 0, 0)), ("CMYK", (0, 0, 0, 255), (0, 0, 0)), ("L", 90, (90, 90, 90)),
])  # fmt: skip
def test_jpegs_that_arent_rgb(tmp_path: Path, mode: str, colour: Any, expected: tuple[int, ...]) -> None:
    Image.new(mode, (16, 16), colour).save(tmp_path / "a.jpg", quality=100)
    np.testing.assert_allclose(seen(tmp_path / "a.jpg", (8, 8)), expected, atol=3)


@pytest.mark.parametrize(("inks", "expected"), [((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 0), (255, 255, 255))])
def test_cmyk_without_adobes_marker_isnt_turned_round(
    tmp_path: Path, inks: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    Image.new("CMYK", (16, 16), tuple(255 - ink for ink in inks)).save(tmp_path / "a.jpg", quality=100)
    content = (tmp_path / "a.jpg").read_bytes()
    marker = re.compile(rb"\xff\xee\x00\x0eAdobe.{7}", re.DOTALL)
    assert len(marker.findall(content)) == 1
    (tmp_path / "a.jpg").write_bytes(marker.sub(b"", content))
    np.testing.assert_allclose(seen(tmp_path / "a.jpg", (8, 8)), expected, atol=3)


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_one_bit_pictures(tmp_path: Path, name: str) -> None:
    Image.new("1", (4, 4), 1).save(tmp_path / name)
    assert seen(tmp_path / name) == (255, 255, 255)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_the_first_picture_of_an_animation(tmp_path: Path, name: str) -> None:
    first, *others = (Image.new("RGB", (20, 10), colour) for colour in ("red", "blue", "lime"))
    first.save(tmp_path / name, save_all=True, append_images=others, duration=50)
    assert photo_problem(tmp_path / name) is None
    np.testing.assert_allclose(seen(tmp_path / name, (5, 5)), (255, 0, 0), atol=2)


@pytest.mark.slow
def test_a_bomb_is_refused_without_time_or_memory(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png(50_000, 50_000, depth=1, kind=0, body=black_rows(50_000)))
    assert bomb.stat().st_size < 2**20  # 312 MB once unpacked, 10 GB as RGB
    code = textwrap.dedent(
        """
        import resource, sys, time
        from pathlib import Path
        from PIL import Image
        from coordi.data.photos import open_photo, photo_problem
        Image.init()
        used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        before, began = used(), time.process_time()
        print(photo_problem(Path(sys.argv[1])))
        try:
            open_photo(Path(sys.argv[1]))
        except Exception as error:
            print(type(error).__name__, error)
        print((used() - before) // 1024, time.process_time() - began)
        """
    )
    done = subprocess.run([sys.executable, "-c", code, bomb], capture_output=True, text=True, check=True)
    problem, error, figures = done.stdout.splitlines()
    mebibytes, seconds = map(float, figures.split())
    assert problem == TOO_LARGE
    assert error.startswith(f"PhotoError {bomb} has too many pixels; accepted: ")
    assert mebibytes <= 16  # the file's own bytes and Pillow's readers
    assert seconds < 5


@pytest.mark.parametrize("kind", ["jpg", "gif", "bmp", "webp"])
def test_a_header_that_claims_too_much_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    animated: dict[str, Any] = {"save_all": True, "append_images": [Image.new("RGB", (40, 40))]}
    Image.new("RGB", (40, 40), "navy").save(path, **(animated if kind == "webp" else {}))
    data = bytearray(path.read_bytes())
    if kind == "jpg":
        start = data.index(b"\xff\xc0")
        data[start + 5 : start + 9] = struct.pack(">HH", 50_000, 50_000)
    elif kind == "gif":
        data[6:10] = struct.pack("<HH", 50_000, 50_000)
    elif kind == "bmp":
        data[18:26] = struct.pack("<ii", 50_000, 50_000)
    else:
        assert data[12:16] == b"VP8X"
        data[24:30] = (16_382).to_bytes(3, "little") * 2
    path.write_bytes(data)
    assert photo_problem(path) == TOO_LARGE
    with pytest.raises(ImageError, match="pixels; accepted"):
        open_photo(path)


def test_a_phones_short_film_behind_a_photo_is_left_alone(tmp_path: Path, photo: Save) -> None:
    path = photo(tmp_path / "motion.jpg")
    film = np.random.default_rng(1).bytes(20_000_000)
    path.write_bytes(path.read_bytes() + film)
    assert path.read_bytes().count(b"\xff\xda") > 100
    assert photo_problem(path) is None
    assert open_photo(path).mode == "RGB"


def test_a_jpeg_of_endless_scans_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (40, 40), "navy").save(path, progressive=True)
    data = path.read_bytes()
    scan = data[data.rindex(b"\xff\xda") : -2]
    path.write_bytes(data[:-2] + scan * 200 + data[-2:])
    assert photo_problem(path) == CUT_SHORT
    with pytest.raises(ImageError, match="has more than 100 scans"):
        open_photo(path)


def test_a_file_too_large_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    with path.open("wb") as file:
        file.write(b"\xff\xd8\xff")
        file.truncate(40 * MAX_BYTES)  # takes no room on the disk
    assert photo_problem(path) == TOO_LARGE
    with pytest.raises(ImageError, match="4,194,304,000 bytes"):
        open_photo(path)


@pytest.mark.parametrize(("size", "sound"), [((50, 1), True), ((1, 51), False)])
def test_a_thread_of_a_picture_is_refused(tmp_path: Path, size: tuple[int, int], sound: bool) -> None:
    """An encoder that makes the shorter side 224 pixels long would make the longer one endless."""
    Image.new("RGB", size).save(tmp_path / "a.png")
    assert photo_problem(tmp_path / "a.png") == (None if sound else TOO_NARROW)
    if not sound:
        with pytest.raises(ImageError, match="1 x 51 pixels; accepted: sides up to 1 : 50"):
            open_photo(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_copy_may_be_decoded_smaller_but_never_too_small(tmp_path: Path, name: str) -> None:
    Image.linear_gradient("L").resize((1000, 800)).convert("RGB").save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    small, whole = decode_photo(data, tmp_path / name, at_least=200), decode_photo(data, tmp_path / name)
    assert whole.size == (1000, 800)
    assert small.size == ((250, 200) if name == "a.jpg" else (1000, 800))
    np.testing.assert_allclose(np.asarray(small.resize((10, 8))), np.asarray(whole.resize((10, 8))), atol=6)


def test_links_in_a_circle_folders_and_pipes_are_no_photos(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("b.jpg")
    (tmp_path / "b.jpg").symlink_to("a.jpg")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for ever
    for name in ("a.jpg", "folder.jpg", "pipe.jpg", "x" * 300 + ".jpg"):
        assert photo_problem(tmp_path / name) in (MISSING, NOT_ALLOWED)
        with pytest.raises(ImageError, match=name):
            open_photo(tmp_path / name)


def test_a_photo_without_the_right_to_read_it(tmp_path: Path, photo: Save, request: pytest.FixtureRequest) -> None:
    path = photo(tmp_path / "a.jpg")
    path.chmod(0)
    request.getfixturevalue("as_nobody")
    assert photo_problem(path) == NOT_ALLOWED
    with pytest.raises(ImageError, match=r"a\.jpg can't be read: Permission denied"):
        open_photo(path)


@pytest.mark.parametrize(("content", "reason"), [
    (b"\0\0\0\x18ftypqt  \0\0\0\0", "a video"), (b"%PDF-1.7", "PDF"), (b"\xff\x0a jxl", "JPEG XL"),
    (b'<?xml version="1.0"?>\n<svg xmlns="x">', "SVG"), (b"8BPS\0\1", "a Photoshop file"),
])  # fmt: skip
def test_what_users_also_have_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    assert photo_problem(tmp_path / "a.jpg") == f"photo is {reason}, which isn't opened: save it as JPEG or PNG"
    with pytest.raises(ImageError, match=reason):
        open_photo(tmp_path / "a.jpg")


def test_a_text_about_bmws_is_no_photo(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("BMW and other cars, at length")
    assert photo_problem(tmp_path / "a.jpg") == NOT_A_PHOTO


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of metadata that can't be read
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.gif", "a.bmp", "a.avif", "a.heic"])
def test_damaged_bytes_are_a_photo_or_a_clear_error(tmp_path: Path, name: str) -> None:
    path, exif = tmp_path / name, Image.Exif()
    exif[0x0112] = 6
    options: dict[str, Any] = {} if name in ("a.gif", "a.bmp") else {"exif": exif}
    Image.effect_noise((60, 50), 80).convert("RGB").save(path, **options)
    data, chance, refused = path.read_bytes(), random.Random(5), 0
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            end = min(len(data), 400) if chance.random() < 0.7 else len(data)
            damaged[chance.randrange(end)] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            assert open_photo(path).mode == "RGB"
        except ImageError:
            refused += 1
    assert 0 < refused < 300


def test_the_ground_of_a_large_cut_out_needs_no_memory_a_pixel(tmp_path: Path) -> None:
    cut_out = Image.new("RGBA", (3000, 3000), (255, 255, 255, 0))
    cut_out.paste((250, 250, 248, 255), (700, 700, 2300, 2300))
    cut_out.save(tmp_path / "white.png", compress_level=1)
    data = (tmp_path / "white.png").read_bytes()
    tracemalloc.start()
    try:
        ground = decode_photo(data, tmp_path / "white.png").getpixel((0, 0))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ground == (190, 190, 190)
    assert peak < 60 * 2**20  # a number of 8 bytes for each pixel is 69 MiB


def seen(path: Path, place: tuple[int, int] = (0, 0)) -> Any:
    return open_photo(path).getpixel(place)


def png(width: int, height: int, *, depth: int, kind: int, body: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def black_rows(side: int) -> bytes:
    """A whole one-bit picture of so many pixels each way, as PNG packs it."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    return b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
