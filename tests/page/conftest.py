"""coordi's own server with a catalogue of drawn clothes, and a headless Chromium that looks at its page."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from training.sample_drawing.wardrobe import SampleSize
from training.sample_drawing.writer import make_sample

CATALOGUE_ITEMS = 60
READY_SECONDS = 300
ANSWER_MILLISECONDS = 60_000
QUICK = "if (location.protocol === 'http:') localStorage['coordi-quick'] ??= 'yes'"
_SEED = 17
_COLUMNS = ("brand", "gender", "season", "availability")
# None of these reaches for anything but the page; a browser's own errands would be counted as the page's.
_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

expect.set_options(timeout=ANSWER_MILLISECONDS)


@dataclass
class Server:
    """A running ``coordi serve``."""

    arguments: tuple[str, ...]
    address: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[str] | None = None

    def start(self, until: str = "ready: open") -> None:
        """Returns once the models are loaded, or something else is said; on the port it had before, if it had one."""
        port = self.address.rsplit(":", 1)[-1] if self.address else "0"
        command = [sys.executable, "-m", "coordi.cli.main", "serve", "--port", port, *self.arguments]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "300"} | self.environment
        self._process = subprocess.Popen(command, env=environment, text=True, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        timer = threading.Timer(READY_SECONDS, self._process.kill)
        timer.start()
        said = []
        try:
            for line in self._process.stderr:
                said.append(line)
                address = re.search(r"http://[\w.:]+", line) if until in line else None
                if address:
                    self.address = address[0]
                    break
            else:
                pytest.fail(f"coordi serve ended before it was ready: {''.join(said)}")
        finally:
            timer.cancel()
        threading.Thread(target=self._process.stderr.read, daemon=True).start()  # so that it never waits for a reader

    def stop(self) -> None:
        """As a user does it."""
        if self._process is None:
            return
        self._process.terminate()
        self._process.wait(READY_SECONDS)
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._process = None


@dataclass
class Seen:
    """What a context's pages asked for and complained of."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        context.on("request", lambda request: self.requests.append(request.url))
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _hear(self, message: ConsoleMessage) -> None:
        # A refused request is written to the console by the browser itself; the tests look at what the page says of it.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The page's tests come last: Playwright's event loop stays in the main thread, where others start their own."""
    here = Path(__file__).parent
    items.sort(key=lambda item: here in item.path.parents)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn clothes: the first of them go into the catalogue, the others are the user's own."""
    folder = tmp_path_factory.mktemp("drawn")
    make_sample(folder, _SEED, SampleSize(items=90, train=20, valid=5, test=5))
    return folder


@pytest.fixture(scope="session")
def catalogue(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by the command line from a CSV file with everything that a filter asks for."""
    folder = tmp_path_factory.mktemp("shop")
    rows = _rows(sample)[:CATALOGUE_ITEMS]
    with (folder / "items.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, (*rows[0], *_COLUMNS))
        writer.writeheader()
        for place, row in enumerate(rows):
            shop = ("Kim" if place % 2 else "Anna", "unisex", "summer" if place % 3 else "winter", "in stock")
            writer.writerow(row | dict(zip(_COLUMNS, shop, strict=True)))
    shutil.copytree(sample / "images", folder / "images")
    command = [sys.executable, "-m", "coordi.cli.main", "catalogue", "build", str(folder / "items.csv")]
    subprocess.run([*command, "--out", str(folder / "catalogue")], check=True, capture_output=True)
    return folder / "catalogue"


@pytest.fixture(scope="session")
def own_photos(sample: Path) -> list[Path]:
    """Photos that the catalogue doesn't have; the first three are a top, a bottom and shoes."""
    rows = _rows(sample)[CATALOGUE_ITEMS:]
    outfit = [next(row for row in rows if row["category"] == category) for category in ("top", "bottom", "shoes")]
    return [sample / row["image"] for row in (*outfit, *(row for row in rows if row not in outfit))]


@pytest.fixture(scope="session")
def server(catalogue: Path) -> Iterator[Server]:
    running = Server(("--catalogue", str(catalogue)))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        missing = "the page is looked at with Chromium, and there is none here: apt install chromium"
        if os.environ.get("COORDI_TESTS_NEED_BROWSER"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture
def seen() -> Seen:
    return Seen()


class OpenContext(Protocol):
    def __call__(self, server: Server, **options: Any) -> BrowserContext: ...


@pytest.fixture
def open_context(browser: Browser, seen: Seen) -> Iterator[OpenContext]:
    """Open a browser on a server, English unless told otherwise.

    Afterwards each is closed, whatever the test did, nobody but the servers was asked, and no browser complained.
    """
    addresses: list[str] = []
    with ExitStack() as stack:

        def begin(server: Server, **options: Any) -> BrowserContext:
            made = browser.new_context(**{"base_url": server.address, "locale": "en-GB", **options})
            stack.callback(made.close)
            made.set_default_timeout(ANSWER_MILLISECONDS)
            addresses.extend((f"{server.address}/", f"blob:{server.address}/"))
            seen.watch(made)
            return made

        yield begin
    assert seen.complaints == []
    assert [url for url in seen.requests if not url.startswith(tuple(addresses))] == []


@pytest.fixture
def context(open_context: OpenContext, server: Server) -> BrowserContext:
    """A desktop browser."""
    return open_context(server, viewport={"width": 1280, "height": 900}, reduced_motion="reduce")


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """The page with the quick judge, as most tests aren't about who judges."""
    context.add_init_script(QUICK)
    opened = context.new_page()
    opened.goto("/")
    return opened


def _rows(sample: Path) -> list[dict[str, str]]:
    with (sample / "items.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
