"""The report's files: what they hold, that they need nothing else, and that the same report gives the same bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from coordi.config import RunSettings
from coordi.data.leaks import Leak
from coordi.domain import CompatibilityQuestion, Dataset, Description, FillInTheBlankQuestion, Item, Label
from coordi.errors import ArtifactError
from coordi.evaluate.benchmark import measure
from coordi.evaluate.findings import LearningPoint, Report, ShownRecommendation
from coordi.evaluate.gallery import Gallery
from coordi.evaluate.page import render_html
from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.report import report_json, write_report

SETTINGS = RunSettings.model_validate({"evaluate": {"bootstrap": 100, "examples": 4}})


class TableScorer:
    """Says what a table says of the outfit's items in order."""

    gives_probabilities = False

    def __init__(self, name: str, table: dict[str, float], otherwise: float = 0.5) -> None:
        self.name = name
        self._table = table
        self._otherwise = otherwise

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        return np.array([self._table.get(",".join(outfit), self._otherwise) for outfit in outfits])


def asked(item_ids: str, outfit_id: str, compatible: bool) -> CompatibilityQuestion:
    return CompatibilityQuestion(f"{outfit_id}-{compatible}", outfit_id, tuple(item_ids.split(",")), compatible)


VALID = (asked("0,1", "valid-0", True), asked("2,7", "valid-0", False))
TEST = (
    asked("168,169", "test-0", True),
    asked("168,173", "test-0", False),
    asked("172,173", "test-1", True),
    asked("172,169", "test-1", False),
)
BLANKS = (
    FillInTheBlankQuestion("q", "test-0", ("168",), ("169", "173"), 0),
    FillInTheBlankQuestion("r", "test-1", ("172",), ("169", "173"), 1),
)
# The threshold is 0.5. Right: 168,169 by 0.4 and 172,169 by 0.2; wrong: 168,173 by 0.1 and 172,173 by 0.3.
MODEL = {"0,1": 0.7, "2,7": 0.3, "168,169": 0.9, "168,173": 0.6, "172,173": 0.2, "172,169": 0.3}


@pytest.fixture
def report(wardrobe: Dataset, tmp_path: Path) -> Report:
    photo = tmp_path / "photo.jpg"
    Image.new("RGB", (300, 200), "teal").save(photo)
    items = dict(wardrobe.items)
    items["172"] = replace(items["172"], image=photo)
    items["173"] = replace(items["173"], title="<script>alert('x')</script> & co")
    questions = ProtocolQuestions("random", VALID, TEST, BLANKS)
    scorers = [TableScorer("fine-tuned", MODEL), TableScorer("base", {}, 0.5)]
    return Report(
        command="coordi run --data clothes --out 'a <b>'",
        dataset=replace(wardrobe, items=items),
        evaluation=measure([questions], scorers, SETTINGS.evaluate, 3),
        model={"name": "fine-tuned", "base": "bundled"},
        settings=SETTINGS.model_dump(mode="json"),
        training=(LearningPoint(0, None, 0.7, 0.5), LearningPoint(10, 0.6, 0.6, 0.6), LearningPoint(20, 0.5)),
        descriptions={"172": Description("172", {"colour": (Label("teal", 0.81), Label("navy", 0.12))})},
        recommendations=(ShownRecommendation(("172",), "bag", (("175", 0.75), ("171", 0.5)), "titles", taken="175"),),
        versions={"coordi": "0.1.0"},
    )


