from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from coordi.artifacts import read_json, write_json
from coordi.config import FinetuneSettings, RunSettings
from coordi.errors import ModelError, TrainingError
from coordi.model.base import Base
from coordi.model.engines import Loaded, PeftEngine, load_tokenizer
from coordi.model.scoring import load_scorer
from coordi.model.training import as_it_began, collate, encode_preferences, finetune, margins, preference_loss
from coordi.prompts import (
    Instruction,
    PromptRenderer,
    choose_instruction,
    compatibility_instruction,
    complement_instruction,
)

from .conftest import epoch, items_of

MIXED = (
    compatibility_instruction(["red skirt", "black boots"], True),
    compatibility_instruction(["pink skirt", "black boots", "white shirt"], False),
    choose_instruction(["red skirt"], ["black boots", "pink bag", "white shirt"], 2),
    complement_instruction(["red skirt", "white shirt"], "shoes", "black boots", "pink sandals and more"),
)


def changed(settings: RunSettings, **values: object) -> RunSettings:
    return settings.model_copy(update={"finetune": settings.finetune.model_copy(update=values)})


@pytest.fixture
def dpo(tiny_settings: RunSettings) -> RunSettings:
    values = {"objective": "dpo", "optimizer": "adamw", "epochs": 6.0, "dpo_beta": 0.3}
    return changed(tiny_settings, **values)


@pytest.fixture
def renderer(tiny_base: Base) -> PromptRenderer:
    return PromptRenderer(load_tokenizer(tiny_base), 128)


@pytest.fixture
def loaded(tiny_base: Base, tiny_settings: RunSettings) -> Loaded:
    """A model with an adapter that says something of its own, in plain float32."""
    model = tiny_settings.model.model_copy(update={"quantization": "none"})
    made = PeftEngine().for_training(tiny_base, model, tiny_settings.finetune, 3)
    with torch.no_grad():
        for name, weight in made.model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    return made


def by_hand(loaded: Loaded, renderer: PromptRenderer, example: Instruction) -> float:
    """``log P(right) - log P(wrong)`` from the model's whole logits, an answer at a time."""
    told = []
    for word in (example.answer, example.rejected):
        answer = renderer.answer_ids(str(word), ends=True)
        answer = answer[:1] if len(answer) == 2 else answer
        prompt = renderer.render(example).prompt_ids
        with torch.no_grad():
            logits = loaded.model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0].log_softmax(-1)
        told.append(sum(float(logits[len(prompt) - 1 + place, token]) for place, token in enumerate(answer)))
    return told[0] - told[1]


def pairs_of(renderer: PromptRenderer, examples: tuple[Instruction, ...] = MIXED) -> Any:
    return encode_preferences(lambda _: examples, renderer, FinetuneSettings(batch_size=1, micro_batch_size=1)).pairs


def test_the_loss_is_the_formula_by_hand(loaded: Loaded, renderer: PromptRenderer) -> None:
    loaded.model.eval()
    batch = collate(pairs_of(renderer))
    assert len(batch["input_ids"]) == 5  # only naming needs a text for each answer
    with torch.no_grad():
        found = margins(loaded.model, batch)
        with loaded.model.disable_adapter():  # type: ignore[operator]
            reference = margins(loaded.model, batch)
    ours = np.array([by_hand(loaded, renderer, one) for one in MIXED])
    with loaded.model.disable_adapter():  # type: ignore[operator]
        theirs = np.array([by_hand(loaded, renderer, one) for one in MIXED])
    np.testing.assert_allclose(found.numpy(), ours, atol=2e-5)
    np.testing.assert_allclose(reference.numpy(), theirs, atol=2e-5)
    beta = 0.3
    sigmoid = [1 / (1 + math.exp(-beta * (one - other))) for one, other in zip(ours, theirs, strict=True)]
    expected = -sum(map(math.log, sigmoid)) / len(sigmoid)
    assert preference_loss(found, reference, beta).item() == pytest.approx(expected, abs=1e-6)


