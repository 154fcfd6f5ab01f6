"""How the server is run: where it listens, whom it lets in, and how much it takes on at once."""

from __future__ import annotations

from pydantic import Field, SecretStr

from coordi.config import Settings


class ServeSettings(Settings):
    """Options of ``coordi serve``.

    Attributes:
        host: Address that is listened on.
        port: 0 takes any that is free.
        names: Further names under which the server is asked for, such as a reverse proxy's; see ``security``.
        token: What every request to the API must carry; None asks for nothing.
        workers: Requests that need a model and are worked on at once. Their model calls are made together.
        queue: Requests that need a model and wait; the next is answered with 503.
        together: Outfits in one call of the language model at most; 1 batches nothing.
        photo_bytes: Largest photo that is taken in.
        body_bytes: Largest JSON body.
        read_seconds: A client that sends nothing for so long is no longer waited for.
        stop_seconds: What is in work is finished for so long once the server is to stop.
        access_log: Whether a line is written for each request: method, path without the query, status, time.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    names: tuple[str, ...] = ()
    token: SecretStr | None = None
    workers: int = Field(default=8, ge=1, le=64)
    queue: int = Field(default=64, ge=0, le=10_000)
    together: int = Field(default=128, ge=1, le=10_000)
    photo_bytes: int = Field(default=20 * 2**20, ge=1024)
    body_bytes: int = Field(default=64 * 1024, ge=1024)
    read_seconds: float = Field(default=30, gt=0)
    stop_seconds: int = Field(default=30, ge=1)
    access_log: bool = False
