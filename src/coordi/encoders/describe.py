"""Descriptions of photos: labels that pass their threshold, streamed to files, read back, and shown as a page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from glob import escape
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from coordi.artifacts import (
    Progress,
    atomic_path,
    clear_write_errors,
    connect,
    insert,
    no_progress,
    page_environment,
    quoted,
    read_json,
    write_json,
)
from coordi.config import DescribeSettings
from coordi.data.photos import photo_uri
from coordi.encoders.base import ImageTextEncoder
from coordi.encoders.labels import SUBJECT, Labeller, Vocabulary
from coordi.encoders.photo_embeddings import EmbeddingCache, EncodedPhotos, Unreadable, encode_photos
from coordi.errors import ArtifactError, DataError
from coordi.types import Description, Item, Label

DESCRIPTIONS = "descriptions.parquet"
EMBEDDINGS = "embeddings.safetensors"
UNREADABLE = "unreadable.json"
_ROWS_PER_PART = 512
_PHOTO_PIXELS = 240
_MAX_BARS = 8
_MAX_UNREADABLE = 200
_Write = Callable[[Sequence[Description], npt.NDArray[np.float32]], None]


@dataclass(frozen=True, slots=True)
class Described:
    """Descriptions by item id, and unit vectors ``(N, D)`` in the order of ``ids``; the encoder's name and identity."""

    descriptions: Mapping[str, Description]
    ids: tuple[str, ...]
    embeddings: npt.NDArray[np.float32]
    unreadable: tuple[Unreadable, ...]
    encoder: tuple[str, str]


@dataclass(frozen=True, slots=True)
class DescriptionSummary:
    """Counts over a catalogue's descriptions: by attribute, photos of each label, most frequent first. ``encoded``
    photos weren't in the cache; ``examples`` are spread evenly over the catalogue; ``encoder`` is name and identity.
    """

    photos: int
    encoded: int
    labels: Mapping[str, Mapping[str, int]]
    unreadable: tuple[Unreadable, ...]
    examples: tuple[tuple[Item, Description], ...]
    encoder: tuple[str, str]
    attributes: tuple[str, ...]
    is_sigmoid: bool = False

    def problems(self) -> dict[str, list[str]]:
        """By kind of problem, the ids of the items whose photo has it, the most frequent kind first."""
        problems: dict[str, list[str]] = {}
        for row in self.unreadable:
            problems.setdefault(row.kind, []).append(row.item_id)
        return dict(sorted(problems.items(), key=lambda kind: -len(kind[1])))


class CatalogueDescriber:
    """Describes photos into a folder; memory grows by about a kilobyte per item. A killed run is resumed from the
    vectors in the cache. Of the settings only ``batch_size`` is read; it changes speed, not results.
    """

    def __init__(
        self, encoder: ImageTextEncoder, vocabulary: Vocabulary, settings: DescribeSettings, cache: EmbeddingCache
    ) -> None:
        self._encoder = encoder
        self._batch_size = settings.batch_size
        self._cache = cache
        self._labeller = Labeller(encoder, vocabulary)
        self._attributes = tuple(name for name in vocabulary.attributes if name != SUBJECT)

    def describe(
        self, items: Sequence[Item], folder: Path, examples: int = 0, progress: Progress = no_progress
    ) -> DescriptionSummary:
        """Write ``descriptions.parquet``, ``embeddings.safetensors`` and ``unreadable.json``; what a killed run left is
        removed. ``examples`` is the maximum to return; ``progress`` counts opened photos. Raises ArtifactError if the
        folder or the cache can't be written, DataError if there are photos and none can be opened.
        """
        opened = encode_photos(items, self._encoder, self._cache, self._batch_size, progress)
        _check_any_opened(opened)
        rows = [(item, digest) for item, digest in zip(items, opened.digests, strict=True) if digest is not None]
        chosen = {rows[int(row)][0].id for row in np.linspace(0, len(rows) - 1, min(examples, len(rows)))}
        labels: dict[str, Counter[str]] = {name: Counter() for name in (*self._attributes, SUBJECT)}
        returned: list[tuple[Item, Description]] = []
        encoder = (self._encoder.name, self._encoder.identity)
        with _writer(folder, encoder, [item.id for item, _ in rows], self._encoder.dimension) as write:
            for item, description in self._described_rows(rows, write):
                for name, attribute_labels in description.attributes.items():
                    labels[name].update(label.text for label in attribute_labels)
                if item.id in chosen:
                    returned.append((item, description))
        write_json(folder / UNREADABLE, [asdict(row) for row in opened.unreadable])
        counted = {name: dict(counts.most_common()) for name, counts in labels.items() if counts}
        return DescriptionSummary(
            len(rows), opened.encoded, counted, opened.unreadable, tuple(returned), encoder, self._attributes,
            is_sigmoid=self._encoder.logit_bias is not None,
        )  # fmt: skip

    def _described_rows(self, rows: Sequence[tuple[Item, bytes]], write: _Write) -> Iterator[tuple[Item, Description]]:
        for start in range(0, len(rows), _ROWS_PER_PART):
            part = rows[start : start + _ROWS_PER_PART]
            vectors = self._cache.vectors([digest for _, digest in part])  # (B, D)
            descriptions = self._labeller.descriptions([item.id for item, _ in part], vectors)
            write(descriptions, vectors)
            yield from zip([item for item, _ in part], descriptions, strict=True)


