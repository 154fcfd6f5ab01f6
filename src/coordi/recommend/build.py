"""Builds a catalogue from a source and keeps it up to date."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import (
    RUN_FILE,
    Progress,
    Record,
    is_finished,
    lock_folder,
    no_progress,
    write_json,
    write_manifest,
    write_text,
)
from coordi.config import DataSettings, DescribeSettings, PromptSettings
from coordi.data.categories import NO_GARMENT
from coordi.data.loading import located, read_source
from coordi.data.photos import OUTSIDE, PhotoError, photo_bytes
from coordi.data.source import RowProblem, Source, SourceItem, clean_title
from coordi.encoders.base import ImageTextEncoder, load_settled_encoder
from coordi.encoders.labels import Labeller, Vocabulary, load_vocabulary
from coordi.encoders.photo_embeddings import SAVE_EVERY, EmbeddingCache, encode_photos
from coordi.errors import ArtifactError, DataError, RecommendationError
from coordi.model.ensemble import text_encoder
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.catalogue_file import (
    INFO_FILE,
    CatalogueInfo,
    CatalogueRow,
    CatalogueWriter,
    StoredRow,
    check_fits,
    check_is_catalogue,
    read_info_file,
    stored_rows,
    writing_catalogue,
)
from coordi.recommend.items import describe_items, not_understood
from coordi.types import FunnelRow, GarmentCategory, Item

PROBLEMS_FILE = "problems.jsonl"
MAX_ID_LENGTH = 200  # what a rule may name
NOT_CLOTHES = "nobody wears it to be seen (rugs, lipstick, underwear, ...)"
NOTHING_TO_GO_BY = "no title and no photo"
NO_CATEGORY = "neither its words nor a photo tell its category"
NO_PHOTO_NAMED = "no photo named: kept for its title"
BAD_ID = f"id longer than {MAX_ID_LENGTH} characters, or no text that can be written as UTF-8"
NOT_UNDERSTOOD = "{} isn't a known word: kept as unknown"
REPAIRED = "title in a wrong encoding: repaired"
_MAX_VALUE_LENGTH = 40
_LISTED = frozenset({"catalogue", "photos", "sample"})  # layouts whose readers list every problem


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A row of a source that can go into a catalogue.

    Attributes:
        item: Cleaned; its category may be None until its photo is described, and its photo may be unreadable.
        line: In its table; None if the source isn't a table.
        hash: Of the source's columns.
    """

    item: Item
    line: int | None
    hash: bytes


@dataclass(frozen=True, slots=True)
class Feed:
    """The rows of a source that can go into a catalogue.

    Attributes:
        name: The folder's or file's name.
        source: Its resolved path, or its name on a hub.
        rows: In the source's order, with unique ids.
        problems: Of rows, before photos are opened; those with ``kept`` are warnings.
        left_out: Counts of what the reader of a release left out.
    """

    name: str
    source: str
    rows: tuple[FeedRow, ...]
    problems: tuple[RowProblem, ...]
    left_out: tuple[FunnelRow, ...] = field(default=())


def source_of(path: Path | str, settings: DataSettings) -> str:
    """The resolved path of a source, by which a catalogue names it.

    Raises:
        DataError: If there is nothing at the path, or a hub's data set can't be fetched.
    """
    resolved = located(path, settings)
    if not resolved.exists():
        raise DataError(
            f"there is no file or folder at {resolved}; accepted are a .csv, .jsonl or .parquet table, a folder with "
            "one, a folder of photos, a Polyvore release, or 'sample'"
        )
    return str(resolved.resolve())


def read_feed(path: Path | str, settings: DataSettings) -> Feed:
    """Read a source for a catalogue; photos aren't opened yet.

    Raises:
        DataError: If its layout isn't recognised, it can't be read, or it can't be fetched.
    """
    source = read_source(located(path, settings), settings)
    rows: list[FeedRow] = []
    problems = list(source.problems)
    some_photos = any(item.image is not None for item in source.items)
    for item in source.items:
        row, row_problems = _judged(item, source, some_photos=some_photos)
        problems += row_problems
        if row is not None:
            rows.append(row)
    left_out = tuple(row for row in source.funnel.rows if row.dropped and row.unit == "items")
    counted = () if source.layout in _LISTED else left_out
    return Feed(source.name, source_of(path, settings), tuple(rows), tuple(problems), counted)


