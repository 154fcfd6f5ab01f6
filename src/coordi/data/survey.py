"""Counts, question balance and leaks of a data set, for ``coordi data info``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from coordi.artifacts import Progress, no_progress
from coordi.data.leaks import audit
from coordi.data.questions import draw_compatibility, draw_fill_in_the_blank
from coordi.errors import DataError
from coordi.types import (
    FITB_NEGATIVES,
    GARMENT_CATEGORIES,
    NEGATIVES,
    SPLITS,
    CompatibilityQuestion,
    Dataset,
    FitbQuestion,
)

CHOICES = 4


def survey(dataset: Dataset, seed: int, progress: Progress = no_progress) -> dict[str, Any]:
    """Count items, outfits and questions, and audit them for leaks, as ``--json`` prints it. Questions are the source's
    own and those that an evaluation with this seed and four choices draws, for training too; no retrieval queries.
    """
    questions: dict[str, Sequence[CompatibilityQuestion]] = {}
    blanks: dict[str, Sequence[FitbQuestion]] = {}
    balances = []
    for split in (split for split in SPLITS if dataset.outfits_of(split)):
        for protocol in NEGATIVES:
            key, balance = f"{split} {protocol}", {"split": split, "protocol": protocol}
            questions[key] = blanks[key] = ()
            counts, problem = (0, 0, 0, 0, 0), ""
            try:
                pairs = draw_compatibility(dataset, split, protocol, seed)
                fallbacks = 0
                if protocol in FITB_NEGATIVES:
                    drawn = draw_fill_in_the_blank(dataset, split, protocol, seed, CHOICES)
                    blanks[key], fallbacks = drawn.questions, drawn.fallbacks
                questions[key] = pairs.questions
                positives = sum(question.compatible for question in pairs.questions)
                counts = (len(pairs.questions), positives, pairs.left_out, len(blanks[key]), fallbacks)
            except DataError as error:
                problem = str(error)
            names = ("compatibility", "positives", "left_out", "blanks", "fallbacks")
            balances.append({**balance, **dict(zip(names, counts, strict=True)), "problem": problem})
    for part in dataset.released:
        questions[f"{part.split} {part.name}"], blanks[f"{part.split} {part.name}"] = part.compatibility, part.blanks
    return {
        "name": dataset.name,
        "layout": dataset.layout,
        "text_only": dataset.text_only,
        "items": len(dataset.items),
        "items_with_photo": sum(item.image is not None for item in dataset.items.values()),
        "outfits": {split: len(dataset.outfits_of(split)) for split in SPLITS},
        "funnel": [asdict(row) for row in dataset.funnel],
        "categories": _by_category(dataset),
        "questions": balances,
        "released": _release_counts(dataset),
        "leaks": [leak.as_json() for leak in audit(dataset, questions, blanks=blanks, progress=progress)],
    }


def _release_counts(dataset: Dataset) -> list[dict[str, Any]]:
    return [
        {
            "protocol": part.name,
            "split": part.split,
            "tasks": {
                task: {"in_its_file": file.count, "can_be_asked": count, "losses": dict(file.losses)}
                for task, (count, file) in part.by_task().items()
            },
        }
        for part in dataset.released
    ]


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
