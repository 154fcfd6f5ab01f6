from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from coordi.config import RunSettings, load_settings
from coordi.errors import ConfigError, ModelError
from coordi.model.base import Base, resolve_base
from coordi.model.engines import PeftEngine, try_four_bits, weights_in_memory
from coordi.model.scoring import load_scorer
from coordi.model.training import finetune, preflight

from .conftest import CHAT, epoch, write_llama

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")


def changed(settings: RunSettings, **groups: dict[str, object]) -> RunSettings:
    values = settings.model_dump(mode="json")
    for group, changes in groups.items():
        values[group] |= changes
    return RunSettings.model_validate(values)


@pytest.fixture
def copy(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def configure(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_what_can_be_done_says_with_what_and_why(tiny_settings: RunSettings) -> None:
    ready = preflight(tiny_settings)
    assert (ready.engine.name, ready.reason) == ("peft", "PEFT, as the settings ask")
    assert ready.base == resolve_base(tiny_settings.model)


@NO_GPU
@pytest.mark.parametrize("preset", ["paper"])
def test_a_preset_that_demands_a_gpu_stops_where_there_is_none(preset: str) -> None:
    with pytest.raises(ModelError, match=r"needs an NVIDIA GPU, and PyTorch sees none: .+; set model\.engine=auto"):
        preflight(load_settings(preset))


def test_prompts_longer_than_the_context(tmp_path: Path, tiny_base: Base, tiny_settings: RunSettings) -> None:
    long = changed(tiny_settings, prompt={"max_length": 513})
    expected = r"prompt\.max_length is 513, but '.*' reads 512 tokens at most; set prompt\.max_length=512 or less"
    with pytest.raises(ModelError, match=expected):
        preflight(long)
    with pytest.raises(ModelError, match=expected):
        finetune(epoch, epoch(99), long, tmp_path)
    with pytest.raises(ModelError, match=expected):
        load_scorer(tiny_base, None, long)
    preflight(changed(tiny_settings, prompt={"max_length": 512}))


def test_a_base_that_cannot_be_asked(copy: Path, tiny_settings: RunSettings) -> None:
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    tokenizer["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    tokenizer["model"] = {"type": "WordLevel", "vocab": {"<unk>": 0, "<|im_end|>": 1, "no": 2}, "unk_token": "<unk>"}
    tokenizer["added_tokens"] = []
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = json.loads((copy / "tokenizer_config.json").read_text())
    expected = CHAT.replace("\\n", " ").replace("assistant ", "assistant\\n")
    (copy / "chat_template.jinja").write_text(expected)
    (copy / "tokenizer_config.json").write_text(json.dumps(config | {"unk_token": "<unk>"}))
    with pytest.raises(ModelError, match="no token for the answer 'yes'"):
        preflight(changed(tiny_settings, model={"base": str(copy)}))


@pytest.mark.parametrize(
    ("stored", "questions", "expected"),
    [
        ({"quant_method": "gptq", "bits": 4}, "nf4", "is stored in gptq; choose a base in NF4 or one that isn't"),
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
            "none",
            r"quantization is none, but .* is stored in nf4; set model\.quantization=nf4",
        ),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "nf4", "is stored in bitsandbytes"),
    ],
)
def test_a_base_that_is_stored_otherwise(
    copy: Path, tiny_settings: RunSettings, stored: dict[str, object], questions: str, expected: str
) -> None:
    configure(copy, quantization_config=stored)
    with pytest.raises(ModelError, match=expected):
        preflight(changed(tiny_settings, model={"base": str(copy), "quantization": questions}))


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            ["model.engine=unsloth"],
            r"head is 'pooled'.* but model\.engine is 'unsloth'; set finetune\.head=answer, or model\.engine=auto",
        ),
        (
            ["finetune.head=answer", "finetune.last_layer=null", "model.engine=unsloth", "model.arithmetic=int8"],
            r"arithmetic is 'int8', .* but model\.engine is 'unsloth'",
        ),
        (["finetune.head=answer"], "last_layer is a pooled head's, but head is 'answer'"),
        (
            ["finetune.head=answer", "finetune.last_layer=null", "finetune.tasks={choose: 1}", "evaluate.choices=27"],
            r"choices is 27, but finetune\.tasks has 'choose', .* set evaluate\.choices=26 or less",
        ),
        (["model.quantization=8bit"], "'nf4' or 'none', got '8bit'"),
    ],
)
def test_presets_whose_parts_contradict_each_other(overrides: list[str], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_settings("edge", overrides)


def test_four_bits_work_here() -> None:
    assert try_four_bits() == ("the GPU" if torch.cuda.is_available() else "the CPU")


@pytest.mark.parametrize("quantization", ["nf4", "none"])
@pytest.mark.parametrize("scoring", [False, True])
def test_weights_take_what_is_told(
    tmp_path: Path, tiny_settings: RunSettings, quantization: str, scoring: bool
) -> None:
    write_llama(tmp_path)
    settings = changed(tiny_settings, model={"base": str(tmp_path), "quantization": quantization})
    base = resolve_base(settings.model)
    gpu = torch.cuda.is_available()
    expected = weights_in_memory(tmp_path, settings, gpu=gpu, scoring=scoring)
    engine = PeftEngine()
    loaded: Any = (
        engine.for_scoring(base, None, settings.model)
        if scoring
        else engine.for_training(base, settings.model, settings.finetune, 1)
    )
    present = 0
    for name, weight in loaded.model.named_parameters():
        if "lora_" not in name:
            present += weight.numel() * weight.element_size()
            state = getattr(weight, "quant_state", None)
            present += 0 if state is None else state.absmax.numel() * 4
    assert expected == pytest.approx(present, rel=0.01)


@pytest.mark.parametrize(
    "table", ["[1]", '{"a": 3}', '{"a": {"dtype": "F32"}}', '{"a": {"dtype": "F32", "shape": ["b"]}}']
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, tiny_settings: RunSettings, table: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(table)) + table.encode())
    with pytest.raises(ModelError, match=r"model\.safetensors' isn't a safetensors file"):
        weights_in_memory(tmp_path, tiny_settings, gpu=False, scoring=True)
