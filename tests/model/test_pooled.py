from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from coordi.artifacts import read_json, write_json
from coordi.config import FinetuneSettings, RunSettings
from coordi.encoders.base import sigmoid
from coordi.errors import ModelError
from coordi.model.base import Base
from coordi.model.heads import group_losses
from coordi.model.scoring import HEAD, HEAD_SETTINGS, PooledHead, PooledScorer, fit_platt_line, load_scorer
from coordi.model.training import finetune
from coordi.prompts import Instruction, PromptRenderer, compatibility_instruction
from coordi.types import Item

from .conftest import COLOURS, KINDS, items_of

torch = pytest.importorskip("torch")


def outfit(rng: np.random.Generator, *, fits: bool) -> list[str]:
    """Things of one colour go together, things of three don't."""
    kinds = rng.permutation(KINDS)[:3]
    colours = [rng.choice(COLOURS)] * 3 if fits else rng.permutation(COLOURS)[:3]
    return [f"{colour} {kind}" for colour, kind in zip(colours, kinds, strict=True)]


def epoch(number: int, outfits: int = 24) -> tuple[Instruction, ...]:
    """Outfits, each followed by two negatives."""
    rng = np.random.default_rng([5, number])
    drawn = [(outfit(rng, fits=fits), fits) for _ in range(outfits) for fits in (True, False, False)]
    return tuple(compatibility_instruction(texts, fits) for texts, fits in drawn)


@pytest.fixture(scope="module")
def pooled(tiny_settings: RunSettings) -> RunSettings:
    values = {
        "head": "pooled",
        "first_layer": 0,
        "last_layer": 2,
        "epochs": 12.0,
        "learning_rate": 0.01,
        "head_learning_rate": 0.01,
        "optimizer": "adamw",
    }
    return tiny_settings.model_copy(update={"finetune": tiny_settings.finetune.model_copy(update=values)})


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, pooled: RunSettings) -> Path:
    return finetune(epoch, epoch(99), pooled, tmp_path_factory.mktemp("tuned")).adapter


@pytest.fixture
def copy(tuned: Path, tmp_path: Path) -> Path:
    """A copy of the adapter to damage."""
    return Path(shutil.copytree(tuned, tmp_path / "copy"))


def train_briefly(settings: RunSettings, out: Path, **changes: object) -> Path:
    changes |= {"max_steps": 4, "evaluations": 1}
    short = settings.model_copy(update={"finetune": settings.finetune.model_copy(update=changes)})
    return finetune(epoch, epoch(99), short, out).adapter


@pytest.mark.slow
def test_learns_what_the_answers_depend_on_and_scores_as_plain_transformers(
    tuned: Path, tiny_base: Base, pooled: RunSettings
) -> None:
    rng = np.random.default_rng(8)
    fits = [index % 2 == 0 for index in range(60)]
    outfits = [items_of(*outfit(rng, fits=entry)) for entry in fits]
    scorer = load_scorer(tiny_base, tuned, pooled)
    assert isinstance(scorer, PooledScorer)
    scores = scorer.score(outfits)
    from sklearn.metrics import roc_auc_score

    assert roc_auc_score(fits, scores) > 0.95
    np.testing.assert_allclose(scores, _plainly(outfits, tuned, tiny_base, scorer.renderer), atol=1e-4)
    np.testing.assert_allclose(scorer.score(outfits[:1]), scores[:1], atol=1e-4)
    assert scorer.score([]).shape == (0,)


