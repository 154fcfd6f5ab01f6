"""``coordi serve`` as a process of its own, with the language model: start, privacy, batching, stop."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Protocol

import duckdb
import httpx
import pytest

from coordi.api import Model
from coordi.artifacts import Progress, no_progress
from coordi.cli.main import main
from coordi.recommend.build import CatalogueJob, DescriptionPipeline, build_catalogue

from .conftest import ROWS, Blocked, Start, jpeg, noise
from .file_writes import record_writes

API = "/api/v1"
WATCHED = Path(__file__).with_name("file_writes.py")
LOOK = [{"text": "navy wool blazer"}, {"text": "white shirt"}]


@contextmanager
def no_bar(label: str) -> Iterator[Progress]:
    yield no_progress


@dataclass
class Process:
    popen: subprocess.Popen[str]
    lines: list[str]
    written: Path
    temporary: Path

    def wait_for(self, words: str, seconds: float = 240) -> str:
        """The first line that holds these words."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in list(self.lines):
                if words in line:
                    return line
            assert self.popen.poll() is None, self.lines
            time.sleep(0.02)
        raise AssertionError(f"no '{words}' within {seconds} s: {self.lines}")

    def writes(self) -> list[str]:
        return self.written.read_text(encoding="utf-8").splitlines()


def begin(folder: Path, *arguments: str) -> Process:
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    written = folder / "written.txt"
    popen = subprocess.Popen(
        [sys.executable, str(WATCHED), str(written), "serve", *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"},
    )
    process = Process(popen, [], written, temporary)

    def read() -> None:
        assert popen.stderr is not None
        with popen.stderr as lines:
            process.lines.extend(lines)

    threading.Thread(target=read, daemon=True).start()
    return process


class Coordi(Protocol):
    def __call__(self, *arguments: str) -> list[str]: ...


@pytest.fixture
def coordi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Coordi:
    """Run a command that must fail with coordi's own error, and return its lines on standard error."""
    monkeypatch.setattr("coordi.cli.main._be_offline_and_quiet", lambda: None)

    def run(*arguments: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["coordi", *arguments])
        with pytest.raises(SystemExit) as ending:
            main()
        assert ending.value.code == 1
        lines = capsys.readouterr().err.splitlines()
        return [line for line in lines if not line.startswith("loading the models")]

    return run


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory, photos: Path, bare: Model) -> Path:
    source = tmp_path_factory.mktemp("source") / "shop.csv"
    shutil.copytree(photos, source.with_name("photos"))
    rows = [
        f'"{item_id}","{title}",{category},photos/{position}.jpg'
        for position, (item_id, category, title, *_) in enumerate(ROWS)
    ]
    source.write_text("\n".join(["id,title,category,image", *rows]), encoding="utf-8")
    job = CatalogueJob(source.with_name("catalogue"), "coordi catalogue build", no_bar, may_shrink=False)
    settings = bare.trained.settings
    build_catalogue(source, DescriptionPipeline.of(settings.describe, settings.prompt), job)
    return job.folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, catalogue: Path) -> Iterator[tuple[Process, httpx.Client]]:
    process = begin(
        tmp_path_factory.mktemp("server"), "--catalogue", str(catalogue), "--port", "0", "--access-log", "--queue", "4",
        "--workers", "4", "--stop-seconds", "1",
    )  # fmt: skip
    try:
        address = process.wait_for("answers already").split("; ")[1].split("/api")[0]
        with httpx.Client(base_url=address, timeout=120) as client:
            assert client.get(f"{API}/health").status_code == 200
            answer = client.get(f"{API}/ready")
            assert answer.status_code == 200 or answer.json()["error"]["code"] == "not_ready"
            process.wait_for(f"ready: open {address} in a browser")
            assert client.get(f"{API}/ready").json()["items"] == len(ROWS)
            yield process, client
    finally:
        process.popen.kill()
        process.popen.wait()


