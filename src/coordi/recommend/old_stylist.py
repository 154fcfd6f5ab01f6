"""Candidates by category, a shortlist without the model, and a ranking by the model that was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from coordi.config import RecommendSettings
from coordi.describe.shortlist import outfit_query, shortlist
from coordi.domain import Item, WornCategory
from coordi.errors import RecommendationError, require
from coordi.evaluate.asking import complete
from coordi.evaluate.scorer import OutfitScorer
from coordi.recommend.fitting import clash, missing_categories, parse_category

# Without a wanted category the model ranks candidates of so many missing ones, so that each gets enough of them.
CATEGORIES_AT_ONCE = 4

ShortlistBy = Literal["everything", "photos", "titles", "draw"]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What may be recommended.

    Attributes:
        items: By id.
        vectors: By item id, what the image encoder saw, each of shape ``(D,)`` and unit length; items without a
            photo are absent.
    """

    items: Mapping[str, Item]
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One item that may complete the outfit, and the compatibility of the outfit with it."""

    item_id: str
    category: WornCategory
    score: float


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What completes an outfit.

    Attributes:
        outfit: Item ids as given.
        categories: What was looked for: the wanted category, or the missing ones.
        suggestions: Best first; without a wanted category, the best of each category come before the second best of
            any.
        candidates: Items that fit, before the shortlist.
        ranked: Items that the model ranked.
        shortlist: How the ranked ones were chosen: by likeness of photos, by likeness of titles, by a seeded draw
            where there is neither, or ``everything`` if nothing had to be left out.
    """

    outfit: tuple[str, ...]
    categories: tuple[WornCategory, ...]
    suggestions: tuple[Suggestion, ...]
    candidates: int
    ranked: int
    shortlist: ShortlistBy


