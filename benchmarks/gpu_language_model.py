"""The paper's way on a GPU: NF4 and LoRA on a randomly initialised model of Llama-8B's shape, engine against engine.

    python benchmarks/gpu_language_model.py                 everything, on an NVIDIA GPU, with 20 GB of disk
    python benchmarks/gpu_language_model.py --tiny          a toy model and batch, anywhere: tries the code

Weights are random, since speed and memory don't depend on them. Each part runs in a process of its own, so that its
peak memory is its own, and Unsloth is imported before transformers. Told are, for PEFT + bitsandbytes and for Unsloth
where it is installed:

- fine-tuning with the paper preset's settings on sequences as long as our prompts, and of 2,048 tokens: tokens per
  second (padding not counted, nor the first step) and peak memory;
- scoring one outfit of four items with 50 candidates, as ``coordi recommend`` asks it: pairs per second.

Published to compare with: 8B QLoRA in 7.4 GiB at 2,413 tokens/s on an RTX 4090 (torchtune); Unsloth 1.6 times plain.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from coordi.config import ModelSettings, load_settings

SHAPES: dict[str, dict[str, Any]] = {
    "8b": {  # of Llama 3.1 8B
        "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 131072, "rope_theta": 500000.0,
    },
    "tiny": {
        "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096, "rope_theta": 10000.0,
    },
}  # fmt: skip
# Round numbers: an outfit of eight items takes about 130 tokens.
PROMPT_TOKENS = range(80, 181, 10)
CANDIDATES, OUTFIT_TOKENS, CANDIDATE_TOKENS = 50, 100, 18
SEED = 17


def write_random_llama(folder: Path, shape: str) -> None:
    """A base model of a shape in the Hugging Face layout, in bfloat16, a shard a block, with a byte tokenizer."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    config = SHAPES[shape] | {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "tie_word_embeddings": False, "torch_dtype": "bfloat16", "bos_token_id": 0, "eos_token_id": 1,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    torch.manual_seed(SEED)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size, inner = config["hidden_size"], config["intermediate_size"]
    small = size // config["num_attention_heads"] * config["num_key_value_heads"]

    def drawn(*dimensions: int) -> Any:
        return (torch.randn(*dimensions, device=device, dtype=torch.bfloat16) * 0.02).cpu()

    def ones() -> Any:
        return torch.ones(size, dtype=torch.bfloat16)

    shards: dict[str, Callable[[], dict[str, Any]]] = {
        "ends": lambda: {
            "model.embed_tokens.weight": drawn(config["vocab_size"], size), "model.norm.weight": ones(),
            "lm_head.weight": drawn(config["vocab_size"], size),
        }
    }  # fmt: skip
    linear = {
        "self_attn.q_proj": (size, size), "self_attn.k_proj": (small, size), "self_attn.v_proj": (small, size),
        "self_attn.o_proj": (size, size), "mlp.gate_proj": (inner, size), "mlp.up_proj": (inner, size),
        "mlp.down_proj": (size, inner),
    }  # fmt: skip
    for number in range(config["num_hidden_layers"]):
        before = f"model.layers.{number}"
        shards[f"block{number}"] = lambda before=before: {  # type: ignore[misc]
            **{f"{before}.{name}.weight": drawn(*rows) for name, rows in linear.items()},
            f"{before}.input_layernorm.weight": ones(), f"{before}.post_attention_layernorm.weight": ones(),
        }  # fmt: skip
    index = {}
    for shard, make in shards.items():
        tensors = make()
        save_file(tensors, str(folder / f"model-{shard}.safetensors"), metadata={"format": "pt"})
        index |= dict.fromkeys(tensors, f"model-{shard}.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(["<s>", "</s>", *letters])}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))


def engine_of(name: str) -> Any:
    """The engine, Unsloth imported before transformers."""
    from coordi.model.engines import choose_engine

    return choose_engine(ModelSettings(engine="unsloth" if name == "unsloth" else "peft"))[0]


def train(base: Any, engine: str, lengths: str, steps: int) -> dict[str, float]:
    """Tokens per second of the paper preset's settings."""
    from coordi.model.heads import AnswerHead, Example, TrainingData
    from coordi.model.training import TrainingLoop, new_accelerator

    chosen = engine_of(engine)
    settings = load_settings("paper").finetune.model_copy(update=batches_of(base, lengths))
    rng = np.random.default_rng(SEED)
    count = steps * settings.batch_size
    sizes = np.full(count, 2048) if lengths == "2048" else rng.choice(PROMPT_TOKENS, size=count)
    ordered = np.sort(sizes.reshape(steps, settings.batch_size), axis=1).ravel()  # as lessons are sorted in a step
    examples = [Example((tuple(rng.integers(2, 258, size=int(size)).tolist()),), answer_length=1) for size in ordered]
    data = TrainingData(examples, steps, settings.batch_size)
    loaded = chosen.for_training(base, ModelSettings(base=str(base.folder)), settings, SEED)
    head, marks = AnswerHead(loaded.tokenizer, 2048), []
    loop = TrainingLoop(loaded.model, head, data, settings, SEED, new_accelerator(settings, Path()))
    for step in range(1, steps + 1):
        loop.step(step)
        synchronize()
        marks.append(time.perf_counter())
    tokens = sum(example.tokens for example in examples[settings.batch_size :])  # the first step warms up
    return {"tokens_per_second": tokens / (marks[-1] - marks[0]), **peak()}


def batches_of(base: Any, lengths: str) -> dict[str, int]:
    """Long sequences fit in fewer at a time; a toy's batch is a toy's."""
    if json.loads((base.folder / "config.json").read_text())["hidden_size"] == SHAPES["tiny"]["hidden_size"]:
        return {"micro_batch_size": 1, "batch_size": 2}
    return {"micro_batch_size": 2, "batch_size": 8} if lengths == "2048" else {}


def score(base: Any, engine: str, rounds: int) -> dict[str, float]:
    """An outfit with candidates, as they are ranked: what all begin with is read once."""
    from coordi.model.prefix_cache import PromptRunner

    loaded = engine_of(engine).for_scoring(base, None, ModelSettings(base=str(base.folder)))
    rng = np.random.default_rng(SEED)
    outfit = rng.integers(2, 258, size=OUTFIT_TOKENS).tolist()
    prompts = [[*outfit, *rng.integers(2, 258, size=CANDIDATE_TOKENS).tolist()] for _ in range(CANDIDATES)]
    reader = PromptRunner(loaded.model, (11, 12))
    reader.logits(prompts)
    took = []
    for _ in range(rounds):
        synchronize()
        started = time.perf_counter()
        reader.logits(prompts)
        took.append(time.perf_counter() - started)
    return {"pairs_per_second": CANDIDATES / float(np.median(took)), **peak()}


def synchronize() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak() -> dict[str, float]:
    """Most memory held: of the GPU, or of the process where there is none."""
    import torch

    if torch.cuda.is_available():
        return {"peak_gib": torch.cuda.max_memory_reserved() / 2**30}
    return {"peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def run(part: str, folder: Path, times: int) -> dict[str, float]:
    """A part in a process of its own."""
    command = [sys.executable, __file__, "--base", str(folder), "--part", part, "--times", str(times)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def part_of(name: str, folder: Path, times: int) -> dict[str, float]:
    """One part, such as ``train-peft-2048`` or ``score-unsloth``, here."""
    from coordi.model.base import resolve_base

    work, engine, *lengths = name.split("-")
    base = resolve_base(ModelSettings(base=str(folder)))
    return train(base, engine, lengths[0], times) if work == "train" else score(base, engine, times)


def measure(folder: Path, shape: str, times: int) -> dict[str, Any]:
    """All parts on all engines at hand."""
    import torch

    write_random_llama(folder, shape)
    gpu = torch.cuda.is_available()
    engines = ["peft", *(["unsloth"] if gpu and importlib.util.find_spec("unsloth") else [])]
    parts = {
        f"{work}-{engine}{lengths}": times if work == "train" else 5
        for engine in engines
        for work, lengths in (("train", "-prompts"), ("train", "-2048"), ("score", ""))
    }
    device = torch.cuda.get_device_name(0) if gpu else "CPU"
    return {"shape": shape, "device": device, **{part: run(part, folder, count) for part, count in parts.items()}}


def main() -> None:
    """Run all parts, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a toy model, anywhere")
    parser.add_argument("--times", type=int, default=10, help="optimizer steps")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(part_of(options.part, options.base, options.times)))
        return
    import torch

    if not options.tiny and not torch.cuda.is_available():
        parser.error("PyTorch sees no NVIDIA GPU; give --tiny to try the code on a toy model")
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), "tiny" if options.tiny else "8b", options.times)
    for part in ("train-{}-prompts", "train-{}-2048", "score-{}"):
        ours, other = found[part.format("peft")], found.get(part.format("unsloth"))
        name = next(name for name in ours if name != "peak_gib")
        line = f"{part.format('*'):<18} {name}: PEFT {ours[name]:.4g} (peak {ours['peak_gib']:.2f} GiB)"
        if other:
            ratio = other[name] / ours[name]
            line += f", Unsloth {other[name]:.4g} (peak {other['peak_gib']:.2f} GiB), ratio {ratio:.2f}"
        print(line)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
