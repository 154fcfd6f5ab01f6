"""How the language model learns from more outfits, and what each source brings: AUC of adapters by themselves.

    python training/learning_curve.py path/to/data --work results/adapter --out results/curve

Each adapter begins with the base model and sees each of its outfits once, with two negatives. The curve has 800, 2,000
and 4,000 outfits, mixed as for the bundled adapter; a source at a time is left out of the 800, and the others keep
their numbers. Figures are of validation outfits that no adapter was trained on and of ``style-pairs/dev.tsv``,
without an ensemble; intervals are those of a bootstrap by outfit. A training that was finished isn't done again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from training.refit_ensemble import Pairs, pairs_by_kind, pairs_figure, validation_part
from training.train_adapter import (
    OUTFITS,
    SETTINGS_OF_TRAINING,
    SHOP_TITLES,
    SOURCES,
    Examples,
    prepare_source,
    shop_titles,
)

from coordi.api import load
from coordi.artifacts import write_json
from coordi.cli.console import note, progress_bar
from coordi.config import RunSettings, load_settings
from coordi.evaluation.metrics import Resamples, percentile_interval, roc_auc
from coordi.model.ensemble import TRAINING_NEGATIVES, outfits_and_labels, validation_questions
from coordi.model.trained import SETTINGS, ModelScorers, find_model
from coordi.model.training import finetune
from coordi.types import Dataset, OutfitScorer

SIZES = (800, 2000, 4000)
MEASURED = 150  # validation outfits of each source
LEFT_OUT_OF = 800  # outfits, before a source is left out
ANEW = (
    "finetune.start=null", "finetune.evaluations=1", "finetune.learning_rate=5e-4", "finetune.head_learning_rate=1e-3",
)  # fmt: skip


def main() -> None:
    """Train each adapter, and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the sources and style-pairs/dev.tsv")
    parser.add_argument("--work", type=Path, default=Path("results/adapter"), help="folder of train_adapter.py")
    parser.add_argument("--out", type=Path, default=Path("results/curve"), help="folder for the adapters")
    options = parser.parse_args()
    settings = load_settings("edge", [*SETTINGS_OF_TRAINING, *ANEW])
    sources = {name: prepare_source(options.data / name, options.work / name, settings) for name in SOURCES}
    titles = shop_titles(options.data / SHOP_TITLES)
    pairs = pairs_by_kind(options.data / "style-pairs" / "dev.tsv", load())
    parts = [validation_part(dataset, MEASURED) for dataset in sources.values()]
    for name, counts in mixtures().items():
        folder = options.out / name.replace(" ", "-")
        examples = Examples(sources, titles, settings, counts)
        with progress_bar(name) as progress:
            adapter = finetune(examples.of_epoch, examples.valid(), settings, folder, progress, note).adapter
        write_json(adapter / SETTINGS, settings.model_dump(mode="json"))
        _print_figures(f"{name} ({sum(counts.values()):,} outfits)", str(adapter), parts, pairs, settings)
    _print_figures("the bundled adapter, two passes of all", "bundled", parts, pairs, settings)


def _print_figures(title: str, adapter: str, parts: Sequence[Dataset], pairs: Pairs, settings: RunSettings) -> None:
    scorer = ModelScorers(find_model(adapter)).language_model
    print(f"{title}: {figures(scorer, parts, pairs, settings)}", flush=True)


def mixtures() -> Mapping[str, Mapping[str, int]]:
    """Numbers of outfits by source of each adapter."""
    total = sum(OUTFITS.values())
    by_size = {size: {name: round(count * size / total) for name, count in OUTFITS.items()} for size in SIZES}
    without = {f"without {name}": by_size[LEFT_OUT_OF] | {name: 0} for name in OUTFITS}
    first, *larger = ((f"{size} outfits", counts) for size, counts in by_size.items())
    return dict([first, larger[0], *without.items(), *larger[1:]])  # the longest training last


def figures(scorer: OutfitScorer, parts: Sequence[Dataset], pairs: Pairs, settings: RunSettings) -> str:
    """AUC on each source's validation questions with its interval, and the share of the pairs ordered rightly."""
    texts = []
    for dataset in parts:
        for negatives, questions in zip(TRAINING_NEGATIVES, validation_questions(dataset, settings.seed), strict=True):
            outfits, truth = outfits_and_labels(dataset, questions)
            scores = scorer.score(outfits)
            resamples = Resamples([question.outfit_id for question in questions], np.random.default_rng(settings.seed))
            low, high = percentile_interval(resamples.auc(scores, truth)) or (np.nan, np.nan)
            texts.append(f"{dataset.name} {negatives} {roc_auc(scores, truth):.3f} ({low:.3f} to {high:.3f})")
    return ", ".join([*texts, f"pairs {pairs_figure(scorer, pairs)}"])


if __name__ == "__main__":
    main()
