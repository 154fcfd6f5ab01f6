"""Request bodies and photo thumbnails."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from coordi.data.photos import decode_photo, photo_bytes
from coordi.serve.errors import ClientGoneError, RefusedError, as_json_text, problem_of, refused, shown
from coordi.serve.schemas import ServeSettings

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


M = TypeVar("M", bound=BaseModel)
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # what is wrong with a form is told to who sent it
PHOTO = "photo"
_LONGEST_NUMBER = 18
_AROUND = 16 * 1024  # bytes of a form beside its photo: boundaries and headers


async def read_json(request: Request, model: type[M], settings: ServeSettings) -> M:
    """The body of a request as a model, strictly: ``"5"`` is no number and NaN is none either.

    Raises:
        RefusedError: 415 for another content type, 413 for too much, 422 for anything else that is wrong with it.
    """
    kind = _media_type(request)
    if kind != "application/json":
        got = f"got '{kind}'" if kind else "got none"
        raise refused(415, "unsupported_media_type", f"the content type must be application/json, {got}")
    body = await _read(request, settings.body_bytes, settings.read_seconds, "the body")
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False)
        if not body.strip():
            details = [{**details[0], "input": ""}]
        raise RefusedError(422, problem_of(details, model)) from error


async def read_photo(request: Request, settings: ServeSettings) -> bytes:
    """The one file of a form, in the field ``photo``; not yet looked at.

    Raises:
        RefusedError: 415 for anything but a form, 413 for too large a photo, 422 for a form without a photo, with
            something else, or cut short.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if kind.lower() != b"multipart/form-data" or not boundary:
        got = _media_type(request)
        told = f"got '{got}'" if got != "multipart/form-data" else "with a boundary, which is missing"
        message = f"the content type must be multipart/form-data, {told}; send one file in the field '{PHOTO}'"
        raise refused(415, "unsupported_media_type", message)
    form = _Form(settings.photo_bytes)
    try:
        parser = MultipartParser(boundary, form.callbacks())  # type: ignore[arg-type]
        async for chunk in _chunks(request, settings.photo_bytes + _AROUND, settings.read_seconds, "the photo"):
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        message = f"the form is broken or cut short; send one file in the field '{PHOTO}' as multipart/form-data"
        raise refused(422, "invalid", message, PHOTO) from error
    return form.photo()


def said_length(request: Request, most: int) -> int:
    """Bytes that a body has at most, as far as can be known before it is read."""
    said = request.headers.get("content-length", "")
    return min(int(said), most) if said.isdecimal() and len(said) <= _LONGEST_NUMBER else most


class _Form:
    """What the parser finds: exactly one part, whose name is ``photo``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._header = [bytearray(), bytearray()]
        self._name: str | None = None
        self._names: list[str] = []
        self._content = bytearray()
        self._is_whole = False

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def photo(self) -> bytes:
        if not self._is_whole or PHOTO not in self._names:
            missing = f"the form has no field '{PHOTO}'; send one file in it"
            raise refused(
                422, "invalid", missing if self._is_whole or not self._names else "the form is cut short", PHOTO
            )
        if not self._content:
            raise refused(422, "not_an_image", "the photo is empty: it has 0 bytes; choose another file", PHOTO)
        return bytes(self._content)

    def _begin(self) -> None:
        self._name = None
        self._header = [bytearray(), bytearray()]

    def _end_header(self) -> None:
        if bytes(self._header[0]).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._header[1]))
            self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._header = [bytearray(), bytearray()]

    def _end_headers(self) -> None:
        name = self._name or ""
        if name != PHOTO:
            message = f"the form's field {shown(name)} isn't known here; accepted is '{PHOTO}', once"
            raise refused(422, "invalid", message, as_json_text(name[:60]), (PHOTO,))
        if name in self._names:
            raise refused(422, "invalid", f"the form has more than one '{PHOTO}'; send them one by one", PHOTO)
        self._names.append(name)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if len(self._content) + end - start > self._most:
            raise _too_large("the photo", self._most)
        self._content += data[start:end]

    def _end(self) -> None:
        self._is_whole = True


def _media_type(request: Request) -> str:
    return as_json_text(request.headers.get("content-type", "").split(";")[0].strip().lower())[:100]


async def _read(request: Request, most: int, seconds: float, what: str) -> bytes:
    body = bytearray()
    async for chunk in _chunks(request, most, seconds, what):
        body += chunk
    return bytes(body)


async def _chunks(request: Request, most: int, seconds: float, what: str) -> AsyncIterator[bytes]:
    """A body as it comes in, counted, whatever ``Content-Length`` says of it; refused at once if that says too much."""
    said = request.headers.get("content-length", "")
    if said.isdecimal() and (len(said) > _LONGEST_NUMBER or int(said) > most):
        raise _too_large(what, most)
    stream, count = request.stream(), 0
    while True:
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            message = f"{what} didn't come in: nothing for {seconds:g} s; send it again"
            raise refused(408, "too_slow", message, Connection="close") from error
        except ClientDisconnect as error:
            raise ClientGoneError("the client went away while it sent its request") from error
        count += len(chunk)
        if count > most:
            raise _too_large(what, most)
        yield chunk


def _too_large(what: str, most: int) -> RefusedError:
    size = f"{most / 2**20:g} MiB" if most >= 2**20 else f"{most / 1024:g} KiB"
    return refused(413, "too_large", f"{what} has more than {size}, which is the most that is accepted; send less")


async def gone(request: Request) -> None:
    """End once the client of a request whose body was read has gone away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
