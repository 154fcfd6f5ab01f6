"""How much of a compatibility AUC can be had from the order of an outfit's items alone; docs/order-leak.md reads it.

    python benchmarks/order_leak.py --data PATH [--json]          PATH in the Maryland Polyvore layout
    python benchmarks/order_leak.py --questions FILE [--json]     a release's own question file, without its items

The first trains five small models on questions about training outfits and asks them about test outfits, with the
source's order of items and without it. The second needs no training: it reads whether the numbers in the names
(``<set_id>_<index>``) rise, which is what is left of the order in the file.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression

from coordi.config import DataSettings
from coordi.data.cleaning import clean
from coordi.data.leak_tests import auc
from coordi.data.loading import read_source
from coordi.data.polyvore import read_compatibility_file
from coordi.data.questions import compatibility_questions
from coordi.data.source import Source
from coordi.evaluation.metrics import Resamples, percentile_interval
from coordi.types import CompatibilityQuestion, Dataset, FitbNegatives, Split

EPOCHS = 4
"""Negatives, and orders where they are drawn, are drawn anew in each pass over the training outfits."""
C = 0.03
"""Of every logistic regression. From 0.003 to 0.3 no model's AUC on validation outfits, averaged over the questions
below, moves by more than 0.023 (seed 17)."""
STREAM = 701
BOOTSTRAP = 1000
NOT_WEARABLE = "not worn"


@dataclass(frozen=True)
class Thing:
    """What a model may know of an item."""

    category: str
    kind: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """A question with its items in the order that a model sees."""

    outfit: str
    items: tuple[Thing, ...]
    compatible: bool


Questions = Callable[[Split, int, int], list[Asked]]
Features = Callable[[Sequence[Thing]], dict[str, float]]


def relative_order(items: Sequence[Thing]) -> dict[str, float]:
    """Which of two categories stands first, as +1 or -1; that both are there says nothing."""
    found: Counter[str] = Counter()
    for first, second in combinations((item.category for item in items), 2):
        if first != second:
            found[" < ".join(sorted((first, second)))] += 1 if first < second else -1
    return dict(found)


def positional_words(items: Sequence[Thing]) -> dict[str, float]:
    """Words of categories and titles, each with the place of its item."""
    return {f"{place} {word}": 1.0 for place, item in enumerate(items) for word in (item.category, *item.words)}


def category_pairs(items: Sequence[Thing]) -> dict[str, float]:
    """How often each unordered pair of categories, and of kinds, is there."""
    labels = ([item.category for item in items], [item.kind for item in items])
    return dict(Counter(" + ".join(sorted(pair)) for names in labels for pair in combinations(names, 2)))


def ordered_pairs(items: Sequence[Thing]) -> dict[str, float]:
    """How often each pair of categories, and of kinds, is there in this order: presence and order together."""
    labels = ([item.category for item in items], [item.kind for item in items])
    return dict(Counter(" < ".join(pair) for names in labels for pair in combinations(names, 2)))


def words(items: Sequence[Thing]) -> dict[str, float]:
    """Words of categories and titles."""
    return {word: 1.0 for item in items for word in (item.category, *item.words)}


MODELS: Mapping[str, Features] = {
    "order alone": relative_order,
    "words by position": positional_words,
    "category pairs": category_pairs,
    "pairs in order": ordered_pairs,
    "words": words,
}


def settings_of(source: Source, dataset: Dataset) -> dict[str, Questions]:
    """The questions to compare, by name."""
    things = {
        item.id: Thing(str(item.category or NOT_WEARABLE), item.kind, tuple(item.title.casefold().split()))
        for item in source.items
    }
    whole = {split: [one.item_ids for one in source.outfits if one.split == split] for split in ("train", "test")}
    found: dict[str, Questions] = {}
    for part in source.questions:
        if part.split == "test" and part.compatibility:
            same = "resampled" in part.name
            file = [Asked(one.outfit_id, tuple(things[name] for name in one.item_ids), one.compatible)
                    for one in part.compatibility if all(name in things for name in one.item_ids)]  # fmt: skip

            def as_it_stands(
                split: Split, seed: int, epoch: int, file: list[Asked] = file, same: bool = same
            ) -> list[Asked]:
                return file if split == "test" else made_like_it(whole["train"], things, same, [seed, epoch])

            found[f"{part.name}, the file as it stands"] = as_it_stands
    drawn: tuple[tuple[FitbNegatives, str, str], ...] = (
        ("random", "drawn", "outfits in the source's order"),
        ("random", "shuffled", "all shuffled"),
        ("same-category", "drawn", "outfits in the source's order"),
        ("same-category", "slots", "both in the source's order"),
        ("same-category", "shuffled", "all shuffled"),
    )
    for protocol, order, told in drawn:
        found[f"{protocol}, {told}"] = _drawn(dataset, things, protocol, order)
    return found


def made_like_it(
    outfits: Sequence[tuple[str, ...]], things: Mapping[str, Thing], same_kind: bool, seeds: Sequence[int]
) -> list[Asked]:
    """Outfits in their own order, and as many made-up ones: per slot any item, or one of its kind."""
    generator = np.random.default_rng([STREAM, *seeds])
    everything = [name for outfit in outfits for name in outfit]
    by_kind: dict[str, list[str]] = {}
    for name in everything:
        by_kind.setdefault(things[name].kind, []).append(name)
    asked = []
    for number, outfit in enumerate(outfits):
        pools = [by_kind[things[name].kind] if same_kind else everything for name in outfit]
        negative = [pool[int(generator.integers(len(pool)))] for pool in pools]
        for names, truth in ((outfit, True), (negative, False)):
            asked.append(Asked(str(number), tuple(things[name] for name in names), truth))
    return asked


def _drawn(dataset: Dataset, things: Mapping[str, Thing], protocol: FitbNegatives, order: str) -> Questions:
    own = {outfit.id: outfit.item_ids for outfit in dataset.outfits}

    def questions(split: Split, seed: int, epoch: int) -> list[Asked]:
        drawn = compatibility_questions(dataset, split, protocol, seed, epoch)
        return [
            Asked(one.outfit_id, tuple(things[name] for name in _ordered(one, own[one.outfit_id], things, order)),
                  one.compatible)
            for one in drawn
        ]  # fmt: skip

    return questions


def _ordered(
    question: CompatibilityQuestion, own: Sequence[str], things: Mapping[str, Thing], order: str
) -> tuple[str, ...]:
    """The items as asked, or a true outfit in its own order and a negative as drawn or in the outfit's slots."""
    if order == "shuffled" or (order == "drawn" and not question.compatible):
        return question.item_ids
    if question.compatible:
        return tuple(own)
    left = list(question.item_ids)
    placed = []
    for slot in own:
        fitting = [name for name in left if things[name].category == things[slot].category]
        # The slot's own kind first, as the draw prefers it too.
        placed.append(max(fitting, key=lambda name: things[name].kind == things[slot].kind))
        left.remove(placed[-1])
    return tuple(placed)


