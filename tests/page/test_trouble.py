"""What goes wrong is said in a sentence, and nothing else is lost by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import OpenContext, Server
from .doing import add_photos, outfit_score, pieces

TOKEN = "a-token-that-is-long-enough-for-it"


def test_a_broken_photo_stops_no_other(page: Page, own_photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(own_photos[0].read_bytes()[:300])
    (tmp_path / "notes.png").write_text("no photo", encoding="utf-8")
    (tmp_path / "empty.jpg").write_bytes(b"")
    given = [tmp_path / "broken.jpg", own_photos[0], tmp_path / "notes.png", tmp_path / "empty.jpg", own_photos[1]]
    page.get_by_label("Add photos").set_input_files([str(path) for path in given])
    expect(pieces(page)).to_have_count(2)
    alerts = page.get_by_role("alert").filter(has_text="broken.jpg")
    expect(alerts).to_contain_text("This browser can't read it as a photo.")
    expect(alerts).to_contain_text("notes.png")
    expect(alerts).to_contain_text("This file is empty.")
    page.get_by_role("button", name="Leave it out").first.click()
    expect(page.get_by_role("button", name="Leave it out")).to_have_count(2)


def test_the_same_photo_twice_is_one_item(page: Page, own_photos: list[Path]) -> None:
    add_photos(page, own_photos[:1])
    page.get_by_label("Add photos").set_input_files(str(own_photos[0]))
    expect(page.get_by_text("This photo was in your wardrobe already.")).to_be_visible()
    expect(pieces(page)).to_have_count(1)


@pytest.fixture
def guarded(server: Server) -> Server:
    """Another server, which asks for a token and has no catalogue, started after the first one."""
    return Server((), environment={"COORDI_TOKEN": TOKEN})


def test_a_token_is_asked_for_and_a_lost_server_comes_back(open_context: OpenContext, guarded: Server) -> None:
    guarded.start()
    try:
        page = open_context(guarded).new_page()
        page.goto("/")
        dialog = page.get_by_role("dialog", name="This server asks for its token")
        dialog.get_by_label("Token").fill("not the right one, but long enough")
        dialog.get_by_role("button", name="Go on").click()
        expect(dialog).to_contain_text("This isn't the server's token.")
        dialog.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        expect(dialog).to_have_count(0)
        for words in ("navy wool blazer", "white leather sneakers"):
            page.get_by_label("An item in words").fill(words)
            page.keyboard.press("Enter")
            if words.startswith("navy"):
                expect(pieces(page)).to_have_count(1)
                guarded.stop()
        expect(page.get_by_text("coordi's server can't be reached. Is it still running? This page")).to_be_visible()
        guarded.start()
        expect(page.get_by_text("This page tries again by itself")).to_have_count(0)
        expect(outfit_score(page).get_by_text("/100")).to_be_visible(timeout=60_000)
    finally:
        guarded.stop()
