"""One output folder of a run: what it was started with, and who is at work in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import coordi
from coordi.artifacts import Record, hash_file, is_finished, read_json, versions, working_alone, write_json
from coordi.config import RunSettings
from coordi.errors import ArtifactError, DataError, ModelError
from coordi.progress import Progress

CLAIM = "run.json"
_HASHED_WHOLE = {".json", ".jsonl", ".csv", ".txt", ".parquet"}
_MOST_HASHED = 256 * 2**20  # bytes; a larger table holds photos


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where a run reads, where it writes, with which settings, and how it speaks.

    Attributes:
        data: File or folder of the data.
        out: Output folder; stages get folders of their own in it.
        command: What the user typed, for the manifests and the report.
        say: Shows one line to the user.
        progress: Gives a context that shows a stage's progress under a label.
    """

    data: Path
    out: Path
    settings: RunSettings
    command: str
    say: Callable[[str], None]
    progress: Callable[[str], AbstractContextManager[Progress]]

    def record(self, inputs: Mapping[str, str]) -> Record:
        """What the manifest of each stage says."""
        return Record(self.command, self.settings.model_dump(mode="json"), self.settings.seed, inputs)


def fingerprint(data: Path, out: Path | None = None) -> dict[str, str]:
    """What a data source holds, so that a changed one is noticed.

    Args:
        data: File or folder.
        out: Left out if it lies in the data's folder: it changes while coordi works.

    Returns:
        SHA-256 by file name of every table or annotation file of 256 MiB or less, and under ``"photos"`` one of all
        other files' names and sizes (their bytes are not read).

    Raises:
        DataError: If the path doesn't exist.
    """
    if not data.exists():
        raise DataError(f"no data at '{data}': give the path of a release, a catalogue file, a folder of photos, or "
                        "'sample' for the drawn wardrobe")  # fmt: skip
    if data.is_file():
        outfits = data.with_name("outfits.jsonl")
        return {path.name: hash_file(path) for path in (data, outfits) if path.is_file()}
    found, photos = {}, hashlib.sha256()
    for path in sorted(path for path in data.rglob("*") if path.is_file() and not path.name.startswith(".")):
        if out is not None and out.resolve() in path.resolve().parents:
            continue
        name = path.relative_to(data).as_posix()
        if path.suffix.lower() in _HASHED_WHOLE and path.stat().st_size <= _MOST_HASHED:
            found[name] = hash_file(path)
        else:
            photos.update(f"{name}\0{path.stat().st_size}\n".encode())
    found["photos"] = photos.hexdigest()
    return found


@contextmanager
def claimed(work: Workspace, also: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
    """Hold the output folder for one run and give the hashes of its inputs.

    Args:
        work: Whose folder.
        also: Hashes of inputs beside the data, such as the model that is measured.

    Raises:
        ArtifactError: If another run is at work in the folder, or it holds something else: other files, or finished
            stages of a run with other settings or other data. Nothing finished is overwritten.
    """
    with working_alone(work.out):
        inputs = {**fingerprint(work.data, work.out), **_named_in(work.settings), **(also or {})}
        _claim(work, inputs)
        yield inputs


def _claim(work: Workspace, inputs: dict[str, str]) -> None:
    asked = {
        "settings": work.settings.model_dump(mode="json"),
        "data": str(work.data.resolve()),
        "inputs": inputs,
        # What was kept by other code would stand in a report under this one's name.
        "versions": {**versions(), "coordi's code": code_identity()},
    }
    path = work.out / CLAIM
    if not path.exists():
        others = sorted(entry.name for entry in work.out.iterdir() if not entry.name.startswith("."))
        if others:
            raise ArtifactError(
                f"{work.out} holds other files ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''}) and no "
                "run of coordi; choose an empty or new folder with --out"
            )
        write_json(path, asked)
        return
    changes = _differences(read_json(path), asked)
    if changes and not finished_stages(work.out):
        write_json(path, asked)
    elif changes:
        raise ArtifactError(
            f"{work.out} holds a run that was started with something else: {'; '.join(changes[:5])}; run it with the "
            "same to go on, or choose another --out"
        )


@cache
def code_identity() -> str:
    """The first 12 digits of a SHA-256 of coordi's own modules, word lists and manifests of bundled weights."""
    found = hashlib.sha256()
    package = Path(coordi.__file__).parent
    for path in sorted(path for path in package.rglob("*") if path.suffix in (".py", ".yaml", ".csv", ".json")):
        found.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]


def _named_in(settings: RunSettings) -> dict[str, str]:
    """Hashes of the user's own files and folders that settings name."""
    named = {
        "vocabulary": settings.describe.vocabulary,
        "encoder": settings.describe.encoder,
        "base model": settings.model.base,
        "sentence encoder": settings.evaluate.sentence_encoder,
    }
    found = {}
    for name, value in named.items():
        if Path(value).exists():
            held = json.dumps(fingerprint(Path(value)), sort_keys=True)
            found[name] = hashlib.sha256(held.encode()).hexdigest()
    if settings.finetune.start_from is not None:
        from coordi.model.starting import WEIGHTS, starting_adapter

        with suppress(ModelError):  # gone since: what was made from it is measured without it
            found["adapter to start from"] = hash_file(starting_adapter(settings.finetune.start_from) / WEIGHTS)
    return found


def _differences(held: Any, asked: Any, where: str = "") -> list[str]:
    if isinstance(held, dict) and isinstance(asked, dict):
        return [
            line
            for key in dict.fromkeys((*held, *asked))
            for line in _differences(held.get(key), asked.get(key), f"{where}.{key}" if where else str(key))
        ]
    return [] if held == asked else [f"{where} was {held!r}, now {asked!r}"]


def finished_stages(out: Path) -> tuple[str, ...]:
    """Names of the stages in an output folder that have their manifest, sorted."""
    if not out.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in out.iterdir() if entry.is_dir() and is_finished(entry)))
