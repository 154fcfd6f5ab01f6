"""What the paper's steps are worth at the scale of a laptop: the zero-shot recommendation in the prompt, and the heads.

    python benchmarks/paper_flow.py --data path/to/outfits --out folder [--outfits 300] [--seed 17]

Three adapters of the bundled model are trained for one epoch on the same outfits and asked the same questions:

    recommended  answer head, the paper's instruction prompt with what the image encoder recommends beside the others
    plain        the same without the recommendation
    pooled       the pooled head of the edge preset, which names nothing

Every finished part is printed as it ends; the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ANSWER = [
    "finetune.head=answer", "finetune.last_layer=null", "finetune.tasks={compatibility: 0.7, complement: 0.3}",
    "prompt.form=instruction", "prompt.kind_beside_title=true", "prompt.max_length=320",
]  # fmt: skip
PARTS = {"recommended": [*ANSWER, "prompt.recommended=3"], "plain": ANSWER, "pooled": []}
PAIRS = (("plain", "recommended"), ("pooled", "plain"), ("pooled", "recommended"))


def settings(outfits: int, seed: int) -> list[str]:
    return [
        f"seed={seed}", f"data.train_outfits={outfits}", f"data.valid_outfits={outfits // 3}",
        f"data.test_outfits={outfits}", "data.photos=optional", "finetune.ensemble=false", "finetune.epochs=1",
        "finetune.evaluations=1", "finetune.valid_questions=100", "evaluate.baselines=none", "evaluate.choices=2",
        "evaluate.protocols=[random, same-category]", "evaluate.names=100",
    ]  # fmt: skip


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
    parser.add_argument("--parts", nargs="*", choices=list(PARTS), default=list(PARTS))
    given = parser.parse_args()
    for name in given.parts:
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
