"""What a report is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from coordi.data.leaks import Leak
from coordi.domain import SPLITS, Dataset, Description
from coordi.evaluate.benchmark import Evaluation


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """What was known of fine-tuning at an optimizer step; None where it wasn't measured."""

    step: int
    train_loss: float | None = None
    valid_loss: float | None = None
    valid_auc: float | None = None


@dataclass(frozen=True, slots=True)
class ShownRecommendation:
    """An outfit and what was found to complete it.

    Attributes:
        outfit: Item ids.
        want: The category that was asked for; None if what is missing was.
        suggestions: Item ids with their scores, best first.
        shortlist: How candidates were chosen before the model ranked them.
        taken: The item that was taken away from a real outfit to make the question; None if none was.
    """

    outfit: tuple[str, ...]
    want: str | None
    suggestions: tuple[tuple[str, float], ...]
    shortlist: str
    taken: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a report tells. No times and no memory: the same seed gives the same bytes.

    Attributes:
        command: The command that made it.
        dataset: What was cleaned, with its funnel.
        evaluation: Figures and scores; the first scorer is the model under test.
        model: Facts about the model under test by name; ``name`` is what the page calls it.
        settings: The resolved settings, with ``seed`` and ``evaluate`` in them.
        leaks: What the audit found; empty for clean data.
        training: The learning curve; empty if nothing was fine-tuned.
        descriptions: By item id.
        recommendations: Examples to show.
        versions: Of what shapes the result.
    """

    command: str
    dataset: Dataset
    evaluation: Evaluation
    model: Mapping[str, Any]
    settings: Mapping[str, Any]
    leaks: tuple[Leak, ...] = ()
    training: tuple[LearningPoint, ...] = ()
    descriptions: Mapping[str, Description] = field(default_factory=dict)
    recommendations: tuple[ShownRecommendation, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def split_counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """By split, how many outfits it has, how many items are in them, and how many of those have a photo."""
    counts: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        outfits = dataset.outfits_of(split)
        used = {item_id for outfit in outfits for item_id in outfit.item_ids}
        photos = sum(dataset.items[item_id].image is not None for item_id in used)
        counts[split] = {"outfits": len(outfits), "items": len(used), "photos": photos}
    return counts
