"""A pool accepts what fits its queue, refuses the rest at once, and frees capacity when a client disconnects."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.client import HTTPConnection

import pytest

from coordi.api import Model
from coordi.serve.batching import MemoryBudget, WorkerPool, check_client
from coordi.serve.errors import ClientGoneError, RefusedError

from .conftest import Blocked, Start, jpeg


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    result = WorkerPool("test", workers=1, queue=2)
    yield result
    result.close()


async def disconnect(event: asyncio.Event) -> None:
    await event.wait()


async def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so() and time.monotonic() < end:
        await asyncio.sleep(0.01)
    assert is_so()


def test_a_full_lane_refuses_at_once_and_says_when_to_ask_again(pool: WorkerPool) -> None:
    free = threading.Event()

    async def ask() -> None:
        inside = [asyncio.create_task(pool.run(lambda: free.wait(60))) for _ in range(3)]
        await until(lambda: pool.size == 3)
        with pytest.raises(RefusedError) as caught:
            await pool.run(lambda: True)
        assert not any(entry.done() for entry in inside)  # nobody was waited for
        assert caught.value.status_code == 503
        assert caught.value.problem.code == "busy"
        assert int((caught.value.headers or {})["Retry-After"]) >= 1
        free.set()
        assert await asyncio.gather(*inside) == [True] * 3
        assert await pool.run(lambda: 5) == 5

    asyncio.run(ask())
    assert pool.size == 0


def test_a_client_that_leaves_gives_its_place_free_and_its_work_is_not_begun(pool: WorkerPool) -> None:
    free, begun = threading.Event(), []

    async def ask() -> None:
        first = asyncio.create_task(pool.run(lambda: free.wait(60)))
        await until(lambda: pool.size == 1)
        leaves = asyncio.Event()
        second = asyncio.create_task(pool.run(lambda: begun.append("second"), disconnect(leaves)))
        third = asyncio.create_task(pool.run(lambda: begun.append("third")))
        await until(lambda: pool.size == 3)
        leaves.set()
        with pytest.raises(ClientGoneError):
            await second
        assert pool.size == 2
        fourth = asyncio.create_task(pool.run(lambda: begun.append("fourth")))
        free.set()
        await asyncio.gather(first, third, fourth)

    asyncio.run(ask())
    assert begun == ["third", "fourth"]
    assert pool.size == 0


def test_work_that_has_begun_ends_at_its_next_question_to_a_model(pool: WorkerPool) -> None:
    began, goes_on, reached = threading.Event(), threading.Event(), []

    def work() -> None:
        began.set()
        assert goes_on.wait(60)
        check_client()
        reached.append("the model")

    async def ask() -> None:
        leaves = asyncio.Event()
        wanted = asyncio.create_task(pool.run(work, disconnect(leaves)))
        await until(began.is_set)
        leaves.set()
        with pytest.raises(ClientGoneError):
            await wanted
        assert pool.size == 1  # the thread is still at it
        goes_on.set()
        await until(lambda: pool.size == 0)

    asyncio.run(ask())
    assert reached == []


def test_an_error_is_handed_on_and_the_place_given_back(pool: WorkerPool) -> None:
    def fail() -> None:
        raise KeyError("x")

    for _ in range(5):
        with pytest.raises(KeyError, match="x"):
            asyncio.run(pool.run(fail))
    assert pool.size == 0


def test_a_closed_lane_refuses(pool: WorkerPool) -> None:
    pool.close()
    with pytest.raises(RefusedError, match="try again"):
        asyncio.run(pool.run(lambda: True))
    assert pool.size == 0


def test_no_more_bytes_are_held_than_there_is_room_for() -> None:
    budget = MemoryBudget(100)
    with budget.reserve(60), budget.reserve(40):
        with pytest.raises(RefusedError) as caught, budget.reserve(1):
            pass
        assert (caught.value.status_code, caught.value.problem.code) == (503, "busy")
    assert budget.used == 0
    with pytest.raises(KeyError, match="x"), budget.reserve(100):
        raise KeyError("x")
    with budget.reserve(100):
        assert budget.used == 100


def test_light_work_does_not_wait_behind_heavy_work(start: Start, model: Model) -> None:
    scorer = Blocked()
    started = start(replace(model, scorers=scorer), workers=2, queue=2)
    body = '{"items": [{"text": "white shirt"}, {"text": "blue jeans"}]}'
    heavy = [HTTPConnection("127.0.0.1", started.port, timeout=60) for _ in range(4)]
    try:
        for entry in heavy:
            entry.request("POST", "/api/v1/score", body, {"Content-Type": "application/json"})
        asyncio.run(until(lambda: started.service.language_model_pool.size == 4 and scorer.calls > 0))
        described = started.client.post("/api/v1/describe", files={"photo": ("x", jpeg())})
        assert described.status_code == 200
        for path in ("health", "ready", "vocabulary", "catalogue/items", "catalogue/photos/top-1"):
            assert started.client.get(f"/api/v1/{path}").status_code == 200
        assert started.service.language_model_pool.size == 4
        scorer.free.set()
        assert [entry.getresponse().status for entry in heavy] == [200] * 4
    finally:
        scorer.free.set()
        for entry in heavy:
            entry.close()
