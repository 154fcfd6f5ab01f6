"""A tiny Llama with a tokenizer of its own, made in seconds, so that everything around a model can be tested."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coordi.config import RunSettings
from coordi.model.base import Base, resolve_base
from coordi.prompts import Instruction, compatibility_instruction
from coordi.types import Item

COLOURS = ("black", "white", "red", "navy", "green", "pink")
KINDS = ("skirt", "boots", "shirt", "coat", "jeans", "bag", "scarf", "sandals")
CHAT = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def write_tokenizer(folder: Path, chat_template: str | None = CHAT) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    corpus = ["user\nassistant\nDo these clothes go together? Answer yes or no.\n- yes no", *COLOURS, *KINDS] * 20
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    fast.chat_template = chat_template
    fast.save_pretrained(folder)


def write_llama(folder: Path, seed: int = 0) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        initializer_range=0.3,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    write_tokenizer(folder)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny-llama")
    write_llama(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_settings(tiny_folder: Path) -> RunSettings:
    return RunSettings.model_validate(
        {
            "model": {"base": str(tiny_folder), "engine": "peft", "arithmetic": "float32"},
            "prompt": {"max_length": 128},
            "finetune": {
                "epochs": 3.0,
                "batch_size": 8,
                "micro_batch_size": 4,
                "learning_rate": 0.01,
                "lora_rank": 4,
                "lora_alpha": 8,
                "evaluations": 3,
            },
        }
    )


@pytest.fixture(scope="session")
def tiny_base(tiny_settings: RunSettings) -> Base:
    return resolve_base(tiny_settings.model)


def lesson(outfit: list[str]) -> Instruction:
    """Compatible if nothing in it is pink: a rule that a tiny model learns in seconds."""
    return compatibility_instruction(outfit, not any("pink" in text for text in outfit))


def epoch(number: int, count: int = 48) -> list[Instruction]:
    """As many pink as other outfits, shuffled, other ones in each epoch."""
    rng = np.random.default_rng([5, number])
    examples = []
    for index in range(count):
        outfit = [f"{COLOURS[rng.integers(5)]} {KINDS[rng.integers(8)]}" for _ in range(rng.integers(2, 5))]
        if index % 2:
            outfit[rng.integers(len(outfit))] = f"pink {KINDS[rng.integers(8)]}"
        examples.append(lesson(outfit))
    return [examples[index] for index in rng.permutation(count)]


def items_of(*texts: str) -> list[Item]:
    """Items that have nothing but a text."""
    return [Item(text, "", None, text=text) for text in texts]
