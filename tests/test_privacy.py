"""Nothing of what coordi uses keeps or sends a record of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coordi.encoders.base import import_onnxruntime

_SEE = """
from PIL import Image
from coordi.encoders.edge import EdgeEncoder
EdgeEncoder.bundled().encode_images([Image.new("RGB", (64, 64), "red")])
"""


def test_the_network_library_gathers_nothing(tmp_path: Path) -> None:
    """onnxruntime 1.32 writes an id of the machine and a queue of events into the cache folder where it may."""
    homes = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", _SEE], env=kept | homes, check=True)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    import_onnxruntime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"


def test_importing_coordi_sets_nothing() -> None:
    code = "import os; before = dict(os.environ); import coordi; assert dict(os.environ) == before"
    subprocess.run([sys.executable, "-c", code], check=True)
