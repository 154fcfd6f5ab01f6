"""Exports say what the checkpoint says, need no torch, and are opened only as they were written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coordi.encoders.base import load_encoder
from coordi.encoders.clip import TowersEncoder
from coordi.encoders.onnx import export_onnx
from coordi.errors import ArtifactError, EncoderError

from .checkpoint_builders import BUILDERS

pytest.importorskip("torch", reason="needs the train extra")

TEXTS = ["a red bag", "red", "", "A Red_DRESS, with a bag!", "a long dress " * 20]


@pytest.mark.parametrize("kind", BUILDERS)
def test_vectors_are_those_of_the_checkpoint(
    tiny_checkpoints: Mapping[str, Path], tiny_exports: Mapping[str, Path], photos: list[Image.Image], kind: str
) -> None:
    source, exported = load_encoder(str(tiny_checkpoints[kind])), load_encoder(str(tiny_exports[kind]))
    np.testing.assert_allclose(exported.encode_images(photos), source.encode_images(photos), atol=1e-3)
    np.testing.assert_allclose(exported.encode_texts(TEXTS), source.encode_texts(TEXTS), atol=1e-3)
    assert (exported.logit_scale, exported.logit_bias) == (source.logit_scale, source.logit_bias)
    assert exported.identity != source.identity


@pytest.mark.parametrize("kind", BUILDERS)
@pytest.mark.slow
def test_eight_bits_are_near_and_do_not_depend_on_the_batch(
    tiny_checkpoints: Mapping[str, Path], photos: list[Image.Image], tmp_path: Path, kind: str
) -> None:
    source = load_encoder(str(tiny_checkpoints[kind]))
    assert isinstance(source, TowersEncoder)
    exported = export_onnx(source, tmp_path / "out", "int8")
    assert 0.98 <= exported.cosine < 1
    assert exported.difference <= 1e-3  # of the texts, whose tower stays as it is
    loaded = load_encoder(str(tmp_path / "out"))
    vectors = loaded.encode_images(photos)
    cosines = (vectors * source.encode_images(photos)).sum(axis=1)
    assert 0.98 <= cosines.min() < 1 - 1e-7
    one_by_one = np.concatenate([loaded.encode_images([photo]) for photo in photos])
    np.testing.assert_array_equal(vectors, one_by_one)
    assert loaded.encode_images([]).shape == (0, source.dimension)


_WITHOUT_TORCH = """
import sys
for name in ("torch", "transformers"):
    sys.modules[name] = None
from PIL import Image
from coordi.encoders.base import load_encoder
encoder = load_encoder(sys.argv[1])
print(encoder.encode_images([Image.new("RGB", (90, 60), "red")]).shape, encoder.encode_texts(["a", "b"]).shape)
"""


@pytest.mark.slow
def test_an_export_needs_neither_torch_nor_transformers(tiny_exports: Mapping[str, Path]) -> None:
    command = [sys.executable, "-c", _WITHOUT_TORCH, str(tiny_exports["siglip"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONWARNINGS": ""})
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "(1, 16) (2, 16)"


@pytest.mark.parametrize("name", ["image.onnx", "text.onnx", "tokenizer.json"])
def test_a_file_that_does_not_match_its_hash_is_not_opened(
    tiny_exports: Mapping[str, Path], tmp_path: Path, name: str
) -> None:
    folder = shutil.copytree(tiny_exports["clip"], tmp_path / "copy")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(EncoderError, match=rf"{name} was changed: its SHA-256 is .*isn't opened"):
        load_encoder(str(folder))
    (folder / name).unlink()
    with pytest.raises(EncoderError, match=rf"{name} can't be read \(No such file"):
        load_encoder(str(folder))


def test_broken_manifests_are_refused(tiny_exports: Mapping[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_exports["clip"], tmp_path / "copy")
    manifest = json.loads((folder / "manifest.json").read_text())
    names = manifest["sha256"]
    changes: tuple[dict[str, Any], ...] = (
        {"logit_scale": 0}, {"format": "coordi-onnx-encoder-9"}, {"more": 1}, {"sha256": {}},
        {"sha256": {**names, "../../else": "0"}}, {"photos": {"size": [0, 5]}}, {"texts": {"length": 4}},
    )  # fmt: skip
    for change in changes:
        (folder / "manifest.json").write_text(json.dumps({**manifest, **change}))
        with pytest.raises(EncoderError, match=r"manifest\.json isn't the manifest of an exported encoder"):
            load_encoder(str(folder))


def test_identity_is_that_of_files_and_recipe(tiny_exports: Mapping[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_exports["clip"], tmp_path / "copy")
    identity = load_encoder(str(tiny_exports["clip"])).identity
    assert load_encoder(str(folder)).identity == identity
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["photos"]["resample"] = 2
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert load_encoder(str(folder)).identity != identity


def test_an_export_never_overwrites(tiny_checkpoints: Mapping[str, Path], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    source = load_encoder(str(tiny_checkpoints["clip"]))
    assert isinstance(source, TowersEncoder)
    with pytest.raises(ArtifactError, match="holds something already"):
        export_onnx(source, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_export_is_not_exported_again(tiny_exports: Mapping[str, Path], tmp_path: Path) -> None:
    exported = load_encoder(str(tiny_exports["clip"]))
    assert isinstance(exported, TowersEncoder)
    with pytest.raises(EncoderError, match="in ONNX already"):
        export_onnx(exported, tmp_path / "again")


@pytest.mark.slow
def test_an_export_that_says_something_else_has_no_manifest(
    tiny_checkpoints: Mapping[str, Path], tmp_path: Path
) -> None:
    import torch

    source = load_encoder(str(tiny_checkpoints["clip"]))
    assert isinstance(source, TowersEncoder)

    class Noisy(torch.nn.Module):  # what tracing can't see: a network that isn't the same twice
        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner
            self.calls = 0

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            found: torch.Tensor = self.inner(given) + self.calls
            return found

    model = source.model
    model.visual_projection = Noisy(model.visual_projection)
    with pytest.raises(EncoderError, match=r"differ by .*has no manifest"):
        export_onnx(source, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()
