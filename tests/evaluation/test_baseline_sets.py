"""Which baselines are made, on what, and what is said of those that can't be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.config import EvaluateSettings
from coordi.encoders.edge import EdgeEncoder
from coordi.evaluation import set_transformer
from coordi.evaluation.baselines import NAMES, QUICK, BaselineInputs, build_baselines
from coordi.evaluation.benchmark import Scorer
from coordi.evaluation.scoring import ScoreSource
from coordi.evaluation.set_transformer import SetTransformer
from coordi.types import Dataset, Item, OutfitScorer

from .conftest import described

pytest.importorskip("sklearn")
pytest.importorskip("torch")

MakeInputs = Callable[..., BaselineInputs]


@pytest.fixture(scope="module")
def edge() -> EdgeEncoder:
    return EdgeEncoder.bundled()


@pytest.fixture
def make_inputs(wardrobe: Dataset, edge: EdgeEncoder) -> MakeInputs:
    def make(dataset: Dataset = wardrobe, **changes: object) -> BaselineInputs:
        return replace(BaselineInputs(dataset, edge, EvaluateSettings(), 17), **changes)  # type: ignore[arg-type]

    return make


def no_states(outfits: Sequence[Sequence[Item]]) -> NDArray[np.float32]:
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


def outfits_of(dataset: Dataset, *outfits: Sequence[str]) -> list[tuple[Item, ...]]:
    return [dataset.items_of(outfit) for outfit in outfits]


def outfit_scorers(scorers: Sequence[Scorer]) -> list[OutfitScorer]:
    return [scorer for scorer in scorers if not isinstance(scorer, ScoreSource)]


def baseline(name: str, inputs: BaselineInputs) -> OutfitScorer:
    scorers, _ = build_baselines(inputs, "quick" if name in QUICK else "all")
    return next(scorer for scorer in outfit_scorers(scorers) if scorer.name == name)


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
    assert "it needs the states of a language model" in left_out["frozen-probe"]
    with_states, nothing = build_baselines(make_inputs(states=no_states))
    assert tuple(scorer.name for scorer in with_states) == NAMES
    assert not nothing


def test_slow_baselines_are_fitted_by_the_first_outfits(wardrobe: Dataset, make_inputs: MakeInputs) -> None:
    scorers, _ = build_baselines(make_inputs(states=no_states))
    probe = next(scorer for scorer in outfit_scorers(scorers) if scorer.name == "frozen-probe")
    assert probe.score([]).shape == (0,)
    with pytest.raises(KeyboardInterrupt):
        probe.score(outfits_of(wardrobe, "01"))


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
    assert np.isfinite(similarity.score(outfits_of(wardrobe, "012"))).all()


def test_encoder_similarity_reads_photos_and_titles_where_there_are_none(
    wardrobe: Dataset, make_inputs: MakeInputs, edge: EdgeEncoder
) -> None:
    def scores(dataset: Dataset, outfit: str) -> float:
        return float(baseline("encoder-similarity", make_inputs(dataset)).score(outfits_of(dataset, outfit))[0])

    photos = photos_of(wardrobe, edge.dimension, every=2)
    turned = {item_id: row[::-1].copy() for item_id, row in photos.items()}
    with_photos, other = described(wardrobe, photos), described(wardrobe, turned)
    same_photo = replace(with_photos.items["0"], title="tweed something else")
    renamed = replace(with_photos, items={**with_photos.items, "0": same_photo})
    # Items 0 and 2 have photos, 1 and 3 have none.
    assert scores(wardrobe, "13") != pytest.approx(scores(with_photos, "02"))
    assert scores(with_photos, "01") != pytest.approx(scores(other, "01"))
    assert scores(with_photos, "13") == pytest.approx(scores(other, "13"))
    assert scores(with_photos, "02") == pytest.approx(scores(renamed, "02"))


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
        patch.setattr("coordi.evaluation.baselines.SetTransformer", Counting)
        patch.setattr(set_transformer, "_MOST_STEPS", 1)
        patch.setattr(set_transformer, "_CHECKS", 1)
        dataset = described(wardrobe, photos_of(wardrobe, edge.dimension, every))
        baseline("set-transformer", make_inputs(dataset)).score(outfits_of(dataset, "01"))
    assert given == [sources]
