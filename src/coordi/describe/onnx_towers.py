"""A checkpoint that was exported to ONNX: a folder of two networks, a tokenizer and a manifest; no torch needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from coordi.config import Settings
from coordi.describe.onnx_session import open_session
from coordi.describe.pixels import PhotoRecipe
from coordi.describe.tokens import TextRecipe, Tokens
from coordi.describe.towers import Recipe, TowersEncoder
from coordi.errors import EncoderError

MANIFEST = "manifest.json"
IMAGE_TOWER = "image.onnx"
TEXT_TOWER = "text.onnx"
TOKENIZER = "tokenizer.json"
FILES = (IMAGE_TOWER, TEXT_TOWER, TOKENIZER)
FORMAT: Literal["coordi-onnx-encoder-1"] = "coordi-onnx-encoder-1"
Weights = Literal["float32", "int8"]
_AGAIN = "export it again with: coordi encoder export"


class OnnxManifest(Settings):
    """What stands beside the networks.

    Attributes:
        format: Of the folder.
        source: The encoder that was exported, as the user named it.
        source_identity: Its identity.
        dimension: D of every vector.
        logit_scale: What cosines are multiplied by.
        logit_bias: What is added before a sigmoid; None for a softmax over labels.
        photos: How photos are prepared.
        texts: How texts are cleaned, cut and padded.
        weights: Of the image tower.
        sha256: Of each file.
    """

    format: Literal["coordi-onnx-encoder-1"] = FORMAT
    source: str
    source_identity: str
    dimension: int = Field(ge=1)
    logit_scale: float = Field(gt=0)
    logit_bias: float | None = None
    photos: PhotoRecipe
    texts: TextRecipe
    weights: Weights = "float32"
    sha256: dict[str, str]


class OnnxTowers:
    """Two sessions of onnxruntime on the processor."""

    def __init__(self, image: Any, text: Any, weights: Weights = "float32") -> None:
        self._image = image
        self._text = text
        self._one_by_one = weights == "int8"

    def image(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Vectors ``(B, D)`` of prepared photos ``(B, 3, H, W)``.

        In 8 bits the scale of what goes into a layer is that of all photos in the call, so photos go one by one: a
        vector must not depend on which others are beside it.
        """
        parts = np.split(pixels, len(pixels)) if self._one_by_one and len(pixels) else [pixels]
        return np.concatenate([self._image.run(["vectors"], {"pixels": part})[0] for part in parts], dtype=np.float32)

    def text(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Vectors ``(B, D)`` of token ids ``(B, T)``."""
        return np.asarray(self._text.run(["vectors"], {"tokens": tokens})[0], dtype=np.float32)


def is_onnx_folder(folder: Path) -> bool:
    """Whether a folder was made by the export: only its manifest is looked at."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and str(found.get("format", "")).startswith("coordi-onnx-encoder")


def load_onnx(folder: Path, name: str | None = None) -> TowersEncoder:
    """An exported encoder, each file checked against the manifest before it is opened.

    Args:
        folder: Where it lies.
        name: What the encoder is called; None for the folder.

    Raises:
        EncoderError: If a file is missing, was changed, or can't be read.
    """
    manifest = _manifest(folder)
    contents = {name: _checked(folder / name, manifest.sha256[name]) for name in FILES}
    from tokenizers import Tokenizer

    try:
        tokens = Tokens(Tokenizer.from_str(contents[TOKENIZER].decode()), manifest.texts)
        towers = OnnxTowers(
            open_session(contents.pop(IMAGE_TOWER)), open_session(contents.pop(TEXT_TOWER)), manifest.weights
        )
    # The readers raise types of their own, some of them bare Exception.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise EncoderError(f"{folder} can't be opened as an exported encoder ({reason}); {_AGAIN}") from error
    lines = [manifest.sha256[name] for name in FILES] + [manifest.model_dump_json(exclude={"source", "sha256"})]
    identity = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    bias = manifest.logit_bias
    recipe = Recipe(manifest.photos, tokens, manifest.dimension, manifest.logit_scale, bias)
    return TowersEncoder(name or str(folder), identity, recipe, towers)


def _manifest(folder: Path) -> OnnxManifest:
    path = folder / MANIFEST
    try:
        manifest = OnnxManifest.model_validate_json(path.read_text(encoding="utf-8"))
        _check_files(manifest.sha256)
    except (OSError, ValidationError, ValueError) as error:
        reason = "; ".join(str(error).split("\n")[:3])
        raise EncoderError(f"{path} isn't the manifest of an exported encoder ({reason}); {_AGAIN}") from error
    return manifest


def _check_files(named: Mapping[str, str]) -> None:
    if set(named) != set(FILES):
        raise ValueError(f"it names {', '.join(sorted(named)) or 'no file'}, expected {', '.join(FILES)}")


def _checked(path: Path, expected: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EncoderError(f"{path} can't be read ({error.strerror or error}); {_AGAIN}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise EncoderError(
            f"{path} isn't the file that was exported: its SHA-256 is {found[:16]}..., the manifest says "
            f"{expected[:16]}...; it isn't opened; {_AGAIN}"
        )
    return content
