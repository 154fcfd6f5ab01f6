"""Output folders: atomic writes, locks, manifests, file hashes, DuckDB; progress callbacks."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import platformdirs

from coordi.errors import ArtifactError, require

if TYPE_CHECKING:
    from jinja2 import Environment

MANIFEST = "manifest.json"
LOCK = ".lock"
RUN_FILE = "run.json"  # in a run's output folder: its settings, data and versions
_HASHES = "sha256.json"  # of the files in a folder of the cache
_COMPARED = "compared.json"  # sizes and times that these files had when they were last compared with their hashes
_LONGEST_WAIT = 600  # seconds for a folder that another process builds, which takes a minute on a slow machine
_SETTLED_NS = 2_000_000_000  # after a change; within this time another one may have the same time, on FAT for example
_VERSIONS_OF = ("coordi", "numpy", "onnxruntime", "torch", "transformers", "peft", "accelerate", "bitsandbytes")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` when the block ends without an error."""
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
    """Raise an ``ArtifactError`` that says what to do, instead of any ``OSError`` or failed write of the block."""
    try:
        yield
    except Exception as error:
        if not _is_failed_write(error):
            raise
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if full or any(words in str(error) for words in ("os error 28", "Not enough free space", "No space left")):
            # as safetensors, numpy and DuckDB write it
            raise ArtifactError(
                f"no space left on the disk while writing {path}; what was finished before is kept: "
                "free some space and run the same command again"
            ) from error
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ArtifactError(f"{path} can't be written: {reason}; choose another --out, or COORDI_CACHE") from error


def _is_failed_write(error: Exception) -> bool:
    if isinstance(error, RuntimeError):
        return "PytorchStreamWriter" in str(error) or "unexpected pos" in str(error)
    name = type(error).__name__
    return isinstance(error, OSError) or name == "IOException" or (name == "SafetensorError" and "I/O" in str(error))


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically."""
    with atomic_path(path) as temporary:
        # In JSON, the escape of a byte of a file's name that isn't UTF-8 is read as that byte again.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, keys in the order given, refusing NaN and infinity."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file that coordi wrote; an ``ArtifactError`` if it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} can't be read ({error}); delete its folder and run the command again") from error


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"{path} can't be read: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class Record:
    """Contents of a stage's manifest, apart from time, memory and versions."""

    command: str
    settings: Mapping[str, Any]
    seed: int | None = None
    inputs: Mapping[str, str] | None = None


@contextmanager
def stage_folder(folder: Path, record: Record) -> Iterator[Path]:
    """Yield a folder for a stage's files and write its manifest when the block ends without an error.

    Files of an interrupted attempt stay, so that a stage can resume. During the block the folder counts as unfinished.
    """
    started = time.monotonic()
    with clear_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
    yield folder
    write_manifest(folder, record, started)


def write_manifest(folder: Path, record: Record, started: float) -> None:
    """Write a stage's manifest, which marks the folder as finished; ``started`` is by ``time.monotonic``."""
    manifest = {
        "command": record.command,
        "settings": dict(record.settings),
        "seed": record.seed,
        "inputs": dict(record.inputs or {}),
        "versions": versions(),
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": str(os.cpu_count() or "unknown"),
        },
        "seconds": round(time.monotonic() - started, 3),
        "peak_memory_mib": peak_memory_mib(),
    }
    write_json(folder / MANIFEST, manifest)


