"""Descriptions of photos: labels that pass their threshold, streamed to files and shown as a page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, PackageLoader, StrictUndefined

from coordi.artifacts import Progress, atomic_path, clear_write_errors, no_progress, read_json, write_json
from coordi.config import DescribeSettings
from coordi.data.photos import photo_uri
from coordi.encoders.base import ImageTextEncoder
from coordi.encoders.labels import KINDS, Attribute, LabelJudge, Vocabulary, attribute_judge
from coordi.encoders.photo_embeddings import EmbeddingCache, EncodedPhotos, Unreadable, encode_photos
from coordi.errors import ArtifactError, DataError, EncoderError
from coordi.types import Description, GarmentCategory, Item, Label

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
    progress: Progress = no_progress,
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
    with EmbeddingCache(None, encoder.dimension) as cache:
        seen = encode_photos(items, encoder, cache, settings.batch_size, progress)
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

    def worn(self, said: Sequence[Description], vectors: npt.NDArray[np.float32]) -> list[GarmentCategory | None]:
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

    def worn(self, rows: npt.NDArray[np.float32]) -> list[GarmentCategory | None]:
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


DESCRIPTIONS = "descriptions.parquet"
EMBEDDINGS = "embeddings.safetensors"
UNREADABLE = "unreadable.json"


@contextmanager
def writing_described(
    folder: Path, encoder: tuple[str, str], ids: Sequence[str], dimension: int
) -> Iterator[Callable[[Sequence[Description], npt.NDArray[np.float32]], None]]:
    """Write what an encoder saw into a stage's folder part by part, each file whole or not at all.

    ``descriptions.parquet`` has a row per label (``item_id``, ``attribute``, ``label``, ``probability``), most
    probable first. ``embeddings.safetensors`` holds ``vectors`` ``(N, D)`` with the ids in its metadata. The same
    parts give the same bytes.

    Args:
        folder: Files that an earlier, killed try left half written in it are removed.
        encoder: Its name and identity.
        ids: Of all photos that will be given, in that order.
        dimension: D of the vectors.

    Yields:
        What takes the next descriptions and their vectors ``(B, D)``.

    Raises:
        ArtifactError: If the folder can't be written.
        ValueError: If not as many vectors were given as there are ids.
    """
    from pyarrow import parquet

    _remove_half_written(folder)
    name, identity = encoder
    header = _safetensors_header(len(ids), dimension, {"ids": json.dumps(ids), "encoder": name, "identity": identity})
    with ExitStack() as files:
        labels = files.enter_context(atomic_path(folder / DESCRIPTIONS))
        vectors = files.enter_context(atomic_path(folder / EMBEDDINGS))
        table = files.enter_context(parquet.ParquetWriter(labels, _label_schema()))
        tensor = files.enter_context(vectors.open("wb"))
        tensor.write(header)
        written = 0

        def add(descriptions: Sequence[Description], rows: npt.NDArray[np.float32]) -> None:
            nonlocal written
            table.write_table(_label_table(descriptions))
            tensor.write(np.ascontiguousarray(rows, dtype="<f4").tobytes())
            written += len(rows)

        yield add
        if written != len(ids):
            raise ValueError(f"{written} vectors were given for {len(ids)} ids")


def write_described(folder: Path, described: Described) -> None:
    """Write what an encoder saw into a stage's folder: see ``writing_described`` and ``write_unreadable``.

    Raises:
        ArtifactError: If the folder can't be written.
    """
    descriptions = [described.descriptions[item_id] for item_id in described.ids]
    with writing_described(folder, described.encoder, described.ids, described.embeddings.shape[1]) as add:
        add(descriptions, described.embeddings)
    write_unreadable(folder, described.unreadable)


def write_unreadable(folder: Path, unreadable: Sequence[Unreadable]) -> None:
    """Write ``unreadable.json``: an entry per photo that couldn't be opened, with the reason.

    Raises:
        ArtifactError: If it can't be written.
    """
    rows = [{"item_id": row.item_id, "kind": row.kind, "reason": row.reason} for row in unreadable]
    write_json(folder / UNREADABLE, rows)


def read_described(folder: Path) -> Described:
    """Read what ``write_described`` wrote.

    Raises:
        ArtifactError: If a file is missing or broken.
    """
    from safetensors import safe_open

    path = folder / EMBEDDINGS
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
            vectors = file.get_tensor("vectors")
        ids = tuple(json.loads(metadata["ids"]))
        encoder = (metadata["encoder"], metadata["identity"])
        if vectors.shape[0] != len(ids):
            raise ValueError(f"{vectors.shape[0]} vectors for {len(ids)} ids")
    # safetensors raises a bare subclass of Exception for a broken file.
    except Exception as error:
        raise _broken(path, error) from error
    said = _read_labels(folder / DESCRIPTIONS)
    descriptions = {name: Description(name, said.get(name, {})) for name in ids}
    return Described(descriptions, ids, vectors, _read_unreadable(folder / UNREADABLE), encoder)


def _read_unreadable(path: Path) -> tuple[Unreadable, ...]:
    try:
        return tuple(Unreadable(row["item_id"], row["reason"], row.get("kind", "")) for row in read_json(path))
    except (KeyError, TypeError, AttributeError) as error:
        raise _broken(path, error) from error


def _label_schema() -> Any:
    import pyarrow as pa

    text = pa.string()
    return pa.schema({"item_id": text, "attribute": text, "label": text, "probability": pa.float64()})


def _label_table(descriptions: Sequence[Description]) -> Any:
    import pyarrow as pa

    rows = [
        (description.item_id, attribute, label.text, label.probability)
        for description in descriptions
        for attribute, labels in description.attributes.items()
        for label in labels
    ]
    schema = _label_schema()
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)], schema)


def _safetensors_header(rows: int, dimension: int, metadata: Mapping[str, str]) -> bytes:
    """What comes before the numbers of a file with the one tensor ``vectors``, which may then be written in parts.

    References:
        https://github.com/huggingface/safetensors#format
    """
    tensor = {"dtype": "F32", "shape": [rows, dimension], "data_offsets": [0, 4 * rows * dimension]}
    text = json.dumps({"__metadata__": metadata, "vectors": tensor}, separators=(",", ":")).encode()
    padded = text + b" " * (-len(text) % 8)
    return len(padded).to_bytes(8, "little") + padded


def _remove_half_written(folder: Path) -> None:
    for name in (DESCRIPTIONS, EMBEDDINGS, UNREADABLE):
        for path in folder.glob(f".{name}.*"):
            with clear_write_errors(path):
                path.unlink(missing_ok=True)


def _read_labels(path: Path) -> dict[str, dict[str, tuple[Label, ...]]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise _broken(path, error) from error
    said: dict[str, dict[str, tuple[Label, ...]]] = {}
    for row in rows:
        labels = said.setdefault(row["item_id"], {})
        label = Label(row["label"], row["probability"])
        labels[row["attribute"]] = (*labels.get(row["attribute"], ()), label)
    return said


def _broken(path: Path, error: Exception) -> ArtifactError:
    return ArtifactError(f"{path} can't be read ({error}); delete its folder and run the command again")


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
        self, encoder: ImageTextEncoder, vocabulary: Vocabulary, settings: DescribeSettings, cache: EmbeddingCache
    ) -> None:
        self._encoder = encoder
        self._batch_size = settings.batch_size
        self._cache = cache
        self._labeller = Labeller(encoder, vocabulary)
        self._attributes = tuple(vocabulary.attributes)

    def describe(
        self, items: Sequence[Item], folder: Path, examples: int = 0, progress: Progress = no_progress
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
        seen = encode_photos(items, self._encoder, self._cache, self._batch_size, progress)
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


def _check_any(seen: EncodedPhotos) -> None:
    if seen.unreadable and len(seen.unreadable) == len(seen.digests):
        kinds = Counter(row.kind for row in seen.unreadable)
        why = "; ".join(f"{count} times: {kind}" for kind, count in kinds.most_common())
        raise DataError(f"none of {len(seen.digests)} photos can be opened ({why}); first: {seen.unreadable[0].reason}")


PIXELS = 240
_ROWS = 8
_UNOPENED = 200


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page says beside the descriptions.

    Attributes:
        name: Of the data set.
        attributes: Names of all that may be said, in the vocabulary's order.
        left_out: Reasons and counts of what was left out before any photo was opened.
        judged_alone: Whether the encoder judges each label by itself (sigmoid), not against the others.
    """

    name: str
    attributes: tuple[str, ...]
    left_out: Sequence[tuple[str, int]]
    judged_alone: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """One photo and what is said of it.

    Attributes:
        photo: A data URI; None if the photo is gone since.
        unsure: Attributes of which no label was sure enough.
    """

    name: str
    photo: str | None
    attributes: Mapping[str, tuple[Label, ...]]
    unsure: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """How many photos have a label.

    Attributes:
        width: Of its bar, in percent of the most frequent label's.
    """

    label: str
    count: int
    width: float


