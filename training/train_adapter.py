"""Train the bundled adapter on real outfits of three sources and on composed ones, and fit its ensemble.

    python training/train_adapter.py path/to/data --work results/adapter

The folder of data holds ``polyvore-maryland``, ``mango``, ``chictopia`` and ``fashion-products``. The training goes on
from the bundled adapter, and resumes where it was interrupted. An example is a real outfit with one random negative,
one of the same categories and a twin with one item that breaks a rule of the lexicon; or a composed outfit with two
twins. Outfits of the release's validation split that the bundled adapter learned from are trained on again, the others
choose the best checkpoint and, with ``refit_ensemble.py``, the weights of the ensemble. Nothing is read of any test
split.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from training.compose import Composer

from coordi.api import DEFAULT_SEED, load
from coordi.artifacts import read_json, write_json
from coordi.cli.console import note, progress_bar
from coordi.config import RunSettings, load_settings
from coordi.data.questions import compatibility_questions
from coordi.model.ensemble import TRAINING_NEGATIVES
from coordi.model.trained import BUNDLED, SETTINGS
from coordi.model.training import finetune
from coordi.pipeline import stages
from coordi.pipeline.stages import CHOSEN_ON, TRAINED_ON, outfit_key
from coordi.pipeline.workspace import Workspace, fingerprint
from coordi.prompts import Instruction, compatibility_instruction, text_in_prompts
from coordi.types import Dataset, GarmentCategory, Item, Split

SETTINGS_OF_TRAINING = (
    "prompt.facts=true", "prompt.max_length=192", "finetune.start=bundled", "finetune.epochs=1",
    "finetune.evaluations=4", "finetune.learning_rate=3e-4", "finetune.head_learning_rate=6e-4", "data.photos=optional",
)  # fmt: skip
COMPOSED = "composed"
# Outfits of an epoch by source; a source that has fewer gives all.
OUTFITS = {"polyvore-maryland": 5200, "mango": 1600, "chictopia": 1600, COMPOSED: 4800}
SOURCES = tuple(name for name in OUTFITS if name != COMPOSED)
RANDOM_STREAM = 21
WARDROBE = 12000  # items of composed outfits
SHOP_TITLES = Path("fashion-products", "titles-without-photos.csv")
VALID_OUTFITS = {"polyvore-maryland": 200, "mango": 40, "chictopia": 40}
VALID_COMPOSED = 80
_TWINS = 0.5  # share of real outfits that have a twin in place of the random negative


def main() -> None:
    """Prepare the data, train, and write the adapter into the work folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the sources")
    parser.add_argument("--work", type=Path, default=Path("results/adapter"), help="folder for data and the adapter")
    parser.add_argument("--set", action="append", default=[], help="a setting, key=value")
    parser.add_argument(
        "--outfits", nargs="+", default=[], metavar="SOURCE=N", help="other numbers of outfits of an epoch, 0 for none"
    )
    parser.add_argument("--prepare", action="store_true", help="prepare the data and stop")
    options = parser.parse_args()
    settings = load_settings("edge", [*SETTINGS_OF_TRAINING, *options.set])
    sources = {name: prepare_source(options.data / name, options.work / name, settings) for name in SOURCES}
    counts = OUTFITS | {name: int(count) for name, count in (part.split("=") for part in options.outfits)}
    examples = Examples(sources, shop_titles(options.data / SHOP_TITLES), settings, counts)
    if options.prepare:
        for line in examples.describe():
            print(line)
        return
    out = options.work / "finetune"
    with progress_bar("fine-tuning") as progress:
        result = finetune(examples.of_epoch, examples.valid(), settings, out, progress, note)
    for point in result.curve:
        print(point)
    for name, split in ((TRAINED_ON, "train"), (CHOSEN_ON, "valid")):
        keys = {
            outfit_key(row.item_ids, dataset)
            for dataset in sources.values() for row in dataset.outfits if row.split == split
        }  # fmt: skip
        write_json(result.adapter / name, sorted(keys | set(read_json(BUNDLED / name))))
    write_json(result.adapter / SETTINGS, settings.model_dump(mode="json"))


def prepare_source(data: Path, work: Path, settings: RunSettings) -> Dataset:
    """Outfits of a source, split with one seed whatever that of the training: validation outfits that the bundled
    adapter was trained on are training outfits.
    """
    settings = settings.model_copy(update={"seed": DEFAULT_SEED})
    workspace = Workspace(data, work, settings, "train_adapter", note, progress_bar)
    dataset = stages.prepare(workspace, fingerprint(data)).dataset
    trained = set(read_json(BUNDLED / TRAINED_ON))
    outfits = tuple(
        replace(row, split="train") if row.split == "valid" and outfit_key(row.item_ids, dataset) in trained else row
        for row in dataset.outfits
        if row.split != "test"
    )
    return replace(dataset, outfits=outfits, released=())


