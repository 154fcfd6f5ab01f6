"""A lane takes on what it can, refuses the rest at once, and gives a place free when its client leaves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from coordi.serve.errors import ClientGoneError, RefusedError
from coordi.serve.lanes import Lane, check_wanted


@pytest.fixture
def lane() -> Iterator[Lane]:
    found = Lane("test", workers=1, queue=2)
    yield found
    found.close()


async def left(event: asyncio.Event) -> None:
    await event.wait()


def test_a_full_lane_refuses_at_once_and_says_when_to_ask_again(lane: Lane) -> None:
    free = threading.Event()

    async def ask() -> None:
        inside = [asyncio.create_task(lane.run(lambda: free.wait(10))) for _ in range(3)]
        await asyncio.sleep(0.05)
        began = time.monotonic()
        with pytest.raises(RefusedError) as caught:
            await lane.run(lambda: True)
        assert time.monotonic() - began < 0.5
        assert caught.value.status == 503
        assert caught.value.problem.code == "busy"
        assert int(caught.value.headers["Retry-After"]) >= 1
        free.set()
        assert await asyncio.gather(*inside) == [True] * 3
        assert await lane.run(lambda: 5) == 5

    asyncio.run(ask())
    assert lane.inside == 0


def test_a_client_that_leaves_gives_its_place_free_and_its_work_is_not_begun(lane: Lane) -> None:
    free, begun = threading.Event(), []

    async def ask() -> None:
        first = asyncio.create_task(lane.run(lambda: free.wait(10)))
        await asyncio.sleep(0.05)
        leaves = asyncio.Event()
        second = asyncio.create_task(lane.run(lambda: begun.append("second"), left(leaves)))
        third = asyncio.create_task(lane.run(lambda: begun.append("third")))
        await asyncio.sleep(0.05)
        assert lane.inside == 3
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


def test_work_that_has_begun_ends_at_its_next_question_to_a_model(lane: Lane) -> None:
    began, reached = threading.Event(), []

    def work() -> None:
        began.set()
        time.sleep(0.2)
        check_wanted()
        reached.append("the model")

    async def ask() -> None:
        leaves = asyncio.Event()
        asked = asyncio.create_task(lane.run(work, left(leaves)))
        while not began.is_set():
            await asyncio.sleep(0.01)
        leaves.set()
        with pytest.raises(ClientGoneError):
            await asked
        assert lane.inside == 1  # the thread is still at it
        while lane.inside:
            await asyncio.sleep(0.01)

    asyncio.run(ask())
    assert reached == []


def test_an_error_is_handed_on_and_the_place_given_back(lane: Lane) -> None:
    def fail() -> None:
        raise KeyError("x")

    for _ in range(5):
        with pytest.raises(KeyError):
            asyncio.run(lane.run(fail))
    assert lane.inside == 0


def test_a_closed_lane_refuses(lane: Lane) -> None:
    lane.close()
    with pytest.raises(RefusedError, match="ask again"):
        asyncio.run(lane.run(lambda: True))
    assert lane.inside == 0
