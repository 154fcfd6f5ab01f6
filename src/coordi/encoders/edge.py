"""The bundled edge encoder: EfficientNet-Lite photos and bag-of-token texts in ONNX."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from coordi.errors import EncoderError

if TYPE_CHECKING:
    from PIL import Image


def open_session(content: bytes) -> Any:
    """A session of onnxruntime on the processor.

    Threads that wait don't spin: photos are opened by other threads at the same time, and spinning took a third of the
    processor's time from them.

    Args:
        content: The bytes of the network's file.

    Raises:
        Exception: Of onnxruntime's own types, if it can't be read.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


@dataclass(frozen=True, slots=True)
class Calibration:
    """Constants by column of labelled photos, chosen on photos and labels apart from those that are reported.

    Attributes:
        withheld: Labels of which training saw neither a photo, nor a photo's title, nor the name beside photos.
        seen: Labels, in the words of prompts, that photos were trained on; a column that is absent has no bonus.
        bonus: Added to the cosine of a label that isn't among those seen, however it is spelt: ``word_key``.
        temperatures: What logits are divided by; 1 where absent.
    """

    withheld: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seen: Mapping[str, frozenset[str]] = field(default_factory=dict)
    bonus: Mapping[str, float] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)

    def bonuses(self, name: str, words: Sequence[str]) -> npt.NDArray[np.float32]:
        """What is added to the cosine of each label of a column, ``(L,)``."""
        seen, bonus = self.seen.get(name), self.bonus.get(name, 0.0)
        if seen is None:
            return np.zeros(len(words), dtype=np.float32)
        known = {word_key(word) for word in seen}
        return np.array([0.0 if word_key(word) in known else bonus for word in words], dtype=np.float32)


def calibration_of(encoder: object) -> Calibration:
    """What is known of an encoder; nothing of one that says nothing."""
    found = getattr(encoder, "calibration", None)
    return found if isinstance(found, Calibration) else Calibration()


def word_key(words: str) -> str:
    """The same for one and for several, for upper and lower case, with hyphens, spaces or neither.

    By the rules of English: ``Kurta`` and ``kurtas``, ``T-Shirt`` and ``tshirts``, ``watch`` and ``Watches``, ``body``
    and ``bodies``, ``hoodie`` and ``hoodies``. It is for comparing and isn't always a word.
    """
    return "".join(_singular(word) for word in words.lower().replace("-", "").split())


def _singular(word: str) -> str:
    if word.endswith(("ies", "ie")) and len(word) > 4:  # hoodie and hoodies alike
        return word.removesuffix("s")[:-2] + "y"
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


SIDE = 224
IMAGE_TOWER = "image.onnx"
TOKEN_TABLE = "tokens.safetensors"
TOKENIZER = "tokenizer.json"
EDGE_MANIFEST = "manifest.json"
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
        with resources.as_file(resources.files("coordi.encoders.weights")) as folder:
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
        manifest = json.loads((folder / EDGE_MANIFEST).read_text(encoding="utf-8"))
        if set(manifest["sha256"]) != set(_FILES) or not float(manifest["logit_scale"]) > 0:
            raise ValueError("it names other files or no logit_scale")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EncoderError(
            f"{folder / EDGE_MANIFEST} isn't an edge encoder's manifest ({error}); install coordi again"
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
            f"the calibration in {folder / EDGE_MANIFEST} can't be read ({error}); install coordi again"
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
