"""Trained models for other programs: an adapter's folder, ONNX, merged weights, and GGUF with a Modelfile."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import clear_write_errors
from coordi.config import ModelSettings
from coordi.errors import ModelError, require
from coordi.model.base import Base, quiet_libraries, resolve_base
from coordi.model.decoder import CONTROL, DECODER, PROJECTIONS, decoder_folder
from coordi.model.engines import Loaded, PeftEngine
from coordi.model.generation import MOST_TOKENS
from coordi.model.scoring import HEAD, HEAD_SETTINGS, check_origin, load_light_head, runs_without_torch
from coordi.model.trained import TrainedModel
from coordi.prompts import ALPACA, PromptRenderer, compatibility_instruction

ExportFormat = Literal["adapter", "onnx", "merged", "gguf"]
GGUF_FILE, MODELFILE = "model.gguf", "Modelfile"
_FILES = ("*.json", "*.safetensors", "README.md")  # of an adapter
# Names of a tokenizer's way to divide a text (llama.cpp, convert_hf_to_gguf.py), by the size of its vocabulary.
_DIVIDED: Mapping[int, str] = {49152: "smollm", 128256: "llama-bpe"}
_TENSORS: Mapping[str, str] = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    **{f"{part}.{name}": target for name, (target, part) in PROJECTIONS.items()},
}
_OUTSIDE: Mapping[str, str] = {
    "model.embed_tokens.weight": "token_embd", "model.norm.weight": "output_norm", "lm_head.weight": "output",
}  # fmt: skip
_CONVERT = "export --format merged, and convert it with llama.cpp's convert_hf_to_gguf.py"
_NORMAL, _OWN, _UNUSED = 1, 4, 5  # types of tokens, beside CONTROL
_SYSTEM = "{{ .System }}"  # of Ollama
_MOSTLY_HALF = 1  # type of a file


def export(model: TrainedModel, to: ExportFormat, out: Path) -> None:
    """Write a trained model into a new folder; a ``ModelError`` for one that the format can't hold."""
    out = out.resolve()
    if model.adapter is None:
        raise ModelError("the base model has no adapter to export; give the folder of a fine-tuned model")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f"'{out}' isn't an empty folder; give a new one")
    if to == "gguf" and model.settings.finetune.head == "pooled":
        raise ModelError(
            "a GGUF answers in words, but this adapter has a pooled head; fine-tune with finetune.head=answer, or "
            "export --format onnx"
        )
    if to == "onnx" and not runs_without_torch(model.settings):
        raise ModelError(
            "ONNX is for adapters on the bundled model whose engine, arithmetic and attention are auto; this one has "
            f"{_differing(model.settings.model)}; export --format merged"
        )
    with clear_write_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            part = Path(folder) / out.name  # moved to its place when it is complete
            part.mkdir()
            if to in ("adapter", "onnx"):
                _write_adapter(model, model.adapter, part, with_decoder=to == "onnx")
            else:
                _write_weights(model, model.adapter, part, as_gguf=to == "gguf")
            part.replace(out)


def _differing(settings: ModelSettings) -> str:
    expected = {"base": "bundled", "engine": "auto", "arithmetic": "auto", "attention": "auto"}
    values = {name: getattr(settings, name) for name in expected}
    return ", ".join(f"model.{name}={value}" for name, value in values.items() if value != expected[name])


def _write_adapter(model: TrainedModel, adapter: Path, out: Path, *, with_decoder: bool) -> None:
    for path in sorted(path for pattern in _FILES for path in adapter.glob(pattern)):
        shutil.copyfile(path, out / path.name)
    if with_decoder:
        layers = load_light_head(adapter, model.settings).layer
        shutil.copytree(decoder_folder(adapter, layers, in_bytes=False), out / DECODER)


def _write_weights(model: TrainedModel, adapter: Path, out: Path, *, as_gguf: bool) -> None:
    base = resolve_base(model.settings.model)
    check_origin(adapter, base)
    torch = require("torch", "train")
    settings = model.settings.model.model_copy(update={"quantization": "none", "arithmetic": "float32"})
    loaded = PeftEngine().for_scoring(base, adapter, settings)
    network: Any = loaded.model
    if any(tensor.dtype is torch.uint8 for tensor in network.state_dict().values()):
        raise ModelError(
            f"'{base.name}' is stored in 4 bits, which can't be merged; export --format adapter, and merge that "
            "into the same model in 16 bits with PEFT's merge_and_unload"
        )
    network.float().cpu()
    prompt = model.settings.prompt
    renderer = PromptRenderer(loaded.tokenizer, prompt.max_length, prompt.form)
    if not as_gguf:
        if prompt.form == "instruction":
            loaded.tokenizer.chat_template = renderer.template
        with quiet_libraries():
            network.to(torch.float16).save_pretrained(out)
            loaded.tokenizer.save_pretrained(out)
        for name in (HEAD, HEAD_SETTINGS):
            if (adapter / name).is_file():
                shutil.copyfile(adapter / name, out / name)
        return
    _write_gguf(loaded, base, renderer, out / GGUF_FILE)
    (out / MODELFILE).write_text(_modelfile(renderer, model), encoding="utf-8")


