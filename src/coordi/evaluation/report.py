"""Contents of an evaluation's report, and report.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from coordi.data.leaks import Leak
from coordi.evaluation.benchmark import Evaluation
from coordi.evaluation.external import question_digests
from coordi.evaluation.naming import NamingResult
from coordi.evaluation.scoring import ReportWarning
from coordi.evaluation.summary import LEVEL
from coordi.types import SPLITS, Dataset, Description

REPORT_JSON = "report.json"
FORMAT = 2
"""Of ``report.json``; raised when a key changes its meaning or goes."""
LEAST_LEAK = 0.02
"""A leak that gains less than this, in AUC or accuracy, is listed in its table without a warning."""


@dataclass(frozen=True, slots=True)
class TrainingPoint:
    """Losses and AUC at an optimizer step of fine-tuning; None where one wasn't measured."""

    step: int
    train_loss: float | None = None
    valid_loss: float | None = None
    valid_auc: float | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An outfit and scored item ids; ``shortlist`` is how candidates were chosen, ``removed`` was in the outfit."""

    outfit: tuple[str, ...]
    want: str | None
    suggestions: tuple[tuple[str, float], ...]
    shortlist: str
    removed: str | None = None


@dataclass(frozen=True, slots=True)
class ReportData:
    """Contents of a report. They hold no times and no memory: the same seed gives the same bytes.

    The evaluation's first scorer is the model under test; ``model`` holds its facts, with its ``name`` on the page. The
    resolved settings have ``seed`` and ``evaluate`` in them; descriptions are by item id.
    """

    command: str
    dataset: Dataset
    evaluation: Evaluation
    model: Mapping[str, Any]
    settings: Mapping[str, Any]
    leaks: tuple[Leak, ...] = ()
    training: tuple[TrainingPoint, ...] = ()
    descriptions: Mapping[str, Description] = field(default_factory=dict)
    recommendations: tuple[Recommendation, ...] = ()
    naming: NamingResult | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[ReportWarning, ...] = ()

    @property
    def under_test(self) -> str:
        """Name of the model under test: the scorer's unless its facts have another one."""
        return str(self.model.get("name", self.evaluation.protocols[0].results[0].scorer))

    @property
    def all_warnings(self) -> tuple[ReportWarning, ...]:
        """The report's own warnings, leaks that a model can use for a gain, and the warnings of the evaluation."""
        leaks = (
            ReportWarning(leak.where, f"Leak ({leak.name}): {leak.detail.rstrip('.')}.")
            for leak in self.leaks
            if leak.visible and _gain(leak) >= LEAST_LEAK
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


def _gain(leak: Leak) -> float:
    """Gain over chance of a scorer that uses nothing but the leak; 0 for leaks that are only counted."""
    reached = leak.accuracy if leak.auc is None else leak.auc
    return 0.0 if reached is None else reached - (0.5 if leak.chance is None else leak.chance)


def report_json(report: ReportData) -> dict[str, Any]:
    """Contents of ``report.json``."""
    dataset = report.dataset
    warnings = dict.fromkeys((warning.where, warning.text) for warning in report.all_warnings)
    return {
        "data": {
            "name": dataset.name,
            "layout": dataset.layout,
            "text_only": dataset.text_only,
            "items": len(dataset.items),
            "photos": sum(item.image is not None for item in dataset.items.values()),
            "funnel": [asdict(row) for row in dataset.funnel],
            "splits": split_counts(dataset),
            "leaks": [leak.as_json() for leak in report.leaks],
        },
        "model": {**report.model, "name": report.under_test},
        "settings": dict(report.settings),
        "tasks": dict(report.evaluation.tasks),
        "warnings": [{"where": where, "text": text} for where, text in warnings],
        "training": [asdict(point) for point in report.training],
        "recommendations": [
            {
                "outfit": list(example.outfit),
                "want": example.want,
                "taken": example.removed,
                "shortlist": example.shortlist,
                "suggestions": [{"item": item_id, "score": score} for item_id, score in example.suggestions],
            }
            for example in report.recommendations
        ],
        "naming": None if report.naming is None else report.naming.as_json(),
        "questions": question_digests([part.questions for part in report.evaluation.protocols]),
        "command": report.command,
        "versions": dict(report.versions),
        "format": FORMAT,
    }


def split_counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Number of outfits per split, of the items in them, and of those with a photo."""
    counts: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        outfits = dataset.outfits_of(split)
        used = {item_id for outfit in outfits for item_id in outfit.item_ids}
        photos = sum(dataset.items[item_id].image is not None for item_id in used)
        counts[split] = {"outfits": len(outfits), "items": len(used), "photos": photos}
    return counts


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Settings as ``a.b`` and value, as overrides are written."""
    rows: list[tuple[str, str]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            rows += flat_settings(value, f"{prefix}{key}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            rows.append((f"{prefix}{key}", "null" if value is None else text))
    return rows
