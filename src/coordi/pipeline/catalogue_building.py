"""Building a catalogue, and bringing one up to date: added to, taken from, or made equal to a feed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from coordi.artifacts import is_finished, working_alone, write_json
from coordi.data.source import RowProblem
from coordi.describe.vector_cache import VectorCache
from coordi.domain import FunnelRow
from coordi.errors import DataError, RecommendationError
from coordi.pipeline.catalogue_describing import Eyes, RowDescriber, photo_hashes
from coordi.pipeline.catalogue_folder import CatalogueWork, check_out, info_of, manifest_last, refuse
from coordi.pipeline.catalogue_source import Feed, FeedRow, read_feed, source_of, write_problems
from coordi.recommend.catalogue_file import INFO_FILE, check_fits, check_is_catalogue
from coordi.recommend.catalogue_index import CatalogueIndex, CatalogueInfo
from coordi.recommend.catalogue_writer import CatalogueWriter, StoredRow, stored_rows, writing_catalogue

_MANY = 10
"""Fewer items than these may go without a question."""


@dataclass(frozen=True, slots=True)
class Outcome:
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


def build_catalogue(source: Path | str, eyes: Eyes, work: CatalogueWork) -> Outcome:
    """Make a catalogue of a source, or bring the one that was made of it up to date.

    Killed at any point, it goes on where it was: vectors of photos are kept as they are made.

    Raises:
        DataError: If the source can't be read, or no row of it can go in.
        ArtifactError: If the folder holds something else, or a catalogue of another source or encoder.
    """
    made_of = source_of(source, work.data)
    check_out(work.folder, made_of)
    with working_alone(work.folder):
        check_out(work.folder, made_of)  # another process may have begun since
        if is_finished(work.folder):
            return _bring_up_to_date(source, eyes, work, gone=True)
        feed = read_feed(source, work.data)
        write_json(work.folder / INFO_FILE, eyes.info(feed.name, feed.source).model_dump(mode="json"))
        return _update(feed, {}, eyes, work, gone=False)


def add_to_catalogue(source: Path | str, work: CatalogueWork) -> Outcome:
    """Add the rows of a source; those whose id is there already take the place of what was there.

    Raises:
        DataError: If the source can't be read, or no row of it can go in.
        ArtifactError: If the folder isn't a catalogue, or what made it has changed.
    """
    return _change(source, work, gone=False)


def refresh_catalogue(source: Path | str | None, work: CatalogueWork) -> Outcome:
    """Make a catalogue equal to a feed: what is new is added, what has changed described again, what is gone removed.

    Args:
        source: The feed; None takes the one that the catalogue was made of.
        work: Its folder and how.

    Raises:
        DataError: If the source can't be read, or no row of it can go in.
        ArtifactError: If the folder isn't a catalogue, or what made it has changed.
    """
    return _change(source, work, gone=True)


def remove_from_catalogue(ids: Sequence[str], work: CatalogueWork) -> Outcome:
    """Take items out, all of them or, if one is unknown, none.

    Raises:
        RecommendationError: If an id is unknown, with near ones, or nothing would be left.
        ArtifactError: If the folder isn't a catalogue.
    """
    check_is_catalogue(work.folder)
    with working_alone(work.folder):
        stored = stored_rows(work.folder)
        info = info_of(work.folder).model_copy(update={"made": _now()})
        for item_id in ids:
            if item_id not in stored:
                with CatalogueIndex.open(work.folder) as index:
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
    return Outcome(len(kept), 0, 0, len(stored) - len(kept), len(kept))


def _change(source: Path | str | None, work: CatalogueWork, *, gone: bool) -> Outcome:
    check_is_catalogue(work.folder)
    with working_alone(work.folder):
        info = info_of(work.folder)
        eyes = Eyes.of(info.describe, info.prompt)
        return _bring_up_to_date(info.source if source is None else source, eyes, work, gone=gone)


def _bring_up_to_date(source: Path | str, eyes: Eyes, work: CatalogueWork, *, gone: bool) -> Outcome:
    stored, info = stored_rows(work.folder), info_of(work.folder)
    check_fits(work.folder, info, eyes.info(info.name, info.source))
    return _update(read_feed(source, work.data), stored, eyes, work, gone=gone)


def _update(feed: Feed, stored: Mapping[str, StoredRow], eyes: Eyes, work: CatalogueWork, *, gone: bool) -> Outcome:
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
        VectorCache.of(eyes.encoder, work.save_every) as cache,
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
    return Outcome(
        items=len(kept) + len(staged),
        added=len(staged) - before,
        changed=before,
        removed=len(stored) - len(kept) - before,
        unchanged=len(kept),
        encoded=describer.encoded,
        problems=problems,
        left_out=feed.left_out,
    )


def _check_not_cut(feed: Feed, stored: Mapping[str, StoredRow], work: CatalogueWork) -> None:
    """Refuse a feed that would take away more than half of a catalogue, unless that is wanted: it may be cut short."""
    held = {row.item.id for row in feed.rows}
    lost = sum(name not in held for name in stored)
    if lost >= _MANY and 2 * lost > len(stored) and not work.may_shrink:
        raise DataError(
            f"{lost} of the {len(stored)} items in {work.folder} aren't in this source any more, so it may be cut "
            "short, or another one; nothing was changed. If that is right, run the same command with --may-shrink"
        )


def _to_look_at(
    rows: Sequence[FeedRow], stored: Mapping[str, StoredRow], work: CatalogueWork
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
    work: CatalogueWork,
) -> set[str]:
    """Describe rows and hand them to the writer; gives the ids of those that came out and weren't there as they are."""
    staged: set[str] = set()
    if not rows:
        return staged
    with work.progress("describing photos") as progress:
        describer.see([row for _, row in rows], progress)
    with work.progress("writing items") as progress:
        for part in describer.described(rows, progress):
            new = [row for row in part if row.item.id not in unopened]
            writer.add(new)
            staged.update(row.item.id for row in new)
    return staged


def _finish(writer: CatalogueWriter, info: CatalogueInfo, work: CatalogueWork) -> None:
    writer.finish(info)
    write_json(work.folder / INFO_FILE, info.model_dump(mode="json"))


def _info_after(
    feed: Feed, stored: Mapping[str, StoredRow], eyes: Eyes, work: CatalogueWork, *, gone: bool
) -> CatalogueInfo:
    """What the catalogue is made of afterwards: of another feed if that is the truth now."""
    if gone or not stored:
        return eyes.info(feed.name, feed.source, _now())
    before = info_of(work.folder)
    return eyes.info(before.name, before.source, _now())


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
