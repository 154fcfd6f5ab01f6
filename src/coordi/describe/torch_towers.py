"""Both towers of a transformers model, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from coordi.describe.checkpoint_files import CheckpointFolder
from coordi.describe.tokens import Tokens
from coordi.errors import require

EXTRA = "train"
_NAMED = 5


class TorchTowers:
    """A ``CLIPModel`` or ``SiglipModel``, which answer to the same two calls."""

    def __init__(self, model: Any, shape: tuple[int, int], tokens: Tokens) -> None:
        """Check that what is prepared is what the model takes.

        Raises:
            ValueError: If photos come out in another size than the model's, or token ids could lie outside its table.
        """
        self.model = model.eval()
        side = int(model.config.vision_config.image_size)
        if shape != (side, side):
            raise ValueError(f"its image processor makes photos of {shape[0]} x {shape[1]}, its model takes {side}")
        known, table = tokens.tokenizer.get_vocab_size(), int(model.config.text_config.vocab_size)
        if known > table:
            raise ValueError(f"its tokenizer has {known} tokens, its model knows {table}")
        if tokens.recipe.length > int(model.config.text_config.max_position_embeddings):
            raise ValueError(f"its tokenizer makes {tokens.recipe.length} tokens, more than its model takes")

    def image(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Vectors ``(B, D)`` of prepared photos ``(B, 3, H, W)``."""
        torch = require("torch", EXTRA)
        with torch.inference_mode():
            found = self.model.get_image_features(pixel_values=torch.from_numpy(pixels))
        return np.asarray(found.pooler_output.numpy(), dtype=np.float32)

    def text(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Vectors ``(B, D)`` of token ids ``(B, T)``.

        No mask: CLIP's vector is read at the end token, before any padding; SigLIP was trained without one.
        """
        torch = require("torch", EXTRA)
        with torch.inference_mode():
            found = self.model.get_text_features(input_ids=torch.from_numpy(tokens))
        return np.asarray(found.pooler_output.numpy(), dtype=np.float32)


def load_strictly(kind: Any, folder: CheckpointFolder) -> Any:
    """A model of the given class with every weight from the folder's safetensors, in float32; no code is run.

    Raises:
        ValueError: If the weights lack one or hold one that the configuration has no place for.
    """
    torch = require("torch", EXTRA)
    folder.weights()
    model, report = kind.from_pretrained(
        folder.path, use_safetensors=True, local_files_only=True, trust_remote_code=False, dtype=torch.float32,
        output_loading_info=True,
    )  # fmt: skip
    for what, names in (
        ("its weights lack", report["missing_keys"]),
        ("config.json has no place for the weights", report["unexpected_keys"]),
        ("config.json disagrees with the shapes of", [str(one) for one in report["mismatched_keys"]]),
    ):
        if names:
            shown = ", ".join(sorted(names)[:_NAMED])
            raise ValueError(f"{what} {shown}{' and others' if len(names) > _NAMED else ''}")
    return model
