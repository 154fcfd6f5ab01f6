"""Fit the weights of the bundled ensemble again, on a release of Maryland Polyvore; all else stays as it is.

    python training/refit_ensemble.py path/to/polyvore-maryland --pairs path/to/style-pairs/dev.tsv

The weights are fitted on questions about the validation outfits that the adapter wasn't trained on; these are added to
``chosen_on.json``, so that no evaluation uses them. Category pairs, words of titles and means stay as they were learned
from the adapter's training outfits: of the release's training outfits hardly one has a dress. Figures on validation and
on the pairs of common sense, with and without the language model, are printed before and after; only ``--save`` writes
the ensemble into the package.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from coordi.api import Model, load
from coordi.artifacts import read_json, write_json
from coordi.cli.console import note, progress_bar
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
from coordi.pipeline import stages
from coordi.pipeline.stages import CHOSEN_ON
from coordi.pipeline.workspace import Workspace, fingerprint
from coordi.types import Dataset, Item, OutfitScorer

# Chosen on validation and the pairs of common sense: the most of 1, 1.25, 1.5, 2 and 3 with which the AUC of random
# questions stays within 0.003 of that with 1, with the language model and without it (dev/LOG.md).
RULES_BY = 1.25
AT_ONCE = 256  # outfits whose answers are saved together


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
    parser.add_argument("data", type=Path, help="folder of Maryland Polyvore")
    parser.add_argument("--pairs", type=Path, help="table of pairs of common sense: kind, outfit, good, bad")
    parser.add_argument("--work", type=Path, default=Path("results/refit"), help="folder for data and answers")
    parser.add_argument("--rules-by", type=float, default=RULES_BY, help="times that rules weigh more than in the fit")
    parser.add_argument("--save", action="store_true", help="write the ensemble into the package")
    options = parser.parse_args()
    loaded = load()
    dataset = _dataset(options.data, options.work, loaded)
    answers = SavedAnswers(ModelScorers(loaded.trained).language_model, options.work / "answers.json")
    pairs = _pairs(options.pairs, loaded) if options.pairs else {}
    before = Ensemble.load(BUNDLED)
    assert before is not None
    vocabulary = load_vocabulary(loaded.trained.settings.describe.vocabulary)
    after = before.refit(answers, dataset, vocabulary, loaded.trained.settings, options.rules_by)
    for name, ensemble in (("before", before), ("after", after)):
        print(name)
        centering = ensemble.centering.with_photo_only(vocabulary, loaded.trained.settings.prompt, text_encoder())
        for scorer in ("fine-tuned", WITHOUT_LANGUAGE_MODEL):
            language_model = None if scorer == WITHOUT_LANGUAGE_MODEL else answers
            print(f"  {scorer}: {_figures(ensemble, centering, language_model, dataset, pairs)}")
    for name, model in (("with", after.file.with_language_model), ("without", after.file.without_language_model)):
        print(f"weights {name} the language model:")
        for feature, weight in model.weights.items():
            print(f"  {feature:24} {weight:6.2f} {model.ranges.get(feature, '')}")
    if options.save:
        after.save(BUNDLED)
        keys = {stages.outfit_key(row.item_ids, dataset) for row in dataset.outfits}
        write_json(BUNDLED / CHOSEN_ON, sorted(keys | set(read_json(BUNDLED / CHOSEN_ON))))


def _dataset(data: Path, work: Path, loaded: Model) -> Dataset:
    settings = loaded.trained.settings
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"photos": "optional"})})
    workspace = Workspace(data, work, settings, "refit", note, progress_bar)
    dataset = stages.without_trained_on(stages.prepare(workspace, fingerprint(data)), BUNDLED).dataset
    outfits = dataset.outfits_of("valid")
    used = {item_id for row in outfits for item_id in row.item_ids}
    items = {item_id: item for item_id, item in dataset.items.items() if item_id in used}
    return replace(dataset, items=items, outfits=outfits, released=())


def _pairs(path: Path, loaded: Model) -> Mapping[str, list[tuple[Item, ...]]]:
    """Outfits by kind of pair, the good one before the bad one."""
    outfits: dict[str, list[tuple[Item, ...]]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            shared = [loaded.item_of_words(words.strip()) for words in row["outfit"].split(";")]
            outfits[row["kind"]] += [(*shared, loaded.item_of_words(row[name])) for name in ("good", "bad")]
    return outfits


def _figures(
    ensemble: Ensemble,
    centering: CategoryCentering,
    language_model: OutfitScorer | None,
    dataset: Dataset,
    pairs: Mapping[str, Sequence[tuple[Item, ...]]],
) -> str:
    """AUC on each kind of validation questions, and the share of the pairs that are ordered rightly."""
    adapted = centering.for_catalogue(group_sums(list(dataset.items.values())))
    scorer = ensemble.scorer("adapted", adapted, language_model)
    parts = []
    for negatives, part in zip(TRAINING_NEGATIVES, validation_questions(dataset, 17), strict=True):
        outfits, truth = outfits_and_labels(dataset, part)
        parts.append(f"{negatives} {roc_auc_score(truth, scorer.score(outfits)):.4f} (n {len(outfits)})")
    scorer = ensemble.scorer("words", centering, language_model)
    right: dict[str, list[bool]] = {}
    for kind, outfits_of_kind in pairs.items():
        scores = scorer.score(outfits_of_kind)
        right[kind] = (scores[0::2] > scores[1::2]).tolist()
    if right:
        every = [value for values in right.values() for value in values]
        parts.append(f"pairs {np.mean(every):.3f} (n {len(every)})")
        parts += [f"{kind} {np.mean(values):.2f}" for kind, values in right.items()]
    return ", ".join(parts)


def _key(outfit: Sequence[Item]) -> str:
    return "\n".join(item.text for item in outfit)


if __name__ == "__main__":
    main()
