"""Who loads a base model in 4 bits and puts an adapter on it: PEFT anywhere, Unsloth where there is a GPU for it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from coordi.config import FinetuneSettings, ModelSettings
from coordi.errors import ModelError, require
from coordi.model.base import Base
from coordi.model.quiet import quiet, stay_offline

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory with its tokenizer.

    Attributes:
        model: A causal language model; with an adapter, a ``PeftModel`` around it.
        tokenizer: Pads on the right.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase


class Engine(Protocol):
    """Loads a base model, for fine-tuning or for scoring."""

    name: str

    def for_training(self, base: Base, model: ModelSettings, finetune: FinetuneSettings, seed: int) -> Loaded:
        """A base model with a new adapter on it, all weights frozen but the adapter's.

        The same seed gives the same adapter, and the new adapter changes no output.

        Raises:
            ModelError: If the files can't be loaded, or ``finetune`` names layers that the model doesn't have.
        """
        ...

    def for_scoring(self, base: Base, adapter: Path | None, model: ModelSettings) -> Loaded:
        """A base model in evaluation mode, with a fine-tuned adapter unless it is None.

        Raises:
            ModelError: If the files can't be loaded or don't fit each other.
        """
        ...


def choose_engine(settings: ModelSettings) -> tuple[Engine, str]:
    """The engine to use on this machine, and why, in words for the user.

    Raises:
        ModelError: If Unsloth is asked for where it can't run.
        MissingDependencyError: If Unsloth is asked for, there is a GPU, and it isn't installed.
    """
    stay_offline()
    from coordi.model.engines.peft import PeftEngine
    from coordi.model.engines.unsloth import UnslothEngine

    torch = require("torch", "train")
    gpu = bool(torch.cuda.is_available())
    installed = importlib.util.find_spec("unsloth") is not None
    if settings.engine == "unsloth":
        if not gpu:
            raise ModelError(
                "model.engine is unsloth, which needs an NVIDIA GPU, and PyTorch sees none; set model.engine=auto"
            )
        require("unsloth", "cuda")
        return UnslothEngine(), "Unsloth, as the settings ask"
    if settings.engine == "peft":
        return PeftEngine(), "PEFT, as the settings ask"
    if gpu and installed:
        require("unsloth", "cuda")  # now, before transformers, which it rewrites
        return UnslothEngine(), f"Unsloth, on {torch.cuda.get_device_name(0)}"
    if gpu:
        return PeftEngine(), f"PEFT on {torch.cuda.get_device_name(0)}; for Unsloth: pip install 'coordi[cuda]'"
    return PeftEngine(), "PEFT, on the CPU: Unsloth needs an NVIDIA GPU"


def engine_for_head(settings: ModelSettings) -> tuple[Engine, str]:
    """The engine of a pooled head: it reads states that Unsloth's rewritten models don't give.

    Raises:
        ModelError: If Unsloth is asked for.
    """
    stay_offline()
    from coordi.model.engines.peft import PeftEngine

    if settings.engine == "unsloth":
        raise ModelError(
            "a pooled head reads a model's hidden states, which coordi doesn't do through Unsloth; set "
            "model.engine=auto, or finetune.head=answer"
        )
    return PeftEngine(), "PEFT, which a pooled head needs"


def load_tokenizer(base: Base) -> PreTrainedTokenizerBase:
    """The tokenizer of a base model, padding on the right.

    Raises:
        ModelError: If it can't be loaded.
    """
    stay_offline()
    transformers = require("transformers", "train")
    try:
        with quiet():
            tokenizer: Any = transformers.AutoTokenizer.from_pretrained(base.folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the tokenizer of '{base.name}' can't be loaded: {first_line(error)}") from error
    prepare_tokenizer(tokenizer)
    return tokenizer  # type: ignore[no-any-return]


def prepare_tokenizer(tokenizer: Any) -> None:
    """Make a tokenizer pad on the right, with the end of a turn where it has no padding token."""
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its type's name if it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]
