"""Model calls of several requests in one batch, and how many run at once."""

from __future__ import annotations

import asyncio
import contextvars
import math
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from coordi.encoders.base import ImageTextEncoder
from coordi.model.features import GroupSums
from coordi.recommend.answers import Scorers
from coordi.serve.errors import ClientGoneError, RefusedError, busy, refused, stopping
from coordi.types import Item, OutfitScorer

if TYPE_CHECKING:
    from PIL import Image


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


class WorkerPool:
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


class MemoryBudget:
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


Q = TypeVar("Q")
A = TypeVar("A")
_PHOTOS_AT_ONCE = 16


@dataclass(eq=False)
class _Asked(Generic[Q, A]):
    questions: Sequence[Q]
    kind: object
    left: threading.Event | None
    answers: Future[Sequence[A]] = field(default_factory=Future)

    @property
    def is_wanted(self) -> bool:
        return not self.answers.done() and (self.left is None or not self.left.is_set())

    def end(self, found: Sequence[A] | BaseException) -> None:
        """Hand over answers or an error, unless it was ended before."""
        with suppress(InvalidStateError):
            if isinstance(found, BaseException):
                self.answers.set_exception(found)
            else:
                self.answers.set_result(found)


class MicroBatcher(Generic[Q, A]):
    """Gathers questions while the model is at work, and asks it all that has gathered in one call.

    Nobody is made to wait for others to come: a question that finds the model idle is asked alone.

    Args:
        work: Answers questions of one kind, in their order; called from this object's thread only.
        most: Questions in one call at most; somebody who asks more is asked for alone.
        name: Of the thread.
    """

    def __init__(self, work: Callable[[Sequence[Q], Any], Sequence[A]], most: int, name: str) -> None:
        self._work = work
        self._most = most
        self._line: queue.SimpleQueue[_Asked[Q, A] | None] = queue.SimpleQueue()
        self._gathered: list[_Asked[Q, A]] = []  # the thread's own
        self._lock = threading.Lock()
        self._open: set[_Asked[Q, A]] = set()
        self._is_closed = False
        self.is_at_work = False
        self.calls = 0
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many have asked and aren't in the call that the model is at."""
        return self._line.qsize() + len(self._gathered)

    def ask(self, questions: Sequence[Q], kind: object = None) -> Sequence[A]:
        """The answers to some questions, in their order; waits for them.

        What a lane's client has left before the model comes to it isn't asked any more.

        Args:
            questions: None need no call.
            kind: Only questions of the same kind share a call.

        Raises:
            ClientGoneError: If nobody waits for it any more.
            RefusedError: ``busy``, if this is closed, or is closed before they are answered.
            Exception: Whatever the work raises for these questions alone; another's error isn't this one's.
        """
        if not questions:
            return []
        asked = _Asked[Q, A](questions, kind, left_of_this())
        with self._lock:
            if self._is_closed:
                raise stopping()
            self._open.add(asked)
            self._line.put(asked)
        try:
            return asked.answers.result()
        finally:
            with self._lock:
                self._open.discard(asked)

    def close(self) -> None:
        """Refuse all that waits, and what is in work too; the thread ends after the call it is in the midst of."""
        with self._lock:
            self._is_closed = True
            for asked in self._open:
                asked.end(stopping())
            self._line.put(None)

    def _serve(self) -> None:
        while True:
            if not self._gathered:
                first = self._line.get()
                if first is None:
                    return
                self._gathered.append(first)
            ended = self._gather()
            self._drop()
            with self._lock:
                if ended or self._is_closed:
                    return
                self.is_at_work = bool(self._gathered)
            if self._gathered:
                self._answer(self._next())
                self.is_at_work = False

    def _gather(self) -> bool:
        """Take all that has come in; True if nothing more will."""
        while True:
            try:
                asked = self._line.get_nowait()
            except queue.Empty:
                return False
            if asked is None:
                return True
            self._gathered.append(asked)

    def _drop(self) -> None:
        """Leave out those whom nobody waits for."""
        for asked in [one for one in self._gathered if not one.is_wanted]:
            asked.end(ClientGoneError("the client went away before it was answered"))
            self._gathered.remove(asked)

    def _next(self) -> list[_Asked[Q, A]]:
        """Take the first that waits, and those of its kind that fit beside it, in their order."""
        batch = [self._gathered.pop(0)]
        count = len(batch[0].questions)
        for asked in list(self._gathered):
            if asked.kind == batch[0].kind and count + len(asked.questions) <= self._most:
                count += len(asked.questions)
                batch.append(asked)
                self._gathered.remove(asked)
        return batch

    def _answer(self, batch: list[_Asked[Q, A]]) -> None:
        self.calls += 1
        try:
            found = self._work([question for asked in batch for question in asked.questions], batch[0].kind)
        # Whatever it is, it is handed to whoever asked.
        except BaseException as error:  # noqa: BLE001
            if len(batch) == 1:
                batch[0].end(error)
                return
            for asked in batch:
                if asked.is_wanted:
                    self._answer([asked])
                else:
                    asked.end(ClientGoneError("the client went away before it was answered"))
            return
        start = 0
        for asked in batch:
            asked.end(found[start : start + len(asked.questions)])
            start += len(asked.questions)


