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
