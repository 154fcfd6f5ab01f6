"""The bundled encoder: a small image tower in ONNX and a table of token vectors, a few megabytes together.

``training/README.md`` says how the files are made; ``docs/edge-encoder.md`` what they can and can't do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from coordi.describe.calibration import Calibration
from coordi.describe.onnx_session import open_session
from coordi.errors import EncoderError

if TYPE_CHECKING:
    from PIL import Image

SIDE = 224
IMAGE_TOWER = "image.onnx"
TOKEN_TABLE = "tokens.safetensors"
TOKENIZER = "tokenizer.json"
MANIFEST = "manifest.json"
_FILES = (IMAGE_TOWER, TOKEN_TABLE, TOKENIZER)
# Larger batches fall out of the processor's caches: 32 took 1.1 to 1.2 times the time of 8.
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class _Towers:
    session: Any
    tokenizer: Any
    table: npt.NDArray[np.float32]  # (V, D)


class EdgeEncoder:
    """EfficientNet-Lite0 features with a projection, and the weighted sum of a text's token vectors.

    Both towers run on the processor and need neither torch nor a network. A text of which no token is known, such as
    the empty one, gets the vector of the unknown token.

    Attributes:
        calibration: What ``coordi encoder evaluate`` turns cosines into probabilities with; also says which labels
            training was kept from.
        text_identity: Hash of what text vectors depend on, which a new image tower leaves as it is.
    """

    name = "edge"
    logit_bias = None

    def __init__(
        self, towers: _Towers, identities: tuple[str, str], logit_scale: float, calibration: Calibration
    ) -> None:
        self._towers = towers
        self.calibration = calibration
        self.identity, self.text_identity = identities
        self.logit_scale = logit_scale
        self.dimension = int(towers.table.shape[1])
        self._unknown = towers.tokenizer.token_to_id("[UNK]")

    @classmethod
    def bundled(cls) -> EdgeEncoder:
        """The encoder that comes in coordi's package.

        Raises:
            EncoderError: If a file is missing or was changed.
        """
        with resources.as_file(resources.files("coordi.describe.weights")) as folder:
            return cls.from_folder(folder)

    @classmethod
    def from_folder(cls, folder: Path) -> EdgeEncoder:
        """An edge encoder from its folder, every file checked against the manifest before it is opened.

        Raises:
            EncoderError: If a file is missing, was changed, or can't be read.
        """
        manifest = _read_manifest(folder)
        contents = {file: _checked(folder / file, manifest["sha256"][file]) for file in _FILES}
        told = (manifest, [manifest["sha256"][file] for file in (TOKEN_TABLE, TOKENIZER)])
        whole, texts = (hashlib.sha256(json.dumps(one, sort_keys=True).encode()).hexdigest() for one in told)
        return cls(_open(contents), (whole, texts), float(manifest["logit_scale"]), _calibration(folder, manifest))

    def encode_images(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)``; a photo that isn't square is padded with the colour of its border."""
        rows = [np.zeros((0, self.dimension), dtype=np.float32)]
        for start in range(0, len(images), _AT_ONCE):
            pixels = np.stack([prepare(image) for image in images[start : start + _AT_ONCE]])  # (B, 224, 224, 3)
            rows.append(self._towers.session.run(["vectors"], {"pixels": pixels})[0])
        return _unit(np.concatenate(rows))

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)``; word order doesn't matter to this encoder."""
        rows = [np.zeros(self.dimension, dtype=np.float32)][:0]
        for text in texts:
            tokens = self._towers.tokenizer.encode(text, add_special_tokens=False).ids or [self._unknown]
            rows.append(self._towers.table[tokens].sum(axis=0))
        return _unit(np.stack(rows)) if rows else np.zeros((0, self.dimension), dtype=np.float32)


def prepare(image: Image.Image) -> npt.NDArray[np.uint8]:
    """A photo as the image tower takes it: ``(224, 224, 3)`` uint8 RGB, normalised inside the tower.

    The longer side becomes 224 (bilinear with antialiasing) and the shorter is padded on both sides with the median
    colour of the photo's border, so that nothing is cut off or squeezed.
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


def _open(contents: Mapping[str, bytes]) -> _Towers:
    from safetensors.numpy import load
    from tokenizers import Tokenizer

    try:
        session = open_session(contents[IMAGE_TOWER])
        tokenizer = Tokenizer.from_str(contents[TOKENIZER].decode())
        tensors = load(contents[TOKEN_TABLE])
        table = tensors["tokens"].astype(np.float32) * tensors["scales"].astype(np.float32)[:, None]
    # The three readers raise types of their own, some of them bare Exception.
    except Exception as error:
        raise EncoderError(f"the edge encoder's files can't be opened ({error}); install coordi again") from error
    return _Towers(session, tokenizer, table)


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if set(manifest["sha256"]) != set(_FILES) or not float(manifest["logit_scale"]) > 0:
            raise ValueError("it names other files or no logit_scale")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EncoderError(
            f"{folder / MANIFEST} isn't an edge encoder's manifest ({error}); install coordi again"
        ) from error
    return dict(manifest)


def _calibration(folder: Path, manifest: Mapping[str, Any]) -> Calibration:
    """The manifest's constants; without any, none is applied."""
    found = manifest.get("calibration", {})
    try:
        temperatures = {name: float(value) for name, value in found.get("temperatures", {}).items()}
        if not all(value > 0 for value in temperatures.values()):
            raise ValueError(f"temperatures must be above 0, got {temperatures}")
        return Calibration(
            {name: tuple(labels) for name, labels in found.get("withheld", {}).items()},
            {name: frozenset(labels) for name, labels in found.get("seen", {}).items()},
            {name: float(value) for name, value in found.get("bonus", {}).items()},
            temperatures,
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise EncoderError(
            f"the calibration in {folder / MANIFEST} can't be read ({error}); install coordi again"
        ) from error


def _checked(path: Path, expected: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EncoderError(
            f"the edge encoder's {path.name} can't be read ({error.strerror}); install coordi again"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise EncoderError(
            f"the edge encoder's {path.name} was changed: its SHA-256 is {found[:16]}..., expected {expected[:16]}...; "
            "install coordi again"
        )
    return content


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(vectors / norms, dtype=np.float32)
