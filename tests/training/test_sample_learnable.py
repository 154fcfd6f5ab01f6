"""Titles tell whether an outfit agrees only when they are read together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from training.sample_drawing.wardrobe import SampleSize, Wardrobe, fill_wardrobe

Features = dict[str, int]


@pytest.fixture(scope="module")
def wardrobe() -> Wardrobe:
    return fill_wardrobe(17, SampleSize())


def _questions(wardrobe: Wardrobe, split: str, repeats: int) -> tuple[list[list[str]], list[int]]:
    """Titles of true outfits and of ones redrawn within each item's category, with their truth."""
    generator = np.random.default_rng(0)
    outfits = [outfit for outfit in wardrobe.outfits if outfit.split == split]
    worn = sorted({item for outfit in outfits for item in outfit.item_ids})
    sort = {item: wardrobe.garments[item].kind.category for item in worn}
    titles: list[list[str]] = []
    truth: list[int] = []
    for outfit in outfits * repeats:
        redrawn = [generator.choice([i for i in worn if sort[i] == sort[item]]) for item in outfit.item_ids]
        for members, compatible in ((outfit.item_ids, 1), (redrawn, 0)):
            titles.append([wardrobe.garments[str(item)].title for item in members])
            truth.append(compatible)
    return titles, truth


def _words(titles: list[str]) -> Features:
    return dict(Counter(word for title in titles for word in title.split()))


def _pairs(titles: list[str]) -> Features:
    found: Features = {}
    for index, title in enumerate(titles):
        for other in titles[:index]:
            found |= {"|".join(sorted((a, b))): 1 for a in title.split() for b in other.split()}
    return found


def _auc(wardrobe: Wardrobe, features: Callable[[list[str]], Features]) -> float:
    vectorizer = pytest.importorskip("sklearn.feature_extraction").DictVectorizer()
    model = pytest.importorskip("sklearn.linear_model").LogisticRegression(max_iter=500)
    titles, truth = _questions(wardrobe, "train", 6)
    model.fit(vectorizer.fit_transform([features(outfit) for outfit in titles]), truth)
    titles, truth = _questions(wardrobe, "test", 4)
    scores = model.predict_proba(vectorizer.transform([features(outfit) for outfit in titles]))[:, 1]
    return float(pytest.importorskip("sklearn.metrics").roc_auc_score(truth, scores))


def test_words_on_their_own_tell_next_to_nothing(wardrobe: Wardrobe) -> None:
    assert _auc(wardrobe, _words) < 0.62


def test_words_read_together_tell(wardrobe: Wardrobe) -> None:
    assert _auc(wardrobe, _pairs) > 0.85
