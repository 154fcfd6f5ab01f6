"""The page: every figure from the JSON, a place for every protocol and scorer, nothing fetched, nothing run."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path

import pytest

from coordi.config import RunSettings
from coordi.data.leaks import Leak
from coordi.domain import Dataset, Item
from coordi.evaluate.benchmark import measure
from coordi.evaluate.findings import Report
from coordi.evaluate.gallery import Gallery
from coordi.evaluate.page import render_html
from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.wording import place_words, protocol_words, scorer_words

from .conftest import make_wardrobe
from .reports import (
    BLANKS,
    HOSTILE,
    MODEL,
    SETTINGS,
    STRENGTHS,
    TEST,
    VALID,
    Page,
    PartialScores,
    TableScorer,
    asked,
    small_report,
    wide_report,
)


@pytest.fixture
def report(wardrobe: Dataset, tmp_path: Path) -> Report:
    return small_report(wardrobe, tmp_path)


@pytest.fixture(scope="module")
def wide() -> Report:
    return wide_report(make_wardrobe())


def test_the_page_fetches_nothing_and_runs_nothing(report: Report, wide: Report) -> None:
    for shown in (report, wide):
        html = render_html(shown)
        page = Page(html)
        assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "base", "form"}
        for _, attributes in page.tags:
            assert (attributes.get("src") or "data:").startswith("data:")
            assert (attributes.get("href") or "#").startswith("#")
            assert not any(name.startswith("on") for name in attributes)
        assert not re.search(r"url\(|@import|https?://", html)


def test_the_page_escapes_what_it_is_given(report: Report, wide: Report) -> None:
    html = render_html(report)
    assert "<script>" not in html
    assert HOSTILE.removeprefix("<script>") in Page(html).text
    assert "coordi run --data clothes --out 'a <b>'" in Page(html).text
    # Scorers, protocols and warnings may be anybody's words too.
    html = render_html(wide)
    assert not re.search(r"photo <b>|x, <b>|one/<i>", html)
    for words in ("=cmd()|x, <b>", "(odd one/<i>)", "no photo <b>."):
        assert words in Page(html).text


def test_ids_are_unique_and_links_lead_somewhere(report: Report, wide: Report) -> None:
    for shown in (report, wide):
        page = Page(render_html(shown))
        ids = Counter(attributes["id"] for _, attributes in page.tags if "id" in attributes)
        assert set(ids.values()) == {1}
        links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
        assert links == {f"#{name}" for name in ids}


def test_protocols_of_like_names_have_places_of_their_own(report: Report) -> None:
    part = report.evaluation.protocols[0].questions
    parts = [replace(part, protocol=name) for name in ("release-a b", "release-a/b", "코디")]
    evaluation = measure(parts, [TableScorer("fine-tuned", MODEL)], SETTINGS.evaluate, 3)
    page = Page(render_html(replace(report, evaluation=evaluation)))
    slugs = [attributes["id"] for tag, attributes in page.tags if tag == "details" and "id" in attributes]
    assert slugs == ["protocol-release-a-b", "protocol-release-a-b-1", "protocol-2"]


def test_headings_go_down_one_level_at_a_time(report: Report, wide: Report) -> None:
    for shown in (report, wide):
        levels = [int(tag[1]) for tag, _ in Page(render_html(shown)).tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_can_be_read_aloud(wide: Report) -> None:
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


def test_every_picture_has_words(report: Report) -> None:
    page = Page(render_html(report))
    photos = [attributes for tag, attributes in page.tags if tag == "img"]
    # The one item with a photo: described, judged twice, in a blank and in an outfit to complete.
    assert [attributes["alt"] for attributes in photos] == ["top: silk top number test1"] * 5
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert all("aria-label" in attributes or attributes.get("aria-hidden") == "true" for attributes in drawings)
    labels = [attributes.get("aria-label") or "" for attributes in drawings]
    assert any(label.startswith("ROC curves, random items: Fine-tuned model AUC 0.500") for label in labels)
    assert any(label.startswith("Reliability of Fine-tuned model: expected calibration error") for label in labels)


def test_the_table_comes_first_then_the_verdict_warnings_and_leaks(wide: Report) -> None:
    page = Page(render_html(wide))
    places = [attributes["id"] for tag, attributes in page.tags if tag in ("section", "details") and "id" in attributes]
    assert places[:4] == ["summary", "verdict", "warnings", "leaks"]
    assert [place for place in places if place and place.startswith("protocol-")] == [
        "protocol-random", "protocol-same-category", "protocol-one-swapped", "protocol-pairs", "protocol-release",
        "protocol-release-odd-one-i",
    ]  # fmt: skip
    assert next(tag for tag, _ in page.tags if tag in ("table", "svg", "img")) == "table"


def test_every_protocol_and_scorer_has_its_place_with_its_figures(wide: Report) -> None:
    html = render_html(wide)
    tasks = wide.evaluation.tasks
    places = {"random", "same-category", "one-swapped", "pairs", "release", "release-odd one/<i>"}
    assert places == set(tasks["compatibility"]) | set(tasks["fill_in_the_blank"]) | set(tasks["retrieval"])
    sections = dict(zip(places_of(html), re.split(r'<details class="sheet"', html)[1:], strict=True))
    for task, metric in (("compatibility", "auc"), ("fill_in_the_blank", "accuracy"), ("retrieval", "mrr")):
        for protocol, figures in tasks[task].items():
            text = words(sections[protocol])
            assert protocol_words(protocol)[0] in text
            for name, one in ({"fine-tuned": figures} | figures["baselines"]).items():
                low, high = one["ci95"] if task == "fill_in_the_blank" else one["ci95"][metric]
                said = scorer_words(name)
                assert f"{said.label} {said.note} {one[metric]:.3f} {low:.3f}–{high:.3f}" in text
                if name != "fine-tuned":
                    ahead = one["model_ahead"]
                    signed = f"{ahead[metric]:+.3f} {ahead['ci95'][0]:+.3f} to {ahead['ci95'][1]:+.3f}"
                    signed = re.sub(r"[+-](0\.000)", r"\1", signed).replace("-", "−")
                    assert f"{said.label} {signed}" in text


def places_of(html: str) -> list[str]:
    named = {
        "protocol-random": "random", "protocol-same-category": "same-category", "protocol-one-swapped": "one-swapped",
        "protocol-pairs": "pairs", "protocol-release": "release", "protocol-release-odd-one-i": "release-odd one/<i>",
    }  # fmt: skip
    return [named[slug] for slug in re.findall(r'<details class="sheet" id="([^"]*)"', html)]


def words(html: str) -> str:
    """The text between tags."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def test_figures_follow_the_json_and_nothing_is_canned(wide: Report) -> None:
    tasks = {task: dict(protocols) for task, protocols in wide.evaluation.tasks.items()}
    changed = tasks["compatibility"]["random"] | {"auc": 0.123, "smallest_difference": 0.0456}
    changed["baselines"] = changed["baselines"] | {"chance": changed["baselines"]["chance"] | {"auc": 0.987}}
    tasks["compatibility"]["random"] = changed
    text = Page(render_html(replace(wide, evaluation=replace(wide.evaluation, tasks=tasks)))).text
    before = Page(render_html(wide)).text
    for words in ("12 times in 100", "0.987", "a lead over guessing of 0.046 or more shows"):
        assert words in text
        assert words not in before


