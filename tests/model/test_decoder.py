"""The bundled model in ONNX Runtime scores as the same weights do in torch, alone or in company, and loads no torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from coordi.api import load
from coordi.config import RunSettings
from coordi.data.sample import sample_folder
from coordi.errors import ModelError
from coordi.model import decoder
from coordi.model.base import find_gguf, resolve_base
from coordi.model.decoder import dequantized, multiplies_bytes, unpack_q4_1
from coordi.model.engines import load_tokenizer
from coordi.model.scoring import (
    PooledHead,
    PooledScorer,
    fill_cache,
    load_any_scorer,
    load_light_scorer,
    load_scorer,
    runs_without_torch,
)
from coordi.model.trained import BUNDLED, find_model
from coordi.types import Item

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_gguf() is None, reason="the bundled model isn't installed")]

WORDS = (
    "navy wool blazer", "white leather sneakers", "red silk dress", "black ankle boots", "beige trench coat",
    "blue jeans", "gold hoop earrings", "running shoes", "straw hat", "Vestido rojo talla 38", "한복 저고리",
    "belt 2 for 30 €",
)  # fmt: skip
OUTFITS = [
    ("navy wool blazer", "blue jeans", "white leather sneakers"),
    ("navy wool blazer", "blue jeans", "black ankle boots"),
    ("navy wool blazer", "blue jeans", "running shoes"), ("red silk dress", "gold hoop earrings"),
    ("red silk dress", "running shoes", "straw hat"), ("beige trench coat", "black ankle boots"),
    ("blue jeans", "straw hat"),
    ("Vestido rojo talla 38", "gold hoop earrings", "black ankle boots", "belt 2 for 30 €"),
]  # fmt: skip


@pytest.fixture(scope="module")
def settings() -> RunSettings:
    return find_model("bundled").settings


@pytest.fixture(scope="module")
def outfits() -> list[list[Item]]:
    model = load()
    return [[model.item_of_words(words) for words in outfit] for outfit in OUTFITS]


@pytest.fixture(scope="module", params=["4 bits", "bytes"])
def light(settings: RunSettings, request: pytest.FixtureRequest) -> PooledScorer:
    in_bytes = request.param == "bytes"
    if in_bytes and not multiplies_bytes():
        pytest.skip("bytes overflow on a processor without VNNI")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("coordi.model.decoder.multiplies_bytes", lambda: in_bytes)
        scorer = load_light_scorer(BUNDLED, settings)
    scorer.name = request.param
    return scorer


def test_scores_are_those_of_the_same_weights_in_torch(
    settings: RunSettings, light: PooledScorer, outfits: list[list[Item]]
) -> None:
    pytest.importorskip("torch")
    model = settings.model.model_copy(update={"quantization": "none", "arithmetic": "float32"})
    exact = settings.model_copy(update={"model": model})
    expected = load_scorer(resolve_base(model), BUNDLED, exact).score(outfits)
    np.testing.assert_allclose(light.score(outfits), expected, rtol=0, atol=1e-3 if light.name == "4 bits" else 0.05)
    assert np.ptp(expected) > 0.2


def test_an_outfit_scores_alike_alone_and_in_company(light: PooledScorer, outfits: list[list[Item]]) -> None:
    together = light.score([*outfits, *outfits[:2]])
    alone = np.concatenate([light.score([outfit]) for outfit in outfits])
    # Sums differ in their last bits, and a number may then be rounded to another byte.
    np.testing.assert_allclose(together, [*alone, *alone[:2]], rtol=0, atol=1e-5 if light.name == "4 bits" else 2e-3)


def test_tokens_are_those_of_the_converted_tokenizer(settings: RunSettings, light: PooledScorer) -> None:
    pytest.importorskip("transformers")
    converted = load_tokenizer(resolve_base(settings.model))
    for text in (*WORDS, "<|im_end|>", "a\nb  c", "", "Größe 1,299.00 👗"):
        assert light.renderer.tokenizer(text)["input_ids"] == converted(text, add_special_tokens=False)["input_ids"]
    assert light.renderer.tokenizer.bos_token_id == converted.bos_token_id


def test_blocks_are_unpacked_as_their_format_says() -> None:
    quants = pytest.importorskip("gguf.quants")
    types = pytest.importorskip("gguf").GGMLQuantizationType
    rng = np.random.default_rng(3)
    blocks = rng.integers(256, size=(5, 4, 20), dtype=np.uint8)
    blocks[..., :4] = rng.normal(size=(5, 4, 2)).astype(np.float16).view(np.uint8).reshape(5, 4, 4)
    blocks[2, 1, :2] = 0  # a scale of 0
    expected = quants.dequantize(blocks.reshape(5, -1), types.Q4_1).reshape(5, 4, 32)
    packed, scales, zeros = unpack_q4_1(blocks)
    numbers = np.stack([packed & 15, packed >> 4], axis=-1).reshape(5, 4, 32)
    np.testing.assert_allclose((numbers - zeros[..., None]) * scales[..., None], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(dequantized(blocks), expected)


def test_the_network_is_written_as_the_onnx_package_writes_it(tmp_path: Path) -> None:
    small, large = np.arange(3), np.random.default_rng(0).normal(size=(40, 7)).astype(np.float32)
    with (tmp_path / decoder.WEIGHTS).open("wb") as file:
        graph = decoder._Graph(file, in_bytes=False)
        for name, value in (("small", small), ("large", large), ("again", large.T.copy())):
            graph.constant(name, value)
        graph.node("Fused", ["x", "y"], "z", "com.microsoft", K=576, axis=-1, epsilon=1e-5, perm=[0, 2, 1])
    node = onnx.helper.make_node(
        "Fused", ["x", "y"], ["z"], domain="com.microsoft", K=576, axis=-1, epsilon=1e-5, perm=[0, 2, 1]
    )
    assert onnx.NodeProto.FromString(graph.nodes[0]) == node
    constants = [onnx.TensorProto.FromString(constant) for constant in graph.constants]
    assert constants[0] == onnx.numpy_helper.from_array(small, "small")
    for constant, expected in zip(constants, (small, large, large.T), strict=True):
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(constant, str(tmp_path)), expected)
    mask = onnx.helper.make_tensor_value_info("mask", onnx.TensorProto.FLOAT, ["B", 1, "T", 200])
    assert onnx.ValueInfoProto.FromString(decoder._tensor("mask", "float32", "B", 1, "T", 200)) == mask


def test_a_filled_cache_is_complete_on_every_processor(
    tmp_path: Path, settings: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path))
    older, newer, other = (tmp_path / "bundled" / f"{name}-0123456789abcdef-20-4-{build}" for name, build in (
        ("decoder", 2), ("decoder", 99), ("encoder", 2),
    ))  # fmt: skip
    for folder in (older, newer, other):
        folder.mkdir(parents=True)
        (folder / "decoder.onnx").write_bytes(b"of another build")
    fill_cache(BUNDLED)
    assert not older.exists()
    assert (newer / "decoder.onnx").is_file()
    assert (other / "decoder.onnx").is_file()
    monkeypatch.setattr(decoder, "checked_gguf", lambda: pytest.fail("it was built again"))
    for has_vnni in (False, True):
        monkeypatch.setattr(decoder, "multiplies_bytes", lambda has_vnni=has_vnni: has_vnni)
        assert load_light_scorer(BUNDLED, settings).name == "fine-tuned"


def test_a_head_of_another_size_is_refused(tmp_path: Path, settings: RunSettings) -> None:
    adapter = tmp_path / "adapter"
    shutil.copytree(BUNDLED, adapter)
    size = 8
    row = np.ones(size, dtype=np.float32)
    PooledHead(20, row, row, row, np.ones(1, dtype=np.float32)).save(adapter)
    with pytest.raises(ModelError, match="head reads 8 numbers of layer 20"):
        load_light_scorer(adapter, settings)


def test_settings_choose_the_engine(settings: RunSettings) -> None:
    pytest.importorskip("torch")
    assert "decoder" in repr(load_any_scorer(BUNDLED, settings)._states)  # type: ignore[union-attr]
    peft = settings.model_copy(update={"model": settings.model.model_copy(update={"engine": "peft"})})
    assert "decoder" not in repr(load_any_scorer(BUNDLED, peft)._states)  # type: ignore[union-attr]
    eager = settings.model_copy(update={"model": settings.model.model_copy(update={"attention": "eager"})})
    assert not runs_without_torch(eager)


def test_batches_have_at_most_the_tokens_of_the_settings(
    settings: RunSettings, outfits: list[list[Item]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    forward = decoder.Decoder._forward

    def counted(self: Any, start: Any, owners: Any, texts: Sequence[Sequence[int]], **options: Any) -> Any:
        sizes.append(len(texts) * max(map(len, texts)))
        return forward(self, start, owners, texts, **options)

    monkeypatch.setattr(decoder.Decoder, "_forward", counted)
    scores = []
    for most in (None, 64):
        small = settings.model_copy(update={"model": settings.model.model_copy(update={"batch_tokens": most})})
        sizes.clear()
        scores.append(load_light_scorer(BUNDLED, small).score(outfits))
        assert (max(sizes) <= 64) == (most == 64)
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-4)


ONE_THREAD = """
import os, sys

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from coordi.model import decoder
from coordi.model.scoring import load_light_scorer
from coordi.model.trained import BUNDLED, find_model
from coordi.types import Item

