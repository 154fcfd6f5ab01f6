"""The Maryland and the Polyvore Outfits releases as a source."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

from coordi.artifacts import cache_folder, clear_write_errors
from coordi.config import DataSettings
from coordi.data.categories import maryland_categories, maryland_category, outfits_category
from coordi.data.feed import inside, read_json, read_text
from coordi.data.prices import parse_price
from coordi.data.source import (
    UNKNOWN_ANSWER,
    Funnel,
    Source,
    SourceItem,
    SourceOutfit,
)
from coordi.errors import DataError, require
from coordi.types import SPLITS, CompatibilityQuestion, FitbQuestion, ReleaseQuestions, Split

VERSIONS = ("nondisjoint", "disjoint")
QUESTION_SPLITS: tuple[Split, ...] = ("valid", "test")
# The Maryland release's files of compatibility questions by protocol: random negatives, and negatives of the same
# categories. Its fill-in-the-blank questions go with the first.
COMPATIBILITY_FILES: Mapping[str, str] = {
    "release": "fashion_compatibility_prediction.txt",
    "release-resampled": "fashion_compatibility_prediction_RESAMPLED.txt",
}
BLANKS_FILE = "fill_in_blank_test.json"
METADATA = "polyvore_item_metadata.json"

OutfitEntry = Mapping[str, Any]
Facts = Mapping[str, Mapping[str, Any]]
"""By item id, the columns of the release's metadata."""
Photos = Mapping[str, Path | None]
"""By item id, the path of its photo."""
_HUB = "https://huggingface.co/datasets/mvasil/polyvore-outfits"
_ROWS = 256  # of a Parquet file in memory at once: a few MB of photos
_STRONGEST_FIRST: tuple[Split, ...] = ("test", "valid", "train")
_NAME = re.compile(r"[\w-]+_\d+")
_EXCERPT = 60
_MIN_FOLLOWED = 0.9
_BROKEN = "broken: no set_id or no items"
_TWICE = "the same set id twice in a split"
_ACROSS = "the same set id in another split (test wins over valid, valid over train)"


def columns_of(table: Path) -> tuple[str, ...]:
    """Names of a Parquet file's columns."""
    with _parquet_errors(table):
        return tuple(require("pyarrow.parquet", "train").read_schema(table).names)


