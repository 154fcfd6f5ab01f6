"""Builds a catalogue from a source and keeps it up to date."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
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
    write_manifest,
    write_text,
)
from coordi.config import DataSettings, DescribeSettings, FeedSettings, PromptSettings
from coordi.data.categories import NO_GARMENT
from coordi.data.loading import located, read_source
from coordi.data.photos import OUTSIDE, PhotoError, photo_bytes
from coordi.data.source import RowProblem, SourceItem, clean_title
from coordi.encoders.base import ImageTextEncoder, load_settled_encoder
from coordi.encoders.labels import SEVERAL_GARMENTS, Labeller, Vocabulary, load_vocabulary, shows
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
    write_info_file,
    writing_catalogue,
)
from coordi.recommend.items import describe_items, not_understood
from coordi.style.words import style_identity
from coordi.types import FunnelRow, GarmentCategory, Item

PROBLEMS_FILE = "problems.jsonl"
MAX_TITLE_LENGTH = 2000  # letters; a prompt has room for a dozen words
LONG_TITLE = f"title longer than {MAX_TITLE_LENGTH:,} letters: cut"
MAX_ID_LENGTH = 200  # what a rule may name
NOT_CLOTHES = "nobody wears it to be seen (rugs, lipstick, underwear, ...)"
NOTHING_TO_GO_BY = "no title and no photo"
SEVERAL = "photo shows several garments: taken for one by the photo; name it in words, or give a photo of it alone"
NO_CATEGORY = "neither its words nor a photo tell its category"
NO_PHOTO_NAMED = "no photo named: kept for its title"
BAD_ID = f"id longer than {MAX_ID_LENGTH} characters, or with characters that can't be written or seen"
NOT_UNDERSTOOD = "{} isn't a known word: kept as unknown"
REPAIRED = "title in a wrong encoding: repaired"
_MAX_VALUE_LENGTH = 40
_LISTED = frozenset({"catalogue", "photos", "sample"})  # layouts whose readers list every problem


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A row of a source that can go into a catalogue, its line in a table, and the hash of its columns."""

    item: Item
    line: int | None
    hash: bytes

    def problem(self, reason: str, value: str, *, usable: bool = False) -> RowProblem:
        """A problem with this row."""
        return RowProblem(reason, self.item.id, self.line, value, usable)


@dataclass(frozen=True, slots=True)
class Feed:
    """The rows of a source that can go into a catalogue, in the source's order, with unique ids. ``problems`` are those
    of rows, before photos are opened; ``left_out`` counts what the reader of a release left out; ``about`` says what
    was recognised.
    """

    name: str
    source: str
    rows: tuple[FeedRow, ...]
    problems: tuple[RowProblem, ...]
    left_out: tuple[FunnelRow, ...] = ()
    about: str = ""


def source_of(path: Path | str, settings: DataSettings) -> str:
    """The resolved path of a source, by which a catalogue names it."""
    resolved = located(path, settings)
    if not resolved.exists():
        raise DataError(
            f"there is no file or folder at {resolved}; accepted are a .csv, .jsonl or .parquet table, a shop's export "
            "(.csv, .tsv, .txt, .json, .xml), a folder with one, a folder of photos, a Polyvore release, or 'sample'"
        )
    return str(resolved.resolve())


def read_feed(path: Path | str, settings: DataSettings) -> Feed:
    """Read a source for a catalogue; photos aren't opened yet."""
    source = read_source(located(path, settings), settings)
    rows: list[FeedRow] = []
    problems = list(source.problems)
    some_photos = any(item.image is not None for item in source.items)
    for item in source.items:
        title = clean_title(item.title)
        row = FeedRow(_item(item, title.text[:MAX_TITLE_LENGTH]), source.lines.get(item.id), _hash(item))
        refusal = _refusal(item, title.text)
        if refusal:
            problems.append(row.problem(refusal, item.subcategory or title.text))
            continue
        rows.append(row)
        if len(title.text) > MAX_TITLE_LENGTH:
            problems.append(row.problem(LONG_TITLE, title.text[:_MAX_VALUE_LENGTH], usable=True))
        if title.repaired:
            problems.append(row.problem(REPAIRED, title.text, usable=True))
        if item.image is None and item.why_no_photo == OUTSIDE:
            photos = item.extra.get("photos", "").partition(" ")[0]
            problems.append(row.problem(f"{OUTSIDE}: kept for its title", photos, usable=True))
        elif item.image is None and some_photos:
            problems.append(row.problem(NO_PHOTO_NAMED, "", usable=True))
        unknown = not_understood(row.item)
        problems += [row.problem(NOT_UNDERSTOOD.format(what), value, usable=True) for what, value in unknown]
    is_listed = source.layout in _LISTED
    left_out = [row for row in source.funnel.rows if row.dropped and row.unit == "items" and not is_listed]
    return Feed(source.name, source_of(path, settings), tuple(rows), tuple(problems), tuple(left_out), source.about)


