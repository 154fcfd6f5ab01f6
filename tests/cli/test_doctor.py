from __future__ import annotations

import os
from pathlib import Path

import pytest

from coordi.cli.doctor import model_checks
from coordi.config import load_settings

torch = pytest.importorskip("torch")
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")


def found(preset: str, *overrides: str) -> dict[str, str]:
    return {check.part: check.state for check in model_checks(load_settings(preset, overrides))}


@NO_GPU
@pytest.mark.slow
def test_a_preset_without_its_gpu_says_so_and_what_to_do() -> None:
    told = found("paper")
    assert told["engine"].endswith("needs an NVIDIA GPU, and PyTorch sees none; set model.engine=auto")
    assert "set model.allow_download=true and model.revision to a commit" in told["base model"]
    assert "of 8 billion parameters by its name, some 5.2 GiB; this machine has" in told["base model"]
    assert "revision names a commit" in found("paper", "model.allow_download=true")["base model"]


@NO_GPU
def test_the_engine_and_why() -> None:
    assert found("edge")["engine"] == "PEFT, which a pooled head needs"
    assert found("llama-3.2-1b")["engine"] == "PEFT, on the CPU: Unsloth needs an NVIDIA GPU"
    assert found("llama-3.2-1b", "model.engine=peft")["engine"] == "PEFT, as the settings ask"


@NO_GPU
def test_arithmetic_follows_the_settings_and_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    from coordi.model import engines

    monkeypatch.setattr(engines, "has_fast_int8", lambda: True)
    assert found("edge")["scoring"] == "small models in 8-bit integers: the CPU has AVX-512 VNNI"
    assert found("edge", "model.arithmetic=float32")["scoring"].endswith("model.arithmetic is float32")
    monkeypatch.setattr(engines, "has_fast_int8", lambda: False)
    assert found("edge")["scoring"] == "in 32-bit floats: the CPU has no AVX-512 VNNI"
    assert "slower than floats" in found("edge", "model.arithmetic=int8")["scoring"]
    assert found("edge")["4 bits"] == "bitsandbytes NF4 works on the CPU"
    assert found("edge", "model.quantization=none")["4 bits"].startswith("not used")


@NO_GPU
def test_a_base_that_is_too_large_or_no_language_model(tmp_path: Path) -> None:
    has = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    assert f"more than the {has:.0f} GiB" in found("paper", "model.base=owner/name-900B")["base model"]
    assert "parameters by its name" not in found("paper", "model.base=owner/name-4bit")["base model"]
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"]}')
    assert "holds BertModel; coordi needs a causal" in found("edge", f"model.base={tmp_path}")["base model"]
