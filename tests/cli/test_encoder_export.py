from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from coordi.cli.main import build_app
from coordi.encoders.describe import read_described
from coordi.errors import EncoderError

from ..encoders.conftest import tiny_clip as tiny_clip

pytest.importorskip("torch", reason="needs the train extra")


def run(*arguments: str | Path) -> str:
    return CliRunner().invoke(build_app(), [str(part) for part in arguments], catch_exceptions=False).stdout


@pytest.mark.slow
def test_an_export_is_an_encoder_like_any_other(tiny_clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "onnx"
    found = json.loads(run("encoder", "export", "--encoder", tiny_clip, "--out", out, "--json"))
    assert found["folder"] == str(out)
    assert found["difference"] <= 1e-3
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (50, 70), "red").save(photos / "a.png")
    described = {}
    for name, encoder in (("torch", tiny_clip), ("ONNX", out)):
        run("describe", "--data", photos, "--out", tmp_path / name, "--encoder", encoder)
        described[name] = read_described(tmp_path / name)
    assert described["torch"].embeddings == pytest.approx(described["ONNX"].embeddings, abs=1e-3)


def test_what_cannot_be_exported_is_said(tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="'edge' is in ONNX already"):
        run("encoder", "export", "--encoder", "edge", "--out", tmp_path / "out")
    with pytest.raises(EncoderError, match=r"fashion-clip isn't on this machine.*allow_download"):
        run("encoder", "export", "--encoder", "fashion-clip", "--out", tmp_path / "out", "--revision", "0" * 40)
    assert not (tmp_path / "out").exists()
