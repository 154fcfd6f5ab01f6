"""A catalogue's folder while it is worked on: whether it may be, what it is of, and what says that it is whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from coordi.artifacts import Record, is_finished, write_manifest
from coordi.config import DataSettings
from coordi.data.source import RowProblem
from coordi.describe.vector_cache import SAVE_EVERY
from coordi.errors import ArtifactError, DataError
from coordi.pipeline.catalogue_source import PROBLEMS_FILE, Feed, by_reason, write_problems
from coordi.pipeline.workspace import CLAIM
from coordi.progress import Progress
from coordi.recommend.catalogue_file import INFO_FILE, check_is_catalogue, read_info_file
from coordi.recommend.catalogue_index import CatalogueIndex, CatalogueInfo

_REASONS = 3
_SHOWN = 3
_AS_THEY_ARE = DataSettings()


@dataclass(frozen=True, slots=True)
class CatalogueWork:
    """A catalogue's folder and how work on it is done.

    Attributes:
        folder: Of the catalogue.
        command: What the user typed, for the manifest.
        progress: Shows progress under a label.
        data: How a source is read.
        save_every: Photos between two saves of vectors.
        may_shrink: Whether a feed may take away more than half of what is there.
    """

    folder: Path
    command: str
    progress: Callable[[str], AbstractContextManager[Progress]]
    data: DataSettings = _AS_THEY_ARE
    save_every: int = SAVE_EVERY
    may_shrink: bool = False


def info_of(folder: Path) -> CatalogueInfo:
    """What a finished catalogue says of itself.

    Raises:
        ArtifactError: If it isn't one, or its database is damaged.
    """
    with CatalogueIndex.open(folder) as index:
        return index.info


@contextmanager
def manifest_last(work: CatalogueWork, info: CatalogueInfo) -> Iterator[None]:
    """Write the manifest once the block ends without an error; until then an earlier one stays, and its catalogue."""
    started = time.monotonic()
    yield
    settings = {"describe": info.describe.model_dump(mode="json"), "prompt": info.prompt.model_dump(mode="json")}
    inputs = {"source": info.source, "encoder": info.encoder[1], "vocabulary": info.vocabulary}
    write_manifest(work.folder, Record(work.command, settings, inputs=inputs), started)


def check_out(folder: Path, source: str) -> None:
    """Refuse a folder that holds something else than a catalogue of this source, finished or begun."""
    if (folder / CLAIM).exists():
        raise ArtifactError(f"{folder} holds a run of coordi; choose another --out")
    if str(folder.resolve()) == source:
        raise ArtifactError(f"--out {folder} is the folder of the data; choose another --out, so that they don't mix")
    if is_finished(folder):
        check_is_catalogue(folder)
        made_of = info_of(folder).source
    elif (folder / INFO_FILE).is_file():
        made_of = read_info_file(folder).source
    else:
        held = (
            sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
        )
        if held and held != [PROBLEMS_FILE]:
            more = ", ..." if len(held) > 3 else ""
            raise ArtifactError(
                f"{folder} isn't a catalogue and holds other files ({', '.join(held[:3])}{more}); choose an empty or "
                "new folder with --out"
            )
        return
    if made_of != source:
        raise ArtifactError(
            f"{folder} is a catalogue of {made_of}, not of {source}; choose another --out, or put this source into it "
            f"with coordi catalogue add {folder} {source}, or in its place with coordi catalogue refresh {folder} "
            f"{source}"
        )


def refuse(feed: Feed, problems: Sequence[RowProblem], work: CatalogueWork) -> NoReturn:
    """Say that nothing of a feed can go into a catalogue, and why."""
    write_problems(work.folder, problems)
    reasons = [f"{len(rows)} times: {reason}" for reason, rows in by_reason(problems).items()]
    reasons += [f"{row.count} times: {row.reason}" for row in feed.left_out]
    raise DataError(
        f"nothing of {feed.source} can go into a catalogue: {'; '.join(reasons[:_REASONS]) or 'it holds no items'}; "
        f"every problem is in {work.folder / PROBLEMS_FILE}"
    )
