"""The words that a language model wrote to complete an outfit: which item they name, and whether a catalogue has it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from coordi.encoders.labels import Vocabulary
from coordi.prompts import NO, YES
from coordi.recommend.facts import COLOUR, LabelWords
from coordi.style.lexicon import NOT_WEARABLE, Kind, default_lexicon
from coordi.types import GarmentCategory, Item, Label

_SEPARATORS = re.compile(r"\s*(?:[;,+&/]|\b(?:and|or|with)\b)\s*")
_QUOTED = 60  # letters of a text in a message


class NamedWords(NamedTuple):
    """Words that name one item, its kind if the lexicon knows it, and what was done to them, for users."""

    words: str
    kind: Kind | None
    note: str = ""


def words_of_name(text: str, want: GarmentCategory, recommended: Sequence[Label]) -> NamedWords:
    """The words to search a category for, of what a model wrote.

    Of several things the first of the wanted category counts. If it names nothing that is worn, or a thing of another
    category, what the image encoder recommends is searched for, or else the category.
    """
    text = " ".join(text.split()).removeprefix(f"{want}: ")  # as adapters before names were taught without it write
    quoted = f"'{text[:_QUOTED]}'"
    things = _things_in(text)
    if len(things) > 1:
        part, first = next((thing for thing in things if thing[1].category == want), things[0])
        if first.category in (None, want):
            return NamedWords(part, first, f"The model named {len(things)} things ({quoted}); searched for '{part}'.")
    kind = default_lexicon().find(text)
    is_answer = text.casefold().strip(".") in (YES, NO)  # of the other task
    if not any(map(str.isalnum, text)) or kind is NOT_WEARABLE or is_answer:
        what = f"nothing that is worn ({quoted})" if text else "nothing"
        return _recommended(f"The model named {what}", want, recommended)
    if kind is not None and kind.category not in (None, want):
        return _recommended(f"The model named {quoted}, which is no {want}", want, recommended)
    if kind is None:
        return _recommended(f"No known kind of garment is in {quoted}", want, recommended, text)
    return NamedWords(text, kind)


def _things_in(text: str) -> list[tuple[str, Kind]]:
    """Parts of a text before its labels in brackets that name different garments, with their kinds."""
    things: dict[str, tuple[str, Kind]] = {}
    for part in _SEPARATORS.split(text.partition("(")[0]):
        kind = default_lexicon().find(part)
        if kind is not None and kind is not NOT_WEARABLE:
            things.setdefault(kind.name, (part, kind))
    return list(things.values())


def _recommended(what: str, want: GarmentCategory, recommended: Sequence[Label], text: str = "") -> NamedWords:
    """What the encoder recommends, after words that are searched for with it."""
    label = recommended[0].text if recommended else want
    source = "the image encoder recommends" if recommended else "is wanted"
    beside = "its words with " if text else ""
    words = f"{text} {label}".strip()
    return NamedWords(words, default_lexicon().find(label), f"{what}; searched for {beside}'{label}', which {source}.")


def note_on(named: NamedWords, want: GarmentCategory, items: Sequence[Item], vocabulary: Vocabulary) -> str:
    """What was done to a name, and what of it none of some items has, for users; empty if there is nothing to say."""
    return " ".join(filter(None, [named.note, _what_is_missing(named, want, items, vocabulary)]))


def _what_is_missing(named: NamedWords, want: GarmentCategory, items: Sequence[Item], vocabulary: Vocabulary) -> str:
    """What of a name none of some items has, for users: the kind, or the colour with it; empty if one has both."""
    if named.kind is None or not items:
        return ""
    of_kind = [item for item in items if _is_of(item, named.kind)]
    if not of_kind:
        return f"No '{named.kind.name}' is among the {want} here; what is nearest by words follows."
    colours = LabelWords.of(vocabulary, COLOUR).labels_in(named.words)
    if colours and not any(set(colours) & set(item.colours) for item in of_kind):
        return f"No {named.kind.name} in {' and '.join(colours)} is here; what is nearest by words follows."
    return ""


def _is_of(item: Item, kind: Kind) -> bool:
    lexicon = default_lexicon()
    own = lexicon.kinds.get(item.kind or "")
    return own is not None and (own is kind or lexicon.is_a(own, kind))
