"""The bundled language model in ONNX Runtime, without torch: the layers that an adapter's head reads, with the adapter.

The published GGUF's 4-bit weights (Q4_1: blocks of 32 with a scale and a minimum) become the weights of ``MatMulNBits``
as they are, only packed otherwise. An adapter's matrices are added beside them. On a processor with VNNI, which
multiplies bytes four times as fast as floats, both become weights of a byte, and inputs have two (``engines.to_int8``
does the same with torch). What is built is cached.
"""

from __future__ import annotations

import hashlib
import shutil
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import (
    Record,
    build_once,
    cache_folder,
    hash_file,
    is_intact,
    read_json,
    read_manifest,
    write_json,
)
from coordi.encoders.base import onnx_session
from coordi.errors import ModelError, require
from coordi.model.base import FILE, LAYERS, SHA256, checked_gguf
from coordi.model.engines import COPY_ADAPTER, AdapterConfig, check_tensors, read_adapter
from coordi.model.prefix_cache import BATCH_TOKENS, PrefixCache, run_prompts

NETWORK, WEIGHTS, EMBEDDINGS = "decoder.onnx", "decoder.weights", "embeddings.npy"
TOKENIZER, SHAPE = "tokenizer.json", "shape.json"
NORM, TEMPLATE = "norm.npy", "chat_template.jinja"
DECODER = "decoder"  # in an exported adapter's folder
_BUILD = 3  # goes up when what is built changes, so that an older one in the cache isn't used
CONTROL = 3  # type of a token that is no text
_BLOCK = 32  # weights that share a scale and a minimum
_OPSET, _IR = 21, 10
_TENSOR_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int64": 7}  # onnx.TensorProto.DataType
_ATTRIBUTES = {float: (2, 1), int: (3, 2), list: (8, 7)}  # field and onnx.AttributeProto.AttributeType
_SMALL, _PAGE = 1024, 4096  # bytes of a constant that stays in the network's file, and between others' beginnings
_INT8_MAX, _UPPER_BYTE, _SMALLEST = 127, 256, 1e-12
_MASKED = -1e9  # added to the score of a key that isn't attended to
PROJECTIONS: Mapping[str, tuple[str, str]] = {
    "q_proj": ("attn_q", "self_attn"), "k_proj": ("attn_k", "self_attn"), "v_proj": ("attn_v", "self_attn"),
    "o_proj": ("attn_output", "self_attn"), "gate_proj": ("ffn_gate", "mlp"), "up_proj": ("ffn_up", "mlp"),
    "down_proj": ("ffn_down", "mlp"),
}  # fmt: skip


class Shape(NamedTuple):
    """Numbers of a Llama-like decoder."""

    layers: int  # those that are built
    all_layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    epsilon: float
    rope_base: float
    positions: int
    first_token: int  # before every text
    last_token: int  # of a turn

    @classmethod
    def of(cls, metadata: Mapping[str, Any], layers: int) -> Shape:
        """Read it from a GGUF's metadata."""
        heads, hidden = metadata["llama.attention.head_count"], metadata["llama.embedding_length"]
        return cls(
            layers=layers,
            all_layers=metadata["llama.block_count"],
            hidden=hidden,
            heads=heads,
            kv_heads=metadata["llama.attention.head_count_kv"],
            head_size=hidden // heads,
            epsilon=metadata["llama.attention.layer_norm_rms_epsilon"],
            rope_base=metadata["llama.rope.freq_base"],
            positions=metadata["llama.context_length"],
            first_token=metadata["tokenizer.ggml.bos_token_id"],
            last_token=metadata["tokenizer.ggml.eos_token_id"],
        )


def multiplies_bytes() -> bool:
    """Whether this processor multiplies bytes fast, and without overflow."""
    try:
        return "vnni" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        return False


