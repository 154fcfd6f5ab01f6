"""The paper's way on a GPU: NF4 and LoRA on a randomly initialised model of Llama-8B's shape, engine against engine.

    python benchmarks/gpu_language_model.py                 everything, on an NVIDIA GPU, with 20 GB of disk
    python benchmarks/gpu_language_model.py --tiny          a toy model and batch, anywhere: tries the code

Weights are random, since speed and memory don't depend on them. Each part runs in a process of its own, so that its
peak memory is its own and Unsloth is imported before transformers. A part's line is printed when it ends; one that
fails or takes longer than its limit is named, and the others still run. The last line is JSON with everything. Parts,
for PEFT + bitsandbytes, for Unsloth where it is installed, and for a plain script with trl's SFTTrainer where trl is:

- ``train-*``: fine-tuning with the paper preset's settings on sequences as long as our prompts, and of 2,048 tokens:
  tokens per second (padding and a warm-up step of every length not counted) and peak memory after loading;
- ``score-*``: one outfit of four items with 50 candidates, as ``coordi recommend`` asks it: pairs per second;
- ``photos``: describing photos by a CLIP of ViT-B/32's shape: photos per second.

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
    """Tokens per second of the paper preset's settings, after a step of every length that pads to another one."""
    from coordi.model.heads import AnswerHead, TrainingData
    from coordi.model.training import TrainingLoop, new_accelerator

    chosen = engine_of(engine)
    settings = load_settings("paper").finetune.model_copy(update=batches_of(base, lengths))
    examples, warm_ups = examples_of(lengths, settings.batch_size, steps)
    data = TrainingData(examples, warm_ups + steps, settings.batch_size)
    loaded = chosen.for_training(base, ModelSettings(base=str(base.folder)), settings, SEED)
    weights = forget_peak()
    head, marks = AnswerHead(loaded.tokenizer, 2048), []
    loop = TrainingLoop(loaded.model, head, data, settings, SEED, new_accelerator(settings, Path()))
    for step in range(1, data.steps + 1):
        loop.step(step)
        synchronize()
        marks.append(time.perf_counter())
    tokens = sum(example.tokens for example in examples[warm_ups * settings.batch_size :])
    return {"tokens_per_second": tokens / (marks[-1] - marks[warm_ups - 1]), **weights, **peak()}


def examples_of(lengths: str, batch_size: int, steps: int) -> tuple[list[Any], int]:
    """Examples of warm-up steps, one per length, then of ``steps``; the second result counts the former."""
    from coordi.model.heads import Example

    rng = np.random.default_rng(SEED)
    warm_ups = [2048] if lengths == "2048" else list(PROMPT_TOKENS)
    drawn = np.full(steps * batch_size, 2048) if lengths == "2048" else rng.choice(PROMPT_TOKENS, steps * batch_size)
    ordered = np.sort(drawn.reshape(steps, batch_size), axis=1).ravel()  # as the examples of a step are
    sizes = [*np.repeat(warm_ups, batch_size), *ordered]
    rows = (tuple(rng.integers(2, 258, size=int(size)).tolist()) for size in sizes)
    return [Example((row,), answer_length=1) for row in rows], len(warm_ups)


def train_plainly(base: Any, lengths: str, steps: int) -> dict[str, float]:
    """The same by trl's ``SFTTrainer`` with PEFT, as its documentation shows: the loss is of every token."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    paper = load_settings("paper").finetune.model_copy(update=batches_of(base, lengths))
    gpu = torch.cuda.is_available()
    dtype = torch.bfloat16 if gpu else torch.float32
    four_bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=dtype, quantization_config=four_bits)
    weights = forget_peak()
    examples, warm_ups = examples_of(lengths, paper.batch_size, steps)
    marks = []

    class Clock(TrainerCallback):
        def on_step_end(self, *args: Any, **options: Any) -> None:
            synchronize()
            marks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        options = SFTConfig(
            output_dir=folder, max_length=2048, max_steps=warm_ups + steps, learning_rate=paper.learning_rate,
            per_device_train_batch_size=paper.micro_batch_size, bf16=gpu, use_cpu=not gpu, optim="adamw_bnb_8bit",
            gradient_accumulation_steps=paper.batch_size // paper.micro_batch_size, gradient_checkpointing=True,
            report_to="none", logging_strategy="no", save_strategy="no", seed=SEED,
        )  # fmt: skip
        adapter = LoraConfig(
            r=paper.lora_rank, lora_alpha=paper.lora_alpha, lora_dropout=paper.lora_dropout, task_type="CAUSAL_LM",
            target_modules=list(paper.target_modules),
        )  # fmt: skip
        SFTTrainer(
            model, options, train_dataset=Dataset.from_dict({"input_ids": [list(row.texts[0]) for row in examples]}),
            processing_class=AutoTokenizer.from_pretrained(base.folder), peft_config=adapter, callbacks=[Clock()],
        ).train()  # fmt: skip
    tokens = float(np.mean([row.tokens for row in examples])) * paper.batch_size * steps  # it shuffles the examples
    return {"tokens_per_second": tokens / (marks[-1] - marks[warm_ups - 1]), **weights, **peak()}


def batches_of(base: Any, lengths: str) -> dict[str, int]:
    """Long sequences fit in fewer at a time; a toy's batch is a toy's."""
    if json.loads((base.folder / "config.json").read_text())["hidden_size"] == SHAPES["tiny"]["hidden_size"]:
        return {"micro_batch_size": 1, "batch_size": 2}
    return {"micro_batch_size": 2, "batch_size": 8} if lengths == "2048" else {}


def score(base: Any, engine: str, rounds: int) -> dict[str, float]:
    """An outfit with candidates, as they are ranked: what all begin with is read once."""
    from coordi.model.prefix_cache import PromptRunner

    loaded = engine_of(engine).for_scoring(base, None, ModelSettings(base=str(base.folder)))
    weights = forget_peak()
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
    return {"pairs_per_second": CANDIDATES / float(np.median(took)), **weights, **peak()}


def describe(shape: str, rounds: int) -> dict[str, float]:
    """Photos per second of the image tower alone, in the batches that coordi gives it; opening photos isn't in it."""
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    sizes = {} if shape == "8b" else {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1}
    device, batch = ("cuda", 128) if torch.cuda.is_available() else ("cpu", 16)
    tower = CLIPVisionModelWithProjection(CLIPVisionConfig(num_attention_heads=8, **sizes)).eval().to(device)
    weights, took = forget_peak(), []
    photos = torch.randn(batch, 3, 224, 224)
    with torch.inference_mode():
        for _ in range(rounds + 1):
            started = time.perf_counter()
            tower(pixel_values=photos.to(device)).image_embeds.cpu()
            took.append(time.perf_counter() - started)
    return {"photos_per_second": batch / float(np.median(took[1:])), **weights, **peak()}


