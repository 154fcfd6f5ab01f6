"""Contents of the page: every figure from the JSON, with warnings, leaks and settings."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html import unescape

import pytest

from coordi.config import RunSettings
from coordi.data.leaks import Leak
from coordi.evaluation.page import render_html
from coordi.evaluation.question_sets import ProtocolQuestions
from coordi.evaluation.report import ReportData
from coordi.evaluation.summary import protocol_words, scorer_words

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
)
from .scorers import measure


def test_every_protocol_and_scorer_has_its_place_with_its_figures(wide: ReportData, wide_html: str) -> None:
    html = wide_html
    tasks = wide.evaluation.tasks
    places = {"random", "same-category", "one-swapped", "pairs", "release", "release-odd one/<i>"}
    assert places == set(tasks["compatibility"]) | set(tasks["fill_in_the_blank"]) | set(tasks["retrieval"])
    sections = dict(zip(places_of(html), re.split(r"<details", html)[1:], strict=True))
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
    return [named[slug] for slug in re.findall(r'<details id="([^"]*)"', html)]


def words(html: str) -> str:
    """The text between tags."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def test_figures_follow_the_json_and_nothing_is_canned(wide: ReportData, wide_html: str) -> None:
    tasks = {task: dict(protocols) for task, protocols in wide.evaluation.tasks.items()}
    changed = tasks["compatibility"]["random"] | {"auc": 0.123, "smallest_difference": 0.0456}
    changed["baselines"] = changed["baselines"] | {"chance": changed["baselines"]["chance"] | {"auc": 0.987}}
    tasks["compatibility"]["random"] = changed
    text = Page(render_html(replace(wide, evaluation=replace(wide.evaluation, tasks=tasks)))).text
    before = Page(wide_html).text
    for words in ("12 times in 100", "0.987", "a difference from guessing of 0.046 or more shows"):
        assert words in text
        assert words not in before


def summary_tables(html: str) -> list[str]:
    section = html[html.index('<section id="summary">') :].partition("</section>")[0]
    return section.split("<table>")[1:]


def test_the_summary_has_every_scorer_under_every_protocol(wide: ReportData, wide_html: str) -> None:
    tables = summary_tables(wide_html)
    for table in tables:
        for name in STRENGTHS:
            assert scorer_words(name).label in words(table)
    assert "=cmd()|x, <b> scores from a file" in words(tables[1])
    # A table per task; the scorer from a file answered the blanks of one protocol.
    for table, protocols in zip(tables, wide.evaluation.tasks.values(), strict=True):
        assert table.count('<th scope="col"') == len(protocols) + 1
    others = len(wide.evaluation.tasks["fill_in_the_blank"]) - 1
    assert tables[1][tables[1].index("=cmd") :].partition("</tr>")[0].count("–</td>") == others
    rows = re.findall(r'<th scope="row"><span class="swatch[^"]*"></span>([^<]*)<', tables[0])
    aucs = [figures["baselines"] for figures in wide.evaluation.tasks["compatibility"].values()]
    strength = {name: sum(float(one[name]["auc"]) for one in aucs) for name in STRENGTHS if name in aucs[0]}
    strongest = sorted((name for name in strength if name != "base"), key=lambda name: -strength[name])
    assert rows == [scorer_words(name).label for name in ("fine-tuned", "base", *strongest)]
    last = re.findall(r'<th scope="row"><span class="swatch[^"]*"></span>([^<]*)<', tables[1])[-1]
    assert unescape(last) == PartialScores.name


def test_the_best_is_bold_and_significant_differences_are_marked(wide: ReportData, wide_html: str) -> None:
    figures = wide.evaluation.tasks["compatibility"]["pairs"]
    summary = "".join(summary_tables(wide_html))
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


def test_warnings_stand_out_once_with_all_their_sources(wide: ReportData, wide_html: str) -> None:
    box = wide_html[wide_html.index('<ul class="warnings">') :].partition("</ul>")[0]
    text = words(box)
    assert "baselines: encoder-vectors were left out: no photo <b>." in text
    assert box.count("12 test outfits") == 1
    assert "release compatibility: 3 of the release's 27 questions: an item is gone." in text
    quiet = replace(wide, warnings=(), evaluation=replace(wide.evaluation, warnings=()))
    assert 'id="warnings"' not in render_html(quiet)


