"""Photos by address, from a server on this machine: what is fetched, and what never is."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from coordi.cli.main import build_app
from coordi.data.feed import addresses_of, read_catalogue
from coordi.data.fetching import PhotoFetcher, is_public
from coordi.data.source import fetched_name
from coordi.errors import DataError


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (60, 80), (200, 30, 60)).save(buffer, "JPEG")
    return buffer.getvalue()


class Shop(BaseHTTPRequestHandler):
    requests: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        self.requests.append((self.path, dict(self.headers)))
        places = {"/moved": "/a.jpg", "/loop": "/loop", "/elsewhere": "http://example.org/a.jpg",
                  "/inside": "http://169.254.169.254/latest", "/file": "file:///etc/passwd",
                  "/broken": "http://[x/a.jpg"}  # fmt: skip
        if self.path in places:
            self.send_response(302)
            self.send_header("Location", places[self.path])
            self.end_headers()
            return
        if self.path == "/slow":
            self.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
            for _ in range(100):
                time.sleep(0.05)
                self.wfile.write(b"a")
            return
        bodies = {
            "/a.jpg": jpeg(),
            "/b.jpg?v=1": jpeg(),
            "/two%20words.jpg": jpeg(),
            "/page": b"<html>",
            "/big": bytes(9_000),
        }
        bodies["/cut"] = jpeg()[:300]
        self.send_response(200 if self.path in bodies else 404)
        if self.path == "/cut":
            self.send_header("Content-Length", "400")
        self.end_headers()
        self.wfile.write(bodies.get(self.path, b""))

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def shop() -> Iterator[str]:
    Shop.requests = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def fetcher(host: str, max_bytes: int = 8_000) -> PhotoFetcher:
    """One that may ask this machine."""
    return PhotoFetcher(frozenset({host, "example.org"}), max_bytes, accepts=lambda ip: ip in ("127.0.0.1", "::1"))


def table(folder: Path, *addresses: str) -> Path:
    rows = "".join(f"{number},red hat,{address}\n" for number, address in enumerate(addresses))
    (folder / "items.csv").write_text(f"id,title,image_link\n{rows}", encoding="utf-8")
    return folder / "items.csv"


def test_photos_are_fetched_once_and_found_by_the_catalogue(tmp_path: Path, shop: str) -> None:
    places = ("a.jpg", "moved", "b.jpg?v=1", "two words.jpg")
    source = table(tmp_path, *(f"http://{shop}/{place}" for place in places))
    addresses = addresses_of(read_catalogue(source))
    assert [len(row) for row in addresses.values()] == [1, 1, 1, 1]
    result = fetcher(shop).fetch_all(addresses, tmp_path / "images")
    assert (result.new, result.before, dict(result.failed)) == (4, 0, {})
    items = read_catalogue(source).items
    assert [item.image and item.image.stem for item in items] == [fetched_name(f"http://{shop}/{p}") for p in places]
    requests = len(Shop.requests)
    again = fetcher(shop).fetch_all(addresses, tmp_path / "images")
    assert (again.new, again.before, len(Shop.requests)) == (0, 4, requests)


@pytest.mark.parametrize(("place", "problem"), [
    ("loop", "more than 5 redirects"), ("missing.jpg", "the host answered 404 Not Found"), ("page", "photo isn't one"),
    ("big", r"larger than 0\.0076\d* MiB"), ("inside", r"the host 169\.254\.169\.254 isn't allowed"),
    ("file", "only http and https are fetched"), ("cut", "cut short: 300 of 400 bytes came"),
    ("broken", "can't be fetched .ValueError: Invalid IPv6 URL"),
])  # fmt: skip
def test_what_gives_no_photo_says_why_and_leaves_nothing(tmp_path: Path, shop: str, place: str, problem: str) -> None:
    address = f"http://{shop}/{place}"
    result = fetcher(shop).fetch_all({"hat": [address]}, tmp_path)
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(result.failed["hat"])
    assert not list(tmp_path.iterdir())


def test_the_next_address_of_an_item_is_tried(tmp_path: Path, shop: str) -> None:
    addresses = [f"http://{shop}/missing.jpg", f"http://{shop}/a.jpg"]
    assert fetcher(shop).fetch_all({"hat": addresses}, tmp_path).new == 1
    assert [path.name for path in tmp_path.iterdir()] == [f"{fetched_name(addresses[1])}.jpg"]


def test_a_photo_of_many_items_is_fetched_once(tmp_path: Path, shop: str) -> None:
    addresses = {str(number): [f"http://{shop}/a.jpg"] for number in range(40)}
    assert fetcher(shop).fetch_all(addresses, tmp_path, workers=8).new == 40
    assert len(Shop.requests) == len(list(tmp_path.iterdir())) == 1


def test_a_host_that_sends_its_headers_slowly_has_no_more_time_than_others(shop: str, tmp_path: Path) -> None:
    quick = replace(fetcher(shop), seconds=0.5)
    begun = time.monotonic()
    assert "took longer than 0.5 s" in quick.fetch_all({"hat": [f"http://{shop}/slow"]}, tmp_path).failed["hat"]
    assert time.monotonic() - begun < 4


def test_an_unfinished_file_is_fetched_again(tmp_path: Path, shop: str) -> None:
    address = f"http://{shop}/a.jpg"
    (tmp_path / f"{fetched_name(address)}.part").write_bytes(b"half")
    assert fetcher(shop).fetch_all({"hat": [address]}, tmp_path).new == 1


def test_hosts_that_are_not_named_are_not_asked(tmp_path: Path, shop: str) -> None:
    port = shop.rpartition(":")[2]
    strangers = {"ip": f"http://127.0.0.1:{port}/a.jpg", "account": f"http://me:secret@{shop}/a.jpg",
                 "user": f"http://{shop}@example.com/a.jpg", "port": "http://localhost/a.jpg"}  # fmt: skip
    result = fetcher(shop).fetch_all({key: [address] for key, address in strangers.items()}, tmp_path)
    assert sorted(result.failed) == sorted(strangers)
    assert "add --allow 127.0.0.1" in result.failed["ip"]
    assert "a name or a password, which isn't sent" in result.failed["account"]
    assert not Shop.requests


def test_nothing_of_the_user_is_sent(tmp_path: Path, shop: str) -> None:
    fetcher(shop).fetch_all({"hat": [f"http://{shop}/a.jpg"]}, tmp_path)
    ((_, headers),) = Shop.requests
    assert set(headers) == {"Host", "Accept", "Accept-Encoding", "User-Agent"}


@pytest.mark.parametrize("ip", [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::a00:1", "2002:a00:1::", "198.18.0.1", "192.0.2.1",
    "::127.0.0.1", "::ffff:0:a00:1", "fec0::1", "64:ff9b:1::a00:1",
])  # fmt: skip
def test_addresses_of_private_networks(ip: str) -> None:
    assert not is_public(ip)


@pytest.mark.parametrize("ip", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "64:ff9b::808:808"])
def test_addresses_of_the_internet(ip: str) -> None:
    assert is_public(ip)


def test_the_command_refuses_this_machine(tmp_path: Path, shop: str) -> None:
    source = table(tmp_path, f"http://{shop}/a.jpg")
    run = CliRunner().invoke(build_app(), ["catalogue", "fetch-photos", str(source), "--allow", shop, "--json"])
    assert run.exit_code == 0, run.output
    answer = json.loads(run.stdout)
    assert (answer["new"], answer["before"]) == (0, 0)
    assert "the host localhost leads into a private network (127.0.0.1" in answer["failed"]["0"]
    assert not Shop.requests


def test_a_folder_is_searched_for_its_table(tmp_path: Path, shop: str) -> None:
    table(tmp_path, f"http://{shop}/a.jpg")
    command = ["catalogue", "fetch-photos", str(tmp_path), "--allow", shop, "--json"]
    run = CliRunner().invoke(build_app(), command)
    assert run.exit_code == 0, run.output
    answer = json.loads(run.stdout)
    assert answer["folder"] == str(tmp_path / "images")
    assert list(answer["failed"]) == ["0"]
    (tmp_path / "items.csv").unlink()
    assert "holds no table of items; give the path of a table" in str(
        CliRunner().invoke(build_app(), command).exception
    )


@pytest.mark.parametrize(("host", "address"), [
    ("bücher.example", "http://bücher.example/a.jpg"), ("BÜCHER.example.", "http://xn--bcher-kva.example/a.jpg"),
    ("xn--bcher-kva.example", "http://Bücher.Example/a.jpg"), ("상점.example", "https://상점.example/ä b.jpg"),
    ("cdn.example:443", "https://cdn.example/a.jpg"), ("cdn.example:80", "http://cdn.example:80/a.jpg"),
    ("cdn.example", "https://cdn.example:443/a.jpg"), ("cdn.example:8443", "https://cdn.example:8443/a.jpg"),
])  # fmt: skip
def test_a_host_in_any_script_and_with_its_usual_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, address: str
) -> None:
    names: list[str] = []

    def resolve(name: str, *_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str]]]:
        names.append(name)
        return [(0, 0, 0, "", ("10.0.0.1",))]

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    result = PhotoFetcher.of_hosts([host], 1000).fetch_all({"hat": [address]}, tmp_path)
    assert "leads into a private network (10.0.0.1)" in result.failed["hat"]
    assert names == [host.rstrip(".").partition(":")[0].lower().encode("idna").decode()]


@pytest.mark.parametrize(("host", "address"), [
    ("cdn.example:443", "http://cdn.example/a.jpg"), ("cdn.example:80", "https://cdn.example/a.jpg"),
    ("cdn.example:443", "https://cdn.example:8443/a.jpg"), ("bucher.example", "http://bücher.example/a.jpg"),
])  # fmt: skip
def test_another_port_or_letter_is_another_host(tmp_path: Path, host: str, address: str) -> None:
    result = PhotoFetcher.of_hosts([host], 1000).fetch_all({"hat": [address]}, tmp_path)
    assert "isn't allowed; add --allow " in result.failed["hat"]


@pytest.mark.parametrize("host", [
    "", "https://cdn.example.com", "me@example.com", "*.example.com", "a.example:", "a.example:x", "a.example:70000",
    "a..example", "a b.example",
])  # fmt: skip
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(DataError, match="is no host; give its name alone"):
        PhotoFetcher.of_hosts([host], 1000)