def decoder_folder(adapter: Path, layers: int, *, in_bytes: bool) -> Path:
    """The decoder of an adapter on the bundled model's first layers: the one exported with it, else the cached one,
    with weights in bytes or in 4 bits, built now if it isn't there, or is damaged.
    """
    if layers > LAYERS:
        raise ModelError(f"the bundled model has {LAYERS} layers, {layers} are needed; fine-tune again on this base")
    weights = [hash_file(adapter / name) for name in ("adapter_config.json", "adapter_model.safetensors")]
    identity = hashlib.sha256("".join([SHA256, *weights]).encode()).hexdigest()
    record = Record("build the bundled model's decoder", {"build": _BUILD}, None, {FILE: SHA256, "adapter": identity})
    exported = adapter / DECODER
    if exported.is_dir():
        _check_exported(exported, record, layers)
        return exported
    folder = cache_folder() / "bundled" / f"{DECODER}-{identity[:16]}-{layers}-{8 if in_bytes else 4}-{_BUILD}"
    return build_once(folder, record, lambda: _build(adapter, layers, in_bytes, folder))


def _check_exported(folder: Path, record: Record, layers: int) -> None:
    """Refuse a decoder that is damaged, of another adapter or version, or of other layers than the head reads."""
    if is_intact(folder):
        manifest, shape = read_manifest(folder), Shape(**read_json(folder / SHAPE))
        built_from = [manifest.get("settings"), manifest.get("inputs")]
        if built_from == [record.settings, record.inputs] and shape.layers == layers:
            return
    raise ModelError(
        f"'{folder}' is damaged, or not the decoder of the adapter beside it; export it again with coordi export"
    )


def _build(adapter: Path, layers: int, in_bytes: bool, folder: Path) -> None:
    for path in folder.parent.glob(f"{DECODER}-*"):
        build = path.name.rpartition("-")[2]
        if build.isdecimal() and int(build) < _BUILD:  # no code of this version reads it
            shutil.rmtree(path, ignore_errors=True)
    matrices = _matrices(adapter, layers)
    reader = require("gguf").GGUFReader(checked_gguf())
    metadata = {name: field.contents() for name, field in reader.fields.items()}
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    shape = Shape.of(metadata, layers)
    with (folder / WEIGHTS).open("wb") as file:
        network = _network(_Graph(file, in_bytes), tensors, shape, matrices)
    (folder / NETWORK).write_bytes(network)
    np.save(folder / EMBEDDINGS, tensors["token_embd.weight"].data)
    np.save(folder / NORM, tensors["output_norm.weight"].data)
    (folder / TOKENIZER).write_text(_tokenizer(metadata), encoding="utf-8")
    (folder / TEMPLATE).write_text(metadata["tokenizer.chat_template"], encoding="utf-8")
    write_json(folder / SHAPE, shape._asdict())


