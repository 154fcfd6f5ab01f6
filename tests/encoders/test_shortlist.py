from __future__ import annotations

import numpy as np
import pytest

from coordi.encoders.complements import complementary_labels, outfit_query, shortlist
from coordi.encoders.labels import Attribute, LabelEntry, Vocabulary

from .colours import ColourEncoder

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


def test_an_outfit_stands_as_the_unit_mean_of_its_items() -> None:
    np.testing.assert_allclose(outfit_query(np.array([[1, 0], [0, 1]])), [[0.5**0.5, 0.5**0.5]], atol=1e-6)
    np.testing.assert_allclose(outfit_query(np.array([[1.0, 0], [-1, 0]])), [[0, 0]])
    with pytest.raises(ValueError, match=r"at least 1 item, got \(0, 2\)"):
        outfit_query(CATALOGUE[:0])


def test_labels_of_the_wanted_category_alone_are_proposed() -> None:
    labels = (
        LabelEntry(text="red shoe", category="shoes"), LabelEntry(text="blue shoe", category="shoes"),
        LabelEntry(text="green shoe", category="shoes"), LabelEntry(text="red bag", category="bag"),
    )  # fmt: skip
    hues = Attribute(threshold=0, labels=(LabelEntry(text="red"), LabelEntry(text="blue")))
    words = Vocabulary(attributes={"hue": hues, "category": Attribute(threshold=0.9, labels=labels)})
    query = outfit_query(np.array([[0, 0, 1], [0.6, 0, 0.8]], dtype=np.float32))
    found = complementary_labels(query, "shoes", ColourEncoder(), words, top_k=2)
    assert [label.text for label in found] == ["blue shoe", "red shoe"]
    shares = np.exp(10 * query[0])  # of red, green and blue
    assert [label.probability for label in found] == pytest.approx([shares[2] / shares.sum(), shares[0] / shares.sum()])
    assert [label.text for label in complementary_labels(query, "bag", ColourEncoder(), words)] == ["red bag"]
    assert complementary_labels(query, "watch", ColourEncoder(), words) == ()
    with pytest.raises(ValueError, match="got 0"):
        complementary_labels(query, "bag", ColourEncoder(), words, top_k=0)
