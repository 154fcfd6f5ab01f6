"""The engine for an NVIDIA GPU that Unsloth supports, as in the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coordi.config import FinetuneSettings, ModelSettings
from coordi.errors import ModelError, require
from coordi.model.base import Base
from coordi.model.engines import Loaded, prepare_tokenizer
from coordi.model.quiet import quiet, stay_offline

# Unsloth reserves positions for this many tokens; prompts are held under prompt.max_length by their renderer.
_POSITIONS = 4096


class UnslothEngine:
    """Loads and adapts through ``FastLanguageModel``.

    Unsloth rewrites parts of transformers, peft and trl when it is imported, so it must be imported before them; in a
    process that has loaded them already it still works, more slowly, and says so itself.
    """

    name = "unsloth"

    def for_training(self, base: Base, model: ModelSettings, finetune: FinetuneSettings, seed: int) -> Loaded:
        """See ``Engine.for_training``."""
        fast = _fast_language_model()
        network, tokenizer = _load(fast, str(base.folder), base, model)
        layers = network.config.get_text_config().num_hidden_layers
        if finetune.first_layer >= layers:
            raise ModelError(
                f"finetune.first_layer is {finetune.first_layer}, but '{base.name}' has layers 0 to {layers - 1}"
            )
        chosen = list(range(finetune.first_layer, layers)) if finetune.first_layer else None
        with quiet():
            adapted = fast.get_peft_model(
                network,
                r=finetune.lora_rank,
                lora_alpha=finetune.lora_alpha,
                lora_dropout=finetune.lora_dropout,
                target_modules=list(finetune.target_modules),
                layers_to_transform=chosen,
                bias="none",
                use_gradient_checkpointing="unsloth" if finetune.gradient_checkpointing else False,
                random_state=seed,
            )
        return Loaded(fast.for_training(adapted), tokenizer)

    def for_scoring(self, base: Base, adapter: Path | None, model: ModelSettings) -> Loaded:
        """See ``Engine.for_scoring``."""
        fast = _fast_language_model()
        network, tokenizer = _load(fast, str(base.folder), base, model)
        if adapter is not None:
            peft = require("peft", "train")
            with quiet():
                network = peft.PeftModel.from_pretrained(network, adapter, local_files_only=True)
        fast.for_inference(network)
        return Loaded(network.eval(), tokenizer)


def _fast_language_model() -> Any:
    stay_offline()
    return require("unsloth", "cuda").FastLanguageModel


def _load(fast: Any, source: str, base: Base, model: ModelSettings) -> tuple[Any, Any]:
    try:
        with quiet():
            network, tokenizer = fast.from_pretrained(
                model_name=source,
                max_seq_length=_POSITIONS,
                load_in_4bit=model.quantization == "nf4",
                dtype=None,
                local_files_only=True,
            )
    except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise ModelError(
            f"Unsloth can't load '{base.name}': {(str(error).splitlines() or [''])[0]}; set model.engine=peft"
        ) from error
    prepare_tokenizer(tokenizer)
    return network, tokenizer
