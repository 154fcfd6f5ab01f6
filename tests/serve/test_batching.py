"""Questions that arrive during a call share the next one, and each gets its own answer or its own error."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.api import Model as CoordiModel
from coordi.serve.batching import BatchingScorer, MicroBatcher, WorkerPool, scorer_batcher
from coordi.serve.errors import ClientGoneError, RefusedError
from coordi.types import Item


class Model:
    """Doubles numbers, not before it is let, and remembers what it was asked at once."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.free = threading.Event()
        self.began = threading.Event()

    def __call__(self, questions: Sequence[int], kind: object) -> Sequence[int]:
        self.batches.append(list(questions))
        self.began.set()
        assert self.free.wait(60)
        if any(question < 0 for question in questions):
            raise ValueError(f"{min(questions)} is below 0")
        return [2 * question for question in questions]


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as threads:
        yield threads


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so() and time.monotonic() < end:
        time.sleep(0.001)
    assert is_so()


def gathered(
    batcher: MicroBatcher[int, int], pool: ThreadPoolExecutor, model: Model, groups: list[list[int]]
) -> list[object]:
    """Ask something that keeps the model busy, then all of these one after the other, then let it go."""
    first = pool.submit(batcher.call, [0])
    assert model.began.wait(60)
    waiting: list[Future[Sequence[int]]] = []
    for questions in groups:
        waiting.append(pool.submit(batcher.call, questions))
        wait_until(lambda: batcher.waiting >= len(waiting))
    model.free.set()
    assert first.result(60) == [0]
    return [entry.exception(60) or entry.result() for entry in waiting]


def test_what_comes_while_the_model_works_shares_the_next_call(model: Model, pool: ThreadPoolExecutor) -> None:
    batcher = MicroBatcher[int, int](model, 100, "test")
    assert gathered(batcher, pool, model, [[1, 2], [3], [4, 5, 6]]) == [[2, 4], [6], [8, 10, 12]]
    assert model.batches == [[0], [1, 2, 3, 4, 5, 6]]
    assert batcher.calls == 2
    batcher.close()


def test_no_call_is_larger_than_the_most_but_for_one_who_asks_more(model: Model, pool: ThreadPoolExecutor) -> None:
    batcher = MicroBatcher[int, int](model, 3, "test")
    gathered(batcher, pool, model, [[1, 2], [3, 4], [5], [6, 7, 8, 9]])
    assert model.batches == [[0], [1, 2, 5], [3, 4], [6, 7, 8, 9]]
    batcher.close()


def test_an_error_of_one_is_not_an_error_of_the_others(model: Model, pool: ThreadPoolExecutor) -> None:
    batcher = MicroBatcher[int, int](model, 100, "test")
    answer = gathered(batcher, pool, model, [[1], [-7], [2]])
    assert answer[0] == [2]
    assert answer[2] == [4]
    assert isinstance(answer[1], ValueError)
    assert "-7" in str(answer[1])
    assert batcher.call([9]) == [18]
    batcher.close()


def test_only_questions_of_one_kind_share_a_call(pool: ThreadPoolExecutor) -> None:
    calls: list[tuple[list[str], object]] = []

    def work(questions: Sequence[str], kind: object) -> Sequence[str]:
        calls.append((list(questions), kind))
        return [f"{question}{kind}" for question in questions]

    batcher = MicroBatcher[str, str](work, 100, "test")
    answer = [pool.submit(batcher.call, [f"q{number}"], number % 2) for number in range(20)]
    assert [entry.result(60) for entry in answer] == [[f"q{number}{number % 2}"] for number in range(20)]
    assert all(int(question[1:]) % 2 == kind for questions, kind in calls for question in questions)
    batcher.close()


def test_what_nobody_waits_for_any_more_is_not_asked(model: Model) -> None:
    batcher = MicroBatcher[int, int](model, 1, "test")
    threads = WorkerPool("test", 4, 0)

    async def ask() -> None:
        left = asyncio.Event()

        async def leave() -> None:
            await left.wait()

        first = asyncio.ensure_future(threads.run(lambda: batcher.call([1])))
        assert await asyncio.to_thread(model.began.wait, 60)
        second = asyncio.ensure_future(threads.run(lambda: batcher.call([2]), leave()))
        third = asyncio.ensure_future(threads.run(lambda: batcher.call([3])))
        await asyncio.to_thread(wait_until, lambda: batcher.waiting >= 2)
        left.set()
        with pytest.raises(ClientGoneError):
            await second
        model.free.set()
        assert (await first, await third) == ([2], [6])
        await asyncio.to_thread(wait_until, lambda: threads.size == 0)

    asyncio.run(asyncio.wait_for(ask(), 120))
    assert model.batches == [[1], [3]]
    batcher.close()
    threads.close()


def test_closing_refuses_all_that_waits_and_what_comes_later(model: Model, pool: ThreadPoolExecutor) -> None:
    batcher = MicroBatcher[int, int](model, 1, "test")
    waiting = [pool.submit(batcher.call, [number]) for number in range(4)]
    assert model.began.wait(60)
    wait_until(lambda: batcher.waiting >= 3)
    batcher.close()
    for entry in waiting:  # the model is still at the first
        error = entry.exception(30)
        assert isinstance(error, RefusedError)
        assert (error.status_code, error.problem.code) == (503, "busy")
    with pytest.raises(RefusedError, match="being stopped"):
        batcher.call([5])
    assert not batcher.join(0)
    model.free.set()
    assert batcher.join(60)
    assert len(model.batches) == 1


def test_nothing_asked_is_no_call(model: Model) -> None:
    batcher = MicroBatcher[int, int](model, 3, "test")
    assert batcher.call([]) == []
    assert batcher.calls == 0
    batcher.close()


class OutfitSize:
    """A scorer that returns a number by the items of an outfit, and notes the thread that calls it."""

    gives_probabilities = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.threads: set[str] = set()

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        self.threads.add(threading.current_thread().name)
        return np.array([len(outfit) / 10 + len(self.name) / 100 for outfit in outfits])


def test_one_thread_calls_the_language_models(bare: CoordiModel, pool: ThreadPoolExecutor) -> None:
    item = bare.item_of_words("white shirt")
    wrapped = [OutfitSize("a"), OutfitSize("bb")]
    batcher = scorer_batcher(4)
    scorers = [BatchingScorer(scorer, batcher) for scorer in wrapped]
    groups = [[[item] * (1 + number % 3)] * (number % 4) for number in range(40)]
    answer = list(pool.map(lambda outfits: scorers[len(outfits) % 2].score(outfits).tolist(), groups))
    assert answer == [[len(entry) / 10 + (1 + len(outfits) % 2) / 100 for entry in outfits] for outfits in groups]
    assert wrapped[0].threads | wrapped[1].threads == {"language-model"}
    batcher.close()
