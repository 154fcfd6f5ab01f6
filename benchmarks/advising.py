"""One outfit against a catalogue: how long an answer takes, as ratios in one run.

    coordi catalogue build path/to/fashion-products --out catalogue
    coordi catalogue add catalogue path/to/polyvore-maryland
    python benchmarks/advising.py --catalogue catalogue

Outfits are drawn from the catalogue: one to four items of different categories. Each is asked once, so that no answer
is remembered. Beside coordi's ways, the same candidates as it ranks are put to the language model as transformers'
documentation has it: float32, a prompt at a time, no reasons.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from coordi.api import Model, load
from coordi.cli.console import note, progress_bar
from coordi.model.base import resolve_base
from coordi.prompts import compatibility_instruction
from coordi.recommend.rules import category_conflict
from coordi.types import Item

Outfit = list[Item]


def outfits(loaded: Model, count: int, seed: int) -> list[Outfit]:
    """Items of a catalogue that can be worn together, one to four."""
    rng = np.random.default_rng(seed)
    ids = loaded.catalogue.ids() if loaded.catalogue else []
    drawn: list[Outfit] = []
    while len(drawn) < count:
        outfit: Outfit = []
        for place in rng.permutation(len(ids))[:12]:
            (item,) = loaded.find_items([ids[int(place)]])
            worn = {one.category for one in outfit}
            if item.category not in worn and category_conflict(item.category, worn) is None:
                outfit.append(item)
            if len(outfit) == 1 + len(drawn) % 4:
                drawn.append(outfit)
                break
    return drawn


def timed(ask: Callable[[Outfit], Any], asked: Sequence[Outfit]) -> list[float]:
    """Milliseconds of each."""
    took = []
    for outfit in asked:
        started = time.perf_counter()
        ask(outfit)
        took.append((time.perf_counter() - started) * 1000)
    return took


def plainly(loaded: Model, ranked: int) -> Callable[[Outfit], None]:
    """As many prompts as coordi ranks candidates, one after the other."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = resolve_base(loaded.trained.settings.model)
    model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(base.folder)

    def ask(outfit: Outfit) -> None:
        found = loaded.stylist.complete(outfit, k=ranked, language_model=False, reasons=False)
        for one in found.suggestions[:ranked]:
            asked = compatibility_instruction([item.text for item in (*outfit, one.item)])
            message = [{"role": "user", "content": f"{asked.question}\n{asked.body()}"}]
            ids = tokenizer.apply_chat_template(
                message, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            with torch.no_grad():
                model(**ids)

    return ask


def main() -> None:
    """Ask, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", type=Path, required=True)
    parser.add_argument("--outfits", type=int, default=60)
    parser.add_argument("--plain", type=int, default=8, help="outfits that are asked plainly too; 0 for none")
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    loaded = load(None, options.catalogue, note, progress_bar)
    stylist, depth = loaded.stylist, loaded.trained.settings.recommend.candidates
    asked = outfits(loaded, 2 * options.outfits + 4, options.seed)
    first, second = asked[4 : options.outfits + 4], asked[options.outfits + 4 :]
    for outfit in asked[:4]:  # loads what is loaded by the first question
        stylist.complete(outfit)
        stylist.outfits(outfit[0])
    ways: dict[str, list[float]] = {
        "complete, 5 with reasons": timed(stylist.complete, first),
        "complete, 5 without reasons": timed(lambda one: stylist.complete(one, reasons=False), second),
        "complete without the language model, with reasons": timed(
            lambda one: stylist.complete(one, language_model=False), first
        ),
        "score with the weakest item": timed(stylist.score, [one for one in first if len(one) > 1]),
        "3 looks around an item": timed(lambda one: stylist.outfits(one[0]), first[:20]),
    }
    print(f"{len(loaded.catalogue or ())} items, the language model ranks {depth} candidates; {len(first)} outfits")
    for name, took in ways.items():
        median, late = np.percentile(took, [50, 95])
        print(f"{name}: median {median:.0f} ms, 95th percentile {late:.0f} ms")
    if options.plain:
        plain = float(np.median(timed(plainly(loaded, depth), second[: options.plain])))
        ours = float(np.median(ways["complete, 5 without reasons"][: options.plain]))
        print(
            f"the same {depth} candidates one by one in transformers: median {plain:.0f} ms, {plain / ours:.1f} times"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
