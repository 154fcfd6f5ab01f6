"""From photos to descriptions: the labels that are sure enough, and the vectors behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from coordi.config import DescribeSettings
from coordi.describe.encoder import ImageTextEncoder
from coordi.describe.opening import Unreadable
from coordi.describe.seeing import see
from coordi.describe.vector_cache import VectorCache
from coordi.describe.vocabulary import KINDS, Attribute, Vocabulary
from coordi.describe.zero_shot import LabelJudge, attribute_judge
from coordi.domain import Description, Item, Label, WornCategory
from coordi.errors import EncoderError
from coordi.progress import Progress, silent

if TYPE_CHECKING:
    from PIL import Image

_MORE_THAN_NOT = 0.5


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

    def check_seen_by(self, encoder: tuple[str, str]) -> None:
        """See to it that vectors and probabilities of another encoder aren't mixed with this one's.

        Args:
            encoder: Name and identity of the other.

        Raises:
            EncoderError: If there are vectors and another encoder made them.
        """
        (name, identity), (other, its_identity) = self.encoder, encoder
        if self.ids and identity != its_identity:
            raise EncoderError(
                f"these photos were described by the encoder '{name}' ({identity[:12]}), but the one that is loaded is "
                f"'{other}' ({its_identity[:12]}), and vectors of two encoders can't be compared; use the "
                "first one, or describe the photos again into a new folder"
            )

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

    All is held in memory; ``describe_catalogue`` is for many photos.

    Args:
        items: With unique ids.
        encoder: Sees the photos and reads the labels.
        vocabulary: What may be said. Labels under an attribute's threshold are left out.
        settings: Only ``batch_size`` is read; it changes speed, not results.
        progress: Called after each batch.
    """
    with VectorCache(None, encoder.dimension) as cache:
        seen = see(items, encoder, cache, settings.batch_size, progress)
        known = [(item.id, digest) for item, digest in zip(items, seen.digests, strict=True) if digest is not None]
        vectors = cache.vectors([digest for _, digest in known])  # (N, D)
    ids = tuple(item_id for item_id, _ in known)
    said = Labeller(encoder, vocabulary).descriptions(ids, vectors)
    descriptions = {description.item_id: description for description in said}
    return Described(descriptions, ids, vectors, seen.unreadable, (encoder.name, encoder.identity))


def describe_image(image: Image.Image, encoder: ImageTextEncoder, vocabulary: Vocabulary) -> Description:
    """Describe one photo that is already open; its item id is empty."""
    return Labeller(encoder, vocabulary).descriptions([""], encoder.encode_images([image]))[0]


class Labeller:
    """From vectors of photos to descriptions, by the labels of a vocabulary."""

    def __init__(self, encoder: ImageTextEncoder, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._judges = [_Judge.of(name, attribute, encoder) for name, attribute in vocabulary.attributes.items()]

    def descriptions(self, ids: Sequence[str], vectors: npt.NDArray[np.float32]) -> list[Description]:
        """What is sure enough to be said of each photo.

        Args:
            ids: Item ids, as many as vectors.
            vectors: Unit vectors ``(N, D)`` of the photos, by the encoder whose labels these are.
        """
        labels = [judge.labels(vectors) for judge in self._judges]
        return [
            Description(
                item_id,
                {judge.name: found[place] for judge, found in zip(self._judges, labels, strict=True) if found[place]},
            )
            for place, item_id in enumerate(ids)
        ]

    def worn(self, said: Sequence[Description], vectors: npt.NDArray[np.float32]) -> list[WornCategory | None]:
        """What each photo's item is worn as: as its kind is, or as kinds that together are more probable than not.

        A garment that could be a shirt or a blouse is a top, though neither is sure enough to be said. On held-out
        photos of products this tells 99 of 100 rather than 95, as rightly (docs/describing.md).

        Args:
            said: What is said of them.
            vectors: Theirs, ``(N, D)``.

        Returns:
            None where it can't be told, by an encoder that judges each label alone wherever no kind is said.
        """
        kinds = next((judge for judge in self._judges if judge.name == KINDS), None)
        if kinds is None or not len(vectors):
            return [None] * len(said)
        together = [None] * len(said) if kinds.judge.judges_alone else kinds.worn(vectors)
        labels = [one.attributes.get(KINDS, ()) for one in said]
        return [
            self._vocabulary.worn_category(KINDS, sure[0].text) if sure else likely
            for sure, likely in zip(labels, together, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Judge:
    """One attribute with its labels as an encoder reads them, ready to judge photos."""

    name: str
    attribute: Attribute
    judge: LabelJudge

    @classmethod
    def of(cls, name: str, attribute: Attribute, encoder: ImageTextEncoder) -> _Judge:
        return cls(name, attribute, attribute_judge(name, attribute, encoder))

    def labels(self, rows: npt.NDArray[np.float32]) -> list[tuple[Label, ...]]:
        """For each row the labels that pass, most probable first, ties in the vocabulary's order."""
        if not len(rows):
            return []
        shares = self.judge.probabilities(rows)  # (B, L)
        best = np.argsort(-shares, axis=1, kind="stable")[:, : self.attribute.max_labels]
        return [
            tuple(
                Label(self.attribute.labels[place].text, float(row[place]))
                for place in places
                if row[place] >= self.attribute.threshold
            )
            for row, places in zip(shares, best, strict=True)
        ]

    def worn(self, rows: npt.NDArray[np.float32]) -> list[WornCategory | None]:
        """For each row what those labels are worn as whose probabilities add up to more than half."""
        shares = self.judge.probabilities(rows)  # (B, L)
        worn = [entry.worn for entry in self.attribute.labels]
        categories = list(dict.fromkeys(one for one in worn if one is not None))
        if not categories:
            return [None] * len(rows)
        belongs = np.array([[one == category for category in categories] for one in worn], dtype=np.float32)  # (L, C)
        sums = shares @ belongs  # (B, C)
        return [
            categories[place] if row[place] > _MORE_THAN_NOT else None
            for row, place in zip(sums, sums.argmax(1), strict=True)
        ]