def _refusal(item: SourceItem, title: str) -> str:
    if len(item.id) > MAX_ID_LENGTH or _text(item.id) != item.id or not item.id.isprintable():
        return BAD_ID
    if item.category == NO_GARMENT:
        return NOT_CLOTHES
    if item.image is None and not title:
        return NOTHING_TO_GO_BY
    return NO_CATEGORY if item.image is None and item.category is None else ""


def _item(item: SourceItem, title: str) -> Item:
    category = cast("GarmentCategory | None", item.category)
    image = None if item.image is None else item.image.absolute()
    extra = {_text(name): _text(value) for name, value in item.extra.items()}
    return Item(item.id, _text(title), category, _text(item.subcategory), image, item.price, extra)


def _hash(item: SourceItem) -> bytes:
    image = None if item.image is None else str(item.image.absolute())
    values = [item.id, item.title, item.category, item.subcategory, image, item.price, sorted(item.extra.items())]
    return hashlib.sha256(json.dumps(values).encode()).digest()


def _text(text: str) -> str:
    """Text that can be written as UTF-8: JSON may contain halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()


def write_problems(folder: Path, problems: Iterable[RowProblem]) -> None:
    """Write one JSON object per problem into the folder, in the order of the source's lines."""
    ordered = sorted(problems, key=lambda problem: (problem.line or 0, problem.item_id, problem.reason))
    lines = [json.dumps(problem.as_json(), ensure_ascii=False) for problem in ordered]
    write_text(folder / PROBLEMS_FILE, _text("".join(f"{line}\n" for line in lines)))


def read_problems(folder: Path) -> list[RowProblem]:
    """The problems that ``write_problems`` wrote; none where there is no such file."""
    path = folder / PROBLEMS_FILE
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
        return [RowProblem(row["reason"], row["item_id"], row["line"], row["value"], row["kept"]) for row in rows]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ArtifactError(f"{path} can't be read ({error}); coordi catalogue refresh writes it again") from error


def by_reason(problems: Iterable[RowProblem]) -> dict[str, list[RowProblem]]:
    """Problems by reason: errors before warnings, then the most frequent first."""
    groups: dict[str, list[RowProblem]] = {}
    for problem in problems:
        groups.setdefault(problem.reason, []).append(problem)
    return dict(sorted(groups.items(), key=lambda entry: (entry[1][0].usable, -len(entry[1]))))


def examples(problems: Sequence[RowProblem], most: int) -> str:
    """The first few of some problems, such as ``"line 3 'abc', line 9 and 4 more"``."""
    parts = []
    for problem in problems[:most]:
        where = f"line {problem.line}" if problem.line is not None else problem.item_id or problem.value
        value = problem.value
        if len(value) > _MAX_VALUE_LENGTH:  # the end of a path says more than its beginning
            value = f"...{value[-_MAX_VALUE_LENGTH:]}" if "/" in value else f"{value[:_MAX_VALUE_LENGTH]}..."
        parts.append(f"{where} '{value}'" if value and problem.value != where else where)
    more = f" and {len(problems) - most} more" if len(problems) > most else ""
    return f"{', '.join(parts)}{more}"


_AS_THEY_ARE = DataSettings()


@dataclass(frozen=True, slots=True)
class CatalogueJob:
    """Folder and options of a change. ``save_every`` is in photos; ``may_shrink`` allows removing over half."""

    folder: Path
    command: str
    progress: Callable[[str], AbstractContextManager[Progress]]
    data: DataSettings = _AS_THEY_ARE
    save_every: int = SAVE_EVERY
    may_shrink: bool = False


def info_of(folder: Path) -> CatalogueInfo:
    """Description of a finished catalogue; an ``ArtifactError`` if it isn't one."""
    with Catalogue.open(folder) as index:
        return index.info


