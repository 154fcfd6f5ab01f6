"""Image and text encoders: the protocol, and loading one by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from coordi.artifacts import cache_folder, write_json
from coordi.config import DescribeSettings
from coordi.data.hub import COMMIT, COMPLETE, Repository, fetch_files, gone, online
from coordi.encoders.clip import OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, WEIGHTS
from coordi.errors import EncoderError

if TYPE_CHECKING:
    from PIL import Image


FASHION_CLIP = "fashion-clip"
REPOSITORIES = {FASHION_CLIP: "patrickjohncyh/fashion-clip"}
"""Short names."""
KNOWN_COMMITS = {
    "patrickjohncyh/fashion-clip": "7e3ba62ce16b379a1ab479346b66f192e76f51b7",
    "Marqo/marqo-fashionSigLIP": "e5619578fd528afa0bf88d8fae37748336a57fa2",
}
"""Commits that have safetensors, for those who give no revision."""
_PAGE = "https://huggingface.co/"
_HOW_PINNED = "--revision (where a command takes settings: describe.revision)"
_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_SMALL = (
    "config.json", "preprocessor_config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json",
    "vocab.json", "merges.txt", OPEN_CLIP_CONFIG,
)  # fmt: skip
_SHARD = re.compile(r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?")


def repository_of(name: str) -> str | None:
    """The repository that a short name or ``owner/name`` means; None for anything else."""
    if name in REPOSITORIES:
        return REPOSITORIES[name]
    return name if _NAME.fullmatch(name) else None


def pinned_name(repository: str, revision: str | None) -> str:
    """``owner/name@`` and the first 12 digits of the commit, the known one if none is given."""
    return f"{repository}@{(revision or KNOWN_COMMITS.get(repository, 'unknown'))[:12]}"


def fetch_checkpoint(repository: str, allow_download: bool, revision: str | None) -> Path:
    """The folder of a checkpoint, fetched unless it was before and all of it is still in the hub's cache.

    Args:
        repository: ``owner/name``.
        allow_download: Whether the network may be used.
        revision: The commit to pin; None takes the known one.

    Raises:
        EncoderError: If it isn't there yet and may not be fetched, isn't pinned, or can't be fetched.
        MissingDependencyError: If huggingface_hub isn't installed.
        ArtifactError: If the cache can't be written.
    """
    pin = revision or KNOWN_COMMITS.get(repository)
    if pin is None and not allow_download:
        raise _not_allowed(repository)
    if pin is None or not COMMIT.fullmatch(pin):
        raise EncoderError(
            f"the revision is {revision!r}; give the commit of {repository} to pin, 40 hexadecimal digits, with "
            f"{_HOW_PINNED}: {_PAGE}{repository}/commits/main lists them"
        )
    folder = cache_folder() / "encoders" / pinned_name(repository, pin).replace("/", "--")
    if (folder / COMPLETE).is_file() and not gone(folder):
        return folder
    if not allow_download:
        raise _not_allowed(repository)
    with online(EncoderError) as hub:
        wanted = Repository(repository, "model", pin, _HOW_PINNED, EncoderError)
        fetched = fetch_files(hub, wanted, folder, _choose)
    write_json(folder / COMPLETE, {f"{repository}@{pin}": fetched})
    return folder


def _choose(where: str, listed: list[str]) -> list[str]:
    """The files that a checkpoint is loaded from, never code or pickle.

    Where there is open_clip's layout and no other that can be read is sure, its weights are taken too: which of the
    two is read is decided by ``config.json``, which isn't here yet.
    """
    weights = [file for file in listed if _SHARD.fullmatch(file)]
    remote_code = any(file.endswith(".py") for file in listed)
    if OPEN_CLIP_WEIGHTS in listed and OPEN_CLIP_CONFIG in listed and (remote_code or not weights):
        weights = [OPEN_CLIP_WEIGHTS]
    if not weights:
        pickled = [file for file in listed if file.endswith((".bin", ".pt", ".pth", ".ckpt"))]
        only = f" but {', '.join(pickled)}, which is pickle and may run code when loaded" if pickled else ""
        raise EncoderError(
            f"{where} holds no {WEIGHTS}{only}; pin a commit that has it, or convert it where you trust it and give "
            "its folder"
        )
    return [file for file in listed if file in _SMALL] + weights


def _not_allowed(repository: str) -> EncoderError:
    return EncoderError(
        f"{repository} isn't on this machine, and nothing is fetched unless allowed; allow it with --allow-download "
        f"(where a command takes settings: describe.allow_download=true) and pin a commit with {_HOW_PINNED}, give a "
        "folder that holds it, or use the bundled 'edge'"
    )


EDGE = "edge"


class ImageTextEncoder(Protocol):
    """Photos and texts in one space, as CLIP has it.

    A vector depends on its own photo or text alone, never on what shares its batch.

    Attributes:
        name: What the user asked for; of a checkpoint on the hub ``owner/name@`` and its commit's first 12 digits.
        identity: SHA-256 over the encoder's files; vectors of two identities can't be compared.
        dimension: D of every vector.
        logit_scale: What cosines are multiplied by before they become probabilities.
        logit_bias: None if they do by a softmax over labels; else what is added before a sigmoid of each label alone.
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
        """Unit vectors ``(N, D)`` of texts of any kind, in order; ``(0, D)`` for none."""
        ...


def load_encoder(name: str, allow_download: bool = False, revision: str | None = None) -> ImageTextEncoder:
    """Load an encoder; nothing is fetched from a network unless that is allowed.

    Args:
        name: ``edge`` (bundled); the folder of a CLIP or SigLIP checkpoint, or of one exported to ONNX;
            ``fashion-clip`` or the ``owner/name`` of a checkpoint on the Hugging Face hub.
        allow_download: Whether it may be fetched from the hub.
        revision: The commit of the hub to pin, 40 hexadecimal digits; None takes the known one, if there is one.

    Raises:
        EncoderError: If there is no such encoder, it may not be fetched, or its files are damaged or not what they
            claim to be.
        MissingDependencyError: If a checkpoint is asked for without the ``train`` extra.
    """
    if name == EDGE:
        from coordi.encoders.edge import EdgeEncoder

        return EdgeEncoder.bundled()

    folder = Path(name)
    if folder.is_dir():
        return _from_folder(folder)
    repository = repository_of(name)
    if repository is not None:
        found = fetch_checkpoint(repository, allow_download, revision)
        return _from_folder(found, pinned_name(repository, revision))
    raise EncoderError(
        f"no encoder '{name}': accepted are '{EDGE}', 'fashion-clip', a checkpoint on the Hugging Face hub "
        "(owner/name), or the folder of a CLIP or SigLIP checkpoint (config.json and model.safetensors) or of an "
        "export to ONNX"
    )


def load_settled_encoder(settings: DescribeSettings) -> ImageTextEncoder:
    """The encoder that the settings name; see ``load_encoder``."""
    return load_encoder(settings.encoder, settings.allow_download, settings.revision)


def _from_folder(folder: Path, name: str | None = None) -> ImageTextEncoder:
    from coordi.encoders.onnx import is_onnx_folder, load_onnx

    if is_onnx_folder(folder):
        return load_onnx(folder, name)
    from coordi.encoders.clip import load_checkpoint

    return load_checkpoint(folder, name)
