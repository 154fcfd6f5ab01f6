"""SigLIP in the layout of open_clip, such as Marqo's FashionSigLIP: its names and shapes turned into transformers'.

The repository's own way to load it is code that comes with it, or its pickle; neither is used. Its
``open_clip_model.safetensors`` holds the same weights, and ``open_clip_config.json`` says what they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from coordi.describe.checkpoint_files import OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, CheckpointFolder
from coordi.describe.pixels import PhotoRecipe
from coordi.describe.siglip import sentencepiece_tokenizer, siglip_recipe
from coordi.describe.torch_towers import EXTRA, TorchTowers
from coordi.describe.towers import Recipe
from coordi.errors import EncoderError, require

_TIMM = re.compile(r"vit_(base|large|so400m|giantopt)_patch(\d+)_siglip_(\d+)")
_HEADS = {"base": 12, "large": 16, "so400m": 16, "giantopt": 16}
# timm gives these towers the exact GELU and the others its tanh form; the paper's own code has the tanh form for all.
_EXACT_GELU = re.compile(r"vit_(base_patch16_siglip_\d+|large_patch16_siglip_(256|384)|so400m_patch14_siglip_\d+)")
_FILTERS = {"bilinear": 2, "bicubic": 3}
_ALIKE = (
    (r"visual\.trunk\.patch_embed\.proj\.", "vision_model.embeddings.patch_embedding."),
    (r"visual\.trunk\.norm\.", "vision_model.post_layernorm."),
    (r"visual\.trunk\.blocks\.(\d+)\.norm([12])\.", r"vision_model.encoder.layers.\1.layer_norm\2."),
    (r"visual\.trunk\.blocks\.(\d+)\.attn\.proj\.", r"vision_model.encoder.layers.\1.self_attn.out_proj."),
    (r"visual\.trunk\.blocks\.(\d+)\.mlp\.", r"vision_model.encoder.layers.\1.mlp."),
    (r"visual\.trunk\.attn_pool\.latent$", "vision_model.head.probe"),
    (r"visual\.trunk\.attn_pool\.proj\.", "vision_model.head.attention.out_proj."),
    (r"visual\.trunk\.attn_pool\.norm\.", "vision_model.head.layernorm."),
    (r"visual\.trunk\.attn_pool\.mlp\.", "vision_model.head.mlp."),
    (r"text\.token_embedding\.", "text_model.embeddings.token_embedding."),
    (r"text\.positional_embedding$", "text_model.embeddings.position_embedding.weight"),
    (r"text\.ln_final\.", "text_model.final_layer_norm."),
    (r"text\.text_projection\.", "text_model.head."),
    (r"text\.transformer\.resblocks\.(\d+)\.ln_([12])\.", r"text_model.encoder.layers.\1.layer_norm\2."),
    (r"text\.transformer\.resblocks\.(\d+)\.attn\.out_proj\.", r"text_model.encoder.layers.\1.self_attn.out_proj."),
    (r"text\.transformer\.resblocks\.(\d+)\.mlp\.c_fc\.", r"text_model.encoder.layers.\1.mlp.fc1."),
    (r"text\.transformer\.resblocks\.(\d+)\.mlp\.c_proj\.", r"text_model.encoder.layers.\1.mlp.fc2."),
)
_TOGETHER = (
    (r"visual\.trunk\.blocks\.(\d+)\.attn\.qkv\.(weight|bias)", r"vision_model.encoder.layers.\1.self_attn.{}.\2"),
    (
        r"text\.transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)",
        r"text_model.encoder.layers.\1.self_attn.{}.\2",
    ),
)


def load_open_clip(folder: CheckpointFolder) -> tuple[Recipe, TorchTowers]:
    """Recipe and towers of a SigLIP checkpoint in open_clip's layout.

    Raises:
        EncoderError: If a file is missing, or the model is of another kind.
        ValueError: If the files don't fit together; safetensors raises a type of its own too.
        MissingDependencyError: If torch or transformers isn't installed.
    """
    given = folder.json(OPEN_CLIP_CONFIG)
    config, prepared = given.get("model_cfg", {}), given.get("preprocess_cfg", {})
    vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    _check_kind(folder, config)
    side = int(vision["image_size"])
    photos = _photos(prepared, side)
    tokenizer_config = folder.tokenizer_config()
    tokenizer = sentencepiece_tokenizer(folder, tokenizer_config)
    (path,) = folder.weights(OPEN_CLIP_WEIGHTS)
    model = _model(require("safetensors.torch", EXTRA).load_file(path), vision, text)
    clean = (text.get("tokenizer_kwargs") or {}).get("clean", "none")
    if clean != "canonicalize":
        raise ValueError(f"text_cfg.tokenizer_kwargs.clean is {clean!r}, supported is 'canonicalize'")
    limits = {**tokenizer_config, "model_max_length": int(text["context_length"])}
    return siglip_recipe(model, photos, (tokenizer, "open_clip", limits))


def _check_kind(folder: CheckpointFolder, config: Mapping[str, Any]) -> None:
    vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    name = str(vision.get("timm_model_name", "none"))
    is_siglip = _TIMM.fullmatch(name) and vision.get("timm_pool") == "map" and vision.get("timm_proj") == "none"
    if not is_siglip or not text.get("no_causal_mask") or not text.get("proj_bias") or text.get("pool_type") != "last":
        raise EncoderError(
            f"{folder.path} is an open_clip checkpoint of another kind (timm_model_name {name!r}); supported in that "
            "layout is SigLIP with attention pooling (vit_base_patch16_siglip_224 and its kin); for others get the "
            "files in transformers' layout (config.json with model_type 'clip' or 'siglip', and model.safetensors)"
        )


def _photos(prepared: Mapping[str, Any], side: int) -> PhotoRecipe:
    """What ``preprocess_cfg`` asks for; the defaults are open_clip's."""
    mode, filter_name = prepared.get("resize_mode", "shortest"), prepared.get("interpolation", "bicubic")
    if filter_name not in _FILTERS:
        raise ValueError(f"preprocess_cfg.interpolation is {filter_name!r}, supported are {', '.join(_FILTERS)}")
    clip = PhotoRecipe.of_processor({})
    common: dict[str, Any] = {
        "resample": _FILTERS[filter_name],
        "mean": prepared.get("mean", clip.mean),
        "std": prepared.get("std", clip.std),
    }
    if mode == "squash":
        return PhotoRecipe(size=(side, side), **common)
    if mode == "shortest":
        return PhotoRecipe(shortest_edge=side, crop=(side, side), **common)
    raise ValueError(f"preprocess_cfg.resize_mode is {mode!r}, supported are squash and shortest")


