"""What completes an outfit, how well items go together, and whole looks: the same answers for all who ask."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from coordi.config import RecommendSettings
from coordi.describe.vocabulary import Vocabulary
from coordi.domain import WornCategory
from coordi.errors import RecommendationError
from coordi.recommend.advice import Completion, Judge, LeftOut, Look, Looks, OutfitScore, Suggestion
from coordi.recommend.candidates import Finder, Scored, Sought, check_catalogue, in_order, sought
from coordi.recommend.catalogue_index import CatalogueIndex
from coordi.recommend.described_item import GENDERS, DescribedItem
from coordi.recommend.diversity import diversified
from coordi.recommend.fitting import cautions, clash
from coordi.recommend.item_scorer import ItemScorer
from coordi.recommend.leaving_out import EncodeTexts
from coordi.recommend.looks import LookBuilder, best_first, different, lacks, worn_order
from coordi.recommend.reasons import Reasoner
from coordi.recommend.rules import Rules, check_colours, parse_rules

# Without a wanted category the model ranks candidates of so many missing ones, so that each gets enough of them.
CATEGORIES_AT_ONCE = 4

Outfit = tuple[DescribedItem, ...]


class Stylist:
    """Advises from a catalogue, by a scorer. Safe to be asked from several threads.

    Args:
        index: The catalogue; without one outfits can be scored and nothing else.
        scorer: Judges.
        settings: How many candidates the language model ranks, how much alikeness counts against a suggestion.
        vocabulary: Whose labels reasons speak of.
        encode_texts: The bundled text encoder, for texts with a label left unsaid.
    """

    def __init__(
        self,
        index: CatalogueIndex | None,
        scorer: ItemScorer,
        settings: RecommendSettings,
        vocabulary: Vocabulary,
        encode_texts: EncodeTexts,
    ) -> None:
        self._index = index
        self._scorer = scorer
        self._settings = settings
        self._vocabulary = vocabulary
        self._reasoner = Reasoner(scorer, vocabulary, encode_texts)

    def score(self, items: Sequence[DescribedItem], *, language_model: bool = True) -> OutfitScore:
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
        whole, *rest = self._scorer.score([outfit, *shortened], language_model=language_model).tolist()
        weakest = max(range(len(rest)), key=rest.__getitem__) if rest and max(rest) > whole else None
        without = tuple(rest) if rest else (None,) * len(outfit)
        told = cautions([item.item.category for item in outfit])
        return OutfitScore(outfit, whole, without, weakest, told, judge(language_model))

    def complete(
        self,
        outfit: Sequence[DescribedItem],
        want: WornCategory | None = None,
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
        index = check_catalogue(self._index)
        _check_count(k)
        if not outfit:
            raise RecommendationError("the outfit is empty: name at least 1 item to complete")
        rules = rules or Rules()
        check_colours(rules, self._vocabulary)
        if want is not None:
            rules = parse_rules({**rules.model_dump(), "want": tuple(dict.fromkeys((want, *rules.want)))})
        pinned = self._pinned(index, outfit, rules)
        whole: Outfit = (*outfit, *pinned)
        rules = _for_the_same_people(whole, rules)
        looked_for = sought({item.item.category for item in whole}, rules)
        finder = Finder(index, self._scorer)
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

    def outfits(
        self, around: DescribedItem, k: int = 3, rules: Rules | None = None, *, language_model: bool = True
    ) -> Looks:
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
        index = check_catalogue(self._index)
        _check_count(k)
        rules = rules or Rules()
        check_colours(rules, self._vocabulary)
        begun: Outfit = (around, *self._pinned(index, (around,), rules))
        rules = _for_the_same_people(begun, rules)
        built = LookBuilder(Finder(index, self._scorer)).build(begun, rules)
        if not built:
            looked_for = sought({item.item.category for item in begun}, rules.model_copy(update={"want": ()}))
            left_out = _left_out(index, rules, looked_for.categories)
            return Looks((), judge(language_model), left_out, f"no look: {_why_nothing(index, looked_for, left_out)}")
        ordered = [worn_order(outfit, len(begun)) for outfit in built]
        scores = self._scorer.score(ordered, language_model=language_model).tolist()
        best = different(best_first(list(zip(ordered, scores, strict=True)), rules), begun, k)
        why = self._reasoner.of_looks(best, language_model=language_model)
        looks = tuple(
            Look(outfit, score, reason, lacks(outfit, rules)) for (outfit, score), reason in zip(best, why, strict=True)
        )
        missing = dict.fromkeys(category for look in looks for category in look.lacks)
        return Looks(looks, judge(language_model), _left_out(index, rules, tuple(missing)))

    def _pinned(self, index: CatalogueIndex, outfit: Sequence[DescribedItem], rules: Rules) -> list[DescribedItem]:
        """The pinned items that aren't in the outfit already."""
        names = {item.id for item in outfit}
        asked = [name for name in dict.fromkeys(rules.pinned) if name not in names]
        known = index.get(asked)
        worn = {item.item.category for item in outfit}
        for name in asked:
            if name not in known:
                raise RecommendationError(
                    f"no item '{name}' to pin: accepted are the ids of the catalogue's {len(index)} items"
                )
            reason = clash(known[name].item.category, worn)
            if reason:
                raise RecommendationError(f"the item '{name}' can't be pinned: {reason}; unpin it or take that off")
            worn.add(known[name].item.category)
        return [known[name] for name in asked]

    def _ranked(
        self,
        finder: Finder,
        outfit: Outfit,
        rules: Rules,
        categories: Sequence[WornCategory],
        k: int,
        *,
        language_model: bool,
    ) -> list[list[Scored]]:
        """Candidates of each category, best first."""
        if not categories:
            return []
        room = max(1, max(self._settings.candidates, CATEGORIES_AT_ONCE * k) // len(categories))
        found = [finder.find(outfit, rules, category, room) for category in categories]
        if not language_model:
            return found
        asked = [(*outfit, item) for part in found for item, _ in part]
        scores = iter(self._scorer.score(asked).tolist())  # all categories in one call
        return [in_order([(item, next(scores)) for item, _ in part], outfit) for part in found]

    def _take_turns(self, ranked: Sequence[Sequence[Scored]], k: int) -> list[Scored]:
        """The best of each category before the second best of any, each category's own diversified."""
        varied = [diversified(part, k, self._settings.diversity) for part in ranked]
        rounds = [[one for one in turn if one is not None] for turn in zip_longest(*varied)]
        return [one for turn in rounds for one in in_order(turn, ())][:k]

    def _told(
        self,
        outfit: Outfit,
        pinned: Sequence[DescribedItem],
        shown: Sequence[Scored],
        *,
        language_model: bool,
        reasons: bool,
    ) -> tuple[Suggestion, ...]:
        """Pinned items with the score of all there is, then what was found."""
        first: list[Suggestion] = []
        if pinned:
            (score,) = self._scorer.score([outfit], language_model=language_model).tolist()
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


def _left_out(index: CatalogueIndex, rules: Rules, categories: Sequence[WornCategory]) -> tuple[LeftOut, ...]:
    """What the rules left out of these categories, added up."""
    asked = rules.model_copy(update={"want": (), "unwanted": ()})
    counted: dict[tuple[str, str], tuple[int, int]] = {}
    for category in categories:
        for row in index.left_out(asked, category):
            count, left = counted.get((row.name, row.rule), (0, 0))
            counted[row.name, row.rule] = (count + row.count, left + row.left)
    return tuple(LeftOut(*rule, *counts) for rule, counts in counted.items())


def _why_nothing(index: CatalogueIndex, looked_for: Sought, left_out: Sequence[LeftOut]) -> str:
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
