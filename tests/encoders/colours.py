"""An encoder that sees colours, for tests: what it should answer can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from PIL import Image

from coordi.artifacts import Progress, no_progress
from coordi.config import DescribeSettings
from coordi.encoders.base import ImageTextEncoder
from coordi.encoders.describe import CatalogueDescriber, Described, read_described
from coordi.encoders.labels import Attribute, LabelEntry, Vocabulary
from coordi.encoders.photo_embeddings import EmbeddingCache
from coordi.types import Item

WORDS = ("red", "green", "blue")


class ColourEncoder:
    """A photo's vector is its mean colour; a text's is the colours it names."""

    name = "colour"
    identity = "c" * 64
    dimension = 3
    logit_scale = 10.0
    logit_bias = None

    def __init__(self) -> None:
        self.batches: list[int] = []

    def encode_images(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        self.batches.append(len(images))
        rows = [np.asarray(image, dtype=np.float32).mean(axis=(0, 1)) for image in images]
        return self._unit(rows)

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self._unit([np.array([float(word in text) for word in WORDS], dtype=np.float32) for text in texts])

    @staticmethod
    def _unit(rows: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        stacked = np.array(rows, dtype=np.float32).reshape(-1, 3)
        return np.asarray(stacked / np.linalg.norm(stacked, axis=1, keepdims=True), dtype=np.float32)


def vocabulary(threshold: float, max_labels: int = 1) -> Vocabulary:
    labels = tuple(LabelEntry(text=word) for word in WORDS)
    return Vocabulary(attributes={"colour": Attribute(threshold=threshold, max_labels=max_labels, labels=labels)})


def describe(
    items: Sequence[Item],
    encoder: ImageTextEncoder,
    words: Vocabulary,
    settings: DescribeSettings,
    progress: Progress = no_progress,
) -> Described:
    """Descriptions of items' photos, by way of the files that a catalogue's have."""
    with TemporaryDirectory() as folder, EmbeddingCache(None, encoder.dimension) as cache:
        CatalogueDescriber(encoder, words, settings, cache).describe(items, Path(folder), progress=progress)
        return read_described(Path(folder))
