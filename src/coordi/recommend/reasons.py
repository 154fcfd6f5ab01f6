"""Why: what leaving out each item of an outfit, or each label of a suggestion, does to the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordi.describe.vocabulary import KINDS, Vocabulary
from coordi.recommend.advice import Moved, Reason
from coordi.recommend.described_item import DescribedItem
from coordi.recommend.facets import COLOUR
from coordi.recommend.item_scorer import ItemScorer
from coordi.recommend.leaving_out import EncodeTexts, Said, said_of, unsaid

_WORTH_SAYING = 0.005  # below it, a difference shows as 0.00
_MOST_SAID = 3

Outfit = tuple[DescribedItem, ...]


@dataclass(frozen=True, slots=True)
class Reasoner:
    """Asks a scorer what it would say if something weren't there.

    Attributes:
        scorer: The one whose scores are explained.
        vocabulary: Whose labels are left unsaid.
        encode: Vectors of changed texts.
    """

    scorer: ItemScorer
    vocabulary: Vocabulary
    encode: EncodeTexts

    def of_suggestions(
        self, outfit: Outfit, suggested: Sequence[tuple[DescribedItem, float]], *, language_model: bool
    ) -> list[Reason]:
        """Why each item goes with the outfit; all is asked in one call.

        Args:
            outfit: What there is.
            suggested: Items with the score of the outfit and them.
            language_model: As they were scored.
        """
        asked: list[Outfit] = []
        said: list[tuple[Said, ...]] = []
        left_out = [outfit[:place] + outfit[place + 1 :] for place in range(len(outfit))] if len(outfit) > 1 else []
        for item, _ in suggested:
            labels = said_of(item.text, self.vocabulary)
            said.append(labels)
            asked += [(*rest, item) for rest in left_out]
            asked += [(*outfit, changed) for changed in unsaid(item, labels, self.encode)]
        answers = iter(self.scorer.score(asked, language_model=language_model).tolist())
        reasons = []
        for (item, score), labels in zip(suggested, said, strict=True):
            items = [Moved(one.id, "", score - next(answers)) for one in outfit[: len(left_out)]]
            moved = [Moved(one.label, one.attribute, score - next(answers)) for one in labels]
            reasons.append(_reason(items, moved, {one.id: _name(one) for one in (*outfit, item)}))
        return reasons

    def of_looks(self, looks: Sequence[tuple[Outfit, float]], *, language_model: bool) -> list[Reason]:
        """What each item does for its look, asked in one call; a look of two items moves by nothing.

        Args:
            looks: Items with their score.
            language_model: As they were scored.
        """
        asked = [look[:place] + look[place + 1 :] for look, _ in looks if len(look) > 2 for place in range(len(look))]
        answers = iter(self.scorer.score(asked, language_model=language_model).tolist())
        return [
            _reason(
                [Moved(one.id, "", score - next(answers)) for one in look] if len(look) > 2 else [],
                [],
                {one.id: _name(one) for one in look},
            )
            for look, score in looks
        ]


def _reason(items: list[Moved], labels: list[Moved], names: dict[str, str]) -> Reason:
    items.sort(key=lambda moved: -moved.by)
    labels.sort(key=lambda moved: -moved.by)
    told = [(names[one.what], one.by) for one in items] + [(f"'{one.what}'", one.by) for one in labels]
    helped = [one for one in told if one[1] >= _WORTH_SAYING]
    harmed = [one for one in told if one[1] <= -_WORTH_SAYING]
    parts = []
    for verb, moved in (("helped by", helped), ("held back by", harmed)):
        strongest = sorted(moved, key=lambda one: -abs(one[1]))[:_MOST_SAID]
        if strongest:
            parts.append(f"{verb} " + ", ".join(f"{name} ({by:+.2f})" for name, by in strongest))
    text = "; ".join(parts) or "no single item or label moves the score by 0.01 or more"
    return Reason(tuple(items), tuple(labels), text[0].upper() + text[1:] + ".")


def _name(item: DescribedItem) -> str:
    """What a sentence calls an item: its title, or the colour and kind that were seen."""
    if item.item.title or item.description is None:
        return item.item.title or item.text.split(": ", 1)[-1]
    seen = [item.description.attributes.get(name, ()) for name in (COLOUR, KINDS)]
    return " ".join(labels[0].text for labels in seen if labels) or item.item.category