@contextmanager
def changing_catalogue(job: CatalogueJob, info: CatalogueInfo) -> Iterator[CatalogueWriter]:
    """A writer; the manifest is written once the block ends without an error, until then the previous one stays."""
    started = time.monotonic()
    with writing_catalogue(job.folder, info) as writer:
        yield writer
    settings = {"describe": info.describe.model_dump(mode="json"), "prompt": info.prompt.model_dump(mode="json")}
    inputs = {"source": info.source, "encoder": info.encoder[1], "vocabulary": info.vocabulary}
    write_manifest(job.folder, Record(job.command, settings, inputs=inputs), started)


def check_out(folder: Path, source: str) -> None:
    """Refuse a folder with anything but a finished or unfinished catalogue of this source."""
    if (folder / RUN_FILE).exists():
        raise ArtifactError(f"{folder} holds a run of coordi; choose another --out")
    if str(folder.resolve()) == source:
        raise ArtifactError(f"--out {folder} is the folder of the data; choose another --out, so that they don't mix")
    if not (folder / INFO_FILE).is_file() and not is_finished(folder):
        paths = folder.iterdir() if folder.is_dir() else ()
        names = sorted(path.name for path in paths if not path.name.startswith(".") and path.name != PROBLEMS_FILE)
        if names:
            more = ", ..." if len(names) > 3 else ""
            raise ArtifactError(
                f"{folder} isn't a catalogue and holds other files ({', '.join(names[:3])}{more}); choose an empty or "
                "new folder with --out"
            )
        return
    built_from = info_of(folder).source if is_finished(folder) else read_info_file(folder).source
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
        f"nothing of {feed.source} can go into a catalogue: {'; '.join(reasons[:3]) or 'it holds no items'}; "
        f"every problem is in {job.folder / PROBLEMS_FILE}"
    )


_AT_ONCE = 512


@dataclass(frozen=True)
class DescriptionPipeline:
    """The encoder, vocabulary and settings that describe a catalogue."""

    describe: DescribeSettings
    prompt: PromptSettings
    encoder: ImageTextEncoder
    vocabulary: Vocabulary

    @classmethod
    def of(cls, describe: DescribeSettings, prompt: PromptSettings) -> DescriptionPipeline:
        """Load the encoder and the vocabulary that the settings name."""
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
            style=style_identity(),
            photo_dimension=self.encoder.dimension,
            text_dimension=text_encoder().dimension,
            changed_at=changed_at,
        )


def describe_rows(
    rows: Sequence[FeedRow], digests: Mapping[str, bytes], pipeline: DescriptionPipeline, cache: EmbeddingCache
) -> tuple[list[Item], list[RowProblem]]:
    """Described items of the rows that can go in, and problems of others; ``digests`` are keys in the cache by id."""
    ids = [row.item.id for row in rows if row.item.id in digests]
    vectors = cache.vectors([digests[name] for name in ids])  # (B, D)
    descriptions = pipeline.labeller.descriptions(ids, vectors)
    categories = dict(zip(ids, pipeline.labeller.categories(descriptions, vectors), strict=True))
    by_item = {entry.item_id: entry for entry in descriptions}
    items: list[Item] = []
    problems: list[RowProblem] = []
    for row in rows:
        item = row.item if row.item.id in digests else replace(row.item, image=None)
        if item.category is None and item.image is not None:
            item = replace(item, category=categories[item.id])
            if item.category is None:
                problems.append(row.problem(NO_CATEGORY, item.title))
            elif shows(by_item[item.id].attributes, SEVERAL_GARMENTS):
                problems.append(row.problem(SEVERAL, item.category, usable=True))
        if item.category is not None and (item.image is not None or item.title):
            items.append(item)
    photos: dict[str, NDArray[np.float32]] = dict(zip(ids, vectors, strict=True))
    described = describe_items(items, by_item, photos, pipeline.prompt, pipeline.vocabulary, text_encoder())
    return described, problems


def photo_hashes(rows: Sequence[FeedRow], progress: Progress = no_progress) -> list[bytes]:
    """SHA-256 of the bytes of each row's photo, read by several threads; empty if they can't be read."""

    def photo_hash(row: FeedRow) -> bytes:
        with suppress(PhotoError):
            return hashlib.sha256(photo_bytes(row.item.image)).digest() if row.item.image is not None else b""
        return b""

    hashes: list[bytes] = []
    with ThreadPoolExecutor(4, thread_name_prefix="hash") as pool:
        for digest in pool.map(photo_hash, rows):
            hashes.append(digest)
            progress(len(hashes), len(rows))
    return hashes


_MANY = 10
"""Fewer items may be removed without ``may_shrink``."""


