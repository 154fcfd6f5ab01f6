"""Reader for the Maryland Polyvore release (Han et al., 2017), with the quirks it truly has.

Quirks: titles are empty or in a wrong encoding; ``price`` is -1 where unknown; ``image`` is a relative path of an
older layout or a dead address, while the photos lie at ``images/<set_id>/<index>.jpg``; many "items" are rugs and
lipsticks; set ids repeat within and across the split files.

References:
    Han et al., Learning Fashion Compatibility with Bidirectional LSTMs, 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from coordi.data.categories import maryland_categories, maryland_category
from coordi.data.files import inside
from coordi.data.funnel import Funnel, with_examples
from coordi.data.outfit_files import OutfitEntry, leave_out_broken, leave_out_repeated, read_outfit_files, size_of
from coordi.data.question_files import read_blanks_file, read_compatibility_file
from coordi.data.source import Source, SourceItem, SourceOutfit, SourceQuestions, known_price
from coordi.domain import SPLITS, Split

LAYOUT = "polyvore-maryland"

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
        folder.name, LAYOUT, tuple(items), tuple(outfits), funnel, keeps_single_items=False, splits=tuple(files),
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
