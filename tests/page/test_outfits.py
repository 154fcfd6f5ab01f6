"""Photos in, advice out: adding, correcting, filtering, pinning, keeping, comparing."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from coordi.model.base import find_gguf

from .conftest import ANSWER_MILLISECONDS, QUICK, OpenContext, Server
from .doing import add_photos, asked, keep, outfit_score, pieces, settle, suggestions, until_asked

# The bytes of the one photo that the browser keeps, which are those that were sent.
KEPT_PHOTO = """async () => {
  const done = (request) => new Promise((resolve) => { request.onsuccess = () => resolve(request.result); });
  const database = await done(indexedDB.open("coordi"));
  const store = database.transaction("kept").objectStore("kept");
  const key = (await done(store.getAllKeys())).find((name) => name.startsWith("photo:"));
  const blob = await done(database.transaction("kept").objectStore("kept").get(key));
  return Array.from(new Uint8Array(await blob.arrayBuffer()));
}"""

# A browser that is slow to commit what it was given to write, unless it is told to.
SLOW_COMMITS = """
const put = IDBObjectStore.prototype.put;
IDBObjectStore.prototype.put = function (...given) {
  const request = put.apply(this, given);
  const until = Date.now() + 3000;
  const hold = () => Date.now() < until && (this.get("").onsuccess = hold);
  queueMicrotask(() => { try { hold(); } catch { /* it was told to */ } });
  return request;
};
"""


def test_a_catalogue_without_photos_offers_looks_by_their_names(tmp_path: Path, open_context: OpenContext) -> None:
    titles = ("navy wool blazer", "white cotton shirt", "grey flannel trousers", "brown leather oxfords")
    rows = "".join(f"{number},{title}\n" for number, title in enumerate(titles))
    (tmp_path / "shop.csv").write_text(f"id,title\n{rows}", encoding="utf-8")
    command = [sys.executable, "-m", "coordi.cli.main", "catalogue", "build", str(tmp_path / "shop.csv")]
    subprocess.run([*command, "--out", str(tmp_path / "shop")], check=True, capture_output=True)
    server = Server(("--catalogue", str(tmp_path / "shop")))
    server.start()
    try:
        context = open_context(server, viewport={"width": 1280, "height": 900})
        context.add_init_script(QUICK)
        page = context.new_page()
        page.goto("/")
        expect(page.locator(".opening-looks .looks > li").first).to_be_visible()
        page.goto("/#looks")
        for title in titles:
            expect(page.locator(".strip").get_by_text(title)).to_be_visible()
    finally:
        server.stop()


@pytest.mark.skipif(find_gguf() is None, reason="the bundled model isn't installed")
def test_a_model_that_writes_names_an_item_in_words_with_every_step(catalogue: Path, open_context: OpenContext) -> None:
    server = Server(("--catalogue", str(catalogue), "--model", "base"))  # as it comes, it writes badly
    server.start()
    try:
        page = open_context(server, viewport={"width": 1280, "height": 900}).new_page()
        page.goto("/")
        page.get_by_label("An item in words").fill("white silk blouse")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Filters").click()
        page.get_by_role("group", name="Only these").get_by_role("button", name="shoes").click()
        with page.expect_response(re.compile("/api/v1/complete$"), timeout=ANSWER_MILLISECONDS) as answered:
            page.get_by_role("switch", name="Name an item in words").check()
        answer = answered.value.json()
        (generated,) = answer["generated"]
        named = page.get_by_role("region", name="Named in words: shoes")
        named.get_by_text("The prompt").click()
        for step in (generated["prompt"].splitlines()[0], generated["words"], generated["recommended"][0]["text"]):
            expect(named).to_contain_text(step)
        for step in filter(
            None, (generated["text"], generated["note"], *(row["title"] for row in generated["shortlist"]))
        ):
            expect(named).to_contain_text(step)
        settle(page)
        assert suggestions(page).count() == len(answer["suggestions"]) > 0
        page.get_by_role("button", name="한국어").click()
        korean = page.get_by_role("switch", name="아이템을 말로 제안")
        korean.check()
        expect(page.get_by_role("region", name="말로 한 제안: 신발")).to_contain_text("이미지 인코더의 추천")
        page.get_by_role("switch", name="빠르게 (언어 모델 없이)").check()
        expect(korean).to_have_count(0)
    finally:
        server.stop()


def test_a_model_with_a_pooled_head_offers_no_words(page: Page) -> None:
    page.get_by_role("button", name="Open as outfit").first.click()
    page.get_by_role("switch", name="Quick, without the language model").uncheck()
    expect(outfit_score(page).get_by_text("/100")).to_be_visible()
    assert page.request.get("/api/v1/ready").json()["can_write"] is False
    expect(page.get_by_role("switch", name="Name an item in words")).to_have_count(0)


def test_the_opening_offers_looks_of_the_catalogue(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("What goes with what you have?")
    looks = page.get_by_role("region", name="Looks from your catalogue").get_by_role("article")
    expect(looks).to_have_count(3)
    assert looks.first.get_by_role("img").count() >= 3
    looks.first.get_by_role("button", name="Open as outfit").click()
    expect(outfit_score(page).get_by_text("/100")).to_be_visible()
    assert pieces(page).count() >= 3


def test_photos_are_seen_and_judged_together(page: Page, own_photos: list[Path]) -> None:
    sent = asked(page, "score")
    add_photos(page, own_photos[:3])
    expect(outfit_score(page).get_by_text(re.compile(r"Score \d+ out of 100"))).to_be_attached()
    settle(page)
    until_asked(page, sent, lambda last: [list(item) for item in last["items"]] == [["seen"]] * 3)
    shown = outfit_score(page).inner_text()
    pieces(page).first.uncheck()
    expect(outfit_score(page)).not_to_have_text(shown)
    until_asked(page, sent, lambda last: len(last["items"]) == 2)


def test_a_photo_is_made_small_and_turned_upright_before_it_is_sent(page: Page, tmp_path: Path) -> None:
    large = Image.new("RGB", (2000, 1000), "navy")
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    exif[0x010E] = "taken at home"
    large.save(tmp_path / "large.jpg", exif=exif)
    page.get_by_label("Add photos").set_input_files(str(tmp_path / "large.jpg"))
    expect(pieces(page)).to_have_count(1)
    with Image.open(io.BytesIO(bytes(page.evaluate(KEPT_PHOTO)))) as image:
        assert image.size == (384, 768)
        assert not image.getexif()


def attributes_of_first(asked_for: dict[str, Any]) -> dict[str, list[str]]:
    """What a question says is seen in its first item."""
    attributes: dict[str, list[str]] = asked_for["items"][0]["seen"]["attributes"]
    return attributes


def test_a_corrected_chip_is_what_is_judged(page: Page, own_photos: list[Path]) -> None:
    add_photos(page, own_photos[:2])
    settle(page)
    sent = asked(page, "score")
    row = page.get_by_role("list", name=re.compile("What is seen in")).first
    row.get_by_role("button", name=re.compile("^Add to what is seen")).click()
    page.get_by_placeholder("Type to narrow").fill("magenta")
    page.get_by_role("option", name="magenta").click()
    expect(row.get_by_role("button", name="colour magenta, said by you. Change it")).to_be_visible()
    until_asked(page, sent, lambda last: "magenta" in attributes_of_first(last).get("colour", []))
    row.get_by_role("button", name="Remove colour magenta").click()
    expect(row.get_by_role("button", name=re.compile("magenta"))).to_have_count(0)
    row.get_by_role("button", name=re.compile("^kind")).click()
    page.get_by_role("option", name="flip flops").click()
    expect(row.get_by_role("button", name="kind flip flops, said by you. Change it")).to_be_visible()
    until_asked(page, sent, lambda last: attributes_of_first(last).get("category") == ["flip flops"])
    assert sent[-1]["items"][0]["seen"]["category"] == "shoes"
    assert "magenta" not in attributes_of_first(sent[-1]).get("colour", [])


def test_a_menu_holds_still_under_the_pointer(page: Page, own_photos: list[Path]) -> None:
    """What lies under the pointer is what is taken, however long the button is held, and the wheel scrolls."""
    add_photos(page, own_photos[:1])
    settle(page)
    page.get_by_role("button", name=re.compile("^kind")).click()
    menu = page.get_by_role("listbox")
    menu.scroll_into_view_if_needed()
    before = menu.evaluate("menu => menu.scrollTop")
    menu.hover(position={"x": 60, "y": 250})
    page.mouse.wheel(0, 200)
    expect(menu).to_have_js_property("scrollTop", before + 200)
    menu.get_by_role("option", name="sweatshirt").hover()
    page.mouse.down()
    page.wait_for_timeout(300)
    page.mouse.up()
    chip = page.get_by_role("button", name="kind sweatshirt, said by you. Change it")
    expect(chip).to_be_focused()
    page.keyboard.press("Enter")
    expect(menu).to_be_in_viewport(ratio=1)
    page.keyboard.press("Enter")  # the one that is chosen
    expect(chip).to_be_focused()
    page.get_by_role("button", name=re.compile("^Remove kind")).click()
    expect(page.get_by_role("button", name=re.compile("^kind"))).to_be_focused()


def test_words_and_catalogue_items_join_the_outfit(page: Page) -> None:
    sent = asked(page, "score")
    page.get_by_label("An item in words").fill("navy wool blazer")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Pick from the catalogue").click()
    dialog = page.get_by_role("dialog", name="Pick from the catalogue")
    dialog.get_by_label("Category").select_option("shoes")
    dialog.get_by_role("listitem").first.get_by_role("button").click()
    expect(dialog).to_have_count(0)
    expect(pieces(page)).to_have_count(2)
    until_asked(page, sent, lambda last: [list(item) for item in last["items"]] == [["text"], ["id"]])


def test_suggestions_have_a_photo_a_price_a_reason_and_a_score(page: Page, own_photos: list[Path]) -> None:
    add_photos(page, own_photos[:2])
    settle(page)
    expect(suggestions(page)).to_have_count(6)
    first = suggestions(page).first
    expect(first).to_contain_text(re.compile(r"Score \d+ out of 100"))
    expect(first.locator("img")).to_have_js_property("complete", True)
    assert first.locator("img").evaluate("image => image.naturalWidth") > 0
    expect(first.locator(".card__price")).to_contain_text(re.compile(r"\d"))
    expect(first.locator(".reason")).to_contain_text(re.compile("goes with|favour|No single thing|Less so"))
    page.get_by_role("button", name="Show more").click()
    expect(suggestions(page)).to_have_count(12)
    expect(outfit_score(page).get_by_text("quick", exact=True)).to_be_visible()
    page.get_by_label("Quick, without the language model").uncheck()
    expect(outfit_score(page).get_by_text("quick", exact=True)).to_have_count(0)
    settle(page)


def test_filters_hold_and_say_how_many_there_are(page: Page, own_photos: list[Path]) -> None:
    add_photos(page, own_photos[:1])
    sent = asked(page, "complete")
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("group", name="Only these").get_by_role("button", name="shoes").click()
    page.get_by_label("to", exact=True).fill("1000")
    page.get_by_role("group", name="Brands", exact=True).get_by_role("button").click()
    page.get_by_role("option", name="Kim").click()
    expect(page.get_by_role("button", name="Filters: 3")).to_be_visible()
    until_asked(page, sent, lambda last: last["rules"] == {"want": ["shoes"], "price_max": 1000, "brands": ["Kim"]})
    settle(page)
    kinds = suggestions(page).locator(".card__kind").all_inner_texts()
    assert kinds
    assert {kind.lower() for kind in kinds} == {"shoes, kim"}
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_role("button", name="Filters", exact=True)).to_be_visible()
    others = suggestions(page).locator(".card__kind").filter(has_not_text="shoes, kim")
    expect(others).not_to_have_count(0)


def test_an_occasion_and_weather_are_chips_and_what_was_understood_is_said(page: Page, own_photos: list[Path]) -> None:
    add_photos(page, own_photos[:1])
    sent = asked(page, "complete")
    wishes = page.get_by_role("group", name="Occasion and weather")
    wishes.get_by_role("button", name="Occasion", exact=True).click()
    page.get_by_role("option", name="black tie", exact=True).click()
    wishes.get_by_role("button", name="Occasion", exact=True).click()
    page.get_by_role("option", name="beach").click()
    wishes.get_by_label("Temperature", exact=True).fill("80")
    wishes.get_by_label("Unit of the temperature").select_option("F")
    wishes.get_by_role("button", name="rain").click()
    until_asked(page, sent, lambda last: last["rules"] == {"occasion": "black tie, beach", "weather": "80 F, rain"})
    understood = page.locator(".understood")
    expect(understood).to_contain_text("Understood: black tie, beach, 80 °F, rain.")
    expect(understood).to_contain_text("Dress code: black tie to ceremonial.")
    expect(understood).to_contain_text("Where they differ, black tie counts before beach.")
    wishes.get_by_role("button", name="black tie").click()
    wishes.get_by_label("Temperature", exact=True).fill("99")
    wishes.get_by_label("Unit of the temperature").select_option("C")
    expect(page.get_by_role("alert").filter(has_text="the temperature is 99 C")).to_contain_text("accepted are -50 C")
    wishes.get_by_label("Temperature", exact=True).fill("")
    until_asked(page, sent, lambda last: last["rules"] == {"occasion": "beach", "weather": "rain"})
    page.evaluate("localStorage.setItem('coordi-language', 'ko')")
    settle(page)
    page.reload()
    korean = page.get_by_role("group", name="상황과 날씨")
    expect(korean.get_by_role("button", name="해변")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".understood")).to_contain_text("이해한 조건: 해변, 비.")


def test_when_nothing_fits_it_says_why_and_a_rule_can_be_dropped(page: Page, own_photos: list[Path]) -> None:
    add_photos(page, own_photos[:1])
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("to", exact=True).fill("0.5")
    expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()
    rule = page.get_by_role("listitem").filter(has_text="Price up to 0.50")
    expect(rule).to_contain_text(re.compile(r"left out \d+ items, 0 were left"))
    rule.get_by_role("button", name="Drop the filter: Price up to 0.50").click()
    expect(suggestions(page)).to_have_count(6)


def test_an_item_is_pinned_or_never_shown_again(page: Page, own_photos: list[Path]) -> None:
    add_photos(page, own_photos[:1])
    settle(page)
    title = suggestions(page).nth(2).get_attribute("aria-label") or ""
    hidden = suggestions(page).nth(0).get_attribute("aria-label") or ""
    page.get_by_role("button", name=f"Never show {hidden} again").click()
    expect(page.get_by_role("article", name=hidden, exact=True)).to_have_count(0)
    settle(page)
    pin = page.get_by_role("button", name=f"Always suggest {title}")
    pin.first.click()
    expect(suggestions(page).first).to_have_attribute("aria-label", title)
    expect(pin.first).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("1 item always suggested").click()
    page.get_by_role("button", name=f"Take back: {title}").click()
    expect(page.get_by_text("1 item always suggested")).to_have_count(0)


def test_looks_are_kept_over_a_reload_and_compared(page: Page, own_photos: list[Path]) -> None:
    add_photos(page, own_photos[:3])
    settle(page)
    keep(page, "Monday")
    suggestions(page).first.get_by_role("button", name="Add to outfit").click()
    settle(page)
    keep(page, "Tuesday")
    page.reload()
    expect(pieces(page)).to_have_count(4)
    page.get_by_role("link", name="Kept").click()
    for name in ("Monday", "Tuesday"):
        page.get_by_role("article", name=name).get_by_label("Compare").check()
    page.get_by_role("button", name="Compare (2 of 2)").click()
    expect(page.get_by_role("heading", name="Two looks")).to_be_focused()
    differences = page.get_by_role("region", name="What differs")
    expect(differences).to_contain_text("Only in Tuesday")
    expect(differences.get_by_text("Only in Monday").locator("xpath=following-sibling::dd")).to_have_text("nothing")
    page.get_by_role("button", name="Back to all").click()
    page.get_by_role("button", name="Delete Monday").click()
    expect(page.get_by_role("article")).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("article")).to_have_count(2)


def test_what_is_said_to_be_kept_outlives_a_reload_at_once(page: Page, own_photos: list[Path]) -> None:
    page.add_init_script(SLOW_COMMITS)
    page.reload()
    add_photos(page, own_photos[:2])
    settle(page)
    keep(page, "Monday")
    page.reload()
    page.get_by_role("link", name="Kept").click()
    expect(page.get_by_role("article", name="Monday")).to_be_visible()


def test_whole_looks_are_made_around_an_own_item(page: Page, own_photos: list[Path]) -> None:
    add_photos(page, own_photos[:1])
    page.get_by_role("link", name="Looks").click()
    looks = page.get_by_role("region", name=re.compile("Looks with")).get_by_role("article")
    expect(looks).to_have_count(3)
    looks.first.get_by_role("button", name="Open as outfit").click()
    expect(outfit_score(page)).to_be_visible()
    assert pieces(page).count() >= 3


def test_a_look_says_what_it_lacks_and_a_rule_can_be_dropped(page: Page, own_photos: list[Path]) -> None:
    add_photos(page, own_photos[:1])
    shown = page.request.get("/api/v1/catalogue/items?category=shoes&limit=200").json()["items"]
    cheapest = min(item["price"] for item in shown)
    page.get_by_role("link", name="Looks").click()
    looks = page.get_by_role("region", name=re.compile("Looks with"))
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("to", exact=True).fill(f"{cheapest - 0.01:.2f}")
    expect(looks.get_by_role("article").first).to_contain_text("Nothing found of: shoes")
    rule = looks.get_by_role("listitem").filter(has_text="Price up to")
    rule.get_by_role("button", name=re.compile("Drop the filter")).click()
    expect(looks.get_by_text("Nothing found of")).to_have_count(0)
    page.get_by_label("to", exact=True).fill("0.5")
    expect(looks.get_by_role("heading", name="No look could be made")).to_be_visible()
    rule.get_by_role("button", name=re.compile("Drop the filter")).click()
    expect(looks.get_by_role("article").first).to_be_visible()
