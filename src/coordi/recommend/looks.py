"""Whole outfits around an item: a beam search over the categories that people wear together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from coordi.domain import WornCategory
from coordi.recommend.candidates import Finder
from coordi.recommend.described_item import DescribedItem
from coordi.recommend.fitting import COMPLETION_ORDER, clash, lacking_categories
from coordi.recommend.rules import Rules

WIDTH = 8
"""Outfits kept after each category, and items tried for each of them."""
_MOST_USES = 2
_BODY: tuple[tuple[WornCategory, ...], ...] = (("top", "bottom"), ("dress",))
_WITH_IT: tuple[WornCategory, ...] = ("shoes", "bag")

Outfit = tuple[DescribedItem, ...]


@dataclass(frozen=True, slots=True)
class LookBuilder:
    """Builds outfits by what needs no language model; who judges them in the end is the caller's choice.

    Attributes:
        finder: Finds what goes with what there is.
    """

    finder: Finder

    def build(self, begun: Outfit, rules: Rules) -> list[Outfit]:
        """Outfits that begin with the given items.

        A body (a top and a bottom, or a dress) comes first, then shoes and a bag, then what is wanted beside them. A
        category that the catalogue lacks, or that the rules leave nothing of, is left out.

        Args:
            begun: The item to build around, and pinned ones.
            rules: What is allowed; their wanted categories are part of every look that can have them.

        Returns:
            Outfits with more items than there were at the beginning, in no order; none if nothing goes with them.
        """
        found: dict[frozenset[str], Outfit] = {}
        for body in _bodies(begun, rules):
            for outfit in self._beam(begun, rules, body):
                if len(outfit) > len(begun):
                    found.setdefault(frozenset(item.id for item in outfit), outfit)
        return list(found.values())

    def _beam(self, begun: Outfit, rules: Rules, categories: Sequence[WornCategory]) -> list[Outfit]:
        beam: list[Outfit] = [begun]
        for category in categories:
            longer = [
                ((*outfit, item), score)
                for outfit in beam
                if clash(category, {item.item.category for item in outfit}) is None
                for item, score in self.finder.find(outfit, rules, category, WIDTH)
            ]
            if longer:
                beam = [outfit for outfit, _ in _varied(longer, begun)]
        return beam


def _bodies(begun: Outfit, rules: Rules) -> list[tuple[WornCategory, ...]]:
    worn = {item.item.category for item in begun}
    wanted = [one for one in COMPLETION_ORDER if one in rules.want]
    plans = []
    for body in _BODY:
        plan = [one for one in (*body, *_WITH_IT, *wanted) if one not in worn and one not in rules.unwanted]
        lacking = [one for one in body if one not in worn]
        if all(clash(one, worn) is None for one in lacking):
            plans.append(tuple(dict.fromkeys(plan)))
    return plans or [tuple(one for one in (*_WITH_IT, *wanted) if one not in worn and one not in rules.unwanted)]


def _varied(longer: Sequence[tuple[Outfit, float]], begun: Outfit) -> list[tuple[Outfit, float]]:
    """The best outfits, none of the added items in more than two of them as long as there are others."""
    used: Counter[str] = Counter()
    kept, rest = [], []
    for outfit, score in sorted(longer, key=lambda one: -one[1]):
        added = [item.id for item in outfit[len(begun) :]]
        if all(used[name] < _MOST_USES for name in added):
            used.update(added)
            kept.append((outfit, score))
        else:
            rest.append((outfit, score))
    return [*kept, *rest][:WIDTH]


def different(looks: Sequence[tuple[Outfit, float]], begun: Outfit, count: int) -> list[tuple[Outfit, float]]:
    """The best looks of which no two share more than half of what isn't in all of them.

    Args:
        looks: Best first.
        begun: What all looks have.
        count: How many at most.
    """
    always = {item.id for item in begun}
    kept: list[tuple[Outfit, float]] = []
    for outfit, score in looks:
        own = {item.id for item in outfit} - always
        shares = [len(own & {item.id for item in other}) for other, _ in kept]
        if all(2 * share <= len(own) for share in shares):
            kept.append((outfit, score))
        if len(kept) == count:
            break
    return kept


def worn_order(outfit: Outfit, begun: int) -> Outfit:
    """What there was at the beginning, then the rest in the order people look for things."""
    return (*outfit[:begun], *sorted(outfit[begun:], key=lambda item: COMPLETION_ORDER.index(item.item.category)))


def best_first(scored: Sequence[tuple[Outfit, float]], rules: Rules) -> list[tuple[Outfit, float]]:
    """Looks that lack nothing before others, then by score; equal ones by what is said of them, never by ids."""
    return sorted(scored, key=lambda one: (len(lacks(one[0], rules)), -one[1], [item.text for item in one[0]]))


def lacks(outfit: Outfit, rules: Rules) -> tuple[WornCategory, ...]:
    """What a whole outfit needs and this one hasn't, but for what the rules don't want."""
    needed = lacking_categories({item.item.category for item in outfit})
    return tuple(category for category in needed if category not in rules.unwanted)
