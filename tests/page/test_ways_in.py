"""Photos that are dropped, pasted or taken, a folder of the user's, and a server that loads or has too much to do."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from ..sample import write_several_garments
from .conftest import QUICK, READY_SECONDS, OpenContext, Server
from .doing import add_photos, outfit_score, pieces, settle, suggestions

# The origin's own folder is a real one that needs no hand to choose it.
PICKER = """window.showDirectoryPicker = async () => {
  if (window.isCancelled) throw new DOMException('The user went away', 'AbortError');
  return (await navigator.storage.getDirectory()).getDirectoryHandle('clothes', {create: true});
}"""
# What is said may be gone before anybody looks.
BANNERS = """window.banners = [];
new MutationObserver(() => {
  document.querySelectorAll('.banner, main p').forEach((one) => window.banners.push(one.textContent));
}).observe(document, {childList: true, subtree: true, characterData: true});
"""
GIVE = """([name, content, what, where]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type: 'image/jpeg'}));
  const options = {bubbles: true, cancelable: true};
  const place = document.querySelector(where);
  if (what === 'paste') place.dispatchEvent(new ClipboardEvent('paste', {...options, clipboardData: transfer}));
  else return ['dragover', 'drop'].map((kind) =>
    place.dispatchEvent(new DragEvent(kind, {...options, dataTransfer: transfer}))).some(Boolean);
}"""


@pytest.mark.parametrize(
    ("way", "where"), [("paste", "body"), ("drop", ".dropzone"), ("drop", ".dropzone p"), ("drop", "h1")]
)
def test_a_photo_is_pasted_or_dropped(page: Page, own_photos: list[Path], way: str, where: str) -> None:
    """Dropped anywhere: a browser would leave the page for a file that the page doesn't take."""
    expect(page.get_by_role("button", name="From the catalogue").first).to_be_visible()
    photo = own_photos[0]
    left = page.evaluate(GIVE, [photo.name, base64.b64encode(photo.read_bytes()).decode(), way, where])
    assert not left
    expect(pieces(page)).to_have_count(1)
    expect(page.get_by_text("This photo was in your wardrobe already.")).to_have_count(0)


def test_a_phone_takes_a_photo(page: Page, own_photos: list[Path]) -> None:
    camera = page.get_by_label("Take a photo").first
    expect(camera).to_have_attribute("capture", "environment")
    camera.set_input_files(str(own_photos[0]))
    expect(pieces(page)).to_have_count(1)


def test_a_photo_of_several_garments_is_named_as_such_until_its_label_goes(page: Page, tmp_path: Path) -> None:
    add_photos(page, [write_several_garments(tmp_path / "a.png", 2)])
    sentence = page.get_by_text("This photo shows several garments, which count as one here.")
    expect(sentence).to_be_visible()
    page.get_by_role("button", name=re.compile("^Remove .*several garments")).click()
    expect(sentence).to_have_count(0)