def test_the_watch_sees_what_starlettes_own_forms_would_do(tmp_path: Path) -> None:
    """The test below is worth something only if a photo that is spooled to disk is seen."""
    expected = tmp_path / "told.txt"
    code = (
        "import os, sys, tempfile; from file_writes import record_writes;"
        "record_writes(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT));"
        "file = tempfile.SpooledTemporaryFile(max_size=10); file.write(b'x' * 99)"
    )
    subprocess.run([sys.executable, "-c", code, str(expected)], check=True, cwd=WATCHED.parent)
    assert tempfile.gettempdir() in expected.read_text(encoding="utf-8")
    assert callable(record_writes)


@pytest.mark.slow
def test_photos_are_neither_written_nor_logged(server: tuple[Process, httpx.Client]) -> None:
    process, client = server
    before, files = process.writes(), sorted(process.temporary.rglob("*"))
    photo = noise(1200)  # 4 MB, four times what Starlette keeps in memory
    name = "my-secret-holiday.png"
    for path in ("describe", "catalogue/alike?k=2"):
        answer = client.post(f"{API}/{path}", files={"photo": (name, photo, "image/png")})
        assert answer.status_code == 200, answer.text
        broken = client.post(f"{API}/{path}", files={"photo": (name, photo[:-999], "image/png")})
        assert broken.status_code == 422
    assert client.get(f"{API}/catalogue/photos/shoe-1?size=200").status_code == 200
    assert client.get(f"{API}/catalogue/items?q=secret-words").status_code == 200
    assert process.writes() == before
    assert sorted(process.temporary.rglob("*")) == files
    until = time.monotonic() + 20  # lines come through a pipe
    while "GET /api/v1/catalogue/items 200" not in "".join(process.lines) and time.monotonic() < until:
        time.sleep(0.05)
    log = "".join(process.lines)
    assert "POST /api/v1/describe 200" in log
    assert "GET /api/v1/catalogue/items 200" in log
    for secret in (name, "secret-words", "k=2", "PNG"):
        assert secret not in log


def test_requests_that_come_together_are_answered_as_if_alone(server: tuple[Process, httpx.Client]) -> None:
    _, client = server
    outfits = [[{"id": item_id}, *LOOK[: 1 + position % 2]] for position, (item_id, *_) in enumerate(ROWS[:8])]

    def ask(items: object) -> float:
        answer = client.post(f"{API}/score", json={"items": items})
        assert answer.status_code == 200, answer.text
        assert answer.json()["judge"] == "language-model"
        return float(answer.json()["score"])

    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(ask, outfits))
    assert parallel == pytest.approx([ask(items) for items in outfits], abs=2e-3)


def test_a_full_server_says_so_and_when_to_ask_again(server: tuple[Process, httpx.Client]) -> None:
    _, client = server

    def ask(number: int) -> httpx.Response:
        return client.post(f"{API}/score", json={"items": [{"text": f"shirt {number}"}, *LOOK]})

    with ThreadPoolExecutor(30) as pool:
        result = list(pool.map(ask, range(30)))
    statuses = [entry.status_code for entry in result]
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 8
    for entry in result:
        if entry.status_code == 503:
            assert entry.json()["error"]["code"] == "busy"
            assert int(entry.headers["retry-after"]) >= 1


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so() and time.monotonic() < end:
        time.sleep(0.01)
    assert is_so()


def send(address: str, items: list[dict[str, str]]) -> HTTPConnection:
    """Ask how well items go together; all of it is sent when this returns, and nothing of the answer is read yet."""
    connection = HTTPConnection(address, timeout=240)
    connection.request("POST", f"{API}/score", json.dumps({"items": items}), {"Content-Type": "application/json"})
    return connection


def answer_of(connection: HTTPConnection) -> tuple[int, dict[str, Any], Message]:
    with closing(connection):
        response = connection.getresponse()
        return response.status, json.loads(response.read()), response.headers


def test_what_is_in_work_is_finished_when_it_is_stopped(start: Start, model: Model) -> None:
    scorer = Blocked()
    started = start(replace(model, scorers=scorer), stop_seconds=120)
    connection = send(f"127.0.0.1:{started.port}", [*LOOK, {"text": "red silk dress"}])
    wait_until(lambda: scorer.calls > 0)
    started.server.should_exit = True
    wait_until(lambda: not started.server.servers[0].is_serving())
    scorer.free.set()
    assert answer_of(connection)[0] == 200
    with pytest.raises(httpx.TransportError, match=r"(?i)connect"):
        started.client.get(f"{API}/health")


