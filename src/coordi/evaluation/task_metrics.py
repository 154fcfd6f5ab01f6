"""The ``tasks`` of ``report.json``: metrics of each task under each protocol, with intervals and comparisons.

All metrics of a task are resampled on the same draws of outfits, for every scorer, so that differences between scorers
are paired; p-values for fewer than 50 outfits are those of an exact test. Thresholds and calibrations are not fitted
again in a draw: intervals cover the variation of the test outfits, not of the validation outfits.

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
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from coordi.config import EvaluateSettings
from coordi.data.style_pairs import STYLE_PAIRS, kind_of_pair
from coordi.evaluation import metrics
from coordi.evaluation.metrics import (
    FEW_OUTFITS,
    Floats,
    Resamples,
    exchange_p_value,
    holm,
    paired_p_value,
    percentile_interval,
    smallest_difference,
)
from coordi.evaluation.question_sets import TASKS, Task, answers_of
from coordi.evaluation.scoring import ProtocolResult, ReportWarning, ScorerResult
from coordi.types import GARMENT_CATEGORIES, Item, RandomStream

METRIC: Mapping[Task, str] = {"compatibility": "auc", "fill_in_the_blank": "accuracy", "retrieval": "mrr"}
"""The metric of each task that the summary shows and differences are tested on."""
RECALL_AT = (1, 5, 10)
CONFIDENCE = ("least sure quarter", "second quarter", "third quarter", "surest quarter")
"""Quarters of the questions by distance of the score from the threshold."""

Figures = dict[str, Any]
Draws = NDArray[np.float64]
ExactTest = Callable[[Floats, Floats], float]
"""P-value of the difference between two scorers' ``Measured.answers``."""


class Measured(NamedTuple):
    """A scorer's figures, the draws of the metric that is tested, and its answers ``(N,)``: ranks of scores, hits, or
    reciprocal ranks.
    """

    figures: Figures
    draws: Draws
    answers: Floats


Row = Callable[[str, NDArray[np.bool_]], Figures]
"""Makes a row of a breakdown from its value and the questions in it, ``(N,)``."""


def task_metrics(
    protocols: Sequence[ProtocolResult], settings: EvaluateSettings, seed: int, items: Mapping[str, Item]
) -> dict[str, dict[str, Any]]:
    """The ``tasks`` of ``report.json`` (see the module's docstring); each first scorer is the model under test."""
    tasks: dict[str, dict[str, Any]] = {task: {} for task in TASKS}
    for protocol in protocols:
        name, warnings = protocol.questions.protocol, protocol.questions.warnings
        for task in protocol.questions.by_task:
            tasks[task][name] = _task(protocol, task, settings, seed, items)
            tasks[task][name]["warnings"][:0] = warnings
            warnings = ()  # warnings of the questions themselves come with the first task
    return tasks


def task_warnings(tasks: Mapping[str, Mapping[str, Any]]) -> tuple[ReportWarning, ...]:
    """Warnings of all tasks, each once, with all tasks and protocols that it is from."""
    sources: dict[str, list[str]] = {}
    for task, protocols in tasks.items():
        for protocol, figures in protocols.items():
            for text in figures["warnings"]:
                sources.setdefault(text, []).append(f"{protocol} {task.replace('_', '-')}")
    return tuple(ReportWarning(", ".join(where), text) for text, where in sources.items())


def _task(
    protocol: ProtocolResult, task: Task, settings: EvaluateSettings, seed: int, items: Mapping[str, Item]
) -> Figures:
    # A new generator each time, so that a task's draws don't depend on which other tasks there are.
    rng = np.random.default_rng([seed, RandomStream.BOOTSTRAP])
    outfits = [question.outfit_id for question in protocol.questions.by_task[task]]
    resamples = Resamples(outfits, rng, settings.bootstrap)
    measured: dict[str, Measured] = {}
    results = [result for result in protocol.results if task in result.by_task]
    for result in results:
        if task == "compatibility":
            labels = protocol.questions.labels
            measured[result.scorer] = _compatibility(result, labels, resamples, settings.calibration_bins)
        elif task == "fill_in_the_blank":
            measured[result.scorer] = _fill_in_the_blank(result, protocol.questions.answers, resamples)
        else:
            answers = answers_of(protocol.questions.retrieval)
            measured[result.scorer] = _retrieval(result, answers, resamples)
    figures, draws, _ = measured[results[0].scorer]
    breakdowns = {"compatibility": _compatibility_breakdown, "fill_in_the_blank": _fitb_breakdown}
    if task in breakdowns:
        figures = {**figures, "breakdown": breakdowns[task](protocol, items)}
    return {
        **figures,
        "smallest_difference": smallest_difference(draws),
        "warnings": _warnings(resamples, draws),
        "baselines": _baselines(METRIC[task], measured, _exact_test(task, protocol, outfits, resamples, rng)),
    }


