"""Fine-tuning that goes on from an adapter: which folder is meant, whether it fits, and taking up its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from coordi.artifacts import hash_file, read_json
from coordi.config import FinetuneSettings
from coordi.errors import ModelError, require
from coordi.model.base import Base
from coordi.model.pooled import HEAD
from coordi.model.score import check_origin

WEIGHTS = "adapter_model.safetensors"
_INSIDE = ("", "adapter", "finetune/adapter")  # of an adapter's folder, what coordi finetune and coordi run make


def starting_adapter(named: str) -> Path:
    """The adapter's folder that ``finetune.start_from`` names: it, or the run's that it is in.

    Raises:
        ModelError: If there is none.
    """
    for inside in _INSIDE:
        folder = Path(named) / inside
        if (folder / WEIGHTS).is_file():
            return folder
    raise ModelError(
        f"finetune.start_from is '{named}', where no adapter is; give an adapter's folder, or one that coordi run or "
        "coordi finetune made"
    )


def check_start(settings: FinetuneSettings, base: Base) -> str | None:
    """Whether fine-tuning can go on from the adapter that the settings name; gives the hash of its weights, or None.

    Raises:
        ModelError: If there is none, it was made on another base, has a pooled head, or has other LoRA settings.
    """
    if settings.start_from is None:
        return None
    folder = starting_adapter(settings.start_from)
    check_origin(folder, base)
    if (folder / HEAD).is_file():
        raise ModelError(
            f"the adapter '{folder}' has a pooled head and was never taught to answer in words; start from one that "
            "was made with finetune.head=answer"
        )
    config = read_json(folder / "adapter_config.json")
    layers = config.get("layers_to_transform")
    made = {
        "lora_rank": config.get("r"),
        "lora_alpha": config.get("lora_alpha"),
        "target_modules": tuple(sorted(config.get("target_modules") or ())),
        "first_layer": min(layers) if isinstance(layers, list) and layers else 0,
    }
    for name, value in made.items():
        wanted = getattr(settings, name)
        if value != (tuple(sorted(wanted)) if isinstance(wanted, tuple) else wanted):
            raise ModelError(
                f"the adapter '{folder}' was made with finetune.{name}={value}, the settings say {wanted}; set "
                f"finetune.{name} as it was"
            )
    return hash_file(folder / WEIGHTS)


def take_up(model: Any, settings: FinetuneSettings) -> None:
    """Give a new adapter the weights of the one that the settings name, if they name one.

    Raises:
        ModelError: If they don't fit.
    """
    if settings.start_from is None:
        return
    peft = require("peft", "train")
    load_file = require("safetensors.torch", "train").load_file
    folder = starting_adapter(settings.start_from)
    try:
        result = peft.set_peft_model_state_dict(model, load_file(str(folder / WEIGHTS)))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"the adapter '{folder}' can't be taken up: {str(error).splitlines()[0]}") from error
    missing = [name for name in result.missing_keys if "lora_" in name]
    if result.unexpected_keys or missing:
        strange = (result.unexpected_keys or missing)[0]
        raise ModelError(f"the adapter '{folder}' doesn't fit the base model: '{strange}' has no counterpart")
