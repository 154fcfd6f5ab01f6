from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from coordi.describe.clip import ClipEncoder
from coordi.describe.encoder import load_encoder
from coordi.errors import EncoderError

MEAN, DEVIATION = np.array([0.48, 0.46, 0.41]), np.array([0.27, 0.26, 0.28])


def by_hand(image: Image.Image) -> npt.NDArray[np.float32]:
    """CLIP's preprocessing as its paper's code has it: shorter side to 32 (bicubic), centre crop, normalise."""
    width, height = image.size
    short = min(width, height)
    new = (int(width * 32 / short), int(height * 32 / short))
    image = image.resize(new, Image.Resampling.BICUBIC)
    left, top = (image.width - 32) // 2, (image.height - 32) // 2
    pixels = np.asarray(image.crop((left, top, left + 32, top + 32)), dtype=np.float64) / 255
    return np.asarray(((pixels - MEAN) / DEVIATION).transpose(2, 0, 1), dtype=np.float32)


def test_photo_vectors_are_those_of_the_model_on_hand_made_pixels(tiny_clip: Path, photos: list[Image.Image]) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = transformers.CLIPModel.from_pretrained(tiny_clip, local_files_only=True).eval()
    pixels = torch.from_numpy(np.stack([by_hand(photo) for photo in photos]))
    with torch.inference_mode():
        expected = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(ClipEncoder.from_folder(tiny_clip).encode_images(photos), expected, atol=1e-4)


def test_similarities_are_those_of_the_whole_model(tiny_clip: Path, photos: list[Image.Image]) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = transformers.CLIPModel.from_pretrained(tiny_clip, local_files_only=True).eval()
    tokenizer = transformers.CLIPTokenizerFast.from_pretrained(tiny_clip, local_files_only=True)
    texts = ["a red bag", "red"]
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    pixels = torch.from_numpy(np.stack([by_hand(photo) for photo in photos]))
    with torch.inference_mode():
        expected = model(pixel_values=pixels, **tokens).logits_per_image.numpy()
    encoder = ClipEncoder.from_folder(tiny_clip)
    found = encoder.logit_scale * encoder.encode_images(photos) @ encoder.encode_texts(texts).T
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_missing_file_is_named(tiny_clip: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_clip, tmp_path / "clip")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"lacks model\.safetensors"):
        load_encoder(str(folder))
    (folder / "merges.txt").unlink()
    (folder / "tokenizer.json").unlink(missing_ok=True)
    with pytest.raises(EncoderError, match="tokenizer"):
        load_encoder(str(folder))


def test_cut_weights_and_another_kind_of_model_are_refused(tiny_clip: Path, tmp_path: Path) -> None:
    cut = shutil.copytree(tiny_clip, tmp_path / "cut")
    weights = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(EncoderError, match="can't be loaded as a CLIP checkpoint"):
        load_encoder(str(cut))
    other = shutil.copytree(tiny_clip, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    with pytest.raises(EncoderError, match="'bert'"):
        load_encoder(str(other))


def test_identity_changes_with_the_weights(tiny_clip: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_clip, tmp_path / "clip")
    assert ClipEncoder.from_folder(folder).identity == ClipEncoder.from_folder(tiny_clip).identity
    processor = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**processor, "do_rescale": False}))
    assert ClipEncoder.from_folder(folder).identity != ClipEncoder.from_folder(tiny_clip).identity


@pytest.mark.parametrize("name", ["fashion-clip", "no-such-encoder"])
def test_an_encoder_that_is_not_here_says_what_is_accepted(name: str) -> None:
    with pytest.raises(EncoderError, match=f"(?s)'{name}'.*'edge'"):
        load_encoder(name)
