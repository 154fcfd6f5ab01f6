from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from coordi.encoders.edge import Calibration
from coordi.encoders.labels import Attribute, LabelClassifier, LabelEntry

from .colours import ColourEncoder

PHOTOS = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
LABELS = np.array([[1, 0], [0.8, 0.6]], dtype=np.float32)


def label_probabilities(
    photos: npt.NDArray[np.float32], labels: npt.NDArray[np.float32], scale: float, bias: float | None = None
) -> npt.NDArray[np.float32]:
    return LabelClassifier(labels, scale, bias).probabilities(photos)


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


def log_odds(shares: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    exact = shares.astype(np.float64)
    return np.log(exact / (1 - exact))


def test_without_a_temperature_probabilities_are_those_the_encoder_was_trained_for() -> None:
    logits = 10 * PHOTOS @ LABELS.T
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for bias, expected in ((None, softmax), (-7.0, 1 / (1 + np.exp(7.0 - logits)))):
        np.testing.assert_allclose(LabelClassifier(LABELS, 10, bias).probabilities(PHOTOS), expected, rtol=1e-5)


@pytest.mark.parametrize("bias", [None, -7.0])
def test_a_temperature_divides_log_odds_a_sigmoids_bias_included(bias: float | None) -> None:
    plain, cooled = (LabelClassifier(LABELS, 10, bias, warmth).probabilities(PHOTOS) for warmth in (1.0, 2.5))
    np.testing.assert_allclose(log_odds(cooled), log_odds(plain) / 2.5, rtol=1e-3, atol=1e-5)
    assert ((cooled > 0.5) == (plain > 0.5)).all()


def test_an_attribute_takes_its_own_temperature_else_the_encoders_for_its_name_else_none() -> None:
    class Calibrated(ColourEncoder):
        calibration = Calibration(temperatures={"hue": 0.5})

    labels = (LabelEntry(text="red"), LabelEntry(text="blue"))
    own = Attribute(threshold=0, labels=labels, temperatures={"colour": 3.0, "another": 9.0})
    plain = own.model_copy(update={"temperatures": {"another": 9.0}})
    cases = [("hue", own, Calibrated()), ("hue", plain, Calibrated()), ("shade", plain, Calibrated()),
             ("hue", plain, ColourEncoder())]  # fmt: skip
    classifiers = [LabelClassifier.of_attribute(*case) for case in cases]
    assert [row.temperature for row in classifiers] == [3.0, 0.5, 1.0, 1.0]
    from_hub = ColourEncoder()
    from_hub.name = "another@0123456789ab"
    assert LabelClassifier.of_attribute("hue", own, from_hub).temperature == 9.0
