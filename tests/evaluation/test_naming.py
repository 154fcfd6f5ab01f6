"""Names in words, measured: what is asked, what may not be seen, and figures worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.evaluation.examples import ExamplePicker
from coordi.evaluation.naming import (
    Answers,
    NameExample,
    NameQuestion,
    NamingResult,
    draw_name_questions,
    naming_figures,
)
from coordi.evaluation.page import render_html
from coordi.evaluation.report import ReportData, report_json
from coordi.types import Dataset, Fact, Item, Label

from .reports import Page


def item(name: str, kind: str, colour: str, vector: tuple[float, float] = (1, 0)) -> Item:
    facts = {"kind": (Fact((kind,), "title"),)} if kind else {}
    embedding = np.array(vector, dtype=np.float32)
    colours = (colour,) if colour else ()
    return Item(name, name, "shoes", text=name, facts=facts, colours=colours, text_embedding=embedding)  # type: ignore[arg-type]


def with_kinds(dataset: Dataset) -> Dataset:
    items = {
        name: replace(row, facts={"kind": (Fact((row.subcategory,), "shop"),)}) for name, row in dataset.items.items()
    }
    return replace(dataset, items=items)


def test_the_removed_item_is_a_candidate_and_in_nothing_that_is_read(wardrobe: Dataset) -> None:
    dataset = with_kinds(wardrobe)
    questions = draw_name_questions(dataset, 3, 50)
    outfits = {outfit.id: outfit for outfit in dataset.outfits_of("test")}
    assert len(questions) == len(outfits)
    for question in questions:
        assert {*question.context, question.removed} == set(outfits[question.outfit_id].item_ids)
        assert question.removed not in question.context
        assert question.removed not in question.candidates[1:]
        assert {dataset.items[name].category for name in question.candidates} == {question.want}
        assert not set(question.context) & set(question.candidates)
        test_items = {name for outfit in outfits.values() for name in outfit.item_ids}
        assert set(question.candidates) <= test_items
    assert len({question.want for question in questions}) > 1
    assert draw_name_questions(dataset, 3, 4) == questions[:4]
    assert draw_name_questions(wardrobe, 3, 50) == ()  # no kind is known


def test_an_item_whose_words_another_of_the_outfit_has_is_not_asked_for(wardrobe: Dataset) -> None:
    dataset = with_kinds(wardrobe)
    question = draw_name_questions(dataset, 3, 1)[0]
    words = dataset.items[question.removed].text
    items = {name: replace(row, text=words) if name in question.context else row for name, row in dataset.items.items()}
    for drawn in draw_name_questions(replace(dataset, items=items), 3, 50):
        assert items[drawn.removed].text not in {items[name].text for name in drawn.context}


def test_figures_by_hand() -> None:
    items = {
        "a": item("a", "boots", "red"), "b": item("b", "pumps", ""), "c": item("c", "boots", "blue", (0, 1)),
        "d": item("d", "flats", "blue", (0.6, 0.8)),
    }  # fmt: skip
    questions = [
        NameQuestion("1", ("x",), "shoes", ("a", "c", "d")),
        NameQuestion("2", ("y",), "shoes", ("b", "c", "d")),
    ]
    right = (item("named", "boots", "red"), item("named", "boots", "red", (0.6, 0.8)))
    scores = (np.array([0.9, 0.1, 0.2]), np.array([0.5, 0.5, 0.1]))  # ranks 1, and 2 as a tie counts against it
    wrong = (item("named", "", ""), item("named", "pumps", ""))
    other: tuple[NDArray[np.float64], ...] = (np.array([0.1, 0.2, 0.3]), np.array([0.9, 0.2, 0.3]))  # 3 and 1
    answers = [Answers("model", right, scores), Answers("popularity", wrong, other)]
    figures = naming_figures(questions, answers, items, 5, 200)
    assert (figures["n"], figures["n_colour"], figures["candidates"]) == (2, 1, 3)
    model, popularity = figures["scorers"]["model"], figures["scorers"]["popularity"]
    assert [model[name] for name in ("kind", "colour", "recall@10", "mrr")] == [0.5, 1, 1, 0.75]
    assert model["similarity"] == pytest.approx(0.8)  # of 1 and 0.6
    assert [popularity[name] for name in ("kind", "colour", "mrr")] == pytest.approx([0.5, 0, 2 / 3])
    ahead = popularity["model_ahead"]
    assert [ahead[name] for name in ("kind", "colour", "mrr")] == pytest.approx([0, 1, 1 / 12])
    assert "model_ahead" not in model
    low, high = model["ci95"]["mrr"]
    assert low == 0.5
    assert high == 1.0


def test_without_a_known_colour_there_is_no_figure_of_colours() -> None:
    items = {"a": item("a", "boots", ""), "b": item("b", "pumps", "red")}
    question = NameQuestion("1", ("x",), "shoes", ("a", "b"))
    answers = [Answers("model", (item("named", "boots", "red"),), (np.array([1.0, 0.0]),))]
    figures = naming_figures([question], answers, items, 5, 100)
    assert figures["scorers"]["model"]["colour"] is None
    assert figures["scorers"]["model"]["kind"] == 1


def test_the_page_shows_the_figures_and_every_step(report: ReportData) -> None:
    items = {"172": item("172", "boots", "red"), "173": item("173", "pumps", "red")}
    question = NameQuestion("test-0", ("168", "169"), "bottom", ("172", "173"))
    answers = [
        Answers("fine-tuned", (item("n", "boots", "red"),), (np.array([1.0, 0.0]),)),
        Answers("popularity", (item("n", "flats", ""),), (np.array([0.0, 1.0]),)),
    ]
    figures = {**naming_figures([question], answers, items, 5, 100), "named_one_item": 1.0}
    example = NameExample(
        question.context, question.want, question.removed, (Label("skirt", 0.42),), ("173",),
        "### Instruction: the prompt", "red skirt", 0.71, (("172", 0.81),), "No skirt in red is here.",
    )  # fmt: skip
    full = replace(report, naming=NamingResult(figures, (example,)))
    text = Page(render_html(full)).text
    for words in (
        "Named in words", "Same kind", "Fine-tuned model", "Wanted: bottom", "skirt 42%",
        "### Instruction: the prompt", "P(yes) of these items is 0.710", "red skirt – No skirt in red is here.",
        "What the outfit had", "0.810",
    ):  # fmt: skip
        assert words in text
    (shown,) = ExamplePicker(full, 4).named()
    assert shown.steps[0][0] == "It recommends zero-shot"  # no photo is described
    assert [card.mark for card in shown.cards[-1][1]] == ["real"]
    (as_json,) = report_json(full)["naming"]["examples"]
    assert (as_json["text"], as_json["removed"]) == ("red skirt", "172")
    assert as_json["matched"] == [{"item": "172", "score": 0.81}]
    assert report_json(report)["naming"] is None
    assert "Named in words" not in Page(render_html(report)).text
