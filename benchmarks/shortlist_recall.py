"""How often the item that people chose is among those that the language model gets to rank, and what it makes of it.

    python benchmarks/shortlist_recall.py --data path/to/polyvore-maryland

From each outfit of a split one item is taken away. Candidates are all items of its category in that split; the way in
which the stylist finds them is compared with likeness of texts alone, at several depths. Then the language model ranks
the best 32 and diversity is applied, as ``coordi recommend --want CATEGORY`` does.
"""

from __future__ import annotations

import argparse

import numpy as np

from coordi.api import Model, load
from coordi.artifacts import cache_folder
from coordi.cli.console import note, progress_bar
from coordi.data.loading import located
from coordi.pipeline import stages
from coordi.pipeline.stages import PreparedData
from coordi.pipeline.workspace import Workspace, fingerprint
from coordi.recommend.rules import Rules
from coordi.recommend.stylist import CandidateSearch

DEPTHS = (1, 5, 8, 32, 64)


def main() -> None:
    """Find, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", choices=("valid", "test"), default="test")
    parser.add_argument("--asked", type=int, default=40, help="outfits that the language model is asked about too")
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    loaded = load()
    prepared = _prepared(options.data, loaded)
    item_ids = dict.fromkeys(name for one in prepared.dataset.outfits_of(options.split) for name in one.item_ids)
    items = prepared.dataset.items_of(tuple(item_ids))
    index = stages.catalogue_of(prepared, loaded.trained.settings, items, options.split)
    stylist = loaded.with_catalogue(index).stylist
    rng = np.random.default_rng(options.seed)
    found: dict[str, list[int]] = {"by the stylist": [], "by likeness of texts": []}
    pools, ranked = [], []
    for outfit in prepared.dataset.outfits_of(options.split):
        place = int(rng.integers(len(outfit.item_ids)))
        known = index.get(outfit.item_ids)
        true = known[outfit.item_ids[place]]
        others = [known[name] for name in outfit.item_ids if name != true.id]
        category = true.category
        pools.append(index.count(Rules(), category))
        best = CandidateSearch(index, stylist.scorers).find(others, Rules(), category, pools[-1])
        found["by the stylist"].append(_place([item.id for item, _ in best], true.id))
        query = np.asarray(sum(item.text_embedding for item in others), dtype=np.float32)
        but = Rules(excluded=tuple(item.id for item in others))
        near = index.nearest(query, "text", pools[-1], but, category)
        found["by likeness of texts"].append(_place([item.id for item, _ in near], true.id))
        worn = {item.category for item in others}
        if len(ranked) < options.asked and category not in worn:
            shown = stylist.complete(others, category, 5, reasons=False)
            ranked.append(_place([one.item.id for one in shown.suggestions], true.id))
    print(f"{len(pools)} outfits, {int(np.median(pools))} items of the category (median, {max(pools)} at most)")
    for name, places in found.items():
        told = ", ".join(f"{np.mean([place < depth for place in places]):.3f} in the first {depth}" for depth in DEPTHS)
        print(f"{name}: {told}")
    print(f"shown among five, of {len(ranked)} asked of the language model: {np.mean([one < 5 for one in ranked]):.3f}")


def _prepared(data: str, loaded: Model) -> PreparedData:
    path = located(data)
    settings = loaded.trained.settings
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"photos": "optional"})})
    out = cache_folder() / "benchmarks" / "shortlist-recall"
    return stages.prepare(Workspace(path, out, settings, "benchmark", note, progress_bar), fingerprint(path))


def _place(ids: list[str], true: str) -> int:
    return ids.index(true) if true in ids else 10**9


if __name__ == "__main__":
    main()
