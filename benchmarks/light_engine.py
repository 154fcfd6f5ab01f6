"""The bundled model without torch against torch and what else runs it, on the same prompts: time and memory.

    python benchmarks/light_engine.py

Each engine runs in a process of its own, twice in turns, and the better round counts, since machines are shared:

- cold: one question about two items, from the start of the process to its answer, imports included;
- an outfit of three items with 50 candidates, as ``coordi recommend`` asks it, once it is loaded;
- the arithmetic of these candidates a second, beside what numpy's product of float32 matrices reaches here.

``llama.cpp`` is the package xllamacpp with an exported GGUF of an adapter with an answer head, all 30 layers; the
others run 20. Spearman's correlation compares the scores with those of the float32 model in torch.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from coordi.api import load
from coordi.model.scoring import PooledHead
from coordi.model.trained import BUNDLED, find_model
from coordi.prompts import InstructionMaker, ListRenderer
from coordi.types import Item

CANDIDATES = 50
OUTFIT = ("navy wool blazer", "white cotton shirt", "grey wool trousers")
COLOURS = ("black", "white", "navy", "brown", "red", "beige", "green", "pink", "tan", "grey")
SHOES = ("leather oxfords", "canvas sneakers", "suede loafers", "flip-flops", "running shoes")
Answer = Callable[[], list[float]]


def items() -> list[tuple[Item, ...]]:
    """The outfit with each candidate."""
    words = load()
    outfit = [words.item_of_words(text) for text in OUTFIT]
    candidates = [words.item_of_words(f"{colour} {shoe}") for colour in COLOURS for shoe in SHOES][:CANDIDATES]
    return [(*outfit, candidate) for candidate in candidates]


def without_torch(in_bytes: bool) -> tuple[Answer, int]:
    """ONNX Runtime, and the tokens of the prompts."""
    from coordi.model.decoder import Decoder, decoder_folder

    model, head = find_model("bundled"), PooledHead.load(BUNDLED)
    decoder = Decoder(decoder_folder(BUNDLED, head.layer, in_bytes=in_bytes))
    renderer = ListRenderer(decoder.tokenizer, model.settings.prompt.max_length)
    facts = model.settings.prompt.facts
    prompts = [renderer.render(InstructionMaker(facts).compatibility(outfit)).prompt_ids for outfit in items()]
    ask: Answer = lambda: head.probabilities(decoder.states(prompts, ListRenderer.before)).tolist()  # noqa: E731
    shared = _common(prompts)
    return ask, shared + sum(len(prompt) - shared for prompt in prompts)


def _common(prompts: Sequence[Sequence[int]]) -> int:
    return next(n for n, tokens in enumerate(zip(*prompts, strict=False)) if len(set(tokens)) > 1)


def with_torch(**changes: str) -> tuple[Answer, int]:
    """PEFT and torch, as fine-tuning and evaluation have it."""
    from coordi.model.base import resolve_base
    from coordi.model.scoring import load_scorer

    settings = find_model("bundled").settings
    settings = settings.model_copy(update={"model": settings.model.model_copy(update=changes)})
    scorer, outfits = load_scorer(resolve_base(settings.model), BUNDLED, settings), items()
    return lambda: scorer.score(outfits).tolist(), 0


def with_llama_cpp(gguf: str) -> tuple[Answer, int]:
    """A prompt at a time, as its server takes them; it caches what one has in common with the last."""
    import xllamacpp

    from coordi.model.base import resolve_base
    from coordi.model.engines import load_tokenizer
    from coordi.prompts import PromptRenderer

    parameters = xllamacpp.CommonParams()
    parameters.model.path = gguf
    parameters.n_ctx, parameters.n_parallel, parameters.verbosity = 1024, 1, -1
    server, settings = xllamacpp.Server(parameters), find_model("bundled").settings
    renderer = PromptRenderer(load_tokenizer(resolve_base(settings.model)), settings.prompt.max_length)
    prompts = [renderer.text(InstructionMaker(True).compatibility(outfit)) for outfit in items()]

    def ask() -> list[float]:
        for prompt in prompts:
            server.handle_completions({"prompt": prompt, "max_tokens": 1, "temperature": 0.0})
        return []

    return ask, 0


ENGINES: dict[str, Callable[[], tuple[Answer, int]]] = {
    "ONNX Runtime, bytes": lambda: without_torch(in_bytes=True),
    "ONNX Runtime, 4 bits": lambda: without_torch(in_bytes=False),
    "torch, bytes": lambda: with_torch(engine="peft", arithmetic="int8"),
    "torch, float32": lambda: with_torch(engine="peft", arithmetic="float32", quantization="none"),
}


def run(engine: str, gguf: str | None) -> dict[str, Any]:
    """An engine in this process."""
    started = time.perf_counter()
    ask, tokens = with_llama_cpp(gguf) if gguf else ENGINES[engine]()
    scores = ask()
    first = time.perf_counter() - started
    took = []
    for _ in range(5):
        started = time.perf_counter()
        ask()
        took.append((time.perf_counter() - started) * 1000)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ready_s": first, "ms": min(took), "peak_mib": peak, "scores": scores, "tokens": tokens}


def peak_of_floats() -> float:
    """GFLOP/s of a product of float32 matrices."""
    rows, columns = np.ones((2048, 1536), np.float32), np.ones((1536, 1536), np.float32)
    best = np.inf
    for _ in range(10):
        started = time.perf_counter()
        rows @ columns
        best = min(best, time.perf_counter() - started)
    return 2 * rows.shape[0] * rows.shape[1] * columns.shape[1] / best / 1e9


def cold() -> tuple[float, float]:
    """Seconds and MiB of ``coordi score`` as a user types it, the best of five."""
    command = [str(Path(sys.executable).parent / "coordi"), "score", "navy wool blazer", "white leather sneakers"]
    took = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        took.append(time.perf_counter() - started)
    return min(took), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    """Run all engines, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=[*ENGINES, "llama.cpp"])
    parser.add_argument("--gguf", help="an exported GGUF, for llama.cpp")
    options = parser.parse_args()
    if options.engine:
        print(json.dumps(run(options.engine, options.gguf)))
        return
    seconds, mib = cold()
    print(f"coordi score of two items, cold: {seconds:.2f} s, {mib:.0f} MiB")
    names = [*ENGINES, *(["llama.cpp"] if options.gguf else [])]
    results: dict[str, dict[str, Any]] = {}
    for _ in range(2):
        for name in names:
            command = [sys.executable, __file__, "--engine", name]
            command += ["--gguf", options.gguf] if name == "llama.cpp" else []
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            result = json.loads(done.stdout.splitlines()[-1])
            results[name] = min(results.get(name, result), result, key=lambda row: row["ms"])
    limit, base = peak_of_floats(), results["torch, float32"]
    # 20 layers, of 2 times 576 * 576, 2 times 576 * 192 and 3 times 576 * 1536 weights.
    operations = 2 * 20 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536) * results[names[0]]["tokens"]
    print(f"numpy's float32 product: {limit:.0f} GFLOP/s; {CANDIDATES} candidates: {operations / 1e9:.0f} GFLOP")
    for name, result in results.items():
        of_limit = operations / result["ms"] / 1e6 / limit
        rank = spearmanr(result["scores"], base["scores"]).statistic if result["scores"] else np.nan
        print(
            f"| {name} | {result['ms']:.0f} ms | {result['ms'] / base['ms']:.2f} | {of_limit:.2f} | "
            f"{result['ready_s']:.1f} s | {result['peak_mib']:.0f} MiB | {rank:.4f} |"
        )


if __name__ == "__main__":
    main()
