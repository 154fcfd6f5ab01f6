"""What every encoder must do; ``encoder`` is each of them in turn."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from coordi.encoders.base import ImageTextEncoder

TEXTS = ["a red shirt", "shoes", "", "ein Kleid, 옷", "a very long text " * 40]


@pytest.mark.slow
def test_vectors_are_unit_float32_rows(encoder: ImageTextEncoder, photos: list[Image.Image]) -> None:
    for vectors, count in ((encoder.encode_images(photos), len(photos)), (encoder.encode_texts(TEXTS), len(TEXTS))):
        assert vectors.shape == (count, encoder.dimension)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_nothing_in_nothing_out(encoder: ImageTextEncoder) -> None:
    assert encoder.encode_images([]).shape == (0, encoder.dimension)
    assert encoder.encode_texts([]).shape == (0, encoder.dimension)
    assert encoder.encode_images([]).dtype == encoder.encode_texts([]).dtype == np.float32


@pytest.mark.slow
def test_a_vector_depends_on_its_own_photo_or_text_alone(encoder: ImageTextEncoder, photos: list[Image.Image]) -> None:
    together = encoder.encode_images(photos * 9)  # more than any encoder takes at once
    alone = np.concatenate([encoder.encode_images([photo]) for photo in photos])
    np.testing.assert_allclose(together, np.tile(alone, (9, 1)), atol=1e-4)
    together = encoder.encode_texts(TEXTS * 9)
    alone = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(together, np.tile(alone, (9, 1)), atol=1e-4)


def test_order_is_kept_and_photos_differ(encoder: ImageTextEncoder, photos: list[Image.Image]) -> None:
    forward = encoder.encode_images(photos)
    np.testing.assert_allclose(encoder.encode_images(photos[::-1])[::-1], forward, atol=1e-4)
    assert np.abs(forward[0] - forward[1]).max() > 1e-3
    words = encoder.encode_texts(["red", "shoes"])
    assert np.abs(words[0] - words[1]).max() > 1e-3


def test_the_same_photo_gives_the_same_vector(encoder: ImageTextEncoder, photos: list[Image.Image]) -> None:
    np.testing.assert_array_equal(encoder.encode_images(photos), encoder.encode_images(photos))
    np.testing.assert_array_equal(encoder.encode_texts(TEXTS), encoder.encode_texts(TEXTS))


def test_other_modes_are_read_as_rgb(encoder: ImageTextEncoder, photos: list[Image.Image]) -> None:
    grey = photos[0].convert("L")
    np.testing.assert_allclose(encoder.encode_images([grey]), encoder.encode_images([grey.convert("RGB")]), atol=1e-5)


def test_it_says_who_it_is(encoder: ImageTextEncoder) -> None:
    assert len(encoder.identity) == 64
    assert int(encoder.identity, 16) > 0
    assert encoder.name
    assert encoder.logit_scale > 1
    assert encoder.logit_bias is None or np.isfinite(encoder.logit_bias)
