"""What a user does on the page, by what it says and not by how it is built."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, Request, expect

from .conftest import ANSWER_MILLISECONDS

_LOOK_MILLISECONDS = 100


def add_photos(page: Page, photos: Sequence[Path]) -> None:
    """Add photos and wait until each lies on the table with its kind known."""
    before = pieces(page).count()
    seen = page.get_by_role("button", name=re.compile("^Add to what is seen"))
    seen_before = seen.count()
    page.get_by_label("Add photos").set_input_files([str(photo) for photo in photos])
    expect(pieces(page)).to_have_count(before + len(photos))
    expect(seen).to_have_count(seen_before + len(photos))
    unsure = page.get_by_role("button", name=re.compile("choose what it is"))
    for left in reversed(range(unsure.count())):
        unsure.first.click()
        page.get_by_role("option", name="shirt", exact=True).click()
        expect(unsure).to_have_count(left)


def pieces(page: Page) -> Locator:
    """The items on the table."""
    return page.get_by_role("region", name="Your pieces").get_by_role("switch", name="In the outfit")


def piece(page: Page, name: str) -> Locator:
    """One of the items on the table, by its name."""
    return (
        page.get_by_role("region", name="Your pieces")
        .get_by_role("listitem")
        .filter(has=page.get_by_role("heading", name=name))
    )


def outfit_score(page: Page) -> Locator:
    """How the outfit goes together."""
    return page.get_by_role("region", name="How it goes together")


def suggestions(page: Page) -> Locator:
    """What would complete the outfit."""
    return page.get_by_role("region", name="What would complete it").get_by_role("article")


def settle(page: Page) -> None:
    """Wait until nothing is on its way any more."""
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def until_asked(page: Page, sent: Sequence[dict[str, Any]], holds: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until what the page asked last, of those in `sent`, is as it should be."""
    for _ in range(ANSWER_MILLISECONDS // _LOOK_MILLISECONDS):
        if sent and holds(sent[-1]):
            return
        page.wait_for_timeout(_LOOK_MILLISECONDS)
    raise AssertionError(f"what was asked last isn't as it should be: {sent[-1:]}")


def keep(page: Page, name: str) -> None:
    outfit_score(page).get_by_role("button", name="Keep this look").click()
    page.get_by_label("Name of the look").fill(name)
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(page.get_by_text(f"Kept: {name}")).to_be_visible()


def asked(page: Page, route: str) -> list[dict[str, Any]]:
    """The bodies of requests to a route from now on, a list that grows."""
    bodies: list[dict[str, Any]] = []

    def note(request: Request) -> None:
        if request.url.endswith(f"/api/v1/{route}"):
            bodies.append(json.loads(request.post_data or "{}"))

    page.on("request", note)
    return bodies
