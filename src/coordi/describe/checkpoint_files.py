"""What lies in a checkpoint's folder, and clear words for what doesn't; nothing here opens weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coordi.artifacts import hash_file
from coordi.errors import EncoderError

CONFIG = "config.json"
OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = "open_clip_model.safetensors"
WEIGHTS = "model.safetensors"
_SHARDS = "model.safetensors.index.json"
_PROCESSOR = "preprocessor_config.json"
_PROCESSORS_TOGETHER = "processor_config.json"
_TOKENIZER_CONFIG = "tokenizer_config.json"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_CONVERT = (
    "from transformers import AutoModel; AutoModel.from_pretrained('{folder}').save_pretrained('{folder}')"  # no quotes
)


class CheckpointFolder:
    """A folder in the Hugging Face layout."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.used: list[Path] = []

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.path / name).is_file()

    def json(self, name: str) -> dict[str, Any]:
        """A JSON object of the folder, which from then on is part of the identity.

        Raises:
            EncoderError: If it is missing or isn't one.
        """
        path = self.file(name)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError(f"it holds {type(found).__name__}, not an object")
        except (OSError, ValueError) as error:
            raise EncoderError(f"{path} can't be read as JSON ({error}); get it again") from error
        return found

    def file(self, name: str) -> Path:
        """The path of a file, which from then on is part of the identity.

        Raises:
            EncoderError: If it is missing.
        """
        path = self.path / name
        if not path.is_file():
            raise self.lacks([name])
        if path not in self.used:
            self.used.append(path)
        return path

    def processor(self) -> dict[str, Any]:
        """What the image processor asks for, from the file of its own or the one that it shares with the tokenizer."""
        if not self.has(_PROCESSOR) and self.has(_PROCESSORS_TOGETHER):
            found = self.json(_PROCESSORS_TOGETHER).get("image_processor")
            if isinstance(found, dict):
                return found
        return self.json(_PROCESSOR)

    def tokenizer_config(self) -> dict[str, Any]:
        """What the tokenizer's configuration says; nothing where there is none."""
        return self.json(_TOKENIZER_CONFIG) if self.has(_TOKENIZER_CONFIG) else {}

    def weights(self, name: str = WEIGHTS) -> list[Path]:
        """The weights in safetensors, in one file or in parts.

        Raises:
            EncoderError: If they aren't there, or only as pickle.
        """
        if name != WEIGHTS or self.has(name) or not self.has(_SHARDS):
            if not self.has(name):
                raise self._no_safetensors(name)
            return [self.file(name)]
        parts = sorted(set(self.json(_SHARDS).get("weight_map", {}).values()))
        missing = [part for part in parts if not self.has(part)]
        if missing or not parts:
            raise self.lacks(missing or [name])
        return [self.file(part) for part in parts]

    def identity(self) -> str:
        """SHA-256 over names and contents of what was used."""
        lines = sorted(f"{path.name} {hash_file(path)}" for path in self.used)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def lacks(self, names: Sequence[str]) -> EncoderError:
        """The error of a folder without some files."""
        return EncoderError(
            f"{self.path} isn't a whole checkpoint: it lacks {', '.join(names)}; get every file of its repository "
            "beside the ones that are there (docs/encoders.md lists them)"
        )

    def broken(self, error: Exception) -> EncoderError:
        """The error of a folder whose files don't fit together."""
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        return EncoderError(
            f"{self.path} can't be loaded as a checkpoint: {reason}; get its files again, or give another encoder"
        )

    def _no_safetensors(self, name: str) -> EncoderError:
        pickled = sorted(path.name for pattern in _PICKLED for path in self.path.glob(pattern))
        if not pickled:
            return self.lacks([name])
        return EncoderError(
            f"{self.path} has its weights as pickle only ({', '.join(pickled)}) and lacks {name}: pickle may run code "
            "when it is loaded, so coordi doesn't open it; get the safetensors of its repository, or convert it where "
            f'you trust it: python -c "{_CONVERT.format(folder=self.path)}"'
        )
