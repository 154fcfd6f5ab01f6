"""The verdict: every rival must be beaten, alarms for leaks aren't rivals, and few outfits give no answer."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from coordi.evaluate.summary import RIVALS, Conclusion, conclude, summarise
from coordi.evaluate.task_metrics import FEW_OUTFITS

from .reports import figures

Said = tuple[float, float | None]
"""AUC of a baseline beside a model of 0.7, and the p-value of the difference."""
WON: Said = (0.5, 0.01)
LOST: Said = (0.9, 0.01)
EVEN: Said = (0.7, 0.5)


def verdict(outfits: int = 188, under_test: str = "fine-tuned", **protocols: Mapping[str, Said]) -> Conclusion:
    tasks = {"compatibility": {name.replace("_", "-"): figures(0.7, **said) for name, said in protocols.items()}}
    return conclude(summarise(tasks, under_test), "The fine-tuned model", outfits)


@pytest.mark.parametrize(
    ("random", "pairs", "answer", "words"),
    [
        (WON, WON, "yes", "ahead of every plain baseline that was measured, in all 2 things measured"),
        (WON, LOST, "partly", "for compatibility (random items), and behind one for compatibility (pairs of items)"),
        (WON, EVEN, "partly", "and not told apart from the best elsewhere"),
        (LOST, EVEN, "no", "behind one for compatibility (random items)"),
        (EVEN, EVEN, "not shown", "With 188 test outfits, differences below about 0.15 mostly go unseen"),
    ],
)
def test_the_answer_follows_the_rivals(random: Said, pairs: Said, answer: str, words: str) -> None:
    # Neither the base model, nor somebody's scores, nor what only a leak could make strong is a rival.
    others: dict[str, Said] = dict.fromkeys(("base", "mine", "chance", "size", "order", "popularity"), (0.99, 0.01))
    found = verdict(
        random={"category_pairs": random, "title_cosine": (0.4, 0.01), **others},
        pairs={"category_pairs": pairs, "title_cosine": (0.4, 0.01), **others},
    )
    assert found.answer == answer
    assert words in found.headline
    assert "the fine-tuned model is" in found.headline
    assert [one.rival for one in found.against] == ["category-pairs", "category-pairs"]
    assert "The strongest plain baseline measured: category pairs." in found.advice


@pytest.mark.parametrize("said", [{}, {"chance": WON, "size": WON, "order": WON, "popularity": WON, "base": WON}])
def test_what_is_ahead_of_chance_alone_gets_no_answer(said: dict[str, Said]) -> None:
    found = verdict(random=said)
    assert (found.answer, found.against) == ("alone", ())
    assert "nothing beside it that is worth beating" in found.headline


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"category_pairs": WON, "chance": WON}, "Not shown: a baseline that looks at titles or photos would have"),
        ({"title_cosine": WON, "set_transformer": WON}, "Not shown: category pairs would have to stand beside it"),
    ],
)
def test_too_little_beside_it_is_not_shown_and_says_what_is_missing(said: dict[str, Said], words: str) -> None:
    found = verdict(random=said)
    assert found.answer == "not shown"
    assert words in found.headline
    # Enough in one column isn't enough for the other.
    enough = {"category_pairs": WON, "title_cosine": WON}
    found = verdict(random=enough, pairs=said)
    assert found.answer == "not shown"
    assert "in every column" in found.headline


@pytest.mark.parametrize("looking", RIVALS[1:])
def test_category_pairs_and_one_that_looks_are_enough(looking: str) -> None:
    found = verdict(random={"category_pairs": WON, looking.replace("-", "_"): (0.6, 0.02)})
    assert found.answer == "yes"
    assert [one.rival for one in found.against] == [looking]


def test_the_strongest_of_each_column_is_named() -> None:
    rivals: dict[str, Said] = {"category_pairs": WON, "title_cosine": (0.6, 0.01)}
    found = verdict(random=rivals, pairs=rivals | {"title_cosine": (0.4, 0.01)})
    assert "baseline measured, by what was asked: title likeness and category pairs." in found.advice


def test_a_weaker_rival_that_is_not_told_apart_keeps_it_from_being_ahead() -> None:
    found = verdict(random={"category_pairs": (0.6, 0.01), "title_cosine": (0.55, 0.2), "sentence_cosine": (0.4, 0.01)})
    (one,) = found.against
    assert (found.answer, one.standing, one.rival, one.held_by) == (
        "not shown", "even", "category-pairs", "title-cosine",
    )  # fmt: skip


def test_behind_one_rival_is_behind_whatever_the_others() -> None:
    found = verdict(random={"category_pairs": (0.95, 0.3), "title_cosine": (0.9, 0.01), "set_transformer": WON})
    assert found.answer == "no"
    assert [(one.standing, one.rival, one.held_by) for one in found.against] == [
        ("behind", "category-pairs", "title-cosine")
    ]


def test_what_was_left_out_is_said() -> None:
    said = dict.fromkeys((name.replace("-", "_") for name in RIVALS), WON)
    assert "Not measured" not in verdict(random=said).advice
    del said["set_transformer"], said["frozen_probe"]
    assert "Not measured beside it: set transformer and frozen probe." in verdict(random=said).advice
    # The model under test isn't missing from its own rivals.
    assert "Not measured beside it: set transformer." in verdict(under_test="frozen-probe", random=said).advice


@pytest.mark.parametrize("said", [WON, LOST, EVEN])
def test_few_outfits_give_no_answer(said: Said) -> None:
    rivals: dict[str, Said] = {"category_pairs": said, "title_cosine": (0.4, 0.01)}
    few = verdict(FEW_OUTFITS - 1, random=rivals)
    assert few.answer == "not shown"
    assert f"{FEW_OUTFITS - 1} test outfits are too few for an answer" in few.headline
    assert f"Measure on {FEW_OUTFITS} or more; intervals of fewer are too narrow." in few.advice
    assert [one.standing for one in few.against] == ["too few"]
    enough = verdict(FEW_OUTFITS, random=rivals)
    assert enough.answer == {WON: "yes", LOST: "no", EVEN: "not shown"}[said]
    assert "too few" not in enough.headline
    assert "1 test outfit is too few" in verdict(1, random=rivals).headline


def test_a_column_of_few_questions_gives_no_answer_of_its_own() -> None:
    rivals: dict[str, Said] = {"category_pairs": WON, "title_cosine": WON}
    tasks = {"compatibility": {"random": figures(0.7, **rivals), "pairs": figures(0.7, **rivals) | {"n": 49}}}
    found = conclude(summarise(tasks, "fine-tuned"), "The fine-tuned model", 188)
    assert found.answer == "partly"
    assert "Fewer than 50 questions, so no answer, for compatibility (pairs of items)." in found.advice
    del tasks["compatibility"]["random"]
    found = conclude(summarise(tasks, "fine-tuned"), "The fine-tuned model", 188)
    assert found.headline == "Not shown: 49 questions are too few for an answer."


def test_without_resamples_nothing_is_told_apart() -> None:
    found = verdict(random={"category_pairs": (0.5, None), "title_cosine": (0.5, None)})
    assert found.answer == "not shown"
    assert [one.standing for one in found.against] == ["even"]


def test_a_probe_of_the_language_model_is_not_said_to_need_none() -> None:
    lost = verdict(random={"category_pairs": WON, "frozen_probe": LOST})
    assert lost.advice.startswith("Use the baseline: it needs no fine-tuning.")
    lost = verdict(random={"category_pairs": LOST, "frozen_probe": WON})
    assert lost.advice.startswith("Use the baseline: it needs no language model and no graphics card.")
