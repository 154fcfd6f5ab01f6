"""Which items of a catalogue are worth asking a language model about, for each category that an outfit lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from coordi.domain import WornCategory
from coordi.errors import RecommendationError
from coordi.recommend.catalogue_index import CatalogueIndex
from coordi.recommend.described_item import DescribedItem
from coordi.recommend.fitting import clash, missing_categories
from coordi.recommend.item_scorer import ItemScorer
from coordi.recommend.likeness import photo_likeness, title_of, without_twins
from coordi.recommend.rules import Rules

_DEEPER = 4
_DEPTH = 64

Scored = tuple[DescribedItem, float]


@dataclass(frozen=True, slots=True)
class Sought:
    """Which categories to look for.

    Attributes:
        categories: In the order people look for them.
        why_not: Of wanted categories that can't join, why.
    """

    categories: tuple[WornCategory, ...]
    why_not: dict[WornCategory, str]


def sought(worn: Collection[WornCategory], rules: Rules) -> Sought:
    """The wanted categories that may join an outfit, or else those that it lacks."""
    if not rules.want:
        lacking = missing_categories(worn)
        return Sought(tuple(one for one in lacking if one not in rules.unwanted), {})
    reasons = {category: clash(category, worn) for category in dict.fromkeys(rules.want)}
    fitting = tuple(category for category, reason in reasons.items() if reason is None)
    return Sought(fitting, {category: reason for category, reason in reasons.items() if reason is not None})


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds candidates in a catalogue.

    Attributes:
        index: Where they are.
        scorer: Orders them without the language model.
    """

    index: CatalogueIndex
    scorer: ItemScorer

    def there(
        self, outfit: Sequence[DescribedItem], rules: Rules, categories: Sequence[WornCategory], most: int
    ) -> dict[WornCategory, int]:
        """How many items the rules allow beside the outfit, twins among them, of the first categories that have any."""
        found: dict[WornCategory, int] = {}
        for category in categories:
            number = self.index.count(_beside(outfit, rules), category) if len(found) < most else 0
            if number:
                found[category] = number
        return found

    def find(self, outfit: Sequence[DescribedItem], rules: Rules, category: WornCategory, most: int) -> list[Scored]:
        """The best candidates of a category by what needs no language model.

        Args:
            outfit: What there is; neither an item of it nor a twin of one is found.
            rules: What is allowed. What they want is not looked at, the category is.
            category: Of the candidates.
            most: How many are given at most. Four times as many, or 64 if that is more, are nearest to the outfit by
                what is said of them and are scored.

        Returns:
            Items and P(yes) of the outfit with them, best first; equal ones by likeness of their photos to the
            outfit's, then by title, so that ids decide nothing.
        """
        depth = max(_DEPTH, _DEEPER * most)
        near = self.index.nearest(self.scorer.direction(outfit), "text", depth, _beside(outfit, rules), category)
        items = without_twins([item for item, _ in near], outfit)
        scores = self.scorer.score([(*outfit, item) for item in items], language_model=False).tolist()
        return in_order(zip(items, scores, strict=True), outfit)[:most]


def in_order(scored: Iterable[Scored], outfit: Sequence[DescribedItem]) -> list[Scored]:
    """Best first; equal scores by likeness of photos, then title and kind."""

    def rank(one: Scored) -> tuple[float, float, str, str]:
        item, score = one
        return -score, -photo_likeness(item, outfit), title_of(item), item.item.kind

    return sorted(scored, key=rank)


def check_catalogue(index: CatalogueIndex | None) -> CatalogueIndex:
    """The index, if there is anything to recommend from.

    Raises:
        RecommendationError: If there is no catalogue, or it is empty.
    """
    if index is None:
        raise RecommendationError(
            "no catalogue is open, so there is nothing to suggest from; make one with: coordi catalogue build PHOTOS "
            "--out DIR, and open it with --catalogue DIR"
        )
    if not len(index):
        raise RecommendationError(
            f"the catalogue '{index.info.name}' is empty; nothing can be recommended until it has items: coordi "
            "catalogue add DIR SOURCE"
        )
    return index


def _beside(outfit: Sequence[DescribedItem], rules: Rules) -> Rules:
    """The rules for one category at a time, the outfit's own items excluded."""
    excluded = (*rules.excluded, *(item.id for item in outfit))
    return rules.model_copy(update={"want": (), "unwanted": (), "excluded": excluded})
