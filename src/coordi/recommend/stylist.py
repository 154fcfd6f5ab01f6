"""Completes outfits, scores them and builds looks, from a catalogue and a scorer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from coordi.config import RecommendSettings
from coordi.encoders.labels import Vocabulary
from coordi.errors import RecommendationError
from coordi.recommend.answers import (
    Completion,
    Judge,
    LeftOut,
    Look,
    Looks,
    OutfitScore,
    Scorers,
    Suggestion,
    scorer_of,
)
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.reasons import EncodeTexts, Reasoner
from coordi.recommend.rules import (
    COMPLETION_ORDER,
    Rules,
    category_conflict,
    check_colours,
    lacking_categories,
    missing_categories,
    outfit_warnings,
    parse_rules,
)
from coordi.types import GENDERS, GarmentCategory, Item

SAME_PHOTO = 0.99
"""Cosine from which two photos are one: saved again as JPEG a photo keeps 0.993 or more, and among 1,500 product
photos no pair lay between 0.985 and 0.998 (dev/LOG.md). A photo that was resized can look further away."""


def title_key(item: Item) -> str:
    """The title as twins share it, whatever its case and spaces; empty if there is none."""
    return " ".join(item.title.casefold().split())


def drop_duplicates(items: Sequence[Item], of: Sequence[Item]) -> list[Item]:
    """The items without twins of others, and of each group of twins the first with a photo, in their order.

    Twins are one thing: the same id, or the same title or photo within a category. A photo of a whole outfit may stand
    for its shirt and its trousers.

    Args:
        items: In any order.
        of: Whose twins are left out too.
    """
    everything = (*of, *items)
    photos = _photos(everything)  # (N, D)
    is_same_photo = photos @ photos.T >= SAME_PHOTO
    first_with: dict[tuple[str | None, str], int] = {}
    kept: dict[int, None] = {}
    for place, item in enumerate(everything):
        key = (item.category, title_key(item)) if title_key(item) else ("", item.id)
        same = (
            int(other)
            for other in np.flatnonzero(is_same_photo[place, :place])
            if everything[other].category == item.category
        )
        twin = first_with.get(key, next((other for other in same if other in kept), None))
        if twin is None or place < len(of):
            first_with.setdefault(key, place)
            kept[place] = None
        elif twin >= len(of) and everything[twin].image is None and item.image is not None:
            kept = {place if other == twin else other: None for other in kept}
            first_with[key] = place
    names = {item.id for item in of}
    return [everything[place] for place in kept if place >= len(of) and everything[place].id not in names]


def _photos(items: Sequence[Item]) -> NDArray[np.float32]:
    known = [item.photo_embedding for item in items if item.photo_embedding is not None]
    none = np.zeros(len(known[0]) if known else 1, dtype=np.float32)
    return np.stack([none if item.photo_embedding is None else item.photo_embedding for item in items] or [none])


def photo_cosine(one: Item, other: Item) -> float:
    """Cosine of two items' photos in ``[-1, 1]``; 0 where one has none."""
    if one.photo_embedding is None or other.photo_embedding is None:
        return 0.0
    return float(one.photo_embedding @ other.photo_embedding)


def photo_similarity(item: Item, outfit: Sequence[Item]) -> float:
    """Mean cosine of an item's photo to those of an outfit; it orders items that are told alike."""
    return float(np.mean([photo_cosine(item, other) for other in outfit])) if outfit else 0.0


def similarity(one: Item, other: Item) -> float:
    """How alike two items are to a shopper, in ``[0, 1]``: 0 across categories, else of what is said and seen."""
    if one.category != other.category:
        return 0.0
    told = max(0.0, float(one.text_embedding @ other.text_embedding))
    if one.photo_embedding is None or other.photo_embedding is None:
        return told
    return (told + max(0.0, photo_cosine(one, other))) / 2


Ranked = tuple[Item, float]


