"""The ensemble: each feature weighs what it is worth, and nothing is scored twice or read from a damaged file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.config import RunSettings
from coordi.encoders.labels import load_vocabulary
from coordi.errors import ArtifactError, DataError, ModelError
from coordi.model.ensemble import (
    ENSEMBLE_FILE,
    MEANS_FILE,
    WITHOUT_LANGUAGE_MODEL,
    Ensemble,
    EnsembleScorer,
    outfits_and_labels,
    plain_features,
    text_encoder,
    validation_questions,
)
from coordi.model.features import CategoryPairs, TitleSimilarity
from coordi.model.scoring import CachedScorer
from coordi.types import Dataset, Item, OutfitScorer

from ..evaluation.conftest import make_wardrobe

pytest.importorskip("sklearn", reason="needs the train extra")

SETTINGS = RunSettings(seed=17)
VOCABULARY = load_vocabulary("fashion")


class Adviser:
    """Right about whole outfits by a share of the questions, and counts how often it is asked."""

    name = "fine-tuned"
    gives_probabilities = True

    def __init__(self, dataset: Dataset, right: float) -> None:
        self._outfits = {frozenset(outfit.item_ids) for outfit in dataset.outfits}
        self._right = right
        self.requested: list[tuple[str, ...]] = []

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        return np.array([self._score([item.id for item in outfit]) for outfit in outfits])

    def _score(self, outfit: list[str]) -> float:
        self.requested.append(tuple(outfit))
        lucky = np.random.default_rng([int(item_id) for item_id in sorted(outfit)]).random() < self._right
        return 0.8 if (frozenset(outfit) in self._outfits) == lucky else 0.2


def learn(language_model: OutfitScorer, dataset: Dataset) -> Ensemble:
    return Ensemble.learn(language_model, dataset, VOCABULARY, SETTINGS)


def scorers_of(ensemble: Ensemble, language_model: OutfitScorer) -> tuple[EnsembleScorer, EnsembleScorer]:
    """With and without the language model."""
    centering = ensemble.centering.with_photo_only(VOCABULARY, SETTINGS.prompt, text_encoder())
    return (
        ensemble.scorer("fine-tuned", centering, language_model),
        ensemble.scorer(WITHOUT_LANGUAGE_MODEL, centering, None),
    )


@pytest.fixture(scope="module")
def wardrobe() -> Dataset:
    return make_wardrobe()


def test_a_part_that_knows_more_weighs_more(wardrobe: Dataset) -> None:
    weights = [
        learn(Adviser(wardrobe, right), wardrobe).file.with_language_model.weights["language-model"]
        for right in (0.5, 0.75, 1.0)
    ]
    assert weights[0] < weights[1] < weights[2]
    assert abs(weights[0]) < 0.5 < weights[2]


def test_together_they_are_better_than_each(wardrobe: Dataset) -> None:
    adviser = Adviser(wardrobe, 0.75)
    questions = [question for part in validation_questions(wardrobe, SETTINGS.seed) for question in part]
    outfits, truth = outfits_and_labels(wardrobe, questions)

    def loss(scorer: OutfitScorer) -> float:
        yes = scorer.score(outfits)
        return float(-np.log(np.where(truth, yes, 1 - yes)).mean())

    joint, without = scorers_of(learn(adviser, wardrobe), adviser)
    assert loss(joint) < min(loss(adviser), loss(without))
    assert [joint.name, without.name] == ["fine-tuned", WITHOUT_LANGUAGE_MODEL]


def test_the_language_model_scores_each_outfit_once(wardrobe: Dataset) -> None:
    adviser = Adviser(wardrobe, 0.75)
    ensemble = learn(adviser, wardrobe)
    adviser.requested.clear()
    cached = CachedScorer("language-model", adviser)
    joint, without = scorers_of(ensemble, cached)
    outfits = [wardrobe.items_of(outfit.item_ids) for outfit in wardrobe.outfits_of("test")]
    for scorer in (joint, cached, without, joint):
        scorer.score([*outfits, *outfits])
    assert sorted(adviser.requested) == sorted(outfit.item_ids for outfit in wardrobe.outfits_of("test"))


def test_what_was_written_scores_as_before(wardrobe: Dataset, tmp_path: Path) -> None:
    adviser = Adviser(wardrobe, 0.75)
    ensemble = learn(adviser, wardrobe)
    ensemble.save(tmp_path)
    loaded = Ensemble.load(tmp_path)
    assert loaded is not None
    assert loaded.file == ensemble.file
    outfits = [wardrobe.items_of(outfit.item_ids) for outfit in wardrobe.outfits]
    for entry, other in zip(scorers_of(ensemble, adviser), scorers_of(loaded, adviser), strict=True):
        # Means are saved in single precision.
        np.testing.assert_allclose(entry.score(outfits), other.score(outfits), rtol=0, atol=1e-5)


def test_items_without_titles_have_no_title_similarity(wardrobe: Dataset) -> None:
    bare = {item_id: replace(item, title="") for item_id, item in wardrobe.items.items()}
    dataset = replace(wardrobe, items=bare)
    file = learn(Adviser(dataset, 0.75), dataset).file
    assert file.idf is None
    assert set(file.with_language_model.weights) == {"category-pairs", "sentence-cosine", "language-model"}


def test_without_a_validation_split_nothing_is_weighed(wardrobe: Dataset) -> None:
    only = replace(wardrobe, outfits=wardrobe.outfits_of("train"))
    with pytest.raises(DataError, match="valid"):
        learn(Adviser(only, 1.0), only)


def test_values_beyond_those_of_the_fit_count_as_its_largest(wardrobe: Dataset) -> None:
    """Two items of the very same words are more similar than any outfit was."""
    item = next(iter(wardrobe.items.values()))
    adviser = Adviser(wardrobe, 0.75)
    ensemble = learn(adviser, wardrobe)
    model = ensemble.file.without_language_model
    _, without = scorers_of(ensemble, adviser)
    largest = {name: np.array([ends[int(model.weights[name] > 0)]]) for name, ends in model.ranges.items()}
    assert without.score([(item, replace(item, id="9999"))])[0] <= model.probabilities(largest)[0]
    beyond = {name: np.array([1e6]) for name in model.weights}
    ends = {name: np.array([ends[1]]) for name, ends in model.ranges.items()}
    assert model.probabilities(beyond).tolist() == model.probabilities(ends).tolist()


def test_similarity_of_more_pairs_says_more(wardrobe: Dataset) -> None:
    ensemble = learn(Adviser(wardrobe, 0.75), wardrobe)
    assert ensemble.file.idf is not None
    titles = TitleSimilarity.from_idf(ensemble.file.idf)
    outfit = wardrobe.items_of(wardrobe.outfits_of("train")[0].item_ids)
    two, four = (
        plain_features([items], CategoryPairs({}, 0.0), ensemble.centering, titles) for items in (outfit[:2], outfit)
    )
    np.testing.assert_allclose(two["title-cosine"], titles.score([outfit[:2]]))
    np.testing.assert_allclose(four["title-cosine"], np.sqrt(6) * titles.score([outfit]))


def test_damaged_files_are_named(wardrobe: Dataset, tmp_path: Path) -> None:
    assert Ensemble.load(tmp_path) is None
    learn(Adviser(wardrobe, 0.75), wardrobe).save(tmp_path)
    expected = json.loads((tmp_path / ENSEMBLE_FILE).read_text())
    for change, match in (
        ({"intercept": "much"}, "can't be read"),
        ({"more": 1}, "can't be read"),
        ({"text_encoder": "0" * 64}, "another version"),
    ):
        (tmp_path / ENSEMBLE_FILE).write_text(json.dumps({**expected, **change}))
        with pytest.raises(ModelError, match=match):
            Ensemble.load(tmp_path)
    (tmp_path / ENSEMBLE_FILE).write_text(json.dumps(expected))
    (tmp_path / MEANS_FILE).write_bytes(b"0" * 40)
    with pytest.raises(ModelError, match="can't be read"):
        Ensemble.load(tmp_path)
    (tmp_path / MEANS_FILE).unlink()
    with pytest.raises(ModelError, match="can't be read"):
        Ensemble.load(tmp_path)


def test_a_disk_that_holds_no_more_is_told_as_that(wardrobe: Dataset, tmp_path: Path) -> None:
    ensemble = learn(Adviser(wardrobe, 0.75), wardrobe)
    (tmp_path / MEANS_FILE).mkdir()
    with pytest.raises(ArtifactError, match=r"ensemble\.safetensors can't be written"):
        ensemble.save(tmp_path)
