"""Settings of a run: frozen models with a default for everything, presets, and ``key=value`` overrides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from coordi.errors import ConfigError, reason_in_words
from coordi.types import Negatives

MOST_CHOICES = 26  # candidates are named by a letter
PromptForm = Literal["auto", "chat", "instruction"]
EvaluationProtocol = Negatives | Literal["release", "style-pairs"]


class Settings(BaseModel):
    """Base of all settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


AnySettings = TypeVar("AnySettings", bound=Settings)


Language = Literal["en", "de", "fr", "es", "it", "pt", "tr", "hi", "ar", "ko", "ja", "zh"]
FeedFormatName = Literal["auto", "plain", "google", "shopify", "woocommerce", "magento", "prestashop"]
FeedRole = Literal[
    "id", "title", "category", "image", "price", "sale_price", "currency", "brand", "colour", "size", "pattern",
    "material", "gender", "age_group", "season", "occasion", "in_stock", "group", "description",
]  # fmt: skip


class FeedSettings(Settings):
    """How a table of items is read. What isn't given is recognised by the table's content.

    Attributes:
        format: Shop software that exported the table; ``plain`` for any table with a row an item or a size.
        encoding: Encoding of its text, such as ``cp1252``; None to recognise it.
        delimiter: One character between two fields; None to recognise it.
        quote: Quotation mark of fields, or ``none``; None to recognise it.
        currency: Code of ISO 4217; prices in others are left out. None for that of the first price with one.
        language: Of titles whose words are English too ("Slips"), where the table has no column for it.
        columns: By role, the column that has it; the first of several that isn't empty counts.
    """

    format: FeedFormatName = "auto"
    encoding: str | None = None
    delimiter: str | None = Field(default=None, pattern=r"^[^\"'`\r\n]$")
    quote: str | None = Field(default=None, pattern=r"^([\"'`]|none)$")
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    language: Language | None = None
    columns: Mapping[FeedRole, tuple[str, ...]] = {}


class DataSettings(Settings):
    """Cleaning and splitting of a data set.

    Attributes:
        photos: ``required`` keeps items with a photo and a title, as the paper does; ``optional`` (text-only mode) also
            keeps items without a photo; ``auto`` requires photos if at least half of the outfits would remain.
        train_outfits: Maximum number of training outfits, drawn with the run's seed; None for all.
        valid_outfits: Likewise for validation.
        test_outfits: Likewise for the test split.
        split: ``released`` uses the source's own splits and draws them where it has none; ``outfit-disjoint`` always
            draws them; ``item-disjoint`` draws them so that no item and no title is in two splits.
        release: Version of Polyvore Outfits: ``nondisjoint``, or ``disjoint``, whose items are in one split only. None
            uses the version that is present, ``nondisjoint`` if both are; the data set's name has the version.
        allow_download: Allow downloads from the hub.
        revision: Hub commit, 40 hex digits; None for the commit that coordi was written against.
        feed: How a table of items is read.
    """

    photos: Literal["auto", "required", "optional"] = "auto"
    train_outfits: int | None = Field(default=None, ge=1)
    valid_outfits: int | None = Field(default=None, ge=1)
    test_outfits: int | None = Field(default=None, ge=1)
    split: Literal["released", "outfit-disjoint", "item-disjoint"] = "released"
    release: Literal["nondisjoint", "disjoint"] | None = None
    allow_download: bool = False
    revision: str | None = None
    feed: FeedSettings = FeedSettings()


class DescribeSettings(Settings):
    """Image encoder and vocabulary.

    Attributes:
        encoder: ``edge`` (bundled), ``fashion-clip``, the folder of a CLIP or SigLIP checkpoint or of an export to
            ONNX, or a hub id (only with ``allow_download``).
        vocabulary: ``fashion`` (bundled) or a vocabulary file.
        batch_size: Photos per batch.
        allow_download: Allow downloads from the hub.
        revision: Hub commit, 40 hex digits; None for the pinned commit of ``fashion-clip`` and
            ``Marqo/marqo-fashionSigLIP``.
        identity: SHA-256 over the encoder's files, which a fine-tuned model's settings have; another encoder is
            refused. None for any.
    """

    encoder: str = "edge"
    vocabulary: str = "fashion"
    batch_size: int = Field(default=16, ge=1)
    allow_download: bool = False
    revision: str | None = None
    identity: str | None = None


