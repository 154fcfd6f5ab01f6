"""What every engine must do, whatever library it stands on."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.numpy import load_file, save_file

from coordi.artifacts import read_json, write_json
from coordi.config import FinetuneSettings, ModelSettings, RunSettings
from coordi.errors import ModelError
from coordi.model.base import Base, resolve_base
from coordi.model.engines import Engine, Loaded, PeftEngine, UnslothEngine, choose_engine
from coordi.model.heads import AnswerHead, Example, TrainingData
from coordi.model.prefix_cache import PromptRunner, backbone_and_head
from coordi.model.training import TrainingLoop

PROMPTS = [[5, 9, 40, 41], [7, 8, 60, 61, 62, 63], [5, 9, 40, 41, 90]]
# All share 45 tokens, the first two 30 more: the questions of a catalogue, whose beginnings are computed once.
BEGINNING, MORE = list(range(100, 145)), list(range(200, 230))
LONG = [[*BEGINNING, *MORE, 7, 8], [*BEGINNING, *MORE, 9], [*BEGINNING, 50, 51, 52], [*BEGINNING, 60]]
ANSWERS = (11, 12)
# make unsloth-tests sets the variable, and runs Unsloth's own GPU code on a CPU.
ON_CPU = os.environ.get("UNSLOTH_ALLOW_CPU") == "1"
NO_UNSLOTH = pytest.mark.skipif(
    importlib.util.find_spec("unsloth") is None or not (torch.cuda.is_available() or ON_CPU),
    reason="Unsloth needs an NVIDIA GPU and the package unsloth; on a CPU: make unsloth-tests",
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
    runner = PromptRunner(loaded.model, ANSWERS)
    return np.concatenate([runner.logits(PROMPTS), runner.logits(LONG)])


def backward(loaded: Loaded) -> None:
    loaded.model.train()
    backbone, head = backbone_and_head(loaded.model)
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


def spoiled(folder: Path, stays: Callable[[str], bool]) -> Base:
    """A base of which only some tensors are left."""
    path = folder / "model.safetensors"
    tensors = {name: tensor for name, tensor in load_file(path).items() if stays(name)}
    save_file(tensors, path, metadata={"format": "pt"})
    return resolve_base(ModelSettings(base=str(folder)))


def test_a_base_without_some_of_its_weights_is_refused(
    engine: Engine, tiny_folder: Path, tmp_path: Path, tiny_settings: RunSettings, finetune_settings: FinetuneSettings
) -> None:
    """The libraries fill what is missing with random numbers: other scores in every run."""
    shutil.copytree(tiny_folder, tmp_path, dirs_exist_ok=True)
    lacks = r"has no weights for model\.layers\.1\.mlp\.up_proj\.weight, model\.norm\.weight, which would be random"
    base = spoiled(tmp_path, lambda name: "1.mlp.up" not in name and ".norm." not in name)
    with pytest.raises(ModelError, match=lacks):
        engine.for_scoring(base, None, tiny_settings.model)
    with pytest.raises(ModelError, match=lacks):
        engine.for_training(base, tiny_settings.model, finetune_settings, 3)
    base = spoiled(tmp_path, lambda name: name == "model.layers.2.mlp.up_proj.weight")
    with pytest.raises(ModelError, match=r"has no weights for lm_head\.weight, .* and \d\d more"):
        engine.for_scoring(base, None, tiny_settings.model)


def test_a_base_of_other_shapes_than_its_configuration_is_refused(
    engine: Engine, tiny_folder: Path, tmp_path: Path, tiny_settings: RunSettings
) -> None:
    shutil.copytree(tiny_folder, tmp_path, dirs_exist_ok=True)
    write_json(tmp_path / "config.json", {**read_json(tmp_path / "config.json"), "intermediate_size": 10**11})
    with pytest.raises(
        ModelError, match=r"has another shape than config\.json says for model\.layers\.0\.mlp\.down_proj"
    ):
        engine.for_scoring(resolve_base(ModelSettings(base=str(tmp_path))), None, tiny_settings.model)


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["own.Own", None]}, "tokenizer_class": "Own"}),
        (
            "config.json",
            {"auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}, "model_type": "own"},
        ),
    ],
)
def test_the_code_of_a_base_is_never_run(
    engine: Engine, tiny_folder: Path, tmp_path: Path, tiny_settings: RunSettings, monkeypatch: pytest.MonkeyPatch,
    file: str, fields: dict[str, Any],
) -> None:  # fmt: skip
    """Not even by someone who answers "y" at a prompt."""
    shutil.copytree(tiny_folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: pass\n")
    write_json(tmp_path / file, {**read_json(tmp_path / file), **fields})
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 9))
    base = resolve_base(ModelSettings(base=str(tmp_path)))
    with pytest.raises(ModelError, match=r"can't be loaded: .*(custom code|trust_remote_code)"):
        engine.for_scoring(base, None, tiny_settings.model)
    assert not (tmp_path / "ran").exists()


def test_what_prompts_share_is_computed_once_and_changes_nothing(
    engine: Engine, tiny_base: Base, tiny_settings: RunSettings, finetune_settings: FinetuneSettings
) -> None:
    loaded = engine.for_training(tiny_base, tiny_settings.model, finetune_settings, 3)
    runner = PromptRunner(loaded.model, ANSWERS)
    lengths: list[int] = []
    backbone, _ = backbone_and_head(loaded.model)
    hook = backbone.layers[0].register_forward_hook(lambda module, given, out: lengths.append(_first(out).shape[1]))
    shared = runner.logits(LONG)
    assert sorted(lengths, reverse=True)[:2] == [45, 30]  # no prompt is computed from its beginning
    hook.remove()
    alone = np.concatenate([runner.logits([prompt]) for prompt in LONG])
    np.testing.assert_allclose(shared, alone, atol=0.02 if not torch.cuda.is_available() else 0.1)


def _first(output: Any) -> Any:
    return output[0] if isinstance(output, tuple) else output


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


def test_only_the_modules_that_are_asked_for_get_an_adapter(
    engine: Engine, tiny_base: Base, tiny_settings: RunSettings, finetune_settings: FinetuneSettings
) -> None:
    some = finetune_settings.model_copy(update={"target_modules": ("q_proj", "down_proj"), "lora_rank": 3})
    adapted = trainable(engine.for_training(tiny_base, tiny_settings.model, some, 3))
    assert {name.split(".lora_")[0].rsplit(".", 1)[-1] for name in adapted} == {"q_proj", "down_proj"}
    assert {min(value.shape) for value in adapted.values()} == {3}


def test_blocks_are_held_in_four_bits_and_the_rest_is_not(
    engine: Engine, tiny_base: Base, tiny_settings: RunSettings, finetune_settings: FinetuneSettings
) -> None:
    loaded = engine.for_training(tiny_base, tiny_settings.model, finetune_settings, 3)
    packed = {name for name, value in loaded.model.named_parameters() if value.dtype == torch.uint8}
    linear = 7 * 3  # of a block, times blocks
    assert len(packed) == linear
    assert all(".layers." in name for name in packed)


def test_steps_lower_the_loss(
    engine: Engine, tiny_base: Base, tiny_settings: RunSettings, finetune_settings: FinetuneSettings
) -> None:
    loaded = engine.for_training(tiny_base, tiny_settings.model, finetune_settings, 3)
    base_before = {name: value.clone() for name, value in loaded.model.named_parameters() if "lora_" not in name}
    examples = [
        Example(((*prompt[:-1], ANSWERS[number % 2]),), answer_length=1) for number, prompt in enumerate(PROMPTS * 8)
    ]
    short = finetune_settings.model_copy(update={"batch_size": 24, "micro_batch_size": 12, "warmup_ratio": 0.0})
    gpu = torch.cuda.is_available()
    loop = TrainingLoop(
        loaded.model, AnswerHead(loaded.tokenizer, 64), TrainingData(examples * 4, 4, 24), short, 3,
        Accelerator(cpu=not gpu, mixed_precision="bf16" if gpu else "no"),
    )  # fmt: skip
    losses = []
    for step in range(1, 5):
        loop.step(step)
        losses.append(loop.mean_loss())
    assert losses[-1] < losses[0]
    for name, value in loaded.model.named_parameters():
        if name in base_before:
            assert torch.equal(value, base_before[name])


def test_an_adapter_is_saved_as_peft_has_it(
    engine: Engine, tmp_path: Path, tiny_base: Base, tiny_settings: RunSettings, finetune_settings: FinetuneSettings
) -> None:
    loaded = engine.for_training(tiny_base, tiny_settings.model, finetune_settings, 3)
    loaded.model.save_pretrained(tmp_path)  # type: ignore[operator]
    config = read_json(tmp_path / "adapter_config.json")
    assert (config["peft_type"], config["task_type"], config["r"], config["lora_alpha"]) == ("LORA", "CAUSAL_LM", 4, 8)
    assert config["layers_to_transform"] == [1, 2]
    names = load_file(tmp_path / "adapter_model.safetensors")
    assert len(names) == 2 * 7 * 2  # matrices, modules, layers
    assert all(
        re.fullmatch(r"base_model\.model\.model\.layers\.[12]\.(self_attn|mlp)\.\w+_proj\.lora_[AB]\.weight", name)
        for name in names
    )


def test_a_base_that_is_stored_in_four_bits_is_taken_as_it_is(
    engine: Engine, tmp_path: Path, tiny_base: Base, tiny_settings: RunSettings, finetune_settings: FinetuneSettings
) -> None:
    """The paper preset's base is a checkpoint in NF4, made with these very libraries."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    options: Any = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.float32}
    packing: Any = BitsAndBytesConfig(**options)  # type: ignore[no-untyped-call]
    tokenizer = AutoTokenizer.from_pretrained(tiny_base.folder)
    # In 16 bits, as published: an engine that rounds before it packs then packs the same numbers.
    half: Any = AutoModelForCausalLM.from_pretrained(tiny_base.folder, dtype=torch.bfloat16)
    half.float().save_pretrained(tmp_path / "plain")
    packed: Any = AutoModelForCausalLM.from_pretrained(
        tmp_path / "plain", quantization_config=packing, dtype=torch.float32
    )
    packed.save_pretrained(tmp_path / "packed")
    for name in ("plain", "packed"):
        tokenizer.save_pretrained(tmp_path / name)
    settings = tiny_settings.model.model_copy(update={"base": str(tmp_path / "packed")})
    plain_base, stored = (
        resolve_base(settings.model_copy(update={"base": str(tmp_path / name)})) for name in ("plain", "packed")
    )
    trained = engine.for_training(stored, settings, finetune_settings, 3)
    assert any(value.dtype == torch.uint8 for value in trained.model.parameters())
    backward(trained)
    assert any(value.grad.abs().max() > 0 for name, value in trainable(trained).items() if "lora_B" in name)
    scored, plain = (logits(engine.for_scoring(entry, None, settings)) for entry in (stored, plain_base))
    np.testing.assert_allclose(scored, plain, rtol=0.03, atol=0.1)