def test_the_loss_is_trls(tmp_path: Path, loaded: Loaded, renderer: PromptRenderer) -> None:
    import trl
    from datasets import Dataset

    its: Any = trl

    loaded.model.eval()
    examples = MIXED[:2]
    rows = []
    for one in examples:
        answers = [renderer.answer_ids(str(word))[:1] for word in (one.answer, one.rejected)]
        rows.append(
            {
                "prompt_ids": list(renderer.render(one).prompt_ids),
                "chosen_ids": list(answers[0]),
                "rejected_ids": list(answers[1]),
            }
        )
    arguments = its.DPOConfig(output_dir=str(tmp_path), beta=0.3, report_to="none", use_cpu=True, disable_dropout=True)
    texts = Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}])
    trainer = its.DPOTrainer(model=loaded.model, args=arguments, train_dataset=texts, processing_class=loaded.tokenizer)
    trainer.model.eval()
    began = [weight.data.clone() for weight in loaded.model.parameters() if weight.requires_grad]
    with torch.no_grad():
        for weight in loaded.model.parameters():
            if weight.requires_grad:
                weight.add_(0.02 * torch.randn_like(weight))
        told = trainer.compute_loss(trainer.model, trainer.data_collator(rows))
        batch = collate(pairs_of(renderer, examples))
        found = margins(loaded.model, batch)
        with as_it_began(loaded.model, began):
            reference = margins(loaded.model, batch)
    assert abs(float(told) - math.log(2)) > 1e-3
    assert preference_loss(found, reference, 0.3).item() == pytest.approx(float(told), abs=1e-5)


def test_the_reference_is_the_model_as_it_began(loaded: Loaded, renderer: PromptRenderer) -> None:
    batch = collate(pairs_of(renderer))
    weights = [weight for weight in loaded.model.parameters() if weight.requires_grad]
    began = [weight.data.clone() for weight in weights]
    loaded.model.train()
    with torch.no_grad():
        first = margins(loaded.model, batch)
        for weight in weights:
            weight.add_(0.05)
        moved = margins(loaded.model, batch)
        with as_it_began(loaded.model, began):
            again = margins(loaded.model, batch)
            assert not loaded.model.training
    assert loaded.model.training
    assert not torch.allclose(first, moved)
    torch.testing.assert_close(first, again)
    with torch.no_grad():
        torch.testing.assert_close(margins(loaded.model, batch), moved)


@pytest.mark.slow
def test_learns_to_tell_outfits_from_their_twins(tmp_path: Path, tiny_base: Base, dpo: RunSettings) -> None:
    result = finetune(epoch, epoch(99), dpo, tmp_path)
    assert result.curve[0].train_loss < math.log(2)
    assert result.curve[-1].train_loss < result.curve[0].train_loss
    assert result.best.valid_auc > 0.9
    scores = load_scorer(tiny_base, result.adapter, dpo).score(
        [items_of("red skirt", "navy boots"), items_of("red skirt", "pink boots")]
    )
    assert scores[0] > scores[1]


@pytest.mark.slow
def test_the_first_loss_is_log_2_and_a_tighter_hold_moves_less(
    tmp_path: Path, tiny_base: Base, dpo: RunSettings
) -> None:
    first = finetune(epoch, epoch(99), changed(dpo, max_steps=1, evaluations=1), tmp_path / "first")
    assert first.curve[0].train_loss == pytest.approx(math.log(2), abs=1e-5)
    moved = {}
    for beta in (0.1, 10.0):
        settings = changed(dpo, dpo_beta=beta, max_steps=18, evaluations=1, lora_dropout=0.0)
        adapter = finetune(epoch, epoch(99), settings, tmp_path / str(beta)).adapter
        yes = load_scorer(tiny_base, adapter, settings).score([items_of("red skirt", "navy boots")])[0]
        moved[beta] = math.log(yes / (1 - yes))
    assert abs(moved[10.0]) < abs(moved[0.1])


