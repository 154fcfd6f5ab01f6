"""Opens photos safely: formats, limits, orientation, and thumbnails."""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image, ImageChops, ImageCms, ImageOps, UnidentifiedImageError

from coordi.errors import ImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF", "HEIF")
"""Formats that are opened, by Pillow's names, HEIF with the extra ``heic``. libtiff, whose decoder has the longest list
of holes, is left out."""
FORMATS_IN_WORDS = "JPEG, PNG, WebP, AVIF, HEIC, GIF or BMP"
SNIFFED = 256
"""Bytes of a file's start that identify its format."""

_HEIC = "HEIC, which is opened after: pip install 'coordi[heic]'"

# By pattern of a file's first bytes, the format in a user's words; the first group of lines is opened.
_OPENED = {
    rb"\xff\xd8\xff": "JPEG",
    rb"\x89PNG\r\n\x1a\n": "PNG",
    rb"RIFF....WEBP": "WEBP",
    rb"GIF8[79]a": "GIF",
    # Two letters alone would make a photo of every text about BMWs; the size of the header follows them.
    rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0": "BMP",
    # A still that is both may name the common brand first, and AVIF among those after it.
    rb"....ftyp(.{4}){0,8}avif": "AVIF",
    rb"....ftyp(hei[cxms]|hev[cx]|mif1|msf1)": "HEIF",
}
_OTHERS = {
    rb"....ftyp(hei[cxms]|hev[cx]|mif1|msf1)": _HEIC,
    rb"....ftyp": "a video",
    rb"II\*\0|MM\0\*": "TIFF or a camera's raw file",
    rb"\xff\x0a|\0\0\0\x0cJXL ": "JPEG XL",
    rb"\0\0\0\x0cjP  ": "JPEG 2000",
    rb"8BPS": "a Photoshop file",
    rb"%PDF": "PDF",
    rb"PK\x03\x04": "a ZIP or an office file",
    rb"\s*<(\?xml[^>]*>\s*<)?(!--.*?-->\s*<)?svg": "SVG",
}


def format_of(start: bytes) -> str | None:
    """The one of ``FORMATS`` that a file's first bytes announce; None for any other file, and for HEIC without its
    extra.
    """
    name = _matching(_OPENED, start)
    return None if name == "HEIF" and _heif() is None else name


def _matching(patterns: Mapping[bytes, str], start: bytes) -> str | None:
    return next((name for pattern, name in patterns.items() if re.match(pattern, start, re.DOTALL)), None)


PHOTO_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".avif", ".heic", ".heif")
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
_LARGEST_PROFILE = 4 * 2**20  # bytes; those of printers have some 2 MiB
_NEARLY_WHITE = 225  # mean brightness of what is visible of a cut-out, of 255; on white it would vanish
_SAMPLED = 512  # pixels a side of which that mean is taken: of all it would need over a GiB
_GREY = (190, 190, 190)
_LONGEST = 50  # times the shorter side; an encoder that enlarges the shorter side would need memory without bound
# Everything that Pillow's readers raise on damaged or invented bytes; its warnings too, where a caller turns warnings
# into errors.
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, struct.error, zlib.error,
    RuntimeError, UserWarning,
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
    """A photo that can't be opened; ``reason`` is the same for every such photo, so that it can be counted."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def open_photo(path: Path) -> Image.Image:
    """Decode a photo to ``RGB`` in sRGB without metadata: upright by its EXIF orientation, in its colour profile, and
    where it is transparent on white, or on grey if what is visible is nearly white. The first picture of an animation
    is used; 16-bit photos keep their upper 8 bits. Raises PhotoError if the file is missing, cut short or not of
    ``FORMATS``, or (before any pixel is decoded) has more than 50 megapixels or one side more than 50 times the other.
    """
    return decode_photo(photo_bytes(path), path)


def photo_bytes(path: Path) -> bytes:
    """The bytes of a photo's file, not yet checked."""
    try:
        if "\0" in str(path) or not path.is_file():  # a loop of links, a folder and a pipe aren't files
            raise PhotoError(MISSING, f"no photo at {path}: give the path of a {_ACCEPTED}")
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
    """How many pixels a photo has by its header; nothing is decoded."""
    image = _header(path, data)
    return image.width * image.height