def test_a_wardrobe_in_a_folder_comes_back_from_it(page: Page, own_photos: list[Path]) -> None:
    page.evaluate(PICKER)
    add_photos(page, own_photos[:2])
    settle(page)
    page.get_by_role("link", name="Wardrobe", exact=False).last.click()
    keep = page.get_by_role("button", name="Keep in a folder")
    page.evaluate("window.isCancelled = true")
    keep.click()
    expect(keep).to_be_enabled()
    expect(page.locator(".moving__said")).to_be_empty()
    page.evaluate("window.isCancelled = false")
    keep.click()
    expect(page.get_by_text("clothes")).to_be_visible()
    for piece in page.get_by_role("article").all()[::-1]:
        piece.get_by_role("button", name="from the wardrobe").click()
    expect(page.get_by_role("article")).to_have_count(0)
    keep.click()
    expect(page.get_by_text("Added: 2 pieces")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(2)
    photo = page.get_by_role("article").first.locator("img")
    assert photo.evaluate("image => image.decode().then(() => image.naturalWidth)")


def test_a_page_that_is_come_back_to_shows_a_changed_catalogue(
    open_context: OpenContext, own_photos: list[Path], tmp_path: Path
) -> None:
    """Of photos alone: its items are called by what is seen in them."""
    own, photos = tmp_path / "catalogue", tmp_path / "photos"
    photos.mkdir()
    for photo in own_photos:
        shutil.copy(photo, photos)
    build = [sys.executable, "-m", "coordi", "catalogue", "build", str(photos), "--out", str(own)]
    subprocess.run(build, check=True, capture_output=True)
    running = Server(("--catalogue", str(own)))
    running.start()
    try:
        page = open_context(running).new_page()
        page.goto("/")
        page.get_by_role("button", name="From the catalogue").first.click()
        expect(page.locator(".shelf__title").first).to_be_visible()
        names = page.locator(".shelf__title").all_inner_texts()
        assert all(re.fullmatch(r"[a-z][a-z -]+", name) for name in names), names
        page.keyboard.press("Escape")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.split("/api/v1/")[-1]))

        def come_back() -> None:
            with page.expect_response("**/ready"):
                page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

        come_back()
        page.wait_for_timeout(500)
        assert "vocabulary" not in asked
        page.wait_for_timeout(1000)  # a catalogue says in whole seconds when it was made
        with httpx.Client(base_url=running.address, timeout=60) as client:
            (first,) = client.get("/api/v1/catalogue/items?limit=1").json()["items"]
            before = client.get("/api/v1/ready").json()["items"]
            remove = [sys.executable, "-m", "coordi", "catalogue", "remove", str(own), first["id"]]
            subprocess.run(remove, check=True, capture_output=True)
            end = time.monotonic() + 60
            while client.get("/api/v1/ready").json()["items"] == before:
                assert time.monotonic() < end
                page.wait_for_timeout(200)
        with page.expect_request("**/vocabulary"):
            come_back()
    finally:
        running.stop()


@pytest.fixture
def narrow(catalogue: Path) -> Iterator[Server]:
    """A server that does one thing at a time and lets nobody wait."""
    running = Server(("--catalogue", str(catalogue), "--workers", "1", "--queue", "0"))
    yield running
    running.stop()


@contextmanager
def busy(server: Server) -> Iterator[None]:
    """The server is asked by others too, each one thing after the other."""
    is_over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.address, timeout=60) as client:
            while not is_over.is_set():
                client.post("/api/v1/complete", json={"items": [{"text": "navy wool blazer"}], "language_model": False})

    others = [threading.Thread(target=ask) for _ in range(3)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        is_over.set()
        for other in others:
            other.join()


def test_a_page_waits_for_models_and_for_its_turn(open_context: OpenContext, narrow: Server) -> None:
    narrow.start(until="answers already")
    page = open_context(narrow).new_page()
    page.add_init_script(QUICK)  # A place that is taken for seconds would outlast the page's patience.
    page.add_init_script(BANNERS)
    refused: list[str] = []
    page.on("response", lambda response: refused.append(response.url) if response.status == 503 else None)
    with page.expect_response(lambda one: one.url.endswith("/ready") and one.ok, timeout=1000 * READY_SECONDS):
        page.goto("/#looks")
    expect(page.get_by_text("The models are loading")).to_have_count(0)
    was_loading = any(url.endswith("/ready") for url in refused)  # a slow browser may come when all is loaded
    assert any("The models are loading" in one for one in page.evaluate("window.banners")) == was_loading
    assert not any("There is no catalogue" in one for one in page.evaluate("window.banners"))
    page.goto("/#outfit")
    refused.clear()
    with busy(narrow):
        for place, words in enumerate(("navy wool blazer", "white leather sneakers"), 1):
            page.get_by_label("An item in words").fill(words)
            page.keyboard.press("Enter")
            expect(pieces(page)).to_have_count(place)
        end = time.monotonic() + 60
        while not refused:
            assert time.monotonic() < end
            page.wait_for_timeout(100)
    expect(outfit_score(page).get_by_text("/100")).to_be_visible(timeout=60_000)
    expect(suggestions(page).first).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Your request is tried again in a moment.")).to_have_count(0)
    assert any("Your request is tried again in a moment." in banner for banner in page.evaluate("window.banners"))
