"""An adapter that isn't as it was trained is refused in one line, by ONNX Runtime's engine and by PEFT's."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from coordi.artifacts import read_json, write_json
from coordi.config import RunSettings
from coordi.errors import ModelError
from coordi.model.base import LAYERS, SHA256, Base, find_gguf
from coordi.model.engines import PeftEngine
from coordi.model.ensemble import ARRAYS_FILE
from coordi.model.scoring import HEAD, HEAD_SETTINGS, ORIGIN, PooledHead, load_light_scorer, load_scorer
from coordi.model.trained import BUNDLED, SETTINGS, ModelScorers, find_model, find_start

torch = pytest.importorskip("torch")

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
Spoil = Callable[[Path], None]
Tensors = dict[str, NDArray[Any]]


class Adapted(NamedTuple):
    """A copy of an adapter to spoil, and what loads it."""

    folder: Path
    load: Callable[[], Any]


@pytest.fixture(scope="module")
def tiny_adapter(tmp_path_factory: pytest.TempPathFactory, tiny_base: Base, tiny_settings: RunSettings) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    some = tiny_settings.finetune.model_copy(update={"first_layer": 1})
    loaded = PeftEngine().for_training(tiny_base, tiny_settings.model, some, 3)
    with torch.no_grad():
        for name, value in loaded.model.named_parameters():
            if "lora_B" in name:
                value.fill_(0.1)
    loaded.model.save_pretrained(folder)  # type: ignore[operator]
    write_json(folder / ORIGIN, {"base": tiny_base.name, "identity": tiny_base.identity})
    return folder


@pytest.fixture(params=["light", "peft"])
def adapted(
    request: pytest.FixtureRequest, tmp_path: Path, tiny_adapter: Path, tiny_base: Base, tiny_settings: RunSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> Adapted:  # fmt: skip
    folder = tmp_path / "adapter"
    if request.param == "peft":
        shutil.copytree(tiny_adapter, folder)
        return Adapted(folder, lambda: load_scorer(tiny_base, folder, tiny_settings))
    if find_gguf() is None:
        pytest.skip("the bundled model isn't installed")
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "cache"))
    shutil.copytree(BUNDLED, folder)
    settings = find_model("bundled").settings
    return Adapted(folder, lambda: load_light_scorer(folder, settings))


def tensors(change: Callable[[Tensors], Tensors]) -> Spoil:
    def spoil(folder: Path) -> None:
        changed = change(load_file(folder / WEIGHTS))
        save_file({name: np.ascontiguousarray(value) for name, value in changed.items()}, folder / WEIGHTS)

    return spoil


def config(**changes: Any) -> Spoil:
    """Change the configuration; None leaves a value out."""

    def spoil(folder: Path) -> None:
        values = {**read_json(folder / CONFIG), **changes}
        kept = {name: value for name, value in values.items() if value is not None or name not in changes}
        (folder / CONFIG).write_text(json.dumps(kept))

    return spoil


def of_another_base(folder: Path) -> None:
    write_json(folder / ORIGIN, {**read_json(folder / ORIGIN), "identity": "0" * 64})


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def only_pickled(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "adapter_model.bin").write_bytes(pickle.dumps(Payload(folder / "ran")))


def pickled_under_the_name(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(pickle.dumps(Payload(folder / "ran")))


def cut_short(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:-40])

    return spoil


def last(names: Tensors, ending: str) -> str:
    return max(name for name in names if name.endswith(ending))


def with_number(number: float) -> Callable[[Tensors], Tensors]:
    def change(values: Tensors) -> Tensors:
        values[last(values, "lora_B.weight")][-1, -1] = number
        return values

    return change


def halved(values: Tensors) -> Tensors:
    """Matrices for a base of half the size."""
    return {
        name: value[:, ::2] if name.endswith("lora_A.weight") else value[::2] if "down_proj" in name else value
        for name, value in values.items()
    }


def without(*endings: str) -> Callable[[Tensors], Tensors]:
    return lambda values: {
        name: value for name, value in values.items() if name not in {last(values, ending) for ending in endings}
    }


EXTRA = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
TENSORS: tuple[tuple[Callable[[Tensors], Tensors], str], ...] = (
    (lambda values: {name.replace("q_proj", "query"): value for name, value in values.items()},
     r"doesn't fit .*have no place there, and \d+ are missing \(.*query"),
    (lambda values: {name.replace("lora_", "lorry_"): value for name, value in values.items()}, r"lorry_A"),
    (without("q_proj.lora_A.weight", "q_proj.lora_B.weight"), r"0 have no place there, and 2 are missing"),
    (without("v_proj.lora_B.weight"), r"0 have no place there, and 1 are missing \(.*v_proj\.lora_B"),
    (lambda values: {**values, EXTRA: values[last(values, "q_proj.lora_A.weight")]},
     r"1 have no place there, and 0 are missing \(.*layers\.0\."),
    (lambda values: {}, r"of its 0 tensors"),
    (halved, r"doesn't fit .*size mismatch|the adapter's matrices for q_proj_10 are .*\(576, 576\)"),
    (lambda values: {name: value[:2] if "lora_A" in name else value[:, :2] for name, value in values.items()},
     r"r in .* is \d+, but the shape of .*lora_A\.weight is \(2, \d+\)"),
    (with_number(np.nan), "numbers that aren't finite"),
    (with_number(-np.inf), "numbers that aren't finite"),
)  # fmt: skip
FOLDERS: tuple[tuple[Spoil, str], ...] = (
    (of_another_base, r"was trained on the base .*\(000000000000\)"),
    (only_pickled, r"has no adapter_model\.safetensors"),
    (pickled_under_the_name, r"isn't a safetensors file"),
    (cut_short(WEIGHTS), r"isn't a safetensors file"),
    (lambda folder: (folder / CONFIG).unlink(), r"has no adapter_config\.json"),
    (cut_short(CONFIG), r"no adapter_config\.json that can be read"),
    (lambda folder: write_json(folder / CONFIG, []), r"the whole in .* is \[\]"),
    (config(peft_type="LOHA"), r"peft_type in .* is 'LOHA'"),
)
NUMBERS: tuple[Any, ...] = (None, "16", 0, -4, True, float("nan"), [16])


@pytest.mark.slow
@pytest.mark.parametrize(("change", "message"), TENSORS)
def test_other_tensors_are_refused(adapted: Adapted, change: Callable[[Tensors], Tensors], message: str) -> None:
    tensors(change)(adapted.folder)
    with pytest.raises(ModelError, match=message):
        adapted.load()


@pytest.mark.slow
@pytest.mark.parametrize(("spoil", "message"), FOLDERS)
def test_other_files_are_refused_and_pickle_is_never_run(adapted: Adapted, spoil: Spoil, message: str) -> None:
    spoil(adapted.folder)
    with pytest.raises(ModelError, match=message):
        adapted.load()
    assert not (adapted.folder / "ran").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS, ids=str)
@pytest.mark.parametrize("name", ["r", "lora_alpha"])
def test_a_rank_or_scale_that_is_none_is_refused(adapted: Adapted, name: str, number: Any) -> None:
    """PEFT scores with defaults of its own, or against the adapter's direction."""
    config(**{name: number})(adapted.folder)
    value = "missing" if number is None else str(number).strip("[]")
    with pytest.raises(ModelError, match=rf"{name} in .* is \W*{value}\W.*; copy the whole folder"):
        adapted.load()