def _matrices(folder: Path, layers: int) -> dict[tuple[int, str], tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """An adapter's matrices ``(in, r)`` and ``(r, out)``, scaled, by layer and projection."""
    from safetensors.numpy import load_file

    config, shapes = read_adapter(folder)
    stems = _stems(folder, config, layers)
    expected = {f"{stem}{side}.weight" for stem in stems.values() for side in "AB"}
    check_tensors(folder, f"the bundled model's first {layers} layers", set(shapes), expected)
    try:
        tensors = load_file(str(folder / "adapter_model.safetensors"))
    except TypeError as error:  # bfloat16, say, which numpy doesn't have
        raise ModelError(f"the adapter '{folder}': {error} by this engine; {_USE_PEFT}") from error
    scale = config.lora_alpha / (config.r**0.5 if config.use_rslora else config.r)
    matrices = {}
    for key, stem in stems.items():
        down, up = (tensors[f"{stem}{side}.weight"].astype(np.float32) for side in "AB")
        if not (np.isfinite(down).all() and np.isfinite(up).all()):
            raise ModelError(f"the adapter '{folder}' holds numbers that aren't finite; {COPY_ADAPTER}")
        matrices[key] = (np.ascontiguousarray(down.T), np.ascontiguousarray(up.T * scale))
    return matrices


def _stems(folder: Path, config: AdapterConfig, layers: int) -> dict[tuple[int, str], str]:
    """What the names of an adapter's two tensors begin with, by layer and projection."""
    modules, only = config.target_modules, config.layers_to_transform
    unknown = [name for name in _UNSUPPORTED if getattr(config, name, None) not in (None, False, "none", {}, [])]
    if not isinstance(modules, list) or not set(modules) <= set(PROJECTIONS):
        unknown.append(f"target_modules={modules}")
        modules = []
    if unknown:
        raise ModelError(f"the adapter '{folder}' uses {', '.join(unknown)}, which this engine can't; {_USE_PEFT}")
    adapted = set(range(layers)) if only is None else {only} if isinstance(only, int) else set(only)
    return {
        (layer, name): f"base_model.model.model.layers.{layer}.{PROJECTIONS[name][1]}.{name}.lora_"
        for layer in range(layers)
        for name in modules
        if layer in adapted
    }


_USE_PEFT = "set model.engine to peft in its settings.json"
_UNSUPPORTED = (
    "use_dora", "bias", "rank_pattern", "alpha_pattern", "fan_in_fan_out", "layer_replication",
    "alora_invocation_tokens", "arrow_config",
)  # fmt: skip


_Field = tuple[int, int | float | str | bytes]  # its number in a message, and its value


def _message(*fields: _Field) -> bytes:
    """A message in protobuf's encoding (https://protobuf.dev/programming-guides/encoding)."""
    parts = []
    for number, value in fields:
        if isinstance(value, float):
            parts += [_varint(number << 3 | 5), struct.pack("<f", value)]
        elif isinstance(value, int):
            parts += [_varint(number << 3), _varint(value)]
        else:
            content = value.encode() if isinstance(value, str) else value
            parts += [_varint(number << 3 | 2), _varint(len(content)), content]
    return b"".join(parts)


def _varint(number: int) -> bytes:
    number %= 2**64  # a negative one is its two's complement
    digits = [number & 127]
    while number := number >> 7:
        digits.append(number & 127)
    return bytes([*(digit | 128 for digit in digits[:-1]), digits[-1]])


@dataclass
class _Graph:
    """A graph as it is written, node by node: messages of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto."""

    weights: BinaryIO  # of constants that are large
    in_bytes: bool
    rounded: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # inputs in bytes, by name
    nodes: list[bytes] = field(default_factory=list)
    constants: list[bytes] = field(default_factory=list)

    def constant(self, name: str, value: NDArray[Any]) -> str:
        content = value.tobytes()
        fields: list[_Field] = [*((1, size) for size in value.shape), (2, _TENSOR_TYPES[value.dtype.name]), (8, name)]
        if len(content) <= _SMALL:
            fields.append((9, content))
        else:
            start = -(-self.weights.tell() // _PAGE) * _PAGE
            self.weights.seek(start)
            self.weights.write(content)
            stored = {"location": WEIGHTS, "offset": str(start), "length": str(len(content))}
            fields += [*((13, _message((1, key), (2, text))) for key, text in stored.items()), (14, 1)]
        self.constants.append(_message(*fields))
        return name

    def node(
        self, kind: str, inputs: Iterable[str], output: str, domain: str = "", **attributes: float | list[int]
    ) -> str:
        fields: list[_Field] = [*((1, name) for name in inputs), (2, output), (4, kind)]
        for name, value in attributes.items():
            values, (number, kind_of_value) = value if isinstance(value, list) else [value], _ATTRIBUTES[type(value)]
            fields.append((5, _message((1, name), *((number, each) for each in values), (20, kind_of_value))))
        self.nodes.append(_message(*fields, (7, domain)))
        return output


def _tensor(name: str, kind: str, *sizes: int | str) -> bytes:
    """An input or output, with the names of sizes that vary."""
    dimensions = [(1, _message((2 if isinstance(size, str) else 1, size))) for size in sizes]
    tensor = _message((1, _TENSOR_TYPES[kind]), (2, _message(*dimensions)))
    return _message((1, name), (2, _message((1, tensor))))


def _network(graph: _Graph, tensors: Mapping[str, Any], shape: Shape, adapter: Mapping[tuple[int, str], Any]) -> bytes:
    """Inputs are embeddings ``(B, T, H)``, positions ``(B, T)``, an additive mask ``(B, 1, T, S)`` and keys and values
    of what comes before, ``(B, kv_heads, S - T, D)`` for each layer; outputs are states ``(B, T, H)``, keys and values.
    """
    _add_constants(graph, shape)
    inputs = [
        _tensor("embeddings", "float32", "B", "T", shape.hidden),
        _tensor("positions", "int64", "B", "T"),
        _tensor("mask", "float32", "B", 1, "T", "S"),
    ]
    outputs, states = [], "embeddings"
    for layer in range(shape.layers):
        for part in ("keys", "values"):
            heads, size = shape.kv_heads, shape.head_size
            inputs.append(_tensor(f"past_{part}_{layer}", "float32", "B", heads, "P", size))
            outputs.append(_tensor(f"{part}_{layer}", "float32", "B", heads, "S", size))
        states = _add_layer(graph, tensors, shape, adapter, layer, states)
    graph.node("Identity", [states], "states")
    outputs.append(_tensor("states", "float32", "B", "T", shape.hidden))
    lists: dict[int, list[bytes]] = {1: graph.nodes, 2: [b"decoder"], 5: graph.constants, 11: inputs, 12: outputs}
    content = _message(*((number, part) for number, parts in lists.items() for part in parts))
    sets = [_message((1, domain), (2, version)) for domain, version in (("", _OPSET), ("com.microsoft", 1))]
    return _message((1, _IR), (7, content), *((8, operators) for operators in sets))


def _add_constants(graph: _Graph, shape: Shape) -> None:
    half = shape.head_size // 2
    angles = np.arange(shape.positions)[:, None] / shape.rope_base ** (np.arange(half) / half)  # (positions, half)
    graph.constant("cos", np.cos(angles).astype(np.float32))
    graph.constant("sin", np.sin(angles).astype(np.float32))
    graph.constant("scale", np.array(shape.head_size**-0.5, dtype=np.float32))
    if graph.in_bytes:
        for name, number in {
            "smallest": _SMALLEST, "both_bytes": _INT8_MAX * _UPPER_BYTE, "upper_byte": _UPPER_BYTE, "one": 1,
            "lowest": -128, "highest": 127, "middle_number": 128,
        }.items():  # fmt: skip
            graph.constant(name, np.array(number, dtype=np.float32))
        graph.constant("middle", np.array(128, dtype=np.uint8))
        graph.constant("last_axis", np.array([-1], dtype=np.int64))
    shared = shape.heads // shape.kv_heads
    for name, dimensions in {
        "to_heads": (0, 0, shape.kv_heads, shared, shape.head_size),
        "to_kv_heads": (0, 0, shape.kv_heads, shape.head_size),
        "to_rows": (0, shape.kv_heads, -1, shape.head_size),  # all heads that share keys, one after the other
        "to_scores": (0, shape.heads, -1, 0),
        "from_scores": (0, shape.kv_heads, -1, 0),
        "from_rows": (0, shape.kv_heads, shared, -1, shape.head_size),
        "to_hidden": (0, 0, shape.hidden),
    }.items():
        graph.constant(name, np.array(dimensions, dtype=np.int64))


def _add_layer(
    graph: _Graph, tensors: Mapping[str, Any], shape: Shape, adapter: Mapping[tuple[int, str], Any],
    layer: int, states: str,
) -> str:  # fmt: skip
    def name(part: str) -> str:
        return f"{part}_{layer}"

    def norm(inputs: str, which: str) -> str:
        weight = graph.constant(name(which), tensors[f"blk.{layer}.{which}.weight"].data)
        return graph.node(
            "SimplifiedLayerNormalization", [inputs, weight], name(f"{which}_out"), axis=-1, epsilon=shape.epsilon
        )

    def linear(inputs: str, projection: str) -> str:
        tensor = tensors[f"blk.{layer}.{PROJECTIONS[projection][0]}.weight"]
        return _add_linear(graph, tensor, shape, adapter.get((layer, projection)), name(projection), inputs)

    normed = norm(states, "attn_norm")
    turned = {
        part: graph.node(
            "RotaryEmbedding", [linear(normed, part), "positions", "cos", "sin"], name(f"turned_{part}"),
            "com.microsoft", num_heads=heads, rotary_embedding_dim=shape.head_size,
        )
        for part, heads in (("q_proj", shape.heads), ("k_proj", shape.kv_heads))
    }  # fmt: skip
    attended = _add_attention(graph, layer, turned["q_proj"], turned["k_proj"], linear(normed, "v_proj"))
    states = graph.node("Add", [states, linear(attended, "o_proj")], name("attention"))
    normed = norm(states, "ffn_norm")
    gate = linear(normed, "gate_proj")
    gated = graph.node("Mul", [gate, graph.node("Sigmoid", [gate], name("sigmoid"))], name("gated"))
    inner = graph.node("Mul", [gated, linear(normed, "up_proj")], name("inner"))
    return graph.node("Add", [states, linear(inner, "down_proj")], name("states"))


def _add_attention(graph: _Graph, layer: int, queries: str, keys: str, values: str) -> str:
    def node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        return graph.node(kind, inputs, f"{output}_{layer}", **attributes)

    heads = node("Transpose", [node("Reshape", [queries, "to_heads"], "q_heads")], "q_turned", perm=[0, 2, 3, 1, 4])
    rows = node("Reshape", [heads, "to_rows"], "q_rows")
    every = []
    for part, own in (("keys", keys), ("values", values)):
        split = node("Reshape", [own, "to_kv_heads"], f"own_{part}")
        turned = node("Transpose", [split], f"turned_{part}", perm=[0, 2, 1, 3])
        every.append(node("Concat", [f"past_{part}_{layer}", turned], part, axis=2))
    scores = node("MatMul", [rows, node("Transpose", [every[0]], "k_turned", perm=[0, 1, 3, 2])], "products")
    scores = node("Reshape", [node("Mul", [scores, "scale"], "scaled"), "to_scores"], "scores")
    shares = node("Softmax", [node("Add", [scores, "mask"], "masked")], "shares", axis=-1)
    shares = node("Reshape", [shares, "from_scores"], "share_rows")
    mixed = node("Reshape", [node("MatMul", [shares, every[1]], "mixed"), "from_rows"], "mixed_heads")
    return node("Reshape", [node("Transpose", [mixed], "mixed_turned", perm=[0, 3, 1, 2, 4]), "to_hidden"], "attended")


def _add_linear(graph: _Graph, tensor: Any, shape: Shape, adapter: Any, name: str, inputs: str) -> str:
    """A product with 4-bit weights, and with an adapter's matrices beside it."""
    if tensor.tensor_type.name != "Q4_1":
        raise ModelError(f"the bundled model's {tensor.name} is stored as {tensor.tensor_type.name}, expected Q4_1")
    size, count = (int(number) for number in tensor.shape)  # in, out
    rows = tensor.data.reshape(count, size // _BLOCK, -1)
    if name.startswith(("q_proj", "k_proj")):  # llama.cpp turns pairs of numbers, other libraries halves of a head
        rows = rows.reshape(-1, shape.head_size // 2, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)
    rank = 0 if adapter is None else adapter[0].shape[-1]
    if adapter is not None and [matrix.shape for matrix in adapter] != [(size, rank), (rank, count)]:
        raise ModelError(
            f"the adapter's matrices for {name} are {adapter[0].shape} and {adapter[1].shape}, the bundled model's "
            f"weights are ({size}, {count}); fine-tune again on this base"
        )
    if graph.in_bytes:
        weights = dequantized(rows).reshape(count, size) + (0 if adapter is None else (adapter[0] @ adapter[1]).T)
        return _add_linear_in_bytes(graph, np.asarray(weights), name, inputs)
    weights, scales, zeros = unpack_q4_1(rows)
    parts = [
        graph.constant(f"{name}_{part}", value)
        for part, value in (("weights", weights), ("scales", scales), ("zeros", zeros))
    ]
    out = graph.node(
        "MatMulNBits", [inputs, *parts], f"{name}_base", "com.microsoft", K=size, N=count, bits=4, block_size=_BLOCK
    )
    if adapter is None:
        return out
    down, up = (graph.constant(f"{name}_{side}", matrix) for side, matrix in zip("AB", adapter, strict=True))
    small = graph.node("MatMul", [inputs, down], f"{name}_small")
    return graph.node("Add", [out, graph.node("MatMul", [small, up], f"{name}_change")], f"{name}_out")


def _add_linear_in_bytes(graph: _Graph, weights: NDArray[np.float32], name: str, inputs: str) -> str:
    """A product with weights ``(out, in)`` rounded to a byte, with a scale for each output."""
    scales = np.maximum(np.abs(weights).max(axis=1), _SMALLEST) / _INT8_MAX
    rounded = np.rint(weights / scales[:, None]).astype(np.int8).T
    matrix, scale = graph.constant(f"{name}_weights", rounded), graph.constant(f"{name}_scales", scales)
    if inputs not in graph.rounded:
        graph.rounded[inputs] = _in_two_bytes(graph, inputs)
    upper, lower, of_inputs = graph.rounded[inputs]
    parts = [
        graph.node(
            "MatMulIntegerToFloat", [part, matrix, of_part, scale, "middle"], f"{name}_{of_part}", "com.microsoft"
        )
        for part, of_part in ((upper, "upper_byte"), (lower, "one"))
    ]
    return graph.node("Mul", [graph.node("Add", parts, f"{name}_sum"), of_inputs], f"{name}_out")


def _in_two_bytes(graph: _Graph, inputs: str) -> tuple[str, str, str]:
    """Inputs as an upper and a lower byte, 128 standing for 0, and a scale for each token."""

    def node(kind: str, names: Sequence[str], output: str, **attributes: Any) -> str:
        return graph.node(kind, names, f"{inputs}_{output}", **attributes)

    largest = node("ReduceMax", [node("Abs", [inputs], "sizes"), "last_axis"], "largest", keepdims=1)
    scale = node("Div", [node("Max", [largest, "smallest"], "positive"), "both_bytes"], "scale")
    scaled = node("Div", [inputs, scale], "scaled")
    upper = node("Round", [node("Div", [scaled, "upper_byte"], "divided")], "upper")
    nearest = node("Round", [node("Sub", [scaled, node("Mul", [upper, "upper_byte"], "taken")], "left")], "nearest")
    lower = node("Clip", [nearest, "lowest", "highest"], "lower")
    upper, lower = (
        node("Cast", [node("Add", [part, "middle_number"], f"{what}_moved")], f"{what}_byte", to=_TENSOR_TYPES["uint8"])
        for what, part in (("upper", upper), ("lower", lower))
    )
    return upper, lower, scale


def dequantized(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Weights ``(out, n, 32)`` of Q4_1 blocks ``(out, n, 20)``."""
    scales, minima, numbers = _read_q4_1(blocks)
    return np.asarray(scales[..., None] * numbers + minima[..., None], dtype=np.float32)


def _read_q4_1(blocks: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """Scales and minima ``(out, n)`` and numbers ``(out, n, 32)`` of blocks ``(out, n, 20)``: a scale d and a minimum m
    in half precision, and 32 numbers q of 4 bits, of which two in a byte are 16 apart. A weight is ``d * q + m``.
    """
    halves = np.ascontiguousarray(blocks[..., :4]).view(np.float16).astype(np.float32)  # (out, n, 2)
    packed = blocks[..., 4:]
    return halves[..., 0], halves[..., 1], np.concatenate([packed & 15, packed >> 4], axis=-1)


def unpack_q4_1(
    blocks: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Weights ``(out, n, 16)``, scales and zero points ``(out, n)`` of ``MatMulNBits`` for blocks ``(out, n, 20)``.

    A weight ``d * q + m`` is ``(q - z) * d`` with ``z = -m / d``. Of two numbers in a byte, ONNX's are adjacent.
    """
    scales, minima, numbers = _read_q4_1(blocks)
    constant = scales == 0  # all weights are the minimum: (0 + 1) * m
    numbers[constant] = 0
    zeros = np.where(constant, -1.0, -minima / np.where(constant, 1.0, scales)).astype(np.float32)
    scales = np.where(constant, minima, scales).astype(np.float32)
    return np.asarray(numbers[..., 0::2] | (numbers[..., 1::2] << 4), dtype=np.uint8), scales, zeros


def _tokenizer(metadata: Mapping[str, Any]) -> str:
    """The tokenizer as JSON of the library ``tokenizers``: byte-level BPE whose digits are separate tokens (llama.cpp,
    ``LLAMA_VOCAB_PRE_TYPE_SMOLLM``).
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    words = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={word: n for n, word in enumerate(words)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = metadata["tokenizer.ggml.token_type"]
    special = [word for word, kind in zip(words, kinds, strict=True) if kind == CONTROL]
    tokenizer.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in special])
    return str(tokenizer.to_str())


class LightTokenizer:
    """What ``prompts.PromptRenderer`` needs of a tokenizer."""

    unk_token_id = None
    special_tokens_map: Mapping[str, str] = MappingProxyType({})

    def __init__(self, file: Path, template: Path, shape: Shape) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(file))
        self.chat_template = template.read_text(encoding="utf-8")
        self.bos_token_id, self.eos_token_id = shape.first_token, shape.last_token
        self.eos_token = self._tokenizer.id_to_token(shape.last_token)
        self.added_tokens_decoder = self._tokenizer.get_added_tokens_decoder()

    def __call__(self, text: str, *, add_special_tokens: bool = False) -> dict[str, list[int]]:
        """Token ids of a text."""
        return {"input_ids": self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids}


class Decoder:
    """Runs prompts through a built decoder, in batches of at most ``batch_tokens``, padding included; what several
    begin with is computed once.
    """

    def __init__(self, folder: Path, batch_tokens: int | None = None) -> None:
        self._batch_tokens = batch_tokens or BATCH_TOKENS
        self.shape = Shape(**read_json(folder / SHAPE))
        self.tokenizer: Any = LightTokenizer(folder / TOKENIZER, folder / TEMPLATE, self.shape)
        self._norm = np.load(folder / NORM)
        self._embeddings = np.load(folder / EMBEDDINGS, mmap_mode="r")
        self._session = onnx_session(folder / NETWORK)

    def states(self, prompts: Sequence[Sequence[int]], skip: int) -> NDArray[np.float32]:
        """Mean states of prompts after their first ``skip`` tokens, ``(N, H)``; see ``prefix_cache.PromptRunner``."""
        if min(map(len, prompts), default=skip + 1) <= skip:
            raise ModelError(f"a prompt has no token after the first {skip}")
        return self._run(prompts, skip, lambda _, result: result.sums / result.counts[:, None])

    def answers(self, prompts: Sequence[Sequence[int]], tokens: Sequence[int]) -> NDArray[np.float32]:
        """Logits ``(N, A)`` of the tokens right after each prompt; the decoder must have all layers."""
        if self.shape.layers < self.shape.all_layers:
            raise ModelError(f"the decoder has {self.shape.layers} layers of {self.shape.all_layers}; export it again")
        last = self._run(prompts, 0, lambda states, _: states)  # (N, H)
        lengths = np.sqrt(np.square(last).mean(axis=1, keepdims=True) + self.shape.epsilon)
        # The embeddings are the output's weights too.
        return np.asarray(last / lengths * self._norm @ self._embedded(np.array([tokens]))[0].T, dtype=np.float32)

    def _run(
        self, prompts: Sequence[Sequence[int]], skip: int,
        result_of: Callable[[NDArray[np.float32], PrefixCache], NDArray[np.float32]],
    ) -> NDArray[np.float32]:  # fmt: skip
        """Rows ``(N, H)`` of prompts, each computed once, from the state of its last token and the sums of all."""
        numbers = {prompt: number for number, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
        results = np.zeros((len(numbers), self.shape.hidden), dtype=np.float32)

        def put(rows: list[int], states: NDArray[np.float32], result: PrefixCache) -> None:
            results[rows] = result_of(states, result)

        if numbers:
            run_prompts(list(numbers), self._nothing(), partial(self._forward, skip=skip), put, self._batch_tokens)
        if not np.isfinite(results).all():
            raise ModelError("the model's output isn't a finite number; its weights are damaged")
        return results[[numbers[tuple(prompt)] for prompt in prompts]]

    def _nothing(self) -> PrefixCache:
        empty = np.zeros((1, self.shape.kv_heads, 0, self.shape.head_size), dtype=np.float32)
        zero = np.zeros(1, dtype=np.int64)
        sums = np.zeros((1, self.shape.hidden), dtype=np.float32)
        return PrefixCache(((empty, empty),) * self.shape.layers, zero, np.zeros((1, 0), dtype=bool), sums, zero)

    def _forward(
        self,
        prefixes: PrefixCache,
        owners: Sequence[int],
        texts: Sequence[Sequence[int]],
        *,
        store: bool,
        skip: int,
    ) -> tuple[NDArray[np.float32], PrefixCache]:
        """See ``prefix_cache.Forward``: last states ``(B, H)``; those after the first ``skip`` tokens are summed."""
        rows = np.array(owners)
        lengths = np.array([len(text) for text in texts])
        offsets = np.arange(lengths.max())
        ids = np.array([[*text, *[0] * (len(offsets) - len(text))] for text in texts])  # (B, T)
        own = offsets < lengths[:, None]
        valid = np.concatenate([prefixes.mask[rows], own], axis=1)  # (B, S)
        # A token sees all of what comes before, and of its own text what isn't after it.
        before = np.ones((len(offsets), valid.shape[1] - len(offsets)), dtype=bool)
        visible = np.concatenate([before, offsets[:, None] >= offsets], axis=1)  # (T, S)
        positions = np.where(own, prefixes.lengths[rows][:, None] + offsets, 0)
        inputs = {
            "embeddings": self._embedded(ids),
            "positions": positions,
            "mask": np.where(visible & valid[:, None, None, :], 0.0, _MASKED).astype(np.float32),
        }
        for layer, (keys, values) in enumerate(prefixes.layers):
            inputs |= {f"past_keys_{layer}": keys[rows], f"past_values_{layer}": values[rows]}
        stored = [f"{part}_{layer}" for layer in range(self.shape.layers) for part in ("keys", "values") if store]
        states, *pairs = self._session.run(["states", *stored], inputs)
        counted = own & (positions >= skip)  # (B, T)
        total = prefixes.sums[rows] + (states * counted[:, :, None]).sum(axis=1)
        counts = prefixes.counts[rows] + counted.sum(axis=1)
        layers = tuple(zip(pairs[0::2], pairs[1::2], strict=True))
        last: NDArray[np.float32] = states[np.arange(len(rows)), lengths - 1]
        return last, PrefixCache(layers, prefixes.lengths[rows] + lengths, valid, total, counts)

    def _embedded(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Embeddings ``(B, T, H)`` of token ids ``(B, T)``, stored as Q8_0: 32 bytes with a scale in half precision."""
        blocks = np.asarray(self._embeddings[ids]).reshape(*ids.shape, -1, _BLOCK + 2)
        scales = np.ascontiguousarray(blocks[..., :2]).view(np.float16).astype(np.float32)  # (B, T, n, 1)
        return (np.ascontiguousarray(blocks[..., 2:]).view(np.int8) * scales).reshape(*ids.shape, -1)
