"""A folder of photos as people have them: every file is an item or is counted with the reason why not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from coordi.config import DataSettings
from coordi.data.feed import FOLDER_CLOSED, HIDDEN, NO_FILE, WRITTEN_BY_COORDI, find_photos, read_photos, walk
from coordi.data.loading import load, recognise
from coordi.data.photos import CUT_SHORT, EMPTY, MISSING, NOT_A_PHOTO
from coordi.errors import DataError
from coordi.types import Dataset

Save = Callable[..., Path]
AddsUp = Callable[[Dataset], None]


@pytest.fixture
def folder(tmp_path: Path, photo: Save) -> Path:
    """What a wardrobe's folder looks like after some years."""
    place = tmp_path / "wardrobe"
    for name in (
        "IMG_1.JPG",
        "red dress été 💃.jpeg",
        "Schuhe & Stiefel/a'b\"c.png",
        "deep/er/and/deeper/x.webp",
        "y.jfif",
    ):
        photo(place / name, format="JPEG" if name.endswith("jfif") else None)
    photo(place / "no ending", format="JPEG")
    photo(place / "photo.jpg.bak", format="PNG")
    photo(place / ".hidden.jpg")
    photo(place / ".git" / "x.jpg")
    (place / "cut.jpg").write_bytes((place / "IMG_1.JPG").read_bytes()[:200])
    (place / "empty.png").write_bytes(b"")
    (place / "IMG_2.JXL").write_bytes(b"\xff\x0a\0\0\0\0")
    (place / "clip.mov").write_bytes(b"\0\0\0\x14ftypqt  \0\0\0\0")
    (place / "notes.txt").write_text("buy socks")
    (place / "gone.jpg").symlink_to("nowhere.jpg")
    (place / "round.jpg").symlink_to("round.jpg")
    (place / "loop").symlink_to(place, target_is_directory=True)
    photo(place / "described" / "thumbnail.jpg")
    (place / "described" / "manifest.json").write_text("{}")
    os.mkfifo(place / "pipe")
    return place


def test_every_file_is_an_item_or_counted(folder: Path, adds_up: AddsUp) -> None:
    assert recognise(folder) == "photos"
    dataset = load(folder, DataSettings(photos="required"), 1)
    adds_up(dataset)
    assert sorted(dataset.items) == [
        "IMG_1", "Schuhe & Stiefel/a'b\"c", "deep/er/and/deeper/x", "no ending", "photo.jpg", "red dress été 💃", "y",
    ]  # fmt: skip
    assert dataset.items["red dress été 💃"].category == "dress"
    assert {row.reason: row.count for row in dataset.funnel if row.dropped} == {
        f"{HIDDEN} (.git, .hidden.jpg)": 2,
        f"{WRITTEN_BY_COORDI} (described)": 1,
        f"{NO_FILE} (loop, pipe)": 2,
        f"{MISSING} (gone.jpg, round.jpg)": 2,
        f"{NOT_A_PHOTO} (notes.txt)": 1,
        "photo is JPEG XL, which isn't opened: save it as JPEG or PNG (IMG_2.JXL)": 1,
        "photo is a video, which isn't opened: save it as JPEG or PNG (clip.mov)": 1,
        f"{CUT_SHORT} (cut)": 1,
        f"{EMPTY} (empty)": 1,
    }


def test_photos_may_be_left_unchecked_for_who_opens_them_anyway(folder: Path, adds_up: AddsUp) -> None:
    dataset = load(folder, DataSettings(photos="optional"), 1, check_photos=False)
    adds_up(dataset)
    assert {"cut", "empty"} <= set(dataset.items)
    assert len(dataset.items) == 9


def test_the_order_is_the_same_every_time(folder: Path) -> None:
    assert [found.path for found in walk(folder)] == [found.path for found in walk(folder)]
    assert [item.id for item in read_photos(folder).items] == [item.id for item in read_photos(folder).items]
    assert len(list(find_photos(folder))) == 9


def test_a_folder_without_one_photo_says_what_its_files_are(tmp_path: Path) -> None:
    (tmp_path / "IMG_2.JXL").write_bytes(b"\xff\x0a\0\0\0\0")
    (tmp_path / "notes.txt").write_text("buy socks")
    with pytest.raises(DataError, match=r"IMG_2.JXL, notes.txt \(photo is JPEG XL, which isn't opened: save it as"):
        load(tmp_path, DataSettings(), 1)


def test_a_name_in_another_encoding_is_an_item(tmp_path: Path, photo: Save) -> None:
    source = photo(tmp_path / "wardrobe" / "a.jpg")
    source.rename(source.with_name(os.fsdecode(b"caf\xe9.jpg")))
    (item,) = read_photos(source.parent).items
    assert item.id == "caf\\udce9"
    assert item.image is not None
    assert item.image.is_file()


def test_a_folder_that_cant_be_opened_is_counted(tmp_path: Path, photo: Save, request: pytest.FixtureRequest) -> None:
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "closed" / "b.jpg")
    (tmp_path / "closed").chmod(0o311)
    request.getfixturevalue("as_nobody")
    source = read_photos(tmp_path)
    assert [item.id for item in source.items] == ["a"]
    assert [(row.reason, row.count) for row in source.funnel.rows][1:] == [(f"{FOLDER_CLOSED} (closed)", 1)]
