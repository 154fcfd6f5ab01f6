"""Photos of items, small enough to live inside the report."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image, ImageOps

PIXELS = 160


def photo_uri(path: Path, pixels: int = PIXELS) -> str | None:
    """A photo as a JPEG data URI whose longer side is at most ``pixels``.

    The same photo gives the same bytes; nothing of its metadata (place, camera) is kept.

    Returns:
        None if the file is gone or isn't a photo any more: the report then shows the title card.
    """
    try:
        with Image.open(path) as opened:
            upright = ImageOps.exif_transpose(opened)
            upright.thumbnail((pixels, pixels), Image.Resampling.LANCZOS)
            with_alpha = upright.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    white = Image.new("RGBA", with_alpha.size, "white")
    buffer = io.BytesIO()
    Image.alpha_composite(white, with_alpha).convert("RGB").save(buffer, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