def _model(tensors: Mapping[str, Any], vision: Mapping[str, Any], text: Mapping[str, Any]) -> Any:
    transformers, torch = require("transformers", EXTRA), require("torch", EXTRA)
    name = str(vision["timm_model_name"])
    size, patch, _ = _TIMM.fullmatch(name).groups()  # type: ignore[union-attr]
    weights = renamed(tensors)
    tanh = "gelu_pytorch_tanh"
    is_tanh = (text.get("act_kwargs") or {}).get("approximate") == "tanh"
    config = transformers.SiglipConfig(
        vision_config={
            **_tower(weights, "vision_model"), "num_attention_heads": _HEADS[size], "patch_size": int(patch),
            "image_size": int(vision["image_size"]), "hidden_act": "gelu" if _EXACT_GELU.fullmatch(name) else tanh,
            "layer_norm_eps": 1e-6,
        },
        text_config={
            **_tower(weights, "text_model"), "num_attention_heads": int(text["heads"]),
            "vocab_size": int(text["vocab_size"]), "max_position_embeddings": int(text["context_length"]),
            "projection_size": len(weights["text_model.head.weight"]), "hidden_act": tanh if is_tanh else "gelu",
            "layer_norm_eps": float((text.get("norm_kwargs") or {}).get("eps", 1e-5)),
            # Not used by the network; the defaults lie outside a small vocabulary.
            "bos_token_id": None, "eos_token_id": 1,
        },
    )  # fmt: skip
    model = transformers.SiglipModel(config)
    model.load_state_dict({key: value.to(torch.float32) for key, value in weights.items()}, strict=True)
    return model


def _tower(weights: Mapping[str, Any], tower: str) -> dict[str, int]:
    """Width, depth and size of the hidden layers, as the weights have them."""
    layers = {int(key.split(".")[3]) for key in weights if key.startswith(f"{tower}.encoder.layers.")}
    first = f"{tower}.encoder.layers.0.mlp.fc1.weight"
    if first not in weights:
        raise ValueError(f"the weights hold no layers of the {tower.split('_')[0]} tower")
    intermediate, hidden = weights[first].shape
    return {"hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": len(layers)}


def renamed(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """open_clip's SigLIP weights under transformers' names: query, key and value apart, or together in the pooling.

    Raises:
        ValueError: If a name isn't of such a model, or one of the pooling's parts is missing.
    """
    torch = require("torch", EXTRA)
    found: dict[str, Any] = {}
    pooling: dict[str, Any] = {}
    for name, tensor in tensors.items():
        if name in ("logit_scale", "logit_bias"):
            found[name] = tensor.reshape(1)
        elif name == "visual.trunk.pos_embed":
            found["vision_model.embeddings.position_embedding.weight"] = tensor.squeeze(0)
        elif part := re.fullmatch(r"visual\.trunk\.attn_pool\.(q|kv)\.(weight|bias)", name):
            pooling["_".join(part.groups())] = tensor
        else:
            found |= _renamed(name, tensor)
    for what in ("weight", "bias"):
        if {f"q_{what}", f"kv_{what}"} - set(pooling):
            raise ValueError(f"the weights lack visual.trunk.attn_pool.q.{what} or kv.{what}")
        joined = torch.cat([pooling[f"q_{what}"], pooling[f"kv_{what}"]])
        found[f"vision_model.head.attention.in_proj_{what}"] = joined
    return found


def _renamed(name: str, tensor: Any) -> dict[str, Any]:
    for old, new in _TOGETHER:
        if re.fullmatch(old, name):
            target = re.sub(old, new, name)
            parts = tensor.chunk(3)
            return {target.format(part): one for part, one in zip(("q_proj", "k_proj", "v_proj"), parts, strict=True)}
    for old, new in _ALIKE:
        if re.match(old, name):
            return {re.sub(old, new, name): tensor}
    raise ValueError(f"the weights hold {name!r}, which a SigLIP model in open_clip's layout doesn't have")
