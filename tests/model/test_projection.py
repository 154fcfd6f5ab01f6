"""A projection finds the direction that the items of an outfit share."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.encoders.base import unit_vectors
from coordi.model.projection import learn_projection

pytest.importorskip("torch", reason="needs the train extra")

STYLES, DIMENSION, NOISE = 6, 24, 1.0


def drawn(count: int, seed: int) -> tuple[NDArray[np.float32], list[tuple[list[int], list[int]]]]:
    """Embeddings of outfits of three items of one style, and each outfit beside one with an item of another."""
    rng = np.random.default_rng(seed)
    styles = np.random.default_rng(1).normal(size=(STYLES, 4))
    of_outfit = np.repeat(rng.integers(STYLES, size=count), 3)
    rows = np.concatenate([styles[of_outfit], NOISE * rng.normal(size=(3 * count, DIMENSION - 4))], axis=1)
    comparisons = []
    for outfit in range(count):
        others = np.flatnonzero(of_outfit != of_outfit[3 * outfit])
        items = [3 * outfit, 3 * outfit + 1, 3 * outfit + 2]
        comparisons.append((items, [*items[:2], int(rng.choice(others))]))
    return unit_vectors(rows), comparisons


def share_right(rows: NDArray[np.float32], comparisons: list[tuple[list[int], list[int]]]) -> float:
    def cosine(items: list[int]) -> float:
        products = rows[items] @ rows[items].T
        return float(products.sum() - np.trace(products))

    return float(np.mean([cosine(right) > cosine(wrong) for right, wrong in comparisons]))


def test_outfits_that_it_hasnt_seen_are_told_apart_better_than_by_cosine() -> None:
    matrix = learn_projection(*drawn(6000, seed=2), seed=17)
    assert matrix.shape == (DIMENSION, DIMENSION)
    rows, comparisons = drawn(1000, seed=3)
    before, after = share_right(rows, comparisons), share_right(unit_vectors(rows @ matrix), comparisons)
    assert before < 0.8
    assert after > before + 0.05


def test_the_same_seed_learns_the_same_and_outfits_may_differ_in_size() -> None:
    rows, comparisons = drawn(50, seed=4)
    mixed = [*comparisons, ([0, 1], [0, 9]), ([3, 4, 5, 6], [3, 4, 5, 60])]
    np.testing.assert_array_equal(learn_projection(rows, mixed, 5), learn_projection(rows, mixed, 5))
    assert not np.array_equal(learn_projection(rows, mixed, 5), learn_projection(rows, mixed, 6))
