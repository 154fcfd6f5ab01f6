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
from coordi.encoders.base import unit_vectors
from coordi.encoders.labels import load_vocabulary
from coordi.errors import ArtifactError, DataError, ModelError
from coordi.model.ensemble import (
    ARRAYS_FILE,
    ENSEMBLE_FILE,
    RULES_FACTOR,
    WITHOUT_LANGUAGE_MODEL,
    Ensemble,
    EnsembleScorer,
    LogisticModel,
    outfits_and_labels,
    validation_questions,
)
from coordi.model.features import RULE_WEIGHTS, TitleSimilarity, rule_values
from coordi.model.scoring import CachedScorer
from coordi.types import Dataset, Fact, Item, OutfitScorer

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
    ready = ensemble.with_photo_only(VOCABULARY, SETTINGS.prompt)
    return ready.scorer("fine-tuned", language_model), ready.scorer(WITHOUT_LANGUAGE_MODEL, None)


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
    expected = {
        "category-pairs", "sentence-cosine", "projected-texts", "projected-photos", "language-model", *RULE_WEIGHTS
    }  # fmt: skip
    assert set(file.with_language_model.weights) == expected


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
    none = dict.fromkeys(RULE_WEIGHTS, np.zeros(1))
    scores = without.score([(replace(item, facts={}), replace(item, id="9999", facts={}))])
    assert np.log(scores / (1 - scores))[0] <= model.logits({**largest, **none})[0]
    beyond = {name: np.array([1e6]) for name in model.ranges}
    ends = {name: np.array([ends[1]]) for name, ends in model.ranges.items()}
    assert model.logits({**beyond, **none}).tolist() == model.logits({**ends, **none}).tolist()


def test_a_rule_counts_however_far_it_applies(wardrobe: Dataset) -> None:
    """Outfits of the fit break no rule so badly; a stylist knows what it means."""
    model = learn(Adviser(wardrobe, 0.75), wardrobe).file.without_language_model
    values = dict.fromkeys(model.weights, np.zeros(3)) | {"rule: dress codes apart": np.array([0.0, 1.0, 4.0])}
    logits = model.logits(values)
    np.testing.assert_allclose(logits[0] - logits, [0.0, RULES_FACTOR, 4 * RULES_FACTOR], atol=1e-12)


def test_similarity_of_more_pairs_says_more(wardrobe: Dataset) -> None:
    ensemble = learn(Adviser(wardrobe, 0.75), wardrobe)
    assert ensemble.file.idf is not None
    titles = TitleSimilarity(ensemble.file.idf)
    outfit = wardrobe.items_of(wardrobe.outfits_of("train")[0].item_ids)
    two, four = (
        ensemble.scorer(WITHOUT_LANGUAGE_MODEL, None).features([items])["title-cosine"]
        for items in (outfit[:2], outfit)
    )
    np.testing.assert_allclose(two, titles.score([outfit[:2]]))
    np.testing.assert_allclose(four, np.sqrt(6) * titles.score([outfit]))


def test_rules_are_a_mean_over_pairs_times_the_root_of_their_number() -> None:
    suit = Item("1", "", "outerwear", facts={"formality": (Fact(("black tie",), "user"),)})
    shoes = Item(
        "2", "", "shoes", facts={"formality": (Fact(("casual",), "user"),), "colour": (Fact(("red",), "user"),)}
    )
    bag = Item("3", "", "bag", facts={"colour": (Fact(("green",), "user"),)})
    values = rule_values([(suit, shoes), (suit, shoes, bag), (bag, suit, shoes), (suit,), (suit, Item("4", "", "bag"))])
    root = np.sqrt(3)
    np.testing.assert_allclose(values["rule: dress codes apart"], [4, 4 / root, 4 / root, 0, 0])
    np.testing.assert_allclose(values["rule: colours clash"], [0, 1 / root, 1 / root, 0, 0])
    assert not np.any(values["rule: seasons apart"])
    assert list(values) == list(RULE_WEIGHTS)


def test_a_fit_without_rules_is_scikit_learns() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(4)
    rows = rng.normal(size=(300, 2))
    truth = rows @ [1.0, -0.5] + rng.normal(size=300) > 0.3
    model = LogisticModel.fit({"one": rows[:, 0], "two": rows[:, 1]}, truth, RULES_FACTOR)
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    expected = LogisticRegression(C=1.0, tol=1e-8).fit(standard, truth).decision_function(standard)
    np.testing.assert_allclose(model.logits({"one": rows[:, 0], "two": rows[:, 1]}), expected, atol=1e-4)


