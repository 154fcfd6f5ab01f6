"""A whole catalogue described into a folder: streamed, resumable, and cheap to bring up to date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coordi.config import DescribeSettings
from coordi.describe.describer import Labeller
from coordi.describe.encoder import ImageTextEncoder
from coordi.describe.opening import Unreadable
from coordi.describe.seeing import Seen, see
from coordi.describe.storage import write_unreadable, writing_described
from coordi.describe.vector_cache import VectorCache
from coordi.describe.vocabulary import Vocabulary
from coordi.domain import Description, Item
from coordi.errors import DataError
from coordi.progress import Progress, silent

_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Catalogued:
    """What a catalogue's photos showed, counted; every description is in the folder.

    Attributes:
        photos: Photos that were described.
        encoded: Photos that the encoder was asked for; it knew the others from an earlier run, or from a twin.
        labels: By attribute, how many photos have each label, most frequent first.
        unreadable: Photos that couldn't be opened.
        examples: Items and what is said of them, spread evenly over the catalogue's order; all of a small one.
        encoder: Name and identity.
    """

    photos: int
    encoded: int
    labels: Mapping[str, Mapping[str, int]]
    unreadable: tuple[Unreadable, ...]
    examples: tuple[tuple[Item, Description], ...]
    encoder: tuple[str, str]

    def kinds(self) -> dict[str, list[str]]:
        """By kind of problem, the ids of the items whose photo has it, the most frequent kind first."""
        found: dict[str, list[str]] = {}
        for row in self.unreadable:
            found.setdefault(row.kind, []).append(row.item_id)
        return dict(sorted(found.items(), key=lambda kind: -len(kind[1])))


class CatalogueDescriber:
    """Describes photos into a folder.

    Vectors go into the cache as they are made, so a run that was killed goes on where it was, and a catalogue with few
    new photos costs those few. Labels are made anew from the vectors, so that another vocabulary costs nothing either.
    Neither vectors nor descriptions are held: memory grows by about a kilobyte per item, its name and digest.

    Args:
        encoder: Sees the photos and reads the labels.
        vocabulary: What may be said. Labels under an attribute's threshold are left out.
        settings: Only ``batch_size`` is read; it changes speed, not results.
        cache: Of this encoder.
    """

    def __init__(
        self, encoder: ImageTextEncoder, vocabulary: Vocabulary, settings: DescribeSettings, cache: VectorCache
    ) -> None:
        self._encoder = encoder
        self._batch_size = settings.batch_size
        self._cache = cache
        self._labeller = Labeller(encoder, vocabulary)
        self._attributes = tuple(vocabulary.attributes)

    def describe(
        self, items: Sequence[Item], folder: Path, examples: int = 0, progress: Progress = silent
    ) -> Catalogued:
        """Write what ``writing_described`` and ``write_unreadable`` do.

        Args:
            items: With unique ids.
            folder: Where the files go.
            examples: How many descriptions to give back.
            progress: Told of photos that were seen.

        Raises:
            ArtifactError: If the folder or the cache can't be written.
            DataError: If there are photos and none of them can be opened, with the reasons.
        """
        seen = see(items, self._encoder, self._cache, self._batch_size, progress)
        _check_any(seen)
        kept = [(item, digest) for item, digest in zip(items, seen.digests, strict=True) if digest is not None]
        shown = {int(place) for place in np.linspace(0, len(kept) - 1, min(examples, len(kept)))}
        labels: dict[str, Counter[str]] = {name: Counter() for name in self._attributes}
        given: list[tuple[Item, Description]] = []
        names = (self._encoder.name, self._encoder.identity)
        with writing_described(folder, names, [item.id for item, _ in kept], self._encoder.dimension) as add:
            for start in range(0, len(kept), _AT_ONCE):
                part = kept[start : start + _AT_ONCE]
                vectors = self._cache.vectors([digest for _, digest in part])  # (B, D)
                said = self._labeller.descriptions([item.id for item, _ in part], vectors)
                add(said, vectors)
                for place, description in enumerate(said, start):
                    for name, found in description.attributes.items():
                        labels[name].update(label.text for label in found)
                    if place in shown:
                        given.append((part[place - start][0], description))
        write_unreadable(folder, seen.unreadable)
        counted = {name: dict(found.most_common()) for name, found in labels.items() if found}
        return Catalogued(len(kept), seen.encoded, counted, seen.unreadable, tuple(given), names)


def _check_any(seen: Seen) -> None:
    if seen.unreadable and len(seen.unreadable) == len(seen.digests):
        kinds = Counter(row.kind for row in seen.unreadable)
        why = "; ".join(f"{count} times: {kind}" for kind, count in kinds.most_common())
        raise DataError(f"none of {len(seen.digests)} photos can be opened ({why}); first: {seen.unreadable[0].reason}")
