"""Opens photos safely: formats, limits, orientation, and thumbnails."""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from coordi.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image


SNIFFED = 256
"""So many bytes from a file's start tell its format."""
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""Formats that are opened, by Pillow's names. What users have and Pillow itself, libjpeg, libpng and libwebp decode;
libtiff, whose decoder has the longest list of holes, and formats that not every build of Pillow has are left out."""
FORMATS_IN_WORDS = "JPEG, PNG, WebP, GIF or BMP"

_HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_OTHERS = (
    (b"II*\0", "TIFF or a camera's raw file"),
    (b"MM\0*", "TIFF or a camera's raw file"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "a ZIP or an office file"),
)


def format_of(start: bytes) -> str | None:
    """The one of ``FORMATS`` that a file's first bytes announce; None for any other file."""
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WEBP"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    # Two letters alone would make a photo of every text about BMWs.
    is_bmp = start.startswith(b"BM") and int.from_bytes(start[14:18], "little") in _BMP_HEADERS
    return "BMP" if is_bmp else None


def other_format(start: bytes) -> str | None:
    """In a user's words, a known format that isn't opened; None if the bytes tell nothing."""
    if start[4:8] == b"ftyp":
        brand = start[8:12]
        if brand in _HEIC:
            return "HEIC"
        return "AVIF" if brand in (b"avif", b"avis") else "a video"
    for signature, name in _OTHERS:
        if start.startswith(signature):
            return name
    return "SVG" if re.match(rb"\s*<(\?xml[^>]*>\s*<)?(!--.*?-->\s*<)?svg", start, re.DOTALL) else None


PHOTO_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp")
MAX_PIXELS = 50_000_000
MAX_BYTES = 100 * 2**20
_ACCEPTED = f"{FORMATS_IN_WORDS} of at most 50 megapixels"
_END_OF_JPEG = b"\xff\xd9"
_TAIL = 4096
_START_OF_SCAN = b"\xff\xda"
_END_OF_PICTURE = 0xD9
# Stuffed bytes of a scan, fill bytes, restarts and starts: no length follows them.
_WITHOUT_LENGTH = frozenset({0x00, 0x01, 0xFF, *range(0xD0, 0xD9)})
_MOST_SCANS = 100  # a progressive photo has about 10; each is a pass over every pixel
_ORIENTATION = 0x0112
_LONGEST = 50  # times the shorter side; an encoder that enlarges the shorter side would need memory without bound
# Everything that Pillow's readers raise on bytes that somebody, or chance, made up; its warnings are among them where
# a caller has made errors of warnings.
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, struct.error, zlib.error,
    UserWarning,
)  # fmt: skip

MISSING = "photo missing: no file at its path"
NOT_ALLOWED = "photo can't be read: its rights, or the disk"
EMPTY = "photo empty: the file has no bytes"
NOT_A_PHOTO = f"photo isn't one: not {FORMATS_IN_WORDS}"
CUT_SHORT = "photo cut short or damaged"
OUTSIDE = "photo not in the source's folder: an address, or a path that leads out of it"
TOO_LARGE = "photo too large: more than 50 megapixels or 100 MiB"
TOO_NARROW = f"photo too narrow: one side is more than {_LONGEST} times the other"


class PhotoError(ImageError):
    """A photo that isn't opened.

    Attributes:
        reason: The kind of problem, the same words for every such photo, so that it can be counted.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def open_photo(path: Path) -> Image.Image:
    """Decode a photo, turned upright by its EXIF orientation, on white where it is transparent.

    Of an animation the first picture is taken. 16-bit photos keep their upper 8 bits; CMYK is turned to RGB without
    a colour profile.

    Returns:
        An image in mode ``RGB`` that holds no metadata.

    Raises:
        PhotoError: If the file is missing, isn't JPEG, PNG, WebP, GIF or BMP, has more than 50 megapixels or
            one side more than 50 times the other (checked before any pixel is decoded), or is cut short.
    """
    return decode_photo(photo_bytes(path), path)


def photo_bytes(path: Path) -> bytes:
    """A photo's file as it is, not yet looked at.

    Raises:
        PhotoError: If it is no file, can't be read, is empty or has more than 100 MiB.
    """
    if not _is_file(path):
        raise PhotoError(MISSING, f"no photo at {path}: give the path of a {_ACCEPTED}")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PhotoError(NOT_ALLOWED, f"the photo {path} can't be read: {error.strerror or error}") from error
    if not data:
        raise PhotoError(EMPTY, f"{path} is empty: it has 0 bytes; get it again")
    if len(data) > MAX_BYTES:
        raise PhotoError(TOO_LARGE, f"{path} has {path.stat().st_size:,} bytes; accepted: {_ACCEPTED}, 100 MiB")
    return data


def photo_pixels(data: bytes, path: Path) -> int:
    """How many pixels a photo has by its header; nothing is decoded.

    Args:
        data: The file's bytes.
        path: Names the photo in errors.

    Raises:
        PhotoError: As ``open_photo``.
    """
    image = _header(path, data)
    return image.width * image.height


def decode_photo(data: bytes, path: Path, at_least: int | None = None) -> Image.Image:
    """Decode a photo from its file's bytes, as ``open_photo`` does.

    Args:
        data: The file's bytes.
        path: Names the photo in errors.
        at_least: A JPEG may come out at half, a quarter or an eighth of its size, which is much faster, as long as
            neither side falls below this; None decodes all of it.

    Raises:
        PhotoError: As ``open_photo``.
    """
    image = _header(path, data)
    try:
        if at_least is not None:
            image.draft(image.mode, (at_least, at_least))
        image.load()
        upright = _upright(image)
        plain = _plain(upright)
    except _BROKEN as error:
        raise PhotoError(CUT_SHORT, f"the photo {path} is cut short or damaged ({error}); get it again") from error
    plain.info = {}
    return plain


def photo_problem(path: Path) -> str | None:
    """Why cleaning leaves a photo out, or None for a sound one; most are judged by header and file's end only.

    A JPEG without an end marker near its end, a GIF and a BMP are decoded to be sure; checksums of PNG and the length
    of WebP are verified without decoding.
    """
    try:
        data = photo_bytes(path)
        image = _header(path, data)
        kind = format_of(data)
        if kind == "PNG":
            image.verify()
        elif kind == "WEBP":
            if int.from_bytes(data[4:8], "little") + 8 > len(data):
                return CUT_SHORT
        elif kind != "JPEG" or _END_OF_JPEG not in data[-_TAIL:]:
            decode_photo(data, path)
    except PhotoError as error:
        return error.reason
    except _BROKEN:
        return CUT_SHORT
    return None


def not_a_photo(start: bytes) -> str:
    """What the funnel says of a file that isn't opened, from its first bytes."""
    name = other_format(start)
    return NOT_A_PHOTO if name is None else f"photo is {name}, which isn't opened: save it as JPEG or PNG"


