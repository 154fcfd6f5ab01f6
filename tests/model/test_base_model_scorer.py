from __future__ import annotations

import numpy as np
import pytest

from coordi.config import RunSettings
from coordi.model.base import Base
from coordi.model.scoring import BaseModelScorer, LanguageModelScorer, load_answers

from .conftest import COLOURS, KINDS, items_of

ITEMS = items_of(*(f"{colour} {kind}" for colour, kind in zip(COLOURS, KINDS, strict=False)))
OUTFITS = [[ITEMS[n] for n in numbers] for numbers in ((0, 1), (2, 3, 4), (5, 1, 0))]


@pytest.mark.slow
def test_zero_shot_is_the_plain_scorer_and_states_come_with_it(tiny_base: Base, tiny_settings: RunSettings) -> None:
    plain = load_answers(tiny_base, None, tiny_settings)
    frozen = BaseModelScorer(lambda: load_answers(tiny_base, None, tiny_settings))
    np.testing.assert_allclose(frozen.score(OUTFITS), plain.score(OUTFITS), atol=1e-9)
    states = frozen.states(OUTFITS)
    assert states.shape == (3, 64)
    np.testing.assert_allclose(states, plain.read(OUTFITS, 2)[1], atol=1e-6)
    assert np.abs(states - plain.read(OUTFITS, 1)[1]).max() > 1e-3
    assert frozen.score([]).shape == (0,)


@pytest.mark.slow
def test_nothing_is_read_twice(tiny_base: Base, tiny_settings: RunSettings) -> None:
    questions: list[int] = []

    class Counting(LanguageModelScorer):
        def read(self, outfits, layer=None, *, answer=True):  # type: ignore[no-untyped-def]
            questions.append(len(outfits))
            return super().read(outfits, layer, answer=answer)

    def load() -> LanguageModelScorer:
        scorer = load_answers(tiny_base, None, tiny_settings)
        scorer.__class__ = Counting
        return scorer

    frozen = BaseModelScorer(load)
    assert not questions
    frozen.score(OUTFITS)
    frozen.score([OUTFITS[2], OUTFITS[2]])
    joint = frozen.states(OUTFITS)
    assert questions == [3]
    alone = frozen.states(OUTFITS[:1])
    assert frozen.states(OUTFITS[:1]) is alone
    assert questions == [3, 1]
    np.testing.assert_allclose(joint[:1], alone, atol=1e-4)


@pytest.mark.slow
def test_states_are_the_same_bits_whether_or_not_the_outfits_were_scored_before(
    tiny_base: Base, tiny_settings: RunSettings
) -> None:
    def fresh() -> BaseModelScorer:
        return BaseModelScorer(lambda: load_answers(tiny_base, None, tiny_settings))

    undisturbed, resumed = fresh(), fresh()
    undisturbed.score(OUTFITS)
    for questions in (OUTFITS, OUTFITS[1:], OUTFITS):
        np.testing.assert_array_equal(undisturbed.states(questions), resumed.states(questions))


def test_without_the_answer_p_of_yes_is_no_number(tiny_base: Base, tiny_settings: RunSettings) -> None:
    yes, states = load_answers(tiny_base, None, tiny_settings).read(OUTFITS, 1, answer=False)
    assert np.isnan(yes).all()
    assert states.shape == (3, 64)
