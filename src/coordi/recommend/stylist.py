"""Scores and completes outfits, and builds looks, from a catalogue and a scorer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from coordi.config import RecommendSettings
from coordi.encoders.base import EDGE
from coordi.encoders.labels import Vocabulary
from coordi.errors import RecommendationError
from coordi.model.generation import NameRequest, Written
from coordi.recommend.answers import (
    Completion,
    Generated,
    LeftOut,
    Look,
    Looks,
    OutfitScore,
    Scorers,
    Suggestion,
    judge,
    scorer_of,
)
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.generated import note_on, words_of_name
from coordi.recommend.reasons import EncodeTexts, Items, Reasoner, remarks_on, scores_of, understood, without_each
from coordi.recommend.rules import (
    ALSO_FOR,
    COMPLETION_ORDER,
    Rules,
    addable_categories,
    category_conflict,
    check_colours,
    outfit_warnings,
    parse_rules,
    places_of,
    required_categories,
)
from coordi.style.agreement import FactSets, are_far_apart, misses_dress_code
from coordi.style.occasions import Brief
from coordi.style.wishes import FEATURES, SOMETHING, UNWANTED
from coordi.types import GENDERS, OF_CHILDREN, GarmentCategory, Gender, Item

SAME_PHOTO = 0.99
"""Cosine from which two photos count as the same: a photo that is saved again as JPEG keeps 0.993 or more, and among
1,500 product photos no pair lay between 0.985 and 0.998 (dev/LOG.md). A resized photo can be further away."""
BEAM_WIDTH = 8
"""Looks that are continued after each category, and items that are tried for each of them."""
# Without a wanted category, the model ranks candidates of so many categories, so that each has enough candidates.
MAX_CATEGORIES = 4
_MIN_SEARCH_DEPTH = 64
# The nearest texts aren't always the best items: rules of facts count too. See dev/LOG.md for recall by depth.
_DEPTH_FACTOR = 8
_DEEPER, _MAX_SEARCH_DEPTH = 4, 4096
_NAMED_DEPTH = 256  # items nearest to what the language model named
_NOT_FAR = "for the outfit's season and dress code"
_MAX_USES = 2
_BODIES: tuple[tuple[GarmentCategory, ...], ...] = (("top", "bottom"), ("dress",))
_ADDITIONS: tuple[GarmentCategory, ...] = ("shoes", "bag")
_OF_WISHES = ("occasion", "weather", FEATURES, UNWANTED, SOMETHING)
_SEED_CATEGORIES: tuple[GarmentCategory, ...] = ("top", "dress", "bottom", "outerwear", "shoes", "bag")
_SEEDS, _SEEDS_TRIED = 8, 32  # items that looks of a wish begin with, and of each category those that are tried
_SEED_WIDTH = 3  # looks that are left of each
_SHORTLISTED = 3  # items that the encoder recommends beside what the language model names

Scored = tuple[Item, float]
ScoredLook = tuple[Items, float]


class Stylist:
    """Scores and completes outfits; safe for several threads. Without a catalogue, it scores and does nothing else."""

    def __init__(
        self,
        catalogue: Catalogue | None,
        scorers: Scorers,
        settings: RecommendSettings,
        vocabulary: Vocabulary,
        encode_texts: EncodeTexts,
    ) -> None:
        """Adapt the scorers to the catalogue; ``encode_texts`` is the bundled text encoder's."""
        self.catalogue = catalogue
        self.scorers = scorers if catalogue is None else scorers.for_catalogue(catalogue.group_sums)
        self.settings = settings
        self.vocabulary = vocabulary
        self._encode_texts = encode_texts

    def score(self, items: Sequence[Item], *, language_model: bool = True) -> OutfitScore:
        """Score how well two or more items go together, and find the one that fits least."""
        outfit = tuple(items)
        if len(outfit) < 2:
            raise RecommendationError(f"scoring needs 2 items or more, got {len(outfit)}; add what should go with it")
        smaller = without_each(outfit) if len(outfit) > 2 else []
        # The order is that of suggestions and looks, so that an outfit has the same score in all of them.
        score, *without = scores_of(scorer_of(self.scorers, language_model), [outfit, *smaller])
        weakest = max(range(len(without)), key=without.__getitem__) if without and max(without) > score else None
        warnings = outfit_warnings([item.category for item in outfit])
        scores_without = tuple(without) or (None,) * len(outfit)
        judged = judge(language_model)
        return OutfitScore(outfit, score, scores_without, weakest, warnings, judged, remarks_on(outfit))

    def complete(  # noqa: PLR0913 - a caller names what it needs
        self,
        outfit: Sequence[Item],
        want: GarmentCategory | None = None,
        k: int = 5,
        rules: Rules | None = None,
        *,
        language_model: bool = True,
        reasons: bool = True,
        generate: bool = False,
    ) -> Completion:
        """Find items that complete an outfit; ``want`` is added to the categories of the rules.

        Candidates are the items that the rules allow in the wanted categories, or in up to four categories that can be
        added. Those whose texts are nearest to the outfit are scored without the language model, and the best of these
        with it; the result is diversified. Duplicates of the outfit's items are left out, and so is what can't be worn
        with it: a second pair of shoes, a dress over trousers. If the rules name no gender, items for other people than
        the outfit's are left out.

        With ``generate`` the language model names in words what would complete the outfit, and of each category the
        items whose texts are nearest to the words are suggested, nearest first; a ``ModelError`` if it can't write.
        """
        if not outfit:
            raise RecommendationError("the outfit is empty: name at least 1 item to complete")
        if generate and not language_model:
            raise RecommendationError("only the language model names items, and it is left out; leave out one of both")
        catalogue, start, rules = self._start(tuple(outfit), k, _with_want(want, rules))
        categories, conflicts = wanted_categories(places_of(start), rules)
        finder = CandidateSearch(catalogue, self.scorers)
        counts = finder.count(start, rules, categories, len(rules.want) or MAX_CATEGORIES)
        generated: tuple[Generated, ...] = ()
        if generate:
            generated, best = self._named(finder, start, rules, tuple(counts), k)
            ranked = len(best)
        else:
            best, ranked = self._best(finder, start, rules, tuple(counts), k, language_model)
        left_out = finder.left_out(start, rules, categories) if len(best) < k else finder.unsuited(rules, categories)
        return Completion(
            outfit=tuple(outfit),
            categories=tuple(counts) or categories,
            suggestions=self._suggestions(start, start[len(outfit) :], best, rules, language_model, reasons=reasons),
            candidates=sum(counts.values()),
            ranked=ranked,
            judge=judge(language_model),
            left_out=left_out,
            nothing="" if best else _why_nothing(catalogue, categories, conflicts, left_out),
            generated=generated,
            understood=understood(rules, start),
        )

    def _best(
        self, finder: CandidateSearch, start: Items, rules: Rules, categories: Sequence[GarmentCategory], k: int,
        language_model: bool,
    ) -> tuple[list[Scored], int]:  # fmt: skip
        """The best candidates, and the number of those that were ranked."""
        count = max(1, max(self.settings.candidates, MAX_CATEGORIES * k) // max(1, len(categories)))
        ranked = [finder.find(start, rules, category, count) for category in categories]
        if language_model and ranked:
            ranked = self._rank(ranked, start)
        # The best of each category before the second best of any, each category diversified.
        varied = [diversified(part, k, self.settings.diversity) for part in ranked]
        rounds = [[scored for scored in row if scored is not None] for row in zip_longest(*varied)]
        return [scored for row in rounds for scored in ranked_order(row, ())][:k], sum(map(len, ranked))

    def _named(
        self, finder: CandidateSearch, start: Items, rules: Rules, categories: Sequence[GarmentCategory], k: int
    ) -> tuple[tuple[Generated, ...], list[Scored]]:
        """What the language model names of each category, and the items that are nearest to it."""
        written = self.scorers.write([NameRequest(start, category) for category in categories])
        rows = [self._match(finder, start, rules, *row) for row in zip(categories, written, strict=True)]
        nearest = [item for row in zip_longest(*(items for _, items in rows)) for item in row if item is not None][:k]
        scores = scores_of(self.scorers.model, [(*start, item) for item in nearest])
        return tuple(generated for generated, _ in rows), list(zip(nearest, scores, strict=True))

    def _match(
        self, finder: CandidateSearch, start: Items, rules: Rules, category: GarmentCategory, written: Written
    ) -> tuple[Generated, list[Item]]:
        """What was named of a category, and the items whose texts are nearest to it."""
        named = words_of_name(written.text, category, written.recommended)
        vector = self._encode_texts([f"{category}: {named.words}".lower()])[0]
        items = finder.nearest_texts(start, rules, category, vector)
        shortlist = finder.nearest_photos(start, rules, category, written.query)
        note = note_on(named, category, items, self.vocabulary)
        generated = Generated(
            category, written.recommended, tuple(shortlist[:_SHORTLISTED]), written.prompt, written.text, named.words,
            note,
        )  # fmt: skip
        return generated, items

    def outfits(
        self, around: Item | None, k: int = 3, rules: Rules | None = None, *, language_model: bool = True
    ) -> Looks:
        """Build at most k looks around an item, of the catalogue or not, or without one; options and errors as
        ``complete``. Without an item looks begin with tops and dresses, or garments that are wished for, those that
        suit the occasion and the weather first.
        """
        catalogue, start, rules = self._start(() if around is None else (around,), k, rules)
        finder = CandidateSearch(catalogue, self.scorers)
        candidates = looks_of_wish(finder, start, rules)
        wish = understood(rules, () if around is None else (around,))
        categories, _ = wanted_categories(places_of(start), rules.model_copy(update={"want": ()}))
        if not candidates:
            left_out = finder.left_out(start, rules, categories) if start else _left_out(catalogue, rules, categories)
            nothing = f"no look: {_why_nothing(catalogue, categories, {}, left_out)}"
            return Looks((), judge(language_model), left_out, nothing, wish)
        scored = list(zip(candidates, scores_of(scorer_of(self.scorers, language_model), candidates), strict=True))
        # Looks that miss the fewest categories come first, then by score; ties by texts, so that ids decide nothing.
        scored.sort(key=lambda row: (len(missing_from(row[0], rules)), -row[1], [item.text for item in row[0]]))
        best = distinct_looks(scored, start, k)
        reasons = self._reasoner(language_model, rules).of_looks([look for look, _ in best])
        looks = tuple(
            Look(look, score, reason, missing_from(look, rules))
            for (look, score), reason in zip(best, reasons, strict=True)
        )
        missing = tuple(dict.fromkeys(category for look in looks for category in look.missing))
        left_out = (
            finder.left_out(start or best[0][0], rules, missing) if missing else finder.unsuited(rules, categories)
        )
        return Looks(looks, judge(language_model), left_out, understood=wish)

    def _start(self, outfit: Items, k: int, rules: Rules | None) -> tuple[Catalogue, Items, Rules]:
        """The catalogue, the outfit with the pinned items, and the rules for it, all checked."""
        catalogue = check_catalogue(self.catalogue)
        if k < 1:
            raise RecommendationError(f"k is {k}; accepted are numbers from 1")
        rules = rules or Rules()
        check_colours(rules, self.vocabulary)
        start = (*outfit, *_pinned(catalogue, outfit, rules))
        return catalogue, start, _same_people(start, rules)

    def _reasoner(self, language_model: bool, rules: Rules) -> Reasoner:
        scorer = self.scorers.explaining if language_model else self.scorers.quick
        return Reasoner(scorer, self.vocabulary, self._encode_texts, rules.brief)

    def _suggestions(
        self, outfit: Items, pinned: Sequence[Item], best: Sequence[Scored], rules: Rules, language_model: bool, *,
        reasons: bool,
    ) -> tuple[Suggestion, ...]:  # fmt: skip
        """Pinned items with the score of the outfit that contains them, then the best candidates."""
        reasoner = self._reasoner(language_model, rules)
        first: list[Suggestion] = []
        if pinned:
            (score,) = scores_of(scorer_of(self.scorers, language_model), [outfit])
            (reason,) = reasoner.of_looks([outfit]) if reasons and len(outfit) > 2 else (None,)
            first = [Suggestion(item, score, is_pinned=True, reason=reason) for item in pinned]
        explained = reasoner.of_suggestions(outfit, [item for item, _ in best]) if reasons else [None] * len(best)
        rows = zip(best, explained, strict=True)
        return (*first, *(Suggestion(item, score, reason=reason) for (item, score), reason in rows))

    def _rank(self, candidates: Sequence[Sequence[Scored]], outfit: Items) -> list[list[Scored]]:
        outfits = [(*outfit, item) for part in candidates for item, _ in part]
        scores = iter(scores_of(self.scorers.model, outfits))  # all categories in one call
        return [ranked_order([(item, next(scores)) for item, _ in part], outfit) for part in candidates]


def _with_want(want: GarmentCategory | None, rules: Rules | None) -> Rules | None:
    """The rules with a wanted category before theirs."""
    if want is None:
        return rules
    given = (rules or Rules()).model_dump()
    return parse_rules({**given, "want": tuple(dict.fromkeys((want, *given["want"])))})


def check_catalogue(catalogue: Catalogue | None) -> Catalogue:
    """Refuse a catalogue that is missing or empty with a ``RecommendationError``."""
    if catalogue is None:
        raise RecommendationError(
            "no catalogue is open, so there is nothing to suggest from; make one with: coordi catalogue build PHOTOS "
            "--out DIR, and open it with --catalogue DIR"
        )
    if not len(catalogue):
        raise RecommendationError(
            f"the catalogue '{catalogue.info.name}' is empty; nothing can be recommended until it has items: coordi "
            "catalogue add DIR SOURCE"
        )
    return catalogue


def _pinned(catalogue: Catalogue, outfit: Items, rules: Rules) -> list[Item]:
    ids = {item.id for item in outfit}
    pinned = [item_id for item_id in dict.fromkeys(rules.pinned) if item_id not in ids]
    items = catalogue.get(pinned)
    categories = places_of(outfit)
    for item_id in pinned:
        if item_id not in items:
            raise RecommendationError(
                f"no item '{item_id}' to pin: accepted are the ids of the catalogue's {len(catalogue)} items"
            )
        conflict = category_conflict(items[item_id].category, categories)
        if conflict:
            raise RecommendationError(f"the item '{item_id}' can't be pinned: {conflict}; unpin it or take that off")
        categories.add(items[item_id].category)
    return [items[item_id] for item_id in pinned]


def _same_people(outfit: Items, rules: Rules) -> Rules:
    """Rules without items for other people than the outfit's, unless the rules name a gender themselves.

    An outfit of which nothing is for children is an adult's.
    """
    if rules.gender is not None:
        return rules
    genders = {item.gender for item in outfit if item.gender is not None}
    named = genders - {"unisex", "children"}
    if named:
        wanted: Set[Gender] = {also for gender in named for also in ALSO_FOR[gender]}
    else:
        wanted = OF_CHILDREN if "children" in genders else set(GENDERS) - OF_CHILDREN
    others = tuple(gender for gender in GENDERS if gender not in wanted)
    if rules.unwanted_genders:  # the user says whose cut, and nothing of age
        ages = OF_CHILDREN if wanted & {"women", "men"} else set(GENDERS) - OF_CHILDREN
        others = (*rules.unwanted_genders, *(other for other in others if other in ages - set(rules.unwanted_genders)))
    return rules.model_copy(update={"unwanted_genders": others})


def title_key(item: Item) -> str:
    """The title for comparing, without case and extra spaces; empty if there is none."""
    return " ".join(item.title.casefold().split())


def drop_duplicates(items: Sequence[Item], of: Sequence[Item]) -> list[Item]:
    """The items without duplicates of others, or of ``of``; of duplicates the first with a photo stays, in its order.
    Duplicates have the same id, or the same title or photo within a category, since a photo may show a whole outfit.
    """
    candidates = (*of, *items)
    titles = np.array([title_key(item) or f"\0{position}" for position, item in enumerate(candidates)], dtype=str)
    categories = np.array([item.category or "" for item in candidates], dtype=str)
    ids = np.array([item.id for item in candidates], dtype=str)
    is_alike = (_photo_cosines(candidates, candidates) >= SAME_PHOTO) | (titles[:, None] == titles)
    is_duplicate = (is_alike & (categories[:, None] == categories)) | (ids[:, None] == ids)  # (N, N)
    chosen = list(range(len(of)))
    for position in range(len(of), len(candidates)):
        duplicates = np.flatnonzero(is_duplicate[position, chosen])
        first = int(duplicates[0]) if len(duplicates) else None
        if first is None:
            chosen.append(position)
        elif first >= len(of) and candidates[chosen[first]].image is None and candidates[position].image is not None:
            chosen[first] = position
    return [candidates[position] for position in chosen[len(of) :]]


def _photo_cosines(items: Sequence[Item], others: Sequence[Item]) -> NDArray[np.float32]:
    """Cosines of photos, shape ``(N, M)``; 0 where an item has none."""
    embeddings = [item.photo_embedding for item in (*items, *others)]
    zeros = np.zeros(next((len(vector) for vector in embeddings if vector is not None), 1), dtype=np.float32)
    matrix = np.stack([zeros, *(zeros if vector is None else vector for vector in embeddings)])[1:]
    return matrix[: len(items)] @ matrix[len(items) :].T


def similarity(item: Item, other: Item) -> float:
    """Similarity of texts and photos in ``[0, 1]``; 0 across categories."""
    if item.category != other.category:
        return 0.0
    of_texts = max(0.0, float(item.text_embedding @ other.text_embedding))
    if item.photo_embedding is None or other.photo_embedding is None:
        return of_texts
    return (of_texts + max(0.0, float(item.photo_embedding @ other.photo_embedding))) / 2


def diversified(ranked: Sequence[Scored], count: int, weight: float) -> list[Scored]:
    """Choose by maximal marginal relevance: the score minus the largest similarity to an item chosen before; ties as
    ranked. See Carbonell and Goldstein, The Use of MMR, Diversity-Based Reranking for Reordering Documents, 1998.
    """
    left = list(ranked)
    nearest = [0.0] * len(left)
    chosen: list[Scored] = []
    while left and len(chosen) < count:
        best = max(range(len(left)), key=lambda index: (left[index][1] - weight * nearest[index], -index))
        chosen.append(left.pop(best))
        nearest.pop(best)
        last = chosen[-1][0]
        nearest = [max(near, similarity(item, last)) for near, (item, _) in zip(nearest, left, strict=True)]
    return chosen


def ranked_order(scored: Iterable[Scored], outfit: Sequence[Item]) -> list[Scored]:
    """Best first; ties by similarity of photos, then title and kind, so that ids decide nothing."""

    def rank(row: Scored) -> tuple[float, float, str, str]:
        item, score = row
        similarity_of_photos = float(_photo_cosines([item], outfit).mean()) if outfit else 0.0
        return -score, -similarity_of_photos, title_key(item), item.subcategory

    return sorted(scored, key=rank)


def wanted_categories(
    present: Collection[GarmentCategory | None], rules: Rules
) -> tuple[tuple[GarmentCategory, ...], dict[GarmentCategory, str]]:
    """The wanted categories that can join an outfit, or else all that can be added; and why other wanted ones can't.
    What the weather asks for comes after what every outfit needs.
    """
    if not rules.want:
        allowed = [category for category in addable_categories(present) if category not in rules.unwanted]
        first = {*required_categories(present), *rules.brief.wants} if rules.brief.wants else set(allowed)
        return tuple(sorted(allowed, key=lambda category: category not in first)), {}
    reasons = {category: category_conflict(category, present) for category in dict.fromkeys(rules.want)}
    fitting = tuple(category for category, reason in reasons.items() if reason is None)
    return fitting, {category: reason for category, reason in reasons.items() if reason is not None}


@dataclass(frozen=True, slots=True)
class CandidateSearch:
    """Search for candidates in a catalogue, which ``scorers.quick`` ranks."""

    catalogue: Catalogue
    scorers: Scorers

    def count(
        self, outfit: Sequence[Item], rules: Rules, categories: Sequence[GarmentCategory], most: int
    ) -> dict[GarmentCategory, int]:
        """Number of allowed items, duplicates included, for the first ``most`` categories that have any."""
        counts: dict[GarmentCategory, int] = {}
        for category in categories:
            number = self.catalogue.count(_rules_for(outfit, rules), category) if len(counts) < most else 0
            counts |= {category: number} if number else {}
        return counts

    def find(self, outfit: Sequence[Item], rules: Rules, category: GarmentCategory, most: int) -> list[Scored]:
        """The best candidates of a category and P(yes) of the outfit with them, in ``ranked_order``; scored without the
        language model, of eight times as many, or 64, whose texts are nearest, and as many whose photos are. Wanted
        categories are ignored.

        What is far from the outfit's items is left out unless the rules allow it; if few are left, more are searched.
        """
        depth = max(_MIN_SEARCH_DEPTH, _DEPTH_FACTOR * most)
        while True:
            nearest = self._nearest(outfit, rules, category, depth)
            items = drop_duplicates(_without_far(nearest, outfit, rules), outfit)
            if len(items) >= most or len(nearest) < depth or depth >= _MAX_SEARCH_DEPTH:
                break
            depth *= _DEEPER
        scores = self.scorers.quick.score([(*outfit, item) for item in items]).tolist()
        return ranked_order(zip(items, scores, strict=True), outfit)[:most]

    def left_out(
        self, outfit: Sequence[Item], rules: Rules, categories: Sequence[GarmentCategory]
    ) -> tuple[LeftOut, ...]:
        """What the rules leave out of the categories, and then what is far from the outfit's items."""
        rows = [self._nearest(outfit, rules, category, _MAX_SEARCH_DEPTH) for category in categories]
        left = sum(len(_without_far(items, outfit, rules)) for items in rows)
        count = sum(map(len, rows)) - left
        far = (LeftOut("far_apart", _NOT_FAR, count, left),) if count else ()
        return (*_left_out(self.catalogue, rules, tuple(categories)), *far)

    def unsuited(self, rules: Rules, categories: Sequence[GarmentCategory]) -> tuple[LeftOut, ...]:
        """What the occasion and the weather leave out of the categories, of what the other rules leave."""
        if not rules.brief.guides:
            return ()
        rows = _left_out(self.catalogue, rules, tuple(categories))
        return tuple(row for row in rows if row.name in _OF_WISHES)

    def seeds(self, rules: Rules) -> list[Item]:
        """Items that looks of a wish begin with: of evenly spaced ones of each category those that suit most of it."""
        wanted = [category for category in rules.brief.wants if category in _SEED_CATEGORIES]
        categories = wanted or (COMPLETION_ORDER if rules.something else ("top", "dress"))
        best: list[tuple[int, Item]] = []
        for category in categories:
            if category in rules.unwanted:
                continue
            within = rules.model_copy(update={"want": (category,)})
            total = self.catalogue.count(within, category)
            step = max(1, total // _SEEDS_TRIED)
            for offset in range(0, min(total, _SEEDS_TRIED * step), step):
                for item in self.catalogue.page(within, "", offset, 1)[0]:
                    best.append((sum(row.fits for row in rules.brief.judgements(item.facts).values()), item))
        return [item for _, item in sorted(best, key=lambda row: (-row[0], title_key(row[1])))[:_SEEDS]]

    def nearest_texts(
        self, outfit: Sequence[Item], rules: Rules, category: GarmentCategory, vector: NDArray[np.float32]
    ) -> list[Item]:
        """The allowed items of a category whose texts are nearest to a unit vector ``(T,)``, nearest first."""
        nearest = self.catalogue.nearest(vector, "text", _NAMED_DEPTH, _rules_for(outfit, rules), category)
        return drop_duplicates(_without_far([item for item, _ in nearest], outfit, rules), outfit)

    def nearest_photos(
        self, outfit: Sequence[Item], rules: Rules, category: GarmentCategory, vector: NDArray[np.float32]
    ) -> list[Item]:
        """The allowed items of a category whose photos are nearest to a unit vector ``(D,)`` of the encoder, nearest
        first; of a catalogue without photos whose texts are, if the vector is of texts too.
        """
        allowed = _rules_for(outfit, rules)
        nearest = self.catalogue.nearest(vector, "photo", _MIN_SEARCH_DEPTH, allowed, category)
        encoder = self.catalogue.info.encoder[0]
        if not nearest and encoder == EDGE:
            nearest = self.catalogue.nearest(vector, "text", _MIN_SEARCH_DEPTH, allowed, category)
        return drop_duplicates([item for item, _ in nearest], outfit)

    def _nearest(self, outfit: Sequence[Item], rules: Rules, category: GarmentCategory, depth: int) -> list[Item]:
        allowed = _rules_for(outfit, rules)
        nearest = {
            item.id: item
            for sort, direction in self.scorers.directions(outfit).items()
            for item, _ in self.catalogue.nearest(direction, sort, depth, allowed, category)
        }
        return list(nearest.values())


def _without_far(items: Sequence[Item], outfit: Sequence[Item], rules: Rules) -> list[Item]:
    """Leave out items that miss the outfit's dress code or are far from one of its items, but for those that are far
    from others of it.
    """
    if rules.far_apart:
        return list(items)
    own = [FactSets.of(item.facts) for item in outfit]
    settled = [facts for facts in own if not any(are_far_apart(facts, other) for other in own)]
    candidates = [FactSets.of(item.facts) for item in items]  # each once, however many items the outfit has
    far = [
        misses_dress_code(candidate, own) or any(are_far_apart(candidate, facts) for facts in settled)
        for candidate in candidates
    ]
    return [item for item, is_far in zip(items, far, strict=True) if not is_far]


def _rules_for(outfit: Sequence[Item], rules: Rules) -> Rules:
    """The rules within one category, without the outfit's own items."""
    excluded = (*rules.excluded, *(item.id for item in outfit))
    return rules.model_copy(update={"want": (), "unwanted": (), "excluded": excluded})


def looks_of_wish(finder: CandidateSearch, start: Items, rules: Rules) -> list[Items]:
    """Looks around the given items. Where none is given, or none has what something should have, each look has one of
    some items of the catalogue beside them that has.
    """
    within = rules.model_copy(update={SOMETHING: ()})
    if start and has_something(start, rules):
        return build_looks(finder, start, within)
    looks: dict[frozenset[str], Items] = {}
    for seed in _beside(finder, start, rules) if start else finder.seeds(rules):
        begun = (*start, seed)
        built = build_looks(finder, begun, _same_people(begun, within), _SEED_WIDTH)
        for look in built or ([begun] if start else []):
            looks.setdefault(frozenset(item.id for item in look), look)
    return list(looks.values())


def _beside(finder: CandidateSearch, start: Items, rules: Rules) -> list[Item]:
    """The best items of any category beside the given ones."""
    categories = [category for category in addable_categories(places_of(start)) if category not in rules.unwanted]
    scored = [row for category in categories for row in finder.find(start, rules, category, _SEEDS)]
    return [item for item, _ in ranked_order(scored, start)[:_SEEDS]]


def has_something(look: Items, rules: Rules) -> bool:
    """Whether for each of ``rules.something`` an item of a look has it."""
    guides = [guide for _, guide in rules.brief.guides if guide.rule == SOMETHING]
    brief = Brief(tuple((guide.name, guide) for guide in guides))
    verdicts = [brief.judgements(item.facts) for item in look]
    return all(any(guide.name not in row for row in verdicts) for guide in guides)


def build_looks(finder: CandidateSearch, start: Items, rules: Rules, width: int = BEAM_WIDTH) -> list[Items]:
    """Looks that begin with the given items, by beam search without the language model; none if nothing can be added. A
    body (a top and a bottom, or a dress) comes first, then shoes and a bag, then the wanted categories. After each of
    them ``width`` looks are left.
    """
    looks: dict[frozenset[str], Items] = {}
    for categories in _plans(start, rules):
        beam: list[Items] = [start]
        for category in categories:
            longer = [
                ((*look, item), score)
                for look in beam
                if category_conflict(category, places_of(look)) is None
                for item, score in finder.find(look, rules, category, width)
            ]
            beam = _best_varied(longer, len(start), width) or beam
        for look in beam:
            if len(look) > len(start):
                looks.setdefault(frozenset(item.id for item in look), look)
    order = COMPLETION_ORDER.index
    return [(*start, *sorted(look[len(start) :], key=lambda item: order(item.category))) for look in looks.values()]


def _plans(start: Items, rules: Rules) -> list[tuple[GarmentCategory, ...]]:
    """Categories to add, in their order, for each body that fits."""
    present = places_of(start)
    wanted = [category for category in COMPLETION_ORDER if category in (*rules.want, *rules.brief.wants)]

    def plan(body: Sequence[GarmentCategory]) -> tuple[GarmentCategory, ...]:
        categories = dict.fromkeys((*body, *_ADDITIONS, *wanted))
        return tuple(name for name in categories if name not in present and name not in rules.unwanted)

    plans = [
        plan(body)
        for body in _BODIES
        if all(category_conflict(name, present) is None for name in body if name not in present)
    ]
    return plans or [plan(())]


def _best_varied(scored: Sequence[ScoredLook], start: int, width: int) -> list[Items]:
    """The best looks; those whose added items are in two better ones already come last."""
    uses: Counter[str] = Counter()
    varied, repeated = [], []
    for look, _ in sorted(scored, key=lambda row: -row[1]):
        added = [item.id for item in look[start:]]
        if all(uses[item_id] < _MAX_USES for item_id in added):
            uses.update(added)
            varied.append(look)
        else:
            repeated.append(look)
    return [*varied, *repeated][:width]


def distinct_looks(looks: Sequence[ScoredLook], start: Items, count: int) -> list[ScoredLook]:
    """The best of ordered looks, of which no two share more than half of the items that were added to ``start``."""
    common = {item.id for item in start}
    distinct: list[ScoredLook] = []
    for look, score in looks:
        added = {item.id for item in look} - common
        if all(2 * len(added & {item.id for item in other}) <= len(added) for other, _ in distinct):
            distinct.append((look, score))
    return distinct[:count]


def missing_from(look: Items, rules: Rules) -> tuple[GarmentCategory, ...]:
    """Categories that an outfit needs, in this weather too, and a look misses, without those that the rules refuse."""
    present = places_of(look)
    wanted = (name for name in rules.brief.wants if name not in present and not category_conflict(name, present))
    required = (*required_categories(present), *wanted)
    return tuple(category for category in required if category not in rules.unwanted)


def _left_out(catalogue: Catalogue, rules: Rules, categories: tuple[GarmentCategory, ...]) -> tuple[LeftOut, ...]:
    within = rules.model_copy(update={"want": categories, "unwanted": ()})
    return tuple(row for row in catalogue.left_out(within) if row.name != "want") if categories else ()


def _why_nothing(
    catalogue: Catalogue,
    categories: Sequence[GarmentCategory],
    conflicts: Mapping[GarmentCategory, str],
    left_out: Sequence[LeftOut],
) -> str:
    if conflicts and not categories:
        reasons = "; ".join(f"no {category}: {reason}" for category, reason in conflicts.items())
        return f"nothing fits: {reasons}; want something else or take it off"
    if not categories:
        return "nothing fits: the outfit has every category that these rules leave to add; want a category by its name"
    names = ", ".join(categories)
    if left_out:
        rules = "; ".join(f"'{row.rule}' leaves out {row.count}, {row.left} left" for row in left_out)
        return f"nothing of {names} fits: {rules}; loosen a rule"
    available = ", ".join(sorted(catalogue.facets().categories)) or "nothing"
    return f"nothing of {names} is in the catalogue beside the outfit and its duplicates; it has {available}"