UNSLOTH_THAT_WATCHES = """
import sys

class FastLanguageModel:
    early = not {"transformers", "peft", "trl"} & set(sys.modules)
"""
ASKS = """
import sys
import torch

torch.cuda.is_available = lambda: True
torch.cuda.get_device_name = lambda number: "a GPU that isn't there"
torch.cuda.mem_get_info = lambda *_: (24 * 2**30, 24 * 2**30)
import coordi.cli.main
from coordi.config import RunSettings
from coordi.model.training import preflight

ready = preflight(RunSettings.model_validate({"model": {"base": sys.argv[1]}, "prompt": {"max_length": 128}}))
import unsloth

print(ready.engine.name, unsloth.FastLanguageModel.early, "transformers" in sys.modules, ready.reason)
"""


@pytest.mark.slow
def test_unsloth_is_imported_before_the_libraries_that_it_rewrites(tmp_path: Path, tiny_folder: Path) -> None:
    """A stand-in for the package notes what was imported before it; everything else is the real way."""
    (tmp_path / "unsloth.py").write_text(UNSLOTH_THAT_WATCHES)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", ASKS, str(tiny_folder)],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(maxsplit=3) == ["unsloth", "True", "True", "Unsloth, on a GPU that isn't there\n"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a model of Llama-8B's shape needs an NVIDIA GPU")
def test_llama_8b_in_its_true_shape() -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "gpu_language_model.py"
    done = subprocess.run([sys.executable, script, "--times", "3"], check=True, capture_output=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["train-peft-prompts"]["tokens_per_second"] > 0
    assert result["train-peft-2048"]["peak_gib"] < 24
    assert result["score-peft"]["pairs_per_second"] > 0


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
        assert chosen.name == "peft"
        assert reason.startswith("PEFT, on the CPU: Unsloth needs an NVIDIA GPU, and ")
        with pytest.raises(ModelError, match="needs an NVIDIA GPU, and PyTorch sees none: "):
            choose_engine(tiny_settings.model.model_copy(update={"engine": "unsloth"}))
