"""Reader for the Polyvore Outfits release (Vasileva et al., 2018), in either of its two versions.

``nondisjoint`` splits outfits at random, so an item may be in two splits; in ``disjoint`` no test or validation item is
in training. Items are shared between outfits. Outfits lie in ``<version>/{train,valid,test}.json``, what is said of
items in ``polyvore_item_metadata.json``, photos in ``images/<item_id>.jpg`` or, in the hub's copy, in
``data/<version>/*.parquet``.

References:
    Vasileva et al., Learning Type-Aware Embeddings for Fashion Compatibility, 2018.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from coordi.config import DataSettings
from coordi.data.categories import maryland_categories, outfits_category
from coordi.data.files import inside, read_json, read_text
from coordi.data.funnel import Funnel, with_examples
from coordi.data.outfit_files import OutfitEntry, leave_out_broken, leave_out_repeated, read_outfit_files
from coordi.data.parquet_photos import extract_photos
from coordi.data.question_files import read_blanks_file, read_compatibility_file
from coordi.data.source import Source, SourceItem, SourceOutfit, SourceQuestions
from coordi.domain import NO_EXTRA, SPLITS, Split
from coordi.errors import DataError

LAYOUT = "polyvore-outfits"
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
        layout=LAYOUT,
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
        release.name, release.layout, tuple(_item(name, facts or {}, photo_of(name)) for name in item_ids), outfits,
        funnel, keeps_single_items=False, splits=tuple(release.outfits), questions=_questions(release, named),
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


def _item(item_id: str, facts: Facts, image: Path | None) -> SourceItem:
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
        kind=row.name if row else str(mine.get("fine_category") or semantic),
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
