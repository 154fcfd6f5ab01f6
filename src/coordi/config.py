"""Settings of a run: defaults, then a preset, then ``key=value`` overrides; unknown keys are errors."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from coordi.domain import Protocol
from coordi.errors import ConfigError


class Settings(BaseModel):
    """Base of all settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class DataSettings(Settings):
    """How a source is cleaned and split.

    Attributes:
        photos: ``required`` keeps items with a photo and a title, as the paper does; ``optional`` is the text-only
            mode, which also keeps items without a photo; ``auto`` asks for photos if at least half of the outfits
            would survive that.
        train_outfits: At most so many training outfits, drawn with the run's seed; all if None.
        valid_outfits: Likewise for validation.
        test_outfits: Likewise for the test split.
    """

    photos: Literal["auto", "required", "optional"] = "auto"
    train_outfits: int | None = Field(default=None, ge=1)
    valid_outfits: int | None = Field(default=None, ge=1)
    test_outfits: int | None = Field(default=None, ge=1)


class DescribeSettings(Settings):
    """Which encoder looks at photos, and with which vocabulary.

    Attributes:
        encoder: ``edge`` (bundled), ``fashion-clip``, or the folder of a CLIP checkpoint.
        vocabulary: ``fashion`` (bundled) or a vocabulary file.
        batch_size: Photos encoded at once.
    """

    encoder: str = "edge"
    vocabulary: str = "fashion"
    batch_size: int = Field(default=16, ge=1)


class ModelSettings(Settings):
    """The base language model.

    Attributes:
        base: ``bundled`` (SmolLM2-135M-Instruct), a folder in the Hugging Face layout, or a hub id (only with
            ``allow_download``).
        quantization: ``nf4`` stores the base model's linear layers in 4 bits; ``none`` keeps them as they are.
        engine: ``auto`` takes Unsloth where there is a GPU it supports, else PEFT.
        allow_download: Nothing is fetched from a network unless this is true.
        revision: The hub commit to pin; needed with a hub id.
    """

    base: str = "bundled"
    quantization: Literal["nf4", "none"] = "nf4"
    engine: Literal["auto", "peft", "unsloth"] = "auto"
    allow_download: bool = False
    revision: str | None = None


class PromptSettings(Settings):
    """What of an item reaches the prompt, and the longest prompt.

    Attributes:
        max_length: Tokens of prompt and answer together; a longer outfit is shortened, never the question or answer.
        max_title_words: Words kept of each item's title.
        attributes: Attributes of the description that are said, in this order.
    """

    max_length: int = Field(default=2048, ge=64)
    max_title_words: int = Field(default=12, ge=1)
    attributes: tuple[str, ...] = ("category", "colour", "pattern", "material", "style", "occasion")


class FinetuneSettings(Settings):
    """LoRA fine-tuning. ``edge.yaml`` and ``paper.yaml`` say why their values are what they are.

    Attributes:
        epochs: Passes over the training outfits; negatives are drawn anew in each.
        max_steps: Stop after so many optimizer steps; None for no limit.
        batch_size: Examples per optimizer step.
        micro_batch_size: Examples in memory at once; must divide ``batch_size``.
        learning_rate: Peak of the schedule, reached after ``warmup_ratio`` of the steps.
        weight_decay: Of the optimizer, on the adapter's matrices.
        optimizer: ``adamw_8bit`` (bitsandbytes) or ``adamw``.
        schedule: What the learning rate does after warm-up.
        lora_rank: Rank r of the adapter's matrices.
        lora_alpha: Scale: the adapter's product is multiplied by ``lora_alpha / lora_rank``.
        lora_dropout: On the adapter's input.
        target_modules: Linear layers that get an adapter.
        first_layer: Layers before this one get no adapter, so no gradient flows through them; 0 adapts all.
        tasks: Share of examples per task; they need not add up to 1.
        negatives: Share of negatives by protocol; they need not add up to 1.
        gradient_checkpointing: Trade time for memory.
        evaluations: How often the validation split is scored in the course of training, the end included.
        valid_questions: At most so many validation questions are scored each time.
    """

    epochs: float = Field(default=1.0, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=32, ge=1)
    micro_batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=2e-4, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    optimizer: Literal["adamw_8bit", "adamw"] = "adamw_8bit"
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    lora_rank: int = Field(default=16, ge=1)
    lora_alpha: float = Field(default=16, gt=0)
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    first_layer: int = Field(default=0, ge=0)
    tasks: dict[Literal["compatibility", "choose", "complement"], float] = {"compatibility": 1.0}
    negatives: dict[Protocol, float] = {"random": 0.5, "same-category": 0.5}
    gradient_checkpointing: bool = False
    evaluations: int = Field(default=4, ge=1)
    valid_questions: int | None = Field(default=None, ge=2)

    @model_validator(mode="after")
    def _parts_agree(self) -> FinetuneSettings:
        if self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"micro_batch_size {self.micro_batch_size} doesn't divide batch_size {self.batch_size}; pick a divisor"
            )
        for name, shares in (("tasks", self.tasks), ("negatives", self.negatives)):
            if any(share < 0 for share in shares.values()) or not any(shares.values()):
                raise ValueError(f"{name} needs shares of 0 or more with at least one above 0, got {dict(shares)}")
        return self


