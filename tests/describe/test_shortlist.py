from __future__ import annotations

import numpy as np
import pytest

from coordi.describe.shortlist import shortlist

CATALOGUE = np.array([[1, 0], [0.6, 0.8], [0, 1], [0.6, 0.8]], dtype=np.float32)


def test_best_first_and_equals_by_index() -> None:
    rows, cosines = shortlist(np.array([[0, 1], [1, 0]], dtype=np.float32), CATALOGUE, 3)
    assert rows.tolist() == [[2, 1, 3], [0, 1, 3]]
    np.testing.assert_allclose(cosines, [[1, 0.8, 0.8], [1, 0.6, 0.6]], atol=1e-6)


def test_a_small_catalogue_is_given_whole() -> None:
    rows, cosines = shortlist(CATALOGUE[:1], CATALOGUE, 99)
    assert rows.shape == cosines.shape == (1, 4)
    assert shortlist(CATALOGUE, CATALOGUE[:0], 3)[0].shape == (4, 0)


def test_wrong_shapes_and_counts_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(4, 2\).*\(4, 1\)"):
        shortlist(CATALOGUE, CATALOGUE[:, :1], 3)
    with pytest.raises(ValueError, match="got 0"):
        shortlist(CATALOGUE, CATALOGUE, 0)