def test_retrieval_breakdowns_and_reliability_are_shown(wide: ReportData, wide_html: str) -> None:
    page = Page(wide_html)
    retrieval = wide.evaluation.tasks["retrieval"]["same-category"]
    assert (
        f"ranks the true item first {100 * retrieval['recall']['1']:.0f} times in 100; guessing would be 17"
        in page.text
    )
    labels = [attributes.get("aria-label") or "" for _, attributes in page.tags]
    assert sum(label.startswith("Reliability, ") for label in labels) == 5
    figures = wide.evaluation.tasks["compatibility"]["random"]
    for row in figures["breakdown"]["category"]:
        assert f"{row['value']} {row['n']} {row['positives']} {row['auc']:.3f} {row['accuracy']:.3f}" in page.text
    assert f"{figures['calibration']['ece']:.3f}" in page.text


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
    assert "50 times in 100; guessing would be 50. Among 2 candidates" in text
    assert "answered 6 questions about 12 test outfits" in text
    assert "nobody wears it −3 216 items" in text
    assert "teal 81%" in text
    assert "was in the outfit" in text
    assert "evaluate.bootstrap 100" in text


@pytest.mark.parametrize(("sign", "word"), [(1, "ahead"), (-1, "behind"), (0, "not significant")])
def test_ahead_and_behind_follow_the_test(report: ReportData, sign: int, word: str) -> None:
    many = tuple(replace(one, id=f"{one.id}-{n}", outfit_id=f"{one.outfit_id}-{n}") for one in TEST for n in range(12))
    table = {",".join(one.item_ids): 0.5 + sign * (0.4 if one.compatible else -0.4) for one in TEST}
    valid = {"0,1": 0.7, "2,7": 0.3}
    scorers = [TableScorer("fine-tuned", valid | table), TableScorer("title-cosine", {}, 0.5)]
    questions = ProtocolQuestions("random", VALID, many)
    evaluation = measure([questions], scorers, SETTINGS.evaluate, 3)
    html = render_html(replace(report, evaluation=evaluation))
    row = re.search(r"Title similarity\s*</th>(.*?)</tr>", html[html.index("minus each scorer, in AUC</") :], re.DOTALL)
    assert row is not None
    assert words(row[1]).endswith(word)


def test_what_the_audit_found_is_shown_with_its_worth(report: ReportData) -> None:
    leaks = (
        Leak("order", "random", "categories by position tell the answer", auc=0.91, chance=0.5),
        Leak("position", "same-category blanks", "the answer stands first", accuracy=0.4, chance=0.25),
        Leak("ids", "random", "numbers tell the answer", auc=0.8, chance=0.5, visible=False),
        Leak("titles", "train and test", "5 titles <b>", count=5),
    )
    text = Page(render_html(replace(report, leaks=leaks))).text
    assert "order random AUC 0.910 chance 0.500 categories by position tell the answer" in text
    assert "position same-category blanks accuracy 0.400 chance 0.250 the answer stands first" in text
    assert "ids random AUC 0.800 chance 0.500 numbers tell the answer No scorer gets it." in text
    assert "titles train and test – 5 titles <b>" in text
    assert "Leak (order): categories by position tell the answer." in text
    assert "none found" in Page(render_html(report)).text


def test_a_page_without_the_optional_parts(report: ReportData) -> None:
    bare = replace(report, training=(), descriptions={}, recommendations=(), versions={}, settings={})
    text = Page(render_html(bare)).text
    for absent in ("Labels of photos", "Recommended", "while fine-tuning", "Seeds and training sizes"):
        assert absent not in text


def test_a_model_measured_alone_gets_no_conclusion(report: ReportData) -> None:
    alone = measure(
        [ProtocolQuestions("random", VALID, TEST, BLANKS)], [TableScorer("base", MODEL)], SETTINGS.evaluate, 3
    )
    text = Page(render_html(replace(report, evaluation=alone, model={"name": "base"}))).text
    assert "The base model was measured without baselines to compare it with" in text
    assert "minus each scorer" not in text
    assert "The base model answered 6 questions" in text


def test_every_setting_is_shown_as_it_would_be_typed(report: ReportData) -> None:
    text = Page(render_html(report)).text
    assert RunSettings().finetune.warmup_ratio == 0.05
    assert "finetune.warmup_ratio 0.05" in text
    assert "evaluate.protocols null" in text
