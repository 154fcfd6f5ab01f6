"""The baselines that learn: what a planted rule teaches them, and what a language model's states can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.data.questions import compatibility_questions
from coordi.errors import DataError, EvaluationError
from coordi.evaluation import baselines, set_transformer
from coordi.evaluation.baselines import Embed, FrozenProbe
from coordi.evaluation.set_transformer import SetTransformer, mean_auc
from coordi.model.ensemble import outfits_and_labels, training_questions, validation_questions
from coordi.types import Dataset, Item, OutfitScorer

pytest.importorskip("sklearn")
torch = pytest.importorskip("torch")

SEED = 17
STYLES = ("denim", "silk", "tweed", "linen", "velvet", "leather")

Vectors = Mapping[str, NDArray[np.float32]]


def style_of(item: Item) -> str:
    return item.title.split()[0]


def embed_by(vectors: Vectors) -> Embed:
    """Embeddings from a table; zeros for items that aren't in it."""
    zeros = np.zeros_like(next(iter(vectors.values())))
    return lambda items: np.stack([vectors.get(item.id, zeros) for item in items])


def style_vectors(dataset: Dataset) -> Vectors:
    """One direction per style, and noise by which items differ."""
    rng = np.random.default_rng(2)
    vectors = {}
    for item_id, item in dataset.items.items():
        row = rng.normal(scale=0.1, size=16)
        row[STYLES.index(style_of(item))] += 1
        vectors[item_id] = (row / np.linalg.norm(row)).astype(np.float32)
    return vectors


def auc(scorer: OutfitScorer, dataset: Dataset) -> float:
    """On test questions whose negatives keep the categories, so that style alone tells."""
    parts = [compatibility_questions(dataset, "test", "same-category", SEED, epoch) for epoch in range(4)]
    return mean_auc(scorer, [outfits_and_labels(dataset, part) for part in parts])


@pytest.fixture
def few_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(set_transformer, "_FEWEST_STEPS", 20)
        patch.setattr(set_transformer, "_CHECKS", 4)
        yield


class StylesAsStates:
    """Stands for a language model whose state says how many styles an outfit is of, among a lot of noise."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float32]:
        self.asked += [tuple(item.id for item in outfit) for outfit in outfits]
        return np.stack([self._state(outfit) for outfit in outfits])

    def _state(self, outfit: Sequence[Item]) -> NDArray[np.float32]:
        noise = np.random.default_rng([int(item.id) for item in outfit]).normal(size=20)
        styles = len({style_of(item) for item in outfit})
        # As different in scale as a language model's states are, and one that never changes.
        return np.array([1000 * styles, *noise, 7], dtype=np.float32)


def test_a_set_transformer_begins_with_alike_goes_with_alike(wardrobe: Dataset, few_steps: None) -> None:
    assert auc(SetTransformer.fit(wardrobe, [embed_by(style_vectors(wardrobe))], SEED), wardrobe) > 0.95


@pytest.mark.slow
def test_a_second_source_is_read_too(wardrobe: Dataset, few_steps: None) -> None:
    rng = np.random.default_rng(3)
    noise = {item_id: (rng.normal(size=8) / 3).astype(np.float32) for item_id in wardrobe.items}
    styles = style_vectors(wardrobe)
    seen = {item_id: row for number, (item_id, row) in enumerate(styles.items()) if number % 5}
    blind = auc(SetTransformer.fit(wardrobe, [embed_by(noise)], SEED), wardrobe)
    assert auc(SetTransformer.fit(wardrobe, [embed_by(noise), embed_by(seen)], SEED), wardrobe) > max(blind, 0.6) + 0.1


@pytest.mark.slow
def test_a_set_transformer_reads_categories(wardrobe: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random negatives bring two pairs of shoes; vectors of nothing leave only that to learn."""
    monkeypatch.setattr(set_transformer, "_FEWEST_STEPS", 120)
    monkeypatch.setattr(set_transformer, "_CHECKS", 4)
    nothing = {item_id: np.zeros(4, dtype=np.float32) for item_id in wardrobe.items}
    scorer = SetTransformer.fit(wardrobe, [embed_by(nothing)], SEED)
    test = compatibility_questions(wardrobe, "test", "random", SEED)
    assert mean_auc(scorer, [outfits_and_labels(wardrobe, test)]) > 0.9
    assert auc(scorer, wardrobe) == 0.5