def _write_gguf(loaded: Loaded, base: Base, renderer: PromptRenderer, path: Path) -> None:
    """Write merged weights in 16 bits; llama.cpp's own converter does the same for more kinds of model. With weights in
    8 bits it rounds states to a byte, and the ranking of outfits suffers (dev/LOG.md).
    """
    gguf = require("gguf")
    network: Any = loaded.model
    config = network.config
    vocabulary = int(config.vocab_size)
    rope = config.rope_parameters["rope_type"] if config.model_type == "llama" else ""
    if rope != "default" or vocabulary not in _DIVIDED:
        raise ModelError(
            f"'{base.name}' is of the kind '{config.model_type}' (positions: {rope or 'unknown'}) with {vocabulary} "
            f"tokens, which this can't write as GGUF; {_CONVERT}"
        )
    writer = gguf.GGUFWriter(path, "llama")
    _add_metadata(writer, config, base.name)
    _add_tokenizer(writer, loaded.tokenizer, vocabulary)
    writer.add_chat_template(renderer.template)
    for name, tensor in network.state_dict().items():
        rows = tensor.numpy()
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        target = _gguf_name(name)
        if target is None:
            raise ModelError(f"'{base.name}' has a tensor that this can't write as GGUF ({name}); {_CONVERT}")
        if ".attn_q." in target or ".attn_k." in target:
            rows = _interleaved(
                rows, config.num_attention_heads if ".attn_q." in target else config.num_key_value_heads
            )
        writer.add_tensor(target, rows if rows.ndim == 1 else rows.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf_name(name: str) -> str | None:
    """Name of a tensor in a GGUF; None for what isn't stored."""
    if name in _OUTSIDE:
        return f"{_OUTSIDE[name]}.weight"
    parts = name.split(".", 3)  # model, layers, number, what
    part = _TENSORS.get(parts[3].removesuffix(".weight")) if parts[:2] == ["model", "layers"] else None
    return f"blk.{parts[2]}.{part}.weight" if part else None


def _interleaved(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of a head as llama.cpp turns them: pairs of numbers where transformers turns halves."""
    return np.ascontiguousarray(rows.reshape(heads, 2, -1, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape))


def _add_metadata(writer: Any, config: Any, name: str) -> None:
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_name(name)
    writer.add_file_type(_MOSTLY_HALF)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(head)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def _add_tokenizer(writer: Any, tokenizer: Any, vocabulary: int) -> None:
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    added = {number: CONTROL if token.special else _OWN for number, token in tokenizer.added_tokens_decoder.items()}
    words = {number: word for word, number in tokenizer.get_vocab().items()}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_DIVIDED[vocabulary])
    writer.add_token_list([words.get(number, f"[unused {number}]") for number in range(vocabulary)])
    kinds = {number: added.get(number, _NORMAL) for number in words}
    writer.add_token_types([kinds.get(number, _UNUSED) for number in range(vocabulary)])
    writer.add_token_merges([" ".join(merge) if isinstance(merge, list) else merge for merge in model["merges"]])
    for add, number in (
        (writer.add_bos_token_id, tokenizer.bos_token_id), (writer.add_eos_token_id, tokenizer.eos_token_id),
        (writer.add_pad_token_id, tokenizer.pad_token_id),
    ):  # fmt: skip
        if number is not None:
            add(number)
    # The template writes what begins a text, so a runtime must add nothing: a second one changes the answers.
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)


def _modelfile(renderer: PromptRenderer, model: TrainedModel) -> str:
    """Ollama's description of the model, with the text around a prompt as fine-tuning had it. In the instruction form
    the instruction is the system message, the input is the prompt.
    """
    tokenizer, system = renderer.tokenizer, []
    example = compatibility_instruction(["outerwear: navy wool blazer", "shoes: white leather sneakers"])
    if model.settings.prompt.recommended:
        example = replace(example, recommended=("outerwear: coat", "shoes: loafers"))
    content, text = f"{example.question}\n{example.body()}", renderer.text(example)
    if not renderer.is_chat:
        content, system = example.body(), [f'SYSTEM """{example.question}"""']
        before, after = ALPACA.replace("{question}", _SYSTEM).split("{body}")
    elif text.count(content) != 1:
        before, after, content = "", "", text
    else:
        before, after = text.split(content)
    before = f"{tokenizer.decode(list(renderer.beginning))}{before}"  # the file adds no token to a prompt
    if any(sign in f"{before}{after}" for sign in ("{{", '"""') if renderer.is_chat):
        raise ModelError("this base model's chat template can't be written into a Modelfile; export --format merged")
    stop = tokenizer.convert_ids_to_tokens(renderer.end_ids()[0])
    lines = [
        "# An outfit is asked about so:", *(f"#   {line}" for line in content.splitlines()),
        f"FROM ./{GGUF_FILE}", f'TEMPLATE """{before}{{{{ .Prompt }}}}{after}"""', *system, f'PARAMETER stop "{stop}"',
        "PARAMETER temperature 0", f"PARAMETER num_predict {MOST_TOKENS if model.names_items else 4}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
