from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from coordi.encoders.clip import PhotoRecipe, TextRecipe


def test_steps_by_hand() -> None:
    recipe = PhotoRecipe(size=(2, 4), scale=0.5, mean=(1, 2, 3), std=(2, 4, 8), resample=0)
    photo = Image.new("RGB", (8, 4), (10, 20, 30))
    found = recipe.prepare([photo, photo])
    assert found.shape == (2, 3, 2, 4)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[1, :, 0, 0], [(5 - 1) / 2, (10 - 2) / 4, (15 - 3) / 8])


def test_a_crop_larger_than_the_photo_is_black_around_it() -> None:
    found = PhotoRecipe(shortest_edge=2, crop=(4, 4)).prepare([Image.new("RGB", (2, 2), "white")])
    np.testing.assert_allclose(found[0, 0], np.pad(np.ones((2, 2)), 1))


def test_a_line_of_pixels_does_not_become_gigabytes() -> None:
    recipe = PhotoRecipe(shortest_edge=224, crop=(224, 224))
    pixels = np.zeros((1, 40_000, 3), dtype=np.uint8)
    pixels[:, 20_000:] = 255
    found = recipe.prepare([Image.fromarray(pixels)])
    assert found.shape == (1, 3, 224, 224)
    assert found[0, 0, :, 0].max() < 0.1  # still around the middle
    assert found[0, 0, :, -1].min() > 0.9


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"image_processor_type": "ViTImageProcessor"}, "'ViTImageProcessor', accepted are CLIPImageProcessor"),
        ({"do_pad": True}, "asks for do_pad"),
        ({"do_center_crop": False}, "one shape"),
        ({"size": {"longest_edge": 9, "shortest_edge": 3}}, "isn't supported"),
        ({"image_std": [0, 1, 1]}, "std must not hold 0"),
        ({"crop_size": 0}, "1 or more"),
    ],
)
def test_what_a_processor_asks_in_vain(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PhotoRecipe.of_processor(given)


def test_a_silent_file_means_the_processors_defaults() -> None:
    clip = PhotoRecipe.of_processor({})
    assert (clip.shortest_edge, clip.crop, clip.resample) == (224, (224, 224), 3)
    assert clip.mean == (0.48145466, 0.4578275, 0.40821073)
    siglip = PhotoRecipe.of_processor({"image_processor_type": "SiglipImageProcessorFast"})
    assert (siglip.size, siglip.crop, siglip.mean) == ((224, 224), None, (0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("clean", "expected"),
    [
        ("none", "A_Red &amp; Bag,\n it's "),
        ("lowercase", "a_red &amp; bag,\n it's "),
        ("siglip", "ared amp bag its"),
        ("open_clip", "a red bag its"),
    ],
)
def test_texts_are_cleaned_as_their_encoder_learned_them(clean: str, expected: str) -> None:
    recipe = TextRecipe.model_validate({"clean": clean, "length": 9, "padding": "full", "pad_id": 0})
    assert recipe.cleaned("A_Red &amp; Bag,\n it's ") == expected
