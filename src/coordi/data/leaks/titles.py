"""Titles of a later split that an earlier one holds too, or nearly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from coordi.domain import Item

NEAR_WORDS = 5
"""From this many words on, two titles of which one word differs are nearly the same. Of the Maryland test items, 14 of
955 are; with four words it would be 36, and "grey leather shoulder bag" isn't "Loewe leather shoulder bag"."""

_WORD = re.compile(r"\w+")
_Words = tuple[str, ...]
Key = TypeVar("Key")
Twins = dict[str, tuple[str, ...]]


def words_of(title: str) -> _Words:
    """The words of a title without case, punctuation and order, so that equal ones compare as equal."""
    return tuple(sorted(_WORD.findall(title.casefold())))


def twins_by_title(earlier: Iterable[Item], later: Iterable[Item]) -> tuple[Twins, Twins]:
    """Items of the later split with an earlier item of the same title, and of nearly the same.

    Case doesn't count. Nearly the same: the same words in another order or with other punctuation, or all words but
    one, of titles of ``NEAR_WORDS`` words or more. Items without a title have no twin; an item isn't its own twin.

    Returns:
        By the later item's id the ids of its earlier twins; each item is in one of the two at most.
    """
    asked = [item for item in later if item.title]
    same_keys = {item.title.casefold() for item in asked}
    near_keys = {key for item in asked for key in _keys(words_of(item.title))}
    by_title: dict[str, list[str]] = {}
    by_key: dict[_Words, list[str]] = {}
    for item in earlier:
        if item.title.casefold() in same_keys:
            by_title.setdefault(item.title.casefold(), []).append(item.id)
        for key in _keys(words_of(item.title)):
            if key in near_keys:
                by_key.setdefault(key, []).append(item.id)
    same = _found(((item, [item.title.casefold()]) for item in asked), by_title)
    near = _found(((item, _keys(words_of(item.title))) for item in asked if item.id not in same), by_key)
    return same, near


def _found(asked: Iterable[tuple[Item, Sequence[Key]]], earlier: Mapping[Key, Sequence[str]]) -> Twins:
    found: Twins = {}
    for item, keys in asked:
        twins = dict.fromkeys(name for key in keys for name in earlier.get(key, ()) if name != item.id)
        if twins:
            found[item.id] = tuple(twins)
    return found


def _keys(words: _Words) -> list[_Words]:
    """The words, and of a long title the words without each one: titles that share a key are nearly the same."""
    if not words:
        return []
    fewer = [words[:place] + words[place + 1 :] for place in range(len(words))] if len(words) >= NEAR_WORDS else []
    return [words, *dict.fromkeys(fewer)]
