"""How much a request may be: refused while it comes in, whatever it says of itself, and answered all the same."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import httpx
import pytest

from coordi.api import Model
from coordi.serve.app import most_connections

from .conftest import Blocked, Start, jpeg, noise

API = "/api/v1"
JSON = {"Content-Type": "application/json"}
MIB = 2**20


def answered(connection: socket.socket) -> tuple[int, dict[str, str]]:
    """Status and error of what a raw connection is answered, up to its end."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


def raw(port: int, head: str, body: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n" + body)
    return connection


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so() and time.monotonic() < end:
        time.sleep(0.01)
    assert is_so()


def test_json_of_64_kib_is_read_and_more_is_refused(client: httpx.Client) -> None:
    body = json.dumps({"items": [{"text": "white shirt"}, {"text": "blue jeans"}], "language_model": False}).encode()
    fits = body + b" " * (64 * 1024 - len(body))
    assert client.post(f"{API}/score", content=fits, headers=JSON).status_code == 200
    answer = client.post(f"{API}/score", content=fits + b" ", headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert "more than 64 KiB" in answer.json()["error"]["message"]


def test_a_photo_of_the_most_is_taken_and_a_byte_more_is_refused(start: Start) -> None:
    photo = noise(600)
    client = start(photo_bytes=len(photo)).client
    assert client.post(f"{API}/describe", files={"photo": ("x.png", photo)}).status_code == 200
    answer = client.post(f"{API}/describe", files={"photo": ("x.png", photo + b"\0")})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert client.post(f"{API}/describe", files={"photo": ("x.png", photo)}).status_code == 200


def test_what_says_it_is_too_large_is_refused_before_it_comes(start: Start) -> None:
    port = start().port
    head = "POST /api/v1/describe HTTP/1.1\nHost: localhost\nContent-Type: multipart/form-data; boundary=x\n"
    with raw(port, f"{head}Content-Length: 999999999999\n") as connection:
        connection.shutdown(socket.SHUT_WR)
        assert answered(connection)[0] == 413


@pytest.mark.parametrize("path", ["describe", "score"])
def test_what_never_ends_is_refused_once_it_is_too_large(start: Start, path: str) -> None:
    port = start(photo_bytes=MIB).port
    kind = "multipart/form-data; boundary=x" if path == "describe" else "application/json"
    head = f"POST /api/v1/{path} HTTP/1.1\nHost: localhost\nContent-Type: {kind}\nTransfer-Encoding: chunked\n"
    begin = (
        b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n' if path == "describe" else b" "
    )
    sent = 0
    with raw(port, head, b"%x\r\n%s\r\n" % (len(begin), begin)) as connection:
        chunk = b"%x\r\n%s\r\n" % (16384, b" " * 16384)
        connection.setblocking(False)
        received = b""
        while b"\r\n\r\n" not in received and sent < 64 * MIB:
            try:
                sent += connection.send(chunk)
            except BlockingIOError:
                time.sleep(0.001)
            with suppress(BlockingIOError):
                received += connection.recv(65536)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in received.lower()
    assert sent < 12 * MIB  # what the system's own buffers hold beside the limit


def test_a_client_that_sends_it_all_anyway_still_gets_its_answer(start: Start) -> None:
    client = start(photo_bytes=MIB).client

    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
        for _ in range(200):
            yield b" " * 65536

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post(f"{API}/describe", content=endless(), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_a_body_that_stops_coming_is_no_longer_waited_for(start: Start) -> None:
    port = start(read_seconds=0.2).port
    head = "POST /api/v1/score HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: 500\n"
    with raw(port, head, b'{"items":') as connection:
        status, error = answered(connection)
    assert (status, error["code"]) == (408, "too_slow")


def test_a_body_that_trickles_is_no_longer_waited_for(start: Start) -> None:
    port = start(read_seconds=0.5).port
    with raw(port, "POST /api/v1/score HTTP/1.1\nHost: localhost\nContent-Length: 1000\n", b"{") as connection:
        end = time.monotonic() + 20
        with suppress(OSError):
            while time.monotonic() < end and not select.select([connection], [], [], 0.1)[0]:
                connection.sendall(b" ")
        status, error = answered(connection)
    assert (status, error["code"]) == (408, "too_slow")
    assert "less than 1 KiB a second" in error["message"]


@pytest.mark.parametrize("sent", [b"", b"GET /api/v1/health HTTP/1.1\r\nHost: local"])
def test_a_connection_without_a_request_is_closed(start: Start, sent: bytes) -> None:
    port = start(read_seconds=0.3).port
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(sent)
        begin = time.monotonic()
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        assert 0.2 < time.monotonic() - begin < 5


def test_idle_connections_leave_descriptors_for_others(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coordi.serve.app._CONNECTIONS", 20)
    server = start(read_seconds=1.0)
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(60)]
    try:
        time.sleep(0.5)
        closed = sum(bool(select.select([connection], [], [], 0)[0]) for connection in idle)
        assert closed == 40
        time.sleep(2)  # by now the others have had their time
        assert server.client.get(f"{API}/health").status_code == 200
    finally:
        for connection in idle:
            connection.close()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_the_limit_on_connections_follows_the_limit_on_open_files() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
        "from coordi.serve.app import most_connections; print(most_connections())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == 64
    assert most_connections() == 1024


def test_a_body_longer_than_it_says_spoils_nothing_but_itself(start: Start) -> None:
    started = start()
    head = "POST /api/v1/score HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: 9\n"
    with raw(started.port, head, b'{"items":[1,2]}\r\n\r\n') as connection:
        connection.settimeout(20)
        received = b""
        with suppress(TimeoutError):
            while chunk := connection.recv(65536):
                received += chunk
    assert received.startswith(b"HTTP/1.1 422 ")
    assert received.count(b"HTTP/1.1 4") == 2  # what follows is no request
    assert started.client.get(f"{API}/health").status_code == 200


@pytest.mark.parametrize(
    "head",
    [
        "GET\n",
        "\x16\x03\x01\x02",
        "GET / HTTP/1.1\n",
        "GET / HTTP/1.1\nHost: a\nHost: b\n",
        "GET / HTTP/1.1\nHost: localhost\nContent-Length: -1\n",
        "GET / HTTP/1.1\nHost: localhost\nContent-Length: 1\nContent-Length: 2\n",
        f"GET / HTTP/1.1\nHost: localhost\nX: {'x' * 200_000}\n",
        f"GET /{'x' * 200_000} HTTP/1.1\nHost: localhost\n",
    ],
)
def test_what_is_no_http_is_refused(start: Start, head: str) -> None:
    with raw(start().port, head) as connection:
        received = b""
        with suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
    assert received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 403 "))


def test_too_many_fields_of_a_form_are_refused(client: httpx.Client) -> None:
    field = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n1\r\n'
    answer = client.post(
        f"{API}/describe", content=field * 5000, headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert answer.status_code == 422
    assert "more than one 'photo'" in answer.json()["error"]["message"]


def test_a_photo_of_many_small_chunks_is_put_together(client: httpx.Client) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n' + jpeg() + b"\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    pieces = (body[start : start + 7] for start in range(0, len(body), 7))
    assert client.post(f"{API}/describe", content=pieces, headers=headers).status_code == 200


def test_photos_that_are_still_coming_in_hold_no_more_than_there_is_room_for(start: Start) -> None:
    started = start(photo_bytes=200 * MIB)
    head = "POST /api/v1/describe HTTP/1.1\nHost: localhost\nContent-Type: multipart/form-data; boundary=x\n"
    with raw(started.port, f"{head}Content-Length: {150 * MIB}\n") as waiting:
        wait_until(lambda: started.service.uploads.used > 0)
        with raw(started.port, f"{head}Content-Length: {150 * MIB}\n") as refused:
            refused.shutdown(socket.SHUT_WR)
            status, error = answered(refused)
        assert (status, error["code"]) == (503, "busy")
        assert started.client.post(f"{API}/describe", files={"photo": ("x", jpeg())}).status_code == 200
        waiting.close()
    wait_until(lambda: started.service.uploads.used == 0)


def test_a_client_that_hangs_up_frees_its_place(start: Start, model: Model) -> None:
    scorer = Blocked()
    started = start(replace(model, scorers=scorer), workers=1, queue=1)
    body = json.dumps({"items": [{"text": "white shirt"}, {"text": "blue jeans"}], "language_model": False}).encode()
    head = (
        f"POST /api/v1/score HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: {len(body)}\n"
    )
    pool = started.service.quick_pool

    def wait_for(size: int) -> None:
        wait_until(lambda: pool.size == size)

    with raw(started.port, head, body) as first:
        wait_for(1)
        for _ in range(3):
            with raw(started.port, head, body):
                wait_for(2)
                answer = started.client.post(f"{API}/score", content=body, headers=JSON)
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
                assert int(answer.headers["retry-after"]) >= 1
            wait_for(1)
        scorer.free.set()
        assert first.recv(100).startswith(b"HTTP/1.1 200 ")
    wait_for(0)
    assert scorer.calls == 1