@pytest.mark.slow
def test_goes_on_from_an_adapter(tmp_path: Path, tiny_settings: RunSettings, dpo: RunSettings) -> None:
    taught = finetune(epoch, epoch(99), changed(tiny_settings, optimizer="adamw"), tmp_path / "finetune")
    for named in (tmp_path, tmp_path / "finetune", taught.adapter):
        settings = changed(dpo, start_from=str(named), max_steps=1, evaluations=1, learning_rate=1e-9)
        result = finetune(epoch, epoch(99), settings, tmp_path / f"after-{named.name}")
        assert result.curve[0].train_loss == pytest.approx(math.log(2), abs=1e-4)
        assert result.curve[0].valid_auc == pytest.approx(taught.best.valid_auc, abs=1e-3)
        before = load_file(taught.adapter / "adapter_model.safetensors")
        for name, values in load_file(result.adapter / "adapter_model.safetensors").items():
            np.testing.assert_allclose(values, before[name], atol=1e-6)


@pytest.mark.slow
def test_goes_on_teaching_words_too(tmp_path: Path, tiny_settings: RunSettings) -> None:
    sft = changed(tiny_settings, optimizer="adamw")
    taught = finetune(epoch, epoch(99), sft, tmp_path / "first")
    more = changed(sft, start_from=str(taught.adapter), max_steps=1, evaluations=1, learning_rate=1e-9)
    assert finetune(epoch, epoch(99), more, tmp_path / "more").curve[0].valid_auc == taught.best.valid_auc


def test_an_adapter_that_training_cannot_go_on_from(
    tmp_path: Path, tiny_settings: RunSettings, dpo: RunSettings
) -> None:
    short = changed(tiny_settings, max_steps=1, evaluations=1)
    adapter = finetune(epoch, epoch(99), short, tmp_path / "taught").adapter

    def go_on(**values: object) -> None:
        finetune(epoch, epoch(99), changed(dpo, start_from=str(adapter), **values), tmp_path / "on")

    with pytest.raises(ModelError, match=r"made with finetune\.lora_rank=4, the settings say 8; set finetune\."):
        go_on(lora_rank=8)
    with pytest.raises(ModelError, match=r"made with finetune\.first_layer=0, the settings say 1"):
        go_on(first_layer=1)
    with pytest.raises(ModelError, match=r"start_from is 'nowhere', where no adapter is; give an adapter's folder"):
        finetune(epoch, epoch(99), changed(dpo, start_from="nowhere"), tmp_path / "on")
    other = Path(shutil.copytree(adapter, tmp_path / "other"))
    write_json(other / "coordi.json", {**read_json(other / "coordi.json"), "identity": "0" * 64})
    with pytest.raises(ModelError, match=r"was made on the base .* \(000000000000\), not on"):
        finetune(epoch, epoch(99), changed(dpo, start_from=str(other)), tmp_path / "on")
    (adapter / "pooled_head.safetensors").touch()
    with pytest.raises(ModelError, match="has a pooled head and was never taught to answer in words"):
        go_on()


def test_an_example_without_a_wrong_answer_is_refused(renderer: PromptRenderer) -> None:
    example = complement_instruction(["red skirt"], "shoes", "black boots")
    with pytest.raises(TrainingError, match=r"the right answer 'black boots' and the wrong one None"):
        pairs_of(renderer, (example, *MIXED))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"head": "pooled", "objective": "dpo"}, "no answers in words, but objective is 'dpo', .*set head=answer"),
        ({"head": "pooled", "start_from": "there"}, "no answers in words, but start_from is 'there'"),
        ({"dpo_beta": 0}, "greater than 0"),
        ({"objective": "ppo"}, "'sft' or 'dpo'"),
    ],
)
def test_settings_that_contradict_each_other(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FinetuneSettings.model_validate(values)


def test_training_examples_of_one_answer_are_refused(tmp_path: Path, tiny_settings: RunSettings) -> None:
    yes = [one for one in epoch(0) if one.answer == "yes"]
    with pytest.raises(TrainingError, match="all 24 training examples are answered 'yes', so there is nothing to tell"):
        finetune(lambda _: yes, epoch(99), tiny_settings, tmp_path)
