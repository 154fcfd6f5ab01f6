"""What ``coordi evaluate`` measures is what ``coordi recommend`` and the page use, to the last digit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coordi.api import Model, load
from coordi.artifacts import Record, write_manifest
from coordi.config import RunSettings
from coordi.encoders.edge import EdgeEncoder
from coordi.encoders.labels import load_vocabulary
from coordi.model.ensemble import text_encoder
from coordi.model.trained import TrainedModel, find_model
from coordi.pipeline.stages import MeasuredScorers, PreparedData, catalogue_of
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.catalogue_file import CatalogueRow, writing_catalogue
from coordi.recommend.items import describe_items
from coordi.serve.batching import BatchingScorers, scorer_batcher
from coordi.types import Dataset, Description, Item, Label, OutfitScorer

from ..evaluation.conftest import make_wardrobe


@pytest.fixture(scope="module")
def settings() -> RunSettings:
    trained = find_model("bundled").settings
    return trained.model_copy(update={"evaluate": trained.evaluate.model_copy(update={"baselines": "none"})})


@pytest.fixture(scope="module")
def prepared(settings: RunSettings) -> PreparedData:
    """A wardrobe of which every third item has no title, so that it is known by its photo's labels alone."""
    items = list(make_wardrobe().items.values())
    labels = {"colour": (Label("navy blue", 0.9),), "pattern": (Label("striped", 0.8),)}
    untitled = [replace(item, title="") if n % 3 == 0 else item for n, item in enumerate(items)]
    descriptions = {item.id: Description(item.id, labels) for item in untitled if not item.title}
    vocabulary = load_vocabulary(settings.describe.vocabulary)
    described = describe_items(untitled, descriptions, {}, settings.prompt, vocabulary, text_encoder())
    dataset: Dataset = replace(make_wardrobe(), items={item.id: item for item in described})
    return PreparedData(dataset, ("edge", EdgeEncoder.bundled().identity))


@pytest.fixture(scope="module")
def served(prepared: PreparedData, settings: RunSettings) -> Model:
    items = tuple(prepared.dataset.items.values())
    return load().with_catalogue(catalogue_of(prepared, settings, items, "wardrobe"))


@pytest.fixture(scope="module")
def outfits(prepared: PreparedData) -> list[tuple[Item, ...]]:
    dataset = prepared.dataset
    items = list(dataset.items.values())
    drawn = np.random.default_rng(2).permutation(len(items))[:30].reshape(10, 3)
    real = [dataset.items_of(outfit.item_ids) for outfit in dataset.outfits_of("test")[:6]]
    return real + [tuple(items[int(n)] for n in row) for row in drawn]


def measured(prepared: PreparedData, settings: RunSettings) -> dict[str, OutfitScorer]:
    trained: TrainedModel = find_model("bundled")
    scorers = MeasuredScorers(prepared, trained, settings).models
    return {scorer.name: scorer for scorer in scorers}


def test_the_quick_scorer_is_the_one_that_is_measured(
    prepared: PreparedData, settings: RunSettings, served: Model, outfits: list[tuple[Item, ...]]
) -> None:
    expected = measured(prepared, settings)["without-language-model"].score(outfits)
    scores = [served.score(outfit, language_model=False).score for outfit in outfits]
    assert scores == expected.tolist()
    assert len(set(scores)) == len(outfits)


@pytest.mark.slow
def test_the_model_is_the_one_that_is_measured(
    prepared: PreparedData, settings: RunSettings, served: Model, outfits: list[tuple[Item, ...]]
) -> None:
    outfits = outfits[::3]
    expected = measured(prepared, settings)["fine-tuned"].score(outfits)
    batching = BatchingScorers(served.stylist.scorers, scorer_batcher(128))
    # In one batch: what shares a batch changes the last bits of a language model's answer.
    assert served.stylist.scorers.model.score(outfits).tolist() == expected.tolist()
    assert batching.model.score(outfits).tolist() == expected.tolist()
    alone = load().with_catalogue(served.catalogue).score(outfits[0]).score
    assert alone == pytest.approx(expected[0], abs=2e-4)


def test_a_catalogue_on_disk_has_the_means_of_its_data(
    prepared: PreparedData, served: Model, outfits: list[tuple[Item, ...]], tmp_path: Path
) -> None:
    assert served.catalogue is not None
    with writing_catalogue(tmp_path, served.catalogue.info) as writer:
        writer.add([CatalogueRow(n, item) for n, item in enumerate(prepared.dataset.items.values())])
        writer.finish()
    write_manifest(tmp_path, Record("coordi catalogue build", {}), started=0.0)
    opened = served.with_catalogue(Catalogue.open(tmp_path))
    for outfit in outfits:
        assert opened.score(outfit, language_model=False) == served.score(outfit, language_model=False)