def write_problems(folder: Path, problems: Iterable[RowProblem]) -> None:
    """Write one JSON object per problem into the folder, in the order of the source's lines."""
    ordered = sorted(problems, key=lambda problem: (problem.line or 0, problem.item_id, problem.reason))
    lines = [json.dumps(_sound(problem.as_json()), ensure_ascii=False) for problem in ordered]
    write_text(folder / PROBLEMS_FILE, "".join(f"{line}\n" for line in lines))


def by_reason(problems: Iterable[RowProblem]) -> dict[str, list[RowProblem]]:
    """Problems by reason: errors before warnings, then the most frequent first."""
    groups: dict[str, list[RowProblem]] = {}
    for problem in problems:
        groups.setdefault(problem.reason, []).append(problem)
    return dict(sorted(groups.items(), key=lambda entry: (entry[1][0].usable, -len(entry[1]))))


def _judged(item: SourceItem, source: Source, *, some_photos: bool) -> tuple[FeedRow | None, list[RowProblem]]:
    """The row of an item, None if it is left out, and its problems."""
    line = source.lines.get(item.id)

    def problem(reason: str, value: str = "", *, is_warning: bool = False) -> RowProblem:
        return RowProblem(reason, item.id, line, value, is_warning)

    title = clean_title(item.title)
    if not _is_id(item.id):
        return None, [problem(BAD_ID)]
    if item.category == NO_GARMENT:
        return None, [problem(NOT_CLOTHES, item.subcategory or title.text)]
    if item.image is None and not title.text:
        return None, [problem(NOTHING_TO_GO_BY)]
    if item.image is None and item.category is None:
        return None, [problem(NO_CATEGORY, item.subcategory or title.text)]
    problems = []
    if title.repaired:
        problems.append(problem(REPAIRED, title.text, is_warning=True))
    if item.image is None and item.why_no_photo == OUTSIDE:
        problems.append(problem(f"{OUTSIDE}: kept for its title", is_warning=True))
    elif item.image is None and some_photos:
        problems.append(problem(NO_PHOTO_NAMED, is_warning=True))
    cleaned = _item(replace(item, title=title.text))
    problems += [
        problem(NOT_UNDERSTOOD.format(what), value, is_warning=True) for what, value in not_understood(cleaned)
    ]
    return FeedRow(cleaned, line, _hash(item)), problems


def _item(item: SourceItem) -> Item:
    extra = MappingProxyType({_text(name): _text(value) for name, value in item.extra.items()})
    category = cast("GarmentCategory | None", item.category)
    image = None if item.image is None else item.image.absolute()
    return Item(item.id, _text(item.title), category, _text(item.subcategory), image, item.price, extra)


def _hash(item: SourceItem) -> bytes:
    image = None if item.image is None else str(item.image.absolute())
    values = [item.id, item.title, item.category, item.subcategory, image, item.price, sorted(item.extra.items())]
    return hashlib.sha256(json.dumps(values).encode()).digest()


def _is_id(text: str) -> bool:
    return len(text) <= MAX_ID_LENGTH and _text(text) == text


