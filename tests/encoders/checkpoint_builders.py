"""Small checkpoints with random weights, in the layouts that the hub has them in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SIDE = 32
TOWER = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]


def build_tiny_clip(folder: Path) -> Path:
    """A CLIP checkpoint: model, image processor, tokenizer."""
    torch = pytest.importorskip("torch", reason="needs the train extra")
    transformers = pytest.importorskip("transformers", reason="needs the train extra")
    folder.mkdir(parents=True)
    tokens = [*LETTERS, *(f"{c}</w>" for c in LETTERS), "re", "red</w>", "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\nr e\nre d</w>\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 16}))
    processor = {
        "image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": SIDE}, "do_resize": True, "resample": 3,
        "crop_size": {"height": SIDE, "width": SIDE}, "do_center_crop": True, "do_rescale": True, "do_normalize": True,
        "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28], "do_convert_rgb": True,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    end = vocabulary["<|endoftext|>"]
    config = transformers.CLIPConfig(
        text_config={
            **TOWER, "vocab_size": len(tokens), "max_position_embeddings": 16,
            "bos_token_id": end - 1, "eos_token_id": end, "pad_token_id": end,
        },
        vision_config={**TOWER, "image_size": SIDE, "patch_size": 8},
        projection_dim=12,
    )  # fmt: skip
    torch.manual_seed(3)
    transformers.CLIPModel(config).save_pretrained(folder)
    return folder


def sentencepiece_like(path: Path, special: tuple[str, ...], end: str) -> int:
    """A ``tokenizer.json`` of the kind that is made from a SentencePiece model; gives the size of its vocabulary."""
    tokenizers = pytest.importorskip("tokenizers")
    pieces = ["▁", *LETTERS, *"ABCR.,!_", "▁red", "▁a", "dress", "▁bag"]
    scores = [(piece, 0.0) for piece in special] + [(piece, -float(3 + len(pieces) / 99)) for piece in pieces]
    model = tokenizers.models.Unigram(scores, unk_id=special.index("<unk>"), byte_fallback=False)
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.add_special_tokens(list(special))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, special.index(end))]
    )
    tokenizer.save(str(path))
    return int(tokenizer.get_vocab_size())


def build_tiny_siglip(folder: Path) -> Path:
    """A SigLIP checkpoint as Google's: its tokenizer pads with the end token."""
    folder.mkdir(parents=True)
    size = sentencepiece_like(folder / "tokenizer.json", ("<pad>", "</s>", "<unk>"), "</s>")
    configuration = {
        "tokenizer_class": "SiglipTokenizer", "model_max_length": 64, "do_lower_case": True, "eos_token": "</s>",
        "pad_token": "</s>", "unk_token": "<unk>", "model_input_names": ["input_ids"],
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(configuration))
    return _siglip_model(folder, size)


def build_tiny_siglip2(folder: Path) -> Path:
    """A SigLIP 2 checkpoint of a fixed size: model type ``siglip``, and a Gemma tokenizer."""
    folder.mkdir(parents=True)
    size = sentencepiece_like(folder / "tokenizer.json", ("<pad>", "<eos>", "<bos>", "<unk>"), "<eos>")
    configuration = {
        "tokenizer_class": "GemmaTokenizer", "model_max_length": 1000000000000000019884624838656,
        "eos_token": "<eos>", "pad_token": {"content": "<pad>", "lstrip": False}, "padding_side": "right",
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(configuration))
    return _siglip_model(folder, size)


