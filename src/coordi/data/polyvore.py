"""The Maryland and the Polyvore Outfits releases as a source."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from coordi.artifacts import cache_folder, clear_write_errors
from coordi.config import DataSettings
from coordi.data.categories import maryland_categories, maryland_category, outfits_category
from coordi.data.feed import inside, read_json, read_text
from coordi.data.source import (
    Funnel,
    Source,
    SourceBlank,
    SourceCompatibility,
    SourceItem,
    SourceOutfit,
    SourceQuestions,
    known_price,
    with_examples,
)
from coordi.errors import DataError
from coordi.types import NO_EXTRA, SPLITS, Split

_ROWS = 256  # held at once: a few MB of photos


def columns_of(table: Path) -> tuple[str, ...]:
    """Names of a Parquet file's columns.

    Raises:
        DataError: If it isn't a Parquet file.
    """
    with _reading(table):
        return tuple(pq.read_schema(table).names)


def read_columns(
    tables: Sequence[Path], required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Rows of several files with only these columns.

    Args:
        tables: Parquet files.
        required: Columns that each file must have.
        optional: Columns that are absent from the rows of a file that lacks them.

    Raises:
        DataError: If a file isn't a Parquet file, is damaged or lacks a required column.
    """
    for table in tables:
        names = columns_of(table)
        lacking = [name for name in required if name not in names]
        if lacking:
            raise DataError(
                f"{table} has the columns {', '.join(names)}; it lacks {' and '.join(lacking)}, which coordi reads: "
                "get the copy that docs/data.md names"
            )
        wanted = [*required, *(name for name in optional if name in names)]
        with _reading(table), pq.ParquetFile(table) as file:
            for batch in file.iter_batches(_ROWS, columns=wanted):
                yield from batch.to_pylist()


