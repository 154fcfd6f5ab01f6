"""How a model is asked about one outfit: in which orders, and what is said of its items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from coordi.errors import ModelError
from coordi.prompts.templates import Instruction, compatibility_instruction

_STREAM = 71  # of the run's seed


def orders_of(outfit: Sequence[str], passes: int, seed: int) -> list[Sequence[str]]:
    """So many orders of an outfit's items: the given one, then shuffled ones, the same whatever else is asked."""
    rng = np.random.default_rng([seed, _STREAM, len(outfit)])
    orders: list[Sequence[str]] = [outfit]
    for _ in range(passes - 1):
        orders.append([outfit[position] for position in rng.permutation(len(outfit))])
    return orders


def question_about(outfit: Sequence[str], texts: Mapping[str, str]) -> Instruction:
    """Whether an outfit's items go together, told by their texts.

    Raises:
        ModelError: If an item has no text.
        PromptError: If there are fewer than two items.
    """
    missing = [item for item in outfit if item not in texts]
    if missing:
        raise ModelError(f"no text for item '{missing[0]}': it isn't among the {len(texts)} items given")
    return compatibility_instruction([texts[item] for item in outfit])
