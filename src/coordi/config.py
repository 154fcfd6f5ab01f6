"""Settings of a run: frozen models with a default for everything, presets, and ``key=value`` overrides."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from coordi.errors import ConfigError
from coordi.types import Negatives

MOST_CHOICES = 26  # candidates are told apart by a letter
EvaluationProtocol = Negatives | Literal["release"]


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
        split: ``released`` keeps the source's own splits and draws them where it has none; ``outfit-disjoint`` draws
            them anew; ``item-disjoint`` too, and no item (nor title) is in two of them.
        release: Which version of Polyvore Outfits: ``nondisjoint``, or ``disjoint``, whose items are in one split only.
            None takes the one that is there, and ``nondisjoint`` if both are; the data set's name says which.
        allow_download: Nothing is fetched from a hub unless this is true.
        revision: The hub commit to pin, in 40 hex digits; None takes the one that coordi was written against.
    """

    photos: Literal["auto", "required", "optional"] = "auto"
    train_outfits: int | None = Field(default=None, ge=1)
    valid_outfits: int | None = Field(default=None, ge=1)
    test_outfits: int | None = Field(default=None, ge=1)
    split: Literal["released", "outfit-disjoint", "item-disjoint"] = "released"
    release: Literal["nondisjoint", "disjoint"] | None = None
    allow_download: bool = False
    revision: str | None = None


class DescribeSettings(Settings):
    """Which encoder looks at photos, and with which vocabulary.

    Attributes:
        encoder: ``edge`` (bundled), ``fashion-clip``, the folder of a CLIP or SigLIP checkpoint or of an export to
            ONNX, or a hub id (only with ``allow_download``).
        vocabulary: ``fashion`` (bundled) or a vocabulary file.
        batch_size: Photos encoded at once.
        allow_download: Nothing is fetched from a hub unless this is true.
        revision: The hub commit to pin, in 40 hex digits; None takes the one that coordi knows for ``fashion-clip``
            and ``Marqo/marqo-fashionSigLIP``.
    """

    encoder: str = "edge"
    vocabulary: str = "fashion"
    batch_size: int = Field(default=16, ge=1)
    allow_download: bool = False
    revision: str | None = None


class ModelSettings(Settings):
    """The base language model.

    Attributes:
        base: ``bundled`` (SmolLM2-135M-Instruct), a folder in the Hugging Face layout, or a hub id (only with
            ``allow_download``).
        quantization: ``nf4`` stores the base model's linear layers in 4 bits; ``none`` keeps them as they are.
        engine: ``auto`` takes Unsloth where there is a GPU it supports, else PEFT.
        allow_download: Nothing is fetched from a network unless this is true.
        revision: The hub commit to pin; needed with a hub id.
        arithmetic: Of scoring a small model on a CPU: ``int8`` is that of ``coordi.model.engines``; ``auto`` takes it
            where it is faster, else ``float32``.
    """

    base: str = "bundled"
    quantization: Literal["nf4", "none"] = "nf4"
    arithmetic: Literal["auto", "float32", "int8"] = "auto"
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
        batch_size: Examples per optimizer step; under a ``pooled`` head an outfit and its negatives are one.
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
        head: What is taught to tell: ``answer`` the word yes or no after a prompt, as in the paper; ``pooled`` a linear
            head on the mean hidden state of the items' tokens, which small models learn far more from.
        last_layer: Of a ``pooled`` head, how many layers run before it; None for two thirds of them.
        head_learning_rate: Of a ``pooled`` head's own weights.
        tasks: Share of examples per task; they need not add up to 1.
        negatives: Share of negatives by protocol; they need not add up to 1. Under a ``pooled`` head an outfit stands
            beside one of each, so shares are equal or 0.
        ensemble: Combine the model's P(yes) with category pairs and text similarity, by weights that are fitted on the
            validation split. The parts are measured beside it.
        gradient_checkpointing: Trade time for memory.
        evaluations: How often the validation split is scored in the course of training, the end included.
        valid_questions: At most so many validation questions are scored each time.
        checkpoint_minutes: How often all that going on needs is kept, should the training be interrupted; 0 for after
            every step. It is kept before every look at the validation split too, and less often where writing it would
            take more than a hundredth of the time.
        track: Where losses, the learning rate and gradient norms are logged too: ``tensorboard`` in ``logs/`` of the
            fine-tuning's folder, ``mlflow`` or ``trackio`` where their own settings say.
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
    head: Literal["answer", "pooled"] = "answer"
    last_layer: int | None = Field(default=None, ge=1)
    head_learning_rate: float = Field(default=1e-3, gt=0)
    tasks: dict[Literal["compatibility", "choose", "complement"], float] = {"compatibility": 1.0}
    negatives: dict[Negatives, float] = {"random": 0.5, "same-category": 0.5}
    ensemble: bool = False
    gradient_checkpointing: bool = False
    evaluations: int = Field(default=4, ge=1)
    valid_questions: int | None = Field(default=None, ge=2)
    checkpoint_minutes: float = Field(default=5.0, ge=0)
    track: Literal["none", "tensorboard", "mlflow", "trackio"] = "none"

    @model_validator(mode="after")
    def _parts_agree(self) -> FinetuneSettings:
        if self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"micro_batch_size {self.micro_batch_size} doesn't divide batch_size {self.batch_size}; pick a divisor"
            )
        for name, shares in (("tasks", self.tasks), ("negatives", self.negatives)):
            if any(share < 0 for share in shares.values()) or not any(shares.values()):
                raise ValueError(f"{name} needs shares of 0 or more with at least one above 0, got {dict(shares)}")
        if self.head == "answer":
            if self.last_layer is not None:
                raise ValueError("last_layer is a pooled head's, but head is 'answer'; set head=pooled or leave it out")
            return self
        if any(share for task, share in self.tasks.items() if task != "compatibility"):
            raise ValueError(
                f"a pooled head only learns compatibility, but tasks are {dict(self.tasks)}; set head=answer for others"
            )
        shares = {name: share for name, share in self.negatives.items() if share}
        if len(set(shares.values())) > 1 or ("pairs" in shares and len(shares) > 1):
            raise ValueError(
                "a pooled head sees a negative of every protocol beside each outfit, so negatives need equal shares, "
                f"and 'pairs' no other beside it; got {dict(self.negatives)}"
            )
        if self.last_layer is not None and self.first_layer >= self.last_layer:
            raise ValueError(
                f"first_layer {self.first_layer} leaves no layer to adapt before last_layer {self.last_layer}"
            )
        return self


