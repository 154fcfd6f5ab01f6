"""The ``tasks`` of ``report.json``: metrics of each task under each protocol, with intervals and comparisons.

All metrics of a task are resampled on the same draws of outfits, for every scorer, so that differences between scorers
are paired. Thresholds and calibrations are not fitted again in a draw: intervals cover the variation of the test
outfits, not of the validation outfits.

- ``compatibility[protocol]``: ``n``, ``positives``, ``accuracy``, ``f1``, ``auc``, ``ci95``, ``threshold``,
  ``confusion``, ``calibration``, ``breakdown``, ``smallest_difference`` (of the AUC from 0.5), ``warnings`` and
  ``baselines``, where ``model_ahead`` compares the AUC.
- ``fill_in_the_blank[protocol]``: ``n``, ``choices``, ``accuracy``, ``ci95``, ``breakdown``, ``smallest_difference``
  (of the accuracy from chance), ``warnings`` and ``baselines``, where ``model_ahead`` compares the accuracy.
- ``retrieval[protocol]``: ``n``, ``pool``, ``recall`` by k, ``mrr``, ``ci95``, ``smallest_difference`` (of the MRR from
  chance), ``warnings`` and ``baselines``, where ``model_ahead`` compares the MRR.

A task that a protocol lacks is absent, and so is a scorer that didn't answer it. An interval or p-value is null where
fewer than half of the draws have a value, a smallest difference also where draws don't differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.config import EvaluateSettings
from coordi.evaluation import metrics
from coordi.evaluation.metrics import (
    Resamples,
    brier,
    expected_calibration_error,
    holm,
    paired_p_value,
    percentile_interval,
    reliability,
    smallest_difference,
)
from coordi.evaluation.scoring import ProtocolResult, ReportWarning, ScorerResult
from coordi.types import GARMENT_CATEGORIES, CompatibilityQuestion, FitbQuestion, Item, RandomStream

RECALL_AT = (1, 5, 10)
# Simulated, the 95% interval of an AUC of 0.71 covers it 81% of the time with 5 outfits, 91% with 10, 93% with 20 or 50
# and 95% with 100; two equal scorers are told apart 9.7%, 8.2%, 6.3%, 4.9% and 5.6% of the time.
FEW_OUTFITS = 50
"""With fewer test outfits than this there is a warning: their intervals are too narrow."""
CONFIDENCE = ("least sure quarter", "second quarter", "third quarter", "surest quarter")
"""Quarters of the questions by distance of the score from the threshold."""

Draws = NDArray[np.float64]
Row = Callable[[str, NDArray[np.bool_]], dict[str, Any]]
"""Makes a row of a breakdown from its value and the questions in it, ``(N,)``."""


def task_metrics(
    protocols: Sequence[ProtocolResult], settings: EvaluateSettings, seed: int, items: Mapping[str, Item]
) -> dict[str, dict[str, Any]]:
    """The ``tasks`` of ``report.json``; see the module's docstring.

    Args:
        protocols: Questions and results; the first scorer of each is the model under test.
        settings: Number of resamples and bins.
        seed: Of the resamples; the same seed gives the same figures to the last bit.
        items: By id, for breakdowns by category.
    """
    tasks: dict[str, dict[str, Any]] = {"compatibility": {}, "fill_in_the_blank": {}, "retrieval": {}}
    for protocol in protocols:
        for task, figures in _ProtocolMetrics(protocol, settings, seed, items).figures().items():
            tasks[task][protocol.questions.protocol] = figures
    return tasks


def task_warnings(tasks: Mapping[str, Mapping[str, Any]]) -> tuple[ReportWarning, ...]:
    """Warnings of all tasks, each once, with all tasks and protocols that it is from."""
    sources: dict[str, list[str]] = {}
    for task, protocols in tasks.items():
        for protocol, figures in protocols.items():
            for text in figures["warnings"]:
                sources.setdefault(text, []).append(f"{protocol} {task.replace('_', '-')}")
    return tuple(ReportWarning(", ".join(where), text) for text, where in sources.items())


@dataclass(frozen=True, slots=True)
class _Measured:
    """A scorer's figures, and the draws of the metric by which scorers are compared."""

    scorer: str
    figures: dict[str, Any]
    draws: Draws


