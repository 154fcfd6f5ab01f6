"""Data sets and questions as Parquet and JSON files, written whole or not at all; what is read equals what was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from coordi.artifacts import atomic_path, read_json, write_json
from coordi.domain import (
    NO_EXTRA,
    CompatibilityQuestion,
    Dataset,
    FillInTheBlankQuestion,
    FunnelRow,
    Item,
    Outfit,
    Protocol,
    QuestionFile,
    ReleasedQuestions,
    Split,
)
from coordi.errors import ArtifactError

ITEMS, OUTFITS, FACTS = "items.parquet", "outfits.parquet", "dataset.json"

_TEXT, _TEXTS = pa.string(), pa.list_(pa.string())
_ITEM = pa.schema(
    {
        "id": _TEXT, "title": _TEXT, "category": _TEXT, "kind": _TEXT, "image": _TEXT, "price": pa.float64(),
        "extra": pa.map_(_TEXT, _TEXT),
    }
)  # fmt: skip
_OUTFIT = pa.schema({"id": _TEXT, "item_ids": _TEXTS, "split": _TEXT, "title": _TEXT})
_COMPATIBILITY = pa.schema({"id": _TEXT, "outfit_id": _TEXT, "item_ids": _TEXTS, "compatible": pa.bool_()})
_BLANK = pa.schema(
    {"id": _TEXT, "outfit_id": _TEXT, "item_ids": _TEXTS, "candidates": _TEXTS, "answer": pa.int64()}
)  # fmt: skip


def questions_file(split: Split, protocol: Protocol) -> str:
    """Name of the file of a split's compatibility questions."""
    return f"questions-{split}-{protocol}.parquet"


def write_dataset(folder: Path, dataset: Dataset) -> None:
    """Write ``items.parquet``, ``outfits.parquet``, a release's questions (``released-<split>-<name>.parquet`` and
    ``...-blanks.parquet``) and, last, ``dataset.json`` with the funnel and the facts.

    Photos stay where they are; their paths are written as they are.

    Raises:
        ArtifactError: If the folder can't be written.
    """
    items = [
        {
            "id": item.id, "title": item.title, "category": item.category, "kind": item.kind,
            "image": None if item.image is None else str(item.image), "price": item.price,
            "extra": list(item.extra.items()),
        }
        for item in dataset.items.values()
    ]  # fmt: skip
    outfits = [{**asdict(outfit), "item_ids": list(outfit.item_ids)} for outfit in dataset.outfits]
    _write(folder / ITEMS, items, _ITEM)
    _write(folder / OUTFITS, outfits, _OUTFIT)
    for part in dataset.released:
        compatibility, blanks = _released_files(part.split, part.name)
        _write(folder / compatibility, [asdict(one) for one in part.compatibility], _COMPATIBILITY)
        _write(folder / blanks, [asdict(one) for one in part.blanks], _BLANK)
    facts = {
        "name": dataset.name,
        "layout": dataset.layout,
        "text_only": dataset.text_only,
        "funnel": [asdict(row) for row in dataset.funnel],
        "released": [
            {
                "name": part.name,
                "split": part.split,
                "compatibility": _file_facts(part.compatibility_file),
                "blanks": _file_facts(part.blanks_file),
            }
            for part in dataset.released
        ],
    }
    write_json(folder / FACTS, facts)


def read_dataset(folder: Path) -> Dataset:
    """Read what ``write_dataset`` wrote; items and outfits keep their order.

    Raises:
        ArtifactError: If a file is missing or isn't what it should be.
    """
    facts = read_json(folder / FACTS)
    try:
        items = {row["id"]: _item(row) for row in _read(folder / ITEMS, _ITEM)}
        outfits = tuple(
            Outfit(row["id"], tuple(row["item_ids"]), row["split"], row["title"])
            for row in _read(folder / OUTFITS, _OUTFIT)
        )
        funnel = tuple(FunnelRow(**row) for row in facts["funnel"])
        released = tuple(_released(folder, part) for part in facts["released"])
        return Dataset(facts["name"], facts["layout"], items, outfits, funnel, facts["text_only"], released)
    except (KeyError, TypeError) as error:
        raise ArtifactError(
            f"{folder / FACTS} isn't what coordi writes ({error!r}); delete the folder and run the command again"
        ) from error


def write_questions(path: Path, questions: Sequence[CompatibilityQuestion] | Sequence[FillInTheBlankQuestion]) -> None:
    """Write questions of one kind; without any the file has the columns of compatibility questions.

    Raises:
        ArtifactError: If the file can't be written.
    """
    blanks = bool(questions) and isinstance(questions[0], FillInTheBlankQuestion)
    _write(path, [asdict(question) for question in questions], _BLANK if blanks else _COMPATIBILITY)


def read_compatibility_questions(path: Path) -> tuple[CompatibilityQuestion, ...]:
    """Read compatibility questions that ``write_questions`` wrote.

    Raises:
        ArtifactError: If the file is missing or holds something else.
    """
    return tuple(
        CompatibilityQuestion(row["id"], row["outfit_id"], tuple(row["item_ids"]), row["compatible"])
        for row in _read(path, _COMPATIBILITY)
    )


def read_fill_in_the_blank_questions(path: Path) -> tuple[FillInTheBlankQuestion, ...]:
    """Read fill-in-the-blank questions that ``write_questions`` wrote.

    Raises:
        ArtifactError: If the file is missing or holds something else.
    """
    return tuple(
        FillInTheBlankQuestion(
            row["id"], row["outfit_id"], tuple(row["item_ids"]), tuple(row["candidates"]), row["answer"]
        )
        for row in _read(path, _BLANK)
    )


def _released(folder: Path, facts: Mapping[str, Any]) -> ReleasedQuestions:
    compatibility, blanks = _released_files(facts["split"], facts["name"])
    return ReleasedQuestions(
        facts["name"], facts["split"], read_compatibility_questions(folder / compatibility),
        read_fill_in_the_blank_questions(folder / blanks), _file(facts["compatibility"]), _file(facts["blanks"]),
    )  # fmt: skip


def _file_facts(file: QuestionFile) -> dict[str, Any]:
    return {"asked": file.asked, "losses": dict(file.losses)}


def _file(facts: Mapping[str, Any]) -> QuestionFile:
    return QuestionFile(facts["asked"], MappingProxyType(dict(facts["losses"])))


def _released_files(split: Split, name: str) -> tuple[str, str]:
    return f"released-{split}-{name}.parquet", f"released-{split}-{name}-blanks.parquet"


def _item(row: Mapping[str, Any]) -> Item:
    extra = MappingProxyType(dict(row["extra"])) if row["extra"] else NO_EXTRA
    image = None if row["image"] is None else Path(row["image"])
    return Item(row["id"], row["title"], row["category"], row["kind"], image, row["price"], extra)


def _write(path: Path, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), temporary)


def _read(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    try:
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{path} can't be read ({reason}); delete its folder and run the command again") from error
    if table.column_names != schema.names:
        raise ArtifactError(
            f"{path} has the columns {', '.join(table.column_names)}; expected {', '.join(schema.names)}: "
            "delete its folder and run the command again"
        )
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
