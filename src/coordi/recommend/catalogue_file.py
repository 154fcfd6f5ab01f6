"""A catalogue's folder: what it says of itself, and the ways to its database that reading and writing share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from coordi.artifacts import MANIFEST, read_json
from coordi.config import DescribeSettings, PromptSettings, Settings
from coordi.errors import ArtifactError, require
from coordi.recommend.catalogue_rows import ABOUT

if TYPE_CHECKING:
    import pyarrow as pa

ITEMS_FILE = "items.duckdb"
INFO_FILE = "catalogue.json"
# Nothing may be loaded from elsewhere, whatever a database asks for.
SHUT_OFF: Mapping[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}


Stamp = tuple[int, int, int]
"""Tells one file from another that took its place: inode, time of change in nanoseconds, bytes."""


class CatalogueInfo(Settings):
    """What a catalogue was made of and with; the same in its database and, to be read by people, in catalogue.json.

    Attributes:
        format: Of the folder.
        name: Of the source.
        source: Its path, resolved, or the name of a data set on a hub.
        encoder: Name and identity of what saw the photos.
        text_encoder: ``EdgeEncoder.text_identity`` of what the text vectors are by.
        describe: Settings that the photos were described with.
        prompt: What is said of an item.
        vocabulary: SHA-256 of the vocabulary's content.
        photo_dimension: D of ``photo_vector``.
        text_dimension: T of ``text_vector``.
        made: When it was last changed, in UTC, ``2026-11-24T00:10:00Z``; empty in memory.
    """

    format: Literal["coordi-catalogue-1"] = "coordi-catalogue-1"
    name: str
    source: str
    encoder: tuple[str, str]
    text_encoder: str
    describe: DescribeSettings = DescribeSettings()
    prompt: PromptSettings = PromptSettings()
    vocabulary: str
    photo_dimension: int = Field(ge=1)
    text_dimension: int = Field(ge=1)
    made: str = ""


def check_fits(folder: Path | str, made: CatalogueInfo, wanted: CatalogueInfo) -> None:
    """See to it that a catalogue was made with what it is now to be used with.

    Args:
        folder: Of the catalogue, for the message.
        made: What it was made with.
        wanted: What it would be made with now.

    Raises:
        ArtifactError: If vectors, labels or texts would be others, with all that differs.
    """
    differs = []
    if made.encoder[1] != wanted.encoder[1]:
        differs.append(f"the encoder was {_with_hash(*made.encoder)} and is now {_with_hash(*wanted.encoder)}")
    if made.text_encoder != wanted.text_encoder:
        differs.append(f"the text encoder was {made.text_encoder[:12]} and is now {wanted.text_encoder[:12]}")
    if made.vocabulary != wanted.vocabulary:
        names = (made.describe.vocabulary, wanted.describe.vocabulary)
        was, is_ = (_with_hash(name, one.vocabulary) for name, one in zip(names, (made, wanted), strict=True))
        differs.append(f"the vocabulary was {was} and is now {is_}")
    for name in ("attributes", "max_title_words"):
        was, is_ = getattr(made.prompt, name), getattr(wanted.prompt, name)
        if was != is_:
            differs.append(f"of an item {name} were said as {was} and are now as {is_}")
    if differs:
        raise ArtifactError(
            f"the catalogue {folder} was made with something else: {'; '.join(differs)}; build it again into a new "
            f"folder, for the model you use: coordi catalogue build {made.source} --out NEW_FOLDER --model MODEL"
        )


def _with_hash(name: str, digest: str) -> str:
    return f"'{name}' ({digest[:12]})"


def check_is_catalogue(folder: Path) -> None:
    """See to it that a folder is a finished catalogue.

    Raises:
        ArtifactError: If it isn't, with the command that makes or finishes one.
    """
    lacking = [name for name in (MANIFEST, INFO_FILE, ITEMS_FILE) if not (folder / name).is_file()]
    if not lacking:
        return
    make = f"coordi catalogue build SOURCE --out {folder}"
    if not folder.exists():
        raise ArtifactError(f"there is no catalogue at {folder}; make one: {make}")
    if not folder.is_dir() or len(lacking) == 3 or (lacking != [MANIFEST] and MANIFEST not in lacking):
        raise ArtifactError(f"{folder} isn't a catalogue: it has no {' and no '.join(lacking)}; make one: {make}")
    raise ArtifactError(f"the catalogue in {folder} isn't finished; go on with the command that began it: {make}")


def read_info(connection: Any) -> CatalogueInfo:
    """What the attached database says of itself.

    Raises:
        ValueError: If it isn't a catalogue's, or of another version of coordi.
    """
    rows = connection.execute(f"SELECT info FROM {ABOUT}").fetchall()
    if len(rows) != 1:
        raise ValueError(f"it says {len(rows)} times what it is")
    return CatalogueInfo.model_validate_json(rows[0][0])


def read_info_file(folder: Path) -> CatalogueInfo:
    """What a folder's catalogue.json says, finished or not.

    Raises:
        ArtifactError: If it is missing, broken, or somebody else's.
    """
    found = read_json(folder / INFO_FILE)
    try:
        return CatalogueInfo.model_validate(found)
    except ValidationError as error:
        raise ArtifactError(
            f"{folder / INFO_FILE} isn't a catalogue's, or of another version of coordi; choose an empty or new folder"
        ) from error


def insert(connection: Any, into: str, table: pa.Table) -> None:
    """Add rows to a table of an attached database."""
    connection.register("rows_to_insert", table)
    connection.execute(f"INSERT INTO {into} SELECT * FROM rows_to_insert")
    connection.unregister("rows_to_insert")


def shut_off(connection: Any) -> None:
    """From here on the connection opens no file but those that are attached, and nothing can change that."""
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def stamp_of(file: Path) -> Stamp | None:
    """The stamp of a file as it is now; None if it isn't there or can't be looked at."""
    try:
        about = file.stat()
    except OSError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size


def quoted(path: Path) -> str:
    """A path as text in a statement; attaching takes no parameters."""
    return "'" + str(path).replace("'", "''") + "'"


@contextmanager
def reading(what: Path | str) -> Iterator[None]:
    """Turn DuckDB's errors on reading a catalogue into one clear line."""
    duckdb = require("duckdb", "catalogue")
    try:
        yield
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ArtifactError(
            f"the catalogue {what} was made by another version of coordi ({found}); build it again into a new folder "
            "with coordi catalogue build"
        ) from error
    except (duckdb.Error, ValueError) as error:
        raise unreadable(what, error) from error


def unreadable(what: Path | str, error: Exception) -> ArtifactError:
    """What is said of a catalogue on which DuckDB gives up."""
    reason = str(error).strip().splitlines()[0]
    return ArtifactError(
        f"the catalogue {what} can't be read: {reason}; if it is damaged, delete the folder and build it again with "
        "coordi catalogue build"
    )