def diversified(ranked: Sequence[Ranked], count: int, weight: float) -> list[Ranked]:
    """Choose items by maximal marginal relevance: a good score, less how alike an item is to those chosen before it.

    Args:
        ranked: Items with their scores, best first.
        count: How many to choose at most.
        weight: Of alikeness, in units of the score; 0 keeps the order as it is.

    Returns:
        In the order in which they were chosen; of equal ones the earlier of ``ranked`` comes first.

    References:
        Carbonell and Goldstein, The Use of MMR, Diversity-Based Reranking for Reordering Documents, 1998.
    """
    left = list(ranked)
    nearest = [0.0] * len(left)
    found: list[Ranked] = []
    while left and len(found) < count:
        best = max(range(len(left)), key=lambda place: (left[place][1] - weight * nearest[place], -place))
        taken = left.pop(best)
        nearest.pop(best)
        found.append(taken)
        nearest = [max(near, similarity(item, taken[0])) for near, (item, _) in zip(nearest, left, strict=True)]
    return found


_DEEPER = 4
_DEPTH = 64

Scored = tuple[Item, float]


@dataclass(frozen=True, slots=True)
class WantedCategories:
    """Which categories to look for.

    Attributes:
        categories: In the order people look for them.
        why_not: Of wanted categories that can't join, why.
    """

    categories: tuple[GarmentCategory, ...]
    why_not: dict[GarmentCategory, str]


def wanted_categories(worn: Collection[GarmentCategory | None], rules: Rules) -> WantedCategories:
    """The wanted categories that may join an outfit, or else those that it lacks."""
    if not rules.want:
        lacking = missing_categories(worn)
        return WantedCategories(tuple(one for one in lacking if one not in rules.unwanted), {})
    reasons = {category: category_conflict(category, worn) for category in dict.fromkeys(rules.want)}
    fitting = tuple(category for category, reason in reasons.items() if reason is None)
    return WantedCategories(fitting, {category: reason for category, reason in reasons.items() if reason is not None})


@dataclass(frozen=True, slots=True)
class CandidateSearch:
    """Finds candidates in a catalogue.

    Attributes:
        index: Where they are.
        scorers: ``quick`` ranks them.
    """

    index: Catalogue
    scorers: Scorers

    def there(
        self, outfit: Sequence[Item], rules: Rules, categories: Sequence[GarmentCategory], most: int
    ) -> dict[GarmentCategory, int]:
        """How many items the rules allow beside the outfit, twins among them, of the first categories that have any."""
        found: dict[GarmentCategory, int] = {}
        for category in categories:
            number = self.index.count(_beside(outfit, rules), category) if len(found) < most else 0
            if number:
                found[category] = number
        return found

    def find(self, outfit: Sequence[Item], rules: Rules, category: GarmentCategory, most: int) -> list[Scored]:
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
        near = self.index.nearest(self.scorers.direction(outfit), "text", depth, _beside(outfit, rules), category)
        items = drop_duplicates([item for item, _ in near], outfit)
        scores = self.scorers.quick.score([(*outfit, item) for item in items]).tolist()
        return ranked_order(zip(items, scores, strict=True), outfit)[:most]


def ranked_order(scored: Iterable[Scored], outfit: Sequence[Item]) -> list[Scored]:
    """Best first; equal scores by likeness of photos, then title and kind."""

    def rank(one: Scored) -> tuple[float, float, str, str]:
        item, score = one
        return -score, -photo_similarity(item, outfit), title_key(item), item.subcategory

    return sorted(scored, key=rank)


def check_catalogue(index: Catalogue | None) -> Catalogue:
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


def _beside(outfit: Sequence[Item], rules: Rules) -> Rules:
    """The rules for one category at a time, the outfit's own items excluded."""
    excluded = (*rules.excluded, *(item.id for item in outfit))
    return rules.model_copy(update={"want": (), "unwanted": (), "excluded": excluded})


WIDTH = 8
"""Outfits kept after each category, and items tried for each of them."""
_MOST_USES = 2
_BODY: tuple[tuple[GarmentCategory, ...], ...] = (("top", "bottom"), ("dress",))
_WITH_IT: tuple[GarmentCategory, ...] = ("shoes", "bag")

