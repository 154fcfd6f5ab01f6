"""The reader for a folder of photos: every file in it becomes an item or is counted with the reason why not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from coordi.artifacts import MANIFEST
from coordi.data.categories import worn_or_not
from coordi.data.funnel import Funnel, with_examples
from coordi.data.photo_formats import SNIFFED, format_of
from coordi.data.photos import MISSING, NOT_A_PHOTO, NOT_ALLOWED, PHOTO_SUFFIXES, not_a_photo
from coordi.data.source import RowProblem, Source, SourceItem
from coordi.data.titles import title_of_file
from coordi.domain import WornCategory

HIDDEN = "hidden: its name begins with a dot"
NO_FILE = "no file: a link that leads nowhere, in a circle or to a folder, or a device"
FOLDER_CLOSED = "folder that can't be opened: its rights, or the disk"
MADE_BY_COORDI = "folder that coordi wrote"


@dataclass(frozen=True, slots=True)
class Found:
    """Something in a folder.

    Attributes:
        path: Where it is; for a folder that wasn't entered, the folder.
        left_out: Why it is no item; None for a photo.
    """

    path: Path
    left_out: str | None


def walk(folder: Path) -> Iterator[Found]:
    """Everything in a folder and the folders in it, folder by folder and sorted in each.

    Links to files are followed and links to folders aren't, so a circle of links ends. A name that ends like a photo is
    believed here; any other file is a photo if its first bytes say so. Hidden folders and those that coordi wrote are
    named but not entered.
    """
    closed: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=closed.append):
        here = Path(place)
        entered = []
        for name in sorted(folders):
            left_out = _not_entered(here / name)
            if left_out is None:
                entered.append(name)
            else:
                yield Found(here / name, left_out)
        folders[:] = entered
        for name in sorted(names):
            yield Found(here / name, _no_photo(here / name))
    for error in closed:
        yield Found(Path(error.filename), FOLDER_CLOSED)


def find_photos(folder: Path) -> Iterator[Path]:
    """Photos in a folder and the folders in it, in the order of ``walk``."""
    return (found.path for found in walk(folder) if found.left_out is None)


def read_photos(folder: Path) -> Source:
    """Read a folder of photos: an item's id is its path without suffix, its title the words of its name.

    A folder's name (``shoes/IMG_1.jpg``) tells the category where the file's own name doesn't. Where neither does,
    the category stays open until an encoder has seen the photo. Every other file is a row of the funnel.
    """
    funnel = Funnel()
    paths: list[Path] = []
    left_out: dict[str, list[str]] = {}
    for found in walk(folder):
        if found.left_out is None:
            paths.append(found.path)
        else:
            left_out.setdefault(found.left_out, []).append(_within(found.path, folder))
    funnel.read("items", len(paths) + sum(map(len, left_out.values())))
    items: dict[str, SourceItem] = {}
    for path in sorted(paths):
        within = path.relative_to(folder)
        item_id = _plain(within.with_suffix("").as_posix())
        if item_id in items:
            left_out.setdefault("duplicate id: the same name with another suffix", []).append(_within(path, folder))
            continue
        title = title_of_file(_plain(path.stem))
        items[item_id] = SourceItem(item_id, title, _first_known([title, *reversed(within.parent.parts)]), image=path)
    for reason, names in left_out.items():
        funnel.drop("items", with_examples(reason, names), len(names))
    found_items = tuple(items.values())
    problems = tuple(RowProblem(reason, value=name) for reason, names in left_out.items() for name in names)
    return Source(
        folder.name,
        "photos",
        found_items,
        (),
        funnel,
        keeps_single_items=True,
        titles_needed=False,
        problems=problems,
    )


def _not_entered(folder: Path) -> str | None:
    if folder.name.startswith("."):
        return HIDDEN
    if folder.is_symlink():
        return NO_FILE
    return MADE_BY_COORDI if (folder / MANIFEST).is_file() else None


def _no_photo(path: Path) -> str | None:
    if path.name.startswith("."):
        return HIDDEN
    try:
        if not path.is_file():
            return MISSING if path.suffix.lower() in PHOTO_SUFFIXES else NO_FILE
        if path.suffix.lower() in PHOTO_SUFFIXES:
            return None
        with path.open("rb") as file:
            start = file.read(SNIFFED)
    except OSError:
        return NOT_ALLOWED if path.suffix.lower() in PHOTO_SUFFIXES else NOT_A_PHOTO
    return not_a_photo(start) if format_of(start) is None else None


def _within(path: Path, folder: Path) -> str:
    return _plain(path.relative_to(folder).as_posix())


def _plain(name: str) -> str:
    """A name that can be written as UTF-8: bytes of another encoding are shown as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _first_known(texts: Iterable[str]) -> WornCategory | str | None:
    return next((found for text in texts if (found := worn_or_not(text)) is not None), None)
