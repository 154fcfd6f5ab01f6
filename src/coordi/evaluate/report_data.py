"""What a report is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from coordi.data.leaks import Leak
from coordi.evaluate.benchmark import Evaluation
from coordi.evaluate.results import ReportWarning
from coordi.evaluate.summary import LEVEL
from coordi.types import SPLITS, Dataset, Description

WORTH = 0.02
"""A leak that gains less than this, in AUC or accuracy, stands in its table but isn't warned of."""


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
class ReportData:
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
        warnings: What is told loudly beside those of the evaluation: how the data came to be, what was left out.
        seeds: Figures of every set of questions that was drawn, as ``report.json`` has them; None for one set.
        learning_curve: AUC by number of training outfits, as ``report.json`` has it; empty if it wasn't measured.
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
    warnings: tuple[ReportWarning, ...] = ()
    seeds: Mapping[str, Any] | None = None
    learning_curve: tuple[Mapping[str, Any], ...] = ()

    @property
    def under_test(self) -> str:
        """What the model under test is called: a scorer's name unless its facts have a better one."""
        return str(self.model.get("name", self.evaluation.protocols[0].results[0].scorer))

    @property
    def cautions(self) -> tuple[ReportWarning, ...]:
        """Everything that a reader must know: the report's own warnings, leaks that are worth something, the figures'.

        A leak is told if a model can read it and a cheat gains AUC or accuracy by it.
        """
        leaks = (
            ReportWarning(leak.where, f"Leak ({leak.name}): {leak.detail.rstrip('.')}.")
            for leak in self.leaks
            if leak.visible and _worth(leak) >= WORTH
        )
        return (*self.warnings, *leaks, *self._too_few_resamples(), *self.evaluation.warnings)

    def _too_few_resamples(self) -> tuple[ReportWarning, ...]:
        """No bootstrap p-value is below 2 / (resamples + 1), which Holm's correction multiplies by the comparisons."""
        resamples = self.settings.get("evaluate", {}).get("bootstrap")
        protocols = (figures for task in self.evaluation.tasks.values() for figures in task.values())
        most = max((len(figures["baselines"]) for figures in protocols), default=0)
        if resamples is None or 2 * most / (resamples + 1) < LEVEL:
            return ()
        text = (
            f"{resamples} resamples are too few to tell {most} scorers from the model, whatever their figures: the "
            f"smallest p-value after Holm's correction is {min(1.0, 2 * most / (resamples + 1)):.2f}. Set "
            f"evaluate.bootstrap={40 * most} or more."
        )
        return (ReportWarning("differences", text),)


def _worth(leak: Leak) -> float:
    """What a cheat gains over knowing nothing; 0 for what is only counted."""
    reached = leak.accuracy if leak.auc is None else leak.auc
    return 0.0 if reached is None else reached - (0.5 if leak.chance is None else leak.chance)


def split_counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """By split, how many outfits it has, how many items are in them, and how many of those have a photo."""
    counts: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        outfits = dataset.outfits_of(split)
        used = {item_id for outfit in outfits for item_id in outfit.item_ids}
        photos = sum(dataset.items[item_id].image is not None for item_id in used)
        counts[split] = {"outfits": len(outfits), "items": len(used), "photos": photos}
    return counts


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Settings as ``a.b`` and value, the way overrides are written."""
    rows: list[tuple[str, str]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            rows += flat_settings(value, f"{prefix}{key}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            rows.append((f"{prefix}{key}", "null" if value is None else text))
    return rows
