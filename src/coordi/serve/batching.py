"""Limits on the requests in work, and model calls that are batched across requests."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from coordi.model.features import GroupSums
from coordi.model.generation import NameRequest, Written
from coordi.recommend.answers import Scorers
from coordi.recommend.reasons import scores_of
from coordi.serve.errors import ClientGoneError, busy, stopping
from coordi.types import EmbeddingSort, Item, OutfitScorer

Q = TypeVar("Q")
A = TypeVar("A")
T = TypeVar("T")

# Set once the client of the request that this thread works on is gone.
_client_gone: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar("client_gone", default=None)


def check_client() -> None:
    """Raise ``ClientGoneError`` for a client that is gone; to be called in a worker's thread before slow steps."""
    gone = _client_gone.get()
    if gone is not None and gone.is_set():
        raise ClientGoneError


class WorkerPool:
    """Threads for requests of one kind: so many workers, and so many requests that may wait."""

    def __init__(self, name: str, workers: int, queue: int) -> None:
        self._capacity = workers + queue
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._size = 0

    @property
    def size(self) -> int:
        """Number of requests that are in work or wait."""
        return self._size

    async def run(self, work: Callable[[], T], disconnect: Coroutine[Any, Any, None] | None = None) -> T:
        """Run ``work`` in one of the threads and return its result; a full or closed pool is a ``busy`` error.

        Once ``disconnect`` ends, waiting work is dropped, begun work ends at ``check_client``: a ``ClientGoneError``.
        """
        gone = threading.Event()
        leaving = None if disconnect is None else asyncio.ensure_future(disconnect)
        answer: asyncio.Future[T] | None = None
        try:
            answer = asyncio.wrap_future(self._submit(work, gone))
            waiting: set[asyncio.Future[Any]] = {answer} if leaving is None else {answer, leaving}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            raise ClientGoneError
        finally:
            gone.set()
            for future in (answer, leaving):
                if future is not None:
                    future.cancel()

    def close(self) -> None:
        """Refuse what waits and what comes; work that has begun goes on to its end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, work: Callable[[], T], gone: threading.Event) -> Future[T]:
        def run() -> T:
            _client_gone.set(gone)
            check_client()
            return work()

        with self._lock:
            if self._size >= self._capacity:
                raise busy(f"{self._size} requests are in work or wait, which is the limit")
            self._size += 1
        try:
            future = self._pool.submit(contextvars.copy_context().run, run)
        except RuntimeError as error:  # the pool is closed
            self._release()
            raise stopping() from error
        future.add_done_callback(self._release)
        return future

    def _release(self, _: object = None) -> None:
        with self._lock:
            self._size -= 1


class MemoryBudget:
    """Limit on the bytes of all uploads in memory; for the event loop's thread only."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self.used = 0

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Reserve so many bytes during the block; a ``busy`` ``RefusedError`` if fewer are free."""
        if self.used + size > self._capacity:
            raise busy(f"photos of {self.used / 2**20:.0f} MiB are being received, which is the limit")
        self.used += size
        try:
            yield
        finally:
            self.used -= size


@dataclass(eq=False)
class _Call(Generic[Q, A]):
    questions: Sequence[Q]
    kind: object
    gone: threading.Event | None
    answers: Future[Sequence[A]] = field(default_factory=Future)

    def finish(self, result: Sequence[A] | BaseException) -> None:
        """Hand over answers or an error; a call that was refused before stays so."""
        with suppress(InvalidStateError):
            if isinstance(result, BaseException):
                self.answers.set_exception(result)
            else:
                self.answers.set_result(result)

    def drop_if_abandoned(self) -> bool:
        """Whether nobody waits for the answers."""
        if self.gone is not None and self.gone.is_set():
            self.finish(ClientGoneError())
        return self.answers.done()


class MicroBatcher(Generic[Q, A]):
    """Calls a model from one thread; what arrives during a call is batched into the next one.

    A call has at most ``max_batch`` questions, unless a single caller has more.
    """

    def __init__(self, work: Callable[[Sequence[Q], Any], Sequence[A]], max_batch: int, name: str) -> None:
        self._work = work
        self._max_batch = max_batch
        self._changed = threading.Condition()
        self._waiting: deque[_Call[Q, A]] = deque()
        self._batch: list[_Call[Q, A]] = []
        self._is_closed = False
        self.calls = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Number of callers that aren't in the current batch."""
        return len(self._waiting)

    def call(self, questions: Sequence[Q], kind: object = None) -> Sequence[A]:
        """Wait for the answers to some questions, in their order; only questions of one kind share a call.

        Errors are those of these questions alone; ``ClientGoneError`` if the client left first, ``busy`` once closed.
        """
        if not questions:
            return []
        call = _Call[Q, A](questions, kind, _client_gone.get())
        with self._changed:
            if self._is_closed:
                raise stopping()
            self._waiting.append(call)
            self._changed.notify()
        return call.answers.result()

    def close(self) -> None:
        """Refuse all callers; the thread ends after the model call that has begun."""
        with self._changed:
            self._is_closed = True
            for call in (*self._waiting, *self._batch):
                call.finish(stopping())
            self._changed.notify()

    def join(self, seconds: float | None = None) -> bool:
        """Wait for the thread of a closed batcher to end; False if it didn't in this time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while batch := self._next_batch():
            self._answer(batch)

    def _next_batch(self) -> list[_Call[Q, A]]:
        """The first that waits, and those of its kind that fit beside it, in their order; none once this is closed."""
        with self._changed:
            self._batch = []
            self._changed.wait_for(self._is_ready)
            if self._is_closed:
                return []
            first, count = self._waiting[0], 0
            for call in tuple(self._waiting):
                fits = count + len(call.questions) <= self._max_batch and call.kind == first.kind
                if fits or call is first:
                    count += len(call.questions)
                    self._batch.append(call)
                    self._waiting.remove(call)
            return list(self._batch)

    def _is_ready(self) -> bool:
        self._waiting = deque(call for call in self._waiting if not call.drop_if_abandoned())
        return self._is_closed or bool(self._waiting)

    def _answer(self, batch: list[_Call[Q, A]]) -> None:
        self.calls += 1
        try:
            answers = self._work([question for call in batch for question in call.questions], batch[0].kind)
        # Every error goes to whoever asked; one of a batch must not fail the others.
        except BaseException as error:  # noqa: BLE001
            if len(batch) == 1:
                batch[0].finish(error)
                return
            for call in batch:
                if not call.drop_if_abandoned():
                    self._answer([call])
            return
        start = 0
        for call in batch:
            call.finish(answers[start : start + len(call.questions)])
            start += len(call.questions)


class BatchingScorers:
    """Scorers whose language model is called by one thread for all requests; the fast ``quick`` is called directly."""

    def __init__(self, scorers: Scorers, batcher: ModelBatcher) -> None:
        self._scorers = scorers
        self._batcher = batcher
        self.model = BatchingScorer(scorers.model, batcher)
        self.quick = scorers.quick
        self.explaining = self.quick if scorers.explaining is scorers.quick else self.model

    def for_catalogue(self, sums: GroupSums) -> BatchingScorers:
        """As ``Scorers.for_catalogue``; the thread is shared."""
        return BatchingScorers(self._scorers.for_catalogue(sums), self._batcher)

    def directions(self, outfit: Sequence[Item]) -> Mapping[EmbeddingSort, NDArray[np.float32]]:
        """As ``Scorers.directions``; raises ``ClientGoneError`` if the client is gone."""
        check_client()
        return self._scorers.directions(outfit)

    def write(self, requests: Sequence[NameRequest]) -> Sequence[Written]:
        """As ``Scorers.write``, by the thread that scores, since both use one model."""
        check_client()
        return self._batcher.call(requests, self._scorers.write)


class BatchingScorer:
    """A scorer that one thread calls with the outfits of all requests that wait."""

    def __init__(self, scorer: OutfitScorer, batcher: ModelBatcher) -> None:
        self.name = scorer.name
        self.gives_probabilities = scorer.gives_probabilities
        self._scorer = scorer
        self._batcher = batcher

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """As ``OutfitScorer.score``; raises ``ClientGoneError`` if the client is gone."""
        check_client()
        return np.asarray(self._batcher.call(outfits, self._scores), dtype=np.float64)

    def _scores(self, outfits: Sequence[Sequence[Item]]) -> Sequence[float]:
        return scores_of(self._scorer, outfits)


ModelBatcher = MicroBatcher[Any, Any]
"""Calls with outfits or requests for names; the kind of a call is the function that answers it."""


def scorer_batcher(max_batch: int) -> ModelBatcher:
    """Start the thread that calls language models, with at most so many outfits per call."""
    return ModelBatcher(lambda questions, answer: answer(questions), max_batch, "language-model")
