"""What every encoder offers: photos and texts as unit vectors in one space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from coordi.config import DescribeSettings
from coordi.errors import EncoderError

if TYPE_CHECKING:
    from PIL import Image

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
        from coordi.describe.edge import EdgeEncoder

        return EdgeEncoder.bundled()
    from coordi.describe.encoder_hub import fetch_checkpoint, pinned_name, repository_of

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
    from coordi.describe.onnx_towers import is_onnx_folder, load_onnx

    if is_onnx_folder(folder):
        return load_onnx(folder, name)
    from coordi.describe.checkpoints import load_checkpoint

    return load_checkpoint(folder, name)