class _ProtocolMetrics:
    """Metrics of one protocol."""

    def __init__(
        self, protocol: ProtocolResult, settings: EvaluateSettings, seed: int, items: Mapping[str, Item]
    ) -> None:
        self._questions = protocol.questions
        self._results = protocol.results
        self._settings = settings
        self._seed = seed
        self._items = items

    def figures(self) -> dict[str, dict[str, Any]]:
        """Figures by task, without the tasks that the protocol doesn't have."""
        questions, results = self._questions, self._results
        figures = {}
        if questions.test:
            measured = [result for result in results if result.scores.size]
            breakdown = {"breakdown": self._compatibility_breakdown(measured[0])}
            figures["compatibility"] = self._task(questions.test, "auc", measured, self._compatibility_of, breakdown)
        if questions.blanks:
            measured = [result for result in results if result.blank_scores.size]
            hits = metrics.fitb_hits(measured[0].blank_scores, questions.answers)
            breakdown = {"breakdown": self._fitb_breakdown(questions.blanks, hits)}
            figures["fill_in_the_blank"] = self._task(questions.blanks, "accuracy", measured, self._fitb_of, breakdown)
        if questions.retrieval:
            measured = [result for result in results if result.retrieval_scores.size]
            figures["retrieval"] = self._task(questions.retrieval, "mrr", measured, self._retrieval_of, {})
        for values in list(figures.values())[:1]:  # warnings of the questions themselves come with the first task
            values["warnings"] = [*questions.warnings, *values["warnings"]]
        return figures

    def _task(
        self,
        questions: Sequence[CompatibilityQuestion] | Sequence[FitbQuestion],
        metric: str,
        results: Sequence[ScorerResult],
        measure: Callable[[ScorerResult, Resamples], _Measured],
        breakdown: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Figures of the model under test, the first result, and of the others as its baselines."""
        # A new generator each time, so that a task's draws don't depend on which other tasks there are.
        rng = np.random.default_rng([self._seed, RandomStream.BOOTSTRAP])
        resamples = Resamples([question.outfit_id for question in questions], rng, self._settings.bootstrap)
        measured = [measure(result, resamples) for result in results]
        return {
            **measured[0].figures,
            **breakdown,
            "smallest_difference": smallest_difference(measured[0].draws),
            "warnings": _warnings(resamples, measured[0].draws),
            "baselines": _baselines(metric, measured),
        }

    def _compatibility_of(self, result: ScorerResult, resamples: Resamples) -> _Measured:
        labels, predicted = self._questions.labels, result.predicted
        draws = {
            "accuracy": resamples.accuracy(predicted, labels),
            "f1": resamples.f1(predicted, labels),
            "auc": resamples.auc(result.scores, labels),
        }
        figures = {
            "n": len(labels),
            "positives": int(labels.sum()),
            "accuracy": metrics.accuracy(predicted, labels),
            "f1": metrics.f1(predicted, labels),
            "auc": metrics.roc_auc(result.scores, labels),
            "ci95": {name: _interval(values) for name, values in draws.items()},
            "threshold": result.threshold,
            "confusion": {
                "true_positives": int(np.sum(predicted & labels)),
                "false_positives": int(np.sum(predicted & ~labels)),
                "true_negatives": int(np.sum(~predicted & ~labels)),
                "false_negatives": int(np.sum(~predicted & labels)),
            },
            "calibration": self._calibration_of(result),
        }
        return _Measured(result.scorer, figures, draws["auc"])

    def _calibration_of(self, result: ScorerResult) -> dict[str, Any]:
        labels, bins = self._questions.labels, self._settings.calibration_bins
        raw = expected_calibration_error(result.scores, labels, bins) if result.gives_probabilities else None
        return {
            "raw_ece": raw,
            "ece": expected_calibration_error(result.probabilities, labels, bins),
            "brier": brier(result.probabilities, labels),
            "bins": [asdict(row) for row in reliability(result.probabilities, labels, bins)],
        }

    def _compatibility_breakdown(self, result: ScorerResult) -> dict[str, list[dict[str, Any]]]:
        """Rows ``{value, n, positives, auc, accuracy}`` by size, garment category and confidence.

        A question counts in the row of each category that it holds, so those rows overlap. Quarters by confidence are
        split at the quartiles of the distance from the threshold; ties make them uneven. ``auc`` is None in a row of
        one class. Rows have no intervals, so they prove nothing.
        """
        questions, labels = self._questions.test, self._questions.labels

        def row(value: str, chosen: NDArray[np.bool_]) -> dict[str, Any]:
            is_single_class = labels[chosen].all() or not labels[chosen].any()
            return {
                "value": value,
                "n": int(chosen.sum()),
                "positives": int(labels[chosen].sum()),
                "auc": None if is_single_class else metrics.roc_auc(result.scores[chosen], labels[chosen]),
                "accuracy": metrics.accuracy(result.predicted[chosen], labels[chosen]),
            }

        sizes = np.array([len(question.item_ids) for question in questions])
        distance = np.abs(result.scores - result.threshold)
        quarter = np.searchsorted(np.percentile(distance, [25, 50, 75]), distance, side="left")
        return {
            "size": [row(str(size), sizes == size) for size in np.unique(sizes)],
            "category": self._by_category([question.item_ids for question in questions], row),
            "confidence": [row(CONFIDENCE[number], quarter == number) for number in np.unique(quarter)],
        }

    def _fitb_breakdown(
        self, questions: Sequence[FitbQuestion], hits: NDArray[np.bool_]
    ) -> dict[str, list[dict[str, Any]]]:
        """Rows ``{value, n, accuracy}`` by the garment category of the true item."""

        def row(value: str, chosen: NDArray[np.bool_]) -> dict[str, Any]:
            return {"value": value, "n": int(chosen.sum()), "accuracy": float(np.mean(hits[chosen]))}

        return {"category": self._by_category([[question.candidates[question.answer]] for question in questions], row)}

    def _by_category(self, groups: Sequence[Sequence[str]], row: Row) -> list[dict[str, Any]]:
        categories = [{self._items[item_id].category for item_id in item_ids} for item_ids in groups]
        chosen = (
            (name, np.array([name in present for present in categories], dtype=bool)) for name in GARMENT_CATEGORIES
        )
        return [row(name, rows) for name, rows in chosen if rows.any()]

    def _fitb_of(self, result: ScorerResult, resamples: Resamples) -> _Measured:
        hits = metrics.fitb_hits(result.blank_scores, self._questions.answers)
        draws = resamples.share(hits)
        count, choices = result.blank_scores.shape
        figures = {"n": count, "choices": choices, "accuracy": float(np.mean(hits)), "ci95": _interval(draws)}
        return _Measured(result.scorer, figures, draws)

    def _retrieval_of(self, result: ScorerResult, resamples: Resamples) -> _Measured:
        ranks = metrics.true_ranks(result.retrieval_scores, self._questions.retrieval_answers)
        count, pool = result.retrieval_scores.shape
        cutoffs = [k for k in RECALL_AT if k <= pool]
        draws = resamples.mean_reciprocal_rank(ranks)
        intervals = {f"recall@{k}": _interval(resamples.recall_at(ranks, k)) for k in cutoffs}
        figures = {
            "n": count,
            "pool": pool,
            "recall": {str(k): metrics.recall_at(ranks, k) for k in cutoffs},
            "mrr": metrics.mean_reciprocal_rank(ranks),
            "ci95": {**intervals, "mrr": _interval(draws)},
        }
        return _Measured(result.scorer, figures, draws)


def _warnings(resamples: Resamples, draws: Draws) -> list[str]:
    warnings = []
    if resamples.outfits < FEW_OUTFITS:
        warnings.append(
            f"Only {resamples.outfits} test {'outfit is' if resamples.outfits == 1 else 'outfits are'} behind these "
            "figures. They show that everything runs, not how good a model is: intervals of so few are too narrow. "
            f"Measure on {FEW_OUTFITS} or more."
        )
    broken = int(np.sum(~np.isfinite(draws)))
    if broken:
        warnings.append(
            f"{broken} of {resamples.count} resamples of the outfits hold questions of one class; the intervals leave "
            "them out."
        )
    return warnings


def _baselines(metric: str, measured: Sequence[_Measured]) -> dict[str, Any]:
    """Figures of the other scorers, and how far the model under test, the first, is ahead of each."""
    model, *others = measured
    differences = [model.draws - other.draws for other in others]
    p_values = [paired_p_value(difference) for difference in differences]
    corrected = iter(holm([p for p in p_values if p is not None]))
    return {
        other.scorer: {
            **other.figures,
            "model_ahead": {
                metric: model.figures[metric] - other.figures[metric],
                "ci95": _interval(difference),
                "p_value": p_value,
                "p_holm": None if p_value is None else next(corrected),
                "smallest_difference": smallest_difference(difference),
            },
        }
        for other, difference, p_value in zip(others, differences, p_values, strict=True)
    }


def _interval(draws: Draws) -> list[float] | None:
    interval = percentile_interval(draws)
    return None if interval is None else list(interval)
