from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coordi.encoders.base import ImageTextEncoder, load_encoder
from coordi.encoders.edge import EdgeEncoder

from .checkpoint_builders import BUILDERS, build_tiny_clip


@pytest.fixture(scope="session")
def tiny_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A small checkpoint of every kind; never to be changed, only copied."""
    folder = tmp_path_factory.mktemp("checkpoints")
    return {kind: build(folder / kind) for kind, build in BUILDERS.items()}


@pytest.fixture(scope="session")
def tiny_exports(tiny_checkpoints: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Each of them exported to ONNX; never to be changed, only copied."""
    from coordi.encoders.clip import load_checkpoint
    from coordi.encoders.onnx import export_onnx

    folder = tmp_path_factory.mktemp("exports")
    return {kind: export_onnx(load_checkpoint(path), folder / kind).folder for kind, path in tiny_checkpoints.items()}


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of them alone, for tests elsewhere too."""
    return build_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="session")
def edge() -> EdgeEncoder:
    return EdgeEncoder.bundled()


@pytest.fixture(scope="session", params=["edge", *BUILDERS, "clip in ONNX", "siglip in ONNX"])
def encoder(request: pytest.FixtureRequest) -> ImageTextEncoder:
    if request.param == "edge":
        loaded: EdgeEncoder = request.getfixturevalue("edge")
        return loaded
    kind, _, is_onnx = request.param.partition(" in ")
    folders: Mapping[str, Path] = request.getfixturevalue("tiny_exports" if is_onnx else "tiny_checkpoints")
    return load_encoder(str(folders[kind]))


@pytest.fixture(scope="session")
def photos() -> list[Image.Image]:
    """Five pictures of different sizes and shapes."""
    generator = np.random.default_rng(11)
    sizes = ((224, 224), (90, 160), (300, 120), (33, 47), (64, 64))
    return [Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8)) for width, height in sizes]
