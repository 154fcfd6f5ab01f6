"""Loads a base model in 4 bits and puts an adapter on it: PEFT anywhere, Unsloth where a GPU supports it."""

from __future__ import annotations

import importlib.util
import math
import os
import sys
import warnings
from collections.abc import Iterator, Set
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from coordi.artifacts import cache_folder, read_json
from coordi.config import FinetuneSettings, ModelSettings, RunSettings
from coordi.errors import ArtifactError, CoordiError, ModelError, require
from coordi.model.base import Base, forget_quantization, positions, quiet_libraries, stay_offline
from coordi.model.prefix_cache import middle_layer

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase


_INT8_MAX = 127  # of a signed byte, symmetric
_UPPER_BYTE = 128  # weight of the upper byte of an input
_MIN_SCALE = 1e-12  # a token of zeros is divided by this
# Up to this many parameters, scoring on a CPU unpacks the 4-bit weights once: the numbers are the same, and no layer
# has to unpack them again for every batch (measured: dev/LOG.md). A larger model would not fit in memory unpacked.
UNPACK_UP_TO = 1_000_000_000
PAD_MULTIPLE = 16  # few different lengths, so that memory freed at one length is reused at the next (dev/LOG.md)
_VALUE_LENGTH = 40  # of a value in a message
_LOCAL = {"local_files_only": True, "trust_remote_code": False}  # a folder's own code is never run, or asked about
_NAMED = 3  # missing tensors in a message
_NF4_BYTES = 0.5 + 4 / 64  # of a weight, with a float32 scale for every 64


def has_fast_int8() -> bool:
    """Whether this machine's CPU multiplies bytes much faster than floats: x86 with AVX-512 VNNI."""
    torch = require("torch", "train")
    return bool(torch.backends.mkldnn.is_available() and torch.cpu._is_vnni_supported())


def to_int8(network: Any) -> Any:
    """Convert the linear layers of a decoder's blocks to 8-bit integers, in place. Inputs have two bytes and a scale
    per token: these models have a few large states beside many small ones, and a single byte loses what matters
    (Dettmers et al., LLM.int8(), 2022; measured: dev/LOG.md).
    """
    torch = require("torch", "train")
    for block in getattr(network.base_model, "layers", ()):  # other architectures keep their floats
        for name, layer in list(block.named_modules()):
            if type(layer) is torch.nn.Linear:
                block.set_submodule(name, _int8_linear()(layer))
    return network


@cache
def _int8_linear() -> Any:
    torch = require("torch", "train")

    class Int8Linear(torch.nn.Module):  # type: ignore[misc,name-defined]
        """A linear layer for inference; holds ``weight`` ``(in, out)`` in bytes and ``scale`` ``(out,)``."""

        def __init__(self, layer: Any) -> None:
            super().__init__()
            weight = layer.weight.data.float()
            scale = (weight.abs().amax(dim=1) / _INT8_MAX).clamp(min=_MIN_SCALE)
            self.register_buffer("weight", (weight / scale[:, None]).round().to(torch.int8).t())
            self.register_buffer("scale", scale)
            self.bias = layer.bias

        def forward(self, inputs: Any) -> Any:
            """``(..., in)`` to ``(..., out)``, float32."""
            tokens = inputs.reshape(-1, inputs.shape[-1])  # (T, in)
            count = len(tokens)
            scale = tokens.abs().amax(dim=1, keepdim=True).clamp_(min=_MIN_SCALE) / (_INT8_MAX * _UPPER_BYTE)  # (T, 1)
            scaled = tokens / scale
            upper = (scaled / _UPPER_BYTE).round_()
            both = torch.empty((2 * count, tokens.shape[1]), dtype=torch.int8)
            both[:count] = upper
            both[count:] = scaled.sub_(upper, alpha=_UPPER_BYTE).round_()
            sums = torch._int_mm(both, self.weight).float()  # (2 T, out), exact up to here
            out = sums[:count].mul_(_UPPER_BYTE).add_(sums[count:]).mul_(scale).mul_(self.scale)
            if self.bias is not None:
                out += self.bias
            return out.reshape(*inputs.shape[:-1], -1)

    return Int8Linear


COPY_ADAPTER = "copy the whole folder that coordi finetune wrote"
"""Advice on a damaged adapter."""


class Loaded(NamedTuple):
    """A causal language model in memory, a ``PeftModel`` if it has an adapter, with its tokenizer."""

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase


