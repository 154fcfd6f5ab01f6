"""What of the Dockerfile can be checked without a container engine: what it copies and builds, and its health check."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from coordi.model import decoder
from coordi.model.trained import BUNDLED

from .conftest import Start

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")


def health(port: int) -> int:
    """Exit code of the health check, with the port of a server of the tests."""
    match = re.search(r"^HEALTHCHECK .*CMD (?P<command>\[.*\])$", DOCKERFILE, flags=re.MULTILINE)
    assert match is not None
    program, *arguments = json.loads(match["command"])
    assert program == "python"
    command = [sys.executable, *(part.replace(" 8000,", f" {port},") for part in arguments)]
    assert str(port) in command[-1]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_the_health_check_passes_where_a_server_answers(start: Start) -> None:
    assert health(start(load=False).port) == 0
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        assert health(silent.getsockname()[1]) == 1


def test_the_health_check_needs_no_token(start: Start) -> None:
    assert health(start(load=False, token="x" * 32).port) == 0


def test_the_model_is_built_for_every_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    match = re.search(r'^RUN /opt/coordi/bin/python -c "(?P<code>[^"]+)"$', DOCKERFILE, flags=re.MULTILINE)
    assert match is not None
    built: list[tuple[Path, bool]] = []
    monkeypatch.setattr(
        decoder, "decoder_folder", lambda adapter, layers, *, in_bytes: built.append((adapter, in_bytes))
    )
    exec(match["code"], {})
    assert built == [(BUNDLED, False), (BUNDLED, True)]


def test_everything_that_is_copied_is_in_the_context() -> None:
    sources = [
        name
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, flags=re.MULTILINE)
        for name in line.split()[:-1]
    ]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert sorted(sources) == sorted(line[1:] for line in ignored if line.startswith("!"))
    assert [name for name in sources if not (ROOT / name).exists()] == []
