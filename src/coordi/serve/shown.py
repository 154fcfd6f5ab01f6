"""From what coordi works with to what a client is shown."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from coordi.domain import Description
from coordi.recommend.advice import Completion, LeftOut, Looks, Moved, OutfitScore, Reason, Suggestion
from coordi.recommend.described_item import DescribedItem
from coordi.serve.answers import (
    CompleteAnswer,
    ItemShown,
    LeftOutShown,
    LooksAnswer,
    LookShown,
    MovedItemShown,
    MovedLabelShown,
    ReasonShown,
    ScoreAnswer,
    ScoredItem,
    SeenLabel,
    SuggestionShown,
)

PHOTOS = "/api/v1/catalogue/photos/"


def labels_shown(description: Description | None) -> dict[str, tuple[SeenLabel, ...]]:
    """What was seen in a photo; empty without one."""
    attributes = {} if description is None else description.attributes
    return {
        name: tuple(SeenLabel(text=label.text, probability=_share(label.probability)) for label in labels)
        for name, labels in attributes.items()
    }


def item_shown(described: DescribedItem, is_of_catalogue: bool) -> ItemShown:
    """An item; one of the client's own has neither id nor photo here."""
    item = described.item
    has_photo = is_of_catalogue and item.image is not None
    return ItemShown(
        id=item.id if is_of_catalogue else None,
        title=item.title,
        text=described.text,
        category=item.category,
        kind=item.kind,
        brand=described.brand,
        colours=tuple(described.colours),
        gender=described.gender,
        season=described.season,
        price=item.price,
        in_stock=described.in_stock,
        photo=PHOTOS + quote(item.id, safe="") if has_photo else None,
        attributes=labels_shown(described.description),
    )


def score_shown(found: OutfitScore, of_catalogue: Sequence[bool]) -> ScoreAnswer:
    """A score; ``of_catalogue`` says of each item whether it is from there."""
    items = tuple(
        ScoredItem(item=item_shown(item, known), score_without=None if without is None else _share(without))
        for item, known, without in zip(found.items, of_catalogue, found.without, strict=True)
    )
    return ScoreAnswer(
        score=_share(found.score), judge=found.judge, weakest=found.weakest, items=items, cautions=tuple(found.cautions)
    )


def completion_shown(found: Completion) -> CompleteAnswer:
    """What would complete an outfit; items in reasons are positions in it, and pinned ones their ids."""
    given = [item.id for item in found.outfit]
    return CompleteAnswer(
        suggestions=tuple(_suggestion(one, given) for one in found.suggestions),
        categories=tuple(found.categories),
        candidates=found.candidates,
        ranked=found.ranked,
        judge=found.judge,
        left_out=_left_out(found.left_out),
        nothing=found.nothing,
    )


def looks_shown(found: Looks, around_is_of_catalogue: bool) -> LooksAnswer:
    """Whole outfits; the first item of each is the one it was made around."""
    looks = tuple(
        LookShown(
            items=tuple(item_shown(item, place > 0 or around_is_of_catalogue) for place, item in enumerate(look.items)),
            score=_share(look.score),
            reason=_reason(look.reason, [item.id for item in look.items]),
            lacks=look.lacks,
        )
        for look in found.looks
    )
    return LooksAnswer(looks=looks, judge=found.judge, left_out=_left_out(found.left_out), nothing=found.nothing)


def _left_out(rules: Sequence[LeftOut]) -> tuple[LeftOutShown, ...]:
    return tuple(LeftOutShown(name=one.name, rule=one.rule, count=one.count, left=one.left) for one in rules)


def _suggestion(found: Suggestion, given: Sequence[str]) -> SuggestionShown:
    reason = None if found.reason is None else _reason(found.reason, given)
    item = item_shown(found.item, is_of_catalogue=True)
    return SuggestionShown(item=item, score=_share(found.score), is_pinned=found.is_pinned, reason=reason)


def _reason(reason: Reason, ids: Sequence[str]) -> ReasonShown:
    places: dict[str, list[int]] = {}
    for place, one in enumerate(ids):
        places.setdefault(one, []).append(place)

    def shown(moved: Moved) -> MovedItemShown:
        """Two alike are told apart by their order."""
        left = places.get(moved.what)
        if not left:
            return MovedItemShown(position=None, id=moved.what, by=_difference(moved.by))
        position = left.pop(0) if len(left) > 1 else left[0]
        return MovedItemShown(position=position, id=None, by=_difference(moved.by))

    items = tuple(shown(one) for one in reason.items)
    attributes = tuple(
        MovedLabelShown(label=one.what, attribute=one.attribute, by=_difference(one.by)) for one in reason.attributes
    )
    return ReasonShown(items=items, attributes=attributes, text=reason.text)


def _share(value: float) -> float:
    """Without the last digit by which float32 may leave ``[0, 1]``."""
    return min(1.0, max(0.0, float(value)))


def _difference(value: float) -> float:
    return min(1.0, max(-1.0, float(value)))
