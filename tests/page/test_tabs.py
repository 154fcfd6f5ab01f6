"""Two tabs of one browser show the same, and tell each other of a change once."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, Page, expect

_LISTEN = """
window.writes = 0;
const put = IDBObjectStore.prototype.put;
IDBObjectStore.prototype.put = function (...given) { window.writes += 1; return put.apply(this, given); };
"""
_SETTLED_MILLISECONDS = 1500


def test_a_change_in_one_tab_is_shown_in_the_other_and_written_once(context: BrowserContext, page: Page) -> None:
    context.add_init_script(_LISTEN)
    pages = [page, context.new_page()]
    for one in pages:
        one.goto("/")
        one.reload()
        one.get_by_role("link", name="Wardrobe", exact=False).last.click()
        expect(one.get_by_role("heading", name="Your wardrobe")).to_be_visible()
    page.get_by_label("An item in words").fill("green hat")
    page.keyboard.press("Enter")
    for one in pages:
        expect(one.get_by_role("article")).to_have_count(1)
    page.wait_for_timeout(_SETTLED_MILLISECONDS)
    writes = [one.evaluate("window.writes") for one in pages]
    assert 1 <= writes[0] <= 5  # words are read by the server, and what it made of them is kept too
    assert writes[1] == 0
