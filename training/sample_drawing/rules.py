"""The style rules by which the sample's outfits are put together. This page is the whole taste of the sample.

An outfit is right if all of these hold:

1. It can be worn: one pair of shoes, a dress or else one top with one bottom, nothing of a sort twice.
2. There is an occasion for which every garment is meant: work, casual, sport, evening, beach or winter.
3. No garment is much more formal than another: at most two steps between sport (0) and evening (3).
4. The colours are neutrals, with one family of hues (an accent, or tone in tone) or two that complement one another.
5. At most one pattern is loud.

The rules are for trying coordi out: they are nobody's measured taste, and no figure from the sample is a result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from .garments import LOUD, OCCASIONS, Garment, Occasion
from .palette import in_harmony

Rule = Callable[[Sequence[Garment]], bool]


def can_be_worn(garments: Sequence[Garment]) -> bool:
    """One pair of shoes, a dress or one top with one bottom, and nothing of a sort twice."""
    counts = Counter(garment.kind.category for garment in garments)
    clothed = (counts["dress"], counts["top"], counts["bottom"]) in ((1, 0, 0), (0, 1, 1))
    return clothed and counts["shoes"] == 1 and max(counts.values()) == 1


def shared_occasions(garments: Sequence[Garment]) -> tuple[Occasion, ...]:
    """Occasions for which every garment is meant."""
    return tuple(name for name in OCCASIONS if all(name in garment.kind.occasions for garment in garments))


def suits_an_occasion(garments: Sequence[Garment]) -> bool:
    """At least one occasion is shared by all."""
    return bool(shared_occasions(garments))


def is_equally_formal(garments: Sequence[Garment]) -> bool:
    """At most two steps of formality apart."""
    steps = [garment.kind.formality for garment in garments]
    return max(steps) - min(steps) <= 2


def has_harmony(garments: Sequence[Garment]) -> bool:
    """Neutrals with one family of hues, or with a complementary pair."""
    return in_harmony([garment.colour for garment in garments])


def has_one_loud_pattern(garments: Sequence[Garment]) -> bool:
    """At most one loud pattern."""
    return sum(garment.pattern in LOUD for garment in garments) <= 1


RULES: tuple[Rule, ...] = (can_be_worn, suits_an_occasion, is_equally_formal, has_harmony, has_one_loud_pattern)


def agrees(garments: Sequence[Garment]) -> bool:
    """Whether an outfit keeps every rule; an empty one doesn't."""
    return bool(garments) and all(rule(garments) for rule in RULES)


def broken_rules(garments: Sequence[Garment]) -> tuple[str, ...]:
    """Names of the rules that an outfit of at least one garment breaks, in the order of ``RULES``."""
    return tuple(rule.__name__ for rule in RULES if not rule(garments))
