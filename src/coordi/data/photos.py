"""Photos from anywhere, opened safely: known formats, a cap on pixels, never half of a picture, and no metadata.

A file is judged by its content, never by its name. What comes out is pixels alone: place, camera and comments are
dropped, so nothing that is stored or shown later can hold them.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from coordi.data.photo_formats import FORMATS, FORMATS_IN_WORDS, SNIFFED, format_of, other_format
from coordi.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image

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