@pytest.mark.slow
def test_what_takes_too_long_is_refused_when_it_is_stopped(server: tuple[Process, httpx.Client]) -> None:
    process, client = server
    address = str(client.base_url).rstrip("/").removeprefix("http://")
    colours = ("red", "blue", "green", "pink") * 3
    connections = [send(address, [{"text": f"{colour} shirt {number}"} for colour in colours]) for number in range(8)]
    assert client.get(f"{API}/health").status_code == 200  # it reads in the order in which it was sent
    process.popen.send_signal(signal.SIGTERM)
    answers = [answer_of(connection) for connection in connections]
    assert process.popen.wait(180) == 0
    late = [answer for answer in answers if answer[0] != 200]
    assert len(late) > 4
    for status, body, headers in late:
        assert (status, body["error"]["code"]) == (503, "busy")
        assert set(body["error"]) == {"code", "message", "field", "accepted"}
        assert int(headers["retry-after"]) >= 1
    assert not any("Traceback" in line for line in process.lines), "".join(process.lines)


@pytest.mark.slow
def test_it_can_be_stopped_while_it_loads(tmp_path: Path) -> None:
    process = begin(tmp_path, "--port", "0")
    try:
        process.wait_for("answers already")
        process.popen.send_signal(signal.SIGINT)
        assert process.popen.wait(180) == 0
    finally:
        process.popen.kill()
        process.popen.wait()
    assert not any("Traceback" in line for line in process.lines)


def test_a_port_in_use_is_one_line_that_names_the_option(coordi: Coordi) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        (line,) = coordi("serve", "--port", str(port))
    assert f"port {port} on 127.0.0.1 is in use" in line
    assert "--port" in line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--host", "0.0.0.0"], "requests must carry a token"),
        (["--host", "0.0.0.0", "--token", "short"], "--token has 5 characters"),
        (["--host", "203.0.113.7", "--token", "x" * 32], "can't listen on 203.0.113.7 port 8000"),
        (["--catalogue", "{tmp}/none"], "isn't there; build one with: coordi catalogue build"),
        (["--catalogue", "{tmp}"], "isn't a built catalogue; build one with: coordi catalogue build"),
        (["--model", "nowhere", "--port", "0"], "no model at 'nowhere'"),
    ],
)
def test_what_can_not_be_served_is_one_line(
    coordi: Coordi, arguments: list[str], expected: str, tmp_path: Path
) -> None:
    (line,) = coordi("serve", *(argument.format(tmp=tmp_path) for argument in arguments))
    assert expected in line


@pytest.mark.slow
def test_a_catalogue_of_another_encoder_is_refused_at_the_start(
    coordi: Coordi, catalogue: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(catalogue, other)
    identity = json.loads((catalogue / "catalogue.json").read_text(encoding="utf-8"))["encoder"][1]
    with duckdb.connect(str(other / "items.duckdb")) as database:
        database.execute("UPDATE about SET info = replace(info, ?, ?)", [identity, "f" * 64])
    (line,) = coordi("serve", "--catalogue", str(other), "--port", "0")
    assert "encoder" in line
    assert "ffffffffffff" in line
    assert "coordi catalogue build" in line


def test_a_missing_part_names_the_command_that_installs_it(coordi: Coordi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    (line,) = coordi("serve")
    assert "needs 'uvicorn', which isn't installed; run: pip install coordi" in line


def test_an_error_of_coordis_own_is_told_without_its_words(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = start()

    def fail(_: object, words: str) -> object:
        raise RuntimeError(words)

    monkeypatch.setattr(type(started.service.model), "item_of_words", fail)
    answer = started.client.post(f"{API}/score", json={"items": LOOK})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert LOOK[0]["text"] not in answer.text + caplog.text
    assert "RuntimeError" in caplog.text
    assert started.client.post(f"{API}/describe", files={"photo": ("x", jpeg())}).status_code == 200
