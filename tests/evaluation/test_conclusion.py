"""The conclusion: every rival must be beaten, leak baselines aren't rivals, and few outfits give no conclusion."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from coordi.evaluation.metrics import FEW_OUTFITS
from coordi.evaluation.summary import RIVALS, conclude, summarise

from .reports import figures

Beside = tuple[float, float | None]
"""AUC of a baseline beside a model of 0.7, and the p-value of the difference."""
WON: Beside = (0.5, 0.01)
LOST: Beside = (0.9, 0.01)
EVEN: Beside = (0.7, 0.5)
ALL: dict[str, Beside] = {name.replace("-", "_"): WON for name in RIVALS}


def conclusion(outfits: int = 188, n: int = 400, **protocols: Mapping[str, Beside]) -> str:
    tasks = {
        "compatibility": {
            name.replace("_", "-"): figures(0.7, **baselines) | {"n": n} for name, baselines in protocols.items()
        }
    }
    return conclude(summarise(tasks, "fine-tuned"), outfits)


@pytest.mark.parametrize(
    ("random", "pairs", "words"),
    [
        (WON, WON, "in 2 of 2 columns (compatibility, random items; compatibility, pairs of items), behind at least"),
        (WON, LOST, "1 of 2 columns (compatibility, random items), behind at least one in 1, and not distinguishable"),
        (WON, EVEN, "behind at least one in 0, and not distinguishable from the best in 1."),
        (LOST, EVEN, "in 0 of 2 columns, behind at least one in 1, and not distinguishable from the best in 1."),
    ],
)
def test_the_counts_follow_the_rivals(random: Beside, pairs: Beside, words: str) -> None:
    # Neither the base model, nor imported scores, nor what only a leak could make strong is a rival.
    others: dict[str, Beside] = dict.fromkeys(("base", "mine", "chance", "size", "order", "popularity"), (0.99, 0.01))
    text = conclusion(random=ALL | {"category_pairs": random} | others, pairs=ALL | {"category_pairs": pairs} | others)
    assert text.startswith("The fine-tuned model is significantly ahead of every plain baseline in")
    assert words in text
    assert "Not measured" not in text


@pytest.mark.parametrize("rivals", [{}, {"chance": WON, "size": WON, "order": WON, "popularity": WON, "base": WON}])
def test_a_model_beside_no_rival_gets_no_conclusion(rivals: dict[str, Beside]) -> None:
    assert "was measured without baselines to compare it with" in conclusion(random=rivals)


def test_a_weaker_rival_without_a_significant_difference_keeps_it_from_being_ahead() -> None:
    rivals: dict[str, Beside]
    rivals = {"category_pairs": (0.6, 0.01), "title_cosine": (0.55, 0.2), "sentence_cosine": (0.4, 0.01)}
    assert "in 0 of 1 columns, behind at least one in 0, and not" in conclusion(random=rivals)
    rivals = {"category_pairs": (0.95, 0.3), "title_cosine": (0.9, 0.01), "set_transformer": WON}
    assert "in 0 of 1 columns, behind at least one in 1, and not" in conclusion(random=rivals)
    rivals = {"category_pairs": (0.5, None)}
    assert "in 0 of 1 columns, behind at least one in 0" in conclusion(random=rivals)


def test_baselines_that_are_missing_are_named() -> None:
    rivals = dict(ALL)
    del rivals["set_transformer"], rivals["frozen_probe"]
    assert conclusion(random=rivals).endswith("Not measured: set transformer, frozen probe.")


@pytest.mark.parametrize("rival", [WON, LOST, EVEN])
def test_few_outfits_or_questions_give_no_conclusion(rival: Beside) -> None:
    rivals: dict[str, Beside] = {"category_pairs": rival, "title_cosine": (0.4, 0.01)}
    few = f"The test split is too small for a conclusion: measure on {FEW_OUTFITS} outfits and questions or more."
    assert conclusion(FEW_OUTFITS - 1, random=rivals) == few
    assert conclusion(188, FEW_OUTFITS - 1, random=rivals) == few
    assert "of 1 columns" in conclusion(FEW_OUTFITS, FEW_OUTFITS, random=rivals)
