"""Output folders: atomic writes, locks, manifests, hashes, and progress callbacks."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import platformdirs

from coordi.errors import ArtifactError

MANIFEST = "manifest.json"
LOCK = ".lock"
RUN_FILE = "run.json"  # in a run's output folder: what it was started with
_VERSIONS_OF = ("coordi", "numpy", "onnxruntime", "torch", "transformers", "peft", "trl", "bitsandbytes")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that replaces it once the block ends without an error.

    Raises:
        ArtifactError: If the disk is full or the folder can't be written.
    """
    with clear_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
    try:
        with clear_write_errors(path):
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def clear_write_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's errors on writing ``path`` into one clear line.

    Raises:
        ArtifactError: In place of any ``OSError`` of the block, and of what safetensors and PyTorch raise when they
            can't write.
    """
    try:
        yield
    except Exception as error:
        if not _is_failed_write(error):
            raise
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in str(error):
            raise ArtifactError(
                f"no space left on the disk while writing {path}; what was finished before is kept: "
                "free some space and run the same command again"
            ) from error
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ArtifactError(f"{path} can't be written: {reason}; choose another --out") from error


def _is_failed_write(error: Exception) -> bool:
    is_safetensors = type(error).__name__ == "SafetensorError" and "I/O" in str(error)
    is_torch = isinstance(error, RuntimeError) and (
        "PytorchStreamWriter" in str(error) or "unexpected pos" in str(error)
    )
    return isinstance(error, OSError) or is_safetensors or is_torch


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, keys in the order given, refusing NaN and infinity."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file that coordi wrote.

    Raises:
        ArtifactError: If it is missing or broken.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} can't be read ({error}); delete its folder and run the command again") from error


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        ArtifactError: If the file can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"{path} can't be read: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class Record:
    """What a stage's manifest says beside time, memory and versions."""

    command: str
    settings: Mapping[str, Any]
    seed: int | None = None
    inputs: Mapping[str, str] | None = None


@contextmanager
def stage_folder(folder: Path, record: Record) -> Iterator[Path]:
    """Give a folder for a stage's files and write its manifest once the block ends without an error.

    Files of an earlier, unfinished try stay, so that a stage may go on from them. A finished folder that is entered
    again isn't finished until the block ends.

    Raises:
        ArtifactError: If the folder can't be written.
    """
    started = time.monotonic()
    with clear_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
    yield folder
    write_manifest(folder, record, started)


def write_manifest(folder: Path, record: Record, started: float) -> None:
    """Write a stage's manifest, which says that all before it is whole; a folder's earlier one is replaced.

    Args:
        folder: Of the stage.
        record: What the manifest says.
        started: When the work began, by ``time.monotonic``.

    Raises:
        ArtifactError: If it can't be written.
    """
    manifest = {
        "command": record.command,
        "settings": dict(record.settings),
        "seed": record.seed,
        "inputs": dict(record.inputs or {}),
        "versions": versions(),
        "machine": machine(),
        "seconds": round(time.monotonic() - started, 3),
        "peak_memory_mib": peak_memory_mib(),
    }
    write_json(folder / MANIFEST, manifest)


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold a folder for this process, so that no two write into it at once; it is made if it isn't there.

    The system lets go of it with the process, however that ends, so a folder left by ``kill -9`` is free.

    Raises:
        ArtifactError: If another process holds it, which is named, or it can't be written.
    """
    with clear_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a+", errors="replace")  # it may be somebody else's
    with lock:
        lock.seek(0)
        holder = lock.read(20).strip()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            who = f" (process {holder})" if holder.isdecimal() else ""
            raise ArtifactError(
                f"another coordi{who} is at work in {folder}; wait for it, or choose another --out"
            ) from error
        with clear_write_errors(folder):
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
        yield


def is_finished(folder: Path) -> bool:
    """Whether a stage's folder has its manifest."""
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished stage.

    Raises:
        ArtifactError: If the folder isn't a finished stage.
    """
    if not is_finished(folder):
        raise ArtifactError(f"{folder} isn't finished: it has no {MANIFEST}; run the command that makes it again")
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict):
        raise ArtifactError(f"{folder / MANIFEST} isn't a manifest; delete the folder and run the command again")
    return manifest


def discard(folder: Path) -> None:
    """Remove a stage's folder with all it holds."""
    with clear_write_errors(folder):
        shutil.rmtree(folder, ignore_errors=False) if folder.exists() else None


def cache_folder() -> Path:
    """Where what is made once for all runs is kept: ``$COORDI_CACHE``, else the user's cache folder."""
    given = os.environ.get("COORDI_CACHE")
    return Path(given) if given else Path(platformdirs.user_cache_dir("coordi"))


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that shape a result, where installed."""
    found = {"python": platform.python_version()}
    for name in _VERSIONS_OF:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str]:
    """What kind of machine this is, as far as a figure may depend on it; nothing that names it."""
    return {"system": platform.system(), "processor": platform.machine(), "cores": str(os.cpu_count() or "unknown")}


def peak_memory_mib() -> float:
    """Largest resident size of this process so far, in MiB."""
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale, 1)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


class Progress(Protocol):
    """Called from time to time with the work done and the whole; ``done == total`` ends it."""

    def __call__(self, done: int, total: int) -> None:
        """Take note that ``done`` of ``total`` units are finished."""
        ...


def no_progress(done: int, total: int) -> None:
    """A progress that shows nothing."""
