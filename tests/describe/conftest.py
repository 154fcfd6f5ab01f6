from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coordi.describe.edge import EdgeEncoder
from coordi.describe.encoder import ImageTextEncoder, load_encoder


def build_tiny_clip(folder: Path) -> Path:
    """A CLIP checkpoint with random weights in the layout of the hub: model, image processor, tokenizer."""
    torch = pytest.importorskip("torch", reason="needs the train extra")
    transformers = pytest.importorskip("transformers", reason="needs the train extra")
    folder.mkdir(parents=True)
    characters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = [*characters, *(f"{c}</w>" for c in characters), "re", "red</w>", "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: place for place, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\nr e\nre d</w>\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 16}))
    processor = {
        "image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 32}, "do_resize": True, "resample": 3,
        "crop_size": {"height": 32, "width": 32}, "do_center_crop": True, "do_rescale": True, "do_normalize": True,
        "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28], "do_convert_rgb": True,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    tower = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    end = vocabulary["<|endoftext|>"]
    config = transformers.CLIPConfig(
        text_config={
            **tower, "vocab_size": len(tokens), "max_position_embeddings": 16,
            "bos_token_id": end - 1, "eos_token_id": end, "pad_token_id": end,
        },
        vision_config={**tower, "image_size": 32, "patch_size": 8},
        projection_dim=12,
    )  # fmt: skip
    torch.manual_seed(3)
    transformers.CLIPModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="session")
def edge() -> EdgeEncoder:
    return EdgeEncoder.bundled()


@pytest.fixture(scope="session", params=["edge", "clip"])
def encoder(request: pytest.FixtureRequest) -> ImageTextEncoder:
    if request.param == "edge":
        loaded: EdgeEncoder = request.getfixturevalue("edge")
        return loaded
    return load_encoder(str(request.getfixturevalue("tiny_clip")))


@pytest.fixture(scope="session")
def photos() -> list[Image.Image]:
    """Five pictures of different sizes and shapes."""
    generator = np.random.default_rng(11)
    sizes = ((224, 224), (90, 160), (300, 120), (33, 47), (64, 64))
    return [Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8)) for width, height in sizes]
