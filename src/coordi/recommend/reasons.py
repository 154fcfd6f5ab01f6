"""Reasons for a score: what a stylist would say, and the difference that leaving out an item or a label makes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from coordi.encoders.labels import KINDS, Vocabulary
from coordi.recommend.answers import Contribution, GuideRemark, Reason, Understood
from coordi.recommend.facts import COLOUR, fact_in_words
from coordi.recommend.rules import Rules, rule_clauses
from coordi.style.agreement import Remark, remarks
from coordi.style.occasions import NO_BRIEF, Brief, GivesWay
from coordi.style.wishes import FEATURES, SOMETHING, UNWANTED, parse_wish
from coordi.style.words import FORMALITIES
from coordi.types import Fact, FactName, Facts, Item, OutfitScorer

EncodeTexts = Callable[[Sequence[str]], NDArray[np.float32]]
Items = tuple[Item, ...]
_MIN_EFFECT = 0.005  # a smaller difference is displayed as 0.00
_MAX_LISTED = 3
_FILTERS_OF_WISHES = ("price_min", "price_max", "gender", "in_stock")
_MAX_REMARKS = 2  # for an outfit, and as many against it, in a text
_SENTENCES = {
    "made for others": "they are made for others",
    "one colour throughout": "the outfit has one strong colour throughout",
    "dress codes apart": "their dress codes are apart",
    "dress codes shared": "they share a dress code",
    "seasons apart": "they are for other seasons",
    "tradition shared": "they are of one tradition",
    "purpose shared": "they are for the same",
    "colours clash": "their colours clash",
    "colours of a family": "their colours are of one family",
    "patterns clash": "their patterns clash",
    "pattern shared": "they share a pattern",
}


@dataclass(frozen=True, slots=True)
class TextLabel:
    """A label of the vocabulary, and the phrase in a text that stands for it: the label or a synonym."""

    attribute: str
    label: str
    phrase: str


def labels_in_text(text: str, vocabulary: Vocabulary) -> tuple[TextLabel, ...]:
    """Labels in a text but garment types, in the vocabulary's order; ``navy blue`` doesn't contain ``blue``."""
    phrases = [
        TextLabel(name, entry.text, phrase)
        for name, attribute in vocabulary.attributes.items()
        for entry in attribute.labels
        for phrase in entry.phrases
    ]
    left = text
    labels: dict[tuple[str, str], TextLabel] = {}
    for label in sorted(phrases, key=lambda label: -len(label.phrase)):
        shorter = _pattern(label.phrase).sub("\0", left)
        if shorter != left:
            labels.setdefault((label.attribute, label.label), label)
            left = shorter
    order = dict.fromkeys((label.attribute, label.label) for label in phrases if label.attribute != KINDS)
    return tuple(labels[key] for key in order if key in labels)


def ablate_labels(item: Item, labels: Sequence[TextLabel], encode: EncodeTexts) -> list[Item]:
    """The item without each label, as many items as there are labels."""
    texts = [without_phrase(item.text, label.phrase) for label in labels]
    vectors = encode(texts)  # (N, T)
    titles = [without_phrase(item.title, label.phrase) for label in labels]
    facts = [_facts_without(item.facts, label) for label in labels]
    return [
        replace(item, title=title, text=text, text_embedding=vector, facts=left)
        for title, text, vector, left in zip(titles, texts, vectors, facts, strict=True)
    ]


def _facts_without(facts: Facts, label: TextLabel) -> Facts:
    """The first fact of each name, without a label's value."""
    left: dict[FactName, tuple[Fact, ...]] = {}
    for name, (fact, *_) in facts.items():
        values = tuple(value for value in fact.values if (name, value) != (label.attribute, label.label))
        left |= {name: (Fact(values, fact.source),)} if values else {}
    return left


def without_phrase(text: str, phrase: str) -> str:
    """A text without a phrase, and without the punctuation that would be left alone."""
    left = _pattern(phrase).sub("", text)
    left = re.sub(r"\s*,(\s*,)+", ",", left)
    left = re.sub(r"\(\s*,?\s*", "(", left)
    left = re.sub(r"\s*,?\s*\)", ")", left).replace("()", "")
    return re.sub(r":\s*$", "", " ".join(left.split())).strip(" ,")


