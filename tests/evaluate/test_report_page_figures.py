"""What the page says: every figure from the JSON, with warnings, leaks, the verdict and settings."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from coordi.config import RunSettings
from coordi.data.leaks import Leak
from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.report import render_html
from coordi.evaluate.report_data import ReportData
from coordi.evaluate.summary import place_words, protocol_words, scorer_words
from coordi.types import Dataset

from .conftest import make_wardrobe
from .reports import (
    BLANKS,
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
from .scorers import measure


@pytest.fixture
def report(wardrobe: Dataset, tmp_path: Path) -> ReportData:
    return small_report(wardrobe, tmp_path)


@pytest.fixture(scope="module")
def wide() -> ReportData:
    return wide_report(make_wardrobe())


def test_every_protocol_and_scorer_has_its_place_with_its_figures(wide: ReportData) -> None:
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


def test_figures_follow_the_json_and_nothing_is_canned(wide: ReportData) -> None:
    tasks = {task: dict(protocols) for task, protocols in wide.evaluation.tasks.items()}
    changed = tasks["compatibility"]["random"] | {"auc": 0.123, "smallest_difference": 0.0456}
    changed["baselines"] = changed["baselines"] | {"chance": changed["baselines"]["chance"] | {"auc": 0.987}}
    tasks["compatibility"]["random"] = changed
    text = Page(render_html(replace(wide, evaluation=replace(wide.evaluation, tasks=tasks)))).text
    before = Page(render_html(wide)).text
    for words in ("12 times in 100", "0.987", "a lead over guessing of 0.046 or more shows"):
        assert words in text
        assert words not in before


def test_the_summary_has_every_scorer_under_every_protocol(wide: ReportData) -> None:
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


def test_the_best_is_bold_and_who_is_told_apart_is_marked(wide: ReportData) -> None:
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


def test_warnings_are_loud_and_said_once_with_every_place(wide: ReportData) -> None:
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


def test_seeds_and_the_learning_curve_are_shown(wide: ReportData) -> None:
    page = Page(render_html(wide))
    auc = wide.evaluation.tasks["compatibility"]["random"]["auc"]
    assert "trained baselines fitted, with another seed: 17, 18." in page.text
    assert f"{(auc + 0.625) / 2:.3f} {abs(auc - 0.625) / 2**0.5:.3f} {min(auc, 0.625):.3f} to" in page.text
    label = "Category pairs 0.55 with 3, 0.65 with 8, 0.75 with 30"
    shown = [attributes.get("aria-label") or "" for _, attributes in page.tags]
    assert any(one.startswith("AUC by training outfits, random items") and label in one for one in shown)
    bare = Page(render_html(replace(wide, seeds=None, learning_curve=())))
    assert "Steadiness" not in bare.text


def test_retrieval_breakdowns_and_reliability_are_shown(wide: ReportData) -> None:
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


def test_a_drawn_sample_and_the_text_only_mode_are_said(report: ReportData) -> None:
    drawn = replace(report, dataset=replace(report.dataset, layout="sample", text_only=False))
    assert "no figure here is a result" in Page(render_html(drawn)).text
    assert "Text-only mode" not in Page(render_html(drawn)).text
    assert "no figure here is a result" not in Page(render_html(report)).text
    assert "Text-only mode" in Page(render_html(report)).text
    assert "(1 of 48 test items" in Page(render_html(report)).text


def test_the_page_says_the_figures(report: ReportData) -> None:
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
def test_ahead_and_behind_follow_the_test(report: ReportData, sign: int, word: str) -> None:
    table = {",".join(one.item_ids): 0.5 + sign * (0.4 if one.compatible else -0.4) for one in TEST}
    valid = {"0,1": 0.7, "2,7": 0.3}
    scorers = [TableScorer("fine-tuned", valid | table), TableScorer("title-cosine", {}, 0.5)]
    questions = ProtocolQuestions("random", VALID, TEST)
    evaluation = measure([questions], scorers, SETTINGS.evaluate, 3)
    html = render_html(replace(report, evaluation=evaluation))
    row = re.search(r"<th scope=\"row\">Title likeness</th>(.*?)</tr>", html, re.DOTALL)
    assert row is not None
    assert row[1].strip().endswith(f"<td>{word}</td>")


@pytest.fixture
def sixty(report: ReportData) -> ReportData:
    """Sixty test outfits and two rivals that can't tell; the model is always right."""
    first = report.dataset.outfits_of("test")[0]
    outfits = tuple(replace(first, id=f"test-{number}") for number in range(60))
    real = tuple(asked("168,169", outfit.id, True) for outfit in outfits)
    made_up = tuple(asked("168,173", outfit.id, False) for outfit in outfits)
    scorers = [TableScorer("fine-tuned", MODEL), TableScorer("category-pairs", {}), TableScorer("title-cosine", {})]
    evaluation = measure([ProtocolQuestions("random", VALID, (*real, *made_up))], scorers, SETTINGS.evaluate, 3)
    return replace(report, dataset=replace(report.dataset, outfits=outfits), evaluation=evaluation)