def measure(questions: Questions, seeds: Sequence[int], models: Mapping[str, Features] = MODELS) -> dict[str, Any]:
    """AUC of each model on test outfits, its mean over seeds and the mean's bootstrap interval by outfit."""
    reached: dict[str, list[float]] = {name: [] for name in models}
    resampled: dict[str, list[NDArray[np.float64]]] = {name: [] for name in models}
    for seed in seeds:
        train = [one for epoch in range(EPOCHS) for one in questions("train", seed, epoch)]
        test = sorted(questions("test", seed, 0), key=lambda one: one.outfit)
        labels = np.array([one.compatible for one in test])
        draws = Resamples([one.outfit for one in test], np.random.default_rng([STREAM, 1]), BOOTSTRAP)
        for name, features in models.items():
            scores = _scores(train, test, features)
            reached[name].append(auc(scores, labels))
            resampled[name].append(draws.auc(scores, labels))
    return {
        "questions": len(test),
        "outfits": draws.outfits,
        "auc": {
            name: {
                "mean": float(np.mean(reached[name])),
                "ci95": percentile_interval(np.mean(resampled[name], axis=0)),
                "by_seed": reached[name],
            }
            for name in models
        },
    }


def _scores(train: Sequence[Asked], test: Sequence[Asked], features: Features) -> NDArray[np.float64]:
    vectorizer = DictVectorizer()
    rows = vectorizer.fit_transform([features(one.items) for one in train])
    model = LogisticRegression(C=C, max_iter=2000, tol=1e-6).fit(rows, [one.compatible for one in train])
    # Rounded, so that questions which differ in nothing tie.
    scores = model.decision_function(vectorizer.transform([features(one.items) for one in test]))
    return np.asarray(np.round(scores, 9), dtype=np.float64)


