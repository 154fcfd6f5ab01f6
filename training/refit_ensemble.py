"""Learn the bundled ensemble for the adapter of ``train_adapter.py``.

    python training/refit_ensemble.py path/to/data --adapter results/adapter/finetune/adapter --work results/adapter

Category pairs, words of titles, means and projections are learned from the training outfits of all sources; the
regressions are fitted on questions about validation outfits and about training outfits of Maryland Polyvore that the
adapter wasn't trained on. Rules of facts aren't fitted, but a stylist's, times a factor. Figures on validation and on
the pairs of common sense in ``style-pairs/dev.tsv``, which only choose the factor, are printed for each of ``--rules``,
with and without the language model; ``--save`` writes the ensemble of the last one into the adapter's folder.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from training.train_adapter import RANDOM_STREAM, SOURCES, prepare_source

from coordi.api import Model, load
from coordi.artifacts import read_json, write_json
from coordi.cli.console import note
from coordi.data.style_pairs import rows_of_pairs
from coordi.encoders.labels import load_vocabulary
from coordi.model.ensemble import (
    RULES_FACTOR,
    TRAINING_NEGATIVES,
    WITHOUT_LANGUAGE_MODEL,
    Ensemble,
    outfits_and_labels,
    validation_questions,
)
from coordi.model.features import group_sums
from coordi.model.trained import ModelScorers
from coordi.prompts import text_in_prompts
from coordi.types import Dataset, Item, OutfitScorer

MARYLAND = "polyvore-maryland"
FITTED_ON = (MARYLAND, "mango")
# Seed and number of Maryland's outfits of each pass of ``train_adapter.py``.
PASSES = ((17, 5500), (18, 5200))
MOST_OUTFITS = {MARYLAND: 800, "mango": 326, "chictopia": 326}
AT_ONCE = 256  # outfits whose answers are saved together
Pairs = Mapping[str, Sequence[tuple[Item, ...]]]


class SavedAnswers:
    """A language model's P(yes), kept in a file by the outfit's texts, so that a second fit takes seconds."""

    name = "language-model"
    gives_probabilities = True

    def __init__(self, scorer: OutfitScorer, path: Path) -> None:
        self._scorer = scorer
        self._path = path
        self._answers: dict[str, float] = read_json(path) if path.is_file() else {}

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """P(yes) of each outfit, shape ``(N,)``."""
        new = {_key(outfit): outfit for outfit in outfits if _key(outfit) not in self._answers}
        keys = list(new)
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            self._answers |= zip(part, self._scorer.score([new[key] for key in part]).tolist(), strict=True)
            write_json(self._path, self._answers)
            note(f"language model: {start + len(part)} of {len(keys)} outfits")
        return np.array([self._answers[_key(outfit)] for outfit in outfits])


def main() -> None:
    """Fit, print, and save if requested."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the sources and style-pairs/dev.tsv")
    parser.add_argument("--adapter", type=Path, required=True, help="the adapter's folder")
    parser.add_argument("--work", type=Path, default=Path("results/adapter"), help="folder of train_adapter.py")
    parser.add_argument("--rules", type=float, nargs="+", default=(RULES_FACTOR,), help="factors of the rules' weights")
    parser.add_argument("--fit-on", nargs="+", default=list(FITTED_ON), help="sources whose validation is fitted on")
    parser.add_argument("--save", action="store_true", help="write the ensemble of the last factor")
    options = parser.parse_args()
    loaded = load(str(options.adapter))
    settings = loaded.trained.settings
    prepared = {name: prepare_source(options.data / name, options.work / name, settings) for name in SOURCES}
    prepared[MARYLAND] = with_unseen(prepared[MARYLAND])
    datasets = [validation_part(dataset, MOST_OUTFITS[dataset.name]) for dataset in prepared.values()]
    answers = SavedAnswers(ModelScorers(loaded.trained).language_model, options.work / "answers.json")
    pairs = pairs_by_kind(options.data / "style-pairs" / "dev.tsv", loaded)
    vocabulary = load_vocabulary(settings.describe.vocabulary)
    learned = Ensemble.learn_features(list(prepared.values()), settings)
    chosen = [dataset for dataset in datasets if dataset.name in options.fit_on]
    fits = {
        f"rules {rules:g}": learned.fit(answers, chosen, vocabulary, settings, rules=rules) for rules in options.rules
    }
    for name, ensemble in fits.items():
        ready = ensemble.with_photo_only(vocabulary, settings.prompt)
        for scorer, language_model in (("fine-tuned", answers), (WITHOUT_LANGUAGE_MODEL, None)):
            print(f"{name}, {scorer}: {_figures(ready, language_model, datasets, pairs)}", flush=True)
    print(f"language model alone, pairs: {pairs_figure(answers, pairs)}")
    for name, ensemble in fits.items():
        file = ensemble.file
        for title, model in (("titled", file.with_language_model), ("untitled", file.untitled_with_language_model)):
            if model is not None:
                weights = " ".join(f"{feature} {weight:.2f}" for feature, weight in model.weights.items())
                print(f"{name}, {title}, weights with the language model: {weights}")
    if options.save:
        ensemble.save(options.adapter)