class ModelSettings(Settings):
    """The base language model.

    Attributes:
        base: ``bundled`` (SmolLM2-135M-Instruct), a folder in the Hugging Face layout, or a hub id (only with
            ``allow_download``).
        quantization: ``nf4`` stores the base model's linear layers in 4 bits; ``none`` leaves them unchanged.
        engine: ``auto`` uses Unsloth on a GPU that it supports, else PEFT.
        allow_download: Allow downloads from the hub.
        revision: Hub commit; required with a hub id.
        arithmetic: For scoring a small model on a CPU: ``int8`` (see ``model.engines``) or ``float32``; ``auto`` uses
            ``int8`` where it is faster.
        attention: How transformers computes attention; ``auto`` takes what a base needs, else PyTorch's own (``sdpa``).
            ``flash_attention_2`` needs the package flash-attn. Unsloth chooses for itself. With another one than
            ``auto`` the bundled model runs in torch too.
        batch_tokens: Maximum tokens per batch in scoring, padding included; None for 1,024, on a GPU for 2,048.
    """

    base: str = "bundled"
    quantization: Literal["nf4", "none"] = "nf4"
    arithmetic: Literal["auto", "float32", "int8"] = "auto"
    engine: Literal["auto", "peft", "unsloth"] = "auto"
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = "auto"
    batch_tokens: int | None = Field(default=None, ge=1)
    allow_download: bool = False
    revision: str | None = None


class PromptSettings(Settings):
    """Contents and maximum length of prompts.

    Attributes:
        max_length: Maximum tokens of prompt and answer; items are shortened to fit, the question and answer never.
        max_title_words: Maximum words of an item's title.
        attributes: Attributes of the description in an item's text, in this order.
        kind_beside_title: Whether the photo's garment type is also said beside a title, which mostly names one itself.
        facts: Whether the language model reads an item's facts after its text: dress codes, season, purposes and
            tradition.
        recommended: Number of garment types of a category that the image encoder recommends zero-shot beside the other
            items, the paper's first step, which the prompt of an ``answer`` head lists; 0 for none.
        form: ``instruction`` is the paper's Figure 2, an instruction with an input and a response (Alpaca); ``chat``
            the base model's chat template; ``auto`` that template where there is one. For an ``answer`` head.
    """

    max_length: int = Field(default=2048, ge=64)
    max_title_words: int = Field(default=12, ge=1)
    attributes: tuple[str, ...] = ("category", "colour", "pattern", "material", "style", "occasion")
    kind_beside_title: bool = False
    facts: bool = False
    recommended: int = Field(default=0, ge=0, le=10)
    form: PromptForm = "auto"


