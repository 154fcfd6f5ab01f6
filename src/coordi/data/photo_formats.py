"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import re

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