@dataclass(frozen=True, slots=True)
class BuildResult:
    """Numbers of items after a change to a catalogue, of photos that weren't in the cache, problems, and the source."""

    items: int
    added: int
    changed: int
    removed: int
    unchanged: int
    encoded: int = 0
    problems: tuple[RowProblem, ...] = ()
    left_out: tuple[FunnelRow, ...] = ()
    about: str = ""


def build_catalogue(source: Path | str, pipeline: DescriptionPipeline, job: CatalogueJob) -> BuildResult:
    """Build a catalogue from a source, or update the one that was built from it; the same call resumes. A ``DataError``
    if the source has no usable row, an ``ArtifactError`` if the folder contains something else.
    """
    built_from = source_of(source, job.data)
    check_out(job.folder, built_from)
    with lock_folder(job.folder):
        check_out(job.folder, built_from)  # another process may have begun since
        if is_finished(job.folder):
            return _change(source, pipeline, job, gone=True)
        feed = read_feed(source, job.data)
        info = pipeline.info(feed.name, feed.source)
        write_info_file(job.folder, info.model_copy(update={"feed": job.data.feed}))
        return _update(feed, {}, pipeline, job, gone=False)


def add_to_catalogue(source: Path | str, job: CatalogueJob) -> BuildResult:
    """Add the rows of a source; an item whose id is in the catalogue is replaced. Errors as ``build_catalogue``."""
    check_is_catalogue(job.folder)
    with lock_folder(job.folder):
        return _change(source, None, job, gone=False)


def refresh_catalogue(source: Path | str | None, job: CatalogueJob) -> BuildResult:
    """Make a catalogue equal to a feed, by default what it was built from: add items, describe changed ones again,
    remove others. It is read as when it was built, unless the job says how. Errors as ``build_catalogue``, and a
    ``DataError`` if over half would go, unless the job allows it.
    """
    check_is_catalogue(job.folder)
    with lock_folder(job.folder):
        if job.data.feed == FeedSettings():
            job = replace(job, data=job.data.model_copy(update={"feed": info_of(job.folder).feed}))
        return _change(source, None, job, gone=True)


def remove_from_catalogue(ids: Sequence[str], job: CatalogueJob) -> BuildResult:
    """Remove items; an unknown id, or nothing left, is a ``RecommendationError``, and none is removed."""
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
        with changing_catalogue(job, info) as writer:
            writer.finish(remaining)
    return BuildResult(len(remaining), 0, 0, len(stored) - len(remaining), len(remaining))


def _change(
    source: Path | str | None, pipeline: DescriptionPipeline | None, job: CatalogueJob, *, gone: bool
) -> BuildResult:
    """Update a finished catalogue; without a source by its own, without a pipeline by that which built it."""
    info = info_of(job.folder)
    describe = info.describe.model_copy(update={"allow_download": job.data.allow_download})
    pipeline = pipeline or DescriptionPipeline.of(describe, info.prompt)
    check_fits(job.folder, info, pipeline.info(info.name, info.source))
    feed = read_feed(info.source if source is None else source, job.data)
    return _update(feed, stored_rows(job.folder), pipeline, job, gone=gone)


def _update(
    feed: Feed, stored: Mapping[str, StoredRow], pipeline: DescriptionPipeline, job: CatalogueJob, *, gone: bool
) -> BuildResult:
    """Describe new and changed items, and write them with the unchanged ones; ``gone`` removes all others."""
    if not feed.rows:
        refuse(feed, feed.problems, job)
    if gone:
        _check_not_cut(feed, stored, job)
    before = info_of(job.folder) if stored else None
    named_by = feed if before is None or gone else before  # a refresh changes the source of a catalogue
    read_as = job.data.feed if before is None or gone else before.feed
    info = pipeline.info(named_by.name, named_by.source, _now()).model_copy(update={"feed": read_as})
    changed, retried = _to_describe(feed.rows, stored, job)
    described = changed | retried
    positions = _positions(feed.rows, stored, gone=gone)
    with changing_catalogue(job, info) as writer, EmbeddingCache.of(pipeline.encoder, job.save_every) as cache:
        rows = [row for row in feed.rows if row.item.id in described]
        staging = _Staging(pipeline, cache, writer, job)
        staged = staging.run(rows, retried, positions)
        left = staged | changed if gone else staged  # an unusable row removes its old item only in a refresh
        remaining = {name: positions[name] for name in stored if name in positions and name not in left}
        problems = (*feed.problems, *staging.problems)
        if not staged and not remaining:
            refuse(feed, problems, job)
        write_problems(job.folder, problems)
        has_moved = before is not None and (before.source, before.feed) != (info.source, info.feed)
        if staged or len(remaining) < len(stored) or has_moved:
            writer.finish(remaining)
    replaced = len(staged & stored.keys())
    return BuildResult(
        items=len(remaining) + len(staged),
        added=len(staged) - replaced,
        changed=replaced,
        removed=len(stored) - len(remaining) - replaced,
        unchanged=len(remaining),
        encoded=staging.encoded,
        problems=problems,
        left_out=feed.left_out,
        about=feed.about,
    )


