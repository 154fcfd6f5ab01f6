"""What few test outfits do to p-values and intervals; the table in docs/method.md is from it.

    python benchmarks/few_outfits.py [--repeats 2000] [--seed 0] [--json]

Two scorers that are equally good, each with noise of its own, answer a real and a made-up outfit per test outfit. The
paired p-value should be at most 0.05 in 5% of the repeats, and the 95% interval should hold the true AUC in 95%.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np

from coordi.evaluation.metrics import Resamples, paired_p_value, percentile_interval

OUTFITS = (5, 10, 20, 50, 100, 214, 400)
LEAD = 0.8
"""How far real outfits score above made-up ones, in standard deviations of either: an AUC of 0.71."""
TRUE_AUC = NormalDist().cdf(LEAD / 2**0.5)
BOOTSTRAP = 300


@dataclass(frozen=True)
class Row:
    """Shares of the repeats."""

    outfits: int
    told_apart: float
    interval_holds: float


def simulate(outfits: int, repeats: int, rng: np.random.Generator) -> Row:
    labels = np.tile([True, False], outfits)  # (2 * outfits,)
    groups = np.repeat(np.arange(outfits), 2).tolist()
    told_apart = holds = 0
    for _ in range(repeats):
        resamples = Resamples(groups, rng, BOOTSTRAP)
        first, second = (resamples.auc(rng.normal(size=2 * outfits) + LEAD * labels, labels) for _ in range(2))
        p_value, interval = paired_p_value(first - second), percentile_interval(first)
        told_apart += p_value is not None and p_value <= 0.05
        holds += interval is not None and interval[0] <= TRUE_AUC <= interval[1]
    return Row(outfits, told_apart / repeats, holds / repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000, help="of each number of outfits (2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", dest="as_json")
    given = parser.parse_args()
    if given.repeats < 1:
        parser.error(f"--repeats must be 1 or more, got {given.repeats}")
    rng = np.random.default_rng(given.seed)
    rows = [simulate(outfits, given.repeats, rng) for outfits in OUTFITS]
    if given.as_json:
        print(json.dumps({"repeats": given.repeats, "seed": given.seed, "rows": [asdict(row) for row in rows]}))
        return
    print(f"{'test outfits':>12}  {'p at most 0.05':>14}  {'interval holds':>14}")
    for row in rows:
        print(f"{row.outfits:>12}  {row.told_apart:>14.2%}  {row.interval_holds:>14.2%}")


if __name__ == "__main__":
    main()
