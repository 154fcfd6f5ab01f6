"""What is wished in words is understood, or it is said what isn't."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from .doing import asked, settle, suggestions, until_asked


def wish(page: Page, words: str) -> None:
    field = page.get_by_label("In your own words")
    field.fill(words)
    field.press("Enter")


def test_a_wish_in_words_rules_the_suggestions(page: Page) -> None:
    sent = asked(page, "complete")
    page.get_by_label("An item in words").fill("navy wool blazer")
    page.keyboard.press("Enter")
    settle(page)
    wish(page, "no boots, cosy, something black")
    until_asked(page, sent, lambda last: last["rules"].get("wish") == "no boots, cosy, something black")
    settle(page)
    expect(page.get_by_text("Not understood: cosy.")).to_be_visible()
    expect(page.get_by_text("Understood: without boots, something black.")).to_be_visible()
    names = suggestions(page).get_by_role("heading").all_inner_texts()
    assert names
    assert not any("boot" in name.lower() for name in names)


def test_looks_are_made_for_a_wish_alone(page: Page) -> None:
    page.goto("/#looks")
    settle(page)
    wish(page, "office, no jeans")
    expect(page.get_by_role("heading", name="Looks for what you wish")).to_be_visible()
    settle(page)
    looks = page.get_by_role("main").get_by_role("article")
    expect(page.get_by_text("Understood: office, without jeans.")).to_be_visible()
    assert looks.count()
    for look in looks.all():
        expect(look).not_to_contain_text("jeans", ignore_case=True)


def test_a_wish_can_be_dropped_where_nothing_fits(page: Page) -> None:
    page.goto("/#looks")
    settle(page)
    wish(page, "silver tiara, purple tuxedo")
    settle(page)
    page.get_by_role("button", name="Drop").first.click()
    expect(page.get_by_label("In your own words")).to_have_value("")


def test_a_price_of_a_wish_is_said_and_can_be_dropped(page: Page) -> None:
    page.goto("/#looks")
    settle(page)
    wish(page, "under 1")
    settle(page)
    expect(page.get_by_text("Understood: Price up to 1.")).to_be_visible()
    page.get_by_role("button", name="Drop the filter: Price up to 1").click()
    expect(page.get_by_label("In your own words")).to_have_value("")


def test_dropping_an_occasion_leaves_the_wish(page: Page) -> None:
    page.goto("/#looks")
    settle(page)
    wish(page, "silver tiara")
    page.get_by_role("button", name="Occasion", exact=True).click()
    page.get_by_role("option", name="black tie", exact=True).click()
    settle(page)
    page.get_by_role("button", name="Drop the filter: black tie").click()
    expect(page.get_by_role("button", name="Drop the filter: black tie")).to_have_count(0)
    expect(page.get_by_label("In your own words")).to_have_value("silver tiara")
