"""Photos small enough to live inside a page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from coordi.data.photos import decode_photo, photo_bytes
from coordi.errors import ImageError

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
