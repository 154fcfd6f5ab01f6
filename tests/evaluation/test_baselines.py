"""What each of the baselines that compare is for: categories, titles, vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.errors import EvaluationError
from coordi.model.features import CategoryCentering, CategoryPairs, EmbeddingSimilarity, TitleSimilarity
from coordi.types import GarmentCategory, Item

pytest.importorskip("sklearn")

Vectors = Mapping[str, NDArray[np.float32]]


def outfits_of(items: Mapping[str, Item], *outfits: Sequence[str]) -> list[list[Item]]:
    return [[items[name] for name in outfit] for outfit in outfits]


def labels(*answers: bool) -> NDArray[np.bool_]:
    return np.array(answers)


def unit(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    vector = np.array(values, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def test_category_pairs_learns_that_two_pairs_of_shoes_do_not_go_together() -> None:
    items = {
        "a": Item("a", "", "top"),
        "b": Item("b", "", "shoes"),
        "c": Item("c", "", "shoes"),
        "d": Item("d", "", "bottom"),
    }
    outfits = outfits_of(items, "abd", "acd", "abc", "bcd")
    scorer = CategoryPairs.fit(outfits, labels(True, True, False, False))
    good, bad = scorer.score(outfits_of(items, "ad", "bc"))
    assert good > 0.5 > bad


def test_category_pairs_tells_kinds_of_one_category_apart() -> None:
    items = {
        "gown": Item("gown", "", "dress", "Gowns"),
        "day": Item("day", "", "dress", "Day Dresses"),
        "pumps": Item("pumps", "", "shoes", "Pumps"),
        "sneakers": Item("sneakers", "", "shoes", "Sneakers"),
    }
    outfits = outfits_of(items, ("gown", "pumps"), ("day", "sneakers"), ("gown", "sneakers"), ("day", "pumps"))
    scores = CategoryPairs.fit(outfits, labels(True, True, False, False)).score(outfits)
    assert scores[:2].min() > 0.5 > scores[2:].max()


def test_category_pairs_needs_both_classes() -> None:
    items = {"a": Item("a", "", "top"), "b": Item("b", "", "shoes")}
    with pytest.raises(EvaluationError, match=r"category-pairs needs .* 1 compatible of 1"):
        CategoryPairs.fit(outfits_of(items, "ab"), labels(True))


def test_title_cosine_by_hand() -> None:
    items = {
        "a": Item("a", "red silk", "top"),
        "b": Item("b", "silk red", "bottom"),
        "c": Item("c", "grey wool", "shoes"),
        "empty": Item("empty", "", "bag"),
    }
    scorer = TitleSimilarity.fit(list(items.values()))
    # Same words 1, no word shared 0; three pairs of which one is alike: 1/3; alone: nothing to be alike to.
    outfits = outfits_of(items, ("a", "b"), ("a", "c"), ("a", "b", "c"), ("a",), ("a", "empty"))
    assert scorer.score(outfits) == pytest.approx([1, 0, 1 / 3, 0, 0], abs=1e-12)


def test_title_cosine_is_that_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    titles = (
        "Red silk-dress red", "the red belt, 2 for 30", "Café size 38 dress", "silk scarf silk silk", "a b c", "RED",
    )  # fmt: skip
    titles = (
        "Red silk-dress red",
        "the red belt, 2 for 30",
        "Café size 38 dress",
        "silk scarf silk silk",
        "a b c",
        "RED",
    )
    items = [
        Item(str(n), title, "top", kind) for n, (title, kind) in enumerate(zip(titles, ["Tops", ""] * 3, strict=True))
    ]
    vectors = TfidfVectorizer(sublinear_tf=True).fit_transform([f"{item.title} {item.subcategory}" for item in items])
    cosines = (vectors @ vectors.T).toarray()
    pairs = [(first, second) for first in range(6) for second in range(first)]
    scores = TitleSimilarity.fit(items).score([(items[first], items[second]) for first, second in pairs])
    np.testing.assert_allclose(scores, [cosines[pair] for pair in pairs], atol=1e-12)
    (whole,) = TitleSimilarity.fit(items).score([items])
    assert whole == pytest.approx(np.mean([cosines[pair] for pair in pairs]), abs=1e-12)


def test_title_cosine_needs_words() -> None:
    """Kinds alone would make it a baseline of kinds under the name of titles."""
    items = {"a": Item("a", "", "top", "Blouses"), "b": Item("b", "?", "shoes", "Pumps")}
    with pytest.raises(EvaluationError, match="title-cosine found no word in the titles of 2 training items"):
        TitleSimilarity.fit(list(items.values()))


def test_title_cosine_reads_kinds_beside_titles() -> None:
    items = {
        "a": Item("a", "red silk", "dress", "Gowns"),
        "b": Item("b", "", "dress", "Gowns"),
        "c": Item("c", "", "shoes", "Pumps"),
    }
    same_kind, other_kind = TitleSimilarity.fit(list(items.values())).score(outfits_of(items, "ab", "bc"))
    assert same_kind > 0 == other_kind


def similarity_of(vectors: Vectors) -> tuple[EmbeddingSimilarity, dict[str, Item]]:
    def embed(items: Sequence[Item]) -> NDArray[np.float32]:
        return np.stack([vectors[item.id] for item in items])

    return EmbeddingSimilarity("looks", embed), {name: Item(name, "", "top") for name in vectors}


def test_embedding_similarity_by_hand() -> None:
    scorer, items = similarity_of(
        {"x": unit(1, 0), "y": unit(0, 1), "d": unit(1, 1), "z": np.zeros(2, dtype=np.float32)}
    )
    half = np.sqrt(0.5)
    # x and y share nothing, d is halfway between them; zeros are similar to nothing; one item alone has no pair.
    assert scorer.score(outfits_of(items, "xy", "xd", "xyd", "xx", "xz", "x", "")) == pytest.approx(
        [0, half, 2 * half / 3, 1, 0, 0, 0], abs=1e-7
    )
    assert scorer.name == "looks"


def centred(vectors: Vectors, items: Mapping[str, Item], learned_from: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    rows = [vectors[name] for name in learned_from]
    centering = CategoryCentering.learn(
        [items[name] for name in learned_from], np.stack(rows) if rows else np.zeros((0, 2), np.float32)
    )
    found = centering.centre([items[name] for name in vectors], np.stack(list(vectors.values())))
    return dict(zip(vectors, found, strict=True))


def test_centring_takes_off_what_a_category_has_in_common() -> None:
    categories: dict[str, GarmentCategory] = {}
    vectors: dict[str, NDArray[np.float32]] = {}
    rng = np.random.default_rng(1)
    # Bags lie in one direction and tops in another; style is a small step along a third, the same for both.
    for number in range(80):
        category: GarmentCategory = "bag" if number % 2 else "top"
        style = 0.3 if number % 4 < 2 else -0.3
        categories[str(number)] = category
        vectors[str(number)] = unit(category == "bag", category == "top", style, 0.01 * rng.normal())
    items = {item_id: Item(item_id, "", category) for item_id, category in categories.items()}
    ids = [str(number) for number in range(60)]
    found = centred(vectors, items, ids)
    # 76 and 77 are of one style and of two categories, 78 is of the other style; none of them was averaged.
    before, after = vectors, found
    assert before["76"] @ before["77"] < 0.2 < 0.8 < before["76"] @ before["78"]
    assert after["76"] @ after["77"] > 0.4
    assert after["76"] @ after["78"] < -0.4
    np.testing.assert_allclose([np.linalg.norm(row) for row in found.values()], 1, atol=1e-6)


def test_centring_by_hand() -> None:
    """The mean of a category counts as if ten items of the overall mean were among its own."""
    items = {name: Item(name, "", "bag") for name in "ab"} | {"t": Item("t", "", "top"), "new": Item("new", "", "belt")}
    vectors = {"a": unit(1, 0), "b": unit(0, 1), "t": unit(1, 0), "new": unit(0, 1)}
    overall = (vectors["a"] + vectors["b"] + vectors["t"]) / 3
    bag = (vectors["a"] + vectors["b"] + 10 * overall) / 12
    top = (vectors["t"] + 10 * overall) / 11
    found = centred(vectors, items, ["a", "b", "t"])
    for name, mean in (("a", bag), ("b", bag), ("t", top), ("new", overall)):
        left = vectors[name] - mean
        np.testing.assert_allclose(found[name], left / np.linalg.norm(left), atol=1e-6)


def test_a_vector_that_is_its_categorys_mean_is_alike_to_nothing() -> None:
    items = {name: Item(name, "", "bag") for name in "ab"}
    found = centred({"a": unit(1, 0), "b": unit(1, 0)}, items, ["a", "b"])
    assert not found["a"].any()
    assert centred({"a": unit(1, 0)}, items, [])["a"].tolist() == [1, 0]