def recommend(
    outfit: Sequence[str],
    catalogue: Catalogue,
    scorer: OutfitScorer,
    settings: RecommendSettings,
    rng: np.random.Generator,
    want: str | None = None,
) -> Recommendation:
    """Find items that complete an outfit.

    An item of the outfit and one with the same title as an item of the outfit are never suggested; of several items
    with one title, one is. A second pair of shoes, or a dress over a top, is never suggested either.

    Args:
        outfit: Ids of items in the catalogue, at least one.
        catalogue: Where candidates come from.
        scorer: Ranks the shortlist; the one that was evaluated.
        settings: Length of the shortlist (shared out among missing categories if none is wanted) and of the answer.
        rng: Of the draw where there are neither photos nor titles, and of ties between items with the same words.
        want: A worn category; None looks for what is missing.

    Raises:
        RecommendationError: If the catalogue or the outfit is empty, an item or the category is unknown, or nothing
            fits, with the reason.
    """
    items = catalogue.items
    _check_outfit(outfit, items)
    worn = {items[item_id].category for item_id in outfit}
    pools = _pools(outfit, items, worn, want, rng)
    room = max(1, settings.candidates // len(pools))
    ranked: list[list[Suggestion]] = []
    ways: set[ShortlistBy] = set()
    for category, pool in pools.items():
        chosen, way = _shortlist(outfit, pool, catalogue, room)
        ways.add(way)
        scores = scorer.score([complete(outfit, item_id) for item_id in chosen])  # (len(chosen),)
        found = [Suggestion(item_id, category, float(score)) for item_id, score in zip(chosen, scores, strict=True)]
        ranked.append(sorted(found, key=lambda suggestion: _rank(suggestion, items)))
    suggestions = _take_turns(ranked, items)[: settings.top_k]
    return Recommendation(
        tuple(outfit),
        tuple(pools),
        suggestions,
        sum(map(len, pools.values())),
        sum(map(len, ranked)),
        next((way for way in ("draw", "titles", "photos") if way in ways), "everything"),
    )


def _check_outfit(outfit: Sequence[str], items: Mapping[str, Item]) -> None:
    if not items:
        raise RecommendationError("the catalogue is empty; nothing can be recommended until it has items")
    if not outfit:
        raise RecommendationError("the outfit is empty: name at least 1 item to complete")
    for item_id in outfit:
        if item_id not in items:
            some = ", ".join(list(items)[:3])
            raise RecommendationError(
                f"no item '{item_id}': accepted are the ids of the catalogue's {len(items)} items, such as {some}"
            )


def _pools(
    outfit: Sequence[str],
    items: Mapping[str, Item],
    worn: set[WornCategory],
    want: str | None,
    rng: np.random.Generator,
) -> dict[WornCategory, list[str]]:
    """Candidates by category, in a drawn order, so that neither ids nor the catalogue's order favour an item."""
    if want is not None:
        wanted = parse_category(want)
        reason = clash(wanted, worn)
        if reason:
            raise RecommendationError(f"nothing fits for '{wanted}': {reason}; want something else or take it off")
        categories: tuple[WornCategory, ...] = (wanted,)
    else:
        categories = missing_categories(worn)
    by_category = _candidates(outfit, items)
    pools = {category: by_category[category] for category in categories if category in by_category}
    if not pools:
        there = ", ".join(sorted({item.category for item in items.values()}))
        raise RecommendationError(
            f"nothing fits: the catalogue has nothing of {', '.join(categories) or 'any missing category'} beside "
            f"the outfit and its twins; it has {there}"
        )
    kept = list(pools.items())[:CATEGORIES_AT_ONCE]
    return {category: [ids[place] for place in rng.permutation(len(ids))] for category, ids in kept}


def _candidates(outfit: Sequence[str], items: Mapping[str, Item]) -> dict[WornCategory, list[str]]:
    taken = {_title(items[item_id]) for item_id in outfit} - {""}
    seen: set[tuple[str, str]] = set()
    pools: dict[WornCategory, list[str]] = {}
    # Of twins the one with a photo is kept, which says more to whoever looks at it.
    for item in sorted(items.values(), key=lambda item: (item.image is None, item.id)):
        title = _title(item)
        if item.id in outfit or title in taken or (title and (item.category, title) in seen):
            continue
        seen.add((item.category, title))
        pools.setdefault(item.category, []).append(item.id)
    return pools


def _shortlist(
    outfit: Sequence[str], pool: list[str], catalogue: Catalogue, room: int
) -> tuple[list[str], ShortlistBy]:
    if len(pool) <= room:
        return pool, "everything"
    if all(item_id in catalogue.vectors for item_id in (*outfit, *pool)):
        query = outfit_query(np.stack([catalogue.vectors[item_id] for item_id in outfit]))  # (1, D)
        places, _ = shortlist(query, np.stack([catalogue.vectors[item_id] for item_id in pool]), room)
        return [pool[place] for place in places[0]], "photos"
    likeness = _title_likeness([catalogue.items[item_id] for item_id in (*outfit, *pool)], len(outfit))
    best = np.argsort(-likeness, kind="stable")[:room]
    return [pool[place] for place in best], "titles" if likeness.any() else "draw"


def _title_likeness(items: Sequence[Item], outfit_size: int) -> NDArray[np.float64]:
    """TF-IDF cosine of each item after the outfit with the mean of the outfit; zeros if there are no words."""
    vectorizer = require("sklearn.feature_extraction.text", "train").TfidfVectorizer(sublinear_tf=True)
    try:
        vectors = vectorizer.fit_transform([item.title for item in items])  # (N, words)
    except ValueError:  # scikit-learn's word for an empty vocabulary
        return np.zeros(len(items) - outfit_size)
    query = np.asarray(vectors[:outfit_size].mean(axis=0)).ravel()
    return np.asarray(vectors[outfit_size:] @ query, dtype=np.float64)


def _take_turns(ranked: list[list[Suggestion]], items: Mapping[str, Item]) -> tuple[Suggestion, ...]:
    rounds = [
        sorted((found[place] for found in ranked if place < len(found)), key=lambda one: _rank(one, items))
        for place in range(max(map(len, ranked)))
    ]
    return tuple(suggestion for one_round in rounds for suggestion in one_round)


def _rank(suggestion: Suggestion, items: Mapping[str, Item]) -> tuple[float, str, str]:
    item = items[suggestion.item_id]
    return -suggestion.score, _title(item), item.kind


def _title(item: Item) -> str:
    return " ".join(item.title.casefold().split())