def test_the_summary_has_every_scorer_under_every_protocol(wide: Report) -> None:
    html = render_html(wide)
    table = html[html.index('<table class="summary">') : html.index("</table>")]
    text = words(table)
    for name in STRENGTHS:
        assert scorer_words(name).label in text
    assert "=cmd()|x, <b> scores from a file" in text
    # Six columns of compatibility and blanks each have their questions; the scorer from a file answered one of them.
    columns = sum(len(protocols) for protocols in wide.evaluation.tasks.values())
    assert table.count('<th scope="col">') == columns + 1
    assert table[table.index("=cmd") :].partition("</tr>")[0].count("–</td>") == columns - 1
    rows = re.findall(r'<th scope="row"><span class="swatch"></span>([^<]*)<', table)
    aucs = [figures["baselines"] for figures in wide.evaluation.tasks["compatibility"].values()]
    strength = {name: sum(float(one[name]["auc"]) for one in aucs) for name in STRENGTHS if name in aucs[0]}
    strongest = sorted((name for name in strength if name != "base"), key=lambda name: -strength[name])
    labels = [scorer_words(name).label for name in ("fine-tuned", "base", *strongest)]
    assert rows[:-1] == labels
    assert unescape(rows[-1]) == PartialScores.name


def test_the_best_is_bold_and_who_is_told_apart_is_marked(wide: Report) -> None:
    html = render_html(wide)
    figures = wide.evaluation.tasks["compatibility"]["pairs"]
    summary = html[html.index('<table class="summary">') : html.index("</table>")]
    marks = Counter(re.findall(r'class="mark (good|bad)"', summary))
    expected: Counter[str] = Counter()
    for protocols in wide.evaluation.tasks.values():
        for one in (one for figures in protocols.values() for one in figures["baselines"].values()):
            ahead = one["model_ahead"]
            metric = next(name for name in ("auc", "accuracy", "mrr") if name in ahead)
            if ahead["p_holm"] is not None and ahead["p_holm"] < 0.05:
                expected["good" if ahead[metric] > 0 else "bad"] += 1
    assert marks == expected
    assert marks["good"] > 0
    best = max([figures, *figures["baselines"].values()], key=lambda one: float(one["auc"]))
    assert f"<b>{best['auc']:.3f}</b>" in summary


