"""Reader for the Maryland Polyvore release (Han et al., 2017), with the quirks it truly has.

Quirks: titles are empty or in a wrong encoding; ``price`` is -1 where unknown; ``image`` is a relative path of an
older layout or a dead address, while the photos lie at ``images/<set_id>/<index>.jpg``; many "items" are rugs and
lipsticks; set ids repeat within and across the split files.

References:
    Han et al., Learning Fashion Compatibility with Bidirectional LSTMs, 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from coordi.data.categories import maryland_categories, maryland_category
from coordi.data.files import inside, read_json
from coordi.data.funnel import Funnel, with_examples
from coordi.data.question_files import read_blanks_file, read_compatibility_file
from coordi.data.source import Source, SourceItem, SourceOutfit, SourceQuestions, known_price
from coordi.domain import SPLITS, Split
from coordi.errors import DataError

LAYOUT = "polyvore-maryland"
# The test split wins a duplicate: a shorter training set costs little, a test outfit seen in training is a lie.
_STRONGEST_FIRST: tuple[Split, ...] = ("test", "valid", "train")
_Set = Mapping[str, Any]

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
    sets = {split: _read_split(folder / split_file(split)) for split in SPLITS if (folder / split_file(split)).exists()}
    funnel.read("outfits", sum(len(found) for found in sets.values()))
    funnel.read("items", sum(_size(entry) for found in sets.values() for entry in found))
    whole = _leave_out_broken(sets, funnel)
    unique = _leave_out_repeated(whole, funnel)
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
        folder.name, LAYOUT, tuple(items), tuple(outfits), funnel, keeps_single_items=False, splits=tuple(sets),
        questions=_read_questions(folder),
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


def _read_split(path: Path) -> Sequence[Any]:
    entries = read_json(path)
    if not isinstance(entries, list):
        raise DataError(f"{path} must hold a list of outfits, got {type(entries).__name__}; get the release's file")
    return entries


def _size(entry: Any) -> int:
    items = entry.get("items") if isinstance(entry, dict) else None
    return len(items) if isinstance(items, list) else 0


def _leave_out_broken(sets: Mapping[Split, Sequence[Any]], funnel: Funnel) -> dict[Split, list[_Set]]:
    whole: dict[Split, list[_Set]] = {}
    broken: list[str] = []
    lost = 0
    for split, entries in sets.items():
        whole[split] = []
        for number, entry in enumerate(entries, start=1):
            if _size(entry) and str(entry.get("set_id") or ""):
                whole[split].append(entry)
            else:
                broken.append(f"{split_file(split)} entry {number}")
                lost += _size(entry)
    funnel.drop("outfits", with_examples("broken: no set_id or no items", broken), len(broken))
    funnel.drop("items", "in a broken outfit", lost)
    return whole


def _leave_out_repeated(sets: Mapping[Split, Sequence[_Set]], funnel: Funnel) -> dict[Split, list[_Set]]:
    owner: dict[str, Split] = {}
    unique: dict[Split, list[_Set]] = {}
    twice: list[_Set] = []
    across: list[_Set] = []
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
        funnel.drop("items", f"in an outfit left out: {reason}", sum(_size(entry) for entry in entries))
    return unique


def _items_of(entry: _Set, folder: Path, faults: dict[str, list[str]]) -> list[SourceItem]:
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
        kind=row.name if row else "",
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
