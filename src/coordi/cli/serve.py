"""``coordi serve``: the API and the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coordi.cli.console import note, progress_bar

if TYPE_CHECKING:
    from coordi.pipeline.advising import Advisor

_NEEDED = ("fastapi", "uvicorn", "python_multipart", "torch", "duckdb")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("serve")(serve)


def serve(
    catalogue: Annotated[
        Path | None,
        typer.Option("--catalogue", help="What `coordi catalogue build` made; without one, no suggestions."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="As for `coordi score`.")] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; any but this machine's own asks for a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any that is free.")] = 8000,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="A name it is asked under, such as a reverse proxy's; repeatable."),
    ] = None,
    token: Annotated[
        str | None, typer.Option("--token", help="What requests must carry. Others on this machine can see it.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="A file with the token. Or set COORDI_TOKEN.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Requests worked on at once.")] = 8,
    queue: Annotated[
        int, typer.Option("--queue", min=0, max=10_000, help="Requests that may wait; the next gets a 503.")
    ] = 64,
    photo_megabytes: Annotated[
        int, typer.Option("--photo-megabytes", min=1, max=100, help="Largest photo taken in.")
    ] = 20,
    stop_seconds: Annotated[
        int, typer.Option("--stop-seconds", min=1, help="How long work in hand is finished for when it is stopped.")
    ] = 30,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="A line for each request: method, path without its query, status.")
    ] = False,
) -> None:
    """Serve advice over HTTP on this machine: the page at /, the API under /api/v1. Ctrl-C stops it.

    Nothing leaves the machine, and photos that are sent are never written to its disk.

    Example: coordi serve --catalogue shop-catalogue
    """
    from coordi.errors import require

    for module in _NEEDED:
        require(module, "serve")
    from coordi.serve.running import run
    from coordi.serve.security import find_token
    from coordi.serve.settings import ServeSettings

    settings = ServeSettings(
        host=host,
        port=port,
        names=tuple(name or ()),
        token=find_token(token, token_file),
        workers=workers,
        queue=queue,
        photo_bytes=photo_megabytes * 2**20,
        stop_seconds=stop_seconds,
        access_log=access_log,
    )
    if catalogue is not None:
        _check_catalogue(catalogue)
    run(settings, lambda: _open(catalogue, model), note)


def _check_catalogue(folder: Path) -> None:
    """Refuse at once what isn't a catalogue or a run, before models are loaded."""
    from coordi.errors import ArtifactError
    from coordi.pipeline.workspace import CLAIM
    from coordi.recommend.catalogue_file import INFO_FILE

    if (folder / INFO_FILE).is_file() or (folder / CLAIM).is_file():
        return
    what = "isn't a built catalogue" if folder.exists() else "isn't there"
    source = folder if folder.exists() else "YOUR_PHOTOS_OR_CSV"
    raise ArtifactError(
        f"'{folder}' {what}; build one with: coordi catalogue build '{source}' --out my-catalogue, then: coordi serve "
        "--catalogue my-catalogue"
    )


def _open(catalogue: Path | None, model: str | None) -> Advisor:
    from coordi.pipeline.advising import Advisor

    return Advisor.open(catalogue, model, note, progress_bar)
