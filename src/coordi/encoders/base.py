"""Image and text encoders: the protocol, loading by name, copies from the hub, and what every encoder shares."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from coordi.artifacts import cache_folder
from coordi.config import DescribeSettings
from coordi.data.hub import Repository, fetch_repositories
from coordi.errors import EncoderError, require

if TYPE_CHECKING:
    from PIL import Image

EDGE = "edge"
FASHION_CLIP = "fashion-clip"
REPOSITORIES = {FASHION_CLIP: "patrickjohncyh/fashion-clip"}
"""Short names."""
PINNED_COMMITS = {
    "patrickjohncyh/fashion-clip": "7e3ba62ce16b379a1ab479346b66f192e76f51b7",
    "Marqo/marqo-fashionSigLIP": "e5619578fd528afa0bf88d8fae37748336a57fa2",
}
"""Commits that have safetensors, used where the user gives no revision."""

WEIGHTS = "model.safetensors"
OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = "open_clip_model.safetensors"
_SMALL_FILES = (
    "config.json", "preprocessor_config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json",
    "vocab.json", "merges.txt", OPEN_CLIP_CONFIG,
)  # fmt: skip
_SHARD = re.compile(r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?")
_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_HOW_TO_MOVE = (
    "the model was trained with an encoder whose hash is {}: where its folder lies elsewhere on this machine, give "
    "describe.encoder=FOLDER (in score, recommend and serve after --set)"
)
_HOW_TO_PIN = "--revision (where a command takes settings: describe.revision)"


class ImageTextEncoder(Protocol):
    """Photos and texts as embeddings in one space, as in CLIP, each independent of the others in its batch.

    Attributes:
        name: What the user asked for; of a checkpoint on the hub ``owner/name@`` and its commit's first 12 digits.
        identity: SHA-256 over the encoder's files; embeddings of two identities can't be compared.
        logit_scale: Cosines are multiplied by it before they become probabilities.
        logit_bias: None if probabilities are a softmax over labels; else what is added before a sigmoid per label.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def identity(self) -> str: ...  # noqa: D102

    @property
    def dimension(self) -> int: ...  # noqa: D102

    @property
    def logit_scale(self) -> float: ...  # noqa: D102

    @property
    def logit_bias(self) -> float | None: ...  # noqa: D102

    def encode_images(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)`` of RGB photos of any size, in order; ``(0, D)`` for none."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)`` of texts, in order; ``(0, D)`` for none."""
        ...


def load_encoder(name: str, allow_download: bool = False, revision: str | None = None) -> ImageTextEncoder:
    """Load an encoder; nothing is downloaded unless that is allowed. A name is ``edge`` (bundled); the folder of a CLIP
    or SigLIP checkpoint, or of one exported to ONNX; ``fashion-clip`` or the ``owner/name`` of a checkpoint on the
    Hugging Face hub, with a ``revision`` (40 hexadecimal digits) or the pinned one. An encoder that was loaded last is
    given again unless its files have changed, so that a process holds its weights once.

    Raises:
        EncoderError: If there is no such encoder, it may not be downloaded, or its files are damaged or wrong.
        MissingDependencyError: If a checkpoint is loaded without the ``train`` extra.
    """
    if name == EDGE:
        from coordi.encoders.edge import EdgeEncoder

        return EdgeEncoder.bundled()
    folder, repository = Path(name), repository_of(name)
    if folder.is_dir():
        return _load_folder(folder)
    if repository is not None:
        return _load_folder(fetch_checkpoint(repository, allow_download, revision), pinned_name(repository, revision))
    raise EncoderError(
        f"no encoder '{name}': accepted are '{EDGE}', '{FASHION_CLIP}', a checkpoint on the Hugging Face hub "
        "(owner/name), or the folder of a CLIP or SigLIP checkpoint (config.json and model.safetensors) or of an "
        "export to ONNX"
    )


def load_settled_encoder(settings: DescribeSettings) -> ImageTextEncoder:
    """The encoder that the settings name; see ``load_encoder``. Of a fine-tuned model's settings, it is an
    ``EncoderError`` if that isn't the encoder that it was trained with.
    """
    advice = "" if settings.identity is None else "; " + _HOW_TO_MOVE.format(settings.identity[:12])
    try:
        encoder = load_encoder(settings.encoder, settings.allow_download, settings.revision)
    except EncoderError as error:
        raise EncoderError(f"{error}{advice}") from error
    if settings.identity not in (None, encoder.identity):
        raise EncoderError(
            f"describe.encoder is '{encoder.name}' ({encoder.identity[:12]}), which isn't the encoder that this model "
            f"was trained with, and embeddings of two encoders can't be compared{advice}"
        )
    return encoder


