"""What the stages hand on: categories seen in photos, and nothing measured that was taught."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coordi.artifacts import write_json
from coordi.config import RunSettings
from coordi.encoders.describe import Described
from coordi.encoders.edge import EdgeEncoder
from coordi.encoders.labels import load_vocabulary
from coordi.errors import ModelError
from coordi.pipeline import stages
from coordi.pipeline.training_data import training_examples, validation_examples
from coordi.types import Dataset, Description, Fact, Facts, Item, Label, Outfit


def unknown(item_id: str) -> Item:
    return Item(item_id, "", None, image=Path(f"{item_id}.jpg"))


def described(seen: Mapping[str, str]) -> Described:
    descriptions = {
        item_id: Description(item_id, {"category": (Label(label, 0.9),)} if label else {})
        for item_id, label in seen.items()
    }
    return Described(descriptions, tuple(seen), np.zeros((len(seen), 2), np.float32), (), ("edge", "0"))


def dataset(items: list[Item], outfits: list[Outfit]) -> Dataset:
    return Dataset("made up", "catalogue", {item.id: item for item in items}, tuple(outfits), (), text_only=True)


@pytest.fixture
def wardrobe() -> Dataset:
    items = [
        Item(f"{colour}-{kind}", f"{colour} {kind}", "shoes" if kind == "boots" else "top", text=f"{colour} {kind}")
        for colour in ("red", "blue", "green", "grey", "white", "black")
        for kind in ("boots", "shirt")
    ]
    outfits = [
        Outfit(f"{split}-{place}", (items[2 * place].id, items[2 * place + 1].id), split)
        for split in ("train", "valid", "test")
        for place in range(len(items) // 2)
    ]
    return dataset(items, outfits)


def test_the_photo_tells_a_category_that_words_do_not() -> None:
    vocabulary = load_vocabulary("fashion")
    label = next(entry.text for entry in vocabulary.attributes["category"].labels if entry.category == "shoes")
    seen = stages._with_photo_categories(dataset([unknown("a")], []), described({"a": label}), vocabulary)
    assert seen.items["a"].category == "shoes"


def test_an_item_that_stays_unknown_is_counted_and_so_is_its_outfit() -> None:
    items = [unknown("a"), Item("b", "red shirt", "top"), Item("c", "blue jeans", "bottom")]
    outfits = [Outfit("1", ("a", "b"), "train"), Outfit("2", ("a", "b", "c"), "train")]
    left = stages._with_photo_categories(dataset(items, outfits), described({"a": ""}), load_vocabulary("fashion"))
    assert set(left.items) == {"b", "c"}
    assert [outfit.item_ids for outfit in left.outfits] == [("b", "c")]
    assert [(row.unit, row.count, row.left) for row in left.funnel] == [("items", 1, 2), ("outfits", 1, 1)]


def test_what_a_model_was_trained_on_is_not_measured(wardrobe: Dataset, tmp_path: Path) -> None:
    material = stages.PreparedData(wardrobe, ("edge", "0"))
    taught = wardrobe.outfits_of("test")[0]
    renamed = Outfit("other", tuple(reversed(taught.item_ids)), "train")
    write_json(tmp_path / stages.TRAINED_ON, [stages.outfit_key(renamed.item_ids, wardrobe)])
    left = stages.without_trained_on(material, tmp_path).dataset
    assert taught.id not in {outfit.id for outfit in left.outfits}
    assert len(left.outfits_of("train")) == len(wardrobe.outfits_of("train"))
    assert (left.funnel[-1].reason, left.funnel[-1].count) == ("the model was trained or chosen on it", 2)
    write_json(tmp_path / stages.TRAINED_ON, [])
    assert stages.without_trained_on(material, tmp_path) is material


def test_what_chose_a_model_is_not_tested_and_still_validates(wardrobe: Dataset, tmp_path: Path) -> None:
    """The six outfits of the validation split are also those of the test split here."""
    material = stages.PreparedData(wardrobe, ("edge", "0"))
    chosen = wardrobe.outfits_of("valid")[:2]
    write_json(tmp_path / stages.TRAINED_ON, [])
    write_json(tmp_path / stages.CHOSEN_ON, [stages.outfit_key(one.item_ids, wardrobe) for one in chosen])
    left = stages.without_trained_on(material, tmp_path).dataset
    assert len(left.outfits_of("valid")) == 6
    assert len(left.outfits_of("test")) == 4
    with pytest.raises(ModelError, match=r"none' has no trained_on\.json"):
        stages.without_trained_on(material, tmp_path / "none")


def test_examples_hold_each_outfit_beside_its_negative_and_are_drawn_anew(wardrobe: Dataset) -> None:
    settings = RunSettings()
    draw = training_examples(wardrobe, settings)
    first = draw(0)
    assert [example.answer for example in first[:2]] in (["yes", "no"], ["no", "yes"])
    assert len(first) == 2 * len(wardrobe.outfits_of("train"))
    assert first == draw(0)
    assert {example.items for example in first if example.answer == "no"} != {
        example.items for example in draw(1) if example.answer == "no"
    }
    assert {example.answer for example in validation_examples(wardrobe, settings)} == {"yes", "no"}


def test_a_share_of_the_outfits_is_trained_without_facts(wardrobe: Dataset) -> None:
    facts: Facts = {"seasons": (Fact(("winter",), "kind"),)}
    known = replace(wardrobe, items={name: replace(item, facts=facts) for name, item in wardrobe.items.items()})
    settings = RunSettings.model_validate({"prompt": {"facts": True}, "finetune": {"without_facts": 0.5}})
    with_facts = [
        [item.endswith(" - winter") for item in example.items]
        for epoch in range(8)
        for example in training_examples(known, settings)(epoch)
    ]
    assert all(len(set(row)) == 1 for row in with_facts)  # all of an outfit or none
    assert with_facts[::2] == with_facts[1::2]  # an outfit's and its negative's alike
    assert 0.2 < np.mean([row[0] for row in with_facts]) < 0.8
    assert all(item.endswith(" - winter") for row in validation_examples(known, settings) for item in row.items)
    unknown = training_examples(known, RunSettings())(0)
    assert not any("winter" in item for example in unknown for item in example.items)


def test_what_a_start_learned_from_is_neither_trained_on_nor_tested(wardrobe: Dataset, tmp_path: Path) -> None:
    prepared = stages.PreparedData(wardrobe, ("edge", "0"))
    assert stages.without_start(prepared, RunSettings()) is prepared
    for name in (stages.TRAINED_ON, stages.CHOSEN_ON):
        write_json(tmp_path / name, [])
    write_json(tmp_path / stages.TRAINED_ON, [stages.outfit_key(wardrobe.outfits[0].item_ids, wardrobe)])
    for name in ("adapter_config", "settings"):
        write_json(tmp_path / f"{name}.json", {})
    settings = RunSettings.model_validate({"finetune": {"start": str(tmp_path)}})
    left = stages.without_start(prepared, settings).dataset
    assert [len(left.outfits_of(split)) for split in ("train", "valid", "test")] == [6, 5, 5]


@pytest.mark.parametrize(("task", "question"), [("choose", "Which one"), ("complement", "Name what")])
def test_other_tasks_make_other_questions(wardrobe: Dataset, task: str, question: str) -> None:
    settings = RunSettings.model_validate({"finetune": {"tasks": {task: 1.0}, "negatives": {"random": 1.0}}})
    examples = training_examples(wardrobe, settings)(0)
    assert examples
    assert all(example.question.startswith(question) and example.answer for example in examples)


def test_an_outfit_whose_prompt_would_hold_the_name_is_left_out_and_counted(
    wardrobe: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    settings = RunSettings.model_validate({"finetune": {"tasks": {"complement": 1.0}, "negatives": {"random": 1.0}}})
    first = wardrobe.outfits_of("train")[0].item_ids
    text = wardrobe.items[first[0]].text
    alike = {name: replace(wardrobe.items[name], text=text) for name in first}
    examples = training_examples(replace(wardrobe, items={**wardrobe.items, **alike}), settings)(0)
    assert len(examples) == len(wardrobe.outfits_of("train")) - 1
    assert not any(str(example.answer) in line for example in examples for line in example.items)
    assert "1 outfits of epoch 0 teach no name" in caplog.text
    caplog.clear()
    assert len(training_examples(wardrobe, settings)(0)) == len(wardrobe.outfits_of("train"))
    assert not caplog.text


def with_photos(wardrobe: Dataset, shoes: int, tops: int) -> Dataset:
    """The wardrobe with drawn photo vectors by a seed for each category."""
    size = EdgeEncoder.bundled().dimension
    items = {}
    for number, (name, item) in enumerate(wardrobe.items.items()):
        seed = shoes if item.category == "shoes" else tops
        row = np.random.default_rng([seed, number]).normal(size=size)
        items[name] = replace(item, photo_embedding=np.asarray(row / np.linalg.norm(row), dtype=np.float32))
    return replace(wardrobe, items=items)


def test_what_an_encoder_recommends_is_in_the_examples_and_never_of_the_answer(wardrobe: Dataset) -> None:
    """The shoes look otherwise in the second wardrobe, which may change what is recommended beside them alone."""
    settings = RunSettings.model_validate(
        {"prompt": {"recommended": 2}, "finetune": {"tasks": {"complement": 1.0}, "negatives": {"random": 1.0}}}
    )
    first, second = (training_examples(with_photos(wardrobe, seed, 1), settings)(0) for seed in (1, 2))
    pairs = list(zip(first, second, strict=True))
    for closing, changes in (("Wanted: shoes", False), ("Wanted: top", True)):
        part = [one.recommended != other.recommended for one, other in pairs if one.closing == closing]
        assert part
        assert any(part) is changes
    assert all(len(row.recommended) == 1 and row.recommended[0].count(",") == 1 for row in first)
    for row in validation_examples(with_photos(wardrobe, 1, 1), settings):
        categories = ["shoes" if "boots" in text else "top" for text in row.items]
        assert [line.partition(":")[0] for line in row.recommended] == categories