def read_columns(
    tables: Sequence[Path], required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Rows of several Parquet files with only these columns; a row has the optional ones that its file has."""
    for table in tables:
        names = columns_of(table)
        missing = [name for name in required if name not in names]
        if missing:
            raise DataError(
                f"{table} has the columns {', '.join(names)}; it lacks {' and '.join(missing)}, which coordi reads: "
                "get the copy that docs/data.md names"
            )
        wanted = [*required, *(name for name in optional if name in names)]
        with _parquet_errors(table), require("pyarrow.parquet", "train").ParquetFile(table) as file:
            for batch in file.iter_batches(_ROWS, columns=wanted):
                yield from batch.to_pylist()


@contextmanager
def _parquet_errors(table: Path) -> Iterator[None]:
    pa = require("pyarrow", "train")
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{table} isn't a whole Parquet file: {' '.join(str(error).split())}; get it again") from error


def extract_photos(tables: Sequence[Path], id_column: str, wanted: Collection[str]) -> Mapping[str, Path]:
    """Write items' photos into coordi's cache, unless they are there; their paths by id, unchecked."""
    photos: dict[str, Path] = {}
    for table in tables:
        # A changed file gets another folder; the hub's cache resolves to a path that names the content.
        real = table.resolve()
        status = real.stat()
        key = hashlib.sha256(f"{real}\0{status.st_size}\0{status.st_mtime_ns}".encode()).hexdigest()[:16]
        folder = cache_folder() / "photos" / key
        with clear_write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for row in read_columns([table], (id_column, "image")):
                item_id, cell = id_of(row, id_column), row["image"]
                data = cell.get("bytes") if isinstance(cell, dict) else cell
                if item_id and item_id in wanted and isinstance(data, bytes) and data and item_id not in photos:
                    photos[item_id] = _write_photo(folder, item_id, data)
    return photos


def id_of(row: Mapping[str, Any], column: str) -> str:
    """The id of a row's item; ``""`` if the row has none."""
    return "" if row[column] is None else str(row[column])


def _write_photo(folder: Path, item_id: str, data: bytes) -> Path:
    path = folder / f"{quote(item_id, safe='')}.jpg"
    if not path.is_file():
        # Renamed once complete, so that an interrupted run leaves no half photo; not synced, as there are thousands.
        part = path.with_suffix(".part")
        part.write_bytes(data)
        part.replace(path)
    return path


def _read_list(path: Path, what: str) -> list[Any]:
    entries = read_json(path)
    if not isinstance(entries, list):
        raise DataError(f"{path} must hold a list of {what}, got {type(entries).__name__}; get the release's file")
    return entries


def _read_object(path: Path, what: str) -> Mapping[str, Mapping[str, Any]]:
    entries = read_json(path) if path.is_file() else {}
    if not isinstance(entries, dict):
        raise DataError(f"{path} must hold {what} by id, got a {type(entries).__name__}; get the release's file")
    return {name: entry for name, entry in entries.items() if isinstance(entry, dict)}


def _size(entry: Any) -> int:
    items = entry.get("items") if isinstance(entry, dict) else None
    return len(items) if isinstance(items, list) else 0


def sound_entries(
    files: Mapping[Split, Path], funnel: Funnel, *, own_items: bool
) -> tuple[list[OutfitEntry], dict[Split, list[OutfitEntry]]]:
    """A release's outfits with a set id and items: all, and the first of each set id in the strongest split that has
    it. Others are counted in the funnel, with their items where each belongs to its outfit alone (``own_items``).
    """
    entries = {split: _read_list(path, "outfits") for split, path in files.items()}
    funnel.read("outfits", sum(len(part) for part in entries.values()))
    if own_items:
        funnel.read("items", sum(_size(entry) for part in entries.values() for entry in part))
    left_out: dict[str, list[tuple[str, int]]] = {_BROKEN: [], _TWICE: [], _ACROSS: []}
    sound: dict[Split, list[OutfitEntry]] = {split: [] for split in SPLITS}
    unique: dict[Split, list[OutfitEntry]] = {split: [] for split in SPLITS}
    owner: dict[str, Split] = {}
    for split in _STRONGEST_FIRST:
        for number, entry in enumerate(entries.get(split, ()), start=1):
            set_id = str(entry.get("set_id") or "") if _size(entry) else ""
            if not set_id:
                left_out[_BROKEN].append((f"{files[split].name} entry {number}", _size(entry)))
                continue
            sound[split].append(entry)
            if set_id in owner:
                left_out[_TWICE if owner[set_id] == split else _ACROSS].append((set_id, _size(entry)))
            else:
                owner[set_id] = split
                unique[split].append(entry)
    for reason, cases in left_out.items():
        funnel.drop("outfits", reason, [name for name, _ in cases])
        funnel.drop("items", f"in an outfit left out: {reason}", sum(size for _, size in cases) if own_items else 0)
    return [entry for split in SPLITS for entry in sound[split]], unique


def read_compatibility_file(path: Path, item_ids: Mapping[str, str]) -> tuple[CompatibilityQuestion, ...]:
    """Read a file of compatibility questions, grouped by the set of their positive. A negative belongs to the positive
    before it, where each directly follows one and nearly every positive is followed by one (Maryland), or to the one at
    its place where all negatives follow all positives with as many items, one for one (Polyvore Outfits). Elsewhere it
    is a group of its own. A name that isn't in ``item_ids`` is its own id.
    """
    unit = "entry" if path.suffix == ".json" else "line"
    questions: list[tuple[bool, tuple[str, ...], str]] = []
    for number, label, names in _json_questions(path) if unit == "entry" else _text_questions(path):
        if label not in ("0", "1") or not names or not all(_NAME.fullmatch(name) for name in names):
            raise DataError(
                f"{path}, {unit} {number} isn't a question: '{' '.join([label, *names])[:_EXCERPT]}'; expected 1 or 0 "
                f"and then names such as 214272106_1; get the file again or mend that {unit}"
            )
        questions.append((label == "1", tuple(names), f"{unit}-{number}"))
    return tuple(
        CompatibilityQuestion("", group, tuple(item_ids.get(name, name) for name in names), label)
        for (label, names, _), group in zip(questions, _groups(questions), strict=True)
    )


def _text_questions(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if words := line.split():
            yield number, words[0], words[1:]


def _json_questions(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    for number, entry in enumerate(_read_list(path, "questions"), start=1):
        if isinstance(entry, dict) and isinstance(entry.get("items"), list):
            yield number, str(entry.get("label")), [str(name) for name in entry["items"]]
        else:
            yield number, str(entry), []


def _groups(questions: Sequence[tuple[bool, Sequence[str], str]]) -> list[str]:
    groups = [(_set_of(names) if label else "") or alone for label, names, alone in questions]
    labels = [label for label, _, _ in questions]
    positives = labels.count(True)
    # Few negatives among many positives stand apart in any order, which says nothing about what they were made for.
    paired = len(labels) - positives >= _MIN_FOLLOWED * positives
    if labels and labels[0] and paired and all(before or label for before, label in pairwise(labels)):
        return [groups[number] if label else groups[number - 1] for number, label in enumerate(labels)]
    sizes = [len(names) for _, names, _ in questions]
    in_blocks = labels == [True] * positives + [False] * positives
    if in_blocks and sizes[:positives] == sizes[positives:]:
        return groups[:positives] * 2
    return groups


def _set_of(names: Sequence[str]) -> str:
    """The set that all names belong to; ``""`` if they belong to several."""
    sets = {name.rsplit("_", 1)[0] for name in names}
    return sets.pop() if len(sets) == 1 else ""


def read_blanks_file(path: Path, item_ids: Mapping[str, str]) -> tuple[FitbQuestion, ...]:
    """Read a file of fill-in-the-blank questions. The right candidate is of the question's own set; of several, the one
    at ``blank_position``. A ``label`` must agree. That Maryland's stands first isn't relied on.
    """
    entries = enumerate(_read_list(path, "questions"), start=1)
    return tuple(_blank(entry, path, f"entry {number}", item_ids) for number, entry in entries)


def _blank(entry: Any, path: Path, number: str, item_ids: Mapping[str, str]) -> FitbQuestion:
    keys = ("items", "candidates") if isinstance(entry, dict) and "candidates" in entry else ("question", "answers")
    parts = []
    for key in keys:
        names = entry.get(key) if isinstance(entry, dict) else None
        if not isinstance(names, list) or not names or not all(_NAME.fullmatch(str(name)) for name in names):
            raise DataError(
                f"{path}, {number} isn't a question: its '{key}' is {str(names)[:_EXCERPT]}; expected a list of names "
                "such as 214272106_1; get the file again or mend that entry"
            )
        parts.append([str(name) for name in names])
    question, answers = parts
    if len(answers) < 2:
        raise DataError(
            f"{path}, {number} leaves nothing to choose: its '{keys[1]}' is {answers}; expected two names or more; get "
            "the file again or mend that entry"
        )
    own = _set_of(question)
    right = [position for position, name in enumerate(answers) if own and _set_of([name]) == own]
    if len(right) > 1:
        right = [position for position in right if answers[position] == f"{own}_{entry.get('blank_position')}"]
    if "label" in entry:
        right = [position for position in right if str(position) == str(entry["label"])]
    items, candidates = (tuple(item_ids.get(name, name) for name in names) for names in parts)
    answer = right[0] if len(right) == 1 else UNKNOWN_ANSWER
    return FitbQuestion("", own or number.replace(" ", "-"), items, candidates, answer)


def split_file(split: str) -> str:
    """Name of the Maryland release's file for a split."""
    return f"{split}_no_dup.json"


def read_maryland(folder: Path) -> Source:
    """Read the Maryland release's split files; item ids are ``<set_id>_<index>``, as in its question files."""
    funnel = Funnel()
    files = split_files(folder, split_file("{}"), SPLITS)
    _, unique = sound_entries(files, funnel, own_items=True)
    items: list[SourceItem] = []
    outfits: list[SourceOutfit] = []
    faults: dict[str, list[str]] = defaultdict(list)
    for split in SPLITS:
        for entry in unique[split]:
            own = _maryland_items(entry, folder, faults)
            items.extend(own.values())
            outfits.append(SourceOutfit(str(entry["set_id"]), tuple(own), split, str(entry.get("name") or "")))
    for reason, examples in faults.items():
        funnel.drop("items", reason, examples)
    questions = []
    for name, file in COMPATIBILITY_FILES.items():
        compatibility = read_compatibility_file(folder / file, {}) if (folder / file).exists() else ()
        has_blanks = name == "release" and (folder / BLANKS_FILE).exists()
        blanks = read_blanks_file(folder / BLANKS_FILE, {}) if has_blanks else ()
        if compatibility or blanks:
            questions.append(ReleaseQuestions(name, "test", compatibility, blanks))
    return Source(
        folder.name, "polyvore-maryland", tuple(items), tuple(outfits), funnel, keeps_single_items=False,
        splits=tuple(files), questions=tuple(questions),
    )  # fmt: skip


def _maryland_items(entry: OutfitEntry, folder: Path, faults: dict[str, list[str]]) -> dict[str, SourceItem]:
    items: dict[str, SourceItem] = {}
    set_id = str(entry["set_id"])
    for position, raw in enumerate(entry["items"], start=1):
        if not isinstance(raw, dict) or raw.get("index") is None:
            faults["broken item: no index"].append(f"set {set_id}, item {position}")
            continue
        item_id = f"{set_id}_{raw['index']}"
        if item_id in items:
            faults["the same index twice in an outfit"].append(item_id)
            continue
        # The release's own path of the photo first, then the path that the item names; an address is no path.
        image = inside(folder, f"images/{set_id}/{raw['index']}.jpg")
        if image is None or not image.is_file():
            image = inside(folder, str(raw.get("image") or ""))
        title = str(raw.get("name") or "")
        category = str(raw.get("categoryid"))
        category_id = int(category) if category.isdecimal() else -1
        row = maryland_categories().get(category_id)
        items[item_id] = SourceItem(
            id=item_id,
            title=title,
            category=maryland_category(category_id, title),
            subcategory=row.name if row else "",
            image=image,
            price=parse_price(raw.get("price")),
            extra={"likes": str(raw["likes"])} if raw.get("likes") is not None else {},
        )
    return items


@dataclass(frozen=True, slots=True)
class OutfitsRelease:
    """The files of one version of Polyvore Outfits, whatever the copy's layout. ``titles`` are of outfits by set id;
    ``without_id`` counts rows of ``items_file`` that have no item id.
    """

    name: str
    layout: str
    outfits: Mapping[Split, Path]
    compatibility: Mapping[Split, Path]
    blanks: Mapping[Split, Path]
    titles: Mapping[str, str] = field(default_factory=dict)
    items_file: str = METADATA
    without_id: int = 0


def is_version(folder: Path) -> bool:
    """Whether a folder is one of the release's two, with at least one list of outfits."""
    lists = split_files(folder, "{}.json", SPLITS)
    return bool(lists) and (
        folder.name in VERSIONS or any((path / METADATA).is_file() for path in (folder, folder.parent))
    )


def read_outfits(path: Path, settings: DataSettings) -> Source:
    """Read one version of the release, of its folder or the one above it; ``data.release`` says which."""
    folder = _version_folder(path, settings)
    parent = path if folder != path else folder.parent if folder.name in VERSIONS else folder
    titles = _read_object(_nearest(folder, "polyvore_outfit_titles.json"), "outfits")
    release = OutfitsRelease(
        name=parent.name if parent == folder else f"{parent.name} ({folder.name})",
        layout="polyvore-outfits",
        outfits=split_files(folder, "{}.json", SPLITS),
        compatibility=split_files(folder, "compatibility_{}.txt", QUESTION_SPLITS),
        blanks=split_files(folder, "fill_in_blank_{}.json", QUESTION_SPLITS),
        titles={set_id: _title(entry) for set_id, entry in titles.items()},
    )
    table = _category_rows(_nearest(folder, "categories.csv"))
    facts: dict[str, Mapping[str, Any]] = {}
    for item_id, row in _read_object(_nearest(folder, METADATA), "items").items():
        filled = {name: value for name, value in row.items() if value}
        facts[item_id] = {**table.get(str(row.get("category_id", "")), {}), **filled}
    images = _nearest(folder, "images")
    tables = sorted(_nearest(folder, f"data/{folder.name}").glob("*.parquet"))

    def photos(item_ids: Sequence[str]) -> Photos:
        if images.is_dir():
            return {item_id: inside(images, f"{item_id}.jpg") for item_id in item_ids}
        return extract_photos(tables, "item_id", set(item_ids))

    return release_source(release, facts, photos, parent)


def release_source(
    release: OutfitsRelease, facts: Facts, photos: Callable[[Sequence[str]], Photos], where: Path
) -> Source:
    """Assemble a version; ``photos`` gives the photos of items, ``where`` is the folder that an error names."""
    funnel = Funnel()
    entries, unique = sound_entries(release.outfits, funnel, own_items=False)
    named = {name: item_id for entry in entries for name, item_id in _listed(entry)}
    outfits = tuple(_outfit(entry, split, release) for split in SPLITS for entry in unique[split])
    item_ids = tuple(dict.fromkeys(named.values()))
    funnel.read("items", len(item_ids))
    cut = [str(entry["set_id"]) for entry in entries if len(_listed(entry)) < len(entry["items"])]
    funnel.note("outfits", "lists an item without item_id or index, which is passed over", cut)
    images = photos(item_ids)
    if not facts and not any(image.is_file() for image in images.values() if image):
        raise DataError(
            f"{where} has outfits but neither titles nor photos of their items: it lacks {release.items_file} (titles) "
            f"and images/<item_id>.jpg (photos); one of them must lie in it, see docs/data.md: get it from {_HUB}"
        )
    funnel.note("items", f"without an id in {release.items_file}, which nothing can wear", release.without_id)
    missing = [item_id for item_id in item_ids if item_id not in facts]
    funnel.note("items", f"not in {release.items_file}", missing)
    items = tuple(_outfits_item(name, facts.get(name, {}), images.get(name)) for name in item_ids)
    questions = []
    for split in QUESTION_SPLITS:
        compatibility, blanks = release.compatibility.get(split), release.blanks.get(split)
        if compatibility or blanks:
            pairs = read_compatibility_file(compatibility, named) if compatibility else ()
            choices = read_blanks_file(blanks, named) if blanks else ()
            questions.append(ReleaseQuestions("release", split, pairs, choices))
    return Source(
        release.name, release.layout, items, outfits, funnel, keeps_single_items=False,
        splits=tuple(release.outfits), questions=tuple(questions),
    )  # fmt: skip


def _version_folder(path: Path, settings: DataSettings) -> Path:
    wanted = settings.release
    if is_version(path):
        if wanted is not None and path.name in VERSIONS and path.name != wanted:
            raise DataError(
                f"{path} is the {path.name} version, but data.release={wanted} was asked for; give the folder above it"
            )
        return path
    there = [name for name in VERSIONS if split_files(path / name, "{}.json", SPLITS)]
    return path / chosen_version(path, settings, there, "", _HUB)


def chosen_version(path: Path, settings: DataSettings, there: Sequence[str], suffix: str, hub: str) -> str:
    """The version of the settings; if they have none the one that is there, of both ``nondisjoint``."""
    wanted = settings.release or (*there, *VERSIONS)[0]
    if wanted in there:
        return wanted
    lists = f"{wanted}{suffix}/train.json, valid.json or test.json"
    way_out = f"only {' and '.join(there)}: set data.release={there[0]}, or" if there else "nor any other:"
    raise DataError(f"{path} has no {wanted} version of Polyvore Outfits ({lists}), {way_out} get it from {hub}")


def _nearest(folder: Path, name: str) -> Path:
    return folder / name if (folder / name).exists() else folder.parent / name


def split_files(folder: Path, name: str, splits: Sequence[Split]) -> dict[Split, Path]:
    """The files of a name such as ``"{}.json"`` that exist, by split."""
    paths = {split: folder / name.format(split) for split in splits}
    return {split: path for split, path in paths.items() if path.is_file()}


def _category_rows(path: Path) -> Mapping[str, Mapping[str, str]]:
    """By category id, the release's own names: lines of id, fine name and semantic category."""
    rows = [row for row in csv.reader(read_text(path).splitlines()) if row] if path.is_file() else []
    short = [number for number, row in enumerate(rows, start=1) if len(row) < 3]
    if short:
        raise DataError(f"{path}, row {short[0]} isn't a category: expected id, name, semantic category")
    return {row[0].strip(): {"fine_category": row[1].strip(), "semantic_category": row[2].strip()} for row in rows}


def _title(facts: Mapping[str, Any]) -> str:
    """The seller's title, else the words of its address, which are the same in small letters."""
    return str(facts.get("title") or "").strip() or str(facts.get("url_name") or "").strip()


def _listed(entry: OutfitEntry) -> list[tuple[str, str]]:
    """The sound items of an outfit: the name in question files and the item id of each."""
    return [
        (f"{entry['set_id']}_{raw['index']}", str(raw["item_id"]))
        for raw in entry["items"]
        if isinstance(raw, dict) and raw.get("index") is not None and str(raw.get("item_id") or "")
    ]


def _outfit(entry: OutfitEntry, split: Split, release: OutfitsRelease) -> SourceOutfit:
    item_ids = tuple(dict.fromkeys(item_id for _, item_id in _listed(entry)))
    return SourceOutfit(str(entry["set_id"]), item_ids, split, release.titles.get(str(entry["set_id"]), ""))


def _outfits_item(item_id: str, facts: Mapping[str, Any], image: Path | None) -> SourceItem:
    title = _title(facts)
    category_id = str(facts.get("category_id", ""))
    semantic = str(facts.get("semantic_category") or "").strip()
    row = maryland_categories().get(int(category_id)) if category_id.isdecimal() else None
    description = str(facts.get("description") or "").strip()
    return SourceItem(
        id=item_id,
        title=title,
        category=outfits_category(row, semantic, title),
        subcategory=row.name if row else str(facts.get("fine_category") or semantic),
        image=image,
        extra={"description": description} if description else {},
    )