def _text(text: str) -> str:
    """Text that can be written as UTF-8: JSON may contain halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()


def _sound(values: Mapping[str, object]) -> dict[str, object]:
    return {name: _text(value) if isinstance(value, str) else value for name, value in values.items()}


def examples(problems: Sequence[RowProblem], most: int) -> str:
    """The first few of some problems, such as ``"line 3 'abc', line 9 and 4 more"``."""
    parts = []
    for problem in problems[:most]:
        where = f"line {problem.line}" if problem.line is not None else problem.item_id or problem.value
        value = _shortened(problem.value)
        parts.append(f"{where} '{value}'" if value and problem.value != where else where)
    more = f" and {len(problems) - most} more" if len(problems) > most else ""
    return f"{', '.join(parts)}{more}"


def _shortened(value: str) -> str:
    """The beginning of a long value, or the end of a long path."""
    if len(value) <= _MAX_VALUE_LENGTH:
        return value
    return f"...{value[-_MAX_VALUE_LENGTH:]}" if "/" in value else f"{value[:_MAX_VALUE_LENGTH]}..."


_REASONS = 3
_AS_THEY_ARE = DataSettings()


@dataclass(frozen=True, slots=True)
class CatalogueJob:
    """Folder and options of a change to a catalogue.

    Attributes:
        folder: Of the catalogue.
        command: The command line, for the manifest.
        progress: Shows progress under a label.
        data: Settings for reading a source.
        save_every: Photos between two saves of embeddings.
        may_shrink: Whether a feed may remove more than half of the items.
    """

    folder: Path
    command: str
    progress: Callable[[str], AbstractContextManager[Progress]]
    data: DataSettings = _AS_THEY_ARE
    save_every: int = SAVE_EVERY
    may_shrink: bool = False


def info_of(folder: Path) -> CatalogueInfo:
    """Description of a finished catalogue.

    Raises:
        ArtifactError: If it isn't one, or its database is damaged.
    """
    with Catalogue.open(folder) as index:
        return index.info


@contextmanager
def manifest_last(job: CatalogueJob, info: CatalogueInfo) -> Iterator[None]:
    """Write the manifest once the block ends without an error; until then the previous one stays."""
    started = time.monotonic()
    yield
    settings = {"describe": info.describe.model_dump(mode="json"), "prompt": info.prompt.model_dump(mode="json")}
    inputs = {"source": info.source, "encoder": info.encoder[1], "vocabulary": info.vocabulary}
    write_manifest(job.folder, Record(job.command, settings, inputs=inputs), started)


def check_out(folder: Path, source: str) -> None:
    """Refuse a folder with anything but a finished or unfinished catalogue of this source."""
    if (folder / RUN_FILE).exists():
        raise ArtifactError(f"{folder} holds a run of coordi; choose another --out")
    if str(folder.resolve()) == source:
        raise ArtifactError(f"--out {folder} is the folder of the data; choose another --out, so that they don't mix")
    if is_finished(folder):
        check_is_catalogue(folder)
        built_from = info_of(folder).source
    elif (folder / INFO_FILE).is_file():
        built_from = read_info_file(folder).source
    else:
        names = (
            sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
        )
        if names and names != [PROBLEMS_FILE]:
            more = ", ..." if len(names) > 3 else ""
            raise ArtifactError(
                f"{folder} isn't a catalogue and holds other files ({', '.join(names[:3])}{more}); choose an empty or "
                "new folder with --out"
            )
        return
    if built_from != source:
        raise ArtifactError(
            f"{folder} is a catalogue of {built_from}, not of {source}; choose another --out, or add this source with "
            f"coordi catalogue add {folder} {source}, or replace that one with coordi catalogue refresh {folder} "
            f"{source}"
        )


def refuse(feed: Feed, problems: Sequence[RowProblem], job: CatalogueJob) -> NoReturn:
    """Raise the error for a feed without any usable row."""
    write_problems(job.folder, problems)
    reasons = [f"{len(rows)} times: {reason}" for reason, rows in by_reason(problems).items()]
    reasons += [f"{row.count} times: {row.reason}" for row in feed.left_out]
    raise DataError(
        f"nothing of {feed.source} can go into a catalogue: {'; '.join(reasons[:_REASONS]) or 'it holds no items'}; "
        f"every problem is in {job.folder / PROBLEMS_FILE}"
    )


_AT_ONCE = 512
_READERS = 4


@dataclass(frozen=True)
class DescriptionPipeline:
    """The encoder, vocabulary and settings that describe a catalogue.

    Attributes:
        describe: Names the encoder and the vocabulary.
        prompt: Settings of item texts.
    """

    describe: DescribeSettings
    prompt: PromptSettings
    encoder: ImageTextEncoder
    vocabulary: Vocabulary

    @classmethod
    def of(cls, describe: DescribeSettings, prompt: PromptSettings) -> DescriptionPipeline:
        """Load the encoder and the vocabulary that the settings name.

        Raises:
            EncoderError: If there is no such encoder.
            ConfigError: If there is no such vocabulary.
        """
        return cls(describe, prompt, load_settled_encoder(describe), load_vocabulary(describe.vocabulary))

    @cached_property
    def labeller(self) -> Labeller:
        """Finds the labels of embeddings."""
        return Labeller(self.encoder, self.vocabulary)

    def info(self, name: str, source: str, changed_at: str = "") -> CatalogueInfo:
        """Description of a catalogue that is made with these."""
        return CatalogueInfo(
            name=name,
            source=source,
            encoder=(self.encoder.name, self.encoder.identity),
            text_encoder=text_encoder().text_identity,
            describe=self.describe,
            prompt=self.prompt,
            vocabulary=hashlib.sha256(self.vocabulary.model_dump_json().encode()).hexdigest(),
            photo_dimension=self.encoder.dimension,
            text_dimension=text_encoder().dimension,
            changed_at=changed_at,
        )


class RowDescriber:
    """Describes the rows of a feed; embeddings are cached by the photos' content.

    Attributes:
        problems: Of the rows described so far.
        encoded: Number of photos that weren't in the cache.
    """

    def __init__(self, pipeline: DescriptionPipeline, cache: EmbeddingCache) -> None:
        self._pipeline = pipeline
        self._cache = cache
        self._digests: dict[str, bytes] = {}
        self.problems: list[RowProblem] = []
        self.encoded = 0

    def encode_photos(self, rows: Sequence[FeedRow], progress: Progress = no_progress) -> None:
        """Encode all photos into the cache; those that can't be opened become problems.

        Args:
            rows: To be described.
            progress: Called with the number of photos.
        """
        items = [row.item for row in rows if row.item.image is not None]
        result = encode_photos(items, self._pipeline.encoder, self._cache, self._pipeline.describe.batch_size, progress)
        self.encoded += result.encoded
        digests = zip(items, result.digests, strict=True)
        self._digests |= {item.id: digest for item, digest in digests if digest is not None}
        by_id = {row.item.id: row for row in rows}
        for photo in result.unreadable:
            row = by_id[photo.item_id]
            is_usable = bool(row.item.title) and row.item.category is not None
            reason = (
                f"{photo.kind}: kept for its title" if is_usable else f"{photo.kind}, and no words that tell what it is"
            )
            self.problems.append(RowProblem(reason, photo.item_id, row.line, str(row.item.image), is_usable))

    def described(
        self, rows: Sequence[tuple[int, FeedRow]], progress: Progress = no_progress
    ) -> Iterator[list[CatalogueRow]]:
        """Yield the catalogue rows of encoded feed rows in batches; rows that can't go in become problems.

        Args:
            rows: With their positions in the catalogue.
            progress: Called with the number of rows.
        """
        for start in range(0, len(rows), _AT_ONCE):
            yield self._part(rows[start : start + _AT_ONCE])
            progress(min(start + _AT_ONCE, len(rows)), len(rows))

    def _part(self, rows: Sequence[tuple[int, FeedRow]]) -> list[CatalogueRow]:
        digests = self._digests
        ids = [row.item.id for _, row in rows if row.item.id in digests]
        vectors = self._cache.vectors([digests[name] for name in ids])  # (B, D)
        descriptions = self._pipeline.labeller.descriptions(ids, vectors)
        by_item = {entry.item_id: entry for entry in descriptions}
        categories = dict(zip(ids, self._pipeline.labeller.categories(descriptions, vectors), strict=True))
        items: list[Item] = []
        sources: dict[str, tuple[int, FeedRow]] = {}
        for position, row in rows:
            item = self._settled(row, categories.get(row.item.id), has_photo=row.item.id in digests)
            if item is not None:
                items.append(item)
                sources[item.id] = position, row
        by_id: dict[str, NDArray[np.float32]] = dict(zip(ids, vectors, strict=True))
        described = describe_items(
            items, by_item, by_id, self._pipeline.prompt, self._pipeline.vocabulary, text_encoder()
        )
        return [
            CatalogueRow(
                sources[entry.id][0], entry, sources[entry.id][1].hash, _digest(sources[entry.id][1].item, digests)
            )
            for entry in described
        ]

    def _settled(self, row: FeedRow, photo_category: GarmentCategory | None, *, has_photo: bool) -> Item | None:
        """The item with its category and without an unreadable photo; None if it can't go in."""
        item = row.item if has_photo else replace(row.item, image=None)
        if item.category is None:
            if not has_photo:
                return None  # encode_photos reported it
            if photo_category is None:
                self.problems.append(RowProblem(NO_CATEGORY, item.id, row.line, item.title))
                return None
            return replace(item, category=photo_category)
        return item if has_photo or item.title else None