def _pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(phrase)}(?!\w)", re.IGNORECASE)


def scores_of(scorer: OutfitScorer, outfits: Sequence[Sequence[Item]]) -> list[float]:
    """Scores as Python numbers."""
    scores: list[float] = scorer.score(outfits).tolist()
    return scores


def without_each(outfit: Items) -> list[Items]:
    """The outfit without each of its items."""
    return [outfit[:position] + outfit[position + 1 :] for position in range(len(outfit))]


@dataclass(frozen=True, slots=True)
class Reasoner:
    """Explains scores by leaving out items, and labels of a vocabulary in texts; see ``Scorers.explaining``."""

    scorer: OutfitScorer
    vocabulary: Vocabulary
    encode: EncodeTexts
    brief: Brief = NO_BRIEF

    def of_suggestions(self, outfit: Items, suggested: Sequence[Item]) -> list[Reason]:
        """Reasons for items that complete an outfit, computed in one call."""
        outfits: list[Items] = []
        labels_of: list[tuple[TextLabel, ...]] = []
        smaller = without_each(outfit) if len(outfit) > 1 else []
        for item in suggested:
            labels = labels_in_text(item.text, self.vocabulary)
            labels_of.append(labels)
            outfits += [(*outfit, item), *((*part, item) for part in smaller)]
            outfits += [(*outfit, changed) for changed in ablate_labels(item, labels, self.encode)]
        scores = iter(scores_of(self.scorer, outfits))
        reasons = []
        for item, labels in zip(suggested, labels_of, strict=True):
            score = next(scores)
            of_items = [Contribution(other.id, "", score - next(scores)) for other in outfit[: len(smaller)]]
            of_labels = [Contribution(label.label, label.attribute, score - next(scores)) for label in labels]
            completed = (*outfit, item)
            on_item = remarks([each.facts for each in completed], of=len(outfit))
            fits = guide_remarks([item], self.brief, fits=True, first=len(outfit))
            reasons.append(_reason(of_items, of_labels, completed, on_item, fits))
        return reasons

    def of_looks(self, looks: Sequence[Items]) -> list[Reason]:
        """Reasons for looks, computed in one call; a look of two items has no effects."""
        parts = [(look, *without_each(look)) if len(look) > 2 else () for look in looks]
        scores = iter(scores_of(self.scorer, [outfit for part in parts for outfit in part]))
        reasons = []
        for look, part in zip(looks, parts, strict=True):
            score = next(scores) if part else 0.0
            effects = [Contribution(item.id, "", score - next(scores)) for item in look if part]
            fits = guide_remarks(look, self.brief, fits=True)
            reasons.append(_reason(effects, [], look, remarks_on(look), fits))
        return reasons


def remarks_on(outfit: Items) -> tuple[Remark, ...]:
    """What the rules of style say of an outfit, by its items' facts."""
    return remarks([item.facts for item in outfit])


def remark_in_words(remark: Remark, outfit: Items) -> str:
    """A remark as a clause, such as ``"their colours clash: red skirt (red, title), pink top (pink, title)"``."""
    of_items = [
        f"{_name(outfit[position])} ({fact_in_words(remark.fact, fact)})"
        for position, fact in zip(remark.items, remark.facts, strict=True)
    ]
    return f"{_SENTENCES[remark.rule]}: {', '.join(of_items)}"


def guide_remarks(items: Sequence[Item], brief: Brief, *, fits: bool, first: int = 0) -> tuple[GuideRemark, ...]:
    """The items that suit the guides of a wish, or those that break them, the first at a position of an outfit."""
    judgements = [brief.judgements(item.facts) for item in items]
    return tuple(
        GuideRemark(words, fits, first + position, row[guide.name].name, row[guide.name].fact)
        for words, guide in brief.guides
        for position, row in enumerate(judgements)
        if guide.name in row and row[guide.name].fits is fits
    )


def guide_remark_in_words(remark: GuideRemark, outfit: Items) -> str:
    """A remark as a clause, such as ``"suits office: black oxfords (business to cocktail, usual)"``."""
    verb = "suits" if remark.fits else "breaks"
    return f"{verb} {remark.guide}: {_name(outfit[remark.item])} ({fact_in_words(remark.name, remark.fact)})"


