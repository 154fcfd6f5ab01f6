"""The ``tasks`` of ``report.json``: each task's figures under each protocol, with intervals and comparisons.

Every figure of a task is resampled on the same draws of outfits, and every scorer on the same ones too, so that
differences between scorers are paired. Thresholds and calibrations are not fitted again in a draw: intervals tell how
figures vary with the test outfits, not with the validation ones.

- ``compatibility[protocol]``: ``n``, ``positives``, ``accuracy``, ``f1``, ``auc``, ``ci95``, ``threshold``,
  ``confusion``, ``calibration``, ``breakdown``, ``smallest_difference`` (of the AUC from 0.5), ``warnings`` and
  ``baselines``, where ``model_ahead`` compares the AUC.
- ``fill_in_the_blank[protocol]``: ``n``, ``choices``, ``accuracy``, ``ci95``, ``breakdown``, ``smallest_difference``
  (of the accuracy from chance), ``warnings`` and ``baselines``, where ``model_ahead`` compares the accuracy.
- ``retrieval[protocol]``: ``n``, ``pool``, ``recall`` by k, ``mrr``, ``ci95``, ``smallest_difference`` (of the MRR from
  chance), ``warnings`` and ``baselines``, where ``model_ahead`` compares the MRR.

A task that a protocol doesn't ask is absent, and so is a scorer that didn't answer it. An interval or p-value is null
where fewer than half of the draws have a value, a smallest difference also where draws don't differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.config import EvaluateSettings
from coordi.domain import Item
from coordi.evaluate import metrics
from coordi.evaluate.breakdown import blank_breakdown, compatibility_breakdown
from coordi.evaluate.calibration import brier, expected_calibration_error, reliability
from coordi.evaluate.resampling import Resamples, percentile_interval
from coordi.evaluate.results import Caution, ProtocolResult, ScorerResult
from coordi.evaluate.significance import holm, paired_p_value, smallest_difference

RECALL_AT = (1, 5, 10)
# Simulated, the 95% interval of an AUC of 0.71 holds it 81% of the time with 5 outfits, 91% with 10, 93% with 20 or 50
# and 95% with 100; two equal scorers are told apart 9.7%, 8.2%, 6.3%, 4.9% and 5.6% of the time.
FEW_OUTFITS = 50
"""Fewer test outfits than this get a warning: their intervals are too narrow."""
_BOOTSTRAP_STREAM = 401

Draws = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Measured:
    """A scorer's figures, and the draws of the one that scorers are compared on."""

    scorer: str
    figures: dict[str, Any]
    draws: Draws


class Figures:
    """Works out the figures of one protocol.

    Args:
        protocol: Questions and what each scorer said.
        settings: How many resamples and bins.
        seed: Of the resamples.
        items: By item id, for breakdowns by category; empty leaves those out.
    """

    def __init__(
        self, protocol: ProtocolResult, settings: EvaluateSettings, seed: int, items: Mapping[str, Item]
    ) -> None:
        self._asked = protocol.questions
        self._results = protocol.results
        self._settings = settings
        self._seed = seed
        self._items = items

    def compatibility(self) -> dict[str, Any] | None:
        """The figures of compatibility; None if the protocol doesn't ask it."""
        if not self._asked.test:
            return None
        resamples = self._resamples([question.outfit_id for question in self._asked.test])
        answered = [result for result in self._results if result.scores.size]
        measured = [self._compatibility_of(result, resamples) for result in answered]
        return {
            **measured[0].figures,
            "breakdown": compatibility_breakdown(self._asked.test, answered[0], self._items),
            "smallest_difference": smallest_difference(measured[0].draws),
            "warnings": self._warnings(resamples, measured[0].draws, first=True),
            "baselines": _baselines("auc", measured),
        }

    def fill_in_the_blank(self) -> dict[str, Any] | None:
        """The figures of fill-in-the-blank; None if the protocol doesn't ask it."""
        if not self._asked.blanks:
            return None
        resamples = self._resamples([blank.outfit_id for blank in self._asked.blanks])
        answered = [result for result in self._results if result.blank_scores.size]
        measured = [_blanks_of(result, self._asked.answers, resamples) for result in answered]
        hits = metrics.fitb_hits(answered[0].blank_scores, self._asked.answers)
        return {
            **measured[0].figures,
            "breakdown": blank_breakdown(self._asked.blanks, hits, self._items),
            "smallest_difference": smallest_difference(measured[0].draws),
            "warnings": self._warnings(resamples, measured[0].draws, first=not self._asked.test),
            "baselines": _baselines("accuracy", measured),
        }

    def retrieval(self) -> dict[str, Any] | None:
        """The figures of retrieval; None if the protocol doesn't ask it."""
        if not self._asked.retrieval:
            return None
        resamples = self._resamples([query.outfit_id for query in self._asked.retrieval])
        answers = self._asked.retrieval_answers
        measured = [
            _retrieval_of(result, answers, resamples) for result in self._results if result.retrieval_scores.size
        ]
        alone = not self._asked.test and not self._asked.blanks
        return {
            **measured[0].figures,
            "smallest_difference": smallest_difference(measured[0].draws),
            "warnings": self._warnings(resamples, measured[0].draws, first=alone),
            "baselines": _baselines("mrr", measured),
        }

    def _compatibility_of(self, result: ScorerResult, resamples: Resamples) -> _Measured:
        labels, predicted = self._asked.labels, result.predicted
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
        labels, bins = self._asked.labels, self._settings.calibration_bins
        raw = expected_calibration_error(result.scores, labels, bins) if result.gives_probabilities else None
        return {
            "raw_ece": raw,
            "ece": expected_calibration_error(result.probabilities, labels, bins),
            "brier": brier(result.probabilities, labels),
            "bins": [asdict(one) for one in reliability(result.probabilities, labels, bins)],
        }

    def _resamples(self, outfit_ids: Sequence[str]) -> Resamples:
        # A fresh generator each time, so that a task's draws don't depend on which others are asked.
        rng = np.random.default_rng([self._seed, _BOOTSTRAP_STREAM])
        return Resamples(outfit_ids, rng, self._settings.bootstrap)

    def _warnings(self, resamples: Resamples, draws: Draws, *, first: bool) -> list[str]:
        """What a reader must know; what the questions themselves have to say comes with the first task."""
        told = list(self._asked.warnings) if first else []
        if resamples.outfits < FEW_OUTFITS:
            told.append(
                f"Only {resamples.outfits} test {'outfit is' if resamples.outfits == 1 else 'outfits are'} behind "
                f"these figures. They show that everything runs, not how good a model is: intervals of so few are too "
                f"narrow. Measure on {FEW_OUTFITS} or more."
            )
        broken = int(np.sum(~np.isfinite(draws)))
        if broken:
            told.append(
                f"{broken} of {resamples.count} resamples of the outfits hold questions of one class; the intervals "
                "leave them out."
            )
        return told