def photo_hash(path: Path | None) -> bytes:
    """SHA-256 of a photo's bytes; empty if they can't be read."""
    if path is None:
        return b""
    try:
        return hashlib.sha256(photo_bytes(path)).digest()
    except PhotoError:
        return b""


def photo_hashes(rows: Sequence[FeedRow], progress: Progress = no_progress) -> list[bytes]:
    """``photo_hash`` of each row's photo, read by several threads."""
    hashes: list[bytes] = []
    with ThreadPoolExecutor(_READERS, thread_name_prefix="hash") as pool:
        for digest in pool.map(lambda row: photo_hash(row.item.image), rows):
            hashes.append(digest)
            progress(len(hashes), len(rows))
    return hashes


def _digest(item: Item, digests: dict[str, bytes]) -> bytes:
    return digests[item.id] if item.id in digests else photo_hash(item.image)


_MANY = 10
"""Fewer items may be removed without ``may_shrink``."""


@dataclass(frozen=True, slots=True)
class BuildResult:
    """Numbers of items after a change to a catalogue.

    Attributes:
        items: In the catalogue now.
        added: New items.
        changed: Items whose row or photo changed.
        removed: Items that are gone.
        unchanged: All other items.
        encoded: Photos that weren't in the cache.
        problems: Of the rows and photos that were read.
        left_out: Counts of what the reader of a release left out.
    """

    items: int
    added: int
    changed: int
    removed: int
    unchanged: int
    encoded: int = 0
    problems: tuple[RowProblem, ...] = ()
    left_out: tuple[FunnelRow, ...] = ()


