"""What the paper's steps are worth at the scale of a laptop: the zero-shot recommendation in the prompt, and the heads.

    python benchmarks/paper_flow.py --data path/to/outfits --out folder [--outfits 300] [--seed 17]

Three adapters of the bundled model are trained for one epoch on the same outfits and asked the same questions:

    recommended  answer head, the paper's instruction prompt with what the image encoder recommends beside the others
    plain        the same without the recommendation
    pooled       the pooled head of the edge preset, which names nothing

``zero-shot`` trains nothing: how well the recommendation alone answers the questions about all test outfits, by how
probable the encoder, from the other items, finds the garment type that it sees in an item's own photo.

Every finished part is printed as it ends; the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from coordi.api import evaluate
from coordi.artifacts import show_no_progress
from coordi.config import load_settings
from coordi.encoders.complements import recommender_of
from coordi.pipeline.stages import prepare
from coordi.pipeline.workspace import Workspace, fingerprint
from coordi.types import Item

ANSWER = [
    "finetune.head=answer", "finetune.last_layer=null", "finetune.tasks={compatibility: 0.7, complement: 0.3}",
    "prompt.form=instruction", "prompt.kind_beside_title=true", "prompt.max_length=320",
]  # fmt: skip
PARTS = {"recommended": [*ANSWER, "prompt.recommended=3"], "plain": ANSWER, "pooled": []}
ZERO_SHOT = "zero-shot"
PAIRS = (("plain", "recommended"), ("pooled", "plain"), ("pooled", "recommended"))


def settings(outfits: int, seed: int) -> list[str]:
    return [
        f"seed={seed}", f"data.train_outfits={outfits}", f"data.valid_outfits={outfits // 3}",
        f"data.test_outfits={outfits}", "data.photos=optional", "finetune.ensemble=false", "finetune.epochs=1",
        "finetune.evaluations=1", "finetune.valid_questions=100", "evaluate.baselines=none", "evaluate.choices=2",
        "evaluate.protocols=[random, same-category]", "evaluate.names=100",
    ]  # fmt: skip


def zero_shot(data: Path, out: Path, seed: int) -> dict[str, Any]:
    """AUC with its interval by protocol of the recommendation alone."""
    options = load_settings("edge", [f"seed={seed}", "data.photos=optional"])
    dataset = prepare(
        Workspace(data, out, options, "paper_flow.py", print, show_no_progress), fingerprint(data)
    ).dataset
    recommender = recommender_of(options.describe)

    types = {
        item.id: recommender.labels(recommender.vector(item)[None, :], item.category, 1)[0].text
        for item in dataset.items.values()
    }

    def surprise(outfit: Sequence[Item]) -> float:
        logs = []
        for position, item in enumerate(outfit):
            labels = recommender.labels(
                recommender.query([*outfit[:position], *outfit[position + 1 :]]), item.category, 99
            )
            share = {label.text: label.probability for label in labels}[types[item.id]]
            logs.append(np.log(max(share * len(labels), 1e-9)))
        return float(np.mean(logs))

    tasks = evaluate(
        lambda outfits: np.array([surprise(outfit) for outfit in outfits]), dataset, seed=seed, retrieval_pool=0,
        protocols=("random", "same-category"),
    )["compatibility"]  # fmt: skip
    return {"auc": {name: [row["auc"], *row["ci95"]["auc"], row["n"]] for name, row in tasks.items()}}


def coordi(*arguments: str) -> str:
    command = [sys.executable, "-m", "coordi.cli.main", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def figures(folder: Path) -> dict[str, Any]:
    """AUC with its interval by protocol, and figures of what was named."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    by_protocol = report["tasks"]["compatibility"]
    auc = {name: [row["auc"], *row["ci95"]["auc"], row["n"]] for name, row in by_protocol.items()}
    naming = report["naming"]
    return {"auc": auc, "naming": naming and {key: value for key, value in naming.items() if key != "examples"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--outfits", type=int, default=300)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--first-layer", type=int, default=10, help="20 halves the time and learns less.")
    parser.add_argument("--parts", nargs="*", choices=[ZERO_SHOT, *PARTS], default=[ZERO_SHOT, *PARTS])
    given = parser.parse_args()
    if ZERO_SHOT in given.parts:
        print(json.dumps({ZERO_SHOT: zero_shot(given.data, given.out / ZERO_SHOT, given.seed)}), flush=True)
    for name in (name for name in PARTS if name in given.parts):
        arguments = ["--data", str(given.data), "--out", str(given.out / name), "--preset", "edge"]
        layer = min(given.first_layer, 10) if name == "pooled" else given.first_layer
        options = [*settings(given.outfits, given.seed), f"finetune.first_layer={layer}", *PARTS[name]]
        coordi("run", *arguments, *options)
        print(json.dumps({name: figures(given.out / name)}), flush=True)
    for first, second in PAIRS:
        if {first, second} <= set(given.parts):
            print(coordi("report", "compare", str(given.out / first), str(given.out / second), "--json"), flush=True)


if __name__ == "__main__":
    main()