@contextmanager
def lock_folder(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Lock a folder, created if missing, for this process; the lock ends with the process, even by ``kill -9``.

    An ``ArtifactError`` names the process that holds it, at once or, to ``wait``, after ten minutes.
    """
    path = folder / LOCK
    with clear_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path)
        try:
            lock.acquire(timeout=_LONGEST_WAIT if wait else 0)
        except filelock.Timeout as error:
            holder = path.read_text(errors="replace").strip()
            process = f" (process {holder})" if holder.isdecimal() else ""
            raise ArtifactError(
                f"another coordi{process} is at work in {folder}; wait for it or end it, or choose another --out, or "
                "COORDI_CACHE"
            ) from error
    try:
        with clear_write_errors(folder):
            path.write_text(f"{os.getpid()}\n")
        yield
    finally:
        lock.release()


def is_finished(folder: Path) -> bool:
    """Whether a stage's folder has its manifest."""
    return (folder / MANIFEST).is_file()


def build_once(folder: Path, record: Record, build: Callable[[], None]) -> Path:
    """A flat folder of the cache, built now unless it is there and intact; other processes wait for it."""
    if not is_intact(folder):
        with lock_folder(folder.parent, wait=True):
            if not is_intact(folder):
                # Its files aren't written over: another process may have one mapped into its memory.
                shutil.rmtree(folder, ignore_errors=True)
                with clear_write_errors(folder), stage_folder(folder, record):
                    build()
                    write_json(folder / _HASHES, _hashes(folder))
    return folder


def is_intact(folder: Path) -> bool:
    """Whether a folder of the cache is finished and holds what was built.

    Hashing 90 MB takes 0.06 s, or 0.26 s on a processor without instructions for it; so it is done only when the size
    or a time of a file isn't what it was when the hashes were last compared.
    """
    try:
        now = _sizes_and_times(folder)
        if _read_or_none(folder / _COMPARED) == now:
            return True
        read_manifest(folder)
        if read_json(folder / _HASHES) != _hashes(folder):
            return False
    except (ArtifactError, OSError):
        return False
    if max(map(max, now.values())) < time.time_ns() - _SETTLED_NS:
        with suppress(ArtifactError):  # a cache that can't be written is hashed at each start
            write_json(folder / _COMPARED, now)
    return True


def _sizes_and_times(folder: Path) -> dict[str, list[int]]:
    """Only the last of them, the time of a change, can't be set by a program."""
    states = {path.name: path.stat() for path in _files(folder) if path.name != _COMPARED}
    return {name: [state.st_size, state.st_mtime_ns, state.st_ctime_ns] for name, state in states.items()}


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: hash_file(path) for path in _files(folder) if path.name not in (MANIFEST, _HASHES, _COMPARED)}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _read_or_none(path: Path) -> Any:
    with suppress(ArtifactError):
        return read_json(path)
    return None


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished stage; raises ``ArtifactError`` if the folder isn't one."""
    if not is_finished(folder):
        raise ArtifactError(f"{folder} isn't finished: it has no {MANIFEST}; run the command that wrote it again")
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict):
        raise ArtifactError(f"{folder / MANIFEST} is damaged; delete its folder and run the command again")
    return manifest


def cache_folder() -> Path:
    """Folder of files that all runs share: ``$COORDI_CACHE``, or the user's cache folder."""
    try:
        return Path(os.environ.get("COORDI_CACHE") or platformdirs.user_cache_dir("coordi")).expanduser()
    except RuntimeError as error:
        raise ArtifactError(f"there is no folder for a cache: {error}; set COORDI_CACHE to a folder") from error


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that results depend on."""
    installed = {"python": platform.python_version()}
    for name in _VERSIONS_OF:
        with suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    return installed


def peak_memory_mib() -> float | None:
    """Largest resident size of this process so far, in MiB; None where Python has no ``resource`` (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale, 1)


_DUCKDB: Mapping[str, Any] = {
    # It must not download extensions, whatever a file requests.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "pandas_analyze_sample": 2**31,  # values that tell the type of a column that is inserted: all
}


def connect() -> Any:
    """A new connection to a DuckDB database in memory, to which others can be attached."""
    return require("duckdb").connect(":memory:", config=dict(_DUCKDB))


def insert(connection: Any, into: str, rows: Sequence[Sequence[Any]]) -> None:
    """Add rows of Python values to a table of DuckDB; None is null."""
    import numpy as np

    columns = [np.fromiter(values, dtype=object, count=len(rows)) for values in zip(*rows, strict=True)]
    if columns:
        connection.register("rows_to_insert", {str(number): column for number, column in enumerate(columns)})
        connection.execute(f"INSERT INTO {into} SELECT * FROM rows_to_insert")
        connection.unregister("rows_to_insert")


def quoted(path: Path) -> str:
    """A path as an SQL literal, since ATTACH and COPY take no parameters."""
    return "'" + str(path).replace("'", "''") + "'"


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


Progress = Callable[[int, int], None]
"""Callback with the number of finished units and the total; equal numbers end the work."""


def page_environment(package: str) -> Environment:
    """Jinja's environment for pages: templates of a package and of ``coordi.encoders``, with values in HTML escaped."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("coordi.encoders")]),
        autoescape=select_autoescape(["html"]), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "thousands": "{:,}".format, "money": "{:,.2f}".format, "percent": lambda share: f"{100 * share:.0f}",
    }  # fmt: skip
    return environment


def no_progress(done: int, total: int) -> None:
    """Progress callback that does nothing."""


ShowProgress = Callable[[str], AbstractContextManager[Progress]]
"""Gives a progress callback for work with a label, while the work lasts."""


def show_no_progress(label: str) -> AbstractContextManager[Progress]:
    """Show nothing."""
    return nullcontext(no_progress)