def choose_engine(settings: ModelSettings, head: str = "answer", max_length: int = 2048) -> tuple[Engine, str]:
    """The engine for a head and for prompts of at most ``max_length`` tokens on this machine, and why, for the user;
    raises a ``ModelError`` if there is none.
    """
    stay_offline()
    if head == "pooled":
        if settings.engine == "unsloth":
            raise ModelError(
                "a pooled head reads a model's hidden states, which coordi doesn't do through Unsloth; set "
                "model.engine=auto, or finetune.head=answer"
            )
        return PeftEngine(), "PEFT, which a pooled head needs"
    if settings.engine == "peft":
        return PeftEngine(), "PEFT, as the settings ask"
    trouble = gpu_trouble()
    if trouble and settings.engine == "unsloth":
        raise ModelError(
            f"model.engine is unsloth, which needs an NVIDIA GPU, and PyTorch sees none: {trouble}; set "
            "model.engine=auto"
        )
    if trouble:
        return PeftEngine(), f"PEFT, on the CPU: Unsloth needs an NVIDIA GPU, and {trouble}"
    name = _gpu_name()
    if settings.engine == "auto" and importlib.util.find_spec("unsloth") is None:
        return PeftEngine(), f"PEFT on {name}; for Unsloth: pip install 'coordi[cuda]'"
    try:
        import_unsloth()  # now, before transformers, which it rewrites
    except ModelError as error:
        if settings.engine == "unsloth":
            raise
        return PeftEngine(), f"PEFT on {name}: {error}"
    engine = UnslothEngine(max_length)
    return engine, "Unsloth, as the settings ask" if settings.engine == "unsloth" else f"Unsloth, on {name}"


def gpu_trouble() -> str:
    """Why PyTorch can't use a GPU here, as the end of a sentence; empty if it can."""
    torch = require("torch", "train")
    if torch.cuda.is_available():
        return ""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if torch.version.cuda is None:
        return "this PyTorch is built without CUDA"
    if hidden is not None and hidden.strip() in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES={hidden!r} hides every GPU"
    try:
        torch.cuda.init()
    except RuntimeError as error:  # such as a driver that is too old, with both versions
        return _first_line(error).rstrip(".")
    return "there is none"


def _gpu_name() -> str:
    torch = require("torch", "train")
    name, count = str(torch.cuda.get_device_name(0)), int(torch.cuda.device_count())
    return name if count < 2 or "RANK" in os.environ else f"{name}, the first of {count} GPUs (torchrun uses several)"


def import_unsloth() -> Any:
    """The package unsloth, imported without what it prints on standard output, writes into the working directory and
    sends; a ``ModelError`` if it can't be used with this driver, this GPU or these versions of other packages.
    """
    stay_offline()
    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(cache_folder() / "unsloth_compiled_cache"))
    try:
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return require("unsloth", "cuda")
    except CoordiError:
        raise
    except Exception as error:  # it raises what its many imports raise
        raise ModelError(
            f"Unsloth is installed but can't be used here ({type(error).__name__}: {_first_line(error)}); set "
            "model.engine=peft"
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]


def load_tokenizer(base: Base) -> PreTrainedTokenizerBase:
    """The tokenizer of a base model, padding on the right."""
    stay_offline()
    transformers = require("transformers", "train")
    with _clear_errors(f"the tokenizer of '{base.name}' can't be loaded"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(base.folder, **_LOCAL)
    return _pad_on_the_right(tokenizer)


def _pad_on_the_right(tokenizer: Any) -> PreTrainedTokenizerBase:
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer  # type: ignore[no-any-return]


@contextmanager
def _clear_errors(what: str, advice: str = "") -> Iterator[None]:
    """Replace the model libraries' errors by a ``ModelError``."""
    try:
        with quiet_libraries():
            yield
    except CoordiError:
        raise
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, AssertionError, ImportError,
            SafetensorError) as error:  # fmt: skip
        raise ModelError(f"{what}: {_first_line(error)}{advice}") from error