def understood(rules: Rules, outfit: Items) -> Understood | None:
    """What was understood of a wish, and what of the user's own outfit breaks it; None if nothing of it is wished."""
    brief, not_understood = rules.brief, rules.not_understood
    if not brief.guides and not rules.wish.strip():
        return None
    occasions, weather, wishes = (
        tuple(words for words, guide in brief.guides if guide.rule in names)
        for names in (("occasion",), ("weather",), (FEATURES, UNWANTED, SOMETHING))
    )
    if rules.wish:
        wishes += tuple(clause.words for clause in rule_clauses(rules) if clause.name in _FILTERS_OF_WISHES)
    formality = () if brief.formality is None else tuple(dict.fromkeys(FORMALITIES[end] for end in brief.formality))
    # An outfit needn't have what is wanted beside it.
    counted = tuple(row for row in brief.guides if row[1].rule not in (FEATURES, SOMETHING))
    broken = guide_remarks(outfit, replace(brief, guides=counted), fits=False)
    gives_way = (*brief.gives_way, *_set_besides(rules))
    parts = [f"understood: {', '.join((*occasions, *weather, *wishes)) or 'nothing'}"]
    parts += [f"not understood: {', '.join(not_understood)}"] if not_understood else []
    parts += [f"dress code {' to '.join(formality)}"] if formality else []
    parts += [f"{row.what} gives way to {row.to}" for row in gives_way]
    parts += [f"the outfit {guide_remark_in_words(remark, outfit)}" for remark in broken]
    text = "; ".join(parts)
    text = text[0].upper() + text[1:] + "."
    return Understood(occasions, weather, formality, gives_way, broken, wishes, not_understood, text)


def _set_besides(rules: Rules) -> Iterator[GivesWay]:
    """Parts of the wish that aren't followed, as the user set the same rule besides."""
    wish = parse_wish(rules.wish)
    for wished, given in (
        (wish.occasion, rules.occasion.split(", ")),
        (wish.weather, rules.weather.split(", ")),
        (wish.features, rules.features),
        (wish.something, rules.something),
    ):
        yield from (GivesWay(what, ", ".join(given)) for what in wished if what not in given)


def _reason(
    of_items: list[Contribution],
    of_labels: list[Contribution],
    items: Items,
    on_items: tuple[Remark, ...],
    fits: tuple[GuideRemark, ...],
) -> Reason:
    names = {item.id: _name(item) for item in items}
    of_items.sort(key=lambda row: -row.by)
    of_labels.sort(key=lambda row: -row.by)
    effects = [(names[row.what], row.by) for row in of_items] + [(f"'{row.what}'", row.by) for row in of_labels]
    helped = [row for row in effects if row[1] >= _MIN_EFFECT]
    harmed = [row for row in effects if row[1] <= -_MIN_EFFECT]
    remarks_for, against = (
        [remark_in_words(remark, items) for remark in on_items if remark.speaks_for is speaks_for][:_MAX_REMARKS]
        for speaks_for in (True, False)
    )
    suits: dict[str, str] = {}
    for remark in fits:
        suits.setdefault(remark.guide, guide_remark_in_words(remark, items))
    praise = [*list(suits.values())[:_MAX_REMARKS], *remarks_for]
    parts = [*praise, *(f"but {text}" if praise else text for text in against)]
    for verb, rows in (("helped by", helped), ("held back by", harmed)):
        strongest = sorted(rows, key=lambda row: -abs(row[1]))[:_MAX_LISTED]
        if strongest:
            parts.append(f"{verb} " + ", ".join(f"{name} ({by:+.2f})" for name, by in strongest))
    text = "; ".join(parts) or "no single item or label moves the score by 0.01 or more"
    return Reason(tuple(of_items), tuple(of_labels), on_items, text[0].upper() + text[1:] + ".", fits)


def _name(item: Item) -> str:
    if item.title or item.description is None:
        return item.title or item.text.split(": ", 1)[-1]
    labels = [item.description.attributes.get(name, ()) for name in (COLOUR, KINDS)]
    return " ".join(row[0].text for row in labels if row) or item.category or item.text