@contextmanager
def _reading(table: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{table} isn't a whole Parquet file: {' '.join(str(error).split())}; get it again") from error


def extract_photos(tables: Sequence[Path], id_column: str, wanted: Collection[str]) -> Mapping[str, Path]:
    """Write the photos of items into coordi's cache; those that are there already aren't written again.

    Args:
        tables: Parquet files with a column of ids and a column ``image``, of bytes or of ``{bytes, path}``.
        id_column: Name of the column of ids.
        wanted: Ids of items whose photos are used; others aren't written.

    Returns:
        Path of each photo by item id; an item without one is absent. Photos aren't looked at.

    Raises:
        DataError: If a file isn't a Parquet file, is damaged or lacks a column.
        ArtifactError: If the cache can't be written.
    """
    photos: dict[str, Path] = {}
    for table in tables:
        folder = cache_folder() / "photos" / _key(table)
        with clear_write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for row in read_columns([table], (id_column, "image")):
                item_id, data = id_of(row, id_column), _bytes(row["image"])
                if item_id and item_id in wanted and data and item_id not in photos:
                    photos[item_id] = _written(folder, item_id, data)
    return photos


def id_of(row: Mapping[str, Any], column: str) -> str:
    """The id of a row's item; ``""`` if the row has none."""
    return "" if row[column] is None else str(row[column])


def _key(table: Path) -> str:
    """A changed file gets another folder; the hub's cache resolves to a path that names the content."""
    real = table.resolve()
    found = real.stat()
    return hashlib.sha256(f"{real}\0{found.st_size}\0{found.st_mtime_ns}".encode()).hexdigest()[:16]


def _bytes(cell: Any) -> bytes | None:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    return data if isinstance(data, bytes) else None


def _written(folder: Path, item_id: str, data: bytes) -> Path:
    path = folder / f"{quote(item_id, safe='')}.jpg"
    if not path.is_file():
        # Renamed once whole, so that a broken run leaves no half photo; not synced, as there are many thousands.
        part = path.with_suffix(".part")
        part.write_bytes(data)
        part.replace(path)
    return path


OutfitEntry = Mapping[str, Any]
_STRONGEST_FIRST: tuple[Split, ...] = ("test", "valid", "train")


def read_outfit_files(files: Mapping[Split, Path]) -> dict[Split, Sequence[Any]]:
    """The entries of each split's file, whatever they are.

    Raises:
        DataError: If a file is broken, or holds something else than a list.
    """
    sets: dict[Split, Sequence[Any]] = {}
    for split, path in files.items():
        entries = read_json(path)
        if not isinstance(entries, list):
            raise DataError(f"{path} must hold a list of outfits, got {type(entries).__name__}; get the release's file")
        sets[split] = entries
    return sets


def size_of(entry: Any) -> int:
    """How many items an entry lists; 0 for something that isn't an outfit."""
    items = entry.get("items") if isinstance(entry, dict) else None
    return len(items) if isinstance(items, list) else 0


def leave_out_broken(
    sets: Mapping[Split, Sequence[Any]], files: Mapping[Split, Path], funnel: Funnel, *, own_items: bool
) -> dict[Split, list[OutfitEntry]]:
    """Entries with a set id and items; the others are counted.

    Args:
        sets: As ``read_outfit_files`` gives them.
        files: To name a broken entry's file.
        funnel: Counts outfits that are left out.
        own_items: Whether every listed item is one of its own, counted with its outfit; not where outfits share items.
    """
    whole: dict[Split, list[OutfitEntry]] = {}
    broken: list[str] = []
    lost = 0
    for split, entries in sets.items():
        whole[split] = []
        for number, entry in enumerate(entries, start=1):
            if size_of(entry) and str(entry.get("set_id") or ""):
                whole[split].append(entry)
            else:
                broken.append(f"{files[split].name} entry {number}")
                lost += size_of(entry)
    funnel.drop("outfits", with_examples("broken: no set_id or no items", broken), len(broken))
    funnel.drop("items", "in a broken outfit", lost if own_items else 0)
    return whole


def leave_out_repeated(
    sets: Mapping[Split, Sequence[OutfitEntry]], funnel: Funnel, *, own_items: bool
) -> dict[Split, list[OutfitEntry]]:
    """The first entry of each set id, in the strongest split that has it; the others are counted.

    Args:
        sets: As ``leave_out_broken`` gives them.
        funnel: Counts outfits that are left out.
        own_items: As in ``leave_out_broken``.
    """
    owner: dict[str, Split] = {}
    unique: dict[Split, list[OutfitEntry]] = {}
    twice: list[OutfitEntry] = []
    across: list[OutfitEntry] = []
    for split in _STRONGEST_FIRST:
        unique[split] = []
        for entry in sets.get(split, ()):
            set_id = str(entry["set_id"])
            if set_id not in owner:
                owner[set_id] = split
                unique[split].append(entry)
            else:
                (twice if owner[set_id] == split else across).append(entry)
    for entries, reason in (
        (twice, "the same set id twice in a split"),
        (across, "the same set id in another split (test wins over valid, valid over train)"),
    ):
        named = with_examples(reason, (str(entry["set_id"]) for entry in entries))
        funnel.drop("outfits", named, len(entries))
        lost = sum(size_of(entry) for entry in entries)
        funnel.drop("items", f"in an outfit left out: {reason}", lost if own_items else 0)
    return unique


_NAME = re.compile(r"[\w-]+_\d+")
_SHOWN = 60
_LEAST_FOLLOWED = 0.9


def read_compatibility_file(path: Path, item_ids: Mapping[str, str] = NO_EXTRA) -> tuple[SourceCompatibility, ...]:
    """Read a file of compatibility questions.

    Questions are grouped by the set that a positive is of. A negative joins the positive that it was made for where
    the file lets one know: where each negative directly follows a positive and nearly every positive is followed by one
    (Maryland), or where all negatives follow all positives with as many items, one for one (Polyvore Outfits).
    Elsewhere a negative is a group of its own.

    Args:
        path: The file.
        item_ids: Item id by name; a name that isn't in it is its own id.

    Raises:
        DataError: If it can't be read, or a line isn't a question, with its number.
    """
    place, asked = ("entry", _json_questions(path)) if path.suffix == ".json" else ("line", _text_questions(path))
    for number, label, names in asked:
        if label not in ("0", "1") or not names or not all(_NAME.fullmatch(name) for name in names):
            raise DataError(
                f"{path}, {place} {number} isn't a question: '{' '.join([label, *names])[:_SHOWN]}'; expected 1 or 0 "
                f"and then names such as 214272106_1; get the file again or mend that {place}"
            )
    groups = _groups([(label == "1", names, f"{place}-{number}") for number, label, names in asked])
    return tuple(
        SourceCompatibility(tuple(item_ids.get(name, name) for name in names), label == "1", group)
        for (_, label, names), group in zip(asked, groups, strict=True)
    )


def read_blanks_file(path: Path, item_ids: Mapping[str, str] = NO_EXTRA) -> tuple[SourceBlank, ...]:
    """Read a file of fill-in-the-blank questions.

    The true candidate is the one of the question's own set; if several are, the one whose index is the question's
    ``blank_position``. A ``label`` must say the same. In the Maryland release it stands first, which isn't relied on.

    Args:
        path: The file.
        item_ids: Item id by name; a name that isn't in it is its own id.

    Raises:
        DataError: If it can't be read, or an entry isn't a question, with its number.
    """
    entries = enumerate(_entries(path), start=1)
    return tuple(_blank(entry, f"{path}, entry {number}", item_ids) for number, entry in entries)


def _text_questions(path: Path) -> list[tuple[int, str, list[str]]]:
    lines = [(number, line.split()) for number, line in enumerate(read_text(path).splitlines(), start=1)]
    return [(number, words[0], words[1:]) for number, words in lines if words]


def _json_questions(path: Path) -> list[tuple[int, str, list[str]]]:
    return [
        (number, str(entry.get("label")), [str(name) for name in entry.get("items") or ()])
        if isinstance(entry, dict) and isinstance(entry.get("items"), list)
        else (number, str(entry), [])
        for number, entry in enumerate(_entries(path), start=1)
    ]


def _entries(path: Path) -> list[Any]:
    entries = read_json(path)
    if not isinstance(entries, list):
        raise DataError(f"{path} must hold a list of questions, got {type(entries).__name__}; get the release's file")
    return entries


def _blank(entry: Any, where: str, item_ids: Mapping[str, str]) -> SourceBlank:
    keys = ("items", "candidates") if isinstance(entry, dict) and "candidates" in entry else ("question", "answers")
    question, answers = (_names(entry, key, where) for key in keys)
    if len(answers) < 2:
        raise DataError(
            f"{where} leaves nothing to choose: its '{keys[1]}' is {answers}; expected two names or more; get the file "
            "again or mend that entry"
        )
    own = _set_of(question)
    true = [place for place, name in enumerate(answers) if own and _set_of([name]) == own]
    if len(true) > 1:
        true = [place for place in true if answers[place] == f"{own}_{entry.get('blank_position')}"]
    if "label" in entry:
        true = [place for place in true if str(place) == str(entry["label"])]
    return SourceBlank(
        item_ids=tuple(item_ids.get(name, name) for name in question),
        candidates=tuple(item_ids.get(name, name) for name in answers),
        answer=true[0] if len(true) == 1 else None,
        outfit_id=own or where.rsplit(", ", 1)[1].replace(" ", "-"),
    )


def _names(entry: Any, key: str, where: str) -> list[str]:
    names = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(names, list) or not names or not all(_NAME.fullmatch(str(name)) for name in names):
        raise DataError(
            f"{where} isn't a question: its '{key}' is {str(names)[:_SHOWN]}; expected a list of names such as "
            "214272106_1; get the file again or mend that entry"
        )
    return [str(name) for name in names]


def _set_of(names: Sequence[str]) -> str:
    """The set that all names are of; ``""`` if they are of several."""
    sets = {name.rsplit("_", 1)[0] for name in names}
    return sets.pop() if len(sets) == 1 else ""


def _groups(asked: Sequence[tuple[bool, Sequence[str], str]]) -> list[str]:
    """The group of each question, from its label, names and the name of a group of its own."""
    groups = [(_set_of(names) if label else "") or alone for label, names, alone in asked]
    labels = [label for label, _, _ in asked]
    positives = labels.count(True)
    # Few negatives among many positives stand apart in any order; that alone says nothing of what they were made for.
    one_each = len(labels) - positives >= _LEAST_FOLLOWED * positives
    if labels and labels[0] and one_each and all(before or label for before, label in pairwise(labels)):
        return [groups[place] if label else groups[place - 1] for place, label in enumerate(labels)]
    sizes = [len(names) for _, names, _ in asked]
    in_blocks = labels == [True] * positives + [False] * positives
    if in_blocks and sizes[:positives] == sizes[positives:]:
        return groups[:positives] * 2
    return groups


MARYLAND_LAYOUT = "polyvore-maryland"

COMPATIBILITY_FILES: Mapping[str, str] = {
    "release": "fashion_compatibility_prediction.txt",
    "release-resampled": "fashion_compatibility_prediction_RESAMPLED.txt",
}
"""The release's files of compatibility questions by protocol: random negatives, and negatives of the same categories.
Its fill-in-the-blank questions, ``BLANKS_FILE``, go with the first."""
BLANKS_FILE = "fill_in_blank_test.json"


def split_file(split: Split) -> str:
    """Name of the release's file for a split."""
    return f"{split}_no_dup.json"


def read_maryland(folder: Path) -> Source:
    """Read whichever of the release's split files are in ``folder``.

    Item ids are ``<set_id>_<index>``, as in the release's question files.

    Raises:
        DataError: If a split file is broken, or holds something else than a list of outfits.
    """
    funnel = Funnel()
    files = {split: folder / split_file(split) for split in SPLITS if (folder / split_file(split)).exists()}
    sets = read_outfit_files(files)
    funnel.read("outfits", sum(len(found) for found in sets.values()))
    funnel.read("items", sum(size_of(entry) for found in sets.values() for entry in found))
    whole = leave_out_broken(sets, files, funnel, own_items=True)
    unique = leave_out_repeated(whole, funnel, own_items=True)
    items: list[SourceItem] = []
    outfits: list[SourceOutfit] = []
    faults: dict[str, list[str]] = {}
    for split in SPLITS:
        for entry in unique.get(split, ()):
            mine = _items_of(entry, folder, faults)
            items.extend(mine)
            ids = tuple(item.id for item in mine)
            outfits.append(SourceOutfit(str(entry["set_id"]), ids, split, str(entry.get("name") or "")))
    for reason, examples in faults.items():
        funnel.drop("items", with_examples(reason, examples), len(examples))
    return Source(
        folder.name, MARYLAND_LAYOUT, tuple(items), tuple(outfits), funnel, keeps_single_items=False,
        splits=tuple(files), questions=_read_questions(folder),
    )  # fmt: skip


def _read_questions(folder: Path) -> tuple[SourceQuestions, ...]:
    """The question files of the test split, as far as they are there; items in them go by the ids used here."""
    blanks = folder / BLANKS_FILE
    found = []
    for name, file in COMPATIBILITY_FILES.items():
        compatibility = read_compatibility_file(folder / file) if (folder / file).exists() else ()
        goes_with = read_blanks_file(blanks) if name == "release" and blanks.exists() else ()
        if compatibility or goes_with:
            found.append(SourceQuestions(name, "test", compatibility, goes_with))
    return tuple(found)


def _items_of(entry: OutfitEntry, folder: Path, faults: dict[str, list[str]]) -> list[SourceItem]:
    found: dict[str, SourceItem] = {}
    for position, raw in enumerate(entry["items"], start=1):
        set_id = str(entry["set_id"])
        if not isinstance(raw, dict) or raw.get("index") is None:
            faults.setdefault("broken item: no index", []).append(f"set {set_id}, item {position}")
            continue
        item_id = f"{set_id}_{raw['index']}"
        if item_id in found:
            faults.setdefault("the same index twice in an outfit", []).append(item_id)
            continue
        found[item_id] = _item(item_id, raw, _photo(folder, set_id, raw))
    return list(found.values())


def _item(item_id: str, raw: Mapping[str, Any], image: Path | None) -> SourceItem:
    title = str(raw.get("name") or "")
    category_id = _whole_number(raw.get("categoryid"))
    row = maryland_categories().get(category_id)
    likes = raw.get("likes")
    return SourceItem(
        id=item_id,
        title=title,
        category=maryland_category(category_id, title),
        subcategory=row.name if row else "",
        image=image,
        price=known_price(raw.get("price")),
        extra=MappingProxyType({} if likes is None else {"likes": str(likes)}),
    )


def _whole_number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return -1


def _photo(folder: Path, set_id: str, raw: Mapping[str, Any]) -> Path | None:
    """Where the photo is; the release's own place first, then the path that the item names; None for an address."""
    usual = inside(folder, f"images/{set_id}/{raw['index']}.jpg")
    if usual is not None and usual.is_file():
        return usual
    return inside(folder, str(raw.get("image") or ""))


OUTFITS_LAYOUT = "polyvore-outfits"
VERSIONS = ("nondisjoint", "disjoint")
METADATA = "polyvore_item_metadata.json"
CATEGORIES = "categories.csv"
OUTFIT_TITLES = "polyvore_outfit_titles.json"
IMAGES = "images"
_HUB = "https://huggingface.co/datasets/mvasil/polyvore-outfits"
ASKED_SPLITS: tuple[Split, ...] = ("valid", "test")

Facts = Mapping[str, Mapping[str, Any]]
"""By item id, the columns of the release's metadata."""


@dataclass(frozen=True, slots=True)
class OutfitsRelease:
    """Where the parts of one version lie, whatever the copy's layout.

    Attributes:
        name: For the report; says the version.
        outfits: By split, the list of outfits.
        compatibility: By split, the compatibility questions.
        blanks: By split, the fill-in-the-blank questions.
        titles: By set id, what the outfits are called.
        items_file: What holds the titles of items, for messages.
        nameless: Rows of it that have no item id.
    """

    name: str
    layout: str
    outfits: Mapping[Split, Path]
    compatibility: Mapping[Split, Path]
    blanks: Mapping[Split, Path]
    titles: Mapping[str, str] = field(default_factory=lambda: NO_EXTRA)
    items_file: str = METADATA
    nameless: int = 0


def is_version(folder: Path) -> bool:
    """Whether a folder is one of the release's two, with at least one list of outfits."""
    lists = any((folder / f"{split}.json").is_file() for split in SPLITS)
    return lists and (folder.name in VERSIONS or any((place / METADATA).is_file() for place in (folder, folder.parent)))


def read_outfits(path: Path, settings: DataSettings) -> Source:
    """Read one version of the release.

    Args:
        path: The release's folder, or one of its versions' folders.
        settings: ``release`` says which version; where it is None, the one that is there is taken, of both
            ``nondisjoint``.

    Raises:
        DataError: If the version isn't there, a file is broken, or there are neither titles nor photos.
    """
    folder = _version_folder(path, settings)
    lists = {split: folder / f"{split}.json" for split in SPLITS}
    whole = path if folder != path else folder.parent if folder.name in VERSIONS else folder
    release = OutfitsRelease(
        name=whole.name if whole == folder else f"{whole.name} ({folder.name})",
        layout=OUTFITS_LAYOUT,
        outfits=present(lists),
        compatibility=present({split: folder / f"compatibility_{split}.txt" for split in ASKED_SPLITS}),
        blanks=present({split: folder / f"fill_in_blank_{split}.json" for split in ASKED_SPLITS}),
        titles=_outfit_titles(_nearest(folder, OUTFIT_TITLES)),
    )
    facts = _metadata(_nearest(folder, METADATA), _nearest(folder, CATEGORIES))
    return release_source(release, facts, _photos(folder), where=whole)


def release_source(
    release: OutfitsRelease,
    facts: Facts | None,
    photos: Callable[[Iterable[str]], Callable[[str], Path | None]],
    where: Path,
) -> Source:
    """Put a version together.

    Args:
        release: Its files.
        facts: What is said of items; None if there is no such file.
        photos: Given every item's id, gives a function from an id to its photo's path.
        where: The folder that an error names.

    Raises:
        DataError: If a file is broken, or there are neither titles nor photos.
    """
    funnel = Funnel()
    sets = read_outfit_files(release.outfits)
    funnel.read("outfits", sum(len(found) for found in sets.values()))
    whole = leave_out_broken(sets, release.outfits, funnel, own_items=False)
    unique = leave_out_repeated(whole, funnel, own_items=False)
    named = {name: item_id for entries in whole.values() for entry in entries for name, item_id in _listed(entry)}
    outfits = tuple(_outfit(entry, split, release) for split in SPLITS for entry in unique.get(split, ()))
    item_ids = tuple(dict.fromkeys(named.values()))
    funnel.read("items", len(item_ids))
    _tell_broken(whole, funnel)
    photo_of = photos(item_ids)
    if not facts and not any((image := photo_of(item_id)) and image.is_file() for item_id in item_ids):
        raise DataError(
            f"{where} has outfits but neither titles nor photos of their items: it lacks {release.items_file} (titles) "
            f"and {IMAGES}/<item_id>.jpg (photos); one of them must lie in it, see docs/data.md: get it from {_HUB}"
        )
    funnel.tell("items", f"without an id in {release.items_file}, which nothing can wear", release.nameless)
    lacking = [item_id for item_id in item_ids if not isinstance((facts or {}).get(item_id), dict)]
    funnel.tell("items", with_examples(f"not in {release.items_file}", lacking), len(lacking))
    return Source(
        release.name, release.layout,
        tuple(_polyvore_outfits_item(name, facts or {}, photo_of(name)) for name in item_ids), outfits, funnel,
        keeps_single_items=False, splits=tuple(release.outfits), questions=_questions(release, named),
    )  # fmt: skip


def _version_folder(path: Path, settings: DataSettings) -> Path:
    asked = settings.release
    if is_version(path):
        if asked is not None and path.name in VERSIONS and path.name != asked:
            raise DataError(
                f"{path} is the {path.name} version, but data.release={asked} was asked for; give the folder above it"
            )
        return path
    there = [name for name in VERSIONS if any((path / name / f"{split}.json").is_file() for split in SPLITS)]
    return path / chosen_version(path, settings, there, "", _HUB)


def chosen_version(path: Path, settings: DataSettings, there: Sequence[str], suffix: str, hub: str) -> str:
    """The version that the settings ask for; if they ask for none the one that is there, of both ``nondisjoint``.

    Args:
        path: The release's folder, for messages.
        settings: Their ``release`` says which.
        there: Versions that the folder holds.
        suffix: Of the folder of a version.
        hub: Where to get it.

    Raises:
        DataError: If it isn't there.
    """
    wanted = settings.release or (*there, *VERSIONS)[0]
    if wanted in there:
        return wanted
    lists = f"{wanted}{suffix}/train.json, valid.json or test.json"
    way_out = f"only {' and '.join(there)}: set data.release={there[0]}, or" if there else "nor any other:"
    raise DataError(f"{path} has no {wanted} version of Polyvore Outfits ({lists}), {way_out} get it from {hub}")


def _nearest(folder: Path, name: str) -> Path:
    """A part of the release in the version's folder, else in the one above it."""
    return folder / name if (folder / name).exists() else folder.parent / name


def _photos(folder: Path) -> Callable[[Iterable[str]], Callable[[str], Path | None]]:
    images = _nearest(folder, IMAGES)
    tables = sorted(_nearest(folder, f"data/{folder.name}").glob("*.parquet"))

    def find(item_ids: Iterable[str]) -> Callable[[str], Path | None]:
        if images.is_dir():
            return lambda item_id: inside(images, f"{item_id}.jpg")
        return extract_photos(tables, "item_id", set(item_ids)).get

    return find


def present(paths: Mapping[Split, Path]) -> dict[Split, Path]:
    """The files that are there."""
    return {split: path for split, path in paths.items() if path.is_file()}


def _metadata(path: Path, categories: Path) -> Facts | None:
    if not path.is_file():
        return None
    facts = read_json(path)
    if not isinstance(facts, dict):
        raise DataError(f"{path} must hold items by id, got a {type(facts).__name__}; get the release's file")
    table = _categories(categories)
    return {
        item_id: {
            **table.get(str(one.get("category_id", "")), {}),
            **{key: value for key, value in one.items() if value},
        }
        for item_id, one in facts.items()
        if isinstance(one, dict)
    }


def _categories(path: Path) -> Mapping[str, Mapping[str, str]]:
    """By category id, the release's own names of it: lines of id, fine name and semantic category."""
    if not path.is_file():
        return {}
    rows = [row for row in csv.reader(read_text(path).splitlines()) if row]
    short = [number for number, row in enumerate(rows, start=1) if len(row) < 3]
    if short:
        raise DataError(f"{path}, row {short[0]} isn't a category: expected id, name, semantic category")
    return {row[0].strip(): {"fine_category": row[1].strip(), "semantic_category": row[2].strip()} for row in rows}


def _outfit_titles(path: Path) -> Mapping[str, str]:
    titles = read_json(path) if path.is_file() else {}
    if not isinstance(titles, dict):
        raise DataError(f"{path} must hold outfits by id, got a {type(titles).__name__}; get the release's file")
    return {set_id: _title(one) for set_id, one in titles.items() if isinstance(one, dict)}


def _title(facts: Mapping[str, Any]) -> str:
    """The seller's title, else the words of its address, which say the same in small letters."""
    return str(facts.get("title") or "").strip() or str(facts.get("url_name") or "").strip()


def _listed(entry: OutfitEntry) -> list[tuple[str, str]]:
    """The sound items of an outfit, each with the name that question files use."""
    return [
        (f"{entry['set_id']}_{raw['index']}", str(raw["item_id"]))
        for raw in entry["items"]
        if isinstance(raw, dict) and raw.get("index") is not None and str(raw.get("item_id") or "")
    ]


def _tell_broken(sets: Mapping[Split, Iterable[OutfitEntry]], funnel: Funnel) -> None:
    cut = [str(one["set_id"]) for found in sets.values() for one in found if len(_listed(one)) < len(one["items"])]
    funnel.tell("outfits", with_examples("lists an item without item_id or index, which is passed over", cut), len(cut))


def _outfit(entry: OutfitEntry, split: Split, release: OutfitsRelease) -> SourceOutfit:
    set_id = str(entry["set_id"])
    item_ids = tuple(dict.fromkeys(item_id for _, item_id in _listed(entry)))
    return SourceOutfit(set_id, item_ids, split, release.titles.get(set_id, ""))


def _polyvore_outfits_item(item_id: str, facts: Facts, image: Path | None) -> SourceItem:
    mine = facts.get(item_id, {})
    title = _title(mine)
    category_id = str(mine.get("category_id", ""))
    semantic = str(mine.get("semantic_category") or "").strip()
    row = maryland_categories().get(int(category_id)) if category_id.isdecimal() else None
    description = str(mine.get("description") or "").strip()
    return SourceItem(
        id=item_id,
        title=title,
        category=outfits_category(row, semantic, title),
        subcategory=row.name if row else str(mine.get("fine_category") or semantic),
        image=image,
        extra=MappingProxyType({"description": description} if description else {}),
    )


def _questions(release: OutfitsRelease, item_ids: Mapping[str, str]) -> tuple[SourceQuestions, ...]:
    found = []
    for split in ASKED_SPLITS:
        compatibility, blanks = release.compatibility.get(split), release.blanks.get(split)
        if compatibility or blanks:
            asked = read_compatibility_file(compatibility, item_ids) if compatibility else ()
            blanked = read_blanks_file(blanks, item_ids) if blanks else ()
            found.append(SourceQuestions("release", split, asked, blanked))
    return tuple(found)
