from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coordi.encoders.edge import EdgeEncoder, prepare
from coordi.errors import EncoderError

LIMIT = 12_000_000


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    with resources.as_file(resources.files("coordi.encoders.weights")) as folder:
        return shutil.copytree(folder, tmp_path / "weights")


def test_both_towers_together_stay_small(copied: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in copied.iterdir() if path.suffix != ".py" and path.is_file()}
    assert sum(sizes.values()) <= LIMIT, sizes


@pytest.mark.parametrize("name", ["image.onnx", "tokens.safetensors", "tokenizer.json"])
def test_one_changed_byte_is_refused(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(EncoderError, match=f"{name} was changed"):
        EdgeEncoder.from_folder(copied)


def test_a_missing_file_and_a_broken_manifest_are_refused(copied: Path) -> None:
    (copied / "image.onnx").rename(copied / "elsewhere.onnx")
    with pytest.raises(EncoderError, match=r"image\.onnx can't be read"):
        EdgeEncoder.from_folder(copied)
    manifest = json.loads((copied / "manifest.json").read_text())
    for broken in ("{", json.dumps({**manifest, "logit_scale": 0}), json.dumps({**manifest, "sha256": {}})):
        (copied / "manifest.json").write_text(broken)
        with pytest.raises(EncoderError, match="isn't an edge encoder's manifest"):
            EdgeEncoder.from_folder(copied)


def test_files_with_a_matching_sum_that_are_not_models_are_refused(copied: Path) -> None:
    import hashlib

    manifest = json.loads((copied / "manifest.json").read_text())
    (copied / "image.onnx").write_bytes(b"not a model")
    manifest["sha256"]["image.onnx"] = hashlib.sha256(b"not a model").hexdigest()
    (copied / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(EncoderError, match="can't be opened"):
        EdgeEncoder.from_folder(copied).encode_images([Image.new("RGB", (8, 8))])


def test_identity_is_that_of_the_files(copied: Path, edge: EdgeEncoder) -> None:
    again = EdgeEncoder.from_folder(copied)
    assert again.identity == edge.identity
    assert again.dimension == edge.dimension == json.loads((copied / "manifest.json").read_text())["dimension"]


def test_a_square_photo_of_the_right_size_is_taken_as_it_is() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    np.testing.assert_array_equal(prepare(Image.fromarray(pixels)), pixels)


def test_a_long_photo_is_padded_with_its_border_and_not_cut() -> None:
    pixels = np.full((100, 50, 3), (240, 240, 230), dtype=np.uint8)
    pixels[40:60, 20:30] = (200, 0, 0)
    prepared = prepare(Image.fromarray(pixels))
    assert prepared.shape == (224, 224, 3)
    np.testing.assert_array_equal(prepared[:, :56], np.full((224, 56, 3), (240, 240, 230)))
    red = prepared[:, :, 1] < 30
    assert red.sum() == pytest.approx(20 * 10 * (224 / 100) ** 2, rel=0.15)


def test_a_photo_one_pixel_thin_is_still_seen(edge: EdgeEncoder) -> None:
    vector = edge.encode_images([Image.new("RGB", (4000, 1), "blue")])
    assert np.isfinite(vector).all()


def test_texts_alike_in_meaning_are_nearer_than_others(edge: EdgeEncoder) -> None:
    one, other, far = edge.encode_texts(["a pair of sneakers", "casual running shoes", "a silk necktie"])
    assert one @ other > one @ far


def test_case_and_accents_do_not_matter_to_texts(edge: EdgeEncoder) -> None:
    vectors = edge.encode_texts(["Décolleté NAVY", "decollete navy"])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)


def test_a_text_of_unknown_signs_gets_the_unknown_vector(edge: EdgeEncoder) -> None:
    empty, strange = edge.encode_texts(["", "옷"])
    np.testing.assert_allclose(empty, strange, atol=1e-6)