def _siglip_model(folder: Path, vocabulary: int) -> Path:
    torch = pytest.importorskip("torch", reason="needs the train extra")
    transformers = pytest.importorskip("transformers", reason="needs the train extra")
    processor = {
        "image_processor_type": "SiglipImageProcessor", "size": {"height": SIDE, "width": SIDE}, "do_resize": True,
        "resample": 3, "do_rescale": True, "rescale_factor": 0.00392156862745098, "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "processor_class": "SiglipProcessor",
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    config = transformers.SiglipConfig(
        text_config={
            **TOWER, "vocab_size": vocabulary, "max_position_embeddings": 64, "projection_size": 16,
            "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 1,
        },
        vision_config={**TOWER, "image_size": SIDE, "patch_size": 8},
    )  # fmt: skip
    torch.manual_seed(4)
    model = transformers.SiglipModel(config)
    with torch.no_grad():  # as trained ones have them, and the shared rows of positions large enough to matter
        model.logit_scale.fill_(2.2)
        model.logit_bias.fill_(-3.5)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    return folder


def open_clip_weights(vocabulary: int) -> dict[str, Any]:
    """Weights of a small SigLIP under the names that open_clip and timm give them."""
    torch = pytest.importorskip("torch", reason="needs the train extra")
    width, hidden, layers = 24, 40, 2
    torch.manual_seed(6)

    def linear(name: str, rows: int, columns: int) -> dict[str, Any]:
        return {f"{name}.weight": torch.randn(rows, columns) * 0.2, f"{name}.bias": torch.randn(rows) * 0.1}

    def norm(name: str) -> dict[str, Any]:
        return {f"{name}.weight": 1 + torch.randn(width) * 0.1, f"{name}.bias": torch.randn(width) * 0.1}

    weights = {
        "logit_scale": torch.tensor(2.2), "logit_bias": torch.tensor(-3.5),
        "visual.trunk.patch_embed.proj.weight": torch.randn(width, 3, 16, 16) * 0.1,
        "visual.trunk.patch_embed.proj.bias": torch.randn(width) * 0.1,
        "visual.trunk.pos_embed": torch.randn(1, (SIDE // 16) ** 2, width),
        "visual.trunk.attn_pool.latent": torch.randn(1, 1, width),
        "text.positional_embedding": torch.randn(64, width),
        "text.token_embedding.weight": torch.randn(vocabulary, width),
    }  # fmt: skip
    pool = "visual.trunk.attn_pool"
    weights |= norm("visual.trunk.norm") | norm("text.ln_final") | norm(f"{pool}.norm")
    weights |= linear("text.text_projection", width, width)
    weights |= linear(f"{pool}.q", width, width) | linear(f"{pool}.kv", 2 * width, width)
    weights |= linear(f"{pool}.proj", width, width)
    weights |= linear(f"{pool}.mlp.fc1", hidden, width) | linear(f"{pool}.mlp.fc2", width, hidden)
    for layer in range(layers):
        for block, first, second, out in (
            (f"visual.trunk.blocks.{layer}", "mlp.fc1", "mlp.fc2", "attn.proj"),
            (f"text.transformer.resblocks.{layer}", "mlp.c_fc", "mlp.c_proj", "attn.out_proj"),
        ):
            weights |= linear(f"{block}.{out}", width, width)
            weights |= linear(f"{block}.{first}", hidden, width) | linear(f"{block}.{second}", width, hidden)
            first_norm, second_norm = ("norm1", "norm2") if "visual" in block else ("ln_1", "ln_2")
            weights |= norm(f"{block}.{first_norm}") | norm(f"{block}.{second_norm}")
            packed = linear("x", 3 * width, width)
            names = ("attn.qkv.{}", "attn.qkv.{}") if "visual" in block else ("attn.in_proj_{}",) * 2
            weights |= {f"{block}.{names[0].format(what)}": packed[f"x.{what}"] for what in ("weight", "bias")}
    return weights


def build_tiny_open_clip(folder: Path) -> Path:
    """A SigLIP checkpoint as Marqo's FashionSigLIP: open_clip's files, and a config.json that points to code."""
    safetensors = pytest.importorskip("safetensors.torch")
    folder.mkdir(parents=True)
    size = sentencepiece_like(folder / "tokenizer.json", ("<pad>", "</s>", "<unk>"), "</s>")
    configuration = {"tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "pad_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(configuration))
    pointer = {
        "auto_map": {"AutoModel": "marqo_fashionSigLIP.MarqoFashionSigLIP"},
        "open_clip_model_name": "hf-hub:Marqo/marqo-fashionSigLIP", "model_type": "siglip",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(pointer))
    (folder / "marqo_fashionSigLIP.py").write_text("raise SystemExit('code of the checkpoint was run')\n")
    model = {
        "embed_dim": 24, "init_logit_bias": -10, "custom_text": True,
        "vision_cfg": {
            "image_size": SIDE, "timm_model_name": "vit_base_patch16_siglip_224", "timm_model_pretrained": False,
            "timm_pool": "map", "timm_proj": "none",
        },
        "text_cfg": {
            "context_length": 64, "vocab_size": size, "hf_tokenizer_name": "timm/ViT-B-16-SigLIP",
            "tokenizer_kwargs": {"clean": "canonicalize"}, "width": 24, "heads": 12, "layers": 2,
            "no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-06},
        },
    }  # fmt: skip
    prepared = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": prepared}))
    safetensors.save_file(open_clip_weights(size), folder / "open_clip_model.safetensors")
    return folder


BUILDERS = {
    "clip": build_tiny_clip,
    "siglip": build_tiny_siglip,
    "siglip2": build_tiny_siglip2,
    "open_clip": build_tiny_open_clip,
}
