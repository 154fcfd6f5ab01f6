"""Photos of the catalogue as a page shows them: small JPEGs, made in memory and kept there for a while."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from pathlib import Path

from coordi.data.photos import decode_photo, photo_bytes

SMALLEST, LARGEST, USUAL = 64, 1024, 384
_QUALITY = 82
_KEPT_BYTES = 32 * 2**20


class PhotoCache:
    """Small JPEGs of photos' files, those that were asked for last.

    Args:
        kept: Bytes that are kept at most.
    """

    def __init__(self, kept: int = _KEPT_BYTES) -> None:
        self._most = kept
        self._lock = threading.Lock()
        self._photos: OrderedDict[tuple[str, int, int, int], bytes] = OrderedDict()
        self._bytes = 0

    @property
    def kept_bytes(self) -> int:
        """Bytes that are kept now."""
        return self._bytes

    @staticmethod
    def tag(path: Path, size: int) -> str:
        """An ETag that is another one once the file or the size is; without opening the file.

        Raises:
            OSError: If the file is gone.
        """
        about = path.stat()
        return f'"{about.st_mtime_ns:x}-{about.st_size:x}-{size:x}"'

    def get(self, path: Path, size: int) -> bytes:
        """A photo as a JPEG whose longer side is ``size`` pixels at most; without metadata.

        Raises:
            PhotoError: If the file is gone or can't be opened.
            OSError: If the file is gone.
        """
        about = path.stat()
        key = (str(path), about.st_mtime_ns, about.st_size, size)
        with self._lock:
            known = self._photos.get(key)
            if known is not None:
                self._photos.move_to_end(key)
                return known
        made = small_jpeg(path, size)
        with self._lock:
            self._keep(key, made)
        return made

    def _keep(self, key: tuple[str, int, int, int], photo: bytes) -> None:
        if key in self._photos:
            return
        self._photos[key] = photo
        self._bytes += len(photo)
        while self._bytes > self._most:
            _, dropped = self._photos.popitem(last=False)
            self._bytes -= len(dropped)


def small_jpeg(path: Path, size: int) -> bytes:
    """A photo's file as a JPEG whose longer side is ``size`` pixels at most.

    Raises:
        PhotoError: If it can't be opened.
    """
    from PIL.Image import Resampling

    image = decode_photo(photo_bytes(path), path, at_least=2 * size)
    image.thumbnail((size, size), Resampling.LANCZOS)
    content = io.BytesIO()
    image.save(content, "JPEG", quality=_QUALITY, optimize=False, progressive=False)
    return content.getvalue()