class BatchingScorers:
    """The scorers of a model, its language model called by one thread for all requests that wait.

    Attributes:
        model: Batches outfits of several requests.
        quick: Called at once, since it takes microseconds.
    """

    def __init__(self, scorers: Scorers, batcher: MicroBatcher[Sequence[Item], float]) -> None:
        """Wrap scorers; ``batcher`` is that of ``scorer_batcher``."""
        self._scorers = scorers
        self._batcher = batcher
        self.model = BatchingScorer(scorers.model, batcher)
        self.quick = scorers.quick

    def for_catalogue(self, sums: GroupSums) -> BatchingScorers:
        """As ``Scorers.for_catalogue``; the thread is shared."""
        return BatchingScorers(self._scorers.for_catalogue(sums), self._batcher)

    def direction(self, outfit: Sequence[Item]) -> NDArray[np.float32]:
        """As ``Scorers.direction``.

        Raises:
            ClientGoneError: If nobody waits for the request any more.
        """
        check_wanted()
        return self._scorers.direction(outfit)


class BatchingScorer:
    """A scorer that one thread calls, with the outfits of all requests that wait.

    Attributes:
        name: That of the scorer.
        gives_probabilities: That of the scorer.
    """

    def __init__(self, scorer: OutfitScorer, batcher: MicroBatcher[Sequence[Item], float]) -> None:
        self.name = scorer.name
        self.gives_probabilities = scorer.gives_probabilities
        self._scorer = scorer
        self._batcher = batcher

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """As ``OutfitScorer.score``.

        Raises:
            ClientGoneError: If nobody waits for the request any more.
        """
        check_wanted()
        return np.asarray(self._batcher.ask(outfits, self._scorer), dtype=np.float64)


def scorer_batcher(most: int) -> MicroBatcher[Sequence[Item], float]:
    """Start the thread that calls language models, with at most so many outfits at once."""
    return MicroBatcher(_call_scorer, most, "language-model")


def _call_scorer(outfits: Sequence[Sequence[Item]], scorer: OutfitScorer) -> Sequence[float]:
    return [float(score) for score in scorer.score(outfits)]


class BatchingEncoder:
    """An ``ImageTextEncoder`` whose image tower is asked by one thread, for all photos that come together."""

    def __init__(self, encoder: ImageTextEncoder, most: int = _PHOTOS_AT_ONCE) -> None:
        self._encoder = encoder
        self._together = MicroBatcher[Any, NDArray[np.float32]](self._ask, most, "encoder")

    @property
    def name(self) -> str:
        """Of the encoder."""
        return self._encoder.name

    @property
    def identity(self) -> str:
        """Of the encoder."""
        return self._encoder.identity

    @property
    def dimension(self) -> int:
        """Of the encoder."""
        return self._encoder.dimension

    @property
    def logit_scale(self) -> float:
        """Of the encoder."""
        return self._encoder.logit_scale

    @property
    def logit_bias(self) -> float | None:
        """Of the encoder."""
        return self._encoder.logit_bias

    def __getattr__(self, name: str) -> Any:
        """What an encoder has beside the protocol, such as its calibration."""
        return getattr(self._encoder, name)

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """As ``ImageTextEncoder``; ends with ``ClientGoneError`` if nobody waits for the request any more."""
        check_wanted()
        if not images:
            return self._encoder.encode_images(images)
        return np.stack(list(self._together.ask(images)))

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As ``ImageTextEncoder``."""
        return self._encoder.encode_texts(texts)

    @property
    def is_at_work(self) -> bool:
        """Whether the model is in the midst of a call."""
        return self._together.is_at_work

    def close(self) -> None:
        """Refuse all that waits, and end the thread."""
        self._together.close()

    def _ask(self, images: Sequence[Image.Image], _: None) -> Sequence[NDArray[np.float32]]:
        return list(self._encoder.encode_images(images))