Items = tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class LookBuilder:
    """Builds outfits by what needs no language model; who judges them in the end is the caller's choice.

    Attributes:
        finder: Finds what goes with what there is.
    """

    finder: CandidateSearch

    def build(self, begun: Items, rules: Rules) -> list[Items]:
        """Outfits that begin with the given items.

        A body (a top and a bottom, or a dress) comes first, then shoes and a bag, then what is wanted beside them. A
        category that the catalogue lacks, or that the rules leave nothing of, is left out.

        Args:
            begun: The item to build around, and pinned ones.
            rules: What is allowed; their wanted categories are part of every look that can have them.

        Returns:
            Outfits with more items than there were at the beginning, in no order; none if nothing goes with them.
        """
        found: dict[frozenset[str], Items] = {}
        for body in _bodies(begun, rules):
            for outfit in self._beam(begun, rules, body):
                if len(outfit) > len(begun):
                    found.setdefault(frozenset(item.id for item in outfit), outfit)
        return list(found.values())

    def _beam(self, begun: Items, rules: Rules, categories: Sequence[GarmentCategory]) -> list[Items]:
        beam: list[Items] = [begun]
        for category in categories:
            longer = [
                ((*outfit, item), score)
                for outfit in beam
                if category_conflict(category, {item.category for item in outfit}) is None
                for item, score in self.finder.find(outfit, rules, category, WIDTH)
            ]
            if longer:
                beam = [outfit for outfit, _ in _varied(longer, begun)]
        return beam


def _bodies(begun: Items, rules: Rules) -> list[tuple[GarmentCategory, ...]]:
    worn = {item.category for item in begun}
    wanted = [one for one in COMPLETION_ORDER if one in rules.want]
    plans = []
    for body in _BODY:
        plan = [one for one in (*body, *_WITH_IT, *wanted) if one not in worn and one not in rules.unwanted]
        lacking = [one for one in body if one not in worn]
        if all(category_conflict(one, worn) is None for one in lacking):
            plans.append(tuple(dict.fromkeys(plan)))
    return plans or [tuple(one for one in (*_WITH_IT, *wanted) if one not in worn and one not in rules.unwanted)]


def _varied(longer: Sequence[tuple[Items, float]], begun: Items) -> list[tuple[Items, float]]:
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


def distinct_looks(looks: Sequence[tuple[Items, float]], begun: Items, count: int) -> list[tuple[Items, float]]:
    """The best looks of which no two share more than half of what isn't in all of them.

    Args:
        looks: Best first.
        begun: What all looks have.
        count: How many at most.
    """
    always = {item.id for item in begun}
    kept: list[tuple[Items, float]] = []
    for outfit, score in looks:
        own = {item.id for item in outfit} - always
        shares = [len(own & {item.id for item in other}) for other, _ in kept]
        if all(2 * share <= len(own) for share in shares):
            kept.append((outfit, score))
        if len(kept) == count:
            break
    return kept


def worn_order(outfit: Items, begun: int) -> Items:
    """What there was at the beginning, then the rest in the order people look for things."""
    return (*outfit[:begun], *sorted(outfit[begun:], key=lambda item: COMPLETION_ORDER.index(item.category)))


def best_first(scored: Sequence[tuple[Items, float]], rules: Rules) -> list[tuple[Items, float]]:
    """Looks that lack nothing before others, then by score; equal ones by what is said of them, never by ids."""
    return sorted(scored, key=lambda one: (len(missing_from(one[0], rules)), -one[1], [item.text for item in one[0]]))


def missing_from(outfit: Items, rules: Rules) -> tuple[GarmentCategory, ...]:
    """What a whole outfit needs and this one hasn't, but for what the rules don't want."""
    needed = lacking_categories({item.category for item in outfit})
    return tuple(category for category in needed if category not in rules.unwanted)


# Without a wanted category the model ranks candidates of so many missing ones, so that each gets enough of them.
CATEGORIES_AT_ONCE = 4

