"""Scorers that know nothing of style: what a draw depends on, and what popularity counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from coordi.errors import EvaluationError
from coordi.evaluation.baselines import Chance, Popularity
from coordi.evaluation.metrics import fitb_hits, roc_auc
from coordi.types import Dataset, Item

ITEMS = {
    "t": Item("t", "Red Shirt", "top"),
    "T": Item("T", "red shirt", "top"),
    "b": Item("b", "jeans", "bottom", "Skinny Jeans"),
    "s": Item("s", "pumps", "shoes"),
    "n": Item("n", "", "shoes"),
}


def outfits_of(*outfits: str) -> list[list[Item]]:
    return [[ITEMS[name] for name in outfit] for outfit in outfits]


def test_chance_depends_on_the_items_and_the_seed_alone() -> None:
    scorer = Chance(ITEMS, 3)
    first, other, same_words, reversed_order = scorer.score(outfits_of("tb", "ts", "Tb", "bt"))
    assert first == reversed_order
    assert len({first, other, same_words}) == 3
    assert first != Chance(ITEMS, 4).score(outfits_of("tb"))[0]


def test_chance_is_uniform_and_at_chance(wardrobe: Dataset) -> None:
    items = list(wardrobe.items.values())
    rng = np.random.default_rng(0)
    outfits = [[items[int(n)] for n in rng.choice(len(items), 3, replace=False)] for _ in range(2000)]
    scores = Chance(wardrobe.items, 1).score(outfits)
    assert scores.min() >= 0
    assert scores.max() < 1
    assert np.histogram(scores, bins=4, range=(0, 1))[0].min() > 400
    assert 0.46 < roc_auc(scores, np.arange(2000) % 2 == 0) < 0.54


def test_chance_tells_items_apart_that_have_no_title() -> None:
    """Equal draws would be ties, which are misses: every other scorer would seem to be ahead of a coin."""
    rng = np.random.default_rng(2)
    items = {str(number): Item(str(number), "", "shoes") for number in range(400)}
    blanks = [[items[str(n)] for n in rng.choice(400, 6, replace=False)] for _ in range(2000)]
    scorer = Chance(items, 1)
    scores = np.array([scorer.score([(*six[:2], candidate) for candidate in six[2:]]) for six in blanks])
    assert 0.22 < np.mean(fitb_hits(scores, rng.integers(0, 4, size=2000))) < 0.28
    renamed = {f"new{name}": replace(item, id=f"new{name}") for name, item in items.items()}
    assert Chance(renamed, 1).score([(renamed["new3"], renamed["new1"])]) == scorer.score([(items["1"], items["3"])])


def test_popularity_by_hand() -> None:
    scorer = Popularity.fit(outfits_of("tb", "Ts", "tn"))
    # The shirt is in all three under one title, and so are tops; the jeans and their kind once; shoes twice, of which
    # the pumps once.
    shirt, jeans, pumps = 2 * np.log(4), 2 * np.log(2), np.log(2) + np.log(3)
    assert scorer.score(outfits_of("t", "T", "b", "s", "tb", "")) == pytest.approx(
        [shirt, shirt, jeans, pumps, (shirt + jeans) / 2, 0]
    )


def test_popularity_needs_training_outfits() -> None:
    with pytest.raises(EvaluationError, match="popularity needs training outfits, got 0"):
        Popularity.fit([])
