"""Builds a catalogue from a source and keeps it up to date."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
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
from coordi.data.categories import NOT_WORN
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
LONGEST_ID = 200  # what a rule may name
NOT_WORN_BY_ANYBODY = "nobody wears it to be seen (rugs, lipstick, underwear, ...)"
NOTHING_TO_GO_BY = "no title and no photo"
NO_CATEGORY = "neither its words nor a photo tell its category"
NO_PHOTO_NAMED = "no photo named: kept for its title"
BAD_ID = f"id longer than {LONGEST_ID} characters, or no text that can be written as UTF-8"
NOT_UNDERSTOOD = "{} isn't a known word: kept as unknown"
REPAIRED = "title in a wrong encoding: repaired"
_LONGEST_SHOWN = 40
_LISTED = frozenset({"catalogue", "photos", "sample"})  # layouts whose readers list every problem


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A row that can go into a catalogue.

    Attributes:
        item: Cleaned; its category may be None until its photo is described, and its photo may be unsound.
        line: Of its table; None for what isn't a table.
        hash: Of all that the source says of the item.
    """

    item: Item
    line: int | None
    hash: bytes


@dataclass(frozen=True, slots=True)
class Feed:
    """A source as a catalogue takes it.

    Attributes:
        name: The folder's or file's name.
        source: Its path, resolved, or its name on a hub.
        rows: In the source's order, ids unique.
        problems: Of rows left out and of rows kept, as far as that is known before photos are opened.
        left_out: What a release's reader left out, which is counted and not listed.
    """

    name: str
    source: str
    rows: tuple[FeedRow, ...]
    problems: tuple[RowProblem, ...]
    left_out: tuple[FunnelRow, ...] = field(default=())


def source_of(path: Path | str, settings: DataSettings) -> str:
    """What a catalogue calls a source: its resolved path; it must be there.

    Raises:
        DataError: If there is nothing at the path, or a hub's data set can't be fetched.
    """
    found = located(path, settings)
    if not found.exists():
        raise DataError(
            f"there is no file or folder at {found}; accepted are a .csv, .jsonl or .parquet table, a folder holding "
            "one, a folder of photos, a Polyvore release, or 'sample'"
        )
    return str(found.resolve())


def read_feed(path: Path | str, settings: DataSettings) -> Feed:
    """Read a source for a catalogue; photos aren't opened yet.

    Raises:
        DataError: If it isn't recognised, is broken as a whole or can't be fetched.
    """
    source = read_source(located(path, settings), settings)
    rows: list[FeedRow] = []
    problems = list(source.problems)
    some_photos = any(item.image is not None for item in source.items)
    for item in source.items:
        row, found = _judged(item, source, some_photos=some_photos)
        problems += found
        if row is not None:
            rows.append(row)
    left_out = tuple(row for row in source.funnel.rows if row.dropped and row.unit == "items")
    counted = () if source.layout in _LISTED else left_out
    return Feed(source.name, source_of(path, settings), tuple(rows), tuple(problems), counted)


def write_problems(folder: Path, problems: Iterable[RowProblem]) -> None:
    """Write one JSON object per problem into the folder, those of a table in the order of its lines."""
    ordered = sorted(problems, key=lambda one: (one.line or 0, one.item_id, one.reason))
    lines = [json.dumps(_sound(asdict(one)), ensure_ascii=False) for one in ordered]
    write_text(folder / PROBLEMS_FILE, "".join(f"{line}\n" for line in lines))


def by_reason(problems: Iterable[RowProblem]) -> dict[str, list[RowProblem]]:
    """Problems by reason: of what is left out first, then the most frequent first."""
    found: dict[str, list[RowProblem]] = {}
    for one in problems:
        found.setdefault(one.reason, []).append(one)
    return dict(sorted(found.items(), key=lambda entry: (entry[1][0].kept, -len(entry[1]))))


