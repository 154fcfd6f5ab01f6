"""Everything that is kept goes out as one ZIP and comes back; what isn't one is refused and changes nothing."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, expect

from .doing import add_photos, keep, settle


def open_wardrobe(page: Page) -> None:
    page.get_by_role("link", name="Wardrobe", exact=False).last.click()
    expect(page.get_by_role("heading", name="Your wardrobe")).to_be_visible()


def export(page: Page, to: Path) -> dict[str, bytes]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as ZIP").click()
    download.value.save_as(to)
    with zipfile.ZipFile(to) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def take_in(page: Page, content: bytes) -> None:
    given: FilePayload = {"name": "w.zip", "mimeType": "application/zip", "buffer": content}
    page.get_by_label("Import a ZIP").set_input_files(given)


def zipped(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def test_all_of_it_goes_out_and_comes_back_once(page: Page, own_photos: list[Path], tmp_path: Path) -> None:
    add_photos(page, own_photos[:2])
    settle(page)
    keep(page, "Friday")
    open_wardrobe(page)
    files = export(page, tmp_path / "out.zip")
    photos = sorted(name for name in files if name != "wardrobe.json")
    assert len(photos) == 2
    assert {name.split("/")[0] for name in photos} == {"photos"}
    content = json.loads(files["wardrobe.json"])
    assert (content["format"], content["version"]) == ("coordi-wardrobe", 1)
    for name in page.get_by_role("article").all()[::-1]:
        name.get_by_role("button", name="from the wardrobe").click()
    page.get_by_role("link", name="Kept").click()
    page.get_by_role("button", name="Delete Friday").click()
    open_wardrobe(page)
    take_in(page, (tmp_path / "out.zip").read_bytes())
    expect(page.get_by_text("Added: 2 pieces, 1 look.")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(2)
    assert (
        page.get_by_role("article")
        .first.locator("img")
        .evaluate("image => image.decode().then(() => image.naturalWidth)")
    )
    take_in(page, (tmp_path / "out.zip").read_bytes())
    expect(page.get_by_text("Added: 0 pieces, 0 looks. 3 were here already.")).to_be_visible()
    again = export(page, tmp_path / "again.zip")
    assert sorted(again) == sorted(files)
    assert {item["uid"] for item in json.loads(again["wardrobe.json"])["items"]} == {i["uid"] for i in content["items"]}
    page.reload()
    expect(page.get_by_role("article")).to_have_count(2)


def wardrobe(**change: Any) -> bytes:
    words: dict[str, Any] = {
        "uid": "w-" + "0" * 32,
        "kind": "words",
        "title": "red scarf",
        "category": None,
        "attributes": {},
        "added": 1,
    }
    whole = {"format": "coordi-wardrobe", "version": 1, "items": [words], "pieces": [], "kept": []}
    return json.dumps(whole | change).encode()


BOMB = {"photos/" + "0" * 64 + ".jpg": bytes(30_000_000), "wardrobe.json": wardrobe()}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no archive at all", "This file isn't a ZIP that can be read."),
        (zipped({"notes.txt": b"x"}), "This ZIP has no wardrobe of coordi in it"),
        (zipped({"wardrobe.json": b"{"}), "This ZIP has no wardrobe of coordi in it"),
        (zipped({"wardrobe.json": wardrobe(version=2)}), "another version of coordi"),
        (zipped(BOMB), "This ZIP holds more than a wardrobe may"),
        (zipped({"wardrobe.json": wardrobe()})[:-30], "This file isn't a ZIP that can be read."),
    ],
    ids=["not a zip", "no wardrobe", "broken json", "version", "bomb", "cut short"],
)
def test_what_is_no_wardrobe_is_refused_with_a_sentence(page: Page, content: bytes, sentence: str) -> None:
    open_wardrobe(page)
    page.get_by_label("An item in words").fill("green hat")
    page.keyboard.press("Enter")
    take_in(page, content)
    expect(page.get_by_role("region", name="Take it with you")).to_contain_text(sentence)
    expect(page.get_by_role("article")).to_have_count(1)


def test_broken_entries_are_left_out_and_counted(page: Page) -> None:
    good = json.loads(wardrobe())["items"][0]
    broken = [
        {}, 7, good | {"uid": "w-1"}, good | {"uid": "w-" + "1" * 32, "attributes": {"colour": [{"text": 5}]}},
        {"uid": "p-" + "2" * 32, "kind": "photo", "photo": "2" * 64, "category": "top", "attributes": {}},
    ]  # fmt: skip
    open_wardrobe(page)
    take_in(page, zipped({"wardrobe.json": wardrobe(items=[good, *broken], kept=[{"name": "x"}])}))
    expect(page.get_by_text("Added: 1 piece, 0 looks. 6 entries were broken and left out.")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(1)


def test_a_zip_that_lies_about_its_sizes_is_refused_at_once(page: Page) -> None:
    """4 MiB that unpack to 4 GiB and claim 1,000 bytes: the page was frozen for a minute."""
    deflating = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join(deflating.compress(bytes(2**20)) for _ in range(4200)) + deflating.flush()
    name = f"photos/{'a' * 64}.jpg".encode()
    sizes = struct.pack("<IIIH", 0, len(data), 1000, len(name))
    local = struct.pack("<4sHHHHH", b"PK\3\4", 20, 0, 8, 0, 0) + sizes + bytes(2) + name + data
    central = struct.pack("<4sHHHHHH", b"PK\1\2", 20, 20, 0, 8, 0, 0) + sizes + bytes(14) + name
    # Comment, disk, attributes and the offset of the local header are zeros.
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0)
    open_wardrobe(page)
    take_in(page, local + central + end)
    expect(page.get_by_text("This ZIP holds more than a wardrobe may")).to_be_visible(timeout=10_000)