@dataclass(frozen=True, slots=True)
class Bars:
    """The most frequent labels of an attribute, and how many photos have one of the others."""

    shown: tuple[Bar, ...]
    others: int


def render_page(found: Catalogued, shown: Shown) -> str:
    """The page as text: counts by label, a card per example, and every photo that couldn't be opened.

    The same photos and descriptions give the same text. Of the photos only small copies without metadata are in it;
    of those that couldn't be opened the first 200 are named.
    """
    with ThreadPoolExecutor(2) as pool:
        cards = list(pool.map(lambda pair: _card(pair[0], pair[1], shown.attributes), found.examples))
    return _environment().get_template("descriptions.html").render(
        shown=shown,
        found=found,
        cards=cards,
        overview={name: _bars(counts) for name, counts in found.labels.items()},
        unopened=found.unreadable[:_UNOPENED],
        kinds={kind: len(ids) for kind, ids in found.kinds().items()},
    )  # fmt: skip


def _card(item: Item, description: Description, attributes: Sequence[str]) -> Card:
    photo = None if item.image is None else photo_uri(item.image, PIXELS)
    unsure = tuple(name for name in attributes if name not in description.attributes)
    return Card(item.title or item.id, photo, description.attributes, unsure)


def _bars(counts: Mapping[str, int]) -> Bars:
    rows = list(counts.items())
    most = max(counts.values())
    shown = tuple(Bar(label, count, round(100 * count / most, 1)) for label, count in rows[:_ROWS])
    return Bars(shown, sum(count for _, count in rows[_ROWS:]))


def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("coordi.encoders"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(thousands=lambda number: f"{number:,}", percent=lambda share: f"{100 * share:.0f}")
    return found
