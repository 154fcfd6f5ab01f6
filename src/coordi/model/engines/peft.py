"""The engine that runs anywhere: transformers, bitsandbytes NF4 and PEFT, on a CPU or a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from coordi.artifacts import read_json
from coordi.config import FinetuneSettings, ModelSettings
from coordi.errors import ModelError, require
from coordi.model.base import Base
from coordi.model.engines import Loaded, first_line, load_tokenizer
from coordi.model.int8 import has_fast_int8, to_int8
from coordi.model.passes import middle_layer
from coordi.model.quiet import quiet

if TYPE_CHECKING:
    import torch

# Up to this many parameters, scoring on a CPU unpacks the 4-bit weights once: the numbers are the same and no layer
# has to unpack them again for every batch (measured: dev/LOG.md). A larger model would not fit in memory unpacked.
UNPACK_UP_TO = 1_000_000_000


class PeftEngine:
    """Loads with transformers, quantizes with bitsandbytes, adapts with PEFT."""

    name = "peft"

    def for_training(self, base: Base, model: ModelSettings, finetune: FinetuneSettings, seed: int) -> Loaded:
        """See ``Engine.for_training``."""
        torch = require("torch", "train")
        peft = require("peft", "train")
        with quiet():
            tokenizer = load_tokenizer(base)
            network = _load(base, model)
            layers = layers_to_train(base, network, finetune)
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
            try:
                adapted = peft.get_peft_model(network, lora_config(finetune, layers))
            except ValueError as error:
                raise ModelError(f"an adapter can't be put on '{base.name}': {error}") from error
        return Loaded(adapted, tokenizer)

    def for_scoring(self, base: Base, adapter: Path | None, model: ModelSettings) -> Loaded:
        """See ``Engine.for_scoring``."""
        peft = require("peft", "train")
        with quiet():
            tokenizer = load_tokenizer(base)
            network = _load(base, model)
            unpacked = _is_small_on_cpu(network) and _unpack(network)
            if adapter is not None:
                try:
                    network = peft.PeftModel.from_pretrained(network, adapter, local_files_only=True)
                except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
                    raise ModelError(
                        f"the adapter '{adapter}' doesn't fit '{base.name}': {first_line(error)}"
                    ) from error
                if unpacked or model.quantization == "none":
                    network = network.merge_and_unload()
            if _in_bytes(network, model):
                to_int8(network)
        network.requires_grad_(False)
        return Loaded(network.eval(), tokenizer)


def layers_to_train(base: Base, network: Any, finetune: FinetuneSettings) -> int:
    """How many of a model's layers run in training.

    Raises:
        ModelError: If the settings name layers that it doesn't have.
    """
    layers = int(network.config.get_text_config().num_hidden_layers)
    if finetune.head == "pooled":
        wanted = finetune.last_layer or middle_layer(layers)
        if wanted > layers:
            raise ModelError(f"finetune.last_layer is {wanted}, but '{base.name}' has {layers} layers")
        layers = wanted
    if finetune.first_layer >= layers:
        raise ModelError(
            f"finetune.first_layer is {finetune.first_layer}, but '{base.name}' has layers 0 to {layers - 1} to train"
        )
    return layers


def lora_config(finetune: FinetuneSettings, layers: int) -> Any:
    """PEFT's configuration of the adapter that the settings describe, for a model of so many layers."""
    peft = require("peft", "train")
    some = finetune.first_layer > 0 or finetune.head == "pooled"  # a pooled head's model has more layers than are run
    return peft.LoraConfig(
        r=finetune.lora_rank,
        lora_alpha=finetune.lora_alpha,
        lora_dropout=finetune.lora_dropout,
        target_modules=list(finetune.target_modules),
        layers_to_transform=list(range(finetune.first_layer, layers)) if some else None,
        layers_pattern="layers" if some else None,
        task_type="CAUSAL_LM",
    )


