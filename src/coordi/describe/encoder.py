"""What every encoder offers: photos and texts as unit vectors in one space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from coordi.errors import EncoderError

if TYPE_CHECKING:
    from PIL import Image

EDGE = "edge"
FASHION_CLIP = "fashion-clip"
_FASHION_CLIP_PAGE = "patrickjohncyh/fashion-clip"


class ImageTextEncoder(Protocol):
    """Photos and texts in one space, as CLIP has it.

    A vector depends on its own photo or text alone, never on what shares its batch.

    Attributes:
        name: What the user asked for.
        identity: SHA-256 over the encoder's files; vectors of two identities can't be compared.
        dimension: D of every vector.
        logit_scale: What cosines are multiplied by before a softmax over labels.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def identity(self) -> str: ...  # noqa: D102

    @property
    def dimension(self) -> int: ...  # noqa: D102

    @property
    def logit_scale(self) -> float: ...  # noqa: D102

    def encode_images(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)`` of RGB photos of any size, in order; ``(0, D)`` for none."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)`` of texts of any kind, in order; ``(0, D)`` for none."""
        ...


def load_encoder(name: str) -> ImageTextEncoder:
    """Load an encoder from this machine; nothing is ever fetched from a network.

    Args:
        name: ``edge`` (bundled), or the folder of a CLIP checkpoint in the Hugging Face layout.

    Raises:
        EncoderError: If there is no such encoder, or its files are damaged or not what they claim to be.
        MissingDependencyError: If a CLIP checkpoint is asked for without the ``train`` extra.
    """
    if name == EDGE:
        from coordi.describe.edge import EdgeEncoder

        return EdgeEncoder.bundled()
    folder = Path(name)
    if folder.is_dir():
        from coordi.describe.clip import ClipEncoder

        return ClipEncoder.from_folder(folder)
    if name == FASHION_CLIP:
        raise EncoderError(
            f"'{FASHION_CLIP}' isn't on this machine, and coordi downloads nothing by itself: get {_FASHION_CLIP_PAGE} "
            "from the Hugging Face hub where a network is allowed and give its folder instead, "
            "or use the bundled 'edge'"
        )
    raise EncoderError(
        f"no encoder '{name}': accepted are '{EDGE}', '{FASHION_CLIP}' or the folder of a CLIP checkpoint "
        "(config.json and model.safetensors)"
    )
