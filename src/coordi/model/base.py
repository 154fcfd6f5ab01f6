"""Finds the base model: the bundled one, a folder, or a pinned revision of a hub model where downloads are allowed."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from coordi.artifacts import read_json
from coordi.config import ModelSettings, RunSettings
from coordi.errors import ArtifactError, ModelError, require
from coordi.model.bundled import bundled_folder, bundled_identity
from coordi.model.quiet import stay_offline

_COMMIT = re.compile(r"[0-9a-f]{40}")
_FETCHED = ["*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*",
            "special_tokens_map.json", "chat_template*", "vocab*", "merges.txt"]  # fmt: skip
_SAMPLE = 2**20


@dataclass(frozen=True, slots=True)
class Base:
    """A base model on this machine.

    Attributes:
        name: As the settings call it.
        folder: In the Hugging Face layout, weights in safetensors.
        identity: Hash that an adapter remembers, so that it is never put on another base.
    """

    name: str
    folder: Path
    identity: str


def resolve_base(settings: ModelSettings) -> Base:
    """Find the base model that the settings name.

    Raises:
        ModelError: If it isn't there, isn't a causal language model, has no safetensors, or would need a download that
            isn't allowed or isn't pinned to a commit.
        ArtifactError: If the cache of the bundled model can't be written.
    """
    if settings.base == "bundled":
        folder = bundled_folder()
        return Base("bundled", folder, bundled_identity(folder))
    path = Path(settings.base)
    if path.is_dir():
        folder = path
    elif _is_hub_id(settings.base):
        folder = _downloaded(settings)
    else:
        raise ModelError(
            f"no base model '{settings.base}': accepted are bundled, a folder in the Hugging Face layout, or a hub id "
            "such as owner/name with model.allow_download=true"
        )
    _check_layout(folder)
    return Base(settings.base, folder, _identity(folder))


def check_base(base: Base, settings: RunSettings) -> None:
    """Refuse prompts that are longer than a base reads, and a quantization that isn't the one it is stored in.

    Raises:
        ModelError: If so.
    """
    config = read_json(base.folder / "config.json")
    text = config.get("text_config") or config
    most = text.get("max_position_embeddings")
    if isinstance(most, int) and settings.prompt.max_length > most:
        raise ModelError(
            f"prompt.max_length is {settings.prompt.max_length}, but '{base.name}' reads {most} tokens at most; set "
            f"prompt.max_length={most} or less"
        )
    stored = config.get("quantization_config") or {}
    kind = "nf4" if stored.get("bnb_4bit_quant_type") == "nf4" else stored.get("quant_method")
    if kind is not None and kind != settings.model.quantization:
        help_ = "set model.quantization=nf4" if kind == "nf4" else "choose a base in NF4 or one that isn't quantized"
        raise ModelError(
            f"model.quantization is {settings.model.quantization}, but '{base.name}' is stored in {kind}; {help_}"
        )


def _is_hub_id(text: str) -> bool:
    return re.fullmatch(r"[\w.-]+/[\w.-]+", text) is not None and not text.startswith((".", "/"))


def _downloaded(settings: ModelSettings) -> Path:
    if not settings.allow_download:
        raise ModelError(
            f"no folder '{settings.base}', and nothing is downloaded unless allowed; for the hub model of that name "
            "set model.allow_download=true and model.revision to the commit to pin"
        )
    if settings.revision is None or not _COMMIT.fullmatch(settings.revision):
        raise ModelError(
            f"model.revision is {settings.revision!r}; give the 40 hexadecimal digits of a commit of {settings.base}"
        )
    os.environ["HF_HUB_OFFLINE"] = "0"
    hub = require("huggingface_hub", "train")
    try:
        return Path(hub.snapshot_download(settings.base, revision=settings.revision, allow_patterns=_FETCHED))
    except (OSError, ValueError) as error:  # the hub's errors are OSErrors and ValueErrors of its own
        raise ModelError(
            f"{settings.base} at {settings.revision[:12]} can't be downloaded: {str(error).splitlines()[0]}"
        ) from error
    finally:
        stay_offline()


def _check_layout(folder: Path) -> None:
    try:
        config = read_json(folder / "config.json")
    except ArtifactError as error:
        raise ModelError(
            f"'{folder}' isn't a model in the Hugging Face layout: its config.json is missing or broken"
        ) from error
    kinds = config.get("architectures") or [] if isinstance(config, dict) else []
    if not any(str(kind).endswith("ForCausalLM") for kind in kinds):
        raise ModelError(
            f"'{folder}' holds {', '.join(map(str, kinds)) or 'an unnamed architecture'}; coordi needs a causal "
            "language model (one whose config.json names ...ForCausalLM)"
        )
    for name in ("text_config", "quantization_config"):
        if not isinstance(config.get(name) or {}, dict):
            raise ModelError(
                f"'{folder}' isn't a model in the Hugging Face layout: {name} in its config.json is {config[name]!r}"
            )
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"'{folder}' has no *.safetensors; other formats may run code when loaded and aren't opened")
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")):
        raise ModelError(f"'{folder}' has no tokenizer (tokenizer.json)")


def _identity(folder: Path) -> str:
    """Hash of the configuration, the tokenizer and of the size, first and last MiB of every weights file.

    Reading all of an 8B model would take minutes; a safetensors file begins with a table of all its tensors.
    """
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("config.json"), *folder.glob("tokenizer.json"), *folder.glob("*.safetensors")]):
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLE))
            if size > _SAMPLE:
                file.seek(max(size - _SAMPLE, _SAMPLE))
                digest.update(file.read(_SAMPLE))
    return digest.hexdigest()