class EvaluateSettings(Settings):
    """How a model is measured.

    Attributes:
        protocols: Where negatives and wrong candidates come from.
        choices: Candidates of a fill-in-the-blank question.
        bootstrap: Resamples of outfits behind each 95% interval.
        baselines: Also measure the base model without fine-tuning and the plain baselines.
        examples: Examples of each kind that the report shows.
    """

    protocols: tuple[Protocol, ...] = Field(default=("random", "same-category"), min_length=1)
    choices: int = Field(default=4, ge=2)
    bootstrap: int = Field(default=1000, ge=100)
    baselines: bool = True
    examples: int = Field(default=6, ge=0)

    @field_validator("protocols")
    @classmethod
    def _each_once(cls, protocols: tuple[Protocol, ...]) -> tuple[Protocol, ...]:
        if len(set(protocols)) < len(protocols):
            raise ValueError("a protocol stands twice; name each once")
        return protocols


class RecommendSettings(Settings):
    """How complementary items are found.

    Attributes:
        candidates: Items per wanted category that the language model ranks.
        top_k: Items shown.
    """

    candidates: int = Field(default=32, ge=1)
    top_k: int = Field(default=5, ge=1)


class RunSettings(Settings):
    """Everything that ``coordi run`` needs beside the data and the output folder."""

    name: str = "custom"
    seed: int = Field(default=17, ge=0)
    data: DataSettings = DataSettings()
    describe: DescribeSettings = DescribeSettings()
    prompt: PromptSettings = PromptSettings()
    model: ModelSettings = ModelSettings()
    finetune: FinetuneSettings = FinetuneSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    recommend: RecommendSettings = RecommendSettings()


def preset_names() -> tuple[str, ...]:
    """Names of the presets that come with coordi, sorted."""
    folder = resources.files("coordi.presets")
    return tuple(sorted(entry.name[: -len(".yaml")] for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def preset_text(preset: str) -> str:
    """Text of a preset that comes with coordi, or of a file.

    Raises:
        ConfigError: If it is neither.
    """
    if preset in preset_names():
        return resources.files("coordi.presets").joinpath(f"{preset}.yaml").read_text(encoding="utf-8")
    path = Path(preset)
    if not path.is_file():
        raise ConfigError(
            f"no preset '{preset}': accepted are {', '.join(preset_names())} or the path of a YAML file; "
            "see: coordi presets list"
        )
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the preset '{preset}' can't be read: {error}; give a UTF-8 YAML file") from error


def load_settings(preset: str, overrides: Iterable[str] = ()) -> RunSettings:
    """Settings of a preset with ``key=value`` overrides, such as ``finetune.epochs=2``.

    A value is read as YAML, so ``null``, ``true``, ``3`` and ``[a, b]`` mean what they do there.

    Raises:
        ConfigError: All problems at once: unknown keys, wrong types, values out of range.
    """
    try:
        values = yaml.safe_load(preset_text(preset)) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"the preset '{preset}' isn't YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"the preset '{preset}' must hold 'key: value' lines, got {type(values).__name__}")
    return _validated(values, overrides, f"preset '{preset}'")


def apply_overrides(settings: RunSettings, overrides: Iterable[str]) -> RunSettings:
    """Settings with ``key=value`` overrides put over them.

    Raises:
        ConfigError: All problems at once, as ``load_settings`` does.
    """
    return _validated(settings.model_dump(mode="json"), overrides, "the settings")


def _validated(values: dict[str, Any], overrides: Iterable[str], source: str) -> RunSettings:
    for override in overrides:
        _apply(values, override)
    try:
        return RunSettings.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_problem(detail) for detail in error.errors())
        raise ConfigError(f"{source}: {problems}; see: coordi presets show edge") from error


def _apply(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"'{override}' isn't an override: write key=value, such as finetune.epochs=2")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"the value of '{override}' can't be read: {' '.join(str(error).split())}") from error
    if isinstance(value, str):
        value = _number_or_text(value)
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ConfigError(f"'{override}': '{parent}' is a value, not a group of settings")
    values[last] = value


def _number_or_text(text: str) -> float | str:
    """YAML 1.1 reads ``2e-4`` as text; users mean the number."""
    try:
        return float(text)
    except ValueError:
        return text


def _problem(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"]) or "settings"
    if detail["type"] == "extra_forbidden":
        return f"unknown key '{where}' ({_siblings(detail['loc'])})"
    return f"{where}: {detail['msg']}, got {detail['input']!r}"


def _siblings(location: tuple[Any, ...]) -> str:
    model: type[BaseModel] = RunSettings
    for part in location[:-1]:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return "see: coordi presets show edge"
        model = annotation
    return f"accepted are {', '.join(model.model_fields)}"
