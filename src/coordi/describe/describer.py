"""From photos to descriptions: the labels that are sure enough, and the vectors behind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from coordi.config import DescribeSettings
from coordi.data.photos import open_photo
from coordi.describe.encoder import ImageTextEncoder
from coordi.describe.vocabulary import Attribute, Vocabulary
from coordi.describe.zero_shot import label_probabilities, label_vectors
from coordi.domain import Description, Item, Label
from coordi.errors import ImageError
from coordi.progress import Progress, silent

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An item whose photo couldn't be described, and why in one line."""

    item_id: str
    reason: str


@dataclass(frozen=True)
class Described:
    """What an encoder saw in the photos of a data set.

    Attributes:
        descriptions: By item id.
        ids: Item ids of the rows of ``embeddings``, in the order in which the items came.
        embeddings: Unit vectors, ``(N, D)``.
        unreadable: Items that have no photo or one that can't be opened.
        encoder: Name and identity of the encoder; vectors of two identities can't be compared.
    """

    descriptions: Mapping[str, Description]
    ids: tuple[str, ...]
    embeddings: npt.NDArray[np.float32]
    unreadable: tuple[Unreadable, ...]
    encoder: tuple[str, str]

    def vectors(self, ids: Iterable[str] | None = None) -> dict[str, npt.NDArray[np.float32]]:
        """Vectors ``(D,)`` by item id, of those ids that have one (all by default), in the order of ``self.ids``."""
        wanted = set(self.ids if ids is None else ids)
        return {name: row for name, row in zip(self.ids, self.embeddings, strict=True) if name in wanted}


def describe(
    items: Sequence[Item],
    encoder: ImageTextEncoder,
    vocabulary: Vocabulary,
    settings: DescribeSettings,
    progress: Progress = silent,
) -> Described:
    """Describe every item's photo; a photo that can't be opened is a row of ``unreadable``, not an error.

    Photos are opened batch by batch, so memory doesn't grow with the number of items beyond their vectors.

    Args:
        items: With unique ids.
        encoder: Sees the photos and reads the labels.
        vocabulary: What may be said. Labels under an attribute's threshold are left out.
        settings: Only ``batch_size`` is read; it changes speed, not results.
        progress: Called after each batch.
    """
    judges = [_Judge.of(name, attribute, encoder) for name, attribute in vocabulary.attributes.items()]
    descriptions: dict[str, Description] = {}
    vectors = [np.zeros((0, encoder.dimension), dtype=np.float32)]
    unreadable: list[Unreadable] = []
    done = 0
    for batch in _batches(items, settings.batch_size):
        opened = _open(batch, unreadable)
        rows = encoder.encode_images([image for _, image in opened])  # (B, D)
        labels = [judge.labels(rows, encoder) for judge in judges]
        for place, (item, _) in enumerate(opened):
            said = {judge.name: found[place] for judge, found in zip(judges, labels, strict=True) if found[place]}
            descriptions[item.id] = Description(item.id, said)
        vectors.append(rows)
        done += len(batch)
        progress(done, len(items))
    identity = (encoder.name, encoder.identity)
    return Described(descriptions, tuple(descriptions), np.concatenate(vectors), tuple(unreadable), identity)


def describe_image(image: Image.Image, encoder: ImageTextEncoder, vocabulary: Vocabulary) -> Description:
    """Describe one photo that is already open; its item id is empty."""
    row = encoder.encode_images([image])
    said = {}
    for name, attribute in vocabulary.attributes.items():
        labels = _Judge.of(name, attribute, encoder).labels(row, encoder)[0]
        if labels:
            said[name] = labels
    return Description("", said)


@dataclass(frozen=True, slots=True)
class _Judge:
    """One attribute with its label vectors, ready to judge photos."""

    name: str
    attribute: Attribute
    vectors: npt.NDArray[np.float32]  # (L, D)

    @classmethod
    def of(cls, name: str, attribute: Attribute, encoder: ImageTextEncoder) -> _Judge:
        phrases = [entry.phrases for entry in attribute.labels]
        return cls(name, attribute, label_vectors(encoder, attribute.template, phrases))

    def labels(self, rows: npt.NDArray[np.float32], encoder: ImageTextEncoder) -> list[tuple[Label, ...]]:
        """For each row the labels that pass, most probable first, ties in the vocabulary's order."""
        if not len(rows):
            return []
        shares = label_probabilities(rows, self.vectors, encoder.logit_scale, encoder.logit_bias)  # (B, L)
        best = np.argsort(-shares, axis=1, kind="stable")[:, : self.attribute.max_labels]
        return [
            tuple(
                Label(self.attribute.labels[place].text, float(row[place]))
                for place in places
                if row[place] >= self.attribute.threshold
            )
            for row, places in zip(shares, best, strict=True)
        ]


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _open(items: Sequence[Item], unreadable: list[Unreadable]) -> list[tuple[Item, Image.Image]]:
    opened = []
    for item in items:
        if item.image is None:
            unreadable.append(Unreadable(item.id, "it has no photo"))
            continue
        try:
            opened.append((item, open_photo(item.image)))
        except ImageError as error:
            unreadable.append(Unreadable(item.id, " ".join(str(error).split())))
    return opened