def shop_titles(path: Path) -> list[str]:
    """Titles of products, each once, in the file's order."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(dict.fromkeys(row["productDisplayName"] for row in csv.DictReader(file)))


class Examples:
    """Draws the examples of an epoch, and the validation questions."""

    def __init__(
        self, sources: dict[str, Dataset], titles: Sequence[str], settings: RunSettings, counts: Mapping[str, int]
    ) -> None:
        self._sources = sources
        self._counts = counts
        self._settings = settings
        self._items = [item for dataset in sources.values() for item in dataset.items.values()]
        self._composer = cache(lambda seed: Composer(load(), self._items, titles, WARDROBE, seed))

    def of_epoch(self, epoch: int) -> tuple[Instruction, ...]:
        """Examples of an epoch in shuffled order, each an outfit and its negatives."""
        rng = np.random.default_rng([self._settings.seed, RANDOM_STREAM, epoch])
        composer = self._composer(self._settings.seed + 2 * epoch)
        groups = self._composed(composer, self._counts[COMPOSED])
        for name in SOURCES:
            if self._counts[name]:
                groups += self._real(name, composer, "train", self._counts[name], epoch, rng)
        drop = self._settings.finetune.without_facts
        return tuple(
            example
            for n in rng.permutation(len(groups))
            for example in _instructions(groups[n], facts=rng.random() >= drop)
        )

    def valid(self) -> tuple[Instruction, ...]:
        """Validation questions of all sources and kinds of negatives."""
        rng = np.random.default_rng([self._settings.seed, 22])
        composer = self._composer(self._settings.seed + 1)
        groups = self._composed(composer, VALID_COMPOSED)
        for name, count in VALID_OUTFITS.items():
            groups += self._real(name, composer, "valid", count, 0, rng)
        return tuple(example for group in groups for example in _instructions(group, facts=True))

    def describe(self) -> list[str]:
        """Counts, and some examples."""
        counts = [
            f"{name}: {len(dataset.outfits_of('train'))} train, {len(dataset.outfits_of('valid'))} valid"
            for name, dataset in self._sources.items()
        ]
        drawn = self.of_epoch(0)
        return [*counts, f"{len(drawn)} prompts", *(f"{row.answer} {row.items}" for row in drawn[:60])]

    def _composed(self, composer: Composer, count: int) -> list[list[Sequence[Item]]]:
        groups: list[list[Sequence[Item]]] = []
        while len(groups) < count:
            outfit = composer.outfit()
            twins = [] if outfit is None else [composer.twin(outfit, composer.by_category) for _ in range(2)]
            if outfit is not None and (wrong := [twin for twin in twins if twin is not None]):
                groups.append([outfit, *wrong])
        return groups

    def _real(
        self, name: str, composer: Composer, split: Split, count: int, epoch: int, rng: np.random.Generator
    ) -> list[list[Sequence[Item]]]:
        """Outfits of a source, each with two negatives; a share of them has a twin in place of the random one."""
        dataset, seed = self._sources[name], self._settings.seed
        outfits = dataset.outfits_of(split)
        chosen = {outfits[n].id for n in rng.permutation(len(outfits))[:count]}
        part = replace(dataset, outfits=tuple(row for row in dataset.outfits if row.split != split or row.id in chosen))
        pools: dict[GarmentCategory | None, list[Item]] = defaultdict(list)
        for outfit in outfits:
            for item in dataset.items_of(outfit.item_ids):
                pools[item.category].append(item)
        positives: dict[str, Sequence[Item]] = {}
        wrong: dict[str, list[Sequence[Item]]] = defaultdict(list)
        for negatives in TRAINING_NEGATIVES[::-1]:
            for question in compatibility_questions(part, split, negatives, seed, epoch):
                items = dataset.items_of(question.item_ids)
                if question.compatible:
                    positives[question.outfit_id] = items
                else:
                    wrong[question.outfit_id].append(items)
        groups = []
        for outfit_id, items in positives.items():
            rows = wrong[outfit_id]
            twin = composer.twin(items, pools) if rng.random() < _TWINS else None
            groups.append([items, *rows] if twin is None else [items, *rows[:-1], twin])
        return groups


def _instructions(group: Sequence[Sequence[Item]], *, facts: bool) -> list[Instruction]:
    return [
        compatibility_instruction([text_in_prompts(item, facts=facts) for item in outfit], not place)
        for place, outfit in enumerate(group)
    ]


if __name__ == "__main__":
    main()