def _compatibility(result: ScorerResult, labels: NDArray[np.bool_], resamples: Resamples, bins: int) -> Measured:
    predicted, probabilities = result.predicted, result.probabilities
    draws = {
        "accuracy": resamples.share(predicted == labels),
        "f1": resamples.f1(predicted, labels),
        "auc": resamples.auc(result.scores, labels),
    }
    raw = metrics.expected_calibration_error(result.scores, labels, bins) if result.gives_probabilities else None
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
        "calibration": {
            "raw_ece": raw,
            "ece": metrics.expected_calibration_error(probabilities, labels, bins),
            "ece_if_calibrated": metrics.calibrated_error(probabilities, bins),
            "brier": metrics.brier(probabilities, labels),
            "bins": [asdict(row) for row in metrics.reliability(probabilities, labels, bins)],
        },
    }
    return Measured(figures, draws["auc"], metrics.ranks(result.scores))


def _fill_in_the_blank(result: ScorerResult, answers: NDArray[np.intp], resamples: Resamples) -> Measured:
    hits = metrics.fitb_hits(result.blank_scores, answers)
    draws = resamples.share(hits)
    count, choices = result.blank_scores.shape
    figures = {"n": count, "choices": choices, "accuracy": float(np.mean(hits)), "ci95": _interval(draws)}
    return Measured(figures, draws, hits.astype(np.float64))


def _retrieval(result: ScorerResult, answers: NDArray[np.intp], resamples: Resamples) -> Measured:
    ranks = metrics.true_ranks(result.retrieval_scores, answers)
    count, pool = result.retrieval_scores.shape
    cutoffs = [k for k in RECALL_AT if k <= pool]
    draws = resamples.mean_reciprocal_rank(ranks)
    figures = {
        "n": count,
        "pool": pool,
        "recall": {str(k): metrics.recall_at(ranks, k) for k in cutoffs},
        "mrr": metrics.mean_reciprocal_rank(ranks),
        "ci95": {f"recall@{k}": _interval(resamples.share(ranks <= k)) for k in cutoffs} | {"mrr": _interval(draws)},
    }
    return Measured(figures, draws, 1 / ranks)


def _exact_test(
    task: Task, protocol: ProtocolResult, outfits: Sequence[str], resamples: Resamples, rng: np.random.Generator
) -> ExactTest | None:
    """A test of the difference between two scorers' answers for few outfits; None for more."""
    if resamples.outfits >= FEW_OUTFITS:
        return None
    labels = protocol.questions.labels

    def metric(answers: Floats) -> float:
        return metrics.roc_auc(answers, labels) if task == "compatibility" else float(answers.mean())

    return lambda answers, others: exchange_p_value(answers, others, outfits, metric, rng)


def _compatibility_breakdown(protocol: ProtocolResult, items: Mapping[str, Item]) -> dict[str, list[Figures]]:
    """Rows ``{value, n, positives, auc, accuracy}`` by size, garment category and confidence.

    A question counts in the row of each category that it holds, so those overlap. Quarters are split at the quartiles
    of the distance from the threshold; ties make them uneven. Rows have no intervals, so they prove nothing.
    """
    questions, labels, result = protocol.questions.test, protocol.questions.labels, protocol.results[0]

    def row(value: str, chosen: NDArray[np.bool_]) -> Figures:
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
        "category": _by_category([question.item_ids for question in questions], items, row),
        "confidence": [row(CONFIDENCE[number], quarter == number) for number in np.unique(quarter)],
    }


def _fitb_breakdown(protocol: ProtocolResult, items: Mapping[str, Item]) -> dict[str, list[Figures]]:
    questions = protocol.questions.blanks
    hits = metrics.fitb_hits(protocol.results[0].blank_scores, protocol.questions.answers)

    def row(value: str, chosen: NDArray[np.bool_]) -> Figures:
        return {"value": value, "n": int(chosen.sum()), "accuracy": float(np.mean(hits[chosen]))}

    if protocol.questions.protocol == STYLE_PAIRS:
        kinds = np.array([kind_of_pair(question) for question in questions])
        return {"kind": [row(str(kind), kinds == kind) for kind in dict.fromkeys(kinds)]}
    return {"category": _by_category([[question.candidates[question.answer]] for question in questions], items, row)}


def _by_category(groups: Sequence[Sequence[str]], items: Mapping[str, Item], row: Row) -> list[Figures]:
    categories = [{items[item_id].category for item_id in item_ids} for item_ids in groups]
    chosen = ((name, np.array([name in present for present in categories])) for name in GARMENT_CATEGORIES)
    return [row(name, rows) for name, rows in chosen if rows.any()]


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


def _baselines(metric: str, measured: Mapping[str, Measured], exact_test: ExactTest | None) -> Figures:
    (model, model_draws, model_answers), *_ = measured.values()
    others = dict(list(measured.items())[1:])
    differences = {name: model_draws - draws for name, (_, draws, _) in others.items()}
    p_values = {
        name: paired_p_value(differences[name]) if exact_test is None else exact_test(model_answers, answers)
        for name, (_, _, answers) in others.items()
    }
    tested = {name: p for name, p in p_values.items() if p is not None}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    return {
        name: {
            **figures,
            "model_ahead": {
                metric: model[metric] - figures[metric],
                "ci95": _interval(differences[name]),
                "p_value": p_values[name],
                "p_holm": corrected.get(name),
                "smallest_difference": smallest_difference(differences[name]),
            },
        }
        for name, (figures, _, _) in others.items()
    }


def _interval(draws: Draws) -> list[float] | None:
    interval = percentile_interval(draws)
    return None if interval is None else list(interval)
