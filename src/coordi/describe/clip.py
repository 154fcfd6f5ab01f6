"""A CLIP checkpoint from a folder, such as FashionCLIP, through transformers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from coordi.artifacts import hash_file
from coordi.errors import EncoderError, require

if TYPE_CHECKING:
    from PIL import Image

_NEEDED = ("config.json", "preprocessor_config.json", "model.safetensors")
_TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
_AT_ONCE = 16
_EXTRA = "train"


class ClipEncoder:
    """CLIP's own pipeline: its image processor, its tokenizer (texts cut at its longest), its projections."""

    def __init__(self, folder: Path, identity: str, parts: tuple[Any, Any, Any]) -> None:
        self.name = str(folder)
        self.identity = identity
        self._model, self._tokenizer, self._processor = parts
        self.dimension = int(self._model.config.projection_dim)
        self.logit_scale = float(self._model.logit_scale.detach().exp())
        self._max_tokens = int(self._model.config.text_config.max_position_embeddings)

    @classmethod
    def from_folder(cls, folder: Path) -> ClipEncoder:
        """Load a checkpoint in the Hugging Face layout; only safetensors, no code from the folder, no network.

        Raises:
            EncoderError: If a file is missing or the folder holds another kind of model.
            MissingDependencyError: If torch or transformers isn't installed.
        """
        transformers = require("transformers", _EXTRA)
        require("torch", _EXTRA)
        files = _files(folder)
        image_processor = require("transformers.models.clip.image_processing_pil_clip", _EXTRA).CLIPImageProcessorPil
        local = {"local_files_only": True}
        try:
            config = transformers.CLIPConfig.get_config_dict(folder, **local)[0]
            if config.get("model_type") != "clip":
                raise ValueError(f"model_type is {config.get('model_type')!r}, accepted is 'clip'")
            model = transformers.CLIPModel.from_pretrained(folder, use_safetensors=True, **local).eval()
            tokenizer = transformers.CLIPTokenizerFast.from_pretrained(folder, **local)
            processor = image_processor.from_pretrained(folder, **local)
        # transformers and safetensors raise types of their own for broken files.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise EncoderError(
                f"{folder} can't be loaded as a CLIP checkpoint: {reason}; "
                f"accepted is a folder with {', '.join(_NEEDED)} and a tokenizer"
            ) from error
        identity = hashlib.sha256("".join(hash_file(path) for path in files).encode()).hexdigest()
        return cls(folder, identity, (model, tokenizer, processor))

    def encode_images(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)``."""
        torch = require("torch", _EXTRA)
        rows = [np.zeros((0, self.dimension), dtype=np.float32)]
        for start in range(0, len(images), _AT_ONCE):
            batch = [image.convert("RGB") for image in images[start : start + _AT_ONCE]]
            pixels = self._processor(images=batch, return_tensors="pt")["pixel_values"]
            with torch.inference_mode():
                rows.append(self._model.get_image_features(pixel_values=pixels).pooler_output.numpy())
        return _unit(np.concatenate(rows))

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)``; a text longer than the checkpoint takes is cut."""
        torch = require("torch", _EXTRA)
        rows = [np.zeros((0, self.dimension), dtype=np.float32)]
        for start in range(0, len(texts), _AT_ONCE):
            tokens = self._tokenizer(
                list(texts[start : start + _AT_ONCE]),
                padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt",
            )  # fmt: skip
            with torch.inference_mode():
                found = self._model.get_text_features(
                    input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
                )
            rows.append(found.pooler_output.numpy())
        return _unit(np.concatenate(rows))


def _files(folder: Path) -> list[Path]:
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    tokenizer = next((names for names in _TOKENIZERS if all((folder / name).is_file() for name in names)), None)
    if tokenizer is None:
        missing.append("tokenizer.json (or vocab.json and merges.txt)")
    if missing or tokenizer is None:
        raise EncoderError(
            f"{folder} isn't a CLIP checkpoint: it lacks {', '.join(missing)}; "
            "give a folder in the Hugging Face layout with its weights as model.safetensors"
        )
    return [folder / name for name in (*_NEEDED, *tokenizer)]


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