def tasks_of(
    protocols: Sequence[ProtocolResult], settings: EvaluateSettings, seed: int, items: Mapping[str, Item]
) -> dict[str, dict[str, Any]]:
    """The ``tasks`` of ``report.json``, as this module's first lines say.

    Args:
        protocols: Questions and what each scorer said; the first scorer of each is the model under test.
        settings: How many resamples and bins.
        seed: Of the resamples; the same one gives the same figures to the last bit.
        items: By item id, for breakdowns by category; empty leaves those out.
    """
    tasks: dict[str, dict[str, Any]] = {"compatibility": {}, "fill_in_the_blank": {}, "retrieval": {}}
    for protocol in protocols:
        figures = Figures(protocol, settings, seed, items)
        works: dict[str, Callable[[], dict[str, Any] | None]] = {
            "compatibility": figures.compatibility,
            "fill_in_the_blank": figures.fill_in_the_blank,
            "retrieval": figures.retrieval,
        }
        for task, work in works.items():
            found = work()
            if found is not None:
                tasks[task][protocol.questions.protocol] = found
    return tasks


def warnings_of(tasks: Mapping[str, Mapping[str, Any]]) -> tuple[Caution, ...]:
    """The warnings of all tasks, each once with everywhere that it is from."""
    places: dict[str, list[str]] = {}
    for task, protocols in tasks.items():
        for protocol, figures in protocols.items():
            for text in figures["warnings"]:
                places.setdefault(text, []).append(f"{protocol} {task.replace('_', '-')}")
    return tuple(Caution(", ".join(found), text) for text, found in places.items())


def _blanks_of(result: ScorerResult, answers: NDArray[np.intp], resamples: Resamples) -> _Measured:
    hits = metrics.fitb_hits(result.blank_scores, answers)
    draws = resamples.share(hits)
    count, choices = result.blank_scores.shape
    figures = {"n": count, "choices": choices, "accuracy": float(np.mean(hits)), "ci95": _interval(draws)}
    return _Measured(result.scorer, figures, draws)


def _retrieval_of(result: ScorerResult, answers: NDArray[np.intp], resamples: Resamples) -> _Measured:
    ranks = metrics.true_ranks(result.retrieval_scores, answers)
    count, pool = result.retrieval_scores.shape
    reached = [k for k in RECALL_AT if k <= pool]
    draws = resamples.mean_reciprocal_rank(ranks)
    figures = {
        "n": count,
        "pool": pool,
        "recall": {str(k): metrics.recall_at(ranks, k) for k in reached},
        "mrr": metrics.mean_reciprocal_rank(ranks),
        "ci95": {
            **{f"recall@{k}": _interval(resamples.recall_at(ranks, k)) for k in reached},
            "mrr": _interval(draws),
        },
    }
    return _Measured(result.scorer, figures, draws)


def _baselines(metric: str, measured: Sequence[_Measured]) -> dict[str, Any]:
    """The other scorers' figures, and how much the model under test, which is the first, is ahead of each."""
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