def _plainly(outfits: list[list[Item]], adapter: Path, base: Base, renderer: PromptRenderer) -> np.ndarray:
    """Outfit by outfit through PEFT, NF4 as it is stored, and the head by torch's own layers."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    options: Any = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.float32}
    four_bits: Any = BitsAndBytesConfig(**options)  # type: ignore[no-untyped-call]
    network = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32, quantization_config=four_bits)
    layer: Any
    for layer in network.modules():
        if type(layer).__name__ == "Linear4bit":
            layer.support_avx512bf16_for_cpu = False  # else it multiplies in bfloat16, whatever was asked for
    model = PeftModel.from_pretrained(network, adapter).eval()
    head, expected = load_file(adapter / HEAD), read_json(adapter / HEAD_SETTINGS)
    result = []
    for items in outfits:
        ids = renderer.render(compatibility_instruction([item.text for item in items])).prompt_ids
        with torch.no_grad():
            states = model(input_ids=torch.tensor([list(ids)]), output_hidden_states=True).hidden_states
            mean = states[expected["layer"]][0, 1:].mean(dim=0)
            normed = torch.nn.functional.layer_norm(
                mean, mean.shape, torch.tensor(head["gain"]), torch.tensor(head["shift"])
            )
            logit = float(normed @ torch.tensor(head["weight"]) + float(head["bias"][0]))
        result.append(1 / (1 + np.exp(-(expected["slope"] * logit + expected["offset"]))))
    return np.array(result)


@pytest.mark.slow
def test_probabilities_fit_the_validation_questions(tuned: Path, tiny_base: Base, pooled: RunSettings) -> None:
    head = PooledHead.load(tuned)
    assert head.layer == 2
    assert (head.slope, head.offset) != (1.0, 0.0)
    rng = np.random.default_rng(1)
    outfits = [items_of(*outfit(rng, fits=index % 3 == 0)) for index in range(90)]
    mean = load_scorer(tiny_base, tuned, pooled).score(outfits).mean()
    assert abs(mean - 1 / 3) < 0.1  # a third of the validation questions is answered with yes too


@pytest.mark.slow
def test_a_missing_head_is_an_error_and_not_another_answer(copy: Path, tiny_base: Base, pooled: RunSettings) -> None:
    (copy / HEAD).unlink()
    with pytest.raises(ModelError, match=r"the head of the adapter .* can't be read"):
        load_scorer(tiny_base, copy, pooled)


@pytest.mark.slow
def test_the_same_settings_give_the_same_adapter_and_checkpointing_changes_nothing_but_memory(
    tmp_path: Path, pooled: RunSettings
) -> None:
    first, again = (train_briefly(pooled, tmp_path / name) for name in ("first", "again"))
    for name in ("adapter_model.safetensors", "adapter_config.json", HEAD, HEAD_SETTINGS):
        assert (again / name).read_bytes() == (first / name).read_bytes()
    saving = train_briefly(pooled, tmp_path / "saving", gradient_checkpointing=True)
    np.testing.assert_allclose(PooledHead.load(saving).weight, PooledHead.load(first).weight, atol=1e-3)
    assert np.abs(PooledHead.load(first).weight).max() > 1e-2


def test_the_loss_of_one_group_by_hand() -> None:
    def softplus(value: float) -> float:
        return float(np.log1p(np.exp(value)))

    yes, no = 0.5, (-1.0, 2.0)
    answers = (softplus(-yes) + (softplus(no[0]) + softplus(no[1])) / 2) / 2
    beside = (softplus(no[0] - yes) + softplus(no[1] - yes)) / 2
    losses = group_losses(torch.tensor([yes, *no, 9.0, -9.0]), [3, 2])
    second = (softplus(-9.0) + softplus(-9.0)) / 2 + softplus(-18.0)
    assert losses.tolist() == pytest.approx([answers + beside, second], abs=1e-5)


def test_the_line_is_platts() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(size=4000)
    truth = rng.random(4000) < sigmoid(2.0 * logits - 0.5)
    slope, offset = fit_platt_line(logits, truth)
    assert slope == pytest.approx(2.0, abs=0.2)
    assert offset == pytest.approx(-0.5, abs=0.2)
    apart = np.array([-2.0, -1.0, 1.0, 2.0])
    slope, _ = fit_platt_line(apart, apart > 0)
    assert 0.1 < slope < 10  # not without end, though a line tells them apart
    assert fit_platt_line(-apart, apart > 0) == (1.0, 0.0)


@pytest.mark.slow
def test_damaged_and_strange_heads(copy: Path, tiny_base: Base, pooled: RunSettings) -> None:
    tensors = load_file(copy / HEAD)
    save_file({name: rows[:1] for name, rows in tensors.items()}, copy / HEAD)
    with pytest.raises(ModelError, match="head reads 1 numbers of layer 2, the base model has 64 in each of 3 layers"):
        load_scorer(tiny_base, copy, pooled)
    save_file({**tensors, "gain": tensors["gain"][:5]}, copy / HEAD)
    with pytest.raises(ModelError, match="vectors of different sizes"):
        PooledHead.load(copy)
    (copy / HEAD).write_bytes(b"nothing")
    with pytest.raises(ModelError, match="can't be read"):
        PooledHead.load(copy)


@pytest.mark.slow
def test_unsloth_cannot_read_states(tuned: Path, tiny_base: Base, pooled: RunSettings) -> None:
    unsloth = pooled.model_copy(update={"model": pooled.model.model_copy(update={"engine": "unsloth"})})
    with pytest.raises(ModelError, match=r"a pooled head reads a model's hidden states.*finetune\.head=answer"):
        load_scorer(tiny_base, tuned, unsloth)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"last_layer": 5}, "last_layer is a pooled head's"),
        ({"head": "pooled", "negatives": {"random": 0.9, "same-category": 0.1}}, "shares must be equal"),
        ({"head": "pooled", "negatives": {"random": 1.0, "pairs": 1.0}}, "'pairs' must be the only protocol"),
        ({"head": "pooled", "first_layer": 4, "last_layer": 4}, "leaves no layer to adapt before last_layer 4"),
    ],
)
def test_settings_that_contradict_each_other(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FinetuneSettings.model_validate(values)


def test_a_layer_that_the_model_lacks(tmp_path: Path, pooled: RunSettings) -> None:
    beyond = pooled.model_copy(update={"finetune": pooled.finetune.model_copy(update={"last_layer": 4})})
    with pytest.raises(ModelError, match=r"finetune\.last_layer is 4, but .* has 3 layers"):
        finetune(epoch, epoch(99), beyond, tmp_path)


def continued(settings: RunSettings, start: Path, **changes: object) -> RunSettings:
    write_json(start / "settings.json", settings.model_dump(mode="json"))
    changes |= {"start": str(start)}
    return settings.model_copy(update={"finetune": settings.finetune.model_copy(update=changes)})


@pytest.mark.slow
def test_a_training_goes_on_from_another_adapter(
    copy: Path, tiny_base: Base, pooled: RunSettings, tmp_path: Path
) -> None:
    still: dict[str, Any] = {"learning_rate": 1e-12, "head_learning_rate": 1e-12}
    same = train_briefly(continued(pooled, copy, **still), tmp_path / "same")
    outfits = [items_of(*outfit(np.random.default_rng(n), fits=n % 2 == 0)) for n in range(6)]
    before, after = (load_scorer(tiny_base, folder, pooled).score(outfits) for folder in (copy, same))
    fresh = load_scorer(tiny_base, train_briefly(pooled, tmp_path / "fresh", **still), pooled).score(outfits)
    order = before.argsort()
    np.testing.assert_array_equal(after.argsort(), order)  # the Platt line is fitted anew
    assert (fresh.argsort() != order).any()


@pytest.mark.slow
def test_an_adapter_of_another_shape_cannot_be_continued(copy: Path, pooled: RunSettings, tmp_path: Path) -> None:
    for change in ({"lora_rank": 2}, {"last_layer": 1}, {"target_modules": ("q_proj",)}):
        name = next(iter(change))
        other = continued(pooled, copy).finetune.model_copy(update=change)
        with pytest.raises(ModelError, match=f"finetune.{name} is .*, but the adapter .* was trained with"):
            train_briefly(pooled.model_copy(update={"finetune": other}), tmp_path / name)
    with pytest.raises(ModelError, match="no model at 'missing'"):
        train_briefly(pooled, tmp_path / "missing", start="missing")
    weights = load_file(copy / "adapter_model.safetensors")
    save_file(dict(list(weights.items())[2:]), copy / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"has \d+ matrices, this training \d+ in other places"):
        train_briefly(continued(pooled, copy), tmp_path / "cut")
