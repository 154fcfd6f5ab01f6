"""CLIP in the layout of transformers: OpenAI's, LAION's and FashionCLIP, through transformers and torch."""

from __future__ import annotations

from typing import Any

from coordi.describe.checkpoint_files import CheckpointFolder
from coordi.describe.pixels import PhotoRecipe
from coordi.describe.tokens import TextRecipe, Tokens
from coordi.describe.torch_towers import EXTRA, TorchTowers, load_strictly
from coordi.describe.towers import Recipe
from coordi.errors import require

_TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))


def load_clip(folder: CheckpointFolder) -> tuple[Recipe, TorchTowers]:
    """Recipe and towers; the softmax over labels is CLIP's.

    Raises:
        EncoderError: If a file is missing.
        ValueError: If the files don't fit together; transformers and safetensors raise types of their own too.
        MissingDependencyError: If torch or transformers isn't installed.
    """
    transformers = require("transformers", EXTRA)
    photos = PhotoRecipe.of_processor(folder.processor())
    tokenizer = _tokenizer(folder, transformers)
    model = load_strictly(transformers.CLIPModel, folder)
    text = TextRecipe(
        length=int(model.config.text_config.max_position_embeddings),
        padding="longest",
        pad_id=int(tokenizer.pad_token_id),
    )
    tokens = Tokens(_copied(tokenizer.backend_tokenizer), text)
    scale = float(model.logit_scale.detach().exp())
    recipe = Recipe(photos, tokens, int(model.config.projection_dim), scale, None)
    return recipe, TorchTowers(model, photos.shape, tokens)


def _copied(tokenizer: Any) -> Any:
    """A tokenizer of one's own, so that truncation and padding can be set."""
    found = require("tokenizers", EXTRA).Tokenizer.from_str(tokenizer.to_str())
    found.no_truncation()
    found.no_padding()
    return found


def _tokenizer(folder: CheckpointFolder, transformers: Any) -> Any:
    for names in _TOKENIZERS:
        if all(folder.has(name) for name in names):
            for name in names:
                folder.file(name)
            folder.tokenizer_config()
            return transformers.CLIPTokenizerFast.from_pretrained(folder.path, local_files_only=True)
    raise folder.lacks(["tokenizer.json (or vocab.json and merges.txt)"])