def test_a_head_above_the_layers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "cache"))
    folder = Path(shutil.copytree(BUNDLED, tmp_path / "adapter"))
    for layer in (LAYERS + 1, 10**12):
        write_json(folder / HEAD_SETTINGS, {**read_json(folder / HEAD_SETTINGS), "layer": layer})
        with pytest.raises(ModelError, match=f"has 30 layers, {layer} are needed"):
            load_light_scorer(folder, find_model("bundled").settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_dora": True}, "uses use_dora, which this engine can't; set model.engine to peft"),
        ({"layer_replication": [[0, 20]]}, "uses layer_replication"),
        ({"target_modules": "all-linear"}, "uses target_modules=all-linear"),
        ({"target_modules": []}, r"140 have no place there, and 0 are missing"),
        ({"layers_to_transform": None}, r"0 have no place there, and 140 are missing"),
        ({"layers_to_transform": [*range(11, 20)]}, r"14 have no place there, and 0 are missing"),
    ],
)
def test_what_only_peft_can_is_refused_without_it(
    changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "cache"))
    folder = Path(shutil.copytree(BUNDLED, tmp_path / "adapter"))
    config(**changes)(folder)
    with pytest.raises(ModelError, match=message):
        load_light_scorer(folder, find_model("bundled").settings)


