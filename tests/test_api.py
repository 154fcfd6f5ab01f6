"""The Python API with what people give it: one item for a list, a path for a catalogue, a scorer that isn't one."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import coordi
from coordi.api import Model
from coordi.config import DataSettings
from coordi.data.loading import load as load_dataset
from coordi.data.loading import located, read_dataset, write_dataset
from coordi.data.sample import sample_folder
from coordi.errors import ConfigError, DataError, EvaluationError, MissingDependencyError, RecommendationError
from coordi.types import Dataset, Item

from .sample import write_several_garments

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model() -> Model:
    return coordi.load(catalogue="sample")


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return load_dataset(sample_folder(), DataSettings(), 17)


def quick(model: Model, *items: Any) -> float:
    return model.score(items, language_model=False).score


def test_one_item_given_for_a_list_is_one_item(model: Model) -> None:
    with pytest.raises(RecommendationError, match="2 items or more, got 1"):
        model.score("navy wool blazer", language_model=False)
    one = model.complete("navy wool blazer", k=2, language_model=False, reasons=False)
    same = model.complete(["navy wool blazer"], k=2, language_model=False, reasons=False)
    assert [entry.item.id for entry in one.suggestions] == [entry.item.id for entry in same.suggestions]


@pytest.mark.parametrize("item", [1, None, b"x", ["navy wool blazer"]])
def test_what_is_no_item_is_refused(item: Any, model: Model) -> None:
    with pytest.raises(DataError, match=f"an item is words, an id, a path or an Item, got .*{type(item).__name__}"):
        model.score([item, "blue jeans"], language_model=False)


def test_rules_may_be_a_mapping(model: Model) -> None:
    found = model.complete(["navy wool blazer"], rules={"want": "shoes"}, k=2, language_model=False, reasons=False)
    assert {entry.item.category for entry in found.suggestions} == {"shoes"}
    with pytest.raises(RecommendationError, match="max_price: Extra inputs are not permitted"):
        model.complete(["navy wool blazer"], rules={"max_price": 3}, language_model=False)


def test_a_colour_that_means_another_is_named(model: Model) -> None:
    with pytest.raises(RecommendationError, match="no colour 'navy', but 'navy blue' is accepted"):
        model.complete(["navy wool blazer"], rules={"colours": ["navy"]}, language_model=False)


def test_an_item_with_a_photo_is_scored_as_its_photo(model: Model, sample: Dataset) -> None:
    photos = [item.image for item in sample.items.values() if item.image is not None][1:3]  # a jacket and a cap
    items = [Item(f"p{number}", "", None, image=photo) for number, photo in enumerate(photos)]
    assert quick(model, *items) == quick(model, *photos)
    assert quick(model, items[0], "blue jeans") != quick(model, items[1], "blue jeans")


def test_a_photo_of_several_garments_isnt_called_one(model: Model, tmp_path: Path) -> None:
    photo = write_several_garments(tmp_path / "IMG_1.png", 4)
    with pytest.raises(DataError, match=r"IMG_1\.png' shows several garments; say in words what it is"):
        model.find_item(str(photo))


def test_an_item_of_no_garment_category_is_refused(model: Model) -> None:
    with pytest.raises(DataError, match=r"item 'a' has the category 'shoe'; accepted are top, .*and None"):
        quick(model, Item("a", "navy blazer", "shoe"), "blue jeans")  # type: ignore[arg-type]


def test_a_text_without_its_embedding_is_described(model: Model) -> None:
    assert quick(model, Item("a", "navy blazer", "outerwear", text="x"), "blue jeans") == pytest.approx(
        quick(model, "navy blazer", "blue jeans")
    )


@pytest.mark.parametrize(
    ("returned", "what"),
    [(lambda n: ["a"] * n, "list of <U1"), (lambda n: (1.0 for _ in range(n)), "generator of object"),
     (lambda n: [[1.0]] + [[1.0, 2.0]] * (n - 1), "list of object"), (lambda n: [10**400] * n, "list of object"),
     (lambda n: np.ones(n) * 1j, "ndarray of complex128")],
)  # fmt: skip
def test_a_scorer_must_return_numbers(returned: Callable[[int], Any], what: str, sample: Dataset) -> None:
    with pytest.raises(EvaluationError, match=f"one number per outfit, got {what}"):
        coordi.evaluate(lambda outfits: returned(len(outfits)), sample, protocols=("random",), bootstrap=100)


def test_what_is_no_scorer_is_refused(model: Model, sample: Dataset) -> None:
    with pytest.raises(EvaluationError, match="a scorer is a function of outfits, or an object with name"):
        coordi.evaluate(model, sample)  # type: ignore[arg-type]


def test_an_evaluation_without_its_extra_is_refused_before_anything_is_scored(
    sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'coordi\[train\]'"):
        coordi.evaluate(lambda outfits: pytest.fail("an outfit was scored"), sample)


def test_items_travel_to_other_processes(sample: Dataset) -> None:
    item = next(iter(sample.items.values()))
    assert pickle.loads(pickle.dumps(replace(item, extra={"likes": "3"}))) == replace(item, extra={"likes": "3"})
    assert pickle.loads(pickle.dumps(sample)).items.keys() == sample.items.keys()


def test_seeds_are_checked() -> None:
    with pytest.raises(ConfigError, match="read_dataset: seed: must be greater than or equal to 0, got -1"):
        coordi.read_dataset("sample", seed=-1)
    with pytest.raises(ConfigError, match=r"evaluate: seed: .*less than 9223372036854775808"):
        coordi.evaluate(len, "sample", seed=10**30)


def test_an_empty_path_is_not_this_folder() -> None:
    with pytest.raises(DataError, match="the path of the data is empty"):
        located("")


def test_a_catalogue_may_be_a_path(model: Model, tmp_path: Path) -> None:
    with pytest.raises(coordi.CoordiError, match="nowhere"):
        model.complete(["navy wool blazer"], str(tmp_path / "nowhere"), language_model=False)


def test_a_photo_whose_name_is_not_utf8_is_kept(tmp_path: Path) -> None:
    item = Item("a", "shirt", "top", image=Path(os.fsdecode(b"/photos/caf\xe9.jpg")))
    write_dataset(tmp_path, Dataset("shop", "photos", {"a": item}, (), (), text_only=False))
    assert read_dataset(tmp_path).items["a"].image == item.image


@pytest.mark.parametrize("words", ["frobnicator", "กระโปรงสีแดง", "navy blue", "black lace thong", "Levi's"])
def test_words_without_a_category_are_scored_by_themselves(words: str, model: Model) -> None:
    item = model.find_item(words)
    assert (item.category, item.text) == (None, words.lower())
    assert 0 < quick(model, item, "blue jeans") < 1
    assert model.complete([item], k=2, language_model=False, reasons=False).suggestions


@pytest.mark.parametrize("words", ["a purple sofa", "ring binder", "shoe trees", "", "  ", "🧦", "--"])
def test_what_nobody_wears_is_refused(words: str, model: Model) -> None:
    with pytest.raises(DataError, match="names nothing that is worn"):
        model.score([words, "blue jeans"], language_model=False)
