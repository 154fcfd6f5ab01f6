"""From what a client sends to items, with errors that say which of them and what is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coordi.describe.vocabulary import Vocabulary
from coordi.errors import DataError, RecommendationError
from coordi.recommend.described_item import DescribedItem
from coordi.recommend.rules import Rules, check_colours
from coordi.serve.errors import RefusedError, refused
from coordi.serve.requests import ItemGiven, SeenItem
from coordi.serve.service import Service
from coordi.serve.wording import as_json_text, near, shown

_MOST_SHOWN = 12
_COLOURS = {"colours": "rules.colours", "unwanted_colours": "rules.unwanted_colours"}


def items_of(service: Service, given: Sequence[ItemGiven], field: str = "items") -> list[DescribedItem]:
    """Items as described, in their order.

    Args:
        service: Whose catalogue ids are of.
        given: As the client sent them.
        field: Their name in the request, for errors.

    Raises:
        RefusedError: ``unknown_item``, ``unknown_label``, ``unknown_words``, ``no_catalogue`` or ``not_ready``.
    """
    known = _by_id(service, [(f"{field}[{place}].id", one.id) for place, one in enumerate(given) if one.id is not None])
    return [
        known[one.id] if one.id is not None else _own(service, one, f"{field}[{place}]")
        for place, one in enumerate(given)
    ]


def item_of(service: Service, given: ItemGiven, field: str) -> DescribedItem:
    """One item; see ``items_of``."""
    if given.id is not None:
        return _by_id(service, [(f"{field}.id", given.id)])[given.id]
    return _own(service, given, field)


def check_ids(service: Service, ids: Sequence[str], field: str) -> None:
    """See to it that the catalogue has all of these.

    Raises:
        RefusedError: ``unknown_item``.
    """
    _by_id(service, [(f"{field}[{place}]", one) for place, one in enumerate(ids)])


def check_colours_known(service: Service, rules: Rules, fields: Mapping[str, str] = _COLOURS) -> None:
    """See to it that the rules name colours that the vocabulary has.

    Args:
        service: Whose vocabulary it is.
        rules: As the client asked.
        fields: By name of a rule about colours, what it is called in the request.

    Raises:
        RefusedError: ``unknown_label`` or ``not_ready``.
    """
    vocabulary = service.advisor.vocabulary
    for rule, field in fields.items():
        try:
            check_colours(Rules.model_validate({rule: getattr(rules, rule)}), vocabulary)
        except RecommendationError as error:
            attribute = vocabulary.attributes.get("colour")
            accepted = tuple(entry.text for entry in attribute.labels) if attribute else ()
            message = as_json_text(" ".join(str(error).split()))
            raise refused(422, "unknown_label", message, field, accepted) from error


def check_catalogue(service: Service) -> None:
    """See to it that there is something to suggest from.

    Raises:
        RefusedError: ``no_catalogue`` or ``empty_catalogue``.
    """
    if not len(service.index):
        message = f"the catalogue '{service.index.info.name}' is empty; add items to it with: coordi catalogue add"
        raise refused(409, "empty_catalogue", message)


def unknown_item(service: Service, unknown: str, field: str, status: int = 422) -> RefusedError:
    """An error that names ids which are spelt alike."""
    alike = tuple(service.index.near_ids(unknown))
    told = f"; the nearest are {', '.join(alike)}" if alike else "; the catalogue is empty"
    return refused(status, "unknown_item", f"no item {shown(unknown)} in the catalogue{told}", field, alike)


def _by_id(service: Service, named: Sequence[tuple[str, str]]) -> dict[str, DescribedItem]:
    if not named:
        return {}
    found = service.index.get([one for _, one in named])
    for field, one in named:
        if one not in found:
            raise unknown_item(service, one, field)
    return found


def _own(service: Service, given: ItemGiven, field: str) -> DescribedItem:
    if given.seen is not None:
        return _of_labels(service, given.seen, f"{field}.seen")
    try:
        return service.advisor.item_of_words(_readable(given.text or ""))
    except DataError as error:
        message = f"{shown(given.text)} names nothing that is worn; write it like 'navy wool blazer'"
        raise refused(422, "unknown_words", message, f"{field}.text") from error


def _of_labels(service: Service, seen: SeenItem, field: str) -> DescribedItem:
    advisor = service.advisor
    for name, labels in seen.attributes.items():
        _check_labels(advisor.vocabulary, name, labels, f"{field}.attributes")
    try:
        return advisor.item_of_labels(seen.category, seen.attributes, _readable(seen.title))
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
