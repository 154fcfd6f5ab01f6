"""Everybody can use it: by keyboard, on a phone, in the dark, in Korean, with a screen reader."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from .conftest import QUICK, OpenContext, Server
from .doing import add_photos, keep, outfit_score, pieces, settle, suggestions

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
I18N = Path(__file__).parents[2] / "src" / "coordi" / "web" / "i18n"
VIEWS = ("outfit", "looks", "kept", "wardrobe")


def violations(page: Page) -> list[str]:
    """What axe finds; it is run by the browser's tools, which the page's policy doesn't hold back."""
    page.evaluate(AXE)
    found: list[dict[str, Any]] = page.evaluate("axe.run().then((found) => found.violations)")
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


def fill(page: Page, own_photos: list[Path]) -> None:
    page.goto("/")
    add_photos(page, own_photos[:2])
    settle(page)
    keep(page, "Monday")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_part_has_a_barrier(page: Page, own_photos: list[Path], scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    expect(page.get_by_role("region", name="Looks from your catalogue").get_by_role("article")).to_have_count(3)
    assert violations(page) == []
    fill(page, own_photos)
    page.get_by_text("What is known").first.click()
    page.get_by_role("button", name="Filters").click()
    expect(suggestions(page)).to_have_count(6)
    assert violations(page) == []
    page.get_by_role("button", name="Pick from the catalogue").click()
    expect(page.get_by_role("dialog").get_by_role("listitem").first).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name=re.compile("^Add to what is seen")).first.click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    for view in VIEWS[1:]:
        page.goto(f"/#{view}")
        settle(page)
        assert violations(page) == [], view
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == (scheme == "dark")