class PeftEngine:
    """Loads with transformers, quantizes with bitsandbytes, adapts with PEFT."""

    name = "peft"

    def for_training(self, base: Base, model: ModelSettings, finetune: FinetuneSettings, seed: int) -> Loaded:
        """A base model with a new adapter, which alone is trainable and changes no output; reproducible by the seed."""
        torch = require("torch", "train")
        peft = require("peft", "train")
        with quiet_libraries():
            tokenizer = load_tokenizer(base)
            network = _load(base, model)
            layers = _layers_to_train(base, network, finetune)
            if finetune.head == "pooled":
                backbone = network.base_model
                if not hasattr(backbone, "layers") or not hasattr(backbone, "norm"):
                    kind = network.config.model_type
                    raise ModelError(
                        f"a pooled head needs a decoder built like Llama's, '{base.name}' is of the kind '{kind}'; set "
                        "finetune.head=answer"
                    )
                backbone.layers = backbone.layers[:layers]  # those above are never run
                if _is_small_on_cpu(network):
                    _unpack(network, compute_dtype())
            if finetune.gradient_checkpointing:
                network.gradient_checkpointing_enable({"use_reentrant": False})
                network.enable_input_require_grads()
            network.requires_grad_(False)
            torch.manual_seed(seed)
            some = finetune.first_layer > 0 or finetune.head == "pooled"  # the model's config names more than are run
            config = peft.LoraConfig(
                **_lora_options(finetune),
                layers_to_transform=list(range(finetune.first_layer, layers)) if some else None,
                layers_pattern="layers" if some else None,
                task_type="CAUSAL_LM",
            )
            with _clear_errors(f"an adapter can't be put on '{base.name}'"):
                adapted = peft.get_peft_model(network, config)
        return Loaded(adapted, tokenizer)

    def for_scoring(self, base: Base, adapter: Path | None, model: ModelSettings) -> Loaded:
        """A base model in evaluation mode, with a fine-tuned adapter unless it is None."""
        with quiet_libraries():
            tokenizer = load_tokenizer(base)
            network = _load(base, model)
            unpacked = _is_small_on_cpu(network) and _unpack(network)
            if adapter is not None:
                network = _with_adapter(network, base, adapter)
                if unpacked or model.quantization == "none":
                    network = network.merge_and_unload()
            if _in_bytes(network, model):
                to_int8(network)
        network.requires_grad_(False)
        return Loaded(network.eval(), tokenizer)


def _layers_to_train(base: Base, network: Any, finetune: FinetuneSettings) -> int:
    layers = int(network.config.get_text_config().num_hidden_layers)
    if finetune.head == "pooled":
        last = finetune.last_layer or middle_layer(layers)
        if last > layers:
            raise ModelError(f"finetune.last_layer is {last}, but '{base.name}' has {layers} layers")
        layers = last
    if finetune.first_layer >= layers:
        raise ModelError(
            f"finetune.first_layer is {finetune.first_layer}, but '{base.name}' has layers 0 to {layers - 1} to train"
        )
    return layers


def _lora_options(finetune: FinetuneSettings) -> dict[str, Any]:
    options = {"r": finetune.lora_rank, "lora_alpha": finetune.lora_alpha, "lora_dropout": finetune.lora_dropout}
    return {**options, "target_modules": list(finetune.target_modules)}


def compute_dtype() -> torch.dtype:
    """The number format that matrix products of 4-bit layers run in: bfloat16 where the hardware has it, else float16
    on a GPU and float32 on a CPU.
    """
    torch = require("torch", "train")
    if torch.cuda.is_available():
        fast = torch.cuda.get_device_capability()[0] >= 8  # is_bf16_supported counts slow emulation
        return torch.bfloat16 if fast else torch.float16  # type: ignore[no-any-return]
    fast = torch.backends.mkldnn.is_available() and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32  # type: ignore[no-any-return]


def _device() -> str:
    gpu = require("torch", "train").cuda.is_available()
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if gpu else "cpu"  # torchrun sets the rank


def _four_bits() -> Any:
    """How both engines quantize a base that isn't stored in 4 bits. A base that is keeps its own way."""
    require("bitsandbytes", "train")
    return require("transformers", "train").BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=False,
        bnb_4bit_compute_dtype=compute_dtype(),
    )  # fmt: skip


def _check_four_bits(base: Base, network: Any, model: ModelSettings) -> None:
    if model.quantization == "nf4" and not _four_bit_layers(network):
        raise ModelError(
            f"model.quantization is nf4, but '{base.name}' was loaded without a layer in 4 bits: bitsandbytes doesn't "
            "work here, see coordi doctor; or set model.quantization=none, which takes four times the memory"
        )