def test_warnings_are_loud_and_said_once_with_every_place(wide: Report) -> None:
    html = render_html(wide)
    box = html[html.index('<div class="loud">') :].partition("</div>")[0]
    text = words(box)
    assert "baselines: encoder-vectors were left out: no photo <b>." in text
    assert box.count("12 test outfits") == 1
    assert "release’s own questions, compatibility: 3 of the release's 27 questions: an item is gone." in text
    quiet = replace(wide, warnings=(), evaluation=replace(wide.evaluation, warnings=()))
    assert '<div class="loud">' not in render_html(quiet)


def test_places_are_said_in_words() -> None:
    assert place_words("same-category fill-in-the-blank, release-x compatibility") == (
        "same categories, fill in the blank; the release’s own questions (x), compatibility"
    )
    assert place_words("random blanks") == "random items, blanks"
    assert place_words("random") == "random items"
    assert place_words("train and test") == "train and test"
    assert place_words("random draws of something") == "random draws of something"


def test_seeds_and_the_learning_curve_are_shown(wide: Report) -> None:
    page = Page(render_html(wide))
    auc = wide.evaluation.tasks["compatibility"]["random"]["auc"]
    assert "drawn anew with the seeds 17, 18" in page.text
    assert f"{(auc + 0.625) / 2:.3f} {abs(auc - 0.625) / 2**0.5:.3f} {min(auc, 0.625):.3f} to" in page.text
    label = "Category pairs 0.55 with 3, 0.65 with 8, 0.75 with 30"
    shown = [attributes.get("aria-label") or "" for _, attributes in page.tags]
    assert any(one.startswith("AUC by training outfits, random items") and label in one for one in shown)
    bare = Page(render_html(replace(wide, seeds=None, learning_curve=())))
    assert "Steadiness" not in bare.text


def test_retrieval_breakdowns_and_reliability_are_shown(wide: Report) -> None:
    page = Page(render_html(wide))
    retrieval = wide.evaluation.tasks["retrieval"]["same-category"]
    assert (
        f"puts the true one first {100 * retrieval['recall']['1']:.0f} times in 100 ; guessing would be 17" in page.text
    )
    labels = [attributes.get("aria-label") or "" for _, attributes in page.tags]
    assert any(label.startswith("Recall at k among 6 candidates, same categories: Fine-tuned") for label in labels)
    assert sum(label.startswith("Reliability of Set transformer") for label in labels) == 5
    for row in wide.evaluation.tasks["compatibility"]["random"]["breakdown"]["category"]:
        assert f"{row['value']} {row['n']} {row['positives']} {row['auc']:.3f} {row['accuracy']:.3f}" in page.text


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
    assert "50 times in 100 ; guessing would be 50. Out of 2 items" in text
    assert "answered 6 questions about 12 test outfits" in text
    assert "nobody wears it −3 216 items" in text
    assert "teal 81%" in text
    assert "was in the outfit" in text
    assert "evaluate.bootstrap 100" in text