def build_catalogue(source: Path | str, pipeline: DescriptionPipeline, job: CatalogueJob) -> BuildResult:
    """Build a catalogue from a source, or update the one that was built from it.

    After an interruption the same call resumes: embeddings are cached as they are computed.

    Raises:
        DataError: If the source can't be read, or has no usable row.
        ArtifactError: If the folder contains something else, or a catalogue of another source or encoder.
    """
    built_from = source_of(source, job.data)
    check_out(job.folder, built_from)
    with lock_folder(job.folder):
        check_out(job.folder, built_from)  # another process may have begun since
        if is_finished(job.folder):
            return _bring_up_to_date(source, pipeline, job, gone=True)
        feed = read_feed(source, job.data)
        write_json(job.folder / INFO_FILE, pipeline.info(feed.name, feed.source).model_dump(mode="json", by_alias=True))
        return _update(feed, {}, pipeline, job, gone=False)


def add_to_catalogue(source: Path | str, job: CatalogueJob) -> BuildResult:
    """Add the rows of a source; an item whose id is in the catalogue is replaced.

    Raises:
        DataError: If the source can't be read, or has no usable row.
        ArtifactError: If the folder isn't a catalogue, or its encoder or vocabulary has changed.
    """
    return _change(source, job, gone=False)


def refresh_catalogue(source: Path | str | None, job: CatalogueJob) -> BuildResult:
    """Make a catalogue equal to a feed: add new items, describe changed ones again, remove the others.

    Args:
        source: The feed; None for the one that the catalogue was built from.
        job: Folder of the catalogue.

    Raises:
        DataError: If the source can't be read, or has no usable row.
        ArtifactError: If the folder isn't a catalogue, or its encoder or vocabulary has changed.
    """
    return _change(source, job, gone=True)


