"""What the audit hands back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LeakName = Literal[
    "order", "ids", "size", "balance", "repeats", "popularity", "words", "lengths", "missing", "position", "categories",
    "duplicates", "items", "titles", "photos",
    "unaudited",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Leak:
    """One way in which answers leak, or one thing that two splits share.

    Attributes:
        name: What leaks. Of questions: ``order`` of the items; ``ids`` of questions and items; ``size``, the number
            of items; ``balance`` of the answers; ``repeats`` of questions; ``popularity`` of items and kinds;
            ``words`` that are rare and shared, such as brands; ``lengths`` of titles; ``missing`` titles and photos.
            Of blanks also: ``position`` of the answer; ``categories`` of the candidates. Across splits:
            ``duplicates`` of outfits; ``items``, ``titles`` and ``photos`` that both hold, which is not always a
            fault (common words make some titles unavoidable): what it is worth tells. ``unaudited`` is no leak: it
            names sets of questions that are too small for any to be found in them.
        where: The questions (their key, with ``blanks`` after it for blanks), the splits, or ``"texts"``.
        detail: In a user's words, with the figures.
        auc: What a cheat reaches that uses only this, in ``[0.5, 1]``; chance is 0.5. None where no compatibility
            question could be asked of it.
        count: How many; None for what isn't counted.
        accuracy: Share of blanks (or, for ``balance``, of questions) that a cheat gets right; None elsewhere.
        chance: What knowing nothing gets of ``accuracy``, else of ``auc``; None where neither is known.
        shown: Whether a model reads it: False for ids of questions and items, and for the questions' order, which
            coordi shows to no scorer. They matter to who writes another reader of the same questions.
    """

    name: LeakName
    where: str
    detail: str
    auc: float | None = None
    count: int | None = None
    accuracy: float | None = None
    chance: float | None = None
    shown: bool = True
