"""The bundled edge encoder: EfficientNet-Lite photos and bag-of-token texts in ONNX."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from coordi.config import Settings
from coordi.encoders.base import onnx_session, read_checked, unit_vectors
from coordi.errors import EncoderError

if TYPE_CHECKING:
    from PIL import Image

SIDE = 224
IMAGE_TOWER = "image.onnx"
TOKEN_TABLE = "tokens.safetensors"
TOKENIZER = "tokenizer.json"
EDGE_MANIFEST = "manifest.json"
_FILES = (IMAGE_TOWER, TOKEN_TABLE, TOKENIZER)
_REINSTALL = "install coordi again"
# Larger batches fall out of the processor's caches: 32 took 1.1 to 1.2 times the time of 8.
_BATCH_SIZE = 8


class Calibration(Settings):
    """Constants chosen on photos apart from those that are trained on and from those that are reported.

    Attributes:
        temperatures: By column of labelled photos, what logits are divided by; 1 where absent.
    """

    temperatures: Mapping[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)


def calibration_of(encoder: object) -> Calibration:
    """An encoder's own calibration, or one without constants."""
    calibration = getattr(encoder, "calibration", None)
    return calibration if isinstance(calibration, Calibration) else Calibration()


class EdgeEncoder:
    """EfficientNet-Lite0 features with a projection, and the weighted sum of a text's token vectors, on the CPU without
    torch. A text without a known token gets the vector of the unknown token. ``text_identity`` hashes what text vectors
    depend on; a new image tower leaves it as it is.
    """

    name = "edge"
    logit_bias = None

    def __init__(self, contents: Mapping[str, bytes], manifest: Mapping[str, Any], calibration: Calibration) -> None:
        from safetensors.numpy import load
        from tokenizers import Tokenizer

        self._image_tower = contents[IMAGE_TOWER]
        try:
            self._tokenizer: Any = Tokenizer.from_str(contents[TOKENIZER].decode())
            tensors = load(contents[TOKEN_TABLE])
            self._table = tensors["tokens"].astype(np.float32) * tensors["scales"].astype(np.float32)[:, None]  # (V, D)
        except Exception as error:  # the tokenizer's reader raises no other type
            raise _unreadable(error) from error
        text_hashes = [manifest["sha256"][file] for file in (TOKEN_TABLE, TOKENIZER)]
        self.identity, self.text_identity = (
            hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest() for part in (manifest, text_hashes)
        )
        self.calibration = calibration
        self.logit_scale = float(manifest["logit_scale"])
        self.dimension = int(self._table.shape[1])
        self._unknown_token = self._tokenizer.token_to_id("[UNK]")

    @cached_property
    def _session(self) -> Any:
        """The image tower, opened by the first photo: advice on words needs none of its memory."""
        try:
            return onnx_session(self._image_tower)
        except Exception as error:  # onnxruntime's types aren't exported
            raise _unreadable(error) from error

    @classmethod
    @cache
    def bundled(cls) -> EdgeEncoder:
        """The encoder in coordi's package, one for the process."""
        with resources.as_file(resources.files("coordi.encoders.weights")) as folder:
            return cls.from_folder(folder)

    @classmethod
    def from_folder(cls, folder: Path) -> EdgeEncoder:
        """An edge encoder from its folder, every file checked against the manifest before it is opened."""
        path = folder / EDGE_MANIFEST
        try:
            manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if set(manifest["sha256"]) != set(_FILES) or not float(manifest["logit_scale"]) > 0:
                raise ValueError("it names other files or no logit_scale")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EncoderError(f"{path} isn't an edge encoder's manifest ({error}); {_REINSTALL}") from error
        try:
            calibration = Calibration.model_validate(manifest.get("calibration", {}))
        except ValidationError as error:
            reason = " ".join(str(error).split())
            raise EncoderError(f"the calibration in {path} can't be read ({reason}); {_REINSTALL}") from error
        contents = {file: read_checked(folder / file, manifest["sha256"][file], _REINSTALL) for file in _FILES}
        return cls(contents, manifest, calibration)

    def encode_images(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)``; a photo that isn't square is padded with the colour of its border."""
        rows = [np.zeros((0, self.dimension), dtype=np.float32)]
        for start in range(0, len(images), _BATCH_SIZE):
            pixels = np.stack([prepare(image) for image in images[start : start + _BATCH_SIZE]])  # (B, 224, 224, 3)
            rows.append(self._session.run(["vectors"], {"pixels": pixels})[0])
        return unit_vectors(np.concatenate(rows))

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)``; this encoder ignores the order of words."""
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            tokens = self._tokenizer.encode(text, add_special_tokens=False).ids or [self._unknown_token]
            row[:] = self._table[tokens].sum(axis=0)
        return unit_vectors(rows)


def _unreadable(error: Exception) -> EncoderError:
    return EncoderError(f"the edge encoder's files can't be opened ({error}); {_REINSTALL}")


def prepare(image: Image.Image) -> npt.NDArray[np.uint8]:
    """A photo as the image tower takes it: ``(224, 224, 3)`` uint8 RGB, normalised inside the tower. The longer side
    becomes 224 (bilinear with antialiasing); the shorter is padded on both sides with the border's median colour.
    """
    from PIL import Image as Images

    image = image if image.mode == "RGB" else image.convert("RGB")
    if image.size == (SIDE, SIDE):
        return np.asarray(image)
    scale = SIDE / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    small = image.resize((width, height), Images.Resampling.BILINEAR)
    pixels = np.asarray(small)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    canvas = Images.new("RGB", (SIDE, SIDE), tuple(int(value) for value in np.median(border, axis=0)))
    canvas.paste(small, ((SIDE - width) // 2, (SIDE - height) // 2))
    return np.asarray(canvas)
