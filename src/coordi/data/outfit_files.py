"""What both Polyvore releases have in common: JSON lists of outfits by split, with set ids that repeat.

The test split wins a duplicate: a shorter training set costs little, a test outfit seen in training is a lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coordi.data.files import read_json
from coordi.data.funnel import Funnel, with_examples
from coordi.domain import Split
from coordi.errors import DataError

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