def _judged(item: SourceItem, source: Source, *, some_photos: bool) -> tuple[FeedRow | None, list[RowProblem]]:
    """The row of an item if it can go in, and what is wrong with it either way."""
    line = source.lines.get(item.id)

    def problem(reason: str, value: str = "", *, kept: bool = False) -> RowProblem:
        return RowProblem(reason, item.id, line, value, kept)

    title = clean_title(item.title)
    if not _is_id(item.id):
        return None, [problem(BAD_ID)]
    if item.category == NOT_WORN:
        return None, [problem(NOT_WORN_BY_ANYBODY, item.subcategory or title.text)]
    if item.image is None and not title.text:
        return None, [problem(NOTHING_TO_GO_BY)]
    if item.image is None and item.category is None:
        return None, [problem(NO_CATEGORY, item.subcategory or title.text)]
    found = []
    if title.repaired:
        found.append(problem(REPAIRED, title.text, kept=True))
    if item.image is None and item.why_no_photo == OUTSIDE:
        found.append(problem(f"{OUTSIDE}: kept for its title", kept=True))
    elif item.image is None and some_photos:
        found.append(problem(NO_PHOTO_NAMED, kept=True))
    cleaned = _item(replace(item, title=title.text))
    found += [problem(NOT_UNDERSTOOD.format(what), value, kept=True) for what, value in not_understood(cleaned)]
    return FeedRow(cleaned, line, _hash(item)), found


def _item(item: SourceItem) -> Item:
    extra = MappingProxyType({_text(name): _text(value) for name, value in item.extra.items()})
    category = cast("GarmentCategory | None", item.category)
    image = None if item.image is None else item.image.absolute()
    return Item(item.id, _text(item.title), category, _text(item.subcategory), image, item.price, extra)


def _hash(item: SourceItem) -> bytes:
    image = None if item.image is None else str(item.image.absolute())
    told = [item.id, item.title, item.category, item.subcategory, image, item.price, sorted(item.extra.items())]
    return hashlib.sha256(json.dumps(told).encode()).digest()


def _is_id(text: str) -> bool:
    return len(text) <= LONGEST_ID and _text(text) == text


def _text(text: str) -> str:
    """Text that can be written as UTF-8: JSON may hold halves of characters."""
    return text.encode("utf-8", "replace").decode()


def _sound(values: Mapping[str, object]) -> dict[str, object]:
    return {name: _text(value) if isinstance(value, str) else value for name, value in values.items()}


def examples(problems: Sequence[RowProblem], most: int) -> str:
    """The first few of some problems, such as ``"line 3 'abc', line 9 and 4 more"``."""
    shown = []
    for one in problems[:most]:
        where = f"line {one.line}" if one.line is not None else one.item_id or one.value
        value = _shortened(one.value)
        shown.append(f"{where} '{value}'" if value and one.value != where else where)
    more = f" and {len(problems) - most} more" if len(problems) > most else ""
    return f"{', '.join(shown)}{more}"


def _shortened(value: str) -> str:
    """A long value's beginning, or of a long path its end."""
    if len(value) <= _LONGEST_SHOWN:
        return value
    return f"...{value[-_LONGEST_SHOWN:]}" if "/" in value else f"{value[:_LONGEST_SHOWN]}..."


_REASONS = 3
_SHOWN = 3
_AS_THEY_ARE = DataSettings()


@dataclass(frozen=True, slots=True)
class CatalogueJob:
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
    with Catalogue.open(folder) as index:
        return index.info


@contextmanager
def manifest_last(work: CatalogueJob, info: CatalogueInfo) -> Iterator[None]:
    """Write the manifest once the block ends without an error; until then an earlier one stays, and its catalogue."""
    started = time.monotonic()
    yield
    settings = {"describe": info.describe.model_dump(mode="json"), "prompt": info.prompt.model_dump(mode="json")}
    inputs = {"source": info.source, "encoder": info.encoder[1], "vocabulary": info.vocabulary}
    write_manifest(work.folder, Record(work.command, settings, inputs=inputs), started)


