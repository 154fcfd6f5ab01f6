"""What every scorer of outfits must do, whatever it knows: the language model and each baseline in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from coordi.config import EvaluateSettings, RunSettings
from coordi.encoders.labels import load_vocabulary
from coordi.evaluation import set_transformer
from coordi.evaluation.baselines import NAMES, BaselineInputs, build_baselines
from coordi.evaluation.scoring import ScoreSource
from coordi.model.ensemble import Ensemble
from coordi.types import Dataset, Item, OutfitScorer

from ..evaluation.conftest import described, make_wardrobe

pytest.importorskip("sklearn", reason="needs the train extra")
pytest.importorskip("torch", reason="needs the train extra")

SEED = 17
# Leak alarms score questions, not outfits; tests/evaluation/test_baselines_alarms.py holds them.
LEAK_BASELINES = ("size", "order")
ENSEMBLES = ("ensemble", "without-language-model")
SCORERS = ("base", *(name for name in NAMES if name not in LEAK_BASELINES), *ENSEMBLES)
# A language model reads an outfit in an order, and what reads its states does too.
KEEPS_THE_ORDER = {"base", "frozen-probe", "ensemble"}
IN_SINGLE_PRECISION = KEEPS_THE_ORDER

Outfits = list[tuple[Item, ...]]


@dataclass(frozen=True)
class Lineup:
    """Every scorer, fitted on a wardrobe whose ids begin with a prefix."""

    dataset: Dataset
    scorers: Mapping[str, OutfitScorer]

    def some_outfits(self) -> Outfits:
        """Sets of 2 to 6 items, drawn by position, so that they are the same under other ids."""
        rng = np.random.default_rng(3)
        items = list(self.dataset.items.values())
        sizes = rng.integers(2, 7, size=40)
        return [tuple(items[int(n)] for n in rng.choice(len(items), size, replace=False)) for size in sizes]

    def all_outfits(self) -> Outfits:
        return self.some_outfits() + [self.dataset.items_of(outfit.item_ids) for outfit in self.dataset.outfits]


@pytest.fixture(scope="module")
def make_lineup(tiny_folder: Path) -> Iterator[Callable[[str], Lineup]]:
    from coordi.encoders.edge import EdgeEncoder
    from coordi.model.base import resolve_base
    from coordi.model.scoring import BaseModelScorer, load_answers

    encoder = EdgeEncoder.bundled()
    settings = RunSettings.model_validate(
        {
            "seed": SEED,
            "model": {"base": str(tiny_folder), "engine": "peft", "arithmetic": "float32"},
            "prompt": {"max_length": 512},
        }
    )

    def make(prefix: str) -> Lineup:
        dataset = make_wardrobe(prefix)
        rng = np.random.default_rng(5)
        photos = {}
        for number, item_id in enumerate(dataset.items):
            vector = rng.normal(size=encoder.dimension).astype(np.float32)
            if number % 4:  # the others have no photo
                photos[item_id] = vector / np.linalg.norm(vector)
        dataset = described(dataset, photos)
        base = BaseModelScorer(lambda: load_answers(resolve_base(settings.model), None, settings))
        baselines, left_out = build_baselines(BaselineInputs(dataset, encoder, EvaluateSettings(), SEED, base.states))
        assert not left_out
        scorers = {entry.name: entry for entry in (base, *baselines) if not isinstance(entry, ScoreSource)}
        ensemble = Ensemble.learn(base, dataset, load_vocabulary("fashion"), settings)
        for name, language_model in zip(ENSEMBLES, (base, None), strict=True):
            scorers[name] = ensemble.scorer(name, language_model)
        return Lineup(dataset, scorers)

    with pytest.MonkeyPatch.context() as patch:
        # Enough to learn something; how much isn't asked here.
        patch.setattr(set_transformer, "_FEWEST_STEPS", 60)
        yield make


@pytest.fixture(scope="module")
def lineup(make_lineup: Callable[[str], Lineup]) -> Lineup:
    return make_lineup("")


@pytest.fixture(scope="module")
def renamed(make_lineup: Callable[[str], Lineup]) -> Lineup:
    return make_lineup("zebra_")


def close(name: str) -> float:
    return 1e-4 if name in IN_SINGLE_PRECISION else 1e-12


def test_the_contract_is_for_every_scorer(lineup: Lineup) -> None:
    assert tuple(lineup.scorers) == SCORERS


@pytest.mark.parametrize("name", SCORERS)
class TestEveryScorer:
    @pytest.mark.slow
    def test_gives_one_finite_float_per_outfit(self, name: str, lineup: Lineup) -> None:
        scores = lineup.scorers[name].score(lineup.some_outfits())
        assert scores.shape == (40,)
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()
        assert len(set(scores.tolist())) > 10

    def test_gives_probabilities_if_it_says_so(self, name: str, lineup: Lineup) -> None:
        scorer = lineup.scorers[name]
        scores = scorer.score(lineup.some_outfits())
        if scorer.gives_probabilities:
            assert scores.min() >= 0
            assert scores.max() <= 1

    def test_gives_nothing_for_nothing(self, name: str, lineup: Lineup) -> None:
        assert lineup.scorers[name].score([]).shape == (0,)

    def test_scores_an_outfit_alike_alone_and_among_others(self, name: str, lineup: Lineup) -> None:
        scorer, outfits = lineup.scorers[name], lineup.some_outfits()
        alone = [float(scorer.score([outfit])[0]) for outfit in outfits]
        np.testing.assert_allclose(scorer.score(outfits), alone, rtol=0, atol=close(name))
        np.testing.assert_allclose(scorer.score(outfits[::-1])[::-1], alone, rtol=0, atol=close(name))

    def test_sees_the_order_of_items_only_if_that_is_its_way(self, name: str, lineup: Lineup) -> None:
        scorer, outfits = lineup.scorers[name], lineup.some_outfits()
        rng = np.random.default_rng(1)
        shuffled = [tuple(outfit[int(index)] for index in rng.permutation(len(outfit))) for outfit in outfits]
        assert shuffled != outfits
        same = scorer.score(shuffled).tolist() == scorer.score(outfits).tolist()
        assert same == (name not in KEEPS_THE_ORDER)

    def test_is_the_same_when_made_again_under_other_ids(self, name: str, lineup: Lineup, renamed: Lineup) -> None:
        """Neither an id nor anything but the seed has a say in fitting and scoring."""
        here, there = (entry.scorers[name].score(entry.all_outfits()) for entry in (lineup, renamed))
        np.testing.assert_allclose(here, there, rtol=0, atol=close(name))
