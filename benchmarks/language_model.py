"""Scoring and fine-tuning with the bundled model, each against what a user would write instead, as ratios in one run.

    python benchmarks/language_model.py --data sample

Scoring: ``load_scorer`` (weights unpacked once, shared beginning computed once, the answer's two rows of the head,
batches by length) against transformers on the 4-bit model, one prompt after another, all logits.
Fine-tuning: forward and backward of one micro-batch with the preset's ``first_layer`` against all layers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from coordi.cli.work import data_path
from coordi.config import RunSettings, load_settings
from coordi.data.loading import load
from coordi.data.questions import compatibility_questions
from coordi.model.base import Base, resolve_base
from coordi.model.engines.peft import PeftEngine, _load
from coordi.model.score import load_scorer
from coordi.pipeline.stages import texts_of
from coordi.prompts.rendering import PromptRenderer
from coordi.prompts.templates import compatibility_instruction


def seconds(work: Callable[[], Any]) -> float:
    """Best of three."""
    took = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return min(took)


def scoring(base: Base, settings: RunSettings, outfits: list[tuple[str, ...]], texts: dict[str, str]) -> None:
    import torch
    from transformers import AutoTokenizer

    scorer = load_scorer(base, None, texts, settings)
    fast = seconds(lambda: scorer.score(outfits))
    model = _load(base, settings.model).eval()
    renderer = PromptRenderer(AutoTokenizer.from_pretrained(base.folder), settings.prompt.max_length)
    prompts = [
        torch.tensor([renderer.render(compatibility_instruction([texts[item] for item in outfit])).prompt_ids])
        for outfit in outfits
    ]

    def plain() -> None:
        with torch.no_grad():
            for prompt in prompts:
                model(input_ids=prompt)

    slow = seconds(plain)
    lengths = [prompt.shape[1] for prompt in prompts]
    print(f"scoring {len(outfits)} outfits of {np.mean(lengths):.0f} tokens: coordi {len(outfits) / fast:.1f}/s, "
          f"plain {len(outfits) / slow:.1f}/s, ratio {slow / fast:.2f}")  # fmt: skip


def training(base: Base, settings: RunSettings) -> None:
    import torch

    took = {}
    for first_layer in (0, settings.finetune.first_layer):
        finetune = settings.finetune.model_copy(update={"first_layer": first_layer})
        model = PeftEngine().for_training(base, settings.model, finetune, settings.seed).model
        ids = torch.randint(0, 40_000, (finetune.micro_batch_size, 90), generator=torch.Generator().manual_seed(1))

        def step(model: Any = model, ids: Any = ids) -> None:
            model.get_base_model().model(input_ids=ids, use_cache=False).last_hidden_state.sum().backward()

        took[first_layer] = seconds(step)
        print(f"fine-tuning from layer {first_layer}: {ids.numel() / took[first_layer]:.0f} tokens/s")
    print(f"ratio {took[0] / took[settings.finetune.first_layer]:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="sample")
    parser.add_argument("--outfits", type=int, default=60)
    options = parser.parse_args()
    settings = load_settings("edge")
    base = resolve_base(settings.model)
    dataset = load(data_path(options.data), settings.data, settings.seed)
    texts = texts_of(dataset.items, {}, settings.prompt)
    asked = compatibility_questions(dataset, "test", "random", settings.seed)
    scoring(base, settings, [question.item_ids for question in asked[: options.outfits]], texts)
    training(base, settings)


if __name__ == "__main__":
    main()