def check_out(folder: Path, source: str) -> None:
    """Refuse a folder that holds something else than a catalogue of this source, finished or begun."""
    if (folder / RUN_FILE).exists():
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


def refuse(feed: Feed, problems: Sequence[RowProblem], work: CatalogueJob) -> NoReturn:
    """Say that nothing of a feed can go into a catalogue, and why."""
    write_problems(work.folder, problems)
    reasons = [f"{len(rows)} times: {reason}" for reason, rows in by_reason(problems).items()]
    reasons += [f"{row.count} times: {row.reason}" for row in feed.left_out]
    raise DataError(
        f"nothing of {feed.source} can go into a catalogue: {'; '.join(reasons[:_REASONS]) or 'it holds no items'}; "
        f"every problem is in {work.folder / PROBLEMS_FILE}"
    )


_AT_ONCE = 512
_READERS = 4


@dataclass(frozen=True)
class DescriptionPipeline:
    """What a catalogue is described with.

    Attributes:
        describe: Which encoder and vocabulary.
        prompt: What is said of an item.
        encoder: Loaded.
        vocabulary: Loaded.
    """

    describe: DescribeSettings
    prompt: PromptSettings
    encoder: ImageTextEncoder
    vocabulary: Vocabulary

    @classmethod
    def of(cls, describe: DescribeSettings, prompt: PromptSettings) -> DescriptionPipeline:
        """Load what the settings name.

        Raises:
            EncoderError: If there is no such encoder.
            ConfigError: If there is no such vocabulary.
        """
        return cls(describe, prompt, load_settled_encoder(describe), load_vocabulary(describe.vocabulary))

    @cached_property
    def labeller(self) -> Labeller:
        """Says what vectors show."""
        return Labeller(self.encoder, self.vocabulary)

    def info(self, name: str, source: str, made: str = "") -> CatalogueInfo:
        """What a catalogue says of itself that is made with these."""
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
            made=made,
        )


class RowDescriber:
    """Describes the rows of a feed; vectors are remembered by the photos' content.

    Attributes:
        problems: What was wrong with rows that were described so far.
        encoded: Photos that the encoder was asked for; it knew the others.
    """

    def __init__(self, eyes: DescriptionPipeline, cache: EmbeddingCache) -> None:
        self._eyes = eyes
        self._cache = cache
        self._digests: dict[str, bytes] = {}
        self.problems: list[RowProblem] = []
        self.encoded = 0

    def encode_photos(self, rows: Sequence[FeedRow], progress: Progress = no_progress) -> None:
        """Bring the vectors of all photos into the cache; those that can't be opened are noted.

        Args:
            rows: What is to be described.
            progress: Told of photos that were seen.
        """
        items = [row.item for row in rows if row.item.image is not None]
        seen = encode_photos(items, self._eyes.encoder, self._cache, self._eyes.describe.batch_size, progress)
        self.encoded += seen.encoded
        found = zip(items, seen.digests, strict=True)
        self._digests |= {item.id: digest for item, digest in found if digest is not None}
        by_id = {row.item.id: row for row in rows}
        for one in seen.unreadable:
            row = by_id[one.item_id]
            kept = bool(row.item.title) and row.item.category is not None
            reason = f"{one.kind}: kept for its title" if kept else f"{one.kind}, and no words that tell what it is"
            self.problems.append(RowProblem(reason, one.item_id, row.line, str(row.item.image), kept))

    def described(
        self, rows: Sequence[tuple[int, FeedRow]], progress: Progress = no_progress
    ) -> Iterator[list[CatalogueRow]]:
        """Catalogue rows of feed rows that were seen, some hundred at a time; what can't go in is in ``problems``.

        Args:
            rows: With their places in the catalogue.
            progress: Told of rows that the caller has taken.
        """
        for start in range(0, len(rows), _AT_ONCE):
            yield self._part(rows[start : start + _AT_ONCE])
            progress(min(start + _AT_ONCE, len(rows)), len(rows))

    def _part(self, rows: Sequence[tuple[int, FeedRow]]) -> list[CatalogueRow]:
        digests = self._digests
        ids = [row.item.id for _, row in rows if row.item.id in digests]
        vectors = self._cache.vectors([digests[name] for name in ids])  # (B, D)
        seen = self._eyes.labeller.descriptions(ids, vectors)
        said = {one.item_id: one for one in seen}
        worn = dict(zip(ids, self._eyes.labeller.categories(seen, vectors), strict=True))
        items: list[Item] = []
        known: dict[str, tuple[int, FeedRow]] = {}
        for place, row in rows:
            item = self._settled(row, worn.get(row.item.id), has_photo=row.item.id in digests)
            if item is not None:
                items.append(item)
                known[item.id] = place, row
        by_id: dict[str, NDArray[np.float32]] = dict(zip(ids, vectors, strict=True))
        found = describe_items(items, said, by_id, self._eyes.prompt, self._eyes.vocabulary, text_encoder())
        return [
            CatalogueRow(known[one.id][0], one, known[one.id][1].hash, _digest(known[one.id][1].item, digests))
            for one in found
        ]

    def _settled(self, row: FeedRow, worn: GarmentCategory | None, *, has_photo: bool) -> Item | None:
        """The item with a category that is known and without a photo that can't be opened; None if it can't go in."""
        item = row.item if has_photo else replace(row.item, image=None)
        if item.category is None:
            if not has_photo:
                return None  # told with its photo
            if worn is None:
                self.problems.append(RowProblem(NO_CATEGORY, item.id, row.line, item.title))
                return None
            return replace(item, category=worn)
        return item if has_photo or item.title else None


