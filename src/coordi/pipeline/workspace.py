"""The output folder of a run: what the run was started with, and which process works in it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import coordi
from coordi.artifacts import (
    RUN_FILE,
    Record,
    ShowProgress,
    hash_file,
    is_finished,
    lock_folder,
    read_json,
    versions,
    write_json,
)
from coordi.config import RunSettings
from coordi.errors import ArtifactError, DataError
from coordi.style.lexicon import own_tables

_HASHED_SUFFIXES = {".json", ".jsonl", ".csv", ".txt", ".parquet"}
_LARGEST_HASHED = 256 * 2**20  # bytes; a larger table holds photos


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where a run reads and writes, its settings, and how it reports progress.

    ``progress`` returns a context that shows a stage's progress under a label.
    """

    data: Path
    out: Path
    settings: RunSettings
    command: str
    say: Callable[[str], None]
    progress: ShowProgress

    def record(self, inputs: Mapping[str, str]) -> Record:
        """Record for a stage's manifest."""
        return Record(self.command, self.settings.model_dump(mode="json"), self.settings.seed, inputs)


def fingerprint(data: Path, out: Path | None = None) -> dict[str, str]:
    """Hashes of a data source, by which a change is noticed; ``out`` is left out where it lies in the data's folder.

    They are the SHA-256 by file name of every table or annotation file of 256 MiB or less, and under ``"photos"`` one
    of all other files' names and sizes (their bytes are not read). A missing path is a ``DataError``.
    """
    if not data.exists():
        raise DataError(
            f"no data at '{data}': give the path of a release, a catalogue file, a folder of photos, or 'sample' for "
            "the drawn wardrobe"
        )
    if data.is_file():
        outfits = data.with_name("outfits.jsonl")
        return {path.name: hash_file(path) for path in (data, outfits) if path.is_file()}
    hashes, photos = {}, hashlib.sha256()
    for path in sorted(path for path in data.rglob("*") if path.is_file() and not path.name.startswith(".")):
        if out is not None and out.resolve() in path.resolve().parents:
            continue
        name = path.relative_to(data).as_posix()
        if path.suffix.lower() in _HASHED_SUFFIXES and path.stat().st_size <= _LARGEST_HASHED:
            hashes[name] = hash_file(path)
        else:
            photos.update(os.fsencode(f"{name}\0{path.stat().st_size}\n"))
    hashes["photos"] = photos.hexdigest()
    return hashes


@contextmanager
def claim_folder(work: Workspace, extra: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
    """Lock the output folder for one run; yield the hashes of its inputs, with ``extra`` ones such as the model's.

    An ``ArtifactError`` if another run works in it, or it holds other files, or finished stages with other settings or
    data: nothing finished is overwritten.
    """
    with lock_folder(work.out):
        inputs = {**fingerprint(work.data, work.out), **_setting_hashes(work.settings), **(extra or {})}
        _claim(work, inputs)
        yield inputs


def process_rank() -> int:
    """Number of this process under ``torchrun``; 0 for the first, and without ``torchrun``."""
    return int(os.environ.get("RANK", "0")) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else 0


@cache
def code_identity() -> str:
    """The first 12 digits of a SHA-256 of coordi's own modules, word lists and manifests of bundled weights."""
    digest = hashlib.sha256()
    package = Path(coordi.__file__).parent
    for path in sorted(path for path in package.rglob("*") if path.suffix in (".py", ".yaml", ".csv", ".json", ".txt")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    for path in own_tables():
        digest.update(hash_file(path).encode())
    return digest.hexdigest()[:12]


def _claim(work: Workspace, inputs: dict[str, str]) -> None:
    claim = {
        "settings": work.settings.model_dump(mode="json"),
        "data": str(work.data.resolve()),
        "inputs": inputs,
        # A report must not mix results of two versions of the code.
        "versions": {**versions(), "coordi's code": code_identity()},
    }
    path = work.out / RUN_FILE
    if not path.exists():
        others = sorted(entry.name for entry in work.out.iterdir() if not entry.name.startswith("."))
        if others:
            raise ArtifactError(
                f"{work.out} holds other files ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''}) and no "
                "run of coordi; choose an empty or new folder with --out"
            )
        write_json(path, claim)
        return
    changes = _differences(read_json(path), claim)
    if changes and any(is_finished(entry) for entry in work.out.iterdir()):
        raise ArtifactError(
            f"{work.out} holds a run that was started with something else: {'; '.join(changes[:5])}; run it with the "
            "same settings and data to resume it, or choose another --out"
        )
    if changes:
        write_json(path, claim)


def _setting_hashes(settings: RunSettings) -> dict[str, str]:
    paths = {
        "vocabulary": settings.describe.vocabulary,
        "encoder": settings.describe.encoder,
        "base model": settings.model.base,
    }
    return {
        name: hashlib.sha256(json.dumps(fingerprint(Path(path)), sort_keys=True).encode()).hexdigest()
        for name, path in paths.items()
        if Path(path).exists()
    }


def _differences(before: Any, now: Any, key: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            line
            for name in dict.fromkeys((*before, *now))
            for line in _differences(before.get(name), now.get(name), f"{key}.{name}" if key else str(name))
        ]
    return [] if before == now else [f"{key} was {before!r}, now {now!r}"]