def _check_any_opened(opened: EncodedPhotos) -> None:
    if opened.unreadable and len(opened.unreadable) == len(opened.digests):
        kinds = Counter(row.kind for row in opened.unreadable)
        counts = "; ".join(f"{count} times: {kind}" for kind, count in kinds.most_common())
        first = opened.unreadable[0].reason
        raise DataError(f"none of {len(opened.digests)} photos can be opened ({counts}); first: {first}")


@contextmanager
def _writer(folder: Path, encoder: tuple[str, str], ids: Sequence[str], dimension: int) -> Iterator[_Write]:
    """Write both files atomically, part by part; the function that is yielded writes the next vectors ``(B, D)``.
    ``descriptions.parquet`` has a row per label, most probable first; ``embeddings.safetensors`` holds ``vectors``
    ``(N, D)``, with ids in its metadata. The same parts give the same bytes.
    """
    for path in [path for name in (DESCRIPTIONS, EMBEDDINGS, UNREADABLE) for path in folder.glob(f".{name}.*")]:
        with clear_write_errors(path):
            path.unlink(missing_ok=True)
    with ExitStack() as files:
        table = files.enter_context(atomic_path(folder / DESCRIPTIONS))
        tensor_path = files.enter_context(atomic_path(folder / EMBEDDINGS))
        database = files.enter_context(closing(connect()))
        database.execute("CREATE TABLE labels (item_id VARCHAR, attribute VARCHAR, label VARCHAR, probability DOUBLE)")
        tensor = files.enter_context(tensor_path.open("wb"))
        metadata = {"ids": json.dumps(ids), "encoder": encoder[0], "identity": encoder[1]}
        tensor.write(_safetensors_header(len(ids), dimension, metadata))

        def write(descriptions: Sequence[Description], vectors: npt.NDArray[np.float32]) -> None:
            rows = [
                (row.item_id, name, label.text, label.probability)
                for row in descriptions
                for name, labels in row.attributes.items()
                for label in labels
            ]
            insert(database, "labels", rows)
            tensor.write(np.ascontiguousarray(vectors, dtype="<f4").tobytes())

        yield write
        database.execute(f"COPY labels TO {quoted(table)} (FORMAT parquet)")


def _safetensors_header(rows: int, dimension: int, metadata: Mapping[str, str]) -> bytes:
    """Header for one tensor, written in parts later (https://github.com/huggingface/safetensors#format)."""
    tensor = {"dtype": "F32", "shape": [rows, dimension], "data_offsets": [0, 4 * rows * dimension]}
    text = json.dumps({"__metadata__": metadata, "vectors": tensor}, separators=(",", ":")).encode()
    padded = text + b" " * (-len(text) % 8)
    return len(padded).to_bytes(8, "little") + padded


def read_described(folder: Path) -> Described:
    """Read the files of ``CatalogueDescriber.describe``; raises ArtifactError if one is missing or broken."""
    from safetensors import safe_open

    path = folder / EMBEDDINGS
    labels: dict[str, dict[str, list[Label]]] = {}
    try:
        with safe_open(path, framework="numpy") as file:
            metadata, vectors = file.metadata(), file.get_tensor("vectors")
        ids: tuple[str, ...] = tuple(json.loads(metadata["ids"]))
        encoder = (metadata["encoder"], metadata["identity"])
        if vectors.shape[0] != len(ids):
            raise ValueError(f"{vectors.shape[0]} vectors for {len(ids)} ids")
        path = folder / DESCRIPTIONS
        with closing(connect()) as database:
            query = "SELECT item_id, attribute, label, probability FROM read_parquet(?)"
            rows = database.execute(query, [escape(str(path))]).fetchall()
        for item_id, attribute, label, probability in rows:
            labels.setdefault(item_id, {}).setdefault(attribute, []).append(Label(label, probability))
        path = folder / UNREADABLE
        unreadable = tuple(Unreadable(**row) for row in read_json(path))
    except ArtifactError:
        raise
    # safetensors raises a bare subclass of Exception for a broken file, and a broken JSON or table may be anything.
    except Exception as error:
        raise ArtifactError(f"{path} can't be read ({error}); delete its folder and run the command again") from error
    descriptions = {
        item_id: Description(item_id, {name: tuple(rows) for name, rows in labels.get(item_id, {}).items()})
        for item_id in ids
    }
    return Described(descriptions, ids, vectors, unreadable, encoder)


def render_page(
    summary: DescriptionSummary,
    name: str,
    left_out: Sequence[tuple[str, int]] = (),
    facts: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> str:
    """The page, with small copies of photos; of those that couldn't be opened it names the first 200. ``facts`` are
    those of the examples in words, by item id and name.
    """
    photos = [item.image for item, _ in summary.examples]
    with ThreadPoolExecutor(2) as pool:
        copies = pool.map(lambda photo: None if photo is None else photo_uri(photo, _PHOTO_PIXELS), photos)
    return (
        page_environment("coordi.encoders")
        .get_template("descriptions.html")
        .render(
            name=name,
            summary=summary,
            left_out=left_out,
            cards=list(zip(summary.examples, copies, strict=True)),
            facts=facts,
            max_bars=_MAX_BARS,
            unreadable=summary.unreadable[:_MAX_UNREADABLE],
            problems={kind: len(ids) for kind, ids in summary.problems().items()},
        )
    )
