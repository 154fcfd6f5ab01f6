"""Scores that somebody else made, measured like any other; scores and questions that don't fit are refused."""

from __future__ import annotations

import numpy as np
import pytest

from coordi.config import EvaluateSettings
from coordi.errors import EvaluationError
from coordi.evaluation.question_sets import ProtocolQuestions
from coordi.evaluation.scoring import RawScores
from coordi.types import FitbQuestion

from .scorers import ConstantScorer, TableScorer, make_question, measure

SETTINGS = EvaluateSettings(bootstrap=100, protocols=("random", "same-category"), retrieval_pool=0)


BOTH = (make_question("ab", "v", True), make_question("cd", "v", False))
BLANK = FitbQuestion("q", "v", ("a",), ("b", "c"), 0)
WHOLE = ProtocolQuestions("random", BOTH, BOTH, (BLANK,), (BLANK,))


class Elsewhere:
    """Scores that somebody else made."""

    name = "elsewhere"

    def __init__(self, raw: RawScores | None) -> None:
        self._raw = raw

    def scores(self, part: ProtocolQuestions) -> RawScores | None:
        return self._raw


def test_scores_from_elsewhere_are_measured_like_any_other() -> None:
    raw = RawScores(np.array([0.4, 0.2]), np.array([0.9, 0.1]), np.array([[2.0, 1.0]]), np.array([[0.1, 0.7]]))
    evaluation = measure([WHOLE], [ConstantScorer(), Elsewhere(raw)], SETTINGS, 3)
    figures = evaluation.tasks["compatibility"]["random"]["baselines"]["elsewhere"]
    assert (figures["auc"], figures["threshold"], figures["accuracy"]) == (1, pytest.approx(0.3), 1)
    assert evaluation.tasks["fill_in_the_blank"]["random"]["baselines"]["elsewhere"]["accuracy"] == 1
    assert evaluation.tasks["retrieval"]["random"]["baselines"]["elsewhere"]["mrr"] == 0.5
    result = evaluation.protocols[0].results[1]
    assert (result.scorer, result.gives_probabilities) == ("elsewhere", False)
    assert result.retrieval_scores.tolist() == [[0.1, 0.7]]
    # Two validation questions: smoothed targets of 2/3 and 1/3, met exactly at 0.4 and 0.2.
    assert result.probabilities == pytest.approx(1 / (1 + 2.0 ** -np.array([6, -2])), abs=1e-6)


def test_scores_from_elsewhere_may_leave_out_whole_tasks_or_protocols() -> None:
    blanks_alone = RawScores(blanks=np.array([[2.0, 1.0]]))
    tasks = measure([WHOLE], [ConstantScorer(), Elsewhere(blanks_alone)], SETTINGS, 3).tasks
    assert [list(tasks[task]["random"]["baselines"]) for task in tasks] == [[], ["elsewhere"], []]
    absent = measure([WHOLE], [ConstantScorer(), Elsewhere(None)], SETTINGS, 3)
    assert [result.scorer for result in absent.protocols[0].results] == ["constant"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (RawScores(test=np.zeros(2)), r"shape \(0,\) for the validation questions \(random\), which need \(2,\)"),
        (RawScores(np.zeros(2), np.zeros(3)), r"shape \(3,\) for the test questions \(random\), which need \(2,\)"),
        (RawScores(blanks=np.zeros((1, 4))), r"shape \(1, 4\) for the fill-in-the-blank .* need \(1, 2\)"),
        (RawScores(retrieval=np.zeros((2, 2))), r"shape \(2, 2\) for the retrieval .* need \(1, 2\)"),
        (RawScores(retrieval=np.array([[0, np.nan]])), "elsewhere gave nan for one of the retrieval questions"),
    ],
)
def test_scores_from_elsewhere_that_do_not_fit_are_refused(raw: RawScores, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        measure([WHOLE], [ConstantScorer(), Elsewhere(raw)], SETTINGS, 3)


def test_the_model_under_test_answers_everything() -> None:
    for raw in (None, RawScores(np.zeros(2), np.zeros(2))):
        with pytest.raises(EvaluationError, match="elsewhere has scores of shape"):
            measure([WHOLE], [Elsewhere(raw), ConstantScorer()], SETTINGS, 3)


def test_scores_meant_as_probabilities_are_held_to_it() -> None:
    scorer = TableScorer({"ab": 1.5, "cd": 0.2})
    scorer.gives_probabilities = True
    with pytest.raises(EvaluationError, match=r"table returns probabilities, but scores go from 0\.2 to 1\.5"):
        measure([ProtocolQuestions("random", BOTH, BOTH)], [scorer], SETTINGS, 3)


def test_a_protocol_may_ask_blanks_alone_and_one_that_asks_nothing_is_refused() -> None:
    # Its validation questions have nothing to choose a threshold for, so they aren't asked: the table hasn't got them.
    scorer = TableScorer({"ab": 0.3, "ac": 0.2})
    tasks = measure(
        [ProtocolQuestions("release", (make_question("xy", "x", True),), (), (BLANK,))], [scorer], SETTINGS, 3
    ).tasks
    assert tasks["compatibility"] == {}
    assert tasks["fill_in_the_blank"]["release"]["n"] == 1
    with pytest.raises(EvaluationError, match="the test split has 0 release questions"):
        measure([ProtocolQuestions("release", BOTH)], [ConstantScorer()], SETTINGS, 3)