class Page(HTMLParser):
    """Collects what a test looks at, and fails on tags that don't match."""

    VOID = frozenset({"meta", "img", "link", "br", "input", "circle", "path"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


def test_report_json_has_the_keys_of_the_design(report: Report) -> None:
    found = report_json(report)
    assert list(found)[:4] == ["data", "model", "settings", "tasks"]
    figures = found["tasks"]["compatibility"]["random"]
    assert {"n", "positives", "accuracy", "f1", "auc", "ci95", "threshold", "baselines"} <= set(figures)
    assert set(figures["ci95"]) == {"accuracy", "f1", "auc"}
    assert set(figures) - {"baselines"} <= set(figures["baselines"]["base"])
    assert {"n", "choices", "accuracy", "ci95", "baselines"} == set(found["tasks"]["fill_in_the_blank"]["random"])
    assert found["data"]["splits"]["test"] == {"outfits": 12, "items": 48, "photos": 1}
    assert found["data"]["funnel"][1]["count"] == 3
    assert found["settings"]["seed"] == 17
    assert found["training"][1] == {"step": 10, "train_loss": 0.6, "valid_loss": 0.6, "valid_auc": 0.6}
    assert found["recommendations"][0]["suggestions"][0] == {"item": "175", "score": 0.75}


def test_the_same_report_gives_the_same_bytes(report: Report, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_report(tmp_path / folder, report)
    for name in ("report.json", "report.html", "scores.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert json.loads((tmp_path / "a" / "report.json").read_text()) == json.loads(json.dumps(report_json(report)))


def test_scores_hold_every_score_of_every_scorer(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path, report)
    rows = pq.read_table(tmp_path / "scores.parquet").to_pylist()
    assert len(rows) == 2 * (len(TEST) + 4)
    assert rows[0] == {
        "task": "compatibility", "protocol": "random", "question_id": "test-0-True", "outfit_id": "test-0",
        "candidate": None, "scorer": "fine-tuned", "truth": True, "score": 0.9,
    }  # fmt: skip
    blanks = [row for row in rows if row["task"] == "fill_in_the_blank" and row["scorer"] == "fine-tuned"]
    assert [(row["candidate"], row["truth"], row["score"]) for row in blanks] == [
        (0, True, 0.9), (1, False, 0.6), (0, False, 0.3), (1, True, 0.2),
    ]  # fmt: skip


def test_the_page_fetches_nothing_and_runs_nothing(report: Report) -> None:
    html = render_html(report)
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "base"}
    for _, attributes in page.tags:
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"url\(|@import|https?://", html)


def test_the_page_escapes_what_it_is_given(report: Report) -> None:
    html = render_html(report)
    assert "<script>" not in html
    assert "alert('x')</script> & co" in Page(html).text
    assert "coordi run --data clothes --out 'a <b>'" in Page(html).text


def test_every_picture_has_words(report: Report) -> None:
    page = Page(render_html(report))
    photos = [attributes for tag, attributes in page.tags if tag == "img"]
    # The one item with a photo: described, judged twice, in a blank and in an outfit to complete.
    assert [attributes["alt"] for attributes in photos] == ["top: silk top number test1"] * 5
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert all("aria-label" in attributes or attributes.get("aria-hidden") == "true" for attributes in drawings)
    assert any((attributes.get("aria-label") or "").startswith("ROC curves") for attributes in drawings)


def test_links_lead_somewhere(report: Report) -> None:
    page = Page(render_html(report))
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    assert links == {f"#{name}" for name in ids}


def test_a_drawn_sample_and_the_text_only_mode_are_said(report: Report) -> None:
    drawn = replace(report, dataset=replace(report.dataset, layout="sample", text_only=False))
    assert "no figure here is a result" in Page(render_html(drawn)).text
    assert "Text-only mode" not in Page(render_html(drawn)).text
    assert "no figure here is a result" not in Page(render_html(report)).text
    assert "Text-only mode" in Page(render_html(report)).text
    assert "(1 of 48 test items" in Page(render_html(report)).text


def test_the_page_says_the_figures(report: Report) -> None:
    text = Page(render_html(report)).text
    figures = report.evaluation.tasks["compatibility"]["random"]
    # Four pairs: .9 beats .6 and .3, .2 beats neither: AUC 1/2.
    assert figures["auc"] == 0.5
    assert "50 times in 100" in text
    assert "The fine-tuned model is not told apart from “Base model” (AUC difference +0.000" in text
    assert "nobody wears it −3 216 items" in text
    assert "teal 81%" in text
    assert "was in the outfit" in text
    assert "evaluate.bootstrap 100" in text


@pytest.mark.parametrize(("sign", "word"), [(1, "ahead of"), (-1, "behind"), (0, "not told apart from")])
def test_ahead_and_behind_follow_the_interval(report: Report, sign: int, word: str) -> None:
    table = {",".join(one.item_ids): 0.5 + sign * (0.4 if one.compatible else -0.4) for one in TEST}
    valid = {"0,1": 0.7, "2,7": 0.3}
    scorers = [TableScorer("fine-tuned", valid | table), TableScorer("base", {}, 0.5)]
    questions = ProtocolQuestions("random", VALID, TEST, BLANKS)
    evaluation = measure([questions], scorers, SETTINGS.evaluate, 3)
    assert f"is {word} “Base model”" in Page(render_html(replace(report, evaluation=evaluation))).text


def test_what_the_audit_found_is_shown(report: Report) -> None:
    leak = Leak("order", "random", "categories by position tell the answer: AUC 0.91", auc=0.91)
    leaky = replace(report, leaks=(leak,))
    assert "order random categories by position tell the answer: AUC 0.91" in Page(render_html(leaky)).text
    assert report_json(leaky)["data"]["leaks"][0]["auc"] == 0.91
    assert "none found" in Page(render_html(report)).text


def test_a_page_without_the_optional_parts(report: Report) -> None:
    bare = replace(report, training=(), descriptions={}, recommendations=(), versions={}, settings={})
    text = Page(render_html(bare)).text
    for absent in ("Seen in photos", "Recommended", "while fine-tuning"):
        assert absent not in text


def test_examples_are_the_most_confident_ones_by_rule(report: Report) -> None:
    gallery = Gallery(report, 4)
    right, wrong = gallery.judged(right=True), gallery.judged(right=False)
    # Real and made-up in turn.
    assert [(one.score, one.compatible, one.right) for one in right] == [(0.9, True, True), (0.3, False, True)]
    assert [(one.score, one.compatible, one.right) for one in wrong] == [(0.2, True, False), (0.6, False, False)]
    assert [len(one) for one in (Gallery(report, 1).judged(right=True), Gallery(report, 0).judged(right=False))] == [
        1,
        0,
    ]
    blanks = gallery.blanks()
    assert [blank.right for blank in blanks] == [True, False]
    assert [(card.mark, card.note) for card in blanks[0].candidates] == [("real", "the real one, chosen"), ("", "")]
    assert [(card.mark, card.note) for card in blanks[1].candidates] == [
        ("mistaken", "chosen"),
        ("real", "the real one"),
    ]


def test_examples_with_photos_come_before_more_confident_ones(report: Report) -> None:
    more = (*TEST, asked("176,177", "test-2", True))
    questions = ProtocolQuestions("random", VALID, more, BLANKS)
    table = MODEL | {"172,173": 0.6, "176,177": 1.0}
    evaluation = measure([questions], [TableScorer("fine-tuned", table)], SETTINGS.evaluate, 3)
    right = Gallery(replace(report, evaluation=evaluation), 6).judged(right=True)
    # 172 has a photo, which is half of its outfit; the others have none and follow by confidence.
    assert [one.score for one in right if one.compatible] == [0.6, 1.0, 0.9]


def test_an_item_whose_photo_is_gone_gets_its_drawing(report: Report, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").unlink()
    gallery = Gallery(report, 4)
    assert gallery.described()[0].card.photo is None
    assert "<img" not in render_html(report)


def test_an_item_without_words_is_said_to_have_none(report: Report) -> None:
    items = dict(report.dataset.items) | {"172": Item("172", "", "top"), "169": Item("169", "", "bottom", "Jeans")}
    gallery = Gallery(replace(report, dataset=replace(report.dataset, items=items)), 4)
    shown = {card.title for right in (True, False) for one in gallery.judged(right) for card in one.cards}
    assert {"no title", "Jeans"} <= shown


def test_a_folder_that_cannot_be_written_is_one_clear_error(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match="can't be written"):
        write_report(tmp_path / "file" / "out", report)
