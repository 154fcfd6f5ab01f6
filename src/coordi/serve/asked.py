"""From what a client sends to items, with errors that say which of them and what is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coordi.describe.vocabulary import Vocabulary
from coordi.errors import DataError, RecommendationError
from coordi.pipeline.advising import Advisor
from coordi.recommend.catalogue_index import CatalogueIndex
from coordi.recommend.described_item import DescribedItem
from coordi.recommend.rules import Rules, check_colours
from coordi.serve.errors import RefusedError, refused
from coordi.serve.requests import ItemGiven, SeenItem
from coordi.serve.wording import as_json_text, near, shown

_MOST_SHOWN = 12
_COLOURS = {"colours": "rules.colours", "unwanted_colours": "rules.unwanted_colours"}


def catalogue_of(advisor: Advisor) -> CatalogueIndex:
    """The catalogue that an advisor advises from.

    Raises:
        RefusedError: ``no_catalogue`` if the server was started without one.
    """
    if advisor.index is None:
        message = "this server has no catalogue; start it with: coordi serve --catalogue DIR"
        raise refused(409, "no_catalogue", message)
    return advisor.index


def items_of(advisor: Advisor, given: Sequence[ItemGiven], field: str = "items") -> list[DescribedItem]:
    """Items as described, in their order.

    Args:
        advisor: Whose catalogue ids are of.
        given: As the client sent them.
        field: Their name in the request, for errors.

    Raises:
        RefusedError: ``unknown_item``, ``unknown_label``, ``unknown_words`` or ``no_catalogue``.
    """
    known = _by_id(advisor, [(f"{field}[{place}].id", one.id) for place, one in enumerate(given) if one.id is not None])
    return [
        known[one.id] if one.id is not None else _own(advisor, one, f"{field}[{place}]")
        for place, one in enumerate(given)
    ]


def item_of(advisor: Advisor, given: ItemGiven, field: str) -> DescribedItem:
    """One item; see ``items_of``."""
    if given.id is not None:
        return _by_id(advisor, [(f"{field}.id", given.id)])[given.id]
    return _own(advisor, given, field)


def check_ids(advisor: Advisor, ids: Sequence[str], field: str) -> None:
    """See to it that the catalogue has all of these.

    Raises:
        RefusedError: ``unknown_item``.
    """
    _by_id(advisor, [(f"{field}[{place}]", one) for place, one in enumerate(ids)])


def check_colours_known(advisor: Advisor, rules: Rules, fields: Mapping[str, str] = _COLOURS) -> None:
    """See to it that the rules name colours that the vocabulary has.

    Args:
        advisor: Whose vocabulary it is.
        rules: As the client asked.
        fields: By name of a rule about colours, what it is called in the request.

    Raises:
        RefusedError: ``unknown_label``.
    """
    vocabulary = advisor.vocabulary
    for rule, field in fields.items():
        try:
            check_colours(Rules.model_validate({rule: getattr(rules, rule)}), vocabulary)
        except RecommendationError as error:
            attribute = vocabulary.attributes.get("colour")
            accepted = tuple(entry.text for entry in attribute.labels) if attribute else ()
            message = as_json_text(" ".join(str(error).split()))
            raise refused(422, "unknown_label", message, field, accepted) from error


def check_catalogue(advisor: Advisor) -> None:
    """See to it that there is something to suggest from.

    Raises:
        RefusedError: ``no_catalogue`` or ``empty_catalogue``.
    """
    index = catalogue_of(advisor)
    if not len(index):
        message = f"the catalogue '{index.info.name}' is empty; add items to it with: coordi catalogue add"
        raise refused(409, "empty_catalogue", message)


def unknown_item(advisor: Advisor, unknown: str, field: str, status: int = 422) -> RefusedError:
    """An error that names ids which are spelt alike."""
    alike = tuple(catalogue_of(advisor).near_ids(unknown))
    told = f"; the nearest are {', '.join(alike)}" if alike else "; the catalogue is empty"
    return refused(status, "unknown_item", f"no item {shown(unknown)} in the catalogue{told}", field, alike)


def _by_id(advisor: Advisor, named: Sequence[tuple[str, str]]) -> dict[str, DescribedItem]:
    if not named:
        return {}
    found = catalogue_of(advisor).get([one for _, one in named])
    for field, one in named:
        if one not in found:
            raise unknown_item(advisor, one, field)
    return found


def _own(advisor: Advisor, given: ItemGiven, field: str) -> DescribedItem:
    if given.seen is not None:
        return _of_labels(advisor, given.seen, f"{field}.seen")
    try:
        return advisor.item_of_words(_readable(given.text or ""))
    except DataError as error:
        message = f"{shown(given.text)} names nothing that is worn; write it like 'navy wool blazer'"
        raise refused(422, "unknown_words", message, f"{field}.text") from error


def _of_labels(advisor: Advisor, seen: SeenItem, field: str) -> DescribedItem:
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
