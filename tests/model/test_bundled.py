"""The real bundled model, in 4 bits: a few steps must teach it something."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordi.config import RunSettings
from coordi.model.base import INSTALL, Base, find_gguf, resolve_base
from coordi.model.engines import load_tokenizer
from coordi.model.training import finetune

from .conftest import epoch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_gguf() is None, reason=f"the bundled language model isn't installed; run: {INSTALL}"),
]
SETTINGS = RunSettings.model_validate(
    {
        "prompt": {"max_length": 96},
        "finetune": {
            "epochs": 1.0, "max_steps": 8, "batch_size": 8, "micro_batch_size": 8, "learning_rate": 2e-3,
            "lora_rank": 8, "lora_alpha": 16, "first_layer": 20, "evaluations": 2, "warmup_ratio": 0.0,
        },
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def base() -> Base:
    return resolve_base(SETTINGS.model)


@pytest.mark.slow
def test_its_tokenizer_ends_turns_and_lets_digits_stand_alone(base: Base) -> None:
    tokenizer = load_tokenizer(base)
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|im_end|>")
    assert tokenizer.tokenize("501 jeans") == ["5", "0", "1", "Ġjeans"]
    assert tokenizer.decode(tokenizer("café, navy-blue", add_special_tokens=False)["input_ids"]) == "café, navy-blue"


@pytest.mark.slow
def test_a_few_steps_in_four_bits_bring_the_loss_down(base: Base, tmp_path: Path) -> None:
    result = finetune(lambda number: epoch(number, 128), epoch(99, 32), SETTINGS, tmp_path)
    first, last = result.curve
    assert last.train_loss < first.train_loss
    assert last.valid_loss < 0.8
