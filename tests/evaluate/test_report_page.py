"""The page itself: nothing fetched, nothing run, all escaped, each part in its place and with words for pictures."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from coordi.evaluate.report import render_html
from coordi.evaluate.report_data import ReportData
from coordi.types import Dataset

from .conftest import make_wardrobe
from .reports import (
    HOSTILE,
    MODEL,
    SETTINGS,
    Page,
    TableScorer,
    small_report,
    wide_report,
)
from .scorers import measure


@pytest.fixture
def report(wardrobe: Dataset, tmp_path: Path) -> ReportData:
    return small_report(wardrobe, tmp_path)


@pytest.fixture(scope="module")
def wide() -> ReportData:
    return wide_report(make_wardrobe())


def test_the_page_fetches_nothing_and_runs_nothing(report: ReportData, wide: ReportData) -> None:
    for shown in (report, wide):
        html = render_html(shown)
        page = Page(html)
        assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "base", "form"}
        for _, attributes in page.tags:
            assert (attributes.get("src") or "data:").startswith("data:")
            assert (attributes.get("href") or "#").startswith("#")
            assert not any(name.startswith("on") for name in attributes)
        assert not re.search(r"url\(|@import|https?://", html)


def test_the_page_escapes_what_it_is_given(report: ReportData, wide: ReportData) -> None:
    html = render_html(report)
    assert "<script>" not in html
    assert HOSTILE.removeprefix("<script>") in Page(html).text
    assert "coordi run --data clothes --out 'a <b>'" in Page(html).text
    # Scorers, protocols and warnings may be anybody's words too.
    html = render_html(wide)
    assert not re.search(r"photo <b>|x, <b>|one/<i>", html)
    for words in ("=cmd()|x, <b>", "(odd one/<i>)", "no photo <b>."):
        assert words in Page(html).text


def test_ids_are_unique_and_links_lead_somewhere(report: ReportData, wide: ReportData) -> None:
    for shown in (report, wide):
        page = Page(render_html(shown))
        ids = Counter(attributes["id"] for _, attributes in page.tags if "id" in attributes)
        assert set(ids.values()) == {1}
        links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
        assert links == {f"#{name}" for name in ids}


def test_protocols_of_like_names_have_places_of_their_own(report: ReportData) -> None:
    part = report.evaluation.protocols[0].questions
    parts = [replace(part, protocol=name) for name in ("release-a b", "release-a/b", "코디")]
    evaluation = measure(parts, [TableScorer("fine-tuned", MODEL)], SETTINGS.evaluate, 3)
    page = Page(render_html(replace(report, evaluation=evaluation)))
    slugs = [attributes["id"] for tag, attributes in page.tags if tag == "details" and "id" in attributes]
    assert slugs == ["protocol-release-a-b", "protocol-release-a-b-1", "protocol-2"]


def test_headings_go_down_one_level_at_a_time(report: ReportData, wide: ReportData) -> None:
    for shown in (report, wide):
        levels = [int(tag[1]) for tag, _ in Page(render_html(shown)).tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_can_be_read_aloud(wide: ReportData) -> None:
    page = Page(render_html(wide))
    heads = [attributes for tag, attributes in page.tags if tag == "th"]
    assert len(heads) > 100
    assert all(attributes.get("scope") in ("col", "row", "colgroup") for attributes in heads)
    tables = sum(tag == "table" for tag, _ in page.tags)
    plain = [attributes for tag, attributes in page.tags if tag == "table" and attributes.get("class") == "settings"]
    assert sum(tag == "caption" for tag, _ in page.tags) == tables - len(plain)
    boxes = [
        attributes
        for _, attributes in page.tags
        if (attributes.get("class") or "") == "scroll" and "role" in attributes
    ]
    assert boxes
    assert all(box["role"] == "region" and box["aria-label"] and box["tabindex"] == "0" for box in boxes)


def test_every_picture_has_words(report: ReportData) -> None:
    page = Page(render_html(report))
    photos = [attributes for tag, attributes in page.tags if tag == "img"]
    # The one item with a photo: described, judged twice, in a blank and in an outfit to complete.
    assert [attributes["alt"] for attributes in photos] == ["top: silk top number test1"] * 5
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert all("aria-label" in attributes or attributes.get("aria-hidden") == "true" for attributes in drawings)
    labels = [attributes.get("aria-label") or "" for attributes in drawings]
    assert any(label.startswith("ROC curves, random items: Fine-tuned model AUC 0.500") for label in labels)
    assert any(label.startswith("Reliability of Fine-tuned model: expected calibration error") for label in labels)


def test_the_table_comes_first_then_the_verdict_warnings_and_leaks(wide: ReportData) -> None:
    page = Page(render_html(wide))
    places = [attributes["id"] for tag, attributes in page.tags if tag in ("section", "details") and "id" in attributes]
    assert places[:4] == ["summary", "verdict", "warnings", "leaks"]
    assert [place for place in places if place and place.startswith("protocol-")] == [
        "protocol-random", "protocol-same-category", "protocol-one-swapped", "protocol-pairs", "protocol-release",
        "protocol-release-odd-one-i",
    ]  # fmt: skip
    assert next(tag for tag, _ in page.tags if tag in ("table", "svg", "img")) == "table"
