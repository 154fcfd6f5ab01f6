"""The page at ``/`` and its files, which come with coordi."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from fastapi import FastAPI, Response
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from coordi.serve.errors import refused

STATIC = Path(__file__).parents[1] / "static"
_KINDS = {
    ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".html": "text/html",
    ".svg": "image/svg+xml", ".webmanifest": "application/manifest+json", ".json": "application/json",
}  # fmt: skip


class _Files(StaticFiles):
    """Files that a browser keeps, and asks each time whether they are still the same."""

    async def check_config(self) -> None:
        """A folder that isn't there holds no files, which is no error of the server."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.setdefault("Cache-Control", "no-cache")
        return response


def add_page(app: FastAPI, folder: Path = STATIC) -> None:
    """Serve ``index.html`` at ``/`` and the folder's files under ``/static/``."""
    for suffix, kind in _KINDS.items():  # a system may have its own idea of these
        mimetypes.add_type(kind, suffix)

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        page = folder / "index.html"
        if not page.is_file():
            raise refused(404, "not_found", "this coordi was installed without its page; the API is at /api/v1")
        return FileResponse(page, headers={"Cache-Control": "no-cache"})

    app.mount("/static", _Files(directory=folder, check_dir=False), name="static")
