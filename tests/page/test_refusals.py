"""A piece that the server can't judge is said to be one, and holds up no other."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, Response, Route, expect

from .doing import add_photos, asked, outfit_score, piece, pieces, settle, suggestions, until_asked

NOTHING_WORN = "xyzzy toaster"
# The browser's own keeping, changed as if the item had been pinned while another catalogue was there.
PIN = """async () => {
  const done = (request) => new Promise((resolve) => { request.onsuccess = () => resolve(request.result); });
  const database = await done(indexedDB.open("coordi"));
  const store = database.transaction("kept", "readwrite").objectStore("kept");
  const state = await done(store.get("state"));
  state.filters.pinned = [{ id: "of-another-shop", title: "Grey hat" }];
  await done(store.put(state, "state"));
}"""


def add_words(page: Page, words: str) -> None:
    page.get_by_label("An item in words").fill(words)
    page.keyboard.press("Enter")


def keep_button(page: Page) -> Locator:
    return outfit_score(page).get_by_role("button", name="Keep this look")


def test_words_that_name_nothing_worn_are_left_out_and_the_rest_is_judged(page: Page, own_photos: list[Path]) -> None:
    sent, completed = asked(page, "score"), asked(page, "complete")
    add_photos(page, own_photos[:2])
    settle(page)
    before = outfit_score(page).get_by_text(re.compile(r"Score \d+ out of 100")).inner_text()
    add_words(page, NOTHING_WORN)
    refused = piece(page, NOTHING_WORN)
    expect(refused).to_contain_text(f"Not judged. '{NOTHING_WORN}' names nothing that is worn; write it like")
    settle(page)
    expect(outfit_score(page)).to_contain_text("Without 1 piece that can't be judged.")
    expect(outfit_score(page).get_by_text(before, exact=True)).to_be_attached()
    expect(page.get_by_role("alert").get_by_text("names nothing")).to_have_count(0)
    add_words(page, "brown leather loafers")
    expect(outfit_score(page).get_by_text("/100")).to_be_visible()
    until_asked(page, sent, lambda last: [list(item) for item in last["items"]] == [["seen"], ["seen"], ["text"]])
    until_asked(page, completed, lambda last: last["items"] == sent[-1]["items"])
    expect(piece(page, "brown leather loafers").get_by_role("button", name="kind shoes. Change it")).to_be_visible()
    expect(keep_button(page)).to_be_enabled()
    refused.get_by_role("button", name="kind choose what it is. Change it").click()
    page.get_by_role("option", name="handbag").click()
    expect(refused.get_by_text("Not judged.")).to_have_count(0)
    until_asked(page, sent, lambda last: len(last["items"]) == 4)
    expect(outfit_score(page)).not_to_contain_text("can't be judged")


def test_fewer_than_two_judged_pieces_show_no_score_and_are_not_kept(page: Page, own_photos: list[Path]) -> None:
    add_photos(page, own_photos[:2])
    settle(page)
    expect(keep_button(page)).to_be_enabled()
    pieces(page).first.uncheck()
    add_words(page, NOTHING_WORN)
    expect(piece(page, NOTHING_WORN)).to_contain_text("Not judged.")
    settle(page)
    expect(outfit_score(page).get_by_text("/100")).to_have_count(0)
    expect(page.get_by_text("weakest", exact=True)).to_have_count(0)
    expect(keep_button(page)).to_be_disabled()


def test_nothing_old_is_shown_after_judging_failed(page: Page, own_photos: list[Path]) -> None:
    add_photos(page, own_photos[:3])
    settle(page)
    expect(suggestions(page)).to_have_count(6)

    def fail(route: Route) -> None:
        route.fulfill(status=500, json={"error": {"code": "internal", "message": "", "field": "", "accepted": []}})

    for name in ("score", "complete"):
        page.route(f"**/api/v1/{name}", fail)
    pieces(page).first.uncheck()
    expect(outfit_score(page).get_by_role("alert")).to_contain_text("Something went wrong on the server.")
    expect(suggestions(page)).to_have_count(0)
    expect(outfit_score(page).get_by_text("/100")).to_have_count(0)
    expect(page.get_by_text("weakest", exact=True)).to_have_count(0)
    expect(keep_button(page)).to_be_disabled()
    page.unroute_all()
    outfit_score(page).get_by_role("button", name="Try again").click()
    expect(outfit_score(page).get_by_text("/100")).to_be_visible()
    expect(keep_button(page)).to_be_enabled()


def test_a_pinned_item_of_another_catalogue_is_unpinned(page: Page, own_photos: list[Path]) -> None:
    add_photos(page, own_photos[:2])
    settle(page)
    page.evaluate(PIN)
    page.reload()
    expect(page.get_by_text("Not in this catalogue, so no longer always suggested: Grey hat")).to_be_visible()
    expect(suggestions(page)).to_have_count(6)


def test_a_suggestion_that_lowers_the_score_says_so(page: Page, own_photos: list[Path]) -> None:
    answers: dict[str, Response] = {}

    def note(response: Response) -> None:
        answers[response.url.rsplit("/", 1)[1]] = response

    page.on("response", note)
    add_photos(page, own_photos[:2])
    settle(page)
    page.get_by_role("button", name="Show more").click()
    expect(suggestions(page)).to_have_count(12)
    settle(page)
    now = round(answers["score"].json()["score"] * 100)
    scores = [round(one["score"] * 100) for one in answers["complete"].json()["suggestions"]]
    lower = sum(score < now for score in scores)
    assert lower > 0
    expect(page.get_by_text("lower than now", exact=True)).to_have_count(lower)