def photo_hash(path: Path | None) -> bytes:
    """SHA-256 of a photo's bytes; empty if there are none that can be read."""
    if path is None:
        return b""
    try:
        return hashlib.sha256(photo_bytes(path)).digest()
    except PhotoError:
        return b""


def photo_hashes(rows: Sequence[FeedRow], progress: Progress = no_progress) -> list[bytes]:
    """``photo_hash`` of each row's photo, read by several threads."""
    found: list[bytes] = []
    with ThreadPoolExecutor(_READERS, thread_name_prefix="hash") as pool:
        for digest in pool.map(lambda row: photo_hash(row.item.image), rows):
            found.append(digest)
            progress(len(found), len(rows))
    return found


def _digest(item: Item, digests: dict[str, bytes]) -> bytes:
    return digests[item.id] if item.id in digests else photo_hash(item.image)


_MANY = 10
"""Fewer items than these may go without a question."""


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What became of a catalogue.

    Attributes:
        items: In it now.
        added: New ones.
        changed: Those whose row or photo is another.
        removed: Those that are gone.
        unchanged: Those that were left alone.
        encoded: Photos that the encoder was asked for; it knew the others.
        problems: Of the rows and photos that were looked at.
        left_out: What a release's reader left out, which is counted and not listed.
    """

    items: int
    added: int
    changed: int
    removed: int
    unchanged: int
    encoded: int = 0
    problems: tuple[RowProblem, ...] = ()
    left_out: tuple[FunnelRow, ...] = ()


def build_catalogue(source: Path | str, eyes: DescriptionPipeline, work: CatalogueJob) -> BuildResult:
    """Make a catalogue of a source, or bring the one that was made of it up to date.

    Killed at any point, it goes on where it was: vectors of photos are kept as they are made.

    Raises:
        DataError: If the source can't be read, or no row of it can go in.
        ArtifactError: If the folder holds something else, or a catalogue of another source or encoder.
    """
    made_of = source_of(source, work.data)
    check_out(work.folder, made_of)
    with lock_folder(work.folder):
        check_out(work.folder, made_of)  # another process may have begun since
        if is_finished(work.folder):
            return _bring_up_to_date(source, eyes, work, gone=True)
        feed = read_feed(source, work.data)
        write_json(work.folder / INFO_FILE, eyes.info(feed.name, feed.source).model_dump(mode="json"))
        return _update(feed, {}, eyes, work, gone=False)


def add_to_catalogue(source: Path | str, work: CatalogueJob) -> BuildResult:
    """Add the rows of a source; those whose id is there already take the place of what was there.

    Raises:
        DataError: If the source can't be read, or no row of it can go in.
        ArtifactError: If the folder isn't a catalogue, or what made it has changed.
    """
    return _change(source, work, gone=False)


def refresh_catalogue(source: Path | str | None, work: CatalogueJob) -> BuildResult:
    """Make a catalogue equal to a feed: what is new is added, what has changed described again, what is gone removed.

    Args:
        source: The feed; None takes the one that the catalogue was made of.
        work: Its folder and how.

    Raises:
        DataError: If the source can't be read, or no row of it can go in.
        ArtifactError: If the folder isn't a catalogue, or what made it has changed.
    """
    return _change(source, work, gone=True)


def remove_from_catalogue(ids: Sequence[str], work: CatalogueJob) -> BuildResult:
    """Take items out, all of them or, if one is unknown, none.

    Raises:
        RecommendationError: If an id is unknown, with near ones, or nothing would be left.
        ArtifactError: If the folder isn't a catalogue.
    """
    check_is_catalogue(work.folder)
    with lock_folder(work.folder):
        stored = stored_rows(work.folder)
        info = info_of(work.folder).model_copy(update={"made": _now()})
        for item_id in ids:
            if item_id not in stored:
                with Catalogue.open(work.folder) as index:
                    near = ", ".join(f"'{one}'" for one in index.near_ids(item_id))
                raise RecommendationError(
                    f"no item '{item_id}' in the catalogue {work.folder}, so nothing was removed: its nearest ids are "
                    f"{near}"
                )
        kept = {name: row.place for name, row in stored.items() if name not in set(ids)}
        if not kept:
            raise RecommendationError(
                f"that would remove all {len(stored)} items of {work.folder}; to be rid of it, delete the folder"
            )
        with manifest_last(work, info), writing_catalogue(work.folder, info) as writer:
            writer.keep(kept)
            _finish(writer, info, work)
    return BuildResult(len(kept), 0, 0, len(stored) - len(kept), len(kept))


def _change(source: Path | str | None, work: CatalogueJob, *, gone: bool) -> BuildResult:
    check_is_catalogue(work.folder)
    with lock_folder(work.folder):
        info = info_of(work.folder)
        eyes = DescriptionPipeline.of(info.describe, info.prompt)
        return _bring_up_to_date(info.source if source is None else source, eyes, work, gone=gone)


def _bring_up_to_date(source: Path | str, eyes: DescriptionPipeline, work: CatalogueJob, *, gone: bool) -> BuildResult:
    stored, info = stored_rows(work.folder), info_of(work.folder)
    check_fits(work.folder, info, eyes.info(info.name, info.source))
    return _update(read_feed(source, work.data), stored, eyes, work, gone=gone)


def _update(
    feed: Feed, stored: Mapping[str, StoredRow], eyes: DescriptionPipeline, work: CatalogueJob, *, gone: bool
) -> BuildResult:
    """Describe what is new or has changed, and put it with what stays.

    Args:
        feed: What is to go in.
        stored: What is there; empty for a new catalogue.
        eyes: What describes.
        work: Where and how.
        gone: Whether what the feed doesn't hold is removed.
    """
    if not feed.rows:
        refuse(feed, feed.problems, work)
    if gone:
        _check_not_cut(feed, stored, work)
    info = _info_after(feed, stored, eyes, work, gone=gone)
    changed, unopened = _to_look_at(feed.rows, stored, work)
    places = _places(feed.rows, stored, gone=gone)
    with (
        manifest_last(work, info),
        EmbeddingCache.of(eyes.encoder, work.save_every) as cache,
        writing_catalogue(work.folder, info) as writer,
    ):
        describer = RowDescriber(eyes, cache)
        rows = [(places[row.item.id], row) for row in feed.rows if row.item.id in changed | unopened]
        staged = _stage(describer, rows, unopened, writer, work)
        left = changed if gone else staged  # a row that can't go in takes nothing away unless the feed is the truth
        kept = {name: places[name] for name in stored if name in places and name not in left}
        problems = (*feed.problems, *describer.problems)
        if not staged and not kept:
            refuse(feed, problems, work)
        write_problems(work.folder, problems)
        moved = bool(stored) and info.source != info_of(work.folder).source
        if staged or moved or len(kept) < len(stored):
            writer.keep(kept)
            _finish(writer, info, work)
    before = len(staged & stored.keys())
    return BuildResult(
        items=len(kept) + len(staged),
        added=len(staged) - before,
        changed=before,
        removed=len(stored) - len(kept) - before,
        unchanged=len(kept),
        encoded=describer.encoded,
        problems=problems,
        left_out=feed.left_out,
    )


def _check_not_cut(feed: Feed, stored: Mapping[str, StoredRow], work: CatalogueJob) -> None:
    """Refuse a feed that would take away more than half of a catalogue, unless that is wanted: it may be cut short."""
    held = {row.item.id for row in feed.rows}
    lost = sum(name not in held for name in stored)
    if lost >= _MANY and 2 * lost > len(stored) and not work.may_shrink:
        raise DataError(
            f"{lost} of the {len(stored)} items in {work.folder} aren't in this source any more, so it may be cut "
            "short, or another one; nothing was changed. If that is right, run the same command with --may-shrink"
        )


def _to_look_at(
    rows: Sequence[FeedRow], stored: Mapping[str, StoredRow], work: CatalogueJob
) -> tuple[set[str], set[str]]:
    """Ids of rows that are new or have changed, and of others whose photo couldn't be opened and is told of again."""
    if not stored:
        return {row.item.id for row in rows}, set()
    with work.progress("comparing photos") as progress:
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
    """Places in the source's order: the feed's own, or those there are and then the new ones."""
    if gone or not stored:
        return {row.item.id: place for place, row in enumerate(rows)}
    places = {name: row.place for name, row in stored.items()}
    after = max(places.values()) + 1
    return places | {row.item.id: after + n for n, row in enumerate(rows) if row.item.id not in places}


