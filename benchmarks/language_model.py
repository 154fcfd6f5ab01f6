"""Fine-tuning and scoring with the bundled model against what a user would write instead, as ratios in one run.

    python benchmarks/language_model.py --data sample

Each part runs in a process of its own, so that its peak memory is its own.

- Fine-tuning: the ``edge`` preset's steps against trl's ``SFTTrainer`` at its defaults, NF4 and PEFT on all linear
  layers, which answers yes or no about the same outfits. Examples are questions; validation is left out of both. trl
  and datasets aren't installed with coordi: ``pip install trl==1.12.0 'datasets<4.4'``.
- Scoring: one outfit of four items with 50 candidates, as ``coordi recommend`` asks it, against transformers in
  float32, one candidate after another, whole logits.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from coordi.config import RunSettings
from coordi.data.loading import load, located
from coordi.model.base import resolve_base
from coordi.model.trained import BUNDLED, find_model
from coordi.pipeline.training_data import training_examples, validation_examples
from coordi.prompts import compatibility_instruction, item_text
from coordi.types import Dataset, Item

PARTS = ("train-coordi", "train-trl", "score-coordi", "score-transformers")
CANDIDATES = 50


def prepared(data: str) -> tuple[RunSettings, Dataset]:
    """The bundled adapter's settings, and the data with a text for each item."""
    settings = find_model("bundled").settings
    dataset = load(located(data), settings.data, settings.seed)
    items = {item.id: replace(item, text=item_text(item, None, settings.prompt)) for item in dataset.items.values()}
    return settings, replace(dataset, items=items)


def train_coordi(data: str, steps: int) -> dict[str, float]:
    """Outfits with their negatives, as the edge preset has it."""
    from coordi.model.training import finetune

    settings, dataset = prepared(data)
    changes = {"max_steps": steps, "evaluations": 1, "valid_questions": 4}
    settings = settings.model_copy(update={"finetune": settings.finetune.model_copy(update=changes)})
    marks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        finetune(
            training_examples(dataset, settings), validation_examples(dataset, settings), settings,
            Path(folder), lambda done, total: marks.append(time.perf_counter()),
        )  # fmt: skip
    negatives = sum(share > 0 for share in settings.finetune.negatives.values())
    # The first step loads and warms up; the call after the last one comes when everything is saved.
    rate = settings.finetune.batch_size * (1 + negatives) * (steps - 1) / (marks[steps - 1] - marks[0])
    return {"examples_per_second": rate}


def train_trl(data: str, steps: int) -> dict[str, float]:
    """What trl's documentation shows, with its defaults."""
    import torch
    from datasets import Dataset as Rows
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    settings, dataset = prepared(data)
    settings = settings.model_copy(
        update={"finetune": settings.finetune.model_copy(update={"head": "answer", "last_layer": None})}
    )
    base = resolve_base(settings.model)
    asked = training_examples(dataset, settings)(0)
    rows = [
        {
            "prompt": [{"role": "user", "content": f"{one.question}\n{one.body()}"}],
            "completion": [{"role": "assistant", "content": one.answer}],
        }
        for one in asked
    ]
    four_bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
    model = AutoModelForCausalLM.from_pretrained(base.folder, quantization_config=four_bits, dtype=torch.bfloat16)
    marks: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            marks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(output_dir=folder, max_steps=steps, report_to="none", save_strategy="no", use_cpu=True),
            train_dataset=Rows.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(base.folder),
            peft_config=LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"),
            callbacks=[Clock()],
        )
        trainer.train()
        batch = trainer.args.per_device_train_batch_size * trainer.args.gradient_accumulation_steps
    return {"examples_per_second": batch * (steps - 1) / (marks[-1] - marks[0])}


def completions(data: str) -> tuple[RunSettings, list[tuple[Item, ...]]]:
    """An outfit of four items, completed with each of the candidates."""
    settings, dataset = prepared(data)
    outfit = next(one.item_ids[:4] for one in dataset.outfits_of("test") if len(one.item_ids) >= 4)
    others = [item for item in dataset.items if item not in outfit]
    drawn = np.random.default_rng(settings.seed).permutation(len(others))[:CANDIDATES]
    return settings, [dataset.items_of((*outfit, others[int(place)])) for place in drawn]


def score_coordi(data: str, rounds: int) -> dict[str, float]:
    """As ``coordi recommend`` asks."""
    from coordi.model.scoring import load_scorer

    settings, outfits = completions(data)
    scorer = load_scorer(resolve_base(settings.model), BUNDLED, settings)
    return {"milliseconds": median_of(lambda: scorer.score(outfits), rounds)}


def score_transformers(data: str, rounds: int) -> dict[str, float]:
    """The whole model in float32, a prompt at a time."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    settings, outfits = completions(data)
    base = resolve_base(settings.model)
    model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(base.folder)

    def ask() -> None:
        for outfit in outfits:
            one = compatibility_instruction([item.text for item in outfit])
            message = [{"role": "user", "content": f"{one.question}\n{one.body()}"}]
            ids = tokenizer.apply_chat_template(
                message, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            with torch.no_grad():
                model(**ids)

    return {"milliseconds": median_of(ask, rounds)}


def median_of(work: Callable[[], Any], rounds: int) -> float:
    """Milliseconds, median of the rounds after a first one."""
    work()
    took = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        took.append((time.perf_counter() - started) * 1000)
    return float(np.median(took))


def run(part: str, data: str, times: int) -> dict[str, float]:
    """A part in a process of its own."""
    command = [sys.executable, __file__, "--data", data, "--part", part, "--times", str(times)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Run all parts, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="sample")
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--times", type=int, default=10, help="optimizer steps, or rounds of scoring")
    options = parser.parse_args()
    parts: dict[str, Callable[[str, int], dict[str, float]]] = dict(
        zip(PARTS, (train_coordi, train_trl, score_coordi, score_transformers), strict=True)
    )
    if options.part:
        found = parts[options.part](options.data, options.times)
        print(json.dumps(found | {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    ours, trl, fast, slow = (
        run(part, options.data, options.times if part.startswith("train") else 3) for part in PARTS
    )
    ratio = ours["examples_per_second"] / trl["examples_per_second"]
    print(f"fine-tuning, examples/s: coordi {told(ours)}, trl's SFTTrainer {told(trl)}; ratio {ratio:.2f}")
    ratio = slow["milliseconds"] / fast["milliseconds"]
    print(f"{CANDIDATES} candidates, ms: coordi {told(fast)}, transformers one by one {told(slow)}; ratio {ratio:.2f}")


def told(found: dict[str, float]) -> str:
    """A figure with its peak memory."""
    value, peak = (found[name] for name in sorted(found, key="peak_mib".__eq__))
    return f"{value:.4g} (peak {peak:.0f} MiB)"


if __name__ == "__main__":
    main()
