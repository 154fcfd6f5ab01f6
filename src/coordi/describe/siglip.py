"""SigLIP and fixed-size SigLIP 2 in the layout of transformers, through transformers and torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from coordi.describe.checkpoint_files import CheckpointFolder
from coordi.describe.pixels import PhotoRecipe
from coordi.describe.tokens import TextRecipe, Tokens
from coordi.describe.torch_towers import EXTRA, TorchTowers, load_strictly
from coordi.describe.towers import Recipe
from coordi.errors import EncoderError, require

TOKENIZER = "tokenizer.json"
_SENTENCEPIECE = "spiece.model"


def load_siglip(folder: CheckpointFolder) -> tuple[Recipe, TorchTowers]:
    """Recipe and towers; every label is judged alone, by a sigmoid.

    Raises:
        EncoderError: If a file is missing.
        ValueError: If the files don't fit together; transformers and safetensors raise types of their own too.
        MissingDependencyError: If torch or transformers isn't installed.
    """
    transformers = require("transformers", EXTRA)
    photos = PhotoRecipe.of_processor(folder.processor())
    config = folder.tokenizer_config()
    clean = _cleaning(config)
    tokenizer = sentencepiece_tokenizer(folder, config)
    model = load_strictly(transformers.SiglipModel, folder)
    return siglip_recipe(model, photos, (tokenizer, clean, config))


def siglip_recipe(
    model: Any,
    photos: PhotoRecipe,
    text: tuple[Any, Literal["none", "lowercase", "siglip", "open_clip"], Mapping[str, Any]],
) -> tuple[Recipe, TorchTowers]:
    """What a loaded SigLIP model and its tokenizer, with cleaning and configuration, make together."""
    tokenizer, clean, config = text
    text_config = model.config.text_config
    longest = config.get("model_max_length")
    # A tokenizer without a limit of its own has one of 10^30.
    length = min(int(longest or 1e30), int(text_config.max_position_embeddings))
    pad = _content(config.get("pad_token")) or "</s>"
    pad_id = tokenizer.token_to_id(pad)
    if pad_id is None:
        raise ValueError(f"its tokenizer has no token {pad!r} to pad with")
    side: Literal["left", "right"] = "left" if config.get("padding_side") == "left" else "right"
    recipe = TextRecipe(clean=clean, length=length, padding="full", side=side, pad_id=pad_id)
    tokens = Tokens(tokenizer, recipe)
    scale, bias = float(model.logit_scale.detach().exp()), float(model.logit_bias.detach())
    dimension = int(text_config.projection_size)
    return Recipe(photos, tokens, dimension, scale, bias), TorchTowers(model, photos.shape, tokens)


def sentencepiece_tokenizer(folder: CheckpointFolder, config: Mapping[str, Any]) -> Any:
    """The folder's ``tokenizer.json``, made to close every text with the end token, as SigLIP was trained.

    Raises:
        EncoderError: If there is none.
    """
    tokenizers = require("tokenizers", EXTRA)
    if not folder.has(TOKENIZER):
        if folder.has(_SENTENCEPIECE):
            raise EncoderError(
                f"{folder.path} has its tokenizer as {_SENTENCEPIECE} only and lacks {TOKENIZER}; get that file from "
                "the checkpoint's repository, or from google/siglip-base-patch16-224, whose vocabulary is the same "
                "for every English SigLIP"
            )
        raise folder.lacks([TOKENIZER])
    tokenizer = tokenizers.Tokenizer.from_file(str(folder.file(TOKENIZER)))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    end = _content(config.get("eos_token")) or "</s>"
    end_id = tokenizer.token_to_id(end)
    if end_id is None:
        raise ValueError(f"its tokenizer has no end token {end!r}")
    if tokenizer.encode("a").ids[-1:] != [end_id]:
        template = tokenizers.processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, end_id)])
        tokenizer.post_processor = template
    return tokenizer


def _cleaning(config: Mapping[str, Any]) -> Literal["none", "lowercase", "siglip"]:
    """What is done to a text before ``tokenizer.json``, which doesn't always hold it.

    SigLIP 2 was trained on lower-case text, which the Gemma tokenizer that its files name doesn't make (Tschannen et
    al., SigLIP 2, 2025, section 2.1).
    """
    kind = str(config.get("tokenizer_class", "")).removesuffix("Fast")
    if kind == "SiglipTokenizer":
        return "siglip" if config.get("do_lower_case", True) else "none"
    return "lowercase" if kind in ("GemmaTokenizer", "Siglip2Tokenizer") else "none"


def _content(token: Any) -> str:
    """A special token as its text, however the configuration writes it."""
    return str(token.get("content", "") if isinstance(token, Mapping) else token or "")