def _is_file(path: Path) -> bool:
    """Whether a path leads to a plain file; a loop of links, a folder and a pipe don't."""
    try:
        return path.is_file()
    except OSError as error:
        raise PhotoError(NOT_ALLOWED, f"the photo {path} can't be read: {error.strerror or error}") from error
    except ValueError:
        return False


def _header(path: Path, data: bytes) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    kind = format_of(data)
    if kind is None:
        reason, name = not_a_photo(data[:SNIFFED]), other_format(data[:SNIFFED])
        what = "isn't a photo that coordi opens" if name is None else f"is {name}"
        raise PhotoError(reason, f"{path} {what}; accepted: {_ACCEPTED}")
    # Counting bytes is quick, but a phone's short film behind the photo holds such bytes by chance.
    if kind == "JPEG" and data.count(_START_OF_SCAN) > _MOST_SCANS and _scans(data) > _MOST_SCANS:
        raise PhotoError(
            CUT_SHORT, f"{path} has more than {_MOST_SCANS} scans, which is what is accepted; save it again"
        )
    try:
        # Pillow's name for what phones write where a photo has a second picture in it.
        image = Image.open(io.BytesIO(data), formats=(*FORMATS, "MPO") if kind == "JPEG" else (kind,))
    # Between one and two times Pillow's own cap it only warns; ours is lower, so both mean the same here.
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotoError(TOO_LARGE, f"{path} has too many pixels; accepted: {_ACCEPTED}; make it smaller") from error
    except UnidentifiedImageError as error:
        raise PhotoError(CUT_SHORT, f"{path} is cut short or damaged; accepted: {_ACCEPTED}; get it again") from error
    except _BROKEN as error:
        raise PhotoError(CUT_SHORT, f"{path} is damaged ({error}); accepted: {_ACCEPTED}; get it again") from error
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width} x {image.height}"
        raise PhotoError(TOO_LARGE, f"{path} has {size} pixels; accepted: {_ACCEPTED}; make it smaller")
    if max(image.size) > _LONGEST * min(image.size):
        size = f"{image.width} x {image.height}"
        raise PhotoError(TOO_NARROW, f"{path} has {size} pixels; accepted: sides up to 1 : {_LONGEST}; cut it")
    return image


def _scans(data: bytes) -> int:
    """Scans of the first picture of a JPEG file, from one marker to the next, up to its end."""
    place, scans = 2, 0
    while 0 <= place < len(data) - 3 and scans <= _MOST_SCANS:
        kind = data[place + 1] if data[place] == 0xFF else 0
        if kind == _END_OF_PICTURE:
            break
        if kind in _WITHOUT_LENGTH:
            place = data.find(b"\xff", place + 1)
            continue
        scans += kind == _START_OF_SCAN[1]
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return scans


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF orientation says; as it is where that can't be read."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
    }  # fmt: skip
    try:
        turn = turns.get(image.getexif().get(_ORIENTATION, 1))
    except _BROKEN:
        return image
    return image if turn is None else image.transpose(turn)


def _plain(image: Image.Image) -> Image.Image:
    """In mode ``RGB``, a new image whatever the mode was."""
    from PIL import Image as Images

    if image.mode.startswith("I"):
        image = _upper_bits(image)
    elif image.mode == "1":
        image = image.convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    clear = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Images.new("RGB", clear.size, "white")
    white.paste(clear, mask=clear.getchannel("A"))
    return white


def _upper_bits(image: Image.Image) -> Image.Image:
    """A 16-bit grey photo in 8 bits; Pillow's own conversion makes everything above 255 white."""
    import numpy as np
    from PIL import Image as Images

    grey = np.asarray(image).astype(np.int64) >> 8
    return Images.fromarray(grey.clip(0, 255).astype(np.uint8))


PIXELS = 160


def photo_uri(path: Path, pixels: int = PIXELS) -> str | None:
    """A photo as a JPEG data URI whose longer side is at most ``pixels``.

    The same photo gives the same bytes; nothing of its metadata (place, camera) is kept.

    Returns:
        None if the file is gone or isn't a photo that ``open_photo`` opens any more: the page then shows a drawing.
    """
    try:
        photo = decode_photo(photo_bytes(path), path, at_least=2 * pixels)
    except ImageError:
        return None
    photo.thumbnail((pixels, pixels), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
