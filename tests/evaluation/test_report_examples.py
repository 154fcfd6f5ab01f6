"""The answers that a page shows: picked by rule, with photos where there are any."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from coordi.evaluation.examples import Example, ExamplePicker
from coordi.evaluation.page import render_html
from coordi.evaluation.question_sets import ProtocolQuestions
from coordi.evaluation.report import ReportData
from coordi.types import Item

from .reports import (
    BLANKS,
    MODEL,
    SETTINGS,
    TEST,
    VALID,
    TableScorer,
    make_question,
)
from .scorers import measure


def is_real(example: Example) -> bool:
    return example.title.startswith("Real outfit")


def test_examples_are_the_most_confident_ones_by_rule(report: ReportData) -> None:
    picker = ExamplePicker(report, 4)
    right, wrong = picker.compatibility(right=True), picker.compatibility(right=False)
    # Real and made-up in turn.
    assert [(one.score, is_real(one), one.right) for one in right] == [(0.9, True, True), (0.3, False, True)]
    assert [(one.score, is_real(one), one.right) for one in wrong] == [(0.2, True, False), (0.6, False, False)]
    assert len(ExamplePicker(report, 1).compatibility(right=True)) == 1
    assert ExamplePicker(report, 0).compatibility(right=False) == ()
    blanks = picker.blanks()
    assert [blank.right for blank in blanks] == [True, False]
    candidates = [blank.cards[1][1] for blank in blanks]
    assert [(card.mark, card.note) for card in candidates[0]] == [("real", "the real one, chosen"), ("", "")]
    assert [(card.mark, card.note) for card in candidates[1]] == [("mistaken", "chosen"), ("real", "the real one")]


def test_examples_with_photos_come_before_more_confident_ones(report: ReportData) -> None:
    more = (*TEST, make_question("176,177", "test-2", True))
    questions = ProtocolQuestions("random", VALID, more, BLANKS)
    table = MODEL | {"172,173": 0.6, "176,177": 1.0}
    evaluation = measure([questions], [TableScorer("fine-tuned", table)], SETTINGS.evaluate, 3)
    right = ExamplePicker(replace(report, evaluation=evaluation), 6).compatibility(right=True)
    # 172 has a photo, which is half of its outfit; the others have none and follow by confidence.
    assert [one.score for one in right if is_real(one)] == [0.6, 1.0, 0.9]


def test_examples_of_blanks_need_no_compatibility_questions(wide: ReportData) -> None:
    parts = tuple(part for part in wide.evaluation.protocols if part.questions.protocol.startswith("release-odd"))
    picker = ExamplePicker(replace(wide, evaluation=replace(wide.evaluation, protocols=parts)), 3)
    assert picker.compatibility(right=True) == picker.compatibility(right=False) == ()
    assert len(picker.blanks()) == 3


def test_an_item_whose_photo_is_gone_has_none(report: ReportData, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").unlink()
    picker = ExamplePicker(report, 4)
    assert picker.described()[0].cards[0][1][0].photo is None
    assert "<img" not in render_html(report)


def test_an_item_without_words_is_said_to_have_none(report: ReportData) -> None:
    items = dict(report.dataset.items) | {"172": Item("172", "", "top"), "169": Item("169", "", "bottom", "Jeans")}
    picker = ExamplePicker(replace(report, dataset=replace(report.dataset, items=items)), 4)
    shown = {card.title for right in (True, False) for one in picker.compatibility(right) for card in one.cards[0][1]}
    assert {"no title", "Jeans"} <= shown


def test_a_described_photo_stands_with_its_labels_and_how_sure_they_are(report: ReportData) -> None:
    (seen,) = ExamplePicker(report, 4).described()
    assert seen.labels == (("colour", (("teal", 0.81), ("navy", 0.12))),)
    section = render_html(report).partition('<section id="photos">')[2].partition("</section>")[0]
    assert section.count('<img src="data:image/jpeg;base64,') == 1
    assert "<dt>colour</dt>" in section
    assert "teal <i>81%</i>" in section
    assert "navy <i>12%</i>" in section
