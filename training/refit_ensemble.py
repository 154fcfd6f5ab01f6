"""Fit the weights of the bundled ensemble again, for the adapter of ``train_adapter.py``; its features stay.

    python training/refit_ensemble.py path/to/data --adapter results/adapter/finetune/adapter --work results/adapter

The weights are fitted on questions about the validation outfits of Maryland Polyvore that the adapter wasn't trained
on, those of items without titles on as many of MANGO. Rules of facts aren't fitted for titles, but a stylist's, times a
factor. Category pairs, words of titles and means stay as they were learned: of the release's training outfits hardly
one has a dress. Figures on validation and on the pairs of common sense in ``style-pairs/dev.tsv``, which only choose
the factor, are printed for the ensemble as it is and for each of ``--rules``, with and without the language model;
``--save`` writes the ensemble of the last one into the adapter's folder.
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
from training.train_adapter import OUTFITS, prepare_source

from coordi.api import Model, load
from coordi.artifacts import read_json, write_json
from coordi.cli.console import note
from coordi.data.style_pairs import rows_of_pairs
from coordi.encoders.labels import load_vocabulary
from coordi.model.ensemble import (
    TRAINING_NEGATIVES,
    WITHOUT_LANGUAGE_MODEL,
    Ensemble,
    outfits_and_labels,
    text_encoder,
    validation_questions,
)
from coordi.model.features import CategoryCentering, group_sums
from coordi.model.trained import BUNDLED, ModelScorers
from coordi.prompts import text_in_prompts
from coordi.types import Dataset, Item, OutfitScorer

# Chosen on validation and the pairs of common sense, of 0.25, 0.35, 0.5, 0.75, 1 and 1.5 (dev/LOG.md).
RULES = (0.35,)
MOST_OUTFITS = 326  # of a source: all that Maryland has
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
    parser.add_argument("--rules", type=float, nargs="+", default=RULES, help="factors of the rules' weights")
    parser.add_argument("--save", action="store_true", help="write the ensemble of the last factor")
    options = parser.parse_args()
    loaded = load(str(options.adapter))
    settings = loaded.trained.settings
    datasets = [_validation(prepare_source(options.data / name, options.work / name, settings)) for name in OUTFITS]
    answers = SavedAnswers(ModelScorers(loaded.trained).language_model, options.work / "answers.json")
    pairs = _pairs(options.data / "style-pairs" / "dev.tsv", loaded)
    before = Ensemble.load(BUNDLED)
    assert before is not None
    vocabulary = load_vocabulary(settings.describe.vocabulary)
    titled, untitled = datasets[0], datasets[1]
    fits = {
        f"rules {rules:g}": before.refit(answers, titled, vocabulary, settings, untitled=untitled, rules=rules)
        for rules in options.rules
    }
    for name, ensemble in {"before": before, **fits}.items():
        centering = ensemble.centering.with_photo_only(vocabulary, settings.prompt, text_encoder())
        for scorer, language_model in (("fine-tuned", answers), (WITHOUT_LANGUAGE_MODEL, None)):
            print(f"{name}, {scorer}: {_figures(ensemble, centering, language_model, datasets, pairs)}")
    print(f"language model alone, pairs: {_pairs_figure(answers, pairs)}")
    for name, ensemble in fits.items():
        print(f"{name}, weights with the language model:")
        for feature, weight in ensemble.file.with_language_model.weights.items():
            print(f"  {feature:26} {weight:6.2f}")
    if options.save:
        ensemble.save(options.adapter)


def _validation(dataset: Dataset) -> Dataset:
    outfits = dataset.outfits_of("valid")[:MOST_OUTFITS]
    used = {item_id for row in outfits for item_id in row.item_ids}
    items = {item_id: item for item_id, item in dataset.items.items() if item_id in used}
    return replace(dataset, items=items, outfits=outfits, released=())


def _pairs(path: Path, loaded: Model) -> Pairs:
    """Outfits by kind of pair, the good one before the bad one."""
    outfits: dict[str, list[tuple[Item, ...]]] = defaultdict(list)
    for kind, outfit, good, bad in rows_of_pairs(path):
        shared = [loaded.item_of_words(words) for words in outfit]
        outfits[kind] += [(*shared, loaded.item_of_words(words)) for words in (good, bad)]
    return outfits


def _figures(
    ensemble: Ensemble,
    centering: CategoryCentering,
    language_model: OutfitScorer | None,
    datasets: Sequence[Dataset],
    pairs: Pairs,
) -> str:
    """AUC on each kind of validation questions, and the share of the pairs that are ordered rightly."""
    parts = []
    for dataset in datasets:
        adapted = centering.for_catalogue(group_sums(list(dataset.items.values())))
        scorer = ensemble.scorer("adapted", adapted, language_model)
        for negatives, part in zip(TRAINING_NEGATIVES, validation_questions(dataset, 17), strict=True):
            outfits, truth = outfits_and_labels(dataset, part)
            parts.append(f"{dataset.name} {negatives} {roc_auc_score(truth, scorer.score(outfits)):.4f}")
    parts.append(f"pairs {_pairs_figure(ensemble.scorer('words', centering, language_model), pairs)}")
    return ", ".join(parts)


def _pairs_figure(scorer: OutfitScorer, pairs: Pairs) -> str:
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
