from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from coordi.encoders.complements import ComplementRecommender, outfit_query
from coordi.encoders.labels import Attribute, LabelEntry, Vocabulary
from coordi.types import GarmentCategory, Item

from .colours import ColourEncoder

CATALOGUE = np.array([[1, 0], [0.6, 0.8], [0, 1], [0.6, 0.8]], dtype=np.float32)


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
    recommender = ComplementRecommender(ColourEncoder(), words)
    found = recommender.labels(query, "shoes", top_k=2)
    assert [label.text for label in found] == ["blue shoe", "red shoe"]
    shares = np.exp(10 * query[0])  # of red, green and blue
    assert [label.probability for label in found] == pytest.approx([shares[2] / shares.sum(), shares[0] / shares.sum()])
    assert [label.text for label in recommender.labels(query, "bag")] == ["red bag"]
    assert recommender.labels(query, "watch") == ()
    with pytest.raises(ValueError, match="got 0"):
        recommender.labels(query, "bag", top_k=0)


def test_a_place_is_recommended_for_from_the_other_items_alone() -> None:
    """Whatever an item looks like, what is recommended in its place stays the same."""
    labels = tuple(
        LabelEntry(text=f"{colour} {kind}", category=kind)
        for kind in ("shoes", "bag")
        for colour in ("red", "green", "blue")
    )
    vocabulary = Vocabulary(attributes={"category": Attribute(threshold=0.9, labels=labels)})
    recommender = ComplementRecommender(ColourEncoder(), vocabulary)
    red, blue = np.eye(3, dtype=np.float32)[[0, 2]]

    def item(name: str, category: GarmentCategory, vector: npt.NDArray[np.float32]) -> Item:
        return Item(name, "", category, text=name, photo_embedding=vector)

    bag = item("bag", "bag", blue)
    rows = [recommender.beside_the_others([item("shoes", "shoes", vector), bag], 1) for vector in (red, blue)]
    assert [row[0] for row in rows] == ["shoes: blue shoes", "shoes: blue shoes"]
    assert [row[1] for row in rows] == ["bag: red bag", "bag: blue bag"]
    assert recommender.beside_the_others([bag], 1) == ()
    assert recommender.beside_the_others([bag, item("hat", "headwear", red)], 1) == ("bag: red bag",)


def test_an_item_without_a_photo_counts_by_its_text() -> None:
    words = Vocabulary(attributes={"category": Attribute(threshold=0.9, labels=(
        LabelEntry(text="red bag", category="bag"), LabelEntry(text="blue bag", category="bag"),
    ))})  # fmt: skip
    recommender = ComplementRecommender(ColourEncoder(), words)
    shoe = Item("s", "", "shoes", text="blue shoes")
    np.testing.assert_array_equal(recommender.vector(shoe), ColourEncoder().encode_texts(["blue shoes"])[0])
    assert recommender.in_words([shoe], "bag", 1) == "bag: blue bag"
