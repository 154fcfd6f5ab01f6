"""Which baselines are made, on what, and what is said of those that can't be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.config import EvaluateSettings
from coordi.encoders.edge import EdgeEncoder
from coordi.errors import EncoderError, EvaluationError
from coordi.evaluate import set_transformer
from coordi.evaluate.baselines import NAMES, QUICK, BaselineInputs, build_baselines, make_baseline, sentence_vectors
from coordi.evaluate.benchmark import Scorer
from coordi.evaluate.scoring import OutfitScorer, ScoreSource
from coordi.evaluate.set_transformer import SetTransformer
from coordi.types import Dataset

pytest.importorskip("sklearn")
pytest.importorskip("torch")

MakeInputs = Callable[..., BaselineInputs]


@pytest.fixture(scope="module")
def edge() -> EdgeEncoder:
    return EdgeEncoder.bundled()


@pytest.fixture
def make_inputs(wardrobe: Dataset, edge: EdgeEncoder) -> MakeInputs:
    def make(dataset: Dataset = wardrobe, **changes: object) -> BaselineInputs:
        texts = {item_id: f"{item.category}: {item.title}" for item_id, item in dataset.items.items()}
        inputs = BaselineInputs(dataset, texts, {}, edge, EvaluateSettings(), 17)
        return replace(inputs, **changes)  # type: ignore[arg-type]

    return make


def no_states(outfits: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    raise KeyboardInterrupt


def photos_of(dataset: Dataset, dimension: int, every: int = 1) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(len(dataset.items), dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return {
        item_id: row
        for number, (item_id, row) in enumerate(zip(dataset.items, rows, strict=True))
        if number % every == 0
    }


def outfit_scorers(scorers: Sequence[Scorer]) -> list[OutfitScorer]:
    return [scorer for scorer in scorers if not isinstance(scorer, ScoreSource)]


def without(dataset: Dataset, split: str) -> Dataset:
    return replace(dataset, outfits=tuple(outfit for outfit in dataset.outfits if outfit.split != split))


def test_quick_needs_no_language_model_and_trains_nothing_long(make_inputs: MakeInputs) -> None:
    scorers, left_out = build_baselines(make_inputs(), "quick")
    assert tuple(scorer.name for scorer in scorers) == QUICK
    assert not left_out
    assert build_baselines(make_inputs(), "none") == ((), {})


def test_without_a_language_model_the_probe_is_left_out_and_that_is_said(make_inputs: MakeInputs) -> None:
    scorers, left_out = build_baselines(make_inputs())
    assert tuple(scorer.name for scorer in scorers) == tuple(name for name in NAMES if name != "frozen-probe")
    assert list(left_out) == ["frozen-probe"]
    assert "no language model is at hand" in left_out["frozen-probe"]
    with_states, nothing = build_baselines(make_inputs(states=no_states))
    assert tuple(scorer.name for scorer in with_states) == NAMES
    assert not nothing


def test_what_takes_long_is_fitted_when_it_is_first_asked(make_inputs: MakeInputs) -> None:
    scorers, _ = build_baselines(make_inputs(states=no_states))
    probe = next(scorer for scorer in outfit_scorers(scorers) if scorer.name == "frozen-probe")
    assert probe.score([]).shape == (0,)
    with pytest.raises(KeyboardInterrupt):
        probe.score([("0", "1")])


def test_without_training_outfits_only_what_learns_from_none_is_left(
    wardrobe: Dataset, make_inputs: MakeInputs
) -> None:
    scorers, left_out = build_baselines(make_inputs(without(wardrobe, "train"), states=no_states))
    assert [scorer.name for scorer in scorers] == ["chance", "size", "order"]
    assert tuple(left_out) == NAMES[3:]
    assert all("has no train outfits" in reason for reason in left_out.values())


def test_without_validation_outfits_what_is_chosen_by_them_is_left_out(
    wardrobe: Dataset, make_inputs: MakeInputs
) -> None:
    _, left_out = build_baselines(make_inputs(without(wardrobe, "valid"), states=no_states))
    assert list(left_out) == ["set-transformer", "frozen-probe"]
    assert all("has no valid outfits" in reason for reason in left_out.values())


def test_without_a_word_there_is_no_baseline_by_titles(wardrobe: Dataset, make_inputs: MakeInputs) -> None:
    items = {item_id: replace(item, title="") for item_id, item in wardrobe.items.items()}
    scorers, left_out = build_baselines(make_inputs(replace(wardrobe, items=items)), "quick")
    assert list(left_out) == ["title-cosine"]
    assert "found no word in the titles of 120 training items" in left_out["title-cosine"]
    # What the encoder reads then is the kind.
    similarity = next(scorer for scorer in outfit_scorers(scorers) if scorer.name == "encoder-similarity")
    assert np.isfinite(similarity.score([("0", "1", "2")])).all()


def test_looks_are_photos_where_there_are_and_else_titles(
    wardrobe: Dataset, make_inputs: MakeInputs, edge: EdgeEncoder
) -> None:
    def scores(inputs: BaselineInputs, outfit: tuple[str, ...]) -> float:
        return float(make_baseline("encoder-similarity", inputs).score([outfit])[0])

    photos = photos_of(wardrobe, edge.dimension, every=2)
    turned = {item_id: row[::-1].copy() for item_id, row in photos.items()}
    plain, seen, other = (make_inputs(photos=found) for found in ({}, photos, turned))
    same_title = replace(wardrobe.items["0"], title="tweed something else")
    renamed = make_inputs(replace(wardrobe, items={**wardrobe.items, "0": same_title}), photos=photos)
    # Items 0 and 2 have photos, 1 and 3 have none.
    assert scores(plain, ("1", "3")) != pytest.approx(scores(seen, ("0", "2")))
    assert scores(seen, ("0", "1")) != pytest.approx(scores(other, ("0", "1")))
    assert scores(seen, ("1", "3")) == pytest.approx(scores(other, ("1", "3")))
    assert scores(seen, ("0", "2")) == pytest.approx(scores(renamed, ("0", "2")))


@pytest.mark.parametrize(("every", "sources"), [(1, 2), (2, 2), (3, 1)])
def test_the_set_transformer_sees_photos_if_most_items_have_one(
    every: int, sources: int, wardrobe: Dataset, make_inputs: MakeInputs, edge: EdgeEncoder
) -> None:
    given: list[int] = []

    class Counting(SetTransformer):
        @classmethod
        def fit(cls, dataset, sources, seed):  # type: ignore[no-untyped-def]
            given.append(len(sources))
            return super().fit(dataset, sources, seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("coordi.evaluate.baselines.SetTransformer", Counting)
        patch.setattr(set_transformer, "_LEAST_STEPS", 1)
        inputs = make_inputs(photos=photos_of(wardrobe, edge.dimension, every))
        make_baseline("set-transformer", inputs).score([("0", "1")])
    assert given == [sources]


def test_given_sentence_vectors_are_not_made_again(wardrobe: Dataset, make_inputs: MakeInputs) -> None:
    inputs = make_inputs()
    given = sentence_vectors(inputs.texts, inputs.settings)
    elsewhere = EvaluateSettings(sentence_encoder="/nowhere/at/all")
    outfits = [("0", "1"), ("5", "9", "13")]
    expected = make_baseline("sentence-cosine", inputs).score(outfits)
    found = make_baseline("sentence-cosine", replace(inputs, settings=elsewhere, sentences=given)).score(outfits)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(EncoderError, match="'/nowhere/at/all', which is no folder"):
        build_baselines(replace(inputs, settings=elsewhere))


def test_an_unknown_baseline_is_named(make_inputs: MakeInputs) -> None:
    with pytest.raises(EvaluationError, match="no baseline 'guess'; accepted are chance, popularity, category-pairs"):
        make_baseline("guess", make_inputs())