def _load_folder(folder: Path, name: str | None = None) -> ImageTextEncoder:
    files = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir())
    return _loaded(folder, name, tuple(files))


@lru_cache(maxsize=1)
def _loaded(folder: Path, name: str | None, files: tuple[tuple[str, int, int], ...]) -> ImageTextEncoder:
    """The encoder of a folder that holds these files (name, bytes, time), one in memory for all who load it."""
    from coordi.encoders.onnx import is_onnx_folder, load_onnx

    if is_onnx_folder(folder):
        return load_onnx(folder, name)
    from coordi.encoders.clip import load_checkpoint

    return load_checkpoint(folder, name)


def repository_of(name: str) -> str | None:
    """The repository that a short name or ``owner/name`` means; None for anything else."""
    if name in REPOSITORIES:
        return REPOSITORIES[name]
    return name if _NAME.fullmatch(name) else None


def pinned_name(repository: str, revision: str | None) -> str:
    """``owner/name@`` and the first 12 digits of the commit, by default of the pinned one."""
    return f"{repository}@{(revision or PINNED_COMMITS.get(repository, 'unknown'))[:12]}"


def fetch_checkpoint(repository: str, allow_download: bool, revision: str | None) -> Path:
    """The folder of a checkpoint; see ``fetch_repositories``."""
    pin = revision or PINNED_COMMITS.get(repository)
    folder = cache_folder() / "encoders" / pinned_name(repository, pin).replace("/", "--")
    advice = (
        "allow it with --allow-download (where a command takes settings: describe.allow_download=true) and pin a "
        f"commit with {_HOW_TO_PIN}, give a folder that holds it, or use the bundled 'edge'"
    )
    checkpoint = Repository(repository, "model", pin, _HOW_TO_PIN, EncoderError, _choose)
    return fetch_repositories(folder, [checkpoint], allow_download, advice)


def _choose(where: str, listed: list[str]) -> list[str]:
    """The files of a checkpoint that are downloaded: never code, never pickle. Where a repository has both layouts and
    code of its own, only its ``config.json``, not yet downloaded, says which can be read; so open_clip's are taken.
    """
    weights = [file for file in listed if _SHARD.fullmatch(file)]
    has_code = any(file.endswith(".py") for file in listed)
    if OPEN_CLIP_WEIGHTS in listed and OPEN_CLIP_CONFIG in listed and (has_code or not weights):
        weights = [OPEN_CLIP_WEIGHTS]
    if not weights:
        pickled = [file for file in listed if file.endswith((".bin", ".pt", ".pth", ".ckpt"))]
        only = f" but {', '.join(pickled)}, which is pickle and may run code when loaded" if pickled else ""
        raise EncoderError(
            f"{where} holds no {WEIGHTS}{only}; pin a commit that has it, or convert it where you trust it and give "
            "its folder"
        )
    return [file for file in listed if file in _SMALL_FILES] + weights


def import_onnxruntime(module: str = "onnxruntime") -> ModuleType:
    """Import onnxruntime, or a module of it, without telemetry; coordi imports it nowhere else. Since 1.32 it sends its
    maker how it is used, with an id of the machine, unless ``ORT_DISABLE_TELEMETRY`` is set before the import.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return require(module, "train")


def onnx_session(network: bytes | Path) -> Any:
    """A session on the CPU, of a network's bytes or file. Idle threads don't spin: that took a third of the CPU from
    those that open photos.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def read_checked(path: Path, sha256: str, advice: str) -> bytes:
    """The bytes of a file that must have this SHA-256."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EncoderError(f"{path} can't be read ({error.strerror or error}); {advice}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise EncoderError(
            f"{path} was changed: its SHA-256 is {digest[:16]}..., expected {sha256[:16]}...; it isn't opened; {advice}"
        )
    return content


def sigmoid(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """``1 / (1 + exp(-x))`` without overflow."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -500, 500, dtype=np.float64))))


def unit_vectors(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Rows ``(N, D)`` divided by their lengths; a row of zeros stays one."""
    norms = np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
    return np.asarray(rows / norms, dtype=np.float32)
