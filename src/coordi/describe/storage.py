"""Descriptions and vectors as files: ``descriptions.parquet``, ``unreadable.json`` and ``embeddings.safetensors``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from coordi.artifacts import atomic_path, read_json, write_json
from coordi.describe.describer import Described, Unreadable
from coordi.domain import Description, Label
from coordi.errors import ArtifactError

DESCRIPTIONS = "descriptions.parquet"
EMBEDDINGS = "embeddings.safetensors"
UNREADABLE = "unreadable.json"


def write_described(folder: Path, described: Described) -> None:
    """Write what an encoder saw into a stage's folder, each file whole or not at all.

    ``descriptions.parquet`` has a row per label (``item_id``, ``attribute``, ``label``, ``probability``), most
    probable first. ``embeddings.safetensors`` holds ``vectors`` ``(N, D)`` with the ids in its metadata.

    Raises:
        ArtifactError: If the folder can't be written.
    """
    import pyarrow as pa
    from pyarrow import parquet
    from safetensors.numpy import save

    rows = [
        (name, attribute, label.text, label.probability)
        for name, description in described.descriptions.items()
        for attribute, labels in description.attributes.items()
        for label in labels
    ]
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    types = (pa.string(), pa.string(), pa.string(), pa.float64())
    names = ("item_id", "attribute", "label", "probability")
    table = pa.table({name: pa.array(c, type=t) for name, c, t in zip(names, columns, types, strict=True)})
    with atomic_path(folder / DESCRIPTIONS) as temporary:
        parquet.write_table(table, temporary)
    name, identity = described.encoder
    metadata = {"ids": json.dumps(described.ids), "encoder": name, "identity": identity}
    with atomic_path(folder / EMBEDDINGS) as temporary:
        temporary.write_bytes(save({"vectors": np.ascontiguousarray(described.embeddings)}, metadata))
    write_json(folder / UNREADABLE, [{"item_id": row.item_id, "reason": row.reason} for row in described.unreadable])


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
    unreadable = tuple(Unreadable(row["item_id"], row["reason"]) for row in read_json(folder / UNREADABLE))
    return Described(descriptions, ids, vectors, unreadable, encoder)


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
