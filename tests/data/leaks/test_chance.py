from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from coordi.data.leaks import (
    ALPHA,
    LEAST_GAIN,
    Asked,
    Cheat,
    Facts,
    Suspect,
    beyond_chance,
    by_learning,
    by_mean,
    by_score,
    flatten,
)
from coordi.types import CompatibilityQuestion, Dataset

SUSPECT = Suspect("size", "q", "sizes", "mend it")


def _cheat(p_value: float, reached: float = 0.9, suspect: Suspect = SUSPECT) -> Cheat:
    return Cheat(suspect, "AUC", reached, 0.5, p_value)


@pytest.fixture
def flat(shop: Dataset, asked: tuple[CompatibilityQuestion, ...]) -> Asked:
    return flatten("q", asked, Facts(shop))


def test_an_accusation_must_hold_against_the_number_of_checks() -> None:
    others = [_cheat(0.5, suspect=replace(SUSPECT, name="order")) for _ in range(9)]
    assert beyond_chance([_cheat(ALPHA / 11), *others]) != []
    assert beyond_chance([_cheat(ALPHA / 9), *others]) == []


def test_checks_of_other_questions_have_no_say() -> None:
    elsewhere = [_cheat(0.5, suspect=replace(SUSPECT, where=f"r{number}")) for number in range(99)]
    assert beyond_chance([_cheat(ALPHA / 2), *elsewhere]) == beyond_chance([_cheat(ALPHA / 2)]) != []


def test_a_gain_too_small_to_matter_is_no_alarm() -> None:
    assert beyond_chance([_cheat(0.0, reached=0.5 + LEAST_GAIN / 2)]) == []
    assert beyond_chance([_cheat(0.0, reached=0.5 + LEAST_GAIN * 1.1)]) != []


def test_the_strongest_cheat_of_a_name_speaks_for_the_others() -> None:
    weaker = _cheat(0.0, 0.7, replace(SUSPECT, what="odd sizes"))
    elsewhere = _cheat(0.0, 0.6, replace(SUSPECT, where="r"))
    first, second = beyond_chance([weaker, _cheat(0.0), elsewhere])
    assert (first.where, first.auc, second.where, second.auc) == ("q", 0.9, "r", 0.6)
    assert first.detail == "sizes tell the answer: AUC 0.90, where 0.50 is chance; so do odd sizes (AUC 0.70); mend it"


def test_what_is_shown_to_nobody_is_told_once() -> None:
    hidden = replace(SUSPECT, shown=False)
    (leak,) = beyond_chance([_cheat(0.0, 0.8, hidden), _cheat(0.0, 0.9, replace(hidden, where="r"))])
    assert (leak.where, leak.auc, leak.shown) == ("q, r", 0.9, False)


def test_a_score_is_taken_whichever_way_it_tells(flat: Asked) -> None:
    score = flat.compatible.astype(np.float64)
    for scores in (score, -score):
        cheat = by_score(SUSPECT, scores, flat)
        assert cheat.reached == 1.0
        assert cheat.p_value < 1e-9


def test_random_scores_are_off_by_chance_as_often_as_they_say(flat: Asked) -> None:
    generator = np.random.default_rng(8)
    count = len(flat.questions)
    for judge in (by_score, by_mean):
        found = [judge(SUSPECT, generator.random(count), flat).p_value for _ in range(1000)]
        for level in (0.5, 0.1, 0.02):
            assert np.mean(np.array(found) < level) == pytest.approx(level, abs=4 * np.sqrt(level / 1000))


def test_a_wider_spread_alone_is_another_auc_but_not_another_mean(flat: Asked) -> None:
    """Positives at -3 or 1, three times as often at 1, negatives at 0: AUC 0.75, equal means."""
    rank = np.cumsum(flat.compatible) % 4
    scores = np.where(flat.compatible, np.where(rank == 0, -3.0, 1.0), 0.0)
    assert by_score(SUSPECT, scores, flat).p_value < 1e-6
    judged = by_mean(SUSPECT, scores, flat)
    assert judged.p_value > 0.5
    assert judged.reached == pytest.approx(0.75, abs=0.01)


def test_learning_counts_above_the_usual_only(flat: Asked) -> None:
    assert by_learning(SUSPECT, 0.8, flat, usual=0.8).p_value == 0.5
    assert by_learning(SUSPECT, 0.2, flat).p_value > 0.99
    assert by_learning(SUSPECT, 0.9, flat, usual=0.6).p_value < 1e-6