Outfit = tuple[Item, ...]


class Stylist:
    """Scores and completes outfits. Safe to call from several threads.

    Attributes:
        catalogue: Its items are suggested; without one, outfits can be scored and nothing else.
        scorers: Of the model, adapted to the catalogue.
        settings: How many candidates the language model ranks, and how much similarity counts against a suggestion.
        vocabulary: Its labels are in the reasons.
    """

    def __init__(
        self,
        catalogue: Catalogue | None,
        scorers: Scorers,
        settings: RecommendSettings,
        vocabulary: Vocabulary,
        encode_texts: EncodeTexts,
    ) -> None:
        """Adapt the scorers to the catalogue.

        Args:
            catalogue: See above.
            scorers: Of the model.
            settings: See above.
            vocabulary: See above.
            encode_texts: The bundled text encoder, for texts without a label.
        """
        self.catalogue = catalogue
        self.scorers = scorers if catalogue is None else scorers.for_catalogue(catalogue.group_sums)
        self.settings = settings
        self.vocabulary = vocabulary
        self._reasoner = Reasoner(self.scorers, vocabulary, encode_texts)

    def score(self, items: Sequence[Item], *, language_model: bool = True) -> OutfitScore:
        """How well items go together, and which one fits least.

        Args:
            items: Two or more.
            language_model: False judges without it, sooner.

        Raises:
            RecommendationError: If there are fewer than two.
        """
        outfit = tuple(items)
        if len(outfit) < 2:
            raise RecommendationError(f"scoring needs 2 items or more, got {len(outfit)}; add what should go with it")
        shortened = [outfit[:place] + outfit[place + 1 :] for place in range(len(outfit))] if len(outfit) > 2 else []
        # Asked as suggestions and looks are, in the order given, so that an outfit has one score wherever it is shown.
        whole, *rest = self._score([outfit, *shortened], language_model)
        weakest = max(range(len(rest)), key=rest.__getitem__) if rest and max(rest) > whole else None
        without = tuple(rest) if rest else (None,) * len(outfit)
        told = outfit_warnings([item.category for item in outfit])
        return OutfitScore(outfit, whole, without, weakest, told, judge(language_model))

    def complete(
        self,
        outfit: Sequence[Item],
        want: GarmentCategory | None = None,
        k: int = 5,
        rules: Rules | None = None,
        *,
        language_model: bool = True,
        reasons: bool = True,
    ) -> Completion:
        """Find items that complete an outfit.

        Candidates are the items that the rules allow in the wanted category, or in up to four that the outfit lacks.
        The nearest by what is said of them are scored without the language model, the best of those by it, and what is
        shown is diversified. An item of the outfit or a twin of one is never suggested, and nothing that clashes with
        what is there: no second pair of shoes, no dress over trousers. Where the rules name no gender, nothing is
        suggested that is known to be made for others than the outfit.

        Args:
            outfit: One item or more, of the catalogue or not.
            want: Only this category, beside those that the rules want.
            k: How many suggestions at most, pinned items not counted.
            rules: What may be suggested; None for anything.
            language_model: False leaves the ranking to what needs none, which is flagged.
            reasons: Ask what moved each score, which takes about as long again.

        Raises:
            RecommendationError: If there is no catalogue or it is empty, the outfit is empty, ``k`` is below 1, a
                pinned item is unknown or can't be worn with it, or a colour isn't the vocabulary's.
        """
        index = check_catalogue(self.catalogue)
        _check_count(k)
        if not outfit:
            raise RecommendationError("the outfit is empty: name at least 1 item to complete")
        rules = rules or Rules()
        check_colours(rules, self.vocabulary)
        if want is not None:
            rules = parse_rules({**rules.model_dump(), "want": tuple(dict.fromkeys((want, *rules.want)))})
        pinned = self._pinned(index, outfit, rules)
        whole: Outfit = (*outfit, *pinned)
        rules = _for_the_same_people(whole, rules)
        looked_for = wanted_categories({item.category for item in whole}, rules)
        finder = CandidateSearch(index, self.scorers)
        chosen = finder.there(whole, rules, looked_for.categories, len(rules.want) or CATEGORIES_AT_ONCE)
        ranked = self._ranked(finder, whole, rules, tuple(chosen), k, language_model=language_model)
        shown = self._take_turns(ranked, k)
        suggestions = self._told(whole, pinned, shown, language_model=language_model, reasons=reasons)
        left_out = () if len(shown) >= k else _left_out(index, rules, looked_for.categories)
        return Completion(
            outfit=tuple(outfit),
            categories=tuple(chosen) or looked_for.categories,
            suggestions=suggestions,
            candidates=sum(chosen.values()),
            ranked=sum(map(len, ranked)),
            judge=judge(language_model),
            left_out=left_out,
            nothing="" if shown else _why_nothing(index, looked_for, left_out),
        )

    def outfits(self, around: Item, k: int = 3, rules: Rules | None = None, *, language_model: bool = True) -> Looks:
        """Build whole looks around an item.

        Args:
            around: Of the catalogue or not.
            k: How many looks at most; no two share more than half of what was added.
            rules: What may be added; None for anything.
            language_model: False leaves the judgement to what needs none, which is flagged.

        Raises:
            RecommendationError: If there is no catalogue or it is empty, ``k`` is below 1, or a pinned item is unknown
                or can't be worn with the item.
        """
        index = check_catalogue(self.catalogue)
        _check_count(k)
        rules = rules or Rules()
        check_colours(rules, self.vocabulary)
        begun: Outfit = (around, *self._pinned(index, (around,), rules))
        rules = _for_the_same_people(begun, rules)
        built = LookBuilder(CandidateSearch(index, self.scorers)).build(begun, rules)
        if not built:
            looked_for = wanted_categories({item.category for item in begun}, rules.model_copy(update={"want": ()}))
            left_out = _left_out(index, rules, looked_for.categories)
            return Looks((), judge(language_model), left_out, f"no look: {_why_nothing(index, looked_for, left_out)}")
        ordered = [worn_order(outfit, len(begun)) for outfit in built]
        scores = self._score(ordered, language_model)
        best = distinct_looks(best_first(list(zip(ordered, scores, strict=True)), rules), begun, k)
        why = self._reasoner.of_looks(best, language_model=language_model)
        looks = tuple(
            Look(outfit, score, reason, missing_from(outfit, rules))
            for (outfit, score), reason in zip(best, why, strict=True)
        )
        missing = dict.fromkeys(category for look in looks for category in look.lacks)
        return Looks(looks, judge(language_model), _left_out(index, rules, tuple(missing)))

    def _score(self, outfits: Sequence[Outfit], language_model: bool = True) -> list[float]:
        scores: list[float] = scorer_of(self.scorers, language_model=language_model).score(outfits).tolist()
        return scores

    def _pinned(self, index: Catalogue, outfit: Sequence[Item], rules: Rules) -> list[Item]:
        """The pinned items that aren't in the outfit already."""
        names = {item.id for item in outfit}
        asked = [name for name in dict.fromkeys(rules.pinned) if name not in names]
        known = index.get(asked)
        worn = {item.category for item in outfit}
        for name in asked:
            if name not in known:
                raise RecommendationError(
                    f"no item '{name}' to pin: accepted are the ids of the catalogue's {len(index)} items"
                )
            reason = category_conflict(known[name].category, worn)
            if reason:
                raise RecommendationError(f"the item '{name}' can't be pinned: {reason}; unpin it or take that off")
            worn.add(known[name].category)
        return [known[name] for name in asked]

    def _ranked(
        self,
        finder: CandidateSearch,
        outfit: Outfit,
        rules: Rules,
        categories: Sequence[GarmentCategory],
        k: int,
        *,
        language_model: bool,
    ) -> list[list[Scored]]:
        """Candidates of each category, best first."""
        if not categories:
            return []
        room = max(1, max(self.settings.candidates, CATEGORIES_AT_ONCE * k) // len(categories))
        found = [finder.find(outfit, rules, category, room) for category in categories]
        if not language_model:
            return found
        asked = [(*outfit, item) for part in found for item, _ in part]
        scores = iter(self._score(asked))  # all categories in one call
        return [ranked_order([(item, next(scores)) for item, _ in part], outfit) for part in found]

    def _take_turns(self, ranked: Sequence[Sequence[Scored]], k: int) -> list[Scored]:
        """The best of each category before the second best of any, each category's own diversified."""
        varied = [diversified(part, k, self.settings.diversity) for part in ranked]
        rounds = [[one for one in turn if one is not None] for turn in zip_longest(*varied)]
        return [one for turn in rounds for one in ranked_order(turn, ())][:k]

    def _told(
        self,
        outfit: Outfit,
        pinned: Sequence[Item],
        shown: Sequence[Scored],
        *,
        language_model: bool,
        reasons: bool,
    ) -> tuple[Suggestion, ...]:
        """Pinned items with the score of all there is, then what was found."""
        first: list[Suggestion] = []
        if pinned:
            (score,) = self._score([outfit], language_model)
            whole = [(outfit, score)] if reasons and len(outfit) > 2 else []
            told = self._reasoner.of_looks(whole, language_model=language_model)
            first = [Suggestion(item, score, is_pinned=True, reason=told[0] if told else None) for item in pinned]
        if not reasons:
            return (*first, *(Suggestion(item, score) for item, score in shown))
        why = self._reasoner.of_suggestions(outfit, shown, language_model=language_model)
        return (*first, *(Suggestion(item, score, reason=one) for (item, score), one in zip(shown, why, strict=True)))


def judge(language_model: bool) -> Judge:
    """What an answer calls who judged."""
    return "language-model" if language_model else "without-language-model"


def _check_count(k: int) -> None:
    if k < 1:
        raise RecommendationError(f"k is {k}, and at least 1 must be asked for")


def _for_the_same_people(outfit: Outfit, rules: Rules) -> Rules:
    """Where the rules don't say for whom, nothing that is known to be made for others than all of the outfit is."""
    made_for = {item.gender for item in outfit if item.gender not in (None, "unisex")}
    if rules.gender is not None or rules.unwanted_genders or not made_for:
        return rules
    others = tuple(one for one in GENDERS if one != "unisex" and one not in made_for)
    return rules.model_copy(update={"unwanted_genders": others})


def _left_out(index: Catalogue, rules: Rules, categories: Sequence[GarmentCategory]) -> tuple[LeftOut, ...]:
    """What the rules left out of these categories, added up."""
    asked = rules.model_copy(update={"want": (), "unwanted": ()})
    counted: dict[tuple[str, str], tuple[int, int]] = {}
    for category in categories:
        for row in index.left_out(asked, category):
            count, left = counted.get((row.name, row.rule), (0, 0))
            counted[row.name, row.rule] = (count + row.count, left + row.left)
    return tuple(LeftOut(*rule, *counts) for rule, counts in counted.items())


def _why_nothing(index: Catalogue, looked_for: WantedCategories, left_out: Sequence[LeftOut]) -> str:
    if looked_for.why_not and not looked_for.categories:
        reasons = "; ".join(f"no {category}: {reason}" for category, reason in looked_for.why_not.items())
        return f"nothing fits: {reasons}; want something else or take it off"
    if not looked_for.categories:
        return "nothing fits: the outfit has all that these rules leave to look for; want a category by its name"
    names = ", ".join(looked_for.categories)
    if left_out:
        rules = "; ".join(f"'{row.rule}' leaves out {row.count}, {row.left} left" for row in left_out)
        return f"nothing of {names} fits: {rules}; loosen a rule"
    there = ", ".join(sorted(name for name, count in index.facets().categories.items() if count)) or "nothing"
    return f"nothing of {names} is in the catalogue beside the outfit and its twins; it has {there}"