@pytest.mark.parametrize(
    ("by", "p_holm", "answer", "standing"),
    [
        (0.5, 0.01, "yes", "ahead"),
        (0.6, 0.2, "not-shown", "not told apart<small>from Title likeness</small>"),
        (-0.1, 0.01, "no", "behind<small> Title likeness</small>"),
    ],
)
def test_the_verdict_names_the_rival_that_decides(
    sixty: ReportData, by: float, p_holm: float, answer: str, standing: str
) -> None:
    figures = sixty.evaluation.tasks["compatibility"]["random"]
    pairs, title = figures["baselines"]["category-pairs"], figures["baselines"]["title-cosine"]
    assert pairs["model_ahead"]["p_holm"] < 0.05
    title["auc"] = 0.4
    title["model_ahead"] |= {"auc": by, "p_holm": p_holm}
    html = render_html(sixty)
    assert f'class="saying answer-{answer}"' in html
    assert "<td>Category pairs</td>" in html
    assert f"<td>{standing}</td></tr>" in html


def test_what_the_audit_found_is_shown_with_its_worth(report: ReportData) -> None:
    leaks = (
        Leak("order", "random", "categories by position tell the answer", auc=0.91, chance=0.5),
        Leak("position", "same-category blanks", "the answer stands first", accuracy=0.4, chance=0.25),
        Leak("ids", "random", "numbers tell the answer", auc=0.8, chance=0.5, visible=False),
        Leak("titles", "train and test", "5 titles <b>", count=5),
    )
    text = Page(render_html(replace(report, leaks=leaks))).text
    assert "order random items AUC 0.910 chance 0.500 categories by position tell the answer" in text
    assert "position same categories, blanks accuracy 0.400 chance 0.250 the answer stands first" in text
    assert "ids random items AUC 0.800 chance 0.500 numbers tell the answer No scorer is shown it." in text
    assert "titles train and test – 5 titles <b>" in text
    assert "Leak (order): categories by position tell the answer." in text
    assert "none found" in Page(render_html(report)).text


def test_a_page_without_the_optional_parts(report: ReportData) -> None:
    bare = replace(report, training=(), descriptions={}, recommendations=(), versions={}, settings={})
    text = Page(render_html(bare)).text
    for absent in ("Seen in photos", "Recommended", "while fine-tuning", "Steadiness"):
        assert absent not in text


def test_a_model_measured_alone_gets_no_verdict(report: ReportData) -> None:
    alone = measure(
        [ProtocolQuestions("random", VALID, TEST, BLANKS)], [TableScorer("base", MODEL)], SETTINGS.evaluate, 3
    )
    text = Page(render_html(replace(report, evaluation=alone, model={"name": "base"}))).text
    assert "Nobody can say yet: it was measured with nothing beside it that is worth beating." in text
    assert "How far ahead" not in text
    assert "The base model answered 6 questions" in text


def test_every_setting_is_shown_as_it_would_be_typed(report: ReportData) -> None:
    text = Page(render_html(report)).text
    assert RunSettings().finetune.warmup_ratio == 0.05
    assert "finetune.warmup_ratio 0.05" in text
    assert "evaluate.protocols null" in text