def _check_not_cut(feed: Feed, stored: Mapping[str, StoredRow], job: CatalogueJob) -> None:
    ids = {row.item.id for row in feed.rows}
    lost = sum(name not in ids for name in stored)
    if lost >= _MANY and 2 * lost > len(stored) and not job.may_shrink:
        raise DataError(
            f"{lost} of the {len(stored)} items in {job.folder} aren't in this source any more, so it may be cut "
            "short, or another one; nothing was changed. If that is right, run the same command with --may-shrink"
        )


def _to_describe(
    rows: Sequence[FeedRow], stored: Mapping[str, StoredRow], job: CatalogueJob
) -> tuple[set[str], set[str]]:
    """Ids of new or changed rows, and of others whose photo was unreadable and is tried again."""
    if not stored:
        return {row.item.id for row in rows}, set()
    with job.progress("comparing photos") as progress:
        hashes = photo_hashes(rows, progress)
    changed, retried = set(), set()
    for row, photo in zip(rows, hashes, strict=True):
        old = stored.get(row.item.id)
        if old is None or old.row_hash != row.hash or (old.has_photo and old.photo_hash != photo):
            changed.add(row.item.id)
        elif row.item.image is not None and not old.has_photo:
            retried.add(row.item.id)
    return changed, retried


def _positions(rows: Sequence[FeedRow], stored: Mapping[str, StoredRow], *, gone: bool) -> dict[str, int]:
    """Positions by id in the source's order; new items of an addition come after the stored ones."""
    if gone or not stored:
        return {row.item.id: position for position, row in enumerate(rows)}
    positions = {name: row.position for name, row in stored.items()}
    after = max(positions.values()) + 1
    return {row.item.id: after + n for n, row in enumerate(rows)} | positions


@dataclass(eq=False)
class _Staging:
    pipeline: DescriptionPipeline
    cache: EmbeddingCache
    writer: CatalogueWriter
    job: CatalogueJob
    problems: list[RowProblem] = field(default_factory=list)
    encoded: int = 0

    def run(self, rows: Sequence[FeedRow], retried: Collection[str], positions: Mapping[str, int]) -> set[str]:
        """Stage rows, of the retried ones those whose photo is readable now; return the ids of the staged items."""
        staged: set[str] = set()
        if not rows:
            return staged
        by_id = {row.item.id: row for row in rows}
        digests = self._encode(by_id)
        usable = [row for row in rows if row.item.id in digests or row.item.id not in retried]
        with self.job.progress("writing items") as progress:
            for start in range(0, len(usable), _AT_ONCE):
                items, problems = describe_rows(usable[start : start + _AT_ONCE], digests, self.pipeline, self.cache)
                self.problems += problems
                self.writer.add(
                    [
                        CatalogueRow(positions[item.id], item, by_id[item.id].hash, digests.get(item.id, b""))
                        for item in items
                    ]
                )
                staged.update(item.id for item in items)
                progress(min(start + _AT_ONCE, len(usable)), len(usable))
        return staged

    def _encode(self, rows: Mapping[str, FeedRow]) -> dict[str, bytes]:
        """Encode all photos into the cache; return their keys by item id. Unreadable photos become problems."""
        items = [row.item for row in rows.values() if row.item.image is not None]
        with self.job.progress("describing photos") as progress:
            batch_size = self.pipeline.describe.batch_size
            photos = encode_photos(items, self.pipeline.encoder, self.cache, batch_size, progress)
        self.encoded = photos.encoded
        for photo in photos.unreadable:
            row = rows[photo.item_id]
            is_usable = bool(row.item.title) and row.item.category is not None
            use = ": kept for its title" if is_usable else ", and no words that tell what it is"
            self.problems.append(row.problem(f"{photo.kind}{use}", str(row.item.image), usable=is_usable))
        return {item.id: digest for item, digest in zip(items, photos.digests, strict=True) if digest is not None}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
