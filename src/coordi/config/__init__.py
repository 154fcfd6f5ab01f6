"""Settings of a run, and how presets and overrides make them."""

from coordi.config.loading import apply_overrides, load_settings, preset_names, preset_text
from coordi.config.settings import (
    DataSettings,
    DescribeSettings,
    EvaluateSettings,
    EvaluationProtocol,
    FinetuneSettings,
    ModelSettings,
    PromptSettings,
    RecommendSettings,
    RunSettings,
    Settings,
)

__all__ = [
    "DataSettings",
    "DescribeSettings",
    "EvaluateSettings",
    "EvaluationProtocol",
    "FinetuneSettings",
    "ModelSettings",
    "PromptSettings",
    "RecommendSettings",
    "RunSettings",
    "Settings",
    "apply_overrides",
    "load_settings",
    "preset_names",
    "preset_text",
]
