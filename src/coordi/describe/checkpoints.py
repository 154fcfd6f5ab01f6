"""A checkpoint in a folder, whatever its layout, as an encoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from coordi.describe.checkpoint_files import CONFIG, OPEN_CLIP_CONFIG, CheckpointFolder
from coordi.describe.torch_towers import TorchTowers
from coordi.describe.towers import Recipe, TowersEncoder
from coordi.errors import CoordiError, EncoderError

_KINDS = "'clip' and 'siglip'"


def load_checkpoint(folder: Path, name: str | None = None) -> TowersEncoder:
    """Load CLIP or SigLIP from a folder: safetensors only, no code from the folder, no network.

    A folder with both layouts (``config.json`` of transformers, ``open_clip_config.json``) is read in transformers',
    unless its ``config.json`` only points to code of its own.

    Args:
        folder: Where it lies.
        name: What the encoder is called; None for the folder.

    Raises:
        EncoderError: If a file is missing, the weights are pickle only, the model is of another kind, or the files
            don't fit together.
        MissingDependencyError: If torch or transformers isn't installed.
    """
    found = CheckpointFolder(folder)
    try:
        recipe, towers = _loader(found)(found)
    except CoordiError:
        raise
    # transformers, tokenizers and safetensors raise types of their own for broken files, some a bare Exception.
    except Exception as error:
        raise found.broken(error) from error
    return TowersEncoder(name or str(folder), found.identity(), recipe, towers)


def _loader(folder: CheckpointFolder) -> Callable[[CheckpointFolder], tuple[Recipe, TorchTowers]]:
    from coordi.describe.clip import load_clip
    from coordi.describe.open_clip import load_open_clip
    from coordi.describe.siglip import load_siglip

    if not folder.has(CONFIG):
        if folder.has(OPEN_CLIP_CONFIG):
            return load_open_clip
        raise folder.lacks([CONFIG])
    config = folder.json(CONFIG)
    if "auto_map" in config or "open_clip_model_name" in config:
        if folder.has(OPEN_CLIP_CONFIG):
            return load_open_clip
        raise EncoderError(
            f"{folder.path} is loaded by code of its own (auto_map in {CONFIG}), which coordi doesn't run; what it can "
            f"read instead is open_clip's layout, so get {OPEN_CLIP_CONFIG} and open_clip_model.safetensors of the "
            "same repository too"
        )
    kind = config.get("model_type")
    if kind is None and folder.has(OPEN_CLIP_CONFIG):
        return load_open_clip  # as timm's repositories have it
    if kind == "siglip2":
        raise EncoderError(
            f"{folder.path} is a SigLIP 2 checkpoint for photos of any proportions (NaFlex), which isn't supported; "
            "take one of a fixed size, such as google/siglip2-base-patch16-224"
        )
    if kind not in ("clip", "siglip"):
        raise EncoderError(f"{folder.path} holds a model of type {kind!r} ({CONFIG}); accepted are {_KINDS}")
    return load_clip if kind == "clip" else load_siglip