def order_of(source: Source) -> list[dict[str, Any]]:
    """Of the outfits that hold one of each, in how many the first category stands before the second."""
    category = {item.id: item.category for item in source.items}
    found: dict[tuple[str, str], list[bool]] = {}
    for outfit in source.outfits:
        labels = [category[name] for name in outfit.item_ids]
        for first, second in combinations(("top", "bottom", "shoes", "bag", "jewellery"), 2):
            if labels.count(first) == labels.count(second) == 1:
                found.setdefault((first, second), []).append(labels.index(first) < labels.index(second))
    return [
        {"first": first, "second": second, "outfits": len(seen), "share": float(np.mean(seen))}
        for (first, second), seen in sorted(found.items(), key=lambda pair: -float(np.mean(pair[1])))
    ]


def numbers_in(path: Path) -> dict[str, Any]:
    """What the numbers at the end of names tell in a release's question file."""
    asked = read_compatibility_file(path)
    labels = np.array([one.compatible for one in asked])
    numbers = [[int(name.rsplit("_", 1)[1]) for name in one.item_ids] for one in asked]
    rising = np.array([np.mean([a < b for a, b in pairwise(one)]) if len(one) > 1 else 0.5 for one in numbers])
    draws = Resamples([one.outfit_id for one in asked], np.random.default_rng([STREAM, 1]), BOOTSTRAP)
    return {
        "file": path.name,
        "questions": len(asked),
        "outfits": draws.outfits,
        "auc": auc(rising, labels),
        "ci95": percentile_interval(draws.auc(rising, labels)),
    }


def lines_of(result: Mapping[str, Any]) -> Iterator[str]:
    """The result as a page would show it."""
    if "file" in result:
        low, high = result["ci95"]
        yield f"{result['file']}: numbers in names rise: AUC {result['auc']:.3f} ({low:.3f}-{high:.3f}), " \
              f"{result['questions']} questions of {result['outfits']} outfits"  # fmt: skip
        return
    for row in result["order"]:
        yield f"{row['first']} before {row['second']}: {row['share']:.3f} of {row['outfits']} outfits"
    yield "| questions | n | " + " | ".join(MODELS) + " |"
    yield "|---" * (len(MODELS) + 2) + "|"
    for name, row in result["settings"].items():
        cells = [f"{one['mean']:.3f} ({one['ci95'][0]:.3f}-{one['ci95'][1]:.3f})" for one in row["auc"].values()]
        yield f"| {name} | {row['questions']} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--data", type=Path)
    given.add_argument("--questions", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[17, 18, 19, 20, 21])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, Any]
    if options.questions:
        result = numbers_in(options.questions)
    else:
        how = DataSettings(photos="optional")
        # Read twice, as cleaning adds to a source's funnel.
        source, dataset = read_source(options.data, how), clean(read_source(options.data, how), how, options.seeds[0])
        settings = settings_of(source, dataset)
        measured = {name: measure(questions, options.seeds) for name, questions in settings.items()}
        result = {"data": source.name, "seeds": options.seeds, "order": order_of(source), "settings": measured}
    print(json.dumps(result, indent=2) if options.json else "\n".join(lines_of(result)))


if __name__ == "__main__":
    main()
