"""Photos from anywhere, opened safely: three formats, a cap on pixels, and never half of a picture."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from coordi.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MAX_PIXELS = 50_000_000
MAX_BYTES = 100 * 2**20
_FORMATS = ("JPEG", "PNG", "WEBP")
_JPEG = ("JPEG", "MPO")  # what phones write for a photo with a second picture in it
_ACCEPTED = "JPEG, PNG or WebP of at most 50 megapixels"
_END_OF_JPEG = b"\xff\xd9"
_TAIL = 4096

MISSING = "photo missing: no file at its path"
NOT_A_PHOTO = "photo isn't one: not JPEG, PNG or WebP"
CUT_SHORT = "photo cut short or damaged"
OUTSIDE = "photo not in the source's folder: an address, or a path that leads out of it"
TOO_LARGE = "photo too large: more than 50 megapixels or 100 MiB"


class _PhotoError(ImageError):
    """Carries the reason that the funnel counts."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def open_photo(path: Path) -> Image.Image:
    """Decode a photo, turned upright by its EXIF orientation, on white where it is transparent.

    Returns:
        An image in mode ``RGB``.

    Raises:
        ImageError: If the file is missing, isn't JPEG, PNG or WebP, has more than 50 megapixels (checked before any
            pixel is decoded), or is cut short.
    """
    data = _bytes(path)
    return _decode(path, data)


def photo_problem(path: Path) -> str | None:
    """Why cleaning leaves a photo out, or None for a sound one; reads the header and the file's end only.

    A JPEG without an end marker near its end is decoded to be sure; checksums of PNG and the length of WebP are
    verified without decoding.
    """
    try:
        data = _bytes(path)
        image = _header(path, data)
        if image.format in _JPEG:
            if _END_OF_JPEG not in data[-_TAIL:]:
                _decode(path, data)
        elif image.format == "WEBP":
            if int.from_bytes(data[4:8], "little") + 8 > len(data):
                raise _PhotoError(CUT_SHORT, f"{path} is cut short")
        else:
            image.verify()
    except _PhotoError as error:
        return error.reason
    except (OSError, SyntaxError, ValueError):
        return CUT_SHORT
    return None


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        raise _PhotoError(MISSING, f"no photo at {path}: give the path of a {_ACCEPTED}")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _PhotoError(TOO_LARGE, f"{path} has {path.stat().st_size:,} bytes; accepted: {_ACCEPTED}, 100 MiB")
        return path.read_bytes()
    except OSError as error:
        raise _PhotoError(MISSING, f"the photo {path} can't be read: {error.strerror or error}") from error


def _header(path: Path, data: bytes) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Our own cap stands below, before any pixel is decoded; Pillow's would be a second, different one.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError as error:
        reason = CUT_SHORT if _has_signature(data) else NOT_A_PHOTO
        what = "is cut short" if reason == CUT_SHORT else "isn't a photo that coordi opens"
        raise _PhotoError(reason, f"{path} {what}; accepted: {_ACCEPTED}") from error
    except Image.DecompressionBombError as error:
        raise _PhotoError(TOO_LARGE, f"{path} has too many pixels; accepted: {_ACCEPTED}") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise _PhotoError(CUT_SHORT, f"{path} is damaged ({error}); accepted: {_ACCEPTED}") from error
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width} x {image.height}"
        raise _PhotoError(TOO_LARGE, f"{path} has {size} pixels; accepted: {_ACCEPTED}; make it smaller")
    return image


def _decode(path: Path, data: bytes) -> Image.Image:
    from PIL import Image, ImageOps

    try:
        image = ImageOps.exif_transpose(_header(path, data))
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            upright = image.convert("RGBA")
            white = Image.new("RGBA", upright.size, "white")
            return Image.alpha_composite(white, upright).convert("RGB")
        return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise _PhotoError(CUT_SHORT, f"the photo {path} is cut short or damaged ({error}); get it again") from error


def _has_signature(data: bytes) -> bool:
    jpeg, png = data.startswith(b"\xff\xd8\xff"), data.startswith(b"\x89PNG\r\n\x1a\n")
    return jpeg or png or (data.startswith(b"RIFF") and data[8:12] == b"WEBP")
