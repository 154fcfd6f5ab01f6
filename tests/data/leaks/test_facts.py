from __future__ import annotations

import numpy as np
import pytest

from coordi.data.leak_tests import RARE, ItemFacts, fitb_set, question_set
from coordi.types import CompatibilityQuestion, Dataset, FitbQuestion, GarmentCategory, Item, Outfit


@pytest.fixture
def facts() -> ItemFacts:
    rows: tuple[tuple[str, str, GarmentCategory, str], ...] = (
        ("77_1", "Acme red top", "top", "Blouses"),
        ("77_2", "Acme jeans", "bottom", "Jeans"),
        ("8123_1", "acme RED top", "top", "Blouses"),
        ("x", "", "top", ""),
    )
    items = {name: Item(name, title, category, kind) for name, title, category, kind in rows}
    outfits = (Outfit("77", ("77_1", "77_2"), "train"), Outfit("78", ("77_2", "77_1", "x"), "test"),
               Outfit("79", ("8123_1", "77_2"), "train"))  # fmt: skip
    return ItemFacts(Dataset("tiny", "catalogue", items, outfits, (), text_only=True))


def test_what_is_known_of_items(facts: ItemFacts) -> None:
    assert facts.id_number.tolist() == [77, 77, 8123, 0]
    assert facts.id_prefix.tolist() == [0, 0, 1, 2]
    assert facts.outfit_position.tolist() == [0, 1, 0, 2]
    assert facts.title_words.tolist() == [3, 2, 3, 0]


def test_popularity_is_what_training_shows_of_a_title(facts: ItemFacts) -> None:
    assert facts.title_count.tolist() == [2, 2, 2, 0]
    assert facts.kind_count.tolist() == [2, 2, 2, 0]


def test_rare_words_are_shared_and_by_few(facts: ItemFacts) -> None:
    """In three titles two may share a word; all three share "acme", which is then no maker's."""
    assert {name: sorted(words) for name, words in facts.rare_words.items()} == {
        "77_1": ["red", "top"], "77_2": [], "8123_1": ["red", "top"], "x": [],
    }  # fmt: skip
    assert RARE == 0.02


def test_pairs_of_training_items(facts: ItemFacts) -> None:
    assert facts.trained_with == {"77_1": {"77_2"}, "77_2": {"77_1", "8123_1"}, "8123_1": {"77_2"}}


def test_questions_as_arrays(facts: ItemFacts) -> None:
    sampled = question_set("q", [
        CompatibilityQuestion("a", "77", ("77_2", "77_1"), compatible=True),
        CompatibilityQuestion("b", "77", ("x", "77_1", "8123_1"), compatible=False),
        CompatibilityQuestion("c", "78", ("x",), compatible=False),
    ], facts)  # fmt: skip
    assert sampled.items.tolist() == [1, 0, 3, 0, 2, 3]
    assert sampled.rows.tolist() == [0, 0, 1, 1, 1, 2]
    assert sampled.split == "train"
    assert sampled.groups.tolist() == [0, 0, 1]
    assert sampled.halves[0] == sampled.halves[1] != sampled.halves[2]
    assert sampled.sizes.tolist() == [2, 3, 1]
    assert sampled.pairs.tolist() == [1, 3, 1]
    assert sampled.mean(np.array([1.0, 2, 3, 4, 8, 7])).tolist() == [1.5, 5, 7]


def test_blanks_as_arrays(facts: ItemFacts) -> None:
    blanks = fitb_set("b", [
        FitbQuestion("a", "nobody", ("77_2",), ("77_1", "x"), 1),
        FitbQuestion("b", "nobody", ("77_2", "x"), ("77_1", "x", "8123_1", "77_2"), 0),
    ], facts)  # fmt: skip
    assert blanks.positive.tolist() == [False, True, True, False, False, False]
    assert blanks.groups.tolist() == [0, 0, 1, 1, 1, 1]
    assert blanks.items.tolist() == [1, 0, 1, 3, 1, 3, 0, 1, 3, 3, 1, 3, 2, 1, 3, 1]
    assert blanks.count == 2
    assert blanks.test("missing", "", np.zeros(6)).chance == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert blanks.split is None
