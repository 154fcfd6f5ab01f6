"""The figures of ``report.json``: its keys, cases worked by hand, comparisons and warnings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from coordi.config import EvaluateSettings
from coordi.evaluation.question_sets import ProtocolQuestions
from coordi.evaluation.scoring import ProtocolResult, ScorerResult
from coordi.evaluation.task_metrics import task_metrics, task_warnings
from coordi.types import CompatibilityQuestion, FitbQuestion, Item

SETTINGS = EvaluateSettings(bootstrap=200, calibration_bins=4)
ITEMS = {str(number): Item(str(number), "a thing", "bag") for number in range(40)}


def questions(outfits: int, pool: int = 12) -> ProtocolQuestions:
    """A positive and a negative of each outfit, and a blank and a query of which the first candidate is true."""
    pool_ids = tuple(str(number) for number in range(pool))
    return ProtocolQuestions(
        "random",
        test=tuple(
            CompatibilityQuestion(f"{number}-{truth}", f"o{number}", ("0", "1"), truth)
            for number in range(outfits)
            for truth in (True, False)
        ),
        blanks=tuple(FitbQuestion(f"b{number}", f"o{number}", ("0",), ("1", "2"), 0) for number in range(outfits)),
        retrieval=tuple(FitbQuestion(f"r{number}", f"o{number}", ("0",), pool_ids, 0) for number in range(outfits)),
    )


def scorer(name: str, asked: ProtocolQuestions, quality: float, seed: int, **changes: Any) -> ScorerResult:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=len(asked.test)) + quality * asked.labels
    pool = len(asked.retrieval[0].candidates) if asked.retrieval else 0
    blanks, retrieval = rng.normal(size=(len(asked.blanks), 2)), rng.normal(size=(len(asked.retrieval), pool))
    blanks[:, :1] += quality
    retrieval[:, :1] += quality
    result = {
        "scorer": name,
        "threshold": quality / 2,
        "scores": scores,
        "blank_scores": blanks,
        "retrieval_scores": retrieval,
        "probabilities": 1 / (1 + np.exp(quality / 2 - scores)),
    }
    return ScorerResult(**{**result, **changes})


def tasks(asked: ProtocolQuestions, results: Sequence[ScorerResult], seed: int = 5) -> dict[str, Any]:
    return task_metrics([ProtocolResult(asked, tuple(results))], SETTINGS, seed, ITEMS)


def test_the_keys_are_those_of_the_report() -> None:
    asked = questions(60)
    found = tasks(asked, [scorer("model", asked, 1, 0), scorer("other", asked, 0.5, 1)])
    own = {"n", "positives", "accuracy", "f1", "auc", "ci95", "threshold", "confusion", "calibration"}
    top = {"smallest_difference", "warnings", "baselines"}
    compared = {"ci95", "p_value", "p_holm", "smallest_difference"}
    one = found["compatibility"]["random"]
    assert set(one) == own | top | {"breakdown"}
    assert set(one["baselines"]["other"]) == own | {"model_ahead"}
    assert set(one["baselines"]["other"]["model_ahead"]) == compared | {"auc"}
    assert set(one["ci95"]) == {"accuracy", "f1", "auc"}
    assert set(one["calibration"]) == {"raw_ece", "ece", "ece_if_calibrated", "brier", "bins"}
    assert set(one["calibration"]["bins"][0]) == {"low", "high", "n", "mean_probability", "share_compatible"}
    assert set(one["breakdown"]) == {"size", "category", "confidence"}
    blanks = found["fill_in_the_blank"]["random"]
    assert set(blanks) == {"n", "choices", "accuracy", "ci95"} | top | {"breakdown"}
    assert set(blanks["baselines"]["other"]) == {"n", "choices", "accuracy", "ci95", "model_ahead"}
    assert set(blanks["baselines"]["other"]["model_ahead"]) == compared | {"accuracy"}
    assert set(blanks["breakdown"]) == {"category"}
    retrieval = found["retrieval"]["random"]
    assert set(retrieval) == {"n", "pool", "recall", "mrr", "ci95"} | top
    assert set(retrieval["ci95"]) == {"recall@1", "recall@5", "recall@10", "mrr"}
    assert set(retrieval["baselines"]["other"]["model_ahead"]) == compared | {"mrr"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_retrieval_by_hand_and_no_k_above_the_pool() -> None:
    asked = questions(2, pool=6)
    # The true item is first; then it ties with one and is behind two others: rank 4.
    table = np.array([[0.9, 0.1, 0.2, 0.3, 0.4, 0.5], [0.5, 0.5, 0.6, 0.7, 0.1, 0.0]])
    one = tasks(asked, [scorer("model", asked, 1, 0, retrieval_scores=table)])["retrieval"]["random"]
    assert (one["n"], one["pool"]) == (2, 6)
    assert one["recall"] == {"1": 0.5, "5": 1.0}
    assert one["mrr"] == (1 + 1 / 4) / 2
    assert one["ci95"] == {"recall@1": [0, 1], "recall@5": [1, 1], "mrr": [0.25, 1]}


def test_calibration_is_of_the_probabilities_and_raw_error_of_scores_meant_as_such() -> None:
    asked = questions(2)
    given = {"scores": np.array([0.9, 0.8, 0.7, 0.6]), "probabilities": np.array([0.6, 0.4, 0.6, 0.4])}
    found = [
        tasks(asked, [scorer("model", asked, 1, 0, **given, gives_probabilities=flag)])["compatibility"]["random"]
        for flag in (True, False)
    ]
    for one in found:
        assert one["calibration"]["brier"] == pytest.approx(0.16)
        assert one["calibration"]["ece"] == pytest.approx(0.4)
        assert [(b["n"], b["share_compatible"]) for b in one["calibration"]["bins"]] == [(2, 0), (2, 1)]
    # Four bins of one question each: gaps of .1, .8, .3 and .6.
    assert found[0]["calibration"]["raw_ece"] == pytest.approx(1.8 / 4)
    assert found[1]["calibration"]["raw_ece"] is None


def test_a_scorer_is_compared_with_the_model_on_the_same_draws() -> None:
    asked = questions(100)
    model = scorer("model", asked, 1.5, 0)
    same = scorer("same", asked, 1.5, 0)
    found = tasks(asked, [model, same, scorer("weak", asked, 0, 1)])
    for task, metric in (("compatibility", "auc"), ("fill_in_the_blank", "accuracy"), ("retrieval", "mrr")):
        one = found[task]["random"]
        baselines = one["baselines"]
        assert baselines["same"]["model_ahead"] == {
            metric: 0, "ci95": [0, 0], "p_value": 1, "p_holm": 1, "smallest_difference": None,
        }  # fmt: skip
        weak = baselines["weak"]["model_ahead"]
        assert weak[metric] == one[metric] - baselines["weak"][metric] > 0.1
        # No draw of 200 is at or below 0; the smaller of two p-values counts twice.
        assert weak["p_value"] == pytest.approx(2 / 201)
        assert weak["p_holm"] == pytest.approx(4 / 201)
        assert 0 < weak["ci95"][0] < weak[metric] < weak["ci95"][1]
        assert 0 < weak["smallest_difference"] < weak[metric]
        assert 0 < one["smallest_difference"] < 0.3


def test_holm_counts_the_baselines_of_one_table() -> None:
    asked = questions(60)
    others = [scorer(f"other {seed}", asked, 0.9, seed) for seed in range(1, 8)]
    one = tasks(asked, [scorer("model", asked, 1.2, 0), *others])["compatibility"]["random"]["baselines"]
    ahead = sorted((figures["model_ahead"] for figures in one.values()), key=lambda found: found["p_value"])
    assert ahead[0]["p_holm"] == pytest.approx(min(1, 7 * ahead[0]["p_value"]))
    assert all(after["p_holm"] >= before["p_holm"] for before, after in pairwise(ahead))


def test_the_same_seed_gives_the_same_bits_whoever_else_is_measured() -> None:
    asked = questions(60)
    model, other = scorer("model", asked, 1, 0), scorer("other", asked, 0.5, 1)
    first, again, elsewhere = (tasks(asked, [model, other], seed) for seed in (5, 5, 6))
    assert json.dumps(first) == json.dumps(again) != json.dumps(elsewhere)
    alone = tasks(asked, [model])
    assert first["compatibility"]["random"]["ci95"] == alone["compatibility"]["random"]["ci95"]
    apart = tasks(ProtocolQuestions("random", (), (), asked.blanks), [model])["fill_in_the_blank"]["random"]
    assert apart["ci95"] == first["fill_in_the_blank"]["random"]["ci95"]


def test_a_task_that_is_not_asked_and_a_scorer_that_did_not_answer_are_absent() -> None:
    asked = questions(60)
    partial = scorer("partial", asked, 1, 1, blank_scores=np.zeros((0, 0)), retrieval_scores=np.zeros((0, 0)))
    found = tasks(asked, [scorer("model", asked, 1, 0), partial])
    assert list(found["compatibility"]["random"]["baselines"]) == ["partial"]
    assert found["fill_in_the_blank"]["random"]["baselines"] == found["retrieval"]["random"]["baselines"] == {}
    pairs = ProtocolQuestions("pairs", (), asked.test)
    found = tasks(pairs, [scorer("model", pairs, 1, 0)])
    assert list(found["compatibility"]) == ["pairs"]
    assert found["fill_in_the_blank"] == found["retrieval"] == {}


@pytest.mark.parametrize(("outfits", "words"), [(5, "Only 5 test outfits are"), (1, "Only 1 test outfit is")])
def test_few_outfits_have_figures_and_a_loud_warning(outfits: int, words: str) -> None:
    asked = questions(outfits)
    found = tasks(asked, [scorer("model", asked, 1, 0), scorer("other", asked, 0, 1)])
    for task in found.values():
        assert any(text.startswith(words) and "50 or more" in text for text in task["random"]["warnings"])
        assert task["random"]["baselines"]["other"]["model_ahead"]["p_value"] is not None
    assert found["compatibility"]["random"]["ci95"]["auc"] is not None
    assert tasks(questions(50), [scorer("model", questions(50), 1, 0)])["compatibility"]["random"]["warnings"] == []
    (caution,) = task_warnings(found)
    assert caution.where == "random compatibility, random fill-in-the-blank, random retrieval"
    assert caution.text.startswith(words)


def test_what_the_questions_have_to_say_is_told_once() -> None:
    asked = questions(60)
    told = ProtocolQuestions("random", (), asked.test, asked.blanks, asked.retrieval, ("Half is missing.",))
    found = tasks(told, [scorer("model", told, 1, 0)])
    assert [task["random"]["warnings"] for task in found.values()] == [["Half is missing."], [], []]
    for alone, task in (
        (ProtocolQuestions("release", blanks=asked.blanks, warnings=told.warnings), "fill_in_the_blank"),
        (ProtocolQuestions("release", retrieval=asked.retrieval, warnings=told.warnings), "retrieval"),
    ):
        assert tasks(alone, [scorer("model", asked, 1, 0)])[task]["release"]["warnings"] == ["Half is missing."]


def test_draws_of_one_class_are_counted_and_an_interval_of_too_few_is_null() -> None:
    # A release may name an outfit of its own for each question: one positive among four is missed by a third of draws.
    test = tuple(CompatibilityQuestion(str(n), f"o{n}", ("0", "1"), n == 0) for n in range(4))
    asked = ProtocolQuestions("release", (), test)
    one = tasks(asked, [scorer("model", asked, 1, 0)])["compatibility"]["release"]
    (few, broken) = one["warnings"]
    assert few.startswith("Only 4 test outfits")
    count = int(broken.split()[0])
    assert broken.endswith("of 200 resamples of the outfits hold questions of one class; the intervals leave them out.")
    assert 200 * 0.2 < count < 200 * 0.45
    assert None not in one["ci95"].values()


def test_too_few_draws_with_a_value_give_null() -> None:
    # Two outfits of one class each are drawn together half of the time; under this seed a little less often.
    test = (CompatibilityQuestion("a", "a", ("0", "1"), True), CompatibilityQuestion("b", "b", ("0", "1"), False))
    asked = ProtocolQuestions("release", (), test)
    one = tasks(asked, [scorer("model", asked, 1, 0), scorer("other", asked, 0, 1)], 0)["compatibility"]["release"]
    assert one["warnings"][1].startswith("1")
    assert one["ci95"]["auc"] is None
    assert one["ci95"]["accuracy"] is not None
    assert one["smallest_difference"] is None
    ahead = one["baselines"]["other"]["model_ahead"]
    assert [ahead[name] for name in ("ci95", "smallest_difference")] == [None] * 2
    assert [ahead[name] for name in ("p_value", "p_holm")] == [0.5] * 2  # exact: 2 of 4 ways to exchange two answers
    assert ahead["auc"] == one["auc"] - one["baselines"]["other"]["auc"]
