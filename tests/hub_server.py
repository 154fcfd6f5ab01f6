"""A hub on this machine, for tests of what is fetched from one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

PIN = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """A small server that speaks as much of the hub's protocol as fetching a data set or a checkpoint takes.

    Attributes:
        files: By repository, each file's bytes.
        errors: By repository, the hub's error code that every request is answered with.
        asked: What was requested.
        commits: Revisions that there are.
    """

    files: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    errors: dict[str, tuple[int, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    commits: set[str] = field(default_factory=lambda: {PIN})

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        rest = path.split("?")[0].lstrip("/")
        api = rest.startswith("api/")
        owner, name, _, revision, *more = re.sub(r"^(api/)?(datasets/|models/)?", "", rest).split("/")
        repository = f"{owner}/{name}"
        if repository in self.errors:
            status, code = self.errors[repository]
            return status, {"X-Error-Code": code, "X-Error-Message": code}, b"{}"
        files = self.files.get(repository)
        if files is None:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        if revision not in self.commits:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        if api:
            listed = [
                {"type": "file", "path": file, "size": len(data), "oid": _etag(data)} for file, data in files.items()
            ]
            return 200, {"Content-Type": "application/json"}, json.dumps(listed).encode()
        data = files["/".join(more)]
        return 200, {"X-Repo-Commit": revision, "ETag": f'"{_etag(data)}"'}, data


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def constants(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The library's settings, imported offline, as coordi's command does, for the tests after these."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return pytest.importorskip("huggingface_hub.constants")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, constants: Any) -> Iterator[Hub]:
    """The library asks this server, and keeps what it fetched in a folder of the test's own."""
    found = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = found.answer(self.path)
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        here = f"http://127.0.0.1:{listening.server_port}"
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, here)
        monkeypatch.setattr(constants, "ENDPOINT", here)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "cache"))
        yield found
        listening.shutdown()
