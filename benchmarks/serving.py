"""Load on ``coordi serve``: whether anything is lost, how long answers take, and what batching brings.

Starts the real server as a process of its own, asks it with 50 clients at once for a minute, each its next question as
soon as it has the answer to the last, and counts. A 503 is asked again after its ``Retry-After`` until it is answered;
such a request's time runs from its first try. The clients run on the same machine and take their share of it.

    python benchmarks/serving.py --catalogue shop-catalogue --photos shop/images
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

API = "/api/v1"
MIXED = {"score": 30, "complete": 10, "describe": 20, "items": 15, "photo": 15, "vocabulary": 5, "health": 5}
COLOURS = ("black", "white", "navy", "red", "green", "beige", "pink", "grey", "brown", "yellow")
THINGS = ("shirt", "jeans", "skirt", "dress", "blazer", "coat", "sneakers", "ankle boots", "tote bag", "scarf", "belt")
STUFFS = ("cotton", "wool", "denim", "silk", "leather", "linen", "suede", "knit", "velvet", "corduroy")


@dataclass
class Counts:
    """What the clients saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    asked: int = 0
    answered: int = 0
    problems: Counter[str] = field(default_factory=Counter)


def main() -> None:
    arguments = _arguments()
    mixed = _run(arguments, MIXED, arguments.seconds, ["--queue", str(arguments.queue)])
    ratios: dict[str, dict[str, float]] = {}
    if arguments.mixed_only:
        print(json.dumps(mixed, indent=2))
        return
    for route in ("pair", "score", "describe"):
        rates = [
            _run(arguments, {route: 1}, arguments.seconds / 3, ["--max-batch", most])["per_second"]
            for most in ("1", "128")
        ]
        ratios[route] = {"one by one": rates[0], "together": rates[1], "ratio": round(rates[1] / rates[0], 2)}
    print(json.dumps({"mixed": mixed, "batching": ratios}, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", type=Path, required=True, help="what `coordi catalogue build` made")
    parser.add_argument("--photos", type=Path, required=True, help="a folder of JPEGs that clients send")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--queue", type=int, default=16, help="smaller than usual, so that some are refused")
    parser.add_argument("--mixed-only", action="store_true", help="without what batching brings")
    return parser.parse_args()


def _run(arguments: argparse.Namespace, mix: dict[str, int], seconds: float, extra: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "coordi.cli.main", "serve", "--catalogue", str(arguments.catalogue), "--port", "0"]
    process = subprocess.Popen([*command, *extra], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        address = next(line.split()[2] for line in process.stderr if line.startswith("ready: "))
        before = _memory(process.pid)
        counts, taken = asyncio.run(_load(address, arguments, mix, seconds))
        after = _memory(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
    return {
        **_told(counts, taken),
        "memory_mib": {"ready": before, "after": after},
        "stopped_with": process.wait(60),
    }


async def _load(
    address: str, arguments: argparse.Namespace, mix: dict[str, int], seconds: float
) -> tuple[Counts, float]:
    photos = [path.read_bytes() for path in sorted(arguments.photos.glob("*.jpg"))[:200]]
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as client:
        found = (await client.get(f"{API}/catalogue/items", params={"limit": 200})).json()["items"]
        ids = [item["id"] for item in found if item["photo"]]
        counts, began = Counts(), time.monotonic()
        asking = _Asking(client, counts, photos, ids, mix)
        await asyncio.gather(*(asking.run(seed, began + seconds) for seed in range(arguments.clients)))
        return counts, time.monotonic() - began


class _Asking:
    """Clients of one server."""

    def __init__(
        self, client: httpx.AsyncClient, counts: Counts, photos: list[bytes], ids: list[str], mix: dict[str, int]
    ) -> None:
        self._client = client
        self._counts = counts
        self._photos = photos
        self._ids = ids
        self._mix = mix

    async def run(self, seed: int, until: float) -> None:
        """One client: a question after the other, until it is time."""
        rng = random.Random(seed)
        while time.monotonic() < until:
            (route,) = rng.choices(list(self._mix), list(self._mix.values()))
            request = self._request(route, rng)
            began = time.monotonic()
            self._counts.asked += 1
            if await self._answered(route, request):
                self._counts.answered += 1
                self._counts.seconds[route].append(time.monotonic() - began)

    async def _answered(self, route: str, request: Callable[[], httpx.Request]) -> bool:
        while True:
            try:
                answer = await self._client.send(request())
            except httpx.HTTPError as error:
                self._counts.problems[f"{route}: {type(error).__name__}"] += 1
                return False
            self._counts.statuses[f"{route} {answer.status_code}"] += 1
            if answer.status_code == 503:
                await asyncio.sleep(int(answer.headers["Retry-After"]))
                continue
            if answer.status_code != 200:
                self._counts.problems[f"{route}: {answer.text[:200]}"] += 1
            return answer.status_code == 200

    def _request(self, route: str, rng: random.Random) -> Callable[[], httpx.Request]:
        build = self._client.build_request
        items = [{"text": f"{rng.choice(COLOURS)} {rng.choice(STUFFS)} {thing}"} for thing in rng.sample(THINGS, 3)]
        photo, item_id = rng.choice(self._photos), rng.choice(self._ids)
        requests: dict[str, Callable[[], httpx.Request]] = {
            "pair": lambda: build("POST", f"{API}/score", json={"items": items[:2]}),
            "score": lambda: build("POST", f"{API}/score", json={"items": items}),
            "complete": lambda: build("POST", f"{API}/complete", json={"items": items[:2], "k": 3}),
            "describe": lambda: build("POST", f"{API}/describe", files={"photo": ("photo.jpg", photo)}),
            "items": lambda: build("GET", f"{API}/catalogue/items", params={"q": items[0]["text"].split()[0]}),
            "photo": lambda: build("GET", f"{API}/catalogue/photos/{item_id}", params={"size": 200}),
            "vocabulary": lambda: build("GET", f"{API}/vocabulary"),
            "health": lambda: build("GET", f"{API}/health"),
        }
        return requests[route]


def _told(counts: Counts, taken: float) -> dict[str, Any]:
    times = {
        route: {
            "n": len(seconds),
            **{f"p{part}_ms": round(1000 * float(np.percentile(seconds, part))) for part in (50, 95)},
        }
        for route, seconds in sorted(counts.seconds.items())
    }
    return {
        "asked": counts.asked,
        "lost": counts.asked - counts.answered,
        "problems": dict(counts.problems),
        "statuses": dict(sorted(counts.statuses.items())),
        "seconds": round(taken, 1),
        "per_second": round(counts.answered / taken, 2),
        "times": times,
    }


def _memory(pid: int) -> int:
    """Resident memory in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


if __name__ == "__main__":
    main()
