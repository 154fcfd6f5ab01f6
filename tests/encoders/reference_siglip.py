"""SigLIP's two towers as open_clip and timm write them, straight from the weights; nothing of transformers or coordi.

References:
    ``TextTransformer`` of open_clip; ``VisionTransformer`` and ``AttentionPoolLatent`` of timm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional


def image_features(weights: Mapping[str, Any], pixels: Any, heads: int) -> Any:
    trunk = "visual.trunk"
    patches = weights[f"{trunk}.patch_embed.proj.weight"]
    states = functional.conv2d(pixels, patches, weights[f"{trunk}.patch_embed.proj.bias"], stride=patches.shape[-1])
    states = states.flatten(2).transpose(1, 2) + weights[f"{trunk}.pos_embed"]
    for layer in range(2):
        block = f"{trunk}.blocks.{layer}"
        normed = _norm(weights, f"{block}.norm1", states)
        packed = functional.linear(normed, weights[f"{block}.attn.qkv.weight"], weights[f"{block}.attn.qkv.bias"])
        states = states + _linear(weights, f"{block}.attn.proj", _attend(packed.chunk(3, dim=-1), heads))
        normed = _norm(weights, f"{block}.norm2", states)
        hidden = functional.gelu(_linear(weights, f"{block}.mlp.fc1", normed))
        states = states + _linear(weights, f"{block}.mlp.fc2", hidden)
    states = _norm(weights, f"{trunk}.norm", states)
    pool = f"{trunk}.attn_pool"
    query = _linear(weights, f"{pool}.q", weights[f"{pool}.latent"].expand(len(states), -1, -1))
    key, value = _linear(weights, f"{pool}.kv", states).chunk(2, dim=-1)
    states = _linear(weights, f"{pool}.proj", _attend((query, key, value), heads))
    hidden = functional.gelu(_linear(weights, f"{pool}.mlp.fc1", _norm(weights, f"{pool}.norm", states)))
    return (states + _linear(weights, f"{pool}.mlp.fc2", hidden))[:, 0]


def text_features(weights: Mapping[str, Any], tokens: Any, heads: int, approximate: str = "none") -> Any:
    states = weights["text.token_embedding.weight"][tokens] + weights["text.positional_embedding"]
    for layer in range(2):
        block = f"text.transformer.resblocks.{layer}"
        normed = _norm(weights, f"{block}.ln_1", states)
        packed = functional.linear(
            normed, weights[f"{block}.attn.in_proj_weight"], weights[f"{block}.attn.in_proj_bias"]
        )
        states = states + _linear(weights, f"{block}.attn.out_proj", _attend(packed.chunk(3, dim=-1), heads))
        hidden = _linear(weights, f"{block}.mlp.c_fc", _norm(weights, f"{block}.ln_2", states))
        hidden = functional.gelu(hidden, approximate=approximate)
        states = states + _linear(weights, f"{block}.mlp.c_proj", hidden)
    last = _norm(weights, "text.ln_final", states)[:, -1]
    return _linear(weights, "text.text_projection", last)


def _linear(weights: Mapping[str, Any], name: str, given: Any) -> Any:
    return functional.linear(given, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(weights: Mapping[str, Any], name: str, given: Any) -> Any:
    return functional.layer_norm(given, given.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-6)


def _attend(query_key_value: Sequence[Any], heads: int) -> Any:
    parts = [part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in query_key_value]
    scores = torch.softmax(parts[0] @ parts[1].transpose(-1, -2) / parts[0].shape[-1] ** 0.5, dim=-1)
    return (scores @ parts[2]).transpose(1, 2).flatten(2)