class FinetuneSettings(Settings):
    """LoRA fine-tuning. Comments in ``edge.yaml`` and ``paper.yaml`` give the reasons for their values.

    Attributes:
        start: Adapter whose training is continued: ``bundled``, or the folder of a run or of an adapter, of the same
            base, layers and rank; None to begin with a fresh one.
        epochs: Passes over the training outfits; negatives are drawn again in each.
        max_steps: Maximum optimizer steps; None for no limit.
        batch_size: Examples per optimizer step; with a ``pooled`` head an outfit and its negatives count as one.
        micro_batch_size: Examples in memory at once; must divide ``batch_size``.
        learning_rate: Peak of the schedule, reached after ``warmup_ratio`` of the steps.
        weight_decay: For the adapter's matrices.
        optimizer: ``adamw_8bit`` (bitsandbytes) or ``adamw``.
        schedule: Learning rate after warm-up.
        lora_rank: Rank r of the adapter's matrices.
        lora_alpha: The adapter's product is multiplied by ``lora_alpha / lora_rank``.
        lora_dropout: Dropout of the adapter's input.
        target_modules: Linear layers with an adapter.
        first_layer: First layer with an adapter; no gradient flows through the layers before it.
        head: ``answer`` trains the word yes or no after a prompt, as in the paper; ``pooled`` a linear head on the mean
            hidden state of the items' tokens, more accurate for small models.
        last_layer: For a ``pooled`` head: number of layers before it; None for two thirds of all layers.
        head_learning_rate: For a ``pooled`` head's own weights.
        tasks: Share of examples per task; shares need not add up to 1.
        negatives: Share of negatives by protocol; shares need not add up to 1. With a ``pooled`` head each outfit is
            trained with one negative of each protocol, so shares are equal or 0.
        without_facts: Share of outfits that are trained without their items' facts, where ``prompt.facts`` adds them,
            so that an item of which nothing is known isn't taken for a wrong one.
        ensemble: Combine the model's P(yes) with category co-occurrence and text similarity, with weights fitted on the
            validation split. Evaluation also measures the parts.
        gradient_checkpointing: Use less memory and more time.
        evaluations: Number of evaluations on the validation split during training, the one at the end included.
        valid_questions: Maximum validation questions of each evaluation.
        checkpoint_minutes: Minutes between checkpoints; 0 for one after every step. There is also a checkpoint before
            every evaluation, and fewer where writing them would take more than 1% of the time.
        track: Log losses, learning rate and gradient norms to ``tensorboard`` (``logs/`` in the fine-tuning's folder),
            ``wandb`` (offline, in that folder, unless ``WANDB_MODE`` says otherwise), ``mlflow`` or ``trackio`` (where
            their own settings say).
        track_steps: Steps between two logged rows; the loss is the mean since the last one.
    """

    start: str | None = None
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
    without_facts: float = Field(default=0.15, ge=0, le=1)
    ensemble: bool = False
    gradient_checkpointing: bool = False
    evaluations: int = Field(default=4, ge=1)
    valid_questions: int | None = Field(default=None, ge=2)
    checkpoint_minutes: float = Field(default=5.0, ge=0)
    track: Literal["none", "tensorboard", "mlflow", "trackio", "wandb"] = "none"
    track_steps: int = Field(default=1, ge=1)

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
        shares = {name: share for name, share in self.negatives.items() if share}
        if len(set(shares.values())) > 1 or ("pairs" in shares and len(shares) > 1):
            raise ValueError(
                "a pooled head is trained with a negative of every protocol for each outfit, so shares must be equal, "
                f"and 'pairs' must be the only protocol; got {dict(self.negatives)}"
            )
        if self.last_layer is not None and self.first_layer >= self.last_layer:
            raise ValueError(
                f"first_layer {self.first_layer} leaves no layer to adapt before last_layer {self.last_layer}"
            )
        return self


class EvaluateSettings(Settings):
    """Evaluation of a model.

    Attributes:
        protocols: Sources of negatives and wrong candidates; None for every protocol that the data allows.
        choices: Candidates of a fill-in-the-blank question.
        retrieval_pool: Candidates of a retrieval query, the true item included; 0 for no retrieval.
        retrieval_queries: Maximum retrieval queries; None for all test outfits.
        names: Maximum test outfits for each of which a model that was taught to (``finetune.tasks``) names in words an
            item that was removed; 0 for none.
        bootstrap: Resamples of outfits for each 95% interval.
        baselines: ``all``; ``quick`` for the base model and baselines that take seconds; ``none``.
        calibration_bins: Bins of the reliability curve, of equal size.
        examples: Examples of each kind in the report.
    """

    protocols: tuple[EvaluationProtocol, ...] | None = Field(default=None, min_length=1)
    choices: int = Field(default=4, ge=2)
    retrieval_pool: int = Field(default=30, ge=0)
    retrieval_queries: int | None = Field(default=64, ge=1)
    names: int = Field(default=200, ge=0)
    bootstrap: int = Field(default=1000, ge=100)
    baselines: Literal["all", "quick", "none"] = "all"
    calibration_bins: int = Field(default=10, ge=2)
    examples: int = Field(default=6, ge=0)

    @model_validator(mode="after")
    def _check(self) -> EvaluateSettings:
        if self.protocols and len(set(self.protocols)) < len(self.protocols):
            raise ValueError(f"protocols has a duplicate: {', '.join(self.protocols)}; list each once")
        if self.retrieval_pool == 1:
            raise ValueError(
                "retrieval_pool is 1, which leaves nothing to choose; give 2 or more, or 0 for no retrieval"
            )
        return self


