"""Descriptions and vectors as files: ``descriptions.parquet``, ``unreadable.json`` and ``embeddings.safetensors``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coordi.artifacts import atomic_path, read_json, write_json, writing
from coordi.describe.describer import Described
from coordi.describe.opening import Unreadable
from coordi.domain import Description, Label
from coordi.errors import ArtifactError

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
            with writing(path):
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
