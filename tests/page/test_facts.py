"""What is known of a piece and who says it; chips for what is read from an item's words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, Response, Route, expect

from .conftest import QUICK, OpenContext, Server
from .doing import add_photos, asked, outfit_score, piece, pieces, settle, until_asked

BLAZER = "navy wool blazer"


def add_words(page: Page, *words: str, field: str = "An item in words") -> None:
    for text in words:
        page.get_by_label(field).fill(text)
        page.keyboard.press("Enter")


def chip(of: Locator, name: str) -> Locator:
    return of.get_by_role("button", name=f"{name}, said by you. Change it")


def facts(of: Locator) -> list[str]:
    """What is listed as known, in its order."""
    of.get_by_text("What is known").click()
    return of.locator(".facts__list > div").all_inner_texts()


def scores(page: Page) -> list[float]:
    """Scores that the server answers from now on, a list that grows."""
    answers: list[float] = []

    def note(response: Response) -> None:
        if response.url.endswith("/score"):
            answers.append(response.json()["score"])

    page.on("response", note)
    return answers


def test_what_words_say_are_chips_and_the_rest_is_listed(page: Page) -> None:
    sent = asked(page, "score")
    add_words(page, BLAZER, "red running shoes")
    blazer, shoes = piece(page, BLAZER), piece(page, "red running shoes")
    for label in ("kind blazer", "colour navy blue", "material wool"):
        expect(chip(blazer, label)).to_be_visible()
    expect(shoes.get_by_role("button", name="kind shoes. Change it")).to_be_visible()
    expect(chip(shoes, "colour red")).to_be_visible()
    assert facts(blazer) == [
        "Worn as: outerwear · said by you",
        "Dress code: smart casual to cocktail · usual for its kind",
        "Seasons: autumn, winter · usual for its kind",
    ]
    assert facts(shoes) == [
        "Kind: running shoes · said by you",
        "Dress code: sport to casual · usual for its kind",
        "Seasons: all year round · usual for its kind",
        "Used for: running · usual for its kind",
    ]
    until_asked(page, sent, lambda last: last["items"] == [{"text": BLAZER}, {"text": "red running shoes"}])


def test_a_chip_of_words_is_changed_and_removed(page: Page) -> None:
    add_words(page, BLAZER, "white cotton shirt", "grey wool trousers")
    settle(page)
    sent, answers = asked(page, "score"), scores(page)
    blazer = piece(page, BLAZER)
    chip(blazer, "colour navy blue").click()
    page.get_by_role("option", name="orange").click()
    expect(chip(blazer, "colour orange")).to_be_visible()

    def seen(attributes: dict[str, list[str]], corrected: list[str]) -> dict[str, Any]:
        return {"category": "outerwear", "attributes": attributes, "title": BLAZER, "corrected": corrected}

    until_asked(page, sent, lambda last: last["items"][0] == {"seen": seen({"colour": ["orange"]}, ["colour"])})
    blazer.get_by_role("button", name="Remove colour orange").click()
    expect(blazer.get_by_role("button", name=re.compile("^colour"))).to_have_count(0)
    until_asked(page, sent, lambda last: last["items"][0] == {"seen": seen({}, ["colour"])})
    settle(page)
    expect(chip(blazer, "material wool")).to_be_visible()
    chip(blazer, "kind blazer").click()
    page.get_by_role("option", name="coat", exact=True).click()
    expect(chip(blazer, "kind coat")).to_be_visible()
    both = seen({"category": ["coat"]}, ["category", "colour"])
    until_asked(page, sent, lambda last: last["items"][0] == {"seen": both})
    settle(page)
    assert len(set(answers)) == len(answers) >= 3  # the score before may come late
    page.reload()
    expect(chip(piece(page, BLAZER), "kind coat")).to_be_visible()
    expect(chip(piece(page, BLAZER), "material wool")).to_be_visible()
    expect(piece(page, BLAZER).get_by_role("button", name=re.compile("^colour"))).to_have_count(0)


def test_the_kind_of_words_is_removed(page: Page) -> None:
    add_words(page, BLAZER, "white cotton shirt")
    sent = asked(page, "score")
    blazer = piece(page, BLAZER)
    blazer.get_by_role("button", name="Remove kind blazer").click()
    expect(blazer.get_by_role("button", name="kind outerwear. Change it")).to_be_focused()
    until_asked(page, sent, lambda last: last["items"][0].get("seen", {}).get("corrected") == ["category"])
    expect(blazer.get_by_text("usual for its kind")).to_have_count(0)


def test_a_single_item_in_words_can_be_corrected(page: Page) -> None:
    """Nothing was scored that could have said what it is worn as."""
    sent = asked(page, "score")
    add_words(page, BLAZER)
    chip(piece(page, BLAZER), "colour navy blue").click()
    page.get_by_role("option", name="orange").click()
    add_words(page, "white cotton shirt")
    until_asked(page, sent, lambda last: last["items"][0].get("seen", {}).get("category") == "outerwear")


def test_a_correction_of_a_photo_is_sent_as_such_and_its_facts_follow(page: Page, own_photos: list[Path]) -> None:
    add_photos(page, own_photos[:2])
    settle(page)
    sent = asked(page, "score")
    row = page.get_by_role("listitem").filter(has=page.get_by_role("switch")).first
    row.get_by_role("button", name=re.compile("^kind")).click()
    page.get_by_role("option", name="flip flops").click()
    until_asked(page, sent, lambda last: last["items"][0]["seen"].get("corrected") == ["category"])
    row.get_by_text("What is known").click()
    expect(row.get_by_text(re.compile("^Worn as: shoes"))).to_contain_text("said by you")
    expect(row.get_by_text(re.compile("^(Kind|Colour):"))).to_have_count(0)  # which the chips show
    row.get_by_role("textbox", name="Name of").fill("red beach flip flops")
    page.keyboard.press("Enter")
    expect(row.get_by_text(re.compile("^Used for: beach"))).to_contain_text("said by you")


def test_an_item_of_the_catalogue_has_the_facts_of_its_shop_and_its_title(page: Page) -> None:
    page.get_by_role("button", name="From the catalogue").click()
    dialog = page.get_by_role("dialog", name="Pick from the catalogue")
    dialog.get_by_label("Category").select_option("shoes")
    dialog.get_by_role("listitem").first.get_by_role("button").click()
    expect(pieces(page)).to_have_count(1)
    listed = facts(page.get_by_role("region", name="Your pieces"))
    assert [line for line in listed if line.startswith("Kind: ")]
    assert "For: everybody · from the shop" in listed
    assert all(
        re.search("· (from the shop|from its title|from its photo|usual for its kind)$", line) for line in listed
    )


def test_each_piece_is_asked_for_once_until_it_changes(page: Page, own_photos: list[Path]) -> None:
    sent = asked(page, "items")
    add_photos(page, own_photos[:1])
    add_words(page, BLAZER)
    expect(page.get_by_text("What is known")).to_have_count(2)
    pieces(page).first.uncheck()
    pieces(page).first.check()
    page.get_by_role("link", name="Wardrobe").click()
    page.get_by_role("link", name="Outfit").click()
    expect(page.get_by_text("What is known")).to_have_count(2)
    settle(page)
    assert [len(body["items"]) for body in sent] == [1, 1]
    chip(piece(page, BLAZER), "material wool").click()
    page.get_by_role("option", name="linen").click()
    until_asked(page, sent, lambda last: last["items"][0].get("seen", {}).get("corrected") == ["material"])
    expect(piece(page, BLAZER).get_by_text("smart casual to cocktail · spring, summer")).to_be_visible()


def test_without_facts_pieces_are_judged_all_the_same(page: Page) -> None:
    def fail(route: Route) -> None:
        route.fulfill(status=500, json={"error": {"code": "internal", "message": "", "field": "", "accepted": []}})

    page.route("**/api/v1/items", fail)
    add_words(page, BLAZER, "white cotton shirt")
    expect(outfit_score(page).get_by_text("/100")).to_be_visible()
    expect(piece(page, BLAZER).get_by_role("button", name="kind outerwear. Change it")).to_be_visible()
    expect(page.get_by_text("What is known")).to_have_count(0)
    expect(page.get_by_role("alert").get_by_text("Something went wrong")).to_have_count(0)


def test_words_that_name_nothing_worn_have_no_facts(page: Page) -> None:
    add_words(page, BLAZER, "white cotton shirt", "xyzzy toaster")
    expect(piece(page, "xyzzy toaster")).to_contain_text("Not judged.")
    expect(page.get_by_text("What is known")).to_have_count(2)
    expect(piece(page, "xyzzy toaster").get_by_text("What is known")).to_have_count(0)


def test_words_of_the_lexicon_are_marked_as_english(open_context: OpenContext, server: Server) -> None:
    context = open_context(server, locale="ko-KR", viewport={"width": 390, "height": 844})
    context.add_init_script(QUICK)
    page = context.new_page()
    page.goto("/")
    add_words(page, "wedding hanbok for women", field="옷을 말로 적기")
    page.get_by_text("알려진 정보").click()
    lines = page.locator(".facts__list > div")
    expect(lines.filter(has_text="전통: ").locator("span[lang=en]")).to_have_text("Korean")
    expect(lines.filter(has_text="종류: ").locator("span[lang=en]")).to_have_text("hanbok")
    expect(lines.filter(has_text="대상: ")).to_have_text(re.compile("^대상: 여성"))
    expect(lines.filter(has_text="드레스 코드: ").locator("span[lang=en]")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_clothes_for_children_can_be_filtered(page: Page, own_photos: list[Path]) -> None:
    def with_children(route: Route) -> None:
        vocabulary = route.fetch().json()
        route.fulfill(json=vocabulary | {"genders": [*vocabulary["genders"], "children"]})

    page.route("**/api/v1/vocabulary", with_children)
    page.reload()
    add_photos(page, own_photos[:1])
    sent = asked(page, "complete")
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Made for").select_option(label="children")
    until_asked(page, sent, lambda last: last["rules"] == {"gender": "children"})
