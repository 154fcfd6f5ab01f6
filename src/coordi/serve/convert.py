"""Items of requests, and answers from the stylist's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from coordi.api import Model
from coordi.encoders.labels import Vocabulary
from coordi.errors import DataError, RecommendationError
from coordi.recommend.answers import Completion, Contribution, LeftOut, Looks, OutfitScore, Reason, Suggestion
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.rules import Rules, check_colours
from coordi.serve.errors import RefusedError, as_json_text, near, refused, shown
from coordi.serve.schemas import (
    CompleteAnswer,
    ItemGiven,
    ItemShown,
    LeftOutShown,
    LooksAnswer,
    LookShown,
    MovedItemShown,
    MovedLabelShown,
    ReasonShown,
    ScoreAnswer,
    ScoredItem,
    SeenItem,
    SeenLabel,
    SuggestionShown,
)
from coordi.types import Description, Item

_MOST_SHOWN = 12
_COLOURS = {"colours": "rules.colours", "unwanted_colours": "rules.unwanted_colours"}


def catalogue_of(model: Model) -> Catalogue:
    """The catalogue that a model suggests from.

    Raises:
        RefusedError: ``no_catalogue`` if the server was started without one.
    """
    if model.catalogue is None:
        message = "this server has no catalogue; start it with: coordi serve --catalogue DIR"
        raise refused(409, "no_catalogue", message)
    return model.catalogue


def items_of(model: Model, given: Sequence[ItemGiven], field: str = "items") -> list[Item]:
    """Items as described, in their order.

    Args:
        model: Whose catalogue ids are of.
        given: As the client sent them.
        field: Their name in the request, for errors.

    Raises:
        RefusedError: ``unknown_item``, ``unknown_label``, ``unknown_words`` or ``no_catalogue``.
    """
    known = _by_id(model, [(f"{field}[{place}].id", one.id) for place, one in enumerate(given) if one.id is not None])
    return [
        known[one.id] if one.id is not None else _own(model, one, f"{field}[{place}]")
        for place, one in enumerate(given)
    ]


def item_of(model: Model, given: ItemGiven, field: str) -> Item:
    """One item; see ``items_of``."""
    if given.id is not None:
        return _by_id(model, [(f"{field}.id", given.id)])[given.id]
    return _own(model, given, field)


def check_ids(model: Model, ids: Sequence[str], field: str) -> None:
    """See to it that the catalogue has all of these.

    Raises:
        RefusedError: ``unknown_item``.
    """
    _by_id(model, [(f"{field}[{place}]", one) for place, one in enumerate(ids)])


def check_colours_known(model: Model, rules: Rules, fields: Mapping[str, str] = _COLOURS) -> None:
    """See to it that the rules name colours that the vocabulary has.

    Args:
        model: Whose vocabulary it is.
        rules: As the client asked.
        fields: By name of a rule about colours, what it is called in the request.

    Raises:
        RefusedError: ``unknown_label``.
    """
    vocabulary = model.vocabulary
    for rule, field in fields.items():
        try:
            check_colours(Rules.model_validate({rule: getattr(rules, rule)}), vocabulary)
        except RecommendationError as error:
            attribute = vocabulary.attributes.get("colour")
            accepted = tuple(entry.text for entry in attribute.labels) if attribute else ()
            message = as_json_text(" ".join(str(error).split()))
            raise refused(422, "unknown_label", message, field, accepted) from error


def check_catalogue(model: Model) -> None:
    """See to it that there is something to suggest from.

    Raises:
        RefusedError: ``no_catalogue`` or ``empty_catalogue``.
    """
    index = catalogue_of(model)
    if not len(index):
        message = f"the catalogue '{index.info.name}' is empty; add items to it with: coordi catalogue add"
        raise refused(409, "empty_catalogue", message)


def unknown_item(model: Model, unknown: str, field: str, status: int = 422) -> RefusedError:
    """An error that names ids which are spelt alike."""
    alike = tuple(catalogue_of(model).near_ids(unknown))
    told = f"; the nearest are {', '.join(alike)}" if alike else "; the catalogue is empty"
    return refused(status, "unknown_item", f"no item {shown(unknown)} in the catalogue{told}", field, alike)


def _by_id(model: Model, named: Sequence[tuple[str, str]]) -> dict[str, Item]:
    if not named:
        return {}
    found = catalogue_of(model).get([one for _, one in named])
    for field, one in named:
        if one not in found:
            raise unknown_item(model, one, field)
    return found


def _own(model: Model, given: ItemGiven, field: str) -> Item:
    if given.seen is not None:
        return _of_labels(model, given.seen, f"{field}.seen")
    try:
        return model.item_of_words(_readable(given.text or ""))
    except DataError as error:
        message = f"{shown(given.text)} names nothing that is worn; write it like 'navy wool blazer'"
        raise refused(422, "unknown_words", message, f"{field}.text") from error


def _of_labels(model: Model, seen: SeenItem, field: str) -> Item:
    for name, labels in seen.attributes.items():
        _check_labels(model.vocabulary, name, labels, f"{field}.attributes")
    try:
        return model.item_of_labels(seen.category, seen.attributes, _readable(seen.title))
    except DataError as error:
        raise refused(422, "contradiction", " ".join(str(error).split()), field) from error


def _check_labels(vocabulary: Vocabulary, name: str, labels: Sequence[str], field: str) -> None:
    attribute = vocabulary.attributes.get(name)
    if attribute is None:
        accepted = tuple(vocabulary.attributes)
        message = f"no attribute {shown(name)}; accepted are {', '.join(accepted)}"
        raise refused(422, "unknown_label", message, field, accepted)
    accepted = tuple(entry.text for entry in attribute.labels)
    for place, label in enumerate(labels):
        if label not in accepted:
            alike = near(label, accepted) or accepted[:_MOST_SHOWN]
            message = f"{shown(label)} is no {name}; accepted are {', '.join(alike)}"
            message += "" if len(alike) == len(accepted) else " and others (GET /api/v1/vocabulary)"
            raise refused(422, "unknown_label", message, f"{field}.{name}[{place}]", accepted)


def _readable(words: str) -> str:
    """Without control characters, which no model has learned and no log should show."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())


PHOTOS = "/api/v1/catalogue/photos/"


def labels_shown(description: Description | None) -> dict[str, tuple[SeenLabel, ...]]:
    """What was seen in a photo; empty without one."""
    attributes = {} if description is None else description.attributes
    return {
        name: tuple(SeenLabel(text=label.text, probability=_share(label.probability)) for label in labels)
        for name, labels in attributes.items()
    }


def item_shown(item: Item, is_of_catalogue: bool) -> ItemShown:
    """An item; one of the client's own has neither id nor photo here."""
    has_photo = is_of_catalogue and item.image is not None
    return ItemShown(
        id=item.id if is_of_catalogue else None,
        title=item.title,
        text=item.text,
        category=item.category,
        kind=item.subcategory,
        brand=item.brand,
        colours=tuple(item.colours),
        gender=item.gender,
        season=item.season,
        price=item.price,
        in_stock=item.in_stock,
        photo=PHOTOS + quote(item.id, safe="") if has_photo else None,
        attributes=labels_shown(item.description),
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

    def shown(moved: Contribution) -> MovedItemShown:
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
