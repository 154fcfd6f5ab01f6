"""Joined scores: each part weighs what it is worth, and nothing is asked twice or read from a damaged file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.errors import ArtifactError, DataError, ModelError
from coordi.evaluate.features import validation_questions
from coordi.pipeline.ensemble import ENSEMBLE_FILE, MEANS_FILE, WITHOUT_LANGUAGE_MODEL, Ensemble, TextVectors
from coordi.types import Dataset

from ..evaluate.conftest import make_wardrobe

pytest.importorskip("sklearn", reason="needs the train extra")

SEED = 17


class Adviser:
    """Right about whole outfits by a share of the questions, and counts how often it is asked."""

    name = "fine-tuned"
    gives_probabilities = True

    def __init__(self, dataset: Dataset, right: float) -> None:
        self._worn = {frozenset(outfit.item_ids) for outfit in dataset.outfits}
        self._right = right
        self.asked: list[tuple[str, ...]] = []

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        self.asked += [tuple(outfit) for outfit in outfits]
        found = []
        for outfit in outfits:
            lucky = np.random.default_rng([int(item_id) for item_id in sorted(outfit)]).random() < self._right
            found.append(0.8 if (frozenset(outfit) in self._worn) == lucky else 0.2)
        return np.array(found)


@pytest.fixture(scope="module")
def wardrobe() -> Dataset:
    return make_wardrobe()


@pytest.fixture(scope="module")
def texts(wardrobe: Dataset) -> Mapping[str, str]:
    return {item_id: f"{item.category}: {item.title}" for item_id, item in wardrobe.items.items()}


def test_a_part_that_knows_more_weighs_more(wardrobe: Dataset, texts: Mapping[str, str]) -> None:
    weights = []
    for right in (0.5, 0.75, 1.0):
        line = Ensemble.learn(Adviser(wardrobe, right), wardrobe, texts, SEED).told.joined
        weights.append(line.weights["language-model"])
    assert weights[0] < weights[1] < weights[2]
    assert abs(weights[0]) < 0.5 < weights[2]


def test_together_they_are_better_than_each(wardrobe: Dataset, texts: Mapping[str, str]) -> None:
    adviser = Adviser(wardrobe, 0.75)
    scorers = Ensemble.learn(adviser, wardrobe, texts, SEED).scorers(adviser, wardrobe.items, texts)
    questions = [question for part in validation_questions(wardrobe, SEED) for question in part]
    truth = np.array([question.compatible for question in questions])

    def loss(yes: NDArray[np.float64]) -> float:
        return float(-np.log(np.where(truth, yes, 1 - yes)).mean())

    together, alone, without = (loss(one.score([question.item_ids for question in questions])) for one in scorers)
    assert together < min(alone, without)
    assert [scorer.name for scorer in scorers] == ["fine-tuned", "language-model", WITHOUT_LANGUAGE_MODEL]


def test_the_model_is_asked_once_for_both(wardrobe: Dataset, texts: Mapping[str, str]) -> None:
    adviser = Adviser(wardrobe, 0.75)
    joined = Ensemble.learn(adviser, wardrobe, texts, SEED)
    adviser.asked.clear()
    together, alone, without = joined.scorers(adviser, wardrobe.items, texts)
    outfits = [outfit.item_ids for outfit in wardrobe.outfits_of("test")]
    for scorer in (together, alone, without, together):
        scorer.score([*outfits, *outfits])
    assert sorted(adviser.asked) == sorted(outfits)


def test_what_was_written_scores_as_before(wardrobe: Dataset, texts: Mapping[str, str], tmp_path: Path) -> None:
    adviser = Adviser(wardrobe, 0.75)
    made = Ensemble.learn(adviser, wardrobe, texts, SEED)
    made.save(tmp_path)
    read = Ensemble.load(tmp_path)
    assert read is not None
    assert read.told == made.told
    outfits = [outfit.item_ids for outfit in wardrobe.outfits]
    before, after = (one.scorers(adviser, wardrobe.items, texts) for one in (made, read))
    for one, other in zip(before, after, strict=True):  # means are kept in single precision
        np.testing.assert_allclose(one.score(outfits), other.score(outfits), rtol=0, atol=1e-5)


def test_items_without_titles_are_joined_without_words(wardrobe: Dataset) -> None:
    bare = {item_id: replace(item, title="") for item_id, item in wardrobe.items.items()}
    dataset, texts = replace(wardrobe, items=bare), {item_id: str(item.category) for item_id, item in bare.items()}
    joined = Ensemble.learn(Adviser(dataset, 0.75), dataset, texts, SEED)
    assert joined.told.rarity is None
    assert set(joined.told.joined.weights) == {"category-pairs", "sentence-cosine", "language-model"}


def test_without_a_validation_split_nothing_is_weighed(wardrobe: Dataset, texts: Mapping[str, str]) -> None:
    only = replace(wardrobe, outfits=wardrobe.outfits_of("train"))
    with pytest.raises(DataError, match="valid"):
        Ensemble.learn(Adviser(only, 1.0), only, texts, SEED)


def test_what_was_never_seen_counts_as_the_most_that_was(wardrobe: Dataset, texts: Mapping[str, str]) -> None:
    """Two items told in the very same words are more alike than any outfit was."""
    twin = next(iter(wardrobe.items.values()))
    items = {**wardrobe.items, "9999": replace(twin, id="9999")}
    said = {**texts, "9999": texts[twin.id]}
    adviser = Adviser(wardrobe, 0.75)
    made = Ensemble.learn(adviser, wardrobe, texts, SEED)
    line = made.told.without
    *_, without = made.scorers(adviser, items, said)
    most = line.probabilities({name: np.array([seen[line.weights[name] > 0]]) for name, seen in line.seen.items()})
    assert without.score([(twin.id, "9999")])[0] <= most[0]
    beyond = {name: np.array([1e6]) for name in line.weights}
    at_most = {name: np.array([seen[1]]) for name, seen in line.seen.items()}
    assert line.probabilities(beyond).tolist() == line.probabilities(at_most).tolist()


def test_likeness_of_more_pairs_says_more(wardrobe: Dataset, texts: Mapping[str, str]) -> None:
    adviser = Adviser(wardrobe, 0.75)
    plain = Ensemble.learn(adviser, wardrobe, texts, SEED).plain(wardrobe.items, TextVectors(texts))
    assert plain.words is not None
    outfit = wardrobe.outfits_of("train")[0].item_ids
    two, four = plain.values([outfit[:2]]), plain.values([outfit])
    np.testing.assert_allclose(two["title-cosine"], plain.words.score([outfit[:2]]))
    np.testing.assert_allclose(four["title-cosine"], np.sqrt(6) * plain.words.score([outfit]))


def test_damaged_files_are_named(wardrobe: Dataset, texts: Mapping[str, str], tmp_path: Path) -> None:
    assert Ensemble.load(tmp_path) is None
    Ensemble.learn(Adviser(wardrobe, 0.75), wardrobe, texts, SEED).save(tmp_path)
    told = json.loads((tmp_path / ENSEMBLE_FILE).read_text())
    for change, match in (
        ({"intercept": "much"}, "can't be read"),
        ({"more": 1}, "can't be read"),
        ({"texts": "0" * 64}, "another version"),
    ):
        (tmp_path / ENSEMBLE_FILE).write_text(json.dumps({**told, **change}))
        with pytest.raises(ModelError, match=match):
            Ensemble.load(tmp_path)
    (tmp_path / ENSEMBLE_FILE).write_text(json.dumps(told))
    (tmp_path / MEANS_FILE).write_bytes(b"0" * 40)
    with pytest.raises(ModelError, match="can't be read"):
        Ensemble.load(tmp_path)
    (tmp_path / MEANS_FILE).unlink()
    with pytest.raises(ModelError, match="can't be read"):
        Ensemble.load(tmp_path)


def test_a_disk_that_holds_no_more_is_told_as_that(wardrobe: Dataset, texts: Mapping[str, str], tmp_path: Path) -> None:
    joined = Ensemble.learn(Adviser(wardrobe, 0.75), wardrobe, texts, SEED)
    (tmp_path / MEANS_FILE).mkdir()
    with pytest.raises(ArtifactError, match=r"joined\.safetensors can't be written"):
        joined.save(tmp_path)
