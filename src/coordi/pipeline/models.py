"""Finding a model by what the user calls it: a run's folder, an adapter's folder, or the base model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from coordi.artifacts import read_json
from coordi.config import EvaluateSettings, RunSettings, apply_overrides, load_settings
from coordi.errors import ConfigError, ModelError
from coordi.pipeline.scorers import MeasuredModel
from coordi.pipeline.stages import ADAPTER, CURVE, FINETUNE, SETTINGS

BUNDLED = Path(__file__).parents[1] / "model" / "adapter"
"""The bundled adapter's folder; its README.md says what it was trained on and how well it does."""
_DEFAULT_PRESET = "edge"
_FREE = ("data.", "evaluate.", "recommend.")


def find_model(name: str, overrides: Sequence[str] = ()) -> MeasuredModel:
    """The model that a command's ``--model`` names.

    How it is measured is not the model's own: that is as ``EvaluateSettings`` has it unless overridden, so that every
    model is measured alike.

    Args:
        name: ``bundled`` for the adapter that comes with coordi, ``base`` for the model it was made on, a folder that
            ``coordi run`` or ``coordi finetune`` made, or the folder of an adapter.
        overrides: ``key=value`` settings over the model's own. An adapter's base, prompts and encoder stay as they
            were when it was made.

    Raises:
        ConfigError: If an override is wrong, or isn't the user's to set.
        ModelError: If it is none of them, or its fine-tuning isn't finished.
    """
    if name == "base":
        settings = apply_overrides(_measured_alike(load_settings(_DEFAULT_PRESET)), overrides)
        return MeasuredModel("base", settings, None)
    if name == "bundled":
        return MeasuredModel("fine-tuned", _settings_of(BUNDLED, overrides), BUNDLED)
    folder = Path(name)
    for adapter in (folder / FINETUNE / ADAPTER, folder / ADAPTER, folder):
        if (adapter / "adapter_config.json").is_file():
            return MeasuredModel("fine-tuned", _settings_of(adapter, overrides), adapter, adapter.parent / CURVE)
    reason = "its fine-tuning isn't finished" if (folder / FINETUNE).is_dir() else "no adapter is in it"
    if not folder.exists():
        reason = "no such folder"
    raise ModelError(
        f"no model at '{name}': {reason}; accepted are a folder that coordi run or coordi finetune made, an adapter's "
        "folder, 'bundled' or 'base'"
    )


def _settings_of(adapter: Path, overrides: Sequence[str]) -> RunSettings:
    path = adapter / SETTINGS
    if not path.is_file():
        raise ModelError(
            f"'{adapter}' has no {SETTINGS}: its fine-tuning isn't finished, or another tool made it; run coordi "
            "finetune again"
        )
    try:
        own = {key: value for key, value in read_json(path).items() if key != "evaluate"}
        settings = RunSettings.model_validate(own)
    except ValidationError as error:
        raise ModelError(
            f"'{path}' was written by another version of coordi ({error.error_count()} settings don't fit); fine-tune "
            "again"
        ) from error
    for override in overrides:
        if not override.startswith(_FREE):
            raise ConfigError(
                f"'{override}' can't be set for a fine-tuned model, which is asked as it was taught; accepted are keys "
                f"that begin with {' or '.join(_FREE)}"
            )
    return apply_overrides(_measured_alike(settings), overrides)


def _measured_alike(settings: RunSettings) -> RunSettings:
    return settings.model_copy(update={"evaluate": EvaluateSettings()})