@pytest.mark.slow
def test_bfloat16_is_refused_where_numpy_does_not_have_it(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(BUNDLED, tmp_path / "adapter"))
    save_file({name: value.bfloat16() for name, value in load_file(folder / WEIGHTS).items()}, folder / WEIGHTS)
    program = "import sys; from pathlib import Path; from coordi.model.decoder import decoder_folder as build\n"
    program += (
        f"try: build(Path({str(folder)!r}), 20, in_bytes=False)\nexcept coordi.errors.ModelError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import coordi.errors; {program}"], capture_output=True, text=True, check=True,
        env={**os.environ, "COORDI_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert re.fullmatch(r"the adapter .*bfloat16.*; set model\.engine to peft in its settings\.json\n", done.stdout)


def not_finite(folder: Path) -> None:
    arrays = load_file(folder / ARRAYS_FILE)
    name = next(name for name, value in sorted(arrays.items()) if value.dtype.kind == "f")
    save_file({**arrays, name: np.full_like(arrays[name], np.nan)}, folder / ARRAYS_FILE)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut_short(SETTINGS), r"settings\.json' can't be read .*; copy the whole folder"),
        (lambda folder: write_json(folder / SETTINGS, []), r"settings\.json' can't be read .*; copy the whole folder"),
        (cut_short(ARRAYS_FILE), "ensemble of the adapter .* can't be read"),
        (not_finite, "ensemble in .* holds numbers that aren't finite"),
    ],
)
def test_damaged_files_beside_an_adapter_are_refused(tmp_path: Path, spoil: Spoil, message: str) -> None:
    folder = Path(shutil.copytree(BUNDLED, tmp_path / "adapter"))
    spoil(folder)
    with pytest.raises(ModelError, match=message):
        ModelScorers(find_model(str(folder)))


def test_no_training_goes_on_from_a_damaged_adapter(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(BUNDLED, tmp_path / "adapter"))
    cut_short(WEIGHTS)(folder)
    start = find_model("bundled").settings.finetune.model_copy(update={"start": str(folder)})
    with pytest.raises(ModelError, match=r"isn't a safetensors file .*; finetune\.start=null begins"):
        find_start(start, Base("bundled", tmp_path, SHA256))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weight", np.nan, "numbers that aren't finite"),
        ("bias", np.inf, "numbers that aren't finite"),
        ("slope", np.nan, "can't be read|numbers that aren't finite"),
        ("layer", 0, "reads layer 0"),
        ("layer", -2, "reads layer -2"),
        ("layer", float("inf"), "can't be read"),
        ("layer", "second", "can't be read"),
    ],
)
def test_a_head_of_other_numbers_is_refused(tmp_path: Path, name: str, value: Any, message: str) -> None:
    row = np.ones(8, dtype=np.float32)
    PooledHead(2, row, row, row, row[:1]).save(tmp_path)
    if name in ("weight", "bias"):
        values = load_file(tmp_path / HEAD)
        save_file({**values, name: np.full_like(values[name], value)}, tmp_path / HEAD)
    else:
        (tmp_path / HEAD_SETTINGS).write_text(json.dumps({**read_json(tmp_path / HEAD_SETTINGS), name: value}))
    with pytest.raises(ModelError, match=message):
        PooledHead.load(tmp_path)