def with_unseen(dataset: Dataset) -> Dataset:
    """Training outfits that no pass drew, as validation outfits: those of the release's validation split have dresses,
    these have not, and its test split has some of both.
    """
    outfits = dataset.outfits_of("train")
    drawn = {
        outfits[n].id
        for seed, count in PASSES
        for n in np.random.default_rng([seed, RANDOM_STREAM, 0]).permutation(len(outfits))[:count]
    }
    rows = [
        replace(row, split="valid") if row.split == "train" and row.id not in drawn else row for row in dataset.outfits
    ]
    return replace(dataset, outfits=tuple(rows))


def validation_part(dataset: Dataset, most: int) -> Dataset:
    """The first validation outfits of a source, and their items."""
    outfits = dataset.outfits_of("valid")[:most]
    used = {item_id for row in outfits for item_id in row.item_ids}
    items = {item_id: item for item_id, item in dataset.items.items() if item_id in used}
    return replace(dataset, items=items, outfits=outfits, released=())


def pairs_by_kind(path: Path, loaded: Model) -> Pairs:
    """Outfits by kind of pair, the good one before the bad one."""
    outfits: dict[str, list[tuple[Item, ...]]] = defaultdict(list)
    for kind, outfit, good, bad in rows_of_pairs(path):
        shared = [loaded.item_of_words(words) for words in outfit]
        outfits[kind] += [(*shared, loaded.item_of_words(words)) for words in (good, bad)]
    return outfits


def _figures(ensemble: Ensemble, language_model: OutfitScorer | None, datasets: Sequence[Dataset], pairs: Pairs) -> str:
    """AUC on each kind of validation questions, and the share of the pairs that are ordered rightly."""
    parts = []
    for dataset in datasets:
        adapted = ensemble.for_catalogue(group_sums(list(dataset.items.values())))
        scorer = adapted.scorer("adapted", language_model)
        for negatives, part in zip(TRAINING_NEGATIVES, validation_questions(dataset, 17), strict=True):
            outfits, truth = outfits_and_labels(dataset, part)
            parts.append(f"{dataset.name} {negatives} {roc_auc_score(truth, scorer.score(outfits)):.4f}")
    parts.append(f"pairs {pairs_figure(ensemble.scorer('words', language_model), pairs)}")
    return ", ".join(parts)


def pairs_figure(scorer: OutfitScorer, pairs: Pairs) -> str:
    """Share of pairs that are ordered rightly, of all and by kind."""
    right: dict[str, list[bool]] = {}
    for kind, outfits in pairs.items():
        scores = scorer.score(outfits)
        right[kind] = (scores[0::2] > scores[1::2]).tolist()
    every = [value for values in right.values() for value in values]
    return " ".join([f"{np.mean(every):.3f}", *(f"{kind} {np.mean(values):.2f}" for kind, values in right.items())])


def _key(outfit: Sequence[Item]) -> str:
    return "\n".join(text_in_prompts(item, facts=True) for item in outfit)


if __name__ == "__main__":
    main()