def remove_from_catalogue(ids: Sequence[str], job: CatalogueJob) -> BuildResult:
    """Remove items; if an id is unknown, none is removed.

    Raises:
        RecommendationError: If an id is unknown, with near ones, or nothing would be left.
        ArtifactError: If the folder isn't a catalogue.
    """
    check_is_catalogue(job.folder)
    with lock_folder(job.folder):
        stored = stored_rows(job.folder)
        info = info_of(job.folder).model_copy(update={"changed_at": _now()})
        for item_id in ids:
            if item_id not in stored:
                with Catalogue.open(job.folder) as index:
                    near = ", ".join(f"'{near_id}'" for near_id in index.near_ids(item_id))
                raise RecommendationError(
                    f"no item '{item_id}' in the catalogue {job.folder}, so nothing was removed: its nearest ids are "
                    f"{near}"
                )
        remaining = {name: row.position for name, row in stored.items() if name not in set(ids)}
        if not remaining:
            raise RecommendationError(
                f"that would remove all {len(stored)} items of {job.folder}; to be rid of it, delete the folder"
            )
        with manifest_last(job, info), writing_catalogue(job.folder, info) as writer:
            writer.keep(remaining)
            _finish(writer, info, job)
    return BuildResult(len(remaining), 0, 0, len(stored) - len(remaining), len(remaining))


def _change(source: Path | str | None, job: CatalogueJob, *, gone: bool) -> BuildResult:
    check_is_catalogue(job.folder)
    with lock_folder(job.folder):
        info = info_of(job.folder)
        pipeline = DescriptionPipeline.of(info.describe, info.prompt)
        return _bring_up_to_date(info.source if source is None else source, pipeline, job, gone=gone)


def _bring_up_to_date(
    source: Path | str, pipeline: DescriptionPipeline, job: CatalogueJob, *, gone: bool
) -> BuildResult:
    stored, info = stored_rows(job.folder), info_of(job.folder)
    check_fits(job.folder, info, pipeline.info(info.name, info.source))
    return _update(read_feed(source, job.data), stored, pipeline, job, gone=gone)


def _update(
    feed: Feed, stored: Mapping[str, StoredRow], pipeline: DescriptionPipeline, job: CatalogueJob, *, gone: bool
) -> BuildResult:
    """Describe new and changed items, and write them with the unchanged ones.

    Args:
        feed: Rows to add.
        stored: Rows of the catalogue; empty for a new one.
        pipeline: Describes items.
        job: Folder and options.
        gone: Whether items that the feed doesn't contain are removed.
    """
    if not feed.rows:
        refuse(feed, feed.problems, job)
    if gone:
        _check_not_cut(feed, stored, job)
    info = _info_after(feed, stored, pipeline, job, gone=gone)
    changed, unopened = _to_look_at(feed.rows, stored, job)
    places = _places(feed.rows, stored, gone=gone)
    with (
        manifest_last(job, info),
        EmbeddingCache.of(pipeline.encoder, job.save_every) as cache,
        writing_catalogue(job.folder, info) as writer,
    ):
        describer = RowDescriber(pipeline, cache)
        rows = [(places[row.item.id], row) for row in feed.rows if row.item.id in changed | unopened]
        staged = _stage(describer, rows, unopened, writer, job)
        left = changed if gone else staged  # an unusable row removes its old item only in a refresh
        remaining = {name: places[name] for name in stored if name in places and name not in left}
        problems = (*feed.problems, *describer.problems)
        if not staged and not remaining:
            refuse(feed, problems, job)
        write_problems(job.folder, problems)
        moved = bool(stored) and info.source != info_of(job.folder).source
        if staged or moved or len(remaining) < len(stored):
            writer.keep(remaining)
            _finish(writer, info, job)
    before = len(staged & stored.keys())
    return BuildResult(
        items=len(remaining) + len(staged),
        added=len(staged) - before,
        changed=before,
        removed=len(stored) - len(remaining) - before,
        unchanged=len(remaining),
        encoded=describer.encoded,
        problems=problems,
        left_out=feed.left_out,
    )


