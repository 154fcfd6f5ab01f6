"""What every engine must do, whatever library it stands on."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from coordi.config import FinetuneSettings, RunSettings
from coordi.errors import ModelError
from coordi.model.base import Base
from coordi.model.engines import Engine, Loaded, choose_engine
from coordi.model.engines.peft import PeftEngine
from coordi.model.engines.unsloth import UnslothEngine
from coordi.model.reading import AnswerReader, parts

PROMPTS = [[5, 9, 40, 41], [7, 8, 60, 61, 62, 63], [5, 9, 40, 41, 90]]
ANSWERS = (11, 12)
NO_UNSLOTH = pytest.mark.skipif(
    not torch.cuda.is_available() or importlib.util.find_spec("unsloth") is None,
    reason="Unsloth needs an NVIDIA GPU and the package unsloth",
)


@pytest.fixture(
    params=[pytest.param(PeftEngine(), id="peft"), pytest.param(UnslothEngine(), id="unsloth", marks=NO_UNSLOTH)]
)
def engine(request: pytest.FixtureRequest) -> Engine:
    chosen: Engine = request.param
    return chosen


@pytest.fixture
def finetune_settings(tiny_settings: RunSettings) -> FinetuneSettings:
    return tiny_settings.finetune.model_copy(update={"first_layer": 1})


def trainable(loaded: Loaded) -> dict[str, Any]:
    return {name: value for name, value in loaded.model.named_parameters() if value.requires_grad}


def logits(loaded: Loaded) -> np.ndarray:
    return AnswerReader(loaded.model, ANSWERS).logits(PROMPTS)


def backward(loaded: Loaded) -> None:
    loaded.model.train()
    backbone, head = parts(loaded.model)
    device = next(loaded.model.parameters()).device
    head(backbone(input_ids=torch.tensor([PROMPTS[0]], device=device)).last_hidden_state).float().logsumexp(
        -1
    ).sum().backward()


def test_only_the_adapter_of_the_chosen_layers_is_trained(
    engine: Engine, tiny_base: Base, tiny_settings: RunSettings, finetune_settings: FinetuneSettings
) -> None:
    names = set(trainable(engine.for_training(tiny_base, tiny_settings.model, finetune_settings, 3)))
    assert names
    assert all("lora_" in name for name in names)
    assert {name.split("layers.")[1].split(".")[0] for name in names} == {"1", "2"}


def test_a_new_adapter_changes_no_answer_and_the_same_seed_gives_the_same(
    engine: Engine, tiny_base: Base, tiny_settings: RunSettings, finetune_settings: FinetuneSettings
) -> None:
    first = engine.for_training(tiny_base, tiny_settings.model, finetune_settings, 3)
    again = trainable(engine.for_training(tiny_base, tiny_settings.model, finetune_settings, 3))
    other = trainable(engine.for_training(tiny_base, tiny_settings.model, finetune_settings, 4))
    assert all(torch.equal(value, again[name]) for name, value in trainable(first).items())
    assert any(not torch.equal(value, other[name]) for name, value in trainable(first).items())
    plain = engine.for_scoring(tiny_base, None, tiny_settings.model)
    # Training may compute in bfloat16, scoring in float32: three digits are the same.
    np.testing.assert_allclose(logits(first), logits(plain), rtol=0.03, atol=0.1)


def test_gradients_flow_after_an_evaluation_as_before(
    engine: Engine, tiny_base: Base, tiny_settings: RunSettings, finetune_settings: FinetuneSettings
) -> None:
    loaded = engine.for_training(tiny_base, tiny_settings.model, finetune_settings, 3)
    before = logits(loaded)
    backward(loaded)
    # At the start lora_B is zero, so that lora_A gets no gradient yet.
    grads = {name: value.grad.clone() for name, value in trainable(loaded).items() if "lora_B" in name}
    assert grads
    assert all(value.abs().max() > 0 for value in grads.values())
    loaded.model.zero_grad()
    np.testing.assert_array_equal(logits(loaded), before)
    backward(loaded)
    for name, value in trainable(loaded).items():
        if name in grads:
            torch.testing.assert_close(value.grad, grads[name])


def test_a_saved_adapter_answers_as_it_did(
    engine: Engine, tmp_path: Path, tiny_base: Base, tiny_settings: RunSettings, finetune_settings: FinetuneSettings
) -> None:
    loaded = engine.for_training(tiny_base, tiny_settings.model, finetune_settings, 3)
    plain = logits(loaded)
    with torch.no_grad():
        for name, value in trainable(loaded).items():
            if "lora_B" in name:
                value.fill_(0.4)
    live = logits(loaded)
    assert np.abs(live - plain).max() > 0.5
    loaded.model.save_pretrained(tmp_path)  # type: ignore[operator]
    assert load_file(tmp_path / "adapter_model.safetensors")
    read = engine.for_scoring(tiny_base, tmp_path, tiny_settings.model)
    assert not trainable(read)
    assert not read.model.training
    np.testing.assert_allclose(logits(read), live, rtol=0.03, atol=0.1)


def test_layers_that_are_not_there_are_named(
    engine: Engine, tiny_base: Base, tiny_settings: RunSettings, finetune_settings: FinetuneSettings
) -> None:
    beyond = finetune_settings.model_copy(update={"first_layer": 3})
    with pytest.raises(ModelError, match=r"first_layer is 3, but .* has layers 0 to 2"):
        engine.for_training(tiny_base, tiny_settings.model, beyond, 3)
    wrong = finetune_settings.model_copy(update={"target_modules": ("no_such_proj",)})
    with pytest.raises(ModelError, match="can't be put on"):
        engine.for_training(tiny_base, tiny_settings.model, wrong, 3)


def test_the_choice_says_why(tiny_settings: RunSettings) -> None:
    chosen, reason = choose_engine(tiny_settings.model)
    assert (chosen.name, reason) == ("peft", "PEFT, as the settings ask")
    if not torch.cuda.is_available():
        chosen, reason = choose_engine(tiny_settings.model.model_copy(update={"engine": "auto"}))
        assert (chosen.name, reason) == ("peft", "PEFT, on the CPU: Unsloth needs an NVIDIA GPU")
        with pytest.raises(ModelError, match="needs an NVIDIA GPU, and PyTorch sees none"):
            choose_engine(tiny_settings.model.model_copy(update={"engine": "unsloth"}))
