"""A lane takes on what it can, refuses the rest at once, and gives a place free when its client leaves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.client import HTTPConnection

import pytest

from coordi.api import Model
from coordi.serve.batching import MemoryBudget, WorkerPool, check_wanted
from coordi.serve.errors import ClientGoneError, RefusedError

from .conftest import Blocked, Start, jpeg


@pytest.fixture
def lane() -> Iterator[WorkerPool]:
    found = WorkerPool("test", workers=1, queue=2)
    yield found
    found.close()


async def left(event: asyncio.Event) -> None:
    await event.wait()


async def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so() and time.monotonic() < end:
        await asyncio.sleep(0.01)
    assert is_so()


def test_a_full_lane_refuses_at_once_and_says_when_to_ask_again(lane: WorkerPool) -> None:
    free = threading.Event()

    async def ask() -> None:
        inside = [asyncio.create_task(lane.run(lambda: free.wait(60))) for _ in range(3)]
        await until(lambda: lane.inside == 3)
        with pytest.raises(RefusedError) as caught:
            await lane.run(lambda: True)
        assert not any(one.done() for one in inside)  # nobody was waited for
        assert caught.value.status == 503
        assert caught.value.problem.code == "busy"
        assert int(caught.value.headers["Retry-After"]) >= 1
        free.set()
        assert await asyncio.gather(*inside) == [True] * 3
        assert await lane.run(lambda: 5) == 5

    asyncio.run(ask())
    assert lane.inside == 0


def test_a_client_that_leaves_gives_its_place_free_and_its_work_is_not_begun(lane: WorkerPool) -> None:
    free, begun = threading.Event(), []

    async def ask() -> None:
        first = asyncio.create_task(lane.run(lambda: free.wait(60)))
        await until(lambda: lane.inside == 1)
        leaves = asyncio.Event()
        second = asyncio.create_task(lane.run(lambda: begun.append("second"), left(leaves)))
        third = asyncio.create_task(lane.run(lambda: begun.append("third")))
        await until(lambda: lane.inside == 3)
        leaves.set()
        with pytest.raises(ClientGoneError):
            await second
        assert lane.inside == 2
        fourth = asyncio.create_task(lane.run(lambda: begun.append("fourth")))
        free.set()
        await asyncio.gather(first, third, fourth)

    asyncio.run(ask())
    assert begun == ["third", "fourth"]
    assert lane.inside == 0


def test_work_that_has_begun_ends_at_its_next_question_to_a_model(lane: WorkerPool) -> None:
    began, goes_on, reached = threading.Event(), threading.Event(), []

    def work() -> None:
        began.set()
        assert goes_on.wait(60)
        check_wanted()
        reached.append("the model")

    async def ask() -> None:
        leaves = asyncio.Event()
        asked = asyncio.create_task(lane.run(work, left(leaves)))
        await until(began.is_set)
        leaves.set()
        with pytest.raises(ClientGoneError):
            await asked
        assert lane.inside == 1  # the thread is still at it
        goes_on.set()
        await until(lambda: lane.inside == 0)

    asyncio.run(ask())
    assert reached == []


def test_an_error_is_handed_on_and_the_place_given_back(lane: WorkerPool) -> None:
    def fail() -> None:
        raise KeyError("x")

    for _ in range(5):
        with pytest.raises(KeyError):
            asyncio.run(lane.run(fail))
    assert lane.inside == 0


def test_a_closed_lane_refuses(lane: WorkerPool) -> None:
    lane.close()
    with pytest.raises(RefusedError, match="ask again"):
        asyncio.run(lane.run(lambda: True))
    assert lane.inside == 0


def test_no_more_bytes_are_held_than_there_is_room_for() -> None:
    held = MemoryBudget(100)
    with held.hold(60), held.hold(40):
        with pytest.raises(RefusedError) as caught, held.hold(1):
            pass
        assert (caught.value.status, caught.value.problem.code) == (503, "busy")
    assert held.bytes == 0
    with pytest.raises(KeyError), held.hold(100):
        raise KeyError("x")
    with held.hold(100):
        assert held.bytes == 100


def test_light_work_does_not_wait_behind_heavy_work(start: Start, model: Model) -> None:
    scorer = Blocked()
    started = start(replace(model, scorers=scorer), workers=2, queue=2)
    body = '{"items": [{"text": "white shirt"}, {"text": "blue jeans"}]}'
    heavy = [HTTPConnection("127.0.0.1", started.port, timeout=60) for _ in range(4)]
    try:
        for one in heavy:
            one.request("POST", "/api/v1/score", body, {"Content-Type": "application/json"})
        asyncio.run(until(lambda: started.service.heavy.inside == 4 and scorer.asked > 0))
        described = started.client.post("/api/v1/describe", files={"photo": ("x", jpeg())})
        assert described.status_code == 200
        for path in ("health", "ready", "vocabulary", "catalogue/items", "catalogue/photos/top-1"):
            assert started.client.get(f"/api/v1/{path}").status_code == 200
        assert started.service.heavy.inside == 4
        scorer.free.set()
        assert [one.getresponse().status for one in heavy] == [200] * 4
    finally:
        scorer.free.set()
        for one in heavy:
            one.close()