decoder.multiplies_bytes = lambda: sys.argv[1] == "bytes"
outfits = [[Item(text, "", None, text=text) for text in line.split("|")] for line in sys.argv[2:]]
print(*load_light_scorer(BUNDLED, find_model("bundled").settings).score(outfits))
"""


def test_one_thread_scores_as_several_do(light: PooledScorer, outfits: list[list[Item]]) -> None:
    texts = ["|".join(item.text for item in outfit) for outfit in outfits]
    plain = [[Item(text, "", None, text=text) for text in line.split("|")] for line in texts]
    done = subprocess.run(
        [sys.executable, "-c", ONE_THREAD, light.name, *texts], capture_output=True, text=True, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    allowed = 1e-5 if light.name == "4 bits" else 2e-3
    np.testing.assert_allclose([*map(float, done.stdout.split())], light.score(plain), rtol=0, atol=allowed)
    assert done.stderr == ""


def test_advice_loads_no_torch() -> None:
    photo = sample_folder() / "images" / "i0052.jpg"
    program = (
        "import sys, coordi; model = coordi.load(); "
        f"print(model.score(['navy wool blazer', {str(photo)!r}]).score); "
        "print(sorted({'torch', 'transformers', 'sklearn', 'scipy', 'pandas', 'peft'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    score, loaded = run.stdout.splitlines()
    assert 0 < float(score) < 1
    assert loaded == "[]"