def synchronize() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def forget_peak() -> dict[str, float]:
    """Memory held now, after loading, on a GPU; the peak is counted from here on."""
    import torch

    if not torch.cuda.is_available():
        return {}
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return {"loaded_gib": torch.cuda.memory_allocated() / 2**30}


def peak() -> dict[str, float]:
    """Most memory held: of the GPU, or of the process where there is none."""
    import torch

    if torch.cuda.is_available():
        return {
            "peak_gib": torch.cuda.max_memory_reserved() / 2**30,
            "allocated_gib": torch.cuda.max_memory_allocated() / 2**30,
        }
    return {"peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def part_of(name: str, folder: Path, shape: str, times: int) -> dict[str, float]:
    """One part, such as ``train-peft-2048``, here."""
    from coordi.model.base import resolve_base

    work, _, rest = name.partition("-")
    if work == "photos":
        return describe(shape, times)
    base = resolve_base(ModelSettings(base=str(folder)))
    engine, _, lengths = rest.partition("-")
    if work == "score":
        return score(base, engine, times)
    return train_plainly(base, lengths, times) if engine == "sfttrainer" else train(base, engine, lengths, times)


def run(part: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """A part in a process of its own; a failure or the end of its time is a result too."""
    command = [sys.executable, __file__, "--base", str(folder), "--part", part, "--times", str(options.times)]
    command += ["--tiny"] if options.tiny else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=options.limit)
    except subprocess.TimeoutExpired:
        return {"failed": f"longer than {options.limit:g} seconds"}
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return {"failed": lines[-1] if lines else f"exit status {done.returncode}"}
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def parts(only: str) -> list[str]:
    """Names of the parts whose packages are here and that begin with ``only``, in their order."""
    import torch

    engines = ["peft"]
    engines += ["unsloth"] if torch.cuda.is_available() and importlib.util.find_spec("unsloth") else []
    trained = [*engines, *(["sfttrainer"] if importlib.util.find_spec("trl") else [])]
    names = [f"score-{engine}" for engine in engines]
    names += [f"train-{engine}-{lengths}" for lengths in ("prompts", "2048") for engine in trained]
    return [name for name in [*names, "photos"] if name.startswith(only)]


def main() -> None:
    """Run all parts, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a toy model, anywhere")
    parser.add_argument("--times", type=int, default=10, help="optimizer steps, or rounds of scoring")
    parser.add_argument("--limit", type=float, default=600, help="seconds that a part may take")
    parser.add_argument("--only", default="", help="parts whose names begin so, such as train-peft")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    shape = "tiny" if options.tiny else "8b"
    if options.part:
        print(json.dumps(part_of(options.part, options.base, shape, options.times)))
        return
    import torch

    gpu = torch.cuda.is_available()
    if not options.tiny and not gpu:
        parser.error("PyTorch sees no NVIDIA GPU; give --tiny to try the code on a toy model")
    results: dict[str, Any] = {"shape": shape, "device": torch.cuda.get_device_name(0) if gpu else "CPU"}
    with tempfile.TemporaryDirectory() as folder:
        write_random_llama(Path(folder), shape)
        for part in parts(options.only):
            results[part] = run(part, Path(folder), options)
            figures = results[part].items()
            text = ", ".join(
                f"{name} {value:.4g}" if name != "failed" else f"failed: {value}" for name, value in figures
            )
            print(f"{part:<24} {text}", flush=True)
    print(json.dumps(results), flush=True)
    sys.exit(any("failed" in result for result in results.values() if isinstance(result, dict)))


if __name__ == "__main__":
    main()