class EvaluateSettings(Settings):
    """How a model is measured.

    Attributes:
        protocols: Where negatives and wrong candidates come from; None asks under every protocol that the data allows.
        choices: Candidates of a fill-in-the-blank question.
        retrieval_pool: Candidates of a retrieval query, the true item among them; 0 leaves retrieval out.
        retrieval_queries: At most so many retrieval queries; all test outfits if None.
        bootstrap: Resamples of outfits behind each 95% interval.
        seeds: Sets of questions that are drawn, each with a seed of its own; the intervals are of the first.
        baselines: ``all``; ``quick`` is the base model and what takes seconds; ``none``.
        learning_curve: Shares of the training outfits that the trained baselines are fitted on; empty for none.
        sentence_encoder: ``edge`` (the bundled text tower), or the folder of a BERT-like sentence encoder.
        calibration_bins: Bins of the reliability curve, each with as many questions as the others.
        examples: Examples of each kind that the report shows.
    """

    protocols: tuple[EvaluationProtocol, ...] | None = Field(default=None, min_length=1)
    choices: int = Field(default=4, ge=2)
    retrieval_pool: int = Field(default=30, ge=0)
    retrieval_queries: int | None = Field(default=64, ge=1)
    bootstrap: int = Field(default=1000, ge=100)
    seeds: int = Field(default=1, ge=1)
    baselines: Literal["all", "quick", "none"] = "all"
    learning_curve: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.1, 0.25, 0.5, 1.0)
    sentence_encoder: str = "edge"
    calibration_bins: int = Field(default=10, ge=2)
    examples: int = Field(default=6, ge=0)

    @field_validator("protocols")
    @classmethod
    def _each_once(cls, protocols: tuple[EvaluationProtocol, ...] | None) -> tuple[EvaluationProtocol, ...] | None:
        if protocols and len(set(protocols)) < len(protocols):
            raise ValueError("a protocol stands twice; name each once")
        return protocols

    @field_validator("retrieval_pool")
    @classmethod
    def _a_choice(cls, pool: int) -> int:
        if pool == 1:
            raise ValueError("a pool of 1 leaves nothing to choose; give 2 or more, or 0 for no retrieval")
        return pool


class RecommendSettings(Settings):
    """How complementary items are found.

    Attributes:
        candidates: Items per wanted category that the language model ranks.
        top_k: Items shown.
        diversity: How much a suggestion's alikeness to one before it counts against its score, so that not five black
            pumps are shown; 0 ranks by score alone.
    """

    candidates: int = Field(default=32, ge=1)
    top_k: int = Field(default=5, ge=1)
    diversity: float = Field(default=0.3, ge=0)


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

    @model_validator(mode="after")
    def _parts_agree(self) -> RunSettings:
        model, finetune = self.model, self.finetune
        if finetune.head == "pooled" and model.engine == "unsloth":
            raise ValueError(
                "finetune.head is 'pooled', which reads hidden states that Unsloth's models don't give, but "
                "model.engine is 'unsloth'; set model.engine=auto or finetune.head=answer"
            )
        if model.arithmetic == "int8" and model.engine == "unsloth":
            raise ValueError(
                "model.arithmetic is 'int8', which is for scoring on a CPU, but model.engine is 'unsloth', which needs "
                "a GPU; set model.arithmetic=auto or model.engine=auto"
            )
        if finetune.tasks.get("choose") and self.evaluate.choices > MOST_CHOICES:
            raise ValueError(
                f"evaluate.choices is {self.evaluate.choices}, but finetune.tasks has 'choose', which names candidates "
                f"by the {MOST_CHOICES} letters; set evaluate.choices={MOST_CHOICES} or less"
            )
        return self


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

    A value is read as YAML, so ``null``, ``true``, ``3`` and ``[a, b]`` mean what they do there. A preset that says
    ``extends: NAME`` stands on that preset: what it says itself, key by key in each group, wins.

    Raises:
        ConfigError: All problems at once: unknown keys, wrong types, values out of range.
    """
    return _validated(_values(preset, ()), overrides, f"preset '{preset}'")


def _values(preset: str, above: tuple[str, ...]) -> dict[str, Any]:
    """What a preset says, over what the one says that it extends."""
    try:
        values = yaml.safe_load(preset_text(preset)) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"the preset '{preset}' isn't YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"the preset '{preset}' must hold 'key: value' lines, got {type(values).__name__}")
    parent = values.pop("extends", None)
    if parent is None:
        return values
    chain = (*above, preset)
    if not isinstance(parent, str) or parent in chain:
        raise ConfigError(
            f"the preset '{preset}' extends {parent!r}; accepted are {', '.join(preset_names())} or the path of "
            f"another YAML file that doesn't extend {' or '.join(chain)}"
        )
    merged = _values(parent, chain)
    for key, value in values.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    return merged


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