def decode_photo(data: bytes, path: Path, at_least: int | None = None) -> Image.Image:
    """Decode a photo from its file's bytes, as ``open_photo`` does; ``path`` names it in errors. With ``at_least``, a
    JPEG may come out at half, a quarter or an eighth of its size (much faster) while neither side falls below that.
    """
    image = _header(path, data)
    try:
        if at_least is not None:
            image.draft(image.mode, (at_least, at_least))
        image.load()
        plain = _plain(_in_srgb(_with_inks(_upright(image))))
    except _BROKEN as error:
        raise PhotoError(CUT_SHORT, f"the photo {path} is cut short or damaged ({error}); get it again") from error
    plain.info = {}
    return plain


def photo_problem(path: Path) -> str | None:
    """Why cleaning leaves a photo out, or None. Most are judged by header and end: a JPEG without an end marker, a GIF
    and a BMP are decoded; checksums of PNG and the length of WebP are verified without decoding.
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
    """The funnel's reason for a file that isn't opened, from its first bytes."""
    name = _matching(_OTHERS, start)
    if name == _HEIC:
        return f"photo is {name}; or save it as JPEG"
    return NOT_A_PHOTO if name is None else f"photo is {name}, which isn't opened: save it as JPEG or PNG"


def _header(path: Path, data: bytes) -> Image.Image:
    kind = format_of(data)
    if kind is None:
        name = _matching(_OTHERS, data[:SNIFFED])
        what = "isn't a photo that coordi opens" if name is None else f"is {name}"
        raise PhotoError(not_a_photo(data[:SNIFFED]), f"{path} {what}; accepted: {_ACCEPTED}")
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
    size = f"{image.width} x {image.height}"
    if image.width * image.height > MAX_PIXELS:
        raise PhotoError(TOO_LARGE, f"{path} has {size} pixels; accepted: {_ACCEPTED}; make it smaller")
    if max(image.size) > _LONGEST * min(image.size):
        raise PhotoError(TOO_NARROW, f"{path} has {size} pixels; accepted: sides up to 1 : {_LONGEST}; cut it")
    return image


@cache
def _heif() -> ModuleType | None:
    """Pillow's plug-in for HEIC, registered; None if the extra isn't installed."""
    try:
        import pillow_heif
    except ImportError:
        return None
    pillow_heif.register_heif_opener()
    module: ModuleType = pillow_heif
    return module


def _scans(data: bytes) -> int:
    """Scans of the first picture of a JPEG file, from one marker to the next, up to its end."""
    position, scans = 2, 0
    while 0 <= position < len(data) - 3 and scans <= _MOST_SCANS:
        kind = data[position + 1] if data[position] == 0xFF else 0
        if kind == _END_OF_PICTURE:
            break
        if kind in _WITHOUT_LENGTH:
            position = data.find(b"\xff", position + 1)
            continue
        scans += kind == _START_OF_SCAN[1]
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return scans


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _BROKEN:
        return image


def _with_inks(image: Image.Image) -> Image.Image:
    """A CMYK photo as inks. Pillow turns the values of every such JPEG round, which only Adobe's marker calls for."""
    return ImageChops.invert(image) if image.mode == "CMYK" and "adobe" not in image.info else image


def _in_srgb(image: Image.Image) -> Image.Image:
    """The photo in sRGB if it has another colour profile (phones write Display P3); as it is if that can't be used."""
    profile = image.info.get("icc_profile")
    if not profile or len(profile) > _LARGEST_PROFILE or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return image
        colours = image.convert("RGB") if image.mode == "RGBA" else image
        plain = ImageCms.profileToProfile(colours, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, *_BROKEN):
        return image
    assert plain is not None
    if image.mode == "RGBA":
        plain.putalpha(image.getchannel("A"))
    return plain


def _plain(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits; Pillow's own conversion makes everything above 255 white
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    elif image.mode == "1":
        image = image.convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    clear = image.convert("RGBA")
    alpha = clear.getchannel("A")
    sample = clear.resize([min(side, _SAMPLED) for side in clear.size], Image.Resampling.NEAREST)
    weights = np.asarray(sample.getchannel("A"), dtype=np.float64)
    visible = float((np.asarray(sample.convert("L")) * weights).sum() / max(weights.sum(), 1))
    ground = Image.new("RGB", clear.size, "white" if visible < _NEARLY_WHITE else _GREY)
    ground.paste(clear, mask=alpha)
    return ground


PIXELS = 160


def photo_uri(path: Path, pixels: int = PIXELS) -> str | None:
    """A photo as a JPEG data URI, its longer side at most ``pixels``, without metadata; None if it can't be opened."""
    try:
        photo = decode_photo(photo_bytes(path), path, at_least=2 * pixels)
    except ImageError:
        return None
    photo.thumbnail((pixels, pixels), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
