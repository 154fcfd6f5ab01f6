"""An encoder of two towers: how photos and texts are prepared, and the network behind, in torch or in ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from coordi.describe.pixels import PhotoRecipe
from coordi.describe.tokens import Tokens

if TYPE_CHECKING:
    from PIL import Image

_PHOTOS_AT_ONCE = 16
_TEXTS_AT_ONCE = 32


class Towers(Protocol):
    """The two networks of a checkpoint."""

    def image(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Vectors ``(B, D)`` of prepared photos ``(B, 3, H, W)``, of any length."""
        ...

    def text(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Vectors ``(B, D)`` of token ids ``(B, T)``, of any length."""
        ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a checkpoint says beside its weights.

    Attributes:
        photos: How photos are prepared.
        tokens: How texts are.
        dimension: D of every vector.
        logit_scale: What cosines are multiplied by.
        logit_bias: What is added before a sigmoid (SigLIP); None for a softmax over labels (CLIP).
    """

    photos: PhotoRecipe
    tokens: Tokens
    dimension: int
    logit_scale: float
    logit_bias: float | None


class TowersEncoder:
    """A checkpoint as an ``ImageTextEncoder``; a text longer than the checkpoint takes is cut."""

    def __init__(self, name: str, identity: str, recipe: Recipe, towers: Towers) -> None:
        self.name = name
        self.identity = identity
        self.recipe = recipe
        self.towers = towers
        self.dimension = recipe.dimension
        self.logit_scale = recipe.logit_scale
        self.logit_bias = recipe.logit_bias

    def encode_images(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)``, photos prepared as the checkpoint asks."""
        rows = [
            self.towers.image(self.recipe.photos.prepare(images[start : start + _PHOTOS_AT_ONCE]))
            for start in range(0, len(images), _PHOTOS_AT_ONCE)
        ]
        return self._unit(rows)

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)``, texts cleaned, cut and padded as the checkpoint asks."""
        rows = [
            self.towers.text(self.recipe.tokens.of(texts[start : start + _TEXTS_AT_ONCE]))
            for start in range(0, len(texts), _TEXTS_AT_ONCE)
        ]
        return self._unit(rows)

    def _unit(self, rows: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        vectors = np.concatenate([np.zeros((0, self.dimension), dtype=np.float32), *rows])
        norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return np.asarray(vectors / norms, dtype=np.float32)
