"""Which prompts begin alike, so that what they share is computed once: the question, and an outfit's own items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# A shorter shared beginning isn't worth a cache of its own.
_WORTH_SHARING = 4
# What a family's own pass costs, in tokens; it must save more.
_COST = 24
# Rows of a family at most; a larger pool is several families.
_LARGEST = 128


@dataclass(frozen=True, slots=True)
class Family:
    """Prompts that begin alike.

    Attributes:
        shared: How many tokens they begin with; each has one token or more of its own after them.
        rows: Their positions among all prompts.
    """

    shared: int
    rows: tuple[int, ...]


def shared_length(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with; each keeps one token or more of its own.

    0 for a lone prompt, and where so few are shared that it isn't worth it.
    """
    if len(prompts) < 2:
        return 0
    shared = common_length(min(map(tuple, prompts)), max(map(tuple, prompts)))
    shared = min(shared, min(map(len, prompts)) - 1)
    return shared if shared >= _WORTH_SHARING else 0


def families(prompts: Sequence[Sequence[int]], shared: int) -> tuple[list[Family], list[int]]:
    """Group prompts by what they begin with beyond the first ``shared`` tokens, so that the most tokens are saved.

    Neighbours in the order of their tokens share most, so a family is a run of that order. The best runs are found by
    going through the places where the last one may begin.

    Args:
        prompts: All begin with the same ``shared`` tokens.
        shared: May be 0.

    Returns:
        The families, and the rows that are in none, both in the order of the tokens.
    """
    order = sorted(range(len(prompts)), key=lambda row: tuple(prompts[row]))
    best = [0] * (len(order) + 1)  # tokens saved among the first rows of the order
    last: list[tuple[int, int]] = [(0, 0)] * (len(order) + 1)  # where the last run of them begins, and what it shares
    for end in range(1, len(order) + 1):
        best[end], last[end] = best[end - 1], (end - 1, shared)
        newest = prompts[order[end - 1]]
        common = len(newest) - 1
        for begin in range(end - 2, max(end - _LARGEST, 0) - 1, -1):
            other = prompts[order[begin]]
            common = min(common, common_length(other, prompts[order[begin + 1]]), len(other) - 1)
            if common <= shared:
                break
            saved = best[begin] + (end - begin - 1) * (common - shared) - _COST
            if saved > best[end]:
                best[end], last[end] = saved, (begin, common)
    found: list[Family] = []
    alone: list[int] = []
    end = len(order)
    while end:
        begin, common = last[end]
        if end - begin > 1:
            found.append(Family(common, tuple(order[begin:end])))
        else:
            alone.append(order[begin])
        end = begin
    return found[::-1], alone[::-1]


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return length