def _stage(
    describer: RowDescriber,
    rows: Sequence[tuple[int, FeedRow]],
    unopened: Collection[str],
    writer: CatalogueWriter,
    work: CatalogueJob,
) -> set[str]:
    """Describe rows and hand them to the writer; gives the ids of those that came out and weren't there as they are."""
    staged: set[str] = set()
    if not rows:
        return staged
    with work.progress("describing photos") as progress:
        describer.encode_photos([row for _, row in rows], progress)
    with work.progress("writing items") as progress:
        for part in describer.described(rows, progress):
            new = [row for row in part if row.item.id not in unopened]
            writer.add(new)
            staged.update(row.item.id for row in new)
    return staged


def _finish(writer: CatalogueWriter, info: CatalogueInfo, work: CatalogueJob) -> None:
    writer.finish(info)
    write_json(work.folder / INFO_FILE, info.model_dump(mode="json"))


def _info_after(
    feed: Feed, stored: Mapping[str, StoredRow], eyes: DescriptionPipeline, work: CatalogueJob, *, gone: bool
) -> CatalogueInfo:
    """What the catalogue is made of afterwards: of another feed if that is the truth now."""
    if gone or not stored:
        return eyes.info(feed.name, feed.source, _now())
    before = info_of(work.folder)
    return eyes.info(before.name, before.source, _now())


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
