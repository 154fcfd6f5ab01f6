"""Which engine is chosen and why, on machines with GPUs that this one doesn't have, and how a base is loaded there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from coordi.config import FinetuneSettings, ModelSettings, RunSettings
from coordi.errors import ModelError
from coordi.model import engines
from coordi.model.base import Base
from coordi.model.engines import PeftEngine, choose_engine, compute_dtype, gpu_trouble, import_unsloth
from coordi.model.heads import AnswerHead, Example, TrainingData
from coordi.model.prefix_cache import full_memory_named
from coordi.model.training import TrainingLoop

AUTO = ModelSettings()
NAME = "a GPU that isn't there"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let PyTorch say that there are GPUs."""

    def answer(count: int = 1, capability: tuple[int, int] = (8, 9)) -> None:
        answers = {
            "is_available": True, "device_count": count, "get_device_name": NAME, "get_device_capability": capability
        }  # fmt: skip
        for name, value in answers.items():
            monkeypatch.setattr(torch.cuda, name, lambda *_, _value=value: _value)

    return answer


@pytest.fixture
def unsloth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let a package of a few lines stand for Unsloth."""

    def write(text: str) -> None:
        (tmp_path / "unsloth.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "unsloth", raising=False)
        monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "cache"))
        for name in ("UNSLOTH_COMPILE_LOCATION", "UNSLOTH_DISABLE_STATISTICS"):
            monkeypatch.delenv(name, raising=False)

    return write


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_why_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    assert gpu_trouble() == "this PyTorch is built without CUDA"
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_trouble() == "CUDA_VISIBLE_DEVICES='' hides every GPU"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")

    def refuse() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040). Please update it.\nSee")

    monkeypatch.setattr(torch.cuda, "init", refuse)
    expected = (
        r"sees none: The NVIDIA driver on your system is too old \(found version 11040\).*; set model\.engine=auto"
    )
    with pytest.raises(ModelError, match=expected):
        choose_engine(ModelSettings(engine="unsloth"))
    engine, reason = choose_engine(AUTO)
    assert engine.name == "peft"
    assert "driver on your system is too old" in reason


def test_the_first_of_two_gpus_is_named(gpu: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    gpu(count=2)
    assert choose_engine(AUTO)[1].startswith(
        f"PEFT on {NAME}, the first of 2 GPUs (torchrun uses several); for Unsloth"
    )
    monkeypatch.setenv("RANK", "1")
    assert choose_engine(AUTO)[1].startswith(f"PEFT on {NAME}; for Unsloth")


def test_an_unsloth_that_cannot_be_used_leaves_peft(gpu: Callable[..., None], unsloth: Callable[[str], None]) -> None:
    unsloth("raise NotImplementedError('Unsloth: your GPU is too old.\\nBuy another')")
    gpu()
    engine, reason = choose_engine(AUTO)
    expected = "Unsloth is installed but can't be used here (NotImplementedError: Unsloth: your GPU is too old.)"
    assert engine.name == "peft"
    assert reason.startswith(f"PEFT on {NAME}: {expected}")
    with pytest.raises(ModelError, match=r"NotImplementedError: Unsloth: your GPU is too old.*set model\.engine=peft"):
        choose_engine(ModelSettings(engine="unsloth"))


def test_unsloth_writes_nothing_on_standard_output_and_into_the_working_directory(
    unsloth: Callable[[str], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    unsloth("import os\nprint('a banner')\nplace, silent = (os.environ[f'UNSLOTH_{name}'] for name in "
            "('COMPILE_LOCATION', 'DISABLE_STATISTICS'))")  # fmt: skip
    package = import_unsloth()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "a banner\n")
    assert Path(package.place).parent == tmp_path / "cache"
    assert package.silent == "1"


def test_the_number_format_of_a_gpu(gpu: Callable[..., None]) -> None:
    gpu(capability=(8, 0))
    assert compute_dtype() is torch.bfloat16
    gpu(capability=(7, 5))  # PyTorch emulates bfloat16 there, slowly
    assert compute_dtype() is torch.float16


def test_a_gemma_is_refused_in_float16(gpu: Callable[..., None], tmp_path: Path, tiny_settings: RunSettings) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gemma2"}')
    gpu(capability=(7, 5))
    settings = tiny_settings.model.model_copy(update={"quantization": "none"})
    with pytest.raises(ModelError, match="this GPU has no bfloat16, and the states of 'gemma', a Gemma, are too large"):
        engines._load(Base("gemma", tmp_path, ""), settings)


def test_four_bits_that_are_not_there_are_noticed(tiny_base: Base, tiny_settings: RunSettings) -> None:
    plain = PeftEngine().for_scoring(tiny_base, None, tiny_settings.model.model_copy(update={"quantization": "none"}))
    with pytest.raises(ModelError, match=r"quantization is nf4, but '.*' was loaded without a layer in 4 bits"):
        engines._check_four_bits(tiny_base, plain.model, tiny_settings.model)


@pytest.mark.parametrize(
    ("attention", "expected"),
    [("flash_attention_2", r"needs the package flash-attn and a GPU \(.+\)"), ("sdpa", "leaves out the soft-capping")],
)
def test_attention_that_cannot_compute_a_base(
    tmp_path: Path, tiny_settings: RunSettings, attention: str, expected: str
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gemma2"}')
    settings = tiny_settings.model.model_copy(update={"attention": attention})
    with pytest.raises(ModelError, match=expected):
        engines._load(Base("gemma", tmp_path, ""), settings)


def test_the_chosen_attention_is_used(tiny_base: Base, tiny_settings: RunSettings) -> None:
    for attention in ("eager", "sdpa"):
        settings = tiny_settings.model.model_copy(update={"attention": attention})
        network = PeftEngine().for_scoring(tiny_base, None, settings).model
        assert network.config._attn_implementation == attention  # type: ignore[union-attr]


@pytest.fixture
def fresh_accelerate() -> Iterator[None]:
    """Accelerate keeps the precision of its first use for a process."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


@pytest.mark.usefixtures("fresh_accelerate")
def test_autocast_reaches_the_adapter(tiny_base: Base, tiny_settings: RunSettings) -> None:
    """Accelerate puts it around the module that the loop calls; products with the adapter are where it counts."""
    settings: FinetuneSettings = tiny_settings.finetune.model_copy(update={"optimizer": "adamw", "batch_size": 1})
    settings = settings.model_copy(update={"micro_batch_size": 1})
    loaded = PeftEngine().for_training(tiny_base, tiny_settings.model, settings, 3)
    dtypes: set[torch.dtype] = set()
    for name, module in loaded.model.named_modules():
        if name.endswith("lora_A.default"):
            module.register_forward_hook(lambda module, given, out: dtypes.add(out.dtype))
    data = TrainingData([Example(((5, 9, 40, 11),), answer_length=1)], 1, 1)
    loop = TrainingLoop(
        loaded.model, AnswerHead(loaded.tokenizer, 64), data, settings, 3, Accelerator(cpu=True, mixed_precision="bf16")
    )
    loop.step(1)
    assert dtypes == {torch.bfloat16}


def test_a_full_gpu_says_what_to_set() -> None:
    message = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 5.80 GiB of which 1.0 MiB"
    expected = (
        r"^CUDA out of memory\. Tried to allocate 2\.00 GiB; .*micro_batch_size.*gradient_checkpointing=true.*batch_t"
    )
    with pytest.raises(ModelError, match=expected), full_memory_named():
        raise torch.OutOfMemoryError(message)
