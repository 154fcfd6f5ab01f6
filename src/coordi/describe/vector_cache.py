"""Vectors of photos that were seen before, so that no photo is looked at twice by the same encoder.

A file of the cache holds digests of photos' bytes and the vectors seen in them, and nothing else: no photo, no name,
no place, no label. It lies in ``$COORDI_CACHE`` (or the user's cache folder) under ``vectors``, one file per way of
seeing, and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from threading import Lock
from types import TracebackType

import numpy as np
import numpy.typing as npt

from coordi import data
from coordi.artifacts import cache_folder, versions, writing
from coordi.describe.encoder import ImageTextEncoder
from coordi.errors import ArtifactError

FOLDER = "vectors"
SAVE_EVERY = 128
"""Vectors between two saves: what a sudden end costs at most."""
_PATIENCE = 60.0  # seconds that another run may hold the file
_AT_ONCE = 500  # SQLite's smallest limit of values in one question is 999


class VectorCache:
    """Unit vectors by the SHA-256 of the photo's bytes, in one SQLite file.

    What is saved survives any end of the process. Several runs may share a file. ``knows`` may be asked from any
    thread; everything else belongs to the thread that opened it.
    """

    def __init__(self, path: Path | None, dimension: int, save_every: int = SAVE_EVERY) -> None:
        """Open a file, or keep all in memory if ``path`` is None.

        Raises:
            ArtifactError: If the file can't be made or isn't a cache.
        """
        self.path = path
        self._dimension = dimension
        self._save_every = save_every
        self._pending: dict[bytes, bytes] = {}
        self._lock = Lock()
        if path is not None:
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
        with self._asking():
            where = ":memory:" if path is None else path
            self._database = sqlite3.connect(where, timeout=_PATIENCE, check_same_thread=False)
            self._database.execute("CREATE TABLE IF NOT EXISTS vectors (photo BLOB PRIMARY KEY, vector BLOB NOT NULL)")
            self._database.commit()

    @classmethod
    def of(cls, encoder: ImageTextEncoder, save_every: int = SAVE_EVERY) -> VectorCache:
        """The cache of this encoder on this machine.

        Raises:
            ArtifactError: If its file can't be made or isn't a cache.
        """
        return cls(cache_folder() / FOLDER / f"{way_of_seeing(encoder)[:32]}.sqlite", encoder.dimension, save_every)

    def __enter__(self) -> VectorCache:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Save what there is, also after an error or Ctrl-C, and close the file."""
        try:
            self.save()
        finally:
            self._database.close()

    def __len__(self) -> int:
        """Photos whose vectors are saved."""
        with self._asking():
            return int(self._database.execute("SELECT COUNT(*) FROM vectors").fetchone()[0])

    def knows(self, digest: bytes) -> bool:
        """Whether the vector of a photo is here."""
        with self._asking():
            found = self._database.execute("SELECT 1 FROM vectors WHERE photo = ?", (digest,)).fetchone()
            return found is not None or digest in self._pending

    def add(self, digests: Sequence[bytes], vectors: npt.NDArray[np.float32]) -> None:
        """Remember vectors ``(N, D)``; they are saved from time to time.

        Raises:
            ArtifactError: If they can't be saved, as on a full disk.
        """
        rows = np.ascontiguousarray(vectors, dtype="<f4")
        with self._lock:
            self._pending.update((digest, row.tobytes()) for digest, row in zip(digests, rows, strict=True))
        if len(self._pending) >= self._save_every:
            self.save()

    def save(self) -> None:
        """Write what was remembered since the last save, all of it or nothing.

        Raises:
            ArtifactError: If it can't be written.
        """
        with self._asking():
            self._database.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", self._pending.items())
            self._database.commit()
            self._pending.clear()

    def vectors(self, digests: Sequence[bytes]) -> npt.NDArray[np.float32]:
        """Vectors ``(N, D)`` of known photos, in the order asked.

        Raises:
            ArtifactError: If one isn't there or isn't a vector of this encoder.
        """
        found: dict[bytes, bytes] = {}
        with self._asking():
            for start in range(0, len(digests), _AT_ONCE):
                asked = digests[start : start + _AT_ONCE]
                places = ",".join("?" * len(asked))
                found.update(self._database.execute(f"SELECT * FROM vectors WHERE photo IN ({places})", asked))
            found |= self._pending
        rows = b"".join(found.get(digest, b"") for digest in digests)
        if len(rows) != len(digests) * self._dimension * 4:
            raise ArtifactError(f"{self._name} lacks vectors that were saved; delete it and run the same command again")
        return np.frombuffer(rows, dtype="<f4").reshape(len(digests), self._dimension).astype(np.float32)

    @property
    def _name(self) -> str:
        return f"the cache of vectors {self.path}" if self.path else "the cache of vectors"

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Hold the file alone, and turn SQLite's errors into one clear line."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise ArtifactError(
                    f"{self._name} can't be used: {error}; free the disk, wait for another run, or delete the file "
                    "(it holds nothing that can't be made again) and run the same command"
                ) from error


def way_of_seeing(encoder: ImageTextEncoder) -> str:
    """SHA-256 of all that shapes a vector: the encoder's files, the code that opens and prepares photos, versions."""
    code = sorted(Path(data.__path__[0]).glob("photo*.py"))
    with suppress(OSError, TypeError):  # a class without a file of its own
        code += sorted(Path(inspect.getfile(type(encoder))).parent.glob("*.py"))
    known = {
        "encoder": encoder.identity,
        "dimension": encoder.dimension,
        "code": [hashlib.sha256(path.read_bytes()).hexdigest() for path in code],
        "versions": {**versions(), "pillow": metadata.version("pillow")},
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