def compute_dtype() -> torch.dtype:
    """The number format that matrix products of 4-bit layers run in: bfloat16 where the hardware has it."""
    torch = require("torch", "train")
    if torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported()
    else:
        # Elsewhere bfloat16 is imitated, many times slower than float32.
        fast = torch.backends.mkldnn.is_available() and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32  # type: ignore[no-any-return]


def _load(base: Base, model: ModelSettings) -> Any:
    """The base model; layers outside of the 4-bit ones stay in float32 on a CPU, so that little is lost in sums."""
    torch = require("torch", "train")
    transformers = require("transformers", "train")
    gpu = torch.cuda.is_available()
    options: dict[str, Any] = {"dtype": compute_dtype() if gpu else torch.float32}
    if model.quantization == "nf4":
        require("bitsandbytes", "train")
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute_dtype()
        )
    if _squeezes_attention(base):
        options["attn_implementation"] = "eager"  # PyTorch's own attention knows no soft-capping and leaves it out
    try:
        network = transformers.AutoModelForCausalLM.from_pretrained(
            base.folder, local_files_only=True, use_safetensors=True, device_map="cuda:0" if gpu else "cpu", **options
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise ModelError(f"'{base.name}' can't be loaded: {first_line(error)}") from error
    for layer in _four_bit_layers(network).values():
        # bitsandbytes rearranges the weights of a layer for inference the first time it is evaluated, and no gradient
        # flows through a rearranged layer: training that goes on after an evaluation would learn nothing.
        layer.support_avx512bf16_for_cpu = False
    network.config.use_cache = False
    return network


def _squeezes_attention(base: Base) -> bool:
    config = read_json(base.folder / "config.json")
    text = config.get("text_config") or config
    kind = str(text.get("model_type", ""))
    # A configuration may leave out what is its kind's default.
    return text.get("attn_logit_softcapping", 50.0 if kind == "gemma2" else None) is not None


def _four_bit_layers(network: Any) -> dict[str, Any]:
    return {name: module for name, module in network.named_modules() if type(module).__name__ == "Linear4bit"}


def _is_small_on_cpu(network: Any) -> bool:
    weights = sum(layer.in_features * layer.out_features for layer in _four_bit_layers(network).values())
    return bool(network.device.type == "cpu" and weights <= UNPACK_UP_TO)


def _in_bytes(network: Any, model: ModelSettings) -> bool:
    """Whether a model is scored in 8-bit integers.

    Raises:
        ModelError: If that is demanded where it can't be had.
    """
    can = network.device.type == "cpu" and not _four_bit_layers(network) and not hasattr(network, "get_base_model")
    if model.arithmetic == "int8" and not can:
        raise ModelError("model.arithmetic is int8, which is for small models on a CPU; set model.arithmetic=auto")
    return can and (model.arithmetic == "int8" or (model.arithmetic == "auto" and has_fast_int8()))


def _unpack(network: Any, dtype: torch.dtype | None = None) -> bool:
    """Replace 4-bit layers by plain ones that hold the same numbers, in float32 unless a type is given."""
    torch = require("torch", "train")
    bitsandbytes = require("bitsandbytes", "train")
    layers = _four_bit_layers(network)
    for name, layer in layers.items():
        weight = bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        plain = torch.nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
        plain.weight = torch.nn.Parameter(weight.to(dtype or torch.float32), requires_grad=False)
        if layer.bias is not None:
            plain.bias = torch.nn.Parameter(layer.bias.data.to(torch.float32), requires_grad=False)
        parent, _, last = name.rpartition(".")
        setattr(network.get_submodule(parent), last, plain)
    for attribute in ("hf_quantizer", "is_loaded_in_4bit", "is_quantized", "quantization_method"):
        if attribute in vars(network):
            delattr(network, attribute)
    if hasattr(network.config, "quantization_config"):
        del network.config.quantization_config
    return bool(layers)