def _attention(base: Base, model: ModelSettings) -> dict[str, str]:
    """Options for transformers; a ``ModelError`` if the chosen attention can't compute this base."""
    config = read_json(base.folder / "config.json")
    text = config.get("text_config") or config
    # A configuration may leave out the default of its type.
    cap = text.get("attn_logit_softcapping", 50.0 if text.get("model_type") == "gemma2" else None)
    if model.attention == "sdpa" and cap is not None:
        raise ModelError(
            f"model.attention is sdpa, which leaves out the soft-capping of '{base.name}'; set model.attention=auto"
        )
    if model.attention == "flash_attention_2" and (gpu_trouble() or importlib.util.find_spec("flash_attn") is None):
        lack = gpu_trouble() or "it isn't installed: pip install flash-attn"
        raise ModelError(
            f"model.attention is flash_attention_2, which needs the package flash-attn and a GPU ({lack}); set "
            "model.attention=auto"
        )
    if model.attention != "auto":
        return {"attn_implementation": model.attention}
    return {} if cap is None else {"attn_implementation": "eager"}


def check_weights(base: Base) -> None:
    """Raise a ``ModelError`` if tensors are missing, or have other shapes than the configuration says: transformers and
    Unsloth fill them with random numbers. Nothing is allocated; an 8B model takes about a second.
    """
    transformers = require("transformers", "train")
    with _clear_errors(f"'{base.name}' can't be loaded"):
        config = transformers.AutoConfig.from_pretrained(base.folder, **_LOCAL)
        is_stored_quantized = getattr(config, "quantization_config", None) is not None
        if is_stored_quantized:  # its tensors have the names of plain ones, and other shapes
            del config.quantization_config
        _, report = transformers.AutoModelForCausalLM.from_pretrained(
            base.folder, config=config, use_safetensors=True, device_map="meta", output_loading_info=True,
            ignore_mismatched_sizes=True, **_LOCAL,
        )  # fmt: skip
    missing = sorted(report["missing_keys"])
    wrong = [] if is_stored_quantized else sorted(str(row[0]) for row in report["mismatched_keys"])
    for names, problem in ((missing, "has no weights for"), (wrong, "has another shape than config.json says for")):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            raise ModelError(
                f"'{base.name}' {problem} {', '.join(names[:_NAMED])}{more}, which would be random numbers; get all "
                "files of the model again"
            )


def _load(base: Base, model: ModelSettings) -> Any:
    torch = require("torch", "train")
    transformers = require("transformers", "train")
    dtype = compute_dtype() if torch.cuda.is_available() else torch.float32
    options: dict[str, Any] = {"dtype": dtype, **_attention(base, model)}
    if model.quantization == "nf4":
        options["quantization_config"] = _four_bits()
    if dtype is torch.float16 and str(read_json(base.folder / "config.json").get("model_type")).startswith("gemma"):
        raise ModelError(
            f"this GPU has no bfloat16, and the states of '{base.name}', a Gemma, are too large for float16; choose "
            "another base"
        )
    check_weights(base)
    with _clear_errors(f"'{base.name}' can't be loaded"):
        network = transformers.AutoModelForCausalLM.from_pretrained(
            base.folder, use_safetensors=True, device_map=_device(), **_LOCAL, **options
        )
    _check_four_bits(base, network, model)
    for layer in _four_bit_layers(network).values():
        # bitsandbytes repacks a layer's weights when it is first evaluated, and no gradient flows through a repacked
        # layer: training after an evaluation would learn nothing.
        layer.support_avx512bf16_for_cpu = False
    network.config.use_cache = False
    return network


def _four_bit_layers(network: Any) -> dict[str, Any]:
    return {name: module for name, module in network.named_modules() if type(module).__name__ == "Linear4bit"}


def _is_small_on_cpu(network: Any) -> bool:
    weights = sum(layer.in_features * layer.out_features for layer in _four_bit_layers(network).values())
    return bool(network.device.type == "cpu" and weights <= UNPACK_UP_TO)


def _in_bytes(network: Any, model: ModelSettings) -> bool:
    can = network.device.type == "cpu" and not _four_bit_layers(network) and not hasattr(network, "get_base_model")
    if model.arithmetic == "int8" and not can:
        raise ModelError("model.arithmetic is int8, which is for small models on a CPU; set model.arithmetic=auto")
    return can and (model.arithmetic == "int8" or (model.arithmetic == "auto" and has_fast_int8()))


def _unpack(network: Any, dtype: torch.dtype | None = None) -> bool:
    """Replace 4-bit layers by plain ones with the same numbers, in float32 unless a type is given."""
    torch = require("torch", "train")
    bitsandbytes = require("bitsandbytes", "train")
    layers = _four_bit_layers(network)
    for name, layer in layers.items():
        weight = bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        plain = torch.nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
        plain.weight = torch.nn.Parameter(weight.to(dtype or torch.float32), requires_grad=False)
        if layer.bias is not None:
            plain.bias = torch.nn.Parameter(layer.bias.data.to(torch.float32), requires_grad=False)
        network.set_submodule(name, plain)
    forget_quantization(network)
    return bool(layers)