def test_rules_have_a_stylists_weights_and_the_rest_is_fitted_beside_them() -> None:
    """Even where outfits that keep no rule are real ones."""
    rng = np.random.default_rng(5)
    truth = np.arange(400) % 2 == 0
    values = {name: -sign * truth + 2 * rng.normal(size=400) for name, sign in RULE_WEIGHTS.items()}
    values["likeness"] = truth + rng.normal(size=400)
    without, beside = LogisticModel.fit(values, truth, 0.0), LogisticModel.fit(values, truth, 0.5)
    assert {name: beside.weights[name] for name in RULE_WEIGHTS} == pytest.approx(
        {name: weight / 2 for name, weight in RULE_WEIGHTS.items()}
    )
    assert 0.5 < without.weights["likeness"] < beside.weights["likeness"]  # it makes up for what the rules lose


def test_items_without_titles_have_a_regression_of_their_own(wardrobe: Dataset) -> None:
    adviser = Adviser(wardrobe, 0.75)
    untitled = replace(wardrobe, items={name: replace(item, title="") for name, item in wardrobe.items.items()})
    learned = learn(adviser, wardrobe)
    both = learned.fit(adviser, [wardrobe, untitled], VOCABULARY, SETTINGS)
    assert both.file.questions == 2 * learned.file.questions
    outfit = wardrobe.items_of(wardrobe.outfits[0].item_ids)
    bare = untitled.items_of(wardrobe.outfits[0].item_ids)
    mixed = (*outfit[:1], *bare[1:])
    scorer = both.scorer("both", adviser)
    share = (len(outfit) - 1) / len(outfit)
    assert both.file.untitled_with_language_model is not None
    parts = both.file.with_language_model, both.file.untitled_with_language_model
    expected = [
        (1 - part) * parts[0].logits(values) + part * parts[1].logits(values)
        for items, part in ((outfit, 0), (bare, 1), (mixed, share))
        for values in [scorer.features([items])]
    ]
    scores = scorer.score([outfit, bare, mixed])
    np.testing.assert_allclose(np.log(scores / (1 - scores)), np.concatenate(expected), atol=1e-9)
    alone = learned.scorer("alone", adviser)
    np.testing.assert_allclose(alone.score([outfit]), scorer.score([outfit]), rtol=0, atol=1e-9)


def test_photos_are_compared_where_there_are_some(wardrobe: Dataset, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    vectors = unit_vectors(rng.normal(size=(len(wardrobe.items), 16)))
    items = {
        item.id: replace(item, title="", photo_embedding=vector)
        for item, vector in zip(wardrobe.items.values(), vectors, strict=True)
    }
    pictured = replace(wardrobe, items=items)
    learned = learn(Adviser(pictured, 0.5), pictured)
    assert (learned.file.photo_encoder, learn(Adviser(wardrobe, 0.5), wardrobe).file.photo_encoder) == ("edge", None)
    outfit = pictured.items_of(pictured.outfits[0].item_ids)
    bare = [replace(item, photo_embedding=None) for item in outfit]
    values = learned.scorer(WITHOUT_LANGUAGE_MODEL, None).features([outfit, bare, (outfit[0], *bare[1:])])
    assert values["projected-photos"][0] != 0
    assert values["projected-photos"][1:].tolist() == [0, 0]
    learned.save(tmp_path)
    loaded = Ensemble.load(tmp_path)
    assert loaded is not None
    # Means are saved in single precision.
    again = loaded.scorer(WITHOUT_LANGUAGE_MODEL, None).features([outfit])["projected-photos"]
    np.testing.assert_allclose(again, values["projected-photos"][:1], rtol=0, atol=1e-5)


def test_damaged_files_are_named(wardrobe: Dataset, tmp_path: Path) -> None:
    assert Ensemble.load(tmp_path) is None
    learn(Adviser(wardrobe, 0.75), wardrobe).save(tmp_path)
    expected = json.loads((tmp_path / ENSEMBLE_FILE).read_text())
    for change, match in (
        ({"intercept": "much"}, "can't be read"),
        ({"more": 1}, "can't be read"),
        ({"text_encoder": "0" * 64}, "another version"),
        ({"format": "coordi-ensemble-1"}, "fine-tune again"),
    ):
        (tmp_path / ENSEMBLE_FILE).write_text(json.dumps({**expected, **change}))
        with pytest.raises(ModelError, match=match):
            Ensemble.load(tmp_path)
    (tmp_path / ENSEMBLE_FILE).write_text(json.dumps(expected))
    (tmp_path / ARRAYS_FILE).write_bytes(b"0" * 40)
    with pytest.raises(ModelError, match="can't be read"):
        Ensemble.load(tmp_path)
    (tmp_path / ARRAYS_FILE).unlink()
    with pytest.raises(ModelError, match="can't be read"):
        Ensemble.load(tmp_path)


def test_a_disk_that_holds_no_more_is_told_as_that(wardrobe: Dataset, tmp_path: Path) -> None:
    ensemble = learn(Adviser(wardrobe, 0.75), wardrobe)
    (tmp_path / ARRAYS_FILE).mkdir()
    with pytest.raises(ArtifactError, match=r"ensemble\.safetensors can't be written"):
        ensemble.save(tmp_path)
