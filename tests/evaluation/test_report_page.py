"""The page itself: nothing fetched, nothing run, all escaped, each part in its place and with words for pictures."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

from coordi.evaluation.page import render_html
from coordi.evaluation.report import ReportData

from .reports import (
    HOSTILE,
    MODEL,
    SETTINGS,
    Page,
    TableScorer,
)
from .scorers import measure


def test_the_page_fetches_nothing_and_runs_nothing(report: ReportData, wide_html: str) -> None:
    for html in (render_html(report), wide_html):
        page = Page(html)
        assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "base", "form"}
        for _, attributes in page.tags:
            assert (attributes.get("src") or "data:").startswith("data:")
            assert (attributes.get("href") or "#").startswith("#")
            assert not any(name.startswith("on") for name in attributes)
        assert not re.search(r"url\(|@import|https?://", html)


def test_the_page_escapes_what_it_is_given(report: ReportData, wide_html: str) -> None:
    html = render_html(report)
    assert "<script>" not in html
    assert HOSTILE.removeprefix("<script>") in Page(html).text
    assert "coordi run --data clothes --out 'a <b>'" in Page(html).text
    # Scorers, protocols and warnings may be anybody's words too.
    assert not re.search(r"photo <b>|x, <b>|one/<i>", wide_html)
    for words in ("=cmd()|x, <b>", "(odd one/<i>)", "no photo <b>."):
        assert words in Page(wide_html).text


def test_ids_are_unique_and_links_lead_somewhere(report: ReportData, wide_html: str) -> None:
    for html in (render_html(report), wide_html):
        page = Page(html)
        ids = Counter(attributes["id"] for _, attributes in page.tags if "id" in attributes)
        assert set(ids.values()) == {1}
        links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
        sections = [attributes for tag, attributes in page.tags if tag in ("section", "details")]
        assert links == {f"#{attributes['id']}" for attributes in sections}
        # Charts refer to parts of their own.
        uses = {attributes["xlink:href"] for tag, attributes in page.tags if tag == "use"}
        assert uses <= {f"#{name}" for name in ids}


def test_protocols_of_like_names_have_places_of_their_own(report: ReportData) -> None:
    part = report.evaluation.protocols[0].questions
    parts = [replace(part, protocol=name) for name in ("release-a b", "release-a/b", "코디")]
    evaluation = measure(parts, [TableScorer("fine-tuned", MODEL)], SETTINGS.evaluate, 3)
    page = Page(render_html(replace(report, evaluation=evaluation)))
    slugs = [attributes["id"] for tag, attributes in page.tags if tag == "details" and "id" in attributes]
    assert slugs == ["protocol-release-a-b", "protocol-release-a-b-1", "protocol-2"]


def test_headings_go_down_one_level_at_a_time(report: ReportData, wide_html: str) -> None:
    for html in (render_html(report), wide_html):
        levels = [int(tag[1]) for tag, _ in Page(html).tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_can_be_read_aloud(wide_html: str) -> None:
    page = Page(wide_html)
    heads = [attributes for tag, attributes in page.tags if tag == "th"]
    assert len(heads) > 100
    assert all(attributes.get("scope") in ("col", "row") for attributes in heads)
    tables = sum(tag == "table" for tag, _ in page.tags)
    assert sum(tag == "caption" for tag, _ in page.tags) == tables
    boxes = [attributes for _, attributes in page.tags if attributes.get("class") == "scroll"]
    assert len(boxes) == tables
    assert all(box["role"] == "region" and box["aria-label"] and box["tabindex"] == "0" for box in boxes)


def test_every_picture_has_words(report: ReportData) -> None:
    page = Page(render_html(report))
    photos = [attributes for tag, attributes in page.tags if tag == "img"]
    # The one item with a photo: described, judged twice, in a blank and in an outfit to complete.
    assert [attributes["alt"] for attributes in photos] == ["top: silk top number test1"] * 5
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert drawings
    assert all(attributes.get("role") == "img" and attributes.get("aria-label") for attributes in drawings)
    labels = [attributes.get("aria-label") or "" for attributes in drawings]
    assert any(label.startswith("ROC curves, random items: Fine-tuned model AUC 0.500") for label in labels)
    start = "Reliability, random items, expected calibration errors: Fine-tuned model"
    assert any(label.startswith(start) for label in labels)


def test_the_table_comes_first_then_warnings_and_leaks(wide_html: str) -> None:
    page = Page(wide_html)
    ids = [attributes["id"] for tag, attributes in page.tags if tag in ("section", "details") and "id" in attributes]
    assert ids[:3] == ["summary", "warnings", "leaks"]
    assert [name for name in ids if name and name.startswith("protocol-")] == [
        "protocol-random", "protocol-same-category", "protocol-one-swapped", "protocol-pairs", "protocol-release",
        "protocol-release-odd-one-i",
    ]  # fmt: skip
    assert next(tag for tag, _ in page.tags if tag in ("table", "svg", "img")) == "table"
