"""Counts, question balance and leaks of a data set, for ``coordi data info``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from coordi.artifacts import Progress, no_progress
from coordi.data.leaks import Leak, audit
from coordi.data.questions import Drawn, draw_compatibility, draw_fill_in_the_blank
from coordi.errors import DataError
from coordi.types import (
    FITB_NEGATIVES,
    GARMENT_CATEGORIES,
    NEGATIVES,
    SPLITS,
    CompatibilityQuestion,
    Dataset,
    FitbQuestion,
    Negatives,
    Split,
)

CHOICES = 4


@dataclass(frozen=True, slots=True)
class Balance:
    """Questions that a split gives under a protocol, or the problem why it gives none.

    Half of the compatibility questions are positive. ``left_out`` counts outfits of which no negative can be made,
    ``fallbacks`` wrong candidates of another category than the true item's.
    """

    split: Split
    protocol: Negatives
    compatibility: int = 0
    positives: int = 0
    left_out: int = 0
    blanks: int = 0
    fallbacks: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """A data set in figures.

    Attributes:
        items_by_category: Garment categories that occur, in the domain's order, with counts by split and ``"all"``
            (which includes items that are in no outfit).
        balances: By split and protocol, for splits that have outfits.
        leaks: What the audit found.
    """

    dataset: Dataset
    items_by_category: dict[str, dict[str, int]]
    balances: tuple[Balance, ...]
    leaks: tuple[Leak, ...]

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        dataset = self.dataset
        return {
            "name": dataset.name,
            "layout": dataset.layout,
            "text_only": dataset.text_only,
            "items": len(dataset.items),
            "items_with_photo": sum(item.image is not None for item in dataset.items.values()),
            "outfits": {split: len(dataset.outfits_of(split)) for split in SPLITS},
            "funnel": [asdict(row) for row in dataset.funnel],
            "categories": self.items_by_category,
            "questions": [asdict(balance) for balance in self.balances],
            "released": [
                {
                    "protocol": part.name,
                    "split": part.split,
                    "tasks": {
                        task: {"in_its_file": file.count, "can_be_asked": count, "losses": dict(file.losses)}
                        for task, (count, file) in part.by_task().items()
                    },
                }
                for part in dataset.released
            ],
            "leaks": [leak.as_json() for leak in self.leaks],
        }


def survey(dataset: Dataset, seed: int, progress: Progress = no_progress) -> Survey:
    """Count items, outfits and questions, and audit them for leaks.

    Questions are those that an evaluation with this seed, four choices and the same data settings draws under each
    protocol, for the training split too, and those that came with the source. Retrieval queries aren't drawn here.
    """
    questions: dict[str, Sequence[CompatibilityQuestion]] = {}
    blanks: dict[str, Sequence[FitbQuestion]] = {}
    balances = []
    for split in SPLITS:
        for protocol in NEGATIVES:
            if dataset.outfits_of(split):
                drawn = _drawn(dataset, split, protocol, seed)
                balances.append(drawn[0])
                questions[f"{split} {protocol}"], blanks[f"{split} {protocol}"] = drawn[1:]
    for part in dataset.released:
        questions[f"{part.split} {part.name}"], blanks[f"{part.split} {part.name}"] = part.compatibility, part.blanks
    leaks = audit(dataset, questions, blanks=blanks, progress=progress)
    return Survey(dataset, _by_category(dataset), tuple(balances), leaks)


def _drawn(
    dataset: Dataset, split: Split, protocol: Negatives, seed: int
) -> tuple[Balance, Sequence[CompatibilityQuestion], Sequence[FitbQuestion]]:
    try:
        pairs = draw_compatibility(dataset, split, protocol, seed)
        blanks = Drawn[FitbQuestion](())
        if protocol in FITB_NEGATIVES:
            blanks = draw_fill_in_the_blank(dataset, split, protocol, seed, CHOICES)
    except DataError as error:
        return Balance(split, protocol, problem=str(error)), (), ()
    positives = sum(question.compatible for question in pairs.questions)
    counts = (len(pairs.questions), positives, pairs.left_out, len(blanks.questions), blanks.fallbacks)
    return Balance(split, protocol, *counts), pairs.questions, blanks.questions


def _by_category(dataset: Dataset) -> dict[str, dict[str, int]]:
    counts = {"all": Counter(item.category for item in dataset.items.values())}
    for split in SPLITS:
        used = {item_id for outfit in dataset.outfits_of(split) for item_id in outfit.item_ids}
        counts[split] = Counter(dataset.items[item_id].category for item_id in used)
    return {
        category: {column: counts[column][category] for column in (*SPLITS, "all")}
        for category in GARMENT_CATEGORIES
        if counts["all"][category]
    }