def test_the_colours_can_be_chosen_and_are_remembered(page: Page) -> None:
    page.get_by_role("button", name="Dark colours").click()
    page.reload()
    expect(page.get_by_role("button", name="Light colours")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def tab_to(page: Page, what: str, most: int = 120) -> None:
    """Press Tab until what has the focus is called so."""
    name = "(element) => element.ariaLabel || element.labels?.[0]?.innerText || element.innerText || ''"
    for _ in range(most):
        page.keyboard.press("Tab")
        focused: str = page.evaluate(f"({name})(document.activeElement)")
        if re.search(what, focused):
            return
    raise AssertionError(f"{most} times Tab never came to '{what}'")


def test_the_whole_way_with_the_keyboard_alone(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    tab_to(page, "An item in words")
    page.keyboard.type("navy wool blazer")
    page.keyboard.press("Enter")
    expect(pieces(page)).to_have_count(1)
    settle(page)  # an answer that comes between Tab and Enter draws the page anew
    tab_to(page, "Pick from the catalogue")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("listitem").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Pick from the catalogue")).to_be_focused()
    tab_to(page, "^Add to what is seen")
    page.keyboard.press("Enter")
    page.keyboard.type("striped")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="pattern striped, said by you. Change it")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Add to what is seen"))).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_role("combobox", name=re.compile("Type to narrow"))).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("^Add to what is seen"))).to_be_focused()
    settle(page)
    tab_to(page, "^Filters")
    page.keyboard.press("Enter")
    tab_to(page, "^shoes$")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Filters: 1")).to_be_visible()
    settle(page)
    tab_to(page, "^Add to outfit")
    page.keyboard.press("Enter")
    expect(pieces(page)).to_have_count(2)
    expect(outfit_score(page).get_by_text("/100")).to_be_visible()
    page.locator("#main").focus()
    tab_to(page, "^Keep this look")
    page.keyboard.press("Enter")
    page.keyboard.type("By hand")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Kept: By hand")).to_be_visible()
    expect(page.get_by_role("button", name="Keep this look")).to_be_focused()


@pytest.fixture
def phone(open_context: OpenContext, server: Server) -> Page:
    context = open_context(server, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    context.add_init_script(QUICK)
    return context.new_page()


def test_a_phone_shows_all_of_it_without_sideways_scrolling(phone: Page, own_photos: list[Path]) -> None:
    fill(phone, own_photos)
    expect(phone.get_by_label("Take a photo")).to_have_attribute("capture", "environment")
    phone.get_by_role("button", name=re.compile("^kind")).first.click()
    expect(phone.get_by_role("dialog")).to_be_focused()  # not its field, whose keyboard would cover the menu
    phone.keyboard.press("Escape")
    phone.get_by_role("button", name="Filters").click()
    for view in VIEWS:
        phone.goto(f"/#{view}")
        settle(phone)
        wide = phone.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, view
        small = phone.evaluate(
            """[...document.querySelectorAll("button, a, select, summary, .upload, .switch")]
              .filter((one) => one.checkVisibility() && !one.matches(".skip"))
              .map((one) => [one.className, one.getBoundingClientRect().height])
              .filter(([, height]) => height < 43.5)"""
        )
        assert small == [], view


@pytest.fixture
def korean(open_context: OpenContext, server: Server) -> Page:
    context = open_context(server, locale="ko-KR", viewport={"width": 1280, "height": 900})
    context.add_init_script(QUICK)
    return context.new_page()


def test_the_server_answers_in_korean(korean: Page) -> None:
    korean.goto("/")
    for words in ("네이비 울 블레이저", "xyzzy toaster"):
        korean.get_by_label("옷을 말로 적기").fill(words)
        korean.keyboard.press("Enter")
    settle(korean)
    refused = korean.get_by_role("listitem").filter(has_text="판단에서 뺐습니다.")
    expect(refused).to_contain_text("입는 것의 이름이 아닙니다: 'xyzzy toaster'. '네이비 울 블레이저'처럼 적어 주세요.")
    expect(refused.locator("[lang=en]")).to_have_count(0)
    korean.get_by_role("button", name="English").click()
    in_english = korean.get_by_role("listitem").filter(has_text="Not judged.")
    expect(in_english.locator("[lang=ko]")).to_contain_text("입는 것의 이름이 아닙니다")


def test_korean_has_no_english_left(korean: Page, own_photos: list[Path]) -> None:
    korean.goto("/")
    expect(korean.get_by_role("heading", level=1)).to_have_text("내 옷, 무엇과 어울릴까요?")
    for words in ("navy wool blazer", "white cotton shirt"):  # two that are judged, so that there is a look to keep
        korean.get_by_label("옷을 말로 적기").fill(words)
        korean.keyboard.press("Enter")
    korean.get_by_label("사진 추가").set_input_files([str(photo) for photo in own_photos[:3]])
    expect(korean.get_by_role("switch", name="코디에 포함")).to_have_count(5)
    settle(korean)
    korean.get_by_role("button", name="이 코디 보관").click()
    korean.keyboard.press("Enter")
    korean.get_by_role("button", name="필터").click()
    catalogue = korean.request.get("/api/v1/catalogue/items?limit=200").json()["items"]
    own_words = sorted({word for item in catalogue for word in (item["title"], item["brand"])}, key=len, reverse=True)
    # The catalogue's words are the shop's, the name and the formats are the same everywhere.
    allowed = re.compile(
        "|".join(map(re.escape, [*own_words, "coordi", "English", "ZIP", "navy wool blazer", "white cotton shirt"]))
    )
    english = json.loads((I18N / "en.json").read_text(encoding="utf-8"))
    for view in VIEWS:
        korean.goto(f"/#{view}")
        settle(korean)
        texts = korean.evaluate(
            "[document.body.innerText, ...[...document.querySelectorAll('*')].flatMap((one) => "
            "['aria-label', 'title', 'placeholder', 'alt'].map((name) => one.getAttribute(name) ?? ''))].join('\\n')"
        )
        left = re.findall(r"[A-Za-z]{2,}", allowed.sub("", texts))
        assert left == [], view
        assert not [key for key in english if "." in key and key in texts], view
    korean.get_by_role("button", name="English").click()
    expect(korean.get_by_role("heading", level=1)).to_have_text("Your wardrobe")
    korean.reload()
    expect(korean.get_by_role("heading", level=1)).to_have_text("Your wardrobe")
