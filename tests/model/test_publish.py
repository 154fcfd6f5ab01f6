"""An adapter on a hub, which is a small server of the test's own: nothing is sent unless allowed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from coordi.artifacts import read_json
from coordi.config import RunSettings
from coordi.errors import ModelError
from coordi.model.export import export
from coordi.model.publish import CARD, push, write_card
from coordi.model.trained import BUNDLED, SETTINGS, TrainedModel, find_model

from ..hub_server import constants as constants

NAME = "owner/adapter"


@dataclass
class Received:
    """What the server got: the repository's settings, and files by name."""

    created: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    refuses: bool = False


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, constants: Any) -> Iterator[Received]:
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = 200, answer_to(self.path, body)
            if received.refuses:
                status, answer = 403, {"error": "not yours"}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    def answer_to(path: str, body: bytes) -> dict[str, Any]:
        if path.endswith("/repos/create"):
            received.created = json.loads(body)
            return {"url": f"https://huggingface.co/{NAME}", "id": NAME}
        if "/preupload/" in path:
            files = [entry["path"] for entry in json.loads(body)["files"]]
            return {"files": [{"path": file, "uploadMode": "regular", "shouldIgnore": False} for file in files]}
        if "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    received.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return {"commitUrl": f"https://huggingface.co/{NAME}/commit/{0:040}", "commitOid": f"{0:040}"}
        return {}

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{listening.server_port}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        yield received
        listening.shutdown()


@pytest.fixture
def exported(tmp_path: Path) -> tuple[TrainedModel, Path]:
    model, folder = find_model("bundled"), tmp_path / "exported"
    export(model, "adapter", folder)
    return model, folder


def test_an_adapter_is_uploaded_with_its_card(
    hub: Received, exported: tuple[TrainedModel, Path], constants: Any
) -> None:
    model, folder = exported
    write_card(model, folder)
    assert NAME in push(folder, NAME, allowed=True)
    assert hub.created["visibility"] == "private"
    assert {CARD, SETTINGS, "adapter_model.safetensors", "adapter_config.json", "coordi.json"} <= set(hub.files)
    assert hub.files["adapter_model.safetensors"] == (BUNDLED / "adapter_model.safetensors").read_bytes()
    assert constants.HF_HUB_OFFLINE is True


def test_nothing_is_uploaded_unless_allowed(hub: Received, exported: tuple[TrainedModel, Path]) -> None:
    with pytest.raises(ModelError, match=r"nothing is uploaded unless allowed; give --allow-upload to send .*owner/ad"):
        push(exported[1], NAME, allowed=False)
    assert not hub.created


def test_a_hub_that_refuses_is_named(hub: Received, exported: tuple[TrainedModel, Path]) -> None:
    hub.refuses = True
    with pytest.raises(
        ModelError, match=r"can't be uploaded to owner/adapter: .*403.*; check the name, the network and"
    ):
        push(exported[1], NAME, allowed=True)


def test_no_path_of_this_machine_is_in_the_files(
    exported: tuple[TrainedModel, Path], tmp_path: Path, hub: Received
) -> None:
    model, folder = exported
    (folder / CARD).unlink()
    origin = read_json(folder / "coordi.json") | {"base": str(tmp_path)}
    (folder / "coordi.json").write_text(json.dumps(origin))
    settings = read_json(folder / SETTINGS)
    settings["finetune"]["start"] = str(tmp_path / "earlier")
    (folder / SETTINGS).write_text(json.dumps(settings))
    write_card(model, folder)
    assert str(tmp_path) not in (folder / SETTINGS).read_text(encoding="utf-8")
    assert read_json(folder / SETTINGS)["model"]["base"] == read_json(folder / "coordi.json")["base"] == tmp_path.name
    card = (folder / CARD).read_text(encoding="utf-8")
    assert f"base_model: {tmp_path.name}" in card
    assert origin["identity"] in card
    assert str(tmp_path) not in card
    settings = read_json(folder / SETTINGS)
    settings["describe"] |= {"encoder": str(tmp_path), "identity": "e" * 64}
    (folder / SETTINGS).write_text(json.dumps(settings))
    (folder / CARD).unlink()
    write_card(model, folder)
    assert "--set describe.encoder=ENCODER" in (folder / CARD).read_text(encoding="utf-8")
    assert NAME in push(folder, NAME, allowed=True)
    assert all(str(tmp_path).encode() not in content for content in hub.files.values())
    settings["describe"]["identity"] = None  # of an earlier version: nothing says which encoder is meant
    (folder / SETTINGS).write_text(json.dumps(RunSettings.model_validate(settings).model_dump(mode="json")))
    with pytest.raises(ModelError, match=r"describe\.encoder is '/.*', a file of this machine, without which nobody"):
        push(folder, NAME, allowed=True)