@pytest.mark.slow
def test_a_set_transformer_is_the_same_on_more_threads_and_leaves_torch_as_it_was(
    wardrobe: Dataset, few_steps: None
) -> None:
    outfits = [wardrobe.items_of(outfit.item_ids) for outfit in wardrobe.outfits]
    vectors = style_vectors(wardrobe)
    threads = torch.get_num_threads()
    scores = []
    for count in (1, 2):
        torch.set_num_threads(count)
        torch.manual_seed(count)
        state = torch.get_rng_state()
        scores.append(SetTransformer.fit(wardrobe, [embed_by(vectors)], SEED).score(outfits).tolist())
        assert torch.get_num_threads() == count
        assert torch.equal(torch.get_rng_state(), state)
    torch.set_num_threads(threads)
    assert scores[0] == scores[1]
    assert SetTransformer.fit(wardrobe, [embed_by(vectors)], SEED + 1).score(outfits).tolist() != scores[0]


def test_a_set_transformer_scores_one_item_and_none(wardrobe: Dataset, few_steps: None) -> None:
    scorer = SetTransformer.fit(wardrobe, [embed_by(style_vectors(wardrobe))], SEED)
    assert np.isfinite(scorer.score([wardrobe.items_of(ids) for ids in ("0", "", "01")])).all()


def test_a_probe_finds_what_states_know(wardrobe: Dataset) -> None:
    assert auc(FrozenProbe.fit(wardrobe, StylesAsStates(), SEED), wardrobe) > 0.95


def test_a_probe_asks_training_and_validation_outfits_alone(wardrobe: Dataset) -> None:
    states = StylesAsStates()
    FrozenProbe.fit(wardrobe, states, SEED)
    test = {item_id for outfit in wardrobe.outfits_of("test") for item_id in outfit.item_ids}
    assert not test & {item_id for outfit in states.asked for item_id in outfit}
    # Each training outfit once and with a negative of each protocol; the rest are the validation questions of an
    # evaluation, which are asked once for each strength: what gives the states remembers them.
    train = {item_id for outfit in wardrobe.outfits_of("train") for item_id in outfit.item_ids}
    learned = [outfit for outfit in states.asked if train & set(outfit)]
    assert len(learned) == 3 * 30
    chosen_by = {one.item_ids for part in validation_questions(wardrobe, SEED) for one in part}
    assert set(states.asked) - set(learned) == chosen_by


def test_a_probe_learns_from_so_many_outfits_at_most(wardrobe: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MOST_PROBE_OUTFITS", 10)
    states = StylesAsStates()
    FrozenProbe.fit(wardrobe, states, SEED)
    train = {item_id for outfit in wardrobe.outfits_of("train") for item_id in outfit.item_ids}
    assert sum(bool(train & set(outfit)) for outfit in states.asked) == 3 * 10


@pytest.mark.parametrize("broken", [np.full((1, 3), np.nan), np.zeros(3), np.zeros((2, 3))])
def test_a_probe_refuses_states_that_are_none(broken: NDArray[np.float64], wardrobe: Dataset) -> None:
    fitted = FrozenProbe.fit(wardrobe, StylesAsStates(), SEED)
    fitted._states = lambda outfits: broken.astype(np.float32)
    with pytest.raises(EvaluationError, match=r"states of shape .* for 1 outfits; expected \(N, H\), all finite"):
        fitted.score([wardrobe.items_of("01")])


@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_split_that_is_missing_is_named(split: str, wardrobe: Dataset) -> None:
    without = replace(wardrobe, outfits=tuple(outfit for outfit in wardrobe.outfits if outfit.split != split))
    with pytest.raises(DataError, match=f"has no {split} outfits"):
        SetTransformer.fit(without, [embed_by(style_vectors(wardrobe))], SEED)
    with pytest.raises(DataError, match=f"has no {split} outfits"):
        FrozenProbe.fit(without, StylesAsStates(), SEED)


def test_negatives_are_drawn_anew_in_each_epoch(wardrobe: Dataset) -> None:
    first, second = (training_questions(wardrobe, SEED, epochs) for epochs in (1, 2))
    assert second[: len(first)] == first
    assert len(second) == 2 * len(first) == 2 * 4 * 30
    negatives = [{one.item_ids for one in part if not one.compatible} for part in (first, second[len(first) :])]
    assert len(negatives[0] & negatives[1]) < 5


def test_more_validation_draws_begin_with_those_that_an_evaluation_asks(wardrobe: Dataset) -> None:
    one, three = (validation_questions(wardrobe, SEED, draws) for draws in (1, 3))
    for few, many, protocol in zip(one, three, ("random", "same-category"), strict=True):
        assert few == compatibility_questions(wardrobe, "valid", protocol, SEED)  # type: ignore[arg-type]
        assert many[: len(few)] == few
        assert len(many) == 3 * len(few)