def _check_not_cut(feed: Feed, stored: Mapping[str, StoredRow], job: CatalogueJob) -> None:
    """Refuse a feed that would remove more than half of a catalogue: it may be cut short."""
    ids = {row.item.id for row in feed.rows}
    lost = sum(name not in ids for name in stored)
    if lost >= _MANY and 2 * lost > len(stored) and not job.may_shrink:
        raise DataError(
            f"{lost} of the {len(stored)} items in {job.folder} aren't in this source any more, so it may be cut "
            "short, or another one; nothing was changed. If that is right, run the same command with --may-shrink"
        )


def _to_look_at(
    rows: Sequence[FeedRow], stored: Mapping[str, StoredRow], job: CatalogueJob
) -> tuple[set[str], set[str]]:
    """Ids of new or changed rows, and of others whose photo was unreadable and is reported again."""
    if not stored:
        return {row.item.id for row in rows}, set()
    with job.progress("comparing photos") as progress:
        hashes = photo_hashes(rows, progress)
    changed, unopened = set(), set()
    for row, photo in zip(rows, hashes, strict=True):
        old = stored.get(row.item.id)
        if old is None or (old.row_hash, old.photo_hash) != (row.hash, photo):
            changed.add(row.item.id)
        elif row.item.image is not None and not old.has_photo:
            unopened.add(row.item.id)
    return changed, unopened


def _places(rows: Sequence[FeedRow], stored: Mapping[str, StoredRow], *, gone: bool) -> dict[str, int]:
    """Positions by id in the source's order; new items of an addition come after the stored ones."""
    if gone or not stored:
        return {row.item.id: position for position, row in enumerate(rows)}
    places = {name: row.position for name, row in stored.items()}
    after = max(places.values()) + 1
    return places | {row.item.id: after + n for n, row in enumerate(rows) if row.item.id not in places}


def _stage(
    describer: RowDescriber,
    rows: Sequence[tuple[int, FeedRow]],
    unopened: Collection[str],
    writer: CatalogueWriter,
    job: CatalogueJob,
) -> set[str]:
    """Describe rows and hand them to the writer; return the ids of new and changed items."""
    staged: set[str] = set()
    if not rows:
        return staged
    with job.progress("describing photos") as progress:
        describer.encode_photos([row for _, row in rows], progress)
    with job.progress("writing items") as progress:
        for part in describer.described(rows, progress):
            new = [row for row in part if row.item.id not in unopened]
            writer.add(new)
            staged.update(row.item.id for row in new)
    return staged


def _finish(writer: CatalogueWriter, info: CatalogueInfo, job: CatalogueJob) -> None:
    writer.finish(info)
    write_json(job.folder / INFO_FILE, info.model_dump(mode="json", by_alias=True))


def _info_after(
    feed: Feed, stored: Mapping[str, StoredRow], pipeline: DescriptionPipeline, job: CatalogueJob, *, gone: bool
) -> CatalogueInfo:
    """Description of the catalogue after the change; a refresh changes its source."""
    if gone or not stored:
        return pipeline.info(feed.name, feed.source, _now())
    before = info_of(job.folder)
    return pipeline.info(before.name, before.source, _now())


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
