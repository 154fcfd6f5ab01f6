from __future__ import annotations

import numpy as np
import pytest

from coordi.describe.zero_shot import label_probabilities

PHOTOS = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
LABELS = np.array([[1, 0], [0.8, 0.6]], dtype=np.float32)


def test_softmax_by_hand() -> None:
    found = label_probabilities(PHOTOS, LABELS, 10)
    assert found[0, 0] == pytest.approx(1 / (1 + np.exp(-2)))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_sigmoid_by_hand_judges_each_label_alone() -> None:
    found = label_probabilities(PHOTOS, LABELS, 10, -7)
    np.testing.assert_allclose(found[0], [1 / (1 + np.exp(-3)), 1 / (1 + np.exp(-1))], rtol=1e-6)
    np.testing.assert_allclose(found[1], [1 / (1 + np.exp(7)), 1 / (1 + np.exp(1))], rtol=1e-5)
    np.testing.assert_array_equal(found[:, :1], label_probabilities(PHOTOS, LABELS[:1], 10, -7))


def test_both_put_labels_in_the_same_order() -> None:
    generator = np.random.default_rng(1)
    photos, labels = generator.normal(size=(9, 5)), generator.normal(size=(7, 5))
    photos, labels = (
        (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32) for rows in (photos, labels)
    )
    first, second = (np.argsort(label_probabilities(photos, labels, 20, bias), axis=1) for bias in (None, -9.0))
    np.testing.assert_array_equal(first, second)


def test_large_logits_neither_overflow_nor_warn() -> None:
    found = label_probabilities(PHOTOS, LABELS, 118, -200)
    assert np.isfinite(found).all()
    assert found.max() < 1e-30