class RecommendSettings(Settings):
    """Search for complementary items.

    Attributes:
        candidates: Items that the language model ranks, over all wanted categories; at least four times ``k``.
        top_k: Number of suggestions.
        diversity: Penalty on a suggestion's similarity to earlier ones, so that five black pumps aren't suggested; 0
            ranks by score alone.
    """

    candidates: int = Field(default=32, ge=1)
    top_k: int = Field(default=5, ge=1)
    diversity: float = Field(default=0.3, ge=0)


class RunSettings(Settings):
    """All settings of ``coordi run``."""

    name: str = "custom"
    seed: int = Field(default=17, ge=0, lt=2**63)
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
        if finetune.head == "pooled":
            self._check_pooled()
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

    def _check_pooled(self) -> None:
        tasks, prompt = self.finetune.tasks, self.prompt
        problems: dict[str, str] = {}  # and what would solve each
        if self.model.engine == "unsloth":  # whose models don't give hidden states
            problems["model.engine is 'unsloth'"] = "model.engine=auto"
        if any(share for task, share in tasks.items() if task != "compatibility"):
            problems[f"finetune.tasks is {dict(tasks)}"] = "'finetune.tasks={compatibility: 1}'"
        if prompt.recommended:
            problems[f"prompt.recommended is {prompt.recommended}"] = "prompt.recommended=0"
        if prompt.form != "auto":
            problems[f"prompt.form is '{prompt.form}'"] = "prompt.form=auto"
        if problems:
            raise ValueError(
                "finetune.head is 'pooled', which reads the items' lines alone and learns one number, compatibility, "
                f"but {' and '.join(problems)}; set finetune.head=answer, or {' '.join(problems.values())}"
            )


def preset_names() -> tuple[str, ...]:
    """Names of the presets that come with coordi, sorted."""
    folder = resources.files("coordi.presets")
    return tuple(sorted(entry.name[: -len(".yaml")] for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def preset_text(preset: str) -> str:
    """Text of a preset that comes with coordi, or of a YAML file; raises ``ConfigError`` if it is neither."""
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

    Values are YAML, so ``null``, ``true``, ``3`` and ``[a, b]`` have their YAML meaning. A preset with ``extends:
    NAME`` inherits from that preset and overrides it key by key in each group.

    Raises:
        ConfigError: With all problems at once: unknown keys, wrong types, values out of range.
    """
    return _validated(_values(preset, ()), overrides, f"preset '{preset}'")


def _values(preset: str, above: tuple[str, ...]) -> dict[str, Any]:
    """Values of a preset over those of the preset that it extends; ``above`` are the presets that extend it."""
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
    """Settings with ``key=value`` overrides; raises ``ConfigError`` with all problems at once."""
    return _validated(settings.model_dump(mode="json"), overrides, "the settings")


def without_downloads(settings: RunSettings) -> RunSettings:
    """Settings of a file that came with a model, which can't allow downloads: only the user's own command can."""
    groups: dict[str, Settings] = {"data": settings.data, "describe": settings.describe, "model": settings.model}
    return settings.model_copy(
        update={name: group.model_copy(update={"allow_download": False}) for name, group in groups.items()}
    )


def _validated(values: dict[str, Any], overrides: Iterable[str], source: str) -> RunSettings:
    for override in overrides:
        _apply(values, override)
    return validate(RunSettings, values, source)


def validate(model: type[AnySettings], values: Mapping[str, Any], source: str) -> AnySettings:
    """Settings from values by field name; raises ``ConfigError`` with ``source`` and all problems at once."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_problem(detail, model) for detail in error.errors())
        raise ConfigError(f"{source}: {problems}; see: coordi presets show edge") from error


def _apply(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"'{override}' isn't an override: write key=value, such as finetune.epochs=2")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"the value of '{override}' can't be read: {' '.join(str(error).split())}") from error
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ConfigError(f"'{override}': '{parent}' is a value, not a group of settings")
    values[last] = value


def _problem(detail: Any, model: Any) -> str:
    key = ".".join(map(str, detail["loc"])) or "settings"
    if detail["type"] == "value_error":  # of a check in this module, whose sentence has the values
        return f"{key}: {detail['ctx']['error']}"
    if detail["type"] != "extra_forbidden":
        return f"{key}: {reason_in_words(detail['msg'])}, got {detail['input']!r}"
    for group in detail["loc"][:-1]:
        model = model.model_fields[group].annotation
    return f"unknown key '{key}' (accepted are {', '.join(model.model_fields)})"
