"""Outfits composed from the lexicon, and outfits with one item wrong for a known reason: common sense to learn from.

An item is some words that name a kind, its colour, and a pattern or a material; how well items agree is told by the
rules of ``coordi.style.agreement`` with a stylist's weights. A composed outfit takes, item by item,
one of those that agree best with the items before; a twin has one item replaced by another of its category that breaks
a rule. The rule is drawn first, so that rare reasons are taught as often as common ones.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from coordi.api import Model
from coordi.errors import DataError
from coordi.style.agreement import RULES, FactSets, amounts_of
from coordi.style.lexicon import Kind, default_lexicon
from coordi.style.words import style_tables
from coordi.types import GarmentCategory, Item

_WEIGHTS = np.array(list(RULES.values()))
_AGAINST = [place for place, weight in enumerate(RULES.values()) if weight < 0]
_BROKEN = -0.6  # the weighted amount from which on a rule counts as broken
_WORSE = 0.6  # by how much less a twin's items agree

Pools = Mapping[GarmentCategory | None, Sequence[Item]]
Slots = tuple[GarmentCategory, ...]
# Shares of outfits by what they begin with; further items are drawn from _MORE.
_BODIES: Mapping[Slots, float] = {
    ("dress", "shoes"): 0.27, ("top", "bottom"): 0.1, ("top", "bottom", "shoes"): 0.33, ("bottom", "shoes"): 0.08,
    ("outerwear", "shoes"): 0.05, ("outerwear", "dress"): 0.04, ("outerwear", "top", "bottom"): 0.06,
    ("swimwear", "shoes"): 0.07,
}  # fmt: skip
_MORE: Mapping[GarmentCategory, float] = {
    "outerwear": 0.22, "bag": 0.22, "jewellery": 0.12, "accessory": 0.12, "headwear": 0.12, "eyewear": 0.05,
    "belt": 0.05, "hosiery": 0.05, "watch": 0.05,
}  # fmt: skip
_NEUTRAL, _COLOUR, _PATTERN, _MATERIAL, _OTHER_WORD = 0.5, 0.85, 0.25, 0.35, 0.3  # probabilities
_TITLES = 0.4  # share of items that are titles of a shop
_TRADITION = 0.12  # share of anchors with a tradition
_CANDIDATES = 32
_NOISE = 0.25
_TRIES = 200
_RARE = 0.3  # weight of a kind that no real item has, beside the root of a count


class Composer:
    """Draws items, outfits and twins; real ``items`` tell how often each kind is worn, and ``titles`` are a shop's, of
    which a share of the items are made.
    """

    def __init__(self, model: Model, items: Iterable[Item], titles: Sequence[str], size: int, seed: int) -> None:
        self._model = model
        self._rng = np.random.default_rng([seed, 7])
        counts = Counter(item.facts["kind"][0].values[0] for item in items if "kind" in item.facts)
        self.facts: dict[str, FactSets | None] = {}
        self.by_category: dict[GarmentCategory | None, list[Item]] = defaultdict(list)
        self.traditional: list[Item] = []
        drawn = [titles[n] for n in self._rng.permutation(len(titles))[: int(_TITLES * size)]]
        for item in (*self._named(drawn), *self._of_kinds(counts, size - len(drawn))):
            self.by_category[item.category].append(item)
            self.facts[item.id] = FactSets.of(item.facts)
            if "tradition" in item.facts:
                self.traditional.append(item)

    def _named(self, titles: Iterable[str]) -> Iterator[Item]:
        for title in titles:
            try:
                item = self._model.item_of_words(title)
            except DataError:  # words that name nothing worn
                continue
            if item.category is not None:
                yield item

    def _of_kinds(self, counts: Mapping[str, int], size: int) -> Iterator[Item]:
        kinds = [kind for kind in default_lexicon().kinds.values() if kind.category is not None]
        by_category: dict[GarmentCategory, list[Kind]] = defaultdict(list)
        for kind in kinds:
            if kind.category is not None:
                by_category[kind.category].append(kind)
        shares = {"shoes": 0.2, "top": 0.2, "bottom": 0.15, "dress": 0.15, "outerwear": 0.12}
        for category, rows in by_category.items():
            weights = np.array([sqrt(counts[kind.name]) + _RARE * (0.3 if kind.tradition else 1) for kind in rows])
            count = int(shares.get(category, 0.04) * size)
            for place in self._rng.choice(len(rows), size=count, p=weights / weights.sum()):
                yield from (item for item in self._named([self._words(rows[place])]) if item.category == category)

    def _words(self, kind: Kind) -> str:
        tables, rng = style_tables(), self._rng
        name = kind.name
        if kind.words and rng.random() < _OTHER_WORD:
            name = kind.words[int(rng.integers(min(len(kind.words), 3)))]
        words = []
        if rng.random() < _COLOUR:
            colours = [row for row in tables.colours.values() if row.is_neutral == (rng.random() < _NEUTRAL)]
            words.append(colours[int(rng.integers(len(colours)))].name)
        if rng.random() < _PATTERN:
            patterns = [row for row in tables.patterns.values() if row.boldness]
            words.append(patterns[int(rng.integers(len(patterns)))].name)
        elif kind.materials and rng.random() < _MATERIAL:
            words.append(kind.materials[int(rng.integers(len(kind.materials)))])
        return " ".join([*words, name])

    def outfit(self) -> list[Item] | None:
        """An outfit whose items agree; None if a draw came to nothing."""
        rng = self._rng
        bodies = list(_BODIES)
        slots = list(bodies[rng.choice(len(bodies), p=np.array(list(_BODIES.values())) / sum(_BODIES.values()))])
        more = list(_MORE)
        count = int(rng.choice(4, p=[0.3, 0.35, 0.2, 0.15]))
        slots += [more[n] for n in rng.choice(len(more), size=count, replace=False, p=_shares(_MORE))]
        slots = list(dict.fromkeys(slots))
        order = [slots[n] for n in rng.permutation(len(slots))]
        outfit: list[Item] = []
        if rng.random() < _TRADITION:
            anchor = self.traditional[int(rng.integers(len(self.traditional)))]
            assert anchor.category is not None
            outfit, order = [anchor], [slot for slot in order if slot != anchor.category]
        for slot in order:
            pool = self.by_category[slot]
            drawn = [pool[n] for n in rng.integers(len(pool), size=_CANDIDATES if outfit else 1)]
            scores = [self.agreement([*outfit, item], len(outfit)) for item in drawn]
            best = int(np.argmax(np.array(scores) + rng.gumbel(scale=_NOISE, size=len(scores))))
            outfit.append(drawn[best])
        broken = any(len(self.broken(pair)) for pair in combinations(outfit, 2))
        return None if broken or len(outfit) < 2 else [outfit[n] for n in rng.permutation(len(outfit))]

    def agreement(self, outfit: Sequence[Item], place: int) -> float:
        """Weighted amounts of all rules between the item at a place and the others, by their number's root."""
        rows = [amounts_of(self._of(outfit[place]), self._of(item)) for n, item in enumerate(outfit) if n != place]
        return float((np.array(rows) @ _WEIGHTS).sum() / sqrt(len(rows))) if rows else 0.0

    def broken(self, pair: Sequence[Item]) -> list[int]:
        """Places in ``RULES`` of what two items break."""
        amounts = np.array(amounts_of(self._of(pair[0]), self._of(pair[1]))) * _WEIGHTS
        return [place for place in _AGAINST if amounts[place] <= _BROKEN]

    def _of(self, item: Item) -> FactSets | None:
        if item.id not in self.facts:
            self.facts[item.id] = FactSets.of(item.facts)
        return self.facts[item.id]

    def twin(self, outfit: Sequence[Item], pools: Pools) -> list[Item] | None:
        """The outfit with one item replaced by one of its category that breaks a rule; None if none was drawn."""
        rng = self._rng
        place = int(rng.integers(len(outfit)))
        own, others = outfit[place], [item for n, item in enumerate(outfit) if n != place]
        before = self.agreement(outfit, place)
        kept = {rule for item in others for rule in self.broken((own, item))}
        pool = pools.get(own.category, ())
        by_rule: dict[int, list[Item]] = defaultdict(list)
        for n in rng.integers(len(pool), size=_TRIES) if pool else ():
            item = pool[n]
            if any(item.id == one.id or item.title == one.title for one in outfit):
                continue
            rules = {rule for one in others for rule in self.broken((item, one))} - kept
            if rules and self.agreement([*others, item], len(others)) <= before - _WORSE:
                for rule in rules:
                    by_rule[rule].append(item)
        if not by_rule:
            return None
        rules_found = sorted(by_rule)
        drawn = by_rule[rules_found[int(rng.integers(len(rules_found)))]]
        changed = [*others, drawn[int(rng.integers(len(drawn)))]]
        return [changed[n] for n in rng.permutation(len(changed))]


def _shares(weights: Mapping[GarmentCategory, float]) -> NDArray[np.float64]:
    values = np.array(list(weights.values()), dtype=np.float64)
    return np.asarray(values / values.sum())