@pytest.mark.parametrize(("sign", "word"), [(1, "ahead"), (-1, "behind"), (0, "not told apart")])
def test_ahead_and_behind_follow_the_test(report: Report, sign: int, word: str) -> None:
    table = {",".join(one.item_ids): 0.5 + sign * (0.4 if one.compatible else -0.4) for one in TEST}
    valid = {"0,1": 0.7, "2,7": 0.3}
    scorers = [TableScorer("fine-tuned", valid | table), TableScorer("title-cosine", {}, 0.5)]
    questions = ProtocolQuestions("random", VALID, TEST)
    evaluation = measure([questions], scorers, SETTINGS.evaluate, 3)
    html = render_html(replace(report, evaluation=evaluation))
    row = re.search(r"<th scope=\"row\">Title likeness</th>(.*?)</tr>", html, re.DOTALL)
    assert row is not None
    assert row[1].strip().endswith(f"<td>{word}</td>")
    answer = {"ahead": "yes", "behind": "no", "not told apart": "not-shown"}[word]
    assert f'class="saying answer-{answer}"' in html


def test_what_the_audit_found_is_shown_with_its_worth(report: Report) -> None:
    leaks = (
        Leak("order", "random", "categories by position tell the answer", auc=0.91, chance=0.5),
        Leak("position", "same-category blanks", "the answer stands first", accuracy=0.4, chance=0.25),
        Leak("ids", "random", "numbers tell the answer", auc=0.8, chance=0.5, shown=False),
        Leak("titles", "train and test", "5 titles <b>", count=5),
    )
    text = Page(render_html(replace(report, leaks=leaks))).text
    assert "order random items AUC 0.910 chance 0.500 categories by position tell the answer" in text
    assert "position same categories, blanks accuracy 0.400 chance 0.250 the answer stands first" in text
    assert "ids random items AUC 0.800 chance 0.500 numbers tell the answer No scorer is shown it." in text
    assert "titles train and test – 5 titles <b>" in text
    assert "Leak (order): categories by position tell the answer." in text
    assert "none found" in Page(render_html(report)).text


def test_a_page_without_the_optional_parts(report: Report) -> None:
    bare = replace(report, training=(), descriptions={}, recommendations=(), versions={}, settings={})
    text = Page(render_html(bare)).text
    for absent in ("Seen in photos", "Recommended", "while fine-tuning", "Steadiness"):
        assert absent not in text


def test_a_model_measured_alone_gets_no_verdict(report: Report) -> None:
    alone = measure(
        [ProtocolQuestions("random", VALID, TEST, BLANKS)], [TableScorer("base", MODEL)], SETTINGS.evaluate, 3
    )
    text = Page(render_html(replace(report, evaluation=alone, model={"name": "base"}))).text
    assert "Nobody can say yet: it was measured with nothing beside it." in text
    assert "How far ahead" not in text
    assert "The base model answered 6 questions" in text


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


def test_examples_of_blanks_need_no_compatibility_questions(wide: Report) -> None:
    parts = tuple(part for part in wide.evaluation.protocols if part.questions.protocol.startswith("release-odd"))
    gallery = Gallery(replace(wide, evaluation=replace(wide.evaluation, protocols=parts)), 3)
    assert gallery.judged(right=True) == gallery.judged(right=False) == ()
    assert len(gallery.blanks()) == 3


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


def test_every_setting_is_shown_as_it_would_be_typed(report: Report) -> None:
    text = Page(render_html(report)).text
    assert RunSettings().finetune.warmup_ratio == 0.05
    assert "finetune.warmup_ratio 0.05" in text
    assert "evaluate.protocols null" in text
