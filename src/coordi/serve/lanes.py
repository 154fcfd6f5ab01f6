"""Threads for one kind of work with a bounded line before them, so that load is refused and never piled up."""

from __future__ import annotations

import asyncio
import contextvars
import math
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from coordi.serve.errors import ClientGoneError, RefusedError, busy, refused

T = TypeVar("T")
_MOST_SECONDS = 60
_HELD_SECONDS = 2
_RECENT = 0.2  # weight of the last request's time in the mean

_gone: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar("gone", default=None)


def left_of_this() -> threading.Event | None:
    """What is set once nobody waits any more for what this thread works on; None outside of a lane."""
    return _gone.get()


def check_wanted() -> None:
    """Stop work whose client went away; to be called in a lane's thread before anything that takes long.

    Raises:
        ClientGoneError: If nobody waits for it.
    """
    gone = _gone.get()
    if gone is not None and gone.is_set():
        raise ClientGoneError("the client went away before it was answered")


class Lane:
    """Requests of one kind.

    Args:
        name: Of its threads.
        workers: Requests worked on at once.
        queue: Requests that may wait.
    """

    def __init__(self, name: str, workers: int, queue: int) -> None:
        self._workers = workers
        self._most = workers + queue
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._inside = 0
        self._mean_seconds = 0.5

    @property
    def inside(self) -> int:
        """Requests that are worked on or wait."""
        return self._inside

    async def run(self, work: Callable[[], T], left: Coroutine[Any, Any, None] | None = None) -> T:
        """Do something in one of the lane's threads.

        Args:
            work: What to do.
            left: Ends when the client has gone away. A place in the line is given free at once then; work that has
                begun ends at its next ``check_wanted``.

        Raises:
            RefusedError: ``busy``, if there is no place left.
            ClientGoneError: If the client went away first.
        """
        gone = threading.Event()
        try:
            future = self._enter(work, gone)
        except RefusedError:
            if left is not None:
                left.close()
            raise
        answer: asyncio.Future[Any] = asyncio.wrap_future(future)
        leaving: asyncio.Future[Any] | None = None if left is None else asyncio.ensure_future(left)
        try:
            await asyncio.wait({answer, leaving} if leaving else {answer}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return future.result()
            raise ClientGoneError("the client went away before it was answered")
        finally:
            gone.set()
            future.cancel()
            answer.cancel()
            if leaving is not None:
                leaving.cancel()

    def close(self) -> None:
        """Let nobody wait any more; work that has begun goes on to its end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _enter(self, work: Callable[[], T], gone: threading.Event) -> Future[T]:
        with self._lock:
            if self._inside >= self._most:
                raise busy(self._wait_seconds(), self._inside)
            self._inside += 1

        def timed() -> T:
            _gone.set(gone)
            check_wanted()
            began = time.monotonic()
            found = work()
            self._mean_seconds += _RECENT * (time.monotonic() - began - self._mean_seconds)
            return found

        try:
            future = self._pool.submit(contextvars.copy_context().run, timed)
        except RuntimeError as error:  # the pool is closed: the server stops
            self._leave()
            raise busy(_MOST_SECONDS, self._inside) from error
        future.add_done_callback(self._leave)
        return future

    def _leave(self, _: object = None) -> None:
        with self._lock:
            self._inside -= 1

    def _wait_seconds(self) -> int:
        return min(_MOST_SECONDS, max(1, math.ceil(self._mean_seconds * self._inside / self._workers)))


class Held:
    """Bytes of requests that are held in memory at once. For one thread, the event loop's.

    Args:
        most: Bytes; a request that would go beyond is refused before it is read.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.bytes = 0

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Hold so many bytes during the block.

        Raises:
            RefusedError: ``busy``.
        """
        if self.bytes + size > self._most:
            message = (
                f"{self.bytes / 2**20:.0f} MiB of photos are held already, which is all there is room for; ask again"
            )
            raise refused(503, "busy", f"{message} in {_HELD_SECONDS} s", Retry_After=str(_HELD_SECONDS))
        self.bytes += size
        try:
            yield
        finally:
            self.bytes -= size