@dataclass(frozen=True, slots=True)
class UnslothEngine:
    """Loads and adapts through ``FastLanguageModel``, for prompts of at most ``max_length`` tokens; imported after
    transformers it works too, more slowly.
    """

    name: ClassVar[str] = "unsloth"
    max_length: int = 2048

    def for_training(self, base: Base, model: ModelSettings, finetune: FinetuneSettings, seed: int) -> Loaded:
        """See ``PeftEngine.for_training``."""
        fast, network, tokenizer = self._load(base, model)
        layers = _layers_to_train(base, network, finetune)
        with redirect_stdout(sys.stderr), _clear_errors(f"an adapter can't be put on '{base.name}'"):
            adapted = fast.get_peft_model(
                network,
                **_lora_options(finetune),
                layers_to_transform=list(range(finetune.first_layer, layers)) if finetune.first_layer else None,
                bias="none",
                use_gradient_checkpointing="unsloth" if finetune.gradient_checkpointing else False,
                random_state=seed,
            )
            return Loaded(fast.for_training(adapted), tokenizer)

    def for_scoring(self, base: Base, adapter: Path | None, model: ModelSettings) -> Loaded:
        """See ``PeftEngine.for_scoring``."""
        fast, network, tokenizer = self._load(base, model)
        with redirect_stdout(sys.stderr):
            if adapter is not None:
                network = _with_adapter(network, base, adapter)
            fast.for_inference(network)
        return Loaded(network.eval(), tokenizer)

    def _load(self, base: Base, model: ModelSettings) -> tuple[Any, Any, Any]:
        fast = import_unsloth().FastLanguageModel
        if model.attention != "auto":
            raise ModelError(
                f"model.attention is {model.attention}, but Unsloth chooses its own; set model.attention=auto or "
                "model.engine=peft"
            )
        longest = -(-self.max_length // PAD_MULTIPLE) * PAD_MULTIPLE  # it cuts what is longer, padding too
        check_weights(base)
        options: dict[str, Any] = {"load_in_4bit": False}
        if model.quantization == "nf4":
            options = {"load_in_4bit": True, "quantization_config": _four_bits()}
        with redirect_stdout(sys.stderr), _clear_errors(f"Unsloth can't load '{base.name}'", "; set model.engine=peft"):
            network, tokenizer = fast.from_pretrained(
                model_name=str(base.folder.resolve()),
                use_exact_model_name=True,  # else a name like a hub model's is mapped to another one
                # More than the model has would scale its positions, which is another model.
                max_seq_length=min(longest, positions(base.folder) or longest),
                device_map={"": _device()},
                offload_embedding=False,  # ids would have to be in main memory, the rest on the GPU
                dtype=compute_dtype(),
                **_LOCAL,
                **options,
            )
        _check_four_bits(base, network, model)
        return fast, network, _pad_on_the_right(tokenizer)


class AdapterConfig(BaseModel):
    """What a score depends on in PEFT's ``adapter_config.json``. PEFT has defaults for a missing rank or scale."""

    model_config = ConfigDict(extra="allow", strict=True)

    peft_type: Literal["LORA"]
    r: int = Field(gt=0)
    lora_alpha: float = Field(gt=0, allow_inf_nan=False)
    use_rslora: bool = False
    target_modules: list[str] | str | None = None
    layers_to_transform: list[int] | int | None = None
    rank_pattern: dict[str, int] | None = None


def read_adapter(folder: Path) -> tuple[AdapterConfig, dict[str, list[int]]]:
    """An adapter's configuration and its tensors' shapes; a ``ModelError`` if they can't be read or differ in rank."""
    file = folder / "adapter_config.json"
    try:
        config = AdapterConfig.model_validate(read_json(file))
    except ArtifactError as error:
        raise ModelError(f"the adapter '{folder}' has no {file.name} that can be read; {COPY_ADAPTER}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(map(str, fault["loc"])) or "the whole"
        value = "missing" if fault["type"] == "missing" else repr(fault["input"])[:_VALUE_LENGTH]
        raise ModelError(f"{field} in '{file}' is {value} ({fault['msg']}); {COPY_ADAPTER}") from error
    shapes = {name: shape for name, _, shape in _tensors(folder / "adapter_model.safetensors", COPY_ADAPTER)}
    for name, shape in shapes.items():
        if name.endswith("lora_A.weight") and shape[:1] != [config.r] and not config.rank_pattern:
            raise ModelError(f"r in '{file}' is {config.r}, but the shape of {name} is {tuple(shape)}; {COPY_ADAPTER}")
    return config, shapes


def check_tensors(adapter: Path, base: str, names: Set[str], expected: Set[str]) -> None:
    """Raise a ``ModelError`` unless an adapter has exactly the tensors that a base expects. PEFT itself leaves out what
    it doesn't know, and scores without what is missing.
    """
    missing, unknown = sorted(expected - names), sorted(names - expected)
    if missing or unknown or not expected:
        raise ModelError(
            f"the adapter '{adapter}' doesn't fit {base}: of its {len(names)} tensors {len(unknown)} have no place "
            f"there, and {len(missing)} are missing ({', '.join([*unknown[:2], *missing[:2]])}); fine-tune again on "
            "this base"
        )


def _with_adapter(network: Any, base: Base, adapter: Path) -> Any:
    torch = require("torch", "train")
    peft = require("peft", "train")
    _, shapes = read_adapter(adapter)
    with _clear_errors(f"the adapter '{adapter}' doesn't fit '{base.name}'"):
        adapted = peft.PeftModel.from_pretrained(network, adapter, local_files_only=True)
        tensors = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
    check_tensors(adapter, f"'{base.name}'", set(shapes), set(tensors))
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise ModelError(f"the adapter '{adapter}' holds numbers that aren't finite; {COPY_ADAPTER}")
    return adapted


Engine = PeftEngine | UnslothEngine


def weights_in_memory(folder: Path, settings: RunSettings, *, gpu: bool, scoring: bool) -> int:
    """Bytes that a base's weights take at most once loaded, from the headers of its files; batches come on top."""
    blocks = others = 0
    tied = bool(read_json(folder / "config.json").get("tie_word_embeddings"))
    for path in sorted(folder.glob("*.safetensors")):
        for name, dtype, shape in _tensors(path, "get the base model again"):
            stored_4_bit = dtype == "U8"
            if ".weight." in name or (tied and name == "lm_head.weight"):
                continue  # scales of 4-bit weights are counted with them
            count = math.prod(shape) * (2 if stored_4_bit else 1)
            if stored_4_bit or (".layers." in name and len(shape) == 2):
                blocks += count
            else:
                others += count
    plain = each = 2.0 if gpu else 4.0
    if settings.model.quantization == "nf4":
        each = _NF4_BYTES
        if not gpu and blocks <= UNPACK_UP_TO and (scoring or settings.finetune.head == "pooled"):
            each = plain if scoring else compute_dtype().itemsize  # the engine unpacks small models on a CPU
    return round(blocks * each + others * plain)


def _tensors(path: Path, advice: str) -> list[tuple[str, str, list[int]]]:
    """Name, type and shape of each tensor in a file, whose data isn't read."""
    try:
        with safe_open(path, framework="numpy") as file:
            slices = [(name, file.get_slice(name)) for name in file.keys()]  # noqa: SIM118
            return [(name, tensor.get_dtype(), tensor.get_shape()) for name, tensor in slices]
    except (OSError, SafetensorError) as error:
        raise ModelError(f"'{path}' isn't a safetensors file ({error}); {advice}") from error


def try_four_bits() -> str:
    """Quantize and multiply a small layer in NF4; returns where that worked, and raises a ``ModelError`` if not."""
    torch = require("torch", "train")
    linear = require("bitsandbytes", "train").nn.Linear4bit
    device = "cuda" if torch.cuda.is_available() else "cpu"
    plain = torch.nn.Linear(64, 64, bias=False)
    try:
        layer = linear(64, 64, bias=False, compute_dtype=torch.float32, quant_type="nf4")
        layer.load_state_dict(plain.state_dict())
        rows = torch.randn(4, 64, device=device, requires_grad=True)
        product = layer.to(device)(rows)
        product.sum().backward()
    except (RuntimeError, NotImplementedError, AttributeError, OSError) as error:
        raise ModelError(f"bitsandbytes can't multiply in 4 bits here: {error}") from error
    expected = plain.to(device)(rows)
    if not (product - expected).abs().mean() < 0.2 * expected.abs().mean():
        raise ModelError("bitsandbytes multiplies wrongly in 4 bits here; install another version of it")
    return "the GPU" if device == "cuda" else "the CPU"
